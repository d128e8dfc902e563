-- What the tables of hashtags said at the end of each day.

CREATE TABLE hoaxwatch.snapshots (
    snapshot_day  timestamptz PRIMARY KEY,
    taken_at      timestamptz NOT NULL,
    n_rows        bigint NOT NULL,
    n_changed     bigint NOT NULL,
    dirty_buckets bigint NOT NULL
);
COMMENT ON TABLE hoaxwatch.snapshots IS 'Each day of which it is known what the tables said at its end.';
COMMENT ON COLUMN hoaxwatch.snapshots.snapshot_day IS 'Start of the UTC day at whose end this was so.';
COMMENT ON COLUMN hoaxwatch.snapshots.taken_at IS 'When it was written down (wall clock, UTC): the first time after the end of the day.';
COMMENT ON COLUMN hoaxwatch.snapshots.n_rows IS 'Days of hashtags that the tables had.';
COMMENT ON COLUMN hoaxwatch.snapshots.n_changed IS 'Of these, and of those that had gone, what was not as in the snapshot before: the rows of trend_snapshots.';
COMMENT ON COLUMN hoaxwatch.snapshots.dirty_buckets IS 'Buckets that waited to be recounted then: so many hours were not up to date.';

CREATE TABLE hoaxwatch.trend_snapshots (
    hashtag        text COLLATE "C" NOT NULL,
    bucket_start   timestamptz NOT NULL,
    snapshot_day   timestamptz NOT NULL,
    is_gone        boolean NOT NULL,
    posts          bigint,
    originals      bigint,
    shares         bigint,
    authors        bigint,
    judged         bigint,
    likely_false   bigint,
    expected_share numeric,
    expected_low   numeric,
    expected_high  numeric,
    first_seen_at  timestamptz,
    last_seen_at   timestamptz,
    policy_id      integer,
    PRIMARY KEY (hashtag, bucket_start, snapshot_day),
    CHECK (is_gone = (posts IS NULL)),
    CHECK (bucket_start <= snapshot_day)
);
COMMENT ON TABLE hoaxwatch.trend_snapshots IS 'Rows of hashtag_trends of day grain as they were at the end of a day, where they were not as before: of a day and hashtag, the latest snapshot up to then stands. Written once, never changed.';
COMMENT ON COLUMN hoaxwatch.trend_snapshots.snapshot_day IS 'Start of the UTC day at whose end this was so, and until the next row of the same hashtag and day.';
COMMENT ON COLUMN hoaxwatch.trend_snapshots.is_gone IS 'The tables had no such row any more; the counts are NULL.';

CREATE VIEW mart.snapshots AS
SELECT snapshot_day, taken_at, n_rows, n_changed, dirty_buckets FROM hoaxwatch.snapshots;
COMMENT ON VIEW mart.snapshots IS 'Each day of which it is known what the tables said at its end.';

CREATE VIEW mart.trend_history AS
SELECT hashtag, bucket_start AS day, snapshot_day, is_gone, posts, originals, shares, authors, judged,
       likely_false, expected_share, expected_low, expected_high, first_seen_at, last_seen_at, policy_id
FROM hoaxwatch.trend_snapshots;
COMMENT ON VIEW mart.trend_history IS 'What was said of each day of a hashtag, and from which day on. For one day: mart.trends_as_of.';

-- It reads the views with the rights of whoever asks: an analyst may.
CREATE FUNCTION mart.trends_as_of(as_of date)
RETURNS TABLE (
    hashtag text, day timestamptz, posts bigint, originals bigint, shares bigint, authors bigint,
    judged bigint, likely_false bigint, expected_share numeric, expected_low numeric,
    expected_high numeric, first_seen_at timestamptz, last_seen_at timestamptz, policy_id integer,
    since_snapshot timestamptz)
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT h.hashtag, h.day, h.posts, h.originals, h.shares, h.authors, h.judged, h.likely_false,
           h.expected_share, h.expected_low, h.expected_high, h.first_seen_at, h.last_seen_at,
           h.policy_id, h.snapshot_day
    FROM (
        SELECT DISTINCT ON (v.hashtag, v.day) v.* FROM mart.trend_history v
        WHERE v.snapshot_day <= (as_of::timestamp AT TIME ZONE 'UTC')
        ORDER BY v.hashtag, v.day, v.snapshot_day DESC
    ) h
    WHERE NOT h.is_gone;
END;
COMMENT ON FUNCTION mart.trends_as_of IS 'What the tables said of each day of a hashtag at the end of a UTC day: the columns of mart.hashtag_trends_daily, and since_snapshot: since the end of which day they had said so. Nothing before the first day of mart.snapshots; of a day without a snapshot, what the last one before it says.';

-- What has the name of a column of hashtag_trends is the same, and views repeat what they show.
DO $$
DECLARE item record;
BEGIN
    FOR item IN
        SELECT 'hoaxwatch.trend_snapshots' AS on_relation, v.attname AS column_name,
               col_description(t.attrelid, t.attnum) AS said
        FROM pg_attribute v JOIN pg_attribute t
          ON t.attrelid = 'hoaxwatch.hashtag_trends'::regclass AND t.attname = v.attname
        WHERE v.attrelid = 'hoaxwatch.trend_snapshots'::regclass AND v.attnum > 0
    LOOP
        EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', item.on_relation, item.column_name, item.said);
    END LOOP;
    FOR item IN
        SELECT 'mart.' || k.in_view AS on_relation, v.attname AS column_name,
               col_description(t.attrelid, t.attnum) AS said
        FROM (VALUES ('snapshots', 'snapshots'), ('trend_snapshots', 'trend_history')) AS k (from_table, in_view)
        JOIN pg_attribute t ON t.attrelid = ('hoaxwatch.' || k.from_table)::regclass
        JOIN pg_attribute v ON v.attrelid = ('mart.' || k.in_view)::regclass AND v.attnum > 0
         AND v.attname = CASE t.attname WHEN 'bucket_start' THEN 'day' ELSE t.attname END
        WHERE t.attnum > 0
    LOOP
        EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', item.on_relation, item.column_name, item.said);
    END LOOP;
END $$;
COMMENT ON COLUMN hoaxwatch.trend_snapshots.bucket_start IS 'Start of the UTC day that was counted.';
COMMENT ON COLUMN mart.trend_history.day IS 'Start of the UTC day that was counted.';
