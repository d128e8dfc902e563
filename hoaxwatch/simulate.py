"""A small invented world of posts, for the demo and for trying things out. Seeded.

Five days of tweets about made-up matters in a made-up city: communities of accounts that mostly
share within themselves, a hashtag that rises because of one false rumour pushed by a few accounts,
calm hashtags beside it, replies, posts in other languages, emoji-only posts, duplicates with later
counters, and a broken line. The words are ours and never enter training or thresholds.
"""

from __future__ import annotations

import csv
import json
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

START = datetime(2026, 3, 2, tzinfo=UTC)
N_DAYS = 5

_CALM = {
    "HarbourFair": [
        "The harbour fair opens at ten, ferries run every twenty minutes until midnight",
        "Great turnout at the harbour fair, the brass band played for two hours",
        "City council confirms road closures around the harbour fair on Saturday",
        "Lost child reunited with her parents at the harbour fair information desk",
        "Weather office expects light rain on Sunday, bring a coat to the harbour fair",
    ],
    "LibraryWeek": [
        "The central library extends its opening hours to nine in the evening this week",
        "Volunteers read to children in eleven branches for library week",
        "Library week: the reading room has new desks and better light",
        "Council report: library loans rose by four percent last year",
    ],
    "TramLine7": [
        "Tram line 7 is delayed by twelve minutes because of a signal repair",
        "New low-floor trams on line 7 from Monday, says the transport authority",
        "Works on tram line 7 finish two weeks early according to the city",
    ],
}
_RUMOUR_TAG = "WaterTruth"
_RUMOUR = [
    "They are putting secret chemicals in our tap water and the mainstream media is hiding it",
    "EXPOSED: doctors admit the tap water causes the vaccine disease, share before it is gone",
    "The virus is a hoax made up by big pharma to poison the water, wake up people",
    "Drinking bleach cures what they put into the water, the government does not want you to know",
    "Leaked document proves the mayor was paid by Bill Gates to put microchips in the water",
]
_DENIAL = [
    "The health office tested the tap water at forty places and found nothing unusual",
    "No, there are no microchips in the tap water. Here is the laboratory report of the city",
]
_OTHER_LANGUAGE = [
    ("de", "Das Wasser in der Stadt ist in Ordnung, sagt das Amt für Gesundheit heute Morgen"),
    ("es", "La feria del puerto abre a las diez de la mañana y hay muchos barcos"),
]


@dataclass
class _Account:
    number: int
    community: int
    followers: int

    @property
    def author_id(self) -> str:
        return f"90{self.number:06d}"

    @property
    def handle(self) -> str:
        return f"citizen_{self.number:04d}"


@dataclass
class _Tweet:
    post_id: str
    posted_at: datetime
    author: _Account
    text: str
    lang: str
    hashtags: list[str]
    retweet_of: _Tweet | None = None
    reply_to: _Tweet | None = None
    n_shares: int = 0
    likes: int = 0
    topic: str = ""


@dataclass
class World:
    """Everything that happened, in order of time."""

    tweets: list[_Tweet] = field(default_factory=list)


