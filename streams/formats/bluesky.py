"""Bluesky as JSON: Jetstream events, and what the public API answers, in lines or lists.

Jetstream gives `commit` events (posts, reposts, likes; create, update, delete), and `identity` and
`account` events; both of its versions are read. The API gives posts with their authors and counts
(`getPosts`, `searchPosts`), feeds with reposts, threads, and bare records (`listRecords`).
Posts go under their at:// address. A page or post may carry `retrieved_at`, the time at which the
collector got it.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Literal
from urllib.parse import quote

import msgspec

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
    texts_of,
    unix_moment_of,
)
from streams.formats.text_parts import bare_tag
from streams.records import (
    COPY_IN_SHARE,
    Author,
    Deletion,
    Kind,
    Media,
    NotAPost,
    Post,
    Problem,
    Reading,
    SeenAs,
)

NAME = "bluesky"
DESCRIPTION = "Bluesky as JSON: Jetstream events, posts, feeds and threads of the public API"
PLATFORM = "bluesky"

#: The day of the first invitations. An earlier date is a client's mistake or an imported post's.
FIRST_DAY = datetime(2022, 11, 17, tzinfo=UTC)

POST, REPOST, LIKE = "app.bsky.feed.post", "app.bsky.feed.repost", "app.bsky.feed.like"

_TELLING = (
    *(b'"app.bsky.feed.', b'"did:plc:', b'"did:web:', b'"at://did:', b'"time_us"'),
    *(b'"kind":"commit"', b'"kind":"identity"', b'"kind":"account"', b'"indexedAt"'),
)
#: States of an account in which its posts must go. "deactivated" can be undone by its owner.
_GONE = {"deleted", "takendown", "suspended"}
_EVENT_KINDS = ("commit", "identity", "account", "sync")
_CDN = "https://cdn.bsky.app/img/feed_fullsize/plain"
_VIDEOS = "https://video.bsky.app/watch"
#: Where the app fetches the animations that people choose from its menu.
_GIFS = "https://media.tenor.com/"


def sniff(head: bytes) -> float:
    """The confidence that a file beginning with `head` is in this format, by the keys it shows.

    >>> sniff(b'{"did":"did:plc:a","time_us":1,"kind":"account"}'), sniff(b'{"did":1}')
    (0.95, 0.0)
    """
    return score_keys(head, _TELLING, (b'"item_id"',))


def read(stream: io.BufferedIOBase, source: str) -> Iterator[Reading]:
    """Each event and each item of an answer as one Reading; embedded posts come first."""
    yield from read_json(stream, source, parse_record)


def remap(raw: bytes, source: str) -> Iterator[Reading]:
    """What the `raw` of a Post or Problem is today."""
    yield from parse_json(raw, source, "raw", parse_record)


def parse_record(record: Json, source: str, position: str) -> Iterator[Reading]:
    """What a decoded record holds: an event, an answer of the API."""
    event = object_of(record.get("payload")) or record
    kind = _event_kind(event)
    if kind:
        yield _parse_event(event, kind, source, position)
        return
    retrieved = {"retrieved_at": record["retrieved_at"]} if "retrieved_at" in record else {}
    for key in ("posts", "feed", "records"):
        items = record.get(key)
        if isinstance(items, list):
            for i, item in enumerate(items):
                own = {**item, **retrieved} if isinstance(item, dict) else item
                yield from _parse_item(own, source, f"{position}, {key}[{i}]")
            if not items:
                yield NotAPost(what="empty page")
            return
    thread = record.get("thread")
    if isinstance(thread, dict):
        yield from _parse_thread(thread, retrieved, source, position)
    elif "error" in record:
        yield NotAPost(what=f"error: {text_of(record['error']) or 'untitled'}")
    else:
        yield from _parse_item(record, source, position)


def parse_post(
    uri: str, record: Json, view: Json, observed_at: datetime | None, seen_as: SeenAs, source: str
) -> Post:
    """The post of a record, with what a view of the API adds to it. Raises BadField.

    `view` has author, counts; for an event it is the event itself, which has none of them.
    """
    did = _did_of(uri)
    embed = object_of(record.get("embed"))
    reply_to = text_of(object_of(object_of(record.get("reply")).get("parent")).get("uri")) or None
    quote_of = _quoted(embed)
    kind: Kind = "quote" if quote_of else "reply" if reply_to else "original"
    text = text_of(record.get("text"))
    if text is None:
        raise BadField("text: missing")
    langs = texts_of(record.get("langs"))
    return Post(
        platform=PLATFORM,
        post_id=uri,
        root_id=uri,
        posted_at=_posted_at(record),
        kind=kind,
        text=text,
        lang=langs[0].partition("-")[0].lower() or None if len(langs) == 1 else None,
        hashtags=parse_hashtags(record),
        links=parse_links(record),
        media=parse_media(embed, did),
        author=_parse_author(object_of(view.get("author")), did),
        reply_to=reply_to,
        quote_of=quote_of,
        likes=count_of(view, "likeCount"),
        shares=count_of(view, "repostCount"),
        replies=count_of(view, "replyCount"),
        quotes=count_of(view, "quoteCount"),
        observed_at=observed_at,
        seen_as=seen_as,
        provenance=source,
        raw=encode_json(_own_object(view)),
    )


def parse_repost(
    uri: str, record: Json, view: Json, observed_at: datetime | None, source: str
) -> Post:
    """The share of a repost's record: its content is the subject. Raises BadField.

    `via` is the repost through which the account found the post: kept as `shared_via`.
    """
    subject = text_of(object_of(record.get("subject")).get("uri"))
    if not subject or not subject.startswith("at://"):
        raise BadField(f"subject.uri: {str(subject)[:40]!r} is not an at:// address")
    return Post(
        platform=PLATFORM,
        post_id=uri,
        root_id=subject,
        posted_at=_posted_at(record),
        kind="share",
        completeness=COPY_IN_SHARE,
        author=_parse_author(object_of(view.get("author")), _did_of(uri)),
        share_of=subject,
        shared_via=text_of(object_of(record.get("via")).get("uri")) or None,
        observed_at=observed_at,
        provenance=source,
        raw=encode_json(view),
    )


def parse_hashtags(record: Json) -> tuple[str, ...]:
    """The tags in the text, in its order, and those that stand beside it, once each."""
    tags = [text_of(feature.get("tag")) for feature in _features(record, "tag")]
    tags += texts_of(record.get("tags"))
    return tuple(dict.fromkeys(filter(None, (bare_tag(tag) for tag in tags if tag))))


def parse_links(record: Json) -> tuple[str, ...]:
    """The addresses that the text or its card points at, once each."""
    links = [text_of(feature.get("uri")) for feature in _features(record, "link")]
    cards = (object_of(part.get("external")) for part in _parts_of(object_of(record.get("embed"))))
    links += [text_of(card.get("uri")) for card in cards]
    return tuple(dict.fromkeys(link for link in links if link and not link.startswith(_GIFS)))


def parse_media(embed: Json, did: str) -> tuple[Media, ...]:
    """The pictures of a post and the cover of its video, at the addresses where the app has them:
    a record names only what is in them (`cid`)."""
    media: list[Media] = []
    for part in _parts_of(embed):
        for image in objects_of(part.get("images")):
            cid = _cid_of(image.get("image"))
            if cid:
                url = f"{_CDN}/{did}/{cid}@jpeg"
                media.append(_media("image", url, image.get("alt")))
        cid = _cid_of(part.get("video"))
        if cid:
            url = f"{_VIDEOS}/{quote(did, safe='')}/{cid}/thumbnail.jpg"
            media.append(_media("video", url, part.get("alt")))
        external = object_of(part.get("external"))
        link = text_of(external.get("uri")) or ""
        if link.startswith(_GIFS):
            media.append(_media("gif", link, external.get("description")))
    return tuple(media)


def example() -> bytes:
    """A small invented file of this format: events of every kind, and a feed."""
    ada, bo = "did:plc:ada000000000000000000000", "did:plc:bo0000000000000000000000"
    told: Json = {
        "$type": POST,
        "text": "Snow in May, says the #WeatherCat example.org/snow",
        "createdAt": "2023-04-24T14:13:34.000Z",
        "langs": ["en"],
        "facets": [
            {
                "index": {"byteStart": 22, "byteEnd": 33},
                "features": [{"$type": "app.bsky.richtext.facet#tag", "tag": "WeatherCat"}],
            },
            {
                "index": {"byteStart": 34, "byteEnd": 50},
                "features": [
                    {"$type": "app.bsky.richtext.facet#link", "uri": "https://example.org/snow"}
                ],
            },
        ],
        "embed": {
            "$type": "app.bsky.embed.images",
            "images": [{"alt": "a cat", "image": {"$type": "blob", "ref": {"$link": "bafcat"}}}],
        },
    }
    told_uri = f"at://{ada}/{POST}/3jaaaaaaaaa2a"
    reference = {"uri": told_uri, "cid": "bafpost"}
    first = {"uri": f"at://{bo}/{REPOST}/3jaaaaaaaaa2b", "cid": "bafrepost"}

    def commit(did: str, number: int, collection: str, record: Json | None) -> Json:
        what: Json = {
            "operation": "create" if record else "delete",
            "collection": collection,
            "rkey": f"3jaaaaaaaaa2{'abcdefg'[number]}",
        }
        made: Json = {"record": record, "cid": "baf"} if record else {}
        time_us = 1682345700000000 + number
        return {"did": did, "time_us": time_us, "kind": "commit", "commit": what | made}

    def repost(**via: object) -> Json:
        return {"$type": REPOST, "subject": reference, "createdAt": "2023-04-24T14:20:00Z", **via}

    reply: Json = {
        "$type": POST,
        "text": "Bring boots",
        "reply": {"root": reference, "parent": reference},
        "createdAt": "2023-04-24T14:21:00.000Z",
    }
    events: list[Json] = [
        commit(ada, 0, POST, told),
        commit(bo, 1, REPOST, repost()),
        commit("did:plc:cy", 2, REPOST, repost(via=first)),
        commit(bo, 3, POST, reply),
        commit(bo, 4, LIKE, {"$type": LIKE, "subject": reference}),
        commit(bo, 5, POST, None),
        {"did": bo, "time_us": 1, "kind": "identity", "identity": {"did": bo}},
        {
            "did": "did:plc:di",
            "time_us": 1682345800000000,
            "kind": "account",
            "account": {"active": False, "did": "did:plc:di", "status": "takendown"},
        },
    ]
    view = {
        "uri": told_uri,
        "cid": "bafpost",
        "author": {"did": ada, "handle": "ada.example.org", "displayName": "Ada"},
        "record": told,
        "replyCount": 1,
        "repostCount": 2,
        "likeCount": 7,
        "quoteCount": 0,
        "indexedAt": "2023-04-24T14:13:35.000Z",
    }
    reason = {
        "$type": "app.bsky.feed.defs#reasonRepost",
        "by": {"did": bo, "handle": "bo.example.org"},
        "uri": first["uri"],
        "indexedAt": "2023-04-24T14:20:00.000Z",
    }
    feed = {"feed": [{"post": view, "reason": reason}], "cursor": "1"}
    return b"\n".join((*map(encode_json, events), encode_json(feed), b""))


# Events


def _event_kind(event: Json) -> str | None:
    """Which kind of Jetstream event a record is; the second version says so in `$type`."""
    told = text_of(event.get("$type")) or ""
    kind = told.rpartition("#")[2] if "jetstream" in told else text_of(event.get("kind"))
    return kind if kind in _EVENT_KINDS and "did" in event else None


def _parse_event(event: Json, kind: str, source: str, position: str) -> Reading:
    try:
        if kind == "commit":
            return _parse_commit(event, source)
        account = object_of(event.get("account"))
        if kind == "account":
            status = text_of(account.get("status")) or ""
            if account.get("active") is False and status in _GONE:
                return Deletion(
                    platform=PLATFORM,
                    kind="author",
                    deleted_id=_did(event),
                    reason=status,
                    deleted_at=_event_time(event),
                )
            return NotAPost(what=f"account: {status or 'active'}")
        return NotAPost(what=kind)
    except BadField as error:
        return problem_of(str(error), event, source, position)


def _parse_commit(event: Json, source: str) -> Reading:
    """A change of one record. The second version has its fields beside those of the event."""
    commit = object_of(event.get("commit")) or event
    collection = text_of(commit.get("collection")) or ""
    operation = text_of(commit.get("operation")) or ""
    rkey = text_of(commit.get("rkey")) or ""
    if not collection or not rkey:
        raise BadField("commit: no collection or rkey")
    uri = f"at://{_did(event)}/{collection}/{rkey}"
    if operation not in ("create", "update", "delete"):
        raise BadField(f"commit.operation: {operation[:40]!r} is not one we know")
    if collection not in (POST, REPOST):
        return NotAPost(what="like" if collection == LIKE else collection[:80])
    seen_at = _event_time(event)
    if operation == "delete":
        return Deletion(
            platform=PLATFORM, kind="post", deleted_id=uri, reason="delete", deleted_at=seen_at
        )
    record = object_of(commit.get("record"))
    if collection == REPOST:
        return parse_repost(uri, record, event, seen_at, source)
    return parse_post(uri, record, event, seen_at, "collected", source)


def _event_time(event: Json) -> datetime | None:
    return unix_moment_of(event.get("time_us"), 1_000_000) or moment_of(event.get("time"))


def _did(event: Json) -> str:
    did = text_of(event.get("did")) or ""
    if not did.startswith("did:"):
        raise BadField(f"did: {str(event.get('did'))[:40]!r} is not a DID")
    return did


# Answers of the API


def _parse_item(item: object, source: str, position: str) -> Iterator[Reading]:
    """A post as the API shows it, an entry of a feed, or a bare record; what it embeds first."""
    if not isinstance(item, dict):
        yield problem_of("not a JSON object", item, source, position)
        return
    post = item.get("post")
    try:
        if isinstance(post, dict):
            retrieved = {"retrieved_at": item["retrieved_at"]} if "retrieved_at" in item else {}
            for name, view in object_of(item.get("reply")).items():
                if isinstance(view, dict) and "record" in view:
                    view = {**view, **retrieved}
                    yield _parse_view(view, "embedded", source, f"{position}, reply.{name}")
            yield from _parse_entry(item, {**post, **retrieved}, source, position)
        elif isinstance(item.get("record"), dict):
            yield from _quoted_posts(item, source, position)
            yield _parse_view(item, "collected", source, position)
        elif isinstance(item.get("value"), dict) and text_of(item.get("uri")):
            yield _parse_bare(item, source)
        elif item.get("notFound") is True or item.get("blocked") is True:
            yield NotAPost(what="not found" if item.get("notFound") else "blocked")
        elif text_of(item.get("did")) and "handle" in item:
            yield NotAPost(what="user")
        else:
            reason = "neither event, post, entry of a feed nor record"
            yield problem_of(reason, item, source, position)
    except BadField as error:
        yield problem_of(str(error), item, source, position)


def _parse_entry(entry: Json, view: Json, source: str, position: str) -> Iterator[Reading]:
    """An entry of a feed: the post; where somebody's repost brought it there, embedded in that."""
    reason = object_of(entry.get("reason"))
    by = object_of(reason.get("by"))
    if not by:
        yield from _quoted_posts(view, source, position)
        yield _parse_view(view, "collected", source, position)
        return
    original = None
    if "record" in view:
        yield from _quoted_posts(view, source, position)
        original = _parse_view(view, "embedded", source, f"{position}, post")
        yield original
    subject = text_of(view.get("uri")) or ""
    uri = text_of(reason.get("uri")) or f"at://{text_of(by.get('did'))}/{REPOST}/of:{subject}"
    own: Json = {
        "author": by,
        "uri": uri,
        "value": {
            "$type": REPOST,
            "subject": {"uri": subject},
            "createdAt": reason.get("indexedAt"),
        },
    }
    if "retrieved_at" in view:
        own["retrieved_at"] = view["retrieved_at"]
    share = _parse_bare(own, source)
    if isinstance(share, Post) and isinstance(original, Post):
        copied = {name: getattr(original, name) for name in _COPIED}
        share = msgspec.structs.replace(share, **copied)
    yield share


