"""The report as HTML: what was read becomes one page. Pure but for `write_report`."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import psycopg

from graph.followed import show_topic
from hoaxwatch import pictures
from hoaxwatch.evidence import Evidence
from hoaxwatch.report.facts import N_USERS, ReportData, read_report_data

#: Shown where nothing is known. Never 0, which would be a number.
UNKNOWN = "–"

#: What becomes of a record, in the order in which it is told.
OUTCOMES = {
    "new": "posts that were not known before",
    "updated": "known posts with something newer",
    "unchanged": "met again, nothing new",
    "deletion applied": "deletion notices, applied",
    "not a post": "understood, but no post",
    "expired": "posts that were deleted before or are older than what is kept",
    "quarantined": "could not be understood; kept with the reason",
}


def build_report(
    connection: psycopg.Connection,
    *,
    title: str,
    now: datetime,
    since: datetime | None = None,
    until: datetime | None = None,
    hashtag: str | None = None,
    seed: int = 1,
    explain: Callable[[Mapping[str, Any]], Evidence] | None = None,
) -> str:
    """The report of a project as one HTML text. Parameters: see `read_report_data`.

    explain: gives the evidence of a post that is shown; default: what is stored.
    """
    data = read_report_data(
        connection, title=title, now=now, since=since, until=until, hashtag=hashtag, seed=seed
    )
    if explain is not None:
        data = replace(data, posts=[{**post, "evidence": explain(post)} for post in data.posts])
    return render_report(data)


def write_report(path: Path, html: str) -> None:
    """Writes the page so that `path` is never half of it: the old file stays until all is written.

    Raises OSError.
    """
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as stream:
            stream.write(html)
        mask = os.umask(0)
        os.umask(mask)
        Path(name).chmod(0o666 & ~mask)  # mkstemp's files are for their owner alone
        Path(name).replace(path)
    except BaseException:
        with suppress(FileNotFoundError):
            Path(name).unlink()
        raise


def render_report(data: ReportData) -> str:
    """The page that says this. Same data, same text."""
    users = pictures.plan_users(data.links, data.names, limit=N_USERS, seed=data.seed)
    tags = pictures.plan_tags(data.tags, data.pairs, data.display, seed=data.seed)
    return _template().render(
        data=data,
        users=users,
        users_by_community=pictures.draw_users(users, "community"),
        users_by_share=pictures.draw_users(users, "share"),
        groups=_groups(users),
        tags=tags,
        tags_drawn=pictures.draw_tags(tags),
        curves={row.hashtag: pictures.draw_curve(_curve(data, row.hashtag)) for row in data.rising},
        n_outside=sum(row.posts for row in data.rising)
        - sum(bucket.posts for trend in data.trends.values() for bucket in trend),
        judgement=judgement(data.verdict_states),
        manifest=data.run["manifest"] if data.run else {},
        outcomes=OUTCOMES,
        smallest_group=pictures.SMALLEST_GROUP,
        levels=[f"level{i}" for i in range(pictures.N_LEVELS)],
    )


def judgement(states: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Posts by what is thought of them, in the order of the bar. They sum to all posts.

    >>> judgement([{"state": "scored", "posts": 5, "judged_posts": 5, "likely_false_posts": 2},
    ...            {"state": "pending", "posts": 1, "judged_posts": 0, "likely_false_posts": 0}])
    {'likely false': 2, 'not likely false': 3, 'unsure': 0, 'abstained': 0, 'pending': 1}
    """
    counts = dict.fromkeys(
        ("likely false", "not likely false", "unsure", "abstained", "pending"), 0
    )
    for state in states:
        counts["likely false"] += state["likely_false_posts"]
        counts["not likely false"] += state["judged_posts"] - state["likely_false_posts"]
        rest = "unsure" if state["state"] in ("scored", "labelled") else state["state"]
        counts[rest] += state["posts"] - state["judged_posts"]
    return counts


