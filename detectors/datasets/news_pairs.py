"""Pairs of claim and document in Factify's five classes, made of real news and pictures.

Factify's own files are given on request only. Here claims are headlines; of

    Support       the document is the headline's own article, which tells the same in other words
    Insufficient  the article of the story that is most like it, and another
    Refute        a headline of a flagged site; a denial, and an article on the nearest matter

and pictures are alike (a crop) in the multimodal classes, of other events in the text-only ones.
Texts are ISOT's (`isot`), pictures MediaEval's (`mediaeval2016`). Training and test share no story,
no near copy, no picture and no event of pictures. Labels come from how a pair was made: Support and
Insufficient are real text, Refute has three sentences of ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image as Pictures

from detectors.datasets import isot
from detectors.datasets.generated_pairs import LabelledPair, crop
from detectors.datasets.labelled import MissingDataset
from detectors.datasets.near_duplicates import near_duplicate_groups
from detectors.factify import (
    CLASSES,
    INSUFFICIENT_MULTIMODAL,
    REFUTE,
    SUPPORT_MULTIMODAL,
    SUPPORT_TEXT,
    Image,
    Pair,
)
from detectors.sentences import SentenceEncoder

#: Words of an article that a document has; pictures are made so small [pixels].
DOCUMENT_WORDS, SIDE = 120, 96
#: Headlines more alike than this (cosine) may tell the same story.
SAME_STORY = 0.8
_DENIALS = (
    "A fact-check found no evidence that {claim}.",
    "The claim that {claim} is false, reporters say.",
    "It is not true that {claim}; the story was made up.",
)


class Half(NamedTuple):
    """What the pairs of training, or those of the test, are made of."""

    true: list[isot.Story]
    false: list[isot.Story]
    pictures: list[list[Path]]


def generate_from_news(
    folder: Path, n_per_class: int, encoder: SentenceEncoder, seed: int = 1
) -> tuple[list[LabelledPair], list[LabelledPair]]:
    """n_per_class pairs of each class for training, and as many for the test.

    folder: holds text/ and mediaeval2016/. Raises: MissingDataset if they hold too little.
    """
    random = np.random.default_rng(seed)
    halves = _halves(folder, n_per_class, random)
    train, test = (list(_pairs(half, n_per_class, encoder, random)) for half in halves)
    return train, test


def _halves(folder: Path, n: int, random: np.random.Generator) -> list[Half]:
    stories = list(isot.read_stories(folder / "text"))
    true = _distinct([s for s in stories if s.label == "likely_true"], 4 * n, random)
    false = _distinct([s for s in stories if s.label == "likely_false"], 2 * n, random)
    events = _events(folder / "mediaeval2016" / "images")
    order = random.permutation(len(events)).tolist()
    return [
        Half(true[part::2], false[part::2], [events[i] for i in order[part::2]]) for part in (0, 1)
    ]


def _distinct(
    stories: Sequence[isot.Story], n: int, random: np.random.Generator
) -> list[isot.Story]:
    """n stories with a headline and an article, none a near copy of another."""
    usable = [s for s in stories if s.title and len(s.body.split()) >= 40]
    chosen = [usable[i] for i in random.permutation(len(usable)).tolist()]
    groups = near_duplicate_groups([story.body for story in chosen])
    distinct = [story for i, story in enumerate(chosen) if groups[i] == i][:n]
    if len(distinct) < n:
        raise MissingDataset(f"ISOT has {len(distinct)} stories where {n} are wanted; take fewer")
    return distinct


def _events(folder: Path) -> list[list[Path]]:
    """The pictures of each event: of boston_fake_01.jpg that is boston."""
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.glob("*.jpg")):
        found.setdefault(path.name.partition("_")[0], []).append(path)
    if len(found) < 4:
        raise MissingDataset(f"{folder} has pictures of {len(found)} events; four are needed")
    return list(found.values())


def _pairs(
    half: Half, n: int, encoder: SentenceEncoder, random: np.random.Generator
) -> Iterator[LabelledPair]:
    own = encoder.encode([story.title for story in half.true])
    alike = own @ own.T
    nearest = np.where(alike < SAME_STORY, alike, -1).argmax(axis=1)
    of_false = (encoder.encode([story.title for story in half.false]) @ own.T).argmax(axis=1)
    for number in range(n):
        for label in CLASSES:
            has_same = label in (SUPPORT_MULTIMODAL, INSUFFICIENT_MULTIMODAL)
            if label == REFUTE:
                claim = half.false[number].title
                denial = _DENIALS[random.integers(len(_DENIALS))].format(claim=claim)
                document = f"{denial} {half.true[of_false[number]].body}"
                has_same = number % 2 == 1
            else:
                at = 2 * number + has_same  # of each headline both its own article and another
                is_own = label in (SUPPORT_TEXT, SUPPORT_MULTIMODAL)
                claim = half.true[at].title
                document = half.true[at if is_own else nearest[at]].body
            short = " ".join(document.split()[:DOCUMENT_WORDS])
            yield LabelledPair(Pair(claim, short, *_two(half.pictures, has_same, random)), label)


def _two(
    events: Sequence[Sequence[Path]], has_same: bool, random: np.random.Generator
) -> tuple[tuple[Image], tuple[Image]]:
    """A picture, and either a crop of it or one of another event."""
    first, second = (events[i] for i in random.choice(len(events), 2, replace=False).tolist())
    one = _read(first[int(random.integers(len(first)))])
    other = crop(one, random) if has_same else _read(second[int(random.integers(len(second)))])
    return (one,), (other,)


def _read(path: Path) -> Image:
    with Pictures.open(path) as opened:
        small = opened.convert("RGB")
        small.thumbnail((SIDE, SIDE))
        return np.asarray(small, dtype=np.uint8)
