"""Readers of sets of whole posts, on made-up rows in their formats and on the real files."""

from __future__ import annotations

import csv
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from detectors.datasets import POST_DATASETS, UnknownDataset, read_posts
from detectors.datasets.labelled import LabelledPost, MissingDataset
from detectors.datasets.mediaeval2016 import TEST_EVENTS, parse_timestamp
from detectors.datasets.weibo_2017 import FIELDS as WEIBO_FIELDS
from detectors.social.categories import FIELDS, categories_of
from tests.unit.detectors.image.pictures import encoded, photo

FALSE, TRUE = "likely_false", "likely_true"


def mediaeval_folder(folder: Path) -> Path:
    """Three posts in the set's own dress: padded columns, spaced times, a quote, no picture."""
    (folder / "images").mkdir()
    (folder / "images" / "boston_fake_03.jpg").write_bytes(encoded(photo(), "JPEG"))
    (folder / "posts.tsv").write_text(
        "post_id\tpost_text\tuser_id\timage_id(s)\tusername\ttimestamp\tlabel\n"
        '1\t"A quote that never ends\t7\tboston_fake_03,boston_fake_35\tu\t'
        "Wed Apr 17 18:57:37 +0000 2013\tfake\n"
        "2\tQuake\t8\t nepal_25\tu\tTue Mar 11 23: 59: 22 +0000 2014\treal\n"
        "3\tWhat\t9\tsandyB_real_01\tu\tyesterday\thumor\n"
        "4\tStorm\t9\tsandyB_real_01\tu\tyesterday\treal\n"
    )
    names = "post_id, num_questmark, num_exclammark, num_possentiwords, num_negsentiwords"
    more = ", num_mentions, num_hashtags, num_URLs, num_retweets"
    (folder / "post_features.csv").write_text(
        f"{names}{more}\n2,1,0,null,null,2,3,0,99\n1,0,2,1,0,0,1,1,0\n"
    )
    (folder / "user_features.csv").write_text(
        "post_id, num_friends, num_followers, times_listed, is_verified, num_posts\n"
        "1,5,0,null,true,9\n"
    )
    return folder


def test_mediaeval(tmp_path: Path) -> None:
    first, second, third = read_posts("mediaeval2016", mediaeval_folder(tmp_path))
    assert first == LabelledPost(
        dataset="mediaeval2016",
        split=None,
        post_id="1",
        text='"A quote that never ends',
        label="likely_false",
        event="boston",
        author_id="7",
        posted_at=datetime(2013, 4, 17, 18, 57, 37, tzinfo=UTC),
        image_ids=("boston_fake_03", "boston_fake_35"),
        images=(tmp_path / "images" / "boston_fake_03.jpg",),
        attributes={
            "n_links": 1,
            "n_hashtags": 1,
            "n_mentions": 0,
            "n_question_marks": 0,
            "n_exclamation_marks": 2,
            "n_positive_words": 1,
            "n_negative_words": 0,
            "followers": 0,
            "following": 5,
            "n_posts": 9,
            "times_listed": None,
            "verified": 1,
        },
        platform="x",
    )
    assert (second.split, second.event, second.images) == ("test", "nepal", ())
    assert second.posted_at == datetime(2014, 3, 11, 23, 59, 22, tzinfo=UTC)
    assert second.attributes["n_positive_words"] is None
    assert "followers" not in second.attributes
    assert (third.post_id, third.event, third.posted_at) == ("4", "sandy", None)
    assert third.attributes == {}
    known = categories_of(FIELDS, [first.attributes, third.attributes])
    assert (known[1] == 0).all()
    assert known[0, 7] == 1  # no followers is not "not known"


@pytest.mark.parametrize(
    "written",
    ["", "Tue Mar 32 23:59:22 +0000 2014", "Tue Mar 11 25:00:00 +0000 2014", "2014-03-11", "a\0"],
)
def test_times_that_cannot_be_read_are_unknown(written: str) -> None:
    assert parse_timestamp(written) is None


def weibo_folder(folder: Path) -> Path:
    columns = ["id", "label", "n_images", "text", "exclamation_mark", "question_mark", "@"]
    columns += ["sentiment_pos", "sentiment_neg", "sentiment_score", "hashtag", "people"]
    columns += ["location", "organization", "first_pronoun", "second_pronoun", "third_pronoun"]
    columns += ["URL", "words", "characters"]
    with (folder / "train.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerow(
            ["1", "fake", "9", "震惊，\n转发", "1.0", "2.0", "0.0", "0.0", "3.0", "-120.0"]
        )
        writer.writerow(["2", "real", "1", "", "", *["0.0"] * 15])
        writer.writerow(["3", "unknown", "1", "x", *["0.0"] * 16])
    return folder


def test_weibo(tmp_path: Path) -> None:
    first, second = read_posts("weibo_2017", weibo_folder(tmp_path))
    assert (first.label, first.lang, first.images, first.text) == (FALSE, "zh", (), "震惊，\n转发")
    assert first.attributes["n_exclamation_marks"] == 1
    assert first.attributes["sentiment_score"] == -120
    assert first.attributes["n_images"] == 9
    assert first.attributes["n_people"] is None  # the row ends before it
    assert (second.label, second.text) == (TRUE, "")
    assert second.attributes["n_exclamation_marks"] is None
    assert len(WEIBO_FIELDS) == 16


@pytest.mark.parametrize("name", POST_DATASETS)
def test_missing_file_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(MissingDataset, match=rf"no .* in .*{tmp_path.name}"):
        read_posts(name, tmp_path)


@pytest.mark.parametrize("name", ["posts.tsv", "post_features.csv", "user_features.csv"])
def test_wrong_file_is_told_by_its_missing_column(tmp_path: Path, name: str) -> None:
    (mediaeval_folder(tmp_path) / name).write_text("post_id\n1\n")
    with pytest.raises(MissingDataset, match=rf"{name} has no column '"):
        read_posts("mediaeval2016", tmp_path)


def test_unknown_set_is_told_with_the_known_ones() -> None:
    with pytest.raises(UnknownDataset, match="no set of posts is called 'weibo'; there are: coaid"):
        read_posts("weibo", Path())


def test_real_mediaeval_is_read_whole(data: Path) -> None:
    posts = read_posts("mediaeval2016", data / "mediaeval2016")
    assert Counter(post.label for post in posts) == {FALSE: 9404, TRUE: 6225}
    assert sum(bool(post.images) for post in posts) == 13_416
    assert len({image for post in posts for image in post.image_ids}) == 388
    assert sum(post.posted_at is None for post in posts) == 0
    events = Counter(post.event for post in posts)
    assert len(events) == 17
    assert events["sandy"] == 10_222
    tests = [post for post in posts if post.split == "test"]
    assert {post.event for post in tests} == TEST_EVENTS
    assert Counter(post.label for post in tests) == {FALSE: 2_564, TRUE: 1_217}
    assert all("followers" in post.attributes and "n_links" in post.attributes for post in posts)
    foreign = sum(post.attributes["n_positive_words"] is None for post in posts)
    assert foreign == 2_209


def test_real_weibo_is_read_whole(data: Path) -> None:
    posts = read_posts("weibo_2017", data / "weibo_2017")
    assert Counter(post.label for post in posts) == {FALSE: 3748, TRUE: 3783}
    assert sum(not post.text.strip() for post in posts) == 50
    categories = categories_of(WEIBO_FIELDS, [post.attributes for post in posts])
    assert categories.min() == 1  # nothing is unknown
    assert all(len(set(column)) > 1 for column in categories.T)
