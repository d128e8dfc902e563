"""Cascades of stored posts: which of them changed, what is in them, and what detectors said.

Nothing here is kept by adding. A cascade is judged again when the hash over its posts is not the
one that its verdicts were made from, so order, repetition and crashes change nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

import msgspec
import psycopg

from detectors.cascades import SharedPost
from detectors.fusion import Fused
from streams.records import Verdict

#: One scoring at a time: two would judge the same cascades twice.
CASCADE_LOCK = 0x63617363

#: A root by platform and id.
RootKey = tuple[str, str]


class JudgedState(NamedTuple):
    """A verdict about a cascade at a checkpoint, with what was there by then."""

    checkpoint: str
    n_nodes: int
    seen_until: datetime
    verdict: Verdict


# A root and its shares. The hash does not depend on the order of rows: it is taken over the sorted
# hashes of the posts.
_CASCADES = """
SELECT platform, root_id, md5(string_agg(h, '' ORDER BY h))::uuid AS posts_hash
FROM (
    SELECT platform, root_id, kind,
           md5(post_id || E'\\x1f' || coalesce(share_of, '') || E'\\x1f'
               || extract(epoch FROM posted_at)::text) COLLATE "C" AS h
    FROM hoaxwatch.posts WHERE kind = 'share' OR post_id = root_id
) p
GROUP BY platform, root_id HAVING count(*) FILTER (WHERE kind = 'share') >= %(min_shares)s
"""

_CHANGED = f"""
WITH cascades AS MATERIALIZED ({_CASCADES}), judged AS (
    SELECT platform, root_id, posts_hash FROM hoaxwatch.cascade_verdicts
    WHERE detector = %(detector)s AND version = %(version)s AND checkpoint = 'latest'
)
SELECT platform, root_id, uuid_send(c.posts_hash)
FROM cascades c LEFT JOIN judged j USING (platform, root_id)
WHERE j.posts_hash IS DISTINCT FROM uuid_send(c.posts_hash)
ORDER BY platform, root_id
"""

# What fell below the least number of shares, or was judged by another version.
_DROP_OTHERS = f"""
WITH cascades AS MATERIALIZED ({_CASCADES})
DELETE FROM hoaxwatch.cascade_verdicts v
WHERE detector <> %(detector)s OR version <> %(version)s OR NOT EXISTS (
    SELECT FROM cascades c WHERE c.platform = v.platform AND c.root_id = v.root_id
)
"""

_POSTS = """
SELECT p.platform, p.root_id, p.post_id, p.posted_at,
       CASE WHEN p.kind = 'share' THEN coalesce(p.share_of, p.root_id) END
FROM unnest(%s::text[], %s::text[]) AS r (platform, root_id)
JOIN hoaxwatch.posts p ON p.platform = r.platform AND p.root_id = r.root_id
WHERE p.kind = 'share' OR p.post_id = p.root_id
ORDER BY p.platform, p.root_id, p.posted_at, p.post_id
"""

_OPINIONS = """
SELECT c.platform, c.root_id, v.detector, v.version, v.state, v.score::float8, v.reason
FROM hoaxwatch.cascade_verdicts c
LEFT JOIN hoaxwatch.content k USING (platform, root_id)
LEFT JOIN LATERAL (
    SELECT detector, version, state, score, reason FROM hoaxwatch.verdicts t
    WHERE t.platform = c.platform AND t.root_id = c.root_id AND t.input_hash = k.input_hash
      AND t.detector = ANY (%(texts)s)
    UNION ALL SELECT c.detector, c.version, c.state, c.score, c.reason
) v ON true
WHERE c.detector = %(detector)s AND c.version = %(version)s AND c.checkpoint = 'latest'
ORDER BY c.platform, c.root_id, v.detector, v.version
"""

_MERGE_COMBINED = """
INSERT INTO hoaxwatch.combined_scores AS k
SELECT * FROM stage_combined ORDER BY platform, root_id
ON CONFLICT (platform, root_id) DO UPDATE SET
    fusion = excluded.fusion, score = excluded.score, reason = excluded.reason,
    used = excluded.used, missing = excluded.missing
WHERE (k.*) IS DISTINCT FROM (excluded.*)
"""

_DROP_COMBINED = """
DELETE FROM hoaxwatch.combined_scores k WHERE NOT EXISTS (
    SELECT FROM stage_combined s WHERE s.platform = k.platform AND s.root_id = k.root_id)
