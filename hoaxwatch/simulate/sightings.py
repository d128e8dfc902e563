"""What a collection saw of a posting, and what is known after all collections. Plain dictionaries.

This is one half of the oracle (`truth` is the other): it says in a few lines of Python what the
tables must hold, and shares no code with what it checks. Rules, as the tables' comments state them:

- of all sightings of a post the one with the greatest (completeness, observed_at) stands;
- a counter, and each field of a profile, is the latest one that is known, then the greatest;
- a share's words are its original's; what a content says is the best sighting of all its posts;
- what was deleted leaves nothing: neither the post, nor what only it told about its author and
  content, nor shares of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

WHOLE, CUT, COPY_IN_SHARE = 2, 1, 0
COUNTERS = ("likes", "shares", "replies", "quotes", "views")
PROFILE = ("handle", "name", "followers", "following", "n_posts", "verified")

#: platform, id
Key = tuple[str, str]
#: (when it was seen, what was seen); no time is before every time
Seen = tuple[float, int | str]
UNKNOWN_TIME = float("-inf")


@dataclass(frozen=True, slots=True)
class Profile:
    """An account as a collection saw it. Unknown is None."""

    author_id: str
    handle: str | None = None
    name: str | None = None
    followers: int | None = None
    following: int | None = None
    n_posts: int | None = None
    verified: bool | None = None
    created_at: float | None = None


@dataclass(frozen=True, slots=True)
class Words:
    """What a post says: text, language, hashtags as written, links, (address, kind, alt text)."""

    text: str
    lang: str | None = None
    tags: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    media: tuple[tuple[str, str, str | None], ...] = ()


@dataclass(frozen=True, slots=True)
class Sighting:
    """One record of one post in one file. Times are seconds since 1970 UTC."""

    platform: str
    post_id: str
    posted_at: float
    root_id: str
    kind: str
    words: Words
    completeness: int
    source: str
    #: Stands for the raw record: equal ones are stored once.
    payload: object
    author: Profile | None = None
    share_of: str | None = None
    shared_via: str | None = None
    reply_to: str | None = None
    quote_of: str | None = None
    likes: int | None = None
    shares: int | None = None
    replies: int | None = None
    quotes: int | None = None
    views: int | None = None
    observed_at: float = UNKNOWN_TIME
    seen_as: Literal["collected", "embedded"] = "collected"

    @property
    def key(self) -> Key:
        """Which post."""
        return self.platform, self.post_id

    @property
    def rank(self) -> tuple[int, float]:
        """The greatest stands."""
        return self.completeness, self.observed_at

    @property
    def facts(self) -> tuple[object, ...]:
        """What a post's row takes from the sighting that stands."""
        return (
            *(self.posted_at, self.root_id, self.kind),
            *(self.share_of, self.shared_via, self.reply_to, self.quote_of),
        )


class AmbiguousWorld(AssertionError):
    """Two sightings of the greatest rank differ: no plain rule says which stands. Our fault."""


@dataclass(slots=True)
class Standing:
    """The sighting of the greatest rank, and others of that rank that say something else."""

    seen: Sighting
    rivals: list[Sighting] = field(default_factory=list)

    def add(self, seen: Sighting, is_rival: bool) -> None:
        """Takes over one more sighting; a rival says something else than the one that stands."""
        if seen.rank > self.seen.rank:
            self.seen, self.rivals = seen, []
        elif seen.rank == self.seen.rank and is_rival:
            self.rivals.append(seen)

    def settled(self) -> Sighting:
        """The sighting that stands. Raises AmbiguousWorld."""
        if self.rivals:
            raise AmbiguousWorld(f"{self.seen} and {self.rivals[0]}")
        return self.seen


