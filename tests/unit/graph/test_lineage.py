import pytest

from graph.lineage import (
    LineageRules,
    find_events,
    follow_lineages,
    found_name,
    name_clusters,
    relate_clusters,
)


def people(first: int, last: int) -> set[str]:
    return {f"u{i:03}" for i in range(first, last)}


def told(*windows: list[set[str]]) -> list[list[tuple[str, str, str | None]]]:
    """(kind, founding window + number of members, other) of each event of successive windows."""
    followed = follow_lineages("tag:t", [(str(i), w) for i, w in enumerate(windows)])
    short: dict[str, str] = {}
    for named, clusters in zip(followed, windows, strict=True):
        for name, members in zip(named.names, clusters, strict=True):
            short.setdefault(name, f"{named.window}:{min(members)}")
    return [
        sorted((e.kind, short[e.name], e.other and short[e.other]) for e in named.events)
        for named in followed
    ]


A, B, C = people(0, 20), people(20, 40), people(40, 60)


def test_each_event_as_planted() -> None:
    events = told(
        [A, B],
        [A | people(100, 110), B],  # A grows by half
        [A | people(100, 110) | B, C],  # B merges into A, C is born
        [A, B - {"u020"}, C],  # A lets B go again, as a lineage of its own
        [people(0, 5), C],  # A shrinks to a quarter, the other dies
        [],
    )
    assert events[0] == [("born", "0:u000", None), ("born", "0:u020", None)]
    assert events[1] == [("grew", "0:u000", None)]
    assert events[2] == [
        ("born", "2:u040", None),
        ("grew", "0:u000", None),
        ("merged", "0:u020", "0:u000"),
    ]
    assert events[3] == [
        ("shrank", "0:u000", None),
        ("split", "3:u021", "0:u000"),
    ]
    assert events[4] == [("died", "3:u021", None), ("shrank", "0:u000", None)]
    assert events[5] == [("died", "0:u000", None), ("died", "2:u040", None)]


def test_nothing_happens_to_a_cluster_that_stays() -> None:
    assert told([A], [A - {"u000"} | {"u900"}])[1] == []


def test_a_cluster_that_grows_tenfold_keeps_its_name() -> None:
    assert told([A], [people(0, 200)])[1] == [("grew", "0:u000", None)]


def test_a_small_part_that_leaves_is_a_split() -> None:
    assert told([A], [people(0, 16), people(16, 20)])[1] == [
        ("shrank", "0:u000", None),
        ("split", "1:u016", "0:u000"),
    ]


def test_two_common_accounts_are_no_relation_of_large_clusters() -> None:
    after = [people(18, 19) | people(19, 20) | people(300, 340)]
    assert relate_clusters({"a": A}, after) == []


def test_the_greater_overlap_keeps_the_name() -> None:
    names = name_clusters("tag:t", "2", [people(0, 9), people(9, 20)], previous={"a": A})
    assert names[1] == "a"
    assert names[0] == found_name("tag:t", "2", people(0, 9))


def test_a_window_computed_again_keeps_its_names_first() -> None:
    former = {"mine": B, "lost": people(70, 80)}
    previous = {"yours": B, "older": C}
    following = {"later": people(90, 99), "older": C}
    clusters = [B | {"u900"}, C, people(90, 99), people(800, 810)]
    names = name_clusters(
        "tag:t", "2", clusters, former=former, previous=previous, following=following
    )
    assert names[:3] == ("mine", "older", "later")
    assert names[3] == found_name("tag:t", "2", people(800, 810))


def test_a_late_post_does_not_rename_the_window_it_repairs() -> None:
    first = name_clusters("tag:t", "1", [A, B])
    again = name_clusters(
        "tag:t", "1", [B | {"u901"}, A | {"u900"}], former=dict(zip(first, [A, B], strict=True))
    )
    assert again == first[::-1]


def test_a_name_depends_on_topic_window_and_founders_and_on_nothing_else() -> None:
    base = found_name("tag:t", "1", ["a", "b"])
    assert base == found_name("tag:t", "1", {"b", "a"})
    others = {
        found_name("tag:u", "1", ["a", "b"]),
        found_name("tag:t", "2", ["a", "b"]),
        found_name("tag:t", "1", ["a", "b", "c"]),
        found_name("tag:t", "1", ["ab"]),
    }
    assert len(others | {base}) == 5


def test_rules_are_parameters() -> None:
    before, after = {"a": people(0, 10)}, {"a": people(0, 12)}
    assert find_events(before, after) == []
    (event,) = find_events(before, after, LineageRules(grew_from=1.1))
    assert (event.kind, event.n_before, event.n_after) == ("grew", 10, 12)
    strict = LineageRules(match_from=0.9, part_from=1.0, min_common=50)
    assert name_clusters("t", "2", [people(0, 12)], previous=before, rules=strict) != ("a",)


def test_names_of_successive_windows_are_distinct() -> None:
    names = name_clusters("tag:t", "2", [A, B, C], previous={"x": A | B | C})
    assert len(set(names)) == 3
    assert "x" in names


@pytest.mark.parametrize("clusters", [[], [set()]])
def test_empty_windows(clusters: list[set[str]]) -> None:
    assert len(name_clusters("tag:t", "1", clusters)) == len(clusters)
    assert relate_clusters({}, clusters) == []
