"""What is true of Instagram in whatever format its posts come.

A post has a number (`pk`) and a shortcode, the last part of its address. Each is the other in
base 64, so a post goes under its shortcode whichever of the two a file has.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

PLATFORM = "instagram"

#: The day of the first picture. An earlier post is a broken date.
FIRST_DAY = datetime(2010, 7, 16, tzinfo=UTC)

#: The upper bits of a number, from the 23rd on, count milliseconds since this moment.
ID_EPOCH = datetime(2011, 8, 24, 21, 7, 1, 721000, tzinfo=UTC)

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_VALUE = {character: value for value, character in enumerate(_ALPHABET)}
#: Digits of base 64 that a number of 64 bits has at most.
_LONGEST = 11
#: Posts of private accounts have so many characters more, a key.
_KEY_LENGTH = 28
_IN_LINK = re.compile(
    r"(?:instagram\.com|instagr\.am)/(?:[\w.]+/)?(?:p|reels?|tv)/([\w-]+)", re.ASCII
)


def shortcode_of(pk: int) -> str:
    """The shortcode of a post's number. Raises ValueError for what is no 64-bit number.

    >>> shortcode_of(3090000000000000000)
    'Crh4qDj9QAA'
    """
    if not 0 < pk < 1 << 64:
        raise ValueError(f"{pk} is not a number of Instagram")
    code = ""
    while pk:
        pk, value = divmod(pk, 64)
        code = _ALPHABET[value] + code
    return code


def pk_of(shortcode: str) -> int:
    """The number of a post's shortcode. Raises ValueError.

    >>> pk_of("Crh4qDj9QAA")
    3090000000000000000
    """
    pk = 0
    for character in _public_part(shortcode):
        if character not in _VALUE:
            raise ValueError(f"{shortcode[:40]!r} is not a shortcode")
        pk = pk * 64 + _VALUE[character]
    if not 0 < pk < 1 << 64:
        raise ValueError(f"{shortcode[:40]!r} is not a shortcode")
    return pk


def post_id_of(value: str | int) -> str | None:
    """The id under which a post goes: its shortcode, from a shortcode, a number (`pk` or
    "pk_owner") or a link; None if it is none of them.

    >>> post_id_of("3090000000000000000_5"), post_id_of("https://www.instagram.com/p/Crh4qDj9QAA/")
    ('Crh4qDj9QAA', 'Crh4qDj9QAA')
    >>> post_id_of("Crh4qDj9QAA"), post_id_of("not a code")
    ('Crh4qDj9QAA', None)
    """
    try:
        if isinstance(value, int):
            return shortcode_of(value)
        if "/" in value:
            found = _IN_LINK.search(value)
            return found and shortcode_of(pk_of(found[1]))
        number = value.partition("_")[0]
        if number.isdecimal() and number.isascii() and len(number) > _LONGEST:
            return shortcode_of(int(number))
        return shortcode_of(pk_of(value))
    except ValueError:
        return None


def given_at(shortcode: str) -> datetime | None:
    """The moment, to the second, at which the number of a post was given; None before 2012,
    as numbers held no moment at first.

    >>> given_at("Crh4qDj9QAA").isoformat()
    '2023-04-27T06:25:26+00:00'
    """
    moment = ID_EPOCH + timedelta(milliseconds=pk_of(shortcode) >> 23)
    return moment.replace(microsecond=0) if moment.year > ID_EPOCH.year else None


def _public_part(shortcode: str) -> str:
    is_private = len(shortcode) > _KEY_LENGTH
    return shortcode[:-_KEY_LENGTH] if is_private else shortcode
