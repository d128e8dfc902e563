"""Everything the command line, the report and the Python API ask of the database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from math import inf
from typing import Any, NamedTuple

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import class_row, dict_row

from storage.counting import COUNTED, counts
from storage.rows import PayloadRow, decompress
from storage.writes import QUARANTINE_ID, contents_from
from streams.errors import UsageError
from streams.records import Content, Deletion, hashtag_key

Grain = str  # "hour" or "day"


class TrendRow(NamedTuple):
    """One bucket of one hashtag."""

    hashtag: str
    bucket_start: datetime
    posts: int
    originals: int
    shares: int
    authors: int
    judged: int
    likely_false: int
    expected_share: float | None
    expected_low: float | None
    expected_high: float | None
    first_seen_at: datetime
    last_seen_at: datetime


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
    rise: float
    first_seen_at: datetime
    last_seen_at: datetime


class ClusterRow(NamedTuple):
    """One cluster of one window."""

    hashtag: str
    window_start: datetime
    window_end: datetime
    algorithm: str
    clustering_id: int
    cluster: int
    n_users: int
    n_shares: int
    judged: int
    likely_false: int
    expected_share: float | None
    expected_low: float | None
    expected_high: float | None
    quality_name: str
    quality: float
    n_clusters: int
    #: The name that stays from window to window; None: too small to be followed.
    lineage: str | None = None
    #: How far runs with other seeds find it again (0 to 1); None: not measured.
    stability: float | None = None
    hub_share: float | None = None
    is_star: bool | None = None
    n_coordinated: int | None = None
    #: Accounts of the lineage one window length earlier, and the sure part that is growth.
    n_before: int | None = None
    growth: float | None = None
    emerging: float | None = None
    #: What people call the lineage.
    label: str | None = None


class EventRow(NamedTuple):
    """What happened to a lineage between two windows."""

    hashtag: str
    algorithm: str
    window_start: datetime
    lineage: str
    kind: str
    other: str | None
    n_before: int
    n_after: int
    label: str | None


class NetworkRow(NamedTuple):
    """The user network of a hashtag in a window."""

    hashtag: str
    window_start: datetime
    window_end: datetime
    n_users: int
    n_links: int
    n_shares: int
    n_self_shares: int
    n_unknown_authors: int
    first_at: datetime
    last_at: datetime


class LinkRow(NamedTuple):
    """Shares of one account's posts by another, with how they were judged."""

    shared: str
    sharer: str
    n_shares: int
    judged: int
    likely_false: int
    first_at: datetime
    last_at: datetime


class UserRow(NamedTuple):
    """An account as last seen."""

    user: str
    handle: str | None
    followers: int | None


class PairRow(NamedTuple):
    """Two hashtags that stand in the same posts."""

    hashtag_a: str
    hashtag_b: str
    posts: int
    originals: int


class StoredCounts(NamedTuple):
    """What a project holds."""

    posts: int
    shares: int
    contents: int
    authors: int
    hashtags: int
    quarantined: int
    tombstones: int
    dirty_buckets: int
    first_posted_at: datetime | None
    last_posted_at: datetime | None


class WaitingCounts(NamedTuple):
    """Whether there are posts, and what stands beside them."""

    has_posts: bool
    quarantined: int
    tombstones: int
    dirty_buckets: int


class PeriodCounts(NamedTuple):
    """What was published in a period."""

    posts: int
    originals: int
    shares: int
    contents: int
    accounts: int
    hashtags: int
    first_posted_at: datetime | None
    last_posted_at: datetime | None


class SpreadRow(NamedTuple):
    """Who used one hashtag over a period, and how much of it is likely false."""

    hashtag: str
    posts: int
    originals: int
    shares: int
    #: Distinct ones; None: not known.
    authors: int | None
    judged: int
    likely_false: int
    expected_share: float | None
    expected_low: float | None
    expected_high: float | None
    first_seen_at: datetime
    last_seen_at: datetime


@contextmanager
def one_snapshot(connection: psycopg.Connection) -> Iterator[None]:
    """Inside, every query of an idle connection sees the database as it was at the first."""
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield


@contextmanager
def as_at_one_moment(connection: psycopg.Connection) -> Iterator[None]:
    """Inside, every query sees the database as it was at the first, unless the caller's transaction
    says otherwise."""
    if connection.info.transaction_status is TransactionStatus.IDLE:
        with one_snapshot(connection):
            yield
    else:
        yield


class Period(NamedTuple):
    """From (included) and to (excluded); None: open."""

    since: datetime | None
    until: datetime | None


_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
#: No post is from later than this; near the end of the calendar there is no next day.
_LATEST = datetime(9999, 1, 1, tzinfo=UTC)


def whole_hours(since: datetime | None, until: datetime | None) -> Period:
    """The hours (UTC) that a period touches: tables count by hour and know no parts of one.

    >>> until = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
    >>> whole_hours(None, until).until.hour
    10
    """
    return Period(since and _begin(since, _HOUR), until and _end(until, _HOUR))


def whole_days(since: datetime | None, until: datetime | None) -> Period:
    """The days (UTC) that a period touches.

    >>> until = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
    >>> whole_days(None, until).until.day
    3
    """
    return Period(since and _begin(since, _DAY), until and _end(until, _DAY))


def _begin(at: datetime, step: timedelta) -> datetime:
    """The start of the hour or day in which a moment is; one without a time zone is UTC."""
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    hour = min(at, _LATEST).replace(minute=0, second=0, microsecond=0)
    return hour if step == _HOUR else hour.replace(hour=0)


def _end(at: datetime, step: timedelta) -> datetime:
    """The end of the hour or day that goes on just before a moment."""
    begin = _begin(at, step)
    return begin if begin == at.replace(tzinfo=at.tzinfo or UTC) else begin + step


