"""A file that is played in event time."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path

import pytest

from streams.formats.registry import load_format, read_file
from streams.records import Post
from streams.sources.replay import Replay
from tests.fakes.jetstream import make_network


class Clock:
    """Time that passes when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds <= 1
        self.now += seconds


@pytest.fixture
def backwards(tmp_path: Path) -> Path:
    """The newest event first, as a search gives them; something that is no post in between."""
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"\n".join(make_network(8).events[::-1]))
    return path


def test_posts_come_in_order_of_event_time_so_many_times_as_fast(backwards: Path) -> None:
    clock = Clock()
    came = [
        (clock.now, sighting.reading)
        for sighting in Replay(backwards, "bluesky", 4.0, clock.sleep, clock).posts(None)
    ]
    posts = [(at, r) for at, r in came if isinstance(r, Post)]
    for (at, before), (later, after) in pairwise(posts):
        passed = (after.posted_at - before.posted_at).total_seconds()
        assert passed >= 0
        assert later - at == pytest.approx(passed / 4, abs=1e-6)
    read = [repr(reading) for reading in read_file(backwards, "bluesky")]
    assert sorted(repr(r) for _, r in came if r is not None) == sorted(read)


def test_it_ticks_while_nothing_happens(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(load_format("twitwi").example())  # hours lie between its posts
    clock = Clock()
    found = list(Replay(path, "twitwi", 10.0, clock.sleep, clock).posts(None))
    n_ticks = sum(sighting.reading is None for sighting in found)
    assert n_ticks == pytest.approx(clock.now - 100, abs=len(found) - n_ticks)
    assert n_ticks > 5


def test_a_file_that_was_changed_is_played_from_its_beginning(backwards: Path) -> None:
    clock = Clock()
    source = Replay(backwards, "bluesky", float("inf"), clock.sleep, clock)
    whole = [s for s in source.posts(None) if s.reading is not None]
    assert clock.now == 100
    cursor = whole[9].mark.cursor
    assert [s.reading for s in source.posts(cursor)] == [s.reading for s in whole[10:]]
    backwards.write_bytes(backwards.read_bytes() + b"\n")
    again = next(iter(source.posts(cursor)))
    assert again.reading == whole[0].reading


def test_real_time_passes(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"\n".join(make_network(1).events[:3]))
    began = time.monotonic()
    list(Replay(path, "bluesky", 10.0).posts(None))
    assert time.monotonic() - began >= 0.1
