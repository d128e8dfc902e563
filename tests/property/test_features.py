"""Node features of thousands of small graphs: equal to networkx's, and no matter of numbering."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from graph.features import FEATURES, node_features, reference_features

Edges = tuple[int, list[tuple[int, int]]]


@st.composite
def graphs(draw: st.DrawFn) -> Edges:
    """Any simple or multiple, connected or scattered directed graph of up to 9 nodes."""
    n_nodes = draw(st.integers(1, 9))
    node = st.integers(0, n_nodes - 1)
    return n_nodes, draw(st.lists(st.tuples(node, node), max_size=24))


@st.composite
def cascades(draw: st.DrawFn) -> Edges:
    """A tree with a few more edges, as shares of shares are: star-like, with loops now and then."""
    n_nodes = draw(st.integers(2, 12))
    edges = [(draw(st.integers(0, i - 1)) // draw(st.integers(1, 4)), i) for i in range(1, n_nodes)]
    node = st.integers(0, n_nodes - 1)
    return n_nodes, edges + draw(st.lists(st.tuples(node, node), max_size=2))


def columns(edges: Edges) -> tuple[list[int], list[int], int]:
    n_nodes, pairs = edges
    return [a for a, _ in pairs], [b for _, b in pairs], n_nodes


@given(st.one_of(graphs(), cascades()))
def test_equal_to_networkx(edges: Edges) -> None:
    found = node_features(*columns(edges))
    assert np.isfinite(found.values).all()
    assert found.unconverged == ()
    expected = reference_features(*columns(edges))
    for i, name in enumerate(FEATURES):
        assert_allclose(found.values[:, i], expected[:, i], atol=1e-7, err_msg=name)


@given(st.one_of(graphs(), cascades()), st.randoms(use_true_random=False))
def test_numbering_and_order_of_edges_do_not_matter(edges: Edges, random: object) -> None:
    n_nodes, pairs = edges
    renamed = list(range(n_nodes))
    random.shuffle(renamed)  # type: ignore[attr-defined]
    shuffled = [(renamed[a], renamed[b]) for a, b in pairs]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    found = node_features(*columns((n_nodes, shuffled))).values
    assert_allclose(found[renamed], node_features(*columns(edges)).values, atol=1e-9)
