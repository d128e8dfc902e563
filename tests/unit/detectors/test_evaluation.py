from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from detectors.evaluation import (
    Confusion,
    bootstrap_interval,
    brier,
    calibration_error,
    class_scores,
    confusion,
    macro_f1,
    mcc,
    prevalence,
)

RANDOM = np.random.default_rng(5)
POSITIVE = RANDOM.random(500) < 0.3
SCORES = np.clip(0.35 * POSITIVE + 0.6 * RANDOM.random(500), 0, 1)
PREDICTED = SCORES >= 0.5


def test_agrees_with_sklearn() -> None:
    counts = confusion(POSITIVE, PREDICTED)
    (tn, fp), (fn, tp) = metrics.confusion_matrix(POSITIVE, PREDICTED)
    assert tuple(counts) == (tp, fp, fn, tn)
    theirs = metrics.precision_recall_fscore_support(POSITIVE, PREDICTED)
    of_true, of_false = class_scores(counts.of_other_class()), class_scores(counts)
    for ours, both in zip(zip(of_true, of_false, strict=True), theirs[:3], strict=True):
        assert ours == pytest.approx(both)
    assert mcc(counts) == pytest.approx(metrics.matthews_corrcoef(POSITIVE, PREDICTED))
    assert macro_f1(counts) == pytest.approx(metrics.f1_score(POSITIVE, PREDICTED, average="macro"))
    assert brier(POSITIVE, SCORES) == pytest.approx(metrics.brier_score_loss(POSITIVE, SCORES))


def test_by_hand() -> None:
    counts = Confusion(true_positive=3, false_positive=1, false_negative=2, true_negative=4)
    assert class_scores(counts) == pytest.approx((3 / 4, 3 / 5, 2 / 3))
    assert class_scores(counts.of_other_class()) == pytest.approx((4 / 6, 4 / 5, 8 / 11))
    assert mcc(counts) == pytest.approx((3 * 4 - 1 * 2) / (4 * 5 * 5 * 6) ** 0.5)
    assert macro_f1(counts) == pytest.approx((2 / 3 + 8 / 11) / 2)


@pytest.mark.parametrize(
    "counts", [Confusion(0, 0, 5, 5), Confusion(5, 5, 0, 0), Confusion(0, 0, 0, 9)]
)
def test_undefined_ratios_are_zero(counts: Confusion) -> None:
    assert mcc(counts) == 0
    assert 0 in (*class_scores(counts), *class_scores(counts.of_other_class()))


def test_mcc_of_perfect_and_of_reversed() -> None:
    assert mcc(confusion(POSITIVE, POSITIVE)) == pytest.approx(1)
    assert mcc(confusion(POSITIVE, ~POSITIVE)) == pytest.approx(-1)


def test_prevalence() -> None:
    assert prevalence(np.array([True, True, False, False, False])) == pytest.approx(0.4)


def test_calibration_error_by_hand() -> None:
    positive = np.array([True, False, False, True, True])
    scores = np.array([0.05, 0.07, 0.55, 0.58, 1.0])
    # bins: [0.05, 0.07] |0.06 - 1/2|; [0.55, 0.58] |0.565 - 1/2|; [1.0] 0
    assert calibration_error(positive, scores) == pytest.approx(2 / 5 * 0.44 + 2 / 5 * 0.065)
    assert calibration_error(positive, positive.astype(float)) == 0


def test_bootstrap_interval_is_seeded_and_covers() -> None:
    def statistic(positive: np.ndarray, predicted: np.ndarray) -> float:
        return mcc(confusion(positive, predicted))

    low, high = bootstrap_interval(statistic, POSITIVE, PREDICTED)
    assert (low, high) == bootstrap_interval(statistic, POSITIVE, PREDICTED)
    assert low < statistic(POSITIVE, PREDICTED) < high
    assert (low, high) != bootstrap_interval(statistic, POSITIVE, PREDICTED, seed=1)


def test_bootstrap_interval_of_a_share_is_near_the_binomial_one() -> None:
    flagged = np.arange(1000) < 200
    low, high = bootstrap_interval(lambda _, p: float(np.mean(p)), flagged, flagged)
    half_width = 1.96 * (0.2 * 0.8 / 1000) ** 0.5
    assert low == pytest.approx(0.2 - half_width, abs=0.004)
    assert high == pytest.approx(0.2 + half_width, abs=0.004)
