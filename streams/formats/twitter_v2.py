"""X API v2 as JSON lines: twarc2 files, saved responses and streams, flattened tweets, compliance.

A line is a page `{"data": [...], "includes": ...}`, a stream event `{"data": {...}, ...}`, a
flattened tweet (author and referenced posts inside it), a compliance event, a stream's error, or
a JSON list of those. Both families of names are read: tweet and post, retweet and repost.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
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
    texts_of,
)
from streams.formats.platform_x import (
    EDIT_WINDOW,
    FIRST_DAY,
    PLATFORM,
    SNOWFLAKE_EPOCH,
    is_id,
    is_withheld,
    snowflake_time,
    status_of,
    strip_share_prefix,
    write_out,
)
from streams.records import (
    COPY_IN_SHARE,
    CUT,
    WHOLE,
    Author,
    Deletion,
    Kind,
    Media,
    NotAPost,
    Post,
    Reading,
    SeenAs,
)

NAME = "twitter_v2"
DESCRIPTION = "X API v2 as JSON lines: twarc2 pages, streams, flattened tweets, compliance events"

#: Keys that a file of this format shows early, and keys that only other formats have.
_TELLING = (
    *(b'"edit_history_tweet_ids"', b'"edit_history_post_ids"', b'"referenced_tweets"'),
    *(b'"referenced_posts"', b'"conversation_id"', b'"author_id"', b'"public_metrics"'),
    *(b'"matching_rules"', b'"__twarc"', b'"includes"', b'"result_count"', b'"tweet_count"'),
    *(b'"action"', b'"redacted_at"', b'"reason"', b'"username"', b".com/2/problems/"),
)
_FOREIGN = (b'"id_str"', b'"full_text"', b'"did"', b'"item_id"', b'"acct"')

_POST_KEYS = {
    *("text", "author_id", "note_tweet", "note_post", "conversation_id"),
    *("edit_history_tweet_ids", "edit_history_post_ids"),
}
_KINDS: dict[str, Kind] = {"retweeted": "share", "reposted": "share"}
_MEDIA_KINDS: dict[str, Literal["image", "video", "gif"]] = {
    "photo": "image",
    "video": "video",
    "animated_gif": "gif",
}
#: Events of the compliance streams after which the content must go.
_DELETING: dict[str, Literal["post", "author"]] = {
    "delete": "post",
    "drop": "post",
    "user_delete": "author",
    "user_protect": "author",
    "user_suspend": "author",
}
#: Events after which it must go if it is to be shown nowhere.
_WITHHOLDING: dict[str, Literal["post", "author"]] = {"withheld": "post", "user_withheld": "author"}


@dataclass(frozen=True)
class _Page:
    """What the posts of one line share: who and what the line includes, and when it was got."""

    source: str
    users: dict[str, Json]
    media: dict[str, Json]
    posts: dict[str, Json]
    first_ids: dict[str, str]  # id of any version of a post -> id of its first version
    observed_at: datetime | None
    retrieved: Json


def sniff(head: bytes) -> float:
    """The confidence that a file beginning with `head` is in this format, by the keys it shows.

    >>> sniff(b'{"data":[{"author_id":"1","public_metrics":{}}]}'), sniff(b'{"id_str":"1"}')
    (0.8, 0.0)
    """
    return score_keys(head, _TELLING, _FOREIGN)


def read(stream: io.BufferedIOBase, source: str) -> Iterator[Reading]:
    """Each record as at least one Reading; a blank line is none, a broken one a Problem."""
    yield from read_json(stream, source, parse_record)


def remap(raw: bytes, source: str) -> Iterator[Reading]:
    """What the `raw` of a Post or Problem is today."""
    yield from parse_json(raw, source, "raw", parse_record)


def parse_record(record: Json, source: str, position: str) -> Iterator[Reading]:
    """What a decoded line holds; embedded posts come first, then each item, then the errors."""
    items, errors = _items_of(record)
    included = _included_of(record, items)
    page = _page_of(record, items, included, source)
    for place, post in included:
        yield _parse_item(post, page, f"{position}, {place}", "embedded")
    for place, item in items:
        yield _parse_item(item, page, f"{position}, {place}" if place else position, "collected")
    for error in errors:
        yield NotAPost(what=f"error: {text_of(object_of(error).get('title')) or 'untitled'}")
    if not items and not errors:
        yield NotAPost(what="empty page")


def parse_post(tweet: Json, page: _Page, seen_as: SeenAs) -> Post:
    """The post of one tweet object. Raises BadField.

    An edited post goes under its first id, with the time of its first version; a version that
    was replaced counts as CUT, so that the newest text wins. A share has text, tags, links,
    media and language of its original if the page includes it.
    """
    x_id = _id(tweet.get("id"), "id")
    post_id = page.first_ids.get(x_id, x_id)
    references = _references_of(tweet)
    share_of, quote_of, reply_to = (
        page.first_ids.get(references[name], references[name]) if name in references else None
        for name in ("share", "quoted", "replied_to")
    )
    original = page.posts.get(references.get("share", ""), tweet)
    content = original if _written(original) is not None else tweet
    text = _written(content)
    if text is None and share_of is None:
        raise BadField("text: missing")
    text = text or ""
    kind: Kind = "original"
    completeness = _completeness(tweet, text, x_id)
    if share_of:
        kind = "share"
        completeness = COPY_IN_SHARE
        text = strip_share_prefix(text) if content is tweet else text
        quote_of = reply_to = None  # what the original quotes or replies to, not the share
    elif quote_of:
        kind = "quote"
    elif reply_to:
        kind = "reply"
    author = _author_object(tweet, page)
    metrics = object_of(tweet.get("public_metrics"))
    return Post(
        platform=PLATFORM,
        post_id=post_id,
        posted_at=_posted_at(tweet, x_id, post_id),
        root_id=share_of or post_id,
        kind=kind,
        text=text,
        completeness=completeness,
        lang=text_of(content.get("lang")) or None,
        hashtags=parse_hashtags(content),
        links=parse_links(content),
        media=tuple(_parse_media(page.media[key]) for key in _media_keys(content, page)),
        author=_parse_author(author, tweet),
        share_of=share_of,
        reply_to=reply_to,
        quote_of=quote_of,
        likes=count_of(metrics, "like_count"),
        shares=count_of(metrics, "retweet_count", "repost_count"),
        replies=count_of(metrics, "reply_count"),
        quotes=count_of(metrics, "quote_count"),
        views=count_of(metrics, "impression_count") or None,  # X gives 0 where it does not know
        observed_at=page.observed_at,
        seen_as=seen_as,
        provenance=page.source,
        raw=encode_json(_own_object(tweet, author, page)),
    )


def parse_hashtags(tweet: Json) -> tuple[str, ...]:
    """The tags as written, once each, of the whole text if the object has it."""
    tags = (text_of(tag.get("tag")) for tag in _entities(tweet, "hashtags"))
    return tuple(dict.fromkeys(tag.lstrip("#＃") for tag in tags if tag and tag.strip("#＃ ")))


def parse_links(tweet: Json) -> tuple[str, ...]:
    """The addresses a post points at, unshortened as far as X knows, once each.

    Left out are the links that X itself writes into a text: to the post's own media, to the
    post itself, and to the post it quotes.
    """
    own = {text_of(tweet.get("id"))}
    own.update(_history(tweet))
    own.update(text_of(r.get("id")) for r in _reference_objects(tweet) if r.get("type") == "quoted")
    links = []
    for url in _entities(tweet, "urls"):
        link = text_of(url.get("unwound_url")) or text_of(url.get("expanded_url"))
        shown = text_of(url.get("display_url")) or ""
        is_media = "media_key" in url or shown.startswith(("pic.twitter.com/", "pic.x.com/"))
        if link and not is_media and status_of(link) not in own:
            links.append(link)
    return tuple(dict.fromkeys(links))


def parse_deletion(record: Json, source: str) -> Deletion:
    """The notice of a compliance job, whose action is "delete". Raises BadField."""
    return Deletion(
        platform=PLATFORM,
        kind=deleted_kind(record, source),
        deleted_id=_id(record.get("id"), "id"),
        reason=text_of(record.get("reason")) or None,
        deleted_at=moment_of(record.get("redacted_at")),
    )


def deleted_kind(record: Json, source: str) -> Literal["post", "author"]:
    """Whether a compliance job's notice is about a post or an account; both have the same keys.

    1. A `type` in the record ("tweets", "users") says so.
    2. `created_at` is when the post was written or the account opened. Equal, to the
       millisecond, to the moment inside the id: a post (an account's has whole seconds). After
       2010-11-04 with an id from before the ids that hold a moment: an account.
    3. The name of the file: "user" or "tweet" or "post" in it, if only one of the two kinds.
    4. Else a post.

    >>> deleted_kind({"id": "1482680858", "created_at": "2013-06-04T16:25:04+00:00"}, "")
    'author'
    """
    told = text_of(record.get("type")) or ""
    created_at = moment_of(record.get("created_at"))
    x_id = _id(record.get("id"), "id")
    if told.rstrip("s") in ("tweet", "post"):
        return "post"
    if told.rstrip("s") == "user":
        return "author"
    if created_at:
        given_at = snowflake_time(x_id)
        if given_at is None and created_at > SNOWFLAKE_EPOCH:
            return "author"
        if given_at == created_at and created_at.microsecond:
            return "post"
    name = source.casefold()
    return "author" if "user" in name and "tweet" not in name and "post" not in name else "post"


def example() -> bytes:
    """A small invented file of this format: a page in the old names, one post in the new ones."""
    users = [
        {
            "id": "11",
            "username": "ada",
            "name": "Ada",
            "created_at": "2010-03-01T08:00:00.000Z",
            "verified": True,
            "public_metrics": {"followers_count": 250, "following_count": 80, "tweet_count": 9},
        },
        {"id": "12", "username": "bo", "name": "Bo"},
    ]
    cat = {"media_key": "3_1", "type": "photo", "url": "https://pbs.example.org/1.jpg"}
    told = {
        "id": "1650500000000000001",
        "author_id": "11",
        "created_at": "2023-04-24T14:13:34.000Z",
        "text": "Snow in May, says the #WeatherCat https://t.co/a https://t.co/b",
        "lang": "en",
        "edit_history_tweet_ids": ["1650500000000000001"],
        "attachments": {"media_keys": ["3_1"]},
        "entities": {
            "hashtags": [{"start": 22, "end": 33, "tag": "WeatherCat"}],
            "urls": [
                {"url": "https://t.co/a", "expanded_url": "https://example.org/snow"},
                {"url": "https://t.co/b", "display_url": "pic.twitter.com/b", "media_key": "3_1"},
            ],
        },
        "public_metrics": {
            "retweet_count": 1,
            "reply_count": 1,
            "like_count": 7,
            "quote_count": 0,
            "impression_count": 90,
        },
    }
    share = {
        "id": "1650500000000000002",
        "author_id": "12",
        "created_at": "2023-04-24T14:20:00.000Z",
        "text": "RT @ada: Snow in May, says the…",
        "referenced_tweets": [{"type": "retweeted", "id": told["id"]}],
    }
    page = {
        "data": [share],
        "includes": {"users": users, "tweets": [told], "media": [cat]},
        "errors": [{"title": "Not Found Error", "detail": "Could not find user."}],
        "__twarc": {"retrieved_at": "2023-04-24T15:00:00+00:00"},
    }
    reply = {
        "data": {
            "id": "1650500000000000003",
            "author_id": "12",
            "created_at": "2023-04-24T14:21:00.000Z",
            "text": "@ada Bring…",
            "note_post": {"text": "@ada Bring boots, a scarf and a thermos. " * 10},
            "referenced_posts": [{"type": "replied_to", "id": told["id"]}],
            "public_metrics": {"repost_count": 0, "like_count": 1},
        },
        "includes": {"users": users[1:]},
        "matching_rules": [{"id": "1", "tag": "weather"}],
    }
    return b"\n".join((encode_json(page), encode_json(reply), b""))


def _items_of(record: Json) -> tuple[list[tuple[str, object]], list[object]]:
    """The top-level items of a line, each with its place in it, and its error objects."""
    if not record.keys() & {"data", "includes", "meta", "errors"} or "id" in record:
        is_error = "title" in record and "detail" in record and "id" not in record
        return ([], [record]) if is_error else ([("", record)], [])
    data = record.get("data")
    errors = record.get("errors")
    if isinstance(data, list):
        items = [(f"data[{i}]", item) for i, item in enumerate(data)]
    else:
        items = [("data", data)] if data is not None else []
    return items, errors if isinstance(errors, list) else []


def _included_of(record: Json, items: list[tuple[str, object]]) -> list[tuple[str, Json]]:
    """The posts that a line carries for the sake of others, each with its place in the line."""
    includes = object_of(record.get("includes"))
    included: list[tuple[str, Json]] = []
    for key in ("tweets", "posts"):
        listed = includes.get(key)
        for i, post in enumerate(listed if isinstance(listed, list) else []):
            included.append((f"includes.{key}[{i}]", object_of(post)))
    known = {text_of(post.get("id")) for _, post in included}
    for place, item in items:
        for i, post in enumerate(_inlined(object_of(item))):
            if text_of(post.get("id")) not in known:
                included.append((f"{place} referenced[{i}]".lstrip(), post))
                known.add(text_of(post.get("id")))
    return included


def _inlined(tweet: Json) -> Iterator[Json]:
    for reference in _reference_objects(tweet):
        if _written(reference) is not None:
            yield from _inlined(reference)
            yield reference


def _page_of(
    record: Json, items: list[tuple[str, object]], included: list[tuple[str, Json]], source: str
) -> _Page:
    includes = object_of(record.get("includes"))
    posts = [post for _, post in included]
    tweets = [*posts, *(object_of(item) for _, item in items)]
    attached = (objects_of(object_of(tweet.get("attachments")).get("media")) for tweet in tweets)
    media = [*objects_of(includes.get("media")), *(medium for some in attached for medium in some)]
    first_ids = {}
    # a reference has a history only in `raw`
    references = [part for tweet in tweets for part in _reference_objects(tweet)]
    for part in (*tweets, *references):
        history = _history(part)
        if len(history) > 1 and all(map(is_id, history)) and text_of(part.get("id")) in history:
            first_ids.update(dict.fromkeys(history, history[0]))
    retrieved = object_of(record.get("__twarc"))
    return _Page(
        source=source,
        users=_by(objects_of(includes.get("users")), "id"),
        media={
            key: medium
            for key, medium in _by(media, "media_key").items()
            if _media_url(medium) and text_of(medium.get("type")) in _MEDIA_KINDS
        },
        posts=_by(posts, "id"),
        first_ids=first_ids,
        observed_at=moment_of(retrieved.get("retrieved_at")),
        retrieved=retrieved,
    )


def _by(objects: Iterable[Json], key: str) -> dict[str, Json]:
    return {name: value for value in objects if (name := text_of(value.get(key)))}


def _parse_item(item: object, page: _Page, position: str, seen_as: SeenAs) -> Reading:
    if not isinstance(item, dict):
        return problem_of("not a JSON object", item, page.source, position)
    try:
        if "action" in item and "id" in item:
            if item["action"] == "delete":
                return parse_deletion(item, page.source)
            return NotAPost(what=f"compliance: {text_of(item['action'])}")
        if "username" in item:
            return NotAPost(what="user")
        if is_withheld(object_of(item.get("withheld")).get("country_codes")):
            x_id = _id(item.get("id"), "id")
            return Deletion(
                platform=PLATFORM,
                kind="post",
                deleted_id=page.first_ids.get(x_id, x_id),
                reason="withheld",
                deleted_at=page.observed_at,
            )
        if item.keys() & _POST_KEYS or seen_as == "embedded":
            return parse_post(item, page, seen_as)
        for name, event in item.items():
            if isinstance(event, dict) and "event_at" in event:
                return _parse_event(name, event)
    except BadField as error:
        return problem_of(str(error), item, page.source, position)
    if item.keys() & {"tweet_count", "post_count"} and "start" in item:
        return NotAPost(what="count")
    if item.keys() & {"member_count", "owner_id"}:
        return NotAPost(what="list")
    if "value" in item and "id" in item:
        return NotAPost(what="rule")
    reason = "neither post, user, list, count, rule nor compliance event"
    return problem_of(reason, item, page.source, position)


def _parse_event(name: str, event: Json) -> Deletion | NotAPost:
    """An event of a compliance stream, `{"delete": {"tweet": {...}, "event_at": ...}}`."""
    kind = _DELETING.get(name)
    if kind is None and is_withheld(event.get("withheld_in_countries")):
        kind = _WITHHOLDING.get(name)
    if kind is None:
        return NotAPost(what=f"compliance: {name}")
    subject = object_of(event.get("tweet") or event.get("post") or event.get("user"))
    return Deletion(
        platform=PLATFORM,
        kind=kind,
        deleted_id=_id(subject.get("id"), f"{name}.id"),
        reason=name,
        deleted_at=moment_of(event.get("event_at")),
    )


def _own_object(tweet: Json, author: Json, page: _Page) -> Json:
    """The post alone, as a flattened tweet that this format reads again: its author, its media
    and the time of collection inside it, referenced posts by their ids only."""
    own = {**tweet}
    if author:
        own["author"] = author
    keys = _media_keys(tweet, page)
    if keys:
        own["attachments"] = {
            **object_of(tweet.get("attachments")),
            "media": [page.media[key] for key in keys],
        }
    for name in ("referenced_tweets", "referenced_posts"):
        if name in own:
            own[name] = [_own_reference(r, page) for r in objects_of(own[name])]
    if page.retrieved:
        own["__twarc"] = page.retrieved
    return own


def _own_reference(reference: Json, page: _Page) -> Json:
    """The id alone; of an edited post, as far as the page tells, with the first id before it."""
    x_id = reference.get("id")
    own: Json = {"type": reference.get("type"), "id": x_id}
    first_id = page.first_ids.get(text_of(x_id) or "")
    if first_id not in (None, x_id):
        own["edit_history_tweet_ids"] = [first_id, x_id]
    return own


def _written(tweet: Json) -> str | None:
    """The longest text the object has, with the three characters that X escapes written out."""
    note = object_of(tweet.get("note_tweet") or tweet.get("note_post"))
    text = text_of(note.get("text")) or text_of(tweet.get("text"))
    return None if text is None else write_out(text)


def _completeness(tweet: Json, text: str, x_id: str) -> int:
    history = _history(tweet)
    is_replaced = x_id in history and history[-1] != x_id
    has_note = bool(object_of(tweet.get("note_tweet") or tweet.get("note_post")).get("text"))
    is_cut = (
        "…" in text[-40:]
        and not has_note
        and any(
            (text_of(url.get("expanded_url")) or "").endswith(f"/i/web/status/{x_id}")
            for url in _entities(tweet, "urls")
        )
    )
    return CUT if is_replaced or is_cut else WHOLE


def _posted_at(tweet: Json, x_id: str, first_id: str) -> datetime:
    """When the post was published, to the second; an edited one: when its first version was.

    Default fields of the API lack `created_at`; the id holds it.
    """
    told = tweet.get("created_at")
    created_at = moment_of(told) if told is not None else _whole_second(snowflake_time(x_id))
    if created_at is None or created_at < FIRST_DAY:
        raise BadField(f"created_at: {str(told)[:40]!r} is not a time of X")
    if first_id != x_id:
        first_at = _whole_second(snowflake_time(first_id))
        if first_at and timedelta() <= created_at - first_at <= EDIT_WINDOW:
            return first_at
    return created_at


def _history(tweet: Json) -> list[str]:
    """The ids of all versions of an edited post, the first one first."""
    return texts_of(tweet.get("edit_history_tweet_ids") or tweet.get("edit_history_post_ids"))


def _whole_second(moment: datetime | None) -> datetime | None:
    return moment and moment.replace(microsecond=0)


def _references_of(tweet: Json) -> dict[str, str]:
    """Of each kind of reference, the first id. Raises BadField if one has no id."""
    found: dict[str, str] = {}
    for reference in _reference_objects(tweet):
        name = text_of(reference.get("type")) or ""
        name = _KINDS.get(name, name)
        if name in ("share", "quoted", "replied_to"):
            found.setdefault(name, _id(reference.get("id"), "referenced id"))
    return found


def _reference_objects(tweet: Json) -> list[Json]:
    return objects_of(tweet.get("referenced_tweets") or tweet.get("referenced_posts"))


def _author_object(tweet: Json, page: _Page) -> Json:
    """The author's object if the line has it, else an empty one."""
    return object_of(tweet.get("author")) or page.users.get(
        text_of(tweet.get("author_id")) or "", {}
    )


def _parse_author(user: Json, tweet: Json) -> Author | None:
    author_id = text_of(user.get("id")) or text_of(tweet.get("author_id"))
    if not author_id:
        return None
    metrics = object_of(user.get("public_metrics"))
    verified = user.get("verified")
    created_at = moment_of(user.get("created_at"))
    return Author(
        author_id=author_id,
        handle=text_of(user.get("username")) or None,
        name=text_of(user.get("name")) or None,
        followers=count_of(metrics, "followers_count"),
        following=count_of(metrics, "following_count"),
        n_posts=count_of(metrics, "tweet_count", "post_count"),
        created_at=created_at if created_at and created_at >= FIRST_DAY else None,
        verified=verified if isinstance(verified, bool) else None,
    )


def _media_keys(tweet: Json, page: _Page) -> list[str]:
    """The keys of the post's media that the page holds, in the post's order."""
    attachments = object_of(tweet.get("attachments"))
    inline = (text_of(medium.get("media_key")) for medium in objects_of(attachments.get("media")))
    keys = [*texts_of(attachments.get("media_keys")), *filter(None, inline)]
    return [key for key in dict.fromkeys(keys) if key in page.media]


def _parse_media(medium: Json) -> Media:
    return Media(
        kind=_MEDIA_KINDS[text_of(medium.get("type")) or ""],
        url=_media_url(medium) or "",
        alt_text=text_of(medium.get("alt_text")) or None,
    )


def _media_url(medium: Json) -> str | None:
    """Where to look: the picture, the cover of a video, else the video in its best quality."""
    url = text_of(medium.get("url")) or text_of(medium.get("preview_image_url"))
    if url:
        return url
    variants = [v for v in objects_of(medium.get("variants")) if text_of(v.get("url"))]
    best = max(variants, key=lambda variant: count_of(variant, "bit_rate") or 0, default={})
    return text_of(best.get("url"))


def _entities(tweet: Json, key: str) -> list[Json]:
    """The entities of the whole text where it has its own, else of the post."""
    note = object_of(tweet.get("note_tweet") or tweet.get("note_post"))
    entities = object_of(note.get("entities")) or object_of(tweet.get("entities"))
    return objects_of(entities.get(key))


def _id(value: object, field: str) -> str:
    if isinstance(value, str) and is_id(value):
        return value
    raise BadField(f"{field}: {str(value)[:40]!r} is not an id")
