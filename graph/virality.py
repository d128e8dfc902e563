"""How much of what spreads is likely false, how sure that is, and what shape a spread has."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

#: The normal distribution's 97.5 % point: 95 % lie within +- this many standard deviations.
Z_95 = 1.959963984540054


class Interval(NamedTuple):
    """An estimate of a share in [0, 1] with its 95 % interval."""

    estimate: float
    low: float
    high: float


class CascadeError(ValueError):
    """Parents that are no tree with exactly one root."""


def expected_share(scores: ArrayLike, weights: ArrayLike) -> Interval | None:
    """The expected share of likely-false posts among judged posts.

        estimate = sum(w p) / sum(w)        variance = sum(w^2 p (1 - p)) / sum(w)^2

    One entry per judged *content*: p its calibrated probability, w how many posts carry it. A
    content is one Bernoulli draw, since all shares of a text share its fate: a thousand shares of
    one text are one opinion, not a thousand. Normal approximation, cut off at 0 and 1; few contents
    or one that outweighs the rest make it rough, and it knows nothing of how well the scores are
    calibrated.
    Source: the mean and variance of a sum of independent Bernoulli variables (Poisson binomial).

    scores: (n,) in [0, 1]; weights: (n,) >= 0.   Returns: None if the weights sum to 0.
    Raises: ValueError on other lengths or values.

    >>> [round(x, 4) for x in expected_share([0.9, 0.1], [3, 1])]
    [0.7, 0.2352, 1.0]
    >>> expected_share([], []) is None
    True
    """
    p, w = np.asarray(scores, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    if p.ndim != 1 or p.shape != w.shape:
        raise ValueError(f"scores {p.shape} and weights {w.shape} must be two equally long rows")
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError("a score lies outside [0, 1]")
    if not ((w >= 0) & np.isfinite(w)).all():
        raise ValueError("a weight is negative or not finite")
    total = float(w.sum())
    if total == 0:
        return None
    estimate = min(float(w @ p) / total, 1.0)
    half_width = Z_95 * sqrt(float(np.square(w) @ (p * (1 - p)))) / total
    return Interval(estimate, max(estimate - half_width, 0.0), min(estimate + half_width, 1.0))


def wilson_interval(k: int, n: int) -> Interval | None:
    """The share k of n with Wilson's 95 % score interval, which holds for few and for extremes.

        centre +- z / (1 + z^2/n) * sqrt(q (1 - q) / n + z^2 / 4 n^2),  q = k / n
        centre = (q + z^2 / 2n) / (1 + z^2/n)

    Source: Wilson, J. Am. Stat. Assoc. 22, 1927; Brown, Cai, DasGupta, Stat. Science 16, 2001.
    Returns: None if n is 0.   Raises: ValueError unless 0 <= k <= n.

    >>> [round(x, 4) for x in wilson_interval(1, 10)]
    [0.1, 0.0179, 0.4042]
    """
    if not 0 <= k <= n:
        raise ValueError(f"{k} of {n} is no count")
    if n == 0:
        return None
    q, z2 = k / n, Z_95 * Z_95
    centre = (q + z2 / (2 * n)) / (1 + z2 / n)
    half_width = Z_95 / (1 + z2 / n) * sqrt(q * (1 - q) / n + z2 / (4 * n * n))
    # at the extremes the formula gives exactly 0 and 1; floating point misses them by a little
    low = 0.0 if k == 0 else max(centre - half_width, 0.0)
    high = 1.0 if k == n else min(centre + half_width, 1.0)
    return Interval(q, low, high)


def structural_virality(parents: Sequence[int]) -> float:
    """Mean distance between all pairs of posts in a cascade tree.

        nu = 1 / (n (n - 1)) * sum over i != j of d(i, j)      [hops]

    2 - 2/n for a star, (n + 1) / 3 for a chain; 0.0 when n < 2. An edge above a subtree of s
    posts lies on the paths of s (n - s) pairs, so one pass over the subtrees' sizes is enough.
    On a platform that names only the root of a share every cascade is a star, and the measure
    then says the size and nothing else.
    Source: Goel, Anderson, Hofman, Watts, Management Science 62(1), 2016.

    parents: int (n,), index of each post's parent, -1 for the root, in any order.
    Returns: float, hops.   Cost: O(n) time and memory.
    Raises: CascadeError if there is not exactly one root, a parent that is no post, or a loop.

    >>> structural_virality([-1, 0, 0, 0, 0])
    1.6
    >>> structural_virality([-1, 0, 1, 2])
    1.6666666666666667
    """
    parent = [int(p) for p in parents]
    n = len(parent)
    if n and parent.count(-1) != 1:
        raise CascadeError(f"{parent.count(-1)} posts have no parent; a cascade has one root")
    if any(not -1 <= p < n for p in parent):
        raise CascadeError(f"a parent is no index of the {n} posts")
    n_children = [0] * n
    for p in parent:
        if p >= 0:
            n_children[p] += 1
    # from the leaves inwards: a post is done when all its children are
    size = [1] * n
    ready = [post for post in range(n) if n_children[post] == 0]
    n_done = 0
    pair_hops = 0
    while ready:
        post = ready.pop()
        n_done += 1
        above = parent[post]
        if above < 0:
            continue
        pair_hops += size[post] * (n - size[post])
        size[above] += size[post]
        n_children[above] -= 1
        if n_children[above] == 0:
            ready.append(above)
    if n_done < n:
        raise CascadeError("the parents go round in a circle")
    return 2 * pair_hops / (n * (n - 1)) if n > 1 else 0.0
