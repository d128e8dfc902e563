"""What is planted in the invented world is found: communities, their changes, the campaign, paths,
bursts."""

from __future__ import annotations

from collections import Counter
from functools import cache

import numpy as np
import pytest

from graph.bursts import full_coverage, score_bursts
from graph.communities import infomap, louvain
from graph.coordination import CoordinationRules, find_coordination
from graph.lineage import SizeWatch, follow_lineages, is_large_enough
from graph.spread import (
    CoordinationKind,
    Spread,
    SpreadContent,
    SpreadPost,
    actions_of,
    authors_of,
    forest_of,
    user_network_of,
)
from graph.stability import adjusted_mutual_information, find_stars
from graph.users import UserNetwork
from hoaxwatch.simulate.cascades import DAY, HOUR
from hoaxwatch.simulate.people import Account
from hoaxwatch.simulate.postings import Posting
from hoaxwatch.simulate.world import START, World, make_world
from streams.records import hashtag_key

SECOND = 1_000_000


@cache
def world_of(seed: int) -> World:
    return make_world(seed)


def key_of(posting: Posting) -> str:
    return f"{posting.platform}:{posting.post_id}"


def user_of(account: Account) -> str:
    return f"{account.platform}:{account.account_id}"


@cache
def spread_in(seed: int, platform: str) -> Spread:
    """Everything on a platform, as it happened."""
    posts, contents = [], {}
    for posting in world_of(seed).postings:
        if posting.platform != platform:
            continue
        found = posting.via or posting.share_of or posting.reply_to
        posts.append(
            SpreadPost(
                key=key_of(posting),
                at_us=posting.posted_at * SECOND,
                author=user_of(posting.author),
                root=key_of(posting.root),
                parent=key_of(found) if found else None,
                share_of=key_of(posting.share_of) if posting.share_of else None,
            )
        )
        if posting.share_of is None:
            wording = posting.wordings[0]
            tags = tuple(hashtag_key(tag) for tag in wording.tags)
            contents[key_of(posting)] = SpreadContent(wording.text, tags, wording.links)
    return Spread(tuple(sorted(posts)), contents)


@cache
def talk_network(seed: int, first_day: int, n_days: int) -> UserNetwork:
    """Who shares whose talk in these days: what communities do."""
    spread = spread_in(seed, "x")
    is_talk = {key_of(p) for p in world_of(seed).postings if p.topic == "talk"}
    low, high = ((START + day * DAY) * SECOND for day in (first_day, first_day + n_days))
    posts = tuple(p for p in spread.posts if p.root in is_talk and low <= p.at_us < high)
    return user_network_of(Spread(posts, spread.contents), authors_of(spread))


#: The shortest codelengths do not agree best: over these days the package's own search of the whole
#: network agrees to 0.956 after one trial (3.469 bits) and to 0.949 after five (3.462).
@pytest.mark.parametrize(("algorithm", "at_least"), [("louvain", 0.95), ("infomap", 0.94)])
def test_communities_of_each_day_are_recovered(algorithm: str, at_least: float) -> None:
    lineage = world_of(1).lineage["x"]
    agreement = []
    for day in range(world_of(1).n_days):
        network = talk_network(1, day, 1)
        groups = lineage.members_on(day).values()
        number = {user_of(a): i for i, members in enumerate(groups) for a in members}
        planted = np.array([number.get(user, -1) for user in network.users])
        if algorithm == "louvain":
            found = louvain(network, seed=1)
        else:
            found = infomap(network, seed=1, directed=False)
        known = planted >= 0
        agreement.append(adjusted_mutual_information(found.membership[known], planted[known]))
    assert np.mean(agreement) > at_least
    assert min(agreement) > 0.85


