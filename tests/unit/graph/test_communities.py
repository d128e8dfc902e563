import random
from collections.abc import Callable
from itertools import permutations

import igraph
import infomap as infomap_package
import networkx
import numpy as np
import pytest

from graph.communities import (
    INFOMAP_FLAGS,
    LARGE_LINKS,
    LARGE_TOLERANCE,
    Communities,
    infomap,
    leiden,
    louvain,
    louvain_runs,
    modularity,
    params_hash,
    renumber,
)
from graph.randomness import seeded_igraph
from graph.users import (
    UserNetwork,
    build_user_network,
    build_user_network_of_ids,
    collapse,
)
from tests.bench.planted import planted_shares

Finder = Callable[..., Communities]
FINDERS = pytest.mark.parametrize("find", [louvain, leiden, infomap])


def two_cliques() -> UserNetwork:
    """Users a to e and f to j share each other once each way; a is shared by f as well."""
    shares = [*permutations("abcde", 2), *permutations("fghij", 2), ("a", "f")]
    shared, sharers = zip(*shares, strict=True)
    return build_user_network(shared, sharers)


def noise(n_users: int = 60, n_shares: int = 200) -> UserNetwork:
    draw = random.Random(5)
    users = [f"u{i:02}" for i in range(n_users)]
    return build_user_network(draw.choices(users, k=n_shares), draw.choices(users, k=n_shares))


def turned(network: UserNetwork) -> UserNetwork:
    """The same shares with sharers and shared exchanged."""
    source, target = (np.repeat(end, network.weight) for end in (network.source, network.target))
    return build_user_network(
        [network.users[i] for i in target], [network.users[i] for i in source]
    )


def undirected(network: UserNetwork) -> networkx.Graph:
    graph = networkx.Graph()
    graph.add_nodes_from(range(network.n_users))
    for a, b, weight in zip(
        network.source.tolist(), network.target.tolist(), network.weight.tolist(), strict=True
    ):
        before = graph.get_edge_data(a, b, {"weight": 0})["weight"]
        graph.add_edge(a, b, weight=before + weight)
    return graph


def as_sets(membership: np.ndarray) -> list[set[int]]:
    return [set(np.flatnonzero(membership == c).tolist()) for c in range(int(membership.max()) + 1)]


@FINDERS
def test_two_planted_cliques_are_found(find: Finder) -> None:
    found = find(two_cliques(), seed=1)
    assert found.membership.tolist() == [0] * 5 + [1] * 5
    assert found.n_communities == 2


@FINDERS
def test_parts_that_are_not_connected_are_never_one_community(find: Finder) -> None:
    hubs, leaves = ["a"] * 6 + ["b"] * 4, [f"x{i}" for i in range(10)]
    part = np.array([0, 1] + [0] * 6 + [1] * 4)
    membership = find(build_user_network(hubs, leaves), seed=1).membership
    assert membership[0] != membership[1]
    assert set(membership[part == 0]).isdisjoint(membership[part == 1])


def test_undirected_infomap_keeps_stars_whole() -> None:
    hubs, leaves = ["a"] * 6 + ["b"] * 4, [f"x{i}" for i in range(10)]
    found = infomap(build_user_network(hubs, leaves), seed=1, directed=False)
    assert found.membership.tolist() == [0, 1] + [0] * 6 + [1] * 4
    assert found.parameters["flow_model"] == "undirected"


@pytest.mark.parametrize("directed", [True, False])
def test_infomap_gives_what_the_public_interface_of_its_package_gives(directed: bool) -> None:
    chance = np.random.default_rng(5)
    ends = chance.integers(0, 60, (2, 300)).astype(str).tolist()
    network = build_user_network(*ends)
    found = infomap(network, seed=3, n_trials=2, directed=directed)
    source, target, weight = network.source, network.target, network.weight
    if not directed:
        source, target, weight = collapse(source, target, weight, network.n_users)
    engine = infomap_package.Network()
    engine.add_links(np.column_stack([source, target, weight]).astype(np.float64))
    model = "directed" if directed else "undirected"
    result = engine.run(options={**INFOMAP_FLAGS, "flow_model": model, "seed": 3, "num_trials": 2})
    modules = result.modules()
    assert found.quality == round(result.codelength, 9)
    told = renumber(np.array([modules[user] for user in range(network.n_users)]))
    assert found.membership.tolist() == told.tolist()


def test_undirected_infomap_does_not_see_the_direction() -> None:
    network = noise()
    one, other = (infomap(net, seed=1, directed=False) for net in (network, turned(network)))
    assert one.membership.tolist() == other.membership.tolist()
    assert one.quality == other.quality


@FINDERS
def test_the_seed_alone_decides(find: Finder) -> None:
    network = noise()
    first = find(network, seed=3)
    random.random()
    find(network, seed=4)
    again = find(network, seed=3)
    assert first.membership.tolist() == again.membership.tolist()
    assert first.quality == again.quality


def test_the_seed_reaches_louvain() -> None:
    network = noise()
    found = {tuple(louvain(network, seed=seed).membership.tolist()) for seed in range(1, 11)}
    assert len(found) > 1


