-- More of what analysts ask: growth, what clusters are now and were, who is active, who acts together.

CREATE VIEW mart.hashtag_growth AS
SELECT t.hashtag, t.bucket_start AS day, t.posts, coalesce(y.posts, 0) AS posts_before,
       t.posts - coalesce(y.posts, 0) AS growth, round(t.posts::numeric / y.posts, 2) AS times,
       t.authors, coalesce(y.authors, 0) AS authors_before, t.expected_share,
       y.expected_share AS expected_share_before, t.policy_id
FROM hoaxwatch.hashtag_trends t
LEFT JOIN hoaxwatch.hashtag_trends y ON y.hashtag = t.hashtag AND y.grain = 'day'
                                    AND y.bucket_start = t.bucket_start - interval '24 hours'
WHERE t.grain = 'day';

CREATE VIEW mart.clusters_current AS
SELECT c.* FROM mart.clusters c
JOIN (SELECT hashtag, algorithm, max(window_start) AS window_start FROM hoaxwatch.clusterings
      GROUP BY hashtag, algorithm) newest USING (hashtag, algorithm, window_start);

CREATE VIEW mart.cluster_lineage AS
SELECT k.hashtag, k.algorithm, c.lineage, min(k.window_start) AS first_window_start,
       max(k.window_end) AS last_window_end, count(*) AS n_windows, max(c.n_users) AS most_users,
       max(c.n_shares) AS most_shares, max(c.expected_low) AS greatest_expected_low,
       max(c.emerging) AS greatest_emerging, bool_and(c.is_star) AS is_star
FROM hoaxwatch.clusters c JOIN hoaxwatch.clusterings k USING (clustering_id)
WHERE c.lineage IS NOT NULL
GROUP BY k.hashtag, k.algorithm, c.lineage;

CREATE VIEW mart.emerging_clusters AS
SELECT DISTINCT ON (hashtag, algorithm, lineage) * FROM mart.clusters
WHERE emerging IS NOT NULL AND lineage IS NOT NULL
ORDER BY hashtag, algorithm, lineage, emerging DESC, window_start;

CREATE VIEW mart.account_activity AS
SELECT p.platform,
       hoaxwatch.pseudonym((SELECT key FROM hoaxwatch.pseudonym_key), p.platform, p.author_id)
           AS account,
       date_trunc('day', p.posted_at, 'UTC') AS day, count(*) AS posts,
       count(*) FILTER (WHERE p.kind = 'share') AS shares_made,
       count(v.probability) AS judged, count(*) FILTER (WHERE v.likely_false) AS likely_false,
       min(p.posted_at) AS first_posted_at, max(p.posted_at) AS last_posted_at
FROM hoaxwatch.posts p JOIN hoaxwatch.content_verdict v USING (platform, root_id)
WHERE p.author_id IS NOT NULL
GROUP BY p.platform, p.author_id, date_trunc('day', p.posted_at, 'UTC');

CREATE VIEW mart.coordination_edges AS
SELECT platform,
       hoaxwatch.pseudonym(key, platform, author_a) AS account_a,
       hoaxwatch.pseudonym(key, platform, author_b) AS account_b,
       n_contents, n_times, first_at, last_at
FROM (
    SELECT a.platform, a.author_id AS author_a, b.author_id AS author_b,
           count(DISTINCT a.root_id) AS n_contents, count(*) AS n_times,
           min(least(a.posted_at, b.posted_at)) AS first_at,
           max(greatest(a.posted_at, b.posted_at)) AS last_at
    FROM hoaxwatch.posts a
    JOIN hoaxwatch.posts b ON b.platform = a.platform AND b.root_id = a.root_id AND b.kind = 'share'
                          AND b.author_id > a.author_id
                          AND b.posted_at BETWEEN a.posted_at - interval '60 seconds'
                                              AND a.posted_at + interval '60 seconds'
    WHERE a.kind = 'share'
    GROUP BY a.platform, a.author_id, b.author_id
    HAVING count(DISTINCT a.root_id) >= 3
) e CROSS JOIN hoaxwatch.pseudonym_key;

COMMENT ON VIEW mart.hashtag_growth IS 'Each day of a hashtag beside the day before. A day without a post has no row; a day that is not over is not to be compared.';
COMMENT ON VIEW mart.clusters_current IS 'The clusters of the newest window of each hashtag. It may still fill.';
COMMENT ON VIEW mart.cluster_lineage IS 'One row per group that is followed from window to window: since when, how large, how suspicious at most. What happened to it: mart.cluster_events.';
COMMENT ON VIEW mart.emerging_clusters IS 'Each group that is followed, in the window in which it emerged most: sort by emerging.';
COMMENT ON VIEW mart.account_activity IS 'What each account posted by UTC day, under a pseudonym. Goes through posts: name a day or an account.';
COMMENT ON VIEW mart.coordination_edges IS 'Pairs of accounts, under pseudonyms, that shared three contents or more within 60 seconds of each other. Popular contents bring accounts together by chance: hoaxwatch graph coordination holds each pair against that. Goes through posts.';

