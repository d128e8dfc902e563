import numpy as np
import pytest

from graph.keys import UNKNOWN, distinct, first_rows, index_keys, pick


def test_keys_of_all_columns_share_one_numbering_in_code_point_order() -> None:
    keys, (left, right) = index_keys(["b", "Z"], ["é", "b"])
    assert keys == ("Z", "b", "é")
    assert left.tolist() == [1, 0]
    assert right.tolist() == [2, 1]


def test_none_and_empty_are_unknown() -> None:
    keys, (codes,) = index_keys([None, "a", ""])
    assert keys == ("a",)
    assert codes.tolist() == [UNKNOWN, 0, UNKNOWN]


def test_no_keys() -> None:
    keys, (codes,) = index_keys([])
    assert keys == ()
    assert codes.dtype == np.int64
    assert codes.shape == (0,)


def test_pick() -> None:
    assert pick(("a", "b", "c"), [2, 0]) == ("c", "a")


def test_first_rows_looks_at_the_columns_in_the_order_given() -> None:
    key = np.array([1, 1, 1, 0])
    assert first_rows(key, np.array([5, 5, 6, 0]), np.array([2, 1, 0, 0])).tolist() == [3, 1]


def test_first_rows_of_nothing() -> None:
    assert first_rows(np.empty(0, dtype=np.int64)).tolist() == []


@pytest.mark.parametrize("n", [0, 1, 2, 1000])
def test_distinct_integers_are_those_of_numpy(n: int) -> None:
    values = np.random.default_rng(n).integers(-n, n + 1, n)
    assert distinct(values).tolist() == np.unique(values).tolist()
    assert distinct(values).dtype == np.int64
