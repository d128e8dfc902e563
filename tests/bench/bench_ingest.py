"""Posts to the broker: our publisher against kafka-python's plain ways, beside confluent-kafka.

    python -m tests.bench.bench_ingest [N_POSTS] [REPEATS]

One broker of infra/kafka, one process each, the same encoded records and the same topic of 12
partitions. Every side ends when the broker has acknowledged everything. Bars: at least 5 times
`send().get()` per post at linger 0, and at least as fast as plain `send` at the defaults of
kafka-python 3 (which are idempotent, acks=all, linger 0, batches of 16 kB, no compression).
confluent-kafka (linger 20, zstd, acks=all, idempotent) shows what a client in C does.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from kafka import KafkaProducer

from infra.kafka.broker import Cluster
from storage.tracking import NO_MARK
from streams import topics
from streams.ingest import Published, Publisher, encode_entry
from streams.records import Post
from streams.settings import Settings, read_settings
from streams.spool import Spool
from tests.bench.measure import print_result, seconds_of
from tests.faults.scene import make_posts


def ours(settings: Settings, posts: list[Post]) -> None:
    """What `hoaxwatch ingest` does after reading."""
    result = Published()
    with Spool(settings.ingest_folder()) as spool:
        publisher = Publisher(settings, spool, result, lambda mark: None)
        for post in posts:
            publisher.put(post, NO_MARK)
        publisher.finish()
        publisher.close()
    assert result.acknowledged == len(posts)


def plain_send(settings: Settings, posts: list[Post]) -> None:
    """`send` as the documentation shows it, then one flush."""
    producer = KafkaProducer(bootstrap_servers=settings.kafka)
    topic = topics.topic_name(settings, topics.POSTS)
    for post in posts:
        key, value = encode_entry(post)
        producer.send(topic, key=key, value=value)
    producer.flush()
    producer.close()


def send_and_get(settings: Settings, posts: list[Post]) -> None:
    """Each post waits for its own acknowledgement."""
    producer = KafkaProducer(bootstrap_servers=settings.kafka)
    topic = topics.topic_name(settings, topics.POSTS)
    for post in posts:
        key, value = encode_entry(post)
        producer.send(topic, key=key, value=value).get(timeout=60)
    producer.close()


def confluent(settings: Settings, posts: list[Post]) -> None:
    """librdkafka."""
    from confluent_kafka import Producer

    producer = Producer(
        {
            "bootstrap.servers": settings.kafka,
            "enable.idempotence": True,
            "acks": "all",
            "linger.ms": 20,
            "compression.type": "zstd",
            "queue.buffering.max.messages": 1_000_000,
        }
    )
    topic = topics.topic_name(settings, topics.POSTS)
    for post in posts:
        key, value = encode_entry(post)
        producer.produce(topic, value, key)
        producer.poll(0)
    producer.flush()


def main(n_posts: int, repeats: int) -> None:
    """Measures all in turn."""
    folder = Path(tempfile.mkdtemp(prefix="hw-bench-", dir="/tmp"))
    cluster = Cluster(folder / "kafka")
    few = max(n_posts // 10, 100)
    sides: dict[str, tuple[Callable[[Settings, list[Post]], None], int]] = {
        "ours": (ours, n_posts),
        "plain_send": (plain_send, n_posts),
        "send_and_get": (send_and_get, few),
    }
    try:
        import confluent_kafka  # noqa: F401

        sides["confluent"] = (confluent, n_posts)
    except ImportError:
        pass
    rates: dict[str, list[float]] = {name: [] for name in sides}
    try:
        bootstrap = cluster.start(heap="512m")
        posts = make_posts(n_posts)
        for number in range(repeats):
            settings = read_settings(kafka=bootstrap, kafka_prefix=f"b{number}-", home=folder)
            topics.create_topics(settings)
            for name, (side, n) in sides.items():
                seconds = seconds_of(partial(side, settings, posts[:n]))
                rates[name].append(n / seconds)
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)
    median = {name: statistics.median(found) for name, found in rates.items()}
    print_result(
        "ingest",
        {
            "n_posts": n_posts,
            "n_posts_send_and_get": few,
            "repeats": repeats,
            "posts_per_second": {name: round(rate) for name, rate in median.items()},
            "range": {name: [round(min(f)), round(max(f))] for name, f in rates.items()},
            "to_send_and_get": round(median["ours"] / median["send_and_get"], 2),
            "to_plain_send": round(median["ours"] / median["plain_send"], 2),
            "bar": "to_send_and_get >= 5 and to_plain_send >= 1",
        },
    )


if __name__ == "__main__":
    main(*[int(word) for word in (sys.argv[1:] + ["20000", "3"][len(sys.argv) - 1 :])])
