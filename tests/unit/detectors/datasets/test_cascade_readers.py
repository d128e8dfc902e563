from __future__ import annotations

import json
import lzma
from pathlib import Path

import numpy as np
import pytest

from detectors.datasets import catalogue, mediaeval2020, read_posts, twitter15, twitter16
from detectors.datasets.labelled import MissingDataset
from detectors.datasets.mediaeval2020 import BadGraph, read_graph
from detectors.metadata import FEATURES, FROM_TEXT

SOURCES = """cascade_id,label,cv_fold,source_text
900,false,1,"water, they say, is dry"
901,true,0,water is wet
"""
EDGES = """cascade_id,parent_user,parent_tweet,parent_minutes,child_user,child_tweet,child_minutes
900,ROOT,ROOT,0.0,u1,t1,0.0
900,u1,t1,0.0,u2,t1,1.5
900,u2,t1,1.5,u3,t9,1.0
900,u2,t1,1.5,u3,t9,0.5
901,ROOT,ROOT,0.0,u1,t2,0.0
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "twitter15").mkdir()
    for name, text in (("sources", SOURCES), ("edges", EDGES)):
        (tmp_path / "twitter15" / f"{name}.csv.xz").write_bytes(lzma.compress(text.encode()))
    return tmp_path


def test_twitter15(folder: Path) -> None:
    first, second = twitter15.read(folder)
    assert (first.label, first.text, first.author) == ("false", "water, they say, is dry", "u1")
    assert (second.label, second.cascade.n_nodes) == ("true", 1)
    cascade = first.cascade  # nodes: u1/t1, u2/t1, u3/t9
    assert (cascade.platform, cascade.root_id) == ("x", "900")
    assert (cascade.n_nodes, cascade.root) == (3, 0)
    assert cascade.source.tolist() == [0, 1]
    assert cascade.target.tolist() == [1, 2]
    assert cascade.delay_seconds.tolist() == [0, 90, 30], "the earliest of two times"
    assert cascade.metadata["reply"].tolist() == [0, 0, 1], "another tweet than the source"


def test_twitter15_s_texts(folder: Path, tmp_path: Path) -> None:
    first, second = read_posts(twitter15.TEXTS, folder / "twitter15")
    assert (first.label, first.text, first.author_id) == (
        "likely_false",
        "water, they say, is dry",
        "u1",
    )
    assert (second.label, second.split, second.post_id) == ("likely_true", None, "twitter15:901")
    unsettled = SOURCES.replace("901,true", "901,unverified").encode()
    (tmp_path / "twitter15" / "sources.csv.xz").write_bytes(lzma.compress(unsettled))
    assert len(read_posts(twitter15.TEXTS, folder / "twitter15")) == 1


TREE = """['ROOT', 'ROOT', '0.0']->['u1', '900', '0.0']
['u1', '900', '0.0']->['u2', '900', '1.5']
['u2', '900', '1.5']->['u3', '999', '1.0']
['u2', '900', '1.5']->['u3', '999', '0.5']
"""


@pytest.fixture
def sixteen(tmp_path: Path) -> Path:
    folder = tmp_path / "twitter16"
    (folder / "tree").mkdir(parents=True)
    (folder / "label.txt").write_text("false:900\nnon-rumor:901\ntrue:902\n")
    (folder / "source_tweets.txt").write_text(
        "900\twater, they say, is dry\n902\twater is wet URL\n901\thello\n"
    )
    for tweet in ("900", "901", "902"):
        (folder / "tree" / f"{tweet}.txt").write_text(TREE.replace("900", tweet))
    return folder


def test_twitter16(sixteen: Path, folder: Path) -> None:
    found = list(twitter16.read(sixteen.parent))
    assert [(one.label, one.cascade.root_id) for one in found] == [
        ("false", "900"),
        ("non-rumor", "901"),
        ("true", "902"),
    ]
    assert (found[0].text, found[0].author) == ("water, they say, is dry", "u1")
    ours, other = found[0].cascade, next(twitter15.read(folder)).cascade
    assert ours.delay_seconds.tolist() == [0, 90, 30]
    assert ours.source.tolist() == other.source.tolist()
    assert ours.metadata["reply"].tolist() == other.metadata["reply"].tolist()
    assert catalogue.count("twitter16", sixteen.parent) == 3
    assert catalogue.count("twitter16_texts", sixteen.parent) == 2
    first, second = read_posts(twitter16.TEXTS, sixteen)
    assert (first.post_id, first.label, first.author_id) == ("twitter16:900", "likely_false", "u1")
    assert (second.text, second.label) == ("water is wet URL", "likely_true")


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("label.txt", "false:900\nhoax:902\n", r"label.txt, line 2: 'hoax:902' is not a class"),
        (
            "label.txt",
            "false:903\n",
            r"line 1: 'false:903' is not a class .* a tweet of source",
        ),
        ("tree/900.txt", "u1 u2\n", r"900.txt, line 1: not \['user', 'tweet', 'minutes'\]->"),
    ],
)
def test_lines_unlike_those_of_twitter16_are_told(
    file: str, text: str, message: str, sixteen: Path
) -> None:
    (sixteen / file).write_text(text)
    with pytest.raises(MissingDataset, match=message):
        list(read_posts(twitter16.TEXTS, sixteen))


def test_a_tree_that_is_not_there_is_told(sixteen: Path) -> None:
    (sixteen / "tree" / "901.txt").unlink()
    with pytest.raises(MissingDataset, match=r"no 901.txt .* in .*tree: put the published file"):
        list(twitter16.read(sixteen.parent))


TWEET = {
    "id": 1240000000000000001,
    "id_str": "1240000000000000001",
    "created_at": "Mon Apr 06 18:30:00 +0000 2020",
    "full_text": "5G towers made us ill https://t.co/x",
    "lang": "en",
    "retweet_count": 4,
    "favorite_count": 0,
    "user": {
        "id": 7,
        "id_str": "7",
        "created_at": "Sat Apr 06 18:30:00 +0000 2019",
        "followers_count": 12,
        "friends_count": 3,
        "listed_count": 1,
        "favourites_count": 5,
        "statuses_count": 80,
        "verified": False,
        "default_profile": True,
    },
}


@pytest.fixture
def twenty(tmp_path: Path) -> Path:
    for name in ("5g_corona_conspiracy", "other_conspiracy", "non_conspiracy"):
        bare = {"id": 5, "text": f"about {name}"}
        gone = {"id": 6, "full_text": " "}
        (tmp_path / f"{name}.json").write_text(json.dumps([TWEET, bare, gone]))
    return tmp_path


def test_tweets_of_mediaeval_2020(twenty: Path) -> None:
    found = read_posts(mediaeval2020.TEXTS, twenty)
    assert [post.label for post in found] == [c for c in mediaeval2020.CLASSES for _ in range(2)]
    first, bare = found[:2]
    assert (first.post_id, first.author_id, first.lang) == ("1240000000000000001", "7", "en")
    assert str(first.posted_at) == "2020-04-06 18:30:00+00:00"
    assert first.attributes == {
        "retweets": 4.0,
        "likes": 0.0,
        "sensitive": None,
        "followers": 12.0,
        "following": 3.0,
        "times_listed": 1.0,
        "likes_given": 5.0,
        "n_posts": 80.0,
        "verified": 0.0,
        "account_age_days": 366.0,
        "profile_edited": 0.0,
    }
    assert (bare.post_id, bare.text, bare.author_id) == ("5", "about 5g_corona_conspiracy", None)
    assert set(bare.attributes.values()) == {None}, "what is not said is unknown, not 0"
    names = {feature.name for feature in FEATURES if feature.name not in FROM_TEXT}
    assert names - {"hour"} == set(first.attributes), "all that no text says"


def test_files_that_are_not_mediaeval_s_are_told(twenty: Path) -> None:
    (twenty / "other_conspiracy.json").write_text('{"id": 5}')
    with pytest.raises(MissingDataset, match=r"other_conspiracy.json is not an array of tweets"):
        read_posts(mediaeval2020.TEXTS, twenty)
    (twenty / "other_conspiracy.json").write_text("[{")
    with pytest.raises(MissingDataset, match=r"other_conspiracy.json is not JSON"):
        read_posts(mediaeval2020.TEXTS, twenty)


def test_twitter15_as_published(data: Path) -> None:
    found = list(twitter15.read(data))
    assert len(found) == 1490
    labels = [example.label for example in found]
    assert [labels.count(name) for name in twitter15.CLASSES] == [372, 370, 374, 374]
    cascades = [example.cascade for example in found]
    assert sum(cascade.n_nodes for cascade in cascades) == 599_196
    assert sum(len(cascade.source) for cascade in cascades) == 605_067
    back_in_time = sum(
        int((c.delay_seconds[c.target] < c.delay_seconds[c.source]).sum()) for c in cascades
    )
    # 7,025 of 622,968 rows do; of each node's times the earliest is kept, and each edge once
    assert back_in_time == 3651
    assert all(not np.isnan(c.delay_seconds).any() for c in cascades)


def tweet_folder(root: Path, name: str, edges: str, nodes: str | None) -> Path:
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "edges.txt").write_text(edges)
    if nodes is not None:
        (folder / "nodes.csv").write_text(nodes)
    return folder


NODES = "id,time,friends,followers\n7,0,10,8\n5,60,,900\n9,,3,4\n"


def test_a_graph_of_nodes_and_edges(tmp_path: Path) -> None:
    found = read_graph(tweet_folder(tmp_path, "17", "7 5\n5 7\n\n7 5\n", NODES))
    assert (found.root_id, found.n_nodes, found.root) == ("17", 3, -1)  # nodes 5, 7, 9
    assert found.source.tolist() == [0, 1]
    assert found.target.tolist() == [1, 0]
    assert found.delay_seconds[:2].tolist() == [60, 0]
    assert np.isnan(found.delay_seconds[2])
    assert found.metadata["followers"].tolist() == [900, 8, 4]
    assert np.isnan(found.metadata["friends"][0]), "an empty field is unknown"


def test_edges_without_nodes_and_turned_round(tmp_path: Path) -> None:
    folder = tweet_folder(tmp_path, "1", "1 2\n1 3\n", None)
    there, back = read_graph(folder), read_graph(folder, is_follower_first=True)
    assert there.source.tolist() == back.target.tolist() == [0, 0]
    assert np.isnan(there.metadata["friends"]).all()


def test_the_folders_of_both_releases(tmp_path: Path) -> None:
    for name in ("5g_corona_conspiracy/2", "5g_corona_conspiracy/10", "Other_Graphs/1"):
        tweet_folder(tmp_path, name, "1 2\n", NODES)
    tweet_folder(tmp_path, "non_conspiracy/1", "1 2\n", NODES)
    found = [(e.label, e.cascade.root_id) for e in mediaeval2020.read(tmp_path)]
    assert found == [
        ("5g_conspiracy", "2"),
        ("5g_conspiracy", "10"),
        ("other_conspiracy", "1"),
        ("non_conspiracy", "1"),
    ]
    assert {label for label, _ in found} == set(mediaeval2020.CLASSES)


@pytest.mark.parametrize(
    ("edges", "nodes", "message"),
    [
        ("1 2 3\n", NODES, r"edges.txt, line 1: 3 words instead of two user ids"),
        ("1 2\n", "id,when\n1,2\n", r"nodes.csv, line 2: not id,time,friends,followers"),
        ("1 2\n", NODES + "6,soon,1,1\n", r"nodes.csv, line 5: not id,time,friends,followers"),
    ],
)
def test_what_is_no_graph_is_told(tmp_path: Path, edges: str, nodes: str, message: str) -> None:
    with pytest.raises(BadGraph, match=message):
        read_graph(tweet_folder(tmp_path, "1", edges, nodes))


def test_a_folder_without_edges_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadGraph, match="cannot be read"):
        read_graph(tmp_path)