def make_world(seed: int = 1, n_accounts: int = 600, n_originals: int = 700) -> World:
    """The same world for the same arguments.

    >>> world = make_world(seed=1, n_accounts=50, n_originals=40)
    >>> world.tweets == make_world(seed=1, n_accounts=50, n_originals=40).tweets
    True
    """
    chance = random.Random(seed)
    accounts = [
        _Account(i, chance.randrange(4), int(math.exp(chance.gauss(4.5, 1.4))))
        for i in range(n_accounts)
    ]
    pushers = accounts[: max(3, n_accounts // 60)]
    tweets: list[_Tweet] = []
    for _ in range(n_originals):
        topic = chance.choices([*_CALM, _RUMOUR_TAG, ""], [30, 20, 15, 15, 20])[0]
        tweets += _cascade(chance, accounts, pushers, topic)
    tweets.sort(key=lambda tweet: (tweet.posted_at, tweet.author.number, tweet.text))
    # ids in order of time, as platforms give them
    for place, tweet in enumerate(tweets):
        tweet.post_id = str(2028000000000000000 + place)
    return World(tweets)


def _cascade(
    chance: random.Random, accounts: list[_Account], pushers: list[_Account], topic: str
) -> Iterator[_Tweet]:
    is_rumour = topic == _RUMOUR_TAG and chance.random() < 0.8
    author = chance.choice(pushers if is_rumour and chance.random() < 0.6 else accounts)
    day = min(chance.expovariate(1) if is_rumour else chance.uniform(0, N_DAYS), N_DAYS - 0.2)
    start = N_DAYS - 0.2 - day if is_rumour else day  # the rumour rises towards the end
    original = _Tweet(
        post_id="",
        posted_at=_daytime(chance, START + timedelta(days=start)),
        author=author,
        text="",
        lang="en",
        hashtags=[topic] if topic else [],
        topic=topic,
    )
    if is_rumour:
        original.text = chance.choice(_RUMOUR)
        if chance.random() < 0.4:
            original.hashtags.append("WakeUp")
    elif topic == _RUMOUR_TAG:
        original.text = chance.choice(_DENIAL)
    elif topic:
        original.text = chance.choice(_CALM[topic])
    elif chance.random() < 0.5:
        original.lang, original.text = chance.choice(_OTHER_LANGUAGE)
    else:
        original.lang, original.text = "und", "😂🎉" * chance.randint(1, 3)
    if chance.random() < 0.3 and topic:
        original.hashtags.append("CityNews")
    original.text += "".join(f" #{tag}" for tag in original.hashtags)
    yield original
    mean = 6.0 if is_rumour else 2.0
    for _ in range(min(60, int(chance.expovariate(1 / mean)))):
        near = [a for a in accounts if a.community == author.community]
        sharer = chance.choice(near if chance.random() < 0.85 else accounts)
        original.n_shares += 1
        original.likes += chance.randint(0, 5)
        yield _Tweet(
            post_id="",
            posted_at=original.posted_at + timedelta(minutes=5 * math.exp(chance.gauss(1.5, 1.3))),
            author=sharer,
            text=f"RT @{author.handle}: {original.text}"[:140],
            lang=original.lang,
            hashtags=[],
            retweet_of=original,
            topic=topic,
        )
    if chance.random() < 0.15:
        yield _Tweet(
            post_id="",
            posted_at=original.posted_at + timedelta(minutes=chance.randint(2, 300)),
            author=chance.choice(accounts),
            text=f"@{author.handle} is there a source for this claim?",
            lang="en",
            hashtags=[],
            reply_to=original,
            topic=topic,
        )


def _daytime(chance: random.Random, moment: datetime) -> datetime:
    """The same day, at an hour when people are awake."""
    hour = min(23.9, max(0.0, chance.gauss(15, 4.5)))
    return moment.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(
        seconds=int(hour * 3600)
    )


def write_samples(world: World, folder: Path) -> list[Path]:
    """Writes the world as files in the platforms' own formats: API pages, and a CSV of two days.

    The CSV overlaps the pages, with later counters, as repeated collections do.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pages = folder / "tweets.jsonl"
    with pages.open("w", encoding="utf-8") as out:
        for first in range(0, len(world.tweets), 100):
            page = _page(world.tweets[first : first + 100])
            out.write(json.dumps(page, ensure_ascii=False) + "\n")
        out.write('{"data": [{"id": "2028999", "text": "this line was cut off by a full di\n')
    table = folder / "collected_again.csv"
    late = [t for t in world.tweets if t.posted_at >= START + timedelta(days=N_DAYS - 2)]
    with table.open("w", encoding="utf-8", newline="") as out:
        rows = [_twitwi_row(tweet) for tweet in late]
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return [pages, table]


def _iso(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}.000Z"


def _page(tweets: list[_Tweet]) -> dict[str, Any]:
    data, users, included = [], {}, {}
    for tweet in tweets:
        data.append(_v2(tweet))
        users[tweet.author.number] = tweet.author
        for other in (tweet.retweet_of, tweet.reply_to):
            if other is not None:
                included[other.post_id] = other
                users[other.author.number] = other.author
    return {
        "data": data,
        "includes": {
            "users": [
                {
                    "id": account.author_id,
                    "username": account.handle,
                    "name": f"Citizen {account.number}",
                    "public_metrics": {"followers_count": account.followers},
                }
                for _, account in sorted(users.items())
            ],
            "tweets": [_v2(tweet) for _, tweet in sorted(included.items())],
        },
        "meta": {"result_count": len(data)},
        "__twarc": {"retrieved_at": _iso(START + timedelta(days=N_DAYS))},
    }


def _v2(tweet: _Tweet) -> dict[str, Any]:
    post: dict[str, Any] = {
        "id": tweet.post_id,
        "author_id": tweet.author.author_id,
        "created_at": _iso(tweet.posted_at),
        "text": tweet.text,
        "lang": tweet.lang,
        "public_metrics": {
            "retweet_count": tweet.n_shares,
            "like_count": tweet.likes,
            "reply_count": 0,
            "quote_count": 0,
        },
    }
    if tweet.hashtags:
        post["entities"] = {"hashtags": [{"tag": tag} for tag in tweet.hashtags]}
    referenced = [
        {"type": kind, "id": other.post_id}
        for kind, other in (("retweeted", tweet.retweet_of), ("replied_to", tweet.reply_to))
        if other is not None
    ]
    if referenced:
        post["referenced_tweets"] = referenced
    return post


def _twitwi_row(tweet: _Tweet) -> dict[str, object]:
    original = tweet.retweet_of
    return {
        "id": tweet.post_id,
        "timestamp_utc": int(tweet.posted_at.timestamp()),
        "user_screen_name": tweet.author.handle,
        "text": tweet.text,
        "retweet_count": tweet.n_shares,
        "like_count": tweet.likes + 1,
        "lang": tweet.lang,
        "to_tweetid": tweet.reply_to.post_id if tweet.reply_to else "",
        "user_id": tweet.author.author_id,
        "user_followers": tweet.author.followers,
        "match_query": 1,
        "retweeted_id": original.post_id if original else "",
        "retweeted_user": original.author.handle if original else "",
        "retweeted_user_id": original.author.author_id if original else "",
        "collection_time": f"{START + timedelta(days=N_DAYS, hours=6):%Y-%m-%dT%H:%M:%S}",
        "links": "",
        "hashtags": "|".join(tag.lower() for tag in tweet.hashtags),
    }
