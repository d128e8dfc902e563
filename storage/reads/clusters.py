"""Networks, clusters, their events, members and links."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import psycopg
from psycopg.rows import class_row

from storage.reads.periods import whole_days


class ClusterRow(NamedTuple):
    """One cluster of one window."""

    hashtag: str
    window_start: datetime
    window_end: datetime
    algorithm: str
    clustering_id: int
    cluster: int
    n_users: int
    n_shares: int
    judged: int
    likely_false: int
    expected_share: float | None
    expected_low: float | None
    expected_high: float | None
    quality_name: str
    quality: float
    n_clusters: int
    #: The name that stays from window to window; None: too small to be followed.
    lineage: str | None = None
    #: How far runs with other seeds find it again (0 to 1); None: not measured.
    stability: float | None = None
    hub_share: float | None = None
    is_star: bool | None = None
    n_coordinated: int | None = None
    #: Accounts of the lineage one window length earlier, and the sure part that is growth.
    n_before: int | None = None
    growth: float | None = None
    emerging: float | None = None
    #: What people call the lineage.
    label: str | None = None


class EventRow(NamedTuple):
    """What happened to a lineage between two windows."""

    hashtag: str
    algorithm: str
    window_start: datetime
    lineage: str
    kind: str
    other: str | None
    n_before: int
    n_after: int
    label: str | None


class NetworkRow(NamedTuple):
    """The user network of a hashtag in a window."""

    hashtag: str
    window_start: datetime
    window_end: datetime
    n_users: int
    n_links: int
    n_shares: int
    n_self_shares: int
    n_unknown_authors: int
    first_at: datetime
    last_at: datetime


class LinkRow(NamedTuple):
    """Shares of one account's posts by another, with how they were judged."""

    shared: str
    sharer: str
    n_shares: int
    judged: int
    likely_false: int
    first_at: datetime
    last_at: datetime


class UserRow(NamedTuple):
    """An account as last seen."""

    user: str
    handle: str | None
    followers: int | None


class PairRow(NamedTuple):
    """Two hashtags that stand in the same posts."""

    hashtag_a: str
    hashtag_b: str
    posts: int
    originals: int


def read_networks(connection: psycopg.Connection, hashtag: str) -> list[NetworkRow]:
    """The windows in which a hashtag's user network was clustered, in order of time."""
    cursor = connection.cursor(row_factory=class_row(NetworkRow))
    return cursor.execute(
        "SELECT hashtag, window_start, window_end, n_users, n_links, n_shares, n_self_shares,"
        " n_unknown_authors, first_at, last_at FROM hoaxwatch.networks WHERE hashtag = %s"
        " ORDER BY window_start",
        (hashtag,),
    ).fetchall()


