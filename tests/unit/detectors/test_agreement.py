"""Agreement of annotators: worked out by hand, and against another way to count."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from detectors.agreement import fleiss_kappa

COUNTS = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=8
).map(lambda rows: np.array(rows, dtype=np.int64))


def test_the_example_of_fleiss() -> None:
    """Ten items, fourteen annotators, five labels: the worked example that is widely reprinted."""
    counts = np.array(
        [
            *([0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0]),
            *([2, 2, 8, 1, 1], [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2]),
            *([6, 5, 2, 1, 0], [0, 2, 2, 3, 7]),
        ]
    )
    found = fleiss_kappa(counts)
    assert found is not None
    assert found == pytest.approx(0.210, abs=5e-4)


def by_pairs(counts: NDArray[np.int64]) -> float | None:
    """The same from the labels themselves: pairs of annotators of one item, one by one."""
    items = [
        [label for label, n in enumerate(row) for _ in range(n)]
        for row in counts.tolist()
        if sum(row) >= 2
    ]
    given_labels = [label for item in items for label in item]
    if len(set(given_labels)) < 2:
        return None
    agreement = np.mean(
        [np.mean([a == b for a, b in itertools.combinations(item, 2)]) for item in items]
    )
    expected = sum((given_labels.count(label) / len(given_labels)) ** 2 for label in range(3))
    return float((agreement - expected) / (1 - expected))


@given(COUNTS)
def test_it_is_what_pairs_of_annotators_say(counts: NDArray[np.int64]) -> None:
    expected, found = by_pairs(counts), fleiss_kappa(counts)
    assert (found is None) == (expected is None)
    if found is not None:
        assert found == pytest.approx(expected)


def test_one_annotator_says_nothing_about_agreement() -> None:
    assert fleiss_kappa(np.array([[1, 0], [0, 1]])) is None
    assert fleiss_kappa(np.zeros((0, 3), dtype=np.int64)) is None
