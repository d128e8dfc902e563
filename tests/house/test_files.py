"""The files: none too large, none tied to one machine, none with a name that says nothing."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from packaging.requirements import Requirement

from tests.house.repository import PACKAGES, ROOT, files, pyproject

LARGEST_BYTES = 3_000_000
BANNED_NAMES = {"utils", "util", "common", "helpers", "helper", "lib", "core", "manager", "misc"}
# put together so that this file does not find itself
MACHINE_PATHS = re.compile(rb"(?<![\w.$}])/(?:" + b"|".join([b"work", b"root"]) + rb")/[\w.]")
CARD = {
    "kafka-python",
    "faust-streaming",
    "torch",
    "transformers",
    "networkx",
    "python-igraph",
    "psycopg",
    "tweepy",
}


def test_no_file_is_too_large() -> None:
    large = [f"{path}" for path in files() if (ROOT / path).stat().st_size > LARGEST_BYTES]
    assert large == []


def test_no_file_names_a_folder_of_one_machine() -> None:
    found = [
        f"{path}:{number}: {line.strip()[:100]!r}"
        for path in files()
        for number, line in enumerate((ROOT / path).read_bytes().split(b"\n"), 1)
        if MACHINE_PATHS.search(line)
    ]
    assert found == []


def test_no_module_or_folder_has_a_name_that_says_nothing() -> None:
    named = [
        str(path)
        for path in files()
        if {part.lower() for part in (*path.parts[:-1], path.stem)} & BANNED_NAMES
    ]
    assert named == []


def test_the_folders_of_the_card_are_there() -> None:
    tops = {path.parts[0] for path in files()}
    assert {"pyproject.toml", "streams", "detectors", "graph", "storage", "tests", "infra"} <= tops


@pytest.mark.parametrize("folder", [*PACKAGES, "tests", "infra"])
def test_each_folder_says_what_it_is_and_why(folder: str) -> None:
    readme = ROOT / folder / "README.md"
    assert readme.is_file(), f"{folder} has no README.md"
    assert re.search(r"(?m)^#{2,3} Why\b", readme.read_text("utf-8")), f"no Why in {readme}"


def test_packages_import_nothing_by_themselves() -> None:
    """`import streams` must not pull in Kafka, nor `import detectors` torch."""
    wanted = f"import sys, {', '.join(PACKAGES)}"
    others = "{m.partition('.')[0] for m in sys.modules} - set(sys.stdlib_module_names)"
    command = f"{wanted}; print(*sorted({others}))"
    python = [
        sys.executable,
        "-I",
        "-S",
        "-c",
        f"import sys; sys.path.append({str(ROOT)!r}); {command}",
    ]
    done = subprocess.run(python, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) - {"__main__"} == set(PACKAGES)


def test_the_packages_of_the_card_are_dependencies() -> None:
    named = {Requirement(line).name for line in pyproject()["project"]["dependencies"]}
    assert named >= CARD


def test_the_licence_is_stated_alike_everywhere() -> None:
    project = pyproject()["project"]
    assert project["license"] == "GPL-3.0-or-later"
    assert project["license-files"] == ["LICENSE"]
    words = " ".join((ROOT / "LICENSE").read_text("utf-8").split())
    assert words.startswith("GNU GENERAL PUBLIC LICENSE Version 3, 29 June 2007")
    assert "END OF TERMS AND CONDITIONS" in words
    assert "GPL-3.0-or-later" in (ROOT / "README.md").read_text("utf-8")
