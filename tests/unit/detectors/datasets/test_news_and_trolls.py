"""Readers of FakeNewsNet, troll tweets, Kaggle's articles, viral tweets and CoAID, on invented rows
in their published columns."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from detectors.datasets import read_posts
from detectors.datasets.labelled import MissingDataset
from detectors.datasets.prepared import BadData, divide, read_posts_files, write_posts_file

FALSE, TRUE = "likely_false", "likely_true"


def write_csv(path: Path, columns: Sequence[str], *rows: Mapping[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)


def write_json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), "utf-8")


def test_fakenewsnet_headlines(tmp_path: Path) -> None:
    for name, title in (
        ("politifact_fake", "Moon is cheese"),
        ("politifact_real", "Taxes rose"),
        ("gossipcop_fake", " "),
        ("gossipcop_real", "Star weds"),
    ):
        row = {"id": f"{name}1", "news_url": "x", "title": title, "tweet_ids": "1\t2"}
        write_csv(tmp_path / f"{name}.csv", list(row), row)
    assert [(p.text, p.label, p.source, p.event) for p in read_posts("fakenewsnet", tmp_path)] == [
        ("Moon is cheese", FALSE, "politifact", "politifact_fake1"),
        ("Taxes rose", TRUE, "politifact", "politifact_real1"),
        ("Star weds", TRUE, "gossipcop", "gossipcop_real1"),
    ]


def test_fakenewsnet_as_its_downloader_writes_it(tmp_path: Path) -> None:
    story = tmp_path / "politifact" / "fake" / "politifact9"
    write_json(
        story / "news content.json",
        {"title": "Moon", "text": "It is cheese.", "publish_date": 1477353900.0, "images": []},
    )
    user = {"id_str": "7", "followers_count": 3, "verified": False}
    tweet = {"id_str": "42", "text": "Cut", "full_text": "Is the moon cheese?", "lang": "en"}
    write_json(
        story / "tweets" / "42.json",
        {**tweet, "created_at": "Tue Oct 25 00:05:00 +0000 2016", "user": user},
    )
    write_json(story / "tweets" / "43.json", {**tweet, "id_str": "43", "retweeted_status": tweet})
    (tmp_path / "gossipcop" / "real" / "gossipcop-1").mkdir(parents=True)  # nothing was found
    (article,) = read_posts("fakenewsnet_articles", tmp_path)
    moment = datetime(2016, 10, 25, 0, 5, tzinfo=UTC)
    assert (article.text, article.label, article.posted_at) == (
        "Moon. It is cheese.",
        FALSE,
        moment,
    )
    (post,) = read_posts("fakenewsnet_tweets", tmp_path)
    assert (post.post_id, post.text, post.label) == ("42", "Is the moon cheese?", FALSE)
    assert (post.event, post.author_id, post.posted_at) == ("politifact9", "7", moment)
    assert (post.attributes["followers"], post.attributes["verified"]) == (3, 0)
    assert post.attributes["following"] is None
    (story / "tweets" / "42.json").write_text("{")
    with pytest.raises(MissingDataset, match=r"42\.json is not JSON .*download it again"):
        read_posts("fakenewsnet_tweets", tmp_path)


_IRA = (
    *("external_author_id", "author", "content", "language", "publish_date", "following"),
    *("followers", "updates", "post_type", "retweet", "account_category", "tweet_id"),
)


def troll_row(content: str, **more: object) -> dict[str, object]:
    return {
        "author": "ADA",
        "content": content,
        "language": "English",
        "publish_date": "10/25/2016 0:05",
        "followers": 9,
        "account_category": "NewsFeed",
        "tweet_id": 5,
        **more,
    }


def test_russian_trolls_are_english_originals(tmp_path: Path) -> None:
    write_csv(
        tmp_path / "IRAhandle_tweets_1.csv",
        _IRA,
        troll_row("Snow in May"),
        troll_row("RT", post_type="RETWEET"),
        troll_row("RT", retweet=1),
        troll_row("Снег", language="Russian"),
    )
    write_csv(tmp_path / "IRAhandle_tweets_2.csv", _IRA, troll_row("Look", tweet_id=""))
    first, second = read_posts("russian_trolls", tmp_path)
    assert (first.text, first.label, first.author_id, first.source) == (
        "Snow in May",
        FALSE,
        "ADA",
        "NewsFeed",
    )
    assert first.posted_at == datetime(2016, 10, 25, 0, 5, tzinfo=UTC)
    assert (first.attributes["followers"], first.attributes["following"]) == (9, None)
    assert (first.post_id, second.post_id) == ("5", "IRAhandle_tweets_2.csv:1")


def test_real_russian_trolls(data: Path) -> None:
    posts = read_posts("russian_trolls", data / "ira_2016")
    assert len(posts) == 9_060
    assert {post.label for post in posts} == {FALSE}
    assert not [post for post in posts if post.posted_at is None or post.author_id is None]


_NBC = (
    *("user_id", "user_key", "created_str", "retweet_count", "favorite_count", "text"),
    *("tweet_id", "retweeted_status_id"),
)


def test_nbc_trolls_without_retweets(tmp_path: Path) -> None:
    row = {"user_key": "ada", "created_str": "2016-10-25 00:05:00", "retweet_count": 4}
    write_csv(
        tmp_path / "tweets.csv",
        _NBC,
        {**row, "text": "Snow in May", "tweet_id": "5"},
        {**row, "text": "RT @bo: Snow", "tweet_id": "6"},
        {**row, "text": "Snow", "tweet_id": "7", "retweeted_status_id": "1"},
        {**row, "text": "Look", "created_str": ""},
    )
    write_csv(tmp_path / "users.csv", ("id",))
    first, second = read_posts("nbc_trolls", tmp_path)
    assert (first.post_id, first.text, first.label, first.author_id) == (
        "5",
        "Snow in May",
        FALSE,
        "ada",
    )
    assert first.attributes == {"retweets": 4, "likes": None}
    assert (second.post_id, second.posted_at) == ("nbc_trolls:4", None)
    (tmp_path / "tweets.csv").unlink()
    with pytest.raises(MissingDataset, match=r"no tweets\.csv"):
        read_posts("nbc_trolls", tmp_path)


def test_a_set_of_one_class_is_made_ready_and_joined_with_another(tmp_path: Path) -> None:
    words = ["rock", "tree", "lake", "wind", "snow", "fish", "bird", "moon", "star", "salt"]
    said = [f"{a} {b} {c} again" for a in words for b in words[:5] for c in words[:1]]
    write_csv(tmp_path / "IRA.csv", _IRA, *map(troll_row, said))
    divided = divide(read_posts("russian_trolls", tmp_path), "random")
    write_posts_file(tmp_path / "trolls.jsonl", divided)
    (tmp_path / "other.csv").write_text("text,label\nTaxes rose,likely_true\n")
    with pytest.raises(BadData, match=r"all \d+ posts of .*trolls\.jsonl are labelled 'likely_f"):
        read_posts_files([tmp_path / "trolls.jsonl"])
    both = read_posts_files([tmp_path / "trolls.jsonl", tmp_path / "other.csv"])
    assert {post.label for post in both} == {FALSE, TRUE}


def test_kaggle_s_one_is_unreliable_and_newspapers_are_taken_out(tmp_path: Path) -> None:
    columns = ("id", "title", "author", "text", "label")
    write_csv(
        tmp_path / "train.csv",
        columns,
        {"id": 0, "title": "Moon - Breitbart", "author": "Bo", "text": "Cheese.", "label": 1},
        {"id": 1, "title": "Taxes - The New York Times", "text": "They\nrose.", "label": 0},
        {"id": 2, "label": 1},
    )
    assert [
        (p.post_id, p.text, p.label, p.author_id) for p in read_posts("kaggle_fake_news", tmp_path)
    ] == [("0", "Moon. Cheese.", FALSE, "Bo"), ("1", "Taxes. They\nrose.", TRUE, None)]


def test_viral_tweets_count_where_people_agree(tmp_path: Path) -> None:
    opinions = ("is_fake_news_1", "is_fake_news_2")
    said = [("TRUE", "TRUE"), ("TRUE", "FALSE"), ("FALSE", "UNKNOWN"), ("False", "FALSE")]
    rows = [
        {**dict(zip(opinions, both, strict=True)), "text": f"tweet {i}", "user_verified": "True"}
        for i, both in enumerate(said)
    ]
    path = tmp_path / "twitter_fakenews_USElections_2016.csv"
    write_csv(path, (*opinions, "text", "created_at", "user_verified"), *rows)
    found = read_posts("viral_tweets_2016", tmp_path)
    assert [(p.text, p.label) for p in found] == [("tweet 0", FALSE), ("tweet 3", TRUE)]
    assert found[0].attributes["verified"] == 1
    write_csv(path, ("fake", "text", "created_at"), {"fake": "1", "text": "tweet"})
    assert [p.label for p in read_posts("viral_tweets_2016", tmp_path)] == [FALSE]
    write_csv(path, ("text", "created_at"), {"text": "tweet"})
    with pytest.raises(MissingDataset, match="no columns is_fake_news_1 and is_fake_news_2"):
        read_posts("viral_tweets_2016", tmp_path)


def test_coaid_reads_each_text_once(tmp_path: Path) -> None:
    news = ("", "type", "fact_check_url", "news_url", "title", "content", "publish_date")
    for day in ("05-01-2020", "07-01-2020"):
        for kind in ("Fake", "Real"):
            write_csv(
                tmp_path / day / f"News{kind}COVID-19.csv",
                news,
                {"title": f"{kind} news", "content": "It is so.", "publish_date": "2020-04-01"},
            )
            write_csv(
                tmp_path / day / f"Claim{kind}COVID-19.csv",
                ("", "fact_check_url", "news_url", "title"),
                {"title": f"{kind} claim of {day}"},
            )
    found = read_posts("coaid", tmp_path)
    assert [(p.text, p.label, p.source) for p in found] == [
        ("Fake news. It is so.", FALSE, "news"),
        ("Real news. It is so.", TRUE, "news"),
        ("Fake claim of 05-01-2020", FALSE, "claims"),
        ("Fake claim of 07-01-2020", FALSE, "claims"),
        ("Real claim of 05-01-2020", TRUE, "claims"),
        ("Real claim of 07-01-2020", TRUE, "claims"),
    ]
    assert found[0].posted_at == datetime(2020, 4, 1, tzinfo=UTC)
    assert found[0].post_id == "05-01-2020/NewsFakeCOVID-19.csv:1"
