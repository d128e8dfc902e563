"""Factify's published files: claims and documents with pictures, in five classes.

Source: Mishra et al. 2021; the files are given on request and are not here. A row has a claim and a
document, an address of one picture each, the text in the pictures (OCR) and the class. The column
names differ between its releases in case, spaces and underscores; order does not matter.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path

from detectors.datasets.generated_pairs import LabelledPair
from detectors.factify import CLASSES, Image, Pair
from detectors.long_rows import long_rows

NAME = "factify"
_COLUMNS = (
    "claim",
    "document",
    "claimimage",
    "documentimage",
    "claimocr",
    "documentocr",
    "category",
)


class BadFile(ValueError):
    """A file that is not one of Factify's."""


def read(path: Path, load_image: Callable[[str], Image | None]) -> Iterator[LabelledPair]:
    """The pairs of a CSV or TSV file, in order.

    load_image: the picture of an address as it stands in the file, None if it cannot be had; the
    pair is then one without that picture. Raises: BadFile.
    """
    try:
        for number, row in enumerate(_rows(path), 2):
            yield _labelled(path, number, row, load_image)
    except UnicodeDecodeError:
        raise BadFile(f"{path} is no CSV in UTF-8: save it as CSV UTF-8") from None


def _rows(path: Path) -> Iterator[dict[str, str]]:
    """The rows of a file under the plain names of our columns."""
    with path.open(encoding="utf-8", newline="") as lines:
        head = lines.readline()
        lines.seek(0)
        rows = csv.DictReader(lines, delimiter="\t" if "\t" in head else ",")
        names = {_plain(name): name for name in rows.fieldnames or ()}
        missing = [name for name in _COLUMNS if name not in names]
        if missing:
            raise BadFile(f"{path} has no column {missing[0]}: it has {', '.join(names)}")
        for row in long_rows(rows):
            yield {name: row[names[name]] or "" for name in _COLUMNS}


def _labelled(
    path: Path, number: int, row: dict[str, str], load_image: Callable[[str], Image | None]
) -> LabelledPair:
    label = row["category"].strip()
    if label not in CLASSES:
        raise BadFile(f"{path}, row {number}: no class is called {label!r}")
    images = [
        load_image(row[name]) if row[name] else None for name in ("claimimage", "documentimage")
    ]
    own, other = (() if image is None else (image,) for image in images)
    pair = Pair(row["claim"], row["document"], own, other, row["claimocr"], row["documentocr"])
    return LabelledPair(pair, label)


def _plain(name: str) -> str:
    return "".join(c for c in name.casefold() if c.isalnum())
