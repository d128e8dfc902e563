"""What `graph.leaves` claims is tried on all partitions of small networks."""

from collections.abc import Callable, Iterator

import igraph
import infomap as infomap_package
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.communities import (
    INFOMAP_FLAGS,
    codelength,
    infomap,
    louvain,
    modularity,
    renumber,
)
from graph.users import UserNetwork, build_user_network
from tests.bench.planted import planted_shares

Labels = np.ndarray


users = st.sampled_from("abcdef")
some_shares = st.lists(st.tuples(users, users), min_size=1, max_size=12)


def network_of(shares: list[tuple[str, str]]) -> UserNetwork:
    return build_user_network([a for a, _ in shares], [b for _, b in shares])


def planted(n_shares: int = 200, seed: int = 1) -> UserNetwork:
    shared, sharers, _, _ = planted_shares(n_shares, seed=seed, shares_per_user=1)
    return build_user_network(list(map(str, shared.tolist())), list(map(str, sharers.tolist())))


def stars(seed: int, n_hubs: int = 6, n_shares: int = 60) -> UserNetwork:
    """Accounts that share, or are shared by, one account each, some of them more than once."""
    draw = np.random.default_rng(seed)
    leaves = draw.integers(0, 40, n_shares)
    hubs = [f"hub{leaf % n_hubs}" for leaf in leaves.tolist()]
    ends = [hubs, [f"leaf{leaf}" for leaf in leaves.tolist()]]
    return build_user_network(*ends) if seed % 2 else build_user_network(*reversed(ends))


def leaves_of(network: UserNetwork) -> list[tuple[int, int]]:
    """Users with one neighbour, and that neighbour."""
    near: dict[int, set[int]] = {}
    for a, b in zip(network.source.tolist(), network.target.tolist(), strict=True):
        near.setdefault(a, set()).add(b)
        near.setdefault(b, set()).add(a)
    return [(user, others.pop()) for user, others in near.items() if len(others) == 1]


def partitions(n: int) -> Iterator[Labels]:
    """Every partition of n things."""

    def grow(labels: list[int], n_used: int) -> Iterator[Labels]:
        if len(labels) == n:
            yield np.array(labels, dtype=np.int64)
            return
        for label in range(n_used + 1):
            yield from grow([*labels, label], max(n_used, label + 1))

    yield from grow([], 0)


def cost_by_modularity(resolution: float) -> Callable[[UserNetwork, Labels], float | None]:
    def cost(network: UserNetwork, membership: Labels) -> float | None:
        quality = modularity(network, membership, resolution)
        return None if quality is None else -quality

    return cost


@pytest.mark.parametrize(
    "cost",
    [cost_by_modularity(1.0), cost_by_modularity(0.4), codelength],
    ids=["modularity", "coarse modularity", "codelength"],
)
@given(shares=some_shares)
def test_a_best_partition_has_every_leaf_with_its_neighbour(
    cost: Callable[[UserNetwork, Labels], float | None], shares: list[tuple[str, str]]
) -> None:
    network = network_of(shares)
    if network.n_users == 0:
        return
    core = network.core
    of_all = min(cost(network, one) or 0.0 for one in partitions(network.n_users))
    of_core = min(cost(network, one[core.node]) or 0.0 for one in partitions(core.n_nodes))
    assert of_core == pytest.approx(of_all, abs=1e-8)


def test_above_resolution_1_a_leaf_may_be_better_alone() -> None:
    network = network_of([("a", "b"), ("a", "c"), ("a", "d")])
    cost = cost_by_modularity(4.0)
    best = min(partitions(4), key=lambda one: cost(network, one) or 0.0)
    assert len(set(best.tolist())) > network.core.n_nodes
    assert louvain(network, seed=1, resolution=4.0).n_communities > 1


@given(shares=some_shares)
def test_nothing_is_lost_with_the_leaves(shares: list[tuple[str, str]]) -> None:
    network = network_of(shares)
    core = network.core
    assert core.weight.sum() + core.loops.sum() == network.weight.sum()
    assert (core.low < core.high).all()
    assert set(core.node.tolist()) == set(range(core.n_nodes))
    for leaf, neighbour in leaves_of(network):
        assert core.node[leaf] == core.node[neighbour]
    n_joined = network.n_users - core.n_nodes
    lone_pairs = sum((b, a) in leaves_of(network) for a, b in leaves_of(network)) // 2
    assert n_joined == len(leaves_of(network)) - lone_pairs


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_infomap_finds_every_leaf_with_its_neighbour(seed: int) -> None:
    network = planted(seed=seed)
    found = infomap(network, seed=seed, directed=False)
    assert len(leaves_of(network)) > 20
    for leaf, neighbour in leaves_of(network):
        assert found.membership[leaf] == found.membership[neighbour]
    assert found.parameters["leaves"] == "merged"


def whole_by_infomap(network: UserNetwork, n_trials: int) -> tuple[float, Labels]:
    """What the package says of the network as it is."""
    engine = infomap_package.Network()
    engine.add_links(np.column_stack(network.undirected).astype(np.float64))
    told = {**INFOMAP_FLAGS, "flow_model": "undirected", "seed": 1, "num_trials": n_trials}
    result = engine.run(options=told)
    modules = result.modules()
    labels = np.array([modules[user] for user in range(network.n_users)], dtype=np.int64)
    return result.codelength, renumber(labels)


def whole_by_igraph(network: UserNetwork) -> Labels:
    low, high, weight = network.undirected
    graph = igraph.Graph(n=network.n_users, edges=np.column_stack([low, high]))
    found = graph.community_multilevel(weights=weight.tolist()).membership
    return renumber(np.array(found, dtype=np.int64))


@pytest.mark.parametrize("seed", range(1, 11))
def test_nothing_but_stars_is_what_the_packages_find_without_our_help(seed: int) -> None:
    network = stars(seed)
    assert len(network.core.weight) == 0
    bits, membership = whole_by_infomap(network, n_trials=1)
    found = infomap(network, seed=1, directed=False)
    assert found.membership.tolist() == membership.tolist()
    assert found.quality == pytest.approx(bits, abs=1e-8)
    assert louvain(network, seed=1).membership.tolist() == whole_by_igraph(network).tolist()


@pytest.mark.parametrize("seed", range(1, 6))
def test_the_codelength_is_that_of_the_package(seed: int) -> None:
    network = planted(seed=seed)
    bits, membership = whole_by_infomap(network, n_trials=1)
    assert codelength(network, membership) == pytest.approx(bits, abs=1e-8)


@pytest.mark.parametrize("n_shares", [60, 200, 1_000])
def test_what_is_found_without_leaves_is_as_good(n_shares: int) -> None:
    ours, theirs = [], []
    for seed in range(1, 9):
        network = planted(n_shares, seed=seed)
        ours.append(infomap(network, seed=1, directed=False).quality or 0.0)
        theirs.append(whole_by_infomap(network, n_trials=1)[0])
    assert np.mean(ours) <= np.mean(theirs) + 0.01
