"""Groups of users who share each other more than chance would have it.

Two views of the same network. Louvain asks where more is shared than the activity of the users
explains (undirected). Infomap asks where information that flows along the shares stays (directed
unless told otherwise). Both are seeded: the same network and seed give the same numbers, whatever
was computed before.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Literal

import igraph
import infomap as infomap_package
import numpy as np
from numpy.typing import NDArray

from graph.randomness import seeded_igraph
from graph.users import UserNetwork

Algorithm = Literal["louvain", "infomap"]
QualityName = Literal["modularity", "codelength"]

#: Qualities are rounded so that a sum taken in another order gives the same number.
QUALITY_DECIMALS = 9

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
        return params_hash(self.algorithm, self.parameters, self.seed, self.version)


def louvain(network: UserNetwork, *, seed: int, resolution: float = 1.0) -> Communities:
    """Communities by Louvain's method on the undirected network (weights of both ways summed).

    Maximises `modularity`. Groups smaller than about sqrt(2 * total weight) can be hidden in
    greater ones (the resolution limit, Fortunato & Barthelemy, PNAS 104, 2007).
    Source: Blondel, Guillaume, Lambiotte, Lefebvre, J. Stat. Mech. P10008, 2008.

    Cost: about linear in edges; 0.4 ms at 100 edges, 0.25 s at 10^5.
    Raises: ValueError if seed < 1 or resolution is negative.
    """
    _check_seed(seed)
    if not resolution >= 0:
        raise ValueError(f"resolution is {resolution}; it must be at least 0")
    low, high, weight = network.undirected
    graph = igraph.Graph(n=network.n_users, edges=np.column_stack([low, high]))
    with seeded_igraph(seed):
        found = graph.community_multilevel(weights=weight.tolist(), resolution=resolution)
    membership = renumber(np.asarray(found.membership, dtype=np.int64))
    return Communities(
        membership=membership,
        n_communities=_count(membership),
        algorithm="louvain",
        seed=seed,
        version=igraph.__version__,
        parameters={"resolution": float(resolution)},
        quality=modularity(network, membership, resolution),
        quality_name="modularity",
    )


def infomap(
    network: UserNetwork, *, seed: int, n_trials: int = 1, directed: bool = True
) -> Communities:
    """Communities by Infomap, two levels, on the weighted network.

    Minimises the codelength of a random walk that follows the shares, in bits per step (the map
    equation); the best of `n_trials` runs is kept. Flags: INFOMAP_FLAGS. Share networks are
    shallow, so a directed walk soon ends at users whom nobody shares, and communities come out
    small; `directed=False` walks both ways and finds greater ones (numbers in this folder's
    README). In a small window of nothing but stars a directed leaf alone costs the same as with
    its hub, so a few leaves can end up alone.
    Source: Rosvall, Axelsson, Bergstrom, Eur. Phys. J. Special Topics 178, 2009; unrecorded link
    teleportation: Lambiotte & Rosvall, Phys. Rev. E 85, 056107, 2012.

    Cost: 3 ms at 100 edges, 1.5 s at 10^5, for one trial.
    Raises: ValueError if seed < 1 or n_trials < 1.
    """
    _check_seed(seed)
    if n_trials < 1:
        raise ValueError(f"n_trials is {n_trials}; it must be at least 1")
    flags = {**INFOMAP_FLAGS, "flow_model": "directed" if directed else "undirected"}
    directed_links = network.source, network.target, network.weight
    source, target, weight = directed_links if directed else network.undirected
    # a user without edges takes part in no flow and stays alone; Infomap never sees them
    labels = network.n_users + 1 + np.arange(network.n_users, dtype=np.int64)
    codelength: float | None = None
    if len(weight):
        # Network.run(...) and Result say the same, after twice the time for a small network: they
        # render and check the options and copy the whole tree anew for each. A test compares.
        engine = infomap_package.Network()
        engine.add_links(np.column_stack([source, target, weight]).astype(np.float64))
        core = engine._core
        core.run(_infomap_arguments(seed, n_trials, directed))
        modules = dict(core.getModules(1, False))  # {node: module, 1 to n_users}
        labels[np.fromiter(modules.keys(), np.int64)] = np.fromiter(modules.values(), np.int64)
        codelength = round(core.codelength(), QUALITY_DECIMALS)
    membership = renumber(labels)
    return Communities(
        membership=membership,
        n_communities=_count(membership),
        algorithm="infomap",
        seed=seed,
        version=infomap_package.__version__,
        parameters={**flags, "n_trials": n_trials},
        quality=codelength,
        quality_name="codelength",
    )


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


def renumber(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """The same partition numbered by size, greatest first, ties by the smallest member.

    >>> renumber(np.array([7, 3, 3, 9, 9])).tolist()
    [2, 0, 0, 1, 1]
    """
    _, first, group, size = np.unique(
        labels, return_index=True, return_inverse=True, return_counts=True
    )
    number = np.empty(len(first), dtype=np.int64)
    number[np.lexsort((first, -size))] = np.arange(len(first))
    return number[group]


def params_hash(algorithm: str, parameters: Mapping[str, Any], seed: int, version: str) -> str:
    """12 hex digits that name how a partition was found: part of the key of stored clusters.

    >>> params_hash("louvain", {"resolution": 1.0}, 7, "1.0.0")
    '519a37eaf669'
    """
    told = json.dumps([algorithm, dict(parameters), seed, version], sort_keys=True)
    return blake2b(told.encode(), digest_size=6).hexdigest()


def _count(membership: NDArray[np.int64]) -> int:
    return int(membership.max()) + 1 if len(membership) else 0


def _check_seed(seed: int) -> None:
    if seed < 1:
        raise ValueError(f"seed is {seed}; Infomap knows only seeds of at least 1, so all have to")
