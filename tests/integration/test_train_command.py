"""hoaxwatch train, evaluate and models, on a file of one's own."""

from __future__ import annotations

import json
import os
import random
import shlex
from pathlib import Path

import pytest

from detectors.datasets.labelled import LabelledPost
from hoaxwatch import cli
from hoaxwatch.commands import evaluate
from hoaxwatch.commands.train import load_posts
from tests.made_up_sets import sentence

WORDS = ["--labels", "hoax=likely_false,fine=likely_true"]


@pytest.fixture(autouse=True)
def _settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("HOAXWATCH_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOAXWATCH_CONFIG", str(tmp_path / "none.toml"))
    monkeypatch.chdir(tmp_path)
    rng = random.Random(5)
    rows = [f"{sentence(rng, i % 2 == 0)},{'hoax' if i % 2 == 0 else 'fine'}" for i in range(300)]
    Path("mine.csv").write_text("text,label\n" + "\n".join(rows) + "\n")


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().err.split())


def test_train_evaluate_and_run_with_it(capsys: pytest.CaptureFixture[str]) -> None:
    data = ["--data", "mine.csv", *WORDS]
    assert cli.run(["train", "tfidf", *data, "--languages", "en,de", "--out", "own/one"]) == cli.OK
    assert "wrote own/one; measure it: hoaxwatch evaluate tfidf=own/one" in said(capsys)
    assert cli.run(["train", "tfidf", *data, "--balance", "eda", "--out", "own/two"]) == cli.OK
    metrics = json.loads(Path("own/one/metrics.json").read_text())
    assert metrics["posts"]["test"].keys() == {"likely_true", "likely_false"}
    assert "A trained `tfidf`" in Path("own/one/README.md").read_text()
    capsys.readouterr()

    both = ["tfidf=own/one", "tfidf=own/two", "null"]
    assert cli.run(["evaluate", *both, *data]) == cli.USAGE
    assert "null scores none of these posts: no_detector" in said(capsys)
    assert cli.run(["evaluate", *both[:2], *data, "--out", "measured", "--json"]) == cli.OK
    found = json.loads(capsys.readouterr().out)
    assert found == json.loads(Path("measured/evaluation.json").read_text())
    assert found["labels"] == metrics["posts"]["test"]
    assert found["detectors"]["tfidf=one"]["mcc"] > 0.2
    assert found["comparisons"][0]["first"] == "tfidf=one"
    assert len(list(Path("measured").glob("*.svg"))) == 6
    assert cli.run(["evaluate", "tfidf=own/one", *data, "--csv", "--split", "validation"]) == cli.OK
    head, row = capsys.readouterr().out.splitlines()
    assert head.startswith("detector,n,abstained") and row.startswith("tfidf=one,")

    assert cli.run(["models", "verify", "own"]) == cli.OK
    assert capsys.readouterr().out == "own/one: good\nown/two: good\n"
    assert cli.run(["models", "list", "own", "--json"]) == cli.OK
    rows = json.loads(capsys.readouterr().out)
    assert [(row["detector"], row["languages"]) for row in rows] == [
        ("tfidf", ["en", "de"]),
        ("tfidf", ["en"]),
    ]
    assert cli.run(["models", "show", "own/one"]) == cli.OK
    assert json.loads(capsys.readouterr().out)["metrics"] == metrics
    Path("own/two/weights.npz").write_bytes(b"no")
    assert cli.run(["models", "verify", "own"]) == cli.USAGE
    assert "weights.npz has sha256" in said(capsys)


def test_the_printed_command_measures_on_what_training_left_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = Path("mine.csv").read_text().splitlines()[1:]
    head = "text,label,post_id\n"
    for name, start in (("one half.csv", 0), ("other.csv", 150)):
        own = enumerate(rows[start : start + 150], start)
        Path(name).write_text(head + "\n".join(f"{row},{i}" for i, row in own) + "\n")
    files = [Path("one half.csv"), Path("other.csv")]
    data = [word for file in files for word in ("--data", str(file))]
    assert cli.run(["train", "tfidf", *data, *WORDS, "--seed", "1", "--out", "own"]) == cli.OK
    learnt = {post.post_id for post in load_posts(files, WORDS[1], 1) if post.split != "test"}

    read: list[LabelledPost] = []

    def watched(data: list[Path], labels: str | None, seed: int) -> list[LabelledPost]:
        read[:] = load_posts(data, labels, seed)
        return read

    monkeypatch.setattr(evaluate, "load_posts", watched)
    command = shlex.split(said(capsys).partition("measure it: hoaxwatch ")[2])
    assert cli.run(command) == cli.OK
    tested = {post.post_id for post in read if post.split == "test"}
    assert tested and tested.isdisjoint(learnt)
    warning = "what it was trained on may be among what is measured"
    assert warning not in said(capsys)
    for otherwise in ([*data, *WORDS], [*data[:2], *WORDS, "--seed", "1"]):
        assert cli.run(["evaluate", "tfidf=own", *otherwise]) == cli.OK
        assert warning in said(capsys)

    metrics = json.loads(Path("own/metrics.json").read_text())
    without = {name: value for name, value in metrics.items() if name != "division"}
    for by_another_version in (without, metrics | {"division": "0" * 64}):
        Path("own/metrics.json").write_text(json.dumps(by_another_version))
        assert cli.run(command) == cli.OK
        assert warning in said(capsys)


