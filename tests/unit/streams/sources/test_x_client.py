"""The money of a month: what was spent is forgotten by a new month alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from streams.sources.x_client import Purse

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