@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5, 6])
def test_changes_of_communities_are_found_when_they_happen(seed: int) -> None:
    """Windows of two days, one day apart; what is planted at a day is in the window that has it."""
    lineage = world_of(seed).lineage["x"]
    windows, planted_in = [], []
    for day in range(world_of(seed).n_days - 1):
        network = talk_network(seed, day, 2)
        found = louvain(network, seed=1)
        clusters = [np.flatnonzero(found.membership == c) for c in range(found.n_communities)]
        is_star = find_stars(network, found.membership).is_star
        names = [
            [network.users[i] for i in members.tolist()]
            for members, star in zip(clusters, is_star, strict=True)
            if is_large_enough(len(members), bool(star))
        ]
        windows.append((f"{day:02}", names))
        planted_in.append(
            {user_of(a): name for name, who in lineage.members_on(day + 1).items() for a in who}
        )
    told = follow_lineages("talk", windows, length_in_steps=2)
    seen = [(e.kind, int(window.window)) for window in told[1:] for e in window.events]
    planted = {e.change: e.day for e in lineage.events}
    assert [kind for kind, _ in seen] == ["grew", "born", "merged", "split", "shrank", "died"]
    # that many have left is known, and told, when the windows before have passed without them
    late = {"shrank": SizeWatch(length_in_steps=2).n_recent - 1}
    for kind, told_in in seen:
        # the day of the change is the second of its window, or the first where both halves must
        # show
        assert told_in - late.get(kind, 0) in (planted[kind] - 1, planted[kind])
    # of those that grew and shrank each has, most of them, the accounts that were planted to
    for kind, community in (("grew", "hill"), ("shrank", "hill")):
        ((name, day),) = [
            (e.name, int(w.window)) for w in told[1:] for e in w.events if e.kind == kind
        ]
        members = windows[day][1][told[day].names.index(name)]
        assert Counter(map(planted_in[day].get, members)).most_common(1)[0][0] == community
    # and the born one is the planted one
    (born,) = [e for w in told[1:] for e in w.events if e.kind == "born"]
    day = planted["born"] - 1
    members = windows[day][1][told[day].names.index(born.name)]
    who = Counter(planted_in[day].get(user) for user in members)
    assert who.most_common(1)[0][0] == "wharf"


# all waves have the same hashtags, so a day says only once who used them together
@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(
    ("kind", "window", "least_recall"),
    [("retweet", 60, 0.9), ("text", 300, 0.9), ("hashtags", 300, 0.0)],
)
def test_the_campaign_is_found_and_nobody_else_accused(
    seed: int, kind: CoordinationKind, window: float, least_recall: float
) -> None:
    campaign = world_of(seed).campaign
    assert campaign is not None
    planned = {user_of(account) for account in campaign.accounts}
    actions = actions_of(spread_in(seed, "x"), kind)
    rules = CoordinationRules(window_seconds=window)
    _, groups, alarms = find_coordination(actions, rules, n_draws=5)
    accused = {account for group in groups for account in group.accounts}
    assert accused <= planned
    assert len(accused) >= least_recall * len(planned)
    assert alarms.account_rate < 0.01


def test_the_paths_that_a_platform_names_make_the_trees() -> None:
    forest = forest_of(spread_in(1, "bluesky"))
    depth = dict(zip(forest.post_ids, forest.depth.tolist(), strict=True))

    def true_depth(posting: Posting) -> int:
        found = posting.via or posting.share_of or posting.reply_to
        return 0 if found is None else 1 + true_depth(found)

    ours = [p for p in world_of(1).postings if p.platform == "bluesky"]
    assert depth == {key_of(posting): true_depth(posting) for posting in ours}
    assert max(depth.values()) > 3
    assert forest.n_circles == 0


def test_planted_bursts_are_bursts() -> None:
    world = world_of(1)
    n_hours = world.n_days * 24
    n_found = 0
    for burst in world.bursts:
        tag = hashtag_key(burst.hashtag)
        counts = np.zeros(n_hours)
        spread = spread_in(1, "x")
        for post in spread.posts:
            if tag in spread.contents[post.root].hashtags:
                counts[min((post.at_us // SECOND - START) // HOUR, n_hours - 1)] += 1
        found = score_bursts(counts, START // HOUR, full_coverage(n_hours))
        at = (burst.starts_at - START) // HOUR
        if at < 5 * 24:
            continue  # too early for a baseline
        assert found.is_burst[at : at + 6].any(), burst.hashtag
        n_found += 1
    assert n_found > 0
