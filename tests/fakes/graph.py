"""The Instagram Graph API on loopback, with a clock of its own; it misbehaves as told."""

from __future__ import annotations

import json
import zlib
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.fakes.serving import listening

Json = dict[str, Any]


@dataclass(frozen=True)
class Trouble:
    """What happens to a request: a status and code of an error, or half of the answer."""

    status: int = 200
    code: int = 0
    message: str = "no"
    half: bool = False


@dataclass
class Graph:
    """Media objects by hashtag, newest first or not; what it was asked, and what goes wrong."""

    media: dict[str, list[Json]]
    now: datetime
    troubles: list[Trouble] = field(default_factory=list)
    token: str = "good"
    #: The cursor of each page looks the same, as the real one's does.
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    searched: set[str] = field(default_factory=set)
    url: str = ""
    _at: dict[str, int] = field(default_factory=dict)

    def page(self, tag: str, is_first: bool) -> list[Json]:
        """The next of what was posted in the last 24 hours."""
        start = self.now - timedelta(hours=24)
        found = [m for m in self.media.get(tag, ()) if start <= time_of(m) < self.now]
        first = 0 if is_first else self._at[tag]
        self._at[tag] = first + 50
        return found[first : first + 50]


def time_of(media: Json) -> datetime:
    """When it was posted."""
    return datetime.fromisoformat(media["timestamp"])


def make_media(tag: str, start: datetime, n: int, hours: float = 24.0) -> list[Json]:
    """So many posts with a hashtag, newest first."""
    found = []
    for number in reversed(range(n)):
        at = start + timedelta(hours=hours) * (number / n)
        name = f"{tag} {start} {number}"
        code = f"C{zlib.crc32(name.encode()):010}"
        found.append(
            {
                "id": f"179{zlib.crc32(code.encode()):012}",
                "caption": f"Number {number} of the day, about #{tag} and more words of it",
                "media_type": "IMAGE",
                "media_url": f"https://cdn.example.org/{code}.jpg",
                "permalink": f"https://www.instagram.com/p/{code}/",
                "timestamp": f"{at:%Y-%m-%dT%H:%M:%S}+0000",
                "like_count": number,
                "comments_count": 0,
            }
        )
    return found


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    fake: Graph

    def log_message(self, *_: object) -> None:
        """Nothing."""

    def do_GET(self) -> None:
        fake, parts = self.fake, urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        fake.asked.append((parts.path, query))
        trouble = fake.troubles.pop(0) if fake.troubles else Trouble()
        if self.headers["Authorization"] != f"Bearer {fake.token}":
            trouble = Trouble(400, 190, "Error validating access token: Session has expired")
        if trouble.half or trouble.status != 200:
            error = {"message": trouble.message, "type": "OAuthException", "code": trouble.code}
            self.answer({"error": error}, trouble.status, trouble.half)
        elif parts.path == "/ig_hashtag_search":
            fake.searched.add(query["q"].casefold())
            self.answer({"data": [{"id": f"id-{query['q'].casefold()}"}]})
        elif query.get("fields") == "username":
            self.answer({"username": "newsroom", "id": parts.path.strip("/")})
        else:
            tag = parts.path.split("/")[1].removeprefix("id-")
            shown = fake.page(tag, "after" not in query)
            self.answer({"data": shown, "paging": {"cursors": {"after": "QVFI"}}})

    def answer(self, told: Json, status: int = 200, half: bool = False) -> None:
        """One answer, dated by the fake's own clock."""
        data = json.dumps(told).encode()
        self.send_response_only(status)
        self.send_header("Date", format_datetime(self.fake.now.astimezone(UTC), usegmt=True))
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if half else data)
        self.close_connection = half


def running(fake: Graph) -> AbstractContextManager[Graph]:
    """The fake listens until the end of the block."""
    return listening(fake, _Handler)
