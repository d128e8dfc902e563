"""twitwi: each column, each kind, each way for a row to be bad. All rows are invented."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from streams.formats import twitwi
from streams.formats.registry import read_file, sniff_format
from streams.records import (
    COPY_IN_SHARE,
    CUT,
    WHOLE,
    Author,
    Media,
    NotAPost,
    Post,
    Problem,
    Reading,
)

ROW = {
    "id": "1001",
    "timestamp_utc": "1682332800",
    "user_screen_name": "ada",
    "text": "Snow in May https://example.org/snow",
    "retweet_count": "3",
    "like_count": "0",
    "reply_count": "",
    "impression_count": "90",
    "lang": "en",
    "user_id": "11",
    "user_name": "Ada",
    "user_verified": "1",
    "user_tweets": "1200",
    "user_followers": "250",
    "user_friends": "80",
    "user_timestamp_utc": "1300000000",
    "match_query": "1",
    "collection_time": "2023-04-24T12:56:07.502591",
    "links": "https://example.org/snow|https://example.org/snow|https://example.org/b",
    "media_urls": "https://example.org/1.jpg|https://example.org/2.mp4",
    "media_types": "photo|animated_gif",
    "media_alt_texts": "a cat|",
    "hashtags": "",
    "retweeted_id": "",
    "to_tweetid": "",
    "quoted_id": "",
}


def read_rows(*rows: dict[str, str]) -> list[Reading]:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return list(twitwi.read(io.BytesIO(text.getvalue().encode()), "twitwi:a.csv"))


def read_post(**cells: str) -> Post:
    (post,) = read_rows(ROW | cells)
    assert isinstance(post, Post)
    return post


def read_problem(**cells: str) -> Problem:
    (problem,) = read_rows(ROW | cells)
    assert isinstance(problem, Problem)
    return problem


def test_every_field() -> None:
    assert msgspec.structs.replace(read_post(), raw=b"") == Post(
        platform="x",
        post_id="1001",
        posted_at=datetime(2023, 4, 24, 10, 40, tzinfo=UTC),
        root_id="1001",
        text="Snow in May https://example.org/snow",
        completeness=WHOLE,
        lang="en",
        links=("https://example.org/snow", "https://example.org/b"),
        media=(
            Media(kind="image", url="https://example.org/1.jpg", alt_text="a cat"),
            Media(kind="gif", url="https://example.org/2.mp4"),
        ),
        author=Author(
            author_id="11",
            handle="ada",
            name="Ada",
            followers=250,
            following=80,
            n_posts=1200,
            created_at=datetime(2011, 3, 13, 7, 6, 40, tzinfo=UTC),
            verified=True,
        ),
        likes=0,
        shares=3,
        views=90,
        observed_at=datetime(2023, 4, 24, 12, 56, 7, 502591, tzinfo=UTC),
        provenance="twitwi:a.csv",
    )


def test_kinds_and_their_order() -> None:
    share = read_post(retweeted_id="9", to_tweetid="8", quoted_id="7", text="RT @bo: Snow")
    assert (share.kind, share.share_of, share.root_id) == ("share", "9", "9")
    assert (share.text, share.completeness) == ("Snow", COPY_IN_SHARE)
    assert (share.reply_to, share.quote_of) == (None, None)
    quote = read_post(to_tweetid="8", quoted_id="7")
    assert (quote.kind, quote.reply_to, quote.quote_of) == ("quote", "8", "7")
    assert (quote.root_id, quote.share_of) == ("1001", None)
    reply = read_post(to_tweetid="8")
    assert (reply.kind, reply.reply_to, reply.quote_of) == ("reply", "8", None)


def test_a_text_that_only_looks_like_a_share_stays() -> None:
    post = read_post(text="RT @bo: Snow")
    assert (post.kind, post.text) == ("original", "RT @bo: Snow")


def test_a_text_that_x_cut() -> None:
    text = "Wenn wir… https://twitter.com/i/web/status/1001"
    assert read_post(text=text).completeness == CUT
    assert read_post(text="Wenn wir…").completeness == WHOLE


def test_hashtags_as_written() -> None:
    def tags(cell: str, text: str) -> tuple[str, ...]:
        return read_post(hashtags=cell, text=text).hashtags

    assert tags("egu23|climate", "At #EGU23 for #Climate") == ("EGU23", "Climate")
    assert tags("egu23", "RT cut…") == ("egu23",)
    assert tags("EGU23|egu23", "#EGU23 #egu23") == ("EGU23", "egu23")
    assert tags("straße", "＃STRASSE") == ("STRASSE",)
    assert tags("a|a||#b|#", "") == ("a", "b")


def test_unknown_is_none() -> None:
    post = read_post(**{name: "" for name in ROW if name not in ("id", "timestamp_utc")})
    assert post.author is None and post.observed_at is None and post.lang is None
    assert (post.likes, post.shares, post.replies, post.views) == (None,) * 4
    author = read_post(user_followers="", user_timestamp_utc="5", user_verified="?").author
    assert author is not None
    assert (author.followers, author.created_at, author.verified) == (None, None, None)
    assert read_post(media_urls="").media == ()
    assert read_post(like_count="1e3", retweet_count="-1", reply_count="7.0").replies == 7
    assert read_post(like_count="1e3").likes is None


def test_columns_may_be_missing_and_in_any_order() -> None:
    (post,) = read_rows({"text": "hi", "timestamp_utc": "1682332800", "id": "5"})
    assert isinstance(post, Post) and (post.post_id, post.text) == ("5", "hi")
    (problem,) = read_rows({"text": "hi", "timestamp_utc": "1682332800"})
    assert isinstance(problem, Problem) and problem.reason.startswith("id: ")


def test_embedded_is_what_the_query_did_not_match() -> None:
    assert read_post(match_query="0").seen_as == "embedded"
    assert read_post(match_query="").seen_as == "collected"


def test_collection_time_with_a_zone_or_broken() -> None:
    zoned = read_post(collection_time="2023-04-24T12:00:00+02:00")
    assert zoned.observed_at == datetime(2023, 4, 24, 10, tzinfo=UTC)
    assert read_post(collection_time="soon").observed_at is None


@pytest.mark.parametrize(
    ("cells", "field"),
    [
        ({"id": ""}, "id"),
        ({"id": "1.7e18"}, "id"),
        ({"id": "-5"}, "id"),
        ({"id": "9" * 30}, "id"),
        ({"timestamp_utc": ""}, "timestamp_utc"),
        ({"timestamp_utc": "1682332800.0"}, "timestamp_utc"),
        ({"timestamp_utc": "1000"}, "timestamp_utc"),  # 1970
        ({"timestamp_utc": "1142899199"}, "timestamp_utc"),  # a second before 2006-03-21
        ({"timestamp_utc": "253402300800"}, "timestamp_utc"),  # the year 10000
        ({"timestamp_utc": "9" * 5000}, "timestamp_utc"),
        ({"timestamp_utc": "²"}, "timestamp_utc"),
        ({"retweeted_id": "x"}, "retweeted_id"),
        ({"to_tweetid": "1.0"}, "to_tweetid"),
        ({"quoted_id": "nan", "to_tweetid": "8"}, "quoted_id"),
    ],
)
def test_a_bad_row_is_a_problem_that_names_the_field(cells: dict[str, str], field: str) -> None:
    problem = read_problem(**cells)
    assert problem.reason.startswith(f"{field}: ") and len(problem.reason) < 120
    assert (problem.source, problem.position) == ("twitwi:a.csv", "line 2")
    assert msgspec.json.decode(problem.raw)["text"] == ROW["text"]


def test_dates_at_the_edge() -> None:
    assert read_post(timestamp_utc="1142899200").posted_at == datetime(2006, 3, 21, tzinfo=UTC)
    assert read_post(timestamp_utc="253402300799").posted_at.year == 9999


def test_a_bad_row_does_not_end_the_file() -> None:
    content = (
        b"id,timestamp_utc,text\n"
        b"1,1682332800,ok\n"
        b"2,1682332800\n"
        b"\n"
        b'3,1682332800,"two\nlines"\n'
        b"id,timestamp_utc,text\n"
        b"4,1682332800,bad \xff\xf0\x9f byte\r\n"
        b"5,1682332800,nul \0 here\n"
        b'6,1682332800,"' + b"x" * 140_000 + b'"\n'
        b'7,1682332800,"a ""word"""'
    )
    readings = list(twitwi.read(io.BytesIO(content), "s"))
    assert [type(reading) for reading in readings] == [
        *(Post, Problem, Post, NotAPost, Post, Post, Problem, Post)
    ]
    texts = [reading.text for reading in readings if isinstance(reading, Post)]
    assert texts == ["ok", "two\nlines", "bad \ufffd\ufffd byte", "nul \ufffd here", 'a "word"']
    problems = [reading for reading in readings if isinstance(reading, Problem)]
    assert [problem.position for problem in problems] == ["line 3", "line 10"]


