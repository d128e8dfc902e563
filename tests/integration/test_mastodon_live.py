"""Mastodon's stream through a fake that misbehaves: nothing lost, nothing twice, deletions kept."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import TYPE_CHECKING, Any

import pytest

from storage import tracking
from storage.database import connect
from storage.tracking import Tracked
from streams import local
from streams.errors import UsageError
from streams.records import Post
from streams.settings import read_settings
from streams.sources import following, mastodon, sockets
from streams.sources.following import Backoff
from streams.sources.keeping import Keeping
from tests.fakes.mastodon import Mastodon, Mood, post_id, running, tags_of
from tests.faults.detector import FaultDetector
from tests.stopping import stopping_when

if TYPE_CHECKING:
    from tests.conftest import Server


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (following, mastodon, sockets):
        monkeypatch.setattr(module, "TICK_SECONDS", 0.05)


@pytest.fixture
def tracked(one_server: Server) -> Iterator[str]:
    """A database in which #snow is tracked, since long ago."""
    with one_server.new_database() as dsn:
        with connect(dsn) as connection:
            long_ago = datetime.now(UTC) - timedelta(days=2)
            tracking.track(connection, [("snow", "Snow")], "ada", long_ago)
        yield dsn


def plan(n: int) -> list[tuple[str, Any]]:
    """Posts about #Snow and #tea; some are changed, some deleted."""
    found: list[tuple[str, Any]] = []
    for number in range(n):
        found.append(("post", ("Snow", "tea")[number % 4 == 3]))
        if number % 5 == 2:
            found.append(("edit", number))
        if number % 6 == 5:
            found.append(("delete", number - 3))
    return found


def follow(fake: Mastodon, dsn: str, said: list[str] | None = None, **more: Any) -> None:
    """Until the fake has told everything and it is stored."""
    told: dict[str, Any] = {"mastodon_url": fake.url, "detector": "null", "live_seconds": 0.1}
    settings = read_settings(**{**told, "source_silence_seconds": 0.5, **more})
    with connect(dsn) as connection:
        keeping = Keeping(tracking.read_tracked(connection))
    say = (said if said is not None else []).append
    source = mastodon.Mastodon(settings, keeping, say, Backoff(0.01))
    stop = Event()

    def is_there() -> bool:
        return fake.sent_all.is_set() and set(stored(dsn)) == expected(fake)

    with stopping_when(is_there, stop):
        local.follow(dsn, source, FaultDetector(), settings, stop)


def stored(dsn: str) -> dict[str, str]:
    with connect(dsn) as connection:
        return dict(
            connection.execute(
                "SELECT p.post_id, c.text FROM hoaxwatch.posts p"
                " JOIN hoaxwatch.content c USING (platform, root_id)"
            ).fetchall()
        )


def expected(fake: Mastodon) -> set[str]:
    return {
        post_id(status)
        for status in fake.posts
        if "snow" in tags_of(status) and status["id"] not in fake.gone
    }


def test_it_loses_nothing_whatever_the_server_does(tracked: str) -> None:
    said: list[str] = []
    moods = [
        *(Mood(end="cut", after=6, repeats=True, drifts=True), Mood(503), Mood(429)),
        *(Mood(end="half", after=5, drifts=True), Mood(end="cut", after=2)),
    ]
    with running(Mastodon(plan(60), moods, [200, 500, 429, 0])) as fake:
        follow(fake, tracked, said)
        assert not fake.moods
        assert not fake.troubles
        assert set(stored(tracked)) == expected(fake)
        assert fake.most_open == 1
        heard = {post_id(s) for s in fake.posts if "edited" in s["content"]} & expected(fake)
        assert sum("edited" in text for text in stored(tracked).values()) >= len(heard) - 2
    told = " ".join(said)
    for words in ("answered 503", "answered 429", "answered 500", "cannot be read", "ended"):
        assert words in told, words
    with connect(tracked) as connection:
        pulls = tracking.read_pulls(connection)
        problems = connection.execute("SELECT count(*) FROM hoaxwatch.quarantine").fetchone()
    covering = [p for p in pulls if p.covered_from < p.covered_until]
    begins, ends = min(p.covered_from for p in covering), max(p.covered_until for p in covering)
    with connect(tracked) as connection:
        days = tracking.read_coverage(connection, "snow")
    covered = sum(day.covered_seconds for day in days)
    assert covered == pytest.approx((ends - begins).total_seconds(), abs=1.5)
    assert problems is not None
    assert problems[0] >= 1  # the drift


def test_it_goes_on_where_the_last_process_left_it(tracked: str) -> None:
    fake = Mastodon(plan(30))
    with running(fake):
        follow(fake, tracked)
        fake.plan += [("post", "Snow")] * 20
        for _ in range(12):
            fake.step()  # while no process is there
        fake.sent_all.clear()
        follow(fake, tracked)
        assert set(stored(tracked)) == expected(fake)
        assert len(stored(tracked)) > 30


