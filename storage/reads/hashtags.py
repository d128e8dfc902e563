"""Hashtags: their buckets, and lists of them over a period."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple

import psycopg
from psycopg.rows import class_row

from storage.reads.counted import TrendRow, read_days
from storage.reads.periods import (
    Grain,
    Period,
    as_at_one_moment,
    in_days_and_hours,
    whole_days,
    whole_hours,
)


class HashtagRow(NamedTuple):
    """One hashtag over a period."""

    hashtag: str
    posts: int
    originals: int
    shares: int
    judged: int
    likely_false: int
    expected_share: float | None
    busiest_day: datetime
    busiest_posts: int
    #: None: unknown, no day of the week before the busiest was collected whole.
    rise: float | None
    first_seen_at: datetime
    last_seen_at: datetime


def read_trends(
    connection: psycopg.Connection,
    hashtag: str,
    grain: Grain,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[TrendRow]:
    """The buckets of a hashtag in order of time. Buckets without a post have no row. A day of which
    the period has a part is counted from the posts in that part; if they are not kept any more
    (`storage.retention`), it is the whole day."""
    period = whole_hours(since, until)
    if grain == "hour":
        return _read_buckets(connection, hashtag, grain, period)
    parts = in_days_and_hours(period)
    kept_from = _kept_from(connection) if any(of == "hour" for of, _ in parts) else None
    rows: list[TrendRow] = []
    for part_grain, part in parts:
        is_kept = kept_from is None or part.since is None or part.since >= kept_from
        if part_grain == "hour" and is_kept:
            rows += read_days(connection, hashtag, "UTC", *part)
        else:
            rows += _read_buckets(connection, hashtag, grain, whole_days(*part))
    return rows


def _kept_from(connection: psycopg.Connection) -> datetime | None:
    """From when on all posts are kept; None: none was let go."""
    row = connection.execute("SELECT max(floor) FROM hoaxwatch.retention").fetchone()
    return None if row is None else row[0]


def _read_buckets(
    connection: psycopg.Connection, hashtag: str, grain: Grain, period: Period
) -> list[TrendRow]:
    cursor = connection.cursor(row_factory=class_row(TrendRow))
    return cursor.execute(
        "SELECT hashtag, bucket_start, posts, originals, shares, authors, judged, likely_false,"
        " expected_share::float8, expected_low::float8, expected_high::float8,"
        " first_seen_at, last_seen_at FROM hoaxwatch.hashtag_trends"
        " WHERE hashtag = %s AND grain = %s"
        " AND bucket_start >= coalesce(%s, '-infinity'::timestamptz)"
        " AND bucket_start < coalesce(%s, 'infinity'::timestamptz) ORDER BY bucket_start",
        (hashtag, grain, *period),
    ).fetchall()


_PART = """
SELECT * FROM {trends} t WHERE grain = '{grain}'
AND bucket_start >= coalesce(%(since{i})s, '-infinity'::timestamptz)
AND bucket_start < coalesce(%(until{i})s, 'infinity'::timestamptz)
{only}
"""


# rise: posts on the busiest day (as far as it is in the period) above the median of those of the
# seven days before it that were collected whole (of an even number the lower middle one), where
# such a day without a post counts as 0. Of a hashtag that no live source was asked for, all seven.
# It is worked out for those that are shown; where it orders them, for all.
_HASHTAGS = """
WITH parts AS (
    {parts}
), sums AS (
    SELECT hashtag, sum(posts)::bigint AS posts, sum(originals)::bigint AS originals,
           sum(shares)::bigint AS shares, sum(judged)::bigint AS judged,
           sum(likely_false)::bigint AS likely_false,
           (sum(expected_share * judged) / nullif(sum(judged), 0))::float8 AS expected_share,
           min(first_seen_at) AS first_seen_at, max(last_seen_at) AS last_seen_at
    FROM parts GROUP BY hashtag {most}
), days AS (
    SELECT hashtag, date_trunc('day', bucket_start, 'UTC') AS day, sum(p.posts)::bigint AS posts
    FROM parts p JOIN sums USING (hashtag) GROUP BY 1, 2
), busiest AS (
    SELECT DISTINCT ON (hashtag) hashtag, day, posts
    FROM days ORDER BY hashtag, posts DESC, day
), collected AS MATERIALIZED ( -- else it is looked up for each of the seven days again
    SELECT hashtag, day, (SELECT c.whole FROM hoaxwatch.collected c WHERE c.hashtag = b.hashtag)
    FROM busiest b
), known AS MATERIALIZED (
    SELECT hashtag, array(
               SELECT d FROM generate_series(day - interval '168 hours', day - interval '24 hours',
                                             interval '24 hours') AS d
               WHERE whole IS NULL OR whole @> tstzrange(d, d + interval '24 hours')) AS days
    FROM collected
), before AS (
    -- the middle one of n days, of which n - count have 0 posts
    SELECT k.hashtag, CASE WHEN k.days <> '{{}}' THEN coalesce(
               (array_agg(d.posts ORDER BY d.posts))
                   [count(d.posts)::int - cardinality(k.days) / 2], 0) END AS median
    FROM known k LEFT JOIN {trends} d
         ON d.hashtag = k.hashtag AND d.grain = 'day' AND d.bucket_start = ANY (k.days)
    GROUP BY k.hashtag, k.days
)
SELECT s.hashtag, s.posts, s.originals, s.shares, s.judged, s.likely_false, s.expected_share,
       b.day AS busiest_day, b.posts AS busiest_posts, (b.posts - e.median)::float8 AS rise,
       s.first_seen_at, s.last_seen_at
