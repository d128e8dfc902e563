"""`hoaxwatch forget`: posts and accounts that must go, because somebody has the right to it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

import typer

from hoaxwatch.commands import options
from hoaxwatch.evidence import detector_of
from hoaxwatch.show import notes, number, print_json
from storage import reads
from storage.database import connect, open_database
from streams import local
from streams.errors import UsageError
from streams.records import Deletion
from streams.settings import read_settings

app = typer.Typer(
    no_args_is_help=True,
    help="Remove a post or an account for good, with everything that was made of it.",
)

Reason = Annotated[
    str | None, typer.Option("--reason", help="Why, for the records: no names, it is kept.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@app.command("post")
def post(
    name: Annotated[str, typer.Argument(help="The post as platform:id, as in x:2029580771177529.")],
    reason: Reason = None,
    yes: Yes = False,
    project: options.Project = None,
    database: options.Database = None,
    as_json: options.Json = False,
) -> None:
    """Remove a post and its shares: text, raw records, verdicts, links; count everything anew.

    A keyed hash of its id stays, so that it does not come back with the next file. What is in
    files, exports and reports of yours is not touched.
    """
    _forget("post", name, reason, yes, project, database, as_json)


@app.command("account")
def account(
    name: Annotated[str, typer.Argument(help="The account as platform:id, as in x:12.")],
    reason: Reason = None,
    yes: Yes = False,
    project: options.Project = None,
    database: options.Database = None,
    as_json: options.Json = False,
) -> None:
    """Remove an account with all its posts and their shares; count everything anew.

    A keyed hash of its id stays, so that it does not come back with the next file. What is in
    files, exports and reports of yours is not touched.
    """
    _forget("author", name, reason, yes, project, database, as_json)


def _forget(
    kind: Literal["post", "author"],
    name: str,
    reason: str | None,
    yes: bool,
    project: str | None,
    database: str | None,
    as_json: bool,
) -> None:
    platform, _, deleted_id = name.partition(":")
    if not platform or not deleted_id:
        raise UsageError(f"{name} is no platform:id; it looks like x:2029580771177529")
    settings = read_settings(project=project, database=database)
    detector = detector_of(settings)
    deletion = Deletion(
        platform=platform,
        kind=kind,
        deleted_id=deleted_id,
        reason=reason or "forgotten on request",
        deleted_at=datetime.now(UTC),
    )
    with open_database(settings) as dsn:
        with connect(dsn) as connection:
            n_posts, n_shares = reads.count_concerned(connection, kind, platform, deleted_id)
        what = f"{number(n_posts)} posts and {number(n_shares)} shares of them"
        if not yes:
            notes.print(f"{name}: {what} will be removed, for good", markup=False)
            typer.confirm("Go on?", abort=True, err=True)
        local.forget(dsn, deletion, detector, settings)
    if as_json:
        print_json({"kind": kind, "name": name, "posts": n_posts, "shares": n_shares})
    elif n_posts or n_shares:
        print(f"{name} is forgotten: {what} are gone")
    else:
        print(f"{name} is forgotten: nothing of it was stored, and nothing will be")
