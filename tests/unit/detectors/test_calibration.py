"""Isotonic calibration and the band without an opinion."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detectors.evaluation import Bools, Floats, calibration_error
from detectors.train_tfidf import calibrated
from detectors.trained import Calibration, on_line, opinion_of, slope_problem
from detectors.training import MIN_ISOTONIC, Task, calibrate, isotonic


def task(said: list[str], **more: Any) -> Task:
    made = Task(posts=[], data=Path(), out=Path(), encoder="", say=said.append)
    return made._replace(**more)


def drawn(n: int, seed: int = 4) -> tuple[Bools, Floats]:
    """Logits whose truth is no sigmoid of them: half of the high ones are false, all of the very
    high ones are not."""
    rng = np.random.default_rng(seed)
    logits = rng.uniform(-3, 3, n)
    truth = np.where(logits < 0, 0.05, np.where(logits < 2, 0.5, 0.55))
    return rng.random(n) < truth, logits


def test_isotonic_is_nearer_to_the_truth_where_that_is_no_sigmoid() -> None:
    positive, logits = drawn(4000)
    said: list[str] = []
    by_platt = calibrate(positive, logits, task(said))
    by_line = calibrate(positive, logits, task(said, calibration="isotonic"))
    assert not said
    assert by_platt.knots == ()
    assert slope_problem(by_line) is None
    others, theirs = drawn(4000, 5)
    errors = [calibration_error(others, calibrated(theirs, one)) for one in (by_platt, by_line)]
    assert errors[1] < 0.04
    assert errors[1] < 0.6 * errors[0]
    order = np.argsort(theirs)
    assert (np.diff(calibrated(theirs, by_line)[order]) >= 0).all()


def test_few_posts_fall_back_and_say_so() -> None:
    said: list[str] = []
    positive, logits = drawn(MIN_ISOTONIC - 1)
    assert calibrate(positive, logits, task(said, calibration="isotonic")).knots == ()
    assert said == [
        "isotonic calibration wants 1,000 validation posts, there are 999: Platt scaling is used"
    ]


def test_what_training_and_detectors_compute_is_the_same() -> None:
    positive, logits = drawn(2000)
    found = calibrate(positive, logits, task([], calibration="isotonic", abstain=(0.3, 0.45)))
    scores = calibrated(logits, found)
    low, high = found.abstain
    kept = (scores <= low) | (scores >= high)
    assert 0 < kept.sum() < len(kept)
    for logit, score, is_kept in zip(logits[:300], scores, kept, strict=False):
        opinion = opinion_of(float(logit), found)
        assert (opinion.score is not None) == is_kept
        if opinion.score is not None:
            assert opinion.score == pytest.approx(score, abs=1e-6)


def test_knots_are_no_certainty_and_rise() -> None:
    knots = isotonic(np.arange(50) >= 25, np.linspace(0.1, 0.9, 50))
    assert [height for _, height in knots] == [pytest.approx(1 / 27), pytest.approx(26 / 27)]
    assert on_line(0.5, knots) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("calibration", "said"),
    [
        (Calibration(-1.0, 0.0), "has slope -1.0"),
        (Calibration(1.0, 0.0, ((0.5, 0.5), (0.4, 0.6))), "do not rise"),
        (Calibration(1.0, 0.0, ((0.4, 0.6), (0.5, 0.5))), "do not rise"),
        (Calibration(1.0, 0.0, ((0.4, 1.6),)), "do not rise from 0 to 1"),
        (Calibration(1.0, 0.0, (), (0.6, 0.4)), "two scores are wanted"),
        (Calibration(1.0, 0.0, (), (0.6,)), "two scores are wanted"),
    ],
)
def test_a_calibration_that_no_training_writes_is_told(calibration: Calibration, said: str) -> None:
    assert said in (slope_problem(calibration) or "")
