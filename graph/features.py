"""What a node is to its graph, as nine numbers: the node features of a structure-based detector.

Tuan and Minh, MediaEval 2020, section 3.2, take them from networkx, whose definitions are these.
n nodes; a simple directed graph (loops and repeated edges do not count), an edge from the one who
is shared to the one who shares; the undirected graph is the same without directions.

    pagerank     P = 0.15 / n + 0.85 * sum over parents p of P_p / out_degree_p, a node without
                 out-edges giving to all alike; sums to 1
    in_degree    edges that end here
    out_degree   edges that begin here
    hub          sum over targets of their authority; sums to 1
    authority    leading eigenvector of A^T A, the limit of Kleinberg's iteration from equal
                 authorities; sums to 1
    betweenness  share of the (n - 1) (n - 2) pairs of others whose shortest path leads through
                 here, split among equally short paths
    closeness    (r / (n - 1)) * (r / sum of the distances of the r nodes from which a path leads
                 here), networkx's `wf_improved`
    triangles    of the undirected graph, that this node is a corner of
    eigenvector  leading eigenvector of the undirected graph; its squares sum to 1

Where networkx has no answer, or no single one, ours is:

- No edges, or n too small for the denominator: 0. Not NaN: nothing is between two nodes.
- A leading eigenvalue that occurs several times (two parents with equally many children, two parts
  of equal shape): the limit of the power iteration from equal values. It does not depend on how the
  nodes are numbered; a solver that starts at random gives another vector each time.
- `eigenvector` without directions. In a graph without cycles, as nearly every cascade is, the
  directed measure is 0 everywhere, and networkx's iteration fails on it.

`node_features` computes them with igraph and scipy; `reference_features` asks networkx.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Any

import igraph
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import eigh_tridiagonal
from scipy.sparse import csr_array

from graph.keys import distinct

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

#: The columns of `NodeFeatures.values`.
FEATURES = (
    "pagerank",
    "in_degree",
    "out_degree",
    "hub",
    "authority",
    "betweenness",
    "closeness",
    "triangles",
    "eigenvector",
)

#: Nodes whose distances to all others are counted, when not those of all nodes are.
N_SAMPLED = 256
#: Up to that many visited nodes all distances are counted; about 5 s. In a tree a search visits
#: descendants only, so cascades of 100,000 posts stay below; networks of followers soon do not.
EXACT_VISITS = 20_000_000

#: Lanczos' method: vectors held at once, how often it begins again from its best vector, the
#: residual at which it has converged and that at which the space is exhausted, both relative.
_KRYLOV = 20
_RESTARTS = 150
_TOLERANCE = 1e-12
_EXHAUSTED = 1e-10
#: So many of the sample tell how far a search gets.
_PILOT = 32
#: Distances of that many sampled nodes are held at once.
_CHUNK = 16


class GraphError(ValueError):
    """Edges that are no graph: of different lengths, or with an end that is no node."""


@dataclass(frozen=True, eq=False, kw_only=True)
class NodeFeatures:
    """The nine features of each node, and how far they are estimates."""

    #: float64 (n, 9), finite; columns as in FEATURES.
    values: Floats
    #: How many nodes betweenness and closeness are estimated from; None: all, so they are exact.
    n_sampled: int | None
    #: Measures whose iteration did not reach its tolerance; they hold its last step.
    unconverged: tuple[str, ...]


def simple_edges(source: ArrayLike, target: ArrayLike, n_nodes: int) -> tuple[Ints, Ints]:
    """The edges without loops, each once, sorted by (source, target).

    Raises: GraphError.   Cost: O(m log m).

    >>> source, target = simple_edges([1, 0, 1, 2], [0, 1, 0, 2], 3)
    >>> source.tolist(), target.tolist()
    ([0, 1], [1, 0])
    """
    begins, ends = np.asarray(source, dtype=np.int64), np.asarray(target, dtype=np.int64)
    if begins.ndim != 1 or begins.shape != ends.shape:
        raise GraphError(f"sources {begins.shape} and targets {ends.shape} must be two equal rows")
    for nodes in (begins, ends):
        if len(nodes) and not (nodes.min() >= 0 and nodes.max() < n_nodes):
            raise GraphError(f"an edge ends at no node of 0 to {n_nodes - 1}")
    keys = distinct((begins * n_nodes + ends)[begins != ends])
    return keys // max(n_nodes, 1), keys % max(n_nodes, 1)


def node_features(
    source: ArrayLike,
    target: ArrayLike,
    n_nodes: int,
    *,
    seed: int = 1,
    exact_visits: int = EXACT_VISITS,
    n_sampled: int = N_SAMPLED,
) -> NodeFeatures:
    """The nine features of each node; see the module.

    Betweenness and closeness need the distances from every node. Where that would visit more than
    `exact_visits` nodes (estimated from a sample), they are estimated from `n_sampled` nodes drawn
    without replacement from those with an out-edge (the others are the beginning of no path), each
    standing for as many as there are to one drawn: unbiased for betweenness, and for both sums in
    closeness (Brandes and Pich, Int. J. Bifurcation and Chaos 17, 2007). `seed` draws them and
    has no part in anything else.

    source, target: int (m,), nodes 0 to n_nodes - 1.
    Cost: 2 ms at 300 nodes; at 100,000 nodes 0.3 s for a cascade and 5 s for a network of followers
    (README, "Why").   Raises: GraphError.

    >>> found = node_features([0, 0, 1], [1, 2, 2], 3)
    >>> dict(zip(FEATURES, found.values[2].round(3).tolist()))["in_degree"]
    2.0
    >>> found.values[:, FEATURES.index("closeness")].tolist()
    [0.0, 0.5, 1.0]
    """
    begins, ends = simple_edges(source, target, n_nodes)
    values = np.zeros((n_nodes, len(FEATURES)))
    if n_nodes == 0:
        return NodeFeatures(values=values, n_sampled=None, unconverged=())
    graph = igraph.Graph(n=n_nodes, edges=np.column_stack([begins, ends]), directed=True)
    undirected = graph.as_undirected()
    adjacency = csr_array((np.ones(len(begins)), (begins, ends)), shape=(n_nodes, n_nodes))

    sampled = _sampled_nodes(graph, begins, seed, exact_visits, n_sampled)
    authority, authorities_converged = leading_vector(_NormalMatrix(adjacency))
    hub = adjacency @ authority
    both_ways = (adjacency + adjacency.T).sign()
    eigenvector, eigenvector_converged = leading_vector(both_ways)

    columns = {
        "pagerank": np.asarray(graph.pagerank(damping=0.85)),
        "in_degree": np.bincount(ends, minlength=n_nodes),
        "out_degree": np.bincount(begins, minlength=n_nodes),
        "hub": _summing_to_one(hub),
        "authority": _summing_to_one(authority),
        "betweenness": _betweenness(graph, sampled),
        "closeness": _closeness(graph, sampled),
        "triangles": _triangles(undirected),
        "eigenvector": eigenvector,
    }
    for i, name in enumerate(FEATURES):
        values[:, i] = columns[name]
    converged = {"hub": authorities_converged, "authority": authorities_converged}
    converged["eigenvector"] = eigenvector_converged
    return NodeFeatures(
        values=values,
        n_sampled=None if sampled is None else len(sampled.nodes),
        unconverged=tuple(name for name in FEATURES if not converged.get(name, True)),
    )


def reference_features(source: ArrayLike, target: ArrayLike, n_nodes: int) -> Floats:
    """The same by networkx: the definition that `node_features` is tested against.

    hub and authority come from a dense decomposition of A^T A, since `networkx.hits` is right only
    where its greatest eigenvalue occurs once; there a test compares the two.

    float64 (n, 9).   Cost: O(n m) in Python and O(n^3).   Raises: GraphError.

    >>> reference_features([0, 0], [1, 2], 3)[:, FEATURES.index("authority")].round(6).tolist()
    [0.0, 0.5, 0.5]
    """
    import networkx as nx  # the fast path does without

    begins, ends = simple_edges(source, target, n_nodes)
    graph: Any = nx.DiGraph()
    graph.add_nodes_from(range(n_nodes))
    graph.add_edges_from(zip(begins.tolist(), ends.tolist(), strict=True))
    undirected = graph.to_undirected()
    authority, eigenvector = np.zeros(n_nodes), dict.fromkeys(range(n_nodes), 0.0)
    adjacency = np.zeros((n_nodes, n_nodes))
    if len(begins):
        adjacency[begins, ends] = 1.0
        eigenvalues, vectors = np.linalg.eigh(adjacency.T @ adjacency)
        leading = vectors[:, eigenvalues >= eigenvalues[-1] * (1 - 1e-9)]
        authority = leading @ leading.sum(axis=0)
        equal = dict.fromkeys(range(n_nodes), 1.0)
        eigenvector = nx.eigenvector_centrality(undirected, 100_000, 1e-14, nstart=equal)
    columns: dict[str, Any] = {
        "pagerank": nx.pagerank(graph, alpha=0.85, max_iter=100_000, tol=1e-14),
        "in_degree": dict(graph.in_degree()),
        "out_degree": dict(graph.out_degree()),
        "hub": _summing_to_one(adjacency @ authority),
        "authority": _summing_to_one(authority),
        "betweenness": nx.betweenness_centrality(graph),
        "closeness": nx.closeness_centrality(graph),
        "triangles": nx.triangles(undirected),
        "eigenvector": eigenvector,
    }
    return np.array(
        [[columns[name][i] for name in FEATURES] for i in range(n_nodes)], np.float64
    ).reshape(n_nodes, len(FEATURES))


def leading_vector(matrix: Any) -> tuple[Floats, bool]:
    """The limit of the power iteration of a symmetric, non-negative matrix from equal values, with
    length 1, and whether it was reached. Zeros for a matrix of zeros.

    It is the part of the vector of ones that lies in the space of the greatest eigenvalue, found by
    Lanczos' method from that vector, which never leaves the space that vector and matrix span and
    so meets one vector only of each eigenvalue's space. That is why the loop is ours: when this
    space is exhausted, as it soon is in a star-like graph, ARPACK goes on with a random vector, and
    networkx's `hits`, which asks it, can return anything. Greatest is meant with its sign, so a
    bipartite graph has a limit as well.
    Source: Golub and Van Loan, "Matrix computations", 4th edition, 2013, section 10.1.

    matrix: (n, n), what can be multiplied by a vector.
    Cost: about 20 products, more where the two greatest eigenvalues are close.

    >>> vector, reached = leading_vector(np.diag([2.0, 2.0, 1.0]))
    >>> vector.round(4).tolist(), reached
    ([0.7071, 0.7071, 0.0], True)
    """
    n = int(matrix.shape[0])
    basis = np.empty((min(n, _KRYLOV), n))
    vector = np.full(n, 1 / sqrt(n))
    for _ in range(_RESTARTS):
        diagonal: list[float] = []
        beside: list[float] = []
        following = vector
        for step in range(len(basis)):
            basis[step] = following
            known = basis[: step + 1]
            following = matrix @ following
            diagonal.append(float(following @ basis[step]))
            for _ in range(2):  # once leaves rounding errors that grow
                following = following - known.T @ (known @ following)
            norm = float(np.linalg.norm(following))
            eigenvalues, weights = eigh_tridiagonal(diagonal, beside)
            greatest, last_weight = float(eigenvalues[-1]), abs(float(weights[-1, -1]))
            is_exhausted = norm <= _EXHAUSTED * max(map(abs, diagonal))
            reached = is_exhausted or norm * last_weight <= _TOLERANCE * greatest
            if reached:
                break
            beside.append(norm)
            following = following / norm
        if greatest <= 0:
            return np.zeros(n), True
        vector = np.abs(weights[:, -1] @ known)
        vector = vector / np.linalg.norm(vector)
        if reached:
            return vector, True
    return vector, False


class _NormalMatrix:
    """A^T A, applied and never formed: a star's would be a full block of its leaves."""

    def __init__(self, adjacency: Any) -> None:
        self.shape = adjacency.shape
        self._adjacency = adjacency
        self._transposed = adjacency.T.tocsr()

    def __matmul__(self, x: Floats) -> Floats:
        product: Floats = self._transposed @ (self._adjacency @ x)
        return product


