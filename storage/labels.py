"""What people say about contents. A label wins over every detector; of several the majority counts.

A post is named by platform and id; a label is about its content, so a share's label is one of its
original. Whoever stores or removes labels marks the buckets in which the content counts, in the
same transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import psycopg
from psycopg.rows import dict_row

from storage.writes import hold_verdicts

LABELS = ("likely_false", "likely_true", "unsure")


class Label(NamedTuple):
    """One person's word about one post."""

    platform: str
    post_id: str
    label: str
    note: str | None = None


class Stored(NamedTuple):
    """How many labels are new or other than before, how many were so already, and which posts are
    not there."""

    n_changed: int
    n_unchanged: int
    unknown: list[Label]


# the same post named twice: the one that stands last counts
_ADD = """
INSERT INTO hoaxwatch.labels AS l
SELECT DISTINCT ON (p.platform, p.root_id) p.platform, p.root_id, %(by)s, g.label, g.note, %(now)s
FROM unnest(%(platforms)s::text[], %(posts)s::text[], %(labels)s::text[], %(notes)s::text[])
     WITH ORDINALITY AS g (platform, post_id, label, note, place)
JOIN hoaxwatch.posts p ON p.platform = g.platform AND p.post_id = g.post_id
ORDER BY p.platform, p.root_id, g.place DESC
ON CONFLICT (platform, root_id, labelled_by) DO UPDATE SET
    label = excluded.label, note = excluded.note, labelled_at = excluded.labelled_at
WHERE (l.label, l.note) IS DISTINCT FROM (excluded.label, excluded.note)
RETURNING platform, root_id
"""

_REMOVE = """
DELETE FROM hoaxwatch.labels l USING hoaxwatch.posts p
WHERE p.platform = %(platform)s AND p.post_id = %(post)s AND l.platform = p.platform
  AND l.root_id = p.root_id AND l.labelled_by = %(by)s
RETURNING l.platform, l.root_id
"""

_MARK = """
INSERT INTO hoaxwatch.dirty_buckets
SELECT DISTINCT h.hashtag, date_trunc('hour', p.posted_at)
FROM unnest(%s::text[], %s::text[]) AS c (platform, root_id)
JOIN hoaxwatch.posts p USING (platform, root_id)
JOIN hoaxwatch.content_hashtags h USING (platform, root_id)
"""

# Half of what the detector flags, half of the rest of what it judged; by a hash, so that the same
# seed gives every annotator the same posts. What the annotator has labelled does not come again.
_SAMPLE = """
WITH open AS (
    SELECT v.platform, v.root_id, v.score >= p.threshold AS is_flagged,
           md5(%(seed)s || ' ' || v.platform || ':' || v.root_id) AS place
    FROM hoaxwatch.verdicts v
    JOIN hoaxwatch.verdict_policy p ON p.active AND p.detector = v.detector
                                   AND p.version = v.version
    JOIN hoaxwatch.content c ON c.platform = v.platform AND c.root_id = v.root_id
                            AND c.input_hash = v.input_hash
    WHERE v.state = 'scored'
), numbered AS (
    SELECT *, row_number() OVER (PARTITION BY is_flagged ORDER BY place) AS number FROM open
), chosen AS (
    SELECT * FROM numbered ORDER BY number, is_flagged DESC LIMIT %(n)s
)
SELECT s.platform, s.root_id AS post_id, c.text
FROM chosen s JOIN hoaxwatch.content c USING (platform, root_id)
WHERE NOT EXISTS (SELECT FROM hoaxwatch.labels l WHERE l.platform = s.platform
                  AND l.root_id = s.root_id AND l.labelled_by = %(by)s)
ORDER BY s.place
"""

_LIST = """
SELECT l.platform, l.root_id AS post_id, l.labelled_by, l.label, l.note, l.labelled_at,
       v.score::float8 AS score, c.lang, c.text
FROM hoaxwatch.labels l
JOIN hoaxwatch.content c USING (platform, root_id)
LEFT JOIN hoaxwatch.content_verdict v USING (platform, root_id)
ORDER BY l.labelled_at DESC, l.platform, l.root_id, l.labelled_by
"""

# What stands of a root that was never seen itself is known of its shares; its account is not.
_DECIDED = """
SELECT l.platform, l.root_id AS post_id, c.text,
       CASE WHEN v.likely_false THEN 'likely_false' ELSE 'likely_true' END AS label, c.lang,
       hoaxwatch.pseudonym(k.key, o.platform, o.author_id) AS author_id, o.posted_at
FROM (SELECT DISTINCT platform, root_id FROM hoaxwatch.labels) l
CROSS JOIN hoaxwatch.pseudonym_key k
JOIN hoaxwatch.content c USING (platform, root_id)
JOIN hoaxwatch.content_verdict v USING (platform, root_id)
LEFT JOIN hoaxwatch.posts o ON o.platform = l.platform AND o.post_id = l.root_id
WHERE v.state = 'labelled' AND v.likely_false IS NOT NULL
ORDER BY l.platform, l.root_id
"""

