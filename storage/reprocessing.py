"""What would change if another detector's verdicts counted: posts, hashtags and clusters.

Both detectors' verdicts are stored; nothing here changes a table. What people said wins over both.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import psycopg
from psycopg.rows import class_row, dict_row


class Candidate(NamedTuple):
    """A policy that may come into force."""

    detector: str
    version: str
    threshold: float
    abstain_band: float


class Tally(NamedTuple):
    """Posts that were judged, and those of them that were flagged, before and after."""

    judged_before: int
    false_before: int
    judged_after: int
    false_after: int

    @property
    def changes_verdict(self) -> bool:
        """Whether most of what is judged is likely false in one of the two only.

        >>> Tally(4, 3, 4, 2).changes_verdict, Tally(4, 3, 9, 5).changes_verdict
        (True, False)
        """
        before, after = self.judged_before, self.judged_after
        return (2 * self.false_before > before) != (2 * self.false_after > after)


class ChangedHashtag(NamedTuple):
    """A hashtag of which posts change; counts are of the posts in the period."""

    hashtag: str
    posts_changed: int
    tally: Tally


class ChangedCluster(NamedTuple):
    """A cluster of which shares change; counts are of its shares in its window."""

    hashtag: str
    window_start: datetime
    algorithm: str
    cluster: int
    lineage: str | None
    n_users: int
    shares_changed: int
    tally: Tally


class Difference(NamedTuple):
    """What would change. Contents and posts by verdict before and after; None is not judged."""

    contents: int
    posts: int
    #: How many contents wait for the candidate's verdict: they would not be judged.
    pending: int
    by_contents: Tally
    by_posts: Tally
    #: Mean probability of being likely false over judged posts, before and after.
    mean_before: float | None
    mean_after: float | None
    changed: list[dict[str, Any]]
    hashtags: list[ChangedHashtag]
    clusters: list[ChangedCluster]


# As the view content_verdict has it, for a policy that is not in force.
_COMPARE = """
CREATE TEMP TABLE compared ON COMMIT DROP AS
SELECT c.platform, c.root_id, n.posts, w.state, w.probability AS p_before, w.score AS score_before,
       w.likely_false AS before,
       CASE WHEN w.state = 'labelled' THEN w.probability
            WHEN abs(v.score - %(threshold)s::numeric) < %(band)s::numeric THEN NULL
            ELSE v.score END AS p_after,
       CASE WHEN w.state = 'labelled' THEN w.likely_false
            WHEN abs(v.score - %(threshold)s::numeric) < %(band)s::numeric THEN NULL
            ELSE v.score >= %(threshold)s::numeric END AS after,
       v.score AS score_after, v.reason AS reason_after, v.state IS NULL AS is_pending
FROM (
    SELECT platform, root_id, count(*) AS posts FROM hoaxwatch.posts
    WHERE posted_at >= coalesce(%(since)s, '-infinity'::timestamptz)
      AND posted_at < coalesce(%(until)s, 'infinity'::timestamptz)
    GROUP BY platform, root_id
) n
JOIN hoaxwatch.content c USING (platform, root_id)
JOIN hoaxwatch.content_verdict w USING (platform, root_id)
LEFT JOIN hoaxwatch.verdicts v
       ON v.platform = c.platform AND v.root_id = c.root_id AND v.detector = %(detector)s
      AND v.version = %(version)s AND v.input_hash = c.input_hash
"""

_TALLY = """
coalesce(sum({n}) FILTER (WHERE before IS NOT NULL), 0)::bigint,
coalesce(sum({n}) FILTER (WHERE before), 0)::bigint,
coalesce(sum({n}) FILTER (WHERE after IS NOT NULL), 0)::bigint,
coalesce(sum({n}) FILTER (WHERE after), 0)::bigint
"""

_TOTALS = f"""
SELECT count(*), coalesce(sum(posts), 0)::bigint, count(*) FILTER (WHERE is_pending),
       (sum(posts * p_before) / nullif(sum(posts) FILTER (WHERE p_before IS NOT NULL), 0))::float8,
       (sum(posts * p_after) / nullif(sum(posts) FILTER (WHERE p_after IS NOT NULL), 0))::float8,
       {_TALLY.format(n="1")}, {_TALLY.format(n="posts")}
FROM compared
"""

_CHANGED = """
SELECT c.platform, c.root_id, c.posts, k.hashtags, k.lang, k.text, c.before AS likely_false_before,
       c.after AS likely_false_after, c.score_before::float8 AS score_before,
       c.score_after::float8 AS score_after, c.reason_after
FROM compared c JOIN hoaxwatch.content k USING (platform, root_id)
WHERE c.before IS DISTINCT FROM c.after ORDER BY c.posts DESC, c.platform, c.root_id
"""

_HASHTAGS = f"""
SELECT hashtag, sum(posts) FILTER (WHERE before IS DISTINCT FROM after)::bigint,
       {_TALLY.format(n="posts")}
