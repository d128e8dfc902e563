"""What is kept of a stream that gives everything."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from storage.tracking import Tracked
from streams.records import Author, Deletion, NotAPost, Post, Problem, Reading
from streams.sources import keeping as keeping_module
from streams.sources.keeping import WAIT_SECONDS, Keeping, id_hash

DAY = datetime(2026, 3, 2, tzinfo=UTC)
SNOW = [Tracked("snow", "Snow", DAY)]


def post(name: str, *tags: str, **more: Any) -> Post:
    told: dict[str, Any] = {"platform": "p", "post_id": name, "root_id": name, "posted_at": DAY}
    return Post(**{**told, "hashtags": tags, "author": Author(author_id="ada"), **more})


def share(name: str, of: str) -> Post:
    return post(name, kind="share", share_of=of, root_id=of)


def gone(name: str, kind: str = "post") -> Deletion:
    return Deletion(platform="p", kind=kind, deleted_id=name)  # type: ignore[arg-type]


def names(readings: list[Reading]) -> list[str]:
    return [getattr(r, "post_id", "") or "-" + getattr(r, "deleted_id", "?") for r in readings]


def take(keeping: Keeping, *readings: Reading, at: float = 0.0) -> list[str]:
    return [name for reading in readings for name in names(keeping.take(reading, at))]


def test_tracked_posts_their_shares_changes_and_deletions_are_kept() -> None:
    keeping = Keeping(SNOW)
    came: list[Reading] = [
        *(post("1", "SNOW"), post("2", "tea"), share("3", "1"), share("4", "2"), post("1")),
        *(gone("3"), gone("2"), gone("4"), gone("ada", "author"), gone("bo", "author")),
        NotAPost(what="like"),
    ]
    assert take(keeping, *came) == ["1", "3", "1", "-3", "-ada"]
    assert keeping.got == {"snow": 1}


def test_what_was_kept_before_counts() -> None:
    kept = [id_hash("post", "p", "1"), id_hash("author", "p", "bo")]
    assert take(Keeping(SNOW, kept), share("3", "1"), gone("bo", "author")) == ["3", "-bo"]


@pytest.mark.parametrize("seconds", [WAIT_SECONDS, WAIT_SECONDS + 1])
def test_what_comes_too_early_waits_ten_seconds(seconds: float) -> None:
    keeping = Keeping(SNOW)
    assert take(keeping, gone("3"), share("3", "1"), gone("1"), gone("2")) == []
    found = take(keeping, post("1", "snow"), at=seconds)
    if seconds > WAIT_SECONDS:
        assert found == ["1"]
    else:
        assert sorted(found) == ["-1", "-3", "1", "3"]
        assert found.index("1") == 0
        assert found.index("3") < found.index("-3")
    take(keeping, post("9"), at=seconds + 100)
    assert not keeping._waiting
    assert not keeping._since


def test_a_change_without_the_hashtag_waits_for_its_post() -> None:
    keeping = Keeping(SNOW)
    assert keeping.take(post("1"), 0, is_change=True) == []
    assert take(keeping, post("1", "snow")) == ["1", "1"]


def test_what_cannot_be_read_is_kept_if_it_may_be_ours() -> None:
    keeping = Keeping(SNOW)
    take(keeping, post("1", "snow"))

    def problem(raw: bytes) -> Problem:
        return Problem(reason="?", source="p:stream", position="1", raw=raw)

    assert keeping.take(problem(b'{"text": "#SNOW"}'), 0)
    assert keeping.take(problem(b"{"), 0, account="ada")
    assert not keeping.take(problem(b"{"), 0, account="bo")
    assert not keeping.take(problem(b"{"), 0)
    assert keeping.n_unreadable == 2


def test_tracking_changes_while_it_runs() -> None:
    keeping = Keeping(SNOW)
    keeping.track([Tracked("tea", "tea", DAY)])
    assert take(keeping, post("1", "snow"), post("2", "Tea")) == ["2"]


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping_module, "KEPT_IDS", 10)
    monkeypatch.setattr(keeping_module, "MOST_WAITING", 10)
    keeping = Keeping(SNOW)
    for number in range(100):
        take(keeping, post(f"{number}", "snow"), share(f"s{number}", "elsewhere"))
    assert len(keeping._kept) == 10
    assert sum(map(len, keeping._waiting.values())) <= 11
    assert take(keeping, share("s", "99"), share("t", "1")) == ["s"]
