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
