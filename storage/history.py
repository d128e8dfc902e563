"""What the tables said at the end of each day: written down once, never changed.

Of a snapshot only what is not as in the one before is stored, so that a year of snapshots of tables
that hardly change takes hardly any room.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

import psycopg
from psycopg.rows import class_row

from storage.counting import COUNTED
from storage.reads import TrendRow

#: Whoever takes a snapshot holds it: of two at the same time one finds it taken.
SNAPSHOT_LOCK = 0x736E6170

_KEPT = (*COUNTED, "policy_id")
_COLUMNS = ", ".join(_KEPT)


class Snapshot(NamedTuple):
    """A day of which it is known what the tables said at its end."""

    snapshot_day: datetime
    taken_at: datetime
    #: Days of hashtags that the tables had, and what was not as in the snapshot before.
    n_rows: int
    n_changed: int
    #: Buckets that waited to be recounted.
    dirty_buckets: int


def day_before(now: datetime) -> datetime:
    """Start of the last UTC day that is over.

    >>> day_before(datetime(2026, 3, 6, 0, 5, tzinfo=UTC)).isoformat()
    '2026-03-05T00:00:00+00:00'
    """
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return today - timedelta(days=1)


_TAKE = f"""
WITH standing AS (
    SELECT DISTINCT ON (hashtag, bucket_start) * FROM hoaxwatch.trend_snapshots
    ORDER BY hashtag, bucket_start, snapshot_day DESC
), before AS (
    SELECT * FROM standing WHERE NOT is_gone
), now AS (
    SELECT hashtag, bucket_start, {_COLUMNS} FROM hoaxwatch.hashtag_trends
    WHERE grain = 'day' AND bucket_start <= %(day)s
), changed AS (
    INSERT INTO hoaxwatch.trend_snapshots
        (hashtag, bucket_start, snapshot_day, is_gone, {_COLUMNS})
    SELECT hashtag, bucket_start, %(day)s, n.posts IS NULL,
           {", ".join(f"n.{name}" for name in _KEPT)}
    FROM now n FULL JOIN before b USING (hashtag, bucket_start)
    WHERE ({", ".join(f"n.{name}" for name in _KEPT)})
          IS DISTINCT FROM ({", ".join(f"b.{name}" for name in _KEPT)})
    RETURNING 1
)
INSERT INTO hoaxwatch.snapshots
SELECT %(day)s, %(now)s, (SELECT count(*) FROM now), (SELECT count(*) FROM changed),
       (SELECT count(*) FROM hoaxwatch.dirty_buckets)
RETURNING *
"""


def take_snapshot(connection: psycopg.Connection, now: datetime) -> Snapshot | None:
    """Writes down what the tables say of all days up to the last one that is over, as its snapshot.

    None if that day has one, which stays as it is, or if there never was anything to write down.
    Take it before anything of the new day is stored, as far as that is possible. Cost: one pass
    over the rows of day grain and over all snapshots, once a day.
    """
    day = day_before(now)
    with connection.transaction(), connection.cursor(row_factory=class_row(Snapshot)) as cursor:
        taken = read_latest(connection)
        if taken is not None and taken.snapshot_day >= day:
            return None
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", (SNAPSHOT_LOCK,))
        taken = read_latest(connection)
        if taken is not None and taken.snapshot_day >= day:
            return None
        if taken is None and not _has_trends(connection):
            return None
        return cursor.execute(_TAKE.encode(), {"day": day, "now": now}).fetchone()


def _has_trends(connection: psycopg.Connection) -> bool:
    row = connection.execute("SELECT EXISTS (SELECT FROM hoaxwatch.hashtag_trends)").fetchone()
    return row is not None and bool(row[0])


def read_latest(connection: psycopg.Connection, as_of: datetime | None = None) -> Snapshot | None:
    """The latest snapshot, or the one that stands for a day: its own, or the last one before it."""
    cursor = connection.cursor(row_factory=class_row(Snapshot))
    return cursor.execute(
        "SELECT * FROM hoaxwatch.snapshots"
        " WHERE snapshot_day <= coalesce(%s, 'infinity'::timestamptz)"
        " ORDER BY snapshot_day DESC LIMIT 1",
        (as_of,),
    ).fetchone()


def read_first(connection: psycopg.Connection) -> Snapshot | None:
    """The first snapshot; what was believed before it is not known."""
    cursor = connection.cursor(row_factory=class_row(Snapshot))
    return cursor.execute(
        "SELECT * FROM hoaxwatch.snapshots ORDER BY snapshot_day LIMIT 1"
    ).fetchone()


def read_trends_as_of(
    connection: psycopg.Connection,
    as_of: date,
    hashtag: str,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[TrendRow]:
    """The days of a hashtag as the tables had them at the end of a day, in order of time."""
    cursor = connection.cursor(row_factory=class_row(TrendRow))
    return cursor.execute(
        "SELECT hashtag, day AS bucket_start, posts, originals, shares, authors, judged,"
        " likely_false, expected_share::float8, expected_low::float8, expected_high::float8,"
        " first_seen_at, last_seen_at FROM mart.trends_as_of(%s) WHERE hashtag = %s"
        " AND day >= coalesce(%s, '-infinity'::timestamptz)"
        " AND day < coalesce(%s, 'infinity'::timestamptz) ORDER BY day",
        (as_of, hashtag, since, until),
    ).fetchall()


# Of days before the floor posts are gone, so nobody knows any more who used a hashtag; but counts
# say whether more than one account did.
_UNUSED = """
SELECT hashtag FROM unnest(%s::text[]) AS u (hashtag)
WHERE NOT EXISTS (SELECT FROM hoaxwatch.content_hashtags h WHERE h.hashtag = u.hashtag)
  AND NOT EXISTS (
    SELECT FROM hoaxwatch.hashtag_trends t WHERE t.hashtag = u.hashtag AND t.authors > 1
    AND t.bucket_start < (SELECT max(floor) FROM hoaxwatch.retention))
"""

# The next snapshot may come before the next tick. What a tick has in hand it writes anew: to wait
# for it, while it may wait for us, would be a deadlock.
_DROP_COUNTED = [
    f"DELETE FROM hoaxwatch.{table} WHERE ctid = ANY (ARRAY("
    f"SELECT ctid FROM hoaxwatch.{table} WHERE {column} = ANY (%s) FOR UPDATE SKIP LOCKED))"
    for table, column in (
        ("hashtag_trends", "hashtag"),
        ("hashtag_pairs", "hashtag_a"),
        ("hashtag_pairs", "hashtag_b"),
    )
]


def drop_unused(cursor: psycopg.Cursor[Any], hashtags: Sequence[str]) -> None:
    """Forgets counts and history of those of these hashtags that no content has any more and that
    others did not use before the retention floor: their names may say whose they were. Of other
    hashtags counts stay, which name nobody."""
    unused = [name for (name,) in cursor.execute(_UNUSED, (list(hashtags),))]
    if not unused:
        return
    cursor.execute("DELETE FROM hoaxwatch.trend_snapshots WHERE hashtag = ANY (%s)", (unused,))
    for statement in _DROP_COUNTED:
        cursor.execute(statement.encode(), (unused,))