FROM sums s JOIN busiest b USING (hashtag) JOIN before e USING (hashtag)
ORDER BY {order} LIMIT %(limit)s
"""


_AS_OF = "(SELECT 'day' AS grain, day AS bucket_start, * FROM mart.trends_as_of(%(as_of)s))"


def _read_hashtags(
    connection: psycopg.Connection,
    limit: int,
    period: Period,
    names: Sequence[str] | None,
    *,
    rising: bool = False,
    as_of: date | None = None,
) -> list[HashtagRow]:
    """These hashtags, or all."""
    order = "rise DESC NULLS LAST, s.hashtag" if rising else "s.posts DESC, s.hashtag"
    most = "" if rising else "ORDER BY 2 DESC, 1 LIMIT %(limit)s"
    only = "" if names is None else "AND hashtag = ANY (%(names)s)"
    trends = "hoaxwatch.hashtag_trends" if as_of is None else _AS_OF
    # what was believed is written down by day
    parts = in_days_and_hours(period if as_of is None else whole_days(*period))
    rows = " UNION ALL ".join(
        _PART.format(trends=trends, grain=grain, i=i, only=only)
        for i, (grain, _) in enumerate(parts)
    )
    cursor = connection.cursor(row_factory=class_row(HashtagRow))
    return cursor.execute(
        _HASHTAGS.format(trends=trends, order=order, parts=rows, most=most).encode(),
        {
            **_ends(parts),
            "names": None if names is None else list(names),
            "limit": limit,
            "as_of": as_of,
        },
        # a plan for any names and any period takes 50 times as long as one for these
        prepare=False,
    ).fetchall()


def _ends(parts: Sequence[tuple[Grain, Period]]) -> dict[str, datetime | None]:
    """The parameters of _PART."""
    return {
        f"{end}{i}": at for i, (_, part) in enumerate(parts) for end, at in part._asdict().items()
    }


# The most used of each day, down to a depth. What is not among them has on a full day at most as
# many posts as the last of that day. So a hashtag that was seen on some days has at least `seen`
# and at most `most` posts, and one that was seen on none at most `unseen`. A part of a day stands
# for a day, with all of its hours added up.
_LEADING = """
WITH firsts AS (
    {firsts}
), ends AS (
    SELECT day, CASE WHEN count(*) < %(depth)s THEN 0 ELSE min(posts) END AS last
    FROM firsts GROUP BY day
), unseen AS (
    SELECT sum(last) AS posts, max(last) AS on_a_day FROM ends
), tags AS (
    SELECT hashtag, sum(posts) AS seen,
           sum(posts - last) + (SELECT posts FROM unseen) AS most
    FROM firsts JOIN ends USING (day) GROUP BY hashtag
), least AS (
    SELECT coalesce((SELECT seen FROM tags ORDER BY 1 DESC OFFSET %(limit)s - 1 LIMIT 1), 0)
           AS posts
)
SELECT coalesce(array_agg(hashtag), '{{}}') AS seen,
       coalesce(array_agg(hashtag) FILTER (WHERE most >= least.posts), '{{}}') AS may_be_most,
       coalesce(bool_and(unseen.posts = 0 OR unseen.posts < least.posts), true) AS has_most,
       coalesce(max(unseen.on_a_day), 0) AS most_unseen
