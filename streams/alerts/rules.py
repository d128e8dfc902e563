"""When an alert fires: pure functions from facts of the tables to firings, and from firings to
stories. No clock, no database.

A firing says: at this moment of event time this rule held about this subject. A story is what is
told of one subject: firings that follow each other closely are one episode, and the latest episode
is what the alert shows. Facts come in any order; firings depend on them alone.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import groupby, pairwise
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from graph.bursts import (
    BASES,
    Bursts,
    Coverage,
    HourCount,
    Pulled,
    count_hours,
    coverage_or_full,
    score_bursts,
)
from graph.followed import show_topic
from storage.alerts import ClusterFact, LinkFact, SinkFact
from streams.alerts.policies import (
    ArrivalPolicy,
    CoordinationPolicy,
    EmergingPolicy,
    Policies,
    QuarantinePolicy,
    RulePolicy,
    SinkPolicy,
    SurgePolicy,
)

HOUR = timedelta(hours=1)

# Facts


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What the tables say up to a moment, in event time."""

    #: The end of the newest whole hour: nothing later is looked at. None: nothing is there.
    until: datetime | None
    #: The first hour there is.
    since: datetime | None
    clusters: Sequence[ClusterFact] = ()
    #: Of each hashtag with one busy hour, all hours.
    hours: Sequence[HourCount] = ()
    #: Of which times live sources gave a hashtag; of those that are not in it, of all.
    covered: Mapping[str, Sequence[Pulled]] = field(default_factory=dict)
    links: Sequence[LinkFact] = ()


@dataclass(frozen=True, kw_only=True)
class MachineFacts:
    """What there is to know about the machinery, at a moment of wall-clock time."""

    now: datetime
    #: When the newest record came; None: none ever did.
    newest_at: datetime | None
    #: Records that came and that were put aside in the last while.
    n_received: int
    n_quarantined: int
    sinks: Sequence[SinkFact] = ()


# Firings


@dataclass(frozen=True, kw_only=True)
class Firing:
    """A rule held about a subject."""

    rule: str
    subject: str
    hashtag: str | None
    at: datetime
    #: What is measured, in the unit that `measures` names first.
    strength: float
    summary: str
    measures: Mapping[str, Any]
    #: Where its posts and accounts are found: (clustering, cluster), or an hour of the hashtag.
    cluster: tuple[int, int] | None = None
    hour: datetime | None = None
    #: Posts and accounts that the rule itself knows.
    posts: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()


def emerging_fake_clusters(clusters: Iterable[ClusterFact], policy: EmergingPolicy) -> list[Firing]:
    """A lineage whose emerging score reached the threshold, known when its window ended."""
    return [
        Firing(
            rule="emerging_fake_cluster",
            subject=f"lineage:{c.lineage}",
            hashtag=c.hashtag,
            at=c.window_end,
            strength=c.emerging,
            summary=f"{show_topic(c.hashtag)}: a cluster of {c.n_users} accounts "
            f"({c.n_before or 0} before) spreads what is likely false "
            f"(at least {100 * (c.expected_low or 0):.0f} %)",
            measures={
                "emerging": c.emerging,
                "accounts": c.n_users,
                "accounts_before": c.n_before,
                "growth": c.growth,
                "likely_false_from": c.expected_low,
                "likely_false": c.expected_share,
                "judged": c.judged,
                "contents": c.n_contents,
                "stability": c.stability,
                "coordinated_accounts": c.n_coordinated,
            },
            cluster=(c.clustering_id, c.cluster),
        )
        for c in clusters
        if c.emerging is not None
        and c.emerging >= policy.min_score
        and c.n_users >= policy.min_users
        and c.n_contents >= policy.min_contents
        and c.judged >= policy.min_judged
    ]


