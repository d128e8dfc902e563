"""What holds for every set of shares: order and repetition change nothing, and sums add up."""

from collections.abc import Callable
from itertools import combinations

import networkx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.cascades import build_forest, count_breadth, measure_cascades
from graph.communities import Communities, infomap, leiden, louvain, modularity, renumber
from graph.hashtags import build_hashtag_network
from graph.propagation import build_propagation, cascade_sizes, summarise_cascades
from graph.users import UserNetwork, build_user_network, build_user_network_of_ids
from graph.virality import expected_share, structural_virality, wilson_interval

Row = tuple[str, int, str | None, str | None]
Share = tuple[str | None, str | None, str]

names = st.sampled_from(["ann", "bob", "cyd", "dan", "eve", "fay", None, ""])
ids = st.integers(0, 12).map(str)
rows = st.lists(st.tuples(ids, st.integers(-50, 50), names, st.none() | ids), max_size=30)
shares = st.lists(st.tuples(names, names, ids), max_size=40)


@st.composite
def shuffled_rows(draw: st.DrawFn) -> tuple[list[Row], list[Row]]:
    """Rows, and the same in another order with some of them repeated."""
    given_rows = draw(rows)
    again = draw(st.lists(st.sampled_from(given_rows), max_size=10)) if given_rows else []
    return given_rows, draw(st.permutations(given_rows + again))


@st.composite
def shuffled_shares(draw: st.DrawFn) -> tuple[list[Share], list[Share]]:
    given_shares = draw(shares)
    again = draw(st.lists(st.sampled_from(given_shares), max_size=10)) if given_shares else []
    return given_shares, draw(st.permutations(given_shares + again))


@st.composite
def trees(draw: st.DrawFn) -> list[int]:
    """Parents of a random tree whose posts are in random order."""
    n = draw(st.integers(1, 25))
    parents = [-1] + [draw(st.integers(0, i - 1)) for i in range(1, n)]
    place = draw(st.permutations(range(n)))
    shuffled = [-1] * n
    for post, parent in enumerate(parents):
        shuffled[place[post]] = place[parent] if parent >= 0 else -1
    return shuffled


def columns(table: list[Row]) -> tuple[list[str], list[int], list[str | None], list[str | None]]:
    return (
        [r[0] for r in table],
        [r[1] for r in table],
        [r[2] for r in table],
        [r[3] for r in table],
    )


def network_of(table: list[Share], *, with_ids: bool = True) -> UserNetwork:
    post_ids = [f"s{share[2]}" for share in table] if with_ids else None
    return build_user_network([s[0] for s in table], [s[1] for s in table], post_ids)


def same(a: object, b: object) -> None:
    """Two dataclasses of arrays are equal, field by field."""
    for field, value in vars(a).items():
        np.testing.assert_array_equal(value, vars(b)[field], err_msg=field)


@given(shuffled_rows())
def test_propagation_does_not_depend_on_order_or_repetition(tables: tuple[list[Row], ...]) -> None:
    one, other = (build_propagation(*columns(table)) for table in tables)
    assert other.n_duplicates - one.n_duplicates == len(tables[1]) - len(tables[0])
    object.__setattr__(other, "n_duplicates", one.n_duplicates)
    same(one, other)
    same(summarise_cascades(one), summarise_cascades(other))


@given(rows)
def test_every_post_is_in_one_cascade_and_every_share_has_an_edge_or_is_rootless(
    table: list[Row],
) -> None:
    graph = build_propagation(*columns(table))
    assert len(graph.post_ids) + graph.n_duplicates == len(table)
    assert cascade_sizes(graph).sum() == len(graph.post_ids)
    assert len(graph.target) + graph.n_rootless == graph.is_share.sum()
    summary = summarise_cascades(graph)
    assert summary.n_shares.sum() == graph.is_share.sum()
    assert (summary.n_users <= summary.n_shares).all()
    drawn = graph.to_networkx()
    assert max((degree for _, degree in drawn.in_degree), default=0) <= 1


@given(shuffled_shares())
def test_user_network_does_not_depend_on_order_or_repetition(
    tables: tuple[list[Share], list[Share]],
) -> None:
    same(network_of(tables[0]), network_of(tables[1]))


@given(st.lists(st.tuples(st.integers(-1, 9), st.integers(-1, 9)), max_size=40))
def test_accounts_that_are_numbers_make_the_same_network(pairs: list[tuple[int, int]]) -> None:
    shared, sharers = (np.array([pair[i] for pair in pairs], dtype=np.int64) for i in (0, 1))
    first, second = ([str(x) if x >= 0 else None for x in pair] for pair in (shared, sharers))
    same(build_user_network_of_ids(shared, sharers), build_user_network(first, second))


@given(shares)
def test_every_share_is_counted_in_one_place(table: list[Share]) -> None:
    network = network_of(table, with_ids=False)
    assert network.n_shares == len(table)
    assert network.weight.sum() + network.n_self_shares + network.n_unknown_authors == len(table)
    assert network.times_shared.sum() == network.shares_made.sum() == network.weight.sum()
    assert list(network.users) == sorted(network.users)
    assert (network.times_shared + network.shares_made > 0).all()
    order = np.lexsort((network.target, network.source))
    assert (order == np.arange(len(order))).all()


@given(shuffled_shares(), st.integers(1, 2**31))
@pytest.mark.parametrize("find", [louvain, leiden, infomap])
def test_same_shares_and_seed_give_the_same_communities(
    find: Callable[..., Communities], tables: tuple[list[Share], list[Share]], seed: int
) -> None:
    one, other = (find(network_of(table), seed=seed) for table in tables)
    assert one.membership.tolist() == other.membership.tolist()
    assert one.quality == other.quality
    assert one.params_hash == other.params_hash
    sizes = np.bincount(one.membership, minlength=one.n_communities)
    assert (np.diff(sizes) <= 0).all()
    assert sizes.sum() == network_of(tables[0]).n_users


