from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from detectors.batching import LEAST_TOKENS, Grid, Mixed, padded, plan_batches

GRIDS = st.builds(
    lambda tokens, rows, n_multiples, max_tokens: Grid(
        tokens, rows, rows * n_multiples, max_tokens
    ),
    st.sampled_from([1, 4, 16]),
    st.sampled_from([1, 16]),
    st.integers(1, 8),
    st.sampled_from([1, 256, 1024]),
)


@given(st.lists(st.integers(1, 200), max_size=300), GRIDS)
def test_each_post_once_in_shapes_of_the_grid(counts: list[int], grid: Grid) -> None:
    batches = plan_batches(counts, grid)
    assert sorted(i for batch in batches for i in batch.indices) == list(range(len(counts)))
    for batch in batches:
        assert batch.n_rows % grid.rows == 0
        assert len(batch.indices) <= batch.n_rows <= grid.max_rows
        assert batch.n_rows - len(batch.indices) < grid.rows
        assert batch.n_rows == grid.rows or batch.n_rows * batch.n_tokens <= grid.max_tokens
        for index in batch.indices:
            assert batch.n_tokens == padded(counts[index], grid.tokens)


@given(st.lists(st.integers(1, 200), min_size=1, max_size=100), st.randoms(use_true_random=False))
def test_the_length_a_post_is_padded_to_is_its_own_affair(
    counts: list[int], shuffler: random.Random
) -> None:
    grid = Grid(tokens=16, rows=16, max_rows=64, max_tokens=1024)
    order = shuffler.sample(range(len(counts)), len(counts))
    in_order = {i: b.n_tokens for b in plan_batches(counts, grid) for i in b.indices}
    shuffled = plan_batches([counts[i] for i in order], grid)
    assert {order[i]: b.n_tokens for b in shuffled for i in b.indices} == in_order


def test_sorting_leaves_little_padding() -> None:
    counts = [random.Random(i).randint(5, 100) for i in range(2000)]
    grid = Grid(tokens=16, rows=16, max_rows=16, max_tokens=1)
    n_computed = sum(batch.n_rows * batch.n_tokens for batch in plan_batches(counts, grid))
    assert n_computed < 1.25 * sum(counts)


@given(
    st.lists(st.integers(1, 200), min_size=1, max_size=300),
    st.sampled_from([1, 100, 256, 1024]),
    st.integers(1, 5),
)
def test_mixed_batches_are_even_and_give_each_worker_some(
    counts: list[int], tokens: int, n_workers: int
) -> None:
    batches = plan_batches(counts, Mixed(tokens), n_workers)
    assert sorted(i for batch in batches for i in batch.indices) == list(range(len(counts)))
    sizes, longest = [sum(counts[i] for i in batch.indices) for batch in batches], max(counts)
    for batch, size in zip(batches, sizes, strict=True):
        assert batch.n_rows == len(batch.indices) > 0
        assert batch.n_tokens == max(counts[i] for i in batch.indices)
        assert size < tokens + longest
    assert [batch.n_tokens for batch in batches] == sorted(
        (batch.n_tokens for batch in batches), reverse=True
    )
    if tokens == 1024:
        assert max(sizes) - min(sizes) < 2 * longest
        if sum(counts) >= 300 * n_workers:
            assert len(batches) % n_workers == 0
        elif sum(counts) < LEAST_TOKENS:
            assert len(batches) == 1
