"""Whatever a platform sends, a live source neither raises nor loses it: each line that it asked for
ends as readings.

The lines are those of every format's example, of the simulator, and real ones where they are at
hand, mutated; and bytes that are no lines.
"""

from __future__ import annotations

import copy
import io
import json
import lzma
import os
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hoaxwatch.simulate import simulate
from storage.tracking import Tracked
from streams.formats.json_records import split_json
from streams.formats.registry import load_format
from streams.records import Deletion, NotAPost, Post, Problem, Reading
from streams.settings import read_settings
from streams.sources.bluesky import Bluesky
from streams.sources.following import Backoff, Interrupted
from streams.sources.instagram import Instagram
from streams.sources.keeping import Keeping
from streams.sources.mastodon import Mastodon
from streams.sources.x_stream import XStream, _decode
from tests.property.test_formats import JUNK, assert_safe

MANY = settings(
    deadline=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
HASHTAGS = [Tracked("snow", "Snow", datetime(2026, 3, 1, tzinfo=UTC))]
HASHTAGS += [Tracked("harbourtalk", "HarbourTalk", datetime(2026, 3, 1, tzinfo=UTC))]
#: format -> files of the simulator, and real ones
FILES = {
    "twitter_v2": ("x_stream_", "tweets_v2_jsonl/noflat.jsonl.xz"),
    "bluesky": ("bluesky_stream_", None),
    "instagram_graph": ("ig_water_", None),
}


class Lines(dict[str, list[Any]]):
    """format -> records, of which failing tests print no megabytes."""

    def __repr__(self) -> str:
        return "Lines"


def lines_of(content: bytes) -> list[bytes]:
    """The lines that are JSON."""
    return [line for line in content.splitlines()[:60] if line.startswith(b"{")]


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Lines:
    world = simulate(
        tmp_path_factory.mktemp("world"), 3, 7, 300, with_pictures=False, with_tables=False
    )
    found = Lines()
    for name, (begins, real) in FILES.items():
        records: list[Any] = []
        for path in world.paths:
            if path.name.startswith(begins):
                content = path.read_bytes()
                if path.suffix == ".zst":
                    content = zstandard.ZstdDecompressor().stream_reader(content).read()
                records += [json.loads(line) for line in lines_of(content)]
        data = os.environ.get("HOAXWATCH_TEST_DATA")
        if real is not None and data is not None:
            with lzma.open(Path(data) / real) as file:
                records += [json.loads(line) for line in lines_of(b"".join(file.readlines()[:30]))]
        assert records, name
        found[name] = records
    mastodon = load_format("mastodon").example()
    with_events = [json.loads(line) for line in mastodon.splitlines()]
    found["mastodon"] = [r for r in with_events if "event" in r]
    found["mastodon"] += [
        {"stream": ["hashtag"], "event": event, "payload": json.dumps(record)}
        for record in with_events
        for event in ("update", "status.update")
    ]
    return found


#: What a field may be one day, and bytes that may get into a line.
STRANGE: list[Any] = [None, True, 0, -1, 1e300, "", "\0", "\ud800", "9" * 25, "2023-01-01", [], {}]
STRANGE += [[None], [[]], {"": 0}, ["#snow", 7], {"id": None, "data": []}, "…RT @a: b", 1 << 70]
BYTES = [b"", b'"', b'\\"', b"{", b"}", b"[", b"]", b",", b"\0", b"\xff", b"\xed\xa0\x80", b"\r"]


def drift(records: Sequence[Any], seed: int) -> bytes:
    """A line as a platform may send it one day: up to three fields, at any depth, are dropped,
    renamed or something else, and up to two pieces are cut out or put in."""
    chance = random.Random(seed)
    record = json.loads(json.dumps(chance.choice(records)))
    for _ in range(chance.randrange(4)):
        record = _changed(record, chance)
    line = json.dumps(record).encode()
    for _ in range(chance.choice((0, 0, 0, 1, 2))):
        at = chance.randrange(len(line) + 1)
        line = line[:at] + chance.choice(BYTES) + line[at + chance.randrange(9) :]
    return line


def _changed(value: Any, chance: random.Random) -> Any:
    if not isinstance(value, dict | list) or not value or chance.random() < 0.1:
        return copy.deepcopy(chance.choice(STRANGE))
    key = chance.choice(list(value) if isinstance(value, dict) else range(len(value)))
    if chance.random() < 0.6:
        value[key] = _changed(value[key], chance)
    elif isinstance(value, list) or chance.random() < 0.5:
        del value[key]
    else:
        value[f"new_{key}"] = value.pop(key)
    return value


SEEDS = st.integers(0, 1 << 32)


@pytest.fixture(scope="module")
def server() -> Mastodon:
    """One for all: making its client reads the system's certificates."""
    return Mastodon(read_settings(), Keeping(HASHTAGS), print)


def check(readings: Sequence[Reading]) -> None:
    for reading in readings:
        assert isinstance(reading, Post | Deletion | NotAPost | Problem)
        assert_safe(reading)


def sighted(sightings: Iterator[Any]) -> list[Reading]:
    return [sighting.reading for sighting in sightings if sighting.reading is not None]


@given(seed=SEEDS)
@MANY
def test_lines_of_x(lines: Lines, seed: int) -> None:
    """Each line ends as readings; one that is half is put aside, and never the next one."""
    settings = read_settings(x_bearer_token="good", x_budget_usd=1e9)
    source = XStream(settings, Keeping(HASHTAGS), print)
    line = drift(lines["twitter_v2"], seed)
    page = _decode(line)
    found = sighted(source._problem_of(line) if page is None else source._kept_of(page))
    check(found)
    assert found or not line.strip()


@given(seed=SEEDS)
@MANY
def test_events_of_bluesky(lines: Lines, seed: int) -> None:
    """Each event is kept, waits, is another's, or is counted as unreadable; the clock holds."""
    keeping = Keeping(HASHTAGS)
    source = Bluesky("ws://nowhere", 30, keeping, print)
    good = lines["bluesky"][0]
    for number in range(3):
        event = drift(lines["bluesky"], seed + number)
        n_unreadable = keeping.n_unreadable
        found = sighted(source._kept_of(event))
        check(found)
        is_read = all(
            not isinstance(r, Problem)
            for r in load_format("bluesky").remap(event, "bluesky:jetstream")
        )
        assert is_read or found or keeping.n_unreadable > n_unreadable
    list(source._kept_of(json.dumps(good).encode()))
    until = source._followed_until()
    assert until is not None
    assert until.timestamp() < datetime.now(UTC).timestamp() + 120


@given(seed=SEEDS)
@MANY
def test_events_of_mastodon(lines: Lines, server: Mastodon, seed: int) -> None:
    event = drift(lines["mastodon"], seed)
    try:
        found = list(server._readings_of(event))
    except Interrupted as failure:
        assert "the server says" in str(failure)
        return
    check(found)
    assert found or not event.strip()
    assert server._newest >> 16 < (datetime.now(UTC).timestamp() + 7200) * 1000


@given(seed=SEEDS)
@MANY
def test_pages_of_instagram(lines: Lines, seed: int) -> None:
    """A page, whatever it is, ends the pull in one way or another, with what it held."""
    page = drift(lines["instagram_graph"], seed)
    answers = iter([b'{"data": [{"id": "17"}]}', page])

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=next(answers, b'{"data": []}'))

    source = instagram_of(answer)
    found = sighted(source.posts(None))
    check(found)
    try:
        told = json.loads(page)
    except ValueError:
        return
    items = told.get("data") if isinstance(told, dict) else None
    if isinstance(items, list) and any(isinstance(item, dict) and item for item in items):
        assert found


