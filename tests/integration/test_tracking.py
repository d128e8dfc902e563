"""What is tracked from when to when, how far sources were followed, what they covered."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from detectors.null import NullDetector
from hoaxwatch.cli import run as run_command
from storage import recount, tracking, writes
from storage.database import Connection, connect
from storage.tracking import Mark, Pull
from streams import local, steps
from streams.records import Post
from streams.settings import read_settings

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


def test_who_forgets_and_who_marks_do_not_wait_for_each_other(
    connection: Connection, database: str
) -> None:
    account = pull("a", 0, 1, tag="from:12")
    connection.execute(
        "INSERT INTO hoaxwatch.tracked_accounts (platform, account_id, tracked_from, added_by)"
        " VALUES ('x', '12', %s, 'ada')",
        (DAY,),
    )
    mark = Mark(json.dumps({"done": {"from:12": "7"}}), (account,))
    tracking.store_mark(connection, "here", mark, DAY)

    def forget() -> None:
        with connect(database) as other, other.transaction(), other.cursor() as cursor:
            tracking.forget_asked(cursor, ["here"], "from:12")

    with ThreadPoolExecutor(1) as executor:
        with connection.transaction(), connection.cursor() as cursor:
            tracking.save_mark(cursor, "here", Mark(mark.cursor), DAY)
            forgotten = executor.submit(forget)
            deadline = time.monotonic() + 20
            while connection.execute("SELECT FROM pg_locks WHERE NOT granted").fetchone() is None:
                assert time.monotonic() < deadline
            tracking.save_mark(cursor, "here", Mark(pulls=(account,)), DAY)
        forgotten.result(20)
    assert tracking.read_cursor(connection, "here") == '{"done": {}}'
    assert tracking.read_pulls(connection) == []


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


def test_trends_never_show_what_was_not_collected_as_zero(
    connection: Connection,
    database: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Days with posts, half collected, whole without posts, capped, not collected at all."""
    monkeypatch.setenv("HOAXWATCH_DATABASE", database)
    tracking.track(connection, [("snow", "snow")], "ada", DAY)
    pulls = (
        *(pull("a", 0, 36), pull("b", 48, 72), pull("c", 72, 96, is_capped=True)),
        pull("d", 120, 121, error="silent"),
    )
    tracking.store_mark(connection, "here", Mark("1", pulls), DAY)
    batch = steps.prepare(
        [
            Post(platform="p", post_id="1", root_id="1", posted_at=DAY + HOUR, hashtags=("snow",)),
            Post(platform="p", post_id="2", root_id="2", posted_at=DAY - HOUR, hashtags=("Snow",)),
        ],
        DAY,
    )
    writes.prepare(connection)
    recount.prepare(connection)
    writes.activate_policy(connection, "null", "1", 0.5, 0.0, DAY)
    steps.record(connection, batch, NullDetector(), "key")
    steps.track(connection, local.track_options(read_settings()))
    assert run_command(["trends", "-t", "snow", "--json"]) == 0
    told = [
        (row["bucket_start"][8:10], row["posts"], row["collected"], row["is_capped"])
        for row in json.loads(capsys.readouterr().out)
    ]
    assert told == [
        ("01", 1, None, False),
        ("02", 1, 1.0, False),
        ("03", None, 0.5, False),
        ("04", 0, 1.0, False),
        ("05", None, 1.0, True),
        ("06", None, 0.0, False),
        ("07", None, pytest.approx(1 / 24), False),
    ]
    assert run_command(["trends", "-t", "snow"]) == 0
    shown = capsys.readouterr().out
    for words in ("not tracked", "50 %", "100 %, capped", "not collected", "4 %, 1 errors"):
        assert words in shown
