from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from detectors.evaluation import Confusion, mcc
from detectors.multiclass import (
    accuracy,
    confusion_matrix,
    macro_f1_of,
    measured,
    multiclass_mcc,
    weighted_f1_of,
)


def test_agrees_with_sklearn() -> None:
    random = np.random.default_rng(1)
    labels = random.integers(0, 4, 300)
    predicted = np.where(random.random(300) < 0.5, labels, random.integers(0, 4, 300))
    matrix = confusion_matrix(labels, predicted, 4)
    assert matrix.tolist() == metrics.confusion_matrix(labels, predicted).tolist()
    assert multiclass_mcc(matrix) == pytest.approx(metrics.matthews_corrcoef(labels, predicted))
    for ours, average in ((macro_f1_of, "macro"), (weighted_f1_of, "weighted")):
        theirs = metrics.f1_score(labels, predicted, average=average)
        assert ours(matrix) == pytest.approx(theirs)


def test_two_classes_are_the_binary_measure() -> None:
    found = multiclass_mcc(np.array([[8, 2], [4, 6]]))
    assert found == pytest.approx(mcc(Confusion(6, 2, 4, 8)))


def test_a_class_that_is_never_met_or_predicted_leaves_no_hole() -> None:
    matrix = confusion_matrix(np.array([0, 0]), np.array([0, 0]), 3)
    assert (accuracy(matrix), multiclass_mcc(matrix), weighted_f1_of(matrix)) == (1.0, 0.0, 1.0)
    assert macro_f1_of(matrix) == pytest.approx(1 / 3)
    nothing = np.zeros((3, 3), dtype=np.int64)
    assert (accuracy(nothing), multiclass_mcc(nothing), weighted_f1_of(nothing)) == (0, 0, 0)


def test_groups_that_go_together_make_the_interval_wider() -> None:
    labels = np.arange(400) % 2
    right = np.repeat(np.arange(20) % 4 != 0, 20)  # whole groups are wrong
    predicted = np.where(right, labels, 1 - labels)
    alone = measured(accuracy, labels, predicted, 2)
    together = measured(accuracy, labels, predicted, 2, groups=np.repeat(np.arange(20), 20))
    assert alone.value == together.value == 0.75
    assert together.high - together.low > 2 * (alone.high - alone.low)
    assert together == measured(accuracy, labels, predicted, 2, np.repeat(np.arange(20), 20))
