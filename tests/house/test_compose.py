"""docker-compose.yml is what its schema allows, pins what it runs, and gives away no password.

No engine runs here: this checks the file, and that each command exists in our command line.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from hoaxwatch.cli import run as run_command
from streams.metrics import Metrics
from streams.settings import Settings, environment_name
from tests.house.repository import ROOT

TEXT = (ROOT / "docker-compose.yml").read_text("utf-8")
FILE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = FILE["services"]
OURS = {name: s for name, s in SERVICES.items() if s["image"].startswith("hoaxwatch")}


def validate(file: Path) -> subprocess.CompletedProcess[str]:
    """Holds a Compose file against the schema of the Compose Specification."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    return subprocess.run([*command, str(file)], capture_output=True, text=True, check=False)


def test_the_file_keeps_to_the_schema(tmp_path: Path) -> None:
    done = validate(ROOT / "docker-compose.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    wrong = tmp_path / "docker-compose.yml"
    wrong.write_text(TEXT.replace("restart: unless-stopped", "restarts: always"), "utf-8")
    assert "restarts" in validate(wrong).stdout


def test_what_the_schema_does_not_see() -> None:
    """Words that YAML takes for something else, and waiting for what cannot be healthy."""
    for name, service in SERVICES.items():
        assert service.get("restart", "no") in {"no", "always", "on-failure", "unless-stopped"}
        for value in service.get("environment", {}).values():
            assert not isinstance(value, bool), f"{name}: quote {value!r}"
        for other, how in service.get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                assert "healthcheck" in SERVICES[other], f"{name} waits for {other}"


def test_the_database_is_ready_only_when_it_answers_others() -> None:
    """While its image sets it up, a server is there for the image alone, on a socket."""
    asked = SERVICES["postgres"]["healthcheck"]["test"][-1]
    assert "--host 127.0.0.1" in asked


@pytest.mark.parametrize("name", SERVICES)
def test_images_are_pinned_and_volumes_are_named(name: str) -> None:
    image, _, tag = SERVICES[name]["image"].rpartition(":")
    assert image
    assert re.fullmatch(r"v?\d+\.\d+(\.\d+)?", tag)
    for volume in SERVICES[name].get("volumes", []):
        source = volume.partition(":")[0]
        assert source in FILE["volumes"] or (ROOT / source).exists(), volume


def test_secrets_come_from_outside_with_a_word_of_help() -> None:
    for service in SERVICES.values():
        for key, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|TOKEN|TOMBSTONE_KEY", key):
                assert re.fullmatch(r"\$\{[A-Z_]+:\?set .+\}", str(value)), key
    assert not re.search(r"://[^/\s@:]+:[^@\s]+@", TEXT), "a password in an address"


def test_settings_that_are_given_exist() -> None:
    known = {environment_name(name) for name in Settings.model_fields}
    for service in OURS.values():
        given = {key for key in service["environment"] if key.startswith("HOAXWATCH_")}
        assert given <= known


@pytest.mark.parametrize("name", OURS)
def test_commands_exist(name: str) -> None:
    command = OURS[name]["command"]
    lines = (
        [part.split()[1:] for part in command[0].split(" && ")]
        if "entrypoint" in OURS[name]
        else [command]
    )
    for words in lines:
        assert run_command([*words, "--help"]) == 0


def test_only_loopback_is_published() -> None:
    for service in SERVICES.values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_workers_that_end_are_started_again() -> None:
    for name, service in OURS.items():
        if service["command"][0] == "worker":
            assert service["restart"] == "unless-stopped", name
            assert "--no-restart" in service["command"]


def test_prometheus_looks_at_our_workers_and_grafana_shows_metrics_that_exist() -> None:
    scrape = yaml.safe_load((ROOT / "infra/prometheus/prometheus.yml").read_text("utf-8"))
    (names,) = [c["names"] for c in scrape["scrape_configs"][0]["dns_sd_configs"]]
    assert set(names) == {n for n, s in OURS.items() if s["command"][0] == "worker"}
    dashboard = json.loads((ROOT / "infra/grafana/dashboards/workers.json").read_text("utf-8"))
    shown = {
        metric
        for panel in dashboard["panels"]
        for target in panel["targets"]
        for metric in re.findall(r"hoaxwatch_\w+", target["expr"])
    }
    known = {metric.name for metric in Metrics("test").registry.collect()}
    assert {re.sub("_(total|bucket)$", "", metric) for metric in shown} <= known


def test_the_image_takes_every_package() -> None:
    copied = set(re.findall(r"(?m)^COPY (\w+) \1$", (ROOT / "infra/Dockerfile").read_text("utf-8")))
    assert copied == {"hoaxwatch", "streams", "detectors", "graph", "storage"}
    let_in = (ROOT / ".dockerignore").read_text("utf-8")
    assert all(f"!{name}\n" in let_in for name in copied)
