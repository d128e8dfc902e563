"""Posts and accounts: which wait for a verdict, what is stored of one, which are shared most."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import date, datetime
from typing import Any

import psycopg
from psycopg.rows import dict_row

from graph.followed import find_key
from storage.writes import contents_from
from streams.records import Content, Deletion

_PENDING = """
SELECT c.platform, c.root_id, c.text, c.lang, c.hashtags, c.links, c.completeness, c.input_hash
FROM hoaxwatch.content c
LEFT JOIN hoaxwatch.verdicts v
       ON v.platform = c.platform AND v.root_id = c.root_id
      AND v.detector = %(detector)s AND v.version = %(version)s AND v.input_hash = c.input_hash
WHERE (%(also_judged)s OR v.state IS NULL)
  AND (c.platform, c.root_id) > (%(platform)s, %(root_id)s) {posted}
ORDER BY c.platform, c.root_id LIMIT %(limit)s
"""


_POSTED = """
AND EXISTS (SELECT FROM hoaxwatch.posts p WHERE p.platform = c.platform AND p.root_id = c.root_id
            AND p.posted_at >= coalesce(%(since)s, '-infinity'::timestamptz)
            AND p.posted_at < coalesce(%(until)s, 'infinity'::timestamptz))
"""


def read_pending(
    connection: psycopg.Connection,
    detector: str,
    version: str,
    page: int,
    since: datetime | None = None,
    until: datetime | None = None,
    *,
    also_judged: bool = False,
) -> Iterator[list[Content]]:
    """Contents that this detector has not judged, in pages of at most `page`; of a period those
    with a post in it. also_judged: the others too."""
    after = ("", "")
    query = _PENDING.format(posted=_POSTED if since or until else "")
    while True:
        found = contents_from(
            connection.execute(
                query.encode(),
                {
                    "since": since,
                    "until": until,
                    "detector": detector,
                    "version": version,
                    "also_judged": also_judged,
                    "platform": after[0],
                    "root_id": after[1],
                    "limit": page,
                },
            )
        )
        if not found:
            return
        yield found
        after = (found[-1].platform, found[-1].root_id)


def read_top_posts(
    connection: psycopg.Connection,
    limit: int,
    *,
    hashtag: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[dict[str, Any]]:
    """The most shared contents (as far as collected), with their verdicts."""
    # one query for both would count the shares of all contents before it takes those of a hashtag
    of_hashtag = "JOIN hoaxwatch.content_hashtags h USING (platform, root_id)" if hashtag else ""
    cursor = connection.cursor(row_factory=dict_row)
    return cursor.execute(
        "SELECT c.platform, c.root_id, c.text, c.lang, c.hashtags, n.shares, n.authors,"
        " n.first_at, n.last_at, v.state, v.probability::float8 AS probability, v.likely_false,"
        " v.reason, v.evidence, v.detector, v.version FROM hoaxwatch.content c"
        " JOIN (SELECT platform, root_id, count(*) FILTER (WHERE kind = 'share') AS shares,"
        "   count(DISTINCT author_id) AS authors, min(posted_at) AS first_at,"
        f"   max(posted_at) AS last_at FROM hoaxwatch.posts {of_hashtag}"
        "   WHERE posted_at >= coalesce(%(since)s, '-infinity'::timestamptz)"
        "   AND posted_at < coalesce(%(until)s, 'infinity'::timestamptz)"
        f"  {'AND h.hashtag = %(hashtag)s' if hashtag else ''} GROUP BY platform, root_id"
        "   ORDER BY shares DESC, platform, root_id LIMIT %(limit)s) n"
        "   USING (platform, root_id)"
        " JOIN hoaxwatch.content_verdict v USING (platform, root_id)"
        " ORDER BY n.shares DESC, c.platform, c.root_id".encode(),
        {"since": since, "until": until, "hashtag": hashtag, "limit": limit},
    ).fetchall()


def count_concerned(connection: psycopg.Connection, deletion: Deletion) -> tuple[int, int]:
    """How many posts a deletion takes, and how many shares of them by others."""
    column = {"post": "post_id", "author": "author_id"}[deletion.kind]
    row = connection.execute(
        f"WITH own AS (SELECT platform, post_id FROM hoaxwatch.posts"
        f"   WHERE platform = %(platform)s AND {column} = %(id)s),"
        " roots AS (SELECT * FROM own UNION SELECT %(platform)s, %(id)s WHERE %(kind)s = 'post')"
        " SELECT (SELECT count(*) FROM own), (SELECT count(*) FROM hoaxwatch.posts p"
        "   JOIN roots r ON p.platform = r.platform AND p.root_id = r.post_id"
        "   WHERE (p.platform, p.post_id) NOT IN (SELECT * FROM own))",
        {"platform": deletion.platform, "id": deletion.deleted_id, "kind": deletion.kind},
    ).fetchone()
    assert row is not None
    return int(row[0]), int(row[1])


def read_namesakes(connection: psycopg.Connection, platform: str, author_id: str) -> list[str]:
    """Ids of other accounts with the handle of this one, or with its id as handle, some at most.
    Sources that know no ids give "@handle", so one account may be stored under two."""
    found = connection.execute(
        "SELECT author_id FROM hoaxwatch.authors WHERE platform = %(platform)s"
        " AND author_id <> %(id)s AND lower((handle).value) IN ("
        "   SELECT lower(ltrim(%(id)s, '@')) UNION SELECT lower((handle).value)"
        "   FROM hoaxwatch.authors WHERE platform = %(platform)s AND author_id = %(id)s)"
        " ORDER BY author_id LIMIT 20",
        {"platform": platform, "id": author_id},
    )
    return [str(row[0]) for row in found]


def read_trace(connection: psycopg.Connection, post_id: str) -> list[dict[str, Any]]:
    """The path of a post (of each platform that has this id): as it was read, judged, counted."""
    cursor = connection.cursor(row_factory=dict_row)
    posts = cursor.execute(
        "SELECT p.platform, p.post_id, p.posted_at, p.kind, p.author_id, p.root_id, p.share_of,"
        " p.shared_via, p.reply_to, p.quote_of, p.seen_as, p.provenance,"
        " nullif(p.observed_at, '-infinity') AS observed_at,"
        " (p.likes).value AS likes, (p.shares).value AS shares_reported, c.text, c.lang,"
        " c.hashtags, c.completeness, v.state, v.score::float8 AS score,"
        " v.probability::float8 AS probability, v.likely_false, v.reason, v.evidence,"
        " v.detector, v.version, y.threshold::float8 AS threshold FROM hoaxwatch.posts p"
        " JOIN hoaxwatch.content c USING (platform, root_id)"
        " JOIN hoaxwatch.content_verdict v USING (platform, root_id)"
        " JOIN hoaxwatch.verdict_policy y USING (policy_id)"
        " WHERE p.post_id = %s ORDER BY p.platform",
        (post_id,),
    ).fetchall()
    for post in posts:
        post["payloads"] = cursor.execute(
            "SELECT encode(payload_hash, 'hex') AS payload_hash, received_at,"
            " length(raw) AS stored_bytes FROM hoaxwatch.payloads"
            " WHERE platform = %s AND post_id = %s ORDER BY received_at, payload_hash",
            (post["platform"], post["post_id"]),
        ).fetchall()
        post["cascade_verdicts"] = cursor.execute(
            "SELECT checkpoint, n_nodes, seen_until, detector, version, state,"
            " score::float8 AS score, reason, evidence FROM hoaxwatch.cascade_verdicts"
            " WHERE platform = %(platform)s AND root_id = %(root_id)s"
            " ORDER BY seen_until, n_nodes, checkpoint = 'latest', checkpoint",
            post,
        ).fetchall()
        post["combined_score"] = cursor.execute(
            "SELECT fusion, score::float8 AS score, reason, used, missing"
            " FROM hoaxwatch.combined_scores"
            " WHERE platform = %(platform)s AND root_id = %(root_id)s",
            post,
        ).fetchone()
        post["claims"] = cursor.execute(
            "SELECT claim_id, place, label, cosine::float8 AS cosine,"
            " common_words::float8 AS common_words, kind, text, rating, publisher, link,"
            " published_on FROM mart.claims_matched"
            " WHERE platform = %(platform)s AND root_id = %(root_id)s ORDER BY place",
            post,
        ).fetchall()
        post["buckets"] = cursor.execute(
            "SELECT hashtag, grain, bucket_start, posts, judged, likely_false"
            " FROM hoaxwatch.hashtag_trends WHERE hashtag = ANY (%(tags)s) AND bucket_start ="
            " date_trunc(grain, %(at)s::timestamptz) ORDER BY hashtag, grain DESC",
            {"tags": post["hashtags"], "at": post["posted_at"]},
        ).fetchall()
        post["clusters"] = cursor.execute(
            "SELECT k.hashtag, k.window_start, k.algorithm, m.cluster, m.times_shared,"
            " m.shares_made FROM hoaxwatch.cluster_members m"
            " JOIN hoaxwatch.clusterings k USING (clustering_id)"
            " WHERE m.platform = %(platform)s AND m.author_id = %(author_id)s"
            " AND k.hashtag = ANY (%(hashtags)s) AND k.window_start <= %(posted_at)s"
            " AND k.window_end > %(posted_at)s ORDER BY 1, 2, 3",
            post,
        ).fetchall()
        post["waiting_buckets"] = cursor.execute(
            "SELECT count(*) AS n FROM hoaxwatch.dirty_buckets"
            " WHERE hashtag = ANY (%(hashtags)s) AND hour = date_trunc('hour', %(posted_at)s)",
            post,
        ).fetchall()[0]["n"]
    return posts


def read_account(
    connection: psycopg.Connection, platform: str, author_id: str
) -> dict[str, Any] | None:
    """An account as last seen, with what of it is stored; None if nothing is."""
    cursor = connection.cursor(row_factory=dict_row)
    return cursor.execute(
        "SELECT p.platform, p.author_id, min(a.handle) AS handle, min(a.followers) AS followers,"
        " count(*) AS posts, count(*) FILTER (WHERE p.kind = 'share') AS shares,"
        " count(v.probability) AS judged, count(*) FILTER (WHERE v.likely_false) AS likely_false,"
        " min(p.posted_at) AS first_posted_at, max(p.posted_at) AS last_posted_at"
        " FROM hoaxwatch.posts p JOIN hoaxwatch.content_verdict v USING (platform, root_id)"
        " LEFT JOIN (SELECT platform, author_id, (handle).value AS handle,"
        "   (followers).value AS followers FROM hoaxwatch.authors) a USING (platform, author_id)"
        " WHERE p.platform = %s AND p.author_id = %s GROUP BY p.platform, p.author_id",
        (platform, author_id),
    ).fetchone()


def read_account_posts(
    connection: psycopg.Connection, platform: str, author_id: str, limit: int
) -> list[dict[str, Any]]:
    """The latest posts of an account, with the verdict on what they say."""
    cursor = connection.cursor(row_factory=dict_row)
    return cursor.execute(
        "SELECT p.platform, p.post_id, p.posted_at, p.kind, p.share_of, c.text, c.lang,"
        " c.hashtags, v.state, v.probability::float8 AS probability, v.likely_false, v.reason"
        " FROM hoaxwatch.posts p JOIN hoaxwatch.content c USING (platform, root_id)"
        " JOIN hoaxwatch.content_verdict v USING (platform, root_id)"
        " WHERE p.platform = %s AND p.author_id = %s"
        " ORDER BY p.posted_at DESC, p.post_id LIMIT %s",
        (platform, author_id, limit),
    ).fetchall()


def find_names(connection: psycopg.Connection, text: str) -> list[tuple[str, str]]:
    """What somebody may mean by a text: ('hashtag', key) of a tag or a followed topic, ('post' or
    'account', platform:id). Handles count as they were last seen, whatever their letters' case."""
    rows = connection.execute(
        "SELECT 'hashtag', hashtag FROM (SELECT DISTINCT hashtag FROM hoaxwatch.content_hashtags"
        "   WHERE hashtag = %(tag)s) h"
        " UNION ALL SELECT 'post', platform || ':' || post_id FROM hoaxwatch.posts"
        "   WHERE post_id = %(text)s"
        " UNION ALL SELECT 'account', platform || ':' || author_id FROM hoaxwatch.authors"
        "   WHERE author_id = %(text)s OR lower((handle).value) = lower(%(handle)s)"
        " ORDER BY 1, 2 LIMIT 20",
        {"text": text, "handle": text.removeprefix("@"), "tag": find_key(text)},
    )
    return [(str(kind), str(name)) for kind, name in rows]


