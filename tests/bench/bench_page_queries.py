"""What each page asks of the database, at many posts: median of 5, beside the plain join.

    python -m tests.bench.bench_page_queries [N_POSTS] [FOLDER] [NAME ...]

A month of posts as unequal as real ones (`tests.bench.skewed`), counted by the product's `track`.
FOLDER keeps the database for the next time; a load that was stopped goes on there. NAMEs are the
questions that are asked; all of them take ten minutes.

The bar is about the 50 most used hashtags of 30 days. The raw join counts posts times hashtags:
posts of the period, joined with the hashtags of their contents, grouped, sorted, 50 kept. The day
table answers by `storage.reads.read_hashtags`, as the pages ask it, which also gives originals,
shares, verdicts, the busiest day and the rise of each. Both must name the same hashtags with the
same numbers in the same order.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from hoaxwatch.web import facts
from hoaxwatch.web.network import N_SHOWN, Layouts
from storage import reads
from storage.alerts import read_alerts
from storage.database import Connection, connect, open_database
from streams.settings import read_settings
from tests.bench.measure import print_result, seconds_of, spread
from tests.bench.skewed import DAYS, START, count_month, draw_month, load_month

REPEATS = 5
BAR = ("top_50_by_join", "top_50")

JOIN = """
SELECT h.hashtag, count(*) AS posts FROM hoaxwatch.posts p
JOIN hoaxwatch.content_hashtags h USING (platform, root_id)
WHERE p.posted_at >= %s AND p.posted_at < %s GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 50
"""


def fill(connection: Connection, n_posts: int) -> None:
    """Loads the month if nothing is loaded, and counts what is not counted yet."""
    if not reads.read_counts(connection).posts:
        load_month(connection, draw_month(n_posts))
    for n_rows in count_month(connection):
        print(f"{n_rows} trend rows", file=sys.stderr)


def of_note(connection: Connection, query: str) -> str:
    """The one name that a query gives."""
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return str(row[0])


def questions(connection: Connection) -> dict[str, Callable[[], Any]]:
    """What is measured, by name. Of hashtags, posts and accounts the greatest are asked for. What
    ends in _behind goes through many posts and is counted behind the page, which does not wait."""
    layouts = Layouts()  # which keeps them, as the page does
    end = START + timedelta(days=DAYS)
    week = end - timedelta(days=7)
    tags = [row.hashtag for row in reads.read_hashtags(connection, 50, START, end)]
    post = of_note(
        connection,
        "SELECT root_id FROM hoaxwatch.posts GROUP BY 1 ORDER BY count(*) DESC LIMIT 1",
    )
    account = of_note(
        connection,
        "SELECT author_id FROM hoaxwatch.posts GROUP BY 1 ORDER BY count(*) DESC LIMIT 1",
    )

    def hashtag(tag: str, since: datetime | None) -> Callable[[], Any]:
        return lambda: facts.read_hashtag(connection, tag, None, "UTC", since, None, "louvain")

    def posts_of(tag: str, since: datetime | None) -> Callable[[], Any]:
        return lambda: facts.read_hashtag_posts(connection, tag, since, None)

    return {
        "top_50_by_join": lambda: connection.execute(JOIN, (START, end)).fetchall(),
        "top_50": lambda: reads.read_hashtags(connection, 50, START, end),
        "overview_of_7_days": lambda: facts.read_overview(connection, 7),
        "overview": lambda: facts.read_overview(connection, None),
        "totals_of_7_days_behind": lambda: facts.read_totals(connection, 7),
        "greatest_hashtag": hashtag(tags[0], None),
        "greatest_hashtag_of_7_days": hashtag(tags[0], week),
        "hashtag_no_50": hashtag(tags[49], None),
        "greatest_hashtag_behind": posts_of(tags[0], None),
        "greatest_hashtag_of_7_days_behind": posts_of(tags[0], week),
        "hashtag_no_50_behind": posts_of(tags[49], None),
        "hashtags": lambda: facts.read_tag_network(connection, layouts, None, None, 1),
        "hashtags_of_7_days": lambda: facts.read_tag_network(connection, layouts, week, None, 1),
        "links_of_the_greatest_hashtag_behind": lambda: reads.read_links(connection, tags[0]),
        "links_of_hashtag_no_50_behind": lambda: reads.read_links(connection, tags[49]),
        "shares_of_the_greatest_hashtag_behind": lambda: reads.read_shares(connection, tags[0]),
        "network_of_hashtag_no_50_behind": lambda: facts.read_network(
            connection, layouts, tags[49], None, None, N_SHOWN, 1
        ),
        "most_shared_post": lambda: facts.read_post(connection, "x", post),
        "busiest_account": lambda: facts.read_account(connection, "x", account),
        "alerts": lambda: read_alerts(connection),
        "system": lambda: facts.read_system(connection, START),
        "stored_behind": lambda: facts.read_stored(connection),
        "search": lambda: reads.find_names(connection, "u5000"),
    }


@contextmanager
def kept(folder: str | None) -> Iterator[Path]:
    """The folder of the database; a new one goes with it."""
    if folder is not None:
        Path(folder).mkdir(exist_ok=True, mode=0o755)
        yield Path(folder)
        return
    made = Path(tempfile.mkdtemp(prefix="hw-bench-", dir="/tmp"))
    made.chmod(0o755)
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def main(n_posts: str = "2000000", folder: str | None = None, *names: str) -> None:
    """Fills a database and asks."""
    with (
        kept(folder) as home,
        open_database(read_settings(home=home)) as dsn,
        connect(dsn) as connection,
    ):
        filling = seconds_of(lambda: fill(connection, int(n_posts)))
        asked = questions(connection)
        told = [(row.hashtag, row.posts) for row in asked["top_50"]()]
        assert told == asked["top_50_by_join"]()
        took = {
            name: [seconds_of(ask) for _ in range(REPEATS)]
            for name, ask in asked.items()
            if not names or name in {*BAR, *names}
        }
        sizes = read_sizes(connection)
    median = {name: statistics.median(seconds) for name, seconds in took.items()}
    print_result(
        "page_queries",
        {
            "rows": sizes,
            "repeats": REPEATS,
            "filling_seconds": round(filling, 1),
            "seconds": {name: spread(seconds) for name, seconds in took.items()},
            "day_table_to_join": round(median["top_50_by_join"] / median["top_50"], 1),
            "bar": "day_table_to_join >= 30",
        },
    )


def read_sizes(connection: Connection) -> dict[str, int]:
    """Rows of the tables that are asked."""
    return {
        name: int(of_note(connection, f"SELECT count(*) FROM {table}"))
        for name, table in {
            "posts": "hoaxwatch.posts",
            "posts_times_hashtags": "mart.posts_by_hashtag",
            "hashtag_days": "mart.hashtag_trends_daily",
            "hashtag_hours": "mart.hashtag_trends_hourly",
            "hashtag_pair_days": "mart.hashtag_pairs",
            "clusters": "mart.clusters",
            "accounts": "hoaxwatch.authors",
        }.items()
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
