"""Where to draw the users: seeded positions for pictures of up to a hundred thousand nodes.

Share networks are stars glued together: most users share one account once. Force-directed layouts
spend their effort on those leaves and end in a ball. So leaves are set aside, the rest is laid out,
and each leaf is put back beside its only neighbour.
"""

from __future__ import annotations

from itertools import chain
from math import asin, pi, sqrt

import igraph
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from graph.randomness import seeded_igraph
from graph.users import collapse

Points = NDArray[np.float64]  # (k, 2); the unit is the diameter of one node
Ids = NDArray[np.int64]

#: Parts of at least this many nodes are laid out by UMAP, which shows communities but needs
#: neighbours to compare; smaller ones by Fruchterman-Reingold.
UMAP_FROM_NODES = 30
UMAP_EPOCHS = 200
UMAP_MIN_DIST = 0.5
SEPARATION_STEPS = 60
#: Parts of at least this many nodes get a quarter of both: a picture that size is about its
#: communities, which stand after 50 epochs, and no longer about single nodes.
LARGE_FROM_NODES = 6_000
UMAP_EPOCHS_LARGE = 50
SEPARATION_STEPS_LARGE = 15
#: Turning by this angle from leaf to leaf fills a disc evenly, as in a sunflower.
GOLDEN_ANGLE = pi * (3 - sqrt(5))


def layout_network(
    source: ArrayLike, target: ArrayLike, weight: ArrayLike, n_nodes: int, seed: int
) -> NDArray[np.float32]:
    """Positions of the nodes of a network in [-1, 1] x [-1, 1].

    1. Leaves (one neighbour) fill a disc around it, like the seeds of a sunflower.
    2. Each connected part of what remains is laid out by UMAP, or Fruchterman-Reingold if it is
       small; discs that overlap are then pushed apart.
    3. The greatest part stands in the middle, the others in rings around it, greater ones inside.

    Distances within a part say who shares whom; those between parts say nothing. Same input and
    seed give the same picture on the same machine and igraph.
    Source: McInnes, Healy, Melville, arXiv:1802.03426; Fruchterman & Reingold, Software: Practice
    and Experience 21(11), 1991; Vogel, Mathematical Biosciences 44, 1979 (sunflower).

    source, target: int (m,), direction does not matter; weight: (m,) > 0, pulls by its root.
    Returns: float32 (n_nodes, 2).   Cost: 0.1 s at 240 nodes, 1 s at 3,800, 40 s at 25,000.
    Raises: ValueError on an index outside [0, n_nodes).

    >>> layout_network([0], [1], [1], 2, seed=1).shape
    (2, 2)
    """
    a, b = np.asarray(source, dtype=np.int64), np.asarray(target, dtype=np.int64)
    for ends in (a, b):
        if len(ends) and not 0 <= ends.min() <= ends.max() < n_nodes:
            raise ValueError(f"an edge ends outside the {n_nodes} nodes")
    if n_nodes == 0:
        return np.empty((0, 2), dtype=np.float32)
    linked = a != b
    low, high, pull = collapse(a[linked], b[linked], np.asarray(weight)[linked], n_nodes)

    hub = _hubs(low, high, n_nodes)
    n_leaves = np.bincount(hub[hub >= 0], minlength=n_nodes)
    radius = 0.5 * np.sqrt(1.0 + n_leaves)  # of the disc that a node and its leaves fill
    inner = (hub[low] < 0) & (hub[high] < 0)
    low, high, pull = low[inner], high[inner], pull[inner]

    positions = np.zeros((n_nodes, 2))
    parts = _parts(low, high, np.flatnonzero(hub < 0), n_nodes)
    part_of = np.full(n_nodes, -1, dtype=np.int64)
    for number, nodes in enumerate(parts):
        part_of[nodes] = number
    by_part = _groups(part_of[low], len(parts))
    for nodes, edges in zip(parts, by_part, strict=True):
        if len(nodes) > 1:
            ends = np.searchsorted(nodes, np.column_stack([low[edges], high[edges]]))
            positions[nodes] = _layout_part(ends, pull[edges], radius[nodes], seed)
    reach = np.array([_reach(positions[nodes], radius[nodes]) for nodes in parts])
    for nodes, centre in zip(parts, _pack_in_rings(reach), strict=True):
        positions[nodes] += centre
    _place_leaves(positions, hub)
    return _fit(positions).astype(np.float32)


def _hubs(low: Ids, high: Ids, n_nodes: int) -> Ids:
    """The only neighbour of each leaf, -1 for other nodes; of a pair the first is no leaf."""
    degree = np.bincount(low, minlength=n_nodes) + np.bincount(high, minlength=n_nodes)
    hub = np.full(n_nodes, -1, dtype=np.int64)
    high_is_leaf = degree[high] == 1
    hub[high[high_is_leaf]] = low[high_is_leaf]
    low_is_leaf = (degree[low] == 1) & ~high_is_leaf
    hub[low[low_is_leaf]] = high[low_is_leaf]
    return hub


def _parts(low: Ids, high: Ids, nodes: Ids, n_nodes: int) -> list[Ids]:
    """The connected parts among `nodes`, each in ascending order."""
    links = coo_array((np.ones(len(low)), (low, high)), shape=(n_nodes, n_nodes))
    _, label = connected_components(links, directed=False)
    distinct, number = np.unique(label[nodes], return_inverse=True)
    return [nodes[rows] for rows in _groups(number, len(distinct))]


def _groups(number: Ids, n_groups: int) -> list[Ids]:
    """The rows that carry each number from 0 to n_groups - 1, ascending."""
    order = np.argsort(number, kind="stable")
    return np.split(order, np.cumsum(np.bincount(number, minlength=n_groups))[:-1])


