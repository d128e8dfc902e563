from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.cascades import (
    Cascade,
    Checkpoints,
    SharedPost,
    UnknownCascadeDetector,
    build_cascade,
    cascade_states,
    load_cascade_detector,
    no_structure,
    seen_within,
)

EDGES = [("r", "a"), ("r", "b"), ("a", "c"), ("c", "a"), ("b", "r")]
DELAYS = {"r": 0.0, "a": 60.0, "b": -30.0, "c": 7200.0}


def cascade() -> Cascade:
    return build_cascade("r", EDGES, delays=DELAYS, metadata={"followers": {"a": 5.0}})


def names_of_edges(found: Cascade, names: str) -> set[str]:
    return {
        names[s] + names[t]
        for s, t in zip(found.source.tolist(), found.target.tolist(), strict=True)
    }


def test_nodes_are_numbered_by_their_sorted_keys() -> None:
    found = cascade()
    assert (found.n_nodes, found.root) == (4, 3)
    assert names_of_edges(found, "abcr") == {"ra", "rb", "ac", "ca", "br"}
    assert found.delay_seconds.tolist() == [60, -30, 7200, 0]
    followers = found.metadata["followers"].tolist()
    assert followers[0] == 5
    assert all(math.isnan(value) for value in followers[1:]), "unknown is not 0"


def test_order_and_repetition_change_nothing() -> None:
    again = build_cascade(
        "r", EDGES[::-1] * 2, delays=DELAYS, metadata={"followers": {"a": 5.0}}, platform="y"
    )
    assert again.input_hash == cascade().input_hash


@pytest.mark.parametrize(
    "other",
    [
        build_cascade("r", EDGES[1:], delays=DELAYS, metadata={"followers": {"a": 5.0}}),
        build_cascade("r", EDGES, delays=DELAYS | {"a": 61.0}, metadata={"followers": {"a": 5.0}}),
        build_cascade("r", EDGES, delays=DELAYS, metadata={"followers": {"a": 6.0}}),
        build_cascade("r", EDGES, delays=DELAYS, metadata={"friends": {"a": 5.0}}),
        build_cascade("a", EDGES, delays=DELAYS, metadata={"followers": {"a": 5.0}}),
    ],
)
def test_whatever_is_read_is_in_the_hash(other: Cascade) -> None:
    assert other.input_hash != cascade().input_hash


def test_a_root_that_was_not_seen() -> None:
    found = build_cascade("tweet", [("u1", "u2")], root_key="")
    assert (found.n_nodes, found.root) == (2, -1)


def test_what_could_be_seen_early() -> None:
    early = seen_within(cascade(), after_seconds=3600)
    assert (early.n_nodes, early.root) == (3, 2)
    assert names_of_edges(early, "abr") == {"ra", "rb", "br"}
    assert early.delay_seconds.tolist() == [60, -30, 0]
    assert early.metadata["followers"][0] == 5
    everything = seen_within(cascade(), after_seconds=7200)
    assert everything.input_hash == cascade().input_hash, "what is seen at that moment is seen"


def test_what_has_no_time_was_not_seen_but_the_root() -> None:
    found = seen_within(build_cascade("r", [("r", "a"), ("r", "b")], delays={"a": 1.0}), 10)
    assert (found.n_nodes, found.root) == (2, 1)
    assert names_of_edges(found, "ar") == {"ra"}
    assert len(cascade().source) == 5, "the whole is left as it was"


@pytest.mark.parametrize(
    ("edges", "reason"),
    [
        ([], "no_shares"),
        ([("r", "r")], "no_shares"),
        ([("r", "a")], "star"),
        ([("r", "a"), ("r", "b"), ("r", "c")], "star"),
        ([("a", "r"), ("b", "r"), ("c", "r")], "star"),
        ([("r", "a"), ("a", "r"), ("r", "b")], "star"),
        ([("r", "a"), ("a", "b")], "star"),  # its middle is an end of both
        ([("r", "a"), ("a", "b"), ("b", "c")], None),
        ([("r", "a"), ("r", "b"), ("a", "b")], None),
    ],
)
def test_what_says_nothing_by_its_shape(edges: list[tuple[str, str]], reason: str | None) -> None:
    assert no_structure(build_cascade("r", edges)) == reason