def test_a_column_split_is_the_same_whatever_the_seed(capsys: pytest.CaptureFixture[str]) -> None:
    rows = Path("mine.csv").read_text().splitlines()[1:]
    splits = ["train", "test", "validation", "train", "train", "train"]
    written = [f"{row},{splits[i // 2 % 6]}" for i, row in enumerate(rows)]
    Path("mine.csv").write_text("text,label,split\n" + "\n".join(written) + "\n")
    assert cli.run(["train", "tfidf", "--data", "mine.csv", *WORDS, "--out", "own"]) == cli.OK
    otherwise = ["--labels", "fine=likely_true,hoax=likely_false", "--seed", "1"]
    assert cli.run(["evaluate", "tfidf=own", "--data", "mine.csv", *otherwise]) == cli.OK
    assert "may be among what is measured" not in said(capsys)


def test_calibrated_by_isotonic_regression_with_a_band(capsys: pytest.CaptureFixture[str]) -> None:
    rng = random.Random(6)
    for number, name in enumerate(("few", "many")):
        n = 200 if name == "few" else 12_000
        rows = [f"{sentence(rng, i % 2 == 0)},{'hoax' if i % 2 == 0 else 'fine'}" for i in range(n)]
        Path(f"{name}.csv").write_text("text,label\n" + "\n".join(rows) + "\n")
        data = ["--data", f"{name}.csv", *WORDS]
        ask = ["--calibration", "isotonic", "--abstain", "0.4,0.6", "--out", name]
        assert cli.run(["train", "tfidf", *data, *ask]) == cli.OK
        noted = "isotonic calibration wants 1,000 validation posts, there are 20: Platt scaling is"
        assert (noted in said(capsys)) == (number == 0)
        found = json.loads(Path(name, "config.json").read_text())["calibration"]
        assert ("knots" in found, found["abstain"]) == (name == "many", [0.4, 0.6])
    assert cli.run(["models", "verify", "many"]) == cli.OK
    capsys.readouterr()
    assert cli.run(["evaluate", "tfidf=many", *data, "--json"]) == cli.OK
    one = json.loads(capsys.readouterr().out)["detectors"]["tfidf=many"]
    assert one["abstained"]["unsure_band"] > 0
    assert one["calibration_error"] < 0.05
    config = json.loads(Path("many/config.json").read_text())
    config["calibration"]["knots"].reverse()
    Path("many/config.json").write_text(json.dumps(config))
    assert cli.run(["models", "verify", "many"]) == cli.USAGE
    assert "has knots that do not rise" in said(capsys)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["train", "tfidf"], "say what it is with --labels fine=likely_false"),
        (["train", "fish"], "no detector called 'fish' can be trained; there are: att_xdsf, bert"),
        (["train", "tfidf", "--balance", "some", *WORDS], "--balance 'some' is neither none nor"),
        (["train", "tfidf", "--calibration", "none", *WORDS], "'none' is none of platt, isotonic"),
        (["train", "tfidf", "--abstain", "0.6,0.4", *WORDS], "--abstain '0.6,0.4': write two"),
        (["train", "cascade_gcn", "--abstain", "0.4,0.6"], "takes no --calibration and no --abst"),
        (["train", "tfidf", "--set", "c", *WORDS], "--set 'c': write it as epochs=3"),
        (["train", "tfidf", "--set", "d=1", *WORDS], "there is no setting 'd'; there are"),
        (["train", "cascade_gcn"], "holds no twitter15/edges.csv.xz"),
        (["train", "tfidf", "--labels", "hoax=likely_false"], "label 'fine' has no word"),
        (["evaluate", "tfidf", "--split", "dev", *WORDS], "no post is in split 'dev'; there are"),
        (["evaluate", "tfidff", *WORDS], "no detector is called 'tfidff'"),
        (["evaluate", "tweet_metadata", *WORDS], "no weights ship with tweet_metadata"),
    ],
)
def test_mistakes_are_told_in_one_line(
    command: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["--out", "own"] if command[0] == "train" else []
    assert cli.run([*command, "--data", "mine.csv", *out]) == cli.USAGE
    assert words in said(capsys)


def test_a_published_table_that_cannot_be(capsys: pytest.CaptureFixture[str]) -> None:
    row = ["--precision", "0.9", "--recall", "0.89", "--mcc", "0.44", "--prevalence", "0.18"]
    assert cli.run(["evaluate", "check-table", *row, "--json"]) == cli.OK
    assert {r["verdict"] for r in json.loads(capsys.readouterr().out)} == {"cannot hold"}
    assert cli.run(["models", "verify", "."]) == cli.USAGE
    assert "holds no weights" in said(capsys)
