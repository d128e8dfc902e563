"""A project goes into one file and comes out the same, also on another server."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hoaxwatch import cli
from storage import backup, reads, tracking
from storage.database import Connection, connect
from streams import local
from streams.errors import UsageError
from streams.settings import read_settings
from tests.marker import MarkerDetector
from tests.samples import write_samples
from tests.tables import assert_same, read_tables

if TYPE_CHECKING:
    from tests.conftest import Server


def fill(dsn: str, folder: Path) -> None:
    paths = write_samples(folder, seed=6)
    settings = read_settings(cluster_min_users=5)
    local.run(dsn, local.check_inputs(paths), MarkerDetector(), settings)


def dumped(dsn: str, path: Path, key: str = "key") -> dict[str, int]:
    with connect(dsn) as connection:
        return backup.dump(connection, path, "study", key)


def test_what_is_restored_is_what_was_dumped(
    server: Server, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """From each kind of server to each kind: files of the last test's server are kept."""
    with server.new_database() as dsn:
        fill(dsn, tmp_path)
        expected = read_tables(dsn)
        own = tmp_path / "study.zip"
        rows = dumped(dsn, own)
    assert rows["posts"] > 100
    others = tmp_path_factory.getbasetemp()
    for file in [own, *others.glob("dump-*.zip")]:
        with server.new_database() as dsn, connect(dsn) as connection:
            manifest = backup.restore(connection, file, "key")
            assert manifest["rows"] == rows
            assert_same(read_tables(dsn), expected)
            runs = reads.read_runs(connection, 5)
            assert [run["run_id"] for run in runs] == [1]
            # it goes on: numbers continue, a second run adds nothing
            fill(dsn, tmp_path)
            assert_same(read_tables(dsn), expected)
            assert [run["run_id"] for run in reads.read_runs(connection, 5)] == [2, 1]
    (others / f"dump-{server.name}.zip").write_bytes(own.read_bytes())


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with connect(database) as opened:
        yield opened


def refuses(connection: Connection, file: Path, *words: str, key: str = "key") -> None:
    with pytest.raises(UsageError) as refused:
        backup.restore(connection, file, key)
    for word in words:
        assert word in str(refused.value)
    assert "\n" not in str(refused.value)


def test_nothing_is_restored_into_a_database_that_holds_something(
    database: str, connection: Connection, tmp_path: Path
) -> None:
    fill(database, tmp_path)
    dumped(database, tmp_path / "a.zip")
    refuses(connection, tmp_path / "a.zip", "already holds", "--project")


@pytest.mark.parametrize("command", [("track", "add", "#snow"), ("follow", "add", "word:snow")])
def test_nor_into_one_that_was_told_what_to_follow(
    server: Server, database: str, connection: Connection, tmp_path: Path, command: tuple[str, ...]
) -> None:
    with server.new_database() as dsn:
        dumped(dsn, tmp_path / "a.zip")
    assert cli.run([*command, "--database", database]) == 0
    refuses(connection, tmp_path / "a.zip", "already holds", command[0], "--project")


def test_rows_that_do_not_fit_restore_nothing(
    server: Server, database: str, connection: Connection, tmp_path: Path
) -> None:
    old, new = tmp_path / "old.zip", tmp_path / "new.zip"
    with server.new_database() as dsn:
        with connect(dsn) as other:
            tracking.track(other, [("snow", "snow")], "ann", datetime(2026, 3, 1, tzinfo=UTC))
        dumped(dsn, old)
    with zipfile.ZipFile(old) as archive, zipfile.ZipFile(new, "w") as changed:
        for name in archive.namelist():
            times = 2 if name == "tables/tracked.copy.zst" else 1
            changed.writestr(name, archive.read(name) * times)
    refuses(connection, new, "does not fit", "nothing was restored")
    assert tracking.read_tracked(connection) == []


def test_a_dump_of_a_version_without_lineages_is_counted_again(
    server: Server, database: str, connection: Connection, tmp_path: Path
) -> None:
    old, new = tmp_path / "old.zip", tmp_path / "new.zip"
    with server.new_database() as dsn:
        fill(dsn, tmp_path)
        expected = read_tables(dsn)
        dumped(dsn, old)

    def before(manifest: dict[str, Any]) -> None:
        manifest["migrations"] = [name for name in manifest["migrations"] if name < "0006"]

    rewrite_manifest(old, new, before)
    backup.restore(connection, new, "key")
    marked = connection.execute(
        "SELECT count(DISTINCT (hashtag, hour)) FROM hoaxwatch.dirty_buckets"
    ).fetchone()
    assert marked is not None and marked[0] > 0
    local.count_again(database, read_settings(cluster_min_users=5))
    assert_same(read_tables(database), expected)


