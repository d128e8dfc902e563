"""JSON files as records: lines, arrays of any size, documents that span lines; reading fields.

A file whose first line is a whole value is read line by line, and a broken line costs itself. Any
other file is scanned: the elements of a top-level array, and documents put one behind the other,
are records of their own however they are laid out. Only one record is held at a time.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime

import msgspec

from streams.formats.cleaning import clean_record, parse_moment
from streams.formats.opening import CHUNK_BYTES, DAMAGE, LINE_LIMIT_BYTES, Ahead, split_lines
from streams.records import NotAPost, Problem, Reading

Json = dict[str, object]

#: What makes readings of one object: (object, source, position).
Parse = Callable[[Json, str, str], Iterator[Reading]]

_BOM = b"\xef\xbb\xbf"


def read_json(stream: io.BufferedIOBase, source: str, parse: Parse) -> Iterator[Reading]:
    """Each record of the stream as `parse` reads it; one that is not JSON as a Problem."""
    for position, raw in split_json(stream):
        if raw is None:
            yield Problem(reason="record is too long to be read", source=source, position=position)
        else:
            yield from parse_json(raw, source, position, parse)


def parse_json(raw: bytes, source: str, position: str, parse: Parse) -> Iterator[Reading]:
    """What one record holds: an object as `parse` reads it, a list part by part. Texts are cleaned
    where JSON lets through what no text may hold."""
    try:
        record, is_odd = decode_json(raw)
    except (ValueError, RecursionError) as error:
        reason = f"not JSON: {' '.join(str(error).split())}"
        yield Problem(reason=reason, source=source, position=position, raw=raw)
        return
    if isinstance(record, dict):
        readings = parse(record, source, position)
    elif isinstance(record, list):
        readings = _parse_list(record, source, position, parse)
    else:
        readings = iter([problem_of("not a JSON object", record, source, position)])
    yield from map(clean_record, readings) if is_odd else readings


def _parse_list(parts: list[object], source: str, position: str, parse: Parse) -> Iterator[Reading]:
    if not parts:
        yield NotAPost(what="empty page")
    for i, part in enumerate(parts):
        place = f"{position}[{i}]"
        if isinstance(part, dict):
            yield from parse(part, source, place)
        else:
            reason = "a list in a list" if isinstance(part, list) else "not a JSON object"
            yield problem_of(reason, part, source, place)


def decode_json(raw: bytes) -> tuple[object, bool]:
    """The value, and whether its texts may hold what `clean_record` must replace.

    Raises ValueError or RecursionError. Lone surrogates and bytes that are not UTF-8 are no
    reason to lose a record.
    """
    try:
        return msgspec.json.decode(raw), b"\\u0000" in raw
    except (msgspec.DecodeError, UnicodeDecodeError):
        return json.loads(raw.removesuffix(b"\r").decode(errors="replace")), True


def encode_json(value: object) -> bytes:
    """The value as compact JSON: the same bytes however the file was laid out."""
    try:
        return msgspec.json.encode(value)
    except (UnicodeEncodeError, OverflowError):  # lone surrogates, integers beyond 64 bits
        return json.dumps(value, separators=(",", ":")).encode()


def problem_of(reason: str, record: object, source: str, position: str) -> Problem:
    """The Problem of a decoded record."""
    return Problem(reason=reason, source=source, position=position, raw=encode_json(record))


def begins_with_json(head: bytes) -> bool:
    """Whether a file could be JSON, by its first byte that is not space."""
    return head.removeprefix(_BOM).lstrip().startswith((b"{", b"["))


def score_keys(head: bytes, telling: Iterable[bytes], foreign: Iterable[bytes] = ()) -> float:
    """The confidence, in [0, 0.95], that JSON has a format, by the pieces of text it shows.

    None of the telling pieces, or any foreign one: 0. Each telling one adds.

    >>> score_keys(b'{"a":1,"b":2}', [b'"a"']), score_keys(b'{"a":1}', [b'"a"'], [b'"a":1'])
    (0.6, 0.0)
    """
    if not begins_with_json(head) or any(piece in head for piece in foreign):
        return 0.0
    n_pieces = sum(piece in head for piece in telling)
    return min(0.95, round(0.4 + 0.2 * n_pieces, 2)) if n_pieces else 0.0


def object_of(value: object) -> Json:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def objects_of(value: object) -> list[Json]:
    """The objects among the parts of the value, if it is a list."""
    return [part for part in value if isinstance(part, dict)] if isinstance(value, list) else []


def text_of(value: object) -> str | None:
    """The value if it is a text."""
    return value if isinstance(value, str) else None


def texts_of(value: object) -> list[str]:
    """The texts among the parts of the value, if it is a list."""
    return [part for part in value if isinstance(part, str)] if isinstance(value, list) else []


def count_of(record: Json, *keys: str) -> int | None:
    """The first of the counters that is one: a whole number that 63 bits hold, never negative.

    >>> count_of({"a": -1, "b": 2.0, "c": 3}, "a", "b", "c"), count_of({"a": True}, "a")
    (3, None)
    """
    for key in keys:
        value = record.get(key)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 63:
            return value
    return None


def moment_of(value: object) -> datetime | None:
    """The moment of an ISO 8601 text, in UTC."""
    return parse_moment(value) if isinstance(value, str) else None


def unix_moment_of(value: object, per_second: int = 1) -> datetime | None:
    """The moment of a Unix time counted in so many units per second, in UTC.

    >>> unix_moment_of(1682345614000, 1000).isoformat(), unix_moment_of("soon")
    ('2023-04-24T14:13:34+00:00', None)
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return datetime.fromtimestamp(value / per_second, UTC)
    except (ValueError, OverflowError, OSError):
        return None


