"""The clusters of each hashtag in each window of event time, ready to be stored.

Everything here is made from what the database says and changes nothing there, so it runs beside the
counting.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby, islice
from operator import attrgetter

import numpy as np

from graph.communities import Communities, infomap, louvain, louvain_runs
from graph.coordination import find_network, index_actions, may_coordinate
from graph.keys import index_keys
from graph.spread import microseconds
from graph.stability import Stars, find_stars, overlaps_with
from graph.users import UserNetwork, build_user_network
from graph.windows import ClusterSpread, describe_clusters, plan_windows
from storage import recount
from storage.database import Connection, connect_again
from storage.recount import AccountLine, ClusterLine, Window, WindowRows, WindowShare
from streams.lineages import DECIMALS


@dataclass(frozen=True)
class TrackOptions:
    """How clusters are made."""

    window_hours: int = 24
    window_step_hours: int = 6
    cluster_min_users: int = 20
    stability_runs: int = 4
    seed: int = 1
    #: Windows that begin before it stay as they are: posts of them are not kept any more.
    not_before: datetime | None = None

    @property
    def length(self) -> timedelta:
        """Of a window."""
        return timedelta(hours=self.window_hours)

    @property
    def step(self) -> timedelta:
        """From the start of a window to that of the next."""
        return timedelta(hours=self.window_step_hours)


#: Windows are handed over and stored so many accounts at a time.
ACCOUNTS_AT_ONCE = 2_500


def windows_of(hashtag: str, hours: Sequence[datetime], options: TrackOptions) -> list[Window]:
    """The windows of a hashtag that overlap these hours, but for those that stay as they are."""
    planned = plan_windows(hours, options.window_hours, options.window_step_hours)
    floor = options.not_before
    return [(hashtag, *window) for window in planned if floor is None or window[0] >= floor]


def cluster_hashtags(
    connection: Connection,
    taken: Mapping[str, Sequence[datetime]],
    options: TrackOptions,
    policy_id: int,
) -> Iterator[list[WindowRows]]:
    """What stands in the windows that overlap the taken hours, by hashtag and time; in lists of
    ACCOUNTS_AT_ONCE accounts.

    Reads through a connection of its own. Whoever stores a share meanwhile marks its hour again, so
    it is no matter whether it is seen here.
    """
    found: list[WindowRows] = []
    n_accounts = 0
    with connect_again(connection) as reader:
        min_shares = -(-options.cluster_min_users // 2)  # a share has two ends
        shares = recount.read_window_shares(reader, taken, options.window_hours, min_shares)
        for hashtag, of_hashtag in groupby(shares, attrgetter("hashtag")):
            windows = windows_of(hashtag, taken[hashtag], options)
            for rows in _cluster_windows(of_hashtag, windows, options, policy_id):
                found.append(rows)
                n_accounts += len(rows.accounts)
                if n_accounts >= ACCOUNTS_AT_ONCE:
                    yield found
                    found, n_accounts = [], 0
    yield found


def _cluster_windows(
    shares: Iterable[WindowShare],
    windows: Sequence[Window],
    options: TrackOptions,
    policy_id: int,
) -> Iterator[WindowRows]:
    """What stands in windows of one hashtag, both in order of time; holds one window at a time."""
    coming = iter(shares)
    held: deque[WindowShare] = deque()  # what the window has, and at most one share behind it
    n_passed = 0
    inside, clustered = (0, 0), None
    for window in windows:
        _, start, end = window
        while held and held[0].posted_at < start:
            held.popleft()
            n_passed += 1
        while not held or held[-1].posted_at < end:
            share = next(coming, None)
            if share is None:
                break
            if share.posted_at >= start:
                held.append(share)
            else:
                n_passed += 1
        n_inside = len(held) - (bool(held) and held[-1].posted_at >= end)
        if (n_passed, n_inside) != inside:  # a burst stands whole in several windows: cluster once
            inside = n_passed, n_inside
            clustered = _cluster(list(islice(held, n_inside)), options)
        if clustered is not None:
            yield _window_rows(window, clustered, policy_id)


@dataclass(frozen=True)
class _Clustered:
    """The network of some shares, each clustering of it, and what each cluster spreads."""

    network: UserNetwork
    first_at: datetime
    last_at: datetime
    account_lines: Sequence[AccountLine]
    clusterings: list[tuple[Communities, str, Sequence[ClusterSpread], _Trust]]


@dataclass(frozen=True)
class _Trust:
    """How far each cluster can be trusted; None where it was not measured."""

    stability: Sequence[float] | None
    hub_share: Sequence[float | None]
    is_star: Sequence[bool]
    n_coordinated: Sequence[int]


def _cluster(shares: Sequence[WindowShare], options: TrackOptions) -> _Clustered | None:
    """None if the network has fewer users than are clustered."""
    accounts = {s.shared for s in shares} | {s.sharer for s in shares}
    if len(accounts) < options.cluster_min_users:  # most windows: no network is made of them
        return None
    network = build_user_network([s.shared for s in shares], [s.sharer for s in shares])
    if network.n_users < options.cluster_min_users:
        return None
    links = [s for s in shares if s.sharer and s.shared and s.sharer != s.shared]
    number = {user: i for i, user in enumerate(network.users)}
    sharer = np.array([number[s.sharer] for s in links if s.sharer], dtype=np.int64)
    _, (content,) = index_keys([s.root for s in links])
    probability = np.array(
        [np.nan if s.probability is None else s.probability for s in links], dtype=np.float64
    )
    likely_false = np.array([bool(s.likely_false) for s in links])
    coordinated = _coordinated(links, number)
    described: dict[bytes, tuple[Sequence[ClusterSpread], Stars]] = {}
    clusterings = []
    for found in (
        louvain(network, seed=options.seed),
        infomap(network, seed=options.seed, directed=False),
    ):
        key = found.membership.tobytes()
        if key not in described:  # in two of three windows both find the same
            described[key] = (
                describe_clusters(
                    found.membership[sharer],
                    content,
                    probability,
                    likely_false,
                    found.n_communities,
                ),
                find_stars(network, found.membership),
            )
        spreads, stars = described[key]
        trust = _trust(network, found, stars, coordinated, options)
        clusterings.append((found, found.params_hash, spreads, trust))
    return _Clustered(
        network=network,
        first_at=shares[0].posted_at,
        last_at=shares[-1].posted_at,
        account_lines=recount.account_lines(
            network.users, network.times_shared.tolist(), network.shares_made.tolist()
        ),
        clusterings=clusterings,
    )


def _coordinated(links: Sequence[WindowShare], number: Mapping[str, int]) -> list[int]:
    """The users that share the same within a minute more than chance explains."""
    sharers, roots = [s.sharer for s in links], [s.root for s in links]
    times = [s.posted_at for s in links]
    if not may_coordinate(sharers, roots, times):
        return []
    actions = index_actions(sharers, roots, [microseconds(moment) for moment in times])
    groups = find_network(actions).groups()
    return [number[actions.accounts[i]] for group in groups for i in group.tolist()]


def _trust(
    network: UserNetwork,
    found: Communities,
    stars: Stars,
    coordinated: Sequence[int],
    options: TrackOptions,
) -> _Trust:
    """Of Louvain's clusters also whether runs with other seeds find them again: Infomap would take
    as long for it as for everything else."""
    stability = None
    if found.algorithm == "louvain" and options.stability_runs:
        others = range(options.seed + 1, options.seed + 1 + options.stability_runs)
        runs = louvain_runs(network, others)
        # of the pairs of runs only the overlaps with what is stored are wanted
        stability = overlaps_with(found.membership, runs).round(DECIMALS).tolist()
    return _Trust(
        stability=stability,
        hub_share=[
            None if np.isnan(share) else round(share, DECIMALS)
            for share in stars.hub_share.tolist()
        ],
        is_star=stars.is_star.tolist(),
        n_coordinated=np.bincount(
            found.membership[list(coordinated)], minlength=found.n_communities
        ).tolist(),
    )


def _window_rows(key: Window, clustered: _Clustered, policy_id: int) -> WindowRows:
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
        accounts=network.users,
        account_lines=clustered.account_lines,
        memberships={},
    )
    for found, params_hash, spreads, trust in clustered.clusterings:
        number = recount.clustering_id(*key, found.algorithm, params_hash)
        rows.clusterings.append(
            (
                number,
                *key,
                found.algorithm,
                params_hash,
                found.parameters_text,
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
            ClusterLine(
                clustering_id=number,
                cluster=cluster,
                n_users=sizes[cluster],
                n_shares=spread.n_shares,
                judged=spread.judged,
                likely_false=spread.likely_false,
                expected_share=spread.expected_share,
                expected_low=spread.expected_low,
                expected_high=spread.expected_high,
                stability=None if trust.stability is None else trust.stability[cluster],
                hub_share=trust.hub_share[cluster],
                is_star=trust.is_star[cluster],
                n_coordinated=trust.n_coordinated[cluster],
            )
            for cluster, spread in enumerate(spreads)
        )
        rows.memberships[number] = membership
    return rows
