"""Broker -> decode -> null detector -> PostgreSQL: our worker against a plain Faust agent.

    python -m tests.bench.bench_workers [N_POSTS] [REPEATS]

The same records on one broker of infra/kafka and one embedded PostgreSQL with fsync on; one process
each, started anew. The time runs from the first stored post to the last, so start-up counts for
nobody.

* ours      `worker classify` with the null detector and default settings: all tables
* agent     a Faust agent with Faust's defaults and one autocommitted INSERT per post, into a bare
            table with a primary key
* getmany   aiokafka's getmany in a loop in place of Faust, the same Classifier behind it with
            batches of the same size: what Faust costs
* floor     getmany, decoding, rows, COPY into tables like ours without keys, one commit per batch:
            nothing is merged, judged or noted. What stays if all else were free

Bar: ours at least 5 times agent. Then the added latency at half of our rate and at 100 posts a
second (linger 5 ms, batches within 50 ms), from the broker's stamp to the commit; and the memory of
a worker whose database stores 50 posts a second while thousands arrive.
"""

from __future__ import annotations

import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from infra.kafka.broker import Cluster
from storage import embedded
from storage.database import Connection, connect
from storage.embedded import EmbeddedServer
from streams import topics
from streams.ingest import encode_entry, new_producer, send_all
from streams.settings import Settings, read_settings
from tests.bench.bench_storage import fresh
from tests.bench.measure import print_result, seconds_of
from tests.faults.scene import make_posts

AGENT = """
import sys, faust, mode, psycopg
from streams.records import decode_reading
kafka, dsn, topic, group, folder = sys.argv[1:]
app = faust.App(group, broker="kafka://" + kafka, web_enabled=False, topic_disable_leader=True,
                datadir=folder, consumer_auto_offset_reset="earliest", value_serializer="raw",
                key_serializer="raw")
connection = psycopg.connect(dsn, autocommit=True)
@app.agent(app.topic(topic, value_type=bytes))
async def store(stream):
    async for value in stream:
        p = decode_reading(value)
        connection.execute(
            "INSERT INTO bare VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
            (p.platform, p.post_id, p.posted_at, p.author and p.author.author_id, p.root_id,
             p.kind, p.text))
mode.Worker(app, loglevel="ERROR", redirect_stdouts=False).execute_from_commandline()
"""

GETMANY = """
import asyncio, sys
from concurrent.futures import ThreadPoolExecutor
from aiokafka import AIOKafkaConsumer
from detectors.null import NullDetector
from streams.metrics import Metrics
from streams.settings import read_settings
from streams.workers import Classifier, Taken
kafka, dsn, topic, group = sys.argv[1:]
async def main():
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=kafka, group_id=group,
                                enable_auto_commit=False, auto_offset_reset="earliest")
    work = Classifier(dsn, read_settings(detector="null"), NullDetector(), Metrics("bench"))
    loop, thread = asyncio.get_running_loop(), ThreadPoolExecutor(1)
    await consumer.start()
    while True:
        taken = []
        while len(taken) < 4000:
            found = await consumer.getmany(timeout_ms=50, max_records=4000)
            taken += [Taken(m.topic, m.partition, m.offset, m.value, m.timestamp / 1000)
                      for messages in found.values() for m in messages]
            if not found:
                break
        if taken:
            await loop.run_in_executor(thread, work, taken)
            await consumer.commit()
asyncio.run(main())
"""

TABLES = ("posts", "content", "authors", "content_hashtags", "content_links", "media", "payloads")

FLOOR = """
import asyncio, sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from aiokafka import AIOKafkaConsumer
from storage.database import connect
from storage.rows import BINARY, rows_of
from streams.records import decode_reading
kafka, dsn, topic, group, *tables = sys.argv[1:]
connection = connect(dsn)
def store(values):
    r = rows_of([decode_reading(value) for value in values], datetime.now(UTC))
    with connection.transaction(), connection.cursor() as cursor:
        for table, (like, data) in zip(tables, r.copied.items(), strict=True):
            form = "(FORMAT BINARY)" if like in BINARY else ""
            with cursor.copy(f"COPY floor_{table} FROM STDIN {form}") as copy:
                copy.write(data)
async def main():
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=kafka, group_id=group,
                                enable_auto_commit=False, auto_offset_reset="earliest")
    loop, thread = asyncio.get_running_loop(), ThreadPoolExecutor(1)
    await consumer.start()
    while True:
        values = []
        while len(values) < 4000:
            found = await consumer.getmany(timeout_ms=50, max_records=4000)
            values += [m.value for messages in found.values() for m in messages]
            if not found:
                break
        if values:
            await loop.run_in_executor(thread, store, values)
            await consumer.commit()
asyncio.run(main())
"""


def count(connection: Connection, table: str) -> int:
    """Rows of a table."""
    row = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    assert row is not None
    return int(row[0])