def test_the_seed_reaches_leiden() -> None:
    network = noise()
    found = {tuple(leiden(network, seed=seed).membership.tolist()) for seed in range(1, 11)}
    assert len(found) > 1


def test_the_seed_reaches_infomap() -> None:
    network = noise()
    found = {tuple(infomap(network, seed=seed).membership.tolist()) for seed in range(1, 11)}
    assert len(found) > 1


def test_pythons_random_numbers_are_left_alone() -> None:
    random.seed(9)
    expected = random.random()
    random.seed(9)
    louvain(noise(), seed=3)
    assert random.random() == expected


def test_igraph_draws_from_random_again_afterwards() -> None:
    louvain(noise(), seed=3)
    random.seed(2)
    first = igraph.Graph.Erdos_Renyi(n=30, m=60).get_edgelist()
    random.seed(2)
    assert igraph.Graph.Erdos_Renyi(n=30, m=60).get_edgelist() == first
    random.seed(1)
    assert igraph.Graph.Erdos_Renyi(n=30, m=60).get_edgelist() != first


@pytest.mark.parametrize("resolution", [0.5, 1.0, 2.0])
def test_louvains_quality_is_networkx_modularity_of_the_same_partition(resolution: float) -> None:
    network = noise()
    found = louvain(network, seed=1, resolution=resolution)
    expected = networkx.community.modularity(
        undirected(network), as_sets(found.membership), resolution=resolution
    )
    assert found.quality_name == "modularity"
    assert found.quality == pytest.approx(expected, abs=1e-9)


def test_modularity_of_two_cliques_by_hand() -> None:
    # 41 shares, 20 inside each clique; the ends of each are 2 * 20 + 1
    expected = 40 / 41 - 2 * (41 / 82) ** 2
    membership = np.array([0] * 5 + [1] * 5)
    assert modularity(two_cliques(), membership) == pytest.approx(expected, abs=1e-9)


def test_louvain_is_as_good_as_networkx() -> None:
    network = noise()
    peer = networkx.community.louvain_communities(undirected(network), seed=1)
    quality = louvain(network, seed=1).quality
    assert quality is not None
    assert quality >= networkx.community.modularity(undirected(network), peer) - 0.02


def test_louvain_does_not_see_the_direction() -> None:
    network = noise()
    one, other = louvain(network, seed=1), louvain(turned(network), seed=1)
    assert one.membership.tolist() == other.membership.tolist()


def test_weights_decide_where_edges_do_not() -> None:
    # a square a-b-c-d: only the weights say which opposite sides belong together
    shares = [("a", "b")] * 9 + [("c", "d")] * 9 + [("b", "c"), ("d", "a")]
    shared, sharers = zip(*shares, strict=True)
    assert louvain(build_user_network(shared, sharers), seed=1).membership.tolist() == [0, 0, 1, 1]


def test_codelength_of_one_community_by_hand() -> None:
    # two users who share each other: half of the steps visit each, so one bit per step
    found = infomap(build_user_network(["a", "b"], ["b", "a"]), seed=1)
    assert found.membership.tolist() == [0, 0]
    assert (found.quality, found.quality_name) == (1.0, "codelength")


def test_more_trials_are_never_worse() -> None:
    network = noise()
    one, ten = infomap(network, seed=1, n_trials=1), infomap(network, seed=1, n_trials=10)
    assert one.quality is not None
    assert ten.quality is not None
    assert ten.quality <= one.quality
    assert ten.parameters["n_trials"] == 10


def test_infomap_walks_from_the_shared_to_the_sharer() -> None:
    # one shared by two: every step ends at one of two sharers, one bit
    assert infomap(build_user_network(["a", "a"], ["b", "c"]), seed=1).quality == 1.0
    # two shared by one: every step ends at the same sharer, nothing to tell
    assert infomap(build_user_network(["b", "c"], ["a", "a"]), seed=1).quality == 0.0


@FINDERS
def test_how_it_was_found_is_told(find: Finder) -> None:
    found = find(two_cliques(), seed=7)
    version = infomap_package.__version__ if find is infomap else igraph.__version__
    assert (found.seed, found.version) == (7, version)
    assert found.params_hash == params_hash(found.algorithm, found.parameters, 7, version)


def test_every_infomap_flag_is_told() -> None:
    told = {**INFOMAP_FLAGS, "flow_model": "directed", "n_trials": 2}
    assert infomap(two_cliques(), seed=1).parameters == told


def test_params_hash_depends_on_everything_but_the_order_of_parameters() -> None:
    base = params_hash("louvain", {"a": 1, "b": 2}, 1, "1.0")
    assert len(base) == 12
    assert int(base, 16) >= 0
    assert base == params_hash("louvain", {"b": 2, "a": 1}, 1, "1.0")
    others = {
        params_hash("infomap", {"a": 1, "b": 2}, 1, "1.0"),
        params_hash("louvain", {"a": 1, "b": 3}, 1, "1.0"),
        params_hash("louvain", {"a": 1, "b": 2}, 2, "1.0"),
        params_hash("louvain", {"a": 1, "b": 2}, 1, "1.1"),
    }
    assert len(others | {base}) == 5


