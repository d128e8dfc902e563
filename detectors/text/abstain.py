"""Why a text is not scored: an opinion about nothing, or in a foreign language, is noise."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Literal
from unicodedata import category

from detectors.text.normalise import MAX_CHARACTERS, URL_TOKEN

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

AbstainReason = Literal["empty", "emoji_only", "too_short", "language"]

#: Below this many words (links and mentions not counted) there is no claim to judge.
MIN_WORDS = 3
#: A text of unknown language is taken for one of ours from this probability on. README, "Why".
MIN_PROBABILITY = 0.5
#: Language is identified from the beginning of a text, which bounds the cost [characters].
_MAX_IDENTIFIED = 1_000

#: What platforms write when they do not know or there is nothing to know: ISO 639's own codes for
#: that, and X's for only hashtags, mentions, media, cards or short texts (qht, qam, qme, qct, qst).
#: ISO reserves qaa-qtz for private use, so all of them are unknown.
_NO_LANGUAGE = frozenset({"", "und", "zxx", "mul", "mis", "art"})
_PRIVATE_USE = re.compile(r"q[a-t][a-z]")
_ADDRESSING = re.compile(r"(?:https?://|www\.)\S+|(?<!\w)@\w+(?:[.-]\w+)*", re.IGNORECASE)


@lru_cache(maxsize=1024)  # a few dozen codes, asked for each content
def stated_language(lang: str | None) -> str | None:
    """The language a platform states, as the two or three letters of ISO 639; None if it does not.

    >>> stated_language("en-GB"), stated_language("pt_BR"), stated_language("IN")
    ('en', 'pt', 'in')
    >>> [stated_language(lang) for lang in (None, "und", "zxx", "qme", "qht", "art", "")]
    [None, None, None, None, None, None, None]
    """
    code = re.split("[-_]", (lang or "").strip().casefold(), maxsplit=1)[0]
    return None if code in _NO_LANGUAGE or _PRIVATE_USE.fullmatch(code) else code


def without_addressing(text: str) -> str:
    """The text without links and mentions: what it says in a language.

    >>> without_addressing("@who das ist https://t.co/x gut")
    '  das ist   gut'
    """
    return _ADDRESSING.sub(" ", text)


@cache
def _identifier() -> LanguageIdentifier:
    """py3langid's shipped model with probabilities; loaded once, when first needed (0.2 s)."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def language_probability(text: str, languages: Collection[str]) -> float:
    """The probability that a text is in one of these languages (ISO 639-1), by py3langid.

    Naive Bayes over byte n-grams (Lui and Baldwin, ACL 2012). Deterministic.

    >>> language_probability("The vaccine was approved by the agency on Monday", ["en"]) > 0.9
    True
    """
    ranked = _identifier().rank(without_addressing(text[:_MAX_IDENTIFIED]))
    return float(sum(probability for language, probability in ranked if language in languages))


def abstain_reason(
    text: str, tokens: Sequence[str], lang: str | None, languages: Collection[str]
) -> AbstainReason | None:
    """Why a text is not scored, or None if it is.

    empty       nothing to see: white space and control characters, or no text at all
    emoji_only  no word, but symbols
    language    the platform states another language than ours, or states none and the text is
                unlikely to be in ours
    too_short   fewer than MIN_WORDS words; links and mentions are no words

    text: as published. tokens: `words(normalise(text))`. lang: as the platform states it.
    languages: ISO 639-1 codes that the detector has learnt.

    >>> from detectors.text.normalise import normalise, words
    >>> def why(text, lang="en"): return abstain_reason(text, words(normalise(text)), lang, ["en"])
    >>> why(" "), why("👍🏽👍🏽"), why("@who so https://t.co/x true"), why("Das ist falsch", "de")
    ('empty', 'emoji_only', 'too_short', 'language')
    >>> why("Five words are quite enough")
    """
    n_words = len(tokens) - tokens.count(URL_TOKEN)
    if n_words == 0:
        return _wordless_reason(text[:MAX_CHARACTERS])
    stated = stated_language(lang)
    if stated is not None and stated not in languages:
        return "language"  # before too_short: Chinese and Thai put no spaces between words
    if n_words < MIN_WORDS:
        return "too_short"
    if stated is None and language_probability(text, languages) < MIN_PROBABILITY:
        return "language"
    return None


def _wordless_reason(text: str) -> AbstainReason:
    """The reason for a text without words, by the Unicode categories of what it shows."""
    if not any(category(character)[0] not in "CZ" for character in text):
        return "empty"
    shown = {category(character) for character in without_addressing(text)}
    return "emoji_only" if shown & {"So", "Sk"} else "too_short"
