"""Live sources in the database: what they are asked for, how far they were followed, what they
covered.

A source's cursor, what it was kept of and what it covered are stored together, in the transaction
of the posts that they stand for or after the brokers have these: never before.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import psycopg
from psycopg.rows import class_row

#: Newest ids that are read when a source starts. Each takes about 100 bytes of memory.
KEPT_IDS = 1_000_000


#: What stands before an account that is asked for as a hashtag is; no hashtag holds a colon.
ACCOUNT = "from:"


class Tracked(NamedTuple):
    """A hashtag that is or was asked for, in its counting form; or an account, as from:ID."""

    hashtag: str
    written: str
    tracked_from: datetime
    tracked_until: datetime | None = None
    added_by: str = ""
    removed_by: str | None = None
    note: str | None = None

    @property
    def query(self) -> str:
        """What X is asked for.

        >>> day = datetime(2026, 3, 2)
        >>> Tracked("snow", "Snow", day).query, Tracked("from:12", "from:12", day).query
        ('#Snow', 'from:12')
        """
        return self.written if self.written.startswith(ACCOUNT) else f"#{self.written}"


class Pull(NamedTuple):
    """What a source covered of one hashtag: everything that was posted in this time, as far as the
    source has it, if it is not capped. `pull` names it among those of its source."""

    source: str
    hashtag: str
    pull: str
    covered_from: datetime
    covered_until: datetime
    asked: int | None = None
    got: int = 0
    is_capped: bool = False
    error: str | None = None


class Mark(NamedTuple):
    """How far a source was followed: its cursor (None: as before), what it covered on the way, and
    hashes of what was kept."""

    cursor: str | None = None
    pulls: tuple[Pull, ...] = ()
    kept: tuple[int, ...] = ()

    def then(self, later: Mark) -> Mark:
        """Both: the later one's cursor, and of a pull what it said last.

        >>> Mark("1", (), (7,)).then(Mark("2", (), (8,))).then(Mark())
        Mark(cursor='2', pulls=(), kept=(7, 8))
        """
        pulls = {pull[:3]: pull for pull in self.pulls + later.pulls} if later.pulls else None
        return Mark(
            self.cursor if later.cursor is None else later.cursor,
            self.pulls if pulls is None else tuple(pulls.values()),
            self.kept + later.kept,
        )


#: Nothing came, and nothing is to be stored.
NO_MARK = Mark()


class CoveredBucket(NamedTuple):
    """What of a day or an hour was collected of a hashtag."""

    hashtag: str
    bucket_start: datetime
    #: How long it is: days with a change of clocks are not 24 hours long.
    seconds: int
    is_tracked: bool
    covered_seconds: int
    is_capped: bool
    errors: int

    @property
    def share(self) -> float:
        """Which part of it was collected, in [0, 1]."""
        return self.covered_seconds / self.seconds

    @property
    def is_whole(self) -> bool:
        """Everything of it was collected, so that a bucket without posts had none."""
        return self.share == 1 and not self.is_capped


def track(
    connection: psycopg.Connection,
    hashtags: Sequence[tuple[str, str]],
    by: str,
    now: datetime,
    note: str | None = None,
) -> list[str]:
    """Begins to track these (counting form, as written); returns those that were not tracked."""
    with connection.transaction():
        return [
            row[0]
            for row in connection.execute(
                "INSERT INTO hoaxwatch.tracked (hashtag, written, tracked_from, added_by, note)"
                " SELECT hashtag, min(written), %s, %s, %s"
                " FROM unnest(%s::text[], %s::text[]) AS t (hashtag, written)"
                " GROUP BY hashtag ORDER BY hashtag"
                " ON CONFLICT (hashtag) WHERE tracked_until IS NULL DO NOTHING RETURNING hashtag",
                (now, by, note, [key for key, _ in hashtags], [name for _, name in hashtags]),
            )
        ]


def untrack(
    connection: psycopg.Connection, hashtags: Sequence[str], by: str, now: datetime
) -> list[str]:
    """Ends tracking these; returns those that were tracked. Their history stays."""
    with connection.transaction():
        return [
            row[0]
            for row in connection.execute(
                "UPDATE hoaxwatch.tracked SET tracked_until = greatest(%s, tracked_from),"
                " removed_by = %s WHERE hashtag = ANY (%s) AND tracked_until IS NULL"
                " RETURNING hashtag",
                (now, by, list(hashtags)),
            )
        ]


def read_tracked(connection: psycopg.Connection, *, with_history: bool = False) -> list[Tracked]:
    """What is tracked, or ever was, sorted."""
    cursor = connection.cursor(row_factory=class_row(Tracked))
    return cursor.execute(
        "SELECT hashtag, written, tracked_from, tracked_until, added_by, removed_by, note"
        " FROM hoaxwatch.tracked WHERE %s OR tracked_until IS NULL ORDER BY hashtag, tracked_from",
        (with_history,),
    ).fetchall()


def read_cursor(connection: psycopg.Connection, source: str) -> str | None:
    """Where a source goes on; None before its first mark."""
    row = connection.execute(
        "SELECT cursor FROM hoaxwatch.source_cursors WHERE source = %s", (source,)
    ).fetchone()
    return None if row is None else str(row[0])


def read_spent(connection: psycopg.Connection, sources: Sequence[str], month: str) -> float:
    """What these sources have spent in a month (YYYY-MM), by their cursors, in US dollars."""
    row = connection.execute(
        "WITH said AS MATERIALIZED ("
        " SELECT cursor::jsonb AS said FROM hoaxwatch.source_cursors WHERE source = ANY (%s))"
        " SELECT coalesce(sum((said ->> 'spent')::float8), 0) FROM said"
        " WHERE said ->> 'month' = %s",
        (list(sources), month),
    ).fetchone()
    assert row is not None
    return float(row[0])


def read_kept(connection: psycopg.Connection, source: str, limit: int = KEPT_IDS) -> list[int]:
    """Hashes of what was kept of a source, the newest, oldest of them first."""
    rows = connection.execute(
        "SELECT id_hash FROM hoaxwatch.source_kept WHERE source = %s"
        " ORDER BY kept_at DESC, id_hash LIMIT %s",
        (source, limit),
    )
    return [row[0] for row in rows][::-1]


def save_mark(cursor: psycopg.Cursor[Any], source: str, mark: Mark, now: datetime) -> None:
    """Stores how far a source was followed, in the caller's transaction."""
    if mark.cursor is not None:
        cursor.execute(
            "INSERT INTO hoaxwatch.source_cursors VALUES (%s, %s, %s) ON CONFLICT (source)"
            " DO UPDATE SET cursor = excluded.cursor, saved_at = excluded.saved_at",
            (source, _without_forgotten(cursor, source, mark.cursor), now),
        )
    if mark.kept:
        cursor.execute(
            "INSERT INTO hoaxwatch.source_kept SELECT DISTINCT %s, id, %s::timestamptz"
            " FROM unnest(%s::bigint[]) AS i (id) ON CONFLICT DO NOTHING",
            (source, now, list(mark.kept)),
        )
    if mark.pulls:
        _save_pulls(cursor, mark.pulls)


