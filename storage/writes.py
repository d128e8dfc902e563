"""Writes: COPY a batch into staging tables, then merge it with what is stored.

Every write is an upsert on a natural key whose merge does not depend on order, rows are sorted by
key (unsorted multi-row upserts deadlock), and each transaction appends to `dirty_buckets` the
(hashtag, hour) buckets that it touched. Counting happens later, in `recount`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Any

import msgspec
import psycopg

from graph.followed import Followed
from storage import retelling, rows, snowball
from storage.copy_format import Row, copy_text
from storage.recount import JUDGE_LOCK
from storage.retelling import CONTENT_TABLES
from storage.rows import BINARY, PostRows
from streams.records import Content, Deletion, Post, Problem, Verdict

#: What names one quarantined record: 10 hex digits of its key.
QUARANTINE_ID = "left(md5(source || E'\\n' || position || E'\\n' || payload_hash::text), 10)"

#: What PostgreSQL says when a value of one post cannot be stored, whatever its neighbours.
BAD_VALUE = (psycopg.DataError, psycopg.errors.ProgramLimitExceeded, *rows.UNWRITABLE)

#: What PostgreSQL says to one of two transactions that wait for each other.
DEADLOCK = psycopg.errors.DeadlockDetected

#: Whoever deletes holds it alone; whoever stores posts or verdicts shares it. Else a transaction
#: that does not see the other's rows yet could bring back what goes, or leave a verdict about it.
DELETION_LOCK = 0x676F6E65

#: Rows of the batch at hand, one table each. Whoever fills one empties it first: were they emptied
#: by each commit, it would cut each of their files (measured: 50 ms, for batches of any size).
_STAGED = {
    "stage_posts": "LIKE hoaxwatch.posts",
    "stage_content": "LIKE hoaxwatch.content",
    "stage_authors": "LIKE hoaxwatch.authors",
    "stage_hashtags": "LIKE hoaxwatch.content_hashtags",
    "stage_links": "LIKE hoaxwatch.content_links",
    "stage_media": "LIKE hoaxwatch.media",
    "stage_payloads": "LIKE hoaxwatch.payloads",
    "stage_verdicts": "LIKE hoaxwatch.verdicts",
    # posts that this batch added, and those that were there before, as they were
    "stage_added": """platform text COLLATE "C", post_id text COLLATE "C", root_id text COLLATE "C",
                      kind text COLLATE "C", hour timestamptz""",
    "stage_known": "LIKE hoaxwatch.posts",
    # posts of before that others may share, and that have another author or time now
    "stage_shared": 'platform text COLLATE "C", post_id text COLLATE "C", root_id text COLLATE "C"',
    # contents of which something is new to the database; `is_other`: its words, tags or links,
    # which count, and not only its media or how its tags are spelled
    "stage_changed": """platform text COLLATE "C", root_id text COLLATE "C", is_new boolean,
                        is_other boolean""",
    # (content, hour) pairs whose buckets must be counted again, beside those of stage_added
    "stage_touched": 'platform text COLLATE "C", root_id text COLLATE "C", hour timestamptz',
    # posts that are about to be deleted
    "stage_doomed": 'platform text COLLATE "C", post_id text COLLATE "C"',
}

_WINS = """(s.completeness, s.observed_at, s.payload_hash)
         > (k.completeness, k.observed_at, k.payload_hash)"""

_INSERT_NEW_POSTS = """
WITH added AS (
    INSERT INTO hoaxwatch.posts SELECT * FROM stage_posts ORDER BY platform, post_id
    ON CONFLICT (platform, post_id) DO NOTHING
    RETURNING platform, post_id, root_id, kind, date_trunc('hour', posted_at)
)
INSERT INTO stage_added SELECT * FROM added
"""

# Where a statement looks up the rows of a batch in a table of any size, it says so with LATERAL:
# one index lookup per row. Left to itself, the planner reads the whole table for a batch of some
# thousand rows, and the time per batch grows with the table.

# Locks what was there before, so that the merge that follows sees and keeps the newest version.
_LOCK_KNOWN_POSTS = """
INSERT INTO stage_known
SELECT p.* FROM (
    SELECT platform, post_id FROM stage_posts EXCEPT SELECT platform, post_id FROM stage_added
    ORDER BY platform, post_id
) s CROSS JOIN LATERAL (
    SELECT * FROM hoaxwatch.posts k WHERE k.platform = s.platform AND k.post_id = s.post_id
    OFFSET 0 FOR UPDATE
) p
"""

_MERGE_KNOWN_POSTS = f"""
WITH merged AS (
    SELECT k.platform, k.post_id,
           CASE WHEN {_WINS} THEN s.posted_at ELSE k.posted_at END AS posted_at,
           GREATEST(k.author_id, s.author_id) AS author_id,
           CASE WHEN {_WINS} THEN s.root_id ELSE k.root_id END AS root_id,
           CASE WHEN {_WINS} THEN s.kind ELSE k.kind END AS kind,
           CASE WHEN {_WINS} THEN s.share_of ELSE k.share_of END AS share_of,
           CASE WHEN {_WINS} THEN s.reply_to ELSE k.reply_to END AS reply_to,
           CASE WHEN {_WINS} THEN s.quote_of ELSE k.quote_of END AS quote_of,
           LEAST(k.seen_as, s.seen_as) AS seen_as,
           GREATEST(k.likes, s.likes) AS likes, GREATEST(k.shares, s.shares) AS shares,
           GREATEST(k.replies, s.replies) AS replies, GREATEST(k.quotes, s.quotes) AS quotes,
           GREATEST(k.views, s.views) AS views,
           CASE WHEN {_WINS} THEN s.completeness ELSE k.completeness END AS completeness,
           CASE WHEN {_WINS} THEN s.observed_at ELSE k.observed_at END AS observed_at,
           CASE WHEN {_WINS} THEN s.payload_hash ELSE k.payload_hash END AS payload_hash,
           CASE WHEN k.provenance @> s.provenance THEN k.provenance
                ELSE ARRAY(SELECT DISTINCT name FROM unnest(k.provenance || s.provenance) AS name
                           ORDER BY name) END AS provenance,
           CASE WHEN {_WINS} THEN s.shared_via ELSE k.shared_via END AS shared_via
    FROM stage_known k JOIN stage_posts s USING (platform, post_id)
), updated AS (
    UPDATE hoaxwatch.posts p
    SET posted_at = m.posted_at, author_id = m.author_id, root_id = m.root_id, kind = m.kind,
        share_of = m.share_of, reply_to = m.reply_to, quote_of = m.quote_of, seen_as = m.seen_as,
        likes = m.likes, shares = m.shares, replies = m.replies, quotes = m.quotes,
        views = m.views, completeness = m.completeness, observed_at = m.observed_at,
        payload_hash = m.payload_hash, provenance = m.provenance,
        shared_via = m.shared_via
    FROM merged m JOIN stage_known k USING (platform, post_id)
    WHERE p.platform = m.platform AND p.post_id = m.post_id AND (k.*) IS DISTINCT FROM (m.*)
    RETURNING p.platform, p.post_id, p.root_id, p.posted_at,
              k.root_id AS old_root, k.posted_at AS old_posted,
              (p.root_id, p.posted_at, p.author_id, p.kind)
              IS DISTINCT FROM (k.root_id, k.posted_at, k.author_id, k.kind) AS moved
), touched AS (
    INSERT INTO stage_touched
    SELECT platform, root_id, date_trunc('hour', posted_at) FROM updated WHERE moved
    UNION ALL
    SELECT platform, old_root, date_trunc('hour', old_posted) FROM updated WHERE moved
), shared AS (
    INSERT INTO stage_shared
    SELECT platform, post_id, root_id FROM updated WHERE moved
    UNION SELECT platform, post_id, old_root FROM updated WHERE moved
)
SELECT count(*) FROM updated
"""

# Who is shared is a fact of the original: it comes late, and windows of any later day change. The
# lock makes an original and its share that come at the same time do so one after the other, so that
# the second sees the first.
# What this transaction added itself is locked already: whoever adds it too waits.
_LOCK_CONTENT = """
SELECT FROM (
    SELECT platform, root_id FROM stage_added UNION SELECT platform, root_id FROM stage_shared
    EXCEPT SELECT platform, root_id FROM stage_changed WHERE is_new
    ORDER BY platform, root_id
) s CROSS JOIN LATERAL (
    SELECT FROM hoaxwatch.content c WHERE c.platform = s.platform AND c.root_id = s.root_id
    OFFSET 0 FOR NO KEY UPDATE
) c
"""

_TOUCH_SHARES = """
INSERT INTO stage_touched
SELECT DISTINCT s.platform, s.root_id, date_trunc('hour', s.posted_at)
FROM (
    SELECT platform, post_id, root_id FROM stage_added WHERE kind <> 'share'
    UNION SELECT * FROM stage_shared
) o CROSS JOIN LATERAL (
    SELECT * FROM hoaxwatch.posts s
    WHERE s.platform = o.platform AND s.root_id = o.root_id AND s.kind = 'share'
      AND s.share_of = o.post_id OFFSET 0
) s
"""

_INSERT_NEW_CONTENT = """
WITH added AS (
    INSERT INTO hoaxwatch.content SELECT * FROM stage_content ORDER BY platform, root_id
    ON CONFLICT (platform, root_id) DO NOTHING RETURNING platform, root_id
)
INSERT INTO stage_changed SELECT platform, root_id, true, true FROM added
"""

_MERGE_KNOWN_CONTENT = f"""
WITH known AS MATERIALIZED (
    SELECT k.* FROM (
        SELECT c.* FROM stage_content c
        WHERE (c.platform, c.root_id) NOT IN (SELECT platform, root_id FROM stage_changed)
        ORDER BY platform, root_id
    ) s CROSS JOIN LATERAL (
        SELECT * FROM hoaxwatch.content k
        WHERE k.platform = s.platform AND k.root_id = s.root_id AND {_WINS}
        OFFSET 0 FOR UPDATE
    ) k
), updated AS (
    UPDATE hoaxwatch.content c
    SET text = s.text, lang = s.lang, hashtags = s.hashtags, links = s.links,
        completeness = s.completeness, observed_at = s.observed_at,
        payload_hash = s.payload_hash, input_hash = s.input_hash
    FROM stage_content s JOIN known k USING (platform, root_id)
    WHERE c.platform = s.platform AND c.root_id = s.root_id
    RETURNING c.platform, c.root_id, (c.input_hash, c.hashtags, c.links)
              IS DISTINCT FROM (k.input_hash, k.hashtags, k.links) AS is_other
), staged_media AS (
    SELECT platform, root_id, array_agg((url, kind, alt_text)::text ORDER BY url) AS media
    FROM stage_media JOIN updated USING (platform, root_id) GROUP BY platform, root_id
), staged_forms AS (
    SELECT platform, root_id, array_agg(written ORDER BY hashtag) AS forms
    FROM stage_hashtags JOIN updated USING (platform, root_id) GROUP BY platform, root_id
)
INSERT INTO stage_changed
SELECT u.platform, u.root_id, false, u.is_other
FROM updated u LEFT JOIN staged_media s USING (platform, root_id)
LEFT JOIN staged_forms f USING (platform, root_id)
CROSS JOIN LATERAL (
    SELECT array_agg((m.url, m.kind, m.alt_text)::text ORDER BY m.url) AS media
    FROM hoaxwatch.media m WHERE m.platform = u.platform AND m.root_id = u.root_id OFFSET 0
) m
CROSS JOIN LATERAL (
    SELECT array_agg(h.written ORDER BY h.hashtag) AS forms FROM hoaxwatch.content_hashtags h
    WHERE h.platform = u.platform AND h.root_id = u.root_id OFFSET 0
) h
WHERE u.is_other OR s.media IS DISTINCT FROM m.media OR f.forms IS DISTINCT FROM h.forms
"""

_TOUCH_CHANGED_CONTENT = """
INSERT INTO stage_touched
SELECT DISTINCT c.platform, c.root_id, date_trunc('hour', p.posted_at)
FROM stage_changed c CROSS JOIN LATERAL (
    SELECT posted_at FROM hoaxwatch.posts p
    WHERE p.platform = c.platform AND p.root_id = c.root_id OFFSET 0
) p
WHERE NOT c.is_new AND c.is_other
"""

# Also run before the links of changed contents are replaced: the buckets of the old tags.
_MARK_TOUCHED = """
INSERT INTO hoaxwatch.dirty_buckets
SELECT DISTINCT h.hashtag, t.hour
FROM (
    SELECT platform, root_id, hour FROM stage_added UNION SELECT * FROM stage_touched
) t CROSS JOIN LATERAL (
    SELECT hashtag FROM hoaxwatch.content_hashtags h
    WHERE h.platform = t.platform AND h.root_id = t.root_id OFFSET 0
) h
"""

_LINK_TABLES = (
    ("content_hashtags", "stage_hashtags"),
    ("content_links", "stage_links"),
    ("media", "stage_media"),
)
# A lookup too: a join would read the whole table. Who changes a content's links holds its lock.
_DROP_LINKS = [
    f"DELETE FROM hoaxwatch.{table} WHERE ctid = ANY (ARRAY("
    f"SELECT t.ctid FROM stage_changed c CROSS JOIN LATERAL (SELECT ctid FROM hoaxwatch.{table} t"
    " WHERE t.platform = c.platform AND t.root_id = c.root_id OFFSET 0) t WHERE NOT c.is_new))"
    for table, _ in _LINK_TABLES
]
_ADD_LINKS = [
    f"INSERT INTO hoaxwatch.{table} SELECT s.* FROM {stage} s "
    "WHERE (s.platform, s.root_id) IN (SELECT platform, root_id FROM stage_changed)"
    for table, stage in _LINK_TABLES
]

_MERGE_AUTHORS = """
INSERT INTO hoaxwatch.authors AS a SELECT * FROM stage_authors ORDER BY platform, author_id
ON CONFLICT (platform, author_id) DO UPDATE SET
    handle = GREATEST(a.handle, excluded.handle), name = GREATEST(a.name, excluded.name),
    followers = GREATEST(a.followers, excluded.followers),
    following = GREATEST(a.following, excluded.following),
    n_posts = GREATEST(a.n_posts, excluded.n_posts),
    verified = GREATEST(a.verified, excluded.verified),
    created_at = GREATEST(a.created_at, excluded.created_at)
