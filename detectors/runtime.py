"""Engines: the same encoder computed in different ways, each with the same bits for a post whatever
its neighbours are.

    fp32        float32 on the CPU: one fixed shape per length, since a float32 matrix product
                may round a row differently in a matrix of another size
    int8        8-bit integers on the CPU: products of matrices are exact sums of integers, all else
                works row by row, so batches may have any number of posts
    cuda-bf16   bfloat16 on an NVIDIA GPU, one fixed shape per length

A matrix product in int8 (x, w float32; q integers in -127..127; i row, j output channel):

    q_x = round(127 x / max_k |x_ik|)    one scale per row, so no row sees another
    q_w = round(127 w / max_k |w_jk|)    one scale per output channel, once
    y_ij = (sum_k q_x_ik q_w_jk) s_i s_j + b_j,   s = max / 127

What only the first token needs is computed for the first token: the last layer's queries and all
that follows them. Query, key and value are one product.

The first token is what the head reads, and an error in it stays. So its rows are taken twice: as
above, and what rounding left of them once more in 8 bits, as rows of their own below the others.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from math import prod, sqrt
from threading import local
from types import MappingProxyType
from typing import NamedTuple, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from detectors.batching import Batch, Grid, Mixed, plan_batches
from detectors.detector import DetectorUnusable
from detectors.encoder import Encoder, cls_states, embed, linear_name
from detectors.int8_products import Way, way_of_torch

log = logging.getLogger(__name__)

#: A row of zeros has no largest value; this stands for it.
_LEAST = 1e-20
#: Added to a float32 of at most 2^22, it leaves the nearest integer in the lowest bits (ties to
#: even): 1.5 * 2^23.
_ROUNDS = 12582912.0
#: What rounding leaves is at most one half; so many steps of it make one.
REST = 254
#: GELU is never less than this.
_GELU_FLOOR = -0.17


#: (layer, linear map) -> a number for each channel of the map's input, float32 (n_in,)
PerMap = Mapping[tuple[int, str], Tensor]


class Model(NamedTuple):
    """An encoder whose adapter is merged, and its head: logits = state @ weight.T + bias.

    head_weight: (2, hidden), head_bias: (2,), float32, in the order of LABELS.
    reaches: how far the inputs of some maps reach, which only int8 wants to know:
    (layer, "query" | "attended" | "up") -> float32 (n_in,), all > 0; see `levelled`.
    """

    encoder: Encoder
    head_weight: Tensor
    head_bias: Tensor
    reaches: PerMap = MappingProxyType({})


class Engine(Protocol):
    """Computes logits. The logits of a row depend on its ids and n_tokens alone."""

    @property
    def name(self) -> str:
        """As in `--engine NAME`; part of a detector's version."""

    @property
    def grid(self) -> Grid | Mixed:
        """The shapes it wants."""

    def logits(self, ids: Tensor, counts: Tensor) -> Tensor:
        """ids: int64 (rows, tokens), padded with anything. counts: int64 (rows,), tokens of each.
        Returns float32 (rows, 2) on the CPU, in the order of LABELS."""


class EngineUnavailable(DetectorUnusable):
    """No engine has this name, or this machine cannot run it."""


