"""hoaxwatch doctor: it finds what is there, and says what to do about what is not."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta

import pytest

from hoaxwatch import cli, doctor
from storage import tracking
from storage.database import connect
from storage.tracking import Mark
from streams.settings import read_settings
from streams.sources.registry import SOURCES, open_source
from streams.topics import create_topics
from tests.clock import stay_within_a_day
from tests.fakes import graph, jetstream, mastodon, x
from tests.folders import short_folder


def found(capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, dict[str, object]]:
    capsys.readouterr()
    code = cli.run(["doctor", "--json", *options])
    return code, {finding["name"]: finding for finding in json.loads(capsys.readouterr().out)}


def test_a_machine_on_which_all_is_well(database: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, findings = found(capsys, "--database", database)
    assert code == 0
    assert {"python", "packages", "settings", "database", "detector"} <= findings.keys()
    assert "bad" not in {finding["state"] for finding in findings.values()}  # type: ignore[index]


def test_no_database_is_made_to_look_at_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with short_folder() as folder:
        monkeypatch.setenv("HOAXWATCH_HOME", f"{folder}/home")
        code, findings = found(capsys)
        assert code == 0, findings
        assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("option", "name", "words"),
    [
        (("--database", "postgresql://localhost:1/x"), "database", "start it"),
        (("--database", "nonsense"), "database", "postgresql://"),
    ],
)
def test_what_does_not_work_is_said_with_what_to_do(
    option: tuple[str, str], name: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, findings = found(capsys, *option)
    assert code == 3
    finding = findings[name]
    assert isinstance(finding, dict)
    assert finding["state"] == "bad"
    assert words in finding["detail"] + finding["advice"]


def test_a_detector_that_is_not_there_is_a_finding() -> None:
    findings = [f for f in doctor.examine(read_settings(detector="nope")) if f.name == "detector"]
    assert [f.state for f in findings] == ["bad"]
    assert "nope" in findings[0].detail


@pytest.mark.parametrize("name", ["x", "x_search", "x_archive"])
def test_x_is_asked_about_its_plan_and_the_budget(
    name: str, database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stay_within_a_day()
    with x.running(x.X([])) as fake, connect(database) as connection:
        for key, value in (
            ("X_URL", fake.url),
            ("X_BEARER_TOKEN", fake.token),
            ("X_BUDGET_USD", "5"),
        ):
            monkeypatch.setenv(f"HOAXWATCH_{key}", value)
        monkeypatch.setenv("HOAXWATCH_X_ARCHIVE_SINCE", "2026-01-01")
        monkeypatch.setenv("HOAXWATCH_X_ARCHIVE_UNTIL", "2026-01-03")
        month = f"{datetime.now(UTC):%Y-%m}"
        with connection.cursor() as cursor:
            mark = Mark(json.dumps({"month": month, "spent": 1.25}), ())
            tracking.save_mark(cursor, name, mark, datetime.now(UTC))
        code, findings = found(capsys, name, "--database", database)
        assert code == 0
        assert findings[name]["detail"] == (  # type: ignore[index]
            "takes the token; 120 of 10,000 posts of its plan read; about $1.25 of $5.00 spent "
            "this month"
        )
        monkeypatch.setenv("HOAXWATCH_X_BEARER_TOKEN", "another")
        code, findings = found(capsys, name, "--database", database)
        assert code == 3
        assert "401" in findings[name]["detail"]  # type: ignore[index]
        assert "HOAXWATCH_X_BEARER_TOKEN" in findings[name]["advice"]  # type: ignore[index]


def test_what_other_sources_of_x_have_spent_counts(
    database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All of them spend the same money: at 4.75 and 0.5 of 5 dollars a search asks for nothing."""
    stay_within_a_day()
    month = f"{datetime.now(UTC):%Y-%m}"
    now = datetime.now(UTC)
    with x.running(x.X(x.make_posts(20), n_posted=20)) as fake, connect(database) as connection:
        for key, value in (("URL", fake.url), ("BEARER_TOKEN", fake.token), ("BUDGET_USD", "5")):
            monkeypatch.setenv(f"HOAXWATCH_X_{key}", value)
        with connection.cursor() as cursor:
            for name, spent in (("x", 4.75), ("x_archive", 0.5), ("bluesky", None)):
                said = "17" if spent is None else json.dumps({"month": month, "spent": spent})
                tracking.save_mark(cursor, name, Mark(said, ()), now)
        tracking.track(connection, [("snow", "Snow")], "me", now - timedelta(days=1))
        _, findings = found(capsys, "x_search", "--database", database)
        assert "about $5.25 of $5.00" in findings["x_search"]["detail"]  # type: ignore[index]
        source = open_source("x_search", read_settings(), connection, lambda line: None)
        assert [s.reading for s in source.posts(None) if s.reading is not None] == []
        assert not any("search" in path for path, _ in fake.asked)


