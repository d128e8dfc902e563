"""Whatever is done to the records of a file, each is accounted for and none raises.

The records are those of every format's example, and real ones where they are at hand.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import lzma
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams.formats import twitter_v2, twitwi
from streams.formats.json_records import begins_with_json, split_json
from streams.formats.opening import split_lines
from streams.formats.registry import FORMATS, Format, load_format
from streams.records import Deletion, NotAPost, Post, Problem, Reading, Record

#: The first draw builds hypothesis's tables of Unicode, which takes seconds.
SLOW = settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)

TEXT = st.text(max_size=20) | st.sampled_from(
    ["", "0", "-1", "1e9", "9" * 25, "\0", "RT @a: b", "#a|#b", "…", "²", "٣", "2023-01-01"]
)
SCALAR = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT
    | st.just("\ud800")
)  # fmt: skip
VALUE = st.recursive(
    SCALAR,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
JUNK = st.binary(max_size=12) | st.sampled_from(
    [
        b"",
        b"\n",
        b'"',
        b'\\"',
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b"\r\n",
        b"\0",
        b"\xff",
        b"\xed\xa0\x80",
    ]
)

IS_JSON = {name: begins_with_json(load_format(name).example()) for name in FORMATS}
JSON_FORMATS = [name for name in FORMATS if IS_JSON[name]]
CSV_FORMATS = [name for name in FORMATS if not IS_JSON[name]]


def rows_of(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode(), newline="")))


def records_of(content: bytes) -> list[Any]:
    return [json.loads(raw) for _, raw in split_json(io.BytesIO(content)) if raw is not None]


RECORDS = {name: records_of(load_format(name).example()) for name in JSON_FORMATS}
# what Mastodon deletes is named by a number of the server that statuses before it tell
RECORDS["mastodon"] = [r for r in RECORDS["mastodon"] if r.get("event") != "delete"]
ROWS = {name: rows_of(load_format(name).example()) for name in CSV_FORMATS}

#: format -> files of real records of it
REAL = {
    "twitwi": "tweets_2023_csv/30_04_2023__2023-05-02_tweets_Kogler.csv.xz",
    "twitter_v2": "tweets_v2_jsonl/noflat.jsonl.xz",
    "twitter_v1": "tweets_v1_jsonl/sample.jsonl.xz",
    "ira": "ira_2016/ira_2016-10-25_2016-11-11.csv.xz",
}
_data = os.environ.get("HOAXWATCH_TEST_DATA")
if _data:
    for _name, _path in REAL.items():
        with lzma.open(Path(_data) / _path) as _file:
            _content = b"".join(_file.readlines()[:60])
        if IS_JSON[_name]:
            RECORDS[_name] += records_of(_content)
        else:
            ROWS[f"{_name} (real)"] = rows_of(_content)


def read(format: Format, content: bytes) -> list[Reading]:
    return list(format.read(io.BytesIO(content), "s"))


def assert_safe(value: object) -> None:
    if isinstance(value, str):
        assert "\0" not in value
        value.encode()
    elif isinstance(value, tuple):
        for part in value:
            assert_safe(part)
    elif isinstance(value, Record):
        for name in value.__struct_fields__:
            assert_safe(getattr(value, name))


def check(format: Format, readings: list[Reading]) -> None:
    for reading in readings:
        assert isinstance(reading, Post | Deletion | NotAPost | Problem)
        assert_safe(reading)
        if isinstance(reading, Post):
            again = [again for again in format.remap(reading.raw, "s") if isinstance(again, Post)]
            assert [post.post_id for post in again] == [reading.post_id]
        if isinstance(reading, Problem) and reading.raw:
            *_, still = format.remap(reading.raw, "s")
            assert isinstance(still, Problem | NotAPost), "what no reader can read stays so"
            assert_safe(still)


def without_places(readings: list[Reading]) -> Iterator[object]:
    for reading in readings:
        yield (reading.reason, reading.raw) if isinstance(reading, Problem) else reading


def top_level(readings: list[Reading]) -> list[Reading]:
    """The readings that are not about an embedded post."""
    return [
        reading
        for reading in readings
        if not (isinstance(reading, Post) and reading.seen_as == "embedded")
        and not (isinstance(reading, Problem) and "include" in reading.position)
        and not (isinstance(reading, Problem) and "referenced" in reading.position)
    ]


@st.composite
def mutated(draw: st.DrawFn, record: Any) -> Any:
    """The record with some of its parts dropped, renamed or given another value, at any depth.

    Few of them, so that what is left is still nearly a post. They are drawn by their numbers: to
    ask at each part of a page of tweets takes a second.
    """
    n_parts = count_parts(record)
    number = st.integers(0, max(0, n_parts - 1))
    what = st.sampled_from(["drop", "rename", "replace"])
    changes = draw(st.dictionaries(number, what, max_size=1 + n_parts // 8))
    numbers = itertools.count()

    def changed(value: Any) -> Any:
        if not isinstance(value, dict | list):
            return value
        parts = []
        for key, part in parts_of(value):
            change = changes.get(next(numbers))
            if change != "drop":
                name = draw(TEXT) if change == "rename" else key
                parts.append((name, draw(VALUE) if change == "replace" else changed(part)))
        return dict(parts) if isinstance(value, dict) else [part for _, part in parts]

    return changed(record)


def parts_of(value: dict[str, Any] | list[Any]) -> Iterable[tuple[Any, Any]]:
    """Keys with values; of a list no more than three."""
    return value.items() if isinstance(value, dict) else enumerate(value[:3])


def count_parts(value: Any) -> int:
    """How many parts at any depth."""
    if not isinstance(value, dict | list):
        return 0
    return sum(1 + count_parts(part) for _, part in parts_of(value))


@pytest.mark.parametrize("name", JSON_FORMATS)
@given(data=st.data())
@SLOW
def test_each_json_record_is_accounted_for(name: str, data: st.DataObject) -> None:
    format = load_format(name)
    records = data.draw(
        st.lists(st.sampled_from(RECORDS[name]).flatmap(mutated) | VALUE, max_size=3)
    )
    lines = [json.dumps(record).encode() for record in records]
    alone = [read(format, b'{"nothing": 0}\n' + line)[1:] for line in lines]
    assert all(alone), "each record gives at least one reading"
    together = read(format, b'{"nothing": 0}\n' + b"\n".join(lines))[1:]
    check(format, together)
    expected = [reading for readings in alone for reading in readings]
    assert list(without_places(together)) == list(without_places(expected))


@pytest.mark.parametrize("name", JSON_FORMATS)
@given(data=st.data(), indent=st.sampled_from([None, 1, 4]))
@SLOW
def test_a_list_gives_what_its_parts_give(
    name: str, data: st.DataObject, indent: int | None
) -> None:
    format = load_format(name)
    records = data.draw(st.lists(st.sampled_from(RECORDS[name]).flatmap(mutated), min_size=1))
    as_list = read(format, json.dumps(records, indent=indent).encode())
    as_lines = read(format, b"\n".join(json.dumps(record).encode() for record in records))
    assert list(without_places(as_list)) == list(without_places(as_lines))


@pytest.mark.parametrize("name", ROWS)
@given(data=st.data())
@SLOW
def test_each_row_is_one_reading(name: str, data: st.DataObject) -> None:
    format = load_format(name.partition(" ")[0])
    header, *rows = ROWS[name]
    cell = st.integers(0, len(header) - 1)
    drawn = data.draw(
        st.lists(st.tuples(st.sampled_from(rows), st.dictionaries(cell, TEXT)), max_size=5)
    )
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(header)
    for row, changes in drawn:
        writer.writerow([changes.get(i, value) for i, value in enumerate(row)])
    readings = read(format, text.getvalue().encode())
    assert len(readings) == len(drawn)
    check(format, readings)


@pytest.mark.parametrize("name", FORMATS)
@given(data=st.data())
@SLOW
def test_bytes_cut_out_and_put_in_never_raise(name: str, data: st.DataObject) -> None:
    format = load_format(name)
    content = format.example()
    for _ in range(data.draw(st.integers(1, 3))):
        begin = data.draw(st.integers(0, len(content)))
        end = begin + data.draw(st.integers(0, 40))
        content = content[:begin] + data.draw(JUNK) + content[end:]
    assert 0 <= format.sniff(content) <= 1
    check(format, read(format, content))


@given(
    columns=st.permutations(range(len(ROWS["twitwi"][0]))),
    n_columns=st.integers(3, len(ROWS["twitwi"][0])),
)
@SLOW
def test_the_order_of_columns_does_not_matter(columns: list[int], n_columns: int) -> None:
    header, *rows = ROWS["twitwi"]
    keep = [*columns[:n_columns]]
    keep += [header.index(name) for name in ("id", "timestamp_utc", "text")]
    keep = list(dict.fromkeys(keep))
    text = io.StringIO(newline="")
    csv.writer(text).writerows([row[i] for i in keep] for row in (header, *rows))
    readings = list(twitwi.read(io.BytesIO(text.getvalue().encode()), "s"))
    assert [reading.post_id for reading in readings if isinstance(reading, Post)] == [
        row[header.index("id")] for row in rows
    ]


PAGE = RECORDS["twitter_v2"][0]


@given(items=st.lists(mutated(PAGE["includes"]["tweets"][0]) | VALUE, min_size=1, max_size=5))
@SLOW
def test_each_item_of_a_page_is_one_reading(items: list[Any]) -> None:
    page = {**PAGE, "data": items}
    content = json.dumps(page).encode()
    readings = list(twitter_v2.read(io.BytesIO(content), "s"))
    assert len(top_level(readings)) == len(items) + len(page["errors"])


@given(
    pieces=st.lists(st.binary(max_size=9) | st.sampled_from([b"\n", b"\r\n", b"\xef\xbb\xbf"])),
    size=st.integers(1, 5),
)
@SLOW
def test_lines_do_not_depend_on_how_the_bytes_arrive(pieces: list[bytes], size: int) -> None:
    content = b"x" + b"".join(pieces)
    expected = content.split(b"\n")
    lines = list(split_lines(Dripping(content, size)))
    assert lines == expected[: len(expected) - (not expected[-1])]


@given(values=st.lists(VALUE, max_size=4), junk=JUNK, at=st.integers(0, 99), size=st.integers(1, 9))
@SLOW
def test_json_does_not_depend_on_how_the_bytes_arrive(
    values: list[Any], junk: bytes, at: int, size: int
) -> None:
    content = json.dumps([values, {"a": values}], indent=1).encode()
    content = content[:at] + junk + content[at:]
    assert list(split_json(Dripping(content, size))) == list(split_json(io.BytesIO(content)))


class Dripping(io.BytesIO):
    """Bytes that arrive few at a time."""

    def __init__(self, content: bytes, size: int) -> None:
        super().__init__(content)
        self._size = size

    def read1(self, _: int | None = -1, /) -> bytes:
        return super().read1(self._size)
