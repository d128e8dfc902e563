from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.datasets import read_posts
from detectors.datasets.groups import (
    connected_groups,
    grouped_folds,
    groups_by_event,
    groups_by_image,
    groups_by_text,
    split_by_group,
)
from detectors.datasets.labelled import LabelledPost, Split
from detectors.labels import LABELS


def post(number: int, text: str = "", split: Split | None = None, *images: str) -> LabelledPost:
    return LabelledPost(
        dataset="made up",
        split=split,
        post_id=str(number),
        text=text or " ".join(f"{letter}{number}" for letter in "abcdef"),
        label=LABELS[number % 2],
        image_ids=images,
    )


keys_of_records = st.lists(st.lists(st.integers(0, 12), max_size=3), min_size=1, max_size=15)


@given(keys_of_records)
def test_groups_are_the_connected_components(keys: list[list[int]]) -> None:
    import networkx

    graph = networkx.Graph()
    graph.add_nodes_from(range(len(keys)))
    for i, own in enumerate(keys):
        for j, other in enumerate(keys):
            if set(own) & set(other):
                graph.add_edge(i, j)
    expected = {
        node: min(component)
        for component in networkx.connected_components(graph)
        for node in component
    }
    assert connected_groups(keys) == [expected[i] for i in range(len(keys))]


def test_groups_by_what_posts_share() -> None:
    posts = [
        post(0, "", None, "a", "b")._replace(event="storm"),
        post(1, "", None, "b")._replace(event="quake"),
        post(2)._replace(event="storm"),
        post(3),
        post(4, "So they say: A3, b3 c3 d3 e3"),
    ]
    assert groups_by_event(posts) == [0, 1, 0, 3, 4]
    assert groups_by_image(posts) == [0, 0, 2, 3, 4]
    assert groups_by_text(posts)[3:] == [3, 3]


def test_chinese_is_compared_by_characters() -> None:
    said = "在美国一桶金龙鱼食用油只要八元人民币"
    texts = ["震惊" + said + "转发求证", said, "另外一条完全不同的消息说明了别的事情"]
    posts = [post(i, text)._replace(lang="zh") for i, text in enumerate(texts)]
    assert groups_by_text(posts) == [0, 0, 2]


def test_folds_keep_groups_and_are_the_same_again() -> None:
    groups = [i // 3 for i in range(300)]
    labels = [LABELS[i % 2] for i in range(300)]
    folds = grouped_folds(labels, groups, 10)
    assert folds == grouped_folds(labels, groups, 10)
    assert folds != grouped_folds(labels, groups, 10, seed=1)
    assert set(Counter(folds)) == set(range(10))
    assert max(Counter(folds).values()) <= 36
    for group in set(groups):
        assert len({fold for fold, g in zip(folds, groups, strict=True) if g == group}) == 1


def made_posts(n: int = 400) -> list[LabelledPost]:
    """Two posts to a picture; each tenth text is told again under another picture."""
    return [
        post(
            i, f"a story told twice, word for word, number {i % 7}" if i % 10 == 0 else ""
        )._replace(image_ids=(f"picture {i // 2}",))
        for i in range(n)
    ]


def test_a_split_leaks_neither_groups_nor_texts() -> None:
    posts = made_posts()
    groups = groups_by_image(posts)
    splits = split_by_group(posts, groups)
    counts = Counter(splits)
    assert counts["test"] > 60
    assert counts["validation"] > 25
    assert counts["train"] > 200
    assert counts[None] > 0
    for keys in (groups, groups_by_text(posts)):
        sides = defaultdict(set)
        for key, split in zip(keys, splits, strict=True):
            sides[key].add(split)
        assert all(len(found - {None}) == 1 for found in sides.values())


def test_a_published_test_split_stays_unless_told() -> None:
    posts = [p._replace(split="test") if i < 100 else p for i, p in enumerate(made_posts())]
    groups = groups_by_image(posts)
    kept = split_by_group(posts, groups)
    assert kept[:100] == ["test"] * 100
    assert "test" not in kept[100:]
    assert Counter(kept)["validation"] > 20
    redrawn = split_by_group(posts, groups, keep_published=False)
    assert "train" in redrawn[:100]


def test_three_tenths() -> None:
    posts = [post(i) for i in range(1000)]
    counts = Counter(split_by_group(posts, list(range(1000)), test_tenths=3))
    assert counts == {"train": 600, "validation": 100, "test": 300}


@pytest.mark.parametrize(
    ("keep_published", "expected"),
    [
        (True, {"test": 3781, "train": 9228, "validation": 1498, None: 1122}),
        (False, {"test": 4017, "train": 8781, "validation": 1476, None: 1355}),
    ],
)
def test_real_mediaeval_by_event_and_by_picture(
    data: Path, keep_published: bool, expected: dict[str | None, int]
) -> None:
    posts = read_posts("mediaeval2016", data / "mediaeval2016")
    splits = split_by_group(posts, groups_by_image(posts), keep_published=keep_published)
    assert Counter(splits) == expected
    sides = defaultdict(set)
    for one, split in zip(posts, splits, strict=True):
        for image in one.image_ids:
            sides[image].add(split)
        if keep_published:
            assert (split == "test") == (one.split == "test")
    assert all(len(found - {None}) <= 1 for found in sides.values())


def test_real_weibo_by_near_duplicates(data: Path) -> None:
    posts = read_posts("weibo_2017", data / "weibo_2017")
    groups = groups_by_text(posts)
    assert len(set(groups)) == 4_865
    counts = Counter(split_by_group(posts, groups, test_tenths=3))
    assert counts["test"] == pytest.approx(0.3 * len(posts), rel=0.01)
    assert counts[None] == 0
