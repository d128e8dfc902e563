"""The main job on real posts: 27,537 tweets of five days, and every file of the X API v2.

The oracle for the counts uses nothing but the csv module: it gives a retweet the tags of its
original and counts each id once.
"""

from __future__ import annotations

import csv
import lzma
import random
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unicodedata import normalize

import pytest

from storage.database import connect
from streams import local
from streams.local import RunResult
from streams.settings import read_settings
from tests.marker import MarkerDetector
from tests.tables import assert_same, read_tables

if TYPE_CHECKING:
    from tests.conftest import Server

SETTINGS = read_settings(detector="null", batch_posts=2000)

#: Runs the marker detector over files in a process that can be killed.
RUN_SCRIPT = """
import sys
from pathlib import Path
from streams import local
from streams.settings import read_settings
from tests.marker import MarkerDetector
inputs = local.check_inputs([Path(name) for name in sys.argv[2:]])
settings = read_settings(detector="null", batch_posts=1000, track_seconds=0.7)
local.run(sys.argv[1], inputs, MarkerDetector(), settings)
"""


def run(dsn: str, paths: Sequence[Path]) -> RunResult:
    """The whole pipeline over the files."""
    return local.run(dsn, local.check_inputs(paths), MarkerDetector(), SETTINGS)


@pytest.fixture(scope="module")
def tweets(data: Path) -> list[Path]:
    """The nineteen files of April 2023."""
    paths = sorted((data / "tweets_2023_csv").glob("*.csv.xz"))
    assert len(paths) == 19
    return paths


@pytest.fixture(scope="module")
def first_run(server: Server, tweets: list[Path]) -> Any:
    """A database after one uninterrupted run, its result and its tables."""
    with server.new_database() as dsn:
        result = run(dsn, tweets)
        yield dsn, result, read_tables(dsn)


def count_by_hand(paths: Sequence[Path]) -> tuple[Counter[tuple[str, str]], dict[str, str]]:
    """(hashtag, day) -> posts, and retweet id -> root id, by the csv module alone."""
    tags: dict[str, set[str]] = defaultdict(set)
    days: dict[str, str] = {}
    roots: dict[str, str] = {}
    for path in paths:
        with lzma.open(path, "rt", encoding="utf-8", newline="") as stream:
            for row in csv.DictReader(stream):
                written = row["hashtags"].split("|") if row["hashtags"] else []
                tags[row["id"]] |= {normalize("NFKC", tag).casefold() for tag in written}
                moment = datetime.fromtimestamp(int(row["timestamp_utc"]), UTC)
                days[row["id"]] = f"{moment:%Y-%m-%d}"
                if row["retweeted_id"]:
                    roots[row["id"]] = row["retweeted_id"]
    counts: Counter[tuple[str, str]] = Counter()
    for post_id, day in days.items():
        counts.update((tag, day) for tag in tags[roots.get(post_id, post_id)])
    return counts, roots


def test_counts_equal_an_independent_count(first_run: Any, tweets: list[Path]) -> None:
    dsn, result, _ = first_run
    counts, roots = count_by_hand(tweets)
    with connect(dsn) as connection:
        found: dict[str, int] = dict(
            connection.execute(
                "SELECT (hashtag, to_char(bucket_start, 'YYYY-MM-DD'))::text, posts"
                " FROM hoaxwatch.hashtag_trends WHERE grain = 'day'"
            ).fetchall()
        )
        expected: dict[str, int] = dict(
            connection.execute(
                "SELECT (tag, day)::text, n FROM unnest(%s::text[], %s::text[], %s::int[])"
                " AS c (tag, day, n)",
                [
                    [tag for tag, _ in counts],
                    [day for _, day in counts],
                    list(counts.values()),
                ],
            ).fetchall()
        )
        assert found == expected
        shares: dict[str, str] = dict(
            connection.execute(
                "SELECT s.post_id, r.post_id FROM hoaxwatch.posts s JOIN hoaxwatch.posts r"
                " ON r.platform = s.platform AND r.post_id = s.root_id WHERE s.kind = 'share'"
            ).fetchall()
        )
        assert shares == roots
        n_posts = connection.execute("SELECT count(*) FROM hoaxwatch.posts").fetchone()
    assert n_posts == (27537,)
    assert len(roots) == 15417
    assert sum(n for (tag, _), n in counts.items() if tag == "egu23") == 10820
    assert len({tag for tag, _ in counts}) == 4712
    assert result.outcomes.total() == result.n_records == 30157
    assert result.outcomes["new"] == 27537


