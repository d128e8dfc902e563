"""What bursts are made of: hours of hashtags, and the posts, accounts and followers of one hour."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import psycopg
from psycopg.rows import class_row

from graph.bursts import HourCount, Pulled


class BurstFacts(NamedTuple):
    """What a hashtag's posts of a span are made of."""

    #: Distinct known accounts.
    accounts: int
    #: The content with most posts, as platform:id, and how many these are.
    root: str
    root_posts: int
    #: Followers of the accounts, summed; those whose number is not known are counted apart.
    reach: int
    hidden: int


def read_hours(
    connection: psycopg.Connection,
    min_posts: int,
    since: datetime,
    until: datetime,
    hashtag: str | None = None,
) -> list[HourCount]:
    """All hours of hashtags (or of one) that had at least one hour with so many posts."""
    cursor = connection.cursor(row_factory=class_row(HourCount))
    return cursor.execute(
        "WITH hours AS (SELECT hashtag, bucket_start AS hour, posts FROM hoaxwatch.hashtag_trends"
        "   WHERE grain = 'hour' AND bucket_start >= %(since)s AND bucket_start < %(until)s"
        "   AND (%(hashtag)s::text IS NULL OR hashtag = %(hashtag)s))"
        " SELECT * FROM hours WHERE hashtag IN"
        " (SELECT hashtag FROM hours WHERE posts >= %(min_posts)s)",
        {"hashtag": hashtag, "min_posts": min_posts, "since": since, "until": until},
    ).fetchall()


def read_covered(
    connection: psycopg.Connection, hashtags: Sequence[str]
) -> dict[str, list[Pulled]]:
    """Of which times live sources gave these hashtags; not in it are those that none was asked for:
    of them everything counts as collected."""
    found: dict[str, list[Pulled]] = {}
    for hashtag, since, until, is_capped in connection.execute(
        "SELECT hashtag, extract(epoch FROM covered_from)::float8,"
        " extract(epoch FROM covered_until)::float8, is_capped FROM hoaxwatch.collections"
        " WHERE hashtag = ANY (%s)",
        (list(hashtags),),
    ):
        found.setdefault(hashtag, []).append(Pulled(since, until, is_capped))
    return found


_FACTS = """
WITH found AS (
    SELECT p.platform, p.root_id, p.author_id
    FROM hoaxwatch.content_hashtags h JOIN hoaxwatch.posts p USING (platform, root_id)
    WHERE h.hashtag = %(hashtag)s AND p.posted_at >= %(since)s AND p.posted_at < %(until)s
), roots AS (
    SELECT platform || ':' || root_id AS root, count(*) AS n FROM found GROUP BY 1
    ORDER BY n DESC, root LIMIT 1
), followed AS (
    SELECT (a.followers).value AS followers
    FROM (SELECT DISTINCT platform, author_id FROM found WHERE author_id IS NOT NULL) f
    LEFT JOIN hoaxwatch.authors a USING (platform, author_id)
)
SELECT f.accounts, r.root, r.n AS root_posts, f.reach, f.hidden
FROM roots r, (SELECT count(*) AS accounts, coalesce(sum(followers), 0)::bigint AS reach,
                      count(*) FILTER (WHERE followers IS NULL) AS hidden FROM followed) f
"""


def read_burst_facts(
    connection: psycopg.Connection, hashtag: str, since: datetime, until: datetime
) -> BurstFacts:
    """Who and what a hashtag's posts of a span were; there is at least one."""
    cursor = connection.cursor(row_factory=class_row(BurstFacts))
    row = cursor.execute(_FACTS, {"hashtag": hashtag, "since": since, "until": until}).fetchone()
    assert row is not None, f"no post with {hashtag} from {since} to {until}"
    return row