# Cutting a stream into records


def split_json(
    stream: io.BufferedIOBase, limit_bytes: int = LINE_LIMIT_BYTES
) -> Iterator[tuple[str, bytes | None]]:
    r"""The records of the stream, each with its place: the line it begins in, its index in a list.

    A record longer than `limit_bytes` is given as None. What is no record is given as if it were
    one, so that whoever decodes it counts it. Raises DAMAGE as `split_lines` does.

    >>> list(split_json(io.BytesIO(b'{"a":1}\n{"a":\n{"a":3}')))
    [('line 1', b'{"a":1}'), ('line 2', b'{"a":'), ('line 3', b'{"a":3}')]
    >>> list(split_json(io.BytesIO(b'[{"a":1},\n {"a":[2]}]')))
    [('line 1[0]', b'{"a":1}'), ('line 2[1]', b'{"a":[2]}')]
    """
    ahead = Ahead(stream)
    if is_lines(ahead.head):
        for number, line in enumerate(split_lines(ahead, limit_bytes), 1):
            if line is None or line.strip():
                yield f"line {number}", line
    else:
        yield from _Scanner(limit_bytes).scan(ahead)


def is_lines(head: bytes) -> bool:
    r"""Whether a file is one record per line, judged by its first line (and the next, if broken).

    >>> is_lines(b'{"a":1}\n'), is_lines(b'[{"a":1}]'), is_lines(b'{\n  "a":1'), is_lines(b"junk")
    (True, False, False, True)
    """
    head = head.removeprefix(_BOM).lstrip()
    if not head.startswith((b"{", b"[")):
        return True
    if head.startswith(b"["):
        return False
    line, newline, rest = head.partition(b"\n")
    depth = 0
    for token in _TOKEN.finditer(line):
        mark = token[0]
        if mark in b"{[":
            depth += 1
        elif mark in b"}]":
            depth -= 1
            if depth == 0:
                return not line[token.end() :].strip()
        elif mark == b'"':
            return True  # a text that the end of the line breaks
    return not newline or rest.startswith(b'{"')


#: What matters between records: brackets, newlines, whole texts, and a quote that begins one which
#: does not end before its line or the bytes do.
_TOKEN = re.compile(rb'[{}\[\]\n]|"[^"\\\n]*(?:\\.[^"\\\n]*)*"|"')
#: Whatever stands outside of records and is no space, comma or bracket.
_JUNK = re.compile(rb'"[^"\\\n]*(?:\\.[^"\\\n]*)*"|[^\s,{}\[\]]+')
_PIECE_BYTES = 64 << 10
_OPENING = {ord("{"): ord("}"), ord("["): ord("]")}


