"""`hoaxwatch labels`: what people say about posts. It wins over every detector."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from detectors.agreement import fleiss_kappa
from detectors.long_rows import long_rows
from graph.virality import wilson_interval
from hoaxwatch.commands import options
from hoaxwatch.commands.options import connected, settings_of
from hoaxwatch.show import (
    Column,
    csv_output,
    minute,
    notes,
    number,
    output_of,
    print_json,
    shorten,
    show_rows,
)
from storage import labels
from storage.database import open_database
from storage.labels import LABELS, Label, Stored
from streams.errors import UsageError
from streams.settings import Settings, read_settings

app = typer.Typer(
    no_args_is_help=True,
    help="What people say about posts: it wins over every detector, and tells how right one is.",
)


class LabelName(StrEnum):
    """As `storage.labels.LABELS`."""

    likely_false = "likely_false"
    likely_true = "likely_true"
    unsure = "unsure"


PostName = Annotated[str, typer.Argument(help="The post as platform:id, as in x:2029580771177529.")]
COLUMNS = ("platform", "post_id", "text", "label", "note")


def _say(line: str) -> None:
    notes.print(line, markup=False, soft_wrap=True)


@app.command()
def add(
    name: PostName,
    label: Annotated[LabelName, typer.Argument(help="What it is.")],
    note: Annotated[str | None, typer.Option("--note", help="Why.")] = None,
    by: options.By = "me",
    project: options.Project = None,
    database: options.Database = None,
) -> None:
    """Say what a post is. It counts for its content, so also for every share of it."""
    settings = read_settings(project=project, database=database)
    platform, post_id = options.parse_name(name)
    stored = _store(settings, [Label(platform, post_id, label.value, note)], by)
    if stored.unknown:
        raise UsageError(
            f"no post {name} is stored in this project; hoaxwatch trace {post_id} looks for it by "
            "its id"
        )
    _say(f"{name} is {label.value}, says {by}" + ("" if stored.n_changed else " (as before)"))


@app.command("import")
def import_(
    file: Annotated[
        Path, typer.Argument(help="CSV with platform, post_id, label and, if you like, note.")
    ],
    by: options.By = "me",
    project: options.Project = None,
    database: options.Database = None,
    as_json: options.Json = False,
) -> int:
    """Read labels from a file, such as one that `labels sample` wrote and somebody filled in.

    Rows without a label are left out. The same file twice changes nothing.
    """
    settings = read_settings(project=project, database=database)
    given, problems = _read(file)
    stored = _store(settings, given, by) if given else Stored(0, 0, [])
    problems += [f"no post {g.platform}:{g.post_id} is stored" for g in stored.unknown]
    if as_json:
        print_json(
            {
                "file": file.name,
                "changed": stored.n_changed,
                "unchanged": stored.n_unchanged,
                "unusable": len(problems),
                "first": problems[:3],
            }
        )
    else:
        _say(
            f"{file.name}: {number(stored.n_changed)} labels of {by} new or changed, "
            f"{number(stored.n_unchanged)} as before"
        )
        if problems:
            _say(f"  {number(len(problems))} rows could not be used, first:")
            for problem in problems[:3]:
                _say(f"    {problem}")
    return 0


@app.command()
def remove(
    name: PostName,
    by: options.By = "me",
    project: options.Project = None,
    database: options.Database = None,
) -> None:
    """Take back what you said of a post."""
    settings = read_settings(project=project, database=database)
    with connected(settings) as connection:
        found = labels.remove_label(connection, *options.parse_name(name), by)
    if not found:
        raise UsageError(f"{by} has said nothing of {name}; hoaxwatch labels list shows all")
    _recount(settings)
    _say(f"{by} says nothing of {name} any more")


@app.command("list")
def list_(
    project: options.Project = None,
    database: options.Database = None,
    as_json: options.Json = False,
    as_csv: options.Csv = False,
) -> None:
    """All labels, the latest first: who gave which, beside the detector's score.

    What `train` and `evaluate` read is written by labels export.
    """
    output = output_of(as_json, as_csv)
    with connected(settings_of(project, database)) as connection:
        rows = labels.read_labels(connection)
    columns = [
        Column("post", lambda row: f"{row['platform']}:{row['post_id']}"),
        Column("by", lambda row: row["labelled_by"]),
        Column("label", lambda row: row["label"]),
        Column("at (UTC)", lambda row: minute(row["labelled_at"])),
        Column("text", lambda row: shorten(row["text"], 50)),
        Column("note", lambda row: row["note"] or ""),
    ]
    show_rows(rows, output, columns, "Labels", "no labels yet: hoaxwatch labels sample")


@app.command()
def export(project: options.Project = None, database: options.Database = None) -> None:
    """Print what was decided as a data set, as CSV, for `train --data` and `evaluate --data`.

    One row per text, however many people labelled it: what most of them say. Ties and what is
    unsure are left out. Accounts are pseudonyms, so that no account is in two splits.
    """
    with connected(settings_of(project, database)) as connection:
        rows = labels.read_decided(connection)
    if not rows:
        raise UsageError("nothing is decided yet: hoaxwatch labels sample draws posts to label")
    writer = csv.DictWriter(csv_output(), list(rows[0]), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        posted_at = row["posted_at"]
        writer.writerow({**row, "posted_at": posted_at.isoformat() if posted_at else ""})


@app.command()
def sample(
    n: Annotated[int, typer.Option("-n", min=1, help="Posts.")] = 50,
    seed: Annotated[
        int, typer.Option("--seed", help="Who labels with the same gets the same.")
    ] = 1,
    by: options.By = "me",
    project: options.Project = None,
    database: options.Database = None,
) -> None:
    """Print posts to label as CSV, blind: without what the detector says. Half of them are flagged.

    Give several people the same seed, have each fill in the column `label`, and read the files with
    `labels import FILE --by NAME`. What you have labelled already is left out.
    """
    with connected(settings_of(project, database)) as connection:
        rows = labels.sample_posts(connection, n, seed, by)
    if not rows:
        raise UsageError("nothing is left to label: no post was judged, or you labelled them all")
    writer = csv.DictWriter(csv_output(), COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({**row, "label": "", "note": ""} for row in rows)


@app.command()
def agreement(
    since: options.Since = None,
    until: options.Until = None,
    project: options.Project = None,
    database: options.Database = None,
    as_json: options.Json = False,
) -> None:
    """How far people agree, and how often they confirm what the detector flags.

    Precision is of the labelled posts alone: of a `labels sample` it is an estimate for all that
    are flagged, of posts that somebody picked it is not.
    """
    settings = settings_of(project, database)
    start, end = options.parse_span(since, until, settings.timezone)
    with connected(settings) as connection:
        tallies = labels.read_tallies(connection, start, end)
    counts = np.array([t.counts for t in tallies], dtype=np.int64).reshape(-1, len(LABELS))
    kappa = fleiss_kappa(counts)
    decided = [t.is_false for t in tallies if t.is_flagged and t.is_false is not None]
    k, n = sum(decided), len(decided)
    precision = wilson_interval(k, n)
    several = int((counts.sum(axis=1) >= 2).sum())
    if as_json:
        print_json(
            {
                "contents": len(tallies),
                "labelled_by_several": several,
                "fleiss_kappa": None if kappa is None else round(kappa, 4),
                "flagged_and_decided": n,
                "confirmed": k,
                "precision": None if precision is None else [round(x, 4) for x in precision],
            }
        )
        return
    print(f"contents labelled      {number(len(tallies))}, {number(several)} by several people")
    print(f"Fleiss' kappa          {'–' if kappa is None else f'{kappa:.2f}'}")
    shown = "–" if precision is None else "{:.0%} ({:.0%} to {:.0%})".format(*precision)
    print(f"flagged and confirmed  {number(k)} of {number(n)} decided: {shown}")


def _read(file: Path) -> tuple[list[Label], list[str]]:
    """Labels of a file, and what is wrong with the rows that have a label and cannot be used."""
    given: list[Label] = []
    problems: list[str] = []
    for line, row in _rows(file):
        label = (row.get("label") or "").strip()
        if not label:
            continue
        if label not in LABELS:
            problems.append(f"line {line}: {label} is no label; there are {', '.join(LABELS)}")
        elif not (row.get("platform") and row.get("post_id")):
            problems.append(f"line {line}: platform or post_id is empty")
        elif "\0" in f"{row['platform']}{row['post_id']}{row.get('note')}":
            problems.append(f"line {line}: it holds a null character, which no field takes")
        else:
            given.append(Label(row["platform"], row["post_id"], label, row.get("note") or None))
    return given, problems


def _rows(file: Path) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            missing = {"platform", "post_id", "label"} - set(reader.fieldnames or ())
            if missing:
                raise UsageError(
                    f"{file} has no column {', '.join(sorted(missing))}; labels sample writes a "
                    "file to fill in"
                )
            for row in long_rows(reader):
                yield reader.line_num, row
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}; check the path") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{file} is no CSV in UTF-8: {error}") from None


def _store(settings: Settings, given: Sequence[Label], by: str) -> Stored:
    with connected(settings) as connection:
        stored = labels.add_labels(connection, given, by, datetime.now(UTC))
    if stored.n_changed:
        _recount(settings)
    return stored


def _recount(settings: Settings) -> None:
    from streams import local

    with open_database(settings) as dsn:
        local.count_again(dsn, settings)
