from __future__ import annotations

import pytest

from detectors.text.stem import STOP_WORDS, content_stems, stem

#: The examples of Porter's article, step by step; later steps go on where they apply.
OF_THE_ARTICLE = {
    "caresses": "caress",
    "ponies": "poni",
    "ties": "ti",
    "cats": "cat",
    "feed": "feed",
    "agreed": "agre",
    "plastered": "plaster",
    "bled": "bled",
    "motoring": "motor",
    "sing": "sing",
    "conflated": "conflat",
    "troubled": "troubl",
    "sized": "size",
    "hopping": "hop",
    "tanned": "tan",
    "falling": "fall",
    "hissing": "hiss",
    "fizzed": "fizz",
    "failing": "fail",
    "filing": "file",
    "happy": "happi",
    "sky": "sky",
    "relational": "relat",
    "conditional": "condit",
    "rational": "ration",
    "digitizer": "digit",
    "operator": "oper",
    "feudalism": "feudal",
    "decisiveness": "decis",
    "hopefulness": "hope",
    "sensitiviti": "sensit",
    "triplicate": "triplic",
    "formative": "form",
    "formalize": "formal",
    "electrical": "electr",
    "goodness": "good",
    "revival": "reviv",
    "allowance": "allow",
    "inference": "infer",
    "airliner": "airlin",
    "adjustable": "adjust",
    "defensible": "defens",
    "replacement": "replac",
    "adoption": "adopt",
    "effective": "effect",
    "probate": "probat",
    "rate": "rate",
    "cease": "ceas",
    "controll": "control",
    "roll": "roll",
}


@pytest.mark.parametrize(("word", "expected"), OF_THE_ARTICLE.items())
def test_examples_of_the_article(word: str, expected: str) -> None:
    assert stem(word) == expected


@pytest.mark.parametrize("word", ["", "a", "is", "covid19", "größe", "وباء", "x" * 10_000])
def test_whatever_comes_gives_a_word(word: str) -> None:
    assert isinstance(stem(word), str)


def test_forms_of_a_word_meet() -> None:
    one = content_stems("Vaccination caused the illness of two doctors' patients")
    other = content_stems("the vaccinations are causing illnesses, doctors said: patient!")
    assert len(one & other) == 5
    assert content_stems("it is what it was") == frozenset()


def test_negations_are_kept() -> None:
    assert not {"not", "no", "never", "false"} & STOP_WORDS
    assert "not" in content_stems("this is not so")
