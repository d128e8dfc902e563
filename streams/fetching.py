"""One picture from an address that a stranger wrote: within limits, and never from inside.

Posts name addresses, and who posts may name any: a router of the house, a service of the machine, a
file without an end. So a name is looked up here, every address that it has must be one of the open
internet, and the connection goes to the very address that was checked: a name that means another
one a moment later (DNS rebinding) gains nothing. Each redirect is a new address. There is one time
limit for the whole exchange, one for its bytes, and the type is read from the bytes.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from queue import Empty, SimpleQueue
from threading import Thread, Timer
from typing import NamedTuple
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from detectors.image.decode import Format, read_header

MOST_REDIRECTS = 5
LONGEST_WAIT_SECONDS = 60.0
_CHUNK_BYTES = 64 * 1024
_REDIRECTS = {301, 302, 303, 307, 308}
#: Addresses of IPv4 behind a translator: what counts is the IPv4 address in them. RFC 6052.
_TRANSLATED = IPv6Network("64:ff9b::/96")

#: A name and a port -> addresses. Raises OSError.
Resolve = Callable[[str, int], Sequence[str]]


class FetchLimits(NamedTuple):
    """max_bytes: of the body. max_seconds: of everything, redirects included.

    allows_private: addresses of this machine and of the house may be asked: only for tests, and
    for a mirror of one's own.
    """

    max_bytes: int = 20_000_000
    max_seconds: float = 20.0
    allows_private: bool = False


class Fetched(NamedTuple):
    """A picture, whole as far as its server says."""

    data: bytes
    type: Format


class Failed(NamedTuple):
    """Why there is none. is_passing: it may come later, after `wait_seconds` if that is said."""

    reason: str
    is_passing: bool = False
    wait_seconds: float | None = None


#: What the settings say where nobody changes them.
LIMITS = FetchLimits()


class _Refused(Exception):
    """It stays so however often it is tried."""


class Deadline:
    """Ends an exchange that takes too long, also one that goes on byte by byte: a time limit of the
    socket holds for each byte anew."""

    def __init__(self, connection: http.client.HTTPConnection, seconds: float) -> None:
        self._connection = connection
        self._timer = Timer(seconds, self._end)
        self.has_passed = False

    def _end(self) -> None:
        self.has_passed = True
        if self._connection.sock is not None:
            with suppress(OSError):
                self._connection.sock.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self._connection.close()


class _Pinned(http.client.HTTPConnection):
    """A connection to an address that was checked, speaking to the name that it was found by."""

    def __init__(self, host: str, port: int, address: str, tls: ssl.SSLContext | None) -> None:
        super().__init__(host, port)
        self.default_port = http.client.HTTP_PORT if tls is None else http.client.HTTPS_PORT
        self._address, self._tls = address, tls

    def connect(self) -> None:
        """To the address; with TLS the certificate must be the name's."""
        until = time.monotonic() + (self.timeout or 0)
        self.sock = socket.create_connection((self._address, self.port), self.timeout)
        if self._tls is not None:
            # the deadline cannot cut a handshake, whose socket is neither the old nor the new one
            self.sock.settimeout(max(until - time.monotonic(), 0.001))
            self.sock = self._tls.wrap_socket(self.sock, server_hostname=self.host)