def test_a_line_of_many_megabytes_is_a_problem() -> None:
    content = b"id,timestamp_utc,text\n1,1682332800," + b"x" * 10_000_000 + b"\n2,1682332800,b\n"
    problem, post = twitwi.read(io.BytesIO(content), "s")
    assert isinstance(problem, Problem) and isinstance(post, Post)


def test_windows_file_with_byte_order_mark() -> None:
    content = b"\xef\xbb\xbfid,timestamp_utc,text,retweeted_id\r\n1,1682332800,hi,\r\n"
    assert twitwi.sniff(content) > 0.9
    (post,) = twitwi.read(io.BytesIO(content), "s")
    assert isinstance(post, Post) and (post.post_id, post.text) == ("1", "hi")


def test_raw_is_the_cells_in_the_order_of_the_header_and_maps_again() -> None:
    post = read_post(text="Snow \0 #May", hashtags="may")
    assert list(msgspec.json.decode(post.raw)) == [
        name for name in ROW if name in post.raw.decode()
    ]
    assert b"\\u0000" in post.raw and "\0" not in post.text
    assert list(twitwi.remap(post.raw, post.provenance)) == [post]


def test_real_data(real_data: Path) -> None:
    files = sorted((real_data / "tweets_2023_csv").glob("*.csv.xz"))
    assert {sniff_format(file) for file in files} == {"twitwi"}
    posts = [reading for file in files for reading in read_file(file)]
    assert len(posts) == 30_157
    assert all(isinstance(post, Post) for post in posts)
    by_id = {post.post_id: post for post in posts if isinstance(post, Post)}
    assert len(by_id) == 27_537
    shares = [post for post in by_id.values() if post.kind == "share"]
    assert len(shares) == 15_417
    assert all(share.root_id in by_id for share in shares)
