"""Pictures of posts: which are wanted, what came of fetching them, which files must go.

A file may stand on disk only while `media_removals` or a row of `media_files` names it: so whatever
dies in between, and whatever is forgotten meanwhile, a later sweep finds it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from hashlib import sha256
from typing import NamedTuple

import psycopg
from psycopg.rows import class_row

from storage.writes import DELETION_LOCK, commit_this_at_once
from streams.records import Content

#: Held by who writes or removes files: a file is never removed under one that just names it.
MEDIA_LOCK = 0x6D656469
#: What failed in passing is tried so often in all.
MOST_TRIES = 5

EXPIRED = "removed by retention"


class Wanted(NamedTuple):
    """A picture of a content, by its address."""

    platform: str
    root_id: str
    url: str


class MediaFile(NamedTuple):
    """What came of fetching one. `sha256`, `type` and `n_bytes` are None where `error` says why."""

    platform: str
    root_id: str
    url: str
    sha256: bytes | None
    type: str | None
    n_bytes: int | None
    fetched_at: datetime
    error: str | None = None
    is_passing: bool = False
    tries: int = 1


# The address of a video is its cover where the platform has one; a film itself is refused by its
# first bytes.
_WITH_FILES = """
LEFT JOIN hoaxwatch.media_files f ON f.platform = m.platform AND f.root_id = m.root_id
      AND f.url_hash = sha256(convert_to(m.url, 'UTF8'))
"""
_IS_WANTED = "(f.tries IS NULL OR f.is_passing AND f.tries < %(most_tries)s)"


def read_wanted(connection: psycopg.Connection, limit: int) -> list[Wanted]:
    """Pictures that were not fetched yet, or failed in passing; of the newest posts first: some
    platforms' addresses hold for days only."""
    cursor = connection.cursor(row_factory=class_row(Wanted))
    return cursor.execute(
        "SELECT m.platform, m.root_id, m.url FROM hoaxwatch.media m"
        " LEFT JOIN hoaxwatch.posts p ON p.platform = m.platform AND p.post_id = m.root_id"
        f"{_WITH_FILES} WHERE {_IS_WANTED}"
        " ORDER BY p.posted_at DESC NULLS LAST, m.platform, m.root_id, m.url LIMIT %(limit)s",
        {"most_tries": MOST_TRIES, "limit": limit},
    ).fetchall()


def read_wanted_of(
    connection: psycopg.Connection, contents: Sequence[Content], most: int
) -> list[Wanted]:
    """The same of these contents, in their order, as far as the picture is among the first `most`
    of its post."""
    cursor = connection.cursor(row_factory=class_row(Wanted))
    return cursor.execute(
        "SELECT m.platform, m.root_id, m.url FROM unnest(%(platforms)s::text[], %(ids)s::text[])"
        " WITH ORDINALITY AS k (platform, root_id, n) CROSS JOIN LATERAL ("
        " SELECT * FROM hoaxwatch.media m WHERE m.platform = k.platform AND m.root_id = k.root_id"
        f" ORDER BY m.url LIMIT %(most)s) m {_WITH_FILES} WHERE {_IS_WANTED} ORDER BY k.n, m.url",
        {
            "platforms": [content.platform for content in contents],
            "ids": [content.root_id for content in contents],
            "most": most,
            "most_tries": MOST_TRIES,
        },
    ).fetchall()


@contextmanager
def with_files(connection: psycopg.Connection) -> Iterator[None]:
    """Inside, no other process writes or removes files of this database."""
    connection.execute("SELECT pg_advisory_lock(%s)", (MEDIA_LOCK,))
    try:
        yield
    finally:
        connection.execute("SELECT pg_advisory_unlock(%s)", (MEDIA_LOCK,))


def announce(connection: psycopg.Connection, hashes: Sequence[bytes]) -> None:
    """Says that these files will be written: before they are, and inside `with_files`. It is on
    disk when it returns: a server that forgot it would leave files that nobody knows."""
    with connection.transaction(), connection.cursor() as cursor:
        commit_this_at_once(cursor)
        cursor.execute(
            "INSERT INTO hoaxwatch.media_removals SELECT DISTINCT unnest(%s::bytea[])"
            " ON CONFLICT DO NOTHING",
            (list(hashes),),
        )


