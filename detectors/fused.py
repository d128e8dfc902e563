"""The int8 engine with all that is between two products of matrices done in one loop over rows.

The products are those of `detectors.runtime.Int8Engine`, by a loop of our own where PyTorch has no
fast and exact one. So is what is computed, but not to the last bit: GELU and the exponential
function are polynomials, and sums run in another order.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from detectors import kernels
from detectors.batching import Grid
from detectors.encoder import Shape
from detectors.int8_products import Way, packed_is_exact, way_of_torch
from detectors.runtime import Int8Engine, Model, _Layer, _QuantisedMap


def fits(shape: Shape) -> bool:
    """Whether the loops can compute this encoder."""
    lanes = kernels.LANES
    widths = shape.hidden // shape.n_heads, shape.hidden // 2, shape.intermediate
    return all(width % lanes == 0 for width in widths)


def _lay_out(integers: Tensor) -> Tensor:
    return torch.from_numpy(kernels.lay_out(integers.numpy()))


def _multiply(rows: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
    products = torch.empty(len(rows), len(scale))
    kernels.multiply(rows.numpy(), weight.numpy(), scale.numpy(), products.numpy())
    return products


#: By `kernels.multiply`, where `kernels.MULTIPLIES`.
LOOP = Way(_lay_out, _multiply)


def fastest_way() -> Way:
    """How integers are multiplied fastest here."""
    return LOOP if kernels.MULTIPLIES and not packed_is_exact() else way_of_torch()


class FusedInt8Engine(Int8Engine):
    """int8, see the module; wants an encoder that `fits`."""

    name = "int8-fused"
    grid = Grid(tokens=2, rows=1, max_rows=256, max_tokens=1024)

    def __init__(self, model: Model, way: Way | None = None) -> None:
        super().__init__(model, way or fastest_way())
        w, shape = self._model.encoder.weights, self._shape
        positions = w["embeddings.position_embeddings.weight"][shape.first_position :]
        self._words = w["embeddings.word_embeddings.weight"].contiguous()
        self._positions = positions + w["embeddings.token_type_embeddings.weight"][0]
        self._embedding_norm = (
            w["embeddings.LayerNorm.weight"].contiguous(),
            w["embeddings.LayerNorm.bias"].contiguous(),
        )
        self._even = torch.ones(shape.hidden)
        self._epsilon = np.float32(shape.epsilon)

    def logits(self, ids: Tensor, counts: Tensor) -> Tensor:
        """See Engine."""
        posts, tokens = ids.shape
        n, hidden = posts * tokens, self._shape.hidden
        get = self._buffers.get
        with torch.inference_mode():
            states = get("states", n, hidden)
            integers = get("integers", n + posts, hidden, dtype=torch.int8)
            scale = get("scale", n)
            kernels.embed(
                ids.numpy(), self._words.numpy(), self._positions.numpy(),
                self._embedding_norm[0].numpy(), self._embedding_norm[1].numpy(), self._epsilon,
                states.numpy(), integers.numpy(), scale.numpy(),
            )  # fmt: skip
            for layer in self._layers[:-1]:
                linear = _map(layer.query_key_value)
                products, bias = self._products(integers, linear).numpy(), linear.bias.numpy()
                kernels.attend(
                    products, scale.numpy(), bias, products, scale.numpy(), bias, counts.numpy(),
                    self._shape.n_heads, tokens, integers.numpy(), scale.numpy(),
                )  # fmt: skip
                self._rest_of_layer(layer, states, posts, tokens)
            last = self._layers[-1]
            query, key_value = _map(last.query), _map(last.key_value)
            # a first token's row, and what rounding had left of it
            first = torch.cat([integers[:n:tokens], integers[n:]])
            first_scale = scale[::tokens].contiguous()
            kernels.attend(
                self._products(first, query).numpy(), first_scale.numpy(), query.bias.numpy(),
                self._products(integers, key_value).numpy(), scale.numpy(),
                key_value.bias.numpy(), counts.numpy(), self._shape.n_heads, 1,
                get("integers", 2 * posts, hidden, dtype=torch.int8).numpy(),
                get("scale", posts).numpy(),
            )  # fmt: skip
            first_states = states[::tokens].contiguous()
            self._rest_of_layer(last, first_states, posts, 1)
            # (posts, 1, hidden) * (2, hidden), summed row by row: no matrix product
            product = first_states[:, None] * self._model.head_weight
            return product.sum(-1) + self._model.head_bias

    def _rest_of_layer(self, layer: _Layer, states: Tensor, posts: int, tokens: int) -> None:
        """What follows attention, from the buffers `integers` and `scale` into them and `states`,
        which is what the layer read."""
        n, hidden = states.shape
        get = self._buffers.get
        integers = get("integers", n + posts, hidden, dtype=torch.int8)
        wide = get("wide_integers", n + posts, self._shape.intermediate, dtype=torch.int8)
        middle = get("middle", n, hidden)
        scale, wide_scale, offset = get("scale", n), get("wide_scale", n), get("offset", n)
        attended, up, down = _map(layer.attended), _map(layer.up), _map(layer.down)

        def finish(
            linear: _QuantisedMap, products: Tensor, scale_in: Tensor, before: Tensor,
            level: Tensor | None, norm: tuple[Tensor, Tensor], out: Tensor,
        ) -> None:  # fmt: skip
            kernels.add_and_norm(
                products.numpy(), scale_in.numpy(), offset.numpy(), linear.column_sums.numpy(),
                linear.bias.numpy(), before.numpy(),
                (self._even if level is None else level).numpy(), norm[0].numpy(), norm[1].numpy(),
                self._epsilon, tokens, out.numpy(), integers.numpy(), scale.numpy(),
            )  # fmt: skip

        offset.zero_()
        products = self._products(integers, attended)
        finish(attended, products, scale, states, layer.levels[0], layer.first_norm, middle)
        kernels.widen(
            self._products(integers, up).numpy(), scale.numpy(), up.bias.numpy(), tokens,
            wide.numpy(), wide_scale.numpy(), offset.numpy(),
        )  # fmt: skip
        products = self._products(wide, down)
        finish(down, products, wide_scale, middle, layer.levels[1], layer.second_norm, states)


def _map(linear: object) -> _QuantisedMap:
    assert isinstance(linear, _QuantisedMap)
    return linear