def rate_of(command: list[str], environment: dict[str, str], dsn: str, table: str, n: int) -> float:
    """Posts per second from the first stored to the last, over the middle of the work."""
    process = subprocess.Popen(command, env={**os.environ, **environment})
    try:
        deadline = time.monotonic() + 600
        first: tuple[float, int] | None = None
        with connect(dsn) as connection:
            while True:
                at, stored = time.perf_counter(), count(connection, table)
                if first is None and stored:
                    first = at, stored
                if stored >= n:
                    assert first is not None
                    return (stored - first[1]) / max(at - first[0], 1e-9)
                assert process.poll() is None, f"{command[:4]} ended"
                assert time.monotonic() < deadline, f"{stored} of {n} stored"
                time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def latency(settings: Settings, environment: dict[str, str], rate: float, seconds: float) -> Any:
    """p50, p95, p99 in seconds at that rate, from the worker's own histogram."""
    port = 9764
    told = {**environment, "HOAXWATCH_METRICS_PORT": str(port), "HOAXWATCH_TAKE_SECONDS": "0.05"}
    command = [sys.executable, "-m", "hoaxwatch", "worker", "classify", "--no-restart"]
    process = subprocess.Popen(command, env={**os.environ, **told})
    try:
        posts = make_posts(int(rate * seconds) + 2000, seed=99)
        producer = new_producer(settings.model_copy(update={"linger_ms": 5}))
        topic = topics.topic_name(settings, topics.POSTS)
        for post in posts[:2000]:  # warm: start-up and the first batches
            key, value = encode_entry(post)
            producer.send(topic, key=key, value=value)
        producer.flush()
        while topics.read_lag(settings)[0].lag:
            time.sleep(0.2)
        before = histogram(port)
        began = time.perf_counter()
        for number, post in enumerate(posts[2000:]):
            key, value = encode_entry(post)
            producer.send(topic, key=key, value=value)
            ahead = began + number / rate - time.perf_counter()
            if ahead > 0.002:
                time.sleep(ahead)
        producer.flush()
        sent_seconds = time.perf_counter() - began
        producer.close()
        while topics.read_lag(settings)[0].lag:
            time.sleep(0.2)
        found = {bound: n - before.get(bound, 0) for bound, n in histogram(port).items()}
    finally:
        process.kill()
        process.wait()
    sent_rate = round((len(posts) - 2000) / sent_seconds)
    quantiles = {f"p{q}": round(quantile(found, q / 100), 3) for q in (50, 95, 99)}
    return {"posts_per_second": sent_rate, "posts": int(found["+Inf"]), "seconds": quantiles}


def quantile(cumulative: dict[str, float], q: float) -> float:
    """The quantile of a histogram, as Prometheus takes it: straight within a bucket.

    >>> quantile({"1": 0, "2": 10, "+Inf": 10}, 0.5)
    1.5
    """
    rank = q * cumulative["+Inf"]
    low, below = 0.0, 0.0
    for bound, n in cumulative.items():
        if bound == "+Inf":
            break
        if n >= rank and n > below:
            return low + (float(bound) - low) * (rank - below) / (n - below)
        low, below = float(bound), n
    return low


def memory(settings: Settings, environment: dict[str, str], dsn: str, seconds: float) -> Any:
    """Resident memory of a worker (MB) behind whose database 200 MB of posts wait."""
    with connect(dsn) as connection:
        connection.execute(
            "CREATE FUNCTION hoaxwatch.be_slow() RETURNS trigger LANGUAGE plpgsql"
            " AS 'BEGIN PERFORM pg_sleep(1); RETURN NULL; END'"
        )
        connection.execute(
            "CREATE TRIGGER be_slow AFTER INSERT ON hoaxwatch.posts"
            " FOR EACH STATEMENT EXECUTE FUNCTION hoaxwatch.be_slow()"
        )
    posts = [replace(post, raw=os.urandom(10_000)) for post in make_posts(20_000, seed=98)]
    sent_seconds = seconds_of(lambda: send_all([encode_entry(post) for post in posts], settings))
    told = {**environment, "HOAXWATCH_TAKE_POSTS": "50"}
    command = [sys.executable, "-m", "hoaxwatch", "worker", "classify", "--no-restart"]
    process = subprocess.Popen(command, env={**os.environ, **told})
    resident: list[int] = []
    try:
        with connect(dsn) as connection:
            while not count(connection, "hoaxwatch.posts"):
                time.sleep(0.2)
            began, stored = time.perf_counter(), count(connection, "hoaxwatch.posts")
            while time.perf_counter() - began < seconds:
                pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
                resident.append(pages * os.sysconf("SC_PAGE_SIZE") >> 20)
                time.sleep(1)
            stored = count(connection, "hoaxwatch.posts") - stored
            stored_seconds = time.perf_counter() - began
    finally:
        process.kill()
        process.wait()
    return {
        "source_posts_per_second": round(len(posts) / sent_seconds),
        "stored_posts_per_second": round(stored / stored_seconds, 1),
        "waiting_mb": 200,
        "seconds": seconds,
        "resident_mb": {"first": resident[0], "last": resident[-1], "most": max(resident)},
    }


