"""The X API on loopback: recent search, the filtered stream with its rules, counts; it misbehaves.

Posts have ids of their time. Each request meets one of `troubles`, in order; after them all goes
well. The stream sends what is posted while somebody is connected; what is posted meanwhile can only
be searched for.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

from streams.formats.platform_x import snowflake_time
from streams.sources.x_client import id_at
from tests.fakes.serving import listening

Json = dict[str, Any]


@dataclass(frozen=True)
class Trouble:
    """What happens to a request: a status, half of the answer, or silence. Of a stream: `after` so
    many posts it is `cut`, falls `silent` after half a line, or ends cleanly (`closed`); before
    that it `says` a line."""

    status: int = 200
    reset_in: float | None = None
    half: bool = False
    detail: str = ""
    after: int = 0
    end: str = ""
    says: str = ""
    repeats: bool = False


@dataclass
class X:
    """What the fake holds, what it was asked, and what goes wrong next."""

    posts: list[Json]
    troubles: list[Trouble] = field(default_factory=list)
    stream_troubles: list[Trouble] = field(default_factory=list)
    token: str = "good"
    page_size: int = 10
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    rules: dict[str, Json] = field(default_factory=dict)
    n_posted: int = 0
    most_streams: int = 0
    stays_open: float = 0.3
    #: Of accounts more than their names, and what posts attach.
    users: dict[str, Json] = field(default_factory=dict)
    media: dict[str, Json] = field(default_factory=dict)
    #: A clock of its own; None: that of this machine.
    now: datetime | None = None
    url: str = ""
    open_streams: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    sent_all: threading.Event = field(default_factory=threading.Event)

    def post_next(self) -> Json:
        """The next post is posted now, under an id of this moment."""
        number = self.n_posted
        post = self.posts[number]
        now = datetime.now(UTC)
        post["id"] = str(int(id_at(now)) + number % 4096)
        post["created_at"] = f"{now:%Y-%m-%dT%H:%M:%S}.000Z"
        for reference in post.get("referenced_tweets", ()):
            reference["id"] = self.posts[number - 2]["id"]
        self.n_posted += 1
        return post

    def found(self, query: str, since_id: str | None, until_id: str | None) -> list[Json]:
        """What was posted by now and has one of the hashtags, newest first."""
        tags = {tag.casefold() for tag in re.findall(r"#(\w+)", query)}
        tags |= set(re.findall(r"from:\d+", query))
        if self.now is not None:
            until_id = min(until_id or id_at(self.now), id_at(self.now), key=int)
        return [
            post
            for post in self.posts[: self.n_posted][::-1]
            if tags & tags_of(post)
            and int(since_id or 0) < int(post["id"]) < int(until_id or 1 << 63)
        ]

    def page_of(self, posts: Sequence[Json]) -> Json:
        """Posts with their authors, and the originals of shares."""
        by_id = {post["id"]: post for post in self.posts}
        named = {r["id"]: r for p in posts for r in p.get("referenced_tweets", ())}
        originals = [by_id[x_id] for x_id in named if x_id in by_id]
        authors = {p["author_id"] for p in [*posts, *originals]}
        users = [
            self.users.get(a) or {"id": a, "username": f"u{a}", "name": a} for a in sorted(authors)
        ]
        includes: Json = {"tweets": originals, "users": users}
        keys = {k for p in posts for k in p.get("attachments", {}).get("media_keys", ())}
        if held := [self.media[key] for key in sorted(keys) if key in self.media]:
            includes["media"] = held
        return {"data": list(posts), "includes": includes}


def tags_of(post: Json) -> set[str]:
    """Hashtags, of a share those of its original."""
    tags = {tag["tag"].casefold() for tag in post["entities"]["hashtags"]}
    return tags | set(post["of_tags"]) | {f"from:{post['author_id']}"}


def make_posts(n: int, hours: float = 5.0, until: datetime | None = None) -> list[Json]:
    """Posts of the last hours, every other one about #snow, every fifth a share of one before."""
    began = (until or datetime.now(UTC)) - timedelta(hours=hours)
    posts: list[Json] = []
    for number in range(n):
        at = began + timedelta(hours=hours) * (number / n) * 0.98
        tag = ("Snow", "tea")[number % 2]
        post: Json = {
            "id": str(int(id_at(at)) + number % 4096),
            "author_id": str(100 + number % 7),
            "created_at": f"{at:%Y-%m-%dT%H:%M:%S}.000Z",
            "text": f"Number {number} about #{tag}",
            "entities": {"hashtags": [{"start": 0, "end": 5, "tag": tag}]},
            "edit_history_tweet_ids": [],
            "of_tags": [],
        }
        if number % 5 == 4:
            of = posts[number - 2]
            post["referenced_tweets"] = [{"type": "retweeted", "id": of["id"]}]
            post["text"] = f"RT @u{of['author_id']}: {of['text'][:10]}…"
            post["entities"] = {"hashtags": []}
            post["of_tags"] = sorted(tag for tag in tags_of(of) if "from:" not in tag)
        posts.append(post)
    return posts


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    fake: X

    def log_message(self, *_: object) -> None:
        """Nothing."""

    def date_time_string(self, timestamp: float | None = None) -> str:
        """The Date of each answer, by the fake's clock."""
        now = self.fake.now
        return super().date_time_string(now.timestamp() if now else timestamp)

    def do_HEAD(self) -> None:
        self.send_response(404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        self.fake.asked.append((parts.path, query))
        if self.headers["Authorization"] != f"Bearer {self.fake.token}":
            self.answer({"title": "Unauthorized", "detail": "Unauthorized"}, 401)
        elif parts.path == "/2/tweets/search/stream":
            self.stream()
        elif not self.in_trouble():
            self.get(parts.path, query)

    def get(self, path: str, query: dict[str, str]) -> None:
        """What goes well."""
        fake = self.fake
        if path in ("/2/tweets/search/recent", "/2/tweets/search/all"):
            found = fake.found(query["query"], query.get("since_id"), query.get("until_id"))
            first = int(query.get("next_token", "0"))
            size = min(int(query["max_results"]), fake.page_size)
            shown = found[first : first + size]
            page = fake.page_of(shown) if shown else {}
            page["meta"] = {"result_count": len(shown)}
            if len(found) > first + size:
                page["meta"]["next_token"] = str(first + size)
            self.answer(page)
        elif path == "/2/usage/tweets":
            self.answer({"data": {"project_usage": "120", "project_cap": "10000"}})
        elif path == "/2/tweets/counts/recent":
            total = len(fake.found(query["query"], None, None))
            self.answer({"data": [], "meta": {"total_tweet_count": total}})
        elif path == "/2/tweets/search/stream/rules":
            self.answer({"data": list(fake.rules.values()), "meta": {}} if fake.rules else {})
        else:
            self.answer({"detail": "no such thing"}, 404)

    def do_POST(self) -> None:
        told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.fake.asked.append((self.path, told))
        if self.in_trouble():
            return
        errors = []
        held = {rule["value"] for rule in self.fake.rules.values()}
        for rule in told.get("add", ()):
            if rule["value"] in held:
                errors.append({"title": "DuplicateRule", "value": rule["value"]})
            elif re.fullmatch(r"#\w+|from:\d+", rule["value"]):
                number = str(len(self.fake.asked) * 100 + len(self.fake.rules))
                self.fake.rules[number] = {**rule, "id": number}
            else:
                errors.append({"title": "Invalid Rule", "value": rule["value"]})
        for number in told.get("delete", {}).get("ids", ()):
            del self.fake.rules[number]
        self.answer({"meta": {}, **({"errors": errors} if errors else {})}, 201)

    def in_trouble(self) -> bool:
        """Whether this request meets the next trouble."""
        if not self.fake.troubles:
            return False
        trouble = self.fake.troubles.pop(0)
        if trouble.half:
            self.send_response(200)
            self.send_header("Content-Length", "500")
            self.end_headers()
            self.wfile.write(b'{"data": [{"id"')
            self.close_connection = True
            return True
        if trouble.status == 200:
            return False
        self.answer({"detail": trouble.detail}, trouble.status, trouble.reset_in)
        return True

    def answer(self, told: Json, status: int = 200, reset_in: float | None = None) -> None:
        """One answer of JSON."""
        data = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if reset_in is not None:
            self.send_header("x-rate-limit-reset", str(int(time.time() + reset_in)))
        self.end_headers()
        self.wfile.write(data)

    def stream(self) -> None:
        """What is posted from now on and has a rule, until a trouble ends it."""
        fake = self.fake
        trouble = fake.stream_troubles.pop(0) if fake.stream_troubles else Trouble()
        if trouble.status != 200:
            self.answer({"detail": trouble.detail}, trouble.status, trouble.reset_in)
            return
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        with fake.lock:
            fake.open_streams += 1
            fake.most_streams = max(fake.most_streams, fake.open_streams)
        try:
            self._stream(trouble)
        except OSError:
            pass
        finally:
            with fake.lock:
                fake.open_streams -= 1
            self.close_connection = True

    def _stream(self, trouble: Trouble) -> None:
        fake, n_sent = self.fake, 0
        while fake.n_posted < len(fake.posts):
            post = fake.post_next()
            rules = [
                r for r in fake.rules.values() if r["value"].lstrip("#").casefold() in tags_of(post)
            ]
            if not rules:
                continue
            page = fake.page_of([post]) | {"matching_rules": rules}
            line = json.dumps(page | {"data": post}).encode() + b"\r\n"
            if trouble.end and n_sent == trouble.after:
                if trouble.says:
                    self.chunk(trouble.says.encode() + b"\r\n")
                    time.sleep(0.5)
                if trouble.end != "closed":
                    self.chunk(line[: len(line) // 2])
                if trouble.end == "silent":
                    self.connection.settimeout(10)
                    self.connection.recv(1)  # until the client goes
                if trouble.end == "closed":
                    self.wfile.write(b"0\r\n\r\n")
                for _ in range(min(7, len(fake.posts) - fake.n_posted)):
                    fake.post_next()  # while nobody listens
                return
            for _ in range(2 if trouble.repeats else 1):
                self.chunk(line)
            n_sent += 1
        until = time.monotonic() + fake.stays_open
        while time.monotonic() < until:
            self.chunk(b"\r\n")
            time.sleep(0.05)
        fake.sent_all.set()
        while True:
            self.chunk(b"\r\n")
            time.sleep(0.05)

    def chunk(self, data: bytes) -> None:
        """One piece of the stream."""
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()


def running(fake: X) -> AbstractContextManager[X]:
    """The fake listens until the end of the block."""
    return listening(fake, _Handler)


def moment_of(post: Json) -> datetime:
    """When it was posted."""
    found = snowflake_time(post["id"])
    assert found is not None
    return found
