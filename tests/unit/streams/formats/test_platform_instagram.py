"""One post, one id: shortcodes, numbers and links of Instagram."""

from __future__ import annotations

import random

import pytest

from streams.formats.platform_instagram import given_at, pk_of, post_id_of, shortcode_of

PK, CODE = 3090000000000000000, "Crh4qDj9QAA"


def test_numbers_and_shortcodes_are_each_other() -> None:
    numbers = random.Random(1)
    for _ in range(1_000):
        pk = numbers.getrandbits(64) or 1
        assert pk_of(shortcode_of(pk)) == pk


@pytest.mark.parametrize(
    "value",
    [
        PK,
        str(PK),
        f"{PK}_11",
        CODE,
        CODE + "x" * 28,  # a private post's, with its key
        f"https://www.instagram.com/p/{CODE}/",
        f"https://instagram.com/ada.weather/reel/{CODE}/?igsh=1",
        f"http://instagr.am/p/{CODE}",
        f"https://www.instagram.com/tv/{CODE}",
        f"https://www.instagram.com/reels/{CODE}/",
    ],
)
def test_every_name_of_a_post_gives_one_id(value: str | int) -> None:
    assert post_id_of(value) == CODE


@pytest.mark.parametrize(
    "value", ["", "x y", "_" * 12, "A", 0, -1, 1 << 64, "https://e.org/p/abc", "9" * 30, "é"]
)
def test_what_names_no_post(value: str | int) -> None:
    assert post_id_of(value) is None


def test_the_moment_in_a_number() -> None:
    assert given_at("A1") is None, "numbers of the first years hold none"
    moment = given_at(CODE)
    assert moment and moment.microsecond == 0 and moment.year == 2023