FROM tags CROSS JOIN least CROSS JOIN unseen
"""


_FIRSTS = {
    "day": """
    SELECT day, hashtag, posts FROM (
        SELECT generate_series(min(bucket_start), max(bucket_start), interval '24 hours') AS day
        FROM ({part}) p
    ) days CROSS JOIN LATERAL (
        SELECT hashtag, posts FROM hoaxwatch.hashtag_trends
        WHERE grain = 'day' AND bucket_start = day ORDER BY posts DESC LIMIT %(depth)s) d
    """,
    "hour": """
    SELECT * FROM (
        SELECT %(since{i})s::timestamptz AS day, hashtag, sum(posts) AS posts FROM ({part}) p
        GROUP BY hashtag ORDER BY 3 DESC LIMIT %(depth)s) h
    """,
}


#: How many of each day are looked at first, for each that is wanted; and how many times as many if
#: that does not decide.
FIRST_DEPTH, DEEPER = 4, 4


class _Leading(NamedTuple):
    """The most used hashtags of each day of a period."""

    seen: list[str]
    #: Of these, those that may be among the most used of the period.
    may_be_most: list[str]
    #: Whether no other hashtag may.
    has_most: bool
    #: So many posts at most has another hashtag on any day.
    most_unseen: int


def _read_leading(
    connection: psycopg.Connection, limit: int, period: Period, depth: int
) -> _Leading:
    """Source: the threshold algorithm of Fagin, Lotem and Naor, J. Comput. Syst. Sci. 66 (2003)."""
    parts = in_days_and_hours(period)
    firsts = " UNION ALL ".join(
        _FIRSTS[grain].format(
            i=i, part=_PART.format(trends="hoaxwatch.hashtag_trends", grain=grain, i=i, only="")
        )
        for i, (grain, _) in enumerate(parts)
    )
    cursor = connection.cursor(row_factory=class_row(_Leading))
    row = cursor.execute(
        _LEADING.format(firsts=firsts).encode(),
        {**_ends(parts), "limit": limit, "depth": depth},
        prepare=False,
    ).fetchone()
    assert row is not None
    return row


def read_hashtags(
    connection: psycopg.Connection,
    limit: int,
    since: datetime | None = None,
    until: datetime | None = None,
    *,
    rising: bool = False,
    hashtag: str | None = None,
    among: Sequence[str] | None = None,
    as_of: date | None = None,
) -> list[HashtagRow]:
    """The hashtags with most posts in a period, or with the greatest rise, and after these those
    whose rise is unknown; with `hashtag`, it; with `among`, these; with `as_of`, as the tables had
    them at the end of that day.

    The period is the hours (UTC) that it touches, with `as_of` the days."""
    period = Period(since, until)
    if hashtag is not None or as_of is not None:
        names = among if hashtag is None else [hashtag]
        return _read_hashtags(connection, limit, period, names, rising=rising, as_of=as_of)
    if among is not None:
        return _read_hashtags(connection, limit, period, among, rising=rising)
    with as_at_one_moment(connection):
        depth = FIRST_DEPTH * limit
        while True:
            leading = _read_leading(connection, limit, period, depth)
            names = leading.seen if rising else leading.may_be_most
            if not rising and leading.has_most:
                return _read_hashtags(connection, limit, period, names)
            if rising:
                rows = _read_hashtags(connection, limit, period, names, rising=True)
                least = rows[-1].rise if len(rows) == limit else None
                if not leading.most_unseen or (least is not None and least > leading.most_unseen):
                    return rows
            depth *= DEEPER


_WRITTEN = """
SELECT mode() WITHIN GROUP (ORDER BY written) FROM (
    SELECT written FROM hoaxwatch.content_hashtags WHERE hashtag = %s
    ORDER BY platform, root_id LIMIT %s) w
"""


#: So many of its contents say how a hashtag is written.
N_WRITTEN = 2_000


def read_display_forms(connection: psycopg.Connection, hashtags: Sequence[str]) -> dict[str, str]:
    """Hashtag -> as it is most often written (of equally frequent forms the first in C order), by
    its first N_WRITTEN contents in the order of their ids."""
    found = {}
    for hashtag in hashtags:
        # planned for each by itself: only of a frequent one is it better to follow the index, and
        # one plan for all read each of its contents (3 s with 2 million posts)
        row = connection.execute(_WRITTEN, (hashtag, N_WRITTEN), prepare=False).fetchone()
        if row is not None and row[0] is not None:
            found[hashtag] = row[0]
    return found
