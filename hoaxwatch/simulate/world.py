"""The invented world: what happened in it, to whom, and what of it was planned. Seeded, pure.

    world = make_world(seed=1, n_days=30, n_posts=40_000)

A made-up harbour city over some weeks. People talk in communities that change on stated days; each
topic's hashtag has a life of its own; storms, fires and a cup final bring organic bursts; one
coordinated campaign pushes a false claim in waves. Nothing here knows how a platform writes a post
or who collects it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from hoaxwatch.simulate import words
from hoaxwatch.simulate.cascades import DAY, HOUR, Spread, arrivals, rhythm
from hoaxwatch.simulate.people import (
    SPEAKERS,
    Account,
    Crowd,
    Lineage,
    make_accounts,
    plan_lineage,
    rename_some,
)
from hoaxwatch.simulate.postings import Kind, Label, Picture, Posting, Wording
from hoaxwatch.simulate.words import TOPICS, Stance, Topic
from hoaxwatch.simulate.wordsmith import Wordsmith

#: The first moment of every world: a Monday.
START = int(datetime(2026, 3, 2, tzinfo=UTC).timestamp())

#: How a hashtag is used over the days: of days since the start and the number of days.
Life = Callable[[float, int], float]


def flat(day: float, n_days: int) -> float:
    """The same every day."""
    return 1.0


def weekend(day: float, n_days: int) -> float:
    """Three times as much on Saturdays and Sundays (day 0 is a Monday)."""
    return 3.0 if day % 7 >= 5 else 1.0


def rising(day: float, n_days: int) -> float:
    """From 1 to e^2.5 at the end."""
    return math.exp(2.5 * day / n_days)


def fading(day: float, n_days: int) -> float:
    """From e^2.5 at the start to 1."""
    return math.exp(2.5 * (1 - day / n_days))


def two_peaks(day: float, n_days: int) -> float:
    """Around a quarter and three quarters of the time, each about a day wide."""
    away = min(abs(day - n_days / 4), abs(day - n_days * 3 / 4))
    return 0.15 + 6 * math.exp(-((away / 0.8) ** 2))


#: How a calm post and a false claim spread, unless a topic says otherwise.
CALM_SPREAD = Spread(reach=1.2, branching=0.35, decay_seconds=1.2 * HOUR)
FALSE_SPREAD = Spread(reach=3.0, branching=0.55, decay_seconds=0.8 * HOUR)


@dataclass(frozen=True)
class TopicPlan:
    """How much of a topic there is, how it lives, and how it spreads."""

    weight: float
    life: Life
    #: Shares of the originals with a false claim and with a correction; the rest is calm.
    false_share: float = 0.0
    correction_share: float = 0.0
    spread: Spread = CALM_SPREAD
    false_spread: Spread = FALSE_SPREAD


TOPIC_PLANS: Mapping[str, TopicPlan] = {
    "water": TopicPlan(8, rising, 0.35, 0.15),
    "flu": TopicPlan(14, two_peaks, 0.3, 0.12),
    "masts": TopicPlan(7, fading, 0.4, 0.1),
    "ballot": TopicPlan(9, rising, 0.25, 0.1),
    "food": TopicPlan(9, flat, 0.2, 0.08),
    "cash": TopicPlan(5, two_peaks, 0.3, 0.1),
    "fair": TopicPlan(16, weekend),
    "tram": TopicPlan(9, flat, spread=Spread(0.6, 0.2, 0.5 * HOUR)),
    "library": TopicPlan(7, fading),
    "school": TopicPlan(5, flat),
    "street": TopicPlan(4, weekend),
    "sky": TopicPlan(4, two_peaks),
}


@dataclass(frozen=True)
class BurstPlan:
    """An event that many people post about by themselves, at a fraction of the world's time."""

    topic: str
    at: float
    hours: float
    false_share: float
    correction_share: float
    #: Moments (hours after its begin) at which many post within seconds of each other.
    instants: tuple[float, ...] = ()


BURST_PLANS = (
    BurstPlan("storm", 0.4, 7.0, 0.15, 0.08),
    BurstPlan("football", 0.55, 3.0, 0.0, 0.0, (0.4, 1.1, 1.9)),
    BurstPlan("fire", 0.75, 12.0, 0.2, 0.1),
)


@dataclass(frozen=True)
class Burst:
    """An organic burst as it happened (seconds since 1970 UTC)."""

    topic: str
    hashtag: str
    starts_at: int
    instants: tuple[int, ...]


