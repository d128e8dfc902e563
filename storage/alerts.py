"""Alerts as rows: the facts that rules read, the stories that are told of them, what people decide.

The facts are few of many rows: each query asks only for what some rule may fire on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, TypeVar

import psycopg
from psycopg.rows import class_row, dict_row

from storage.outbox import MAY_GO, SWEEP_LOCK
from storage.reads import read_newest

#: As often as that a sweep begins that people's decisions cross with.
SWEEP_TRIES = 20

T = TypeVar("T")

#: Below these no rule can fire (`streams.alerts.policies`): an index holds what is above.
LEAST_EMERGING, LEAST_COORDINATED = 0.01, 3

# Facts


class ClusterFact(NamedTuple):
    """One followed cluster of a window; None is unknown."""

    hashtag: str
    lineage: str
    window_start: datetime
    window_end: datetime
    clustering_id: int
    cluster: int
    n_users: int
    n_before: int | None
    n_shares: int
    judged: int
    expected_share: float | None
    expected_low: float | None
    stability: float | None
    n_coordinated: int
    growth: float | None
    emerging: float | None
    #: Different contents that its accounts shared.
    n_contents: int


class LinkFact(NamedTuple):
    """An account (platform:id) posted a link of its own accord: it is not in a post it shared."""

    link: str
    account: str
    posted_at: datetime
    #: platform:id of the content, and the hashtags in it.
    post: str
    hashtags: tuple[str, ...]


class SinkFact(NamedTuple):
    """An alert that a sink does not take."""

    sink: str
    tries: int
    failing_since: datetime
    error: str


class Arrived(NamedTuple):
    """When the newest record came, and how many came, and were put aside, since a moment."""

    newest_at: datetime | None
    n_received: int
    n_quarantined: int


def read_span(
    connection: psycopg.Connection, lookback: timedelta
) -> tuple[datetime | None, datetime | None]:
    """The first and the end of the last whole hour of what was collected, in event time.

    The newest hour that has a post may still go on: it is not whole. Old posts that came along
    inside new ones do not count as collected, nor do days of which posts are not kept any more.
    """
    newest = read_newest(connection)
    if newest is None:
        return None, None
    row = connection.execute(
        "SELECT date_trunc('hour', min(posted_at)), date_trunc('hour', max(posted_at))"
        " FROM hoaxwatch.posts WHERE seen_as = 'collected' AND posted_at >= %s"
        " AND posted_at >= (SELECT coalesce(max(floor), '-infinity') FROM hoaxwatch.retention)",
        (newest - lookback,),
    ).fetchone()
    assert row is not None
    return row[0], row[1]


_SHARED = """
hoaxwatch.cluster_members m
JOIN hoaxwatch.posts s ON s.platform = m.platform AND s.author_id = m.author_id
     AND s.kind = 'share' AND s.posted_at >= k.window_start AND s.posted_at < k.window_end
JOIN hoaxwatch.content_hashtags h ON h.hashtag = k.hashtag AND h.platform = s.platform
     AND h.root_id = s.root_id
"""

# the first condition is the index's, whatever the policies say
_CLUSTERS = f"""
SELECT k.hashtag, c.lineage, k.window_start, k.window_end, c.clustering_id, c.cluster, c.n_users,
       c.n_before, c.n_shares, c.judged, c.expected_share::float8, c.expected_low::float8,
       c.stability::float8, coalesce(c.n_coordinated, 0) AS n_coordinated, c.growth::float8,
       c.emerging::float8, n.n_contents
