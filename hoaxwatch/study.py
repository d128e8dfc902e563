"""The tables of a daily study: posts found, detected, how right that was; pure.

As in section IV-G of Wang, Yin and Argyris (Detecting medical misinformation on social media using
multimodal deep learning, 2020): the same hashtags each day, posts in other languages removed,
precision and recall per day where people judged, their mean over days, and all days pooled.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from math import sqrt
from typing import Any

from markupsafe import Markup, escape

from graph.virality import Interval, wilson_interval
from hoaxwatch import pictures
from storage.errata import Erratum
from storage.study import StudyPost
from storage.tracking import CoveredBucket

#: Why a detector does not judge what is not in a language that it knows.
OTHER_LANGUAGE = "language"
Z_95 = 1.959963984540054


@dataclass(frozen=True, kw_only=True)
class Judge:
    """A detector that a study looks through."""

    name: str
    version: str
    threshold: float
    #: Scores closer to the threshold than this are unsure, so not judged, as in all other tables.
    abstain_band: float = 0.0

    def flags(self, score: float) -> bool | None:
        """Whether a score is a detection; None: unsure. Six decimals, as they are stored.

        >>> judge = Judge(name="bert", version="1", threshold=0.5, abstain_band=0.05)
        >>> [judge.flags(score) for score in (0.55, 0.5, 0.46, 0.45)]
        [True, None, None, False]
        """
        distance = round(score - self.threshold, 6)
        return None if abs(distance) < self.abstain_band else distance >= 0


@dataclass(frozen=True, kw_only=True)
class StudyDay:
    """A UTC day (None: all days together) through one detector. found = removed + judged +
    unjudged (unsure ones among these); labelled ones are of the judged."""

    day: datetime | None
    found: int
    removed: int
    judged: int
    unjudged: int
    detected: int
    labelled: int
    hits: int
    false_alarms: int
    misses: int
    #: The least share of the day that was collected of any hashtag; None: unknown.
    collected: float | None = None
    is_capped: bool = False

    @property
    def precision(self) -> Interval | None:
        """Of what was detected and labelled, the part that is false; Wilson's interval."""
        return wilson_interval(self.hits, self.hits + self.false_alarms)

    @property
    def recall(self) -> Interval | None:
        """Of what people call false, the part that was detected; Wilson's interval."""
        return wilson_interval(self.hits, self.hits + self.misses)


def count_days(
    posts: Sequence[StudyPost],
    since: datetime,
    until: datetime,
    judge: Judge,
    coverage: Sequence[CoveredBucket],
) -> list[StudyDay]:
    """One row per day from `since` to before `until`, days without a post included."""
    days = []
    day = since
    while day < until:
        of_day = [post for post in posts if post.day == day]
        covered = [row for row in coverage if row.bucket_start == day]
        days.append(_count(day, of_day, judge, covered))
        day += timedelta(days=1)
    return days


def _count(
    day: datetime, posts: Sequence[StudyPost], judge: Judge, covered: Sequence[CoveredBucket]
) -> StudyDay:
    removed = sum(post.reason == OTHER_LANGUAGE for post in posts)
    all_told = (
        (judge.flags(post.score), post.is_false) for post in posts if post.score is not None
    )
    told = [(flagged, is_false) for flagged, is_false in all_told if flagged is not None]
    return StudyDay(
        day=day,
        found=len(posts),
        removed=removed,
        judged=len(told),
        unjudged=len(posts) - removed - len(told),
        detected=sum(flagged for flagged, _ in told),
        labelled=sum(is_false is not None for _, is_false in told),
        hits=told.count((True, True)),
        false_alarms=told.count((True, False)),
        misses=told.count((False, True)),
        collected=min((row.share for row in covered), default=None),
        is_capped=any(row.is_capped for row in covered),
    )


def pool(days: Sequence[StudyDay]) -> StudyDay:
    """All days together."""
    names = [field.name for field in fields(StudyDay) if field.type == "int"]
    sums = {name: sum(getattr(day, name) for day in days) for name in names}
    return StudyDay(day=None, is_capped=any(day.is_capped for day in days), **sums)


def daily_mean(shares: Sequence[Interval | None]) -> Interval | None:
    """The mean of the daily values that exist, with mean +- z * s / sqrt(n); days are equal.

    None if there is no value; with one, its own interval.

    >>> half, whole = wilson_interval(1, 2), wilson_interval(2, 2)
    >>> [round(x, 3) for x in daily_mean([half, None, whole])]
    [0.75, 0.26, 1.0]
    """
    known = [share for share in shares if share is not None]
    if len(known) < 2:
        return known[0] if known else None
    mean = sum(share.estimate for share in known) / len(known)
    spread = sqrt(sum((s.estimate - mean) ** 2 for s in known) / (len(known) - 1))
    half = Z_95 * spread / sqrt(len(known))
    return Interval(mean, max(mean - half, 0.0), min(mean + half, 1.0))


COLUMNS = (
    *("day", "detector", "found", "removed_language", "judged", "unjudged", "detected"),
    *("labelled", "hits", "false_alarms", "misses"),
    *("precision", "precision_low", "precision_high", "recall", "recall_low", "recall_high"),
    *("collected", "is_capped"),
)


