"""hoaxwatch db and psql: the project's database itself."""

from __future__ import annotations

import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from hoaxwatch.commands import options
from hoaxwatch.commands.options import check_project, connected, settings_of
from hoaxwatch.show import (
    Column,
    counting,
    notes,
    number,
    output_of,
    print_json,
    show_rows,
)
from storage import backup, embedded, reads, retention
from storage.database import (
    connect,
    database_errors,
    embedded_folder,
    open_database,
    read_applied,
    shown_dsn,
    without_password,
)
from storage.grants import (
    ANALYST_TIMEOUT_SECONDS,
    grant_analyst,
    grant_handles,
    grant_operator,
    revoke,
)
from storage.retention import Doomed, Partition
from streams.errors import UsageError
from streams.settings import Settings, environment_with

app = typer.Typer(help="Start, stop and look at the project's database.", no_args_is_help=True)


def _embedded_only(settings: Settings, what: str) -> None:
    if settings.database is not None:
        where = shown_dsn(settings.database.get_secret_value())
        raise UsageError(
            f"{what} works on the embedded database only; {where} is a server of yours"
        )


@app.command()
def start(project: options.Project = None) -> None:
    """Start the embedded database and keep it up until `hoaxwatch db stop`."""
    settings = settings_of(project, None)
    _embedded_only(settings, "db start")
    folder = embedded_folder(settings)
    embedded.keep(folder)
    notes.print(f"project {settings.project} is up in {folder}", markup=False, soft_wrap=True)


@app.command()
def stop(project: options.Project = None) -> None:
    """Stop the embedded database."""
    settings = settings_of(project, None)
    _embedded_only(settings, "db stop")
    embedded.stop(embedded_folder(settings))
    notes.print(f"project {settings.project} is down")


@app.command()
def status(
    project: options.Project = None,
    database: options.Database = None,
    as_json: options.Json = False,
) -> None:
    """Say where the database is, whether it runs, and how much it holds."""
    settings = settings_of(project, database)
    lines: dict[str, object] = {"project": settings.project}
    if settings.database is None:
        folder = embedded_folder(settings)
        found = embedded.status(folder)
        lines |= {"folder": str(folder), "runs": found.pid is not None, "kept": found.is_kept}
        if not found.is_made:
            lines["holds"] = "nothing yet"
    else:
        lines["server"] = shown_dsn(settings.database.get_secret_value())
    if "holds" not in lines:
        with connected(settings) as connection:
            counts = reads.read_counts(connection)
            policy = reads.read_policy(connection)
        lines |= counts._asdict()
        lines["policy"] = f"{policy['detector']} {policy['version']}" if policy else None
    if as_json:
        print_json(lines)
        return
    for name, value in lines.items():
        shown = number(value) if isinstance(value, int) and not isinstance(value, bool) else value
        print(f"{name:18} {'–' if shown is None else shown}")


@app.command()
def dump(
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")],
    project: options.Project = None,
    database: options.Database = None,
    as_json: options.Json = False,
) -> None:
    """Write the whole project to one file: to keep it, or to move it to another server."""
    settings = settings_of(project, database)
    key = settings.tombstone_key.get_secret_value()
    with connected(settings) as connection, counting("rows written") as watch:
        try:
            counts = backup.dump(connection, output, settings.project, key, watch)
        except OSError as error:
            raise UsageError(
                f"cannot write {output}: {error.strerror}; give another place with --output"
            ) from None
    if as_json:
        print_json({"file": str(output), "bytes": output.stat().st_size, "rows": counts})
        return
    notes.print(
        f"wrote {output}: {number(counts['posts'])} posts, {number(output.stat().st_size)} bytes",
        markup=False,
        soft_wrap=True,
    )


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="A file that db dump wrote.")],
    project: options.Project = None,
    database: options.Database = None,
    as_json: options.Json = False,
) -> None:
    """Fill an empty project, here or on a server of yours, from a dump."""
    backup.read_manifest(file)  # before a database is made for nothing
    settings = settings_of(project, database)
    key = settings.tombstone_key.get_secret_value()
    with connected(settings, may_make=True) as connection, counting("rows read") as watch:
        manifest = backup.restore(connection, file, key, watch)
    if as_json:
        print_json(manifest)
        return
    notes.print(
        f"restored {number(manifest['rows']['posts'])} posts of project {manifest['project']}, "
        f"as of {manifest['written_at'][:16]}",
        markup=False,
        soft_wrap=True,
    )


