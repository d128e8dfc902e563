"""Coordination: one by one equals all at once, and order and repetition change nothing."""

from datetime import UTC, datetime, timedelta
from itertools import combinations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from graph.coordination import (
    CoordinationNetwork,
    CoordinationRules,
    CoordinationWindow,
    find_network,
    index_actions,
    may_coordinate,
)

Row = tuple[str, str, int]
RULES = CoordinationRules(window_seconds=3, min_participation=1, min_weight=1)
rows_of = st.lists(
    st.tuples(st.sampled_from("abcd"), st.sampled_from("xyz"), st.integers(0, 60)), max_size=40
)


def batch(rows: list[Row], rules: CoordinationRules = RULES) -> CoordinationNetwork:
    return find_network(
        index_actions([r[0] for r in rows], [r[1] for r in rows], [r[2] * 10**6 for r in rows]),
        rules,
    )


def same(one: CoordinationNetwork, other: CoordinationNetwork) -> None:
    for name, value in vars(one).items():
        np.testing.assert_array_equal(value, getattr(other, name), err_msg=name)


@given(rows_of, st.integers(1, 70))
def test_one_by_one_equals_all_at_once(rows: list[Row], period: int) -> None:
    rows.sort(key=lambda row: row[2])
    window = CoordinationWindow(period, RULES)
    for number, (account, thing, at) in enumerate(rows):
        window.add(account, thing, at * 10**6)
        same(window.network(), batch([r for r in rows[: number + 1] if r[2] > at - period]))


@given(rows_of, st.integers(1, 4), st.integers(1, 3))
def test_a_quick_look_misses_no_edge(rows: list[Row], participation: int, weight: int) -> None:
    rules = CoordinationRules(window_seconds=3, min_participation=participation, min_weight=weight)
    rows.sort(key=lambda row: row[2])
    start = datetime(2026, 3, 1, tzinfo=UTC)
    accounts, objects = [row[0] for row in rows], [row[1] for row in rows]
    times = [start + timedelta(seconds=row[2]) for row in rows]
    if not may_coordinate(accounts, objects, times, rules):
        assert len(batch(rows, rules).one) == 0


@given(rows_of, st.randoms(use_true_random=False))
def test_order_and_repetition_change_nothing(rows: list[Row], chance: object) -> None:
    other = rows + rows[: len(rows) // 2]
    chance.shuffle(other)  # type: ignore[attr-defined]
    same(batch(rows), batch(other))


@given(rows_of)
def test_weight_and_symmetry_by_the_definition(rows: list[Row]) -> None:
    network = batch(rows)
    distinct = sorted(set(rows))
    expected = {}
    for a, b in combinations(sorted({row[0] for row in rows}), 2):
        met = [
            (i, j) for i in distinct for j in distinct
            if (i[0], j[0]) == (a, b) and i[1] == j[1] and abs(i[2] - j[2]) <= 3
        ]  # fmt: skip
        if met:
            n_a, n_b = len({i for i, _ in met}), len({j for _, j in met})
            expected[a, b] = (len({i[1] for i, _ in met}), min(n_a, n_b) / max(n_a, n_b))
    found = {
        (network.accounts[a], network.accounts[b]): (w, s)
        for a, b, w, s in zip(
            network.one,
            network.other,
            network.weight.tolist(),
            network.symmetry.tolist(),
            strict=True,
        )
    }
    assert found == expected
    assert ((network.p_value >= 0) & (network.p_value <= network.q_value)).all()
