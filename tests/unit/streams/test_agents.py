"""Slices of records instead of events: taken whole, in batches of about the size asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from streams.agents import Slices, commit, take, taken_of
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


def test_only_what_was_taken_since_partitions_were_given_out_is_committed() -> None:
    committed: list[dict[str, int]] = []

    async def keep(offsets: dict[str, int]) -> None:
        committed.append(offsets)

    app: Any = SimpleNamespace(consumer_generation_id=3, consumer=SimpleNamespace(_commit=keep))
    events = [
        SimpleNamespace(message=SimpleNamespace(tp=tp, offset=offset, generation_id=generation))
        for tp, offset, generation in [("a", 7, 3), ("a", 5, 3), ("b", 9, 2), ("c", 0, 3)]
    ]
    asyncio.run(commit(app, events))
    assert committed == [{"a": 8, "c": 1}]