FROM compared JOIN hoaxwatch.content_hashtags USING (platform, root_id)
GROUP BY hashtag HAVING bool_or(before IS DISTINCT FROM after) ORDER BY 2 DESC, 1
"""

# A share counts in a cluster if it is a link of the network: see storage.recount.
_CLUSTERS = """
SELECT k.hashtag, k.window_start, k.algorithm, c.cluster, c.lineage, c.n_users, d.shares,
       c.judged, c.likely_false, c.judged + d.judged, c.likely_false + d.likely_false
FROM (
    SELECT k.clustering_id, m.cluster, count(*) AS shares,
           sum((x.after IS NOT NULL)::int - (x.before IS NOT NULL)::int)::bigint AS judged,
           sum((x.after IS TRUE)::int - (x.before IS TRUE)::int)::bigint AS likely_false
    FROM compared x
    JOIN hoaxwatch.content_hashtags h USING (platform, root_id)
    JOIN hoaxwatch.posts s ON s.platform = x.platform AND s.root_id = x.root_id AND s.kind = 'share'
    JOIN hoaxwatch.posts r ON r.platform = s.platform AND r.post_id = s.share_of
                          AND r.author_id <> s.author_id
    JOIN hoaxwatch.clusterings k ON k.hashtag = h.hashtag
                                AND k.window_start <= s.posted_at AND k.window_end > s.posted_at
    JOIN hoaxwatch.cluster_members m ON m.clustering_id = k.clustering_id
                                    AND m.platform = s.platform AND m.author_id = s.author_id
    WHERE x.before IS DISTINCT FROM x.after
    GROUP BY k.clustering_id, m.cluster
) d
JOIN hoaxwatch.clusters c USING (clustering_id, cluster)
JOIN hoaxwatch.clusterings k USING (clustering_id)
ORDER BY d.shares DESC, k.hashtag, k.window_start, k.algorithm, c.cluster
"""

_COUNT_PENDING = """
SELECT count(*) FROM hoaxwatch.content c
WHERE NOT EXISTS (SELECT FROM hoaxwatch.verdicts v
                  WHERE v.platform = c.platform AND v.root_id = c.root_id AND v.detector = %s
                    AND v.version = %s AND v.input_hash = c.input_hash)
  AND EXISTS (SELECT FROM hoaxwatch.posts p
              WHERE p.platform = c.platform AND p.root_id = c.root_id
                AND p.posted_at >= coalesce(%s, '-infinity'::timestamptz)
                AND p.posted_at < coalesce(%s, 'infinity'::timestamptz))
"""


def count_pending(
    connection: psycopg.Connection,
    detector: str,
    version: str,
    since: datetime | None = None,
    until: datetime | None = None,
) -> int:
    """Contents with a post in the period that this detector has not judged."""
    row = connection.execute(_COUNT_PENDING, (detector, version, since, until)).fetchone()
    assert row is not None
    return int(row[0])


def read_active(connection: psycopg.Connection) -> Candidate | None:
    """The policy in force; None before the first run."""
    cursor = connection.cursor(row_factory=class_row(Candidate))
    return cursor.execute(
        "SELECT detector, version, threshold::float8, abstain_band::float8"
        " FROM hoaxwatch.verdict_policy WHERE active"
    ).fetchone()


def compare(
    connection: psycopg.Connection,
    candidate: Candidate,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Difference:
    """What would change in a period if this policy were in force, in one snapshot of the tables.

    Clusters are of all windows that have a changed share of these contents. Cost: one pass over the
    posts of the period, and over all shares of contents that change.
    """
    given = {
        "detector": candidate.detector,
        "version": candidate.version,
        "threshold": f"{candidate.threshold:.6f}",
        "band": f"{candidate.abstain_band:.6f}",
        "since": since,
        "until": until,
    }
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        cursor.execute(_COMPARE, given)
        cursor.execute("ANALYZE compared")
        totals = cursor.execute(_TOTALS.encode()).fetchone()
        assert totals is not None
        hashtags = cursor.execute(_HASHTAGS.encode()).fetchall()
        clusters = cursor.execute(_CLUSTERS).fetchall()
        changed = connection.cursor(row_factory=dict_row).execute(_CHANGED).fetchall()
    contents, posts, pending, mean_before, mean_after = totals[:5]
    return Difference(
        contents=contents,
        posts=posts,
        pending=pending,
        by_contents=_tally(totals[5:9]),
        by_posts=_tally(totals[9:]),
        mean_before=mean_before,
        mean_after=mean_after,
        changed=changed,
        hashtags=[ChangedHashtag(tag, n, _tally(told)) for tag, n, *told in hashtags],
        clusters=[
            ChangedCluster(tag, start, by, number, lineage, n_users, n, _tally(told))
            for tag, start, by, number, lineage, n_users, n, *told in clusters
        ],
    )


def _tally(counts: Sequence[Any]) -> Tally:
    return Tally(*map(int, counts))
