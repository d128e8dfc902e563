"""instagrapi's JSON: `Media` objects as `dict()` or `model_dump()` gives them, lines or lists."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import datetime

from streams.formats.cleaning import BadField
from streams.formats.instagram_items import (
    CAROUSEL,
    VIDEO,
    likes_of,
    medium_of,
    parse_user,
    post_id_in,
    posted_at_of,
    views_of,
)
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
from streams.formats.platform_instagram import FIRST_DAY, PLATFORM
from streams.formats.text_parts import find_hashtags, find_links
from streams.records import Media, NotAPost, Post, Reading

NAME = "instagrapi"
DESCRIPTION = "instagrapi's JSON: Instagram posts as Media objects, in lines or lists"

_TELLING = (
    *(b'"caption_text"', b'"thumbnail_url"', b'"resources"', b'"video_duration"', b'"usertags"'),
)
_NEEDED = b'"caption_text"'
_FOREIGN = (b'"item_id"', b'"__import_meta"', b'"permalink"')


def sniff(head: bytes) -> float:
    """The confidence that a file beginning with `head` is in this format, by the keys it shows.

    >>> sniff(b'{"pk":"1","caption_text":"","resources":[]}'), sniff(b'{"resources":[]}')
    (0.8, 0.0)
    """
    return score_keys(head, _TELLING, _FOREIGN) if _NEEDED in head else 0.0


def read(stream: io.BufferedIOBase, source: str) -> Iterator[Reading]:
    """Each Media object as one Reading."""
    yield from read_json(stream, source, parse_record)


def remap(raw: bytes, source: str) -> Iterator[Reading]:
    """What the `raw` of a Post or Problem is today."""
    yield from parse_json(raw, source, "raw", parse_record)


def parse_record(record: Json, source: str, position: str) -> Iterator[Reading]:
    """What a decoded record holds: a Media object, a user."""
    if "caption_text" in record or "media_type" in record:
        try:
            yield parse_media(record, source)
        except BadField as error:
            yield problem_of(str(error), record, source, position)
    elif "username" in record and "pk" in record:
        yield NotAPost(what="user")
    elif "text" in record and "pk" in record:
        yield NotAPost(what="comment")
    else:
        yield problem_of("neither media, user nor comment", record, source, position)


def parse_media(media: Json, source: str) -> Post:
    """The post of one Media object. Raises BadField."""
    post_id = post_id_in(media, "code", "pk", "id")
    text = text_of(media.get("caption_text")) or ""
    return Post(
        platform=PLATFORM,
        post_id=post_id,
        root_id=post_id,
        posted_at=_posted_at(media, post_id),
        text=text,
        hashtags=find_hashtags(text),
        links=find_links(text),
        media=_parse_media(media),
        author=parse_user(object_of(media.get("user"))),
        likes=likes_of(media, "like_count"),
        replies=count_of(media, "comment_count"),
        views=views_of(media, "play_count", "view_count"),
        provenance=source,
        raw=encode_json(media),
    )


def example() -> bytes:
    """A small invented file of this format: a list with a picture, an album and a reel."""
    user: Json = {"pk": "11", "username": "ada.weather", "full_name": "Ada"}
    picture: Json = {
        "pk": "3088061288396357633",
        "id": "3088061288396357633_11",
        "code": "Cra_2FrgAAB",
        "taken_at": "2023-04-24T14:13:34Z",
        "media_type": 1,
        "thumbnail_url": "https://cdn.example.org/cat.jpg",
        "caption_text": "Snow in May, says the #WeatherCat",
        "user": user,
        "like_count": 7,
        "comment_count": 1,
        "resources": [],
    }
    album: Json = picture | {
        "pk": "3088061288396357634",
        "id": "3088061288396357634_11",
        "code": "Cra_2FrgAAC",
        "media_type": 8,
        "thumbnail_url": None,
        "resources": [
            {"pk": "1", "media_type": 1, "thumbnail_url": "https://cdn.example.org/boots.jpg"},
            {"pk": "2", "media_type": 2, "thumbnail_url": "https://cdn.example.org/snow.jpg"},
        ],
    }
    reel: Json = picture | {
        "pk": "3088061288396357635",
        "id": "3088061288396357635_11",
        "code": "Cra_2FrgAAD",
        "media_type": 2,
        "video_url": "https://cdn.example.org/cat.mp4",
        "play_count": 90,
        "like_count": -1,
    }
    return b"\n".join((*map(encode_json, (picture, album, reel)), b""))


def _posted_at(media: Json, post_id: str) -> datetime:
    """`taken_at` is a date as text where JSON was written of it, else a Unix time."""
    told = media.get("taken_at")
    if not isinstance(told, str):
        return posted_at_of(media, post_id, "taken_at")
    posted_at = moment_of(told)
    if posted_at is None or posted_at < FIRST_DAY:
        raise BadField(f"taken_at: {told[:40]!r} is not a time of Instagram")
    return posted_at


def _parse_media(media: Json) -> tuple[Media, ...]:
    is_album = media.get("media_type") == CAROUSEL
    parts = objects_of(media.get("resources")) if is_album else []
    shown = []
    for part in parts or [media]:
        url = text_of(part.get("thumbnail_url")) or text_of(part.get("video_url"))
        kind = part.get("media_type")
        alt_text = part.get("accessibility_caption")
        if medium := medium_of("video" if kind == VIDEO else "image", url, alt_text):
            shown.append(medium)
    return tuple(shown)