def read_largest_networks(
    connection: psycopg.Connection,
    limit: int,
    hashtag: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[NetworkRow]:
    """The window with most accounts of each hashtag (of one), greatest first.

    Windows count that begin before `until` and end after `since`."""
    cursor = connection.cursor(row_factory=class_row(NetworkRow))
    return cursor.execute(
        "SELECT * FROM (SELECT DISTINCT ON (hashtag) hashtag, window_start, window_end, n_users,"
        " n_links, n_shares, n_self_shares, n_unknown_authors, first_at, last_at"
        " FROM hoaxwatch.networks WHERE hashtag = coalesce(%s, hashtag)"
        " AND window_end > coalesce(%s, '-infinity'::timestamptz)"
        " AND window_start < coalesce(%s, 'infinity'::timestamptz)"
        " ORDER BY hashtag, n_users DESC, window_start) n"
        " ORDER BY n_users DESC, hashtag LIMIT %s",
        (hashtag, since, until, limit),
    ).fetchall()


_CLUSTER_COLUMNS = """
hashtag, window_start, window_end, algorithm, clustering_id, cluster, n_users, n_shares, judged,
likely_false, expected_share::float8, expected_low::float8, expected_high::float8, quality_name,
quality::float8, n_clusters, lineage, stability::float8, hub_share::float8, is_star, n_coordinated,
n_before, growth::float8, emerging::float8, l.label
"""


# what several people call it, the latest first
_LABELS = """
LEFT JOIN (
    SELECT hashtag, algorithm, lineage,
           string_agg(label, ' / ' ORDER BY labelled_at DESC, labelled_by) AS label
    FROM mart.lineage_labels GROUP BY hashtag, algorithm, lineage
) l USING (hashtag, algorithm, lineage)
"""


def read_clusters(
    connection: psycopg.Connection,
    hashtag: str,
    algorithm: str | None = None,
    window_start: datetime | None = None,
    min_users: int = 2,
) -> list[ClusterRow]:
    """Clusters of a hashtag, by window, algorithm and size."""
    cursor = connection.cursor(row_factory=class_row(ClusterRow))
    return cursor.execute(
        f"SELECT {_CLUSTER_COLUMNS} FROM mart.clusters c {_LABELS}"
        " WHERE hashtag = %s AND algorithm = coalesce(%s, algorithm)"
        " AND window_start = coalesce(%s, window_start) AND n_users >= %s"
        " ORDER BY window_start, algorithm, cluster".encode(),
        (hashtag, algorithm, window_start, min_users),
    ).fetchall()


def read_emerging(
    connection: psycopg.Connection,
    limit: int,
    hashtag: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[ClusterRow]:
    """The lineages with the greatest emerging score (see `graph.emerging`), greatest first: each
    with the window in which it was greatest. Windows count that begin in the period."""
    cursor = connection.cursor(row_factory=class_row(ClusterRow))
    return cursor.execute(
        f"SELECT {_CLUSTER_COLUMNS} FROM ("
        " SELECT * FROM (SELECT DISTINCT ON (hashtag, algorithm, lineage) * FROM mart.clusters"
        " WHERE emerging IS NOT NULL AND (%(hashtag)s::text IS NULL OR hashtag = %(hashtag)s)"
        " AND window_start >= coalesce(%(since)s, '-infinity'::timestamptz)"
        " AND window_start < coalesce(%(until)s, 'infinity'::timestamptz)"
        " ORDER BY hashtag, algorithm, lineage, emerging DESC, window_start) e"
        f" ORDER BY emerging DESC, hashtag, lineage LIMIT %(limit)s) c {_LABELS}"
        " ORDER BY c.emerging DESC, hashtag, lineage".encode(),
        {"hashtag": hashtag, "since": since, "until": until, "limit": limit},
    ).fetchall()


def read_events(
    connection: psycopg.Connection,
    hashtag: str,
    algorithm: str,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[EventRow]:
    """What happened to the lineages of a hashtag, in order of time and name."""
    cursor = connection.cursor(row_factory=class_row(EventRow))
    return cursor.execute(
        "SELECT hashtag, algorithm, window_start, lineage, kind, other, n_before, n_after, l.label"
        f" FROM mart.cluster_events c {_LABELS} WHERE hashtag = %s AND algorithm = %s"
        " AND window_start >= coalesce(%s, '-infinity'::timestamptz)"
        " AND window_start < coalesce(%s, 'infinity'::timestamptz)"
        " ORDER BY window_start, lineage".encode(),
        (hashtag, algorithm, since, until),
    ).fetchall()


def read_top_members(
    connection: psycopg.Connection,
    clustering_id: int,
    per_cluster: int,
    clusters: Sequence[int] | None = None,
) -> dict[int, list[str]]:
    """Cluster (of these; None: of all) -> its most shared accounts, as handles where known."""
    rows = connection.execute(
        "SELECT cluster, coalesce((a.handle).value, m.author_id) FROM ("
        "  SELECT *, row_number() OVER (PARTITION BY cluster"
        "    ORDER BY times_shared DESC, shares_made DESC, author_id) AS place"
        "  FROM hoaxwatch.cluster_members WHERE clustering_id = %s"
        "  AND (%s::int[] IS NULL OR cluster = ANY (%s))) m"
        " LEFT JOIN hoaxwatch.authors a USING (platform, author_id)"
        " WHERE place <= %s ORDER BY cluster, place",
        (clustering_id, *[None if clusters is None else list(clusters)] * 2, per_cluster),
    )
    found: dict[int, list[str]] = {}
    for cluster, name in rows:
        found.setdefault(cluster, []).append(name)
    return found


def read_leaders(
    connection: psycopg.Connection, clusters: Sequence[ClusterRow], per_cluster: int = 3
) -> list[list[str]]:
    """The most shared accounts of each of these clusters, as handles where known."""
    wanted: dict[int, list[int]] = {}
    for cluster in clusters:
        wanted.setdefault(cluster.clustering_id, []).append(cluster.cluster)
    found = {
        clustering: read_top_members(connection, clustering, per_cluster, numbers)
        for clustering, numbers in wanted.items()
    }
    return [found[cluster.clustering_id].get(cluster.cluster, []) for cluster in clusters]


def read_links(
    connection: psycopg.Connection,
    hashtag: str | None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[LinkRow]:
    """The user network of a hashtag (of everything: None) in a period: who shares whom, sorted.

    Own shares and shares between unknown accounts are left out."""
    # begun with the contents of a hashtag: asked for both in one way, it went through all shares
    of_hashtag = (
        ""
        if hashtag is None
        else "JOIN hoaxwatch.content_hashtags h ON h.hashtag = %(hashtag)s"
        " AND h.platform = s.platform AND h.root_id = s.root_id"
    )
    cursor = connection.cursor(row_factory=class_row(LinkRow))
    return cursor.execute(
        "SELECT r.platform || ':' || r.author_id AS shared,"
        " s.platform || ':' || s.author_id AS sharer, count(*) AS n_shares,"
        " count(v.probability) AS judged,"
        " count(*) FILTER (WHERE v.likely_false) AS likely_false,"
        " min(s.posted_at) AS first_at, max(s.posted_at) AS last_at"
        f" FROM hoaxwatch.posts s {of_hashtag}"
        " JOIN hoaxwatch.posts r ON r.platform = s.platform AND r.post_id = s.share_of"
        " JOIN hoaxwatch.content_verdict v"
        "   ON v.platform = s.platform AND v.root_id = s.root_id"
        " WHERE s.kind = 'share' AND r.author_id <> s.author_id"
        " AND s.posted_at >= coalesce(%(since)s, '-infinity'::timestamptz)"
        " AND s.posted_at < coalesce(%(until)s, 'infinity'::timestamptz)"
        " GROUP BY 1, 2 ORDER BY 1, 2".encode(),
        {"hashtag": hashtag, "since": since, "until": until},
    ).fetchall()


def read_shares(
    connection: psycopg.Connection,
    hashtag: str | None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[tuple[str | None, str, int]]:
    """The shares of a hashtag (of everything: None) in a period, in any order: by whom (None: not
    known), of which content, when (microseconds since 1970)."""
    of_hashtag = (
        ""
        if hashtag is None
        else "JOIN hoaxwatch.content_hashtags h ON h.hashtag = %(hashtag)s"
        " AND h.platform = s.platform AND h.root_id = s.root_id"
    )
    return connection.execute(
        "SELECT s.platform || ':' || s.author_id, s.platform || ':' || s.root_id,"
        " (extract(epoch FROM s.posted_at) * 1000000)::bigint"
        f" FROM hoaxwatch.posts s {of_hashtag}"
        " WHERE s.share_of IS NOT NULL"
        " AND s.posted_at >= coalesce(%(since)s, '-infinity'::timestamptz)"
        " AND s.posted_at < coalesce(%(until)s, 'infinity'::timestamptz)".encode(),
        {"hashtag": hashtag, "since": since, "until": until},
    ).fetchall()


def read_users(connection: psycopg.Connection, users: Sequence[str]) -> list[UserRow]:
    """Handles and followers of accounts named platform:id."""
    pairs = [user.partition(":")[::2] for user in users]
    cursor = connection.cursor(row_factory=class_row(UserRow))
    return cursor.execute(
        "SELECT a.platform || ':' || a.author_id AS user, (a.handle).value AS handle,"
        " (a.followers).value AS followers FROM hoaxwatch.authors a"
        " JOIN unnest(%s::text[], %s::text[]) AS u (platform, author_id)"
        " USING (platform, author_id) ORDER BY 1",
        ([platform for platform, _ in pairs], [author for _, author in pairs]),
    ).fetchall()


def read_pairs(
    connection: psycopg.Connection,
    hashtag: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 1000,
) -> list[PairRow]:
    """Hashtags that stand together on the days (UTC) that a period touches, most frequent first;
    with `hashtag`, its partners only."""
    cursor = connection.cursor(row_factory=class_row(PairRow))
    return cursor.execute(
        "SELECT hashtag_a, hashtag_b, sum(posts)::bigint AS posts,"
        " sum(originals)::bigint AS originals FROM hoaxwatch.hashtag_pairs"
        " WHERE day >= coalesce(%s, '-infinity'::timestamptz)"
        " AND day < coalesce(%s, 'infinity'::timestamptz)"
        " AND (%s::text IS NULL OR hashtag_a = %s OR hashtag_b = %s)"
        " GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT %s",
        (*whole_days(since, until), hashtag, hashtag, hashtag, limit),
    ).fetchall()


def read_pairs_among(
    connection: psycopg.Connection,
    hashtags: Sequence[str],
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[PairRow]:
    """The links between these hashtags on the days (UTC) that a period touches, sorted."""
    days = whole_days(since, until)
    cursor = connection.cursor(row_factory=class_row(PairRow))
    return cursor.execute(
        "SELECT hashtag_a, hashtag_b, sum(posts)::bigint AS posts,"
        " sum(originals)::bigint AS originals FROM hoaxwatch.hashtag_pairs"
        " WHERE hashtag_a = ANY (%(hashtags)s) AND hashtag_b = ANY (%(hashtags)s)"
        " AND day >= coalesce(%(since)s, '-infinity'::timestamptz)"
        " AND day < coalesce(%(until)s, 'infinity'::timestamptz)"
        " GROUP BY 1, 2 ORDER BY 1, 2",
        {"hashtags": list(hashtags), "since": days.since, "until": days.until},
    ).fetchall()
