"""Which hashtags are used together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from graph.keys import index_keys
from graph.users import sum_at


@dataclass(frozen=True, eq=False, kw_only=True)
class HashtagNetwork:
    """Undirected: hashtags, and an edge between two that stand in the same post. t tags, m edges.

    Trivedi et al. 2021, section 4.2. A post with k tags makes k (k - 1) / 2 pairs, so posts that
    carry lists of tags weigh most.
    """

    #: (t,) in sorted order.
    tags: tuple[str, ...]
    #: (t,) posts that use each tag.
    uses: NDArray[np.int64]
    #: (m,) the tag that sorts first; edges are distinct and sorted by (tag_a, tag_b).
    tag_a: NDArray[np.int64]
    #: (m,) the tag that sorts last.
    tag_b: NDArray[np.int64]
    #: (m,) posts that use both.
    weight: NDArray[np.int64]


def build_hashtag_network(posts: Iterable[tuple[Collection[str], int]]) -> HashtagNetwork:
    """The co-occurrence network of posts given as (tags, weight), in any order.

    weight: how often the post counts: 1, or its number of shares + 1. Tags are keys as
    `streams.records.hashtag_key` makes them; the same tag twice in a post counts once.

    Cost: O(pairs log pairs) time and O(pairs) memory.   Raises: ValueError on a negative weight.

    >>> net = build_hashtag_network([({"a", "b"}, 1), (["b", "a", "b"], 2), ({"c"}, 1)])
    >>> net.tags, net.uses.tolist()
    (('a', 'b', 'c'), [3, 3, 1])
    >>> net.tag_a.tolist(), net.tag_b.tolist(), net.weight.tolist()
    ([0], [1], [3])
    """
    # posts with equally many tags are one matrix, so that all their pairs are taken at once
    by_length: dict[int, list[tuple[list[str], int]]] = defaultdict(list)
    for given, times in posts:
        if times < 0:
            raise ValueError(f"a post counts {times} times; it must be at least 0")
        distinct = sorted(set(given))
        by_length[len(distinct)].append((distinct, times))

    flat = [tag for group in by_length.values() for tags, _ in group for tag in tags]
    keys, (codes,) = index_keys(flat)
    n_keys = max(len(keys), 1)
    uses = np.zeros(len(keys), dtype=np.int64)
    pair_parts, weight_parts = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    start = 0
    for length, group in by_length.items():
        end = start + length * len(group)
        rows = codes[start:end].reshape(len(group), length)  # ascending in each row
        counts = np.array([times for _, times in group], dtype=np.int64)
        np.add.at(uses, rows, counts[:, None])
        first, second = np.triu_indices(length, k=1)
        pair_parts.append((rows[:, first] * n_keys + rows[:, second]).ravel())
        weight_parts.append(np.repeat(counts, len(first)))
        start = end
    pairs, place = np.unique(np.concatenate(pair_parts), return_inverse=True)
    tag_a, tag_b = np.divmod(pairs, n_keys)
    return HashtagNetwork(
        tags=keys,
        uses=uses,
        tag_a=tag_a,
        tag_b=tag_b,
        weight=sum_at(place, np.concatenate(weight_parts), len(pairs)),
    )