def test_hours_add_up_to_days(first_run: Any) -> None:
    dsn, _, _ = first_run
    with connect(dsn) as connection:
        found = connection.execute(
            "SELECT count(*) FROM (SELECT hashtag, date_trunc('day', bucket_start) AS day,"
            " sum(posts) AS posts, sum(shares) AS shares, sum(judged) AS judged"
            " FROM hoaxwatch.hashtag_trends WHERE grain = 'hour' GROUP BY 1, 2) h"
            " FULL JOIN (SELECT * FROM hoaxwatch.hashtag_trends WHERE grain = 'day') d"
            " ON d.hashtag = h.hashtag AND d.bucket_start = h.day"
            " WHERE (d.posts, d.shares, d.judged) IS DISTINCT FROM (h.posts, h.shares, h.judged)"
        ).fetchone()
    assert found == (0,)


def test_a_second_run_changes_nothing(first_run: Any, tweets: list[Path]) -> None:
    dsn, _, before = first_run
    again = run(dsn, tweets)
    assert again.outcomes == Counter({"unchanged": 30157})
    assert_same(read_tables(dsn), before)


@pytest.mark.first_server
def test_reverse_order_and_doubled_files_give_the_same_tables(
    server: Server, first_run: Any, tweets: list[Path]
) -> None:
    _, _, expected = first_run
    for paths in (tweets[::-1], [*tweets, *tweets[::-1]]):
        with server.new_database() as dsn:
            run(dsn, paths)
            assert_same(read_tables(dsn), expected)


@pytest.mark.first_server
def test_killed_runs_give_the_same_tables(
    server: Server, first_run: Any, tweets: list[Path]
) -> None:
    """SIGKILL at five random moments, then once to the end."""
    _, _, expected = first_run
    chance = random.Random(20230424)
    n_killed = 0
    with server.new_database() as dsn:
        command = [sys.executable, "-c", RUN_SCRIPT, dsn, *map(str, tweets)]
        for _ in range(5):
            process = subprocess.Popen(command)
            time.sleep(chance.uniform(1.0, 6.0))
            process.kill()
            n_killed += process.wait() == -signal.SIGKILL
        assert n_killed >= 3, "the runs ended before they were killed"
        subprocess.run(command, check=True)
        assert_same(read_tables(dsn), expected)


def test_both_servers_hold_the_same(first_run: Any, server: Server, tmp_path_factory: Any) -> None:
    """PostgreSQL 15 and 18 give the same tables: compared through a file between parameters."""
    import hashlib

    _, _, tables = first_run
    digest = hashlib.sha256(repr(sorted(tables.items())).encode()).hexdigest()
    note = tmp_path_factory.getbasetemp() / "tables.sha256"
    if note.exists():
        assert note.read_text() == digest
    note.write_text(digest)


def test_every_v2_record_is_accounted_for(database: str, data: Path) -> None:
    paths = sorted((data / "tweets_v2_jsonl").glob("*.xz"))
    assert len(paths) == 28
    result = run(database, paths)
    assert result.outcomes.total() == result.n_records
    assert result.outcomes["deletion applied"] == 5  # of them one is withheld everywhere
    assert result.outcomes["quarantined"] == 1
    before = read_tables(database)
    again = run(database, paths[::-1])
    assert again.outcomes["new"] == again.outcomes["updated"] == 0
    assert_same(read_tables(database), before)