WHERE (a.*) IS DISTINCT FROM (
    a.platform, a.author_id, GREATEST(a.handle, excluded.handle), GREATEST(a.name, excluded.name),
    GREATEST(a.followers, excluded.followers), GREATEST(a.following, excluded.following),
    GREATEST(a.n_posts, excluded.n_posts), GREATEST(a.verified, excluded.verified),
    GREATEST(a.created_at, excluded.created_at))
"""

# What is new to the database has no payload there.
_ADD_PAYLOADS_OF_NEW = "INSERT INTO hoaxwatch.payloads SELECT * FROM stage_payloads"

# The same bytes may come from several sources: the first in C order is kept, whichever comes first
# in time.
_ADD_PAYLOADS = """
WITH known AS MATERIALIZED (
    SELECT s.platform, s.post_id, s.payload_hash, s.source, p.received_at, p.source AS held
    FROM stage_payloads s CROSS JOIN LATERAL (
        SELECT received_at, source FROM hoaxwatch.payloads p WHERE p.platform = s.platform
        AND p.post_id = s.post_id AND p.payload_hash = s.payload_hash OFFSET 0
    ) p
    WHERE (s.platform, s.post_id) NOT IN (SELECT platform, post_id FROM stage_added)
), added AS (
    INSERT INTO hoaxwatch.payloads
    SELECT s.* FROM stage_payloads s
    WHERE (s.platform, s.post_id, s.payload_hash)
          NOT IN (SELECT platform, post_id, payload_hash FROM known)
)
UPDATE hoaxwatch.payloads p SET source = k.source
FROM known k
WHERE p.platform = k.platform AND p.post_id = k.post_id AND p.payload_hash = k.payload_hash
  AND p.received_at = k.received_at AND k.source < k.held
