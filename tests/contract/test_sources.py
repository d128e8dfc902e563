"""What every source promises: nothing before a mark comes later, and it can be left at any mark."""

from __future__ import annotations

import gc
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from types import BuiltinFunctionType, FrameType, FunctionType, ModuleType
from typing import Any

import pytest

from storage.tracking import Tracked
from streams.formats.registry import load_format
from streams.records import Reading
from streams.settings import read_settings
from streams.sources import bluesky, following, mastodon, sockets, x_client, x_stream
from streams.sources.bluesky import Bluesky
from streams.sources.files import FileSource
from streams.sources.following import Backoff
from streams.sources.instagram import Instagram
from streams.sources.keeping import Keeping
from streams.sources.mastodon import Mastodon
from streams.sources.registry import SOURCES, load_source
from streams.sources.replay import Replay
from streams.sources.source import Sighting, Source
from streams.sources.x_archive import XArchive
from streams.sources.x_search import XSearch
from streams.sources.x_stream import XStream
from tests.fakes import graph, jetstream, x
from tests.fakes import mastodon as mastodon_fake

HASHTAGS = [Tracked("snow", "Snow", datetime(2026, 3, 1, tzinfo=UTC))]
_RETRIEVED = re.compile(r'"__twarc":\{[^}]*\}|observed_at=[^)]*\)')
#: Makes the source anew, as after a crash, knowing what was kept.
Make = Callable[[tuple[int, ...]], Source]


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(x_stream, "SETTLE_SECONDS", 0.05)
    monkeypatch.setattr(x_client, "ARCHIVE_SECONDS", 0.0)
    for module in (bluesky, following, mastodon, sockets, x_stream):
        monkeypatch.setattr(module, "TICK_SECONDS", 0.02)


@contextmanager
def a_file(folder: Path) -> Iterator[Make]:
    path = folder / "posts.jsonl"
    path.write_bytes(load_format("bluesky").example())
    yield lambda kept: FileSource(path)


@contextmanager
def a_jetstream(folder: Path, times: int = 1) -> Iterator[Make]:
    network = jetstream.make_network(6 * times)
    moods = [jetstream.Mood("cut", after=20, shuffles=True)]
    with jetstream.running(network.events, moods) as fake:
        yield lambda kept: Bluesky(
            fake.url, 0.3, Keeping(HASHTAGS, kept), lambda line: None, Backoff(0.01)
        )


@contextmanager
def a_replay(folder: Path) -> Iterator[Make]:
    path = folder / "posts.jsonl"
    path.write_bytes(load_format("bluesky").example())
    yield lambda kept: Replay(path, "bluesky", float("inf"))


@contextmanager
def a_search_of_x(folder: Path, times: int = 1) -> Iterator[Make]:
    fake = x.X(x.make_posts(60 * times), [x.Trouble(), x.Trouble(503)], n_posted=60 * times)
    with x.running(fake):
        settings = read_settings(x_bearer_token="good", x_url=fake.url, x_budget_usd=100)
        yield lambda kept: XSearch(settings, Keeping(HASHTAGS, kept), print, Backoff(0.01))


@contextmanager
def an_archive_of_x(folder: Path, times: int = 1) -> Iterator[Make]:
    fake = x.X(
        x.make_posts(60 * times, hours=50), [x.Trouble(), x.Trouble(503)], n_posted=60 * times
    )
    with x.running(fake):
        today = datetime.now(UTC).date()
        settings = read_settings(
            x_bearer_token="good",
            x_url=fake.url,
            x_budget_usd=100,
            x_archive_since=today - timedelta(days=3),
            x_archive_until=today,
        )
        yield lambda kept: XArchive(settings, Keeping(HASHTAGS, kept), print, Backoff(0.01))


@contextmanager
def a_stream_of_x(folder: Path, times: int = 1) -> Iterator[Make]:
    fake = x.X(x.make_posts(40 * times), stream_troubles=[x.Trouble(end="cut", after=7)])
    with x.running(fake):
        settings = read_settings(x_bearer_token="good", x_url=fake.url, x_budget_usd=100)
        yield lambda kept: XStream(settings, Keeping(HASHTAGS, kept), print, Backoff(0.01))


@contextmanager
def an_instagram(folder: Path, times: int = 1) -> Iterator[Make]:
    day = datetime(2026, 3, 2, tzinfo=UTC)
    media = {"snow": graph.make_media("snow", day, 70 * times)}
    troubles = [graph.Trouble(), graph.Trouble(), graph.Trouble(500)]
    with graph.running(graph.Graph(media, day + timedelta(days=1), troubles)) as fake:
        settings = read_settings(
            instagram_token="good",
            instagram_user_id="17",
            instagram_url=fake.url,
            instagram_most_posts=70 * times,
        )
        yield lambda kept: Instagram(settings, Keeping(HASHTAGS, kept), print, Backoff(0.01))


