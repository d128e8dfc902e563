"""Cutting JSON into records: every layout, every way for a record to be broken."""

from __future__ import annotations

import io
import json
import tracemalloc
from collections.abc import Iterator

import pytest

from streams.formats.json_records import (
    Json,
    encode_json,
    is_lines,
    parse_json,
    problem_of,
    split_json,
    unix_moment_of,
)
from streams.formats.opening import CHUNK_BYTES, DAMAGE
from streams.records import NotAPost, Problem, Reading

RECORDS = [{"a": i, "t": 'x"{[\n\\' + "y" * i, "n": [{"b": 1}, [1, {}]]} for i in range(40)]


def split(content: bytes, limit_bytes: int = 64 << 20) -> list[tuple[str, bytes | None]]:
    return list(split_json(io.BytesIO(content), limit_bytes))


@pytest.mark.parametrize("indent", [None, 0, 1, 4])
@pytest.mark.parametrize("layout", ["list", "lines", "joined", "list of lines"])
def test_every_layout_gives_the_same_records(indent: int | None, layout: str) -> None:
    each = [json.dumps(record, indent=indent) for record in RECORDS]
    content = {
        "list": json.dumps(RECORDS, indent=indent),
        "lines": "\n".join(each),
        "joined": "".join(each),
        "list of lines": "[\n" + ",\n".join(each) + "\n]\n",
    }[layout]
    for text in (content, "\ufeff" + content, "\n \n" + content, content.replace("\n", "\r\n")):
        found = split(text.encode())
        assert [json.loads(raw or b"") for _, raw in found] == RECORDS


def test_places() -> None:
    content = b'[{"a": 1},\n  {\n"a": 2}]\n{"a": 3}'
    assert [place for place, _ in split(content)] == ["line 1[0]", "line 2[1]", "line 4"]
    assert [place for place, _ in split(b'{"a": 1}\n\n{"a": 2}')] == ["line 1", "line 3"]


def test_what_is_no_record_is_given_all_the_same() -> None:
    assert split(b"[]") == [("line 1", b"[]")]
    found = split(b'[1, "a, b", null, [2], {"a": 1}] ] x')
    assert [raw for _, raw in found] == [
        *(b"1", b'"a, b"', b"null", b"[2]", b'{"a": 1}', b"]", b"x")
    ]
    assert split(b"") == split(b" \n ") == []
    assert [raw for _, raw in split(b'junk\n{"a": 1}')] == [b"junk", b'{"a": 1}']


def test_a_broken_line_costs_itself() -> None:
    good = b'{"a": 1, "b": [1]}'
    for n_bytes in range(1, len(good)):
        found = split(good + b"\n" + good[:n_bytes] + b"\n" + good)
        assert [raw for _, raw in found] == [good, good[:n_bytes], good]


@pytest.mark.parametrize("layout", ["[\n%s\n]", "[%s]", "\n[\n%s\n]\n"])
def test_a_broken_line_of_a_list_costs_itself(layout: str) -> None:
    good = '{"a": 1, "b": "x"}'
    for n_characters in (2, 5, 7, 8, 12, 16, 17):
        content = layout % f"{good},\n{good[:n_characters]}\n{good},\n{good}"
        found = [raw for _, raw in split(content.encode())]
        assert found.count(good.encode()) == 3 and len(found) == 4, content


def test_a_broken_object_over_lines_costs_itself() -> None:
    lines = json.dumps(RECORDS[:5], indent=2).split("\n")
    found = split("\n".join(["[", *lines[1:4], '    "cut', *lines[4:]]).encode())
    assert len(found) == 5
    assert [json.loads(raw or b"") for _, raw in found[1:]] == RECORDS[1:5]


def test_a_broken_first_line_leaves_a_file_of_lines() -> None:
    assert is_lines(b'{"a": "cut\n{"a": 1}')
    assert is_lines(b'{"a": 1,\n{"a": 1}')
    assert not is_lines(b'{"a": 1,\n "b": 1}')
    assert not is_lines(b'{"a":1}{"a":2}\n')