"""

_PENDING_OF_BATCH = """
SELECT c.platform, c.root_id, c.text, c.lang, c.hashtags, c.links, c.completeness, c.input_hash
FROM stage_content s CROSS JOIN LATERAL (
    SELECT * FROM hoaxwatch.content c
    WHERE c.platform = s.platform AND c.root_id = s.root_id OFFSET 0
) c
WHERE %(also_judged)s OR NOT EXISTS (
    SELECT FROM hoaxwatch.verdicts v
    WHERE v.platform = c.platform AND v.root_id = c.root_id AND v.detector = %(detector)s
      AND v.version = %(version)s AND v.input_hash = c.input_hash OFFSET 0
)
ORDER BY c.platform, c.root_id
"""

# A verdict counts only for the very words it was made from; the content may have changed since.
_MERGE_VERDICTS = """
WITH written AS (
    INSERT INTO hoaxwatch.verdicts AS v
    SELECT s.* FROM stage_verdicts s
    WHERE EXISTS (SELECT FROM hoaxwatch.content c WHERE c.platform = s.platform
                  AND c.root_id = s.root_id AND c.input_hash = s.input_hash OFFSET 0)
    ORDER BY s.platform, s.root_id
    ON CONFLICT (platform, root_id, detector, version) DO UPDATE SET
        input_hash = excluded.input_hash, state = excluded.state, score = excluded.score,
        reason = excluded.reason, evidence = excluded.evidence, scored_at = excluded.scored_at,
        read_hash = excluded.read_hash, parts = excluded.parts
    WHERE v.input_hash <> excluded.input_hash OR v.read_hash IS DISTINCT FROM excluded.read_hash
    RETURNING platform, root_id, state
), touched AS (
    INSERT INTO stage_touched
    SELECT w.platform, w.root_id, p.hour
    FROM written w CROSS JOIN LATERAL (
        SELECT DISTINCT date_trunc('hour', posted_at) AS hour FROM hoaxwatch.posts p
        WHERE p.platform = w.platform AND p.root_id = w.root_id OFFSET 0
    ) p
)
SELECT count(*) FILTER (WHERE state = 'scored'), count(*) FILTER (WHERE state = 'abstained')
FROM written
"""


def prepare(connection: psycopg.Connection) -> None:
    """Makes the staging tables of this connection. Call once after connecting."""
    # a prepared statement would keep the plan that was good when the tables were small
    connection.prepare_threshold = None
    tables = (f"CREATE TEMP TABLE IF NOT EXISTS {name} ({of})" for name, of in _STAGED.items())
    connection.execute("; ".join(tables))
    retelling.prepare(connection)


#: A table that is emptied by deleting its rows grows, and whoever reads it passes over them. From
#: here on its files are cut instead (measured: 1.5 ms a table, whatever is in it).
_CUT_BYTES = 1 << 20


def clear_staging(cursor: psycopg.Cursor[Any], tables: Sequence[str] = tuple(_STAGED)) -> None:
    """Makes room for another batch."""
    sizes = cursor.execute(
        "SELECT name, pg_table_size(name::regclass) FROM unnest(%s::text[]) AS name",
        (list(tables),),
    ).fetchall()
    cut = [name for name, size in sizes if size > _CUT_BYTES]
    orders = [f"DELETE FROM {name}" for name in tables if name not in cut]
    orders += [f"TRUNCATE {', '.join(cut)}"] if cut else []
    cursor.execute("; ".join(orders).encode())


def commit_later(connection: psycopg.Connection) -> None:
    """From now on a commit does not wait for the disk. A power cut takes the last of them, whole
    transactions each; a commit after `commit_at_once` waits for all that came before it."""
    connection.execute("SET synchronous_commit = off")


def commit_at_once(connection: psycopg.Connection) -> None:
    """From now on a commit is on disk when it returns, as the server is set up to do it."""
    connection.execute("RESET synchronous_commit")


def commit_this_at_once(cursor: psycopg.Cursor[Any]) -> None:
    """The commit of this transaction waits for the disk, and so for all that came before it."""
    cursor.execute("SET LOCAL synchronous_commit TO DEFAULT")


def _copy(cursor: psycopg.Cursor[Any], table: str, lines: Iterable[Row]) -> None:
    with cursor.copy(f"COPY {table} FROM STDIN") as copy:
        for line in lines:
            copy.write_row(line)


def _send(cursor: psycopg.Cursor[Any], table: str, data: bytes) -> None:
    """What `rows` has made for COPY: sending it needs no interpreter."""
    form = " (FORMAT BINARY)" if table in BINARY else ""
    with cursor.copy(f"COPY {table} FROM STDIN{form}") as copy:
        copy.write(data)


def upsert_posts(cursor: psycopg.Cursor[Any], batch: PostRows) -> Counter[str]:
    """Merges posts with what is stored, inside the caller's transaction.

    Returns how many records were new, updated and unchanged (they sum to batch.n_posts). Leaves
    the batch's contents in stage_content for `read_pending_of_batch`.
    """
    clear_staging(cursor)
    followed = read_followed(cursor)
    copied = dict(batch.copied)
    if followed:
        copied["stage_hashtags"] += copy_text(rows.followed_rows(batch, followed))
    for table, data in copied.items():
        if data:
            _send(cursor, table, data)
    n_new = cursor.execute(_INSERT_NEW_POSTS).rowcount
    n_updated = 0
    if n_new < len(batch.posts):
        cursor.execute(_LOCK_KNOWN_POSTS)
        n_updated = _one(cursor.execute(_MERGE_KNOWN_POSTS))[0]
    n_new_contents = cursor.execute(_INSERT_NEW_CONTENT).rowcount
    n_changed = 0
    if n_new_contents < len(batch.contents):
        n_changed = cursor.execute(_MERGE_KNOWN_CONTENT).rowcount
    merges = [_LOCK_CONTENT, _TOUCH_SHARES]
    if n_changed:
        merges += [_TOUCH_CHANGED_CONTENT, _MARK_TOUCHED, *_DROP_LINKS]
    if n_new_contents or n_changed:
        merges += _ADD_LINKS
    add_payloads = _ADD_PAYLOADS_OF_NEW if n_new == len(batch.posts) else _ADD_PAYLOADS
    merges += [_MARK_TOUCHED, _MERGE_AUTHORS, add_payloads]
    # at once: for each answer this thread would wait until the one that reads files lets it go on
    cursor.execute("; ".join(merges).encode())
    return Counter(new=n_new, updated=n_updated, unchanged=batch.n_posts - n_new - n_updated)


def read_followed(cursor: psycopg.Cursor[Any]) -> Followed:
    """The words and links that are followed; until the transaction ends they stay the same."""
    cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", (DELETION_LOCK,))
    return Followed.of(topic for (topic,) in cursor.execute("SELECT topic FROM hoaxwatch.followed"))


def _one(cursor: psycopg.Cursor[Any]) -> Any:
    row = cursor.fetchone()
    assert row is not None
    return row


def contents_from(lines: Iterable[Sequence[Any]]) -> list[Content]:
    """Contents from rows in the column order of `_PENDING_OF_BATCH`."""
    return [
        Content(
            platform=line[0],
            root_id=line[1],
            text=line[2],
            lang=line[3],
            hashtags=tuple(line[4]),
            links=tuple(line[5]),
            completeness=line[6],
            input_hash=bytes(line[7]),
        )
        for line in lines
    ]


def read_pending_of_batch(
    cursor: psycopg.Cursor[Any], detector: str, version: str, *, also_judged: bool = False
) -> list[Content]:
    """Contents of the batch just upserted that this detector has not judged yet, as they stand.

    also_judged: all of them, for detectors for which the words alone do not decide.
    """
    asked = {"detector": detector, "version": version, "also_judged": also_judged}
    return contents_from(cursor.execute(_PENDING_OF_BATCH, asked))


# Whoever brings another policy into force waits until this transaction ends, or it for them.
_COUNTS = """
SELECT 1 FROM hoaxwatch.verdict_policy WHERE active AND detector = %s AND version = %s FOR SHARE
"""


def hold_verdicts(cursor: psycopg.Cursor[Any]) -> None:
    """First of whoever stores what is said about contents: until its transaction ends nothing is
    deleted, and ticks wait for it."""
    cursor.execute(
        "SELECT pg_advisory_xact_lock_shared(%s), pg_advisory_xact_lock_shared(%s)",
        (DELETION_LOCK, JUDGE_LOCK),
    )


def upsert_verdicts(
    connection: psycopg.Connection,
    verdicts: Sequence[Verdict],
    scored_at: datetime,
    *,
    beside: bool = False,
) -> Counter[str]:
    """Stores verdicts in one transaction and marks the buckets they change. `beside`: of a detector
    whose verdicts do not count, so that there is nothing to mark while that is so.

    Returns how many were stored as scored and as abstained. A verdict about words that do not
    stand any more is dropped: the content is pending again and somebody scores it. Of several about
    one content the last counts: batches that were halved may name it twice.
    """
    now = scored_at.isoformat()
    last = {(verdict.platform, verdict.root_id): verdict for verdict in verdicts}
    with connection.transaction(), connection.cursor() as cursor:
        hold_verdicts(cursor)
        clear_staging(cursor, ("stage_verdicts", "stage_added", "stage_touched"))
        _copy(
            cursor,
            "stage_verdicts",
            (
                (
                    v.platform,
                    v.root_id,
                    v.detector,
                    v.version,
                    v.input_hash,
                    v.state,
                    v.score,
                    v.reason,
                    _as_json(v.evidence),
                    now,
                    v.read_hash or None,
                    None if v.parts is None else _as_json(msgspec.to_builtins(v.parts)),
                )
                for _, v in sorted(last.items())
            ),
        )
        scored, abstained = _one(cursor.execute(_MERGE_VERDICTS))
        judges = {(v.detector, v.version) for v in verdicts}
        if not beside or any(cursor.execute(_COUNTS, judge).fetchone() for judge in judges):
            cursor.execute(_MARK_TOUCHED)
    return Counter(scored=scored, abstained=abstained)


_encoder = json.JSONEncoder(ensure_ascii=False)  # json.dumps would make one for each value


def _as_json(value: object) -> str:
    return _encoder.encode(value).replace("\\u0000", "\\ufffd")


def add_quarantined(
    cursor: psycopg.Cursor[Any], problems: Iterable[Problem], received_at: datetime
) -> None:
    """Puts records aside with their reason; the same record of the same place once, with the
    latest reason."""
    for problem in problems:
        cursor.execute(
            "INSERT INTO hoaxwatch.quarantine AS q VALUES (%s, %s, %s, %s, %s, %s)"
            " ON CONFLICT (source, position, payload_hash) DO UPDATE SET reason = excluded.reason"
            " WHERE q.reason <> excluded.reason",
            (
                storable(problem.source),
                storable(problem.position),
                rows.hash16(problem.raw),
                storable(problem.reason),
                rows.compress(problem.raw),
                received_at,
            ),
        )


def remove_quarantined(cursor: psycopg.Cursor[Any], ids: Sequence[str]) -> int:
    """Takes these records out of quarantine; returns how many were there."""
    return cursor.execute(
        f"DELETE FROM hoaxwatch.quarantine WHERE {QUARANTINE_ID} = ANY (%s)", (list(ids),)
    ).rowcount


def storable(text: str) -> str:
    """The text without what PostgreSQL cannot hold: lone surrogates and NUL."""
    return text.encode(errors="replace").decode().replace("\0", "\ufffd")


def id_hash(key: str, kind: str, platform: str, deleted_id: str) -> bytes:
    """Keyed BLAKE2b-128 by which a deleted post or author is remembered."""
    text = f"{platform}\0{kind}\0{deleted_id}".encode(errors="surrogatepass")
    return blake2b(text, digest_size=16, key=key.encode()[:64]).digest()


def has_tombstones(cursor: psycopg.Cursor[Any]) -> bool:
    """Whether anything was ever deleted here."""
    return bool(_one(cursor.execute("SELECT EXISTS (SELECT FROM hoaxwatch.tombstones)"))[0])


def without_deleted(
    cursor: psycopg.Cursor[Any], posts: Sequence[Post], key: str
) -> tuple[list[Post], int, list[Deletion]]:
    """The posts that may be stored, how many may not, and what follows from those.

    May not: deleted, by a deleted author, or shares of a deleted post. Until the transaction ends
    nobody else deletes. A share does not say who wrote its original; so an original that is refused
    for its author's sake, and has no tombstone of its own, is returned as a Deletion: apply it and
    ask again.
    """
    cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", (DELETION_LOCK,))
    if not has_tombstones(cursor):
        return list(posts), 0, []
    names = {
        (kind, platform, name) for post in posts for kind, platform, name in _deletable_names(post)
    }
    hashes = {name: id_hash(key, *name) for name in names}
    stored = {
        bytes(row[0])
        for row in cursor.execute(
            "SELECT id_hash FROM hoaxwatch.tombstones WHERE id_hash = ANY (%s)",
            (list(hashes.values()),),
        )
    }
    kept: list[Post] = []
    implied: dict[tuple[str, str], Deletion] = {}
    for post in posts:
        gone = [name for name in _deletable_names(post) if hashes[name] in stored]
        if not gone:
            kept.append(post)
        elif post.root_id == post.post_id and all(kind == "author" for kind, _, _ in gone):
            deletion = Deletion(platform=post.platform, kind="post", deleted_id=post.post_id)
            implied[post.platform, post.post_id] = deletion
    return kept, len(posts) - len(kept), list(implied.values())


def _deletable_names(post: Post) -> list[tuple[str, str, str]]:
    names = [("post", post.platform, post.post_id), ("post", post.platform, post.root_id)]
    if post.author is not None:
        names.append(("author", post.platform, post.author.author_id))
    return names


def apply_deletions(
    cursor: psycopg.Cursor[Any], deletions: Sequence[Deletion], key: str
) -> list[str]:
    """Remembers each deletion by hash and removes what is stored: the post with its shares, or all
    posts of the author with theirs; content, payloads and verdicts go with them. Returns the
    hashtags of what is gone.

    The originals of a deleted author get tombstones too: shares of them may still come. What only
    the deleted posts told must be told again before the transaction ends: see `retelling`.
    """
    cursor.execute("SELECT pg_advisory_xact_lock(%s)", (DELETION_LOCK,))
    clear_staging(cursor, ("stage_doomed",))
    for deletion in sorted(deletions, key=lambda d: (d.platform, d.kind, d.deleted_id)):
        _add_tombstone(cursor, deletion, key)
        if deletion.kind == "author":
            written = cursor.execute(
                "SELECT post_id FROM hoaxwatch.posts"
                " WHERE platform = %s AND author_id = %s AND root_id = post_id",
                (deletion.platform, deletion.deleted_id),
            ).fetchall()
            for (post_id,) in written:
                of_author = Deletion(platform=deletion.platform, kind="post", deleted_id=post_id)
                _add_tombstone(cursor, of_author, key)
            cursor.execute(
                "UPDATE hoaxwatch.errata SET subject_id = NULL"
                " WHERE (kind, platform, subject_id) = ('account', %s, %s)",
                (deletion.platform, deletion.deleted_id),
            )
        column = "post_id" if deletion.kind == "post" else "author_id"
        cursor.execute(
            f"INSERT INTO stage_doomed SELECT platform, post_id FROM hoaxwatch.posts"
            f" WHERE platform = %s AND {column} = %s",
            (deletion.platform, deletion.deleted_id),
        )
        if deletion.kind == "post":
            # the original itself may never have been seen, only shares of it
            cursor.execute(
                "INSERT INTO stage_doomed VALUES (%s, %s)",
                (deletion.platform, deletion.deleted_id),
            )
    cursor.execute(
        "INSERT INTO stage_doomed SELECT p.platform, p.post_id FROM hoaxwatch.posts p"
        " JOIN stage_doomed d ON p.platform = d.platform AND p.root_id = d.post_id"
        " WHERE p.post_id <> d.post_id"
    )
    marked = cursor.execute(
        "INSERT INTO hoaxwatch.dirty_buckets"
        " SELECT DISTINCT h.hashtag, date_trunc('hour', p.posted_at) FROM stage_doomed"
        " JOIN hoaxwatch.posts p USING (platform, post_id)"
        " JOIN hoaxwatch.content_hashtags h USING (platform, root_id) RETURNING hashtag"
    )
    hashtags = sorted({hashtag for (hashtag,) in marked})
    retelling.note_tellers(cursor)
    forgotten = [(d.platform, d.deleted_id) for d in deletions if d.kind == "author"]
    if forgotten:
        _forget_accounts(cursor, forgotten)
    # the rows go now, the files with the next sweep
    cursor.execute(
        "WITH gone AS (DELETE FROM hoaxwatch.media_files f USING stage_doomed d"
        " WHERE f.platform = d.platform AND f.root_id = d.post_id RETURNING f.sha256)"
        " INSERT INTO hoaxwatch.media_removals SELECT DISTINCT sha256 FROM gone"
        " WHERE sha256 IS NOT NULL ON CONFLICT DO NOTHING"
    )
    for table, column in (
        ("payloads", "post_id"),
        ("posts", "post_id"),
        *((table, "root_id") for table in CONTENT_TABLES),
    ):
        cursor.execute(
            f"DELETE FROM hoaxwatch.{table} t USING stage_doomed d"
            f" WHERE t.platform = d.platform AND t.{column} = d.post_id"
        )
    cursor.execute(
        "UPDATE hoaxwatch.errata e SET subject_id = NULL FROM stage_doomed d"
        " WHERE e.kind = 'post' AND e.platform = d.platform AND e.subject_id = d.post_id"
    )
    retelling.forget_told(cursor)
    return hashtags


# An account that came under two ids has two rows, and its posts have one of the ids. Windows before
# the floor are not counted again; in the others the next tick leaves it out.
_FORGET_ACCOUNTS = (
    """
    DELETE FROM hoaxwatch.authors a
    USING unnest(%(platforms)s::text[], %(accounts)s::text[]) AS f (platform, author_id)
    WHERE a.platform = f.platform AND a.author_id = f.author_id
    """,
    """
    DELETE FROM hoaxwatch.cluster_members m
    USING hoaxwatch.clusterings k,
          unnest(%(platforms)s::text[], %(accounts)s::text[]) AS f (platform, author_id)
    WHERE k.window_start < (SELECT max(floor) FROM hoaxwatch.retention)
      AND m.clustering_id = k.clustering_id
      AND m.platform = f.platform AND m.author_id = f.author_id
    """,
)


def _forget_accounts(cursor: psycopg.Cursor[Any], accounts: Sequence[tuple[str, str]]) -> None:
    """Removes what is stored of accounts (platform, id) beside their posts."""
    given = {"platforms": [p for p, _ in accounts], "accounts": [name for _, name in accounts]}
    for statement in _FORGET_ACCOUNTS:
        cursor.execute(statement, given)
    for platform, account_id in accounts:
        snowball.forget_account(cursor, platform, account_id)


def _add_tombstone(cursor: psycopg.Cursor[Any], deletion: Deletion, key: str) -> None:
    cursor.execute(
        "INSERT INTO hoaxwatch.tombstones AS t VALUES (%s, %s, %s, %s, %s)"
        " ON CONFLICT (platform, kind, id_hash) DO UPDATE SET"
        " reason = LEAST(t.reason, excluded.reason),"
        " deleted_at = LEAST(t.deleted_at, excluded.deleted_at)"
        " WHERE (t.reason, t.deleted_at) IS DISTINCT FROM"
        " (LEAST(t.reason, excluded.reason), LEAST(t.deleted_at, excluded.deleted_at))",
        (
            deletion.platform,
            deletion.kind,
            id_hash(key, deletion.kind, deletion.platform, deletion.deleted_id),
            deletion.reason,
            deletion.deleted_at,
        ),
    )


def activate_policy(
    connection: psycopg.Connection,
    detector: str,
    version: str,
    threshold: float,
    abstain_band: float,
    now: datetime,
) -> bool:
    """Makes these the verdicts that count. True if that changed anything: then every bucket is
    marked to be counted again. Waits until nobody counts (`recount.hold_policy`)."""
    wanted = (detector, version, threshold, abstain_band)
    with connection.transaction():
        if is_active(connection, *wanted):
            return False  # as most often: it need not wait for who counts
        connection.execute("LOCK TABLE hoaxwatch.verdict_policy IN EXCLUSIVE MODE")
        if is_active(connection, *wanted):
            return False
        connection.execute("UPDATE hoaxwatch.verdict_policy SET active = false WHERE active")
        connection.execute(
            "INSERT INTO hoaxwatch.verdict_policy"
            " (detector, version, threshold, abstain_band, active, created_at)"
            " VALUES (%s, %s, %s, %s, true, %s)",
            (detector, version, f"{threshold:.6f}", f"{abstain_band:.6f}", now),
        )
        connection.execute(
            "INSERT INTO hoaxwatch.dirty_buckets"
            " SELECT hashtag, bucket_start FROM hoaxwatch.hashtag_trends WHERE grain = 'hour'"
        )
    return True


def is_active(
    connection: psycopg.Connection,
    detector: str,
    version: str,
    threshold: float,
    abstain_band: float,
) -> bool:
    """Whether these are the verdicts that count."""
    found = connection.execute(
        "SELECT FROM hoaxwatch.verdict_policy WHERE active AND detector = %s AND version = %s"
        " AND threshold = %s::numeric AND abstain_band = %s::numeric",
        (detector, version, f"{threshold:.6f}", f"{abstain_band:.6f}"),
    )
    return found.fetchone() is not None


def start_run(connection: psycopg.Connection, manifest: dict[str, Any], now: datetime) -> int:
    """Notes that a run began; returns its number."""
    row = connection.execute(
        "INSERT INTO hoaxwatch.runs (started_at, manifest) VALUES (%s, %s) RETURNING run_id",
        (now, json.dumps(manifest)),
    ).fetchone()
    assert row is not None
    return int(row[0])


def finish_run(
    connection: psycopg.Connection, run_id: int, manifest: dict[str, Any], now: datetime
) -> None:
    """Notes that a run reached its end, with what it counted."""
    connection.execute(
        "UPDATE hoaxwatch.runs SET finished_at = %s, manifest = %s WHERE run_id = %s",
        (now, json.dumps(manifest), run_id),
    )
