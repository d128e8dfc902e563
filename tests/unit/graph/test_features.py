from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
from numpy.testing import assert_allclose

from graph.features import (
    FEATURES,
    Floats,
    GraphError,
    Ints,
    leading_vector,
    node_features,
    reference_features,
    simple_edges,
)

#: 0 is shared by 1 and 2, both of them by 3, and 3 by 4.
KITE = ([0, 0, 1, 2, 3], [1, 2, 3, 3, 4])


def features(source: list[int], target: list[int], n_nodes: int) -> dict[str, Floats]:
    values = node_features(source, target, n_nodes).values
    return {name: values[:, i] for i, name in enumerate(FEATURES)}


def random_network(n_nodes: int, n_edges: int, seed: int) -> tuple[Ints, Ints]:
    random = np.random.default_rng(seed)
    return random.integers(0, n_nodes, n_edges), random.integers(0, n_nodes, n_edges)


def test_counts_and_paths_by_hand() -> None:
    found = features(*KITE, 5)
    assert found["in_degree"].tolist() == [0, 1, 1, 2, 1]
    assert found["out_degree"].tolist() == [2, 1, 1, 1, 0]
    assert found["triangles"].tolist() == [0, 0, 0, 0, 0]
    # of the 4 * 3 pairs: 0-3 and 0-4 lead half through 1, half through 2; 0-4, 1-4, 2-4 through 3
    assert_allclose(found["betweenness"], [0, 1 / 12, 1 / 12, 3 / 12, 0], atol=1e-15)
    # to 3 lead 1, 2 (one step) and 0 (two); to 4 lead all four, 1 + 2 + 2 + 3 steps away
    assert_allclose(found["closeness"], [0, 1 / 4, 1 / 4, 3 / 4 * 3 / 4, 4 / 4 * 4 / 8], atol=1e-15)


def test_hub_and_authority_by_hand() -> None:
    found = features(*KITE, 5)
    # A^T A is [[1, 1], [1, 1]] on 1 and 2, which have a parent in common, [2] on 3, [1] on 4. Its
    # greatest eigenvalue 2 occurs twice; equal authorities end as (1, 1, 1) on 1, 2 and 3.
    assert_allclose(found["authority"], [0, 1 / 3, 1 / 3, 1 / 3, 0], atol=1e-12)
    # 0 points at two of them, 1 and 2 at one each
    assert_allclose(found["hub"], [1 / 2, 1 / 4, 1 / 4, 0, 0], atol=1e-12)


def test_eigenvector_by_hand() -> None:
    found = features(*KITE, 5)["eigenvector"]
    # x = value of 0, y of 1 and 2, z of 3, w of 4:  l x = 2 y,  l y = x + z,  l z = 2 y + w,
    # l w = z,  from which l^4 - 5 l^2 + 2 = 0
    eigenvalue = sqrt((5 + sqrt(17)) / 2)
    w = 1.0
    z, y = eigenvalue * w, (eigenvalue**2 - 1) * w / 2
    expected = np.array([2 * y / eigenvalue, y, y, z, w])
    assert_allclose(found, expected / np.linalg.norm(expected), atol=1e-10)


def test_pagerank_solves_its_equation() -> None:
    found = features(*KITE, 5)["pagerank"]
    given = np.zeros((5, 5))  # given[i, j]: what j gives to i
    for begin, end in zip(*KITE, strict=True):
        given[end, begin] = 1 / KITE[0].count(begin)
    given[:, 4] = 1 / 5  # nobody shares 4
    assert_allclose(found, 0.15 / 5 + 0.85 * given @ found, atol=1e-12)
    assert found.sum() == pytest.approx(1)


def test_triangle_is_counted_whatever_its_directions() -> None:
    assert features([0, 1, 2, 2], [1, 2, 0, 3], 4)["triangles"].tolist() == [1, 1, 1, 0]
    assert features([0, 0, 2, 2], [1, 2, 1, 3], 4)["triangles"].tolist() == [1, 1, 1, 0]


def test_turning_the_edges_round_changes_what_it_should() -> None:
    source, target = KITE
    there, back = features(source, target, 5), features(target, source, 5)
    assert there["in_degree"].tolist() == back["out_degree"].tolist()
    assert there["out_degree"].tolist() == back["in_degree"].tolist()
    for name in ("betweenness", "triangles", "eigenvector"):
        assert_allclose(there[name], back[name], atol=1e-10)
    for name in ("pagerank", "closeness", "hub", "authority"):
        assert np.abs(there[name] - back[name]).max() > 0.01


def test_star() -> None:
    n_leaves = 300
    found = features([0] * n_leaves, list(range(1, n_leaves + 1)), n_leaves + 1)
    assert found["hub"][0] == pytest.approx(1)
    assert_allclose(found["authority"], [0] + [1 / n_leaves] * n_leaves, atol=1e-12)
    assert_allclose(found["eigenvector"], [sqrt(0.5)] + [sqrt(0.5 / n_leaves)] * n_leaves)
    assert found["betweenness"].tolist() == [0] * (n_leaves + 1)
    for values in found.values():
        assert len(set(values[1:].round(12))) == 1, "all leaves are alike"


def test_equal_families_share_what_a_solver_would_give_to_one() -> None:
    """Ninety parents with one child each, of one root: nothing tells the parents apart."""
    parents, children = list(range(1, 91)), list(range(91, 181))
    found = features([0] * 90 + parents, parents + children, 181)
    for name in FEATURES:
        assert len(set(found[name][1:91].round(12))) == 1, name
        assert len(set(found[name][91:].round(12))) == 1, name


