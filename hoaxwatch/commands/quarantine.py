"""hoaxwatch quarantine: records that could not be read or stored, and trying them again."""

from __future__ import annotations

from typing import Annotated

import typer

from hoaxwatch.commands import options
from hoaxwatch.commands.options import connected, settings_of
from hoaxwatch.evidence import detector_in_force
from hoaxwatch.show import (
    Column,
    minute,
    notes,
    number,
    output_of,
    print_json,
    print_lines,
    shorten,
    show_rows,
)
from storage import reads
from storage.database import connect, open_database
from storage.reads import QuarantinedRow
from streams.errors import UsageError

app = typer.Typer(
    help="Records that could not be read or stored: look at them, try them again.",
    invoke_without_command=True,
)

Ids = Annotated[
    list[str] | None, typer.Argument(help="Ids of records, or their beginnings; default: all.")
]
Source = Annotated[
    str | None, typer.Option("--source", help="Only records of this file or format.")
]
Reason = Annotated[
    str | None, typer.Option("--reason", help="Only records whose reason has these words.")
]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, help="Rows.")]


@app.callback()
def default(context: typer.Context) -> None:
    """Records that could not be read or stored. Without a command: list them by reason."""
    if context.invoked_subcommand is None:
        list_()


@app.command("list")
def list_(
    limit: Limit = 20,
    project: options.Project = None,
    database: options.Database = None,
    as_json: options.Json = False,
    as_csv: options.Csv = False,
) -> None:
    """List the reasons, with how often each and where first."""
    with connected(settings_of(project, database)) as connection:
        rows = reads.read_quarantine(connection, limit)
    columns = [
        Column("records", lambda row: number(row["records"]), is_number=True),
        Column("source", lambda row: shorten(row["source"], 32)),
        Column("reason", lambda row: shorten(row["reason"], 50)),
        Column("first at", lambda row: shorten(row["first_position"], 16)),
        Column("id", lambda row: str(row["first_id"])[:10]),
    ]
    show_rows(rows, output_of(as_json, as_csv), columns, "Quarantine", "quarantine is empty")


@app.command()
def show(
    ids: Ids = None,
    source: Source = None,
    reason: Reason = None,
    limit: Limit = 20,
    project: options.Project = None,
    database: options.Database = None,
    as_json: options.Json = False,
) -> None:
    """Show records as they were received, with what is wrong with them."""
    with connected(settings_of(project, database)) as connection:
        rows = reads.read_quarantined(connection, limit, ids, source, reason)
    _check_found(rows, ids, source, reason)
    if as_json:
        print_json([row._asdict() | {"raw": _text(row)} for row in rows])
        return
    for row in rows:
        print_lines(
            [
                f"{row.id}  {row.source} {row.position}, received {minute(row.received_at)} UTC",
                f"  {row.reason}",
                f"  {number(len(row.raw))} bytes: {shorten(_text(row), 500)}",
            ]
        )


@app.command()
def replay(
    ids: Ids = None,
    source: Source = None,
    reason: Reason = None,
    project: options.Project = None,
    database: options.Database = None,
    as_json: options.Json = False,
) -> None:
    """Read records again, after a reader was corrected; what can be read now is stored."""
    from streams import local

    settings = settings_of(project, database)
    options.check_project(settings)
    with open_database(settings) as dsn:
        with connect(dsn) as connection:
            judge = detector_in_force(connection, settings)
        result = local.replay(dsn, judge, settings, ids, source, reason)
    if as_json:
        print_json(
            {
                "records": result.n_records,
                "released": result.n_released,
                "outcomes": dict(result.outcomes),
                "reasons": dict(result.reasons.most_common()),
            }
        )
        return
    notes.print(
        f"{number(result.n_records)} records tried again: {number(result.n_released)} stored, "
        f"{number(result.n_records - result.n_released)} stay in quarantine"
    )
    for why, n in result.reasons.most_common(3):
        notes.print(f"  {number(n)}: {why}", markup=False, soft_wrap=True)


def _check_found(
    rows: list[QuarantinedRow], ids: list[str] | None, source: str | None, reason: str | None
) -> None:
    if rows:
        return
    if ids or source or reason:
        raise UsageError(
            "no quarantined record fits; hoaxwatch quarantine list shows sources and reasons"
        )
    notes.print("quarantine is empty")


def _text(row: QuarantinedRow) -> str:
    return row.raw.decode(errors="backslashreplace")
