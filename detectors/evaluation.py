"""How good scores are: pure functions of labels and scores.

`positive` is a bool array (n,), True where the label is the positive class (likely_false);
`scores` is a float array (n,) of probabilities of it; `predicted` is bool (n,).
A ratio whose denominator is 0 is 0.0, as in scikit-learn, so that tables have no holes.
"""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


class Confusion(NamedTuple):
    """Counts of texts by label and prediction; positive is the positive class."""

    true_positive: int
    false_positive: int
    false_negative: int
    true_negative: int

    def of_other_class(self) -> Confusion:
        """The same counts as seen from the other class."""
        return Confusion(*reversed(self))


class ClassScores(NamedTuple):
    """Precision, recall and F1 of one class."""

    precision: float
    recall: float
    f1: float


def confusion(positive: Bools, predicted: Bools) -> Confusion:
    """The four counts.

    >>> confusion(np.array([True, True, False]), np.array([True, False, True]))
    Confusion(true_positive=1, false_positive=1, false_negative=1, true_negative=0)
    """
    return Confusion(
        int(np.sum(positive & predicted)),
        int(np.sum(~positive & predicted)),
        int(np.sum(positive & ~predicted)),
        int(np.sum(~positive & ~predicted)),
    )


def class_scores(counts: Confusion) -> ClassScores:
    """precision = tp / (tp + fp), recall = tp / (tp + fn), F1 = 2 tp / (2 tp + fp + fn).

    >>> class_scores(Confusion(6, 2, 4, 8))
    ClassScores(precision=0.75, recall=0.6, f1=0.6666666666666666)
    """
    tp, fp, fn, _ = counts
    return ClassScores(_ratio(tp, tp + fp), _ratio(tp, tp + fn), _ratio(2 * tp, 2 * tp + fp + fn))


def macro_f1(counts: Confusion) -> float:
    """The mean of both classes' F1.

    >>> round(macro_f1(Confusion(6, 2, 4, 8)), 4)
    0.697
    """
    return (class_scores(counts).f1 + class_scores(counts.of_other_class()).f1) / 2


def mcc(counts: Confusion) -> float:
    """Matthews correlation coefficient, in [-1, 1]; 0 for a coin or a constant.

        (tp tn - fp fn) / sqrt((tp + fp) (tp + fn) (tn + fp) (tn + fn))

    Source: Matthews, Biochimica et Biophysica Acta 405(2), 1975.

    >>> round(mcc(Confusion(6, 2, 4, 8)), 4), mcc(Confusion(6, 4, 0, 0))
    (0.4082, 0.0)
    """
    tp, fp, fn, tn = counts
    return _ratio(tp * tn - fp * fn, sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)))


def prevalence(positive: Bools) -> float:
    """The share of positives.

    >>> prevalence(np.array([True, False, False, False]))
    0.25
    """
    return float(np.mean(positive))


def brier(positive: Bools, scores: Floats) -> float:
    """The mean squared distance of score and label (1 or 0); always saying 0.5 gives 0.25.

    Source: Brier, Monthly Weather Review 78(1), 1950.

    >>> round(brier(np.array([True, False]), np.array([0.9, 0.2])), 6)
    0.025
    """
    return float(np.mean((scores - positive) ** 2))


def calibration_error(positive: Bools, scores: Floats, n_bins: int = 10) -> float:
    """Expected calibration error over bins of equal width of the score.

        sum over bins of n_bin / n * |mean score in bin - share of positives in bin|

    Source: Naeini, Cooper, Hauskrecht, AAAI 2015.

    >>> labels = np.array([True, False, True, True])
    >>> round(calibration_error(labels, np.array([0.12, 0.18, 0.9, 1.0])), 4)
    0.2
    """
    bins = np.minimum((scores * n_bins).astype(np.intp), n_bins - 1)
    gaps = np.bincount(bins, weights=scores - positive, minlength=n_bins)
    return float(np.sum(np.abs(gaps)) / len(scores))


def auc(positive: Bools, scores: Floats, weights: Floats | None = None) -> float:
    """The area under the ROC curve: how often a positive has a greater score than a negative,
    ties counting half; 0.5 where one class is missing. weights: how often each counts.

    Source: Hanley, McNeil, Radiology 143(1), 1982.

    >>> auc(np.array([True, True, False, False]), np.array([0.9, 0.4, 0.4, 0.1]))
    0.875
    """
    weights = np.ones(len(scores)) if weights is None else weights
    values, place = np.unique(scores, return_inverse=True)
    of_positive = np.bincount(place, weights * positive, len(values))
    of_negative = np.bincount(place, weights * ~positive, len(values))
    below = np.cumsum(of_negative) - of_negative / 2
    n_pairs = of_positive.sum() * of_negative.sum()
    return float(of_positive @ below / n_pairs) if n_pairs else 0.5


def bootstrap_interval(
    statistic: Callable[[Bools, Bools], float],
    positive: Bools,
    predicted: Bools,
    n_resamples: int = 1000,
    seed: int = 0,
) -> tuple[float, float]:
    """The 95 % percentile interval of a statistic of (positive, predicted) over resampled texts.

    Source: Efron, "Bootstrap methods: another look at the jackknife", Annals of Statistics 7, 1979.

    >>> def share(positive, predicted): return float(np.mean(predicted))
    >>> low, high = bootstrap_interval(share, np.ones(100, bool), np.arange(100) < 50)
    >>> 0.38 < low < 0.44 and 0.56 < high < 0.62
    True
    """
    random = np.random.default_rng(seed)
    values = []
    for _ in range(n_resamples):
        drawn = random.integers(0, len(positive), len(positive))
        values.append(statistic(positive[drawn], predicted[drawn]))
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def paired_difference(
    statistic: Callable[[Bools, Bools], float],
    positive: Bools,
    predicted: Bools,
    baseline: Bools,
    n_resamples: int = 1000,
    seed: int = 0,
) -> tuple[float, float, float]:
    """How much greater a statistic is than that of a baseline on the same texts, and the 95 %
    percentile interval of the difference over resampled texts, each drawn for both at once.

    Source: Efron, as above; Koehn, "Statistical significance tests for machine translation
    evaluation", EMNLP 2004.

    >>> def share(positive, predicted): return float(np.mean(predicted == positive))
    >>> truth, good, bad = np.ones(100, bool), np.arange(100) < 90, np.arange(100) < 50
    >>> difference, low, high = paired_difference(share, truth, good, bad)
    >>> round(difference, 6), 0.25 < low < 0.35, 0.45 < high < 0.55
    (0.4, True, True)
    """
    random = np.random.default_rng(seed)
    values = []
    for _ in range(n_resamples):
        drawn = random.integers(0, len(positive), len(positive))
        of_both = (statistic(positive[drawn], p[drawn]) for p in (predicted, baseline))
        values.append(next(of_both) - next(of_both))
    low, high = np.percentile(values, [2.5, 97.5])
    whole = statistic(positive, predicted) - statistic(positive, baseline)
    return float(whole), float(low), float(high)


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0
