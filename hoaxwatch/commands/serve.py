"""hoaxwatch serve: the page for analysts."""

from __future__ import annotations

from typing import Annotated

import typer

from hoaxwatch.commands import options
from hoaxwatch.commands.options import connected
from hoaxwatch.show import notes
from storage.database import open_database
from streams.errors import Unavailable
from streams.settings import read_settings


def serve(
    host: Annotated[
        str | None, typer.Option("--host", help="Where it listens; default: this machine only.")
    ] = None,
    port: Annotated[
        int | None, typer.Option("--port", min=0, max=65_535, help="Its port; 0: a free one.")
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            "--token",
            help="What people must know to open it. Others of this machine can see it in the list "
            "of processes: rather set HOAXWATCH_WEB_TOKEN.",
        ),
    ] = None,
    name: Annotated[
        list[str] | None,
        typer.Option("--name", help="Another name under which it is called, as page.example."),
    ] = None,
    project: options.Project = None,
    database: options.Database = None,
) -> None:
    """Open the page: hashtags, networks, posts with their evidence, alerts, the state of things.

    Only this machine reaches it unless you say otherwise; then whoever opens it must know the
    token, or a proxy in front must say who asks. Ctrl-C ends it.
    """
    import uvicorn

    from hoaxwatch.web.app import build_app
    from hoaxwatch.web.guard import access_of
    from hoaxwatch.web.listening import listen, shown_address
    from hoaxwatch.web.site import has_assets

    settings = read_settings(
        project=project, database=database, web_host=host, web_port=port, web_token=token
    )
    known = settings.web_token.get_secret_value() if settings.web_token else None
    names = [part.strip() for part in settings.web_names.split(",") if part.strip()]
    access = access_of(settings.web_host, known, [*names, *(name or ())], settings.web_user_header)
    with connected(settings):
        pass  # a wrong name or address is said now, not by the first page
    with open_database(settings) as dsn, listen(settings.web_host, settings.web_port) as listening:
        address = shown_address(listening)
        notes.print(f"hoaxwatch page of project {settings.project}: {address}", markup=False)
        if not has_assets():
            notes.print("the network page has only still pictures: make web builds the other ones")
        server = uvicorn.Server(
            uvicorn.Config(
                build_app(settings, dsn, access),
                log_level="warning",
                server_header=False,
                proxy_headers=False,  # who asks is said by web_user_header alone
            )
        )
        server.run(sockets=[listening])
        if not server.started:
            raise Unavailable(f"the page could not be opened at {address}")
