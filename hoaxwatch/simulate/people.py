"""Who lives in the invented world: accounts, and communities that are born, grow, split and die."""

from __future__ import annotations

import bisect
import itertools
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from hoaxwatch.simulate import words
from hoaxwatch.simulate.cascades import DAY, rhythm

Role = Literal["citizen", "newsroom", "campaign"]
Change = Literal["born", "grew", "shrank", "merged", "split", "died"]

#: Hours that the clocks of each language's speakers are ahead of UTC.
HOURS_EAST: Mapping[str, float] = {"en": 0.0, "de": 1.0, "es": -5.0}
#: How many of a hundred people speak each language.
SPEAKERS: Mapping[str, int] = {"en": 76, "de": 13, "es": 11}

_CHANGES: tuple[tuple[Change, float], ...] = (
    *(("grew", 0.2), ("born", 0.3), ("merged", 0.45)),
    *(("split", 0.6), ("shrank", 0.72), ("died", 0.85)),
)


@dataclass(slots=True, eq=False)
class Account:
    """One account. Times are seconds since 1970 UTC; unknown is None."""

    platform: str
    account_id: str
    handle: str
    name: str
    lang: str
    created_at: int
    verified: bool
    followers: int
    followers_per_day: float
    following: int
    n_posts_before: int
    activity: float
    hours_east: float
    role: Role = "citizen"
    #: The handle is another one from then on.
    renamed_at: int | None = None
    new_handle: str | None = None
    deleted_at: int | None = None
    #: When it posted, in order, while the world lasts.
    posted_at: list[int] = field(default_factory=list)

    def handle_at(self, moment: float) -> str:
        """What it was called then."""
        if (
            self.new_handle is not None
            and self.renamed_at is not None
            and moment >= self.renamed_at
        ):
            return self.new_handle
        return self.handle

    def followers_at(self, moment: float, world_start: int) -> int:
        """How many followed it then."""
        days = max(0.0, (moment - world_start) / DAY)
        return self.followers + int(self.followers_per_day * days)

    def n_posts_at(self, moment: float) -> int:
        """How much it had published then."""
        return self.n_posts_before + bisect.bisect_right(self.posted_at, moment)

    def is_awake(self, chance: random.Random, moment: float) -> bool:
        """Drawn by its own daily rhythm."""
        return chance.random() < rhythm(moment, self.hours_east)


class Crowd:
    """Accounts to draw from, the active ones more often."""

    def __init__(self, accounts: Sequence[Account]) -> None:
        self.accounts = tuple(accounts)
        self._sums = list(itertools.accumulate(account.activity for account in accounts))

    def __len__(self) -> int:
        return len(self.accounts)

    def draw(self, chance: random.Random) -> Account:
        """One account, by activity."""
        place = bisect.bisect_right(self._sums, chance.random() * self._sums[-1])
        return self.accounts[min(place, len(self.accounts) - 1)]

    def draw_awake(self, chance: random.Random, moment: float) -> Account:
        """One that is awake; the last of eight tries whether or not."""
        for _ in range(7):
            account = self.draw(chance)
            if account.is_awake(chance, moment):
                return account
        return self.draw(chance)


@dataclass(frozen=True)
class LineageEvent:
    """What happened to communities at the beginning of a day (the first day is 0)."""

    change: Change
    day: int
    before: tuple[str, ...]
    after: tuple[str, ...]


@dataclass(frozen=True)
class Lineage:
    """Which accounts are in which community on each day, and the planted changes."""

    #: One mapping per day: name of community -> its accounts; the first three are its hubs.
    days: tuple[Mapping[str, tuple[Account, ...]], ...]
    events: tuple[LineageEvent, ...]

    def members_on(self, day: int) -> Mapping[str, tuple[Account, ...]]:
        """The communities of a day; before the first and after the last it is that one."""
        return self.days[min(max(day, 0), len(self.days) - 1)]


