"""Zeeschuimer and what it catches on X and Instagram. All posts are invented."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime

import msgspec
import pytest

from streams.formats import twitter_v2, zeeschuimer
from streams.formats.json_records import Json
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

SEEN_AT = datetime(2023, 4, 24, 15, tzinfo=UTC)


def user(name: str, **more: object) -> Json:
    legacy = {"screen_name": name, "name": name.title(), "followers_count": 250, "verified": False}
    result = {"rest_id": "11", "legacy": legacy, **more}
    return {"user_results": {"result": result}}


def tweet(number: int, legacy: Json | None = None, **more: object) -> Json:
    x_id = f"165050000000000000{number}"
    return {
        "__typename": "Tweet",
        "rest_id": x_id,
        "core": user("ada"),
        "legacy": {
            "created_at": "Mon Apr 24 14:13:34 +0000 2023",
            "full_text": "Snow &amp; rain in #May",
            "entities": {"hashtags": [{"text": "May"}], "urls": []},
            "favorite_count": 7,
            **(legacy or {}),
        },
        **more,
    }


ITEM: Json = {
    "pk": "3090000000000000000",
    "id": "3090000000000000000_11",
    "code": "Crh4qDj9QAA",
    "taken_at": 1682345614,
    "media_type": 1,
    "caption": {"text": "Snow in #May", "pk": "1"},
    "user": {"pk": 11, "username": "Ada.Weather", "full_name": "Ada", "is_verified": True},
    "image_versions2": {"candidates": [{"url": "https://c/1.jpg"}, {"url": "https://c/small.jpg"}]},
    "accessibility_caption": "a cat",
    "like_count": 7,
    "comment_count": 0,
}
NODE: Json = {
    "__typename": "GraphImage",
    "id": "3090000000000000000",
    "shortcode": "Crh4qDj9QAA",
    "taken_at_timestamp": 1682345614,
    "display_url": "https://c/1.jpg",
    "accessibility_caption": "a cat",
    "edge_media_to_caption": {"edges": [{"node": {"text": "Snow in #May"}}]},
    "edge_media_preview_like": {"count": 7},
    "edge_media_to_comment": {"count": 0},
    "owner": {"id": "11", "username": "Ada.Weather", "full_name": "Ada", "is_verified": True},
}


def caught(data: object, platform: str = "instagram.com") -> Json:
    return {
        "item_id": "1",
        "timestamp_collected": 1682348400000,
        "source_platform": platform,
        "source_platform_url": f"https://{platform}/",
        "data": data,
    }


def read(*records: object) -> list[Reading]:
    content = b"\n".join(json.dumps(record).encode() for record in records)
    return list(zeeschuimer.read(io.BytesIO(content), "zeeschuimer:a.ndjson"))


def read_tweet(data: Json) -> Post:
    post = read(caught(data, "x.com"))[-1]
    assert isinstance(post, Post), post
    return post


def read_item(**changes: object) -> Post:
    (post,) = read(caught(ITEM | changes))
    assert isinstance(post, Post), post
    return post


def test_every_field_of_a_tweet() -> None:
    core = {"screen_name": "ada2", "name": "Ada", "created_at": "Mon Mar 01 08:00:00 +0000 2010"}
    post = read_tweet(
        tweet(
            1,
            {"lang": "en", "reply_count": 2, "retweet_count": 3, "quote_count": 0},
            core=user("ada", core=core, verification={"verified": True}),
            views={"count": "90", "state": "EnabledWithCount"},
        )
    )
    assert msgspec.structs.replace(post, raw=b"") == Post(
        platform="x",
        post_id="1650500000000000001",
        root_id="1650500000000000001",
        posted_at=datetime(2023, 4, 24, 14, 13, 34, tzinfo=UTC),
        text="Snow & rain in #May",
        lang="en",
        hashtags=("May",),
        author=Author(
            author_id="11",
            handle="ada2",
            name="Ada",
            followers=250,
            created_at=datetime(2010, 3, 1, 8, tzinfo=UTC),
            verified=True,
        ),
        likes=7,
        shares=3,
        replies=2,
        quotes=0,
        views=90,
        observed_at=SEEN_AT,
        provenance="zeeschuimer:a.ndjson",
    )


VERSIONS = ["1650500000000000001", "1650500000000000009"]


def edited(x_id: str) -> Json:
    """A version of an edited tweet: a later one tells of the others further inside."""
    minute = "00" if x_id == VERSIONS[0] else "20"
    legacy: Json = {"created_at": f"Mon Apr 24 14:{minute}:39 +0000 2023"}
    initial: Json = {"edit_tweet_ids": VERSIONS, "edits_remaining": "4"}
    later: Json = {"initial_tweet_id": VERSIONS[0], "edit_control_initial": initial}
    control = initial if x_id == VERSIONS[0] else later
    return tweet(1, legacy, rest_id=x_id, edit_control=control)


def test_versions_of_an_edited_tweet_are_one_post() -> None:
    first, last = (read_tweet(edited(x_id)) for x_id in VERSIONS)
    api: Json = {"id": VERSIONS[1], "text": "Snow", "edit_history_tweet_ids": VERSIONS}
    (of_api,) = twitter_v2.parse_record(api, "twitter_v2:a", "1")
    assert isinstance(of_api, Post)
    assert first.post_id == last.post_id == of_api.post_id == VERSIONS[0]
    assert first.posted_at == last.posted_at == of_api.posted_at
    assert (first.completeness, last.completeness) == (CUT, WHOLE)


def test_who_quotes_or_shares_a_version_refers_to_the_post() -> None:
    """Also when its record is read again, where the tweets inside it are ids; the link to the
    quoted version is none."""
    link = {"expanded_url": f"https://x.com/ada/status/{VERSIONS[0]}", "url": "https://t.co/a"}
    quoted = {"result": edited(VERSIONS[1])}
    quote = read_tweet(tweet(5, {"entities": {"urls": [link]}}, quoted_status_result=quoted))
    share = read_tweet(tweet(6, {"retweeted_status_result": {"result": edited(VERSIONS[1])}}))
    assert (quote.quote_of, quote.links) == (VERSIONS[0], ())
    assert (share.share_of, share.root_id) == (VERSIONS[0], VERSIONS[0])
    for post in (quote, share):
        (again,) = zeeschuimer.remap(post.raw, post.provenance)
        assert isinstance(again, Post)
        assert (again.quote_of, again.share_of) == (post.quote_of, post.share_of)
        assert (again.links, again.raw) == (post.links, post.raw)


def test_tweets_inside_tweets_are_posts_of_their_own() -> None:
    quoted = {"__typename": "TweetWithVisibilityResults", "tweet": tweet(3)}
    original = tweet(2, {"full_text": "A long story"}, quoted_status_result={"result": quoted})
    share = tweet(
        1,
        {"full_text": "RT @ada: A long…", "retweeted_status_result": {"result": original}},
    )
    deepest, embedded, post = read(caught(share, "twitter.com"))
    assert isinstance(deepest, Post) and isinstance(embedded, Post) and isinstance(post, Post)
    assert [p.post_id[-1] for p in (deepest, embedded, post)] == ["3", "2", "1"]
    assert (embedded.kind, embedded.quote_of) == ("quote", deepest.post_id)
    assert (post.kind, post.share_of, post.text) == ("share", embedded.post_id, "A long story")
    assert post.completeness == COPY_IN_SHARE
    for reading in (deepest, embedded, post):
        assert b"A long story" not in reading.raw or reading is embedded
        (again,) = zeeschuimer.remap(reading.raw, reading.provenance)
        assert isinstance(again, Post)
        assert (again.post_id, again.share_of, again.quote_of) == (
            reading.post_id,
            reading.share_of,
            reading.quote_of,
        )


def test_a_long_tweet_has_its_whole_text_and_its_tags() -> None:
    note = {"text": "Snow and rain in #June", "entity_set": {"hashtags": [{"text": "June"}]}}
    post = read_tweet(tweet(1, note_tweet={"note_tweet_results": {"result": note}}))
    assert (post.text, post.hashtags) == ("Snow and rain in #June", ("June",))


def test_the_older_form_of_the_pages() -> None:
    old: Json = {
        "type": "adaptive",
        "legacy": {
            "id_str": "1650500000000000001",
            "created_at": "Mon Apr 24 14:13:34 +0000 2023",
            "full_text": "Snow",
        },
        "user": {"id_str": "11", "screen_name": "ada"},
        "ext_views": {"count": "90"},
    }
    post = read_tweet(old)
    assert (post.post_id, post.text, post.views) == ("1650500000000000001", "Snow", 90)
    assert post.author == Author(author_id="11", handle="ada")


def test_the_shapes_of_instagram_give_the_same_post() -> None:
    item, node = read(caught(ITEM), caught(NODE))
    assert isinstance(item, Post) and isinstance(node, Post)
    assert msgspec.structs.replace(item, raw=b"") == Post(
        platform="instagram",
        post_id="Crh4qDj9QAA",
        root_id="Crh4qDj9QAA",
        posted_at=datetime(2023, 4, 24, 14, 13, 34, tzinfo=UTC),
        text="Snow in #May",
        completeness=WHOLE,
        hashtags=("May",),
        media=(Media(kind="image", url="https://c/1.jpg", alt_text="a cat"),),
        author=Author(author_id="11", handle="Ada.Weather", name="Ada", verified=True),
        likes=7,
        replies=0,
        observed_at=SEEN_AT,
        provenance="zeeschuimer:a.ndjson",
    )
    assert msgspec.structs.replace(node, raw=item.raw) == item


def test_a_partial_item_has_its_time_from_its_number_and_is_no_whole_text() -> None:
    partial = {"__typename": "XDTMediaPolaris", "code": "Crh4qDj9QAA", "media_type": 1, "pk": "1"}
    (post,) = read(caught(partial | {"_zs_partial": True}))
    assert isinstance(post, Post)
    assert post.posted_at == datetime(2023, 4, 27, 6, 25, 26, tzinfo=UTC)
    assert (post.completeness, post.likes, post.author) == (CUT, None, None)


def test_carousels_and_videos_show_their_covers() -> None:
    def part(number: int, media_type: int, **more: object) -> Json:
        cover = {"candidates": [{"url": f"https://c/{number}.jpg"}]}
        return {"media_type": media_type, "image_versions2": cover, **more}

    videos = [{"url": "https://c/2.mp4"}]
    post = read_item(media_type=8, carousel_media=[part(1, 1), part(2, 2, video_versions=videos)])
    assert post.media == (
        Media(kind="image", url="https://c/1.jpg"),
        Media(kind="video", url="https://c/2.jpg"),
    )
    only_video = read_item(media_type=2, image_versions2=None, video_versions=videos)
    assert only_video.media[0].url == "https://c/2.mp4"
    album = NODE | {
        "edge_sidecar_to_children": {
            "edges": [
                {"node": {"display_url": "https://c/1.jpg"}},
                {"node": {"__typename": "GraphVideo", "display_url": "https://c/2.jpg"}},
            ]
        }
    }
    (from_node,) = read(caught(album))
    assert isinstance(from_node, Post) and from_node.media == post.media


def test_what_is_hidden_is_unknown() -> None:
    hidden = read_item(like_and_view_counts_disabled=True, play_count=5)
    assert (hidden.likes, hidden.views) == (None, None)
    assert read_item(like_count=-1).likes is None
    assert read_item(play_count=0).views is None
    assert read_item(user={"username": "Ada"}).author == Author(author_id="@ada", handle="Ada")
    assert read_item(user={"pk": "11", "follower_count": 0}).author == Author(
        author_id="11", followers=0
    )
    (post,) = read(caught(NODE | {"edge_media_preview_like": {"count": -1}}))
    assert isinstance(post, Post) and post.likes is None


def test_what_is_no_post() -> None:
    readings = read(
        caught(ITEM | {"product_type": "ad"}),
        caught({"__typename": "TweetTombstone", "tombstone": {}}, "x.com"),
        caught({"id": "1"}, "tiktok.com"),
        {"item_id": "1"},
        3,
    )
    assert readings[:2] == [NotAPost(what="ad"), NotAPost(what="no tweet: TweetTombstone")]
    reasons = [reading.reason for reading in readings if isinstance(reading, Problem)]
    assert reasons[0].startswith("source_platform: an item of 'tiktok.com'")
    assert reasons[1:] == ["data: missing", "not a JSON object"]


@pytest.mark.parametrize(
    ("data", "field"),
    [
        (ITEM | {"code": None, "pk": None, "id": "x"}, "code"),
        (ITEM | {"taken_at": "soon"}, "taken_at"),
        (ITEM | {"taken_at": 5}, "taken_at"),
        (NODE | {"taken_at_timestamp": -1}, "taken_at_timestamp"),
        (tweet(1, {"created_at": "soon"}), "created_at"),
        (tweet(1, {"full_text": None}), "text"),
        (tweet(1) | {"rest_id": "x"}, "id_str"),
    ],
)
def test_a_bad_item_is_a_problem_that_names_the_field(data: Json, field: str) -> None:
    problem, post = read(caught(data), caught(ITEM))
    assert isinstance(problem, Problem) and problem.reason.startswith(f"{field}: ")
    assert isinstance(post, Post)
