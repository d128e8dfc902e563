"""How long posts and raw records are kept, and how the room they took is given back.

Posts go by contents: an original with all its shares, when the last of them is older than the
floor. So the user networks of what stays are whole. A content that no post has any more goes too.
What was counted of days before the floor stays as it was; nothing there is counted again
(`storage.recount`), and older posts are not taken any more (`without_outdated`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from storage.database import MIGRATION_LOCK
from storage.recount import N_SHARDS, TRACK_LOCK
from storage.retelling import CONTENT_TABLES
from storage.writes import DELETION_LOCK
from streams.records import Post

#: Contents, or rows, that are removed in one transaction.
BATCH = 2_000


class Partition(NamedTuple):
    """Raw records that were received in a month; both ends None: in no other partition's."""

    name: str
    since: datetime | None
    until: datetime | None
    records: int
    bytes: int


class Doomed(NamedTuple):
    """What a floor would remove."""

    contents: int
    posts: int
    labelled: int


_PARTITIONS = r"""
SELECT c.relname, pg_total_relation_size(c.oid),
       substring(pg_get_expr(c.relpartbound, c.oid) FROM $$FROM \('([^']+)'\)$$)::timestamptz,
       substring(pg_get_expr(c.relpartbound, c.oid) FROM $$TO \('([^']+)'\)$$)::timestamptz
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'hoaxwatch.payloads'::regclass ORDER BY 3 NULLS FIRST
"""


def read_partitions(connection: psycopg.Connection) -> list[Partition]:
    """The partitions of the raw records, in order of time. Counts the rows of each."""
    found = []
    for name, size, since, until in connection.execute(_PARTITIONS).fetchall():
        count = sql.SQL("SELECT count(*) FROM hoaxwatch.{}").format(sql.Identifier(name))
        row = connection.execute(count).fetchone()
        assert row is not None
        found.append(Partition(name, since, until, int(row[0]), int(size)))
    return found


_NOTE_DROP = """
INSERT INTO hoaxwatch.payload_drops
SELECT %s WHERE EXISTS (SELECT FROM hoaxwatch.payloads WHERE received_at < %s)
ON CONFLICT DO NOTHING
"""


def drop_payloads(
    connection: psycopg.Connection,
    before: datetime,
    watch: Callable[[int], None] = lambda n_records: None,
) -> tuple[list[str], int]:
    """Removes the raw records of all months that ended by then, and what was quarantined before;
    returns the partitions dropped, and how many records were deleted besides.

    A partition goes at once, whatever its size; the rest in batches of one transaction each. First
    it is noted that they go: what they told nothing tells again (`storage.remap`). `watch` is told
    how many records were deleted so far.
    """
    month = before.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    connection.execute(_NOTE_DROP, (month, month))
    dropped = []
    for partition in read_partitions(connection):
        if partition.until is None or partition.until > month:
            continue
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (MIGRATION_LOCK,))
            name = sql.Identifier(partition.name)
            connection.execute(sql.SQL("DROP TABLE IF EXISTS hoaxwatch.{}").format(name))
        dropped.append(partition.name)
    n_deleted = 0
    for table in ("payloads_default", "quarantine"):
        while n := connection.execute(
            f"DELETE FROM hoaxwatch.{table} WHERE ctid = ANY (ARRAY("
            f"SELECT ctid FROM hoaxwatch.{table} WHERE received_at < %s LIMIT %s))".encode(),
            (month, BATCH),
        ).rowcount:
            n_deleted += n
            watch(n_deleted)
    return dropped, n_deleted


def read_floor(connection: psycopg.Connection | psycopg.Cursor[Any]) -> datetime | None:
    """From when on posts are kept; None: all are."""
    row = connection.execute("SELECT max(floor) FROM hoaxwatch.retention").fetchone()
    return None if row is None else row[0]


