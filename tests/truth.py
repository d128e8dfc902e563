"""Comparing a database with the truth of an invented world: every table, row by row."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from psycopg import sql

from hoaxwatch.simulate.truth import Table
from storage.database import connect
from tests.tables import NOT_COMPARED, table_names

Row = tuple[Any, ...]


def _reason_kind(value: str) -> str:
    """Reasons go on with the words of a library or a value: the truth has what comes before."""
    return value.partition(":")[0]


def _same_json(value: str) -> str:
    return json.dumps(json.loads(value), sort_keys=True)


#: table, column -> what is compared instead of the text
READ_AS: Mapping[tuple[str, str], Callable[[str], Any]] = {
    ("quarantine", "reason"): _reason_kind,
    ("clusterings", "params"): _same_json,
    ("clusterings", "quality"): float,
}
#: Alerts follow from the other tables and from thresholds: they have tests of their own.
TOLD_FROM_TABLES = {"alerts"}
#: Means that the pipeline takes in floating point and rounds to 6 decimals: the last may differ.
ROUNDED = {("clusters", f"expected_{what}") for what in ("share", "low", "high")}
LAST_DECIMAL = 1.000001e-6


def assert_truth(dsn: str, truth: Mapping[str, Table]) -> None:
    """Every table of the database is as the truth says; one it does not know is empty."""
    others = table_names(dsn) - truth.keys() - TOLD_FROM_TABLES
    filled = {name for name in others if _is_filled(dsn, name)}
    assert filled == set(), "the truth says nothing about these tables"
    for name, table in truth.items():
        found = _read(dsn, name, table.columns)
        expected = _comparable(name, table.columns, table.rows)
        missing, extra = _differences(expected, found), _differences(found, expected)
        shown = (missing[:3], extra[:3])
        assert len(found) == len(expected), (
            f"{name}: {len(found)} rows, not {len(expected)}: {shown}"
        )
        for ours, theirs in zip(found, expected, strict=True):
            same = ours == theirs or _is_rounded_alike(name, table.columns, ours, theirs)
            assert same, f"{name}: {shown}"


def _is_filled(dsn: str, table: str) -> bool:
    query = sql.SQL("SELECT FROM hoaxwatch.{} LIMIT 1").format(sql.Identifier(table))
    with connect(dsn) as connection:
        return bool(connection.execute(query).fetchall())


def _read(dsn: str, table: str, columns: tuple[str, ...]) -> list[Row]:
    query = sql.SQL("SELECT {} FROM hoaxwatch.{}").format(
        sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(c)) for c in columns),
        sql.Identifier(table),
    )
    assert table not in NOT_COMPARED
    with connect(dsn) as connection:
        return _comparable(table, columns, connection.execute(query).fetchall())


def _comparable(table: str, columns: tuple[str, ...], rows: list[Any]) -> list[Row]:
    how = [READ_AS.get((table, column)) for column in columns]
    if any(how):
        rows = [
            tuple(
                value if read is None or value is None else read(value)
                for read, value in zip(how, row, strict=True)
            )
            for row in rows
        ]
    exact = [i for i, column in enumerate(columns) if (table, column) not in ROUNDED]
    return sorted(map(tuple, rows), key=lambda row: [str(row[i]) for i in exact])


def _is_rounded_alike(table: str, columns: tuple[str, ...], ours: Row, theirs: Row) -> bool:
    for column, one, other in zip(columns, ours, theirs, strict=True):
        if one == other:
            continue
        if (table, column) not in ROUNDED or one is None or other is None:
            return False
        if abs(float(one) - float(other)) > LAST_DECIMAL:
            return False
    return True


def _differences(some: list[Row], others: list[Row]) -> list[Row]:
    known = set(map(str, others))
    return [row for row in some if str(row) not in known]