def read_posts_of(
    connection: psycopg.Connection, handles: Sequence[str]
) -> list[tuple[str, str, date, str, tuple[str, ...], tuple[str, ...]]]:
    """Originals of these accounts, in the order of the accounts and then by id: account, id, day
    (UTC), text, links, addresses of pictures."""
    found = connection.execute(
        "SELECT o.handle, p.post_id, (p.posted_at AT TIME ZONE 'UTC')::date, c.text, c.links,"
        " ARRAY(SELECT m.url FROM hoaxwatch.media m WHERE m.platform = c.platform"
        " AND m.root_id = c.root_id ORDER BY m.url)"
        " FROM unnest(%s::text[]) WITH ORDINALITY AS o (handle, place)"
        " JOIN hoaxwatch.authors a ON (a.handle).value = o.handle"
        " JOIN hoaxwatch.posts p USING (platform, author_id)"
        " JOIN hoaxwatch.content c ON c.platform = p.platform AND c.root_id = p.post_id"
        " WHERE p.kind = 'original' ORDER BY o.place, p.post_id",
        (list(handles),),
    )
    return [(*line[:4], tuple(line[4]), tuple(line[5])) for line in found]


def read_received(connection: psycopg.Connection, platform: str) -> dict[str, datetime]:
    """Stored post -> when its raw record was first taken up for storing."""
    rows = connection.execute(
        "SELECT p.post_id, min(y.received_at) FROM hoaxwatch.posts p"
        " JOIN hoaxwatch.payloads y USING (platform, post_id)"
        " WHERE p.platform = %s GROUP BY p.post_id",
        (platform,),
    )
    return dict(rows.fetchall())


def has_others(connection: psycopg.Connection, posts: Collection[tuple[str, str]]) -> bool:
    """Whether a post is stored that is none of these (platform and id)."""
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM hoaxwatch.posts p WHERE NOT EXISTS ("
        " SELECT FROM unnest(%s::text[], %s::text[]) AS k (platform, post_id)"
        " WHERE k.platform = p.platform AND k.post_id = p.post_id))",
        ([platform for platform, _ in posts], [post_id for _, post_id in posts]),
    ).fetchone()
    return row == (True,)
