"""X by full archive search: all posts of a span of days with tracked hashtags, newest first.

For plans that have it, and dear: the month's money limits a pass as in recent search. It can be
stopped, killed or run out of money anywhere; the next pass goes on below the last page, and what
was not reached is not covered.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta

import msgspec

from storage.tracking import Pull, Tracked
from streams.errors import UsageError
from streams.formats.json_records import object_of, text_of
from streams.settings import Settings
from streams.sources.following import Backoff
from streams.sources.keeping import Keeping
from streams.sources.source import Say, Sighting
from streams.sources.x_client import SETTLE_SECONDS, Spent, id_at, time_of
from streams.sources.x_pass import XPass
from streams.sources.x_search import ids_of, readings_of

NAME = "x_archive"
DESCRIPTION = "X, any past days of tracked hashtags; needs a plan with the archive, costs"

#: Before, ids of X say nothing about time.
FIRST_DAY = datetime(2010, 11, 5, tzinfo=UTC)
DONE = "0"


def open_source(settings: Settings, keeping: Keeping, say: Say) -> XArchive:
    """The source, not connected yet. Raises UsageError without a token or a span."""
    return XArchive(settings, keeping, say)


def span_of(settings: Settings) -> tuple[datetime, datetime]:
    """From when until when the archive is asked. Raises UsageError if that is no span."""
    first, last = settings.x_archive_since, settings.x_archive_until
    if first is None or last is None:
        raise UsageError(
            "the archive is asked for days: give --since 2019-11-01 --until 2019-12-01"
        )
    since, until = (datetime.combine(day, time(), UTC) for day in (first, last))
    if not FIRST_DAY <= since < until:
        raise UsageError(f"--since {first} --until {last} is no span from {FIRST_DAY:%Y-%m-%d} on")
    return since, until


class State(Spent, kw_only=True):
    """The cursor: below which id each hashtag and span goes on, and what the month has cost."""

    below: dict[str, str] = msgspec.field(default_factory=dict)


class XArchive(XPass[State]):
    """One pass over the tracked hashtags."""

    name, state_type = NAME, State

    def __init__(
        self, settings: Settings, keeping: Keeping, say: Say, backoff: Backoff | None = None
    ) -> None:
        """Raises UsageError without a span of days, and as XSource."""
        self._since, self._until = span_of(settings)  # what was typed is judged before the token
        super().__init__(settings, keeping, say, backoff)

    def _pull(self, row: Tracked, state: State) -> Iterator[Sighting]:
        began = self._client.now()
        until = min(self._until, began - timedelta(seconds=SETTLE_SECONDS))
        span = f"{row.hashtag} {self._since:%Y-%m-%d} {until.isoformat()}"
        if self._until <= until:
            span = f"{row.hashtag} {self._since:%Y-%m-%d} {self._until:%Y-%m-%d}"
        below = state.below.get(span, id_at(until))
        if below == DONE or until <= self._since:
            return
        got, token = 0, None
        while not (self._client.is_spent() or got >= self._most_posts):
            page = yield from self._client.search(
                row.query,
                id_at(self._since),
                below,
                self._most_posts - got,
                token,
                is_archive=True,
            )
            yield Sighting(None, self._mark(state))
            for reading in readings_of(page, f"twitter_v2:{NAME}"):
                yield Sighting(reading)
            found = ids_of(page)
            got += len(found)
            token = text_of(object_of(page.get("meta")).get("next_token"))
            reached = min(found, key=int) if found else state.below.get(span, below)
            state.below[span] = reached if token is not None else DONE
            pull = self._pulled(row, state, span, below, got, began)
            yield Sighting(None, self._mark(state, pull))
            if token is None:
                return
        why = "spent" if self._client.is_spent() else f"enough for a pass: {got:,} posts"
        self._say(f"{NAME}: {row.query} is not whole ({why}); the same command goes on")

    def _pulled(
        self, row: Tracked, state: State, span: str, below: str, got: int, began: datetime
    ) -> Pull:
        reached = state.below[span]
        is_whole = reached == DONE
        return Pull(
            NAME,
            row.hashtag,
            began.isoformat(),
            # newest first: what was not reached is not covered
            self._since if is_whole else min(time_of(reached), time_of(below)),
            time_of(below),
            asked=self._most_posts,
            got=got,
            is_capped=not is_whole,
            error=None if is_whole else "not whole yet: the same command goes on",
        )
