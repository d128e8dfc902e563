"""Groups of texts or pictures that are near copies of each other: the objects of co-text and
co-image networks.

Copies are compared pairwise only where a cheap index says that they may be near (bands of a MinHash
for texts, equal parts of the bits for pictures), and then exactly. Groups are what such pairs
connect, so a chain of small changes is one group.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Ids = NDArray[np.int64]

#: Texts with this Jaccard overlap of their word triples are near copies: of 14 words one changed
#: leaves 0.6, two beside each other 0.5.
NEAR_FROM = 0.5
#: Texts of fewer words are written by many people without any plan ("good morning").
MIN_WORDS = 5
SHINGLE_WORDS = 3

#: 24 bands of 3 rows find a pair of overlap 0.5 with probability 0.96, of 0.6 with 0.997, and one
#: of 0.2 with 0.18 (1 - (1 - s^3)^24); what they find is then compared exactly.
N_BANDS, N_ROWS = 24, 3

#: Pictures whose 64-bit perceptual hashes differ in at most so many bits are near copies.
MAX_BITS = 6

#: Members of one bucket that are compared with each other: more are compared with the first only.
_BUCKET_LIMIT = 50


def words_of(text: str) -> tuple[str, ...]:
    """The words that are compared: folded, without links, names and the signs around words.

    >>> words_of("RT @bob: Look, WATER! https://t.co/x #Truth")
    ('rt', 'look', 'water', 'truth')
    """
    kept = []
    for word in text.casefold().split():
        if word.startswith(("http://", "https://", "@")):
            continue
        plain = word.strip("".join({sign for sign in word if not sign.isalnum()}))
        if plain:
            kept.append(plain)
    return tuple(kept)


def group_texts(texts: Sequence[str | None], near_from: float = NEAR_FROM) -> Ids:
    """The group of each text: (n,) int, -1 for texts of fewer than MIN_WORDS words and for None.

        near: |A & B| / |A | B| >= near_from,  A, B: triples of successive words

    A group is numbered by its first text; a text without a near copy is a group of its own. MinHash
    may miss a pair near the threshold (see N_BANDS), the same one in every run.
    Source: Broder, "On the resemblance and containment of documents", 1997; bands: Leskovec,
    Rajaraman, Ullman, Mining of Massive Datasets, chapter 3.

    Cost: O(words) and the pairs of equal bands; 3 s for 10^5 distinct tweets.
    Raises: ValueError unless 0 < near_from <= 1.

    >>> one = "they are putting secret chemicals in our tap water and nobody talks about it"
    >>> group_texts([one, "good morning", one.replace("nobody", "no one") + " https://t.co/1",
    ...              "the harbour fair opens at ten in the morning today"]).tolist()
    [0, -1, 0, 3]
    """
    if not 0 < near_from <= 1:
        raise ValueError(f"near_from is {near_from}; it must lie in (0, 1]")
    words = [words_of(text or "") for text in texts]
    first_of: dict[tuple[str, ...], int] = {}
    for i, said in enumerate(words):
        if len(said) >= MIN_WORDS:
            first_of.setdefault(said, i)
    distinct = list(first_of)
    triples = [_triples(said) for said in distinct]
    number = {said: i for i, said in enumerate(distinct)}
    group = _connect(len(distinct), _near_texts(triples, near_from))
    leader = _leaders(group, np.fromiter(first_of.values(), np.int64, len(distinct)))
    return np.array(
        [leader[number[said]] if said in number else -1 for said in words], dtype=np.int64
    )


def _triples(words: tuple[str, ...]) -> frozenset[int]:
    return frozenset(
        int.from_bytes(blake2b(" ".join(words[i : i + SHINGLE_WORDS]).encode(
            "utf-8", "surrogatepass"), digest_size=8).digest(), "big")
        for i in range(len(words) - SHINGLE_WORDS + 1)
    )  # fmt: skip


def _near_texts(triples: Sequence[frozenset[int]], near_from: float) -> Iterator[tuple[int, int]]:
    if not triples:
        return
    hashes = np.array([h for of_text in triples for h in sorted(of_text)], dtype=np.uint64)
    start = np.cumsum([0, *map(len, triples)])[:-1]
    # multiply and shift: odd multipliers, fixed, so that every run finds the same pairs
    odd = np.random.default_rng(1).integers(0, 2**63, (N_BANDS, N_ROWS), dtype=np.uint64) * 2 + 1
    checked: set[tuple[int, int]] = set()
    for band in odd.astype(np.uint64):
        least = np.column_stack(
            [np.minimum.reduceat(_scramble(hashes * factor), start) for factor in band]
        )
        for pair in _pairs_of_equal(least):
            if pair not in checked:
                checked.add(pair)
                a, b = triples[pair[0]], triples[pair[1]]
                if len(a & b) >= near_from * len(a | b):
                    yield pair


def _scramble(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The upper half of a product is well mixed, the lower is not: fold one into the other."""
    return values ^ (values >> np.uint64(32))


