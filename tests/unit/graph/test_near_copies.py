"""Near copies: against comparing all pairs."""

from __future__ import annotations

import random
from itertools import combinations

import numpy as np
import pytest

from graph.near_copies import MIN_WORDS, group_images, group_texts, words_of

WORDS = [f"word{i}" for i in range(400)]


def posts(seed: int, n_stories: int = 30) -> tuple[list[str], list[int]]:
    """Texts of 14 to 24 words, and copies of each with up to one word changed."""
    chance = random.Random(seed)
    texts: list[str] = []
    story: list[int] = []
    for number in range(n_stories):
        said = chance.choices(WORDS, k=chance.randint(14, 24))
        for _ in range(chance.randint(1, 6)):
            copy = list(said)
            if chance.random() < 0.5:
                copy[chance.randrange(len(copy))] = chance.choice(WORDS)
            texts.append(" ".join(copy) + chance.choice(["", " https://t.co/a1", " @you", "!!"]))
            story.append(number)
    order = chance.sample(range(len(texts)), len(texts))
    return [texts[i] for i in order], [story[i] for i in order]


@pytest.mark.parametrize("seed", range(4))
def test_copies_are_grouped_and_nothing_else(seed: int) -> None:
    texts, story = posts(seed)
    group = group_texts(texts).tolist()
    pairs = list(combinations(range(len(texts)), 2))
    together = {(i, j) for i, j in pairs if group[i] == group[j]}
    truly = {(i, j) for i, j in pairs if story[i] == story[j]}
    assert together <= truly
    # two changes, one in each copy, may leave less than half of the triples
    assert len(together) > 0.9 * len(truly)


def overlap(one: str, other: str) -> float:
    a, b = (
        {words[i : i + 3] for i in range(len(words) - 2)}
        for words in (words_of(one), words_of(other))
    )
    return len(a & b) / len(a | b)


def test_groups_are_what_near_pairs_connect() -> None:
    texts, _ = posts(9)
    group = group_texts(texts, near_from=0.3).tolist()
    near = [
        (i, j) for i, j in combinations(range(len(texts)), 2) if overlap(texts[i], texts[j]) >= 0.3
    ]
    missed = [(i, j) for i, j in near if group[i] != group[j]]
    assert len(missed) <= 0.05 * len(near)
    for i, leader in enumerate(group):
        assert leader == i or any(i in pair for pair in near) or texts[i] in texts[:i]


def test_a_group_is_numbered_by_its_first_text_whatever_the_order() -> None:
    texts, _ = posts(2)
    group = group_texts(texts).tolist()
    assert all(group[leader] == leader <= i for i, leader in enumerate(group))
    backwards = group_texts(texts[::-1]).tolist()[::-1]
    same = {
        frozenset(i for i, g in enumerate(found) if g == x)
        for found in (group, backwards)
        for x in found
    }
    assert len(same) == len(set(group))


def test_short_and_missing_texts_are_in_no_group() -> None:
    texts = ["good morning all", None, "", "one two three four five", "https://t.co/x @a @b @c"]
    assert group_texts(texts).tolist() == [-1, -1, -1, 3, -1]
    assert MIN_WORDS == 5
    assert group_texts([]).tolist() == []


def test_a_text_that_thousands_post_is_one_group() -> None:
    said = "this exact text is posted by very many accounts at once"
    many = [f"{said} https://t.co/{i}" for i in range(3000)] + [
        f"{said} number{i}" for i in range(300)
    ]
    assert set(group_texts(many).tolist()) == {0}


def test_pictures_against_all_pairs() -> None:
    chance = np.random.default_rng(1)
    base = chance.integers(0, 2**63, 40, dtype=np.uint64)
    hashes = list(base)
    for value in base[:20]:
        for n_bits in (1, 4, 6, 9):
            flipped = int(value)
            for bit in chance.choice(64, n_bits, replace=False).tolist():
                flipped ^= 1 << bit
            hashes.append(np.uint64(flipped))
    group = group_images(np.array(hashes), max_bits=6)
    parent = list(range(len(hashes)))

    def find(i: int) -> int:
        while parent[i] != i:
            i = parent[i]
        return i

    for i, j in combinations(range(len(hashes)), 2):
        if int(hashes[i] ^ hashes[j]).bit_count() <= 6:
            low, high = sorted((find(i), find(j)))
            parent[high] = low
    assert group.tolist() == [find(i) for i in range(len(hashes))]


def test_wrong_thresholds_are_refused() -> None:
    with pytest.raises(ValueError, match="near_from"):
        group_texts(["a"], near_from=0)
    with pytest.raises(ValueError, match="max_bits"):
        group_images([1], max_bits=16)
    assert group_images([]).tolist() == []
