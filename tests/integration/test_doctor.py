"""hoaxwatch doctor: it finds what is there, and says what to do about what is not."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest

from hoaxwatch import cli, doctor
from streams.settings import read_settings
from streams.sources.registry import SOURCES


def found(capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, dict[str, object]]:
    capsys.readouterr()
    code = cli.run(["doctor", "--json", *options])
    return code, {finding["name"]: finding for finding in json.loads(capsys.readouterr().out)}


def test_a_machine_on_which_all_is_well(database: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, findings = found(capsys, "--database", database)
    assert code == 0
    assert {"python", "packages", "settings", "database", "detector"} <= findings.keys()
    assert "bad" not in {finding["state"] for finding in findings.values()}  # type: ignore[index]


def test_no_database_is_made_to_look_at_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with tempfile.TemporaryDirectory(prefix="hw-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        monkeypatch.setenv("HOAXWATCH_HOME", f"{folder}/home")
        code, findings = found(capsys)
        assert code == 0, findings
        assert list(Path(folder).iterdir()) == []


@pytest.mark.parametrize(
    ("option", "name", "words"),
    [
        (("--database", "postgresql://localhost:1/x"), "database", "start it"),
        (("--database", "nonsense"), "database", "postgresql://"),
    ],
)
def test_what_does_not_work_is_said_with_what_to_do(
    option: tuple[str, str], name: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, findings = found(capsys, *option)
    assert code == 3
    finding = findings[name]
    assert isinstance(finding, dict)
    assert finding["state"] == "bad"
    assert words in finding["detail"] + finding["advice"]


def test_a_detector_that_is_not_there_is_a_finding() -> None:
    findings = [f for f in doctor.examine(read_settings(detector="nope")) if f.name == "detector"]
    assert [f.state for f in findings] == ["bad"]
    assert "nope" in findings[0].detail


def test_each_source_is_set_up_or_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    bare = {f.name: f for f in doctor._sources(read_settings())}
    assert bare.keys() == SOURCES.keys()
    assert bare["bluesky"].state == "good"
    assert "HOAXWATCH_X_BEARER_TOKEN" in bare["x"].advice + bare["x"].detail
    told = {"x_bearer_token": "t", "x_budget_usd": 5.0}
    told |= {"instagram_token": "t", "instagram_user_id": "17"}
    ready = {f.name: f.state for f in doctor._sources(read_settings(**told))}
    assert {ready[name] for name in ("x", "x_search", "instagram")} == {"good"}
    poor = {f.name: f for f in doctor._sources(read_settings(x_bearer_token="t"))}
    assert "x_budget_usd" in poor["x"].advice + poor["x"].detail
