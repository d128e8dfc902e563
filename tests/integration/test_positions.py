"""Offsets, notes of what is in work, and who owns what, on real databases."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from storage import positions, recount
from storage.database import Connection, connect
from storage.outbox import Alert, send_waiting
from storage.positions import LeftOver, OverlapsRecorded, Span
from streams import steps
from streams.clustering import TrackOptions
from streams.errors import Replaced
from streams.metrics import Metrics
from streams.settings import read_settings
from streams.steps import Owned, track
from streams.workers import Tracker

NOW = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with connect(database) as opened:
        recount.prepare(opened)
        yield opened


def count(connection: Connection, spans: list[Span], **outcomes: int) -> None:
    with connection.transaction(), connection.cursor() as cursor:
        positions.count_records(cursor, spans, outcomes)


def test_each_record_counts_once_and_jumps_are_seen(connection: Connection) -> None:
    count(connection, [Span("t", 0, 5, 8), Span("t", 1, 0, 2)], new=4, unchanged=1)
    count(connection, [Span("t", 0, 5, 8)], unchanged=3)  # delivered again
    with pytest.raises(OverlapsRecorded):
        count(connection, [Span("t", 0, 7, 9)], new=2)
    count(connection, [Span("t", 0, 8, 9)], new=1)
    assert positions.read_outcomes(connection) == {"new": 5, "unchanged": 1}
    assert positions.read_skipped(connection) == 0
    count(connection, [Span("t", 0, 12, 13)], new=1)
    assert positions.read_skipped(connection) == 3
    assert positions.read_positions(connection) == {("t", 0): 13, ("t", 1): 2}


def test_only_an_attempt_alone_that_had_no_end_counts(connection: Connection) -> None:
    span = Span("t", 0, 3, 6)
    assert positions.note_work(connection, [span], "one") == []
    assert positions.note_work(connection, [span], "one") == []
    assert positions.note_work(connection, [span], "two") == [LeftOver(span, 0)]
    assert positions.note_lone_try(connection, span, "two") == 0
    assert positions.note_lone_try(connection, span, "two") == 0  # the database was away
    assert positions.note_lone_try(connection, span, "three") == 1
    assert positions.note_lone_try(connection, span, "four") == 2
    with connection.transaction(), connection.cursor() as cursor:
        positions.move_on(cursor, span, "four")
    assert positions.note_lone_try(connection, span._replace(first=4), "five") == 0
    with connection.transaction(), connection.cursor() as cursor:
        positions.clear_work(cursor, [span], "somebody else")
    assert len(positions.note_work(connection, [span], "six")) == 1


def test_a_note_of_a_living_worker_is_taken_over(connection: Connection, database: str) -> None:
    span = Span("t", 0, 3, 6)
    with connect(database, role=positions.CLASSIFY_ROLE) as alive:
        assert positions.note_work(alive, [span], "one") == []
        assert positions.note_work(connection, [span], "two") == []
        with connection.transaction(), connection.cursor() as cursor:
            positions.clear_work(cursor, [span], "one")  # it is done too: no longer its to clear
        assert positions.note_lone_try(alive, span, "three") == 0
        # what is tried alone is suspected for a reason: it may yet kill
        assert positions.note_work(connection, [span], "four") == [LeftOver(span, 1)]
        with alive.transaction(), alive.cursor() as cursor:
            positions.clear_work(cursor, [span], "three")
        assert positions.note_work(alive, [span], "five") == []
        pid = alive.info.backend_pid
    asked = "SELECT FROM pg_stat_activity WHERE pid = %s"
    while connection.execute(asked, (pid,)).fetchone() is not None:  # a row without columns
        time.sleep(0.05)
    assert positions.note_work(connection, [span], "six") == [LeftOver(span, 0)]  # it died


def test_a_note_about_records_that_are_done_is_taken_over(connection: Connection) -> None:
    assert positions.note_work(connection, [Span("t", 0, 3, 6)], "one") == []
    assert positions.note_work(connection, [Span("t", 0, 6, 9)], "two") == []
    assert positions.note_work(connection, [Span("t", 0, 8, 9)], "three") == [
        LeftOver(Span("t", 0, 6, 9), 0)
    ]


def test_shards_are_computed_alike_by_both(connection: Connection) -> None:
    tags = ["egu23", "straße", "東京", "a" * 100, "😀"]
    connection.cursor().executemany(
        "INSERT INTO hoaxwatch.dirty_buckets VALUES (%s, %s)", [(tag, NOW) for tag in tags]
    )
    found = connection.execute("SELECT hashtag, shard FROM hoaxwatch.dirty_buckets").fetchall()
    assert dict(found) == {tag: recount.shard_of(tag) for tag in tags}


def test_workers_take_only_their_part(connection: Connection, database: str) -> None:
    tags = [f"tag{n}" for n in range(40)]
    connection.cursor().executemany(
        "INSERT INTO hoaxwatch.dirty_buckets VALUES (%s, %s)", [(tag, NOW) for tag in tags]
    )
    connection.execute(
        "INSERT INTO hoaxwatch.verdict_policy (detector, version, threshold, abstain_band, active,"
        " created_at) VALUES ('d', '1', 0.5, 0, true, now())"
    )
    epochs = positions.take_partitions(connection, [1], "one", NOW)
    owned = Owned(epochs, 3)
    track(connection, TrackOptions(), owned)
    left = connection.execute("SELECT hashtag FROM hoaxwatch.dirty_buckets").fetchall()
    assert {tag for (tag,) in left} == {t for t in tags if recount.shard_of(t) % 3 != 1}


def test_a_worker_that_was_replaced_writes_nothing(connection: Connection, database: str) -> None:
    settings = read_settings(retry_seconds=0.0)
    sleeper = Tracker(database, settings, TrackOptions(), 3, Metrics("track"))
    sleeper.assigned = frozenset({0, 1, 2})
    sleeper()
    connection.execute("INSERT INTO hoaxwatch.dirty_buckets VALUES ('t', %s)", (NOW,))
    positions.take_partitions(connection, [0, 1, 2], "successor", NOW)
    with pytest.raises(Replaced, match="taken over"):
        sleeper()
    n = connection.execute("SELECT count(*) FROM hoaxwatch.dirty_buckets").fetchone()
    assert n == (1,)
    sleeper.close()


def test_a_successor_ends_a_transaction_that_sleeps(connection: Connection, database: str) -> None:
    with connect(database, role=positions.TRACK_ROLE) as asleep:
        epochs = positions.take_partitions(asleep, [0], "one", NOW)
        cursor = asleep.cursor()
        cursor.execute("BEGIN")
        positions.hold_partitions(cursor, epochs)
        assert positions.take_partitions(connection, [0], "two", NOW) == {0: 2}
        with pytest.raises(Exception, match="terminating connection"):
            cursor.execute("SELECT 1")


def test_a_worker_cut_off_in_a_recount_takes_only_what_is_left_to_it(
    connection: Connection, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its successor ended the connection; had it taken the others back, each would end the other's
    recount in turn."""
    settings, options = read_settings(retry_seconds=9.0), TrackOptions()
    one = Tracker(database, settings, options, 4, Metrics("track"))
    two = Tracker(database, settings, options, 4, Metrics("track"))
    one.assigned = frozenset(range(4))
    wanted: list[frozenset[int]] = []
    take, count_them = positions.take_partitions, steps.track

    def taken(opened: Connection, missing: frozenset[int], *rest: Any) -> dict[int, int]:
        wanted.append(missing)
        return take(opened, missing, *rest)

    def handed_over(opened: Connection, *rest: Any) -> Any:
        if len(wanted) == 1:
            one.assigned, two.assigned = frozenset({0, 1}), frozenset({2, 3})
            pid = opened.info.backend_pid
            connection.execute("SELECT pg_terminate_backend(%s, 9000)", (pid,))
            assert two() == 0
        return count_them(opened, *rest)

    monkeypatch.setattr(positions, "take_partitions", taken)
    monkeypatch.setattr(steps, "track", handed_over)
    assert one() == 0
    assert [set(partitions) for partitions in wanted] == [{0, 1, 2, 3}, {2, 3}, {0, 1}]
    one.close()
    two.close()


def test_alerts_are_sent_once_and_kept_when_sending_fails(connection: Connection) -> None:
    connection.cursor().executemany(
        "INSERT INTO hoaxwatch.alerts (rule, subject, summary, evidence, created_at)"
        " VALUES ('r', %s, 's', '{}', now())",
        [("tag:a",), ("tag:b",), ("tag:c",)],
    )
    sent: list[str] = []

    def send(alert: Alert) -> None:
        if alert.subject == "tag:b" and not sent.count("tag:c"):
            raise OSError("the mailer is down")
        sent.append(alert.subject)

    assert send_waiting(connection, {"log": send}, 10, NOW) == 2
    assert send_waiting(connection, {"log": send}, 10, NOW) == 1
    assert send_waiting(connection, {"log": send}, 10, NOW) == 0
    assert sent == ["tag:a", "tag:c", "tag:b"]
