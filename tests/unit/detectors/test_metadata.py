"""The 22 figures: which there are, of which age, scaled and masked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from detectors.metadata import (
    FEATURES,
    N_FEATURES,
    N_SLOTS,
    as_of,
    columns_of,
    features_with,
    inputs_of,
    stored_values,
    values_of,
)
from streams.records import Author, Post

NOON = datetime(2020, 3, 1, 12, tzinfo=UTC)


def test_there_are_twenty_two_with_the_slots() -> None:
    assert len(FEATURES) + N_SLOTS == N_FEATURES
    assert len({feature.name for feature in FEATURES}) == len(FEATURES)
    with pytest.raises(ValueError, match="at most 4 slots"):
        features_with(["a", "b", "c", "d", "e"])
    with pytest.raises(ValueError, match="that is not among"):
        features_with(["followers"])


def test_a_stored_post_has_counters_with_their_age() -> None:
    author = Author(author_id="1", followers=9, verified=True, created_at=NOON - timedelta(days=3))
    post = Post(
        platform="x",
        post_id="1",
        root_id="1",
        posted_at=NOON,
        text="Is it? #a https://t.co/x",
        author=author,
        shares=4,
        likes=None,
        observed_at=NOON + timedelta(minutes=5),
    )
    values = stored_values(post)
    assert (values["retweets"], values["likes"], values["counters_age_seconds"]) == (4, None, 300)
    assert (values["n_links"], values["n_hashtags"], values["hour"]) == (1, 1, 12.0)
    assert (values["account_age_days"], values["verified"], values["followers"]) == (3, True, 9)
    known = {
        mode: sorted(n for n in ("retweets", "likes", "followers") if found[n] is not None)
        for mode, found in (
            ("none", as_of(values, "none", 3600)),
            ("at-age", as_of(values, "at-age", 3600)),
            ("too late", as_of(values, "at-age", 299)),
            ("final", as_of(values, "final", 0)),
        )
    }
    both = ["followers", "retweets"]
    assert known == {"none": [], "at-age": both, "too late": [], "final": both}


def test_unknown_is_not_zero_and_what_training_never_knew_stays_masked() -> None:
    rows: list[dict[str, float | None]] = [
        {"likes": 0.0, "sensitive": None},
        {"likes": 1.7182818284590453},  # log(1 + likes) is 1
    ]
    columns = columns_of([FEATURES[1], FEATURES[9]], rows)
    assert [(c.name, c.mean, c.scale, c.n_known) for c in columns] == [
        ("likes", 0.5, 0.5, 2),
        ("sensitive", 0.0, 1.0, 0),
    ]
    found = inputs_of(columns, [{"likes": 0.0, "sensitive": 1.0}, {}, {"likes": float("nan")}])
    assert found.tolist() == [[-1, 0, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]]


def test_counts_of_the_text_are_its_own() -> None:
    values = values_of("Why? Why?", "de", None, {"n_question_marks": 9.0, "likes": 1.0})
    assert (values["n_question_marks"], values["likes"], values["hour"]) == (2, 1.0, None)
