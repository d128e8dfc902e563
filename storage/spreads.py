"""The posts of a topic with what they say and how it was judged: what `graph.spread` works on."""

from __future__ import annotations

from collections.abc import Iterable

import psycopg

from graph.spread import Spread, SpreadContent, SpreadPost, choose, roots_of
from graph.topics import Topic

_POSTS = """
SELECT p.platform || ':' || p.post_id,
       (extract(epoch FROM p.posted_at) * 1000000)::bigint,
       CASE WHEN p.author_id IS NOT NULL THEN p.platform || ':' || p.author_id END,
       p.platform || ':' || p.root_id,
       p.platform || ':' || coalesce(p.shared_via, p.share_of, p.reply_to),
       p.platform || ':' || p.share_of
FROM {posts} p
ORDER BY 1
"""

_CONTENTS = """
SELECT c.platform || ':' || c.root_id, c.text, c.hashtags, c.links, v.probability::float8,
       v.likely_false,
       ARRAY(SELECT m.url FROM hoaxwatch.media m WHERE m.platform = c.platform
             AND m.root_id = c.root_id AND m.kind = 'image' ORDER BY m.url)
FROM {contents} c JOIN hoaxwatch.content_verdict v USING (platform, root_id)
"""

_OF_ROOTS = """(
    SELECT t.* FROM unnest(%(platforms)s::text[], %(roots)s::text[]) AS r (platform, root_id)
    JOIN {table} t USING (platform, root_id))"""

# A post, which may not have been collected, with its shares and what answers it, and so on down;
# UNION drops what was met before.
_BELOW = """(
    WITH RECURSIVE below (platform, post_id) AS (
        (SELECT split_part(%(root)s, ':', 1) COLLATE "C",
                substr(%(root)s, strpos(%(root)s, ':') + 1) COLLATE "C"
         UNION
         SELECT p.platform, %(root)s COLLATE "C" FROM hoaxwatch.posts p
         WHERE %(root)s IN (p.post_id, p.share_of, p.shared_via, p.reply_to))
        UNION
        SELECT child.platform, child.post_id
        FROM below b JOIN (
            SELECT platform, post_id, share_of AS parent_id FROM hoaxwatch.posts
            UNION ALL SELECT platform, post_id, shared_via FROM hoaxwatch.posts
            UNION ALL SELECT platform, post_id, reply_to FROM hoaxwatch.posts
        ) child ON child.platform = b.platform AND child.parent_id = b.post_id
    ) SELECT p.* FROM below JOIN hoaxwatch.posts p USING (platform, post_id))"""


def read_spread(connection: psycopg.Connection, topic: Topic) -> Spread:
    """The posts of a topic over all time, and their contents with the verdicts that count.

    What belongs to a topic is said by `graph.spread.choose`; here only what cannot belong is left
    out early. Words and links are compared in Python, which goes once through all texts.
    """
    if topic.root is not None:
        posts = _read_posts(connection, _BELOW, {"root": topic.root})
    elif topic.hashtag is not None:
        found = connection.execute(
            "SELECT platform || ':' || root_id FROM hoaxwatch.content_hashtags WHERE hashtag = %s",
            (topic.hashtag,),
        )
        posts = _read_posts_of(connection, (root for (root,) in found))
    elif topic.keywords or topic.link is not None:
        posts = _read_posts_of(connection, roots_of(_read_contents(connection, None), topic))
    else:
        posts = _read_posts(connection, "hoaxwatch.posts", {})
    contents = _read_contents(connection, {post.root for post in posts})
    return choose(Spread(posts, contents), topic)


def _read_posts_of(connection: psycopg.Connection, roots: Iterable[str]) -> tuple[SpreadPost, ...]:
    return _read_posts(connection, _OF_ROOTS.format(table="hoaxwatch.posts"), _columns_of(roots))


def _read_posts(
    connection: psycopg.Connection, posts: str, parameters: dict[str, object]
) -> tuple[SpreadPost, ...]:
    rows = connection.execute(_POSTS.format(posts=posts).encode(), parameters or None)
    return tuple(SpreadPost(*row) for row in rows)


def _read_contents(
    connection: psycopg.Connection, roots: Iterable[str] | None
) -> dict[str, SpreadContent]:
    """Contents by key; of these roots, or all."""
    table = "hoaxwatch.content" if roots is None else _OF_ROOTS.format(table="hoaxwatch.content")
    rows = connection.execute(
        _CONTENTS.format(contents=table).encode(), None if roots is None else _columns_of(roots)
    )
    return {
        root: SpreadContent(
            text, tuple(hashtags), tuple(links), probability, likely_false, tuple(images)
        )
        for root, text, hashtags, links, probability, likely_false, images in rows
    }


def _columns_of(roots: Iterable[str]) -> dict[str, object]:
    pairs = [root.partition(":") for root in sorted(roots)]
    return {"platforms": [pair[0] for pair in pairs], "roots": [pair[2] for pair in pairs]}
