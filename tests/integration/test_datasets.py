"""hoaxwatch datasets: pairs out of stored posts, thresholds out of a file of pairs."""

from __future__ import annotations

import csv
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from detectors.datasets.generated_pairs import generate
from hoaxwatch import cli
from storage import writes
from storage.database import connect
from streams import steps
from streams.records import Author, Post
from tests.made_up_sets import write_sets
from tests.marker import MarkerDetector
from tests.unit.detectors.stem_encoder import StemEncoder

if TYPE_CHECKING:
    from tests.conftest import Server

MONDAY = datetime(2026, 3, 2, 9, tzinfo=UTC)
TEXT = "The harbour office closed the old bridge in Dorvik"
LINK = "https://news.example/bridge"


@pytest.fixture(autouse=True)
def _settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("HOAXWATCH_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOAXWATCH_CONFIG", str(tmp_path / "none.toml"))
    monkeypatch.setattr("hoaxwatch.commands.datasets.default_encoder", StemEncoder)
    monkeypatch.chdir(tmp_path)


def post(handle: str, number: int, text: str, **more: Any) -> Post:
    name = f"{handle}{number}"
    author = Author(author_id=f"id of {handle}", handle=handle)
    return Post(
        platform="x",
        post_id=name,
        root_id=name,
        posted_at=MONDAY,
        text=text,
        author=author,
        observed_at=MONDAY,
        raw=name.encode(),
        **more,
    )


