"""Readers of public labelled sets: name -> reader. Add one file and one line per set."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from detectors.datasets import (
    coaid,
    constraint,
    covid19_rumour,
    fakenewsnet,
    horne2017,
    isot,
    kaggle_fake_news,
    liar,
    mediaeval2016,
    mediaeval2020,
    shorttext,
    troll_tweets,
    twitter15,
    twitter16,
    viral_tweets_2016,
    weibo_2017,
)
from detectors.datasets.labelled import LabelledPost, LabelledText

DATASETS: dict[str, Callable[[Path], Iterator[LabelledText]]] = {
    liar.NAME: liar.read,
    constraint.NAME: constraint.read,
    covid19_rumour.TWEETS: covid19_rumour.read_tweets,
    covid19_rumour.NEWS: covid19_rumour.read_news,
    isot.NAME: isot.read,
    horne2017.NAME: horne2017.read,
    shorttext.NAME: shorttext.read,
}

#: Sets of whole posts: text with pictures, account and figures, as far as they have them.
POST_DATASETS: dict[str, Callable[[Path], Iterator[LabelledPost]]] = {
    mediaeval2016.NAME: mediaeval2016.read,
    weibo_2017.NAME: weibo_2017.read,
    fakenewsnet.NAME: fakenewsnet.read_headlines,
    fakenewsnet.ARTICLES: fakenewsnet.read_articles,
    fakenewsnet.TWEETS: fakenewsnet.read_tweets,
    troll_tweets.RUSSIAN: troll_tweets.read_russian,
    troll_tweets.NBC: troll_tweets.read_nbc,
    kaggle_fake_news.NAME: kaggle_fake_news.read,
    viral_tweets_2016.NAME: viral_tweets_2016.read,
    coaid.NAME: coaid.read,
    twitter15.TEXTS: twitter15.read_texts,
    twitter16.TEXTS: twitter16.read_texts,
    mediaeval2020.TEXTS: mediaeval2020.read_texts,
}


class UnknownDataset(ValueError):
    """No data set has this name."""


def read_dataset(name: str, folder: Path) -> list[LabelledText]:
    """Every text of that set which has a label we use. Raises UnknownDataset, MissingDataset."""
    if name not in DATASETS:
        raise UnknownDataset(
            f"no data set is called {name!r}; there are: {', '.join(sorted(DATASETS))}"
        )
    return list(DATASETS[name](folder))


def read_posts(name: str, folder: Path) -> list[LabelledPost]:
    """Every post of that set which has a label we use. Raises UnknownDataset, MissingDataset."""
    if name not in POST_DATASETS:
        raise UnknownDataset(
            f"no set of posts is called {name!r}; there are: {', '.join(sorted(POST_DATASETS))}"
        )
    return list(POST_DATASETS[name](folder))
