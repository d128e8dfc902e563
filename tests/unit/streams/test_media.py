"""Hosts asked side by side: in turn, with pauses, and none holds up the others."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from streams.fetching import Failed, Fetched, FetchLimits, fetch
from streams.media import MOST_AT_ONCE, Failing, Manners, fetch_all
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
    found.close()
    assert sum(host.asked.values()) < 200


def test_hosts_that_hang_hold_up_neither_the_pass_nor_other_hosts(host: Pictures) -> None:
    """More of them than there are threads, and asked first."""
    with ExitStack() as stack:
        bad = [stack.enter_context(running(Pictures())) for _ in range(MOST_AT_ONCE)]
        addresses = [f"{one.url}/hang/{n}" for one in bad for n in range(2)]
        good = [f"{host.url}/good/{n}" for n in range(9)]
        began = time.monotonic()
        manners = Manners(2, 0.0, max_seconds=20.0)
        found = dict(fetch_all([*addresses, *good], HERE, manners, backoff=quickly))
        assert time.monotonic() - began < 60
    assert all(isinstance(found.get(address), Fetched) for address in good)


def test_what_the_end_of_the_pass_cut_off_is_not_blamed_on_its_host(host: Pictures) -> None:
    failing = Failing()
    manners = Manners(2, 0.0, max_seconds=0.3)
    found = list(fetch_all([f"{host.url}/hang/1"], HERE, manners, failing=failing))
    assert found == [] and failing[host.url.partition("//")[2]] == 0


def test_what_hung_for_its_whole_time_is_said_though_the_pass_ends_before_it_is_tried_again(
    host: Pictures,
) -> None:
    failing = Failing()
    manners = Manners(1, 0.0, max_seconds=20.0)
    found = dict(
        fetch_all(
            [f"{host.url}/hang/1"], HERE, manners, backoff=lambda: Backoff(60), failing=failing
        )
    )
    assert found == {f"{host.url}/hang/1": Failed("no answer within 1 s", True)}
    assert failing[host.url.partition("//")[2]] == 1


def test_a_host_that_failed_is_left_alone_by_the_next_passes_for_a_while(host: Pictures) -> None:
    failing = Failing(left_alone_seconds=2.0)
    addresses = [f"{host.url}/down/{n}" for n in range(50)]
    for _ in range(3):
        list(fetch_all(addresses, HERE, SOON, backoff=quickly, failing=failing))
    n_asked = sum(host.asked.values())
    assert n_asked <= 3 * (3 + SOON.per_host)
    assert list(fetch_all([f"{host.url}/good"], HERE, SOON, failing=failing)) == []
    time.sleep(2)
    ((_, found),) = fetch_all([f"{host.url}/good"], HERE, SOON, failing=failing)
    assert isinstance(found, Fetched)
    assert failing[host.url.partition("//")[2]] == 0


def test_an_error_of_ours_costs_one_picture(host: Pictures) -> None:
    def careless(address: str, limits: FetchLimits) -> Fetched | Failed:
        if address.endswith("1"):
            raise KeyError(address)
        return fetch(address, limits)

    addresses = [f"{host.url}/good/{n}" for n in range(3)]
    found = dict(fetch_all(addresses, HERE, SOON, careless, quickly))
    assert found[addresses[1]] == Failed("an error of ours (KeyError)", True)
    assert isinstance(found[addresses[2]], Fetched)
