"""The Kaggle competition "Fake News" of the UTK Machine Learning Club, 2018: whole articles.

Source: kaggle.com/c/fake-news, under the competition's rules. Label, as the competition and Trivedi
et al. 2021 have it: 1 = unreliable, 0 = reliable; the competition's test set has no labels and is
not read. Beware: who labelled it, and how, is not said. Titles name their newspaper, and so the
label: it is taken out here, which the paper does not say it did.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from detectors.datasets.labelled import LabelledPost, data_file, headline_and_body, read_csv
from detectors.labels import Label

NAME = "kaggle_fake_news"
_LABEL_OF: dict[str, Label] = {"1": "likely_false", "0": "likely_true"}
_NEWSPAPER = re.compile(r"\s+-\s+(?:The New York Times|Breitbart)\s*\Z")


def without_newspaper(title: str) -> str:
    """A title without the newspaper that stands behind it.

    >>> without_newspaper("Senate Meets - The New York Times"), without_newspaper("A - B")
    ('Senate Meets', 'A - B')
    """
    return _NEWSPAPER.sub("", title)


def read(folder: Path) -> Iterator[LabelledPost]:
    """The articles of `train.csv` as `title. body`; a third column names the author, if known."""
    columns = ("id", "title", "author", "text", "label")
    for row in read_csv(data_file(folder, "train.csv"), columns):
        text = headline_and_body(without_newspaper(row["title"] or ""), row["text"])
        if text and row["label"] in _LABEL_OF:
            yield LabelledPost(
                dataset=NAME,
                split=None,
                post_id=row["id"],
                text=text,
                label=_LABEL_OF[row["label"]],
                author_id=row["author"] or None,
            )
