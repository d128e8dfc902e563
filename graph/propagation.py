"""Cascades: which post was shared when and by whom.

The propagation graph of a topic as in Trivedi et al., "Defending Democracy" (2021), section 4.2:
a node for each tweet and each retweet, with its user, and an edge from the tweet to the retweet
that carries the time between them. Platforms name the root of a share and not the share through
which it was found, so every cascade is a star of depth 1 and the graph falls into as many parts as
there are roots. The delay is an attribute and never a strength: as a weight it would tie a slow
share closer than a fast one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from graph.keys import UNKNOWN, distinct, first_rows, index_keys, pick

if TYPE_CHECKING:
    import networkx

#: No such moment; the bit pattern of numpy's NaT, so `.view("M8[us]")` shows it as such.
NO_TIME = int(np.iinfo(np.int64).min)

_MICROSECONDS = 1_000_000.0


@dataclass(frozen=True, eq=False, kw_only=True)
class PropagationGraph:
    """Posts and shares of one topic, as stars of depth 1. n nodes, m edges, c cascades, u users.

    A cascade is everything with the same root id, whether or not that root was seen: shares whose
    root was not seen (`n_rootless` of them) are nodes of their cascade without an edge.
    """

    #: (n,) sorted; node i is the post post_ids[i].
    post_ids: tuple[str, ...]
    #: (n,) microseconds since 1970, UTC.
    posted_at_us: NDArray[np.int64]
    #: (n,) the author of each post as index into `users`, -1 if not known.
    user: NDArray[np.int64]
    #: (u,) sorted.
    users: tuple[str, ...]
    #: (n,) the cascade of each post as index into `root_ids`.
    cascade: NDArray[np.int64]
    #: (c,) sorted.
    root_ids: tuple[str, ...]
    #: (c,) the node of each root, -1 if the root was not seen.
    root: NDArray[np.int64]
    #: (n,) True for a share, False for an original.
    is_share: NDArray[np.bool_]
    #: (m,) the shared post of each edge; edges are sorted by (source, target).
    source: NDArray[np.int64]
    #: (m,) the share of each edge.
    target: NDArray[np.int64]
    #: (m,) time from the shared post to the share, seconds; negative where clocks disagree.
    delay_seconds: NDArray[np.float64]
    #: Rows given whose post id had been given before.
    n_duplicates: int

    @property
    def n_rootless(self) -> int:
        """Shares whose root was not seen."""
        return int(self.is_share.sum()) - len(self.target)

    @property
    def n_negative_delays(self) -> int:
        """Shares that claim to be older than their root. They are kept."""
        return int((self.delay_seconds < 0).sum())

    def to_networkx(self) -> networkx.DiGraph[str]:
        """The same graph for notebooks: nodes are post ids with `user` (None if not known),
        `posted_at_us` and `is_share`; edges carry `delay_seconds` and no weight."""
        import networkx  # here, since only notebooks need it

        graph: Any = networkx.DiGraph()
        for node, post_id in enumerate(self.post_ids):
            user = int(self.user[node])
            graph.add_node(
                post_id,
                user=None if user == UNKNOWN else self.users[user],
                posted_at_us=int(self.posted_at_us[node]),
                is_share=bool(self.is_share[node]),
            )
        for source, target, delay in zip(
            self.source.tolist(), self.target.tolist(), self.delay_seconds.tolist(), strict=True
        ):
            graph.add_edge(self.post_ids[source], self.post_ids[target], delay_seconds=delay)
        return graph


def build_propagation(
    post_ids: Sequence[str],
    posted_at_us: ArrayLike,
    users: Sequence[str | None],
    root_ids: Sequence[str | None],
) -> PropagationGraph:
    """The propagation graph of these posts and shares, given as parallel columns in any order.

    A row is an original if its root id is its own id, None or "", else a share of that root (as
    `Post.root_id`; never an intermediate share). Here a post id counts once: of rows with the
    same id the one with the earliest time, then a root, then a known user is kept, so neither
    repetition nor order changes the result.

    posted_at_us: int (n,), microseconds since 1970, UTC.   Cost: O(n log n).
    Raises: ValueError if the columns differ in length or a post id is empty.

    >>> graph = build_propagation(["r", "s", "t"], [0, 4_000_000, 9], ["ann", "bob", None],
    ...                           ["r", "r", "elsewhere"])
    >>> graph.source.tolist(), graph.target.tolist(), graph.delay_seconds.tolist()
    ([0], [1], [4.0])
    >>> graph.root_ids, graph.n_rootless
    (('elsewhere', 'r'), 1)
    """
    times = np.asarray(posted_at_us, dtype=np.int64)
    if not len(post_ids) == len(times) == len(users) == len(root_ids):
        raise ValueError("post_ids, posted_at_us, users and root_ids must have the same length")
    ids, (own, root) = index_keys(post_ids, root_ids)
    if (own == UNKNOWN).any():
        raise ValueError("a post id is empty: every post needs its own id")
    user_keys, (user,) = index_keys(users)

    root = np.where(root == UNKNOWN, own, root)
    rows = first_rows(own, times, root == own, root, user == UNKNOWN, user)
    own, root, times, user = own[rows], root[rows], times[rows], user[rows]

    node_of = np.full(len(ids), -1, dtype=np.int64)  # id code -> node
    node_of[own] = np.arange(len(own))
    is_share = root != own
    target = np.flatnonzero(is_share & (node_of[root] >= 0))
    source = node_of[root[target]]
    order = np.lexsort((target, source))
    source, target = source[order], target[order]
    root_codes, cascade = np.unique(root, return_inverse=True)
    return PropagationGraph(
        post_ids=pick(ids, own.tolist()),
        posted_at_us=times,
        user=user,
        users=user_keys,
        cascade=cascade.astype(np.int64),
        root_ids=pick(ids, root_codes.tolist()),
        root=node_of[root_codes],
        is_share=is_share,
        source=source,
        target=target,
        delay_seconds=(times[target] - times[source]) / _MICROSECONDS,
        n_duplicates=len(post_ids) - len(own),
    )


def cascade_sizes(graph: PropagationGraph) -> NDArray[np.int64]:
    """Posts seen of each cascade, its root included if it was seen; (c,), sums to n.

    >>> graph = build_propagation(["r", "s", "t"], [0, 1, 2], ["a", "b", "c"], ["r", "r", "x"])
    >>> dict(zip(graph.root_ids, cascade_sizes(graph).tolist()))
    {'r': 2, 'x': 1}
    """
    return np.bincount(graph.cascade, minlength=len(graph.root_ids)).astype(np.int64)


@dataclass(frozen=True, eq=False, kw_only=True)
class CascadeSummary:
    """One row per cascade, in the order of `PropagationGraph.root_ids`; every array is (c,)."""

    root_ids: tuple[str, ...]
    #: Shares seen.
    n_shares: NDArray[np.int64]
    #: Distinct known users who shared, without the author of the root.
    n_users: NDArray[np.int64]
    #: Microseconds since 1970, UTC; NO_TIME where there are no shares.
    first_share_us: NDArray[np.int64]
    last_share_us: NDArray[np.int64]
    #: From the root to the share that makes half of all shares seen; NaN if there are none or
    #: the root was not seen.
    half_life_seconds: NDArray[np.float64]
    #: Median time from the root to a share; NaN as above.
    median_delay_seconds: NDArray[np.float64]


def summarise_cascades(graph: PropagationGraph) -> CascadeSummary:
    """How many shared each root, when, and how fast.

        half_life = min t such that |{shares with delay <= t}| >= n_shares / 2       [seconds]

    Delays are counted from the root. What is seen is a lower bound of what happened: a share that
    was not collected, and the path between root and share, are not in it.   Cost: O(n log n).

    >>> graph = build_propagation(
    ...     ["r", "s1", "s2", "s3"], [0, 2_000_000, 10_000_000, 30_000_000],
    ...     ["ann", "bob", "bob", "ann"], ["r"] * 4)
    >>> summary = summarise_cascades(graph)
    >>> summary.n_shares.tolist(), summary.n_users.tolist(), summary.half_life_seconds.tolist()
    ([3], [1], [10.0])
    """
    n_cascades = len(graph.root_ids)
    shares = np.flatnonzero(graph.is_share)
    shares = shares[np.lexsort((graph.posted_at_us[shares], graph.cascade[shares]))]
    n_shares = np.bincount(graph.cascade[shares], minlength=n_cascades).astype(np.int64)
    start = np.cumsum(n_shares) - n_shares
    times = graph.posted_at_us[shares]  # (shares,), ascending within each cascade

    def time_at(rank: NDArray[np.int64]) -> NDArray[np.int64]:
        """The time of the rank-th share (from 0) of each cascade that has shares."""
        result = np.full(n_cascades, NO_TIME, dtype=np.int64)
        some = n_shares > 0
        result[some] = times[(start + rank)[some]]
        return result

    timed = (n_shares > 0) & (graph.root >= 0)

    def since_root(moment: NDArray[np.int64]) -> NDArray[np.float64]:
        seconds = np.full(n_cascades, np.nan)
        posted = graph.posted_at_us[graph.root[timed]]
        seconds[timed] = (moment[timed] - posted) / _MICROSECONDS
        return seconds

    lower_middle, upper_middle = (n_shares - 1) // 2, n_shares // 2
    half_life = since_root(time_at(lower_middle))
    return CascadeSummary(
        root_ids=graph.root_ids,
        n_shares=n_shares,
        n_users=_count_sharers(graph, shares),
        first_share_us=time_at(np.zeros_like(n_shares)),
        last_share_us=time_at(n_shares - 1),
        half_life_seconds=half_life,
        median_delay_seconds=(half_life + since_root(time_at(upper_middle))) / 2,
    )


def _count_sharers(graph: PropagationGraph, shares: NDArray[np.int64]) -> NDArray[np.int64]:
    """Distinct known users among the shares of each cascade, without its root's author."""
    root_user = np.full(len(graph.root_ids), UNKNOWN, dtype=np.int64)
    seen = graph.root >= 0
    root_user[seen] = graph.user[graph.root[seen]]
    cascade, user = graph.cascade[shares], graph.user[shares]
    counted = (user != UNKNOWN) & (user != root_user[cascade])
    n_users = max(len(graph.users), 1)
    pairs = distinct(cascade[counted] * n_users + user[counted])
    return np.bincount(pairs // n_users, minlength=len(graph.root_ids)).astype(np.int64)
