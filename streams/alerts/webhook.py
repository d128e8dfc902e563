"""The sink for everything else: a signed POST of JSON to one address."""

from __future__ import annotations

import hmac
import http.client
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from urllib.parse import urlsplit

import msgspec

from storage.outbox import Alert
from streams.alerts.sink import PAUSES_SECONDS, SinkFailed, try_again
from streams.errors import UsageError
from streams.fetching import Deadline

TIMEOUT_SECONDS = 10.0
#: So much of an answer is looked at.
ANSWER_BYTES = 64 * 1024


def sign(secret: str, timestamp: int, body: bytes) -> str:
    """The signature of a body: hex HMAC-SHA256 over b"TIMESTAMP." + body.

    A receiver computes it from what arrived, compares in constant time, and refuses timestamps that
    are more than some minutes old: so nobody can replay what they overheard.

    >>> sign("key", 1, b"{}")[:16]
    '1ba6b8171186efc6'
    """
    return hmac.new(secret.encode(), f"{timestamp}.".encode() + body, sha256).hexdigest()


class WebhookSink:
    """Posts alerts as JSON. Any answer of 200 to 299 that came whole means taken.

    Headers: X-Hoaxwatch-Timestamp (seconds since 1970), X-Hoaxwatch-Signature (`sha256=HEX`, see
    `sign`) and X-Hoaxwatch-Delivery (`Alert.delivery`): what is sent again after a crash has the
    same, so a receiver can drop it. Redirects are not followed.

    Raises: UsageError for an address that is none.
    """

    def __init__(
        self,
        address: str,
        secret: str,
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
        pauses_seconds: tuple[float, ...] = PAUSES_SECONDS,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        try:
            parts = urlsplit(address)
            host, port = parts.hostname, parts.port
        except ValueError:
            host = None
        if not host or parts.scheme not in ("http", "https"):
            raise UsageError(
                "alert_webhook is no address; it looks like https://alerts.example/hoaxwatch"
            )
        self._is_tls = parts.scheme == "https"
        self._host, self._port = host, port
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._secret = secret
        self._timeout_seconds = timeout_seconds
        self._pauses_seconds = pauses_seconds
        self._now = now

    def send(self, alert: Alert) -> None:
        """Posts it, at most three times. Raises SinkFailed with what went wrong the last time."""
        body = msgspec.json.encode(alert._asdict())
        try_again(lambda: self._post(body, alert.delivery), self._pauses_seconds)

    def _post(self, body: bytes, delivery: str) -> None:
        timestamp = int(self._now().timestamp())
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "hoaxwatch",
            "Connection": "close",
            "X-Hoaxwatch-Timestamp": str(timestamp),
            "X-Hoaxwatch-Signature": f"sha256={sign(self._secret, timestamp, body)}",
            "X-Hoaxwatch-Delivery": delivery,
        }
        make = http.client.HTTPSConnection if self._is_tls else http.client.HTTPConnection
        connection = make(self._host, self._port, timeout=self._timeout_seconds)
        deadline = Deadline(connection, self._timeout_seconds)
        try:
            with deadline:
                connection.request("POST", self._path, body, headers)
                answer = connection.getresponse()
                if len(answer.read(ANSWER_BYTES)) < ANSWER_BYTES and answer.length:
                    raise http.client.IncompleteRead(b"")
            status = answer.status
        except (OSError, http.client.HTTPException) as error:
            if deadline.has_passed or isinstance(error, TimeoutError):
                shown = f"no answer within {self._timeout_seconds:g} s"
            elif isinstance(error, OSError):  # a lost connection is both: it never came to half
                shown = f"no connection ({type(error).__name__})"
            else:
                shown = f"half an answer ({type(error).__name__})"
            raise SinkFailed(shown) from None
        if not 200 <= status < 300:
            raise SinkFailed(f"answer {status}")
