from __future__ import annotations

from math import cos, pi
from statistics import median

import numpy as np
from PIL import Image

from detectors.image.decode import Picture, Pixels, decode
from detectors.image.phash import N_BITS, distance, phash
from tests.unit.detectors.image.pictures import encoded, photo, poster


def by_definition(pixels: Pixels) -> int:
    """The hash from the sums that define the transform."""
    grey = Image.fromarray(pixels).convert("L").resize((32, 32), Image.Resampling.LANCZOS)
    values = np.asarray(grey).astype(float)
    low = [
        4
        * sum(
            values[y, x] * cos(pi * (2 * y + 1) * v / 64) * cos(pi * (2 * x + 1) * u / 64)
            for y in range(32)
            for x in range(32)
        )
        for v in range(8)
        for u in range(8)
    ]
    middle = median(low)
    return sum(1 << (63 - i) for i, value in enumerate(low) if value > middle)


def test_equals_the_definition() -> None:
    for seed in range(3):
        assert phash(photo(seed=seed)) == by_definition(photo(seed=seed))


def test_half_of_the_bits_are_set() -> None:
    assert phash(photo()).bit_count() == N_BITS // 2


def test_the_same_picture_in_other_files_is_near_and_others_are_far() -> None:
    original = poster("THE SAME PICTURE")
    small = np.asarray(Image.fromarray(original).resize((300, 225)))
    reencoded = decode(encoded(original, "JPEG", quality=40))
    assert isinstance(reencoded, Picture)
    assert distance(phash(original), phash(small)) <= 8
    assert distance(phash(original), phash(reencoded.pixels)) <= 8
    others = [phash(photo(seed=seed)) for seed in range(1, 20)]
    assert min(distance(phash(photo()), other) for other in others) > 12