def make_accounts(
    chance: random.Random,
    platform: str,
    n: int,
    start: int,
    *,
    role: Role = "citizen",
    languages: Sequence[str] = tuple(SPEAKERS),
) -> list[Account]:
    """Accounts of a platform as they are when the world begins.

    Followers are log-normal, activity is Pareto with exponent 1.6: few write most. A campaign's
    accounts are all young, small and speak English.
    """
    speakers = [SPEAKERS[lang] for lang in languages]
    made = []
    for number in range(n):
        lang = "en" if role == "campaign" else chance.choices(languages, speakers)[0]
        if role == "campaign":
            created_at = start - int(chance.uniform(20, 34) * DAY)
            followers = chance.randint(2, 60)
        elif role == "newsroom":
            created_at = start - int(chance.uniform(9, 14) * 365 * DAY)
            followers = chance.randint(8_000, 60_000)
        else:
            created_at = start - int(chance.uniform(0.1, 13) * 365 * DAY)
            followers = int(math.exp(chance.gauss(4.8, 1.5)))
        word, given = chance.choice(words.HANDLE_WORDS), chance.choice(words.GIVEN_NAMES)
        tail = f"{platform[0]}{role[0]}{number}"
        if role == "newsroom":
            name, handle = words.NEWSROOMS[number % len(words.NEWSROOMS)], f"press_{tail}"
        else:
            name = f"{given} {chance.choice(words.FAMILY_NAMES)}"
            handle = f"{word}_{tail}"
        if chance.random() < 0.06:
            name += chance.choice((" 🌊", " (she/her)", ' "the gull"', " \\o/", ", Eldwick"))
        account = Account(
            platform=platform,
            account_id=_account_id(chance, platform, created_at),
            handle=handle,
            name=name,
            lang=lang,
            created_at=created_at,
            verified=role == "newsroom" or chance.random() < 0.03,
            followers=followers,
            followers_per_day=chance.expovariate(1 / (0.002 * followers + 0.3)),
            following=int(math.exp(chance.gauss(5, 1))),
            n_posts_before=int(math.exp(chance.gauss(5.5, 1.6))),
            activity=chance.paretovariate(1.6),
            hours_east=HOURS_EAST[lang] + chance.gauss(0, 1.2),
            role=role,
        )
        made.append(account)
    return made


def _account_id(chance: random.Random, platform: str, created_at: int) -> str:
    if platform == "bluesky":
        letters = "abcdefghijklmnopqrstuvwxyz234567"
        return "did:plc:" + "".join(chance.choice(letters) for _ in range(24))
    if created_at < 1_451_606_400:  # before 2016 X gave accounts small numbers
        return str(chance.randrange(10_000_000, 4_000_000_000))
    return str((((created_at * 1000) - 1_288_834_974_657) << 22) | chance.randrange(1 << 22))


def rename_some(chance: random.Random, accounts: Sequence[Account], start: int, end: int) -> None:
    """One account in fifty takes another handle while the world lasts."""
    for account in accounts:
        if chance.random() < 0.02:
            account.renamed_at = chance.randrange(start, end)
            account.new_handle = f"{account.handle}_now"


def plan_lineage(
    chance: random.Random, accounts: Sequence[Account], n_days: int, n_members: int
) -> Lineage:
    """Six communities of n_members out of these accounts, and one change of each kind at a stated
    day: the one that grows and the one that is born take members of nobody's.

    Worlds of fewer than 6 days have communities and no change. Where there are few accounts,
    communities are smaller.
    """
    drawn = list(accounts)
    chance.shuffle(drawn)
    n_first = min(n_members, len(drawn) // 9)  # in the end 8.5 times as many are in one
    names = ["ferry", "hill", "mill", "market", "quay", "heath"]
    groups: dict[str, tuple[Account, ...]] = {}
    for name in names:
        groups[name], drawn = tuple(drawn[:n_first]), drawn[n_first:]
    days: list[Mapping[str, tuple[Account, ...]]] = []
    events: list[LineageEvent] = []
    planned = {max(1, int(f * n_days)): change for change, f in _CHANGES} if n_days >= 6 else {}
    for day in range(n_days):
        if day in planned:
            events.append(_change(planned[day], day, groups, drawn))
        days.append(dict(groups))
    return Lineage(tuple(days), tuple(events))


def _change(
    change: Change, day: int, groups: dict[str, tuple[Account, ...]], free: list[Account]
) -> LineageEvent:
    """Makes one change to `groups`; new members are taken out of `free`."""
    n = len(groups["hill"])
    match change:
        case "grew":
            groups["hill"] += tuple(free[: n * 3 // 4])
            del free[: n * 3 // 4]
            return LineageEvent(change, day, ("hill",), ("hill",))
        case "born":
            groups["wharf"] = tuple(free[:n])
            del free[:n]
            return LineageEvent(change, day, (), ("wharf",))
        case "merged":
            # hubs of both stay in front
            mill, market = groups.pop("mill"), groups.pop("market")
            groups["mill"] = mill[:2] + market[:1] + mill[2:] + market[1:]
            return LineageEvent(change, day, ("mill", "market"), ("mill",))
        case "split":
            quay = groups["quay"]
            groups["quay"], groups["lighthouse"] = quay[0::2], quay[1::2]
            return LineageEvent(change, day, ("quay",), ("quay", "lighthouse"))
        case "shrank":
            hill = groups["hill"]
            groups["hill"] = hill[: len(hill) // 2]
            return LineageEvent(change, day, ("hill",), ("hill",))
        case "died":
            del groups["heath"]
            return LineageEvent(change, day, ("heath",), ())
