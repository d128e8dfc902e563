"""Counts the dirty buckets again from rows: trends, hashtag pairs, cluster windows.

Nothing here adds to a count. A tick takes what is dirty, recomputes exactly those days of those
hashtags, and writes the result in the same transaction: whatever the order, the batches or the
moment of a crash, the same rows give the same tables.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from hashlib import blake2b, md5
from typing import Any, NamedTuple

import psycopg

from storage.copy_format import ESCAPED
from storage.counting import COUNTED, counts

#: First half of the lock of a shard. Two ticks on the same hashtags come one after the other: if
#: they overlapped, an older count could be written over a newer one.
TRACK_LOCK = 0x74726163
#: Whoever stores verdicts or labels shares it until its transaction ends, from before it looks at
#: posts. A post that it does not see yet may be stored, and its hour taken by a tick, before that
#: transaction commits: so a tick that has taken hours waits for those who judge, and sees what they
#: say.
JUDGE_LOCK = 0x6A756467
#: Hashtags are shared out by the shard of their name (a column of dirty_buckets). Every row that a
#: tick writes belongs to one hashtag, so ticks on different shards never meet.
N_SHARDS = 64

_STAGING = """
CREATE TEMP TABLE IF NOT EXISTS taken (
    hashtag text COLLATE "C", hour timestamptz, day timestamptz);
CREATE TEMP TABLE IF NOT EXISTS facts (
    hashtag text COLLATE "C", day timestamptz, hour timestamptz, posted_at timestamptz,
    platform text COLLATE "C", root_id text COLLATE "C", author text COLLATE "C",
    is_share boolean, probability numeric, likely_false boolean);
"""

_TAKE = """
WITH gone AS (
    DELETE FROM hoaxwatch.dirty_buckets WHERE shard = ANY (%s) RETURNING hashtag, hour
)
INSERT INTO taken SELECT DISTINCT hashtag, hour, date_trunc('day', hour) FROM gone
-- posts of days before are removed: what was counted of them stays
WHERE hour >= (SELECT coalesce(max(floor), '-infinity') FROM hoaxwatch.retention)
"""

_GATHER = """
INSERT INTO facts
SELECT t.hashtag, t.day, date_trunc('hour', p.posted_at), p.posted_at, p.platform, p.root_id,
       CASE WHEN p.author_id IS NOT NULL THEN p.platform || ':' || p.author_id END,
       p.kind = 'share', v.probability, v.likely_false
FROM (SELECT DISTINCT hashtag, day FROM taken) t
JOIN hoaxwatch.content_hashtags h USING (hashtag)
JOIN hoaxwatch.posts p ON p.platform = h.platform AND p.root_id = h.root_id
     AND p.posted_at >= t.day AND p.posted_at < t.day + interval '24 hours'
JOIN hoaxwatch.content_verdict v ON v.platform = p.platform AND v.root_id = p.root_id
"""

_CLEAR_TRENDS = """
DELETE FROM hoaxwatch.hashtag_trends r USING (SELECT DISTINCT hashtag, day FROM taken) t
WHERE r.hashtag = t.hashtag AND r.bucket_start >= t.day
  AND r.bucket_start < t.day + interval '24 hours'
"""

_COUNT_TRENDS = """
INSERT INTO hoaxwatch.hashtag_trends
SELECT hashtag, '{grain}', {counted}, policy_id FROM ({counts}) c
CROSS JOIN (SELECT policy_id FROM hoaxwatch.verdict_policy WHERE active) p
"""

# A pair belongs to the first of its two hashtags, and is counted with it. Whatever changes a pair
# marks both, since both stand in the same content.
_CLEAR_PAIRS = """
WITH t AS (SELECT DISTINCT hashtag, day FROM taken)
DELETE FROM hoaxwatch.hashtag_pairs r USING t WHERE r.day = t.day AND r.hashtag_a = t.hashtag
"""

_COUNT_PAIRS = """
INSERT INTO hoaxwatch.hashtag_pairs
SELECT f.hashtag, o.hashtag, f.day, sum(f.n), sum(f.originals)
FROM (SELECT hashtag, day, platform, root_id, count(*) AS n,
             count(*) FILTER (WHERE NOT is_share) AS originals
      FROM facts GROUP BY hashtag, day, platform, root_id) f
