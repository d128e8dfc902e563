"""CSV files as records: rows under a header, none of which can end the file."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from itertools import compress

import msgspec

from streams.formats.cleaning import BadField, clean_text
from streams.formats.opening import split_lines
from streams.records import NotAPost, Problem, Reading

Row = list[str]
#: What makes a reading of a row; it raises BadField.
RowParser = Callable[[Row], Reading]

#: A row is a post and its author, far below this; csv itself refuses cells above 128 kB.
_LINE_LIMIT_BYTES = 4 << 20


def read_csv(
    stream: io.BufferedIOBase,
    source: str,
    make_parser: Callable[[Row, str], RowParser],
    delimiter: str = ",",
    encode_row: Callable[[Row, Row], bytes] | None = None,
) -> Iterator[Reading]:
    """Each row as one reading, by the parser that `make_parser(header, source)` makes.

    A bad row is a Problem, which names the field; its `raw` is what `encode_row(header, row)` makes
    of it, else `encode_cells`. Bytes that are not UTF-8 become U+FFFD: a broken
    emoji is no reason to lose a post. A header that occurs again, as in files put together with
    `cat`, is a NotAPost.
    """
    rows = csv.reader(_decode_lines(stream), delimiter=delimiter)
    header: Row | None = None
    parse_row: RowParser | None = None
    while True:
        position = f"line {rows.line_num + 1}"
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            yield Problem(reason=f"not a CSV row: {error}", source=source, position=position)
            continue
        if not row:
            continue
        if header is None or parse_row is None:
            header, parse_row = row, make_parser(row, source)
        elif row == header:
            yield NotAPost(what="header")
        elif len(row) != len(header):
            reason = f"{len(row)} cells in a row, {len(header)} in the header"
            raw = encode_cells(None, row)
            yield Problem(reason=reason, source=source, position=position, raw=raw)
        else:
            try:
                yield parse_row(row)
            except BadField as error:
                raw = (encode_row or encode_cells)(header, row)
                reason = clean_text(str(error))
                yield Problem(reason=reason, source=source, position=position, raw=raw)


def read_header(head: bytes, delimiter: str = ",") -> frozenset[str]:
    r"""The names of the columns of a file that begins with `head`; none if that is no CSV.

    >>> sorted(read_header(b'\xef\xbb\xbfid,"a b"\r\n1,2'))
    ['a b', 'id']
    """
    line = head.removeprefix(b"\xef\xbb\xbf").split(b"\n", 1)[0].decode(errors="replace")
    try:
        return frozenset(next(csv.reader([line.rstrip("\r")], delimiter=delimiter), ()))
    except csv.Error:
        return frozenset()


def encode_cells(header: Sequence[str] | None, row: Row) -> bytes:
    """A row as JSON object of its non-empty cells in the header's order; without one, a list."""
    if header is None:
        return _encode(row)
    return _encode(dict(compress(zip(header, row, strict=True), row)))


def remap_row(
    raw: bytes, source: str, make_parser: Callable[[Row, str], RowParser]
) -> Iterator[Reading]:
    """What a row that `encode_cells` wrote says, read again."""
    try:
        cells = msgspec.json.decode(raw, type=dict[str, str])
        yield make_parser(list(cells), source)(list(cells.values()))
    except (BadField, msgspec.DecodeError, UnicodeDecodeError) as error:
        yield Problem(reason=clean_text(str(error)), source=source, position="raw", raw=raw)


_encode = msgspec.json.Encoder().encode


def _decode_lines(stream: io.BufferedIOBase) -> Iterator[str]:
    for line in split_lines(stream, _LINE_LIMIT_BYTES):
        # A line that was too long to hold goes on as a cell that csv refuses, and is counted so.
        yield line.decode(errors="replace") + "\n" if line is not None else _TOO_LONG


#: One character more than a cell may have.
_TOO_LONG = "x" * (csv.field_size_limit() + 1)