def hashtag_surges(facts: Facts, policy: SurgePolicy) -> list[Firing]:
    """Hours in which a hashtag was used far more than is usual (`graph.bursts.score_bursts`).

    Everything counts as collected from the first hour there is; hours without a row had no post.
    Hours that live sources did not give whole are compared with none: that a hashtag is tracked
    since yesterday is no surge. Known when the hour ended.
    """
    if facts.since is None or facts.until is None:
        return []
    if facts.until - facts.since < HOUR:
        return []
    first_hour = int(facts.since.timestamp()) // 3600
    found = []
    for hashtag, counts in count_hours(facts.hours, facts.since, facts.until):
        if counts.max() < policy.min_posts:
            continue
        coverage = coverage_or_full(facts.covered.get(hashtag), first_hour, len(counts))
        bursts = _score(
            *(counts.tobytes(), first_hour),
            *(coverage.collected.tobytes(), coverage.is_capped.tobytes()),
            policy.min_score,
        )
        loud = (bursts.score >= policy.min_score) & (counts >= policy.min_posts)
        for place in np.flatnonzero(loud).tolist():
            hour, score = facts.since + place * HOUR, round(float(bursts.score[place]), 3)
            n, usual = int(counts[place]), float(bursts.usual[place])
            found.append(
                Firing(
                    rule="hashtag_surge",
                    subject=f"tag:{hashtag}",
                    hashtag=hashtag,
                    at=hour + HOUR,
                    strength=score,
                    summary=f"{show_topic(hashtag)}: {n} posts in an hour, usual are {usual:g}",
                    measures={
                        "burst_score": score,
                        "posts": n,
                        "usual_posts": usual,
                        "compared_with": BASES[bursts.basis[place]],
                        "compared_hours": int(bursts.n_baseline[place]),
                    },
                    hour=hour,
                )
            )
    return found


@lru_cache(maxsize=1000)  # between two sweeps most whole hours are the same: 1 ms an hour saved
def _score(
    counts: bytes, first_hour: int, collected: bytes, is_capped: bytes, scored_from: float
) -> Bursts:
    hourly = np.frombuffer(counts)
    coverage = Coverage(
        collected=np.frombuffer(collected),
        is_capped=np.frombuffer(is_capped, dtype=bool),
        query=np.zeros(len(hourly), dtype=np.int64),
    )
    return score_bursts(hourly, first_hour, coverage, scored_from=scored_from)


@dataclass(frozen=True)
class _Burst:
    link: str
    posts: tuple[LinkFact, ...]

    @property
    def end(self) -> datetime:
        return self.posts[-1].posted_at

    @property
    def accounts(self) -> frozenset[str]:
        return frozenset(fact.account for fact in self.posts)


def coordinated_bursts(facts: Facts, policy: CoordinationPolicy) -> list[Firing]:
    """Accounts that post the same link within minutes, again and again; known when they did.

    A burst is at least `min_accounts` accounts with one link within `within_minutes`. It fires when
    that many of its accounts were in `min_bursts` bursts, itself included, of the last
    `memory_hours`, of whatever links. News agencies' customers and fans do so too: the alert says
    that something was arranged, not that it is false. A cluster whose coordinated sharers
    (`graph.coordination`) are as many fires too.
    """
    found = [_of_sharers(c) for c in facts.clusters if c.n_coordinated >= policy.min_accounts]
    memory = timedelta(hours=policy.memory_hours)
    bursts = sorted(_link_bursts(facts.links, policy), key=lambda b: (b.end, b.link))
    recent: deque[_Burst] = deque()
    times: Counter[str] = Counter()  # how many of them an account was in
    for burst in bursts:
        if facts.until is None or burst.end >= facts.until:
            break
        recent.append(burst)
        times.update(burst.accounts)
        while recent[0].end <= burst.end - memory:
            times.subtract(recent.popleft().accounts)
        again = {account for account in burst.accounts if times[account] >= policy.min_bursts}
        if len(again) >= policy.min_accounts:
            found.append(_of_posters(burst, sorted(again, key=lambda a: (-times[a], a)), times))
    return found


def _of_posters(burst: _Burst, again: Sequence[str], times: Mapping[str, int]) -> Firing:
    tags = Counter(tag for fact in burst.posts for tag in fact.hashtags)
    # the most frequent, of equals the first: the same whatever the order
    hashtag = min(tags, key=lambda tag: (-tags[tag], tag)) if tags else None
    site = urlsplit(burst.link).hostname or "unknown"
    seconds = (burst.end - burst.posts[0].posted_at).total_seconds()
    about = show_topic(hashtag) if hashtag else site
    return Firing(
        rule="coordinated_burst",
        subject=f"tag:{hashtag}" if hashtag else f"site:{site}",
        hashtag=hashtag,
        at=burst.end,
        strength=len(again),
        summary=f"{about}: {len(again)} accounts posted the same link within {seconds:.0f} s, "
        f"as they did up to {max(times[a] for a in again)} times lately",
        measures={
            "accounts": len(again),
            "posts": len(burst.posts),
            "seconds": round(seconds),
            "most_bursts_of_one_account": max(times[a] for a in again),
            "site": site,
        },
        posts=tuple(dict.fromkeys(fact.post for fact in burst.posts)),
        accounts=tuple(again),
    )