_TALLIES = """
SELECT array_agg(n.times ORDER BY n.place) AS counts, v.score >= p.threshold, v.likely_false
FROM (
    SELECT l.platform, l.root_id, g.place, count(*) FILTER (WHERE l.label = g.label) AS times
    FROM hoaxwatch.labels l
    CROSS JOIN unnest(%(labels)s::text[]) WITH ORDINALITY AS g (label, place)
    WHERE EXISTS (SELECT FROM hoaxwatch.posts o WHERE o.platform = l.platform
                  AND o.root_id = l.root_id
                  AND (%(since)s::timestamptz IS NULL OR o.posted_at >= %(since)s)
                  AND (%(until)s::timestamptz IS NULL OR o.posted_at < %(until)s))
    GROUP BY l.platform, l.root_id, g.place
) n
JOIN hoaxwatch.content_verdict v USING (platform, root_id)
JOIN hoaxwatch.verdict_policy p ON p.active
GROUP BY platform, root_id, v.score, p.threshold, v.likely_false ORDER BY platform, root_id
"""


class Tally(NamedTuple):
    """What people said of one content."""

    #: How many gave each of LABELS, in their order.
    counts: list[int]
    #: Whether the detector in force flags it; None: it has no score.
    is_flagged: bool | None
    #: What counts by the view `content_verdict`: the majority; None: unsure.
    is_false: bool | None


def add_labels(
    connection: psycopg.Connection, given: Sequence[Label], by: str, now: datetime
) -> Stored:
    """Stores what one person says, in one transaction; what they said before of the same content is
    replaced."""
    with connection.transaction(), connection.cursor() as cursor:
        hold_verdicts(cursor)
        platforms, posts = [g.platform for g in given], [g.post_id for g in given]
        known = cursor.execute(
            "SELECT platform, post_id FROM hoaxwatch.posts JOIN"
            " unnest(%s::text[], %s::text[]) AS g (platform, post_id) USING (platform, post_id)",
            (platforms, posts),
        ).fetchall()
        changed = cursor.execute(
            _ADD,
            {
                "by": by,
                "now": now,
                "platforms": platforms,
                "posts": posts,
                "labels": [g.label for g in given],
                "notes": [g.note for g in given],
            },
        ).fetchall()
        _mark(cursor, changed)
    names = set(known)
    unknown = [g for g in given if (g.platform, g.post_id) not in names]
    return Stored(len(changed), len(given) - len(unknown) - len(changed), unknown)


def remove_label(connection: psycopg.Connection, platform: str, post_id: str, by: str) -> bool:
    """Takes back what one person said of a post; whether they had said anything."""
    with connection.transaction(), connection.cursor() as cursor:
        hold_verdicts(cursor)
        given = {"platform": platform, "post": post_id, "by": by}
        removed = cursor.execute(_REMOVE, given).fetchall()
        _mark(cursor, removed)
    return bool(removed)


def _mark(cursor: psycopg.Cursor[Any], contents: Sequence[tuple[str, str]]) -> None:
    cursor.execute(_MARK, ([name for name, _ in contents], [root for _, root in contents]))


def sample_posts(
    connection: psycopg.Connection, n: int, seed: int, by: str
) -> list[dict[str, Any]]:
    """Posts for a person to label, in no telling order and without what the detector says: half of
    them are flagged, as far as there are so many. Equal seeds give everybody the same posts."""
    cursor = connection.cursor(row_factory=dict_row)
    return cursor.execute(_SAMPLE, {"n": n, "seed": str(seed), "by": by}).fetchall()


def read_labels(connection: psycopg.Connection) -> list[dict[str, Any]]:
    """All labels, the latest first, with the text and the score of the detector in force."""
    return connection.cursor(row_factory=dict_row).execute(_LIST).fetchall()


def read_decided(connection: psycopg.Connection) -> list[dict[str, Any]]:
    """Each content of which most people say the same, once, as a row of a data set; its account is
    a pseudonym."""
    return connection.cursor(row_factory=dict_row).execute(_DECIDED).fetchall()


def read_labels_of(
    connection: psycopg.Connection, platform: str, post_id: str
) -> list[dict[str, Any]]:
    """What people said of the content of a post, the latest first."""
    cursor = connection.cursor(row_factory=dict_row)
    return cursor.execute(
        "SELECT l.labelled_by, l.label, l.note, l.labelled_at FROM hoaxwatch.labels l"
        " JOIN hoaxwatch.posts p USING (platform, root_id)"
        " WHERE p.platform = %s AND p.post_id = %s ORDER BY l.labelled_at DESC, l.labelled_by",
        (platform, post_id),
    ).fetchall()


def read_tallies(
    connection: psycopg.Connection, since: datetime | None = None, until: datetime | None = None
) -> list[Tally]:
    """Of each content that somebody labelled, and that was posted or shared in a period."""
    given = {"labels": list(LABELS), "since": since, "until": until}
    rows = connection.execute(_TALLIES, given)
    return [Tally._make(row) for row in rows]
