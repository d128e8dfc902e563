-- Live sources: what is asked for and since when, how far each source was followed, what it covered.

CREATE TABLE hoaxwatch.tracked (
    hashtag       text COLLATE "C" NOT NULL,
    tracked_from  timestamptz NOT NULL,
    tracked_until timestamptz,
    written       text NOT NULL,
    added_by      text NOT NULL,
    removed_by    text,
    note          text,
    PRIMARY KEY (hashtag, tracked_from),
    CHECK (tracked_until >= tracked_from)
);
CREATE UNIQUE INDEX tracked_now ON hoaxwatch.tracked (hashtag) WHERE tracked_until IS NULL;
COMMENT ON TABLE hoaxwatch.tracked IS 'Which hashtags live sources are asked for, from when to when. Nothing is overwritten: a hashtag that comes back has a second row.';
COMMENT ON COLUMN hoaxwatch.tracked.hashtag IS 'Counting form: NFKC, casefold, without the sign.';
COMMENT ON COLUMN hoaxwatch.tracked.tracked_from IS 'From when on sources are asked for it (UTC).';
COMMENT ON COLUMN hoaxwatch.tracked.tracked_until IS 'Until when (UTC); NULL: still.';
COMMENT ON COLUMN hoaxwatch.tracked.written IS 'As it was given, without the sign: what sources are asked for.';
COMMENT ON COLUMN hoaxwatch.tracked.added_by IS 'Who began it.';
COMMENT ON COLUMN hoaxwatch.tracked.removed_by IS 'Who ended it; NULL: nobody.';
COMMENT ON COLUMN hoaxwatch.tracked.note IS 'Why, in the words of who began it; NULL: not said.';

CREATE TABLE hoaxwatch.source_cursors (
    source   text COLLATE "C" NOT NULL PRIMARY KEY,
    cursor   text NOT NULL,
    saved_at timestamptz NOT NULL
);
COMMENT ON TABLE hoaxwatch.source_cursors IS 'Where each live source goes on. Written with or after what it covers, never before.';
COMMENT ON COLUMN hoaxwatch.source_cursors.source IS 'Name of the source, as in hoaxwatch run --source.';
COMMENT ON COLUMN hoaxwatch.source_cursors.cursor IS 'Its own words for the place, such as microseconds.';
COMMENT ON COLUMN hoaxwatch.source_cursors.saved_at IS 'When (wall clock, UTC).';

CREATE TABLE hoaxwatch.source_kept (
    source  text COLLATE "C" NOT NULL,
    id_hash bigint NOT NULL,
    kept_at timestamptz NOT NULL,
    PRIMARY KEY (source, id_hash)
);
CREATE INDEX source_kept_by_time ON hoaxwatch.source_kept (source, kept_at DESC);
COMMENT ON TABLE hoaxwatch.source_kept IS 'What a source that gives everything was kept of: its shares and deletions are kept as well. The newest are read when it starts.';
COMMENT ON COLUMN hoaxwatch.source_kept.source IS 'Name of the source.';
COMMENT ON COLUMN hoaxwatch.source_kept.id_hash IS '8 bytes that name a post or an account.';
COMMENT ON COLUMN hoaxwatch.source_kept.kept_at IS 'When it was first kept (wall clock, UTC).';

CREATE TABLE hoaxwatch.collections (
    source        text COLLATE "C" NOT NULL,
    hashtag       text COLLATE "C" NOT NULL,
    pull          text COLLATE "C" NOT NULL,
    covered_from  timestamptz NOT NULL,
    covered_until timestamptz NOT NULL,
    asked         bigint,
    got           bigint NOT NULL,
    is_capped     boolean NOT NULL,
    error         text,
    PRIMARY KEY (source, hashtag, pull),
    CHECK (covered_until >= covered_from)
);
CREATE INDEX collections_by_hashtag ON hoaxwatch.collections (hashtag, covered_from);
COMMENT ON TABLE hoaxwatch.collections IS 'One row per pull and hashtag: of what time a source gave everything that it has, how much came, what went wrong. Time in no row was not collected.';
COMMENT ON COLUMN hoaxwatch.collections.source IS 'Name of the source.';
COMMENT ON COLUMN hoaxwatch.collections.hashtag IS 'Counting form.';
COMMENT ON COLUMN hoaxwatch.collections.pull IS 'Names the pull: of a stream, when it connected.';
COMMENT ON COLUMN hoaxwatch.collections.covered_from IS 'First moment of which posts could come (UTC, the source''s own time).';
COMMENT ON COLUMN hoaxwatch.collections.covered_until IS 'Until when (UTC); the same as covered_from: nothing was covered, see error and is_capped.';
COMMENT ON COLUMN hoaxwatch.collections.asked IS 'At most so many posts were asked for; NULL: as many as there are.';
COMMENT ON COLUMN hoaxwatch.collections.got IS 'Posts that came, those that came again included.';
COMMENT ON COLUMN hoaxwatch.collections.is_capped IS 'More were there than could be had: the counts of this time are too low.';
COMMENT ON COLUMN hoaxwatch.collections.error IS 'What ended the pull; NULL: nothing.';

