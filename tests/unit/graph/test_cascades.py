import csv
import lzma
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from graph.cascades import (
    Forest,
    build_forest,
    count_breadth,
    explain_depth,
    measure_cascades,
    time_to,
)

SECOND = 1_000_000


def forest_of(*rows: tuple[str, str | None, int, str | None]) -> Forest:
    """Rows are (id, parent, seconds, user)."""
    ids, parents, seconds, users = zip(*rows, strict=True) if rows else ([], [], [], [])
    return build_forest(ids, parents, [s * SECOND for s in seconds], users)


def test_a_tree_by_hand() -> None:
    forest = forest_of(
        ("r", None, 0, "ann"),
        ("a", "r", 10, "bob"),
        ("b", "r", 20, "cyd"),
        ("c", "a", 30, "bob"),
        ("d", "c", 100, None),
    )
    shapes = measure_cascades(forest)
    assert shapes.top_ids == ("r",)
    assert [x.tolist() for x in (shapes.size, shapes.n_users, shapes.depth, shapes.breadth)] == [
        [5],
        [3],
        [3],
        [2],
    ]
    # pairs: ra1 rb1 rc2 rd3 ab2 ac1 ad2 bc3 bd4 cd1 = 20 over 10 pairs
    assert shapes.structural_virality.tolist() == [2.0]
    assert shapes.half_life_seconds.tolist() == [20.0]
    assert shapes.duration_seconds.tolist() == [100.0]
    assert [time_to(forest, k).tolist() for k in (1, 4)] == [[10.0], [100.0]]
    assert np.isnan(time_to(forest, 5)).all()
    breadths = count_breadth(forest)
    assert list(zip(breadths.depth.tolist(), breadths.n_posts.tolist(), strict=True)) == [
        (0, 1), (1, 2), (2, 1), (3, 1)
    ]  # fmt: skip


def test_a_post_alone_has_no_speed() -> None:
    shapes = measure_cascades(forest_of(("r", None, 5, "ann")))
    assert shapes.structural_virality.tolist() == [0.0]
    assert np.isnan(shapes.half_life_seconds).all()
    assert shapes.duration_seconds.tolist() == [0.0]


def test_a_parent_that_was_not_seen_begins_a_tree_that_says_so() -> None:
    forest = forest_of(("a", "gone", 0, "ann"), ("b", "a", 1, "bob"), ("r", None, 0, "cyd"))
    assert [forest.post_ids[i] for i in forest.top] == ["a", "r"]
    assert forest.is_cut.tolist() == [True, False]
    assert "1 of 2 trees begin at a post whose parent was not seen" in explain_depth(forest)


def test_a_post_that_names_itself_is_a_top() -> None:
    assert forest_of(("a", "a", 0, "ann")).is_cut.tolist() == [False]


def test_circles_are_cut_at_their_earliest_post() -> None:
    forest = forest_of(
        ("a", "c", 5, "u"), ("b", "a", 3, "u"), ("c", "b", 4, "u"), ("d", "c", 9, "u"),
        ("x", "y", 1, "u"), ("y", "x", 1, "u"), ("r", None, 0, "u"), ("s", "r", 1, "u"),
    )  # fmt: skip
    assert forest.n_circles == 2
    assert [forest.post_ids[i] for i in forest.top] == ["b", "r", "x"]
    assert forest.depth[forest.post_ids.index("d")] == 2
    assert (forest.tree >= 0).all()


def test_delays_that_go_back_are_kept_and_count_as_nothing() -> None:
    forest = forest_of(("r", None, 100, "u"), ("a", "r", 40, "v"), ("b", "r", 130, "w"))
    assert forest.goes_back.tolist() == [True, False, False]  # a, b, r
    assert forest.delay_seconds[0] == -60.0
    shapes = measure_cascades(forest)
    assert shapes.n_back_in_time.tolist() == [1]
    assert time_to(forest, 1).tolist() == [0.0]
    assert "1 posts claim to be older" in explain_depth(forest)


def test_depth_is_explained() -> None:
    star = forest_of(("r", None, 0, "u"), ("a", "r", 1, "v"))
    deep = forest_of(("r", None, 0, "u"), ("a", "r", 1, "v"), ("b", "a", 2, "w"))
    assert "depth 1" in explain_depth(star)
    assert "hidden" in explain_depth(star)
    assert "up to 2 steps" in explain_depth(deep)
    assert "no path" in explain_depth(forest_of(("r", None, 0, "u")))


