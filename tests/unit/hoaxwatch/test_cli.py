"""Commands are where the table says, and start without what only others need."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from hoaxwatch.cli import COMMANDS, load_command

#: What takes long to import: networks, models, brokers, the page.
HEAVY = ("igraph", "scipy", "torch", "kafka", "faust", "fastapi", "matplotlib")
#: Commands that ask, change a row or show a setting.
LIGHT = (
    *("alerts", "ask", "bursts", "claims", "config", "database", "errata", "follow", "forget"),
    *("labels", "media", "models", "quarantine", "track"),
)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_leads_to_each_command(name: str) -> None:
    command = load_command(name)
    assert command.name == name
    assert command.help


def test_commands_that_ask_do_not_wait_for_what_others_need() -> None:
    names = ", ".join(f"hoaxwatch.commands.{name}" for name in LIGHT)
    script = f"import sys, hoaxwatch.cli, {names}; print(*set({HEAVY}) & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []


@pytest.mark.parametrize(
    ("asked", "spins"),
    [({}, {"1000"}), ({"GOMP_SPINCOUNT": "77"}, {"77"}), ({"OMP_WAIT_POLICY": "passive"}, {"0"})],
)
def test_threads_that_wait_give_way_unless_told_otherwise(
    asked: dict[str, str], spins: set[str]
) -> None:
    told = {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"}
    kept = {name: value for name, value in os.environ.items() if name not in told}
    done = subprocess.run(
        [sys.executable, "-m", "hoaxwatch", "score", "The ferry sails at ten."],
        capture_output=True,
        text=True,
        check=True,
        env=kept | asked | {"OMP_DISPLAY_ENV": "verbose"},
    )
    assert set(re.findall(r"GOMP_SPINCOUNT = '(\d+)'", done.stderr)) == spins
