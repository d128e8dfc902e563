"""How fast a hashtag is used, and when that is unusual, over buckets that can be compared.

A bucket is an hour or a day of event time. A bucket of which only a part was collected, whose
collection hit a cap, or that was collected by another query than before must not be compared with
full ones: its low count is ours and not the platform's. So every function takes a `Coverage` beside
the counts, and what cannot be compared is NaN, never 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Counts = NDArray[np.float64]
Flags = NDArray[np.bool_]
Ids = NDArray[np.int64]

HOURS_A_WEEK, HOURS_A_DAY = 168, 24
SECONDS_AN_HOUR = 3600

#: A baseline of fewer buckets than this says nothing about what is usual.
MIN_BASELINE = 4
#: How many weeks a baseline looks back.
BASELINE_WEEKS = 8
#: A bucket from this score on is a burst: one of 30,000 by chance in a normal distribution.
BURST_FROM = 4.0
#: The median absolute deviation times this is the standard deviation of a normal distribution.
MAD_TO_SD = 1.4826

Basis = Literal["none", "hour of day", "hour of week"]
BASES: tuple[Basis, ...] = ("none", "hour of day", "hour of week")


@dataclass(frozen=True, eq=False, kw_only=True)
class Coverage:
    """How far each of n successive buckets was collected."""

    #: (n,) share of the bucket's time in which collection ran, in [0, 1].
    collected: Counts
    #: (n,) True where a cap was hit: more was there than was delivered.
    is_capped: Flags
    #: (n,) number of the query in force; counts of two queries are not compared.
    query: Ids

    @property
    def is_full(self) -> Flags:
        """(n,) True for buckets that were collected whole."""
        return (self.collected >= 1.0) & ~self.is_capped

    def describe(self) -> str:
        """What a reader has to know beside every number of these buckets; "" if all is well.

        >>> full_coverage(3).describe()
        ''
        >>> Coverage(collected=np.array([1.0, 0.5, 0.0]), is_capped=np.array([True, False, False]),
        ...          query=np.array([1, 1, 2])).describe()
        'of 3 buckets 1 not collected, 1 in part, 1 capped; the query changed 1 times'
        """
        gone, partly = self.collected <= 0, (self.collected > 0) & (self.collected < 1)
        said = [
            f"{int(n)} {what}"
            for n, what in (
                (gone.sum(), "not collected"),
                (partly.sum(), "in part"),
                (self.is_capped.sum(), "capped"),
            )
            if n
        ]
        text = f"of {len(gone)} buckets {', '.join(said)}" if said else ""
        n_changes = int((np.diff(self.query) != 0).sum())
        changes = f"the query changed {n_changes} times" if n_changes else ""
        return "; ".join(part for part in (text, changes) if part)


class HourCount(NamedTuple):
    """Posts with a hashtag in an hour that has any."""

    hashtag: str
    hour: datetime
    posts: int


def count_hours(
    rows: Iterable[HourCount], since: datetime, until: datetime
) -> Iterator[tuple[str, Counts]]:
    """Each hashtag with its posts in every hour from `since` to `until`, whole hours both.

    >>> from datetime import UTC
    >>> noon = datetime(2023, 4, 24, 12, tzinfo=UTC)
    >>> rows = [HourCount("a", noon + timedelta(hours=2), 7)]
    >>> [(tag, n.tolist()) for tag, n in count_hours(rows, noon, noon + timedelta(hours=3))]
    [('a', [0.0, 0.0, 7.0])]
    """
    hour = timedelta(hours=1)
    ordered = sorted(rows, key=lambda row: (row.hashtag, row.hour))
    for hashtag, of_tag in groupby(ordered, key=lambda row: row.hashtag):
        counts = np.zeros(int((until - since) / hour))
        for row in of_tag:
            if since <= row.hour < until:
                counts[int((row.hour - since) / hour)] = row.posts
        yield hashtag, counts


def full_coverage(n_buckets: int) -> Coverage:
    """Everything was collected by one query.

    >>> full_coverage(2).is_full.tolist()
    [True, True]
    """
    return Coverage(
        collected=np.ones(n_buckets),
        is_capped=np.zeros(n_buckets, dtype=bool),
        query=np.zeros(n_buckets, dtype=np.int64),
    )


class Pulled(NamedTuple):
    """A time (seconds since 1970) of which a source gave everything, or as much as its cap let."""

    since: float
    until: float
    is_capped: bool = False


def coverage_of(pulls: Iterable[Pulled], first_hour: int, n_hours: int) -> Coverage:
    """How far each of n hours was collected by these pulls together, which may overlap.

    Cost: O(pulls log pulls + hours that they touch).

    >>> coverage_of([Pulled(0, 3600), Pulled(1800, 9000, is_capped=True)], 0, 4).collected.tolist()
    [1.0, 1.0, 0.5, 0.0]
    """
    collected, is_capped = np.zeros(n_hours), np.zeros(n_hours, dtype=bool)
    done = float(first_hour * SECONDS_AN_HOUR)
    end = done + n_hours * SECONDS_AN_HOUR
    for pull in sorted(pulls):
        low, high = max(pull.since, first_hour * SECONDS_AN_HOUR), min(pull.until, end)
        hours = range(
            int(low // SECONDS_AN_HOUR) - first_hour,
            int(-(-high // SECONDS_AN_HOUR)) - first_hour,
        )
        for hour in hours:
            is_capped[hour] |= pull.is_capped
            begin = (first_hour + hour) * SECONDS_AN_HOUR
            new = min(high, begin + SECONDS_AN_HOUR) - max(low, begin, done)
            collected[hour] += max(new, 0.0) / SECONDS_AN_HOUR
        done = max(done, high)
    return Coverage(
        collected=collected.round(9), is_capped=is_capped, query=np.zeros(n_hours, dtype=np.int64)
    )


def collected_share(pulls: Iterable[Pulled], since: float, until: float) -> float:
    """Which part of a time (seconds since 1970) these pulls cover without a cap, in [0, 1].

    >>> collected_share([Pulled(0, 50), Pulled(25, 75), Pulled(75, 100, is_capped=True)], 0, 100)
    0.75
    """
    covered, done = 0.0, since
    for pull in sorted(pulls):
        if not pull.is_capped:
            covered += max(min(pull.until, until) - max(pull.since, done), 0.0)
            done = max(done, pull.until)
    return covered / (until - since)


def coverage_or_full(pulls: Iterable[Pulled] | None, first_hour: int, n_hours: int) -> Coverage:
    """`coverage_of`, or `full_coverage` where no live source was ever asked: files are whole."""
    return coverage_of(pulls, first_hour, n_hours) if pulls else full_coverage(n_hours)


def velocity(counts: ArrayLike, coverage: Coverage, bucket_hours: float = 1.0) -> Counts:
    """Posts per hour in each bucket; NaN where the bucket was not collected whole. (n,)

    >>> velocity([6, 12], full_coverage(2), bucket_hours=24).tolist()
    [0.25, 0.5]
    """
    n = _counts(counts, coverage)
    return np.where(coverage.is_full, n / bucket_hours, np.nan)


def acceleration(counts: ArrayLike, coverage: Coverage, bucket_hours: float = 1.0) -> Counts:
    """Change of `velocity` from the bucket before, posts per hour per hour; (n,), the first is NaN.

    NaN too where either bucket was not collected whole, or by different queries.

    >>> acceleration([1, 4, 9], full_coverage(3)).tolist()
    [nan, 3.0, 5.0]
    """
    speed = velocity(counts, coverage, bucket_hours)
    change = np.full(len(speed), np.nan)
    change[1:] = np.diff(speed) / bucket_hours
    change[1:][np.diff(coverage.query) != 0] = np.nan
    return change


@dataclass(frozen=True, eq=False, kw_only=True)
class Bursts:
    """How unusual each of n buckets is; every array is (n,)."""

    #: Standard deviations above what is usual; NaN where nothing can be said.
    score: Counts
    #: What is usual, posts per bucket; NaN as above.
    usual: Counts
    #: What it was compared with, as index into BASES.
    basis: Ids
    #: Buckets in the baseline.
    n_baseline: Ids
    #: True from BURST_FROM on.
    is_burst: Flags


def score_bursts(
    counts: ArrayLike,
    first_hour: int,
    coverage: Coverage,
    *,
    bucket_hours: int = 1,
    burst_from: float = BURST_FROM,
    scored_from: float = -np.inf,
) -> Bursts:
    """How far each bucket stands above the same hour of the same weekday before it.

        a(x)  = 2 sqrt(x + 3/8)                       a count with standard deviation about 1
        score = (a(x) - median a(B)) / max(1, 1.4826 median |a(B) - median a(B)|)

    B: earlier full buckets of the same query at the same hour of the week in the last
    BASELINE_WEEKS weeks; with fewer than MIN_BASELINE of them, those at the same hour of any day;
    with fewer still nothing is said. A bucket that was a burst stays out of later baselines as long
    as enough others are left, so a story of several days is not its own measure. The floor of 1 is
    chance itself (Poisson): three posts where usually nobody posts are no burst.
    Source: Anscombe, Biometrika 35, 1948 (the transform); median and MAD: Hampel, J. Am. Stat.
    Assoc. 69, 1974.

    first_hour: of the first bucket, whole hours since 1970-01-01 00:00 UTC (a Thursday).
    scored_from: buckets that cannot reach this score, nor be bursts, are not scored (NaN): nearly
    all of them. The others have the same scores.
    Cost: a numpy step over at most 8 weeks for each bucket that is scored.
    Raises: ValueError on other lengths, negative counts or buckets that are no hours or days.

    >>> flat = np.full(7 * 24 * 6, 9); flat[-1] = 60
    >>> bursts = score_bursts(flat, 0, full_coverage(len(flat)))
    >>> bursts.is_burst.nonzero()[0].tolist(), float(bursts.score[-1].round(1))
    ([1007], 9.4)
    >>> BASES[bursts.basis[-1]], int(bursts.n_baseline[-1]), float(bursts.usual[-1])
    ('hour of week', 5, 9.0)
    """
    if bucket_hours < 1 or HOURS_A_DAY % bucket_hours:
        raise ValueError(f"bucket_hours is {bucket_hours}; it must divide 24")
    n = _counts(counts, coverage)
    level = 2 * np.sqrt(n + 3 / 8)
    usable = coverage.is_full & ~np.isnan(level)
    week, day = HOURS_A_WEEK // bucket_hours, HOURS_A_DAY // bucket_hours
    # the same place in the week is a whole number of weeks back, whatever the first hour is; it
    # matters only that buckets begin at whole multiples of their length
    if first_hour % bucket_hours:
        raise ValueError(f"first_hour {first_hour} is no multiple of bucket_hours {bucket_hours}")
    score, usual = np.full(len(n), np.nan), np.full(len(n), np.nan)
    basis, n_baseline = np.zeros(len(n), dtype=np.int64), np.zeros(len(n), dtype=np.int64)
    is_burst = np.zeros(len(n), dtype=bool)
    # no score is greater than over a baseline of nothing, which does not vary
    can_reach = level - 2 * np.sqrt(3 / 8) >= min(scored_from, burst_from)
    for at in np.flatnonzero(usable & can_reach).tolist():
        earliest = max(at - BASELINE_WEEKS * week, 0)
        for number, step in ((2, week), (1, day)):
            rows = np.arange(at - step, earliest - 1, -step)
            rows = rows[usable[rows] & (coverage.query[rows] == coverage.query[at])]
            calm = rows[~is_burst[rows]]
            rows = calm if len(calm) >= MIN_BASELINE else rows
            if len(rows) >= MIN_BASELINE:
                middle = float(np.median(level[rows]))
                spread = MAD_TO_SD * float(np.median(np.abs(level[rows] - middle)))
                score[at] = (level[at] - middle) / max(1.0, spread)
                usual[at] = float(np.median(n[rows]))
                basis[at], n_baseline[at] = number, len(rows)
                is_burst[at] = score[at] >= burst_from
                break
    return Bursts(score=score, usual=usual, basis=basis, n_baseline=n_baseline, is_burst=is_burst)


def _counts(counts: ArrayLike, coverage: Coverage) -> Counts:
    n = np.asarray(counts, dtype=np.float64)
    if not n.shape == coverage.collected.shape == coverage.is_capped.shape == coverage.query.shape:
        raise ValueError(f"counts {n.shape} and coverage must be equally long rows")
    if (n < 0).any():
        raise ValueError("a count is negative")
    return n


def reach(followers: ArrayLike) -> tuple[int, int]:
    """Followers of the accounts that posted, summed, and how many accounts hide theirs.

    A proxy and an upper bound: audiences overlap, and most followers see little of what is posted.

    followers: (n,) of each distinct account, NaN if not known.
    >>> reach([100, 5, np.nan])
    (105, 1)
    """
    known = np.asarray(followers, dtype=np.float64)
    is_known = ~np.isnan(known)
    return int(known[is_known].sum()), int((~is_known).sum())
