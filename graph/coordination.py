"""Accounts that do the same thing at the same time, again and again, more than chance explains.

An action is (account, object, time). What the object is makes the kind of network:

    co-retweet             the root that is shared
    co-link                the canonical link that is posted
    co-hashtag sequence    the hashtags of a post in their order (`hashtag_sequence`)
    co-text, co-image      a group of near copies (`graph.near_copies`)

Two accounts co-act on an object if both act on it within `window_seconds`. Their edge weighs the
number of objects on which they did; an object that is used day after day counts once a day, and
a burst of use, without a pause longer than the window, is of the day in which it began. Popular
objects and fast ones bring accounts together without any plan, so each edge is compared with a null
model that keeps all that: every account keeps what it acts on and how often, every object keeps how
many act on it, when it begins and so the hour of the day; what is left to chance is how long after
the beginning somebody acts, drawn from how things of that hour usually spread. Whoever is left is
faster together than things spread, again and again. Whether it is a campaign, or fans who follow
one account, has to be looked at; and where nearly everything of a kind is one campaign's, it is
itself what is usual, and not found.

`find_coordination` takes all actions of a period at once; `CoordinationWindow` takes them one by
one and gives the same network for the period that ends now.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.special import gammainc

from graph.keys import UNKNOWN, distinct, index_keys

_MICROSECONDS = 1_000_000
_HOUR_US = 3600 * _MICROSECONDS
_DAY_US = 24 * _HOUR_US

#: Pairs of actions that are expanded at a time: bounds what is held beside those that are kept.
_CHUNK_PAIRS = 4_000_000

Ids = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class CoordinationRules:
    """What counts as acting together, and from when on it is said aloud."""

    #: Two actions on an object are together if they are at most so far apart. A minute is the
    #: usual choice for co-retweets (Graham, Bruns, Angus, Zhu, "Like a virus", 2020).
    window_seconds: float = 60.0
    #: Accounts with fewer actions are left out: nothing repeated can be seen of them.
    min_participation: int = 3
    #: Edges of fewer objects are left out: once or twice together happens.
    min_weight: int = 3
    #: Edges whose less busy end did less than this share of the other's co-actions are left out;
    #: 0 keeps accounts that echo one side.
    min_symmetry: float = 0.0
    #: Expected share of wrong edges among those called significant (Benjamini-Hochberg).
    false_discovery_rate: float = 0.01

    def __post_init__(self) -> None:
        if not 0 <= self.window_seconds <= 3600:
            raise ValueError(
                f"window_seconds is {self.window_seconds}; it must lie in [0, 3600]: what is done"
                " within hours is not done together"
            )
        if self.min_weight < 1:
            raise ValueError(f"min_weight is {self.min_weight}; it must be at least 1")


DEFAULT_RULES = CoordinationRules()


class Actions(NamedTuple):
    """Who did what when: a accounts, m distinct actions, sorted by account, object and time."""

    #: (a,) sorted.
    accounts: tuple[str, ...]
    #: (m,) index into `accounts`.
    actor: Ids
    #: (m,) number of the object.
    object: Ids
    #: (m,) microseconds since 1970, UTC.
    at_us: Ids
    #: Rows given of which account or object was not known.
    n_unknown: int


def index_actions(
    accounts: Sequence[str | None], objects: Sequence[str | None], at_us: ArrayLike
) -> Actions:
    """Actions from parallel columns in any order; the same row twice counts once.

    at_us: int (n,), microseconds since 1970, UTC.   Cost: O(n log n).
    Raises: ValueError if the columns differ in length.

    >>> actions = index_actions(["b", "a", "b", None], ["x", "x", "x", "x"], [5, 7, 5, 9])
    >>> actions.accounts, actions.actor.tolist(), actions.at_us.tolist(), actions.n_unknown
    (('a', 'b'), [0, 1], [7, 5], 1)
    """
    times = np.asarray(at_us, dtype=np.int64)
    if not len(accounts) == len(objects) == len(times):
        raise ValueError("accounts, objects and at_us must have the same length")
    keys, (actor,) = index_keys(accounts)
    _, (thing,) = index_keys(objects)
    known = (actor != UNKNOWN) & (thing != UNKNOWN)
    order = np.lexsort((times, thing, actor))
    order = order[known[order]]
    rows = actor[order], thing[order], times[order]
    is_other = np.ones(len(order), dtype=bool)
    is_other[1:] = np.any([column[1:] != column[:-1] for column in rows], axis=0)
    actor, thing, times = (column[is_other] for column in rows)
    return Actions(keys, actor, thing, times, int((~known).sum()))


def hashtag_sequence(hashtags: Sequence[str], min_tags: int = 2) -> str | None:
    """The object of a co-hashtag network: the tags of a post in their order; None for too few.

    >>> hashtag_sequence(["maga", "ccot"]), hashtag_sequence(["maga"])
    ('maga ccot', None)
    """
    return " ".join(hashtags) if len(hashtags) >= min_tags else None


@dataclass(frozen=True, eq=False, kw_only=True)
class CoordinationNetwork:
    """Accounts that acted together. a accounts, e edges; edges sorted by (one, other)."""

    accounts: tuple[str, ...]
    #: (a,) actions of each account.
    n_actions: Ids
    #: (e,) index of the account that sorts first, and of the other.
    one: Ids
    other: Ids
    #: (e,) objects on which both acted within the window.
    weight: Ids
    #: (e,) of the actions in it, those of the less busy end by those of the other, in (0, 1].
    symmetry: Floats
    #: (e,) weight that the null model expects.
    expected: Floats
    #: (e,) probability of at least this weight under the null model.
    p_value: Floats
    #: (e,) least false discovery rate at which the edge is significant.
    q_value: Floats
    #: (e,) True where q_value <= rules.false_discovery_rate.
    is_significant: NDArray[np.bool_]
    rules: CoordinationRules

    def groups(self) -> list[Ids]:
        """Accounts connected by significant edges, as indices; greatest group first."""
        if not self.is_significant.any():
            return []
        ends = self.one[self.is_significant], self.other[self.is_significant]
        n = len(self.accounts)
        links = coo_array((np.ones(len(ends[0])), ends), shape=(n, n))
        _, part = connected_components(links, directed=False)
        touched = distinct(np.concatenate(ends))
        numbers = {int(number) for number in part[touched]}
        found = [touched[part[touched] == number] for number in numbers]
        return sorted(found, key=lambda members: (-len(members), int(members[0])))


def find_network(actions: Actions, rules: CoordinationRules = DEFAULT_RULES) -> CoordinationNetwork:
    """The network of accounts that acted together, each edge compared with the null model.

        weight(a, b)   = |{(object, day) on which a and b acted within window_seconds}|
        symmetry(a, b) = min(n_a, n_b) / max(n_a, n_b), n_a: a's actions among those
        expected(a, b) = sum over (object, day) i of both  1 - (1 - q_i)^(k_ai k_bi)
        q_i            = 2 / n_i P(D <= window) + (1 - 2 / n_i) P(|D - D'| <= window)
        p              = P(Poisson(expected) >= weight)

    k_ai: a's actions on i, n_i: all actions on it; D, D': delays of two actions behind the first,
    drawn from those of all objects whose day began in the same hour of the day, each object with
    equal weight. So a campaign that is a part f of what happens in its hours raises q by f^2 only.
    A sum of unequal chances is less spread than Poisson's: p errs on the careful side
    (`measure_false_alarms` counts). q-values are Benjamini-Hochberg's over all pairs of accounts
    that take part, seen together or not, so nothing is won by looking only at striking pairs.
    Source: Pacheco et al., ICWSM 2021 (networks of coordination); Benjamini & Hochberg, J. Royal
    Statistical Society B 57, 1995.

    Cost: the pairs of actions on an object within the window, and O(e n_a log n) for the null.
    """
    return _network(actions, _pairs_of(actions, rules), rules)


def may_coordinate(
    accounts: Sequence[str | None],
    objects: Sequence[str | None],
    times: Sequence[datetime],
    rules: CoordinationRules = DEFAULT_RULES,
) -> bool:
    """False only if the network of these actions, given in the order of time, can have no edge.

    For windows in great number, in most of which nobody acts often enough, or never at the same
    time. Whoever is together on an object is so in steps no longer than `window_seconds`, so fewer
    such steps than `min_weight` make no edge.

    accounts, objects, times: parallel columns.   Cost: O(n).
    Raises: ValueError if the columns differ in length.

    >>> second = timedelta(seconds=1)
    >>> times = [datetime(2026, 3, 1) + 600 * i * second for i in range(3) for _ in "ab"]
    >>> may_coordinate("ababab", "xxyyzz", times), may_coordinate("ababab", "xyzxyz", times)
    (True, False)
    """
    window = timedelta(seconds=rules.window_seconds)
    n_actions = Counter(accounts)
    last: dict[str | None, datetime] = {}
    n_close = 0
    for account, thing, at in zip(accounts, objects, times, strict=True):
        if n_actions[account] >= rules.min_participation:
            before = last.get(thing)
            n_close += before is not None and at - before <= window
            last[thing] = at
    return n_close >= rules.min_weight


class _Pairs(NamedTuple):
    """Pairs of actions on one object within the window, the account that sorts first first."""

    first: Ids  # rows of the actions
    second: Ids


def _take_part(actions: Actions, rules: CoordinationRules) -> NDArray[np.bool_]:
    """(a,) Whether an account acts often enough."""
    return np.bincount(actions.actor, minlength=len(actions.accounts)) >= rules.min_participation


def _pairs_of(actions: Actions, rules: CoordinationRules) -> _Pairs:
    # what goes viral is shared by many who share nothing else: their pairs are not even made
    rows = np.flatnonzero(_take_part(actions, rules)[actions.actor])
    order = rows[np.lexsort((actions.at_us[rows], actions.object[rows]))]
    thing, at = actions.object[order], actions.at_us[order]
    window_us = _window_us(rules)
    # one ascending key for (object, time), so that a search finds the end of each action's window
    span = (int(at.max()) - int(at.min()) if len(at) else 0) + window_us + 1
    _check_span(span, thing)
    key = thing * span + (at - (at.min() if len(at) else 0))
    end = np.searchsorted(key, key + window_us, side="right")
    n_later = end - np.arange(len(key)) - 1
    parts: list[tuple[Ids, Ids]] = []
    for rows in _chunks(n_later, _CHUNK_PAIRS):
        left = np.repeat(rows, n_later[rows])
        offset = np.arange(len(left)) - np.repeat(
            np.cumsum(n_later[rows]) - n_later[rows], n_later[rows]
        )
        right = left + 1 + offset
        i, j = order[left], order[right]
        apart = actions.actor[i] != actions.actor[j]
        i, j = i[apart], j[apart]
        turned = actions.actor[i] > actions.actor[j]
        parts.append((np.where(turned, j, i), np.where(turned, i, j)))
    if not parts:
        return _Pairs(np.empty(0, np.int64), np.empty(0, np.int64))
    return _Pairs(*(np.concatenate(side) for side in zip(*parts, strict=True)))


def _check_span(span: int, thing: Ids) -> None:
    if len(thing) and (int(thing.max()) + 1) * span > np.iinfo(np.int64).max:
        raise ValueError("too many objects over too long a time: take a shorter period")


def _chunks(n_pairs: Ids, limit: int) -> Iterator[Ids]:
    """Row numbers in runs whose pairs add up to about the limit."""
    if len(n_pairs) == 0:
        return
    chunk = np.cumsum(n_pairs) // limit
    yield from np.split(np.arange(len(n_pairs)), np.flatnonzero(np.diff(chunk)) + 1)


def _network(actions: Actions, pairs: _Pairs, rules: CoordinationRules) -> CoordinationNetwork:
    n = len(actions.accounts)
    n_actions = np.bincount(actions.actor, minlength=n).astype(np.int64)
    takes_part = _take_part(actions, rules)
    first, second = pairs
    both = takes_part[actions.actor[first]] & takes_part[actions.actor[second]]
    first, second = first[both], second[both]
    edge_key = actions.actor[first] * max(n, 1) + actions.actor[second]
    keys, edge = np.unique(edge_key, return_inverse=True)
    uses = _uses_of(actions, rules)
    weight = _distinct_per_edge(edge, uses.number[first], max(uses.n_uses, 1), len(keys))
    n_rows = max(len(actions.actor), 1)
    n_first = _distinct_per_edge(edge, first, n_rows, len(keys))
    n_second = _distinct_per_edge(edge, second, n_rows, len(keys))
    symmetry = np.minimum(n_first, n_second) / np.maximum(np.maximum(n_first, n_second), 1)
    kept = (weight >= rules.min_weight) & (symmetry >= rules.min_symmetry)
    one, other = np.divmod(keys[kept], max(n, 1))
    weight, symmetry = weight[kept], symmetry[kept]
    expected = _expected_weight(actions, uses, one, other, rules)
    p_value = np.where(expected > 0, gammainc(weight, np.maximum(expected, 1e-300)), 0.0)
    n_part = int(takes_part.sum())
    q_value = adjust_p_values(p_value, n_part * (n_part - 1) // 2)
    return CoordinationNetwork(
        accounts=actions.accounts,
        n_actions=n_actions,
        one=one,
        other=other,
        weight=weight,
        symmetry=symmetry,
        expected=expected,
        p_value=p_value,
        q_value=q_value,
        is_significant=q_value <= rules.false_discovery_rate,
        rules=rules,
    )


def _distinct_per_edge(edge: Ids, value: Ids, n_values: int, n_edges: int) -> Ids:
    pairs = distinct(edge * n_values + value)
    return np.bincount(pairs // n_values, minlength=n_edges).astype(np.int64)


class _Uses(NamedTuple):
    """Objects by day: u of them, numbered. Both actions of a pair are in the same one."""

    #: (m,) which one each action belongs to.
    number: Ids
    #: (u,) first and last action, microseconds since 1970.
    first_us: Ids
    last_us: Ids
    #: (u,) actions.
    size: Ids
    #: (m,) True for the first action of each.
    is_first: NDArray[np.bool_]

    @property
    def n_uses(self) -> int:
        return len(self.size)

    @property
    def hour(self) -> Ids:
        """(u,) hour of the day in which it began, UTC."""
        return self.first_us // _HOUR_US % 24


def _uses_of(actions: Actions, rules: CoordinationRules) -> _Uses:
    order = np.lexsort((actions.at_us, actions.object))
    thing, at = actions.object[order], actions.at_us[order]
    is_other = np.diff(thing) != 0
    # cut by the day in which a burst begins, not within one: whoever meets around midnight would
    # else do so in no use of both, where chance is never expected to bring anybody together
    is_burst = np.ones(len(order), dtype=bool)
    is_burst[1:] = is_other | (np.diff(at) > _window_us(rules))
    day = at[is_burst][np.cumsum(is_burst) - 1] // _DAY_US
    begins = np.ones(len(order), dtype=bool)
    begins[1:] = is_other | (np.diff(day) != 0)
    number = np.empty(len(order), dtype=np.int64)
    number[order] = np.cumsum(begins) - 1
    size = np.bincount(number).astype(np.int64)
    is_first = np.zeros(len(order), dtype=bool)
    is_first[order[begins]] = True
    return _Uses(number, at[begins], at[np.cumsum(size) - 1], size, is_first)


def _window_us(rules: CoordinationRules) -> int:
    return round(rules.window_seconds * _MICROSECONDS)


class _Delays(NamedTuple):
    """How long after the beginning things of one hour of the day are used; ascending."""

    seconds: Floats
    #: Sum of the weights up to each, from 0 to 1: one longer than `seconds`.
    cumulated: Floats


def _delays_by_hour(actions: Actions, uses: _Uses) -> list[_Delays]:
    later = np.flatnonzero(~uses.is_first)
    seconds = (actions.at_us[later] - uses.first_us[uses.number[later]]) / _MICROSECONDS
    weight = 1.0 / (uses.size[uses.number[later]] - 1)  # each object counts once
    hour = uses.hour[uses.number[later]]
    found = []
    for of_hour in (np.flatnonzero(hour == h) for h in range(24)):
        rows = of_hour[np.argsort(seconds[of_hour], kind="stable")]
        cumulated = np.concatenate([[0.0], np.cumsum(weight[rows])])
        found.append(_Delays(seconds[rows], cumulated / max(float(cumulated[-1]), 1e-300)))
    return found


def _chance_together(delays: _Delays, window: float) -> tuple[float, float]:
    """That an action comes within the window after the first; that two come within it."""
    if len(delays.seconds) == 0:
        return 0.0, 0.0
    weight = np.diff(delays.cumulated)
    low = np.searchsorted(delays.seconds, delays.seconds - window, side="left")
    high = np.searchsorted(delays.seconds, delays.seconds + window, side="right")
    after_first = delays.cumulated[np.searchsorted(delays.seconds, window, side="right")]
    both = (weight * (delays.cumulated[high] - delays.cumulated[low])).sum()
    return float(after_first), float(both)


def _expected_weight(
    actions: Actions, uses: _Uses, one: Ids, other: Ids, rules: CoordinationRules
) -> Floats:
    """What the null model gives on average, for each edge."""
    expected = np.zeros(len(one))
    if len(one) == 0:
        return expected
    chances = np.array(
        [_chance_together(d, rules.window_seconds) for d in _delays_by_hour(actions, uses)]
    )
    after_first, both = chances[uses.hour].T
    with_first = 2 / uses.size
    chance = np.where(uses.size > 1, with_first * after_first + (1 - with_first) * both, 0.0)

    # what each account acts on, and how often; sorted by account and object
    did, times = np.unique(actions.actor * uses.n_uses + uses.number, return_counts=True)
    actor, use = np.divmod(did, uses.n_uses)
    n_did = np.bincount(actor, minlength=len(actions.accounts))
    begin = np.cumsum(n_did) - n_did
    # go through what the less busy end did and search it with the other
    fewer = n_did[one] <= n_did[other]
    from_, to = np.where(fewer, one, other), np.where(fewer, other, one)
    for edges in _chunks(n_did[from_], _CHUNK_PAIRS):
        n_rows = n_did[from_[edges]]
        edge = np.repeat(edges, n_rows)
        offset = np.arange(len(edge)) - np.repeat(np.cumsum(n_rows) - n_rows, n_rows)
        mine = begin[from_[edge]] + offset
        wanted = to[edge] * uses.n_uses + use[mine]
        theirs = np.minimum(np.searchsorted(did, wanted), len(did) - 1)
        met = did[theirs] == wanted
        mine, theirs, edge = mine[met], theirs[met], edge[met]
        never = (1 - chance[use[mine]]) ** (times[mine] * times[theirs])
        expected += np.bincount(edge, weights=1 - never, minlength=len(one))
    return expected


def adjust_p_values(p_values: Floats, n_tests: int) -> Floats:
    """Benjamini-Hochberg: the least false discovery rate at which each test is significant.

        q_(k) = min over l >= k of  p_(l) n_tests / l

    n_tests: how many were made, of which only these need a look; the others count as p = 1.

    >>> adjust_p_values(np.array([0.01, 0.5, 0.001]), 10).round(3).tolist()
    [0.05, 1.0, 0.01]
    """
    order = np.argsort(p_values, kind="stable")
    rank = np.arange(1, len(order) + 1)
    ascending = p_values[order] * max(n_tests, len(order)) / rank
    q_values = np.empty(len(order))
    q_values[order] = np.minimum.accumulate(ascending[::-1])[::-1]
    return np.minimum(q_values, 1.0)


def draw_times(actions: Actions, seed: int, rules: CoordinationRules = DEFAULT_RULES) -> Actions:
    """One draw of the null model: everything but the beginnings happens at another time.

    Of each object and day, one of the actions, drawn, stands where its first stood, and the others
    follow after delays drawn from those of all objects that began in the same hour of the day,
    within its last day. Who acts on what how often stays; actions that become equal stay too.
    """
    chance = np.random.default_rng(seed)
    uses = _uses_of(actions, rules)
    at_us = uses.first_us[uses.number]
    order = np.lexsort((chance.random(len(at_us)), uses.number))
    follows = np.ones(len(at_us), dtype=bool)
    follows[order[np.cumsum(uses.size) - uses.size]] = False
    hour = uses.hour[uses.number]
    for h, delays in enumerate(_delays_by_hour(actions, uses)):
        rows = np.flatnonzero(follows & (hour == h))
        drawn = np.searchsorted(delays.cumulated[1:], chance.random(len(rows)), side="right")
        if len(rows):
            seconds = delays.seconds[np.minimum(drawn, len(delays.seconds) - 1)]
            at_us[rows] += np.round(seconds * _MICROSECONDS).astype(np.int64)
    end_us = (uses.last_us[uses.number] // _DAY_US + 1) * _DAY_US - 1
    return actions._replace(at_us=np.minimum(at_us, end_us))


@dataclass(frozen=True, kw_only=True)
class FalseAlarms:
    """What the same rules find where there is nothing to find."""

    n_draws: int
    #: Share of draws with at least one significant edge.
    draws_with_alarm: float
    #: Accounts accused per draw, as share of the accounts that take part.
    account_rate: float
    #: Accounts in the greatest group of each draw, ascending.
    greatest_groups: tuple[int, ...]


def measure_false_alarms(
    actions: Actions,
    rules: CoordinationRules = DEFAULT_RULES,
    *,
    seed: int = 1,
    n_draws: int = 20,
) -> FalseAlarms:
    """How often the rules accuse somebody when all happens by chance (`draw_times`).

    Cost: n_draws times `find_network`.   Raises: ValueError if n_draws < 1.
    """
    if n_draws < 1:
        raise ValueError(f"n_draws is {n_draws}; it must be at least 1")
    n_part = int((np.bincount(actions.actor) >= rules.min_participation).sum())
    accused, greatest = [], []
    for draw in range(n_draws):
        groups = find_network(draw_times(actions, seed + draw, rules), rules).groups()
        accused.append(sum(map(len, groups)))
        greatest.append(max(map(len, groups), default=0))
    return FalseAlarms(
        n_draws=n_draws,
        draws_with_alarm=float(np.mean([n > 0 for n in accused])),
        account_rate=float(np.mean(accused)) / n_part if n_part else 0.0,
        greatest_groups=tuple(sorted(greatest)),
    )


@dataclass(frozen=True, kw_only=True)
class CoordinatedGroup:
    """Accounts connected by significant edges."""

    #: Sorted.
    accounts: tuple[str, ...]
    n_edges: int
    #: Objects per edge, mean.
    mean_weight: float
    #: Significant edges by possible ones.
    density: float
    #: Share of chance draws whose greatest group has at least as many accounts, counting this one
    #: as a draw: at least 1 / (n_draws + 1).
    p_value: float


def find_coordination(
    actions: Actions,
    rules: CoordinationRules = DEFAULT_RULES,
    *,
    seed: int = 1,
    n_draws: int = 20,
) -> tuple[CoordinationNetwork, list[CoordinatedGroup], FalseAlarms]:
    """The network, the groups in it, and what the same rules find in chance draws.

        p(group) = (1 + |{draws whose greatest group is as great}|) / (1 + n_draws)

    Since each draw is asked for its greatest group, p holds for all groups together.

    Cost: n_draws + 1 times `find_network`.

    >>> rows = [(f"u{(t + i) % 12}", f"o{t}", 10**6 * (600 * t + 130 * i))
    ...         for t in range(60) for i in range(6)]
    >>> rows += [(name, f"plan{t}", 10**6 * 600 * t) for t in range(0, 60, 8) for name in "xy"]
    >>> network, groups, alarms = find_coordination(index_actions(*zip(*rows)))
    >>> [group.accounts for group in groups], alarms.draws_with_alarm
    ([('x', 'y')], 0.0)
    """
    network = find_network(actions, rules)
    alarms = measure_false_alarms(actions, rules, seed=seed, n_draws=n_draws)
    found = []
    for members in network.groups():
        is_inside = network.is_significant & np.isin(network.one, members)
        n_edges = int(is_inside.sum())
        at_least = sum(n >= len(members) for n in alarms.greatest_groups)
        found.append(
            CoordinatedGroup(
                accounts=tuple(network.accounts[i] for i in members.tolist()),
                n_edges=n_edges,
                mean_weight=float(network.weight[is_inside].mean()),
                density=2 * n_edges / (len(members) * (len(members) - 1)),
                p_value=(1 + at_least) / (1 + n_draws),
            )
        )
    return network, found, alarms


class _Act(NamedTuple):
    account: str
    object: str
    at_us: int


class CoordinationWindow:
    """The same, one action after the other: what happened in the last `period_seconds`.

    Takes actions in the order of time and keeps those of the period and their pairs, nothing else:
    memory is bounded by what happens in a period. `network()` equals `find_network` of the actions
    in (last - period, last]. Late actions are refused: the windows they belong to are computed
    again from all their actions.

    >>> window = CoordinationWindow(3600, CoordinationRules(min_weight=1, min_participation=1))
    >>> for account, at in (("a", 0), ("b", 30), ("a", 5000), ("c", 5030)):
    ...     window.add(account, "root", at * 10**6)
    >>> network = window.network()
    >>> [(network.accounts[i], network.accounts[j]) for i, j in zip(network.one, network.other)]
    [('a', 'c')]
    """

    def __init__(self, period_seconds: float, rules: CoordinationRules = DEFAULT_RULES) -> None:
        if period_seconds <= 0:
            raise ValueError(f"period_seconds is {period_seconds}; it must be greater than 0")
        self.rules = rules
        self._period_us = round(period_seconds * _MICROSECONDS)
        self._window_us = _window_us(rules)
        self._acts: deque[_Act] = deque()
        #: Actions of the last window_seconds by object, oldest first.
        self._recent: dict[str, deque[_Act]] = {}
        #: Pairs in the order of the later action; the earlier one decides when a pair is over.
        self._pairs: deque[tuple[_Act, _Act]] = deque()
        self._last_us: int | None = None

    def __len__(self) -> int:
        """Actions that are kept."""
        return len(self._acts)

    def add(self, account: str | None, thing: str | None, at_us: int) -> None:
        """Takes one action; one that is not known or was given before changes nothing.

        Cost: the actions on the same object in the last window_seconds.
        Raises: ValueError if it is older than the one before.
        """
        if self._last_us is not None and at_us < self._last_us:
            raise ValueError(f"an action of {at_us} us comes after one of {self._last_us} us")
        self._last_us = at_us
        self._forget(at_us)
        if not account or not thing:
            return
        act = _Act(account, thing, at_us)
        recent = self._recent_of(thing, at_us)
        if act in recent:
            return
        self._recent[thing] = recent
        self._pairs.extend((earlier, act) for earlier in recent if earlier.account != account)
        recent.append(act)
        self._acts.append(act)

    def extend(self, acts: Iterable[tuple[str | None, str | None, int]]) -> None:
        """Takes (account, object, at_us) one after the other."""
        for account, thing, at_us in acts:
            self.add(account, thing, at_us)

    def _forget(self, now_us: int) -> None:
        """Drops what is over."""
        over = now_us - self._period_us
        while self._acts and self._acts[0].at_us <= over:
            self._recent_of(self._acts.popleft().object, now_us)
        # a pair is over with its earlier action, which `network` asks for; here only the later one
        # is looked at, so that the order of arrival is enough
        while self._pairs and self._pairs[0][1].at_us <= over:
            self._pairs.popleft()

    def _recent_of(self, thing: str, now_us: int) -> deque[_Act]:
        """The actions on an object in the last window_seconds."""
        recent = self._recent.get(thing, deque())
        while recent and recent[0].at_us < now_us - self._window_us:
            recent.popleft()
        if not recent:
            self._recent.pop(thing, None)
        return recent

    def network(self) -> CoordinationNetwork:
        """The network of the period that ends with the last action.

        Cost: O(n log n) in the actions and pairs that are kept.
        """
        acts = sorted(set(self._acts))
        actions = index_actions(
            [act.account for act in acts],
            [act.object for act in acts],
            np.array([act.at_us for act in acts], dtype=np.int64),
        )
        # index_actions sorts by account, object and time, as sorted() did
        row = {act: number for number, act in enumerate(acts)}
        over = (self._last_us or 0) - self._period_us
        live = [(row[a], row[b]) for a, b in self._pairs if a.at_us > over]
        ends = np.array(live, dtype=np.int64).reshape(-1, 2)
        turned = actions.actor[ends[:, 0]] > actions.actor[ends[:, 1]]
        ends[turned] = ends[turned][:, ::-1]
        return _network(actions, _Pairs(ends[:, 0], ends[:, 1]), self.rules)
