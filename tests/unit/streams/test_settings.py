"""Settings that only fit together are refused with one line that says why."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.settings import SettingsError, read_settings


@pytest.fixture(autouse=True)
def _no_file_of_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOAXWATCH_CONFIG", str(tmp_path / "none.toml"))


@pytest.mark.parametrize("windows", [(24, 6), (24, 24), (12, 6), (1, 1)])
def test_a_window_ends_where_another_begins(windows: tuple[int, int]) -> None:
    length, step = windows
    settings = read_settings(window_hours=length, window_step_hours=step)
    assert (settings.window_hours, settings.window_step_hours) == windows


@pytest.mark.parametrize("windows", [(24, 5), (12, 24), (20, None)])
def test_other_steps_are_refused(windows: tuple[int, int | None]) -> None:
    """Growth is counted against the window one length earlier: there would be none."""
    length, step = windows
    with pytest.raises(SettingsError, match=rf"window_step_hours: window_hours \({length}\) is no"):
        read_settings(window_hours=length, window_step_hours=step)


def test_a_length_that_is_wrong_by_itself_is_what_is_said() -> None:
    with pytest.raises(SettingsError) as told:
        read_settings(window_hours=0)
    assert "setting window_hours" in str(told.value)
    assert "window_step_hours" not in str(told.value)
