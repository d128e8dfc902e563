"""What each page asks of the database, at many posts: median of 5, beside the plain join.

    python -m tests.bench.bench_page_queries [N_POSTS]

The tables are filled by SQL: shares of roots with a heavy tail over 30 days, two of 5,000 hashtags
each, all judged. The baseline is what a page would ask without the trend tables: the most used
hashtags of 30 days as a join of posts and hashtags.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hoaxwatch.web import facts
from storage import reads
from storage.alerts import read_alerts
from storage.database import Connection, connect, open_database
from streams.settings import read_settings
from tests.bench.measure import print_result, seconds_of, spread

START = datetime(2026, 3, 1, tzinfo=UTC)
REPEATS = 5

FILL = """
SELECT setseed(0.5);
INSERT INTO hoaxwatch.verdict_policy
    (detector, version, threshold, abstain_band, active, created_at)
VALUES ('bench', '1', 0.5, 0, true, now());
CREATE TEMP TABLE roots AS
SELECT 'r' || i AS root_id, 't' || floor(5000 * random() ^ 4)::int AS one,
       't' || floor(5000 * random() ^ 4)::int AS other, random() AS score
FROM generate_series(0, %(n_roots)s - 1) i;
INSERT INTO hoaxwatch.content
SELECT 'x', root_id, 'text ' || root_id, 'en', ARRAY[one, other], '{}', 2, now(), '', ''
FROM roots;
INSERT INTO hoaxwatch.content_hashtags (hashtag, platform, root_id, written)
SELECT DISTINCT tag, 'x', root_id, tag FROM roots, unnest(ARRAY[one, other]) tag;
INSERT INTO hoaxwatch.verdicts
SELECT 'x', root_id, 'bench', '1', '', 'scored', score, NULL, '[]', now() FROM roots;
INSERT INTO hoaxwatch.posts (platform, post_id, posted_at, author_id, root_id, kind, share_of,
    seen_as, completeness, observed_at, payload_hash, provenance)
SELECT 'x', CASE WHEN i < %(n_roots)s THEN 'r' || i ELSE 's' || i END,
       %(start)s::timestamptz + i * interval '30 days' / %(n_posts)s,
       'a' || floor(100000 * random() ^ 2)::int, 'r' || root,
       CASE WHEN i < %(n_roots)s THEN 'original' ELSE 'share' END,
       CASE WHEN i >= %(n_roots)s THEN 'r' || root END, 'collected', 2, now(), '', '{}'
FROM (SELECT i, CASE WHEN i < %(n_roots)s THEN i
                     ELSE floor(%(n_roots)s * random() ^ 3)::bigint END AS root
      FROM generate_series(0, %(n_posts)s - 1) i) p;
INSERT INTO hoaxwatch.authors (platform, author_id, handle)
SELECT DISTINCT 'x', author_id, (now(), 'u' || author_id)::hoaxwatch.observed_text
FROM hoaxwatch.posts;
INSERT INTO hoaxwatch.hashtag_trends
SELECT h.hashtag, g.grain, date_trunc(g.grain, p.posted_at), count(*),
       count(*) FILTER (WHERE p.kind <> 'share'), count(*) FILTER (WHERE p.kind = 'share'),
       count(DISTINCT p.author_id), count(*), 0, 0.5, 0.4, 0.6, min(p.posted_at),
       max(p.posted_at), 1
FROM hoaxwatch.posts p JOIN hoaxwatch.content_hashtags h USING (platform, root_id)
CROSS JOIN (VALUES ('hour'), ('day')) g (grain)
GROUP BY 1, 2, 3;
ANALYZE;
"""

JOIN = """
SELECT h.hashtag, count(*) AS posts FROM hoaxwatch.posts p
JOIN hoaxwatch.content_hashtags h USING (platform, root_id)
WHERE p.posted_at >= %s AND p.posted_at < %s GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 50
"""


def fill(connection: Connection, n_posts: int) -> None:
    """Rows of a month, a third of them originals."""
    values = {"n_posts": str(n_posts), "n_roots": str(n_posts // 3), "start": f"'{START}'"}
    for statement in (FILL % values).split(";\n"):
        if statement.strip():
            connection.execute(statement.encode())


def questions(connection: Connection) -> dict[str, Callable[[], Any]]:
    """What is measured, by name."""
    end = START + timedelta(days=30)
    tag, post, account = "t3", "r77", "a5000"
    return {
        "top_50_by_join": lambda: connection.execute(JOIN, (START, end)).fetchall(),
        "top_50": lambda: reads.read_hashtags(connection, 50, START, end),
        "overview": lambda: facts.read_overview(connection, end - timedelta(days=7)),
        "totals_of_7_days": lambda: facts.read_totals(connection, 7),
        "hashtag": lambda: facts.read_hashtag(connection, tag, None, "UTC", None, None, "louvain"),
        "hashtags": lambda: facts.read_tag_network(connection, None, None, 1),
        "network_links_of_a_hashtag": lambda: reads.read_links(connection, tag),
        "post": lambda: facts.read_post(connection, "x", post),
        "account": lambda: facts.read_account(connection, "x", account),
        "alerts": lambda: read_alerts(connection),
        "system": lambda: facts.read_system(connection, START),
        "stored": lambda: facts.read_stored(connection),
        "search": lambda: reads.find_names(connection, "ua5000"),
    }


def main(n_posts: int) -> None:
    """Fills a database and asks."""
    folder = Path(tempfile.mkdtemp(prefix="hw-bench-", dir="/tmp"))
    folder.chmod(0o755)
    try:
        with open_database(read_settings(home=folder)) as dsn, connect(dsn) as connection:
            filling = seconds_of(lambda: fill(connection, n_posts))
            took = {
                name: [seconds_of(ask) for _ in range(REPEATS)]
                for name, ask in questions(connection).items()
            }
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    median = {name: statistics.median(seconds) for name, seconds in took.items()}
    print_result(
        "page_queries",
        {
            "n_posts": n_posts,
            "repeats": REPEATS,
            "filling_seconds": round(filling, 1),
            "seconds": {name: spread(seconds) for name, seconds in took.items()},
            "day_table_to_join": round(median["top_50_by_join"] / median["top_50"], 1),
            "bar": "day_table_to_join >= 30",
        },
    )


if __name__ == "__main__":
    main(*[int(word) for word in (sys.argv[1:] + ["2000000"][len(sys.argv) - 1 :])])
