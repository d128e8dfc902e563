"""Mapping stored raw records again: forget what they said, then merge what they say now.

What is stored is the best of all versions of a post; a corrected reader makes other posts of the
same bytes, and those must win although nothing is newer. So the versions at hand are forgotten
first: their ranks fall below every other, their counters become unknown. Then the mapped posts are
merged as if they came in (`writes.upsert_posts`). All in one transaction of the caller: whoever
reads meanwhile sees the tables as they were.

Which posts are mapped again is decided before anything is forgotten (`select`). Of these, only
posts are forgotten whose standing version is among the stored raw records, and only contents whose
standing version is that of a selected post: what retention has dropped cannot be mapped again and
stays. So do values of posts and accounts that a dropped record may have told, where nothing tells
them any more or only something earlier. What people said of a post or content that is another one
now goes on with its record.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import psycopg

from storage.database import Connection
from storage.retelling import AUTHOR_COLUMNS, MAY_HAVE_LOST_BEFORE, deletions_of_untold

Cursor = psycopg.Cursor[Any]

_STAGING = """
CREATE TEMP TABLE IF NOT EXISTS remap_selected (
    platform text COLLATE "C", post_id text COLLATE "C",
    PRIMARY KEY (platform, post_id)) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE IF NOT EXISTS remap_page (
    platform text COLLATE "C", post_id text COLLATE "C") ON COMMIT DELETE ROWS;
CREATE TEMP TABLE IF NOT EXISTS remap_before (LIKE hoaxwatch.posts) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE IF NOT EXISTS remap_contents (LIKE hoaxwatch.content) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE IF NOT EXISTS remap_authors (LIKE hoaxwatch.authors) ON COMMIT DELETE ROWS;
CREATE UNIQUE INDEX IF NOT EXISTS remap_authors_key ON remap_authors (platform, author_id);
CREATE UNIQUE INDEX IF NOT EXISTS remap_contents_key ON remap_contents (platform, root_id);
CREATE TEMP TABLE IF NOT EXISTS remap_read (
    platform text COLLATE "C", post_id text COLLATE "C", payload_hash bytea,
    now_post_id text COLLATE "C", now_root_id text COLLATE "C") ON COMMIT DELETE ROWS;
CREATE TEMP TABLE IF NOT EXISTS remap_heirs (
    platform text COLLATE "C", root_id text COLLATE "C", heir_id text COLLATE "C",
    PRIMARY KEY (platform, root_id)) ON COMMIT DELETE ROWS;
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
_FORGET_AUTHORS = f"""
WITH seen AS (
    INSERT INTO remap_authors
    SELECT a.* FROM (SELECT DISTINCT platform, author_id FROM remap_before) b
    JOIN hoaxwatch.authors a USING (platform, author_id)
    WHERE NOT EXISTS (
        SELECT FROM hoaxwatch.posts p
        WHERE p.platform = a.platform AND p.author_id = a.author_id AND NOT EXISTS (
            SELECT FROM remap_selected x WHERE x.platform = p.platform AND x.post_id = p.post_id))
    ON CONFLICT DO NOTHING RETURNING platform, author_id
)
UPDATE hoaxwatch.authors a SET {", ".join(f"{name} = NULL" for name in AUTHOR_COLUMNS)}
FROM seen WHERE a.platform = seen.platform AND a.author_id = seen.author_id
"""


def _keep_later(stands: str, before: str, names: Iterable[str]) -> str:
    """Sets values with their times to what they were before, unless what stands is as late."""
    return ", ".join(
        f"{name} = CASE WHEN ({stands}.{name}).observed_at >= ({before}.{name}).observed_at"
        f" THEN {stands}.{name} ELSE coalesce({before}.{name}, {stands}.{name}) END"
        for name in names
    )


# What a record may have told that retention dropped. A corrected reader's value has the time of the
# wrong one, from the same record, and stands.
_KEEP_LOST_OF_POSTS = f"""
UPDATE hoaxwatch.posts p
SET author_id = coalesce(p.author_id, b.author_id),
    {_keep_later("p", "b", ("likes", "shares", "replies", "quotes", "views"))}
FROM remap_before b
WHERE p.platform = b.platform AND p.post_id = b.post_id AND b.posted_at < {MAY_HAVE_LOST_BEFORE}
"""

