"""Workers that die, sleep, are replaced: nothing is lost and nothing counted twice.

Long forms run with HOAXWATCH_TEST_LONG=1 (`make faults`): more posts, more deaths, longer sleeps.
"""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
from collections import Counter
from datetime import UTC, datetime

import msgspec
import pytest

from storage import writes
from storage.database import connect
from streams import steps, topics
from streams.faults import FAIL_POINTS
from streams.records import RECORD_VERSION, Post, encode_reading
from tests.faults.detector import FAILS, KILLS, FaultDetector
from tests.faults.scene import (
    PATIENCE_SECONDS,
    SESSION_SECONDS,
    Scene,
    make_posts,
    reference_tables,
)
from tests.tables import assert_same, read_tables

IS_LONG = bool(os.environ.get("HOAXWATCH_TEST_LONG"))
SEEDS = range(10 if IS_LONG else 1)
CLASSIFY_POINTS, TRACK_POINTS, ALERT_POINTS = (
    [point for point in FAIL_POINTS if point.startswith(role)]
    for role in ("classify.", "track.", "alert.")
)

pytestmark = pytest.mark.timeout(3600 if IS_LONG else 900)


def test_a_death_at_each_point(scene: Scene, reference: str) -> None:
    posts = make_posts(400, seed=2)
    scene.send(posts)
    points = ",".join(CLASSIFY_POINTS + TRACK_POINTS)
    scene.start("classify", "c1", HOAXWATCH_FAIL_POINTS=points)
    scene.start("track", "t1", HOAXWATCH_FAIL_POINTS=points)
    scene.wait()
    died_at = {path.name for path in scene.folder.iterdir()} & {*CLASSIFY_POINTS, *TRACK_POINTS}
    assert died_at == {*CLASSIFY_POINTS, *TRACK_POINTS}
    assert scene.n_starts["c1"] == len(CLASSIFY_POINTS) + 1
    scene.check(posts, reference)


def test_alerts_of_a_worker_that_dies(scene: Scene) -> None:
    """Each goes out; twice only what was sent and not stamped."""
    with connect(scene.dsn) as connection:
        connection.cursor().executemany(
            "INSERT INTO hoaxwatch.alerts (rule, subject, summary, evidence, created_at)"
            " VALUES ('r', %s, 's', '{}', now())",
            [(f"tag:{number}",) for number in range(20)],
        )
        scene.start("alert", "a1", HOAXWATCH_FAIL_POINTS=",".join(ALERT_POINTS))
        waiting = "SELECT count(*) FROM hoaxwatch.alerts WHERE sent_at IS NULL"
        scene.wait_for(lambda: connection.execute(waiting).fetchone() == (0,))
    scene.stop()
    assert scene.n_starts["a1"] == len(ALERT_POINTS) + 1
    lines = map(json.loads, (scene.folder / "a1.log").read_text().splitlines())
    sent = Counter(line["subject"] for line in lines if line["event"] == "alert")
    assert sent == {f"tag:{number}": 1 + (number == 0) for number in range(20)}


@pytest.mark.parametrize("seed", SEEDS)
def test_deaths_at_random(scene: Scene, reference: str, seed: int) -> None:
    """Nothing that was not planted may end in quarantine, however often its worker dies."""
    chance = random.Random(seed)
    posts = make_posts(4000 if IS_LONG else 1500, seed=seed)
    for name in ("c1", "c2", "t1", "t2"):
        scene.start("classify" if name.startswith("c") else "track", name)

    def send_bit_by_bit() -> None:
        for at in range(0, len(posts), 100):
            scene.send(posts[at : at + 100])

    sender = threading.Thread(target=send_bit_by_bit)
    sender.start()
    for _ in range(30 if IS_LONG else 8):
        time.sleep(chance.uniform(0.5, 2.5))
        scene.kill(chance.choice(list(scene.workers)))
        scene.mend()
    sender.join()
    scene.wait()
    scene.check(posts, reference)


def test_a_sleep_longer_than_the_session(scene: Scene, reference: str) -> None:
    """The sleepers are replaced; awake again, they write nothing that is not right."""
    posts = make_posts(1200, seed=3)
    for name in ("c1", "c2", "t1", "t2"):
        scene.start("classify" if name.startswith("c") else "track", name)
    scene.send(posts[:600])
    scene.wait_for(lambda: scene.n_recorded() > 50)
    for name in ("c1", "t1"):
        scene.signal(name, signal.SIGSTOP)
    scene.send(posts[600:])
    time.sleep(90 if IS_LONG else SESSION_SECONDS + 4)
    for name in ("c1", "t1"):
        scene.signal(name, signal.SIGCONT)
    scene.wait()
    scene.check(posts, reference)


def test_a_slow_model(scene: Scene, reference: str) -> None:
    """A call longer than the session is no death: nobody is replaced, nothing is scored twice."""
    posts = make_posts(90, seed=4)
    (scene.folder / "slow").write_text(str(60 if IS_LONG else 2 * SESSION_SECONDS))
    scene.send(posts)
    scene.start("classify", "c1")
    scene.start("track", "t1")
    scene.wait_for(lambda: (scene.folder / "scored").exists())
    (scene.folder / "slow").unlink()
    scene.wait()
    assert scene.n_starts["c1"] == 1
    scored = (scene.folder / "scored").read_text().split()
    assert len(scored) == len(set(scored))
    scene.check(posts, reference)


def test_more_workers_than_partitions(scene: Scene, reference: str) -> None:
    posts = make_posts(600, seed=5)
    for number in range(scene.partitions + 2):
        scene.start("classify", f"c{number}")
    scene.start("track", "t1")
    scene.send(posts)
    scene.wait()
    scene.check(posts, reference)


