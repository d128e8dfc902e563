"""Web sockets of streams: opened and read; what goes wrong is waited out, or said in one line."""

from __future__ import annotations

from collections.abc import Mapping

from websockets.exceptions import InvalidStatus, InvalidURI, WebSocketException
from websockets.sync.client import ClientConnection, connect

from streams.errors import UsageError
from streams.sources.following import Interrupted, retry_after
from streams.sources.source import TICK_SECONDS

LARGEST_EVENT_BYTES = 4 << 20


def connected(
    address: str,
    setting: str,
    service: str,
    headers: Mapping[str, str] | None = None,
    silence_seconds: float | None = None,
) -> ClientConnection:
    """A connection. `setting` names where it leads, `service` what should be there. A peer that
    answers no ping for `silence_seconds` is gone. Raises Interrupted, UsageError."""
    host = address.partition("?")[0]
    try:
        return connect(
            address,
            additional_headers=headers,
            compression=None,
            max_size=LARGEST_EVENT_BYTES,
            open_timeout=10,
            close_timeout=1,
            ping_interval=silence_seconds or 20,
            ping_timeout=silence_seconds or 20,
        )
    except InvalidURI:
        raise UsageError(
            f"{setting} {host} is no address of a {service}; it looks like wss://host/path"
        ) from None
    except InvalidStatus as error:
        status = error.response.status_code
        if status == 429 or status >= 500:
            wait = retry_after(error.response.headers.get("Retry-After"))
            raise Interrupted(f"{host} answered {status}", wait) from None
        raise UsageError(
            f"{host} answered {status} and serves no {service}; set {setting} to one that does"
        ) from None
    except (OSError, WebSocketException) as error:
        raise Interrupted(f"{host} cannot be reached: {in_words(error)}") from None


def receive(socket: ClientConnection) -> bytes | None:
    """The next message; None if none is whole within TICK_SECONDS. Raises Interrupted."""
    try:
        message = socket.recv(timeout=TICK_SECONDS)
    except TimeoutError:
        return None
    except (OSError, WebSocketException) as error:
        raise Interrupted(f"the connection ended: {in_words(error)}") from None
    return message.encode(errors="surrogatepass") if isinstance(message, str) else message


def in_words(error: BaseException) -> str:
    """What an error says, in one line."""
    return " ".join(str(error).split()) or type(error).__name__
