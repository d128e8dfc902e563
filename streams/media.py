"""The pictures of stored posts, fetched into a folder under the hash of their bytes.

A pass takes what is wanted, newest posts first; or what the posts of a batch want before they are
judged, in bounded time. Hosts are asked side by side and in turn, each a few pictures at a time
with a pause between; one that fails again and again is left for the next pass, so none holds up the
others. Bytes go to FOLDER/ab/abcd..., rows to `media_files`.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from itertools import count
from pathlib import Path
from queue import PriorityQueue, Queue
from threading import Event, Lock
from typing import NamedTuple
from urllib.parse import urlsplit

import structlog

from storage import media
from storage.database import Connection
from storage.media import MediaFile, Wanted
from streams.errors import UsageError
from streams.faults import fail_point
from streams.fetching import Failed, Fetched, FetchLimits, fetch
from streams.settings import Settings
from streams.sources.following import Backoff, Interrupted

#: Pictures that are fetched at a time, of all hosts.
MOST_AT_ONCE = 8
#: Tries of one picture in a pass, and pictures that a host may fail to give in a row.
TRIES, FAILURES_IN_A_ROW = 3, 3
#: Pictures stored together.
BATCH = 20
#: A host that failed so often is left alone so long by the batches that follow.
LEFT_ALONE_SECONDS = 300.0
#: What became of a picture that is there.
FETCHED = "fetched"
#: No time was left for it, or its host is left alone: it is for the next pass.
NOT_ASKED = "not asked"
#: The folder cannot be written.
NOT_STORED = "not stored"

Fetch = Callable[[str, FetchLimits], Fetched | Failed]
log = structlog.get_logger()


class Manners(NamedTuple):
    """How hosts are asked. `max_seconds` is of a whole pass, which ends when they are over; None:
    when all is done."""

    per_host: int = 2
    pause_seconds: float = 0.2
    max_seconds: float | None = None


MANNERS = Manners()


class Failing:
    """How often hosts failed in a row, from one pass to the next; forgotten after a while."""

    def __init__(self, left_alone_seconds: float = LEFT_ALONE_SECONDS) -> None:
        self._seconds = left_alone_seconds
        self._noted: dict[str, tuple[int, float]] = {}

    def __getitem__(self, name: str) -> int:
        n, at = self._noted.get(name, (0, 0.0))
        return n if time.monotonic() - at < self._seconds else 0

    def note(self, hosts: Iterable[_Host]) -> None:
        """What a pass found; and what is old is forgotten, so that strangers' hosts fill nothing.

        >>> failing = Failing()
        >>> failing.note([_Host("a.example", [], 0, n_failed=3)])
        >>> failing["a.example"], failing["b.example"]
        (3, 0)
        """
        now = time.monotonic()
        for host in hosts:
            if host.n_failed != self[host.name]:
                self._noted[host.name] = host.n_failed, now
        self._noted = {
            name: (n, at) for name, (n, at) in self._noted.items() if n and now - at < self._seconds
        }


@dataclass
class _Errand:
    """A picture to be asked for: how often it was, and why it did not come."""

    address: str
    backoff: Backoff
    n_tries: int = 0
    found: Failed | None = None


class _Host:
    """What is wanted of one host, and when it may be asked next."""

    def __init__(
        self, name: str, errands: Iterable[_Errand], pause_seconds: float, n_failed: int = 0
    ) -> None:
        self.name = name
        self.n_failed = n_failed
        self._waiting = deque(errands)
        self._pause_seconds = pause_seconds
        self._lock = Lock()
        self._next_at = 0.0

    def take(self) -> _Errand | None:
        """The next; None: there is none, or the host fails too often."""
        with self._lock:
            if self.n_failed >= FAILURES_IN_A_ROW or not self._waiting:
                return None
            return self._waiting.popleft()

    def put_back(self, errand: _Errand) -> None:
        """It is tried again before the others."""
        with self._lock:
            self._waiting.appendleft(errand)

    def turn(self) -> float:
        """Seconds until it may be asked; the one after is asked a pause later."""
        with self._lock:
            now = time.monotonic()
            at = max(now, self._next_at)
            self._next_at = at + self._pause_seconds
            return at - now

    def wait(self, seconds: float) -> None:
        """Nobody asks it for so long."""
        with self._lock:
            self._next_at = max(self._next_at, time.monotonic() + seconds)

    def note(self, found: Fetched | Failed) -> None:
        """Counts failures in a row that are the host's."""
        with self._lock:
            is_failing = isinstance(found, Failed) and found.is_passing
            self.n_failed = self.n_failed + 1 if is_failing else 0