def _in_days_and_hours(period: Period) -> list[tuple[Grain, Period]]:
    """A period as tables have it, in order of time: the whole days in it, and hours before them and
    after them where it begins or ends within a day."""
    since, until = whole_hours(*period)
    first, last = since and _end(since, _DAY), until and _begin(until, _DAY)
    if first and last and first > last:
        return [("hour", Period(since, until))]
    parts = [("hour", Period(since, first)), ("day", Period(first, last))]
    parts += [("hour", Period(last, until))]
    return [part for part in parts if part[0] == "day" or part[1].since != part[1].until]


_PENDING = """
SELECT c.platform, c.root_id, c.text, c.lang, c.hashtags, c.links, c.completeness, c.input_hash
FROM hoaxwatch.content c
LEFT JOIN hoaxwatch.verdicts v
       ON v.platform = c.platform AND v.root_id = c.root_id
      AND v.detector = %(detector)s AND v.version = %(version)s AND v.input_hash = c.input_hash
WHERE (%(also_judged)s OR v.state IS NULL)
  AND (c.platform, c.root_id) > (%(platform)s, %(root_id)s) {posted}
ORDER BY c.platform, c.root_id LIMIT %(limit)s
"""


_POSTED = """
AND EXISTS (SELECT FROM hoaxwatch.posts p WHERE p.platform = c.platform AND p.root_id = c.root_id
            AND p.posted_at >= coalesce(%(since)s, '-infinity'::timestamptz)
            AND p.posted_at < coalesce(%(until)s, 'infinity'::timestamptz))
"""


def read_pending(
    connection: psycopg.Connection,
    detector: str,
    version: str,
    page: int,
    since: datetime | None = None,
    until: datetime | None = None,
    *,
    also_judged: bool = False,
) -> Iterator[list[Content]]:
    """Contents that this detector has not judged, in pages of at most `page`; of a period those
    with a post in it. also_judged: the others too."""
    after = ("", "")
    query = _PENDING.format(posted=_POSTED if since or until else "")
    while True:
        found = contents_from(
            connection.execute(
                query.encode(),
                {
                    "since": since,
                    "until": until,
                    "detector": detector,
                    "version": version,
                    "also_judged": also_judged,
                    "platform": after[0],
                    "root_id": after[1],
                    "limit": page,
                },
            )
        )
        if not found:
            return
        yield found
        after = (found[-1].platform, found[-1].root_id)


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
    parts = _in_days_and_hours(period)
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

