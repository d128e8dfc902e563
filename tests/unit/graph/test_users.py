import numpy as np
import pytest

from graph.users import build_user_network, collapse, sum_at


def test_edges_go_from_the_shared_to_the_sharer_with_counts() -> None:
    net = build_user_network(["b", "a", "b", "a"], ["c", "c", "c", "b"])
    assert net.users == ("a", "b", "c")
    assert net.source.tolist() == [0, 0, 1]
    assert net.target.tolist() == [1, 2, 2]
    assert net.weight.tolist() == [1, 1, 2]
    assert net.times_shared.tolist() == [2, 2, 0]
    assert net.shares_made.tolist() == [0, 1, 3]


def test_self_shares_and_unknown_ends_are_counted_and_make_no_node() -> None:
    net = build_user_network(["a", "d", None, "e", "", None], ["b", "d", "f", None, "b", None])
    assert net.users == ("a", "b")
    assert (net.n_shares, net.n_self_shares, net.n_unknown_authors) == (6, 1, 4)
    assert net.weight.tolist() == [1]


def test_without_ids_rows_are_shares_and_with_ids_each_id_is_one() -> None:
    shared, sharers = ["a", "a", "a"], ["b", "b", "b"]
    assert build_user_network(shared, sharers).weight.tolist() == [3]
    net = build_user_network(shared, sharers, ["1", "2", "1"])
    assert net.weight.tolist() == [2]
    assert net.n_shares == 2


def test_of_rows_with_the_same_id_the_known_one_counts() -> None:
    net = build_user_network([None, "b", "a"], ["c", "c", "c"], ["1", "1", "1"])
    assert net.users == ("a", "c")
    assert net.n_unknown_authors == 0


def test_both_directions_are_edges_of_their_own() -> None:
    net = build_user_network(["a", "b"], ["b", "a"])
    assert list(zip(net.source.tolist(), net.target.tolist(), strict=True)) == [(0, 1), (1, 0)]


def test_collapse_sums_both_directions() -> None:
    net = build_user_network(["a", "b", "b", "c"], ["b", "a", "a", "a"])
    low, high, weight = collapse(net.source, net.target, net.weight, net.n_users)
    assert low.tolist() == [0, 0]
    assert high.tolist() == [1, 2]
    assert weight.tolist() == [3, 1]


def test_sums_are_exact_beyond_the_floats() -> None:
    big = 2**53
    assert sum_at(np.array([0, 0]), np.array([big, 1]), 1).tolist() == [big + 1]


def test_nothing() -> None:
    net = build_user_network([], [])
    assert (net.users, net.n_users, net.n_shares) == ((), 0, 0)
    assert net.times_shared.shape == net.weight.shape == (0,)
    assert build_user_network([], [], []).n_shares == 0


def test_columns_must_be_equally_long() -> None:
    with pytest.raises(ValueError, match="same length"):
        build_user_network(["a"], [])
    with pytest.raises(ValueError, match="same length"):
        build_user_network(["a"], ["b"], ["1", "2"])


def test_every_share_needs_an_id_if_any_has_one() -> None:
    with pytest.raises(ValueError, match="post id is empty"):
        build_user_network(["a"], ["b"], [""])
