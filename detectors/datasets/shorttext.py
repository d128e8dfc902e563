"""Short texts published with Trivedi et al. 2021 (its `train` file).

Beware: 1 = real and 0 = fake here, the reverse of the paper. 84 % are fake, and the label is
largely the source: the fake ones are tweets about anything, the real ones are headlines and
statements that were checked. A model that learns it learns "tweet or headline".
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from detectors.datasets.labelled import LabelledText, data_file, read_csv
from detectors.labels import Label

NAME = "shorttext"
_LABEL_OF: dict[str, Label] = {"1": "likely_true", "0": "likely_false"}


def read(folder: Path) -> Iterator[LabelledText]:
    """The texts of `shorttext_train.csv`."""
    for row in read_csv(data_file(folder, "shorttext_train.csv"), ("text", "label")):
        yield LabelledText(NAME, None, row["text"], _LABEL_OF[row["label"]], "shorttext")
