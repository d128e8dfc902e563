"""Is there likely text in a picture? A cheap test, so that OCR runs only where it may find some.

Letters are thin strokes of one brightness on another, many of them side by side in a row. So:

    stroke(x)  = a step up and a step down of brightness within 3 pixels of a row
    density    = share of strokes in a window of 35 x 5 pixels
    likelihood = the greatest density anywhere, in copies of the picture of 512, 256, 128 and 64
                 pixels: a letter is thin in one of them, however large it is

No library of text detection is needed, and it takes a hundredth of the time of OCR. The README of
`detectors` says what it misses.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import uniform_filter

from detectors.image.decode import Pixels

#: From this density on, text is likely.
THRESHOLD = 0.175

#: Longer side of each copy [pixels]. None is larger than the picture.
_SIDES = (512, 256, 128, 64)
#: A step of brightness, of 255. Nothing that is meant to be read has less contrast.
_STEP = 40
#: Greatest width of a stroke [pixels].
_STROKE = 3
#: A few letters side by side: height and width [pixels].
_WINDOW = (5, 35)


def text_likelihood(pixels: Pixels) -> float:
    """The density of strokes where it is greatest, in [0, 1].

    pixels: uint8 (height, width, 3). Cost: about 5 ms for 1080 x 1350.

    >>> text_likelihood(np.full((100, 100, 3), 200, np.uint8))
    0.0
    """
    grey = Image.fromarray(pixels).convert("L")
    longer = max(grey.size)
    sides = sorted({min(side, longer) for side in _SIDES})
    return max(_density(_copy(grey, side / longer)) for side in sides)


def is_text_likely(pixels: Pixels) -> bool:
    """Whether OCR may find something: the density is at least THRESHOLD."""
    return text_likelihood(pixels) >= THRESHOLD


def _copy(grey: Image.Image, scale: float) -> NDArray[np.int16]:
    size = max(1, round(grey.width * scale)), max(1, round(grey.height * scale))
    small = grey.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    return np.asarray(small).astype(np.int16)


def strokes(grey: NDArray[np.int16]) -> NDArray[np.bool_]:
    """Where a step of brightness is met by the opposite one within _STROKE pixels to its right.

    grey: (height, width). Returns (height, width - 1): one place between each two pixels.

    >>> row = [0, 0, 90, 90, 0, 0, 0, 90, 90, 90, 90, 90]
    >>> strokes(np.array([row], np.int16)).astype(int).tolist()
    [[0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0]]
    """
    step = np.diff(grey, axis=1)
    up, down = step > _STEP, step < -_STEP
    soon_up, soon_down = np.zeros_like(up), np.zeros_like(down)
    for distance in range(1, _STROKE + 1):
        soon_up[:, :-distance] |= up[:, distance:]
        soon_down[:, :-distance] |= down[:, distance:]
    return (up & soon_down) | (down & soon_up)


def _density(grey: NDArray[np.int16]) -> float:
    """The greatest share of strokes in a window; what is outside the picture has none."""
    found = strokes(grey).astype(np.float32)
    if not found.size:
        return 0.0
    window = tuple(min(n, m) for n, m in zip(_WINDOW, found.shape, strict=True))
    return float(uniform_filter(found, window, mode="constant").max())
