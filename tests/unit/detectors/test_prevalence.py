"""The adjusted share against what was drawn, and where nothing can be said."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from detectors.detector import DetectorUnusable
from detectors.model_folders import SHIPPED
from detectors.prevalence import Errors, adjusted_share, read_errors

SURE = Errors(10**6, 0, 0, 10**6)


def test_a_detector_without_errors_leaves_the_share_as_it_is() -> None:
    found = adjusted_share(0.3, 100, SURE)
    assert found is not None
    assert found.estimate == pytest.approx(0.3)
    assert (found.low, found.high) == pytest.approx((0.219, 0.396), abs=0.001)  # Agresti and Coull


def test_false_alarms_are_taken_off() -> None:
    errors = Errors(60, 40, 10, 90)
    assert (adjusted_share(0.35, 500, errors) or SURE)[0] == pytest.approx(0.5)
    assert (adjusted_share(0.05, 500, errors) or SURE)[0] == 0  # fewer than the false alarms
    few = adjusted_share(0.35, 20, errors)
    many = adjusted_share(0.35, 2000, errors)
    assert few is not None
    assert many is not None
    assert few.high - few.low > many.high - many.low
    assert many.high - many.low > 0.2  # what is not known of the detector stays


@pytest.mark.parametrize(
    ("n", "errors"),
    [
        (0, Errors(9, 1, 1, 9)),
        (10, Errors(0, 0, 1, 9)),
        (10, Errors(9, 1, 0, 0)),
        (10, Errors(5, 5, 5, 5)),
        (10, Errors(4, 6, 5, 5)),
    ],
)
def test_where_nothing_is_known_nothing_is_said(n: int, errors: Errors) -> None:
    assert adjusted_share(0.5, n, errors) is None


@pytest.mark.parametrize(
    ("share", "se", "sp", "n", "labelled"),
    [(0.1, 0.8, 0.95, 72, 60), (0.3, 0.6, 0.9, 200, 40), (0.5, 0.9, 0.9, 1000, 200)],
)
def test_the_interval_covers_as_often_as_it_says(
    share: float, se: float, sp: float, n: int, labelled: int
) -> None:
    rng = np.random.default_rng(7)
    covered = known = 0
    for _ in range(3000):
        hits, passed = rng.binomial(labelled, se), rng.binomial(labelled, sp)
        flagged = rng.binomial(n, share * se + (1 - share) * (1 - sp)) / n
        errors = Errors(int(hits), labelled - int(hits), labelled - int(passed), int(passed))
        found = adjusted_share(flagged, n, errors)
        if found is not None:
            known += 1
            covered += found.low <= share <= found.high
    assert known > 2990
    assert 0.93 < covered / known < 0.99


def test_errors_are_read_from_what_the_commands_write(tmp_path: Path) -> None:
    assert read_errors(SHIPPED / "bert").hits > 100
    counts = {"true_positive": 4, "false_positive": 3, "false_negative": 2, "true_negative": 1}
    path = tmp_path / "evaluation.json"
    path.write_text(json.dumps({"detectors": {"mine": {"counts": counts}}}))
    assert read_errors(path) == Errors(4, 2, 3, 1)
    (tmp_path / "metrics.json").write_text(json.dumps({"validation": {"counts": counts}}))
    assert read_errors(tmp_path) == Errors(4, 2, 3, 1)
    for written, said in (
        ({"detectors": {"a": {}, "b": {}}}, "is about a, b: measure one detector alone"),
        ({"detectors": {}}, "does not count hits and misses"),
        ({"test": {}}, "does not count hits and misses"),
    ):
        path.write_text(json.dumps(written))
        with pytest.raises(DetectorUnusable, match=said):
            read_errors(path)
    path.write_text("{")
    with pytest.raises(DetectorUnusable, match="is not JSON"):
        read_errors(path)
