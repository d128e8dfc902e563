"""Instagram's hashtag search through a fake that misbehaves and has its own days."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from storage import tracking
from storage.database import connect
from storage.tracking import Pull, Tracked
from streams import local
from streams.errors import UsageError
from streams.settings import read_settings
from streams.sources import following
from streams.sources.following import Backoff
from streams.sources.instagram import Instagram
from streams.sources.keeping import Keeping
from tests.fakes.graph import Graph, Trouble, make_media, running
from tests.faults.detector import FaultDetector

if TYPE_CHECKING:
    from tests.conftest import Server

DAY = datetime(2026, 3, 2, tzinfo=UTC)
ONE_DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "TICK_SECONDS", 0.05)


@pytest.fixture
def empty(one_server: Server) -> Iterator[str]:
    with one_server.new_database() as dsn:
        yield dsn


def track(dsn: str, *hashtags: str) -> None:
    with connect(dsn) as connection:
        tracking.track(connection, [(tag, tag) for tag in hashtags], "ada", DAY)


def pull(fake: Graph, dsn: str, said: list[str] | None = None, **more: Any) -> None:
    told: dict[str, Any] = {
        "instagram_token": "good",
        "instagram_user_id": "17",
        "detector": "null",
    }
    settings = read_settings(**{**told, "instagram_url": fake.url, **more})
    with connect(dsn) as connection:
        keeping = Keeping(tracking.read_tracked(connection))
    say = (said if said is not None else []).append
    source = Instagram(settings, keeping, say, Backoff(0.01))
    local.follow(dsn, source, FaultDetector(), settings, Event())


def stored(dsn: str) -> set[str]:
    with connect(dsn) as connection:
        return {row[0] for row in connection.execute("SELECT post_id FROM hoaxwatch.posts")}


def pulls_of(dsn: str) -> list[Pull]:
    with connect(dsn) as connection:
        return sorted(tracking.read_pulls(connection), key=lambda p: (p.covered_until, p.hashtag))


def codes(media: list[dict[str, Any]]) -> set[str]:
    return {m["permalink"].split("/")[-2] for m in media}


def test_days_are_pulled_through_all_troubles(empty: str) -> None:
    track(empty, "snow", "ice")
    media = {
        "snow": make_media("snow", DAY + ONE_DAY, 130) + make_media("snow", DAY, 60),
        "ice": make_media("ice", DAY, 3, hours=48),
    }
    troubles = [
        *(Trouble(400, 4, "too often"), Trouble(), Trouble(500, 2), Trouble(half=True)),
        *(Trouble(503), Trouble(), Trouble(400, 17)),
    ]
    said: list[str] = []
    with running(Graph(media, DAY + ONE_DAY, troubles)) as fake:
        pull(fake, empty, said)
        fake.now += ONE_DAY
        pull(fake, empty, said)
        assert stored(empty) == codes([m for found in media.values() for m in found])
        assert sum(path == "/ig_hashtag_search" for path, _ in fake.asked) >= 2
        n_asked = len(fake.asked)
        fake.now += 3 * ONE_DAY  # nobody asked for two days: they are not covered
        pull(fake, empty)
        searches = [path for path, _ in fake.asked[n_asked:] if "search" in path]
        assert searches == []  # the ids are known
    told = [
        (p.hashtag, p.covered_from - DAY, p.covered_until - DAY, p.got) for p in pulls_of(empty)
    ]
    days = [timedelta(days=n) for n in range(6)]
    assert told == [
        ("ice", days[0], days[1], 2),
        ("snow", days[0], days[1], 60),
        ("ice", days[1], days[2], 1),
        ("snow", days[1], days[2], 130),
        ("ice", days[4], days[5], 0),
        ("snow", days[4], days[5], 0),
    ]
    for words in ("asked too often (4)", "answered 500 (2)", "cannot be reached", "too often (17)"):
        assert any(words in line for line in said), words
    with connect(empty) as connection:
        authors = connection.execute("SELECT count(*) FROM hoaxwatch.authors").fetchone()
    assert authors == (0,)  # this source names none


def test_a_cap_keeps_the_newest_and_covers_their_time(empty: str) -> None:
    track(empty, "snow")
    media = make_media("snow", DAY, 96)
    with running(Graph({"snow": media}, DAY + ONE_DAY)) as fake:
        pull(fake, empty, instagram_most_posts=80)
    assert stored(empty) == codes(media[:80])
    (only,) = pulls_of(empty)
    assert (only.got, only.asked, only.is_capped) == (80, 80, True)
    assert only.covered_from == DAY + timedelta(hours=4)


def test_thirty_hashtags_in_seven_days(empty: str) -> None:
    track(empty, *(f"tag{number:02}" for number in range(32)))
    media = {f"tag{number:02}": make_media(f"tag{number:02}", DAY, 1) for number in range(32)}
    said: list[str] = []
    with running(Graph(media, DAY + ONE_DAY)) as fake:
        pull(fake, empty, said)
        assert len(fake.searched) == 30
        assert len(stored(empty)) == 30
        assert sum("there is room on 2026-03-10" in line for line in said) == 2
        fake.now += 2 * ONE_DAY
        pull(fake, empty)
        assert len(fake.searched) == 30
        fake.now += 7 * ONE_DAY  # all are free again
        with connect(empty) as connection:
            tracking.untrack(connection, [f"tag{n:02}" for n in range(5)], "ada", fake.now)
        pull(fake, empty)
        assert fake.searched == set(media)
    failed = [p for p in pulls_of(empty) if p.error]
    assert {p.hashtag for p in failed} == {"tag30", "tag31"}
    assert all(p.covered_from == p.covered_until for p in failed)
    with connect(empty) as connection:
        state = msgspec.json.decode(tracking.read_cursor(connection, "instagram") or "")
    assert len(state["used"]) <= 30


def test_hashtags_that_are_asked_for_daily_keep_their_places() -> None:
    """Their seven days begin again when they end: a 31st has no room then either."""
    fake, cursor = Graph({}, DAY), ""

    def one_day(n: int) -> str:
        """The pass of a day with so many hashtags; returns what the greeting says then."""
        nonlocal cursor
        settings = read_settings(
            instagram_token="good", instagram_user_id="17", instagram_url=fake.url
        )
        hashtags = [Tracked(f"tag{number:02}", f"tag{number:02}", DAY) for number in range(n)]
        source = Instagram(settings, Keeping(hashtags), lambda line: None, Backoff(0.01))
        for sighting in source.posts(cursor):
            cursor = sighting.mark.cursor or cursor
        greeting = source.greet(cursor)
        while True:
            try:
                next(greeting)
            except StopIteration as end:
                return str(end.value)

    with running(fake):
        for _ in range(9):
            said = one_day(30)
            fake.now += ONE_DAY
        assert "30 of 30 hashtags" in said
        n_asked = len(fake.asked)
        assert "30 of 30 hashtags" in one_day(31)
        asked = {path for path, _ in fake.asked[n_asked:]}
        assert asked == {f"/id-tag{number:02}/recent_media" for number in range(30)} | {"/17"}


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (Trouble(400, 10, "not approved"), "not approved; it needs Instagram Public Content"),
        (Trouble(400, 100, "bad"), "check instagram_user_id"),
        (Trouble(403, 0, "strange"), "refuses it"),
    ],
)
def test_refusals_end_it_in_one_line(empty: str, trouble: Trouble, words: str) -> None:
    track(empty, "snow")
    media = {"snow": make_media("snow", DAY, 70)}
    fake = Graph(media, DAY + ONE_DAY, [Trouble(), Trouble(), trouble])
    with running(fake), pytest.raises(UsageError, match=words):
        pull(fake, empty)
    assert len(stored(empty)) == 50  # the page before


def test_a_token_that_expires_in_the_middle(empty: str) -> None:
    track(empty, "snow")
    with running(Graph({"snow": make_media("snow", DAY, 9)}, DAY + ONE_DAY)) as fake:
        with pytest.raises(UsageError, match="set HOAXWATCH_INSTAGRAM_TOKEN"):
            pull(fake, empty, instagram_token="expired")
        pull(fake, empty)
    assert len(stored(empty)) == 9
    assert len(pulls_of(empty)) == 1


def test_a_hashtag_that_is_refused_stops_no_other(empty: str) -> None:
    track(empty, "bad", "snow")
    fake = Graph({"snow": make_media("snow", DAY, 9)}, DAY + ONE_DAY, [Trouble(400, 24, "none")])
    with running(fake):
        pull(fake, empty)
    assert len(stored(empty)) == 9
    assert [(p.hashtag, p.error) for p in pulls_of(empty)] == [("bad", "none (24)"), ("snow", None)]
