"""Numbered posts: each by its number alone, counts known, memory the same whatever their number."""

from __future__ import annotations

import io
import itertools
import subprocess
import sys
from collections import defaultdict

import pytest

from hoaxwatch.simulate.numbered import (
    BLOCK,
    N_TAGS,
    ORIGINALS,
    PER_DAY,
    Numbered,
    NumberedPost,
    TrendRow,
    number_of,
)
from streams.formats import twitter_v2
from streams.records import Post

N = 3 * PER_DAY // 2

#: Writes posts and counts, and prints the greatest memory it took (kB).
MEASURE = """
import resource, sys
from hoaxwatch.simulate.numbered import Numbered, TrendTally, as_line
posts, tally, n_bytes, n_rows = Numbered(1), TrendTally(), 0, 0
for i in range(int(sys.argv[1])):
    post = posts.post(i)
    n_bytes += len(as_line(post))
    n_rows += len(tally.add(post))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, n_rows)
"""


@pytest.fixture(scope="module")
def posts() -> list[NumberedPost]:
    """A day and a half."""
    return [Numbered(seed=5).post(i) for i in range(N)]


def test_a_post_depends_on_seed_and_number_alone(posts: list[NumberedPost]) -> None:
    again = Numbered(seed=5)
    assert [again.post(i) for i in reversed(range(0, N, 7))] == posts[::7][::-1]
    others = [Numbered(seed=6).post(i) for i in range(200)]
    assert sum(ours == theirs for ours, theirs in zip(posts, others, strict=False)) == 0


def test_ids_tell_the_number(posts: list[NumberedPost]) -> None:
    assert [number_of(post.post_id) for post in posts] == list(range(N))
    assert number_of(Numbered(seed=5).post(9_999_999).post_id) == 9_999_999


def test_shares_share_something_earlier(posts: list[NumberedPost]) -> None:
    shares = [post for post in posts if post.is_share]
    assert len(shares) == N * (BLOCK - ORIGINALS) // BLOCK
    for post in shares:
        root = posts[post.root]
        assert not root.is_share
        assert (post.root_id, post.tags, post.label) == (root.post_id, root.tags, root.label)
        assert post.root < post.number
        assert post.posted_at > root.posted_at
    assert any(a.posted_at > b.posted_at for a, b in itertools.pairwise(posts)), "late ones"


def test_trends_equal_a_plain_count(posts: list[NumberedPost]) -> None:
    found = list(Numbered(seed=5).trends(N))
    buckets: dict[tuple[str, str, int], list[NumberedPost]] = defaultdict(list)
    for post in posts:
        for tag in post.tags:
            for grain, length in (("hour", 3600), ("day", 86_400)):
                buckets[tag, grain, post.posted_at // length * length].append(post)
    expected = [
        TrendRow(
            *key,
            posts=len(members),
            originals=sum(not post.is_share for post in members),
            shares=sum(post.is_share for post in members),
            authors=len({post.author_id for post in members}),
            first_seen_at=min(post.posted_at for post in members),
            last_seen_at=max(post.posted_at for post in members),
        )
        for key, members in buckets.items()
    ]
    order = [(row.hashtag, row.grain, row.bucket_start) for row in found]
    assert len(set(order)) == len(order), "each bucket once"
    assert sorted(found, key=str) == sorted(expected, key=str)
    assert len({row.hashtag for row in found}) == N_TAGS


def test_lines_are_read_as_the_posts_they_are(posts: list[NumberedPost]) -> None:
    lines = b"\n".join(Numbered(seed=5).lines(300, first=40))
    readings = list(twitter_v2.read(io.BytesIO(lines), "twitter_v2:numbered.jsonl"))
    for reading, post in zip(readings, posts[40:340], strict=True):
        assert isinstance(reading, Post)
        assert (reading.post_id, reading.root_id) == (post.post_id, post.root_id)
        assert reading.posted_at.timestamp() == post.posted_at
        assert reading.author is not None and reading.author.author_id == post.author_id
        assert post.is_share or reading.hashtags == post.tags


def test_memory_does_not_grow_with_the_number_of_posts() -> None:
    """Two days of event time against ten."""
    took = []
    for n_posts in (2 * PER_DAY, 10 * PER_DAY):
        command = [sys.executable, "-c", MEASURE, str(n_posts)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        took.append([int(word) for word in done.stdout.split()])
    (few_kb, few_rows), (many_kb, many_rows) = took
    assert many_rows > 4.5 * few_rows
    assert many_kb < 1.05 * few_kb
