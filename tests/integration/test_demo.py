"""hoaxwatch demo: it runs as it is, and what it says of the detector is so."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from hoaxwatch import cli
from hoaxwatch.commands import demo
from hoaxwatch.simulate.truth_file import read_truth
from storage import reads
from storage.database import connect, open_database
from streams.settings import read_settings
from tests.folders import short_folder
from tests.samples import write_samples

USAGE = 2


@pytest.fixture(autouse=True)
def _a_project_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("HOAXWATCH_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOAXWATCH_CONFIG", str(tmp_path / "none.toml"))
    monkeypatch.chdir(tmp_path)
    # judged by words, whatever the default detector takes to judge
    monkeypatch.setenv("HOAXWATCH_DETECTOR", "tfidf")
    monkeypatch.setattr(demo, "DAYS", 4)
    monkeypatch.setattr(demo, "POSTS", 800)


def test_the_demo_says_how_well_the_detector_did(
    database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Precision and recall, counted here once more from the verdicts and the truth."""
    monkeypatch.setenv("HOAXWATCH_DATABASE", database)
    assert cli.run(["demo"]) == 0
    printed = capsys.readouterr()
    assert Path("report.html").stat().st_size > 10_000

    labels = read_truth(Path("demo/truth.jsonl.zst")).labels
    with open_database(read_settings()) as dsn, connect(dsn) as connection:
        judged = [
            (labels[row.platform, row.root_id] == "likely_false", row.likely_false)
            for row in reads.read_judged(connection)
            if (row.platform, row.root_id) in labels and row.likely_false is not None
        ]
    n_flagged = sum(flagged for _, flagged in judged)
    n_false = sum(is_false for is_false, _ in judged)
    n_right = sum(is_false and flagged for is_false, flagged in judged)
    assert 0 < n_right < n_flagged < len(judged), "or the shares below say nothing"
    precision, recall, prevalence = (
        f"{100 * part / whole:.1f} %"
        for part, whole in ((n_right, n_flagged), (n_right, n_false), (n_false, len(judged)))
    )
    row = re.search(r"(?m)^ all .*$", printed.out)
    assert row is not None
    counts = [len(judged), n_false, n_flagged, n_right]
    assert row[0].split() == ["all", *map(str, counts), *precision.split(), *recall.split()]
    assert f"{n_right} are false (flagging all" in printed.err
    assert f"would be right in {prevalence})" in printed.err
    assert "the detector never saw them" in printed.err


def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "DAYS", 2)
    monkeypatch.setattr(demo, "POSTS", 200)


@pytest.mark.first_server
def test_a_database_of_ones_own_holds_the_demo_alone(
    database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is filled when it is empty, and again with the same; never beside other posts."""
    small(monkeypatch)
    monkeypatch.setenv("HOAXWATCH_DATABASE", database)
    assert cli.run(["demo"]) == 0
    assert cli.run(["demo"]) == 0
    study, *_ = write_samples(Path("study"), seed=2, n_posts=100)
    assert cli.run(["run", str(study)]) == 0
    with connect(database) as connection:
        before = reads.read_counts(connection), reads.read_runs(connection, 10)
        capsys.readouterr()
        assert cli.run(["demo"]) == USAGE
        assert (reads.read_counts(connection), reads.read_runs(connection, 10)) == before
    assert "that are not of this invented week" in capsys.readouterr().err


@pytest.mark.first_server
def test_another_seed_is_another_project(monkeypatch: pytest.MonkeyPatch) -> None:
    small(monkeypatch)
    with short_folder() as home:
        monkeypatch.setenv("HOAXWATCH_HOME", str(home))
        assert cli.run(["demo"]) == 0
        assert cli.run(["demo", "--seed", "2"]) == 0
        known = read_truth(Path("demo/truth.jsonl.zst"))
        assert known.about["seed"] == 2
        with open_database(read_settings(project="demo-2")) as dsn, connect(dsn) as connection:
            found = {(row.platform, row.root_id) for row in reads.read_judged(connection)}
        with open_database(read_settings(project="demo")) as dsn, connect(dsn) as connection:
            others = {(row.platform, row.root_id) for row in reads.read_judged(connection)}
    assert found & known.labels.keys()
    assert not others & known.labels.keys()
