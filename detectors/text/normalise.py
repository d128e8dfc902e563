"""The text that a detector reads: normalised, cut into words, counted as 1-2-grams.

Pure functions without parameters to tune: a change here changes every score, so it must come with a
new PREPROCESSING number (which is part of the version of every detector that uses this module).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import unescape
from itertools import pairwise
from unicodedata import normalize

#: Version of everything in this module.
PREPROCESSING = 1

#: Only the beginning of a text is read, which bounds the cost of one content [characters].
MAX_CHARACTERS = 20_000

#: What a link becomes: that there is one is a feature, where it leads is not (it would be learnt by
#: heart, and shorteners hide it anyway).
URL_TOKEN = "url"

_SHARE_PREFIX = re.compile(r"\A\s*rt @\w+:?\s")
# Patterns that begin with a letter or sign are searched ten times faster than those that begin with
# a choice or a look-behind.
_URL = re.compile(r"https?://\S+")
_BARE_URL = re.compile(r"(?<![\w.])(?:www\.|pic\.twitter\.com/|t\.co/)\S+")
_BARE_URL_BEGINNINGS = ("www.", "pic.twitter.com/", "t.co/")
#: Who is addressed.
MENTION = re.compile(r"@(?<!\w@)\w+(?:[.-]\w+)*")
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")


def normalise(text: str) -> str:
    """The text as detectors see it: NFKC, casefolded, links as `url`, mentions dropped.

    In order: cut to MAX_CHARACTERS, HTML entities resolved (platforms deliver `&amp;`), NFKC,
    casefold, curly apostrophes straight, a leading `RT @user:` dropped, links -> `url`, @mentions
    dropped (who is addressed is not what is said, and handles would be learnt by heart). Hashtags
    keep their sign here; it is no letter, so `words` leaves it out. Never raises: NUL and lone
    surrogates pass through as characters that are no letters.

    >>> normalise("RT @who: Breaking &amp; TRUE: #COVID19 “cure”! https://t.co/x @cdc.bsky.social")
    'breaking & true: #covid19 “cure”!  url   '
    >>> normalise("Ｆｕｌｌ ｗｉｄｔｈ: it’s")
    "full width: it's"
    """
    text = text[:MAX_CHARACTERS]
    if "&" in text:
        text = unescape(text)
    if not text.isascii():
        text = normalize("NFKC", text).replace("’", "'")
    text = text.casefold()
    if "@" in text:
        text = MENTION.sub(" ", _SHARE_PREFIX.sub("", text))
    text = _URL.sub(f" {URL_TOKEN} ", text)
    if any(beginning in text for beginning in _BARE_URL_BEGINNINGS):
        text = _BARE_URL.sub(f" {URL_TOKEN} ", text)
    return text


def words(normalised: str) -> list[str]:
    """The words of a normalised text, in order: runs of letters and digits.

    A number keeps its length, not its digits (`2,456` and `7,891` are both `0 000`): which number
    it is would be learnt by heart, that there is a count or a year is a style. Digits inside a word
    stay (`covid19`, `5g`), so do inner apostrophes (`don't`).

    >>> words("#covid19: 2,456 cases, don't panic in 2021 👍")
    ['covid19', '0', '000', 'cases', "don't", 'panic', 'in', '0000']
    """
    return ["0" * len(w) if w.isdecimal() else w for w in _WORD.findall(normalised)]


def bigrams(tokens: Sequence[str]) -> list[str]:
    """Each pair of neighbouring words, with a space between them.

    >>> bigrams(["5g", "causes", "5g"])
    ['5g causes', 'causes 5g']
    """
    return [f"{a} {b}" for a, b in pairwise(tokens)]


def features(text: str) -> list[str]:
    """The word 1-2-grams of a text as published: what a text model counts.

    >>> features("5G causes https://t.co/x")
    ['5g', 'causes', 'url', '5g causes', 'causes url']
    """
    tokens = words(normalise(text))
    return tokens + bigrams(tokens)
