"""The test that spares OCR: what it says of invented pictures and of real ones.

What it misses and how much it spares is measured in tests/bench/bench_text_presence.py.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detectors.image.decode import Picture, Pixels, decode
from detectors.image.text_presence import is_text_likely, strokes, text_likelihood
from tests.unit.detectors.image.pictures import photo, poster

#: Pictures of MediaEval 2016 with words that one can read.
WITH_WORDS = (
    *("boston_fake_19", "boston_fake_25", "boston_real_12", "boston_real_16", "boston_real_17"),
    *("bringback_fake_06", "bringback_fake_07", "columbianChemicals_fake_01", "eclipse_05"),
    *("livr_01", "malaysia_fake_02", "malaysia_fake_04", "malaysia_fake_21", "malaysia_fake_25"),
    *("malaysia_fake_27", "nepal_09", "nepal_11", "nepal_19", "sandy_fake_02", "sandy_fake_10"),
    *("sandy_real_27", "sandy_real_35", "sochi_fake_13", "sochi_fake_17", "sochi_fake_22"),
)


def by_definition(grey: list[list[int]]) -> list[list[bool]]:
    """Strokes, found step by step."""
    found = []
    for row in grey:
        steps = [(after - before > 40) - (after - before < -40) for before, after in pairwise(row)]
        found.append([step != 0 and -step in steps[i + 1 : i + 4] for i, step in enumerate(steps)])
    return found


def test_strokes_by_their_definition() -> None:
    grey = np.random.default_rng(3).integers(0, 256, (20, 50))
    assert strokes(grey.astype(np.int16)).tolist() == by_definition(grey.tolist())


@pytest.mark.parametrize("size", [14, 20, 36, 60, 100, 150])
@pytest.mark.parametrize("turned", [False, True])
def test_letters_of_any_size_are_seen(size: int, turned: bool) -> None:
    pixels = poster("HIDDEN TRUTH", 1080, 810, size)
    assert is_text_likely(255 - pixels if turned else pixels)


def test_soft_pictures_have_no_strokes() -> None:
    assert text_likelihood(photo(800, 600)) == 0
    for pixels in (photo(33, 33), np.zeros((1, 1, 3), np.uint8)):
        assert not is_text_likely(pixels)


def test_one_edge_is_no_letter() -> None:
    half: Pixels = np.zeros((300, 300, 3), np.uint8)
    half[:, 150:] = 255
    assert text_likelihood(half) == 0
    fence = Image.new("RGB", (300, 300))
    fence.paste("white", (100, 0, 103, 300))
    assert not is_text_likely(np.asarray(fence))


def picture(path: Path) -> Pixels:
    found = decode(path.read_bytes())
    assert isinstance(found, Picture)
    return found.pixels


def test_real_words_are_seen_and_half_of_the_rest_is_spared(data: Path) -> None:
    folder = data / "mediaeval2016" / "images"
    missed = [name for name in WITH_WORDS if not is_text_likely(picture(folder / f"{name}.jpg"))]
    assert missed == []
    others = [path for path in sorted(folder.iterdir()) if path.stem not in WITH_WORDS]
    spared = sum(not is_text_likely(picture(path)) for path in others)
    assert spared / len(others) > 0.4
