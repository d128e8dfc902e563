"""hoaxwatch db and psql: the project's database itself."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Annotated

import typer

from hoaxwatch.commands import options
from hoaxwatch.commands.options import connected, settings_of
from hoaxwatch.show import counting, notes, number, print_json
from storage import backup, embedded, reads
from storage.database import embedded_folder, open_database, shown_dsn
from storage.grants import ANALYST_TIMEOUT_SECONDS, grant_analyst, revoke_analyst
from streams.errors import UsageError
from streams.settings import Settings

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


Login = Annotated[str, typer.Argument(help="A login of the database server.")]


@app.command()
def grant(
    login: Login,
    timeout: Annotated[
        int, typer.Option("--timeout", min=1, help="A query is ended after so long (seconds).")
    ] = ANALYST_TIMEOUT_SECONDS,
    project: options.Project = None,
    database: options.Database = None,
) -> None:
    """Let an analyst read the views of schema mart, and nothing else. For a server of yours."""
    settings = _own_server(project, database)
    with connected(settings) as connection:
        left = grant_analyst(connection, login, timeout)
    print(f"{login} may read schema mart")
    if left:
        notes.print("an administrator should also limit its queries:")
        for statement in left:
            print(f"{statement};")


@app.command()
def revoke(
    login: Login, project: options.Project = None, database: options.Database = None
) -> None:
    """Take back what `db grant` gave."""
    settings = _own_server(project, database)
    with connected(settings) as connection:
        revoke_analyst(connection, login)
    print(f"{login} may not read schema mart any more")


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
    with open_database(settings) as dsn:
        if settings.database is None:
            program = embedded.server_binaries(embedded.server_account()) / "psql"
        else:
            found = shutil.which("psql")
            if found is None:
                raise UsageError("psql is not installed; on Debian: apt install postgresql-client")
            program = Path(found)
        return subprocess.run([str(program), dsn, *(arguments or [])], check=False).returncode
