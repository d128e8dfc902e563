"""Hashtags counted from their posts, so that authors are distinct over any time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import psycopg
from psycopg.rows import class_row

from storage.counting import COUNTED, counts
from storage.reads.periods import Grain, whole_hours_and_days


class TrendRow(NamedTuple):
    """One bucket of one hashtag."""

    hashtag: str
    bucket_start: datetime
    posts: int
    originals: int
    shares: int
    authors: int
    judged: int
    likely_false: int
    expected_share: float | None
    expected_low: float | None
    expected_high: float | None
    first_seen_at: datetime
    last_seen_at: datetime


class SpreadRow(NamedTuple):
    """Who used one hashtag over a period, and how much of it is likely false."""

    hashtag: str
    posts: int
    originals: int
    shares: int
    #: Distinct ones; None: not known.
    authors: int | None
    judged: int
    likely_false: int
    expected_share: float | None
    expected_low: float | None
    expected_high: float | None
    first_seen_at: datetime
    last_seen_at: datetime


_PERIOD_FACTS = """
WITH facts AS (
    SELECT h.hashtag, {bucket} AS bucket_start, p.posted_at, p.platform, p.root_id,
           CASE WHEN p.author_id IS NOT NULL THEN p.platform || ':' || p.author_id END AS author,
           p.kind = 'share' AS is_share, v.probability, v.likely_false
    FROM hoaxwatch.content_hashtags h JOIN hoaxwatch.posts p USING (platform, root_id)
    JOIN hoaxwatch.content_verdict v USING (platform, root_id)
    WHERE h.hashtag = ANY (%(hashtags)s)
    AND p.posted_at >= coalesce(%(since)s, '-infinity'::timestamptz)
    AND p.posted_at < coalesce(%(until)s, 'infinity'::timestamptz)
)
"""


_COUNTED = ", ".join(f"{name}::float8" if name.startswith("expected") else name for name in COUNTED)


def read_spreads(
    connection: psycopg.Connection,
    hashtags: Sequence[str],
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[SpreadRow]:
    """These hashtags over a whole period, where authors are distinct; most used first."""
    cursor = connection.cursor(row_factory=class_row(SpreadRow))
    query = (
        _PERIOD_FACTS.format(bucket="NULL::timestamptz")
        + f"SELECT hashtag, {_COUNTED} FROM ({counts('facts', 'hashtag')}) c"
        " ORDER BY posts DESC, hashtag"
    )
    return cursor.execute(
        query.encode(), {"hashtags": list(hashtags), "since": since, "until": until}
    ).fetchall()


def read_days(
    connection: psycopg.Connection,
    hashtag: str,
    zone: str,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[TrendRow]:
    """The days of a hashtag as a time zone has them, counted from rows: authors are distinct in
    each, and days with a change of clocks are 23 or 25 hours long. Of a day in which the period
    begins or ends, the hours count that it touches, as in tables."""
    since, until = whole_hours_and_days(since, until, zone)
    cursor = connection.cursor(row_factory=class_row(TrendRow))
    query = (
        _PERIOD_FACTS.format(bucket="date_trunc('day', p.posted_at, %(zone)s)")
        + f"SELECT hashtag, bucket_start, {_COUNTED}"
        f" FROM ({counts('facts', 'hashtag', 'bucket_start')}) c ORDER BY bucket_start"
    )
    return cursor.execute(
        query.encode(), {"hashtags": [hashtag], "zone": zone, "since": since, "until": until}
    ).fetchall()


def read_draws(
    connection: psycopg.Connection,
    hashtag: str,
    grain: Grain,
    zone: str = "UTC",
    since: datetime | None = None,
    until: datetime | None = None,
) -> dict[datetime, float]:
    """As how many independent posts the judged ones of each bucket count, since shares of one
    content are judged once: (sum n)^2 / sum n^2 over contents that n posts carry.

    Source: Kish, Survey Sampling, 1965, 8.2.
    """
    since, until = whole_hours_and_days(since, until, zone)
    cut = f"date_trunc('{'day' if grain == 'day' else 'hour'}', p.posted_at, %(zone)s)"
    query = (
        _PERIOD_FACTS.format(bucket=cut)
        + "SELECT bucket_start, (sum(n) ^ 2 / sum(n ^ 2))::float8 FROM ("
        " SELECT bucket_start, count(*) AS n FROM facts WHERE probability IS NOT NULL"
        " GROUP BY bucket_start, platform, root_id) c GROUP BY bucket_start"
    )
    given = {"hashtags": [hashtag], "zone": zone, "since": since, "until": until}
    return dict(connection.execute(query.encode(), given).fetchall())
