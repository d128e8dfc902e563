"""The webhook, against servers that misbehave."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from storage.outbox import Alert
from streams.alerts.sink import SinkFailed
from streams.alerts.webhook import WebhookSink, sign
from streams.errors import UsageError

ALERT = Alert(
    *(7, "hashtag_surge", "tag:a", "#a: 60 posts in an hour", {"posts": ["x:1"]}, 2),
    delivery="hashtag_surge-7-20260302T120000",
)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
Serve = Callable[[socket.socket], None]


def read_request(connection: socket.socket) -> tuple[dict[str, str], bytes]:
    """Headers (names in small letters) and body of one request."""
    taken = b""
    while b"\r\n\r\n" not in taken:
        taken += connection.recv(65536)
    head, _, body = taken.partition(b"\r\n\r\n")
    pairs = (line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    headers = {name.lower(): value for name, value in pairs}
    while len(body) < int(headers["content-length"]):
        body += connection.recv(65536)
    return headers, body


@contextmanager
def server(*answers: Serve) -> Iterator[tuple[str, list[tuple[dict[str, str], bytes]]]]:
    """A server on loopback that answers one connection after the other so, and what it was sent."""
    requests: list[tuple[dict[str, str], bytes]] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            for answer in answers:
                connection, _ = listening.accept()
                with connection:
                    requests.append(read_request(connection))
                    answer(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/hook?token=hidden", requests
        thread.join(10)
        assert not thread.is_alive(), "the server waits for requests that never came"


def says(answer: bytes) -> Serve:
    return lambda connection: connection.sendall(answer)


def hangs(connection: socket.socket) -> None:
    """Says nothing until the other end hangs up."""
    connection.settimeout(10)
    assert connection.recv(1) == b""


def drips(connection: socket.socket) -> None:
    """A byte now and then, for ever: no single one is late."""
    try:
        for _ in range(200):
            connection.sendall(b"H")
            time.sleep(0.05)
    except OSError:
        return
    raise AssertionError("the client waited for all of it")


def sink(address: str, n_tries: int = 1) -> WebhookSink:
    return WebhookSink(
        address,
        "key",
        timeout_seconds=0.5,
        pauses_seconds=(0.01,) * (n_tries - 1),
        now=lambda: datetime(2026, 3, 2, tzinfo=UTC),
    )


def test_an_alert_is_posted_signed_and_named() -> None:
    with server(says(OK)) as (address, requests):
        sink(address).send(ALERT)
    ((headers, body),) = requests
    assert json.loads(body) == ALERT._asdict()
    timestamp = int(headers["x-hoaxwatch-timestamp"])
    assert timestamp == datetime(2026, 3, 2, tzinfo=UTC).timestamp()
    assert headers["x-hoaxwatch-signature"] == f"sha256={sign('key', timestamp, body)}"
    assert headers["x-hoaxwatch-signature"] != f"sha256={sign('other', timestamp, body)}"
    assert headers["x-hoaxwatch-signature"] != f"sha256={sign('key', timestamp + 1, body)}"
    assert headers["x-hoaxwatch-delivery"] == ALERT.delivery


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        (says(b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"), "answer 500"),
        (says(b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"), "answer 302"),
        (says(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nok"), "half an answer"),
        (says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"), "half an answer"),
        (says(b"not HTTP at all\r\n\r\n"), "half an answer"),
        (says(b""), "no connection"),
        (hangs, "no answer within 0.5 s"),
        (drips, "no answer within 0.5 s"),
    ],
    ids=["500", "redirect", "half a body", "half a chunk", "no HTTP", "nothing", "hang", "drip"],
)
def test_what_is_no_whole_answer_of_200_is_a_failure(answer: Serve, shown: str) -> None:
    with server(answer) as (address, _), pytest.raises(SinkFailed) as failed:
        sink(address).send(ALERT)
    assert shown in failed.value.shown
    assert "hidden" not in failed.value.shown


def test_it_tries_again_with_the_same_name() -> None:
    bad = says(b"HTTP/1.1 503 Later\r\nContent-Length: 0\r\n\r\n")
    with server(bad, hangs, says(OK)) as (address, requests):
        sink(address, n_tries=3).send(ALERT)
    assert {headers["x-hoaxwatch-delivery"] for headers, _ in requests} == {ALERT.delivery}
    assert len(requests) == 3


def test_it_gives_up_after_its_tries() -> None:
    bad = says(b"HTTP/1.1 503 Later\r\nContent-Length: 0\r\n\r\n")
    with server(bad, bad) as (address, requests), pytest.raises(SinkFailed, match="answer 503"):
        sink(address, n_tries=2).send(ALERT)
    assert len(requests) == 2


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with pytest.raises(SinkFailed, match="no connection"):
        sink(f"http://127.0.0.1:{port}/").send(ALERT)


@pytest.mark.parametrize(
    "address",
    [
        *("alerts.example", "ftp://alerts.example/", "https:///x", ""),
        *("https://h:99999/", "https://h:abc/", "http://[x/"),
    ],
)
def test_an_address_that_is_none(address: str) -> None:
    with pytest.raises(UsageError, match="alert_webhook is no address"):
        WebhookSink(address, "key")