def _summing_to_one(values: Floats) -> Floats:
    total = float(values.sum())
    return values / total if total > 0 else np.zeros(len(values))


@dataclass(frozen=True, eq=False)
class _Sample:
    """Nodes that distances are counted from; each stands for `weight` nodes."""

    nodes: list[int]
    weight: float


def _sampled_nodes(
    graph: Any, begins: Ints, seed: int, exact_visits: int, n_sampled: int
) -> _Sample | None:
    """None where all distances can be counted."""
    nodes = distinct(begins)
    if len(nodes) <= n_sampled or len(nodes) * graph.vcount() <= exact_visits:
        return None
    drawn = np.random.default_rng(seed).choice(nodes, n_sampled, replace=False).tolist()
    some = drawn[:_PILOT]
    visited = graph.neighborhood_size(some, order=graph.vcount(), mode="out")
    if sum(visited) / len(some) * len(nodes) <= exact_visits:
        return None
    return _Sample(sorted(drawn), len(nodes) / n_sampled)


def _betweenness(graph: Any, sampled: _Sample | None) -> Floats:
    n = graph.vcount()
    if n < 3:
        return np.zeros(n)
    if sampled is None:
        paths = np.asarray(graph.betweenness(directed=True), dtype=np.float64)
    else:
        paths = np.asarray(graph.betweenness(directed=True, sources=sampled.nodes))
        paths = paths * sampled.weight
    found: Floats = paths / ((n - 1) * (n - 2))
    return found