def histogram(port: int) -> dict[str, float]:
    """Bound -> how many posts were stored within it."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    name = 'hoaxwatch_collected_to_stored_seconds_bucket{le="'
    return {
        line[len(name) :].partition('"')[0]: float(line.rpartition(" ")[2])
        for line in lines
        if line.startswith(name)
    }


def beside(
    settings: Settings, environment: dict[str, str], server: EmbeddedServer, name: str
) -> tuple[Settings, dict[str, str]]:
    """Topics, a group and a database of their own, for settings and for a worker's environment."""
    at = settings.model_copy(update={"kafka_prefix": f"{name}-", "project": name})
    topics.create_topics(at)
    told = {
        "HOAXWATCH_DATABASE": fresh(server, "bench"),
        "HOAXWATCH_KAFKA_PREFIX": f"{name}-",
        "HOAXWATCH_PROJECT": name,
    }
    return at, environment | told


def main(n_posts: int, repeats: int) -> None:
    """Measures the three in turn, each on a fresh database."""
    folder = Path(tempfile.mkdtemp(prefix="hw-bench-", dir="/tmp"))
    folder.chmod(0o755)
    cluster = Cluster(folder / "kafka")
    rates: dict[str, list[float]] = {"ours": [], "agent": [], "getmany": [], "floor": []}
    few = max(n_posts // 5, 1000)
    try:
        bootstrap = cluster.start(heap="512m")
        settings = read_settings(kafka=bootstrap, home=folder, kafka_prefix="w-", detector="null")
        topics.create_topics(settings)
        posts = make_posts(n_posts)
        send_all([encode_entry(post) for post in posts], settings)
        topic = topics.topic_name(settings, topics.POSTS)
        with embedded.open_embedded(folder / "db") as server:
            for number in range(repeats):
                dsn = fresh(server, "bench")
                environment = {
                    "HOAXWATCH_KAFKA": bootstrap,
                    "HOAXWATCH_KAFKA_PREFIX": "w-",
                    "HOAXWATCH_DATABASE": dsn,
                    "HOAXWATCH_DETECTOR": "null",
                    "HOAXWATCH_METRICS_PORT": "0",
                    "HOAXWATCH_PROJECT": f"bench{number}",
                    "HOAXWATCH_HOME": str(folder),
                    "PYTHONPATH": ".",
                }
                worker = [sys.executable, "-m", "hoaxwatch", "worker", "classify", "--no-restart"]
                rates["ours"].append(rate_of(worker, environment, dsn, "hoaxwatch.posts", n_posts))
                dsn = fresh(server, "bench")
                getmany = [sys.executable, "-c", GETMANY, bootstrap, dsn, topic, f"g{number}"]
                rates["getmany"].append(
                    rate_of(getmany, {"PYTHONPATH": "."}, dsn, "hoaxwatch.posts", n_posts)
                )
                dsn = fresh(server, "bench")
                with connect(dsn) as connection:
                    connection.execute(
                        "CREATE TABLE bare (platform text, post_id text, posted_at timestamptz,"
                        " author_id text, root_id text, kind text, text text,"
                        " PRIMARY KEY (platform, post_id))"
                    )
                    for table in TABLES:
                        connection.execute(f"CREATE TABLE floor_{table} (LIKE hoaxwatch.{table})")
                floor = [sys.executable, "-c", FLOOR, bootstrap, dsn, topic, f"f{number}", *TABLES]
                rates["floor"].append(
                    rate_of(floor, {"PYTHONPATH": "."}, dsn, "floor_posts", n_posts)
                )
                agent = [sys.executable, "-c", AGENT, bootstrap, dsn, topic, f"a{number}"]
                agent.append(str(folder / "faust"))
                rates["agent"].append(rate_of(agent, {"PYTHONPATH": "."}, dsn, "bare", few))
            median = {name: statistics.median(found) for name, found in rates.items()}
            loads = {"half": median["ours"] / 2, "low": 100.0}
            late: dict[str, Any] = {}
            for name, rate in loads.items():
                late[name] = latency(*beside(settings, environment, server, name), rate, 20.0)
            at, told = beside(settings, environment, server, "memory")
            bounded = memory(at, told, told["HOAXWATCH_DATABASE"], 60.0)
    finally:
        cluster.stop()
        embedded.stop(folder / "db")
        shutil.rmtree(folder, ignore_errors=True)
    print_result(
        "workers",
        {
            "n_posts": n_posts,
            "n_posts_agent": few,
            "repeats": repeats,
            "posts_per_second": {name: round(rate) for name, rate in median.items()},
            "range": {name: [round(min(f)), round(max(f))] for name, f in rates.items()},
            "ratio": round(median["ours"] / median["agent"], 2),
            "bar": "ratio >= 5",
            "latency_at_half_load": late["half"],
            "latency_at_low_load": late["low"],
            "memory": bounded,
        },
    )


if __name__ == "__main__":
    main(*[int(word) for word in (sys.argv[1:] + ["20000", "3"][len(sys.argv) - 1 :])])
