"""X by recent search: one pass over what is tracked, from where the last one stopped, then it ends.

A pull per hashtag, newest posts first. It stops at `x_most_posts` per hashtag, or when the month's
money is spent; then its row says that more was there, and covers only what came.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from datetime import timedelta
from typing import NamedTuple

import msgspec

from storage.tracking import Pull, Tracked
from streams.formats.json_records import Json, encode_json, object_of, parse_json, text_of
from streams.formats.twitter_v2 import parse_record
from streams.records import Reading
from streams.settings import Settings
from streams.sources.keeping import Keeping
from streams.sources.source import Say, Sighting
from streams.sources.x_client import KEPT_BY_X, SETTLE_SECONDS, Spent, XClient, id_at, time_of
from streams.sources.x_pass import XPass

NAME = "x_search"
DESCRIPTION = "X, recent posts with tracked hashtags, up to seven days back; needs a token, costs"


def open_source(settings: Settings, keeping: Keeping, say: Say) -> XSearch:
    """The source, not connected yet. Raises UsageError without a token."""
    return XSearch(settings, keeping, say)


class State(Spent, kw_only=True):
    """The cursor: up to which id each hashtag was searched, and what the month has cost."""

    done: dict[str, str] = msgspec.field(default_factory=dict)


class XSearch(XPass[State]):
    """One pass over the tracked hashtags."""

    name, state_type = NAME, State

    def _pull(self, row: Tracked, state: State) -> Iterator[Sighting]:
        began = self._client.now()
        # what is newer may be found later: the next pass asks for it
        until = began - timedelta(seconds=SETTLE_SECONDS)
        oldest = max(row.tracked_from, began - KEPT_BY_X)
        since_id = state.done.get(row.hashtag, id_at(oldest))
        since = max(time_of(since_id), began - KEPT_BY_X)
        if since >= until:
            return
        since_id = max(since_id, id_at(since), key=int)
        got, token, is_capped, reached = 0, None, False, until
        while True:
            if is_capped := self._client.is_spent() or got >= self._most_posts:
                break
            page = yield from self._client.search(
                row.query, since_id, id_at(until), self._most_posts - got, token
            )
            yield Sighting(None, self._mark(state))
            for reading in readings_of(page, f"twitter_v2:{NAME}"):
                yield Sighting(reading)
            found = ids_of(page)
            got += len(found)
            if found:
                reached = time_of(min(found, key=int))
            token = text_of(object_of(page.get("meta")).get("next_token"))
            if token is None:
                break
        if is_capped and not got:
            limit = self._client.purse.limit
            self._say(f"x_search: the month's ${limit:.2f} are spent; {row.query} waits")
        pull = Pull(
            NAME,
            row.hashtag,
            began.isoformat(),
            # newest first: what was not reached is not covered
            (reached if got else until) if is_capped else since,
            until,
            asked=self._most_posts,
            got=got,
            is_capped=is_capped,
            error="the month's budget is spent" if is_capped and self._client.is_spent() else None,
        )
        if got or not is_capped:
            state.done[row.hashtag] = id_at(until)
        yield Sighting(None, self._mark(state, pull))


class Estimate(NamedTuple):
    """What a hashtag would cost, by what X has of it."""

    hashtag: str
    posts_in_seven_days: int
    usd_a_month: float


def estimate(settings: Settings, hashtags: Sequence[Tracked], say: Say) -> list[Estimate]:
    """What a month of each hashtag may cost at most: 30/7 of what X counts in seven days, each post
    with an account of its own if authors are asked for. X charges for each count as for one post.

    Raises UsageError without a token, or if X refuses us.
    """
    client = XClient(settings, say)
    each = settings.x_post_usd + settings.x_user_usd * settings.x_with_authors
    found = []
    for row in hashtags:
        n = _result_of(client.count(row.query))
        found.append(Estimate(row.hashtag, n, round(n * 30 / 7 * each, 2)))
    return found


def _result_of(asked: Generator[Sighting, None, int]) -> int:
    """What it returns at its end; waits are waited."""
    while True:
        try:
            next(asked)
        except StopIteration as end:
            return int(end.value)


def readings_of(page: Json, source: str) -> Iterator[Reading]:
    """What a page holds, read by the file format."""
    return parse_json(encode_json(page), source, "page", parse_record)


def ids_of(page: Json) -> list[str]:
    """The ids of the posts that were asked for."""
    data = page.get("data")
    things = data if isinstance(data, list) else [data]
    found = [text_of(object_of(thing).get("id")) for thing in things]
    return [x_id for x_id in found if x_id and x_id.isdigit()]
