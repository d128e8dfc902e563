"""`hoaxwatch reprocess`: what another detector says of stored posts, and what that would change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from graph.followed import show_topic
from hoaxwatch.commands import options
from hoaxwatch.commands.options import connected, parse_span
from hoaxwatch.evidence import detector_of
from hoaxwatch.show import (
    Column,
    Output,
    minute,
    notes,
    number,
    percent,
    print_json,
    shorten,
    show_rows,
)
from storage import reprocessing
from storage.database import connect, database_errors, open_database
from storage.reprocessing import Candidate, Difference, Tally
from streams import local
from streams.errors import UsageError
from streams.settings import read_settings


def reprocess(
    detector: Annotated[str, typer.Option("--detector", help="The one to be tried.")],
    since: options.Since = None,
    until: options.Until = None,
    adopt: Annotated[
        bool, typer.Option("--adopt", help="Afterwards its verdicts are those that count.")
    ] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="Rows of each list.")] = 10,
    engine: options.Engine = None,
    encoder: options.Encoder = None,
    weights: options.Weights = None,
    project: options.Project = None,
    database: options.Database = None,
    as_json: options.Json = False,
) -> None:
    """Score stored posts with another detector, beside the scores that count, and report what would
    change: which posts, hashtags and clusters.

    Stopped in the middle, the same command does the rest. --json has all that changes. Trends,
    clusters and alerts stay as they are until --adopt, which writes one policy and recounts.
    """
    if adopt and (since or until):
        raise UsageError(
            "--adopt is for all posts: a detector that judged a part of them would leave the rest "
            "unjudged; leave out --since and --until"
        )
    settings = read_settings(
        project=project,
        database=database,
        detector=detector,
        engine=engine,
        encoder=encoder,
        weights=weights,
    )
    start, end = parse_span(since, until, settings.timezone)
    judge = detector_of(settings)
    candidate = local.candidate_of(judge, settings)
    with connected(settings) as connection:
        active = reprocessing.read_active(connection)
        n_pending = reprocessing.count_pending(connection, judge.name, judge.version, start, end)
    if active is None:
        raise UsageError("nothing was judged yet, so there is nothing to compare: hoaxwatch run")
    with open_database(settings) as dsn:
        with _progress() as bar:
            task = bar.add_task("texts judged", total=n_pending)
            judged = local.judge_beside(
                dsn, judge, settings, start, end, lambda n: bar.update(task, advance=n)
            )
        with connect(dsn) as connection, database_errors(dsn):
            found = reprocessing.compare(connection, candidate, start, end)
        is_new = local.adopt(dsn, judge, settings) if adopt else False
    if as_json:
        print_json(
            {
                "before": active._asdict(),
                "after": candidate._asdict(),
                "judged_now": dict(judged),
                "is_adopted": is_new,
                **plain(found),
            }
        )
        return
    _print(found, active, candidate, limit)
    if adopt:
        _say_adopted(active, candidate, is_new)
    elif found.changed:
        _say("nothing is changed yet: --adopt has these verdicts count")


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=notes,
        transient=True,
        disable=not notes.is_terminal,
    )


def _say(line: str) -> None:
    notes.print(line, markup=False, soft_wrap=True)


def _say_adopted(active: Candidate, candidate: Candidate, is_new: bool) -> None:
    _say(
        f"{_name(candidate)} counts now; every table is recounted"
        if is_new
        else f"{_name(candidate)} counted already; nothing was changed"
    )
    if candidate.detector != active.detector:
        _say(
            f'  write detector = "{candidate.detector}" into hoaxwatch.toml (or HOAXWATCH_DETECTOR'
            f"={candidate.detector}) and start workers again: what others judge meanwhile does not "
            "count, and a run or a worker that starts with another setting has "
            f"{active.detector} count again"
        )


def _name(policy: Candidate) -> str:
    return f"{policy.detector} {policy.version}, from {percent(policy.threshold)}"


def plain(found: Difference) -> dict[str, Any]:
    """The report in plain values, for --json."""
    return {
        **found._asdict(),
        "by_contents": found.by_contents._asdict(),
        "by_posts": found.by_posts._asdict(),
        "hashtags": [_with_tally(row._asdict()) for row in found.hashtags],
        "clusters": [_with_tally(row._asdict()) for row in found.clusters],
    }


def _with_tally(row: dict[str, Any]) -> dict[str, Any]:
    tally: Tally = row.pop("tally")
    return {**row, **tally._asdict(), "changes_verdict": tally.changes_verdict}


#: What is thought of a post, or of what it says.
VERDICTS = {True: "likely false", False: "not flagged", None: "not judged"}


def _moves(row: Mapping[str, Any]) -> str:
    before, after = row["likely_false_before"], row["likely_false_after"]
    return f"{VERDICTS[before]} → {VERDICTS[after]}"


def flagged(row: Mapping[str, Any]) -> str:
    """Flagged of judged, before and after.

    >>> flagged(Tally(4, 1, 5, 3)._asdict())
    '1/4 → 3/5'
    """
    before = f"{number(row['false_before'])}/{number(row['judged_before'])}"
    return f"{before} → {number(row['false_after'])}/{number(row['judged_after'])}"


_CHANGES = [
    Column("flagged / judged", flagged, is_number=True),
    Column("", lambda row: "changes verdict" if row["changes_verdict"] else ""),
]


def _print(found: Difference, active: Candidate, candidate: Candidate, limit: int) -> None:
    print(f"before  {_name(active)}\nafter   {_name(candidate)}")
    print(f"texts   {number(found.contents)}, in {number(found.posts)} posts")
    if found.pending:
        print(f"        {number(found.pending)} texts came meanwhile and wait for it")
    for name, tally in (("texts", found.by_contents), ("posts", found.by_posts)):
        shares = [
            percent(false / judged if judged else None)
            for false, judged in (
                (tally.false_before, tally.judged_before),
                (tally.false_after, tally.judged_after),
            )
        ]
        print(
            f"{name}   flagged of judged: {flagged(tally._asdict())}  ({shares[0]} → {shares[1]})"
        )
    print(f"mean    {percent(found.mean_before)} → {percent(found.mean_after)} likely false")
    n_tags = sum(row.tally.changes_verdict for row in found.hashtags)
    n_clusters = sum(row.tally.changes_verdict for row in found.clusters)
    n_posts = sum(row["posts"] for row in found.changed)
    print(
        f"change  {number(len(found.changed))} texts in {number(n_posts)} posts; "
        f"{number(len(found.hashtags))} hashtags, {number(n_tags)} of them change verdict; "
        f"{number(len(found.clusters))} clusters, {number(n_clusters)} of them"
    )
    texts = [
        Column("post", lambda row: f"{row['platform']}:{row['root_id']}"),
        Column("posts", lambda row: number(row["posts"]), is_number=True),
        Column("verdict", _moves),
        Column(
            "score", lambda row: f"{percent(row['score_before'])} → {percent(row['score_after'])}"
        ),
        Column("text", lambda row: shorten(row["text"], 50)),
    ]
    hashtags = [
        Column("hashtag", lambda row: shorten(show_topic(row["hashtag"]), 24)),
        Column("posts changed", lambda row: number(row["posts_changed"]), is_number=True),
        *_CHANGES,
    ]
    clusters = [
        Column("hashtag", lambda row: shorten(show_topic(row["hashtag"]), 24)),
        Column("window (UTC)", lambda row: minute(row["window_start"])),
        Column("by", lambda row: row["algorithm"]),
        Column("lineage", lambda row: row["lineage"] or "–"),
        Column("accounts", lambda row: number(row["n_users"]), is_number=True),
        Column("shares changed", lambda row: number(row["shares_changed"]), is_number=True),
        *_CHANGES,
    ]
    told = plain(found)
    for title, columns in (("changed", texts), ("hashtags", hashtags), ("clusters", clusters)):
        rows = sorted(told[title], key=lambda row: not row.get("changes_verdict"))[:limit]
        heading = "Texts" if title == "changed" else title.capitalize()
        if rows:
            show_rows(rows, Output.table, columns, f"{heading} that change most", "")
