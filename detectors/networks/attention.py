"""Attention blocks: of features (Zuo et al. 2023), SeTa (Wang, Yin, Argyris 2020), and scSE."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Activation = Literal["tanh", "relu", "none"]
Similarity = Literal["cosine", "dot"]
Combination = Literal["sum", "product"]


def attend_features(query: Tensor, values: Tensor) -> Tensor:
    """Attention of one feature to another, entry by entry.

        scores = query values^T / sqrt(p)             (p, p)
        output = softmax of each row of scores, times values

    Source: Zuo et al. 2023, equations (1) and (2). Theirs is the sum over j = 1..p, the width of a
    feature (section 3.5). If each feature were one token, the softmax would be over one number and
    the output were `values`, whatever the query.

    query, values: (batch, p). Returns (batch, p).

    >>> query, values = torch.tensor([[2.0**0.5, 0.0]]), torch.tensor([[1.0, 0.0]])
    >>> attend_features(query, values).round(decimals=4)  # e / (e + 1), then both alike
    tensor([[0.7311, 0.5000]])
    """
    scores = query.unsqueeze(2) * values.unsqueeze(1) / query.shape[1] ** 0.5  # (batch, p, p)
    attended: Tensor = (scores.softmax(dim=2) @ values.unsqueeze(2)).squeeze(2)
    return attended


def attend_tokens(query: Tensor, values: Tensor, there: Tensor) -> Tensor:
    """softmax(query values^T / sqrt(p)) values over tokens, the other reading.

    query: (batch, n, p). values: (batch, m, p). there: bool (batch, m), at least one of each row.
    Returns (batch, n, p).
    """
    scores = query @ values.transpose(1, 2) / query.shape[2] ** 0.5  # (batch, n, m)
    return masked_softmax(scores, there.unsqueeze(1)) @ values


def masked_softmax(scores: Tensor, there: Tensor) -> Tensor:
    """The softmax over the last axis where something is there; 0 elsewhere, and in empty rows.

    >>> masked_softmax(torch.zeros(2, 2), torch.tensor([[True, False], [False, False]]))
    tensor([[1., 0.],
            [0., 0.]])
    """
    # a finite floor, since a row of -inf alone has no gradient
    shares = scores.masked_fill(~there, torch.finfo(scores.dtype).min).softmax(dim=-1)
    return shares * there


class SeTa(nn.Module):
    """Semantic- and task-level attention: the weighted sum of what it is given.

        s_i = c . act(W1 h_i + b1)                    how much a position says
        t_i = cos(MLP2(h_i), v)                       how near it is to the topic
        a   = softmax of s_i + t_i over the positions that are there
        out = sum of a_i h_i

    v: the mean vector of the topic's hashtags, fixed. MLP2: one hidden layer with tanh.
    Source: Wang, Yin, Argyris 2020, equations (3) to (8). The activation, the similarity and how
    the two are combined are not legible there; tanh, cosine and sum are our reading.
    """

    def __init__(
        self,
        width: int,
        topic: Tensor,
        activation: Activation = "tanh",
        similarity: Similarity = "cosine",
        combination: Combination = "sum",
    ) -> None:
        """width: of each position. topic: v, any width."""
        super().__init__()
        self.topic: Tensor
        self.register_buffer("topic", topic.clone())
        self.hidden = nn.Linear(width, width)
        self.context = nn.Parameter(torch.randn(width) / width**0.5)
        self.nearness = nn.Sequential(
            nn.Linear(width, width), nn.Tanh(), nn.Linear(width, len(topic))
        )
        self.activation, self.similarity = activation, similarity
        self.combination = combination

    def forward(self, states: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
        """The output (batch, width) and the weights (batch, positions).

        states: (batch, positions, width). there: bool (batch, positions). A row in which nothing
        is there has the output 0.
        """
        weights = masked_softmax(self.importance(states), there)
        return weighted_sum(weights, states), weights

    def importance(self, states: Tensor) -> Tensor:
        """s_i + t_i, (batch, positions)."""
        hidden = self.hidden(states)
        if self.activation == "tanh":
            hidden = hidden.tanh()
        elif self.activation == "relu":
            hidden = hidden.relu()
        semantic = hidden @ self.context
        near = self.nearness(states)  # (batch, positions, topic)
        if self.similarity == "cosine":
            task = F.cosine_similarity(near, self.topic.expand_as(near), dim=2)
        else:
            task = near @ self.topic
        combined: Tensor = semantic + task if self.combination == "sum" else semantic * task
        return combined


class PlainSum(nn.Module):
    """What is left of SeTa without attention (the ablation noAtt): the sum of what is there."""

    def forward(self, states: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
        """The sum (batch, width), and weights that are all alike, (batch, positions)."""
        weights = there.to(states.dtype)
        return weighted_sum(weights, states), weights


def weighted_sum(weights: Tensor, states: Tensor) -> Tensor:
    """sum of weights_i states_i. weights: (batch, n). states: (batch, n, width)."""
    return (weights.to(states.dtype).unsqueeze(1) @ states).squeeze(1)


class ScSe(nn.Module):
    """Concurrent spatial and channel squeeze and excitation of a feature map U.

        cSE = U * sigmoid(W2 relu(W1 GAP(U)))         W1: C -> C / reduction; a weight per channel
        sSE = U * sigmoid(w . U[x, y])                a weight per place
        out = cSE + sSE

    Source: Roy, Navab, Wachinger, MICCAI 2018. Wang et al. do not say how the two are joined.
    """

    def __init__(self, n_channels: int, reduction: int = 16) -> None:
        super().__init__()
        self.squeeze = nn.Linear(n_channels, max(1, n_channels // reduction))
        self.excite = nn.Linear(max(1, n_channels // reduction), n_channels)
        self.place = nn.Conv2d(n_channels, 1, kernel_size=1)

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """The weighted maps (batch, C, height, width), and the weight of each place
        (batch, height, width).

        maps: (batch, C, height, width).
        """
        channel = self.excite(self.squeeze(maps.mean(dim=(2, 3))).relu()).sigmoid()  # (batch, C)
        place = self.place(maps).sigmoid()  # (batch, 1, height, width)
        return maps * channel[:, :, None, None] + maps * place, place.squeeze(1)
