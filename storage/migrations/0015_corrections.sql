-- What was wrong and is corrected: verdicts by another policy, posts and accounts flagged wrongly.

CREATE VIEW mart.policies AS
SELECT policy_id, detector, version, threshold, abstain_band, active, created_at
FROM hoaxwatch.verdict_policy;
COMMENT ON VIEW mart.policies IS 'Whose verdicts count and from which score on: what policy_id in other views names.';

CREATE TABLE hoaxwatch.pseudonym_key (
    key bytea NOT NULL
);
COMMENT ON TABLE hoaxwatch.pseudonym_key IS 'One random row, made with the database: with it, accounts have pseudonyms in schema mart.';
COMMENT ON COLUMN hoaxwatch.pseudonym_key.key IS 'The secret part of each pseudonym. Whoever has it can find out whose it is.';
INSERT INTO hoaxwatch.pseudonym_key
SELECT sha256(convert_to(gen_random_uuid()::text || gen_random_uuid()::text, 'UTF8'));

-- Views call it with the key that their owner may read and whoever asks may not.
CREATE FUNCTION hoaxwatch.pseudonym(key bytea, platform text, author_id text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN left(encode(sha256(key || convert_to(platform || ':' || author_id, 'UTF8')), 'hex'), 16);
COMMENT ON FUNCTION hoaxwatch.pseudonym IS 'The pseudonym of an account: 16 hex digits of SHA-256 over key, platform and id.';

CREATE TABLE hoaxwatch.errata (
    erratum_id   integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind         text COLLATE "C" NOT NULL CHECK (kind IN ('post', 'account')),
    platform     text COLLATE "C" NOT NULL,
    subject_id   text COLLATE "C",
    reason       text NOT NULL,
    likely_false boolean,
    probability  numeric(7, 6),
    policy_id    integer,
    reported_by  text COLLATE "C" NOT NULL,
    reported_at  timestamptz NOT NULL
);
CREATE INDEX errata_by_subject ON hoaxwatch.errata (platform, subject_id);
COMMENT ON TABLE hoaxwatch.errata IS 'Posts and accounts that were flagged wrongly. Rows are added and never changed; when the post or account is deleted, its id goes.';
COMMENT ON COLUMN hoaxwatch.errata.erratum_id IS 'Number of the erratum.';
COMMENT ON COLUMN hoaxwatch.errata.kind IS 'post or account.';
COMMENT ON COLUMN hoaxwatch.errata.platform IS 'Platform of the post or account.';
COMMENT ON COLUMN hoaxwatch.errata.subject_id IS 'The post or the account; NULL: deleted since.';
COMMENT ON COLUMN hoaxwatch.errata.reason IS 'What was wrong, in words that may be published.';
COMMENT ON COLUMN hoaxwatch.errata.likely_false IS 'What counted for the post when this was written: at or above the threshold; NULL: not judged, or an account.';
COMMENT ON COLUMN hoaxwatch.errata.probability IS 'Probability of likely_false that counted then (0 to 1); NULL: not judged, or an account.';
COMMENT ON COLUMN hoaxwatch.errata.policy_id IS 'The policy in force then; NULL: none yet.';
COMMENT ON COLUMN hoaxwatch.errata.reported_by IS 'Who says so.';
COMMENT ON COLUMN hoaxwatch.errata.reported_at IS 'When (wall clock, UTC).';

CREATE VIEW mart.errata AS
SELECT erratum_id, kind, platform, CASE WHEN kind = 'post' THEN subject_id END AS post_id,
       CASE WHEN kind = 'account' THEN
           hoaxwatch.pseudonym((SELECT key FROM hoaxwatch.pseudonym_key), platform, subject_id)
       END AS account, reason, likely_false, probability, policy_id, reported_by, reported_at
FROM hoaxwatch.errata;
COMMENT ON VIEW mart.errata IS 'Posts and accounts that were flagged wrongly, with what counted then.';

-- Views repeat the comments of the columns they show; what is new in a view is said here.
DO $$
DECLARE item record;
BEGIN
    FOR item IN
        SELECT k.in_view, v.attname AS column_name, col_description(t.attrelid, t.attnum) AS said
        FROM (VALUES ('verdict_policy', 'policies'), ('errata', 'errata')) AS k (from_table, in_view)
        JOIN pg_attribute t ON t.attrelid = ('hoaxwatch.' || k.from_table)::regclass AND t.attnum > 0
        JOIN pg_attribute v ON v.attrelid = ('mart.' || k.in_view)::regclass
                           AND v.attname = t.attname AND v.attnum > 0
    LOOP
        EXECUTE format('COMMENT ON COLUMN mart.%I.%I IS %L', item.in_view, item.column_name, item.said);
    END LOOP;
END $$;
COMMENT ON COLUMN mart.errata.post_id IS 'The post; NULL: an account, or deleted since.';
COMMENT ON COLUMN mart.errata.account IS 'Pseudonym of the account, as in mart.account_activity; NULL: a post, or deleted since.';
