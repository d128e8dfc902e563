"""Posts as Instagram's own pages and apps hold them, in the three shapes that tools catch.

`parse_item` takes the shape of lists ("itemlist", also the partial one of newer pages),
`parse_node` that of the older graph pages, which instaloader still writes.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Literal

from streams.formats.cleaning import BadField
from streams.formats.json_records import (
    Json,
    count_of,
    object_of,
    objects_of,
    text_of,
    unix_moment_of,
)
from streams.formats.platform_instagram import FIRST_DAY, PLATFORM, given_at, post_id_of
from streams.formats.text_parts import find_hashtags, find_links
from streams.records import CUT, WHOLE, Author, Media, Post

MediaKind = Literal["image", "video"]

#: What the numbers of `media_type` mean; 8 is a carousel.
PHOTO, VIDEO, CAROUSEL = 1, 2, 8

_ITEM_KEYS = {"code", "pk", "taken_at", "media_type", "carousel_media", "image_versions2"}
_NODE_KEYS = {"shortcode", "taken_at_timestamp", "edge_media_to_caption"}


def is_node(record: Json) -> bool:
    """Whether a record is a post in the shape of the older graph pages."""
    return bool(record.keys() & _NODE_KEYS)


def is_item(record: Json) -> bool:
    """Whether a record is a post in the shape of lists."""
    return len(record.keys() & _ITEM_KEYS) >= 2


def is_ad(record: Json) -> bool:
    """Whether a record is an advertisement between the posts."""
    link = text_of(record.get("link")) or ""
    return record.get("product_type") == "ad" or "facebook.com/ads/ig_redirect" in link


def parse_item(item: Json, raw: bytes, source: str, observed_at: datetime | None = None) -> Post:
    """The post of an item of a list. Raises BadField.

    A partial one, without its caption, counts as CUT; the time it lacks is in its number.
    """
    post_id = post_id_in(item, "code", "pk", "id")
    caption = item.get("caption")
    text = text_of(caption) or text_of(object_of(caption).get("text")) or ""
    is_partial = "caption" not in item or item.get("_zs_partial") is True
    return _post(
        post_id,
        raw,
        source,
        posted_at=posted_at_of(item, post_id, "taken_at"),
        text=text,
        completeness=CUT if is_partial and not text else WHOLE,
        media=tuple(_item_media(item)),
        author=parse_user(object_of(item.get("user")) or object_of(item.get("owner"))),
        likes=likes_of(item, "like_count"),
        replies=count_of(item, "comment_count"),
        views=views_of(item, "play_count", "ig_play_count", "view_count"),
        observed_at=observed_at,
    )


def parse_node(node: Json, raw: bytes, source: str, observed_at: datetime | None = None) -> Post:
    """The post of a node of the older graph pages. Raises BadField."""
    post_id = post_id_in(node, "shortcode", "id")
    text = _edges_text(node.get("edge_media_to_caption"))
    if text is None:
        caption = node.get("caption")
        text = text_of(caption) or text_of(object_of(caption).get("text")) or ""
    children = [
        child
        for edge in objects_of(object_of(node.get("edge_sidecar_to_children")).get("edges"))
        if (child := object_of(edge.get("node")))
    ]
    media = [medium for part in children or [node] if (medium := _node_medium(part))]
    return _post(
        post_id,
        raw,
        source,
        posted_at=posted_at_of(node, post_id, "taken_at_timestamp", "date"),
        text=text,
        completeness=WHOLE,
        media=tuple(media),
        author=parse_user(object_of(node.get("owner")) or object_of(node.get("user"))),
        likes=_edge_count(node, "edge_media_preview_like", "edge_liked_by"),
        replies=_edge_count(
            node,
            *("edge_media_to_parent_comment", "edge_media_to_comment"),
            "edge_media_preview_comment",
        ),
        views=views_of(node, "video_play_count", "video_view_count"),
        observed_at=observed_at,
    )


def post_id_in(record: Json, code: str, *numbers: str) -> str:
    """The post's shortcode, from the key that holds it or else its number. Raises BadField.

    >>> post_id_in({"pk": "3090000000000000000", "code": None}, "code", "pk")
    'Crh4qDj9QAA'
    """
    told = text_of(record.get(code))
    post_id = post_id_of(told) if told else None
    for key in numbers:
        number = record.get(key)
        if isinstance(number, str):  # "pk" or "pk_owner"
            digits = number.partition("_")[0]
            number = int(digits) if digits.isdecimal() and len(digits) <= 20 else None
        if post_id is None and isinstance(number, int) and not isinstance(number, bool):
            post_id = post_id_of(number)
    if post_id is None:
        raise BadField(f"{code}: {str(record.get(code))[:40]!r} is not a shortcode")
    return post_id


def parse_user(user: Json) -> Author | None:
    """The account; one known by name only has the id "@name"."""
    handle = text_of(user.get("username"))
    author_id = next((told for key in ("pk", "id", "pk_id") if (told := _number(user, key))), None)
    author_id = author_id or (f"@{handle.casefold()}" if handle else None)
    if author_id is None:
        return None
    verified = user.get("is_verified")
    return Author(
        author_id=author_id,
        handle=handle or None,
        name=text_of(user.get("full_name")) or None,
        followers=_count(user, "follower_count", "edge_followed_by"),
        following=_count(user, "following_count", "edge_follow"),
        n_posts=_count(user, "media_count", "edge_owner_to_timeline_media"),
        verified=verified if isinstance(verified, bool) else None,
    )


def likes_of(record: Json, key: str) -> int | None:
    """Likes, unless their number is hidden: then what is given in its place means nothing."""
    is_hidden = record.get("like_and_view_counts_disabled") is True
    return None if is_hidden else count_of(record, key)


def views_of(record: Json, *keys: str) -> int | None:
    """Views: what has none is no video, or hides them, and then is given as 0 or not at all."""
    is_hidden = record.get("like_and_view_counts_disabled") is True
    return None if is_hidden else count_of(record, *keys) or None


def posted_at_of(record: Json, post_id: str, *keys: str) -> datetime:
    """When the post was published; where no field says so, when its number was given, to which it
    is close. Raises BadField."""
    told = next((record[key] for key in keys if record.get(key) is not None), None)
    posted_at = given_at(post_id) if told is None else unix_moment_of(told)
    if posted_at is None or posted_at < FIRST_DAY:
        raise BadField(f"{keys[0]}: {str(told)[:40]!r} is not a time of Instagram")
    return posted_at


def medium_of(kind: MediaKind, url: str | None, alt_text: object) -> Media | None:
    """A picture or video, if there is an address to look at."""
    return Media(kind=kind, url=url, alt_text=text_of(alt_text) or None) if url else None


def _post(
    post_id: str,
    raw: bytes,
    source: str,
    *,
    posted_at: datetime,
    text: str,
    completeness: int,
    media: tuple[Media, ...],
    author: Author | None,
    likes: int | None,
    replies: int | None,
    views: int | None,
    observed_at: datetime | None,
) -> Post:
    return Post(
        platform=PLATFORM,
        post_id=post_id,
        root_id=post_id,
        posted_at=posted_at,
        text=text,
        completeness=completeness,
        hashtags=find_hashtags(text),
        links=find_links(text),
        media=media,
        author=author,
        likes=likes,
        replies=replies,
        views=views,
        observed_at=observed_at,
        provenance=source,
        raw=raw,
    )


def _number(user: Json, key: str) -> str | None:
    value = user.get(key)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return value if isinstance(value, str) and value.isdecimal() else None


def _item_media(item: Json) -> Iterator[Media]:
    parts = objects_of(item.get("carousel_media")) or [item]
    for part in parts:
        videos = objects_of(part.get("video_versions"))
        pictures = objects_of(object_of(part.get("image_versions2")).get("candidates"))
        is_video = part.get("media_type") == VIDEO or bool(videos)
        cover = text_of(pictures[0].get("url")) if pictures else text_of(part.get("display_uri"))
        url = cover or (text_of(videos[0].get("url")) if videos else None)
        kind: MediaKind = "video" if is_video else "image"
        medium = medium_of(kind, url, part.get("accessibility_caption"))
        if medium:
            yield medium


def _node_medium(node: Json) -> Media | None:
    is_video = node.get("is_video") is True or node.get("__typename") == "GraphVideo"
    url = text_of(node.get("display_url")) or text_of(node.get("video_url"))
    return medium_of("video" if is_video else "image", url, node.get("accessibility_caption"))


def _edges_text(edges: object) -> str | None:
    for edge in objects_of(object_of(edges).get("edges")):
        return text_of(object_of(edge.get("node")).get("text"))
    return None


def _count(user: Json, key: str, edge: str) -> int | None:
    found = count_of(user, key)
    return _edge_count(user, edge) if found is None else found


def _edge_count(node: Json, *keys: str) -> int | None:
    found = (count_of(object_of(node.get(key)), "count") for key in keys)
    return next((count for count in found if count is not None), None)
