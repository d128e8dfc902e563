"""hoaxwatch.example.toml shows every setting, with the default the code has."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from pydantic import SecretStr

from streams.settings import Settings, read_settings
from tests.house.repository import ROOT

EXAMPLE = ROOT / "hoaxwatch.example.toml"


def uncommented() -> str:
    """The example with each `# name = value` line switched on."""
    return re.sub(r"(?m)^# (?=[a-z_]+ = )", "", EXAMPLE.read_text("utf-8"))


def test_the_example_shows_every_setting_and_no_other() -> None:
    assert list(tomllib.loads(uncommented())) == list(Settings.model_fields)


def test_the_example_changes_nothing_as_it_is() -> None:
    assert tomllib.loads(EXAMPLE.read_text("utf-8")) == {}


def test_the_example_shows_the_defaults() -> None:
    shown = tomllib.loads(uncommented())
    for name, field in Settings.model_fields.items():
        default = field.default
        if isinstance(default, SecretStr):
            default = default.get_secret_value()
        if default is not None:
            assert shown[name] == default, name


def test_the_example_is_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in [f"HOAXWATCH_{name.upper()}" for name in Settings.model_fields]:
        monkeypatch.delenv(variable, raising=False)
    file = tmp_path / "hoaxwatch.toml"
    file.write_text(uncommented(), "utf-8")
    monkeypatch.setenv("HOAXWATCH_CONFIG", str(file))
    settings = read_settings()
    assert settings.project == "default"
    assert settings.database is not None