JOIN hoaxwatch.content_hashtags o USING (platform, root_id)
WHERE o.hashtag > f.hashtag
GROUP BY 1, 2, 3
"""

# Shares of hashtags around what is dirty, for the windows that overlap it. Most hashtags
# have too few of them for any cluster, and theirs stay on the server.
_WINDOW_SHARES = """
WITH span AS (
    SELECT * FROM unnest(%s::text[], %s::timestamptz[], %s::timestamptz[])
    AS t (hashtag, since, until)
)
SELECT hashtag, posted_at, sharer, shared, root, probability, likely_false
FROM (
    SELECT h.hashtag, s.posted_at, s.platform, s.post_id,
           s.platform || ':' || s.author_id AS sharer,
           r.platform || ':' || r.author_id AS shared, s.platform || ':' || s.root_id AS root,
           v.probability::float8, v.likely_false, count(*) OVER (PARTITION BY h.hashtag) AS n_shares
    FROM span t
    JOIN hoaxwatch.content_hashtags h USING (hashtag)
    JOIN hoaxwatch.posts s ON s.platform = h.platform AND s.root_id = h.root_id
         AND s.kind = 'share' AND s.posted_at >= t.since AND s.posted_at < t.until
    LEFT JOIN hoaxwatch.posts r ON r.platform = s.platform AND r.post_id = s.share_of
    JOIN hoaxwatch.content_verdict v ON v.platform = s.platform AND v.root_id = s.root_id
) s
WHERE n_shares >= %s
ORDER BY hashtag, posted_at, platform, post_id
"""

_CLEAR_WINDOWS = """
WITH w AS (
    SELECT * FROM unnest(%s::text[], %s::timestamptz[], %s::timestamptz[])
    AS w (hashtag, window_start, window_end)
), no_networks AS (
    DELETE FROM hoaxwatch.networks USING w
    WHERE (networks.hashtag, networks.window_start, networks.window_end)
        = (w.hashtag, w.window_start, w.window_end)
), gone AS (
    DELETE FROM hoaxwatch.clusterings c USING w
    WHERE (c.hashtag, c.window_start, c.window_end) = (w.hashtag, w.window_start, w.window_end)
    RETURNING c.clustering_id
), no_clusters AS (
    DELETE FROM hoaxwatch.clusters c USING gone WHERE c.clustering_id = gone.clustering_id
)
DELETE FROM hoaxwatch.cluster_members m USING gone WHERE m.clustering_id = gone.clustering_id
"""

# Waits until no tick holds the plan.
_REPLACE_PLAN = """
INSERT INTO hoaxwatch.window_plan AS p (length_hours, step_hours) VALUES (%s, %s)
ON CONFLICT (is_only) DO UPDATE
SET length_hours = excluded.length_hours, step_hours = excluded.step_hours
WHERE (p.length_hours, p.step_hours) <> (excluded.length_hours, excluded.step_hours)
"""

# Windows whose posts are all gone have no trends.
_MARK_EVERYTHING = """
INSERT INTO hoaxwatch.dirty_buckets (hashtag, hour)
SELECT hashtag, bucket_start FROM hoaxwatch.hashtag_trends WHERE grain = 'hour'
UNION SELECT hashtag, window_start FROM hoaxwatch.networks
"""

_OFF_PLAN = """
SELECT hashtag, window_start, window_end FROM hoaxwatch.networks
WHERE hashtag = ANY (%s) AND window_start >= coalesce(%s, '-infinity'::timestamptz)
  AND (window_end - window_start <> %s
       OR extract(epoch FROM window_start)::bigint %% extract(epoch FROM %s)::bigint <> 0)
