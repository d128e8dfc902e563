"""The pipeline's steps as plain functions over batches: record, classify, judge, track.

`record` stores what was read, `classify` scores what has no verdict yet, `judge` stores the
verdicts, `track` recounts what the others touched. Each of the storing steps is one transaction and
may be repeated at will. The same functions run in one process (`streams.local`) and behind Kafka.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from operator import attrgetter

import numpy as np

from detectors.detector import Detector
from graph.communities import Communities, infomap, louvain
from graph.users import UserNetwork, build_user_network
from graph.windows import ClusterSpread, describe_clusters, plan_windows
from storage import recount, writes
from storage.database import Connection
from storage.recount import WindowRows, WindowShare
from streams.records import Content, Deletion, NotAPost, Post, Problem, Reading, Verdict


@dataclass
class Recorded:
    """What became of a batch: each reading in exactly one outcome, and what waits for a verdict."""

    outcomes: Counter[str] = field(default_factory=Counter)
    not_posts: Counter[str] = field(default_factory=Counter)
    pending: list[Content] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def add(self, other: Recorded) -> None:
        """Takes over the counts of another batch."""
        self.outcomes += other.outcomes
        self.not_posts += other.not_posts
        self.pending += other.pending
        self.problems += other.problems


def record(
    connection: Connection,
    readings: Sequence[Reading],
    detector: Detector,
    now: datetime,
    tombstone_key: str,
) -> Recorded:
    """Stores one batch in one transaction: posts, deletions, quarantine.

    A post that the database cannot hold does not take its batch with it: the batch is halved until
    that post is alone, and then it is quarantined.
    """
    try:
        return _record_at_once(connection, readings, detector, now, tombstone_key)
    except writes.BAD_VALUE as error:
        if len(readings) == 1:
            reading = readings[0]
            if not isinstance(reading, Post):
                raise
            problem = Problem(
                reason=f"cannot be stored: {str(error).splitlines()[0]}",
                source=reading.provenance or reading.platform,
                position=reading.post_id,
                raw=reading.raw,
            )
            return _record_at_once(connection, [problem], detector, now, tombstone_key)
    result = Recorded()
    middle = len(readings) // 2
    for half in (readings[:middle], readings[middle:]):
        result.add(record(connection, half, detector, now, tombstone_key))
    return result


def _record_at_once(
    connection: Connection,
    readings: Sequence[Reading],
    detector: Detector,
    now: datetime,
    tombstone_key: str,
) -> Recorded:
    posts = [reading for reading in readings if isinstance(reading, Post)]
    deletions = [reading for reading in readings if isinstance(reading, Deletion)]
    problems = [reading for reading in readings if isinstance(reading, Problem)]
    not_posts = Counter(reading.what for reading in readings if isinstance(reading, NotAPost))
    result = Recorded(not_posts=not_posts, problems=problems)
    result.outcomes.update(
        {
            "deletion applied": len(deletions),
            "quarantined": len(problems),
            "not a post": not_posts.total(),
        }
    )
    with connection.transaction(), connection.cursor() as cursor:
        if deletions:
            writes.apply_deletions(cursor, deletions, tombstone_key)
        kept, n_deleted = writes.without_deleted(cursor, posts, tombstone_key)
        result.outcomes["expired"] = n_deleted
        if kept:
            result.outcomes.update(writes.upsert_posts(cursor, kept, now))
            result.pending = writes.read_pending_of_batch(cursor, detector.name, detector.version)
        writes.add_quarantined(cursor, problems, now)
    return result


def classify(detector: Detector, contents: Sequence[Content]) -> list[Verdict]:
    """One verdict per content. Raises ValueError if the detector breaks its contract."""
    verdicts = detector.score(contents)
    if len(verdicts) != len(contents):
        raise ValueError(
            f"detector {detector.name} gave {len(verdicts)} verdicts for {len(contents)} contents"
        )
    return verdicts


def judge(connection: Connection, verdicts: Sequence[Verdict], now: datetime) -> Counter[str]:
    """Stores verdicts in one transaction; returns how many were scored and abstained."""
    return writes.upsert_verdicts(connection, verdicts, now)


@dataclass(frozen=True)
class TrackOptions:
    """How clusters are made."""

    window_hours: int = 24
    window_step_hours: int = 6
    cluster_min_users: int = 20
    seed: int = 1


@dataclass(frozen=True)
class Tracked:
    """What one tick recounted."""

    n_hashtags: int = 0
    n_trend_rows: int = 0
    n_windows: int = 0


def track(connection: Connection, options: TrackOptions) -> Tracked:
    """Recounts every dirty bucket and its cluster windows, in one transaction."""
    with connection.transaction(), connection.cursor() as cursor:
        taken = recount.take_dirty(cursor)
        if not taken:
            return Tracked()
        n_rows = recount.recount_trends(cursor)
        policy_id = recount.active_policy(cursor)
        shares = recount.read_window_shares(cursor, options.window_hours)
        had_windows = recount.hashtags_with_windows(cursor)
        windows: list[tuple[str, datetime, datetime]] = []
        found: list[WindowRows] = []
        by_hashtag = {tag: list(rows) for tag, rows in groupby(shares, attrgetter("hashtag"))}
        for hashtag, hours in taken.items():
            of_tag = by_hashtag.get(hashtag, [])
            # n users take at least n / 2 shares
            if len(of_tag) * 2 < options.cluster_min_users and hashtag not in had_windows:
                continue
            planned = plan_windows(hours, options.window_hours, options.window_step_hours)
            windows += [(hashtag, start, end) for start, end in planned]
            found += _cluster_windows(hashtag, of_tag, planned, options, policy_id)
        recount.replace_windows(cursor, windows, found)
    return Tracked(len(taken), n_rows, len(found))


def _cluster_windows(
    hashtag: str,
    shares: Sequence[WindowShare],
    planned: Sequence[tuple[datetime, datetime]],
    options: TrackOptions,
    policy_id: int,
) -> Iterator[WindowRows]:
    times = [share.posted_at.timestamp() for share in shares]
    seen: dict[tuple[int, int], _Clustered | None] = {}
    for start, end in planned:
        inside = tuple(np.searchsorted(times, [start.timestamp(), end.timestamp()]).tolist())
        if inside not in seen:  # a burst stands whole in several windows: cluster it once
            seen[inside] = _cluster(shares[slice(*inside)], options)
        clustered = seen[inside]
        if clustered is not None:
            yield _window_rows((hashtag, start, end), clustered, policy_id)


@dataclass(frozen=True)
class _Clustered:
    """The network of some shares, each clustering of it, and what each cluster spreads."""

    network: UserNetwork
    first_at: datetime
    last_at: datetime
    accounts: list[tuple[str, str]]
    clusterings: list[tuple[Communities, str, Sequence[ClusterSpread]]]


def _cluster(shares: Sequence[WindowShare], options: TrackOptions) -> _Clustered | None:
    """None if the network has fewer users than are clustered."""
    if len(shares) * 2 < options.cluster_min_users:
        return None
    network = build_user_network([s.shared for s in shares], [s.sharer for s in shares])
    if network.n_users < options.cluster_min_users:
        return None
    links = [s for s in shares if s.sharer and s.shared and s.sharer != s.shared]
    number = {user: i for i, user in enumerate(network.users)}
    sharer = np.array([number[s.sharer] for s in links if s.sharer], dtype=np.int64)
    _, content = np.unique([s.root for s in links], return_inverse=True)
    probability = np.array(
        [np.nan if s.probability is None else s.probability for s in links], dtype=np.float64
    )
    likely_false = np.array([bool(s.likely_false) for s in links])
    clusterings = [
        (
            found,
            found.params_hash,
            describe_clusters(
                found.membership[sharer], content, probability, likely_false, found.n_communities
            ),
        )
        for found in (
            louvain(network, seed=options.seed),
            infomap(network, seed=options.seed, directed=False),
        )
    ]
    return _Clustered(
        network=network,
        first_at=shares[0].posted_at,
        last_at=shares[-1].posted_at,
        accounts=[(p, a) for p, _, a in (user.partition(":") for user in network.users)],
        clusterings=clusterings,
    )


def _window_rows(
    key: tuple[str, datetime, datetime], clustered: _Clustered, policy_id: int
) -> WindowRows:
    """The rows of one window, in the column order of their tables."""
    network = clustered.network
    rows = WindowRows(
        network=(
            *key,
            network.n_users,
            len(network.weight),
            int(network.weight.sum()),
            network.n_self_shares,
            network.n_unknown_authors,
            clustered.first_at,
            clustered.last_at,
        ),
        clusterings=[],
        clusters=[],
        members=[],
    )
    counts = list(zip(network.times_shared.tolist(), network.shares_made.tolist(), strict=True))
    for found, params_hash, spreads in clustered.clusterings:
        number = recount.clustering_id(*key, found.algorithm, params_hash)
        rows.clusterings.append(
            (
                number,
                *key,
                found.algorithm,
                params_hash,
                json.dumps(found.parameters, sort_keys=True),
                found.seed,
                found.version,
                found.quality_name,
                found.quality,
                found.n_communities,
                policy_id,
            )
        )
        membership = found.membership.tolist()
        sizes = Counter(membership)
        rows.clusters.extend(
            (
                number,
                cluster,
                sizes[cluster],
                spread.n_shares,
                spread.judged,
                spread.likely_false,
                spread.expected_share,
                spread.expected_low,
                spread.expected_high,
            )
            for cluster, spread in enumerate(spreads)
        )
        rows.members.extend(
            (number, *account, cluster, *count)
            for account, cluster, count in zip(clustered.accounts, membership, counts, strict=True)
        )
    return rows
