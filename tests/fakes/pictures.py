"""A host of pictures on loopback that misbehaves as the path asks."""

from __future__ import annotations

import threading
import time
from collections import Counter
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from io import BytesIO

from PIL import Image

from tests.fakes.serving import listening


def png(colour: int = 0, side: int = 40) -> bytes:
    """A small picture of one colour."""
    out = BytesIO()
    Image.new("RGB", (side, side), (colour % 256, 100, 200)).save(out, "PNG")
    return out.getvalue()


@dataclass
class Pictures:
    """What was asked for; how many requests were open at once."""

    asked: Counter[str] = field(default_factory=Counter)
    most_at_once: int = 0
    times: list[float] = field(default_factory=list)
    url: str = ""
    n_open: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    fake: Pictures

    def log_message(self, *_: object) -> None:
        """Nothing."""

    def do_GET(self) -> None:
        fake = self.fake
        with fake.lock:
            fake.asked[self.path] += 1
            fake.times.append(time.monotonic())
            fake.n_open += 1
            fake.most_at_once = max(fake.most_at_once, fake.n_open)
        self.close_connection = True
        try:
            self.behave(self.path.strip("/").split("/")[0])
        except OSError:
            pass
        finally:
            with fake.lock:
                fake.n_open -= 1

    def behave(self, mood: str) -> None:
        """As the first part of the path says."""
        if mood == "huge":  # it claims 100 MB
            self.head(200, length=100_000_000)
            self.wfile.write(png())
        elif mood == "endless":
            self.head(200)
            self.wfile.write(png())
            while True:
                self.wfile.write(b"x" * 65536)
        elif mood == "to":
            # who asks quotes it, and a host may say it as it is
            self.head(302, Location=self.path.removeprefix("/to/").replace("%5B", "["))
        elif mood == "round":
            self.head(302, Location=self.path)
        elif mood == "page":
            self.body(b"<html>a picture of words</html>", "image/png")
        elif mood == "drip":
            self.head(200, length=100_000)
            for byte in png() * 1000:
                self.wfile.write(bytes([byte]))
                time.sleep(0.02)
        elif mood == "dripping-head":
            for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 100_000:
                self.wfile.write(bytes([byte]))
                time.sleep(0.02)
        elif mood == "busy":
            first = self.fake.asked[self.path] == 1
            if first:
                self.head(429, None, **{"Retry-After": "0"})
            else:
                self.body(png(7))
        elif mood == "flaky":
            if self.fake.asked[self.path] == 1:
                self.head(500)
            else:
                self.body(png(8))
        elif mood == "hang":
            time.sleep(600)
        elif mood == "down":
            self.head(503)
        elif mood == "gone":
            self.head(404)
        elif mood == "half":
            self.head(200, length=len(png()) + 100)
            self.wfile.write(png())
        elif mood == "gzip":
            self.body(b"\x1f\x8b" + b"\0" * 100, **{"Content-Encoding": "gzip"})
        elif mood == "slow":
            time.sleep(0.05)
            self.body(png(len(self.path)))
        else:
            self.body(png(sum(self.path.encode())))

    def head(self, status: int, length: int | None = None, **headers: str) -> None:
        """Status and headers; without a length the body ends with the connection."""
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def body(self, data: bytes, type: str = "image/png", **headers: str) -> None:
        """A whole answer."""
        self.head(200, len(data), **{"Content-Type": type, **headers})
        self.wfile.write(data)


def running(fake: Pictures) -> AbstractContextManager[Pictures]:
    """The fake listens until the end of the block."""
    return listening(fake, _Handler)
