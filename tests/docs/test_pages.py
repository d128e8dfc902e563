"""The pages in docs/ are true: their commands run in order and print what the page shows.

In a ```console block a line `$ command` is run; the lines below it must be among what it prints, in
order, with blanks folded. `...` alone stands for any lines, inside a line for any characters. A
command that must fail ends with `# exit 2`. A ```python block is run in one Python process with
those before it; what it must give is asserted in the page. A ```sql block is asked of the project
that is named like the page, and the ```text block right below it is what psql prints.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.house.repository import ROOT

PAGES = sorted(path for path in (ROOT / "docs").glob("*.md") if path.name != "README.md")
BLOCK = re.compile(r"(?ms)^```(console|python|sql)\n(.*?)^```(?:\n```text\n(.*?)^```)?")


@dataclass(frozen=True)
class Step:
    """A command with the lines it shows, a piece of Python, or a query with the lines it shows."""

    kind: str
    text: str
    shown: tuple[str, ...] = ()
    exit_code: int = 0


def steps_of(page: str) -> Iterator[Step]:
    """What a page has done, in order.

    >>> text = "```console\\n$ ls x  # exit 2\\nls: ...\\n```\\n```python\\nx = 1\\n```\\n"
    >>> [(step.kind, step.text, step.shown, step.exit_code) for step in steps_of(text)]
    [('console', 'ls x', ('ls: ...',), 2), ('python', 'x = 1\\n', (), 0)]
    """
    for kind, block, text in BLOCK.findall(page):
        if kind != "console":
            yield Step(kind, block, tuple(text.splitlines()))
            continue
        for part in re.split(r"(?m)^\$ ", block)[1:]:
            command, *shown = part.rstrip("\n").split("\n")
            command, _, code = command.partition("  # exit ")
            yield Step("console", command, tuple(shown), int(code or 0))


def folded(line: str) -> str:
    return " ".join(line.split())


def fits(shown: str, printed: str) -> bool:
    """Whether a printed line is the shown one.

    >>> fits("done in ... s", "done in 0.8 s"), fits("1 post", "2 posts")
    (True, False)
    """
    pieces = map(re.escape, folded(shown).split("..."))
    return re.fullmatch(".*".join(pieces), folded(printed)) is not None


def missing(shown: tuple[str, ...], printed: str) -> str | None:
    """The first shown line that is not among the printed ones, in order."""
    lines = iter(printed.splitlines())
    for line in shown:
        if line.strip() in ("", "..."):
            continue
        if not any(fits(line, other) for other in lines):
            return line
    return None


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder with a short name, which the database's account can enter."""
    folder = Path(tempfile.mkdtemp(prefix="hw-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    program = Path(sys.executable).with_name("hoaxwatch")
    for project in (folder / "projects").glob("*"):
        subprocess.run(
            [program, "db", "stop", "--project", project.name],
            env=os.environ | {"HOAXWATCH_HOME": str(folder)},
            capture_output=True,
            check=False,
        )
    shutil.rmtree(folder, ignore_errors=True)


def test_there_are_pages() -> None:
    assert {page.name for page in PAGES} >= {"alerts.md", "queries.md", "tutorial.md"}
    index = (ROOT / "docs" / "README.md").read_text("utf-8")
    assert [page.name for page in PAGES if f"({page.name})" not in index] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_page_shows_is_what_happens(page: Path, home: Path, tmp_path: Path) -> None:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("HOAXWATCH_")}
    environment = kept | {
        "HOAXWATCH_HOME": str(home),
        "HOAXWATCH_CONFIG": str(tmp_path / "none.toml"),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        # this tree, also where the environment was set up from another one
        "PYTHONPATH": str(ROOT),
        "COLUMNS": "200",
        "NO_COLOR": "1",
    }
    python: list[str] = []
    for step in steps_of(page.read_text("utf-8")):
        if step.kind == "python":
            python.append(step.text)
            command = [sys.executable, "-W", "error", "-c", "\n".join(python)]
        elif step.kind == "sql":
            command = ["hoaxwatch", "psql", "--project", page.stem, "--", "-X", "-c", step.text]
            assert step.shown, f"{step.text}\nis followed by no answer"
        else:
            command = ["bash", "-o", "pipefail", "-c", step.text]
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=280,
        )
        assert done.returncode == step.exit_code, f"{step.text}\n{done.stdout}"
        absent = missing(step.shown, done.stdout)
        assert absent is None, f"{step.text}\nshows no line\n  {absent}\nbut\n{done.stdout}"
