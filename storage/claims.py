"""Claims that were checked, and which contents repeat them.

A claim is stored in versions, of which one stands. Whoever changes claims does so alone and takes
the next load number; a content notes up to which number it was compared, so that later claims are
compared with it and earlier ones are not again. What is stored of a content in the end depends on
its words and on the claims that stand, whatever came first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg.rows import class_row

from detectors.claims import CheckedClaim, Kind, Match
from storage.writes import DELETION_LOCK, contents_from, storable
from streams.errors import UsageError
from streams.records import Content

#: Whoever changes claims holds it alone; whoever stores matches shares it.
CLAIM_LOCK = 0x636C6D73

#: How vectors are stored: half precision, little-endian.
STORED = np.dtype("<f2")
Stored = NDArray[np.float16]

#: A report's text is read so far: matching wants some of its words.
BODY_CHARACTERS = 2000

_FACTS = """kind, text, rating, stance, link, publisher, published_on, title, body, lang, encoder"""

_STAGE = """
CREATE TEMP TABLE IF NOT EXISTS stage_claims (LIKE hoaxwatch.claims);
CREATE TEMP TABLE IF NOT EXISTS stage_claim_checks (LIKE hoaxwatch.claim_checks, since bigint);
CREATE TEMP TABLE IF NOT EXISTS stage_claim_matches (LIKE hoaxwatch.claim_matches);
DELETE FROM stage_claims; DELETE FROM stage_claim_checks; DELETE FROM stage_claim_matches
"""

# Leaves those in the stage that are new or say something else, with the version that they get.
_DROP_UNCHANGED = f"""
DELETE FROM stage_claims s USING hoaxwatch.claims k
WHERE k.claim_id = s.claim_id AND k.replaced_at IS NULL
  AND ({", ".join(f"k.{name}" for name in _FACTS.split(", "))})
      IS NOT DISTINCT FROM ({", ".join(f"s.{name}" for name in _FACTS.split(", "))})
"""
_NUMBER_VERSIONS = """
UPDATE stage_claims s SET version = k.version + 1, withdrawn_at = k.withdrawn_at
FROM hoaxwatch.claims k WHERE k.claim_id = s.claim_id AND k.replaced_at IS NULL
"""
_REPLACE = """
UPDATE hoaxwatch.claims k SET replaced_at = s.loaded_at FROM stage_claims s
WHERE k.claim_id = s.claim_id AND k.replaced_at IS NULL
"""
_ADD = "INSERT INTO hoaxwatch.claims SELECT * FROM stage_claims ORDER BY claim_id"
# They are compared anew: what they were said to match may not match what they say now.
_DROP_MATCHES = "DELETE FROM hoaxwatch.claim_matches WHERE claim_id = ANY (%s)"

_CHANGED = """
SELECT claim_id, kind, text, link, stance, rating, publisher, title, published_on, lang,
       left(body, %(body)s), load_number,
       CASE WHEN withdrawn_at IS NULL AND encoder = %(encoder)s THEN embedding END
FROM hoaxwatch.claims WHERE replaced_at IS NULL AND load_number > %(since)s ORDER BY claim_id
"""

_PENDING = """
SELECT c.platform, c.root_id, c.text, c.lang, c.hashtags, c.links, c.completeness, c.input_hash,
       k.load_number, k.reason, k.embedding
FROM hoaxwatch.content c
LEFT JOIN hoaxwatch.claim_checks k
       ON k.platform = c.platform AND k.root_id = c.root_id
      AND k.input_hash = c.input_hash AND k.matcher = %(matcher)s
WHERE (k.load_number IS NULL OR k.load_number < %(upto)s)
  AND (c.platform, c.root_id) > (%(platform)s, %(root_id)s)
