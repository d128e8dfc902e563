"""The steps as Faust agents: take, call, send, commit. No decision is made here.

One app and consumer group per role. `noack_take` gives a batch; work runs in one thread beside the
event loop, which goes on telling the brokers that we live. Faust's own acknowledgement is off
(`acks=False`): it commits offsets of records that no agent has seen (see README, "Why"). `commit`
tells the brokers how far we are, after the work.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import faust
import mode

from streams.errors import Unavailable
from streams.faults import fail_point
from streams.metrics import Metrics
from streams.settings import Settings
from streams.topics import (
    ACTIVITY,
    CLASSIFY,
    FETCH_BYTES,
    POSTS,
    RECORD_LIMIT_BYTES,
    TRACK,
    addresses,
    count_partitions,
    group_name,
    sasl_login,
    topic_name,
)
from streams.workers import Classifier, Taken, Tracker, partitions_of

T = TypeVar("T")

#: Runs a function in the role's one thread; a failure ends the process.
InThread = Callable[[Callable[[], T]], Awaitable[T]]
#: Told where the partitions (topic, number) of this worker end.
SeeEnds = Callable[[dict[tuple[str, int], int]], None]

#: How often a worker looks how far its client is; and after so many looks in a row at which it
#: brought nothing of what waits, it is given up.
LAG_SECONDS = 10.0
STALLED_LOOKS = 18
#: So often a client asks what topics there are: how long one that is made anew waits for it.
METADATA_SECONDS = 30

#: So many records one fetch gives at most, and so many fetches wait for the work thread: with fewer
#: than three batches of them the next is often not whole when one begins.
SLICE_RECORDS = 500
BUFFERED_SLICES = 32
#: A batch that is not full is looked at so often while it may fill.
LOOKS = 5


class Slices:
    """What a fetch gave of one partition goes through Faust as one event, not record by record.

    Faust spends two tasks, a lock, a queue and a stream's turn on each event. The event has the
    offset of its last record and holds them all.
    """

    def iterate(self, records: Mapping[Any, Sequence[Any]]) -> Iterator[tuple[Any, Any]]:
        """One message for each partition, in place of one for each record."""
        for partition, found in records.items():
            yield partition, replace(found[-1], value=found)


def new_app(settings: Settings, role: str) -> faust.App:
    """An app with every setting that matters given, whatever the defaults of a version are."""
    session = settings.kafka_session_seconds
    name = settings.worker_name
    return faust.App(
        group_name(settings, role),
        broker=[f"kafka://{address}" for address in addresses(settings)],
        broker_credentials=credentials(settings),
        broker_client_id=f"hoaxwatch-{role}",
        broker_session_timeout=session,
        broker_heartbeat_interval=session / 6,
        broker_request_timeout=max(30.0, 2 * session),
        broker_rebalance_timeout=max(20.0, session),
        broker_max_poll_interval=3600.0,  # a slow model does not make a member lost
        broker_max_poll_records=min(SLICE_RECORDS, settings.take_posts),
        consumer_group_instance_id=f"{role}-{name}" if name else None,
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=FETCH_BYTES,
        consumer_metadata_max_age_ms=METADATA_SECONDS * 1000,
        producer_acks=-1,
        producer_compression_type="zstd",
        producer_linger=0.0,
        producer_max_request_size=RECORD_LIMIT_BYTES + 4096,
        key_serializer="raw",
        value_serializer="raw",
        processing_guarantee="at_least_once",
        ConsumerScheduler=Slices,
        stream_buffer_maxsize=BUFFERED_SLICES,
        stream_wait_empty=False,
        stream_recovery_delay=0.0,
        topic_allow_declare=False,  # topics are made by `hoaxwatch topics create`
        topic_disable_leader=True,
        store="memory://",
        agent_supervisor=mode.CrashingSupervisor,
        web_enabled=False,
        worker_redirect_stdouts=False,
        datadir=str(settings.home_folder() / "faust"),
    )


def credentials(settings: Settings) -> Any:
    """How Faust logs in; None for plain brokers."""
    context = None
    if settings.kafka_security.endswith("SSL"):
        file = settings.kafka_ca_file
        context = ssl.create_default_context(cafile=str(file) if file else None)
    if settings.kafka_security.startswith("SASL"):
        user, password = sasl_login(settings)
        return faust.SASLCredentials(
            username=user, password=password, ssl_context=context, mechanism=settings.kafka_sasl
        )
    return faust.SSLCredentials(context) if context else None


def classify_app(
    settings: Settings, work: Classifier, in_thread: InThread[list[int]], metrics: Metrics, n: int
) -> faust.App:
    """Posts are stored and judged; then partitions of topic activity are told that there is work.

    n: partitions of topic activity."""
    app = new_app(settings, CLASSIFY)
    posts = slices_of(app, topic_name(settings, POSTS))
    in_thread = watch(app, settings, POSTS, in_thread, metrics, work.see_ends)

    @app.agent(posts, name=CLASSIFY)
    async def classify(stream: Any) -> None:
        coming: list[Any] = []
        following: list[Taken] = []
        async for events, after in take(stream, settings.take_posts, settings.take_seconds):
            taken = following if events is coming else taken_of(events)
            coming, following = after, taken_of(after)
            shards = await in_thread(partial(work, taken, following))
            await send_hints(app, settings, shards, n)
            fail_point("classify.before_ack")
            await commit(app, events)

    return app


def track_app(
    settings: Settings, work: Tracker, in_thread: InThread[int], metrics: Metrics
) -> faust.App:
    """Hints gather for a moment, then the touched hashtags are counted again; and now and then
    what no hint told of."""
    app = new_app(settings, TRACK)
    activity = slices_of(app, topic_name(settings, ACTIVITY))
    in_thread = watch(app, settings, ACTIVITY, in_thread, metrics)

    @app.agent(activity, name=TRACK)
    async def track(stream: Any) -> None:
        async for events in stream.noack_take(10_000, within=settings.hint_seconds):
            await in_thread(work)
            fail_point("track.before_ack")
            await commit(app, events)

    @app.timer(interval=settings.track_seconds, name="sweep")  # type: ignore[untyped-decorator]
    async def sweep() -> None:
        await in_thread(work)

    @app.on_partitions_revoked.connect(weak=False)
    async def revoked(app: faust.App, revoked: Any, **_: Any) -> None:
        work.assigned = frozenset()

    @app.on_partitions_assigned.connect(weak=False)
    async def assigned(app: faust.App, assigned: Any, **_: Any) -> None:
        name = topic_name(settings, ACTIVITY)
        work.assigned = frozenset(tp.partition for tp in assigned if tp.topic == name)
        app.add_future(in_thread(work))

    return app


def slices_of(app: faust.App, name: str) -> Any:
    """The topic whose events hold lists of records, which nobody decodes on the way."""
    return app.topic(name, key_type=bytes, acks=False)


async def take(
    stream: Any, n_records: int, seconds: float
) -> AsyncIterator[tuple[list[Any], list[Any]]]:
    """The stream's slices, some at a time: `n_records` and at most one slice more, or what came
    within the seconds. With them those of the next time (the very list that comes then), if so many
    records wait already."""
    queue = stream.channel.queue
    async for event in stream.events():
        begun = [event]
        while begun:
            events, begun = begun, []
            looks = 0
            while not _fill(events, queue, n_records) and looks < LOOKS:
                looks += 1
                await asyncio.sleep(seconds / LOOKS)
            is_full = _fill(events, queue, n_records) and _fill(begun, queue, n_records)
            yield events, begun if is_full else []


def _fill(events: list[Any], queue: Any, n_records: int) -> bool:
    """Whether the slices hold so many records, with what waits in the queue added."""
    n = sum(len(event.value) for event in events)
    try:
        while n < n_records:
            events.append(queue.get_nowait())
            n += len(events[-1].value)
    except asyncio.QueueEmpty:  # finding it empty has its full partitions fetched again
        return False
    return True


def taken_of(events: Sequence[Any]) -> list[Taken]:
    """What Faust calls events, as the records that they hold."""
    return [
        Taken(record.topic, record.partition, record.offset, record.value, record.timestamp / 1000)
        for event in events
        for record in event.value
    ]


async def commit(app: faust.App, events: Sequence[Any]) -> None:
    """Tells the brokers that these records, and all before them in their partitions, are done.

    Not of records that were taken before the partitions were given out anew: whoever has one now
    took it up where it was committed. One that came back to us may be further by now, and what was
    told of our old records would stand for good once no more come."""
    done: dict[Any, int] = {}
    for event in events:
        message = event.message
        if message.generation_id == app.consumer_generation_id:
            done[message.tp] = max(done.get(message.tp, 0), message.offset + 1)
    consumer: Any = app.consumer
    await consumer._commit(done)


async def send_hints(app: faust.App, settings: Settings, shards: Sequence[int], n: int) -> None:
    """Tells each partition that holds one of these shards; returns when the brokers have it."""
    topic = topic_name(settings, ACTIVITY)
    value = json.dumps({"shards": list(shards)}).encode()
    sent = [
        await app.producer.send(topic, None, value, partition, None, None)
        for partition in partitions_of(shards, n)
    ]
    await asyncio.gather(*sent)


class Pulse:
    """Whether the client still brings what waits for this worker."""

    def __init__(self) -> None:
        #: Calls of the role's thread that are not over.
        self.n_at_work = 0
        self._at: Mapping[Any, int] = {}
        self._n_still = 0

    def is_stalled(self, at: Mapping[Any, int], behind: int, *, is_settled: bool) -> bool:
        """True each time that nothing has moved for STALLED_LOOKS looks, though records wait and
        nothing is at work, or that partitions were being given out, or were not there to be given
        out, all the while.

        at: the next offset of each partition. behind: records that wait in them.
        """
        moves = at != self._at or bool(self.n_at_work) or not behind
        self._at = at
        self._n_still = 0 if is_settled and moves else self._n_still % STALLED_LOOKS + 1
        return self._n_still == STALLED_LOOKS


def watch(
    app: faust.App,
    settings: Settings,
    topic: str,
    in_thread: InThread[Any],
    metrics: Metrics,
    see_ends: SeeEnds | None = None,
) -> InThread[Any]:
    """Keeps the gauge of how many records wait in this worker's partitions. A client that brings
    none of them any more, though the brokers answer, ends the process, which begins again; so does
    one whose topic is gone and stays away.

    Returns in_thread, to be used from now on."""
    pulse = Pulse()
    name = topic_name(settings, topic)

    async def counted(work: Callable[[], Any]) -> Any:
        pulse.n_at_work += 1
        try:
            return await in_thread(work)
        finally:
            pulse.n_at_work -= 1

    @app.timer(interval=LAG_SECONDS, name="lag")  # type: ignore[untyped-decorator]
    async def lag() -> None:
        consumer: Any = app.consumer
        is_settled = not app.rebalancing and bool(consumer.topic_partitions(name))
        at: dict[Any, int] = {}
        try:
            at = await asyncio.wait_for(_positions(consumer), LAG_SECONDS)
        except TimeoutError:
            is_settled = False
        ends = {tp: consumer.highwater(tp) or 0 for tp in at}
        behind = sum(max(0, ends[tp] - offset) for tp, offset in at.items())
        metrics.lag.set(behind)
        if see_ends is not None:
            see_ends({(tp.topic, tp.partition): end for tp, end in ends.items() if end})
        if pulse.is_stalled(at, behind, is_settled=is_settled):
            await in_thread(partial(give_up, settings, topic))

    return counted


async def _positions(consumer: Any) -> dict[Any, int]:
    """The next offset of each of this worker's partitions."""
    return {tp: await consumer.position(tp) or 0 for tp in consumer.assignment()}


def give_up(settings: Settings, topic: str) -> None:
    """Raises Unavailable, or UsageError without the topic, unless it is the brokers that are away:
    then the client waits for them, which is right."""
    try:
        count_partitions(settings, topic)
    except Unavailable:
        return
    raise Unavailable(
        f"for {STALLED_LOOKS * LAG_SECONDS:.0f} s the client brought nothing of topic "
        f"{topic_name(settings, topic)}, though the brokers answer; the worker begins again"
    )
