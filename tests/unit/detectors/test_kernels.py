"""Each compiled loop beside PyTorch's steps, and what happens where there is none."""

from __future__ import annotations

import builtins
import sys
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


def empty(n: int, stride: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Integers and their scale, to be filled."""
    return np.empty((n + n // stride, width), np.int8), np.empty(n, np.float32)


def read_back(integers: np.ndarray, scale: np.ndarray, stride: int, offset: Any = 0) -> np.ndarray:
    """What the integers stand for, rests of the first tokens included."""
    n = len(scale)
    whole = integers[:n].astype(np.float64)
    whole[::stride] += integers[n:] / runtime.REST
    found: np.ndarray = (whole + offset) * scale[:, None]
    return found


def with_rests(whole: np.ndarray, stride: int) -> tuple[np.ndarray, np.ndarray]:
    """Products with the rests of first tokens below, and what they stand for together."""
    products = np.concatenate([whole, normal(len(whole) // stride, whole.shape[1], scale=30)])
    together = whole.copy()
    together[::stride] += products[len(whole) :] / runtime.REST
    return products, together


def near(found: np.ndarray, expected: np.ndarray, scale: np.ndarray, stride: int) -> bool:
    """Within half a step, and first tokens within half a step of their rests'."""
    error = np.abs(found - expected) / scale[:, None]
    return bool(error.max() < 0.501 and error[::stride].max() < 0.003)


def test_they_have_the_numbers_of_the_engine() -> None:
    assert float(kernels._REST) == runtime.REST
    assert kernels._ROUNDS == runtime._ROUNDS
    assert np.float32(runtime._GELU_FLOOR) == kernels._GELU_FLOOR
    assert np.float32(runtime._LEAST) == kernels._LEAST


def test_embed_is_a_layer_norm_of_the_sum() -> None:
    words, positions = normal(50, HIDDEN), normal(9, HIDDEN)
    gain, shift = normal(HIDDEN), normal(HIDDEN)
    ids = rng.integers(0, 50, (3, 7))
    states = np.empty((21, HIDDEN), np.float32)
    integers, scale = empty(21, 7, HIDDEN)
    kernels.embed(ids, words, positions, gain, shift, EPSILON, states, integers, scale)
    summed = torch.from_numpy((words[ids] + positions[:7]).reshape(21, HIDDEN))
    expected = F.layer_norm(
        summed, (HIDDEN,), torch.from_numpy(gain), torch.from_numpy(shift), 1e-12
    ).numpy()
    assert states == pytest.approx(expected, abs=1e-5)
    assert near(read_back(integers, scale, 7), expected, scale, 7)


@pytest.mark.parametrize("tokens", [2, 4, 22, 34])
@pytest.mark.parametrize("first_only", [False, True])
def test_attend_is_attention_to_the_tokens_that_are_there(tokens: int, first_only: bool) -> None:
    posts, width = 3, HIDDEN // HEADS
    counts = np.array([tokens, 1, max(1, tokens - 3)])
    n, asking = posts * tokens, 1 if first_only else tokens
    scale, bias = normal(n) ** 2 + 0.5, normal(3 * HIDDEN)
    products, together = with_rests(normal(n, 3 * HIDDEN), tokens)
    mapped = torch.from_numpy(together * scale[:, None] + bias).view(posts, tokens, 3, HEADS, width)
    query, key, value = mapped.permute(2, 0, 3, 1, 4)
    there = torch.arange(tokens) < torch.from_numpy(counts)[:, None]
    expected = F.scaled_dot_product_attention(
        query[:, :, :asking], key, value, attn_mask=there[:, None, None], scale=1.0
    )
    expected = expected.transpose(1, 2).reshape(posts, asking, HIDDEN)
    integers, scale_out = empty(posts * asking, asking, HIDDEN)
    if first_only:
        rows = [*range(0, n, tokens), *range(n, n + posts)]
        apart = np.ascontiguousarray(products[rows, :HIDDEN])
        asked = apart, scale[::tokens].copy(), bias[:HIDDEN].copy()
        rest = np.ascontiguousarray(products[:, HIDDEN:]), scale, bias[HIDDEN:].copy()
    else:
        asked = rest = products, scale, bias
    kernels.attend(*asked, *rest, counts, HEADS, asking, integers, scale_out)
    found = read_back(integers, scale_out, asking).reshape(posts, asking, HIDDEN)
    steps = scale_out.reshape(posts, asking, 1)
    for post, count in enumerate(counts.tolist()):  # what padding asks is never read
        error = np.abs(found - expected.numpy())[post, :count] / steps[post, :count]
        assert error.max() < 0.51
        assert error[0].max() < 0.01


@pytest.mark.parametrize("score", [-3e4, 3e4])
def test_attend_bears_scores_of_any_size(score: float) -> None:
    products = normal(5, 3 * HIDDEN)
    products[:, :HIDDEN], products[:, HIDDEN : 2 * HIDDEN] = 1, score / 16
    products[4] = 0
    products[0, HIDDEN : 2 * HIDDEN] *= 0.5  # as far below the others, or above
    ones, none = np.ones(4, np.float32), np.zeros(3 * HIDDEN, np.float32)
    integers, scale = empty(4, 4, HIDDEN)
    attended = products[[1, 2, 3] if score > 0 else [0], 2 * HIDDEN :].mean(0)
    kernels.attend(
        products, ones, none, products, ones, none, np.array([4]), HEADS, 4, integers, scale
    )
    assert read_back(integers, scale, 4) == pytest.approx(np.tile(attended, (4, 1)), abs=0.03)


def test_add_and_norm_ends_a_half() -> None:
    n, stride = 12, 4
    products, together = with_rests(normal(n, HIDDEN), stride)
    scale, offset = normal(n) ** 2 + 0.1, normal(n, scale=9)
    sums, bias, level = normal(HIDDEN), normal(HIDDEN), normal(HIDDEN)
    before, gain, shift = normal(n, HIDDEN), normal(HIDDEN), normal(HIDDEN)
    states = np.empty((n, HIDDEN), np.float32)
    integers, scale_out = empty(n, stride, HIDDEN)
    kernels.add_and_norm(
        products, scale, offset, sums, bias, before, level, gain, shift, EPSILON, stride, states,
        integers, scale_out,
    )  # fmt: skip
    x = (together + offset[:, None] * sums) * scale[:, None] + bias + before * level
    expected = F.layer_norm(
        torch.from_numpy(x), (HIDDEN,), torch.from_numpy(gain), torch.from_numpy(shift), 1e-12
    ).numpy()
    assert states == pytest.approx(expected, abs=1e-4)
    assert near(read_back(integers, scale_out, stride), expected, scale_out, stride)


def test_widen_is_gelu_from_its_floor_on() -> None:
    n, stride, width = 9, 3, 128
    products, together = with_rests(normal(n, width), stride)
    products[5] = -1e4  # GELU of all is 0
    together[5] = -1e4
    scale, bias = normal(n) ** 2 * 4 + 0.1, normal(width)
    integers, scale_out = empty(n, stride, width)
    offset = np.empty(n, np.float32)
    kernels.widen(products, scale, bias, stride, integers, scale_out, offset)
    expected = F.gelu(torch.from_numpy(together * scale[:, None] + bias)).numpy()
    found = read_back(integers, scale_out, stride, offset[:, None])
    assert near(found, expected, scale_out, stride)
    assert integers[:n].max() > 120  # all the integers are used
    assert integers[:n].min() < -110


def test_gelu_is_near_the_exact_one_wherever() -> None:
    x = np.linspace(-9, 9, 16 * 200, dtype=np.float32).reshape(200, 16)
    scale, bias = np.ones(200, np.float32), np.zeros(16, np.float32)
    integers, scale_out = empty(200, 1, 16)
    offset = np.empty(200, np.float32)
    products = np.concatenate([x, np.zeros_like(x)])
    kernels.widen(products, scale, bias, 1, integers, scale_out, offset)
    found = read_back(integers, scale_out, 1, offset[:, None])
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