ORDER BY c.platform, c.root_id LIMIT %(page)s
"""

# A check counts only for the very words it was made from. Of two the later counts, and what the
# earlier would store is left out.
_MERGE_CHECKS = """
WITH accepted AS (
    INSERT INTO hoaxwatch.claim_checks AS k
    SELECT platform, root_id, input_hash, matcher, reason, embedding, load_number
    FROM stage_claim_checks s
    WHERE EXISTS (SELECT FROM hoaxwatch.content c WHERE c.platform = s.platform
                  AND c.root_id = s.root_id AND c.input_hash = s.input_hash OFFSET 0)
    ORDER BY platform, root_id
    ON CONFLICT (platform, root_id) DO UPDATE SET
        input_hash = excluded.input_hash, matcher = excluded.matcher, reason = excluded.reason,
        embedding = excluded.embedding, load_number = excluded.load_number
    WHERE k.input_hash <> excluded.input_hash OR k.matcher <> excluded.matcher
       OR k.load_number < excluded.load_number
    RETURNING platform, root_id
)
DELETE FROM stage_claim_checks s WHERE NOT EXISTS (
    SELECT FROM accepted a WHERE a.platform = s.platform AND a.root_id = s.root_id)
"""
_DROP_COMPARED = """
DELETE FROM hoaxwatch.claim_matches m USING stage_claim_checks s
WHERE m.platform = s.platform AND m.root_id = s.root_id AND EXISTS (
    SELECT FROM hoaxwatch.claims k
    WHERE k.claim_id = m.claim_id AND k.replaced_at IS NULL AND k.load_number > s.since)
"""
_ADD_MATCHES = """
INSERT INTO hoaxwatch.claim_matches
SELECT m.* FROM stage_claim_matches m JOIN stage_claim_checks s USING (platform, root_id)
WHERE EXISTS (SELECT FROM hoaxwatch.claims k WHERE k.claim_id = m.claim_id
              AND k.replaced_at IS NULL AND k.withdrawn_at IS NULL)
