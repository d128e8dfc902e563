"""Names of clusters over time: what was stored, what changes, and the labels that go with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import psycopg

from graph.lineage import is_large_enough
from storage.recount import TRACK_LOCK, ClusterLine, shard_of


class StoredWindow(NamedTuple):
    """The clusters of one window by one algorithm, as they are stored."""

    start: datetime
    clusters: list[ClusterLine]
    #: Cluster -> its accounts (platform:id), of clusters with at least as many as were asked for.
    members: dict[int, list[str]]


_CLUSTERING = """
SELECT clustering_id FROM hoaxwatch.clusterings
WHERE (hashtag, algorithm, window_start, window_end) = (%s, %s, %s, %s)
"""

# a decimal number of six digits and the float that was stored as it are equal as floats
_CLUSTERS = """
SELECT clustering_id, cluster, n_users, n_shares, judged, likely_false, expected_share::float8,
       expected_low::float8, expected_high::float8, stability::float8, hub_share::float8, is_star,
       n_coordinated, lineage, n_before, growth::float8, emerging::float8
FROM hoaxwatch.clusters WHERE clustering_id = %s ORDER BY cluster
"""

_LABELLED = """
SELECT k.hashtag, k.algorithm, k.window_start, c.lineage,
       array_agg(m.platform || ':' || m.author_id ORDER BY m.platform, m.author_id)
FROM (SELECT DISTINCT hashtag, algorithm, lineage FROM hoaxwatch.lineage_labels
      WHERE hashtag = ANY (%s)) l
JOIN hoaxwatch.clusterings k USING (hashtag, algorithm)
JOIN hoaxwatch.clusters c ON c.clustering_id = k.clustering_id AND c.lineage = l.lineage
JOIN hoaxwatch.cluster_members m ON m.clustering_id = c.clustering_id AND m.cluster = c.cluster
GROUP BY 1, 2, 3, 4
"""

#: (hashtag, algorithm, lineage) -> window start -> accounts.
Labelled = dict[tuple[str, str, str], dict[datetime, list[str]]]


def read_labelled(cursor: psycopg.Cursor[Any], hashtags: Sequence[str]) -> Labelled:
    """Where the lineages that people have labelled stand now, with their accounts."""
    found: Labelled = {}
    for hashtag, algorithm, start, lineage, members in cursor.execute(_LABELLED, (list(hashtags),)):
        found.setdefault((hashtag, algorithm, lineage), {})[start] = members
    return found


def read_window_starts(
    cursor: psycopg.Cursor[Any], hashtag: str, algorithm: str, length: timedelta, step: timedelta
) -> list[datetime]:
    """The windows of this length that are stored and begin at multiples of the step, in order of
    time. Before the retention floor there may be others."""
    rows = cursor.execute(
        "SELECT DISTINCT window_start FROM hoaxwatch.clusterings"
        " WHERE hashtag = %s AND algorithm = %s AND window_end - window_start = %s"
        " AND extract(epoch FROM window_start)::bigint %% extract(epoch FROM %s)::bigint = 0"
        " ORDER BY 1",
        (hashtag, algorithm, length, step),
    )
    return [start for (start,) in rows]


def read_window(
    cursor: psycopg.Cursor[Any],
    hashtag: str,
    algorithm: str,
    start: datetime,
    length: timedelta,
) -> StoredWindow:
    """One stored window; accounts only of clusters that are followed."""
    found = cursor.execute(_CLUSTERING, (hashtag, algorithm, start, start + length)).fetchone()
    assert found is not None, f"no window {start} of {hashtag}"
    (clustering,) = found
    clusters = [ClusterLine(*row) for row in cursor.execute(_CLUSTERS, (clustering,))]
    followed = [c.cluster for c in clusters if is_large_enough(c.n_users, bool(c.is_star))]
    rows = cursor.execute(
        "SELECT cluster, array_agg(platform || ':' || author_id) FROM hoaxwatch.cluster_members"
        " WHERE clustering_id = %s AND cluster = ANY (%s) GROUP BY cluster",
        (clustering, followed),
    )
    return StoredWindow(start, clusters, dict(rows.fetchall()))


def read_members(
    cursor: psycopg.Cursor[Any],
    hashtag: str,
    algorithm: str,
    starts: Sequence[datetime],
    length: timedelta,
) -> dict[datetime, dict[str, list[str]]]:
    """Window start -> lineage -> accounts; a window without lineages is left out."""
    found: dict[datetime, dict[str, list[str]]] = {}
    rows = cursor.execute(
        "SELECT k.window_start, c.lineage, array_agg(m.platform || ':' || m.author_id)"
        " FROM hoaxwatch.clusterings k JOIN hoaxwatch.clusters c USING (clustering_id)"
        " JOIN hoaxwatch.cluster_members m USING (clustering_id, cluster)"
        " WHERE k.hashtag = %s AND k.algorithm = %s AND k.window_start = ANY (%s)"
        " AND k.window_end - k.window_start = %s AND c.lineage IS NOT NULL GROUP BY 1, 2",
        (hashtag, algorithm, list(starts), length),
    )
    for start, lineage, members in rows:
        found.setdefault(start, {})[lineage] = members
    return found


_RENAME = """
UPDATE hoaxwatch.clusters c
SET lineage = n.lineage, n_before = n.n_before, growth = n.growth, emerging = n.emerging
FROM unnest(%s::bigint[], %s::int[], %s::text[], %s::int[], %s::numeric[], %s::numeric[])
  AS n (clustering_id, cluster, lineage, n_before, growth, emerging)
