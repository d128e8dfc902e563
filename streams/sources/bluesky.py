"""Bluesky live: everything that is posted and shared, by Jetstream; no key is needed.

The stream gives the whole network; `streams.sources.keeping` says what of it is kept. Its cursor is
the time of the latest event (microseconds). After each interruption the stream is read again from a
little before it: events may have come out of order. What comes twice is stored once.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from datetime import UTC, datetime
from urllib.parse import quote, urlencode

from storage.tracking import NO_MARK, Mark, Tracked
from streams.formats.bluesky import POST, REPOST, parse_record
from streams.formats.json_records import Json, object_of, parse_json, text_of
from streams.records import Reading
from streams.settings import Settings
from streams.sources.following import Backoff, Interrupted, Outage, Stretch, ticks
from streams.sources.keeping import WAIT_SECONDS, Keeping
from streams.sources.sockets import connected, receive
from streams.sources.source import TICK_SECONDS, Say, Sighting

NAME = "bluesky"
DESCRIPTION = "Bluesky, all that is posted with tracked hashtags, and its reposts; no key needed"

#: So long before its cursor the stream is read again (microseconds): longer than anything waits.
REWIND_US = int((WAIT_SECONDS + 5) * 1_000_000)
#: A clock that is ahead by so much is wrong, and no cursor (microseconds).
AHEAD_US = 60_000_000
#: If so many events in a row are ahead, it is our clock that is wrong.
MANY_AHEAD = 100
#: The whole network is never silent so long before the first event (seconds): what is missing then
#: is not kept there any more.
GAP_SECONDS = 60.0


def open_source(settings: Settings, keeping: Keeping, say: Say) -> Bluesky:
    """The source, not connected yet."""
    return Bluesky(settings.bluesky_url, settings.source_silence_seconds, keeping, say)


class Bluesky:
    """A Jetstream, followed through whatever it does."""

    name = NAME

    def __init__(
        self,
        url: str,
        silence_seconds: float,
        keeping: Keeping,
        say: Say,
        backoff: Backoff | None = None,
    ) -> None:
        self._url = url
        self._silence_seconds = silence_seconds
        self._keeping = keeping
        self._say = say
        self._backoff = backoff or Backoff()
        self._outage = Outage(NAME, keeping)
        self._stretch: Stretch | None = None
        self._since: datetime | None = None
        self._at_us = self._resumed_us = self._first_us = 0
        self._account: str | None = None
        self._is_change = False
        self._told_unreadable = self._n_ahead = 0

    def track(self, hashtags: Sequence[Tracked]) -> None:
        """From now on these."""
        self._keeping.track(hashtags)

    def greet(self, cursor: str | None) -> Generator[Sighting, None, str]:
        """Whether events come."""
        began = time.monotonic()
        with connected(self._address(), "bluesky_url", "Jetstream") as socket:
            while receive(socket) is None:
                yield Sighting(None)
                if time.monotonic() - began > self._silence_seconds:
                    raise Interrupted(f"silent for {self._silence_seconds:g} s")
        return f"{self._url} streams events"

    def posts(self, cursor: str | None) -> Iterator[Sighting]:
        """Never ends by itself. Raises UsageError if the host says that it will not serve us."""
        self._at_us = int(cursor) if cursor else 0
        while True:
            try:
                yield from self._connection()
            except Interrupted as failure:
                wait = self._backoff.after(failure)
                self._say(f"bluesky: {failure}; again in {wait:.0f} s")
                failed = self._outage.mark(str(failure), self._followed_until())
                yield Sighting(None, self._covered().then(failed))
                yield from ticks(wait)

    def _connection(self) -> Iterator[Sighting]:
        """What one connection gives; ends with Interrupted."""
        self._stretch, self._since, self._resumed_us = None, None, self._at_us
        with connected(self._address(), "bluesky_url", "Jetstream") as socket:
            self._stretch = Stretch(NAME, self._keeping, datetime.now(UTC))
            heard_at = ticked_at = time.monotonic()
            while True:
                message = receive(socket)
                now = time.monotonic()
                if message is not None:
                    heard_at = now
                    yield from self._kept_of(message)
                elif now - heard_at > self._silence_seconds:
                    raise Interrupted(f"silent for {self._silence_seconds:g} s")
                if now - ticked_at >= TICK_SECONDS:
                    ticked_at = now
                    yield Sighting(None, self._covered())

    def _covered(self) -> Mark:
        """How far the stream was followed, once this connection gave something new.

        Cursor and coverage move together, a few times a second at most: a process that dies
        between reads its latest events again.
        """
        until = self._followed_until()
        if self._stretch is None or until is None or self._at_us == self._resumed_us:
            return NO_MARK
        if self._since is None:
            self._since = _begin(self._resumed_us, self._first_us)
            self._outage.ends()
            self._backoff.reset()
        return Mark(str(self._at_us), self._stretch.pulls(self._since, until))

    def _kept_of(self, message: bytes) -> Iterator[Sighting]:
        self._account, self._is_change = None, False  # a broken event is nobody's
        for reading in parse_json(message, f"{NAME}:jetstream", "event", self._parse):
            at = self._at_us / 1_000_000
            taken = self._keeping.take(reading, at, self._account, is_change=self._is_change)
            for kept in taken:
                yield Sighting(kept, Mark(kept=self._keeping.take_new()))
        n_unreadable = self._keeping.n_unreadable
        if n_unreadable >= max(1, 10 * self._told_unreadable):
            self._told_unreadable = n_unreadable
            self._say(f"bluesky: {n_unreadable:,} events of others could not be read")

    def _parse(self, event: Json, source: str, position: str) -> Iterator[Reading]:
        """As the file format does, and notes who it was and when."""
        time_us = event.get("time_us")
        ahead_us = time_us - time.time_ns() // 1000 if isinstance(time_us, int) else 0
        self._n_ahead = self._n_ahead + 1 if ahead_us >= AHEAD_US else 0
        if self._n_ahead == MANY_AHEAD:
            slow = round(ahead_us / 1_000_000)
            self._say(
                f"bluesky: this machine's clock is {slow} s slow, and no cursor is kept; set it"
            )
        if isinstance(time_us, int) and ahead_us < AHEAD_US:
            if self._at_us == self._resumed_us:
                self._first_us = time_us
            self._at_us = max(self._at_us, time_us)
        self._account = text_of(event.get("did"))
        commit = object_of(event.get("commit"))
        self._is_change = commit.get("operation") == "update"
        path = f"{text_of(commit.get('collection'))}/{text_of(commit.get('rkey'))}"
        yield from parse_record(event, source, f"{self._account}/{path} at {time_us}")

    def _address(self) -> str:
        asked = [("wantedCollections", POST), ("wantedCollections", REPOST)]
        if self._at_us:
            asked.append(("cursor", str(max(self._at_us - REWIND_US, 1))))
        return f"{self._url}?{urlencode(asked, quote_via=quote)}"

    def _followed_until(self) -> datetime | None:
        return datetime.fromtimestamp(self._at_us / 1_000_000, UTC) if self._at_us else None


def _begin(resumed_us: int, first_us: int) -> datetime:
    """From when on a connection covers: from where the last one stopped, unless it begins later."""
    has_gap = first_us - resumed_us > GAP_SECONDS * 1_000_000
    return datetime.fromtimestamp((first_us if has_gap else resumed_us) / 1_000_000, UTC)
