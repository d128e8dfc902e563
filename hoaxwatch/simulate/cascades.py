"""When a post is shared: self-exciting arrivals, slowed down by the hours at which people sleep."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

HOUR = 3600
DAY = 24 * HOUR

#: Share of the full activity that is left while people sleep.
NIGHT = 0.08
_WAKES, _SLEEPS = 6.5, 23.5


def rhythm(moment: float, hours_east: float = 0.0) -> float:
    """How awake people are, in [NIGHT, 1]: half a sine from 6:30 to 23:30 of their own clock.

    moment: seconds since 1970 UTC.   hours_east: what their clock is ahead of UTC (hours).

    >>> rhythm(15 * HOUR), rhythm(3 * HOUR), rhythm(3 * HOUR, hours_east=12)
    (1.0, 0.08, 1.0)
    """
    hour = (moment / HOUR + hours_east) % 24
    if not _WAKES < hour < _SLEEPS:
        return NIGHT
    return NIGHT + (1 - NIGHT) * math.sin(math.pi * (hour - _WAKES) / (_SLEEPS - _WAKES))


@dataclass(frozen=True)
class Spread:
    """The parameters of a cascade's arrivals; see `arrivals`."""

    #: Mean number of shares that the original itself brings about (mu).
    reach: float
    #: Mean number of shares that each share brings about (n); below 1, or it never ends.
    branching: float
    #: Mean delay from a post to a share that it brought about (tau, seconds).
    decay_seconds: float

    @property
    def mean_size(self) -> float:
        """Mean number of shares if nobody slept: mu / (1 - n).

        >>> Spread(reach=3.0, branching=0.4, decay_seconds=600.0).mean_size
        5.0
        """
        return self.reach / (1 - self.branching)


@dataclass(frozen=True, slots=True)
class Arrival:
    """One share: when, and which earlier arrival brought it about (-1: the original)."""

    at: float
    parent: int


def arrivals(
    chance: random.Random,
    start: float,
    spread: Spread,
    *,
    pace: Callable[[float], float] | None = None,
    at_most: int = 100_000,
) -> list[Arrival]:
    """The shares of a post published at `start`: a Hawkes process with an exponential kernel.

        lambda(t) = r(t) * (mu g(t - start) + n * sum over shares i before t of g(t - t_i))
        g(s) = exp(-s / tau) / tau

    r: `pace`, in [0, 1], the rhythm of those who share; 1 if not given. mu, n, tau: `Spread`.
    Drawn as the branching process that it is: each post brings about Poisson(mu or n) candidates
    with exponential delays, and a candidate at t is kept with probability r(t). Cut off at the
    first `at_most` shares in time.

    Source: Hawkes, Biometrika 58(1), 1971; as a cluster process: Hawkes and Oakes, J. Applied
    Probability 11(3), 1974.

    Returns: in order of time; parents are indices into the list.
    Cost: O(n log n) in the number of shares.   Raises: ValueError unless 0 <= n < 1.

    >>> found = arrivals(random.Random(1), 0.0, Spread(6.0, 0.5, 600.0))
    >>> len(found), all(a.parent < i for i, a in enumerate(found))
    (18, True)
    """
    if not 0 <= spread.branching < 1:
        raise ValueError(f"branching is {spread.branching}; it must be at least 0 and below 1")
    times: list[float] = []
    parents: list[int] = []
    waiting = [(-1, start, spread.reach)]
    while waiting and len(times) < 4 * at_most:
        parent, at, mean = waiting.pop()
        for _ in range(poisson(chance, mean)):
            then = at + chance.expovariate(1 / spread.decay_seconds)
            if pace is None or chance.random() < pace(then):
                waiting.append((len(times), then, spread.branching))
                times.append(then)
                parents.append(parent)
    order = sorted(range(len(times)), key=times.__getitem__)[:at_most]
    place = {number: i for i, number in enumerate(order)}
    # a share comes after what brought it about, so its parent is never the one cut off
    return [Arrival(times[i], place.get(parents[i], -1)) for i in order]


def poisson(chance: random.Random, mean: float) -> int:
    """A Poisson number: how many steps of a unit-rate process fit into `mean`.

    >>> chance = random.Random(1)
    >>> numbers = [poisson(chance, 3.0) for _ in range(2000)]
    >>> 2.9 < sum(numbers) / len(numbers) < 3.1
    True
    """
    n, passed = 0, chance.expovariate(1.0)
    while passed < mean:
        n += 1
        passed += chance.expovariate(1.0)
    return n
