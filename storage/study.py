"""The posts of a study: what was collected of its hashtags, and what is said of each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import psycopg
from psycopg.rows import class_row


class StudyPost(NamedTuple):
    """A post that is no share, as one detector sees it. `is_false` is what people say of it (None:
    nobody, or they are unsure)."""

    day: datetime
    platform: str
    post_id: str
    score: float | None
    reason: str | None
    is_false: bool | None


def read_posts(
    connection: psycopg.Connection,
    hashtags: Sequence[str],
    since: datetime,
    until: datetime,
    detector: str,
    version: str,
) -> list[StudyPost]:
    """Collected posts with one of the hashtags (counting form), by UTC day and id. Neither score
    nor reason: the detector has not seen it yet."""
    cursor = connection.cursor(row_factory=class_row(StudyPost))
    return cursor.execute(
        "SELECT date_trunc('day', p.posted_at, 'UTC') AS day, p.platform, p.post_id,"
        " v.score::float8, v.reason,"
        # one definition of whose word counts: that of the view
        " CASE WHEN w.state = 'labelled' THEN w.likely_false END AS is_false"
        " FROM hoaxwatch.posts p JOIN hoaxwatch.content c USING (platform, root_id)"
        " JOIN hoaxwatch.content_verdict w USING (platform, root_id)"
        " LEFT JOIN hoaxwatch.verdicts v ON v.platform = c.platform AND v.root_id = c.root_id"
        " AND v.detector = %(detector)s AND v.version = %(version)s"
        " AND v.input_hash = c.input_hash"
        " WHERE p.kind <> 'share' AND p.seen_as = 'collected'"
        " AND p.posted_at >= %(since)s AND p.posted_at < %(until)s"
        " AND EXISTS (SELECT FROM hoaxwatch.content_hashtags h WHERE h.platform = c.platform"
        " AND h.root_id = c.root_id AND h.hashtag = ANY (%(hashtags)s))"
        " ORDER BY day, p.platform, p.post_id",
        {
            "hashtags": list(hashtags),
            "since": since,
            "until": until,
            "detector": detector,
            "version": version,
        },
    ).fetchall()