@pytest.mark.parametrize("n_nodes", [1, 2, 3, 70, 200])
def test_loops_of_all_lengths(n_nodes: int) -> None:
    nodes = list(range(n_nodes))
    found = features(nodes, nodes[1:] + nodes[:1], n_nodes)
    for name, values in found.items():
        assert np.isfinite(values).all()
        assert len(set(values.round(12))) == 1, f"{name}: in a ring all nodes are alike"


def test_graphs_without_edges_have_no_structure() -> None:
    nothing = node_features([], [], 0)
    assert nothing.values.shape == (0, 9)
    assert (nothing.n_sampled, nothing.unconverged) == (None, ())
    alone = features([], [], 3)
    assert alone.pop("pagerank").tolist() == pytest.approx([1 / 3] * 3)
    assert {name: set(values) for name, values in alone.items()} == {name: {0.0} for name in alone}
    assert features([0, 0], [0, 0], 1)["in_degree"].tolist() == [0], "a loop is no edge"


def test_repeated_edges_count_once() -> None:
    once, thrice = node_features(*KITE, 5), node_features(KITE[0] * 3, KITE[1] * 3, 5)
    assert once.values.tobytes() == thrice.values.tobytes()


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ([0], [0, 1], "two equal rows"),
        ([0], [2], "an edge ends at no node of 0 to 1"),
        ([-1], [0], "an edge ends at no node of 0 to 1"),
    ],
)
def test_what_is_no_graph_is_told(source: list[int], target: list[int], message: str) -> None:
    with pytest.raises(GraphError, match=message):
        node_features(source, target, 2)


def test_simple_edges_of_no_nodes() -> None:
    source, target = simple_edges([], [], 0)
    assert (len(source), len(target)) == (0, 0)


def test_equals_networkx_on_a_cascade_with_back_edges() -> None:
    random = np.random.default_rng(3)
    parents = [0 if random.random() < 0.7 else int(random.integers(0, i)) for i in range(1, 150)]
    back = random.integers(0, 150, (2, 12))
    source = [*parents, *back[0].tolist()]
    target = [*range(1, 150), *back[1].tolist()]
    found = node_features(source, target, 150)
    assert found.n_sampled is None
    assert found.unconverged == ()
    assert_allclose(found.values, reference_features(source, target, 150), atol=1e-9)


def test_hits_equals_networkx_where_networkx_has_an_answer() -> None:
    import networkx as nx

    source, target = random_network(80, 400, seed=5)
    begins, ends = simple_edges(source, target, 80)
    graph = nx.DiGraph(list(zip(begins.tolist(), ends.tolist(), strict=True)))
    graph.add_nodes_from(range(80))
    hubs, authorities = nx.hits(graph, tol=1e-14)
    found = node_features(source, target, 80).values
    for name, theirs in (("hub", hubs), ("authority", authorities)):
        assert_allclose(found[:, FEATURES.index(name)], [theirs[i] for i in range(80)], atol=1e-9)


def test_estimates_are_right_on_average_and_depend_on_the_seed_alone() -> None:
    source, target = random_network(60, 150, seed=7)
    exact = node_features(source, target, 60)
    estimates = [
        node_features(source, target, 60, seed=seed, exact_visits=0, n_sampled=12)
        for seed in range(300)
    ]
    assert exact.n_sampled is None
    assert {estimate.n_sampled for estimate in estimates} == {12}
    again = node_features(source, target, 60, seed=299, exact_visits=0, n_sampled=12)
    assert again.values.tobytes() == estimates[299].values.tobytes()
    mean = np.mean([estimate.values for estimate in estimates], axis=0)
    for name, tolerance in (("betweenness", 0.01), ("closeness", 0.04)):
        column = FEATURES.index(name)
        assert np.abs(mean[:, column] - exact.values[:, column]).max() < tolerance
        assert any((e.values[:, column] != exact.values[:, column]).any() for e in estimates)
    others = [i for i, name in enumerate(FEATURES) if name not in ("betweenness", "closeness")]
    assert all((e.values[:, others] == exact.values[:, others]).all() for e in estimates)


def test_a_hundred_thousand_posts_are_exact_where_searches_are_short() -> None:
    n_nodes = 100_000
    random = np.random.default_rng(11)
    parents = np.floor(random.random(n_nodes - 1) ** 3 * np.arange(1, n_nodes)).astype(np.int64)
    found = node_features(parents, np.arange(1, n_nodes), n_nodes)
    assert found.n_sampled is None
    assert np.isfinite(found.values).all()
    assert found.values[:, FEATURES.index("in_degree")].sum() == n_nodes - 1
    # in a tree what leads through a node leads from its ancestors to its descendants
    depth, size = np.zeros(n_nodes), np.ones(n_nodes)
    for i in range(1, n_nodes):
        depth[i] = depth[parents[i - 1]] + 1
    for i in range(n_nodes - 1, 0, -1):
        size[parents[i - 1]] += size[i]
    expected = depth * (size - 1) / ((n_nodes - 1) * (n_nodes - 2))
    assert_allclose(found.values[:, FEATURES.index("betweenness")], expected, rtol=1e-9)


def test_leading_vector_tells_when_it_did_not_converge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graph.features._RESTARTS", 1)
    monkeypatch.setattr("graph.features._KRYLOV", 2)
    source, target = random_network(50, 120, seed=1)
    assert node_features(source, target, 50).unconverged == ("hub", "authority", "eigenvector")
    matrix = np.diag(np.arange(1.0, 30.0))
    vector, reached = leading_vector(matrix)
    assert not reached
    assert np.isfinite(vector).all()
