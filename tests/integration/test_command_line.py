"""The command line as a user meets it: answers, exit codes, and one line for each mistake."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from hoaxwatch import cli
from storage import embedded, reads
from storage.database import connect
from streams.formats.registry import FORMATS
from tests.folders import short_folder
from tests.samples import write_samples
from tests.tables import assert_same, read_tables

pytestmark = pytest.mark.first_server


OK, USAGE, DOWN = 0, 2, 3


@pytest.fixture(autouse=True)
def _no_settings_of_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("HOAXWATCH_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOAXWATCH_CONFIG", str(tmp_path / "none.toml"))


@pytest.fixture
def samples(tmp_path: Path) -> list[str]:
    """Two files of an invented world."""
    paths = write_samples(tmp_path / "posts", seed=2)
    return [str(path) for path in paths]


def fails(capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, *words: str) -> str:
    """Runs a command that must fail with one line that has these words; returns the line."""
    capsys.readouterr()
    assert cli.run(arguments) == code
    err = capsys.readouterr().err
    line = " ".join(err.split())
    assert err.count("hoaxwatch:") == 1
    assert "Traceback" not in err
    for word in words:
        assert word in line
    return line


def answer(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> str:
    """What a command that works prints on stdout."""
    capsys.readouterr()
    assert cli.run(arguments) == OK
    return capsys.readouterr().out


def test_every_answer_in_every_form(
    database: str,
    samples: list[str],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOAXWATCH_CLUSTER_MIN_USERS", "5")  # in so few posts
    at = ["--database", database]
    summary = json.loads(answer(capsys, ["run", *samples, *at, "--json"]))
    assert sum(summary["outcomes"].values()) == summary["records"]
    assert summary["outcomes"]["quarantined"] == 1

    listed = json.loads(answer(capsys, ["trends", *at, "--json"]))
    tag = listed[0]["hashtag"]
    table = list(csv.DictReader(io.StringIO(answer(capsys, ["trends", *at, "--csv"]))))
    assert [row["hashtag"] for row in table] == [row["hashtag"] for row in listed]
    days = json.loads(answer(capsys, ["trends", "-t", f"#{tag.upper()}", *at, "--json"]))
    hours = json.loads(answer(capsys, ["trends", "-t", tag, "--by", "hour", *at, "--json"]))
    assert sum(row["posts"] for row in days) == sum(row["posts"] for row in hours)
    assert sum(row["posts"] for row in days) == listed[0]["posts"]
    assert f"#{tag}" in answer(capsys, ["trends", "-t", tag, *at])
    whole = json.loads(answer(capsys, ["trends", "-t", tag, "--adjusted", "tfidf", "--json", *at]))
    assert [{k: v for k, v in row.items() if "adjusted" not in k} for row in whole] == days
    for row in whole:
        assert (row["adjusted_share"] is None) == (row["judged"] == 0)
        if row["judged"]:
            assert row["adjusted_low"] <= row["adjusted_share"] <= row["adjusted_high"]
    assert "adjusted" in answer(capsys, ["trends", "-t", tag, "--adjusted", "bert", *at])
    fails(capsys, ["trends", "--adjusted", "bert", *at], USAGE, "--adjusted goes with --hashtag")
    fails(
        capsys,
        ["trends", "-t", tag, "--adjusted", "gone.json", *at],
        USAGE,
        "cannot read gone.json",
    )

    first = days[0]["bucket_start"][:10]
    since = json.loads(answer(capsys, ["trends", "-t", tag, "--since", first, *at, "--json"]))
    until = json.loads(answer(capsys, ["trends", "-t", tag, "--until", first, *at, "--json"]))
    assert (since, until) == (days, [])

    assert json.loads(answer(capsys, ["clusters", "-t", tag, "--window", "all", *at, "--json"]))
    with connect(database) as connection:
        (post_id,) = connection.execute(
            "SELECT post_id FROM hoaxwatch.posts WHERE kind = 'share' LIMIT 1"
        ).fetchone() or ("",)
    assert "share of" in answer(capsys, ["trace", post_id, *at])
    assert json.loads(answer(capsys, ["trace", post_id, *at, "--json"]))[0]["post_id"] == post_id
    assert json.loads(answer(capsys, ["quarantine", "list", *at, "--json"]))[0]["records"] == 1
    assert json.loads(answer(capsys, ["db", "status", *at, "--json"]))["posts"] > 0

    page = tmp_path / "report.html"
    answer(capsys, ["report", "-o", str(page), *at])
    html = page.read_text("utf-8")
    assert tag in html.lower()
    assert "http://" not in html.replace("http://www.w3.org/2000/svg", "")


def test_days_of_a_time_zone(
    database: str, samples: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    at = ["--database", database, "--json"]
    answer(capsys, ["run", *samples, *at])
    ask = ["trends", "-t", "watertruth", *at]
    days = json.loads(answer(capsys, [*ask, "--tz", "UTC"]))
    hours = json.loads(answer(capsys, [*ask, "--by", "hour"]))
    for zone in ("Europe/Berlin", "America/St_Johns", "Pacific/Kiritimati"):
        found = json.loads(answer(capsys, [*ask, "--tz", zone]))
        assert sum(day["posts"] for day in found) == sum(day["posts"] for day in days)
        starts = [datetime.fromisoformat(day["bucket_start"]) for day in found]
        assert all((start.hour, start.minute) == (0, 0) for start in starts)
        if zone != "America/St_Johns":  # whole hours off: the stored hours add up to it
            by_hours = Counter[str]()
            for hour in hours:
                start = datetime.fromisoformat(hour["bucket_start"]).astimezone(ZoneInfo(zone))
                by_hours[f"{start:%Y-%m-%d}"] += hour["posts"]
            assert by_hours == {day["bucket_start"][:10]: day["posts"] for day in found}
    with connect(database) as connection:  # days of UTC counted the other way are the stored ones
        assert reads.read_days(connection, "watertruth", "UTC") == reads.read_trends(
            connection, "watertruth", "day"
        )
    only = json.loads(
        answer(capsys, [*ask, "--tz", "Pacific/Kiritimati", "--since", found[1]["bucket_start"]])
    )
    assert only == found[1:]
    fails(capsys, [*ask, "--tz", "Europe/Atlantis"], USAGE, "timezone", "Europe/Berlin")


def test_score_needs_no_database(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(
        answer(capsys, ["score", "The moon landing was a hoax made by the government", "--json"])
    )
    assert found["state"] == "scored"
    assert 0 <= found["score"] <= 1
    assert found["evidence"]
    silent = json.loads(answer(capsys, ["score", "🎉🎉", "--json"]))
    assert (silent["state"], silent["reason"]) == ("abstained", "emoji_only")


def test_wrong_input_is_said_before_anything_is_read(
    database: str, samples: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at = ["--database", database]
    before = read_tables(database)
    wrong_gz = tmp_path / "posts.csv.gz"
    wrong_gz.write_bytes(b"id,text\n1,hello\n")
    unknown = tmp_path / "notes.txt"
    unknown.write_text("dear diary, nothing happened today\n" * 9)
    fails(capsys, ["run", samples[0], "nowhere.csv", *at], USAGE, "nowhere.csv", "not exist")
    fails(capsys, ["run", str(tmp_path), *at], USAGE, "directory", "give its files")
    fails(capsys, ["run", str(wrong_gz), *at], USAGE, "posts.csv.gz", "gzip")
    fails(capsys, ["run", str(unknown), *at], USAGE, "notes.txt", "--format")
    fails(capsys, ["run", samples[0], "--format", "nope", *at], USAGE, "nope", "twitwi")
    fails(capsys, ["run", samples[0], "--detector", "nope", *at], USAGE, "nope", "tfidf")
    fails(capsys, ["run", *at], USAGE, "files")
    assert_same(read_tables(database), before)


def test_a_file_that_breaks_off_keeps_what_came_before(
    database: str, samples: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    packed = gzip.compress(Path(samples[1]).read_bytes())
    broken = tmp_path / "broken.csv.gz"
    broken.write_bytes(packed[: len(packed) // 2])
    fails(capsys, ["run", str(broken), "--database", database], USAGE, "broken", "again")
    with connect(database) as connection:
        found = connection.execute("SELECT count(*) FROM hoaxwatch.posts").fetchone()
    assert found is not None
    assert found[0] > 10


@pytest.mark.parametrize(
    ("dsn", "code", "words"),
    [
        ("postgresql://localhost:1/x", DOWN, ["does not answer", "localhost:1"]),
        ("not a dsn", USAGE, ["--database", "postgresql://"]),
        ("postgresql://ann:s3cret@localhost:1/x", DOWN, ["ann"]),
    ],
)
def test_a_database_that_is_not_there(
    dsn: str, code: int, words: list[str], samples: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    line = fails(capsys, ["run", *samples, "--database", dsn], code, *words)
    assert "s3cret" not in line


def test_a_login_that_is_refused(
    database: str, samples: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = " ".join(w for w in database.split() if not w.startswith(("dbname=", "user=")))
    arguments = ["run", *samples, "--database"]
    fails(capsys, [*arguments, f"{wrong} dbname=nothere user=hoaxwatch"], USAGE, "nothere")
    fails(capsys, [*arguments, f"{wrong} dbname=postgres user=nobody_here"], USAGE, "nobody_here")


def test_other_mistakes(capsys: pytest.CaptureFixture[str], database: str) -> None:
    at = ["--database", database]
    fails(capsys, ["trends", "--by", "week", *at], USAGE, "week", "day and hour")
    fails(capsys, ["trends", "--since", "yesterday", *at], USAGE, "yesterday", "2023-04-24")
    fails(capsys, ["clusters", "-t", "x", "--algorithm", "kmeans", *at], USAGE, "louvain")
    fails(capsys, ["trace", "12345", *at], USAGE, "12345")
    fails(capsys, ["trends", "-p", "Not A Name"], USAGE, "project")
    fails(capsys, ["report", "-o", "/nowhere/report.html", *at], USAGE, "/nowhere/report.html")
    fails(capsys, ["frobnicate"], USAGE, "frobnicate")
    fails(capsys, ["db", "start", "-p", "x", "--nope"], USAGE, "--nope")


def test_config_masks_secrets(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOAXWATCH_DATABASE", "postgresql://ann:s3cret@db/x")
    assert "s3cret" not in answer(capsys, ["config", "show"])
    assert "s3cret" not in answer(capsys, ["config", "show", "--json"])
    assert answer(capsys, ["config", "check"]) == ""
    wrong = tmp_path / "hoaxwatch.toml"
    wrong.write_text("batch_posts = 0\nno_such_setting = 1\n")
    monkeypatch.setenv("HOAXWATCH_CONFIG", str(wrong))
    fails(capsys, ["config", "check"], USAGE, "batch_posts", "no_such_setting")
    wrong.write_text("batch_posts = \n")
    fails(capsys, ["config", "check"], USAGE, "not valid TOML")
    wrong.write_bytes(b"project = 'caf\xe9'\n")
    fails(capsys, ["config", "check"], USAGE, "not valid TOML: it is not UTF-8")


def test_psql_gets_the_password_where_others_do_not_see_it(
    database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "psql"
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$PGPASSWORD" "$@" > {tmp_path}/said\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.delenv("PGPASSWORD", raising=False)
    monkeypatch.setenv("HOAXWATCH_DATABASE", make_conninfo(database, password="open sesame"))
    assert cli.run(["psql", "--", "-c", "SELECT 1"]) == OK
    password, dsn, *arguments = (tmp_path / "said").read_text().splitlines()
    assert (password, arguments) == ("open sesame", ["-c", "SELECT 1"])
    assert conninfo_to_dict(dsn) == conninfo_to_dict(database)
    monkeypatch.setenv("HOAXWATCH_DATABASE", database)
    assert cli.run(["psql"]) == OK
    assert (tmp_path / "said").read_text().splitlines()[0] == ""


def test_a_database_that_goes_down_in_the_middle_loses_nothing(
    database: str, tmp_path: Path
) -> None:
    files = [str(path) for path in write_samples(tmp_path / "posts", seed=3, n_posts=2500)]
    with short_folder() as home:
        folder = home / "projects" / "default"
        known = {
            name: value for name, value in os.environ.items() if not name.startswith("HOAXWATCH")
        }
        # small batches, so that the run is still storing when the server dies
        settings = known | {"HOAXWATCH_HOME": str(home), "HOAXWATCH_BATCH_POSTS": "50"}
        command = [sys.executable, "-m", "hoaxwatch", "run", *files, "--detector", "null"]
        try:
            with embedded.open_embedded(folder) as server, connect(server.dsn()) as watching:
                run = subprocess.Popen(command, env=settings, stderr=subprocess.PIPE, text=True)
                n_posts = 0
                while n_posts < 100:
                    assert run.poll() is None, "the run ended before the server was killed"
                    with suppress(psycopg.errors.UndefinedTable):
                        row = watching.execute("SELECT count(*) FROM hoaxwatch.posts").fetchone()
                        n_posts = row[0] if row else 0
                pid = embedded.status(folder).pid
                assert pid is not None
                os.kill(pid, signal.SIGQUIT)  # immediate shutdown: no checkpoint, connections cut
                _, err = run.communicate(timeout=60)
            assert run.returncode == DOWN
            assert err.count("hoaxwatch:") == 1
            assert "Traceback" not in err
            assert "run the same command again" in " ".join(err.split())
            subprocess.run(command, env=settings, check=True, stderr=subprocess.DEVNULL)
            assert cli.run(["run", *files, "--detector", "null", "--database", database]) == OK
            with embedded.open_embedded(folder) as server:
                assert_same(read_tables(server.dsn()), read_tables(database))
        finally:
            embedded.stop(folder)


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system of 160 MB, which a database fills soon."""
    folder = Path(tempfile.mkdtemp(prefix="hw-", dir="/tmp"))
    command = ["mount", "-t", "tmpfs", "-o", "size=160m,mode=0755", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        folder.rmdir()
        pytest.skip("cannot mount a small file system here")
    yield folder
    embedded.stop(folder / "projects" / "default")
    subprocess.run(["umount", "-l", str(folder)], check=False)
    shutil.rmtree(folder, ignore_errors=True)


def test_a_full_disk_loses_nothing(
    small_disk: Path,
    samples: list[str],
    database: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOAXWATCH_HOME", str(small_disk))
    answer(capsys, ["db", "status"])
    answer(capsys, ["run", samples[0], "--detector", "null"])  # makes the database
    blocker = small_disk / "blocker"
    filled: Any = b"\0" * 65536
    with blocker.open("wb") as out:
        try:
            while True:
                out.write(filled)
        except OSError:
            pass
    fails(capsys, ["run", *samples, "--detector", "null"], DOWN, "again")
    blocker.unlink()
    answer(capsys, ["run", *samples, "--detector", "null"])
    answer(capsys, ["run", *samples, "--detector", "null", "--database", database])
    with embedded.open_embedded(small_disk / "projects" / "default") as server:
        assert_same(read_tables(server.dsn()), read_tables(database))


def test_a_map_says_what_the_columns_of_a_file_are(
    database: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    posts = tmp_path / "a.csv"
    posts.write_text("no,when,words\n1,2023-04-24,Snow in #May\n2,soon,Rain\n")
    columns = tmp_path / "MAP.toml"
    columns.write_text(
        'platform = "telegram"\n[columns]\npost_id = "no"\nposted_at = "when"\ntext = "words"\n'
    )
    fails(capsys, ["run", str(posts)], USAGE, "none of the formats", "--columns MAP.toml")
    at = ["--columns", str(columns), "--database", database, "--json"]
    for outcome in ("new", "unchanged"):
        summary = json.loads(answer(capsys, ["run", str(posts), *at]))
        assert summary["outcomes"][outcome] == summary["outcomes"]["quarantined"] == 1
        (unmapped,) = summary["unmapped"]
        assert (unmapped["source"], unmapped["records"]) == ("columns:a.csv", 2)
    (tag,) = json.loads(answer(capsys, ["trends", "--database", database, "--json"]))
    assert (tag["hashtag"], tag["posts"]) == ("may", 1)
    fails(capsys, ["run", str(posts), *at, "--format", "ira"], USAGE, "give only one")
    columns.write_text(columns.read_text().replace("words", "Words"))
    fails(capsys, ["run", str(posts), *at], USAGE, "no column 'Words'", "did you mean 'words'?")


def test_every_format_is_listed_with_a_sample(capsys: pytest.CaptureFixture[str]) -> None:
    listed = json.loads(answer(capsys, ["formats", "--json"]))
    assert [row["format"] for row in listed] == list(FORMATS)
    assert all(row["description"] and row["sample"] for row in listed)


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_has_seen_enough_is_no_error(unbuffered: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)  # what `| head` does, only sooner
    program = [sys.executable, "-m", "hoaxwatch", "formats", "--json"]
    environment = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    done = subprocess.run(
        program, stdout=writer, stderr=subprocess.PIPE, env=environment, check=False
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")