FROM hoaxwatch.clusters c JOIN hoaxwatch.clusterings k USING (clustering_id)
CROSS JOIN LATERAL (
    SELECT count(DISTINCT (s.platform, s.root_id)) AS n_contents FROM {_SHARED}
    WHERE m.clustering_id = c.clustering_id AND m.cluster = c.cluster
) n
WHERE (c.emerging >= {LEAST_EMERGING} OR c.n_coordinated >= {LEAST_COORDINATED})
AND (c.emerging >= %(emerging)s OR c.n_coordinated >= %(coordinated)s) AND c.lineage IS NOT NULL
AND k.algorithm = 'louvain' AND k.window_end > %(since)s AND k.window_end <= %(until)s
"""


def read_cluster_facts(
    connection: psycopg.Connection,
    since: datetime,
    until: datetime,
    min_emerging: float,
    min_coordinated: int,
) -> list[ClusterFact]:
    """Louvain's followed clusters of windows that ended in the span, with one value or the other.

    Infomap's have no stability, and so no score."""
    cursor = connection.cursor(row_factory=class_row(ClusterFact))
    return cursor.execute(
        _CLUSTERS.encode(),
        {"since": since, "until": until, "emerging": min_emerging, "coordinated": min_coordinated},
    ).fetchall()


# A burst of a width lies wholly in a bin of twice the width, or in one half a bin later.
_LINKS = """
WITH posted AS (
    SELECT l.link, p.platform || ':' || p.author_id AS account, p.posted_at, p.platform, p.root_id
    FROM hoaxwatch.posts p JOIN hoaxwatch.content_links l USING (platform, root_id)
    WHERE p.kind <> 'share' AND p.author_id IS NOT NULL
    AND p.posted_at >= %(since)s AND p.posted_at < %(until)s
), binned AS (
    SELECT link, account, date_bin(2 * %(width)s::interval, posted_at, origin) AS bin
    FROM posted CROSS JOIN (VALUES (%(since)s::timestamptz),
                                   (%(since)s::timestamptz - %(width)s::interval)) o (origin)
), busy AS (
    SELECT link, bin FROM binned GROUP BY link, bin HAVING count(DISTINCT account) >= %(accounts)s
)
SELECT DISTINCT p.link, p.account, p.posted_at, p.platform || ':' || p.root_id, c.hashtags
FROM posted p
JOIN busy b ON b.link = p.link AND p.posted_at >= b.bin
           AND p.posted_at < b.bin + 2 * %(width)s::interval
JOIN hoaxwatch.content c USING (platform, root_id)
"""


def read_link_facts(
    connection: psycopg.Connection,
    since: datetime,
    until: datetime,
    width: timedelta,
    min_accounts: int,
) -> list[LinkFact]:
    """Who posted which link when, where enough accounts posted one within a while."""
    rows = connection.execute(
        _LINKS, {"since": since, "until": until, "width": width, "accounts": min_accounts}
    )
    return [
        LinkFact(link, account, at, post, tuple(tags)) for link, account, at, post, tags in rows
    ]


def read_arrived(connection: psycopg.Connection, since: datetime) -> Arrived:
    """What came since a moment of wall-clock time."""
    newest, n_received = _read_payloads_between(connection, since, datetime.max.replace(tzinfo=UTC))
    # back in steps that double: no more is read than must be
    begin, step = since, timedelta(hours=1)
    while newest is None and _has_payloads_before(connection, begin):
        newest, _ = _read_payloads_between(connection, begin - step, begin)
        begin, step = begin - step, 2 * step
    row = connection.execute(
        "SELECT max(received_at), count(*) FILTER (WHERE received_at >= %s)"
        " FROM hoaxwatch.quarantine",
        (since,),
    ).fetchone()
    assert row is not None
    return Arrived(max(filter(None, (newest, row[0])), default=None), n_received, row[1])


def _read_payloads_between(
    connection: psycopg.Connection, since: datetime, until: datetime
) -> tuple[datetime | None, int]:
    """The newest time of receipt in a span, and how many raw records were received in it."""
    row = connection.execute(
        "SELECT max(received_at), count(*) FROM hoaxwatch.payloads"
        " WHERE received_at >= %s AND received_at < %s",
        (since, until),
    ).fetchone()
    assert row is not None
    return row[0], row[1]


def _has_payloads_before(connection: psycopg.Connection, until: datetime) -> bool:
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM hoaxwatch.payloads WHERE received_at < %s)", (until,)
    ).fetchone()
    return row == (True,)


