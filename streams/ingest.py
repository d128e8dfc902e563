"""Readings of a source -> topic `posts`, by kafka-python: each is there before its cursor is saved.

The producer is idempotent and waits for all replicas. What the brokers do not take in time goes to
disk (`streams.spool`) and from there to them when they are back. A reading may travel twice, never
less than once; the workers make twice the same as once.
"""

from __future__ import annotations

import socket
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Event
from typing import Any, NamedTuple

from kafka import KafkaProducer
from kafka.errors import KafkaConnectionError, KafkaError, MessageSizeTooLargeError

from storage.tracking import NO_MARK, Mark
from streams.errors import Unavailable, UsageError
from streams.faults import fail_point
from streams.records import Deletion, Post, Problem, Reading, decode_reading, encode_reading
from streams.settings import Settings
from streams.sources.marks import FileMarks, Marks
from streams.sources.source import Source
from streams.spool import Entry, Spool, SpoolFull
from streams.topics import (
    POSTS,
    RECORD_LIMIT_BYTES,
    addresses,
    client_config,
    count_partitions,
    kafka_errors,
    topic_name,
)

#: Bytes of records that may be on their way, whatever their number.
UNSENT_BYTES = 64 << 20
#: One batch per partition and request. Greater ones compress better; smaller ones go earlier.
BATCH_BYTES = 128 << 10
PROBE_SECONDS = 2.0
SAVE_SECONDS = 1.0


@dataclass
class Published:
    """What became of the readings of a source. `acknowledged` counts those the brokers have,
    `spooled` those that went to disk, where `spool_bytes` wait now."""

    read: Counter[str] = field(default_factory=Counter)
    acknowledged: int = 0
    acknowledged_at: datetime | None = None
    spooled: int = 0
    spool_bytes: int = 0
    errors: Counter[str] = field(default_factory=Counter)


def key_of(reading: Reading) -> bytes | None:
    """The key under which a reading travels: that of its content, so that shares lie beside it.

    >>> key_of(Deletion(platform="x", kind="post", deleted_id="7"))
    b'x:7'
    """
    if isinstance(reading, Post):
        return f"{reading.platform}:{reading.root_id}".encode(errors="replace")
    if isinstance(reading, Deletion):
        return f"{reading.platform}:{reading.deleted_id}".encode(errors="replace")
    return None


def kind_of(reading: Reading) -> str:
    """What a reading is, for counting."""
    if isinstance(reading, Post):
        return "post"
    if isinstance(reading, Deletion):
        return "deletion"
    return "problem" if isinstance(reading, Problem) else "not a post"