def test_communities_are_numbered_by_size_then_smallest_member() -> None:
    assert renumber(np.array([5, 9, 2, 9, 5, 2, 2])).tolist() == [1, 2, 0, 2, 1, 0, 0]


@FINDERS
def test_without_shares_there_is_nothing_to_measure(find: Finder) -> None:
    found = find(build_user_network([], []), seed=1)
    assert (found.n_communities, found.quality) == (0, None)
    assert found.membership.shape == (0,)


@FINDERS
def test_a_user_without_edges_stays_alone(find: Finder) -> None:
    none = np.empty(0, dtype=np.int64)
    network = UserNetwork(
        users=("a", "b", "c", "d"),
        source=np.array([0, 3]),
        target=np.array([3, 0]),
        weight=np.array([1, 1]),
        n_shares=2,
        n_self_shares=0,
        n_unknown_authors=0,
    )
    assert find(network, seed=1).membership.tolist() == [0, 1, 2, 0]
    lonely = UserNetwork(
        users=("a", "b"), source=none, target=none, weight=none,
        n_shares=0, n_self_shares=0, n_unknown_authors=0,
    )  # fmt: skip
    assert find(lonely, seed=1).membership.tolist() == [0, 1]
    assert find(lonely, seed=1).quality is None


@FINDERS
def test_seeds_start_at_one(find: Finder) -> None:
    with pytest.raises(ValueError, match="seed is 0"):
        find(two_cliques(), seed=0)


def test_other_parameters_are_checked() -> None:
    with pytest.raises(ValueError, match="n_trials"):
        infomap(two_cliques(), seed=1, n_trials=0)
    for find in (louvain, leiden):
        with pytest.raises(ValueError, match="resolution"):
            find(two_cliques(), seed=1, resolution=-1)
    with pytest.raises(ValueError, match="n_iterations"):
        leiden(two_cliques(), seed=1, n_iterations=0)


def test_every_community_of_leiden_is_connected() -> None:
    network = noise()
    graph = undirected(network)
    for seed in range(1, 6):
        for members in as_sets(leiden(network, seed=seed).membership):
            assert networkx.is_connected(graph.subgraph(members))


def large() -> UserNetwork:
    shared, sharers, _, _ = planted_shares(LARGE_LINKS + 4_000, seed=2)
    return build_user_network_of_ids(shared, sharers)


def test_a_large_network_is_partitioned_as_well_as_by_igraph() -> None:
    network = large()
    assert len(network.weight) >= LARGE_LINKS
    found = louvain(network, seed=3)
    assert found.version.startswith("scikit-network ")
    assert found.parameters == {"resolution": 1.0, "tolerance": LARGE_TOLERANCE}
    low, high, weight = network.undirected
    peer = igraph.Graph(n=network.n_users, edges=np.column_stack([low, high]))
    peer_quality = peer.community_multilevel(weights=weight.tolist()).q
    assert found.quality is not None
    assert found.quality >= peer_quality - 0.001
    again, other = louvain(network, seed=3), louvain(network, seed=4)
    assert found.membership.tolist() == again.membership.tolist()
    assert found.membership.tolist() != other.membership.tolist()


def test_a_large_network_is_undirected_as_well() -> None:
    shared, sharers, _, _ = planted_shares(LARGE_LINKS + 4_000, seed=2)
    one, other = (
        louvain(build_user_network_of_ids(*ends), seed=1)
        for ends in ((shared, sharers), (sharers, shared))
    )
    assert one.membership.tolist() == other.membership.tolist()


def test_resolution_reaches_the_engine_for_large_networks() -> None:
    network = large()
    few, many = (louvain(network, seed=1, resolution=r).n_communities for r in (0.3, 4.0))
    assert few < many


def test_louvain_is_what_igraph_gives() -> None:
    """We ask for all levels, since its answer without them leaks memory."""
    drawn = np.random.default_rng(3)
    for seed in range(1, 31):
        ends = drawn.integers(0, 20, size=(2, 15 * (1 + seed % 3)))
        network = build_user_network([f"u{i}" for i in ends[0]], [f"u{i}" for i in ends[1]])
        low, high, weight = network.undirected
        graph = igraph.Graph(n=network.n_users, edges=np.column_stack([low, high]))
        with seeded_igraph(seed):
            own = graph.community_multilevel(weights=weight.tolist()).membership
        expected = renumber(np.array(own, dtype=np.int64))
        assert louvain(network, seed=seed).membership.tolist() == expected.tolist()


def test_runs_alone_are_the_partitions_of_louvain() -> None:
    network = noise()
    runs = louvain_runs(network, [1, 2, 3])
    found = [louvain(network, seed=seed).membership for seed in (1, 2, 3)]
    assert [renumber(run).tolist() for run in runs] == [one.tolist() for one in found]
    with pytest.raises(ValueError, match="seed is 0"):
        louvain_runs(network, [1, 0])
