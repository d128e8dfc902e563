"""What turns pixels into feature maps: VGG19 and ViT-B/16 as published, and small ones for CPUs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from detectors.detector import DetectorUnusable
from detectors.networks.vit import SmallVit, VitB16

#: Channels of each block of VGG19 and how many convolutions it has.
_VGG19 = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4))
SMALL_CHANNELS = (16, 32, 64, 128)


class ImageWeightsUnusable(DetectorUnusable):
    """A file that does not hold the weights of the network."""


class Vgg19(nn.Module):
    """The convolutions of VGG19 up to the last one of block 5, before its pooling.

    Layers are named as torchvision names them (`features.0` to `features.34`), so that its
    published weights load. (batch, 3, 224, 224) -> (batch, 512, 14, 14).
    Source: Simonyan, Zisserman, "Very Deep Convolutional Networks", ICLR 2015, configuration E.
    """

    n_channels = 512
    side = 224

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        below = 3
        for n_channels, n_convolutions in _VGG19:
            for _ in range(n_convolutions):
                layers += [nn.Conv2d(below, n_channels, 3, padding=1), nn.ReLU()]
                below = n_channels
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers[:-1])

    def forward(self, pixels: Tensor) -> Tensor:
        """pixels: as `detectors.image.preprocess.for_imagenet` makes them."""
        maps: Tensor = self.features(pixels)
        return maps

    def train_last_block_only(self) -> None:
        """As the paper fine-tunes it: all but the four convolutions of block 5 stay as they are."""
        first = len(self.features) - 8  # four convolutions with their activations
        for i, layer in enumerate(self.features):
            layer.requires_grad_(i >= first)

    @staticmethod
    def own_name(published: str) -> str | None:
        """Our name of one of torchvision's tensors; None for those of its classifier."""
        return published if published.startswith("features.") else None


class SmallCnn(nn.Module):
    """Four convolutions of 3 x 3 with batch normalisation and pooling; for CPUs, from scratch.

    (batch, 3, 96, 96) -> (batch, 128, 6, 6). 98,000 numbers. It is no stand-in for a network that
    has seen a million pictures.
    """

    n_channels = SMALL_CHANNELS[-1]
    side = 96

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for below, n_channels in zip((3, *SMALL_CHANNELS), SMALL_CHANNELS, strict=False):
            layers += [
                nn.Conv2d(below, n_channels, 3, padding=1),
                nn.BatchNorm2d(n_channels),
                nn.ReLU(),
                nn.MaxPool2d(2),
            ]
        self.features = nn.Sequential(*layers)

    def forward(self, pixels: Tensor) -> Tensor:
        """pixels: as `for_imagenet(..., side=96)` makes them."""
        maps: Tensor = self.features(pixels)
        return maps

    def train_last_block_only(self) -> None:
        """Nothing to hold fast: it has learnt nothing before."""

    own_name = staticmethod(Vgg19.own_name)


Backbone = Vgg19 | SmallCnn | VitB16 | SmallVit

#: name -> network, with `n_channels` of its maps and the `side` of its input [pixels].
BACKBONES: Mapping[str, type[Backbone]] = {
    "vgg19": Vgg19,
    "vit_b_16": VitB16,
    "small": SmallCnn,
    "small_vit": SmallVit,
}


class ImageClassifier(nn.Module):
    """A backbone trained on pictures alone: mean over places, then one logit. Wang et al.'s first
    stage; afterwards the backbone is held fast."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone
        self.dropout = nn.Dropout(0.5)
        self.output = nn.Linear(backbone.n_channels, 1)

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits of likely_false, (batch,)."""
        maps = self.backbone(pixels)
        logits: Tensor = self.output(self.dropout(maps.mean(dim=(2, 3)))).squeeze(1)
        return logits


def load_image_weights(backbone: Backbone, path: Path) -> None:
    """Published weights into a backbone: a `.safetensors` file, or torch's own of tensors alone.

    What belongs to the classifier behind it is passed over.
    Raises ImageWeightsUnusable.
    """
    try:
        if path.suffix == ".safetensors":
            tensors = load_file(path)
        else:
            tensors = torch.load(path, map_location="cpu", weights_only=True)
        named = {backbone.own_name(key): value for key, value in tensors.items()}
        backbone.load_state_dict({key: value for key, value in named.items() if key is not None})
    except OSError as error:
        raise ImageWeightsUnusable(f"{path} cannot be opened ({error.strerror})") from error
    except (SafetensorError, UnpicklingError, RuntimeError, AttributeError, EOFError) as error:
        said = " ".join(str(error).split())[:160]
        raise ImageWeightsUnusable(
            f"{path} does not hold the weights of {type(backbone).__name__} ({said}): give the "
            "file that torchvision publishes for it"
        ) from error
