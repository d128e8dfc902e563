"""Brokers and databases that go away, with and without a goodbye."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from storage import embedded
from storage.database import add_payload_partitions, connect, migrate
from storage.keeper import find_postmaster
from storage.tracking import Mark
from streams import ingest, topics
from streams.formats.registry import load_format, read_file
from streams.ingest import Published, Publisher
from streams.records import Post
from streams.spool import Spool
from tests.conftest import running_cluster
from tests.faults.proxy import CommitCutter
from tests.faults.scene import PATIENCE_SECONDS, REPOSITORY, START, Scene, make_posts
from tests.folders import short_folder

IS_LONG = bool(os.environ.get("HOAXWATCH_TEST_LONG"))

pytestmark = pytest.mark.timeout(900)


def publish(scene: Scene, posts: Any, result: Published, is_down: threading.Event) -> None:
    """As `hoaxwatch ingest` does: half of the posts while the broker is there, half after."""
    settings = scene.settings.model_copy(update={"retry_seconds": PATIENCE_SECONDS})
    with Spool(settings.ingest_folder()) as spool:
        publisher = Publisher(settings, spool, result, lambda mark: None)
        for number, post in enumerate(posts):
            if number == len(posts) // 2:
                is_down.wait()
            publisher.put(post, Mark(str(number)))
        publisher.finish()
        publisher.close()


def test_a_broker_that_is_killed_and_comes_back(scene: Scene, reference: str) -> None:
    """Posts wait on disk meanwhile; workers that are in the middle go on where they were."""
    with running_cluster(1) as cluster:
        scene.kafka = cluster.bootstrap
        scene.set_up()
        posts = make_posts(1000, seed=11)
        scene.start("classify", "c1")
        scene.start("track", "t1")
        result, is_down = Published(), threading.Event()
        sender = threading.Thread(target=publish, args=(scene, posts, result, is_down))
        sender.start()
        scene.wait_for(lambda: scene.n_recorded() > 50)
        cluster.kill(1)
        is_down.set()
        scene.wait_for(lambda: result.spooled > 0)
        cluster.start()
        sender.join()
        assert result.acknowledged == len(posts)
        # what was on its way when the broker died may have arrived twice
        scene.wait_for(lambda: count_posts(scene) == len(posts))
        scene.n_sent = scene.n_recorded()
        scene.wait()
        scene.n_sent = scene.n_recorded()
        scene.check(posts, reference)


def test_an_ingest_that_dies_before_it_saves_its_cursor(scene: Scene, reference: str) -> None:
    """What was acknowledged goes a second time; it counts once."""
    file = scene.folder / "posts.csv"
    file.write_bytes(load_format("twitwi").example())
    posts = [reading for reading in read_file(file) if isinstance(reading, Post)]
    told = {
        "HOAXWATCH_KAFKA": scene.kafka,
        "HOAXWATCH_KAFKA_PREFIX": scene.prefix,
        "HOAXWATCH_HOME": str(scene.folder),
        "HOAXWATCH_FAIL_FOLDER": str(scene.folder),
        "HOAXWATCH_FAIL_POINTS": "ingest.before_ack",
    }
    command = [sys.executable, "-m", "hoaxwatch", "ingest", str(file)]
    for code in (-signal.SIGKILL, 0, 0):
        done = subprocess.run(command, env={**os.environ, **told}, cwd=REPOSITORY, check=False)
        assert done.returncode == code
    scene.n_sent = topics.read_lag(scene.settings)[0].end
    assert scene.n_sent == 2 * len(posts)
    scene.start("classify", "c1")
    scene.start("track", "t1")
    scene.wait()
    scene.check(posts, reference)


def count_posts(scene: Scene) -> int:
    """Posts that are stored."""
    with connect(scene.dsn) as connection:
        row = connection.execute("SELECT count(*) FROM hoaxwatch.posts").fetchone()
    assert row is not None
    return int(row[0])


def test_one_of_three_brokers_is_lost_for_good(scene: Scene, reference: str) -> None:
    with running_cluster(3) as cluster:
        scene.kafka, scene.replicas = cluster.bootstrap, 3
        scene.set_up()
        posts = make_posts(900, seed=12)
        scene.start("classify", "c1")
        scene.start("track", "t1")
        scene.send(posts[:300])
        scene.wait_for(lambda: scene.n_recorded() > 50)
        cluster.kill(2)
        scene.send(posts[300:])
        scene.wait()
        scene.check(posts, reference)


@pytest.fixture
def own_server() -> Iterator[tuple[Path, embedded.EmbeddedServer]]:
    """A PostgreSQL that may be killed."""
    with short_folder() as base:
        folder = base / "p"
        try:
            with embedded.open_embedded(folder, idle_seconds=60) as running:
                yield folder, running
        finally:
            embedded.stop(folder)


def prepared(server: embedded.EmbeddedServer) -> str:
    """The DSN of its database with tables."""
    dsn = server.dsn()
    with connect(dsn) as connection:
        migrate(connection)
        add_payload_partitions(connection, START)
    return dsn


def test_a_database_that_is_cut_off_and_comes_back(
    scene: Scene, reference: str, own_server: Any
) -> None:
    """Immediate shutdown, as a power cut: workers wait for it, or are started again."""
    folder, running = own_server
    scene.dsn = prepared(running)
    posts = make_posts(900, seed=13)
    scene.send(posts)
    scene.start("classify", "c1")
    scene.start("track", "t1")
    for _ in range(2):
        before = scene.n_recorded()
        scene.wait_for(lambda before=before: scene.n_recorded() > before)  # type: ignore[misc]
        postmaster = find_postmaster(folder / "pgdata")
        assert postmaster is not None
        os.kill(postmaster.pid, signal.SIGQUIT)
        while find_postmaster(folder / "pgdata") is not None:
            time.sleep(0.1)
        time.sleep(2)
        with embedded.open_embedded(folder, idle_seconds=60):
            pass
    with embedded.open_embedded(folder, idle_seconds=60):
        scene.wait()
        scene.check(posts, reference)


def test_a_connection_cut_during_commit(scene: Scene, reference: str) -> None:
    """Whether it was done nobody knows: it is done again, and counts once."""
    from psycopg.conninfo import conninfo_to_dict, make_conninfo

    real = conninfo_to_dict(scene.dsn)
    with short_folder() as folder:
        cutter = CommitCutter(folder, Path(str(real["host"])))
        direct, scene.dsn = scene.dsn, make_conninfo(scene.dsn, host=str(folder))
        posts = make_posts(1200, seed=14)
        scene.send(posts[:100])
        scene.start("classify", "c1")
        scene.start("track", "t1")
        scene.dsn = direct
        scene.wait(mend=False)
        cutter.cut += ["lost", "done"] * 4
        scene.send(posts[100:])
        scene.wait(mend=False)
        assert cutter.n_cut == 8
        cutter.close()
        scene.check(posts, reference)


def test_a_database_slower_than_the_source_fills_no_memory(scene: Scene) -> None:
    """50 posts a second are stored where thousands arrive: a worker takes what its buffers hold."""
    posts = make_posts(12_000, seed=15)
    with connect(scene.dsn) as connection:
        connection.execute(
            "CREATE FUNCTION hoaxwatch.be_slow() RETURNS trigger LANGUAGE plpgsql"
            " AS 'BEGIN PERFORM pg_sleep(1); RETURN NULL; END'"
        )
        connection.execute(
            "CREATE TRIGGER be_slow AFTER INSERT ON hoaxwatch.posts"
            " FOR EACH STATEMENT EXECUTE FUNCTION hoaxwatch.be_slow()"
        )
    for at in range(0, len(posts), 1000):
        scene.send([with_raw(post) for post in posts[at : at + 1000]])
    process = scene.start("classify", "c1")
    scene.wait_for(lambda: scene.n_recorded() > 50)
    first = resident_bytes(process.pid)
    for _ in range(60 if IS_LONG else 10):
        time.sleep(2)
        assert scene.n_recorded() < len(posts)
        # 120 MB wait in the topic; of records of 10 kB, Faust's buffer takes 40 MB
        assert resident_bytes(process.pid) < first + (60 << 20)


def with_raw(post: Any) -> Any:
    """The post with a raw record of 10 kB that does not compress."""
    return msgspec.structs.replace(post, raw=os.urandom(10_000))


def resident_bytes(pid: int) -> int:
    """What a process holds in memory."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def test_without_brokers_posts_wait_on_disk_and_go_with_the_next_call(scene: Scene) -> None:
    posts = make_posts(50, seed=16)
    away = scene.settings.model_copy(
        update={"kafka": "127.0.0.1:1", "retry_seconds": 0.0, "spool_seconds": 0.5}
    )
    result = Published()
    with Spool(away.ingest_folder()) as spool:
        publisher = Publisher(away, spool, result, lambda mark: pytest.fail("saved too early"))
        for post in posts:
            publisher.put(post, Mark("cursor"))
        with pytest.raises(Exception, match="goes with the next hoaxwatch ingest"):
            publisher.finish()
    assert result.spooled == len(posts)
    saved: list[Mark] = []
    with Spool(away.ingest_folder()) as spool:
        assert not spool.is_empty
        publisher = Publisher(scene.settings, spool, Published(), saved.append)
        publisher.finish()
        publisher.close()
        assert spool.is_empty
    assert ingest.count_partitions(scene.settings, "posts") == scene.partitions
