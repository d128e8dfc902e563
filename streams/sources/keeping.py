"""Which readings of a source that gives everything are kept: tracked ones, and what follows.

Kept are posts with a tracked hashtag or of a tracked account, later versions and shares of kept
posts, deletions of kept posts and accounts, and what cannot be read but names a tracked hashtag or
a kept account. Events come out of order: what may follow a post that is not here yet waits for it
a few seconds.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from hashlib import blake2b

from storage.tracking import ACCOUNT, KEPT_IDS, Tracked
from streams.records import Deletion, Post, Problem, Reading, hashtag_key

#: How long a share or a deletion waits for its post (seconds of the source's time).
WAIT_SECONDS = 10.0
#: So many readings may wait; the oldest go first.
MOST_WAITING = 200_000


def id_hash(kind: str, platform: str, own_id: str) -> int:
    """8 bytes that name a post or an account.

    >>> id_hash("post", "x", "1") == id_hash("post", "x", "1") != id_hash("author", "x", "1")
    True
    """
    digest = blake2b(f"{kind}\0{platform}\0{own_id}".encode(errors="replace"), digest_size=8)
    return int.from_bytes(digest.digest(), signed=True)


class Keeping:
    """Tells what is kept, in the order in which it must be stored.

    `kept` are hashes of what was kept before. `got` counts kept posts per tracked hashtag;
    `n_unreadable` counts readings that could not be read and are not kept.
    """

    def __init__(self, hashtags: Sequence[Tracked], kept: Iterable[int] = ()) -> None:
        self.track(hashtags)
        self.got: Counter[str] = Counter()
        self.n_unreadable = 0
        self._kept = dict.fromkeys(kept)
        self._new: list[int] = []
        self._waiting: dict[int, list[Reading]] = {}
        self._since: deque[tuple[float, int]] = deque()

    def track(self, hashtags: Sequence[Tracked]) -> None:
        """From now on these."""
        self.rows = tuple(hashtags)
        self.hashtags = frozenset(row.hashtag for row in hashtags)

    def take(
        self, reading: Reading, at: float, account: str | None = None, *, is_change: bool = False
    ) -> list[Reading]:
        """What is kept now that this came: nothing, it, or it and what waited for it.

        `at` is the source's time (seconds), `account` who did it where the reading does not say;
        `is_change`: it is a later version of a post.
        """
        self._let_go(at)
        if isinstance(reading, Post):
            return self._take_post(reading, at, is_change)
        if isinstance(reading, Deletion):
            key = id_hash(reading.kind, reading.platform, reading.deleted_id)
            if key in self._kept:
                return [reading]
            if reading.kind == "post":
                self._wait(key, reading, at)
        elif isinstance(reading, Problem):
            if self._concerns(reading, account):
                return [reading]
            self.n_unreadable += 1
        return []

    def count(self, reading: Reading) -> None:
        """A reading that its source gave because it was asked for: nothing is left to decide."""
        if isinstance(reading, Post) and reading.seen_as == "collected":
            self.got.update(self._tags_of(reading))

    def take_new(self) -> tuple[int, ...]:
        """Hashes of what was kept since the last call."""
        new, self._new = tuple(self._new), []
        return new

    def _take_post(self, post: Post, at: float, is_change: bool) -> list[Reading]:
        tags = self._tags_of(post)
        root = id_hash("post", post.platform, post.share_of) if post.share_of else None
        own = id_hash("post", post.platform, post.post_id)
        if not (tags or own in self._kept or root in self._kept):
            if is_change:
                self._wait(own, post, at)
            elif root is not None:
                self._wait(root, post, at)
                for early in self._waiting.pop(own, ()):  # a deletion that came before the share
                    self._wait(root, early, at)
            return []
        self.got.update(tags)
        self._keep(own)
        if post.author is not None:
            self._keep(id_hash("author", post.platform, post.author.author_id))
        kept: list[Reading] = [post]
        for waiting in self._waiting.pop(own, ()):
            kept += self.take(waiting, at)
        return kept

    def _tags_of(self, post: Post) -> set[str]:
        asked = {hashtag_key(tag) for tag in post.hashtags}
        if post.author is not None:
            asked.add(f"{ACCOUNT}{post.author.author_id}")
        return asked & self.hashtags

    def _keep(self, key: int) -> None:
        if key not in self._kept:
            self._kept[key] = None
            self._new.append(key)
            if len(self._kept) > KEPT_IDS:
                del self._kept[next(iter(self._kept))]

    def _wait(self, key: int, reading: Reading, at: float) -> None:
        self._waiting.setdefault(key, []).append(reading)
        self._since.append((at, key))

    def _let_go(self, at: float) -> None:
        while self._since and (
            self._since[0][0] < at - WAIT_SECONDS or len(self._since) > MOST_WAITING
        ):
            _, key = self._since.popleft()
            held = self._waiting.get(key)
            if held:
                del held[0]
                if not held:
                    del self._waiting[key]

    def _concerns(self, problem: Problem, account: str | None) -> bool:
        told = problem.raw.decode(errors="replace").casefold()
        if any(tag in told for tag in self.hashtags):
            return True
        platform = problem.source.partition(":")[0]
        return account is not None and id_hash("author", platform, account) in self._kept
