"""One worker process: its threads, its logs, its end; and the small parent that starts it again."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from types import FrameType
from typing import Any, NoReturn, TypeVar

import mode
import structlog

from detectors.registry import load_detector
from storage.database import open_database
from streams.alerts.sending import sender_of
from streams.claims import ClaimMatcher
from streams.errors import Replaced, Unavailable, UsageError
from streams.local import cascade_scoring, track_options
from streams.metrics import Metrics, serve_metrics
from streams.records import NewerRecord
from streams.settings import Settings
from streams.topics import ACTIVITY, CLASSIFY, POSTS, TRACK, count_partitions
from streams.workers import Classifier, Jobs, Tracker

T = TypeVar("T")

ALERT, ALL = "alert", "all"
ROLES = (CLASSIFY, TRACK, ALERT, ALL)
#: How often alerts that wait are looked for.
ALERT_SECONDS = 2.0
#: So long the clients may take to say goodbye after an error; then the process ends as it is.
GOODBYE_SECONDS = 15.0
#: Pauses before a worker that ended is started again, and how many short lives in a row are enough.
FIRST_PAUSE_SECONDS, LAST_PAUSE_SECONDS = 0.5, 30.0
SHORT_LIFE_SECONDS = 60.0
SHORT_LIVES = 20
#: So soon a thread whose answer has come gets the interpreter from one that computes. A batch waits
#: for some sixty answers of the server, and Python's 5 ms for each would be as long as the batch.
SWITCH_SECONDS = 0.0005

OK, BUG, USAGE, DEPENDENCY_DOWN = 0, 1, 2, 3
log = structlog.get_logger()


def set_up_logs() -> None:
    """JSON lines on stderr, or for people if it is a terminal. Libraries are heard from WARNING."""
    shown: Any = (
        structlog.dev.ConsoleRenderer()
        if sys.stderr.isatty()
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            shown,
        ],
        # asked for anew each time: what is stderr now may be closed later
        logger_factory=lambda *_: structlog.WriteLogger(sys.stderr),
    )
    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s", stream=sys.stderr)


class Worker:
    """The roles of one process in one event loop, each with a thread of its own for its work."""

    def __init__(self, roles: Sequence[str], dsn: str, settings: Settings) -> None:
        self._dsn = dsn
        self._settings = settings
        self._loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self._loop)
        self._error: BaseException | None = None
        self._is_stopping = False
        self._metrics = Metrics("+".join(roles))
        self._closing: list[Callable[[], None]] = []
        make = {CLASSIFY: self._classify, TRACK: self._track, ALERT: self._alert}
        services = [make[role]() for role in roles]
        if TRACK in roles:
            services.append(self._jobs())
        self._worker = mode.Worker(
            *services,
            loop=self._loop,
            loglevel="WARNING",
            redirect_stdouts=False,
            override_logging=False,
            daemon=True,
        )

    def run(self) -> int:
        """Works until it is told to stop or something fails; returns the exit code."""
        host, port = self._settings.metrics_host, self._settings.metrics_port
        at = serve_metrics(self._metrics, host, port, lambda: self._error is None)
        log.info("worker started", role=self._metrics.role, metrics=at and f"{host}:{at}")
        try:
            self._worker.execute_from_commandline()
        except SystemExit:
            pass
        except BaseException as error:
            self._error = self._error or error
        finally:
            for close in self._closing:
                close()
        return exit_code(self._error)

    def _classify(self) -> Any:
        from streams.agents import classify_app

        settings = self._settings
        detector = load_detector(
            settings.detector,
            engine=settings.engine,
            encoder=settings.encoder,
            weights=settings.weights,
        )
        count_partitions(self._settings, POSTS)
        n = count_partitions(self._settings, ACTIVITY)
        work = Classifier(self._dsn, self._settings, detector, self._metrics)
        return classify_app(self._settings, work, self._in_thread(work.close), self._metrics, n)

    def _track(self) -> Any:
        from streams.agents import track_app

        n = count_partitions(self._settings, ACTIVITY)
        options = track_options(self._settings)
        work = Tracker(self._dsn, self._settings, options, n, self._metrics)
        return track_app(self._settings, work, self._in_thread(work.close), self._metrics)

    def _jobs(self) -> Any:
        scoring = cascade_scoring(self._settings)
        jobs = Jobs(self._dsn, self._settings, scoring, ClaimMatcher(), self._metrics)
        return _Repeated(jobs, self._in_thread(jobs.close), self._settings.job_seconds)

    def _alert(self) -> Any:
        sender = sender_of(self._dsn, self._settings)
        return _Repeated(sender, self._in_thread(sender.close), ALERT_SECONDS)

    def _in_thread(self, close: Callable[[], None]) -> Callable[[Callable[[], T]], Any]:
        """How a role has its work done: one thread, one call after the other; and how it lets go
        when the process ends well."""
        executor = ThreadPoolExecutor(1)

        def end() -> None:
            # the batch at hand is finished, unless something failed: then it is done again
            is_well = self._error is None
            executor.shutdown(wait=is_well, cancel_futures=True)
            if is_well:
                close()

        self._closing.append(end)

        async def in_thread(work: Callable[[], T]) -> T:
            try:
                return await self._loop.run_in_executor(executor, work)
            except Exception as error:
                self._fail(error)
                raise

        return in_thread

    def _fail(self, error: BaseException) -> None:
        """Nothing is acknowledged any more; the process ends, if need be without goodbyes."""
        if self._error is not None:
            return
        self._error = error
        code = exit_code(error)
        log.critical("worker ends", code=code, error=f"{type(error).__name__}: {error}")
        if code == BUG:
            log.critical("this is why", exc_info=error)

        def end() -> None:
            time.sleep(GOODBYE_SECONDS)
            os._exit(code)

        threading.Thread(target=end, name="goodbye", daemon=True).start()


class _Repeated(mode.Service):
    """A role that reads no topic: it does its work again and again, at once if it says that there
    may be more, else after a pause."""

    def __init__(
        self, work: Callable[[], int | None], in_thread: Any, pause_seconds: float
    ) -> None:
        self._work = work
        self._in_thread = in_thread
        self._pause_seconds = pause_seconds
        super().__init__()

    @mode.Service.task
    async def _go_on(self) -> None:
        while not self.should_stop:
            if not await self._in_thread(self._work):
                await self.sleep(self._pause_seconds)


def exit_code(error: BaseException | None) -> int:
    """Whose fault an end was."""
    if error is None:
        return OK
    if isinstance(error, UsageError):
        return USAGE
    # replaced is no fault: it is started again and becomes a member like any other
    return DEPENDENCY_DOWN if isinstance(error, Unavailable | NewerRecord | Replaced) else BUG


def work(role: str, settings: Settings) -> NoReturn:
    """One worker process to its end, with its exit code. Raises UsageError, Unavailable."""
    set_up_logs()
    sys.setswitchinterval(SWITCH_SECONDS)
    # rows are many and no part of a cycle: see local.rare_collections
    gc.set_threshold(50_000, 20, 20)
    roles = [CLASSIFY, TRACK, ALERT] if role == ALL else [role]
    with open_database(settings) as dsn:
        code = Worker(roles, dsn, settings).run()
        if code:
            _leave(code)
    _leave(code)


def _leave(code: int) -> NoReturn:
    """Threads of the clients may still be waiting for something: one that is told to end while it
    joins its group never comes back."""
    sys.stderr.flush()
    os._exit(code)


def keep_working(command: Sequence[str]) -> int:
    """Runs a worker as a child and starts it again when it ends, after a pause that doubles.

    Ends with the child's code when it was told to stop, when the fault is the user's, or after too
    many short lives in a row. A database or brokers that are away are waited for, however long.
    """
    stopping = threading.Event()
    child: subprocess.Popen[bytes] | None = None

    def stop(signum: int, frame: FrameType | None) -> None:
        stopping.set()
        if child is not None:
            with suppress(ProcessLookupError):
                child.send_signal(signal.SIGTERM)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    pause_seconds, short_lives = FIRST_PAUSE_SECONDS, 0
    while True:
        began = time.monotonic()
        child = subprocess.Popen(command, preexec_fn=_end_with_parent)
        if stopping.is_set():  # told while it was started: it does not know
            child.terminate()
        code = child.wait()
        if stopping.is_set():
            return max(code, 0)
        if code in (OK, USAGE):
            return code
        if time.monotonic() - began >= SHORT_LIFE_SECONDS:
            pause_seconds, short_lives = FIRST_PAUSE_SECONDS, 0
        elif code != DEPENDENCY_DOWN:
            short_lives += 1
        if short_lives >= SHORT_LIVES:
            log.critical("worker ended too often", times=short_lives, code=code)
            return code if code > 0 else BUG
        log.warning("worker ended and starts again", code=code, pause_seconds=pause_seconds)
        if stopping.wait(pause_seconds):
            return OK
        pause_seconds = min(2 * pause_seconds, LAST_PAUSE_SECONDS)


def _end_with_parent() -> None:
    """Has the kernel stop the child should the parent be killed."""
    if sys.platform == "linux":
        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGTERM)
