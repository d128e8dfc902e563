"""What only a deleted post told goes with it: accounts and contents are told again by what is left.

An account's row has the latest of what all versions of its posts told, and a content that is known
from shares alone has what the latest of them carried. When such a post is deleted, both forget what
they hold, and the raw records of the posts that are left are read and merged again. So the tables
are the same whether a deletion comes before or after the posts.

Who has a post without a raw record (retention dropped it) keeps what is known. Of an account that
has a post from the time of records that were dropped, what no record tells any more stays.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import psycopg

from storage.rows import PayloadRow, decompress

Cursor = psycopg.Cursor[Any]

#: What is known of a content goes with it. The content itself is the last.
CONTENT_TABLES = (
    *("content_hashtags", "content_links", "media", "picture_words", "verdicts"),
    *("cascade_verdicts", "combined_scores", "claim_checks", "claim_matches", "labels", "content"),
)

#: What posts tell of an account.
AUTHOR_COLUMNS = ("handle", "name", "followers", "following", "n_posts", "verified", "created_at")

#: Emptied by who fills them, as in `storage.writes`.
_STAGED = {
    "retold_authors": "LIKE hoaxwatch.authors",
    "retold_contents": "LIKE hoaxwatch.content",
    "retold_posts": """platform text COLLATE "C", post_id text COLLATE "C",
                       PRIMARY KEY (platform, post_id)""",
    "doomed_tellers": """
        platform text COLLATE "C", author_id text COLLATE "C", root_id text COLLATE "C"
    """,
}

_NOTE_TELLERS = """
INSERT INTO doomed_tellers
SELECT p.platform, p.author_id, p.root_id
FROM (SELECT DISTINCT platform, post_id FROM stage_doomed) d
JOIN hoaxwatch.posts p USING (platform, post_id)
"""

# Accounts that nobody's post is left of.
_DELETE_ORPHANS = """
DELETE FROM hoaxwatch.authors a
USING (SELECT DISTINCT platform, author_id FROM doomed_tellers) d
WHERE a.platform = d.platform AND a.author_id = d.author_id
  AND NOT EXISTS (SELECT FROM hoaxwatch.posts p
                  WHERE p.platform = d.platform AND p.author_id = d.author_id)
"""


def deletions_of_untold(contents: str) -> list[str]:
    """Statements that delete those of these contents (a query of platform and root_id) that no post
    points at any more, with all that is known of them. The rows of pictures go now, the files with
    the next sweep."""

    def deletion_from(table: str) -> str:
        return f"""
        DELETE FROM hoaxwatch.{table} t USING ({contents}) d
        WHERE t.platform = d.platform AND t.root_id = d.root_id
          AND NOT EXISTS (SELECT FROM hoaxwatch.posts p
                          WHERE p.platform = d.platform AND p.root_id = d.root_id)
        """

    return [
        f"""
        WITH gone AS ({deletion_from("media_files")} RETURNING t.sha256)
        INSERT INTO hoaxwatch.media_removals
        SELECT DISTINCT sha256 FROM gone WHERE sha256 IS NOT NULL ON CONFLICT DO NOTHING
        """,
        *map(deletion_from, CONTENT_TABLES),
    ]


# The last share of a content that was never seen itself.
_DELETE_UNTOLD = deletions_of_untold("SELECT DISTINCT platform, root_id FROM doomed_tellers")

_HAS_RAW = """EXISTS (SELECT FROM hoaxwatch.payloads y WHERE y.platform = p.platform
                     AND y.post_id = p.post_id AND y.payload_hash = p.payload_hash)"""

#: Posts published before it may have had raw records that retention dropped. Clocks of platforms
#: may be a day ahead of ours.
MAY_HAVE_LOST_BEFORE = """(
    SELECT max(received_before) + interval '1 day' FROM hoaxwatch.payload_drops)"""

_NOTE_AUTHORS = f"""
INSERT INTO retold_authors
SELECT a.* FROM (SELECT DISTINCT platform, author_id FROM doomed_tellers) d
JOIN hoaxwatch.authors a USING (platform, author_id)
-- of most accounts of a stream nothing is known that could have been told by what is gone
WHERE num_nonnulls({", ".join(f"a.{name}" for name in AUTHOR_COLUMNS)}) > 0
  AND NOT EXISTS (SELECT FROM hoaxwatch.posts p
                  WHERE p.platform = a.platform AND p.author_id = a.author_id AND NOT {_HAS_RAW})
"""

# A content that was seen itself has its words from there (completeness 1 or 2).
_NOTE_CONTENTS = f"""
INSERT INTO retold_contents
SELECT c.* FROM (SELECT DISTINCT platform, root_id FROM doomed_tellers) d
JOIN hoaxwatch.content c USING (platform, root_id)
WHERE c.completeness = 0
  AND NOT EXISTS (SELECT FROM hoaxwatch.posts p
                  WHERE p.platform = c.platform AND p.root_id = c.root_id AND NOT {_HAS_RAW})
