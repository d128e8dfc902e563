import numpy as np
import pytest
from sklearn.metrics import adjusted_mutual_info_score, mutual_info_score

from graph.communities import Communities, infomap, leiden, louvain
from graph.stability import (
    DENSE_CELLS,
    STABLE_FROM,
    adjusted_mutual_information,
    assess_stability,
    contingency,
    find_consensus,
    find_stars,
    mutual_information,
    say_stability,
    variation_of_information,
)
from graph.users import UserNetwork, build_user_network
from tests.bench.planted import planted_shares


def planted(n_shares: int = 600, cross: float = 0.2) -> tuple[UserNetwork, np.ndarray]:
    """A planted network and the true community of each of its users."""
    shared, sharers, accounts, truth = planted_shares(n_shares, seed=4, cross=cross)
    network = build_user_network(shared.astype(str).tolist(), sharers.astype(str).tolist())
    return network, truth[np.searchsorted(accounts, np.array(network.users, dtype=np.int64))]


@pytest.mark.parametrize("seed", range(5))
def test_agreement_is_that_of_scikit_learn(seed: int) -> None:
    chance = np.random.default_rng(seed)
    one, other = chance.integers(0, 8, 120), chance.integers(0, 15, 120)
    assert adjusted_mutual_information(one, other) == pytest.approx(
        adjusted_mutual_info_score(one, other), abs=1e-9
    )
    assert mutual_information(one, other) * np.log(2) == pytest.approx(
        mutual_info_score(one, other), abs=1e-9
    )


def test_partitions_of_single_users_and_of_everybody() -> None:
    alone, whole = np.arange(5), np.zeros(5, dtype=np.int64)
    assert adjusted_mutual_information(alone, alone) == 1.0
    assert adjusted_mutual_information(whole, whole) == 1.0
    assert adjusted_mutual_information(alone, whole) == pytest.approx(0.0)
    assert variation_of_information(alone, whole) == pytest.approx(np.log2(5))


def test_partitions_of_different_users_are_refused() -> None:
    with pytest.raises(ValueError, match="3 and of 2"):
        adjusted_mutual_information(np.zeros(3, dtype=int), np.zeros(2, dtype=int))


def test_a_cluster_that_runs_do_not_find_again_is_unstable() -> None:
    kept = [0, 0, 0, 0, 1, 1, 1, 1]
    runs = [np.array(kept), np.array([0, 0, 0, 0, 1, 2, 3, 4]), np.array([0, 0, 0, 0, 1, 2, 3, 4])]
    found = assess_stability(np.array(kept), runs)
    assert found.stability.tolist() == pytest.approx([1.0, (1 + 0.25 + 0.25) / 3])
    assert found.is_unstable.tolist() == [False, True]
    assert found.mean_ami < 1
    assert found.mean_vi_bits > 0


def test_agreement_needs_two_runs() -> None:
    a = np.array([0, 0])
    with pytest.raises(ValueError, match="at least 2"):
        assess_stability(a, [a])
    with pytest.raises(ValueError, match="at least 2"):
        find_consensus(planted()[0], louvain, seeds=[1])


@pytest.mark.parametrize("find", [louvain, leiden, infomap])
def test_the_consensus_is_no_further_from_the_truth_than_a_run(find: object) -> None:
    network, truth = planted()
    runs = [find(network, seed=seed).membership for seed in range(1, 9)]  # type: ignore[operator]
    consensus = find_consensus(network, find, seeds=range(1, 9))  # type: ignore[arg-type]
    typical = np.median([adjusted_mutual_information(run, truth) for run in runs])
    assert adjusted_mutual_information(consensus.membership, truth) >= typical - 0.05
    assert consensus.stability.n_runs == 8
    assert len(consensus.stability.stability) == consensus.membership.max() + 1


def test_noise_is_less_stable_than_structure() -> None:
    planted_network, _ = planted(cross=0.05)
    noise, _ = planted(cross=1.0)
    clear, unclear = (
        find_consensus(network, louvain, seeds=range(1, 7)) for network in (planted_network, noise)
    )
    assert clear.stability.mean_ami > unclear.stability.mean_ami + 0.2
    assert clear.stability.is_unstable.mean() < unclear.stability.is_unstable.mean()


def test_a_consensus_does_not_depend_on_the_order_of_the_seeds() -> None:
    network, _ = planted()
    one, other = (find_consensus(network, louvain, seeds=s) for s in ([1, 2, 3], [3, 1, 2]))
    assert one.membership.tolist() == other.membership.tolist()


