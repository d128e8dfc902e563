"""Fetching one picture from hosts that misbehave, and from where nothing may be fetched."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Iterator
from threading import Event

import pytest

from streams import fetching
from streams.fetching import Failed, Fetched, FetchLimits, fetch, is_public
from tests.fakes.pictures import Pictures, png, running

HERE = FetchLimits(max_bytes=1_000_000, max_seconds=0.6, allows_private=True)


@pytest.fixture(scope="module")
def host() -> Iterator[Pictures]:
    with running(Pictures()) as fake:
        yield fake


def test_a_picture_comes_whole_with_its_type(host: Pictures) -> None:
    assert fetch(f"{host.url}/to/{host.url}/a.jpg?x=é", HERE) == Fetched(
        png(sum(b"/a.jpg?x=%C3%A9")), "PNG"
    )


@pytest.mark.parametrize(
    ("path", "reason", "is_passing"),
    [
        ("huge", "more than 1,000,000 bytes", False),
        ("endless", "more than 1,000,000 bytes", False),
        ("page", "its bytes are no JPEG, PNG, GIF or WebP", False),
        ("gzip", "its bytes are no JPEG, PNG, GIF or WebP", False),
        ("drip", "no answer within 0.6 s", True),
        ("dripping-head", "no answer within 0.6 s", True),
        ("half", "half an answer", True),
        ("down", "answer 503", True),
        ("gone", "answer 404", False),
        ("round", "more than 5 redirects", False),
        ("to/ftp://example.org/a.png", "no address of a picture on the web", False),
        ("to/http://a:b@example.org/a.png", "no address of a picture on the web", False),
        ("to/http://[::1/a.png", "no address of a picture on the web", False),
    ],
)
def test_what_goes_wrong_is_said_in_time(
    host: Pictures, path: str, reason: str, is_passing: bool
) -> None:
    began = time.monotonic()
    tracemalloc.start()
    found = fetch(f"{host.url}/{path}", HERE)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == Failed(reason, is_passing)
    assert time.monotonic() - began < 30
    assert peak < 12_000_000


def test_a_wait_that_is_asked_for_is_told(host: Pictures) -> None:
    assert fetch(f"{host.url}/busy/1", HERE) == Failed("answer 429", True, 0.0)


INSIDE = [
    *("127.0.0.1", "127.9.9.9", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1"),
    *("169.254.169.254", "100.64.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"),
    *("::1", "::", "fe80::1", "fc00::1", "ff02::1", "::ffff:127.0.0.1", "2002:7f00:1::"),
    *("64:ff9b::a00:1", "fe80::1%eth0", "fec0::1", "feff::1", "not-an-address"),
]


@pytest.mark.parametrize("address", INSIDE)
def test_nothing_inside_is_asked(
    address: str, host: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not is_public(address)

    def connect(*_: object) -> None:
        raise AssertionError("it was connected to")

    monkeypatch.setattr("socket.create_connection", connect)
    strict = HERE._replace(allows_private=False)
    found = fetch("http://pictures.example/a.png", strict, lambda h, p: ["93.184.216.34", address])
    assert found == Failed("an address that is not of the open internet")


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1", "::ffff:8.8.8.8"])
def test_the_open_internet_is_asked(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("inside", ["http://127.0.0.1:1/", "http://169.254.169.254/latest/"])
def test_a_redirect_inside_is_not_followed(
    host: Pictures, inside: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first address passes as public here, so that its host can answer."""
    port = host.url.rpartition(":")[2]
    passed = is_public
    monkeypatch.setattr(fetching, "is_public", lambda a: a == "127.0.0.1" or passed(a))
    names = {"outside.example": ["127.0.0.1"], "127.0.0.1": ["192.168.0.1"]}
    names["169.254.169.254"] = ["169.254.169.254"]
    strict = HERE._replace(allows_private=False)
    found = fetch(f"http://outside.example:{port}/to/{inside}", strict, lambda h, p: names[h])
    assert found == Failed("an address that is not of the open internet")
    assert host.asked[f"/to/{inside}"] == 1


def test_the_connection_goes_to_the_address_that_was_checked(
    host: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that means another address a moment later is asked for once."""
    port = int(host.url.rpartition(":")[2])
    answers = iter([["127.0.0.1"], ["192.0.2.1"]])
    monkeypatch.setattr(fetching, "is_public", lambda address: address == "127.0.0.1")
    strict = HERE._replace(allows_private=False)
    found = fetch(f"http://rebinding.example:{port}/b", strict, lambda h, p: next(answers))
    assert isinstance(found, Fetched)
    assert next(answers) == ["192.0.2.1"]  # nobody looked it up again


def test_a_name_whose_servers_hang_ends_in_time() -> None:
    is_over = Event()

    def hang(host: str, port: int) -> list[str]:
        is_over.wait(60)
        return []

    began = time.monotonic()
    try:
        assert fetch("https://a.example/x", HERE, hang) == Failed("its host is not known", True)
        assert time.monotonic() - began < 30
    finally:
        is_over.set()


def test_what_cannot_be_reached_may_come_later() -> None:
    def unknown(host: str, port: int) -> list[str]:
        raise OSError("no such name")

    assert fetch("https://a.example/x", HERE, unknown) == Failed("its host is not known", True)
    assert fetch("http://127.0.0.1:9/x", HERE) == Failed(
        "no connection (ConnectionRefusedError)", True
    )
