"""Emerging clusters: ten made by hand whose right order is stated, and each factor alone."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from graph.emerging import ClusterFacts, rank_emerging, score_emerging

#: From the one to look at first to the last; each says why it stands below the one before.
IN_ORDER = [
    # grew eightfold, surely false, found again by all runs, half of its accounts coordinated
    ClusterFacts(
        name="campaign", n_users=160, n_before=20, false_low=0.9, stability=0.95, is_star=False,
        n_coordinated=80,
    ),
    # the same without coordination
    ClusterFacts(
        name="rumour", n_users=160, n_before=20, false_low=0.9, stability=0.95, is_star=False,
        n_coordinated=0,
    ),
    # new today, smaller, so less surely growth, and coordination was not looked for
    ClusterFacts(
        name="new rumour", n_users=40, n_before=0, false_low=0.8, stability=0.95, is_star=False,
        n_coordinated=None,
    ),
    # found again less well
    ClusterFacts(
        name="loose rumour", n_users=40, n_before=0, false_low=0.8, stability=0.6, is_star=False,
        n_coordinated=0,
    ),
    # doubled, and half of what it shares may be false
    ClusterFacts(
        name="mixed", n_users=200, n_before=100, false_low=0.5, stability=0.9, is_star=False,
        n_coordinated=0,
    ),
    # an old acquaintance that grew a little
    ClusterFacts(
        name="old", n_users=240, n_before=170, false_low=0.9, stability=0.95, is_star=False,
        n_coordinated=0,
    ),
    # grew eightfold with news that nearly all hold
    ClusterFacts(
        name="news", n_users=160, n_before=20, false_low=0.02, stability=0.95, is_star=False,
        n_coordinated=0,
    ),
    # shrinks: nothing emerges
    ClusterFacts(
        name="over", n_users=50, n_before=160, false_low=0.95, stability=0.95, is_star=False,
        n_coordinated=25,
    ),
    # of two without a score, by name: one account with its audience, and nothing judged
    ClusterFacts(
        name="star", n_users=500, n_before=0, false_low=0.95, stability=1.0, is_star=True,
        n_coordinated=0,
    ),
    ClusterFacts(
        name="unjudged", n_users=160, n_before=20, false_low=None, stability=0.95, is_star=False,
        n_coordinated=0,
    ),
]  # fmt: skip


def test_ten_clusters_stand_in_their_right_order() -> None:
    shuffled = random.Random(1).sample(IN_ORDER, len(IN_ORDER))
    assert [found.name for found in rank_emerging(shuffled)] == [facts.name for facts in IN_ORDER]
    emerging = [found.name for found in rank_emerging(IN_ORDER) if found.is_emerging]
    assert emerging == ["campaign", "rumour", "new rumour", "loose rumour"]


def test_the_score_is_the_product_of_its_factors() -> None:
    for facts in IN_ORDER[:8]:
        found = score_emerging(facts)
        assert found.likely_false is not None
        assert found.stability is not None
        product = found.growth * found.likely_false * found.stability * found.coordination
        assert found.score == pytest.approx(product)
        assert 0 <= product <= 1
        assert found.reason is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"is_star": True}, "one account with its audience"),
        ({"false_low": None}, "nothing judged"),
        ({"stability": None}, "stability not known"),
    ],
)
def test_why_there_is_no_score(change: dict[str, object], reason: str) -> None:
    found = score_emerging(replace(IN_ORDER[0], **change))  # type: ignore[arg-type]
    assert (found.score, found.reason, found.is_emerging) == (None, reason, False)


def test_chance_is_no_growth() -> None:
    """A new cluster of five, and one that went from 16 to 22: counts of that size vary so."""
    for n_now, n_before in ((5, 0), (22, 16), (1, 0)):
        facts = replace(IN_ORDER[1], n_users=n_now, n_before=n_before, n_coordinated=0)
        assert score_emerging(facts).growth == 0
    assert score_emerging(replace(IN_ORDER[1], n_users=2200, n_before=1600)).growth > 0.2


@pytest.mark.parametrize("factor", ["n_users", "false_low", "stability", "n_coordinated"])
def test_more_of_a_factor_never_lowers_the_score(factor: str) -> None:
    base = IN_ORDER[4]
    steps = [100, 150, 200, 400] if factor == "n_users" else [0.1, 0.3, 0.6, 1.0]
    steps = [0, 20, 90, 200] if factor == "n_coordinated" else steps
    scores = [
        score_emerging(replace(base, **{factor: step})).score  # type: ignore[arg-type]
        for step in steps
    ]
    assert None not in scores
    assert scores == sorted(scores, key=lambda s: s or 0.0)


@pytest.mark.parametrize(
    "change",
    [
        {"n_users": 0},
        {"n_before": -1},
        {"false_low": 1.1},
        {"stability": -0.1},
        {"n_coordinated": 999},
    ],
)
def test_wrong_facts_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        score_emerging(replace(IN_ORDER[0], **change))  # type: ignore[arg-type]
