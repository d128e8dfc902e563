"""What a classifying worker does when its detector or one of its records fails, without Kafka."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from storage import positions, writes
from storage.database import connect
from storage.positions import Span
from streams import quarantine, steps, workers
from streams.metrics import Metrics
from streams.quarantine import WIRE
from streams.records import (
    Content,
    NewerRecord,
    Problem,
    Reading,
    Verdict,
    decode_reading,
    encode_reading,
)
from streams.settings import read_settings
from streams.workers import BAD_IN_A_ROW, Classifier, Taken
from tests.faults.proxy import CommitCutter
from tests.faults.scene import make_posts
from tests.folders import short_folder
from tests.marker import MarkerDetector

POSTS = [post for post in make_posts(120, seed=31) if post.kind == "original"]


class OutOfMemoryError(RuntimeError):
    """Stands for torch's, which a machine without a GPU never raises."""


class SmallDevice(MarkerDetector):
    """Has room for so many contents at once."""

    def __init__(self, room: int, error: Exception) -> None:
        super().__init__()
        self.room = room
        self.error = error
        self.sizes: list[int] = []

    def score(self, contents: Sequence[Content]) -> list[Verdict]:
        """Verdicts, or the error if there are too many."""
        self.sizes.append(len(contents))
        if len(contents) > self.room:
            raise self.error
        return super().score(contents)


def taken() -> list[Taken]:
    """The posts as records of one partition."""
    now = datetime.now(UTC).timestamp()
    return [
        Taken("posts", 0, number, encode_reading(post), now) for number, post in enumerate(POSTS)
    ]


def classifier(database: str, detector: MarkerDetector) -> Classifier:
    return Classifier(database, read_settings(retry_seconds=0.0), detector, Metrics("classify"))


def counts(database: str) -> tuple[int, int, int, int]:
    """Posts, scored verdicts, abstained ones, records in quarantine."""
    with connect(database) as connection:
        row = connection.execute(
            "SELECT (SELECT count(*) FROM hoaxwatch.posts),"
            " (SELECT count(*) FROM hoaxwatch.verdicts WHERE state = 'scored'),"
            " (SELECT count(*) FROM hoaxwatch.verdicts WHERE state = 'abstained'),"
            " (SELECT count(*) FROM hoaxwatch.quarantine)"
        ).fetchone()
    assert row is not None
    return row


def counting(database: str) -> tuple[str, int]:
    """The detector whose verdicts count, and how many policies there were."""
    with connect(database) as connection:
        row = connection.execute(
            "SELECT max(detector) FILTER (WHERE active), count(*) FROM hoaxwatch.verdict_policy"
        ).fetchone()
    assert row is not None
    return row


def test_what_was_adopted_beside_a_worker_stays_when_its_connection_breaks(database: str) -> None:
    settings = read_settings(retry_seconds=9.0)
    work = Classifier(database, settings, MarkerDetector(), Metrics("classify"))
    records = taken()
    work(records[:1])
    with connect(database) as connection:
        assert writes.activate_policy(connection, "another", "1", 0.5, 0.0, datetime.now(UTC))
        end = (
            "SELECT pg_terminate_backend(pid, 9000) FROM pg_stat_activity"
            " WHERE application_name = %s AND datname = current_database()"
        )
        assert len(connection.execute(end, (positions.CLASSIFY_ROLE,)).fetchall()) == 1
    with structlog.testing.capture_logs() as told:
        work(records[1:2])
    work.close()
    assert counting(database) == ("another", 2)
    (said,) = [line for line in told if "verdicts" in line["event"]]
    assert (said["ours"], said["counts"]) == ("marker 1 0.5 0.0", "another 1 0.5 0.0")
    again = classifier(database, MarkerDetector())
    again(records[2:3])
    again.close()
    assert counting(database) == ("marker", 3)


def test_a_topic_that_ends_before_what_is_recorded_of_it_is_told_once(database: str) -> None:
    work = classifier(database, MarkerDetector())
    work(taken()[:7])
    with structlog.testing.capture_logs() as told:
        work.see_ends({("posts", 0): 7, ("posts", 1): 0})
        work.see_ends({("posts", 0): 2})
        work.see_ends({("posts", 0): 3})
    work.close()
    (said,) = told
    assert "made anew" in said["event"]
    assert (said["where"], said["end"], said["recorded"]) == ("posts[0]", 2, 7)


