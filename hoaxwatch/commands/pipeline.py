"""hoaxwatch run, score, formats, detectors: what works on posts."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from detectors.detector import DetectorUnusable
from detectors.registry import DETECTORS, load_detector
from hoaxwatch.commands import options
from hoaxwatch.evidence import detector_in_force, detector_of, evidence_of
from hoaxwatch.live import open_named, source_named, stopping
from hoaxwatch.show import (
    Column,
    counting,
    notes,
    number,
    output_of,
    percent,
    print_json,
    print_lines,
    show_rows,
)
from storage.database import connect, open_database
from streams import local, steps
from streams.errors import UsageError
from streams.formats.registry import FORMATS, load_format
from streams.local import InputFile, RunResult
from streams.records import Content, content_hash
from streams.settings import Settings, read_settings
from streams.sources import replay
from streams.sources.registry import SOURCES, load_source

#: Files with problems that are named after a run.
SHOWN_SOURCES = 5


class Watched:
    """Progress on stderr: files, records and verdicts so far. Silent where nobody looks."""

    def __init__(self, n_files: int) -> None:
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[detail]}"),
            TimeElapsedColumn(),
            console=notes,
            transient=True,
            disable=not notes.is_terminal,
        )
        self._files = self._bar.add_task("starting", total=n_files, detail="")
        self._n_started = self._n_records = self._n_contents = self._n_compared = 0

    def __enter__(self) -> Watched:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def file_started(self, path: Path, format: str) -> None:
        """The bar stands at the files that are behind us."""
        self._bar.update(self._files, description=f"reading {path.name}", completed=self._n_started)
        self._n_started += 1

    def following(self, source: str) -> None:
        """A live source, which has no end."""
        self._bar.update(self._files, description=f"following {source}", total=None)

    def recorded(self, n_records: int) -> None:
        """Counts stored records."""
        self._n_records += n_records
        self._update()

    def judged(self, n_contents: int) -> None:
        """Counts judged contents."""
        self._n_contents += n_contents
        self._update()

    def compared(self, n_contents: int) -> None:
        """Counts contents that were compared with checked claims."""
        self._n_compared += n_contents
        self._bar.update(
            self._files,
            description="comparing with checked claims",
            completed=self._n_started,
            detail=f"{self._n_compared:,} texts compared",
        )

    def tracking(self) -> None:
        """All files are read."""
        self._bar.update(
            self._files, description="counting trends and clusters", completed=self._n_started
        )

    def _update(self) -> None:
        detail = f"{self._n_records:,} records, {self._n_contents:,} texts judged"
        self._bar.update(self._files, detail=detail)


def run(
    files: Annotated[
        list[str] | None, typer.Argument(help="Files of posts; may be compressed.")
    ] = None,
    format: Annotated[
        str | None, typer.Option("--format", help="What the files are; default: looked at.")
    ] = None,
    columns: options.Columns = None,
    source: options.Source = None,
    seconds: options.For = None,
    speed: options.Speed = "1x",
    since: Annotated[
        str | None, typer.Option("--since", help="Of --source x_archive: from this day on (UTC).")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", help="Of --source x_archive: before this day (UTC).")
    ] = None,
    detector: options.Detector = None,
    engine: options.Engine = None,
    encoder: options.Encoder = None,
    weights: options.Weights = None,
    media: options.Media = None,
    pictures: options.Pictures = False,
    no_ocr: options.NoOcr = False,
    project: options.Project = None,
    database: options.Database = None,
    as_json: options.Json = False,
) -> int:
    """Read post files or a live source, score the posts, follow how they spread, write the tables.

    Run it again at any time, with the same files or with more: nothing is counted twice. Stopped
    in the middle, the same command completes it. A live source is followed until Ctrl-C, and the
    next time from where it was left.
    """
    settings = read_settings(
        project=project,
        database=database,
        detector=detector,
        engine=engine,
        encoder=encoder,
        weights=weights,
        media=media,
        media_fetch=pictures or None,
        ocr=False if no_ocr else None,
        x_archive_since=since,
        x_archive_until=until,
    )
    files, source = source_named(files or [], source)
    if (since or until) and source != "x_archive":
        raise UsageError("--since and --until are for --source x_archive; leave them out")
    named = options.format_of(format, columns)
    if source is not None:
        result = run_source(settings, source, files, named, speed, seconds)
    else:
        inputs = local.check_inputs([Path(file) for file in files], named)
        result = run_files(settings, inputs)
    if as_json:
        print_json(summary(result))
    else:
        print_summary(result, settings)
    for problem in result.damaged:
        notes.print(
            f"hoaxwatch: {problem.source} breaks off ({problem.reason}); what comes before is "
            "stored: get the file again and run again",
            markup=False,
            soft_wrap=True,
        )
    return 2 if result.damaged else 0


def run_files(settings: Settings, inputs: list[InputFile]) -> RunResult:
    """One run over checked inputs, with progress."""
    judge = detector_of(settings)
    with open_database(settings) as dsn, Watched(len(inputs)) as watched:
        return local.run(dsn, inputs, judge, settings, watched)


def run_source(
    settings: Settings,
    name: str,
    files: list[str],
    format: str | None,
    speed: str,
    seconds: float | None,
) -> RunResult:
    """Follows a live source until it ends or is stopped, with progress."""
    judge = detector_of(settings)
    with open_database(settings) as dsn:
        source = open_named(name, files, format, speed, settings, dsn)
        with Watched(0) as watched, stopping(seconds) as stop:
            watched.following(name)
            return local.follow(dsn, source, judge, settings, stop, watched)


def summary(result: RunResult) -> dict[str, object]:
    """A run in plain values, for --json."""
    return {
        "run_id": result.run_id,
        "records": result.n_records,
        "outcomes": dict(result.outcomes),
        "not_posts": dict(result.not_posts),
        "pictures": dict(result.pictures),
        "verdicts": dict(result.verdicts),
        "claims": dict(result.claims),
        "cascades": dict(result.cascades),
        "unmapped": [
            {
                "source": source,
                "records": result.n_of_source[source],
                "unmapped": unmapped.n_records,
                "first": [{"position": p.position, "reason": p.reason} for p in unmapped.first],
            }
            for source, unmapped in result.unmapped.items()
        ],
        "inputs": result.inputs,
        "seconds": round(result.seconds, 3),
    }


def print_summary(result: RunResult, settings: Settings) -> None:
    """What a run did, for people."""
    outcomes = ", ".join(f"{number(n)} {name}" for name, n in result.outcomes.items() if n)
    notes.print(f"{number(result.n_records)} records: {outcomes or 'nothing'}")
    if result.not_posts:
        what = ", ".join(f"{number(n)} {name}" for name, n in result.not_posts.most_common(5))
        notes.print(f"  not a post: {what}")
    if result.pictures:
        pictures = ", ".join(f"{number(n)} {name}" for name, n in result.pictures.most_common())
        notes.print(f"  pictures: {pictures}")
    if result.verdicts:
        verdicts = ", ".join(f"{number(n)} {name}" for name, n in result.verdicts.items())
        notes.print(f"  texts new to detector {settings.detector}: {verdicts}")
    if result.claims:
        notes.print(
            f"  compared with checked claims: {number(result.claims['compared'])} texts, "
            f"{number(result.claims['matched'])} repeat one"
        )
    if result.cascades:
        judged = ", ".join(f"{number(n)} {name}" for name, n in sorted(result.cascades.items()))
        notes.print(f"  states of cascades, by {settings.cascade_detector}: {judged}")
    for source, unmapped in list(result.unmapped.items())[:SHOWN_SOURCES]:
        n_records = max(result.n_of_source[source], unmapped.n_records)
        _say(
            f"  {source}: {number(unmapped.n_records)} of {number(n_records)} records unmapped, "
            "first:"
        )
        for problem in unmapped.first:
            _say(f"    {problem.position}: {problem.reason}")
    if len(result.unmapped) > SHOWN_SOURCES:
        _say(f"  and in {number(len(result.unmapped) - SHOWN_SOURCES)} more files")
    option = "" if settings.project == "default" else f" --project {settings.project}"
    if result.unmapped:
        _say(f"  see them: hoaxwatch quarantine list{option}")
    notes.print(
        f"done in {result.seconds:.1f} s. Look: hoaxwatch trends{option}; "
        f"hoaxwatch report -o report.html{option}"
    )


def _say(line: str) -> None:
    notes.print(line, markup=False, soft_wrap=True)


def remap(
    format: Annotated[
        str | None, typer.Option("--format", help="Only records of this format.")
    ] = None,
    project: options.Project = None,
    database: options.Database = None,
    as_json: options.Json = False,
) -> None:
    """Map the stored raw records again, after a reader was corrected. Nothing is read anew.

    All in one transaction: until it ends, everybody sees the tables as they were. Stop other
    workers of the project first, or they wait. Posts whose raw records retention has dropped stay
    as they are.
    """
    if format is not None:
        load_format(format)
    settings = read_settings(project=project, database=database)
    options.check_project(settings)
    with open_database(settings) as dsn, counting("records mapped again") as watch:
        with connect(dsn) as connection:
            judge = detector_in_force(connection, settings)
        result, verdicts = local.remap(dsn, judge, settings, format, watch)
    if as_json:
        print_json(
            {
                "raw_records": result.n_raw,
                "posts": result.n_posts,
                "changed": result.n_changed,
                "reasons": dict(result.reasons.most_common()),
                "verdicts": dict(verdicts),
            }
        )
        return
    _say(
        f"{number(result.n_raw)} raw records of {number(result.n_posts)} posts: "
        f"{number(result.n_changed)} posts changed"
    )
    for reason, n in result.reasons.most_common(3):
        _say(f"  {number(n)} records stay as they were: {reason}")
    if verdicts:
        judged = ", ".join(f"{number(n)} {name}" for name, n in verdicts.items())
        _say(f"  texts judged again: {judged}")


def score(
    text: Annotated[str, typer.Argument(help="The words to judge, or - to read them from stdin.")],
    lang: Annotated[str | None, typer.Option("--lang", help="Language code, if known.")] = None,
    detector: options.Detector = None,
    engine: options.Engine = None,
    encoder: options.Encoder = None,
    weights: options.Weights = None,
    as_json: options.Json = False,
) -> None:
    """Judge one text, with reasons. No database is used and nothing is stored."""
    settings = read_settings(detector=detector, engine=engine, encoder=encoder, weights=weights)
    words = sys.stdin.read() if text == "-" else text
    judge = detector_of(settings)
    content = Content(
        platform="cli", root_id="1", text=words, lang=lang, input_hash=content_hash(words, lang)
    )
    verdict = steps.classify(judge, [content])[0]
    evidence = verdict.evidence or evidence_of(judge, content)
    threshold = judge.threshold if settings.threshold is None else settings.threshold
    likely_false = None if verdict.score is None else verdict.score >= threshold
    if as_json:
        print_json(
            {
                "state": verdict.state,
                "score": verdict.score,
                "likely_false": likely_false,
                "threshold": threshold,
                "reason": verdict.reason,
                "evidence": [list(item) for item in evidence],
                "detector": verdict.detector,
                "version": verdict.version,
            }
        )
        return
    if verdict.score is None:
        print(f"no verdict: {verdict.reason}  ({verdict.detector} {verdict.version})")
        return
    word = "likely false" if likely_false else "not flagged"
    print(
        f"{word}: probability {percent(verdict.score)} of being likely false, flagged from "
        f"{percent(threshold)}  ({verdict.detector} {verdict.version})"
    )
    print_lines(f"  {weight:+.2f}  {feature}" for feature, weight in evidence)
    print("A score is a model's opinion, not a fact check.")


def formats(as_json: options.Json = False, as_csv: options.Csv = False) -> None:
    """List the file formats that can be read, each with the beginning of a sample."""
    rows = [
        {
            "format": name,
            "description": (module := load_format(name)).DESCRIPTION,
            "sample": module.example().decode()[:200],
        }
        for name in FORMATS
    ]
    columns = [
        Column("format", lambda row: str(row["format"])),
        Column("what it is", lambda row: str(row["description"])),
        Column("begins with", lambda row: str(row["sample"])[:60].replace("\n", " ") + "…"),
    ]
    show_rows(rows, output_of(as_json, as_csv), columns, "File formats", "none")


def sources(as_json: options.Json = False, as_csv: options.Csv = False) -> None:
    """List the live sources that can be followed."""
    rows = [{"source": name, "description": load_source(name).DESCRIPTION} for name in SOURCES]
    rows.append({"source": replay.NAME, "description": replay.DESCRIPTION})
    columns = [
        Column("source", lambda row: str(row["source"])),
        Column("what it is", lambda row: str(row["description"])),
    ]
    show_rows(rows, output_of(as_json, as_csv), columns, "Live sources", "none")


def detectors(as_json: options.Json = False, as_csv: options.Csv = False) -> None:
    """List the detectors, with version and threshold."""
    rows = []
    for name in sorted(DETECTORS):
        row: dict[str, Any] = {"detector": name, "version": None, "threshold": None}
        try:
            judge = load_detector(name)
            row |= {"version": judge.version, "threshold": judge.threshold, "problem": None}
        except DetectorUnusable as error:
            row["problem"] = str(error)
            notes.print(str(error), markup=False, soft_wrap=True)
        rows.append(row)
    columns = [
        Column("detector", lambda row: str(row["detector"])),
        Column("version", lambda row: row["version"] or "–"),
        Column("flags from", lambda row: percent(row["threshold"]), is_number=True),
    ]
    show_rows(rows, output_of(as_json, as_csv), columns, "Detectors", "none")
