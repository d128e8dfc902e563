"""Infomap beside the package's best of ten trials, and layouts of large networks.

    python -m tests.bench.bench_graph [N_SHARES] [N_NODES ...]

`infomap`: codelength (bits per step) of what hoaxwatch stores against the best of ten trials of the
package itself on the same links: median of ten seeds, since one decides little. Bar: at most 0.1 %
longer. `layouts`: seconds to lay out planted networks of so many accounts, beside igraph's
Fruchterman-Reingold on a grid; the share of near neighbours in the picture that are of the same
planted community says what it shows. Louvain is in `bench_communities`.
"""

from __future__ import annotations

import statistics
import sys
from typing import Any

import igraph
import infomap as package
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from graph.communities import infomap
from graph.layout import layout_network
from graph.randomness import seeded_igraph
from graph.users import UserNetwork, build_user_network_of_ids
from tests.bench.measure import print_result, seconds_of
from tests.bench.planted import planted_shares

#: Neighbours in the picture that are looked at.
N_NEAR = 10

SEEDS = range(1, 11)


def planted(n_shares: int) -> tuple[UserNetwork, NDArray[np.int64]]:
    """A planted network and the community of each of its users."""
    shared, sharers, accounts, truth = planted_shares(n_shares, seed=1)
    network = build_user_network_of_ids(shared, sharers)
    return network, truth[np.searchsorted(accounts, np.array(network.users, dtype=np.int64))]


def measure_infomap(n_shares: int) -> dict[str, Any]:
    """Our codelength and the package's best of ten trials, undirected as stored."""
    network, _ = planted(n_shares)
    ours: list[float] = []
    seconds = seconds_of(
        lambda: ours.extend(
            infomap(network, seed=seed, directed=False).quality or 0.0 for seed in SEEDS
        )
    )
    low, high, weight = network.undirected
    peer = package.Infomap(silent=True, two_level=True, num_trials=10, seed=1)
    for a, b, w in zip(low.tolist(), high.tolist(), weight.tolist(), strict=True):
        peer.add_link(a, b, float(w))
    best: list[float] = []
    peer_seconds = seconds_of(lambda: best.append(peer.run().codelength))
    return {
        "n_shares": n_shares,
        "codelength": round(statistics.median(ours), 9),
        "best_of_ten": round(best[0], 9),
        "longer": round(statistics.median(ours) / best[0] - 1, 6),
        "longer_each": [round(one / best[0] - 1, 6) for one in ours],
        "seconds": round(seconds / len(SEEDS), 3),
        "best_of_ten_seconds": round(peer_seconds, 3),
        "bar": "longer <= 0.001",
    }


def purity(positions: NDArray[np.float32], label: NDArray[np.int64]) -> float:
    """Of the nearest neighbours in a picture, the share that are of the same community."""
    _, near = cKDTree(positions).query(positions, k=N_NEAR + 1)
    return round(float((label[near[:, 1:]] == label[:, None]).mean()), 3)


def measure_layout(n_nodes: int) -> dict[str, Any]:
    """Ours beside Fruchterman-Reingold on a grid."""
    network, label = planted(4 * n_nodes)
    places: list[NDArray[np.float32]] = []
    seconds = seconds_of(
        lambda: places.append(
            layout_network(network.source, network.target, network.weight, network.n_users, seed=1)
        )
    )
    low, high, _ = network.undirected
    graph = igraph.Graph(n=network.n_users, edges=np.column_stack([low, high]))
    peer: list[Any] = []

    def spring() -> None:
        with seeded_igraph(1):
            peer.append(graph.layout_fruchterman_reingold(grid=True, niter=500))

    peer_seconds = seconds_of(spring)
    return {
        "n_nodes": network.n_users,
        "n_links": len(network.weight),
        "seconds": round(seconds, 2),
        "same_community_nearby": purity(places[0], label),
        "fruchterman_reingold_seconds": round(peer_seconds, 2),
        "fruchterman_reingold_nearby": purity(np.asarray(peer[0].coords, np.float32), label),
        "by_chance_nearby": round(float(np.square(np.bincount(label) / len(label)).sum()), 3),
    }


def main(n_shares: int, n_nodes: list[int]) -> None:
    """Measures and prints."""
    print_result(
        "graph",
        {"infomap": measure_infomap(n_shares), "layouts": [measure_layout(n) for n in n_nodes]},
    )


if __name__ == "__main__":
    words = [int(word) for word in sys.argv[1:]]
    main(words[0] if words else 20_000, words[1:] or [20_000])