def test_a_star_stays_one_with_nodes_that_have_no_edge() -> None:
    found = build_cascade("r", [("r", "a"), ("r", "b")], delays={"z": 5.0})
    assert np.isnan(found.delay_seconds).sum() == 3
    assert no_structure(found) == "star"


def test_unknown_name_is_told_with_the_known_ones() -> None:
    with pytest.raises(UnknownCascadeDetector, match="'gcn'; there are: cascade_gcn"):
        load_cascade_detector("gcn")


# Checkpoints

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def shared(post_id: str, minutes: float, of: str | None = None) -> SharedPost:
    return SharedPost(post_id, NOON + timedelta(minutes=minutes), of)


def sizes(posts: list[SharedPost], checkpoints: Checkpoints) -> dict[str, int]:
    found = cascade_states("x", "r", posts, checkpoints)
    return {state.checkpoint: state.cascade.n_nodes for state in found}


CHAIN = [
    shared("r", 0),
    *(shared(f"p{i}", 20 * i, f"p{i - 1}" if i > 1 else "r") for i in (1, 2, 3)),
]


def test_states_by_hand() -> None:
    states = cascade_states("x", "r", CHAIN, Checkpoints(2, (60, 2400, 3600, 7200)))
    assert [(s.checkpoint, s.cascade.n_nodes, s.seen_until) for s in states] == [
        ("shares 2", 3, NOON + timedelta(minutes=40)),
        ("age 60", 1, NOON),
        ("age 2400", 3, NOON + timedelta(minutes=40)),
        ("age 3600", 4, NOON + timedelta(minutes=60)),
        ("latest", 4, NOON + timedelta(minutes=60)),
    ]
    whole = states[-1].cascade
    assert (whole.platform, whole.root_id, len(whole.source)) == ("x", "r", 3)
    assert sorted(whole.delay_seconds) == [0, 1200, 2400, 3600]
    assert states[0].cascade.input_hash == states[2].cascade.input_hash


@given(st.permutations([*CHAIN, *CHAIN[1:3]]))
def test_order_of_posts_changes_no_state(posts: list[SharedPost]) -> None:
    once = list(dict.fromkeys(posts))
    expected = cascade_states("x", "r", CHAIN, Checkpoints(2))
    found = cascade_states("x", "r", once, Checkpoints(2))
    assert [(s.checkpoint, s.cascade.input_hash) for s in found] == [
        (s.checkpoint, s.cascade.input_hash) for s in expected
    ]


def test_a_late_post_changes_the_states_it_belongs_to_only() -> None:
    before = cascade_states("x", "r", CHAIN, Checkpoints(2, (1800,)))
    after = cascade_states("x", "r", [*CHAIN, shared("late", 50, "p1")], Checkpoints(2, (1800,)))
    same = [
        old.cascade.input_hash == new.cascade.input_hash
        for old, new in zip(before, after, strict=True)
    ]
    assert same == [True, True, False]


def test_shares_of_one_time_are_seen_together() -> None:
    burst = [shared("r", 0), *(shared(f"p{i}", 5, "r") for i in range(4))]
    assert sizes(burst, Checkpoints(2, ())) == {"shares 2": 5, "latest": 5}


def test_too_few_shares_have_no_state() -> None:
    assert sizes(CHAIN, Checkpoints(4)) == {}
    assert sizes([shared("r", 0)], Checkpoints(1)) == {}
    assert sizes([], Checkpoints(1)) == {}


def test_a_root_that_was_not_collected_has_no_ages() -> None:
    (first, latest) = cascade_states("x", "r", CHAIN[1:], Checkpoints(2, (60,)))
    assert (first.checkpoint, first.cascade.n_nodes) == ("shares 2", 3), "the root is a node still"
    assert latest.checkpoint == "latest"
    assert np.isnan(latest.cascade.delay_seconds).all()


def test_shares_before_their_root_and_of_themselves() -> None:
    posts = [
        shared("r", 0),
        shared("early", -5, "r"),
        shared("own", 10, "own"),
        shared("b", 70, "r"),
    ]
    states = cascade_states("x", "r", posts, Checkpoints(3, (3600,)))
    assert {s.checkpoint: s.cascade.n_nodes for s in states} == {
        "shares 3": 4,
        "age 3600": 3,
        "latest": 4,
    }
    assert states[-1].cascade.delay_seconds.min() == -300
    assert len(states[-1].cascade.source) == 2
