"""Whatever is done to the records of a file, each is accounted for and none raises."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams.formats import twitter_v2, twitwi
from streams.formats.opening import split_lines
from streams.records import Post, Problem, Reading, Record

#: The first draw builds hypothesis's tables of Unicode, which takes seconds.
SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

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

_header, *ROWS = csv.reader(io.StringIO(twitwi.example().decode(), newline=""))
HEADER = _header
LINES: list[dict[str, Any]] = [json.loads(line) for line in twitter_v2.example().splitlines()]


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


def top_level(readings: list[Reading]) -> list[Reading]:
    """The readings that are not about an embedded post."""
    return [
        reading
        for reading in readings
        if not (isinstance(reading, Post) and reading.seen_as == "embedded")
        and not (isinstance(reading, Problem) and "include" in reading.position)
        and not (isinstance(reading, Problem) and "referenced" in reading.position)
    ]


@given(
    rows=st.lists(
        st.tuples(st.sampled_from(ROWS), st.dictionaries(st.integers(0, len(HEADER) - 1), TEXT)),
        max_size=5,
    )
)
@SLOW
def test_each_row_is_one_reading(rows: list[tuple[list[str], dict[int, str]]]) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(HEADER)
    for row, changes in rows:
        writer.writerow([changes.get(i, cell) for i, cell in enumerate(row)])
    readings = list(twitwi.read(io.BytesIO(text.getvalue().encode()), "s"))
    assert len(readings) == len(rows)
    for reading in readings:
        assert_safe(reading)
        if isinstance(reading, Post):
            assert list(twitwi.remap(reading.raw, "s")) == [reading]


@given(columns=st.permutations(range(len(HEADER))), n_columns=st.integers(3, len(HEADER)))
@SLOW
def test_the_order_of_columns_does_not_matter(columns: list[int], n_columns: int) -> None:
    keep = [*columns[:n_columns]]
    keep += [HEADER.index(name) for name in ("id", "timestamp_utc", "text")]
    keep = list(dict.fromkeys(keep))
    text = io.StringIO(newline="")
    csv.writer(text).writerows([row[i] for i in keep] for row in (HEADER, *ROWS))
    readings = list(twitwi.read(io.BytesIO(text.getvalue().encode()), "s"))
    assert [reading.post_id for reading in readings if isinstance(reading, Post)] == [
        row[HEADER.index("id")] for row in ROWS
    ]


@st.composite
def mutated(draw: st.DrawFn, value: Any, depth: int = 0) -> Any:
    """The value with some of its keys dropped, renamed or given another value, at any depth."""
    if isinstance(value, dict):
        changed = {}
        for key, inner in value.items():
            what = draw(st.integers(0, 9))
            if what == 0:
                continue
            changed[key] = draw(VALUE) if what == 1 else draw(mutated(inner, depth + 1))
        return changed
    if isinstance(value, list):
        return [draw(mutated(inner, depth + 1)) for inner in value]
    return value


@given(st.lists(st.sampled_from(LINES).flatmap(mutated) | VALUE, max_size=3))
@SLOW
def test_each_json_record_is_accounted_for(records: list[Any]) -> None:
    content = b"\n".join(json.dumps(record).encode() for record in records)
    readings = list(twitter_v2.read(io.BytesIO(content), "s"))
    assert len(readings) >= len(records)
    for reading in readings:
        assert_safe(reading)


@given(items=st.lists(mutated(LINES[0]["includes"]["tweets"][0]) | VALUE, min_size=1, max_size=5))
@SLOW
def test_each_item_of_a_page_is_one_reading(items: list[Any]) -> None:
    page = {**LINES[0], "data": items}
    content = json.dumps(page).encode()
    readings = list(twitter_v2.read(io.BytesIO(content), "s"))
    assert len(top_level(readings)) == len(items) + len(page["errors"])


@given(
    pieces=st.lists(st.binary(max_size=9) | st.sampled_from([b"\n", b"\r\n", b"\xef\xbb\xbf"])),
    size=st.integers(1, 5),
)
@SLOW
def test_lines_do_not_depend_on_how_the_bytes_arrive(pieces: list[bytes], size: int) -> None:
    class Dripping(io.BytesIO):
        def read1(self, _: int | None = -1, /) -> bytes:
            return super().read1(size)

    content = b"x" + b"".join(pieces)
    expected = content.split(b"\n")
    assert list(split_lines(Dripping(content))) == expected[: len(expected) - (not expected[-1])]
