"""Snowball: what comes with tracked hashtags is proposed with evidence; people decide; accounts
that were accepted are collected."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from hoaxwatch import cli
from storage import snowball, tracking
from storage.database import Connection, connect
from storage.labels import Label, add_labels
from streams import local, steps
from streams.records import Author, Post
from streams.settings import read_settings
from streams.sources import bluesky, following, sockets, x_search, x_stream
from streams.sources.following import Backoff
from streams.sources.keeping import Keeping
from streams.sources.registry import open_source
from tests.fakes import jetstream, x
from tests.faults.detector import FaultDetector
from tests.stopping import stopping_when

DAY = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.fixture(autouse=True)
def plainly(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOAXWATCH_CONFIG", str(tmp_path / "none.toml"))
    monkeypatch.setenv("HOAXWATCH_DETECTOR", "null")
    for module in (bluesky, following, sockets, x_stream):
        monkeypatch.setattr(module, "TICK_SECONDS", 0.05)


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with connect(database) as opened:
        tracking.track(opened, [("snow", "Snow")], "ada", DAY)
        yield opened


def store(database: str, posts: list[tuple[str, int, tuple[str, ...], bool | None]]) -> None:
    """(author, followers, hashtags, what people say) of each."""
    made = [
        Post(
            platform="x",
            post_id=str(100 + number),
            root_id=str(100 + number),
            posted_at=DAY + timedelta(hours=number),
            text=f"Number {number}",
            hashtags=tags,
            author=Author(author_id=author, handle=f"h{author}", followers=followers),
            observed_at=DAY,
            provenance="test",
            raw=str(number).encode(),
        )
        for number, (author, followers, tags, _) in enumerate(posts)
    ]
    with local._session(database, FaultDetector(), read_settings()) as opened:
        steps.record(opened, steps.prepare(made, DAY), FaultDetector(), "key")
        given = [
            Label("x", post.post_id, "likely_false" if told[3] else "likely_true")
            for post, told in zip(made, posts, strict=True)
            if told[3] is not None
        ]
        add_labels(opened, given, "ada", DAY)


POSTS: list[tuple[str, int, tuple[str, ...], bool | None]] = [
    *[("1", 50, ("Snow", "Hoax"), True)] * 3,
    *[("2", 900, ("snow", "hoax", "ice"), True)] * 3,
    *[("3", 10, ("SNOW", "ice"), False)] * 4,
    *[("4", 5, ("snow", "rare"), None)] * 2,
    *[("5", 5, ("tea", "elsewhere"), True)] * 9,
]


def proposed(database: str, capsys: pytest.CaptureFixture[str], *more: str) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert cli.run(["track", "propose", "--json", *more, "--database", database]) == 0
    told: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return told


def test_both_sides_are_proposed_with_evidence(
    database: str,
    connection: Connection,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store(database, POSTS)
    rows = proposed(database, capsys)
    told = [(r["side"], r["name"], r["posts"], r["flagged"], r["unflagged"]) for r in rows]
    assert told == [
        ("flagged", "hoax", 6, 6, 0),
        ("flagged", "ice", 7, 3, 4),
        ("unflagged", "ice", 7, 3, 4),
        ("flagged", "x:2", 3, 3, 0),  # as many as 1, more followers
        ("flagged", "x:1", 3, 3, 0),
        ("unflagged", "x:3", 4, 0, 4),
    ]
    assert (rows[0]["accounts"], rows[0]["example"]) == (2, "x:100")
    assert [r["followers"] for r in rows[3:]] == [900, 50, 10]
    assert rows[3]["shown"] == "x:@h2"
    first = [r["name"] for r in proposed(database, capsys, "--until", "2026-03-02T03:00")]
    assert first == ["hoax", "x:1"]
    assert proposed(database, capsys, "--least", "7") == []
    monkeypatch.setenv("HOAXWATCH_TIMEZONE", "America/New_York")
    again = [r["name"] for r in proposed(database, capsys, "--until", "2026-03-01T22:00")]
    assert again == first, "times are as in the setting"


def test_what_was_decided_is_recorded_and_not_proposed_again(
    database: str, connection: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    store(database, POSTS)
    end = ["--by", "bo", "--note", "seen", "--database", database]
    assert cli.run(["track", "accept", "#Hoax", "x:2", *end]) == 0
    assert cli.run(["track", "reject", "ice", "x:1", *end]) == 0
    assert [r["name"] for r in proposed(database, capsys)] == ["x:3"]
    assert [row.hashtag for row in tracking.read_tracked(connection)] == ["hoax", "snow"]
    assert [row.hashtag for row in snowball.read_accounts(connection, "x")] == ["from:2"]
    decided = {d.name: d for d in snowball.read_decisions(connection)}
    assert {d.name: d.decision for d in decided.values()} == {
        "hoax": "accepted",
        "x:2": "accepted",
        "ice": "rejected",
        "x:1": "rejected",
    }
    assert (decided["x:2"].decided_by, decided["x:2"].note) == ("bo", "seen")
    assert decided["x:2"].evidence["followers"] == 900
    assert cli.run(["track", "list", "--csv", "--database", database]) == 0
    assert "from:x:2" in capsys.readouterr().out
    assert cli.run(["track", "decisions", "--json", "--database", database]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 4
    assert cli.run(["track", "remove", "x:2", "--database", database]) == 0
    assert cli.run(["track", "remove", "x:2", "--database", database]) == 2
    assert snowball.read_accounts(connection) == []
    assert len(snowball.read_accounts(connection, with_history=True)) == 1


def test_a_forgotten_account_is_not_tracked_any_more(database: str, connection: Connection) -> None:
    assert cli.run(["track", "accept", "x:2", "--database", database]) == 0
    assert cli.run(["forget", "account", "x:2", "--yes", "--database", database]) == 0
    assert snowball.read_accounts(connection, with_history=True) == []
    assert snowball.read_decisions(connection) == []


def test_accepted_accounts_are_collected_on_x(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(x_search, "SETTLE_SECONDS", 0.0)
    monkeypatch.setattr(x_stream, "SETTLE_SECONDS", 0.1)
    long_ago = datetime.now(UTC) - timedelta(days=2)
    with connect(database) as connection:
        snowball.decide(connection, "account", "x:101", "accepted", "bo", long_ago, None, {})
        tracking.track(connection, [("nothing", "nothing")], "bo", long_ago)
    for name in ("x_search", "x"):
        fake = x.X(x.make_posts(42), n_posted=42 if name == "x_search" else 0)
        with x.running(fake):
            settings = read_settings(
                x_bearer_token="good", x_url=fake.url, x_budget_usd=100, live_seconds=0.1
            )
            with connect(database) as connection:
                source = open_source(name, settings, connection, print)
            stop = Event()

            def is_there(fake: x.X = fake) -> bool:
                return fake.sent_all.is_set() and collected(database) >= posted(fake)

            with stopping_when(is_there, stop):
                local.follow(database, source, FaultDetector(), settings, stop)
        assert collected(database) >= posted(fake)
        assert not collected(database) & ({p["id"] for p in fake.posts} - posted(fake))


def collected(database: str) -> set[str]:
    with connect(database) as connection:
        found = connection.execute(
            "SELECT post_id FROM hoaxwatch.posts WHERE seen_as = 'collected'"
        )
        return {row[0] for row in found}


def posted(fake: x.X) -> set[str]:
    """What the account that was accepted posted."""
    return {post["id"] for post in fake.posts if post["author_id"] == "101"}


def test_accepted_accounts_are_kept_of_bluesky(database: str) -> None:
    did = "did:plc:" + "s" * 24
    net = jetstream.Network()
    wanted = net.post(did, "No tag at all", concerns=True)
    net.post("did:plc:other", "Nor here", concerns=False)
    with connect(database) as connection:
        snowball.decide(connection, "account", f"bluesky:{did}", "accepted", "bo", DAY, None, {})
        tracking.track(connection, [("nothing", "nothing")], "bo", DAY)
        rows = snowball.read_asked(connection, "bluesky", tracking.read_tracked(connection))
    keeping = Keeping(rows)
    with jetstream.running(net.events) as fake:
        source = bluesky.Bluesky(fake.url, 30, keeping, print, Backoff(0.01))
        kept = []
        for sighting in source.posts(None):
            if isinstance(sighting.reading, Post):
                kept.append(sighting.reading.post_id)
            if sighting.reading is None and fake.sent_all.is_set():
                break
    assert kept == [wanted]
    assert keeping.got == {f"from:{did}": 1}
