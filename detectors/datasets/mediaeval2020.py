"""MediaEval 2020, corona virus and 5G: the tweets of its text-based task, and the graphs of its
structure-based one, of which each tweet has a folder with its nodes and edges.

Source: Pogorelov et al., "FakeNews: Corona virus and 5G conspiracy task at MediaEval 2020";
Schroeder et al., WICO Graph, 2021. Such a graph is the part of Twitter's follower network that lies
among those who retweeted one tweet; it is no tree and names no root.

    5g_corona_conspiracy/17/edges.txt    two user ids a line, the first end and the second
    5g_corona_conspiracy/17/nodes.csv    id,time,friends,followers

The tweets of the development set are one file for each class, an array of tweets as version 1.1 of
Twitter's API gives them, long form (`full_text`):

    5g_corona_conspiracy.json, other_conspiracy.json, non_conspiracy.json

These names and fields are those that two public programs of participants read (DataLab12/fakenews,
TIB_VA_MediaEval_FakeNews); the test set has no labels and is not read. Participants number the
classes 1 to 3 in this order, which is not needed here. When counters were seen is not said: they
are known to `--set counters=final` alone.

`time` is taken for the seconds between tweet and retweet. The data set is given on request and is
not here: what a line's order means, and that unit, should be compared with its own README.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from detectors.cascades import Cascade, build_cascade
from detectors.datasets.labelled import (
    LabelledPost,
    MissingDataset,
    data_file,
    open_text,
    parse_moment,
)
from detectors.datasets.labelled_cascades import LabelledCascade

NAME = "mediaeval2020"
#: The tweets, as posts.
TEXTS = "mediaeval2020_texts"
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


_FILES = {
    "5g_corona_conspiracy.json": "5g_conspiracy",
    "other_conspiracy.json": "other_conspiracy",
    "non_conspiracy.json": "non_conspiracy",
}
#: Our names of figures, by Twitter's.
_OF_TWEET = {
    "retweets": "retweet_count",
    "likes": "favorite_count",
    "sensitive": "possibly_sensitive",
}
_OF_USER = {
    "followers": "followers_count",
    "following": "friends_count",
    "times_listed": "listed_count",
    "likes_given": "favourites_count",
    "n_posts": "statuses_count",
    "verified": "verified",
}
_SECONDS_PER_DAY = 86400.0


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


def read_texts(folder: Path) -> Iterator[LabelledPost]:
    """The tweets of the three classes with the figures of tweet and account; one without text is
    left out. Whether a profile was edited is the opposite of `default_profile`. Raises:
    MissingDataset."""
    for name, label in _FILES.items():
        path = data_file(folder, name)
        with open_text(path) as file:
            try:
                tweets = json.load(file)
            except ValueError as error:
                raise MissingDataset(f"{path} is not JSON ({error}): get it again") from None
        if not isinstance(tweets, list) or not all(isinstance(one, dict) for one in tweets):
            raise MissingDataset(f"{path} is not an array of tweets: is it the right file?")
        for tweet in tweets:
            text = tweet.get("full_text") or tweet.get("text") or ""
            if not text.strip():
                continue
            posted_at = parse_moment(tweet.get("created_at"))
            user = tweet.get("user") or {}
            yield LabelledPost(
                dataset=TEXTS,
                split=None,
                post_id=str(tweet.get("id_str") or tweet.get("id")),
                text=text,
                label=label,
                author_id=None if user.get("id") is None else str(user.get("id_str") or user["id"]),
                posted_at=posted_at,
                lang=tweet.get("lang"),
                attributes=_figures(tweet, user, posted_at),
                platform="x",
            )


def _figures(
    tweet: dict[str, Any], user: dict[str, Any], posted_at: datetime | None
) -> dict[str, float | None]:
    made_at = parse_moment(user.get("created_at"))
    age = None if made_at is None or posted_at is None else posted_at - made_at
    default = user.get("default_profile")
    return {
        **{ours: _figure(tweet.get(theirs)) for ours, theirs in _OF_TWEET.items()},
        **{ours: _figure(user.get(theirs)) for ours, theirs in _OF_USER.items()},
        "account_age_days": None if age is None else age.total_seconds() / _SECONDS_PER_DAY,
        "profile_edited": None if default is None else 1.0 - float(default),
    }


def _figure(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


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
