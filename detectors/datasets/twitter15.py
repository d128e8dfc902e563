"""Twitter15: cascades of 1,490 source tweets of 2015 and before, in four classes.

Sources: Liu, Nourbakhsh, Li, Fang, Shah, "Real-time rumor debunking on Twitter", CIKM 2015; classes
and propagation trees: Ma, Gao, Wong, ACL 2017. A node is a tweet with the user who posted or
retweeted it; an edge says through whom. Those paths were inferred by the publishers: the platform
names only the root of a share. A node whose tweet is not the source tweet is a reply or a quote.

    true        the rumour was found to be true       false      ... to be false
    unverified  it was never settled                  non-rumor  no rumour at all
"""

from __future__ import annotations

import csv
import lzma
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from detectors.cascades import build_cascade
from detectors.datasets.labelled import LabelledPost, data_file, read_csv
from detectors.datasets.labelled_cascades import LabelledCascade
from detectors.labels import Label

NAME = "twitter15"
#: The source tweets alone, as posts.
TEXTS = "twitter15_texts"
CLASSES = ("true", "false", "unverified", "non-rumor")
#: The classes that say whether a tweet is true; what was never settled, and what is no rumour, are
#: left out, as in the other sets.
_LABELS: dict[str, Label] = {"true": "likely_true", "false": "likely_false"}
#: A column of metadata: 1 for a reply or quote, 0 for the source tweet or a retweet of it.
REPLY = "reply"

_SECONDS_PER_MINUTE = 60.0


def read(folder: Path) -> Iterator[LabelledCascade]:
    """The cascades in the order of `sources.csv.xz`, with the delay of each node since the root.

    A node met at several times has the earliest. Repeated edges count once; those that go back in
    time are kept. Raises: FileNotFoundError, KeyError on other columns.
    """
    rows: dict[str, list[dict[str, str]]] = defaultdict(list)
    with lzma.open(folder / NAME / "edges.csv.xz", "rt", encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            rows[row["cascade_id"]].append(row)
    with lzma.open(folder / NAME / "sources.csv.xz", "rt", encoding="utf-8") as lines:
        for source in csv.DictReader(lines):
            yield cascade_of(source, rows[source["cascade_id"]])


def read_texts(folder: Path) -> Iterator[LabelledPost]:
    """The source tweets that are true or false, with their accounts, from the two files themselves.
    Links are the word URL, as published. Raises: MissingDataset."""
    edges = read_csv(data_file(folder, "edges.csv"), ("cascade_id", "parent_user", "child_user"))
    authors = {
        row["cascade_id"]: row["child_user"] for row in edges if row["parent_user"] == "ROOT"
    }
    sources = data_file(folder, "sources.csv")
    for row in read_csv(sources, ("cascade_id", "label", "source_text")):
        tweet, text = row["cascade_id"], row["source_text"]
        found = labelled_text(TEXTS, f"{NAME}:{tweet}", text, row["label"], authors.get(tweet))
        if found is not None:
            yield found


def labelled_text(
    dataset: str, post_id: str, text: str, label: str, author: str | None
) -> LabelledPost | None:
    """A source tweet as a post; None for a class that does not say whether it is true."""
    if label not in _LABELS:
        return None
    return LabelledPost(
        dataset=dataset,
        split=None,
        post_id=post_id,
        text=text,
        label=_LABELS[label],
        author_id=author,
        lang="en",
        platform="x",
    )


def cascade_of(source: dict[str, str], rows: list[dict[str, str]]) -> LabelledCascade:
    """A cascade of its rows, as edges.csv and sources.csv name their columns."""
    edges: list[tuple[str, str]] = []
    delays: dict[str, float] = {}
    replies: dict[str, float] = {}
    root = tweet = author = ""
    for row in rows:
        child = _key(row, "child")
        delays[child] = min(_seconds(row, "child"), delays.get(child, float("inf")))
        if row["parent_user"] == "ROOT":
            root, tweet, author = child, row["child_tweet"], row["child_user"]
            continue
        parent = _key(row, "parent")
        delays[parent] = min(_seconds(row, "parent"), delays.get(parent, float("inf")))
        edges.append((parent, child))
    for key in delays:
        replies[key] = float(key.partition("/")[2] != tweet)
    cascade = build_cascade(
        source["cascade_id"],
        edges,
        platform="x",
        root_key=root,
        delays=delays,
        metadata={REPLY: replies},
    )
    return LabelledCascade(cascade, source["label"], source["source_text"], author)


def _key(row: dict[str, str], end: str) -> str:
    return f"{row[f'{end}_user']}/{row[f'{end}_tweet']}"


def _seconds(row: dict[str, str], end: str) -> float:
    return float(row[f"{end}_minutes"]) * _SECONDS_PER_MINUTE
