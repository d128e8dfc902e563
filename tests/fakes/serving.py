"""Fakes that speak HTTP, listening on loopback."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Protocol, TypeVar


class Fake(Protocol):
    """What a handler answers from."""

    url: str


F = TypeVar("F", bound=Fake)


@contextmanager
def listening(fake: F, handler: type[BaseHTTPRequestHandler]) -> Iterator[F]:
    """The fake listens until the end of the block; its handlers have it as `fake`."""
    own = type("Handler", (handler,), {"fake": fake})
    server = ThreadingHTTPServer(("127.0.0.1", 0), own)
    server.daemon_threads = True
    fake.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
