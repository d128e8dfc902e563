"""Following live sources from the command line: until it is stopped, for a time, or to the end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from types import FrameType

from hoaxwatch.show import notes
from storage.database import connect, database_errors
from streams.errors import UsageError
from streams.local import check_inputs
from streams.settings import Settings
from streams.sources import replay
from streams.sources.registry import SOURCES, load_source, open_source
from streams.sources.source import Source


def source_named(files: Sequence[str], source: str | None) -> tuple[list[str], str | None]:
    """What --source and the arguments say: files, or the name of a source.

    A single argument that is a source's name and no file is one too.

    >>> source_named(["bluesky"], None), source_named(["a.csv"], None)
    (([], 'bluesky'), (['a.csv'], None))
    """
    if source is None and len(files) == 1 and files[0] in SOURCES and not Path(files[0]).exists():
        return [], files[0]
    if source is None and not files:
        raise UsageError("name files of posts, or a live source: --source bluesky")
    if source == replay.NAME and len(files) != 1:
        raise UsageError("--source replay plays one file: name it, as in posts.jsonl")
    if source is not None and source != replay.NAME:
        load_source(source)
        if files:
            raise UsageError(f"--source {source} takes no files; leave out {files[0]}")
    return list(files), source


def open_named(
    name: str, files: Sequence[str], format: str | None, speed: str, settings: Settings, dsn: str
) -> Source:
    """The source of a name, asking for what is tracked; of replay, a file at a speed. Raises
    UsageError, InputError."""
    if name == replay.NAME:
        (file,) = check_inputs([Path(files[0])], format)
        return replay.Replay(file.path, file.format, replay.parse_speed(speed))
    with database_errors(dsn), connect(dsn) as connection:
        return open_source(name, settings, connection, say)


def say(line: str) -> None:
    """One line for people."""
    notes.print(line, markup=False, soft_wrap=True)


@contextmanager
def stopping(seconds: float | None) -> Iterator[Event]:
    """An event that is set by Ctrl-C or SIGTERM, or after so long. A second Ctrl-C is one as ever.

    What was taken is stored, and the command ends as if the source had.
    """
    stop = Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        stop.set()
        signal.signal(number, before[signal.Signals(number)])
        say("stopping: what came is stored first")

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, on_signal)
    alarm = threading.Timer(seconds, stop.set) if seconds is not None else None
    if alarm is not None:
        alarm.daemon = True
        alarm.start()
    try:
        yield stop
    finally:
        if alarm is not None:
            alarm.cancel()
        for number, handler in before.items():
            signal.signal(number, handler)
