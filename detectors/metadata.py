"""The 22 figures of a tweet that Tuan and Minh read beside its text, and what of them is known.

The paper names eighteen. "In addition to provided metadata" it had four more that it does not name:
four slots, for which whoever trains says which figure of the data they hold. What is not known is
masked: each figure is two inputs, (value - mean) / scale and 1, or 0 and 0.

Source: Tuan and Minh, MediaEval 2020, section 3.1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from math import isfinite, log1p
from typing import Literal, NamedTuple

import msgspec
import numpy as np

from detectors.datasets.labelled import LabelledPost
from detectors.evaluation import Floats
from detectors.social.attributes import account_attributes, text_attributes
from detectors.text.normalise import MAX_CHARACTERS
from streams.records import Post

Kind = Literal["count", "flag", "hour"]
#: Of which age the counters of a post are that a detector reads.
Counters = Literal["none", "at-age", "final"]
COUNTERS: tuple[Counters, ...] = ("none", "at-age", "final")

N_FEATURES = 22
N_SLOTS = 4


class Feature(NamedTuple):
    """source: what the paper calls it. A count is taken as log(1 + n), an hour as a part of the
    day."""

    name: str
    kind: Kind
    source: str


FEATURES: tuple[Feature, ...] = (
    Feature("retweets", "count", "number of retweets"),
    Feature("likes", "count", "number of favorites"),
    Feature("n_characters", "count", "number of characters"),
    Feature("n_words", "count", "number of words"),
    Feature("n_question_marks", "count", "number of question marks"),
    Feature("n_hashtags", "count", "number of hashtags"),
    Feature("n_mentions", "count", "number of mentions"),
    Feature("n_links", "count", "number of URLs"),
    Feature("hour", "hour", "the posted time of the tweet: its hour, UTC"),
    Feature("sensitive", "flag", "whether it is a sensitive tweet"),
    Feature("following", "count", "number of friends"),
    Feature("followers", "count", "number of followers"),
    Feature("times_listed", "count", "number of groups: lists that the account is on"),
    Feature("likes_given", "count", "number of favorites of the user"),
    Feature("n_posts", "count", "number of statuses"),
    Feature("account_age_days", "count", "the created time of the account, up to the tweet"),
    Feature("profile_edited", "flag", "whether the user's profile has been edited"),
    Feature("verified", "flag", "whether the account is verified"),
)
FROM_TEXT = frozenset(
    ("n_characters", "n_words", "n_question_marks", "n_hashtags", "n_mentions", "n_links")
)
#: What grows after a post is published. Of followers see `detectors.social.attributes`.
GROWING = ("retweets", "likes", "followers")
#: Attribute: how long after the post its counters were seen; of one, with its name before it.
AGE = "counters_age_seconds"

Values = Mapping[str, float | None]


class Column(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A feature with its scale over the training posts in which it is known.

    n_known: in how many. One that training never knew stays masked: no weight of it means anything.
    """

    name: str
    kind: Kind
    mean: float
    scale: float
    n_known: int


def features_with(slots: Sequence[str]) -> tuple[Feature, ...]:
    """The eighteen and those in the slots. Raises: ValueError.

    >>> len(features_with(["replies"])), features_with(["replies"])[-1].name
    (19, 'replies')
    """
    named = [feature.name for feature in FEATURES]
    if len(slots) > N_SLOTS or len({*named, *slots}) < len(named) + len(slots):
        raise ValueError(f"at most {N_SLOTS} slots, each with a figure that is not among {named}")
    return (*FEATURES, *(Feature(name, "count", "provided metadata, unnamed") for name in slots))