@app.command()
def migrate(
    project: options.Project = None,
    database: options.Database = None,
    as_json: options.Json = False,
    as_csv: options.Csv = False,
) -> None:
    """Bring the database to the shape of this version, and list what was applied when.

    Every command does so when it opens a database; this one does nothing else, for an upgrade in a
    step of its own.
    """
    output = output_of(as_json, as_csv)
    began = datetime.now(UTC)
    with connected(settings_of(project, database), may_make=True) as connection:
        applied = read_applied(connection)
    rows = [{"name": name, "applied_at": at, "is_new": at >= began} for name, at in applied]
    columns = [
        Column("migration", lambda row: row["name"]),
        Column("applied", lambda row: f"{row['applied_at']:%Y-%m-%d %H:%M}"),
        Column("", lambda row: "just now" if row["is_new"] else ""),
    ]
    show_rows(rows, output, columns, "Migrations", "none")


@app.command()
def partitions(
    project: options.Project = None,
    database: options.Database = None,
    as_json: options.Json = False,
    as_csv: options.Csv = False,
) -> None:
    """List the months of raw records, how many each has and how much room they take."""
    output = output_of(as_json, as_csv)
    with connected(settings_of(project, database)) as connection:
        rows = retention.read_partitions(connection)
    columns = [
        Column("partition", lambda row: row["name"]),
        Column("received", lambda row: f"{row['since']:%Y-%m}" if row["since"] else "other months"),
        Column("raw records", lambda row: number(row["records"]), is_number=True),
        Column("bytes", lambda row: number(row["bytes"]), is_number=True),
    ]
    show_rows(rows, output, columns, "Raw records", "none")


