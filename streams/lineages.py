"""The part of a tick that gives clusters their names: windows in order of time, each matched with
the one before.

Names are a function of what is stored, whatever was stored in which order: they are given forwards
from the first window that changed, as far as they change. What a person called a lineage goes with
its members when late posts change its name.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain

from graph.emerging import ClusterFacts, score_emerging
from graph.lineage import (
    LineageEvent,
    SizeWatch,
    find_events,
    is_large_enough,
    name_clusters,
)
from storage import lineages
from storage.database import Cursor
from storage.lineages import EventLine, Heir, Labelled, StoredWindow
from storage.recount import ClusterLine, WindowRows

ALGORITHMS = ("louvain", "infomap")

#: As those of the numbers beside them.
DECIMALS = 6

Members = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Touched:
    """The windows of a hashtag that a tick computes again."""

    hashtag: str
    #: At least one.
    starts: Sequence[datetime]
    length: timedelta
    step: timedelta
    #: Whether anything was stored of this hashtag before.
    is_known: bool


class Naming:
    """Names the clusters of one hashtag, window by window in order of time.

    `name` takes the touched windows that were found, and names their clusters in place; nothing of
    them is stored yet. `finish` follows the names through what is stored behind them, as far as
    they change it. `take_events` gives what happened, to be stored.
    """

    def __init__(self, cursor: Cursor, touched: Touched, labelled: Labelled) -> None:
        self.hashtag = touched.hashtag
        self._walks = [_Walk(cursor, touched, algorithm, labelled) for algorithm in ALGORITHMS]

    def name(self, rows: WindowRows) -> None:
        """Names the clusters of a window, which begins after the one before."""
        for walk in self._walks:
            lines = walk.name(_window_of(rows, walk.algorithm))
            rows.clusters[:] = [lines.get(line[:2], line) for line in rows.clusters]

    def finish(self) -> None:
        """There are no more windows."""
        for walk in self._walks:
            walk.finish()

    def take_events(self) -> list[EventLine]:
        """What happened since the last call."""
        taken = [
            EventLine(
                *(self.hashtag, walk.algorithm, start, event.name, event.kind, event.other),
                *(event.n_before, event.n_after),
            )
            for walk in self._walks
            for start, event in walk.events
        ]
        for walk in self._walks:
            walk.events.clear()
        return taken


def _window_of(rows: WindowRows, algorithm: str) -> StoredWindow:
    """What was found by one algorithm."""
    (number,) = {line[0] for line in rows.clusterings if line[4] == algorithm}
    assert isinstance(number, int)
    clusters = [line for line in rows.clusters if line.clustering_id == number]
    is_followed = {
        line.cluster for line in clusters if is_large_enough(line.n_users, bool(line.is_star))
    }
    members: dict[int, list[str]] = {cluster: [] for cluster in is_followed}
    for account, cluster in zip(rows.accounts, rows.memberships[number], strict=True):
        if cluster in is_followed:
            members[cluster].append(account)
    start = rows.network[1]
    assert isinstance(start, datetime)
    return StoredWindow(start, clusters, members)


class _Walk:
    """Through the windows of one hashtag and algorithm, in order of time."""

    def __init__(
        self, cursor: Cursor, touched: Touched, algorithm: str, labelled: Labelled
    ) -> None:
        self.cursor, self.touched, self.algorithm = cursor, touched, algorithm
        self.labelled = labelled
        self.events: list[tuple[datetime, LineageEvent]] = []
        #: The window before, and its lineages with their accounts.
        self.start: datetime | None = None
        self.named: Members = {}
        #: The window that `watch` saw last.
        self.seen: datetime | None = None
        #: Names that windows of this walk have.
        self.alive: set[str] = set()
        #: Former name of a labelled lineage -> name now -> accounts in common.
        self.heirs: dict[str, Counter[str]] = {}
        self.watch = self._new_watch()
        #: Lineages of the windows that this walk has been to, as far back as `watch` looks.
        self.visited: dict[datetime, Members] = {}
        #: How far back a window is looked at: growth is counted against the window one length
        #: earlier, and who came and left against several.
        self.reach = max(touched.length, (self.watch.n_windows - 1) * touched.step)
        #: Stored windows up to here may have other names or growth than is stored.
        self.horizon: datetime | None = None
        #: The last stored window that was passed by, since nothing changes there.
        self.passed: datetime | None = None
        #: What happened up to here is no longer stored.
        self.cleared: datetime | None = None
        self.starts = sorted(touched.starts)
        self.stored: list[datetime] = []
        if touched.is_known:
            self.stored = lineages.read_window_starts(
                cursor, touched.hashtag, algorithm, touched.length, touched.step
            )
        behind = bisect_left(self.stored, self.starts[0])
        self.ahead = deque(self.stored[behind:])
        if behind:
            self.passed = self.stored[behind - 1]

    def name(self, window: StoredWindow) -> dict[tuple[int, int], ClusterLine]:
        """The lines of a new window with their names, by clustering and cluster."""
        while self.ahead and self.ahead[0] < window.start:
            self._go_on(self.ahead.popleft())
        self._return()
        return {line[:2]: line for line in self._name(window)}

    def finish(self) -> None:
        """Renames what is stored ahead as far as it changes, and passes labels on."""
        while self.ahead:
            self._go_on(self.ahead.popleft())
        if not self.touched.is_known:
            return
        if self.passed is None or self.passed < self.starts[-1]:
            self._return()
            self._clear_events(None)
        lineages.pass_labels_on(self.cursor, self.touched.hashtag, self.algorithm, self._heirs())

    def _go_on(self, start: datetime) -> None:
        """To the next stored window: names it again, or passes it by."""
        before = self.passed or self.start
        place = bisect_right(self.starts, start)
        touched = self.starts[place - 1] if place else None
        if (self.horizon is not None and start <= self.horizon) or (
            touched is not None
            and (before is None or touched > before or start - touched <= self.reach)
        ):
            self._return()
            self._rename(start)
            return
        if self.passed is None and self.start is not None:  # the last one with a say
            if start != self.start + self.touched.step:
                self._end_all(self.start + self.touched.step)
                self._clear_events(self.start + self.touched.step)
            else:
                self._clear_events(self.start)
        self.passed = start

    def _return(self) -> None:
        """Takes up the names of the last window that was passed by."""
        if self.passed is not None:
            self.start = self.cleared = self.passed
            self.named = _by_name(self._read(self.passed))
            self.passed = None

    def _rename(self, start: datetime) -> None:
        """Names the clusters of a stored window again."""
        window = self._read(start)
        pairs = list(zip(self._name(window), window.clusters, strict=True))
        lineages.update_clusters(self.cursor, [line for line, old in pairs if line != old])
        if any(line.lineage != old.lineage for line, old in pairs):
            self.horizon = max(self.horizon or start, start + self.reach)

    def _clear_events(self, until: datetime | None) -> None:
        """What happened behind what is cleared, up to `until` (None: without end), is told anew."""
        if self.touched.is_known:
            lineages.clear_events(
                self.cursor, self.touched.hashtag, self.algorithm, self.cleared, until
            )
            self.cleared = until

    def _read(self, start: datetime) -> StoredWindow:
        return lineages.read_window(
            self.cursor,
            self.touched.hashtag,
            self.algorithm,
            start,
            self.touched.length,
        )

    def _name(self, window: StoredWindow) -> list[ClusterLine]:
        """The clusters of a window with their names; the walk goes one window on."""
        step = self.touched.step
        self._clear_events(window.start)
        previous: Members = {}
        if self.start is not None:
            if window.start == self.start + step:
                previous = self.named
            else:
                self._end_all(self.start + step)
        numbers = sorted(window.members)
        clusters = [window.members[number] for number in numbers]
        topic = f"tag:{self.touched.hashtag}:{self.algorithm}"
        names = name_clusters(topic, window.start.isoformat(), clusters, previous=previous)
        after = dict(zip(names, clusters, strict=True))
        self.events += [(window.start, event) for event in find_events(previous, after)]
        self.events += [(window.start, event) for event in self._see(window.start, after)]
        self.alive.update(names)
        self._note_heirs(window.start, after)
        self.start, self.named = window.start, after
        name_of = dict(zip(numbers, names, strict=True))
        n_before = _count_before(after, self._members_of(window.start - self.touched.length))
        return [_named(line, name_of.get(line.cluster), n_before) for line in window.clusters]

    def _new_watch(self) -> SizeWatch:
        return SizeWatch(-(-self.touched.length // self.touched.step))

    def _see(self, start: datetime, named: Members) -> list[LineageEvent]:
        """Who grew and who shrank."""
        step = self.touched.step
        if start - step != self.seen:  # after a pause, or after stored windows were passed by
            self.watch = self._new_watch()
            for members in self._windows_before(start):
                self.watch.see(members)
        self.seen = start
        self.visited = {at: m for at, m in self.visited.items() if start - at < self.reach}
        self.visited[start] = named
        return self.watch.see(named)

    def _windows_before(self, start: datetime) -> list[Members]:
        """The windows without a gap before this one, as many as `watch` looks at."""
        step, stored = self.touched.step, set(self.stored)
        starts = []
        for back in range(1, self.watch.n_windows):
            at = start - back * step
            if at not in self.visited and at not in stored:
                break
            starts.append(at)
        unread = [at for at in starts if at not in self.visited]
        if unread:
            read = lineages.read_members(
                *(self.cursor, self.touched.hashtag, self.algorithm, unread, self.touched.length)
            )
            self.visited |= {at: read.get(at, {}) for at in unread}
        return [self.visited[at] for at in reversed(starts)]

    def _members_of(self, start: datetime) -> Members:
        """The lineages of a window of before, with their accounts; none if it is not stored."""
        if start not in self.visited and start in self.stored:
            read = lineages.read_members(
                *(self.cursor, self.touched.hashtag, self.algorithm, [start], self.touched.length)
            )
            self.visited[start] = read.get(start, {})
        return self.visited.get(start, {})

    def _end_all(self, at: datetime) -> None:
        """A pause ends every lineage."""
        self.events += [(at, event) for event in find_events(self.named, {})]

    def _note_heirs(self, start: datetime, after: Members) -> None:
        for (hashtag, algorithm, former), windows in self.labelled.items():
            is_ours = (hashtag, algorithm) == (self.touched.hashtag, self.algorithm)
            if is_ours and start in windows:
                accounts = set(windows[start])
                common = self.heirs.setdefault(former, Counter())
                for name, members in after.items():
                    common[name] += len(accounts.intersection(members))

    def _heirs(self) -> dict[str, Heir]:
        heirs = {}
        for former, common in self.heirs.items():
            # of equals the last in order of names, so that it does not depend on chance
            name, n_common = max(common.items(), key=lambda item: (item[1], item[0]))
            if common[former] < n_common:
                windows = self.labelled[self.touched.hashtag, self.algorithm, former]
                heirs[former] = Heir(name, former in self.alive or min(windows) < self.starts[0])
        return heirs


def _by_name(window: StoredWindow) -> dict[str, list[str]]:
    return {
        line.lineage: window.members[line.cluster]
        for line in window.clusters
        if line.lineage is not None and line.cluster in window.members
    }


def _count_before(after: Members, before: Members) -> dict[str, int]:
    """Accounts of each lineage in a window of before; of one that was not there, those of its
    accounts that other lineages had: who came from next door is no growth.

    >>> _count_before({"x": "abc", "y": "defg"}, {"x": "abdef"})
    {'x': 5, 'y': 3}
    """
    known = set(chain.from_iterable(before.values()))
    return {
        name: len(before[name]) if name in before else len(known.intersection(members))
        for name, members in after.items()
    }


def _named(line: ClusterLine, name: str | None, n_before: Mapping[str, int]) -> ClusterLine:
    if name is None:
        if line[-4:] == (None, None, None, None):  # most clusters of new windows
            return line
        return line._replace(lineage=None, n_before=None, growth=None, emerging=None)
    found = score_emerging(
        ClusterFacts(
            name=name,
            n_users=line.n_users,
            n_before=n_before[name],
            false_low=line.expected_low,
            stability=line.stability,
            is_star=bool(line.is_star),
            n_coordinated=line.n_coordinated,
        )
    )
    return line._replace(
        lineage=name,
        n_before=n_before[name],
        growth=round(found.growth, DECIMALS),
        emerging=None if found.score is None else round(found.score, DECIMALS),
    )
