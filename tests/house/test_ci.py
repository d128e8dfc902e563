"""Under CI a test that must run and is skipped is a failure; elsewhere it is skipped."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.repository import ROOT

CONTINUE = ["--continue-on-collection-errors"]
SKIPS = """
import pytest

@pytest.mark.skip(reason="no PostgreSQL 15 here")
def test_that_must_run(): ...

@pytest.mark.skip(reason="cannot mount a small file system here: no rights")
def test_that_may_be_skipped(): ...

def test_on_data(data): ...

@pytest.mark.xfail(reason="a known fault", strict=True)
def test_of_a_known_fault():
    raise AssertionError
"""


def run(folder: Path, **environment: str) -> str:
    """What pytest says at the end about SKIPS, with our conftest.py."""
    shutil.copy(ROOT / "tests" / "conftest.py", folder)
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "test_skips.py").write_text(SKIPS)
    (folder / "test_file.py").write_text('import pytest\npytest.importorskip("no_such_package")\n')
    kept = {k: v for k, v in os.environ.items() if k != "CI" and not k.startswith("HOAXWATCH_")}
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-ra",
            "-p",
            "no:cacheprovider",
            *CONTINUE,
            str(folder),
        ],
        cwd=folder,
        env=kept | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return done.stdout


def test_on_a_persons_machine_they_are_skipped(tmp_path: Path) -> None:
    said = run(tmp_path)
    assert "4 skipped, 1 xfailed" in said
    assert "no PostgreSQL 15 here" in said
    assert "HOAXWATCH_TEST_DATA is not set" in said


@pytest.mark.parametrize("has_data", [False, True])
def test_under_ci_they_fail(tmp_path: Path, has_data: bool) -> None:
    named = {"HOAXWATCH_TEST_DATA": str(tmp_path)} if has_data else {}
    said = run(tmp_path, CI="true", **named)
    assert "this test must run in CI, but" in said
    assert "ERROR test_file.py" in said
    counts = "1 passed, 1 skipped" if has_data else "2 skipped"
    assert f"{counts}, 1 xfailed, 2 errors" in said
