"""The whole pipeline in one process: read, record, classify, judge and track, without a broker.

Three threads with bounded queues between them: one reads files, one stores batches, one scores and
stores verdicts. Every batch is one transaction, so a run that is killed leaves a consistent
database, and running the same command again brings the same tables as a run that was not.
"""

from __future__ import annotations

import gc
import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from threading import Event, Thread
from typing import Any, Protocol

from detectors.cascades import Checkpoints, load_cascade_detector
from detectors.detector import Detector
from detectors.fusion import read_fusion, shipped_fusion
from detectors.null import NullDetector
from detectors.posts import ReadsPosts
from storage import history, reads, recount, retention, tracking, writes
from storage.database import (
    RECORDED_TABLES,
    RECOUNTED_TABLES,
    Connection,
    add_statistics,
    connect,
    database_errors,
)
from storage.reprocessing import Candidate, read_active
from storage.tracking import NO_MARK, Mark
from streams import quarantine, steps
from streams.alerts.policies import read_policies
from streams.alerts.telling import sweep
from streams.channel import BrokenOff, Channel
from streams.claims import ClaimMatcher
from streams.clustering import TrackOptions
from streams.errors import Unavailable, UsageError
from streams.faults import fail_point
from streams.formats.registry import read_file, sniff_format, source_of
from streams.judging import Judging, judging_of
from streams.quarantine import Replayed
from streams.records import Content, Deletion, Problem, Reading
from streams.remap import Remapped, remap_payloads
from streams.settings import Settings
from streams.sources.registry import bring_up_to_date
from streams.sources.source import Sighting, Source
from streams.steps import Batch, CascadeScoring, Recorded


class Progress(Protocol):
    """Told what happens, for whoever watches. Called from several threads."""

    def file_started(self, path: Path, format: str) -> None:
        """The reader opened a file."""

    def recorded(self, n_records: int) -> None:
        """So many more records are stored."""

    def judged(self, n_contents: int) -> None:
        """So many more contents have a verdict."""

    def compared(self, n_contents: int) -> None:
        """So many more contents are compared with checked claims."""

    def tracking(self) -> None:
        """The tables are being recounted."""


class Quiet:
    """Progress that nobody watches."""

    def file_started(self, path: Path, format: str) -> None:
        """Nothing."""

    def recorded(self, n_records: int) -> None:
        """Nothing."""

    def judged(self, n_contents: int) -> None:
        """Nothing."""

    def compared(self, n_contents: int) -> None:
        """Nothing."""

    def tracking(self) -> None:
        """Nothing."""


@dataclass(frozen=True)
class InputFile:
    """A file to read, with its format."""

    path: Path
    format: str


@dataclass
class Unmapped:
    """Records of one source that could not be used: how many, and the first three."""

    n_records: int = 0
    first: list[Problem] = field(default_factory=list)


@dataclass
class RunResult:
    """What a run did. `outcomes` sums to `n_records`; `damaged` names files that break off;
    `ended` is why a source cannot go on."""

    run_id: int = 0
    n_records: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    not_posts: Counter[str] = field(default_factory=Counter)
    pictures: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)
    claims: Counter[str] = field(default_factory=Counter)
    cascades: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    damaged: list[Problem] = field(default_factory=list)
    unmapped: dict[str, Unmapped] = field(default_factory=dict)
    n_of_source: Counter[str] = field(default_factory=Counter)
    inputs: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0
    ended: UsageError | None = None


def check_inputs(paths: Sequence[Path], format: str | None = None) -> list[InputFile]:
    """Opens each file and finds its format before anything is read.

    Raises InputError with the first file that cannot be used.
    """
    found = []
    for path in paths:
        sniffed = sniff_format(path) if format is None else format
        if format is not None:
            with_format = read_file(path, format)
            next(with_format, None)
        found.append(InputFile(path, sniffed))
    return found