_COPIED = ("text", "lang", "hashtags", "links", "media")


def _parse_bare(item: Json, source: str) -> Reading:
    """A record with its address, as `listRecords` gives it. Raises BadField."""
    uri = text_of(item.get("uri")) or ""
    record = object_of(item.get("value"))
    collection = uri.removeprefix("at://").partition("/")[2].partition("/")[0]
    seen_at = moment_of(item.get("retrieved_at"))
    if collection == POST:
        return parse_post(uri, record, item, seen_at, "collected", source)
    if collection == REPOST:
        return parse_repost(uri, record, item, seen_at, source)
    return NotAPost(what="like" if collection == LIKE else collection[:80] or "record")


def _parse_view(view: Json, seen_as: SeenAs, source: str, position: str) -> Post | Problem:
    try:
        uri = text_of(view.get("uri")) or ""
        record = object_of(view.get("record"))
        seen_at = moment_of(view.get("retrieved_at"))
        return parse_post(uri, record, view, seen_at, seen_as, source)
    except BadField as error:
        return problem_of(str(error), view, source, position)


def _quoted_posts(view: Json, source: str, position: str) -> Iterator[Reading]:
    """The posts that a post quotes, as far as the answer shows them."""
    embed = object_of(view.get("embed"))
    shown = object_of(embed.get("record"))
    shown = object_of(shown.get("record")) or shown
    if isinstance(shown.get("value"), dict) and f"/{POST}/" in (text_of(shown.get("uri")) or ""):
        own = {key: value for key, value in shown.items() if key not in ("value", "embeds")}
        own["record"] = shown["value"]
        if "retrieved_at" in view:
            own["retrieved_at"] = view["retrieved_at"]
        yield _parse_view(own, "embedded", source, f"{position}, embedded")