def with_a_gap(fake: Mastodon, n: int) -> str:
    """Posts of an hour ago, and the cursor of somebody who left an hour before."""
    left = datetime.now(UTC) - timedelta(hours=2)
    for number in range(n):
        at = left + timedelta(hours=1, seconds=number)
        fake.posts.append(fake.make("Snow", at))
    return json.dumps({"since_id": str(mastodon.id_at(left))})


def until_gap_is_closed(fake: Mastodon, cursor: str, said: list[str]) -> list[str]:
    """The posts that came, each as often as it came, until the cursor moved on."""
    settings = read_settings(mastodon_url=fake.url)
    hashtags = [Tracked("snow", "Snow", datetime.now(UTC))]
    source = mastodon.Mastodon(settings, Keeping(hashtags), said.append, Backoff(0.01))
    found: list[str] = []
    deadline = time.monotonic() + 60
    for reading, mark in source.posts(cursor):
        if isinstance(reading, Post):
            found.append(reading.post_id)
        if mark.cursor is not None:
            break
        assert time.monotonic() < deadline
    return found


def test_a_gap_larger_than_the_servers_limit_is_closed_in_several_times() -> None:
    """On one connection, on which what is posted meanwhile is heard."""
    fake, said = Mastodon([("post", "Snow")] * 3, limit=5, limit_seconds=1.0), list[str]()
    with running(fake):
        found = until_gap_is_closed(fake, with_a_gap(fake, 60), said)
    assert set(found) == {post_id(status) for status in fake.posts}
    assert len(found) <= 63 + 3
    assert fake.asked["/api/v1/streaming"] == 1
    assert 1 <= fake.n_refused <= 8
    assert "answered 429" in said[0]


def test_a_gap_goes_on_where_a_lost_connection_left_it() -> None:
    said: list[str] = []
    fake = Mastodon([], troubles=[*[200] * 9, 500])
    with running(fake):
        found = until_gap_is_closed(fake, with_a_gap(fake, 60), said)
    assert sorted(found) == sorted(post_id(status) for status in fake.posts)
    assert fake.asked["/api/v1/streaming"] == 2


def test_what_is_tracked_later_is_subscribed_to(tracked: str) -> None:
    fake = Mastodon(plan(6))
    with running(fake):
        settings = read_settings(mastodon_url=fake.url)
        with connect(tracked) as connection:
            rows = tracking.read_tracked(connection)
        source = mastodon.Mastodon(settings, Keeping(rows), print, Backoff(0.01))
        sightings = source.posts(None)
        for _ in range(4):
            next(sightings)
        source.track([rows[0]._replace(hashtag="tea", written="tea")])
        deadline = time.monotonic() + 20
        while "subscribe tea" not in fake.subscribed and time.monotonic() < deadline:
            next(sightings)
        sightings.close()  # type: ignore[attr-defined]
    assert fake.subscribed == ["subscribe Snow", "unsubscribe Snow", "subscribe tea"]


def test_what_is_tracked_while_a_gap_is_closed_is_subscribed_to_and_gone_through() -> None:
    """While the server wants to be asked later; only then it counts as covered since the cursor."""
    fake, said = Mastodon([], limit=5, limit_seconds=1.0), list[str]()
    rows = [Tracked(tag.casefold(), tag, datetime.now(UTC)) for tag in ("Snow", "tea")]
    with running(fake):
        cursor = with_a_gap(fake, 40)
        fake.posts += [fake.make("tea", datetime.now(UTC) - timedelta(hours=1))]
        settings = read_settings(mastodon_url=fake.url)
        source = mastodon.Mastodon(settings, Keeping(rows[:1]), said.append, Backoff(0.01))
        found: list[str] = []
        n_subscribed_in_the_gap = 0
        deadline = time.monotonic() + 60
        for reading, mark in source.posts(cursor):
            if said:
                source.track(rows)
            if isinstance(reading, Post):
                found.append(reading.post_id)
            if mark.cursor is not None:
                break
            n_subscribed_in_the_gap = len(fake.subscribed)
            assert time.monotonic() < deadline
    assert set(found) == {post_id(status) for status in fake.posts}
    assert n_subscribed_in_the_gap == 2
    assert {pull.hashtag for pull in mark.pulls} == {"snow", "tea"}


def test_a_server_that_wants_a_token_says_so_in_one_line(tracked: str) -> None:
    with running(Mastodon(plan(6), token="good")) as fake:
        with pytest.raises(UsageError, match="set HOAXWATCH_MASTODON_TOKEN"):
            follow(fake, tracked)
        fake.sent_all.clear()
        follow(fake, tracked, mastodon_token="good")
        assert set(stored(tracked)) == expected(fake)


def test_a_server_that_is_none_is_said_in_one_line(tracked: str) -> None:
    fake = Mastodon(plan(6), [Mood(404)])
    with running(fake), pytest.raises(UsageError, match="set mastodon_url"):
        follow(fake, tracked)
    fake.sent_all.set()
