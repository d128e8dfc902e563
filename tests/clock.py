"""Tests that read the clock more than once."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta


def stay_within_a_day(seconds: float = 60.0) -> None:
    """Waits for the next day (UTC) if this one ends within so long: what is asked of the clock
    afterwards is of one day, and of one month."""
    left = 86_400 - _second_of_day(datetime.now(UTC))
    if left < seconds:
        time.sleep(left)


def _second_of_day(at: datetime) -> float:
    """Seconds since midnight.

    >>> _second_of_day(datetime(2026, 3, 2, 0, 1, 0, 500_000))
    60.5
    """
    return timedelta(
        hours=at.hour, minutes=at.minute, seconds=at.second, microseconds=at.microsecond
    ).total_seconds()
