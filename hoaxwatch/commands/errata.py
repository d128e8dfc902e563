"""`hoaxwatch errata`: what was flagged wrongly, so that reports say so."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from hoaxwatch.commands import options
from hoaxwatch.commands.forget import Kind
from hoaxwatch.commands.options import connected, settings_of
from hoaxwatch.show import Column, minute, notes, output_of, percent, print_json, shorten, show_rows
from storage import errata
from storage.errata import Erratum
from streams.errors import UsageError

app = typer.Typer(
    no_args_is_help=True,
    help="Posts and accounts that were flagged wrongly: each a row, which reports show.",
)


@app.command()
def add(
    kind: Annotated[Kind, typer.Argument(help="What it is.")],
    name: Annotated[str, typer.Argument(help="Its platform:id, as in x:2029580771177529.")],
    reason: Annotated[
        str, typer.Option("--reason", help="What was wrong, as it may be published: no names.")
    ],
    by: options.By = "me",
    project: options.Project = None,
    database: options.Database = None,
    as_json: options.Json = False,
) -> None:
    """Say that a post or an account was flagged wrongly. Reports, the study and the page show it.

    What counted for the post is kept with it. It changes no verdict: `hoaxwatch labels add` does.
    An erratum stays; if the post is deleted, its id goes and the words stay.
    """
    if not reason.strip():
        raise UsageError("--reason is empty; say what was wrong, as it may be published")
    platform, own_id = options.parse_name(name)
    with connected(settings_of(project, database)) as connection:
        number = errata.add_erratum(
            connection, kind.value, platform, own_id, reason.strip(), by, datetime.now(UTC)
        )
    if number is None:
        raise UsageError(
            f"no post of account {name} is stored in this project"
            if kind is Kind.account
            else f"no post {name} is stored in this project; hoaxwatch trace {own_id} looks for it"
        )
    if as_json:
        print_json({"erratum_id": number})
        return
    _say(f"erratum {number} on {kind.value} {name}: reports show it from now on")
    if kind is Kind.post:
        _say(f"  it changes no verdict; that does hoaxwatch labels add {name} likely_true")


@app.command("list")
def list_(
    project: options.Project = None,
    database: options.Database = None,
    as_json: options.Json = False,
    as_csv: options.Csv = False,
) -> None:
    """All errata, the latest first, with what counted then."""
    output = output_of(as_json, as_csv)
    with connected(settings_of(project, database)) as connection:
        rows = errata.read_errata(connection)
    columns = [
        Column("no.", lambda row: str(row["erratum_id"]), is_number=True),
        Column("at (UTC)", lambda row: minute(row["reported_at"])),
        Column("by", lambda row: row["reported_by"]),
        Column("what", lambda row: f"{row['kind']} {Erratum(**row).name}"),
        Column("was", was),
        Column("reason", lambda row: shorten(row["reason"], 80)),
    ]
    show_rows(rows, output, columns, "Errata", "no errata: hoaxwatch errata add")


def was(row: Mapping[str, Any]) -> str:
    """What counted when the erratum was written.

    >>> was({"kind": "post", "likely_false": True, "probability": 0.9, "detector": "bert"})
    'likely false, 90.0 % (bert)'
    """
    if row["likely_false"] is None:
        return "–" if row["kind"] == "account" else "not judged"
    word = "likely false" if row["likely_false"] else "not flagged"
    return f"{word}, {percent(row['probability'])} ({row['detector']})"


def _say(line: str) -> None:
    notes.print(line, markup=False, soft_wrap=True)
