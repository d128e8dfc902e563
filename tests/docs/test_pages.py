"""The pages in docs/ are true: their commands run in order and print what the page shows.

In a ```console block a line `$ command` is run; the lines below it must be among what it prints, in
order, with blanks folded. `...` alone stands for any lines, inside a line for any characters. A
command that must fail ends with `# exit 2`. The ```python blocks of a page are run in one process,
each when its turn comes; what one must give is asserted in the page. A ```sql block is asked of the
project that is named like the page, and the ```text block right below it is what psql prints.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.folders import short_folder
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


#: Runs each line of its input, a block as JSON, and says when it has.
DONE = "-- done --"
NOTEBOOK = f"""
import json, sys
names = {{"__name__": "__main__"}}
for line in sys.stdin:
    exec(compile(json.loads(line), "page", "exec"), names)
    print("{DONE}", flush=True)
"""


class Notebook:
    """A Python process that blocks of a page are given to, begun with the first of them."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._how: dict[str, Any] = {"cwd": folder, "env": environment, "text": True}
        self._process: subprocess.Popen[str] | None = None

    def run(self, block: str) -> subprocess.CompletedProcess[str]:
        """What a block prints; its exit code is 0 unless it raised."""
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-W", "error", "-c", NOTEBOOK],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                **self._how,
            )
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(block) + "\n")
        process.stdin.flush()
        printed: list[str] = []
        for line in process.stdout:
            if line.rstrip() == DONE:
                return subprocess.CompletedProcess(block, 0, "".join(printed))
            printed.append(line)
        return subprocess.CompletedProcess(block, process.wait(), "".join(printed))

    def close(self) -> None:
        """Ends the process."""
        if self._process is not None:
            self._process.communicate()


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder with a short name, which the database's account can enter."""
    with short_folder() as folder:
        yield folder
        program = Path(sys.executable).with_name("hoaxwatch")
        for project in (folder / "projects").glob("*"):
            subprocess.run(
                [program, "db", "stop", "--project", project.name],
                env=os.environ | {"HOAXWATCH_HOME": str(folder)},
                capture_output=True,
                check=False,
            )


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
    with closing(Notebook(tmp_path, environment)) as notebook:
        for step in steps_of(page.read_text("utf-8")):
            done = run(step, page.stem, notebook, tmp_path, environment)
            assert done.returncode == step.exit_code, f"{step.text}\n{done.stdout}"
            absent = missing(step.shown, done.stdout)
            assert absent is None, f"{step.text}\nshows no line\n  {absent}\nbut\n{done.stdout}"


def run(
    step: Step, project: str, notebook: Notebook, folder: Path, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """What a step prints, and its exit code."""
    if step.kind == "python":
        return notebook.run(step.text)
    if step.kind == "sql":
        command = ["hoaxwatch", "psql", "--project", project, "--", "-X", "-c", step.text]
        assert step.shown, f"{step.text}\nis followed by no answer"
    else:
        command = ["bash", "-o", "pipefail", "-c", step.text]
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=280,
    )
