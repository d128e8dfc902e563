from __future__ import annotations

from collections import Counter

import pytest

from detectors.datasets.labelled import LabelledText, Split
from detectors.datasets.near_duplicates import near_duplicate_groups
from detectors.datasets.splits import split_apart, uniform, wished_split


def record(text: str, split: Split | None = None, dataset: str = "a") -> LabelledText:
    return LabelledText(dataset, split, text, "likely_true", "made up")


def claim(i: int) -> str:
    return f"claim {chr(97 + i % 26)}{chr(97 + i // 26)} says something else"


MANY = [record(claim(i)) for i in range(400)]


def test_links_case_and_mentions_make_no_difference() -> None:
    assert near_duplicate_groups(
        ["Garlic cures the virus, share!", "@you garlic CURES the virus share", "Garlic is tasty"]
    ) == [0, 0, 2]


@pytest.mark.parametrize(
    ("second", "same"),
    [
        ("one two three four five six seven CHANGED", True),  # 4 of 5 shingles
        ("one two three four five CHANGED seven eight", False),  # 2 of 5
        ("before it one two three four five six seven eight after it all", True),  # contained
    ],
)
def test_half_of_the_shingles_decide(second: str, same: bool) -> None:
    groups = near_duplicate_groups(["one two three four five six seven eight", second])
    assert (groups[0] == groups[1]) == same


def test_however_many_share_a_shingle_their_texts_are_one_group() -> None:
    texts = [f"the same four words {chr(0x4E00 + i)}" for i in range(150)]
    assert set(near_duplicate_groups([*texts, "other words", *texts])) == {0, 150}
    assert near_duplicate_groups([]) == []


def test_shares_are_about_a_tenth_each() -> None:
    counts = Counter(split for _, split in split_apart(MANY))
    assert counts["train"] + counts["validation"] + counts["test"] == len(MANY)
    assert 20 <= counts["validation"] <= 60
    assert 20 <= counts["test"] <= 60


def test_a_text_s_split_depends_on_nothing_but_the_text() -> None:
    whole = dict(split_apart(MANY))
    assert all(whole[r] == split for r, split in split_apart(MANY[100:200][::-1]))


def test_published_splits_are_respected() -> None:
    published = [record(claim(i), "test" if i % 2 else "train") for i in range(400)]
    splits = split_apart(published)
    assert {s for r, s in splits if r.split == "test"} == {"test"}
    assert {s for r, s in splits if r.split == "train"} == {"train", "validation"}
    assert len(splits) == 400


def test_near_duplicates_of_test_texts_leave_training() -> None:
    kept = split_apart(
        [
            record("the moon is made of cheese", "train"),
            record("the moon is made of cheese!", "test", dataset="b"),
            record("the moon is made of cheese https://t.co/x", dataset="c"),
            record("Something quite different here", "test", dataset="b"),
        ]
    )
    assert {r.dataset for r, split in kept if split == "train"} == set()
    assert [r.dataset for r, split in kept if split == "test"].count("b") == 2


def test_no_group_straddles_two_splits() -> None:
    copies = [record(r.text + " again", "train", dataset="b") for r in MANY]
    kept = split_apart([*MANY, *copies])
    splits_of: dict[int, set[str]] = {}
    groups = near_duplicate_groups([r.text for r, _ in kept])
    for group, (_, split) in zip(groups, kept, strict=True):
        splits_of.setdefault(group, set()).add(split)
    assert {len(splits) for splits in splits_of.values()} == {1}
    assert len(kept) < 800  # where the two wished for different splits, one went


def test_repetitions_within_a_set_are_dropped_but_not_in_a_published_test_split() -> None:
    repeated = [record("the same claim once more", None)] * 3
    assert len(split_apart(repeated)) == 1
    published = [record("the same claim once more", "test")] * 3
    assert len(split_apart(published)) == 3


def test_wished_split_by_number() -> None:
    own, published = record("x"), record("x", "train")
    assert [wished_split(own, u) for u in (0.0, 0.15, 0.25)] == ["validation", "test", "train"]
    assert [wished_split(published, u) for u in (0.0, 0.15)] == ["validation", "train"]
    assert 0 <= uniform("x") < 1
