"""att-XDSF: text, picture and social attributes, fused by attention in two steps.

    F_t = tanh(W_t mean of the text's states)        F_v = tanh(W_v mean of the picture's places)
    F_s = xDeepFM(attributes)                        each of width p
    F_ts = Attention(Q = F_s, K = V = F_t)           step 1
    F_f  = Attention(Q = F_v, K = V = F_ts)          step 2
    logit = W_2 relu(W_1 F_f)                        of likely_false

XDSF, `fusion="concat"`: F_f = [F_t | F_v | F_s]. Of fewer modalities the first of (text, social,
image) is the value, each further one a query, in this order.
`fusion="tokens"`, another reading: the fields of the attributes ask the text's tokens, then the
places of the picture ask what came of it; F_f is the mean over places.
A picture or a text that is not there has a learnt vector of its own.
Source: Zuo, Wang, Zhang 2023, section 3. Of BERT and ViT they take one vector each; here it is the
mean of the states.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from detectors.networks.attention import attend_features, attend_tokens, weighted_sum
from detectors.networks.xdeepfm import EMBEDDING, XDeepFm

Modality = Literal["text", "image", "social"]
Fusion = Literal["attention", "concat", "tokens"]

#: In the order of [F_t, F_v, F_s].
MODALITIES: tuple[Modality, ...] = ("text", "image", "social")
#: In the order in which attention takes them.
ORDER: tuple[Modality, ...] = ("text", "social", "image")
WIDTH = 64


class Inputs(NamedTuple):
    """text: states (batch, tokens, width), or ids (batch, tokens) of an encoder that is trained.
    text_there: bool (batch, tokens). image: maps (batch, channels, height, width), or pixels.
    image_there: bool (batch,). social: int (batch, fields), categories."""

    text: Tensor
    text_there: Tensor
    image: Tensor
    image_there: Tensor
    social: Tensor

    def to(self, device: torch.device) -> Inputs:
        """All of it there."""
        return Inputs(*(tensor.to(device) for tensor in self))


class AttXdsf(nn.Module):
    """The network of the module's docstring."""

    def __init__(
        self,
        text: nn.Module,
        text_width: int,
        image: nn.Module,
        image_width: int,
        n_categories: Sequence[int],
        modalities: Sequence[Modality] = MODALITIES,
        fusion: Fusion = "attention",
        width: int = WIDTH,
        dropout: float = 0.3,
    ) -> None:
        """text: (text, there) -> states; image: pixels -> maps; `Given` where both are computed
        before. n_categories: of each field of the attributes."""
        super().__init__()
        self.modalities = tuple(m for m in MODALITIES if m in modalities)
        self.fusion = fusion
        self.text: nn.Module | None = None
        self.image: nn.Module | None = None
        if "text" in self.modalities:
            self.text, self.text_dense = text, nn.Linear(text_width, width)
            self.no_text = nn.Parameter(torch.randn(width) / width**0.5)
        if "image" in self.modalities:
            self.image, self.image_dense = image, nn.Linear(image_width, width)
            self.no_image = nn.Parameter(torch.randn(width) / width**0.5)
        if "social" in self.modalities:
            self.social = XDeepFm(n_categories, width)
            self.field_dense = nn.Linear(EMBEDDING, width) if fusion == "tokens" else None
        n_features = len(self.modalities) if fusion == "concat" else 1
        self.first = nn.Linear(n_features * width, width)
        self.dropout = nn.Dropout(dropout)
        self.second = nn.Linear(width, 1)

    def forward(self, inputs: Inputs) -> Tensor:
        """Logits of likely_false, (batch,)."""
        fused = self.fuse_tokens(inputs) if self.fusion == "tokens" else self.fuse(inputs)
        hidden = self.dropout(self.first(self.dropout(fused)).relu())
        logits: Tensor = self.second(hidden).squeeze(1)
        return logits

    def fuse(self, inputs: Inputs) -> Tensor:
        """F_f from one feature per modality."""
        features = self.features(inputs)
        if self.fusion == "concat":
            return torch.cat([features[name] for name in self.modalities], dim=1)
        first, *queries = (features[name] for name in ORDER if name in features)
        fused = first
        for query in queries:
            fused = attend_features(query, fused)
        return fused

    def features(self, inputs: Inputs) -> dict[Modality, Tensor]:
        """F_t, F_v, F_s as far as they are used, each (batch, p)."""
        found: dict[Modality, Tensor] = {}
        if self.text is not None:
            states = self.text(inputs.text, inputs.text_there)
            n = inputs.text_there.sum(dim=1, keepdim=True)  # (batch, 1)
            mean = weighted_sum(inputs.text_there / n.clamp(min=1), states)
            found["text"] = torch.where(n > 0, self.text_dense(mean).tanh(), self.no_text)
        if self.image is not None:
            mean = self.image(inputs.image).mean(dim=(2, 3))
            there = inputs.image_there.unsqueeze(1)
            found["image"] = torch.where(there, self.image_dense(mean).tanh(), self.no_image)
        if "social" in self.modalities:
            found["social"] = self.social(inputs.social)
        return found

    def fuse_tokens(self, inputs: Inputs) -> Tensor:
        """F_f from sequences: all three of (tokens, fields, places), or those that are used."""
        parts = self.sequences(inputs)
        first, *queries = (parts[name] for name in ORDER if name in parts)
        fused, there = first
        for query, query_there in queries:
            fused, there = attend_tokens(query, fused, there), query_there
        share = there / there.sum(dim=1, keepdim=True)
        return weighted_sum(share, fused)

    def sequences(self, inputs: Inputs) -> dict[Modality, tuple[Tensor, Tensor]]:
        """Of each modality its positions (batch, n, p) and which of them are there (batch, n)."""
        found: dict[Modality, tuple[Tensor, Tensor]] = {}
        if self.text is not None:
            states = self.text(inputs.text, inputs.text_there)
            found["text"] = _or_absent(
                self.text_dense(states).tanh(), inputs.text_there, self.no_text
            )
        if self.image is not None:
            places = self.image(inputs.image).flatten(2).transpose(1, 2)  # (batch, places, C)
            there = inputs.image_there.unsqueeze(1).expand(-1, places.shape[1])
            found["image"] = _or_absent(self.image_dense(places).tanh(), there, self.no_image)
        if "social" in self.modalities:
            assert self.field_dense is not None
            fields = self.field_dense(self.social.embed(inputs.social)).tanh()
            found["social"] = fields, fields.new_ones(fields.shape[:2], dtype=torch.bool)
        return found


def _or_absent(states: Tensor, there: Tensor, absent: Tensor) -> tuple[Tensor, Tensor]:
    """The states, and in front of them `absent`, which is there where nothing else is."""
    first = absent.expand(len(states), 1, -1)
    return (
        torch.cat([first, states], dim=1),
        torch.cat([~there.any(dim=1, keepdim=True), there], dim=1),
    )
