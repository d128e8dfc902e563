"""Instagram Graph API as JSON: hashtag pages, media, the media of an account, in lines or lists.

A page is `{"data": [...], "paging": ...}` as `recent_media` and `top_media` give it; an account
carries its media in `media` (also below `business_discovery`). Posts found by hashtag name no
author. A page or post may carry `retrieved_at`, the time at which the collector got it.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import datetime
from typing import Literal

from streams.formats.cleaning import BadField
from streams.formats.json_records import (
    Json,
    count_of,
    encode_json,
    moment_of,
    object_of,
    objects_of,
    parse_json,
    problem_of,
    read_json,
    score_keys,
    text_of,
)
from streams.formats.platform_instagram import FIRST_DAY, PLATFORM, post_id_of
from streams.formats.text_parts import find_hashtags, find_links
from streams.records import Author, Media, NotAPost, Post, Reading

NAME = "instagram_graph"
DESCRIPTION = "Instagram Graph API as JSON: hashtag pages, media, accounts with their media"

_TELLING = (
    *(b'"media_type":"IMAGE"', b'"media_type":"VIDEO"', b'"media_type":"CAROUSEL_ALBUM"'),
    *(b'"media_type": "IMAGE"', b'"media_type": "VIDEO"', b'"media_type": "CAROUSEL_ALBUM"'),
    *(b'"permalink"', b'"comments_count"', b'"media_product_type"', b'"business_discovery"'),
)
_FOREIGN = (b'"item_id"', b'"taken_at', b'"app.bsky.', b'"public_metrics"', b'"id_str"')

_POST_KEYS = {"media_type", "permalink", "media_url", "caption", "media_product_type"}
_MEDIA_KINDS: dict[str, Literal["image", "video"]] = {"IMAGE": "image", "VIDEO": "video"}


def sniff(head: bytes) -> float:
    """The confidence that a file beginning with `head` is in this format, by the keys it shows.

    >>> sniff(b'{"data":[{"media_type":"IMAGE","permalink":"..."}]}'), sniff(b'{"data":[]}')
    (0.8, 0.0)
    """
    return score_keys(head, _TELLING, _FOREIGN)


def read(stream: io.BufferedIOBase, source: str) -> Iterator[Reading]:
    """Each record as one Reading, a page as one for each of its items."""
    yield from read_json(stream, source, parse_record)


def remap(raw: bytes, source: str) -> Iterator[Reading]:
    """What the `raw` of a Post or Problem is today."""
    yield from parse_json(raw, source, "raw", parse_record)


def parse_record(record: Json, source: str, position: str) -> Iterator[Reading]:
    """What a decoded record holds: a page, an account with its media, a post, an error."""
    found = record.get("business_discovery")
    account = found if isinstance(found, dict) else record
    of_account = object_of(account.get("media")).get("data")
    error = record.get("error")
    if isinstance(of_account, list):
        author = {key: value for key, value in account.items() if key != "media"}
        yield NotAPost(what="user")
        yield from _parse_items(of_account, author, record, source, f"{position}, media")
    elif isinstance(record.get("data"), list):
        yield from _parse_items(record["data"], {}, record, source, f"{position}, data")
    elif isinstance(error, dict):
        yield NotAPost(what=f"error: {text_of(error.get('type')) or 'untitled'}")
    else:
        yield _parse_item(record, source, position)


def parse_post(media: Json, source: str) -> Post:
    """The post of one media object. Raises BadField.

    Its id is the shortcode in its `permalink`, so that it is the same post in every format; the
    API's own `id`, which no other source has, only where there is no link.
    """
    post_id = _post_id(media)
    told = media.get("timestamp")
    posted_at = moment_of(told)
    if posted_at is None or posted_at < FIRST_DAY:
        raise BadField(f"timestamp: {str(told)[:40]!r} is not a time of Instagram")
    caption = text_of(media.get("caption")) or ""
    return Post(
        platform=PLATFORM,
        post_id=post_id,
        root_id=post_id,
        posted_at=posted_at,
        text=caption,
        hashtags=find_hashtags(caption),
        links=find_links(caption),
        media=parse_media(media),
        author=_parse_author(media),
        likes=count_of(media, "like_count"),
        replies=count_of(media, "comments_count"),
        views=count_of(media, "view_count"),
        observed_at=_observed_at(media),
        provenance=source,
        raw=encode_json(media),
    )


def parse_media(media: Json) -> tuple[Media, ...]:
    """The pictures of a post in its order: of a carousel those of its children, of a video its
    cover, or the video itself where no cover is given."""
    if media.get("media_type") == "CAROUSEL_ALBUM":
        children = objects_of(object_of(media.get("children")).get("data"))
        shown = [part for child in children for part in parse_media(child)]
        if shown:
            return tuple(shown)
    url = text_of(media.get("thumbnail_url")) or text_of(media.get("media_url"))
    if not url:
        return ()
    kind = _MEDIA_KINDS.get(text_of(media.get("media_type")) or "", "image")
    return (Media(kind=kind, url=url, alt_text=text_of(media.get("alt_text")) or None),)


def example() -> bytes:
    """A small invented file of this format: a page of a hashtag, an account, a single post."""
    cat: Json = {
        "id": "17900000000000001",
        "caption": "Snow in May, says the #WeatherCat ❄️ #May",
        "media_type": "IMAGE",
        "media_url": "https://cdn.example.org/cat.jpg",
        "permalink": "https://www.instagram.com/p/Cra4qDjAAAB/",
        "timestamp": "2023-04-24T14:13:34+0000",
        "like_count": 7,
        "comments_count": 1,
    }
    page = {
        "data": [
            cat,
            {
                "id": "17900000000000002",
                "media_type": "CAROUSEL_ALBUM",
                "permalink": "https://www.instagram.com/p/Cra4qDjAAAC/",
                "timestamp": "2023-04-24T14:20:00+0000",
                "comments_count": 0,
                "children": {
                    "data": [
                        {
                            "id": "17900000000000003",
                            "media_type": "VIDEO",
                            "media_url": "https://cdn.example.org/snow.mp4",
                            "thumbnail_url": "https://cdn.example.org/snow.jpg",
                        },
                        {
                            "id": "17900000000000004",
                            "media_type": "IMAGE",
                            "media_url": "https://cdn.example.org/boots.jpg",
                        },
                    ]
                },
            },
        ],
        "paging": {"cursors": {"after": "QVFI"}},
    }
    account = {
        "business_discovery": {
            "id": "17841400000000001",
            "username": "ada.weather",
            "name": "Ada",
            "followers_count": 250,
            "follows_count": 80,
            "media_count": 12,
            "media": {
                "data": [
                    {
                        "id": "17900000000000005",
                        "caption": "Bring boots",
                        "media_type": "VIDEO",
                        "media_product_type": "REELS",
                        "media_url": "https://cdn.example.org/boots.mp4",
                        "permalink": "https://www.instagram.com/reel/Cra4qDjAAAF/",
                        "timestamp": "2023-04-24T15:00:00+0000",
                        "like_count": 0,
                        "view_count": 90,
                    }
                ]
            },
        }
    }
    edited = cat | {"caption": "Snow in May! #WeatherCat", "like_count": 9}
    return b"\n".join((encode_json(page), encode_json(account), encode_json(edited), b""))


def _parse_items(
    items: object, author: Json, page: Json, source: str, place: str
) -> Iterator[Reading]:
    """The items of a page, each with what the page says of all."""
    shared: Json = {"author": author} if author else {}
    if "retrieved_at" in page:
        shared["retrieved_at"] = page["retrieved_at"]
    listed = items if isinstance(items, list) else []
    for i, item in enumerate(listed):
        own = {**item, **shared} if isinstance(item, dict) else item
        yield _parse_item(own, source, f"{place}[{i}]")
    if not listed:
        yield NotAPost(what="empty page")


def _parse_item(item: object, source: str, position: str) -> Reading:
    if not isinstance(item, dict):
        return problem_of("not a JSON object", item, source, position)
    if item.keys() & _POST_KEYS:
        try:
            return parse_post(item, source)
        except BadField as error:
            return problem_of(str(error), item, source, position)
    if "text" in item and "id" in item:
        return NotAPost(what="comment")
    if item.keys() & {"followers_count", "media_count", "biography", "username"}:
        return NotAPost(what="user")
    if item.keys() - {"author", "retrieved_at"} <= {"id", "name"} and "id" in item:
        return NotAPost(what="hashtag")
    return problem_of("neither post, comment, account nor hashtag", item, source, position)


def _post_id(media: Json) -> str:
    link = text_of(media.get("permalink")) or ""
    post_id = post_id_of(link) if "/" in link else None
    if post_id is None and text_of(media.get("shortcode")):
        post_id = post_id_of(text_of(media.get("shortcode")) or "")
    own_id = text_of(media.get("id")) or ""
    if post_id is None and own_id.isdecimal() and own_id.isascii() and len(own_id) <= 24:
        post_id = own_id
    if post_id is None:
        told = media.get("id") if media.get("permalink") is None else media["permalink"]
        raise BadField(f"permalink: {str(told)[:40]!r} holds no shortcode, and there is no id")
    return post_id


def _parse_author(media: Json) -> Author | None:
    """Who published the post, where the API tells; one known by name only has the id "@name"."""
    account = object_of(media.get("author")) or object_of(media.get("owner"))
    handle = text_of(account.get("username")) or text_of(media.get("username"))
    author_id = text_of(account.get("id")) or (f"@{handle.casefold()}" if handle else None)
    if not author_id:
        return None
    return Author(
        author_id=author_id,
        handle=handle or None,
        name=text_of(account.get("name")) or None,
        followers=count_of(account, "followers_count"),
        following=count_of(account, "follows_count"),
        n_posts=count_of(account, "media_count"),
    )


def _observed_at(media: Json) -> datetime | None:
    return moment_of(media.get("retrieved_at"))
