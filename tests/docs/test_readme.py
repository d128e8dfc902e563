"""What READMEs show exists: commands, options, files that are linked to, folders."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hoaxwatch.cli import app
from tests.house.repository import ROOT, files

READMES = [path for path in files() if path.suffix == ".md"]
PROGRAM = Path(sys.executable).with_name("hoaxwatch")
GROUPS = {
    *("alerts", "claims", "config", "datasets", "db"),
    *(
        "errata",
        "evaluate",
        "follow",
        "graph",
        "labels",
        "media",
        "models",
        "quarantine",
        "topics",
        "track",
        "trends",
    ),
}
#: Commands that need no database and write nothing are run as they stand.
CHEAP = {"score", "config", "formats", "detectors", "sources"}


def console_commands() -> list[str]:
    """Each `$ ` line of the ```console blocks of README.md."""
    blocks = re.findall(r"(?ms)^```console\n(.*?)^```", (ROOT / "README.md").read_text("utf-8"))
    return [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]


def mentioned_commands() -> set[tuple[str, ...]]:
    """Each `hoaxwatch COMMAND` in the code of any README."""
    found = set()
    for path in READMES:
        text = (ROOT / path).read_text("utf-8")
        code = re.findall(r"`hoaxwatch ([^`\n]+)`", text) + [
            line.strip().removeprefix("$ ").removeprefix("hoaxwatch ")
            for line in text.splitlines()
            if re.match(r"\s+hoaxwatch \S|\$ hoaxwatch ", line)
        ]
        found |= {command_of(shlex.split(words, comments=True)) for words in code}
    return found - {()}


def command_of(words: list[str]) -> tuple[str, ...]:
    """The command and subcommand that words begin with.

    >>> command_of(["db", "start"]), command_of(["trends", "--json"]), command_of(["--version"])
    (('db', 'start'), ('trends',), ())
    """
    n_words = 2 if words[0] in GROUPS else 1
    return tuple(word for word in words[:n_words] if re.fullmatch("[a-z]+", word))


def hoaxwatch(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PROGRAM, *arguments],
        cwd=cwd,
        # this tree, also where the environment was set up from another one
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@cache
def help_of(command: tuple[str, ...]) -> str:
    """In this process: there are two hundred commands to ask."""
    done = CliRunner().invoke(app, [*command, "--help"], prog_name="hoaxwatch")
    assert done.exit_code == 0, done.output
    return done.output


def test_the_readme_shows_commands() -> None:
    shown = {command_of(shlex.split(line)[1:])[0] for line in console_commands()}
    wanted = {"run", "trends", "clusters", "report", "score", "trace", "psql", "config", "db"}
    assert shown >= wanted


@pytest.mark.parametrize("command", sorted(mentioned_commands()), ids=" ".join)
def test_commands_that_are_mentioned_exist(command: tuple[str, ...]) -> None:
    assert "Usage:" in help_of(command)


@pytest.mark.parametrize("line", console_commands())
def test_shown_commands_have_the_options_they_are_shown_with(line: str) -> None:
    program, *words = shlex.split(line)
    assert program == "hoaxwatch"
    if "--" in words:
        words = words[: words.index("--")]
    options = {word.partition("=")[0] for word in words if word.startswith("-")}
    listed = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", help_of(command_of(words))))
    assert options <= listed


@pytest.mark.parametrize(
    "line", [line for line in console_commands() if shlex.split(line)[1] in CHEAP]
)
def test_cheap_commands_run_as_shown(line: str, tmp_path: Path) -> None:
    done = hoaxwatch(*shlex.split(line)[1:], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout or done.stderr


def test_every_command_is_in_the_readme() -> None:
    listed = re.findall(r"(?m)^  ([a-z]+) {2,}\S", help_of(()).partition("Commands:")[2])
    text = (ROOT / "README.md").read_text("utf-8")
    assert [name for name in listed if f"hoaxwatch {name}" not in text and name != "demo"] == []
    assert "make demo" in text


@pytest.mark.parametrize("path", READMES, ids=str)
def test_links_lead_somewhere(path: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", (ROOT / path).read_text("utf-8"))
    broken = [
        target
        for target in targets
        if not target.startswith(("http://", "https://", "mailto:"))
        and not (ROOT / path.parent / target).exists()
    ]
    assert broken == []


@pytest.mark.parametrize("folder", ["streams", "storage", "hoaxwatch", "detectors", "graph"])
def test_a_folders_readme_names_each_of_its_modules(folder: str) -> None:
    text = (ROOT / folder / "README.md").read_text("utf-8")
    modules = [
        path.name
        for path in files()
        if path.parent == Path(folder) and path.suffix == ".py" and path.stem != "__init__"
    ]
    assert [name for name in modules if f"`{name}`" not in text] == []
