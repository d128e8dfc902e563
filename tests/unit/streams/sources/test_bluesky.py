"""Bluesky's stream, event by event; over a socket it is in tests/integration."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime

import pytest

from storage.tracking import Tracked
from streams.records import Post
from streams.sources.bluesky import Bluesky
from streams.sources.keeping import Keeping

SNOW = [Tracked("snow", "snow", datetime(2026, 3, 1, tzinfo=UTC))]
EVENT = {
    "did": "did:plc:ada",
    "time_us": 1772500000000000,
    "kind": "commit",
    "commit": {
        "operation": "create",
        "collection": "app.bsky.feed.post",
        "rkey": "3lhbcdefghi2k",
        "record": {
            "$type": "app.bsky.feed.post",
            "text": "soon",
            "tags": ["snow"],
            "createdAt": "2026-03-03T01:06:40Z",
        },
    },
}


@pytest.mark.parametrize("broken", [b"{", b"3", b"[7]"])
def test_a_broken_event_is_not_of_the_account_before_it(broken: bytes) -> None:
    keeping = Keeping(SNOW)
    source = Bluesky("ws://nowhere", 30, keeping, print)
    (kept,) = source._kept_of(json.dumps(EVENT).encode())
    assert isinstance(kept.reading, Post)
    assert list(source._kept_of(broken)) == []
    assert keeping.n_unreadable == 1


def test_a_slow_clock_is_said_once_and_an_event_of_the_future_is_none() -> None:
    """All events are ahead of a clock that is slow, and none of them moves the cursor."""
    said: list[str] = []
    source = Bluesky("ws://nowhere", 30, Keeping(SNOW), said.append)
    in_five_minutes = time.time_ns() // 1000 + 300_400_000  # this test may take most of a second
    ahead = json.dumps({**EVENT, "time_us": in_five_minutes}).encode()
    for event in (ahead, json.dumps(EVENT).encode()) * 200:
        list(source._kept_of(event))
    assert said == []
    for _ in range(300):
        list(source._kept_of(ahead))
    assert said == ["bluesky: this machine's clock is 300 s slow, and no cursor is kept; set it"]
