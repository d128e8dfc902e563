"""LIAR: short political statements rated by PolitiFact.

Source: Wang, "Liar, Liar Pants on Fire", ACL 2017. Binary as in Trivedi et al. 2021: the two clear
ratings on either side; half-true and barely-true are left out.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from detectors.datasets.labelled import LabelledText, Split, data_file, open_text
from detectors.labels import Label

NAME = "liar"
_LABEL_OF: dict[str, Label] = {
    "true": "likely_true",
    "mostly-true": "likely_true",
    "false": "likely_false",
    "pants-fire": "likely_false",
}
_FILES: tuple[tuple[str, Split], ...] = (("liar_train.tsv", "train"), ("liar_valid.tsv", "test"))


def read(folder: Path) -> Iterator[LabelledText]:
    """The statements of `liar_train.tsv`, and those of `liar_valid.tsv` as the test split.

    14 columns, tab-separated: id, rating, statement, ... The quotes in it are the speakers' own:
    read with any quoting, a statement that opens with one swallows the rows after it.
    """
    for name, split in _FILES:
        with open_text(data_file(folder, name)) as file:
            for row in csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
                if row[1] in _LABEL_OF:
                    yield LabelledText(NAME, split, row[2], _LABEL_OF[row[1]], "politifact")
