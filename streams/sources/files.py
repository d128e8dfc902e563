"""Files as a source, for `hoaxwatch ingest`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from storage.tracking import Mark, Tracked
from streams.formats.registry import read_file
from streams.sources.source import Sighting


@dataclass(frozen=True)
class FileSource:
    """The records of one file. The cursor names the file's size, time and the records read."""

    path: Path
    format: str | None = None

    @property
    def name(self) -> str:
        """file: and the whole path."""
        return f"file:{self.path.absolute()}"

    def posts(self, cursor: str | None) -> Iterator[Sighting]:
        """A file that was changed since is read from its beginning."""
        version = version_of(self.path)
        held, _, n_read = (cursor or "").rpartition(":")
        skip = int(n_read) if held == version else 0
        for number, reading in enumerate(read_file(self.path, self.format), 1):
            if number > skip:
                yield Sighting(reading, Mark(f"{version}:{number}"))

    def track(self, hashtags: Sequence[Tracked]) -> None:
        """Nothing: all of a file is read."""


def version_of(path: Path) -> str:
    """Size and time of a file: another one is another file."""
    found = path.stat()
    return f"{found.st_size}:{found.st_mtime_ns}"
