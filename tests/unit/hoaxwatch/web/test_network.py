"""The network as the page is sent it: columns that fit together, and layouts that are kept."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any

import pytest

from graph.coordination import index_actions
from graph.spread import microseconds
from hoaxwatch.pictures import UserPicture, plan_users
from hoaxwatch.web.network import Layouts, coordinated_accounts, network_answer
from storage.reads import LinkRow, UserRow

START = datetime(2026, 3, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def link(shared: str, sharer: str, minute: int, judged: int = 0, likely_false: int = 0) -> LinkRow:
    at = START + minute * MINUTE
    return LinkRow(f"x:{shared}", f"x:{sharer}", 2, judged, likely_false, at, at + MINUTE)


LINKS = [link("a", "b", 5, 2, 2), link("a", "c", 1), link("b", "c", 3), link("d", "e", 2)]


def test_columns_fit_together() -> None:
    users = {"x:a": UserRow("x:a", "ann", 7)}
    found = network_answer(Layouts().plan(LINKS, 100, 1), LINKS, users, {"x:b"})
    accounts, links = found["accounts"], found["links"]
    assert accounts["name"] == ["x:a", "x:b", "x:c", "x:d", "x:e"]
    assert accounts["handle"] == ["ann", None, None, None, None]
    assert accounts["followers"] == [7, None, None, None, None]
    assert accounts["coordinated"] == [False, True, False, False, False]
    assert accounts["level"] == [4, 4, -1, -1, -1]
    assert accounts["times_shared"] == [4, 2, 0, 2, 0]
    begun = list(zip(links["shared"], links["sharer"], links["first_at"], strict=True))
    start = int(START.timestamp())
    assert begun == [
        (0, 2, start + 60),
        (3, 4, start + 120),
        (1, 2, start + 180),
        (0, 1, start + 300),
    ]
    assert (found["n_accounts"], found["n_links"], found["n_shares"]) == (5, 4, 8)
    assert sum(found["community_sizes"]) == 5


def test_what_is_cut_is_counted() -> None:
    links = [link("hub", f"s{i}", i) for i in range(30)] + [link("far", "away", 1)]
    found = network_answer(Layouts().plan(links, 10, 1), links, {}, ())
    assert found["n_accounts"] == 33 and found["n_links"] == 31
    assert found["n_shown"] <= 10 and found["n_links_shown"] < 31
    assert max(found["links"]["shared"] + found["links"]["sharer"]) < found["n_shown"]


def test_no_links_are_no_network() -> None:
    found = network_answer(Layouts().plan([], 10, 1), [], {}, ())
    assert found["n_shown"] == found["n_accounts"] == 0 and found["first_at"] is None


def test_a_layout_is_made_once_and_anew_when_something_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[int] = []

    def counted(links: Sequence[LinkRow], names: Any, *, limit: int, seed: int) -> UserPicture:
        made.append(limit)
        return plan_users(links, names, limit=limit, seed=seed)

    monkeypatch.setattr("hoaxwatch.web.network.plan_users", counted)
    monkeypatch.setattr("hoaxwatch.web.network.N_KEPT", 2)
    layouts = Layouts()
    assert layouts.plan(LINKS, 10, 1) is layouts.plan(list(LINKS), 10, 1)
    assert len(made) == 1
    layouts.plan([*LINKS[:3], LINKS[3]._replace(likely_false=1, judged=1)], 10, 1)
    layouts.plan(LINKS, 11, 1)
    assert len(made) == 3
    layouts.plan(LINKS, 10, 1)  # two are kept: this one went first
    assert len(made) == 4


def test_a_small_layout_does_not_wait_for_a_large_one(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, may_end = Event(), Event()

    def slow(links: Sequence[LinkRow], names: Any, *, limit: int, seed: int) -> UserPicture:
        if limit == 5000:
            begun.set()
            may_end.wait(30)
        return plan_users(links, names, limit=limit, seed=seed)

    monkeypatch.setattr("hoaxwatch.web.network.plan_users", slow)
    layouts = Layouts()
    with ThreadPoolExecutor() as threads:
        large = threads.submit(layouts.plan, LINKS, 5000, 1)
        assert begun.wait(30)
        small = threads.submit(layouts.plan, LINKS, 10, 1)
        try:
            assert small.result(5).n_users == 5
        finally:
            may_end.set()
        assert large.result() is layouts.plan(LINKS, 5000, 1)


def test_who_shares_the_same_within_a_minute_again_and_again_is_coordinated() -> None:
    shares = []
    for i in range(12):
        root, at = f"x:r{i}", START + timedelta(hours=5 * i)
        for n, account in enumerate(("one", "two", "three")):
            shares.append((f"x:{account}", root, at + 2 * MINUTE + n * timedelta(seconds=5)))
        for n in range(6):
            late = at + timedelta(minutes=17 * (n + 1) + i)
            shares.append((f"x:reader{(i + n) % 9}", root, late))
    accounts, contents, times = zip(*shares, strict=True)
    found = coordinated_accounts(index_actions(accounts, contents, list(map(microseconds, times))))
    assert found == {"x:one", "x:two", "x:three"}
