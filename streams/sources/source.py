"""What a source of readings is: files, platforms, a file played as if it were live."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from storage.tracking import NO_MARK, Mark, Tracked
from streams.records import Reading

#: A source gives a sighting at least so often, if only an empty one: whoever takes them can then
#: store what waits, and stop (seconds).
TICK_SECONDS = 1.0

#: Told, in a line, what people should know: a platform is away, a limit is reached.
Say = Callable[[str], None]


class Sighting(NamedTuple):
    """A reading (None: nothing came), and how far its source was followed with it."""

    reading: Reading | None
    mark: Mark = NO_MARK


class Source(Protocol):
    """Where readings come from."""

    @property
    def name(self) -> str:
        """Under which its marks are kept."""

    def posts(self, cursor: str | None) -> Iterator[Sighting]:
        """Every reading after `cursor` (None: from the beginning, or from now on).

        What is taken up to a mark is all that comes before its cursor: whoever stores it with or
        after those readings can stop anywhere and lose nothing. Readings may come again. Raises
        UsageError if it cannot go on without somebody doing something.
        """

    def track(self, hashtags: Sequence[Tracked]) -> None:
        """From now on these are asked for. May be called from another thread."""


@runtime_checkable
class Paid(Protocol):
    """A source that spends money of which others of its platform spend too."""

    def note_spent(self, month: str, usd: float) -> None:
        """What the others have spent in a month (YYYY-MM). May be called from another thread."""


class Platform(Source, Protocol):
    """A source that can be asked whether it would serve us."""

    def greet(self, cursor: str | None) -> Generator[Sighting, None, str]:
        """Asks one thing that costs nothing; what the platform says of us, in a line. `cursor` is
        where its posts stand. Says what goes wrong and ticks, or raises Interrupted or
        UsageError."""
