-- Claims that somebody checked, trusted reports, and which contents repeat them.

CREATE TABLE hoaxwatch.claims (
    claim_id     text COLLATE "C" NOT NULL,
    version      integer NOT NULL CHECK (version > 0),
    kind         text COLLATE "C" NOT NULL CHECK (kind IN ('check', 'report')),
    text         text NOT NULL,
    rating       text NOT NULL,
    stance       text COLLATE "C" NOT NULL
                 CHECK (stance IN ('refuted', 'supported', 'mixed', 'unknown')),
    link         text NOT NULL,
    publisher    text NOT NULL,
    published_on text NOT NULL,
    title        text NOT NULL,
    body         text NOT NULL,
    lang         text,
    encoder      text COLLATE "C" NOT NULL,
    embedding    bytea NOT NULL,
    load_number  bigint NOT NULL,
    loaded_at    timestamptz NOT NULL,
    replaced_at  timestamptz,
    withdrawn_at timestamptz,
    PRIMARY KEY (claim_id, version)
);
CREATE UNIQUE INDEX claims_standing ON hoaxwatch.claims (claim_id) WHERE replaced_at IS NULL;
CREATE INDEX claims_load_number ON hoaxwatch.claims (load_number);
COMMENT ON TABLE hoaxwatch.claims IS 'Checked claims and trusted reports, each version of them. The one that stands has no replaced_at.';
COMMENT ON COLUMN hoaxwatch.claims.claim_id IS 'Names kind, link and text: the same over loads.';
COMMENT ON COLUMN hoaxwatch.claims.version IS '1, 2, ...: another one for each change of rating, publisher, date or encoder.';
COMMENT ON COLUMN hoaxwatch.claims.kind IS 'check: a fact-check; report: a report that is trusted.';
COMMENT ON COLUMN hoaxwatch.claims.text IS 'The claim that was checked, or the headline of the report.';
COMMENT ON COLUMN hoaxwatch.claims.rating IS 'The rating in the publisher''s words; empty: none, or a report.';
COMMENT ON COLUMN hoaxwatch.claims.stance IS 'What the rating means: refuted, supported, mixed or unknown.';
COMMENT ON COLUMN hoaxwatch.claims.link IS 'Address of the document.';
COMMENT ON COLUMN hoaxwatch.claims.publisher IS 'Who published it; empty: not said.';
COMMENT ON COLUMN hoaxwatch.claims.published_on IS 'Day of publication as stated (YYYY-MM-DD); empty: not said.';
COMMENT ON COLUMN hoaxwatch.claims.title IS 'Title of the document; empty: not said.';
COMMENT ON COLUMN hoaxwatch.claims.body IS 'Text of the document; empty: not given.';
COMMENT ON COLUMN hoaxwatch.claims.lang IS 'Language code as stated; NULL: not said.';
COMMENT ON COLUMN hoaxwatch.claims.encoder IS 'Model and hash of its weights by which the text was embedded.';
COMMENT ON COLUMN hoaxwatch.claims.embedding IS 'The text as a vector of length 1: float16, little-endian.';
COMMENT ON COLUMN hoaxwatch.claims.load_number IS 'Number of the transaction that last changed the row: 1, 2, ...';
COMMENT ON COLUMN hoaxwatch.claims.loaded_at IS 'When this version was loaded (UTC).';
COMMENT ON COLUMN hoaxwatch.claims.replaced_at IS 'When a later version took its place (UTC); NULL: this one stands.';
COMMENT ON COLUMN hoaxwatch.claims.withdrawn_at IS 'When it was withdrawn (UTC): it matches nothing any more; NULL: it was not.';

-- Most readers want no vectors: kept outside of the rows, they leave these short.
CREATE TABLE hoaxwatch.claim_checks (
    platform    text COLLATE "C" NOT NULL,
    root_id     text COLLATE "C" NOT NULL,
    input_hash  bytea NOT NULL,
    matcher     text COLLATE "C" NOT NULL,
    reason      text COLLATE "C",
    embedding   bytea,
    load_number bigint NOT NULL,
    PRIMARY KEY (platform, root_id),
    CHECK ((reason IS NULL) = (embedding IS NOT NULL))
) WITH (toast_tuple_target = 128);
ALTER TABLE hoaxwatch.claim_checks ALTER COLUMN embedding SET STORAGE EXTERNAL;
COMMENT ON TABLE hoaxwatch.claim_checks IS 'Up to which claims each content was compared. Without claims it is empty.';
COMMENT ON COLUMN hoaxwatch.claim_checks.platform IS 'Platform of the content.';
COMMENT ON COLUMN hoaxwatch.claim_checks.root_id IS 'The content.';
COMMENT ON COLUMN hoaxwatch.claim_checks.input_hash IS 'The words that were compared: those of the content with this hash.';
COMMENT ON COLUMN hoaxwatch.claim_checks.matcher IS 'Version of the matching: encoder, thresholds, guards.';
COMMENT ON COLUMN hoaxwatch.claim_checks.reason IS 'Why it was not compared: language, too_short; NULL: it was.';
COMMENT ON COLUMN hoaxwatch.claim_checks.embedding IS 'The words as a vector: float16, little-endian; NULL: not compared.';
COMMENT ON COLUMN hoaxwatch.claim_checks.load_number IS 'Claims up to this load_number were compared with it.';

