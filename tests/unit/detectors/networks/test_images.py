"""Image networks: torchvision's names and shapes, and what is held fast."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from detectors.networks.images import (
    ImageClassifier,
    ImageWeightsUnusable,
    SmallCnn,
    Vgg19,
    load_image_weights,
)

#: The convolutions of torchvision's vgg19: place in `features`, channels in and out.
CONVOLUTIONS = (
    *((0, 3, 64), (2, 64, 64), (5, 64, 128), (7, 128, 128), (10, 128, 256), (12, 256, 256)),
    *((14, 256, 256), (16, 256, 256), (19, 256, 512), (21, 512, 512), (23, 512, 512)),
    *((25, 512, 512), (28, 512, 512), (30, 512, 512), (32, 512, 512), (34, 512, 512)),
)


@pytest.fixture(scope="module")
def vgg() -> Vgg19:
    return Vgg19()


def test_vgg19_has_the_names_and_shapes_of_torchvision(vgg: Vgg19) -> None:
    expected: dict[str, tuple[int, ...]]
    expected = {f"features.{i}.weight": (out, into, 3, 3) for i, into, out in CONVOLUTIONS}
    expected |= {f"features.{i}.bias": (out,) for i, _, out in CONVOLUTIONS}
    assert {name: tuple(t.shape) for name, t in vgg.state_dict().items()} == expected


def test_vgg19_gives_the_last_convolution_before_its_pooling(vgg: Vgg19) -> None:
    with torch.inference_mode():
        assert vgg(torch.zeros(1, 3, 64, 64)).shape == (1, 512, 4, 4)  # 224 -> 14
    assert isinstance(vgg.features[-1], torch.nn.ReLU)


def test_only_block_five_is_trained(vgg: Vgg19) -> None:
    vgg.train_last_block_only()
    trained = {name for name, p in vgg.named_parameters() if p.requires_grad}
    assert trained == {
        f"features.{i}.{kind}" for i in (28, 30, 32, 34) for kind in ("weight", "bias")
    }
    vgg.requires_grad_(True)


@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
def test_published_weights_load_without_their_classifier(tmp_path: Path, name: str) -> None:
    torch.manual_seed(1)
    published = SmallCnn().state_dict() | {"classifier.0.weight": torch.zeros(2, 2)}
    path = tmp_path / name
    if name.endswith("pth"):
        torch.save(published, path)
    else:
        save_file(published, path)
    backbone = SmallCnn()
    load_image_weights(backbone, path)
    assert torch.equal(backbone.state_dict()["features.0.weight"], published["features.0.weight"])


def test_other_files_are_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(b"nothing")
    for broken in (path, tmp_path / "missing.pth", tmp_path / "missing.safetensors"):
        with pytest.raises(ImageWeightsUnusable) as raised:
            load_image_weights(SmallCnn(), broken)
        assert "\n" not in str(raised.value)
    torch.save(SmallCnn().state_dict(), path)
    with pytest.raises(ImageWeightsUnusable, match="does not hold the weights of Vgg19"):
        load_image_weights(Vgg19(), path)


def test_the_small_network_and_its_classifier() -> None:
    pixels = torch.zeros(2, 3, 96, 96)
    assert SmallCnn().eval()(pixels).shape == (2, 128, 6, 6)
    assert ImageClassifier(SmallCnn()).eval()(pixels).shape == (2,)