class _Scanner:
    """Finds records by their brackets, over chunks that may end anywhere.

    A record is broken where a text runs over the end of a line, or where a line begins as the
    record itself did although a value cannot begin there (or the first record of the file took one
    line). A broken record ends before the next line that begins as it did.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._buffer = b""  # from the record's beginning, or from what is to be looked at next
        self._at = 0  # how far of it was looked at
        self._open = bytearray()  # the closing brackets that are awaited
        self._line = 1
        self._line_begin = 0  # where in the buffer the line began; negative: before the buffer
        self._indent: bytes | None = None  # of the line in which the record begins
        self._place = ""
        self._in_list = False
        self._index = 0
        self._is_long = False
        self._is_broken = False
        self._spans_lines: bool | None = None  # whether the first record does

    def scan(self, stream: io.BufferedIOBase) -> Iterator[tuple[str, bytes | None]]:
        bom = _BOM
        while more := self._read_more(stream):
            self._buffer += more.removeprefix(bom)
            bom = b""
            yield from self._step(is_last=False)
        yield from self._step(is_last=True)
        if self._open or self._is_broken:
            yield self._take(len(self._buffer))

    def _read_more(self, stream: io.BufferedIOBase) -> bytes:
        """As much again as is held, so that a long record is not looked at again and again."""
        pieces: list[bytes] = []
        n_wanted = max(_PIECE_BYTES, len(self._buffer))
        try:
            while n_wanted > 0 and (piece := stream.read1(min(n_wanted, CHUNK_BYTES))):
                pieces.append(piece)
                n_wanted -= len(piece)
        except DAMAGE:
            if not pieces:  # else it is met again, after what came before it
                raise
        return b"".join(pieces)

    def _step(self, is_last: bool) -> Iterator[tuple[str, bytes | None]]:
        while self._at < len(self._buffer):
            if self._is_broken:
                found = self._skip_broken(is_last)
            elif self._open:
                found = self._inside(is_last)
            else:
                found = self._between(is_last)
            if found is None:
                break
            yield from found
        if not self._open and not self._is_broken:
            self._drop(self._at)
        elif self._is_long or len(self._buffer) > self._limit:
            if not self._is_long and len(self._buffer) - self._at > self._limit // 2:
                self._is_broken = True  # one text is too long: it is not looked for its end
                self._at = len(self._buffer)
            self._is_long = True
            self._drop(self._at)

    def _drop(self, n_bytes: int) -> None:
        self._buffer = self._buffer[n_bytes:]
        self._at -= n_bytes
        self._line_begin -= n_bytes

    def _take(self, end: int) -> tuple[str, bytes | None]:
        """The record that ends here; what comes next is looked at from here on."""
        raw = None if self._is_long or end > self._limit else self._buffer[:end].rstrip()
        if self._spans_lines is None:
            self._spans_lines = raw is None or b"\n" in raw
        self._drop(end)
        self._at = 0
        self._open.clear()
        self._is_long = self._is_broken = False
        return self._place, raw

    def _begin(self, at: int) -> None:
        """A record begins at this place of the buffer."""
        begin = max(self._line_begin, 0)
        before = self._buffer[begin:at]
        self._indent = before if self._line_begin >= 0 and not before.strip() else b""
        self._place = f"line {self._line}" + (f"[{self._index}]" if self._in_list else "")
        self._index += 1
        self._drop(at)
        self._at = 0

    def _newline(self, at: int) -> None:
        self._line += 1
        self._line_begin = at + 1

    def _between(self, is_last: bool) -> list[tuple[str, bytes | None]] | None:
        """Looks for the beginning of a record; None: more bytes are needed."""
        byte = self._buffer[self._at]
        if byte == ord("\n"):
            self._newline(self._at)
        elif byte == ord("[") and not self._in_list:
            self._in_list, self._index = True, 0
            self._place = f"line {self._line}"
        elif byte == ord("]") and self._in_list:
            self._in_list = False
            self._at += 1
            return [(self._place, b"[]")] if self._index == 0 else []
        elif byte in _OPENING:
            self._begin(self._at)
            self._open.append(_OPENING[byte])
        elif junk := _JUNK.match(self._buffer, self._at):
            if junk.end() == len(self._buffer) and not is_last and len(junk[0]) < self._limit:
                return None
            self._begin(self._at)
            return [self._take(len(junk[0]))]
        elif byte in b"]}":
            self._begin(self._at)
            return [self._take(1)]
        self._at += 1
        return []

    def _inside(self, is_last: bool) -> list[tuple[str, bytes | None]] | None:
        """Looks for the end of the record; None: more bytes are needed."""
        for token in _TOKEN.finditer(self._buffer, self._at):
            begin, end = token.span()
            mark = token[0]
            byte = mark[0]
            if byte in _OPENING:
                self._open.append(_OPENING[byte])
            elif byte in b"}]":
                self._open.pop()
                if not self._open:
                    return [self._take(end)]
            elif mark == b'"':
                self._at = begin
                if b"\n" in self._buffer[begin:] or is_last:
                    self._is_broken = True
                    return []
                return None
            elif byte == ord("\n"):
                indent = self._indent or b""
                ahead = self._buffer[end : end + len(indent) + 1]
                if len(ahead) <= len(indent) and not is_last:
                    self._at = begin
                    return None
                self._newline(begin)
                may_hold = self._spans_lines is not False and self._may_hold(begin)
                if ahead == indent + b"{" and not may_hold:
                    return [self._take(end)]
            self._at = end
        self._at = len(self._buffer)
        return []

    def _may_hold(self, at: int) -> bool:
        """Whether an object may stand behind what ends here: after `[`, `:`, or `,` in a list."""
        before = self._buffer[max(at - 200, 0) : at].rstrip()[-1:]  # nothing: it was long
        return before in (b"", b"[", b":") or (before == b"," and self._open[-1] == ord("]"))

    def _skip_broken(self, is_last: bool) -> list[tuple[str, bytes | None]] | None:
        """Looks for a line that begins as the broken record did."""
        indent = self._indent or b""
        while (newline := self._buffer.find(b"\n", self._at)) >= 0:
            ahead = self._buffer[newline + 1 : newline + 2 + len(indent)]
            if len(ahead) <= len(indent) and not is_last:
                self._at = newline
                return None
            self._newline(newline)
            self._at = newline + 1
            if ahead == indent + b"{" or (self._in_list and ahead[:1] == b"]"):
                return [self._take(newline + 1)]
        self._at = len(self._buffer)
        return []
