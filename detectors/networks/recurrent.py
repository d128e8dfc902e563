"""Recurrent baselines: GRU and LSTM on text, and att-RNN on text, picture and attributes."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from detectors.networks.attention import weighted_sum

Kind = Literal["gru", "lstm"]
HIDDEN = 64
#: Neurons of att-RNN's picture, which words weigh.
VISUAL = 32


class Recurrent(nn.Module):
    """A GRU or LSTM over padded sequences; padding neither enters nor leaves a state."""

    def __init__(
        self, kind: Kind, width: int, hidden: int, n_layers: int = 1, both_ways: bool = False
    ) -> None:
        super().__init__()
        made = nn.GRU if kind == "gru" else nn.LSTM
        self.cells = made(width, hidden, n_layers, batch_first=True, bidirectional=both_ways)
        self.width = hidden * (2 if both_ways else 1)

    def forward(self, x: Tensor, there: Tensor) -> Tensor:
        """States (batch, positions, width), 0 where there is padding.

        x: (batch, positions, width). there: bool, True from the left on. A row without any
        position is computed as if it had one, then set to 0.
        """
        lengths = there.sum(dim=1).clamp(min=1).cpu()
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        states, _ = pad_packed_sequence(
            self.cells(packed)[0], batch_first=True, total_length=x.shape[1]
        )
        return states * there.unsqueeze(2)


class LastState(nn.Module):
    """The baselines GRU1, GRU2 and LSTM1: the last state of one or two layers, then one logit."""

    def __init__(self, kind: Kind, n_layers: int, width: int, hidden: int = HIDDEN) -> None:
        super().__init__()
        self.recurrent = Recurrent(kind, width, hidden, n_layers)
        self.dropout = nn.Dropout(0.5)
        self.output = nn.Linear(hidden, 1)

    def forward(self, words: Tensor, there: Tensor) -> Tensor:
        """Logits, (batch,). words: (batch, positions, width)."""
        states = self.recurrent(words, there)
        last = (there.sum(dim=1) - 1).clamp(min=0)
        chosen = states[torch.arange(len(states)), last]  # (batch, hidden)
        logits: Tensor = self.output(self.dropout(chosen)).squeeze(1)
        return logits


class AttRnn(nn.Module):
    """att-RNN: an LSTM over words and attributes, whose states weigh the neurons of the picture.

        x_m  = [word m | tanh(W_s social)]                     into the LSTM
        R_ts = mean of its states h_m
        R_v  = relu(W_v picture)                               (32,)
        a_m  = softmax(W_2 relu(W_1 h_m))                      weights of the 32 neurons
        out  = W [R_ts | R_v * mean of a_m] + b

    Source: Jin et al., ACM Multimedia 2017, written down from memory of its architecture; the
    paper itself is not at hand, so details may differ. social: the one-hot attributes.
    """

    def __init__(self, width: int, n_social: int, picture: int, hidden: int = HIDDEN) -> None:
        super().__init__()
        self.social = nn.Linear(n_social, 32)
        self.recurrent = Recurrent("lstm", width + 32, hidden)
        self.picture = nn.Linear(picture, VISUAL)
        self.weigh = nn.Sequential(
            nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, VISUAL), nn.Softmax(dim=2)
        )
        self.dropout = nn.Dropout(0.5)
        self.output = nn.Linear(hidden + VISUAL, 1)

    def forward(self, words: Tensor, there: Tensor, social: Tensor, picture: Tensor) -> Tensor:
        """Logits, (batch,). social: (batch, n_social). picture: (batch, picture), 0 without one."""
        beside = self.social(social).tanh().unsqueeze(1).expand(-1, words.shape[1], -1)
        states = self.recurrent(torch.cat([words, beside], dim=2), there)
        share = there / there.sum(dim=1, keepdim=True).clamp(min=1)  # (batch, positions)
        joint = weighted_sum(share, states)
        seen = self.picture(picture).relu() * weighted_sum(share, self.weigh(states))
        logits: Tensor = self.output(self.dropout(torch.cat([joint, seen], dim=1))).squeeze(1)
        return logits
