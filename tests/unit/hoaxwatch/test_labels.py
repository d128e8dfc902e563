"""What people hand in as labels, read from a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from hoaxwatch.commands.labels import _read
from storage.labels import Label


@pytest.mark.parametrize("wrong", ["x\0,2,likely_true,", "x,2\0,likely_true,", "x,2,unsure,a\0b"])
def test_a_row_with_a_null_character_is_named_and_the_others_are_read(
    wrong: str, tmp_path: Path
) -> None:
    file = tmp_path / "labels.csv"
    file.write_text(f"platform,post_id,label,note\n{wrong}\nx,3,unsure,read it\n", "utf-8")
    given, problems = _read(file)
    assert given == [Label("x", "3", "unsure", "read it")]
    assert problems == ["line 2: it holds a null character, which no field takes"]