def test_a_cursor_that_cannot_be_sent_back_ends_the_pull(lines: Lines) -> None:
    page = {"data": [{"id": "1"}], "paging": {"cursors": {"after": "\ud800"}}}
    answers = iter([b'{"data": [{"id": "17"}]}', json.dumps(page).encode()])

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=next(answers))

    assert len(sighted(instagram_of(answer).posts(None))) == 1


def instagram_of(answer: Callable[[httpx.Request], httpx.Response]) -> Instagram:
    """The source, over answers of ours."""
    settings = read_settings(instagram_token="good", instagram_user_id="17")
    source = Instagram(settings, Keeping(HASHTAGS[:1]), lambda line: None, Backoff(0.0))
    source._http = httpx.Client(
        base_url="http://nowhere", transport=httpx.MockTransport(answer), timeout=1
    )
    return source


@given(pieces=st.lists(JUNK | st.binary(max_size=30), max_size=4))
@MANY
def test_bytes_that_are_no_json_never_raise(server: Mastodon, pieces: list[bytes]) -> None:
    content = b"".join(pieces)
    check(sighted(Bluesky("ws://nowhere", 30, Keeping(HASHTAGS), print)._kept_of(content)))
    with suppress(Interrupted):  # the server says that it stops
        check(list(server._readings_of(content)))
    assert all(raw is None or isinstance(raw, bytes) for _, raw in split_json(io.BytesIO(content)))