"""

_NOTE_POSTS = """
INSERT INTO retold_posts
SELECT p.platform, p.post_id FROM retold_authors a
JOIN hoaxwatch.posts p ON p.platform = a.platform AND p.author_id = a.author_id
UNION
SELECT p.platform, p.post_id FROM retold_contents c
JOIN hoaxwatch.posts p ON p.platform = c.platform AND p.root_id = c.root_id
"""

_FORGET = [
    f"""
    UPDATE hoaxwatch.authors a SET {", ".join(f"{name} = NULL" for name in AUTHOR_COLUMNS)}
    FROM retold_authors r WHERE a.platform = r.platform AND a.author_id = r.author_id
    """,
    """
    UPDATE hoaxwatch.content c
    SET completeness = -1, observed_at = '-infinity', payload_hash = ''
    FROM retold_contents r WHERE c.platform = r.platform AND c.root_id = r.root_id
    """,
]

_KEEP_LOST = f"""
UPDATE hoaxwatch.authors a
SET {", ".join(f"{name} = coalesce(a.{name}, r.{name})" for name in AUTHOR_COLUMNS)}
FROM retold_authors r
WHERE a.platform = r.platform AND a.author_id = r.author_id AND EXISTS (
    SELECT FROM hoaxwatch.posts p WHERE p.platform = a.platform AND p.author_id = a.author_id
    AND p.posted_at < {MAY_HAVE_LOST_BEFORE})
"""

# A raw record that no reader understands any more tells nothing: then what was known stays.
_RESTORE_AUTHORS = f"""
UPDATE hoaxwatch.authors a
SET {", ".join(f"{name} = GREATEST(a.{name}, r.{name})" for name in AUTHOR_COLUMNS)}
FROM retold_authors r
WHERE a.platform = r.platform AND a.author_id = r.author_id AND EXISTS (
    SELECT FROM unnest(%s::text[], %s::text[]) AS u (platform, post_id)
    JOIN hoaxwatch.posts p USING (platform, post_id)
    WHERE p.platform = a.platform AND p.author_id = a.author_id)
"""
_RESTORE_CONTENTS = """
UPDATE hoaxwatch.content c
SET completeness = r.completeness, observed_at = r.observed_at, payload_hash = r.payload_hash
FROM retold_contents r
WHERE c.platform = r.platform AND c.root_id = r.root_id AND c.completeness = -1
"""

_TAKE_PAGE = """
WITH page AS (
    SELECT platform, post_id FROM retold_posts ORDER BY platform, post_id LIMIT %s
), taken AS (
    DELETE FROM retold_posts r USING page
    WHERE r.platform = page.platform AND r.post_id = page.post_id
)
SELECT p.platform, p.post_id, y.raw, y.source, p.provenance, p.seen_as
FROM page JOIN hoaxwatch.posts p USING (platform, post_id)
JOIN hoaxwatch.payloads y USING (platform, post_id)
ORDER BY p.platform, p.post_id, y.payload_hash
"""


def prepare(connection: psycopg.Connection) -> None:
    """Makes the temporary tables of this connection. Call once after connecting."""
    tables = (f"CREATE TEMP TABLE IF NOT EXISTS {name} ({of})" for name, of in _STAGED.items())
    connection.execute("; ".join(tables))


def note_tellers(cursor: Cursor) -> None:
    """Remembers what the posts in stage_doomed may have told; before they are deleted."""
    _clear_staging(cursor)
    cursor.execute(_NOTE_TELLERS)


def forget_told(cursor: Cursor) -> None:
    """After they were deleted: drops what nobody tells any more, and has accounts and contents that
    others tell of too forget what they hold. `take_page` says who tells them again."""
    cursor.execute(_DELETE_ORPHANS)
    for statement in (*_DELETE_UNTOLD, _NOTE_AUTHORS, _NOTE_CONTENTS, _NOTE_POSTS, *_FORGET):
        cursor.execute(statement)


def take_page(cursor: Cursor, n_posts: int) -> list[PayloadRow]:
    """All raw records of the next posts that must be read and merged again; empty: that was all."""
    return [
        PayloadRow(platform, post_id, decompress(raw), source, tuple(provenance), seen_as)
        for platform, post_id, raw, source, provenance, seen_as in cursor.execute(
            _TAKE_PAGE, (n_posts,)
        )
    ]


def settle(cursor: Cursor, unread: Collection[tuple[str, str]]) -> None:
    """Call after the last page, in the same transaction, with the (platform, post id) of posts
    that have a raw record which could not be read, or is another post by now."""
    cursor.execute(_KEEP_LOST)
    if unread:
        cursor.execute(_RESTORE_AUTHORS, [list(column) for column in zip(*unread, strict=True)])
    cursor.execute(_RESTORE_CONTENTS)
    _clear_staging(cursor)


def _clear_staging(cursor: Cursor) -> None:
    cursor.execute("; ".join(f"DELETE FROM {table}" for table in _STAGED))