def _of_sharers(cluster: ClusterFact) -> Firing:
    return Firing(
        rule="coordinated_burst",
        subject=f"lineage:{cluster.lineage}",
        hashtag=cluster.hashtag,
        at=cluster.window_end,
        strength=cluster.n_coordinated,
        summary=f"{show_topic(cluster.hashtag)}: {cluster.n_coordinated} of {cluster.n_users} "
        "accounts of a cluster share the same within a minute more than chance explains",
        measures={"accounts": cluster.n_coordinated, "accounts_of_cluster": cluster.n_users},
        cluster=(cluster.clustering_id, cluster.cluster),
    )


def _link_bursts(links: Iterable[LinkFact], policy: CoordinationPolicy) -> Iterable[_Burst]:
    """Bursts of each link: the first that begins, then the first that begins after it ends."""
    width = timedelta(minutes=policy.within_minutes)
    ordered = sorted(links, key=lambda f: (f.link, f.posted_at, f.account, f.post))
    for link, group in groupby(ordered, key=lambda f: f.link):
        posts = list(group)
        first = 0
        while first < len(posts):
            after = first
            while after < len(posts) and posts[after].posted_at <= posts[first].posted_at + width:
                after += 1
            burst = _Burst(link, tuple(posts[first:after]))
            if len(burst.accounts) >= policy.min_accounts:
                yield burst
                first = after
            else:
                first += 1


def watch_machinery(facts: MachineFacts, policies: Policies) -> list[Firing]:
    """What is wrong with the machinery now."""
    found = [
        *_arrivals(facts, policies.nothing_is_arriving),
        *_quarantine(facts, policies.quarantine_rate),
        *_sinks(facts, policies.sink_failing),
    ]
    return [firing for firing in found if policies.of(firing.rule).enabled]


def _arrivals(facts: MachineFacts, policy: ArrivalPolicy) -> Iterable[Firing]:
    if facts.newest_at is None:
        return  # a project that never had a record waits for its first
    minutes = (facts.now - facts.newest_at).total_seconds() / 60
    if minutes >= policy.quiet_minutes:
        yield _firing_now(
            *("nothing_is_arriving", "posts", facts.now, minutes),
            f"nothing is arriving: the newest record came {minutes:.0f} minutes ago",
            {"minutes": round(minutes), "newest_at": facts.newest_at.isoformat()},
        )


def _quarantine(facts: MachineFacts, policy: QuarantinePolicy) -> Iterable[Firing]:
    n_all = facts.n_received + facts.n_quarantined
    if facts.n_quarantined < policy.min_records or facts.n_quarantined <= policy.max_rate * n_all:
        return
    rate = facts.n_quarantined / n_all
    yield _firing_now(
        *("quarantine_rate", "posts", facts.now, rate),
        f"{100 * rate:.0f} % of the records of the last {policy.within_minutes:.0f} minutes could "
        "not be read: hoaxwatch quarantine list",
        {"rate": round(rate, 4), "quarantined": facts.n_quarantined, "records": n_all},
    )


def _sinks(facts: MachineFacts, policy: SinkPolicy) -> Iterable[Firing]:
    for name, group in groupby(sorted(facts.sinks, key=lambda s: s.sink), key=lambda s: s.sink):
        failing = list(group)
        worst = max(failing, key=lambda s: (s.tries, s.error))
        if worst.tries >= policy.min_tries:
            since = min(s.failing_since for s in failing)
            yield _firing_now(
                *("sink_failing", f"sink:{name}", facts.now, worst.tries),
                f"sink {name} takes no alerts since {since:%Y-%m-%d %H:%M} UTC: {worst.error}",
                {"tries": worst.tries, "waiting": len(failing), "since": since.isoformat()},
            )


