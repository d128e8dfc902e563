"""Names and events do not depend on the order or the numbers of clusters."""

from hypothesis import given
from hypothesis import strategies as st

from graph.lineage import (
    LineageRules,
    SizeWatch,
    find_events,
    follow_lineages,
    name_clusters,
    relate_clusters,
)

MEMBERS = [f"u{i:02}" for i in range(24)]


@st.composite
def partitions(draw: st.DrawFn) -> list[list[str]]:
    """Disjoint clusters of some of the members."""
    labels = draw(st.lists(st.integers(0, 4), min_size=len(MEMBERS), max_size=len(MEMBERS)))
    clusters = [[m for m, at in zip(MEMBERS, labels, strict=True) if at == k] for k in range(1, 5)]
    return [cluster for cluster in clusters if cluster]


@given(st.lists(partitions(), min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_order_and_numbers_change_nothing(windows: list[list[list[str]]], chance: object) -> None:
    shuffled = []
    for clusters in windows:
        other = [chance.sample(cluster, len(cluster)) for cluster in clusters]  # type: ignore[attr-defined]
        chance.shuffle(other)  # type: ignore[attr-defined]
        shuffled.append(other)
    one, other = (
        follow_lineages("tag:t", [(str(i), c) for i, c in enumerate(given_windows)])
        for given_windows in (windows, shuffled)
    )
    for first, second, clusters, turned in zip(one, other, windows, shuffled, strict=True):
        assert first.events == second.events
        by_members = {frozenset(c): n for c, n in zip(clusters, first.names, strict=True)}
        assert by_members == {frozenset(c): n for c, n in zip(turned, second.names, strict=True)}


@given(st.lists(partitions(), min_size=1, max_size=5))
def test_every_name_begins_once_and_ends_once(windows: list[list[list[str]]]) -> None:
    alive: set[str] = set()
    for window in follow_lineages("tag:t", [(str(i), c) for i, c in enumerate(windows)]):
        assert len(set(window.names)) == len(window.names)
        began = {e.name for e in window.events if e.kind in ("born", "split")}
        ended = {e.name for e in window.events if e.kind in ("died", "merged")}
        assert ended <= alive
        assert not began & alive
        alive = alive - ended | began
        assert alive == set(window.names)


@given(partitions())
def test_the_same_window_again_is_the_same(clusters: list[list[str]]) -> None:
    names = name_clusters("tag:t", "1", clusters)
    before = dict(zip(names, clusters, strict=True))
    assert name_clusters("tag:t", "1", clusters[::-1]) == names[::-1]
    assert name_clusters("tag:t", "2", clusters, previous=before) == names
    assert find_events(before, before) == []


@given(partitions(), partitions())
def test_relations_are_symmetric(one: list[list[str]], other: list[list[str]]) -> None:
    def pairs(before: list[list[str]], after: list[list[str]]) -> set[frozenset[str]]:
        named = {str(i): members for i, members in enumerate(before)}
        return {
            frozenset(["".join(named[r.before]) + "<", "".join(after[r.after]) + ">"])
            for r in relate_clusters(named, after)
        }

    turned = {
        frozenset(x[:-1] + {"<": ">", ">": "<"}[x[-1]] for x in pair) for pair in pairs(other, one)
    }
    assert pairs(one, other) == turned


FEW = LineageRules(min_changed=1)


@given(
    st.lists(st.tuples(st.sets(st.sampled_from(MEMBERS)), st.booleans()), min_size=9, max_size=20)
)
def test_what_is_told_depends_on_the_last_windows_alone(
    windows: list[tuple[set[str], bool]],
) -> None:
    """So a recount may begin anywhere, and events are a function of what is stored."""
    lineages = [
        {"a": members, "b": set(MEMBERS[:4]) - members} if both else {"a": members}
        for members, both in windows
    ]
    whole = SizeWatch(1, FEW)
    told = [whole.see(window) for window in lineages]
    for last in range(len(lineages)):
        later = SizeWatch(1, FEW)
        first = max(0, last + 1 - later.n_windows)
        again = [later.see(window) for window in lineages[first : last + 1]]
        assert again[-1] == told[last]
