"""Viral tweets about the US election of 2016, each read by two sets of people.

Source: Amador Diaz Lopez, Oehmichen, Molina-Solana, "Characterizing Political Fake News in Twitter
by its Meta-Data", 2017; Zenodo 1048826, whose page names the licence. Viral: 1,000 retweets within
the collection, November 2016 to March 2017.

Label: likely_false where both sets of people say that it contains fake news, likely_true where both
say that it does not; where they differ or do not know, it is left out. "Fake" covers fabrications,
hoaxes, jokes taken at face value, slanted reports and contested stories. Which of the columns
Trivedi et al. 2021 took is not said. A file with one (is_fake_news, or fake) is read by that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from detectors.datasets.labelled import (
    LabelledPost,
    MissingDataset,
    data_file,
    parse_moment,
    read_csv,
)
from detectors.datasets.mediaeval2016 import parse_number
from detectors.labels import Label

NAME = "viral_tweets_2016"
FILE = "twitter_fakenews_USElections_2016.csv"

_OPINIONS = (("is_fake_news_1", "is_fake_news_2"), ("is_fake_news",), ("fake",))
_LABEL_OF: dict[str, Label] = {
    **dict.fromkeys(("true", "1"), "likely_false"),
    **dict.fromkeys(("false", "0"), "likely_true"),
}
_ATTRIBUTES = {
    "retweets": "retweet_count",
    "followers": "user_followers_count",
    "following": "user_friends_count",
    "likes_given": "user_favourites_count",
    "n_hashtags": "num_hashtags",
    "n_mentions": "num_mentions",
    "n_links": "num_urls",
}


def label_of(row: Mapping[str, str]) -> Label | None:
    """What all opinions in a row agree on; None where they do not, or one is none.

    >>> label_of({"is_fake_news_1": "TRUE", "is_fake_news_2": "True"})
    'likely_false'
    >>> label_of({"is_fake_news_1": "FALSE", "is_fake_news_2": "UNKNOWN"})
    """
    columns = next((names for names in _OPINIONS if all(name in row for name in names)), ())
    said = {_LABEL_OF.get((row[name] or "").strip().casefold()) for name in columns}
    return said.pop() if len(said) == 1 else None


def read(folder: Path) -> Iterator[LabelledPost]:
    """The tweets of the published workbook's sheet of data, saved as CSV under its name.

    A spreadsheet rounds ids of 64 bits when it saves them: rows are known by their number.
    """
    path = data_file(folder, FILE)
    for number, row in enumerate(read_csv(path, ("text", "created_at")), 1):
        if number == 1 and not any(all(name in row for name in names) for names in _OPINIONS):
            raise MissingDataset(
                f"{path.name} has no columns is_fake_news_1 and is_fake_news_2, nor is_fake_news "
                "or fake: save the sheet with the labels"
            )
        label = label_of(row)
        if label is not None and row["text"].strip():
            yield LabelledPost(
                dataset=NAME,
                split=None,
                post_id=f"{NAME}:{number}",
                text=row["text"],
                label=label,
                author_id=row.get("user_screen_name") or None,
                posted_at=parse_moment(row["created_at"]),
                attributes={
                    **{ours: parse_number(row.get(name)) for ours, name in _ATTRIBUTES.items()},
                    "verified": parse_number((row.get("user_verified") or "").lower()),
                },
                platform="x",
            )
