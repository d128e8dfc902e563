"""hoaxwatch demo: the whole pipeline on an invented week, in its own project."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from detectors.evaluation import Confusion, class_scores, confusion
from hoaxwatch.commands import ask, pipeline
from hoaxwatch.commands.options import connected
from hoaxwatch.commands.simulate import write_world
from hoaxwatch.show import Column, Output, notes, number, percent, show_rows
from hoaxwatch.simulate.truth_file import Truth
from storage import reads
from storage.database import Connection, connect, embedded_folder, open_database, shown_dsn
from storage.reads import JudgedRow
from streams import local
from streams.errors import UsageError
from streams.formats.registry import read_file
from streams.records import Post
from streams.settings import Settings, read_settings

DAYS, POSTS, SEED = 7, 5_000, 1
#: Enough to show that a long text does no harm; the month has one of 10 MB.
LONG_TEXT_BYTES = 100_000


def demo(
    folder: Annotated[Path, typer.Option("--folder", help="Where the samples are written.")] = Path(
        "demo"
    ),
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The HTML report to write.")
    ] = Path("report.html"),
    seed: Annotated[
        int, typer.Option("--seed", help="Another world, in a project of its own: demo-SEED.")
    ] = SEED,
) -> None:
    """Invent a week of posts, run the whole pipeline on it, show and report the result.

    Nothing is needed: no account, key, Kafka, GPU or download. The posts are made up, and what is
    true of them is known: so the demo ends with how well the detector did there. It is stored in
    project demo; where the setting `database` names a server of your own, only beside no other
    posts.
    """
    settings = read_settings(project="demo" if seed == SEED else f"demo-{seed}")
    world = write_world(
        folder,
        seed,
        DAYS,
        POSTS,
        option="--folder",
        with_tables=False,
        long_text_bytes=LONG_TEXT_BYTES,
    )
    _check_alone(settings, world.paths)
    result = pipeline.run_files(settings, local.check_inputs(world.paths))
    pipeline.print_summary(result, settings)
    with connected(settings) as connection:
        ask.show_hashtags(connection, Output.table, limit=8, rising=True)
    ask.clusters(hashtag="watertruth", algorithm="louvain", project=settings.project, min_users=8)
    with open_database(settings) as dsn, connect(dsn) as connection:
        _print_quality(connection, world.truth, settings.detector)
        ask.write(connection, settings, output, title="hoaxwatch demo: an invented week")
    notes.print(
        f"wrote {output}: open it in a browser. Next: hoaxwatch run YOUR_FILES",
        markup=False,
        soft_wrap=True,
    )


def _check_alone(settings: Settings, paths: Iterable[Path]) -> None:
    """The posts of these files come beside no others: a study, or the week of another version.

    Raises UsageError where they would.
    """
    invented = {
        (reading.platform, reading.post_id)
        for path in paths
        for reading in read_file(path)
        if isinstance(reading, Post)
    }
    with connected(settings, may_make=True) as connection:
        if not reads.has_others(connection, invented):
            return
    if settings.database is not None:
        raise UsageError(
            f"database {shown_dsn(settings.database.get_secret_value())} holds posts that are not "
            "of this invented week: give an empty one (HOAXWATCH_DATABASE), or none at all"
        )
    raise UsageError(
        f"project {settings.project} holds posts that are not of this invented week: hoaxwatch db "
        f"stop --project {settings.project}, and remove {embedded_folder(settings)}"
    )


def _print_quality(connection: Connection, truth: Truth, detector: str) -> None:
    """Precision and recall of the detector on texts of which is known what they are."""
    known = [
        row for row in reads.read_judged(connection) if (row.platform, row.root_id) in truth.labels
    ]
    columns = [
        Column("texts of", lambda row: row["of"]),
        Column("judged", lambda row: number(row["judged"]), is_number=True),
        Column("false", lambda row: number(row["false"]), is_number=True),
        Column("flagged", lambda row: number(row["flagged"]), is_number=True),
        Column("of these false", lambda row: number(row["right"]), is_number=True),
        Column("precision", lambda row: percent(row["precision"]), is_number=True),
        Column("recall", lambda row: percent(row["recall"]), is_number=True),
    ]
    title = f"What {detector} flagged, and what is false in this invented world"
    quality = list(_quality(known, truth.labels))
    show_rows(quality, Output.table, columns, title, "nothing judged")
    notes.print(_in_words(quality[0], detector), markup=False, soft_wrap=True)
    silent = [row for row in known if row.likely_false is None]
    why = Counter(row.reason or row.state for row in silent).most_common()
    n_false = sum(truth.labels[row.platform, row.root_id] == "likely_false" for row in silent)
    notes.print(
        f"not judged: {number(len(silent))} texts, {number(n_false)} of them false"
        + "".join(f"; {number(n)} {reason}" for reason, n in why),
        markup=False,
        soft_wrap=True,
    )
    notes.print(
        "The words are invented and the detector never saw them: this tells how the parts work "
        "together, not how good it is on real posts (its model card does).",
        soft_wrap=True,
    )


def _in_words(found: Mapping[str, Any], detector: str) -> str:
    """What the first row of the table says, beside what flagging everything would give.

    >>> _in_words({"judged": 10, "false": 4, "flagged": 2, "right": 1}, "tfidf")
    'of 2 texts ... 1 are false (flagging all 10 would be right in 40.0 %); of the 4 ... flagged 1'
    """
    if not found["judged"]:
        return f"{detector} judged nothing: it abstained from every text"
    prevalence = found["false"] / found["judged"]
    return (
        f"of {number(found['flagged'])} texts that {detector} flagged, {number(found['right'])} "
        f"are false (flagging all {number(found['judged'])} would be right in "
        f"{percent(prevalence)}); of the {number(found['false'])} that are false it flagged "
        f"{number(found['right'])}"
    )


def _quality(known: Iterable[JudgedRow], labels: Mapping[Any, str]) -> Iterator[dict[str, Any]]:
    judged = [row for row in known if row.likely_false is not None]
    for platform in ("all", *sorted({row.platform for row in judged})):
        of_platform = [row for row in judged if platform in ("all", row.platform)]
        counts = confusion(
            np.array([labels[row.platform, row.root_id] == "likely_false" for row in of_platform]),
            np.array([bool(row.likely_false) for row in of_platform]),
        )
        yield {"of": platform, **_ratios(counts)}


def _ratios(counts: Confusion) -> dict[str, Any]:
    right, wrong, missed, _ = counts
    scores = class_scores(counts)
    return {
        "judged": sum(counts),
        "false": right + missed,
        "flagged": right + wrong,
        "right": right,
        # of nothing there is no share
        "precision": scores.precision if right + wrong else None,
        "recall": scores.recall if right + missed else None,
    }
