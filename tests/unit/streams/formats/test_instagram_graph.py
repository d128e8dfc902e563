"""Instagram Graph API: each envelope, each kind of media, what hides. All posts are invented."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime

import msgspec
import pytest

from streams.formats import instagram_graph
from streams.formats.json_records import Json
from streams.records import Author, Media, NotAPost, Post, Problem, Reading

MEDIA: Json = {
    "id": "17900000000000001",
    "caption": "Snow in #May #हिन्दी, see https://example.org/snow.",
    "media_type": "IMAGE",
    "media_url": "https://cdn.example.org/1.jpg",
    "permalink": "https://www.instagram.com/p/Crh4qDj9QAA/",
    "timestamp": "2023-04-24T16:13:34+0200",
    "like_count": 7,
    "comments_count": 0,
}


def read(*records: object, source: str = "instagram_graph:a.json") -> list[Reading]:
    content = b"\n".join(json.dumps(record).encode() for record in records)
    return list(instagram_graph.read(io.BytesIO(content), source))


def read_post(**changes: object) -> Post:
    (post,) = read({"data": [MEDIA | changes]})
    assert isinstance(post, Post), post
    return post


def test_every_field() -> None:
    post = read_post(retrieved_at="2023-04-24T15:00:00+00:00", alt_text="a cat", view_count=90)
    assert msgspec.structs.replace(post, raw=b"") == Post(
        platform="instagram",
        post_id="Crh4qDj9QAA",
        root_id="Crh4qDj9QAA",
        posted_at=datetime(2023, 4, 24, 14, 13, 34, tzinfo=UTC),
        text="Snow in #May #हिन्दी, see https://example.org/snow.",
        hashtags=("May", "हिन्दी"),
        links=("https://example.org/snow",),
        media=(Media(kind="image", url="https://cdn.example.org/1.jpg", alt_text="a cat"),),
        likes=7,
        replies=0,
        views=90,
        observed_at=datetime(2023, 4, 24, 15, tzinfo=UTC),
        provenance="instagram_graph:a.json",
    )


def test_hidden_likes_and_a_missing_caption_are_unknown() -> None:
    hidden = {key: value for key, value in MEDIA.items() if key not in ("like_count", "caption")}
    (post,) = read(hidden)
    assert isinstance(post, Post)
    assert (post.likes, post.text, post.hashtags, post.author) == (None, "", (), None)
    assert read_post(like_count=-1).likes is None


def test_the_shortcode_names_the_post_and_else_the_id_of_the_api() -> None:
    for link in (
        "https://www.instagram.com/reel/Crh4qDj9QAA/",
        "https://instagram.com/p/Crh4qDj9QAA",
    ):
        assert read_post(permalink=link).post_id == "Crh4qDj9QAA"
    assert read_post(permalink=None, shortcode="Crh4qDj9QAA").post_id == "Crh4qDj9QAA"
    assert read_post(permalink=None).post_id == "17900000000000001"


def test_carousel_and_video() -> None:
    def child(number: int, kind: str, **more: str) -> Json:
        return {"id": str(number), "media_type": kind, "media_url": f"https://c/{number}", **more}

    children = [child(1, "VIDEO", thumbnail_url="https://c/1.jpg"), child(2, "IMAGE")]
    post = read_post(media_type="CAROUSEL_ALBUM", children={"data": children})
    assert post.media == (
        Media(kind="video", url="https://c/1.jpg"),
        Media(kind="image", url="https://c/2"),
    )
    only_ids = read_post(media_type="CAROUSEL_ALBUM", children={"data": [{"id": "1"}]})
    assert only_ids.media == (Media(kind="image", url="https://cdn.example.org/1.jpg"),)
    assert read_post(media_type="VIDEO").media[0].kind == "video"
    assert read_post(media_url=None).media == ()


def test_an_account_with_its_media() -> None:
    account = {
        "id": "178414",
        "username": "Ada.Weather",
        "name": "Ada",
        "followers_count": 250,
        "follows_count": 80,
        "media_count": 12,
        "media": {"data": [MEDIA], "paging": {}},
    }
    for record in (account, {"business_discovery": account, "id": "1"}):
        user, post = read(record)
        assert user == NotAPost(what="user")
        assert isinstance(post, Post)
        assert post.author == Author(
            author_id="178414",
            handle="Ada.Weather",
            name="Ada",
            followers=250,
            following=80,
            n_posts=12,
        )
        (again,) = instagram_graph.remap(post.raw, post.provenance)
        assert again == post, "the author is in the post's own object"


def test_an_author_known_by_name_only() -> None:
    author = read_post(username="Ada.Weather").author
    assert author == Author(author_id="@ada.weather", handle="Ada.Weather")
    assert read_post(owner={"id": "178414"}, username="ada").author == Author(
        author_id="178414", handle="ada"
    )


def test_the_time_at_which_a_page_was_got_holds_for_its_posts() -> None:
    (post,) = read({"data": [MEDIA], "retrieved_at": "2023-04-25T00:00:00Z"})
    assert isinstance(post, Post)
    assert post.observed_at == datetime(2023, 4, 25, tzinfo=UTC)


def test_what_is_no_post() -> None:
    records = [
        {"data": []},
        {"data": [{"id": "17843826142012701"}]},
        {"error": {"message": "(#10) No permission", "type": "OAuthException", "code": 10}},
        {"id": "1", "username": "ada", "media_count": 1},
        {"id": "1", "text": "Nice", "timestamp": "2023-04-24T14:13:34+0000"},
    ]
    assert read(*records) == [
        NotAPost(what=what)
        for what in ("empty page", "hashtag", "error: OAuthException", "user", "comment")
    ]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"timestamp": None}, "timestamp"),
        ({"timestamp": "1970-01-01T00:00:00+0000"}, "timestamp"),
        ({"timestamp": 1682345614}, "timestamp"),
        ({"permalink": "https://www.instagram.com/ada/", "id": None}, "permalink"),
        ({"permalink": None, "id": "x"}, "permalink"),
    ],
)
def test_a_bad_post_is_a_problem_that_names_the_field(changes: Json, field: str) -> None:
    problem, post = read({"data": [MEDIA | changes, MEDIA]})
    assert isinstance(problem, Problem) and problem.reason.startswith(f"{field}: ")
    assert problem.position == "line 1, data[0]"
    assert json.loads(problem.raw)["media_type"] == "IMAGE"
    assert isinstance(post, Post)


def test_other_values_are_problems() -> None:
    readings = read(3, None, [[MEDIA]], {"data": ["x"]}, {"a": 1})
    assert [type(reading) for reading in readings] == [Problem] * 5
