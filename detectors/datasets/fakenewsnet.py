"""FakeNewsNet: news that PolitiFact or GossipCop checked, and the tweets that passed it on.

Source: Shu, Mahudeswaran, Wang, Lee, Liu, "FakeNewsNet: A Data Repository with News Content, Social
Context and Dynamic Information for Studying Fake News on Social Media", Big Data 8(3), 2020. Its
repository has no licence file and asks to be cited; articles are their publishers', tweets their
authors'.

    politifact_fake.csv, politifact_real.csv, gossipcop_fake.csv, gossipcop_real.csv
                    what is published: id, news_url, title, tweet_ids
    politifact/fake/politifact123/news content.json, tweets/886941526458347521.json
                    what its downloader writes: an article and the tweets that link to it

Label, as Trivedi et al. 2021 take it: by file or folder, fake or real. Beware: the real stories of
GossipCop are nearly all from one site, and a tweet has the label of the story it links to, also
where it says that the story is false.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from detectors.datasets.labelled import (
    LabelledPost,
    MissingDataset,
    data_file,
    headline_and_body,
    parse_moment,
    read_csv,
)
from detectors.labels import Label

NAME, ARTICLES, TWEETS = "fakenewsnet", "fakenewsnet_articles", "fakenewsnet_tweets"

_CHECKERS = ("politifact", "gossipcop")
_LABEL_OF: dict[str, Label] = {"fake": "likely_false", "real": "likely_true"}
_OF_USER = {
    "followers": "followers_count",
    "following": "friends_count",
    "n_posts": "statuses_count",
    "times_listed": "listed_count",
    "likes_given": "favourites_count",
    "verified": "verified",
}


def read_headlines(folder: Path) -> Iterator[LabelledPost]:
    """The titles in the four published files; a story is an event, its checker the source."""
    paths = {
        (checker, kind): data_file(folder, f"{checker}_{kind}.csv")
        for checker in _CHECKERS
        for kind in _LABEL_OF
    }
    for (checker, kind), path in paths.items():
        for row in read_csv(path, ("id", "title")):
            if row["title"].strip():
                yield LabelledPost(
                    dataset=NAME,
                    split=None,
                    post_id=row["id"],
                    text=row["title"].strip(),
                    label=_LABEL_OF[kind],
                    event=row["id"],
                    source=checker,
                )


def read_articles(folder: Path) -> Iterator[LabelledPost]:
    """Title and body of each story that the downloader found, as `title. body`."""
    for checker, kind, story in _stories(folder):
        content = _object(story / "news content.json")
        text = headline_and_body(content.get("title"), content.get("text"))
        if text:
            yield LabelledPost(
                dataset=ARTICLES,
                split=None,
                post_id=story.name,
                text=text,
                label=_LABEL_OF[kind],
                event=story.name,
                posted_at=parse_moment(content.get("publish_date")),
                source=checker,
            )


def read_tweets(folder: Path) -> Iterator[LabelledPost]:
    """The tweets below each story, without the retweets, which say the same. Divide them by event:
    tweets about one story hold its headline."""
    for checker, kind, story in _stories(folder):
        for path in sorted((story / "tweets").glob("*.json")):
            tweet = _object(path)
            text = tweet.get("full_text") or tweet.get("text") or ""
            user = tweet.get("user") or {}
            if text.strip() and not tweet.get("retweeted_status"):
                yield LabelledPost(
                    dataset=TWEETS,
                    split=None,
                    post_id=str(tweet.get("id_str") or path.stem),
                    text=text,
                    label=_LABEL_OF[kind],
                    event=story.name,
                    author_id=user.get("id_str"),
                    posted_at=parse_moment(tweet.get("created_at")),
                    lang=tweet.get("lang"),
                    attributes={
                        ours: None if user.get(theirs) is None else float(user[theirs])
                        for ours, theirs in _OF_USER.items()
                    },
                    source=checker,
                    platform="x",
                )


def _stories(folder: Path) -> Iterator[tuple[str, str, Path]]:
    """Checker, kind and folder of each story that is there."""
    kinds = [
        (checker, kind, folder / checker / kind) for checker in _CHECKERS for kind in _LABEL_OF
    ]
    if not any(path.is_dir() for _, _, path in kinds):
        raise MissingDataset(
            f"no politifact/fake in {folder}, nor another of the folders that FakeNewsNet's "
            "downloader writes: put them there"
        )
    for checker, kind, path in kinds:
        for story in sorted(path.glob("*/")):
            yield checker, kind, story


def _object(path: Path) -> dict[str, Any]:
    """A JSON object; an empty one where the downloader found nothing and wrote no file."""
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise MissingDataset(f"{path} is not JSON ({error}): download it again") from None
    if not isinstance(found, dict):
        raise MissingDataset(f"{path} is not an object: download it again")
    return found