@dataclass(frozen=True)
class Wave:
    """One concerted action of the campaign: who posts what, and whom the others share at once."""

    number: int
    starts_at: int
    text: str
    link: str
    tags: tuple[str, ...]


@dataclass(frozen=True)
class Campaign:
    """The coordinated false campaign, as planned."""

    topic: str
    hashtag: str
    accounts: tuple[Account, ...]
    links: tuple[str, ...]
    waves: tuple[Wave, ...]


@dataclass(frozen=True)
class World:
    """Everything that happened, in order of time, and what of it was planned."""

    seed: int
    n_days: int
    postings: list[Posting]
    accounts: Mapping[str, tuple[Account, ...]]
    lineage: Mapping[str, Lineage]
    #: Per platform, groups of accounts that share each other in all topics but the talk.
    circles: Mapping[str, tuple[tuple[Account, ...], ...]]
    campaign: Campaign | None
    bursts: tuple[Burst, ...]
    languages: tuple[str, ...]
    #: False: nothing is shared or said twice, and nothing is to be collected twice.
    has_repeats: bool

    @property
    def end(self) -> int:
        """The first moment after it."""
        return START + self.n_days * DAY


#: Share of all postings by platform, and of X's postings by what brings them about.
PLATFORM_SHARES: Mapping[str, float] = {"x": 0.74, "instagram": 0.07, "bluesky": 0.19}
X_PARTS: Mapping[str, float] = {
    "talk": 0.27,
    "topics": 0.32,
    "bursts": 0.13,
    "campaign": 0.13,
    "asides": 0.15,
}
#: The same where nothing is said twice: all of it is on X.
PARTS_WITHOUT_REPEATS: Mapping[str, float] = {
    "talk": 0.27,
    "topics": 0.45,
    "bursts": 0.13,
    "asides": 0.15,
}
BLUESKY_TALK = 0.4
N_CIRCLES = 8
#: How often a member of a community shares another's talk in a day, about.
TALK_PER_DAY = 1.8
CAMPAIGN_TAGS = ("WaterTruth", "WakeUpEldwick", "CityWater")
_SPELLED = 0.18


def make_world(
    seed: int = 1,
    n_days: int = 30,
    n_posts: int = 40_000,
    *,
    languages: Sequence[str] = tuple(SPEAKERS),
    has_repeats: bool = True,
) -> World:
    """The same world for the same arguments: exactly n_posts postings over n_days.

    languages: what people speak. A topic that nobody discusses in theirs, they discuss in English.
    has_repeats: whether there are shares, answers, edits, deletions and a campaign. Without them
    every posting is an original on X, in words that no other has.

    Cost: about 25 microseconds per posting.
    Raises: ValueError for less than one day or 100 postings, and for other languages than ours.

    >>> world = make_world(seed=1, n_days=7, n_posts=400)
    >>> len(world.postings), world.postings[0].post_id == make_world(1, 7, 400).postings[0].post_id
    (400, True)
    """
    if n_days < 1 or n_posts < 100:
        raise ValueError("a world has at least one day and 100 postings")
    if not languages or set(languages) - SPEAKERS.keys():
        raise ValueError(f"people speak some of {', '.join(SPEAKERS)}")
    return _Maker(seed, n_days, n_posts, tuple(dict.fromkeys(languages)), has_repeats).world()


