from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from detectors.cascade_gcn import (
    PROPAGATE,
    Batch,
    CascadeGcn,
    propagate_first,
    propagate_in,
    propagate_out,
)
from detectors.proximity import Floats, GraphInput, graph_input, side_by_side
from graph.features import Ints, simple_edges

#: 0 is shared by 1 and 2, both of them by 3, and 3 by 4.
KITE = ([0, 0, 1, 2, 3], [1, 2, 3, 3, 4])
#: 0, 1 and 2 share each other in a circle; 3 shares 0 and 4.
RING = ([0, 1, 2, 0, 4], [1, 2, 0, 3, 3])


def arrays(edges: tuple[list[int], list[int]], n_nodes: int = 5) -> tuple[Ints, Ints]:
    return simple_edges(*edges, n_nodes)


def as_matrix(propagate: Callable[..., torch.Tensor], edges: tuple[Ints, Ints], n: int) -> Floats:
    """What a propagation does to the unit vectors: its matrix."""
    batch = Batch.of(graph_input(np.zeros((n, 1)), *edges, n_rounds=None), torch.float64)
    made: Floats = propagate(batch, torch.eye(n, dtype=torch.float64)).numpy()
    return made


def normalised(matrix: Floats, row_sums: list[float]) -> Floats:
    """D~^-1/2 (M + I) D~^-1/2 with the row sums worked out by hand."""
    narrow = 1 / np.sqrt(np.array(row_sums) + 1)
    made: Floats = narrow[:, None] * (matrix + np.eye(len(matrix))) * narrow
    return made


def test_first_order_by_hand() -> None:
    both_ways = np.zeros((5, 5))
    for begin, end in zip(*KITE, strict=True):
        both_ways[begin, end] = both_ways[end, begin] = 1
    found = as_matrix(propagate_first, arrays(KITE), 5)
    assert_allclose(found, normalised(both_ways, [2, 2, 2, 3, 1]), atol=1e-12)


def test_second_order_in_by_hand() -> None:
    shared = np.zeros((5, 5))
    shared[1:3, 1:3] = 1 / 2  # 1 and 2 share 0, which two share
    shared[3, 3] = 1 + 1  # 3 shares 1 and 2, which nobody else shares
    shared[4, 4] = 1
    found = as_matrix(propagate_in, arrays(KITE), 5)
    assert_allclose(found, normalised(shared, [0, 1, 1, 2, 1]), atol=1e-12)


def test_second_order_out_by_hand() -> None:
    sharing = np.zeros((5, 5))
    sharing[0, 0] = 1 + 1  # 1 and 2 share nobody but 0
    sharing[1:3, 1:3] = 1 / 2  # 3 shares both
    sharing[3, 3] = 1
    found = as_matrix(propagate_out, arrays(KITE), 5)
    assert_allclose(found, normalised(sharing, [2, 1, 1, 1, 0]), atol=1e-12)


def test_second_order_of_a_circle_by_hand() -> None:
    into = np.zeros((5, 5))
    into[0, 0] = 1  # from 2, which only 0 shares
    into[1, 1] = into[1, 3] = into[3, 1] = 1 / 2  # from 0, which 1 and 3 share
    into[3, 3] = 1 / 2 + 1  # and from 4, which only 3 shares
    into[2, 2] = 1
    found = as_matrix(propagate_in, arrays(RING), 5)
    assert_allclose(found, normalised(into, [1, 1, 1, 2, 0]), atol=1e-12)
    out = np.zeros((5, 5))
    out[0, 0] = 1 + 1 / 2  # 1 shares only 0, 3 shares 0 and 4
    out[0, 4] = out[4, 0] = out[4, 4] = 1 / 2
    out[1, 1] = out[2, 2] = 1
    found = as_matrix(propagate_out, arrays(RING), 5)
    assert_allclose(found, normalised(out, [2, 1, 1, 0, 1]), atol=1e-12)


@st.composite
def graphs(draw: st.DrawFn) -> tuple[int, Ints, Ints]:
    n_nodes = draw(st.integers(1, 8))
    node = st.integers(0, n_nodes - 1)
    pairs = draw(st.lists(st.tuples(node, node), max_size=20))
    edges = simple_edges([a for a, _ in pairs], [b for _, b in pairs], n_nodes)
    return n_nodes, *edges


