"""Which data sets there are readers for: what each is, its licence, its label rule."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from detectors.cards import ABOUT
from detectors.datasets import (
    DATASETS,
    POST_DATASETS,
    UnknownDataset,
    coaid,
    factify,
    fakenewsnet,
    kaggle_fake_news,
    mediaeval2016,
    mediaeval2020,
    troll_tweets,
    twitter15,
    twitter16,
    viral_tweets_2016,
    weibo_2017,
)
from detectors.datasets.labelled import LabelledPost, MissingDataset

Kind = Literal["texts", "posts", "cascades", "pairs"]


class About(NamedTuple):
    """folder: under which the set lies in a folder of sets; None: it is read from a file."""

    kind: Kind
    folder: str | None
    what: str
    licence: str
    labels: str


#: Labelled posts in a platform's own files; read where the formats of files are known.
INSTAGRAM = "instagram"

_OF_FAKENEWSNET = "no licence file, asks to be cited; tweets and articles are their authors'"

CATALOGUE: dict[str, About] = {
    **{name: About("texts", "text", *about) for name, about in ABOUT.items()},
    mediaeval2016.NAME: About(
        "posts",
        "mediaeval2016",
        "MediaEval 2016, verifying multimedia use: tweets about 17 events with their pictures",
        "Apache-2.0 for its files; the tweets are their authors'",
        "fake or real by the picture a tweet passes on; the test events of 2015 are the test split",
    ),
    weibo_2017.NAME: About(
        "posts",
        "weibo_2017",
        "Weibo (Jin et al. 2017): Chinese posts of 2012-2016 with sixteen figures, no pictures",
        "not stated in our copy: ask its publisher",
        "fake by Weibo's own service, real by Xinhua's",
    ),
    fakenewsnet.NAME: About(
        "posts",
        "fakenewsnet",
        "FakeNewsNet (Shu et al. 2020): headlines that PolitiFact and GossipCop checked",
        _OF_FAKENEWSNET,
        "fake or real by the file; GossipCop's real ones are nearly all of one site",
    ),
    fakenewsnet.ARTICLES: About(
        "posts",
        "fakenewsnet",
        "FakeNewsNet: the articles, as its downloader writes them",
        _OF_FAKENEWSNET,
        "fake or real by the folder",
    ),
    fakenewsnet.TWEETS: About(
        "posts",
        "fakenewsnet",
        "FakeNewsNet: the tweets that link to them; divide them by event, the story",
        _OF_FAKENEWSNET,
        "that of the story, whatever the tweet says of it",
    ),
    troll_tweets.RUSSIAN: About(
        "posts",
        "ira_2016",
        "Russian troll tweets (Linvill and Warren 2018, FiveThirtyEight): English, no retweets",
        "not stated in our copy: ask its publisher",
        "all likely_false, by the account: one class, to be joined with another set",
    ),
    troll_tweets.NBC: About(
        "posts",
        "nbc_trolls",
        "Russian troll tweets that NBC News put together, 2018: no retweets",
        "not stated; asks to be credited",
        "all likely_false, by the account: one class, to be joined with another set",
    ),
    kaggle_fake_news.NAME: About(
        "posts",
        "kaggle_fake_news",
        "Kaggle's Fake News (UTK Machine Learning Club, 2018): whole articles",
        "the competition's rules",
        "1 = unreliable, 0 = reliable; the newspaper's name is taken out of titles",
    ),
    viral_tweets_2016.NAME: About(
        "posts",
        "viral_tweets_2016",
        "viral tweets about the US election of 2016 (Amador et al. 2017), as CSV",
        "Zenodo 1048826 names it",
        "fake news or not where both sets of people agree; others dropped",
    ),
    coaid.NAME: About(
        "posts",
        "coaid",
        "CoAID (Cui and Lee 2020): news and claims about COVID-19",
        "no licence file; asks to be cited",
        "fake or real by the file",
    ),
    twitter15.TEXTS: About(
        "posts",
        "twitter15",
        "Twitter15 (Ma et al. 2017): the source tweets alone; divide them by account",
        "not stated in our copy: ask its publisher",
        "true against false; unverified and non-rumor dropped",
    ),
    twitter16.TEXTS: About(
        "posts",
        "twitter16",
        "Twitter16 (Ma et al. 2017): the source tweets alone; divide them by account",
        "not stated by its publisher; tweets are their authors'",
        "true against false; unverified and non-rumor dropped",
    ),
    mediaeval2020.TEXTS: About(
        "posts",
        "mediaeval2020",
        "MediaEval 2020, corona virus and 5G: tweets with their figures; given on request",
        "as agreed with its authors",
        "5g_conspiracy, other_conspiracy, non_conspiracy, by file; of two: 5G or the rest",
    ),
    INSTAGRAM: About(
        "posts",
        None,
        "one's own posts of Instagram (instaloader, Graph API, ...) with labels.csv: post,label",
        "the platform's terms; posts are their authors'",
        "what most of the people say who labelled a post; a tie is left out",
    ),
    twitter15.NAME: About(
        "cascades",
        "",
        "Twitter15 (Ma et al. 2017): 1,490 source tweets with who shared them from whom",
        "not stated in our copy: ask its publisher",
        "true, false, unverified, non-rumor, as published",
    ),
    twitter16.NAME: About(
        "cascades",
        "",
        "Twitter16 (Ma et al. 2017): 818 source tweets with who shared them from whom",
        "not stated by its publisher; tweets are their authors'",
        "true, false, unverified, non-rumor, as published",
    ),
    mediaeval2020.NAME: About(
        "cascades",
        None,
        "MediaEval 2020, corona virus and 5G: graphs of those who shared a tweet; given on request",
        "as agreed with its authors",
        "5g_conspiracy, other_conspiracy, non_conspiracy, by folder",
    ),
    factify.NAME: About(
        "pairs",
        None,
        "Factify (Mishra et al. 2021): claims and documents with pictures; given on request",
        "as agreed with its authors",
        "Support, Insufficient (text or multimodal), Refute, as published",
    ),
}


def folder_of(name: str, data: Path) -> Path | None:
    """Where a set lies in a folder of sets; None for one that is read from a file of its own.

    >>> folder_of("liar", Path("data")).as_posix(), folder_of("factify", Path("data"))
    ('data/text', None)
    """
    folder = CATALOGUE[name].folder
    return None if folder is None else data / folder


def read_labelled(name: str, folder: Path) -> Iterator[LabelledPost]:
    """Every post of a set of texts or posts that has a label we use; texts are posts of which
    nothing else is known. Raises: UnknownDataset, MissingDataset."""
    if name in POST_DATASETS:
        yield from POST_DATASETS[name](folder)
    elif name in DATASETS:
        for number, text in enumerate(DATASETS[name](folder), 1):
            yield LabelledPost(
                dataset=name,
                split=text.split,
                post_id=f"{name}:{number}",
                text=text.text,
                label=text.label,
                source=text.source,
            )
    else:
        known = ", ".join(sorted({*DATASETS, *POST_DATASETS}))
        raise UnknownDataset(f"no set of texts or posts is called {name!r}; there are: {known}")


def count(name: str, data: Path) -> int | None:
    """How many labelled posts or cascades of a set are in a folder of sets; None if it is not
    there."""
    folder = folder_of(name, data)
    if folder is None:
        return None
    try:
        if name in (twitter15.NAME, twitter16.NAME):
            read = twitter15.read if name == twitter15.NAME else twitter16.read
            return sum(1 for _ in read(folder))
        return sum(1 for _ in read_labelled(name, folder))
    except (MissingDataset, FileNotFoundError):
        return None
