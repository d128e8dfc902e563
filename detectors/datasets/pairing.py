"""Pairs of claim and document from the posts of trusted accounts, as Factify was collected.

For each post of an account the most similar post of each other account on the same day; the
paper's rule labels the pair from both texts and pictures, or drops it. Then the second text gives
way to the article that it links to, where that is known. Refute never comes from here: those pairs
are fact-checks.
Source: Mishra et al. 2021, section 4.1. The labels follow from the scores (`factify.CIRCULAR`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from itertools import combinations
from typing import NamedTuple

import numpy as np

from detectors.factify import (
    Image,
    ImageEncoder,
    Pair,
    Scores,
    Thresholds,
    label_pair,
    score_pairs,
)
from detectors.sentences import SentenceEncoder


class TrustedPost(NamedTuple):
    """A post of a trusted account. links, images: addresses."""

    account: str
    post_id: str
    posted_on: date
    text: str
    links: tuple[str, ...] = ()
    images: tuple[str, ...] = ()


class PostPair(NamedTuple):
    """Two posts with the label of the rule. document: the second text, or its article."""

    claim: TrustedPost
    source: TrustedPost
    document: str
    scores: Scores
    label: str


def nearest_pairs(
    posts: Sequence[TrustedPost], encoder: SentenceEncoder
) -> list[tuple[TrustedPost, TrustedPost]]:
    """For each post the most similar one of each later account on its day, ties by id.

    Accounts come in the order in which they are met first, so two posts make one pair at most.
    Cost: each text encoded once, and a product per day and two accounts.
    """
    days: dict[date, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    accounts = list(dict.fromkeys(post.account for post in posts))
    for i, post in enumerate(posts):
        days[post.posted_on][post.account].append(i)
    vectors = encoder.encode([post.text for post in posts]) if posts else np.zeros((0, 1))
    found = []
    for _, own in sorted(days.items()):
        for first, second in combinations((a for a in accounts if a in own), 2):
            others = sorted(own[second], key=lambda i: posts[i].post_id)
            alike = (vectors[own[first]] @ vectors[others].T).round(6)
            for i, best in zip(own[first], alike.argmax(axis=1).tolist(), strict=True):
                found.append((posts[i], posts[others[best]]))
    return found


def pair_posts(
    posts: Sequence[TrustedPost],
    encoder: SentenceEncoder,
    encode_image: ImageEncoder | None,
    thresholds: Thresholds,
    articles: Mapping[str, str],
    load_image: Callable[[str], Image | None],
) -> list[PostPair]:
    """The pairs that the rule keeps. articles: address -> text."""

    def pictures(post: TrustedPost) -> list[Image]:
        loaded = map(load_image, post.images)
        return [image for image in loaded if image is not None]

    nearest = nearest_pairs(posts, encoder)
    pairs = [Pair(a.text, b.text, pictures(a), pictures(b)) for a, b in nearest]
    kept = []
    for (claim, source), scores in zip(
        nearest, score_pairs(pairs, encoder, encode_image), strict=True
    ):
        label = label_pair(scores, thresholds)
        if label is not None:
            article = next((articles[link] for link in source.links if link in articles), "")
            kept.append(PostPair(claim, source, article or source.text, scores, label))
    return kept
