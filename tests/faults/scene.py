"""Real brokers, a real database, real worker processes, and an oracle for what must come of them.

The oracle has two parts: the tables must equal, row for row, those of the same readings taken by
the steps in this process without a broker, and counts made by hand from the readings must hold.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from storage import positions, recount, writes
from storage.database import connect
from streams import ingest, steps, topics
from streams.clustering import TrackOptions
from streams.errors import Unavailable
from streams.records import COPY_IN_SHARE, Author, Post, Reading
from streams.settings import Settings, read_settings
from tests.faults.detector import FaultDetector
from tests.tables import assert_same, read_tables

REPOSITORY = Path(__file__).resolve().parents[2]
START = datetime(2026, 3, 2, tzinfo=UTC)
SESSION_SECONDS = 6.0
#: After so long something is not slow but wrong, however busy the machine.
PATIENCE_SECONDS = 300.0
#: What the workers are told by environment, and the reference run by argument.
WINDOWS: dict[str, Any] = {"window_hours": 24, "window_step_hours": 24, "cluster_min_users": 5}


def make_posts(n: int, seed: int = 1) -> list[Post]:
    """Numbered posts with known tags and edges: two thirds are shares of earlier originals."""
    chance = random.Random(seed)
    posts: list[Post] = []
    originals: list[Post] = []
    for number in range(n):
        at = START + timedelta(minutes=chance.randrange(3 * 24 * 60))
        author = Author(author_id=f"a{chance.randrange(max(10, n // 5))}", handle="h")
        common: dict[str, Any] = {
            "platform": "x",
            "post_id": f"{number:06}",
            "posted_at": at,
            "author": author,
            "observed_at": START + timedelta(days=9),
            "provenance": "fault:1",
            "raw": f"raw {number}".encode(),
        }
        if originals and chance.random() < 0.66:
            root = originals[chance.randrange(len(originals)) % 40]
            posts.append(
                Post(
                    **common,
                    root_id=root.post_id,
                    kind="share",
                    share_of=root.post_id,
                    text=root.text[:20],
                    hashtags=root.hashtags,
                    completeness=COPY_IN_SHARE,
                )
            )
        else:
            tags = tuple(chance.sample([f"tag{i}" for i in range(30)], chance.randrange(1, 4)))
            post = Post(
                **common,
                root_id=common["post_id"],
                text=f"post number {number} says what it says",
                hashtags=tags,
                lang="en",
            )
            originals.append(post)
            posts.append(post)
    return posts


def reference_tables(dsn: str, readings: Sequence[Reading], settings: Settings) -> Any:
    """The tables of these readings without brokers, in a database of their own."""
    detector = FaultDetector()
    now = datetime.now(UTC)
    with connect(dsn) as connection:
        writes.prepare(connection)
        recount.prepare(connection)
        writes.activate_policy(connection, detector.name, detector.version, 0.5, 0.0, now)
        key = settings.tombstone_key.get_secret_value()
        recorded = steps.record(connection, steps.prepare(readings, now), detector, key)
        steps.judge(connection, steps.classify(detector, recorded.pending), now)
        steps.track(connection, TrackOptions(**WINDOWS))
    return read_tables(dsn)


@dataclass
class Scene:
    """One project on the brokers and its workers."""

    kafka: str
    dsn: str
    folder: Path
    prefix: str
    partitions: int = 3
    replicas: int = 1
    take_posts: int = 50
    session_seconds: float = SESSION_SECONDS
    windows: dict[str, int] = field(default_factory=lambda: dict(WINDOWS))
    login: dict[str, Any] = field(default_factory=dict)
    workers: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    roles: dict[str, tuple[str, dict[str, str]]] = field(default_factory=dict)
    n_starts: Counter[str] = field(default_factory=Counter)
    n_sent: int = 0

    @property
    def settings(self) -> Settings:
        """The settings of this scene."""
        return read_settings(
            kafka=self.kafka,
            kafka_prefix=self.prefix,
            kafka_partitions=self.partitions,
            kafka_replicas=self.replicas,
            kafka_session_seconds=self.session_seconds,
            home=self.folder,
            spool_seconds=2.0,
            retry_seconds=60.0,
            linger_ms=5,
            **self.login,
        )

    def set_up(self) -> None:
        """Makes the topics."""
        topics.create_topics(self.settings)

    def send(self, readings: Iterable[Reading]) -> None:
        """Sends readings as they are, however often."""
        entries = [ingest.encode_entry(reading) for reading in readings]
        ingest.send_all(entries, self.settings)
        self.n_sent += len(entries)

    def send_bytes(self, values: Iterable[bytes]) -> None:
        """Sends what is no reading."""
        entries = [(None, value) for value in values]
        ingest.send_all(entries, self.settings)
        self.n_sent += len(entries)

    def start(self, role: str, name: str, **environment: str) -> subprocess.Popen[bytes]:
        """Starts a worker; `mend` starts it again when it ends."""
        self.roles[name] = role, environment
        self.n_starts[name] += 1
        told = {
            "HOAXWATCH_KAFKA": self.kafka,
            "HOAXWATCH_KAFKA_PREFIX": self.prefix,
            "HOAXWATCH_KAFKA_SESSION_SECONDS": str(self.session_seconds),
            "HOAXWATCH_DATABASE": self.dsn,
            "HOAXWATCH_HOME": str(self.folder),
            "HOAXWATCH_DETECTOR": "fault",
            "HOAXWATCH_WORKER_NAME": name,
            "HOAXWATCH_TAKE_POSTS": str(self.take_posts),
            "HOAXWATCH_HINT_SECONDS": "0.3",
            "HOAXWATCH_TRACK_SECONDS": "3",
            "HOAXWATCH_RETRY_SECONDS": "60",
            "HOAXWATCH_METRICS_PORT": "0",
            "HOAXWATCH_FAIL_FOLDER": str(self.folder),
            "HOAXWATCH_CONFIG": str(self.folder / "none.toml"),
            "PYTHONPATH": str(REPOSITORY),
        }
        given = self.windows | self.login
        told |= {f"HOAXWATCH_{key.upper()}": str(value) for key, value in given.items()}
        log = (self.folder / f"{name}.log").open("ab")
        self.workers[name] = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.worker", role],
            cwd=REPOSITORY,
            env={**os.environ, **{k: v for k, v in (told | environment).items() if v}},
            stdout=log,
            stderr=log,
        )
        log.close()
        return self.workers[name]

    def mend(self) -> list[int]:
        """Starts workers that ended again, as a restart policy does; returns how they ended."""
        ended = [name for name, process in self.workers.items() if process.poll() is not None]
        codes = [self.workers[name].returncode for name in ended]
        for name in ended:
            role, environment = self.roles[name]
            self.start(role, name, **environment)
        return codes

    def kill(self, name: str) -> None:
        """SIGKILL."""
        self.workers[name].kill()
        self.workers[name].wait()

    def end(self, name: str) -> None:
        """Tells a worker to stop and waits until it has."""
        process = self.workers.pop(name)
        process.terminate()
        try:
            process.wait(timeout=PATIENCE_SECONDS)
        finally:
            process.kill()
            process.wait()

    def signal(self, name: str, kind: signal.Signals) -> None:
        """Sends any signal."""
        self.workers[name].send_signal(kind)

    def wait(self, seconds: float = PATIENCE_SECONDS, *, mend: bool = True) -> None:
        """Returns when everything sent is recorded and counted, restarting what died meanwhile."""
        self.wait_for(lambda: self._is_done(), seconds, mend=mend)

    def wait_for(
        self,
        condition: Callable[[], bool],
        seconds: float = PATIENCE_SECONDS,
        *,
        mend: bool = True,
    ) -> None:
        """Returns when the condition holds."""
        deadline = time.monotonic() + seconds
        while not condition():
            if mend:
                self.mend()
            assert time.monotonic() < deadline, self.told()
            time.sleep(0.3)

    def _is_done(self) -> bool:
        with connect(self.dsn) as connection:
            recorded = sum(positions.read_positions(connection).values())
            in_work = connection.execute(
                "SELECT (SELECT count(*) FROM hoaxwatch.offsets_in_work)"
                " + (SELECT count(*) FROM hoaxwatch.dirty_buckets)"
            ).fetchone()
        if recorded < self.n_sent or in_work != (0,):
            return False
        return not any(row.lag for row in topics.read_lag(self.settings) if "posts" in row.topic)

    def n_recorded(self) -> int:
        """Records of topic posts that are recorded by now."""
        with connect(self.dsn) as connection:
            return sum(positions.read_positions(connection).values())

    def told(self) -> str:
        """What the workers said, for a failing test."""
        logs = sorted(self.folder.glob("*.log"))
        said = [f"{log.name}: {log.read_text(errors='replace')[-1500:]}" for log in logs]
        with connect(self.dsn) as connection:
            outcomes = positions.read_outcomes(connection)
            waiting = []
            for table in ("stream_positions", "offsets_in_work", "dirty_buckets", "track_owner"):
                some = connection.execute(f"SELECT * FROM hoaxwatch.{table} LIMIT 9").fetchall()
                waiting.append(f"{table}: {some}")
        lag: list[str] = []
        with suppress(Unavailable):  # some scenes have no broker at their end
            lag = [f"{row.group} lags {row.lag}" for row in topics.read_lag(self.settings)]
        sent = f"not done in time: {self.n_sent} sent, {outcomes}"
        return "\n".join([sent, *waiting, *lag, *said])

    def check(
        self, posts: Sequence[Post], reference: str, n_quarantined: int = 0, n_skipped: int = 0
    ) -> None:
        """The oracle: tables as without brokers, counts as by hand, each record counted once."""
        self.stop()
        with connect(self.dsn) as connection:
            outcomes = positions.read_outcomes(connection)
            skipped = positions.read_skipped(connection)
        assert sum(outcomes.values()) == self.n_sent, outcomes
        assert skipped == n_skipped
        found = read_tables(self.dsn)
        assert len(found["quarantine"]) == n_quarantined
        assert found["dirty_buckets"] == []
        distinct = {post.post_id: post for post in posts}
        assert len(found["posts"]) == len(distinct)
        assert outcomes["new"] == len(distinct)
        expected = count_by_hand(distinct.values())
        counted = {
            (row[0], row[2][:10]): int(row[3]) for row in found["hashtag_trends"] if row[1] == "day"
        }
        assert counted == expected
        theirs = reference_tables(reference, list(distinct.values()), self.settings)
        for tables in (found, theirs):
            del tables["quarantine"]  # checked above; names offsets
        assert_same(found, theirs)

    def stop(self) -> None:
        """Ends all workers."""
        for process in self.workers.values():
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
        for process in self.workers.values():
            process.wait()


def count_by_hand(posts: Collection[Post]) -> dict[tuple[str, str], int]:
    """(hashtag, day) -> posts. A share counts under the hashtags of its original."""
    tags = {post.post_id: {tag.lower() for tag in post.hashtags} for post in posts}
    counts: Counter[tuple[str, str]] = Counter()
    for post in posts:
        root = post.share_of or post.post_id
        counts.update((tag, f"{post.posted_at:%Y-%m-%d}") for tag in tags[root])
    return dict(counts)
