"""Mastodon live: posts with tracked hashtags as a server learns of them, by its streaming API.

One web socket carries all hashtags; after each connection the hashtags' timelines are read for what
came meanwhile, and only then the cursor moves on. A server knows what its accounts and those that
they follow write, not the whole network.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import httpx
import msgspec
from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection

from storage.tracking import Mark, Tracked
from streams.errors import UsageError
from streams.formats.json_records import (
    Json,
    decode_json,
    encode_json,
    moment_of,
    object_of,
    objects_of,
    parse_json,
    text_of,
)
from streams.formats.mastodon import Parser
from streams.records import Reading
from streams.settings import Settings
from streams.sources.following import Backoff, Interrupted, Outage, Stretch, retry_after, ticks
from streams.sources.keeping import Keeping
from streams.sources.sockets import connected, in_words, receive
from streams.sources.source import TICK_SECONDS, Say, Sighting

NAME = "mastodon"
DESCRIPTION = "Mastodon, posts with tracked hashtags as one server learns of them; a free token"

PAGE_STATUSES = 40
#: So long before its cursor a timeline is read again: numbers are of the time of writing, and
#: statuses of other servers come later.
REWIND = timedelta(minutes=10)
_SOURCE = f"mastodon:{NAME}"


def open_source(settings: Settings, keeping: Keeping, say: Say) -> Mastodon:
    """The source, not connected yet."""
    return Mastodon(settings, keeping, say)


class _TooOften(Interrupted):
    """The server wants to be asked later; its stream goes on."""


class State(msgspec.Struct):
    """The cursor: the greatest number of the time that is complete."""

    since_id: str | None = None


class Mastodon:
    """The hashtags of one server, followed through whatever it does."""

    name = NAME

    def __init__(
        self, settings: Settings, keeping: Keeping, say: Say, backoff: Backoff | None = None
    ) -> None:
        token = settings.mastodon_token
        self._headers = {"User-Agent": "hoaxwatch"}
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token.get_secret_value()}"
        self._url = settings.mastodon_url.rstrip("/")
        self._silence_seconds = settings.source_silence_seconds
        self._http = httpx.Client(
            base_url=self._url, timeout=self._silence_seconds, headers=self._headers
        )
        self._keeping, self._say = keeping, say
        self._backoff = backoff or Backoff()
        self._outage = Outage(NAME, keeping)
        self._parser = Parser()
        self._state = State()
        self._newest = 0
        self._asked: dict[str, str] = {}
        #: Of each hashtag the number after which its gap goes on, until all gaps are closed.
        self._reached: dict[str, int] = {}

    def track(self, hashtags: Sequence[Tracked]) -> None:
        """Subscribed to at the next tick."""
        self._keeping.track(hashtags)

    def greet(self, cursor: str | None) -> Generator[Sighting, None, str]:
        """Whether the server shows timelines of hashtags and streams them."""
        yield from self._ask("/api/v1/timelines/tag/news", {"limit": "1"})
        address = f"{self._streaming_url()}/api/v1/streaming"
        with _connected(address, self._headers, self._silence_seconds):
            return f"{self._url} shows timelines of hashtags and streams them"

    def posts(self, cursor: str | None) -> Iterator[Sighting]:
        """Never ends by itself. Raises UsageError if the server will not serve us."""
        self._state = msgspec.json.decode(cursor or "{}", type=State)
        self._newest = int(self._state.since_id or 0)
        while True:
            try:
                yield from self._connection()
            except Interrupted as failure:
                wait = yield from self._told(failure)
                yield from ticks(wait)

    def _told(self, failure: Interrupted) -> Generator[Sighting, None, float]:
        """Says what happened; returns how long to wait."""
        wait = self._backoff.after(failure)
        self._say(f"mastodon: {failure}; again in {wait:.0f} s")
        yield Sighting(None, self._outage.mark(str(failure), None))
        return wait

    def _connection(self) -> Iterator[Sighting]:
        """What one connection gives; ends with Interrupted."""
        address = f"{self._streaming_url()}/api/v1/streaming"
        silence = self._silence_seconds
        with _connected(address, self._headers, silence) as socket:
            self._asked = {}
            self._subscribe(socket)
            began = datetime.now(UTC)
            since = began
            if self._state.since_id is not None:
                since = time_of(int(self._state.since_id))
                yield from self._close_gaps(socket)
            self._newest = max(self._newest, id_at(began) if self._newest == 0 else 0)
            self._outage.ends()
            self._backoff.reset()
            stretch = Stretch(NAME, self._keeping, began)
            yield Sighting(None, self._mark(stretch, since))
            marked_at = time.monotonic()
            while True:
                yield from self._heard(socket)
                if time.monotonic() - marked_at >= TICK_SECONDS:
                    marked_at = time.monotonic()
                    yield Sighting(None, self._mark(stretch, since))
                    self._subscribe(socket)

    def _heard(self, socket: ClientConnection) -> Iterator[Sighting]:
        """What the next message holds; nothing if none comes within a tick."""
        message = receive(socket)
        if message is not None:
            for reading in self._readings_of(message):
                self._keeping.count(reading)
                yield Sighting(reading)

    def _readings_of(self, message: bytes) -> Iterator[Reading]:
        """What a message holds. Raises Interrupted if it is the server's last word."""
        yield from parse_json(message, _SOURCE, "event", self._parse)

    def _parse(self, event: Json, source: str, position: str) -> Iterator[Reading]:
        """As the file format does, and notes the newest number."""
        if "error" in event and "event" not in event:
            raise Interrupted(f"the server says: {str(event['error'])[:100]}")
        payload = event.get("payload")
        if event.get("event") == "update" and isinstance(payload, str):
            with suppress(ValueError, RecursionError):  # the parser says so
                self._note(decode_json(payload.encode(errors="surrogatepass"))[0])
        yield from self._parser.parse_record(event, source, position)

    def _note(self, status: Any) -> None:
        number = text_of(object_of(status).get("id")) or ""
        # a number of the far future would hide all that comes
        if number.isdecimal() and int(number) < id_at(datetime.now(UTC) + timedelta(hours=1)):
            self._newest = max(self._newest, int(number))

    def _close_gaps(self, socket: ClientConnection) -> Iterator[Sighting]:
        """Those of all that is tracked when it ends: others may come while the server is asked."""
        closed: set[str] = set()
        while rows := [row for row in self._keeping.rows if row.hashtag not in closed]:
            self._subscribe(socket)
            yield from self._close_gap(rows[0], socket)
            closed.add(rows[0].hashtag)
        self._reached.clear()

    def _close_gap(self, row: Tracked, socket: ClientConnection) -> Iterator[Sighting]:
        """A hashtag's statuses since a little before the cursor, oldest page first. While the
        server wants to be asked later, its stream is heard."""
        begins = max(int(self._state.since_id or 0) - (_ms(REWIND) << 16), 0)
        after = self._reached.get(row.hashtag, begins)
        while True:
            asked = {"limit": str(PAGE_STATUSES), "min_id": str(after)}
            asked_at = datetime.now(UTC)
            try:
                page = yield from self._ask(f"/api/v1/timelines/tag/{quote(row.written)}", asked)
            except _TooOften as failure:
                until = time.monotonic() + (yield from self._told(failure))
                while time.monotonic() < until:
                    self._subscribe(socket)
                    yield from self._heard(socket)
                    yield Sighting(None)
                continue
            numbers = [text_of(status.get("id")) or "" for status in objects_of(page)]
            found = [int(number) for number in numbers if number.isdecimal()]
            for status in page if isinstance(page, list) else ():
                raw = encode_json(status)
                for reading in parse_json(raw, _SOURCE, "timeline", self._parser.parse_item):
                    self._keeping.count(reading)
                    yield Sighting(reading)
                self._note(status)
            if not found or max(found) <= after:
                return
            after = max(found)
            # among the newest ones others may still come
            self._reached[row.hashtag] = max(begins, min(after, id_at(asked_at - REWIND)))

    def _ask(self, path: str, asked: dict[str, str]) -> Generator[Sighting, None, Any]:
        """The answer to a question; what passes ends the connection."""
        try:
            answer = self._http.get(path, params=asked)
            told, _ = decode_json(answer.content) if answer.status_code < 400 else ({}, False)
        except (httpx.RequestError, ValueError, RecursionError) as error:
            raise Interrupted(f"{self._url} cannot be read: {in_words(error)}") from None
        wait = retry_after(answer.headers.get("Retry-After"))
        if answer.status_code == 429:
            raise _TooOften(f"{self._url} answered 429", wait or _until_reset(answer.headers))
        if answer.status_code >= 500:
            raise Interrupted(f"{self._url} answered {answer.status_code}", wait)
        if answer.status_code != 200:
            raise UsageError(_refusal(self._url, answer.status_code))
        yield Sighting(None)
        return told

    def _streaming_url(self) -> str:
        """Where the server streams: many do so under another name."""
        told = None
        # what is wrong the connection will say
        with suppress(httpx.RequestError, ValueError, RecursionError):
            answer = self._http.get("/api/v2/instance")
            told = object_of(decode_json(answer.content)[0]).get("configuration")
        named = text_of(object_of(object_of(told).get("urls")).get("streaming"))
        return (named or self._url.replace("http", "ws", 1)).rstrip("/")

    def _subscribe(self, socket: ClientConnection) -> None:
        """Sends the difference between what is tracked and what was asked for."""
        wanted = {row.hashtag: row.written for row in self._keeping.rows}
        messages = [
            {"type": kind, "stream": "hashtag", "tag": tags[tag]}
            for kind, tags, others in (
                ("unsubscribe", self._asked, wanted),
                ("subscribe", wanted, self._asked),
            )
            for tag in tags.keys() - others.keys()
        ]
        try:
            for message in messages:
                socket.send(msgspec.json.encode(message).decode())
        except (OSError, WebSocketException) as error:
            raise Interrupted(f"the connection ended: {in_words(error)}") from None
        self._asked = wanted

    def _mark(self, stretch: Stretch, since: datetime) -> Mark:
        self._state.since_id = str(self._newest)
        pulls = stretch.pulls(since, datetime.now(UTC))
        return Mark(msgspec.json.encode(self._state).decode(), pulls)