def fetch_all(
    addresses: Sequence[str],
    limits: FetchLimits,
    manners: Manners = MANNERS,
    fetch: Fetch = fetch,
    backoff: Callable[[], Backoff] = Backoff,
    failing: Failing | None = None,
) -> Generator[tuple[str, Fetched | Failed]]:
    """What came of each address, as it comes. Those of hosts that fail again and again (in a pass
    before too, if `failing` is given), and those for which no time is left, are not among it.
    Memory: what `MOST_AT_ONCE` pictures take, twice.
    """
    known = Failing() if failing is None else failing
    by_host: dict[str, list[_Errand]] = {}
    for address in dict.fromkeys(addresses):
        by_host.setdefault(_host_of(address), []).append(_Errand(address, backoff()))
    hosts = [
        _Host(name, errands, manners.pause_seconds, known[name])
        for name, errands in by_host.items()
    ]
    results: Queue[tuple[str, Fetched | Failed] | BaseException | None] = Queue(MOST_AT_ONCE)
    lanes: PriorityQueue[tuple[bool, int, _Host]] = PriorityQueue()
    numbers = count()
    stop = Event()
    until = None if manners.max_seconds is None else time.monotonic() + manners.max_seconds

    def wait_for_turn(host: _Host, is_late: bool) -> None:
        lanes.put((is_late, next(numbers), host))
        threads.submit(take_turn)

    def take_turn() -> None:
        """One try of one picture, of a host that is well if one waits. A lane that is over says
        so by None."""
        try:
            host = lanes.get_nowait()[-1]
            errand = None if stop.is_set() else host.take()
            came = (
                None if errand is None else _try(errand.address, limits, host, fetch, stop, until)
            )
            if errand is None or came is None:
                if errand is not None and errand.found is not None:
                    host.note(errand.found)
                    results.put((errand.address, errand.found))
                results.put(None)
                return
            errand.n_tries += 1
            is_passing = isinstance(came, Failed) and came.is_passing
            if isinstance(came, Failed) and is_passing and errand.n_tries < TRIES:
                errand.found = came
                host.wait(errand.backoff.after(Interrupted(came.reason, came.wait_seconds)))
                host.put_back(errand)
            else:
                host.note(came)
                results.put((errand.address, came))
            wait_for_turn(host, is_passing)
        except BaseException as error:
            results.put(error)

    with ThreadPoolExecutor(MOST_AT_ONCE, thread_name_prefix="fetch") as threads:
        n_left = 0
        try:
            for number in range(manners.per_host):
                for host in hosts:
                    wait_for_turn(host, number > 0)  # each is tried once before any has two
                    n_left += 1
            while n_left:
                result = results.get()
                if isinstance(result, tuple):
                    yield result
                    continue
                n_left -= 1
                if result is not None:
                    raise result
        finally:
            stop.set()
            while n_left:  # let them end: each waits to hand over what it has
                n_left -= not isinstance(results.get(), tuple)
            known.note(hosts)


def _try(
    address: str,
    limits: FetchLimits,
    host: _Host,
    fetch: Fetch,
    stop: Event,
    until: float | None,
) -> Fetched | Failed | None:
    """None: there was no time left, or not enough to say that it is the host's fault."""
    wait = host.turn()
    if until is not None and time.monotonic() + wait >= until:
        return None
    if stop.wait(wait):
        return None
    if until is None:
        return _guarded(fetch, address, limits)
    seconds = max(until - time.monotonic(), 0.001)
    is_cut = seconds < limits.max_seconds
    came = _guarded(fetch, address, limits._replace(max_seconds=min(seconds, limits.max_seconds)))
    is_late = is_cut and time.monotonic() >= until
    return None if is_late and isinstance(came, Failed) and came.is_passing else came


def _guarded(fetch: Fetch, address: str, limits: FetchLimits) -> Fetched | Failed:
    """An address that a stranger wrote for an error of ours costs that picture, not the pass."""
    try:
        return fetch(address, limits)
    except Exception as error:
        return Failed(f"an error of ours ({type(error).__name__})", is_passing=True)


def _host_of(address: str) -> str:
    try:
        return urlsplit(address).netloc.casefold()
    except ValueError:
        return ""


def limits_of(settings: Settings) -> FetchLimits:
    """What the settings say."""
    return FetchLimits(
        settings.media_max_bytes, settings.media_seconds, settings.media_private_addresses
    )


def fetch_media(
    connection: Connection,
    settings: Settings,
    limit: int,
    max_seconds: float | None = None,
    watch: Callable[[int], None] = lambda n_pictures: None,
    fetch: Fetch = fetch,
    backoff: Callable[[], Backoff] = Backoff,
) -> Counter[str]:
    """One pass; returns how many pictures were fetched ("fetched"), and how many failed by reason.

    Stopped or killed anywhere, the next pass goes on. Raises OSError if the folder cannot be
    written.
    """
    wanted = media.read_wanted(connection, limit)
    addresses = [item.url for item in wanted]
    manners = Manners(settings.media_per_host, settings.media_pause_seconds, max_seconds)
    found = fetch_all(addresses, limits_of(settings), manners, fetch, backoff)
    return _store(connection, settings.pictures_folder(), wanted, found, watch)


