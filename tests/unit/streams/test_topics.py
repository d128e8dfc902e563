"""How the clients are told where the brokers are and who we are."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest

from streams.agents import credentials, new_app
from streams.errors import Unavailable, UsageError
from streams.settings import Settings, read_settings
from streams.topics import TOPICS, client_config, group_name, kafka_errors, topic_name
from tests.house.repository import ROOT


def settings(**given: Any) -> Settings:
    return read_settings(kafka="a.example:9092, b.example:9093", **given)


def test_plain_brokers() -> None:
    config = client_config(settings())
    assert config["bootstrap_servers"] == ["a.example:9092", "b.example:9093"]
    assert config["security_protocol"] == "PLAINTEXT"
    assert not any(name.startswith(("sasl", "ssl")) for name in config)
    assert credentials(settings()) is None


def test_a_full_disk_is_not_said_of_the_brokers() -> None:
    with pytest.raises(Unavailable, match=r"no room below .*: make"), kafka_errors(settings()):
        Path("/dev/full").write_text("more")
    with pytest.raises(Unavailable, match=r"brokers a\.example"), kafka_errors(settings()):
        raise ConnectionRefusedError


def test_a_login_is_given_to_both_clients() -> None:
    given = settings(
        kafka_security="SASL_SSL", kafka_user="ann", kafka_password="tulip", kafka_sasl="PLAIN"
    )
    config = client_config(given)
    assert config["sasl_mechanism"] == "PLAIN"
    assert (config["sasl_plain_username"], config["sasl_plain_password"]) == ("ann", "tulip")
    theirs = credentials(given)
    assert (theirs.protocol.value, theirs.mechanism.value) == ("SASL_SSL", "PLAIN")
    assert theirs.ssl_context.verify_mode is ssl.CERT_REQUIRED
    assert "tulip" not in repr(theirs) + repr(given)


def test_certificates_are_checked_by_the_named_authority(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("no certificate")
    given = settings(kafka_security="SSL", kafka_ca_file=file)
    assert client_config(given)["ssl_cafile"] == str(file)
    with pytest.raises(ssl.SSLError):
        credentials(given)


def test_a_missing_login_or_broker_says_what_to_set() -> None:
    with pytest.raises(UsageError, match="HOAXWATCH_KAFKA_PASSWORD"):
        client_config(settings(kafka_security="SASL_PLAINTEXT", kafka_user="ann"))
    with pytest.raises(UsageError, match="HOAXWATCH_KAFKA="):
        client_config(read_settings())


def test_every_setting_that_matters_is_given_to_faust() -> None:
    app = new_app(settings(worker_name="gpu-1", kafka_session_seconds=12.0), "classify")
    conf: Any = app.conf
    assert not conf.web_enabled
    assert not conf.topic_allow_declare
    assert not conf.stream_wait_empty
    assert not conf.worker_redirect_stdouts
    assert conf.processing_guarantee.value == "at_least_once"
    assert conf.broker_session_timeout == 12.0
    assert conf.broker_heartbeat_interval < conf.broker_session_timeout / 3
    assert conf.broker_max_poll_interval == 3600.0
    assert conf.consumer_group_instance_id == "classify-gpu-1"
    assert conf.consumer_auto_offset_reset == "earliest"
    assert conf.consumer_metadata_max_age_ms == 30_000  # so soon a topic made anew is seen
    assert conf.producer_acks == -1
    assert conf.producer_compression_type == "zstd"
    assert conf.broker_max_poll_records * conf.stream_buffer_maxsize >= settings().take_posts
    few = new_app(settings(take_posts=50), "classify").conf
    assert few.broker_max_poll_records == 50  # a slice is no longer than a batch
    assert conf.agent_supervisor.__name__ == "CrashingSupervisor"


def test_projects_are_kept_apart() -> None:
    given = settings(kafka_prefix="p-", project="study")
    assert topic_name(given, "posts") == "p-posts"
    assert group_name(given, "classify") == "p-hoaxwatch-study-classify"


def test_posts_are_kept_for_seven_days_at_most() -> None:
    assert all(topic.retention_hours <= 7 * 24 for topic in TOPICS)


def test_topics_are_in_the_readme() -> None:
    text = (ROOT / "streams" / "README.md").read_text("utf-8")
    assert all(f"| `{topic.name}` |" in text for topic in TOPICS)


def test_an_agent_is_short() -> None:
    """Take, call, send, commit: at most 20 lines."""
    import ast

    tree = ast.parse((ROOT / "streams" / "agents.py").read_text("utf-8"))
    agents = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.AsyncFunctionDef) and node.name in ("classify", "track")
    ]
    assert len(agents) == 2
    assert all((node.end_lineno or 0) - node.lineno < 20 for node in agents)
