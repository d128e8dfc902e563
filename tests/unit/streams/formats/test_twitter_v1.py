"""X API v1.1: both forms, what is inside tweets, notices. All posts are invented."""

from __future__ import annotations

import io
import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from streams.formats import twitter_v1
from streams.formats.json_records import Json
from streams.formats.registry import read_file, sniff_format
from streams.records import (
    COPY_IN_SHARE,
    CUT,
    WHOLE,
    Author,
    Deletion,
    Media,
    NotAPost,
    Post,
    Problem,
    Reading,
)

USER: Json = {
    "id_str": "11",
    "screen_name": "ada",
    "name": "Ada",
    "followers_count": 250,
    "friends_count": 80,
    "statuses_count": 9,
    "verified": True,
    "created_at": "Mon Mar 01 08:00:00 +0000 2010",
}
TWEET: Json = {
    "id": 588000000000000001,
    "id_str": "588000000000000001",
    "created_at": "Tue Apr 14 16:13:34 +0200 2015",
    "text": "Snow &amp; rain in #May",
    "lang": "en",
    "user": USER,
    "entities": {"hashtags": [{"text": "May"}], "urls": []},
}


def read(*records: object) -> list[Reading]:
    content = b"\n".join(json.dumps(record).encode() for record in records)
    return list(twitter_v1.read(io.BytesIO(content), "twitter_v1:a.jsonl"))


def read_post(**changes: object) -> Post:
    post = read(TWEET | changes)[-1]
    assert isinstance(post, Post), post
    return post


def test_every_field() -> None:
    post = read_post(
        entities={
            "hashtags": [{"text": "May"}, {"text": "May"}, {"text": "#"}],
            "urls": [
                {"url": "https://t.co/a", "expanded_url": "https://example.org/a"},
                {"url": "https://t.co/b", "expanded_url": None},
                {"expanded_url": "https://twitter.com/i/web/status/99"},
                {"expanded_url": "https://twitter.com/ada/status/588000000000000001/photo/1"},
            ],
            "media": [{"type": "photo", "media_url_https": "https://p.example/1.jpg"}],
        },
        extended_entities={
            "media": [
                {"type": "photo", "media_url_https": "https://p.example/1.jpg"},
                {"type": "video", "media_url": "http://p.example/2.jpg", "ext_alt_text": "cat"},
                {"type": "hologram", "media_url": "http://p.example/3.jpg"},
            ]
        },
        favorite_count=7,
        retweet_count=3,
        reply_count=0,
        quote_count=1,
    )
    assert msgspec.structs.replace(post, raw=b"") == Post(
        platform="x",
        post_id="588000000000000001",
        posted_at=datetime(2015, 4, 14, 14, 13, 34, tzinfo=UTC),
        root_id="588000000000000001",
        text="Snow & rain in #May",
        completeness=WHOLE,
        lang="en",
        hashtags=("May",),
        links=("https://example.org/a", "https://t.co/b"),
        media=(
            Media(kind="image", url="https://p.example/1.jpg"),
            Media(kind="video", url="http://p.example/2.jpg", alt_text="cat"),
        ),
        author=Author(
            author_id="11",
            handle="ada",
            name="Ada",
            followers=250,
            following=80,
            n_posts=9,
            created_at=datetime(2010, 3, 1, 8, tzinfo=UTC),
            verified=True,
        ),
        likes=7,
        shares=3,
        replies=0,
        quotes=1,
        provenance="twitter_v1:a.jsonl",
    )


def test_the_longest_text_counts_with_its_own_entities() -> None:
    assert read_post(full_text="Snow, rain").text == "Snow, rain"
    post = read_post(
        truncated=True,
        extended_tweet={
            "full_text": "Snow and rain in #June",
            "entities": {"hashtags": [{"text": "June"}]},
            "extended_entities": {"media": [{"type": "photo", "media_url": "http://p/1"}]},
        },
    )
    assert (post.text, post.hashtags, post.completeness) == (
        "Snow and rain in #June",
        ("June",),
        WHOLE,
    )
    assert post.media == (Media(kind="image", url="http://p/1"),)
    assert read_post(truncated=True).completeness == CUT


def test_a_share_describes_its_original() -> None:
    quoted = TWEET | {"id": 7, "id_str": "588000000000000007"}
    original = TWEET | {
        "id_str": "588000000000000009",
        "full_text": "A long story with #Tag",
        "lang": "de",
        "entities": {"hashtags": [{"text": "Tag"}]},
        "quoted_status": quoted,
        "quoted_status_id_str": "588000000000000007",
    }
    share = TWEET | {
        "text": "RT @ada: A long st…",
        "retweeted_status": original,
        "quoted_status_id_str": "588000000000000007",
    }
    deepest, embedded, post = read(share)
    assert isinstance(deepest, Post) and isinstance(embedded, Post) and isinstance(post, Post)
    assert [deepest.post_id[-1], embedded.post_id[-1], post.post_id[-1]] == ["7", "9", "1"]
    assert (embedded.kind, embedded.seen_as) == ("quote", "embedded")
    assert (post.kind, post.share_of, post.quote_of) == ("share", embedded.post_id, None)
    assert (post.text, post.lang, post.hashtags) == ("A long story with #Tag", "de", ("Tag",))
    assert post.completeness == COPY_IN_SHARE
    assert json.loads(post.raw)["retweeted_status"] == {
        "id_str": embedded.post_id,
        "id": TWEET["id"],
    }
    (again,) = twitter_v1.remap(post.raw, post.provenance)
    assert isinstance(again, Post)
    assert (again.share_of, again.text) == (embedded.post_id, "A long st…")