def without_outdated(
    cursor: psycopg.Cursor[Any], posts: Sequence[Post]
) -> tuple[Sequence[Post], int]:
    """The posts that may be stored, and how many may not: older than what is kept, and not stored.

    What is stored is older if shares of it are not; it may be met again. Call it in the transaction
    that stores them, after `writes.without_deleted`: until that ends, the floor stays.
    """
    floor = read_floor(cursor)
    old = {(p.platform, p.post_id) for p in posts if floor is not None and p.posted_at < floor}
    if not old:
        return posts, 0
    names = sorted(old)
    known = set(
        cursor.execute(
            "SELECT platform, post_id FROM hoaxwatch.posts JOIN"
            " unnest(%s::text[], %s::text[]) AS o (platform, post_id) USING (platform, post_id)",
            ([platform for platform, _ in names], [post_id for _, post_id in names]),
        ).fetchall()
    )
    kept = [p for p in posts if (p.platform, p.post_id) not in old - known]
    return kept, len(posts) - len(kept)


# A content has no post once a better version of its only one is of another content.
_FIND = """
SELECT p.platform, p.root_id FROM hoaxwatch.posts p
WHERE p.posted_at < %s AND NOT EXISTS (
    SELECT FROM hoaxwatch.posts n
    WHERE n.platform = p.platform AND n.root_id = p.root_id AND n.posted_at >= %s)
UNION
SELECT c.platform, c.root_id FROM hoaxwatch.content c WHERE NOT EXISTS (
    SELECT FROM hoaxwatch.posts p WHERE p.platform = c.platform AND p.root_id = c.root_id)
"""


def count_doomed(connection: psycopg.Connection, floor: datetime) -> Doomed:
    """What this floor would remove, and how much of it people labelled."""
    cursor = connection.cursor(row_factory=class_row(Doomed))
    found = cursor.execute(
        f"WITH doomed AS ({_FIND})"
        " SELECT count(*) AS contents, coalesce(sum((SELECT count(*) FROM hoaxwatch.posts p"
        "   WHERE p.platform = d.platform AND p.root_id = d.root_id)), 0)::bigint AS posts,"
        " count(*) FILTER (WHERE EXISTS (SELECT FROM hoaxwatch.labels l"
        "   WHERE l.platform = d.platform AND l.root_id = d.root_id)) AS labelled"
        " FROM doomed d".encode(),
        (floor, floor),
    ).fetchone()
    assert found is not None
    return found


def raise_floor(connection: psycopg.Connection, floor: datetime, now: datetime) -> bool:
    """From now on nothing older is taken or counted. False, and nothing is done, if something older
    waits to be counted: count it and call again.

    Waits for those who store or count now; a lower floor than the one in force changes nothing.
    """
    with connection.transaction():
        connection.execute(
            "SELECT pg_advisory_xact_lock(%s, shard) FROM generate_series(0, %s) AS shard",
            (TRACK_LOCK, N_SHARDS - 1),
        )
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (DELETION_LOCK,))
        standing = read_floor(connection)
        if standing is not None and standing >= floor:
            return True
        waits = connection.execute(
            "SELECT EXISTS (SELECT FROM hoaxwatch.dirty_buckets WHERE hour < %s)", (floor,)
        ).fetchone()
        if waits is not None and waits[0]:
            return False
        connection.execute(
            "INSERT INTO hoaxwatch.retention (floor, raised_at) VALUES (%s, %s)", (floor, now)
        )
    return True


_STAGING = """
CREATE TEMP TABLE IF NOT EXISTS outdated (
    platform text COLLATE "C", root_id text COLLATE "C",
    number bigint GENERATED ALWAYS AS IDENTITY);
CREATE TEMP TABLE IF NOT EXISTS outdated_batch (
    platform text COLLATE "C", root_id text COLLATE "C");
CREATE TEMP TABLE IF NOT EXISTS outdated_posts (
    platform text COLLATE "C", post_id text COLLATE "C", author_id text COLLATE "C");
TRUNCATE outdated, outdated_batch, outdated_posts;
"""

# A share may have come since the contents were found.
_NEXT_BATCH = """
WITH next AS (
    DELETE FROM outdated WHERE number IN (SELECT number FROM outdated ORDER BY number LIMIT %s)
    RETURNING platform, root_id
), looked_at AS (
    INSERT INTO outdated_batch
    SELECT platform, root_id FROM next x WHERE NOT EXISTS (
        SELECT FROM hoaxwatch.posts n
        WHERE n.platform = x.platform AND n.root_id = x.root_id AND n.posted_at >= %s)
)
SELECT count(*) FROM next
"""

