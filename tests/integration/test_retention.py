"""What is older than is kept goes; what was counted of it stays, and it does not come back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hoaxwatch import cli
from hoaxwatch.report.facts import read_report_data
from storage import labels, reads, retention
from storage.database import Connection, add_payload_partitions, connect, read_migrations
from storage.labels import Label
from streams import local, steps
from streams.clustering import TrackOptions
from streams.local import InputFile
from streams.records import COPY_IN_SHARE
from streams.settings import Settings, read_settings
from tests.integration.test_merge import DETECTOR, NOON, post, rows, share, take, working
from tests.marker import MarkerDetector
from tests.samples import write_samples
from tests.tables import assert_same, read_tables

OK, USAGE = 0, 2
DAY = timedelta(days=1)
FLOOR = datetime(2026, 3, 3, tzinfo=UTC)
#: What is counted from posts and shown of past days.
COUNTED = (
    *("hashtag_trends", "hashtag_pairs", "networks", "clusterings", "clusters"),
    *("cluster_members", "cluster_events"),
)


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    monkeypatch.setenv("HOAXWATCH_CONFIG", str(tmp_path / "none.toml"))
    monkeypatch.setenv("HOAXWATCH_CLUSTER_MIN_USERS", "5")
    return read_settings()


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with working(database) as opened:
        yield opened


class Filled:
    """A database with five days of posts."""

    def __init__(self, dsn: str, settings: Settings, folder: Path) -> None:
        self.dsn = dsn
        self.settings = settings
        self.files: list[InputFile] = local.check_inputs(write_samples(folder, seed=2))
        self.run()
        with connect(dsn) as connection:
            days = rows(
                connection,
                "SELECT DISTINCT date_trunc('day', posted_at) FROM hoaxwatch.posts ORDER BY 1",
            )
        self.days: list[datetime] = [day for (day,) in days]

    def run(self) -> dict[str, int]:
        return dict(local.run(self.dsn, self.files, MarkerDetector(), self.settings).outcomes)


@pytest.fixture
def filled(database: str, settings: Settings, tmp_path: Path) -> Filled:
    return Filled(database, settings, tmp_path / "posts")


def test_a_replay_after_retention_changes_nothing(filled: Filled) -> None:
    floor = filled.days[len(filled.days) // 2]
    before = read_tables(filled.dsn)
    with connect(filled.dsn) as connection:
        doomed = retention.count_doomed(connection, floor)
    n_removed = local.keep_from(filled.dsn, floor, filled.settings)
    assert n_removed == doomed.posts > 50
    kept = read_tables(filled.dsn)
    for table in COUNTED:
        assert kept[table] == before[table], f"what {table} says of past days stays"
    assert len(kept["posts"]) == len(before["posts"]) - n_removed
    assert len(kept["content"]) == len(before["content"]) - doomed.contents
    outcomes = filled.run()
    assert outcomes["expired"] >= n_removed
    assert outcomes.get("new", 0) == 0
    assert_same(read_tables(filled.dsn), kept)
    assert local.keep_from(filled.dsn, floor, filled.settings) == 0
    assert local.keep_from(filled.dsn, floor - DAY, filled.settings) == 0, "it never falls"
    assert_same(read_tables(filled.dsn), kept)


def test_a_report_after_retention_says_what_days_still_say(filled: Filled, tmp_path: Path) -> None:
    last_day = filled.days[-1]
    assert local.keep_from(filled.dsn, last_day, filled.settings) > 0
    with connect(filled.dsn) as connection:
        whole = read_report_data(connection, title="t", now=last_day)
        kept = read_report_data(connection, title="t", now=last_day, since=last_day)
    for data in (whole, kept):
        assert list(data.spreads) == [row.hashtag for row in data.rising] != []
        for row in data.rising:
            spread = data.spreads[row.hashtag]
            assert (spread.posts, spread.judged) == (row.posts, row.judged)
            assert (spread.authors is None) == (data is whole)
    page = tmp_path / "report.html"
    assert cli.run(["report", "-o", str(page), "--database", filled.dsn]) == OK
    assert "<dt>Authors</dt><dd>–</dd>" in page.read_text("utf-8")


def test_a_part_of_a_day_that_went_is_the_whole_day(filled: Filled) -> None:
    first, last = filled.days[0], filled.days[-1]
    assert local.keep_from(filled.dsn, last, filled.settings) > 0
    with connect(filled.dsn) as connection:
        for row in reads.read_hashtags(connection, 5):
            days = reads.read_trends(connection, row.hashtag, "day")
            for since in (first + timedelta(hours=9), last + timedelta(hours=9)):
                got = reads.read_trends(connection, row.hashtag, "day", since)
                kept = [day for day in days if day.bucket_start >= since]
                part = reads.read_days(connection, row.hashtag, "UTC", since, since + DAY)
                on = since.replace(hour=0)
                whole = [day for day in days if day.bucket_start == on]
                begins = whole if on < last else [d for d in part if d.bucket_start == on]
                assert got == begins + kept


def test_what_stays_is_counted_as_if_nothing_had_gone(filled: Filled) -> None:
    """Everything is marked to be counted again: only days and windows behind the floor are."""
    floor = filled.days[len(filled.days) // 2]
    before = read_tables(filled.dsn)
    local.keep_from(filled.dsn, floor, filled.settings)
    with connect(filled.dsn) as connection:
        connection.execute(
            "INSERT INTO hoaxwatch.dirty_buckets (hashtag, hour)"
            " SELECT hashtag, bucket_start FROM hoaxwatch.hashtag_trends WHERE grain = 'hour'"
        )
        local.count_again(filled.dsn, filled.settings)
        assert rows(connection, "SELECT * FROM hoaxwatch.dirty_buckets") == []
    after = read_tables(filled.dsn)
    for table in COUNTED:
        assert after[table] == before[table], table
    # another policy counts from the floor on
    local.adopt(filled.dsn, MarkerDetector("2"), filled.settings)
    with connect(filled.dsn) as connection:
        policies = rows(
            connection,
            "SELECT DISTINCT day >= (SELECT max(floor) FROM mart.retention), policy_id"
            " FROM mart.hashtag_trends_daily ORDER BY 1",
        )
    assert policies == [(False, 1), (True, 2)]


def test_an_original_stays_as_long_as_it_is_shared(connection: Connection, database: str) -> None:
    settings = read_settings()
    readings = [
        post("1", hashtags=("a",)),
        share("2", "1", posted_at=NOON + timedelta(minutes=1)),
        share("3", "1", posted_at=NOON + DAY),
        post("4", hashtags=("a", "b")),
        share("5", "4", posted_at=NOON + timedelta(minutes=1)),
    ]
    take(connection, readings)
    assert retention.count_doomed(connection, FLOOR) == (1, 2, 0)
    assert local.keep_from(database, FLOOR, settings) == 2
    assert rows(connection, "SELECT post_id FROM hoaxwatch.posts ORDER BY 1") == [
        ("1",),
        ("2",),
        ("3",),
    ]
    assert rows(connection, "SELECT author_id FROM hoaxwatch.authors ORDER BY 1") == [
        ("a1",),
        ("a2",),
        ("a3",),
    ]
    for table in ("payloads", "verdicts", "content_hashtags"):
        assert (
            len(rows(connection, f"SELECT FROM hoaxwatch.{table}"))
            == {"payloads": 3, "verdicts": 1, "content_hashtags": 1}[table]
        )
    # what is stored may be met again, with later counters; what is not may not
    later = NOON + 5 * DAY
    met = take(connection, [post("1", hashtags=("a",), likes=9, observed_at=later), *readings[1:]])
    assert met.outcomes == {"updated": 1, "unchanged": 2, "expired": 2}
    # a share that comes now of what went counts, with what it carries
    late = take(connection, [share("6", "4", posted_at=NOON + DAY, hashtags=("a", "b")), post("7")])
    assert late.outcomes == {"new": 1, "expired": 1}
    found = rows(
        connection, "SELECT hashtag, day, posts FROM mart.hashtag_trends_daily ORDER BY 1, 2"
    )
    midnight = FLOOR - DAY
    assert found == [("a", midnight, 4), ("a", FLOOR, 2), ("b", midnight, 2), ("b", FLOOR, 1)]


def test_its_pictures_go_too(connection: Connection, database: str) -> None:
    take(connection, [post("1"), post("2", posted_at=NOON + DAY)])
    for name in ("1", "2"):
        connection.execute(
            "INSERT INTO hoaxwatch.media_files VALUES ('x', %s, '', 'https://x.example', %s, 'PNG',"
            " 7, now(), NULL, false, 1)",
            (name, name.encode()),
        )
    local.keep_from(database, FLOOR, read_settings())
    assert rows(connection, "SELECT root_id FROM hoaxwatch.media_files") == [("2",)]
    assert rows(connection, "SELECT sha256 FROM hoaxwatch.media_removals") == [(b"1",)]


def test_words_that_no_post_has_any_more_go_too(connection: Connection, database: str) -> None:
    """A better version of the only post with them said that it shares another one."""
    later = NOON + DAY
    take(connection, [post("1", completeness=COPY_IN_SHARE), post("2", posted_at=later)])
    take(connection, [share("1", "2", posted_at=later, completeness=1, observed_at=NOON + 2 * DAY)])
    assert rows(connection, "SELECT root_id FROM hoaxwatch.content ORDER BY 1") == [("1",), ("2",)]
    assert retention.count_doomed(connection, FLOOR) == (1, 0, 0)
    assert local.keep_from(database, FLOOR, read_settings()) == 0
    for table in ("content", "verdicts"):
        assert rows(connection, f"SELECT root_id FROM hoaxwatch.{table}") == [("2",)]
    assert len(rows(connection, "SELECT FROM hoaxwatch.posts")) == 2


def test_what_waits_is_counted_before_it_goes(connection: Connection, database: str) -> None:
    batch = steps.prepare([post("1", hashtags=("a",))], NOON)
    steps.record(connection, batch, DETECTOR, "key")
    assert not retention.raise_floor(connection, FLOOR, NOON), "it is not counted yet"
    assert local.keep_from(database, FLOOR, read_settings()) == 1
    assert rows(connection, "SELECT posts FROM mart.hashtag_trends_daily") == [(1,)]
    (told,) = rows(connection, "SELECT floor, contents_removed, posts_removed FROM mart.retention")
    assert told == (FLOOR, 1, 1)


def test_in_batches(connection: Connection, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 7)
    take(connection, [post(f"{n}", hashtags=("a",)) for n in range(30)])
    told: list[int] = []
    assert local.keep_from(database, FLOOR, read_settings(), told.append) == 30
    assert told == [7, 14, 21, 28, 30]


def test_a_share_that_comes_meanwhile_saves_its_original(
    connection: Connection, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(connection, [post("1"), post("2")])
    monkeypatch.setattr(retention, "BATCH", 1)
    with connect(database) as other:
        assert retention.raise_floor(other, FLOOR, NOON)

        def share_the_other(n_posts: int) -> None:
            left = rows(connection, "SELECT post_id FROM hoaxwatch.posts")
            if len(left) == 1:
                take(connection, [share("3", left[0][0], posted_at=NOON + DAY)])

        assert retention.remove_outdated(other, lambda: NOON, share_the_other) == 1
    assert len(rows(connection, "SELECT FROM hoaxwatch.posts")) == 2


def test_months_of_raw_records(connection: Connection) -> None:
    may, june = datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC)
    add_payload_partitions(connection, may)
    for n, received in enumerate((may, may + DAY, june, may - DAY)):
        batch = steps.prepare([post(f"{n}", hashtags=("a",))], received)
        steps.record(connection, batch, DETECTOR, "key")
    steps.track(connection, TrackOptions())
    found = {part.name: part for part in retention.read_partitions(connection)}
    assert [
        (found[f"payloads_2026_0{n}"].since, found[f"payloads_2026_0{n}"].records) for n in (5, 6)
    ] == [(may, 2), (june, 1)]
    assert found["payloads_default"][1:4] == (None, None, 1)
    before = rows(connection, "SELECT grain, posts, authors FROM hoaxwatch.hashtag_trends")
    assert retention.drop_payloads(connection, june + 5 * DAY) == (["payloads_2026_05"], 1)
    assert rows(connection, "SELECT post_id FROM hoaxwatch.payloads") == [("2",)]
    assert retention.drop_payloads(connection, june) == ([], 0)
    assert rows(connection, "SELECT * FROM hoaxwatch.payload_drops") == [(june,)]
    assert len(rows(connection, "SELECT FROM hoaxwatch.posts")) == 4
    # met again, posts are what they were, and their raw records are back
    again = take(connection, [post("0", hashtags=("a",))])
    assert again.outcomes["unchanged"] == 1
    assert rows(connection, "SELECT grain, posts, authors FROM hoaxwatch.hashtag_trends") == before


def test_a_month_that_began_without_its_partition(connection: Connection, database: str) -> None:
    """A worker goes on over months and nobody else opens the database."""
    month = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    connection.execute(f"DROP TABLE hoaxwatch.payloads_{month:%Y_%m}".encode())
    long_before = datetime(2026, 5, 1, tzinfo=UTC)
    for post_id, received in (("1", month), ("2", month + DAY), ("3", long_before)):
        steps.record(connection, steps.prepare([post(post_id)], received), DETECTOR, "key")
    before = rows(connection, "SELECT * FROM hoaxwatch.payloads ORDER BY post_id")
    assert cli.run(["db", "status", "--database", database]) == OK
    found = {part.name: part.records for part in retention.read_partitions(connection)}
    assert (found[f"payloads_{month:%Y_%m}"], found["payloads_default"]) == (2, 1)
    assert rows(connection, "SELECT * FROM hoaxwatch.payloads ORDER BY post_id") == before
    assert take(connection, [post("1")]).outcomes["unchanged"] == 1


def test_room_is_taken_back(connection: Connection, database: str) -> None:
    take(connection, [post(f"{n}", text="fact " * 500 + f"{n}") for n in range(300)])
    local.keep_from(database, FLOOR, read_settings())
    seen: list[str] = []
    before, after = retention.vacuum(connection, full=True, watch=seen.append)
    assert after < before
    assert {"posts", "content", "payloads_default"} <= set(seen)
    assert retention.vacuum(connection)[0] == after


def test_commands(
    connection: Connection, database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    take(connection, [post("1", hashtags=("a",)), post("2", posted_at=NOON + DAY)])
    labels.add_labels(connection, [Label("x", "1", "likely_true", None)], "ann", NOON)
    at = ["--database", database]

    def told(*arguments: str, code: int = OK) -> Any:
        capsys.readouterr()
        assert cli.run(["db", *arguments, *at]) == code
        printed = capsys.readouterr()
        return json.loads(printed.out) if "--json" in arguments else printed.out + printed.err

    shipped = [migration.name for migration in read_migrations()]
    assert [row["name"] for row in told("migrate", "--json")] == shipped
    assert shipped[-1] in (shown := told("migrate")) and "just now" not in shown
    parts = told("partitions", "--json")
    assert sum(part["records"] for part in parts) == 2
    assert "other months" in told("partitions")
    dry = told("retention", "--posts-before", "2026-03-03", "--dry-run")
    assert "1 posts, 1 texts" in dry and "1 of them have labels" in dry
    assert len(rows(connection, "SELECT FROM hoaxwatch.posts")) == 2
    capsys.readouterr()
    done = told("retention", "--posts-before", "2026-03-03", "--yes", "--json")
    assert (done["posts"], done["labelled"], done["removed"]) == (1, 1, True)
    assert rows(connection, "SELECT post_id FROM hoaxwatch.posts") == [("2",)]
    assert "kept from 2026-03-03 on already" in told(
        "retention", "--posts-before", "2026-03-01", "--yes"
    )
    assert "raw records of 0 months" in told("retention", "--payloads-before", "0d", "--yes")
    assert told("vacuum", "--json")["tables"] > 30
    assert "bytes before" in told("vacuum")
    assert "nothing to do" in told("retention", code=USAGE)
    assert "to come" in told("retention", "--posts-before", "2999-01-01", code=USAGE)
    assert "no day" in told("retention", "--posts-before", "2026-03-03T10:00", code=USAGE)
