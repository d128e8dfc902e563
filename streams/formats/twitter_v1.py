"""X API v1.1 as JSON: tweets in lines or lists, search pages, the notices of its streams.

Both forms are read: the compact one with `text` and the extended one with `full_text` or
`extended_tweet`. So are collections built of them, as PHEME and the output of twarc 1, and the
articles that some of those keep beside the tweets.
"""

from __future__ import annotations

import io
from collections.abc import Iterator

from streams.formats.cleaning import BadField
from streams.formats.json_records import (
    Json,
    encode_json,
    object_of,
    parse_json,
    problem_of,
    read_json,
    score_keys,
    text_of,
    unix_moment_of,
)
from streams.formats.platform_x import PLATFORM, is_withheld
from streams.formats.tweet_object import nested_tweets, own_object, parse_tweet, tweet_id, written
from streams.records import Deletion, NotAPost, Post, Problem, Reading, SeenAs

NAME = "twitter_v1"
DESCRIPTION = "X API v1.1 as JSON: tweets in lines or lists, search pages, streams (PHEME, twarc 1)"

_TELLING = (
    *(b'"id_str"', b'"full_text"', b'"favorite_count"', b'"retweeted_status"', b'"screen_name"'),
    *(b'"in_reply_to_status_id', b'"user_mentions"', b'"is_quote_status"', b'"statuses_count"'),
    *(b'{"delete":{"status":', b'{"delete": {"status":', b'"search_metadata"'),
)
_FOREIGN = (b'"item_id"', b'"__import_meta"', b'"rest_id"', b'"timestamp_collected"', b'"acct"')

#: Messages that the streams put between the tweets.
_NOTICES = (
    *("scrub_geo", "limit", "status_withheld", "user_withheld", "disconnect", "warning"),
    *("event", "friends", "friends_str", "direct_message"),
)


def sniff(head: bytes) -> float:
    """The confidence that a file beginning with `head` is in this format, by the keys it shows.

    >>> sniff(b'{"id_str":"1","full_text":""}'), sniff(b'{"id":"1","author_id":"2"}')
    (0.8, 0.0)
    """
    return score_keys(head, _TELLING, _FOREIGN)


def read(stream: io.BufferedIOBase, source: str) -> Iterator[Reading]:
    """Each tweet as one Post after those inside it, each notice as one Reading."""
    yield from read_json(stream, source, parse_record)


def remap(raw: bytes, source: str) -> Iterator[Reading]:
    """What the `raw` of a Post or Problem is today."""
    yield from parse_json(raw, source, "raw", parse_record)


def parse_record(record: Json, source: str, position: str) -> Iterator[Reading]:
    """What a decoded record holds: a tweet, a page of a search, a notice."""
    statuses = record.get("statuses")
    if isinstance(statuses, list):
        for i, tweet in enumerate(statuses):
            yield from _parse_item(tweet, source, f"{position}, statuses[{i}]")
        if not statuses:
            yield NotAPost(what="empty page")
    else:
        yield from _parse_item(record, source, position)


