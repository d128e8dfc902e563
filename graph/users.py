"""Who shares whom, and who shares the same: the user networks of a topic in a window of time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import igraph
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from graph.keys import UNKNOWN, first_rows, index_integers, index_keys, pick
from graph.leaves import Core, merge_leaves


@dataclass(frozen=True, eq=False, kw_only=True)
class UserNetwork:
    """Directed weighted edges from the one who is shared to the one who shares. n users, m edges.

    The direction is that of the information. A user is a node if an edge touches them. Every
    share given is in exactly one place:

        n_shares = weight.sum() + n_self_shares + n_unknown_authors
    """

    #: (n,) user keys in sorted order; node i is users[i], so equal data give equal ids.
    users: tuple[str, ...]
    #: (m,) who is shared; edges are sorted by (source, target) and distinct.
    source: NDArray[np.int64]
    #: (m,) who shares.
    target: NDArray[np.int64]
    #: (m,) number of shares, at least 1.
    weight: NDArray[np.int64]
    #: Distinct shares given.
    n_shares: int
    #: Shares of one's own posts: counted, no edge.
    n_self_shares: int
    #: Shares of which one end is not known: counted, no edge and no node.
    n_unknown_authors: int

    @property
    def n_users(self) -> int:
        return len(self.users)

    @cached_property
    def times_shared(self) -> NDArray[np.int64]:
        """How often each user was shared by others (weighted out-degree), (n,)."""
        return sum_at(self.source, self.weight, self.n_users)

    @cached_property
    def shares_made(self) -> NDArray[np.int64]:
        """How often each user shared others (weighted in-degree), (n,)."""
        return sum_at(self.target, self.weight, self.n_users)

    @cached_property
    def undirected(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Low end, high end and weight of the links with both directions summed: `collapse`."""
        return collapse(self.source, self.target, self.weight, self.n_users)

    @cached_property
    def core(self) -> Core:
        """`undirected` without its leaves: `merge_leaves`."""
        return merge_leaves(*self.undirected, self.n_users)

    @cached_property
    def graph(self) -> igraph.Graph:
        """`undirected` as igraph knows it, without its weights. Not to be changed."""
        low, high, _ = self.undirected
        return igraph.Graph(n=self.n_users, edges=np.column_stack([low, high]))


def build_user_network(
    shared: Sequence[str | None],
    sharers: Sequence[str | None],
    post_ids: Sequence[str] | None = None,
) -> UserNetwork:
    """The user network of these shares, one row per share, in any order.

    shared: author of the shared post; sharers: author of the share; None or "" if not known.
    post_ids: ids of the shares. Given, a share met again counts once (of rows that disagree, the
    one with known and smallest keys). Without, every row is a share of its own: that is right for
    rows of `posts`, whose primary key has removed repetitions already.

    Cost: O(n log n) time, no Python loop per edge.   Raises: ValueError on unequal lengths.

    >>> net = build_user_network(["ann", "ann", "bob", "ann", None], ["cyd", "cyd", "ann", "ann",
    ...                                                               "bob"])
    >>> net.users, net.source.tolist(), net.target.tolist(), net.weight.tolist()
    (('ann', 'bob', 'cyd'), [0, 1], [2, 0], [2, 1])
    >>> net.n_shares, net.n_self_shares, net.n_unknown_authors, net.times_shared.tolist()
    (5, 1, 1, [2, 1, 0])
    """
    if len(shared) != len(sharers) or (post_ids is not None and len(post_ids) != len(shared)):
        raise ValueError("shared, sharers and post_ids must have the same length")
    keys, (source, target) = index_keys(shared, sharers)
    if post_ids is not None:
        _, (post,) = index_keys(post_ids)
        if (post == UNKNOWN).any():
            raise ValueError("a post id is empty: every share needs its own id")
        rows = first_rows(post, source == UNKNOWN, target == UNKNOWN, source, target)
        source, target = source[rows], target[rows]

    return _network(source, target, len(keys), lambda used: pick(keys, used.tolist()))


def build_user_network_of_ids(shared: NDArray[np.int64], sharers: NDArray[np.int64]) -> UserNetwork:
    """The user network of shares between accounts that are numbers: `users` are these in decimals.

    For great windows: what `build_user_network` does with text in Python is done here by numpy.
    Users are sorted by number, and every row is a share of its own. A negative number is an
    account that is not known.

    shared, sharers: int64 (n,).   Cost: O(n log n); 0.5 s and 100 MB at 10^6 shares.
    Raises: ValueError on unequal lengths.

    >>> net = build_user_network_of_ids(np.array([9, 10, 9, 9]), np.array([10, 9, 10, 9]))
    >>> net.users, net.source.tolist(), net.weight.tolist(), net.n_self_shares
    (('9', '10'), [0, 1], [2, 1], 1)
    """
    if len(shared) != len(sharers):
        raise ValueError("shared and sharers must have the same length")
    keys, (source, target) = index_integers(shared, sharers)
    return _network(source, target, len(keys), lambda used: tuple(map(str, keys[used].tolist())))


