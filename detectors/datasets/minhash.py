"""Texts of which nearly the whole is the same, found among many by MinHash and bands.

    J(A, B) = |A & B| / |A | B|                                  of two sets of shingles
    P(min of a random hash over A = that over B) = J(A, B)       so equal minima estimate J
    P(a pair is looked at) = 1 - (1 - J^rows)^bands              rows * bands <= N_HASHES

Whatever is looked at is compared exactly, so no pair is found that is not one; a pair at the very
limit is missed with a chance of at most MAX_MISSED, one above it less often.
Source: Broder, "On the resemblance and containment of documents", 1997; Leskovec, Rajaraman,
Ullman, Mining of Massive Datasets, 3.3 and 3.4.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

N_HASHES = 128
MAX_MISSED = 1e-3


class Bands(NamedTuple):
    """How the minima are cut: as many bands of so many rows."""

    bands: int
    rows: int


def bands_for(near: float) -> Bands:
    """The longest bands that miss a pair with J = near at most MAX_MISSED often: the longer, the
    fewer pairs are looked at in vain.

    >>> bands_for(0.8), bands_for(0.5)
    (Bands(bands=25, rows=5), Bands(bands=64, rows=2))
    """
    for rows in range(N_HASHES, 1, -1):
        bands = N_HASHES // rows
        if (1 - near**rows) ** bands <= MAX_MISSED:
            return Bands(bands, rows)
    return Bands(N_HASHES, 1)


def jaccard(first: frozenset[str], second: frozenset[str]) -> float:
    """The share of all shingles of two texts that both have; 1.0 for two empty sets.

    >>> jaccard(frozenset("abc"), frozenset("bcd"))
    0.5
    """
    both = len(first | second)
    return len(first & second) / both if both else 1.0


def signatures(sets: Sequence[frozenset[str]], seed: int = 0) -> NDArray[np.uint32]:
    """The minima of each set under N_HASHES hash functions, (sets, N_HASHES).

    A hash is the upper half of a x + b mod 2^64, a odd, of a 64-bit digest x of the shingle.
    Same sets and seed, same bits. Cost: N_HASHES multiplications a shingle.
    """
    rng = np.random.default_rng(seed)
    factors = rng.integers(0, 2**63, N_HASHES, dtype=np.uint64) * 2 + 1
    offsets = rng.integers(0, 2**63, N_HASHES, dtype=np.uint64)
    found = np.full((len(sets), N_HASHES), 2**32 - 1, dtype=np.uint32)
    for i, own in enumerate(sets):
        if own:
            digests = b"".join(
                blake2b(shingle.encode(errors="surrogatepass"), digest_size=8).digest()
                for shingle in own
            )
            x = np.frombuffer(digests, dtype="<u8")[:, None]  # (shingles, 1)
            found[i] = ((factors * x + offsets) >> np.uint64(32)).min(axis=0)
    return found


def near_pairs(sets: Sequence[frozenset[str]], near: float, seed: int = 0) -> list[tuple[int, int]]:
    """The pairs i < j with J >= near, sorted. Of sets that are equal only the first is compared
    with the others, and each of the rest is paired with it alone.

    near: in (0, 1]. Cost: about linear in the shingles, as long as few pairs are near.

    >>> near_pairs([frozenset(s) for s in ("abcd", "abcde", "xyz", "abcd")], 0.8)
    [(0, 1), (0, 3)]
    """
    first_with: dict[frozenset[str], int] = {}
    pairs: list[tuple[int, int]] = []
    for i, own in enumerate(sets):
        first = first_with.setdefault(own, i)
        if first != i:
            pairs.append((first, i))
    distinct = list(first_with.values())
    minima = signatures([sets[i] for i in distinct], seed)
    bands, rows = bands_for(near)
    seen: set[tuple[int, int]] = set()
    for band in range(bands):
        buckets: dict[bytes, list[int]] = defaultdict(list)
        part = np.ascontiguousarray(minima[:, band * rows : (band + 1) * rows])
        for i, row in zip(distinct, part, strict=True):
            for other in buckets[row.tobytes()]:
                seen.add((other, i))
            buckets[row.tobytes()].append(i)
    pairs += [pair for pair in seen if jaccard(sets[pair[0]], sets[pair[1]]) >= near]
    return sorted(pairs)


def repetitions(sets: Sequence[frozenset[str]], near: float) -> list[bool]:
    """Which texts are near one before them that is none itself: what is left out to have each once.

    >>> repetitions([frozenset(s) for s in ("abcd", "abcde", "xyz", "abcd")], 0.8)
    [False, True, False, True]
    """
    before: dict[int, list[int]] = defaultdict(list)
    for i, j in near_pairs(sets, near):
        before[j].append(i)
    repeats = [False] * len(sets)
    for j in range(len(sets)):
        repeats[j] = any(not repeats[i] for i in before[j])
    return repeats
