"""Occlusion: what a word weighed is how much the score changes without it.

    weight of w = logit(text) - logit(text without every w)

It needs nothing but the scores, so it is the same measure for every detector; words that stand for
each other share their weight, and each may show little. Source: Zeiler and Fergus, ECCV 2014,
section 4.2 (of regions of pictures); Li, Monroe and Jurafsky, arXiv:1612.08220 (of words).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

#: Different words of a text that are left out, each once: a score each.
MAX_OCCLUDED = 64


def texts_without_a_word(text: str, most: int = MAX_OCCLUDED) -> Iterator[tuple[str, str]]:
    """Each of the first different words, with the text without it.

    >>> list(texts_without_a_word("Secret cure, secret!"))
    [('Secret', 'cure, secret!'), ('cure,', 'Secret secret!'), ('secret!', 'Secret cure,')]
    """
    said = text.split()
    for word in list(dict.fromkeys(said))[:most]:
        yield word, " ".join(other for other in said if other != word)


def largest_first(found: Iterable[tuple[str, float]]) -> tuple[tuple[str, float], ...]:
    """Features by how much they weighed, either way.

    >>> largest_first([("a", 0.1), ("b", -0.2)])
    (('b', -0.2), ('a', 0.1))
    """
    rounded = [(name, round(weight, 6)) for name, weight in found]
    return tuple(sorted(rounded, key=lambda pair: (-abs(pair[1]), pair[0])))
