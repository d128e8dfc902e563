"""Numbered posts without end, for load tests: as many as wanted, at constant memory.

    numbers = Numbered(seed=1)
    numbers.post(123_456)              # any post, by its number alone
    for line in numbers.lines(10**7):  # X v2, one flattened tweet per line
    for row in numbers.trends(10**7):  # what hashtag_trends must hold, bucket by bucket

Post i is a pure function of the seed and i. Every 20 numbers make a block: 4 originals, then 16
shares of originals of this block or of the three before it. PER_DAY posts fall on each day of event
time, so more posts last longer and nothing that is kept grows. One post in fifty is late: its time
is up to LATE_SECONDS before that of its neighbours.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from hoaxwatch.simulate.cascades import DAY, HOUR
from hoaxwatch.simulate.postings import Label
from hoaxwatch.simulate.world import START

PER_DAY = 20_000
BLOCK, ORIGINALS = 20, 4
LATE_SECONDS = 2 * HOUR
N_ACCOUNTS, N_COMMUNITIES = 5_000, 25
N_TAGS = 200

_MASK = (1 << 64) - 1
_SUBJECTS = ("the tap water", "the flu jab", "the new mast", "the ballot", "the storm", "the fair")
_FALSE = ("was poisoned on purpose", "is a secret test", "makes people obey", "never existed")
_CALM = ("is on the agenda today", "was checked again", "brought many people out", "is back")
_EPOCH_MS = 1_288_834_974_657
_ACCOUNT_ID = 7_000_000


@dataclass(frozen=True, slots=True)
class NumberedPost:
    """One post. `root` is its own number, or of a share that of the original."""

    number: int
    post_id: str
    posted_at: int
    author_id: str
    root: int
    root_id: str
    text: str
    tags: tuple[str, ...]
    label: Label

    @property
    def is_share(self) -> bool:
        """Whether it shares another."""
        return self.root != self.number


@dataclass(frozen=True, slots=True)
class TrendRow:
    """One bucket of one hashtag, as the table must hold it (without verdicts)."""

    hashtag: str
    grain: str
    bucket_start: int
    posts: int
    originals: int
    shares: int
    authors: int
    first_seen_at: int
    last_seen_at: int


class Numbered:
    """The posts of a seed."""

    def __init__(self, seed: int = 1) -> None:
        self._seed = _mixed(seed * 0x9E3779B97F4A7C15)

    def post(self, number: int) -> NumberedPost:
        """The post of that number, whatever was asked before. Cost: about 10 microseconds.

        >>> posts = Numbered(seed=1)
        >>> posts.post(7).is_share, posts.post(7) == Numbered(seed=1).post(7)
        (True, True)
        """
        block, place = divmod(number, BLOCK)
        if place < ORIGINALS:
            return self._original(number)
        drawn = self._draw(number, 1)
        back = min(block, drawn % 8) if drawn % 8 < 4 else 0
        root = (block - back) * BLOCK + (drawn >> 8) % ORIGINALS
        original = self._original(root)
        posted_at = max(self._moment(number), original.posted_at + 1)
        community = (int(original.author_id) - _ACCOUNT_ID) % N_COMMUNITIES
        account = (drawn >> 16) % N_ACCOUNTS
        if drawn >> 60:  # 15 of 16 share within their community
            account = account - account % N_COMMUNITIES + community
        return NumberedPost(
            number=number,
            post_id=_post_id(number, posted_at),
            posted_at=posted_at,
            author_id=str(_ACCOUNT_ID + account),
            root=root,
            root_id=original.post_id,
            text=f"RT @account_{original.author_id}: {original.text}"[:140],
            tags=original.tags,
            label=original.label,
        )

    def line(self, number: int) -> bytes:
        """The post as X gives it: a flattened tweet, as JSON."""
        return as_line(self.post(number))

    def lines(self, n_posts: int, first: int = 0) -> Iterator[bytes]:
        """Posts first, first + 1, ... as lines without their ends."""
        return map(self.line, range(first, first + n_posts))

    def trends(self, n_posts: int) -> Iterator[TrendRow]:
        """What hashtag_trends must hold after posts 0 to n_posts - 1: each bucket when no later
        post can fall into it. Memory: the buckets of a bit more than a day."""
        tally = TrendTally()
        for number in range(n_posts):
            yield from tally.add(self.post(number))
        yield from tally.close()

    def _original(self, number: int) -> NumberedPost:
        drawn = self._draw(number, 2)
        posted_at = self._moment(number)
        # the square makes low numbers frequent
        tags = {_tag((drawn >> 8) % N_TAGS * ((drawn >> 20) % N_TAGS) // N_TAGS)}
        if drawn % 3 == 0:
            tags.add(_tag((drawn >> 32) % N_TAGS))
        is_false = (drawn >> 44) % 5 == 0
        says = _FALSE if is_false else _CALM
        written = tuple(sorted(tags))
        subject = _SUBJECTS[(drawn >> 48) % len(_SUBJECTS)]
        text = f"Post {number}: {subject} {says[(drawn >> 52) % len(says)]}"
        return NumberedPost(
            number=number,
            post_id=_post_id(number, posted_at),
            posted_at=posted_at,
            author_id=str(_ACCOUNT_ID + (drawn >> 12) % N_ACCOUNTS),
            root=number,
            root_id=_post_id(number, posted_at),
            text=" ".join([text, *(f"#{tag}" for tag in written)]),
            tags=written,
            label="likely_false" if is_false else "likely_true",
        )

    def _moment(self, number: int) -> int:
        drawn = self._draw(number, 3)
        late = (drawn >> 8) % LATE_SECONDS if drawn % 50 == 0 else 0
        return _neighbours_at(number) - late

    def _draw(self, number: int, what: int) -> int:
        """64 bits that depend on the seed, the number and what they are for."""
        return _mixed(self._seed + number * 0x9E3779B97F4A7C15 + what * 0xD1B54A32D192ED03)


def as_line(post: NumberedPost) -> bytes:
    """The post as X gives it: a flattened tweet, as JSON."""
    tweet: dict[str, Any] = {
        "id": post.post_id,
        "author_id": post.author_id,
        "created_at": f"{datetime.fromtimestamp(post.posted_at, UTC):%Y-%m-%dT%H:%M:%S}.000Z",
        "lang": "en",
        "text": post.text,
        "author": {"id": post.author_id, "username": f"account_{post.author_id}"},
        "public_metrics": {"retweet_count": 0, "like_count": post.number % 7, "reply_count": 0},
    }
    if post.is_share:
        tweet["referenced_tweets"] = [{"type": "retweeted", "id": post.root_id}]
    else:
        tweet["entities"] = {"hashtags": [{"tag": tag} for tag in post.tags]}
    return msgspec.json.encode(tweet)


class TrendTally:
    """Counts posts in the order of their numbers; gives each bucket once, when it is complete."""

    def __init__(self) -> None:
        self._open: dict[tuple[int, str, str], _Bucket] = defaultdict(_Bucket)
        self._hour = 0

    def add(self, post: NumberedPost) -> list[TrendRow]:
        """Counts a post; returns the buckets into which no later one can fall."""
        for tag in post.tags:
            for grain, length in (("hour", HOUR), ("day", DAY)):
                self._open[post.posted_at // length * length, tag, grain].add(post)
        over = _neighbours_at(post.number) - LATE_SECONDS
        if over // HOUR == self._hour:
            return []
        self._hour = over // HOUR
        return self._take(over)

    def close(self) -> list[TrendRow]:
        """The buckets that are left after the last post."""
        return self._take(float("inf"))

    def _take(self, until: float) -> list[TrendRow]:
        lengths = {"hour": HOUR, "day": DAY}
        complete = sorted(key for key in self._open if key[0] + lengths[key[2]] <= until)
        return [self._open.pop(key).row(*key) for key in complete]


class _Bucket:
    __slots__ = ("authors", "first", "last", "n_posts", "n_shares")

    def __init__(self) -> None:
        self.n_posts = self.n_shares = 0
        self.authors: set[str] = set()
        self.first, self.last = 1 << 62, 0

    def add(self, post: NumberedPost) -> None:
        self.n_posts += 1
        self.n_shares += post.is_share
        self.authors.add(post.author_id)
        self.first = min(self.first, post.posted_at)
        self.last = max(self.last, post.posted_at)

    def row(self, start: int, tag: str, grain: str) -> TrendRow:
        return TrendRow(
            hashtag=tag,
            grain=grain,
            bucket_start=start,
            posts=self.n_posts,
            originals=self.n_posts - self.n_shares,
            shares=self.n_shares,
            authors=len(self.authors),
            first_seen_at=self.first,
            last_seen_at=self.last,
        )


def number_of(post_id: str) -> int:
    """The number of a post, by its id: to see which ones are missing.

    >>> number_of(Numbered(seed=1).post(12_345_678).post_id)
    12345678
    """
    ms = (int(post_id) >> 22) + _EPOCH_MS
    return ms % 1000 << 22 | int(post_id) & 0x3FFFFF


def _neighbours_at(number: int) -> int:
    return START + number * DAY // PER_DAY


def _tag(number: int) -> str:
    return f"stress{number:03d}"


def _post_id(number: int, posted_at: int) -> str:
    """The moment in the upper bits, the number in the lower: no two are alike."""
    ms = posted_at * 1000 + (number >> 22)
    return str((ms - _EPOCH_MS) << 22 | number & 0x3FFFFF)


def _mixed(value: int) -> int:
    """The finaliser of splitmix64 (Steele, Lea, Flood, OOPSLA 2014)."""
    value &= _MASK
    value = ((value ^ value >> 30) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ value >> 27) * 0x94D049BB133111EB) & _MASK
    return value ^ value >> 31
