"""Which posts go through the model together: sorted by length, with little padding.

The plan may change with the neighbours of a post; its score may not. So the length to which a post
is padded depends on its own tokens alone, and what else a kernel's result may depend on is fixed
by the engine's Grid. Or the engine takes posts of any length together (Mixed).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


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


class Mixed(NamedTuple):
    """Posts of all lengths in one batch, of about so many tokens: for an engine that computes no
    padding, and whose results depend on nothing but the post."""

    tokens: int


#: A batch of fewer tokens is not worth a thread of its own.
LEAST_TOKENS = 128


class Batch(NamedTuple):
    """indices: which posts, in order. n_tokens: to how many tokens each is padded; if mixed, how
    many the longest has. n_rows: how many rows the batch has, at least as many as posts."""

    indices: tuple[int, ...]
    n_tokens: int
    n_rows: int


def padded(n: int, multiple: int) -> int:
    """n, rounded up.

    >>> padded(1, 16), padded(16, 16), padded(17, 16)
    (16, 16, 32)
    """
    return -(-n // multiple) * multiple


def plan_batches(
    token_counts: Sequence[int], grid: Grid | Mixed, n_workers: int = 1
) -> list[Batch]:
    """Batches that hold each post once, longest first: each of one padded length; or mixed, all of
    about the same number of tokens, and a multiple of n_workers unless they would be too small.

    token_counts: (posts,), at least 1 each. Cost: O(n log n). Longest first, so that the memory
    which the first batch takes is enough for all.

    >>> plan_batches([3, 20, 5, 16], Grid(tokens=16, rows=2, max_rows=4, max_tokens=64))
    [Batch(indices=(1,), n_tokens=32, n_rows=2), Batch(indices=(3, 2, 0), n_tokens=16, n_rows=4)]
    >>> plan_batches([3, 20, 5, 16], Mixed(tokens=40))
    [Batch(indices=(1, 3), n_tokens=20, n_rows=2), Batch(indices=(2, 0), n_tokens=5, n_rows=2)]
    """
    if not token_counts:
        return []
    counts = np.asarray(token_counts)
    order = np.argsort(-counts, kind="stable")
    if isinstance(grid, Mixed):
        lengths, rows = counts[order], 1
        cuts = _even_cuts(lengths, grid.tokens, n_workers)
    else:
        lengths, rows = -(-counts[order] // grid.tokens) * grid.tokens, grid.rows
        cuts = _cuts_by_length(lengths, grid)
    return [
        Batch(tuple(order[first:end].tolist()), int(lengths[first]), padded(end - first, rows))
        for first, end in pairwise(cuts)
    ]


def _cuts_by_length(lengths: Ints, grid: Grid) -> list[int]:
    """Where batches begin, and the end. lengths: padded, falling."""
    ends = np.append(np.flatnonzero(np.diff(lengths)) + 1, len(lengths))
    cuts = [0]
    for end in ends.tolist():
        start = cuts[-1]
        n_most = max(grid.rows, min(grid.max_rows, grid.max_tokens // int(lengths[start])))
        n_most -= n_most % grid.rows
        cuts += [*range(start + n_most, end, n_most), end]
    return cuts


def _even_cuts(lengths: Ints, tokens: int, n_workers: int) -> list[int]:
    """The same. lengths: falling."""
    before = np.concatenate([[0], np.cumsum(lengths)])
    total = int(before[-1])
    n_needed = -(-total // tokens)
    n_batches = max(n_needed, min(padded(n_needed, n_workers), total // LEAST_TOKENS))
    marks = np.arange(n_batches + 1) * total / n_batches
    cuts: list[int] = np.unique(np.searchsorted(before, marks)).tolist()
    return cuts
