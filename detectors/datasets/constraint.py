"""Constraint 2021: English posts about COVID-19, real (official accounts) or fake (fact-checked).

Source: Patwa et al., "Fighting an Infodemic", CONSTRAINT at AAAI 2021.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from detectors.datasets.labelled import LabelledText, Split, data_file, read_csv
from detectors.labels import Label

NAME = "constraint"
_LABEL_OF: dict[str, Label] = {"real": "likely_true", "fake": "likely_false"}
_FILES: tuple[tuple[str, Split], ...] = (
    ("constraint_train.csv", "train"),
    ("constraint_val.csv", "test"),
)


def read(folder: Path) -> Iterator[LabelledText]:
    """The posts of `constraint_train.csv`, and those of `constraint_val.csv` as the test split."""
    for name, split in _FILES:
        for row in read_csv(data_file(folder, name), ("tweet", "label")):
            yield LabelledText(NAME, split, row["tweet"], _LABEL_OF[row["label"]], "constraint")