def track_options(settings: Settings) -> TrackOptions:
    """The settings that decide how clusters are made."""
    return TrackOptions(
        window_hours=settings.window_hours,
        window_step_hours=settings.window_step_hours,
        cluster_min_users=settings.cluster_min_users,
        stability_runs=settings.stability_runs,
        seed=settings.seed,
    )


def cascade_scoring(settings: Settings) -> CascadeScoring | None:
    """How cascades are judged, None if they are not. Raises UnknownDetector, BrokenWeights."""
    if settings.cascade_detector == "none":
        return None
    detector = load_cascade_detector(settings.cascade_detector)
    return CascadeScoring(
        detector,
        read_fusion(shipped_fusion(detector.name)),
        Checkpoints(settings.cascade_min_shares),
    )


def run(
    dsn: str,
    inputs: Sequence[InputFile],
    detector: Detector,
    settings: Settings,
    progress: Progress | None = None,
) -> RunResult:
    """Reads the files into the database and brings every table up to date.

    Raises Unavailable if the database goes away; what was stored stays, and the same call again
    completes it.
    """
    result = RunResult()
    watcher = progress or Quiet()
    batches = _batches_of_files(inputs, settings, watcher, result)
    return _run(dsn, batches, None, detector, settings, watcher, result)


def follow(
    dsn: str,
    source: Source,
    detector: Detector,
    settings: Settings,
    stop: Event,
    progress: Progress | None = None,
) -> RunResult:
    """Reads a live source into the database, from where it was left, until it ends or `stop` is
    set; tables, claims and alerts are brought up to date every `track_seconds`.

    Its mark is stored in the transaction of the posts that it stands for. Raises as `run`, and
    the source's UsageError when all that came before it is stored.
    """
    result = RunResult()
    with database_errors(dsn), connect(dsn) as connection:
        cursor = tracking.read_cursor(connection, source.name)
    batches = _batches_of_source(source, cursor, settings, stop, result)
    _run(dsn, batches, source, detector, settings, progress or Quiet(), result)
    if result.ended is not None:
        raise result.ended
    return result


def _run(
    dsn: str,
    batches: Iterator[Marked],
    source: Source | None,
    detector: Detector,
    settings: Settings,
    watcher: Progress,
    result: RunResult,
) -> RunResult:
    # what is wrong with these is said before anything is read
    scoring, policies = cascade_scoring(settings), read_policies(settings.alert_policies)
    judging = judging_of(detector, settings, of_new=True)
    began = time.monotonic()
    with _session(dsn, detector, settings) as connection:
        manifest = _manifest(detector, settings)
        result.run_id = writes.start_run(connection, manifest, datetime.now(UTC))
        writes.commit_later(connection)
        matcher = ClaimMatcher()

        def refresh() -> None:
            history.take_snapshot(connection, datetime.now(UTC))
            steps.track(connection, track_options(settings))
            if source is not None:  # it may go on for weeks
                bring_up_to_date(source, connection)
                result.claims.update(steps.match_claims(connection, matcher, settings.batch_posts))
                sweep(connection, policies, datetime.now(UTC))

        pipeline = _Pipeline(dsn, batches, source, detector, judging, settings, watcher, result)
        pipeline.run(refresh)
        result.verdicts += _judge_leftovers(connection, detector, judging, settings, watcher)
        result.claims.update(
            steps.match_claims(connection, matcher, settings.batch_posts, watcher.compared)
        )
        watcher.tracking()
        with ThreadPoolExecutor(1) as beside:
            statistics = beside.submit(_add_statistics, dsn)
            steps.track(connection, track_options(settings))
            if scoring is not None:
                result.cascades += steps.score_cascades(connection, scoring)
            statistics.result()
        add_statistics(connection, RECOUNTED_TABLES)
        sweep(connection, policies, datetime.now(UTC))
        result.seconds = time.monotonic() - began
        manifest |= _counts(result)
        writes.commit_at_once(connection)  # and so everything before it
        writes.finish_run(connection, result.run_id, manifest, datetime.now(UTC))
    return result


