"""Each way to multiply 8-bit integers beside numpy's exact sums."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from detectors import int8_products, kernels
from detectors.fused import LOOP, fastest_way
from detectors.int8_products import FLOATS, PACKED, packed_is_exact, way_of_torch

#: What this machine has of them.
WAYS = {"floats": FLOATS}
if kernels.MULTIPLIES:
    WAYS["loop"] = LOOP
if packed_is_exact():
    WAYS["packed"] = PACKED


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("n", [1, 5, 6, 95, 96, 97, 200])
@pytest.mark.parametrize(("n_in", "n_out"), [(32, 16), (1024, 48), (1056, 32), (3072, 48)])
def test_sums_are_exact_and_rounded_once(way: str, n: int, n_in: int, n_out: int) -> None:
    rng = np.random.default_rng(n_in)
    integers = rng.integers(-128, 128, (n, n_in)).astype(np.int8)
    weight = rng.integers(-127, 128, (n_in, n_out)).astype(np.int8)
    integers[0], weight[:, 1], weight[:, 2] = -128, -127, 127  # the greatest sums
    scale = rng.random(n_out).astype(np.float32)
    lay_out, multiply = WAYS[way]
    laid_out = lay_out(torch.from_numpy(weight))
    found = multiply(torch.from_numpy(integers), laid_out, torch.from_numpy(scale))
    exact = (integers.astype(np.int64) @ weight.astype(np.int64)).astype(np.float32)
    assert np.array_equal(found.numpy(), exact * scale)


@pytest.mark.skipif(not kernels.MULTIPLIES, reason="needs an accelerator: AVX2")
@pytest.mark.parametrize("n", [1, 95])
def test_the_loop_writes_nothing_below(n: int) -> None:
    rows, weight = np.ones((n, 32), np.int8), np.ones((32, 16), np.int8)
    products = np.full((n + 6, 16), np.nan, np.float32)
    kernels.multiply(rows, kernels.lay_out(weight), np.ones(16, np.float32), products[:n])
    assert (products[:n] == 32).all() and np.isnan(products[n:]).all()


def test_packed_products_that_saturate_or_are_not_there_are_not_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def saturating(rows: torch.Tensor, packed: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        return torch.full((len(rows), len(scale)), 32767.0) * scale

    def missing(rows: torch.Tensor, packed: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        raise AttributeError("qlinear_pointwise")

    for broken in (saturating, missing):
        monkeypatch.setattr(int8_products, "multiply_packed", broken)
        assert not packed_is_exact.__wrapped__()


def test_the_fastest_is_taken() -> None:
    if packed_is_exact():
        assert fastest_way() == way_of_torch() == PACKED
    else:
        assert way_of_torch() == FLOATS
        assert fastest_way() == (LOOP if kernels.MULTIPLIES else FLOATS)
