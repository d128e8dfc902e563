"""X through a fake that misbehaves: everything that can be had is stored once, in the budget."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from datetime import time as time_of_day
from itertools import pairwise
from threading import Event
from typing import TYPE_CHECKING, Any

import pytest

from hoaxwatch import cli
from storage import tracking
from storage.database import connect
from storage.tracking import Pull, Tracked
from streams import local
from streams.errors import UsageError
from streams.records import Post
from streams.settings import Settings, read_settings
from streams.sources import following, x_archive, x_client, x_search, x_stream
from streams.sources.following import Backoff
from streams.sources.keeping import Keeping
from streams.sources.source import Sighting, Source
from streams.sources.x_archive import XArchive
from streams.sources.x_client import id_at
from streams.sources.x_search import XSearch
from streams.sources.x_stream import XStream
from tests.clock import stay_within_a_day
from tests.fakes.x import Trouble, X, make_posts, moment_of, running, tags_of
from tests.faults.detector import FaultDetector
from tests.stopping import stopping_when

if TYPE_CHECKING:
    from tests.conftest import Server

LONG_AGO = datetime.now(UTC) - timedelta(days=2)


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "TICK_SECONDS", 0.05)


@pytest.fixture
def tracked(one_server: Server) -> Iterator[str]:
    """A database in which #snow is tracked, since long ago."""
    with one_server.new_database() as dsn:
        with connect(dsn) as connection:
            tracking.track(connection, [("snow", "Snow")], "ada", LONG_AGO)
        yield dsn


def settings_of(fake: X, **more: Any) -> Settings:
    told: dict[str, Any] = {"x_bearer_token": "good", "x_url": fake.url, "x_budget_usd": 100.0}
    told |= {"detector": "null", "live_seconds": 0.1, "source_silence_seconds": 0.5}
    return read_settings(**{**told, **more})


def source_of(kind: Any, settings: Settings, dsn: str, said: list[str] | None = None) -> Source:
    with connect(dsn) as connection:
        hashtags = tracking.read_tracked(connection)
    say = (said if said is not None else []).append
    source: Source = kind(settings, Keeping(hashtags), say, Backoff(0.01))
    return source


def search(fake: X, dsn: str, said: list[str] | None = None, **more: Any) -> None:
    settings = settings_of(fake, **more)
    source = source_of(XSearch, settings, dsn, said)
    local.follow(dsn, source, FaultDetector(), settings, Event())


def stored(dsn: str) -> dict[str, str]:
    """Posts that were asked for: id and kind."""
    with connect(dsn) as connection:
        return dict(
            connection.execute(
                "SELECT post_id, kind FROM hoaxwatch.posts WHERE seen_as = 'collected'"
            ).fetchall()
        )


def pulls_of(dsn: str) -> list[Pull]:
    with connect(dsn) as connection:
        return tracking.read_pulls(connection)[::-1]


def about(fake: X, tag: str) -> dict[str, str]:
    return {
        post["id"]: "share" if "referenced_tweets" in post else "original"
        for post in fake.posts[: fake.n_posted]
        if tag in tags_of(post)
    }


