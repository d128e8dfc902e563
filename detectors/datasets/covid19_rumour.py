"""The COVID-19 rumour data set: claims from tweets and from news, labelled T, F or U.

Source: Cheng et al., "A COVID-19 Rumor Dataset", Frontiers in Psychology 12, 2021 (MIT licence).
U (unverified) is left out: it is neither class.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from detectors.datasets.labelled import LabelledText, data_file, open_text, read_csv
from detectors.labels import Label

TWEETS, NEWS = "covid19_rumour_tweets", "covid19_rumour_news"
_LABEL_OF: dict[str, Label] = {"T": "likely_true", "F": "likely_false"}


def read_tweets(folder: Path) -> Iterator[LabelledText]:
    """The claims of `covid19_rumor_tweets.csv` (header: label, content, ...)."""
    for row in read_csv(data_file(folder, "covid19_rumor_tweets.csv"), ("label", "content")):
        if row["label"] in _LABEL_OF:
            yield LabelledText(TWEETS, None, row["content"], _LABEL_OF[row["label"]], "tweets")


def read_news(folder: Path) -> Iterator[LabelledText]:
    """The claims of `covid19_rumor_news.csv`. No header: id, label, claim, a number."""
    with open_text(data_file(folder, "covid19_rumor_news.csv")) as file:
        for row in csv.reader(file):
            if row[1] in _LABEL_OF:
                yield LabelledText(NEWS, None, row[2], _LABEL_OF[row[1]], "news")
