"""Hashtags cut into words: `vaccineinjury` -> vaccine injury.

The likeliest division under word and word-pair counts of the web (Norvig, "Natural Language Corpus
Data", in Beautiful Data, 2009; counts of the package wordsegment), with the user's own words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from math import log10
from unicodedata import normalize

#: Popular hashtags of vaccine misinformation, chosen by how often they were used in a study before:
#: the topic of the network of Wang, Yin, Argyris 2020.
WANG_2020 = (
    *("vaccinetruth", "vaccineinjury", "vaccinecauseautism", "vaccineawareness", "fascism"),
    *("whistleblower", "bigpharma", "informedconsent"),
)
#: Longest tag that is cut; Instagram's limit is 100 characters.
MAX_CHARACTERS = 100
#: Words that the counts (of 2006) do not know or would cut.
RECENT_WORDS: tuple[str, ...] = (
    *("5g", "antivax", "antivaxx", "antivaxxer", "antivaxxers", "brexit", "coronavirus", "covid"),
    *("covid19", "deepfake", "fakenews", "infodemic", "instagram", "maga", "monkeypox", "mrna"),
    *("novax", "omicron", "plandemic", "provax", "provaxx", "qanon", "scamdemic", "selfie"),
    *("tiktok", "unvaxxed", "vaxx", "vaxxed", "whatsapp"),
)

_LONGEST_WORD = 24
_TOTAL = 1_024_908_267_229.0
#: A word of the lexicon counts as often as a usual one ("plan", "truth"): about one in 10,000.
_LEXICON_COUNT = 1e8
#: How much likelier a division against the writer's capitals must be [powers of ten].
_CASE_COUNTS = 1.0
#: Where the writer's own capitals and underscores divide: fooBar, foo_bar, ABCFoo.
_CASES = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|_+")


class HashtagSegmenter:
    """Cuts hashtags into words.

    A division is taken only if every part is a known word; else the tag stays whole, since half a
    division says less than none. Loading English takes 0.5 s and 100 MB; a tag takes about 2 ms
    when it is met first.
    """

    def __init__(self, lexicon: Iterable[str] = RECENT_WORDS, language: str = "en") -> None:
        """lexicon: words to know besides. language: of the counts; there are only English ones,
        with any other the lexicon alone is known."""
        self._unigrams: dict[str, float] = {}
        self._bigrams: dict[str, float] = {}
        if language == "en":
            from wordsegment import Segmenter

            english = Segmenter()
            english.load()
            self._unigrams, self._bigrams = english.unigrams, english.bigrams
        for word in lexicon:
            key = _folded(word)
            self._unigrams[key] = max(_LEXICON_COUNT, self._unigrams.get(key, 0.0))
        self._divide = lru_cache(maxsize=50_000)(self._likeliest_division)

    def words(self, tag: str) -> tuple[str, ...]:
        """The words of a hashtag, lower-case, without its sign.

        Capitals inside a tag divide it (#VaccinesKill), unless only without them all parts are
        known, or without them it is ten times likelier (#COVIDisaHoax).

        >>> cut = HashtagSegmenter(["who", "knew", "covid"], language="none").words
        >>> cut("#whoknew"), cut("#WhoKnewIt"), cut("#CoViD"), cut("#Überall"), cut("#")
        (('who', 'knew'), ('who', 'knew', 'it'), ('covid',), ('überall',), ())
        """
        written = normalize("NFKC", tag).lstrip("#")[:MAX_CHARACTERS]
        parts = [_folded(part) for part in _CASES.split(written) if part]
        by_case = tuple(word for part in parts for word in self._divide(part))
        as_one = self._divide("".join(parts))
        if not self._knows(as_one):
            return by_case
        if not self._knows(by_case):
            return as_one
        gain = self._log_likelihood(as_one) - self._log_likelihood(by_case)
        return as_one if gain > _CASE_COUNTS else by_case

    def _knows(self, words: Iterable[str]) -> bool:
        return all(word in self._unigrams for word in words)

    def _likeliest_division(self, text: str) -> tuple[str, ...]:
        """The division with the greatest likelihood, or the whole if a part of it is unknown.

        Dynamic programming over (end, last word). Cost: O(characters * 24 * 24).
        """
        if not text:
            return ()
        # best[end]: last word -> (log-likelihood, word before it)
        best: list[dict[str, tuple[float, str]]] = [{"": (0.0, "")}]
        for end in range(1, len(text) + 1):
            found: dict[str, tuple[float, str]] = {}
            for start in range(max(0, end - _LONGEST_WORD), end):
                word = text[start:end]
                found[word] = max(
                    (so_far + self._log_probability(word, before), before)
                    for before, (so_far, _) in best[start].items()
                )
            best.append(found)
        words = [max(best[-1], key=lambda word: best[-1][word])]
        end = len(text)
        while before := best[end][words[-1]][1]:
            end -= len(words[-1])
            words.append(before)
        division = tuple(reversed(words))
        return division if self._knows(division) else (text,)

    def _log_probability(self, word: str, before: str) -> float:
        """log10 P(word | the word before it); without counts of the pair, log10 P(word).

        An unknown word of n characters counts 10^(1 - n) times: so a long one is never cheap.
        """
        if before in self._unigrams and (pair := self._bigrams.get(f"{before} {word}")):
            return log10(pair / self._unigrams[before])
        count = self._unigrams.get(word)
        return log10(count / _TOTAL) if count else 1 - len(word) - log10(_TOTAL)

    def _log_likelihood(self, words: tuple[str, ...]) -> float:
        return sum(
            self._log_probability(word, before)
            for before, word in zip(("", *words), words, strict=False)
        )


def _folded(word: str) -> str:
    return normalize("NFKC", word).casefold()
