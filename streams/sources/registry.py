"""The live sources by name."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib import import_module
from typing import Protocol, cast

from storage import snowball, tracking
from storage.database import Connection
from streams.errors import UsageError
from streams.settings import Settings
from streams.sources.keeping import Keeping
from streams.sources.source import Paid, Platform, Say, Source

#: name -> module, imported when it is asked for. Adding a source is one file and one line here.
SOURCES = {
    "bluesky": "streams.sources.bluesky",
    "x": "streams.sources.x_stream",
    "x_search": "streams.sources.x_search",
    "x_archive": "streams.sources.x_archive",
    "instagram": "streams.sources.instagram",
    "mastodon": "streams.sources.mastodon",
}


class SourceModule(Protocol):
    """What each source's module has."""

    NAME: str
    DESCRIPTION: str

    def open_source(self, settings: Settings, keeping: Keeping, say: Say) -> Platform:
        """The source, not connected yet. Raises UsageError if a setting is missing."""


#: Sources whose platform is paid for from one budget.
OF_X = ("x", "x_search", "x_archive")


def load_source(name: str) -> SourceModule:
    """The module of the source called `name`. Raises UsageError for a name we do not have."""
    if name not in SOURCES:
        raise UsageError(f"there is no source {name!r}; the sources are {', '.join(SOURCES)}")
    return cast(SourceModule, import_module(SOURCES[name]))


def open_source(name: str, settings: Settings, connection: Connection, say: Say) -> Source:
    """A source that asks for what is tracked. Raises UsageError if nothing is."""
    module = load_source(name)
    hashtags = tracking.read_tracked(connection)
    if not hashtags:
        project = "" if settings.project == "default" else f" --project {settings.project}"
        raise UsageError(f"nothing is tracked; say what: hoaxwatch track add HASHTAG{project}")
    hashtags = snowball.read_asked(connection, name, hashtags)
    keeping = Keeping(hashtags, tracking.read_kept(connection, name))
    source = module.open_source(settings, keeping, say)
    tell_spent(source, connection)
    return source


def bring_up_to_date(source: Source, connection: Connection) -> None:
    """Tells a source what it is asked for by now, and what others have spent of its money."""
    hashtags = tracking.read_tracked(connection)
    source.track(snowball.read_asked(connection, source.name, hashtags))
    tell_spent(source, connection)


def tell_spent(source: Source, connection: Connection) -> None:
    """Tells a source of X what the others have spent this month."""
    if isinstance(source, Paid):
        others = [name for name in OF_X if name != source.name]
        month = f"{datetime.now(UTC):%Y-%m}"
        source.note_spent(month, tracking.read_spent(connection, others, month))