def id_at(moment: datetime) -> int:
    """The smallest number that a status of this moment has: milliseconds, and 16 bits.

    >>> time_of(id_at(datetime(2026, 3, 2, tzinfo=UTC))).isoformat()
    '2026-03-02T00:00:00+00:00'
    """
    return int(moment.timestamp() * 1000) << 16


def time_of(number: int) -> datetime:
    """When a status with this number was written."""
    return datetime.fromtimestamp((number >> 16) / 1000, UTC)


def _until_reset(headers: httpx.Headers) -> float | None:
    """Seconds until a server that was asked too often may be asked again; None if it does not say.

    >>> _until_reset(httpx.Headers({"X-RateLimit-Reset": "2026-03-02T00:05:00.000000Z"}))
    0.0
    """
    over_at = moment_of(headers.get("X-RateLimit-Reset"))
    if over_at is None:
        return None
    return min(max((over_at - datetime.now(UTC)).total_seconds(), 0.0), 3600.0)


def _ms(span: timedelta) -> int:
    return int(span.total_seconds() * 1000)


def _connected(address: str, headers: dict[str, str], silence_seconds: float) -> ClientConnection:
    try:
        return connected(address, "mastodon_url", "Mastodon stream", headers, silence_seconds)
    except UsageError as error:
        for status in (401, 403):
            if f"answered {status}" in str(error):
                raise UsageError(_refusal(address.partition("/api")[0], status)) from None
        raise


_NEW_TOKEN = "make one in its preferences under Development and set HOAXWATCH_MASTODON_TOKEN"
_REFUSALS = {
    401: f"it wants a token: {_NEW_TOKEN}",
    403: f"it wants another token: {_NEW_TOKEN}",
    422: "set HOAXWATCH_MASTODON_TOKEN to a token of this server",
}


def _refusal(url: str, status: int) -> str:
    what = _REFUSALS.get(status, "set mastodon_url to a server of Mastodon")
    return f"{url} refuses it ({status}); {what}"
