"""What is tracked from when to when, how far sources were followed, what they covered."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from storage import tracking
from storage.database import Connection, connect
from storage.tracking import Mark, Pull

DAY = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with connect(database) as opened:
        yield opened


def pull(name: str, start: float, end: float, tag: str = "snow", **told: object) -> Pull:
    """A pull that covers hours of DAY."""
    return Pull("here", tag, name, DAY + start * HOUR, DAY + end * HOUR)._replace(**told)  # type: ignore[arg-type]


def test_what_was_tracked_is_history(connection: Connection) -> None:
    assert tracking.track(connection, [("snow", "Snow"), ("ice", "ice")], "ada", DAY) == [
        "ice",
        "snow",
    ]
    assert tracking.track(connection, [("snow", "SNOW")], "bo", DAY + HOUR) == []
    assert tracking.untrack(connection, ["snow", "rain"], "bo", DAY + 2 * HOUR) == ["snow"]
    assert [row.hashtag for row in tracking.read_tracked(connection)] == ["ice"]
    assert tracking.track(connection, [("snow", "snow")], "ada", DAY + 3 * HOUR, "back") == ["snow"]
    told = [
        (row.hashtag, row.tracked_from, row.tracked_until, row.added_by, row.removed_by, row.note)
        for row in tracking.read_tracked(connection, with_history=True)
    ]
    assert told == [
        ("ice", DAY, None, "ada", None, None),
        ("snow", DAY, DAY + 2 * HOUR, "ada", "bo", None),
        ("snow", DAY + 3 * HOUR, None, "ada", None, "back"),
    ]


def test_a_mark_is_stored_whole_and_a_pull_that_goes_on_has_one_row(connection: Connection) -> None:
    assert tracking.read_cursor(connection, "here") is None
    first = Mark("1", (pull("a", 0, 1, got=2),), (7, -8))
    tracking.store_mark(connection, "here", first, DAY)
    later = Mark(None, (pull("a", 0, 2, got=3), pull("a", 0, 3, got=5, error="gone")), (7, 9))
    tracking.store_mark(connection, "here", later, DAY + HOUR)
    tracking.store_mark(connection, "there", Mark("x"), DAY)
    assert tracking.read_cursor(connection, "here") == "1"
    assert tracking.read_kept(connection, "here") == [7, -8, 9]
    assert tracking.read_kept(connection, "here", limit=1) == [9]
    assert tracking.read_pulls(connection) == [pull("a", 0, 3, got=5, error="gone")]
    assert tracking.read_pulls(connection, source="there") == []


def test_a_day_knows_what_of_it_was_collected(connection: Connection) -> None:
    """Sources overlap, pulls cross midnight, an error covers nothing, a day is missing."""
    tracking.track(connection, [("snow", "snow")], "ada", DAY + 6 * HOUR)
    pulls = (
        pull("a", 6, 12),
        pull("b", 11, 26, is_capped=True),
        pull("c", 30, 30, error="429"),
        pull("d", 74, 80),
        pull("e", 80, 100, tag="ice"),
    )
    tracking.store_mark(connection, "here", Mark("1", pulls), DAY)
    days = [
        (row.day.day, row.is_tracked, row.covered_seconds / 3600, row.is_capped, row.errors)
        for row in tracking.read_coverage(connection, "snow")
    ]
    assert days == [
        (2, True, 18, True, 0),
        (3, True, 2, True, 1),
        (4, True, 0, False, 0),
        (5, True, 6, False, 0),
        (6, True, 0, False, 0),  # another hashtag was collected on it
    ]
    tracking.untrack(connection, ["snow"], "ada", DAY + 75 * HOUR)
    days_left = tracking.read_coverage(connection, "snow", since=DAY + 24 * HOUR)
    assert [row.day.day for row in days_left] == [3, 4, 5]
    assert tracking.read_coverage(connection, "ice") == []  # never tracked
