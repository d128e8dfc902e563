"""The invented world as X gives it and collectors keep it: v2 pages, stream events, compliance.

What each record means is noted beside it, as a `Sighting`. Searches run after each week; the last
days of a week are collected again later with greater counters; a stream holds what was posted on
its hashtags as it was posted, without a time of collection; some posts are found weeks late.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, Literal

import msgspec

from hoaxwatch.simulate.cascades import DAY, HOUR
from hoaxwatch.simulate.outbox import Outbox, OutFile
from hoaxwatch.simulate.people import Account
from hoaxwatch.simulate.postings import Picture, Posting
from hoaxwatch.simulate.sightings import (
    COPY_IN_SHARE,
    CUT,
    UNKNOWN_TIME,
    WHOLE,
    Profile,
    Sighting,
    Words,
)
from hoaxwatch.simulate.world import START, World

FORMAT = "twitter_v2"
PLATFORM = "x"
PAGE_POSTS = 100
#: A share carries so many characters of its original.
SHARE_CHARACTERS = 140
MEDIA_HOST = "https://pbs.media.example/media/"

#: Topics whose hashtags the stream follows.
STREAMED = {"water", "storm", "football", "fire", "flu"}

Json = dict[str, Any]


@dataclass(frozen=True)
class Moment:
    """When a page shows the world, and whether the file says so."""

    at: float
    is_told: bool = True

    @property
    def observed_at(self) -> float:
        """As the file lets it be known."""
        return self.at if self.is_told else UNKNOWN_TIME


def collect(world: World, outbox: Outbox) -> None:
    """Writes everything that was collected of X."""
    _Collector(world, outbox).run()


class _Collector:
    def __init__(self, world: World, outbox: Outbox) -> None:
        self._world, self._outbox = world, outbox
        self._chance = random.Random(f"{world.seed}/collecting x")
        self._postings = [p for p in world.postings if p.platform == PLATFORM]

    def run(self) -> None:
        found = [p for p in self._postings if p.found == "searched"]
        on_time = [p for p in found if not p.is_late]
        last_week = (self._world.n_days - 1) // 7
        for week in range(last_week + 1):
            first, last = START + 7 * week * DAY, START + 7 * (week + 1) * DAY
            of_week = [p for p in on_time if first <= p.posted_at < last]
            end = min(last, self._world.end)
            self._search(f"x_search_week{week + 1}.jsonl", of_week, end + 5 * HOUR)
            if not self._world.has_repeats:
                continue
            recent = [p for p in of_week if p.posted_at >= end - 2 * DAY]
            self._search(f"x_again_week{week + 1}.jsonl.gz", recent, end + 3 * DAY)
            self._stream(f"x_stream_week{week + 1}.jsonl", of_week)
        if not self._world.has_repeats:
            return
        late = [p for p in found if p.is_late]
        end = self._world.end
        self._search("x_found_late.jsonl.zst", late, end + 4 * DAY)
        self._look_up_old_versions("x_versions.jsonl", on_time, end + 4 * DAY + HOUR)
        self._compliance(end + DAY)

    def _search(self, name: str, postings: Sequence[Posting], at: float) -> None:
        """Pages of a search, newest first, one every two seconds."""
        file = self._outbox.file(name, FORMAT)
        there = [p for p in reversed(postings) if is_there(p, at)]
        for i in range(0, len(there), PAGE_POSTS):
            moment = Moment(at + 2 * (i // PAGE_POSTS))
            page = Page(there[i : i + PAGE_POSTS], moment)
            file.write_json(page.as_json())
            file.saw(page.sightings(file.source))
            file.saw_other("not_post", len(page.errors))
        if self._chance.random() < 0.5 or not there:
            file.write_json({"meta": {"result_count": 0}, "__twarc": {"version": "2.14.0"}})
            file.saw_other("not_post")

    def _stream(self, name: str, postings: Sequence[Posting]) -> None:
        """Events in about the order of time; now and then the connection is lost for a while."""
        file = self._outbox.file(name, FORMAT)
        gaps = [self._chance.uniform(0, 7) for _ in range(2)]
        followed = [
            p
            for p in postings
            if p.topic in STREAMED
            and not any(0 < (p.posted_at - START) / DAY % 7 - gap < 0.08 for gap in gaps)
        ]
        followed.sort(key=lambda p: p.posted_at + self._chance.expovariate(1 / 20))
        for posting in followed:
            is_bare = self._chance.random() < 0.05 and not posting.root.is_edited
            event = Page([posting], Moment(posting.posted_at, is_told=False), is_bare=is_bare)
            line = event.as_json()
            line["data"] = line["data"][0]
            line["matching_rules"] = [{"id": "17", "tag": posting.topic}]
            for _ in range(2 if self._chance.random() < 0.01 else 1):
                file.write_json(line)
                file.saw(event.sightings(file.source))

    def _look_up_old_versions(self, name: str, postings: Sequence[Posting], at: float) -> None:
        """Somebody asks for the first ids of edited posts: later, and yet not what stands."""
        file = self._outbox.file(name, FORMAT)
        edited = [p for p in postings if p.is_edited and is_there(p, at)]
        for i in range(0, len(edited), PAGE_POSTS):
            moment = Moment(at + 2 * (i // PAGE_POSTS))
            page = Page(edited[i : i + PAGE_POSTS], moment, version=0)
            file.write_json(page.as_json())
            file.saw(page.sightings(file.source))
            file.saw_other("not_post", len(page.errors))

    def _compliance(self, at: float) -> None:
        """What is gone, as job results for posts and accounts and as events of the stream."""
        jobs = self._outbox.file("x_compliance_tweets.jsonl", FORMAT)
        stream = self._outbox.file("x_compliance_stream.jsonl", FORMAT)
        # what concerns nobody we know, and deletes nothing
        unknown = {"tweet": {"id": "1", "author_id": "2"}, "event_at": iso(at)}
        stream.write_json({"scrub_geo": unknown})
        stream.saw_other("not_post")
        for posting in self._postings:
            if posting.deleted_at is None:
                continue
            for wording in posting.wordings:
                if self._chance.random() < 0.6:
                    created_at = snowflake_iso(wording.post_id)
                    self._job(jobs, wording.post_id, created_at, posting.deleted_at, "deleted")
                else:
                    event = {
                        "tweet": {"id": wording.post_id, "author_id": posting.author.account_id}
                    }
                    self._event(
                        stream, "delete", "post", wording.post_id, event, posting.deleted_at
                    )
        users = self._outbox.file("x_compliance_users.jsonl", FORMAT)
        for account in self._world.accounts[PLATFORM]:
            if account.deleted_at is None:
                continue
            if account.role == "campaign" or self._chance.random() < 0.5:
                user = {"user": {"id": account.account_id}}
                name = "user_suspend" if account.role == "campaign" else "user_delete"
                self._event(stream, name, "author", account.account_id, user, account.deleted_at)
            else:
                created_at = iso(account.created_at)
                self._job(users, account.account_id, created_at, account.deleted_at, "deactivated")

    def _job(
        self, file: OutFile, gone_id: str, created_at: str, deleted_at: float, reason: str
    ) -> None:
        kind: Literal["post", "author"] = "author" if "users" in file.path.name else "post"
        file.write_json(
            {
                "id": gone_id,
                "action": "delete",
                "created_at": created_at,
                "redacted_at": iso(deleted_at),
                "reason": reason,
            }
        )
        file.saw_other("deletion")
        key = PLATFORM, gone_id
        self._outbox.ledger.deletions.add(kind, key, reason, float(int(deleted_at)))

    def _event(
        self, file: OutFile, name: str, kind: Any, gone_id: str, about: Json, deleted_at: float
    ) -> None:
        file.write_json({name: {**about, "event_at": iso(deleted_at)}})
        file.saw_other("deletion")
        key = PLATFORM, gone_id
        self._outbox.ledger.deletions.add(kind, key, name, float(int(deleted_at)))


def is_there(posting: Posting, at: float) -> bool:
    """Whether X would show it then."""
    root = posting.root
    gone = (posting.deleted_at, posting.author.deleted_at, root.deleted_at, root.author.deleted_at)
    return all(moment is None or moment > at for moment in gone)


class Page:
    """An answer of the API, or one event of the stream: postings and what they refer to.

    version: which wording of each posting is asked for; None is the newest of that moment.
    is_bare: nothing is expanded, neither accounts nor posts nor media.
    """

    def __init__(
        self,
        postings: Sequence[Posting],
        moment: Moment,
        *,
        version: int | None = None,
        is_bare: bool = False,
    ) -> None:
        self._moment, self._is_bare = moment, is_bare
        at = moment.at
        self._data = [(p, p.wording_at(at) if version is None else version) for p in postings]
        self._included: dict[tuple[Posting, int], None] = {}
        self.errors: list[Json] = []
        for posting, _ in self._data:
            for _, other, other_version in _references(posting):
                if is_bare:
                    continue
                if other.found != "never" and is_there(other, at):
                    self._included[other, other_version] = None
                elif moment.is_told:
                    wanted = other.wordings[other_version].post_id
                    self.errors.append({"title": "Not Found Error", "detail": f"no {wanted}"})
        self._shown = [*self._data, *self._included]
        # an id of a later version leads to the first only where the page tells the history
        self._first_ids = {
            wording.post_id: posting.post_id
            for posting, _ in self._shown
            if len(_history(posting, at)) > 1
            for wording in posting.wordings
        }

    def as_json(self) -> Json:
        """The page as it is kept."""
        page: Json = {"data": [self._object(*shown) for shown in self._data]}
        if not self._is_bare:
            accounts = {posting.author.account_id: posting.author for posting, _ in self._shown}
            includes: Json = {"users": [self._user(account) for account in accounts.values()]}
            if self._included:
                includes["tweets"] = [self._object(*shown) for shown in self._included]
            pictures = {
                picture.name: picture for posting, _ in self._shown for picture in posting.pictures
            }
            if pictures:
                includes["media"] = [_media(picture) for picture in pictures.values()]
            page["includes"] = includes
        if self.errors:
            page["errors"] = self.errors
        if self._moment.is_told:
            page["meta"] = {"result_count": len(self._data)}
            page["__twarc"] = {"version": "2.14.0", "retrieved_at": iso(self._moment.at)}
        return page

    def sightings(self, source: str) -> Iterable[Sighting]:
        """What the page says of each post that it shows."""
        for posting, version in self._included:
            yield self._sighting(posting, version, source, is_data=False)
        for posting, version in self._data:
            yield self._sighting(posting, version, source, is_data=True)

    def _user(self, account: Account) -> Json:
        at = self._moment.at
        return {
            "id": account.account_id,
            "username": account.handle_at(at),
            "name": account.name,
            "created_at": iso(account.created_at),
            "verified": account.verified,
            "public_metrics": {
                "followers_count": account.followers_at(at, START),
                "following_count": account.following,
                "tweet_count": account.n_posts_at(at),
                "listed_count": 0,
            },
        }

    def _profile(self, account: Account) -> Profile:
        if self._is_bare:
            return Profile(account.account_id)
        at = self._moment.at
        return Profile(
            author_id=account.account_id,
            handle=account.handle_at(at),
            name=account.name,
            followers=account.followers_at(at, START),
            following=account.following,
            n_posts=account.n_posts_at(at),
            verified=account.verified,
            created_at=float(account.created_at),
        )

    def _counters(self, posting: Posting) -> dict[str, int]:
        """As X gives them: a share has its original's shares and nothing else."""
        at = self._moment.at
        if posting.share_of is not None:
            return dict.fromkeys(("likes", "replies", "quotes", "views"), 0) | {
                "shares": posting.share_of.shares_at(at)
            }
        likes = posting.likes_at(at)
        return {
            "likes": likes,
            "shares": posting.shares_at(at),
            "replies": posting.replies_at(at),
            "quotes": posting.quotes_at(at),
            "views": 23 * likes + 40 * posting.shares_at(at),
        }

    def _object(self, posting: Posting, version: int) -> Json:
        wording, counters = posting.wordings[version], self._counters(posting)
        made: Json = {
            "id": wording.post_id,
            "author_id": posting.author.account_id,
            "created_at": iso(wording.since if version else posting.posted_at),
            "lang": posting.root.wordings[0].lang or "und",
            "edit_history_tweet_ids": _history(posting, self._moment.at),
            "public_metrics": {
                "retweet_count": counters["shares"],
                "reply_count": counters["replies"],
                "like_count": counters["likes"],
                "quote_count": counters["quotes"],
                "impression_count": counters["views"],
            },
        }
        if posting.share_of is not None:
            text, tags, links = self._cut_copy(posting)
            entities = _entities(tags, links)
        else:
            text = written_text(posting, version)
            entities = _entities(wording.tags, wording.links)
            urls = entities.setdefault("urls", [])
            for picture in posting.pictures:
                short = short_link(picture.name)
                urls.append(
                    {
                        "url": short,
                        "expanded_url": f"https://x.com/i/status/{wording.post_id}/photo/1",
                        "display_url": f"pic.x.com/{short[-10:]}",
                        "media_key": media_key(picture),
                    }
                )
            if posting.quote_of is not None:
                (_, quoted, of_version) = next(r for r in _references(posting) if r[0] == "quoted")
                link = f"https://x.com/i/status/{quoted.wordings[of_version].post_id}"
                urls.append({"url": short_link(link), "expanded_url": link})
            if not urls:
                del entities["urls"]
            if posting.pictures:
                keys = [media_key(picture) for picture in posting.pictures]
                made["attachments"] = {"media_keys": keys}
        if len(text) > 280:
            made["note_tweet"] = {"text": escaped(text), "entities": entities}
            text, entities = text[:270] + "…", {}
        made["text"] = escaped(text)
        if entities:
            made["entities"] = entities
        references = [
            {"type": kind, "id": other.wordings[of_version].post_id}
            for kind, other, of_version in _references(posting)
        ]
        if references:
            made["referenced_tweets"] = references
        return made

    def _cut_copy(self, share: Posting) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
        """What a share itself carries: the beginning, and the tags and links that are whole."""
        original, version = share.root, share.root.wording_at(share.posted_at)
        wording = original.wordings[version]
        handle = original.author.handle_at(self._moment.at)
        text = f"RT @{handle}: {written_text(original, version)}"
        if len(text) > SHARE_CHARACTERS:
            text = text[: SHARE_CHARACTERS - 1] + "…"
        whole = set(text.split())
        tags = tuple(tag for tag in wording.tags if f"#{tag}" in whole)
        links = tuple(link for link in wording.links if short_link(link) in whole)
        return text, tags, links

    def _sighting(self, posting: Posting, version: int, source: str, *, is_data: bool) -> Sighting:
        moment, wording = self._moment, posting.wordings[version]
        counters: dict[str, Any] = dict(self._counters(posting))
        counters["views"] = counters["views"] or None  # X gives 0 where it does not know
        refers: dict[str, str] = {}
        for kind, other, of_version in _references(posting):
            wanted = other.wordings[of_version].post_id
            refers[kind] = self._first_ids.get(wanted, wanted)
        shared = refers.get("retweeted")
        if posting.share_of is not None:
            of_version = posting.share_of.wording_at(posting.posted_at)
            if (posting.share_of, of_version) in self._included:
                words = self._words(posting.share_of, of_version)
            else:
                text, tags, links = self._cut_copy(posting)
                text = text.partition(": ")[2]
                words = Words(text, posting.root.wordings[0].lang or "und", tags, links)
            completeness = COPY_IN_SHARE
        else:
            words = self._words(posting, version)
            newest = len(_history(posting, moment.at)) - 1
            completeness = WHOLE if version >= newest else CUT
        return Sighting(
            platform=PLATFORM,
            post_id=self._first_ids.get(wording.post_id, wording.post_id),
            posted_at=float(posting.posted_at),
            root_id=shared or self._first_ids.get(wording.post_id, wording.post_id),
            kind=posting.kind,
            words=words,
            completeness=completeness,
            source=source,
            payload=self._payload(posting, version),
            author=self._profile(posting.author),
            share_of=shared,
            reply_to=None if shared else refers.get("replied_to"),
            quote_of=None if shared else refers.get("quoted"),
            observed_at=moment.observed_at,
            seen_as="collected" if is_data else "embedded",
            **counters,
        )

    def _words(self, posting: Posting, version: int) -> Words:
        wording = posting.wordings[version]
        media: tuple[tuple[str, str, str | None], ...] = ()
        if not self._is_bare:
            media = tuple((address(p), "image", p.alt_text) for p in posting.pictures)
        return Words(
            written_text(posting, version),
            wording.lang or "und",
            tuple(dict.fromkeys(wording.tags)),
            wording.links,
            media,
        )

    def _payload(self, posting: Posting, version: int) -> bytes:
        """Stands for the record that is kept: the post with its author, media and collection."""
        parts: list[object] = [self._object(posting, version)]
        if not self._is_bare:
            parts += [self._user(posting.author), [_media(p) for p in posting.pictures]]
        parts.append(self._moment.observed_at if self._moment.is_told else None)
        return blake2b(msgspec.json.encode(parts), digest_size=12).digest()


