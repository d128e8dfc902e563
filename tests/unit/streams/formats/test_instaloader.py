"""instaloader: posts, and what it keeps beside them. All posts are invented."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime

import msgspec

from streams.formats import instaloader
from streams.formats.json_records import Json
from streams.records import Author, Media, NotAPost, Post, Problem, Reading

NODE: Json = {
    "id": "3090000000000000000",
    "shortcode": "Crh4qDj9QAA",
    "taken_at_timestamp": 1682345614,
    "display_url": "https://c/1.jpg",
    "edge_media_to_caption": {"edges": [{"node": {"text": "Snow in #May"}}]},
    "edge_liked_by": {"count": 7},
    "edge_media_to_comment": {"count": 1},
    "owner": {"id": "11", "username": "ada", "edge_followed_by": {"count": 250}},
}


def file(node: object, node_type: str = "Post") -> Json:
    return {"node": node, "instaloader": {"version": "4.16", "node_type": node_type}}


def read(*records: object, indent: int | None = None) -> list[Reading]:
    content = "".join(json.dumps(record, indent=indent) for record in records)
    return list(instaloader.read(io.BytesIO(content.encode()), "instaloader:a.json"))


def test_every_field() -> None:
    (post,) = read(file(NODE))
    assert isinstance(post, Post)
    assert msgspec.structs.replace(post, raw=b"") == Post(
        platform="instagram",
        post_id="Crh4qDj9QAA",
        root_id="Crh4qDj9QAA",
        posted_at=datetime(2023, 4, 24, 14, 13, 34, tzinfo=UTC),
        text="Snow in #May",
        hashtags=("May",),
        media=(Media(kind="image", url="https://c/1.jpg"),),
        author=Author(author_id="11", handle="ada", followers=250),
        likes=7,
        replies=1,
        provenance="instaloader:a.json",
    )


def test_files_over_many_lines_put_together() -> None:
    posts = read(file(NODE), file(NODE | {"shortcode": "Crh4qDj9QAB"}), indent=4)
    assert [post.post_id for post in posts if isinstance(post, Post)] == [
        *("Crh4qDj9QAA", "Crh4qDj9QAB")
    ]


def test_bare_nodes_captions_and_dates_of_other_versions() -> None:
    bare = {key: value for key, value in NODE.items() if not key.startswith("edge_media_to_c")}
    del bare["taken_at_timestamp"]
    (post,) = read(bare | {"caption": "Snow", "date": 1682345614})
    assert isinstance(post, Post)
    assert (post.text, post.replies, post.posted_at.hour) == ("Snow", None, 14)


def test_comments_of_others_are_not_kept() -> None:
    comments = {"count": 2, "edges": [{"node": {"text": "secret"}}]}
    (post,) = read(file(NODE | {"edge_media_to_parent_comment": comments}))
    assert isinstance(post, Post)
    assert post.replies == 2 and b"secret" not in post.raw


def test_what_is_no_post() -> None:
    *others, problem = read(
        file({"username": "ada"}, "Profile"),
        file(NODE, "StoryItem"),
        [{"id": 1, "created_at": 1682345614, "text": "Nice", "owner": {}}],
        {"node": {"id": "1"}},
    )
    assert others == [NotAPost(what=what) for what in ("profile", "storyitem", "comment")]
    assert isinstance(problem, Problem)


def test_a_bad_node_is_a_problem_that_names_the_field() -> None:
    (problem,) = read(file(NODE | {"taken_at_timestamp": 0}))
    assert isinstance(problem, Problem) and problem.reason.startswith("taken_at_timestamp: ")