@contextmanager
def a_mastodon(folder: Path, times: int = 1) -> Iterator[Make]:
    plan: list[tuple[str, Any]] = [("post", ("Snow", "tea")[n % 4 == 3]) for n in range(24 * times)]
    with mastodon_fake.running(mastodon_fake.Mastodon(plan, [mastodon_fake.Mood()])) as fake:
        settings = read_settings(mastodon_url=fake.url)
        yield lambda kept: Mastodon(settings, Keeping(HASHTAGS, kept), print, Backoff(0.01))


#: The live ones can be so many times as long.
LIVE: dict[str, Callable[..., AbstractContextManager[Make]]] = {
    "bluesky": a_jetstream,
    "instagram": an_instagram,
    "mastodon": a_mastodon,
    "x": a_stream_of_x,
    "x_search": a_search_of_x,
    "x_archive": an_archive_of_x,
}
CASES = {"file": a_file, "replay": a_replay, **LIVE}


def until_quiet(source: Source, cursor: str | None) -> list[Sighting]:
    """What it gives until it ends, or nothing came in many ticks."""
    found: list[Sighting] = []
    n_quiet = 0
    for sighting in source.posts(cursor):
        found.append(sighting)
        n_quiet = n_quiet + 1 if sighting.reading is None else 0
        if n_quiet > 12:
            break
    return found


def told(sightings: list[Sighting]) -> set[str]:
    return {_told(s.reading) for s in sightings if s.reading is not None}


def _told(reading: Reading) -> str:
    """It, without when it was fetched."""
    return _RETRIEVED.sub("", repr(reading))


def test_every_source_is_tested() -> None:
    assert set(SOURCES) <= set(CASES)
    for name in SOURCES:
        module = load_source(name)
        assert name == module.NAME
        assert module.DESCRIPTION


@pytest.mark.parametrize("case", CASES)
def test_it_can_be_left_at_any_mark(case: str, tmp_path: Path) -> None:
    with CASES[case](tmp_path) as make:
        whole = until_quiet(make(()), None)
        assert len(told(whole)) > 5
        # what is stored together: readings up to a sighting, its mark and all before it
        for n in range(1, len(whole), max(1, len(whole) // 6)):
            before = whole[:n]
            cursors = [s.mark.cursor for s in before if s.mark.cursor is not None]
            kept = tuple(key for s in before for key in s.mark.kept)
            after = until_quiet(make(kept), cursors[-1] if cursors else None)
            assert told(before) | told(after) == told(whole), f"left after {n}"


@pytest.mark.parametrize("case", SOURCES)
def test_what_it_holds_does_not_grow_with_what_came(case: str, tmp_path: Path) -> None:
    """Of a post that it gave away at most its name stays: far less than the post has."""
    held, n_readings = [], []
    for times in (1, 6):
        with LIVE[case](tmp_path, times) as make:
            source = make(())
            n_readings.append(count_until_quiet(source))
            held.append(bytes_held_by(source))
    n_more = n_readings[1] - n_readings[0]
    assert n_more > 3 * n_readings[0]
    assert (held[1] - held[0]) / n_more < 250


def bytes_held_by(source: Source) -> int:
    """Of all objects that can be reached from it, but for code."""
    gc.collect()
    seen: set[int] = set()
    waiting: list[object] = [source]
    total = 0
    while waiting:
        found = waiting.pop()
        if id(found) in seen or isinstance(found, CODE):
            continue
        seen.add(id(found))
        total += sys.getsizeof(found)
        waiting += gc.get_referents(found)
    return total


CODE = (type, ModuleType, FunctionType, BuiltinFunctionType, FrameType, Thread)


def count_until_quiet(source: Source) -> int:
    """How many readings it gives; keeps none."""
    n_readings = n_quiet = 0
    for sighting in source.posts(None):
        n_readings += sighting.reading is not None
        n_quiet = n_quiet + 1 if sighting.reading is None else 0
        if n_quiet > 12:
            break
    return n_readings


@pytest.mark.parametrize("case", SOURCES)
def test_a_live_source_ticks_while_nothing_comes(case: str, tmp_path: Path) -> None:
    with CASES[case](tmp_path) as make:
        found = until_quiet(make(()), None)
        assert found[-1].reading is None
        assert any(s.mark.pulls for s in found)
        assert all(p.covered_from <= p.covered_until for s in found for p in s.mark.pulls)