class _Maker:
    """Fills a world part by part, each from random numbers of its own."""

    def __init__(
        self, seed: int, n_days: int, n_posts: int, languages: tuple[str, ...], has_repeats: bool
    ) -> None:
        self._seed, self._n_days = seed, n_days
        self._languages, self._has_repeats = languages, has_repeats
        self._end = START + n_days * DAY
        self._postings: list[Posting] = []
        self._speech = Wordsmith(self._chance("words"))
        self._n_pictures = 0
        self._bursts: list[Burst] = []
        self._campaign: Campaign | None = None
        of_platforms = PLATFORM_SHARES.values() if has_repeats else (1.0, 0.0, 0.0)
        shares = [int(n_posts * share) for share in of_platforms]
        shares[0] += n_posts - sum(shares)
        self._quota = dict(zip(PLATFORM_SHARES, shares, strict=True))
        people = self._chance("people")
        self._accounts: dict[str, tuple[Account, ...]] = {}
        self._crowds: dict[str, Crowd] = {}
        self._lineage: dict[str, Lineage] = {}
        self._circles: dict[str, tuple[Crowd, ...]] = {}
        self._circle_of: dict[Account, Crowd] = {}
        for platform, quota in self._quota.items():
            n = max(40, quota // 14)
            accounts = make_accounts(people, platform, n, START, languages=languages)
            rename_some(people, accounts, START, self._end)
            accounts += make_accounts(
                people, platform, 3, START, role="newsroom", languages=languages
            )
            self._accounts[platform] = tuple(accounts)
            self._crowds[platform] = Crowd(accounts)
            # the changes are planted on X; elsewhere communities stay as they are
            days = n_days if platform == "x" else 1
            talk = quota * (X_PARTS["talk"] if platform == "x" else BLUESKY_TALK)
            n_members = max(6, int(talk / n_days / 6 / TALK_PER_DAY))
            self._lineage[platform] = plan_lineage(people, accounts[:-3], days, n_members)
            mixed = people.sample(accounts, len(accounts))
            circles = tuple(Crowd(mixed[i::N_CIRCLES]) for i in range(N_CIRCLES))
            self._circles[platform] = circles
            for circle in circles:
                self._circle_of.update(dict.fromkeys(circle.accounts, circle))

    def world(self) -> World:
        """All parts, then what happens to postings later, then ids in order of time."""
        left = self._quota["x"]
        parts = X_PARTS if self._has_repeats else PARTS_WITHOUT_REPEATS
        for part, share in parts.items():
            quota = left if part == "asides" else int(self._quota["x"] * share)
            left -= quota
            getattr(self, f"_add_{part}")("x", quota)
        self._add_pictured(self._quota["instagram"])
        quota = self._quota["bluesky"]
        talk = int(quota * BLUESKY_TALK)
        self._add_talk("bluesky", talk)
        self._add_topics("bluesky", quota * 2 // 5)
        self._add_asides("bluesky", quota - talk - quota * 2 // 5)
        if self._has_repeats:
            self._mark()
        self._name()
        return World(
            seed=self._seed,
            n_days=self._n_days,
            postings=self._postings,
            accounts=self._accounts,
            lineage=self._lineage,
            circles={
                platform: tuple(circle.accounts for circle in circles)
                for platform, circles in self._circles.items()
            },
            campaign=self._campaign,
            bursts=tuple(self._bursts),
            languages=self._languages,
            has_repeats=self._has_repeats,
        )

    def _chance(self, part: str) -> random.Random:
        return random.Random(f"{self._seed}/{part}")

    # Parts

    def _add_talk(self, platform: str, quota: int) -> None:
        """Communities talk: their hubs post, their members share them, nearly nobody else does."""
        chance = self._chance(f"talk {platform}")
        topic, lineage = TOPICS["talk"], self._lineage[platform]
        stop = len(self._postings) + quota
        spread = Spread(reach=5.0, branching=0.3, decay_seconds=1.5 * HOUR)
        turn = 0
        while len(self._postings) < stop:
            # days in turn, so that each day has its share whatever the quota
            day = turn % self._n_days
            turn += 1
            for name, members in lineage.members_on(day).items():
                if len(self._postings) >= stop or not members:
                    break
                author = members[chance.randrange(min(3, len(members)))]
                at = self._waking_moment(chance, day, author)
                original = self._original(chance, platform, topic, "calm", author, at)
                original.community = name
                self._spread(chance, original, spread, stop, Crowd(members), inside=0.97)

    def _add_topics(self, platform: str, quota: int) -> None:
        """What people post about their topics, and how it is shared in their communities."""
        chance = self._chance(f"topics {platform}")
        stop = len(self._postings) + quota
        names, plans = list(TOPIC_PLANS), list(TOPIC_PLANS.values())
        while len(self._postings) < stop:
            (name,) = chance.choices(names, [plan.weight for plan in plans])
            plan = TOPIC_PLANS[name]
            day = self._day_of(chance, plan.life)
            self._topic_cascade(chance, platform, TOPICS[name], plan, day, stop)

    def _topic_cascade(
        self,
        chance: random.Random,
        platform: str,
        topic: Topic,
        plan: TopicPlan,
        day: float,
        stop: int,
    ) -> None:
        author = self._crowds[platform].draw(chance)
        at = self._waking_moment(chance, int(day), author)
        stance = _stance(chance, plan.false_share, plan.correction_share)
        if self._has_repeats and chance.random() < 0.015:  # an old post that people dig out
            original = self._original(
                chance, platform, topic, stance, author, at - int(chance.uniform(3, 400) * DAY)
            )
            original.found = "embedded"
            sharing_from = at
        else:
            original = self._original(chance, platform, topic, stance, author, at)
            sharing_from = original.posted_at
        spread = plan.false_spread if stance == "false" else plan.spread
        if chance.random() < 0.02:  # some go far
            spread = Spread(spread.reach * 12, spread.branching, spread.decay_seconds)
        circle = self._circle_of[author]
        self._spread(chance, original, spread, stop, circle, inside=0.85, since=sharing_from)

    def _add_bursts(self, platform: str, quota: int) -> None:
        """Storm, cup final, fire: everybody posts at once, and nobody arranged it."""
        chance = self._chance(f"bursts {platform}")
        for i, plan in enumerate(BURST_PLANS):
            stop = len(self._postings) + (quota - 2 * (quota // 3) if i == 2 else quota // 3)
            starts_at = START + int(plan.at * self._n_days) * DAY + 15 * HOUR
            instants = tuple(starts_at + int(hours * HOUR) for hours in plan.instants)
            topic = TOPICS[plan.topic]
            self._bursts.append(Burst(plan.topic, topic.tags[0], starts_at, instants))
            spread = Spread(reach=2.0, branching=0.45, decay_seconds=600.0)
            while len(self._postings) < stop:
                if instants and chance.random() < 0.4:
                    at = chance.choice(instants) + int(chance.expovariate(1 / 40))
                else:
                    at = starts_at + int(chance.expovariate(1 / plan.hours) * HOUR)
                author = self._crowds[platform].draw(chance)
                stance = _stance(chance, plan.false_share, plan.correction_share)
                at = min(at, self._end - 1)
                original = self._original(chance, platform, topic, stance, author, at)
                original.burst = plan.topic
                first = len(self._postings)
                self._spread(chance, original, spread, stop, self._crowds[platform], inside=1.0)
                for share in self._postings[first:]:
                    share.burst = plan.topic

    def _add_campaign(self, platform: str, quota: int) -> None:
        """Waves of the same claim by the same accounts, and the people who fall for it."""
        chance = self._chance("campaign")
        topic = TOPICS["water"]
        n = max(8, min(40, quota // 60))
        accounts = make_accounts(
            self._chance("campaign people"), platform, n, START, role="campaign"
        )
        self._accounts[platform] += tuple(accounts)
        links = tuple(f"https://water-leaks.example/papers/{i}?from=x&lang=en" for i in range(1, 6))
        believers = Crowd([*self._circles[platform][0].accounts, *accounts[:2]])
        stop = len(self._postings) + quota
        planned: list[Wave] = []
        first, last = 0.3 * self._n_days, 0.92 * self._n_days
        moments = [
            START + day * DAY + int((hour + chance.uniform(-0.2, 0.2)) * HOUR)
            for day in range(int(first), max(int(first) + 1, math.ceil(last)))
            for hour in (7.5, 12.5, 18.0)
        ]
        per_wave = max(6, quota // max(1, len(moments)))
        for number, starts_at in enumerate(moments):
            stop_wave = min(stop, len(self._postings) + per_wave)
            if number == len(moments) - 1:
                stop_wave = stop
            if len(self._postings) >= stop_wave:
                continue
            wave = Wave(
                number=number,
                starts_at=starts_at,
                text=self._speech.say(topic, "false", "en"),
                link=links[number % len(links)],
                tags=CAMPAIGN_TAGS,
            )
            planned.append(wave)
            while len(self._postings) < stop_wave:  # once, and again if the quota is not used up
                self._make_wave(chance, platform, topic, wave, accounts, believers, stop_wave)
        self._campaign = Campaign(topic.name, topic.tags[0], tuple(accounts), links, tuple(planned))

    def _make_wave(
        self,
        chance: random.Random,
        platform: str,
        topic: Topic,
        wave: Wave,
        accounts: list[Account],
        believers: Crowd,
        stop: int,
    ) -> None:
        room = stop - len(self._postings)
        n_posting = min(max(3, int(len(accounts) * chance.uniform(0.35, 0.6))), max(1, room // 3))
        posting = chance.sample(accounts, n_posting)
        leads = []
        for author in posting:
            at = wave.starts_at + int(chance.uniform(0, 150))
            text = _tagged(self._speech.varied(wave.text), wave.tags) + f" {wave.link}"
            lead = self._add(
                platform, "original", author, at, topic.name, "likely_false",
                Wording(at, text, "en", wave.tags, (wave.link,)),
            )  # fmt: skip
            lead.wave, lead.appeal = wave.number, 0.4
            leads.append(lead)
        for lead in leads[:2]:
            for sharer in chance.sample(accounts, len(accounts)):
                if len(self._postings) >= stop - 1:
                    break
                if sharer is not lead.author and chance.random() < 0.5:
                    at = lead.posted_at + int(chance.uniform(20, 200))
                    self._add_share(lead, sharer, at).wave = wave.number
        taken_up = Spread(reach=4.0, branching=0.5, decay_seconds=HOUR)
        for lead in leads[:3]:
            self._spread(chance, lead, taken_up, stop, believers, inside=0.7)

    def _add_asides(self, platform: str, quota: int) -> None:
        """Answers and quotes, posts without hashtags, emoji, and hashtags that few people use."""
        chance = self._chance(f"asides {platform}")
        stop = len(self._postings) + quota
        earlier = [p for p in self._postings if p.platform == platform and p.kind == "original"]
        crowd = self._crowds[platform]
        topics = [topic for topic in TOPICS.values() if topic.name != "talk"]
        while len(self._postings) < stop:
            author = crowd.draw(chance)
            # below 0.68 it would repeat something: an answer, or emoji
            what = chance.random() if self._has_repeats else chance.uniform(0.68, 1.0)
            if what < 0.55 and earlier:
                self._answer(chance, platform, author, chance.choice(earlier))
                continue
            at = self._waking_moment(chance, chance.randrange(self._n_days), author)
            topic = chance.choice(topics)
            if what < 0.68:
                text = self._speech.emoji()
                self._add(
                    platform, "original", author, at, "emoji", "likely_true",
                    Wording(at, text, "und", ()),
                )  # fmt: skip
            elif what < 0.85:
                stance = _stance(chance, 0.1 * bool(topic.false), 0.0)
                lang = _lang(author, topic, stance)
                text = self._speech.say(topic, stance, lang)
                original = self._add(
                    platform, "original", author, at, topic.name, _label(stance),
                    Wording(at, text, lang, (), self._links(chance, stance)),
                )  # fmt: skip
                original.wordings[0] = _with_links(original.wordings[0])
            else:
                tags = tuple({_rare_tag(chance): None for _ in range(chance.randint(1, 3))})
                lang = author.lang
                text = _tagged(self._speech.say(TOPICS["talk"], "calm", lang), tags)
                self._add(
                    platform, "original", author, at, "rare", "likely_true",
                    Wording(at, text, lang, tags),
                )  # fmt: skip

    def _answer(
        self, chance: random.Random, platform: str, author: Account, earlier: Posting
    ) -> None:
        """A reply or a quote; a few are both."""
        start = max(earlier.posted_at, START)
        at = min(start + 30 + int(chance.expovariate(1 / (3 * HOUR))), self._end - 1)
        at = max(at, start)
        quotes = chance.random() < 0.35
        replies = not quotes or chance.random() < 0.1
        text = self._speech.phrase(words.QUOTES if quotes else words.REPLIES, author.lang)
        tags: tuple[str, ...] = ()
        first_tags = earlier.wordings[0].tags
        if first_tags and chance.random() < (0.5 if quotes else 0.1):
            tags = first_tags[:1]
            text = _tagged(text, tags)
        answer = self._add(
            platform, "quote" if quotes else "reply", author, at, earlier.topic, "likely_true",
            Wording(at, text, author.lang, tags),
        )  # fmt: skip
        if quotes:
            answer.quote_of = earlier
            earlier.quoted_at.append(at)
        if replies:
            answer.reply_to = earlier
            earlier.replied_at.append(at)

    def _add_pictured(self, quota: int) -> None:
        """Instagram: every post has pictures, and some pictures say what the caption hides."""
        chance = self._chance("pictured")
        stop = len(self._postings) + quota
        names = ["flu", "food", "water", "masts", "cash", "fair", "sky", "street", "school"]
        while len(self._postings) < stop:
            topic = TOPICS[chance.choice(names)]
            plan = TOPIC_PLANS[topic.name]
            author = self._crowds["instagram"].draw(chance)
            at = self._waking_moment(chance, int(self._day_of(chance, plan.life)), author)
            stance = _stance(chance, plan.false_share * 1.3, plan.correction_share)
            lang = _lang(author, topic, stance)
            drawn: str | None = None
            tags: tuple[str, ...] = ()
            hides = stance == "false" and bool(topic.on_pictures) and chance.random() < 0.5
            if hides:
                drawn = chance.choice(topic.on_pictures)
                text = self._speech.phrase(words.CAPTIONS, lang)
            else:
                text = self._speech.say(topic, stance, lang)
                if stance == "false" and topic.on_pictures and chance.random() < 0.6:
                    drawn = chance.choice(topic.on_pictures)
                elif chance.random() < 0.15:
                    drawn = chance.choice(("GOOD MORNING", "SEE YOU ON SUNDAY", "OPEN TODAY"))
            if chance.random() < 0.04:
                text = ""  # no caption at all
            else:
                tags = self._tags(chance, topic)
                text = _tagged(text, tags)
            is_false = stance == "false" and drawn is not None
            pictures = [self._picture(chance, "instagram", drawn, is_false)]
            while chance.random() < 0.2 and len(pictures) < 4:
                pictures.append(self._picture(chance, "instagram", None, False))
            if chance.random() < 0.5:
                pictures.reverse()
            label = _label(stance if text or is_false else "calm")
            posted = self._add(
                "instagram", "original", author, at, topic.name, label,
                Wording(at, text, None, tags),
            )  # fmt: skip
            posted.pictures, posted.caption_hides = tuple(pictures), hides
            posted.appeal = math.exp(chance.gauss(2, 1))
            n_comments = min(40, int(chance.expovariate(1 / 4)))
            posted.replied_at = [
                at + int(chance.expovariate(1 / (8 * HOUR))) for _ in range(n_comments)
            ]

    # Making postings

    def _original(
        self,
        chance: random.Random,
        platform: str,
        topic: Topic,
        stance: Stance,
        author: Account,
        at: int,
    ) -> Posting:
        lang = _lang(author, topic, stance)
        text = self._speech.say(topic, stance, lang)
        if chance.random() < 0.02:
            more = [self._speech.say(topic, stance, lang) for _ in range(4)]
            text = " ".join([text, *more])
        if chance.random() < 0.03:
            text += " & <more> soon"
        tags = self._tags(chance, topic)
        links = self._links(chance, stance)
        wording = _with_links(Wording(at, _tagged(text, tags), lang, tags, links))
        made = self._add(platform, "original", author, at, topic.name, _label(stance), wording)
        made.appeal = math.exp(chance.gauss(0.7, 0.8))
        if platform != "instagram" and chance.random() < 0.05:
            drawn = None
            if stance == "false" and topic.on_pictures and chance.random() < 0.6:
                drawn = chance.choice(topic.on_pictures)
            made.pictures = (self._picture(chance, platform, drawn, drawn is not None),)
        return made

    def _picture(
        self, chance: random.Random, platform: str, drawn: str | None, is_false: bool
    ) -> Picture:
        self._n_pictures += 1
        name = f"{platform}_{self._n_pictures:06d}.{'png' if chance.random() < 0.3 else 'jpg'}"
        if platform == "bluesky":  # its addresses end with a hash of the picture
            name = f"bafkrei{chance.getrandbits(128):032x}@jpeg"
        alt = "a view of the harbour" if platform != "instagram" and chance.random() < 0.3 else None
        return Picture(
            name=name,
            scene=chance.randrange(1 << 30),
            words=drawn,
            is_false=is_false,
            alt_text=alt,
        )

    def _add(
        self,
        platform: str,
        kind: Kind,
        author: Account,
        at: int,
        topic: str,
        label: Label,
        wording: Wording,
    ) -> Posting:
        posting = Posting(
            platform=platform,
            kind=kind,
            author=author,
            posted_at=at,
            topic=topic,
            label=label,
            wordings=[wording],
        )
        self._postings.append(posting)
        return posting

    def _add_share(
        self, original: Posting, sharer: Account, at: int, via: Posting | None = None
    ) -> Posting:
        share = self._add(
            original.platform, "share", sharer, at, original.topic, original.label,
            Wording(at, "", original.wordings[0].lang, ()),
        )  # fmt: skip
        share.share_of, share.via = original, via
        original.shared_at.append(at)
        return share

    def _spread(
        self,
        chance: random.Random,
        original: Posting,
        spread: Spread,
        stop: int,
        members: Crowd,
        *,
        inside: float,
        since: int | None = None,
    ) -> None:
        """Shares of an original until `stop` postings are there or the world ends."""
        if not self._has_repeats:
            return
        pace = partial(rhythm, hours_east=original.author.hours_east)
        everybody = self._crowds[original.platform]
        done: set[Account] = set()
        shares: list[Posting | None] = []
        start = float(original.posted_at if since is None else since)
        for arrival in arrivals(chance, start, spread, pace=pace, at_most=2000):
            at = int(arrival.at)
            sharer: Account | None = None
            if len(self._postings) < stop and at < self._end:
                crowd = members if len(members) and chance.random() < inside else everybody
                drawn = crowd.draw_awake(chance, at)
                if chance.random() < 0.008:
                    drawn = original.author
                sharer = None if drawn in done else drawn
                if drawn is original.author and chance.random() < 0.5:
                    sharer = None
            if sharer is None:
                shares.append(None)
                continue
            done.add(sharer)
            via = shares[arrival.parent] if arrival.parent >= 0 else None
            if original.platform == "bluesky" and chance.random() < 0.01:
                at = max(START, original.posted_at - chance.randint(1, 30))  # a slow clock
            shares.append(self._add_share(original, sharer, at, via))

    def _tags(self, chance: random.Random, topic: Topic) -> tuple[str, ...]:
        first = topic.tags[0]
        if topic.spellings and chance.random() < _SPELLED:
            first = chance.choice(topic.spellings)
        tags = [first]
        tags += [tag for tag in topic.tags[1:] if chance.random() < 0.25]
        if chance.random() < 0.12:
            tags.append(_rare_tag(chance))
        if topic.spellings and chance.random() < 0.03:  # the same hashtag twice
            tags.append(chance.choice(topic.spellings))
        return tuple(dict.fromkeys(tags))

    def _links(self, chance: random.Random, stance: Stance) -> tuple[str, ...]:
        if chance.random() > 0.3:
            return ()
        number = chance.randrange(400)
        if stance == "false":
            return (f"https://what-they-hide.example/read/{number}?utm_source=x&id={number}",)
        return (f"https://eldwick-herald.example/2026/{number:03d}",)

    def _day_of(self, chance: random.Random, life: Life) -> float:
        """A day drawn by the life of a hashtag."""
        highest = max(life(day / 4, self._n_days) for day in range(self._n_days * 4))
        while True:
            day = chance.uniform(0, self._n_days)
            if chance.random() * highest <= life(day, self._n_days):
                return day

    def _waking_moment(self, chance: random.Random, day: int, author: Account) -> int:
        """A moment of that UTC day at which the author is awake."""
        while True:
            at = START + day * DAY + chance.randrange(DAY)
            if author.is_awake(chance, at):
                return at

    # What happens later

    def _mark(self) -> None:
        """Edits, deletions, and what collections will miss or find late."""
        chance = self._chance("later")
        for posting in self._postings:
            is_planned = posting.wave is not None
            if posting.kind == "original" and posting.platform == "x":
                if posting.found == "searched" and not is_planned:
                    drawn = chance.random()
                    if drawn < 0.02 and posting.shared_at:
                        posting.found = "embedded"
                    elif drawn < 0.03 and posting.shared_at and posting.author.new_handle is None:
                        posting.found = "never"
                    elif drawn < 0.05:
                        self._edit(chance, posting)
                    elif drawn < 0.08:
                        posting.is_late = True
            elif posting.kind == "share" and posting.platform == "x" and chance.random() < 0.03:
                posting.is_late = True
            elif (
                posting.kind == "original"
                and posting.platform == "bluesky"
                and posting.found == "searched"
                and chance.random() < 0.01
            ):
                self._edit(chance, posting)
            odds = 0.015 if posting.kind != "share" else 0.006
            if chance.random() < odds and posting.platform != "instagram" and not is_planned:
                posting.deleted_at = self._gone_after(chance, self._last_sign_of(posting))
        last_sign: dict[Account, int] = {}
        for posting in self._postings:
            last = max(last_sign.get(posting.author, START), self._last_sign_of(posting))
            last_sign[posting.author] = last
        for platform in ("x", "bluesky"):
            for account in self._accounts[platform]:
                if account.role == "citizen" and chance.random() < 0.02:
                    account.deleted_at = self._gone_after(chance, last_sign.get(account, START))
        if self._campaign is not None:
            for account in self._campaign.accounts[-2:]:
                account.deleted_at = last_sign.get(account, START) + HOUR

    def _last_sign_of(self, posting: Posting) -> int:
        """Nobody shares or edits what is not there any more."""
        signs = (posting.posted_at, posting.wordings[-1].since, *posting.shared_at)
        return max(START, *signs)

    def _gone_after(self, chance: random.Random, last: int) -> int | None:
        """When it goes; None if that is after the world's end."""
        gone = last + 60 + int(chance.expovariate(1 / DAY))
        return gone if gone < self._end else None

    def _edit(self, chance: random.Random, posting: Posting) -> None:
        """Within the hour that X allows: a word more, another hashtag, or one fewer."""
        first = posting.wordings[0]
        tags = first.tags
        text = first.text + " (edited: typo)"
        if chance.random() < 0.5:
            extra = _rare_tag(chance)
            if extra not in tags:
                tags = (*tags, extra)
                text += f" #{extra}"
        since = posting.posted_at + chance.randint(60, 3400)
        if since < self._end:
            posting.wordings.append(Wording(since, text, first.lang, tags, first.links))

    def _name(self) -> None:
        """Ids in order of time, as platforms give them; and what each account had posted when."""
        self._postings.sort(key=lambda posting: posting.posted_at)
        for number, posting in enumerate(self._postings):
            posting.number = number
            posting.shared_at.sort()
            posting.replied_at.sort()
            posting.quoted_at.sort()
            posting.author.posted_at.append(posting.posted_at)
            posting.wordings = [
                Wording(
                    w.since, w.text, w.lang, w.tags, w.links,
                    _post_id(posting, w.since, number, version),
                )
                for version, w in enumerate(posting.wordings)
            ]  # fmt: skip


def _post_id(posting: Posting, since: int, number: int, version: int) -> str:
    """An id as the platform gives them: time first, so that order of ids is order of time.

    X gives every version of a post an id; elsewhere a post keeps the one it has.
    """
    if posting.platform == "x":
        ms = since * 1000 + number % 1000
        return str((ms - 1_288_834_974_657) << 22 | (number << 1 | version) & 0x3FFFFF)
    ms = posting.posted_at * 1000 + number % 1000
    if posting.platform == "instagram":
        return _in_letters((ms - 1_314_220_021_721) << 23 | number & 0x7FFFFF, _BASE_64)
    rkey = _in_letters((ms * 1000) << 10 | number & 0x3FF, _SORTED_32)
    collection = "repost" if posting.kind == "share" else "post"
    return f"at://{posting.author.account_id}/app.bsky.feed.{collection}/{rkey:2>13}"


_BASE_64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_SORTED_32 = "234567abcdefghijklmnopqrstuvwxyz"


def _in_letters(value: int, letters: str) -> str:
    """The number in base len(letters)."""
    written = ""
    while value:
        value, digit = divmod(value, len(letters))
        written = letters[digit] + written
    return written


def _stance(chance: random.Random, false_share: float, correction_share: float) -> Stance:
    drawn = chance.random()
    if drawn < false_share:
        return "false"
    return "correction" if drawn < false_share + correction_share else "calm"


def _label(stance: Stance) -> Label:
    return "likely_false" if stance == "false" else "likely_true"


def _lang(author: Account, topic: Topic, stance: Stance) -> str:
    return author.lang if author.lang in topic.said(stance) else "en"


def _rare_tag(chance: random.Random) -> str:
    """Two words; a few pairs are met again and again, most once."""
    half = len(words.RARE_TAG_WORDS) - 10
    first = min(int(chance.expovariate(1 / 5)), half - 1)
    return words.RARE_TAG_WORDS[first] + words.RARE_TAG_WORDS[half + chance.randrange(10)]


def _tagged(text: str, tags: tuple[str, ...]) -> str:
    return " ".join([text, *(f"#{tag}" for tag in tags)]).strip()


def _with_links(wording: Wording) -> Wording:
    text = " ".join([wording.text, *wording.links])
    return Wording(wording.since, text, wording.lang, wording.tags, wording.links)