def fill(batch: Batch, ids: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """The ids and counts of a planned batch; rows without a post repeat token 0."""
    table = np.zeros((batch.n_rows, batch.n_tokens), dtype=np.int64)
    counts = np.ones(batch.n_rows, dtype=np.int64)
    for row, index in enumerate(batch.indices):
        own = ids[index]
        table[row, : len(own)] = own
        counts[row] = len(own)
    return torch.from_numpy(table), torch.from_numpy(counts)


class _Map(NamedTuple):
    """A linear map as float32: weight (n_in, n_out), bias (n_out,)."""

    weight: Tensor
    bias: Tensor


class _QuantisedMap(NamedTuple):
    """The same with integers: scale and bias float32 (n_out,).

    weight: the integers, as the engine's `Way` laid them out. column_sums: of the integers, times
    their scale, float32 (n_out,).
    """

    weight: Tensor
    scale: Tensor
    bias: Tensor
    column_sums: Tensor


class _QuantisedRows(NamedTuple):
    """Rows of integers: x = (integers + offset + rest / REST) * scale.

    integers: int8 (n + n_first, n_in), the rests of the first tokens' rows below all rows; other
    rows have none. stride: every how many rows there is a first token. scale, offset: float32
    (n, 1); offset None is 0.
    """

    integers: Tensor
    scale: Tensor
    offset: Tensor | None
    stride: int


class _Buffers(local):
    """Memory that a thread uses again for each batch, by name; grows to the largest asked for."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, torch.dtype], Tensor] = {}

    def get(self, name: str, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """A tensor of that shape whose values are whatever was there."""
        size = prod(shape)
        held = self._held.get((name, dtype))
        if held is None or held.numel() < size:
            held = self._held[name, dtype] = torch.empty(size, dtype=dtype)
        return held[:size].view(shape)


class _Layer(NamedTuple):
    """A layer's maps, as the engine wants them, and its two layer norms (scale, shift).

    levels: what the inputs of the layer and of its second half were divided by, if anything.
    """

    query: object
    key_value: object
    query_key_value: object
    attended: object
    up: object
    down: object
    first_norm: tuple[Tensor, Tensor]
    second_norm: tuple[Tensor, Tensor]
    levels: tuple[Tensor | None, Tensor | None]


class _CpuEngine:
    """What fp32 and int8 share: a layer over the tokens of a batch laid end to end.

    Several threads may use it at once, each with a batch and with memory of its own.
    """

    name: str
    grid: Grid | Mixed

    def __init__(self, model: Model, levels: PerMap = MappingProxyType({})) -> None:
        """levels: what `levelled` has divided the model's states by."""
        shape = model.encoder.shape
        self._model = model
        self._levels = levels
        self._shape = shape
        self._buffers = _Buffers()
        self._layers = [self._layer(i) for i in range(shape.n_layers)]

    # What differs

    def _prepared(self, weight: Tensor, bias: Tensor) -> object:
        """weight: (n_out, n_in), as in checkpoints."""
        raise NotImplementedError

    def _read(self, x: Tensor, stride: int, floor: float | None = None) -> object:
        """Rows as the maps want them. stride: every how many rows there is a first token. floor: a
        negative number that no x is below."""
        raise NotImplementedError

    def _apply(self, linear: object, rows: object, out: Tensor) -> Tensor:
        raise NotImplementedError

    # What does not

    def _layer(self, layer: int) -> _Layer:
        w, levels = self._model.encoder.weights, self._levels

        def pair(name: str) -> tuple[Tensor, Tensor]:
            full = linear_name(layer, name)
            return w[f"{full}.weight"], w[f"{full}.bias"]

        def norm(name: str) -> tuple[Tensor, Tensor]:
            full = f"encoder.layer.{layer}.{name}.LayerNorm"
            return w[f"{full}.weight"], w[f"{full}.bias"]

        query, key, value = pair("query"), pair("key"), pair("value")
        # the division by the root of the width of a head, done once here
        narrow = 1 / sqrt(self._shape.hidden // self._shape.n_heads)
        query = (query[0] * narrow, query[1] * narrow)

        def merged(*maps: tuple[Tensor, Tensor]) -> object:
            return self._prepared(
                torch.cat([weight for weight, _ in maps]), torch.cat([bias for _, bias in maps])
            )

        is_last = layer == self._shape.n_layers - 1
        return _Layer(
            query=merged(query) if is_last else None,
            key_value=merged(key, value) if is_last else None,
            query_key_value=None if is_last else merged(query, key, value),
            attended=merged(pair("attended")),
            up=merged(pair("up")),
            down=merged(pair("down")),
            first_norm=norm("attention.output"),
            second_norm=norm("output"),
            levels=(levels.get((layer, "query")), levels.get((layer, "up"))),
        )

    def logits(self, ids: Tensor, counts: Tensor) -> Tensor:
        """See Engine."""
        rows, tokens = ids.shape
        with torch.inference_mode():
            x = embed(self._model.encoder, ids).view(rows * tokens, -1)
            mask = None
            if int(counts.min()) < tokens:
                hidden = torch.arange(tokens) >= counts[:, None]
                mask = torch.zeros(rows, 1, 1, tokens).masked_fill_(
                    hidden[:, None, None], float("-inf")
                )
            for layer in self._layers[:-1]:
                x = self._whole_layer(layer, x, rows, tokens, mask)
            x = self._first_token_layer(self._layers[-1], x, rows, tokens, mask)
            # (rows, 1, hidden) * (2, hidden), summed row by row: no matrix product
            product = x[:, None] * self._model.head_weight
            return product.sum(-1) + self._model.head_bias

    def _whole_layer(
        self, layer: _Layer, x: Tensor, rows: int, tokens: int, mask: Tensor | None
    ) -> Tensor:
        n, hidden = x.shape
        heads = self._shape.n_heads
        get = self._buffers.get
        merged = self._apply(
            layer.query_key_value, self._read(x, tokens), get("wide", n, 3 * hidden)
        )
        # (tokens, 3 hidden) -> (3, rows, heads, tokens, width)
        apart = get("apart", 3, rows, heads, tokens, hidden // heads)
        apart.copy_(merged.view(rows, tokens, 3, heads, -1).permute(2, 0, 3, 1, 4))
        query, key, value = apart.flatten(1, 2)
        attended = self._attend(query, key, value, mask, rows)
        together = get("together", rows, tokens, heads, hidden // heads)
        together.copy_(attended.view(rows, heads, tokens, -1).transpose(1, 2))
        return self._after_attention(layer, x, together.view(n, hidden), tokens)

    def _first_token_layer(
        self, layer: _Layer, x: Tensor, rows: int, tokens: int, mask: Tensor | None
    ) -> Tensor:
        """Returns (rows, hidden): all that the head reads."""
        n, hidden = x.shape
        heads = self._shape.n_heads
        get = self._buffers.get
        merged = self._apply(layer.key_value, self._read(x, tokens), get("wide", n, 2 * hidden))
        apart = get("apart", 2, rows, heads, tokens, hidden // heads)
        apart.copy_(merged.view(rows, tokens, 2, heads, -1).permute(2, 0, 3, 1, 4))
        key, value = apart.flatten(1, 2)
        first = x.view(rows, tokens, hidden)[:, 0].contiguous()
        query = self._apply(layer.query, self._read(first, 1), get("query", rows, hidden))
        attended = self._attend(query.view(rows * heads, 1, -1), key, value, mask, rows)
        return self._after_attention(layer, first, attended.view(rows, hidden), 1)

    def _attend(
        self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, rows: int
    ) -> Tensor:
        """softmax(query key^T) value. All (rows * heads, tokens, width); query is scaled."""
        n, asking, width = query.shape
        weights = torch.bmm(
            query, key.transpose(1, 2), out=self._buffers.get("weights", n, asking, key.shape[1])
        )
        if mask is not None:
            weights.view(rows, -1, asking, key.shape[1]).add_(mask)
        torch.softmax(weights, -1, out=weights)
        return torch.bmm(weights, value, out=self._buffers.get("attended", n, asking, width))

    def _after_attention(self, layer: _Layer, x: Tensor, attended: Tensor, stride: int) -> Tensor:
        n, hidden = x.shape
        get = self._buffers.get
        middle = self._apply(layer.attended, self._read(attended, stride), get("narrow", n, hidden))
        middle = self._norm(_add(middle, x, layer.levels[0]), layer.first_norm)
        rows = self._read(middle, stride)
        wide = self._apply(layer.up, rows, get("wide", n, self._shape.intermediate))
        torch.ops.aten.gelu.out(wide, out=wide)
        rows = self._read(wide, stride, floor=_GELU_FLOOR)
        result = self._apply(layer.down, rows, get("narrow", n, hidden))
        return self._norm(_add(result, middle, layer.levels[1]), layer.second_norm)

    def _norm(self, x: Tensor, norm: tuple[Tensor, Tensor]) -> Tensor:
        return F.layer_norm(x, (self._shape.hidden,), *norm, self._shape.epsilon)


def _add(x: Tensor, residual: Tensor, level: Tensor | None) -> Tensor:
    """x += residual, which was divided by its level."""
    return x.add_(residual) if level is None else x.addcmul_(residual, level)


class Fp32Engine(_CpuEngine):
    """float32: the reference on the CPU."""

    name = "fp32"
    # Always four posts of one length: matrices of a multiple of 64 rows. Larger batches are hardly
    # faster, and a post alone costs as much as four.
    grid = Grid(tokens=16, rows=4, max_rows=4, max_tokens=1)

    def _prepared(self, weight: Tensor, bias: Tensor) -> object:
        return _Map(weight.t().contiguous(), bias)

    def _read(self, x: Tensor, stride: int, floor: float | None = None) -> object:
        return x

    def _apply(self, linear: object, rows: object, out: Tensor) -> Tensor:
        assert isinstance(linear, _Map) and isinstance(rows, Tensor)
        return torch.addmm(linear.bias, rows, linear.weight, out=out)


class Int8Engine(_CpuEngine):
    """int8: see the module. About four times as fast as fp32 where the CPU has instructions for
    it (AVX-512 VNNI); elsewhere about as fast, and the same bits, by products of floats."""

    name = "int8"
    # A matrix of tokens x tokens float32 that begins at a multiple of 64 bytes is followed by one
    # that does too when tokens is a multiple of 4: so attention computes every row alike.
    grid: Grid | Mixed = Grid(tokens=4, rows=1, max_rows=128, max_tokens=1024)

    def __init__(self, model: Model, way: Way | None = None) -> None:
        """way: how integers are multiplied; default: as PyTorch does it fastest."""
        self._way = way or way_of_torch()
        super().__init__(*levelled(model))
        # for each channel, though all are the same: PyTorch's loops over a row are faster so
        self._rounding = torch.full(
            (max(model.encoder.shape.intermediate, model.encoder.shape.hidden),), _ROUNDS
        )

    def _prepared(self, weight: Tensor, bias: Tensor) -> object:
        scale = weight.abs().amax(1).clamp_(min=_LEAST) / 127
        integers = torch.round(weight / scale[:, None]).to(torch.int8).t().contiguous()
        sums = integers.sum(0, dtype=torch.int32).float() * scale
        return _QuantisedMap(self._way.lay_out(integers), scale, bias, sums)

    def _read(self, x: Tensor, stride: int, floor: float | None = None) -> object:
        return self.quantised(x, stride, floor)

    def quantised(self, x: Tensor, stride: int, floor: float | None = None) -> _QuantisedRows:
        """Each row on its own scale; with a floor, from there to its greatest value, so that
        numbers which are hardly ever negative use all the integers. The integers are in a
        buffer."""
        n, width = x.shape
        reach = x.amax(1, keepdim=True)
        offset = None
        if floor is None:
            reach = torch.maximum(reach, -x.amin(1, keepdim=True)).clamp_(min=_LEAST)
            steps = 127 / reach
        else:
            steps = 254 / reach.sub_(floor).clamp_(min=_LEAST)
            offset = 128 - torch.round(steps * -floor)
        shifted = self._buffers.get("shifted", n, width)
        torch.addcmul(self._rounding[:width], x, steps, out=shifted)
        # the lowest byte of the shifted number is that of the rounded integer
        integers = self._buffers.get("integers", n + n // stride, width, dtype=torch.int8)
        integers[:n].copy_(shifted.view(torch.int32))
        if offset is not None:
            # bytes wrap around, and are right in the end
            integers[:n].sub_(offset.to(torch.int32).to(torch.int8))
        self._rests(x, shifted, steps, stride, integers[n:])
        return _QuantisedRows(integers, steps.reciprocal_(), offset, stride)

    def _rests(self, x: Tensor, shifted: Tensor, steps: Tensor, stride: int, out: Tensor) -> None:
        """What rounding left of the first tokens' rows: int8, REST of them make one."""
        first = self._buffers.get("first", *out.shape)
        rest = torch.mul(x[::stride], steps[::stride], out=first)
        rest.sub_(shifted[::stride] - _ROUNDS).mul_(REST)
        out.copy_(rest.clamp_(-127, 127).round_())

    def _apply(self, linear: object, rows: object, out: Tensor) -> Tensor:
        assert isinstance(linear, _QuantisedMap) and isinstance(rows, _QuantisedRows)
        n = len(out)
        products = self._products(rows.integers, linear)
        found, rests = products[:n], products[n:]
        if rows.offset is not None:
            found.addcmul_(rows.offset, linear.column_sums)
        found[:: rows.stride].add_(rests, alpha=1 / REST)
        return torch.addcmul(linear.bias, found, rows.scale, out=out)

    def _products(self, integers: Tensor, linear: _QuantisedMap) -> Tensor:
        """Exact sums of integers, times the scale of their channel: new float32 (rows, n_out)."""
        return self._way.multiply(integers, linear.weight, linear.scale)


def levelled(model: Model) -> tuple[Model, PerMap]:
    """The same model, with weights moved so that 8 bits lose less, and the levels: how far.

    A few channels of an encoder's states reach much further than the others, and one scale per row
    must cover them. Dividing channel j of a map's input by l_j and multiplying the weights of that
    channel by it changes nothing but what has to be rounded. The division is free: it is put into
    the layer norm before, or into the value map whose output is attended to.

        l_j = sqrt(reach of channel j of the input / max_i |w_ij|), of mean 1

    Source: Xiao et al., "SmoothQuant", ICML 2023.
    """
    w = dict(model.encoder.weights)
    levels: dict[tuple[int, str], Tensor] = {}
    for (layer, linear), reach in model.reaches.items():
        names = [linear_name(layer, linear)]
        if linear == "query":
            names += [linear_name(layer, "key"), linear_name(layer, "value")]
        weights = torch.stack([w[f"{name}.weight"].abs().amax(0) for name in names]).amax(0)
        level = (reach / weights.clamp(min=_LEAST)).sqrt()
        level /= level.mean()
        for name in names:
            w[f"{name}.weight"] = w[f"{name}.weight"] * level
        if linear == "query":
            before = f"encoder.layer.{layer - 1}.output.LayerNorm"
            before = "embeddings.LayerNorm" if layer == 0 else before
        elif linear == "up":
            before = f"encoder.layer.{layer}.attention.output.LayerNorm"
        else:
            before = linear_name(layer, "value")
        for part in ("weight", "bias"):
            tensor = w[f"{before}.{part}"]
            w[f"{before}.{part}"] = tensor / (level if tensor.ndim == 1 else level[:, None])
        levels[layer, linear] = level
    return model._replace(encoder=model.encoder._replace(weights=w)), levels


class CudaEngine:
    """bfloat16 on an NVIDIA GPU: the reference computation, in batches of one shape per length."""

    name = "cuda-bf16"
    grid = Grid(tokens=16, rows=128, max_rows=128, max_tokens=1)

    def __init__(self, model: Model) -> None:
        moved = {
            key: tensor.to("cuda", torch.bfloat16) for key, tensor in model.encoder.weights.items()
        }
        self._encoder = model.encoder._replace(weights=moved)
        self._head_weight = model.head_weight.to("cuda")
        self._head_bias = model.head_bias.to("cuda")

    def logits(self, ids: Tensor, counts: Tensor) -> Tensor:
        """See Engine."""
        with torch.inference_mode():
            there = torch.arange(ids.shape[1]) < counts[:, None]
            mask = there[:, None, None].to("cuda", non_blocking=True)
            embedded = embed(self._encoder, ids.to("cuda", non_blocking=True))
            states = cls_states(self._encoder, embedded, mask).float()
            logits: Tensor = (states[:, None] * self._head_weight).sum(-1) + self._head_bias
            return logits.cpu()


def int8_engine(model: Model) -> Engine:
    """int8 as fast as it can be had here: `int8-fused`, or `int8` where no numba works (which is
    said) and for an encoder that its loops cannot compute. Their last bits differ, and so do their
    names."""
    try:
        from detectors.fused import FusedInt8Engine, fits

        if fits(model.encoder.shape):
            engine = FusedInt8Engine(model)
            # compiles what is not yet compiled
            engine.logits(torch.zeros(1, 4, dtype=torch.int64), torch.tensor([3]))
            return engine
    except Exception as error:  # numba and LLVM have a dozen kinds of errors of their own
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        log.warning(
            "int8 takes about twice as long here: its loops cannot be compiled (%s)", reason
        )
    return Int8Engine(model)


ENGINES: dict[str, Callable[[Model], Engine]] = {
    "fp32": Fp32Engine,
    "int8": int8_engine,
    "cuda-bf16": CudaEngine,
}


def engine_name(wanted: str = "auto") -> str:
    """The engine that is meant; auto: a GPU if there is one, else int8.

    Raises EngineUnavailable.
    """
    if wanted == "auto":
        return "cuda-bf16" if torch.cuda.is_available() else "int8"
    if wanted not in ENGINES:
        raise EngineUnavailable(
            f"no engine is called {wanted!r}; there are: auto, {', '.join(ENGINES)}"
        )
    if wanted == "cuda-bf16" and not torch.cuda.is_available():
        raise EngineUnavailable(
            "engine 'cuda-bf16' needs an NVIDIA GPU that PyTorch sees: take auto"
        )
    return wanted


class Running(NamedTuple):
    """Batches on their way: what `Runner.start` gave, for `Runner.finish`."""

    n_posts: int
    batches: list[tuple[Batch, Future[Tensor]]]


class Runner:
    """Plans batches and has threads compute them, one batch and one core each.

    Each thread computes alone: what several threads do to one matrix product could depend on their
    number, and for matrices as small as these it pays less.
    """

    def __init__(self, engine: Engine, n_threads: int | None = None) -> None:
        """n_threads: default as many as PyTorch would use, which follows OMP_NUM_THREADS and the
        cores that this process may run on."""
        self._engine = engine
        self._n_threads = n_threads or torch.get_num_threads()
        if engine.name == "cuda-bf16":
            self._n_threads = 1
        self._pool = ThreadPoolExecutor(
            self._n_threads, thread_name_prefix=f"bert-{engine.name}", initializer=_alone
        )

    def start(self, ids: Sequence[Sequence[int]]) -> Running:
        """Has the posts computed; returns at once. ids: the tokens of each post."""
        batches = plan_batches([len(own) for own in ids], self._engine.grid, self._n_threads)
        return Running(
            len(ids), [(batch, self._pool.submit(self._compute, batch, ids)) for batch in batches]
        )

    def finish(self, running: Running) -> list[tuple[float, float]]:
        """Waits; the two logits of each post, in order."""
        found: list[tuple[float, float]] = [(0.0, 0.0)] * running.n_posts
        for batch, future in running.batches:
            for index, (first, second) in zip(
                batch.indices, future.result().tolist(), strict=False
            ):
                found[index] = (first, second)
        return found

    def _compute(self, batch: Batch, ids: Sequence[Sequence[int]]) -> Tensor:
        return self._engine.logits(*fill(batch, ids))


def _alone() -> None:
    """In a thread of the pool: its kernels use this thread only.

    PyTorch's number of threads belongs to the thread that sets it, but is also what later threads
    begin with; that is put back.
    """
    usual = torch.get_num_threads()
    torch.set_num_threads(1)
    setter = ThreadPoolExecutor(1)
    setter.submit(torch.set_num_threads, usual).result()
    setter.shutdown()
