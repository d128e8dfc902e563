"""Pixels as the published weights expect them: size, range and colours of their training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from detectors.image.decode import Pixels

Input = NDArray[np.float32]
Preprocessing = Literal["imagenet", "vit"]

#: Side of what the published networks see [pixels].
SIDE = 224
#: A picture longer than this many times its shorter side is cut at both ends first: scaled by its
#: shorter side, a strip of 9 x 200,000 pixels would become one of 256 x 5,700,000.
_LONGEST = 4

_IMAGENET_MEAN = np.array([0.485, 0.456, 0.406], dtype=np.float32)
_IMAGENET_DEVIATION = np.array([0.229, 0.224, 0.225], dtype=np.float32)


def for_imagenet(pixels: Pixels, side: int = SIDE) -> Input:
    """As torchvision's weights of VGG19 and its like expect: float32 (3, side, side).

    The shorter side is scaled to 256 (bilinear), the middle 224 x 224 cut out, and each channel
    normalised to ImageNet's mean and deviation; with another side than 224, in proportion. The
    paper used Keras' weights of the same network, whose preprocessing is another (BGR, only the
    mean subtracted): do not mix them.
    Source: torchvision, `VGG19_Weights.IMAGENET1K_V1`.
    """
    picture = Image.fromarray(_without_long_ends(pixels))
    width, height = picture.size
    shorter = side * 256 // 224
    scale = shorter / min(width, height)
    width, height = max(shorter, int(width * scale)), max(shorter, int(height * scale))
    left, top = round((width - side) / 2), round((height - side) / 2)
    scaled = picture.resize((width, height), Image.Resampling.BILINEAR)
    middle = scaled.crop((left, top, left + side, top + side))
    return _channels_first((_unit(middle) - _IMAGENET_MEAN) / _IMAGENET_DEVIATION)


def for_vit(pixels: Pixels, side: int = SIDE) -> Input:
    """As `google/vit-base-patch16-224` and its like expect: float32 (3, side, side), in [-1, 1].

    The whole picture is squeezed to a square (bilinear), nothing is cut off.
    Source: its `preprocessor_config.json`.
    """
    small = Image.fromarray(pixels).resize((side, side), Image.Resampling.BILINEAR)
    return _channels_first((_unit(small) - 0.5) / 0.5)


PREPROCESSINGS: dict[Preprocessing, Callable[..., Input]] = {
    "imagenet": for_imagenet,
    "vit": for_vit,
}


def seen_region(width: int, height: int, preprocessing: Preprocessing) -> tuple[float, ...]:
    """What part of a picture a network sees: left, top, right, bottom as shares of its size.

    >>> seen_region(512, 256, "imagenet"), seen_region(512, 256, "vit")
    ((0.28125, 0.0625, 0.71875, 0.9375), (0.0, 0.0, 1.0, 1.0))
    """
    if preprocessing == "vit":
        return 0.0, 0.0, 1.0, 1.0
    seen = 224 / 256 * min(width, height)
    left, top = (1 - seen / width) / 2, (1 - seen / height) / 2
    return left, top, 1 - left, 1 - top


def _without_long_ends(pixels: Pixels) -> Pixels:
    """The middle of a picture, at most _LONGEST times as long as wide."""
    height, width = pixels.shape[:2]
    longest = _LONGEST * min(height, width)
    top, left = max(0, (height - longest) // 2), max(0, (width - longest) // 2)
    return pixels[top : top + longest, left : left + longest]


def _unit(picture: Image.Image) -> Input:
    """(height, width, 3), in [0, 1]."""
    return np.asarray(picture, dtype=np.float32) / np.float32(255)


def _channels_first(values: Input) -> Input:
    return np.ascontiguousarray(values.transpose(2, 0, 1), dtype=np.float32)
