"""Storing posts: batches by COPY and merge against one autocommitted INSERT per row.

    python -m tests.bench.bench_storage [N_POSTS] [REPEATS]

Both sides write the same rows to the same tables of one embedded PostgreSQL with fsync on; the
tables are compared afterwards. Bar: at least 20 times as fast.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from storage import copy_format, embedded, rows, writes
from storage.copy_format import Row
from storage.database import Connection, add_payload_partitions, connect, migrate
from streams.channel import beside
from streams.formats.registry import read_file
from streams.local import rare_collections
from streams.records import Post
from tests.bench.measure import print_result, seconds_of, spread
from tests.samples import write_samples
from tests.tables import assert_same, read_tables

NOW = datetime(2026, 3, 8, tzinfo=UTC)
BATCH = 4000


def distinct_posts(n_posts: int, folder: Path) -> list[Post]:
    """Posts of an invented world, each id once, shares after their originals."""
    pages, _ = write_samples(folder, seed=1, n_posts=n_posts * 3 // 2, n_days=10)
    found: dict[str, Post] = {}
    for reading in read_file(pages):
        if isinstance(reading, Post):
            found.setdefault(reading.post_id, reading)
    return list(found.values())[:n_posts]


def fresh(server: embedded.EmbeddedServer, name: str) -> str:
    """The DSN of a new migrated database."""
    with connect(server.superuser_dsn()) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {name} OWNER hoaxwatch")
    dsn = server.dsn(name)
    with connect(dsn) as connection:
        migrate(connection)
        add_payload_partitions(connection, NOW)
    return dsn


def store_in_batches(connection: Connection, posts: list[Post]) -> None:
    """What the pipeline does: a thread makes rows ahead, another stores them."""

    def ahead() -> Iterator[rows.PostRows]:
        for first in range(0, len(posts), BATCH):
            made = rows.rows_of(posts[first : first + BATCH], NOW)
            made.make_copied()
            yield made

    writes.prepare(connection)
    with rare_collections(), beside(ahead(), size=1) as batches:
        for batch in batches:
            with connection.transaction(), connection.cursor() as cursor:
                writes.upsert_posts(cursor, batch)


def plain(row: Row, table: str) -> tuple[object, ...]:
    """A row as a program would write it that knows nothing of COPY."""
    return tuple(
        None if value is None else _plain(value, field)
        for value, field in zip(row, rows.BINARY[table], strict=True)
    )


def _plain(value: Any, field: copy_format.Field) -> object:
    if field is copy_format.moment:
        return _time(value)
    if field in (copy_format.count, copy_format.said):
        observed, seen = value
        seen = int(seen) if isinstance(seen, bool) else seen
        quoted = str(seen).replace("\\", "\\\\").replace('"', '\\"')
        return f'("{_time(observed)}","{quoted}")'
    return list(value) if isinstance(value, tuple) else value


def _time(value: copy_format.Moment) -> str:
    if value == copy_format.UNKNOWN_TIME:
        return "-infinity"
    return (datetime(2000, 1, 1, tzinfo=UTC) + timedelta(microseconds=value)).isoformat()


def store_row_by_row(connection: Connection, posts: list[Post]) -> None:
    """The same rows, one autocommitted upsert statement each, as a plain program would."""

    def insert(table: str, row: tuple[object, ...], key: str = "") -> None:
        marks = ", ".join(["%s"] * len(row))
        conflict = f"ON CONFLICT {key} DO NOTHING" if key else ""
        connection.execute(f"INSERT INTO hoaxwatch.{table} VALUES ({marks}) {conflict}", row)

    versions = [rows.version_of(post) for post in posts]
    best = {rows.content_key(v.post): v for v in rows.best_contents(versions)}
    authors = {row[:2]: row for row in rows.author_rows(versions)}  # as they were seen last
    for (version,) in rows.by_post(versions):
        post = version.post
        row = plain(rows.post_row([version]), "stage_posts")
        insert("posts", row, "(platform, post_id)")
        if post.author is not None:
            row = plain(authors[post.platform, post.author.author_id], "stage_authors")
            insert("authors", row, "(platform, author_id)")
        packed, source = rows.compress(post.raw), post.provenance or None
        payload = (post.platform, post.post_id, version.payload_hash, NOW, packed, source)
        insert("payloads", payload)
        if best[rows.content_key(post)].post is not post:
            continue
        content = rows.content_of(version, rows.hashtag_forms(post))
        row = plain(rows.content_row(version, content), "stage_content")
        insert("content", row, "(platform, root_id)")
        for key, written in rows.hashtag_forms(post).items():
            insert("content_hashtags", (key, post.platform, post.root_id, written))
            hour = post.posted_at.replace(minute=0, second=0, microsecond=0)
            insert("dirty_buckets", (key, hour))
        for link in content.links:
            insert("content_links", (link, post.platform, post.root_id))
        for url, item in {media.url: media for media in post.media}.items():
            insert("media", (post.platform, post.root_id, url, item.kind, item.alt_text))


def main(n_posts: int, repeats: int) -> None:
    """Measures both sides in turn and compares the tables."""
    folder = Path(tempfile.mkdtemp(prefix="hw-bench-", dir="/tmp"))
    folder.chmod(0o755)
    ours: list[float] = []
    plain: list[float] = []
    try:
        posts = distinct_posts(n_posts, folder)
        with embedded.open_embedded(folder / "db") as server:
            for _ in range(repeats):
                tables = []
                for seconds, store in ((ours, store_in_batches), (plain, store_row_by_row)):
                    dsn = fresh(server, "bench")
                    with connect(dsn) as connection:
                        seconds.append(seconds_of(partial(store, connection, posts)))
                    found = read_tables(dsn)
                    del found["dirty_buckets"]  # append only: how often is no part of the result
                    tables.append(found)
                assert_same(tables[1], tables[0])
    finally:
        embedded.stop(folder / "db")
        shutil.rmtree(folder, ignore_errors=True)
    print_result(
        "storage",
        {
            "n_posts": len(posts),
            "repeats": repeats,
            "batches": spread(ours),
            "row_by_row": spread(plain),
            "ratio": round(statistics.median(plain) / statistics.median(ours), 2),
            "bar": "ratio >= 20",
            "tables_equal": True,
        },
    )


if __name__ == "__main__":
    main(*[int(word) for word in (sys.argv[1:] + ["20000", "3"][len(sys.argv) - 1 :])])
