"""Clusters that keep their identity: which cluster of a window is which one of the window before.

Community numbers mean nothing from one window to the next. Here the clusters of successive windows
are matched by their members, a cluster that goes on keeps its name, and what happens to names makes
the events: born, grew, shrank, merged, split, died. A name is made from data (topic, first window,
founding members), so the same windows give the same names on every machine, and whatever people
attach to a name stays with it.

    names = name_clusters("tag:x", "2023-04-25", clusters, previous=yesterday)
    events = find_events(yesterday, dict(zip(names, clusters)))

Whether a cluster grew or shrank takes more than two windows to say: `SizeWatch`.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import chain, islice
from typing import Literal, NamedTuple

Kind = Literal["born", "grew", "shrank", "merged", "split", "died"]


@dataclass(frozen=True, kw_only=True)
class LineageRules:
    """When two clusters are the same one, and when it has grown or shrunk."""

    #: Jaccard overlap from which two clusters are related (Greene, Doyle, Cunningham, ASONAM 2010,
    #: match that way). Of two equally large clusters 46 % of the members must be common at 0.3:
    #: who shares comes and goes from day to day, and 0.5 would ask for two thirds.
    match_from: float = 0.3
    #: They are also related if at least this share of the smaller one is in the greater one: a
    #: quarter that splits off has Jaccard 0.25 with its origin, but all of its members.
    part_from: float = 0.5
    #: Common members that a relation by `part_from` needs: two accounts may be chance.
    min_common: int = 3
    #: A cluster that is related to none is said to have merged or split if at least `part_from` of
    #: its accounts that the other window knows at all are in one cluster there, and those are at
    #: least this part of it: many accounts are silent in a window, and the rest went together.
    moved_from: float = 0.25
    #: A cluster grew if so many came, against its regulars, and shrank if that share of them left
    #: (`SizeWatch`). How many are seen says little: in the invented world it varies by a quarter
    #: from window to window where nobody comes or goes, so we ask who. Chosen on seeds 1 to 6.
    came_from: float = 0.4
    left_from: float = 0.45
    #: Fewer than so many who come or leave are no change: clusters of a dozen borrow their
    #: neighbours' accounts now and then.
    min_changed: int = 8
    #: Whoever names the clusters of a window leaves smaller ones out: of three accounts one more
    #: or less is another cluster.
    min_users: int = 5
    #: A star (`graph.stability.find_stars`) is left out below this: one account that a few others
    #: share is nobody's group, and comes and goes with every popular post.
    min_star_users: int = 10


DEFAULT_RULES = LineageRules()


def is_large_enough(n_users: int, is_star: bool, rules: LineageRules = DEFAULT_RULES) -> bool:
    """Whether a cluster is followed from window to window.

    >>> [is_large_enough(n, is_star) for n, is_star in ((4, False), (5, False), (9, True))]
    [False, True, False]
    """
    return n_users >= (rules.min_star_users if is_star else rules.min_users)


class Relation(NamedTuple):
    """Two clusters of different windows with enough members in common."""

    before: str
    after: int
    n_common: int
    jaccard: float


@dataclass(frozen=True, kw_only=True)
class LineageEvent:
    """What happened to one lineage between two windows."""

    kind: Kind
    #: The lineage it happened to: for a merge the one that ends, for a split the one that begins.
    name: str
    #: The lineage it merged into or split from; None for other kinds.
    other: str | None
    #: Members before and after; 0 where there is no such window of it.
    n_before: int
    n_after: int


def relate_clusters(
    before: Mapping[str, Collection[str]],
    after: Sequence[Collection[str]],
    rules: LineageRules = DEFAULT_RULES,
) -> list[Relation]:
    """All pairs of clusters that are related, one-to-many in both directions, best first.

        related:  |A & B| / |A | B| >= match_from,  or
                  |A & B| / min(|A|, |B|) >= part_from  and  |A & B| >= min_common

    Order: by Jaccard, then by common members, then by name and number, so it does not depend on
    the order of the input. Clusters of one window do not overlap.

    Cost: O(members).

    >>> [(r.before, r.after, round(r.jaccard, 2)) for r in relate_clusters(
    ...     {"x": "abcdefgh"}, ["abcde", "fgh", "uvw"])]
    [('x', 0, 0.62), ('x', 1, 0.38)]
    """
    name_of = {member: name for name, members in before.items() for member in members}
    size = {name: len(set(members)) for name, members in before.items()}
    found = []
    for number, members in enumerate(after):
        distinct = set(members)
        common = Counter(map(name_of.get, distinct))
        for name, n_common in common.items():
            if name is None:
                continue
            jaccard = n_common / (size[name] + len(distinct) - n_common)
            part = n_common / min(size[name], len(distinct))
            is_part = part >= rules.part_from and n_common >= rules.min_common
            if jaccard >= rules.match_from or is_part:
                found.append(Relation(name, number, n_common, jaccard))
    smallest = {r.after: min(after[r.after]) for r in found}
    return sorted(found, key=lambda r: (-r.jaccard, -r.n_common, r.before, smallest[r.after]))


def name_clusters(
    topic: str,
    window: str,
    clusters: Sequence[Collection[str]],
    *,
    previous: Mapping[str, Collection[str]] | None = None,
    rules: LineageRules = DEFAULT_RULES,
) -> tuple[str, ...]:
    """A name for each cluster of a window: the name of the lineage that goes on, or a new one.

    Names of the `previous` window are given each at most once, the best related pair first
    (`relate_clusters`). What is left gets a new name: `found_name`.

    Cost: O(members log members).

    >>> yesterday = {"x": {"a", "b", "c", "d"}}
    >>> today = [{"p", "q", "r"}, {"a", "b", "c", "e"}]
    >>> names = name_clusters("tag:t", "day 2", today, previous=yesterday)
    >>> names[1], names[0] == found_name("tag:t", "day 2", today[0])
    ('x', True)
    """
    names: dict[int, str] = {}
    given: set[str] = set()
    for relation in relate_clusters(previous or {}, clusters, rules):
        if relation.before not in given and relation.after not in names:
            names[relation.after] = relation.before
            given.add(relation.before)
    return tuple(
        names.get(number) or found_name(topic, window, members)
        for number, members in enumerate(clusters)
    )


def found_name(topic: str, window: str, members: Collection[str]) -> str:
    """12 hex digits from a topic, the first window and the founding members, in any order.

    >>> found_name("tag:egu23", "2023-04-24", ["b", "a"])
    '575acd4ce756'
    """
    told = "\0".join([topic, window, *sorted(set(members))])
    return blake2b(told.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()


def find_events(
    before: Mapping[str, Collection[str]],
    after: Mapping[str, Collection[str]],
    rules: LineageRules = DEFAULT_RULES,
) -> list[LineageEvent]:
    """Which names began and ended between two windows; sorted by name.

    A name that is gone merged into the cluster it is best related to, or where its accounts went
    (`LineageRules.moved_from`), or it died. A name that is new split from the one it is best
    related to, or from where its accounts were, or it was born. Of names in both nothing is said
    here: see `SizeWatch`.

    Cost: O(members log members).

    >>> before = {"x": "abcdefgh", "y": "uvw"}
    >>> [(e.kind, e.name, e.other) for e in find_events(before, {"x": "abcde", "z": "fgh"})]
    [('died', 'y', None), ('split', 'z', 'x')]
    """
    if before.keys() == after.keys():
        return []
    names = sorted(after)
    relations = relate_clusters(before, [after[name] for name in names], rules)
    origin: dict[str, str] = {}
    heir: dict[str, str] = {}
    for relation in relations:
        origin.setdefault(names[relation.after], relation.before)
        heir.setdefault(relation.before, names[relation.after])
    for here, there, found in ((before, after, heir), (after, before, origin)):
        place = {member: name for name, members in there.items() for member in members}
        for name in here.keys() - there.keys() - found.keys():
            moved = _where_most_went(here[name], place, rules)
            if moved is not None:
                found[name] = moved
    events = []
    for name in sorted(before.keys() ^ after.keys()):
        n_before, n_after = len(set(before.get(name, ()))), len(set(after.get(name, ())))
        kind: Kind
        if name in before:
            other = heir.get(name)
            kind = "merged" if other else "died"
        else:
            other = origin.get(name)
            kind = "split" if other else "born"
        events.append(
            LineageEvent(kind=kind, name=name, other=other, n_before=n_before, n_after=n_after)
        )
    return events


def _where_most_went(
    members: Collection[str], place: Mapping[str, str], rules: LineageRules
) -> str | None:
    """The cluster of the other window that has most of the members it knows; of equals the first
    by name. None if that is too small a part."""
    distinct = set(members)
    known = Counter(place[member] for member in distinct if member in place)
    if not known:
        return None
    name, n_common = min(known.items(), key=lambda item: (-item[1], item[0]))
    is_enough = (
        n_common >= rules.min_common
        and n_common >= rules.part_from * known.total()
        and n_common >= rules.moved_from * len(distinct)
    )
    return name if is_enough else None


class SizeWatch:
    """Says when a lineage grew or shrank: who came and who left, not how many were seen.

    See one window after the other, without gaps. With m windows as what is recent (those that begin
    within one length, at least two) and the 2 m windows before them as what was:

        regulars(x) = accounts in x in at least half of the windows that were
        came(x)     = accounts in x now that are in the topic since a recent window, and were in no
                      cluster of it for 2 m windows before that
        left(x)     = regulars of x that no cluster of the topic has had in any recent window

        grew    if |came| >= came_from * |regulars|
        shrank  if |left| >= left_from * |regulars|

    Accounts that go from one cluster to another neither come nor leave: that is a merge or a split.
    Nor do those who are only silent for a window. If both hold, others came for those who left,
    and the greater number decides. A change is told once, in the window in which it
    can first be known: newcomers at once or a window later, the departed when a whole length has
    passed without them. A lineage younger than 3 m windows tells nothing.

    What is told of a window depends on it and the `n_windows` - 1 before it alone.

    Cost: O(members) per window.

    >>> watch = SizeWatch(length_in_steps=1)
    >>> group, more = {f"a{i}" for i in range(20)}, {f"b{i}" for i in range(10)}
    >>> for _ in range(6):
    ...     assert watch.see({"x": group}) == []
    >>> [(e.kind, e.n_before, e.n_after) for e in watch.see({"x": group | more})]
    [('grew', 20, 30)]
    """

    def __init__(self, length_in_steps: int, rules: LineageRules = DEFAULT_RULES) -> None:
        self.rules = rules
        self.n_recent = max(2, length_in_steps)
        self.n_former = 2 * self.n_recent
        #: How many windows, the present one with them, decide what is told.
        self.n_windows = self.n_former + 2 * self.n_recent
        self._now = 0
        self._windows: deque[dict[str, frozenset[str]]] = deque(
            maxlen=self.n_former + self.n_recent
        )
        self._last: dict[str, int] = {}
        self._came: dict[str, int] = {}
        #: (kind, lineage) -> the last window of which it held.
        self._held: dict[tuple[Kind, str], int] = {}

    def see(self, named: Mapping[str, Collection[str]]) -> list[LineageEvent]:
        """What is told of the next window, given its lineages with their members; by name."""
        self._now += 1
        self._windows.append({name: frozenset(members) for name, members in named.items()})
        for members in self._windows[-1].values():
            for account in members:
                if self._now - self._last.get(account, -self.n_windows) > self.n_former:
                    self._came[account] = self._now
                self._last[account] = self._now
        if self._now % self.n_windows == 0:  # so that memory is bounded by the windows
            held = self._now - self.n_windows
            self._last = {who: at for who, at in self._last.items() if at > held}
            self._came = {who: at for who, at in self._came.items() if who in self._last}
        if len(self._windows) < self.n_former + self.n_recent:
            return []
        return [event for name in sorted(named) for event in self._changes(name)]

    def _changes(self, name: str) -> Iterator[LineageEvent]:
        if not all(name in window for window in self._windows):
            return
        since = self._now - self.n_recent
        n_came = sum(self._came[account] > since for account in self._windows[-1][name])
        former = [window[name] for window in islice(self._windows, self.n_former)]
        if n_came < self.rules.min_changed and not self._may_shrink(former):
            return
        times = Counter(chain.from_iterable(former))
        regulars = [account for account, n in times.items() if 2 * n >= self.n_former]
        n_left = sum(self._last[account] <= since for account in regulars)
        n = len(regulars)
        grew = self._begins("grew", name, n_came, self.rules.came_from * n)
        shrank = self._begins("shrank", name, n_left, self.rules.left_from * n)
        if grew and not (shrank and n_left > n_came):
            yield LineageEvent(kind="grew", name=name, other=None, n_before=n, n_after=n + n_came)
        elif shrank:
            yield LineageEvent(kind="shrank", name=name, other=None, n_before=n, n_after=n - n_left)

    def _may_shrink(self, former: Sequence[Collection[str]]) -> bool:
        """Whether there can be so many regulars at all: of small clusters nobody asks who left."""
        return 2 * sum(map(len, former)) >= self.rules.min_changed * self.n_former

    def _begins(self, kind: Kind, name: str, n_changed: int, limit: float) -> bool:
        if n_changed < max(limit, self.rules.min_changed):
            return False
        before = self._held.get((kind, name), -self.n_windows)
        self._held[kind, name] = self._now
        return self._now - before > self.n_recent


class NamedWindow(NamedTuple):
    """A window whose clusters have names, and what happened since the one before."""

    window: str
    #: names[i] is the name of the i-th cluster given.
    names: tuple[str, ...]
    events: list[LineageEvent]


def follow_lineages(
    topic: str,
    windows: Sequence[tuple[str, Sequence[Collection[str]]]],
    rules: LineageRules = DEFAULT_RULES,
    *,
    length_in_steps: int = 1,
) -> list[NamedWindow]:
    """Names and events of successive windows, given as (window, clusters) in the order of time.

    A lineage that pauses for a window has died; what comes after has a name of its own.
    length_in_steps: how many windows begin within the length of one.

    Cost: O(members log members) in all.

    >>> told = follow_lineages("tag:t", [("1", ["abcd"]), ("2", ["abcdef"]), ("3", [])])
    >>> [[event.kind for event in window.events] for window in told]
    [['born'], [], ['died']]
    """
    told = []
    watch = SizeWatch(length_in_steps, rules)
    before: dict[str, Collection[str]] = {}
    for window, clusters in windows:
        names = name_clusters(topic, window, clusters, previous=before, rules=rules)
        after = dict(zip(names, clusters, strict=True))
        events = [*find_events(before, after, rules), *watch.see(after)]
        told.append(NamedWindow(window, names, events))
        before = after
    return told
