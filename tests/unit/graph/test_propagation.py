import networkx
import numpy as np
import pytest

from graph.propagation import (
    NO_TIME,
    PropagationGraph,
    build_propagation,
    cascade_sizes,
    summarise_cascades,
)

SECOND = 1_000_000


@pytest.fixture
def graph() -> PropagationGraph:
    """Root p by ann with four shares, root q without shares, one share of an unseen root."""
    rows = [
        ("p", 100, "ann", "p"),
        ("p1", 110, "bob", "p"),
        ("p2", 130, "cyd", "p"),
        ("p3", 170, "bob", "p"),
        ("p4", 90, "ann", "p"),  # earlier than its root: clocks disagree
        ("q", 50, None, None),
        ("x1", 60, "dan", "x"),
    ]
    ids, seconds, users, roots = zip(*rows, strict=True)
    return build_propagation(ids, np.array(seconds) * SECOND, users, roots)


def test_one_node_per_post_and_one_edge_per_share_of_a_seen_root(graph: PropagationGraph) -> None:
    assert graph.post_ids == ("p", "p1", "p2", "p3", "p4", "q", "x1")
    assert graph.source.tolist() == [0, 0, 0, 0]
    assert graph.target.tolist() == [1, 2, 3, 4]
    assert graph.delay_seconds.tolist() == [10, 30, 70, -10]


def test_users_are_sorted_and_unknown_ones_are_minus_one(graph: PropagationGraph) -> None:
    assert graph.users == ("ann", "bob", "cyd", "dan")
    assert graph.user.tolist() == [0, 1, 2, 1, 0, -1, 3]


def test_rootless_shares_and_negative_delays_are_kept_and_counted(graph: PropagationGraph) -> None:
    assert graph.n_rootless == 1
    assert graph.n_negative_delays == 1
    assert graph.root_ids == ("p", "q", "x")
    assert graph.root.tolist() == [0, 5, -1]


def test_cascade_sizes_count_roots_and_shares_seen(graph: PropagationGraph) -> None:
    assert cascade_sizes(graph).tolist() == [5, 1, 1]


def test_summary(graph: PropagationGraph) -> None:
    summary = summarise_cascades(graph)
    assert summary.root_ids == ("p", "q", "x")
    assert summary.n_shares.tolist() == [4, 0, 1]
    assert summary.n_users.tolist() == [2, 0, 1]  # ann shared her own post
    assert summary.first_share_us.tolist() == [90 * SECOND, NO_TIME, 60 * SECOND]
    assert summary.last_share_us.tolist() == [170 * SECOND, NO_TIME, 60 * SECOND]
    # delays -10, 10, 30, 70: the second makes half of four; the median lies between 10 and 30
    np.testing.assert_array_equal(summary.half_life_seconds, [10, np.nan, np.nan])
    np.testing.assert_array_equal(summary.median_delay_seconds, [20, np.nan, np.nan])


def test_half_life_of_an_odd_number_of_shares_is_their_median() -> None:
    graph = build_propagation(
        ["r", "a", "b", "c"], np.array([0, 1, 5, 9]) * SECOND, ["u", "v", "w", "x"], ["r"] * 4
    )
    summary = summarise_cascades(graph)
    assert summary.half_life_seconds.tolist() == [5]
    assert summary.median_delay_seconds.tolist() == [5]


def test_no_time_shows_as_nat(graph: PropagationGraph) -> None:
    assert np.isnat(summarise_cascades(graph).first_share_us.view("M8[us]")).tolist() == [
        False,
        True,
        False,
    ]


def test_unknown_sharers_are_not_counted_as_users() -> None:
    graph = build_propagation(["r", "a", "b"], [0, 1, 2], ["u", None, ""], ["r"] * 3)
    assert summarise_cascades(graph).n_users.tolist() == [0]


def test_an_unseen_roots_author_cannot_be_left_out() -> None:
    graph = build_propagation(["a", "b"], [1, 2], ["u", "v"], ["r", "r"])
    assert summarise_cascades(graph).n_users.tolist() == [2]


def test_of_rows_with_the_same_id_the_earliest_counts() -> None:
    graph = build_propagation(
        ["r", "s", "s"], np.array([0, 9, 4]) * SECOND, ["u", "v", "v"], ["r"] * 3
    )
    assert graph.n_duplicates == 1
    assert graph.delay_seconds.tolist() == [4]


def test_of_rows_with_the_same_id_and_time_the_known_user_counts() -> None:
    graph = build_propagation(["r", "r"], [0, 0], [None, "u"], ["r", "r"])
    assert (graph.users, graph.user.tolist()) == (("u",), [0])


def test_to_networkx_is_made_of_stars_without_weights(graph: PropagationGraph) -> None:
    drawn = graph.to_networkx()
    assert drawn.number_of_nodes() == 7
    assert drawn.edges["p", "p2"] == {"delay_seconds": 30.0}
    assert drawn.nodes["q"] == {"user": None, "posted_at_us": 50 * SECOND, "is_share": False}
    assert drawn.nodes["x1"]["user"] == "dan"
    assert networkx.dag_longest_path_length(drawn, weight=None) == 1


def test_nothing() -> None:
    graph = build_propagation([], [], [], [])
    assert graph.post_ids == graph.root_ids == ()
    assert cascade_sizes(graph).shape == (0,)
    assert summarise_cascades(graph).n_users.shape == (0,)


def test_columns_must_be_equally_long() -> None:
    with pytest.raises(ValueError, match="same length"):
        build_propagation(["a"], [1, 2], ["u"], ["a"])


def test_every_post_needs_an_id() -> None:
    with pytest.raises(ValueError, match="post id is empty"):
        build_propagation([""], [1], ["u"], ["a"])
