"""What newcomers get wrong first: each gives one line that says what, which, and what to do."""

from __future__ import annotations

import csv
import io
import os
import zipfile
from pathlib import Path

import pytest

from hoaxwatch import cli
from streams.formats import twitwi
from streams.formats.registry import read_file
from streams.records import Problem

USAGE, DOWN = 2, 3


@pytest.fixture(autouse=True)
def _a_newcomer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("HOAXWATCH_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOAXWATCH_CONFIG", str(tmp_path / "none.toml"))
    monkeypatch.setenv("HOAXWATCH_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    Path("posts").mkdir()
    Path("good.csv").write_bytes(twitwi.example())
    Path("mine.csv").write_text("who,when,words\nada,2023-04-24,Snow\n")
    Path("page.html").write_text("<!DOCTYPE html><title>Log in</title>")
    Path("excel.csv").write_bytes("id;text\n1;Snow\n".encode("utf-16"))
    with zipfile.ZipFile("posts.xlsx", "w") as book:
        book.writestr("[Content_Types].xml", "<Types/>")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ("run", USAGE, ["name files of posts, or a live source: --source bluesky"]),
        ("run --source tiktok", USAGE, ["no source 'tiktok'", "bluesky"]),
        ("run good.csv --source bluesky", USAGE, ["takes no files; leave out good.csv"]),
        ("run --source replay", USAGE, ["plays one file: name it"]),
        ("run good.cvs", USAGE, ["good.cvs does not exist", "check the path"]),
        ("run data/*.jsonl", USAGE, ["no file is called data/*.jsonl"]),
        ("run posts", USAGE, ["posts is a directory", "posts/*.jsonl"]),
        ("run posts.xlsx", USAGE, ["an Excel or Word file", "save it as 'CSV UTF-8'"]),
        ("run excel.csv", USAGE, ["UTF-16", "save it as UTF-8"]),
        ("run page.html", USAGE, ["is a web page", "fetch it again"]),
        ("run mine.csv", USAGE, ["its columns are 'who', 'when', 'words'", "--columns MAP.toml"]),
        ("run good.csv --format twitter", USAGE, ["there is no format 'twitter'", "twitter_v2"]),
        ("run good.csv --detector bertt", USAGE, ["'bertt'", "tfidf"]),
        ("run good.csv -p Study_1", USAGE, ["small letters, digits", "'Study_1'"]),
        ("run good.csv --database localhost", USAGE, ["postgresql://"]),
        ("run good.csv --database postgresql://a@127.0.0.1:1/x", DOWN, ["127.0.0.1", "1"]),
        ("trend", USAGE, ["Did you mean 'trends'"]),
        ("trends --project stduy", USAGE, ["no project 'stduy'", "hoaxwatch run FILES"]),
        ("trends --hashtag", USAGE, ["'#vaccine', with quotes"]),
        ("trends --since yesterday", USAGE, ["write 2023-04-24"]),
        ("trends --since 2023-05-02 --until 2023-05-01", USAGE, ["exchange them"]),
        ("trends --tz Berlin", USAGE, ["Europe/Berlin"]),
        ("trends --json --csv", USAGE, ["--json and --csv exclude each other"]),
        ("clusters", USAGE, ["--hashtag", "hoaxwatch clusters --help"]),
        ("simulate --languages fr", USAGE, ["'fr'", "en, de, es", "--languages en"]),
        ("simulate --out .", USAGE, ["holds files already", "another folder with --out"]),
        ("demo --folder .", USAGE, ["holds files already", "another folder with --folder"]),
    ],
)
def test_a_mistake_gives_one_line_that_helps(
    arguments: str, code: int, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(arguments.split()) == code
    printed = capsys.readouterr()
    line = " ".join(printed.err.split())
    assert printed.out == ""
    assert line.startswith("hoaxwatch: ")
    assert line.count("hoaxwatch:") == 1
    assert [word for word in words if word not in line] == []
    assert not Path("home").exists()  # a mistake makes no database


def test_ids_that_a_spreadsheet_rounded_are_named() -> None:
    rows = list(csv.DictReader(io.StringIO(twitwi.example().decode())))
    with Path("rounded.csv").open("w", newline="") as out:
        writer = csv.DictWriter(out, rows[0])
        writer.writeheader()
        writer.writerows(row | {"id": "1.65E+18"} for row in rows)
    found = list(read_file("rounded.csv"))
    assert len(found) == len(rows)
    for reading in found:
        assert isinstance(reading, Problem)
        assert "rounded by a spreadsheet; read the file as it was collected" in reading.reason
