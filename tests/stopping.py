"""Stopping what is followed, once all of it has arrived."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

#: So long something that comes too often has to show itself.
AFTERWARDS_SECONDS = 0.5


@contextmanager
def stopping_when(
    is_there: Callable[[], bool], stop: Event, limit_seconds: float = 60.0
) -> Iterator[None]:
    """Sets `stop` when all is there, however slow this machine is; or when time is up, so that the
    test tells what is missing."""
    deadline = time.monotonic() + limit_seconds

    def watch() -> None:
        while not stop.wait(0.05):
            if is_there() or time.monotonic() > deadline:
                stop.wait(AFTERWARDS_SECONDS)
                stop.set()

    watcher = Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        stop.set()
        watcher.join()
