"""What every stream needs: waiting longer after each failure, and telling what it covered."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from storage.tracking import Mark, Pull
from streams.sources.keeping import Keeping
from streams.sources.source import TICK_SECONDS, Sighting

FIRST_WAIT_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 64.0


class Interrupted(Exception):
    """A connection failed or ended: try again, at the earliest after `wait_seconds` if given."""

    def __init__(self, reason: str, wait_seconds: float | None = None) -> None:
        super().__init__(reason)
        self.wait_seconds = wait_seconds


class Backoff:
    """How long to wait after the next failure: twice as long each time, at least what was asked.

    >>> backoff = Backoff()
    >>> [backoff.after(Interrupted("x")) for _ in range(3)], backoff.after(Interrupted("x", 9))
    ([1.0, 2.0, 4.0], 9)
    """

    def __init__(self, first_seconds: float = FIRST_WAIT_SECONDS) -> None:
        self._first = self._next = first_seconds

    def after(self, failure: Interrupted) -> float:
        """The wait after this failure (seconds)."""
        wait, self._next = self._next, min(2 * self._next, LONGEST_WAIT_SECONDS)
        return max(wait, failure.wait_seconds or 0.0)

    def reset(self) -> None:
        """It went well."""
        self._next = self._first


def ticks(seconds: float, sleep: Callable[[float], None] = time.sleep) -> Iterator[Sighting]:
    """Waits, with an empty sighting at least every TICK_SECONDS.

    >>> waited = []
    >>> len(list(ticks(2.5, waited.append))), waited
    (3, [1.0, 1.0, 0.5])
    """
    while seconds > 0:
        sleep(min(seconds, TICK_SECONDS))
        seconds -= TICK_SECONDS
        yield Sighting(None)


def retry_after(headers_value: str | None) -> float | None:
    """Seconds that a Retry-After header asks for; None if it names none.

    >>> retry_after("7"), retry_after("soon"), retry_after(None)
    (7.0, None, None)
    """
    try:
        return min(max(float(headers_value or ""), 0.0), 3600.0)
    except ValueError:
        return None


class Stretch:
    """One connection of a stream: from when to when it gave everything, per tracked hashtag.

    A hashtag that is tracked later is covered from then on.
    """

    def __init__(self, source: str, keeping: Keeping, began: datetime) -> None:
        self._source, self._keeping = source, keeping
        self._name = began.isoformat()
        self._before = keeping.got.copy()
        self._from: dict[str, datetime] = {}

    def pulls(
        self, since: datetime, until: datetime, without: frozenset[str] = frozenset()
    ) -> tuple[Pull, ...]:
        """What was covered of each hashtag, if the connection covers from `since` to `until`;
        nothing of those it is `without`."""
        first = not self._from
        covered = self._keeping.hashtags - without
        for tag in covered - self._from.keys():
            self._from[tag] = since if first else until
        return tuple(
            Pull(
                self._source,
                tag,
                self._name,
                self._from[tag],
                max(until, self._from[tag]),
                got=self._keeping.got[tag] - self._before[tag],
            )
            for tag in sorted(covered)
        )


class Outage:
    """A time without a connection: one row per hashtag, with the latest reason."""

    def __init__(self, source: str, keeping: Keeping) -> None:
        self._source, self._keeping = source, keeping
        self._began: datetime | None = None

    def mark(self, reason: str, at: datetime | None) -> Mark:
        """What is stored of it. `at` is how far the stream was followed (None: not at all)."""
        self._began = self._began or datetime.now(UTC)
        moment = at or self._began
        return Mark(
            pulls=tuple(
                Pull(
                    self._source,
                    tag,
                    f"failed {self._began.isoformat()}",
                    moment,
                    moment,
                    error=reason,
                )
                for tag in sorted(self._keeping.hashtags)
            )
        )

    def ends(self) -> None:
        """There is a connection again."""
        self._began = None
