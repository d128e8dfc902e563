"""Each compiled loop beside PyTorch's steps, and what happens where there is none."""

from __future__ import annotations

import builtins
import sys
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from detectors import kernels, runtime
from detectors.fused import FusedInt8Engine, fits
from detectors.runtime import Int8Engine, int8_engine
from tests.unit.detectors.test_runtime import MODEL, SHAPE

HIDDEN, HEADS = 64, 4
rng = np.random.default_rng(5)
EPSILON = np.float32(1e-12)


def normal(*shape: int, scale: float = 1.0) -> np.ndarray:
    return (rng.standard_normal(shape) * scale).astype(np.float32)


def starts_of(*counts: int) -> np.ndarray:
    """Where posts of so many tokens begin, laid end to end, and where the last ends."""
    return np.cumsum([0, *counts])


def empty(starts: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Integers and their scale, to be filled."""
    n, posts = int(starts[-1]), len(starts) - 1
    return np.empty((n + posts, width), np.int8), np.empty(n, np.float32)


def read_back(
    integers: np.ndarray, scale: np.ndarray, starts: np.ndarray, offset: Any = 0
) -> np.ndarray:
    """What the integers stand for, rests of the first tokens included."""
    n = len(scale)
    whole = integers[:n].astype(np.float64)
    whole[starts[:-1]] += integers[n:] / runtime.REST
    found: np.ndarray = (whole + offset) * scale[:, None]
    return found


def with_rests(whole: np.ndarray, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Products with the rests of first tokens below, and what they stand for together."""
    products = np.concatenate([whole, normal(len(starts) - 1, whole.shape[1], scale=30)])
    together = whole.copy()
    together[starts[:-1]] += products[len(whole) :] / runtime.REST
    return products, together


def near(found: np.ndarray, expected: np.ndarray, scale: np.ndarray, starts: np.ndarray) -> bool:
    """Within half a step, and first tokens within half a step of their rests'."""
    error = np.abs(found - expected) / scale[:, None]
    return bool(error.max() < 0.501 and error[starts[:-1]].max() < 0.003)


def test_they_have_the_numbers_of_the_engine() -> None:
    assert float(kernels._REST) == runtime.REST
    assert kernels._ROUNDS == runtime._ROUNDS
    assert np.float32(runtime._GELU_FLOOR) == kernels._GELU_FLOOR
    assert np.float32(runtime._LEAST) == kernels._LEAST


def test_embed_is_a_layer_norm_of_the_sum() -> None:
    words, positions = normal(50, HIDDEN), normal(9, HIDDEN)
    gain, shift = normal(HIDDEN), normal(HIDDEN)
    ids, counts = rng.integers(0, 50, (3, 8)), (7, 2, 5)
    starts = starts_of(*counts)
    states = np.empty((14, HIDDEN), np.float32)
    integers, scale = empty(starts, HIDDEN)
    kernels.embed(ids, starts, words, positions, gain, shift, EPSILON, states, integers, scale)
    summed = np.concatenate(
        [words[own[:count]] + positions[:count] for own, count in zip(ids, counts, strict=True)]
    )
    expected = F.layer_norm(
        torch.from_numpy(summed), (HIDDEN,), torch.from_numpy(gain), torch.from_numpy(shift), 1e-12
    ).numpy()
    assert states == pytest.approx(expected, abs=1e-5)
    assert near(read_back(integers, scale, starts), expected, scale, starts)


@pytest.mark.parametrize("tokens", [2, 4, 22, 34])
@pytest.mark.parametrize("first_only", [False, True])
def test_attend_is_attention_within_each_post(tokens: int, first_only: bool) -> None:
    width = HIDDEN // HEADS
    starts = starts_of(tokens, 1, max(1, tokens - 3), 17)
    n, posts = int(starts[-1]), len(starts) - 1
    scale, bias = normal(n) ** 2 + 0.5, normal(3 * HIDDEN)
    products, together = with_rests(normal(n, 3 * HIDDEN), starts)
    mapped = torch.from_numpy(together * scale[:, None] + bias)
    expected = []
    for first, end in pairwise(starts.tolist()):
        query, key, value = mapped[first:end].view(-1, 3, HEADS, width).permute(1, 2, 0, 3)
        query = query[:, :1] if first_only else query
        attended = F.scaled_dot_product_attention(query, key, value, scale=1.0)
        expected.append(attended.transpose(0, 1).reshape(-1, HIDDEN))
    if first_only:
        asking_starts = np.arange(posts + 1)
        apart = np.ascontiguousarray(products[[*starts[:-1], *range(n, n + posts)], :HIDDEN])
        asked = apart, scale[starts[:-1]], bias[:HIDDEN].copy(), asking_starts
        rest = np.ascontiguousarray(products[:, HIDDEN:]), scale, bias[HIDDEN:].copy(), starts
    else:
        asking_starts = starts
        asked = rest = products, scale, bias, starts
    integers, scale_out = empty(asking_starts, HIDDEN)
    kernels.attend(*asked, *rest, HEADS, integers, scale_out)
    found = read_back(integers, scale_out, asking_starts)
    error = np.abs(found - torch.cat(expected).numpy()) / scale_out[:, None]
    assert error.max() < 0.51
    assert error[asking_starts[:-1]].max() < 0.01


@pytest.mark.parametrize("score", [-3e4, 3e4])
def test_attend_bears_scores_of_any_size(score: float) -> None:
    products = normal(5, 3 * HIDDEN)
    products[:, :HIDDEN], products[:, HIDDEN : 2 * HIDDEN] = 1, score / 16
    products[4] = 0
    products[0, HIDDEN : 2 * HIDDEN] *= 0.5  # as far below the others, or above
    starts = starts_of(4)
    asked = products, np.ones(4, np.float32), np.zeros(3 * HIDDEN, np.float32), starts
    integers, scale = empty(starts, HIDDEN)
    attended = products[[1, 2, 3] if score > 0 else [0], 2 * HIDDEN :].mean(0)
    kernels.attend(*asked, *asked, HEADS, integers, scale)
    found = read_back(integers, scale, starts)
    assert found == pytest.approx(np.tile(attended, (4, 1)), abs=0.03)


def test_add_and_norm_ends_a_half() -> None:
    starts = starts_of(4, 7, 1)
    n = int(starts[-1])
    products, together = with_rests(normal(n, HIDDEN), starts)
    scale, offset = normal(n) ** 2 + 0.1, normal(n, scale=9)
    sums, bias, level = normal(HIDDEN), normal(HIDDEN), normal(HIDDEN)
    before, gain, shift = normal(n, HIDDEN), normal(HIDDEN), normal(HIDDEN)
    states = np.empty((n, HIDDEN), np.float32)
    integers, scale_out = empty(starts, HIDDEN)
    kernels.add_and_norm(
        products, scale, offset, sums, bias, before, level, gain, shift, EPSILON, starts, states,
        integers, scale_out,
    )  # fmt: skip
    x = (together + offset[:, None] * sums) * scale[:, None] + bias + before * level
    expected = F.layer_norm(
        torch.from_numpy(x), (HIDDEN,), torch.from_numpy(gain), torch.from_numpy(shift), 1e-12
    ).numpy()
    assert states == pytest.approx(expected, abs=1e-4)
    assert near(read_back(integers, scale_out, starts), expected, scale_out, starts)


def test_widen_is_gelu_from_its_floor_on() -> None:
    starts, width = starts_of(3, 5, 1), 128
    n = int(starts[-1])
    products, together = with_rests(normal(n, width), starts)
    products[5] = -1e4  # GELU of all is 0
    together[5] = -1e4
    scale, bias = normal(n) ** 2 * 4 + 0.1, normal(width)
    integers, scale_out = empty(starts, width)
    offset = np.empty(n, np.float32)
    kernels.widen(products, scale, bias, starts, integers, scale_out, offset)
    expected = F.gelu(torch.from_numpy(together * scale[:, None] + bias)).numpy()
    found = read_back(integers, scale_out, starts, offset[:, None])
    assert near(found, expected, scale_out, starts)
    assert integers[:n].max() > 120  # all the integers are used
    assert integers[:n].min() < -110


def test_gelu_is_near_the_exact_one_wherever() -> None:
    x = np.linspace(-9, 9, 16 * 200, dtype=np.float32).reshape(200, 16)
    scale, bias = np.ones(200, np.float32), np.zeros(16, np.float32)
    starts = np.arange(201)
    integers, scale_out = empty(starts, 16)
    offset = np.empty(200, np.float32)
    products = np.concatenate([x, np.zeros_like(x)])
    kernels.widen(products, scale, bias, starts, integers, scale_out, offset)
    found = read_back(integers, scale_out, starts, offset[:, None])
    expected = F.gelu(torch.from_numpy(x)).numpy()
    assert np.abs(found - expected).max() < 1e-4  # half a step of the rests of the farthest rows


def test_an_encoder_of_other_widths_or_without_numba_takes_plain_int8(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert fits(SHAPE)
    assert not fits(SHAPE._replace(hidden=48))
    assert not fits(SHAPE._replace(intermediate=100))
    assert type(int8_engine(MODEL)) is FusedInt8Engine

    def broken(*args: object) -> None:
        raise RuntimeError("cannot cache function: no locator available")

    with monkeypatch.context() as changed:
        changed.setattr(kernels, "embed", broken)
        assert type(int8_engine(MODEL)) is Int8Engine
    real = builtins.__import__

    def without_it(name: str, *rest: Any, **more: Any) -> Any:
        if name == "numba":
            raise ModuleNotFoundError("No module named 'numba'", name=name)
        return real(name, *rest, **more)

    for name in ("detectors.fused", "detectors.kernels"):
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr("detectors.kernels", raising=False)
    monkeypatch.setattr(builtins, "__import__", without_it)
    assert type(int8_engine(MODEL)).__name__ == "Int8Engine"


def test_both_kinds_of_int8_have_names_of_their_own() -> None:
    assert (Int8Engine.name, FusedInt8Engine.name) == ("int8", "int8-fused")
