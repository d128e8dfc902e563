"""What a report says, read from the database in one snapshot, so that its numbers agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from hoaxwatch.pictures import busiest_accounts
from storage import errata, reads
from storage.errata import Erratum
from storage.reads import (
    ClusterRow,
    HashtagRow,
    LinkRow,
    NetworkRow,
    PairRow,
    PeriodCounts,
    SpreadRow,
    StoredCounts,
    TrendRow,
)

N_RISING = 12
N_USERS = 600
N_TAGS = 60
N_NETWORKS = 3
N_CLUSTERS = 5
N_MEMBERS = 3
N_POSTS = 20
N_REASONS = 6
#: Curves over at most so many days are hourly.
HOURLY_DAYS = 10
_DAY = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class ClusteredWindow:
    """One window of one hashtag with its greatest clusters, by algorithm."""

    network: NetworkRow
    clusters: Mapping[str, Sequence[ClusterRow]]
    #: (clustering_id, cluster) -> its most shared accounts.
    members: Mapping[tuple[int, int], Sequence[str]]


@dataclass(frozen=True, kw_only=True)
class ReportData:
    """Everything that a report shows. `since` and `until` are starts of UTC days, or None."""

    title: str
    now: datetime
    seed: int
    counts: PeriodCounts
    stored: StoredCounts
    since: datetime | None = None
    until: datetime | None = None
    #: The hashtag that was asked for.
    hashtag: str | None = None
    policy: Mapping[str, Any] | None = None
    verdict_states: Sequence[Mapping[str, Any]] = ()
    run: Mapping[str, Any] | None = None
    quarantine: Sequence[Mapping[str, Any]] = ()
    rising: Sequence[HashtagRow] = ()
    #: Of all rising hashtags.
    spreads: Mapping[str, SpreadRow] = field(default_factory=dict)
    trends: Mapping[str, Sequence[TrendRow]] = field(default_factory=dict)
    #: What the curves cover: [start, end), in buckets of "hour" or "day".
    curve_start: datetime | None = None
    curve_end: datetime | None = None
    grain: str = "hour"
    #: Hashtag -> as it is most often written.
    display: Mapping[str, str] = field(default_factory=dict)
    #: Whose network is drawn; None: all shares.
    network_hashtag: str | None = None
    links: Sequence[LinkRow] = ()
    #: Account key -> handle, of accounts that may be drawn.
    names: Mapping[str, str] = field(default_factory=dict)
    tags: Sequence[SpreadRow] = ()
    pairs: Sequence[PairRow] = ()
    windows: Sequence[ClusteredWindow] = ()
    posts: Sequence[Mapping[str, Any]] = ()
    errata: Sequence[Erratum] = ()


def read_report_data(
    connection: psycopg.Connection,
    *,
    title: str,
    now: datetime,
    since: datetime | None = None,
    until: datetime | None = None,
    hashtag: str | None = None,
    seed: int = 1,
) -> ReportData:
    """Everything that a report over whole UTC days shows.

    since, until: the days that contain these times are included; None: no bound.
    hashtag: in counting form; its networks and posts are shown. Default: of all hashtags that
    with the largest clustered network, and the posts of all.
    connection: idle, for the snapshot.
    """
    start, end = reads.whole_days(since, until)
    with reads.one_snapshot(connection):
        rising = _rising(connection, start, end, hashtag)
        curve_start, curve_end = curve_period(rising, start, end)
        grain = "day"
        if curve_start and curve_end and curve_end - curve_start <= HOURLY_DAYS * _DAY:
            grain = "hour"
        keys = [row.hashtag for row in rising]
        windows = _windows(connection, start, end, hashtag)
        network_hashtag = hashtag or (windows[0].network.hashtag if windows else None)
        links = reads.read_links(connection, network_hashtag, start, end)
        users = reads.read_users(connection, busiest_accounts(links, N_USERS))
        tags = _network_tags(connection, start, end, hashtag)
        tag_keys = [row.hashtag for row in tags]
        posts = reads.read_top_posts(connection, N_POSTS, hashtag=hashtag, since=start, until=end)
        shown = {*keys, *tag_keys, *(window.network.hashtag for window in windows)}
        shown |= {network_hashtag} if network_hashtag else set()
        return ReportData(
            title=title,
            now=now,
            seed=seed,
            counts=reads.read_period_counts(connection, start, end),
            stored=reads.read_counts(connection),
            since=start,
            until=end,
            hashtag=hashtag,
            policy=reads.read_policy(connection),
            verdict_states=reads.read_verdict_states(connection, start, end),
            run=next(iter(reads.read_runs(connection, 1)), None),
            quarantine=reads.read_quarantine(connection, N_REASONS),
            rising=rising,
            spreads=_spreads(connection, rising, start, end),
            trends={
                key: reads.read_trends(connection, key, grain, curve_start, curve_end)
                for key in keys
            },
            curve_start=curve_start,
            curve_end=curve_end,
            grain=grain,
            display=reads.read_display_forms(connection, sorted(shown)),
            network_hashtag=network_hashtag,
            links=links,
            names={user.user: user.handle for user in users if user.handle},
            tags=tags,
            pairs=reads.read_pairs_among(connection, tag_keys, start, end),
            windows=windows,
            posts=[post for post in posts if post["shares"]],
            errata=errata.read_errata(connection),
        )


def curve_period(
    rows: Sequence[HashtagRow], since: datetime | None, until: datetime | None
) -> tuple[datetime | None, datetime | None]:
    """What the curves cover: from two days before the first peak to the last post, whole days.

    Single posts long before would otherwise press every curve against the right edge.
    """
    if not rows:
        return None, None
    start = min(row.busiest_day for row in rows) - 2 * _DAY
    start = max(start, _day_of(min(row.first_seen_at for row in rows)), since or start)
    end = _day_of(max(row.last_seen_at for row in rows)) + _DAY
    return start, min(end, until or end)


def _day_of(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _rising(
    connection: psycopg.Connection,
    since: datetime | None,
    until: datetime | None,
    hashtag: str | None,
) -> list[HashtagRow]:
    """The hashtags that rose most; the one that was asked for is first."""
    rows = reads.read_hashtags(connection, N_RISING, since, until, rising=True)
    if hashtag is None:
        return rows
    asked = reads.read_hashtags(connection, 1, since, until, hashtag=hashtag)
    return (asked + [row for row in rows if row.hashtag != hashtag])[:N_RISING]


def as_spread(row: HashtagRow) -> SpreadRow:
    """What the day table says of a hashtag; neither its accounts nor an interval, which are not
    sums of days."""
    return SpreadRow(
        *(row.hashtag, row.posts, row.originals, row.shares, None, row.judged, row.likely_false),
        *(row.expected_share, None, None, row.first_seen_at, row.last_seen_at),
    )


def _spreads(
    connection: psycopg.Connection,
    rows: Sequence[HashtagRow],
    since: datetime | None,
    until: datetime | None,
) -> dict[str, SpreadRow]:
    """These hashtags over the period, each by its posts. Where days count posts that are not kept
    any more (`storage.retention`), what is left says less than the days do, and these stand."""
    keys = [row.hashtag for row in rows]
    found = {row.hashtag: row for row in reads.read_spreads(connection, keys, since, until)}
    return {
        row.hashtag: found[row.hashtag]
        if row.hashtag in found and found[row.hashtag].posts >= row.posts
        else as_spread(row)
        for row in rows
    }


def _network_tags(
    connection: psycopg.Connection,
    since: datetime | None,
    until: datetime | None,
    hashtag: str | None,
) -> list[SpreadRow]:
    """The most used hashtags, or a hashtag and those that stand with it most often."""
    if hashtag is None:
        keys = [row.hashtag for row in reads.read_hashtags(connection, N_TAGS, since, until)]
    else:
        partners = reads.read_pairs(connection, hashtag, since, until, N_TAGS - 1)
        keys = [hashtag] + [
            pair.hashtag_b if pair.hashtag_a == hashtag else pair.hashtag_a for pair in partners
        ]
    return reads.read_spreads(connection, keys, since, until)


def _windows(
    connection: psycopg.Connection,
    since: datetime | None,
    until: datetime | None,
    hashtag: str | None,
) -> list[ClusteredWindow]:
    found = []
    for network in reads.read_largest_networks(connection, N_NETWORKS, hashtag, since, until):
        clusters: dict[str, list[ClusterRow]] = {}
        members: dict[tuple[int, int], list[str]] = {}
        rows = reads.read_clusters(connection, network.hashtag, None, network.window_start)
        for row in rows:
            of_algorithm = clusters.setdefault(row.algorithm, [])
            if len(of_algorithm) < N_CLUSTERS:
                of_algorithm.append(row)
        for of_algorithm in clusters.values():
            number = of_algorithm[0].clustering_id
            top = reads.read_top_members(connection, number, N_MEMBERS)
            for row in of_algorithm:
                members[number, row.cluster] = top.get(row.cluster, [])
        found.append(ClusteredWindow(network=network, clusters=clusters, members=members))
    return found