def read_failing_sinks(connection: psycopg.Connection, now: datetime) -> list[SinkFact]:
    """Alerts that sinks failed to take and still have to, also sinks that are gone by now."""
    cursor = connection.cursor(row_factory=class_row(SinkFact))
    return cursor.execute(
        "SELECT sink, tries, failing_since, error FROM hoaxwatch.alert_deliveries"
        " WHERE sent_at IS NULL AND error IS NOT NULL AND alert_id IN"
        f" (SELECT alert_id FROM hoaxwatch.alerts WHERE {MAY_GO})".encode(),
        {"now": now},
    ).fetchall()


# Evidence

_CLUSTER_POSTS = f"""
SELECT w.clustering_id, w.cluster, e.post, e.n, e.probability
FROM unnest(%s::bigint[], %s::int[]) AS w (clustering_id, cluster)
JOIN hoaxwatch.clusterings k USING (clustering_id)
CROSS JOIN LATERAL (
    SELECT s.platform || ':' || s.root_id AS post, count(*) AS n,
           max(v.probability)::float8 AS probability
    FROM {_SHARED}
    JOIN hoaxwatch.content_verdict v ON v.platform = s.platform AND v.root_id = s.root_id
    WHERE m.clustering_id = w.clustering_id AND m.cluster = w.cluster
    GROUP BY 1 ORDER BY n DESC, post LIMIT %s
) e ORDER BY 1, 2, e.n DESC, e.post
"""

_CLUSTER_ACCOUNTS = """
SELECT clustering_id, cluster, array_agg(platform || ':' || author_id ORDER BY place)
FROM (
    SELECT m.*, row_number() OVER (PARTITION BY clustering_id, cluster
           ORDER BY times_shared DESC, shares_made DESC, platform, author_id) AS place
    FROM hoaxwatch.cluster_members m
    JOIN unnest(%s::bigint[], %s::int[]) AS w (clustering_id, cluster)
         USING (clustering_id, cluster)
) m WHERE place <= %s GROUP BY 1, 2
"""

_HOUR_POSTS = """
SELECT w.hashtag, w.hour, e.post, e.n, e.probability
FROM unnest(%s::text[], %s::timestamptz[]) AS w (hashtag, hour)
CROSS JOIN LATERAL (
    SELECT p.platform || ':' || p.root_id AS post, count(*) AS n,
           max(v.probability)::float8 AS probability
    FROM hoaxwatch.content_hashtags h
    JOIN hoaxwatch.posts p ON p.platform = h.platform AND p.root_id = h.root_id
         AND p.posted_at >= w.hour AND p.posted_at < w.hour + interval '1 hour'
    JOIN hoaxwatch.content_verdict v ON v.platform = p.platform AND v.root_id = p.root_id
    WHERE h.hashtag = w.hashtag GROUP BY 1 ORDER BY n DESC, post LIMIT %s
) e ORDER BY 1, 2, e.n DESC, e.post
"""

_HOUR_ACCOUNTS = """
SELECT w.hashtag, w.hour, array_agg(e.account ORDER BY e.n DESC, e.account)
FROM unnest(%s::text[], %s::timestamptz[]) AS w (hashtag, hour)
CROSS JOIN LATERAL (
    SELECT p.platform || ':' || p.author_id AS account, count(*) AS n
    FROM hoaxwatch.content_hashtags h
    JOIN hoaxwatch.posts p ON p.platform = h.platform AND p.root_id = h.root_id
         AND p.posted_at >= w.hour AND p.posted_at < w.hour + interval '1 hour'
    WHERE h.hashtag = w.hashtag AND p.author_id IS NOT NULL
    GROUP BY 1 ORDER BY n DESC, account LIMIT %s
) e GROUP BY 1, 2
"""


class Shown(NamedTuple):
    """The most shared (or posted) contents with how often and their probability, and accounts."""

    posts: list[tuple[str, int, float | None]]
    accounts: list[str]