@given(shares, st.lists(st.integers(0, 3), min_size=6, max_size=6))
def test_modularity_is_that_of_networkx(table: list[Share], labels: list[int]) -> None:
    network = network_of(table, with_ids=False)
    if not len(network.weight):
        return
    membership = renumber(np.array(labels[: network.n_users]))
    graph = networkx.Graph()
    graph.add_nodes_from(range(network.n_users))
    for a, b, weight in zip(
        network.source.tolist(), network.target.tolist(), network.weight.tolist(), strict=True
    ):
        before = graph.get_edge_data(a, b, {"weight": 0})["weight"]
        graph.add_edge(a, b, weight=before + weight)
    parts = [set(np.flatnonzero(membership == c).tolist()) for c in set(membership.tolist())]
    expected = networkx.community.modularity(graph, parts)
    assert modularity(network, membership) == pytest.approx(expected, abs=1e-9)


@given(st.lists(st.integers(0, 5), max_size=20), st.permutations(range(100, 106)))
def test_equal_partitions_get_equal_numbers(labels: list[int], others: list[int]) -> None:
    renamed = [others[label] for label in labels]
    assert renumber(np.array(labels, int)).tolist() == renumber(np.array(renamed, int)).tolist()


@given(st.lists(st.tuples(st.lists(st.sampled_from("abcdef"), max_size=6), st.integers(0, 5))))
def test_hashtag_pairs_are_those_counted_one_by_one(
    posts: list[tuple[list[str], int]],
) -> None:
    network = build_hashtag_network(posts)
    uses = dict.fromkeys(sorted({tag for tags, _ in posts for tag in tags}), 0)
    pairs: dict[tuple[str, str], int] = {}
    for tags, weight in posts:
        for tag in set(tags):
            uses[tag] += weight
        for pair in combinations(sorted(set(tags)), 2):
            pairs[pair] = pairs.get(pair, 0) + weight
    assert dict(zip(network.tags, network.uses.tolist(), strict=True)) == uses
    found = {
        (network.tags[a], network.tags[b]): weight
        for a, b, weight in zip(network.tag_a, network.tag_b, network.weight.tolist(), strict=True)
    }
    assert found == pairs
    assert list(found) == sorted(pairs)


@given(trees())
def test_structural_virality_is_the_mean_of_all_pairs(parents: list[int]) -> None:
    tree = networkx.Graph()
    tree.add_nodes_from(range(len(parents)))
    tree.add_edges_from((post, parent) for post, parent in enumerate(parents) if parent >= 0)
    expected = networkx.average_shortest_path_length(tree) if len(parents) > 1 else 0.0
    assert structural_virality(parents) == pytest.approx(expected)


@given(trees(), st.data())
def test_a_cascade_is_measured_as_by_its_definition(
    parents: list[int], data: st.DataObject
) -> None:
    n = len(parents)
    times = data.draw(st.lists(st.integers(0, 50), min_size=n, max_size=n))
    ids = [f"{i:02}" for i in range(n)]
    named = [ids[p] if p >= 0 else None for p in parents]
    forest = build_forest(ids, named, times, [None] * n)
    shapes = measure_cascades(forest)
    tree = networkx.Graph()
    tree.add_nodes_from(range(n))
    tree.add_edges_from((post, parent) for post, parent in enumerate(parents) if parent >= 0)
    far = networkx.single_source_shortest_path_length(tree, parents.index(-1))
    per_level = [list(far.values()).count(level) for level in range(max(far.values()) + 1)]
    assert forest.depth.tolist() == [far[i] for i in range(n)]
    assert count_breadth(forest).n_posts.tolist() == per_level
    assert (shapes.depth.tolist(), shapes.breadth.tolist()) == (
        [len(per_level) - 1],
        [max(per_level)],
    )
    expected = networkx.average_shortest_path_length(tree) if n > 1 else 0.0
    assert shapes.structural_virality.tolist() == [pytest.approx(expected)]
    assert shapes.structural_virality.tolist() == [pytest.approx(structural_virality(parents))]


@given(shuffled_rows())
def test_a_forest_does_not_depend_on_order_or_repetition(tables: tuple[list[Row], ...]) -> None:
    one, other = (
        build_forest([r[0] for r in t], [r[3] for r in t], [r[1] for r in t], [r[2] for r in t])
        for t in tables
    )
    object.__setattr__(other, "n_duplicates", one.n_duplicates)
    same(one, other)
    same(measure_cascades(one), measure_cascades(other))
    assert (one.tree >= 0).all()
    below = one.parent >= 0
    assert (one.depth[below] == one.depth[one.parent[below]] + 1).all()
    assert (one.tree[below] == one.tree[one.parent[below]]).all()


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 1000)), max_size=20))
def test_expected_share_lies_in_its_interval(judged: list[tuple[float, int]]) -> None:
    share = expected_share([p for p, _ in judged], [w for _, w in judged])
    if sum(w for _, w in judged) == 0:
        assert share is None
    else:
        assert share is not None
        assert 0 <= share.low <= share.estimate <= share.high <= 1


@given(st.integers(0, 500), st.integers(1, 500))
def test_wilson_contains_the_share_and_mirrors(k: int, more: int) -> None:
    n = k + more
    one, mirrored = wilson_interval(k, n), wilson_interval(n - k, n)
    assert one is not None
    assert mirrored is not None
    assert 0 <= one.low <= one.estimate <= one.high <= 1
    assert one.low == pytest.approx(1 - mirrored.high)
