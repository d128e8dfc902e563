"""What the sources of X share: money that all of them spend, and a pass over what is tracked."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Generator, Iterator, Sequence
from typing import Generic, TypeVar

import msgspec

from storage.tracking import Mark, Pull, Tracked
from streams.settings import Settings
from streams.sources.following import Backoff
from streams.sources.keeping import Keeping
from streams.sources.source import Say, Sighting
from streams.sources.x_client import Spent, XClient

StateT = TypeVar("StateT", bound=Spent)


class XSource:
    """A source of X: it can be greeted, and is told what the others have spent."""

    name: str

    def __init__(
        self, settings: Settings, keeping: Keeping, say: Say, backoff: Backoff | None = None
    ) -> None:
        """Raises UsageError without a token or a budget."""
        self._client = XClient(settings, say, backoff)
        self._keeping, self._say = keeping, say

    def greet(self, cursor: str | None) -> Generator[Sighting, None, str]:
        """What X says of the token and its plan, beside what was spent."""
        self._client.purse.resume(msgspec.json.decode(cursor or "{}", type=Spent))
        return (yield from self._client.greet())

    def note_spent(self, month: str, usd: float) -> None:
        """What other sources of X have spent in a month (YYYY-MM). From any thread."""
        self._client.purse.note_spent(month, usd)


class XPass(XSource, Generic[StateT]):
    """One pass over what is tracked, from where the last one stopped; then it ends."""

    #: What its cursor holds.
    state_type: type[StateT]

    def __init__(
        self, settings: Settings, keeping: Keeping, say: Say, backoff: Backoff | None = None
    ) -> None:
        """Raises UsageError as XSource."""
        super().__init__(settings, keeping, say, backoff)
        self._most_posts = settings.x_most_posts

    def track(self, hashtags: Sequence[Tracked]) -> None:
        """From the next pass on."""

    def posts(self, cursor: str | None) -> Iterator[Sighting]:
        """Ends after one pass. Raises UsageError if X refuses us."""
        state = msgspec.json.decode(cursor or "{}", type=self.state_type)
        purse = self._client.purse
        purse.resume(state)
        self._client.look_at_clock()
        for row in self._keeping.rows:
            yield from self._pull(row, state)
        self._say(f"{self.name}: {purse}")

    @abstractmethod
    def _pull(self, row: Tracked, state: StateT) -> Iterator[Sighting]:
        """The posts of one hashtag, with a mark."""

    def _mark(self, state: StateT, *pulls: Pull) -> Mark:
        """Pulls, with the state as it is then and what was spent by now."""
        self._client.purse.save(state)
        return Mark(msgspec.json.encode(state).decode(), pulls)
