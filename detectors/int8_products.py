"""Products of matrices of 8-bit integers: exact sums, whichever way this machine has for them.

    y_ij = s_j sum_k q_ik w_kj        q: rows, w: weights, s: the scale of output channel j

The sums are exact and rounded to float32 once, then multiplied by the scale: so all ways give the
same bits, and a row's bits do not depend on the other rows.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

_NO_OFFSET = torch.zeros(1, dtype=torch.int64)


class Way(NamedTuple):
    """lay_out: weights int8 (n_in, n_out) as `multiply` wants them, once. multiply: rows int8
    (n, n_in), such weights, scale float32 (n_out,) to new float32 (n, n_out)."""

    lay_out: Callable[[Tensor], Tensor]
    multiply: Callable[[Tensor, Tensor, Tensor], Tensor]


def pack(weight: Tensor) -> Tensor:
    """Integers (n_in, n_out) laid out once as oneDNN multiplies them, and not at each product."""
    packed: Tensor = torch.ops.onednn.qlinear_prepack(weight.t().contiguous(), None)
    return packed


def multiply_packed(rows: Tensor, packed: Tensor, scale: Tensor) -> Tensor:
    """By oneDNN, with instructions for it (AVX-512 VNNI): see `Way`.

    What torch.compile makes of quantised linear maps; PyTorch has no other name for it.
    """
    found: Tensor = torch.ops.onednn.qlinear_pointwise(
        rows, 1.0, 0, packed, scale, _NO_OFFSET, None, 1.0, 0, torch.float32, "none", [], ""
    )
    return found


@cache
def packed_is_exact() -> bool:
    """Whether oneDNN's product of packed integers is there and exact: some CPUs add at 16 bits."""
    ours = torch.full((48, 400), 127, dtype=torch.int8)
    ours[1::2] = -127
    other = torch.full((400, 32), 127, dtype=torch.int8)
    other[:, 1::3] = -127
    scale = torch.linspace(0.1, 1, other.shape[1])
    try:
        found = multiply_packed(ours, pack(other), scale)
    except (AttributeError, NotImplementedError, RuntimeError):
        return False
    exact = torch.from_numpy(ours.numpy().astype(np.int64) @ other.numpy().astype(np.int64))
    return torch.equal(found, exact.float() * scale)


#: So many products of two 8-bit integers add up to at most 2^24, up to where float32 has every
#: integer.
_EXACT_TERMS = 2**24 // 128**2


def multiply_floats(rows: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
    """By products of float32 matrices, which every CPU has: see `Way`. weight: the integers as
    float32.

    A sum of _EXACT_TERMS products is exact in whatever order it is added.
    """
    cuts = range(0, len(weight), _EXACT_TERMS)
    parts = [slice(at, at + _EXACT_TERMS) for at in cuts]
    found = torch.mm(rows[:, parts[0]].float(), weight[parts[0]])
    if len(parts) > 1:
        sums = found.to(torch.int32)
        for part in parts[1:]:
            sums += torch.mm(rows[:, part].float(), weight[part], out=found).to(torch.int32)
        found.copy_(sums)
    return found.mul_(scale)


PACKED = Way(pack, multiply_packed)
FLOATS = Way(Tensor.float, multiply_floats)


def way_of_torch() -> Way:
    """The fastest that PyTorch has here."""
    return PACKED if packed_is_exact() else FLOATS
