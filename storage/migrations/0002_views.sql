-- What analysts read. Names in schema mart are stable; tables in schema hoaxwatch may change.

CREATE VIEW hoaxwatch.content_verdict AS
SELECT c.platform, c.root_id,
       CASE WHEN l.label IS NOT NULL THEN 'labelled'
            WHEN v.state IS NULL THEN 'pending'
            WHEN v.state = 'abstained' THEN 'abstained'
            WHEN abs(v.score - p.threshold) < p.abstain_band THEN 'unsure'
            ELSE 'scored' END AS state,
       CASE WHEN l.label = 'unsure' THEN NULL
            WHEN l.label IS NOT NULL THEN (l.label = 'likely_false')::int::numeric(7, 6)
            WHEN abs(v.score - p.threshold) < p.abstain_band THEN NULL
            ELSE v.score END AS probability,
       CASE WHEN l.label = 'unsure' THEN NULL
            WHEN l.label IS NOT NULL THEN l.label = 'likely_false'
            WHEN abs(v.score - p.threshold) < p.abstain_band THEN NULL
            ELSE v.score >= p.threshold END AS likely_false,
       v.score, v.reason, v.evidence, p.detector, p.version, p.policy_id
FROM hoaxwatch.content c
CROSS JOIN (SELECT * FROM hoaxwatch.verdict_policy WHERE active) p
LEFT JOIN hoaxwatch.verdicts v
       ON v.platform = c.platform AND v.root_id = c.root_id
      AND v.detector = p.detector AND v.version = p.version AND v.input_hash = c.input_hash
LEFT JOIN (
    -- one annotator decides; several: the majority, a tie is unsure
    SELECT platform, root_id,
           CASE WHEN count(*) FILTER (WHERE label = 'likely_false') * 2 > count(*) THEN 'likely_false'
                WHEN count(*) FILTER (WHERE label = 'likely_true') * 2 > count(*) THEN 'likely_true'
                ELSE 'unsure' END AS label
    FROM hoaxwatch.labels GROUP BY platform, root_id
) l ON l.platform = c.platform AND l.root_id = c.root_id;
COMMENT ON VIEW hoaxwatch.content_verdict IS 'The verdict that counts, per content: a person''s label first, then the active policy''s detector.';
COMMENT ON COLUMN hoaxwatch.content_verdict.platform IS 'Platform of the content.';
COMMENT ON COLUMN hoaxwatch.content_verdict.root_id IS 'The content.';
COMMENT ON COLUMN hoaxwatch.content_verdict.state IS 'labelled, scored, unsure (in the abstain band), abstained or pending.';
COMMENT ON COLUMN hoaxwatch.content_verdict.probability IS 'Probability of likely_false that counts (0 to 1); NULL: not judged.';
COMMENT ON COLUMN hoaxwatch.content_verdict.likely_false IS 'At or above the threshold; NULL: not judged.';
COMMENT ON COLUMN hoaxwatch.content_verdict.score IS 'The detector''s score, also where a label or the band overrules it (0 to 1).';
COMMENT ON COLUMN hoaxwatch.content_verdict.reason IS 'Why the detector abstained; NULL: it did not.';
COMMENT ON COLUMN hoaxwatch.content_verdict.evidence IS 'What weighed most: [[feature, contribution to the logit], ...].';
COMMENT ON COLUMN hoaxwatch.content_verdict.detector IS 'Detector of the active policy.';
COMMENT ON COLUMN hoaxwatch.content_verdict.version IS 'Its version.';
COMMENT ON COLUMN hoaxwatch.content_verdict.policy_id IS 'The active policy.';

CREATE SCHEMA mart;
COMMENT ON SCHEMA mart IS 'Views for analysts: stable names, a comment on every column. All times UTC.';

CREATE VIEW mart.hashtag_trends_hourly AS
SELECT hashtag, bucket_start AS hour, posts, originals, shares, authors, judged, likely_false,
       expected_share, expected_low, expected_high, first_seen_at, last_seen_at, policy_id