def values_of(
    text: str, lang: str | None, posted_at: datetime | None, attributes: Values
) -> dict[str, float | None]:
    """What is known of a post: counts in its text, the hour, and its attributes.

    >>> found = values_of("Is it #true?", "en", datetime(2020, 3, 1, 18), {"followers": 12.0})
    >>> [found[name] for name in ("n_characters", "n_words", "n_hashtags", "hour", "followers")]
    [12, 3, 1, 18.0, 12.0]
    """
    counted = text_attributes(text, lang, lexicons=[])
    read = text[:MAX_CHARACTERS]
    return {
        **attributes,
        **{name: counted[name] for name in FROM_TEXT if name in counted},
        "n_characters": len(read),
        "n_words": len(read.split()),
        "hour": None if posted_at is None else posted_at.hour + posted_at.minute / 60,
    }


def as_of(values: Values, counters: Counters, age_seconds: float) -> dict[str, float | None]:
    """The values with the counters that there would be when the detector is asked.

    none      a post is scored when it is published: no counter is known
    at-age    known if it was seen at most age_seconds after the post; without its age, unknown
    final     as they are, whenever that was: what the paper did, and a leak where they grew since

    >>> seen = {"likes": 5.0, "followers": 9.0, "likes_counters_age_seconds": 60.0}
    >>> as_of(seen, "at-age", 3600.0)["likes"], as_of(seen, "at-age", 3600.0)["followers"]
    (5.0, None)
    """
    found = dict(values)
    for name in GROWING:
        age = values.get(f"{name}_{AGE}", values.get(AGE))
        fresh = counters == "at-age" and age is not None and 0 <= age <= age_seconds
        if counters != "final" and not fresh:
            found[name] = None
    return found


def scaled(feature: Feature | Column, value: float | None) -> float | None:
    """A value before it is centred; None if it is not known.

    >>> scaled(FEATURES[8], 18.0), scaled(FEATURES[0], 0.0), scaled(FEATURES[0], None)
    (0.75, 0.0, None)
    """
    if value is None or not isfinite(value):
        return None
    if feature.kind == "hour":
        return value / 24
    return log1p(max(value, 0.0)) if feature.kind == "count" else float(value > 0)


def columns_of(features: Sequence[Feature], rows: Sequence[Values]) -> tuple[Column, ...]:
    """Mean and scale of each feature over the rows where it is known; scale 1 if it never changes.

    >>> columns_of(FEATURES[9:10], [{"sensitive": 1.0}, {"sensitive": 0.0}, {}])
    (Column(name='sensitive', kind='flag', mean=0.5, scale=0.5, n_known=2),)
    """
    columns = []
    for feature in features:
        found = (scaled(feature, row.get(feature.name)) for row in rows)
        known = np.array([value for value in found if value is not None])
        mean, scale = (float(known.mean()), float(known.std())) if len(known) else (0.0, 1.0)
        columns.append(
            Column(feature.name, feature.kind, round(mean, 6), round(scale, 6) or 1.0, len(known))
        )
    return tuple(columns)


def inputs_of(columns: Sequence[Column], rows: Sequence[Values]) -> Floats:
    """What a network reads, (rows, 2 * columns): values, then masks.

    >>> columns = columns_of(FEATURES[9:10], [{"sensitive": 1.0}, {"sensitive": 0.0}])
    >>> inputs_of(columns, [{"sensitive": 0.0}, {}]).tolist()
    [[-1.0, 1.0], [0.0, 0.0]]
    """
    found = np.zeros((len(rows), 2 * len(columns)))
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            value = scaled(column, row.get(column.name)) if column.n_known else None
            if value is not None:
                found[i, j] = (value - column.mean) / column.scale
                found[i, len(columns) + j] = 1.0
    return found


def labelled_values(post: LabelledPost) -> dict[str, float | None]:
    """`values_of` a labelled post."""
    return values_of(post.text, post.lang, post.posted_at, post.attributes)


def stored_values(post: Post) -> dict[str, float | None]:
    """`values_of` a post as hoaxwatch reads it, its counters with their age."""
    age = None
    if post.observed_at is not None:
        age = (post.observed_at - post.posted_at).total_seconds()
    attributes: dict[str, float | None] = {
        "retweets": post.shares,
        "likes": post.likes,
        AGE: age,
        **account_attributes(post.author, post.posted_at),
    }
    return values_of(post.text, post.lang, post.posted_at, attributes)