CREATE VIEW mart.tracked AS
SELECT hashtag, tracked_from, tracked_until, written, note FROM hoaxwatch.tracked;
COMMENT ON VIEW mart.tracked IS 'Which hashtags live sources are asked for, from when to when.';
CREATE VIEW mart.coverage AS
SELECT source, hashtag, covered_from, covered_until, asked, got, is_capped, error
FROM hoaxwatch.collections;
COMMENT ON VIEW mart.coverage IS 'What live sources covered, one row per pull and hashtag. Time in no row was not collected.';

-- What of each UTC day was covered, by any source together. Days run from the first on which a
-- hashtag was tracked to the last on which anything was covered or, if it is not tracked any more,
-- to its end. The clock is not read.
CREATE VIEW mart.coverage_daily AS
WITH covered AS (
    SELECT hashtag, range_agg(tstzrange(covered_from, covered_until)) AS spans
    FROM hoaxwatch.collections GROUP BY hashtag
), lasting AS (
    SELECT t.hashtag, min(t.tracked_from) AS since,
           greatest(
               CASE WHEN bool_or(t.tracked_until IS NULL)
                    THEN (SELECT max(covered_until) FROM hoaxwatch.collections)
                    ELSE max(t.tracked_until) END,
               upper(c.spans)) AS until,
           range_agg(tstzrange(t.tracked_from, t.tracked_until)) AS tracked
    FROM hoaxwatch.tracked t LEFT JOIN covered c USING (hashtag) GROUP BY t.hashtag, c.spans
), days AS (
    SELECT l.hashtag, l.tracked, d AS day, tstzrange(d, d + interval '24 hours') AS whole,
           tstzmultirange(tstzrange(d, d + interval '24 hours'))
               * coalesce(c.spans, '{}'::tstzmultirange) AS spans
    FROM lasting l LEFT JOIN covered c USING (hashtag)
    CROSS JOIN LATERAL generate_series(
        date_trunc('day', least(l.since, lower(c.spans)), 'UTC'), l.until, interval '24 hours'
    ) AS d
)
SELECT d.hashtag, d.day, d.tracked && d.whole AS is_tracked,
       (SELECT coalesce(sum(extract(epoch FROM upper(s) - lower(s))), 0)
          FROM unnest(d.spans) AS s)::bigint AS covered_seconds,
       coalesce(bool_or(k.is_capped), false) AS is_capped,
       count(k.error) AS errors
FROM days d LEFT JOIN hoaxwatch.collections k
     ON k.hashtag = d.hashtag AND k.covered_from < upper(d.whole)
    AND (k.covered_until > lower(d.whole)
         OR k.covered_from = k.covered_until AND k.covered_from >= lower(d.whole))
GROUP BY d.hashtag, d.day, d.tracked, d.whole, d.spans;
COMMENT ON VIEW mart.coverage_daily IS 'What of each UTC day was collected of a hashtag. A day with covered_seconds = 0 was not collected: its count is unknown, not 0.';

-- Views repeat the comments of the columns they show; what is new in a view is said here.
DO $$
DECLARE item record;
BEGIN
    FOR item IN
        SELECT v.attrelid::regclass AS view_name, v.attname AS column_name,
               col_description(t.attrelid, t.attnum) AS said
        FROM (VALUES ('tracked', 'tracked'), ('collections', 'coverage'),
                     ('collections', 'coverage_daily')) AS k (from_table, in_view)
        JOIN pg_attribute t ON t.attrelid = ('hoaxwatch.' || k.from_table)::regclass
        JOIN pg_attribute v ON v.attrelid = ('mart.' || k.in_view)::regclass
                           AND v.attname = t.attname AND v.attnum > 0
        WHERE t.attnum > 0
    LOOP
        EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', item.view_name, item.column_name, item.said);
    END LOOP;
END $$;
COMMENT ON COLUMN mart.coverage_daily.day IS 'Start of the UTC day.';
COMMENT ON COLUMN mart.coverage_daily.is_tracked IS 'It was tracked in some part of the day.';
COMMENT ON COLUMN mart.coverage_daily.covered_seconds IS 'Seconds of the day of which some source gave everything (of 86,400).';
COMMENT ON COLUMN mart.coverage_daily.errors IS 'Pulls that an error ended.';
