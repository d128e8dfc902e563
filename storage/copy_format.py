r"""Rows as PostgreSQL's COPY reads them.

Texts alone go in the text format, which costs least to write. Rows with times, numbers, bytes or
composite values go in the binary one: as text the server would spend more on reading each
`("2023-04-24 ...",3)` than on storing it. Source: the manual of PostgreSQL, COPY, "File Formats";
what is inside a field is what its type's receive function reads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from itertools import chain
from struct import Struct
from typing import Any

Row = tuple[Any, ...]

#: A time in microseconds since 2000-01-01 UTC, as PostgreSQL keeps it.
Moment = int
#: A value with the time it was seen: observed_count and observed_text.
Observed = tuple[Moment, int | str]

#: PostgreSQL's -infinity: before every time.
UNKNOWN_TIME: Moment = -(2**63)

#: What COPY reads otherwise than it stands.
ESCAPED = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})
#: The same as bytes, in this order: the backslash comes first, for the others bring new ones.
_ESCAPES = [(chr(special).encode(), written.encode()) for special, written in ESCAPED.items()]
_OURS = bytes.maketrans(b"\x1f\x1e", b"\t\n")

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_TIMESTAMPTZ, _BIGINT, _TEXT = 1184, 20, 25  # numbers of types, the same on every server
# a field begins with its length in bytes; a composite goes on with the number of its parts, each
# with type and length, an array with dimensions, a flag, type, number and first place
_NULL = Struct(">i").pack(-1)
_length = Struct(">i").pack
_moment = Struct(">iq").pack
_small = Struct(">ih").pack
_count = Struct(">iiiiqiiq").pack
_said = Struct(">iiiiqii").pack
_array = Struct(">iiiiii").pack
_NO_TEXTS = Struct(">iiii").pack(12, 0, 0, _TEXT)


def copy_text(lines: Sequence[Sequence[str | None]]) -> bytes:
    r"""Rows of texts, in the text format. Raises UnicodeEncodeError for lone surrogates.

    >>> print(copy_text([("a\tb", None)]))
    b'a\\tb\t\\N\n'
    """
    # ASCII's own separators stand for ours, so that all texts are escaped at once: a third of the
    # time that looking at each takes
    parts = ["\x1f".join(["\x1d" if v is None else v for v in line]) for line in lines]
    data = "\x1e".join([*parts, ""]).encode()
    n_nulls = sum(line.count(None) for line in lines)
    n_ours = len(lines), sum(map(len, lines)) - len(lines), n_nulls
    if (data.count(b"\x1e"), data.count(b"\x1f"), data.count(b"\x1d")) != n_ours:
        return _copy_text_with_separators(lines)
    for special, written in _ESCAPES:
        data = data.replace(special, written)
    return data.replace(b"\x1d", rb"\N").translate(_OURS)


def _copy_text_with_separators(lines: Sequence[Sequence[str | None]]) -> bytes:
    """The same for texts in which ASCII's separators stand themselves."""
    parts = [
        "\t".join([r"\N" if v is None else v.translate(ESCAPED) for v in line]) for line in lines
    ]
    return "\n".join([*parts, ""]).encode()


#: Writes a value that is not NULL as a field of the binary format, with its length before it.
Field = Callable[[Any], bytes]


def copy_binary(lines: Sequence[Row], fields: Sequence[Field]) -> bytes:
    r"""Rows in the binary format; `fields` says how each column is written.

    Raises UnicodeEncodeError for lone surrogates, struct.error for numbers that have no room.

    >>> copy_binary([("a", None)], [text, moment])[19:]
    b'\x00\x02\x00\x00\x00\x01a\xff\xff\xff\xff\xff\xff'
    """
    head = [len(fields).to_bytes(2, "big")] * len(lines)
    columns = list(zip(*lines, strict=True)) or [()] * len(fields)
    # column by column, which takes a quarter less than row by row
    written = [
        [_NULL if value is None else write(value) for value in column]
        for write, column in zip(fields, columns, strict=True)
    ]
    parts = chain.from_iterable(zip(head, *written, strict=True))
    return b"".join((b"PGCOPY\n\xff\r\n\0", bytes(8), *parts, b"\xff\xff"))


def text(value: str) -> bytes:
    """A text."""
    data = value.encode()
    return _length(len(data)) + data


#: A text of which there are few, like the name of a platform.
word = lru_cache(maxsize=1_000)(text)


def raw(value: bytes) -> bytes:
    """Bytes."""
    return _length(len(value)) + value


def small(value: int) -> bytes:
    """A smallint."""
    return _small(2, value)


def moment(value: Moment) -> bytes:
    """A timestamptz."""
    return _moment(8, value)


def count(value: tuple[Moment, int]) -> bytes:
    """An observed_count."""
    observed, number = value
    return _count(36, 2, _TIMESTAMPTZ, 8, observed, _BIGINT, 8, number)


def said(value: tuple[Moment, str]) -> bytes:
    """An observed_text."""
    observed, words = value
    data = words.encode()
    return _said(28 + len(data), 2, _TIMESTAMPTZ, 8, observed, _TEXT, len(data)) + data


def texts(values: Sequence[str]) -> bytes:
    """A text[]."""
    if not values:
        return _NO_TEXTS
    data = b"".join(map(text, values))
    return _array(20 + len(data), 1, 0, _TEXT, len(values), 1) + data


#: Several names of which there are few combinations: all posts of a file have the same.
words = lru_cache(maxsize=1_000)(texts)


def moment_of(when: datetime | None) -> Moment:
    """A time as PostgreSQL keeps it; None is unknown.

    >>> moment_of(datetime(2000, 1, 1, 0, 0, 1, 5, tzinfo=UTC)), moment_of(None) == UNKNOWN_TIME
    (1000005, True)
    """
    if when is None:
        return UNKNOWN_TIME
    since = when - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