"""


def drop_others(
    connection: psycopg.Connection, detector: str, version: str, min_shares: int
) -> None:
    """Removes verdicts of other detectors and versions, and of what is no cascade any more."""
    with connection.transaction(), connection.cursor() as cursor:
        _lock(cursor)
        cursor.execute(
            _DROP_OTHERS, {"detector": detector, "version": version, "min_shares": min_shares}
        )


def read_changed(
    connection: psycopg.Connection, detector: str, version: str, min_shares: int
) -> list[tuple[RootKey, bytes]]:
    """Roots with at least so many shares whose posts are not those that were judged, each with the
    hash over its posts now. Cost: reads all posts (1 to 2 s per million)."""
    found = connection.execute(
        _CHANGED, {"detector": detector, "version": version, "min_shares": min_shares}
    )
    return [((platform, root_id), bytes(digest)) for platform, root_id, digest in found]


def read_posts(
    cursor: psycopg.Cursor[Any], roots: Sequence[RootKey]
) -> Iterator[tuple[RootKey, list[SharedPost]]]:
    """The posts of each of these cascades by time, the root among them if it was collected."""
    columns = [list(column) for column in zip(*roots, strict=True)]
    lines = cursor.execute(_POSTS, columns).fetchall()
    for key, own in groupby(lines, itemgetter(0, 1)):
        yield key, [SharedPost(*line[2:]) for line in own]


def replace_verdicts(
    cursor: psycopg.Cursor[Any],
    detector: str,
    version: str,
    found: Sequence[tuple[RootKey, bytes, Sequence[JudgedState]]],
) -> None:
    """Puts the verdicts of these cascades in the place of what was stored about them."""
    _lock(cursor)
    platforms = [key[0] for key, _, _ in found]
    roots = [key[1] for key, _, _ in found]
    cursor.execute(
        "DELETE FROM hoaxwatch.cascade_verdicts v USING unnest(%s::text[], %s::text[])"
        " AS r (platform, root_id) WHERE v.platform = r.platform AND v.root_id = r.root_id"
        " AND v.detector = %s AND v.version = %s",
        (platforms, roots, detector, version),
    )
    with cursor.copy("COPY hoaxwatch.cascade_verdicts FROM STDIN") as copy:
        for (platform, root_id), posts_hash, states in found:
            for state in states:
                verdict = state.verdict
                copy.write_row(
                    (
                        platform,
                        root_id,
                        detector,
                        version,
                        state.checkpoint,
                        state.n_nodes,
                        state.seen_until,
                        verdict.input_hash,
                        posts_hash,
                        verdict.state,
                        verdict.score,
                        verdict.reason,
                        json.dumps(verdict.evidence),
                    )
                )


def read_opinions(
    cursor: psycopg.Cursor[Any], detector: str, version: str, texts: Sequence[str]
) -> Iterator[tuple[RootKey, list[Verdict]]]:
    """Each judged cascade with the latest verdict about it, and those that the detectors in `texts`
    gave about the words of its root as they stand."""
    lines = cursor.execute(
        _OPINIONS, {"detector": detector, "version": version, "texts": list(texts)}
    ).fetchall()
    for key, own in groupby(lines, itemgetter(0, 1)):
        yield (
            key,
            [
                Verdict(
                    platform=key[0],
                    root_id=key[1],
                    input_hash=b"",
                    detector=by,
                    version=of,
                    state=state,
                    score=score,
                    reason=reason,
                )
                for _, _, by, of, state, score, reason in own
            ],
        )


def replace_combined(
    cursor: psycopg.Cursor[Any], fusion: str, found: Iterable[tuple[RootKey, Fused]]
) -> None:
    """Makes these all the combined scores there are; writes what differs."""
    _lock(cursor)
    cursor.execute(
        "CREATE TEMP TABLE IF NOT EXISTS stage_combined (LIKE hoaxwatch.combined_scores);"
        " TRUNCATE stage_combined"
    )
    with cursor.copy("COPY stage_combined FROM STDIN") as copy:
        for (platform, root_id), fused in found:
            parts = (msgspec.json.encode(own).decode() for own in (fused.used, fused.missing))
            copy.write_row((platform, root_id, fusion, fused.score, fused.reason, *parts))
    cursor.execute(_DROP_COMBINED)
    cursor.execute(_MERGE_COMBINED)


def _lock(cursor: psycopg.Cursor[Any]) -> None:
    cursor.execute("SELECT pg_advisory_xact_lock(%s)", (CASCADE_LOCK,))