"""

#: Rows that the server hands over at once.
_FETCHED = 5_000

#: Hashtag, start (included) and end (excluded) of a cluster window.
Window = tuple[str, datetime, datetime]


class WindowShare(NamedTuple):
    """One share as the user network needs it. Accounts are platform:id; None is unknown."""

    hashtag: str
    posted_at: datetime
    sharer: str | None
    shared: str | None
    root: str
    probability: float | None
    likely_false: bool | None


class ClusterLine(NamedTuple):
    """A row of clusters, in the order of its columns: what the window says, then what the windows
    before it say (`streams.lineages`)."""

    clustering_id: int
    cluster: int
    n_users: int
    n_shares: int
    judged: int
    likely_false: int
    expected_share: float | None
    expected_low: float | None
    expected_high: float | None
    stability: float | None = None
    hub_share: float | None = None
    is_star: bool | None = None
    n_coordinated: int | None = None
    lineage: str | None = None
    n_before: int | None = None
    growth: float | None = None
    emerging: float | None = None


#: What is the same in each line of an account, as COPY reads it: platform and id, the two counts.
AccountLine = tuple[str, str]


def account_lines(
    accounts: Sequence[str], times_shared: Sequence[int], shares_made: Sequence[int]
) -> list[AccountLine]:
    r"""The columns of cluster_members that do not depend on the clustering.

    >>> account_lines(["x:a\tb"], [3], [1])
    [('x\ta\\tb', '3\t1')]
    """
    names = map(_account_columns, accounts)
    return [
        (name, f"{shared}\t{made}")
        for name, shared, made in zip(names, times_shared, shares_made, strict=True)
    ]


@lru_cache(maxsize=5_000)  # the same accounts stand in many windows: a quarter of the time
def _account_columns(account: str) -> str:
    return account.translate(ESCAPED).replace(":", "\t", 1)


@dataclass(frozen=True)
class WindowRows:
    """What is stored about the network of one hashtag in one window, ready to COPY."""

    network: tuple[object, ...]
    clusterings: list[tuple[object, ...]]
    clusters: list[ClusterLine]
    #: Accounts as platform:id, and what `account_lines` makes of them.
    accounts: Sequence[str]
    account_lines: Sequence[AccountLine]
    #: Clustering -> the cluster of each account.
    memberships: dict[int, list[int]]

    def member_lines(self) -> str:
        """The rows of cluster_members as COPY reads them.

        Written here, since there are more of them than of all the rest (measured: psycopg's
        `write_row` takes 3 us a row, this takes 0.3).
        """
        return "".join(
            f"{number}\t{account}\t{cluster}\t{counts}\n"
            for number, membership in self.memberships.items()
            for (account, counts), cluster in zip(self.account_lines, membership, strict=True)
        )


def prepare(connection: psycopg.Connection) -> None:
    """Makes the temporary tables of this connection. Call once after connecting."""
    connection.execute(_STAGING)


def take_dirty(cursor: psycopg.Cursor[Any], shards: Sequence[int]) -> dict[str, list[datetime]]:
    """Takes the dirty buckets of these shards for this transaction: hashtag -> hours. Those of days
    of which posts are not kept any more (`storage.retention`) are dropped.

    Whoever wants one of the shards too waits until this transaction ends. Returns when what is
    being judged now is stored.
    """
    cursor.execute(
        "SELECT pg_advisory_xact_lock(%s, shard) FROM unnest(%s::int[]) AS shard",
        (TRACK_LOCK, sorted(shards)),
    )
    cursor.execute("TRUNCATE taken, facts")
    if not cursor.execute(_TAKE, (list(shards),)).rowcount:
        return {}
    # whoever comes later may judge; in one statement, so that nothing can come in between
    cursor.execute("SELECT pg_advisory_lock(%(k)s), pg_advisory_unlock(%(k)s)", {"k": JUDGE_LOCK})
    taken: dict[str, list[datetime]] = {}
    for hashtag, hour in cursor.execute("SELECT hashtag, hour FROM taken ORDER BY hashtag, hour"):
        taken.setdefault(hashtag, []).append(hour)
    return taken


def shard_of(hashtag: str) -> int:
    """The shard of a hashtag in counting form, as the database computes it.

    >>> shard_of("egu23")
    5
    """
    return md5(hashtag.encode(), usedforsecurity=False).digest()[0] % N_SHARDS


def recount_trends(cursor: psycopg.Cursor[Any]) -> int:
    """Counts hours, days and pairs of what was taken; returns the number of trend rows written."""
    cursor.execute(_GATHER)
    cursor.execute("SET LOCAL default_statistics_target = 10; ANALYZE facts; ANALYZE taken")
    cursor.execute(_CLEAR_TRENDS)
    written = 0
    for grain in ("hour", "day"):
        query = _COUNT_TRENDS.format(
            grain=grain,
            counted=", ".join((grain, *COUNTED)),
            counts=counts("facts", "hashtag", grain),
        )
        written += cursor.execute(query.encode()).rowcount
    cursor.execute(_CLEAR_PAIRS)
    cursor.execute(_COUNT_PAIRS)
    return written


def read_window_shares(
    connection: psycopg.Connection,
    taken: Mapping[str, Sequence[datetime]],
    window_hours: int,
    min_shares: int,
) -> Iterator[WindowShare]:
    """Shares of the taken hashtags, by hashtag and time, as far as their windows reach; of hashtags
    with at least `min_shares` of them.

    Fetched as they are used: memory does not grow with their number.
    """
    length = timedelta(hours=window_hours)
    since = [hours[0] - length for hours in taken.values()]
    until = [hours[-1] + length + timedelta(hours=1) for hours in taken.values()]
    with connection.transaction(), connection.cursor("window_shares") as cursor:
        cursor.execute(_WINDOW_SHARES, (list(taken), since, until, min_shares), binary=True)
        while rows := cursor.fetchmany(_FETCHED):
            yield from map(WindowShare._make, rows)


def hashtags_with_windows(cursor: psycopg.Cursor[Any]) -> set[str]:
    """Hashtags that have cluster windows now, and so may have some to lose."""
    return {row[0] for row in cursor.execute("SELECT DISTINCT hashtag FROM hoaxwatch.networks")}


def hold_policy(cursor: psycopg.Cursor[Any]) -> None:
    """Keeps the policy in force until this transaction ends: whoever brings in another one waits,
    and so marks what is counted here too (`writes.activate_policy`)."""
    cursor.execute("LOCK TABLE hoaxwatch.verdict_policy IN ROW SHARE MODE")


def adopt_plan(connection: psycopg.Connection, length_hours: int, step_hours: int) -> bool:
    """Makes these the cluster windows of the project. True if that changed anything: then every
    bucket is marked to be counted again. Waits until nobody counts (`hold_plan`)."""
    with connection.transaction():
        if _read_plan(connection) == (length_hours, step_hours):
            return False  # as most often: it need not wait for who counts
        if not connection.execute(_REPLACE_PLAN, (length_hours, step_hours)).rowcount:
            return False
        connection.execute(_MARK_EVERYTHING)
    return True


def has_plan(connection: psycopg.Connection) -> bool:
    """Whether the project has cluster windows already."""
    return _read_plan(connection) is not None


def hold_plan(cursor: psycopg.Cursor[Any]) -> tuple[int, int]:
    """Length and step of the cluster windows (hours). They stay until this transaction ends:
    whoever brings in others waits, and so marks what is counted here too."""
    found = _read_plan(cursor, "FOR SHARE")
    assert found is not None, "no window_plan"
    return found


def _read_plan(
    connection: psycopg.Connection | psycopg.Cursor[Any], lock: str = ""
) -> tuple[int, int] | None:
    query = f"SELECT length_hours, step_hours FROM hoaxwatch.window_plan {lock}"
    return connection.execute(query.encode()).fetchone()


def windows_off_plan(
    cursor: psycopg.Cursor[Any],
    hashtags: Collection[str],
    length: timedelta,
    step: timedelta,
    not_before: datetime | None,
) -> list[Window]:
    """The stored windows of these hashtags that would not be made any more; but for those that
    begin before `not_before`, which stay as they are."""
    return cursor.execute(_OFF_PLAN, (list(hashtags), not_before, length, step)).fetchall()


def active_policy(cursor: psycopg.Cursor[Any]) -> int:
    """The number of the policy in force."""
    row = cursor.execute("SELECT policy_id FROM hoaxwatch.verdict_policy WHERE active").fetchone()
    assert row is not None, "no active verdict_policy"
    return int(row[0])


def clustering_id(
    hashtag: str, start: datetime, end: datetime, algorithm: str, params_hash: str
) -> int:
    """The key of a clustering: 63 bits of BLAKE2b over what identifies it."""
    told = f"{hashtag}\0{start.isoformat()}\0{end.isoformat()}\0{algorithm}\0{params_hash}"
    return int.from_bytes(blake2b(told.encode(), digest_size=8).digest(), "big") >> 1


def clear_windows(cursor: psycopg.Cursor[Any], windows: Sequence[Window]) -> None:
    """Removes everything stored about these windows."""
    if windows:
        cursor.execute(_CLEAR_WINDOWS, [list(column) for column in zip(*windows, strict=True)])


def add_windows(cursor: psycopg.Cursor[Any], found: Sequence[WindowRows]) -> None:
    """Stores what was found in windows of which nothing is stored."""
    for table, lines in (
        ("networks", (rows.network for rows in found)),
        ("clusterings", (line for rows in found for line in rows.clusterings)),
        ("clusters", (line for rows in found for line in rows.clusters)),
    ):
        with cursor.copy(f"COPY hoaxwatch.{table} FROM STDIN") as copy:
            for line in lines:
                copy.write_row(line)
    with cursor.copy("COPY hoaxwatch.cluster_members FROM STDIN") as copy:
        for rows in found:
            copy.write(rows.member_lines())
