"""From posts to networks: topics, periods, reply trees, links, and what repetition changes."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest

from graph.spread import (
    Spread,
    actions_of,
    authors_of,
    choose,
    forest_of,
    hashtag_network_of,
    propagation_of,
    spread_of,
    user_network_of,
)
from graph.topics import Topic, canonical_link
from streams.records import COPY_IN_SHARE, Author, Post

DAY = datetime(2023, 4, 24, tzinfo=UTC)


def post(
    post_id: str,
    author: str | None,
    minute: float = 0,
    *,
    text: str = "",
    tags: tuple[str, ...] = (),
    links: tuple[str, ...] = (),
    share_of: str | None = None,
    via: str | None = None,
    reply_to: str | None = None,
) -> Post:
    return Post(
        platform="b",
        post_id=post_id,
        posted_at=DAY + timedelta(minutes=minute),
        root_id=share_of or post_id,
        kind="share" if share_of else "reply" if reply_to else "original",
        text=text,
        completeness=COPY_IN_SHARE if share_of else 2,
        hashtags=tags,
        links=links,
        author=Author(author_id=author) if author else None,
        share_of=share_of,
        shared_via=via,
        reply_to=reply_to,
    )


POSTS = [
    post("1", "ann", 0, text="The water is safe, doctors say #Water", tags=("Water",),
         links=("https://www.a.org/x/?utm_source=q",)),
    post("2", "bob", 5, text="The water is", share_of="1"),
    post("3", "cyd", 9, share_of="1", via="2"),
    post("4", "dan", 12, text="really? http://a.org/x", reply_to="1", links=("http://a.org/x",)),
    post("5", "eve", 20, text="yes", reply_to="4"),
    post("6", "ann", 30, text="Trams #Tram #Line7", tags=("Tram", "Line7")),
    post("7", None, 40, share_of="6"),
]  # fmt: skip


def keys(spread: Spread) -> str:
    return "".join(found.key.removeprefix("b:") for found in spread.posts)


@pytest.mark.parametrize(
    ("topic", "expected"),
    [
        (Topic(), "1234567"),
        (Topic(hashtag="water"), "123"),
        (Topic(hashtag="tram"), "67"),
        (Topic(keywords=("water", "doctors")), "123"),
        (Topic(keywords=("tram",)), "67"),
        (Topic(link="HTTPS://a.org/x#part"), "1234"),
        (Topic(root="1"), "12345"),
        (Topic(root="b:4"), "45"),
        (Topic(root="b:1", hashtag="water"), "123"),
        (Topic(hashtag="none"), ""),
        (Topic(root="99"), ""),
    ],
)
def test_a_topic_has_its_posts(topic: Topic, expected: str) -> None:
    found = choose(spread_of(POSTS), topic)
    assert keys(found) == expected
    assert set(found.contents) == {row.root for row in found.posts}
    assert topic.describe()


def test_a_period_is_since_included_until_not() -> None:
    spread = spread_of(POSTS)
    found = choose(spread, Topic(), DAY + timedelta(minutes=5), DAY + timedelta(minutes=20))
    assert keys(found) == "234"


def test_the_tree_follows_the_platforms_path() -> None:
    forest = forest_of(spread_of(POSTS))
    parents = [None if p < 0 else forest.post_ids[p] for p in forest.parent]
    assert parents == [None, "b:1", "b:2", "b:1", "b:4", None, "b:6"]
    assert forest.depth.tolist() == [0, 1, 2, 1, 2, 0, 1]


def test_the_propagation_graph_is_flat() -> None:
    graph = propagation_of(spread_of(POSTS))
    edges = [
        (graph.post_ids[a], graph.post_ids[b])
        for a, b in zip(graph.source, graph.target, strict=True)
    ]
    assert edges == [("b:1", "b:2"), ("b:1", "b:3"), ("b:6", "b:7")]
    assert graph.delay_seconds.tolist() == [300, 540, 600]


def test_who_is_shared_may_be_older_than_the_period() -> None:
    spread = spread_of(POSTS)
    late = choose(spread, Topic(), since=DAY + timedelta(minutes=4))
    network = user_network_of(late, authors_of(spread))
    assert network.users == ("b:ann", "b:bob", "b:cyd")
    assert network.n_unknown_authors == 1


def test_repetition_and_order_change_nothing() -> None:
    spread = spread_of(POSTS)
    again = random.Random(1).sample([*POSTS, *POSTS], 2 * len(POSTS))
    assert spread_of(again).posts == spread.posts
    assert spread_of(again).contents == spread.contents


def test_the_most_complete_text_stands() -> None:
    spread = spread_of(POSTS[1:2] + POSTS[:1])
    assert spread.contents["b:1"].text.startswith("The water is safe")
    assert spread.contents["b:1"].hashtags == ("water",)
    only_copy = spread_of(POSTS[1:2])
    assert only_copy.contents["b:1"].text == "The water is"


def test_hashtags_count_with_their_shares() -> None:
    network = hashtag_network_of(spread_of(POSTS))
    assert dict(zip(network.tags, network.uses.tolist(), strict=True)) == {
        "line7": 2, "tram": 2, "water": 3,
    }  # fmt: skip
    assert network.weight.tolist() == [2]


def test_actions_of_each_kind() -> None:
    copied = "they put it into our tap water and nobody writes about it"
    posts = [
        *POSTS,
        post("8", "fay", 50, text=f"{copied} http://t.co/1"),
        post("9", "gus", 51, text=f"{copied} @you"),
    ]
    spread = spread_of(posts)
    retweets = actions_of(spread, "retweet")
    assert retweets.accounts == ("b:bob", "b:cyd")
    assert retweets.n_unknown == 1
    assert len(set(retweets.object.tolist())) == 1
    links = actions_of(spread, "link")
    assert links.accounts == ("b:ann", "b:dan")
    assert len(set(links.object.tolist())) == 1
    assert actions_of(spread, "hashtags").accounts == ("b:ann",)
    texts = actions_of(spread, "text")
    assert texts.accounts == ("b:ann", "b:fay", "b:gus")
    assert len(set(texts.object.tolist())) == 2


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("http://a.org/x?b=1&utm_medium=z", "https://WWW.A.org/x/?b=1#top"),
        ("https://a.org/x?fbclid=1", "https://a.org/x"),
        ("https://mobile.twitter.com/a/status/1?s=20&t=abc", "mobile.twitter.com/a/status/1"),
    ],
)
def test_links_to_the_same_page_are_equal(one: str, other: str) -> None:
    assert canonical_link(one) == canonical_link(other)


def test_links_to_other_pages_differ() -> None:
    links = ["a.org/x?id=1", "a.org/x?id=2", "a.org/X?id=1", "b.org/x?id=1", "http://[broken"]
    links += ["a.org/viewtopic.php?t=101", "a.org/viewtopic.php?t=202", "a.org/?s=vaccine", "a.org"]
    assert len({canonical_link(link) for link in links}) == len(links)


def test_nothing_is_a_spread() -> None:
    spread = spread_of([])
    assert forest_of(spread).n_trees == 0
    assert user_network_of(spread, {}).n_users == 0
    assert len(actions_of(spread, "text").actor) == 0
    assert len(hashtag_network_of(spread).tags) == 0
