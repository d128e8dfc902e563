"""From account numbers to Louvain communities: ours against networkx and igraph from tuples.

    python -m tests.bench.bench_communities [N_SHARES] [REPEATS]

Every side gets the same two int64 arrays, as a database hands them out, and runs in a process of
its own, so that its peak memory is its own. `load_seconds` is the import of its packages, once per
process; `seconds` is the median of the calls after that, and `peak_megabytes` what they add.
Bars: at least 30 times as fast as networkx at 10^6 shares (20 at 10^5), 2 times igraph from
tuples, modularity at most 0.001 below the better of them, a quarter of networkx' memory.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.bench.measure import print_result, spread
from tests.bench.planted import planted_shares

Ids = NDArray[np.int64]
SIDES = ("ours", "igraph_tuples", "networkx")
#: What each side imports.
LOADS = {
    "ours": ["graph.communities", "graph.users", "sknetwork.clustering"],
    "igraph_tuples": ["igraph"],
    "networkx": ["networkx"],
}
MEDIAN = "median_seconds"


def ours(shared: Ids, sharers: Ids) -> dict[int, int]:
    """What hoaxwatch does."""
    from graph.communities import louvain
    from graph.users import build_user_network_of_ids

    network = build_user_network_of_ids(shared, sharers)
    found = louvain(network, seed=1)
    return dict(zip(map(int, network.users), found.membership.tolist(), strict=True))


def igraph_tuples(shared: Ids, sharers: Ids) -> dict[int, int]:
    """What a plain program on igraph does."""
    import igraph

    pairs = zip(shared.tolist(), sharers.tolist(), strict=True)
    weights = Counter((a, b) if a < b else (b, a) for a, b in pairs if a != b)
    graph = igraph.Graph.TupleList(((a, b, w) for (a, b), w in weights.items()), weights=True)
    found = graph.community_multilevel(weights="weight")
    return dict(zip(graph.vs["name"], found.membership, strict=True))


def networkx(shared: Ids, sharers: Ids) -> dict[int, int]:
    """What a plain program on networkx does."""
    import networkx as package

    graph = package.Graph()
    for a, b in zip(shared.tolist(), sharers.tolist(), strict=True):
        if a != b:
            if graph.has_edge(a, b):
                graph[a][b]["weight"] += 1
            else:
                graph.add_edge(a, b, weight=1)
    found = package.community.louvain_communities(graph, seed=1)
    return {account: number for number, members in enumerate(found) for account in members}


def modularity_of(shared: Ids, sharers: Ids, community: dict[int, int]) -> float:
    """By the definition, from the shares themselves."""
    keys, ends = np.unique(np.concatenate([shared, sharers]), return_inverse=True)
    a, b = np.split(ends, 2)
    label = np.array([community.get(key, -1) for key in keys.tolist()])
    label = np.unique(label, return_inverse=True)[1]
    a, b = a[a != b], b[a != b]
    strength = np.bincount(np.concatenate([label[a], label[b]]))
    return float((label[a] == label[b]).mean() - np.square(strength / (2 * len(a))).sum())


def megabytes(field: str) -> float:
    """VmRSS (now) or VmHWM (peak) of this process."""
    status = Path("/proc/self/status").read_text()
    return int(status.split(f"{field}:")[1].split()[0]) / 1024


def measure_side(side: str, n_shares: int, repeats: int) -> None:
    """Runs one side in this process and prints what it took."""
    find: Callable[[Ids, Ids], dict[int, int]] = {
        "ours": ours,
        "igraph_tuples": igraph_tuples,
        "networkx": networkx,
    }[side]
    began = time.perf_counter()
    for package in LOADS[side]:
        import_module(package)
    loading = time.perf_counter() - began
    shared, sharers, _, _ = planted_shares(n_shares)
    before = megabytes("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here
    seconds: list[float] = []
    for _ in range(repeats):
        began = time.perf_counter()
        found = find(shared, sharers)
        seconds.append(time.perf_counter() - began)
    peak = megabytes("VmHWM") - before
    result = {
        **spread(seconds),
        "load_seconds": round(loading, 4),
        "peak_megabytes": round(peak, 1),
        "modularity": round(modularity_of(shared, sharers, found), 5),
        "n_communities": len(set(found.values())),
    }
    json.dump(result, sys.stdout)


def main(n_shares: int, repeats: int) -> None:
    """Measures every side and compares."""
    sides: dict[str, Any] = {}
    for side in SIDES:
        times = repeats if side != "networkx" or n_shares < 500_000 else 1
        words = [sys.executable, "-m", "tests.bench.bench_communities", "--side", side]
        done = subprocess.run(
            [*words, str(n_shares), str(times)], capture_output=True, text=True, check=True
        )
        sides[side] = json.loads(done.stdout)
    mine, tuples, peer = (sides[side] for side in SIDES)
    print_result(
        "communities",
        {
            "n_shares": n_shares,
            "repeats": repeats,
            **sides,
            "ratio_networkx": round(peer[MEDIAN] / mine[MEDIAN], 1),
            "ratio_igraph_tuples": round(tuples[MEDIAN] / mine[MEDIAN], 1),
            "ratio_networkx_with_loading": round(
                (peer[MEDIAN] + peer["load_seconds"]) / (mine[MEDIAN] + mine["load_seconds"]), 1
            ),
            "memory_share_of_networkx": round(mine["peak_megabytes"] / peer["peak_megabytes"], 3),
            "modularity_lost": round(
                max(tuples["modularity"], peer["modularity"]) - mine["modularity"], 5
            ),
            "bar": f"networkx >= {30 if n_shares >= 10**6 else 20}, igraph_tuples >= 2, "
            "memory <= 0.25, modularity lost <= 0.001",
        },
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--side"]:
        measure_side(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    else:
        main(*[int(word) for word in (sys.argv[1:] + ["100000", "5"][len(sys.argv) - 1 :])])