@app.command("retention")
def retain(
    posts_before: Annotated[
        str | None,
        typer.Option("--posts-before", help="Remove older posts: a day, or an age as 365d."),
    ] = None,
    payloads_before: Annotated[
        str | None,
        typer.Option(
            "--payloads-before", help="Remove raw records of months that ended by then: same forms."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would go, and remove nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    project: options.Project = None,
    database: options.Database = None,
    as_json: options.Json = False,
) -> None:
    """Remove posts and raw records that are older than you keep, for good.

    What was counted of older days stays: trends, pairs, networks, clusters, snapshots. An original
    goes with its shares when the last of them is older. Older posts that come again end as expired.
    Without raw records, `remap` leaves their posts as they are.
    """
    from streams import local

    settings = settings_of(project, database)
    now = datetime.now(UTC)
    floor = _day_before(posts_before, "--posts-before", now)
    month = _day_before(payloads_before, "--payloads-before", now)
    if floor is None and month is None:
        raise UsageError("nothing to do; give --posts-before or --payloads-before")
    with connected(settings) as connection:
        standing = retention.read_floor(connection)
        doomed = Doomed(0, 0, 0) if floor is None else retention.count_doomed(connection, floor)
        gone = [
            part
            for part in retention.read_partitions(connection)
            if month is not None and part.until is not None and part.until <= month
        ]
    result: dict[str, object] = {
        "posts_before": floor,
        "kept_from": standing,
        "contents": doomed.contents,
        "posts": doomed.posts,
        "labelled": doomed.labelled,
        "partitions": [part.name for part in gone],
        "raw_records": sum(part.records for part in gone),
        "removed": not dry_run,
    }
    if not as_json:
        _say_doomed(floor, standing, doomed, month, gone)
    if not dry_run:
        if not yes:
            typer.confirm("Remove this for good?", abort=True, err=True)
        with open_database(settings) as dsn:
            if floor is not None:
                with counting("posts removed") as watch:
                    result["posts"] = local.keep_from(dsn, floor, settings, watch)
            if month is not None:
                with connect(dsn) as connection, database_errors(dsn), counting("removed") as watch:
                    _, result["other_records"] = retention.drop_payloads(connection, month, watch)
    if as_json:
        print_json(result)
    elif not dry_run:
        notes.print("done; hoaxwatch db vacuum takes back the room", markup=False)


def _say_doomed(
    floor: datetime | None,
    standing: datetime | None,
    doomed: Doomed,
    month: datetime | None,
    gone: list[Partition],
) -> None:
    lines = []
    if floor is not None:
        lines.append(
            f"posts before {floor:%Y-%m-%d}: {number(doomed.posts)} posts, "
            f"{number(doomed.contents)} texts"
        )
        if standing is not None and standing > floor:
            lines.append(f"  posts are kept from {standing:%Y-%m-%d} on already: nothing changes")
        if doomed.labelled:
            lines.append(
                f"  {number(doomed.labelled)} of them have labels of people, which go too: "
                "hoaxwatch labels list --csv keeps them"
            )
    if month is not None:
        lines.append(
            f"raw records of {number(len(gone))} months before {month:%Y-%m}: "
            f"{number(sum(part.records for part in gone))}"
        )
    for line in lines:
        notes.print(line, markup=False, soft_wrap=True)


def _day_before(text: str | None, option: str, now: datetime) -> datetime | None:
    """The start of a UTC day, given as such or as an age in days."""
    if text is None:
        return None
    if match := re.fullmatch(r"(\d{1,5})d", text):
        today = now.replace(hour=0, minute=0, second=0, microsecond=0)
        return today - timedelta(days=int(match[1]))
    day = options.parse_day(text, option)
    if day > now:
        raise UsageError(f"{option} {text} is to come; nothing would be kept")
    return day


@app.command()
def vacuum(
    full: Annotated[
        bool,
        typer.Option("--full", help="Write each table anew: the disk has the room back. Slow."),
    ] = False,
    project: options.Project = None,
    database: options.Database = None,
    as_json: options.Json = False,
) -> None:
    """Take back the room of what was removed, and have the planner count anew.

    --full needs as much room again while it works, and nobody can use the table at hand.
    """
    with connected(settings_of(project, database)) as connection, counting("tables") as watch:
        done: list[str] = []

        def next_table(table: str) -> None:
            done.append(table)
            watch(len(done))

        before, after = retention.vacuum(connection, full=full, watch=next_table)
    if as_json:
        print_json({"tables": len(done), "bytes_before": before, "bytes_after": after})
        return
    notes.print(f"{len(done)} tables: {number(before)} bytes before, {number(after)} now")


Login = Annotated[str, typer.Argument(help="A login of the database server.")]


class Role(StrEnum):
    """What a login may do."""

    ANALYST = "analyst"
    OPERATOR = "operator"


@app.command()
def grant(
    login: Login,
    role: Annotated[
        Role,
        typer.Option(
            "--role",
            help="analyst: reads schema mart. operator: also runs commands and workers, but "
            "changes no table's shape.",
        ),
    ] = Role.ANALYST,
    handles: Annotated[
        bool,
        typer.Option("--handles", help="Also see whose pseudonym is whose: handles.accounts."),
    ] = False,
    timeout: Annotated[
        int,
        typer.Option(
            "--timeout", min=1, help="An analyst's query is ended after so long (seconds)."
        ),
    ] = ANALYST_TIMEOUT_SECONDS,
    project: options.Project = None,
    database: options.Database = None,
) -> None:
    """Let a login of a server of yours read the views of schema mart, or also run the pipeline."""
    settings = _own_server(project, database)
    with connected(settings) as connection:
        if role is Role.OPERATOR:
            left, what = grant_operator(connection, login), "lift the limits it had as an analyst"
            print(f"{login} may run commands and workers")
        else:
            left, what = grant_analyst(connection, login, timeout), "limit its queries"
            print(f"{login} may read schema mart")
        if handles:
            grant_handles(connection, login)
            print(f"{login} may see whose pseudonym is whose: handles.accounts")
    if left:
        notes.print(f"an administrator should also {what}:")
        for statement in left:
            print(f"{statement};")


@app.command("revoke")
def revoke_from(
    login: Login, project: options.Project = None, database: options.Database = None
) -> None:
    """Take back what `db grant` gave."""
    settings = _own_server(project, database)
    with connected(settings) as connection:
        revoke(connection, login)
    print(f"{login} may do nothing here any more")


def _own_server(project: str | None, database: str | None) -> Settings:
    settings = settings_of(project, database)
    if settings.database is None:
        raise UsageError(
            "the embedded database is yours alone and has no other logins; give a server with "
            "--database (hoaxwatch db dump and db restore move a project)"
        )
    return settings


def psql(
    arguments: Annotated[
        list[str] | None, typer.Argument(help="Given to psql, for example -- -c 'SELECT 1'.")
    ] = None,
    project: options.Project = None,
    database: options.Database = None,
) -> int:
    """Open psql on the project's database. Analysts' views are in schema mart."""
    settings = settings_of(project, database)
    check_project(settings)
    with open_database(settings) as dsn:
        if settings.database is None:
            program = embedded.server_binaries(embedded.server_account()) / "psql"
        else:
            found = shutil.which("psql")
            if found is None:
                raise UsageError("psql is not installed; on Debian: apt install postgresql-client")
            program = Path(found)
        shown, password = without_password(dsn)
        secret = {} if password is None else {"PGPASSWORD": password}
        environment = environment_with(**secret)
        command = [str(program), shown, *(arguments or [])]
        return subprocess.run(command, env=environment, check=False).returncode
