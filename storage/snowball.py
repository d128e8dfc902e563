"""Snowball: which hashtags and accounts come with the tracked hashtags, and what people decided.

As in section IV-A of Wang, Yin and Argyris (2020): from the posts with tracked hashtags to what
else they carry and who writes them, on both sides, ranked by posts of that side and by followers.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from storage import tracking
from storage.tracking import ACCOUNT, Tracked

_ABOUT = (
    "WITH about AS (SELECT DISTINCT h.platform, h.root_id FROM hoaxwatch.content_hashtags h"
    " JOIN hoaxwatch.tracked t ON t.hashtag = h.hashtag AND t.tracked_until IS NULL),"
    " told AS (SELECT p.platform, p.root_id, p.author_id, p.posted_at, w.likely_false"
    " FROM hoaxwatch.posts p JOIN about USING (platform, root_id)"
    " LEFT JOIN hoaxwatch.content_verdict w USING (platform, root_id)"
    " WHERE p.kind <> 'share' AND p.posted_at >= coalesce(%(since)s, '-infinity'::timestamptz)"
    " AND p.posted_at < coalesce(%(until)s, 'infinity'::timestamptz))"
)
_COUNTS = (
    "count(*) AS posts, count(*) FILTER (WHERE likely_false) AS flagged,"
    " count(*) FILTER (WHERE NOT likely_false) AS unflagged"
)
_UNDECIDED = (
    " NOT EXISTS (SELECT FROM hoaxwatch.snowball_decisions d"
    " WHERE d.kind = found.kind AND d.name = found.name)"
)
#: Both sides: most posts of the side first, then followers or accounts, then the name.
_RANKED = (
    " SELECT side, kind, name, shown, posts, flagged, unflagged, accounts, followers, first_at,"
    " example FROM (SELECT side.side, found.*, row_number() OVER (PARTITION BY side.side ORDER BY"
    " CASE side.side WHEN 'flagged' THEN flagged ELSE unflagged END DESC,"
    " followers DESC NULLS LAST, accounts DESC, name) AS place"
    " FROM found CROSS JOIN (VALUES ('flagged'), ('unflagged')) AS side (side)"
    " WHERE CASE side.side WHEN 'flagged' THEN flagged ELSE unflagged END >= %(least)s"
    " AND" + _UNDECIDED + ") AS ranked WHERE place <= %(limit)s ORDER BY side, place"
)


class Proposal(NamedTuple):
    """A hashtag or account that comes with the tracked hashtags, on one side.

    side: flagged (posts that are likely false) or unflagged. posts = flagged + unflagged + those
    that nobody judged, without shares. accounts: who used the hashtag with a tracked one; of an
    account 1. followers: of an account as last seen; None: unknown. example: one of its posts.
    """

    side: str
    kind: str
    name: str
    shown: str
    posts: int
    flagged: int
    unflagged: int
    accounts: int
    followers: int | None
    first_at: datetime
    example: str


class Decision(NamedTuple):
    """What somebody decided about a proposal."""

    kind: str
    name: str
    decided_at: datetime
    decision: str
    decided_by: str
    note: str | None
    evidence: dict[str, object]


def propose_hashtags(
    connection: psycopg.Connection,
    since: datetime | None = None,
    until: datetime | None = None,
    least: int = 2,
    limit: int = 10,
) -> list[Proposal]:
    """Hashtags in at least so many posts of a side together with tracked ones, that are not tracked
    and were not decided about."""
    return _proposed(
        connection,
        f"{_ABOUT}, found AS (SELECT 'hashtag' AS kind, h.hashtag AS name,"
        f" '#' || min(h.written) AS shown, {_COUNTS}, count(DISTINCT (platform, author_id))"
        " AS accounts, NULL::bigint AS followers, min(posted_at) AS first_at,"
        " (array_agg(platform || ':' || root_id ORDER BY posted_at, root_id))[1] AS example"
        " FROM told JOIN hoaxwatch.content_hashtags h USING (platform, root_id)"
        # followed words and links are no hashtags
        " WHERE h.hashtag !~ '^(word|link):' AND NOT EXISTS (SELECT FROM hoaxwatch.tracked t"
        " WHERE t.hashtag = h.hashtag AND t.tracked_until IS NULL) GROUP BY h.hashtag)",
        {"since": since, "until": until, "least": least, "limit": limit},
    )


def propose_accounts(
    connection: psycopg.Connection,
    since: datetime | None = None,
    until: datetime | None = None,
    least: int = 2,
    limit: int = 10,
) -> list[Proposal]:
    """Accounts that wrote at least so many posts of a side with tracked hashtags, that are not
    tracked and were not decided about."""
    return _proposed(
        connection,
        f"{_ABOUT}, found AS (SELECT 'account' AS kind, platform || ':' || author_id AS name,"
        " platform || ':' || coalesce('@' || min((a.handle).value), author_id) AS shown,"
        f" {_COUNTS}, 1::bigint AS accounts, max((a.followers).value) AS followers,"
        " min(posted_at) AS first_at,"
        " (array_agg(platform || ':' || root_id ORDER BY posted_at, root_id))[1] AS example"
        " FROM told LEFT JOIN hoaxwatch.authors a USING (platform, author_id)"
        " WHERE author_id IS NOT NULL AND NOT EXISTS (SELECT FROM hoaxwatch.tracked_accounts t"
        " WHERE t.platform = told.platform AND t.account_id = told.author_id"
        " AND t.tracked_until IS NULL) GROUP BY platform, author_id)",
        {"since": since, "until": until, "least": least, "limit": limit},
    )


def _proposed(
    connection: psycopg.Connection, found: str, values: dict[str, object]
) -> list[Proposal]:
    cursor = connection.cursor(row_factory=class_row(Proposal))
    return cursor.execute((found + _RANKED).encode(), values).fetchall()


def decide(
    connection: psycopg.Connection,
    kind: str,
    name: str,
    decision: str,
    by: str,
    now: datetime,
    note: str | None,
    evidence: dict[str, object],
) -> None:
    """Records a decision; an accepted account is tracked from now on."""
    with connection.transaction():
        connection.execute(
            "INSERT INTO hoaxwatch.snowball_decisions VALUES (%s, %s, %s, %s, %s, %s, %s)",
            (kind, name, now, decision, by, note, Jsonb(evidence)),
        )
        if kind == "account" and decision == "accepted":
            platform, _, account_id = name.partition(":")
            connection.execute(
                "INSERT INTO hoaxwatch.tracked_accounts"
                " (platform, account_id, tracked_from, added_by, note) VALUES (%s, %s, %s, %s, %s)"
                " ON CONFLICT (platform, account_id) WHERE tracked_until IS NULL DO NOTHING",
                (platform, account_id, now, by, note),
            )


def untrack_account(
    connection: psycopg.Connection, platform: str, account_id: str, by: str, now: datetime
) -> bool:
    """Ends tracking an account; whether it was tracked. Its history stays."""
    done = connection.execute(
        "UPDATE hoaxwatch.tracked_accounts SET tracked_until = greatest(%s, tracked_from),"
        " removed_by = %s WHERE platform = %s AND account_id = %s AND tracked_until IS NULL",
        (now, by, platform, account_id),
    )
    return done.rowcount > 0


def read_accounts(
    connection: psycopg.Connection, platform: str | None = None, *, with_history: bool = False
) -> list[Tracked]:
    """Tracked accounts in the form of tracked hashtags: `hashtag` is from:id, `written` too."""
    rows = connection.execute(
        "SELECT platform, account_id, tracked_from, tracked_until, added_by, removed_by, note"
        " FROM hoaxwatch.tracked_accounts WHERE (%s OR tracked_until IS NULL)"
        " AND (%s::text IS NULL OR platform = %s) ORDER BY platform, account_id, tracked_from",
        (with_history, platform, platform),
    ).fetchall()
    # one platform's source knows which platform is meant
    names = [ACCOUNT + (row[1] if platform else f"{row[0]}:{row[1]}") for row in rows]
    return [Tracked(name, name, *row[2:]) for name, row in zip(names, rows, strict=True)]


def read_decisions(connection: psycopg.Connection, limit: int = 1000) -> list[Decision]:
    """What was decided, the latest first."""
    cursor = connection.cursor(row_factory=class_row(Decision))
    return cursor.execute(
        "SELECT kind, name, decided_at, decision, decided_by, note, evidence"
        " FROM hoaxwatch.snowball_decisions ORDER BY decided_at DESC, kind, name LIMIT %s",
        (limit,),
    ).fetchall()


#: Platforms whose sources can be asked for accounts, by the name of the source.
PLATFORM_OF = {"x": "x", "x_search": "x", "x_archive": "x", "bluesky": "bluesky"}


def forget_account(cursor: psycopg.Cursor[Any], platform: str, account_id: str) -> None:
    """Removes what was decided and asked of an account, and what it brought, in the caller's
    transaction."""
    sources = [source for source, of in PLATFORM_OF.items() if of == platform]
    cursor.execute(
        "DELETE FROM hoaxwatch.tracked_accounts WHERE platform = %s AND account_id = %s",
        (platform, account_id),
    )
    cursor.execute(
        "DELETE FROM hoaxwatch.snowball_decisions WHERE kind = 'account' AND name = %s",
        (f"{platform}:{account_id}",),
    )
    tracking.forget_asked(cursor, sources, ACCOUNT + account_id)


def read_asked(
    connection: psycopg.Connection, source: str, hashtags: Sequence[Tracked]
) -> list[Tracked]:
    """What a source is asked for: hashtags, and the accounts of its platform where it can be."""
    platform = PLATFORM_OF.get(source)
    return [*hashtags, *(read_accounts(connection, platform) if platform else ())]
