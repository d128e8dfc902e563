"""The settings of the Compose file's broker, read as its image reads them, start a real broker."""

from __future__ import annotations

from pathlib import Path

import yaml

from infra.kafka.broker import Cluster
from streams import ingest, topics
from streams.settings import read_settings
from tests.conftest import skip_without_brokers
from tests.faults.scene import make_posts
from tests.folders import short_folder
from tests.house.repository import ROOT


def properties_of(environment: dict[str, object]) -> dict[str, str]:
    """KAFKA_LOG_DIRS is log.dirs, and so on.

    >>> properties_of({"KAFKA_LOG_DIRS": "/d", "KAFKA_NODE_ID": 1})
    {'log.dirs': '/d', 'node.id': '1'}
    """
    return {
        name.removeprefix("KAFKA_").lower().replace("_", "."): str(value)
        for name, value in environment.items()
    }


class ComposeBroker(Cluster):
    """One broker with the settings of docker-compose.yml, but for its addresses and its folder."""

    def _make(self, n_brokers: int, java: str, jars: Path) -> None:
        super()._make(n_brokers, java, jars)
        ((port, controller),) = self._ports()
        compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
        said = properties_of(compose["services"]["kafka"]["environment"])
        for name, value in said.items():
            here = value.replace("kafka:", "127.0.0.1:").replace("//:", "//127.0.0.1:")
            said[name] = here.replace(":9092", f":{port}").replace(":9093", f":{controller}")
        said["log.dirs"] = str(self._of(1) / "data")
        lines = [f"{name}={value}\n" for name, value in said.items()]
        (self._of(1) / "server.properties").write_text("".join(lines))


def test_it_takes_posts() -> None:
    skip_without_brokers()
    with short_folder() as folder:
        cluster = ComposeBroker(folder / "kafka")
        try:
            kafka = cluster.start()
            settings = read_settings(kafka=kafka, home=folder)
            assert all(topics.create_topics(settings).values())
            ingest.send_all([ingest.encode_entry(post) for post in make_posts(20)], settings)
            assert [row.end for row in topics.read_lag(settings)] == [20, 0]
        finally:
            cluster.stop()
