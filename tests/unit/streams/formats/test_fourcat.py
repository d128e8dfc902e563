"""4CAT: CSV of X and Instagram, old and new columns, NDJSON. All posts are invented."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime

import msgspec
import pytest

from streams.formats import fourcat, zeeschuimer
from streams.formats.derived_ids import TEXT_PREFIX
from streams.formats.json_records import Json
from streams.records import (
    COPY_IN_SHARE,
    Author,
    Media,
    NotAPost,
    Post,
    Problem,
    Reading,
)

TWEET = {
    "id": "1650500000000000001",
    "thread_id": "1650500000000000001",
    "timestamp": "2023-04-24 16:13:34",
    "unix_timestamp": "1682345614",
    "body": "Snow &amp; rain in #May",
    "author": "Ada",
    "author_fullname": "Ada L.",
    "author_id": "11",
    "language_guess": "en",
    "retweet_count": "3",
    "reply_count": "2",
    "like_count": "7",
    "quote_count": "0",
    "impression_count": "90",
    "is_retweet": "no",
    "retweeted_user": "",
    "is_quote_tweet": "no",
    "quoted_user": "",
    "is_reply": "no",
    "replied_user": "",
    "hashtags": "May,may",
    "urls": "https://example.org/a,https://example.org/b",
    "images": "https://p/1.jpg,https://p/2.jpg",
    "videos": "https://p/3.jpg",
}
ITEM = {
    "id": "Crh4qDj9QAA",
    "thread_id": "Crh4qDj9QAA",
    "parent_id": "Crh4qDj9QAA",
    "body": "Snow in #May",
    "author": "ada.weather",
    "author_fullname": "Ada",
    "timestamp": "2023-04-24 14:13:34",
    "type": "photo",
    "url": "https://www.instagram.com/p/Crh4qDj9QAA",
    "image_url": "https://c/1.jpg",
    "media_url": "https://c/1.jpg",
    "hashtags": "May",
    "num_likes": "7",
    "num_comments": "0",
    "num_media": "1",
}


def read(*rows: dict[str, str]) -> list[Reading]:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return list(fourcat.read(io.BytesIO(text.getvalue().encode()), "fourcat:a.csv"))


def read_tweet(**cells: str) -> Post:
    (post,) = read(TWEET | cells)
    assert isinstance(post, Post), post
    return post


def read_item(**cells: str) -> Post:
    (post,) = read(ITEM | cells)
    assert isinstance(post, Post), post
    return post


def test_every_field_of_a_tweet() -> None:
    assert msgspec.structs.replace(read_tweet(), raw=b"") == Post(
        platform="x",
        post_id="1650500000000000001",
        root_id="1650500000000000001",
        posted_at=datetime(2023, 4, 24, 14, 13, 34, tzinfo=UTC),
        text="Snow & rain in #May",
        lang="en",
        hashtags=("May", "may"),
        links=("https://example.org/a", "https://example.org/b"),
        media=(
            Media(kind="image", url="https://p/1.jpg"),
            Media(kind="image", url="https://p/2.jpg"),
            Media(kind="video", url="https://p/3.jpg"),
        ),
        author=Author(author_id="11", handle="Ada", name="Ada L."),
        likes=7,
        shares=3,
        replies=2,
        quotes=0,
        views=90,
        provenance="fourcat:a.csv",
    )


def test_a_retweet_is_linked_by_whose_it_is_and_its_text() -> None:
    share = {"is_retweet": "yes", "retweeted_user": "bo", "body": "RT @bo: Snow in May"}
    posts = [
        read_tweet(**share),
        read_tweet(**share | {"id": "2", "body": "RT @bo Snow in  May"}),  # without a colon
        read_tweet(**share | {"id": "3", "retweeted_user": "Bo", "body": "RT @Bo: Snow in May"}),
    ]
    assert {post.kind for post in posts} == {"share"}
    assert len({post.root_id for post in posts}) == 1
    assert posts[0].root_id.startswith(TEXT_PREFIX) and posts[0].share_of == posts[0].root_id
    assert (posts[0].text, posts[0].completeness) == ("Snow in May", COPY_IN_SHARE)
    other = read_tweet(**share | {"retweeted_user": "cy", "body": "RT @cy: Snow in May"})
    assert other.root_id != posts[0].root_id


def test_a_quote_names_its_post_by_a_link() -> None:
    link = "https://twitter.com/Bo/status/1650500000000000009"
    quote = read_tweet(is_quote_tweet="yes", quoted_user="bo", urls=f"https://e.org,{link}")
    assert (quote.kind, quote.quote_of) == ("quote", "1650500000000000009")
    assert quote.links == ("https://e.org",)
    unknown = read_tweet(is_quote_tweet="yes", quoted_user="cy", urls=link)
    assert (unknown.kind, unknown.quote_of, unknown.links) == ("quote", None, (link,))


def test_a_reply_does_not_tell_to_what() -> None:
    reply = read_tweet(is_reply="yes", replied_user="bo")
    assert (reply.kind, reply.reply_to, reply.root_id) == ("reply", None, TWEET["id"])


def test_every_field_of_an_instagram_post() -> None:
    assert msgspec.structs.replace(read_item(), raw=b"") == Post(
        platform="instagram",
        post_id="Crh4qDj9QAA",
        root_id="Crh4qDj9QAA",
        posted_at=datetime(2023, 4, 24, 14, 13, 34, tzinfo=UTC),
        text="Snow in #May",
        hashtags=("May",),
        media=(Media(kind="image", url="https://c/1.jpg"),),
        author=Author(author_id="@ada.weather", handle="ada.weather", name="Ada"),
        likes=7,
        replies=0,
        provenance="fourcat:a.csv",
    )


def test_instagram_of_several_versions() -> None:
    new = {"image_urls": "https://c/1.jpg,https://c/2.jpg", "media_urls": "", "likes_hidden": "yes"}
    post = read_item(**new)
    assert [medium.url for medium in post.media] == ["https://c/1.jpg", "https://c/2.jpg"]
    assert post.likes is None
    assert read_item(num_likes="-1").likes is None
    video = read_item(type="video", image_url="", media_url="https://c/1.mp4")
    assert video.media == (Media(kind="video", url="https://c/1.mp4"),)
    old = read_item(timestamp="1682345614", image_url="", media_url="")
    assert old.posted_at == datetime(2023, 4, 24, 14, 13, 34, tzinfo=UTC)
    assert old.media == ()
    assert read(ITEM | {"type": "comment"}) == [NotAPost(what="comment")]


def test_an_item_of_ndjson_is_that_of_zeeschuimer() -> None:
    for line in zeeschuimer.example().splitlines():
        record: Json = json.loads(line)
        data = record.pop("data")
        assert isinstance(data, dict)
        merged = {**data, "__import_meta": record}
        theirs = list(zeeschuimer.read(io.BytesIO(line), "s"))
        ours = list(fourcat.read(io.BytesIO(json.dumps(merged).encode()), "s"))
        assert len(ours) == len(theirs)
        for mine, other in zip(ours, theirs, strict=True):
            assert isinstance(mine, Post) and isinstance(other, Post)
            assert msgspec.structs.replace(mine, raw=other.raw) == other
            (again,) = fourcat.remap(mine.raw, "s")
            assert isinstance(again, Post) and again.post_id == mine.post_id
            assert again.observed_at == mine.observed_at is not None


@pytest.mark.parametrize("written", ["__import_meta", '"__import_meta":'])
def test_a_row_that_names_what_ndjson_has_is_a_row(written: str) -> None:
    found = read_tweet(body=written)
    (again,) = fourcat.remap(found.raw, "s")
    assert isinstance(again, Post) and again.text == found.text == written


def test_ndjson_is_sniffed_by_what_4cat_adds() -> None:
    assert fourcat.sniff(b'{"rest_id":"1","legacy":{},"__import_meta":{}}') > 0.9
    assert fourcat.sniff(b'{"rest_id":"1"}') == 0
    reddit = b"id,thread_id,timestamp,body,author,subreddit\n"
    assert fourcat.sniff(reddit) == 0, "data sets of other platforms are not ours"


@pytest.mark.parametrize(
    ("row", "field"),
    [
        (TWEET | {"id": "1.65e18"}, "id"),
        (TWEET | {"unix_timestamp": "0"}, "timestamp"),
        (TWEET | {"unix_timestamp": "9" * 18}, "timestamp"),
        (TWEET | {"unix_timestamp": "", "timestamp": "soon"}, "timestamp"),
        (ITEM | {"id": "no code"}, "id"),
        (ITEM | {"timestamp": "1999-01-01 00:00:00"}, "timestamp"),
    ],
)
def test_a_bad_row_is_a_problem_that_names_the_field(row: dict[str, str], field: str) -> None:
    (problem,) = read(row)
    assert isinstance(problem, Problem) and problem.reason.startswith(f"{field}: ")
