"""The truth: what every table must hold after all files were read, whatever the order.

An independent oracle. It works on what collections saw (`sightings`) with dictionaries and loops,
and shares no code with the pipeline: no SQL, nothing of `storage` or `streams`. Only communities
and their names come from `graph`, over networks and windows that are put together here. Values are
written as PostgreSQL writes them as text, so that a comparison is equality of rows.

What cannot be foretold is left out of the columns: payload hashes (they are of raw records as the
reader encodes them again) and wall-clock stamps. `payloads` says which posts have how many distinct
raw records.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Context, Decimal
from hashlib import blake2b
from unicodedata import normalize

import numpy as np

from graph.communities import Communities, infomap, louvain
from graph.lineage import LineageEvent, SizeWatch, find_events, is_large_enough, name_clusters
from graph.stability import find_stars
from graph.users import UserNetwork
from hoaxwatch.simulate.sightings import (
    COUNTERS,
    PROFILE,
    UNKNOWN_TIME,
    Key,
    Known,
    Ledger,
    Seen,
    Sighting,
    Standing,
)

HOUR, DAY = 3600, 86400
Row = tuple[str | None, ...]


@dataclass(frozen=True)
class Table:
    """The rows of a table, sorted, as text; None is NULL."""

    columns: tuple[str, ...]
    rows: list[Row]


@dataclass(frozen=True)
class Rules:
    """The settings that decide what the tables hold."""

    window_hours: int = 24
    window_step_hours: int = 6
    cluster_min_users: int = 20
    seed: int = 1
    tombstone_key: str = "hoaxwatch"
    threshold: float = 0.5


@dataclass(frozen=True)
class _Content:
    """What a content says, and what the marker detector makes of it."""

    key: Key
    best: Sighting
    tags: Mapping[str, str]  # counting form -> as written
    score: float | None


@dataclass(frozen=True, slots=True)
class _Use:
    """One living post with a hashtag: what trends and networks need of it."""

    posted_at: float
    post: Key
    content: _Content
    author: str | None
    is_share: bool
    shared_author: str | None


def tables_of(
    ledger: Ledger, quarantine: Iterable[tuple[str, str, str]], rules: Rules | None = None
) -> dict[str, Table]:
    """Every table that the truth knows, by name.

    quarantine: (source, position, reason up to its first colon) of each record that is put aside.
    Cost: about a minute per 10^6 sightings, and the communities of each window.
    """
    rules = rules or Rules()
    living = dict(ledger.living())
    contents = _contents_of(living.values())
    uses = _uses_of(living, contents)
    tables = {
        "posts": _posts(living),
        "authors": _authors(living),
        "payloads": _table(
            ("platform", "post_id", "source"),
            ((*key, source) for key, known in living.items() for source in known.payloads.values()),
        ),
        "tombstones": _tombstones(ledger, rules.tombstone_key),
        "quarantine": _table(("source", "position", "reason"), quarantine),
        "labels": _table(("platform", "root_id"), ()),
        "dirty_buckets": _table(("hashtag", "hour"), ()),
        "verdict_policy": _table(
            ("policy_id", "detector", "version", "threshold", "abstain_band", "active"),
            [("1", "marker", "1", f"{rules.threshold:.6f}", "0.000000", "true")],
        ),
    }
    plan = str(rules.window_hours), str(rules.window_step_hours)
    tables["window_plan"] = _table(("length_hours", "step_hours"), [plan])
    tables |= _content_tables(contents)
    tables |= _trend_tables(uses, rules)
    tables |= _cluster_tables(uses, rules)
    return tables


def hashtag_key(written: str) -> str:
    """How hashtags are counted: NFKC, then casefold, without the sign.

    >>> hashtag_key("#Straße"), hashtag_key("ＷａｔｅｒＴｒｕｔｈ")
    ('strasse', 'watertruth')
    """
    return normalize("NFKC", written).lstrip("#").casefold()


def marker_score(text: str) -> float | None:
    """The rule of the tests' marker detector: 0.9 with the word hoax, 0.1 with the word fact, None
    for no text, else two digits of a hash.

    >>> marker_score("a hoax"), marker_score("in fact"), marker_score(" ")
    (0.9, 0.1, None)
    """
    if not text.strip():
        return None
    if "hoax" in text:
        return 0.9
    if "fact" in text:
        return 0.1
    return blake2b(text.encode(errors="replace"), digest_size=1).digest()[0] % 100 / 100


# As PostgreSQL writes values


def time_text(moment: float) -> str:
    """A timestamptz in UTC.

    >>> time_text(0.0), time_text(0.25), time_text(float("-inf"))
    ('1970-01-01 00:00:00+00', '1970-01-01 00:00:00.25+00', '-infinity')
    """
    if moment == UNKNOWN_TIME:
        return "-infinity"
    told = datetime.fromtimestamp(round(moment * 1_000_000) // 1_000_000, UTC)
    micro = round(moment * 1_000_000) % 1_000_000
    fraction = f".{micro:06d}".rstrip("0") if micro else ""
    return f"{told:%Y-%m-%d %H:%M:%S}{fraction}+00"


def array_text(values: Iterable[str]) -> str:
    r"""A text[].

    >>> array_text(["a", "b c", 'say "x"', "", "NULL"])
    '{a,"b c","say \\"x\\"","","NULL"}'
    """
    return "{" + ",".join(map(_element, values)) + "}"


def _element(value: str) -> str:
    if value and value.upper() != "NULL" and not any(c in '{}",\\ \t\n\r\v\f' for c in value):
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def seen_text(seen: Seen | None) -> str | None:
    r"""An observed_count or observed_text; None: nothing known.

    >>> seen_text((0.0, 5)), seen_text((float("-inf"), 'say "b" now')), seen_text(None)
    ('("1970-01-01 00:00:00+00",5)', '(-infinity,"say ""b"" now")', None)
    """
    if seen is None:
        return None
    moment, value = seen
    text = str(int(value)) if isinstance(value, int) else value
    return f"({_field(time_text(moment))},{_field(text)})"


def _field(value: str) -> str:
    if value and not any(c in '()",\\ \t\n\r\v\f' for c in value):
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '""')
    return f'"{escaped}"'


def _table(columns: tuple[str, ...], rows: Iterable[Row]) -> Table:
    return Table(columns, sorted(rows, key=lambda row: tuple(map(str, row))))


# Posts, authors, tombstones


def _posts(living: Mapping[Key, Known]) -> Table:
    columns = (
        *("platform", "post_id", "posted_at", "author_id", "root_id", "kind", "share_of"),
        *("reply_to", "quote_of", "seen_as", *COUNTERS),
        *("completeness", "observed_at", "provenance", "shared_via"),
    )

    def row(key: Key, known: Known) -> Row:
        best = known.best
        return (
            *key,
            time_text(best.posted_at),
            max(known.author_ids, default=None),
            best.root_id,
            best.kind,
            best.share_of,
            best.reply_to,
            best.quote_of,
            known.seen_as,
            *(seen_text(known.counters.get(name)) for name in COUNTERS),
            str(best.completeness),
            time_text(best.observed_at),
            array_text(sorted(known.sources)),
            best.shared_via,
        )

    return _table(columns, (row(key, known) for key, known in living.items()))


def _authors(living: Mapping[Key, Known]) -> Table:
    profiles: dict[Key, dict[str, Seen]] = defaultdict(dict)
    made: dict[Key, float] = {}
    for (platform, _), known in living.items():
        for author_id in known.author_ids:
            profile = profiles[platform, author_id]
            for name, seen in known.profile.items():
                profile[name] = max(profile.get(name, seen), seen)
            if known.created_at is not None:
                made[platform, author_id] = known.created_at
    columns = ("platform", "author_id", *PROFILE, "created_at")
    return _table(
        columns,
        (
            (
                *key,
                *(seen_text(profile.get(name)) for name in PROFILE),
                time_text(made[key]) if key in made else None,
            )
            for key, profile in profiles.items()
        ),
    )


def _tombstones(ledger: Ledger, key: str) -> Table:
    """Of each deletion, and of each original that went with its author: shares of it may come."""
    rows: dict[tuple[str, str, str], tuple[str | None, str | None]] = {}
    for (platform, name), known in ledger.posts.items():
        by_deleted = any((platform, a) in ledger.deletions.authors for a in known.author_ids)
        if by_deleted and name in known.words:
            rows[platform, "post", id_hash(key, "post", platform, name)] = None, None
    for kind, deleted in (("post", ledger.deletions.posts), ("author", ledger.deletions.authors)):
        for (platform, name), (reason, moment) in deleted.items():
            told = reason, None if moment is None else time_text(moment)
            rows[platform, kind, id_hash(key, kind, platform, name)] = told
    return _table(
        ("platform", "kind", "id_hash", "reason", "deleted_at"),
        ((*place, *told) for place, told in rows.items()),
    )


def id_hash(key: str, kind: str, platform: str, deleted_id: str) -> str:
    """How a deleted id is remembered: BLAKE2b-128 with a key, as bytea is written."""
    data = f"{platform}\0{kind}\0{deleted_id}".encode()
    return "\\x" + blake2b(data, digest_size=16, key=key.encode()).hexdigest()


# Contents and verdicts


def _contents_of(living: Iterable[Known]) -> dict[Key, _Content]:
    best: dict[Key, Standing] = {}
    for known in living:
        for root_id, words in known.words.items():
            key = words.seen.platform, root_id
            held = best.setdefault(key, Standing(words.seen))
            for seen in (words.seen, *words.rivals):
                held.add(seen, seen.words != held.seen.words)
    return {key: _content(key, words.settled()) for key, words in best.items()}


def _content(key: Key, best: Sighting) -> _Content:
    tags: dict[str, str] = {}
    for written in sorted(best.words.tags):
        if hashtag_key(written):
            tags.setdefault(hashtag_key(written), written.lstrip("#"))
    return _Content(key, best, tags, marker_score(best.words.text))


def _content_tables(contents: Mapping[Key, _Content]) -> dict[str, Table]:
    rows: dict[str, list[Row]] = {
        name: [] for name in ("content", "content_hashtags", "content_links", "media", "verdicts")
    }
    for key, content in contents.items():
        words, best = content.best.words, content.best
        told = f"{words.lang or ''}\0{words.text}".encode()
        input_hash = "\\x" + blake2b(told, digest_size=16).hexdigest()
        links = sorted(set(words.links))
        rows["content"].append(
            (
                *key,
                words.text,
                words.lang,
                array_text(sorted(content.tags)),
                array_text(links),
                str(best.completeness),
                time_text(best.observed_at),
                input_hash,
            )
        )
        rows["content_hashtags"] += [(tag, *key, form) for tag, form in content.tags.items()]
        rows["content_links"] += [(link, *key) for link in links]
        pictures = {address: (kind, alt) for address, kind, alt in words.media}
        rows["media"] += [(*key, address, *told) for address, told in pictures.items()]
        is_scored = content.score is not None
        rows["verdicts"].append(
            (
                *key,
                "marker",
                "1",
                input_hash,
                "scored" if is_scored else "abstained",
                f"{content.score:.6f}" if is_scored else None,
                None if is_scored else "empty",
                "[]",
            )
        )
    columns = {
        "content": (
            *("platform", "root_id", "text", "lang", "hashtags", "links"),
            *("completeness", "observed_at", "input_hash"),
        ),
        "content_hashtags": ("hashtag", "platform", "root_id", "written"),
        "content_links": ("link", "platform", "root_id"),
        "media": ("platform", "root_id", "url", "kind", "alt_text"),
        "verdicts": (
            *("platform", "root_id", "detector", "version", "input_hash"),
            *("state", "score", "reason", "evidence"),
        ),
    }
    return {name: _table(columns[name], found) for name, found in rows.items()}


# Trends and pairs


def _uses_of(
    living: Mapping[Key, Known], contents: Mapping[Key, _Content]
) -> dict[str, list[_Use]]:
    """hashtag -> the posts that carry it, in order of time."""
    uses: dict[str, list[_Use]] = defaultdict(list)
    for key, known in living.items():
        best, platform = known.best, key[0]
        content = contents[platform, best.root_id]
        shared = None
        if best.share_of is not None and (platform, best.share_of) in living:
            shared = _account(platform, living[platform, best.share_of])
        use = _Use(
            posted_at=best.posted_at,
            post=key,
            content=content,
            author=_account(platform, known),
            is_share=best.kind == "share",
            shared_author=shared,
        )
        for tag in content.tags:
            uses[tag].append(use)
    for of_tag in uses.values():
        of_tag.sort(key=lambda use: (use.posted_at, use.post))
    return uses


def _account(platform: str, known: Known) -> str | None:
    return f"{platform}:{max(known.author_ids)}" if known.author_ids else None


def _trend_tables(uses: Mapping[str, list[_Use]], rules: Rules) -> dict[str, Table]:
    trends: list[Row] = []
    pairs: Counter[tuple[str, str, int]] = Counter()
    originals: Counter[tuple[str, str, int]] = Counter()
    for tag, of_tag in uses.items():
        for grain, length in (("hour", HOUR), ("day", DAY)):
            buckets: dict[int, list[_Use]] = defaultdict(list)
            for use in of_tag:
                buckets[int(use.posted_at // length) * length].append(use)
            trends += [
                (tag, grain, time_text(start), *_counts(found, rules.threshold), "1")
                for start, found in buckets.items()
            ]
        for use in of_tag:
            day = int(use.posted_at // DAY) * DAY
            for other in use.content.tags:
                if tag < other:
                    pairs[tag, other, day] += 1
                    originals[tag, other, day] += not use.is_share
    return {
        "hashtag_trends": _table(
            (
                *("hashtag", "grain", "bucket_start", "posts", "originals", "shares", "authors"),
                *("judged", "likely_false", "expected_share", "expected_low", "expected_high"),
                *("first_seen_at", "last_seen_at", "policy_id"),
            ),
            trends,
        ),
        "hashtag_pairs": _table(
            ("hashtag_a", "hashtag_b", "day", "posts", "originals"),
            (
                (one, other, time_text(day), str(n), str(originals[one, other, day]))
                for (one, other, day), n in pairs.items()
            ),
        ),
    }


def _counts(found: Sequence[_Use], threshold: float) -> Row:
    n_shares = sum(use.is_share for use in found)
    judged = [use for use in found if use.content.score is not None]
    return (
        str(len(found)),
        str(len(found) - n_shares),
        str(n_shares),
        str(len({use.author for use in found if use.author is not None})),
        str(len(judged)),
        str(sum((use.content.score or 0) >= threshold for use in judged)),
        *_expected(
            (use.content.key, use.content.score) for use in judged if use.content.score is not None
        ),
        time_text(min(use.posted_at for use in found)),
        time_text(max(use.posted_at for use in found)),
    )


_EXACT = Context(prec=40, rounding=ROUND_HALF_UP)
_SIX = Decimal("0.000001")
_Z_95 = Decimal("1.959964")


def _expected(judged: Iterable[tuple[Key, float]]) -> tuple[str | None, str | None, str | None]:
    """Mean probability with its 95 % interval: each content one draw, n posts strong."""
    n_of: Counter[tuple[Key, float]] = Counter(judged)
    n = sum(n_of.values())
    if not n:
        return None, None, None
    total, variance = Decimal(0), Decimal(0)
    for (_, score), times in n_of.items():
        p = Decimal(str(score))
        total += times * p
        variance += times * times * p * (1 - p)
    half = _EXACT.multiply(_Z_95, _EXACT.sqrt(variance))
    low = max(Decimal(0), _EXACT.divide(total - half, Decimal(n)))
    high = min(Decimal(1), _EXACT.divide(total + half, Decimal(n)))
    share, low, high = (
        value.quantize(_SIX, context=_EXACT)
        for value in (_EXACT.divide(total, Decimal(n)), low, high)
    )
    return str(share), str(low), str(high)


# Networks and clusters


def _cluster_tables(uses: Mapping[str, list[_Use]], rules: Rules) -> dict[str, Table]:
    networks: list[Row] = []
    clusterings: list[Row] = []
    clusters: list[Row] = []
    members: list[Row] = []
    events: list[Row] = []
    for tag, of_tag in uses.items():
        lineages = {name: _Lineages(tag, name, rules) for name in ("louvain", "infomap")}
        shares = [use for use in of_tag if use.is_share]
        seen: dict[tuple[int, int], _Clustered | None] = {}
        for start, end, first, last in windows_of([use.posted_at for use in shares], rules):
            if (first, last) not in seen:
                seen[first, last] = _cluster(shares[first:last], rules)
            clustered = seen[first, last]
            if clustered is None:
                continue
            window = tag, time_text(start), time_text(end)
            networks.append((*window, *clustered.network))
            for found, spreads in clustered.found:
                number = _clustering_id(tag, start, end, found)
                clusterings.append((number, *window, *_clustering(found), "1"))
                names = lineages[found.algorithm].name(start, clustered.links, found)
                clusters += [
                    (number, *spread, *name) for spread, name in zip(spreads, names, strict=True)
                ]
                members += [(number, *row) for row in clustered.members(found)]
        events += [row for followed in lineages.values() for row in followed.events]
    return {
        "networks": _table(
            (
                *("hashtag", "window_start", "window_end", "n_users", "n_links", "n_shares"),
                *("n_self_shares", "n_unknown_authors", "first_at", "last_at"),
            ),
            networks,
        ),
        "clusterings": _table(
            (
                *("clustering_id", "hashtag", "window_start", "window_end", "algorithm"),
                *("params_hash", "params", "seed", "package_version", "quality_name"),
                *("quality", "n_clusters", "policy_id"),
            ),
            clusterings,
        ),
        "clusters": _table(
            (
                *("clustering_id", "cluster", "n_users", "n_shares", "judged", "likely_false"),
                *("expected_share", "expected_low", "expected_high", "lineage", "n_before"),
            ),
            clusters,
        ),
        "cluster_events": _table(
            (
                *("hashtag", "algorithm", "window_start", "lineage", "kind", "other"),
                *("n_before", "n_after"),
            ),
            events,
        ),
        "lineage_labels": _table(("hashtag", "lineage"), ()),
        "cluster_members": _table(
            (
                *("clustering_id", "platform", "author_id", "cluster"),
                *("times_shared", "shares_made"),
            ),
            members,
        ),
    }


def windows_of(times: Sequence[float], rules: Rules) -> Iterator[tuple[int, int, int, int]]:
    """Start and end of each window that holds one of these times (sorted), and the first and last
    index inside: windows begin at multiples of the step since 1970.

    >>> list(windows_of([3600.0 * 7], Rules()))[0], len(list(windows_of([3600.0 * 7], Rules())))
    ((-43200, 43200, 0, 1), 4)
    """
    step, length = rules.window_step_hours * HOUR, rules.window_hours * HOUR
    starts: set[int] = set()
    for at in times:
        latest = int(at // step) * step
        starts.update(range(latest, int(at // HOUR) * HOUR - length, -step))
    for start in sorted(starts):
        first, last = np.searchsorted(times, [start, start + length]).tolist()
        yield start, start + length, first, last


@dataclass(frozen=True)
class _Clustered:
    network: Row
    links: UserNetwork
    times_shared: Counter[str]
    shares_made: Counter[str]
    found: list[tuple[Communities, list[Row]]]

    def members(self, found: Communities) -> Iterator[Row]:
        for i, user in enumerate(self.links.users):
            platform, _, name = user.partition(":")
            yield (
                platform,
                name,
                str(found.membership[i]),
                str(self.times_shared[user]),
                str(self.shares_made[user]),
            )


class _Lineages:
    """Names of the clusters of one hashtag and algorithm, window by window from the first."""

    def __init__(self, tag: str, algorithm: str, rules: Rules) -> None:
        self.tag, self.algorithm = tag, algorithm
        self.step, self.length = rules.window_step_hours * HOUR, rules.window_hours * HOUR
        self.events: list[Row] = []
        #: Window -> name -> accounts.
        self.windows: dict[int, dict[str, list[str]]] = {}
        self.watch = self._new_watch()

    def _new_watch(self) -> SizeWatch:
        return SizeWatch(-(-self.length // self.step))

    def name(self, start: int, links: UserNetwork, found: Communities) -> list[Row]:
        """Name and accounts one window length earlier, per cluster; None for small ones. Of a name
        that was not there, the accounts that were under other names."""
        is_star = find_stars(links, found.membership).is_star.tolist()
        groups: dict[int, list[str]] = {}
        for user, cluster in zip(links.users, found.membership.tolist(), strict=True):
            groups.setdefault(cluster, []).append(user)
        followed = [c for c in sorted(groups) if is_large_enough(len(groups[c]), is_star[c])]
        before: dict[str, list[str]] = {}
        if self.windows:
            last = max(self.windows)
            if last == start - self.step:
                before = self.windows[last]
            else:  # a pause ends all
                self._tell(last + self.step, find_events(self.windows[last], {}))
                self.watch = self._new_watch()
        moment = datetime.fromtimestamp(start, UTC).isoformat()
        names = name_clusters(
            f"tag:{self.tag}:{self.algorithm}",
            moment,
            [groups[c] for c in followed],
            previous=before,
        )
        after = {name: groups[c] for name, c in zip(names, followed, strict=True)}
        self._tell(start, [*find_events(before, after), *self.watch.see(after)])
        self.windows[start] = after
        earlier = self.windows.get(start - self.length, {})
        everybody = {user for users in earlier.values() for user in users}
        told: dict[int, Row] = {}
        for c, name in zip(followed, names, strict=True):
            known = earlier[name] if name in earlier else everybody & set(groups[c])
            told[c] = name, str(len(known))
        return [told.get(c, (None, None)) for c in range(found.n_communities)]

    def _tell(self, start: int, events: Iterable[LineageEvent]) -> None:
        for event in events:
            counts = str(event.n_before), str(event.n_after)
            what = event.name, event.kind, event.other
            self.events.append((self.tag, self.algorithm, time_text(start), *what, *counts))


def _cluster(shares: Sequence[_Use], rules: Rules) -> _Clustered | None:
    """The network of these shares and its communities; None where too few accounts are linked."""
    links: Counter[tuple[str, str]] = Counter()
    between: list[_Use] = []
    n_self = n_unknown = 0
    for share in shares:
        if share.author is None or share.shared_author is None:
            n_unknown += 1
        elif share.author == share.shared_author:
            n_self += 1
        else:
            links[share.shared_author, share.author] += 1
            between.append(share)
    users = tuple(sorted({user for link in links for user in link}))
    if len(users) < rules.cluster_min_users:
        return None
    number = {user: i for i, user in enumerate(users)}
    ordered = sorted((number[one], number[other], n) for (one, other), n in links.items())
    source, target, weight = (
        np.array(column, dtype=np.int64) for column in zip(*ordered, strict=True)
    )
    network = UserNetwork(
        users=users,
        source=source,
        target=target,
        weight=weight,
        n_shares=len(shares),
        n_self_shares=n_self,
        n_unknown_authors=n_unknown,
    )
    times_shared: Counter[str] = Counter()
    shares_made: Counter[str] = Counter()
    for (one, other), n in links.items():
        times_shared[one] += n
        shares_made[other] += n
    counts = len(users), len(links), len(between), n_self, n_unknown
    times = time_text(shares[0].posted_at), time_text(shares[-1].posted_at)
    return _Clustered(
        network=(*map(str, counts), *times),
        links=network,
        times_shared=times_shared,
        shares_made=shares_made,
        found=[
            (found, _spreads(found, number, between, rules.threshold))
            for found in (
                louvain(network, seed=rules.seed),
                infomap(network, seed=rules.seed, directed=False),
            )
        ],
    )


def _spreads(
    found: Communities, number: Mapping[str, int], shares: Sequence[_Use], threshold: float
) -> list[Row]:
    """Per cluster: accounts, the shares they made, and how these are judged."""
    of_cluster: dict[int, list[_Use]] = defaultdict(list)
    for share in shares:
        assert share.author is not None
        of_cluster[int(found.membership[number[share.author]])].append(share)
    sizes = Counter(found.membership.tolist())
    rows: list[Row] = []
    for cluster in range(found.n_communities):
        made = of_cluster[cluster]
        scores = [(s.content.key, s.content.score) for s in made if s.content.score is not None]
        counts = (
            *(cluster, sizes[cluster], len(made), len(scores)),
            sum(score >= threshold for _, score in scores),
        )
        rows.append((*map(str, counts), *_expected(scores)))
    return rows


def _clustering(found: Communities) -> Row:
    return (
        found.algorithm,
        found.params_hash,
        json.dumps(found.parameters, sort_keys=True),
        str(found.seed),
        found.version,
        found.quality_name,
        str(found.quality),
        str(found.n_communities),
    )


def _clustering_id(tag: str, start: int, end: int, found: Communities) -> str:
    """63 bits of BLAKE2b over hashtag, window, algorithm and params_hash."""
    times = [datetime.fromtimestamp(moment, UTC).isoformat() for moment in (start, end)]
    told = "\0".join([tag, *times, found.algorithm, found.params_hash])
    return str(int.from_bytes(blake2b(told.encode(), digest_size=8).digest(), "big") >> 1)