def _parse_thread(thread: Json, shared: Json, source: str, position: str) -> Iterator[Reading]:
    """The post that was asked for comes last, after its parents and the replies to it."""
    around: list[tuple[str, object]] = [("parent", thread.get("parent"))]
    around += [("reply", reply) for reply in objects_of(thread.get("replies"))]
    while around:
        name, node = around.pop()
        if not isinstance(node, dict):
            continue
        around.append(("parent", node.get("parent")))
        around += [("reply", reply) for reply in objects_of(node.get("replies"))]
        post = node.get("post")
        if isinstance(post, dict):
            yield _parse_view({**post, **shared}, "embedded", source, f"{position}, {name}")
    post = thread.get("post")
    item = {**post, **shared} if isinstance(post, dict) else thread
    yield from _parse_item(item, source, position)


# Fields


def _own_object(view: Json) -> Json:
    """The post alone: without the view of what it embeds, which names who quotes whom again."""
    return {key: value for key, value in view.items() if key not in ("embed", "viewer")}


def _did_of(uri: str) -> str:
    """The account in an at:// address. Raises BadField."""
    did, _, rest = uri.removeprefix("at://").partition("/")
    if not uri.startswith("at://did:") or not rest:
        raise BadField(f"uri: {uri[:40]!r} is not an at:// address")
    return did