def _pairs_of_equal(rows: NDArray[np.uint64]) -> Iterator[tuple[int, int]]:
    """Pairs of equal rows; of great buckets each with the first, and with the next."""
    order = np.lexsort(rows.T)
    ordered = rows[order]
    breaks = np.flatnonzero((ordered[1:] != ordered[:-1]).any(axis=1)) + 1
    for bucket in np.split(order, breaks):
        if len(bucket) > 1:
            members = sorted(bucket.tolist())
            if len(members) <= _BUCKET_LIMIT:
                yield from combinations(members, 2)
            else:
                yield from ((members[0], member) for member in members[1:])
                yield from pairwise(members)


def group_images(phashes: ArrayLike, max_bits: int = MAX_BITS) -> Ids:
    """The group of each picture by its 64-bit perceptual hash: (n,) int, numbered by its first.

        near: popcount(a xor b) <= max_bits

    Exact: of max_bits + 1 parts of the bits at least one is equal in two near hashes, so only
    pictures that share a part are compared.
    Source: Norouzi, Punjani, Fleet, CVPR 2012 (multi-index hashing).

    phashes: uint64 (n,).   Raises: ValueError unless 0 <= max_bits < 16.

    >>> group_images([0b1111, 0b1011, 2**63 - 1]).tolist()
    [0, 0, 2]
    """
    if not 0 <= max_bits < 16:
        raise ValueError(f"max_bits is {max_bits}; it must lie in [0, 16)")
    values = np.asarray(phashes, dtype=np.uint64)
    distinct, first, number = np.unique(values, return_index=True, return_inverse=True)
    group = _connect(len(distinct), _near_images(distinct, max_bits))
    return _leaders(group, first.astype(np.int64))[number]


def _near_images(values: NDArray[np.uint64], max_bits: int) -> Iterator[tuple[int, int]]:
    edges = np.linspace(0, 64, max_bits + 2).astype(int)
    for low, high in pairwise(edges.tolist()):
        part = (values >> np.uint64(low)) & np.uint64((1 << (high - low)) - 1)
        buckets = defaultdict(list)
        for i, key in enumerate(part.tolist()):
            buckets[key].append(i)
        for members in buckets.values():
            if len(members) < 2:
                continue
            of_bucket = values[members]
            for place, i in enumerate(members[:-1]):
                apart = np.bitwise_count(of_bucket[place + 1 :] ^ of_bucket[place])
                for step in np.flatnonzero(apart <= max_bits).tolist():
                    yield i, members[place + 1 + step]


def _connect(n: int, pairs: Iterable[tuple[int, int]]) -> Ids:
    """The connected component of each of n things."""
    ends = np.array(list(pairs), dtype=np.int64).reshape(-1, 2)
    links = coo_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(n, n))
    return connected_components(links, directed=False)[1].astype(np.int64) if n else ends[:, 0]


def _leaders(group: Ids, first: Ids) -> Ids:
    """For each thing the least of `first` in its group."""
    least = np.full(int(group.max()) + 1 if len(group) else 0, np.iinfo(np.int64).max)
    np.minimum.at(least, group, first)
    return least[group]
