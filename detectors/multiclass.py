"""How good predictions of several classes are: pure functions of labels and predictions.

`labels` and `predicted` are int arrays (n,) with values 0 to n_classes - 1. A ratio whose
denominator is 0 is 0.0. For two classes `detectors.evaluation` says the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.evaluation import ClassScores, Confusion, class_scores

Ints = NDArray[np.int64]


def confusion_matrix(labels: Ints, predicted: Ints, n_classes: int) -> Ints:
    """Counts by label (row) and prediction (column), (n_classes, n_classes).

    >>> confusion_matrix(np.array([0, 1, 1]), np.array([0, 0, 1]), 2).tolist()
    [[1, 0], [1, 1]]
    """
    counts = np.bincount(labels * n_classes + predicted, minlength=n_classes * n_classes)
    return counts.reshape(n_classes, n_classes).astype(np.int64)


def accuracy(matrix: Ints) -> float:
    """The share on the diagonal.

    >>> accuracy(np.array([[1, 0], [1, 2]]))
    0.75
    """
    return float(np.trace(matrix) / matrix.sum()) if matrix.sum() else 0.0


def multiclass_mcc(matrix: Ints) -> float:
    """Matthews correlation for any number of classes, in [-1, 1]; 0 for a constant.

        (c s - sum_k p_k t_k) / sqrt((s^2 - sum_k p_k^2) (s^2 - sum_k t_k^2))

    s texts, c of them right, t_k of class k, p_k predicted as k. For two classes it is `mcc`.
    Source: Gorodkin, Computational Biology and Chemistry 28, 2004.

    >>> round(multiclass_mcc(np.array([[8, 2], [4, 6]])), 4)
    0.4082
    """
    m = matrix.astype(np.float64)
    s, c, t, p = m.sum(), np.trace(m), m.sum(axis=1), m.sum(axis=0)
    scale = np.sqrt((s * s - p @ p) * (s * s - t @ t))
    return float((c * s - p @ t) / scale) if scale > 0 else 0.0


def scores_by_class(matrix: Ints) -> list[ClassScores]:
    """Precision, recall and F1 of each class against the rest.

    >>> [round(scores.f1, 4) for scores in scores_by_class(np.array([[8, 2], [4, 6]]))]
    [0.7273, 0.6667]
    """
    total = int(matrix.sum())
    found = []
    for k in range(len(matrix)):
        tp, of_class, as_class = (
            int(x) for x in (matrix[k, k], matrix[k].sum(), matrix[:, k].sum())
        )
        rest = Confusion(tp, as_class - tp, of_class - tp, total - of_class - as_class + tp)
        found.append(class_scores(rest))
    return found


def macro_f1_of(matrix: Ints) -> float:
    """The mean of the classes' F1."""
    return float(np.mean([scores.f1 for scores in scores_by_class(matrix)]))


def weighted_f1_of(matrix: Ints) -> float:
    """The mean of the classes' F1, each weighing as many as it has labels.

    >>> round(weighted_f1_of(np.array([[8, 2], [4, 6]])), 4)
    0.697
    """
    sizes = matrix.sum(axis=1)
    f1 = np.array([scores.f1 for scores in scores_by_class(matrix)])
    return float(sizes @ f1 / sizes.sum()) if sizes.sum() else 0.0


class Measured(NamedTuple):
    """A measure with its 95 % interval."""

    value: float
    low: float
    high: float


def resampled(
    labels: Ints,
    predicted: Ints,
    n_classes: int,
    groups: Ints | None = None,
    n_resamples: int = 1000,
    seed: int = 0,
) -> list[Ints]:
    """The confusion matrices of that many resamples.

    groups: what is drawn together, such as cascades that tell the same story; by default each
    prediction by itself. Source: Efron, Annals of Statistics 7, 1979; Field and Welsh, J. Royal
    Stat. Soc. B 69, 2007 (groups).

    >>> [m.tolist() for m in resampled(np.array([0]), np.array([1]), 2, n_resamples=1)]
    [[[0, 1], [0, 0]]]
    """
    own = np.arange(len(labels)) if groups is None else np.unique(groups, return_inverse=True)[1]
    n_groups = int(own.max(initial=-1)) + 1
    cells = np.zeros((n_groups, n_classes * n_classes), dtype=np.int64)
    np.add.at(cells, (own, labels * n_classes + predicted), 1)
    random = np.random.default_rng(seed)
    found = []
    for _ in range(n_resamples):
        times = np.bincount(random.integers(0, n_groups, n_groups), minlength=n_groups)
        found.append((times @ cells).reshape(n_classes, n_classes))
    return found


def interval_of(statistic: Callable[[Ints], float], matrices: list[Ints]) -> tuple[float, float]:
    """The 95 % percentile interval of a statistic over `resampled` matrices."""
    low, high = np.percentile([statistic(matrix) for matrix in matrices], [2.5, 97.5])
    return float(low), float(high)


def measured(
    statistic: Callable[[Ints], float],
    labels: Ints,
    predicted: Ints,
    n_classes: int,
    groups: Ints | None = None,
    n_resamples: int = 1000,
    seed: int = 0,
) -> Measured:
    """A statistic of the confusion matrix with its 95 % interval over `resampled` ones.

    >>> labels = np.arange(200) % 2
    >>> value, low, high = measured(accuracy, labels, np.where(np.arange(200) < 160, labels, 0), 2)
    >>> value, 0.84 < low < 0.88, 0.92 < high < 0.96
    (0.9, True, True)
    """
    matrices = resampled(labels, predicted, n_classes, groups, n_resamples, seed)
    whole = statistic(confusion_matrix(labels, predicted, n_classes))
    return Measured(whole, *interval_of(statistic, matrices))