def _posted_at(record: Json) -> datetime:
    told = record.get("createdAt")
    posted_at = moment_of(told)
    if posted_at is None or posted_at < FIRST_DAY:
        raise BadField(f"createdAt: {str(told)[:40]!r} is not a time of Bluesky")
    return posted_at


def _features(record: Json, name: Literal["tag", "link"]) -> Iterator[Json]:
    """What the stretches of the text are, in its order."""
    facets = objects_of(record.get("facets"))
    for facet in sorted(
        facets, key=lambda f: count_of(object_of(f.get("index")), "byteStart") or 0
    ):
        for feature in objects_of(facet.get("features")):
            if (text_of(feature.get("$type")) or "").endswith(f"#{name}"):
                yield feature


def _parts_of(embed: Json) -> Iterator[Json]:
    """What a post carries: pictures, a video, a card; beside a quoted post one level down."""
    yield embed
    if isinstance(embed.get("media"), dict):
        yield object_of(embed["media"])


def _quoted(embed: Json) -> str | None:
    """The address of the post that is quoted; lists and feeds can be embedded too."""
    record = object_of(embed.get("record"))
    uri = text_of(record.get("uri")) or text_of(object_of(record.get("record")).get("uri")) or ""
    return uri if f"/{POST}/" in uri else None


def _cid_of(blob: object) -> str | None:
    reference = object_of(object_of(blob).get("ref"))
    return text_of(reference.get("$link")) or text_of(object_of(blob).get("cid")) or None


def _media(kind: Literal["image", "video", "gif"], url: str, alt_text: object) -> Media:
    return Media(kind=kind, url=url, alt_text=text_of(alt_text) or None)


def _parse_author(profile: Json, did: str) -> Author:
    verified = text_of(object_of(profile.get("verification")).get("verifiedStatus"))
    created_at = moment_of(profile.get("createdAt"))
    return Author(
        author_id=did,
        handle=text_of(profile.get("handle")) or None,
        name=text_of(profile.get("displayName")) or None,
        followers=count_of(profile, "followersCount"),
        following=count_of(profile, "followsCount"),
        n_posts=count_of(profile, "postsCount"),
        created_at=created_at if created_at and created_at >= FIRST_DAY else None,
        verified=None if verified is None else verified == "valid",
    )
