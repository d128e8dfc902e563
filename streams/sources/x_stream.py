"""X by filtered stream: posts with tracked hashtags as they are posted.

Rules are compared with what is tracked and only the difference is changed; rules of others stay.
What was posted while nobody listened is searched for, half a minute after each connection; until
that is done the cursor stays where it was.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Generator, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import requests
import tweepy

from storage.tracking import Mark, Pull, Tracked
from streams.formats.json_records import (
    Json,
    decode_json,
    object_of,
    objects_of,
    parse_json,
    text_of,
)
from streams.formats.twitter_v2 import parse_record
from streams.settings import Settings
from streams.sources.following import Backoff, Interrupted, Outage, Stretch, ticks
from streams.sources.keeping import Keeping
from streams.sources.source import TICK_SECONDS, Say, Sighting
from streams.sources.x_client import (
    KEPT_BY_X,
    SETTLE_SECONDS,
    Spent,
    XClient,
    earlier,
    id_at,
    queries_of,
    short,
    time_of,
)
from streams.sources.x_pass import XSource
from streams.sources.x_search import ids_of, readings_of

NAME = "x"
DESCRIPTION = "X, posts with tracked hashtags as they come; needs a token and a plan with streams"

#: Rules with such a name are ours.
RULE_PREFIX = "hoaxwatch "
#: What is searched for again before the cursor: posts come out of order.
REWIND = timedelta(seconds=60)
LINES_AHEAD = 1000


def open_source(settings: Settings, keeping: Keeping, say: Say) -> XStream:
    """The source, not connected yet. Raises UsageError without a token."""
    return XStream(settings, keeping, say)


class State(Spent, kw_only=True):
    """The cursor: the latest post of the time that is complete, and what the month has cost."""

    since_id: str | None = None


class _Stream(tweepy.StreamingClient):  # type: ignore[misc]
    """One connection, in a thread of its own: lines to a queue, and how it ended.

    tweepy reconnects by itself, for ever, whatever the reason; this ends at the first one.
    """

    def __init__(self, client: XClient) -> None:
        super().__init__(client.token, daemon=True, return_type=requests.Response)
        self._client = client
        self.lines: queue.Queue[bytes | None] = queue.Queue(LINES_AHEAD)
        self.failure: Exception | None = None
        self.is_connected = self.is_abandoned = False
        self._status: requests.Response | None = None
        client.mount(self.session)
        self.session.hooks["response"].append(self._note)

    def _note(self, response: requests.Response, *args: Any, **kwargs: Any) -> None:
        self._status = response

    def on_connect(self) -> None:
        self.is_connected = True

    def on_data(self, raw_data: bytes) -> None:
        self._put(raw_data)

    def on_keep_alive(self) -> None:
        self._put(b"")

    def on_request_error(self, status_code: int) -> None:
        if self._status is not None:
            _ = self._status.content  # while it is open
        self._end(_Status(status_code, self._status))

    def on_connection_error(self) -> None:
        self._end(Interrupted("the connection broke off or was silent"))

    def on_closed(self, response: requests.Response) -> None:
        self._end(Interrupted("X closed the connection"))

    def on_exception(self, exception: Exception) -> None:
        self._end(Interrupted(f"the connection broke off: {short(exception)}"))

    def on_disconnect(self) -> None:
        self._put(None)

    def _end(self, failure: Exception) -> None:
        self.failure = self.failure or failure
        self.running = False

    def _put(self, line: bytes | None) -> None:
        """Waits while the pipeline is behind, but not for one that is gone."""
        while self.running or line is None:
            try:
                self.lines.put(line, timeout=0.2)
                return
            except queue.Full:
                if self.is_abandoned:
                    return


class _Status(Exception):
    """A status instead of a stream."""

    def __init__(self, status: int, response: requests.Response | None) -> None:
        super().__init__(f"X answered {status}")
        self.status, self.response = status, response


class XStream(XSource):
    """The filtered stream, followed through whatever it does."""

    name = NAME

    def __init__(
        self, settings: Settings, keeping: Keeping, say: Say, backoff: Backoff | None = None
    ) -> None:
        super().__init__(settings, keeping, say, backoff)
        self._outage = Outage(NAME, keeping)
        self._state = State()
        self._asked: frozenset[str] = frozenset()
        #: Hashtags of which X takes no rule.
        self._refused: frozenset[str] = frozenset()
        self._newest = "0"

    def track(self, hashtags: Sequence[Tracked]) -> None:
        """The rules follow at the next tick."""
        self._keeping.track(hashtags)

    def posts(self, cursor: str | None) -> Iterator[Sighting]:
        """Ends when the month's budget is spent. Raises UsageError if X refuses us."""
        self._state = msgspec.json.decode(cursor or "{}", type=State)
        purse = self._client.purse
        purse.resume(self._state)
        self._newest = self._state.since_id or "0"
        self._client.look_at_clock()
        while not self._client.is_spent():
            try:
                yield from self._set_rules()
                yield from self._connection()
            except Interrupted as failure:
                wait = self._client.backoff.after(failure)
                self._say(f"x: {failure}; again in {wait:.0f} s")
                yield Sighting(None, self._outage.mark(str(failure), None))
                yield from ticks(wait)
        self._say(
            f"x: the month's ${purse.limit:.2f} are spent; raise x_budget_usd, or wait for the next"
        )

    def _connection(self) -> Iterator[Sighting]:
        """What one connection gives; ends with Interrupted, or when the money is spent."""
        stream = _Stream(self._client)
        thread = stream.filter(threaded=True, **self._client.fields)
        began = datetime.now(UTC)
        marked_at = time.monotonic()
        settled_at = marked_at + SETTLE_SECONDS
        stretch: Stretch | None = None
        since: datetime | None = None
        broken = b""
        try:
            while not self._client.is_spent():
                try:
                    line = stream.lines.get(timeout=TICK_SECONDS)
                except queue.Empty:
                    line = b""
                if line is None:
                    raise self._failure_of(stream)
                if stretch is None and stream.is_connected:
                    self._outage.ends()
                    self._client.backoff.reset()
                    stretch = Stretch(NAME, self._keeping, began)
                    if self._state.since_id is None:  # the first time: there is no gap
                        since = began
                        self._newest = id_at(began)
                        yield Sighting(None, self._mark(stretch, since))
                if line:
                    # half a line that others follow is broken; the last one was cut off
                    yield from self._problem_of(broken)
                    page = _decode(line)
                    broken = line if page is None else b""
                    yield from self._kept_of(page) if page else ()
                now = time.monotonic()
                if now - marked_at < TICK_SECONDS:
                    continue
                marked_at = now
                if stretch is not None and since is None and now >= settled_at:
                    since = yield from self._close_gap(began)
                if stretch is None or since is None:
                    yield Sighting(None)
                else:
                    yield Sighting(None, self._mark(stretch, since))
                if self._keeping.hashtags != self._asked:
                    yield from self._set_rules()
        finally:
            stream.is_abandoned = True
            stream.disconnect()
            stream.session.close()
            thread.join(timeout=2)

    def _failure_of(self, stream: _Stream) -> Exception:
        failure = stream.failure
        if isinstance(failure, _Status):
            return self._client.failed(failure.status, failure.response)
        return failure or Interrupted("the connection ended")

    def _kept_of(self, page: Json) -> Iterator[Sighting]:
        self._client.purse.pay(page, self._client.now())
        yield Sighting(None, self._paid())
        page = page | {"__twarc": {"retrieved_at": datetime.now(UTC).isoformat()}}
        for reading in readings_of(page, f"twitter_v2:{NAME}"):
            self._keeping.count(reading)
            yield Sighting(reading)
        self._note(page)

    def _note(self, page: Json) -> None:
        """The newest post so far; a page may hold none."""
        self._newest = max([self._newest, *ids_of(page)], key=int)

    def _problem_of(self, line: bytes) -> Iterator[Sighting]:
        if line:
            for reading in parse_json(line, f"twitter_v2:{NAME}", "line", parse_record):
                yield Sighting(reading)

    def _close_gap(self, began: datetime) -> Generator[Sighting, None, datetime]:
        """Everything from the cursor to a little after this connection began, by search; returns
        from when on all is there."""
        now = datetime.now(UTC)
        assert self._state.since_id is not None
        since_id = earlier(self._state.since_id, REWIND)
        oldest = id_at(now - KEPT_BY_X)
        begins = time_of(self._state.since_id)
        if int(since_id) < int(oldest):
            since_id, begins = oldest, now - KEPT_BY_X
        rows = [row for row in self._keeping.rows if row.hashtag not in self._refused]
        for query in queries_of(rows):
            token = None
            while not self._client.is_spent():
                page = yield from self._client.search(query, since_id, None, 100, token)
                yield Sighting(None, self._paid())
                for reading in readings_of(page, f"twitter_v2:{NAME}"):
                    self._keeping.count(reading)
                    yield Sighting(reading)
                self._note(page)
                token = text_of(object_of(page.get("meta")).get("next_token"))
                if token is None:
                    break
            else:
                return began  # no money left: it stays a gap
        return begins

    def _mark(self, stretch: Stretch, since: datetime) -> Mark:
        """Up to the newest post that came; posts of the next seconds may be older."""
        until = datetime.now(UTC)
        self._state.since_id = self._newest
        return self._paid()._replace(pulls=stretch.pulls(since, until, self._refused))

    def _paid(self) -> Mark:
        """What was spent by now, with the cursor where it was."""
        self._client.purse.save(self._state)
        return Mark(msgspec.json.encode(self._state).decode())

    def _set_rules(self) -> Iterator[Sighting]:
        """Adds the rules that are missing, takes away ours that are too many."""
        hashtags, rows = self._keeping.hashtags, self._keeping.rows
        wanted = {row.query: f"{RULE_PREFIX}{row.hashtag}" for row in rows}
        api = self._rules_api()
        told = yield from self._client.ask(api.get_rules)
        rules = objects_of(told.get("data"))
        held = {
            text_of(rule.get("value")): text_of(rule.get("id"))
            for rule in rules
            if (text_of(rule.get("tag")) or "").startswith(RULE_PREFIX)
        }
        extra = [number for value, number in held.items() if value not in wanted and number]
        missing = [
            tweepy.StreamRule(value, tag=tag) for value, tag in wanted.items() if value not in held
        ]
        if extra:
            yield from self._client.ask(lambda: api.delete_rules(extra))
        refused: dict[str, str] = {}
        if missing:
            told = yield from self._client.ask(lambda: api.add_rules(missing))
            others = {text_of(rule.get("value")) for rule in rules}  # bring the same posts
            for error in objects_of(told.get("errors")):
                value = text_of(error.get("value")) or "a rule"
                if value in others:
                    continue
                why = f"X does not take {value} as a rule: {text_of(error.get('title'))}"
                refused[wanted.get(value, "").removeprefix(RULE_PREFIX)] = why
        yield from self._refuse(refused)
        self._asked = hashtags

    def _refuse(self, reasons: dict[str, str]) -> Iterator[Sighting]:
        """These hashtags are followed by no rule: said and stored once, and covered never."""
        now = datetime.now(UTC)
        for tag in sorted(reasons.keys() - self._refused):
            self._say(f"x: {reasons[tag]}")
            if tag in self._keeping.hashtags:
                name = f"refused {now.isoformat()}"
                pull = Pull(NAME, tag, name, now, now, error=reasons[tag])
                yield Sighting(None, Mark(pulls=(pull,)))
        self._refused = frozenset(reasons)

    def _rules_api(self) -> tweepy.StreamingClient:
        api = tweepy.StreamingClient(self._client.token, return_type=requests.Response)
        self._client.mount(api.session)
        return api


def _decode(line: bytes) -> Json | None:
    """The object of a line; None: it is none."""
    try:
        return object_of(decode_json(line)[0]) or None
    except (ValueError, RecursionError):
        return None