def remap(
    dsn: str,
    detector: Detector,
    settings: Settings,
    format: str | None = None,
    watch: Callable[[int], None] = lambda n_raw: None,
) -> tuple[Remapped, Counter[str]]:
    """Maps stored raw records again (`streams.remap`) and brings every table up to date; also
    returns how many contents were judged for it. detector: the one that counts."""
    key = settings.tombstone_key.get_secret_value()
    with _upkeep(dsn, detector, settings) as connection:
        result = remap_payloads(connection, datetime.now(UTC), key, format, watch)
        return result, _catch_up(connection, detector, settings)


def replay(
    dsn: str,
    detector: Detector,
    settings: Settings,
    ids: Sequence[str] | None = None,
    source: str | None = None,
    reason: str | None = None,
) -> Replayed:
    """Tries quarantined records again (`streams.quarantine`) and brings every table up to date.
    detector: the one that counts."""
    key = settings.tombstone_key.get_secret_value()
    with _upkeep(dsn, detector, settings) as connection:
        result = quarantine.replay(
            connection, detector, datetime.now(UTC), key, ids, source, reason
        )
        _catch_up(connection, detector, settings)
        return result


def forget(dsn: str, deletion: Deletion, detector: Detector | None, settings: Settings) -> None:
    """Applies a deletion as if its platform had sent it, and brings every table up to date.
    detector: the one that counts; None: it is not here, and texts that others tell differently wait
    for the next run."""
    now = datetime.now(UTC)
    with _upkeep(dsn, detector, settings) as connection:
        batch = steps.prepare([deletion], now)
        key = settings.tombstone_key.get_secret_value()
        steps.record(connection, batch, detector or NullDetector(), key)
        _catch_up(connection, detector, settings)


def judge_beside(
    dsn: str,
    detector: Detector,
    settings: Settings,
    since: datetime | None = None,
    until: datetime | None = None,
    watch: Callable[[int], None] = lambda n_contents: None,
) -> Counter[str]:
    """Has another detector judge what it has not seen yet (of a period: contents with a post in
    it); whose verdicts count stays as it is. A page is one transaction: killed in the middle, the
    next call does the rest. `watch` is told after each page how many contents it had."""
    verdicts: Counter[str] = Counter()
    with database_errors(dsn), _working_connection(dsn) as connection:
        judging = judging_of(detector, settings)
        pages = reads.read_pending(
            connection,
            detector.name,
            detector.version,
            settings.batch_posts,
            since,
            until,
            also_judged=isinstance(detector, ReadsPosts),
        )
        for contents in pages:
            judged = judging(connection, contents)
            verdicts += steps.judge(connection, judged, datetime.now(UTC), beside=True)
            watch(len(contents))
            fail_point("reprocess.after_page")
    return verdicts


def candidate_of(detector: Detector, settings: Settings) -> Candidate:
    """The policy by which this detector's verdicts would count."""
    threshold = detector.threshold if settings.threshold is None else settings.threshold
    return Candidate(detector.name, detector.version, threshold, settings.abstain_below)


def adopt(dsn: str, detector: Detector, settings: Settings) -> bool:
    """Has the verdicts of this detector count, and brings every table up to date; whether that is
    new. Killed in the middle, the next call does the rest."""
    with database_errors(dsn), _counting_connection(dsn) as connection:
        is_new = writes.activate_policy(
            connection, *candidate_of(detector, settings), datetime.now(UTC)
        )
        _catch_up(connection, detector, settings)
    return is_new


#: So often is counted what waits for it, before new posts of old days are too many to be caught up
#: with.
_CATCH_UPS = 10


