"""Zeeschuimer's NDJSON: what the browser extension caught on X and Instagram.

A line is an item of a page with where and when it was seen around it. 4CAT's NDJSON is the same
with the item's own keys on top; `fourcat` reads that with the functions of this module.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import datetime

from streams.formats.cleaning import BadField
from streams.formats.instagram_items import is_ad, is_item, is_node, parse_item, parse_node
from streams.formats.json_records import (
    Json,
    count_of,
    encode_json,
    object_of,
    parse_json,
    problem_of,
    read_json,
    score_keys,
    text_of,
    unix_moment_of,
)
from streams.formats.tweet_object import nested_tweets, parse_tweet
from streams.formats.x_web import as_tweet_object, is_web_tweet, own_web_object, unwrap
from streams.records import NotAPost, Post, Problem, Reading, SeenAs

NAME = "zeeschuimer"
DESCRIPTION = "Zeeschuimer's NDJSON: posts of X and Instagram caught in the browser"

_TELLING = (
    *(b'"source_platform"', b'"timestamp_collected"', b'"source_platform_url"'),
    *(b'"item_id"', b'"nav_index"'),
)
_FOREIGN = (b'"__import_meta"',)


def sniff(head: bytes) -> float:
    """The confidence that a file beginning with `head` is in this format, by the keys it shows.

    >>> sniff(b'{"item_id":"1","source_platform":"x.com","data":{}}'), sniff(b'{"item_id":"1"}')
    (0.8, 0.6)
    """
    return score_keys(head, _TELLING, _FOREIGN)


def read(stream: io.BufferedIOBase, source: str) -> Iterator[Reading]:
    """Each item as one Reading, tweets inside a tweet before it."""
    yield from read_json(stream, source, parse_record)


def remap(raw: bytes, source: str) -> Iterator[Reading]:
    """What the `raw` of a Post or Problem is today."""
    yield from parse_json(raw, source, "raw", parse_record)


def parse_record(record: Json, source: str, position: str) -> Iterator[Reading]:
    """What a line holds: an item with its surroundings."""
    item = record.get("data")
    if not isinstance(item, dict):
        yield problem_of("data: missing", record, source, position)
        return
    around = {key: value for key, value in record.items() if key != "data"}
    yield from parse_caught(item, around, "data", source, position)


def parse_caught(
    item: Json, around: Json, key: str | None, source: str, position: str
) -> Iterator[Reading]:
    """The item of a page of X or Instagram, with what is known of where it was seen.

    `raw` is the item with that around it: below `key`, or on top if that is None.
    """

    def encode(own: Json) -> bytes:
        return encode_json({**own, **around} if key is None else {**around, key: own})

    meta = object_of(around.get("__import_meta")) or around
    seen_at = _seen_at(meta)
    if is_web_tweet(item):
        tweet = as_tweet_object(item)
        for place, inner in nested_tweets(tweet):
            raw = encode(own_web_object(inner))
            where = f"{position}, {place}"
            yield _parse_tweet(inner, raw, seen_at, "embedded", source, where)
        raw = encode(own_web_object(tweet))
        yield _parse_tweet(tweet, raw, seen_at, "collected", source, position)
    elif is_ad(item):
        yield NotAPost(what="ad")
    elif is_node(item) or is_item(item):
        parse = parse_node if is_node(item) else parse_item
        try:
            yield parse(item, encode(item), source, seen_at)
        except BadField as error:
            yield Problem(reason=str(error), source=source, position=position, raw=encode(item))
    else:
        platform = (text_of(meta.get("source_platform")) or "unknown")[:40]
        if platform in ("x.com", "twitter.com") and unwrap(item).get("__typename"):
            yield NotAPost(what=f"no tweet: {text_of(item['__typename'])}")
            return
        reason = f"source_platform: an item of {platform!r} that is no post of X or Instagram"
        yield Problem(reason=reason, source=source, position=position, raw=encode(item))


def example() -> bytes:
    """A small invented file of this format: a retweet of X, a carousel and a reel of Instagram."""

    def caught(item_id: str, platform: str, data: Json) -> bytes:
        around: Json = {
            "nav_index": "1:0",
            "item_id": item_id,
            "timestamp_collected": 1682348400000,
            "source_platform": platform,
            "source_platform_url": f"https://{platform}/search",
            "user_agent": "Mozilla/5.0",
        }
        return encode_json({**around, "data": data})

    return b"\n".join(
        (
            caught("1650500000000000002", "x.com", example_tweet()),
            *(caught(str(item["code"]), "instagram.com", item) for item in example_items()),
            b"",
        )
    )


def example_tweet() -> Json:
    """An invented retweet as X's pages hold it."""

    def user(number: int, name: str) -> Json:
        result = {
            "__typename": "User",
            "rest_id": str(number),
            "core": {
                "screen_name": name.lower(),
                "name": name,
                "created_at": "Mon Mar 01 08:00:00 +0000 2010",
            },
            "legacy": {"followers_count": 250, "friends_count": 80, "statuses_count": 9},
        }
        return {"user_results": {"result": result}}

    told: Json = {
        "__typename": "Tweet",
        "rest_id": "1650500000000000001",
        "core": user(11, "Ada"),
        "views": {"count": "90", "state": "EnabledWithCount"},
        "legacy": {
            "id_str": "1650500000000000001",
            "created_at": "Mon Apr 24 14:13:34 +0000 2023",
            "full_text": "Snow in May &amp; June, says the #WeatherCat",
            "lang": "en",
            "entities": {"hashtags": [{"text": "WeatherCat"}], "urls": [], "user_mentions": []},
            "favorite_count": 7,
            "retweet_count": 1,
            "reply_count": 0,
            "quote_count": 0,
        },
    }
    return {
        "__typename": "Tweet",
        "rest_id": "1650500000000000002",
        "core": user(12, "Bo"),
        "legacy": {
            "id_str": "1650500000000000002",
            "created_at": "Mon Apr 24 14:20:00 +0000 2023",
            "full_text": "RT @ada: Snow in May &amp; June, says the…",
            "entities": {"hashtags": [], "urls": [], "user_mentions": []},
            "retweeted_status_result": {"result": told},
        },
    }


