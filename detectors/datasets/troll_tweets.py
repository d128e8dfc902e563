"""Tweets of accounts that Twitter tied to the Internet Research Agency, published twice.

`russian_trolls`: Linvill and Warren, "Troll Factories", 2018, published by FiveThirtyEight as
IRAhandle_tweets_1.csv and so on; the licence is not stated in our copy.
`nbc_trolls`: NBC News, 2018, tweets.csv; its publisher asks to be credited.

Label, as Trivedi et al. 2021 take it: every tweet is likely_false. Beware: the label is the
account's, not the tweet's. Many of these tweets are true, or about nothing. Such a set has one
class, must be joined with another (`hoaxwatch train --data A --data B`), and teaches what a tweet
of a troll looks like. Both hold some of the same tweets: prepare one with --apart-from the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from detectors.datasets.labelled import (
    LabelledPost,
    MissingDataset,
    parse_moment,
    read_csv,
)
from detectors.datasets.mediaeval2016 import parse_number

RUSSIAN, NBC = "russian_trolls", "nbc_trolls"


def read_russian(folder: Path) -> Iterator[LabelledPost]:
    """The English originals and quotes of every CSV file in the folder; a retweet's words are
    somebody else's. The source is the account's category (RightTroll, LeftTroll, NewsFeed, ...).

    Also cut-down copies without names and tweet ids: such a tweet is known by file and row.
    """
    columns = ("publish_date", "account_category", "language", "post_type", "content")
    for path in _csv_files(folder):
        for number, row in enumerate(read_csv(path, columns), 1):
            is_retweet = row["post_type"] in ("R", "RETWEET") or row.get("retweet") == "1"
            if row["language"] == "English" and not is_retweet and row["content"].strip():
                yield LabelledPost(
                    dataset=RUSSIAN,
                    split=None,
                    post_id=row.get("tweet_id") or f"{path.name}:{number}",
                    text=row["content"],
                    label="likely_false",
                    author_id=row.get("author") or row.get("author_id"),
                    posted_at=parse_moment(row["publish_date"]),
                    lang="en",
                    attributes={
                        "followers": parse_number(row.get("followers")),
                        "following": parse_number(row.get("following")),
                        "n_posts": parse_number(row.get("updates")),
                    },
                    source=row["account_category"],
                    platform="x",
                )


def read_nbc(folder: Path) -> Iterator[LabelledPost]:
    """The tweets of `tweets.csv` that are no retweets. It names no language: some are Russian.

    A tweet without an id, of which there are some, is known by its row.
    """
    paths = [path for path in _csv_files(folder) if path.name.startswith("tweets.csv")]
    if not paths:
        raise MissingDataset(f"no tweets.csv (or tweets.csv.xz) in {folder}: put NBC's file there")
    columns = ("user_key", "created_str", "text", "tweet_id", "retweeted_status_id")
    for number, row in enumerate(read_csv(paths[0], columns), 1):
        text = row["text"] or ""
        if text.strip() and not row["retweeted_status_id"] and not text.startswith("RT @"):
            yield LabelledPost(
                dataset=NBC,
                split=None,
                post_id=row["tweet_id"] or f"{NBC}:{number}",
                text=text,
                label="likely_false",
                author_id=row["user_key"] or None,
                posted_at=parse_moment(row["created_str"]),
                attributes={
                    "retweets": parse_number(row.get("retweet_count")),
                    "likes": parse_number(row.get("favorite_count")),
                },
                source="nbc",
                platform="x",
            )


def _csv_files(folder: Path) -> list[Path]:
    found = sorted([*folder.glob("*.csv"), *folder.glob("*.csv.xz")])
    if not found:
        raise MissingDataset(f"no *.csv (or *.csv.xz) in {folder}: put the published files there")
    return found