# rise: posts on the busiest day (as far as it is in the period) above the median of the seven days
# before it, where a day without a post counts as 0. It is worked out for those that are shown;
# where it orders them, for all.
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
), before AS (
    -- the 4th smallest of seven values of which 7 - count are 0
    SELECT b.hashtag,
           coalesce((array_agg(d.posts ORDER BY d.posts))[count(d.posts)::int - 3], 0) AS median
    FROM busiest b LEFT JOIN {trends} d
         ON d.hashtag = b.hashtag AND d.grain = 'day'
        AND d.bucket_start < b.day AND d.bucket_start >= b.day - interval '168 hours'
    GROUP BY b.hashtag
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
    order = "rise DESC, s.hashtag" if rising else "s.posts DESC, s.hashtag"
    most = "" if rising else "ORDER BY 2 DESC, 1 LIMIT %(limit)s"
    only = "" if names is None else "AND hashtag = ANY (%(names)s)"
    trends = "hoaxwatch.hashtag_trends" if as_of is None else _AS_OF
    # what was believed is written down by day
    parts = _in_days_and_hours(period if as_of is None else whole_days(*period))
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
    parts = _in_days_and_hours(period)
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
    """The hashtags with most posts in a period, or with the greatest rise; with `hashtag`, it; with
    `among`, these; with `as_of`, as the tables had them at the end of that day.

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
                least = rows[-1].rise if len(rows) == limit else -inf
                if not leading.most_unseen or least > leading.most_unseen:
                    return rows
            depth *= DEEPER


_PERIOD_FACTS = """
WITH facts AS (
    SELECT h.hashtag, {bucket} AS bucket_start, p.posted_at, p.platform, p.root_id,
           CASE WHEN p.author_id IS NOT NULL THEN p.platform || ':' || p.author_id END AS author,
           p.kind = 'share' AS is_share, v.probability, v.likely_false
    FROM hoaxwatch.content_hashtags h JOIN hoaxwatch.posts p USING (platform, root_id)
    JOIN hoaxwatch.content_verdict v USING (platform, root_id)
    WHERE h.hashtag = ANY (%(hashtags)s)
    AND p.posted_at >= coalesce(%(since)s, '-infinity'::timestamptz)
    AND p.posted_at < coalesce(%(until)s, 'infinity'::timestamptz)
)
"""
_COUNTED = ", ".join(f"{name}::float8" if name.startswith("expected") else name for name in COUNTED)


def read_spreads(
    connection: psycopg.Connection,
    hashtags: Sequence[str],
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[SpreadRow]:
    """These hashtags over a whole period, where authors are distinct; most used first."""
    cursor = connection.cursor(row_factory=class_row(SpreadRow))
    query = (
        _PERIOD_FACTS.format(bucket="NULL::timestamptz")
        + f"SELECT hashtag, {_COUNTED} FROM ({counts('facts', 'hashtag')}) c"
        " ORDER BY posts DESC, hashtag"
    )
    return cursor.execute(
        query.encode(), {"hashtags": list(hashtags), "since": since, "until": until}
    ).fetchall()


def read_days(
    connection: psycopg.Connection,
    hashtag: str,
    zone: str,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[TrendRow]:
    """The days of a hashtag as a time zone has them, counted from rows: authors are distinct in
    each, and days with a change of clocks are 23 or 25 hours long."""
    cursor = connection.cursor(row_factory=class_row(TrendRow))
    query = (
        _PERIOD_FACTS.format(bucket="date_trunc('day', p.posted_at, %(zone)s)")
        + f"SELECT hashtag, bucket_start, {_COUNTED}"
        f" FROM ({counts('facts', 'hashtag', 'bucket_start')}) c ORDER BY bucket_start"
    )
    return cursor.execute(
        query.encode(), {"hashtags": [hashtag], "zone": zone, "since": since, "until": until}
    ).fetchall()


def read_draws(
    connection: psycopg.Connection,
    hashtag: str,
    grain: Grain,
    zone: str = "UTC",
    since: datetime | None = None,
    until: datetime | None = None,
) -> dict[datetime, float]:
    """As how many independent posts the judged ones of each bucket count, since shares of one
    content are judged once: (sum n)^2 / sum n^2 over contents that n posts carry.

    Source: Kish, Survey Sampling, 1965, 8.2.
    """
    cut = f"date_trunc('{'day' if grain == 'day' else 'hour'}', p.posted_at, %(zone)s)"
    query = (
        _PERIOD_FACTS.format(bucket=cut)
        + "SELECT bucket_start, (sum(n) ^ 2 / sum(n ^ 2))::float8 FROM ("
        " SELECT bucket_start, count(*) AS n FROM facts WHERE probability IS NOT NULL"
        " GROUP BY bucket_start, platform, root_id) c GROUP BY bucket_start"
    )
    given = {"hashtags": [hashtag], "zone": zone, "since": since, "until": until}
    return dict(connection.execute(query.encode(), given).fetchall())


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


def read_networks(connection: psycopg.Connection, hashtag: str) -> list[NetworkRow]:
    """The windows in which a hashtag's user network was clustered, in order of time."""
    cursor = connection.cursor(row_factory=class_row(NetworkRow))
    return cursor.execute(
        "SELECT hashtag, window_start, window_end, n_users, n_links, n_shares, n_self_shares,"
        " n_unknown_authors, first_at, last_at FROM hoaxwatch.networks WHERE hashtag = %s"
        " ORDER BY window_start",
        (hashtag,),
    ).fetchall()


def read_largest_networks(
    connection: psycopg.Connection,
    limit: int,
    hashtag: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[NetworkRow]:
    """The window with most accounts of each hashtag (of one), greatest first.

    Windows count that begin before `until` and end after `since`."""
    cursor = connection.cursor(row_factory=class_row(NetworkRow))
    return cursor.execute(
        "SELECT * FROM (SELECT DISTINCT ON (hashtag) hashtag, window_start, window_end, n_users,"
        " n_links, n_shares, n_self_shares, n_unknown_authors, first_at, last_at"
        " FROM hoaxwatch.networks WHERE hashtag = coalesce(%s, hashtag)"
        " AND window_end > coalesce(%s, '-infinity'::timestamptz)"
        " AND window_start < coalesce(%s, 'infinity'::timestamptz)"
        " ORDER BY hashtag, n_users DESC, window_start) n"
        " ORDER BY n_users DESC, hashtag LIMIT %s",
        (hashtag, since, until, limit),
    ).fetchall()


_CLUSTER_COLUMNS = """
hashtag, window_start, window_end, algorithm, clustering_id, cluster, n_users, n_shares, judged,
likely_false, expected_share::float8, expected_low::float8, expected_high::float8, quality_name,
quality::float8, n_clusters, lineage, stability::float8, hub_share::float8, is_star, n_coordinated,
n_before, growth::float8, emerging::float8, l.label
"""

# what several people call it, the latest first
_LABELS = """
LEFT JOIN (
    SELECT hashtag, algorithm, lineage,
           string_agg(label, ' / ' ORDER BY labelled_at DESC, labelled_by) AS label
    FROM mart.lineage_labels GROUP BY hashtag, algorithm, lineage
) l USING (hashtag, algorithm, lineage)
"""


def read_clusters(
    connection: psycopg.Connection,
    hashtag: str,
    algorithm: str | None = None,
    window_start: datetime | None = None,
    min_users: int = 2,
) -> list[ClusterRow]:
    """Clusters of a hashtag, by window, algorithm and size."""
    cursor = connection.cursor(row_factory=class_row(ClusterRow))
    return cursor.execute(
        f"SELECT {_CLUSTER_COLUMNS} FROM mart.clusters c {_LABELS}"
        " WHERE hashtag = %s AND algorithm = coalesce(%s, algorithm)"
        " AND window_start = coalesce(%s, window_start) AND n_users >= %s"
        " ORDER BY window_start, algorithm, cluster".encode(),
        (hashtag, algorithm, window_start, min_users),
    ).fetchall()


def read_emerging(
    connection: psycopg.Connection,
    limit: int,
    hashtag: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[ClusterRow]:
    """The lineages with the greatest emerging score (see `graph.emerging`), greatest first: each
    with the window in which it was greatest. Windows count that begin in the period."""
    cursor = connection.cursor(row_factory=class_row(ClusterRow))
    return cursor.execute(
        f"SELECT {_CLUSTER_COLUMNS} FROM ("
        " SELECT * FROM (SELECT DISTINCT ON (hashtag, algorithm, lineage) * FROM mart.clusters"
        " WHERE emerging IS NOT NULL AND (%(hashtag)s::text IS NULL OR hashtag = %(hashtag)s)"
        " AND window_start >= coalesce(%(since)s, '-infinity'::timestamptz)"
        " AND window_start < coalesce(%(until)s, 'infinity'::timestamptz)"
        " ORDER BY hashtag, algorithm, lineage, emerging DESC, window_start) e"
        f" ORDER BY emerging DESC, hashtag, lineage LIMIT %(limit)s) c {_LABELS}"
        " ORDER BY c.emerging DESC, hashtag, lineage".encode(),
        {"hashtag": hashtag, "since": since, "until": until, "limit": limit},
    ).fetchall()


def read_events(
    connection: psycopg.Connection,
    hashtag: str,
    algorithm: str,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[EventRow]:
    """What happened to the lineages of a hashtag, in order of time and name."""
    cursor = connection.cursor(row_factory=class_row(EventRow))
    return cursor.execute(
        "SELECT hashtag, algorithm, window_start, lineage, kind, other, n_before, n_after, l.label"
        f" FROM mart.cluster_events c {_LABELS} WHERE hashtag = %s AND algorithm = %s"
        " AND window_start >= coalesce(%s, '-infinity'::timestamptz)"
        " AND window_start < coalesce(%s, 'infinity'::timestamptz)"
        " ORDER BY window_start, lineage".encode(),
        (hashtag, algorithm, since, until),
    ).fetchall()


def read_top_members(
    connection: psycopg.Connection,
    clustering_id: int,
    per_cluster: int,
    clusters: Sequence[int] | None = None,
) -> dict[int, list[str]]:
    """Cluster (of these; None: of all) -> its most shared accounts, as handles where known."""
    rows = connection.execute(
        "SELECT cluster, coalesce((a.handle).value, m.author_id) FROM ("
        "  SELECT *, row_number() OVER (PARTITION BY cluster"
        "    ORDER BY times_shared DESC, shares_made DESC, author_id) AS place"
        "  FROM hoaxwatch.cluster_members WHERE clustering_id = %s"
        "  AND (%s::int[] IS NULL OR cluster = ANY (%s))) m"
        " LEFT JOIN hoaxwatch.authors a USING (platform, author_id)"
        " WHERE place <= %s ORDER BY cluster, place",
        (clustering_id, *[None if clusters is None else list(clusters)] * 2, per_cluster),
    )
    found: dict[int, list[str]] = {}
    for cluster, name in rows:
        found.setdefault(cluster, []).append(name)
    return found


def read_leaders(
    connection: psycopg.Connection, clusters: Sequence[ClusterRow], per_cluster: int = 3
) -> list[list[str]]:
    """The most shared accounts of each of these clusters, as handles where known."""
    wanted: dict[int, list[int]] = {}
    for cluster in clusters:
        wanted.setdefault(cluster.clustering_id, []).append(cluster.cluster)
    found = {
        clustering: read_top_members(connection, clustering, per_cluster, numbers)
        for clustering, numbers in wanted.items()
    }
    return [found[cluster.clustering_id].get(cluster.cluster, []) for cluster in clusters]


def read_links(
    connection: psycopg.Connection,
    hashtag: str | None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[LinkRow]:
    """The user network of a hashtag (of everything: None) in a period: who shares whom, sorted.

    Own shares and shares between unknown accounts are left out."""
    # begun with the contents of a hashtag: asked for both in one way, it went through all shares
    of_hashtag = (
        ""
        if hashtag is None
        else "JOIN hoaxwatch.content_hashtags h ON h.hashtag = %(hashtag)s"
        " AND h.platform = s.platform AND h.root_id = s.root_id"
    )
    cursor = connection.cursor(row_factory=class_row(LinkRow))
    return cursor.execute(
        "SELECT r.platform || ':' || r.author_id AS shared,"
        " s.platform || ':' || s.author_id AS sharer, count(*) AS n_shares,"
        " count(v.probability) AS judged,"
        " count(*) FILTER (WHERE v.likely_false) AS likely_false,"
        " min(s.posted_at) AS first_at, max(s.posted_at) AS last_at"
        f" FROM hoaxwatch.posts s {of_hashtag}"
        " JOIN hoaxwatch.posts r ON r.platform = s.platform AND r.post_id = s.share_of"
        " JOIN hoaxwatch.content_verdict v"
        "   ON v.platform = s.platform AND v.root_id = s.root_id"
        " WHERE s.kind = 'share' AND r.author_id <> s.author_id"
        " AND s.posted_at >= coalesce(%(since)s, '-infinity'::timestamptz)"
        " AND s.posted_at < coalesce(%(until)s, 'infinity'::timestamptz)"
        " GROUP BY 1, 2 ORDER BY 1, 2".encode(),
        {"hashtag": hashtag, "since": since, "until": until},
    ).fetchall()


def read_shares(
    connection: psycopg.Connection,
    hashtag: str | None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[tuple[str | None, str, int]]:
    """The shares of a hashtag (of everything: None) in a period, in any order: by whom (None: not
    known), of which content, when (microseconds since 1970)."""
    of_hashtag = (
        ""
        if hashtag is None
        else "JOIN hoaxwatch.content_hashtags h ON h.hashtag = %(hashtag)s"
        " AND h.platform = s.platform AND h.root_id = s.root_id"
    )
    return connection.execute(
        "SELECT s.platform || ':' || s.author_id, s.platform || ':' || s.root_id,"
        " (extract(epoch FROM s.posted_at) * 1000000)::bigint"
        f" FROM hoaxwatch.posts s {of_hashtag}"
        " WHERE s.share_of IS NOT NULL"
        " AND s.posted_at >= coalesce(%(since)s, '-infinity'::timestamptz)"
        " AND s.posted_at < coalesce(%(until)s, 'infinity'::timestamptz)".encode(),
        {"hashtag": hashtag, "since": since, "until": until},
    ).fetchall()


def read_users(connection: psycopg.Connection, users: Sequence[str]) -> list[UserRow]:
    """Handles and followers of accounts named platform:id."""
    pairs = [user.partition(":")[::2] for user in users]
    cursor = connection.cursor(row_factory=class_row(UserRow))
    return cursor.execute(
        "SELECT a.platform || ':' || a.author_id AS user, (a.handle).value AS handle,"
        " (a.followers).value AS followers FROM hoaxwatch.authors a"
        " JOIN unnest(%s::text[], %s::text[]) AS u (platform, author_id)"
        " USING (platform, author_id) ORDER BY 1",
        ([platform for platform, _ in pairs], [author for _, author in pairs]),
    ).fetchall()


def read_pairs(
    connection: psycopg.Connection,
    hashtag: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 1000,
) -> list[PairRow]:
    """Hashtags that stand together on the days (UTC) that a period touches, most frequent first;
    with `hashtag`, its partners only."""
    cursor = connection.cursor(row_factory=class_row(PairRow))
    return cursor.execute(
        "SELECT hashtag_a, hashtag_b, sum(posts)::bigint AS posts,"
        " sum(originals)::bigint AS originals FROM hoaxwatch.hashtag_pairs"
        " WHERE day >= coalesce(%s, '-infinity'::timestamptz)"
        " AND day < coalesce(%s, 'infinity'::timestamptz)"
        " AND (%s::text IS NULL OR hashtag_a = %s OR hashtag_b = %s)"
        " GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT %s",
        (*whole_days(since, until), hashtag, hashtag, hashtag, limit),
    ).fetchall()


def read_pairs_among(
    connection: psycopg.Connection,
    hashtags: Sequence[str],
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[PairRow]:
    """The links between these hashtags on the days (UTC) that a period touches, sorted."""
    days = whole_days(since, until)
    cursor = connection.cursor(row_factory=class_row(PairRow))
    return cursor.execute(
        "SELECT hashtag_a, hashtag_b, sum(posts)::bigint AS posts,"
        " sum(originals)::bigint AS originals FROM hoaxwatch.hashtag_pairs"
        " WHERE hashtag_a = ANY (%(hashtags)s) AND hashtag_b = ANY (%(hashtags)s)"
        " AND day >= coalesce(%(since)s, '-infinity'::timestamptz)"
        " AND day < coalesce(%(until)s, 'infinity'::timestamptz)"
        " GROUP BY 1, 2 ORDER BY 1, 2",
        {"hashtags": list(hashtags), "since": days.since, "until": days.until},
    ).fetchall()


def read_period_counts(
    connection: psycopg.Connection,
    since: datetime | None = None,
    until: datetime | None = None,
) -> PeriodCounts:
    """What was published in a period, and by how many known accounts."""
    cursor = connection.cursor(row_factory=class_row(PeriodCounts))
    row = cursor.execute(
        "WITH p AS (SELECT * FROM hoaxwatch.posts"
        "   WHERE posted_at >= coalesce(%s, '-infinity'::timestamptz)"
        "   AND posted_at < coalesce(%s, 'infinity'::timestamptz))"
        " SELECT count(*) AS posts, count(*) FILTER (WHERE kind <> 'share') AS originals,"
        " count(*) FILTER (WHERE kind = 'share') AS shares,"
        " count(DISTINCT (platform, root_id)) AS contents,"
        " count(DISTINCT (platform, author_id)) FILTER (WHERE author_id IS NOT NULL) AS accounts,"
        " (SELECT count(DISTINCT hashtag) FROM hoaxwatch.content_hashtags"
        "   JOIN (SELECT DISTINCT platform, root_id FROM p) c USING (platform, root_id))"
        "   AS hashtags,"
        " min(posted_at) AS first_posted_at, max(posted_at) AS last_posted_at FROM p",
        (since, until),
    ).fetchone()
    assert row is not None
    return row


def read_server_version(connection: psycopg.Connection) -> str:
    """The version of PostgreSQL, as 18.4."""
    row = connection.execute("SHOW server_version").fetchone()
    assert row is not None
    return str(row[0]).split()[0]


# what stands beside the posts
_WAITING = (
    "(SELECT count(*) FROM hoaxwatch.quarantine) AS quarantined,"
    " (SELECT count(*) FROM hoaxwatch.tombstones) AS tombstones,"
    " (SELECT count(*) FROM hoaxwatch.dirty_buckets) AS dirty_buckets"
)


def read_waiting(connection: psycopg.Connection) -> WaitingCounts:
    """What waits or was put aside; goes through no posts."""
    cursor = connection.cursor(row_factory=class_row(WaitingCounts))
    row = cursor.execute(
        f"SELECT EXISTS (SELECT FROM hoaxwatch.posts) AS has_posts, {_WAITING}"
    ).fetchone()
    assert row is not None
    return row


def read_newest(connection: psycopg.Connection) -> datetime | None:
    """When the newest post was published; None: there is none."""
    # with a bound only what the BRIN says of the last hours is read; a subquery would hide it
    row = connection.execute(
        "SELECT max(bucket_start) FROM hoaxwatch.hashtag_trends WHERE grain = 'hour'"
    ).fetchone()
    assert row is not None
    row = connection.execute(
        "SELECT max(posted_at) FROM hoaxwatch.posts WHERE posted_at >= %s",
        (row[0] or datetime.min.replace(tzinfo=UTC),),
    ).fetchone()
    assert row is not None
    newest: datetime | None = row[0]
    return newest


def read_counts(connection: psycopg.Connection) -> StoredCounts:
    """How much the project holds, and over which time."""
    cursor = connection.cursor(row_factory=class_row(StoredCounts))
    row = cursor.execute(
        "SELECT p.*, (SELECT count(*) FROM hoaxwatch.content) AS contents,"
        " (SELECT count(*) FROM hoaxwatch.authors) AS authors,"
        " (SELECT count(DISTINCT hashtag) FROM hoaxwatch.content_hashtags) AS hashtags,"
        f" {_WAITING} FROM"
        " (SELECT count(*) AS posts, count(*) FILTER (WHERE kind = 'share') AS shares,"
        " min(posted_at) AS first_posted_at, max(posted_at) AS last_posted_at"
        " FROM hoaxwatch.posts) p"
    ).fetchone()
    assert row is not None
    return row


def read_verdict_states(
    connection: psycopg.Connection,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[dict[str, Any]]:
    """How many contents, and posts that carry them, are in each verdict state and reason."""
    cursor = connection.cursor(row_factory=dict_row)
    return cursor.execute(
        "SELECT state, reason, count(*) AS contents, sum(n)::bigint AS posts,"
        " coalesce(sum(n) FILTER (WHERE probability IS NOT NULL), 0)::bigint AS judged_posts,"
        " count(*) FILTER (WHERE likely_false) AS likely_false_contents,"
        " coalesce(sum(n) FILTER (WHERE likely_false), 0)::bigint AS likely_false_posts"
        " FROM hoaxwatch.content_verdict v JOIN (SELECT platform, root_id, count(*) AS n"
        "   FROM hoaxwatch.posts WHERE posted_at >= coalesce(%s, '-infinity'::timestamptz)"
        "   AND posted_at < coalesce(%s, 'infinity'::timestamptz)"
        "   GROUP BY platform, root_id) p USING (platform, root_id)"
        " GROUP BY state, reason ORDER BY state, reason",
        (since, until),
    ).fetchall()


class JudgedRow(NamedTuple):
    """What counts as the verdict about one content."""

    platform: str
    root_id: str
    #: labelled, scored, unsure, abstained or pending.
    state: str
    reason: str | None
    likely_false: bool | None


def read_judged(connection: psycopg.Connection) -> list[JudgedRow]:
    """The verdict that counts of every content."""
    found = connection.execute(
        "SELECT platform, root_id, state, reason, likely_false FROM hoaxwatch.content_verdict"
        " ORDER BY platform, root_id"
    )
    return [JudgedRow(*row) for row in found]


def read_policy(connection: psycopg.Connection) -> dict[str, Any] | None:
    """The verdict policy in force; None before the first run."""
    cursor = connection.cursor(row_factory=dict_row)
    return cursor.execute(
        "SELECT policy_id, detector, version, threshold::float8 AS threshold,"
        " abstain_band::float8 AS abstain_band, created_at"
        " FROM hoaxwatch.verdict_policy WHERE active"
    ).fetchone()


def read_top_posts(
    connection: psycopg.Connection,
    limit: int,
    *,
    hashtag: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[dict[str, Any]]:
    """The most shared contents (as far as collected), with their verdicts."""
    # one query for both would count the shares of all contents before it takes those of a hashtag
    of_hashtag = "JOIN hoaxwatch.content_hashtags h USING (platform, root_id)" if hashtag else ""
    cursor = connection.cursor(row_factory=dict_row)
    return cursor.execute(
        "SELECT c.platform, c.root_id, c.text, c.lang, c.hashtags, n.shares, n.authors,"
        " n.first_at, n.last_at, v.state, v.probability::float8 AS probability, v.likely_false,"
        " v.reason, v.evidence, v.detector, v.version FROM hoaxwatch.content c"
        " JOIN (SELECT platform, root_id, count(*) FILTER (WHERE kind = 'share') AS shares,"
        "   count(DISTINCT author_id) AS authors, min(posted_at) AS first_at,"
        f"   max(posted_at) AS last_at FROM hoaxwatch.posts {of_hashtag}"
        "   WHERE posted_at >= coalesce(%(since)s, '-infinity'::timestamptz)"
        "   AND posted_at < coalesce(%(until)s, 'infinity'::timestamptz)"
        f"  {'AND h.hashtag = %(hashtag)s' if hashtag else ''} GROUP BY platform, root_id"
        "   ORDER BY shares DESC, platform, root_id LIMIT %(limit)s) n"
        "   USING (platform, root_id)"
        " JOIN hoaxwatch.content_verdict v USING (platform, root_id)"
        " ORDER BY n.shares DESC, c.platform, c.root_id".encode(),
        {"since": since, "until": until, "hashtag": hashtag, "limit": limit},
    ).fetchall()


def read_quarantine(connection: psycopg.Connection, limit: int) -> list[dict[str, Any]]:
    """Reasons for quarantine with how often and a first example each."""
    cursor = connection.cursor(row_factory=dict_row)
    return cursor.execute(
        "SELECT source, reason, count(*) AS records, min(position) AS first_position,"
        f" (array_agg({QUARANTINE_ID} ORDER BY position))[1] AS first_id"
        " FROM hoaxwatch.quarantine GROUP BY source, reason ORDER BY records DESC, source, reason"
        " LIMIT %s",
        (limit,),
    ).fetchall()


class QuarantinedRow(NamedTuple):
    """One record that was put aside, with its bytes as they were received."""

    id: str
    source: str
    position: str
    reason: str
    received_at: datetime
    raw: bytes


def read_quarantined(
    connection: psycopg.Connection,
    limit: int | None = None,
    ids: Sequence[str] | None = None,
    source: str | None = None,
    reason: str | None = None,
    after: str = "",
) -> list[QuarantinedRow]:
    """Records in quarantine by id; of these ids (or their beginnings), of a source (its file or its
    format), with a reason that contains these words, behind an id: each None is any."""
    found = connection.execute(
        f"SELECT q.id, source, position, reason, received_at, raw FROM ("
        f"  SELECT {QUARANTINE_ID} AS id, * FROM hoaxwatch.quarantine) q"
        " WHERE id > %(after)s"
        " AND (%(ids)s::text[] IS NULL OR EXISTS ("
        "   SELECT FROM unnest(%(ids)s::text[]) AS i WHERE starts_with(q.id, i)))"
        " AND (%(source)s::text IS NULL OR source = %(source)s"
        "   OR split_part(source, ':', 1) = %(source)s"
        "   OR substr(source, strpos(source, ':') + 1) = %(source)s)"
        " AND (%(reason)s::text IS NULL OR strpos(reason, %(reason)s) > 0)"
        " ORDER BY id LIMIT %(limit)s",
        {
            "ids": None if ids is None else list(ids),
            "source": source,
            "reason": reason,
            "after": after,
            "limit": limit,
        },
    )
    return [
        QuarantinedRow(id_, source_, position, reason_, received_at, decompress(raw))
        for id_, source_, position, reason_, received_at, raw in found
    ]


def read_payloads(
    connection: psycopg.Connection, after: tuple[str, str], n_posts: int
) -> list[PayloadRow]:
    """All raw records of the next `n_posts` posts behind a (platform, post id), by post."""
    found = connection.execute(
        "SELECT k.platform, k.post_id, y.raw, y.source, p.provenance, p.seen_as FROM ("
        "  SELECT DISTINCT platform, post_id FROM hoaxwatch.payloads"
        "  WHERE (platform, post_id) > (%s, %s) ORDER BY platform, post_id LIMIT %s) k"
        " JOIN hoaxwatch.payloads y USING (platform, post_id)"
        " JOIN hoaxwatch.posts p USING (platform, post_id)"
        " ORDER BY k.platform, k.post_id, y.payload_hash",
        (*after, n_posts),
    )
    return [
        PayloadRow(platform, post_id, decompress(raw), source, tuple(provenance), seen_as)
        for platform, post_id, raw, source, provenance, seen_as in found
    ]


def read_runs(connection: psycopg.Connection, limit: int) -> list[dict[str, Any]]:
    """The latest runs with their manifests, newest first."""
    cursor = connection.cursor(row_factory=dict_row)
    return cursor.execute(
        "SELECT run_id, started_at, finished_at, manifest FROM hoaxwatch.runs"
        " ORDER BY run_id DESC LIMIT %s",
        (limit,),
    ).fetchall()


def count_concerned(connection: psycopg.Connection, deletion: Deletion) -> tuple[int, int]:
    """How many posts a deletion takes, and how many shares of them by others."""
    column = {"post": "post_id", "author": "author_id"}[deletion.kind]
    row = connection.execute(
        f"WITH own AS (SELECT platform, post_id FROM hoaxwatch.posts"
        f"   WHERE platform = %(platform)s AND {column} = %(id)s),"
        " roots AS (SELECT * FROM own UNION SELECT %(platform)s, %(id)s WHERE %(kind)s = 'post')"
        " SELECT (SELECT count(*) FROM own), (SELECT count(*) FROM hoaxwatch.posts p"
        "   JOIN roots r ON p.platform = r.platform AND p.root_id = r.post_id"
        "   WHERE (p.platform, p.post_id) NOT IN (SELECT * FROM own))",
        {"platform": deletion.platform, "id": deletion.deleted_id, "kind": deletion.kind},
    ).fetchone()
    assert row is not None
    return int(row[0]), int(row[1])


def read_namesakes(connection: psycopg.Connection, platform: str, author_id: str) -> list[str]:
    """Ids of other accounts with the handle of this one, or with its id as handle, some at most.
    Sources that know no ids give "@handle", so one account may be stored under two."""
    found = connection.execute(
        "SELECT author_id FROM hoaxwatch.authors WHERE platform = %(platform)s"
        " AND author_id <> %(id)s AND lower((handle).value) IN ("
        "   SELECT lower(ltrim(%(id)s, '@')) UNION SELECT lower((handle).value)"
        "   FROM hoaxwatch.authors WHERE platform = %(platform)s AND author_id = %(id)s)"
        " ORDER BY author_id LIMIT 20",
        {"platform": platform, "id": author_id},
    )
    return [str(row[0]) for row in found]


def read_trace(connection: psycopg.Connection, post_id: str) -> list[dict[str, Any]]:
    """The path of a post (of each platform that has this id): as it was read, judged, counted."""
    cursor = connection.cursor(row_factory=dict_row)
    posts = cursor.execute(
        "SELECT p.platform, p.post_id, p.posted_at, p.kind, p.author_id, p.root_id, p.share_of,"
        " p.shared_via, p.reply_to, p.quote_of, p.seen_as, p.provenance,"
        " nullif(p.observed_at, '-infinity') AS observed_at,"
        " (p.likes).value AS likes, (p.shares).value AS shares_reported, c.text, c.lang,"
        " c.hashtags, c.completeness, v.state, v.score::float8 AS score,"
        " v.probability::float8 AS probability, v.likely_false, v.reason, v.evidence,"
        " v.detector, v.version, y.threshold::float8 AS threshold FROM hoaxwatch.posts p"
        " JOIN hoaxwatch.content c USING (platform, root_id)"
        " JOIN hoaxwatch.content_verdict v USING (platform, root_id)"
        " JOIN hoaxwatch.verdict_policy y USING (policy_id)"
        " WHERE p.post_id = %s ORDER BY p.platform",
        (post_id,),
    ).fetchall()
    for post in posts:
        post["payloads"] = cursor.execute(
            "SELECT encode(payload_hash, 'hex') AS payload_hash, received_at,"
            " length(raw) AS stored_bytes FROM hoaxwatch.payloads"
            " WHERE platform = %s AND post_id = %s ORDER BY received_at, payload_hash",
            (post["platform"], post["post_id"]),
        ).fetchall()
        post["cascade_verdicts"] = cursor.execute(
            "SELECT checkpoint, n_nodes, seen_until, detector, version, state,"
            " score::float8 AS score, reason, evidence FROM hoaxwatch.cascade_verdicts"
            " WHERE platform = %(platform)s AND root_id = %(root_id)s"
            " ORDER BY seen_until, n_nodes, checkpoint = 'latest', checkpoint",
            post,
        ).fetchall()
        post["combined_score"] = cursor.execute(
            "SELECT fusion, score::float8 AS score, reason, used, missing"
            " FROM hoaxwatch.combined_scores"
            " WHERE platform = %(platform)s AND root_id = %(root_id)s",
            post,
        ).fetchone()
        post["claims"] = cursor.execute(
            "SELECT claim_id, place, label, cosine::float8 AS cosine,"
            " common_words::float8 AS common_words, kind, text, rating, publisher, link,"
            " published_on FROM mart.claims_matched"
            " WHERE platform = %(platform)s AND root_id = %(root_id)s ORDER BY place",
            post,
        ).fetchall()
        post["buckets"] = cursor.execute(
            "SELECT hashtag, grain, bucket_start, posts, judged, likely_false"
            " FROM hoaxwatch.hashtag_trends WHERE hashtag = ANY (%(tags)s) AND bucket_start ="
            " date_trunc(grain, %(at)s::timestamptz) ORDER BY hashtag, grain DESC",
            {"tags": post["hashtags"], "at": post["posted_at"]},
        ).fetchall()
        post["clusters"] = cursor.execute(
            "SELECT k.hashtag, k.window_start, k.algorithm, m.cluster, m.times_shared,"
            " m.shares_made FROM hoaxwatch.cluster_members m"
            " JOIN hoaxwatch.clusterings k USING (clustering_id)"
            " WHERE m.platform = %(platform)s AND m.author_id = %(author_id)s"
            " AND k.hashtag = ANY (%(hashtags)s) AND k.window_start <= %(posted_at)s"
            " AND k.window_end > %(posted_at)s ORDER BY 1, 2, 3",
            post,
        ).fetchall()
        post["waiting_buckets"] = cursor.execute(
            "SELECT count(*) AS n FROM hoaxwatch.dirty_buckets"
            " WHERE hashtag = ANY (%(hashtags)s) AND hour = date_trunc('hour', %(posted_at)s)",
            post,
        ).fetchall()[0]["n"]
    return posts


def read_account(
    connection: psycopg.Connection, platform: str, author_id: str
) -> dict[str, Any] | None:
    """An account as last seen, with what of it is stored; None if nothing is."""
    cursor = connection.cursor(row_factory=dict_row)
    return cursor.execute(
        "SELECT p.platform, p.author_id, min(a.handle) AS handle, min(a.followers) AS followers,"
        " count(*) AS posts, count(*) FILTER (WHERE p.kind = 'share') AS shares,"
        " count(v.probability) AS judged, count(*) FILTER (WHERE v.likely_false) AS likely_false,"
        " min(p.posted_at) AS first_posted_at, max(p.posted_at) AS last_posted_at"
        " FROM hoaxwatch.posts p JOIN hoaxwatch.content_verdict v USING (platform, root_id)"
        " LEFT JOIN (SELECT platform, author_id, (handle).value AS handle,"
        "   (followers).value AS followers FROM hoaxwatch.authors) a USING (platform, author_id)"
        " WHERE p.platform = %s AND p.author_id = %s GROUP BY p.platform, p.author_id",
        (platform, author_id),
    ).fetchone()


def read_account_posts(
    connection: psycopg.Connection, platform: str, author_id: str, limit: int
) -> list[dict[str, Any]]:
    """The latest posts of an account, with the verdict on what they say."""
    cursor = connection.cursor(row_factory=dict_row)
    return cursor.execute(
        "SELECT p.platform, p.post_id, p.posted_at, p.kind, p.share_of, c.text, c.lang,"
        " c.hashtags, v.state, v.probability::float8 AS probability, v.likely_false, v.reason"
        " FROM hoaxwatch.posts p JOIN hoaxwatch.content c USING (platform, root_id)"
        " JOIN hoaxwatch.content_verdict v USING (platform, root_id)"
        " WHERE p.platform = %s AND p.author_id = %s"
        " ORDER BY p.posted_at DESC, p.post_id LIMIT %s",
        (platform, author_id, limit),
    ).fetchall()


def find_names(connection: psycopg.Connection, text: str) -> list[tuple[str, str]]:
    """What somebody may mean by a text without a sign: ('hashtag', tag), ('post' or 'account',
    platform:id). Handles count as they were last seen, whatever their letters' case."""
    rows = connection.execute(
        "SELECT 'hashtag', hashtag FROM (SELECT DISTINCT hashtag FROM hoaxwatch.content_hashtags"
        "   WHERE hashtag = %(tag)s) h"
        " UNION ALL SELECT 'post', platform || ':' || post_id FROM hoaxwatch.posts"
        "   WHERE post_id = %(text)s"
        " UNION ALL SELECT 'account', platform || ':' || author_id FROM hoaxwatch.authors"
        "   WHERE author_id = %(text)s OR lower((handle).value) = lower(%(handle)s)"
        " ORDER BY 1, 2 LIMIT 20",
        {"text": text, "handle": text.removeprefix("@"), "tag": hashtag_key(text)},
    )
    return [(str(kind), str(name)) for kind, name in rows]


def read_posts_of(
    connection: psycopg.Connection, handles: Sequence[str]
) -> list[tuple[str, str, date, str, tuple[str, ...], tuple[str, ...]]]:
    """Originals of these accounts, in the order of the accounts and then by id: account, id, day
    (UTC), text, links, addresses of pictures."""
    found = connection.execute(
        "SELECT o.handle, p.post_id, (p.posted_at AT TIME ZONE 'UTC')::date, c.text, c.links,"
        " ARRAY(SELECT m.url FROM hoaxwatch.media m WHERE m.platform = c.platform"
        " AND m.root_id = c.root_id ORDER BY m.url)"
        " FROM unnest(%s::text[]) WITH ORDINALITY AS o (handle, place)"
        " JOIN hoaxwatch.authors a ON (a.handle).value = o.handle"
        " JOIN hoaxwatch.posts p USING (platform, author_id)"
        " JOIN hoaxwatch.content c ON c.platform = p.platform AND c.root_id = p.post_id"
        " WHERE p.kind = 'original' ORDER BY o.place, p.post_id",
        (list(handles),),
    )
    return [(*line[:4], tuple(line[4]), tuple(line[5])) for line in found]


def read_query(
    connection: psycopg.Connection, query: str, parameters: Sequence[object] = ()
) -> list[dict[str, Any]]:
    """The rows of any query, as dictionaries, in a transaction that cannot write.

    Raises UsageError with what the server says if the query is wrong or writes.
    """
    try:
        with one_snapshot(connection):
            cursor = connection.cursor(row_factory=dict_row)
            # prepared: the server takes one statement then, so none can end the transaction first
            cursor.execute(query.encode(), parameters or None, prepare=True)
            return cursor.fetchall() if cursor.description else []
    except (
        *(psycopg.errors.SyntaxErrorOrAccessRuleViolation, psycopg.DataError),
        *(psycopg.errors.ReadOnlySqlTransaction, psycopg.ProgrammingError),
    ) as error:
        raise UsageError(f"the query cannot be answered: {str(error).splitlines()[0]}") from None


def read_received(connection: psycopg.Connection, platform: str) -> dict[str, datetime]:
    """Stored post -> when its raw record was first taken up for storing."""
    rows = connection.execute(
        "SELECT p.post_id, min(y.received_at) FROM hoaxwatch.posts p"
        " JOIN hoaxwatch.payloads y USING (platform, post_id)"
        " WHERE p.platform = %s GROUP BY p.post_id",
        (platform,),
    )
    return dict(rows.fetchall())
