"""`hoaxwatch follow`: words and links that are followed like hashtags."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer

from graph.followed import is_followed
from hoaxwatch.commands import options
from hoaxwatch.commands.options import connected, settings_of
from hoaxwatch.show import Column, minute, notes, number, output_of, show_rows
from storage import followed
from storage.database import open_database
from streams.errors import UsageError
from streams.settings import Settings

app = typer.Typer(
    no_args_is_help=True,
    help="Words and links that are followed like hashtags: posts without a hashtag have a topic.",
)

Topics = Annotated[
    list[str],
    typer.Argument(
        help="word:impfung, 'word:tap water' (both words), link:example.org/page, or "
        "link:example.org (the whole site)."
    ),
]


def parse_topics(written: Sequence[str]) -> list[str]:
    """Keys of followed topics as the user writes them.

    >>> parse_topics(["word:Impfung"])
    ['word:impfung']
    """
    for text in written:
        if not is_followed(text):
            raise UsageError(
                f"{text!r} is neither word:... nor link:...; hashtags are followed always"
            )
    return sorted({options.parse_topic(text) for text in written})


@app.command()
def add(topics: Topics, project: options.Project = None, database: options.Database = None) -> None:
    """Follow words or links, in what is stored and in what comes.

    They have hours, days, networks, clusters and alerts as hashtags have: name them to
    hoaxwatch trends -t word:impfung, clusters -t ..., graph ... -t ... A text has a word if it
    stands there as a word or as a hashtag of its own, in any spelling of capitals.
    """
    settings = settings_of(project, database)
    keys = parse_topics(topics)
    with connected(settings, may_make=True) as connection:
        found = followed.follow(connection, keys, datetime.now(UTC))
    for key in keys:
        n = found.get(key)
        _say(f"{key} is followed already" if n is None else f"{key}: {number(n)} contents so far")
    if found:
        _recount(settings)


@app.command()
def remove(
    topics: Topics, project: options.Project = None, database: options.Database = None
) -> None:
    """Follow these no more: they leave every table. Posts stay."""
    settings = settings_of(project, database)
    keys = parse_topics(topics)
    with connected(settings) as connection:
        gone = followed.unfollow(connection, keys)
    for key in keys:
        _say(f"{key} is followed no more" if key in gone else f"{key} was not followed")
    if gone:
        _recount(settings)


@app.command("list")
def list_(
    project: options.Project = None,
    database: options.Database = None,
    as_json: options.Json = False,
    as_csv: options.Csv = False,
) -> None:
    """List what is followed, and how much of it is stored."""
    with connected(settings_of(project, database)) as connection:
        rows = followed.list_followed(connection)
    columns = [
        Column("topic", lambda row: row["topic"]),
        Column("since", lambda row: minute(row["followed_at"])),
        Column("contents", lambda row: number(row["contents"]), is_number=True),
        Column("posts", lambda row: number(row["posts"]), is_number=True),
    ]
    empty = "no word or link is followed: hoaxwatch follow add word:impfung"
    show_rows(rows, output_of(as_json, as_csv), columns, "Followed words and links", empty)


def _recount(settings: Settings) -> None:
    from streams import local

    with open_database(settings) as dsn:
        local.count_again(dsn, settings)


def _say(line: str) -> None:
    notes.print(line, markup=False, soft_wrap=True)
