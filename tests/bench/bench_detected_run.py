"""The whole run with `bert` on an invented English month in which no text comes twice, against the
detector's own time plus a bare parse and COPY.

    python -m tests.bench.bench_detected_run [POSTS] [REPEATS]

The detector alone is given the same texts in one list, on as many cores. Bar: the run takes at most
1.15 times both.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
from functools import partial
from pathlib import Path

from detectors.bert import BertDetector
from hoaxwatch.simulate import simulate
from storage import embedded
from storage.database import connect
from streams import local
from streams.formats.registry import read_file
from streams.records import Content, Post
from streams.settings import read_settings
from tests.bench.bench_pipeline import parse_and_copy
from tests.bench.bench_storage import fresh
from tests.bench.measure import print_result, seconds_of, spread


def contents_of(inputs: list[local.InputFile]) -> list[Content]:
    """What a run asks the detector: each content once."""
    found: dict[tuple[str, str], Content] = {}
    for file in inputs:
        for post in read_file(file.path, file.format):
            if isinstance(post, Post):
                key = post.platform, post.root_id
                found[key] = Content(*key, text=post.text, lang=post.lang)
    return list(found.values())


def main(n_posts: int, repeats: int) -> None:
    """Measures the three in turn, the run on a fresh database of a running server."""
    folder = Path(tempfile.mkdtemp(prefix="hw-bench-", dir="/tmp"))
    folder.chmod(0o755)
    bare: list[float] = []
    alone: list[float] = []
    whole: list[float] = []
    settings = read_settings(detector="bert")
    detector = BertDetector()
    try:
        month = simulate(
            folder / "month",
            n_posts=n_posts,
            languages=("en",),
            has_repeats=False,
            with_pictures=False,
            with_tables=False,
        )
        inputs = local.check_inputs(month.paths)
        contents = contents_of(inputs)
        n_distinct = len({content.text for content in contents})
        with embedded.open_embedded(folder / "db") as server:
            for _ in range(repeats):
                dsn = fresh(server, "bench")
                bare.append(seconds_of(partial(parse_and_copy, dsn, inputs)))
                detector._remembered.clear()
                alone.append(seconds_of(partial(detector.score, contents)))
                detector._remembered.clear()
                dsn = fresh(server, "bench")
                whole.append(seconds_of(partial(local.run, dsn, inputs, detector, settings)))
            with connect(dsn) as connection:
                counts = connection.execute(
                    "SELECT (SELECT count(*) FROM hoaxwatch.posts),"
                    " (SELECT count(*) FROM hoaxwatch.verdicts WHERE score IS NOT NULL)"
                ).fetchone()
    finally:
        embedded.stop(folder / "db")
        shutil.rmtree(folder, ignore_errors=True)
    assert counts is not None
    ratio = statistics.median(whole) / (statistics.median(alone) + statistics.median(bare))
    print_result(
        "detected_run",
        {
            "n_posts": counts[0],
            "n_distinct_texts": n_distinct,
            "n_judged": counts[1],
            "repeats": repeats,
            "parse_and_copy": spread(bare),
            "detector_alone": spread(alone),
            "whole_run": spread(whole),
            "ratio": round(ratio, 3),
            "bar": "ratio <= 1.15",
        },
    )


if __name__ == "__main__":
    main(
        int(sys.argv[1]) if len(sys.argv) > 1 else 20_000,
        int(sys.argv[2]) if len(sys.argv) > 2 else 3,
    )
