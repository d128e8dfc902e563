"""Slices of records instead of events: taken whole, in batches of about the size asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from kafka import TopicPartition as TP

from streams import agents
from streams.agents import STALLED_LOOKS, Pulse, SeeEnds, Slices, commit, take, taken_of
from streams.errors import Unavailable, UsageError
from streams.metrics import Metrics
from streams.settings import read_settings
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


def looks_until_stalled(
    pulse: Pulse, *, behind: int = 5, is_settled: bool = True, moves: bool = False
) -> int | None:
    """At which look it is stalled; None if not within twice the looks that it takes."""
    for look in range(1, 2 * STALLED_LOOKS):
        if pulse.is_stalled({"a": look if moves else 1}, behind, is_settled=is_settled):
            return look
    return None


def test_a_client_that_brings_nothing_is_stalled() -> None:
    pulse = Pulse()
    assert looks_until_stalled(pulse) == STALLED_LOOKS + 1  # the first look sees a new place
    assert looks_until_stalled(pulse) == STALLED_LOOKS  # and again, if it was let go on
    assert looks_until_stalled(Pulse(), is_settled=False, moves=True) == STALLED_LOOKS


def test_a_client_that_has_nothing_to_bring_is_well() -> None:
    assert looks_until_stalled(Pulse(), moves=True) is None
    assert looks_until_stalled(Pulse(), behind=0) is None
    busy = Pulse()
    busy.n_at_work = 1
    assert looks_until_stalled(busy) is None


class Client:
    """A client of Faust's, as far as anybody looks: records wait, and it stays where it is."""

    def __init__(self, *, hangs: bool = False, is_missing: bool = False) -> None:
        self.rebalancing = False
        self.consumer = self
        self.hangs = hangs
        self.is_missing = is_missing

    def timer(self, **_: Any) -> Any:
        """Keeps what is to be called now and then."""
        return lambda look: setattr(self, "look", look)

    def topic_partitions(self, _: str) -> int:
        """How many the topic has, as far as it knows."""
        return 0 if self.is_missing else 1

    def assignment(self) -> set[TP]:
        """What it has."""
        return set() if self.is_missing else {TP("posts", 0)}

    def highwater(self, _: TP) -> int:
        """How far it could be."""
        return 9

    async def position(self, _: TP) -> int:
        """Where it is, if it says so."""
        if self.hangs:
            await asyncio.sleep(60)
        return 4


def watched(client: Any, n_looks: int, see_ends: SeeEnds | None = None) -> float:
    """What the gauge says after so many looks. Raises what the worker would end with."""

    async def at_once(work: Any) -> Any:
        return work()

    async def looks() -> None:
        for _ in range(n_looks):
            await client.look()

    metrics = Metrics("classify")
    agents.watch(client, read_settings(), "posts", at_once, metrics, see_ends)
    asyncio.run(looks())
    return next(iter(metrics.lag.collect())).samples[0].value


def test_a_worker_whose_client_is_stalled_begins_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agents, "count_partitions", lambda *_: 3)
    assert watched(Client(), STALLED_LOOKS) == 5
    with pytest.raises(Unavailable, match="180 s the client brought nothing of topic posts"):
        watched(Client(), STALLED_LOOKS + 1)
    monkeypatch.setattr(agents, "LAG_SECONDS", 0.001)
    with pytest.raises(Unavailable, match="brought nothing"):
        watched(Client(hangs=True), STALLED_LOOKS)


def test_a_worker_waits_for_brokers_that_are_away(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any) -> int:
        raise Unavailable("no broker answers")

    monkeypatch.setattr(agents, "count_partitions", away)
    assert watched(Client(), 3 * STALLED_LOOKS) == 5


def test_a_worker_whose_topic_is_gone_does_not_wait_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing(*_: Any) -> int:
        raise UsageError("topic posts does not exist")

    monkeypatch.setattr(agents, "count_partitions", missing)
    gone = Client(is_missing=True)
    assert watched(gone, STALLED_LOOKS - 1) == 0
    with pytest.raises(UsageError, match="does not exist"):
        watched(gone, STALLED_LOOKS)


def test_it_is_told_where_its_partitions_end() -> None:
    told: list[dict[tuple[str, int], int]] = []
    watched(Client(), 2, told.append)
    assert told == 2 * [{("posts", 0): 9}]