def resolve(host: str, port: int) -> list[str]:
    """The addresses of a name, as the system knows them. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(row[4][0]) for row in found))


def _look_up(resolve: Resolve, host: str, port: int, seconds: float) -> Sequence[str]:
    """The addresses of a name. The system's own limit is minutes where a name's servers hang, and
    its call cannot be ended: it is left behind in a thread of its own. Raises OSError."""
    answer: SimpleQueue[Sequence[str] | OSError] = SimpleQueue()

    def ask() -> None:
        try:
            answer.put(resolve(host, port))
        except OSError as error:
            answer.put(error)
        except UnicodeError:
            answer.put(OSError("no name"))

    Thread(target=ask, name="resolve", daemon=True).start()
    try:
        found = answer.get(timeout=seconds)
    except Empty:
        raise TimeoutError from None
    if isinstance(found, OSError):
        raise found
    return found


def is_public(address: str) -> bool:
    """Whether an address is of the open internet, also where it is wrapped in another.

    >>> is_public("93.184.216.34"), is_public("127.0.0.1"), is_public("169.254.169.254")
    (True, False, False)
    >>> is_public("::ffff:10.0.0.1"), is_public("64:ff9b::7f00:1"), is_public("fe80::1%eth0")
    (False, False, False)
    """
    try:
        found = ip_address(address)
    except ValueError:
        return False
    if isinstance(found, IPv6Address):
        if found.scope_id is not None or found.is_site_local:  # which counts as global
            return False
        inner = _inner(found)
        if inner is not None:
            found = inner
    return found.is_global and not (found.is_multicast or found.is_reserved)


def _inner(found: IPv6Address) -> IPv4Address | None:
    if found in _TRANSLATED:
        return IPv4Address(int(found) & 0xFFFFFFFF)
    return found.ipv4_mapped or found.sixtofour or (found.teredo[1] if found.teredo else None)


def fetch(
    address: str, limits: FetchLimits = LIMITS, resolve: Resolve = resolve
) -> Fetched | Failed:
    """The picture at an address, or why there is none. Raises nothing; takes at most max_seconds.

    >>> fetch("file:///etc/passwd")
    Failed(reason='no address of a picture on the web', is_passing=False, wait_seconds=None)
    """
    until = time.monotonic() + limits.max_seconds
    try:
        parts = _checked(address)
        for _ in range(MOST_REDIRECTS + 1):
            found = _exchange(parts, limits, until, resolve)
            if not isinstance(found, str):
                return found
            parts = _checked(found, base=parts.geturl())
    except _Refused as refusal:
        return Failed(str(refusal))
    return Failed(f"more than {MOST_REDIRECTS} redirects")


def _checked(address: str, base: str = "") -> SplitResult:
    try:
        parts = urlsplit(urljoin(base, address))
        _ = parts.port
    except ValueError:
        raise _Refused("no address of a picture on the web") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise _Refused("no address of a picture on the web")
    return parts


def _exchange(
    parts: SplitResult, limits: FetchLimits, until: float, resolve: Resolve
) -> Fetched | Failed | str:
    """A picture, a failure, or where else to look. Raises _Refused."""
    seconds = until - time.monotonic()
    host = parts.hostname or ""
    tls = ssl.create_default_context() if parts.scheme == "https" else None
    port = parts.port or (80 if tls is None else 443)
    if seconds <= 0:
        return Failed(f"no answer within {limits.max_seconds:g} s", is_passing=True)
    try:
        addresses = _look_up(resolve, host, port, seconds)
    except OSError:
        return Failed("its host is not known", is_passing=True)
    if not addresses or not (limits.allows_private or all(map(is_public, addresses))):
        raise _Refused("an address that is not of the open internet")
    seconds = until - time.monotonic()
    connection = _Pinned(host, port, addresses[0], tls)
    connection.timeout = max(seconds, 0.001)
    deadline = Deadline(connection, seconds)
    target = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
    if parts.query:
        target += "?" + quote(parts.query, safe="/%:@!$&'()*+,;=~-._?")
    headers = {"User-Agent": "hoaxwatch", "Accept": "image/*", "Connection": "close"}
    try:
        with deadline:
            connection.request("GET", target, headers=headers | {"Accept-Encoding": "identity"})
            if deadline.has_passed:
                raise TimeoutError
            answer = connection.getresponse()
            if deadline.has_passed:  # headers that we cut off end like whole ones
                raise TimeoutError
            if answer.status in _REDIRECTS and (location := answer.getheader("Location")):
                return location
            if answer.status != 200:
                return _failure_of(answer)
            data = _body_of(answer, limits)
            if deadline.has_passed:  # and so does a body without a length
                raise TimeoutError
            return Fetched(data, _type_of(data))
    except (OSError, http.client.HTTPException, ValueError) as error:
        if deadline.has_passed or isinstance(error, TimeoutError):
            return Failed(f"no answer within {limits.max_seconds:g} s", is_passing=True)
        if isinstance(error, ssl.SSLCertVerificationError):
            raise _Refused("its certificate is not the host's") from None
        if isinstance(error, http.client.IncompleteRead):
            return Failed("half an answer", is_passing=True)
        return Failed(f"no connection ({type(error).__name__})", is_passing=True)


def _failure_of(answer: http.client.HTTPResponse) -> Failed:
    is_passing = answer.status == 429 or answer.status >= 500
    try:
        wait = float(answer.getheader("Retry-After") or "")
    except ValueError:
        return Failed(f"answer {answer.status}", is_passing)
    return Failed(f"answer {answer.status}", is_passing, min(max(wait, 0), LONGEST_WAIT_SECONDS))


def _body_of(answer: http.client.HTTPResponse, limits: FetchLimits) -> bytes:
    """Raises _Refused, IncompleteRead."""
    too_large = f"more than {limits.max_bytes:,} bytes"
    if (answer.length or 0) > limits.max_bytes:
        raise _Refused(too_large)
    data = bytearray()
    is_known = False
    while piece := answer.read(_CHUNK_BYTES):
        data += piece
        if len(data) > limits.max_bytes:
            raise _Refused(too_large)
        if not is_known and len(data) >= 12:  # nothing else is read to its end
            _type_of(bytes(data[:12]))
            is_known = True
    if answer.length:  # read with a number of bytes it does not raise by itself
        raise http.client.IncompleteRead(bytes(data), answer.length)
    return bytes(data)


def _type_of(data: bytes) -> Format:
    header = read_header(data)
    if header is None:
        raise _Refused("its bytes are no JPEG, PNG, GIF or WebP")
    return header.format