def example() -> bytes:
    """A small invented file of this format: compact and extended tweets, and a deletion."""

    def user(number: int, name: str) -> Json:
        return {
            "id_str": str(number),
            "screen_name": name.lower(),
            "name": name,
            "followers_count": 250,
            "friends_count": 80,
            "statuses_count": 9,
            "verified": False,
            "created_at": "Mon Mar 01 08:00:00 +0000 2010",
        }

    told: Json = {
        "id": 588000000000000001,
        "id_str": "588000000000000001",
        "created_at": "Tue Apr 14 14:13:34 +0000 2015",
        "full_text": "Snow in May &amp; June, says the #WeatherCat https://t.co/a https://t.co/b",
        "truncated": False,
        "lang": "en",
        "user": user(11, "Ada"),
        "entities": {
            "hashtags": [{"text": "WeatherCat", "indices": [29, 40]}],
            "urls": [{"url": "https://t.co/a", "expanded_url": "https://example.org/snow"}],
            "user_mentions": [],
        },
        "extended_entities": {
            "media": [
                {"type": "photo", "media_url_https": "https://pbs.example.org/1.jpg"},
                {"type": "photo", "media_url_https": "https://pbs.example.org/2.jpg"},
            ]
        },
        "retweet_count": 1,
        "favorite_count": 7,
    }
    share: Json = {
        "id_str": "588000000000000002",
        "created_at": "Tue Apr 14 14:20:00 +0000 2015",
        "text": "RT @ada: Snow in May &amp; June, says the…",
        "user": user(12, "Bo"),
        "retweeted_status": told,
    }
    reply: Json = {
        "id_str": "588000000000000003",
        "created_at": "Tue Apr 14 14:21:00 +0000 2015",
        "text": "@ada Bring… https://t.co/c",
        "truncated": True,
        "extended_tweet": {"full_text": "@ada Bring boots, a scarf and a thermos. " * 5},
        "in_reply_to_status_id_str": told["id_str"],
        "user": user(12, "Bo"),
    }
    deletion: Json = {
        "delete": {
            "status": {"id_str": "588000000000000003", "user_id_str": "12"},
            "timestamp_ms": "1429021500000",
        }
    }
    limit: Json = {"limit": {"track": 5}}
    return b"\n".join((*map(encode_json, (share, reply, deletion, limit)), b""))


def _parse_item(item: object, source: str, position: str) -> Iterator[Reading]:
    if not isinstance(item, dict):
        yield problem_of("not a JSON object", item, source, position)
        return
    if written(item) is not None and ("created_at" in item or "user" in item or "id_str" in item):
        for place, tweet in nested_tweets(item):
            yield _parse_tweet(tweet, "embedded", source, f"{position}, {place}")
        yield _parse_tweet(item, "collected", source, position)
    else:
        yield _parse_other(item, source, position)


def _parse_tweet(tweet: Json, seen_as: SeenAs, source: str, position: str) -> Post | Problem:
    try:
        return parse_tweet(tweet, encode_json(own_object(tweet)), source, seen_as=seen_as)
    except BadField as error:
        return problem_of(str(error), tweet, source, position)


def _parse_other(item: Json, source: str, position: str) -> Reading:
    notice = object_of(item.get("delete"))
    if notice:
        try:
            return _parse_deletion(notice)
        except BadField as error:
            return problem_of(f"delete.{error}", item, source, position)
    withheld = object_of(item.get("status_withheld"))
    if is_withheld(withheld.get("withheld_in_countries")):
        try:
            return Deletion(
                platform=PLATFORM,
                kind="post",
                deleted_id=tweet_id(withheld),
                reason="withheld",
            )
        except BadField as error:
            return problem_of(f"status_withheld.{error}", item, source, position)
    for name in _NOTICES:
        if name in item:
            return NotAPost(what=f"notice: {name}")
    if isinstance(item.get("errors"), list) or isinstance(item.get("error"), str):
        return NotAPost(what="error")
    if "screen_name" in item and "followers_count" in item:
        return NotAPost(what="user")
    if "canonical_link" in item and "meta_data" in item:
        return NotAPost(what="article")
    if "is_rumour" in item:
        return NotAPost(what="annotation")
    reason = "neither tweet, user, article nor notice of a stream"
    return problem_of(reason, item, source, position)


def _parse_deletion(notice: Json) -> Deletion:
    """A stream's notice that a tweet was deleted. Raises BadField."""
    told = text_of(notice.get("timestamp_ms")) or ""
    at = int(told) if told.isdecimal() and len(told) < 16 else None
    return Deletion(
        platform=PLATFORM,
        kind="post",
        deleted_id=tweet_id(object_of(notice.get("status"))),
        reason="delete",
        deleted_at=unix_moment_of(at, 1000),
    )