def test_out_of_memory_halves_the_batch(database: str) -> None:
    device = SmallDevice(5, OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"))
    work = classifier(database, device)
    work(taken())
    work.close()
    assert counts(database) == (len(POSTS), len(POSTS), 0, 0)
    assert device.sizes[0] == len(POSTS) > 5
    assert max(size for size in device.sizes if size <= 5) > 1
    assert sum(size for size in device.sizes if size <= 5) == len(POSTS)


def test_out_of_memory_for_a_single_post_is_not_its_fault(database: str) -> None:
    """Something else fills the device: the process ends, and what it stored is judged later."""
    work = classifier(database, SmallDevice(0, OutOfMemoryError("CUDA out of memory")))
    with pytest.raises(OutOfMemoryError):
        work(taken())
    work.close()
    assert counts(database)[1:] == (0, 0, 0)
    again = classifier(database, MarkerDetector())
    again(taken())
    again.close()
    assert counts(database) == (len(POSTS), len(POSTS), 0, 0)


def test_a_broken_device_is_asked_once(database: str) -> None:
    """After an assertion on the device every call fails, whatever is in it."""
    device = SmallDevice(0, RuntimeError("CUDA error: device-side assert triggered"))
    work = classifier(database, device)
    with pytest.raises(RuntimeError, match="CUDA error"):
        work(taken())
    work.close()
    assert len(POSTS) > len(device.sizes)
    assert counts(database)[1:] == (0, 0, 0)


def test_a_detector_that_fails_on_everything_blames_nobody(database: str) -> None:
    work = classifier(database, SmallDevice(0, KeyError("weights")))
    assert len(POSTS) > BAD_IN_A_ROW
    with pytest.raises(KeyError):
        work(taken())
    work.close()
    assert counts(database)[1:] == (0, 0, 0)


def test_a_database_that_goes_away_while_a_worker_sets_up(database: str) -> None:
    """Its first commits are cut: the policy's, then the note's; each is done again."""
    with short_folder() as folder:
        cutter = CommitCutter(folder, Path(str(conninfo_to_dict(database)["host"])))
        cutter.cut += ["lost", "done", "done", "lost"]
        settings = read_settings(retry_seconds=30.0)
        dsn = make_conninfo(database, host=str(folder))
        work = Classifier(dsn, settings, MarkerDetector(), Metrics("classify"))
        work(taken())
        work.close()
        cutter.close()
        assert cutter.n_cut == 4
    assert counts(database) == (len(POSTS), len(POSTS), 0, 0)


@pytest.mark.parametrize(
    "fields",
    [
        {"hashtags": (random.Random(1).randbytes(4000).hex(),)},  # longer than an index entry
        {"likes": 2**63},
        {"text": "a\0b"},
    ],
    ids=["hashtag", "number", "nul"],
)
def test_a_post_that_cannot_be_stored_is_found_among_the_others(
    database: str, fields: dict[str, Any]
) -> None:
    """And each record of the batch is counted once, however often the batch was halved."""
    records = taken()
    bad = msgspec.structs.replace(POSTS[17], **fields)
    records[17] = records[17]._replace(value=encode_reading(bad))
    work = classifier(database, MarkerDetector())
    work(records)
    work(records)
    work.close()
    with connect(database) as connection:
        outcomes = positions.read_outcomes(connection)
        in_work = connection.execute("SELECT count(*) FROM hoaxwatch.offsets_in_work").fetchone()
    assert outcomes == {"new": len(POSTS) - 1, "quarantined": 1}
    assert counts(database) == (len(POSTS) - 1, len(POSTS) - 1, 0, 1)
    assert in_work == (0,)


def notes(database: str) -> list[tuple[int, int, int]]:
    """Partition, first and end of what is noted as being worked on."""
    with connect(database) as connection:
        return connection.execute(
            "SELECT partition, first_offset, end_offset FROM hoaxwatch.offsets_in_work ORDER BY 1"
        ).fetchall()


def halves() -> tuple[list[Taken], list[Taken]]:
    """The records of the first partition's first half; its second half, and one of another."""
    records = taken()
    middle = len(records) // 2
    return records[:middle], [*records[middle:-1], records[-1]._replace(partition=1, offset=0)]


class Looking(MarkerDetector):
    """Keeps the notes that stand while it judges."""

    def __init__(self, database: str) -> None:
        super().__init__()
        self.database = database
        self.seen: list[list[tuple[int, int, int]]] = []

    def score(self, contents: Sequence[Content]) -> list[Verdict]:
        """Verdicts as ever."""
        self.seen.append(notes(self.database))
        return super().score(contents)


def test_what_is_made_ready_is_noted_until_the_batch_before_it_is_done(database: str) -> None:
    detector = Looking(database)
    work = classifier(database, detector)
    first, second = halves()
    work(first, second)
    assert notes(database) == []
    work(second)
    work.close()
    assert detector.seen == [
        [(0, 0, len(POSTS) - 1), (1, 0, 1)],
        [(0, len(first), len(POSTS) - 1), (1, 0, 1)],
    ]
    assert notes(database) == []
    with connect(database) as connection:
        assert positions.read_outcomes(connection) == {"new": len(POSTS)}
    assert counts(database) == (len(POSTS), len(POSTS), 0, 0)


def test_what_was_made_ready_is_used_for_just_these_records(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is ready when the batch before it is done, for its note goes then. And what another worker
    has recorded meanwhile is met again, whoever made it ready."""
    made: list[int] = []
    prepare = steps.prepare

    def counted(readings: Sequence[Reading], *args: Any) -> steps.Batch:
        if threading.current_thread() is not threading.main_thread():
            time.sleep(0.5)
        made.append(len(readings))
        return prepare(readings, *args)

    monkeypatch.setattr(steps, "prepare", counted)
    first, second = halves()
    work = classifier(database, MarkerDetector())
    work(first, second)
    assert made == [len(first), len(second)]
    other = classifier(database, MarkerDetector())
    other(second[:3])
    other.close()
    work(second)
    work.close()
    assert made[2:] == [3, 3, len(second) - 3]  # of the last call what was not new, what was
    with connect(database) as connection:
        assert positions.read_outcomes(connection) == {"new": len(POSTS)}
    assert counts(database) == (len(POSTS), len(POSTS), 0, 0)


def test_a_record_of_a_newer_version_stops_its_own_batch_only(database: str) -> None:
    first, second = halves()
    second[2] = second[2]._replace(value=b"\x02")
    work = classifier(database, MarkerDetector())
    work(first, second)
    assert counts(database) == (len(first), len(first), 0, 0)
    with pytest.raises(NewerRecord):
        work(second)
    work.close()
    assert counts(database) == (len(first), len(first), 0, 0)


def test_what_a_dead_worker_noted_is_tried_alone_and_nothing_made_ready(database: str) -> None:
    """The note of what was to be made ready is taken back, that of the dead one is kept."""
    first, second = halves()
    with connect(database) as connection:
        left = Span("posts", 0, 0, len(first) + 5)
        positions.note_work(connection, [left], "one that died")
    detector = Looking(database)
    work = classifier(database, detector)
    work(first, second)
    assert all(
        seen == [(0, at, left.end)] for at, [seen] in enumerate(zip(detector.seen, strict=True))
    )
    assert notes(database) == [(0, len(first), left.end)]
    work(second)
    work.close()
    assert notes(database) == []
    assert counts(database) == (len(POSTS), len(POSTS), 0, 0)


def test_what_another_worker_is_past_is_suspected_no_more(database: str) -> None:
    """The partition went to another one meanwhile, which took the note over: it was no dead one's,
    and came back. Nothing is tried alone, and the next batch is made ready as ever."""
    first, second = halves()
    with connect(database) as connection:
        positions.note_work(connection, [Span("posts", 0, 0, len(first))], "one that died")
    detector = SmallDevice(len(POSTS), KeyError("none"))
    work = classifier(database, detector)
    work(first[:3])
    other = classifier(database, MarkerDetector())
    other(first)
    work(second, first)
    assert detector.sizes == [1, 1, 1, len(second)]
    assert work._ahead.take(first) is not None
    work.close()
    other.close()
    assert notes(database) == []
    assert counts(database) == (len(POSTS), len(POSTS), 0, 0)


class Killed(BaseException):
    """Stands for a SIGKILL: nothing of ours catches it."""


def test_a_record_that_kills_whoever_decodes_it_is_put_aside_as_it_came(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Among others, alone three times, and twice when it was to be put aside as a post."""
    records = taken()[:3]

    def kills(value: bytes | None) -> Reading:
        if value == records[1].value:
            raise Killed
        return decode_reading(value)

    monkeypatch.setattr(workers, "decode_reading", kills)
    for _ in range(6):
        work = classifier(database, MarkerDetector())
        with pytest.raises(Killed):
            work(records)
        work.close()
    work = classifier(database, MarkerDetector())
    work(records)
    work.close()
    assert counts(database) == (2, 2, 0, 1)
    assert notes(database) == []
    with connect(database) as connection:
        held = connection.execute(
            "SELECT source, position, reason FROM hoaxwatch.quarantine"
        ).fetchall()
    reason = "the process died 3 times over this record alone"
    assert held == [(f"{WIRE}:posts", records[1].where, reason)]


def test_a_record_that_can_be_read_by_now_leaves_quarantine(database: str) -> None:
    """What came over the wire is tried again as such; what is no record stays."""
    now = datetime.now(UTC)
    held = [
        Problem(reason="not a record", source=f"{WIRE}:posts", position=f"posts[0]@{at}", raw=raw)
        for at, raw in enumerate([encode_reading(POSTS[0]), b"{no record}"])
    ]
    detector = MarkerDetector()
    with connect(database) as connection:
        writes.prepare(connection)
        steps.record(connection, steps.prepare(held, now), detector, "key")
        replayed = quarantine.replay(connection, detector, now, "key")
    assert (replayed.n_records, replayed.n_released) == (2, 1)
    assert counts(database) == (1, 0, 0, 1)
