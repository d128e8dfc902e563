"""Pictures of the report as inline SVG: curves, the user network, the hashtag network. Pure.

Each picture is first planned (numbers only) and then drawn (text only). Colours are classes that
the page's style sheet fills in, so that a picture follows light, dark and print.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Literal
from unicodedata import combining, east_asian_width

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from graph.communities import louvain
from graph.followed import show_topic
from graph.layout import layout_network, separate
from graph.users import UserNetwork, build_user_network, sum_at
from hoaxwatch.show import in_xml
from storage.reads import LinkRow, PairRow, SpreadRow

Colouring = Literal["community", "share"]
Ids = NDArray[np.int64]

#: Steps of the colour scale of the likely-false share, each 1 / N_LEVELS wide.
N_LEVELS = 5
#: Communities with a colour of their own; smaller ones are grey.
N_COLOURED = 8
#: Accounts whose name is written into the picture, if there is room.
N_NAMED = 14
#: Of a network that is cut, connected groups of fewer accounts than this are left out as well.
SMALLEST_GROUP = 4
#: Width and height of the user network (units of the picture).
SIDE = 640
#: How much wider than high a crowd of hashtags may become.
STRETCH = 2.5
#: Hashtags longer than this are cut (characters).
LONGEST_LABEL = 26


def level_class(judged: int, likely_false: int) -> str:
    """The colour class of a likely-false share; what nobody judged has a class of its own.

    >>> level_class(10, 0), level_class(10, 10), level_class(0, 0)
    ('level0', 'level4', 'unjudged')
    """
    if judged == 0:
        return "unjudged"
    return f"level{min(likely_false * N_LEVELS // judged, N_LEVELS - 1)}"


def community_class(community: int) -> str:
    """The colour class of a community, which is numbered from 0 by size.

    >>> community_class(0), community_class(N_COLOURED)
    ('group0', 'rest')
    """
    return f"group{community}" if community < N_COLOURED else "rest"


# Curves


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Posts and shares per bucket of time; a bucket without a post is there, with 0."""

    posts: Sequence[int]
    shares: Sequence[int]
    #: Buckets that begin a labelled tick, with the label.
    ticks: Sequence[tuple[int, str]]
    #: What a bucket is, "hour" or "day".
    grain: str


def draw_curve(curve: Curve) -> Markup:
    """Steps over time: the whole is posts, the part below it shares; the peak is written on it."""
    width, top, base = 300.0, 20.0, 84.0
    n, peak = len(curve.posts), max(curve.posts, default=0)
    step = width / max(n, 1)

    def outline(counts: Sequence[int]) -> str:
        moves = [f"M0 {base:g}"]
        for i, count in enumerate(counts):
            moves.append(f"V{base - (base - top) * count / max(peak, 1):.4g}H{(i + 1) * step:.5g}")
        return "".join(moves) + f"V{base:g}Z"

    ticks = []
    for i, label in curve.ticks:
        x = i * step
        ticks.append(f'<path class="tick" d="M{x:.5g} {base:g}v5"/>')
        if x < width - 34:  # a label that would be cut off is left out
            ticks.append(
                f'<text class="axis" x="{x + 3:.5g}" y="{base + 14:g}">{in_xml(label)}</text>'
            )
    said = f"At most {peak:,} posts in one {curve.grain}, {n:,} {curve.grain}s shown"
    at = curve.posts.index(peak) * step if peak else 0.0
    anchor = "end" if at > width * 0.6 else "start"
    return Markup(
        f'<svg class="curve" viewBox="0 0 {width:g} 102" role="img" aria-label="{said}">'
        f'<path class="posts" d="{outline(curve.posts)}"/>'
        f'<path class="shares" d="{outline(curve.shares)}"/>'
        f'<path class="base" d="M0 {base:g}H{width:g}"/>{"".join(ticks)}'
        f'<text class="peak" x="{at:.5g}" y="{top - 6:g}" text-anchor="{anchor}">'
        f"{peak:,} / {curve.grain}</text></svg>"
    )


# The user network


