"""Traits of hashtags, and whether they go with virality."""

from __future__ import annotations

import random

import numpy as np
import pytest
from scipy.stats import spearmanr

from graph.traits import describe_hashtag, relate_traits, split_hashtag


@pytest.mark.parametrize(
    ("written", "words", "form"),
    [
        ("MakeAmericaGreatAgain", 4, "several words"),
        ("BLM", 1, "acronym"),
        ("COVID19", 2, "with number"),
        ("egu23", 2, "with number"),
        ("G", 1, "one word"),  # one capital is no acronym
        ("ABCDEF", 1, "one word"),
        ("Straße", 1, "one word"),
        ("ÜberUns", 2, "several words"),
        ("ワクチン", 1, "other script"),
        ("Impfung_jetzt", 2, "several words"),
        ("１２３", 1, "with number"),  # NFKC makes them digits
    ],
)
def test_what_a_hashtag_looks_like(written: str, words: int, form: str) -> None:
    traits = describe_hashtag(written)
    assert (traits.n_words, traits.form) == (words, form)
    assert describe_hashtag("#" + written) == traits


def test_no_letter_is_lost() -> None:
    for written in ("aBcDeF12gH", "XMLHttpRequest", "ÉcoleNormale3", "ßA"):
        assert "".join(split_hashtag(written)) == written


def words_of(chance: random.Random, n: int) -> str:
    return "".join(chance.choice(["Water", "Truth", "Stop", "Now"]) for _ in range(n))


def test_a_planted_relation_is_found_and_no_other() -> None:
    chance = random.Random(3)
    tags = [words_of(chance, chance.randint(1, 5)) + ("21" if i % 2 else "") for i in range(80)]
    virality = [len(tag) + chance.gauss(0, 4) for tag in tags]
    found = {effect.trait: effect for effect in relate_traits(tags, virality)}
    assert found["length"].p_adjusted < 0.01
    assert found["length"].correlation > 0.5
    shuffled = random.Random(4).sample(virality, len(virality))
    assert all(effect.p_adjusted > 0.05 for effect in relate_traits(tags, shuffled))


def test_the_correlation_is_spearmans() -> None:
    chance = np.random.default_rng(1)
    tags = ["x" * int(n) for n in chance.integers(1, 9, 50)]
    virality = chance.integers(0, 9, 50)
    (found,) = relate_traits(tags, virality)
    expected, p_value = spearmanr([len(tag) for tag in tags], virality)
    assert found.correlation == pytest.approx(expected)
    assert found.p_value == pytest.approx(p_value, abs=0.04)


def test_form_is_counted() -> None:
    tags = ["BLM"] * 6 + ["water"] * 14
    found = {e.trait: e for e in relate_traits(tags, range(20))}
    assert (found["is acronym"].n_with, found["is acronym"].n_without) == (6, 14)
    assert found["length"].n_without == 0


def test_too_few_or_equal_hashtags_say_nothing() -> None:
    assert relate_traits(["a"] * 9, range(9)) == []
    assert relate_traits(["a"] * 20, range(20)) == []
    assert relate_traits(["a" * i for i in range(1, 21)], [5] * 20) == []
    with pytest.raises(ValueError, match="equally many"):
        relate_traits(["a"] * 20, range(19))


def test_the_same_seed_gives_the_same_numbers() -> None:
    tags = ["a" * (1 + i % 7) for i in range(30)]
    assert relate_traits(tags, range(30), seed=5) == relate_traits(tags, range(30), seed=5)
