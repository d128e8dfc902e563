"""The three-branch network of Wang, Yin, Argyris 2020: hashtags, text, picture.

    tags   h_i = tanh(W E x_i + b), SeTa over at most 30 of them                        (128,)
    text   a bidirectional GRU of 64 over caption and OCR text, up to 680 words, SeTa    (128,)
    image  the last convolution of a backbone that is held fast, scSE, mean over places  (C,)
    projected  image: relu(W_i x + b_i); text and tags: relu(W_t x + b_t), one W_t for both
    fused  SeTa over the projected features that are there                              (128,)
    logit  of [fused | image | text | tags], the three *not* projected: dense 256, 128, 64, each
           with batch normalisation, relu and dropout

Words and tags come as vectors (`detectors.text.subwords`); the paper trains its table of vectors
on, here it is held fast. A branch with nothing to read is 0 and has no part in the fused feature.
What is blank in the paper's text, and how the published code fills it, stands in `networks`.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from detectors.networks.attention import (
    Activation,
    Combination,
    PlainSum,
    ScSe,
    SeTa,
    Similarity,
)
from detectors.networks.recurrent import Recurrent

Branch = Literal["image", "text", "tags"]

BRANCHES: tuple[Branch, ...] = ("image", "text", "tags")
WIDTH = 128
DENSE = (256, 128, 64)
MAX_TAGS, MAX_WORDS = 30, 680


class Switches(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The paper's ablations and the readings of SeTa.

    fused: False is noF. projected: False is noP, features are used directly, the narrower ones
    padded with 0. attention: False is noAtt, plain sums and no scSE.
    """

    branches: tuple[Branch, ...] = BRANCHES
    fused: bool = True
    projected: bool = True
    attention: bool = True
    activation: Activation = "tanh"
    similarity: Similarity = "cosine"
    combination: Combination = "sum"


class Inputs(NamedTuple):
    """words: (batch, n, width of a word). tags: (batch, m, the same). maps: (batch, C, h, w).
    words_there, tags_there: bool (batch, n), (batch, m). image_there: bool (batch,)."""

    words: Tensor
    words_there: Tensor
    tags: Tensor
    tags_there: Tensor
    maps: Tensor
    image_there: Tensor

    def to(self, device: torch.device) -> Inputs:
        """All of it there."""
        return Inputs(*(tensor.to(device) for tensor in self))


class Output(NamedTuple):
    """logits: (batch,). weights: of each word, tag, place and branch; what a branch has not is
    left out. there: bool (batch, branches), which of them read something."""

    logits: Tensor
    weights: dict[str, Tensor]
    there: Tensor


class ThreeBranch(nn.Module):
    """The network of the module's docstring."""

    def __init__(self, topic: Tensor, n_channels: int, switches: Switches | None = None) -> None:
        """topic: the mean vector of the topic's hashtags, of the width of a word. n_channels: of
        the maps."""
        super().__init__()
        self.switches = switches = switches or Switches()
        width, branches = len(topic), switches.branches

        def attention() -> SeTa | PlainSum:
            if not switches.attention:
                return PlainSum()
            readings = switches.activation, switches.similarity, switches.combination
            return SeTa(WIDTH if common is None else common, topic, *readings)

        common: int | None = None
        if "tags" in branches:
            self.tag_dense = nn.Linear(width, WIDTH)
            self.tag_attention = attention()
        if "text" in branches:
            self.word_dropout = nn.Dropout(0.25)
            self.recurrent = Recurrent("gru", width, WIDTH // 2, both_ways=True)
            self.word_attention = attention()
        if "image" in branches and switches.attention:
            self.scse = ScSe(n_channels)
        self.widths: dict[Branch, int] = {
            name: n_channels if name == "image" else WIDTH for name in branches
        }
        self.is_fused = switches.fused and len(branches) > 1
        n_inputs = sum(self.widths.values())
        if self.is_fused:
            common = WIDTH if switches.projected else max(self.widths.values())
            if switches.projected:
                if "image" in branches:
                    self.image_projection = nn.Linear(n_channels, WIDTH)
                if {"text", "tags"} & set(branches):
                    self.word_projection = nn.Linear(WIDTH, WIDTH)
            self.branch_attention = attention()
            n_inputs += common
        layers: list[nn.Module] = []
        for height in DENSE:
            layers += [
                nn.Linear(n_inputs, height),
                nn.BatchNorm1d(height),
                nn.ReLU(),
                nn.Dropout(0.5),
            ]
            n_inputs = height
        self.dense = nn.Sequential(*layers, nn.Linear(n_inputs, 1))

    def forward(self, inputs: Inputs) -> Output:
        """Logits of likely_false, and what weighed."""
        features: dict[Branch, Tensor] = {}
        weights: dict[str, Tensor] = {}
        for name in self.switches.branches:
            features[name], weights[name] = getattr(self, f"_{name}")(inputs)
        there = self.there(inputs)
        parts = [features[name] for name in self.switches.branches]
        if self.is_fused:
            projected = torch.stack([self.project(name, x) for name, x in features.items()], dim=1)
            fused, weights["branches"] = self.branch_attention(projected, there)
            parts.insert(0, fused)
        logits = self.dense(torch.cat(parts, dim=1)).squeeze(1)
        return Output(logits, weights, there)

    def there(self, inputs: Inputs) -> Tensor:
        """Which branches read something, bool (batch, branches)."""
        of: dict[Branch, Tensor] = {
            "image": inputs.image_there,
            "text": inputs.words_there.any(dim=1),
            "tags": inputs.tags_there.any(dim=1),
        }
        return torch.stack([of[name] for name in self.switches.branches], dim=1)

    def project(self, branch: Branch, feature: Tensor) -> Tensor:
        """A feature in the space that all branches share; text and tags by the same weights."""
        if not self.switches.projected:
            return F.pad(feature, (0, max(self.widths.values()) - feature.shape[1]))
        dense = self.image_projection if branch == "image" else self.word_projection
        projected: Tensor = dense(feature).relu()
        return projected

    def _tags(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        hidden = self.tag_dense(inputs.tags).tanh()  # (batch, tags, 128)
        found: tuple[Tensor, Tensor] = self.tag_attention(hidden, inputs.tags_there)
        return found

    def _text(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        states = self.recurrent(self.word_dropout(inputs.words), inputs.words_there)
        found: tuple[Tensor, Tensor] = self.word_attention(states, inputs.words_there)
        return found

    def _image(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        maps = inputs.maps
        places = torch.ones_like(maps[:, 0])
        if self.switches.attention:
            maps, places = self.scse(maps)
        there = inputs.image_there.to(maps.dtype)
        return maps.mean(dim=(2, 3)) * there[:, None], places * there[:, None, None]
