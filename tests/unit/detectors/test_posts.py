"""Whole posts: what is their caption, their tags, and what names all that is read of them."""

from __future__ import annotations

import time

import pytest

from detectors.posts import SeenPicture, caption_of, post_hash, tags_of
from tests.unit.detectors.invented_posts import picture, post


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Is #MMR safe? #vaccine #truth", "Is #MMR safe?"),
        ("so true #a#b https://t.co/x #c \n", "so true"),
        ("no tags here", "no tags here"),
        ("we are #1!", "we are #1!"),
        ("#only #tags", ""),
        ("", ""),
        ("a #b a #b", "a #b a"),
    ],
)
def test_tags_behind_the_end_are_no_words_of_the_caption(text: str, expected: str) -> None:
    assert caption_of(text) == expected


@pytest.mark.parametrize(
    "hostile", ["http://a" * 200_000 + " x", "#a" * 500_000 + "!", "#" * 10**6]
)
def test_hostile_texts_take_no_time(hostile: str) -> None:
    began = time.process_time()
    caption_of(hostile)
    tags_of(post(hostile).content)
    assert time.process_time() - began < 2


def test_the_platforms_tags_win_over_those_in_the_text() -> None:
    assert tags_of(post("a #b", ("C", "c", "D")).content) == ("c", "d")
    assert tags_of(post("a #b x#y ＃Ｚ").content) == ("b",)


def test_everything_that_is_read_is_in_the_hash() -> None:
    one = post("the cure", ("a",), (picture(1),), "words")
    others = [
        post("the cures", ("a",), (picture(1),), "words"),
        post("the cure", ("b",), (picture(1),), "words"),
        post("the cure", ("a",), (picture(2),), "words"),
        post("the cure", ("a",), (picture(1),), None),
        post("the cure", ("a",), (picture(1),), "words", lang="de"),
        one._replace(attributes={"followers": 1}),
        one._replace(pictures=(SeenPicture(b"other", None, "broken"),)),
    ]
    assert len({post_hash(p) for p in (one, *others)}) == 8
    assert post_hash(one) == post_hash(post("the cure", ("a",), (picture(1),), "words"))
    assert len(post_hash(post("\ud800"))) == 16