@given(graphs())
def test_products_equal_those_of_the_matrices_that_are_never_formed(
    graph: tuple[int, Ints, Ints],
) -> None:
    n, source, target = graph
    a = np.zeros((n, n))
    a[source, target] = 1

    def inverse(x: Floats) -> Floats:
        return np.diag(np.divide(1, x, where=x > 0, out=np.zeros(n)))

    formed = {
        "first": np.maximum(a, a.T),
        "second_in": a.T @ inverse(a.sum(axis=1)) @ a,
        "second_out": a @ inverse(a.sum(axis=0)) @ a.T,
    }
    assert_allclose(formed["second_in"].sum(axis=1), a.sum(axis=0), atol=1e-12)
    assert_allclose(formed["second_out"].sum(axis=1), a.sum(axis=1), atol=1e-12)
    for name, matrix in formed.items():
        expected = normalised(matrix, matrix.sum(axis=1).tolist())
        found = as_matrix(PROPAGATE[name], (source, target), n)
        assert_allclose(found, expected, atol=1e-12, err_msg=name)


def network(width: int) -> CascadeGcn:
    torch.manual_seed(4)
    return CascadeGcn(width, 3).double().eval()


def logits(graph: GraphInput) -> Floats:
    with torch.inference_mode():
        made: Floats = network(graph.features.shape[1])(Batch.of(graph, torch.float64)).numpy()
    return made


@given(graphs(), st.integers(0, 3))
def test_kinds_give_the_logits_of_all_nodes(graph: tuple[int, Ints, Ints], seed: int) -> None:
    n, source, target = graph
    features = np.random.default_rng(seed).integers(0, 2, (n, 2)).astype(np.float64)
    whole = graph_input(features, source, target, n_rounds=None)
    kinds = graph_input(features, source, target)
    assert whole.sizes == (n,)
    assert kinds.sizes[0] <= n
    assert_allclose(logits(kinds), logits(whole), atol=1e-10)


def test_leaves_of_a_star_are_one_kind_however_many() -> None:
    n = 50_000
    features = np.zeros((n, 1))
    features[0] = 1
    star = graph_input(features, np.zeros(n - 1, dtype=np.int64), np.arange(1, n))
    assert star.sizes == (2,)
    assert star.out.n_found.tolist() == [n - 1]
    assert star.into.n_found.tolist() == [1]
    assert star.out_degree.tolist() == [n - 1, 0]


def test_too_few_rounds_would_not_do() -> None:
    """What is told apart only at a distance: without rounds the logits of a path differ."""
    path = np.arange(8), np.arange(1, 9)
    features = np.zeros((9, 1))
    features[0] = 3
    whole = logits(graph_input(features, *path, n_rounds=None))
    assert np.abs(logits(graph_input(features, *path, n_rounds=0)) - whole).max() > 1e-4
    assert_allclose(logits(graph_input(features, *path)), whole, atol=1e-12)


def test_side_by_side_is_each_alone() -> None:
    random = np.random.default_rng(2)
    graphs = []
    for n in (5, 1, 40, 9):
        edges = simple_edges(random.integers(0, n, 2 * n), random.integers(0, n, 2 * n), n)
        graphs.append(graph_input(random.standard_normal((n, 4)), *edges))
    together = side_by_side(graphs)
    assert together.sizes == (5, 1, 40, 9)
    assert_allclose(logits(together), np.concatenate([logits(g) for g in graphs]), atol=1e-12)
    with torch.inference_mode():
        single = network(4).float()
        rough = single(Batch.of(together)).numpy()
    assert_allclose(rough, logits(together), atol=1e-5)


def test_direction_matters() -> None:
    features = np.arange(5.0)[:, None]
    there = logits(graph_input(features, *simple_edges([0, 0, 0, 1], [1, 2, 3, 4], 5)))
    back = logits(graph_input(features, *simple_edges([1, 2, 3, 4], [0, 0, 0, 1], 5)))
    assert np.abs(there - back).max() > 1e-4


@pytest.mark.parametrize("n_nodes", [1, 3])
def test_graphs_without_edges(n_nodes: int) -> None:
    nothing = np.zeros(0, dtype=np.int64)
    found = graph_input(np.ones((n_nodes, 2)), nothing, nothing)
    assert found.sizes == (1,)
    assert np.isfinite(logits(found)).all()
