"""Windows of event time, and what the clusters of one window spread. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from graph.virality import Z_95

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def plan_windows(
    hours: Iterable[datetime], length_hours: int, step_hours: int
) -> list[tuple[datetime, datetime]]:
    """All windows [start, end) that contain one of these hours, in order.

    Windows begin at multiples of step_hours since 1970-01-01 UTC and last length_hours, so which
    windows exist depends on the posts alone and never on when somebody looks.

    >>> windows = plan_windows([datetime(2023, 4, 24, 7, tzinfo=UTC)], 24, 6)
    >>> len(windows), windows[0][0].isoformat(), windows[-1][1].isoformat()
    (4, '2023-04-23T12:00:00+00:00', '2023-04-25T06:00:00+00:00')
    """
    starts: set[int] = set()
    for hour in hours:
        at = int((hour - _EPOCH).total_seconds()) // 3600
        last = at // step_hours * step_hours
        starts.update(range(last, at - length_hours, -step_hours))
    return [
        (_EPOCH + timedelta(hours=start), _EPOCH + timedelta(hours=start + length_hours))
        for start in sorted(starts)
    ]


@dataclass(frozen=True)
class ClusterSpread:
    """What the accounts of one cluster shared in a window."""

    n_shares: int
    judged: int
    likely_false: int
    #: Mean probability over judged shares with its 95 % interval; None: none judged.
    expected_share: float | None
    expected_low: float | None
    expected_high: float | None


def describe_clusters(
    cluster: NDArray[np.int64],
    content: NDArray[np.int64],
    probability: NDArray[np.float64],
    likely_false: NDArray[np.bool_],
    n_clusters: int,
) -> Sequence[ClusterSpread]:
    """Sums over the shares of each cluster, one row per share.

        expected_share = sum(p) / judged
        variance       = sum over contents of n^2 p (1 - p) / judged^2

    cluster: (n,) cluster of the account that shares. content: (n,) number of the shared content.
    probability: (n,) of likely_false, nan if not judged. likely_false: (n,), False if not judged.
    Each content is one draw, because its shares stand or fall with it. Rounded to 6 decimals.

    >>> a = np.array
    >>> spread = describe_clusters(a([0, 0, 0]), a([0, 0, 1]), a([1.0, 1.0, np.nan]),
    ...                            a([True, True, False]), 1)[0]
    >>> spread.n_shares, spread.judged, spread.likely_false, spread.expected_share
    (3, 2, 2, 1.0)
    """
    n_shares = np.bincount(cluster, minlength=n_clusters)
    is_judged = ~np.isnan(probability)
    false = np.bincount(cluster[likely_false], minlength=n_clusters)
    judged = np.bincount(cluster[is_judged], minlength=n_clusters)
    width = int(content.max()) + 1 if len(content) else 1
    pairs, first, n = np.unique(
        cluster[is_judged] * width + content[is_judged], return_index=True, return_counts=True
    )
    p = probability[is_judged][first]
    of_cluster = pairs // width
    expected = np.bincount(of_cluster, weights=n * p, minlength=n_clusters)
    variance = np.bincount(of_cluster, weights=n * n * p * (1 - p), minlength=n_clusters)
    rows = []
    columns = (c.tolist() for c in (n_shares, judged, false, expected, np.sqrt(variance)))
    for n, n_judged, n_false, total, deviation in zip(*columns, strict=True):
        share = low = high = None
        if n_judged:
            half = Z_95 * deviation
            share = round(total / n_judged, 6)
            low = round(max(0.0, (total - half) / n_judged), 6)
            high = round(min(1.0, (total + half) / n_judged), 6)
        rows.append(ClusterSpread(n, n_judged, n_false, share, low, high))
    return rows
