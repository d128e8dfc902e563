"""The vision transformer: a picture as a row of patches, and one small enough for CPUs.

    z_0  = [class | E x_1 | ... | E x_n] + positions        x_i: a patch of p x p pixels
    z'_l = MSA(LN(z_l-1)) + z_l-1                           self-attention of several heads
    z_l  = MLP(LN(z'_l)) + z'_l                             two dense layers, GELU between
    y    = LN(z_L)

    MSA: softmax(q k^T / sqrt(width of a head)) v for each head, side by side, then one dense layer

What is given on are the states of the patches, laid out as they lie in the picture, so that a
network of pictures and its attention read them as the maps of convolutions; the class token only
takes part. Tensors have torchvision's names, so that its published weights load.
Source: Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021, equations (1) to (4) and
appendix A. Dropout is left out: what is published was trained to its end.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

#: In torchvision, as in the paper's own code.
_EPSILON = 1e-6


class SelfAttention(nn.Module):
    """MSA of the module's docstring."""

    def __init__(self, width: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.in_proj_weight = nn.Parameter(torch.randn(3 * width, width) / width**0.5)
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)

    def forward(self, states: Tensor) -> Tensor:
        """states: (batch, positions, width). Returns the same shape."""
        batch, n, width = states.shape
        projected = F.linear(states, self.in_proj_weight, self.in_proj_bias)
        by_head = projected.view(batch, n, 3, self.n_heads, width // self.n_heads)
        query, key, value = by_head.permute(2, 0, 3, 1, 4)  # each (batch, heads, n, of a head)
        scores = query @ key.transpose(2, 3) / query.shape[3] ** 0.5
        attended = (scores.softmax(dim=3) @ value).transpose(1, 2).reshape(batch, n, width)
        output: Tensor = self.out_proj(attended)
        return output


class Layer(nn.Module):
    """One layer of the encoder. `mlp` is numbered as torchvision's, which has dropout between."""

    def __init__(self, width: int, n_heads: int, inner: int) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(width, eps=_EPSILON)
        self.self_attention = SelfAttention(width, n_heads)
        self.ln_2 = nn.LayerNorm(width, eps=_EPSILON)
        self.mlp = nn.Sequential(
            nn.Linear(width, inner), nn.GELU(), nn.Identity(), nn.Linear(inner, width)
        )

    def forward(self, states: Tensor) -> Tensor:
        """states: (batch, positions, width). Returns the same shape."""
        states = states + self.self_attention(self.ln_1(states))
        after: Tensor = states + self.mlp(self.ln_2(states))
        return after


class _Encoder(nn.Module):
    """Positions, layers, and the last normalisation."""

    def __init__(self, n_positions: int, width: int, layers: list[Layer]) -> None:
        super().__init__()
        self.pos_embedding = nn.Parameter(torch.randn(1, n_positions, width) * 0.02)
        named = [(f"encoder_layer_{i}", layer) for i, layer in enumerate(layers)]
        self.layers = nn.Sequential(OrderedDict(named))
        self.ln = nn.LayerNorm(width, eps=_EPSILON)

    def forward(self, states: Tensor) -> Tensor:
        """states: (batch, positions, width). Returns the same shape."""
        output: Tensor = self.ln(self.layers(states + self.pos_embedding))
        return output


class VitB16(nn.Module):
    """ViT-B/16: (batch, 3, 224, 224) -> (batch, 768, 14, 14). 86 million numbers."""

    n_channels = 768
    side, patch = 224, 16
    n_layers, n_heads, inner = 12, 12, 3072

    def __init__(self) -> None:
        super().__init__()
        width = self.n_channels
        self.conv_proj = nn.Conv2d(3, width, self.patch, stride=self.patch)
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        layers = [Layer(width, self.n_heads, self.inner) for _ in range(self.n_layers)]
        self.encoder = _Encoder(1 + (self.side // self.patch) ** 2, width, layers)

    def forward(self, pixels: Tensor) -> Tensor:
        """pixels: as `detectors.image.preprocess.for_imagenet` makes them, of this side."""
        maps = self.conv_proj(pixels)  # (batch, width, rows, columns)
        patches = maps.flatten(2).transpose(1, 2)  # (batch, rows * columns, width)
        states = torch.cat([self.class_token.expand(len(patches), -1, -1), patches], dim=1)
        seen: Tensor = self.encoder(states)[:, 1:].transpose(1, 2).reshape(maps.shape)
        return seen

    def train_last_block_only(self) -> None:
        """All but the last layer and the normalisation behind it stay as they are."""
        self.requires_grad_(False)
        self.encoder.layers[-1].requires_grad_(True)
        self.encoder.ln.requires_grad_(True)

    @staticmethod
    def own_name(published: str) -> str | None:
        """Our name of one of torchvision's tensors; None for those of its classifier. Its file has
        the dense layers under names that it gave up later.

        >>> VitB16.own_name("encoder.ln.bias"), VitB16.own_name("heads.head.bias")
        ('encoder.ln.bias', None)
        >>> VitB16.own_name("encoder.layers.encoder_layer_0.mlp.linear_2.bias")
        'encoder.layers.encoder_layer_0.mlp.3.bias'
        """
        if published.startswith("heads."):
            return None
        return published.replace("mlp.linear_1.", "mlp.0.").replace("mlp.linear_2.", "mlp.3.")


class SmallVit(VitB16):
    """Four layers of width 64 over patches of 16: (batch, 3, 96, 96) -> (batch, 64, 6, 6). 186,000
    numbers, for CPUs and tests. From scratch a transformer wants far more pictures than a CNN."""

    n_channels = 64
    side = 96
    n_layers, n_heads, inner = 4, 4, 128

    def train_last_block_only(self) -> None:
        """Nothing to hold fast: it has learnt nothing before."""
