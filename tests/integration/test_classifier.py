"""What a classifying worker does when its detector or one of its records fails, without Kafka."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from storage import positions, writes
from storage.database import connect
from streams import quarantine, steps
from streams.metrics import Metrics
from streams.quarantine import WIRE
from streams.records import Content, Problem, Verdict, encode_reading
from streams.settings import read_settings
from streams.workers import BAD_IN_A_ROW, Classifier, Taken
from tests.conftest import _server_folder
from tests.faults.proxy import CommitCutter
from tests.faults.scene import make_posts
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


def test_out_of_memory_halves_the_batch(database: str) -> None:
    device = SmallDevice(5, OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"))
    work = classifier(database, device)
    work(taken())
    work.close()
    assert counts(database) == (len(POSTS), len(POSTS), 0, 0)
    assert device.sizes[0] == len(POSTS) > 5
    assert max(size for size in device.sizes if size <= 5) > 1
    assert sum(size for size in device.sizes if size <= 5) == len(POSTS)


@pytest.mark.parametrize(
    "error",
    [
        OutOfMemoryError("CUDA out of memory"),
        RuntimeError("cannot schedule new futures after interpreter shutdown"),
    ],
    ids=["memory", "ending"],
)
def test_what_is_the_machines_is_not_a_single_posts_fault(database: str, error: Exception) -> None:
    """Something else fills the device, or the worker is told to end: the process ends, and what it
    stored is judged later."""
    work = classifier(database, SmallDevice(0, error))
    with pytest.raises(type(error)):
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
    with _server_folder() as folder:
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


def test_a_post_that_cannot_be_stored_is_found_among_the_others(database: str) -> None:
    """And each record of the batch is counted once, however often the batch was halved."""
    noise = random.Random(1).randbytes(4000).hex()  # longer than an index entry may be
    records = taken()
    bad = msgspec.structs.replace(POSTS[17], hashtags=(noise,))
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
