"""The posts of a topic with what they say and how it was judged: what `graph.spread` works on."""

from __future__ import annotations

from collections import defaultdict
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

_OF_IDS = """(
    SELECT p.* FROM unnest(%(platforms)s::text[], %(ids)s::text[]) AS i (platform, post_id)
    JOIN hoaxwatch.posts p USING (platform, post_id))"""

_PARENTS = """
SELECT platform, post_id, share_of, shared_via, reply_to FROM hoaxwatch.posts
WHERE num_nonnulls(share_of, shared_via, reply_to) > 0
"""


def read_spread(connection: psycopg.Connection, topic: Topic) -> Spread:
    """The posts of a topic over all time, and their contents with the verdicts that count.

    What belongs to a topic is said by `graph.spread.choose`; here only what cannot belong is left
    out early. Words and links are compared in Python, which goes once through all texts.
    """
    if topic.root is not None:
        below = sorted(_ids_below(connection, topic.root))
        columns: dict[str, object] = {
            "platforms": [id_[0] for id_ in below],
            "ids": [id_[1] for id_ in below],
        }
        posts = _read_posts(connection, _OF_IDS, columns)
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


def _ids_below(connection: psycopg.Connection, root: str) -> set[tuple[str, str]]:
    """(platform, id) of a post, which may not have been collected, of its shares and what answers
    it, and so on down. root: its key, or its id alone, on whichever platforms that is.

    The posts are gone through once: a join in SQL would go through them for each level.
    """
    children: dict[tuple[str, str], list[str]] = defaultdict(list)
    with connection.transaction(), connection.cursor("parents") as cursor:
        cursor.itersize = 5_000  # else all of them would be held twice
        for platform, post_id, *parents in cursor.execute(_PARENTS):
            for parent in set(parents) - {None}:
                children[platform, parent].append(post_id)
    named = connection.execute("SELECT platform FROM hoaxwatch.posts WHERE post_id = %s", (root,))
    own_platform, _, own_id = root.partition(":")
    waiting = [(own_platform, own_id), *((str(row[0]), root) for row in named)]
    waiting += [key for key in children if key[1] == root]
    found: set[tuple[str, str]] = set()
    while waiting:
        key = waiting.pop()
        if key not in found:
            found.add(key)
            waiting += [(key[0], child) for child in children.get(key, ())]
    return found


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
