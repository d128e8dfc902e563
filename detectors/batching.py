"""Which posts go through the model together: sorted by length, with little padding.

The plan may change with the neighbours of a post; its score may not. So the length to which a post
is padded depends on its own tokens alone, and what else a kernel's result may depend on is fixed
by the engine's Grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Grid(NamedTuple):
    """The shapes that an engine computes in.

    tokens: lengths are padded to multiples of this. rows: batches to multiples of this many posts.
    max_rows, max_tokens: a batch has at most so many posts, and at most so many tokens (padding
    included) unless one multiple of `rows` is more already. rows == max_rows is one fixed shape per
    length.
    """

    tokens: int
    rows: int
    max_rows: int
    max_tokens: int


class Batch(NamedTuple):
    """indices: which posts, in order. n_tokens: to how many tokens each is padded. n_rows: how many
    rows the batch has, at least as many as posts."""

    indices: tuple[int, ...]
    n_tokens: int
    n_rows: int


def padded(n: int, multiple: int) -> int:
    """n, rounded up.

    >>> padded(1, 16), padded(16, 16), padded(17, 16)
    (16, 16, 32)
    """
    return -(-n // multiple) * multiple


def plan_batches(token_counts: Sequence[int], grid: Grid) -> list[Batch]:
    """Batches that hold each post once: longest first, each of one padded length.

    token_counts: (posts,), at least 1 each. Cost: O(n log n). Longest first, so that the memory
    which the first batch takes is enough for all.

    >>> plan_batches([3, 20, 5, 16], Grid(tokens=16, rows=2, max_rows=4, max_tokens=64))
    [Batch(indices=(1,), n_tokens=32, n_rows=2), Batch(indices=(3, 2, 0), n_tokens=16, n_rows=4)]
    """
    if not token_counts:
        return []
    counts = np.asarray(token_counts)
    order = np.argsort(-counts, kind="stable")
    lengths = -(-counts[order] // grid.tokens) * grid.tokens
    ends = np.append(np.flatnonzero(np.diff(lengths)) + 1, len(lengths))
    batches = []
    start = 0
    for end in ends.tolist():
        n_tokens = int(lengths[start])
        n_most = max(grid.rows, min(grid.max_rows, grid.max_tokens // n_tokens))
        n_most -= n_most % grid.rows
        for first in range(start, end, n_most):
            indices = order[first : min(first + n_most, end)].tolist()
            batches.append(Batch(tuple(indices), n_tokens, padded(len(indices), grid.rows)))
        start = end
    return batches