#: What more accounts than this have shared brings no two of them together, and costs the square.
MAX_SHARERS = 2_000


def build_co_share_network(
    roots: Sequence[str], sharers: Sequence[str | None], max_sharers: int = MAX_SHARERS
) -> UserNetwork:
    """Who shares the same: an edge's weight is how many roots both accounts have shared.

    It needs not to know who wrote what was shared, and finds people who read the same sources and
    never share each other. An account counts once per root. Edges have no direction; `source` is
    the smaller key. Roots with more than `max_sharers` accounts are left out.

    roots, sharers: one row per share, in any order; a sharer is None or "" if not known.
    Cost: the sum over roots of the squares of their sharers.
    Source: the co-retweet network of Pacheco et al., ICWSM 2021, without its time window.
    Raises: ValueError on unequal lengths.

    >>> net = build_co_share_network(["1", "1", "2", "2", "2"], ["b", "a", "a", "b", "c"])
    >>> net.users, net.source.tolist(), net.target.tolist(), net.weight.tolist()
    (('a', 'b', 'c'), [0, 0, 1], [1, 2, 2], [2, 1, 1])
    """
    if len(roots) != len(sharers):
        raise ValueError("roots and sharers must have the same length")
    _, (root,) = index_keys(roots)
    keys, (sharer,) = index_keys(sharers)
    is_known = (sharer != UNKNOWN) & (root != UNKNOWN)
    pairs = np.unique(np.column_stack([root[is_known], sharer[is_known]]), axis=0)
    n_sharers = np.bincount(pairs[:, 0]) if len(pairs) else np.zeros(0, dtype=np.int64)
    pairs = pairs[n_sharers[pairs[:, 0]] <= max_sharers]
    shape = (int(pairs[:, 0].max()) + 1 if len(pairs) else 0, len(keys))
    shared = sparse.csr_matrix((np.ones(len(pairs), np.int64), pairs.T), shape=shape)
    both = sparse.triu(shared.T @ shared, k=1).tocoo()
    order = np.lexsort((both.col, both.row))
    low, high = both.row[order].astype(np.int64), both.col[order].astype(np.int64)
    is_used = np.zeros(len(keys), dtype=bool)
    is_used[low] = is_used[high] = True
    node = np.cumsum(is_used) - 1
    weight = both.data[order].astype(np.int64)
    return UserNetwork(
        users=pick(keys, np.flatnonzero(is_used).tolist()),
        source=node[low],
        target=node[high],
        weight=weight,
        n_shares=int(weight.sum()),
        n_self_shares=0,
        n_unknown_authors=0,
    )


def _network(
    source: NDArray[np.int64],
    target: NDArray[np.int64],
    n_keys: int,
    name: Callable[[NDArray[np.int64]], tuple[str, ...]],
) -> UserNetwork:
    is_known = (source != UNKNOWN) & (target != UNKNOWN)
    is_edge = is_known & (source != target)
    n_self_shares, n_unknown = int((is_known & ~is_edge).sum()), int((~is_known).sum())
    pairs, weight = np.unique(
        source[is_edge] * max(n_keys, 1) + target[is_edge], return_counts=True
    )
    first, second = np.divmod(pairs, max(n_keys, 1))
    # only users whom an edge touches are nodes; sorted codes keep the order of the keys
    is_used = np.zeros(n_keys, dtype=bool)
    is_used[first] = is_used[second] = True
    node = np.cumsum(is_used) - 1
    return UserNetwork(
        users=name(np.flatnonzero(is_used)),
        source=node[first],
        target=node[second],
        weight=weight.astype(np.int64),
        n_shares=len(source),
        n_self_shares=n_self_shares,
        n_unknown_authors=n_unknown,
    )


def collapse(
    source: NDArray[np.int64], target: NDArray[np.int64], weight: NDArray[np.int64], n_nodes: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The undirected network: weights of both directions summed, ends as low < high, sorted.

    >>> a = np.array
    >>> [column.tolist() for column in collapse(a([0, 1, 2]), a([1, 0, 0]), a([5, 1, 2]), 3)]
    [[0, 0], [1, 2], [6, 2]]
    """
    low, high = np.minimum(source, target), np.maximum(source, target)
    pairs, place = np.unique(low * n_nodes + high, return_inverse=True)
    low, high = np.divmod(pairs, max(n_nodes, 1))
    return low, high, sum_at(place, weight, len(pairs))


def sum_at(place: NDArray[np.int64], weight: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """Sums of the weights that fall on each place (exact: bincount would go through floats)."""
    total = np.zeros(length, dtype=np.int64)
    np.add.at(total, place, weight)
    return total
