"""How far a partition can be trusted: agreement of seeded runs, consensus, stars.

Louvain, Leiden and Infomap stop at one of many almost equally good partitions, and the seed decides
at which. What all runs find is in the network; what only one finds is in the seed. And a cluster
that is one account with its audience says that the account is popular, not that a group acts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.special import gammaln

from graph.communities import Communities, modularity, renumber
from graph.users import UserNetwork

#: A cluster whose `stability` is lower is called unstable. Below 0.6 a cluster should not be
#: trusted, from 0.75 on it is a valid one, by Hennig's experience with clusterwise stability
#: (Computational Statistics & Data Analysis 52, 2007). We take the strict one: a cluster is
#: reported to people, who will believe it.
STABLE_FROM = 0.75

#: Links whose ends are together in at least this share of the runs hold a consensus together.
CONSENSUS_SHARE = 0.5
CONSENSUS_ROUNDS = 4

#: A cluster is a star if one account is an end of at least this share of what is shared inside.
STAR_SHARE = 0.9

#: Up to so many possible pairs of clusters all are counted; from there on it is faster to sort the
#: users (measured from 20 to 5,000 users: a count of 900 takes half to a fifth of the sort's time,
#: one of 10,000 up to three times as long).
DENSE_CELLS = 1_000

Labels = NDArray[np.int64]


def contingency(one: Labels, other: Labels) -> tuple[Labels, Labels, Labels]:
    """Which clusters of two partitions meet, and in how many users; three arrays of equal length.

    >>> [column.tolist() for column in contingency(np.array([0, 0, 1]), np.array([5, 5, 5]))]
    [[0, 1], [5, 5], [2, 1]]
    """
    if len(one) != len(other):
        raise ValueError(f"two partitions of {len(one)} and of {len(other)} users")
    if len(one) == 0:
        return one, other, one
    width = int(other.max()) + 1
    pair = one * width + other
    if (int(one.max()) + 1) * width <= DENSE_CELLS:
        n_of = np.bincount(pair)
        pairs = np.flatnonzero(n_of)
        n_users = n_of[pairs]
    else:
        pairs, n_users = np.unique(pair, return_counts=True)
    first, second = np.divmod(pairs, width)
    return first, second, n_users.astype(np.int64)


def entropy(labels: Labels) -> float:
    """H = - sum over clusters of (n_c / n) log2(n_c / n)   [bits]

    >>> entropy(np.array([0, 0, 1, 1]))
    1.0
    """
    if len(labels) == 0:
        return 0.0
    p = np.unique(labels, return_counts=True)[1] / len(labels)
    return float(-(p * np.log2(p)).sum()) + 0.0


def mutual_information(one: Labels, other: Labels) -> float:
    """I = sum over pairs of clusters of (n_ij / n) log2(n n_ij / (n_i n_j))   [bits]

    >>> mutual_information(np.array([0, 0, 1, 1]), np.array([7, 7, 3, 3]))
    1.0
    """
    n = len(one)
    if n == 0:
        return 0.0
    first, second, both = contingency(one, other)
    n_first, n_second = np.bincount(one), np.bincount(other)
    ratio = n * both / (n_first[first] * n_second[second])
    return max(float((both / n * np.log2(ratio)).sum()), 0.0)


def variation_of_information(one: Labels, other: Labels) -> float:
    """How much two partitions tell that the other does not: a distance, 0 if they are equal.

        VI = H(one) + H(other) - 2 I(one, other)   [bits], at most log2(n)

    Source: Meila, Journal of Multivariate Analysis 98, 2007.   Cost: O(n log n).

    >>> variation_of_information(np.array([0, 0, 1, 1]), np.array([1, 1, 0, 0]))
    0.0
    >>> variation_of_information(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]))
    2.0
    """
    apart = entropy(one) + entropy(other) - 2 * mutual_information(one, other)
    return max(round(apart, 12), 0.0)


def adjusted_mutual_information(one: Labels, other: Labels) -> float:
    """How much two partitions agree beyond chance: 1 if equal, about 0 if unrelated.

        AMI = (I - E) / ((H(one) + H(other)) / 2 - E)

    E: expected I of two random partitions with the same cluster sizes. Unlike plain mutual
    information it does not reward many small clusters. Two partitions that are both whole, or both
    all alone, agree: 1.
    Source: Vinh, Epps, Bailey, Journal of Machine Learning Research 11, 2010 (arithmetic mean).

    Cost: O(n log n) and, for k distinct cluster sizes, k^2 sums over the smaller size.

    >>> adjusted_mutual_information(np.array([0, 0, 1, 1]), np.array([1, 1, 0, 0]))
    1.0
    >>> round(adjusted_mutual_information(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])), 6)
    -0.5
    """
    first, _, _ = contingency(one, other)
    n_one, n_other = len(np.unique(one)), len(np.unique(other))
    if len(first) == n_one == n_other:  # each cluster meets exactly one: equal partitions
        return 1.0
    expected = _expected_information(one, other)
    mean = (entropy(one) + entropy(other)) / 2
    return (mutual_information(one, other) - expected) / (mean - expected)


def _expected_information(one: Labels, other: Labels) -> float:
    """E of `adjusted_mutual_information`, in bits; equal sizes are summed once."""
    n = len(one)
    sizes = [
        np.unique(np.unique(x, return_counts=True)[1], return_counts=True) for x in (one, other)
    ]
    (size_a, times_a), (size_b, times_b) = sizes
    total = 0.0
    for a, n_a in zip(size_a.tolist(), times_a.tolist(), strict=True):
        for b, n_b in zip(size_b.tolist(), times_b.tolist(), strict=True):
            k = np.arange(max(1, a + b - n), min(a, b) + 1)  # users in common
            log_p = (
                gammaln(a + 1) + gammaln(b + 1) + gammaln(n - a + 1) + gammaln(n - b + 1)
                - gammaln(n + 1) - gammaln(k + 1) - gammaln(a - k + 1) - gammaln(b - k + 1)
                - gammaln(n - a - b + k + 1)
            )  # fmt: skip
            total += n_a * n_b * float((k / n * np.log2(n * k / (a * b)) * np.exp(log_p)).sum())
    return total


@dataclass(frozen=True, eq=False, kw_only=True)
class Stability:
    """How N runs with different seeds agree with a partition and with each other. c clusters."""

    n_runs: int
    #: (n,) the partition that the clusters below belong to.
    membership: Labels
    #: Mean over all pairs of runs.
    mean_ami: float
    mean_vi_bits: float
    #: (c,) mean over the runs of the best Jaccard overlap of the cluster with one of theirs.
    stability: NDArray[np.float64]

    @property
    def is_unstable(self) -> NDArray[np.bool_]:
        """(c,) True where `stability` is below STABLE_FROM."""
        return self.stability < STABLE_FROM


def assess_stability(membership: Labels, runs: Sequence[Labels]) -> Stability:
    """How far a partition is found again by runs with other seeds.

        stability(C) = mean over runs of  max over clusters D of the run  |C & D| / |C | D|

    membership: (n,) numbered from 0; runs: at least two memberships of the same users.
    Source: Hennig, Computational Statistics & Data Analysis 52, 2007 (clusterwise Jaccard).
    Cost: O(r n log n), and AMI for each of r (r - 1) / 2 pairs.   Raises: ValueError if r < 2.

    >>> a = np.array([0, 0, 1, 1])
    >>> found = assess_stability(a, [a, a, np.array([0, 0, 1, 2])])
    >>> found.stability.round(3).tolist(), found.is_unstable.tolist()
    ([1.0, 0.833], [False, False])
    """
    if len(runs) < 2:
        raise ValueError(f"{len(runs)} runs: agreement needs at least 2")
    pairs = [(a, b) for i, a in enumerate(runs) for b in runs[i + 1 :]]
    return Stability(
        n_runs=len(runs),
        membership=membership,
        mean_ami=float(np.mean([adjusted_mutual_information(*pair) for pair in pairs])),
        mean_vi_bits=float(np.mean([variation_of_information(*pair) for pair in pairs])),
        stability=overlaps_with(membership, runs),
    )


def overlaps_with(membership: Labels, runs: Sequence[Labels]) -> NDArray[np.float64]:
    """`Stability.stability` alone, (c,), without the agreement of all pairs of runs.

    >>> a = np.array([0, 0, 1, 1])
    >>> overlaps_with(a, [a, np.array([0, 0, 1, 2])]).tolist()
    [1.0, 0.75]
    """
    if len(membership) == 0:
        return np.empty(0)
    size = np.bincount(membership)
    # clusters of all runs get numbers of their own, so that all are counted at once
    width = [int(run.max()) + 1 for run in runs]
    behind = np.cumsum(width) - width
    each = np.concatenate([run + start for run, start in zip(runs, behind, strict=True)])
    first, second, both = contingency(np.tile(membership, len(runs)), each)
    best = np.zeros((len(runs), len(size)))
    of_run = np.repeat(np.arange(len(runs)), width)[second]
    jaccard = both / (size[first] + np.bincount(each)[second] - both)
    np.maximum.at(best, (of_run, first), jaccard)
    overlaps: NDArray[np.float64] = best.mean(axis=0)
    return overlaps


@dataclass(frozen=True, eq=False, kw_only=True)
class Consensus:
    """What most of N runs agree on."""

    membership: Labels
    #: Of the consensus in the network itself; None without edges.
    modularity: float | None
    stability: Stability
    #: Whether the runs came to agree; if not, `membership` is the run least far from the others.
    has_converged: bool


def find_consensus(
    network: UserNetwork,
    find: Callable[..., Communities],
    seeds: Sequence[int],
) -> Consensus:
    """The partition that runs with these seeds converge to, with its stability.

    Runs `find` once per seed; links get as weight the number of runs in which their ends are
    together; links below CONSENSUS_SHARE are taken away, but for the strongest one of a user who
    would be alone; and again with these weights, until all runs agree. Only existing links are
    looked at, and keep their direction, so the cost stays linear. Louvain and Leiden agree after
    one or two rounds; directed Infomap, whose walk is another one on fewer links, often does not
    within CONSENSUS_ROUNDS, and the most typical run is taken.
    Source: Lancichinetti & Fortunato, Scientific Reports 2, 336, 2012; on links only: Tandon,
    Albeshri, Thayananthan, Alhalabi, Fortunato, Phys. Rev. E 99, 042301, 2019.

    find: `louvain`, `leiden` or `infomap` (or a partial of them).
    Cost: usually 2 rounds of len(seeds) runs, and the agreement of all pairs of runs.
    Raises: ValueError for fewer than 2 seeds.

    >>> from graph.communities import louvain
    >>> from graph.users import build_user_network
    >>> net = build_user_network(["a", "b", "c", "x", "y", "z"], ["b", "c", "a", "y", "z", "x"])
    >>> found = find_consensus(net, louvain, seeds=range(1, 6))
    >>> found.membership.tolist(), found.has_converged, found.stability.mean_ami
    ([0, 0, 0, 1, 1, 1], True, 1.0)
    """
    first_runs = [find(network, seed=seed).membership for seed in seeds]
    if len(first_runs) < 2:
        raise ValueError(f"{len(first_runs)} seeds: a consensus needs at least 2")
    runs, current, agree = first_runs, network, False
    for _ in range(CONSENSUS_ROUNDS):
        source, target = current.source, current.target
        together = np.array([run[source] == run[target] for run in runs]).sum(axis=0)
        kept = _links_kept(source, target, together, len(runs), network.n_users)
        agree = bool((together[kept] == len(runs)).all())
        current = _network_of_links(network, source[kept], target[kept], together[kept])
        if agree:
            break
        runs = [find(current, seed=seed).membership for seed in seeds]
    if agree:
        ends = current.source, current.target
        links = coo_array((np.ones(len(ends[0])), ends), shape=(network.n_users,) * 2)
        membership = renumber(connected_components(links, directed=False)[1].astype(np.int64))
    else:
        membership = first_runs[_most_typical(first_runs)]
    return Consensus(
        membership=membership,
        modularity=modularity(network, membership),
        stability=assess_stability(membership, first_runs),
        has_converged=agree,
    )


def _most_typical(runs: Sequence[Labels]) -> int:
    """The run that is least far from the others; of equals the first."""
    apart = [sum(variation_of_information(run, other) for other in runs) for run in runs]
    return int(np.argmin(np.round(apart, 9)))


def _links_kept(
    source: Labels, target: Labels, together: Labels, n_runs: int, n_users: int
) -> NDArray[np.bool_]:
    kept = together >= max(CONSENSUS_SHARE * n_runs, 1)
    has_link = np.zeros(n_users, dtype=bool)
    has_link[source[kept]] = has_link[target[kept]] = True
    # the strongest link of each user left alone, the first of equals; never together: alone indeed
    order = np.argsort(-together, kind="stable")
    for ends in (source, target):
        lonely = order[~has_link[ends[order]] & (together[order] > 0)]
        _, place = np.unique(ends[lonely], return_index=True)
        kept[lonely[place]] = True
    return kept


def _network_of_links(
    network: UserNetwork, source: Labels, target: Labels, weight: Labels
) -> UserNetwork:
    """The same users with these links instead."""
    return UserNetwork(
        users=network.users,
        source=source,
        target=target,
        weight=weight,
        n_shares=int(weight.sum()),
        n_self_shares=0,
        n_unknown_authors=0,
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class Stars:
    """How far each cluster is one account and those around it; every array is (c,)."""

    #: The user who is an end of most shares inside, the smallest of equals; -1: nothing inside.
    hub: Labels
    #: Share of what is shared inside the cluster that has the hub at one end; NaN as above.
    hub_share: NDArray[np.float64]
    #: True for clusters that are one account and its audience, and for clusters of one account.
    is_star: NDArray[np.bool_]


def find_stars(network: UserNetwork, membership: Labels) -> Stars:
    """Clusters that one account makes alone: they do not count as communities.

        hub_share(C) = max over users u of C of  W(C, u) / W(C)

    W(C): shares between members of C; W(C, u): those of them that u made or got. A cluster is a
    star from STAR_SHARE on: take the hub away and nothing is left. That is an audience (everybody
    shares one account) or one hyperactive account (who shares everybody). Shares of one's own
    posts are no links and count nowhere. Two users who share each other are a star as well.

    membership: (n,) numbered from 0.   Cost: O(n + m).

    >>> from graph.users import build_user_network
    >>> net = build_user_network(["h", "h", "h", "a", "b", "c"], ["x", "y", "z", "b", "c", "a"])
    >>> stars = find_stars(net, np.array([0, 0, 0, 1, 1, 1, 1]))  # a, b, c and h, x, y, z
    >>> stars.hub_share.round(2).tolist(), stars.is_star.tolist()
    ([0.67, 1.0], [False, True])
    """
    n_clusters = int(membership.max()) + 1 if len(membership) else 0
    is_inside = membership[network.source] == membership[network.target]
    source, target = network.source[is_inside], network.target[is_inside]
    weight = network.weight[is_inside].astype(np.float64)
    inside = np.bincount(membership[source], weights=weight, minlength=n_clusters)
    n = network.n_users
    ends = np.bincount(source, weight, minlength=n) + np.bincount(target, weight, minlength=n)
    most = np.zeros(n_clusters)
    np.maximum.at(most, membership, ends)
    hub = np.full(n_clusters, -1, dtype=np.int64)
    share = np.full(n_clusters, np.nan)
    top = np.flatnonzero((ends == most[membership]) & (ends > 0))[::-1]
    hub[membership[top]] = top  # the last one written is the first: of equals the smallest user
    some = hub >= 0
    share[some] = most[some] / inside[some]
    return Stars(hub=hub, hub_share=share, is_star=~(share < STAR_SHARE))


def say_stability(stability: Stability, stars: Stars, cluster: int) -> str:
    """One sentence on how far a cluster can be trusted.

    >>> from graph.users import build_user_network
    >>> net = build_user_network(["h", "h", "h"], ["x", "y", "z"])
    >>> a = np.array([0, 0, 0, 0])
    >>> say_stability(assess_stability(a, [a, a]), find_stars(net, a), 0)
    'no community: one account is an end of 100 % of its shares'
    """
    if stars.is_star[cluster]:
        if stars.hub[cluster] < 0:
            return "no community: nothing is shared inside"
        percent = 100 * float(stars.hub_share[cluster])
        return f"no community: one account is an end of {percent:.0f} % of its shares"
    found_again = float(stability.stability[cluster])
    if stability.is_unstable[cluster]:
        return (
            f"unstable: {stability.n_runs} runs with other seeds find it again"
            f" to {found_again:.2f} (stable from {STABLE_FROM})"
        )
    return f"stable: {stability.n_runs} runs find it again to {found_again:.2f}"
