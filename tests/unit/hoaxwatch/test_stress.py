"""The closed loop sees what is lost, what was not sent, and counts that are wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hoaxwatch.stress import count_by_hand, judge_tables, make_posts

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
