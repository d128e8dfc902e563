"""Cascades as trees: who passed on what from whom, where a platform says so.

Some platforms tell the path: a Bluesky repost names the repost it came through (`via`), a reply
names what it answers, and research data sets come with parents. Then a cascade has a depth, and
breadth, speed and structural virality mean something. On platforms that name only the root
(`graph.propagation`) every cascade is a star; `explain_depth` says so in words.

What is dirty stays visible: a parent that was not seen makes its child the top of a tree of its own
and is counted; parents that go round in a circle are cut at the earliest post; a post older than
its parent keeps its parent and its negative delay, and counts as 0 seconds after the root.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from graph.keys import UNKNOWN, distinct, first_rows, index_keys, pick

_MICROSECONDS = 1_000_000.0

Ids = NDArray[np.int64]
Seconds = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True)
class Forest:
    """Posts and the post that each came through, as trees. n posts, c trees, u users."""

    #: (n,) sorted; node i is the post post_ids[i].
    post_ids: tuple[str, ...]
    #: (n,) microseconds since 1970, UTC.
    posted_at_us: Ids
    #: (n,) author of each post as index into `users`, -1 if not known.
    user: Ids
    #: (u,) sorted.
    users: tuple[str, ...]
    #: (n,) node of the parent, -1 for the top of a tree.
    parent: Ids
    #: (n,) steps from the top of the tree, 0 there.
    depth: Ids
    #: (n,) the tree of each post, numbered in the order of their tops.
    tree: Ids
    #: (c,) the node at the top of each tree, ascending.
    top: Ids
    #: (c,) True where the top names a parent that was not seen: the cascade began elsewhere.
    is_cut: NDArray[np.bool_]
    #: (n,) time since the parent, seconds; negative where clocks disagree, NaN at a top.
    delay_seconds: Seconds
    #: Rows given whose post id had been given before.
    n_duplicates: int
    #: Circles of parents that were cut.
    n_circles: int

    @property
    def n_trees(self) -> int:
        return len(self.top)

    @property
    def goes_back(self) -> NDArray[np.bool_]:
        """(n,) True for posts that claim to be older than their parent."""
        return self.delay_seconds < 0

    @property
    def size(self) -> Ids:
        """(c,) posts of each tree, its top included."""
        return np.bincount(self.tree, minlength=self.n_trees).astype(np.int64)

    @property
    def since_top_seconds(self) -> Seconds:
        """(n,) time since the top of the tree, never negative: posts before it count as 0."""
        seconds = (self.posted_at_us - self.posted_at_us[self.top[self.tree]]) / _MICROSECONDS
        return np.maximum(seconds, 0.0)


def build_forest(
    post_ids: Sequence[str],
    parent_ids: Sequence[str | None],
    posted_at_us: ArrayLike,
    users: Sequence[str | None],
) -> Forest:
    """The trees of these posts, given as parallel columns in any order.

    parent_ids: the post that each one was found through; None, "" or its own id if there is none.
    A post id counts once: of rows with the same id the one with the earliest time is kept, then one
    with an older parent, with a parent not seen, without one, with one of the same moment, with a
    younger one, then one with a known user. So neither repetition nor order changes the result.

    posted_at_us: int (n,), microseconds since 1970, UTC.
    Cost: O(n log n), and a numpy step for each level of the deepest tree.
    Raises: ValueError if the columns differ in length or a post id is empty.

    >>> forest = build_forest(["a", "b", "c", "d"], [None, "a", "b", "gone"],
    ...                       [0, 5_000_000, 3_000_000, 9], ["ann", "bob", None, "dan"])
    >>> forest.parent.tolist(), forest.depth.tolist(), forest.delay_seconds.tolist()
    ([-1, 0, 1, -1], [0, 1, 2, 0], [nan, 5.0, -2.0, nan])
    >>> forest.top.tolist(), forest.is_cut.tolist()
    ([0, 3], [False, True])
    """
    times = np.asarray(posted_at_us, dtype=np.int64)
    if not len(post_ids) == len(parent_ids) == len(times) == len(users):
        raise ValueError("post_ids, parent_ids, posted_at_us and users must have the same length")
    ids, (own, named) = index_keys(post_ids, parent_ids)
    if (own == UNKNOWN).any():
        raise ValueError("a post id is empty: every post needs its own id")
    user_keys, (user,) = index_keys(users)
    named = np.where(named == own, UNKNOWN, named)
    rows = first_rows(
        own, times, _unlikeliness(own, named, times, len(ids)), named, user == UNKNOWN, user
    )
    own, named, times, user = own[rows], named[rows], times[rows], user[rows]

    node_of = np.full(len(ids) + 1, -1, dtype=np.int64)  # the last place is for UNKNOWN
    node_of[own] = np.arange(len(own))
    parent = node_of[named]
    is_missing = (named != UNKNOWN) & (parent < 0)
    n_circles = _cut_circles(parent, times)
    top = np.flatnonzero(parent < 0)
    depth, tree = _descend(parent, top)
    delay = np.full(len(own), np.nan)
    below = parent >= 0
    delay[below] = (times[below] - times[parent[below]]) / _MICROSECONDS
    return Forest(
        post_ids=pick(ids, own.tolist()),
        posted_at_us=times,
        user=user,
        users=user_keys,
        parent=parent,
        depth=depth,
        tree=tree,
        top=top,
        is_cut=is_missing[top],
        delay_seconds=delay,
        n_duplicates=len(post_ids) - len(own),
        n_circles=n_circles,
    )


def _unlikeliness(own: Ids, named: Ids, times: Ids, n_ids: int) -> Ids:
    """0: an older parent; 1: one not seen; 2: none; 3: one of the same moment; 4: a younger one."""
    never = int(np.iinfo(np.int64).max)
    time_of = np.full(n_ids + 1, never, dtype=np.int64)  # the last place is for UNKNOWN
    np.minimum.at(time_of, own, times)
    unlikeliness = np.select([time_of[named] < times, time_of[named] == times], [0, 3], 4)
    unlikeliness[time_of[named] == never] = 1
    unlikeliness[named == UNKNOWN] = 2
    return unlikeliness


def _cut_circles(parent: Ids, times: Ids) -> int:
    """Takes the parent of the earliest post of each circle away; how many there were."""
    n_children = np.bincount(parent[parent >= 0], minlength=len(parent))
    # leaves fall off until only circles are left: a post on a circle always keeps a child
    alive = np.ones(len(parent), dtype=bool)
    leaves = np.flatnonzero(n_children == 0)
    while len(leaves):
        alive[leaves] = False
        above = parent[leaves]
        above = above[above >= 0]
        np.subtract.at(n_children, above, 1)
        above = distinct(above)
        leaves = above[n_children[above] == 0]
    # what is left of a tree without a circle is nothing: its top has no child any more
    n_circles = 0
    for node in np.flatnonzero(alive).tolist():
        if not alive[node]:
            continue
        circle = []
        while alive[node]:
            alive[node] = False
            circle.append(node)
            node = int(parent[node])
        first = min(circle, key=lambda post: (times[post], post))
        parent[first] = -1
        n_circles += 1
    return n_circles


def _descend(parent: Ids, top: Ids) -> tuple[Ids, Ids]:
    """Depth and tree of each post, level by level from the tops."""
    depth = np.zeros(len(parent), dtype=np.int64)
    tree = np.full(len(parent), -1, dtype=np.int64)
    tree[top] = np.arange(len(top))
    child = np.flatnonzero(parent >= 0)
    child = child[np.argsort(parent[child], kind="stable")]
    n_children = np.bincount(parent[child], minlength=len(parent))
    start = np.cumsum(n_children) - n_children
    level = top
    while len(level):
        n_below = n_children[level]
        offset = np.arange(n_below.sum()) - np.repeat(np.cumsum(n_below) - n_below, n_below)
        below = child[np.repeat(start[level], n_below) + offset]
        depth[below] = depth[parent[below]] + 1
        tree[below] = tree[parent[below]]
        level = below
    return depth, tree


@dataclass(frozen=True, eq=False, kw_only=True)
class CascadeShapes:
    """One row per tree, in the order of `Forest.top`; every array is (c,)."""

    #: The post at the top.
    top_ids: tuple[str, ...]
    #: Posts, the top included.
    size: Ids
    #: Distinct known users.
    n_users: Ids
    #: Longest path from the top, steps.
    depth: Ids
    #: Most posts at one depth.
    breadth: Ids
    #: Mean distance of all pairs, steps: `graph.virality.structural_virality`.
    structural_virality: Seconds
    #: From the top to the post that makes half of all later ones; NaN for a top alone.
    half_life_seconds: Seconds
    #: From the top to its last post; 0.0 for a top alone.
    duration_seconds: Seconds
    #: Posts that claim to be older than their parent.
    n_back_in_time: Ids
    #: True where the top names a parent that was not seen.
    is_cut: NDArray[np.bool_]


def measure_cascades(forest: Forest) -> CascadeShapes:
    """Size, breadth, depth, speed and structural virality of each tree.

        half_life = min t such that |{posts within t after the top}| >= (size - 1) / 2   [seconds]
        nu        = 2 / (n (n - 1)) * sum over edges of s (n - s)                        [steps]

    with s the posts below an edge: a pass over the levels gives all s, so nu costs O(n) and equals
    the mean over all pairs. nu is 0.0 for a top alone.
    Source: Goel, Anderson, Hofman, Watts, Management Science 62(1), 2016; Vosoughi, Roy, Aral,
    Science 359, 2018 (size, depth, breadth, speed).

    Cost: O(n log n).

    >>> forest = build_forest(["a", "b", "c", "d"], [None, "a", "b", "b"],
    ...                       [0, 1_000_000, 2_000_000, 9_000_000], ["u", "v", "v", "w"])
    >>> shapes = measure_cascades(forest)
    >>> [x.tolist() for x in (shapes.size, shapes.depth, shapes.breadth, shapes.n_users)]
    [[4], [2], [2], [3]]
    >>> shapes.structural_virality.tolist(), shapes.half_life_seconds.tolist()
    ([1.5], [2.0])
    """
    n_trees, size = forest.n_trees, forest.size
    levels = count_breadth(forest)
    deepest = np.zeros(n_trees, dtype=np.int64)
    np.maximum.at(deepest, forest.tree, forest.depth)
    breadth = np.zeros(n_trees, dtype=np.int64)
    np.maximum.at(breadth, levels.tree, levels.n_posts)
    duration = np.zeros(n_trees)
    np.maximum.at(duration, forest.tree, forest.since_top_seconds)
    known = forest.user >= 0
    pairs = distinct(forest.tree[known] * max(len(forest.users), 1) + forest.user[known])
    return CascadeShapes(
        top_ids=pick(forest.post_ids, forest.top.tolist()),
        size=size,
        n_users=np.bincount(pairs // max(len(forest.users), 1), minlength=n_trees).astype(np.int64),
        depth=deepest,
        breadth=breadth,
        structural_virality=_structural_virality(forest, size),
        half_life_seconds=_time_to_rank(forest, size // 2, size),
        duration_seconds=duration,
        n_back_in_time=np.bincount(forest.tree[forest.goes_back], minlength=n_trees).astype(
            np.int64
        ),
        is_cut=forest.is_cut,
    )


def _structural_virality(forest: Forest, size: Ids) -> Seconds:
    n_below = np.ones(len(forest.parent), dtype=np.int64)
    order = np.argsort(forest.depth, kind="stable")
    bounds = np.searchsorted(
        forest.depth[order], np.arange(1, int(forest.depth.max(initial=0)) + 2)
    )
    for end, start in zip(bounds[::-1][:-1], bounds[::-1][1:], strict=True):  # deepest level first
        level = order[start:end]
        np.add.at(n_below, forest.parent[level], n_below[level])
    edge = np.flatnonzero(forest.parent >= 0)
    tree = forest.tree[edge]
    # in floats: s (n - s) summed over a chain of 10^6 posts passes 10^17
    hops = n_below[edge] * (size[tree] - n_below[edge]).astype(np.float64)
    total = np.bincount(tree, weights=hops, minlength=len(size))
    n_pairs = size * (size - 1.0) / 2
    return np.divide(total, n_pairs, out=np.zeros(len(size)), where=n_pairs > 0)


def _time_to_rank(forest: Forest, rank: Ids, size: Ids) -> Seconds:
    """When the rank-th post (from 1) after the top came, per tree; NaN for ranks out of reach."""
    since = forest.since_top_seconds
    below = np.flatnonzero(forest.parent >= 0)
    below = below[np.lexsort((since[below], forest.tree[below]))]
    start = np.cumsum(size - 1) - (size - 1)
    seconds = np.full(len(size), np.nan)
    reached = (rank >= 1) & (rank <= size - 1)
    seconds[reached] = since[below][(start + rank - 1)[reached]]
    return seconds


def time_to(forest: Forest, n_posts: int) -> Seconds:
    """Seconds from the top of each tree to its n-th post after it; NaN where it has fewer. (c,)

    Viral in Trivedi et al. 2021 is a post with 1,000 retweets: `time_to(forest, 1000)`.
    Cost: O(n log n).   Raises: ValueError if n_posts < 1.

    >>> forest = build_forest(["a", "b", "c"], [None, "a", "a"], [0, 7_000_000, 3_000_000],
    ...                       [None, None, None])
    >>> time_to(forest, 1).tolist(), time_to(forest, 2).tolist(), time_to(forest, 3).tolist()
    ([3.0], [7.0], [nan])
    """
    if n_posts < 1:
        raise ValueError(f"n_posts is {n_posts}; it must be at least 1")
    return _time_to_rank(forest, np.full(forest.n_trees, n_posts), forest.size)


@dataclass(frozen=True, eq=False, kw_only=True)
class Breadths:
    """Posts at each depth of each tree: sorted by tree, then depth; depths from 0 without gaps."""

    tree: Ids
    depth: Ids
    n_posts: Ids


def count_breadth(forest: Forest) -> Breadths:
    """How many posts stand at each depth of each tree.

    Cost: O(n log n).

    >>> forest = build_forest(["a", "b", "c", "d"], [None, "a", "a", "c"], [0] * 4, [None] * 4)
    >>> count_breadth(forest).n_posts.tolist()
    [1, 2, 1]
    """
    width = int(forest.depth.max(initial=0)) + 1
    pairs, n_posts = np.unique(forest.tree * width + forest.depth, return_counts=True)
    tree, depth = np.divmod(pairs, width)
    return Breadths(tree=tree, depth=depth, n_posts=n_posts.astype(np.int64))


def explain_depth(forest: Forest) -> str:
    """What the depth of these cascades can and cannot tell, in words.

    >>> explain_depth(build_forest(["a", "b"], [None, "a"], [0, 1], ["u", "v"]))
    'Every cascade has depth 1: the source names the root of a share, not the share through which \
it was found. Who passed it on to whom is hidden, and structural virality says the size only.'
    """
    if len(forest.post_ids) == forest.n_trees:
        said = "No post names a parent: there is no path to follow."
    elif (deepest := int(forest.depth.max())) == 1:
        said = (
            "Every cascade has depth 1: the source names the root of a share, not the share through"
            " which it was found. Who passed it on to whom is hidden, and structural virality says"
            " the size only."
        )
    else:
        said = (
            f"Cascades are up to {deepest} steps deep, along the parents that the source names."
            " Posts that were not collected, and readers who passed nothing on, are not in it."
        )
    if n_cut := int(forest.is_cut.sum()):
        said += f" {n_cut} of {forest.n_trees} trees begin at a post whose parent was not seen."
    if n_back := int(forest.goes_back.sum()):
        said += f" {n_back} posts claim to be older than their parent."
    return said