class BatchPictures:
    """The pictures of one batch of posts after the other, each batch in at most
    `media_batch_seconds`: what is not there by then is for the next pass over all. A host that
    hangs holds a picture for half of them at most, and is left alone by the batches that follow.
    """

    def __init__(
        self, settings: Settings, fetch: Fetch = fetch, backoff: Callable[[], Backoff] = Backoff
    ) -> None:
        """Makes the folder. Raises UsageError if that cannot be."""
        self._folder = settings.pictures_folder()
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise unwritable(self._folder, error) from None
        seconds = settings.media_batch_seconds
        self._manners = Manners(settings.media_per_host, settings.media_pause_seconds, seconds)
        limits = limits_of(settings)
        self._limits = limits._replace(max_seconds=min(limits.max_seconds, seconds / 2))
        self._failing = Failing()
        self._fetch, self._backoff = fetch, backoff

    def __call__(self, connection: Connection, wanted: Sequence[Wanted]) -> Counter[str]:
        """Fetches what is wanted; returns how many pictures came to what. Opens a transaction only
        to store. A folder that cannot be written is logged: the batch goes on without."""
        if not wanted:
            return Counter()
        addresses = list(dict.fromkeys(item.url for item in wanted))
        found = fetch_all(
            addresses, self._limits, self._manners, self._fetch, self._backoff, self._failing
        )
        try:
            outcomes = _store(connection, self._folder, wanted, found)
        except OSError as error:
            log.error("pictures cannot be stored", why=str(unwritable(self._folder, error)))
            return Counter({NOT_STORED: len(addresses)})
        outcomes[NOT_ASKED] = len(addresses) - outcomes.total()
        return +outcomes


def unwritable(folder: Path, error: OSError) -> UsageError:
    """What to do about a folder of pictures that cannot be written."""
    return UsageError(
        f"{folder} cannot be written: {error.strerror or error}; set media_folder to a folder that "
        "can"
    )


def _store(
    connection: Connection,
    folder: Path,
    wanted: Sequence[Wanted],
    found: Generator[tuple[str, Fetched | Failed]],
    watch: Callable[[int], None] = lambda n_pictures: None,
) -> Counter[str]:
    """Keeps what comes, some pictures at a time; returns how many came to what. Raises OSError."""
    sweep(connection, folder)
    by_address: dict[str, list[Wanted]] = {}
    for item in wanted:
        by_address.setdefault(item.url, []).append(item)
    outcomes: Counter[str] = Counter()
    batch: list[tuple[str, Fetched | Failed]] = []
    with closing(found):
        for result in found:
            batch.append(result)
            outcomes[FETCHED if isinstance(result[1], Fetched) else result[1].reason] += 1
            watch(outcomes.total())
            if len(batch) >= BATCH:
                _keep(connection, folder, by_address, batch)
                batch = []
    _keep(connection, folder, by_address, batch)
    return outcomes


def _keep(
    connection: Connection,
    folder: Path,
    wanted: dict[str, list[Wanted]],
    batch: Sequence[tuple[str, Fetched | Failed]],
) -> None:
    now = datetime.now(UTC)
    files = {sha256(f.data).digest(): f.data for _, f in batch if isinstance(f, Fetched)}
    rows = [_row(item, found, now) for address, found in batch for item in wanted[address]]
    with media.with_files(connection):
        media.announce(connection, list(files))
        for digest, data in files.items():
            _write(path_of(folder, digest), data)
        if files:
            fail_point("media.after_file")
        media.save(connection, rows)


def _row(item: Wanted, found: Fetched | Failed, now: datetime) -> MediaFile:
    if isinstance(found, Failed):
        return MediaFile(*item, None, None, None, now, found.reason, found.is_passing)
    return MediaFile(*item, sha256(found.data).digest(), found.type, len(found.data), now)


def path_of(folder: Path, digest: bytes) -> Path:
    """Where a picture is.

    >>> path_of(Path("pictures"), bytes.fromhex("ab" * 32)).as_posix()[:20]
    'pictures/ab/abababab'
    """
    return folder / digest.hex()[:2] / digest.hex()


def find_picture(
    connection: Connection, folder: Path, platform: str, root_id: str, url: str
) -> Path | None:
    """The file of a content's picture; None: it was not fetched, or is gone."""
    digest = media.find(connection, platform, root_id, url)
    path = None if digest is None else path_of(folder, digest)
    return path if path is not None and path.is_file() else None


def sweep(connection: Connection, folder: Path) -> int:
    """Removes the files of what was forgotten, deleted or let go; returns how many."""

    def remove(digest: bytes) -> None:
        path = path_of(folder, digest)
        path.unlink(missing_ok=True)
        _part_of(path).unlink(missing_ok=True)

    return media.sweep(connection, remove)


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = _part_of(path)
    try:
        part.write_bytes(data)
        fail_point("media.before_rename")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)  # it is there only if that failed


def _part_of(path: Path) -> Path:
    """Where a file is while it is written: one process at a time does, see `media.with_files`."""
    return path.with_suffix(".part")