_KEEP_LOST_OF_AUTHORS = f"""
UPDATE hoaxwatch.authors a
SET created_at = coalesce(a.created_at, r.created_at),
    {_keep_later("a", "r", [name for name in AUTHOR_COLUMNS if name != "created_at"])}
FROM remap_authors r
WHERE a.platform = r.platform AND a.author_id = r.author_id AND EXISTS (
    SELECT FROM hoaxwatch.posts p WHERE p.platform = a.platform AND p.author_id = a.author_id
    AND p.posted_at < {MAY_HAVE_LOST_BEFORE})
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

# The record that gave a content its words is of another content now.
_NOTE_HEIRS = """
INSERT INTO remap_heirs
SELECT c.platform, c.root_id, r.now_root_id FROM remap_contents c
JOIN remap_before b ON b.platform = c.platform AND b.root_id = c.root_id
JOIN remap_read r ON r.platform = b.platform AND r.post_id = b.post_id
                 AND r.payload_hash = c.payload_hash
WHERE r.now_root_id <> c.root_id
ON CONFLICT DO NOTHING
"""

# What was said of a post is said of the post that its record is now.
_MOVE_ERRATA = """
UPDATE hoaxwatch.errata e SET subject_id = n.post_id
FROM remap_before b JOIN remap_read r USING (platform, post_id, payload_hash)
JOIN hoaxwatch.posts n ON n.platform = r.platform AND n.post_id = r.now_post_id
WHERE e.kind = 'post' AND e.platform = b.platform AND e.subject_id = b.post_id
  AND NOT EXISTS (SELECT FROM hoaxwatch.posts p
                  WHERE p.platform = b.platform AND p.post_id = b.post_id)
"""

_COUNT_CHANGED = """
SELECT count(*) FROM remap_before b LEFT JOIN hoaxwatch.posts p USING (platform, post_id)
WHERE (p.*) IS DISTINCT FROM (b.*)
"""

# What people said of a content that nobody points at any more is said of its heir; of two words of
# one person the later counts.
_MOVE_LABELS = """
WITH moved AS (
    INSERT INTO hoaxwatch.labels AS l
    SELECT DISTINCT ON (c.platform, c.root_id, o.labelled_by)
           c.platform, c.root_id, o.labelled_by, o.label, o.note, o.labelled_at
    FROM remap_heirs h JOIN hoaxwatch.labels o USING (platform, root_id)
    JOIN hoaxwatch.content c ON c.platform = h.platform AND c.root_id = h.heir_id
    WHERE NOT EXISTS (SELECT FROM hoaxwatch.posts p
                      WHERE p.platform = h.platform AND p.root_id = h.root_id)
    ORDER BY c.platform, c.root_id, o.labelled_by, o.labelled_at DESC, h.root_id
    ON CONFLICT (platform, root_id, labelled_by) DO UPDATE SET
        label = excluded.label, note = excluded.note, labelled_at = excluded.labelled_at
    WHERE l.labelled_at < excluded.labelled_at
    RETURNING platform, root_id
)
INSERT INTO hoaxwatch.dirty_buckets
SELECT DISTINCT h.hashtag, date_trunc('hour', p.posted_at) FROM moved
JOIN hoaxwatch.posts p USING (platform, root_id)
JOIN hoaxwatch.content_hashtags h USING (platform, root_id)
"""

# A content that nobody points at any more goes; one that only posts without raw records point at
# gets its rank back.
_SETTLE_CONTENTS = [
    _MOVE_LABELS,
    *deletions_of_untold("SELECT platform, root_id FROM remap_contents"),
    """
    UPDATE hoaxwatch.content c
    SET completeness = r.completeness, observed_at = r.observed_at, payload_hash = r.payload_hash
    FROM remap_contents r
    WHERE c.platform = r.platform AND c.root_id = r.root_id AND c.completeness = -1
    """,
]


class ReadAgain(NamedTuple):
    """A stored raw record, and which post of which content it is today."""

    platform: str
    post_id: str
    payload_hash: bytes
    now_post_id: str
    now_root_id: str


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


def settle_page(cursor: Cursor, read: Iterable[ReadAgain]) -> int:
    """Call after the mapped posts of a page were merged: drops what is another post now, and
    returns how many posts are not as they were before `forget`. What was said of a post or content
    that goes is said of what its record is now, as far as it is among those read."""
    cursor.execute("DELETE FROM remap_read")
    _copy(cursor, "remap_read", read)
    for statement in (_DROP_LEFT_OVER, _KEEP_LOST_OF_POSTS, _NOTE_HEIRS, _MOVE_ERRATA):
        cursor.execute(statement)
    row = cursor.execute(_COUNT_CHANGED).fetchone()
    assert row is not None
    return int(row[0])


def settle(cursor: Cursor) -> None:
    """Call once after the last page, in the same transaction."""
    for statement in (_KEEP_LOST_OF_AUTHORS, *_SETTLE_CONTENTS):
        cursor.execute(statement)


def _copy(cursor: Cursor, table: str, lines: Iterable[Sequence[Any]]) -> None:
    with cursor.copy(f"COPY {table} FROM STDIN") as copy:
        for line in lines:
            copy.write_row(line)