def save(connection: psycopg.Connection, found: Sequence[MediaFile]) -> None:
    """Stores what came of fetching. Of contents that were deleted meanwhile nothing is stored."""
    rows = [
        (f.platform, f.root_id, sha256(f.url.encode()).digest(), *f[2:-1])
        for f in sorted(found, key=lambda f: f[:3])
    ]
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", (DELETION_LOCK,))
        cursor.executemany(
            "INSERT INTO hoaxwatch.media_files AS f"
            " SELECT v.*, 1 FROM (VALUES (%s::text, %s::text, %s::bytea, %s::text, %s::bytea,"
            " %s::text, %s::bigint, %s::timestamptz, %s::text, %s::boolean))"
            " AS v (platform, root_id, url_hash, url, sha256, type, n_bytes, fetched_at, error,"
            " is_passing) WHERE EXISTS (SELECT FROM hoaxwatch.media m"
            " WHERE m.platform = v.platform AND m.root_id = v.root_id AND m.url = v.url)"
            " ON CONFLICT (platform, root_id, url_hash) DO UPDATE SET sha256 = excluded.sha256,"
            " type = excluded.type, n_bytes = excluded.n_bytes, error = excluded.error,"
            " fetched_at = excluded.fetched_at, is_passing = excluded.is_passing,"
            " tries = f.tries + 1 WHERE f.sha256 IS NULL",
            rows,
        )


def expire(connection: psycopg.Connection, before: datetime) -> int:
    """Lets go of what was fetched before; it is not fetched again. Returns how many pictures."""
    with with_files(connection), connection.transaction():
        done = connection.execute(
            "WITH old AS (SELECT platform, root_id, url_hash, sha256 FROM hoaxwatch.media_files"
            " WHERE fetched_at < %s AND sha256 IS NOT NULL FOR UPDATE), named AS ("
            " INSERT INTO hoaxwatch.media_removals SELECT DISTINCT sha256 FROM old"
            " ON CONFLICT DO NOTHING)"
            " UPDATE hoaxwatch.media_files f SET sha256 = NULL, type = NULL, n_bytes = NULL,"
            " error = %s, is_passing = false FROM old"
            " WHERE (f.platform, f.root_id, f.url_hash)"
            " = (old.platform, old.root_id, old.url_hash)",
            (before, EXPIRED),
        )
        return done.rowcount


def sweep(connection: psycopg.Connection, remove: Callable[[bytes], None]) -> int:
    """Has each file removed that no row names any more; returns how many there were.

    Removing takes a while, and what is deleted meanwhile is for the next sweep: its note stays."""
    with with_files(connection):
        rows = connection.execute(
            "SELECT r.sha256 FROM hoaxwatch.media_removals r WHERE NOT EXISTS"
            " (SELECT FROM hoaxwatch.media_files f WHERE f.sha256 = r.sha256) ORDER BY 1"
        ).fetchall()
        removed = [digest for (digest,) in rows]
        for digest in removed:
            remove(digest)
        with connection.transaction():
            # a deletion that is not committed yet may rely on a note that we still see named
            connection.execute("SELECT pg_advisory_xact_lock_shared(%s)", (DELETION_LOCK,))
            connection.execute(
                "DELETE FROM hoaxwatch.media_removals r WHERE r.sha256 = ANY (%s) OR EXISTS"
                " (SELECT FROM hoaxwatch.media_files f WHERE f.sha256 = r.sha256)",
                (removed,),
            )
        return len(removed)


def find(connection: psycopg.Connection, platform: str, root_id: str, url: str) -> bytes | None:
    """The SHA-256 of a content's picture; None: it was not fetched."""
    row = connection.execute(
        "SELECT sha256 FROM hoaxwatch.media_files WHERE platform = %s AND root_id = %s"
        " AND url_hash = sha256(convert_to(%s, 'UTF8'))",
        (platform, root_id, url),
    ).fetchone()
    return None if row is None else row[0]


def read_files(
    connection: psycopg.Connection, *, only_errors: bool = False, limit: int = 1000
) -> list[MediaFile]:
    """What came of fetching, the latest first."""
    cursor = connection.cursor(row_factory=class_row(MediaFile))
    return cursor.execute(
        "SELECT platform, root_id, url, sha256, type, n_bytes, fetched_at, error, is_passing, tries"
        " FROM hoaxwatch.media_files WHERE NOT %s OR error IS NOT NULL"
        " ORDER BY fetched_at DESC, platform, root_id, url LIMIT %s",
        (only_errors, limit),
    ).fetchall()