def test_pairs_of_stored_posts(one_server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    Path("articles.csv").write_text(f'url,text\n{LINK},"The whole\narticle."\n')
    posts = [
        post("ann", 1, TEXT),
        post("bea", 1, f"{TEXT}, they say", links=(LINK,)),
        post("bea", 2, "A library opened near the station"),
        post("cy", 1, TEXT),
    ]
    with one_server.new_database() as database:
        with connect(database) as connection:
            writes.prepare(connection)
            steps.record(connection, steps.prepare(posts, MONDAY), MarkerDetector(), "key")
        at = ["--database", database]
        asked = ["datasets", "pair", "ann", "@bea", "--articles", "articles.csv", *at]
        capsys.readouterr()
        assert cli.run([*asked, "--json"]) == cli.OK
        told = json.loads(capsys.readouterr().out)
        assert (told["posts"], told["pairs"], told["articles"]) == (3, 1, 1)
        with Path("pairs.csv").open(newline="") as lines:
            (row,) = csv.DictReader(lines)
        assert (row["claim"], row["document"], row["category"]) == (
            TEXT,
            "The whole\narticle.",
            "Support_Text",
        )
        assert (row["claim_post"], row["document_post"]) == ("ann1", "bea1")
        Path("long.csv").write_text(f"url,text\n{LINK},{'long ' * 40_000}\n")
        assert cli.run(["datasets", "pair", "ann", "bea", "--articles", "long.csv", *at]) == cli.OK
        Path("excel.csv").write_bytes("url,text\nx,café\n".encode("cp1252"))
        capsys.readouterr()
        for wrong, words in (
            (["ann"], "two accounts or more"),
            (["ann", "bea", "--articles", "excel.csv"], "excel.csv is no CSV in UTF-8: save it as"),
            (["ann", "dora"], "no post of dora is stored"),
            (["ann", "bea", "--articles", "none.csv"], "cannot read none.csv"),
            (["ann", "bea", "--thresholds", "articles.csv"], "holds no thresholds"),
        ):
            assert cli.run(["datasets", "pair", *wrong, *at]) == cli.USAGE
            assert words in " ".join(capsys.readouterr().err.split())


def test_thresholds_of_a_file_of_pairs(capsys: pytest.CaptureFixture[str]) -> None:
    names = ("claim", "document", "claim_image", "document_image")
    columns = [*names, "claim_ocr", "document_ocr", "category"]
    with Path("train.csv").open("w", newline="") as out:
        writer = csv.DictWriter(out, columns, restval="")
        writer.writeheader()
        for number, one in enumerate(generate(8, seed=1)):
            row = {"claim": one.pair.claim, "document": one.pair.document, "category": one.label}
            for side, images in zip(names[2:], one.pair[2:4], strict=True):
                for image in images:
                    row[side] = f"https://pictures.example/{number}{side}.png"
                    Image.fromarray(image).save(f"{number}{side}.png")
            writer.writerow(row)
    asked = ["datasets", "prepare", "factify", "train.csv", "--images", "."]
    assert cli.run([*asked, "--json"]) == cli.OK
    told = json.loads(capsys.readouterr().out)
    assert told["pairs"] == sum(told["classes"].values()) == 40
    assert json.loads(Path("thresholds.json").read_text()) == told["thresholds"]
    assert told["thresholds"]["encoder"] == "stems"
    Path("excel.csv").write_bytes("claim,café\n".encode("cp1252"))
    for wrong, words in (
        (["factify", "none.csv"], "cannot read none.csv"),
        (["factify", "excel.csv"], "excel.csv is no CSV in UTF-8: save it as CSV UTF-8"),
        (["factify", "thresholds.json"], "has no column"),
        (["factify", "train.csv"], "without pictures give --images FOLDER"),
        (["liar", "train.csv"], "no liar_train.tsv"),
    ):
        assert cli.run(["datasets", "prepare", *wrong]) == cli.USAGE
        assert words in " ".join(capsys.readouterr().err.split())


def test_a_public_set_is_made_ready(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_sets(tmp_path)
    liar = ["datasets", "prepare", "liar", "text"]
    assert cli.run([*liar, "--split", "published"]) == 0
    assert "wrote liar.jsonl" in capsys.readouterr().err
    assert cli.run([*liar, "--json", "-o", "again.jsonl", "--apart-from", "liar.jsonl"]) == 2
    assert "no post is left to divide" in capsys.readouterr().err
    assert cli.run([*liar, "--json", "-o", "again.jsonl"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (
        told["read"]
        == 240
        == told["near_duplicates"]
        + sum(n for part in told["posts"].values() for n in part.values())
    )
    assert cli.run(["datasets", "list", "--data", ".", "--json"]) == 0
    counts = {row["name"]: row["posts"] for row in json.loads(capsys.readouterr().out)}
    assert (counts["liar"], counts["constraint"], counts["weibo_2017"]) == (240, 240, None)
    rows = Path("text/liar_train.tsv").read_text()
    repeats = rows.replace("\n", " again\n")
    Path("text/liar_train.tsv").write_text(f"{rows}{repeats}1\tfalse\t \n")
    assert cli.run([*liar, "--json", "-o", "once.jsonl", "--near", "0.8"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert (again["read"], again["no_text"]) == (361, 1)
    assert again["repeats_itself"] >= 120
    kept = [json.loads(line)["text"] for line in Path("once.jsonl").read_text().splitlines()]
    assert len(set(kept)) == len(kept) <= 240
    assert cli.run(["datasets", "prepare", "lair", "text"]) == 2
    assert "no set of texts or posts is called 'lair'; there are: coaid" in (
        capsys.readouterr().err
    )


def test_a_set_is_described(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        ("The #cure works @ann https://www.a.org/x", "likely_false", "u1", "2020-03-01T10:00:00Z"),
        ("The #cure works @ann https://a.org/x", "likely_false", "u2", "2020-03-03T10:00:00Z"),
        ("The #cure works @ann https://a.org/y", "likely_true", "u2", ""),
        *((f"goal number {n} for the home side {n}", "likely_true", "u3", "") for n in range(40)),
        *((f"tower {n} spreads it {n} they say", "likely_false", "", "") for n in range(40)),
    ]
    with Path("set.csv").open("w", newline="") as out:
        csv.writer(out).writerows([("text", "label", "author_id", "posted_at"), *rows])
    assert cli.run(["datasets", "describe", "set.csv", "--top", "3", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    false, true = told["classes"]
    assert (told["posts"], false["posts"], true["posts"], true["accounts"]) == (83, 42, 41, 2)
    assert false["first_posted_at"].startswith("2020-03-01")
    assert false["hashtags"] == [["cure", 2]]
    assert false["addressed"] == [["ann", 2]]
    assert false["sites"] == [["a.org", 2]]
    assert {word for word, _ in false["telling"]} < {"tower", "spreads", "it", "they", "say"}
    assert told["labelled_differently"] >= 3
    assert told["splits"] == {"not divided": {"likely_false": 42, "likely_true": 41}}
    assert cli.run(["datasets", "describe", "set.csv"]) == 0
    said = capsys.readouterr().out
    assert "likely_false, sites: a.org 2" in said
    assert cli.run(["datasets", "describe", "none.csv"]) == cli.USAGE
    assert "cannot read none.csv" in capsys.readouterr().err