def test_rebalances_in_a_row(scene: Scene, reference: str) -> None:
    """A member without a name comes and goes, and each time partitions change hands."""
    n_rounds = 20 if IS_LONG else 4
    posts = make_posts(n_rounds * 150, seed=6)
    scene.start("classify", "c1", HOAXWATCH_WORKER_NAME="")
    scene.start("track", "t1", HOAXWATCH_WORKER_NAME="")
    for number in range(n_rounds):
        scene.send(posts[number * 150 : (number + 1) * 150])
        for role in ("classify", "track"):
            scene.start(role, f"{role}-guest", HOAXWATCH_WORKER_NAME="")
        time.sleep(5)
        for role in ("classify", "track"):
            scene.end(f"{role}-guest")
    scene.wait()
    scene.check(posts, reference)


def test_ten_times_shuffled_and_from_the_beginning_again(scene: Scene, reference: str) -> None:
    posts = make_posts(200, seed=7)
    many = posts * 10
    random.Random(7).shuffle(many)
    scene.send(many)
    scene.start("classify", "c1")
    scene.start("track", "t1")
    scene.wait()
    with connect(scene.dsn) as connection:
        before = connection.execute(
            "SELECT outcome, sum(records) FROM hoaxwatch.stream_outcomes GROUP BY 1 ORDER BY 1"
        ).fetchall()
    # another project's name is another group, which begins at offset 0, on the same database
    scene.kill("c1")
    scene.start("classify", "c1", HOAXWATCH_PROJECT="again")
    again = scene.settings.model_copy(update={"project": "again"})
    scene.wait_for(lambda: topics.read_lag(again)[0].lag == 0)
    with connect(scene.dsn) as connection:
        after = connection.execute(
            "SELECT outcome, sum(records) FROM hoaxwatch.stream_outcomes GROUP BY 1 ORDER BY 1"
        ).fetchall()
    assert after == before
    scene.wait()
    scene.check(posts, reference)


def with_text(post: Post, text: str) -> Post:
    """The post with other words."""
    return msgspec.structs.replace(post, text=text)


def test_only_what_is_bad_is_put_aside(scene: Scene, reference: str) -> None:
    """Bytes that are no record, a post that cannot be stored, one that kills the process each time,
    and one that the detector fails on, which is stored and abstained from."""
    posts = [post for post in make_posts(300, seed=8) if post.kind == "original"]
    noise = random.Random(1).randbytes(4000).hex()  # longer than an index entry may be
    unstorable = next(post for post in make_posts(3, seed=9) if post.kind == "original")
    unstorable = msgspec.structs.replace(
        unstorable, post_id="bad", root_id="bad", hashtags=(noise,), raw=b"bad"
    )
    posts[20] = with_text(posts[20], KILLS)
    posts[40] = with_text(posts[40], FAILS)
    scene.send(posts[:50])
    scene.send_bytes([b"{not a record}", bytes([RECORD_VERSION]) + b"\xc1", b"\x00"])
    scene.send([unstorable, *posts[50:]])
    scene.start("classify", "c1")
    scene.start("track", "t1")
    scene.wait()
    scene.stop()
    with connect(scene.dsn) as connection:
        reasons = [
            row[0].partition(":")[0]
            for row in connection.execute("SELECT reason FROM hoaxwatch.quarantine ORDER BY 1")
        ]
        abstained = connection.execute(
            "SELECT root_id, reason FROM hoaxwatch.verdicts WHERE state = 'abstained' ORDER BY 2"
        ).fetchall()
        n_posts = connection.execute("SELECT count(*) FROM hoaxwatch.posts").fetchone()
        outcomes: dict[str, int] = dict(
            connection.execute(
                "SELECT outcome, sum(records)::int FROM hoaxwatch.stream_outcomes GROUP BY 1"
            ).fetchall()
        )
    assert sorted(reasons) == [
        "cannot be stored",
        *["not a record"] * 3,
        "the process died 3 times over this record alone",
    ]
    assert abstained == [
        (posts[40].post_id, "detector_failed: ValueError"),
        (posts[20].post_id, "killed_process"),
    ]
    assert n_posts == (len(posts),)
    assert outcomes == {"new": len(posts), "quarantined": 4}


def test_what_no_hint_told_of_is_counted(scene: Scene, reference: str) -> None:
    """Hints that were lost, and runs without brokers on the same database."""
    posts = make_posts(100, seed=10)
    with connect(scene.dsn) as connection:
        writes.prepare(connection)
        now = datetime.now(UTC)
        key = scene.settings.tombstone_key.get_secret_value()
        detector = FaultDetector()
        recorded = steps.record(connection, steps.prepare(posts, now), detector, key)
        steps.judge(connection, steps.classify(detector, recorded.pending), now)
        writes.activate_policy(connection, detector.name, detector.version, 0.5, 0.0, now)
    scene.start("track", "t1")
    scene.wait()
    assert all(row.end == 0 for row in topics.read_lag(scene.settings))
    scene.stop()
    expected = reference_tables(reference, posts, scene.settings)
    assert_same(read_tables(scene.dsn), expected)


def test_a_newer_record_ends_the_worker(scene: Scene) -> None:
    """It is not guessed at, not put aside and not passed over."""
    newer = bytes([RECORD_VERSION + 1]) + encode_reading(make_posts(1)[0])[1:]
    scene.send_bytes([newer])
    process = scene.start("classify", "c1")
    assert process.wait(timeout=PATIENCE_SECONDS) == 3
    assert "upgrade hoaxwatch" in (scene.folder / "c1.log").read_text()
    with connect(scene.dsn) as connection:
        assert connection.execute("SELECT count(*) FROM hoaxwatch.quarantine").fetchone() == (0,)
    assert topics.read_lag(scene.settings)[0].lag == 1
