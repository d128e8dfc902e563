"""Tells the stories of alerts anew from what the tables say, in one transaction.

Like every table of hoaxwatch that is derived, alerts are not kept by adding: a sweep works out from
clusters, trends and links which stories there are, and stores them under rule and subject. Done
twice, after a kill, or by two workers at once, it leaves the same rows; what people decided and
what was sent is beside it and stays.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from graph.bursts import HourCount
from storage import alerts
from storage.alerts import AlertLine, ClusterFact, Shown, StoredAlert
from storage.bursts import read_covered, read_hours
from storage.database import Connection, Cursor
from streams.alerts.policies import Policies
from streams.alerts.rules import (
    Facts,
    Firing,
    MachineFacts,
    Story,
    ends_when,
    fire,
    tell_stories,
    watch_machinery,
)
from streams.faults import fail_point

#: How many posts and accounts an alert shows.
N_POSTS, N_ACCOUNTS = 5, 10


@dataclass(frozen=True)
class Told:
    """What a sweep found: how many alerts there are of which kind."""

    n_stories: int = 0
    n_going_on: int = 0


def sweep(
    connection: Connection,
    policies: Policies,
    now: datetime,
    *,
    sinks: Collection[str] | None = None,
) -> Told:
    """Brings table `alerts` up to date, in one transaction.

    sinks: where alerts go. If they are named, it also looks at the machinery, them included, which
    only whoever works day and night should.
    """

    def tell_all(cursor: Cursor) -> list[Story]:
        stories = tell(connection, cursor, policies, now)
        if sinks is not None:
            watch(connection, cursor, policies, now, sinks)
        fail_point("alert.before_telling")
        return stories

    stories = alerts.in_one_sweep(connection, tell_all)
    fail_point("alert.after_telling")
    return Told(len(stories), sum(story.over_at is None for story in stories))


def gather_facts(
    connection: Connection, policies: Policies, until: datetime | None = None
) -> Facts:
    """What rules about posts may look at, up to the last whole hour before a moment, or of all."""
    lookback = timedelta(days=policies.sending.lookback_days)
    since, newest = alerts.read_span(connection, lookback)
    if since is None or newest is None:
        return Facts(since=None, until=None)
    if until is not None:
        newest = min(newest, until.replace(minute=0, second=0, microsecond=0))
    until = newest
    emerging, coordinated = policies.emerging_fake_cluster, policies.coordinated_burst
    clusters: Sequence[ClusterFact] = ()
    if emerging.enabled or coordinated.enabled:
        clusters = alerts.read_cluster_facts(
            connection, since, until, emerging.min_score, coordinated.min_accounts
        )
    hours: Sequence[HourCount] = ()
    if policies.hashtag_surge.enabled:
        hours = read_hours(connection, policies.hashtag_surge.min_posts, since, until)
    return Facts(
        since=since,
        until=until,
        clusters=clusters,
        hours=hours,
        covered=read_covered(connection, sorted({hour.hashtag for hour in hours})) if hours else {},
        links=alerts.read_link_facts(
            *(connection, since, until),
            timedelta(minutes=coordinated.within_minutes),
            coordinated.min_accounts,
        )
        if coordinated.enabled
        else (),
    )


def tell(connection: Connection, cursor: Cursor, policies: Policies, now: datetime) -> list[Story]:
    """The stories about what was posted, stored."""
    # posts may be dated ahead, by a day: what they say is told when its time has come
    facts = gather_facts(connection, policies, until=now)
    stored = alerts.read_stored(cursor, policies.TOLD)
    if facts.since is None or facts.until is None:
        alerts.age_alerts(cursor, [row.alert_id for row in stored])
        return []
    stories = tell_stories(fire(facts, policies), policies, facts.until)
    lines = write_lines(connection, stories, policies)
    names = {(line.rule, line.subject) for line in lines}
    gone = [row for row in stored if (row.rule, row.subject) not in names]
    recent = [row for row in gone if row.last_at > facts.since]
    alerts.age_alerts(cursor, [row.alert_id for row in gone if row.last_at <= facts.since])
    known = {(row.rule, row.subject) for row in stored}
    new = [line for line in lines if (line.rule, line.subject) not in known]
    renamed = match_renamed(recent, new)
    for row, line in renamed:
        alerts.rename_alert(cursor, row.alert_id, line.subject)
    still = {row.alert_id for row, _ in renamed}
    alerts.withdraw_alerts(cursor, [r.alert_id for r in recent if r.alert_id not in still])
    alerts.tell_alerts(cursor, lines, now)
    return stories


def match_renamed(
    gone: Sequence[StoredAlert], new: Sequence[AlertLine]
) -> list[tuple[StoredAlert, AlertLine]]:
    """Alerts that go on under another name: posts that came late changed their lineage's.

    Same rule, same hashtag, and half of the accounts of the one that shows fewer are in both. Each
    is matched once, the greatest overlap first.
    """
    pairs = []
    for row in gone:
        for line in new:
            ours, theirs = set(row.accounts), set(line.evidence["accounts"])
            common = len(ours & theirs)
            is_near = (row.rule, row.hashtag) == (line.rule, line.hashtag) and common > 0
            if is_near and 2 * common >= min(len(ours), len(theirs)):
                pairs.append((-common, row.subject, line.subject, row, line))
    matched: list[tuple[StoredAlert, AlertLine]] = []
    used: set[str] = set()
    for *_, row, line in sorted(pairs, key=lambda pair: pair[:3]):
        if not used & {f"{row.rule} {row.subject}", f"{line.rule} {line.subject}"}:
            used |= {f"{row.rule} {row.subject}", f"{line.rule} {line.subject}"}
            matched.append((row, line))
    return matched


def write_lines(
    connection: Connection, stories: Sequence[Story], policies: Policies
) -> list[AlertLine]:
    """The stories with their evidence: posts and accounts of the last firing."""
    shown = show_firings(connection, [story.last for story in stories])
    return [
        AlertLine(
            rule=story.rule,
            subject=story.subject,
            hashtag=story.hashtag,
            summary=story.last.summary,
            evidence=evidence_of(story, of_story, policies),
            strength=round(story.peak.strength, 6),
            opened_at=story.opened_at,
            last_at=story.last_at,
            over_at=story.over_at,
            n_episodes=story.n_episodes,
            is_shadow=story.is_shadow,
        )
        for story, of_story in zip(stories, shown, strict=True)
    ]


def show_firings(connection: Connection, firings: Sequence[Firing]) -> list[Shown]:
    """The posts and accounts of each firing: what its cluster or hour has most of."""
    clusters = sorted({f.cluster for f in firings if f.cluster is not None})
    hours = sorted({(f.hashtag or "", f.hour) for f in firings if f.hour is not None})
    of_clusters = alerts.read_cluster_evidence(connection, clusters, N_POSTS, N_ACCOUNTS)
    of_hours = alerts.read_hour_evidence(connection, hours, N_POSTS, N_ACCOUNTS)
    return [
        of_clusters[f.cluster]
        if f.cluster is not None
        else of_hours[f.hashtag or "", f.hour]
        if f.hour is not None
        else Shown([(post, 1, None) for post in f.posts[:N_POSTS]], [*f.accounts[:N_ACCOUNTS]])
        for f in firings
    ]


def evidence_of(story: Story, shown: Shown, policies: Policies) -> dict[str, Any]:
    """When it began, how it grew, why it fires now, what would end it, posts and accounts by id."""
    return {
        "measure": next(iter(story.last.measures)),
        "began_at": story.opened_at.isoformat(),
        "at_first": dict(story.first.measures),
        "now": dict(story.last.measures),
        "greatest": dict(story.peak.measures),
        "greatest_at": story.peak.at.isoformat(),
        "why_now": story.last.summary,
        "ends": ends_when(policies.of(story.rule)),
        "posts": [
            {"post": post, "times": n} | ({} if p is None else {"probability": p})
            for post, n, p in shown.posts
        ],
        "accounts": shown.accounts,
    }


def watch(
    connection: Connection,
    cursor: Cursor,
    policies: Policies,
    now: datetime,
    sinks: Collection[str],
) -> None:
    """The stories about the machinery, stored: each goes on from what is stored of it."""
    since = now - timedelta(minutes=policies.quarantine_rate.within_minutes)
    arrived = alerts.read_arrived(connection, since)
    facts = MachineFacts(
        now=now,
        newest_at=arrived.newest_at,
        n_received=arrived.n_received,
        n_quarantined=arrived.n_quarantined,
        sinks=[fact for fact in alerts.read_failing_sinks(connection, now) if fact.sink in sinks],
    )
    stored = {(row.rule, row.subject): row for row in alerts.read_stored(cursor, policies.WATCHED)}
    firings = watch_machinery(facts, policies)
    lines = [go_on(stored.get((f.rule, f.subject)), f, policies) for f in firings]
    alerts.tell_alerts(cursor, lines, now)
    for rule in policies.WATCHED:
        alerts.end_alerts(cursor, rule, timedelta(hours=policies.of(rule).over_hours), now)


def go_on(stored: StoredAlert | None, firing: Firing, policies: Policies) -> AlertLine:
    """A story about the machinery with one more firing: of the same episode if it is soon after."""
    policy = policies.of(firing.rule)
    gap = timedelta(hours=policy.gap_hours)
    is_same = stored is not None and firing.at - stored.last_at <= gap
    opened_at = stored.opened_at if stored is not None and is_same else firing.at
    measures: Mapping[str, Any] = firing.measures
    return AlertLine(
        rule=firing.rule,
        subject=firing.subject,
        hashtag=None,
        summary=firing.summary,
        evidence={
            "measure": next(iter(measures)),
            "began_at": opened_at.isoformat(),
            "now": dict(measures),
            "why_now": firing.summary,
            "ends": ends_when(policy),
        },
        strength=round(firing.strength, 6),
        opened_at=opened_at,
        last_at=firing.at,
        over_at=None,
        n_episodes=1 if stored is None else stored.n_episodes + (not is_same),
        is_shadow=policy.shadow,
    )