FROM hoaxwatch.hashtag_trends WHERE grain = 'hour';
CREATE VIEW mart.hashtag_trends_daily AS
SELECT hashtag, bucket_start AS day, posts, originals, shares, authors, judged, likely_false,
       expected_share, expected_low, expected_high, first_seen_at, last_seen_at, policy_id
FROM hoaxwatch.hashtag_trends WHERE grain = 'day';
CREATE VIEW mart.hashtag_pairs AS
SELECT hashtag_a, hashtag_b, day, posts, originals FROM hoaxwatch.hashtag_pairs;
CREATE VIEW mart.posts_by_hashtag AS
SELECT h.hashtag, h.written, p.platform, p.post_id, p.posted_at, p.kind, p.root_id, p.seen_as
FROM hoaxwatch.content_hashtags h JOIN hoaxwatch.posts p USING (platform, root_id);
CREATE VIEW mart.posts_scored AS
SELECT p.platform, p.post_id, p.posted_at, p.kind, p.root_id, c.text, c.lang, c.hashtags,
       v.state, v.probability, v.likely_false, v.reason, v.detector, v.version, v.policy_id,
       (p.likes).value AS likes, nullif((p.likes).observed_at, '-infinity') AS likes_observed_at,
       (p.shares).value AS shares_reported,
       nullif((p.shares).observed_at, '-infinity') AS shares_observed_at
FROM hoaxwatch.posts p
JOIN hoaxwatch.content c USING (platform, root_id)
JOIN hoaxwatch.content_verdict v USING (platform, root_id);
CREATE VIEW mart.propagation AS
SELECT s.platform, s.root_id, s.post_id, s.author_id IS NOT NULL AS author_known,
       r.post_id IS NOT NULL AS root_seen, s.posted_at,
       extract(epoch FROM s.posted_at - r.posted_at) AS delay_seconds
FROM hoaxwatch.posts s
LEFT JOIN hoaxwatch.posts r ON r.platform = s.platform AND r.post_id = s.share_of
WHERE s.kind = 'share';
CREATE VIEW mart.cascades AS
SELECT platform, root_id, count(*) AS shares, min(posted_at) AS first_share_at,
       max(posted_at) AS last_share_at,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY delay_seconds) AS half_life_seconds,
       count(*) FILTER (WHERE delay_seconds < 0) AS negative_delays, bool_or(root_seen) AS root_seen
FROM mart.propagation GROUP BY platform, root_id;
CREATE VIEW mart.networks AS
SELECT hashtag, window_start, window_end, n_users, n_links, n_shares, n_self_shares,
       n_unknown_authors, first_at, last_at FROM hoaxwatch.networks;
CREATE VIEW mart.clusters AS
SELECT k.hashtag, k.window_start, k.window_end, k.algorithm, k.params_hash, k.clustering_id,
       c.cluster, c.n_users, c.n_shares, c.judged, c.likely_false, c.expected_share,
       c.expected_low, c.expected_high, k.quality_name, k.quality, k.n_clusters, k.policy_id
FROM hoaxwatch.clusters c JOIN hoaxwatch.clusterings k USING (clustering_id);
CREATE VIEW mart.runs AS SELECT run_id, started_at, finished_at, manifest FROM hoaxwatch.runs;

COMMENT ON VIEW mart.hashtag_trends_hourly IS 'Use of a hashtag by hour of event time.';
COMMENT ON VIEW mart.hashtag_trends_daily IS 'Use of a hashtag by UTC day of event time.';
COMMENT ON VIEW mart.hashtag_pairs IS 'Which hashtags stand in the same post, by UTC day.';
COMMENT ON VIEW mart.posts_by_hashtag IS 'Full link table post - hashtag; a share carries the tags of its original.';
COMMENT ON VIEW mart.posts_scored IS 'Posts with their content and the verdict that counts. Authors are left out on purpose.';
COMMENT ON VIEW mart.propagation IS 'One row per share: the edge from the root to it.';
COMMENT ON VIEW mart.cascades IS 'One row per root that was shared. Depth is 1: the platform hides the path between sharers.';
COMMENT ON VIEW mart.networks IS 'User retweet networks of a hashtag per window.';
COMMENT ON VIEW mart.clusters IS 'Groups of accounts that share each other, with how well the clustering fits.';
COMMENT ON VIEW mart.runs IS 'Every run with its manifest.';