def _references(posting: Posting) -> list[tuple[str, Posting, int]]:
    """(kind, posting, which of its versions stood when it was referred to)."""
    named = (
        ("retweeted", posting.share_of),
        ("quoted", posting.quote_of),
        ("replied_to", posting.reply_to),
    )
    return [
        (kind, other, other.wording_at(posting.posted_at))
        for kind, other in named
        if other is not None
    ]


def _history(posting: Posting, at: float) -> list[str]:
    return [w.post_id for i, w in enumerate(posting.wordings) if i == 0 or w.since <= at]


def written_text(posting: Posting, version: int) -> str:
    """As X keeps it: links are short, pictures and quoted posts are links at the end."""
    wording = posting.wordings[version]
    text = wording.text
    for link in wording.links:
        text = text.replace(link, short_link(link))
    ends = [short_link(picture.name) for picture in posting.pictures]
    if posting.quote_of is not None:
        quoted = posting.quote_of
        quoted_id = quoted.wordings[quoted.wording_at(posting.posted_at)].post_id
        ends.append(short_link(f"https://x.com/i/status/{quoted_id}"))
    return " ".join([text, *ends])


def _entities(tags: Iterable[str], links: Iterable[str]) -> Json:
    entities: Json = {}
    if tags:
        entities["hashtags"] = [{"tag": tag} for tag in tags]
    urls = [{"url": short_link(link), "expanded_url": link} for link in links]
    if urls:
        entities["urls"] = urls
    return entities


