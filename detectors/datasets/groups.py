"""Splits that keep together what belongs together: an event, a picture, a story told again."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence

import numpy as np

from detectors.datasets.labelled import LabelledPost, Split
from detectors.datasets.minhash import repetitions
from detectors.datasets.near_duplicates import (
    character_shingles,
    near_duplicate_groups,
    shingles,
)
from detectors.datasets.splits import STRENGTH


def connected_groups(*keys: Sequence[Iterable[Hashable]]) -> list[int]:
    """For each record the number of its group, which is the index of the group's first record.

    Two records that share a key are in one group, and so is whoever shares one with either.
    keys: one sequence per kind of key (pictures, stories, accounts), each as long as the records;
    of each record, none, one or several of that kind.

    >>> connected_groups([["a.jpg", "b.jpg"], ["b.jpg"], [], ["c.jpg"]], [[7], [8], [9], [9]])
    [0, 0, 2, 2]
    """
    n = len(keys[0])
    parent = list(range(n))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = i = parent[parent[i]]
        return i

    for kind in keys:
        first_with: dict[Hashable, int] = {}
        for i, own in enumerate(kind):
            for key in own:
                first, second = sorted((root(first_with.setdefault(key, i)), root(i)))
                parent[second] = first
    return [root(i) for i in range(n)]


def groups_by_event(posts: Sequence[LabelledPost]) -> list[int]:
    """Posts about one event are one group; a post whose event is unknown is alone.

    For folds that leave events out. The events of MediaEval 2016 are too unequal to draw one test
    split of them: "sandy" has two thirds of all posts.
    """
    return connected_groups([[] if post.event is None else [post.event] for post in posts])


def groups_by_image(posts: Sequence[LabelledPost]) -> list[int]:
    """Posts that share a picture are one group; a post without one is alone."""
    return connected_groups([(*post.image_ids, *post.images) for post in posts])


def groups_by_image_or_text(posts: Sequence[LabelledPost]) -> list[int]:
    """Posts that share a picture are one group; of those without one, near-duplicates are.

    Not both for one post: groups joined by either are too large (see `split_by_group`).
    """
    has_image = [bool(post.image_ids or post.images) for post in posts]
    texts = groups_by_text(posts)
    return connected_groups(
        [(*post.image_ids, *post.images) for post in posts],
        [() if has else (text,) for has, text in zip(has_image, texts, strict=True)],
    )


def groups_by_text(posts: Sequence[LabelledPost]) -> list[int]:
    """Posts whose texts are near-duplicates are one group: by words, in Chinese by characters."""
    return near_duplicate_groups([post.text for post in posts], _shingles_for(posts))


def _shingles_for(posts: Sequence[LabelledPost]) -> Callable[[str], frozenset[str]]:
    return character_shingles if {post.lang for post in posts} == {"zh"} else shingles


def told_once(
    posts: Sequence[LabelledPost], near: float, others: Sequence[LabelledPost] = ()
) -> list[LabelledPost]:
    """The posts without those that repeat one of the others, or one of themselves: share at least
    `near` of all their shingles (Jaccard). Of several, one in a published test split stays, else
    the first.

    >>> told = LabelledPost("a", None, "1", "the moon is made of old cheese", "likely_false")
    >>> [p.post_id for p in told_once([told, told._replace(post_id="2", split="test")], 0.8)]
    ['2']
    """
    order = sorted(range(len(posts)), key=lambda i: -STRENGTH[posts[i].split or "train"])
    everything = [*others, *(posts[i] for i in order)]
    shingles_of = _shingles_for(everything)
    repeats = repetitions([shingles_of(post.text) for post in everything], near)
    kept = {i for i, repeat in zip(order, repeats[len(others) :], strict=True) if not repeat}
    return [post for i, post in enumerate(posts) if i in kept]


def grouped_folds(
    labels: Sequence[str], groups: Sequence[int], n_folds: int, seed: int = 0
) -> list[int]:
    """For each record the number of its fold, 0 to n_folds - 1; a group is never divided.

    Folds are about equally large and have about the same share of each label, as far as groups
    allow: one that holds two thirds of all records makes its fold that large.
    Same input and seed, same folds. Source: scikit-learn's StratifiedGroupKFold.

    >>> grouped_folds(["a", "b", "a", "b"], [0, 0, 2, 2], 2)
    [1, 1, 0, 0]
    """
    from sklearn.model_selection import StratifiedGroupKFold

    folds = np.zeros(len(labels), dtype=np.int64)
    splitter = StratifiedGroupKFold(n_splits=n_folds, shuffle=True, random_state=seed)
    for fold, (_, held_out) in enumerate(splitter.split(np.zeros(len(labels)), labels, groups)):
        folds[held_out] = fold
    return [int(fold) for fold in folds]


def split_by_group(
    posts: Sequence[LabelledPost],
    groups: Sequence[int],
    test_tenths: int = 2,
    validation_tenths: int = 1,
    seed: int = 0,
    keep_published: bool = True,
) -> list[Split | None]:
    """A split of each post such that no group is on two sides, nor a text and its near-duplicate.

    A published test split stays, and takes the whole of its groups along; validation is then drawn
    from the rest. Where none is published, or it is not to be kept, both are drawn.

    MediaEval 2016 by event: groups_by_image; its published test split are other events.
    MediaEval 2016 by picture: groups_by_image, keep_published=False.
    Weibo 2017 as Zuo et al. divide it (7:3), but without leaks: groups_by_text, test_tenths=3.

    None: left out by `without_leaks`. Groups by picture cannot be joined with groups by text
    instead: of MediaEval 2016, 10,700 of 15,629 posts would be one group.
    """
    published = {
        group
        for group, post in zip(groups, posts, strict=True)
        if keep_published and post.split == "test"
    }
    rest = [i for i, group in enumerate(groups) if group not in published]
    folds = grouped_folds([posts[i].label for i in rest], [groups[i] for i in rest], 10, seed)
    splits: list[Split] = ["test"] * len(posts)
    first = 0 if published else test_tenths
    for i, fold in zip(rest, folds, strict=True):
        if fold >= first:
            splits[i] = "validation" if fold < first + validation_tenths else "train"

    return without_leaks(posts, splits)


def without_leaks(posts: Sequence[LabelledPost], splits: Sequence[Split]) -> list[Split | None]:
    """The splits, but None for a post that tells what one of a stronger split tells (test over
    validation over train) in nearly its words.

    >>> told = LabelledPost("a", None, "1", "the moon is made of old cheese", "likely_false")
    >>> other = told._replace(text="no it is not so")
    >>> without_leaks([told, told, other], ["train", "test", "train"])
    [None, 'test', 'train']
    """
    strongest: dict[int, Split] = {}
    stories = groups_by_text(posts)
    for story, split in zip(stories, splits, strict=True):
        strongest[story] = max(split, strongest.get(story, "train"), key=STRENGTH.__getitem__)
    return [
        split if split == strongest[story] else None
        for story, split in zip(stories, splits, strict=True)
    ]
