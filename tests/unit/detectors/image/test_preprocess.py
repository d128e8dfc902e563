from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from detectors.image.decode import Pixels
from detectors.image.preprocess import for_imagenet, for_vit, seen_region
from tests.unit.detectors.image.pictures import photo


@pytest.mark.parametrize("size", [(224, 224), (300, 200), (64, 500), (1080, 1350)])
def test_vit_as_transformers_prepares_it(size: tuple[int, int]) -> None:
    from transformers import ViTImageProcessorPil

    processor = ViTImageProcessorPil(size={"height": 224, "width": 224})
    picture = photo(*size)
    expected = np.asarray(processor(Image.fromarray(picture), return_tensors="np")["pixel_values"])
    assert for_vit(picture).shape == (3, 224, 224)
    assert np.abs(for_vit(picture) - expected[0]).max() < 1e-5


@pytest.mark.parametrize(
    ("size", "scaled", "corner"),
    [
        ((256, 256), (256, 256), (16, 16)),
        ((512, 300), (436, 256), (106, 16)),
        ((300, 512), (256, 436), (16, 106)),
        ((90, 120), (256, 341), (16, 58)),
    ],
)
def test_imagenet_is_scaled_cut_and_normalised(
    size: tuple[int, int], scaled: tuple[int, int], corner: tuple[int, int]
) -> None:
    left, top = corner
    picture = Image.fromarray(photo(*size)).resize(scaled, Image.Resampling.BILINEAR)
    middle = np.asarray(picture)[top : top + 224, left : left + 224] / 255
    for channel, (mean, deviation) in enumerate([(0.485, 0.229), (0.456, 0.224), (0.406, 0.225)]):
        expected = (middle[:, :, channel] - mean) / deviation
        assert np.abs(for_imagenet(photo(*size))[channel] - expected).max() < 1e-5


@pytest.mark.parametrize("side", [64, 128])
def test_another_side(side: int) -> None:
    assert for_imagenet(photo(), side).shape == for_vit(photo(), side).shape == (3, side, side)


def test_a_long_strip_does_not_become_a_longer_one(monkeypatch: pytest.MonkeyPatch) -> None:
    strip: Pixels = np.zeros((9, 100_000, 3), np.uint8)
    strip[:, 50_000 - 20 : 50_000 + 20] = 255
    sizes = []
    resize = Image.Image.resize

    def recording(self: Image.Image, size: tuple[int, int], *rest: object) -> Image.Image:
        sizes.append(size)
        return resize(self, size, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Image.Image, "resize", recording)
    assert for_imagenet(strip).min() > 2  # white: the middle of the middle
    assert sizes == [(1024, 256)]


def test_what_a_network_sees_of_a_picture() -> None:
    assert seen_region(256, 256, "imagenet") == (0.0625, 0.0625, 0.9375, 0.9375)
    left, top, right, bottom = seen_region(256, 1024, "imagenet")
    assert (left, right) == (0.0625, 0.9375)
    assert bottom - top == pytest.approx(0.875 / 4)
    assert top == 1 - bottom
