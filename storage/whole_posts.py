"""All that is stored of a post, for detectors that read more than words; words in pictures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import psycopg
from psycopg.rows import dict_row

from storage.writes import DELETION_LOCK, contents_from, storable
from streams.records import Author, Content


class Counted(NamedTuple):
    """A counter as last seen. seen_at: None is not known."""

    value: int
    seen_at: datetime | None


class StoredMedia(NamedTuple):
    """A picture or video. sha256: of its file, if it was fetched."""

    url: str
    kind: str
    sha256: bytes | None = None


class StoredPost(NamedTuple):
    """What is stored of a content beside its words.

    posted_at, author, counters: of the post itself, None and nothing where only shares of it were
    seen. counters: likes, shares and followers, as far as they are known. media: by address.
    judged: (input_hash, read_hash) of the detector's verdict.
    """

    posted_at: datetime | None
    author: Author | None
    counters: Mapping[str, Counted]
    media: tuple[StoredMedia, ...]
    judged: tuple[bytes, bytes | None] | None


# One index lookup per content: see `writes`.
_STORED = """
SELECT k.n, p.posted_at, p.author_id,
       (a.following).value, (a.n_posts).value, (a.verified).value, a.created_at,
       (p.likes).value, nullif((p.likes).observed_at, '-infinity'),
       (p.shares).value, nullif((p.shares).observed_at, '-infinity'),
       (a.followers).value, nullif((a.followers).observed_at, '-infinity'),
       m.urls, m.kinds, m.digests, v.input_hash, v.read_hash
FROM unnest(%(platforms)s::text[], %(root_ids)s::text[]) WITH ORDINALITY AS k (platform, root_id, n)
LEFT JOIN LATERAL (
    SELECT * FROM hoaxwatch.posts p
    WHERE p.platform = k.platform AND p.post_id = k.root_id OFFSET 0
) p ON true
LEFT JOIN LATERAL (
    SELECT * FROM hoaxwatch.authors a
    WHERE a.platform = p.platform AND a.author_id = p.author_id OFFSET 0
) a ON true
LEFT JOIN LATERAL (
    SELECT array_agg(m.url ORDER BY m.url) AS urls, array_agg(m.kind ORDER BY m.url) AS kinds,
           array_agg(f.sha256 ORDER BY m.url) AS digests
    FROM hoaxwatch.media m LEFT JOIN hoaxwatch.media_files f
      ON f.platform = m.platform AND f.root_id = m.root_id
     AND f.url_hash = sha256(convert_to(m.url, 'UTF8'))
    WHERE m.platform = k.platform AND m.root_id = k.root_id OFFSET 0
) m ON true
LEFT JOIN LATERAL (
    SELECT * FROM hoaxwatch.verdicts v
    WHERE v.platform = k.platform AND v.root_id = k.root_id
      AND v.detector = %(detector)s AND v.version = %(version)s OFFSET 0
) v ON true
ORDER BY k.n
"""


def read_stored(
    connection: psycopg.Connection, contents: Sequence[Content], detector: str, version: str
) -> list[StoredPost]:
    """What is stored of each content, in order."""
    found = connection.execute(
        _STORED,
        {
            "platforms": [content.platform for content in contents],
            "root_ids": [content.root_id for content in contents],
            "detector": detector,
            "version": version,
        },
    )
    return [_stored(row) for row in found]


def _stored(row: Sequence[Any]) -> StoredPost:
    (_, posted_at, author_id, following, n_posts, verified, created_at) = row[:7]
    author = None
    if author_id is not None:
        author = Author(
            author_id=author_id,
            followers=row[11],
            following=following,
            n_posts=n_posts,
            created_at=created_at,
            verified=None if verified is None else bool(verified),
        )
    counters = {
        name: Counted(*row[i : i + 2])
        for name, i in (("likes", 7), ("shares", 9), ("followers", 11))
        if row[i] is not None
    }
    media = tuple(
        StoredMedia(url, kind, digest and bytes(digest))
        for url, kind, digest in zip(*(column or () for column in row[13:16]), strict=True)
    )
    judged = None if row[16] is None else (bytes(row[16]), row[17] and bytes(row[17]))
    return StoredPost(posted_at, author, counters, media, judged)


class PictureWords(NamedTuple):
    """What an OCR engine read in a picture of a content."""

    platform: str
    root_id: str
    sha256: bytes
    words: str


def read_words(
    connection: psycopg.Connection, pictures: Iterable[bytes], engine: str
) -> dict[bytes, str]:
    """The words in these pictures, by sha256, as far as that engine has read them for any post."""
    rows = connection.execute(
        "SELECT DISTINCT sha256, words FROM hoaxwatch.picture_words"
        " WHERE sha256 = ANY (%s) AND engine = %s",
        (sorted(set(pictures)), engine),
    )
    return {bytes(digest): words for digest, words in rows}


def store_words(connection: psycopg.Connection, engine: str, read: Iterable[PictureWords]) -> None:
    """Keeps what was read, in one transaction. Of contents that are gone nothing is kept."""
    lines = sorted(set(read))
    if not lines:
        return
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", (DELETION_LOCK,))
        cursor.execute(
            "INSERT INTO hoaxwatch.picture_words"
            " SELECT u.platform, u.root_id, u.sha256, %s, u.words"
            " FROM unnest(%s::text[], %s::text[], %s::bytea[], %s::text[])"
            " AS u (platform, root_id, sha256, words)"
            " JOIN hoaxwatch.content c ON c.platform = u.platform AND c.root_id = u.root_id"
            " ORDER BY 1, 2, 3 ON CONFLICT DO NOTHING",
            (
                engine,
                [line.platform for line in lines],
                [line.root_id for line in lines],
                [line.sha256 for line in lines],
                [storable(line.words) for line in lines],
            ),
        )


def read_words_of(
    connection: psycopg.Connection, platform: str, root_id: str
) -> list[dict[str, Any]]:
    """What OCR read in the pictures of a content, where it read any words."""
    cursor = connection.cursor(row_factory=dict_row)
    return cursor.execute(
        "SELECT encode(sha256, 'hex') AS sha256, engine, words FROM hoaxwatch.picture_words"
        " WHERE platform = %s AND root_id = %s AND words <> '' ORDER BY sha256, engine",
        (platform, root_id),
    ).fetchall()


def read_verdicts(
    connection: psycopg.Connection, platform: str, root_id: str
) -> list[dict[str, Any]]:
    """Every detector's verdict about a content as it stands, the one that counts first."""
    cursor = connection.cursor(row_factory=dict_row)
    return cursor.execute(
        "SELECT v.detector, v.version, v.state, v.score::float8 AS score, v.reason, v.evidence,"
        " v.parts, y.policy_id IS NOT NULL AS counts, y.threshold::float8 AS threshold"
        " FROM hoaxwatch.verdicts v JOIN hoaxwatch.content c USING (platform, root_id)"
        " LEFT JOIN hoaxwatch.verdict_policy y ON y.active AND y.detector = v.detector"
        " AND y.version = v.version"
        " WHERE v.platform = %s AND v.root_id = %s AND v.input_hash = c.input_hash"
        " ORDER BY counts DESC, v.detector, v.version",
        (platform, root_id),
    ).fetchall()


def read_content(connection: psycopg.Connection, platform: str, root_id: str) -> Content:
    """A stored content."""
    (found,) = contents_from(
        connection.execute(
            "SELECT platform, root_id, text, lang, hashtags, links, completeness, input_hash"
            " FROM hoaxwatch.content WHERE platform = %s AND root_id = %s",
            (platform, root_id),
        )
    )
    return found
