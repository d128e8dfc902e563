"""infra/venv.sh finds a Python that works and says what is missing; make bench keeps results.

Nothing is installed here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.house.repository import ROOT

TOOLS = ("sh", "cat", "cksum", "sed", "id", "wc", "tail", "mv", "rm", "flock")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with a space in its name, and a bin/ beside it that is the whole PATH."""
    folder = tmp_path / "my checkout"
    (folder / "infra").mkdir(parents=True)
    shutil.copy(ROOT / "infra" / "venv.sh", folder / "infra")
    (folder / "pyproject.toml").write_text("[project]\n")
    (tmp_path / "bin").mkdir()
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found is not None
        (tmp_path / "bin" / tool).symlink_to(found)
    return folder


def add_python(checkout: Path, name: str, script: str) -> None:
    path = checkout.parent / "bin" / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def describes_itself(version: str, rest: str) -> str:
    """A stand-in for an interpreter: says its version, then does `rest` with what it is given."""
    return f'case $2 in *platform*) echo "{version} linux x86_64"; exit 0 ;; esac\n{rest}'


def installs(how: str) -> str:
    """A stand-in for a Python 3.11 that can make an environment and does `how` for pip."""
    return describes_itself(
        "3.11",
        f"""
case "$*" in
*'-m venv'*) cat >/dev/null </dev/null; for last; do :; done
    [ -d "$last/bin" ] || {shutil.which("mkdir")} -p "$last/bin"
    {shutil.which("cp")} "$0" "$last/bin/python" ;;
*'pip install'*) {how} ;;
-V) echo Python 3.11 ;;
esac""",
    )


def make_venv(checkout: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "infra/venv.sh"],
        cwd=checkout,
        env={"PATH": str(checkout.parent / "bin"), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_no_python_at_all(checkout: Path) -> None:
    done = make_venv(checkout)
    assert done.returncode == 1
    assert "needs Python 3.11 to 3.13" in done.stderr
    assert "apt install python3.11-venv" in done.stderr


def test_a_shim_that_does_not_run_is_passed_over(checkout: Path) -> None:
    add_python(checkout, "python3.13", "echo 'pyenv: python3.13: command not found' >&2; exit 127")
    add_python(checkout, "python3.12", describes_itself("3.12", "echo made; exit 3"))
    done = make_venv(checkout)
    # python3.12 has been chosen; the stand-in cannot even import venv
    assert "python3.13 is there but does not run" in done.stderr
    assert "python3.12 has no venv (Debian: apt install python3.12-venv)" in done.stderr


def test_other_versions_are_named(checkout: Path) -> None:
    add_python(checkout, "python3", describes_itself("3.10", "exit 0"))
    assert "python3 is Python 3.10" in make_venv(checkout).stderr
    add_python(checkout, "mine", describes_itself("3.14", "exit 0"))
    assert "mine is Python 3.14" in make_venv(checkout, PYTHON="mine").stderr


def test_the_named_python_is_the_only_one_tried(checkout: Path) -> None:
    add_python(checkout, "python3.11", describes_itself("3.11", "exit 0"))
    done = make_venv(checkout, PYTHON="/nowhere/python")
    assert done.returncode == 1
    assert "no /nowhere/python" in done.stderr


def test_a_failing_pip_shows_its_words_and_is_done_again(checkout: Path) -> None:
    """The first install breaks off; the next run goes on, and the one after that does nothing."""
    state = checkout.parent / "state"
    install = f"""echo "$PIP_FIND_LINKS $PIP_CONSTRAINT" >>'{state}'
    [ -e '{state}.good' ] || {{ echo 'ERROR: No matching distribution'; exit 1; }}"""
    python = installs(install)
    add_python(checkout, "python3.11", python)
    (checkout.parent / "shared" / "wheels").mkdir(parents=True)

    done = make_venv(checkout, PIP_FIND_LINKS="/opt/more")
    assert done.returncode == 1
    assert "ERROR: No matching distribution" in done.stderr
    assert "run make again" in done.stderr
    assert not (checkout / ".venv" / "installed").exists()
    expected = "/opt/more ../shared/wheels ../shared/wheels/constraints.txt"
    assert state.read_text().strip() == expected

    Path(f"{state}.good").touch()
    done = make_venv(checkout)
    assert (done.returncode, done.stderr) == (0, "")
    assert "making .venv" not in done.stdout  # it goes on with the one that is there
    done = make_venv(checkout)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    (checkout / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    assert "ready" in make_venv(checkout).stdout


def test_a_second_make_waits_for_the_first_and_installs_nothing(checkout: Path) -> None:
    state = checkout.parent / "state"
    add_python(
        checkout,
        "python3.11",
        installs(
            f"echo install >>'{state}'; while [ ! -e '{state}.good' ]; "
            f"do {shutil.which('sleep')} 0.05; done"
        ),
    )

    def begin() -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["sh", "infra/venv.sh"],
            cwd=checkout,
            env={"PATH": str(checkout.parent / "bin")},
            stdout=subprocess.PIPE,
            text=True,
        )

    with begin() as first:
        assert first.stdout is not None
        while "installing hoaxwatch" not in first.stdout.readline():
            assert first.poll() is None
        with begin() as second:
            assert second.stdout is not None
            try:
                told = second.stdout.readline()
            finally:
                Path(f"{state}.good").touch()
            assert told == "another make sets up .venv: waiting for it\n"
            assert (second.stdout.read(), second.wait(60)) == ("", 0)
        assert first.wait(60) == 0
    assert state.read_text() == "install\n"


def test_a_copied_checkout_makes_its_own(checkout: Path) -> None:
    (checkout / ".venv" / "bin").mkdir(parents=True)
    (checkout / ".venv" / "made").write_text("/another/checkout\n")
    python = checkout / ".venv" / "bin" / "python"
    python.write_text("#!/bin/sh\nexit 0\n")
    python.chmod(0o755)
    add_python(
        checkout, "python3.11", describes_itself("3.11", 'case "$*" in *-m*) exit 9 ;; esac')
    )
    done = make_venv(checkout)
    assert "making .venv with python3.11" in done.stdout
    assert "cannot make .venv" in done.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="needs an ordinary user: root may write everywhere")
