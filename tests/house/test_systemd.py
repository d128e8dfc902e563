"""The units of infra/systemd start commands that exist, and give away no secret."""

from __future__ import annotations

import re
import shlex

import pytest

from hoaxwatch.cli import run as run_command
from tests.house.repository import ROOT

FILES = sorted((ROOT / "infra" / "systemd").iterdir())


def commands_of(text: str) -> list[list[str]]:
    """What is behind the program's name, as words."""
    return [shlex.split(line) for line in re.findall(r"/bin/hoaxwatch (.*)", text)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_commands_exist(path: object) -> None:
    text = (ROOT / str(path)).read_text("utf-8")
    for words in commands_of(text):
        assert run_command([*words, "--help"]) == 0
    assert not re.search(r"(?m)^[^#]*(TOKEN|SECRET|PASSWORD|KEY)=\S", text)


def test_each_unit_has_its_parts() -> None:
    texts = {path.name: path.read_text("utf-8") for path in FILES}
    assert {"hoaxwatch-daily.service", "hoaxwatch-daily.timer", "crontab"} <= set(texts)
    for name, text in texts.items():
        if name.endswith(".service"):
            assert commands_of(text), name
            assert "NoNewPrivileges=yes" in text
    assert "Persistent=true" in texts["hoaxwatch-daily.timer"]
    assert commands_of(texts["crontab"]) == commands_of(texts["hoaxwatch-daily.service"])
