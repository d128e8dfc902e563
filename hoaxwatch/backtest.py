"""Alerts over history: when each would have fired in event time, and how good that is where the
truth is known.

It is the same code that tells alerts day by day, over the same tables; only nothing is stored. A
stored window is what is known of it now: verdicts and posts that came late are in it, so a backtest
sees somewhat more than whoever watched at the time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from storage.database import Connection
from streams.alerts.policies import Policies
from streams.alerts.rules import fire, tell_episodes
from streams.alerts.telling import gather_facts, show_firings

CAMPAIGN, BURST = "campaign", "burst"
#: Rules whose alert about an organic burst is right: it is one. The others mean something planned.
RIGHT_ABOUT_BURSTS = {"hashtag_surge"}


@dataclass(frozen=True)
class Alerted:
    """An alert that would have been opened."""

    rule: str
    subject: str
    hashtag: str | None
    at: datetime
    until: datetime
    strength: float
    summary: str
    is_shadow: bool
    #: What it showed when it opened: platform:id of contents.
    posts: tuple[str, ...]


@dataclass(frozen=True)
class Planted:
    """An event that is known to have happened."""

    name: str
    kind: str
    starts_at: datetime
    posts: frozenset[str]
    #: Moments and how many posts came about at each, in order of time.
    growth: tuple[tuple[datetime, int], ...]

    def share_before(self, moment: datetime) -> float:
        """Which part of its final size it had before a moment: an upper bound, since what follows
        from a wave is counted at the wave's beginning."""
        size = sum(n for _, n in self.growth)
        return sum(n for at, n in self.growth if at < moment) / size if size else 0.0

    def half_at(self) -> datetime:
        """When it reached half of its final size."""
        return next(at for at, _ in self.growth if self.share_before(at + _TICK) >= 0.5)


_TICK = timedelta(microseconds=1)


@dataclass(frozen=True)
class Known:
    """What is known of a period: planted events, and which contents are false."""

    events: tuple[Planted, ...]
    #: platform:id -> whether it is likely false.
    is_false: Mapping[str, bool]


def replay(
    connection: Connection,
    policies: Policies,
    since: datetime | None = None,
    until: datetime | None = None,
) -> tuple[list[Alerted], tuple[datetime, datetime] | None]:
    """The alerts that open in a period, in order of time, and the period as far as there is data.

    What lies before the period is known to the rules, as it would have been."""
    facts = gather_facts(connection, policies, until)
    if facts.since is None or facts.until is None:
        return [], None
    episodes = tell_episodes(fire(facts, policies), policies, facts.until)
    wanted = [story for story in episodes if since is None or story.opened_at >= since]
    shown = show_firings(connection, [story.first for story in wanted])
    found = [
        Alerted(
            rule=story.rule,
            subject=story.subject,
            hashtag=story.hashtag,
            at=story.opened_at,
            until=story.last_at,
            strength=round(story.peak.strength, 3),
            summary=story.first.summary,
            is_shadow=story.is_shadow,
            posts=tuple(post for post, _, _ in of_story.posts),
        )
        for story, of_story in zip(wanted, shown, strict=True)
    ]
    return found, (max(since or facts.since, facts.since), facts.until)


def known_of(about: Any) -> Known:
    """What the truth file of the simulator says (`hoaxwatch.simulate.truth_file.Truth`)."""
    events = []
    if about.campaign is not None:
        waves = about.campaign["waves"]
        growth = tuple(
            (datetime.fromisoformat(w["starts_at"]), len(w["posts"]) + len(w["shares"]))
            for w in waves
        )
        posts = {f"x:{post}" for w in waves for post in (*w["posts"], *w["shares"])}
        events.append(
            Planted(about.campaign["hashtag"], CAMPAIGN, growth[0][0], frozenset(posts), growth)
        )
    for burst in about.sections["bursts"]:
        starts_at = datetime.fromisoformat(burst["starts_at"])
        posts = {f"x:{post}" for post in burst["posts"]}
        growth = ((starts_at, len(posts)),)
        events.append(Planted(burst["hashtag"], BURST, starts_at, frozenset(posts), growth))
    is_false = {
        f"{platform}:{root}": label == "likely_false"
        for (platform, root), label in about.labels.items()
    }
    return Known(tuple(events), is_false)