def rows_of(judge: str, days: Sequence[StudyDay]) -> list[list[Any]]:
    """The rows of the CSV: each day, then all days pooled. Unknown is empty."""
    rows = []
    for day in (*days, pool(days)):
        shares = [*(day.precision or (None,) * 3), *(day.recall or (None,) * 3)]
        rows.append(
            [
                f"{day.day:%Y-%m-%d}" if day.day else "all",
                *(judge, day.found, day.removed, day.judged, day.unjudged, day.detected),
                *(day.labelled, day.hits, day.false_alarms, day.misses),
                *("" if share is None else f"{share:.4f}" for share in shares),
                "" if day.collected is None else f"{day.collected:.4f}",
                str(day.is_capped).lower(),
            ]
        )
    return rows


def as_csv(tables: Mapping[str, Sequence[StudyDay]]) -> str:
    """All detectors one below the other."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for judge, days in tables.items():
        writer.writerows(rows_of(judge, days))
    return out.getvalue()


_HEADINGS = (
    *("day", "collected", "found", "other language", "detected", "of judged"),
    *("labelled", "precision", "recall"),
)


def _cells(day: StudyDay) -> list[str]:
    collected = "–" if day.collected is None else f"{int(100 * day.collected)} %"
    return [
        f"{day.day:%Y-%m-%d}" if day.day else "all days",
        (collected if day.day else "") + (" capped" if day.is_capped else ""),
        *(f"{day.found:,}", f"{day.removed:,}", f"{day.detected:,}", f"{day.judged:,}"),
        *(f"{day.labelled:,}", shown(day.precision), shown(day.recall)),
    ]


def shown(share: Interval | None) -> str:
    """A share with its interval in percent.

    >>> shown(wilson_interval(1, 2)), shown(None)
    ('50 % (9–91)', '–')
    """
    if share is None:
        return "–"
    return f"{100 * share.estimate:.0f} % ({100 * share.low:.0f}–{100 * share.high:.0f})"


def _summary(days: Sequence[StudyDay]) -> str:
    precision = daily_mean([day.precision for day in days])
    recall = daily_mean([day.recall for day in days])
    return f"Mean of the days: precision {shown(precision)}, recall {shown(recall)}."


_NOTES = (
    "Posts are counted on the day on which they were posted (UTC), shares are not. Precision and "
    "recall are over posts that people judged, with 95 % intervals: Wilson's for a day and for all "
    "days pooled, mean ± 1.96 s/√n over days. A day that was not collected whole, or was capped, "
    "has more posts than were found. A detection is a model's opinion."
)


def erratum_line(erratum: Erratum) -> str:
    """What was wrong, in one line that may be published."""
    words = " ".join(erratum.reason.split())
    return f"{erratum.reported_at:%Y-%m-%d}, {erratum.kind} {erratum.name}: {words}"


def as_markdown(
    title: str, tables: Mapping[str, Sequence[StudyDay]], errata: Sequence[Erratum] = ()
) -> str:
    """The report as Markdown. errata: what was flagged wrongly."""
    parts = [f"# {title}", _NOTES]
    for judge, days in tables.items():
        lines = ["| " + " | ".join(_HEADINGS) + " |", "|" + "---|" * len(_HEADINGS)]
        lines += ["| " + " | ".join(_cells(day)) + " |" for day in (*days, pool(days))]
        parts += [f"## {judge}", "\n".join(lines), _summary(days)]
    if errata:
        parts += ["## Errata", "\n".join(f"- {erratum_line(erratum)}" for erratum in errata)]
    return "\n\n".join(parts) + "\n"


_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;font-variant-numeric:tabular-nums}"
    "td,th{padding:.2rem .7rem;text-align:right;border-bottom:1px solid #8884}"
    "td:first-child,th:first-child{text-align:left}svg{width:100%;max-width:44rem}"
    ".posts{fill:#8886}.shares{fill:#c33}.base,.tick{stroke:#888;fill:none}"
    "text{font-size:8px;fill:currentColor}"
)


def as_html(
    title: str, tables: Mapping[str, Sequence[StudyDay]], errata: Sequence[Erratum] = ()
) -> str:
    """The report as one page: per detector a curve (found, and red detected) and the table; then
    what was flagged wrongly."""
    parts = [Markup("<h1>{}</h1><p>{}</p>").format(title, _NOTES)]
    for judge, days in tables.items():
        starts = [day.day for day in days if day.day is not None]
        curve = pictures.Curve(
            posts=[day.found for day in days],
            shares=[day.detected for day in days],
            ticks=pictures.day_ticks(starts),
            grain="day",
        )
        head = Markup("").join(Markup("<th>{}</th>").format(name) for name in _HEADINGS)
        body = Markup("").join(
            Markup("<tr>{}</tr>").format(
                Markup("").join(Markup("<td>{}</td>").format(cell) for cell in _cells(day))
            )
            for day in (*days, pool(days))
        )
        parts.append(
            Markup("<h2>{}</h2>{}<table><tr>{}</tr>{}</table><p>{}</p>").format(
                judge, pictures.draw_curve(curve), head, body, _summary(days)
            )
        )
    if errata:
        items = (Markup("<li>{}</li>").format(erratum_line(erratum)) for erratum in errata)
        parts.append(Markup("<h2>Errata</h2><ul>{}</ul>").format(Markup("").join(items)))
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n<body>"
        + "\n".join(parts)
        + "</body></html>\n"
    )