def _curve(data: ReportData, hashtag: str) -> pictures.Curve:
    starts = []
    step = timedelta(hours=1) if data.grain == "hour" else timedelta(days=1)
    if data.curve_start and data.curve_end:
        n = (data.curve_end - data.curve_start) // step
        starts = [data.curve_start + i * step for i in range(n)]
    buckets = {row.bucket_start: row for row in data.trends.get(hashtag, ())}
    found = [buckets.get(start) for start in starts]
    return pictures.Curve(
        posts=[row.posts if row else 0 for row in found],
        shares=[row.shares if row else 0 for row in found],
        ticks=pictures.day_ticks(starts),
        grain=data.grain,
    )


def _groups(users: pictures.UserPicture) -> list[dict[str, Any]]:
    """The legend of the coloured communities: how large, and who is shared most in it."""
    groups = []
    for number, size in enumerate(users.community_sizes[: pictures.N_COLOURED]):
        inside = [i for i in range(len(users.users)) if users.community[i] == number]
        most = max(inside, key=lambda i: (int(users.times_shared[i]), -i), default=None)
        groups.append(
            {
                "colour": pictures.community_class(number),
                "size": size,
                "name": None if most is None else users.names[most],
            }
        )
    return groups


# How things are written


def number(value: float | None) -> str:
    """A count with separators, or UNKNOWN.

    >>> number(14334), number(None), number(0)
    ('14,334', '–', '0')
    """
    return UNKNOWN if value is None else f"{value:,.0f}"


def percent(share: float | None) -> str:
    """A share in percent, or UNKNOWN.

    >>> percent(0.3867), percent(None), percent(0), percent(1), percent(0.0001)
    ('38.7 %', '–', '0 %', '100 %', '<0.1 %')
    """
    if share is None:
        return UNKNOWN
    if share in (0, 1):
        return f"{share:.0%}".replace("%", " %")
    return "<0.1 %" if share < 0.001 else ">99.9 %" if share > 0.999 else f"{100 * share:.1f} %"


def interval(low: float | None, high: float | None) -> str:
    """An interval in percent.

    >>> interval(0.3512, 0.4), interval(None, None)
    ('35.1 to 40.0 %', '–')
    """
    return UNKNOWN if low is None or high is None else f"{100 * low:.1f} to {100 * high:.1f} %"


def minute(at: datetime | None) -> str:
    """A time to the minute, UTC.

    >>> minute(datetime(2023, 4, 28, 21, 41, tzinfo=UTC))
    '2023-04-28 21:41'
    """
    return UNKNOWN if at is None else at.astimezone(UTC).strftime("%Y-%m-%d %H:%M")


def day(at: datetime | None) -> str:
    """A UTC day.

    >>> day(datetime(2023, 4, 28, 21, 41, tzinfo=UTC)), day(None)
    ('2023-04-28', '–')
    """
    return UNKNOWN if at is None else at.astimezone(UTC).strftime("%Y-%m-%d")


def words(name: str | None) -> str:
    """A name of ours as words.

    >>> words("too_short"), words(None)
    ('too short', '–')
    """
    return UNKNOWN if name is None else name.replace("_", " ")


def _evidence(found: Sequence[Sequence[Any]] | None) -> list[tuple[str, float]]:
    """The features that weighed most, greatest first."""
    pairs = [(str(feature), float(weight)) for feature, weight in found or ()]
    return sorted(pairs, key=lambda pair: -abs(pair[1]))[:5]


@cache
def _template() -> jinja2.Template:
    folder = files("hoaxwatch.report")
    sources = {name: (folder / name).read_text("utf-8") for name in ("page.html.jinja", "page.css")}
    environment = jinja2.Environment(
        loader=jinja2.DictLoader(sources),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= FILTERS
    environment.globals |= {"interval": interval, "show_topic": show_topic}
    return environment.get_template("page.html.jinja")


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False, sort_keys=True)


#: How templates write things.
FILTERS: dict[str, Callable[..., Any]] = {
    "number": number,
    "percent": percent,
    "minute": minute,
    "day": day,
    "words": words,
    "evidence": _evidence,
    "pretty": _pretty,
}
