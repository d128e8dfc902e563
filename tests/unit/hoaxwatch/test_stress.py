"""The closed loop sees what is lost, what was not sent, and counts that are wrong."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, cast

from hoaxwatch.stress import Verdict, count_by_hand, judge_tables, make_posts, send
from streams.ingest import Publisher

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)
POSTS = list(make_posts(200, 1, AT))
SENT = {post.post_id: AT for post in POSTS}
STORED = {name: AT + timedelta(seconds=n / 100) for n, name in enumerate(SENT)}
TRUTH = count_by_hand(POSTS)


def test_all_is_good() -> None:
    verdict = judge_tables(SENT, STORED, TRUTH, dict(TRUTH))
    assert verdict.breaches() == []
    assert verdict.seconds == {"p50": 1.0, "p95": 1.9, "p99": 1.98}
    assert verdict.breaches(limit_seconds=1.5) == ["p99 is 1.98 s, more than 1.50 s"]


def test_what_is_wrong_is_said() -> None:
    stored = {name: at for name, at in STORED.items() if name != "1-7"} | {"1-x": AT}
    (first, counts), *others = TRUTH.items()
    counted = dict(others) | {first: (counts[0] + 1, counts[1], counts[2])}
    lost, unexpected, wrong = judge_tables(SENT, stored, TRUTH, counted).breaches()
    assert lost == "1 of 200 posts lost"
    assert unexpected == "1 posts stored that were not sent"
    assert wrong.startswith(f"#{first[0]} on {first[1]:%Y-%m-%d}: ({counts[0] + 1},")


def test_the_same_seed_gives_the_same_posts() -> None:
    assert list(make_posts(200, 1, AT)) == POSTS
    assert {p.post_id for p in make_posts(200, 2, AT)}.isdisjoint(SENT)


class SlowPublisher:
    """Takes 10 ms for a post, as one does that brokers hold up."""

    def note(self, mark: Any) -> None:
        """Connects."""

    def put(self, reading: Any, mark: Any) -> None:
        """Takes over a post."""
        time.sleep(0.01)

    def finish(self) -> None:
        """Has everything on the brokers."""


def test_a_sender_that_is_held_up_hides_nothing() -> None:
    """Posts are as late as they are, and the rate is the one that was reached."""
    due_at, seconds = send(cast(Publisher, SlowPublisher()), POSTS[:20], 1000)
    assert {b - a for a, b in pairwise(due_at.values())} == {timedelta(milliseconds=1)}
    stored = {name: due_at[POSTS[0].post_id] + timedelta(seconds=0.2) for name in due_at}
    verdict = judge_tables(due_at, stored, {}, {})
    assert verdict.seconds["p50"] == 0.191
    verdict.posts_per_second, verdict.asked_per_second = round(20 / seconds, 1), 1000
    (breach,) = verdict.breaches()
    assert breach == f"{verdict.posts_per_second} posts a second sent, not 1,000"


def test_nearly_the_rate_is_enough() -> None:
    assert Verdict(1, posts_per_second=95.0, asked_per_second=100).breaches() == []
    assert Verdict(1, posts_per_second=94.9, asked_per_second=100).breaches()
