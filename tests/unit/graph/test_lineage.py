import pytest

from graph.lineage import (
    LineageEvent,
    LineageRules,
    SizeWatch,
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
        [A | people(100, 110), B],  # more of A are seen: too early to say more
        [A | people(100, 110) | B, C],  # B merges into A, C is born
        [A, B - {"u020"}, C],  # A lets B go again, as a lineage of its own
        [people(0, 5), C],  # a quarter of A is seen, the other dies
        [],
    )
    assert events[0] == [("born", "0:u000", None), ("born", "0:u020", None)]
    assert events[1] == []
    assert events[2] == [("born", "2:u040", None), ("merged", "0:u020", "0:u000")]
    assert events[3] == [("split", "3:u021", "0:u000")]
    assert events[4] == [("died", "3:u021", None)]
    assert events[5] == [("died", "0:u000", None), ("died", "2:u040", None)]


def test_nothing_happens_to_a_cluster_that_stays() -> None:
    assert told([A], [A - {"u000"} | {"u900"}])[1] == []


def test_a_cluster_that_grows_tenfold_keeps_its_name() -> None:
    assert told([A], [people(0, 200)])[1] == []


def test_a_small_part_that_leaves_is_a_split() -> None:
    assert told([A], [people(0, 16), people(16, 20)])[1] == [("split", "1:u016", "0:u000")]


def test_two_common_accounts_are_no_relation_of_large_clusters() -> None:
    after = [people(18, 19) | people(19, 20) | people(300, 340)]
    assert relate_clusters({"a": A}, after) == []


def test_the_greater_overlap_keeps_the_name() -> None:
    names = name_clusters("tag:t", "2", [people(0, 9), people(9, 20)], previous={"a": A})
    assert names[1] == "a"
    assert names[0] == found_name("tag:t", "2", people(0, 9))


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


def seen(*windows: dict[str, set[str]], rules: LineageRules | None = None) -> list[list[str]]:
    """What a watch of windows of one step tells of each, as 'kind name before after'."""
    watch = SizeWatch(length_in_steps=1, rules=rules or LineageRules())
    return [
        [f"{e.kind} {e.name} {e.n_before} {e.n_after}" for e in watch.see(window)]
        for window in windows
    ]


QUIET = [{"a": A, "b": B}] * 6


def test_newcomers_that_stay_are_told_once() -> None:
    grown = {"a": A | people(100, 110), "b": B}
    assert seen(*QUIET, *[grown] * 6) == [[]] * 6 + [["grew a 20 30"]] + [[]] * 5


def test_newcomers_in_two_windows_count_together() -> None:
    first, then = A | people(100, 105), A | people(100, 110)
    told = seen(*QUIET, {"a": first, "b": B}, {"a": then, "b": B})
    assert told[6:] == [[], ["grew a 20 30"]]


def test_too_few_newcomers_are_no_growth() -> None:
    assert seen(*QUIET, {"a": A | people(100, 107), "b": B})[6] == []
    few = LineageRules(min_changed=7, came_from=0.35)
    assert seen(*QUIET, {"a": A | people(100, 107), "b": B}, rules=few)[6] == ["grew a 20 27"]


def test_who_leaves_is_told_once_when_two_windows_have_passed() -> None:
    left = {"a": people(0, 10), "b": B}
    assert seen(*QUIET, *[left] * 6) == [[]] * 7 + [["shrank a 20 10"]] + [[]] * 4


def test_silence_of_a_window_is_no_leaving() -> None:
    assert seen(*QUIET, {"a": people(0, 8), "b": B}, *QUIET[:3])[6:] == [[]] * 4


def test_who_goes_to_another_cluster_neither_comes_nor_leaves() -> None:
    moved = {"a": people(0, 10), "b": B | people(10, 20)}
    assert seen(*QUIET, *[moved] * 4)[6:] == [[]] * 4


def test_who_returns_after_a_pause_of_four_windows_is_new() -> None:
    grown = {"a": A | people(100, 110), "b": B}
    back = seen(grown, *QUIET, grown)[7]
    assert back == ["grew a 20 30"]
    assert seen(*QUIET[:5], grown, *QUIET[:3], grown)[9] == []


def test_others_who_come_for_those_who_leave_are_one_event() -> None:
    """A lineage has one event in a window; the greater number decides."""
    turned = {"a": people(0, 10) | people(100, 109), "b": B}
    told = seen(*QUIET, {"a": people(0, 10), "b": B}, turned)
    assert told[7] == ["shrank a 20 10"]


def test_a_young_lineage_tells_nothing() -> None:
    younger = [{"b": B}, *QUIET[:4], {"a": A | people(100, 110), "b": B}]
    assert seen(*younger)[5] == []
    assert seen(*QUIET, {"a": A | people(100, 110), "b": B})[6] != []


def test_events_of_a_watch_have_no_other() -> None:
    watch = SizeWatch(length_in_steps=1)
    for window in QUIET:
        watch.see(window)
    assert watch.see({"a": A | people(100, 110), "b": B}) == [
        LineageEvent(kind="grew", name="a", other=None, n_before=20, n_after=30)
    ]
