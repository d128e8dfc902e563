"""What waits on disk while the brokers are away: segments of records, oldest first.

    record   length of key, length of value, CRC-32 of both (4 bytes each), key, value

Appending goes to the newest segment; reading gives whole segments, which are removed when the
brokers have acknowledged all of them. A torn end, as a power cut leaves it, is left out: a cursor
is saved only after the brokers' acknowledgement, so the source is asked for those posts again.
"""

from __future__ import annotations

import fcntl
import os
import struct
import zlib
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

SEGMENT_BYTES = 16 << 20
_HEAD = struct.Struct("<III")

Entry = tuple[bytes | None, bytes]


class SpoolFull(Exception):
    """The spool holds as much as it may."""


class Spool:
    """The spool of one process. Others that run at the same time have folders beside it; what they
    left when they ended, it takes over.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, Spool(Path(folder)) as spool:
    ...     spool.append(b"k", b"value")
    ...     [(entries, spool.remove(segment)) for segment, entries in spool.segments()]
    [([(b'k', b'value')], None)]
    """

    def __init__(self, folder: Path, limit_bytes: int = 1 << 30) -> None:
        self._limit_bytes = limit_bytes
        self._lock: int | None = None
        for number in count():
            self.folder = folder / f"spool-{number}"
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = _try_lock(self.folder)
            if self._lock is not None:
                break
        self._segment: BinaryIO | None = None
        found = _segments_in(self.folder)
        self._next = int(found[-1].stem) + 1 if found else 0
        self._take_over(folder)
        self.n_bytes = sum(path.stat().st_size for path in _segments_in(self.folder))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _take_over(self, folder: Path) -> None:
        for other in sorted(folder.glob("spool-*")):
            lock = _try_lock(other)
            if lock is None:  # somebody is at work there; of its own folder that is so too
                continue
            for segment in _segments_in(other):
                segment.rename(self._new_path())
            os.close(lock)

    def _new_path(self) -> Path:
        self._next += 1
        return self.folder / f"{self._next - 1:010}.segment"

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return self._segment is None and not _segments_in(self.folder)

    def append(self, key: bytes | None, value: bytes) -> None:
        """Adds one record. Raises SpoolFull, OSError."""
        key = key or b""
        size = _HEAD.size + len(key) + len(value)
        if self.n_bytes + size > self._limit_bytes:
            raise SpoolFull
        if self._segment is None:
            self._segment = open(self._new_path(), "xb", opener=_private)  # noqa: SIM115
        check = zlib.crc32(value, zlib.crc32(key))
        self._segment.write(_HEAD.pack(len(key), len(value), check) + key + value)
        self.n_bytes += size
        if self._segment.tell() >= SEGMENT_BYTES:
            self.roll()

    def roll(self) -> None:
        """Writes the newest segment to disk; what is added next begins another."""
        if self._segment is not None:
            self._segment.flush()
            os.fsync(self._segment.fileno())
            self._segment.close()
            self._segment = None

    def segments(self) -> Iterator[tuple[Path, list[Entry]]]:
        """Each segment with its records, oldest first. Ends when none is left."""
        self.roll()
        for path in _segments_in(self.folder):
            yield path, list(_entries(path.read_bytes()))

    def remove(self, segment: Path) -> None:
        """Forgets a segment: the brokers have all of it."""
        self.n_bytes -= segment.stat().st_size
        segment.unlink()

    def close(self) -> None:
        """Writes what was added to disk and lets another process have the folder."""
        self.roll()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _try_lock(folder: Path) -> int | None:
    """A descriptor that holds the folder's lock until it is closed; None: another holds it."""
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def _segments_in(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.segment"))


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _entries(data: bytes) -> Iterator[Entry]:
    at = 0
    while at + _HEAD.size <= len(data):
        n_key, n_value, check = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        key, value = data[at : at + n_key], data[at + n_key : at + n_key + n_value]
        if len(value) < n_value or zlib.crc32(value, zlib.crc32(key)) != check:
            return
        at += n_key + n_value
        yield key or None, value
