"""The wide part by hand, and files that are not what was trained."""

from __future__ import annotations

from hashlib import sha256
from math import log, sqrt
from pathlib import Path

import numpy as np
import pytest

from detectors.tfidf import write_linear
from detectors.trained import BrokenWeights
from detectors.wide import WIDE, WideName, read_wide, wide_problem, widened

VOCABULARY = ("hoax", "is", "a hoax")
WEIGHTS, IDF = np.array([2.0, -1.0, 0.5]), np.array([3.0, 1.0, 4.0])


def broken(path: Path, what: str) -> BrokenWeights:
    return BrokenWeights(f"{path} {what}")


@pytest.fixture
def name(tmp_path: Path) -> WideName:
    digest = write_linear(tmp_path / WIDE, VOCABULARY, WEIGHTS, IDF, intercept=-0.25)
    return WideName(digest, 0.5)


def test_adds_to_one_logit_what_it_takes_from_the_other(tmp_path: Path, name: WideName) -> None:
    part = read_wide(tmp_path, name, broken)
    twice = 1 + log(2)  # "hoax" is there twice, "a hoax" once, "it" and "it is" are not known
    found = np.array([3.0 * twice, 1.0, 4.0])
    expected = 0.5 * (found @ WEIGHTS / sqrt(found @ found) - 0.25)
    true, false = widened((1.0, -1.0), part, ["it", "is", "a", "hoax", "hoax"])
    assert 1.0 - true == pytest.approx(expected) == pytest.approx(false + 1.0)


def test_of_words_it_does_not_know_only_its_intercept_is_left(
    tmp_path: Path, name: WideName
) -> None:
    part = read_wide(tmp_path, name, broken)
    assert widened((0.0, 0.0), part, ["moon"]) == (0.125, -0.125)
    assert widened((0.0, 0.0), part, []) == (0.125, -0.125)


def test_a_model_without_one_is_left_as_it_is(tmp_path: Path) -> None:
    assert read_wide(tmp_path, None, broken) is None
    assert wide_problem(None) is None


def test_a_missing_or_other_file_is_told(tmp_path: Path, name: WideName) -> None:
    path = tmp_path / WIDE
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    with pytest.raises(BrokenWeights, match=r"wide\.npz has sha256 .*, config\.json says"):
        read_wide(tmp_path, name, broken)
    path.write_bytes(b"junk")
    with pytest.raises(BrokenWeights, match="does not hold the arrays of a model"):
        read_wide(tmp_path, WideName(sha256(b"junk").hexdigest(), 1.0), broken)
    path.unlink()
    with pytest.raises(BrokenWeights, match="cannot be opened"):
        read_wide(tmp_path, name, broken)


@pytest.mark.parametrize("share", [0.0, -1.0, float("nan"), 1e9])
def test_a_share_that_would_turn_it_round_or_drown_the_rest_is_refused(share: float) -> None:
    assert "share" in (wide_problem(WideName("", share)) or "")
