"""The invented world as Bluesky gives it: Jetstream events, and posts looked up by its API.

Reposts name the repost through which they were found, so cascades are trees. After each lost
connection the stream is read again from a little before, so events come twice.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

import msgspec

from hoaxwatch.simulate.cascades import DAY, HOUR
from hoaxwatch.simulate.outbox import Outbox, OutFile
from hoaxwatch.simulate.postings import Picture, Posting
from hoaxwatch.simulate.sightings import COPY_IN_SHARE, WHOLE, Profile, Sighting, Words
from hoaxwatch.simulate.world import START, World

FORMAT = "bluesky"
PLATFORM = "bluesky"
POST, REPOST = "app.bsky.feed.post", "app.bsky.feed.repost"
MEDIA_HOST = "https://cdn.bsky.app/img/feed_fullsize/plain/"
#: So long before the end of a file the next one begins (seconds).
OVERLAP = 2 * HOUR

Json = dict[str, Any]


def collect(world: World, outbox: Outbox) -> None:
    """Writes everything that was collected of Bluesky."""
    _Collector(world, outbox).run()


class _Event:
    """A line of the stream, with when it came and what it means."""

    def __init__(self, at: float, record: Json, meaning: Posting | str, version: int = 0) -> None:
        self.at, self.record, self.meaning, self.version = at, record, meaning, version


class _Collector:
    def __init__(self, world: World, outbox: Outbox) -> None:
        self._world, self._outbox = world, outbox
        self._chance = random.Random(f"{world.seed}/collecting bluesky")
        self._postings = [p for p in world.postings if p.platform == PLATFORM]

    def run(self) -> None:
        events = sorted(self._events(), key=lambda event: event.at)
        last_week = (self._world.n_days - 1) // 7
        for week in range(last_week + 1):
            first = START + week * 7 * DAY - (OVERLAP if week else 0)
            last = START + (week + 1) * 7 * DAY if week < last_week else float("inf")
            file = self._outbox.file(f"bluesky_stream_week{week + 1}.jsonl.zst", FORMAT)
            self._write(file, [event for event in events if first <= event.at < last])
        liked = sorted(
            (p for p in self._postings if p.kind != "share" and _is_there(p, self._world.end)),
            key=lambda p: (-p.likes_at(self._world.end), p.post_id),
        )
        self._look_up(liked[: max(10, len(liked) // 8)], self._world.end + 2 * HOUR)

    def _events(self) -> Iterator[_Event]:
        """Everything that happens, each with the delay at which the stream brings it."""
        for posting in self._postings:
            if posting.posted_at < START:
                continue  # before anybody listened
            for version, wording in enumerate(posting.wordings):
                at = max(posting.posted_at, wording.since) + self._chance.randint(50, 9000) / 1000
                record = self._commit(posting, at, "update" if version else "create", version)
                yield _Event(at, record, posting, version)
            if posting.deleted_at is not None:
                record = self._commit(posting, posting.deleted_at, "delete", 0)
                yield _Event(posting.deleted_at, record, "deleted post " + posting.post_id)
            if self._chance.random() < 0.1:
                at = posting.posted_at + self._chance.randint(5, 500)
                like = {"$type": "app.bsky.feed.like", "subject": _reference(posting)}
                commit = {"operation": "create", "collection": like["$type"], "rkey": "3like"}
                liker = self._chance.choice(self._world.accounts[PLATFORM]).account_id
                record = _event(liker, at, "commit", {**commit, "record": like})
                yield _Event(at, record, "like")
        for account in self._world.accounts[PLATFORM]:
            did = account.account_id
            if account.renamed_at is not None:
                handle = {"did": did, "handle": f"{account.new_handle}.bsky.example"}
                record = _event(did, account.renamed_at, "identity", handle)
                yield _Event(account.renamed_at, record, "identity")
            if account.deleted_at is not None:
                status = "takendown" if self._chance.random() < 0.3 else "deleted"
                told = {"active": False, "did": did, "status": status}
                record = _event(did, account.deleted_at, "account", told)
                yield _Event(account.deleted_at, record, f"{status} account {did}")

    def _commit(self, posting: Posting, at: float, operation: str, version: int) -> Json:
        did, collection, rkey = posting.post_id.removeprefix("at://").split("/")
        commit: Json = {"operation": operation, "collection": collection, "rkey": rkey}
        if operation != "delete":
            commit |= {"cid": cid_of(posting.post_id), "record": _record(posting, version)}
        return _event(did, at, "commit", commit)

    def _write(self, file: OutFile, events: Sequence[_Event]) -> None:
        deletions = self._outbox.ledger.deletions
        for event in events:
            file.write_json(event.record)
            meaning = event.meaning
            if isinstance(meaning, Posting):
                payload = blake2b(msgspec.json.encode(event.record), digest_size=12).digest()
                moment = event.record["time_us"] / 1_000_000
                file.saw([_sighting(meaning, event.version, file.source, moment, payload)])
            elif meaning.startswith("deleted post "):
                key = PLATFORM, meaning.removeprefix("deleted post ")
                deletions.add("post", key, "delete", event.record["time_us"] / 1_000_000)
                file.saw_other("deletion")
            elif " account " in meaning:
                status, _, did = meaning.partition(" account ")
                moment = event.record["time_us"] / 1_000_000
                deletions.add("author", (PLATFORM, did), status, moment)
                file.saw_other("deletion")
            else:
                file.saw_other("not_post")

    def _look_up(self, postings: Sequence[Posting], at: float) -> None:
        """The most liked posts with their counts, 25 an answer."""
        file = self._outbox.file("bluesky_posts.jsonl", FORMAT)
        for i in range(0, len(postings), 25):
            told_at = at + i
            shown = postings[i : i + 25]
            views = [self._view(posting, told_at) for posting in shown]
            file.write_json({"posts": views, "retrieved_at": _iso(told_at)})
            for posting, view in zip(shown, views, strict=True):
                payload = blake2b(msgspec.json.encode([view, told_at]), digest_size=12).digest()
                version = posting.wording_at(told_at)
                seen = _sighting(posting, version, file.source, told_at, payload, view)
                file.saw([seen])

    def _view(self, posting: Posting, at: float) -> Json:
        account = posting.author
        return {
            "uri": posting.post_id,
            "cid": cid_of(posting.post_id),
            "author": {
                "did": account.account_id,
                "handle": f"{account.handle_at(at)}.bsky.example",
                "displayName": account.name,
            },
            "record": _record(posting, posting.wording_at(at)),
            "replyCount": posting.replies_at(at),
            "repostCount": posting.shares_at(at),
            "likeCount": posting.likes_at(at),
            "quoteCount": posting.quotes_at(at),
            "indexedAt": _iso(posting.posted_at + 1),
        }


def _is_there(posting: Posting, at: float) -> bool:
    gone = posting.deleted_at, posting.author.deleted_at
    return posting.posted_at >= START and all(moment is None or moment > at for moment in gone)


def _event(did: str, at: float, kind: str, told: Json) -> Json:
    return {"did": did, "time_us": round(at * 1_000_000), "kind": kind, kind: told}


def _created_at(posting: Posting) -> float:
    """Clients give milliseconds."""
    return posting.posted_at + posting.number % 1000 / 1000


def _record(posting: Posting, version: int) -> Json:
    moment = _created_at(posting)
    created_at = f"{datetime.fromtimestamp(int(moment), UTC):%Y-%m-%dT%H:%M:%S}"
    created_at += f".{posting.number % 1000:03d}Z"
    if posting.share_of is not None:
        share: Json = {
            "$type": REPOST,
            "subject": _reference(posting.share_of),
            "createdAt": created_at,
        }
        return share | ({"via": _reference(posting.via)} if posting.via else {})
    wording = posting.wordings[version]
    made: Json = {"$type": POST, "text": wording.text, "createdAt": created_at}
    if wording.lang not in (None, "und"):
        made["langs"] = [wording.lang]
    facets = [
        _facet(wording.text, f"#{tag}", {"$type": "app.bsky.richtext.facet#tag", "tag": tag})
        for tag in wording.tags
    ] + [
        _facet(wording.text, link, {"$type": "app.bsky.richtext.facet#link", "uri": link})
        for link in wording.links
    ]
    if facets:
        made["facets"] = facets
    images = {
        "$type": "app.bsky.embed.images",
        "images": [
            {"alt": picture.alt_text or "", "image": _blob(picture)} for picture in posting.pictures
        ],
    }
    if posting.quote_of is not None:
        made["embed"] = {
            "$type": "app.bsky.embed.record",
            "record": _reference(posting.quote_of),
        }
    elif posting.pictures:
        made["embed"] = images
    if posting.reply_to is not None:
        parent = _reference(posting.reply_to)
        made["reply"] = {"root": parent, "parent": parent}
    return made


def _facet(text: str, part: str, feature: Json) -> Json:
    """Where the part stands in the text, in bytes."""
    start = len(text[: text.index(part)].encode())
    end = start + len(part.encode())
    return {"index": {"byteStart": start, "byteEnd": end}, "features": [feature]}


def _blob(picture: Picture) -> Json:
    link = {"$link": picture.name.removesuffix("@jpeg")}
    return {"$type": "blob", "ref": link, "mimeType": "image/jpeg", "size": 20_000}


def _reference(posting: Posting) -> Json:
    return {"uri": posting.post_id, "cid": cid_of(posting.post_id)}


def cid_of(uri: str) -> str:
    """A hash that stands for the one that Bluesky makes of a record."""
    return "bafyrei" + blake2b(uri.encode(), digest_size=16).hexdigest()


def _sighting(
    posting: Posting,
    version: int,
    source: str,
    observed_at: float,
    payload: bytes,
    view: Json | None = None,
) -> Sighting:
    shared, wording = posting.share_of, posting.wordings[version]
    if shared is not None:
        words = Words("")
    else:
        host = f"{MEDIA_HOST}{posting.author.account_id}/"
        media = tuple(
            (host + picture.name, "image", picture.alt_text)
            for picture in posting.pictures
            if posting.quote_of is None
        )
        lang = None if wording.lang == "und" else wording.lang
        words = Words(wording.text, lang, wording.tags, wording.links, media)
    profile, counters = Profile(posting.author.account_id), {}
    if view is not None:
        told = view["author"]
        profile = Profile(told["did"], handle=told["handle"], name=told["displayName"])
        named = (("likes", "like"), ("shares", "repost"), ("replies", "reply"), ("quotes", "quote"))
        counters = {ours: view[f"{theirs}Count"] for ours, theirs in named}
    return Sighting(
        platform=PLATFORM,
        post_id=posting.post_id,
        posted_at=_created_at(posting),
        root_id=posting.root.post_id,
        kind=posting.kind,
        words=words,
        completeness=WHOLE if shared is None else COPY_IN_SHARE,
        source=source,
        payload=payload,
        author=profile,
        share_of=None if shared is None else shared.post_id,
        shared_via=posting.via.post_id if posting.via else None,
        reply_to=posting.reply_to.post_id if posting.reply_to else None,
        quote_of=posting.quote_of.post_id if posting.quote_of else None,
        observed_at=observed_at,
        **counters,
    )


def _iso(moment: float) -> str:
    return f"{datetime.fromtimestamp(int(moment), UTC):%Y-%m-%dT%H:%M:%S}+00:00"