def read_cluster_evidence(
    connection: psycopg.Connection,
    clusters: Sequence[tuple[int, int]],
    n_posts: int,
    n_accounts: int,
) -> dict[tuple[int, int], Shown]:
    """Of each (clustering, cluster): what its accounts shared most, and its most shared accounts.

    Contents without a policy in force have no verdict, and are not shown."""
    keys = [list(column) for column in zip(*clusters, strict=True)] or [[], []]
    found = {key: Shown([], []) for key in clusters}
    for clustering, cluster, *post in connection.execute(_CLUSTER_POSTS.encode(), (*keys, n_posts)):
        found[clustering, cluster].posts.append((post[0], post[1], post[2]))
    for clustering, cluster, names in connection.execute(_CLUSTER_ACCOUNTS, (*keys, n_accounts)):
        found[clustering, cluster].accounts.extend(names)
    return found


def read_hour_evidence(
    connection: psycopg.Connection,
    hours: Sequence[tuple[str, datetime]],
    n_posts: int,
    n_accounts: int,
) -> dict[tuple[str, datetime], Shown]:
    """Of each hour of a hashtag: the contents most posted and shared, and the busiest accounts."""
    keys = [list(column) for column in zip(*hours, strict=True)] or [[], []]
    found = {key: Shown([], []) for key in hours}
    for hashtag, hour, *post in connection.execute(_HOUR_POSTS, (*keys, n_posts)):
        found[hashtag, hour].posts.append((post[0], post[1], post[2]))
    for hashtag, hour, names in connection.execute(_HOUR_ACCOUNTS, (*keys, n_accounts)):
        found[hashtag, hour].accounts.extend(names)
    return found


# Stories


class AlertLine(NamedTuple):
    """What is told of one story: the columns of its row that come from facts."""

    rule: str
    subject: str
    hashtag: str | None
    summary: str
    evidence: Mapping[str, Any]
    strength: float
    opened_at: datetime
    last_at: datetime
    over_at: datetime | None
    n_episodes: int
    is_shadow: bool


class StoredAlert(NamedTuple):
    """What a sweep has to know of a row."""

    alert_id: int
    rule: str
    subject: str
    hashtag: str | None
    opened_at: datetime
    last_at: datetime
    over_at: datetime | None
    n_episodes: int
    accounts: list[str]


def in_one_sweep(connection: psycopg.Connection, work: Callable[[psycopg.Cursor[Any]], T]) -> T:
    """Does the work in one transaction that sees the database as it is at its beginning, alone.

    Another sweep waits before its own begins: so none writes an older tale over a newer one. So
    does who sends, before each message; nobody sends meanwhile. If somebody decided about an alert
    meanwhile, the transaction begins again: at most SWEEP_TRIES times, then psycopg's error goes
    on.
    """
    connection.execute("SELECT pg_advisory_lock(%s)", (SWEEP_LOCK,))
    try:
        for again in range(SWEEP_TRIES - 1, -1, -1):
            try:
                with connection.transaction(), connection.cursor() as cursor:
                    cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                    return work(cursor)
            except psycopg.errors.SerializationFailure:
                if not again:
                    raise
        raise AssertionError("unreachable")
    finally:
        if not connection.broken:
            connection.execute("SELECT pg_advisory_unlock(%s)", (SWEEP_LOCK,))


def read_stored(cursor: psycopg.Cursor[Any], rules: Sequence[str]) -> list[StoredAlert]:
    """The rows of these rules, sorted by rule and subject."""
    rows = cursor.execute(
        "SELECT alert_id, rule, subject, hashtag, opened_at, last_at, over_at, n_episodes,"
        " coalesce(evidence -> 'accounts', '[]') FROM hoaxwatch.alerts WHERE rule = ANY (%s)"
        " ORDER BY rule, subject",
        (list(rules),),
    )
    return [StoredAlert(*row) for row in rows]


def rename_alert(cursor: psycopg.Cursor[Any], alert_id: int, subject: str) -> None:
    """The story goes on under another name: its lineage got another one."""
    cursor.execute(
        "UPDATE hoaxwatch.alerts SET subject = %s WHERE alert_id = %s", (subject, alert_id)
    )