def forget_asked(cursor: psycopg.Cursor[Any], sources: Sequence[str], hashtag: str) -> None:
    """Removes what these sources covered of an account (from:ID), and how far they are with it."""
    # cursors first, as in `save_mark`: else each may wait for what the other holds. They name it
    # in quotes, alone or before a span of days
    for source, said in cursor.execute(
        "SELECT source, cursor FROM hoaxwatch.source_cursors"
        " WHERE source = ANY (%s) AND strpos(cursor, %s) > 0 FOR UPDATE",
        (list(sources), f'"{hashtag}'),
    ).fetchall():
        cursor.execute(
            "UPDATE hoaxwatch.source_cursors SET cursor = %s WHERE source = %s",
            (without_asked(said, hashtag), source),
        )
    cursor.execute(
        "DELETE FROM hoaxwatch.collections WHERE source = ANY (%s) AND hashtag = %s",
        (list(sources), hashtag),
    )


def _without_forgotten(cursor: psycopg.Cursor[Any], source: str, said: str) -> str:
    """A source's cursor without the accounts that were forgotten while the source went on."""
    if f'"{ACCOUNT}' not in said:
        return said
    # whoever forgets one just now is waited for
    cursor.execute("SELECT FROM hoaxwatch.source_cursors WHERE source = %s FOR UPDATE", (source,))
    for (hashtag,) in cursor.execute(
        "SELECT hashtag FROM unnest(%s::text[]) AS a (hashtag) WHERE NOT EXISTS ("
        " SELECT FROM hoaxwatch.tracked_accounts a"
        " WHERE a.account_id = substr(hashtag, %s))",
        (sorted(_accounts_in(said)), len(ACCOUNT) + 1),
    ).fetchall():
        said = without_asked(said, hashtag)
    return said


