"""What a file seems to be that has none of our formats, in words that help its owner."""

from __future__ import annotations

import csv
import json
import re

#: what a file begins with -> what it is, and what to do
_SIGNS: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xfe", "UTF-16 text; save it as UTF-8 (Excel: 'CSV UTF-8') and run it again"),
    (b"\xfe\xff", "UTF-16 text; save it as UTF-8 (Excel: 'CSV UTF-8') and run it again"),
    (b"\xd0\xcf\x11\xe0", "an Excel or Word file; save it as 'CSV UTF-8' and run that"),
    (b"%PDF", "a PDF; posts come as CSV or JSON"),
    (b"PAR1", "a Parquet file; write it as CSV or JSON lines and run that"),
    (b"SQLite format 3", "an SQLite database; export its posts as CSV and run that"),
)
_WEB_PAGE = re.compile(rb"\s*<(!doctype html|html|\?xml)", re.IGNORECASE)
_SHOWN_NAMES = 12


def describe_unknown(head: bytes) -> str:
    """What follows "FILE is " or "FILE has " in an error: what it is, and what to do now.

    >>> describe_unknown(b"<!DOCTYPE html>")[:43]
    'is a web page, not posts: perhaps the answe'
    >>> describe_unknown(b"when;who\\n1;2\\n").split("; ")[1]
    "its columns are 'when', 'who'"
    """
    for sign, what in _SIGNS:
        if head.startswith(sign):
            return f"is {what}"
    if _WEB_PAGE.match(head):
        return (
            "is a web page, not posts: perhaps the answer of a site that wanted a log-in; "
            "fetch it again"
        )
    kind, names = _names_in(head)
    found = f"; its {kind} are {', '.join(map(repr, names[:_SHOWN_NAMES]))}" if names else ""
    more = f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
    return (
        f"has none of the formats that hoaxwatch formats lists{found}{more}; if it has one of "
        "them, say so: --format NAME; if it is another CSV or JSON, say what its columns are: "
        "--columns MAP.toml"
    )


def _names_in(head: bytes) -> tuple[str, list[str]]:
    """The columns of a CSV, or the fields of its first object, as far as they can be told."""
    line = head.decode("utf-8", "replace").strip().partition("\n")[0].strip()
    if line.startswith("{"):
        try:
            record = json.loads(line)
        except ValueError:
            return "fields", []
        return "fields", [name[:40] for name in record]
    delimiter = max(",;\t|", key=line.count)
    if not line.isprintable() and delimiter != "\t":
        return "columns", []
    if delimiter not in line:
        return "columns", []
    cells = next(csv.reader([line], delimiter=delimiter), [])
    return "columns", [cell[:40] for cell in cells]
