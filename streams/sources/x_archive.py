"""X by full archive search: all posts of a span of days with tracked hashtags, newest first.

For plans that have it, and dear: the month's money limits a pass as in recent search. It can be
stopped, killed or run out of money anywhere; the next pass goes on below the last page, and what
was not reached is not covered.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
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
        """Spans that earlier passes began come first, for one until after now ended with its pass;
        the next begins where the last whole one ends."""
        until = min(self._until, self._client.now() - timedelta(seconds=SETTLE_SECONDS))
        spans = self._spans_of(row, state)
        whole = (end for end, span in spans.items() if state.below[span] == DONE)
        since = max(whole, default=self._since)
        for end, span in spans.items():
            if end < since:
                del state.below[span]
        got = 0
        for end in sorted({*spans, until}):
            if since < end <= until:
                span = spans.get(end, f"{self._first_of(row)}{end.isoformat()}")
                # a longer one that was stopped has come down so far already
                longer = (state.below[other] for later, other in spans.items() if later > end)
                top = min((id_at(end), *longer), key=int)
                at_most = self._most_posts - got
                got += yield from self._pull_span(row, state, span, since, end, top, at_most)
                if state.below.get(span) != DONE:
                    return
                since = end

    def _spans_of(self, row: Tracked, state: State) -> dict[datetime, str]:
        """By their ends the spans of a hashtag that begin with our first day."""
        first = self._first_of(row)
        return {
            datetime.fromisoformat(span.removeprefix(first)).replace(tzinfo=UTC): span
            for span in state.below
            if span.startswith(first)
        }

    def _first_of(self, row: Tracked) -> str:
        return f"{row.hashtag} {self._since:%Y-%m-%d} "

    def _pull_span(
        self,
        row: Tracked,
        state: State,
        span: str,
        since: datetime,
        until: datetime,
        top: str,
        at_most: int,
    ) -> Generator[Sighting, None, int]:
        """The posts of a span below where it stands, at first below the id `top`; returns how many
        came."""
        began = self._client.now()
        below = state.below.get(span, top)
        if int(below) <= int(id_at(since)):  # another span has come so far meanwhile
            state.below[span] = DONE
            return 0
        got, token = 0, None
        while not (self._client.is_spent() or got >= at_most):
            page = yield from self._client.search(
                row.query,
                id_at(since),
                below,
                at_most - got,
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
            is_whole = token is None
            state.below[span] = DONE if is_whole else reached
            pull = Pull(
                NAME,
                row.hashtag,
                f"{began.isoformat()} until {until.isoformat()}",
                # newest first: what was not reached is not covered
                since if is_whole else min(time_of(reached), time_of(below)),
                time_of(below),
                asked=at_most,
                got=got,
                is_capped=not is_whole,
                error=None if is_whole else "not whole yet: the same command goes on",
            )
            yield Sighting(None, self._mark(state, pull))
            if is_whole:
                return got
        why = "spent" if self._client.is_spent() else f"enough for a pass: {got:,} posts"
        self._say(f"{NAME}: {row.query} is not whole ({why}); the same command goes on")
        return got
