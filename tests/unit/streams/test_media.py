"""Hosts asked side by side: in turn, with pauses, and none holds up the others."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from streams.fetching import Failed, Fetched, FetchLimits
from streams.media import Manners, fetch_all
from streams.sources.following import Backoff
from tests.fakes.pictures import Pictures, running

HERE = FetchLimits(max_bytes=1_000_000, max_seconds=1.0, allows_private=True)
SOON = Manners(per_host=2, pause_seconds=0.0)


def quickly() -> Backoff:
    return Backoff(0.01)


@pytest.fixture
def host() -> Iterator[Pictures]:
    with running(Pictures()) as fake:
        yield fake


def test_a_host_has_few_requests_at_a_time_and_pauses(host: Pictures) -> None:
    addresses = [f"{host.url}/slow/{'x' * n}" for n in range(8)]
    found = dict(fetch_all(addresses, HERE, Manners(2, 0.03), backoff=quickly))
    assert set(found) == set(addresses)
    assert all(isinstance(f, Fetched) for f in found.values())
    assert host.most_at_once <= 2
    times = sorted(host.times)
    assert times[-1] - times[0] >= 7 * 0.03 * 0.9


def test_what_passes_is_tried_again(host: Pictures) -> None:
    addresses = [f"{host.url}/busy/1", f"{host.url}/gone/1", f"{host.url}/half/1"]
    found = dict(fetch_all(addresses, HERE, SOON, backoff=quickly))
    assert isinstance(found[addresses[0]], Fetched)
    assert found[addresses[1]] == Failed("answer 404")
    assert found[addresses[2]] == Failed("half an answer", True)
    assert host.asked["/gone/1"] == 1
    assert host.asked["/half/1"] == 3


def test_a_host_that_fails_holds_up_no_other(host: Pictures) -> None:
    with running(Pictures()) as bad:
        addresses = [f"{bad.url}/down/{n}" for n in range(50)]
        addresses += [f"{host.url}/good/{n}" for n in range(20)]
        found = dict(fetch_all(addresses, HERE, SOON, backoff=quickly))
        assert sum(bad.asked.values()) <= 3 * (3 + SOON.per_host)
    assert sum(isinstance(f, Fetched) for f in found.values()) == 20
    assert 3 <= sum(isinstance(f, Failed) for f in found.values()) <= 3 + SOON.per_host


def test_a_pass_ends_in_its_time(host: Pictures) -> None:
    addresses = [f"{host.url}/slow/{n}" for n in range(500)]
    began = time.monotonic()
    found = dict(fetch_all(addresses, HERE, Manners(2, 0.1, max_seconds=0.35), backoff=quickly))
    assert 1 <= len(found) <= 8
    assert time.monotonic() - began < 20


def test_it_can_be_left_in_the_middle(host: Pictures) -> None:
    addresses = [f"{host.url}/good/{n}" for n in range(200)]
    found = fetch_all(addresses, HERE, SOON, backoff=quickly)
    next(found)
    found.close()  # type: ignore[attr-defined]
    assert sum(host.asked.values()) < 200