def test_a_search_gets_everything_through_all_troubles(
    tracked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(x_search, "SETTLE_SECONDS", 0.0)
    said: list[str] = []
    troubles = [
        *(Trouble(503), Trouble(429, reset_in=0), Trouble(429), Trouble(), Trouble(half=True)),
        *(Trouble(), Trouble(500), Trouble(half=True)),
    ]
    with running(X(make_posts(100), troubles, n_posted=100)) as fake:
        search(fake, tracked, said)
        assert not fake.troubles
        assert stored(tracked) == about(fake, "snow")
        assert set(stored(tracked).values()) == {"share", "original"}
        first = len(fake.asked)
        time.sleep(0.1)
        fake.posts += make_posts(20, hours=0.05 / 3600)  # the next pass asks only for these
        fake.n_posted = 120
        search(fake, tracked)
        assert stored(tracked) == about(fake, "snow")
        assert len(fake.asked) - first <= 2
    told = " ".join(said)
    for words in ("answered 503", "answered 429", "cannot be reached", "spent this month"):
        assert words in told
    one, two = pulls_of(tracked)
    assert abs(one.covered_from - LONG_AGO) < timedelta(seconds=1)
    assert abs(two.covered_from - one.covered_until) < timedelta(milliseconds=2)
    assert one.got == len([p for p in fake.posts[:100] if "snow" in tags_of(p)])
    assert not one.is_capped


def test_what_it_would_cost_is_known_before(
    tracked: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with running(X(make_posts(100), [Trouble(503)], n_posted=100)) as fake:
        for name, value in (("X_BEARER_TOKEN", "good"), ("X_URL", fake.url), ("X_BUDGET_USD", "9")):
            monkeypatch.setenv(f"HOAXWATCH_{name}", value)
        assert cli.run(["track", "estimate", "--json", "--database", tracked]) == 0
        told = capsys.readouterr()
        n = len(about(fake, "snow"))
    (row,) = json.loads(told.out)
    settings = read_settings()
    each = settings.x_post_usd + settings.x_user_usd
    assert row["posts_in_seven_days"] == n > 10
    assert row["usd_a_month"] == pytest.approx(n * 30 / 7 * each, abs=0.01)
    assert "answered 503" in " ".join(told.err.split())


def test_a_cap_is_kept_and_said(tracked: str) -> None:
    with running(X(make_posts(200), n_posted=200)) as fake:
        search(fake, tracked, x_most_posts=30)
    (pull,) = pulls_of(tracked)
    assert (pull.got, pull.asked, pull.is_capped) == (30, 30, True)
    newest = sorted(about(fake, "snow"), key=int)[-30:]
    assert sorted(stored(tracked), key=int) == newest
    assert pull.covered_from > LONG_AGO + timedelta(hours=24)


def test_the_money_of_a_month_is_not_exceeded_and_remembered(tracked: str) -> None:
    """A page costs about 10 posts, 7 accounts and originals; another page at most is overspent."""
    stay_within_a_day()
    said: list[str] = []
    with running(X(make_posts(200), n_posted=200)) as fake:
        search(fake, tracked, said, x_budget_usd=0.3)
        n_asked = len(fake.asked)
        assert 1 < n_asked < 6
        (pull,) = pulls_of(tracked)
        assert pull.is_capped
        assert pull.error == "the month's budget is spent"
        search(fake, tracked, said, x_budget_usd=0.3)
        assert len(fake.asked) == n_asked
    assert any("are spent; #Snow waits" in line for line in said)
    with connect(tracked) as connection:
        state = json.loads(tracking.read_cursor(connection, "x_search") or "")
    assert 0.3 <= state["spent"] < 0.5
    assert state["month"] == f"{datetime.now(UTC):%Y-%m}"


def test_a_month_that_begins_within_a_pull_has_its_own_money() -> None:
    """By X's clock; what was spent before the month began counts for the month before."""
    month = datetime(2026, 4, 1, tzinfo=UTC)
    fake = X(make_posts(400, until=month), n_posted=400, now=month - timedelta(seconds=2))
    state = {"month": "2026-03", "spent": 0.3, "done": {"snow": id_at(month - timedelta(days=1))}}
    cursor = json.dumps(state)
    with running(fake):
        source = source_about(XSearch, fake, "Snow", x_budget_usd=0.5, x_with_authors=False)
        for sighting in source.posts(cursor):
            cursor = sighting.mark.cursor or cursor
            if len(searches(fake)) == 2:
                fake.now = month + timedelta(seconds=2)
    state = json.loads(cursor)
    assert state["month"] == "2026-04"
    assert 0.5 <= state["spent"] < 0.6


def test_a_month_that_a_wrong_clock_began_does_not_stay() -> None:
    """The next pass goes on in the month that X's clock tells, with what was spent."""
    stay_within_a_day()
    fake = X(make_posts(20), n_posted=20)
    with running(fake):
        source = source_about(XSearch, fake, "Snow")
        cursor = json.dumps({"month": f"{datetime.now(UTC).year + 2}-01", "spent": 0.25})
        for sighting in source.posts(cursor):
            cursor = sighting.mark.cursor or cursor
    state = json.loads(cursor)
    assert state["month"] == f"{datetime.now(UTC):%Y-%m}"
    assert state["spent"] > 0.25


def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sources wait for X's limits and late posts for hundredths of a second."""
    monkeypatch.setattr(x_client, "ARCHIVE_SECONDS", 0.0)
    monkeypatch.setattr(x_stream, "TICK_SECONDS", 0.01)
    monkeypatch.setattr(x_stream, "SETTLE_SECONDS", 0.05)


def archived() -> dict[str, Any]:
    """The span of the archive from three days ago until after today."""
    today = datetime.now(UTC).date()
    return {
        "x_archive_since": today - timedelta(days=3),
        "x_archive_until": today + timedelta(days=1),
    }


@pytest.mark.parametrize("kind", [XSearch, XArchive, XStream])
def test_what_was_paid_is_remembered_wherever_a_source_is_left(
    kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by Ctrl-C or a kill: the cursor of the sightings so far says what they cost."""
    hurry(monkeypatch)
    cursor = ""
    with running(X(make_posts(120), n_posted=60)) as fake:
        source = source_about(kind, fake, "Snow", **archived())
        began = json.dumps({"since_id": id_at(LONG_AGO)}) if kind is XStream else None
        for sighting in sightings_of(source, began, fake.sent_all.is_set):
            cursor = sighting.mark.cursor or cursor
            told = json.loads(cursor or "{}").get("spent", 0.0)
            assert told == pytest.approx(source._client.purse.spent)
    assert told > 0.1


@pytest.mark.parametrize("kind", [XSearch, XArchive, XStream])
def test_sources_that_are_stopped_again_and_again_stay_in_the_budget(
    kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurry(monkeypatch)
    paid, span = 0.0, archived()
    with running(X(make_posts(300), n_posted=300)) as fake:
        cursor = json.dumps({"since_id": id_at(LONG_AGO)})
        for _ in range(12):
            source = source_about(kind, fake, "Snow", x_budget_usd=0.5, **span)
            n_asked = len(fake.asked)
            before = json.loads(cursor).get("spent", 0.0)
            for sighting in source.posts(cursor):
                cursor = sighting.mark.cursor or cursor
                if len(fake.asked) - n_asked > 5:
                    break
            paid += source._client.purse.spent - before
    assert 0.5 <= paid < 0.75


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (Trouble(402, detail="no credits"), "wants money first .402.: no credits; add credits"),
        (Trouble(403, detail="client-not-enrolled"), "client-not-enrolled; change the plan"),
        (Trouble(400, detail="bad query"), "does not understand a query .400.: bad query"),
    ],
)
def test_what_somebody_must_mend_ends_it_in_one_line(
    tracked: str, trouble: Trouble, words: str
) -> None:
    """In the middle of a pull: what came before is stored."""
    fake = X(make_posts(100), [Trouble(), trouble], n_posted=100)
    with running(fake), pytest.raises(UsageError, match=words) as error:
        search(fake, tracked)
    assert "\n" not in str(error.value)
    assert len(stored(tracked)) == 10
    assert pulls_of(tracked) == []
    with running(X(fake.posts, n_posted=100)) as mended:
        search(mended, tracked)
        assert stored(tracked) == about(mended, "snow")


def test_a_token_that_is_missing_or_expires_says_what_to_set(tracked: str) -> None:
    with running(X(make_posts(10), n_posted=10)) as fake:
        with pytest.raises(UsageError, match="set HOAXWATCH_X_BEARER_TOKEN"):
            search(fake, tracked, x_bearer_token="expired")
        settings = settings_of(fake)
        bare = settings.model_copy(update={"x_bearer_token": None})
        with pytest.raises(UsageError, match="needs a token"):
            source_of(XSearch, bare, tracked)
        poor = settings.model_copy(update={"x_budget_usd": 0.0})
        with pytest.raises(UsageError, match="x_budget_usd"):
            source_of(XSearch, poor, tracked)


def follow(fake: X, dsn: str, said: list[str] | None = None, **more: Any) -> None:
    """The stream, until the fake has posted everything and it is stored."""
    settings = settings_of(fake, **more)
    source, stop = source_of(XStream, settings, dsn, said), Event()

    def is_there() -> bool:
        return fake.sent_all.is_set() and stored(dsn) == about(fake, "snow")

    with stopping_when(is_there, stop):
        local.follow(dsn, source, FaultDetector(), settings, stop)


def test_a_stream_loses_nothing_whatever_it_does(
    tracked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is posted while nobody listens is searched for."""
    monkeypatch.setattr(x_stream, "TICK_SECONDS", 0.05)
    monkeypatch.setattr(x_stream, "SETTLE_SECONDS", 0.2)
    said: list[str] = []
    streams = [
        *(Trouble(end="cut", after=5, repeats=True), Trouble(503), Trouble(429, reset_in=0)),
        *(Trouble(end="silent", after=4), Trouble(end="closed", after=6)),
    ]
    fake = X(make_posts(150), [Trouble(500)], streams)
    fake.rules = {
        "1": {"id": "1", "value": "#rain", "tag": "hoaxwatch rain"},
        "2": {"id": "2", "value": "cats", "tag": "of somebody else"},
    }
    with running(fake):
        follow(fake, tracked, said)
        assert not fake.stream_troubles
        assert stored(tracked) == about(fake, "snow")
        assert fake.most_streams == 1
    rules = {rule["value"]: rule["tag"] for rule in fake.rules.values()}
    assert rules == {"#Snow": "hoaxwatch snow", "cats": "of somebody else"}
    added = [told for path, told in fake.asked if "add" in told]
    assert len(added) == 1  # changed once, not made anew for each connection
    told = " ".join(said)
    for words in ("answered 503", "answered 429", "broke off or was silent"):
        assert words in told
    covering = [p for p in pulls_of(tracked) if p.covered_from < p.covered_until]
    begins, ends = min(p.covered_from for p in covering), max(p.covered_until for p in covering)
    with connect(tracked) as connection:
        (day, *_) = tracking.read_coverage(connection, "snow", since=begins - timedelta(days=1))
        covered = sum(d.covered_seconds for d in tracking.read_coverage(connection, "snow"))
    assert day.is_tracked
    assert covered == pytest.approx((ends - begins).total_seconds(), abs=1.5)  # no gap is left


def test_a_stream_goes_on_where_the_last_process_left_it(
    tracked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(x_stream, "TICK_SECONDS", 0.05)
    monkeypatch.setattr(x_stream, "SETTLE_SECONDS", 0.1)
    fake = X(make_posts(40))
    with running(fake):
        follow(fake, tracked)
        fake.posts += make_posts(40)
        for _ in range(20):
            fake.post_next()  # while no process is there
        fake.sent_all.clear()
        follow(fake, tracked)
        assert stored(tracked) == about(fake, "snow")
        assert len(fake.posts) == fake.n_posted == 80


def sightings_of(
    source: Source, cursor: str | None, is_enough: Callable[[], bool]
) -> Iterator[Sighting]:
    """What a source gives until there is enough of it, at most for a minute."""
    deadline = time.monotonic() + 60
    for sighting in source.posts(cursor):
        yield sighting
        if is_enough():
            return
        assert time.monotonic() < deadline


def source_about(
    kind: Any, fake: X, *written: str, said: list[str] | None = None, **more: Any
) -> Any:
    """A source that needs no database, which asks for these hashtags."""
    hashtags = [Tracked(tag.casefold(), tag, LONG_AGO) for tag in written]
    say = (said if said is not None else []).append
    return kind(settings_of(fake, **more), Keeping(hashtags), say, Backoff(0.01))


def searches(fake: X) -> list[dict[str, str]]:
    return [query for path, query in fake.asked if path == "/2/tweets/search/recent"]


def test_what_x_says_before_it_closes_a_stream_moves_no_cursor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A line without a post; what came meanwhile is searched for once."""
    hurry(monkeypatch)
    told = json.dumps({"errors": [{"title": "operational-disconnect"}]})
    ends = [Trouble(end="closed", after=3, says=told), Trouble(end="closed", says=told)]
    with running(X(make_posts(16), stream_troubles=ends)) as fake:
        source = source_about(XStream, fake, "Snow")
        found = list(sightings_of(source, None, lambda: len(searches(fake)) >= 2))
    cursors = [json.loads(s.mark.cursor)["since_id"] for s in found if s.mark.cursor]
    assert cursors == sorted(cursors, key=int)
    first, second = (moment_of({"id": asked["since_id"]}) for asked in searches(fake))
    assert datetime.now(UTC) - first < timedelta(seconds=90)
    assert second > first


@pytest.mark.parametrize(
    ("status", "words"), [(401, "HOAXWATCH_X_BEARER_TOKEN"), (403, "--source x_search")]
)
def test_a_stream_that_the_plan_does_not_have_ends_in_one_line(
    tracked: str, status: int, words: str
) -> None:
    fake = X(make_posts(5), stream_troubles=[Trouble(status, detail="client-not-enrolled")])
    with running(fake), pytest.raises(UsageError, match=words):
        follow(fake, tracked)
    fake.sent_all.set()


def test_a_stream_stops_when_the_money_is_spent(
    tracked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(x_stream, "TICK_SECONDS", 0.01)
    said: list[str] = []
    fake = X(make_posts(100))
    with running(fake):
        follow(fake, tracked, said, x_budget_usd=0.2)
    assert 3 < len(stored(tracked)) < 40
    assert "spent; raise x_budget_usd" in said[-1]
    fake.sent_all.set()


def test_a_hashtag_that_x_refuses_is_not_covered_and_hinders_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What no rule of ours asks for, but one of others, comes all the same."""
    hurry(monkeypatch)
    said: list[str] = []
    fake = X(make_posts(30), rules={"9": {"id": "9", "value": "#tea", "tag": "of others"}})
    with running(fake):
        source = source_about(XStream, fake, "Snow", "tea", "no-tag", said=said)
        cursor = json.dumps({"since_id": id_at(LONG_AGO)})
        pulls: list[Pull] = []

        def is_enough() -> bool:  # the gap may be closed after the last post came
            return fake.sent_all.is_set() and any(pull.error is None for pull in pulls)

        for sighting in sightings_of(source, cursor, is_enough):
            pulls += sighting.mark.pulls
        assert {asked["query"] for asked in searches(fake)} == {"#Snow OR #tea"}
    assert {pull.hashtag for pull in pulls if pull.error is None} == {"snow", "tea"}
    (refused,) = (pull for pull in pulls if pull.error)
    assert refused.hashtag == "no-tag"
    assert refused.error == "X does not take #no-tag as a rule: Invalid Rule"
    assert refused.covered_from == refused.covered_until
    assert said == [f"x: {refused.error}"]


def archive(fake: X, dsn: str, said: list[str] | None = None, **more: Any) -> None:
    settings = settings_of(fake, **{**archived(), **more})
    source = source_of(XArchive, settings, dsn, said)
    local.follow(dsn, source, FaultDetector(), settings, Event())


def test_the_archive_goes_on_where_caps_money_and_refusals_left_it(
    tracked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is asked for twice, and what was not reached yet is not covered."""
    monkeypatch.setattr(x_client, "ARCHIVE_SECONDS", 0.0)
    monkeypatch.setattr(x_archive, "SETTLE_SECONDS", 0.0)
    said: list[str] = []
    until = datetime.now(UTC).date()
    span = {"x_archive_until": until, "x_archive_since": until - timedelta(days=3)}
    posts = make_posts(300, hours=60)
    fake = X(posts, [Trouble(), Trouble(503), Trouble(half=True)], n_posted=300)
    with running(fake):
        everything = {
            x_id: kind
            for x_id, kind in about(fake, "snow").items()
            if int(id_at(datetime.combine(until, time_of_day(), UTC))) > int(x_id)
        }
        archive(fake, tracked, said, x_most_posts=30, **span)
        assert sorted(stored(tracked), key=int) == sorted(everything, key=int)[-30:]
        (first,) = pulls_of(tracked)
        assert first.is_capped
        assert first.covered_from > datetime.combine(until, time_of_day(), UTC) - timedelta(days=2)
        fake.troubles = [Trouble(), Trouble(402, detail="no credits")]
        with pytest.raises(UsageError, match="wants money first"):
            archive(fake, tracked, said, **span)
        assert len(stored(tracked)) == 40
        n_asked = len(fake.asked)
        archive(fake, tracked, said, x_budget_usd=0.1, **span)
        assert len(fake.asked) == n_asked  # the month's money is spent already
        archive(fake, tracked, said, **span)
        assert stored(tracked) == everything
        n_asked = len(fake.asked)
        archive(fake, tracked, said, **span)
        assert len(fake.asked) == n_asked
    assert any("is not whole" in line for line in said)
    with connect(tracked) as connection:
        days = tracking.read_coverage(connection, "snow")
    assert sum(day.covered_seconds for day in days) == pytest.approx(3 * 86_400, abs=2)


def test_an_archive_until_after_now_goes_on_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each post is bought once: what came since the first pass too, and if the day has ended."""
    monkeypatch.setattr(x_client, "ARCHIVE_SECONDS", 0.0)
    monkeypatch.setattr(x_archive, "SETTLE_SECONDS", 0.0)
    span = {**archived(), "x_most_posts": 30}
    first, end = span["x_archive_since"], span["x_archive_until"]
    cursor: str | None = None
    bought: list[str] = []
    pulls: list[Pull] = []

    def one_pass(**more: Any) -> None:
        nonlocal cursor
        for reading, mark in source_about(XArchive, fake, "Snow", **{**span, **more}).posts(cursor):
            if isinstance(reading, Post) and reading.seen_as == "collected":
                bought.append(reading.post_id)
            cursor = mark.cursor or cursor
            pulls.extend(mark.pulls)

    fake = X(make_posts(120, hours=40), n_posted=120)
    with running(fake):
        for _ in range(3):
            one_pass()
        assert sorted(bought) == sorted(about(fake, "snow"))
        time.sleep(0.05)
        fake.posts += make_posts(20, hours=0.04 / 3600)
        fake.n_posted = 140
        one_pass()
        assert sorted(bought) == sorted(about(fake, "snow"))
        one_pass(x_archive_until=end - timedelta(days=1))  # all of it is there
        assert sorted(bought) == sorted(about(fake, "snow"))
    covered = sorted({pull[:3]: pull for pull in pulls}.values(), key=lambda p: p.covered_from)
    assert covered[0].covered_from == datetime.combine(first, time_of_day(), UTC)
    for one, two in pairwise(covered):
        assert abs(two.covered_from - one.covered_until) < timedelta(milliseconds=2)
    assert len(json.loads(cursor or "")["below"]) <= 2


def test_an_archive_until_before_a_stopped_one_buys_nothing_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What the longer one has come down to already is its own; after both all is there once."""
    monkeypatch.setattr(x_client, "ARCHIVE_SECONDS", 0.0)
    span = archived()
    end = span["x_archive_until"]
    earlier = {**span, "x_archive_until": end - timedelta(days=1)}
    cursor: str | None = None
    bought: list[str] = []
    yesterday = datetime.combine(earlier["x_archive_until"], time_of_day(), UTC)
    fake = X(make_posts(120, hours=40, until=yesterday), n_posted=120)
    with running(fake):
        for settings in ({**span, "x_most_posts": 20}, earlier, span):
            for reading, mark in source_about(XArchive, fake, "Snow", **settings).posts(cursor):
                if isinstance(reading, Post) and reading.seen_as == "collected":
                    bought.append(reading.post_id)
                cursor = mark.cursor or cursor
    assert sorted(bought) == sorted(about(fake, "snow"))


def test_the_archive_wants_days(tracked: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["run", "--database", tracked, "--detector", "null"]
    assert cli.run([*command, "--source", "x_archive"]) == 2
    assert "give --since" in capsys.readouterr().err
    days = ["--since", "2019-11-30", "--until", "2019-11-01"]
    assert cli.run([*command, "--source", "x_archive", *days]) == 2
    assert "is no span" in capsys.readouterr().err
    assert cli.run([*command, "--source", "x_search", *days]) == 2
    assert "are for --source x_archive" in capsys.readouterr().err
