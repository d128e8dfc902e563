"""A study, day by day through a fake Instagram: straight, and killed on every third day."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hoaxwatch.cli import run as run_command
from hoaxwatch.simulate import simulate
from storage import labels
from storage.database import connect
from storage.labels import Label
from streams.sources import following
from tests.fakes.graph import Graph, Trouble, running
from tests.house.repository import ROOT
from tests.tables import assert_same, read_tables

if TYPE_CHECKING:
    from tests.conftest import Server

N_DAYS = 30 if os.environ.get("HOAXWATCH_TEST_MONTH") == "1" else 4
ONE_DAY = timedelta(days=1)


def world_media(folder: Path) -> tuple[dict[str, list[Any]], datetime]:
    """The media of the simulator's Instagram by its most used hashtags; its first day."""
    world = simulate(folder, 1, N_DAYS, 400 * N_DAYS, with_pictures=False, with_tables=False)
    found: dict[str, dict[str, Any]] = {}
    for path in world.paths:
        if path.name.startswith("ig_") and "_week" in path.name and "top" not in path.name:
            for line in path.read_text("utf-8").splitlines():
                for media in json.loads(line)["data"] if line.startswith('{"data"') else ():
                    found[media["permalink"]] = {
                        k: v for k, v in media.items() if k != "retrieved_at"
                    }
    by_tag: dict[str, list[Any]] = {}
    for media in sorted(found.values(), key=lambda m: m["timestamp"], reverse=True):
        words = {w.strip("#.,!?").casefold() for w in media["caption"].split() if w[0] == "#"}
        for word in sorted(words):
            by_tag.setdefault(word, []).append(media)
    most = sorted(by_tag, key=lambda tag: (-len(by_tag[tag]), tag))[:3]
    first = min(datetime.fromisoformat(m["timestamp"]) for tag in most for m in by_tag[tag])
    start = first.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return {tag: by_tag[tag] for tag in most}, start


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, list[Any]], datetime]:
    return world_media(tmp_path_factory.mktemp("world"))


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(following, "TICK_SECONDS", 0.05)
    yield


def play(
    media: dict[str, list[Any]],
    start: datetime,
    dsn: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    with_deaths: bool,
) -> int:
    """One call a day; on every third one that is killed before it. Returns how many were killed."""
    file = folder / "hashtags.txt"
    file.write_text("\n".join(f"#{tag}" for tag in media))
    last = start + (N_DAYS - 1) * ONE_DAY
    command = ["study", "--hashtags", str(file), "--source", "instagram", "--cap", "4"]
    command += ["--from", f"{start:%Y-%m-%d}", "--to", f"{last:%Y-%m-%d}", "--beside", "null"]
    command += ["--out", str(folder / "out")]
    n_deaths = 0
    troubles = [Trouble(503), Trouble(400, 4)] if with_deaths else []
    with running(Graph(media, start, troubles)) as fake:
        told = {
            "HOAXWATCH_DATABASE": dsn,
            "HOAXWATCH_DETECTOR": "tfidf",
            "HOAXWATCH_INSTAGRAM_TOKEN": "good",
            "HOAXWATCH_INSTAGRAM_USER_ID": "17",
            "HOAXWATCH_INSTAGRAM_URL": fake.url,
            "HOAXWATCH_CLUSTER_MIN_USERS": "20",
        }
        for name, value in told.items():
            monkeypatch.setenv(name, value)
        for day in range(N_DAYS):
            fake.now = start + (day + 1) * ONE_DAY
            if with_deaths and day % 3 == 2:
                point = ("live.before_commit", "live.after_commit")[day % 2]
                (marks := folder / f"day{day}").mkdir()
                done = subprocess.run(
                    [sys.executable, "-m", "hoaxwatch", *command],
                    env={
                        **os.environ,
                        "HOAXWATCH_FAIL_POINTS": point,
                        "HOAXWATCH_FAIL_FOLDER": str(marks),
                        "PYTHONPATH": str(ROOT),
                    },
                    capture_output=True,
                    check=False,
                    timeout=120,
                )
                n_deaths += done.returncode == -signal.SIGKILL
            assert run_command(command) == 0
        label_some(dsn)
        assert run_command(command) == 0
    return n_deaths