def test_a_dump_of_a_version_that_did_not_note_it_says_which_raw_records_are_gone(
    server: Server, connection: Connection, tmp_path: Path
) -> None:
    old, new = tmp_path / "old.zip", tmp_path / "new.zip"
    with server.new_database() as dsn:
        fill(dsn, tmp_path)
        with connect(dsn) as other:
            other.execute(
                "UPDATE hoaxwatch.payloads SET received_at = received_at - interval '70 days'"
                " WHERE post_id < (SELECT max(post_id) FROM hoaxwatch.payloads)"
            )
            other.execute("DELETE FROM hoaxwatch.payloads_default")
        dumped(dsn, old)

    def before(manifest: dict[str, Any]) -> None:
        manifest["migrations"] = [name for name in manifest["migrations"] if name < "0025"]

    rewrite_manifest(old, new, before)
    backup.restore(connection, new, "key")
    noted = connection.execute(
        "SELECT received_before = date_trunc('month', now(), 'UTC') FROM hoaxwatch.payload_drops"
    ).fetchall()
    assert noted == [(True,)]


def rewrite_manifest(old: Path, new: Path, change: Callable[[dict[str, Any]], None]) -> None:
    with zipfile.ZipFile(old) as archive, zipfile.ZipFile(new, "w") as changed:
        for name in archive.namelist():
            content = archive.read(name)
            if name == "manifest.json":
                manifest = json.loads(content)
                change(manifest)
                content = json.dumps(manifest).encode()
            changed.writestr(name, content)


def test_files_that_are_no_dump(connection: Connection, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello")
    with zipfile.ZipFile(tmp_path / "zip", "w") as archive:
        archive.writestr("a.txt", "hello")
    refuses(connection, tmp_path / "nowhere", "does not exist")
    refuses(connection, tmp_path, "cannot be read")
    refuses(connection, tmp_path / "text", "no dump")
    refuses(connection, tmp_path / "zip", "no dump")


def test_a_damaged_dump_restores_nothing(
    server: Server, database: str, connection: Connection, tmp_path: Path
) -> None:
    whole, broken, cut = (tmp_path / name for name in ("whole.zip", "broken.zip", "cut.zip"))
    with server.new_database() as dsn:
        fill(dsn, tmp_path)
        dumped(dsn, whole)
    content = bytearray(whole.read_bytes())
    cut.write_bytes(content[: len(content) // 2])
    with zipfile.ZipFile(whole) as archive:
        place = archive.getinfo("tables/posts.copy.zst").header_offset + 200
    content[place] ^= 0xFF
    broken.write_bytes(content)
    before = read_tables(database)
    refuses(connection, cut, "cut off")
    refuses(connection, broken, "damaged", "nothing was restored")
    assert_same(read_tables(database), before)
    backup.restore(connection, whole, "key")


def test_a_dump_of_a_newer_version(server: Server, connection: Connection, tmp_path: Path) -> None:
    old, new = tmp_path / "old.zip", tmp_path / "new.zip"
    with server.new_database() as dsn:
        dumped(dsn, old)
    rewrite_manifest(old, new, lambda told: told["migrations"].append("9999_of_tomorrow.sql"))
    refuses(connection, new, "newer", "upgrade")


def test_tombstones_need_the_key_they_were_made_with(
    server: Server, connection: Connection, tmp_path: Path
) -> None:
    file = tmp_path / "a.zip"
    with server.new_database() as dsn:
        with connect(dsn) as other:
            other.execute(
                "INSERT INTO hoaxwatch.tombstones VALUES ('x', 'post', '\\x00', NULL, NULL)"
            )
        dumped(dsn, file, key="one")
    refuses(connection, file, "HOAXWATCH_TOMBSTONE_KEY", key="another")
    backup.restore(connection, file, "one")


def test_a_dump_that_fails_leaves_the_last_one(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.zip"
    dumped(database, file)
    before = file.read_bytes()

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(backup, "_write_table", full)
    with pytest.raises(OSError, match="No space"):
        dumped(database, file)
    assert file.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]