-- Views repeat the comments of the columns they show; what is new in a view is said here.
DO $$
DECLARE item record;
BEGIN
    FOR item IN
        SELECT k.in_view, v.attname AS column_name,
               col_description(t.attrelid, t.attnum) AS said
        FROM (VALUES ('mart.hashtag_trends_daily', 'hashtag_growth'),
                     ('mart.clusters', 'clusters_current'), ('mart.clusters', 'emerging_clusters'),
                     ('mart.clusters', 'cluster_lineage'),
                     ('hoaxwatch.posts', 'account_activity'),
                     ('hoaxwatch.posts', 'coordination_edges')) AS k (from_relation, in_view)
        JOIN pg_attribute t ON t.attrelid = k.from_relation::regclass AND t.attnum > 0
        JOIN pg_attribute v ON v.attrelid = ('mart.' || k.in_view)::regclass
                           AND v.attname = t.attname AND v.attnum > 0
    LOOP
        EXECUTE format('COMMENT ON COLUMN mart.%I.%I IS %L', item.in_view, item.column_name, item.said);
    END LOOP;
END $$;
COMMENT ON COLUMN mart.hashtag_growth.posts_before IS 'Posts of the day before; 0: none.';
COMMENT ON COLUMN mart.hashtag_growth.growth IS 'posts less posts_before.';
COMMENT ON COLUMN mart.hashtag_growth.times IS 'posts divided by posts_before; NULL: there were none.';
COMMENT ON COLUMN mart.hashtag_growth.authors_before IS 'Distinct known accounts of the day before.';
COMMENT ON COLUMN mart.hashtag_growth.expected_share_before IS 'expected_share of the day before; NULL: none judged.';
COMMENT ON COLUMN mart.cluster_lineage.first_window_start IS 'Start of its first window (UTC).';
COMMENT ON COLUMN mart.cluster_lineage.last_window_end IS 'End of its last window (UTC).';
COMMENT ON COLUMN mart.cluster_lineage.n_windows IS 'Windows in which it was.';
COMMENT ON COLUMN mart.cluster_lineage.most_users IS 'Accounts in its largest window.';
COMMENT ON COLUMN mart.cluster_lineage.most_shares IS 'Shares made by its accounts in the window with most.';
COMMENT ON COLUMN mart.cluster_lineage.greatest_expected_low IS 'Greatest lower end of the 95 % interval of its share of likely-false posts; NULL: none judged.';
COMMENT ON COLUMN mart.cluster_lineage.greatest_emerging IS 'Greatest emerging score of its windows; NULL: none has one.';
COMMENT ON COLUMN mart.cluster_lineage.is_star IS 'In each window it was one account with its audience.';
COMMENT ON COLUMN mart.account_activity.account IS 'Pseudonym of the account: the same in all views of this project, and in no other project.';
COMMENT ON COLUMN mart.account_activity.day IS 'Start of the UTC day.';
COMMENT ON COLUMN mart.account_activity.posts IS 'Posts of every kind.';
COMMENT ON COLUMN mart.account_activity.shares_made IS 'Of these, shares of others.';
COMMENT ON COLUMN mart.account_activity.judged IS 'Posts whose content has a verdict that counts: the denominator.';
COMMENT ON COLUMN mart.account_activity.likely_false IS 'Judged posts at or above the threshold.';
COMMENT ON COLUMN mart.account_activity.first_posted_at IS 'First post of the day (UTC).';
COMMENT ON COLUMN mart.account_activity.last_posted_at IS 'Last post of the day (UTC).';
COMMENT ON COLUMN mart.coordination_edges.account_a IS 'Pseudonym of one account.';
COMMENT ON COLUMN mart.coordination_edges.account_b IS 'Pseudonym of the other; each pair stands once.';
COMMENT ON COLUMN mart.coordination_edges.n_contents IS 'Contents that both shared within 60 seconds of each other.';
COMMENT ON COLUMN mart.coordination_edges.n_times IS 'Pairs of such shares.';
COMMENT ON COLUMN mart.coordination_edges.first_at IS 'First of these shares (UTC).';
COMMENT ON COLUMN mart.coordination_edges.last_at IS 'Last of them (UTC).';
