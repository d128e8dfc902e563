"""Node features: igraph, scipy and our Lanczos loop against networkx, and at 100,000 nodes alone.

    python -m tests.bench.bench_features [N_SMALL] [N_LARGE] [REPEATS]

At N_SMALL nodes both compute the same graphs and are compared; at N_LARGE networkx would take
hours, so there only what it costs us is measured, and which way was taken (all distances, or a
sample).
Bar: at N_SMALL at least 20 times as fast, and equal to 1e-7.
"""

from __future__ import annotations

import resource
import sys
from functools import partial

import numpy as np

from graph.features import Ints, node_features, reference_features
from tests.bench.measure import print_result, seconds_of, spread

Edges = tuple[Ints, Ints]


def cascade(n_nodes: int, n_back: int, seed: int = 1) -> Edges:
    """A tree in which early posts are shared most, and a few edges against its direction."""
    random = np.random.default_rng(seed)
    later = np.arange(1, n_nodes)
    parents = np.floor(random.random(n_nodes - 1) ** 3 * later).astype(np.int64)
    back = random.integers(0, n_nodes, (2, n_back))
    return np.concatenate([parents, back[0]]), np.concatenate([later, back[1]])


def followers(n_nodes: int, seed: int = 1) -> Edges:
    """Three edges a node, most of them from the famous."""
    random = np.random.default_rng(seed)
    fame = random.pareto(1.2, n_nodes) + 1
    source = random.choice(n_nodes, 3 * n_nodes, p=fame / fame.sum())
    return source, random.integers(0, n_nodes, 3 * n_nodes)


def main(n_small: int, n_large: int, repeats: int) -> None:
    """Measures each kind of graph at both sizes."""
    found: dict[str, object] = {}
    for name, make in (("cascade", partial(cascade, n_back=5)), ("followers", followers)):
        source, target = make(n_small)
        ours = [seconds_of(partial(node_features, source, target, n_small)) for _ in range(repeats)]
        theirs = [seconds_of(partial(reference_features, source, target, n_small))]
        difference = np.abs(
            node_features(source, target, n_small).values
            - reference_features(source, target, n_small)
        ).max()
        found[f"{name}_{n_small}"] = {
            "ours": spread(ours),
            "networkx": spread(theirs),
            "ratio": round(theirs[0] / sorted(ours)[len(ours) // 2], 1),
            "greatest_difference": float(difference),
        }
        source, target = make(n_large)
        ours = [seconds_of(partial(node_features, source, target, n_large)) for _ in range(repeats)]
        found[f"{name}_{n_large}"] = {
            "ours": spread(ours),
            "n_sampled": node_features(source, target, n_large).n_sampled,
        }
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print_result("features", {"repeats": repeats, "peak_mib": peak, "bar": "ratio >= 20", **found})


if __name__ == "__main__":
    main(*[int(word) for word in (sys.argv[1:] + ["1000", "100000", "3"][len(sys.argv) - 1 :])])
