"""Posts and accounts that were flagged wrongly: said once, shown wherever they are shown."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, NamedTuple

import psycopg
from psycopg.rows import class_row

from storage.writes import DELETION_LOCK

Kind = Literal["post", "account"]


class Erratum(NamedTuple):
    """What was wrong. `subject_id` is None after a deletion; of an account nothing was judged."""

    erratum_id: int
    kind: Kind
    platform: str
    subject_id: str | None
    reason: str
    likely_false: bool | None
    probability: float | None
    detector: str | None
    version: str | None
    reported_by: str
    reported_at: datetime

    @property
    def name(self) -> str:
        """Its platform:id, or that it is gone."""
        return f"{self.platform}:{self.subject_id}" if self.subject_id else "deleted since"


_ADD = {
    "post": """
INSERT INTO hoaxwatch.errata
    (kind, platform, subject_id, reason, likely_false, probability, policy_id, reported_by,
     reported_at)
SELECT 'post', p.platform, p.post_id, %(reason)s, v.likely_false, v.probability, v.policy_id,
       %(by)s, %(now)s
FROM hoaxwatch.posts p LEFT JOIN hoaxwatch.content_verdict v USING (platform, root_id)
WHERE p.platform = %(platform)s AND p.post_id = %(id)s
RETURNING erratum_id
""",
    "account": """
INSERT INTO hoaxwatch.errata
    (kind, platform, subject_id, reason, policy_id, reported_by, reported_at)
SELECT 'account', %(platform)s, %(id)s, %(reason)s,
       (SELECT policy_id FROM hoaxwatch.verdict_policy WHERE active), %(by)s, %(now)s
WHERE EXISTS (SELECT FROM hoaxwatch.posts WHERE platform = %(platform)s AND author_id = %(id)s)
RETURNING erratum_id
""",
}

_SELECT = """
SELECT e.erratum_id, e.kind, e.platform, e.subject_id, e.reason, e.likely_false,
       e.probability::float8, y.detector, y.version, e.reported_by, e.reported_at
FROM hoaxwatch.errata e LEFT JOIN hoaxwatch.verdict_policy y USING (policy_id)
"""
_ORDER = " ORDER BY e.reported_at DESC, e.erratum_id DESC"


def add_erratum(
    connection: psycopg.Connection,
    kind: Kind,
    platform: str,
    subject_id: str,
    reason: str,
    by: str,
    now: datetime,
) -> int | None:
    """Stores an erratum with what counts now; returns its number, None if no such post or account
    is stored."""
    given = {"platform": platform, "id": subject_id, "reason": reason, "by": by, "now": now}
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock_shared(%s)", (DELETION_LOCK,))
        row = connection.execute(_ADD[kind], given).fetchone()
    return None if row is None else int(row[0])


def read_errata(connection: psycopg.Connection) -> list[Erratum]:
    """All errata, the latest first."""
    cursor = connection.cursor(row_factory=class_row(Erratum))
    return cursor.execute((_SELECT + _ORDER).encode()).fetchall()


def read_errata_of_post(
    connection: psycopg.Connection, platform: str, post_id: str
) -> list[Erratum]:
    """What was wrong about a post, about another one that says the same (an original, its shares),
    or about its account; the latest first."""
    cursor = connection.cursor(row_factory=class_row(Erratum))
    query = f"""{_SELECT}
        JOIN hoaxwatch.posts p ON p.platform = e.platform AND p.post_id = %s
        WHERE e.platform = %s AND (
            e.kind = 'account' AND e.subject_id = p.author_id
            OR e.kind = 'post' AND e.subject_id IN (
                SELECT o.post_id FROM hoaxwatch.posts o
                WHERE o.platform = p.platform AND o.root_id = p.root_id)){_ORDER}"""
    return cursor.execute(query.encode(), (post_id, platform)).fetchall()


def read_errata_of_account(
    connection: psycopg.Connection, platform: str, author_id: str
) -> list[Erratum]:
    """What was wrong about an account, the latest first."""
    cursor = connection.cursor(row_factory=class_row(Erratum))
    query = f"{_SELECT} WHERE (e.kind, e.platform, e.subject_id) = ('account', %s, %s){_ORDER}"
    return cursor.execute(query.encode(), (platform, author_id)).fetchall()


def read_errata_of_hashtags(
    connection: psycopg.Connection,
    hashtags: Sequence[str],
    since: datetime,
    until: datetime,
) -> list[Erratum]:
    """What was wrong about posts with one of these hashtags in a period, or about accounts that
    have such posts; the latest first."""
    cursor = connection.cursor(row_factory=class_row(Erratum))
    query = f"""{_SELECT} WHERE EXISTS (
        SELECT FROM hoaxwatch.posts p JOIN hoaxwatch.content_hashtags h USING (platform, root_id)
        WHERE h.hashtag = ANY (%s) AND p.posted_at >= %s AND p.posted_at < %s
          AND p.platform = e.platform
          AND e.subject_id = CASE e.kind WHEN 'post' THEN p.post_id ELSE p.author_id END){_ORDER}"""
    return cursor.execute(query.encode(), (list(hashtags), since, until)).fetchall()
