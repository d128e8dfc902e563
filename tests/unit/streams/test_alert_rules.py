"""When alerts fire, and what becomes of firings: pure functions, by hand-made facts."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.bursts import HourCount, Pulled
from storage.alerts import AlertLine, ClusterFact, LinkFact, SinkFact, StoredAlert
from streams.alerts.policies import Policies
from streams.alerts.rules import (
    Facts,
    Firing,
    MachineFacts,
    _link_bursts,
    coordinated_bursts,
    fire,
    tell_episodes,
    tell_stories,
    watch_machinery,
)
from streams.alerts.telling import go_on, match_renamed

START = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)
DEFAULT = Policies()


def policies(**tables: dict[str, Any]) -> Policies:
    return Policies.model_validate(tables)


def cluster(**changed: Any) -> ClusterFact:
    facts: dict[str, Any] = {
        "hashtag": "a",
        "lineage": "aaa",
        "window_start": START,
        "window_end": START + 24 * HOUR,
        "clustering_id": 1,
        "cluster": 0,
        "n_users": 80,
        "n_before": 10,
        "n_shares": 90,
        "judged": 60,
        "expected_share": 0.9,
        "expected_low": 0.8,
        "stability": 0.9,
        "n_coordinated": 0,
        "growth": 0.7,
        "emerging": 0.27,
        "n_contents": 9,
    }
    return ClusterFact(**facts | changed)


def facts(**changed: Any) -> Facts:
    return Facts(**{"since": START, "until": START + 480 * HOUR} | changed)


@pytest.mark.parametrize(
    ("changed", "fires"),
    [
        ({}, True),
        ({"emerging": 0.15}, True),
        ({"emerging": 0.149}, False),
        ({"emerging": None}, False),  # a star, or nothing judged
        ({"n_users": 14}, False),
        ({"n_contents": 2}, False),  # one hit and its audience
        ({"judged": 4}, False),
        ({"window_end": START + 481 * HOUR}, False),  # not whole yet
        ({"window_end": START + 480 * HOUR}, True),
    ],
)
def test_an_emerging_cluster_fires_from_its_thresholds_on(
    changed: dict[str, Any], fires: bool
) -> None:
    found = fire(facts(clusters=[cluster(**changed)]), DEFAULT)
    assert [(f.rule, f.subject) for f in found] == (
        [("emerging_fake_cluster", "lineage:aaa")] if fires else []
    )
    if fires:
        assert found[0].at == cluster(**changed).window_end
        assert found[0].measures["accounts_before"] == 10


def test_a_cluster_of_coordinated_sharers_fires() -> None:
    few, many = cluster(emerging=0.0, n_coordinated=5), cluster(emerging=0.0, n_coordinated=6)
    assert fire(facts(clusters=[few]), DEFAULT) == []
    (found,) = fire(facts(clusters=[many]), DEFAULT)
    assert (found.rule, found.subject, found.strength) == ("coordinated_burst", "lineage:aaa", 6)


def hours(at: int, posts: int) -> list[HourCount]:
    """Ten posts in each hour of 19 days, and another number in one."""
    return [HourCount("a", START + n * HOUR, posts if n == at else 10) for n in range(19 * 24)]


def test_a_surge_is_measured_against_the_same_hour_of_other_days() -> None:
    (found,) = fire(facts(hours=hours(300, 120)), DEFAULT)
    assert (found.rule, found.subject, found.at) == ("hashtag_surge", "tag:a", START + 301 * HOUR)
    assert (found.measures["posts"], found.measures["usual_posts"]) == (120, 10)
    assert fire(facts(hours=hours(300, 40)), DEFAULT) == []
    busy = [fact._replace(posts=fact.posts * 12) for fact in hours(300, 10)]
    assert fire(facts(hours=busy), DEFAULT) == []  # always as much
    lower = policies(hashtag_surge={"min_posts": 40, "min_score": 5})
    assert len(fire(facts(hours=hours(300, 40)), lower)) == 1
    assert fire(facts(hours=hours(300, 120), until=START + 300 * HOUR), DEFAULT) == []


def test_what_was_not_collected_before_is_no_surge() -> None:
    """A hashtag that is tracked since the day before has nothing to be compared with."""
    began = (START + 276 * HOUR).timestamp()
    late = {"a": [Pulled(began, began + 100 * 3600)]}
    assert fire(facts(hours=hours(300, 120), covered=late), DEFAULT) == []
    whole = {"a": [Pulled(0, began + 100 * 3600)]}
    assert len(fire(facts(hours=hours(300, 120), covered=whole), DEFAULT)) == 1


def posts(link: str, minute: float, accounts: str, gap_seconds: float = 20) -> list[LinkFact]:
    """Each letter is an account that posts the link, one after the other."""
    begin = START + timedelta(minutes=minute)
    return [
        LinkFact(
            f"https://{link}.example/1",
            f"x:{account}",
            begin + timedelta(seconds=number * gap_seconds),
            f"x:{link}{account}{minute:g}",
            ("b", "a"),
        )
        for number, account in enumerate(accounts)
    ]


def test_the_same_accounts_post_links_together_again() -> None:
    first, again = posts("one", 0, "abcdefgh"), posts("two", 300, "cdefghij")
    assert fire(facts(links=first), DEFAULT) == []  # once happens
    (found,) = fire(facts(links=first + again), DEFAULT)
    assert (found.subject, found.at, found.strength) == ("tag:a", again[-1].posted_at, 6)
    assert found.accounts == ("x:c", "x:d", "x:e", "x:f", "x:g", "x:h")
    assert set(found.posts) == {fact.post for fact in again}
    others = posts("two", 300, "ghijklmn")
    assert fire(facts(links=first + others), DEFAULT) == []  # two of them were there before
    slow = posts("two", 300, "cdefghij", gap_seconds=90)
    assert fire(facts(links=first + slow), DEFAULT) == []
    later = posts("two", 60 * 49, "cdefghij")
    assert fire(facts(links=first + later), DEFAULT) == []  # forgotten by then


def test_links_without_hashtags_are_told_by_their_site() -> None:
    links = posts("one", 0, "abcdef") + posts("one", 60, "abcdef")
    (found,) = fire(facts(links=[fact._replace(hashtags=()) for fact in links]), DEFAULT)
    assert (found.subject, found.hashtag) == ("site:one.example", None)


@given(st.permutations(posts("one", 0, "abcdefgh") + posts("two", 3, "abcdefghij")))
def test_bursts_do_not_depend_on_the_order_of_facts(links: list[LinkFact]) -> None:
    ordered = posts("one", 0, "abcdefgh") + posts("two", 3, "abcdefghij")
    assert fire(facts(links=links), DEFAULT) == fire(facts(links=ordered), DEFAULT)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["one", "two", "three"]),
            st.integers(0, 20).map(lambda n: n * 720.0),
            st.sets(st.sampled_from("abcdefg"), min_size=2).map(lambda s: "".join(sorted(s))),
        ),
        max_size=12,
    )
)
def test_a_burst_fires_by_how_often_its_accounts_were_in_those_before_it(
    drawn: list[tuple[str, float, str]],
) -> None:
    """By the definition, as plainly as it can be said."""
    policy = policies(coordinated_burst={"min_accounts": 3, "min_bursts": 2}).coordinated_burst
    links = [fact for link, minute, accounts in drawn for fact in posts(link, minute, accounts)]
    bursts = sorted(_link_bursts(links, policy), key=lambda b: (b.end, b.link))
    expected = []
    for number, burst in enumerate(bursts):
        before = [b for b in bursts[: number + 1] if burst.end - b.end < 48 * HOUR]
        times = Counter(account for b in before for account in b.accounts)
        again = sorted((-times[a], a) for a in burst.accounts if times[a] >= 2)
        if len(again) >= 3:
            expected.append((burst.end, tuple(a for _, a in again), -again[0][0]))
    found = coordinated_bursts(facts(links=links), policy)
    most = "most_bursts_of_one_account"
    assert [(f.at, f.accounts, f.measures[most]) for f in found] == expected


def test_a_rule_that_is_off_is_silent() -> None:
    given_facts = facts(
        clusters=[cluster(n_coordinated=20)],
        hours=hours(300, 120),
        links=posts("one", 0, "abcdef") + posts("one", 60, "abcdef"),
    )
    assert len(fire(given_facts, DEFAULT)) == 4
    off = policies(**{rule: {"enabled": False} for rule in Policies.TOLD})
    assert fire(given_facts, off) == []
    assert fire(Facts(since=None, until=None), DEFAULT) == []


def firings(*at_hours: float) -> list[Firing]:
    return [
        Firing(
            rule="hashtag_surge",
            subject="tag:a",
            hashtag="a",
            at=START + hour * HOUR,
            strength=hour % 7,
            summary=f"{hour}",
            measures={"burst_score": hour},
        )
        for hour in at_hours
    ]


@given(
    st.lists(st.integers(0, 500), min_size=1, max_size=12, unique=True).flatmap(
        lambda found: st.tuples(st.just(sorted(found)), st.permutations(found))
    )
)
def test_stories_do_not_depend_on_the_order_of_firings(
    found: tuple[list[int], list[int]],
) -> None:
    until = START + 600 * HOUR
    ordered, mixed = (tell_episodes(firings(*each), DEFAULT, until) for each in found)
    assert mixed == ordered
    assert tell_stories(firings(*found[1]), DEFAULT, until) == ordered[-1:]
    gaps = [b.opened_at - a.last_at for a, b in pairwise(ordered)]
    assert all(gap > 72 * HOUR for gap in gaps)


def test_a_story_is_over_by_itself_and_begins_anew_after_its_cooldown() -> None:
    (goes_on,) = tell_stories(firings(0, 5), DEFAULT, START + 28 * HOUR)
    assert goes_on.over_at is None
    (over,) = tell_stories(firings(0, 5), DEFAULT, START + 29 * HOUR)
    assert (over.opened_at, over.over_at) == (START, START + 29 * HOUR)
    (cooled,) = tell_stories(firings(0, 72), DEFAULT, START + 78 * HOUR)
    assert (cooled.opened_at, cooled.n_episodes, cooled.over_at) == (START, 1, None)
    (anew,) = tell_stories(firings(0, 72.1), DEFAULT, START + 78 * HOUR)
    assert (anew.opened_at, anew.n_episodes) == (START + 72.1 * HOUR, 2)


def machine(**changed: Any) -> MachineFacts:
    known: dict[str, Any] = {
        "now": START,
        "newest_at": START - timedelta(minutes=1),
        "n_received": 1000,
        "n_quarantined": 3,
    }
    return MachineFacts(**known | changed)


@pytest.mark.parametrize(
    ("changed", "rules"),
    [
        ({}, []),
        ({"newest_at": START - timedelta(minutes=59)}, []),
        ({"newest_at": START - timedelta(minutes=60)}, ["nothing_is_arriving"]),
        ({"newest_at": None}, []),  # nothing ever came
        ({"n_quarantined": 100}, ["quarantine_rate"]),
        ({"n_quarantined": 19, "n_received": 0}, []),  # too few
        ({"n_quarantined": 20, "n_received": 380}, []),  # 5 % are allowed
        ({"sinks": [SinkFact("webhook", 2, START, "answer 500")]}, []),
        ({"sinks": [SinkFact("webhook", 3, START, "answer 500")] * 2}, ["sink_failing"]),
    ],
)
def test_the_machinery_is_watched(changed: dict[str, Any], rules: list[str]) -> None:
    found = watch_machinery(machine(**changed), DEFAULT)
    assert [firing.rule for firing in found] == rules
    off = policies(**{rule: {"enabled": False} for rule in rules})
    assert watch_machinery(machine(**changed), off) == []


def stored(subject: str, accounts: str = "", **changed: Any) -> StoredAlert:
    known: dict[str, Any] = {
        "alert_id": 1,
        "rule": "nothing_is_arriving",
        "subject": subject,
        "hashtag": "a",
        "opened_at": START,
        "last_at": START,
        "over_at": None,
        "n_episodes": 2,
        "accounts": [*accounts],
    }
    return StoredAlert(**known | changed)


def test_a_story_about_the_machinery_goes_on_or_begins_anew() -> None:
    quiet = machine(newest_at=START - 5 * HOUR)
    (firing,) = watch_machinery(quiet, DEFAULT)
    assert go_on(None, firing, DEFAULT).n_episodes == 1
    soon = go_on(stored("posts", last_at=START - 0.2 * HOUR), firing, DEFAULT)
    assert (soon.opened_at, soon.n_episodes, soon.last_at) == (START, 2, START)
    late = go_on(stored("posts", last_at=START - HOUR), firing, DEFAULT)
    assert (late.opened_at, late.n_episodes) == (START, 3)


def line(subject: str, accounts: str, hashtag: str = "a") -> AlertLine:
    return AlertLine(
        "nothing_is_arriving", subject, hashtag, "", {"accounts": [*accounts]}, 1, START, START,
        None, 1, False,
    )  # fmt: skip


def test_a_story_keeps_its_row_when_its_lineage_gets_another_name() -> None:
    old = stored("lineage:old", "abcd")
    assert match_renamed([old], [line("lineage:new", "abxy")]) == [
        (old, line("lineage:new", "abxy"))
    ]
    assert match_renamed([old], [line("lineage:new", "axyz")]) == []
    assert match_renamed([old], [line("lineage:new", "abcd", hashtag="b")]) == []
    best = [line("lineage:n1", "abc"), line("lineage:n2", "abcd")]
    assert [new.subject for _, new in match_renamed([old], best)] == ["lineage:n2"]
