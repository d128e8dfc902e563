"""CHANGELOG.md has the form of Keep a Changelog, and knows the version we are."""

from __future__ import annotations

import re

from tests.house.repository import ROOT, pyproject

KINDS = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
LINES = (ROOT / "CHANGELOG.md").read_text("utf-8").splitlines()
VERSIONS = [line for line in LINES if line.startswith("## ")]


def test_it_begins_as_it_should() -> None:
    assert LINES[0] == "# Changelog"
    assert any("keepachangelog.com" in line for line in LINES[:6])
    assert VERSIONS[0] == "## [Unreleased]"


def test_versions_have_a_form_and_go_downwards() -> None:
    numbers = []
    for line in VERSIONS[1:]:
        match = re.fullmatch(r"## \[(\d+)\.(\d+)\.(\d+)\](?: - \d{4}-\d{2}-\d{2})?", line)
        assert match is not None, line
        numbers.append(tuple(map(int, match.groups())))
    assert numbers == sorted(numbers, reverse=True)
    assert len(set(numbers)) == len(numbers)


def test_changes_are_of_a_known_kind() -> None:
    kinds = {line.removeprefix("### ") for line in LINES if line.startswith("### ")}
    assert kinds <= KINDS


def test_the_version_of_the_package_is_there() -> None:
    assert f"[{pyproject()['project']['version']}]" in "\n".join(VERSIONS)
