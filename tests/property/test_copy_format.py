"""COPY's text format: what is written is what the manual's rules read back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from storage.copy_format import copy_text

NASTY = "\\\t\n\r\x1d\x1e\x1fN.ab\N{GRINNING FACE}"
VALUES = st.none() | st.text(st.sampled_from(NASTY)) | st.text()
LINES = st.integers(1, 4).flatmap(lambda n: st.lists(st.tuples(*[VALUES] * n), max_size=5))
BACK = {"\\": "\\", "t": "\t", "n": "\n", "r": "\r"}


def read_back(data: str) -> list[tuple[str | None, ...]]:
    """Rows of COPY's text format: tabs part fields, line feeds rows, a backslash escapes."""
    return [
        tuple(None if field == r"\N" else unescaped(field) for field in line.split("\t"))
        for line in data.split("\n")[:-1]
    ]


def unescaped(field: str) -> str:
    """The field without its escapes."""
    found, rest = "", iter(field)
    for char in rest:
        found += BACK[next(rest)] if char == "\\" else char
    return found


@given(LINES)
def test_what_is_written_is_read_back(lines: list[tuple[str | None, ...]]) -> None:
    assert read_back(copy_text(lines).decode()) == lines