def _accounts_in(cursor: str) -> set[str]:
    """The accounts under which a source's cursor notes something.

    >>> _accounts_in('{"done": {"from:1 2026-03-01 2026-04-01": "7", "snow": "8"}, "spent": 0.5}')
    {'from:1'}
    """
    return {
        key.partition(" ")[0]
        for held in json.loads(cursor).values()
        if isinstance(held, dict)
        for key in held
        if key.startswith(ACCOUNT)
    }


def without_asked(cursor: str, hashtag: str) -> str:
    """A source's cursor without what is noted under a hashtag, alone or before a span of days.

    >>> without_asked('{"done": {"from:1": "7", "from:12": "8"}, "spent": 0.5}', "from:1")
    '{"done": {"from:12": "8"}, "spent": 0.5}'
    """
    return json.dumps(
        {
            name: {key: at for key, at in held.items() if key.partition(" ")[0] != hashtag}
            if isinstance(held, dict)
            else held
            for name, held in json.loads(cursor).items()
        }
    )


def store_mark(connection: psycopg.Connection, source: str, mark: Mark, now: datetime) -> None:
    """The same in a transaction of its own."""
    with connection.transaction(), connection.cursor() as cursor:
        save_mark(cursor, source, mark, now)


def _save_pulls(cursor: psycopg.Cursor[Any], pulls: Iterable[Pull]) -> None:
    """A pull that goes on is stored again and again: what it says last stands."""
    latest = {pull[:3]: pull for pull in pulls}
    rows = [latest[key] for key in sorted(latest)]
    cursor.execute(
        "INSERT INTO hoaxwatch.collections"
        " SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::timestamptz[],"
        " %s::timestamptz[], %s::bigint[], %s::bigint[], %s::boolean[], %s::text[])"
        "  AS p (source, hashtag)"
        # an account that was forgotten while its source went on
        f" WHERE NOT starts_with(hashtag, '{ACCOUNT}') OR EXISTS ("
        "  SELECT FROM hoaxwatch.tracked_accounts a"
        f"  WHERE a.account_id = substr(hashtag, {len(ACCOUNT) + 1}))"
        " ON CONFLICT (source, hashtag, pull) DO UPDATE SET covered_from = excluded.covered_from,"
        " covered_until = excluded.covered_until, asked = excluded.asked, got = excluded.got,"
        " is_capped = excluded.is_capped, error = excluded.error",
        [list(column) for column in zip(*rows, strict=True)],
    )


def read_coverage(
    connection: psycopg.Connection,
    hashtag: str,
    since: datetime | None = None,
    until: datetime | None = None,
    *,
    grain: str = "day",
    zone: str = "UTC",
) -> list[CoveredBucket]:
    """What of each day of a time zone, or of each hour (UTC), that a period touches was collected
    of a hashtag; nothing if it was never tracked."""
    cursor = connection.cursor(row_factory=class_row(CoveredBucket))
    return cursor.execute(
        "SELECT hashtag, bucket_start,"
        " extract(epoch FROM bucket_end - bucket_start)::bigint AS seconds,"
        " is_tracked, covered_seconds, is_capped, errors FROM mart.coverage_by(%s, %s)"
        ' WHERE hashtag = %s COLLATE "C"'
        " AND bucket_end > coalesce(%s, '-infinity'::timestamptz)"
        " AND bucket_start < coalesce(%s, 'infinity'::timestamptz) ORDER BY bucket_start",
        (grain, zone, hashtag, since, until),
    ).fetchall()


def read_pulls(
    connection: psycopg.Connection,
    source: str | None = None,
    hashtag: str | None = None,
    limit: int = 1000,
) -> list[Pull]:
    """The latest pulls, newest first."""
    cursor = connection.cursor(row_factory=class_row(Pull))
    return cursor.execute(
        "SELECT source, hashtag, pull, covered_from, covered_until, asked, got, is_capped, error"
        " FROM hoaxwatch.collections WHERE (%s::text IS NULL OR source = %s)"
        " AND (%s::text IS NULL OR hashtag = %s)"
        " ORDER BY covered_until DESC, source, hashtag, pull LIMIT %s",
        (source, source, hashtag, hashtag, limit),
    ).fetchall()
