"""Mastodon: statuses of several servers and programs, events. All posts are invented."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime

import msgspec
import pytest

from streams.formats import mastodon
from streams.formats.json_records import Json
from streams.records import (
    COPY_IN_SHARE,
    Author,
    Deletion,
    Media,
    NotAPost,
    Post,
    Problem,
    Reading,
)


def account(acct: str, number: str = "11", **more: object) -> Json:
    name, _, host = acct.partition("@")
    return {"id": number, "acct": acct, "url": f"https://{host or 'a.org'}/@{name}", **more}


STATUS: Json = {
    "id": "110",
    "uri": "https://a.org/users/ada/statuses/110",
    "created_at": "2023-04-24T14:13:34.000Z",
    "content": "<p>Snow &amp; rain in #May</p>",
    "language": "en-GB",
    "account": account("ada"),
    "visibility": "public",
}


def read(*records: object) -> list[Reading]:
    content = b"\n".join(json.dumps(record).encode() for record in records)
    return list(mastodon.read(io.BytesIO(content), "mastodon:a.jsonl"))


def read_post(**changes: object) -> Post:
    post = read(STATUS | changes)[-1]
    assert isinstance(post, Post), post
    return post


def test_every_field() -> None:
    post = read_post(
        content='<p>Snow &amp; rain in <a href="https://a.org/tags/may" class="mention hashtag" '
        'rel="tag">#<span>May</span></a></p><p><a href="https://example.org/?a=1&amp;b=2">'
        '<span class="invisible">https://</span>example.org/?a=1&amp;b=2</a> '
        '<span class="h-card"><a href="https://a.org/@bo" class="u-url mention">@bo</a></span></p>',
        spoiler_text="Weather",
        account=account(
            "Ada",
            display_name="Ada L.",
            followers_count=250,
            following_count=80,
            statuses_count=9,
            created_at="2022-11-05T00:00:00.000Z",
        ),
        tags=[{"name": "may"}, {"name": "hidden"}],
        media_attachments=[
            {"type": "image", "url": "https://f/1.jpg", "description": "a cat"},
            {"type": "video", "url": "https://f/2.mp4", "preview_url": "https://f/2.jpg"},
            {"type": "gifv", "url": "https://f/3.mp4"},
            {"type": "audio", "url": "https://f/4.mp3"},
        ],
        favourites_count=7,
        reblogs_count=3,
        replies_count=0,
        quotes_count=1,
        retrieved_at="2023-04-24T15:00:00Z",
    )
    assert msgspec.structs.replace(post, raw=b"") == Post(
        platform="mastodon",
        post_id="a.org/110",
        root_id="a.org/110",
        posted_at=datetime(2023, 4, 24, 14, 13, 34, tzinfo=UTC),
        text="Weather\n\nSnow & rain in #May\n\nhttps://example.org/?a=1&b=2 @bo",
        lang="en",
        hashtags=("May", "hidden"),
        links=("https://example.org/?a=1&b=2",),
        media=(
            Media(kind="image", url="https://f/1.jpg", alt_text="a cat"),
            Media(kind="video", url="https://f/2.jpg"),
            Media(kind="gif", url="https://f/3.mp4"),
        ),
        author=Author(
            author_id="ada@a.org",
            handle="Ada@a.org",
            name="Ada L.",
            followers=250,
            following=80,
            n_posts=9,
            created_at=datetime(2022, 11, 5, tzinfo=UTC),
        ),
        likes=7,
        shares=3,
        replies=0,
        quotes=1,
        observed_at=datetime(2023, 4, 24, 15, tzinfo=UTC),
        provenance="mastodon:a.jsonl",
    )


@pytest.mark.parametrize(
    ("uri", "url", "post_id"),
    [
        ("https://A.org/users/ada/statuses/110", None, "a.org/110"),
        ("https://a.org/ap/users/5/statuses/110", None, "a.org/110"),
        ("https://a.org/users/ada/statuses/110/activity", None, "a.org/110"),
        (None, "https://a.org/@ada/110", "a.org/110"),
        ("https://b.org/objects/5f3e", None, "b.org/objects/5f3e"),
        ("https://b.org/notes/9abc", "https://b.org/@x/1", "b.org/notes/9abc"),
    ],
)
def test_a_status_is_the_same_whichever_server_was_asked(
    uri: str | None, url: str | None, post_id: str
) -> None:
    post = read_post(uri=uri, url=url, id="999", account=account("ada@a.org"))
    assert post.post_id == post_id
    assert post.author is not None and post.author.author_id == "ada@a.org"


def test_a_boost_describes_what_it_boosts() -> None:
    original = STATUS | {"account": account("ada@b.org"), "uri": "https://b.org/objects/5f3e"}
    boost = STATUS | {"id": "111", "uri": "https://a.org/users/bo/statuses/111/activity"}
    embedded, post = read(boost | {"reblog": original, "content": ""})
    assert isinstance(embedded, Post) and isinstance(post, Post)
    assert (embedded.post_id, embedded.seen_as) == ("b.org/objects/5f3e", "embedded")
    assert (post.kind, post.share_of, post.root_id) == ("share", embedded.post_id, embedded.post_id)
    assert (post.post_id, post.text) == ("a.org/111", embedded.text)
    assert post.completeness == COPY_IN_SHARE
    assert b"Snow" not in post.raw


def test_quotes_of_new_and_old_servers() -> None:
    quoted = STATUS | {"uri": "https://b.org/users/bo/statuses/5"}
    for quote in ({"state": "accepted", "quoted_status": quoted}, quoted):
        embedded, post = read(STATUS | {"quote": quote})
        assert isinstance(embedded, Post) and isinstance(post, Post)
        assert (post.kind, post.quote_of, embedded.post_id) == ("quote", "b.org/5", "b.org/5")
    assert read_post(quote={"state": "revoked", "quoted_status": None}).kind == "original"


def test_what_a_reply_answers_is_known_where_it_was_written_on_the_server_asked() -> None:
    reply = {"in_reply_to_id": "100", "in_reply_to_account_id": "12"}
    local = read_post(**reply, mentions=[account("bo", "12")])
    assert (local.kind, local.reply_to) == ("reply", "a.org/100")
    to_oneself = read_post(in_reply_to_id="100", in_reply_to_account_id="11")
    assert to_oneself.reply_to == "a.org/100"
    for unknown in ([account("bo@b.org", "12")], [], None):
        post = read_post(**reply, mentions=unknown)
        assert (post.kind, post.reply_to) == ("reply", None)


def event(name: str, payload: object) -> Json:
    return {"stream": ["public"], "event": name, "payload": payload}


def test_events() -> None:
    remote = STATUS | {
        "id": "120",
        "uri": "https://b.org/users/bo/statuses/5",
        "account": account("bo@b.org"),
    }
    readings = read(
        event("update", json.dumps(STATUS)),
        event("status.update", remote | {"edited_at": "2023-04-24T16:00:00Z"}),
        event("delete", "110"),
        event("delete", "120"),
        event("delete", "130"),
        event("notification", "{}"),
        event("update", "{"),
    )
    first, second, *deletions, notification, broken = readings
    assert isinstance(first, Post) and isinstance(second, Post)
    assert second.observed_at == datetime(2023, 4, 24, 16, tzinfo=UTC), "seen after its edit"
    assert deletions == [
        Deletion(platform="mastodon", kind="post", deleted_id=post_id, reason="delete")
        for post_id in ("a.org/110", "b.org/5", "a.org/130")
    ]
    assert notification == NotAPost(what="event: notification")
    assert isinstance(broken, Problem) and broken.reason.startswith("not JSON")


def test_a_deletion_before_any_status_is_a_problem() -> None:
    (problem,) = read(event("delete", "110"))
    assert isinstance(problem, Problem) and problem.reason.startswith("delete: ")


def test_the_text_that_a_server_streams() -> None:
    data = json.dumps(STATUS)
    content = f":thump\n\nevent: update\ndata: {data}\n\nevent: delete\ndata: 110\n\nid: 1\njunk\n"
    assert mastodon.sniff(content.encode()) > 0.5
    post, deletion, problem = mastodon.read(io.BytesIO(content.encode()), "s")
    assert isinstance(post, Post) and post.post_id == "a.org/110"
    assert isinstance(deletion, Deletion) and deletion.deleted_id == "a.org/110"
    assert isinstance(problem, Problem) and problem.position == "line 10"


def test_lists_search_pages_and_threads() -> None:
    assert len(read([STATUS, STATUS])) == 2
    assert len(read({"accounts": [], "statuses": [STATUS], "hashtags": []})) == 1
    assert len(read({"ancestors": [STATUS], "descendants": [STATUS, 3]})) == 3
    assert read({"statuses": []}) == [NotAPost(what="empty page")]


def test_what_is_no_post() -> None:
    assert read(
        STATUS | {"visibility": "direct"},
        STATUS | {"visibility": "private"},
        account("ada"),
        {"error": "Record not found"},
        {"name": "may", "url": "https://a.org/tags/may", "history": []},
    ) == [NotAPost(what=w) for w in ("not public", "not public", "user", "error", "hashtag")]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"uri": None}, "uri"),
        ({"uri": "tag:a.org,2023:110"}, "uri"),
        ({"created_at": "soon"}, "created_at"),
        ({"created_at": "1970-01-01T00:00:00Z"}, "created_at"),
        ({"content": 3}, "content"),
    ],
)
def test_a_bad_status_is_a_problem_that_names_the_field(changes: Json, field: str) -> None:
    problem, post = read(STATUS | changes, STATUS)
    assert isinstance(problem, Problem) and problem.reason.startswith(f"{field}: ")
    assert isinstance(post, Post)
