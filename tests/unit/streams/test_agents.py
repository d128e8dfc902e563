"""Slices of records instead of events: taken whole, in batches of about the size asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from streams.agents import Behind, Slices, take, taken_of
from streams.workers import Taken


@dataclass
class Record:
    """What aiokafka makes of a record, as far as anybody looks."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    value: Any


def records(partition: int, offsets: Sequence[int]) -> list[Record]:
    """Records of one partition."""
    return [Record("posts", partition, offset, 1500, b"%d" % offset) for offset in offsets]


def test_a_fetch_is_one_event_for_each_partition() -> None:
    fetched = {("posts", 0): records(0, [7, 8, 9]), ("posts", 1): records(1, [4])}
    slices = list(Slices().iterate(fetched))
    assert [(partition, one.offset) for partition, one in slices] == [
        (("posts", 0), 9),
        (("posts", 1), 4),
    ]
    assert taken_of([one for _, one in slices]) == [
        Taken("posts", 0, 7, b"7", 1.5),
        Taken("posts", 0, 8, b"8", 1.5),
        Taken("posts", 0, 9, b"9", 1.5),
        Taken("posts", 1, 4, b"4", 1.5),
    ]


class Stream:
    """A stream of slices with so many records each; `late` come while somebody waits."""

    def __init__(self, sizes: Sequence[int], late: Sequence[int] = ()) -> None:
        self.channel = SimpleNamespace(queue=asyncio.Queue())
        for size in sizes:
            self.put(size)
        self._late = late

    def put(self, size: int) -> None:
        """One more slice."""
        self.channel.queue.put_nowait(SimpleNamespace(value=list(range(size))))

    async def events(self) -> AsyncIterator[Any]:
        """All of them."""
        loop = asyncio.get_running_loop()
        for number, size in enumerate(self._late):
            loop.call_later(0.01 * (number + 1), self.put, size)
        while not self.channel.queue.empty():
            yield self.channel.queue.get_nowait()


def pairs_of(stream: Stream, n_records: int, seconds: float) -> list[tuple[list[int], list[int]]]:
    """The sizes of the slices of each batch, and of what is known to follow it."""

    async def taken() -> list[tuple[list[int], list[int]]]:
        return [
            ([len(event.value) for event in events], [len(event.value) for event in following])
            async for events, following in take(stream, n_records, seconds)
        ]

    return asyncio.run(taken())


def batches_of(stream: Stream, n_records: int, seconds: float) -> list[list[int]]:
    """The sizes of the slices of each batch."""
    return [sizes for sizes, _ in pairs_of(stream, n_records, seconds)]


def test_a_batch_is_what_waits_up_to_its_size() -> None:
    assert batches_of(Stream([3, 3, 3, 3, 3]), 6, 0.01) == [[3, 3], [3, 3], [3]]
    assert batches_of(Stream([5, 5]), 6, 0.01) == [[5, 5]]  # no slice is cut


def test_the_next_batch_is_known_if_all_of_it_waits() -> None:
    assert pairs_of(Stream([3, 3, 3, 3, 3]), 6, 0.01) == [
        ([3, 3], [3, 3]),
        ([3, 3], []),  # what waits is begun, but it may still fill
        ([3], []),
    ]
    assert pairs_of(Stream([6, 3], late=[3]), 6, 0.5) == [([6], []), ([3, 3], [])]


def test_a_batch_that_is_not_full_waits_for_more() -> None:
    assert batches_of(Stream([1], late=[2]), 10, 0.5) == [[1, 2]]
    assert batches_of(Stream([1]), 10, 0.01) == [[1]]


def test_what_is_left_behind_is_done_in_order() -> None:
    told: list[str] = []

    async def tell(name: str) -> None:
        told.append(f"{name} begins")
        await asyncio.sleep(0.01)
        told.append(f"{name} ends")

    async def work() -> None:
        async with Behind() as behind:
            for name in ("first", "second"):
                await behind.begin(tell(name))
                told.append(f"{name} is left")
            await behind.end()
            told.append("nothing goes on")

    asyncio.run(work())
    assert told == [
        *("first is left", "first begins", "first ends"),
        *("second is left", "second begins", "second ends", "nothing goes on"),
    ]


def test_what_fails_behind_is_raised_by_the_next() -> None:
    told: list[str] = []

    async def fail() -> None:
        raise ConnectionError("the brokers are gone")

    async def tell() -> None:
        told.append("told")

    async def work() -> None:
        async with Behind() as behind:
            await behind.begin(fail())
            await behind.begin(tell())

    with pytest.raises(ConnectionError, match="the brokers are gone"):
        asyncio.run(work())
    assert not told


def test_what_is_behind_is_given_up_when_the_rest_fails() -> None:
    told: list[str] = []

    async def tell() -> None:
        await asyncio.sleep(60)
        told.append("told")

    async def work() -> None:
        async with Behind() as behind:
            await behind.begin(tell())
            await asyncio.sleep(0)
            raise ValueError("a batch that cannot be stored")

    with pytest.raises(ValueError, match="a batch"):
        asyncio.run(work())
    assert not told
