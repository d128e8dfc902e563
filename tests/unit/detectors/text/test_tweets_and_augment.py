"""Two forms of a tweet; four operations on words."""

from __future__ import annotations

import random
import re
import time
from collections import Counter
from typing import cast

import pytest

from detectors.datasets.labelled import LabelledPost, Split
from detectors.encoder import read_encoder
from detectors.text.augment import balanced, delete, neighbours, swap, variant
from detectors.text.tweets import FORMS, Form, as_ct_bert, as_paper, prepare


def said(text: str) -> str:
    return " ".join(as_paper(text).split())


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("Good :) bad :( odd :-/", "good happy bad sad odd sad"),
        ("note: this; that - those = all", "note this that those all"),
        ("see http://a.b/:) now", "see url now"),  # an address is no emoticon
        ("a@b.c @who 😀👍🏽", "a@b.c"),
        ("It’s &amp; 5G COVID19 in 2020, 15%", "it's & 5g covid19 in number , number"),
        ("soooo #StopTheSpread", "soo stop the spread"),
    ],
)
def test_as_the_paper_has_it(written: str, read: str) -> None:
    assert said(written) == read


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("so good:)", "so good happy"),
        ("Great :), thanks", "great happy, thanks"),
        ("sad :(. Really!:-(", "sad sad. really! sad"),
        ("haha :)) oh no:(((", "haha happy oh no sad"),
        ("(so good :D)", "(so good happy)"),
        ("first;) then (((: and ))):", "first happy then happy and sad"),
        ("https://a.b/c :)", "url happy"),
    ],
)
def test_emoticons_stand_where_people_write_them(written: str, read: str) -> None:
    assert said(written) == read


@pytest.mark.parametrize(
    "written",
    [
        *("at 10:30, (see 3:)", "(10:)", "12:(13)", "note:(see below)", "f(x):y", "say :post"),
        *("(as follows:) one", "(a) (b:)", "see http://a.b/:), now", "and/or: (none)", "a:d b:p"),
    ],
)
def test_what_is_no_emoticon_is_none(written: str) -> None:
    assert not {"happy", "sad"} & set(re.findall(r"\w+", said(written)))


def test_emoticons_are_found_in_time_that_grows_with_the_text() -> None:
    began = time.process_time()
    for text in ("(" * 20_000, ":)" * 10_000, "(a:" * 6_000, ")" * 20_000, "(a" + "b" * 20_000):
        as_paper(text)
    assert time.process_time() - began < 5


def test_emoticons_go_before_the_signs_they_are_made_of() -> None:
    assert "happy" in as_paper("well :)") and ")" not in as_paper("well :)")


def test_as_ct_bert_knows_it() -> None:
    assert as_ct_bert("RT @A_b: Look 😀 www.x.y/z #Hoax") == (
        "rt twitteruser: look :grinning_face: twitterurl #hoax"
    )


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("text", ["", "\0", "\ud800 a", "x" * 100_000, "👩‍👩‍👧"])
def test_no_text_is_too_odd(form: Form, text: str) -> None:
    prepare(text, form).encode()


def test_operations_keep_what_they_promise() -> None:
    rng = random.Random(4)
    text = "the moon is made of old cheese and nobody knows why"
    words = text.split()
    assert Counter(swap(words, 3, rng)) == Counter(words)
    kept = delete(words, 0.5, rng)
    assert kept == [word for word in words if word in kept] and len(kept) < len(words)

    def of(word: str) -> list[str]:
        return [f"{word}ish"]

    assert variant(text, 0, rng, of).count("ish") == 1
    assert len(variant(text, 1, rng, of).split()) == len(words) + 1
    assert variant("", 2, rng, of) == ""


def test_only_training_posts_are_balanced() -> None:
    posts = [
        LabelledPost("a", cast(Split, split), f"{split}{i}", f"so it is number {i}", label)
        for split, numbers in (("train", (9, 3)), ("test", (5, 1)))
        for label, n in zip(("likely_true", "likely_false"), numbers, strict=True)
        for i in range(n)
    ]
    found = balanced(posts, lambda word: ["thing"])
    assert found[: len(posts)] == posts
    counts = Counter((post.split, post.label) for post in found)
    assert counts["train", "likely_false"] == counts["train", "likely_true"] == 9
    assert counts["test", "likely_false"] == 1
    assert found == balanced(posts, lambda word: ["thing"])


def test_neighbours_of_an_encoder_are_words_alike() -> None:
    of = neighbours(read_encoder())
    assert "physicians" in of("Doctors,") or "doctor" in of("Doctors,")
    assert of("qwxzv") == ()
