"""What every source promises: nothing before a mark comes later, and it can be left at any mark."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
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
def a_jetstream(folder: Path) -> Iterator[Make]:
    network = jetstream.make_network(6)
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
def a_search_of_x(folder: Path) -> Iterator[Make]:
    fake = x.X(x.make_posts(60), [x.Trouble(), x.Trouble(503)], n_posted=60)
    with x.running(fake):
        settings = read_settings(x_bearer_token="good", x_url=fake.url, x_budget_usd=100)
        yield lambda kept: XSearch(settings, Keeping(HASHTAGS, kept), print, Backoff(0.01))


@contextmanager
def an_archive_of_x(folder: Path) -> Iterator[Make]:
    fake = x.X(x.make_posts(60, hours=50), [x.Trouble(), x.Trouble(503)], n_posted=60)
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
def a_stream_of_x(folder: Path) -> Iterator[Make]:
    fake = x.X(x.make_posts(40), stream_troubles=[x.Trouble(end="cut", after=7)])
    with x.running(fake):
        settings = read_settings(x_bearer_token="good", x_url=fake.url, x_budget_usd=100)
        yield lambda kept: XStream(settings, Keeping(HASHTAGS, kept), print, Backoff(0.01))


@contextmanager
def an_instagram(folder: Path) -> Iterator[Make]:
    day = datetime(2026, 3, 2, tzinfo=UTC)
    media = {"snow": graph.make_media("snow", day, 70)}
    troubles = [graph.Trouble(), graph.Trouble(), graph.Trouble(500)]
    with graph.running(graph.Graph(media, day + timedelta(days=1), troubles)) as fake:
        settings = read_settings(
            instagram_token="good", instagram_user_id="17", instagram_url=fake.url
        )
        yield lambda kept: Instagram(settings, Keeping(HASHTAGS, kept), print, Backoff(0.01))


@contextmanager
def a_mastodon(folder: Path) -> Iterator[Make]:
    plan: list[tuple[str, Any]] = [("post", ("Snow", "tea")[n % 4 == 3]) for n in range(24)]
    with mastodon_fake.running(mastodon_fake.Mastodon(plan, [mastodon_fake.Mood()])) as fake:
        settings = read_settings(mastodon_url=fake.url)
        yield lambda kept: Mastodon(settings, Keeping(HASHTAGS, kept), print, Backoff(0.01))


CASES: dict[str, Callable[[Path], AbstractContextManager[Make]]] = {
    "file": a_file,
    "replay": a_replay,
    "bluesky": a_jetstream,
    "instagram": an_instagram,
    "mastodon": a_mastodon,
    "x": a_stream_of_x,
    "x_search": a_search_of_x,
    "x_archive": an_archive_of_x,
}


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
def test_a_live_source_ticks_while_nothing_comes(case: str, tmp_path: Path) -> None:
    with CASES[case](tmp_path) as make:
        found = until_quiet(make(()), None)
        assert found[-1].reading is None
        assert any(s.mark.pulls for s in found)
        assert all(p.covered_from <= p.covered_until for s in found for p in s.mark.pulls)
