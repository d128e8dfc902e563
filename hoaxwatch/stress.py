"""The closed loop: numbered posts at a rate, and what the tables say about them afterwards.

`make_posts` and `judge_tables` are pure: what is sent follows from a seed, and so does what the
tables must hold. `run` sends, waits for the workers, and asks the database. A post is late from the
moment it was due, not from when its turn came: else a sender that is held up would hide it.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from storage import reads
from storage.database import Connection
from storage.tracking import NO_MARK
from streams.ingest import Published, Publisher
from streams.records import COPY_IN_SHARE, Author, Post
from streams.settings import Settings
from streams.spool import Spool

PLATFORM = "stress"
N_TAGS = 50
#: How much of the rate asked for is enough.
ENOUGH = 0.95
#: The brokers may take so long for the last posts without making the rate less.
LAST_SECONDS = 1.0
#: (hashtag, day) -> posts, shares, accounts
Truth = dict[tuple[str, datetime], tuple[int, int, int]]


@dataclass
class Verdict:
    """What was found. Everything but times and rates must be 0 or empty."""

    n_posts: int
    lost: int = 0
    unexpected: int = 0
    wrong_counts: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    posts_per_second: float = 0.0
    asked_per_second: float = 0.0

    def breaches(self, limit_seconds: float | None = None) -> list[str]:
        """What is wrong, in words.

        >>> Verdict(10, lost=1, seconds={"p99": 2.0}).breaches(limit_seconds=1.0)
        ['1 of 10 posts lost', 'p99 is 2.00 s, more than 1.00 s']
        """
        found = []
        if self.lost:
            found.append(f"{self.lost:,} of {self.n_posts:,} posts lost")
        if self.unexpected:
            found.append(f"{self.unexpected:,} posts stored that were not sent")
        found += self.wrong_counts
        if self.posts_per_second < ENOUGH * self.asked_per_second:
            found.append(
                f"{self.posts_per_second:,.1f} posts a second sent, not {self.asked_per_second:,g}"
            )
        p99 = self.seconds.get("p99", 0.0)
        if limit_seconds is not None and p99 > limit_seconds:
            found.append(f"p99 is {p99:.2f} s, more than {limit_seconds:.2f} s")
        return found


def make_posts(n: int, seed: int, until: datetime) -> Iterator[Post]:
    """Numbered posts of the three days before `until`: a third are originals, the others share one
    of the latest hundred.

    >>> posts = list(make_posts(9, 1, datetime(2026, 3, 2, tzinfo=UTC)))
    >>> [post.post_id for post in posts[:2]], sorted({post.kind for post in posts})
    (['1-0', '1-1'], ['original', 'share'])
    """
    chance = random.Random(seed)
    latest: list[Post] = []
    for number in range(n):
        is_share = bool(latest) and chance.random() < 2 / 3
        root = chance.choice(latest) if is_share else None
        post_id = f"{seed}-{number}"
        tags = root.hashtags if root else tuple(_tags(chance))
        post = Post(
            platform=PLATFORM,
            post_id=post_id,
            root_id=root.post_id if root else post_id,
            posted_at=until - timedelta(seconds=chance.randrange(3 * 86_400)),
            kind="share" if root else "original",
            share_of=root.post_id if root else None,
            text=root.text if root else f"number {number} of {seed} says what it says",
            completeness=COPY_IN_SHARE if root else 2,
            hashtags=tags,
            lang="en",
            author=Author(author_id=f"{seed}-{chance.randrange(max(20, n // 10))}"),
            observed_at=until,
            provenance=f"stress:{seed}",
            raw=f"{post_id} {'x' * chance.randrange(200, 1500)}".encode(),
        )
        if root is None:
            latest = [*latest[-99:], post]
        yield post


def _tags(chance: random.Random) -> list[str]:
    return [f"stress{number}" for number in chance.sample(range(N_TAGS), chance.randint(1, 3))]


def count_by_hand(posts: Sequence[Post]) -> Truth:
    """What the day buckets must say."""
    held: dict[tuple[str, datetime], tuple[set[str], set[str], set[str]]] = {}
    for post in posts:
        day = post.posted_at.replace(hour=0, minute=0, second=0, microsecond=0)
        for tag in post.hashtags:
            ids, shares, authors = held.setdefault((tag, day), (set(), set(), set()))
            ids.add(post.post_id)
            if post.kind == "share":
                shares.add(post.post_id)
            if post.author:
                authors.add(post.author.author_id)
    return {key: (len(a), len(b), len(c)) for key, (a, b, c) in held.items()}


def judge_tables(
    due_at: Mapping[str, datetime],
    stored_at: Mapping[str, datetime],
    truth: Truth,
    counted: Truth,
) -> Verdict:
    """Compares what was sent, and when it was due, with what is stored and counted."""
    verdict = Verdict(len(due_at))
    verdict.lost = len(due_at.keys() - stored_at.keys())
    verdict.unexpected = len(stored_at.keys() - due_at.keys())
    for key in sorted(truth.keys() | counted.keys()):
        if truth.get(key) != counted.get(key):
            tag, day = key
            shown = f"#{tag} on {day:%Y-%m-%d}: {counted.get(key)}, not {truth.get(key)}"
            verdict.wrong_counts.append(f"{shown} (posts, shares, accounts)")
    times = sorted(
        max(0.0, (stored_at[name] - at).total_seconds())
        for name, at in due_at.items()
        if name in stored_at
    )
    if times:
        verdict.seconds = {
            f"p{q}": round(times[min(len(times) - 1, q * len(times) // 100)], 3)
            for q in (50, 95, 99)
        }
    return verdict


def send(
    publisher: Publisher, posts: Sequence[Post], rate: float
) -> tuple[dict[str, datetime], float]:
    """Sends posts at a rate: when each was due, and how long it took (seconds)."""
    publisher.note(NO_MARK)  # connects before time counts
    due_at: dict[str, datetime] = {}
    start, began = datetime.now(UTC), time.perf_counter()
    for number, post in enumerate(posts):
        ahead = began + number / rate - time.perf_counter()
        if ahead > 0.002:
            time.sleep(ahead)
        due_at[post.post_id] = start + timedelta(seconds=number / rate)
        publisher.put(post, NO_MARK)
    taken_seconds = time.perf_counter() - began
    publisher.finish()
    return due_at, max(taken_seconds, time.perf_counter() - began - LAST_SECONDS)


def run(
    connection: Connection,
    settings: Settings,
    n: int,
    rate: float,
    seed: int,
    patience_seconds: float,
    watch: Callable[[str], None] = lambda line: None,
) -> Verdict:
    """Sends, waits until the workers have counted everything or patience ends, and judges."""
    posts = list(make_posts(n, seed, datetime.now(UTC).replace(microsecond=0)))
    with Spool(settings.ingest_folder()) as spool:
        publisher = Publisher(settings, spool, Published(), lambda mark: None)
        due_at, seconds = send(publisher, posts, rate)
        publisher.close()
    watch(f"{n:,} posts sent at {n / seconds:,.0f} a second; waiting for the workers")
    deadline = time.monotonic() + patience_seconds
    stored: dict[str, Any] = {}
    while time.monotonic() < deadline:
        stored = reads.read_received(connection, PLATFORM)
        if len(stored) >= n and not reads.read_counts(connection).dirty_buckets:
            break
        time.sleep(1)
    counted: Truth = {
        (row.hashtag, row.bucket_start): (row.posts, row.shares, row.authors)
        for number in range(N_TAGS)
        for row in reads.read_trends(connection, f"stress{number}", "day")
    }
    verdict = judge_tables(due_at, stored, count_by_hand(posts), counted)
    verdict.posts_per_second, verdict.asked_per_second = round(n / seconds, 1), rate
    return verdict