def encode_entry(reading: Reading) -> Entry:
    """Key and value of a reading. One that is too large to travel goes as a Problem."""
    value = encode_reading(reading)
    if len(value) > RECORD_LIMIT_BYTES:
        return None, encode_reading(_too_large(reading, RECORD_LIMIT_BYTES // 2))
    return key_of(reading), value


def _too_large(reading: Reading, keep_bytes: int) -> Problem:
    raw: bytes = getattr(reading, "raw", b"")
    reason = f"too large to travel: {len(raw):,} bytes of raw record; here are the first of them"
    if isinstance(reading, Post):
        source, position = reading.provenance or reading.platform, reading.post_id
    else:
        source, position = getattr(reading, "source", "unknown"), getattr(reading, "position", "")
    return Problem(reason=reason, source=source, position=position, raw=raw[:keep_bytes])


def new_producer(settings: Settings) -> KafkaProducer:
    """A producer that loses nothing: idempotent, acknowledged by all replicas, compressed."""
    return KafkaProducer(
        **client_config(settings),
        acks="all",
        enable_idempotence=True,
        compression_type="zstd",
        linger_ms=settings.linger_ms,
        batch_size=BATCH_BYTES,
        max_request_size=RECORD_LIMIT_BYTES + 4096,
        max_block_ms=int(settings.spool_seconds * 1000),
        request_timeout_ms=10_000,
        delivery_timeout_ms=60_000,
        retry_backoff_ms=100,
        reconnect_backoff_max_ms=1000,
        allow_auto_create_topics=False,
        metrics_enabled=False,
    )


def _shrunk(entry: Entry) -> Entry:
    """What takes the place of a record that the brokers find too large."""
    return None, encode_reading(_too_large(decode_reading(entry[1]), 64 << 10))


def _abandon(producer: KafkaProducer) -> None:
    """Lets go of a producer with what it has not sent.

    Its `close` (3.0.12) first waits for that, raises when it takes too long, and so closes nothing:
    its thread would go on. Told to drop it first, it ends.
    """
    producer._sender.force_close()
    with suppress(KafkaError):
        producer.close(timeout=2)


def _knock(settings: Settings) -> None:
    """Raises KafkaError unless something listens at one of the brokers' addresses.

    A producer that finds nobody leaves its sockets open; none is made before somebody answers.
    """
    for address in addresses(settings):
        host, _, port = address.rpartition(":")
        with suppress(OSError), socket.create_connection((host.strip("[]"), int(port)), timeout=1):
            return
    raise KafkaConnectionError(f"nobody listens at {settings.kafka}")


class _Sent(NamedTuple):
    future: Any
    entry: Entry
    mark: Mark
    sent_at: float


class Publisher:
    """Takes readings one by one and has them on the brokers, or on disk until they are back."""

    def __init__(
        self, settings: Settings, spool: Spool, result: Published, save: Callable[[Mark], None]
    ) -> None:
        self._settings = settings
        self._topic = topic_name(settings, POSTS)
        self._spool = spool
        self._result = result
        self._result.spool_bytes = spool.n_bytes
        self._save = save
        self._unsent: deque[_Sent] = deque()
        self._n_unsent_bytes = 0
        self._producer: KafkaProducer | None = None
        self._probed_at = -PROBE_SECONDS
        self._mark = NO_MARK  # acknowledged, not saved yet
        self._spooled_mark = NO_MARK
        self._saved_at = 0.0
        self._last_error: BaseException | None = None

    def put(self, reading: Reading, mark: Mark) -> None:
        """Takes over one reading. Waits while too many are on their way.

        Raises Unavailable when the brokers are away and the disk holds as much as it may.
        """
        entry = encode_entry(reading)
        if not self._is_connected():
            self._to_disk(entry, mark)
            return
        self._send(entry, mark)
        while self._producer is not None and (
            len(self._unsent) >= self._settings.unsent_posts or self._n_unsent_bytes > UNSENT_BYTES
        ):
            self._settle(wait=True)
        if len(self._unsent) % 256 == 0:
            self._settle(wait=False)

    def note(self, mark: Mark) -> None:
        """Its source was followed so far, and there was nothing to send. Does not wait."""
        if self._unsent:
            self._unsent[-1] = self._unsent[-1]._replace(mark=self._unsent[-1].mark.then(mark))
        elif not self._spool.is_empty:
            self._spooled_mark = self._spooled_mark.then(mark)
        else:
            self._mark = self._mark.then(mark)
        if self._is_connected():
            self._settle(wait=False)
        self._save_mark()

    def finish(self) -> None:
        """Returns when the brokers have everything. Raises Unavailable if they stay away."""
        deadline = time.monotonic() + self._settings.retry_seconds
        while self._unsent or not self._spool.is_empty:
            if self._is_connected():
                self._settle(wait=True)
            elif time.monotonic() > deadline:
                self.close()
                raise Unavailable(
                    f"{self._why()}; what they have not taken waits in {self._spool.folder} and "
                    "goes with the next hoaxwatch ingest"
                )
            else:
                time.sleep(0.2)
        self._save_mark(at_once=True)

    def close(self) -> None:
        """Lets go of the brokers; what is not acknowledged goes to disk."""
        self._give_up()
        self._save_mark(at_once=True)

    def _is_connected(self) -> bool:
        """Whether there is a producer; now and then tries to have one, and empties the disk."""
        if self._producer is not None:
            return True
        if time.monotonic() - self._probed_at < PROBE_SECONDS:
            return False
        try:
            _knock(self._settings)
            self._producer = new_producer(self._settings)
            if not self._producer.partitions_for(self._topic):
                raise KafkaError(f"topic {self._topic} has no partitions")
            self._drain()
        except KafkaError as error:
            self._count_error(error)
            self._give_up()
        self._probed_at = time.monotonic()
        return self._producer is not None

    def _drain(self) -> None:
        """What waits on disk, oldest first; a segment is removed when all of it is there."""
        for segment, entries in self._spool.segments():
            futures = [self._hand_over(entry) for entry in entries]
            for entry, future in zip(entries, futures, strict=True):
                try:
                    future.get(timeout=self._settings.spool_seconds)
                except MessageSizeTooLargeError:
                    self._hand_over(_shrunk(entry)).get(timeout=self._settings.spool_seconds)
            self._note_acknowledged(len(entries))
            self._spool.remove(segment)
            self._result.spool_bytes = self._spool.n_bytes
        self._mark, self._spooled_mark = self._mark.then(self._spooled_mark), NO_MARK
        self._save_mark()

    def _hand_over(self, entry: Entry) -> Any:
        assert self._producer is not None
        return self._producer.send(self._topic, key=entry[0], value=entry[1])

    def _send(self, entry: Entry, mark: Mark) -> None:
        try:
            future = self._hand_over(entry)
        except KafkaError as error:  # no room and no answer for spool_seconds
            self._count_error(error)
            self._give_up()
            self._to_disk(entry, mark)
            return
        self._unsent.append(_Sent(future, entry, mark, time.monotonic()))
        self._n_unsent_bytes += len(entry[1])

    def _settle(self, wait: bool) -> None:
        """Takes note of what is acknowledged, in order; with `wait`, waits for the oldest."""
        if wait and self._unsent:
            self._wait_for(self._unsent[0])
        n_acknowledged = 0
        while self._unsent and self._unsent[0].future.is_done:
            if not self._unsent[0].future.succeeded():
                self._count_error(self._unsent[0].future.exception)
                self._give_up()  # a new producer sends it again, from disk
                break
            oldest = self._unsent.popleft()
            self._n_unsent_bytes -= len(oldest.entry[1])
            n_acknowledged += 1
            self._mark = self._mark.then(oldest.mark)
        if n_acknowledged:
            self._note_acknowledged(n_acknowledged)
        self._save_mark()

    def _wait_for(self, oldest: _Sent) -> None:
        patience = oldest.sent_at + self._settings.spool_seconds - time.monotonic()
        try:
            oldest.future.get(timeout=max(patience, 0.001))
        except KafkaError as error:
            if not oldest.future.is_done:  # nothing came for too long: the brokers are away
                self._count_error(error)
                self._give_up()

    def _give_up(self) -> None:
        """Puts everything that is not acknowledged on disk and lets go of the producer."""
        if self._producer is not None:
            _abandon(self._producer)
            self._producer = None
        self._probed_at = time.monotonic()
        while self._unsent:
            left = self._unsent.popleft()
            self._n_unsent_bytes -= len(left.entry[1])
            self._to_disk(left.entry, left.mark)
        self._spool.roll()

    def _to_disk(self, entry: Entry, mark: Mark) -> None:
        try:
            self._spool.append(*entry)
        except SpoolFull:
            raise Unavailable(
                f"{self._why()}; {self._spool.folder} is full ({self._settings.spool_bytes:,} "
                "bytes), so nothing more is read; run it again then: it goes on where it was"
            ) from None
        self._result.spooled += 1
        self._result.spool_bytes = self._spool.n_bytes
        self._spooled_mark = self._spooled_mark.then(mark)

    def _save_mark(self, at_once: bool = False) -> None:
        """Never before everything up to it is acknowledged."""
        if self._mark == NO_MARK or not (
            at_once or time.monotonic() - self._saved_at > SAVE_SECONDS
        ):
            return
        fail_point("ingest.before_ack")
        self._save(self._mark)
        self._mark = NO_MARK
        self._saved_at = time.monotonic()

    def _note_acknowledged(self, n: int) -> None:
        self._result.acknowledged += n
        self._result.acknowledged_at = datetime.now(UTC)

    def _count_error(self, error: BaseException | None) -> None:
        self._result.errors[type(error).__name__] += 1
        self._last_error = error

    def _why(self) -> str:
        """Why the brokers take nothing, and what to do. They are asked: to a producer, a topic that
        is missing is but an answer that does not come."""
        try:
            with kafka_errors(self._settings):
                _knock(self._settings)
                count_partitions(self._settings, POSTS)
        except (Unavailable, UsageError) as error:
            return str(error)
        said = " ".join(str(self._last_error).split()) or type(self._last_error).__name__
        return f"brokers {self._settings.kafka} answer and take nothing ({said})"


def publish(
    source: Source,
    settings: Settings,
    progress: Callable[[Published], None] | None = None,
    *,
    from_beginning: bool = False,
    result: Published | None = None,
    marks: Marks | None = None,
    stop: Event | None = None,
) -> Published:
    """Sends every reading of a source to topic `posts`, from where it stopped last time.

    Returns `result`, or counts of its own, when the source ends or `stop` is set and the brokers
    have acknowledged all readings. Marks are kept in files if `marks` says nothing else. Raises
    Unavailable when the brokers stay away: what was read then waits on disk, and the next call
    sends it first. UsageError without a topic.
    """
    folder = settings.ingest_folder()
    marks = marks or FileMarks(folder)
    stop = stop or Event()
    result = result or Published()
    with kafka_errors(settings), Spool(folder, settings.spool_bytes) as spool:
        try:
            count_partitions(settings, POSTS)  # says at once that a topic or a broker is missing
        except Unavailable:
            if spool.is_empty:
                raise
        publisher = Publisher(settings, spool, result, lambda mark: marks.save(source.name, mark))
        try:
            cursor = None if from_beginning else marks.read(source.name)
            for reading, mark in source.posts(cursor):
                if reading is None:
                    publisher.note(mark)
                else:
                    result.read[kind_of(reading)] += 1
                    publisher.put(reading, mark)
                if progress is not None and (reading is None or result.read.total() % 1000 == 0):
                    progress(result)
                if stop.is_set():
                    break
            publisher.finish()
        finally:
            publisher.close()
    return result


def send_all(entries: Sequence[Entry], settings: Settings) -> None:
    """Sends ready records to topic `posts` and waits for the brokers."""
    with kafka_errors(settings):
        producer = new_producer(settings)
        try:
            topic = topic_name(settings, POSTS)
            futures = [producer.send(topic, key=key, value=value) for key, value in entries]
            producer.flush()
            for future in futures:
                future.get(timeout=60)
        finally:
            producer.close()