def keep_from(
    dsn: str,
    floor: datetime,
    settings: Settings,
    watch: Callable[[int], None] = lambda n_posts: None,
) -> int:
    """Keeps posts from this start of a UTC day on: counts what waits, takes nothing older from then
    on, and removes what is wholly older; returns how many posts went. Killed in the middle, the
    next call does the rest. `watch` is told how many went so far. Raises Unavailable if others
    bring old posts faster than they are counted."""
    with database_errors(dsn), _counting_connection(dsn) as connection:
        for _ in range(_CATCH_UPS):
            steps.track(connection, track_options(settings), keeps_windows=True)
            if retention.raise_floor(connection, floor, datetime.now(UTC)):
                return retention.remove_outdated(connection, lambda: datetime.now(UTC), watch)
    raise Unavailable(
        "posts of days before come in faster than they are counted; stop what reads them and try "
        "again"
    )


def count_again(dsn: str, settings: Settings) -> None:
    """Counts anew what is dirty, as after labels of people, and tells alerts anew."""
    policies = read_policies(settings.alert_policies)
    with database_errors(dsn), _counting_connection(dsn) as connection:
        steps.track(connection, track_options(settings), keeps_windows=True)
        sweep(connection, policies, datetime.now(UTC))


def _catch_up(
    connection: Connection, detector: Detector | None, settings: Settings
) -> Counter[str]:
    """Judges what has no verdict, compares it with claims and recounts what is dirty."""
    scoring, policies = cascade_scoring(settings), read_policies(settings.alert_policies)
    verdicts: Counter[str] = Counter()
    if detector is not None:
        judging = judging_of(detector, settings)
        verdicts = _judge_leftovers(connection, detector, judging, settings, Quiet())
    steps.match_claims(connection, ClaimMatcher(), settings.batch_posts)
    steps.track(connection, track_options(settings), keeps_windows=True)
    if scoring is not None:
        steps.score_cascades(connection, scoring)
    sweep(connection, policies, datetime.now(UTC))
    return verdicts


@contextmanager
def _session(dsn: str, detector: Detector, settings: Settings) -> Iterator[Connection]:
    """A working connection to a project in which the verdicts of this detector count."""
    with database_errors(dsn), rare_collections(), _counting_connection(dsn) as connection:
        writes.activate_policy(connection, *candidate_of(detector, settings), datetime.now(UTC))
        yield connection


@contextmanager
def _upkeep(dsn: str, detector: Detector | None, settings: Settings) -> Iterator[Connection]:
    """A working connection to a project in which whose verdicts count stays as it is."""
    with database_errors(dsn), rare_collections(), _counting_connection(dsn) as connection:
        if detector is not None and read_active(connection) is None:
            writes.activate_policy(connection, *candidate_of(detector, settings), datetime.now(UTC))
        yield connection


def _add_statistics(dsn: str) -> None:
    with connect(dsn) as connection:
        add_statistics(connection, RECORDED_TABLES)


@contextmanager
def rare_collections() -> Iterator[None]:
    """Inside, Python looks for reference cycles when there are 500,000 containers more, not 700.

    Rows are tuples by the hundred thousand and none is part of a cycle: a look takes milliseconds
    and finds nothing (measured: a tenth of the time of a run, 4 % of it still at 50,000).
    """
    usual = gc.get_threshold()
    gc.set_threshold(500_000, 20, 20)
    try:
        yield
    finally:
        gc.set_threshold(*usual)


@contextmanager
def _working_connection(dsn: str) -> Iterator[Connection]:
    with connect(dsn) as connection:
        writes.prepare(connection)
        recount.prepare(connection)
        yield connection


@contextmanager
def _counting_connection(dsn: str) -> Iterator[Connection]:
    """A working connection of who will count: what was believed of the days that are over is
    written down first."""
    with _working_connection(dsn) as connection:
        history.take_snapshot(connection, datetime.now(UTC))
        yield connection


#: A batch, and how far its source was followed with it.
Marked = tuple[Batch, Mark]


