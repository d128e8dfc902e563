"""Bluesky: events of both versions of Jetstream, answers of the API. All posts are invented."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime

import msgspec
import pytest

from streams.formats import bluesky
from streams.formats.json_records import Json
from streams.records import COPY_IN_SHARE, Author, Deletion, Media, NotAPost, Post, Problem, Reading

ADA, BO = "did:plc:ada", "did:plc:bo"
URI = f"at://{ADA}/app.bsky.feed.post/3k1"
RECORD: Json = {
    "$type": "app.bsky.feed.post",
    "text": "Snow in #May",
    "createdAt": "2023-04-24T14:13:34.123Z",
    "langs": ["en-GB"],
}


def read(*records: object, source: str = "bluesky:a.jsonl") -> list[Reading]:
    content = b"\n".join(json.dumps(record).encode() for record in records)
    return list(bluesky.read(io.BytesIO(content), source))


def commit(record: Json | None, collection: str = "post", did: str = ADA, **more: object) -> Json:
    made = {"record": record, "cid": "baf"} if record is not None else {}
    return {
        "did": did,
        "time_us": 1682345700000000,
        "kind": "commit",
        "commit": {
            "operation": "delete" if record is None else "create",
            "collection": f"app.bsky.feed.{collection}",
            "rkey": "3k1",
            **made,
            **more,
        },
    }


def read_post(**changes: object) -> Post:
    (post,) = read(commit(RECORD | changes))
    assert isinstance(post, Post), post
    return post


def view(**changes: object) -> Json:
    return {
        "uri": URI,
        "cid": "baf",
        "author": {
            "did": ADA,
            "handle": "ada.example.org",
            "displayName": "Ada",
            "createdAt": "2023-01-02T00:00:00Z",
            "verification": {"verifiedStatus": "valid"},
        },
        "record": RECORD,
        "likeCount": 7,
        "repostCount": 2,
        "replyCount": 1,
        "quoteCount": 0,
        "indexedAt": "2023-04-24T14:13:35Z",
        **changes,
    }


def test_every_field_of_an_event() -> None:
    post = read_post(
        facets=[
            {
                "index": {"byteStart": 30, "byteEnd": 40},
                "features": [{"$type": "app.bsky.richtext.facet#link", "uri": "https://e.org/b"}],
            },
            {
                "index": {"byteStart": 8, "byteEnd": 12},
                "features": [
                    {"$type": "app.bsky.richtext.facet#tag", "tag": "May"},
                    {"$type": "app.bsky.richtext.facet#mention", "did": BO},
                ],
            },
        ],
        tags=["weather\x07", "May", "#\x1b"],
        embed={"$type": "app.bsky.embed.external", "external": {"uri": "https://e.org/a"}},
    )
    assert msgspec.structs.replace(post, raw=b"") == Post(
        platform="bluesky",
        post_id=URI,
        root_id=URI,
        posted_at=datetime(2023, 4, 24, 14, 13, 34, 123000, tzinfo=UTC),
        text="Snow in #May",
        lang="en",
        hashtags=("May", "weather"),
        links=("https://e.org/b", "https://e.org/a"),
        author=Author(author_id=ADA),
        observed_at=datetime(2023, 4, 24, 14, 15, tzinfo=UTC),
        provenance="bluesky:a.jsonl",
    )


def test_an_event_of_the_second_version_is_the_same_post() -> None:
    flat = {
        "$type": "network.bsky.jetstream.subscribeEvents#commit",
        "did": ADA,
        "seq": 7,
        "time": "2023-04-24T14:15:00.000000Z",
        "operation": "create",
        "collection": "app.bsky.feed.post",
        "rkey": "3k1",
        "record": RECORD,
    }
    first, framed, bare = read(commit(RECORD), {"payload": flat}, flat)
    assert isinstance(first, Post) and isinstance(framed, Post)
    assert msgspec.structs.replace(framed, raw=first.raw) == first
    assert bare == framed


def test_one_language_is_known_several_are_not() -> None:
    assert read_post(langs=["pt-BR"]).lang == "pt"
    assert read_post(langs=["en", "de"]).lang is None
    assert read_post(langs=[]).lang is None


def test_pictures_videos_and_animations() -> None:
    def blob(cid: str) -> Json:
        return {"$type": "blob", "ref": {"$link": cid}, "mimeType": "image/jpeg"}

    images = {
        "$type": "app.bsky.embed.images",
        "images": [{"alt": "a cat", "image": blob("bafa")}, {"alt": "", "image": blob("bafb")}],
    }
    cdn = "https://cdn.bsky.app/img/feed_fullsize/plain/did:plc:ada"
    shown = (
        Media(kind="image", url=f"{cdn}/bafa@jpeg", alt_text="a cat"),
        Media(kind="image", url=f"{cdn}/bafb@jpeg"),
    )
    assert read_post(embed=images).media == shown
    quoted = {"record": {"uri": f"at://{BO}/app.bsky.feed.post/3k0", "cid": "baf"}}
    both = {"$type": "app.bsky.embed.recordWithMedia", "record": quoted, "media": images}
    post = read_post(embed=both)
    assert (post.media, post.kind, post.quote_of) == (
        shown,
        "quote",
        f"at://{BO}/app.bsky.feed.post/3k0",
    )
    video = read_post(embed={"$type": "app.bsky.embed.video", "video": blob("bafv")})
    assert video.media == (
        Media(
            kind="video",
            url="https://video.bsky.app/watch/did%3Aplc%3Aada/bafv/thumbnail.jpg",
        ),
    )
    gif = read_post(
        embed={"external": {"uri": "https://media.tenor.com/x/cat.gif", "description": "Cat"}}
    )
    assert gif.media == (
        Media(kind="gif", url="https://media.tenor.com/x/cat.gif", alt_text="Cat"),
    )
    assert gif.links == ()


def test_replies_and_quotes() -> None:
    root = {"uri": f"at://{BO}/app.bsky.feed.post/3k0", "cid": "baf"}
    parent = {"uri": f"at://{BO}/app.bsky.feed.post/3k9", "cid": "baf"}
    reply = read_post(reply={"root": root, "parent": parent})
    assert (reply.kind, reply.reply_to, reply.root_id) == ("reply", parent["uri"], URI)
    quote = read_post(reply={"root": root, "parent": parent}, embed={"record": root})
    assert (quote.kind, quote.reply_to, quote.quote_of) == ("quote", parent["uri"], root["uri"])
    of_list = {"record": {"uri": f"at://{BO}/app.bsky.graph.list/3k0", "cid": "baf"}}
    assert read_post(embed=of_list).quote_of is None


def test_a_repost_points_at_its_subject_and_keeps_through_what_it_was_found() -> None:
    record: Json = {
        "$type": "app.bsky.feed.repost",
        "subject": {"uri": URI, "cid": "baf"},
        "via": {"uri": f"at://{BO}/app.bsky.feed.repost/3k5", "cid": "baf"},
        "createdAt": "2023-04-24T15:00:00Z",
    }
    (share,) = read(commit(record, "repost", "did:plc:cy"))
    assert isinstance(share, Post)
    assert (share.kind, share.share_of, share.root_id) == ("share", URI, URI)
    assert share.post_id == "at://did:plc:cy/app.bsky.feed.repost/3k1"
    assert share.shared_via == f"at://{BO}/app.bsky.feed.repost/3k5"
    assert (share.text, share.completeness) == ("", COPY_IN_SHARE)


def test_deletions() -> None:
    def account(**state: object) -> Json:
        account = {"did": ADA, "seq": 1, **state}
        return {"did": ADA, "time_us": 1682345700000000, "kind": "account", "account": account}

    at = datetime(2023, 4, 24, 14, 15, tzinfo=UTC)
    gone = [account(active=False, status=s) for s in ("deleted", "takendown", "suspended")]
    deletions = read(commit(None), commit(None, "repost"), *gone)
    assert deletions == [
        Deletion(platform="bluesky", kind="post", deleted_id=uri, reason="delete", deleted_at=at)
        for uri in (URI, URI.replace("feed.post", "feed.repost"))
    ] + [
        Deletion(platform="bluesky", kind="author", deleted_id=ADA, reason=s, deleted_at=at)
        for s in ("deleted", "takendown", "suspended")
    ]
    still_there = [account(active=True), account(active=False, status="deactivated")]
    assert read(*still_there) == [
        NotAPost(what="account: active"),
        NotAPost(what="account: deactivated"),
    ]


def test_an_update_is_the_same_post_with_new_words() -> None:
    before, after = read(
        commit(RECORD), commit(RECORD | {"text": "Rain in #May"}, operation="update")
    )
    assert isinstance(before, Post) and isinstance(after, Post)
    assert (before.post_id, after.text) == (after.post_id, "Rain in #May")


def test_what_is_no_post() -> None:
    assert read(
        commit({"subject": {"uri": URI}}, "like"),
        commit(None, "like"),
        {"did": ADA, "time_us": 1, "kind": "identity", "identity": {"did": ADA}},
        {"did": ADA, "time_us": 1, "kind": "sync"},
        commit({}, "threadgate"),
        {"posts": []},
        {"error": "NotFound", "message": "Post not found"},
        {"thread": {"$type": "app.bsky.feed.defs#notFoundPost", "uri": URI, "notFound": True}},
        {"did": ADA, "handle": "ada.example.org"},
    ) == [
        NotAPost(what=what)
        for what in (
            *("like", "like", "identity", "sync", "app.bsky.feed.threadgate", "empty page"),
            *("error: NotFound", "not found", "user"),
        )
    ]


def test_a_view_adds_author_and_counts() -> None:
    for answer in (
        {"posts": [view()], "hitsTotal": 1},
        {"feed": [{"post": view()}]},
        {"thread": {"$type": "app.bsky.feed.defs#threadViewPost", "post": view()}},
        view(),
    ):
        (post,) = read({**answer, "retrieved_at": "2023-04-25T00:00:00Z"})
        assert isinstance(post, Post)
        assert (post.likes, post.shares, post.replies, post.quotes) == (7, 2, 1, 0)
        assert post.author == Author(
            author_id=ADA,
            handle="ada.example.org",
            name="Ada",
            created_at=datetime(2023, 1, 2, tzinfo=UTC),
            verified=True,
        )
        assert post.observed_at == datetime(2023, 4, 25, tzinfo=UTC)
        assert (post.post_id, post.text) == (URI, "Snow in #May")


def test_a_repost_in_a_feed_is_a_share_with_its_original() -> None:
    reason = {
        "$type": "app.bsky.feed.defs#reasonRepost",
        "by": {"did": BO, "handle": "bo.example.org"},
        "uri": f"at://{BO}/app.bsky.feed.repost/3k5",
        "indexedAt": "2023-04-24T15:00:00Z",
    }
    original, share = read({"feed": [{"post": view(), "reason": reason}]})
    assert isinstance(original, Post) and isinstance(share, Post)
    assert (original.post_id, original.seen_as) == (URI, "embedded")
    assert (share.post_id, share.share_of) == (reason["uri"], URI)
    assert (share.text, share.completeness) == (original.text, COPY_IN_SHARE)
    assert share.author == Author(author_id=BO, handle="bo.example.org")
    del reason["uri"]  # older answers do not name the repost: an account reposts a post once
    again = read({"feed": [{"post": view(), "reason": reason}]})
    assert isinstance(again[1], Post) and again[1].post_id.endswith(f"/of:{URI}")


def test_embedded_posts_come_first() -> None:
    quoted = {
        "$type": "app.bsky.embed.record#viewRecord",
        "uri": f"at://{BO}/app.bsky.feed.post/3k0",
        "author": {"did": BO, "handle": "bo.example.org"},
        "value": RECORD | {"text": "quoted"},
        "likeCount": 1,
    }
    quoting = view(
        record=RECORD | {"embed": {"record": {"uri": quoted["uri"]}}}, embed={"record": quoted}
    )
    parent = view(uri=f"at://{BO}/app.bsky.feed.post/3k9")
    thread = {
        "post": quoting,
        "parent": {"post": parent},
        "replies": [{"post": view(uri=f"at://{BO}/app.bsky.feed.post/3k7")}, {"notFound": True}],
    }
    feed = {"post": quoting, "reply": {"root": parent, "parent": parent}}
    assert ids(read({"posts": [quoting]})) == [("3k0", "embedded"), ("3k1", "collected")]
    assert ids(read({"thread": thread})) == [
        *(("3k7", "embedded"), ("3k9", "embedded"), ("3k0", "embedded"), ("3k1", "collected"))
    ]
    assert ids(read({"feed": [feed]})) == [
        *(("3k9", "embedded"), ("3k9", "embedded"), ("3k0", "embedded"), ("3k1", "collected"))
    ]


def ids(readings: list[Reading]) -> list[tuple[str, str]]:
    return [(r.post_id[-3:], r.seen_as) for r in readings if isinstance(r, Post)]


def test_bare_records() -> None:
    post, repost = read(
        {
            "records": [
                {"uri": URI, "cid": "baf", "value": RECORD},
                {
                    "uri": f"at://{BO}/app.bsky.feed.repost/3k5",
                    "value": {"subject": {"uri": URI}, "createdAt": "2023-04-24T15:00:00Z"},
                },
            ]
        }
    )
    assert isinstance(post, Post) and isinstance(repost, Post)
    assert (post.post_id, repost.share_of) == (URI, URI)


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (commit(RECORD | {"createdAt": "1970-01-01T00:00:00Z"}), "createdAt: "),
        (commit(RECORD | {"createdAt": None}), "createdAt: "),
        (commit(RECORD | {"text": 3}), "text: "),
        (commit({"createdAt": "2023-04-24T15:00:00Z"}, "repost"), "subject.uri: "),
        (commit(RECORD, did="ada"), "did: "),
        (commit(RECORD, operation="move"), "commit.operation: "),
        (commit(RECORD, rkey=None), "commit: "),
        ({"posts": [view(uri="https://e.org")]}, "uri: "),
        ({"posts": [3]}, "not a JSON object"),
        ({"nothing": 1}, "neither "),
    ],
)
def test_a_bad_record_is_a_problem_that_names_the_field(event: Json, reason: str) -> None:
    problem, post = read(event, commit(RECORD))
    assert isinstance(problem, Problem) and problem.reason.startswith(reason)
    assert isinstance(post, Post)