_REMOVE = [
    """
    WITH gone AS (
        DELETE FROM hoaxwatch.posts p USING outdated_batch b
        WHERE p.platform = b.platform AND p.root_id = b.root_id
        RETURNING p.platform, p.post_id, p.author_id
    )
    INSERT INTO outdated_posts SELECT * FROM gone
    """,
    """
    DELETE FROM hoaxwatch.payloads y USING outdated_posts g
    WHERE y.platform = g.platform AND y.post_id = g.post_id
    """,
    # the rows go now, the files with the next sweep
    """
    WITH gone AS (
        DELETE FROM hoaxwatch.media_files f USING outdated_batch b
        WHERE f.platform = b.platform AND f.root_id = b.root_id RETURNING f.sha256
    )
    INSERT INTO hoaxwatch.media_removals
    SELECT DISTINCT sha256 FROM gone WHERE sha256 IS NOT NULL ON CONFLICT DO NOTHING
    """,
    *(
        f"""
        DELETE FROM hoaxwatch.{table} t USING outdated_batch b
        WHERE t.platform = b.platform AND t.root_id = b.root_id
        """
        for table in CONTENT_TABLES
    ),
    """
    DELETE FROM hoaxwatch.authors a
    USING (SELECT DISTINCT platform, author_id FROM outdated_posts) g
    WHERE a.platform = g.platform AND a.author_id = g.author_id AND NOT EXISTS (
        SELECT FROM hoaxwatch.posts p WHERE p.platform = a.platform AND p.author_id = a.author_id)
    """,
]

_NOTE = """
UPDATE hoaxwatch.retention SET
    contents_removed = contents_removed + (SELECT count(*) FROM outdated_batch),
    posts_removed = posts_removed + (SELECT count(*) FROM outdated_posts)
WHERE floor = %s
"""


def remove_outdated(
    connection: psycopg.Connection,
    now: Callable[[], datetime],
    watch: Callable[[int], None] = lambda n_posts: None,
) -> int:
    """Removes what lies wholly before the floor, in batches of one transaction each; returns how
    many posts went. Killed in the middle, the next call does the rest. `watch` is told how many
    went so far."""
    floor = read_floor(connection)
    if floor is None:
        return 0
    connection.execute(_STAGING)
    connection.execute(f"INSERT INTO outdated (platform, root_id) {_FIND}".encode(), (floor, floor))
    n_posts = 0
    while True:
        with connection.transaction(), connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", (DELETION_LOCK,))
            cursor.execute("DELETE FROM outdated_batch; DELETE FROM outdated_posts")
            row = cursor.execute(_NEXT_BATCH, (BATCH, floor)).fetchone()
            if row is None or not row[0]:
                break
            for statement in _REMOVE:
                cursor.execute(statement)
            n_posts += _count(cursor, "outdated_posts")
            cursor.execute(_NOTE, (floor,))
        watch(n_posts)
    connection.execute(
        "UPDATE hoaxwatch.retention SET finished_at = %s WHERE floor = %s AND finished_at IS NULL",
        (now(), floor),
    )
    return n_posts


def _count(cursor: psycopg.Cursor[Any], table: str) -> int:
    row = cursor.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()
    assert row is not None
    return int(row[0])


def vacuum(
    connection: psycopg.Connection,
    *,
    full: bool = False,
    watch: Callable[[str], None] = lambda table: None,
) -> tuple[int, int]:
    """Has the server take back the room of what was removed, and count anew for its planner;
    returns the bytes of all tables before and after. `watch` is told which table is next.

    `full` writes each table anew and gives the room back to the disk; it needs as much room again,
    and nobody can use the table meanwhile.
    """
    before = _size(connection)
    for table in _tables(connection):
        watch(table)
        options = sql.SQL("FULL, ANALYZE" if full else "ANALYZE")
        connection.execute(
            sql.SQL("VACUUM ({}) hoaxwatch.{}").format(options, sql.Identifier(table))
        )
    return before, _size(connection)


def _tables(connection: psycopg.Connection) -> Iterable[str]:
    rows = connection.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'hoaxwatch'::regnamespace"
        " AND relkind = 'r' ORDER BY relname"
    ).fetchall()
    return [str(name) for (name,) in rows]


def _size(connection: psycopg.Connection) -> int:
    row = connection.execute(
        "SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM pg_class"
        " WHERE relnamespace = 'hoaxwatch'::regnamespace AND relkind = 'r'"
    ).fetchone()
    assert row is not None
    return int(row[0])