def test_a_repeated_post_counts_once() -> None:
    once = forest_of(("r", None, 0, "u"), ("a", "r", 1, "v"))
    twice = forest_of(("a", "r", 1, "v"), ("r", None, 0, "u"), ("a", None, 7, None))
    assert twice.n_duplicates == 1
    assert twice.parent.tolist() == once.parent.tolist()


def test_a_long_chain_and_a_great_star() -> None:
    n = 3000
    chain = build_forest(
        [f"{i:05}" for i in range(n)],
        [None, *[f"{i:05}" for i in range(n - 1)]],
        range(n),
        [None] * n,
    )
    star = build_forest(
        [f"{i:05}" for i in range(n)], [None] + ["00000"] * (n - 1), range(n), [None] * n
    )
    shapes = measure_cascades(chain)
    assert shapes.structural_virality[0] == pytest.approx((n + 1) / 3)
    assert (shapes.depth[0], shapes.breadth[0]) == (n - 1, 1)
    assert measure_cascades(star).structural_virality[0] == pytest.approx(2 - 2 / n)


def test_nothing() -> None:
    shapes = measure_cascades(forest_of())
    assert shapes.size.shape == shapes.structural_virality.shape == (0,)


def test_bad_columns() -> None:
    with pytest.raises(ValueError, match="same length"):
        build_forest(["a"], [], [0], ["u"])
    with pytest.raises(ValueError, match="post id is empty"):
        build_forest([""], [None], [0], ["u"])
    with pytest.raises(ValueError, match="n_posts is 0"):
        time_to(forest_of(), 0)


def test_of_several_parents_the_one_that_can_be_true_is_kept() -> None:
    rows = [
        ("a", "gone", 5, "u"), ("a", "late", 5, "u"), ("a", "r", 5, "u"), ("a", None, 5, "u"),
        ("late", "r", 9, "v"), ("r", None, 0, "w"),
    ]  # fmt: skip
    forest = forest_of(*rows)
    assert forest.post_ids[forest.parent[0]] == "r"
    assert forest_of(*rows[::-1]).parent.tolist() == forest.parent.tolist()
    assert not forest.goes_back.any()


def test_twitter15_as_its_edges_say(data: Path) -> None:
    """A node is (cascade, user, tweet); the oracle is plain loops over the file."""
    parents_of: dict[str, set[str | None]] = defaultdict(set)
    times: dict[str, float] = {}
    rows: list[tuple[str, str | None, int, str | None]] = []
    n_edges_back = 0
    with lzma.open(data / "twitter15" / "edges.csv.xz", "rt", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            child, parent = (
                f"{row['cascade_id']} {row[f'{side}_user']} {row[f'{side}_tweet']}"
                for side in ("child", "parent")
            )
            named = None if row["parent_user"] == "ROOT" else parent
            minutes = float(row["child_minutes"])
            n_edges_back += named is not None and minutes < float(row["parent_minutes"])
            parents_of[child].add(named)
            times[child] = minutes
            rows.append((child, named, round(minutes * 60), row["child_user"]))
    assert n_edges_back == 7017
    forest = forest_of(*rows)
    shapes = measure_cascades(forest)
    assert list(forest.post_ids) == sorted(parents_of)
    assert forest.n_trees == len(shapes.size) == 1490 + forest.n_circles
    # a post whose every parent is younger has to go back in time, and no other does; where it is
    # on a circle it is the one without a parent
    must = [
        post
        for post, parents in parents_of.items()
        if None not in parents and all(times[p] > times[post] for p in parents if p)
    ]
    went_back = {forest.post_ids[i] for i in np.flatnonzero(forest.goes_back)}
    assert went_back == set(must) - set(shapes.top_ids)
    assert shapes.n_back_in_time.sum() == forest.goes_back.sum() > 0
    assert shapes.size.sum() == len(parents_of)
    assert not shapes.is_cut.any()
    assert (shapes.half_life_seconds[shapes.size > 1] >= 0).all()
    print(
        len(parents_of), "posts;", n_edges_back, "edges back in time,", len(must), "posts;",
        "size, depth, breadth, half-life (h), time to 100 (h), virality:",
        [
            np.nanquantile(x, [0.25, 0.5, 0.75]).round(2).tolist()
            for x in (
                shapes.size, shapes.depth, shapes.breadth, shapes.half_life_seconds / 3600,
                time_to(forest, 100) / 3600, shapes.structural_virality,
            )
        ],
    )  # fmt: skip
