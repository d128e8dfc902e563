"""The troll tweets: both column sets, ids that are made, links by text. All rows are invented."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from streams.formats import ira
from streams.formats.registry import read_file, sniff_format
from streams.records import COPY_IN_SHARE, WHOLE, Author, Post, Problem, Reading

ROW = {
    "external_author_id": "9001",
    "author": "ADA",
    "content": "Snow &amp; rain in #May https://t.co/a",
    "language": "English",
    "publish_date": "10/25/2016 0:05",
    "harvested_date": "10/25/2016 0:06",
    "following": "80",
    "followers": "250",
    "updates": "9",
    "post_type": "",
    "retweet": "0",
    "account_category": "LeftTroll",
}


def read(*rows: dict[str, str]) -> list[Reading]:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return list(ira.read(io.BytesIO(text.getvalue().encode()), "ira:a.csv"))


def read_post(**cells: str) -> Post:
    (post,) = read(ROW | cells)
    assert isinstance(post, Post), post
    return post


def test_every_field() -> None:
    post = read_post()
    assert msgspec.structs.replace(post, raw=b"", post_id="", root_id="") == Post(
        platform="x",
        post_id="",
        root_id="",
        posted_at=datetime(2016, 10, 25, 0, 5, tzinfo=UTC),
        text="Snow & rain in #May https://t.co/a",
        completeness=WHOLE,
        lang="en",
        hashtags=("May",),
        links=("https://t.co/a",),
        author=Author(author_id="9001", handle="ADA", followers=250, following=80, n_posts=9),
        observed_at=datetime(2016, 10, 25, 0, 6, tzinfo=UTC),
        provenance="ira:a.csv",
    )


def test_a_share_is_linked_by_its_text() -> None:
    original, share, prefixed, other = read(
        ROW,
        ROW | {"author": "BO", "post_type": "RETWEET"},
        ROW | {"author": "CY", "retweet": "1", "content": f"RT @ADA: {ROW['content']}"},
        ROW | {"author": "DI", "post_type": "R", "content": "Rain"},
    )
    assert all(isinstance(post, Post) for post in (original, share, prefixed, other))
    assert isinstance(share, Post) and isinstance(prefixed, Post) and isinstance(original, Post)
    assert share.kind == prefixed.kind == "share"
    assert share.root_id == prefixed.root_id == original.root_id == share.share_of
    assert isinstance(other, Post) and other.root_id != share.root_id
    assert (share.completeness, prefixed.text) == (COPY_IN_SHARE, original.text)
    assert len({post.post_id for post in (original, share, prefixed)}) == 3


def test_a_share_without_words_is_alone() -> None:
    first, second = read(
        ROW | {"content": "", "post_type": "R"}, ROW | {"content": "", "post_type": "R"}
    )
    assert isinstance(first, Post) and isinstance(second, Post)
    assert first.root_id != second.root_id


def test_ids_of_x_stay_where_a_file_has_them() -> None:
    post = read_post(tweet_id="790000000000000001")
    assert post.post_id == post.root_id == "790000000000000001"
    share = read_post(tweet_id="790000000000000002", post_type="RETWEET")
    assert (share.post_id, share.root_id) == ("790000000000000002", read_post().root_id)


def test_equal_rows_are_as_many_posts() -> None:
    readings = read(ROW, ROW | {"updates": "10"}, ROW | {"publish_date": "2016-10-25 00:05:59"})
    ids = [reading.post_id for reading in readings if isinstance(reading, Post)]
    assert len(set(ids)) == 3
    assert [r.post_id for r in read(ROW, ROW) if isinstance(r, Post)] == ids[:2]


def test_raw_keeps_the_id_that_was_made() -> None:
    _, post = read(ROW, ROW)
    assert isinstance(post, Post)
    assert json.loads(post.raw)["__post_id"] == post.post_id
    assert list(ira.remap(post.raw, post.provenance)) == [post]


def test_authors_whose_number_a_spreadsheet_rounded() -> None:
    rounded = read_post(external_author_id="9.06E+17")
    assert rounded.author == Author(
        author_id="@ada", handle="ADA", followers=250, following=80, n_posts=9
    )
    (post,) = read(
        ROW | {"external_author_id": "9.06E+17", "alt_external_id": "906000000000000001"}
    )
    assert isinstance(post, Post) and post.author and post.author.author_id == "906000000000000001"


def test_quotes_and_languages() -> None:
    assert read_post(post_type="QUOTE_TWEET").kind == read_post(post_type="Q").kind == "quote"
    assert read_post(language="LANGUAGE UNDEFINED").lang is None
    assert read_post(language="Farsi (Persian)").lang == "fa"


@pytest.mark.parametrize(
    ("cells", "field"),
    [
        ({"publish_date": ""}, "publish_date"),
        ({"publish_date": "1/1/1970 0:00"}, "publish_date"),
        ({"publish_date": "25/10/2016 0:05"}, "publish_date"),
        ({"publish_date": "1/2/3 x"}, "publish_date"),
        ({"post_type": "POEM"}, "post_type"),
    ],
)
def test_a_bad_row_is_a_problem_that_names_the_field(cells: dict[str, str], field: str) -> None:
    problem, post = read(ROW | cells, ROW)
    assert isinstance(problem, Problem) and problem.reason.startswith(f"{field}: ")
    assert isinstance(post, Post)


def test_real_data(real_data: Path) -> None:
    path = real_data / "ira_2016" / "ira_2016-10-25_2016-11-11.csv.xz"
    assert sniff_format(path) == "ira"
    posts = [reading for reading in read_file(path) if isinstance(reading, Post)]
    assert len(posts) == len({post.post_id for post in posts}) == 65_564
    assert Counter(post.kind for post in posts) == {
        "share": 51_165,
        "original": 13_999,
        "quote": 400,
    }
    roots_of_shares = {post.root_id for post in posts if post.kind == "share"}
    assert len(roots_of_shares) == 34_106
    again = [reading.post_id for reading in read_file(path) if isinstance(reading, Post)]
    assert again == [post.post_id for post in posts]