CREATE TABLE hoaxwatch.claim_matches (
    platform     text COLLATE "C" NOT NULL,
    root_id      text COLLATE "C" NOT NULL,
    claim_id     text COLLATE "C" NOT NULL,
    input_hash   bytea NOT NULL,
    label        text COLLATE "C" NOT NULL CHECK (label IN (
        'Support_Text', 'Support_Multimodal', 'Insufficient_Text', 'Insufficient_Multimodal',
        'Refute', 'denies')),
    cosine       numeric(7, 6) NOT NULL,
    common_words numeric(7, 6) NOT NULL,
    matcher      text COLLATE "C" NOT NULL,
    encoder      text COLLATE "C" NOT NULL,
    PRIMARY KEY (platform, root_id, claim_id)
);
CREATE INDEX claim_matches_claim ON hoaxwatch.claim_matches (claim_id);
COMMENT ON TABLE hoaxwatch.claim_matches IS 'Contents that repeat a checked claim or a trusted report. Somebody else''s finding, not a score.';
COMMENT ON COLUMN hoaxwatch.claim_matches.platform IS 'Platform of the content.';
COMMENT ON COLUMN hoaxwatch.claim_matches.root_id IS 'The content.';
COMMENT ON COLUMN hoaxwatch.claim_matches.claim_id IS 'The claim it repeats.';
COMMENT ON COLUMN hoaxwatch.claim_matches.input_hash IS 'The words that were compared: those of the content with this hash.';
COMMENT ON COLUMN hoaxwatch.claim_matches.label IS 'What the document says of the content: one of five classes, or denies: it repeats the claim to deny it.';
COMMENT ON COLUMN hoaxwatch.claim_matches.cosine IS 'How alike their embeddings are (0 to 1).';
COMMENT ON COLUMN hoaxwatch.claim_matches.common_words IS 'Stems of both, divided by the stems of the one that has fewer (0 to 1).';
COMMENT ON COLUMN hoaxwatch.claim_matches.matcher IS 'Version of the matching: encoder, thresholds, guards.';
COMMENT ON COLUMN hoaxwatch.claim_matches.encoder IS 'Model and hash of its weights by which both were embedded.';

CREATE VIEW mart.claims_matched AS
SELECT m.platform, m.root_id, m.claim_id,
       row_number() OVER (PARTITION BY m.platform, m.root_id
                          ORDER BY k.kind, m.cosine DESC, m.claim_id)::integer AS place,
       m.label, m.cosine, m.common_words, k.kind, k.text, k.rating, k.stance, k.publisher, k.link,
       k.published_on, k.title, k.lang, k.version, m.encoder
FROM hoaxwatch.claim_matches m
JOIN hoaxwatch.content c ON c.platform = m.platform AND c.root_id = m.root_id
                        AND c.input_hash = m.input_hash
JOIN hoaxwatch.claims k ON k.claim_id = m.claim_id AND k.replaced_at IS NULL
                       AND k.withdrawn_at IS NULL;
COMMENT ON VIEW mart.claims_matched IS 'Contents with the checked claims and trusted reports that they repeat; place 1 decides. Shares point at the content by root_id.';
COMMENT ON COLUMN mart.claims_matched.place IS '1, 2, ...: fact-checks before reports, then the nearest.';

-- Views repeat the comments of the columns they show; where a name is in several tables, the later
-- table's is right here.
DO $$
DECLARE item record;
BEGIN
    FOR item IN
        SELECT v.attname AS column_name, col_description(t.attrelid, t.attnum) AS said
        FROM pg_attribute v
        JOIN pg_class k ON k.relname IN ('claims', 'claim_matches')
                       AND k.relnamespace = 'hoaxwatch'::regnamespace
        JOIN pg_attribute t ON t.attrelid = k.oid AND t.attname = v.attname
        WHERE v.attrelid = 'mart.claims_matched'::regclass AND v.attnum > 0
        ORDER BY k.relname DESC
    LOOP
        EXECUTE format('COMMENT ON COLUMN mart.claims_matched.%I IS %L', item.column_name, item.said);
    END LOOP;
END $$;
