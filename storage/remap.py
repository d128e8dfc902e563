"""Mapping stored raw records again: forget what they said, then merge what they say now.

What is stored is the best of all versions of a post; a corrected reader makes other posts of the
same bytes, and those must win although nothing is newer. So the versions at hand are forgotten
first: their ranks fall below every other, their counters become unknown. Then the mapped posts are
merged as if they came in (`writes.upsert_posts`). All in one transaction of the caller: whoever
reads meanwhile sees the tables as they were.

Which posts are mapped again is decided before anything is forgotten (`select`). Of these, only
posts are forgotten whose standing version is among the stored raw records, and only contents whose
standing version is that of a selected post: what retention has dropped cannot be mapped again and
stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import psycopg

from storage.database import Connection

Cursor = psycopg.Cursor[Any]

_STAGING = """
CREATE TEMP TABLE IF NOT EXISTS remap_selected (
    platform text COLLATE "C", post_id text COLLATE "C",
    PRIMARY KEY (platform, post_id)) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE IF NOT EXISTS remap_page (
    platform text COLLATE "C", post_id text COLLATE "C") ON COMMIT DELETE ROWS;
CREATE TEMP TABLE IF NOT EXISTS remap_before (LIKE hoaxwatch.posts) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE IF NOT EXISTS remap_contents (LIKE hoaxwatch.content) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE IF NOT EXISTS remap_authors (
    platform text COLLATE "C", author_id text COLLATE "C",
    PRIMARY KEY (platform, author_id)) ON COMMIT DELETE ROWS;
CREATE UNIQUE INDEX IF NOT EXISTS remap_contents_key ON remap_contents (platform, root_id);
"""

_NOTE_POSTS = """
INSERT INTO remap_before
SELECT p.* FROM remap_page k JOIN hoaxwatch.posts p USING (platform, post_id)
WHERE EXISTS (SELECT FROM hoaxwatch.payloads y WHERE y.platform = p.platform
              AND y.post_id = p.post_id AND y.payload_hash = p.payload_hash)
ORDER BY p.platform, p.post_id FOR UPDATE OF p
"""

_FORGET_POSTS = """
UPDATE hoaxwatch.posts p
SET completeness = -1, observed_at = '-infinity', payload_hash = '', author_id = NULL,
    likes = NULL, shares = NULL, replies = NULL, quotes = NULL, views = NULL
FROM remap_before b WHERE p.platform = b.platform AND p.post_id = b.post_id
"""

# Once in a transaction: later pages hold other posts that point at the same content.
_FORGET_CONTENTS = """
WITH noted AS (
    INSERT INTO remap_contents
    SELECT c.* FROM (SELECT DISTINCT platform, root_id FROM remap_before) b
    JOIN hoaxwatch.content c USING (platform, root_id)
    WHERE EXISTS (SELECT FROM hoaxwatch.posts q
                  JOIN remap_selected x ON x.platform = q.platform AND x.post_id = q.post_id
                  JOIN hoaxwatch.payloads y ON y.platform = q.platform AND y.post_id = q.post_id
                  WHERE q.platform = c.platform AND q.root_id = c.root_id
                  AND y.payload_hash = c.payload_hash)
    ON CONFLICT DO NOTHING RETURNING platform, root_id
)
UPDATE hoaxwatch.content c
SET completeness = -1, observed_at = '-infinity', payload_hash = ''
FROM noted WHERE c.platform = noted.platform AND c.root_id = noted.root_id
"""

# Not those who have other posts as well: what is known of them may come from there.
_FORGET_AUTHORS = """
WITH seen AS (
    INSERT INTO remap_authors SELECT DISTINCT b.platform, b.author_id FROM remap_before b
    WHERE b.author_id IS NOT NULL AND NOT EXISTS (
        SELECT FROM hoaxwatch.posts p
        WHERE p.platform = b.platform AND p.author_id = b.author_id AND NOT EXISTS (
            SELECT FROM remap_selected x WHERE x.platform = p.platform AND x.post_id = p.post_id))
    ON CONFLICT DO NOTHING RETURNING platform, author_id
)
UPDATE hoaxwatch.authors a
SET handle = NULL, name = NULL, followers = NULL, following = NULL, n_posts = NULL,
    verified = NULL, created_at = NULL
