"""Pictures of stored posts: fetched once, found again, let go, gone with their posts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import pytest

from hoaxwatch import cli
from storage import media
from storage.database import Connection, connect
from streams import local
from streams.media import fetch_media, find_picture, path_of, sweep
from streams.records import Deletion, Media, Post
from streams.settings import Settings, read_settings
from streams.sources.following import Backoff
from tests.fakes.pictures import Pictures, png, running
from tests.faults.detector import FaultDetector
from tests.house.repository import ROOT

DAY = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.fixture
def host() -> Iterator[Pictures]:
    with running(Pictures()) as fake:
        yield fake


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with connect(database) as opened:
        yield opened


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    told = {
        "CONFIG": str(tmp_path / "none.toml"),
        "DETECTOR": "null",
        "MEDIA_FOLDER": str(tmp_path / "pictures"),
        "MEDIA_PRIVATE_ADDRESSES": "true",
        "MEDIA_SECONDS": "1",
        "MEDIA_PAUSE_SECONDS": "0",
    }
    for name, value in told.items():
        monkeypatch.setenv(f"HOAXWATCH_{name}", value)
    return read_settings()


def store(
    database: str,
    settings: Settings,
    pictures: dict[str, list[str]],
    kind: Literal["image", "video"] = "image",
) -> None:
    """A post each, with so many pictures."""
    from streams import steps

    posts = [
        Post(
            platform="x",
            post_id=name,
            root_id=name,
            posted_at=DAY + timedelta(minutes=number),
            text=f"Number {name} with pictures",
            media=tuple(Media(url=url, kind=kind) for url in urls),
            raw=name.encode(),
            provenance="test",
            observed_at=DAY,
        )
        for number, (name, urls) in enumerate(pictures.items())
    ]
    with local._session(database, FaultDetector(), settings) as opened:
        steps.record(opened, steps.prepare(posts, DAY), FaultDetector(), "key")


def delete(database: str, settings: Settings, post_id: str) -> None:
    """As `forget` does it, without the sweep that it ends with."""
    from streams import steps

    deletion = Deletion(platform="x", kind="post", deleted_id=post_id)
    with local._session(database, FaultDetector(), settings) as other:
        steps.record(other, steps.prepare([deletion], DAY), FaultDetector(), "key")


def files_in(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file()}


def test_fetch_list_find_let_go(
    host: Pictures,
    database: str,
    connection: Connection,
    settings: Settings,
    capsys: pytest.CaptureFixture[str],
) -> None:
    good, same = f"{host.url}/good/1", f"{host.url}/good/01"
    bad, passing = f"{host.url}/page/1", f"{host.url}/half/1"
    store(database, settings, {"1": [good, bad], "2": [good, passing], "3": [same]})
    found = fetch_media(connection, settings, 100, backoff=lambda: Backoff(0.01))
    assert found == {
        "fetched": 2,
        "half an answer": 1,
        "its bytes are no JPEG, PNG, GIF or WebP": 1,
    }
    assert host.asked["/good/1"] == 1  # two posts have it
    folder = settings.pictures_folder()
    path = find_picture(connection, folder, "x", "2", good)
    assert path is not None
    assert path.read_bytes() == png(sum(b"/good/1"))
    assert find_picture(connection, folder, "x", "1", bad) is None
    assert path.parent.name == path.name[:2]
    assert len(files_in(folder)) == 2
    again = fetch_media(connection, settings, 100, backoff=lambda: Backoff(0.01))
    assert again == {"half an answer": 1}  # only what may have come by now
    for _ in range(4):
        fetch_media(connection, settings, 100, backoff=lambda: Backoff(0.01))
    assert media.read_wanted(connection, 9) == []
    capsys.readouterr()
    assert cli.run(["media", "list", "--json", "--database", database]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert len(rows) == 5
    assert {row["url"] for row in rows if row["error"]} == {bad, passing}
    assert cli.run(["media", "list", "--errors", "--csv", "--database", database]) == 0
    assert capsys.readouterr().out.count("\n") == 3
    command = ["media", "retention", "--json", "--database", database]
    assert cli.run(command) == 0
    assert json.loads(capsys.readouterr().out) == {"pictures": 0, "files": 0}
    assert cli.run([*command, "--days", "0"]) == 0
    assert json.loads(capsys.readouterr().out) == {"pictures": 3, "files": 2}
    assert files_in(folder) == set()
    assert cli.run(["media", "fetch", "--json", "--database", database]) == 0
    assert json.loads(capsys.readouterr().out) == {}  # it is not fetched again


def test_of_a_video_the_cover_is_fetched_and_a_film_is_not(
    host: Pictures, database: str, connection: Connection, settings: Settings
) -> None:
    cover, film = f"{host.url}/good/cover", f"{host.url}/page/film.mp4"
    store(database, settings, {"1": [cover, film]}, kind="video")
    found = fetch_media(connection, settings, 9)
    assert found == {"fetched": 1, "its bytes are no JPEG, PNG, GIF or WebP": 1}
    assert find_picture(connection, settings.pictures_folder(), "x", "1", cover) is not None


def test_what_is_forgotten_is_removed_and_what_others_have_stays(
    host: Pictures, database: str, connection: Connection, settings: Settings
) -> None:
    own, shared = f"{host.url}/good/own", f"{host.url}/good/shared"
    store(database, settings, {"1": [own, shared], "2": [shared]})
    fetch_media(connection, settings, 100)
    folder = settings.pictures_folder()
    assert len(files_in(folder)) == 2
    assert cli.run(["forget", "post", "x:1", "--yes", "--database", database]) == 0
    kept = find_picture(connection, folder, "x", "2", shared)
    assert kept is not None
    assert files_in(folder) == {kept.name}
    assert [row.root_id for row in media.read_files(connection)] == ["2"]


def test_of_a_post_that_went_meanwhile_nothing_stays(
    host: Pictures, database: str, connection: Connection, settings: Settings
) -> None:
    from streams.fetching import Failed, Fetched, FetchLimits, fetch

    store(database, settings, {"1": [f"{host.url}/good/1"]})

    def slow(address: str, limits: FetchLimits) -> Fetched | Failed:
        assert cli.run(["forget", "post", "x:1", "--yes", "--database", database]) == 0
        return fetch(address, limits)

    assert fetch_media(connection, settings, 9, fetch=slow) == {"fetched": 1}
    assert media.read_files(connection) == []
    assert sweep(connection, settings.pictures_folder()) == 1
    assert files_in(settings.pictures_folder()) == set()


def test_what_is_forgotten_during_a_sweep_is_removed_by_the_next(
    host: Pictures, database: str, connection: Connection, settings: Settings
) -> None:
    store(database, settings, {"1": [f"{host.url}/good/1"], "2": [f"{host.url}/good/2"]})
    fetch_media(connection, settings, 100)
    folder = settings.pictures_folder()
    delete(database, settings, "1")

    def remove(digest: bytes) -> None:
        path_of(folder, digest).unlink()
        delete(database, settings, "2")

    assert media.sweep(connection, remove) == 1
    assert len(files_in(folder)) == 1
    assert sweep(connection, folder) == 1
    assert files_in(folder) == set()


def test_a_picture_that_cannot_be_written_leaves_nothing(
    host: Pictures,
    database: str,
    connection: Connection,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fill_up(path: Path, data: bytes) -> int:
        path.touch()
        raise OSError("no space left on device")

    store(database, settings, {"1": [f"{host.url}/good/1"]})
    monkeypatch.setattr(Path, "write_bytes", fill_up)
    with pytest.raises(OSError, match="no space"):
        fetch_media(connection, settings, 100)
    assert files_in(settings.pictures_folder()) == set()


@pytest.mark.parametrize("point", ["media.before_rename", "media.after_file"])
def test_a_file_that_a_killed_process_left_is_removed(
    host: Pictures,
    database: str,
    connection: Connection,
    settings: Settings,
    tmp_path: Path,
    point: str,
) -> None:
    """Killed before the file has its name or its row; then the post is forgotten."""
    store(database, settings, {"1": [f"{host.url}/good/1"]})
    done = subprocess.run(
        [sys.executable, "-m", "hoaxwatch", "media", "fetch", "--database", database],
        env={
            **os.environ,
            "HOAXWATCH_FAIL_POINTS": point,
            "HOAXWATCH_FAIL_FOLDER": str(tmp_path),
            "PYTHONPATH": str(ROOT),
        },
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == -signal.SIGKILL
    folder = settings.pictures_folder()
    assert len(files_in(folder)) == 1
    assert media.read_files(connection) == []
    assert cli.run(["forget", "post", "x:1", "--yes", "--database", database]) == 0
    assert files_in(folder) == set()


def test_a_folder_that_cannot_be_written_is_one_line(
    host: Pictures,
    database: str,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HOAXWATCH_MEDIA_FOLDER", str(tmp_path / "file" / "below"))
    store(database, settings, {"1": [f"{host.url}/good/1"]})
    assert cli.run(["media", "fetch", "--database", database]) == 2
    assert "set media_folder to a folder that can" in " ".join(capsys.readouterr().err.split())


def test_a_hash_names_its_path() -> None:
    assert path_of(Path("f"), bytes(32)) == Path("f/00") / ("00" * 32)
