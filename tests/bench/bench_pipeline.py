"""The whole run with a detector that has no opinion, against a bare parse plus COPY.

    python -m tests.bench.bench_pipeline [REPEATS] [FILE...]

Without files: HOAXWATCH_TEST_DATA's tweets of April 2023, else an invented world. The baseline
reads the same files with the same readers and copies each record into a table without keys. Bar:
the run takes at most 4 times as long.
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from detectors.null import NullDetector
from hoaxwatch.simulate import simulate
from storage import embedded
from storage.database import connect
from streams import local
from streams.formats.registry import read_file
from streams.local import InputFile
from streams.records import Post
from streams.settings import read_settings
from tests.bench.bench_storage import fresh
from tests.bench.measure import print_result, seconds_of, spread

NOW = datetime(2026, 3, 8, tzinfo=UTC)


def sample_files(folder: Path) -> list[Path]:
    """What is read unless files are given."""
    data = os.environ.get("HOAXWATCH_TEST_DATA")
    found = sorted((Path(data) / "tweets_2023_csv").glob("*.csv.xz")) if data else []
    return found or simulate(folder / "month", with_pictures=False, with_tables=False).paths


def parse_and_copy(dsn: str, inputs: Sequence[InputFile]) -> None:
    """The least that any program must do with these files."""
    with connect(dsn) as connection, connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE bare (platform text, post_id text, posted_at timestamptz,"
            " author_id text, root_id text, kind text, lang text, text text, likes bigint,"
            " shares bigint, raw bytea)"
        )
        with cursor.copy("COPY bare FROM STDIN") as copy:
            for file in inputs:
                for reading in read_file(file.path, file.format):
                    if isinstance(reading, Post):
                        author = reading.author.author_id if reading.author else None
                        copy.write_row(
                            (
                                reading.platform,
                                reading.post_id,
                                reading.posted_at,
                                author,
                                reading.root_id,
                                reading.kind,
                                reading.lang,
                                reading.text,
                                reading.likes,
                                reading.shares,
                                reading.raw,
                            )
                        )


def main(repeats: int, names: Sequence[str]) -> None:
    """Measures both in turn, each on a fresh database of a running server."""
    folder = Path(tempfile.mkdtemp(prefix="hw-bench-", dir="/tmp"))
    folder.chmod(0o755)
    bare: list[float] = []
    whole: list[float] = []
    settings = read_settings(detector="null")
    try:
        inputs = local.check_inputs([Path(name) for name in names] or sample_files(folder))
        with embedded.open_embedded(folder / "db") as server:
            for _ in range(repeats):
                dsn = fresh(server, "bench")
                bare.append(seconds_of(partial(parse_and_copy, dsn, inputs)))
                dsn = fresh(server, "bench")
                whole.append(seconds_of(partial(local.run, dsn, inputs, NullDetector(), settings)))
            with connect(dsn) as connection:
                counts = connection.execute(
                    "SELECT (SELECT count(*) FROM hoaxwatch.posts),"
                    " (SELECT count(*) FROM hoaxwatch.networks)"
                ).fetchone()
    finally:
        embedded.stop(folder / "db")
        shutil.rmtree(folder, ignore_errors=True)
    assert counts is not None
    print_result(
        "pipeline",
        {
            "n_files": len(inputs),
            "n_posts": counts[0],
            "n_cluster_windows": counts[1],
            "repeats": repeats,
            "parse_and_copy": spread(bare),
            "whole_run": spread(whole),
            "ratio": round(statistics.median(whole) / statistics.median(bare), 2),
            "bar": "ratio <= 4",
        },
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3, sys.argv[2:])
