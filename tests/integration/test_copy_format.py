"""Fields as COPY's formats have them, on real servers: what is sent is what is stored."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from struct import error as StructError

import pytest

from storage import copy_format as f
from storage.copy_format import UNKNOWN_TIME, copy_binary, copy_text, moment_of
from storage.database import connect

TEXTS = ["", "a", "tab\tline\nreturn\rback\\slash", r"\N", "\x1d\x1e\x1f", '{"a",NULL}', "ß東😀"]
MOMENT = datetime(1999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)


def test_texts_arrive_as_they_are(database: str) -> None:
    lines = [(value, other) for value in [*TEXTS, None] for other in [*TEXTS, None]]
    with connect(database) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE copied (a text, b text)")
        for some in (lines, [line for line in lines if "\x1d\x1e\x1f" not in line]):
            with cursor.copy("COPY copied FROM STDIN") as copy:
                copy.write(copy_text(some))
            assert cursor.execute("SELECT * FROM copied").fetchall() == some
            cursor.execute("TRUNCATE copied")


def test_every_kind_of_field_arrives_as_it_is(database: str) -> None:
    west = datetime(2023, 4, 24, 10, 0, 0, 5, tzinfo=UTC).astimezone().tzinfo
    times = [MOMENT, datetime(2023, 4, 24, 10, tzinfo=UTC), datetime(2023, 4, 24, tzinfo=west)]
    lines = [
        (
            text,
            moment_of(moment),
            number,
            text.encode(),
            None if text == "a" else (moment_of(moment), -(2**63) + number),
            (UNKNOWN_TIME, text),
            tuple(TEXTS[:number]),
        )
        for number, text in enumerate(TEXTS)
        for moment in times
    ]
    fields: list[f.Field] = [f.text, f.moment, f.small, f.raw, f.count, f.said, f.texts]
    with connect(database) as connection, connection.cursor() as cursor:
        cursor.execute("SET timezone TO 'UTC'")
        cursor.execute(
            "CREATE TEMP TABLE copied (a text, b timestamptz, c smallint, d bytea,"
            " e hoaxwatch.observed_count, f hoaxwatch.observed_text, g text[])"
        )
        with cursor.copy("COPY copied FROM STDIN (FORMAT BINARY)") as copy:
            copy.write(copy_binary(lines, fields))
        found = cursor.execute(
            "SELECT a, b, c, d, (e).observed_at, (e).value, (f).observed_at = '-infinity',"
            " (f).value, g FROM copied"
        ).fetchall()
    assert found == [
        (
            text,
            moment,
            number,
            text.encode(),
            None if text == "a" else moment,
            None if text == "a" else -(2**63) + number,
            True,
            text,
            TEXTS[:number],
        )
        for number, text in enumerate(TEXTS)
        for moment in times
    ]


def test_what_no_column_holds_is_refused_before_it_is_sent() -> None:
    with pytest.raises(StructError):
        copy_binary([((0, 2**63),)], [f.count])
    with pytest.raises(UnicodeEncodeError):
        copy_text([("\ud800",)])
    assert moment_of(MOMENT + timedelta(microseconds=1)) == 0