# What begins after the stored row fired last is a new episode: it is sent again, and what people
# decided about the former one no longer counts; only a mute lasts.
_TELL = """
INSERT INTO hoaxwatch.alerts AS a (rule, subject, hashtag, summary, evidence, strength, opened_at,
    last_at, over_at, n_episodes, is_shadow, created_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (rule, subject) DO UPDATE SET
    hashtag = EXCLUDED.hashtag, summary = EXCLUDED.summary, evidence = EXCLUDED.evidence,
    strength = EXCLUDED.strength, opened_at = EXCLUDED.opened_at, last_at = EXCLUDED.last_at,
    over_at = EXCLUDED.over_at, n_episodes = EXCLUDED.n_episodes,
    is_shadow = EXCLUDED.is_shadow, is_withdrawn = false,
    sent_at = CASE WHEN EXCLUDED.opened_at > a.last_at THEN NULL ELSE a.sent_at END,
    tries = CASE WHEN EXCLUDED.opened_at > a.last_at THEN 0 ELSE a.tries END,
    in_digest = a.in_digest AND EXCLUDED.opened_at <= a.last_at,
    acknowledged_at = CASE WHEN EXCLUDED.opened_at > a.last_at THEN NULL ELSE a.acknowledged_at END,
    acknowledged_by = CASE WHEN EXCLUDED.opened_at > a.last_at THEN NULL ELSE a.acknowledged_by END,
    resolved_at = CASE WHEN EXCLUDED.opened_at > a.last_at THEN NULL ELSE a.resolved_at END,
    resolved_by = CASE WHEN EXCLUDED.opened_at > a.last_at THEN NULL ELSE a.resolved_by END
"""

_FORGET_DELIVERIES = """
DELETE FROM hoaxwatch.alert_deliveries d USING hoaxwatch.alerts a,
    unnest(%s::text[], %s::text[], %s::timestamptz[]) AS n (rule, subject, opened_at)
WHERE d.alert_id = a.alert_id AND a.rule = n.rule AND a.subject = n.subject
  AND n.opened_at > a.last_at
"""


def tell_alerts(cursor: psycopg.Cursor[Any], lines: Sequence[AlertLine], now: datetime) -> None:
    """Stores what is told, one row per story. The same lines again change nothing."""
    ordered = sorted(lines, key=lambda line: (line.rule, line.subject))
    keys = [[getattr(line, name) for line in ordered] for name in ("rule", "subject", "opened_at")]
    cursor.execute(_FORGET_DELIVERIES, keys)
    cursor.executemany(
        _TELL,
        [
            (
                *line._replace(
                    evidence=json.dumps(line.evidence, sort_keys=True),  # type: ignore[arg-type]
                ),
                now,
            )
            for line in ordered
        ],
    )


def withdraw_alerts(cursor: psycopg.Cursor[Any], alert_ids: Iterable[int]) -> None:
    """What facts no longer bear out: rows that nobody was told of go; the others say so."""
    ids = sorted(alert_ids)
    cursor.execute(
        "WITH gone AS (DELETE FROM hoaxwatch.alerts a WHERE alert_id = ANY (%s)"
        "   AND sent_at IS NULL AND acknowledged_at IS NULL AND resolved_at IS NULL"
        "   AND muted_until IS NULL AND NOT EXISTS (SELECT FROM hoaxwatch.alert_deliveries d"
        "     WHERE d.alert_id = a.alert_id AND d.sent_at IS NOT NULL) RETURNING alert_id)"
        " DELETE FROM hoaxwatch.alert_deliveries d USING gone WHERE d.alert_id = gone.alert_id",
        (ids,),
    )
    cursor.execute(
        "UPDATE hoaxwatch.alerts SET is_withdrawn = true, over_at = coalesce(over_at, last_at),"
        " evidence = evidence - 'accounts' - 'posts' WHERE alert_id = ANY (%s)",
        (ids,),
    )


