"""What the project holds, what waits or was put aside, which policy is in force."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, cast

import psycopg
from psycopg.rows import class_row, dict_row

from storage.rows import PayloadRow, decompress
from storage.writes import QUARANTINE_ID


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
    # what was counted may be gone by now
    for since in (row[0], None):
        newest = connection.execute(
            "SELECT max(posted_at) FROM hoaxwatch.posts WHERE posted_at >= %s",
            (since or datetime.min.replace(tzinfo=UTC),),
        ).fetchone()
        if newest is not None and newest[0] is not None:
            return cast("datetime", newest[0])
    return None


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