@dataclass(frozen=True, eq=False, kw_only=True)
class UserPicture:
    """Where the most active accounts of a network stand, and what is known of each. k of n shown.

    Communities are those of the whole network, so that cutting a picture does not change them.
    """

    #: (k,) account keys, and their names.
    users: tuple[str, ...]
    names: tuple[str, ...]
    #: (k, 2) in [-1, 1].
    positions: NDArray[np.float32]
    #: (k,) over the whole network.
    times_shared: Ids
    shares_made: Ids
    community: Ids
    #: (k,) of the shares an account is part of, as shared one or as sharer.
    judged: Ids
    likely_false: Ids
    #: (m, 2) links between accounts that are shown: the shared one, the sharer.
    links: Ids
    #: Accounts per community of the whole network, greatest first.
    community_sizes: tuple[int, ...]
    modularity: float | None
    n_users: int
    n_links: int
    n_shares: int
    n_judged: int
    first_at: datetime | None
    last_at: datetime | None


def busiest_accounts(links: Sequence[LinkRow], limit: int) -> list[str]:
    """The accounts that take part in most shares, in sorted order.

    >>> at = datetime(2023, 4, 24)
    >>> links = [LinkRow("b", "a", 2, 0, 0, at, at), LinkRow("b", "c", 1, 0, 0, at, at)]
    >>> busiest_accounts(links, 2)
    ['a', 'b']
    """
    shares: dict[str, int] = {}
    for link in links:
        for user in (link.shared, link.sharer):
            shares[user] = shares.get(user, 0) + link.n_shares
    return sorted(sorted(shares, key=lambda user: (-shares[user], user))[:limit])


def plan_users(
    links: Sequence[LinkRow], names: Mapping[str, str], *, limit: int, seed: int
) -> UserPicture:
    """The picture of a user network, cut to the `limit` accounts that take part in most shares.

    Where something is cut, what is left in groups of fewer than SMALLEST_GROUP accounts is left
    out as well: apart from the rest they tell nothing about it and take its room.
    """
    whole = build_user_network(
        [link.shared for link in links for _ in range(link.n_shares)],
        [link.sharer for link in links for _ in range(link.n_shares)],
    )
    number = {user: i for i, user in enumerate(whole.users)}
    ends = np.array(
        [(number[link.shared], number[link.sharer]) for link in links], dtype=np.int64
    ).reshape(-1, 2)
    judged = np.array([link.judged for link in links], dtype=np.int64)
    likely_false = np.array([link.likely_false for link in links], dtype=np.int64)
    found = louvain(whole, seed=max(seed, 1))

    shown_links = np.ones(len(whole.weight), dtype=bool)
    if whole.n_users > limit:
        kept = np.zeros(whole.n_users, dtype=bool)
        kept[[number[user] for user in busiest_accounts(links, limit)]] = True
        shown_links = kept[whole.source] & kept[whole.target]
        shown_links &= _group_sizes(whole, shown_links)[whole.source] >= SMALLEST_GROUP
    source, target = whole.source[shown_links], whole.target[shown_links]
    shown, places = np.unique(np.concatenate([source, target]), return_inverse=True)
    pairs = places.reshape(2, -1).T
    positions = layout_network(
        pairs[:, 0], pairs[:, 1], whole.weight[shown_links], len(shown), seed=max(seed, 1)
    )

    def per_user(counts: Ids) -> Ids:
        both = np.concatenate([ends[:, 0], ends[:, 1]])
        sums: Ids = sum_at(both, np.tile(counts, 2), whole.n_users)[shown]
        return sums

    users = tuple(whole.users[i] for i in shown.tolist())
    return UserPicture(
        users=users,
        names=tuple(names.get(user, user.partition(":")[2]) for user in users),
        positions=positions,
        times_shared=whole.times_shared[shown],
        shares_made=whole.shares_made[shown],
        community=found.membership[shown],
        judged=per_user(judged),
        likely_false=per_user(likely_false),
        links=pairs,
        community_sizes=tuple(np.bincount(found.membership).tolist()),
        modularity=found.quality,
        n_users=whole.n_users,
        n_links=len(whole.weight),
        n_shares=int(whole.weight.sum()),
        n_judged=int(judged.sum()),
        first_at=min((link.first_at for link in links), default=None),
        last_at=max((link.last_at for link in links), default=None),
    )


