"""What a set of labelled posts is made of, looked at before anything is trained on it.

How many posts of each class, and of how many accounts and days; how long they are; which words,
hashtags, accounts addressed and sites tell a class from the others; and what a measurement on them
would be wrong about: near-duplicates across splits, texts that are labelled both ways. As the
analysis of its data in Factify (Mishra et al., 2022; see also Wang et al., 2020, section IV-A).
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from urllib.parse import urlsplit

import numpy as np

from detectors.datasets.labelled import LabelledPost
from detectors.datasets.near_duplicates import near_duplicate_groups
from detectors.posts import tags_of
from detectors.text.normalise import MENTION, normalise, words
from streams.records import Content

#: As how many words of the whole set a class is thought to have had before it was looked at.
PRIOR_WORDS = 500.0
#: Distinct runs of so many words are counted.
RUNS = (1, 2, 3)

_LINK = re.compile(r"https?://\S+")


class ClassDescription(NamedTuple):
    """One class. Lists are of (what, of how many posts), most first; `telling` has (word, z)."""

    label: str
    posts: int
    #: Of all posts.
    share: float
    #: None: unknown of all of them.
    accounts: int | None
    events: int | None
    first_posted_at: datetime | None
    last_posted_at: datetime | None
    pictures: int
    #: Words a post: 10th, 50th and 90th percentile.
    words: tuple[float, float, float]
    #: Distinct runs of 1, 2 and 3 words, and how many of them no other class has.
    runs: tuple[int, ...]
    own_runs: tuple[int, ...]
    telling: tuple[tuple[str, float], ...]
    hashtags: tuple[tuple[str, int], ...]
    addressed: tuple[tuple[str, int], ...]
    sites: tuple[tuple[str, int], ...]


class Description(NamedTuple):
    """A set. splits: posts by split and label; None: not divided."""

    posts: int
    languages: tuple[tuple[str, int], ...]
    splits: Mapping[str | None, Mapping[str, int]]
    classes: tuple[ClassDescription, ...]
    #: Posts that nearly repeat an earlier one.
    near_duplicates: int
    #: Posts in groups of near-duplicates that have more than one label, or more than one split.
    labelled_differently: int
    across_splits: int


def describe(posts: Sequence[LabelledPost], top: int = 20) -> Description:
    """top: how long lists are. Cost: that of `near_duplicate_groups`, and seconds for 50,000 posts.

    >>> posts = [LabelledPost("a", None, f"{i}", f"{t} sells well", t) for i, t in enumerate("xyx")]
    >>> found = describe(posts)
    >>> [(of.label, of.posts, of.own_runs) for of in found.classes]
    [('x', 2, (1, 1, 1)), ('y', 1, (1, 1, 1))]
    """
    of_label: dict[str, list[LabelledPost]] = defaultdict(list)
    for post in posts:
        of_label[post.label].append(post)
    read = {label: [words(normalise(p.text)) for p in own] for label, own in of_label.items()}
    runs = {
        label: [_distinct_runs(tokens, n) for n in RUNS] for label, tokens in sorted(read.items())
    }
    with_word = {
        label: Counter(word for tokens in texts for word in set(tokens))
        for label, texts in read.items()
    }
    splits: dict[str | None, Counter[str]] = defaultdict(Counter)
    for post in posts:
        splits[post.split][post.label] += 1
    groups = near_duplicate_groups([post.text for post in posts])
    return Description(
        posts=len(posts),
        languages=_most((p.lang for p in posts if p.lang), top),
        splits=splits,
        classes=tuple(
            _describe_class(label, of_label[label], len(posts), read[label], top)._replace(
                telling=telling_words(with_word, label, top),
                runs=tuple(map(len, runs[label])),
                own_runs=tuple(
                    len(own.difference(*(runs[other][i] for other in runs if other != label)))
                    for i, own in enumerate(runs[label])
                ),
            )
            for label in sorted(of_label)
        ),
        near_duplicates=len(posts) - len(set(groups)),
        labelled_differently=_divided(groups, [post.label for post in posts]),
        across_splits=_divided(groups, [post.split for post in posts]),
    )


def telling_words(
    with_word: Mapping[str, Counter[str]], label: str, top: int
) -> tuple[tuple[str, float], ...]:
    """The words that tell a class from the others together: (word, z), the most telling first.

        delta_w = log (y_w + a_w) / (n + a - y_w - a_w)  -  the same of the others
        z_w     = delta_w / sqrt(1 / (y_w + a_w) + 1 / (y'_w + a_w))
        a_w     = a (y_w + y'_w) / (n + n')

    y_w: posts of the class that hold the word, y'_w: of the others; n, n': their sums; a:
    PRIOR_WORDS. Words are those that text detectors read: a link is `url`, a number `0`. A word
    counts once a post, so none of them decides alone. Only z > 1.96 is given.
    Source: Monroe, Colaresi and Quinn, Fightin' Words, Political Analysis 16(4), 2008, eq. 15-22.

    >>> with_word = {"x": Counter(cure=40, the=50), "y": Counter(goal=40, the=50)}
    >>> [word for word, z in telling_words(with_word, "x", 5)]
    ['cure']
    """
    own, others = with_word[label], Counter[str]()
    for other in with_word:
        if other != label:
            others.update(with_word[other])
    names = sorted(own.keys() | others.keys())
    y, y_others = (np.array([c[name] for name in names], dtype=np.float64) for c in (own, others))
    if not (y.sum() and y_others.sum()):
        return ()
    prior = PRIOR_WORDS * (y + y_others) / (y.sum() + y_others.sum())
    delta = _log_odds(y, prior) - _log_odds(y_others, prior)
    z = delta / np.sqrt(1 / (y + prior) + 1 / (y_others + prior))
    order = np.argsort(-z, kind="stable")[:top]
    return tuple((names[i], round(float(z[i]), 2)) for i in order if z[i] > 1.96)


def _log_odds(y: np.ndarray, prior: np.ndarray) -> np.ndarray:
    part = y + prior
    odds: np.ndarray = np.log(part / (part.sum() - part))
    return odds


def _describe_class(
    label: str, posts: Sequence[LabelledPost], n_all: int, read: Sequence[Sequence[str]], top: int
) -> ClassDescription:
    times = [post.posted_at for post in posts if post.posted_at is not None]
    low, middle, high = np.percentile([len(tokens) for tokens in read], (10, 50, 90)).tolist()
    return ClassDescription(
        label=label,
        posts=len(posts),
        share=round(len(posts) / n_all, 4),
        accounts=len({p.author_id for p in posts if p.author_id}) or None,
        events=len({p.event for p in posts if p.event}) or None,
        first_posted_at=min(times, default=None),
        last_posted_at=max(times, default=None),
        pictures=sum(bool(post.image_ids or post.images) for post in posts),
        words=(low, middle, high),
        runs=(),
        own_runs=(),
        telling=(),
        hashtags=_most((tag for p in posts for tag in _tags(p)), top),
        addressed=_most((name for p in posts for name in _addressed(p.text)), top),
        sites=_most((site for p in posts for site in _sites(p.text)), top),
    )


def _distinct_runs(texts: Iterable[Sequence[str]], n: int) -> set[tuple[str, ...]]:
    return {tuple(run) for t in texts for run in zip(*(t[i:] for i in range(n)), strict=False)}


def _tags(post: LabelledPost) -> tuple[str, ...]:
    """As detectors read them."""
    return tags_of(Content(platform=post.dataset, root_id=post.post_id, text=post.text))


def _addressed(text: str) -> set[str]:
    return {name.removeprefix("@").casefold() for name in MENTION.findall(text)}


def _sites(text: str) -> set[str]:
    found = set()
    for link in _LINK.findall(text):
        try:
            found.add((urlsplit(link).hostname or "").removeprefix("www."))
        except ValueError:  # brackets that hold no address
            continue
    return found - {""}


def _most(found: Iterable[str], top: int) -> tuple[tuple[str, int], ...]:
    """Of equals the first in order."""
    return tuple(sorted(Counter(found).items(), key=lambda item: (-item[1], item[0]))[:top])


def _divided(groups: Sequence[int], values: Sequence[object]) -> int:
    """Posts in groups that have more than one value."""
    of_group: dict[int, set[object]] = defaultdict(set)
    for group, value in zip(groups, values, strict=True):
        of_group[group].add(value)
    return sum(len(of_group[group]) > 1 for group in groups)
