from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from detectors import cascade_baselines, train_cascade_gcn
from detectors.train_cascade_gcn import Settings
from hoaxwatch import cli
from hoaxwatch.commands.evaluate import parse_ages
from streams.errors import UsageError
from tests.unit.detectors.invented_cascades import N_PER_CLASS, write_cascades

N = 4 * N_PER_CLASS


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Invented cascades, and networks that are trained for two epochs."""
    monkeypatch.setattr(cascade_baselines, "random_forest", cascade_baselines.logistic_regression)
    monkeypatch.setattr(train_cascade_gcn, "shipped_settings", lambda: Settings(max_epochs=2))
    return write_cascades(tmp_path)


def test_ages_are_in_order_of_time() -> None:
    assert parse_ages(" 24h,30m , 90s,1.5d,1h") == {
        "90s": 90,
        "30m": 1800,
        "1h": 3600,
        "24h": 86400,
        "1.5d": 129600,
    }


@pytest.mark.parametrize("text", ["", "1", "1h,,2h", "0m", "-1h", "1w", "1h;2h", "nan h"])
def test_what_is_no_age_is_told(text: str) -> None:
    with pytest.raises(UsageError, match="write 30m,1h,6h"):
        parse_ages(text)


def test_quality_by_age_for_people_and_programs(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["evaluate", "cascade-gcn", "--data", str(folder), "--folds", "2"]
    command += ["--after", "60m,2d"]
    assert cli.run([*command, "--csv"]) == cli.OK
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["after"] for row in rows] == ["60m"] * 5 + ["2d"] * 5
    early, late = rows[0], rows[-1]
    assert late["what"] == "gcn"
    assert int(late["n"]) + int(late["no_shares"]) + int(late["stars"]) == N
    assert int(early["n"]) + int(early["no_shares"]) + int(early["stars"]) == N
    assert int(early["no_shares"]) + int(early["stars"]) > 0
    assert int(late["no_shares"]) + int(late["stars"]) == 0
    assert float(early["median_size"]) < float(late["median_size"])
    assert float(late["mcc_low"]) <= float(late["mcc"]) <= float(late["mcc_high"])

    assert cli.run([*command, "--json", "--time-aware"]) == cli.OK
    found = json.loads(capsys.readouterr().out)
    assert [row["what"] for row in found[5:7]] == ["gcn with replies and delays", "commonest class"]
    assert [str(row["mcc"]) for row in found if row["what"] == "gcn"] == [
        row["mcc"] for row in rows if row["what"] == "gcn"
    ], "the other network changes nothing about the one that reads no times"


def test_looking_too_early_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["evaluate", "cascade-gcn", "--data", str(folder), "--after", "1s,2d"]) == 2
    assert "within 1s only 0 cascades of a class have a structure" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["cascade-gcn", "--data", "nowhere"], "nowhere holds no twitter15/edges.csv.xz"),
        (["cascade-gcn", "--data", ".", "--after", "soon"], "'soon' is not a time"),
        (["factify"], "give --generated N, or --train FILE and --test FILE"),
        (["factify", "--train", "a.csv"], "give --generated N"),
        (["factify", "--train", "a.csv", "--test", "b.csv"], "cannot read a.csv: No such file"),
        (["factify", "--news", ".", "--train", "a", "--test", "b"], "--news goes with --generated"),
        (["factify", "--generated", "9", "--news", "."], "no isot_true.csv (or isot_true.csv.xz)"),
    ],
)
def test_mistakes_are_one_line(
    arguments: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.run(["evaluate", *arguments]) == cli.USAGE
    err = capsys.readouterr().err
    assert words in " ".join(err.split())
    assert "Traceback" not in err


def test_factify_on_invented_pairs(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["evaluate", "factify", "--generated", "6"]) == cli.OK
    found = json.loads(capsys.readouterr().out)
    assert found["n_test"] == 30
    assert len(found["classes"]) == 5
    assert all(sum(map(sum, row["confusion"])) == 30 for row in found["rows"])