def test_brokers_that_do_not_answer_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    (none,) = doctor._broker(read_settings())
    assert (none.state, none.advice) == ("optional", "set HOAXWATCH_KAFKA")
    (away,) = doctor._broker(read_settings(kafka="127.0.0.1:1"))
    assert away.state == "bad"
    assert "HOAXWATCH_KAFKA" in away.advice


def test_brokers_are_asked_for_our_topics(kafka: str) -> None:
    settings = read_settings(kafka=kafka, kafka_prefix=f"doctor{os.getpid()}-")
    (missing,) = doctor._broker(settings)
    assert (missing.state, missing.advice) == ("bad", "hoaxwatch topics create")
    create_topics(settings)
    (there,) = doctor._broker(settings)
    assert there.state == "good"


def test_engines_that_read_pictures_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {finding.name: finding for finding in doctor._ocr(read_settings())}
    assert found.keys() == {"rapidocr", "tesseract"}
    assert found["rapidocr"].state == "good"
    monkeypatch.setenv("PATH", "/nowhere")
    (gone,) = [f for f in doctor._ocr(read_settings()) if f.name == "tesseract"]
    assert (gone.state, gone.advice) == ("optional", "apt install tesseract-ocr")


def test_other_platforms_are_asked(
    database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    network = jetstream.make_network(3)
    with (
        graph.running(graph.Graph({}, datetime.now(UTC))) as instagram,
        mastodon.running(mastodon.Mastodon([])) as server,
        jetstream.running(network.events, []) as stream,
    ):
        monkeypatch.setenv("HOAXWATCH_INSTAGRAM_URL", instagram.url)
        monkeypatch.setenv("HOAXWATCH_INSTAGRAM_TOKEN", instagram.token)
        monkeypatch.setenv("HOAXWATCH_INSTAGRAM_USER_ID", "17")
        monkeypatch.setenv("HOAXWATCH_MASTODON_URL", server.url)
        monkeypatch.setenv("HOAXWATCH_BLUESKY_URL", stream.url)
        for name, words in (
            ("instagram", "takes the token of newsroom; 0 of 30 hashtags"),
            ("mastodon", "shows timelines of hashtags and streams them"),
            ("bluesky", "streams events"),
        ):
            code, findings = found(capsys, name, "--database", database)
            assert code == 0, findings
            assert words in findings[name]["detail"]  # type: ignore[index]


@pytest.mark.parametrize("name", ["mastodon", "bluesky", "instagram"])
def test_a_platform_that_is_away_is_said_at_once(
    name: str, database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOAXWATCH_MASTODON_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("HOAXWATCH_BLUESKY_URL", "ws://127.0.0.1:1/subscribe")
    monkeypatch.setenv("HOAXWATCH_INSTAGRAM_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("HOAXWATCH_INSTAGRAM_TOKEN", "t")
    monkeypatch.setenv("HOAXWATCH_INSTAGRAM_USER_ID", "17")
    code, findings = found(capsys, name, "--database", database)
    assert code == 3
    assert "cannot be re" in findings[name]["detail"]  # type: ignore[index]
    assert cli.run(["doctor", "nobody", "--database", database]) == 3


def test_each_source_is_set_up_or_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    bare = {f.name: f for f in doctor._sources(read_settings())}
    assert bare.keys() == SOURCES.keys()
    assert bare["bluesky"].state == "good"
    assert "HOAXWATCH_X_BEARER_TOKEN" in bare["x"].advice + bare["x"].detail
    told = {"x_bearer_token": "t", "x_budget_usd": 5.0}
    told |= {"instagram_token": "t", "instagram_user_id": "17"}
    ready = {f.name: f.state for f in doctor._sources(read_settings(**told))}
    assert {ready[name] for name in ("x", "x_search", "instagram")} == {"good"}
    poor = {f.name: f for f in doctor._sources(read_settings(x_bearer_token="t"))}
    assert "x_budget_usd" in poor["x"].advice + poor["x"].detail
