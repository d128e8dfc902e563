"""A study: the simulator's month, day by day through a fake Instagram and a fake X; straight, and
killed on every third day."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
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
from tests.fakes import graph, pictures, x
from tests.fakes.graph import Graph, Trouble, running
from tests.house.repository import ROOT
from tests.samples import write_samples
from tests.tables import assert_same, read_tables

if TYPE_CHECKING:
    from tests.conftest import Server

N_DAYS = 30 if os.environ.get("HOAXWATCH_TEST_MONTH") == "1" else 7
ONE_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Played:
    """What the fakes hold: Instagram's media by hashtag; X's posts, oldest first, with their
    accounts and pictures. `hashtags` are the most used of both, `start` is the first day."""

    media: dict[str, list[Any]]
    posts: list[Any]
    users: dict[str, Any]
    attached: dict[str, Any]
    hashtags: list[str]
    start: datetime


def play_of(folder: Path) -> Played:
    """The simulator's world of so many days."""
    world = simulate(folder, 1, N_DAYS, 400 * N_DAYS, with_pictures=False, with_tables=False)
    media = media_of(world.paths)
    posts: dict[str, Any] = {}
    users: dict[str, Any] = {}
    attached: dict[str, Any] = {}
    for page in pages_of(world.paths, "x_search_week"):
        includes = page["includes"]
        for post in [*page["data"], *includes.get("tweets", ())]:
            posts.setdefault(post["id"], post)
        users |= {user["id"]: user for user in includes["users"]}
        attached |= {item["media_key"]: item for item in includes.get("media", ())}
    for post in posts.values():
        post.setdefault("entities", {}).setdefault("hashtags", [])
        shared = [r["id"] for r in post.get("referenced_tweets", ()) if r["type"] == "retweeted"]
        originals = [posts[x_id] for x_id in shared if x_id in posts]
        post["of_tags"] = sorted(
            {t.casefold() for o in originals for t in re.findall(r"#(\w+)", o["text"])}
        )
    used: dict[str, int] = {}
    for post in posts.values():
        for tag in x.tags_of(post) - {f"from:{post['author_id']}"}:
            used[tag] = used.get(tag, 0) + 1
    most = sorted(used, key=lambda tag: (-used[tag], tag))[:2]
    first = min(datetime.fromisoformat(m["timestamp"]) for of in media.values() for m in of)
    start = first.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    ordered = sorted(posts.values(), key=lambda post: int(post["id"]))
    return Played(media, ordered, users, attached, [*media, *most], start)


def pages_of(paths: list[Path], begins: str) -> Iterator[Any]:
    """The pages of posts in files whose names begin so."""
    for path in paths:
        if path.name.startswith(begins):
            for line in path.read_text("utf-8").splitlines():
                if line.startswith('{"data":['):
                    yield json.loads(line)


def media_of(paths: list[Path]) -> dict[str, list[Any]]:
    """The media of the simulator's Instagram by its three most used hashtags, newest first."""
    found = {
        media["permalink"]: {k: v for k, v in media.items() if k != "retrieved_at"}
        for path in paths
        if path.name.startswith("ig_") and "_week" in path.name and "top" not in path.name
        for page in pages_of([path], "ig_")
        for media in page["data"]
    }
    by_tag: dict[str, list[Any]] = {}
    for media in sorted(found.values(), key=lambda m: m["timestamp"], reverse=True):
        words = {w.strip("#.,!?").casefold() for w in media["caption"].split() if w[0] == "#"}
        for word in sorted(words):
            by_tag.setdefault(word, []).append(media)
    most = sorted(by_tag, key=lambda tag: (-len(by_tag[tag]), tag))[:3]
    return {tag: by_tag[tag] for tag in most}


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    return play_of(tmp_path_factory.mktemp("world"))


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(following, "TICK_SECONDS", 0.05)
    yield


