import random

import numpy as np
import pytest
from numpy.typing import NDArray

from graph.layout import layout_network, separate


def distances(points: NDArray[np.float32]) -> NDArray[np.float64]:
    """(n, n) between all pairs, the diagonal infinite."""
    between: NDArray[np.float64] = np.linalg.norm(
        points[:, None].astype(float) - points[None], axis=2
    )
    np.fill_diagonal(between, np.inf)
    return between


def blocks(n_blocks: int = 3, size: int = 40) -> tuple[list[int], list[int]]:
    draw = random.Random(1)
    edges = [
        (block * size + i, block * size + draw.randrange(size))
        for block in range(n_blocks)
        for i in range(size)
        for _ in range(5)
    ]
    edges += [(block * size, (block + 1) % n_blocks * size) for block in range(n_blocks)]
    source, target = zip(*edges, strict=True)
    return list(source), list(target)


def test_positions_fill_the_square_and_repeat_with_the_seed() -> None:
    source, target = blocks()
    points = layout_network(source, target, [1] * len(source), 120, seed=1)
    assert points.dtype == np.float32
    assert points.shape == (120, 2)
    assert np.abs(points).max() == 1.0
    random.random()
    again = layout_network(source, target, [1] * len(source), 120, seed=1)
    assert (points == again).all()
    assert (points != layout_network(source, target, [1] * len(source), 120, seed=2)).any()


def test_neither_order_nor_direction_of_edges_matters() -> None:
    source, target = blocks()
    points = layout_network(source, target, [1] * len(source), 120, seed=1)
    turned = layout_network(target[::-1], source[::-1], [1] * len(source), 120, seed=1)
    assert (points == turned).all()


def test_planted_blocks_are_apart() -> None:
    source, target = blocks()
    points = layout_network(source, target, [1] * len(source), 120, seed=1)
    middles = points.reshape(3, 40, 2).mean(axis=1)
    nearest = np.linalg.norm(points[:, None] - middles[None], axis=2).argmin(axis=1)
    assert (nearest == np.repeat([0, 1, 2], 40)).mean() > 0.95


def test_leaves_of_a_star_surround_their_hub() -> None:
    points = layout_network([0] * 20, list(range(1, 21)), [1] * 20, 21, seed=1).astype(float)
    reach = np.linalg.norm(points[1:] - points[0], axis=1)
    assert reach.max() / reach.min() < 5
    angles = np.sort(np.arctan2(*(points[1:] - points[0]).T))
    assert np.diff(np.r_[angles, angles[0] + 2 * np.pi]).max() < 1.0


def test_many_small_stars_do_not_overlap() -> None:
    hubs = np.repeat(np.arange(50) * 5, 4)
    leaves = hubs + np.tile([1, 2, 3, 4], 50)
    points = layout_network(hubs, leaves, np.ones(200), 250, seed=1)
    star = np.arange(250) // 5
    between = distances(points)
    inside = between[hubs, leaves].max()
    other_hubs = between[np.ix_(np.arange(50) * 5, np.arange(50) * 5)].min()
    assert other_hubs > inside
    assert (star[between.argmin(axis=1)] == star).all()


def test_discs_of_all_sizes_are_pushed_apart() -> None:
    draw = np.random.default_rng(1)
    radius = draw.choice([0.5, 1.0, 4.0], size=60, p=[0.7, 0.25, 0.05])
    points = draw.uniform(-6, 6, size=(60, 2))

    def overlap(where: NDArray[np.float64]) -> float:
        between = np.linalg.norm(where[:, None] - where[None], axis=2)
        np.fill_diagonal(between, np.inf)
        return float((radius[:, None] + radius[None] - between).max())

    apart = separate(points, radius)
    assert overlap(points) > 1
    assert overlap(apart) < 0.3


def test_the_greater_disc_gives_way_less() -> None:
    points, radius = np.array([[0.0, 0.0], [2.0, 0.0]]), np.array([2.0, 1.0])
    moved = np.abs(separate(points, radius) - points)[:, 0]
    # by areas 4 : 1, so of the missing unit it moves one fifth
    assert moved.tolist() == pytest.approx([0.2, 0.8], abs=1e-2)


def test_leaves_stay_clear_of_other_hubs() -> None:
    # a ring of 40 hubs with ten leaves each: without room for the leaves, they would mix
    hubs = np.arange(40)
    source, target = np.r_[hubs, np.repeat(hubs, 10)], np.r_[(hubs + 1) % 40, np.arange(40, 440)]
    points = layout_network(source, target, np.ones(len(source)), 440, seed=1)
    nearest = np.linalg.norm(points[40:, None] - points[None, :40], axis=2).argmin(axis=1)
    assert (nearest == np.repeat(hubs, 10)).mean() > 0.98


def test_the_greatest_part_is_in_the_middle() -> None:
    chain = list(range(9))
    source, target = [*chain, 10, 12, 14, 16], [*(i + 1 for i in chain), 11, 13, 15, 17]
    points = layout_network(source, target, [1] * len(source), 18, seed=1)
    away = np.linalg.norm(points, axis=1)
    assert away[:10].max() < away[10:].min()


@pytest.mark.parametrize("n_nodes", [1, 2, 7, 100])
def test_nodes_without_edges_do_not_share_a_place(n_nodes: int) -> None:
    points = layout_network([], [], [], n_nodes, seed=1)
    assert points.shape == (n_nodes, 2)
    assert len({tuple(point) for point in points.tolist()}) == n_nodes


def test_loops_are_ignored() -> None:
    with_loop = layout_network([0, 0], [1, 0], [1, 9], 3, seed=1)
    assert (with_loop == layout_network([0], [1], [1], 3, seed=1)).all()


def test_nothing() -> None:
    assert layout_network([], [], [], 0, seed=1).shape == (0, 2)


@pytest.mark.parametrize("end", [-1, 3])
def test_edges_end_at_nodes(end: int) -> None:
    with pytest.raises(ValueError, match="outside the 3 nodes"):
        layout_network([0], [end], [1], 3, seed=1)
