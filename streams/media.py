"""The pictures of stored posts, fetched into a folder under the hash of their bytes.

A pass takes what is wanted, newest posts first. Hosts are asked side by side, each a few pictures
at a time with a pause between; one that fails again and again is left for the next pass, so none
holds up the others. Bytes go to FOLDER/ab/abcd..., rows to `media_files`.
"""

from __future__ import annotations

import os
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from queue import Queue
from threading import Event, Lock
from typing import NamedTuple
from urllib.parse import urlsplit

from storage import media
from storage.database import Connection
from storage.media import MediaFile, Wanted
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

Fetch = Callable[[str, FetchLimits], Fetched | Failed]


class Manners(NamedTuple):
    """How hosts are asked. `max_seconds` is of a whole pass; None: until all is done."""

    per_host: int = 2
    pause_seconds: float = 0.2
    max_seconds: float | None = None


MANNERS = Manners()


class _Host:
    """What is wanted of one host, and when it may be asked next."""

    def __init__(self, addresses: Sequence[str], pause_seconds: float) -> None:
        self._waiting = deque(addresses)
        self._pause_seconds = pause_seconds
        self._lock = Lock()
        self._next_at = 0.0
        self._n_failed = 0

    def take(self) -> str | None:
        """The next address; None: there is none, or the host fails too often."""
        with self._lock:
            if self._n_failed >= FAILURES_IN_A_ROW or not self._waiting:
                return None
            return self._waiting.popleft()

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
            self._n_failed = self._n_failed + 1 if is_failing else 0


def fetch_all(
    addresses: Sequence[str],
    limits: FetchLimits,
    manners: Manners = MANNERS,
    fetch: Fetch = fetch,
    backoff: Callable[[], Backoff] = Backoff,
) -> Iterator[tuple[str, Fetched | Failed]]:
    """What came of each address, as it comes. Those of hosts that fail again and again, and those
    for which no time is left, are not among it. Memory: what `MOST_AT_ONCE` pictures take, twice.
    """
    by_host: dict[str, list[str]] = {}
    for address in dict.fromkeys(addresses):
        by_host.setdefault(_host_of(address), []).append(address)
    hosts = [_Host(found, manners.pause_seconds) for found in by_host.values()]
    results: Queue[tuple[str, Fetched | Failed] | None] = Queue(MOST_AT_ONCE)
    stop = Event()
    until = None if manners.max_seconds is None else time.monotonic() + manners.max_seconds

    def lane(host: _Host) -> None:
        try:
            while not stop.is_set() and (address := host.take()) is not None:
                found = _patiently(address, limits, host, fetch, backoff(), stop, until)
                if found is not None:
                    host.note(found)
                    results.put((address, found))
        finally:
            results.put(None)

    with ThreadPoolExecutor(MOST_AT_ONCE) as threads:
        lanes = [threads.submit(lane, host) for host in hosts for _ in range(manners.per_host)]
        n_left = len(lanes)
        try:
            while n_left:
                result = results.get()
                if result is None:
                    n_left -= 1
                else:
                    yield result
        finally:
            stop.set()
            while n_left:  # let them end: each waits to hand over what it has
                n_left -= results.get() is None
    for done in lanes:
        done.result()


def _patiently(
    address: str,
    limits: FetchLimits,
    host: _Host,
    fetch: Fetch,
    backoff: Backoff,
    stop: Event,
    until: float | None,
) -> Fetched | Failed | None:
    """None: there was no time left."""
    found: Fetched | Failed | None = None
    for _ in range(TRIES):
        wait = host.turn()
        if until is not None and time.monotonic() + wait >= until:
            break
        if stop.wait(wait):
            break
        found = fetch(address, limits)
        if isinstance(found, Fetched) or not found.is_passing:
            break
        host.wait(backoff.after(Interrupted(found.reason, found.wait_seconds)))
    return found


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
    folder = settings.pictures_folder()
    sweep(connection, folder)
    wanted: dict[str, list[Wanted]] = {}
    for item in media.read_wanted(connection, limit):
        wanted.setdefault(item.url, []).append(item)
    manners = Manners(settings.media_per_host, settings.media_pause_seconds, max_seconds)
    outcomes: Counter[str] = Counter()
    batch: list[tuple[str, Fetched | Failed]] = []
    found = fetch_all(list(wanted), limits_of(settings), manners, fetch, backoff)
    for result in found:
        batch.append(result)
        outcomes["fetched" if isinstance(result[1], Fetched) else result[1].reason] += 1
        watch(outcomes.total())
        if len(batch) >= BATCH:
            _keep(connection, folder, wanted, batch)
            batch = []
    _keep(connection, folder, wanted, batch)
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
    return media.sweep(connection, lambda digest: path_of(folder, digest).unlink(missing_ok=True))


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}")
    part.write_bytes(data)
    part.replace(path)
