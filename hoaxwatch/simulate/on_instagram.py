"""The invented world as Instagram's Graph API gives it: hashtag pages, top media, accounts.

Found by hashtag, a post names no author; an account that is asked for does. Addresses of pictures
are signed anew for each answer. Like counts of some posts are hidden.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any
from unicodedata import normalize

import msgspec

from hoaxwatch.simulate.cascades import DAY, HOUR
from hoaxwatch.simulate.outbox import Outbox, OutFile
from hoaxwatch.simulate.people import Account
from hoaxwatch.simulate.postings import Picture, Posting
from hoaxwatch.simulate.sightings import UNKNOWN_TIME, WHOLE, Profile, Sighting, Words
from hoaxwatch.simulate.words import TOPICS
from hoaxwatch.simulate.world import START, World

FORMAT = "instagram_graph"
PLATFORM = "instagram"
PAGE_POSTS = 50
MEDIA_HOST = "https://scontent.media.example/v/"

Json = dict[str, Any]


def collect(world: World, outbox: Outbox) -> None:
    """Writes everything that was collected of Instagram."""
    _Collector(world, outbox).run()


class _Collector:
    def __init__(self, world: World, outbox: Outbox) -> None:
        self._world, self._outbox = world, outbox
        self._chance = random.Random(f"{world.seed}/collecting instagram")
        self._postings = [p for p in world.postings if p.platform == PLATFORM]

    def run(self) -> None:
        """Each hashtag is asked for once a day and gives what is not older than a day."""
        last_week = (self._world.n_days - 1) // 7
        topics = dict.fromkeys(posting.topic for posting in self._postings)
        for topic in topics:
            tag = TOPICS[topic].tags[0]
            tagged = [p for p in self._postings if _has_tag(p, tag)]
            for day in range(self._world.n_days):
                first = START + day * DAY
                at = first + DAY + 0.5 * HOUR
                of_day = [p for p in tagged if first <= p.posted_at < first + DAY]
                week = START + day // 7 * 7 * DAY
                if not any(week <= p.posted_at < week + 7 * DAY for p in tagged):
                    continue  # a file of empty pages does not tell what it is
                file = self._outbox.file(f"ig_{topic}_week{day // 7 + 1}.jsonl", FORMAT)
                self._pages(file, of_day, at)
        for week in range(last_week + 1):
            first = START + week * 7 * DAY
            of_week = [p for p in self._postings if first <= p.posted_at < first + 7 * DAY]
            at = min(first + 7 * DAY, self._world.end) + HOUR
            liked = sorted(of_week, key=lambda p: (-p.likes_at(at), p.post_id))[:40]
            tagged = [p for p in liked if p.wordings[0].tags]
            # this collector does not note when it asked
            self._pages(
                self._outbox.file(f"ig_top_week{week + 1}.jsonl", FORMAT), tagged, at, False
            )
        self._accounts(self._world.end + HOUR)

    def _pages(
        self, file: OutFile, postings: Sequence[Posting], at: float, is_told: bool = True
    ) -> None:
        for i in range(0, max(1, len(postings)), PAGE_POSTS):
            told_at = at + 3 * (i // PAGE_POSTS) if is_told else None
            shown = list(reversed(postings[i : i + PAGE_POSTS]))
            moment = at if told_at is None else told_at
            page: Json = {"data": [_media_object(posting, moment, told_at) for posting in shown]}
            if shown:
                page["paging"] = {"cursors": {"after": "QVFI"}}
            if told_at is not None:
                page["retrieved_at"] = _iso(told_at)
            file.write_json(page)
            file.saw(_sighting(p, moment, told_at, None, file.source) for p in shown)
            if not shown:
                file.saw_other("not_post")

    def _accounts(self, at: float) -> None:
        """Accounts that are asked for by name: newsrooms, and those who post without hashtags."""
        untagged = {p.author for p in self._postings if not p.wordings[0].tags}
        file = self._outbox.file("ig_accounts.json", FORMAT)
        answers: list[Json] = []
        asked = [
            account
            for account in self._world.accounts[PLATFORM]
            if account in untagged or account.role == "newsroom"
        ]
        for number, account in enumerate(asked):
            told_at = at + number
            theirs = [p for p in reversed(self._postings) if p.author is account]
            answers.append(
                {
                    "business_discovery": _account_object(account, told_at)
                    | {"media": {"data": [_media_object(p, told_at, told_at) for p in theirs]}},
                    "retrieved_at": _iso(told_at),
                }
            )
            file.saw(_sighting(p, told_at, told_at, account, file.source) for p in theirs)
            file.saw_other("not_post", 1 if theirs else 2)
        # one document over many lines, as an editor lays it out
        file.write(msgspec.json.format(msgspec.json.encode(answers), indent=2))


def _has_tag(posting: Posting, tag: str) -> bool:
    wanted = normalize("NFKC", tag).casefold()
    return any(normalize("NFKC", w).casefold() == wanted for w in posting.wordings[0].tags)


def _media_object(posting: Posting, at: float, told_at: float | None) -> Json:
    pictures = [
        {
            "id": f"{posting.post_id}{i}",
            "media_type": "IMAGE",
            "media_url": address(picture, told_at),
        }
        for i, picture in enumerate(posting.pictures)
    ]
    made: Json = {
        "id": str(17_800_000_000_000_000 + posting.number * 997),
        "permalink": f"https://www.instagram.com/p/{posting.post_id}/",
        "timestamp": f"{datetime.fromtimestamp(posting.posted_at, UTC):%Y-%m-%dT%H:%M:%S}+0000",
        "comments_count": posting.replies_at(at),
    }
    if posting.wordings[0].text:
        made["caption"] = posting.wordings[0].text
    if not _hides_likes(posting):
        made["like_count"] = posting.likes_at(at)
    if len(pictures) == 1:
        made |= {"media_type": "IMAGE", "media_url": pictures[0]["media_url"]}
    else:
        made |= {"media_type": "CAROUSEL_ALBUM", "children": {"data": pictures}}
    return made


def _account_object(account: Account, at: float) -> Json:
    return {
        "id": account.account_id,
        "username": account.handle_at(at),
        "name": account.name,
        "followers_count": account.followers_at(at, START),
        "follows_count": account.following,
        "media_count": account.n_posts_at(at),
    }


def _sighting(
    posting: Posting, at: float, told_at: float | None, account: Account | None, source: str
) -> Sighting:
    wording = posting.wordings[0]
    record = [_media_object(posting, at, told_at), told_at]
    profile = None
    if account is not None:
        record.append(_account_object(account, at))
        profile = Profile(
            author_id=account.account_id,
            handle=account.handle_at(at),
            name=account.name,
            followers=account.followers_at(at, START),
            following=account.following,
            n_posts=account.n_posts_at(at),
        )
    return Sighting(
        platform=PLATFORM,
        post_id=posting.post_id,
        posted_at=float(posting.posted_at),
        root_id=posting.post_id,
        kind="original",
        words=Words(
            wording.text,
            None,
            wording.tags,
            (),
            tuple((address(picture, told_at), "image", None) for picture in posting.pictures),
        ),
        completeness=WHOLE,
        source=source,
        payload=blake2b(msgspec.json.encode(record), digest_size=12).digest(),
        author=profile,
        likes=None if _hides_likes(posting) else posting.likes_at(at),
        replies=posting.replies_at(at),
        observed_at=UNKNOWN_TIME if told_at is None else told_at,
    )


def address(picture: Picture, told_at: float | None) -> str:
    """Where Instagram has the picture, for a while; the last part of the path is the file beside
    the posts."""
    signature = "0" if told_at is None else f"{int(told_at):x}"
    return f"{MEDIA_HOST}{picture.name}?oe={signature}"


def _hides_likes(posting: Posting) -> bool:
    return posting.number % 12 == 0


def _iso(moment: float) -> str:
    return f"{datetime.fromtimestamp(int(moment), UTC):%Y-%m-%dT%H:%M:%S}+00:00"