def label_some(dsn: str) -> None:
    """What somebody says of every second post."""
    with connect(dsn) as connection:
        posts = connection.execute(
            "SELECT platform, post_id FROM hoaxwatch.posts ORDER BY post_id"
        ).fetchall()
        given = [
            Label(platform, post_id, ("likely_false", "likely_true")[number % 4 == 0])
            for number, (platform, post_id) in enumerate(posts)
            if number % 2 == 0
        ]
        labels.add_labels(connection, given, "ada", datetime.now(UTC))


def reports(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text("utf-8") for path in sorted((folder / "out").iterdir())}


def test_a_study_with_deaths_is_the_same_as_one_without(
    media: tuple[dict[str, list[Any]], datetime],
    one_server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    by_tag, start = media
    with one_server.new_database() as straight, one_server.new_database() as killed:
        for name in ("straight", "killed"):
            (tmp_path / name).mkdir()
        assert not play(
            by_tag, start, straight, tmp_path / "straight", monkeypatch, with_deaths=False
        )
        n_deaths = play(by_tag, start, killed, tmp_path / "killed", monkeypatch, with_deaths=True)
        assert n_deaths == N_DAYS // 3
        assert_same(read_tables(killed), read_tables(straight))
    told = reports(tmp_path / "straight")
    assert set(told) == {"study.csv", "study.md", "study.html", "manifest.json"}
    assert reports(tmp_path / "killed") == told
    manifest = json.loads(told["manifest.json"])
    assert manifest["hashtags"] == sorted(by_tag)
    assert [d["name"] for d in manifest["detectors"]] == ["tfidf", "null"]
    none, counts = (manifest["counts"][name] for name in sorted(manifest["counts"]))
    assert counts["found"] == none["found"] > 10
    assert counts["labelled"] > 3
    assert none["judged"] == 0
    lines = told["study.csv"].splitlines()
    assert len(lines) == 1 + 2 * (N_DAYS + 1)
    assert sum("true" in line for line in lines[1 : N_DAYS + 1]) > 0  # some days were capped


def test_a_day_that_is_asked_for_again_brings_the_same_report(
    media: tuple[dict[str, list[Any]], datetime],
    one_server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    by_tag, start = media
    with one_server.new_database() as dsn, running(Graph(by_tag, start + ONE_DAY)) as fake:
        monkeypatch.setenv("HOAXWATCH_DATABASE", dsn)
        monkeypatch.setenv("HOAXWATCH_DETECTOR", "null")
        monkeypatch.setenv("HOAXWATCH_INSTAGRAM_TOKEN", "good")
        monkeypatch.setenv("HOAXWATCH_INSTAGRAM_USER_ID", "17")
        monkeypatch.setenv("HOAXWATCH_INSTAGRAM_URL", fake.url)
        day = f"{start:%Y-%m-%d}"
        command = ["daily", "--date", day, "--source", "instagram", "-o", str(tmp_path / "out")]
        assert run_command(command) == 2  # nothing is tracked
        assert run_command(["track", "add", *by_tag]) == 0
        assert run_command(command) == 0
        first, before = read_tables(dsn), (tmp_path / "out" / day / "study.csv").read_text()
        assert run_command(command) == 0
        assert_same(read_tables(dsn), first)
        assert (tmp_path / "out" / day / "study.csv").read_text() == before
        assert before.count("\n") == 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--from", "2026-03-05", "--to", "2026-03-02"], "exchange them"),
        (["--from", "2026-03-05T12:00", "--to", "2026-03-09"], "is no day"),
    ],
)
def test_mistakes(
    arguments: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "tags.txt"
    file.write_text("#snow\n")
    assert run_command(["study", "--hashtags", str(file), *arguments]) == 2
    assert words in capsys.readouterr().err
