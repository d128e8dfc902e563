"""A set without labels in which hardly anything is false: what a detector must leave in peace."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from detectors.datasets.labelled import MissingDataset, read_csv
from detectors.datasets.near_duplicates import near_duplicate_groups
from detectors.datasets.splits import uniform

_COLUMNS = ("id", "text", "lang", "retweeted_id")


def read_calm_posts(folder: Path, language: str = "en") -> list[str]:
    """The texts of the distinct originals in that language in a folder of minet tweet CSV files.

    Retweets are left out; of a tweet that is in several files the first, by file name, counts.
    Raises MissingDataset when the folder has no such file.
    """
    paths = sorted(path for path in folder.glob("*.csv*") if path.suffix in (".csv", ".xz"))
    if not paths:
        raise MissingDataset(f"no CSV file of tweets in {folder}: name the folder that has them")
    texts: dict[str, str] = {}
    for path in paths:
        for row in read_csv(path, _COLUMNS):
            if row["lang"] == language and not row["retweeted_id"]:
                texts.setdefault(row["id"], row["text"])
    return list(texts.values())


def halves(texts: Sequence[str]) -> tuple[list[str], list[str]]:
    """Two halves, one to choose a threshold on and one to report; near-duplicates stay together."""
    groups = near_duplicate_groups(texts)
    in_first = [uniform(texts[group]) < 0.5 for group in groups]
    return (
        [text for text, first in zip(texts, in_first, strict=True) if first],
        [text for text, first in zip(texts, in_first, strict=True) if not first],
    )
