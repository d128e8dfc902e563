-- What detectors of cascades say, and one score from all opinions about a root.

CREATE TABLE hoaxwatch.cascade_verdicts (
    platform   text COLLATE "C" NOT NULL,
    root_id    text COLLATE "C" NOT NULL,
    detector   text COLLATE "C" NOT NULL,
    version    text COLLATE "C" NOT NULL,
    checkpoint text COLLATE "C" NOT NULL,
    n_nodes    integer NOT NULL,
    seen_until timestamptz NOT NULL,
    input_hash bytea NOT NULL,
    posts_hash bytea NOT NULL,
    state      text NOT NULL CHECK (state IN ('scored', 'abstained')),
    score      numeric(7, 6) CHECK (score BETWEEN 0 AND 1),
    reason     text,
    evidence   jsonb NOT NULL,
    PRIMARY KEY (platform, root_id, detector, version, checkpoint),
    CHECK ((state = 'scored') = (score IS NOT NULL)),
    CHECK ((state = 'abstained') = (reason IS NOT NULL))
);
COMMENT ON TABLE hoaxwatch.cascade_verdicts IS 'A detector''s opinion about how a root spreads, at each checkpoint: when it had so many shares, so long after the root, and now. Event time decides what was there.';
COMMENT ON COLUMN hoaxwatch.cascade_verdicts.platform IS 'Platform of the root.';
COMMENT ON COLUMN hoaxwatch.cascade_verdicts.root_id IS 'The root: a content.';
COMMENT ON COLUMN hoaxwatch.cascade_verdicts.detector IS 'Name of the detector of cascades.';
COMMENT ON COLUMN hoaxwatch.cascade_verdicts.version IS 'Version of the detector: weights, features, preparation.';
COMMENT ON COLUMN hoaxwatch.cascade_verdicts.checkpoint IS 'shares 20: when it had 20 shares; age 1800: 1,800 seconds after the root; latest: all that is stored.';
COMMENT ON COLUMN hoaxwatch.cascade_verdicts.n_nodes IS 'Posts of the cascade by then, the root included.';
COMMENT ON COLUMN hoaxwatch.cascade_verdicts.seen_until IS 'When the last of them was published (UTC).';
COMMENT ON COLUMN hoaxwatch.cascade_verdicts.input_hash IS 'BLAKE2b-128 of the graph that was judged.';
COMMENT ON COLUMN hoaxwatch.cascade_verdicts.posts_hash IS 'MD5 over the posts of the whole cascade: another one means that it must be judged again.';
COMMENT ON COLUMN hoaxwatch.cascade_verdicts.state IS 'scored or abstained.';
COMMENT ON COLUMN hoaxwatch.cascade_verdicts.score IS 'Calibrated probability of likely_false, 0 to 1; NULL: abstained.';
COMMENT ON COLUMN hoaxwatch.cascade_verdicts.reason IS 'Why it abstained, such as star: only the root of each share is known; NULL: it did not.';
COMMENT ON COLUMN hoaxwatch.cascade_verdicts.evidence IS 'What weighed most: [[input, contribution to the logit], ...].';

CREATE TABLE hoaxwatch.combined_scores (
    platform text COLLATE "C" NOT NULL,
    root_id  text COLLATE "C" NOT NULL,
    fusion   text COLLATE "C" NOT NULL,
    score    numeric(7, 6) CHECK (score BETWEEN 0 AND 1),
    reason   text,
    used     jsonb NOT NULL,
    missing  jsonb NOT NULL,
    PRIMARY KEY (platform, root_id),
    CHECK ((score IS NULL) = (reason IS NOT NULL))
);
COMMENT ON TABLE hoaxwatch.combined_scores IS 'One score from the opinions about a root whose cascade was judged: late fusion, each part kept. It decides no trend: the active policy does.';
COMMENT ON COLUMN hoaxwatch.combined_scores.platform IS 'Platform of the root.';
COMMENT ON COLUMN hoaxwatch.combined_scores.root_id IS 'The root: a content.';
COMMENT ON COLUMN hoaxwatch.combined_scores.fusion IS 'Version of the weights.';
COMMENT ON COLUMN hoaxwatch.combined_scores.score IS 'Combined probability of likely_false, 0 to 1; NULL: no part has one.';
COMMENT ON COLUMN hoaxwatch.combined_scores.reason IS 'Why there is no score; NULL: there is one.';
COMMENT ON COLUMN hoaxwatch.combined_scores.used IS 'Parts with a vote: [{name, detector, version, score, contribution to the logit}, ...].';
COMMENT ON COLUMN hoaxwatch.combined_scores.missing IS 'Parts without a vote: [{name, reason}, ...].';

CREATE VIEW mart.cascade_verdicts AS
SELECT platform, root_id, detector, version, checkpoint, n_nodes, seen_until, state, score, reason, evidence
FROM hoaxwatch.cascade_verdicts;
CREATE VIEW mart.combined_scores AS
SELECT platform, root_id, fusion, score, reason, used, missing FROM hoaxwatch.combined_scores;
COMMENT ON VIEW mart.cascade_verdicts IS 'What a detector of cascades said at each checkpoint, with what weighed most.';
COMMENT ON VIEW mart.combined_scores IS 'One score from the opinions about a root, with what each part added.';

-- Views repeat the comments of the columns they show.
DO $$
DECLARE item record;
BEGIN
    FOR item IN
        SELECT v.attrelid::regclass AS view_name, v.attname AS column_name,
               col_description(t.attrelid, t.attnum) AS said
        FROM pg_class c JOIN pg_attribute v ON v.attrelid = c.oid AND v.attnum > 0
        JOIN pg_class k ON k.relname = c.relname AND k.relnamespace = 'hoaxwatch'::regnamespace
        JOIN pg_attribute t ON t.attrelid = k.oid AND t.attname = v.attname
        WHERE c.relnamespace = 'mart'::regnamespace AND c.relname IN ('cascade_verdicts', 'combined_scores')
    LOOP
        EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', item.view_name, item.column_name, item.said);
    END LOOP;
END $$;
