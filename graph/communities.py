"""Groups of users who share each other more than chance would have it.

Two views of the same network. Louvain asks where more is shared than the activity of the users
explains (undirected), and Leiden asks the same but never leaves a community in pieces. Infomap asks
where information that flows along the shares stays (directed unless told otherwise). All are
seeded: the same network and seed give the same numbers, whatever was computed before. How far a
partition can be trusted is in `graph.stability`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from importlib.metadata import version as version_of
from threading import local
from typing import Any, Literal

import igraph
import infomap as infomap_package
import numpy as np
from infomap import _infomap  # type: ignore[attr-defined]
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from graph.leaves import Core
from graph.randomness import seeded_igraph
from graph.users import UserNetwork

Algorithm = Literal["louvain", "leiden", "infomap"]
QualityName = Literal["modularity", "codelength"]

#: Qualities are rounded so that a sum taken in another order gives the same number.
QUALITY_DECIMALS = 9

#: Networks of at least so many directed links are given to scikit-network's Louvain, which is 3 to
#: 8 times as fast there as igraph's; below, its 5 ms per call would be most of the time.
LARGE_LINKS = 20_000

#: Scikit-network's Louvain stops when a round gains less modularity than this. Its default (0.001)
#: loses up to 0.006 on networks without structure; a smaller one gains nothing and takes longer.
LARGE_TOLERANCE = 1e-4

#: What Infomap is told besides direction, seed and number of trials. Teleportation goes to links
#: and is not recorded (the package's defaults, pinned here): steps that nobody took cost nothing.
#: With recorded teleportation 70 % of the users of the real #egu23 network are one community.
INFOMAP_FLAGS: Mapping[str, Any] = {
    "two_level": True,
    "recorded_teleportation": False,
    "to_nodes": False,
    "teleportation_probability": 0.15,
    "markov_time": 1.0,
    "num_threads": 1,
}


#: One trial of undirected Infomap ends 0.11 % above the package's best of ten on 20,000 planted
#: shares (median of ten seeds, `bench_graph`), two 0.098 %; the second costs a run less than one
#: percent of its time.
TRIALS = 2

#: A core of fewer links is small: there undirected Infomap makes at least so many trials, which
#: cost 0.1 ms each. One alone, without leaves, ends more often in a bad partition than with them;
#: five end in a better one.
SMALL_LINKS = 100
SMALL_TRIALS = 5


@dataclass(frozen=True, eq=False, kw_only=True)
class Communities:
    """A partition of the users of a network, and how it was found.

    Communities are numbered by size, greatest first, ties by their smallest user key: equal
    partitions have equal numbers. The numbers mean nothing from one window to the next.
    """

    #: (n,) the community of each user.
    membership: NDArray[np.int64]
    n_communities: int
    algorithm: Algorithm
    seed: int
    #: Of the package that computed it.
    version: str
    parameters: Mapping[str, Any]
    #: Modularity (without unit, at most 1) or codelength (bits per step); None without edges.
    quality: float | None
    quality_name: QualityName

    @property
    def params_hash(self) -> str:
        """See `params_hash`."""
        return self._told[1]

    @property
    def parameters_text(self) -> str:
        """The parameters as JSON, sorted by name."""
        return self._told[0]

    @property
    def _told(self) -> tuple[str, str]:
        told = tuple(self.parameters.items())
        return _parameters_told(self.algorithm, told, self.seed, self.version)


def louvain(network: UserNetwork, *, seed: int, resolution: float = 1.0) -> Communities:
    """Communities by Louvain's method on the undirected network (weights of both ways summed).

    Maximises `modularity`. Groups smaller than about sqrt(2 * total weight) can be hidden in
    greater ones (the resolution limit, Fortunato & Barthelemy, PNAS 104, 2007). Networks of at
    least LARGE_LINKS directed links are computed by scikit-network and the others by igraph, to the
    same modularity; `version` says by which.
    Source: Blondel, Guillaume, Lambiotte, Lefebvre, J. Stat. Mech. P10008, 2008.

    Cost: about linear in edges; 0.4 ms at 100 edges, 0.06 s at 10^5, 1 s at 10^6.
    Raises: ValueError if seed < 1 or resolution is negative.
    """
    _check_resolution(resolution)
    parameters = {"resolution": float(resolution)}
    if _is_large(network):
        version = f"scikit-network {version_of('scikit-network')}"
        parameters["tolerance"] = LARGE_TOLERANCE
    else:
        version = igraph.__version__
    (labels,) = louvain_runs(network, [seed], resolution)
    return _by_modularity("louvain", network, labels, seed, version, parameters)


def louvain_runs(
    network: UserNetwork, seeds: Sequence[int], resolution: float = 1.0
) -> list[NDArray[np.int64]]:
    """The partitions that `louvain` finds with these seeds, each (n,), numbered from 0 in no order.

    For whoever asks only how runs agree: nothing else is computed.
    Raises: ValueError if a seed is below 1.
    """
    for seed in seeds:
        _check_seed(seed)
    if _is_large(network):
        return [_louvain_of_large(network, seed, resolution) for seed in seeds]
    if resolution <= 1 and len(network.core.weight) == 0:  # nothing but stars: see graph.leaves
        return [network.core.node] * len(seeds)
    weights = network.undirected[2].tolist()
    found = []
    for seed in seeds:
        with seeded_igraph(seed):
            # all levels, though the last is wanted: without them igraph 1.0 leaks 140 bytes a call
            levels, _ = igraph.GraphBase.community_multilevel(
                network.graph, weights, return_levels=True, resolution=resolution
            )
        found.append(np.asarray(levels[-1] if levels else range(network.n_users), dtype=np.int64))
    return found


def _is_large(network: UserNetwork) -> bool:
    return len(network.weight) >= LARGE_LINKS


def _louvain_of_large(network: UserNetwork, seed: int, resolution: float) -> NDArray[np.int64]:
    # here, since importing it takes half a second and few windows are large
    from sknetwork.clustering import Louvain

    # it visits the nodes in the order of their numbers: the seed decides that order
    place = np.random.default_rng(seed).permutation(network.n_users).astype(np.int32)
    directed = csr_matrix(
        (network.weight.astype(np.float32), (place[network.source], place[network.target])),
        shape=(network.n_users, network.n_users),
    )
    finder = Louvain(
        resolution=resolution,
        modularity="newman",
        tol_optimization=LARGE_TOLERANCE,
        tol_aggregation=LARGE_TOLERANCE,
        sort_clusters=False,
        return_probs=False,
        return_aggregate=False,
    )
    found: NDArray[np.int64] = finder.fit_predict(directed + directed.T)[place].astype(np.int64)
    return found


def leiden(
    network: UserNetwork, *, seed: int, resolution: float = 1.0, n_iterations: int = 2
) -> Communities:
    """Communities by the Leiden method: `louvain`'s question, and every community is connected.

    Louvain can leave a community whose parts were held together by a user who has since moved
    away; Leiden refines before it merges and cannot. More iterations can only raise modularity.
    Source: Traag, Waltman, van Eck, Scientific Reports 9, 5233, 2019.

    Cost: 0.5 ms at 100 edges, 0.1 s at 10^5.
    Raises: ValueError if seed < 1, resolution is negative or n_iterations < 1.
    """
    _check_seed(seed)
    _check_resolution(resolution)
    if n_iterations < 1:
        raise ValueError(f"n_iterations is {n_iterations}; it must be at least 1")
    with seeded_igraph(seed):
        found = network.graph.community_leiden(
            objective_function="modularity",
            weights=network.undirected[2].tolist(),
            resolution=resolution,
            n_iterations=n_iterations,
        )
    labels = np.asarray(found.membership, dtype=np.int64)
    parameters = {"resolution": float(resolution), "n_iterations": n_iterations}
    return _by_modularity("leiden", network, labels, seed, igraph.__version__, parameters)


def _by_modularity(
    algorithm: Algorithm,
    network: UserNetwork,
    labels: NDArray[np.int64],
    seed: int,
    version: str,
    parameters: Mapping[str, Any],
) -> Communities:
    membership = renumber(labels)
    return Communities(
        membership=membership,
        n_communities=_count(membership),
        algorithm=algorithm,
        seed=seed,
        version=version,
        parameters=parameters,
        quality=modularity(network, membership, parameters["resolution"]),
        quality_name="modularity",
    )


def infomap(
    network: UserNetwork, *, seed: int, n_trials: int = TRIALS, directed: bool = True
) -> Communities:
    """Communities by Infomap, two levels, on the weighted network.

    Minimises the codelength of a random walk that follows the shares, in bits per step (the map
    equation); the best of `n_trials` runs is kept. Flags: INFOMAP_FLAGS. Share networks are
    shallow, so a directed walk soon ends at users whom nobody shares, and communities come out
    small; `directed=False` walks both ways and finds greater ones (numbers in this folder's
    README); there leaves are merged first (`graph.leaves`), and small cores are tried
    SMALL_TRIALS times. In a small window of nothing but stars a directed leaf alone costs the same
    as with its hub, so a few leaves can end up alone.
    Source: Rosvall, Axelsson, Bergstrom, Eur. Phys. J. Special Topics 178, 2009; unrecorded link
    teleportation: Lambiotte & Rosvall, Phys. Rev. E 85, 056107, 2012.

    Cost, for one trial: 3 ms at 100 edges, 1.5 s at 10^5 (directed).
    Raises: ValueError if seed < 1 or n_trials < 1.
    """
    _check_seed(seed)
    if n_trials < 1:
        raise ValueError(f"n_trials is {n_trials}; it must be at least 1")
    parameters = {**INFOMAP_FLAGS, "flow_model": "directed" if directed else "undirected"}
    parameters["n_trials"] = n_trials
    quality: float | None
    if directed:
        links = np.column_stack([network.source, network.target, network.weight])
        labels, quality = _find_modules(links, network.n_users, seed, n_trials, directed=True)
        membership = renumber(labels)
    else:
        parameters.update(leaves="merged", small_links=SMALL_LINKS, small_trials=SMALL_TRIALS)
        core = network.core
        if len(core.weight) < SMALL_LINKS:
            n_trials = max(n_trials, SMALL_TRIALS)
        links = _links_with_loops(core)
        labels, _ = _find_modules(links, core.n_nodes, seed, n_trials, directed=False)
        membership = renumber(labels[core.node])
        quality = codelength(network, membership)
    return Communities(
        membership=membership,
        n_communities=_count(membership),
        algorithm="infomap",
        seed=seed,
        version=infomap_package.__version__,
        parameters=parameters,
        quality=quality,
        quality_name="codelength",
    )


def _links_with_loops(core: Core) -> NDArray[np.int64]:
    """Source, target and weight of what undirected Infomap searches; nodes without links, which
    stay alone, are left out. A walker is at a node as often as its links have ends there, and
    Infomap counts a loop as one end; that of a link to a leaf are two."""
    is_linked = np.zeros(core.n_nodes, dtype=bool)
    is_linked[core.low] = is_linked[core.high] = True
    looped = np.flatnonzero(is_linked & (core.loops > 0))
    return np.column_stack(
        [
            np.append(core.low, looped),
            np.append(core.high, looped),
            np.append(core.weight, 2 * core.loops[looped]),
        ]
    )


def _find_modules(
    links: NDArray[np.int64], n_nodes: int, seed: int, n_trials: int, *, directed: bool
) -> tuple[NDArray[np.int64], float | None]:
    """The module of each node, in no order, and the codelength; None without links.

    A node without links takes part in no flow and stays alone; Infomap never sees it.
    """
    labels = n_nodes + 1 + np.arange(n_nodes, dtype=np.int64)
    if len(links) == 0:
        return labels, None
    # Network.run(...) and Result say the same, after twice the time for a small network: they
    # render and check the options and copy the whole tree anew for each. A test compares.
    engine = _empty_engine()
    engine.add_links(links.astype(np.float64))
    core = engine._core
    core.run(_infomap_arguments(seed, n_trials, directed))
    # core.getModules(1, False) without its loop over nodes: a tenth of a small network's time
    modules = _infomap.InfomapWrapper_getModules(core, 1, False)  # node: module, 1 to n_nodes
    labels[modules.keys()] = modules.values()
    if len(links) >= LARGE_LINKS:
        del _engines.engine  # it holds what it found
    return labels, round(core.codelength(), QUALITY_DECIMALS)


_engines = local()


def _empty_engine() -> Any:
    """Infomap's engine of this thread, without links. Each run reads its options and its seed anew;
    to make another engine takes a quarter of the time of a small network."""
    if hasattr(_engines, "engine"):
        _engines.engine._core.network().clear()
    else:
        _engines.engine = infomap_package.Network()
    return _engines.engine


@lru_cache(maxsize=64)
def _infomap_arguments(seed: int, n_trials: int, directed: bool) -> str:
    options = infomap_package.Options(
        **INFOMAP_FLAGS,
        flow_model="directed" if directed else "undirected",
        seed=seed,
        num_trials=n_trials,
    )
    return str(options.to_args())


def modularity(
    network: UserNetwork, membership: NDArray[np.int64], resolution: float = 1.0
) -> float | None:
    """How much more is shared inside communities than the users' activity explains.

        Q = sum over communities c of  W_c / W - resolution * (S_c / 2 W)^2

    W: total weight; W_c: weight inside c; S_c: weighted ends of c's users (times_shared +
    shares_made). Undirected. None without edges, where it has no meaning. Rounded to 9 decimals.
    Source: Newman, Phys. Rev. E 70, 056131, 2004; resolution: Reichardt & Bornholdt, 2006.
    """
    total = int(network.weight.sum())
    if total == 0:
        return None
    inside = membership[network.source] == membership[network.target]
    ends = np.bincount(membership, weights=network.times_shared + network.shares_made)
    expected = resolution * float(np.square(ends / (2 * total)).sum())
    return round(float(network.weight[inside].sum()) / total - expected, QUALITY_DECIMALS)


def codelength(network: UserNetwork, membership: NDArray[np.int64]) -> float | None:
    """How many bits tell a step of a walk both ways along the shares: the map equation, two levels.

        L = f(sum of q_c) - 2 sum of f(q_c) - sum over users of f(p_i) + sum of f(q_c + p_c)

    with f(x) = x log2 x; p_i: share of link ends at user i; p_c: at the users of community c; q_c:
    share of link ends at c's users whose link leaves c. None without edges. Rounded to 9 decimals.
    Source: Rosvall, Axelsson, Bergstrom, Eur. Phys. J. Special Topics 178, 2009, eq. 4.
    """
    total = 2 * int(network.weight.sum())
    if total == 0:
        return None
    source, target = membership[network.source], membership[network.target]
    n_communities = _count(membership)
    crossing = np.where(source != target, network.weight, 0)
    exits = np.bincount(source, crossing, n_communities)
    exits += np.bincount(target, crossing, n_communities)
    ends = network.times_shared + network.shares_made
    inside = np.bincount(membership, ends, n_communities)
    q, p = exits / total, inside / total
    bits = _f(q.sum(keepdims=True)) - 2 * _f(q) - _f(ends / total) + _f(q + p)
    return round(bits, QUALITY_DECIMALS)


def _f(x: NDArray[np.float64]) -> float:
    """Sum of x log2 x."""
    some = x[x > 0]
    return float(np.dot(some, np.log2(some)))


def renumber(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """The same partition numbered by size, greatest first, ties by the smallest member.

    labels: (n,) from 0.   Cost: O(n + greatest label), without the sort that np.unique would make.

    >>> renumber(np.array([7, 3, 3, 9, 9])).tolist()
    [2, 0, 0, 1, 1]
    """
    size = np.bincount(labels)
    first = np.empty(len(size), dtype=np.int64)
    first[labels[::-1]] = np.arange(len(labels) - 1, -1, -1)  # the last one written is the first
    used = np.flatnonzero(size)
    number = np.empty(len(size), dtype=np.int64)
    # one key, greatest size first and then smallest member: numpy sorts integers fastest so
    number[used[np.argsort(first[used] - size[used] * len(labels))]] = np.arange(len(used))
    return number[labels]


def params_hash(algorithm: str, parameters: Mapping[str, Any], seed: int, version: str) -> str:
    """12 hex digits that name how a partition was found: part of the key of stored clusters.

    >>> params_hash("louvain", {"resolution": 1.0}, 7, "1.0.0")
    '519a37eaf669'
    """
    told = json.dumps([algorithm, dict(parameters), seed, version], sort_keys=True)
    return blake2b(told.encode(), digest_size=6).hexdigest()


@lru_cache(maxsize=64)  # all windows of a run have the same: two times 20 us for each clustering
def _parameters_told(
    algorithm: str, parameters: tuple[tuple[str, Any], ...], seed: int, version: str
) -> tuple[str, str]:
    """The parameters as JSON, and the hash."""
    named = dict(parameters)
    return json.dumps(named, sort_keys=True), params_hash(algorithm, named, seed, version)


def _count(membership: NDArray[np.int64]) -> int:
    return int(membership.max()) + 1 if len(membership) else 0


def _check_resolution(resolution: float) -> None:
    if not resolution >= 0:
        raise ValueError(f"resolution is {resolution}; it must be at least 0")


def _check_seed(seed: int) -> None:
    if seed < 1:
        raise ValueError(f"seed is {seed}; Infomap knows only seeds of at least 1, so all have to")
