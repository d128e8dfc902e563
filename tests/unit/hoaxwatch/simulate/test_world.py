"""The invented world is as it is said to be: exact, seeded, with what was planted in it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cache

import numpy as np
import pytest
from sklearn.metrics import adjusted_mutual_info_score

from graph.communities import louvain
from graph.users import build_user_network
from hoaxwatch.simulate import words
from hoaxwatch.simulate.cascades import DAY, HOUR
from hoaxwatch.simulate.postings import Posting
from hoaxwatch.simulate.truth import hashtag_key
from hoaxwatch.simulate.world import BURST_PLANS, START, World, make_world

SEEDS = (1, 2, 3)


@cache
def world(seed: int) -> World:
    """Twelve days, made once."""
    return make_world(seed, n_days=12, n_posts=6000)


@pytest.fixture(params=SEEDS)
def any_world(request: pytest.FixtureRequest) -> World:
    return world(request.param)


def told(postings: list[Posting]) -> list[tuple[object, ...]]:
    """What a world says, as values that can be compared."""
    return [
        (p.platform, p.kind, p.post_id, p.posted_at, p.author.account_id, p.wordings, p.pictures)
        for p in postings
    ]


def test_the_same_seed_gives_the_same_world_and_another_one_another() -> None:
    again = make_world(1, n_days=12, n_posts=6000)
    assert told(again.postings) == told(world(1).postings)
    ids = [{p.post_id for p in world(seed).postings} for seed in SEEDS]
    assert not ids[0] & ids[1] & ids[2] or len(ids[0] & ids[1]) < 30


@pytest.mark.parametrize(("days", "posts"), [(1, 100), (5, 333), (7, 2000), (30, 1500)])
def test_a_world_has_exactly_as_many_posts_as_asked_for(days: int, posts: int) -> None:
    made = make_world(4, days, posts)
    assert len(made.postings) == posts
    assert len({(p.platform, p.post_id) for p in made.postings}) == posts
    assert max(p.posted_at for p in made.postings) < made.end


def test_people_speak_the_languages_that_are_asked_for() -> None:
    """Emoji are of no language."""
    made = make_world(1, 10, 3000, languages=["en"])
    spoken = {wording.lang for p in made.postings for wording in p.wordings}
    assert spoken - {None} == {"en", "und"}
    assert {account.lang for of in made.accounts.values() for account in of} == {"en"}
    with pytest.raises(ValueError, match="en, de, es"):
        make_world(1, 10, 3000, languages=["fr"])


def test_without_repeats_nothing_is_said_twice() -> None:
    made = make_world(1, 30, 6000, languages=["en"], has_repeats=False)
    texts = Counter(p.wordings[0].text for p in made.postings)
    assert len(texts) == len(made.postings) == 6000
    assert {(p.platform, p.kind, len(p.wordings)) for p in made.postings} == {("x", "original", 1)}
    assert {p.wordings[0].lang for p in made.postings} == {"en"}
    assert {p.label for p in made.postings} == {"likely_false", "likely_true"}
    assert all(START <= p.posted_at < made.end for p in made.postings)
    again = make_world(1, 30, 6000, languages=["en"])
    assert any(p.kind == "share" for p in again.postings), "with repeats there are some"


@pytest.mark.parametrize(("days", "posts"), [(0, 1000), (5, 99)])
def test_a_world_too_small_is_refused(days: int, posts: int) -> None:
    with pytest.raises(ValueError, match="at least"):
        make_world(1, days, posts)


def test_ids_are_in_order_of_time(any_world: World) -> None:
    of_x = [p for p in any_world.postings if p.platform == "x"]
    assert [int(p.post_id) for p in of_x] == sorted(int(p.post_id) for p in of_x)


def test_there_is_everything_that_was_promised(any_world: World) -> None:
    postings = any_world.postings
    kinds = Counter((p.platform, p.kind) for p in postings)
    assert {kind for platform, kind in kinds if platform == "x"} == {
        *("original", "share", "reply", "quote")
    }
    assert any(p.reply_to and p.quote_of for p in postings)
    langs = {w.lang for p in postings for w in p.wordings}
    assert {"en", "de", "es", "und", None} == langs
    assert any(p.is_edited for p in postings)
    assert {p.found for p in postings} == {"searched", "embedded", "never"}
    assert any(p.is_late for p in postings)
    assert any(p.deleted_at for p in postings)
    assert any(a.deleted_at for accounts in any_world.accounts.values() for a in accounts)
    assert any(p.share_of and p.author is p.share_of.author for p in postings), "shares itself"
    untagged = [p for p in postings if p.kind == "original" and not p.wordings[0].tags]
    assert any(p.topic == "emoji" for p in untagged)
    assert any(p.topic != "emoji" for p in untagged)
    twice = [
        p
        for p in postings
        if len(p.wordings[0].tags) > len(set(map(hashtag_key, p.wordings[0].tags)))
    ]
    assert twice, "a hashtag in two spellings in one post"
    assert any(p.via for p in postings), "a share through a share"


def test_nothing_happens_to_what_is_gone(any_world: World) -> None:
    for p in any_world.postings:
        root = p.root
        for gone in (p.deleted_at, p.author.deleted_at, root.deleted_at, root.author.deleted_at):
            assert gone is None or gone > p.posted_at


def test_texts_repeat_only_on_purpose(any_world: World) -> None:
    repeated = Counter(
        p.wordings[0].text
        for p in any_world.postings
        if p.kind != "share" and p.wave is None and p.topic != "emoji" and p.wordings[0].text
    )
    assert [text for text, n in repeated.items() if n > 1] == []
    in_waves = Counter(p.wordings[0].text for p in any_world.postings if p.wave is not None)
    assert max(n for text, n in in_waves.items() if text) > 1


def test_labels_follow_the_words() -> None:
    """No calm post is called false, and no false claim true."""
    claims = {t for topic in words.TOPICS.values() for said in topic.false.values() for t in said}
    starts = {claim.partition("{")[0].strip().casefold() for claim in claims}
    long_starts = {start for start in starts if len(start) > 20}
    for p in world(1).postings:
        if p.kind == "original":
            text = p.wordings[0].text.casefold()
            if any(start in text for start in long_starts):
                assert p.label == "likely_false", text


def test_accounts_sleep(any_world: World) -> None:
    hours = Counter(
        int((p.posted_at / HOUR + p.author.hours_east) % 24)
        for p in any_world.postings
        if p.author.role == "citizen" and p.burst is None and p.platform == "x"
    )
    night, day = sum(hours[h] for h in range(1, 5)), sum(hours[h] for h in range(13, 17))
    assert night < day / 4


def test_the_campaign_acts_in_concert_and_bursts_do_not(any_world: World) -> None:
    campaign = any_world.campaign
    assert campaign is not None
    accounts = set(campaign.accounts)
    for wave in campaign.waves:
        theirs = [p for p in any_world.postings if p.wave == wave.number]
        assert {p.author for p in theirs} <= accounts
        assert len({p.author for p in theirs}) >= 3
        spread = max(p.posted_at for p in theirs) - min(p.posted_at for p in theirs)
        assert spread < 600
        for p in theirs:
            if p.kind == "original":
                assert p.wordings[0].links == (wave.link,)
                assert p.wordings[0].tags == wave.tags
                assert p.label == "likely_false"
    for plan, burst in zip(BURST_PLANS, any_world.bursts, strict=True):
        theirs = [p for p in any_world.postings if p.burst == burst.topic]
        of_account = Counter(p.author for p in theirs)
        assert len(of_account) > len(theirs) / 4, "many different people"
        assert not accounts & of_account.keys()
        assert burst.topic == plan.topic


def test_hashtags_have_different_lives() -> None:
    made = make_world(5, n_days=28, n_posts=20_000)
    by_day: dict[str, Counter[int]] = defaultdict(Counter)
    for p in made.postings:
        if p.kind == "original" and p.posted_at >= START:
            by_day[p.topic][(p.posted_at - START) // DAY] += 1
    days = range(28)
    halves = {
        t: (sum(c[d] for d in days[:14]), sum(c[d] for d in days[14:])) for t, c in by_day.items()
    }
    assert halves["ballot"][1] > 1.5 * halves["ballot"][0], "rises"
    assert halves["masts"][0] > 1.5 * halves["masts"][1], "fades"
    fair = by_day["fair"]
    weekend = sum(fair[d] for d in days if d % 7 >= 5) / 8
    assert weekend > 1.5 * sum(fair[d] for d in days if d % 7 < 5) / 20
    flu = by_day["flu"]
    assert sum(flu[d] for d in (6, 7, 20, 21)) > 0.5 * flu.total(), "two peaks"
    storm = by_day["storm"]
    assert storm.most_common(1)[0][1] > 0.5 * storm.total()


# Communities


def test_each_change_of_a_lineage_is_planted_once(any_world: World) -> None:
    lineage = any_world.lineage["x"]
    changes = [event.change for event in lineage.events]
    assert sorted(changes) == ["born", "died", "grew", "merged", "shrank", "split"]
    for event in lineage.events:
        before = lineage.members_on(event.day - 1)
        after = lineage.members_on(event.day)
        assert set(event.before) <= before.keys()
        assert set(event.after) <= after.keys()
        old = {account for name in event.before for account in before[name]}
        new = {account for name in event.after for account in after[name]}
        match event.change:
            case "born":
                assert new and not new & {a for members in before.values() for a in members}
            case "died":
                assert old and not old & {a for members in after.values() for a in members}
            case "grew":
                assert old < new
            case "shrank":
                assert new < old
            case "merged" | "split":
                assert old == new


def talk(made: World, days: range, *, clean: bool) -> Iterator[tuple[str, str, str]]:
    """(shared, sharer, community) of the talk of these days; clean: inside communities only."""
    for p in made.postings:
        if p.platform != "x" or p.share_of is None or p.share_of.community is None:
            continue
        day = (p.share_of.posted_at - START) // DAY
        members = made.lineage["x"].members_on(day).get(p.share_of.community, ())
        if day in days and (not clean or p.author in members):
            yield p.share_of.author.account_id, p.author.account_id, p.share_of.community


@pytest.mark.parametrize("seed", SEEDS)
def test_planted_communities_are_found_again(seed: int) -> None:
    """Louvain on who shares whom, over days without a change."""
    made = make_world(seed, n_days=14, n_posts=12_000)
    days = range(6, 8)  # from the merge to the split
    assert [e.day for e in made.lineage["x"].events if 6 <= e.day <= 8] == [6, 8]
    agreement = {}
    for clean in (True, False):
        links = list(talk(made, days, clean=clean))
        network = build_user_network([a for a, _, _ in links], [b for _, b, _ in links])
        found = louvain(network, seed=1).membership
        home = {
            account.account_id: name
            for name, members in made.lineage["x"].members_on(7).items()
            for account in members
        }
        known = [i for i, user in enumerate(network.users) if user in home]
        planted = [home[network.users[i]] for i in known]
        agreement[clean] = float(adjusted_mutual_info_score(planted, found[np.array(known)]))
    print(f"\nseed {seed}: AMI {agreement[True]:.3f} clean, {agreement[False]:.3f} as it is")
    assert agreement[True] > 0.9
    assert agreement[False] > 0.75
