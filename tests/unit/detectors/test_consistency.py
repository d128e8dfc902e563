"""Published tables: what follows from their numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.consistency import (
    check_row,
    greatest_prevalence,
    implied,
    implied_accuracy,
    implied_mcc,
    prevalence_for,
    prevalences_for,
)
from detectors.evaluation import Confusion, class_scores, mcc

counts = st.integers(1, 400)


@given(counts, counts, counts, counts)
def test_what_is_implied_is_what_was_counted(tp: int, fp: int, fn: int, tn: int) -> None:
    whole = Confusion(tp, fp, fn, tn)
    of_class, of_rest = class_scores(whole), class_scores(whole.of_other_class())
    share = (tp + fn) / sum(whole)
    found = implied(of_class.precision, of_class.recall, share)
    assert found.mcc == pytest.approx(mcc(whole))
    assert found.accuracy == pytest.approx((tp + tn) / sum(whole))
    assert found[3:] == pytest.approx((of_class.f1, *of_rest))
    again = prevalence_for(of_class.precision, of_class.recall, mcc(whole))
    assert again == pytest.approx(share, abs=1e-5)


def test_mcc_falls_as_the_class_gets_more_frequent() -> None:
    shares = np.linspace(0.001, greatest_prevalence(0.7, 0.4), 50)
    found = [implied(0.7, 0.4, share).mcc for share in shares]
    assert found == sorted(found, reverse=True)


def test_trivedi_et_al_measured_the_other_class() -> None:
    needed = prevalences_for(0.90, 0.89, 0.44)
    assert needed is not None
    assert needed.low < 0.817 < needed.high
    rest = implied(0.90, 0.89, 0.817)
    assert rest[4:] == pytest.approx((0.53, 0.56, 0.55), abs=0.01)
    # of fake news, which is 17.8 % of the merged sets, they cannot be
    allowed = implied_mcc(0.90, 0.89, 0.178)
    assert allowed is not None
    assert not allowed.holds(0.44)
    assert check_row(0.90, 0.89, f1=0.8443)[0].holds is False


@pytest.mark.parametrize(("recall", "other", "accuracy"), [(0.88, 0.796, 0.838), (0.8, 0.8, 0.8)])
def test_accuracy_lies_between_the_recalls(recall: float, other: float, accuracy: float) -> None:
    assert implied_accuracy(recall, other, 996 / 1998).holds(accuracy)
    assert not implied_accuracy(recall, other, 996 / 1998).holds(accuracy - 0.03)


def test_a_row_that_holds_and_rows_that_cannot() -> None:
    right = check_row(0.75, 0.6, mcc=0.41, prevalence=0.5, f1=0.67, accuracy=0.7, other_recall=0.8)
    assert [finding.holds for finding in right] == [True] * 5
    assert check_row(0.75, 0.6, mcc=0.41)[0].holds is None
    assert check_row(0.5, 0.5, mcc=0.9)[0].holds is False
    assert [f.holds for f in check_row(0.3, 0.9, mcc=0.4, prevalence=0.9)] == [False, False]
    assert check_row(0.75, 0.6, prevalence=0.5, accuracy=0.9)[0].holds is False