def test_users_who_share_nobody_stay_alone_in_a_consensus() -> None:
    network = UserNetwork(
        users=("a", "b", "c"),
        source=np.array([0]),
        target=np.array([1]),
        weight=np.array([1]),
        n_shares=1,
        n_self_shares=0,
        n_unknown_authors=0,
    )
    assert find_consensus(network, louvain, seeds=[1, 2]).membership.tolist() == [0, 0, 1]


def test_without_users_there_is_nothing_to_agree_on() -> None:
    found = find_consensus(build_user_network([], []), louvain, seeds=[1, 2])
    assert (len(found.membership), found.modularity, found.has_converged) == (0, None, True)


def circle(names: str) -> list[tuple[str, str]]:
    return list(zip(names, names[1:] + names[0], strict=True))


def test_one_account_with_its_audience_is_a_star_and_a_circle_is_none() -> None:
    shares = [("h", x) for x in "uvwxyz"] + circle("abcde")
    shared, sharers = zip(*shares, strict=True)
    network = build_user_network(shared, sharers)
    membership = np.array([int(user in "huvwxyz") for user in network.users])
    stars = find_stars(network, membership)
    assert stars.is_star.tolist() == [False, True]
    assert network.users[stars.hub[1]] == "h"
    assert stars.hub_share.tolist() == [pytest.approx(0.4), 1.0]


def test_an_account_that_shares_everybody_makes_a_star_as_well() -> None:
    network = build_user_network(list("uvwxyz"), ["h"] * 6)
    assert find_stars(network, np.zeros(7, dtype=np.int64)).is_star.tolist() == [True]


def test_self_shares_do_not_hide_a_star_nor_make_one() -> None:
    shares = circle("abcde") + [("a", "a")] * 100
    shared, sharers = zip(*shares, strict=True)
    stars = find_stars(build_user_network(shared, sharers), np.zeros(5, dtype=np.int64))
    assert stars.is_star.tolist() == [False]


def test_shares_between_clusters_make_no_star() -> None:
    shares = circle("abc") + circle("xyz") + [("a", other) for other in "xyz"] * 9
    shared, sharers = zip(*shares, strict=True)
    stars = find_stars(build_user_network(shared, sharers), np.array([0, 0, 0, 1, 1, 1]))
    assert stars.is_star.tolist() == [False, False]


def test_an_account_alone_is_no_community() -> None:
    network = build_user_network(["a"], ["b"])
    stars = find_stars(network, np.array([0, 1]))
    assert stars.is_star.tolist() == [True, True]
    assert stars.hub.tolist() == [-1, -1]


def test_a_cluster_says_what_it_is() -> None:
    shares = [("h", x) for x in "uvwxyz"] + circle("abcd") + circle("ijkl")
    shared, sharers = zip(*shares, strict=True)
    network = build_user_network(shared, sharers)
    membership = np.array([0 if u in "huvwxyz" else 1 + int(u in "ijkl") for u in network.users])
    apart = membership.copy()
    apart[membership == 2] = 2 + np.arange(4)
    stability = assess_stability(membership, [membership, apart])
    stars = find_stars(network, membership)
    said = [say_stability(stability, stars, cluster) for cluster in range(3)]
    assert said[0].startswith("no community: one account is an end of 100 %")
    assert said[1].startswith("stable")
    assert said[2].startswith("unstable: 2 runs")
    assert str(STABLE_FROM) in said[2]


def test_a_cluster_says_that_nothing_is_shared_inside() -> None:
    network, membership = build_user_network(["a"], ["b"]), np.array([0, 1])
    stability = assess_stability(membership, [membership, membership])
    said = say_stability(stability, find_stars(network, membership), 1)
    assert said == "no community: nothing is shared inside"


def test_a_community_of_leiden_is_a_partition_with_its_story() -> None:
    network, _ = planted()
    found: Communities = leiden(network, seed=2, n_iterations=3)
    assert found.algorithm == "leiden"
    assert found.parameters == {"resolution": 1.0, "n_iterations": 3}


def test_who_meets_is_counted_the_same_way_however_many_clusters_there_are() -> None:
    draw = np.random.default_rng(4)
    one, other = draw.integers(0, 3, 500), draw.integers(0, 4, 500)
    few = contingency(one, other)
    many = contingency(one * DENSE_CELLS, other)  # as many possible pairs as are sorted instead
    assert few[0].tolist() == (many[0] // DENSE_CELLS).tolist()
    assert [c.tolist() for c in few[1:]] == [c.tolist() for c in many[1:]]