def _batches_of_files(
    inputs: Sequence[InputFile], settings: Settings, progress: Progress, result: RunResult
) -> Iterator[Marked]:
    batch: list[Reading] = []
    for file in inputs:
        progress.file_started(file.path, file.format)
        n_records = 0
        for reading in read_file(file.path, file.format):
            n_records += 1
            batch.append(reading)
            if len(batch) >= settings.batch_posts:
                yield steps.prepare(batch, datetime.now(UTC)), NO_MARK
                batch = []
        result.inputs.append(_describe(file, n_records))
        result.n_of_source[source_of(file.path, file.format)] += n_records
    if batch:
        yield steps.prepare(batch, datetime.now(UTC)), NO_MARK


def _until_refused(sightings: Iterator[Sighting], result: RunResult) -> Iterator[Sighting]:
    """What comes before a source says that somebody must do something: it may have cost money."""
    try:
        yield from sightings
    except UsageError as error:
        result.ended = error


def _batches_of_source(
    source: Source, cursor: str | None, settings: Settings, stop: Event, result: RunResult
) -> Iterator[Marked]:
    """A batch when it is full, or when its first sighting has waited `live_seconds`."""
    batch: list[Reading] = []
    mark = NO_MARK
    n_records = 0
    due = time.monotonic() + settings.live_seconds
    for reading, reached in _until_refused(source.posts(cursor), result):
        mark = mark.then(reached)
        if reading is not None:
            batch.append(reading)
            n_records += 1
        now = time.monotonic()
        if len(batch) >= settings.batch_posts or now >= due or stop.is_set():
            if batch or mark != NO_MARK:
                yield steps.prepare(batch, datetime.now(UTC)), mark
            batch, mark = [], NO_MARK
            due = now + settings.live_seconds
        if stop.is_set():
            break
    if batch or mark != NO_MARK:
        yield steps.prepare(batch, datetime.now(UTC)), mark
    result.inputs.append({"source": source.name, "after": cursor, "records": n_records})


