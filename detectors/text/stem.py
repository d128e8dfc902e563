"""Words by what they are about: English stems without the words that every text has.

Porter's algorithm as he published it: "An algorithm for suffix stripping", Program 14(3), 1980.
"""

from __future__ import annotations

import re
from functools import lru_cache

from detectors.text.normalise import URL_TOKEN, normalise, words

_STOP_WORDS = """
    a about above across after again all along also although always am among an and another any are
    around as at away back be became because become been before behind being below beside between
    both but by came can come could did do does doing done down during each either else ever every
    few first for from further gave get gets getting give given go goes going gone got had has have
    having he her here hers herself him himself his how however i if in into is it it's its itself
    just last least less let like made make makes many may me might mine more most much must my
    myself near of off often on once one only onto or other others our ours ourselves out over own
    per put quite rather same say says said see seem seen shall she should since so some soon still
    such take than that that's the their theirs them themselves then there these they this those
    though through thus to together too toward two under until up upon us use used very via was way
    we well went were what when where whether which while who whom whose why will with within would
    yes yet you your yours yourself yourselves
"""
#: Function words: they join and place, but name nothing. Negations are left out of the list, since
#: they change what is said.
STOP_WORDS = frozenset(_STOP_WORDS.split())

# Of each step: ending -> what it becomes, tried from the longest. The numbers are Porter's.
_STEP_2 = {
    "ational": "ate",
    "tional": "tion",
    "enci": "ence",
    "anci": "ance",
    "izer": "ize",
    "abli": "able",
    "alli": "al",
    "entli": "ent",
    "eli": "e",
    "ousli": "ous",
    "ization": "ize",
    "ation": "ate",
    "ator": "ate",
    "alism": "al",
    "iveness": "ive",
    "fulness": "ful",
    "ousness": "ous",
    "aliti": "al",
    "iviti": "ive",
    "biliti": "ble",
}
_STEP_3 = {
    "icate": "ic",
    "ative": "",
    "alize": "al",
    "iciti": "ic",
    "ical": "ic",
    "ful": "",
    "ness": "",
}
_STEP_4 = "al ance ence er ic able ible ant ement ment ent sion tion ou ism ate iti ous ive ize"


def content_stems(text: str) -> frozenset[str]:
    """The stems of a text's words without stop words, links, mentions and numbers (which
    `normalise.words` masks).

    >>> sorted(content_stems("The vaccines were found to be causing illnesses https://t.co/x"))
    ['caus', 'found', 'ill', 'vaccin']
    """
    return frozenset(
        stem(word)
        for word in words(normalise(text))
        if word not in STOP_WORDS and word != URL_TOKEN and len(word) > 1 and not word.isdecimal()
    )


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """Porter's stem of a lower-case word. What is no English word comes back shortened or as it is.

    >>> [stem(word) for word in ("relational", "hopping", "falling", "happiness", "adjustable")]
    ['relat', 'hop', 'fall', 'happi', 'adjust']
    """
    word = word.removesuffix("'s").removesuffix("'")
    if len(word) <= 2 or not word.isascii() or not word.isalpha():
        return word
    word = _step_1(word)
    for endings in (_STEP_2, _STEP_3):
        for ending in sorted(endings, key=len, reverse=True):
            if word.endswith(ending):
                if _measure(word[: -len(ending)]) > 0:
                    word = word[: -len(ending)] + endings[ending]
                break
    word = _step_4(word)
    return _step_5(word)


def _is_consonant(word: str, i: int) -> bool:
    if word[i] == "y":
        return i == 0 or not _is_consonant(word, i - 1)
    return word[i] not in "aeiou"


def _measure(part: str) -> int:
    """How often vowels are followed by consonants: m in [C](VC)^m[V]."""
    kinds = "".join("c" if _is_consonant(part, i) else "v" for i in range(len(part)))
    return len(re.findall("v+c", kinds))


def _has_vowel(part: str) -> bool:
    return any(not _is_consonant(part, i) for i in range(len(part)))


def _is_double(word: str) -> bool:
    return len(word) > 1 and word[-1] == word[-2] and _is_consonant(word, len(word) - 1)


def _ends_cvc(word: str) -> bool:
    """Consonant, vowel, consonant other than w, x, y at the end."""
    n = len(word)
    return (
        n >= 3
        and _is_consonant(word, n - 3)
        and not _is_consonant(word, n - 2)
        and _is_consonant(word, n - 1)
        and word[-1] not in "wxy"
    )


def _step_1(word: str) -> str:
    """Plurals, -ed, -ing, and a y at the end."""
    if word.endswith(("sses", "ies")):
        word = word[:-2]
    elif word.endswith("s") and not word.endswith("ss"):
        word = word[:-1]
    if word.endswith("eed"):
        if _measure(word[:-3]) > 0:
            word = word[:-1]
    else:
        for ending in ("ed", "ing"):
            if word.endswith(ending) and _has_vowel(word[: -len(ending)]):
                word = word[: -len(ending)]
                if word.endswith(("at", "bl", "iz")) or (_measure(word) == 1 and _ends_cvc(word)):
                    word += "e"
                elif _is_double(word) and word[-1] not in "lsz":
                    word = word[:-1]
                break
    if word.endswith("y") and _has_vowel(word[:-1]):
        word = word[:-1] + "i"
    return word


def _step_4(word: str) -> str:
    """Endings that go when enough is left: -ion after s or t only."""
    for ending in sorted(_STEP_4.split(), key=len, reverse=True):
        if word.endswith(ending):
            kept = 1 if ending in ("sion", "tion") else 0
            part = word[: len(word) - len(ending) + kept]
            return part if _measure(part) > 1 else word
    return word


def _step_5(word: str) -> str:
    """A silent e, and a double l."""
    if word.endswith("e"):
        part = word[:-1]
        if _measure(part) > 1 or (_measure(part) == 1 and not _ends_cvc(part)):
            word = part
    if word.endswith("ll") and _measure(word) > 1:
        word = word[:-1]
    return word
