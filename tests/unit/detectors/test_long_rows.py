"""Long fields are read without changing what the rest of the process reads."""

from __future__ import annotations

import csv
import io

import pytest

from detectors.long_rows import long_rows


def test_the_limit_of_the_process_is_as_before_between_rows() -> None:
    usual = csv.field_size_limit()
    text = "text\n" + "\n".join("x" * (usual + n) for n in (1, 2, 3))
    one, other = (long_rows(csv.DictReader(io.StringIO(text))) for _ in range(2))
    assert len(next(one)["text"]) == usual + 1
    assert csv.field_size_limit() == usual
    assert len(next(other)["text"]) == usual + 1
    one.close()  # type: ignore[attr-defined]
    assert [len(row["text"]) - usual for row in other] == [2, 3]
    assert csv.field_size_limit() == usual
    with pytest.raises(csv.Error):
        list(csv.DictReader(io.StringIO(text)))
