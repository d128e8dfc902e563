"""A Mastodon server on loopback: its stream of hashtags and their timelines; it misbehaves as told.

Each connection of the stream is given one of `moods`, in order. Statuses are posted while somebody
is connected, under numbers of their moment; what is posted in between stands in the timelines only.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import Server, ServerConnection, serve

from streams.sources.mastodon import id_at

Json = dict[str, Any]


@dataclass(frozen=True)
class Mood:
    """A status instead of a connection, or what it does after so many events: `cut`, `half` (half a
    frame, then silence); on the way it repeats, and sends what is no event."""

    status: int = 200
    end: str = ""
    after: int = 0
    repeats: bool = False
    drifts: bool = False


@dataclass
class Mastodon:
    """`plan`: what happens, in order: ("post", tag), ("edit", n), ("delete", n) with n the number
    of the post among posts."""

    plan: list[tuple[str, Any]]
    moods: list[Mood] = field(default_factory=list)
    #: Statuses of HTTP answers that go wrong, in order; 0: half an answer.
    troubles: list[int] = field(default_factory=list)
    token: str | None = None
    #: So many pages of timelines may be asked for in a time; then 429 until the next begins.
    limit: int | None = None
    limit_seconds: float = 1.0
    n_refused: int = 0
    n_done: int = 0
    posts: list[Json] = field(default_factory=list)
    gone: set[str] = field(default_factory=set)
    asked: Counter[str] = field(default_factory=Counter)
    subscribed: list[str] = field(default_factory=list)
    n_open: int = 0
    most_open: int = 0
    sent_all: threading.Event = field(default_factory=threading.Event)
    server: Server | None = None
    _pages: Counter[int] = field(default_factory=Counter)

    @property
    def url(self) -> str:
        """Where it listens."""
        assert self.server is not None
        return f"http://127.0.0.1:{self.server.socket.getsockname()[1]}"

    def step(self) -> tuple[str, Json | str, set[str]] | None:
        """The next thing happens: event, payload, hashtags."""
        if self.n_done >= len(self.plan):
            return None
        kind, what = self.plan[self.n_done]
        self.n_done += 1
        if kind == "post":
            status = self.make(what)
            self.posts.append(status)
            return "update", status, tags_of(status)
        status = self.posts[what]
        if kind == "edit":
            status["content"] += "<p>edited</p>"
            status["edited_at"] = iso(datetime.now(UTC))
            return "status.update", status, tags_of(status)
        self.gone.add(status["id"])
        return "delete", status["id"], tags_of(status)

    def make(self, tag: str, at: datetime | None = None) -> Json:
        """A status of now; every third is of another server, with another number there."""
        now, number = at or datetime.now(UTC), len(self.posts)
        own = str(id_at(now) + number % 65536)
        host = "far.example" if number % 3 == 2 else "here.example"
        acct = f"u{number % 5}@{host}" if host == "far.example" else f"u{number % 5}"
        away = own if host == "here.example" else str(900000000000000000 + number)
        return {
            "id": own,
            "uri": f"https://{host}/users/u{number % 5}/statuses/{away}",
            "created_at": iso(now),
            "visibility": "public",
            "language": "en",
            "content": f"<p>Number {number} about #{tag} and more</p>",
            "account": {"id": "1", "acct": acct, "url": f"https://{host}/@u{number % 5}"},
            "tags": [{"name": tag.casefold()}],
            "media_attachments": [],
            "reblog": None,
        }

    def answer(self, connection: ServerConnection, request: Request) -> Response | None:
        """What is no stream, and streams that are refused."""
        parts = urlsplit(request.path)
        self.asked[parts.path] += 1
        if parts.path == "/api/v2/instance":
            urls = {"urls": {"streaming": self.url.replace("http", "ws")}}
            return as_json({"configuration": urls})
        held = request.headers.get("Authorization")
        if self.token is not None and held != f"Bearer {self.token}":
            return as_json({"error": "The access token is invalid"}, 401)
        if parts.path == "/api/v1/streaming":
            if self.moods and self.moods[0].status != 200:
                return as_json({"error": "no"}, self.moods.pop(0).status)
            return None
        if self.troubles:
            trouble = self.troubles.pop(0)
            if trouble == 0:
                response = as_json([1, 2, 3])
                response.body = b'[{"id'
                return response
            if trouble != 200:
                return as_json({"error": "no"}, trouble)
        if self.limit is not None and self.limit <= self._n_in_time():
            self.n_refused += 1
            return self._too_often()
        tag = unquote(re.sub("^/api/v1/timelines/tag/", "", parts.path)).casefold()
        query = parse_qs(parts.query)
        after = int(query.get("min_id", ["0"])[0])
        found = [
            status
            for status in self.posts
            if tag in tags_of(status)
            and status["id"] not in self.gone
            and int(status["id"]) > after
        ]
        return as_json(found[:5][::-1])

    def _n_in_time(self) -> int:
        """How many pages were asked for before in the present time; notes another one."""
        number = int(time.time() / self.limit_seconds)
        self._pages[number] += 1
        return self._pages[number] - 1

    def _too_often(self) -> Response:
        """As Mastodon says it: when it is over, and not after how long."""
        response = as_json({"error": "Too many requests"}, 429)
        number = int(time.time() / self.limit_seconds)
        over_at = datetime.fromtimestamp((number + 1) * self.limit_seconds, UTC)
        response.headers["X-RateLimit-Reset"] = over_at.isoformat().replace("+00:00", "Z")
        return response

    def talk(self, connection: ServerConnection) -> None:
        """One connection of the stream."""
        self.n_open += 1
        self.most_open = max(self.most_open, self.n_open)
        try:
            self._talk(connection, self.moods.pop(0) if self.moods else Mood())
        except (ConnectionClosed, OSError):
            pass
        finally:
            self.n_open -= 1

    def _talk(self, connection: ServerConnection, mood: Mood) -> None:
        tags: set[str] = set()
        n_sent = 0
        while True:
            n_sent += self._hear(connection, tags)
            if not tags:
                continue
            happened = self.step()
            if happened is None:
                self.sent_all.set()
                continue
            event, payload, of_tags = happened
            is_end = mood.end and n_sent >= mood.after and event != "delete"
            if not of_tags & tags:
                continue
            told = payload if isinstance(payload, str) else json.dumps(payload)
            message = json.dumps({"stream": ["hashtag"], "event": event, "payload": told})
            if is_end:
                if mood.end == "half":
                    data = message.encode()
                    head = bytes([0x81, 126]) + len(data).to_bytes(2, "big")
                    connection.socket.sendall(head + data[: len(data) // 2])
                for kind, _ in self.plan[self.n_done : self.n_done + 4]:
                    if kind == "delete":  # what nobody hears is told by no timeline either
                        break
                    self.step()
                connection.socket.close()
                return
            for _ in range(2 if mood.repeats else 1):
                connection.send(message)
            if mood.drifts:
                connection.send('{"event": "update", "payload": {"id": 7, "text": "#snow"}}')
                connection.send('{"stream": ["hashtag"], "event": "upd')
                connection.send('{"event": "notification", "payload": "{}"}')
            n_sent += 1

    def _hear(self, connection: ServerConnection, tags: set[str]) -> int:
        try:
            told = json.loads(connection.recv(timeout=0.01))
        except TimeoutError:
            return 0
        assert told["stream"] == "hashtag"
        self.subscribed.append(f"{told['type']} {told['tag']}")
        change = tags.add if told["type"] == "subscribe" else tags.discard
        change(told["tag"].casefold())
        return 0


def as_json(told: object, status: int = 200) -> Response:
    """One answer."""
    data = json.dumps(told).encode()
    headers = Headers({"Content-Type": "application/json", "Content-Length": str(len(data))})
    headers["Connection"] = "close"
    return Response(status, HTTPStatus(status).phrase, headers, data)


def iso(moment: datetime) -> str:
    """As Mastodon writes times."""
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"


def tags_of(status: Json) -> set[str]:
    """Its hashtags."""
    return {tag["name"] for tag in status["tags"]}


def post_id(status: Json) -> str:
    """As `streams.formats.mastodon` names it."""
    host, _, rest = status["uri"].removeprefix("https://").partition("/")
    return f"{host}/{rest.rpartition('/')[2]}"


@contextmanager
def running(fake: Mastodon) -> Iterator[Mastodon]:
    """The fake listens until the end of the block."""
    server = serve(
        fake.talk, "127.0.0.1", 0, process_request=fake.answer, compression=None, close_timeout=1
    )
    fake.server = server
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        time.sleep(0)
        server.shutdown()
        thread.join()
