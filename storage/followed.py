"""Words and links that a project follows: their rows stand beside those of hashtags.

Contents that are stored get them in `writes.upsert_posts`; contents that were there before get them
here. Whoever adds or removes a topic holds the lock that everybody who stores posts shares, so a
content is looked at exactly once.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import psycopg
from psycopg.rows import class_row

from graph.followed import Followed
from storage.writes import DELETION_LOCK

#: Contents that are looked at at once, when a topic is added.
PAGE_CONTENTS = 10_000


class FollowedRow(NamedTuple):
    """A followed topic and what is stored of it."""

    topic: str
    followed_at: datetime
    contents: int
    posts: int


_CONTENTS = """
SELECT platform, root_id, text, links FROM hoaxwatch.content
WHERE (platform, root_id) > (%s, %s) ORDER BY platform, root_id LIMIT %s
"""

# All hashtags of the contents: what stands together with a topic is counted with the first of both.
_MARK = """
INSERT INTO hoaxwatch.dirty_buckets
SELECT DISTINCT o.hashtag, date_trunc('hour', p.posted_at)
FROM (SELECT DISTINCT platform, root_id FROM hoaxwatch.content_hashtags
      WHERE hashtag = ANY (%s)) h
JOIN hoaxwatch.posts p USING (platform, root_id)
JOIN hoaxwatch.content_hashtags o USING (platform, root_id)
"""


def follow(connection: psycopg.Connection, topics: Sequence[str], now: datetime) -> dict[str, int]:
    """Follows topics (keys of `graph.followed.topic_key`), in one transaction.

    Returns how many stored contents have each of those that are new. Cost: once through all texts;
    meanwhile nobody stores posts.
    """
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", (DELETION_LOCK,))
        new = cursor.execute(
            "INSERT INTO hoaxwatch.followed SELECT topic, %s FROM unnest(%s::text[]) AS t (topic)"
            " ON CONFLICT DO NOTHING RETURNING topic",
            (now, list(topics)),
        ).fetchall()
        found = {topic: 0 for (topic,) in new}
        followed, last = Followed.of(found), ("", "")
        while followed:
            page = cursor.execute(_CONTENTS, (*last, PAGE_CONTENTS)).fetchall()
            if not page:
                break
            last = page[-1][:2]
            rows = [
                (topic, platform, root)
                for platform, root, text, links in page
                for topic in followed.find(text, links)
            ]
            for topic, _, _ in rows:
                found[topic] += 1
            with cursor.copy("COPY hoaxwatch.content_hashtags FROM STDIN") as copy:
                for row in rows:
                    copy.write_row((*row, row[0]))
        cursor.execute(_MARK, (list(found),))
    return found


def unfollow(connection: psycopg.Connection, topics: Sequence[str]) -> list[str]:
    """Takes topics out of all tables; returns those that were followed."""
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", (DELETION_LOCK,))
        gone = cursor.execute(
            "DELETE FROM hoaxwatch.followed WHERE topic = ANY (%s) RETURNING topic", (list(topics),)
        ).fetchall()
        names = sorted(topic for (topic,) in gone)
        cursor.execute(_MARK, (names,))
        cursor.execute("DELETE FROM hoaxwatch.content_hashtags WHERE hashtag = ANY (%s)", (names,))
    return names


def list_followed(connection: psycopg.Connection) -> list[FollowedRow]:
    """The followed topics with how many contents and posts have them."""
    cursor: psycopg.Cursor[Any] = connection.cursor(row_factory=class_row(FollowedRow))
    return cursor.execute(
        "SELECT f.topic, f.followed_at, count(DISTINCT (h.platform, h.root_id))"
        " FILTER (WHERE h.root_id IS NOT NULL) AS contents,"
        " count(p.post_id) AS posts FROM hoaxwatch.followed f"
        " LEFT JOIN hoaxwatch.content_hashtags h ON h.hashtag = f.topic"
        " LEFT JOIN hoaxwatch.posts p USING (platform, root_id)"
        " GROUP BY f.topic ORDER BY f.topic"
    ).fetchall()