def test_replies_quotes_and_shares_that_only_name_ids() -> None:
    reply = read_post(in_reply_to_status_id_str="8")
    assert (reply.kind, reply.reply_to, reply.root_id) == ("reply", "8", TWEET["id_str"])
    quote = read_post(
        in_reply_to_status_id=8,
        quoted_status_id_str="7",
        entities={"urls": [{"expanded_url": "https://x.com/bo/status/7"}]},
    )
    assert (quote.kind, quote.reply_to, quote.quote_of, quote.links) == ("quote", "8", "7", ())
    share = read_post(retweeted_status={"id_str": "9"}, text="RT @bo: hi")
    assert (share.kind, share.share_of, share.text) == ("share", "9", "hi")


def test_versions_of_an_edited_tweet_are_one_post() -> None:
    """As with include_ext_edit_control."""
    versions = ["588000000000000001", "588000000000000010"]
    initial = {"edit_tweet_ids": versions}
    first = read_post(ext_edit_control={"initial": initial})
    edit = {"edit": {"initial_tweet_id": versions[0], "edit_control_initial": initial}}
    last = read_post(id_str=versions[1], ext_edit_control=edit)
    assert first.post_id == last.post_id == versions[0]
    assert (first.completeness, last.completeness) == (CUT, WHOLE)


def test_unknown_is_none() -> None:
    (post,) = read({"id": 588000000000000001, "text": "hi", "user": {"id": 11}})
    assert isinstance(post, Post)
    assert post.author == Author(author_id="11")
    assert (post.likes, post.shares, post.lang, post.views) == (None,) * 4
    assert post.posted_at == datetime(2015, 4, 14, 15, 24, 59, tzinfo=UTC), "from the id"
    assert read_post(user=None).author is None


def test_lists_and_search_pages() -> None:
    page = {"statuses": [TWEET, 3], "search_metadata": {}}
    readings = read([TWEET, [TWEET]], page, {"statuses": []})
    assert [type(reading) for reading in readings] == [
        *(Post, Post, Post, Problem, NotAPost)  # a list in a list that spans the file is read
    ]


def test_notices() -> None:
    deletion = {
        "delete": {
            "status": {"id": 12, "id_str": "12", "user_id_str": "11"},
            "timestamp_ms": "1429021500000",
        }
    }
    bad, *others = read(
        {"delete": {"status": {}}},
        deletion,
        {"limit": {"track": 5}},
        {"scrub_geo": {"user_id": 1}},
        {"errors": [{"code": 34}]},
        USER,
        {"canonical_link": "https://e.org", "meta_data": {}, "text": "…"},
        {"is_rumour": "rumour"},
    )
    assert isinstance(bad, Problem) and bad.reason.startswith("delete.id_str: ")
    assert others == [
        Deletion(
            platform="x",
            kind="post",
            deleted_id="12",
            reason="delete",
            deleted_at=datetime(2015, 4, 14, 14, 25, tzinfo=UTC),
        ),
        *(
            NotAPost(what=what)
            for what in ("notice: limit", "notice: scrub_geo", "error", "user", "article")
        ),
        NotAPost(what="annotation"),
    ]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"id_str": "1.5e18", "id": None}, "id_str"),
        ({"id_str": None, "id": 5.88e17}, "id_str"),
        ({"created_at": "2015-04-14"}, "created_at"),
        ({"created_at": "Thu Jan 01 00:00:00 +0000 1970"}, "created_at"),
        ({"created_at": "Tue Apr 31 16:13:34 +0200 2015"}, "created_at"),
        ({"in_reply_to_status_id_str": "x"}, "in_reply_to_status_id"),
        ({"retweeted_status": {"id_str": "x"}}, "id_str"),
    ],
)
def test_a_bad_tweet_is_a_problem_that_names_the_field(changes: Json, field: str) -> None:
    problem, post = read(TWEET | changes, TWEET)
    assert isinstance(problem, Problem) and problem.reason.startswith(f"{field}: ")
    assert isinstance(post, Post)


def test_real_data(real_data: Path) -> None:
    path = real_data / "tweets_v1_jsonl" / "sample.jsonl.xz"
    assert sniff_format(path) == "twitter_v1"
    counted: Counter[str] = Counter()
    for reading in read_file(path):
        if isinstance(reading, Post):
            counted[f"{reading.seen_as} {reading.kind}"] += 1
            (again,) = twitter_v1.remap(reading.raw, reading.provenance)
            assert isinstance(again, Post) and again.post_id == reading.post_id
        else:
            counted[getattr(reading, "what", "problem")] += 1
    # 1,150 lines: 1,145 tweets, 171 of them retweets, and 5 articles kept beside them
    assert counted == {
        "collected original": 962,
        "collected share": 171,
        "collected reply": 7,
        "collected quote": 5,
        "article": 5,
        "embedded original": 164,
        "embedded quote": 12,
        "embedded reply": 10,
    }