def _firing_now(
    rule: str, subject: str, now: datetime, strength: float, summary: str, measures: dict[str, Any]
) -> Firing:
    return Firing(
        rule=rule,
        subject=subject,
        hashtag=None,
        at=now,
        strength=strength,
        summary=summary,
        measures=measures,
    )


# Stories


@dataclass(frozen=True, kw_only=True)
class Story:
    """The latest episode of what one rule says about one subject."""

    rule: str
    subject: str
    hashtag: str | None
    opened_at: datetime
    last_at: datetime
    #: None: goes on.
    over_at: datetime | None
    n_episodes: int
    is_shadow: bool
    #: The first firing of the episode, the strongest, and the last.
    first: Firing = field(repr=False)
    peak: Firing = field(repr=False)
    last: Firing = field(repr=False)


def fire(facts: Facts, policies: Policies) -> list[Firing]:
    """All firings about what was posted, of rules that are switched on, up to `facts.until`."""
    if facts.until is None:
        return []
    whole = [c for c in facts.clusters if c.window_end <= facts.until]
    known = replace(facts, clusters=whole)
    found: list[Firing] = []
    if policies.emerging_fake_cluster.enabled:
        found += emerging_fake_clusters(whole, policies.emerging_fake_cluster)
    if policies.hashtag_surge.enabled:
        found += hashtag_surges(known, policies.hashtag_surge)
    if policies.coordinated_burst.enabled:
        found += coordinated_bursts(known, policies.coordinated_burst)
    return found


def tell_stories(firings: Iterable[Firing], policies: Policies, until: datetime) -> list[Story]:
    """The story of each subject, as it stands at `until`, sorted by rule and subject.

    >>> at = datetime(2026, 3, 2)
    >>> fired = [Firing(rule="hashtag_surge", subject="tag:a", hashtag="a", at=at + n * HOUR,
    ...                 strength=n, summary="", measures={}) for n in (0, 3, 100)]
    >>> (story,) = tell_stories(fired, Policies(), at + 101 * HOUR)
    >>> story.n_episodes, story.opened_at == at + 100 * HOUR, story.over_at
    (2, True, None)
    >>> (story,) = tell_stories(fired[:2], Policies(), at + 99 * HOUR)
    >>> story.peak.strength, (story.over_at - at) / HOUR
    (3, 27.0)
    """
    latest = {
        (story.rule, story.subject): story for story in tell_episodes(firings, policies, until)
    }
    return [latest[name] for name in sorted(latest)]


def tell_episodes(firings: Iterable[Firing], policies: Policies, until: datetime) -> list[Story]:
    """The same of every episode, in order of time: what would have been sent, and when."""
    of_subject: dict[tuple[str, str], list[Firing]] = defaultdict(list)
    for firing in firings:
        of_subject[firing.rule, firing.subject].append(firing)
    episodes = [
        story
        for (rule, _), found in of_subject.items()
        for story in _episodes(sorted(found, key=_in_time), policies.of(rule), until)
    ]
    return sorted(episodes, key=lambda story: (story.opened_at, story.rule, story.subject))


def _in_time(firing: Firing) -> tuple[datetime, float, str, tuple[int, int]]:
    return firing.at, firing.strength, firing.summary, firing.cluster or (0, 0)


def _episodes(firings: Sequence[Firing], policy: RulePolicy, until: datetime) -> Iterable[Story]:
    gap, over = timedelta(hours=policy.gap_hours), timedelta(hours=policy.over_hours)
    starts = [0] + [n for n in range(1, len(firings)) if firings[n].at - firings[n - 1].at > gap]
    for number, (start, end) in enumerate(pairwise([*starts, len(firings)]), 1):
        episode = firings[start:end]
        last = episode[-1]
        yield Story(
            rule=last.rule,
            subject=last.subject,
            hashtag=last.hashtag,
            opened_at=episode[0].at,
            last_at=last.at,
            over_at=last.at + over if last.at + over <= until else None,
            n_episodes=number,
            is_shadow=policy.shadow,
            first=episode[0],
            peak=max(episode, key=lambda firing: firing.strength),
            last=last,
        )


def ends_when(policy: RulePolicy) -> str:
    """What would end a story, in words."""
    return f"it is over when it has not fired for {policy.over_hours:g} hours"
