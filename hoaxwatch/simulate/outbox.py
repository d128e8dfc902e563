"""The files of an invented world, and what of their records is known to come out."""

from __future__ import annotations

import gzip
import io
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import msgspec
import zstandard

from hoaxwatch.simulate.sightings import Ledger, Sighting

_COMPRESSED = {".gz", ".zst"}


def open_packed(path: Path) -> BinaryIO:
    """A new file, compressed as its name says: the same bytes whenever and wherever."""
    file = path.open("wb")
    if path.suffix == ".gz":  # neither a time nor a name in it
        return _Closing(gzip.GzipFile("", "wb", 6, file, mtime=0), file)
    if path.suffix == ".zst":
        return zstandard.ZstdCompressor(level=3).stream_writer(file)
    return file


class _Closing(io.BufferedWriter):
    """gzip leaves the file below open; this closes both."""

    def __init__(self, packed: gzip.GzipFile, file: BinaryIO) -> None:
        super().__init__(packed, 1 << 20)
        self._below = file

    def close(self) -> None:
        super().close()
        self._below.close()


class OutFile:
    """One file that is being written: a record per line, compressed as its name says.

    Whoever writes a line says what it holds: `posts`, deletions, what is no post, and what will be
    put aside, with the reason as far as it can be foretold.
    """

    def __init__(self, path: Path, format: str, ledger: Ledger) -> None:
        self.path, self.format = path, format
        plain = path.stem if path.suffix in _COMPRESSED else path.name
        #: What the pipeline calls the file.
        self.source = f"{format}:{plain}"
        self.n_lines = 0
        self.counts: Counter[str] = Counter()
        self.quarantined: list[tuple[str, str, str]] = []
        self._ledger = ledger
        self._out = open_packed(path)

    def write(self, line: bytes) -> str:
        """Writes one line; returns its place as the pipeline calls it."""
        self._out.write(line + b"\n")
        self.n_lines += 1
        return f"line {self.n_lines}"

    def write_json(self, record: object) -> str:
        """Writes a record as one line of JSON."""
        return self.write(msgspec.json.encode(record))

    def saw(self, sightings: Iterable[Sighting]) -> None:
        """The records just written that are posts."""
        found = list(sightings)
        self.counts["post"] += len(found)
        self._ledger.add(found)

    def saw_other(self, what: str, n: int = 1) -> None:
        """Records just written that are `deletion`, or `not_post`."""
        self.counts[what] += n

    def put_aside(self, position: str, reason: str) -> None:
        """A record just written that ends in quarantine."""
        self.counts["quarantined"] += 1
        self.quarantined.append((self.source, position, reason))

    def close(self) -> None:
        """Writes the rest."""
        self._out.close()


class Outbox:
    """All files of a world, in the order in which they were collected."""

    def __init__(self, folder: Path, ledger: Ledger) -> None:
        self.folder, self.ledger = folder, ledger
        self.files: dict[str, OutFile] = {}

    def file(self, name: str, format: str) -> OutFile:
        """The file of that name, new or already begun."""
        if name not in self.files:
            self.files[name] = OutFile(self.folder / name, format, self.ledger)
        return self.files[name]

    def close(self) -> None:
        """Completes every file; one without a record is not left behind."""
        for name, file in list(self.files.items()):
            file.close()
            if file.n_lines == 0:
                file.path.unlink()
                del self.files[name]
