"""Which topics there are, what each holds, and how far its readers are. One table.

The brokers are spoken to by kafka-python here and in `ingest`, by aiokafka under Faust in `agents`.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from kafka import TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, OffsetSpec
from kafka.errors import (
    AuthorizationError,
    GroupIdNotFoundError,
    KafkaError,
    RetriableError,
    SaslAuthenticationFailedError,
    TopicAlreadyExistsError,
)

from streams.errors import Unavailable, UsageError
from streams.settings import Settings

POSTS, ACTIVITY = "posts", "activity"
CLASSIFY, TRACK = "classify", "track"

DAY_HOURS = 24
HOUR_MS = 3_600_000
FOR_EVER = -1
#: The greatest record that travels; a greater one cannot be sent and is quarantined by `ingest`.
RECORD_LIMIT_BYTES = 64 << 20
#: What a reader takes of a partition at once. A greater record comes alone.
FETCH_BYTES = 4 << 20
CONNECT_SECONDS = 10.0


@dataclass(frozen=True)
class Topic:
    """One topic. `readers` are the roles that read it, each as one consumer group."""

    name: str
    key: str
    record: str
    retention_hours: int
    readers: tuple[str, ...]


#: A topic keeps posts for 7 days at most: what was deleted must not stay for long.
TOPICS = (
    Topic(
        POSTS,
        key="platform:root id, so that a post and its shares lie together",
        record="Reading: one byte of RECORD_VERSION, then MessagePack",
        retention_hours=7 * DAY_HOURS,
        readers=(CLASSIFY,),
    ),
    Topic(
        ACTIVITY,
        key="none: the partition is that of the hashtags",
        record="hashtags whose buckets changed, as tag:NAME: a JSON array",
        retention_hours=DAY_HOURS,
        readers=(TRACK,),
    ),
)


class TopicState(NamedTuple):
    """A topic as the brokers have it. `partitions` is None where it does not exist,
    `retention_hours` FOR_EVER where records stay, None where brokers do not tell."""

    topic: str
    partitions: int | None
    replicas: int | None
    retention_hours: float | None
    records: int | None


class Lag(NamedTuple):
    """How far a group is behind in one topic; `lag` counts records that wait."""

    topic: str
    group: str
    partitions: int
    end: int
    committed: int
    lag: int


def topic_name(settings: Settings, name: str) -> str:
    """The name of a topic on the brokers."""
    return settings.kafka_prefix + name


def group_name(settings: Settings, role: str) -> str:
    """The consumer group of a role; projects have groups of their own."""
    return f"{settings.kafka_prefix}hoaxwatch-{settings.project}-{role}"


def addresses(settings: Settings) -> list[str]:
    """host:port of each broker. Raises UsageError if none is set."""
    found = [part.strip() for part in (settings.kafka or "").split(",") if part.strip()]
    if not found:
        raise UsageError(
            "no brokers are set; say where they are: HOAXWATCH_KAFKA=host:port or --kafka host:port"
        )
    return found


def client_config(settings: Settings) -> dict[str, Any]:
    """What every kafka-python client is made with: where the brokers are and who we are."""
    config: dict[str, Any] = {
        "bootstrap_servers": addresses(settings),
        "security_protocol": settings.kafka_security,
        "client_id": "hoaxwatch",
        "bootstrap_timeout_ms": int(CONNECT_SECONDS * 1000),
    }
    if settings.kafka_ca_file is not None:
        config["ssl_cafile"] = str(settings.kafka_ca_file)
    if settings.kafka_security.startswith("SASL"):
        user, password = sasl_login(settings)
        config |= {
            "sasl_mechanism": settings.kafka_sasl,
            "sasl_plain_username": user,
            "sasl_plain_password": password,
        }
    return config


def sasl_login(settings: Settings) -> tuple[str, str]:
    """User and password. Raises UsageError if one is missing."""
    if settings.kafka_user is None or settings.kafka_password is None:
        raise UsageError(
            f"kafka_security {settings.kafka_security} needs a login: set HOAXWATCH_KAFKA_USER and "
            "HOAXWATCH_KAFKA_PASSWORD"
        )
    return settings.kafka_user, settings.kafka_password.get_secret_value()


#: What an error of the disk says, on which waits what the brokers have not taken.
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT}


@contextmanager
def kafka_errors(settings: Settings) -> Iterator[None]:
    """Turns what kafka-python raises into one line that says what to do."""
    where = settings.kafka
    try:
        yield
    except (SaslAuthenticationFailedError, AuthorizationError) as error:
        raise UsageError(
            f"brokers {where} refuse ({error}); check kafka_user and kafka_password"
        ) from error
    except (KafkaError, OSError) as error:
        said = " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            raise Unavailable(
                f"there is no room below {settings.home_folder()} ({said}): make some and run it "
                "again; it goes on where it was"
            ) from error
        # a broker that refuses a login or a certificate may just hang up
        secured = settings.kafka_security != "PLAINTEXT"
        too = ", kafka_user, kafka_password and kafka_ca_file" if secured else ""
        raise Unavailable(
            f"brokers {where} do not answer ({said}); start them or check HOAXWATCH_KAFKA{too}"
        ) from error


@contextmanager
def _admin(settings: Settings) -> Iterator[KafkaAdminClient]:
    with kafka_errors(settings):
        client = KafkaAdminClient(**client_config(settings))
        try:
            yield client
        finally:
            client.close()


def create_topics(settings: Settings) -> dict[str, bool]:
    """Makes the topics that are missing; returns for each whether it is new. Changes no other."""
    made = {}
    with _admin(settings) as admin:
        for topic in TOPICS:
            name = topic_name(settings, topic.name)
            wanted = {
                "num_partitions": settings.kafka_partitions,
                "replication_factor": settings.kafka_replicas,
                "configs": {
                    "retention.ms": str(topic.retention_hours * HOUR_MS),
                    "max.message.bytes": str(RECORD_LIMIT_BYTES + 4096),
                    "min.insync.replicas": str(min(2, settings.kafka_replicas)),
                    "cleanup.policy": "delete",
                },
            }
            try:
                admin.create_topics({name: wanted}, wait_for_metadata=True)
                made[name] = True
            except TopicAlreadyExistsError:
                made[name] = False
    return made


def read_topics(settings: Settings) -> list[TopicState]:
    """Our topics as the brokers have them."""
    with _admin(settings) as admin:
        there = set(admin.list_topics())
        return [
            _state(admin, settings, topic)
            if topic_name(settings, topic.name) in there
            else TopicState(topic_name(settings, topic.name), None, None, None, None)
            for topic in TOPICS
        ]


def _state(admin: KafkaAdminClient, settings: Settings, topic: Topic) -> TopicState:
    name = topic_name(settings, topic.name)
    described = admin.describe_topics([name])[0]
    partitions = described["partitions"]
    ends = _offsets(admin, name, len(partitions), OffsetSpec.LATEST)
    begins = _offsets(admin, name, len(partitions), OffsetSpec.EARLIEST)
    return TopicState(
        name,
        len(partitions),
        min((len(p["replica_nodes"]) for p in partitions), default=None),
        _retention_hours(admin, name),
        sum(ends.values()) - sum(begins.values()),
    )


def _retention_hours(admin: KafkaAdminClient, name: str) -> float | None:
    """How long a topic keeps records: what brokers do, which is not always what they were told
    when it was made."""
    asked = ConfigResource(ConfigResourceType.TOPIC, name, ["retention.ms"])
    configs = admin.describe_configs([asked], config_filter="all")["topic"][name]
    if "retention.ms" not in configs:  # we may not ask
        return None
    kept_ms = int(configs["retention.ms"]["value"])
    return FOR_EVER if kept_ms < 0 else kept_ms / HOUR_MS


def count_partitions(settings: Settings, topic: str) -> int:
    """How many partitions a topic has. Raises UsageError if it does not exist."""
    name = topic_name(settings, topic)
    with _admin(settings) as admin:
        if name not in set(admin.list_topics()):
            raise UsageError(f"topic {name} does not exist; make it: hoaxwatch topics create")
        return len(admin.describe_topics([name])[0]["partitions"])


def _offsets(admin: KafkaAdminClient, topic: str, n: int, spec: Any) -> dict[int, int]:
    wanted = {TopicPartition(topic, number): spec for number in range(n)}
    found = admin.list_partition_offsets(wanted)
    return {partition.partition: at.offset for partition, at in found.items()}


def read_lag(settings: Settings) -> list[Lag]:
    """How far each group is behind in its topic. Topics that do not exist are left out."""
    rows = []
    with _admin(settings) as admin:
        there = set(admin.list_topics())
        for topic in TOPICS:
            name = topic_name(settings, topic.name)
            if name not in there:
                continue
            n = len(admin.describe_topics([name])[0]["partitions"])
            ends = _offsets(admin, name, n, OffsetSpec.LATEST)
            begins = _offsets(admin, name, n, OffsetSpec.EARLIEST)
            for role in topic.readers:
                group = group_name(settings, role)
                told = _committed(admin, group, name)
                # what the topic dropped before a group came to it does not wait for it any more
                committed = {p: max(begins[p], told.get(p, 0)) for p in ends}
                lag = sum(max(0, ends[p] - committed[p]) for p in ends)
                rows.append(Lag(name, group, n, sum(ends.values()), sum(committed.values()), lag))
    return rows


def _committed(admin: KafkaAdminClient, group: str, topic: str) -> dict[int, int]:
    deadline = time.monotonic() + CONNECT_SECONDS
    while True:
        try:
            found = admin.list_group_offsets([group])[group]
            break
        except GroupIdNotFoundError:
            return {}
        except RetriableError:  # a new broker first has to make the topic of the groups
            if time.monotonic() > deadline:
                raise
            time.sleep(0.3)
    return {
        partition.partition: at.offset
        for partition, at in found.items()
        if partition.topic == topic and at.offset >= 0
    }


def read_newest(settings: Settings, topic: str) -> datetime | None:
    """When the newest record of a topic was written (UTC); None if it holds none."""
    name = topic_name(settings, topic)
    with _admin(settings) as admin:
        if name not in set(admin.list_topics()):
            return None
        n = len(admin.describe_topics([name])[0]["partitions"])
        wanted = {TopicPartition(name, number): OffsetSpec.MAX_TIMESTAMP for number in range(n)}
        stamps = [at.timestamp for at in admin.list_partition_offsets(wanted).values()]
    newest = max((stamp for stamp in stamps if stamp is not None and stamp > 0), default=None)
    return None if newest is None else datetime.fromtimestamp(newest / 1000, UTC)
