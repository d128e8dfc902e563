"""Records as they should not be: broken lines, impossible dates, texts that no table can hold.

Each file here begins with a good record and goes on with one of each kind. What ends in quarantine
is noted with its reason; the rest must be stored, with U+FFFD for what no text may hold.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from hoaxwatch.simulate import on_bluesky, on_instagram, on_x
from hoaxwatch.simulate.cascades import DAY
from hoaxwatch.simulate.outbox import Outbox, OutFile
from hoaxwatch.simulate.sightings import UNKNOWN_TIME, WHOLE, Profile, Sighting, Words
from hoaxwatch.simulate.world import START, World

Json = dict[str, Any]

LONG_TEXT_BYTES = 10_000_000
BAD = "\ufffd"

#: Lines that are no record of any format: the line, and why it is put aside.
BROKEN_LINES = (
    (b'{"data": [{"id": "2028999", "text": "this line was cut off by a full di', "not JSON"),
    (b"<html><body>503 Service Unavailable</body></html>", "not JSON"),
    (b"curl: (28) Operation timed out after 30001 milliseconds", "not JSON"),
    (b"[" * 100_000, "not JSON"),
    (b'"only a text"', "not a JSON object"),
    (b"17", "not a JSON object"),
    (b"null", "not a JSON object"),
)


def write(world: World, outbox: Outbox, long_text_bytes: int = LONG_TEXT_BYTES) -> None:
    """Writes one file for each platform."""
    _on_x(world, outbox, long_text_bytes)
    _on_instagram(world, outbox)
    _on_bluesky(world, outbox)


def _break(file: OutFile) -> None:
    for line, reason in BROKEN_LINES:
        file.put_aside(file.write(line), reason)


def _on_x(world: World, outbox: Outbox, long_text_bytes: int) -> None:
    file = outbox.file("x_poison.jsonl", on_x.FORMAT)
    chance = random.Random(f"{world.seed}/poison")
    at = START + DAY
    retrieved = {"retrieved_at": on_x.iso(at + DAY)}
    numbers = iter(range(1, 1000))

    def tweet(text: str, **fields: Any) -> Json:
        number = next(numbers)
        moment = at + number
        post_id = str((moment * 1000 - 1_288_834_974_657) << 22 | 0x3F0000 | number)
        return {
            "id": post_id,
            "author_id": "999000111",
            "created_at": on_x.iso(moment),
            "text": text,
            "lang": "en",
        } | fields

    def stored(
        made: Json,
        text: str,
        tags: Sequence[str] = (),
        links: Sequence[str] = (),
        *,
        line: bytes | None = None,
        handle: str | None = None,
        times: int = 1,
        **counters: Any,
    ) -> None:
        seen = Sighting(
            platform=on_x.PLATFORM,
            post_id=made["id"],
            posted_at=float(datetime.fromisoformat(made["created_at"]).timestamp()),
            root_id=made["id"],
            kind="original",
            words=Words(text, "en", tuple(tags), tuple(links)),
            completeness=WHOLE,
            source=file.source,
            payload=made["id"],
            author=Profile("999000111", handle=handle),
            observed_at=UNKNOWN_TIME,
            **counters,
        )
        for _ in range(times):
            file.write(line or msgspec.json.encode(made))
            file.saw([seen])

    def refused(reason: str, **changes: Any) -> None:
        made = tweet("it has a fault") | changes
        made = {key: value for key, value in made.items() if value != "left out"}
        place = file.write_json({"data": [made], "__twarc": retrieved})
        file.put_aside(f"{place}, data[0]", reason)

    # a byte order mark and the line ends of another system
    first = tweet("The first line of this file")
    line = b"\xef\xbb\xbf" + msgspec.json.encode(first) + b"\r"
    stored(first, "The first line of this file", line=line)
    _break(file)
    made = tweet("a zero\0byte #Nul\0Tag", entities={"hashtags": [{"tag": "Nul\0Tag"}]})
    stored(made, f"a zero{BAD}byte #Nul{BAD}Tag", [f"Nul{BAD}Tag"])
    made = tweet("half an emoji @@")
    line = msgspec.json.encode(made).replace(b"@@", b"\\ud83d")
    stored(made, f"half an emoji {BAD}", line=line)
    made = tweet("bytes of another code: @@")
    line = msgspec.json.encode(made).replace(b"@@", b"caf\xe9 \xff")
    stored(made, f"bytes of another code: caf{BAD} {BAD}", line=line)
    made = tweet("a name with a zero byte")
    made["author"] = {"id": "999000111", "username": "zero\0name"}
    stored(made, "a name with a zero byte", handle=f"zero{BAD}name")
    metrics = {"like_count": 1 << 63, "retweet_count": -1, "reply_count": True, "quote_count": 3}
    stored(tweet("odd counts", public_metrics=metrics), "odd counts", quotes=3)
    link = "https://long.example/" + "path/" * 800
    made = tweet("a long link", entities={"urls": [{"expanded_url": link}]})
    stored(made, "a long link", links=[link])
    tags = ["Cafe\u0301", "Caf\u00e9", "ＣＡＦÉ", "ﬁre", "日本", "تجربة"]
    made = tweet(
        "one hashtag in three spellings", entities={"hashtags": [{"tag": t} for t in tags]}
    )
    stored(made, "one hashtag in three spellings", tags)
    stored(tweet("\u202eright to left\u200b"), "\u202eright to left\u200b")
    stored(tweet(" \n\t "), " \n\t ")
    stored(tweet("the same line three times"), "the same line three times", times=3)
    text = "very long text about nothing at all " * (long_text_bytes // 36 + 1)
    stored(tweet(text), text)

    refused("created_at", created_at="1970-01-01T00:00:00.000Z")
    refused("created_at", created_at="yesterday")
    refused("text", text="left out")
    refused("id", id="left out")
    refused("id", id=2028999000000000001)
    refused("id", id="12a")
    refused("referenced id", referenced_tweets=[{"type": "retweeted"}])
    place = file.write_json({"data": [{"id": "5", "colour": "blue"}]})
    file.put_aside(
        f"{place}, data[0]", "neither post, user, list, count, rule nor compliance event"
    )
    place = file.write_json([[1]])
    file.put_aside(f"{place}[0]", "a list in a list")
    next_year = datetime.fromtimestamp(at, UTC).year + 1
    made = tweet("from a clock that is wrong") | {"created_at": f"{next_year}-06-01T00:00:00.000Z"}
    file.write_json({"data": [made], "__twarc": retrieved})
    file.put_aside(f"post {made['id']}", "posted_at")
    # hex digits do not compress below what an index entry may have
    tag = chance.randbytes(4000).hex()
    made = tweet("a hashtag without end", entities={"hashtags": [{"tag": tag}]})
    file.write_json(made)
    file.put_aside(f"post {made['id']}", "cannot be stored")


def _on_instagram(world: World, outbox: Outbox) -> None:
    file = outbox.file("ig_poison.jsonl", on_instagram.FORMAT)
    at = START + 2 * DAY

    def media(number: int, **fields: Any) -> Json:
        return {
            "id": str(17_700_000_000_000_000 + number),
            "permalink": f"https://www.instagram.com/p/DVpoison{number:02d}/",
            "timestamp": f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%S}+0000",
            "media_type": "IMAGE",
            "media_url": "https://scontent.media.example/v/none.jpg",
            "caption": "said",
        } | fields

    def stored(number: int, line: bytes, caption: str) -> None:
        file.write(line)
        picture = "https://scontent.media.example/v/none.jpg", "image", None
        seen = Sighting(
            platform=on_instagram.PLATFORM,
            post_id=f"DVpoison{number:02d}",
            posted_at=float(at),
            root_id=f"DVpoison{number:02d}",
            kind="original",
            words=Words(caption, None, (), (), (picture,)),
            completeness=WHOLE,
            source=file.source,
            payload=number,
        )
        file.saw([seen])

    def refused(number: int, reason: str, position: str = "", **fields: Any) -> None:
        place = file.write_json(media(number) | fields)
        file.put_aside(position or place, reason)

    stored(1, msgspec.json.encode(media(1, caption="a zero\0byte")), f"a zero{BAD}byte")
    _break(file)
    line = msgspec.json.encode(media(2, caption="half a smile @@")).replace(b"@@", b"\xf0\x9f\x98")
    stored(2, line, f"half a smile {BAD}")
    refused(3, "timestamp", timestamp="1970-01-01T00:00:00+0000")
    refused(4, "timestamp", timestamp=None)
    year = datetime.fromtimestamp(at, UTC).year + 1
    told = on_x.iso(at + DAY)
    refused(
        5,
        "posted_at",
        "post DVpoison05",
        timestamp=f"{year}-06-01T00:00:00+0000",
        retrieved_at=told,
    )
    refused(6, "permalink", permalink="https://www.instagram.com/", id="none")
    file.write_json({"error": {"type": "OAuthException", "message": "no permission"}})
    file.saw_other("not_post")


def _on_bluesky(world: World, outbox: Outbox) -> None:
    file = outbox.file("bluesky_poison.jsonl", on_bluesky.FORMAT)
    did = "did:plc:poisonpoisonpoisonpoison"
    moment = START + 3 * DAY

    def event(rkey: str, record: Json, collection: str = on_bluesky.POST) -> Json:
        commit = {"operation": "create", "collection": collection, "rkey": rkey, "record": record}
        return {"did": did, "time_us": moment * 1_000_000, "kind": "commit", "commit": commit}

    def post(text: str, created_at: str = on_x.iso(moment)) -> Json:
        return {"$type": on_bluesky.POST, "text": text, "createdAt": created_at}

    def stored(rkey: str, line: bytes, text: str) -> None:
        file.write(line)
        uri = f"at://{did}/{on_bluesky.POST}/{rkey}"
        seen = Sighting(
            platform=on_bluesky.PLATFORM,
            post_id=uri,
            posted_at=float(moment),
            root_id=uri,
            kind="original",
            words=Words(text),
            completeness=WHOLE,
            source=file.source,
            payload=rkey,
            author=Profile(did),
            observed_at=float(moment),
        )
        file.saw([seen])

    def refused(reason: str, record: Json, position: str = "") -> None:
        place = file.write_json(record)
        file.put_aside(position or place, reason)

    stored("3poison1", msgspec.json.encode(event("3poison1", post("plain"))), "plain")
    _break(file)
    line = msgspec.json.encode(event("3poison2", post("zero\0byte and @@")))
    stored("3poison2", line.replace(b"@@", b"\\udc00"), f"zero{BAD}byte and {BAD}")
    refused("createdAt", event("3poison3", post("old", "1970-01-01T00:00:00Z")))
    year = datetime.fromtimestamp(moment, UTC).year + 1
    place = f"post at://{did}/{on_bluesky.POST}/3poison4"
    refused("posted_at", event("3poison4", post("ahead", f"{year}-06-01T00:00:00Z")), place)
    refused("text", event("3poison5", {"createdAt": on_x.iso(moment)}))
    share = {"$type": on_bluesky.REPOST, "createdAt": on_x.iso(moment), "subject": {"uri": "x"}}
    refused("subject.uri", event("3poison6", share, on_bluesky.REPOST))
    refused("did", event("3poison7", post("by nobody")) | {"did": "nobody"})
    painted = event("3poison8", post("what?"))
    painted["commit"]["operation"] = "paint"
    refused("commit.operation", painted)
