"""A file played as if it were live: its posts come in order of event time, so many times as fast.

All other sources can be tried, shown and back-tested with it. What is stored is the same as with
`hoaxwatch run FILE`; only when it comes differs.
"""

from __future__ import annotations

import tempfile
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

import numpy as np

from storage.tracking import Mark, Tracked
from streams.errors import UsageError
from streams.formats.registry import read_file
from streams.records import Deletion, Post, Reading, decode_reading, encode_reading
from streams.sources.files import version_of
from streams.sources.source import TICK_SECONDS, Sighting

NAME = "replay"
DESCRIPTION = "A file of posts, played in event time: --source replay FILE --speed 10x"


def parse_speed(text: str) -> float:
    """How many times as fast as it happened.

    >>> parse_speed("10x"), parse_speed("0.5"), parse_speed("max")
    (10.0, 0.5, inf)
    """
    try:
        speed = float("inf") if text == "max" else float(text.removesuffix("x"))
    except ValueError:
        speed = 0.0
    if not speed > 0:
        raise UsageError(f"--speed {text!r} is no speed; write 10x, 1x or max")
    return speed


class Replay:
    """The readings of one file in order of event time. The cursor counts them, as of a FileSource.

    Memory is 16 bytes per reading: sorted, they wait in a temporary file. One without a time comes
    with the one before it in the file.
    """

    def __init__(
        self,
        path: Path,
        format: str | None,
        speed: float,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path, self._format, self._speed = path, format, speed
        self._sleep, self._clock = sleep, clock

    @property
    def name(self) -> str:
        """replay: and the whole path."""
        return f"{NAME}:{self._path.absolute()}"

    def track(self, hashtags: Sequence[Tracked]) -> None:
        """Nothing: all of a file is played."""

    def posts(self, cursor: str | None) -> Iterator[Sighting]:
        """Ends with the file. A file that was changed since is played from its beginning."""
        version = version_of(self._path)
        held, _, n_played = (cursor or "").rpartition(":")
        skip = int(n_played) if held == version else 0
        with tempfile.TemporaryFile() as spill:
            times, places = _spill(read_file(self._path, self._format), spill)
            order = np.argsort(times, kind="stable")
            began: float | None = None
            for number, which in enumerate(order[skip:], skip + 1):
                at = times[which] / 1_000_000
                if began is None:
                    began, first = self._clock(), at
                yield from self._wait(began + (at - first) / self._speed)
                spill.seek(places[which])
                size = int.from_bytes(spill.read(4))
                yield Sighting(decode_reading(spill.read(size)), Mark(f"{version}:{number}"))

    def _wait(self, due: float) -> Iterator[Sighting]:
        while (left := due - self._clock()) > 0:
            self._sleep(min(left, TICK_SECONDS))
            if left > TICK_SECONDS:
                yield Sighting(None)


def _spill(readings: Iterator[Reading], spill: IO[bytes]) -> tuple[array[int], array[int]]:
    """Writes the readings; returns the event time of each (microseconds) and where it stands."""
    times, places = array("q"), array("q")
    n_bytes = at = 0
    for reading in readings:
        at = _time_us(reading) or at
        data = encode_reading(reading)
        times.append(at)
        places.append(n_bytes)
        n_bytes += spill.write(len(data).to_bytes(4) + data)
    # what comes before the first time belongs to it
    first = next((moment for moment in times if moment), 0)
    for number in range(len(times)):
        if times[number]:
            break
        times[number] = first
    return times, places


def _time_us(reading: Reading) -> int | None:
    told = (
        reading.posted_at
        if isinstance(reading, Post)
        else reading.deleted_at
        if isinstance(reading, Deletion)
        else None
    )
    return None if told is None else int(told.timestamp() * 1_000_000)
