"""A bounded queue between two threads that can be closed by its writer and broken off by anyone."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from threading import Condition
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
