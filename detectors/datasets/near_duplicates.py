"""Groups of texts that say the same with other words around: they must not straddle a split.

Two texts are near-duplicates when they share at least half of the shingles (word 4-grams of the
normalised text) of the one that has fewer, and among these that many rare ones, or half of the one
that has more, or MIN_COMMON. So a post that is just the phrase that all were collected by, of 4 or
5 words, does not join them into one group. One of 6 words or more does.

Found exactly with an inverted index: the sets are small enough (about 10^5 texts) that hashing into
bands would only add parameters and misses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from detectors.text.normalise import URL_TOKEN, normalise, words

SHINGLE_WORDS = 4
SHINGLE_CHARACTERS = 8
MIN_OVERLAP = 0.5
#: Shingles that more different texts have are not rare.
MAX_TEXTS_PER_SHINGLE = 100
#: Those of a phrase of 6 words. With 5 (8 words) a story of MediaEval 2016 falls apart, that of the
#: Tomb of the Unknown Soldier; the groups of Weibo 2017, Constraint, LIAR and the COVID-19 rumours
#: are the same with either.
MIN_COMMON = 3


def shingles(text: str) -> frozenset[str]:
    """The word 4-grams of a text; of a shorter one, the whole.

    >>> sorted(shingles("The moon is made of cheese! https://t.co/x"))
    ['is made of cheese', 'made of cheese url', 'moon is made of', 'the moon is made']
    """
    tokens = words(normalise(text))
    starts = range(max(1, len(tokens) - SHINGLE_WORDS + 1))
    return frozenset(" ".join(tokens[i : i + SHINGLE_WORDS]) for i in starts)


def character_shingles(text: str) -> frozenset[str]:
    """The same of letters and digits, eight at a time: for text without spaces between words.

    >>> sorted(character_shingles("震惊！转发：月亮是奶酪。https://t.co/x"))
    ['惊转发月亮是奶酪', '震惊转发月亮是奶']
    """
    letters = "".join(token for token in words(normalise(text)) if token != URL_TOKEN)
    starts = range(max(1, len(letters) - SHINGLE_CHARACTERS + 1))
    return frozenset(letters[i : i + SHINGLE_CHARACTERS] for i in starts)


def near_duplicate_groups(
    texts: Sequence[str], shingles_of: Callable[[str], frozenset[str]] = shingles
) -> list[int]:
    """For each text the number of its group, which is the index of the group's first text.

    Groups are the connected components of the near-duplicate relation. Memory: 8 bytes a shingle of
    each text. Cost: linear in the shingles, plus each pair of texts for each that they share:
    seconds for 50,000 posts, minutes if all of them are variants of one.

    >>> near_duplicate_groups(["the moon is made of cheese", "no", "the moon is made of cheese ok"])
    [0, 1, 0]
    """
    if not texts:
        return []
    number_of: dict[str, int] = {}
    first_with: dict[bytes, int] = {}
    sets: dict[int, NDArray[np.int32]] = {}  # of texts with equal sets the first has it
    parent = np.arange(len(texts))
    for i, text in enumerate(texts):
        numbers = (number_of.setdefault(shingle, len(number_of)) for shingle in shingles_of(text))
        own = np.sort(np.fromiter(numbers, np.int32))
        parent[i] = first_with.setdefault(own.tobytes(), i)
        if parent[i] == i:
            sets[i] = own

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = i = parent[parent[i]]
        return int(i)

    # the texts so far that have shingle k are texts_of[starts[k] : ends[k]]
    n_texts = np.bincount(np.concatenate(list(sets.values())))
    is_rare = n_texts <= MAX_TEXTS_PER_SHINGLE
    starts = np.cumsum(n_texts) - n_texts
    ends = starts.copy()
    texts_of = np.zeros(n_texts.sum(), np.int32)
    sizes = np.zeros(len(texts), np.int64)
    for i, own in sets.items():
        sizes[i] = len(own)
        found = np.concatenate([texts_of[starts[k] : ends[k]] for k in own])
        n_shared = np.bincount(found)
        n_rare = np.bincount(found, np.repeat(is_rare[own], ends[own] - starts[own]))
        others = np.flatnonzero(n_shared)
        shared, rare = n_shared[others], n_rare[others]
        half_of_smaller = MIN_OVERLAP * np.minimum(sizes[others], len(own))
        half_of_larger = MIN_OVERLAP * np.maximum(sizes[others], len(own))
        enough = (shared >= half_of_larger) | (rare >= half_of_smaller) | (shared >= MIN_COMMON)
        near = others[enough & (shared >= half_of_smaller)]
        for j in np.unique(parent[near]).tolist():
            first, second = sorted((root(i), root(j)))
            parent[second] = first
        texts_of[ends[own]] = i
        ends[own] += 1
    return [root(i) for i in range(len(texts))]
