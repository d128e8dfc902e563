"""What every format holds to: which records are bad, and which characters a text may have.

No text leaves a format with a character that Postgres or UTF-8 refuses.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import TypeVar

import msgspec

from streams.records import Record

_UNSAFE = re.compile("[\0\ud800-\udfff]")

_AnyRecord = TypeVar("_AnyRecord", bound=Record)


class BadField(ValueError):
    """A field without which a record is no post. The message begins with the field's name."""


def clean_text(text: str) -> str:
    r"""The text with each U+0000 and lone surrogate replaced by U+FFFD.

    >>> clean_text("a\0b\ud83d")
    'a\ufffdb\ufffd'
    """
    return _UNSAFE.sub("\ufffd", text)


def clean_record(record: _AnyRecord) -> _AnyRecord:
    """The record with every text in it cleaned, however deep; bytes (`raw`) stay as they are."""
    changes = {name: _clean(getattr(record, name)) for name in record.__struct_fields__}
    return msgspec.structs.replace(record, **changes)


def parse_moment(text: str) -> datetime | None:
    """The moment an ISO 8601 text names, in UTC (its zone too, if it names none), or None.

    >>> parse_moment("2023-04-24T12:00:00+02:00").isoformat(), parse_moment("yesterday")
    ('2023-04-24T10:00:00+00:00', None)
    """
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


@lru_cache(maxsize=4096)  # most counters are 0
def parse_count(cell: str) -> int | None:
    """A counter, or None where the cell holds none; pandas writes whole numbers as "3.0".

    >>> parse_count("3"), parse_count("3.0"), parse_count(""), parse_count("many")
    (3, 3, None, None)
    """
    if cell.isdecimal() and len(cell) <= 18:
        return int(cell)
    return parse_count(cell[:-2]) if cell.endswith(".0") else None


def _clean(value: object) -> object:
    match value:
        case str():
            return clean_text(value)
        case tuple():
            return tuple(_clean(part) for part in value)
        case Record():
            return clean_record(value)
        case _:
            return value


_ROUNDED = re.compile(r"\d[.,]\d+[eE]\+?\d+|\dE\+\d+")


def is_rounded(told: str) -> bool:
    """Whether an id has the form in which a spreadsheet writes a long number.

    >>> is_rounded("1.65E+18"), is_rounded("12e45"), is_rounded("1650000000000000001")
    (True, False, False)
    """
    return _ROUNDED.fullmatch(told.strip()) is not None


def bad_id(told: str, what: str) -> BadField:
    """The error for what is no id; says so where a spreadsheet rounded it, which ruins whole files.

    >>> str(bad_id("1.65E+18", "id"))
    "id: '1.65E+18' was rounded by a spreadsheet; read the file as it was collected"
    >>> str(bad_id("x", "id"))
    "id: 'x' is not an id"
    """
    if is_rounded(told):
        return BadField(
            f"{what}: {told[:40]!r} was rounded by a spreadsheet; read the file as it was collected"
        )
    return BadField(f"{what}: {told[:40]!r} is not an id")
