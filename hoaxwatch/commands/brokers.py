"""hoaxwatch topics, ingest, lag: what speaks with the brokers."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from hoaxwatch.commands import options
from hoaxwatch.show import Column, notes, number, output_of, print_json, show_rows
from storage.database import open_database
from streams.errors import UsageError
from streams.settings import Settings, read_settings

if TYPE_CHECKING:
    from streams.ingest import Published
    from streams.sources.source import Source

Kafka = Annotated[str | None, typer.Option("--kafka", help="host:port,... of the brokers.")]

topics_app = typer.Typer(no_args_is_help=True, help="The topics on the brokers.")


@topics_app.command()
def create(project: options.Project = None, kafka: Kafka = None) -> None:
    """Make the topics that are missing. What is there stays as it is."""
    from streams.topics import create_topics

    for name, is_new in create_topics(read_settings(project=project, kafka=kafka)).items():
        notes.print(f"{name}: {'made' if is_new else 'is there'}")


@topics_app.command("list")
def list_topics(
    project: options.Project = None,
    kafka: Kafka = None,
    as_json: options.Json = False,
    as_csv: options.Csv = False,
) -> None:
    """List our topics with partitions, copies and how long they keep records."""
    from streams.topics import FOR_EVER, read_topics

    def kept(hours: float | None) -> str:
        return "for ever" if hours == FOR_EVER else number(hours)

    columns = [
        Column("topic", lambda row: str(row["topic"])),
        Column("partitions", lambda row: number(row["partitions"]), is_number=True),
        Column("copies", lambda row: number(row["replicas"]), is_number=True),
        Column("kept (hours)", lambda row: kept(row["retention_hours"]), is_number=True),
        Column("records", lambda row: number(row["records"]), is_number=True),
    ]
    rows = read_topics(read_settings(project=project, kafka=kafka))
    show_rows(rows, output_of(as_json, as_csv), columns, "Topics", "none")
    if any(row.partitions is None for row in rows):
        notes.print("some are missing: hoaxwatch topics create")


def ingest(
    files: Annotated[
        list[str] | None, typer.Argument(help="Files of posts; may be compressed.")
    ] = None,
    format: Annotated[
        str | None, typer.Option("--format", help="What the files are; default: looked at.")
    ] = None,
    columns: options.Columns = None,
    source: options.Source = None,
    seconds: options.For = None,
    speed: options.Speed = "1x",
    again: Annotated[
        bool, typer.Option("--again", help="Send files again that were sent before.")
    ] = False,
    project: options.Project = None,
    database: options.Database = None,
    kafka: Kafka = None,
    as_json: options.Json = False,
) -> None:
    """Send posts of files or of a live source to the brokers, for the workers.

    Stopped in the middle, the same command goes on where it was. While the brokers are away, posts
    wait on disk and go when they are back. What a live source is asked for, and how far it was
    followed, is in the project's database.
    """
    from hoaxwatch.live import open_named, source_named
    from streams.ingest import Published, publish
    from streams.local import check_inputs
    from streams.metrics import IngestMetrics, serve_metrics
    from streams.sources.files import FileSource

    settings = read_settings(project=project, database=database, kafka=kafka)
    files, source = source_named(files or [], source)
    named = options.format_of(format, columns)
    inputs = check_inputs([Path(file) for file in files], named) if source is None else []
    total = Published()
    metrics = IngestMetrics(total)
    serve_metrics(metrics, settings.metrics_host, settings.metrics_port, lambda: True)
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=notes,
        transient=True,
        disable=not notes.is_terminal,
    ) as bar:
        task = bar.add_task("", total=None)

        def show(so_far: Published) -> None:
            bar.update(task, description=f"{shown}: {number(so_far.read.total())} records")

        for file in inputs:
            shown = file.path.name
            read = FileSource(file.path, file.format)
            publish(read, settings, show, from_beginning=again, result=total)
        if source is not None:
            shown = source
            with open_database(settings) as dsn:
                live = open_named(source, files, named, speed, settings, dsn)
                _publish_live(live, dsn, settings, seconds, again, show, total)
    if as_json:
        print_json(
            {
                "read": dict(total.read),
                "acknowledged": total.acknowledged,
                "spooled": total.spooled,
                "errors": dict(total.errors),
            }
        )
        return
    what = ", ".join(f"{number(n)} {kind}" for kind, n in total.read.most_common())
    notes.print(f"{number(total.read.total())} records read: {what or 'nothing new'}")
    notes.print(f"{number(total.acknowledged)} acknowledged by the brokers")
    if total.spooled:
        notes.print(f"  {number(total.spooled)} of them waited on disk while the brokers were away")
    for error, n in total.errors.most_common():
        notes.print(f"  {number(n)} times {error}, tried again")
    if not total.read and source is None:
        notes.print("  sent before; to send them once more: --again")


def _publish_live(
    source: Source,
    dsn: str,
    settings: Settings,
    seconds: float | None,
    again: bool,
    show: Callable[[Published], None],
    total: Published,
) -> None:
    from hoaxwatch.live import stopping
    from streams.ingest import publish
    from streams.sources.marks import DatabaseMarks

    with closing(DatabaseMarks(dsn)) as marks, stopping(seconds) as stop:

        def watch(so_far: Published) -> None:
            marks.refresh(source)
            show(so_far)

        publish(
            source,
            settings,
            watch,
            from_beginning=again,
            result=total,
            marks=marks,
            stop=stop,
        )


def lag(
    project: options.Project = None,
    kafka: Kafka = None,
    as_json: options.Json = False,
    as_csv: options.Csv = False,
) -> None:
    """How far the workers are behind, and whether posts are arriving at all."""
    from streams.topics import POSTS, read_lag, read_newest

    settings = read_settings(project=project, kafka=kafka)
    rows = read_lag(settings)
    columns = [
        Column("topic", lambda row: str(row["topic"])),
        Column("group", lambda row: str(row["group"])),
        Column("partitions", lambda row: number(row["partitions"]), is_number=True),
        Column("written", lambda row: number(row["end"]), is_number=True),
        Column("done", lambda row: number(row["committed"]), is_number=True),
        Column("behind", lambda row: number(row["lag"]), is_number=True),
    ]
    show_rows(rows, output_of(as_json, as_csv), columns, "Lag (records)", "no topics")
    notes.print(arrival(read_newest(settings, POSTS), datetime.now(UTC), settings))


def arrival(newest: datetime | None, now: datetime, settings: Settings) -> str:
    """The line that says whether posts are arriving.

    >>> at = datetime(2026, 3, 2, tzinfo=UTC)
    >>> arrival(at, at.replace(hour=2), Settings())
    'nothing is arriving: the newest post is 120 minutes old'
    """
    if newest is None:
        return "nothing is arriving: topic posts is empty"
    age_seconds = (now - newest).total_seconds()
    if age_seconds > settings.quiet_seconds:
        return f"nothing is arriving: the newest post is {age_seconds / 60:.0f} minutes old"
    return f"the newest post came {max(0, age_seconds):.0f} seconds ago"


def stress(
    rate: Annotated[float, typer.Option("--rate", min=0.1, help="Posts a second.")],
    posts: Annotated[int, typer.Option("--posts", min=1, help="How many.")],
    p99: Annotated[
        float | None, typer.Option("--p99", help="The greatest p99 that is good (seconds).")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Which posts.")] = 1,
    patience: Annotated[
        float, typer.Option("--patience", help="How long to wait for the workers (seconds).")
    ] = 120.0,
    project: options.Project = None,
    database: options.Database = None,
    kafka: Kafka = None,
    as_json: options.Json = False,
) -> int:
    """Send invented posts at a rate and hold the tables against what was sent.

    Workers of the project must be running, and the project must hold nothing else. Exit code 1 if
    a post is lost, a count is wrong, the rate was not reached, or p99 is too great.
    """
    from hoaxwatch import stress as loop
    from storage import reads

    settings = read_settings(project=project, database=database, kafka=kafka)
    with options.connected(settings) as connection:
        if reads.read_counts(connection).posts:
            raise UsageError(
                f"project {settings.project} holds posts; give an empty one: --project stress"
            )
        found = loop.run(connection, settings, posts, rate, seed, patience, notes.print)
    breaches = found.breaches(p99)
    if as_json:
        print_json({**vars(found), "breaches": breaches})
    else:
        times = ", ".join(f"{name} {seconds:.3f} s" for name, seconds in found.seconds.items())
        print(f"{number(posts)} posts at {found.posts_per_second:,.0f} a second")
        print(f"from due to taken up by a worker: {times or 'nothing arrived'}")
        for line in breaches[:20]:
            print(f"WRONG: {line}")
        print("good" if not breaches else f"{number(len(breaches))} breaches")
    return 1 if breaches else 0
