-- What was not collected is unknown: growth over it is NULL, and coverage is known by the hours and
-- by the days of any time zone.

CREATE VIEW hoaxwatch.collected AS
SELECT hashtag,
       range_agg(tstzrange(covered_from, covered_until)) - coalesce(
           range_agg(tstzrange(covered_from, covered_until,
                               CASE WHEN covered_from = covered_until THEN '[]' ELSE '[)' END))
               FILTER (WHERE is_capped), '{}') AS whole
FROM hoaxwatch.collections GROUP BY hashtag;
COMMENT ON VIEW hoaxwatch.collected IS 'Each hashtag that live sources were asked for, with the time of which they gave everything. Of a hashtag without a row all that there is came from files.';
COMMENT ON COLUMN hoaxwatch.collected.hashtag IS 'Counting form.';
COMMENT ON COLUMN hoaxwatch.collected.whole IS 'The time that was covered by some source while none hit a cap.';

-- Buckets run from the first in which a hashtag was tracked to the last in which anything was
-- covered or, if it is not tracked any more, to its end. The clock is not read. It reads the views
-- with the rights of whoever asks: an analyst may.
CREATE FUNCTION mart.coverage_by(grain text, zone text)
RETURNS TABLE (
    hashtag text, bucket_start timestamptz, bucket_end timestamptz, is_tracked boolean,
    covered_seconds bigint, is_capped boolean, errors bigint)
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT b.hashtag, b.bucket_start, b.bucket_end,
           b.tracked && tstzrange(b.bucket_start, b.bucket_end),
           (SELECT floor(coalesce(sum(extract(epoch FROM upper(s) - lower(s))), 0))
              FROM unnest(p.spans) AS s)::bigint,
           coalesce(p.is_capped, false), coalesce(p.errors, 0)
    FROM (
        SELECT l.hashtag, l.until, l.tracked, local, local AT TIME ZONE zone AS bucket_start,
               (local + ('1 ' || grain)::interval) AT TIME ZONE zone AS bucket_end
        FROM (
            SELECT t.hashtag, least(min(t.tracked_from), c.since) AS since,
                   greatest(
                       CASE WHEN bool_or(t.tracked_until IS NULL)
                            THEN (SELECT max(covered_until) FROM mart.coverage)
                            ELSE max(t.tracked_until) END,
                       c.until) AS until,
                   range_agg(tstzrange(t.tracked_from, t.tracked_until)) AS tracked
            FROM mart.tracked t
            LEFT JOIN (
                SELECT hashtag, min(covered_from) AS since, max(covered_until) AS until
                FROM mart.coverage WHERE covered_from < covered_until GROUP BY hashtag
            ) c USING (hashtag)
            GROUP BY t.hashtag, c.since, c.until
        ) l
        CROSS JOIN LATERAL generate_series(
            date_trunc(grain, l.since AT TIME ZONE zone), l.until AT TIME ZONE zone,
            ('1 ' || grain)::interval
        ) AS local
    ) b
    LEFT JOIN (
        -- each pull in the buckets that it touches; one that covered nothing, in the one it is in
        SELECT c.hashtag, local,
               range_agg(tstzrange(c.covered_from, c.covered_until)
                         * tstzrange(local AT TIME ZONE zone,
                                     (local + ('1 ' || grain)::interval) AT TIME ZONE zone))
                   AS spans,
               bool_or(c.is_capped) AS is_capped, count(c.error) AS errors
        FROM mart.coverage c
        CROSS JOIN LATERAL generate_series(
            date_trunc(grain, c.covered_from AT TIME ZONE zone), c.covered_until AT TIME ZONE zone,
            ('1 ' || grain)::interval
        ) AS local
        WHERE local AT TIME ZONE zone < c.covered_until OR c.covered_from = c.covered_until
        GROUP BY c.hashtag, local
    ) p USING (hashtag, local)
    -- a series has its end too; and a zone that changed sides of the date line lacks a day
    WHERE (b.bucket_start < b.until OR p.local IS NOT NULL) AND b.bucket_start < b.bucket_end;
END;
COMMENT ON FUNCTION mart.coverage_by IS 'What of each day or hour (grain) of a time zone was collected of a hashtag: hashtag, bucket_start, bucket_end, and the columns of mart.coverage_daily. Days are 23 or 25 hours long where clocks change; hours are those of UTC, or of a zone without such days.';

CREATE OR REPLACE VIEW mart.coverage_daily AS
SELECT hashtag COLLATE "C" AS hashtag, bucket_start AS day, is_tracked, covered_seconds, is_capped,
       errors
FROM mart.coverage_by('day', 'UTC');
COMMENT ON COLUMN mart.coverage_daily.covered_seconds IS 'Whole seconds of the day of which some source gave everything; 86,400: of all of it.';

CREATE OR REPLACE VIEW mart.hashtag_growth AS
SELECT hashtag, day, posts, posts_before, CASE WHEN are_whole THEN posts - posts_before END AS growth,
       CASE WHEN are_whole THEN round(posts::numeric / nullif(posts_before, 0), 2) END AS times,
       authors, authors_before, expected_share, expected_share_before, policy_id
FROM (
    SELECT t.hashtag, t.bucket_start AS day, t.posts, t.authors, t.expected_share, t.policy_id,
           CASE WHEN d.was_whole THEN coalesce(y.posts, 0) ELSE y.posts END AS posts_before,
           CASE WHEN d.was_whole THEN coalesce(y.authors, 0) ELSE y.authors END AS authors_before,
           y.expected_share AS expected_share_before, d.are_whole
    FROM hoaxwatch.hashtag_trends t
    LEFT JOIN hoaxwatch.hashtag_trends y ON y.hashtag = t.hashtag AND y.grain = 'day'
                                        AND y.bucket_start = t.bucket_start - interval '24 hours'
    LEFT JOIN hoaxwatch.collected c ON c.hashtag = t.hashtag
    CROSS JOIN LATERAL (
        SELECT c.hashtag IS NULL
               OR c.whole @> tstzrange(t.bucket_start - interval '24 hours', t.bucket_start)
                   AS was_whole,
               c.hashtag IS NULL
               OR c.whole @> tstzrange(t.bucket_start - interval '24 hours',
                                       t.bucket_start + interval '24 hours') AS are_whole
    ) d
    WHERE t.grain = 'day'
) days;
COMMENT ON VIEW mart.hashtag_growth IS 'Each day of a hashtag beside the day before. A day without a post has no row. Of a hashtag that live sources are asked for, days that were not collected whole are not compared, nor is one that goes on. Of others nothing says that a day is not over: leave the newest out.';
COMMENT ON COLUMN mart.hashtag_growth.posts_before IS 'Posts of the day before; 0: none; NULL: unknown, it was not collected whole and has none.';
COMMENT ON COLUMN mart.hashtag_growth.growth IS 'posts less posts_before; NULL: unknown, one of the two days was not collected whole, or goes on. Of a hashtag that no live source was asked for, a day that is not over counts as it stands.';
COMMENT ON COLUMN mart.hashtag_growth.times IS 'posts divided by posts_before; NULL: there were none, or it is unknown as growth is.';
COMMENT ON COLUMN mart.hashtag_growth.authors_before IS 'Distinct known accounts of the day before; NULL: unknown, as posts_before is.';
