"""What was believed on a day stays known, whatever the tables say later."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from threading import Barrier, Thread
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from hoaxwatch import cli
from storage import history, labels, reads
from storage.backup import dump, restore
from storage.database import Connection, connect
from storage.grants import grant_analyst, revoke
from storage.history import Snapshot, take_snapshot
from storage.labels import Label
from streams import local, steps
from streams.metrics import Metrics
from streams.records import Author, Deletion
from streams.settings import Settings, read_settings
from streams.workers import Jobs
from tests.clock import stay_within_a_day
from tests.integration.test_merge import DETECTOR, NOON, OPTIONS, post, rows, take, working
from tests.marker import MarkerDetector

if TYPE_CHECKING:
    from tests.conftest import Server

DAY = timedelta(days=1)
MIDNIGHT = datetime(2026, 3, 3, 0, 5, tzinfo=UTC)  # the night after NOON
MIDNIGHT_BEFORE = datetime(2026, 3, 2, tzinfo=UTC)
FIRST, SECOND, THIRD = (date(2026, 3, day) for day in (2, 3, 4))
OK, USAGE = 0, 2


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with working(database) as opened:
        yield opened


def believed(connection: Connection, as_of: date) -> list[tuple[Any, ...]]:
    return connection.execute(
        "SELECT hashtag, day::date, posts, likely_false, since_snapshot::date"
        " FROM mart.trends_as_of(%s) ORDER BY 1, 2",
        (as_of,),
    ).fetchall()


def taken(connection: Connection, at: datetime) -> Snapshot:
    found = take_snapshot(connection, at)
    assert found is not None
    return found


def test_what_comes_later_changes_nothing_that_was_believed(connection: Connection) -> None:
    take(connection, [post("1", hashtags=("a",)), post("2", hashtags=("a", "b"))])
    assert taken(connection, MIDNIGHT)[2:4] == (2, 2)
    first = [("a", FIRST, 2, 0, FIRST), ("b", FIRST, 1, 0, FIRST)]
    assert believed(connection, FIRST) == first
    # a post of the same day that comes a day late, and a label
    take(connection, [post("3", hashtags=("a",), text="hoax")])
    labels.add_labels(connection, [Label("x", "2", "likely_false", None)], "ann", NOON)
    steps.track(connection, OPTIONS)
    assert believed(connection, FIRST) == first
    assert taken(connection, MIDNIGHT + DAY)[2:4] == (2, 2)
    second = [("a", FIRST, 3, 2, SECOND), ("b", FIRST, 1, 1, SECOND)]
    assert believed(connection, SECOND) == second
    assert believed(connection, FIRST) == first
    assert believed(connection, FIRST - DAY) == []


def test_only_what_is_not_as_before_takes_room(connection: Connection) -> None:
    take(connection, [post(f"{n}", hashtags=(f"t{n}",)) for n in range(20)])
    assert taken(connection, MIDNIGHT).n_changed == 20
    assert taken(connection, MIDNIGHT + DAY).n_changed == 0
    take(connection, [post("late", hashtags=("t3",))])
    assert taken(connection, MIDNIGHT + 2 * DAY)[2:4] == (20, 1)
    assert len(believed(connection, THIRD)) == 20
    assert rows(connection, "SELECT count(*) FROM hoaxwatch.trend_snapshots") == [(21,)]


def test_once_a_day_and_only_days_that_are_over(connection: Connection) -> None:
    assert take_snapshot(connection, MIDNIGHT) is None, "there is nothing to write down"
    take(connection, [post("1", hashtags=("a",)), post("2", hashtags=("a",), posted_at=MIDNIGHT)])
    assert taken(connection, MIDNIGHT).snapshot_day == datetime(2026, 3, 2, tzinfo=UTC)
    take(connection, [post("3", hashtags=("a",))])
    assert take_snapshot(connection, MIDNIGHT + timedelta(hours=5)) is None
    assert believed(connection, FIRST) == [("a", FIRST, 1, 0, FIRST)]
    # nobody was there on the 4th: what stood on the 3rd stands
    assert taken(connection, MIDNIGHT + DAY).n_rows == 2
    assert taken(connection, MIDNIGHT + 3 * DAY).n_changed == 0
    assert believed(connection, THIRD) == believed(connection, SECOND)


def test_what_waits_to_be_counted_is_said(connection: Connection) -> None:
    take(connection, [post("1", hashtags=("a",))])
    batch = steps.prepare([post("2", hashtags=("a",))], NOON)
    steps.record(connection, batch, DETECTOR, "key")
    assert taken(connection, MIDNIGHT).dirty_buckets == 1
    assert believed(connection, FIRST) == [("a", FIRST, 1, 0, FIRST)]


COUNTING: dict[str, Callable[[str, Settings], object]] = {
    "count_again": local.count_again,
    "adopt": lambda dsn, settings: local.adopt(dsn, MarkerDetector("2"), settings),
    "remap": lambda dsn, settings: local.remap(dsn, DETECTOR, settings),
    "replay": lambda dsn, settings: local.replay(dsn, DETECTOR, settings),
    "forget": lambda dsn, settings: local.forget(
        dsn, Deletion(platform="x", kind="post", deleted_id="2"), DETECTOR, settings
    ),
    "keep_from": lambda dsn, settings: local.keep_from(dsn, MIDNIGHT_BEFORE, settings),
}


@pytest.mark.parametrize("path", COUNTING)
def test_who_counts_first_on_a_day_writes_down_what_was_believed(
    connection: Connection, database: str, path: str
) -> None:
    stay_within_a_day()
    take(connection, [post("1", hashtags=("a",)), post("2", hashtags=("a",))])
    labels.add_labels(connection, [Label("x", "1", "likely_false", None)], "ann", NOON)
    COUNTING[path](database, read_settings())
    counted = rows(connection, "SELECT likely_false FROM mart.hashtag_trends_daily")
    assert counted == [(1,)]
    yesterday = history.day_before(datetime.now(UTC)).date()
    assert believed(connection, yesterday) == [("a", FIRST, 2, 0, yesterday)]


def test_two_at_the_same_time_take_one(connection: Connection, database: str) -> None:
    take(connection, [post(f"{n}", hashtags=(f"t{n}",)) for n in range(50)])
    together = Barrier(4)
    found: list[Snapshot | None] = []

    def one() -> None:
        with connect(database) as own:
            together.wait()
            found.append(take_snapshot(own, MIDNIGHT))

    threads = [Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [snapshot is None for snapshot in found].count(False) == 1
    assert len(believed(connection, FIRST)) == 50


def test_a_deletion_leaves_numbers_and_no_names(connection: Connection) -> None:
    take(connection, [post("1", hashtags=("a", "justanns")), post("2", hashtags=("a",))])
    taken(connection, MIDNIGHT)
    take(connection, [Deletion(platform="x", kind="post", deleted_id="1")])
    assert believed(connection, FIRST) == [("a", FIRST, 2, 0, FIRST)], "only she used the other"
    taken(connection, MIDNIGHT + DAY)
    assert believed(connection, SECOND) == [("a", FIRST, 1, 0, SECOND)]
    take(connection, [Deletion(platform="x", kind="author", deleted_id="a2")])
    assert rows(connection, "SELECT * FROM hoaxwatch.trend_snapshots") == []


def test_a_name_that_only_the_deleted_used_does_not_come_back(connection: Connection) -> None:
    take(connection, [post("1", hashtags=("a", "justanns")), post("2", hashtags=("a",))])
    taken(connection, MIDNIGHT)
    gone = steps.prepare([Deletion(platform="x", kind="author", deleted_id="a1")], NOON)
    steps.record(connection, gone, DETECTOR, "key")
    taken(connection, MIDNIGHT + DAY)  # before it is counted
    for table, column in (
        ("trend_snapshots", "hashtag"),
        ("hashtag_trends", "hashtag"),
        ("hashtag_pairs", "hashtag_b"),
    ):
        query = f"SELECT FROM hoaxwatch.{table} WHERE {column} = 'justanns'"
        assert rows(connection, query) == [], table
    assert believed(connection, SECOND) == [("a", FIRST, 2, 0, FIRST)]


def test_what_was_counted_before_the_floor_and_is_of_several_stays(
    connection: Connection, database: str
) -> None:
    readings = [
        post("1", hashtags=("a", "justanns")),
        post("2", hashtags=("a",)),
        post("3", hashtags=("a", "justanns"), posted_at=NOON + DAY, author=Author(author_id="a1")),
    ]
    take(connection, readings)
    taken(connection, MIDNIGHT + DAY)
    local.keep_from(database, MIDNIGHT.replace(minute=0), read_settings())
    take(connection, [Deletion(platform="x", kind="author", deleted_id="a1")])
    later = datetime.now(UTC) + DAY  # who raises the floor counts, and takes one of today
    taken(connection, later)
    assert rows(connection, "SELECT DISTINCT hashtag FROM hoaxwatch.hashtag_trends") == [("a",)]
    assert rows(connection, "SELECT DISTINCT hashtag FROM hoaxwatch.trend_snapshots") == [("a",)]
    assert believed(connection, later.date()) == [("a", FIRST, 2, 0, SECOND)]


def test_a_bucket_that_is_gone_is_gone_from_then_on(connection: Connection) -> None:
    take(connection, [post("1", hashtags=("a",)), post("2", hashtags=("a",), posted_at=NOON - DAY)])
    taken(connection, MIDNIGHT)
    take(connection, [Deletion(platform="x", kind="post", deleted_id="1")])
    assert taken(connection, MIDNIGHT + DAY)[2:4] == (1, 1)
    assert len(believed(connection, FIRST)) == 2
    assert [row[1] for row in believed(connection, SECOND)] == [FIRST - DAY]
    take(connection, [post("3", hashtags=("a",))])
    taken(connection, MIDNIGHT + 2 * DAY)
    assert len(believed(connection, THIRD)) == 2


def test_a_worker_takes_it_when_a_day_is_over(connection: Connection, database: str) -> None:
    take(connection, [post("1", hashtags=("a",))])
    stay_within_a_day()
    jobs = Jobs(database, read_settings(), None, Any, Metrics("track"))  # type: ignore[arg-type]
    jobs._matcher = _NoClaims()  # type: ignore[assignment]
    jobs()
    jobs.close()
    (day,) = rows(connection, "SELECT snapshot_day FROM mart.snapshots")
    assert day == (history.day_before(datetime.now(UTC)),)


class _NoClaims:
    def refresh(self, connection: Connection) -> bool:
        return False


def test_an_analyst_may_ask(server: Server, connection: Connection, database: str) -> None:
    take(connection, [post("1", hashtags=("a",))])
    taken(connection, MIDNIGHT)
    name = conninfo_to_dict(database)["dbname"]
    with psycopg.connect(server.admin, autocommit=True) as admin:
        admin.execute("CREATE ROLE historian LOGIN")
    try:
        grant_analyst(connection, "historian")
        with psycopg.connect(make_conninfo(server.admin, dbname=name), autocommit=True) as opened:
            opened.execute("SET SESSION AUTHORIZATION historian")
            assert len(believed(opened, FIRST)) == 1
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                opened.execute("SELECT * FROM hoaxwatch.trend_snapshots")
    finally:
        revoke(connection, "historian")
        with psycopg.connect(server.admin, autocommit=True) as admin:
            admin.execute("DROP ROLE historian")


def test_history_goes_with_a_dump(server: Server, connection: Connection, tmp_path: Path) -> None:
    take(connection, [post("1", hashtags=("a",))])
    taken(connection, MIDNIGHT)
    dump(connection, tmp_path / "a.zip", "a", "key")
    with server.new_database() as other, connect(other) as empty:
        restore(empty, tmp_path / "a.zip", "key")
        assert believed(empty, FIRST) == believed(connection, FIRST) != []


def test_the_list_and_the_days_are_as_they_were(connection: Connection) -> None:
    late = [post(f"b{n}", hashtags=("b",)) for n in range(5)]
    take(connection, [post("1", hashtags=("a",)), post("2", hashtags=("a",)), late[0]])
    taken(connection, MIDNIGHT)
    then = reads.read_hashtags(connection, 9)
    days = reads.read_trends(connection, "a", "day")
    take(connection, late)
    assert [row.hashtag for row in reads.read_hashtags(connection, 9)] == ["b", "a"]
    assert reads.read_hashtags(connection, 9, as_of=FIRST) == then
    assert reads.read_hashtags(connection, 9, rising=True, as_of=FIRST) == then
    assert history.read_trends_as_of(connection, FIRST, "a") == days
    assert history.read_trends_as_of(connection, FIRST, "a", until=NOON - DAY) == []


def test_the_command(
    connection: Connection, database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    stay_within_a_day()
    at = ["--database", database]

    def told(*arguments: str, code: int = OK) -> str:
        capsys.readouterr()
        assert cli.run(["trends", *arguments, *at]) == code
        printed = capsys.readouterr()
        return printed.err if code or not printed.out else printed.out

    assert "no snapshot was taken yet" in told("--as-of", "2026-03-02", code=USAGE)
    assert "nothing stored yet" in told("snapshot")
    take(connection, [post("1", hashtags=("a",))])
    yesterday = f"{history.day_before(datetime.now(UTC)):%Y-%m-%d}"
    assert f"{yesterday} snapshot: 1 days of hashtags, 1 not as before" in told("snapshot")
    assert f"{yesterday} had its snapshot" in told("snapshot")
    assert json.loads(told("snapshot", "--json"))["is_new"] is False
    take(connection, [post("2", hashtags=("a",))])
    (then,) = json.loads(told("--as-of", yesterday, "--json"))
    assert cli.run(["trends", "--as-of", yesterday, *at]) == OK
    assert f"written down on {datetime.now(UTC):%Y-%m-%d}" in capsys.readouterr().err
    (now,) = json.loads(told("--json"))
    assert (then["posts"], now["posts"]) == (1, 2)
    (day,) = json.loads(told("--as-of", yesterday, "-t", "a", "--json"))
    assert day["posts"] == 1
    assert f"as believed on {yesterday}" in told("--as-of", yesterday, "-t", "a")
    assert "the first snapshot is of" in told("--as-of", "2026-03-02", code=USAGE)
    assert "not over" in told("--as-of", f"{datetime.now(UTC):%Y-%m-%d}", code=USAGE)
    assert "no day" in told("--as-of", "2026-03-02T10:00", code=USAGE)
    assert "UTC days only" in told("--as-of", yesterday, "--by", "hour", "-t", "a", code=USAGE)


def test_a_run_writes_down_what_was_before_it(
    connection: Connection, database: str, tmp_path: Path
) -> None:
    take(connection, [post("1", hashtags=("a",))])
    file = tmp_path / "posts.jsonl"
    file.write_text("{}\n")
    columns = tmp_path / "MAP.toml"
    columns.write_text(
        'platform = "x"\n[columns]\npost_id = "id"\nposted_at = "at"\ntext = "words"\n'
    )
    file.write_text(json.dumps({"id": "7", "at": "2026-03-02T09:00:00Z", "words": "#a"}) + "\n")
    stay_within_a_day()
    run = ["run", str(file), "--columns", str(columns), "--detector", "null"]
    assert cli.run([*run, "--database", database]) == OK
    yesterday = history.day_before(datetime.now(UTC)).date()
    assert [row[2] for row in believed(connection, yesterday)] == [1]
    assert [row.posts for row in reads.read_hashtags(connection, 9)] == [2]
