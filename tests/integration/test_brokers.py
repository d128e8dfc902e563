"""Commands that speak with a broker, and the parent that starts a worker again."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog
from kafka import TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient
from kafka.structs import OffsetAndMetadata
from prometheus_client import generate_latest

from storage.tracking import NO_MARK, Mark
from streams import service
from streams.errors import Unavailable, UsageError
from streams.formats.registry import load_format
from streams.ingest import Published, Publisher, encode_entry, publish, send_all
from streams.metrics import IngestMetrics, Metrics, serve_metrics
from streams.service import keep_working
from streams.settings import Settings, read_settings
from streams.sources.files import FileSource
from streams.sources.marks import FileMarks
from streams.spool import Spool
from streams.topics import (
    CLASSIFY,
    POSTS,
    create_topics,
    group_name,
    read_lag,
    read_newest,
    read_topics,
    topic_name,
)
from tests.faults.scene import make_posts
from tests.house.repository import ROOT

_numbers = itertools.count()


@pytest.fixture
def settings(kafka: str, tmp_path: Path) -> Iterator[Settings]:
    """A project of its own on the session's broker."""
    prefix = f"i{os.getpid()}-{next(_numbers)}-"
    yield read_settings(kafka=kafka, kafka_prefix=prefix, kafka_partitions=3, home=tmp_path / "h")


def hoaxwatch(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    told = {
        "HOAXWATCH_KAFKA": settings.kafka or "",
        "HOAXWATCH_KAFKA_PREFIX": settings.kafka_prefix,
        "HOAXWATCH_KAFKA_PARTITIONS": str(settings.kafka_partitions),
        "HOAXWATCH_HOME": str(settings.home),
        "PYTHONPATH": str(ROOT),
    }
    return subprocess.run(
        [sys.executable, "-m", "hoaxwatch", *arguments],
        env={**os.environ, **told},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_topics_are_made_once_and_listed(settings: Settings) -> None:
    assert [row.partitions for row in read_topics(settings)] == [None, None]
    done = hoaxwatch(settings, "topics", "create")
    assert (done.returncode, done.stderr.count("made")) == (0, 2)
    assert hoaxwatch(settings, "topics", "create").stderr.count("is there") == 2
    rows = json.loads(hoaxwatch(settings, "topics", "list", "--json").stdout)
    assert [(row["partitions"], row["records"]) for row in rows] == [(3, 0), (3, 0)]


def test_ingest_goes_on_where_it_was(settings: Settings, tmp_path: Path) -> None:
    create_topics(settings)
    file = tmp_path / "a.csv"
    file.write_bytes(load_format("twitwi").example())
    first = hoaxwatch(settings, "ingest", str(file), "--json")
    assert first.returncode == 0, first.stderr
    told = json.loads(first.stdout)
    n = sum(told["read"].values())
    assert told["acknowledged"] == n > 0
    assert json.loads(hoaxwatch(settings, "ingest", str(file), "--json").stdout)["read"] == {}
    again = json.loads(hoaxwatch(settings, "ingest", str(file), "--again", "--json").stdout)
    assert again["acknowledged"] == n
    lag = hoaxwatch(settings, "lag", "--json")
    assert lag.returncode == 0, lag.stderr
    assert [row["lag"] for row in json.loads(lag.stdout)] == [2 * n, 0]
    assert "the newest post came" in lag.stderr


def test_a_cursor_is_saved_after_the_acknowledgement_alone(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_topics(settings)
    file = tmp_path / "a.csv"
    file.write_bytes(load_format("twitwi").example())
    source = FileSource(file)
    saved: list[tuple[str, int]] = []

    def save(self: FileMarks, name: str, mark: Mark) -> None:
        saved.append((str(mark.cursor), sum(row.end for row in read_lag(settings)[:1])))

    monkeypatch.setattr(FileMarks, "save", save)
    result = publish(source, settings)
    assert isinstance(result, Published)
    assert saved[-1][0].endswith(f":{result.acknowledged}")
    assert all(on_broker >= int(cursor.rpartition(":")[2]) for cursor, on_broker in saved)


def spooled(settings: Settings, n_posts: int = 1) -> None:
    """Has so many posts wait on disk for the brokers."""
    with Spool(settings.ingest_folder()) as spool:
        for post in make_posts(n_posts):
            spool.append(*encode_entry(post))


def test_what_waits_on_disk_hides_no_missing_topic(settings: Settings, tmp_path: Path) -> None:
    spooled(settings)
    file = tmp_path / "a.csv"
    file.write_bytes(load_format("twitwi").example())
    with pytest.raises(UsageError, match=r"topic .*posts does not exist; make it"):
        publish(FileSource(file), settings)
    away = settings.model_copy(
        update={"kafka": "127.0.0.1:1", "retry_seconds": 0.0, "spool_seconds": 0.5}
    )
    with pytest.raises(Unavailable, match=r"nobody listens .* waits in .* goes with the next"):
        publish(FileSource(file), away)  # it is read nevertheless: the brokers may come back
    with Spool(settings.ingest_folder()) as spool:
        assert sum(len(entries) for _, entries in spool.segments()) > 1


def test_why_brokers_take_nothing_is_said_at_the_end(settings: Settings) -> None:
    """The topic goes, or the password changes, while a source is followed."""
    spooled(settings)
    hasty = settings.model_copy(
        update={"retry_seconds": 0.0, "spool_seconds": 0.5, "spool_bytes": 2000}
    )
    with Spool(hasty.ingest_folder(), hasty.spool_bytes) as spool:
        publisher = Publisher(hasty, spool, Published(), lambda mark: None)
        with pytest.raises(Unavailable, match="topics create; what they have not taken waits in"):
            publisher.finish()
        with pytest.raises(Unavailable, match=r"topics create; .* is full \(2,000 bytes\)"):
            for post in make_posts(50):
                publisher.put(post, NO_MARK)


def test_what_is_kept_is_what_the_brokers_say(settings: Settings) -> None:
    create_topics(settings)
    assert [row.retention_hours for row in read_topics(settings)] == [168.0, 24.0]
    for milliseconds in ("5400000", "-1"):
        with closing(KafkaAdminClient(bootstrap_servers=settings.kafka)) as admin:
            kept = {"retention.ms": milliseconds}
            name = topic_name(settings, POSTS)
            admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, kept)])
        told = hoaxwatch(settings, "topics", "list", "--json").stdout
        found = json.loads(told)[0]["retention_hours"]
        assert found == (1.5 if milliseconds != "-1" else -1)
    assert "for ever" in hoaxwatch(settings, "topics", "list").stdout


