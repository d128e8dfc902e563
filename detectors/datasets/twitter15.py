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
from detectors.datasets.labelled_cascades import LabelledCascade

NAME = "twitter15"
CLASSES = ("true", "false", "unverified", "non-rumor")
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
            yield _cascade(source, rows[source["cascade_id"]])


def _cascade(source: dict[str, str], rows: list[dict[str, str]]) -> LabelledCascade:
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
