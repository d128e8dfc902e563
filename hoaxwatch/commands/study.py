"""hoaxwatch daily, study: a pass over live sources a day, and the tables of a month."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer

from detectors.detector import Detector
from detectors.registry import load_detector
from hoaxwatch import study as tables_of
from hoaxwatch.commands import options
from hoaxwatch.commands.options import parse_day
from hoaxwatch.commands.track import PRESETS, read_hashtags
from hoaxwatch.evidence import detector_of
from hoaxwatch.live import open_named, say, stopping
from hoaxwatch.study import Judge, StudyDay, count_days, pool, shown
from storage import errata, history, tracking
from storage import study as stored
from storage.database import Connection, connect, database_errors, open_database
from streams import local
from streams.errors import UsageError
from streams.media import fetch_media
from streams.settings import Settings, read_settings

#: Sources that make one pass and end; streams run in `hoaxwatch run`.
PASSES = ("instagram", "x_search")
#: Of one pass; the others are fetched by the next.
MOST_PICTURES = 10_000

Sources = Annotated[
    list[str] | None,
    typer.Option("--source", help=f"Make a pass over it first: {', '.join(PASSES)}."),
]
Pictures = Annotated[
    bool,
    typer.Option("--pictures", help="Fetch the pictures of what came, and judge it with them."),
]
Others = Annotated[
    list[str] | None,
    typer.Option("--beside", help="Another detector, shown side by side: NAME, or NAME=FOLDER."),
]
Out = Annotated[Path, typer.Option("--out", "-o", help="Folder of the reports.")]


def daily(
    date: Annotated[
        str | None, typer.Option("--date", help="The day reported on (UTC); default: yesterday.")
    ] = None,
    source: Sources = None,
    pictures: Pictures = False,
    detector: options.Detector = None,
    beside: Others = None,
    out: Out = Path("daily"),
    project: options.Project = None,
    database: options.Database = None,
) -> None:
    """Collect, score, count, tell alerts, and report one day of what is tracked.

    For a timer. The same day again brings the same tables and the same report.
    """
    settings = read_settings(project=project, database=database, detector=detector)
    yesterday = f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%d}"
    day = parse_day(date or yesterday, "--date")
    others = _load(beside)
    options.check_project(settings)
    with open_database(settings) as dsn:
        with database_errors(dsn), connect(dsn) as connection:
            history.take_snapshot(connection, datetime.now(UTC))
            hashtags = [row.hashtag for row in tracking.read_tracked(connection)]
        if not hashtags:
            raise UsageError("nothing is tracked; say what: hoaxwatch track add HASHTAG")
        _collect(dsn, settings, source or [], pictures)
        folder = out / f"{day:%Y-%m-%d}"
        _report(dsn, settings, hashtags, day, day + timedelta(days=1), others, folder)


def study(
    hashtags: Annotated[
        Path,
        typer.Option(
            "--hashtags",
            help=f"hashtags.txt, one a line, the same each day; or {', '.join(PRESETS)}: "
            "those of the paper.",
        ),
    ],
    since: Annotated[str, typer.Option("--from", help="First day (UTC), as 2019-11-01.")],
    until: Annotated[str, typer.Option("--to", help="Last day (UTC), as 2019-11-30.")],
    source: Sources = None,
    pictures: Pictures = False,
    cap: Annotated[
        int,
        typer.Option(
            "--cap", min=1, help="Posts per hashtag and pass at most (of X no fewer than 10)."
        ),
    ] = 79,
    detector: options.Detector = None,
    beside: Others = None,
    out: Out = Path("study"),
    project: options.Project = None,
    database: options.Database = None,
) -> None:
    """Follow the same hashtags for a month, one pass a day, and report every day of it.

    Run it once a day, with the same options: each call makes its pass and writes the reports of
    all days. Stopped or killed on any day, the next call goes on. As section IV-G of Wang, Yin and
    Argyris (2020): at most so many recent posts per hashtag, other languages removed and counted.
    """
    settings = read_settings(
        project=project,
        database=database,
        detector=detector,
        instagram_most_posts=cap,
        x_most_posts=max(cap, 10),
    )
    first, last = parse_day(since, "--from"), parse_day(until, "--to")
    if last < first:
        raise UsageError(f"--to {until} is before --from {since}; exchange them")
    tags = read_hashtags(hashtags)
    others = _load(beside)
    with open_database(settings) as dsn:
        with database_errors(dsn), connect(dsn) as connection:
            # asked for from its first day on, however late the first call is made
            tracking.track(connection, tags, "study", min(first, datetime.now(UTC)), "study")
        _collect(dsn, settings, source or [], pictures)
        named = sorted({key for key, _ in tags})
        _report(dsn, settings, named, first, last + timedelta(days=1), others, out, cap)


def _load(beside: Sequence[str] | None) -> list[Detector]:
    """Before anything is asked for, which may cost: a name or a folder may be wrong."""
    named = map(options.parse_detector, beside or [])
    return [load_detector(name, weights=folder) for name, folder in named]


def _collect(dsn: str, settings: Settings, sources: Sequence[str], pictures: bool) -> None:
    for name in sources:
        if name not in PASSES:
            raise UsageError(
                f"--source {name} makes no pass; there are {', '.join(PASSES)}, and hoaxwatch run "
                "follows the others"
            )
        source = open_named(name, [], None, "1x", settings, dsn)
        with stopping(None) as stop:
            result = local.follow(dsn, source, detector_of(settings), settings, stop)
        say(f"{name}: {result.n_records:,} records, {result.outcomes['new']:,} new posts")
    if pictures:
        with database_errors(dsn), connect(dsn) as connection:
            found = fetch_media(connection, settings, MOST_PICTURES)
        say(f"{found['fetched']:,} of {found.total():,} pictures fetched")
        local.adopt(dsn, detector_of(settings), settings)  # what is seen now is judged now


def _report(
    dsn: str,
    settings: Settings,
    hashtags: Sequence[str],
    since: datetime,
    until: datetime,
    others: Sequence[Detector],
    folder: Path,
    cap: int | None = None,
) -> None:
    in_force = local.candidate_of(detector_of(settings), settings)
    for other in others:
        local.judge_beside(dsn, other, settings)
    judges = [
        Judge(
            name=name,
            version=version_of,
            threshold=threshold,
            abstain_band=settings.abstain_below,
        )
        for name, version_of, threshold in (
            (in_force.detector, in_force.version, in_force.threshold),
            *((other.name, other.version, other.threshold) for other in others),
        )
    ]
    with database_errors(dsn), connect(dsn) as connection:
        tables = {
            f"{judge.name} {judge.version}": _days(connection, hashtags, since, until, judge)
            for judge in judges
        }
        wrong = errata.read_errata_of_hashtags(connection, hashtags, since, until)
    first, last = f"{since:%Y-%m-%d}", f"{until - timedelta(days=1):%Y-%m-%d}"
    title = f"Daily study, {first} to {last}" if first != last else f"Daily report, {first}"
    manifest: dict[str, Any] = {
        "hoaxwatch": version("hoaxwatch"),
        "hashtags": list(hashtags),
        "from": first,
        "to": last,
        "cap": cap,
        "detectors": [asdict(judge) for judge in judges],
        "counts": {name: _counts(days) for name, days in tables.items()},
        "errata": [tables_of.erratum_line(erratum) for erratum in wrong],
    }
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / "study.csv", tables_of.as_csv(tables))
    _write(folder / "study.md", tables_of.as_markdown(title, tables, wrong))
    _write(folder / "study.html", tables_of.as_html(title, tables, wrong))
    _write(folder / "manifest.json", json.dumps(manifest, indent=2, sort_keys=True) + "\n")
    for name, days in tables.items():
        whole = pool(days)
        say(
            f"{name}: {whole.found:,} posts found, {whole.removed:,} in other languages, "
            f"{whole.detected:,} detected; precision {shown(whole.precision)}, recall "
            f"{shown(whole.recall)}"
        )
    say(f"reports in {folder}")


def _days(
    connection: Connection,
    hashtags: Sequence[str],
    since: datetime,
    until: datetime,
    judge: Judge,
) -> list[StudyDay]:
    posts = stored.read_posts(connection, hashtags, since, until, judge.name, judge.version)
    coverage = [
        row
        for hashtag in hashtags
        for row in tracking.read_coverage(connection, hashtag, since, until)
    ]
    return count_days(posts, since, until, judge, coverage)


def _counts(days: Sequence[StudyDay]) -> dict[str, int]:
    whole = pool(days)
    return {
        name: getattr(whole, name)
        for name in ("found", "removed", "judged", "unjudged", "detected", "labelled")
    }


def _write(path: Path, text: str) -> None:
    """All of it or nothing: whoever looks never sees half a report."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_text(text, "utf-8")
    part.replace(path)