def test_a_record_that_is_too_long_is_not_held() -> None:
    limit = CHUNK_BYTES
    long = b"x" * (20 * limit)
    many = b"[" + b"1," * (10 * limit) + b"1]"
    for content, n_after in (
        (b'[{"a": "' + long + b'"},\n{"a": 1}]', 1),
        (b'[{"a": ' + many + b'}, {"a": 1}]', 1),
        (b'{"a": 1}\n{"a": "' + long + b'"}\n{"a": 1}', 1),
        (b'{\n"a": "' + long, 0),
    ):
        stream = io.BytesIO(content)
        tracemalloc.start()
        try:
            found = [raw for _, raw in split_json(stream, limit)]
            assert tracemalloc.get_traced_memory()[1] < 8 * limit
        finally:
            tracemalloc.stop()
        assert found.count(None) == 1
        assert found[len(found) - n_after :] == [b'{"a": 1}'] * n_after


def test_a_list_is_not_held_whole() -> None:
    class Endless(io.BytesIO):
        n_bytes = 0

        def read1(self, size: int | None = -1, /) -> bytes:
            given = b'{"a": "bcdefghijklmnopqrstuvw"},' * 1000
            begin = b"" if self.n_bytes else b"["
            self.n_bytes += len(given)
            return begin + given

    stream = Endless()
    records = split_json(stream)
    for _ in range(5_000):
        assert next(records)[1] == b'{"a": "bcdefghijklmnopqrstuvw"}'
    assert stream.n_bytes < 6_000 * 32 + 4 * CHUNK_BYTES


def test_damage_comes_after_what_stands_before_it() -> None:
    class Damaged(io.BytesIO):
        def read1(self, size: int | None = -1, /) -> bytes:
            given = super().read1(size)
            if not given:
                raise EOFError("cut off")
            return given

    for content in (b'{"a":1}\n{"a":2}\n', b'[{"a":1},{"a":2},', b'{"a":1}\n'):
        found = []
        with pytest.raises(DAMAGE):
            for _, raw in split_json(Damaged(content)):
                found.append(raw)
        assert found == [b'{"a":1}', b'{"a":2}'][: len(found)] and found


def test_what_is_not_json_is_one_problem() -> None:
    def parse(*_: object) -> list[NotAPost]:
        return [NotAPost(what="record\ud800")]

    for raw in (b"{", b"[" * 100_000, b'{"a": ' + b"9" * 5_000 + b"}", b"nul"):
        (problem,) = parse_json(raw, "s", "line 7", parse)  # type: ignore[arg-type]
        assert isinstance(problem, Problem) and problem.reason.startswith("not JSON: ")
        assert (problem.position, problem.raw) == ("line 7", raw)
    (cleaned,) = parse_json(b'{"a": "\xff"}', "s", "", parse)  # type: ignore[arg-type]
    assert cleaned == NotAPost(what="record\ufffd")


def test_a_list_is_read_part_by_part() -> None:
    def parse(record: Json, source: str, position: str) -> Iterator[Reading]:
        yield NotAPost(what=f"{record} at {position}")

    raw = b'[{"a":1},[{"a":2}],null,{"a":3}]'
    first, nested, nothing, last = parse_json(raw, "s", "line 1", parse)
    assert first == NotAPost(what="{'a': 1} at line 1[0]")
    assert nested == problem_of("a list in a list", [{"a": 2}], "s", "line 1[1]")
    assert nothing == problem_of("not a JSON object", None, "s", "line 1[2]")
    assert last == NotAPost(what="{'a': 3} at line 1[3]")
    assert list(parse_json(b"[]", "s", "line 1", parse)) == [NotAPost(what="empty page")]
    assert list(parse_json(b"3", "s", "line 1", parse)) == [
        problem_of("not a JSON object", 3, "s", "line 1")
    ]


def test_what_msgspec_refuses_is_encoded_all_the_same() -> None:
    record: Json = {"a": "\ud800", "b": 1 << 70}
    assert json.loads(encode_json(record)) == record


def test_unix_times_that_are_none() -> None:
    for value in (None, True, "1", 1e300, float("nan"), -(1 << 62)):
        assert unix_moment_of(value) is None