def _group_sizes(network: UserNetwork, links: NDArray[np.bool_]) -> Ids:
    """For each account, how many are connected with it by these links, itself included."""
    ends = (network.source[links], network.target[links])
    matrix = coo_array((np.ones(len(ends[0])), ends), shape=(network.n_users, network.n_users))
    _, group = connected_components(matrix, directed=False)
    sizes: Ids = np.bincount(group)[group].astype(np.int64)
    return sizes


def draw_users(picture: UserPicture, colouring: Colouring) -> Markup:
    """Accounts as discs whose area grows with how often they were shared; a line where one shared.

    Title elements say who and how often; the most shared accounts are named where there is room.
    """
    k = len(picture.users)
    radius = 2.4 + 15.0 * np.sqrt(
        picture.times_shared / max(int(picture.times_shared.max(initial=1)), 1)
    )
    points = SIDE / 2 + (SIDE / 2 - 20) * picture.positions.astype(np.float64)
    at = [f"{x:.4g} {y:.4g}" for x, y in points]
    lines = "".join(f"M{at[a]}L{at[b]}" for a, b in picture.links.tolist())

    by_class: dict[str, list[str]] = {}
    for i in np.lexsort((np.arange(k), -radius)).tolist():  # small ones are drawn over great ones
        judged, likely_false = int(picture.judged[i]), int(picture.likely_false[i])
        verdict = f"{likely_false:,} of {judged:,} judged likely false" if judged else "none judged"
        told = (
            f"@{picture.names[i]}: shared {int(picture.times_shared[i]):,} times, "
            f"shared others {int(picture.shares_made[i]):,} times; {verdict}"
        )
        colour = (
            community_class(int(picture.community[i]))
            if colouring == "community"
            else level_class(judged, likely_false)
        )
        x, y = at[i].split()
        by_class.setdefault(colour, []).append(
            f'<circle cx="{x}" cy="{y}" r="{radius[i]:.3g}"><title>{in_xml(told)}</title></circle>'
        )
    discs = "".join(f'<g class="{c}">{"".join(by_class[c])}</g>' for c in sorted(by_class))
    said = f"{k:,} accounts and {len(picture.links):,} links, coloured by {colouring}"
    return Markup(
        f'<svg class="network" viewBox="0 0 {SIDE} {SIDE}" role="img" aria-label="{said}">'
        f'<path class="links" d="{lines}"/>{discs}{_names(picture, points, radius)}</svg>'
    )


def _names(picture: UserPicture, points: NDArray[np.float64], radius: NDArray[np.float64]) -> str:
    size = 12.0
    taken: list[tuple[float, float, float, float]] = []
    drawn = []
    order = np.lexsort((np.arange(len(radius)), -picture.times_shared))
    for i in order[:N_NAMED].tolist():
        label = cut_label(f"@{picture.names[i]}")
        half = label_width(label, size) / 2
        x = min(max(float(points[i, 0]), half + 2), SIDE - half - 2)
        y = float(points[i, 1]) - float(radius[i]) - 4
        y = y if y > size else float(points[i, 1]) + float(radius[i]) + size
        box = (x - half, y - size, x + half, y + 2)
        if any(box[0] < b[2] and b[0] < box[2] and box[1] < b[3] and b[1] < box[3] for b in taken):
            continue
        taken.append(box)
        drawn.append(f'<text x="{x:.4g}" y="{y:.4g}">{in_xml(label)}</text>')
    return f'<g class="names">{"".join(drawn)}</g>'


# The hashtag network


@dataclass(frozen=True, eq=False, kw_only=True)
class TagPicture:
    """Hashtags as written words, and where each stands so that no two cover each other. t tags."""

    tags: tuple[str, ...]
    labels: tuple[str, ...]
    uses: tuple[int, ...]
    #: (t,) colour class by likely-false share.
    colours: tuple[str, ...]
    #: (t,) size of the letters.
    sizes: NDArray[np.float64]
    #: (t, 2) centres of the words, and (t, 2) width and height of the boxes that hold them.
    centres: NDArray[np.float64]
    boxes: NDArray[np.float64]
    #: (m, 2) and how many posts use both.
    links: Ids
    weights: Ids
    first_at: datetime | None
    last_at: datetime | None