def play(
    played: Played,
    dsn: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    with_deaths: bool,
) -> int:
    """One call a day; on every third one that is killed before it, in turn before and after the
    first commit of either source. Returns how many were killed."""
    file = folder / "hashtags.txt"
    file.write_text("\n".join(f"#{tag}" for tag in played.hashtags))
    start = played.start
    last = start + (N_DAYS - 1) * ONE_DAY
    command = ["study", "--hashtags", str(file), "--cap", "4"]
    sources = ["--source", "instagram", "--source", "x_search"]
    command += ["--from", f"{start:%Y-%m-%d}", "--to", f"{last:%Y-%m-%d}", "--beside", "null"]
    command += ["--out", str(folder / "out")]
    n_deaths = 0
    troubles = [Trouble(503), Trouble(400, 4)] if with_deaths else []
    x_troubles = [x.Trouble(503), x.Trouble(half=True)] if with_deaths else []
    on_x = x.X(played.posts, x_troubles, n_posted=len(played.posts))
    on_x.users, on_x.media = played.users, played.attached
    with running(Graph(played.media, start, troubles)) as fake, x.running(on_x):
        told = {
            "HOAXWATCH_DATABASE": dsn,
            "HOAXWATCH_DETECTOR": "tfidf",
            "HOAXWATCH_INSTAGRAM_TOKEN": "good",
            "HOAXWATCH_INSTAGRAM_USER_ID": "17",
            "HOAXWATCH_INSTAGRAM_URL": fake.url,
            "HOAXWATCH_X_BEARER_TOKEN": "good",
            "HOAXWATCH_X_URL": on_x.url,
            "HOAXWATCH_X_BUDGET_USD": "1000",
            "HOAXWATCH_CLUSTER_MIN_USERS": "20",
        }
        for name, value in told.items():
            monkeypatch.setenv(name, value)
        for day in range(N_DAYS):
            fake.now = on_x.now = start + (day + 1) * ONE_DAY
            if with_deaths and day % 3 == 2:
                number = day // 3
                point = ("live.before_commit", "live.after_commit")[number % 2]
                first = sources[2:] + sources[:2] if (number + 1) // 2 % 2 else sources
                (marks := folder / f"day{day}").mkdir()
                done = subprocess.run(
                    [sys.executable, "-m", "hoaxwatch", *command, *first],
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
            assert run_command([*command, *sources]) == 0
        label_some(dsn)
        assert run_command([*command, *sources]) == 0
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
    played: Played,
    one_server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with one_server.new_database() as straight, one_server.new_database() as killed:
        for name in ("straight", "killed"):
            (tmp_path / name).mkdir()
        assert not play(played, straight, tmp_path / "straight", monkeypatch, with_deaths=False)
        n_deaths = play(played, killed, tmp_path / "killed", monkeypatch, with_deaths=True)
        assert n_deaths == N_DAYS // 3
        tables = read_tables(straight)
        assert_same(read_tables(killed), tables)
        assert {row[0] for row in tables["posts"]} == {"instagram", "x"}
    told = reports(tmp_path / "straight")
    assert set(told) == {"study.csv", "study.md", "study.html", "manifest.json"}
    assert reports(tmp_path / "killed") == told
    manifest = json.loads(told["manifest.json"])
    assert manifest["hashtags"] == sorted(played.hashtags)
    assert [d["name"] for d in manifest["detectors"]] == ["tfidf", "null"]
    none, counts = (manifest["counts"][name] for name in sorted(manifest["counts"]))
    assert counts["found"] == none["found"] > 10
    assert counts["labelled"] > 3
    assert none["judged"] == 0
    lines = told["study.csv"].splitlines()
    assert len(lines) == 1 + 2 * (N_DAYS + 1)
    assert sum("true" in line for line in lines[1 : N_DAYS + 1]) > 0  # some days were capped


def test_a_day_that_is_asked_for_again_brings_the_same_report(
    played: Played,
    one_server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    by_tag, start = played.media, played.start
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


def test_what_is_flagged_follows_the_setting(
    one_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [str(path) for path in write_samples(tmp_path / "posts", seed=2)]
    monkeypatch.setenv("HOAXWATCH_CONFIG", str(tmp_path / "none.toml"))
    monkeypatch.setenv("HOAXWATCH_DETECTOR", "tfidf")
    manifests = []
    with one_server.new_database() as dsn:
        monkeypatch.setenv("HOAXWATCH_DATABASE", dsn)
        assert run_command(["run", *files]) == 0
        assert run_command(["track", "add", "watertruth"]) == 0
        with connect(dsn) as connection:
            (days,) = connection.execute(
                "SELECT array_agg(to_char(day, 'YYYY-MM-DD') ORDER BY day)"
                " FROM mart.hashtag_trends_daily WHERE hashtag = 'watertruth'"
            ).fetchone() or (None,)
        for threshold in ("0", "1"):
            monkeypatch.setenv("HOAXWATCH_THRESHOLD", threshold)
            command = ["daily", "--date", days[0], "--beside", "null"]
            assert run_command([*command, "-o", str(tmp_path / threshold)]) == 0
            told = (tmp_path / threshold / days[0] / "manifest.json").read_text("utf-8")
            manifests.append(json.loads(told))
    assert [m["detectors"][0]["threshold"] for m in manifests] == [0, 1]
    assert manifests[0]["detectors"][1] == manifests[1]["detectors"][1]
    (all_flagged, none_flagged) = (
        next(of for name, of in m["counts"].items() if name.startswith("tfidf")) for m in manifests
    )
    assert all_flagged["detected"] == all_flagged["judged"] == none_flagged["judged"] > 0
    assert none_flagged["detected"] == 0


def test_weights_of_ones_own_stand_beside(
    one_server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A folder that holds none is told before a source is asked."""
    monkeypatch.setenv("HOAXWATCH_CONFIG", str(tmp_path / "none.toml"))
    monkeypatch.setenv("HOAXWATCH_DETECTOR", "null")
    monkeypatch.setenv("HOAXWATCH_INSTAGRAM_TOKEN", "t")
    weights = tmp_path / "own"
    shutil.copytree(ROOT / "detectors" / "weights" / "tfidf", weights)
    command = ["daily", "--date", "2026-03-02", "-o", str(tmp_path / "out")]
    with one_server.new_database() as dsn:
        monkeypatch.setenv("HOAXWATCH_DATABASE", dsn)
        assert run_command(["track", "add", "snow"]) == 0
        assert run_command([*command, "--beside", f"tfidf={weights}"]) == 0
        manifest = json.loads((tmp_path / "out" / "2026-03-02" / "manifest.json").read_text())
        assert [judge["name"] for judge in manifest["detectors"]] == ["null", "tfidf"]
        capsys.readouterr()
        wrong = [*command, "--source", "instagram", "--beside", f"tfidf={tmp_path / 'nothing'}"]
        assert run_command(wrong) == 2
    assert "nothing" in capsys.readouterr().err


def test_pictures_are_fetched_before_the_report(
    one_server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    start = datetime(2026, 3, 2, tzinfo=UTC)
    with pictures.running(pictures.Pictures()) as host:
        media = graph.make_media("snow", start, 3)
        for number, item in enumerate(media):
            item["media_url"] = f"{host.url}/fine/{number}.png"
        with (
            one_server.new_database() as dsn,
            running(Graph({"snow": media}, start + ONE_DAY)) as fake,
        ):
            told = {
                "DATABASE": dsn,
                "DETECTOR": "null",
                "INSTAGRAM_TOKEN": "good",
                "INSTAGRAM_USER_ID": "17",
                "INSTAGRAM_URL": fake.url,
                "MEDIA_FOLDER": str(tmp_path / "pictures"),
                "MEDIA_PRIVATE_ADDRESSES": "true",
                "MEDIA_PAUSE_SECONDS": "0",
            }
            for name, value in told.items():
                monkeypatch.setenv(f"HOAXWATCH_{name}", value)
            assert run_command(["track", "add", "snow"]) == 0
            command = ["daily", "--date", f"{start:%Y-%m-%d}", "--source", "instagram"]
            capsys.readouterr()
            assert run_command([*command, "--pictures", "-o", str(tmp_path / "out")]) == 0
    assert "3 of 3 pictures fetched" in capsys.readouterr().err
    assert len([path for path in (tmp_path / "pictures").rglob("*") if path.is_file()]) == 3


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