def _media(picture: Picture) -> Json:
    made = {"media_key": media_key(picture), "type": "photo", "url": address(picture)}
    return made | ({"alt_text": picture.alt_text} if picture.alt_text else {})


def media_key(picture: Picture) -> str:
    """The key by which posts name their media."""
    return "3_" + picture.name.partition(".")[0].rpartition("_")[2]


def address(picture: Picture) -> str:
    """Where X has the picture; the last part of the path is the file beside the posts."""
    return MEDIA_HOST + picture.name


def short_link(link: str) -> str:
    """As X shortens links: the same link, the same short one.

    >>> short_link("https://eldwick-herald.example/2026/001")
    'https://t.co/hsZetTS9Rm'
    """
    letters = "abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ0123456789"
    digest = blake2b(link.encode(), digest_size=10).digest()
    return "https://t.co/" + "".join(letters[byte % len(letters)] for byte in digest)


def escaped(text: str) -> str:
    """X writes three characters as entities."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def iso(moment: float) -> str:
    """A time as X writes it, to the second."""
    return f"{datetime.fromtimestamp(int(moment), UTC):%Y-%m-%dT%H:%M:%S}.000Z"


def snowflake_iso(post_id: str) -> str:
    """The moment inside an id, to the millisecond, as compliance results give it."""
    ms = (int(post_id) >> 22) + 1_288_834_974_657
    return f"{datetime.fromtimestamp(ms // 1000, UTC):%Y-%m-%dT%H:%M:%S}.{ms % 1000:03d}Z"
