"""Posts of one topic as the networks need them, whether they come from files or from a database.

    spread = spread_of(posts)                                # streams.records.Post, in any order
    chosen = choose(spread, Topic(hashtag="egu23"))
    forest = forest_of(chosen)
    network = user_network_of(chosen)

A topic is a hashtag, words, a link, one post with all that follows from it, or everything. A share
belongs to a topic if its original does; a reply or quote by its own words.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from graph.cascades import Forest, build_forest
from graph.coordination import Actions, hashtag_sequence, index_actions
from graph.hashtags import HashtagNetwork, build_hashtag_network
from graph.headline import carries_keywords
from graph.near_copies import group_images, group_texts
from graph.propagation import PropagationGraph, build_propagation
from graph.topics import Topic, canonical_link, leads_to
from graph.users import UserNetwork, build_co_share_network, build_user_network
from streams.records import Deletion, Post, hashtag_key

CoordinationKind = Literal["retweet", "link", "hashtags", "text", "image"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class SpreadPost(NamedTuple):
    """Who published what when. Keys are platform:id; None is unknown."""

    key: str
    at_us: int
    author: str | None
    #: The content: own key, or that of the original.
    root: str
    #: The post it was found through: the share named by the platform, else the original, else what
    #: it answers; None if it began something.
    parent: str | None
    #: The post that is shared; None: not a share.
    share_of: str | None


class SpreadContent(NamedTuple):
    """What a root says and how it was judged."""

    text: str
    hashtags: tuple[str, ...]
    links: tuple[str, ...]
    #: Probability of likely_false that counts; None: not judged.
    probability: float | None = None
    likely_false: bool | None = None
    #: Addresses of its pictures.
    images: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Spread:
    """Posts, each once, sorted by key, and the contents that they point at."""

    posts: tuple[SpreadPost, ...]
    contents: Mapping[str, SpreadContent]

    @property
    def shares(self) -> list[SpreadPost]:
        """The posts that are shares."""
        return [post for post in self.posts if post.share_of is not None]


def microseconds(moment: datetime) -> int:
    """Since 1970, exactly.

    >>> microseconds(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC))
    1000000
    """
    return (moment - _EPOCH) // timedelta(microseconds=1)


def spread_of(posts: Iterable[Post]) -> Spread:
    """The spread of these posts, in any order and with repetitions; nothing is judged.

    Of a post met again the version with the earliest time and known author stands; of a content the
    most complete text, and of equals the longest, then the first in order.
    """
    chosen: dict[str, tuple[tuple[object, ...], SpreadPost]] = {}
    contents: dict[str, tuple[tuple[object, ...], SpreadContent]] = {}
    for post in posts:
        row = _row_of(post)
        rank = (row.at_us, row.author is None, row.author or "", row.root, row.parent or "")
        if row.key not in chosen or rank < chosen[row.key][0]:
            chosen[row.key] = (rank, row)
        tags = tuple(dict.fromkeys(hashtag_key(tag) for tag in post.hashtags))
        best = (-post.completeness, -len(post.text), post.text, tags)
        if row.root not in contents or best < contents[row.root][0]:
            contents[row.root] = (
                best,
                SpreadContent(
                    post.text,
                    tags,
                    post.links,
                    images=tuple(m.url for m in post.media if m.kind == "image"),
                ),
            )
    return Spread(
        tuple(row for _, row in (chosen[key] for key in sorted(chosen))),
        {root: content for root, (_, content) in contents.items()},
    )


def _row_of(post: Post) -> SpreadPost:
    def key(post_id: str | None) -> str | None:
        return f"{post.platform}:{post_id}" if post_id else None

    shared = key(post.share_of)
    return SpreadPost(
        key=f"{post.platform}:{post.post_id}",
        at_us=microseconds(post.posted_at),
        author=key(post.author.author_id) if post.author else None,
        root=f"{post.platform}:{post.root_id}",
        parent=key(post.shared_via) or shared or key(post.reply_to),
        share_of=shared,
    )


def without_deleted(spread: Spread, deletions: Iterable[Deletion]) -> Spread:
    """What a project keeps of these posts: none that is deleted or by a deleted author, and no
    share of one.

    >>> posts = SpreadPost("x:1", 0, "x:a", "x:1", None, None), SpreadPost(
    ...     "x:2", 1, "x:b", "x:1", "x:1", "x:1")
    >>> gone = [Deletion(platform="x", kind="author", deleted_id="a")]
    >>> without_deleted(Spread(posts, {"x:1": SpreadContent("", (), ())}), gone)
    Spread(posts=(), contents={})
    """
    gone: dict[str, set[str]] = {"post": set(), "author": set()}
    for deletion in deletions:
        gone[deletion.kind].add(f"{deletion.platform}:{deletion.deleted_id}")
    gone["post"].update(post.key for post in spread.posts if post.author in gone["author"])
    posts = [post for post in spread.posts if gone["post"].isdisjoint((post.key, post.root))]
    return _of_posts(spread, posts)


def choose(
    spread: Spread,
    topic: Topic,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Spread:
    """The part of a spread that belongs to a topic and a period (since included, until not)."""
    roots = roots_of(spread.contents, topic)
    posts = [post for post in spread.posts if post.root in roots]
    if topic.root is not None:
        below = _below(spread, topic.root)
        posts = [post for post in posts if post.key in below]
    low = None if since is None else microseconds(since)
    high = None if until is None else microseconds(until)
    posts = [
        post
        for post in posts
        if (low is None or post.at_us >= low) and (high is None or post.at_us < high)
    ]
    return _of_posts(spread, posts)


def _of_posts(spread: Spread, posts: Sequence[SpreadPost]) -> Spread:
    """Some of the posts, with the contents that they point at."""
    kept = {post.root for post in posts}
    return Spread(
        tuple(posts), {root: text for root, text in spread.contents.items() if root in kept}
    )


def roots_of(contents: Mapping[str, SpreadContent], topic: Topic) -> set[str]:
    """The contents that belong to a topic by what they say (`Topic.root` is about posts).

    >>> roots_of({"x:1": SpreadContent("tap water", ("water",), ())}, Topic(keywords=("tap",)))
    {'x:1'}
    """
    return {root for root, content in contents.items() if _holds(content, topic)}


def _holds(content: SpreadContent, topic: Topic) -> bool:
    if topic.hashtag is not None and topic.hashtag not in content.hashtags:
        return False
    if topic.keywords and not carries_keywords(content.text, topic.keywords):
        return False
    if topic.link is not None:
        wanted = canonical_link(topic.link)
        return any(leads_to(canonical_link(link), wanted) for link in content.links)
    return True


def _below(spread: Spread, root: str) -> set[str]:
    """A post, its shares, what answers it, and so on down."""
    children = defaultdict(list)
    for post in spread.posts:
        if post.parent is not None:
            children[post.parent].append(post.key)
        if post.share_of is not None and post.share_of != post.parent:
            children[post.share_of].append(post.key)
    # the root itself may not have been collected
    keys = [*(post.key for post in spread.posts), *children]
    found = {key for key in keys if root in (key, key.partition(":")[2])}
    waiting = list(found)
    while waiting:
        for child in children[waiting.pop()]:
            if child not in found:
                found.add(child)
                waiting.append(child)
    return found


def _times(posts: Iterable[SpreadPost]) -> NDArray[np.int64]:
    return np.array([post.at_us for post in posts], dtype=np.int64)


def forest_of(spread: Spread) -> Forest:
    """The posts as trees, along the parents that the platform names."""
    return build_forest(
        [post.key for post in spread.posts],
        [post.parent for post in spread.posts],
        _times(spread.posts),
        [post.author for post in spread.posts],
    )


def propagation_of(spread: Spread) -> PropagationGraph:
    """The propagation graph: each share below its root."""
    return build_propagation(
        [post.key for post in spread.posts],
        _times(spread.posts),
        [post.author for post in spread.posts],
        [post.root for post in spread.posts],
    )


def user_network_of(spread: Spread, authors: Mapping[str, str | None]) -> UserNetwork:
    """Who shares whom.

    authors: of posts by key (`authors_of` the whole spread), since the original may be older than
    the period that was chosen.
    """
    shares = spread.shares
    return build_user_network(
        [authors.get(share.share_of or "") for share in shares], [share.author for share in shares]
    )


def co_share_network_of(spread: Spread) -> UserNetwork:
    """Who shares the same posts."""
    shares = spread.shares
    return build_co_share_network(
        [share.root for share in shares], [share.author for share in shares]
    )


def authors_of(spread: Spread) -> dict[str, str | None]:
    """The author of each post by its key."""
    return {post.key: post.author for post in spread.posts}


def hashtag_network_of(spread: Spread) -> HashtagNetwork:
    """Which hashtags stand together; a content counts as often as it was posted or shared."""
    times: dict[str, int] = defaultdict(int)
    for post in spread.posts:
        times[post.root] += 1
    return build_hashtag_network((spread.contents[root].hashtags, n) for root, n in times.items())


def actions_of(
    spread: Spread, kind: CoordinationKind, phashes: Mapping[str, int] | None = None
) -> Actions:
    """The actions by which accounts may be coordinated (`graph.coordination`).

    retweet: shares of a root. link: canonical links, hashtags: sequences of at least two, text and
    image: near copies (`graph.near_copies`); the last four in posts that are no shares.
    phashes: perceptual hash by the address of a picture; what is not in it is nobody's copy.
    """
    roots = sorted({post.root for post in spread.posts if post.share_of is None})
    copies: dict[str, int] = {}
    if kind == "text":
        found = group_texts([spread.contents[root].text for root in roots])
        copies = {root: n for root, n in zip(roots, found.tolist(), strict=True) if n >= 0}
    pictures: dict[str, int] = {}
    if kind == "image" and phashes:
        ordered = sorted(phashes)
        found = group_images([phashes[address] for address in ordered])
        pictures = dict(zip(ordered, found.tolist(), strict=True))
    rows: list[tuple[str | None, str, int]] = []
    for post in spread.posts:
        if kind == "retweet":
            if post.share_of is not None:
                rows.append((post.author, post.root, post.at_us))
            continue
        if post.share_of is not None:
            continue
        content = spread.contents[post.root]
        if kind == "link":
            rows += [(post.author, canonical_link(link), post.at_us) for link in content.links]
        elif kind == "hashtags":
            sequence = hashtag_sequence(content.hashtags)
            rows += [(post.author, sequence, post.at_us)] if sequence else []
        elif kind == "image":
            shown = {pictures[image] for image in content.images if image in pictures}
            rows += [(post.author, str(group), post.at_us) for group in sorted(shown)]
        elif post.root in copies:
            rows.append((post.author, roots[copies[post.root]], post.at_us))
    return index_actions(
        [row[0] for row in rows],
        [row[1] for row in rows],
        np.array([row[2] for row in rows], dtype=np.int64),
    )