@dataclass(slots=True)
class Known:
    """What all sightings of one post say together."""

    standing: Standing
    seen_as: str
    sources: set[str] = field(default_factory=set)
    #: raw record -> the first of its sources, in order of names
    payloads: dict[object, str] = field(default_factory=dict)
    counters: dict[str, Seen] = field(default_factory=dict)
    author_ids: set[str] = field(default_factory=set)
    profile: dict[str, Seen] = field(default_factory=dict)
    created_at: float | None = None
    #: content -> the best sighting of its words by way of this post
    words: dict[str, Standing] = field(default_factory=dict)

    @property
    def best(self) -> Sighting:
        """The sighting that stands."""
        return self.standing.settled()

    def add(self, seen: Sighting) -> None:
        """Takes over one more sighting of the same post."""
        self.standing.add(seen, seen.facts != self.standing.seen.facts)
        self.seen_as = min(self.seen_as, seen.seen_as)
        self.sources.add(seen.source)
        held = self.payloads.setdefault(seen.payload, seen.source)
        self.payloads[seen.payload] = min(held, seen.source)
        for name in COUNTERS:
            keep_latest(self.counters, name, (seen.observed_at, getattr(seen, name)))
        if seen.author is not None:
            self.author_ids.add(seen.author.author_id)
            for name in PROFILE:
                keep_latest(self.profile, name, (seen.observed_at, getattr(seen.author, name)))
            made = seen.author.created_at
            if made is not None and (self.created_at is None or made > self.created_at):
                self.created_at = made
        keep_words(self.words, seen.root_id, seen)


def keep_words(into: dict[str, Standing], name: str, seen: Sighting) -> None:
    """Keeps the sighting whose words stand."""
    held = into.get(name)
    if held is None:
        into[name] = Standing(seen)
    else:
        held.add(seen, seen.words != held.seen.words)


def keep_latest(into: dict[str, Seen], name: str, seen: tuple[float, int | str | None]) -> None:
    """Keeps the later of what is there and what was seen, then the greater; unknown changes
    nothing.

    >>> held = {"likes": (5.0, 7)}
    >>> keep_latest(held, "likes", (6.0, None)); keep_latest(held, "likes", (6.0, 3)); held
    {'likes': (6.0, 3)}
    """
    moment, value = seen
    if value is None:
        return
    held = into.get(name)
    if held is None or (moment, value) > held:
        into[name] = (moment, value)


@dataclass
class Deletions:
    """What platforms say must go: id -> the least reason and the earliest moment given."""

    posts: dict[Key, tuple[str | None, float | None]] = field(default_factory=dict)
    authors: dict[Key, tuple[str | None, float | None]] = field(default_factory=dict)

    def add(
        self,
        kind: Literal["post", "author"],
        key: Key,
        reason: str | None,
        deleted_at: float | None,
    ) -> None:
        """One notice; of several about the same the least of each value that is known."""
        of_kind = self.posts if kind == "post" else self.authors
        old_reason, old_at = of_kind.get(key, (None, None))
        reasons = [r for r in (reason, old_reason) if r is not None]
        moments = [m for m in (deleted_at, old_at) if m is not None]
        of_kind[key] = min(reasons, default=None), min(moments, default=None)


class Ledger:
    """Everything that was seen, whatever the order in which it is told."""

    def __init__(self) -> None:
        self.posts: dict[Key, Known] = {}
        self.deletions = Deletions()

    def add(self, sightings: Iterable[Sighting]) -> None:
        """Takes over sightings."""
        for seen in sightings:
            known = self.posts.get(seen.key)
            if known is None:
                known = self.posts[seen.key] = Known(Standing(seen), seen.seen_as)
            known.add(seen)

    def deleted_posts(self) -> set[Key]:
        """Posts that must not be there: deleted, by a deleted account, or shares of such a post."""
        gone = set(self.deletions.posts)
        for key, known in self.posts.items():
            if any((key[0], name) in self.deletions.authors for name in known.author_ids):
                gone.add(key)
        return gone | {
            key
            for key, known in self.posts.items()
            if any((key[0], root) in gone for root in known.words)
        }

    def living(self) -> Iterator[tuple[Key, Known]]:
        """Posts that must be there."""
        gone = self.deleted_posts()
        return ((key, known) for key, known in self.posts.items() if key not in gone)