def age_alerts(cursor: psycopg.Cursor[Any], alert_ids: Iterable[int]) -> None:
    """Takes accounts and posts out of rows whose story lies too far back to be told again: so what
    is deleted later is not kept here."""
    cursor.execute(
        "UPDATE hoaxwatch.alerts SET evidence = evidence - 'accounts' - 'posts',"
        " over_at = coalesce(over_at, last_at) WHERE alert_id = ANY (%s)"
        " AND (over_at IS NULL OR evidence ?| ARRAY['accounts', 'posts'])",
        (sorted(alert_ids),),
    )


def end_alerts(cursor: psycopg.Cursor[Any], rule: str, over: timedelta, now: datetime) -> None:
    """Stories of a rule that did not fire for so long are over."""
    cursor.execute(
        "UPDATE hoaxwatch.alerts SET over_at = last_at + %s::interval"
        " WHERE rule = %s AND over_at IS NULL AND last_at + %s::interval <= %s",
        (over, rule, over, now),
    )


# What people see and decide


def read_alerts(
    connection: psycopg.Connection,
    states: Sequence[str] | None = None,
    rule: str | None = None,
    limit: int | None = None,
    alert_id: int | None = None,
) -> list[dict[str, Any]]:
    """Alerts, the latest first."""
    cursor = connection.cursor(row_factory=dict_row)
    return cursor.execute(
        "SELECT alert_id, m.state, a.rule, a.subject, a.hashtag, a.summary, a.strength::float8,"
        " a.opened_at, a.last_at, a.over_at, a.n_episodes, a.is_shadow, a.acknowledged_at,"
        " a.acknowledged_by, a.muted_until, a.muted_by, a.resolved_at, a.resolved_by,"
        " a.created_at, a.sent_at, a.in_digest, a.tries, a.evidence"
        # the view knows the state, the table whose accounts they are
        " FROM hoaxwatch.alerts a JOIN mart.alerts m USING (alert_id)"
        " WHERE (%(states)s::text[] IS NULL OR m.state = ANY (%(states)s))"
        " AND (%(rule)s::text IS NULL OR a.rule = %(rule)s)"
        " AND (%(id)s::bigint IS NULL OR alert_id = %(id)s)"
        " ORDER BY a.last_at DESC, a.rule, a.subject LIMIT %(limit)s",
        {
            "states": None if states is None else list(states),
            "rule": rule,
            "id": alert_id,
            "limit": limit,
        },
    ).fetchall()


def read_deliveries(connection: psycopg.Connection, alert_id: int) -> list[dict[str, Any]]:
    """Which sinks have an alert, and what went wrong."""
    cursor = connection.cursor(row_factory=dict_row)
    return cursor.execute(
        "SELECT sink, sent_at, tries, failing_since, error FROM hoaxwatch.alert_deliveries"
        " WHERE alert_id = %s ORDER BY sink",
        (alert_id,),
    ).fetchall()


def acknowledge(connection: psycopg.Connection, alert_id: int, who: str, now: datetime) -> bool:
    """Somebody takes it on. False: there is no such alert."""
    return _decide(connection, alert_id, "acknowledged_at = %s, acknowledged_by = %s", (now, who))


def mute(connection: psycopg.Connection, alert_id: int, who: str, until: datetime | None) -> bool:
    """Not sent before a moment, None: it is sent again. False: there is no such alert."""
    return _decide(connection, alert_id, "muted_until = %s, muted_by = %s", (until, who))


def resolve(connection: psycopg.Connection, alert_id: int, who: str, now: datetime) -> bool:
    """Somebody declares this episode done. False: there is no such alert."""
    return _decide(connection, alert_id, "resolved_at = %s, resolved_by = %s", (now, who))


def _decide(
    connection: psycopg.Connection, alert_id: int, columns: str, values: tuple[object, object]
) -> bool:
    done = connection.execute(
        f"UPDATE hoaxwatch.alerts SET {columns} WHERE alert_id = %s".encode(), (*values, alert_id)
    )
    return done.rowcount == 1
