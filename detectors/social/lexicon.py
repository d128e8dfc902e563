"""Words that say something good or bad, of one language."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from detectors.text.abstain import language_probability, stated_language
from detectors.text.normalise import normalise, words

#: A text whose language nobody states is counted from this probability of being in ours on.
_MIN_PROBABILITY = 0.5


class Lexicon(NamedTuple):
    """language: ISO 639-1. positive, negative: lower-case words."""

    language: str
    positive: frozenset[str]
    negative: frozenset[str]


def lexicon_of(language: str, positive: Iterable[str], negative: Iterable[str]) -> Lexicon:
    """A lexicon of the user's own words, in whatever case and form they are written."""
    return Lexicon(
        language,
        frozenset(token for word in positive for token in words(normalise(word))),
        frozenset(token for word in negative for token in words(normalise(word))),
    )


@cache
def english() -> Lexicon:
    """VADER's words: rated by ten people from -4 to 4; here only the sign counts.

    The package's file is read, its code is not run (it would load an HTTP client).
    Source: Hutto, Gilbert, "VADER: A Parsimonious Rule-based Model for Sentiment Analysis of Social
    Media Text", ICWSM 2014.

    >>> "hoax" in english().negative, "cure" in english().positive, "table" in english().positive
    (True, False, False)
    """
    text = files("vaderSentiment").joinpath("vader_lexicon.txt").read_text("utf-8")
    rated = [line.split("\t")[:2] for line in text.splitlines() if "\t" in line]
    return lexicon_of(
        "en",
        [word for word, rating in rated if float(rating) > 0 and word.isalpha()],
        [word for word, rating in rated if float(rating) < 0 and word.isalpha()],
    )


def lexicon_for(text: str, lang: str | None, lexicons: Sequence[Lexicon]) -> Lexicon | None:
    """The lexicon for a text's language, or None: then how many words are good is not known.

    lang: as the platform states it; where it states none, it is identified.

    >>> lexicon_for("Das ist gut", "de", [english()])
    >>> lexicon_for("This is not what the doctor said", None, [english()]) is english()
    True
    """
    stated = stated_language(lang)
    for lexicon in lexicons:
        if stated == lexicon.language:
            return lexicon
        if stated is None and language_probability(text, [lexicon.language]) >= _MIN_PROBABILITY:
            return lexicon
    return None
