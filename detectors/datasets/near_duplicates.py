"""Groups of texts that say the same with other words around: they must not straddle a split.

Two texts are near-duplicates when they share at least half of the shingles (word 4-grams of the
normalised text) of the one that has fewer. Found exactly with an inverted index: the sets are small
enough (about 10^5 texts) that hashing into bands would only add parameters and misses.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from itertools import combinations

from detectors.text.normalise import URL_TOKEN, normalise, words

SHINGLE_WORDS = 4
SHINGLE_CHARACTERS = 8
MIN_OVERLAP = 0.5
#: A shingle in more texts than this ("at the end of the ...") says nothing about any two of them.
MAX_TEXTS_PER_SHINGLE = 100


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

    Groups are the connected components of the near-duplicate relation, plus equality of the whole
    set of shingles (however common). Cost: about linear in the number of shingles.

    >>> near_duplicate_groups(["the moon is made of cheese", "no", "the moon is made of cheese ok"])
    [0, 1, 0]
    """
    sets = [shingles_of(text) for text in texts]
    texts_of: dict[str, list[int]] = defaultdict(list)
    for i, own in enumerate(sets):
        for shingle in own:
            texts_of[shingle].append(i)
    shared: Counter[tuple[int, int]] = Counter()
    for found in texts_of.values():
        if len(found) <= MAX_TEXTS_PER_SHINGLE:
            shared.update(combinations(found, 2))

    parent = list(range(len(texts)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = i = parent[parent[i]]
        return i

    def join(i: int, j: int) -> None:
        first, second = sorted((root(i), root(j)))
        parent[second] = first

    first_with: dict[frozenset[str], int] = {}
    for i, own in enumerate(sets):
        join(first_with.setdefault(own, i), i)
    for (i, j), n in shared.items():
        if n >= MIN_OVERLAP * min(len(sets[i]), len(sets[j])):
            join(i, j)
    return [root(i) for i in range(len(texts))]
