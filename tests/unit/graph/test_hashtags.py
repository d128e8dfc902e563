import pytest

from graph.hashtags import build_hashtag_network


def test_pairs_of_each_post_are_counted_with_its_weight() -> None:
    net = build_hashtag_network([({"c", "a", "b"}, 1), ({"b", "a"}, 4), ({"d"}, 2), (set(), 9)])
    assert net.tags == ("a", "b", "c", "d")
    assert net.uses.tolist() == [5, 5, 1, 2]
    edges = zip(net.tag_a.tolist(), net.tag_b.tolist(), net.weight.tolist(), strict=True)
    assert list(edges) == [(0, 1, 5), (0, 2, 1), (1, 2, 1)]


def test_a_tag_written_twice_in_a_post_counts_once() -> None:
    net = build_hashtag_network([(["a", "a", "b"], 1)])
    assert net.uses.tolist() == [1, 1]
    assert net.weight.tolist() == [1]


def test_k_tags_make_k_times_k_minus_one_half_pairs() -> None:
    net = build_hashtag_network([([f"t{i:02}" for i in range(30)], 1)])
    assert len(net.weight) == 435
    assert (net.tag_a < net.tag_b).all()


def test_order_does_not_matter() -> None:
    posts = [(["x", "b"], 1), (["b", "a", "x"], 2), (["a"], 3)]
    one, other = build_hashtag_network(posts), build_hashtag_network(posts[::-1])
    assert one.tags == other.tags
    assert one.uses.tolist() == other.uses.tolist() == [5, 3, 3]
    assert one.weight.tolist() == other.weight.tolist()


def test_nothing() -> None:
    net = build_hashtag_network([])
    assert net.tags == ()
    assert net.weight.shape == net.tag_a.shape == (0,)


def test_a_post_cannot_count_less_than_nothing() -> None:
    with pytest.raises(ValueError, match="-1 times"):
        build_hashtag_network([({"a"}, -1)])