def example_items() -> list[Json]:
    """Invented posts as Instagram's pages hold them: a carousel and a reel."""

    def picture(name: str) -> Json:
        return {"candidates": [{"url": f"https://cdn.example.org/{name}.jpg", "width": 1080}]}

    user = {"pk": "11", "username": "ada.weather", "full_name": "Ada", "is_verified": False}
    return [
        {
            "pk": "3088061288396357633",
            "id": "3088061288396357633_11",
            "code": "Cra_2FrgAAB",
            "taken_at": 1682345614,
            "media_type": 8,
            "caption": {"text": "Snow in May, says the #WeatherCat"},
            "user": user,
            "carousel_media": [
                {"media_type": 1, "image_versions2": picture("cat")},
                {"media_type": 2, "image_versions2": picture("snow"), "video_versions": []},
            ],
            "like_count": 7,
            "comment_count": 1,
        },
        {
            "pk": "3088061288396357634",
            "code": "Cra_2FrgAAC",
            "taken_at": 1682346000,
            "media_type": 2,
            "caption": None,
            "user": user,
            "image_versions2": picture("boots"),
            "video_versions": [{"url": "https://cdn.example.org/boots.mp4"}],
            "like_count": 3,
            "like_and_view_counts_disabled": True,
            "comment_count": 0,
            "play_count": 90,
        },
    ]


def _seen_at(meta: Json) -> datetime | None:
    return unix_moment_of(count_of(meta, "timestamp_collected"), 1000)


def _parse_tweet(
    tweet: Json,
    raw: bytes,
    seen_at: datetime | None,
    seen_as: SeenAs,
    source: str,
    position: str,
) -> Post | Problem:
    try:
        return parse_tweet(tweet, raw, source, seen_at, seen_as)
    except BadField as error:
        return Problem(reason=str(error), source=source, position=position, raw=raw)
