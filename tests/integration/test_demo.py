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
