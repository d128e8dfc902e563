"""The money of a month: what was spent is forgotten by a new month alone, of X's clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from streams.settings import read_settings
from streams.sources import x_client
from streams.sources.x_client import Purse, Spent, XClient

APRIL = datetime(2026, 4, 1, tzinfo=UTC)
MARCH = APRIL - timedelta(seconds=1)


def page(*ids: str) -> dict[str, object]:
    return {"data": [{"id": x_id} for x_id in ids]}


def test_a_new_month_begins_at_nothing() -> None:
    purse = Purse(1.0, 0.5, 0.5)
    purse.pay(page("1", "2"), MARCH)
    assert purse.is_empty(MARCH)
    assert not purse.is_empty(APRIL)
    assert (purse.month, purse.spent) == ("2026-04", 0.0)


def test_a_clock_that_is_behind_brings_no_month_back() -> None:
    purse = Purse(1.0, 0.5, 0.5)
    purse.pay(page("1"), APRIL)
    assert not purse.is_empty(MARCH)
    purse.pay(page("2"), MARCH)
    assert purse.is_empty(APRIL)
    assert (purse.month, purse.spent) == ("2026-04", 1.0)


def test_the_time_that_x_told_goes_on_between_its_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """By what passed here, whatever this machine's clock says: a month ends on an open stream."""
    passed = SimpleNamespace(monotonic=lambda: 7.0)
    monkeypatch.setattr(x_client, "time", passed)
    client = XClient(
        read_settings(x_bearer_token="good", x_budget_usd=0.01, x_post_usd=0.01), print
    )
    client._host._note_clock("Tue, 31 Mar 2026 23:59:59 GMT")
    assert client.now() == MARCH
    client.purse.pay(page("1"), client.now())
    assert client.is_spent()
    passed.monotonic = lambda: 9.5
    assert client.now() == APRIL + timedelta(seconds=1.5)
    assert not client.is_spent()


def test_a_month_that_a_wrong_clock_began_becomes_the_present_one_with_what_was_spent() -> None:
    """One that begins within a day stays: clocks differ a little."""
    purse = Purse(1.0, 0.5, 0.5)
    purse.resume(Spent("2026-04", 0.5))
    purse.correct(MARCH)
    assert (purse.month, purse.spent) == ("2026-04", 0.5)
    purse.resume(Spent("2026-05", 0.5))
    purse.correct(MARCH)
    assert (purse.month, purse.spent) == ("2026-03", 0.5)
    assert not purse.is_empty(MARCH)
    purse.pay(page("1", "2"), APRIL)
    assert (purse.month, purse.spent) == ("2026-04", 1.0)