def plan_tags(
    tags: Sequence[SpreadRow], pairs: Sequence[PairRow], display: Mapping[str, str], *, seed: int
) -> TagPicture:
    """The picture of a hashtag network. Hashtags stand near those they are mostly used with.

    How near: posts with both / sqrt(posts with one * posts with the other), so that a hashtag
    that stands in every post does not draw everything to itself.
    """
    number = {row.hashtag: i for i, row in enumerate(tags)}
    among = [pair for pair in pairs if pair.hashtag_a in number and pair.hashtag_b in number]
    links = np.array(
        [(number[pair.hashtag_a], number[pair.hashtag_b]) for pair in among], dtype=np.int64
    ).reshape(-1, 2)
    weights = np.array([pair.posts for pair in among], dtype=np.int64)
    uses = np.array([row.posts for row in tags], dtype=np.int64)
    labels = tuple(cut_label(show_topic(row.hashtag, display.get(row.hashtag))) for row in tags)
    sizes = 12.0 + 26.0 * np.sqrt(uses / max(int(uses.max(initial=1)), 1))
    boxes = np.array(
        [
            (label_width(label, size) + size, 1.3 * size)
            for label, size in zip(labels, sizes.tolist(), strict=True)
        ]
    ).reshape(-1, 2)
    expected = np.sqrt((uses[links[:, 0]] * uses[links[:, 1]]).astype(np.float64))
    near = np.ceil(1000 * weights / np.maximum(expected, 1)).astype(np.int64)
    places = layout_network(links[:, 0], links[:, 1], near, len(tags), seed=max(seed, 1))
    # crowds are pushed apart evenly, as if words were STRETCH times less wide, then word by word
    room = np.sqrt(2.0 * float(boxes.prod(axis=1).sum()) / STRETCH)
    stretch = np.array([STRETCH, 1.0])
    even = lay_flat(places.astype(np.float64)) * room * np.array([0.4, 0.6])
    even = separate(even, 0.55 * np.sqrt(boxes.prod(axis=1) / STRETCH))
    centres = separate_boxes(even * stretch, boxes + 4.0)
    return TagPicture(
        tags=tuple(row.hashtag for row in tags),
        labels=labels,
        uses=tuple(uses.tolist()),
        colours=tuple(level_class(row.judged, row.likely_false) for row in tags),
        sizes=sizes,
        centres=centres,
        boxes=boxes,
        links=links,
        weights=weights,
        first_at=min((row.first_seen_at for row in tags), default=None),
        last_at=max((row.last_seen_at for row in tags), default=None),
    )


