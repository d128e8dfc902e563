"""instagrapi: Media objects of every kind. All posts are invented."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime

import msgspec
import pytest

from streams.formats import instagrapi
from streams.formats.json_records import Json
from streams.records import Author, Media, NotAPost, Post, Problem, Reading

MEDIA: Json = {
    "pk": "3090000000000000000",
    "id": "3090000000000000000_11",
    "code": "Crh4qDj9QAA",
    "taken_at": "2023-04-24 14:13:34+00:00",
    "media_type": 1,
    "thumbnail_url": "https://c/1.jpg",
    "caption_text": "Snow in #May",
    "accessibility_caption": "a cat",
    "user": {"pk": "11", "username": "ada", "full_name": "Ada"},
    "like_count": 7,
    "comment_count": 1,
    "resources": [],
}


def read(*records: object) -> list[Reading]:
    content = b"\n".join(json.dumps(record).encode() for record in records)
    return list(instagrapi.read(io.BytesIO(content), "instagrapi:a.json"))


def read_post(**changes: object) -> Post:
    (post,) = read(MEDIA | changes)
    assert isinstance(post, Post), post
    return post


def test_every_field() -> None:
    assert msgspec.structs.replace(read_post(play_count=90), raw=b"") == Post(
        platform="instagram",
        post_id="Crh4qDj9QAA",
        root_id="Crh4qDj9QAA",
        posted_at=datetime(2023, 4, 24, 14, 13, 34, tzinfo=UTC),
        text="Snow in #May",
        hashtags=("May",),
        media=(Media(kind="image", url="https://c/1.jpg", alt_text="a cat"),),
        author=Author(author_id="11", handle="ada", name="Ada"),
        likes=7,
        replies=1,
        views=90,
        provenance="instagrapi:a.json",
    )


def test_the_number_does_where_the_code_is_missing() -> None:
    assert read_post(code=None).post_id == "Crh4qDj9QAA"
    assert read_post(code=None, pk=None).post_id == "Crh4qDj9QAA"
    assert read_post(code=None, pk=3090000000000000000).post_id == "Crh4qDj9QAA"


def test_albums_and_videos() -> None:
    resources = [
        {"pk": "1", "media_type": 1, "thumbnail_url": "https://c/1.jpg"},
        {"pk": "2", "media_type": 2, "thumbnail_url": "https://c/2.jpg", "video_url": "https://v"},
    ]
    album = read_post(media_type=8, thumbnail_url=None, resources=resources)
    assert album.media == (
        Media(kind="image", url="https://c/1.jpg"),
        Media(kind="video", url="https://c/2.jpg"),
    )
    video = read_post(media_type=2, thumbnail_url=None, video_url="https://v")
    assert video.media[0].url == "https://v"


def test_hidden_likes_and_unix_times() -> None:
    assert read_post(like_count=-1).likes is None
    assert read_post(like_and_view_counts_disabled=True).likes is None
    assert read_post(taken_at=1682345614).posted_at == read_post().posted_at


def test_what_is_no_post() -> None:
    user, comment, problem = read(
        {"pk": "1", "username": "ada"}, {"pk": "1", "text": "Nice"}, {"pk": "1"}
    )
    assert (user, comment) == (NotAPost(what="user"), NotAPost(what="comment"))
    assert isinstance(problem, Problem)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"code": "", "pk": "x", "id": None}, "code"),
        ({"taken_at": "soon"}, "taken_at"),
        ({"taken_at": "1970-01-01T00:00:00Z"}, "taken_at"),
    ],
)
def test_a_bad_post_is_a_problem_that_names_the_field(changes: Json, field: str) -> None:
    problem, post = read([MEDIA | changes, MEDIA])
    assert isinstance(problem, Problem) and problem.reason.startswith(f"{field}: ")
    assert isinstance(post, Post)