def _closeness(graph: Any, sampled: _Sample | None) -> Floats:
    """(reached / (n - 1)) * (reached / distances), 0 where nothing leads here."""
    n = graph.vcount()
    if n < 2:
        return np.zeros(n)
    if sampled is None:
        mean_inverse = np.asarray(graph.closeness(mode="in", normalized=True))  # reached / sum
        sum_inverse = np.asarray(graph.closeness(mode="in", normalized=False))  # 1 / sum
        with np.errstate(invalid="ignore"):
            found = mean_inverse * mean_inverse / sum_inverse / (n - 1)
        known: Floats = np.nan_to_num(found, nan=0.0)
        return known
    reached, distances = np.zeros(n), np.zeros(n)
    for first in range(0, len(sampled.nodes), _CHUNK):
        nodes = sampled.nodes[first : first + _CHUNK]
        found = np.asarray(graph.distances(source=nodes, mode="out"), dtype=np.float64)
        there = np.isfinite(found) & (found > 0)
        reached += there.sum(axis=0)
        distances += np.where(there, found, 0.0).sum(axis=0)
    estimate: Floats = np.zeros(n)
    squares = reached * reached * sampled.weight
    np.divide(squares, distances * (n - 1), where=distances > 0, out=estimate)
    return estimate


def _triangles(undirected: Any) -> Floats:
    """Clustering coefficient times pairs of neighbours: exact, since counts are small."""
    degree = np.asarray(undirected.degree(), dtype=np.float64)
    clustering = np.asarray(undirected.transitivity_local_undirected(mode="zero"))
    corners: Floats = np.rint(clustering * degree * (degree - 1) / 2)
    return corners
