"""A bounded queue between two threads that can be closed by its writer and broken off by anyone."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from threading import Condition, Thread
from typing import Generic, TypeVar

T = TypeVar("T")


class BrokenOff(Exception):
    """The other end is gone: stop working."""


class Channel(Generic[T]):
    """`put` waits while it is full; iterating waits while it is empty and ends when it is closed.

    >>> channel = Channel[int](2)
    >>> channel.put(1); channel.put(2); channel.close(); list(channel)
    [1, 2]
    """

    def __init__(self, size: int) -> None:
        self._waiting: deque[T] = deque()
        self._size = size
        self._changed = Condition()
        self._closed = False
        self._broken = False

    def put(self, item: T) -> None:
        """Hands over one item. Raises BrokenOff."""
        with self._changed:
            self._changed.wait_for(lambda: self._broken or len(self._waiting) < self._size)
            if self._broken:
                raise BrokenOff
            self._waiting.append(item)
            self._changed.notify_all()

    def close(self) -> None:
        """Says that nothing more comes."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def break_off(self) -> None:
        """Wakes both ends with BrokenOff; what waits is dropped."""
        with self._changed:
            self._broken = True
            self._waiting.clear()
            self._changed.notify_all()

    def __iter__(self) -> Iterator[T]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._broken or self._closed or self._waiting)
                if self._broken:
                    raise BrokenOff
                if not self._waiting:
                    return
                item = self._waiting.popleft()
                self._changed.notify_all()
            yield item


@contextmanager
def beside(items: Iterable[T], size: int) -> Iterator[Iterator[T]]:
    """Makes the items in a thread of its own, at most `size` ahead; inside, take them.

    An error of theirs is raised where they are taken. Leaving early ends the thread.

    >>> with beside(iter([1, 2, 3]), size=2) as made:
    ...     sum(made)
    6
    """
    channel: Channel[T] = Channel(size)
    failures: list[BaseException] = []

    def make() -> None:
        try:
            for item in items:
                channel.put(item)
        except BrokenOff:
            pass
        except BaseException as error:
            failures.append(error)
        channel.close()

    def take() -> Iterator[T]:
        yield from channel
        if failures:
            raise failures[0]

    thread = Thread(target=make, name="beside", daemon=True)
    thread.start()
    try:
        yield take()
    finally:
        channel.break_off()
        thread.join()
