"""Options that several commands have, each defined once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from graph.followed import topic_key
from storage.database import (
    Connection,
    connect,
    database_errors,
    embedded_folder,
    open_database,
)
from streams.errors import UsageError
from streams.settings import Settings, read_settings

Project = Annotated[
    str | None, typer.Option("--project", "-p", help="Which study: one database each.")
]
Database = Annotated[
    str | None,
    typer.Option("--database", help="postgresql://... of your own server instead of the embedded."),
]
Detector = Annotated[
    str | None, typer.Option("--detector", help="Which detector judges: hoaxwatch detectors.")
]
Engine = Annotated[
    str | None, typer.Option("--engine", help="How it computes: fp32, int8 or cuda-bf16.")
]
Encoder = Annotated[
    str | None, typer.Option("--encoder", help="Its encoder, by name or path; needs --weights.")
]
Weights = Annotated[
    Path | None, typer.Option("--weights", help="Folder of weights of your own for it.")
]
Media = Annotated[
    Path | None,
    typer.Option("--media", help="Folder of the posts' pictures, for detectors that see them."),
]
Pictures = Annotated[
    bool,
    typer.Option("--pictures", help="Fetch the pictures of what comes, and judge it with them."),
]
NoOcr = Annotated[
    bool, typer.Option("--no-ocr", help="Do not read words in pictures, though it could.")
]
By = Annotated[str, typer.Option("--by", help="Who says so.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Csv = Annotated[bool, typer.Option("--csv", help="Print CSV.")]
Columns = Annotated[
    str | None,
    typer.Option("--columns", help="A TOML file that says what the columns of a CSV are."),
]
Source = Annotated[
    str | None, typer.Option("--source", help="Follow a live source: hoaxwatch sources lists them.")
]
For = Annotated[
    float | None, typer.Option("--for", min=0.1, help="Follow it so long, then stop (seconds).")
]
Speed = Annotated[str, typer.Option("--speed", help="Of --source replay FILE: 10x, 1x, max.")]
Since = Annotated[
    str | None, typer.Option("--since", help="From this day or time on, as 2023-04-24.")
]
Until = Annotated[
    str | None, typer.Option("--until", help="Before this day or time, as 2023-04-30.")
]
Tz = Annotated[
    str | None,
    typer.Option("--tz", help="Time zone of days, as Europe/Berlin; default: the setting."),
]


def parse_topic(written: str) -> str:
    """The key of a hashtag, or of a followed word or link, as the user writes it.

    >>> parse_topic("#EGU23"), parse_topic("word:Impfung")
    ('egu23', 'word:impfung')
    """
    try:
        return topic_key(written)
    except ValueError as error:
        raise UsageError(str(error)) from None


def parse_detector(written: str) -> tuple[str, Path | None]:
    """A detector as it is named on the command line, with the folder of its weights.

    >>> parse_detector("tfidf"), parse_detector("tfidf=out")[1].as_posix()
    (('tfidf', None), 'out')
    """
    name, sign, folder = written.partition("=")
    return name, Path(folder) if sign else None


def parse_name(name: str) -> tuple[str, str]:
    """Platform and id of a post or an account named by the user.

    >>> parse_name("bluesky:at://did:plc:x/app.bsky.feed.post/1")
    ('bluesky', 'at://did:plc:x/app.bsky.feed.post/1')
    """
    platform, _, own_id = name.partition(":")
    if not platform or not own_id:
        raise UsageError(f"{name} is no platform:id; it looks like x:2029580771177529")
    return platform, own_id


def parse_time(text: str | None, option: str, zone: str = "UTC") -> datetime | None:
    """A day or time given by the user, in the zone unless it names another, as UTC.

    >>> parse_time("2023-04-24", "--since").isoformat()
    '2023-04-24T00:00:00+00:00'
    >>> parse_time("2023-04-24", "--since", "Europe/Berlin").isoformat()
    '2023-04-23T22:00:00+00:00'
    """
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"{option} {text!r} is not a time; write 2023-04-24 or 2023-04-24T18:00"
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=ZoneInfo(zone))
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise UsageError(f"{option} {text!r} is beyond the calendar") from None


def parse_day(text: str, option: str) -> datetime:
    """The start of a UTC day given by the user.

    >>> parse_day("2023-04-24", "--date").isoformat()
    '2023-04-24T00:00:00+00:00'
    """
    moment = parse_time(text, option)
    if moment is None or moment != moment.replace(hour=0, minute=0, second=0, microsecond=0):
        raise UsageError(f"{option} {text!r} is no day; write 2026-03-02")
    return moment


def format_of(format: str | None, columns: str | None) -> str | None:
    """What --format and --columns say together.

    >>> format_of("twitwi", None), format_of(None, "MAP.toml")
    ('twitwi', 'columns:MAP.toml')
    """
    if columns is None:
        return format
    if format not in (None, "columns"):
        raise UsageError(f"--columns is for other files than --format {format}: give only one")
    return f"columns:{columns}"


def parse_span(
    since: str | None, until: str | None, zone: str = "UTC"
) -> tuple[datetime | None, datetime | None]:
    """What --since and --until say, as UTC. Raises UsageError for an empty span.

    >>> [moment.day for moment in parse_span("2023-04-24", "2023-04-26")]
    [24, 26]
    """
    start, end = parse_time(since, "--since", zone), parse_time(until, "--until", zone)
    if start and end and end <= start:
        raise UsageError(f"--until {until} is not after --since {since}; exchange them")
    return start, end


def settings_of(project: str | None, database: str | None, timezone: str | None = None) -> Settings:
    """The settings with what the command line says."""
    return read_settings(project=project, database=database, timezone=timezone)


@contextmanager
def connected(settings: Settings, *, may_make: bool = False) -> Iterator[Connection]:
    """A connection to the project's database.

    Raises UsageError if there is no such project, unless it may be made.
    """
    if not may_make:
        check_project(settings)
    with open_database(settings) as dsn, connect(dsn) as connection, database_errors(dsn):
        yield connection


def check_project(settings: Settings) -> None:
    """Reading makes no project: its name may be mistyped. The default one is empty, not absent.

    Raises UsageError if there is none.
    """
    if settings.database is not None or settings.project == Settings().project:
        return
    folder = embedded_folder(settings)
    if folder.exists():
        return
    known = sorted(path.name for path in folder.parent.glob("*") if path.is_dir())
    there = f"there are {', '.join(known)}" if known else "there is none yet"
    raise UsageError(
        f"there is no project {settings.project!r}; {there}; "
        f"hoaxwatch run FILES --project {settings.project} makes it"
    )