def test_a_folder_that_cannot_be_written_is_named(checkout: Path) -> None:
    checkout.chmod(0o555)
    try:
        done = make_venv(checkout)
    finally:
        checkout.chmod(0o755)
    assert f"cannot write to {checkout}" in done.stderr


def test_help_names_every_target() -> None:
    make = shutil.which("make")
    assert make is not None
    done = subprocess.run([make], cwd=ROOT, capture_output=True, text=True, check=True)
    targets = ("help", "venv", "web", "demo", "test", "faults", "month", "lint", "bench", "clean")
    assert all(f"make {target} " in done.stdout for target in targets)


def test_each_benchmark_leaves_its_result_and_one_that_fails_stops_no_other(
    checkout: Path,
) -> None:
    shutil.copy(ROOT / "Makefile", checkout)
    (checkout / "infra" / "venv.sh").write_text("exit 0\n")
    python = checkout / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\nexec sh "$@"\n')  # benchmarks are scripts of sh here
    python.chmod(0o755)
    benches = checkout / "tests" / "bench"
    benches.mkdir(parents=True)
    (benches / "bench_a.py").write_text("echo '{\"a\":'; echo 'no Java' >&2; exit 1\n")
    (benches / "bench_b.py").write_text('echo "{\\"posts\\": $1}"\n')
    make = shutil.which("make")
    assert make is not None
    done = subprocess.run(
        [make, "bench", "ARGS=7"], cwd=checkout, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "no Java" in done.stderr
    assert "did not end well: bench_a\n" in done.stderr
    assert '{"posts": 7}' in done.stdout
    assert [(path.name, path.read_text()) for path in (checkout / "bench").iterdir()] == [
        ("bench_b.json", '{"posts": 7}\n')
    ]
    (benches / "bench_a.py").unlink()
    subprocess.run([make, "bench"], cwd=checkout, capture_output=True, check=True)