def event_of(alert: Alerted, known: Known) -> Planted | None:
    """The event that an alert is about: at least half of what it shows belongs to it."""
    for event in known.events:
        n_common = sum(post in event.posts for post in alert.posts)
        if alert.posts and 2 * n_common >= len(alert.posts):
            return event
    return None


def verdict_on(alert: Alerted, known: Known) -> str:
    """campaign, burst, spreads false posts, or false alarm.

    An emerging cluster that spreads mostly texts which are false is what the rule looks for, though
    nobody planted it as one; a surge or coordination outside planted events is a false alarm.
    """
    event = event_of(alert, known)
    if event is not None and (event.kind == CAMPAIGN or alert.rule in RIGHT_ABOUT_BURSTS):
        return event.kind
    n_false = sum(known.is_false.get(post, False) for post in alert.posts)
    if alert.rule == "emerging_fake_cluster" and 2 * n_false > len(alert.posts):
        return "spreads false posts"
    return "false alarm"


def judge_alerts(
    alerts: Sequence[Alerted], known: Known, period: tuple[datetime, datetime]
) -> dict[str, Any]:
    """Precision, false alarms a week and how early a campaign was alerted, as plain values.

    Strict precision: about planted events only. Calm: the part of the period before the campaign.
    """
    verdicts = [verdict_on(alert, known) for alert in alerts]
    by_rule: dict[str, Counter[str]] = {}
    for alert, verdict in zip(alerts, verdicts, strict=True):
        by_rule.setdefault(alert.rule, Counter())[verdict] += 1
    n_false = verdicts.count("false alarm")
    n_planted = sum(verdict in (CAMPAIGN, BURST) for verdict in verdicts)
    campaigns = [event for event in known.events if event.kind == CAMPAIGN]
    begins = min([event.starts_at for event in campaigns] + [period[1]])
    calm_until = max(begins, period[0])
    in_calm = [v for a, v in zip(alerts, verdicts, strict=True) if a.at < calm_until]
    n_calm_false = in_calm.count("false alarm")
    return {
        "days": _days(*period),
        "alerts": len(alerts),
        "alerts_a_day": _ratio(len(alerts), _days(*period)),
        "by_rule": {rule: dict(sorted(counts.items())) for rule, counts in sorted(by_rule.items())},
        "precision": _ratio(len(alerts) - n_false, len(alerts)),
        "strict_precision": _ratio(n_planted, len(alerts)),
        "false_a_week": _ratio(7 * n_false, _days(*period)),
        "calm_days": _days(period[0], calm_until),
        "calm_false_a_week": _ratio(7 * n_calm_false, _days(period[0], calm_until)),
        "campaigns": [_reached(event, alerts, known) for event in campaigns],
    }


def _reached(event: Planted, alerts: Sequence[Alerted], known: Known) -> dict[str, Any]:
    """When each rule told of it first."""
    first: dict[str, Alerted] = {}
    for alert in alerts:
        if event_of(alert, known) is event:
            first.setdefault(alert.rule, alert)
    half_at = event.half_at()
    return {
        "hashtag": event.name,
        "starts_at": event.starts_at,
        "half_at": half_at,
        "posts": sum(n for _, n in event.growth),
        "first": {
            rule: {
                "at": alert.at,
                "hours_after_start": round((alert.at - event.starts_at).total_seconds() / 3600, 1),
                "hours_before_half": round((half_at - alert.at).total_seconds() / 3600, 1),
                "share_of_final_size": round(event.share_before(alert.at), 3),
            }
            for rule, alert in sorted(first.items())
        },
    }


def _days(since: datetime, until: datetime) -> float:
    return round((until - since).total_seconds() / 86_400, 2)


def _ratio(part: float, whole: float) -> float | None:
    """None where nothing can be said."""
    return round(part / whole, 3) if whole > 0 else None
