from __future__ import annotations

import math

import numpy as np
import pytest

from detectors.cascades import (
    Cascade,
    UnknownCascadeDetector,
    build_cascade,
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