def lay_flat(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points turned so that they are spread most from left to right; distances stay.

    >>> lay_flat(np.array([[0.0, -1.0], [0.0, 1.0]])).round(9).tolist() in (
    ...     [[-1.0, 0.0], [1.0, 0.0]], [[1.0, 0.0], [-1.0, 0.0]])
    True
    """
    if len(points) < 2:
        return points
    centred = points - points.mean(axis=0)
    _, axes = np.linalg.eigh(centred.T @ centred)  # least spread first
    axes = axes[:, ::-1] * np.where(axes[:, ::-1].sum(axis=0) < 0, -1.0, 1.0)  # one sign of two
    turned: NDArray[np.float64] = centred @ axes
    return turned


def separate_boxes(
    centres: NDArray[np.float64], boxes: NDArray[np.float64], steps: int = 2000
) -> NDArray[np.float64]:
    """Boxes that overlap pushed apart, along the axis on which that is the shorter way.

    centres: (t, 2); boxes: (t, 2) width and height.   Returns: (t, 2).   Cost: O(steps t^2).

    >>> separate_boxes(np.array([[0.0, 0.0], [1.0, 0.0]]), np.array([[4.0, 9.0], [4.0, 9.0]]))[:, 0]
    array([-1.5,  2.5])
    """
    centres = centres.copy()
    first, second = np.triu_indices(len(boxes), k=1)
    reach = (boxes[first] + boxes[second]) / 2
    for _ in range(steps):
        between = centres[second] - centres[first]
        overlap = reach - np.abs(between)
        meet = (overlap > 1e-6).all(axis=1)
        if not meet.any():
            break
        axis = overlap[meet].argmin(axis=1)
        rows = np.flatnonzero(meet)
        way = np.where(between[rows, axis] < 0, -1.0, 1.0)
        push = way * overlap[rows, axis] / 2
        np.add.at(centres, (first[rows], axis), -push)
        np.add.at(centres, (second[rows], axis), push)
    return centres


def draw_tags(picture: TagPicture) -> Markup:
    """Words whose size grows with use, a dot before each by likely-false share, lines between."""
    if not picture.tags:
        return Markup('<svg class="tags" viewBox="0 0 1 1"></svg>')
    low = (picture.centres - picture.boxes / 2).min(axis=0) - 12
    high = (picture.centres + picture.boxes / 2).max(axis=0) + 12
    view = " ".join(f"{value:.5g}" for value in (*low, *(high - low)))
    at = [f"{x:.5g} {y:.5g}" for x, y in picture.centres]
    heaviest = max(picture.weights.tolist(), default=1)
    lines = []
    for (a, b), weight in zip(picture.links.tolist(), picture.weights.tolist(), strict=True):
        width = 0.6 + 6 * (weight / heaviest) ** 0.5
        lines.append(f'<path d="M{at[a]}L{at[b]}" stroke-width="{width:.2g}"/>')
    words = []
    for i, label in enumerate(picture.labels):
        size = float(picture.sizes[i])
        x, y = picture.centres[i]
        left = x - picture.boxes[i, 0] / 2
        told = f"{show_topic(picture.tags[i])}: {picture.uses[i]:,} posts"
        words.append(
            f"<g><title>{in_xml(told)}</title>"
            f'<circle class="{picture.colours[i]}" cx="{left + 0.3 * size:.5g}" cy="{y:.5g}"'
            f' r="{0.26 * size:.3g}"/>'
            f'<text x="{left + 0.75 * size:.5g}" y="{y + 0.34 * size:.5g}"'
            f' font-size="{size:.3g}">{in_xml(label)}</text></g>'
        )
    said = f"{len(picture.tags):,} hashtags and {len(picture.links):,} links"
    return Markup(
        f'<svg class="tags" viewBox="{view}" role="img" aria-label="{said}">'
        f'<g class="links">{"".join(lines)}</g>{"".join(words)}</svg>'
    )


# Words


def cut_label(label: str) -> str:
    """A label that fits: at most LONGEST_LABEL characters.

    >>> cut_label("#short"), len(cut_label("#" + "x" * 99))
    ('#short', 26)
    """
    return label if len(label) <= LONGEST_LABEL else label[: LONGEST_LABEL - 1] + "…"


def label_width(label: str, size: float) -> float:
    """About how wide a label is in a sans-serif font; East Asian letters are square.

    >>> label_width("ab", 10) < label_width("漢字", 10)
    True
    """
    units = 0.0
    for letter in label:
        if combining(letter):
            continue
        wide = east_asian_width(letter) in "WF"
        units += 1.0 if wide else 0.72 if letter.isupper() or letter in "@#mw" else 0.57
    return units * size


def day_ticks(starts: Sequence[datetime], most: int = 6) -> list[tuple[int, str]]:
    """Labels for the buckets that begin a day, at most `most`, evenly spaced.

    >>> day_ticks([datetime(2023, 4, 30), datetime(2023, 5, 1)])
    [(0, '30 Apr'), (1, '1 May')]
    """
    days = [0] if starts else []
    days += [i for i, (a, b) in enumerate(pairwise(starts), 1) if a.date() != b.date()]
    every = -(-len(days) // most)
    return [(i, f"{starts[i].day} {_MONTHS[starts[i].month - 1]}") for i in days[:: max(every, 1)]]


#: Not strftime, whose names follow the machine's language.
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