WHERE c.clustering_id = n.clustering_id AND c.cluster = n.cluster
"""


def update_clusters(cursor: psycopg.Cursor[Any], lines: Sequence[ClusterLine]) -> None:
    """Stores the names and growth of clusters that are stored already."""
    if lines:
        ordered = sorted(lines, key=lambda line: (line.clustering_id, line.cluster))
        names = ("clustering_id", "cluster", "lineage", "n_before", "growth", "emerging")
        cursor.execute(_RENAME, [[getattr(line, name) for line in ordered] for name in names])


def clear_events(
    cursor: psycopg.Cursor[Any],
    hashtag: str,
    algorithm: str,
    after: datetime | None,
    until: datetime | None,
) -> None:
    """Removes what happened in the windows that begin later than `after` (None: all that are
    counted, none of before the retention floor) and not later than `until` (None: without end)."""
    cursor.execute(
        "DELETE FROM hoaxwatch.cluster_events WHERE hashtag = %(hashtag)s"
        " AND algorithm = %(algorithm)s AND (window_start > %(after)s OR %(after)s IS NULL AND"
        "   window_start >= (SELECT coalesce(max(floor), '-infinity') FROM hoaxwatch.retention))"
        " AND window_start <= coalesce(%(until)s, 'infinity'::timestamptz)",
        {"hashtag": hashtag, "algorithm": algorithm, "after": after, "until": until},
    )


class EventLine(NamedTuple):
    """A row of cluster_events."""

    hashtag: str
    algorithm: str
    window_start: datetime
    lineage: str
    kind: str
    other: str | None
    n_before: int
    n_after: int


def add_events(cursor: psycopg.Cursor[Any], events: Iterable[EventLine]) -> None:
    """Stores events of windows of which none are stored."""
    columns = ", ".join(EventLine._fields)
    with cursor.copy(f"COPY hoaxwatch.cluster_events ({columns}) FROM STDIN".encode()) as copy:
        for event in events:
            copy.write_row(event)


class Heir(NamedTuple):
    """Who goes on with a lineage that people have labelled."""

    lineage: str
    #: Whether the former name is still that of some windows.
    is_former_alive: bool


def pass_labels_on(
    cursor: psycopg.Cursor[Any], hashtag: str, algorithm: str, heirs: Mapping[str, Heir]
) -> None:
    """Gives the labels of each lineage to its heir too, and takes them from names that are gone. A
    person who has labelled the heir keeps what they said about it."""
    for former, heir in sorted(heirs.items()):
        place = {"hashtag": hashtag, "algorithm": algorithm, "former": former}
        cursor.execute(
            "INSERT INTO hoaxwatch.lineage_labels"
            " SELECT hashtag, algorithm, %(heir)s, labelled_by, label, labelled_at"
            " FROM hoaxwatch.lineage_labels WHERE hashtag = %(hashtag)s"
            " AND algorithm = %(algorithm)s AND lineage = %(former)s ON CONFLICT DO NOTHING",
            place | {"heir": heir.lineage},
        )
        if not heir.is_former_alive:
            cursor.execute(
                "DELETE FROM hoaxwatch.lineage_labels WHERE hashtag = %(hashtag)s"
                " AND algorithm = %(algorithm)s AND lineage = %(former)s",
                place,
            )


def label_lineage(
    connection: psycopg.Connection, lineage: str, label: str, labelled_by: str, now: datetime
) -> list[tuple[str, str, str]]:
    """Gives a lineage, named by the beginning of its name, a label; an empty one takes it away.

    Returns (hashtag, algorithm, lineage) of what begins so; the label is given only if it is one.
    Waits for a tick that is at work on the hashtag: it has read the labels that go with the names
    that it changes.
    """
    found = _lineages_that_begin(connection, lineage)
    if len(found) != 1:
        return found
    with connection.transaction():
        connection.execute(
            "SELECT pg_advisory_xact_lock(%s, %s)", (TRACK_LOCK, shard_of(found[0][0]))
        )
        found = _lineages_that_begin(connection, lineage)  # that tick may have changed its name
        if len(found) == 1:
            _label(connection, found[0], label, labelled_by, now)
    return found


def _lineages_that_begin(
    connection: psycopg.Connection, lineage: str
) -> list[tuple[str, str, str]]:
    return connection.execute(
        "SELECT DISTINCT k.hashtag, k.algorithm, c.lineage FROM hoaxwatch.clusters c"
        " JOIN hoaxwatch.clusterings k USING (clustering_id)"
        " WHERE starts_with(c.lineage, %s) ORDER BY 1, 2, 3",
        (lineage,),
    ).fetchall()


def _label(
    connection: psycopg.Connection,
    named: tuple[str, str, str],
    label: str,
    labelled_by: str,
    now: datetime,
) -> None:
    connection.execute(
        "DELETE FROM hoaxwatch.lineage_labels"
        " WHERE (hashtag, algorithm, lineage, labelled_by) = (%s, %s, %s, %s)",
        (*named, labelled_by),
    )
    if label:
        connection.execute(
            "INSERT INTO hoaxwatch.lineage_labels (hashtag, algorithm, lineage, labelled_by,"
            " label, labelled_at) VALUES (%s, %s, %s, %s, %s, %s)",
            (*named, labelled_by, label, now),
        )
