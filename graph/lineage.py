"""Clusters that keep their identity: which cluster of a window is which one of the window before.

Community numbers mean nothing from one window to the next. Here the clusters of successive windows
are matched by their members, a cluster that goes on keeps its name, and what happens to names makes
the events: born, grew, shrank, merged, split, died. A name is made from data (topic, first window,
founding members), so the same windows give the same names on every machine, and whatever people
attach to a name stays with it.

    names = name_clusters("tag:x", "2023-04-25", clusters, previous=yesterday)
    events = find_events(yesterday, dict(zip(names, clusters)))
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal, NamedTuple

Kind = Literal["born", "grew", "shrank", "merged", "split", "died"]


@dataclass(frozen=True, kw_only=True)
class LineageRules:
    """When two clusters are the same one, and when its size has changed."""

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
    #: Size against the window before from which a cluster grew, and down to which it shrank: the
    #: inverse, so that the two mirror. By chance alone a count of 16 varies by a quarter.
    grew_from: float = 1.25
    shrank_to: float = 0.8
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
    former: Mapping[str, Collection[str]] | None = None,
    previous: Mapping[str, Collection[str]] | None = None,
    following: Mapping[str, Collection[str]] | None = None,
    rules: LineageRules = DEFAULT_RULES,
) -> tuple[str, ...]:
    """A name for each cluster of a window: the name of the lineage that goes on, or a new one.

    Names are given in this order, each at most once: those of the `former` version of the same
    window (it is computed again because late posts came), then those of the `previous` window,
    then those of the `following` one. Within each, the best related pair comes first
    (`relate_clusters`). What is left gets a new name: `found_name`.

    Cost: O(members log members).

    >>> yesterday = {"x": {"a", "b", "c", "d"}}
    >>> today = [{"p", "q", "r"}, {"a", "b", "c", "e"}]
    >>> names = name_clusters("tag:t", "day 2", today, previous=yesterday)
    >>> names[1], names[0] == found_name("tag:t", "day 2", today[0])
    ('x', True)
    """
    names: dict[int, str] = {}
    for known in (former, previous, following):
        if not known:
            continue
        given = set(names.values())
        for relation in relate_clusters(known, clusters, rules):
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
    """What happened between two windows whose clusters have names; sorted by name.

    A name in both grew or shrank, or nothing is said. A name that is gone merged into the cluster
    it is best related to, or where its accounts went (`LineageRules.moved_from`), or it died. A
    name that is new split from the one it is best related to, or from where its accounts were, or
    it was born.

    Cost: O(members log members).

    >>> before = {"x": "abcdefgh", "y": "uvw"}
    >>> [(e.kind, e.name, e.other) for e in find_events(before, {"x": "abcde", "z": "fgh"})]
    [('shrank', 'x', None), ('died', 'y', None), ('split', 'z', 'x')]
    """
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
    for name in sorted({*before, *after}):
        n_before, n_after = len(set(before.get(name, ()))), len(set(after.get(name, ())))
        other = None
        kind: Kind | None = None
        if name in before and name in after:
            if n_after >= rules.grew_from * n_before:
                kind = "grew"
            elif n_after <= rules.shrank_to * n_before:
                kind = "shrank"
        elif name in before:
            other = heir.get(name)
            kind = "merged" if other else "died"
        else:
            other = origin.get(name)
            kind = "split" if other else "born"
        if kind:
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
) -> list[NamedWindow]:
    """Names and events of successive windows, given as (window, clusters) in the order of time.

    A lineage that pauses for a window has died; what comes after has a name of its own.

    Cost: O(members log members) in all.

    >>> told = follow_lineages("tag:t", [("1", ["abcd"]), ("2", ["abcdef"]), ("3", [])])
    >>> [[event.kind for event in window.events] for window in told]
    [['born'], ['grew'], ['died']]
    """
    told = []
    before: dict[str, Collection[str]] = {}
    for window, clusters in windows:
        names = name_clusters(topic, window, clusters, previous=before, rules=rules)
        after = dict(zip(names, clusters, strict=True))
        told.append(NamedWindow(window, names, find_events(before, after, rules)))
        before = after
    return told
