"""What is tracked from when to when, how far sources were followed, what they covered."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from detectors.null import NullDetector
from hoaxwatch.cli import run as run_command
from storage import reads, recount, tracking, writes
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


def store(connection: Connection, tag: str, times: Sequence[datetime]) -> None:
    """A post with the hashtag at each of these times, counted."""
    posts = [
        Post(platform="p", post_id=f"{tag}{n}", root_id=f"{tag}{n}", posted_at=at, hashtags=(tag,))
        for n, at in enumerate(times)
    ]
    writes.prepare(connection)
    recount.prepare(connection)
    writes.activate_policy(connection, "null", "1", 0.5, 0.0, DAY)
    steps.record(connection, steps.prepare(posts, max(times)), NullDetector(), "key")
    steps.track(connection, local.track_options(read_settings()))


#: Used 40 times a day, tracked from this day on; the third day was not collected.
MARCH_8 = datetime(2026, 3, 8, tzinfo=UTC)


def store_steady(connection: Connection) -> None:
    times = [
        MARCH_8 + n * 24 * HOUR + k * timedelta(minutes=36) for n in (0, 1, 3) for k in range(40)
    ]
    store(connection, "steady", times)
    tracking.track(connection, [("steady", "steady")], "ada", MARCH_8)
    pulls = (
        Pull("here", "steady", "1", MARCH_8, MARCH_8 + 48 * HOUR),
        Pull("here", "steady", "2", MARCH_8 + 72 * HOUR, MARCH_8 + 96 * HOUR),
    )
    tracking.store_mark(connection, "here", Mark("1", pulls), MARCH_8)


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
        (
            *(row.bucket_start.day, row.is_tracked),
            *(row.covered_seconds / 3600, row.is_capped, row.errors),
        )
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
    assert [row.bucket_start.day for row in days_left] == [3, 4, 5]
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
    store(connection, "snow", [DAY + HOUR, DAY - HOUR])
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


def test_a_rise_over_days_that_were_not_collected_is_unknown(
    connection: Connection,
    database: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("HOAXWATCH_DATABASE", database)
    store_steady(connection)
    store(connection, "loud", [MARCH_8 + 72 * HOUR] * 3)  # of files: nobody was asked for it
    rises = {row.hashtag: row.rise for row in reads.read_hashtags(connection, 9, rising=True)}
    assert list(rises.items()) == [("loud", 3), ("steady", None)]
    assert run_command(["trends", "--rising"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert [line.split()[-1] for line in shown if "#" in line] == ["+3", "–"]
    # over the last day alone, the days before it of which all was collected stand for all
    since = MARCH_8 + 72 * HOUR
    rises = {row.hashtag: row.rise for row in reads.read_hashtags(connection, 9, since)}
    assert rises == {"steady": 0, "loud": 3}


def test_growth_over_days_that_were_not_collected_is_unknown(connection: Connection) -> None:
    store_steady(connection)
    store(connection, "loud", [MARCH_8 + 72 * HOUR, MARCH_8 + 96 * HOUR])
    found = connection.execute(
        "SELECT hashtag, extract(day FROM day AT TIME ZONE 'UTC')::int, posts, posts_before,"
        " growth, times::float8, authors_before FROM mart.hashtag_growth ORDER BY 1, 2"
    ).fetchall()
    assert found == [
        ("loud", 11, 1, 0, 1, None, 0),
        ("loud", 12, 1, 1, 0, 1.0, 0),
        ("steady", 8, 40, None, None, None, None),
        ("steady", 9, 40, 40, 0, 1.0, 0),
        ("steady", 11, 40, None, None, None, None),
    ]


@pytest.mark.parametrize(
    ("until", "capped", "growth"), [(60, None, None), (72, None, -1), (72, 48, None), (72, 72, -1)]
)
def test_growth_compares_whole_days(
    connection: Connection, until: int, capped: int | None, growth: int | None
) -> None:
    """The last day goes on, is whole, hit a cap at its first moment; or the day after did."""
    store(connection, "snow", [DAY + 30 * HOUR, DAY + 31 * HOUR, DAY + 50 * HOUR])
    tracking.track(connection, [("snow", "snow")], "ada", DAY)
    pulls = [pull("a", 0, 40), pull("b", 40, until)]
    pulls += [] if capped is None else [pull("c", capped, capped, is_capped=True)]
    tracking.store_mark(connection, "here", Mark("1", tuple(pulls)), DAY)
    rows = connection.execute("SELECT growth FROM mart.hashtag_growth ORDER BY day").fetchall()
    assert rows == [(2,), (growth,)]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (
            [],
            [("08", 40, 1), ("09", 40, 1), ("10", None, 0), ("11", 40, 1)],
        ),
        # Berlin is an hour before UTC
        (
            ["--tz", "Europe/Berlin"],
            [
                *(
                    ("08", 39, pytest.approx(23 / 24)),
                    ("09", 40, 1),
                    ("10", 1, pytest.approx(1 / 24)),
                ),
                *(("11", 39, pytest.approx(23 / 24)), ("12", 1, pytest.approx(1 / 24))),
            ],
        ),
    ],
)
def test_local_days_know_what_of_them_was_collected(
    connection: Connection,
    database: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    told: list[tuple[str, int | None, float]],
) -> None:
    monkeypatch.setenv("HOAXWATCH_DATABASE", database)
    store_steady(connection)
    assert run_command(["trends", "-t", "steady", "--json", *options]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(row["bucket_start"][8:10], row["posts"], row["collected"]) for row in found] == told
    assert run_command(["trends", "-t", "steady", *options]) == 0
    assert "collected" in capsys.readouterr().out


def test_hours_know_whether_they_were_collected(
    connection: Connection,
    database: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("HOAXWATCH_DATABASE", database)
    store_steady(connection)
    period = ["--since", "2026-03-09T22:00", "--until", "2026-03-10T02:00"]
    asked = ["trends", "-t", "steady", "--by", "hour", *period]
    assert run_command([*asked, "--json"]) == 0
    hours = json.loads(capsys.readouterr().out)
    assert [(row["bucket_start"][8:13], row["posts"], row["collected"]) for row in hours] == [
        *(("09T22", 2, 1), ("09T23", 1, 1), ("10T00", None, 0), ("10T01", None, 0))
    ]
    assert run_command(asked) == 0
    assert capsys.readouterr().out.count("not collected") == 2


def test_days_of_a_zone_are_as_long_as_its_clocks_make_them(connection: Connection) -> None:
    start = datetime(2026, 3, 28, tzinfo=UTC)
    tracking.track(connection, [("snow", "snow")], "ada", start)
    covered = Pull("here", "snow", "1", start - HOUR, start + 72 * HOUR)
    tracking.store_mark(connection, "here", Mark("1", (covered,)), start)
    days = tracking.read_coverage(connection, "snow", zone="Europe/Berlin")
    assert [(day.seconds // 3600, day.share) for day in days] == [
        *((24, 1), (23, 1), (24, 1), (24, pytest.approx(2 / 24)))
    ]


def test_coverage_that_ends_with_a_day_says_nothing_of_the_next(connection: Connection) -> None:
    store_steady(connection)
    days = connection.execute(
        "SELECT extract(day FROM day AT TIME ZONE 'UTC')::int, covered_seconds"
        " FROM mart.coverage_daily ORDER BY day"
    ).fetchall()
    assert days == [(8, 86_400), (9, 86_400), (10, 0), (11, 86_400)]
    failed = Pull("here", "steady", "3", MARCH_8 + 96 * HOUR, MARCH_8 + 96 * HOUR, error="429")
    tracking.store_mark(connection, "here", Mark("2", (failed,)), MARCH_8)
    assert [day.errors for day in tracking.read_coverage(connection, "steady")] == [0, 0, 0, 0, 1]
