"""Periods in the hours and days that tables have, and queries that see one moment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import psycopg
from psycopg.pq import TransactionStatus

Grain = str  # "hour" or "day"


@contextmanager
def one_snapshot(connection: psycopg.Connection) -> Iterator[None]:
    """Inside, every query of an idle connection sees the database as it was at the first."""
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield


@contextmanager
def as_at_one_moment(connection: psycopg.Connection) -> Iterator[None]:
    """Inside, every query sees the database as it was at the first, unless the caller's transaction
    says otherwise."""
    if connection.info.transaction_status is TransactionStatus.IDLE:
        with one_snapshot(connection):
            yield
    else:
        yield


class Period(NamedTuple):
    """From (included) and to (excluded); None: open."""

    since: datetime | None
    until: datetime | None


_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)


#: No post is from later than this; near the end of the calendar there is no next day.
_LATEST = datetime(9999, 1, 1, tzinfo=UTC)


def whole_hours(since: datetime | None, until: datetime | None) -> Period:
    """The hours (UTC) that a period touches: tables count by hour and know no parts of one.

    >>> until = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
    >>> whole_hours(None, until).until.hour
    10
    """
    return Period(since and _begin(since, _HOUR), until and _end(until, _HOUR))


def whole_days(since: datetime | None, until: datetime | None) -> Period:
    """The days (UTC) that a period touches.

    >>> until = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
    >>> whole_days(None, until).until.day
    3
    """
    return Period(since and _begin(since, _DAY), until and _end(until, _DAY))


def whole_hours_and_days(since: datetime | None, until: datetime | None, zone: str) -> Period:
    """The hours (UTC) that a period touches; where it begins or ends with a day of a time zone, it
    does so, also within an hour.

    >>> midnight = datetime(2026, 3, 2, 18, 30, tzinfo=UTC)
    >>> end = midnight + timedelta(hours=1)
    >>> period = whole_hours_and_days(midnight, end, "Asia/Kolkata")
    >>> [f"{at:%H:%M}" for at in period if at]
    ['18:30', '20:00']
    >>> whole_hours_and_days(None, datetime.max, "Asia/Kolkata").until.year
    9999
    """
    local, hours = ZoneInfo(zone), whole_hours(since, until)
    return Period(
        since if since and _is_midnight(since, local) else hours.since,
        until if until and _is_midnight(until, local) else hours.until,
    )


def _begin(at: datetime, step: timedelta) -> datetime:
    """The start of the hour or day in which a moment is."""
    hour = min(_in_utc(at), _LATEST).replace(minute=0, second=0, microsecond=0)
    return hour if step == _HOUR else hour.replace(hour=0)


def _in_utc(at: datetime) -> datetime:
    """The same moment; one without a time zone is UTC."""
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _is_midnight(at: datetime, local: ZoneInfo) -> bool:
    try:
        return _in_utc(at).astimezone(local).time() == time()
    except OverflowError:  # it is not in the calendar there
        return False


def _end(at: datetime, step: timedelta) -> datetime:
    """The end of the hour or day that goes on just before a moment."""
    begin = _begin(at, step)
    return begin if begin == at.replace(tzinfo=at.tzinfo or UTC) else begin + step


def in_days_and_hours(period: Period) -> list[tuple[Grain, Period]]:
    """A period as tables have it, in order of time: the whole days in it, and hours before them and
    after them where it begins or ends within a day."""
    since, until = whole_hours(*period)
    first, last = since and _end(since, _DAY), until and _begin(until, _DAY)
    if first and last and first > last:
        return [("hour", Period(since, until))]
    parts = [("hour", Period(since, first)), ("day", Period(first, last))]
    parts += [("hour", Period(last, until))]
    return [part for part in parts if part[0] == "day" or part[1].since != part[1].until]
