"""What a worker does with the records it takes, without Faust and without Kafka.

`Classifier` stores and judges a batch of records; `Tracker` recounts the hashtags of its
partitions; `Jobs` does now and then what is one for the whole project. Each keeps one connection,
waits for a database that is away, and is called from one thread.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import UTC, datetime
from functools import partial
from secrets import token_hex
from typing import NamedTuple, TypeVar

import structlog

from detectors.detector import Detector
from storage import history, positions, recount, reprocessing, writes
from storage.database import Connection, connect, database_errors, limit_waits
from storage.positions import OverlapsRecorded, Span, spans_of
from streams import steps
from streams.claims import ClaimMatcher
from streams.clustering import TrackOptions
from streams.errors import Replaced, Unavailable, UsageError
from streams.faults import fail_point
from streams.judging import judging_of
from streams.local import candidate_of
from streams.metrics import Metrics
from streams.quarantine import WIRE
from streams.records import (
    Content,
    NewerRecord,
    Post,
    Problem,
    Reading,
    Verdict,
    decode_reading,
)
from streams.settings import Settings
from streams.steps import CascadeScoring, Owned

T = TypeVar("T")

#: So often a record is tried alone before it is blamed for the death of the process.
LONE_TRIES = 3
#: So many records in a row that fail, each alone, are no bad records: something else is wrong.
BAD_IN_A_ROW = 20
IDLE_SECONDS = 30
JOBS_ROLE = "hoaxwatch jobs"
log = structlog.get_logger()


class Taken(NamedTuple):
    """A record as it came from the brokers. `written_at` is in seconds since 1970."""

    topic: str
    partition: int
    offset: int
    value: bytes | None
    written_at: float

    @property
    def place(self) -> tuple[str, int, int]:
        """Where it lies."""
        return self[:3]

    @property
    def where(self) -> str:
        """Where it lies, for people: topic[partition]@offset."""
        return f"{self.topic}[{self.partition}]@{self.offset}"


class GapInTopic(Exception):
    """Records were jumped over that the brokers still have: the process must begin again."""


class _Database:
    """One connection, made when it is needed and made again when it breaks."""

    def __init__(self, dsn: str, role: str, settings: Settings, metrics: Metrics) -> None:
        self._dsn = dsn
        self._role = role
        self._settings = settings
        self._metrics = metrics
        self._connection: Connection | None = None

    def run(self, work: Callable[[Connection], T], on_new: Callable[[Connection], None]) -> T:
        """`work` with the connection, again from its beginning if the database goes away in it.

        Raises Unavailable when it stays away for retry_seconds.
        """
        deadline: float | None = None
        pause_seconds = 0.1
        while True:
            try:
                with database_errors(self._dsn):
                    return work(self._connection or self._open(on_new))
            except Unavailable as error:
                self.close()
                now = time.monotonic()
                deadline = deadline or now + self._settings.retry_seconds
                if now >= deadline:
                    raise
                self._metrics.database_errors.inc()
                log.warning("the database is away", error=str(error))
                time.sleep(pause_seconds)
                pause_seconds = min(2 * pause_seconds, 2.0)
            except BaseException:
                self.close()
                raise

    def _open(self, on_new: Callable[[Connection], None]) -> Connection:
        self._connection = connect(self._dsn, role=self._role)
        writes.prepare(self._connection)
        recount.prepare(self._connection)
        limit_waits(self._connection, IDLE_SECONDS)
        on_new(self._connection)
        return self._connection

    def close(self) -> None:
        """Lets go of the connection; what was not committed is undone."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class _Ahead:
    """Makes rows of the records of the next call in a thread, while the server stores this one's.

    Only what goes as usual: of records with which anything is wrong nothing is made, and whoever
    stores them finds out.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ahead")
        self._records: list[Taken] = []
        self._batch: Future[steps.Batch] | None = None

    def begin(self, records: list[Taken]) -> None:
        """These records are stored next. Nothing, if they are begun already."""
        if records != self._records:
            self._records = records
            self._batch = self._thread.submit(_batch_of, records) if records else None

    def do(self, work: Callable[[], None]) -> None:
        """Has this done too, before what is begun later."""
        self._thread.submit(work)

    def wait(self) -> None:
        """Returns when nothing is being made: from then on no record can kill the process in it."""
        if self._batch is not None:
            wait([self._batch])

    def take(self, records: list[Taken]) -> steps.Batch | None:
        """What was made of just these records, if anything was."""
        batch, is_theirs = self._batch, records == self._records
        self._records, self._batch = [], None
        failed = batch is None or not is_theirs or batch.exception() is not None
        return None if failed or batch is None else batch.result()

    def close(self) -> None:
        """Ends the thread."""
        self._thread.shutdown()


class Classifier:
    """Stores and judges batches of records; a record that cannot be processed is quarantined alone.

    Before work, the batch's offsets are noted; its last commit takes the note back. A note that was
    left by a process that is gone means that a record may have killed it: those are gone through
    one at a time, and the one that was tried alone three times without an end is quarantined.
    So is noted what is only made ready for the next call. A note of a process that is alive, whose
    partition was given to this one meanwhile, is taken over.
    """

    def __init__(self, dsn: str, settings: Settings, detector: Detector, metrics: Metrics) -> None:
        self._database = _Database(dsn, positions.CLASSIFY_ROLE, settings, metrics)
        self._ahead = _Ahead()
        self._dsn = dsn
        self._settings = settings
        self._detector = detector
        self._judging = judging_of(detector, settings, of_new=True)
        self._policy = candidate_of(detector, settings)
        self._has_activated = False
        self._metrics = metrics
        self._claims = ClaimMatcher()
        self._key = settings.tombstone_key.get_secret_value()
        self._holder = token_hex(8)
        self._recorded: dict[tuple[str, int], int] = {}
        self._suspects: dict[tuple[str, int], Span] = {}
        self._following: tuple[Sequence[Taken], list[Taken]] = (), []
        self._noted_ahead: list[Span] = []
        self._begun: set[tuple[str, int]] = set()
        self._seen_anew: set[tuple[str, int]] = set()
        self._n_bad_in_a_row = 0

    def __call__(self, taken: Sequence[Taken], following: Sequence[Taken] = ()) -> list[int]:
        """Has the records in the database when it returns; gives the shards that wait to be
        counted. Raises Unavailable, NewerRecord; then nothing may be acknowledged.

        following: the records of the next call, if they are here already.
        """
        followed, in_order = self._following
        records = in_order if taken is followed else _in_order(taken)
        coming = _in_order(following)
        self._following = following, coming
        batch = self._ahead.take(records)
        shards = self._database.run(lambda c: self._work(c, records, batch, coming), self._start)
        now = datetime.now(UTC).timestamp()
        waited = [now - record.written_at for record in records]
        self._ahead.do(partial(self._metrics.stored, waited))
        self._metrics.done(len(records))
        return shards

    def _start(self, connection: Connection) -> None:
        """What must be so on a new connection. What was known of the database is asked again."""
        writes.commit_later(connection)  # but for the last commit of each batch
        if not self._has_activated:
            writes.activate_policy(connection, *self._policy, datetime.now(UTC))
            self._has_activated = True
        elif not writes.is_active(connection, *self._policy):
            # somebody wanted that since; ours is brought back by who starts us again with it
            log.warning(
                "other verdicts count now than this worker's; start it again with that detector",
                ours=" ".join(map(str, self._policy)),
                counts=" ".join(map(str, reprocessing.read_active(connection) or ())),
            )
        self._recorded.clear()

    def _work(
        self,
        connection: Connection,
        records: Sequence[Taken],
        batch: steps.Batch | None,
        coming: list[Taken],
    ) -> list[int]:
        self._look_for_gaps(connection, records)
        self._forget_suspects(records)
        both = [*_spans(records), *_spans(coming)]
        self._noted_ahead = [] if self._are_suspect(both) else _spans(coming)
        spans = [*_spans(records), *self._noted_ahead]
        left_over = positions.note_work(connection, spans, self._holder)
        for span, _ in left_over:
            self._suspects.setdefault(span[:2], span)
            log.warning(
                "a process died over these records: they are tried one at a time",
                where=f"{span.topic}[{span.partition}]@{span.first}",
                n_records=span.end - span.first,
            )
        alone = [r for r in records if self._is_suspect(r)] if self._suspects else []
        rest = [r for r in records if not self._is_suspect(r)] if alone else records
        if not self._are_suspect(both):
            self._ahead.begin(coming)
        if alone:
            # should one of them kill us, the rest is not to be suspected
            with connection.transaction(), connection.cursor() as cursor:
                noted = [*_spans(rest), *self._noted_ahead]
                innocent = [span for span in noted if span[:2] not in self._suspects]
                positions.clear_work(cursor, innocent, self._holder)
            self._noted_ahead = []
            for record in alone:
                self._try_alone(connection, record)
            if positions.note_work(connection, _spans(rest), self._holder):
                raise Unavailable("another worker notes these records; begin again")
        if rest:
            self._process(connection, rest, None, None if alone else batch)
        return positions.read_dirty_shards(connection)

    def _look_for_gaps(self, connection: Connection, records: Sequence[Taken]) -> None:
        """Offsets follow each other. If some are missing, the client lost them: begin again.

        Where a partition was only just taken up, they are gone for good: the topic has dropped
        them. `stream_positions.skipped` counts those.
        """
        spans = _spans(records)
        if any(span.first > self._recorded.get(span[:2], -1) for span in spans):
            self._recorded = positions.read_positions(connection)
        for span in spans:
            expected = self._recorded.get(span[:2], span.first)
            if span.first > expected and span[:2] in self._begun:
                raise GapInTopic(
                    f"{span.topic}[{span.partition}] goes on at {span.first}, not at {expected}; "
                    "nothing is acknowledged: the worker begins again where it was"
                )
        self._begun |= {span[:2] for span in spans}

    def see_ends(self, ends: Mapping[tuple[str, int], int]) -> None:
        """Tells, once for each, of partitions that end before what was recorded of them. Called
        from another thread."""
        for place, end in ends.items():
            recorded = self._recorded.get(place, 0)
            if end < recorded and place not in self._seen_anew:
                self._seen_anew.add(place)
                log.warning(
                    "the topic is shorter than what was recorded of it: it was made anew, or "
                    "brokers lost records; until it is as long again, what comes is stored and "
                    "judged as ever, but counted as met again",
                    where="{}[{}]".format(*place),
                    end=end,
                    recorded=recorded,
                )

    def _forget_suspects(self, records: Sequence[Taken]) -> None:
        """Whoever had a partition meanwhile may be past what we suspected in it."""
        begins = {span[:2]: span.first for span in reversed(_spans(records))}
        self._suspects = {
            key: span for key, span in self._suspects.items() if begins.get(key, 0) < span.end
        }

    def _are_suspect(self, spans: Sequence[Span]) -> bool:
        return any(span[:2] in self._suspects for span in spans)

    def _is_suspect(self, record: Taken) -> bool:
        span = self._suspects.get(record.place[:2])
        return span is not None and span.first <= record.offset < span.end

    def _try_alone(self, connection: Connection, record: Taken) -> None:
        suspects = self._suspects[record.place[:2]]
        span = Span(record.topic, record.partition, record.offset, suspects.end)
        before = positions.note_lone_try(connection, span, self._holder)
        self._metrics.died_before.inc()
        if before >= LONE_TRIES:
            # putting it aside failed twice: once may be a database that went away, or a SIGTERM
            kills_decoding = before > LONE_TRIES + 1
            self._quarantine_killer(connection, record, span, kills_decoding=kills_decoding)
        else:
            self._process(connection, [record], span)
        if record.offset + 1 >= suspects.end:
            del self._suspects[record.place[:2]]
        else:
            self._suspects[record.place[:2]] = span._replace(first=record.offset + 1)

    def _process(
        self,
        connection: Connection,
        records: Sequence[Taken],
        alone: Span | None,
        batch: steps.Batch | None = None,
    ) -> None:
        """Stores the records, `batch` being what was made of them if that was done ahead; those
        that fail are found by halving, down to the bad one."""
        try:
            self._store(connection, records, batch or _batch_of(records), alone)
            self._n_bad_in_a_row = 0
        except (Unavailable, UsageError, NewerRecord, OverlapsRecorded):
            raise
        except Exception as error:
            if _is_of_machine(error) and len(records) == 1:
                raise
            if len(records) > 1:
                middle = len(records) // 2
                self._process(connection, records[:middle], None)
                positions.note_work(connection, _spans(records[middle:]), self._holder)
                self._process(connection, records[middle:], None)
                return
            self._n_bad_in_a_row += 1
            if self._n_bad_in_a_row >= BAD_IN_A_ROW:
                raise
            reason = f"cannot be processed: {type(error).__name__}"
            log.error(reason, where=records[0].where)  # its message may hold words of the post
            self._store_problem(connection, records[0], _problem(records[0], reason), alone)

    def _store_problem(
        self, connection: Connection, record: Taken, problem: Problem, alone: Span | None
    ) -> None:
        batch = steps.prepare([problem], datetime.now(UTC), [record.place])
        self._store(connection, [record], batch, alone)

    def _store(
        self,
        connection: Connection,
        records: Sequence[Taken],
        batch: steps.Batch,
        alone: Span | None,
    ) -> None:
        """Records, judges, and takes the note back. What was recorded before is counted no more."""
        with database_errors(self._dsn):
            if any((record.topic, record.partition) not in self._recorded for record in records):
                self._recorded = positions.read_positions(connection)
            pending: dict[tuple[str, str], Content] = {}
            for part, are_new in self._parts(batch):
                pending |= self._record(connection, part, are_new=are_new)
            verdicts: list[Verdict] = []
            if pending:
                self._fetch(connection, list(pending.values()))
                fail_point("classify.before_model")
                began = time.perf_counter()
                waiting = self._judging.read(connection, list(pending.values()))
                verdicts = self._judge(waiting)
                self._judging.keep(connection)
                self._metrics.model.observe(time.perf_counter() - began)
                fail_point("classify.after_model")
            checks = steps.compare(connection, self._claims, list(pending.values()))
            self._ahead.wait()
            with connection.transaction(), connection.cursor() as cursor:
                writes.commit_this_at_once(cursor)
                if verdicts:
                    judged = steps.judge(connection, verdicts, datetime.now(UTC))
                    for state, n in judged.items():
                        self._metrics.verdicts.labels(state).inc(n)
                steps.keep(connection, self._claims, checks)
                if alone is None:
                    done = [*_spans(records), *self._noted_ahead]
                    positions.clear_work(cursor, done, self._holder)
                else:
                    positions.move_on(cursor, alone, self._holder)
                fail_point("classify.before_commit")
            fail_point("classify.after_commit")

    def _parts(self, batch: steps.Batch) -> list[tuple[steps.Batch, bool]]:
        """The batch as it is met again and as it is new; in most cases it is one of them."""
        recorded = self._recorded
        is_new = [offset >= recorded.get((topic, p), 0) for topic, p, offset in batch.places]
        if len(set(is_new)) == 1:
            return [(batch, is_new[0])]
        parts = []
        for wanted in (False, True):
            readings = [r for r, new in zip(batch.readings, is_new, strict=True) if new is wanted]
            places = [
                place for place, new in zip(batch.places, is_new, strict=True) if new is wanted
            ]
            parts.append((steps.prepare(readings, batch.received_at, places), wanted))
        return parts

    def _record(
        self, connection: Connection, batch: steps.Batch, *, are_new: bool
    ) -> dict[tuple[str, str], Content]:
        try:
            recorded = steps.record(connection, batch, self._detector, self._key)
        except OverlapsRecorded:  # another worker was at the same records: look again
            self._recorded.clear()
            raise Unavailable("another worker recorded some of these records just now") from None
        if are_new:
            for outcome, n in recorded.outcomes.items():
                self._metrics.records.labels(outcome).inc(n)
        else:
            self._metrics.met_again.inc(len(batch.readings))
        for span in spans_of(batch.places):
            key = span[:2]
            self._recorded[key] = max(self._recorded.get(key, 0), span.end)
        for problem in recorded.problems:
            log.warning("quarantined", reason=problem.reason, where=problem.position)
        return {(c.platform, c.root_id): c for c in recorded.pending}

    def _fetch(self, connection: Connection, contents: Sequence[Content]) -> None:
        """Pictures of the contents, if they are wanted. No transaction is open meanwhile."""
        began = time.perf_counter()
        outcomes = self._judging.fetch(connection, contents)
        if outcomes:
            self._metrics.fetched(outcomes, time.perf_counter() - began)

    def _judge(self, contents: Sequence[Content]) -> list[Verdict]:
        """A verdict for each. One that the detector fails on is abstained from, with the reason;
        out of memory, a batch is halved."""
        try:
            verdicts = self._judging.score(contents)
            self._n_bad_in_a_row = 0
            return verdicts
        except Exception as error:
            if len(contents) > 1 and not _is_broken_device(error):
                middle = len(contents) // 2
                return self._judge(contents[:middle]) + self._judge(contents[middle:])
            self._n_bad_in_a_row += 1
            if _is_of_machine(error) or self._n_bad_in_a_row >= BAD_IN_A_ROW:
                raise
            content = contents[0]
            log.error("the detector failed", post=content.root_id, error=type(error).__name__)
            return [self._abstain(content, f"detector_failed: {type(error).__name__}")]

    def _abstain(self, content: Content, reason: str) -> Verdict:
        return Verdict(
            platform=content.platform,
            root_id=content.root_id,
            input_hash=content.input_hash,
            read_hash=content.read_hash,
            detector=self._detector.name,
            version=self._detector.version,
            state="abstained",
            reason=reason,
        )

    def _quarantine_killer(
        self, connection: Connection, record: Taken, span: Span, *, kills_decoding: bool
    ) -> None:
        """Puts a record aside that killed the process each time it was alone. If it is stored by
        now, it stays, and its content is abstained from: else each share of it would kill again.

        kills_decoding: the process died of that too, so it is put aside as it came."""
        reason = f"the process died {LONE_TRIES} times over this record alone"
        log.error(reason, where=record.where)
        if kills_decoding:
            self._store_problem(connection, record, _wire_problem(record, reason), span)
            return
        reading = _decode(record)
        problem = _problem(record, reason)
        pending: list[Content] = []
        if isinstance(reading, Post):
            held = (record.topic, record.partition)
            self._recorded = positions.read_positions(connection)
            if self._recorded.get(held, 0) > record.offset:  # stored: it died in the detector
                batch = steps.prepare([reading], datetime.now(UTC), [record.place])
                pending = steps.record(connection, batch, self._detector, self._key).pending
        if pending:
            waiting = self._judging.read(connection, pending)
            verdicts = [self._abstain(content, "killed_process") for content in waiting]
            steps.judge(connection, verdicts, datetime.now(UTC))
        self._store_problem(connection, record, problem, span)

    def close(self) -> None:
        """Lets go of the database, and of what is being made ready."""
        self._ahead.close()
        self._database.close()


def _in_order(taken: Sequence[Taken]) -> list[Taken]:
    """The records sorted by their place, each once."""
    return sorted({record.place: record for record in taken}.values())


def _batch_of(records: Sequence[Taken]) -> steps.Batch:
    """What the records mean for the tables. Raises NewerRecord."""
    readings = [_decode(record) for record in records]
    return steps.prepare(readings, datetime.now(UTC), [record.place for record in records])


def _spans(records: Iterable[Taken]) -> list[Span]:
    return spans_of(record.place for record in records)


def _decode(record: Taken) -> Reading:
    """What a record says; a Problem if it is no reading. Raises NewerRecord."""
    try:
        return decode_reading(record.value)
    except NewerRecord as error:
        raise NewerRecord(f"{record.where}: {error}") from None
    except ValueError as error:
        return _wire_problem(record, f"not a record: {error}")


def _problem(record: Taken, reason: str) -> Problem:
    """The record put aside: as a record of its source, if it says which."""
    reading = _decode(record)
    if isinstance(reading, Post):
        source = reading.provenance or reading.platform
        position = f"post {reading.post_id}"
        return Problem(reason=reason, source=source, position=position, raw=reading.raw)
    return _wire_problem(record, reason)


def _wire_problem(record: Taken, reason: str) -> Problem:
    source = f"{WIRE}:{record.topic}"
    return Problem(reason=reason, source=source, position=record.where, raw=record.value or b"")


def _is_of_machine(error: BaseException) -> bool:
    """Whether an error says something about the machine, not about a record."""
    is_memory = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return is_memory or _is_broken_device(error)


def _is_broken_device(error: BaseException) -> bool:
    """A device that failed once fails until the process begins again."""
    return "CUDA error" in str(error) or type(error).__name__ == "AcceleratorError"


class Tracker:
    """Recounts the hashtags of the partitions that this worker was given.

    It becomes the owner of each with a new epoch; when another has taken one over since, a recount
    writes nothing.
    """

    def __init__(
        self,
        dsn: str,
        settings: Settings,
        options: TrackOptions,
        n_partitions: int,
        metrics: Metrics,
    ) -> None:
        self._database = _Database(dsn, positions.TRACK_ROLE, settings, metrics)
        self._options = options
        self._n_partitions = n_partitions
        self._metrics = metrics
        self._holder = token_hex(8)
        self._epochs: dict[int, int] = {}
        self._tried: frozenset[int] = frozenset()
        self.assigned: frozenset[int] = frozenset()

    def __call__(self) -> int:
        """One recount of what is dirty; returns how many hashtags. Raises Replaced, Unavailable."""
        began = time.perf_counter()
        try:
            n_hashtags = self._database.run(self._recount, self._start)
        except Replaced:
            self._epochs.clear()
            if self._tried <= self.assigned:  # nobody told us: we slept
                raise
            return 0
        self._metrics.tick.observe(time.perf_counter() - began)
        self._metrics.done(n_hashtags)
        return n_hashtags

    def _start(self, connection: Connection) -> None:
        """With another connection we are another owner: a successor ends the connection noted."""
        self._epochs.clear()
        limit_waits(connection, 4 * IDLE_SECONDS)  # clusters are found in the middle of it

    def _recount(self, connection: Connection) -> int:
        # read at each try: who ends our connection may be the one that was given some of them
        self._tried = assigned = self.assigned
        for partition in self._epochs.keys() - assigned:
            del self._epochs[partition]
        missing = assigned - self._epochs.keys()
        self._epochs |= positions.take_partitions(
            connection, missing, self._holder, datetime.now(UTC)
        )
        if not self._epochs:
            return 0
        owned = Owned(dict(self._epochs), self._n_partitions)
        tracked = steps.track(connection, self._options, owned)
        fail_point("track.after_commit")
        return tracked.n_hashtags

    def close(self) -> None:
        """Lets go of the database."""
        self._database.close()


class Jobs:
    """What is done for the whole project now and then, by one of the workers that could: cascades
    that changed are judged, posts are compared with claims that were loaded after them, and when a
    day is over, what the tables say is written down.

    What it stores depends on what is stored, so it is no matter which worker does it, or how often.
    """

    def __init__(
        self,
        dsn: str,
        settings: Settings,
        scoring: CascadeScoring | None,
        matcher: ClaimMatcher,
        metrics: Metrics,
    ) -> None:
        self._database = _Database(dsn, JOBS_ROLE, settings, metrics)
        self._scoring = scoring
        self._matcher = matcher
        self._page = settings.batch_posts

    def __call__(self) -> None:
        """Does what there is to do, if nobody else does it now. Raises Unavailable, UsageError."""
        done = self._database.run(self._do, self._start)
        if done.total():
            log.info("jobs done", **done)

    def _start(self, connection: Connection) -> None:
        limit_waits(connection, 4 * IDLE_SECONDS)  # cascades are judged in the middle of it

    def _do(self, connection: Connection) -> Counter[str]:
        done: Counter[str] = Counter()
        with positions.jobs_lease(connection) as is_ours:
            if not is_ours:
                return done
            snapshot = history.take_snapshot(connection, datetime.now(UTC))
            if snapshot is not None:
                done["snapshot_rows"] = snapshot.n_changed
            if self._scoring is not None:
                judged = steps.score_cascades(connection, self._scoring)
                done.update({f"cascades_{state}": n for state, n in judged.items()})
            compared = steps.match_claims(connection, self._matcher, self._page)
            done.update({f"claims_{what}": n for what, n in compared.items()})
        return done

    def close(self) -> None:
        """Lets go of the database."""
        self._database.close()


def partitions_of(shards: Iterable[int], n_partitions: int) -> list[int]:
    """The partitions of topic activity that hold these shards.

    >>> partitions_of([3, 15, 4], 12)
    [3, 4]
    """
    return sorted({shard % n_partitions for shard in shards})
