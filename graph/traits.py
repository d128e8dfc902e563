"""What hashtags look like, and whether that goes with how far they spread.

Trivedi et al. 2021 ask which characteristics and types of hashtags go with virality. A trait here
is what can be read off the hashtag as it is written; no list of topics, no model.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from unicodedata import category, name, normalize

import numpy as np
from numpy.typing import ArrayLike, NDArray

Reals = NDArray[np.float64]
Form = Literal["acronym", "with number", "several words", "one word", "other script"]
FORMS: tuple[Form, ...] = ("acronym", "with number", "several words", "one word", "other script")

#: Fewer hashtags than this say nothing about all of them.
MIN_HASHTAGS = 10

# an acronym before a word (EUElection), a word with or without capital, capitals, digits
_PIECE = re.compile(r"[^\W\d_a-z]+(?=[^\W\d_a-z][a-z])|[^\W\d_]?[^\W\d_A-Z]+|[^\W\d_]+|\d+")


@dataclass(frozen=True, kw_only=True)
class HashtagTraits:
    """What one hashtag looks like."""

    #: Characters, without the sign.
    length: int
    #: Words as capitals, digits and underscores tell them apart; `#allinlower` is one.
    n_words: int
    has_number: bool
    form: Form


def split_hashtag(written: str) -> tuple[str, ...]:
    """The words of a hashtag as far as the way it is written shows them.

    >>> split_hashtag("#WaterTruth"), split_hashtag("EUElection2024"), split_hashtag("stop_the_5g")
    (('Water', 'Truth'), ('EU', 'Election', '2024'), ('stop', 'the', '5', 'g'))
    >>> split_hashtag("allinlower"), split_hashtag("Ärzte")
    (('allinlower',), ('Ärzte',))
    """
    return tuple(_PIECE.findall(normalize("NFKC", written).lstrip("#")))


def describe_hashtag(written: str) -> HashtagTraits:
    """The traits of a hashtag as it is most often written.

    Forms, the first that fits: `other script` (most letters are not Latin), `acronym` (two to five
    capitals), `with number` (events and years: #egu23), `several words`, `one word`.

    >>> describe_hashtag("#EGU23")
    HashtagTraits(length=5, n_words=2, has_number=True, form='with number')
    >>> describe_hashtag("MAGA").form, describe_hashtag("WaterTruth").form
    ('acronym', 'several words')
    >>> describe_hashtag("вода").form
    'other script'
    """
    plain = normalize("NFKC", written).lstrip("#")
    words = split_hashtag(plain)
    letters = [letter for letter in plain if category(letter).startswith("L")]
    n_latin = sum(name(letter, "").startswith("LATIN") for letter in letters)
    has_number = any(letter.isdigit() for letter in plain)
    form: Form
    if 2 * n_latin < len(letters):
        form = "other script"
    elif plain.isalpha() and plain.isupper() and 2 <= len(plain) <= 5:
        form = "acronym"
    elif has_number:
        form = "with number"
    else:
        form = "several words" if len(words) > 1 else "one word"
    return HashtagTraits(
        length=len(plain), n_words=max(len(words), 1), has_number=has_number, form=form
    )


@dataclass(frozen=True, kw_only=True)
class TraitEffect:
    """Whether a trait goes with virality among these hashtags."""

    trait: str
    #: Hashtags with and without the trait; for a trait that is a number, (n, 0).
    n_with: int
    n_without: int
    #: Spearman's rank correlation with virality, in [-1, 1].
    correlation: float
    #: Chance of a correlation as strong either way if virality had nothing to do with the trait.
    p_value: float
    #: p of the strongest of all traits asked, at least: Holm's correction.
    p_adjusted: float


def relate_traits(
    hashtags: Sequence[str], virality: ArrayLike, *, seed: int = 1, n_draws: int = 2000
) -> list[TraitEffect]:
    """Which traits of hashtags go with their virality (shares, say); strongest evidence first.

        correlation = Pearson correlation of the ranks (ties get their mean rank)
        p           = (1 + |{shuffles of virality at least as strong}|) / (1 + n_draws)

    Asked are length, words, and each form of FORMS against the rest. A hashtag is one observation,
    however often it is used, and related hashtags are no independent ones: a hint where to look, no
    cause. [] for fewer than MIN_HASHTAGS hashtags.
    Source: Spearman, Am. J. Psychology 15, 1904; Holm, Scandinavian J. Statistics 6, 1979.

    hashtags: as written; virality: (n,).   Cost: n_draws shuffles of n numbers.
    Raises: ValueError on other lengths.

    >>> tags = [f"Stop{'The' * (i % 4)}Water" for i in range(40)]
    >>> found = relate_traits(tags, [len(tag) for tag in tags])
    >>> found[0].trait, round(found[0].correlation, 3), found[0].p_value < 0.001
    ('length', 1.0, True)
    """
    y = np.asarray(virality, dtype=np.float64)
    if y.shape != (len(hashtags),):
        raise ValueError(f"{len(hashtags)} hashtags and virality {y.shape} must be equally many")
    if len(hashtags) < MIN_HASHTAGS:
        return []
    described = [describe_hashtag(written) for written in hashtags]
    columns: dict[str, list[int]] = {
        "length": [traits.length for traits in described],
        "words": [traits.n_words for traits in described],
    }
    for form in FORMS:
        columns[f"is {form}"] = [int(traits.form == form) for traits in described]
    names = [trait for trait, column in columns.items() if len(set(column)) > 1]
    if not names or len(set(y.tolist())) < 2:
        return []
    x = np.array([_standard_ranks(columns[trait]) for trait in names])  # (traits, n)
    ranks = _standard_ranks(y)
    strength = x @ ranks
    chance = np.random.default_rng(seed)
    at_least = np.zeros(len(names))
    for _ in range(n_draws):
        # a hair below, since a shuffle that changes nothing must count as equally strong
        at_least += np.abs(x @ chance.permutation(ranks)) >= np.abs(strength) - 1e-9
    p_values = (1 + at_least) / (1 + n_draws)
    adjusted = _holm(p_values)
    found = []
    for i, trait in enumerate(names):
        n_with = sum(columns[trait]) if trait.startswith("is ") else len(hashtags)
        found.append(
            TraitEffect(
                trait=trait,
                n_with=n_with,
                n_without=len(hashtags) - n_with,
                correlation=float(strength[i]),
                p_value=float(p_values[i]),
                p_adjusted=float(adjusted[i]),
            )
        )
    return sorted(found, key=lambda effect: (effect.p_value, -abs(effect.correlation)))


def _standard_ranks(values: ArrayLike) -> Reals:
    """Ranks with mean 0 and length 1, so that a product of two is their correlation."""
    _, place, times = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
    ranks: Reals = (np.cumsum(times) - (times - 1) / 2)[place]
    ranks -= ranks.mean()
    ranks /= np.sqrt(np.square(ranks).sum())
    return ranks


def _holm(p_values: Reals) -> list[float]:
    order = np.argsort(p_values, kind="stable")
    scaled = p_values[order] * np.arange(len(order), 0, -1)
    adjusted = np.empty(len(order))
    adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return [float(p) for p in adjusted]
