"""Graphs of MediaEval 2020's structure-based task: one folder per tweet with its nodes and edges.

Source: Pogorelov et al., "FakeNews: Corona virus and 5G conspiracy task at MediaEval 2020";
Schroeder et al., WICO Graph, 2021. Such a graph is the part of Twitter's follower network that lies
among those who retweeted one tweet; it is no tree and names no root.

    5g_corona_conspiracy/17/edges.txt    two user ids a line, the first end and the second
    5g_corona_conspiracy/17/nodes.csv    id,time,friends,followers

`time` is taken for the seconds between tweet and retweet. The data set is given on request and is
not here: what a line's order means, and that unit, should be compared with its own README.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from detectors.cascades import Cascade, build_cascade
from detectors.datasets.labelled_cascades import LabelledCascade

NAME = "mediaeval2020"
#: The names of the task, coarse (the last two are one) and fine.
CLASSES = ("5g_conspiracy", "other_conspiracy", "non_conspiracy")
#: What the columns of nodes.csv are to a detector.
METADATA = ("friends", "followers")

_FOLDERS = {
    "5g_corona_conspiracy": "5g_conspiracy",
    "5G_Conspiracy_Graphs": "5g_conspiracy",
    "other_conspiracy": "other_conspiracy",
    "Other_Graphs": "other_conspiracy",
    "non_conspiracy": "non_conspiracy",
    "Non_Conspiracy_Graphs": "non_conspiracy",
}


class BadGraph(ValueError):
    """Files that are not the nodes and edges of a graph."""


def read(folder: Path, *, is_follower_first: bool = False) -> Iterator[LabelledCascade]:
    """The graphs of all tweets below the folders of the three classes, sorted by name.

    is_follower_first: a line names the follower before the followed. Edges go the way of the
    information here, from the followed to the follower, so they are then turned round.
    Raises: BadGraph.
    """
    for name, label in sorted(_FOLDERS.items()):
        tweets = [path for path in (folder / name).glob("*") if path.is_dir()]
        for tweet in sorted(tweets, key=lambda path: (len(path.name), path.name)):
            yield LabelledCascade(read_graph(tweet, is_follower_first=is_follower_first), label)


def read_graph(folder: Path, *, is_follower_first: bool = False) -> Cascade:
    """The graph of one tweet: `edges.txt` and, if there is one, `nodes.csv`.

    An empty field is unknown. A node without an edge is a node. Raises: BadGraph.
    """
    edges = []
    path = folder / "edges.txt"
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadGraph(f"{path} cannot be read: {error}") from error
    for number, line in enumerate(lines, 1):
        ends = line.replace(",", " ").split()
        if not ends:
            continue
        if len(ends) != 2:
            raise BadGraph(f"{path}, line {number}: {len(ends)} words instead of two user ids")
        edges.append((ends[1], ends[0]) if is_follower_first else (ends[0], ends[1]))
    columns = _read_nodes(folder / "nodes.csv")
    delays = columns.pop("time")
    return build_cascade(
        folder.name, edges, platform="x", root_key="", delays=delays, metadata=columns
    )


def _read_nodes(path: Path) -> dict[str, dict[str, float]]:
    columns: dict[str, dict[str, float]] = {name: {} for name in ("time", *METADATA)}
    if not path.exists():
        return columns
    with path.open(encoding="utf-8", newline="") as lines:
        for number, row in enumerate(csv.DictReader(lines), 2):
            try:
                for name, values in columns.items():
                    values[row["id"]] = float(row[name]) if row[name] else np.nan
            except (KeyError, TypeError, ValueError) as error:
                raise BadGraph(
                    f"{path}, line {number}: not id,time,friends,followers ({error})"
                ) from error
    return columns
