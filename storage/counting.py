"""The one definition of what a bucket counts, whatever is a bucket: an hour, a day, a period.

    expected_share = sum over judged posts of p / judged
    variance       = sum over contents of n^2 p (1 - p) / judged^2
    interval       = expected_share +- 1.959964 sqrt(variance), inside [0, 1]

Shares of one content stand or fall with it, so each content is one draw, n posts strong.
"""

from __future__ import annotations

#: What `counts` gives behind the bucket's own columns.
COUNTED = (
    *("posts", "originals", "shares", "authors", "judged", "likely_false"),
    *("expected_share", "expected_low", "expected_high", "first_seen_at", "last_seen_at"),
)

#: Columns that the facts have beside the bucket's own: one row per post of a bucket.
FACTS = (
    *("posted_at", "platform", "root_id", "author", "is_share"),
    *("probability", "likely_false"),
)


def counts(facts: str, *bucket: str) -> str:
    """SQL (a query without WITH) that counts the facts by these columns.

    facts: name of a table, view or CTE with the columns of the bucket and FACTS. `author` is
    platform:id, NULL if unknown; `probability` and `likely_false` are NULL if not judged.
    Columns: the bucket's, then COUNTED.
    """
    by = ", ".join(bucket)
    return f"""
    SELECT {by}, s.posts, s.posts - s.shares AS originals, s.shares, a.authors, s.judged,
           s.likely_false, round(s.expected / nullif(s.judged, 0), 6) AS expected_share,
           CASE WHEN s.judged > 0 THEN round(greatest(
               0, (s.expected - 1.959964 * sqrt(s.variance)) / s.judged), 6) END AS expected_low,
           CASE WHEN s.judged > 0 THEN round(least(
               1, (s.expected + 1.959964 * sqrt(s.variance)) / s.judged), 6) END AS expected_high,
           s.first_seen_at, s.last_seen_at
    FROM (
        SELECT {by}, sum(n)::bigint AS posts, sum(shares)::bigint AS shares,
               coalesce(sum(n) FILTER (WHERE p IS NOT NULL), 0)::bigint AS judged,
               coalesce(sum(n) FILTER (WHERE likely_false), 0)::bigint AS likely_false,
               sum(n * p) AS expected, sum(n * n * p * (1 - p)) AS variance,
               min(first_at) AS first_seen_at, max(last_at) AS last_seen_at
        FROM (
            SELECT {by}, count(*) AS n, count(*) FILTER (WHERE is_share) AS shares,
                   min(posted_at) AS first_at, max(posted_at) AS last_at, probability AS p,
                   likely_false
            FROM {facts} GROUP BY {by}, platform, root_id, probability, likely_false
        ) per_content
        GROUP BY {by}
    ) s
    JOIN (SELECT {by}, count(DISTINCT author) AS authors FROM {facts} GROUP BY {by}) a
    USING ({by})
    """
