"""How many threads a network takes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def one_thread() -> Iterator[None]:
    """Inside, PyTorch computes in this thread alone.

    One post is too little for several: they wait for each other at every step, which beside other
    work takes two to three times as long, and saves a tenth where there is none. And the bits of a
    sum would depend on their number.
    """
    usual = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(usual)
