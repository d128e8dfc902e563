"""instaloader's JSON: one file per post, often as .json.xz, or many put together.

A file is `{"node": {...}, "instaloader": {...}}`; the node is a post of Instagram's older graph
pages. Profiles, stories, hashtags and lists of comments that instaloader keeps beside them are no
posts.
"""

from __future__ import annotations

import io
from collections.abc import Iterator

from streams.formats.cleaning import BadField
from streams.formats.instagram_items import is_node, parse_node
from streams.formats.json_records import (
    Json,
    encode_json,
    object_of,
    parse_json,
    problem_of,
    read_json,
    score_keys,
    text_of,
)
from streams.records import NotAPost, Reading

NAME = "instaloader"
DESCRIPTION = "instaloader's JSON: Instagram posts, one per file or many put together"

_TELLING = (
    *(b'"instaloader"', b'"node_type"', b'"edge_media_to_caption"', b'"taken_at_timestamp"'),
    *(b'"edge_media_preview_like"', b'"shortcode"', b'"edge_media_to_comment"'),
)
_FOREIGN = (b'"item_id"', b'"__import_meta"')


def sniff(head: bytes) -> float:
    """The confidence that a file beginning with `head` is in this format, by the keys it shows.

    >>> sniff(b'{"node":{"shortcode":"a"},"instaloader":{}}'), sniff(b'{"node":{}}')
    (0.8, 0.0)
    """
    return score_keys(head, _TELLING, _FOREIGN)


def read(stream: io.BufferedIOBase, source: str) -> Iterator[Reading]:
    """Each node as one Reading."""
    yield from read_json(stream, source, parse_record)


def remap(raw: bytes, source: str) -> Iterator[Reading]:
    """What the `raw` of a Post or Problem is today."""
    yield from parse_json(raw, source, "raw", parse_record)


def parse_record(record: Json, source: str, position: str) -> Iterator[Reading]:
    """What a file of instaloader holds: a node with a word on what it is, or bare."""
    told = object_of(record.get("instaloader"))
    node_type = text_of(told.get("node_type")) or "Post"
    node = object_of(record.get("node")) or record
    if node_type != "Post":
        yield NotAPost(what=node_type[:40].lower())
    elif is_node(node):
        try:
            yield parse_node(node, encode_json(_own_object(record)), source)
        except BadField as error:
            yield problem_of(str(error), record, source, position)
    elif "text" in record and "created_at" in record:
        yield NotAPost(what="comment")
    else:
        yield problem_of("neither post, profile, story nor comment", record, source, position)


def example() -> bytes:
    """A small invented file of this format: a post with two pictures, a video, a profile."""

    def file(node: Json, node_type: str = "Post") -> bytes:
        return encode_json({"node": node, "instaloader": {"version": "4", "node_type": node_type}})

    def caption(text: str) -> Json:
        return {"edges": [{"node": {"text": text}}]}

    def picture(name: str) -> Json:
        return {"__typename": "GraphImage", "display_url": f"https://cdn.example.org/{name}.jpg"}

    owner: Json = {"id": "11", "username": "ada.weather", "full_name": "Ada"}
    album: Json = {
        "__typename": "GraphSidecar",
        "id": "3088061288396357633",
        "shortcode": "Cra_2FrgAAB",
        "taken_at_timestamp": 1682345614,
        "display_url": "https://cdn.example.org/cat.jpg",
        "edge_media_to_caption": caption("Snow in May, says the #WeatherCat"),
        "edge_sidecar_to_children": {
            "edges": [{"node": picture("cat")}, {"node": picture("snow")}]
        },
        "edge_media_preview_like": {"count": 7},
        "edge_media_to_comment": {"count": 1},
        "owner": owner,
    }
    video: Json = {
        "__typename": "GraphVideo",
        "shortcode": "Cra_2FrgAAC",
        "taken_at_timestamp": 1682346000,
        "display_url": "https://cdn.example.org/boots.jpg",
        "is_video": True,
        "video_url": "https://cdn.example.org/boots.mp4",
        "video_view_count": 90,
        "edge_media_to_caption": {"edges": []},
        "edge_media_preview_like": {"count": -1},
        "owner": owner,
    }
    return b"\n".join((file(album), file(video), file(owner, "Profile"), b""))


def _own_object(record: Json) -> Json:
    """The post without the comments that instaloader may keep in it."""
    node = object_of(record.get("node")) or record
    kept = {key: value for key, value in node.items() if not _is_comments(key, value)}
    return {**record, "node": kept} if "node" in record else kept


def _is_comments(key: str, value: object) -> bool:
    return "comment" in key and bool(object_of(value).get("edges"))
