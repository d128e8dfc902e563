"""Concentration: against the definitions by all pairs, and on posts of a few core accounts."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.concentration import concentration, explain_spread, find_core_users

PARTS = st.lists(st.integers(0, 1000), max_size=40)


@given(PARTS)
def test_the_measures_are_their_definitions(parts: list[int]) -> None:
    found = concentration(parts)
    x = [part for part in parts if part]
    if not x:
        assert found is None
        return
    assert found is not None
    total, k = sum(x), len(x)
    assert (found.n_parts, found.total) == (k, total)
    differences = sum(abs(a - b) for a in x for b in x)
    assert found.gini == pytest.approx(differences / (2 * k * total))
    assert found.effective_parts == pytest.approx(1 / sum((a / total) ** 2 for a in x))
    for n, share in found.top.items():
        assert share == pytest.approx(sum(sorted(x)[-n:]) / total)


def test_equal_parts_are_not_concentrated() -> None:
    found = concentration([7] * 20)
    assert found is not None
    assert (found.gini, found.top[5]) == (0.0, 0.25)
    assert found.effective_parts == pytest.approx(20)
    assert not found.is_dominated


def test_core_users_are_found_whatever_the_order() -> None:
    rows: list[tuple[str | None, int, bool]] = [("news", 5000, False), (None, 50, True)]
    rows += [("core", 100, True)] * 8
    rows += [(f"u{i}", 1, True) for i in range(80)]
    random.Random(1).shuffle(rows)
    core = find_core_users([row[0] for row in rows], [row[1] for row in rows], [r[2] for r in rows])
    assert core.posts is not None
    assert core.shares is not None
    assert core.accounts[:3] == ("core", "u0", "u1")
    assert "news" not in core.accounts
    assert core.n_unknown == 1
    assert core.posts.top[1] == pytest.approx(8 / 88)
    assert core.shares.top[1] == pytest.approx(800 / 880)
    assert core.shares.gini > 0.85


def test_nobody_wrote_anything_false() -> None:
    core = find_core_users(["a"], [3], [False])
    assert (core.posts, core.shares, core.accounts, core.n_unknown) == (None, None, (), 0)


def test_false_posts_that_nobody_shared() -> None:
    core = find_core_users(["a", "b"], [0, 0], [True, True])
    assert core.posts is not None
    assert core.shares is None


def test_one_post_or_many_is_said() -> None:
    assert explain_spread([]) == "nothing was shared"
    assert explain_spread([4]).startswith("1 post makes all")
    assert "that post" in explain_spread([50, 30, 20])
    assert "20 equal ones" in explain_spread([5] * 20)


def test_wrong_input_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        concentration([1, -1])
    with pytest.raises(ValueError, match="same length"):
        find_core_users(["a"], [1, 2], [True])
