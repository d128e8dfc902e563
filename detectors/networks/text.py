"""What turns a text into states of its tokens: an encoder that is trained too, or characters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from detectors.encoder import Encoder, embed, plain_linear, run_layer
from detectors.networks.recurrent import Recurrent

States = NDArray[np.float16]

CHARACTER_EMBEDDING, CHARACTER_HIDDEN = 64, 64
#: Texts that go through an encoder together.
_TEXTS = 64


class Given(nn.Module):
    """States or maps that were computed before, by an encoder that is held fast."""

    def __init__(self, width: int) -> None:
        """width: of each state, or channels of each map."""
        super().__init__()
        self.width = width

    def forward(self, given: Tensor, there: Tensor | None = None) -> Tensor:
        """What it is given."""
        return given


class Bert(nn.Module):
    """A BERT-family encoder, all of whose weights are trained."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self._encoder = encoder
        self._names = sorted(name for name in encoder.weights if not name.startswith("pooler."))
        self.weights = nn.ParameterList(encoder.weights[name].clone() for name in self._names)
        self.width = encoder.shape.hidden

    def forward(self, ids: Tensor, there: Tensor) -> Tensor:
        """States of the last layer (batch, tokens, width). ids: int (batch, tokens)."""
        own = self._encoder._replace(weights=dict(zip(self._names, self.weights, strict=True)))
        x, linear, mask = embed(own, ids), plain_linear(own), there[:, None, None, :]
        for layer in range(own.shape.n_layers):
            x = run_layer(own, layer, x, mask, linear)
        return x


class Characters(nn.Module):
    """Vectors of characters, then a bidirectional GRU: where there is no encoder of a language."""

    def __init__(self, n_characters: int) -> None:
        """n_characters: with 0, which stands for all that are not known."""
        super().__init__()
        self.embedding = nn.Embedding(n_characters, CHARACTER_EMBEDDING)
        self.dropout = nn.Dropout(0.25)
        self.recurrent = Recurrent("gru", CHARACTER_EMBEDDING, CHARACTER_HIDDEN, both_ways=True)
        self.width = self.recurrent.width

    def forward(self, ids: Tensor, there: Tensor) -> Tensor:
        """States (batch, characters, width). ids: int (batch, characters)."""
        states: Tensor = self.recurrent(self.dropout(self.embedding(ids)), there)
        return states


def frozen_states(encoder: Encoder, texts: Sequence[str], max_tokens: int) -> list[States]:
    """The states of the last layer of each text, by an encoder that is held fast.

    float16, (tokens, width): half the memory, and no score here needs more. Texts of like length
    are computed together. Cost: about 5 ms of one core for a tweet.
    """
    ids = encoder.tokenize(texts, max_tokens)
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    found: list[States] = [np.zeros((0, encoder.shape.hidden), np.float16)] * len(ids)
    linear = plain_linear(encoder)
    with torch.inference_mode():
        for first in range(0, len(order), _TEXTS):
            chosen = order[first : first + _TEXTS]
            longest = len(ids[chosen[-1]])
            table = torch.zeros(len(chosen), longest, dtype=torch.int64)
            there = torch.zeros(len(chosen), longest, dtype=torch.bool)
            for row, i in enumerate(chosen):
                table[row, : len(ids[i])] = torch.tensor(ids[i])
                there[row, : len(ids[i])] = True
            x = embed(encoder, table)
            for layer in range(encoder.shape.n_layers):
                x = run_layer(encoder, layer, x, there[:, None, None, :], linear)
            for row, i in enumerate(chosen):
                found[i] = x[row, : len(ids[i])].half().numpy()
    return found
