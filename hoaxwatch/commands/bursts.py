"""`hoaxwatch bursts`: hours in which a hashtag was used far more than is usual."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer

from graph.bursts import (
    BASELINE_WEEKS,
    BASES,
    BURST_FROM,
    HourCount,
    Pulled,
    acceleration,
    count_hours,
    coverage_or_full,
    score_bursts,
)
from graph.followed import show_topic
from hoaxwatch.commands import options
from hoaxwatch.commands.options import connected, parse_span, settings_of
from hoaxwatch.show import Column, minute, number, output_of, percent, shorten, show_rows
from storage.alerts import read_span
from storage.bursts import read_burst_facts, read_covered, read_hours

HOUR = timedelta(hours=1)
#: How far back is looked without --since, what an hour is compared with, and everything.
LOOKBACK, BASELINE, AGES = timedelta(days=90), timedelta(weeks=BASELINE_WEEKS), timedelta(9999)


class Burst(NamedTuple):
    """An hour of a hashtag against what is usual."""

    hashtag: str
    hour: datetime
    posts: int
    usual: float
    score: float
    #: Posts per hour more than in the hour before; None: that hour was not collected whole.
    change: float | None
    compared_with: str
    n_compared: int


def find_bursts(
    rows: list[HourCount],
    covered: Mapping[str, list[Pulled]],
    since: datetime,
    until: datetime,
    min_score: float,
    min_posts: int,
) -> Iterator[Burst]:
    """The hours that stand out, of each hashtag; `since` and `until` are whole hours."""
    first_hour = int(since.timestamp()) // 3600
    for hashtag, counts in count_hours(rows, since, until):
        coverage = coverage_or_full(covered.get(hashtag), first_hour, len(counts))
        found = score_bursts(counts, first_hour, coverage, scored_from=min_score)
        change = acceleration(counts, coverage)
        for place in np.flatnonzero((found.score >= min_score) & (counts >= min_posts)).tolist():
            yield Burst(
                hashtag,
                since + place * HOUR,
                int(counts[place]),
                float(found.usual[place]),
                round(float(found.score[place]), 3),
                None if np.isnan(change[place]) else float(change[place]),
                BASES[found.basis[place]],
                int(found.n_baseline[place]),
            )


def change_in_words(row: Mapping[str, Any]) -> str:
    """Posts per hour more than in the hour before; unknown is a dash, never 0.

    >>> change_in_words({"change": 7.0}), change_in_words({"change": None})
    ('+7', '–')
    """
    return "–" if row["change"] is None else f"{row['change']:+.0f}"


def bursts(
    hashtag: Annotated[
        str | None,
        typer.Option("--hashtag", "-t", help="Of this hashtag; default: of all."),
    ] = None,
    min_score: Annotated[
        float, typer.Option("--min-score", help="Standard deviations above what is usual.")
    ] = BURST_FROM,
    min_posts: Annotated[
        int, typer.Option("--min-posts", min=1, help="Least posts in the hour.")
    ] = 10,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="Rows.")] = 20,
    since: options.Since = None,
    until: options.Until = None,
    project: options.Project = None,
    database: options.Database = None,
    as_json: options.Json = False,
    as_csv: options.Csv = False,
) -> None:
    """List hours in which a hashtag was used far more than is usual, loudest first.

    Usual is the median of the same hour of the same weekday in the eight weeks before, or of the
    same hour of any day while there are fewer than four of those; earlier bursts stay out of it.
    An hour that one post makes is told apart from one that many make: `largest` is the share of the
    content with most posts. An hour that live sources collected in part, or up to a cap, is
    compared with none. The newest hour may still go on and is left out. Without --since it is
    the last 90 days.
    """
    settings = settings_of(project, database)
    tag = options.parse_topic(hashtag) if hashtag else None
    start, end = parse_span(since, until, settings.timezone)
    with connected(settings) as connection:
        first, newest = read_span(connection, AGES)
        rows = []
        if first is not None and newest is not None and newest > first:
            start = start or newest - LOOKBACK
            first = max(first, start.replace(minute=0, second=0, microsecond=0) - BASELINE)
            hours = read_hours(connection, min_posts, first, newest, tag)
            covered = read_covered(connection, sorted({row.hashtag for row in hours}))
            found = [
                burst
                for burst in find_bursts(hours, covered, first, newest, min_score, min_posts)
                if burst.hour >= start and (end is None or burst.hour < end)
            ]
            loudest = sorted(found, key=lambda b: (-b.score, b.hashtag, b.hour))[:limit]
            for burst in loudest:
                facts = read_burst_facts(connection, burst.hashtag, burst.hour, burst.hour + HOUR)
                rows.append(
                    burst._asdict()
                    | facts._asdict()
                    | {"largest": round(facts.root_posts / burst.posts, 6)}
                )
    columns = [
        Column("hour (UTC)", lambda row: minute(row["hour"])),
        Column("hashtag", lambda row: shorten(show_topic(row["hashtag"]), 24)),
        Column("posts", lambda row: number(row["posts"]), is_number=True),
        Column("usual", lambda row: f"{row['usual']:g}", is_number=True),
        Column("score", lambda row: f"{row['score']:.1f}", is_number=True),
        Column("change", change_in_words, is_number=True),
        Column("compared with", lambda row: f"{row['n_compared']} x {row['compared_with']}"),
        Column("accounts", lambda row: number(row["accounts"]), is_number=True),
        Column("largest", lambda row: percent(row["largest"]), is_number=True),
        Column("reach", lambda row: number(row["reach"]), is_number=True),
    ]
    empty = "no hour stands out: a baseline needs four days at least, and see --min-posts"
    show_rows(rows, output_of(as_json, as_csv), columns, "Hours far above what is usual", empty)