class _Pipeline:
    """The threads of one run. The main thread watches, recounts now and then, and reports."""

    def __init__(
        self,
        dsn: str,
        batches: Iterator[Marked],
        source: Source | None,
        detector: Detector,
        judging: Judging,
        settings: Settings,
        progress: Progress,
        result: RunResult,
    ) -> None:
        self._dsn = dsn
        self._batches = batches
        self._source = source
        self._detector = detector
        self._judging = judging
        self._settings = settings
        self._progress = progress
        self._result = result
        self._read: Channel[Marked] = Channel(settings.queue_batches)
        self._pending: Channel[list[Content]] = Channel(settings.queue_batches)
        self._failures: list[BaseException] = []

    def run(self, refresh: Callable[[], None]) -> None:
        threads = [
            Thread(target=self._guarded, args=(step,), name=step.__name__.strip("_"), daemon=True)
            for step in (self._read_batches, self._record_batches, self._judge_contents)
        ]
        for thread in threads:
            thread.start()
        try:
            self._watch(threads, refresh)
        except BaseException:
            self._break_off()
            raise
        finally:
            for thread in threads:
                thread.join()
        if self._failures:
            raise self._failures[0]

    def _watch(self, threads: Sequence[Thread], refresh: Callable[[], None]) -> None:
        next_track = time.monotonic() + self._settings.track_seconds
        while any(thread.is_alive() for thread in threads):
            threads[-1].join(0.05)
            if time.monotonic() >= next_track and not self._failures:
                refresh()
                # a recount may take longer than the pause: leave the steps as much time as it took
                next_track = time.monotonic() + self._settings.track_seconds

    def _guarded(self, step: Callable[[], None]) -> None:
        try:
            step()
        except BrokenOff:
            pass
        except BaseException as error:
            self._failures.append(error)
            self._break_off()

    def _break_off(self) -> None:
        self._read.break_off()
        self._pending.break_off()

    def _read_batches(self) -> None:
        for batch in self._batches:
            self._read.put(batch)
        self._read.close()

    def _record_batches(self) -> None:
        result = self._result
        with _working_connection(self._dsn) as connection:
            writes.commit_later(connection)
            for batch, mark in self._read:
                recorded = self._record(connection, batch, mark)
                n_records = len(batch.readings)
                result.n_records += n_records
                result.outcomes += recorded.outcomes
                result.not_posts += recorded.not_posts
                for problem in recorded.problems:
                    result.reasons[problem.reason] += 1
                    if problem.reason.startswith("file_damaged"):
                        result.damaged.append(problem)
                    unmapped = result.unmapped.setdefault(problem.source, Unmapped())
                    unmapped.n_records += 1
                    if len(unmapped.first) < 3:
                        unmapped.first.append(problem)
                self._progress.recorded(n_records)
                if recorded.pending:
                    self._pending.put(recorded.pending)
        self._pending.close()

    def _record(self, connection: Connection, batch: Batch, mark: Mark) -> Recorded:
        key = self._settings.tombstone_key.get_secret_value()
        if self._source is None:
            return steps.record(connection, batch, self._detector, key)
        with connection.transaction(), connection.cursor() as cursor:
            recorded = Recorded()
            if batch.readings:
                recorded = steps.record(connection, batch, self._detector, key)
            tracking.save_mark(cursor, self._source.name, mark, datetime.now(UTC))
            fail_point("live.before_commit")
        fail_point("live.after_commit")
        return recorded

    def _judge_contents(self) -> None:
        with _working_connection(self._dsn) as connection:
            writes.commit_later(connection)
            for contents in self._pending:
                self._result.pictures += self._judging.fetch(connection, contents)
                verdicts = self._judging(connection, contents)
                self._result.verdicts += steps.judge(connection, verdicts, datetime.now(UTC))
                self._progress.judged(len(verdicts))


def _judge_leftovers(
    connection: Connection,
    detector: Detector,
    judging: Judging,
    settings: Settings,
    progress: Progress,
) -> Counter[str]:
    """What an earlier run was killed over, what a new detector has not seen yet, or what it reads
    beside words and is another by now: counters, accounts, pictures that came later."""
    pages: Iterator[list[Content]] = reads.read_pending(
        connection,
        detector.name,
        detector.version,
        settings.batch_posts,
        also_judged=isinstance(detector, ReadsPosts),
    )
    counts: Counter[str] = Counter()
    for contents in pages:
        verdicts = judging(connection, contents)
        counts += steps.judge(connection, verdicts, datetime.now(UTC))
        progress.judged(len(verdicts))
    return counts


def _describe(file: InputFile, n_records: int) -> dict[str, Any]:
    with file.path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return {
        "file": file.path.name,
        "format": file.format,
        "bytes": file.path.stat().st_size,
        "sha256": digest,
        "records": n_records,
    }


def _manifest(detector: Detector, settings: Settings) -> dict[str, Any]:
    shown = settings.model_dump(mode="json", exclude={"database", "tombstone_key", "home"})
    return {
        "hoaxwatch": version("hoaxwatch"),
        "detector": {"name": detector.name, "version": detector.version},
        "settings": shown,
    }


def _counts(result: RunResult) -> dict[str, Any]:
    return {
        "inputs": result.inputs,
        "records": result.n_records,
        "outcomes": dict(sorted(result.outcomes.items())),
        "not_posts": dict(sorted(result.not_posts.items())),
        "pictures": dict(sorted(result.pictures.items())),
        "verdicts": dict(sorted(result.verdicts.items())),
        "claims": dict(sorted(result.claims.items())),
        "cascades": dict(sorted(result.cascades.items())),
        "problems": dict(result.reasons.most_common(20)),
        "seconds": round(result.seconds, 3),
    }
