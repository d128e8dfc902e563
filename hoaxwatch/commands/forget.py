"""`hoaxwatch forget`: posts and accounts that must go, because somebody has the right to it."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Literal

import typer

from detectors.detector import Detector, DetectorUnusable
from hoaxwatch.commands import options
from hoaxwatch.evidence import detector_in_force
from hoaxwatch.show import notes, number, print_json, printable
from storage import reads
from storage.database import connect, database_errors, open_database
from streams.errors import UsageError
from streams.media import sweep
from streams.records import Deletion
from streams.settings import read_settings


class Kind(StrEnum):
    """What can be forgotten."""

    post = "post"
    account = "account"


DELETED: dict[Kind, Literal["post", "author"]] = {Kind.post: "post", Kind.account: "author"}


def forget(
    kind: Annotated[Kind, typer.Argument(help="What it is.")],
    name: Annotated[str, typer.Argument(help="Its platform:id, as in x:2029580771177529.")],
    reason: Annotated[
        str | None, typer.Option("--reason", help="Why, for the records: no names, it is kept.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    project: options.Project = None,
    database: options.Database = None,
    as_json: options.Json = False,
) -> None:
    """Remove a post, or an account with all its posts, for good: texts, raw records, verdicts,
    fetched pictures, and all shares of them. Every table is as if they had never been.

    A keyed hash of the id stays, so that it does not come back with the next file. Files, exports
    and reports of yours are not touched. Sources that know no ids store an account as `@handle`:
    other accounts with its handle are told, and stay until they are forgotten too.
    """
    from streams import local

    platform, deleted_id = options.parse_name(name)
    settings = read_settings(project=project, database=database)
    options.check_project(settings)
    deletion = Deletion(
        platform=platform,
        kind=DELETED[kind],
        deleted_id=deleted_id,
        reason=reason or "forgotten on request",
        deleted_at=datetime.now(UTC),
    )
    with open_database(settings) as dsn:
        with connect(dsn) as connection:
            detector: Detector | None
            try:
                detector = detector_in_force(connection, settings)
            except (UsageError, DetectorUnusable) as error:
                detector = None  # who asks to be forgotten does not wait for weights
                notes.print(f"{error}. Texts that change are judged by the next run", markup=False)
            n_posts, n_shares = reads.count_concerned(connection, deletion)
            namesakes = (
                reads.read_namesakes(connection, platform, deleted_id)
                if kind is Kind.account
                else []
            )
        what = f"{number(n_posts)} posts and {number(n_shares)} shares of them"
        if not yes:
            notes.print(f"{name}: {what} will be removed, for good", markup=False)
            typer.confirm("Go on?", abort=True, err=True)
        local.forget(dsn, deletion, detector, settings)
        with database_errors(dsn), connect(dsn) as connection:
            sweep(connection, settings.pictures_folder())
    others = [f"{platform}:{author_id}" for author_id in namesakes]
    if as_json:
        print_json(
            {
                "kind": kind.value,
                "name": name,
                "posts": n_posts,
                "shares": n_shares,
                "same_handle": others,
            }
        )
        return
    if n_posts or n_shares:
        print(f"{name} is forgotten: {what} are gone")
    else:
        print(f"{name} is forgotten: nothing of it was stored, and nothing will be")
    if others:
        names = printable(", ".join(others))
        notes.print(
            f"Stored with the same handle: {names}. If that is the same account, forget it as well",
            markup=False,
        )
