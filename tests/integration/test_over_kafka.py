"""The same posts with and without brokers: equal tables, also shuffled and doubled."""

from __future__ import annotations

import itertools
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hoaxwatch.simulate import simulate
from storage.database import connect
from streams import local
from streams.alerts.policies import read_policies
from streams.alerts.telling import sweep
from streams.formats.registry import read_file
from streams.records import Reading
from streams.settings import read_settings
from tests.faults.detector import FaultDetector
from tests.faults.scene import REPOSITORY, Scene
from tests.tables import assert_same, read_tables

if TYPE_CHECKING:
    from tests.conftest import Server

Inputs = Callable[[pytest.FixtureRequest, Path], list[Path]]

_numbers = itertools.count()
pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def scene(one_server: Server, kafka: str, tmp_path: Path) -> Iterator[Scene]:
    """A project on the session's broker, with an empty database."""
    with one_server.new_database() as dsn:
        prefix = f"k{os.getpid()}-{next(_numbers)}-"
        made = Scene(kafka, dsn, tmp_path, prefix, partitions=6, take_posts=1000)
        made.windows = {"window_hours": 24, "window_step_hours": 6, "cluster_min_users": 20}
        made.set_up()
        try:
            yield made
        finally:
            made.stop()


def simulated(request: pytest.FixtureRequest, folder: Path) -> list[Path]:
    """A week of posts, deletions and poison; with HOAXWATCH_TEST_MONTH=1 the month of 40,000."""
    n_days, n_posts = (30, 40_000) if os.environ.get("HOAXWATCH_TEST_MONTH") == "1" else (7, 1500)
    world = simulate(folder, 1, n_days, n_posts, with_pictures=False)
    return list(world.paths)


def tweets_2023(request: pytest.FixtureRequest, folder: Path) -> list[Path]:
    """Real tweets of a week, some of them collected twice."""
    data: Path = request.getfixturevalue("data")
    return sorted((data / "tweets_2023_csv").glob("*.csv.xz"))


#: Files, and how many records and posts they hold where that is known. Others are a line more.
INPUTS: dict[Inputs, tuple[int, int] | None] = {simulated: None, tweets_2023: (30157, 27537)}

CASES = [
    pytest.param(inputs, n_workers, id=f"{inputs.__name__}-{n_workers}")
    for inputs in INPUTS
    for n_workers in (1, 3)
    # three workers on real tweets take minutes of two cores
    if (inputs, n_workers) != (tweets_2023, 3) or os.environ.get("HOAXWATCH_TEST_LONG")
]


def without_brokers(server: Server, paths: Sequence[Path]) -> dict[str, list[Any]]:
    """The tables of one local run, which reads each file twice and not in order."""
    with server.new_database() as dsn:
        settings = read_settings(detector="null", batch_posts=2000)
        local.run(dsn, local.check_inputs([*reversed(paths), *paths]), FaultDetector(), settings)
        return read_tables(dsn)


def over_brokers(scene: Scene, readings: Sequence[Reading], n_workers: int) -> dict[str, list[Any]]:
    """The tables after workers took the readings, shuffled and doubled."""
    many = [*readings, *readings]
    random.Random(n_workers).shuffle(many)
    for number in range(n_workers):
        scene.start("classify", f"c{number}")
        scene.start("track", f"t{number}")
    for at in range(0, len(many), 5000):
        scene.send(many[at : at + 5000])
    scene.wait(600)
    scene.stop()
    with connect(scene.dsn) as connection:  # what a worker for alerts does now and then
        sweep(connection, read_policies(None), datetime.now(UTC))
    return read_tables(scene.dsn)


@pytest.mark.parametrize(("inputs", "n_workers"), CASES)
def test_the_tables_are_the_same(
    scene: Scene,
    one_server: Server,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    inputs: Inputs,
    n_workers: int,
) -> None:
    paths = inputs(request, tmp_path / "files")
    readings = [reading for path in paths for reading in read_file(path)]
    found = over_brokers(scene, readings, n_workers)
    assert INPUTS[inputs] in (None, (len(readings), len(found["posts"])))
    assert_same(found, without_brokers(one_server, paths))


def stress(scene: Scene, seed: int, patience: int) -> tuple[int, dict[str, Any]]:
    """Exit code and answer of the closed loop on this scene."""
    told = {
        "HOAXWATCH_KAFKA": scene.kafka,
        "HOAXWATCH_KAFKA_PREFIX": scene.prefix,
        "HOAXWATCH_DATABASE": scene.dsn,
        "HOAXWATCH_HOME": str(scene.folder),
    }
    command = [sys.executable, "-m", "hoaxwatch", "stress", "--rate", "50", "--posts", "400"]
    command += ["--seed", str(seed), "--patience", str(patience), "--json"]
    done = subprocess.run(
        command, env={**os.environ, **told}, cwd=REPOSITORY, stdout=subprocess.PIPE, check=False
    )
    return done.returncode, json.loads(done.stdout)


def test_the_closed_loop(scene: Scene) -> None:
    """One process with all roles loses nothing; without workers the loop says so."""
    code, told = stress(scene, seed=1, patience=1)
    assert (code, told["lost"]) == (1, 400)
    assert told["breaches"][0] == "400 of 400 posts lost"
    scene.prefix += "2-"  # what was sent is not to arrive late
    scene.set_up()
    scene.start("all", "w1")
    code, told = stress(scene, seed=2, patience=120)
    # how fast this machine sends is not what is asked here
    assert [breach for breach in told["breaches"] if "a second sent" not in breach] == []
    assert code == int(bool(told["breaches"]))
    assert told["n_posts"] == 400
    assert set(told["seconds"]) == {"p50", "p95", "p99"}
