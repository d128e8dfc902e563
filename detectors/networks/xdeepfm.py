"""xDeepFM: how social attributes, as categories, act together.

    linear = b + sum over fields f of w[f, x_f]                      on the one-hot input
    CIN    = its layers, each pooled over the embedding, side by side
    DNN    = a perceptron on the embeddings of all fields, side by side
    F_s    = W [linear | CIN | DNN] + b                              (width,)

Source: Lian et al., "xDeepFM", KDD 2018, which sums the three to one logit. Zuo et al. 2023 need a
vector of them and say no more than that; F_s as a fully connected layer is our reading.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

EMBEDDING = 8
CIN_LAYERS = (16, 16)
DNN_LAYERS = (64, 32)


class Cin(nn.Module):
    """Compressed interaction network.

        X^k[h, d] = sum over i, j of W^k[h, i, j] X^(k-1)[i, d] X^0[j, d]
        output    = for each k: sum over d of X^k[h, d]

    So layer k holds products of k + 1 fields, and never mixes places d of the embedding. No
    activation, as its authors found best. Source: Lian et al. 2018, equations (6) to (8).
    """

    def __init__(self, n_fields: int, layers: Sequence[int] = CIN_LAYERS) -> None:
        """layers: how many feature maps each layer has."""
        super().__init__()
        heights = (n_fields, *layers)
        self.maps = nn.ParameterList(
            nn.Parameter(torch.randn(height, below, n_fields) / (below * n_fields) ** 0.5)
            for below, height in zip(heights, layers, strict=False)
        )
        self.width = sum(layers)

    def forward(self, embedded: Tensor) -> Tensor:
        """embedded: (batch, fields, embedding). Returns (batch, sum of layers)."""
        x, pooled = embedded, []
        for weight in self.maps:
            products = torch.einsum("bid,bjd->bijd", x, embedded)
            x = torch.einsum("hij,bijd->bhd", weight, products)  # (batch, maps, embedding)
            pooled.append(x.sum(dim=2))
        return torch.cat(pooled, dim=1)


class XDeepFm(nn.Module):
    """The social feature of the module's docstring, and the vectors of its fields."""

    def __init__(
        self,
        n_categories: Sequence[int],
        width: int,
        embedding: int = EMBEDDING,
        cin_layers: Sequence[int] = CIN_LAYERS,
        dnn_layers: Sequence[int] = DNN_LAYERS,
    ) -> None:
        """n_categories: of each field. width: of F_s."""
        super().__init__()
        firsts = torch.tensor([0, *n_categories[:-1]]).cumsum(0)
        self.firsts: Tensor
        self.register_buffer("firsts", firsts, persistent=False)
        self.linear = nn.Embedding(sum(n_categories), 1)
        nn.init.zeros_(self.linear.weight)
        self.bias = nn.Parameter(torch.zeros(1))
        self.embedding = nn.Embedding(sum(n_categories), embedding)
        nn.init.normal_(self.embedding.weight, std=0.1)
        self.cin = Cin(len(n_categories), cin_layers)
        below, layers = len(n_categories) * embedding, []
        for height in dnn_layers:
            layers += [nn.Linear(below, height), nn.ReLU()]
            below = height
        self.dnn = nn.Sequential(*layers)
        self.output = nn.Linear(1 + self.cin.width + below, width)

    def embed(self, categories: Tensor) -> Tensor:
        """The vector of each field. categories: int (batch, fields). (batch, fields, embedding)"""
        found: Tensor = self.embedding(categories + self.firsts)
        return found

    def forward(self, categories: Tensor) -> Tensor:
        """F_s, (batch, width)."""
        embedded = self.embed(categories)
        linear = self.linear(categories + self.firsts).sum(dim=1) + self.bias  # (batch, 1)
        parts = [linear, self.cin(embedded), self.dnn(embedded.flatten(1))]
        feature: Tensor = self.output(torch.cat(parts, dim=1))
        return feature