def _layout_part(ends: Ids, pull: NDArray[np.int64], radius: Points, seed: int) -> Points:
    """A connected part of at least two nodes around the origin, its discs apart."""
    part = igraph.Graph(n=len(radius), edges=ends)
    strength = np.sqrt(pull)
    is_large = len(radius) >= LARGE_FROM_NODES
    with seeded_igraph(seed):
        if len(radius) < UMAP_FROM_NODES:
            found = part.layout_fruchterman_reingold(weights=strength.tolist(), grid=False)
        else:
            found = part.layout_umap(
                dist=(1 / strength).tolist(),
                epochs=UMAP_EPOCHS_LARGE if is_large else UMAP_EPOCHS,
                min_dist=UMAP_MIN_DIST,
            )
    points: Points = np.asarray(found.coords, dtype=np.float64)
    points -= points.mean(axis=0)
    distance = np.hypot(*points.T)
    # far outliers would squeeze everything else: beyond 1.5 medians, distance grows as a root
    bound = 1.5 * max(float(np.median(distance)), 1e-9)
    points *= np.minimum(1.0, np.sqrt(bound / np.maximum(distance, bound)))[:, None]
    area = float(np.square(2 * radius).sum())  # in nodes
    points *= 1.2 * sqrt(area) / bound
    return separate(points, radius, SEPARATION_STEPS_LARGE if is_large else SEPARATION_STEPS)


def separate(points: Points, radius: Points, steps: int = SEPARATION_STEPS) -> Points:
    """Discs that overlap pushed away from each other; the greater one moves less.

    At most `steps` steps, so a crowd may still overlap a little.

    points: (k, 2) no two the same; radius: (k,).   Returns: (k, 2).

    >>> separate(np.array([[0.0, 0.0], [1.0, 0.0]]), np.array([1.0, 1.0])).round(2).tolist()
    [[-0.5, 0.0], [1.5, 0.0]]
    """
    points = points.copy()
    for _ in range(steps):
        i, j = _near_pairs(points, radius)
        between = points[i] - points[j]
        distance = np.maximum(np.hypot(*between.T), 1e-9)
        overlap = radius[i] + radius[j] - distance
        meet = overlap > 1e-3
        if not meet.any():
            break
        i, j = i[meet], j[meet]
        push = between[meet] * (0.5 * overlap[meet] / distance[meet])[:, None]
        share = (radius[j] ** 2 / (radius[i] ** 2 + radius[j] ** 2))[:, None]
        np.add.at(points, i, push * share)
        np.add.at(points, j, -push * (1 - share))
    return points


def _near_pairs(points: Points, radius: Points) -> tuple[Ids, Ids]:
    """All pairs whose discs could overlap, the greater disc first, each once and in fixed order."""
    # two discs that overlap are nearer than the diameter of the greater one
    near = cKDTree(points).query_ball_point(points, 2 * radius, return_sorted=True)
    n_near = np.fromiter(map(len, near), dtype=np.int64, count=len(near))
    i = np.repeat(np.arange(len(points)), n_near)
    j = np.fromiter(chain.from_iterable(near), dtype=np.int64, count=int(n_near.sum()))
    once = (radius[i] > radius[j]) | ((radius[i] == radius[j]) & (i < j))
    return i[once], j[once]


def _reach(points: Points, radius: Points) -> float:
    """The radius of the disc around the origin that holds these discs."""
    return float((np.hypot(*points.T) + radius).max())


def _pack_in_rings(reach: Points) -> Points:
    """Centres for discs of these radii: the greatest at the origin, the others in rings."""
    order = np.argsort(-reach, kind="stable")
    centres = np.zeros((len(reach), 2))
    gap = 1.0
    edge = float(reach[order[0]])
    place = 1
    while place < len(order):
        widest = float(reach[order[place]])
        ring = edge + gap + widest
        angles: list[float] = []  # that each disc of this ring takes
        while place + len(angles) < len(order):
            angle = 2 * asin(min((float(reach[order[place + len(angles)]]) + gap / 2) / ring, 1.0))
            if angles and sum(angles) + angle > 2 * pi:
                break
            angles.append(angle)
        taken = np.array(angles)
        spare = (2 * pi - taken.sum()) / len(taken)
        middle = np.cumsum(taken + spare) - (taken + spare) / 2
        members = order[place : place + len(taken)]
        centres[members] = ring * np.column_stack([np.cos(middle), np.sin(middle)])
        place += len(taken)
        edge = ring + widest
    return centres


def _place_leaves(positions: Points, hub: Ids) -> None:
    """Writes the positions of all leaves: around their hubs, in the order of their ids."""
    leaves = np.flatnonzero(hub >= 0)
    leaves = leaves[np.argsort(hub[leaves], kind="stable")]
    n_leaves = np.bincount(hub[leaves], minlength=len(hub))
    rank = np.arange(len(leaves)) - (np.cumsum(n_leaves) - n_leaves)[hub[leaves]]
    distance, angle = 0.5 * np.sqrt(rank + 1.5), rank * GOLDEN_ANGLE
    offset = distance[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    positions[leaves] = positions[hub[leaves]] + offset


def _fit(positions: Points) -> Points:
    """Moved and scaled, the same in both directions, to fill [-1, 1] x [-1, 1]."""
    low, high = positions.min(axis=0), positions.max(axis=0)
    span = float((high - low).max())
    fitted: Points = (positions - (low + high) / 2) * (2 / span if span > 0 else 1.0)
    return fitted.clip(-1, 1)
