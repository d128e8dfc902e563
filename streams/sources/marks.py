"""Where marks of sources are kept on the way to the brokers: in files, or in the database."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Protocol

from storage import tracking
from storage.database import Connection, connect, database_errors
from storage.tracking import Mark
from streams.sources.registry import bring_up_to_date
from streams.sources.source import Source


class Marks(Protocol):
    """How far each source was followed."""

    def read(self, source: str) -> str | None:
        """The cursor of a source; None before the first."""

    def save(self, source: str, mark: Mark) -> None:
        """Stores a mark of a source, all of it or nothing."""


class FileMarks:
    """Cursors in one small file each. What else a mark holds is not kept: files cover no time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "cursors"
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def read(self, source: str) -> str | None:
        """The cursor of a source; None before the first."""
        try:
            held: dict[str, str] = json.loads(self._path(source).read_text("utf-8"))
        except FileNotFoundError:
            return None
        return held["cursor"]

    def save(self, source: str, mark: Mark) -> None:
        """Replaces the cursor of a source, at once or not at all."""
        path = self._path(source)
        part = path.with_suffix(f".{os.getpid()}")
        part.write_text(json.dumps({"source": source, "cursor": mark.cursor}), "utf-8")
        part.replace(path)

    def _path(self, source: str) -> Path:
        return self._folder / f"{blake2b(source.encode(), digest_size=8).hexdigest()}.json"


class DatabaseMarks:
    """Marks in the tables of the project, beside what is tracked."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._connection: Connection = connect(dsn)

    def read(self, source: str) -> str | None:
        """The cursor of a source; None before the first."""
        return tracking.read_cursor(self._connection, source)

    def save(self, source: str, mark: Mark) -> None:
        """Stores a mark in a transaction of its own. Raises Unavailable."""
        with database_errors(self._dsn):
            tracking.store_mark(self._connection, source, mark, datetime.now(UTC))

    def refresh(self, source: Source) -> None:
        """Tells a source what it is asked for now. Raises Unavailable."""
        with database_errors(self._dsn):
            bring_up_to_date(source, self._connection)

    def close(self) -> None:
        """Lets go of the database."""
        self._connection.close()
