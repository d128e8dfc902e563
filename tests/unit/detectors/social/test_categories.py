from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.social.categories import (
    AGE_EDGES,
    COUNT_EDGES,
    FIELDS,
    FIGURE_EDGES,
    FLAG_EDGES,
    Field,
    categories_of,
    quantile_field,
)


@pytest.mark.parametrize(
    ("edges", "values", "categories"),
    [
        (COUNT_EDGES, (None, 0, 1, 2, 3, 4, 5, 6, 10, 11, 99), (0, 1, 2, 3, 4, 5, 5, 6, 6, 7, 7)),
        (FIGURE_EDGES, (None, 0, 1, 9, 10, 99, 1e7, 5e8), (0, 1, 2, 2, 3, 3, 9, 9)),
        (AGE_EDGES, (None, 0.5, 1, 6.9, 7, 30, 365, 1826, 5000), (0, 1, 2, 2, 3, 4, 5, 6, 7)),
        (FLAG_EDGES, (None, False, True), (0, 1, 2)),
        (COUNT_EDGES, (-1, float("inf"), float("nan")), (1, 7, 0)),
        ((), (None, 3), (0, 1)),
    ],
)
def test_values_fall_into_categories(
    edges: tuple[float, ...], values: tuple[float | None, ...], categories: tuple[int, ...]
) -> None:
    field = Field("x", edges)
    assert tuple(field.category(value) for value in values) == categories
    assert max(categories) <= field.n_categories - 1


def test_unknown_is_a_category_of_its_own_and_never_zero_s() -> None:
    for field in FIELDS:
        assert field.category(None) == 0 != field.category(0)


@given(st.lists(st.one_of(st.none(), st.floats(-1e9, 1e9)), max_size=60), st.integers(1, 9))
def test_quantile_fields_never_have_more_or_empty_categories(
    values: list[float | None], n: int
) -> None:
    field = quantile_field("x", values, n)
    assert len(field.edges) < n
    assert list(field.edges) == sorted(set(field.edges))
    known = [value for value in values if value is not None]
    if known:
        assert {field.category(v) for v in known} == set(range(1, field.n_categories))


def test_quantile_categories_are_about_equally_full() -> None:
    field = quantile_field("x", range(100), 4)
    counts = [sum(field.category(v) == c for v in range(100)) for c in range(1, 5)]
    assert counts == [25, 25, 25, 25]


def test_rows_of_several_posts() -> None:
    fields = (Field("a", COUNT_EDGES), Field("b", FLAG_EDGES))
    assert categories_of(fields, [{"a": 3, "b": None}, {"b": True, "c": 9}]).tolist() == [
        [4, 0],
        [0, 2],
    ]
    assert categories_of(fields, []).shape == (0, 2)


def test_fields_are_stored_with_the_model() -> None:
    stored = msgspec.json.encode(FIELDS)
    assert msgspec.json.decode(stored, type=tuple[Field, ...]) == FIELDS
