from math import sqrt

import pytest

from graph.virality import CascadeError, expected_share, structural_virality, wilson_interval


def test_expected_share_by_hand() -> None:
    # (3 * 0.8 + 1 * 0.4) / 4 = 0.7; variance (9 * 0.16 + 1 * 0.24) / 16 = 0.105
    share = expected_share([0.8, 0.4], [3, 1])
    assert share is not None
    assert share.estimate == pytest.approx(0.7)
    assert share.low == pytest.approx(0.7 - 1.959964 * sqrt(0.105), abs=1e-6)
    assert share.high == 1.0


def test_shares_of_one_text_are_one_opinion() -> None:
    once, often = expected_share([0.5], [1]), expected_share([0.5], [1000])
    apart = expected_share([0.5] * 1000, [1] * 1000)
    assert once == often == (0.5, 0.0, 1.0)
    assert apart is not None
    assert apart.high - apart.low == pytest.approx(2 * 1.959964 * sqrt(0.25 / 1000), abs=1e-6)


def test_certain_scores_leave_no_doubt() -> None:
    assert expected_share([1, 0], [1, 1]) == (0.5, 0.5, 0.5)


def test_nothing_judged_is_unknown() -> None:
    assert expected_share([], []) is None
    assert expected_share([0.3], [0]) is None


@pytest.mark.parametrize(
    ("scores", "weights"),
    [([0.5], [1, 2]), ([1.5], [1]), ([-0.1], [1]), ([float("nan")], [1]), ([0.5], [-1]),
     ([0.5], [float("inf")]), ([[0.5]], [[1]])],
)  # fmt: skip
def test_expected_share_checks(scores: list[float], weights: list[float]) -> None:
    with pytest.raises(ValueError, match=r"score|weight"):
        expected_share(scores, weights)


def test_wilson_against_published_values() -> None:
    # Newcombe, Statistics in Medicine 17, 1998, table I, method 3
    for k, n, low, high in [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ]:
        interval = wilson_interval(k, n)
        assert interval is not None
        assert interval.estimate == k / n
        assert interval.low == pytest.approx(low, abs=5e-5)
        assert interval.high == pytest.approx(high, abs=5e-5)


def test_wilson_ends() -> None:
    none, every = wilson_interval(0, 5), wilson_interval(5, 5)
    assert none is not None
    assert every is not None
    assert none.low == 0.0
    assert every.high == 1.0
    assert wilson_interval(0, 0) is None


@pytest.mark.parametrize(("k", "n"), [(2, 1), (-1, 3), (0, -1)])
def test_wilson_checks(k: int, n: int) -> None:
    with pytest.raises(ValueError, match="no count"):
        wilson_interval(k, n)


@pytest.mark.parametrize("n", [2, 3, 10, 1000])
def test_structural_virality_of_stars_and_chains(n: int) -> None:
    assert structural_virality([-1] + [0] * (n - 1)) == pytest.approx(2 - 2 / n)
    assert structural_virality(range(-1, n - 1)) == pytest.approx((n + 1) / 3)


def test_structural_virality_of_little() -> None:
    assert structural_virality([]) == 0.0
    assert structural_virality([-1]) == 0.0


def test_the_order_of_posts_does_not_matter() -> None:
    # the chain 2 - 0 - 1 with the root in the middle of the list
    assert structural_virality([2, 0, -1]) == pytest.approx(4 / 3)


@pytest.mark.parametrize(
    ("parents", "complaint"),
    [([0], "one root"), ([-1, -1], "one root"), ([-1, 2, 1], "circle"), ([-1, 5], "index"),
     ([-1, -2], "index")],
)  # fmt: skip
def test_what_is_no_tree(parents: list[int], complaint: str) -> None:
    with pytest.raises(CascadeError, match=complaint):
        structural_virality(parents)
