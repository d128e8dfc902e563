"""Train, validation and test, such that no near-duplicate is on two sides."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

from detectors.datasets.labelled import LabelledText, Split
from detectors.datasets.near_duplicates import near_duplicate_groups, shingles

VALIDATION_SHARE = TEST_SHARE = 0.1
#: Which split keeps a text that two of them would have.
STRENGTH: dict[Split, int] = {"train": 0, "validation": 1, "test": 2}


def uniform(text: str) -> float:
    """A number in [0, 1) that depends on nothing but the text's shingles.

    >>> uniform("Same text!") == uniform("same text") != uniform("another one")
    True
    """
    key = "\n".join(sorted(shingles(text))).encode(errors="surrogatepass")
    return int.from_bytes(blake2b(key, digest_size=6).digest(), "big") / 2**48


def wished_split(record: LabelledText, u: float) -> Split:
    """Where a text should go: the published test split stays; the rest by its group's number u."""
    if record.split == "test":
        return "test"
    if u < VALIDATION_SHARE:
        return "validation"
    if u < VALIDATION_SHARE + TEST_SHARE and record.split is None:
        return "test"
    return "train"


def split_apart(records: Sequence[LabelledText]) -> list[tuple[LabelledText, Split]]:
    """The records that are kept, in order, each with its split.

    All records of one near-duplicate group, of whichever sets, end in one split: the strongest any
    of them wishes (test over validation over train); the others are dropped. So are repetitions: of
    each group one text per set is kept, except in a published test split, which is kept whole.
    """
    groups = near_duplicate_groups([record.text for record in records])
    numbers = {group: uniform(records[group].text) for group in set(groups)}
    wishes = [wished_split(r, numbers[g]) for r, g in zip(records, groups, strict=True)]
    strongest: dict[int, Split] = {}
    for group, wish in zip(groups, wishes, strict=True):
        strongest[group] = max(wish, strongest.get(group, "train"), key=STRENGTH.__getitem__)

    kept: list[tuple[LabelledText, Split]] = []
    seen: set[tuple[int, str]] = set()
    for record, group, wish in zip(records, groups, wishes, strict=True):
        is_first = (group, record.dataset) not in seen
        if wish == strongest[group] and (is_first or record.split == "test"):
            seen.add((group, record.dataset))
            kept.append((record, wish))
    return kept
