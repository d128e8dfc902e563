"""The socket on which the page listens, opened before anything else is."""

from __future__ import annotations

import errno
import socket

from streams.errors import UsageError


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; use with `with`. Raises UsageError where that cannot be."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            why = "something listens there already; give another --port, or 0 for a free one"
        else:
            why = f"{error.strerror or error}; give another --host or --port"
        raise UsageError(f"cannot listen on {host}:{port}: {why}") from None


def shown_address(listening: socket.socket) -> str:
    """Where the page is, as a browser takes it.

    >>> with listen("127.0.0.1", 0) as opened:
    ...     shown_address(opened).startswith("http://127.0.0.1:")
    True
    """
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
