"""Mastodon as JSON: statuses in lines or lists, search pages, threads, streamed events.

Events are those of a web socket (`{"event": "update", "payload": "..."}`) in lines, or the text
that a server streams (`event: update`, `data: {...}`). A status goes under the server that it was
written on and its number there, so it is the same post whichever server was asked.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Literal

from streams.formats.cleaning import BadField
from streams.formats.html_text import links_of_html, text_of_html
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
from streams.formats.opening import Ahead, split_lines
from streams.formats.text_parts import find_hashtags
from streams.records import (
    COPY_IN_SHARE,
    WHOLE,
    Author,
    Deletion,
    Kind,
    Media,
    NotAPost,
    Post,
    Problem,
    Reading,
    SeenAs,
    hashtag_key,
)

NAME = "mastodon"
DESCRIPTION = "Mastodon as JSON: statuses, timelines, search pages, streamed events"
PLATFORM = "mastodon"

#: The day Mastodon was published. An earlier date is broken.
FIRST_DAY = datetime(2016, 3, 16, tzinfo=UTC)

_TELLING = (
    *(b'"acct"', b'"reblogs_count"', b'"favourites_count"', b'"media_attachments"'),
    *(b'"in_reply_to_account_id"', b'"spoiler_text"', b'"reblog"'),
    *(b'"event":"update"', b'"event":"delete"', b'"event": "update"', b'"event": "delete"'),
)
_FOREIGN = (b'"item_id"', b'"__import_meta"')
_MEDIA_KINDS: dict[str, Literal["image", "video", "gif"]] = {
    "image": "image",
    "video": "video",
    "gifv": "gif",
}
#: The address of a status of Mastodon, for programs or for people; a boost's ends in "activity".
_ADDRESS = re.compile(r"https?://([^/]+)/(?:.*/statuses|@[^/]+)/(\d+)(?:/activity)?/?")
#: Deletions name the number that a status has on the server asked. Of so many it is known.
_N_REMEMBERED = 100_000


def sniff(head: bytes) -> float:
    """The confidence that a file beginning with `head` is in this format, by the keys it shows.

    >>> sniff(b'{"reblogs_count":1,"account":{"acct":"a"}}'), sniff(b'{"account":{}}')
    (0.8, 0.0)
    >>> sniff(b'event: update' + bytes([10]) + b'data: {"account":{"acct":"a"},"reblog":null}')
    0.8
    """
    if is_streamed(head):
        data = head.partition(b"\ndata:")[2]
        return score_keys(data, _TELLING, _FOREIGN)
    return score_keys(head, (*_TELLING, b'\\"acct\\"', b'\\"reblog\\"'), _FOREIGN)


def read(stream: io.BufferedIOBase, source: str) -> Iterator[Reading]:
    """Each status as one Post after those inside it, each event as one Reading."""
    ahead = Ahead(stream)
    parser = Parser()
    if is_streamed(ahead.head):
        yield from _read_streamed(ahead, source, parser)
    else:
        yield from read_json(ahead, source, parser.parse_record)


def remap(raw: bytes, source: str) -> Iterator[Reading]:
    """What the `raw` of a Post or Problem is today."""
    yield from parse_json(raw, source, "raw", Parser().parse_record)


def is_streamed(head: bytes) -> bool:
    """Whether a file is the text that a server streams."""
    begin = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    return begin.startswith((b"event:", b"data:", b":"))


def parse_status(status: Json, seen_as: SeenAs, source: str) -> Post:
    """The post of one status. Raises BadField.

    A boost has the text, tags, links, media and language of the status it boosts. The status that
    a reply answers is known where it was written on the server that was asked.
    """
    post_id = status_id(status)
    original = object_of(status.get("reblog"))
    quoted = _quoted(status)
    share_of = status_id(original) if original else None
    quote_of = status_id(quoted) if quoted and not share_of else None
    content = original if text_of(original.get("content")) is not None else status
    html = text_of(content.get("content"))
    if html is None and share_of is None:
        raise BadField("content: missing")
    html = html or ""
    kind: Kind = "original"
    if share_of:
        kind = "share"
    elif quote_of:
        kind = "quote"
    elif status.get("in_reply_to_id") is not None:
        kind = "reply"
    told = status.get("created_at")
    posted_at = moment_of(told)
    if posted_at is None or posted_at < FIRST_DAY:
        raise BadField(f"created_at: {str(told)[:40]!r} is not a time of Mastodon")
    warning = text_of(content.get("spoiler_text")) or ""
    words = text_of_html(html)
    text = f"{warning}\n\n{words}" if warning and words else warning or words
    lang = text_of(content.get("language")) or ""
    return Post(
        platform=PLATFORM,
        post_id=post_id,
        root_id=share_of or post_id,
        posted_at=posted_at,
        kind=kind,
        text=text,
        completeness=COPY_IN_SHARE if share_of else WHOLE,
        lang=lang.partition("-")[0].lower() or None,
        hashtags=_parse_hashtags(content, text),
        links=links_of_html(html),
        media=_parse_media(content),
        author=_parse_author(object_of(status.get("account"))),
        share_of=share_of,
        reply_to=None if share_of else _reply_to(status),
        quote_of=quote_of,
        likes=count_of(status, "favourites_count"),
        shares=count_of(status, "reblogs_count"),
        replies=count_of(status, "replies_count"),
        quotes=count_of(status, "quotes_count"),
        observed_at=moment_of(status.get("retrieved_at")) or moment_of(status.get("edited_at")),
        seen_as=seen_as,
        provenance=source,
        raw=encode_json(_own_object(status)),
    )


def status_id(status: Json) -> str:
    """The server on which a status was written, and its number there; other programs of the
    network have addresses instead of numbers. Raises BadField.

    >>> status_id({"uri": "https://a.org/users/ada/statuses/12"})
    'a.org/12'
    >>> status_id({"uri": "https://b.org/objects/5f3e"})
    'b.org/objects/5f3e'
    """
    for key in ("uri", "url"):
        address = text_of(status.get(key)) or ""
        found = _ADDRESS.fullmatch(address)
        if found:
            return f"{found[1].lower()}/{found[2]}"
        scheme, _, rest = address.partition("://")
        host, _, path = rest.partition("/")
        if scheme in ("http", "https") and host and path:
            return f"{host.lower()}/{path}"
    raise BadField(f"uri: {str(status.get('uri'))[:60]!r} is not the address of a status")


def example() -> bytes:
    """A small invented file of this format: statuses, a boost, a reply, streamed events."""

    def account(number: int, acct: str) -> Json:
        name, _, host = acct.partition("@")
        return {
            "id": str(number),
            "username": name,
            "acct": acct,
            "display_name": name.capitalize(),
            "url": f"https://{host or 'social.example'}/@{name}",
            "created_at": "2022-11-05T00:00:00.000Z",
            "followers_count": 250,
            "following_count": 80,
            "statuses_count": 9,
        }

    told: Json = {
        "id": "110250000000000001",
        "uri": "https://social.example/users/ada/statuses/110250000000000001",
        "created_at": "2023-04-24T14:13:34.000Z",
        "in_reply_to_id": None,
        "spoiler_text": "",
        "visibility": "public",
        "language": "en",
        "content": '<p>Snow in May, says the <a href="https://social.example/tags/weathercat" '
        'class="mention hashtag" rel="tag">#<span>WeatherCat</span></a><br />'
        '<a href="https://example.org/snow">example.org/snow</a></p>',
        "account": account(11, "ada"),
        "tags": [{"name": "weathercat", "url": "https://social.example/tags/weathercat"}],
        "media_attachments": [
            {"type": "image", "url": "https://files.example/1.jpg", "description": "a cat"}
        ],
        "reblogs_count": 1,
        "favourites_count": 7,
        "replies_count": 1,
        "reblog": None,
    }
    boost: Json = {
        "id": "110250000000000002",
        "uri": "https://other.example/users/bo/statuses/110260000000000002/activity",
        "created_at": "2023-04-24T14:20:00.000Z",
        "content": told["content"],
        "account": account(12, "bo@other.example"),
        "reblog": told,
        "media_attachments": [],
    }
    reply: Json = told | {
        "id": "110250000000000003",
        "uri": "https://social.example/users/cy/statuses/110250000000000003",
        "content": "<p>Bring boots</p>",
        "account": account(13, "cy"),
        "in_reply_to_id": told["id"],
        "in_reply_to_account_id": "11",
        "mentions": [{"id": "11", "acct": "ada", "url": "https://social.example/@ada"}],
        "tags": [],
        "media_attachments": [],
    }
    update: Json = {
        "stream": ["public"],
        "event": "update",
        "payload": encode_json(reply).decode(),
    }
    deletion: Json = {"stream": ["public"], "event": "delete", "payload": reply["id"]}
    return b"\n".join((*map(encode_json, (boost, update, deletion)), b""))


class Parser:
    """Reads the records of one file or server, and knows which server it is once a status told."""

    def __init__(self) -> None:
        self._server: str | None = None
        self._post_ids: dict[str, str] = {}  # number on the server asked -> post id

    def parse_record(self, record: Json, source: str, position: str) -> Iterator[Reading]:
        """What a record holds: a status, an event, a page, a thread."""
        if isinstance(record.get("event"), str) and "payload" in record:
            yield from self._parse_event(record, source, position)
            return
        retrieved = {"retrieved_at": record["retrieved_at"]} if "retrieved_at" in record else {}
        lists = [
            (key, found)
            for key in ("ancestors", "statuses", "descendants")
            if isinstance(found := record.get(key), list)
        ]
        if not lists:
            yield from self.parse_item(record, source, position)
            return
        is_empty = True
        for key, found in lists:
            for i, item in enumerate(found):
                own = {**item, **retrieved} if isinstance(item, dict) else item
                yield from self.parse_item(own, source, f"{position}, {key}[{i}]")
                is_empty = False
        if is_empty:
            yield NotAPost(what="empty page")

    def _parse_event(self, record: Json, source: str, position: str) -> Iterator[Reading]:
        event = text_of(record.get("event")) or ""
        payload = record.get("payload")
        if event in ("update", "status.update"):
            if isinstance(payload, str):
                raw = payload.encode(errors="surrogatepass")
                yield from parse_json(raw, source, f"{position}, payload", self.parse_item)
            else:
                yield from self.parse_item(payload, source, f"{position}, payload")
        elif event == "delete":
            yield self._parse_deletion(payload, record, source, position)
        else:
            yield NotAPost(what=f"event: {event[:40]}")

    def _parse_deletion(
        self, payload: object, record: Json, source: str, position: str
    ) -> Deletion | Problem:
        """The notice that a status is gone, by the number that it has on the server asked."""
        number = str(payload)
        deleted_id = self._post_ids.get(number)
        if deleted_id is None and self._server is not None and number.isdecimal():
            deleted_id = f"{self._server}/{number}"
        if deleted_id is None:
            reason = "delete: no status before it tells which server was asked"
            return problem_of(reason, record, source, position)
        return Deletion(platform=PLATFORM, kind="post", deleted_id=deleted_id, reason="delete")

    def parse_item(self, item: object, source: str, position: str) -> Iterator[Reading]:
        """What stands where a status may stand."""
        if not isinstance(item, dict):
            yield problem_of("not a JSON object", item, source, position)
        elif "created_at" in item and ("content" in item or "reblog" in item):
            yield from self._parse_status(item, source, position)
        elif "acct" in item or ("username" in item and "followers_count" in item):
            yield NotAPost(what="user")
        elif isinstance(item.get("error"), str):
            yield NotAPost(what="error")
        elif "history" in item and "name" in item:
            yield NotAPost(what="hashtag")
        else:
            reason = "neither status, account, hashtag nor event"
            yield problem_of(reason, item, source, position)

    def _parse_status(self, status: Json, source: str, position: str) -> Iterator[Reading]:
        if status.get("visibility") in ("private", "direct"):
            yield NotAPost(what="not public")
            return
        retrieved = {"retrieved_at": status["retrieved_at"]} if "retrieved_at" in status else {}
        for name, inner in (
            ("reblog", object_of(status.get("reblog"))),
            ("quote", _quoted(status)),
        ):
            if text_of(inner.get("content")) is not None:
                own = {**inner, **retrieved}
                yield self._parse_one(own, "embedded", source, f"{position}, {name}")
        yield self._parse_one(status, "collected", source, position)

    def _parse_one(
        self, status: Json, seen_as: SeenAs, source: str, position: str
    ) -> Post | Problem:
        try:
            post = parse_status(status, seen_as, source)
        except BadField as error:
            return problem_of(str(error), status, source, position)
        self._server = _server_asked(status) or self._server
        number = text_of(status.get("id"))
        if number:
            self._post_ids[number] = post.post_id
            if len(self._post_ids) > _N_REMEMBERED:
                del self._post_ids[next(iter(self._post_ids))]
        return post


def _read_streamed(stream: io.BufferedIOBase, source: str, parser: Parser) -> Iterator[Reading]:
    """The events of a stream kept as text; lines that begin with ":" keep it open."""
    event = "update"
    for number, line in enumerate(split_lines(stream), 1):
        position = f"line {number}"
        if line is None:
            yield Problem(reason="record is too long to be read", source=source, position=position)
            continue
        name, _, value = line.partition(b":")
        if name == b"event":
            event = value.decode(errors="replace").strip()
        elif name == b"data":
            data = value.decode(errors="surrogateescape").strip()
            if event == "delete" or event not in ("update", "status.update"):
                record: Json = {"event": event, "payload": data}
                yield from parser.parse_record(record, source, position)
            else:
                yield from parse_json(value.strip(), source, position, parser.parse_item)
            event = "update"
        elif line.strip() and name not in (b"", b"id", b"retry"):
            reason = "neither event, data nor a word to keep the stream open"
            yield Problem(reason=reason, source=source, position=position, raw=line)


def _quoted(status: Json) -> Json:
    """The status that is quoted, where the server shows it; older servers show it bare."""
    quote = object_of(status.get("quote"))
    return object_of(quote.get("quoted_status")) or (quote if "uri" in quote else {})


def _own_object(status: Json) -> Json:
    """The status alone: the one that it boosts or quotes by its address only."""
    own = {**status}
    if isinstance(status.get("reblog"), dict):
        own["reblog"] = _address_of(object_of(status["reblog"]))
    if _quoted(status):
        own["quote"] = _address_of(_quoted(status))
    return own


def _address_of(status: Json) -> Json:
    return {key: status[key] for key in ("id", "uri", "url") if key in status}


def _accounts_in(status: Json) -> list[Json]:
    """Those whom a status names: who wrote it, who is spoken to."""
    return [object_of(status.get("account")), *objects_of(status.get("mentions"))]


def _is_local(account: Json) -> bool:
    return "@" not in (text_of(account.get("acct")) or "@")


def _host_of(account: Json) -> str | None:
    address = text_of(account.get("url")) or text_of(account.get("uri")) or ""
    return address.partition("://")[2].partition("/")[0].lower() or None


def _server_asked(status: Json) -> str | None:
    """The server that gave a status: accounts on it are named without it."""
    return next((_host_of(a) for a in _accounts_in(status) if _is_local(a) and _host_of(a)), None)


def _reply_to(status: Json) -> str | None:
    """The status that is answered: its number is that of the server asked, which is part of its
    id only if it was written there."""
    number = text_of(status.get("in_reply_to_id"))
    writer = status.get("in_reply_to_account_id")
    for account in _accounts_in(status):
        if number and writer is not None and account.get("id") == writer:
            host = _host_of(account) if _is_local(account) else None
            return f"{host}/{number}" if host else None
    return None


def _parse_hashtags(status: Json, text: str) -> tuple[str, ...]:
    """The tags as the text writes them; the server writes them small."""
    as_written = {hashtag_key(tag): tag for tag in reversed(find_hashtags(text))}
    names = (text_of(tag.get("name")) or "" for tag in objects_of(status.get("tags")))
    tags = (as_written.get(hashtag_key(name), name).strip("#＃ ") for name in names)
    return tuple(dict.fromkeys(filter(None, tags)))


def _parse_media(status: Json) -> tuple[Media, ...]:
    """Pictures, and the covers of what moves."""
    media = []
    for part in objects_of(status.get("media_attachments")):
        kind = _MEDIA_KINDS.get(text_of(part.get("type")) or "")
        cover = text_of(part.get("preview_url")) if kind != "image" else None
        url = cover or text_of(part.get("url")) or text_of(part.get("remote_url"))
        if kind and url:
            alt_text = text_of(part.get("description")) or None
            media.append(Media(kind=kind, url=url, alt_text=alt_text))
    return tuple(media)


def _parse_author(account: Json) -> Author | None:
    """The account, by its name on its own server, which is the same on all."""
    acct = text_of(account.get("acct")) or ""
    host = _host_of(account)
    if acct and "@" not in acct and host:
        acct = f"{acct}@{host}"
    if not acct:
        return None
    created_at = moment_of(account.get("created_at"))
    return Author(
        author_id=acct.casefold(),
        handle=acct,
        name=text_of(account.get("display_name")) or None,
        followers=count_of(account, "followers_count"),
        following=count_of(account, "following_count"),
        n_posts=count_of(account, "statuses_count"),
        created_at=created_at if created_at and created_at >= FIRST_DAY else None,
    )
