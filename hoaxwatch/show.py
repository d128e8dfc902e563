"""Printing: tables for people, JSON and CSV for programs. Answers go to stdout, notes to stderr."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import IO, Any, Literal

from markupsafe import escape
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from streams.errors import UsageError

# controls but for tabs and ends of lines; what turns the direction of writing; halves of
# characters and what is no character
_NOT_WORDS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)


def printable(text: str) -> str:
    """Text as a terminal may be sent it: what strangers wrote may hold commands to the terminal.

    >>> printable("snow \\x1b[2J ❄")
    'snow \ufffd[2J ❄'
    """
    return _NOT_WORDS.sub("\ufffd", text)


def in_xml(words: str) -> str:
    """Words of strangers in XML, which takes no control characters, not even escaped.

    >>> in_xml("<b>\\0 & more")
    '&lt;b&gt;\ufffd &amp; more'
    >>> in_xml("می\\u200cخواهم") == "می\\u200cخواهم"  # what joins letters or keeps them apart
    True
    """
    return str(escape(printable(words)))


class Plain(Console):
    """A console that prints text as it stands, also where it looks like markup or emoji of rich."""

    def __init__(self, **options: Any) -> None:
        super().__init__(highlight=False, markup=False, emoji=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """Of all text that is printed, cells and titles of tables too."""
        return super().render_str(printable(text), **options)


#: For people who watch: progress, hints, warnings.
notes = Plain(stderr=True)
#: For answers. A pipe or a file has no width: nothing is cut there.
answers = Plain(width=None if sys.stdout.isatty() else 200)


class Output(StrEnum):
    """How an answer is printed."""

    table = "table"
    json = "json"
    csv = "csv"


@dataclass(frozen=True)
class Column:
    """A column of a table for people: heading, how to write a row's value, which side."""

    heading: str
    text: Callable[[Mapping[str, Any]], str]
    is_number: bool = False


def output_of(as_json: bool, as_csv: bool) -> Output:
    """The output that the flags ask for. Raises UsageError for both.

    >>> output_of(True, False)
    <Output.json: 'json'>
    """
    if as_json and as_csv:
        raise UsageError("--json and --csv exclude each other; leave one out")
    return Output.json if as_json else Output.csv if as_csv else Output.table


def as_mapping(row: Any) -> dict[str, Any]:
    """A row as a mapping, whatever it came as."""
    return dict(row) if isinstance(row, Mapping) else row._asdict()


def plain(value: Any) -> Any:
    """A value as JSON and CSV hold it: times as ISO text, bytes as hex."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    return value


def show_rows(
    rows: Sequence[Any], output: Output, columns: Sequence[Column], title: str, empty: str
) -> None:
    """Prints rows as a table, a JSON array or CSV. `empty` is said where there is nothing."""
    mappings = [as_mapping(row) for row in rows]
    if output is Output.json:
        print_json(mappings)
    elif output is Output.csv:
        write_csv(mappings, csv_output())
    elif not mappings:
        notes.print(empty)
    else:
        table = Table(
            title=title,
            title_justify="left",
            title_style="bold",
            box=SIMPLE_HEAD,
            padding=(0, 1, 0, 0),
        )
        for column in columns:
            side: Literal["left", "right"] = "right" if column.is_number else "left"
            table.add_column(column.heading, justify=side, no_wrap=True)
        for row in mappings:
            table.add_row(*(column.text(row) for column in columns))
        answers.print(table)


def print_lines(lines: Iterable[str]) -> None:
    """Prints an answer that is lines for people."""
    for line in lines:
        print(printable(line))


def csv_output() -> IO[str]:
    """stdout for CSV: UTF-8 whatever the terminal speaks, since programs read it as that."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors=sys.stdout.errors)
    return sys.stdout


def write_csv(rows: Sequence[Mapping[str, Any]], stream: IO[str]) -> None:
    """Writes rows of the same columns as CSV; nothing if there are none."""
    writer = csv.writer(stream)
    if rows:
        writer.writerow(rows[0])
        writer.writerows([_cell(value) for value in row.values()] for row in rows)


def _cell(value: Any) -> Any:
    if isinstance(value, list | dict | tuple):
        return json.dumps(value, default=plain, ensure_ascii=False)
    return plain(value)


def print_json(value: Any) -> None:
    """Prints a value as indented JSON. What the output's encoding does not know is escaped, and
    what is an order to a terminal."""
    text = json.dumps(value, default=plain, ensure_ascii=False, indent=2)
    text = _NOT_WORDS.sub(lambda sign: f"\\u{ord(sign[0]):04x}", text)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(value, default=plain, indent=2)
    print(text)


@contextmanager
def counting(what: str) -> Iterator[Callable[[int], None]]:
    """A counter on stderr for work of which nobody knows how much there is."""
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.completed:,.0f} {task.description}"),
        TimeElapsedColumn(),
        console=notes,
        transient=True,
        disable=not notes.is_terminal,
    ) as bar:
        task = bar.add_task(what, total=None)
        yield lambda n: bar.update(task, completed=n)


def number(value: float | None) -> str:
    """A count with thousands separators; unknown is a dash, never 0.

    >>> number(27537), number(None)
    ('27,537', '–')
    """
    return "–" if value is None else f"{value:,.0f}"


def percent(value: float | None) -> str:
    """A share in percent.

    >>> percent(0.1234), percent(None)
    ('12.3 %', '–')
    """
    return "–" if value is None else f"{100 * value:.1f} %"


def share(row: Mapping[str, Any]) -> str:
    """The expected share of likely-false posts with its interval.

    >>> share({"expected_share": 0.25, "expected_low": 0.1, "expected_high": 0.4})
    '25 % (10–40)'
    """
    if row.get("expected_share") is None:
        return "–"
    low, high = row.get("expected_low"), row.get("expected_high")
    interval = "" if low is None or high is None else f" ({100 * low:.0f}–{100 * high:.0f})"
    return f"{100 * row['expected_share']:.0f} %{interval}"


def minute(moment: datetime | None) -> str:
    """A time to the minute, UTC."""
    return "–" if moment is None else f"{moment:%Y-%m-%d %H:%M}"


def shorten(text: str, length: int = 60) -> str:
    """One line of at most `length` characters.

    >>> shorten("a b\\nc", 4)
    'a b…'
    """
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 1].rstrip() + "…"
