"""The invented world through the whole pipeline: every table equals the truth.

By default a week of some thousand posts; with HOAXWATCH_TEST_MONTH=1 (`make month`) the month of
40,000.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hoaxwatch.simulate import Simulated, simulate
from storage.database import connect
from storage.rows import decompress
from streams import local
from streams.local import RunResult
from streams.settings import read_settings
from tests.marker import MarkerDetector
from tests.truth import assert_truth

if TYPE_CHECKING:
    from tests.conftest import Server

IS_MONTH = os.environ.get("HOAXWATCH_TEST_MONTH", "") == "1"
DAYS, POSTS, N_KILLS = (30, 40_000, 5) if IS_MONTH else (7, 1_500, 3)
SEEDS = (1, 2, 3)
SETTINGS = read_settings(detector="null", batch_posts=2000)

#: Tables that are empty when all is done: labels come from people, dirty buckets are counted again.
EMPTY = {"labels", "lineage_labels", "dirty_buckets"}

pytestmark = [pytest.mark.first_server, pytest.mark.timeout(3600 if IS_MONTH else 300)]

#: Runs the marker detector over files in a process that can be killed; says when it begins.
RUN_SCRIPT = """
import sys
from pathlib import Path
from streams import local
from streams.settings import read_settings
from tests.marker import MarkerDetector
inputs = local.check_inputs([Path(name) for name in sys.argv[2:]])
settings = read_settings(detector="null", batch_posts=300, track_seconds=0.5)
print("begins", flush=True)
local.run(sys.argv[1], inputs, MarkerDetector(), settings)
"""


@dataclass(frozen=True)
class Given:
    """A world, and its files in another order."""

    world: Simulated
    shuffled: list[Path]


@pytest.fixture(scope="module", params=SEEDS)
def given(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Given]:
    """One world per seed, written once."""
    folder = tmp_path_factory.mktemp(f"seed{request.param}")
    world = simulate(folder, request.param, DAYS, POSTS, with_pictures=False)
    shuffled = list(world.paths)
    random.Random(request.param).shuffle(shuffled)
    yield Given(world, shuffled)


def run(dsn: str, paths: Sequence[Path]) -> RunResult:
    """The whole pipeline over the files."""
    return local.run(dsn, local.check_inputs(paths), MarkerDetector(), SETTINGS)


def told(world: Simulated) -> Counter[str]:
    """How many records of each kind all files hold."""
    return sum((Counter(counts) for counts in world.truth.records.values()), Counter[str]())


def test_every_table_equals_the_truth(given: Given, database: str) -> None:
    """Files in another order; then once more in their own, which changes nothing."""
    tables = given.world.truth.tables
    assert {name for name, table in tables.items() if not table.rows} == EMPTY
    result = run(database, given.shuffled)
    assert_truth(database, tables)
    expected, outcomes = told(given.world), result.outcomes
    assert outcomes.total() == result.n_records == expected["records"]
    assert outcomes["deletion applied"] == expected["deletion"]
    assert outcomes["not a post"] == expected["not_post"]
    assert outcomes["quarantined"] == expected["quarantined"]
    stored = outcomes["new"] + outcomes["updated"] + outcomes["unchanged"]
    assert stored + outcomes["expired"] == expected["post"]

    again = run(database, given.world.paths)
    assert again.outcomes["new"] == again.outcomes["updated"] == 0
    assert again.outcomes.total() == expected["records"]
    assert_truth(database, tables)


def test_killed_at_any_moment_the_tables_equal_the_truth(given: Given, server: Server) -> None:
    """SIGKILL at random moments, each time with the files in another order."""
    chance = random.Random(str(given.world.truth.about["seed"]))
    n_killed = 0
    with server.new_database() as dsn:
        for _ in range(N_KILLS):
            order = chance.sample(given.shuffled, len(given.shuffled))
            command = [sys.executable, "-c", RUN_SCRIPT, dsn, *map(str, order)]
            process = subprocess.Popen(command, stdout=subprocess.PIPE)
            assert process.stdout is not None
            process.stdout.readline()  # the imports are behind it
            time.sleep(chance.uniform(0.05, 3.0 if IS_MONTH else 1.5))
            process.kill()
            process.stdout.close()
            n_killed += process.wait() == -signal.SIGKILL
        assert n_killed >= 2, "the runs ended before they were killed"
        run(dsn, given.world.paths)
        assert_truth(dsn, given.world.truth.tables)


def test_quarantine_keeps_the_bytes_of_broken_lines(given: Given, database: str) -> None:
    poison = [path for path in given.world.paths if "poison" in path.name]
    run(database, poison)
    with connect(database) as connection:
        found = connection.execute(
            "SELECT source, position, raw FROM hoaxwatch.quarantine WHERE reason LIKE 'not JSON%'"
        ).fetchall()
    assert len(found) == 12
    for source, position, raw in found:
        (path,) = [path for path in poison if source.endswith(f":{path.name}")]
        line = path.read_bytes().split(b"\n")[int(position.removeprefix("line ")) - 1]
        assert decompress(raw) == line
