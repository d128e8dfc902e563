"""The one place where igraph's random numbers are seeded."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

import igraph

# igraph has one generator per process, and calling back into Python lets another thread run
_one_at_a_time = Lock()


@contextmanager
def seeded_igraph(seed: int) -> Iterator[None]:
    """Inside, igraph draws from a generator of its own that starts at `seed`.

    So a result depends on the seed alone and not on earlier draws, and `random`'s own state is
    not touched. Afterwards igraph draws from `random` again, as it does by default (igraph does
    not tell which generator was set before). Threads take turns.
    """
    with _one_at_a_time:
        igraph.set_random_number_generator(random.Random(seed))
        try:
            yield
        finally:
            igraph.set_random_number_generator(random)
