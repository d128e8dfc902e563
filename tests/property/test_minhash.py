"""MinHash with bands against every pair compared exactly."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from detectors.datasets.minhash import (
    N_HASHES,
    jaccard,
    near_pairs,
    repetitions,
    signatures,
)

WORDS = st.frozensets(st.sampled_from([f"w{i}" for i in range(30)]), max_size=20)


def exactly(sets: list[frozenset[str]], near: float) -> set[frozenset[int]]:
    pairs = combinations(range(len(sets)), 2)
    return {frozenset((i, j)) for i, j in pairs if jaccard(sets[i], sets[j]) >= near}


@given(sets=st.lists(WORDS, max_size=12), near=st.floats(0.3, 1.0))
def test_no_pair_is_found_that_is_none_and_equal_sets_always_are(
    sets: list[frozenset[str]], near: float
) -> None:
    found = {frozenset(pair) for pair in near_pairs(sets, near)}
    assert found <= exactly(sets, near)
    first = {own: sets.index(own) for own in sets}
    for i, own in enumerate(sets):
        assert first[own] == i or frozenset((first[own], i)) in found


@given(sets=st.lists(WORDS, max_size=12))
def test_what_is_left_repeats_nothing_that_is_found(sets: list[frozenset[str]]) -> None:
    repeats = repetitions(sets, 0.8)
    kept = [i for i, repeat in enumerate(repeats) if not repeat]
    pairs = near_pairs(sets, 0.8)
    assert not [pair for pair in pairs if pair[0] in kept and pair[1] in kept]
    assert len({sets[i] for i in kept}) == len(kept)


def test_near_pairs_among_many_are_missed_as_rarely_as_said() -> None:
    rng = np.random.default_rng(3)
    sets, wanted = [], 0
    for _ in range(400):  # pairs of 45 and 50 shingles of which 42 to 45 are shared: J = .79 to .9
        whole = [f"s{n}" for n in rng.integers(0, 2**40, 50)]
        shared = int(rng.integers(42, 46))
        sets += [
            frozenset(whole),
            frozenset([*whole[:shared], *(f"{w}'" for w in whole[shared:45])]),
        ]
        wanted += jaccard(sets[-2], sets[-1]) >= 0.8
    assert wanted > 200
    assert len(near_pairs(sets, 0.8)) >= wanted - 1


def test_equal_minima_estimate_the_resemblance() -> None:
    first = frozenset(f"s{i}" for i in range(100))
    second = frozenset(f"s{i}" for i in range(50, 150))
    rows = [signatures([first, second], seed) for seed in range(20)]
    shares = [(a == b).mean() for a, b in rows]
    assert rows[0].shape == (2, N_HASHES)
    assert abs(float(np.mean(shares)) - 1 / 3) < 0.03
    assert (signatures([first], 1) == signatures([first], 1)).all()