def test_what_a_topic_has_dropped_does_not_wait(settings: Settings) -> None:
    settings = settings.model_copy(update={"kafka_partitions": 1})
    create_topics(settings)
    send_all([encode_entry(post) for post in make_posts(9)], settings)
    partition = TopicPartition(topic_name(settings, POSTS), 0)
    group = group_name(settings, CLASSIFY)
    assert read_lag(settings)[0].lag == 9
    with closing(KafkaAdminClient(bootstrap_servers=settings.kafka)) as admin:
        committed = admin.alter_group_offsets(group, {partition: OffsetAndMetadata(2, "", -1)})
        assert [error.errno for error in committed.values()] == [0]
        assert read_lag(settings)[0].lag == 7
        admin.delete_records({partition: 6})
    assert read_lag(settings)[0][-2:] == (6, 3)  # done or gone, and waiting


def test_a_missing_topic_and_a_missing_broker_say_what_to_do(settings: Settings) -> None:
    done = hoaxwatch(settings, "ingest", "README.md", "--format", "twitwi")
    assert done.returncode == 2
    assert "hoaxwatch topics create" in done.stderr
    away = settings.model_copy(update={"kafka": "127.0.0.1:1"})
    done = hoaxwatch(away, "lag")
    assert done.returncode == 3
    assert "do not answer" in done.stderr
    nowhere = settings.model_copy(update={"kafka": ""})
    done = hoaxwatch(nowhere, "topics", "list")
    assert done.returncode == 2
    assert "HOAXWATCH_KAFKA" in done.stderr


def test_nothing_is_arriving_on_an_empty_topic(settings: Settings) -> None:
    create_topics(settings)
    assert read_newest(settings, "posts") is None
    assert "nothing is arriving" in hoaxwatch(settings, "lag").stderr


def test_metrics_and_health_are_served_on_loopback() -> None:
    metrics = Metrics("classify")
    well: list[bool] = [True]
    ports = [serve_metrics(metrics, "127.0.0.1", 29464, lambda: well[0]) for _ in range(2)]
    assert ports[0] and ports[1]
    assert 29464 <= ports[0] < ports[1]  # the first that are free from there on
    assert serve_metrics(metrics, "127.0.0.1", 0, lambda: True) is None
    metrics.records.labels("new").inc(3)
    url = f"http://127.0.0.1:{ports[0]}"
    with urllib.request.urlopen(f"{url}/metrics", timeout=5) as answer:
        assert 'hoaxwatch_records_total{outcome="new"} 3.0' in answer.read().decode()
    with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:
        assert json.loads(answer.read())["role"] == "classify"
    well[0] = False
    with pytest.raises(urllib.error.HTTPError, match="503"):
        urllib.request.urlopen(f"{url}/health", timeout=5)


