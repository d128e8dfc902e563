"""`hoaxwatch media`: the pictures of stored posts, fetched, listed, and let go after a time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from hoaxwatch.commands import options
from hoaxwatch.commands.options import connected, settings_of
from hoaxwatch.show import (
    Column,
    counting,
    minute,
    notes,
    number,
    output_of,
    print_json,
    shorten,
    show_rows,
)
from storage import media
from streams.media import fetch_media, sweep, unwritable

app = typer.Typer(
    no_args_is_help=True,
    help="Pictures of stored posts: fetch them within limits, list them, let them go.",
)


def _say(line: str) -> None:
    notes.print(line, markup=False, soft_wrap=True)


@app.command()
def fetch(
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, help="How many at most, of the newest posts.")
    ] = 10_000,
    seconds: Annotated[
        float | None, typer.Option("--for", min=1, help="Stop after so long (seconds).")
    ] = None,
    project: options.Project = None,
    database: options.Database = None,
    as_json: options.Json = False,
) -> None:
    """Fetch the pictures of stored posts that are not there yet. For a timer.

    Only from the open internet, only JPEG, PNG, GIF and WebP by their bytes. What fails in passing
    is tried again by the next call, five times in all. Stopped anywhere, the next call goes on.
    """
    settings = settings_of(project, database)
    with connected(settings) as connection, counting("pictures") as watch:
        try:
            found = fetch_media(connection, settings, limit, seconds, watch)
        except OSError as error:
            raise unwritable(settings.pictures_folder(), error) from None
    if as_json:
        print_json(dict(found.most_common()))
        return
    _say(f"{number(found['fetched'])} pictures fetched into {settings.pictures_folder()}")
    for reason, n in found.most_common():
        if reason != "fetched":
            _say(f"  {number(n)} not: {reason}")


@app.command("list")
def list_(
    errors: Annotated[bool, typer.Option("--errors", help="Only those that failed.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many.")] = 40,
    project: options.Project = None,
    database: options.Database = None,
    as_json: options.Json = False,
    as_csv: options.Csv = False,
) -> None:
    """List what came of fetching, the latest first."""
    with connected(settings_of(project, database)) as connection:
        rows = media.read_files(connection, only_errors=errors, limit=limit)
    columns = [
        Column("post", lambda row: shorten(f"{row['platform']}:{row['root_id']}", 40)),
        Column("address", lambda row: shorten(row["url"], 50)),
        Column("type", lambda row: row["type"] or "–"),
        Column("bytes", lambda row: number(row["n_bytes"]), is_number=True),
        Column("fetched (UTC)", lambda row: minute(row["fetched_at"])),
        Column("sha256", lambda row: row["sha256"].hex()[:12] if row["sha256"] else "–"),
        Column("why not", lambda row: row["error"] or ""),
    ]
    empty = "no picture was fetched: hoaxwatch media fetch"
    show_rows(rows, output_of(as_json, as_csv), columns, "Pictures", empty)


@app.command()
def retention(
    days: Annotated[
        int | None,
        typer.Option("--days", min=0, help="Older ones go; default: media_keep_days."),
    ] = None,
    project: options.Project = None,
    database: options.Database = None,
    as_json: options.Json = False,
) -> None:
    """Remove pictures that were fetched longer ago, and files of posts that are gone. For a timer.

    What was removed is not fetched again; that there was a picture stays known.
    """
    settings = settings_of(project, database)
    keep = settings.media_keep_days if days is None else days
    with connected(settings) as connection:
        n_pictures = media.expire(connection, datetime.now(UTC) - timedelta(days=keep))
        n_files = sweep(connection, settings.pictures_folder())
    if as_json:
        print_json({"pictures": n_pictures, "files": n_files})
    else:
        _say(f"{number(n_pictures)} pictures let go, {number(n_files)} files removed")