ORDER BY m.platform, m.root_id, m.claim_id
"""


class Changes(NamedTuple):
    """Claims that stand and changed after a load number, with their vectors and numbers; ids that
    match nothing any more; the number up to which this is all."""

    claims: list[CheckedClaim]
    vectors: Stored
    numbers: NDArray[np.int64]
    removed: list[str]
    upto: int


class ClaimCheck(NamedTuple):
    """What is known of a content after it was compared with the claims up to `upto`.

    since: it was compared up to there before, and `matches` are with later ones. reason: why it was
    not compared; then there is no vector.
    """

    content: Content
    since: int
    upto: int
    reason: str | None
    vector: Stored | None
    matches: Sequence[Match]


class Pending(NamedTuple):
    """A content with claims that it was not compared with. since: up to where it was; 0: never.
    reason, vector: what is known from then."""

    content: Content
    since: int
    reason: str | None
    vector: Stored | None


class ClaimRow(NamedTuple):
    """A claim as it is listed."""

    claim_id: str
    version: int
    kind: str
    text: str
    rating: str
    stance: str
    publisher: str
    link: str
    published_on: str
    lang: str | None
    encoder: str
    contents: int
    loaded_at: datetime
    withdrawn_at: datetime | None


def read_number(connection: psycopg.Connection) -> int:
    """The last load number; 0: no claim was ever loaded. Cost: one look into an index."""
    return int(_one(connection.execute("SELECT max(load_number) FROM hoaxwatch.claims")) or 0)


def read_vectors(
    connection: psycopg.Connection, encoder: str, ids: Sequence[str]
) -> dict[str, Stored]:
    """The vectors of those of these claims that are stored, by this encoder. An id names its text,
    so a claim need not be embedded again whatever else of it changed."""
    found = connection.execute(
        "SELECT claim_id, embedding FROM hoaxwatch.claims"
        " WHERE claim_id = ANY (%s) AND encoder = %s AND replaced_at IS NULL",
        (list(ids), encoder),
    )
    return {claim_id: _vector(data) for claim_id, data in found}


def add_claims(
    connection: psycopg.Connection,
    claims: Sequence[CheckedClaim],
    vectors: Stored,
    encoder: str,
    now: datetime,
) -> Counter[str]:
    """Stores claims with their vectors in one transaction; returns how many were new, changed and
    unchanged. A changed one that was withdrawn stays so. Of several with one id the last counts."""
    last = {claim.claim_id: i for i, claim in enumerate(claims)}
    with connection.transaction(), connection.cursor() as cursor:
        number = _begin_change(cursor)
        with cursor.copy("COPY stage_claims FROM STDIN") as copy:
            for claim_id, i in sorted(last.items()):
                claim = claims[i]
                facts = (
                    *(claim.text, claim.rating, claim.stance, claim.url, claim.publisher),
                    *(claim.reviewed_on, claim.title, claim.body),
                )
                copy.write_row(
                    (
                        *(claim_id, 1, claim.kind, *map(storable, facts)),
                        None if claim.lang is None else storable(claim.lang),
                        *(encoder, vectors[i].astype(STORED).tobytes(), number, now, None, None),
                    )
                )
        n_unchanged = cursor.execute(_DROP_UNCHANGED).rowcount
        n_changed = cursor.execute(_NUMBER_VERSIONS).rowcount
        cursor.execute(_REPLACE)
        n_added = cursor.execute(_ADD).rowcount
        if n_changed:
            cursor.execute(_DROP_MATCHES, (list(last),))
    counts = Counter(new=n_added - n_changed, changed=n_changed)
    counts["unchanged"] = n_unchanged + len(claims) - len(last)
    return counts


def withdraw(
    connection: psycopg.Connection, ids: Sequence[str], now: datetime, *, undo: bool = False
) -> list[str]:
    """Withdraws claims by the beginnings of their ids, or takes that back; returns the ids.

    A withdrawn claim matches nothing. One that is brought back is compared with every content by
    the next run. Raises UsageError for a beginning that names none or several; then nothing is
    withdrawn.
    """
    with connection.transaction(), connection.cursor() as cursor:
        number = _begin_change(cursor)
        found = [_id_of(cursor, beginning) for beginning in ids]
        cursor.execute(
            "UPDATE hoaxwatch.claims SET withdrawn_at = %s, load_number = %s"
            " WHERE claim_id = ANY (%s) AND replaced_at IS NULL AND (withdrawn_at IS NULL) = %s",
            (None if undo else now, number, found, not undo),
        )
        if not undo:
            cursor.execute(_DROP_MATCHES, (found,))
    return found


def _begin_change(cursor: psycopg.Cursor[Any]) -> int:
    """Waits for others who change or use claims; returns the number of this change."""
    cursor.execute("SELECT pg_advisory_xact_lock(%s)", (CLAIM_LOCK,))
    cursor.execute(_STAGE)
    last = _one(cursor.execute("SELECT max(load_number) FROM hoaxwatch.claims"))
    return int(last or 0) + 1


def _id_of(cursor: psycopg.Cursor[Any], beginning: str) -> str:
    rows = cursor.execute(
        "SELECT claim_id FROM hoaxwatch.claims"
        " WHERE starts_with(claim_id, %s) AND replaced_at IS NULL LIMIT 2",
        (beginning,),
    ).fetchall()
    if len(rows) != 1:
        what = "several claims have ids that begin" if rows else "no claim has an id that begins"
        raise UsageError(f"{what} with {beginning!r}; hoaxwatch claims list shows them")
    return str(rows[0][0])


def read_changes(connection: psycopg.Connection, encoder: str, since: int) -> Changes:
    """What changed after a load number, of claims that this encoder embedded. 0: all."""
    lines = connection.execute(
        _CHANGED, {"encoder": encoder, "since": since, "body": BODY_CHARACTERS}
    ).fetchall()
    standing = [line for line in lines if line[12] is not None]
    return Changes(
        claims=[
            CheckedClaim(
                claim_id=line[0],
                kind=line[1],
                text=line[2],
                url=line[3],
                stance=line[4],
                rating=line[5],
                publisher=line[6],
                title=line[7],
                reviewed_on=line[8],
                lang=line[9],
                body=line[10],
            )
            for line in standing
        ],
        vectors=np.array([_vector(line[12]) for line in standing], dtype=np.float16),
        numbers=np.array([line[11] for line in standing], dtype=np.int64),
        removed=[line[0] for line in lines if line[12] is None],
        upto=max((line[11] for line in lines), default=since),
    )


def read_pending(
    connection: psycopg.Connection, matcher: str, upto: int, page: int
) -> Iterator[list[Pending]]:
    """Contents that were not compared with the claims up to `upto`, in pages of at most `page`."""
    after = ("", "")
    while True:
        lines = connection.execute(
            _PENDING,
            {
                "matcher": matcher,
                "upto": upto,
                "platform": after[0],
                "root_id": after[1],
                "page": page,
            },
        ).fetchall()
        if not lines:
            return
        contents = contents_from(line[:8] for line in lines)
        yield [
            Pending(content, since or 0, reason, None if data is None else _vector(data))
            for content, (since, reason, data) in zip(
                contents, (line[8:] for line in lines), strict=True
            )
        ]
        after = (contents[-1].platform, contents[-1].root_id)


def store_checks(
    connection: psycopg.Connection, checks: Sequence[ClaimCheck], matcher: str, encoder: str
) -> None:
    """Stores what was found in one transaction. What is about words that do not stand any more, or
    about fewer claims than somebody else compared by now, is left out."""
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", (DELETION_LOCK,))
        cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", (CLAIM_LOCK,))
        cursor.execute(_STAGE)
        with cursor.copy("COPY stage_claim_checks FROM STDIN") as copy:
            for check in checks:
                content = check.content
                data = None if check.vector is None else check.vector.astype(STORED).tobytes()
                copy.write_row(
                    (
                        *(content.platform, content.root_id, content.input_hash, matcher),
                        *(check.reason, data, check.upto, check.since),
                    )
                )
        with cursor.copy("COPY stage_claim_matches FROM STDIN") as copy:
            for check in checks:
                content = check.content
                for match in check.matches:
                    copy.write_row(
                        (
                            *(content.platform, content.root_id, match.claim.claim_id),
                            *(content.input_hash, match.label, round(match.cosine, 6)),
                            *(match.common_words, matcher, encoder),
                        )
                    )
        cursor.execute(_MERGE_CHECKS)
        cursor.execute(_DROP_COMPARED)
        cursor.execute(_ADD_MATCHES)


def read_claims(
    connection: psycopg.Connection,
    limit: int,
    kind: Kind | None = None,
    *,
    withdrawn: bool = False,
) -> list[ClaimRow]:
    """The claims that stand, or those that were withdrawn: what most contents repeat first."""
    cursor = connection.cursor(row_factory=class_row(ClaimRow))
    return cursor.execute(
        "SELECT claim_id, version, kind, text, rating, stance, publisher, link, published_on, lang,"
        " encoder, (SELECT count(*) FROM hoaxwatch.claim_matches m JOIN hoaxwatch.content c"
        " USING (platform, root_id, input_hash) WHERE m.claim_id = k.claim_id) AS contents,"
        " loaded_at, withdrawn_at FROM hoaxwatch.claims k WHERE replaced_at IS NULL"
        " AND (withdrawn_at IS NOT NULL) = %(withdrawn)s AND (%(kind)s::text IS NULL"
        " OR kind = %(kind)s) ORDER BY contents DESC, published_on DESC, claim_id LIMIT %(limit)s",
        {"withdrawn": withdrawn, "kind": kind, "limit": limit},
    ).fetchall()


def count_other_encoders(connection: psycopg.Connection, encoder: str) -> int:
    """How many claims that stand were embedded by another encoder, and so are not compared."""
    return int(
        _one(
            connection.execute(
                "SELECT count(*) FROM hoaxwatch.claims WHERE replaced_at IS NULL"
                " AND withdrawn_at IS NULL AND encoder <> %s",
                (encoder,),
            )
        )
    )


def _vector(data: bytes) -> Stored:
    return np.frombuffer(data, dtype=STORED)


def _one(cursor: psycopg.Cursor[Any]) -> Any:
    row = cursor.fetchone()
    assert row is not None
    return row[0]