-- Views repeat the comments of the columns they show; what is new in a view is said here.
DO $$
DECLARE item record;
BEGIN
    FOR item IN
        SELECT v.attrelid::regclass AS view_name, v.attname AS column_name,
               (SELECT col_description(t.attrelid, t.attnum)
                  FROM pg_attribute t JOIN pg_class k ON k.oid = t.attrelid
                 WHERE k.relnamespace = 'hoaxwatch'::regnamespace AND k.relkind IN ('r', 'v')
                   AND t.attname = CASE WHEN v.attname IN ('hour', 'day') AND c.relname LIKE 'hashtag_trends%'
                                        THEN 'bucket_start' ELSE v.attname END
                   AND k.relname = ANY (CASE c.relname
                         WHEN 'hashtag_trends_hourly' THEN ARRAY['hashtag_trends']
                         WHEN 'hashtag_trends_daily' THEN ARRAY['hashtag_trends']
                         WHEN 'hashtag_pairs' THEN ARRAY['hashtag_pairs']
                         WHEN 'posts_by_hashtag' THEN ARRAY['content_hashtags', 'posts']
                         WHEN 'posts_scored' THEN ARRAY['posts', 'content', 'content_verdict']
                         WHEN 'propagation' THEN ARRAY['posts']
                         WHEN 'cascades' THEN ARRAY['posts']
                         WHEN 'networks' THEN ARRAY['networks']
                         WHEN 'clusters' THEN ARRAY['clusters', 'clusterings']
                         WHEN 'runs' THEN ARRAY['runs'] END)
                 ORDER BY k.relname LIMIT 1) AS said
        FROM pg_attribute v JOIN pg_class c ON c.oid = v.attrelid
        WHERE c.relnamespace = 'mart'::regnamespace AND v.attnum > 0
    LOOP
        IF item.said IS NOT NULL THEN
            EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', item.view_name, item.column_name, item.said);
        END IF;
    END LOOP;
END $$;
COMMENT ON COLUMN mart.posts_scored.likes_observed_at IS 'When the likes were seen (UTC); NULL: unknown.';
COMMENT ON COLUMN mart.posts_scored.shares_reported IS 'Shares as the platform reports them, when last seen; NULL: unknown.';
COMMENT ON COLUMN mart.posts_scored.shares_observed_at IS 'When that was seen (UTC); NULL: unknown.';
COMMENT ON COLUMN mart.propagation.post_id IS 'The share.';
COMMENT ON COLUMN mart.propagation.author_known IS 'Whether the source says who shared.';
COMMENT ON COLUMN mart.propagation.root_seen IS 'Whether the original itself was collected.';
COMMENT ON COLUMN mart.propagation.delay_seconds IS 'Time from the original to the share (seconds); NULL: original not seen.';
COMMENT ON COLUMN mart.cascades.shares IS 'Shares collected.';
COMMENT ON COLUMN mart.cascades.first_share_at IS 'First share (UTC).';
COMMENT ON COLUMN mart.cascades.last_share_at IS 'Last share (UTC).';
COMMENT ON COLUMN mart.cascades.half_life_seconds IS 'Time from the original to half of its shares (seconds); NULL: original not seen.';
COMMENT ON COLUMN mart.cascades.negative_delays IS 'Shares dated before their original.';
COMMENT ON COLUMN mart.cascades.root_seen IS 'Whether the original itself was collected.';
