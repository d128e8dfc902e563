"""The int8 engine with all that is between two products of matrices done in one loop over rows.

The products are those of `detectors.runtime.Int8Engine`, by a loop of our own where PyTorch has no
fast and exact one. So is what is computed, but not to the last bit: GELU and the exponential
function are polynomials, and sums run in another order. Posts of all lengths lie end to end, and
padding is not computed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from detectors import kernels
from detectors.batching import Mixed
from detectors.encoder import Shape
from detectors.int8_products import Way, packed_is_exact, way_of_torch
from detectors.runtime import Int8Engine, Model, _Layer, _QuantisedMap

Floats = NDArray[np.float32]


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


class _Linear(NamedTuple):
    """A map for the product, and what the loops read of it."""

    quantised: _QuantisedMap
    bias: Floats
    column_sums: Floats


class _Norm(NamedTuple):
    """How a half of a layer ends: level of what it read, gain and shift of its norm."""

    level: Floats
    gain: Floats
    shift: Floats


class _Loops(NamedTuple):
    """A layer. asking: the last layer's queries, which are apart. reading: its keys and values;
    other layers' queries, keys and values."""

    asking: _Linear | None
    reading: _Linear
    attended: _Linear
    up: _Linear
    down: _Linear
    first_norm: _Norm
    second_norm: _Norm


class _Workspace(NamedTuple):
    """What a batch's loops write, and read again: see `detectors.kernels`. wide: integers and their
    scale and offset between the two maps of the second half. middle: the states there.
    no_offset: zeros."""

    starts: NDArray[np.int64]
    states: Floats
    integers: Tensor
    scale: Floats
    middle: Floats
    wide: Tensor
    wide_scale: Floats
    wide_offset: Floats
    no_offset: Floats


class FusedInt8Engine(Int8Engine):
    """int8, see the module; wants an encoder that `fits`."""

    name = "int8-fused"
    grid = Mixed(tokens=1024)

    def __init__(self, model: Model, way: Way | None = None) -> None:
        super().__init__(model, way or fastest_way())
        w, shape = self._model.encoder.weights, self._shape
        positions = w["embeddings.position_embeddings.weight"][shape.first_position :]
        self._words = w["embeddings.word_embeddings.weight"].contiguous().numpy()
        self._positions = (positions + w["embeddings.token_type_embeddings.weight"][0]).numpy()
        self._embedding_norm = self._norm_of(
            (w["embeddings.LayerNorm.weight"], w["embeddings.LayerNorm.bias"]), None
        )
        self._epsilon = np.float32(shape.epsilon)
        self._loops = [self._loops_of(layer) for layer in self._layers]

    def _norm_of(self, norm: tuple[Tensor, Tensor], level: Tensor | None) -> _Norm:
        even = torch.ones(self._shape.hidden) if level is None else level
        return _Norm(*(tensor.contiguous().numpy() for tensor in (even, *norm)))

    def _loops_of(self, layer: _Layer) -> _Loops:
        first_level, second_level = layer.levels
        is_last = layer.query_key_value is None
        return _Loops(
            asking=_linear(layer.query) if is_last else None,
            reading=_linear(layer.key_value if is_last else layer.query_key_value),
            attended=_linear(layer.attended),
            up=_linear(layer.up),
            down=_linear(layer.down),
            first_norm=self._norm_of(layer.first_norm, first_level),
            second_norm=self._norm_of(layer.second_norm, second_level),
        )

    def logits(self, ids: Tensor, counts: Tensor) -> Tensor:
        """See Engine. Padding is not computed."""
        posts, n_heads = len(ids), self._shape.n_heads
        with torch.inference_mode():
            starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts.numpy())])
            space = self._workspace("all", starts)
            kernels.embed(
                ids.numpy(), starts, self._words, self._positions, self._embedding_norm.gain,
                self._embedding_norm.shift, self._epsilon, space.states, space.integers.numpy(),
                space.scale,
            )  # fmt: skip
            for layer in self._loops[:-1]:
                products = self._product(space.integers, layer.reading)
                asking = products, space.scale, layer.reading.bias, starts
                kernels.attend(*asking, *asking, n_heads, space.integers.numpy(), space.scale)
                self._rest_of_layer(layer, space)
            last = self._loops[-1]
            assert last.asking is not None
            # a first token's row, and what rounding had left of it
            firsts = starts[:-1]
            first = self._workspace("first", np.arange(posts + 1))
            first.states[:] = space.states[firsts]
            asking_rows = torch.cat([space.integers[firsts], space.integers[starts[-1] :]])
            kernels.attend(
                self._product(asking_rows, last.asking), space.scale[firsts], last.asking.bias,
                first.starts, self._product(space.integers, last.reading), space.scale,
                last.reading.bias, starts, n_heads, first.integers.numpy(), first.scale,
            )  # fmt: skip
            self._rest_of_layer(last, first)
            # (posts, 1, hidden) * (2, hidden), summed row by row: no matrix product
            product = torch.from_numpy(first.states)[:, None] * self._model.head_weight
            return product.sum(-1) + self._model.head_bias

    def _workspace(self, name: str, starts: NDArray[np.int64]) -> _Workspace:
        n, posts = int(starts[-1]), len(starts) - 1
        hidden, intermediate = self._shape.hidden, self._shape.intermediate

        def floats(what: str, *shape: int) -> Floats:
            return self._buffers.get(f"{name} {what}", *shape).numpy()

        def integers(what: str, width: int) -> Tensor:
            return self._buffers.get(f"{name} {what}", n + posts, width, dtype=torch.int8)

        space = _Workspace(
            starts=starts,
            states=floats("states", n, hidden),
            integers=integers("integers", hidden),
            scale=floats("scale", n),
            middle=floats("middle", n, hidden),
            wide=integers("wide", intermediate),
            wide_scale=floats("wide scale", n),
            wide_offset=floats("wide offset", n),
            no_offset=floats("no offset", n),
        )
        space.no_offset[:] = 0
        return space

    def _product(self, rows: Tensor, linear: _Linear) -> Floats:
        return self._products(rows, linear.quantised).numpy()

    def _rest_of_layer(self, layer: _Loops, space: _Workspace) -> None:
        """What follows attention, from the space's integers and scale into them and its states,
        which are what the layer read."""

        def finish(
            linear: _Linear, rows: Tensor, scale: Floats, offset: Floats, before: Floats,
            norm: _Norm, states: Floats,
        ) -> None:  # fmt: skip
            kernels.add_and_norm(
                self._product(rows, linear), scale, offset, linear.column_sums, linear.bias,
                before, *norm, self._epsilon, space.starts, states, space.integers.numpy(),
                space.scale,
            )  # fmt: skip

        finish(
            layer.attended, space.integers, space.scale, space.no_offset, space.states,
            layer.first_norm, space.middle,
        )  # fmt: skip
        kernels.widen(
            self._product(space.integers, layer.up), space.scale, layer.up.bias, space.starts,
            space.wide.numpy(), space.wide_scale, space.wide_offset,
        )  # fmt: skip
        finish(
            layer.down, space.wide, space.wide_scale, space.wide_offset, space.middle,
            layer.second_norm, space.states,
        )  # fmt: skip


def _linear(linear: object) -> _Linear:
    assert isinstance(linear, _QuantisedMap)
    return _Linear(linear, linear.bias.contiguous().numpy(), linear.column_sums.numpy())