def test_ingest_tells_what_it_read_and_what_waits_on_disk() -> None:
    counts = Published(spooled=2, spool_bytes=90)
    counts.read["post"] += 7
    counts.errors["KafkaTimeoutError"] += 1
    metrics = IngestMetrics(counts)
    text = generate_latest(metrics.registry).decode()
    counts.acknowledged, counts.acknowledged_at = 5, datetime(2026, 3, 2, tzinfo=UTC)
    later = generate_latest(metrics.registry).decode()
    assert 'hoaxwatch_ingest_read_total{kind="post"} 7.0' in text
    assert 'hoaxwatch_ingest_errors_total{error="KafkaTimeoutError"} 1.0' in text
    assert "hoaxwatch_spool_bytes 90.0" in text
    assert "hoaxwatch_ingest_acknowledged_total 0.0" in text
    assert "hoaxwatch_ingest_acknowledged_total 5.0" in later
    assert metrics.last_done_at == counts.acknowledged_at


CHILD = """
import sys, time
from pathlib import Path
note = Path(sys.argv[1])
n = len(note.read_text()) if note.exists() else 0
note.write_text("x" * (n + 1))
if n == 2: time.sleep(60)
sys.exit(int(sys.argv[2]))
"""

PARENT = """
import sys
from streams.service import keep_working
sys.exit(keep_working([sys.executable, "-c", sys.argv[1], *sys.argv[2:]]))
"""


def test_the_parent_starts_a_worker_again_and_stops_with_it(tmp_path: Path) -> None:
    note = tmp_path / "starts"
    parent: Any = subprocess.Popen(
        [sys.executable, "-c", PARENT, CHILD, str(note), "1"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
    )
    while not note.exists() or len(note.read_text()) < 3:
        assert parent.poll() is None
        time.sleep(0.1)
    parent.send_signal(signal.SIGTERM)
    assert parent.wait(timeout=30) == 0


@pytest.fixture
def handlers() -> Iterator[None]:
    """The parent has its own; a test that plays it gives them back."""
    before = {kind: signal.getsignal(kind) for kind in (signal.SIGTERM, signal.SIGINT)}
    yield
    for kind, handler in before.items():
        signal.signal(kind, handler)


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize("code", [0, 2])
def test_the_parent_starts_nothing_again_that_cannot_help(tmp_path: Path, code: int) -> None:
    note = tmp_path / "starts"
    assert keep_working([sys.executable, "-c", CHILD, str(note), str(code)]) == code
    assert note.read_text() == "x"


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize(
    ("code", "ends_with", "lives"),
    [
        (service.DEPENDENCY_DOWN, service.OK, 26),  # the outage is over at last
        (service.BUG, service.BUG, service.SHORT_LIVES),
    ],
)
def test_the_parent_waits_out_an_outage_and_gives_up_on_a_bug(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, ends_with: int, lives: int
) -> None:
    monkeypatch.setattr(service, "FIRST_PAUSE_SECONDS", 0.0)
    note = tmp_path / "starts"
    dies = f'printf x >> "$0"; test $(wc -c < "$0") -gt 25 || exit {code}'
    assert keep_working(["sh", "-c", dies, str(note)]) == ends_with
    assert note.read_text() == lives * "x"


@pytest.mark.usefixtures("handlers")
def test_pauses_grow_until_a_worker_lived_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "FIRST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(service, "SHORT_LIFE_SECONDS", 2.0)
    note = tmp_path / "starts"
    dies = (
        'printf x >> "$0"; n=$(wc -c < "$0"); test $n -ne 4 || sleep 2.1; test $n -gt 6 || exit 3'
    )
    with structlog.testing.capture_logs() as told:
        assert keep_working(["sh", "-c", dies, str(note)]) == service.OK
    pauses = [1000 * line["pause_seconds"] for line in told]
    assert pauses == [1, 2, 4, 1, 2, 4]


@pytest.mark.usefixtures("handlers")
def test_a_parent_that_is_stopped_while_it_starts_a_worker_stops_that_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Stopped(subprocess.Popen[bytes]):
        """The child runs, and nobody knows it yet."""

        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(subprocess, "Popen", Stopped)
    of_its_own = "import time, sys; time.sleep(20); sys.exit(7)"
    assert keep_working([sys.executable, "-c", of_its_own]) == 0