FROM seen WHERE a.platform = seen.platform AND a.author_id = seen.author_id
"""

# What no mapped version has claimed: the record is another post now.
_DROP_LEFT_OVER = """
WITH gone AS (
    DELETE FROM hoaxwatch.posts p USING remap_before b
    WHERE p.platform = b.platform AND p.post_id = b.post_id AND p.completeness = -1
    RETURNING p.platform, p.post_id, p.root_id, b.posted_at
), unread AS (
    DELETE FROM hoaxwatch.payloads y USING gone
    WHERE y.platform = gone.platform AND y.post_id = gone.post_id
)
INSERT INTO hoaxwatch.dirty_buckets
SELECT DISTINCT h.hashtag, date_trunc('hour', g.posted_at)
FROM gone g JOIN hoaxwatch.content_hashtags h USING (platform, root_id)
"""

_COUNT_CHANGED = """
SELECT count(*) FROM remap_before b LEFT JOIN hoaxwatch.posts p USING (platform, post_id)
WHERE (p.*) IS DISTINCT FROM (b.*)
"""

# A content that nobody points at any more goes; one that only posts without raw records point at
# gets its rank back.
_SETTLE_CONTENTS = [
    """
    DELETE FROM hoaxwatch.content c USING remap_contents r
    WHERE c.platform = r.platform AND c.root_id = r.root_id AND NOT EXISTS (
        SELECT FROM hoaxwatch.posts p WHERE p.platform = c.platform AND p.root_id = c.root_id)
    """,
    *(
        f"""
        DELETE FROM hoaxwatch.{table} t USING remap_contents r
        WHERE t.platform = r.platform AND t.root_id = r.root_id AND NOT EXISTS (
            SELECT FROM hoaxwatch.content c
            WHERE c.platform = t.platform AND c.root_id = t.root_id)
        """
        for table in ("content_hashtags", "content_links", "media", "verdicts", "picture_words")
    ),
    """
    UPDATE hoaxwatch.content c
    SET completeness = r.completeness, observed_at = r.observed_at, payload_hash = r.payload_hash
    FROM remap_contents r
    WHERE c.platform = r.platform AND c.root_id = r.root_id AND c.completeness = -1
    """,
]


def prepare(connection: Connection) -> None:
    """Makes the temporary tables of this connection. Call once after connecting."""
    connection.execute(_STAGING)


def select(cursor: Cursor, posts: Iterable[tuple[str, str]]) -> None:
    """Says which (platform, post id) will be mapped again; before the first `forget`."""
    _copy(cursor, "remap_selected", posts)
    cursor.execute("ANALYZE remap_selected")


def forget(cursor: Cursor, posts: Sequence[tuple[str, str]]) -> None:
    """Makes the stored versions of these (platform, post id) lose against any other, and those of
    their contents and authors, each once in a transaction."""
    cursor.execute("DELETE FROM remap_page; DELETE FROM remap_before")
    _copy(cursor, "remap_page", posts)
    for statement in (_NOTE_POSTS, _FORGET_CONTENTS, _FORGET_AUTHORS, _FORGET_POSTS):
        cursor.execute(statement)


def settle_page(cursor: Cursor) -> int:
    """Call after the mapped posts of a page were merged: drops what is another post now, and
    returns how many posts are not as they were before `forget`."""
    cursor.execute(_DROP_LEFT_OVER)
    row = cursor.execute(_COUNT_CHANGED).fetchone()
    assert row is not None
    return int(row[0])


def settle(cursor: Cursor) -> None:
    """Call once after the last page, in the same transaction."""
    for statement in _SETTLE_CONTENTS:
        cursor.execute(statement)


def _copy(cursor: Cursor, table: str, keys: Iterable[tuple[str, str]]) -> None:
    with cursor.copy(f"COPY {table} FROM STDIN") as copy:
        for key in keys:
            copy.write_row(key)
