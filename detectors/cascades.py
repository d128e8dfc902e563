"""Cascades as detectors read them: one root's graph, and the interface of what scores it.

    Content  ──►  Detector.score         an opinion about wording, pictures, an account
    Cascade  ──►  CascadeDetector.score  an opinion about the way it spreads

Both give a `Verdict` about the same root, so both can be parts of one score (`detectors.fusion`). A
content is judged once; a cascade grows, and is judged anew at set sizes and ages.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from hashlib import blake2b
from importlib import import_module
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from detectors.registry import UnknownDetector
from graph.features import Ints, simple_edges
from graph.keys import index_keys
from streams.records import Verdict

Floats = NDArray[np.float64]

#: Name -> "module:Class", imported on first use, like `detectors.registry.DETECTORS`.
CASCADE_DETECTORS: dict[str, str] = {
    "cascade_gcn": "detectors.cascade_gcn:CascadeGcnDetector",
}


class CascadeDetector(Protocol):
    """Scores cascades. Pure, like `Detector`: no network, no database, no settings, and the score
    of a cascade does not depend on which others are in the call, nor on their order."""

    @property
    def name(self) -> str:
        """The name in CASCADE_DETECTORS."""

    @property
    def version(self) -> str:
        """Changes whenever a score could change: weights, features, preparation."""

    @property
    def threshold(self) -> float:
        """Scores of at least this much count as likely false unless the policy says otherwise."""

    def score(self, cascades: Sequence[Cascade]) -> list[Verdict]:
        """One verdict per cascade, in order. `input_hash` is the cascade's."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Cascade:
    """The graph of one root: posts and shares (or users who shared), and who led to whom.

    Edges go from the one who is shared to the one who shares. They need be no tree: there may be
    several parents, circles, edges back in time and nodes without any. Unknown is NaN.
    """

    platform: str
    root_id: str
    n_nodes: int
    #: The node of the root, -1 if it was not seen.
    root: int
    #: (m,) each edge once, no loops, sorted by (source, target).
    source: Ints
    target: Ints
    #: (n,) seconds since the root; negative where clocks disagree.
    delay_seconds: Floats
    #: What else is known of the nodes: name -> (n,).
    metadata: Mapping[str, Floats]

    @cached_property
    def input_hash(self) -> bytes:
        """16 bytes that name all that a detector can read of this cascade."""
        digest = blake2b(np.array([self.n_nodes, self.root], np.int64).tobytes(), digest_size=16)
        columns = {"": self.delay_seconds, **self.metadata}
        for edges in (self.source, self.target):
            digest.update(edges.tobytes())
        for name in sorted(columns):
            digest.update(name.encode())
            digest.update(columns[name].tobytes())
        return digest.digest()


def build_cascade(
    root_id: str,
    edges: Iterable[tuple[str, str]],
    *,
    platform: str = "",
    root_key: str | None = None,
    delays: Mapping[str, float] | None = None,
    metadata: Mapping[str, Mapping[str, float]] | None = None,
) -> Cascade:
    """The cascade of these edges, given as (shared, sharer) keys in any order.

    A node is whatever has a key in an edge, in `delays` or in a column of `metadata`, and the root.
    Nodes are numbered by their sorted keys, so order and repetition change nothing.

    root_key: the root's key if it is another than root_id, "" if the root is not seen.
    delays: seconds since the root by key. metadata: name -> values by key.   Cost: O(m log m).

    >>> cascade = build_cascade("r", [("r", "a"), ("a", "b"), ("r", "a")], delays={"b": 60.0})
    >>> cascade.n_nodes, cascade.root, cascade.source.tolist(), cascade.target.tolist()
    (3, 2, [0, 2], [1, 0])
    >>> cascade.delay_seconds.tolist()
    [nan, 60.0, nan]
    """
    pairs = list(edges)
    columns = {"": delays or {}, **(metadata or {})}
    known = sorted({key for column in columns.values() for key in column})
    own = root_key if root_key is not None else root_id
    keys, (source, target, _, root) = index_keys(
        [a for a, _ in pairs], [b for _, b in pairs], known, [own]
    )
    begins, ends = simple_edges(source, target, len(keys))
    values = {
        name: np.array([column.get(key, np.nan) for key in keys], dtype=np.float64)
        for name, column in columns.items()
    }
    return Cascade(
        platform=platform,
        root_id=root_id,
        n_nodes=len(keys),
        root=int(root[0]),
        source=begins,
        target=ends,
        delay_seconds=values.pop(""),
        metadata=values,
    )


def seen_within(cascade: Cascade, after_seconds: float) -> Cascade:
    """What of a cascade could be seen that long after its root: for detection early on.

    A node whose time is not known, other than the root, is left out: it cannot be claimed to have
    been there. Edges lead between nodes that are seen, so one whose parent claims a later time
    (clocks disagree) loses that edge and stays as a node.

    >>> whole = build_cascade("r", [("r", "a"), ("a", "b")], delays={"r": 0, "a": 50, "b": 99})
    >>> early = seen_within(whole, after_seconds=60)
    >>> early.n_nodes, early.source.tolist(), early.target.tolist()
    (2, [1], [0])
    """
    with np.errstate(invalid="ignore"):
        seen = cascade.delay_seconds <= after_seconds
    if cascade.root >= 0:
        seen[cascade.root] = True
    number = np.cumsum(seen) - 1
    kept = seen[cascade.source] & seen[cascade.target]
    return Cascade(
        platform=cascade.platform,
        root_id=cascade.root_id,
        n_nodes=int(seen.sum()),
        root=int(number[cascade.root]) if cascade.root >= 0 else -1,
        source=number[cascade.source[kept]],
        target=number[cascade.target[kept]],
        delay_seconds=cascade.delay_seconds[seen],
        metadata={name: values[seen] for name, values in cascade.metadata.items()},
    )


def no_structure(cascade: Cascade) -> str | None:
    """Why the shape of a cascade says nothing, or None if it does.

    no_shares  no edge: nobody was seen to share
    star       one node is an end of every edge, so all others are alike and only their number is
               left. Platforms that name the root of a share, and not the share it was found
               through, deliver nothing else

    >>> no_structure(build_cascade("r", [("r", "a"), ("r", "b")]))
    'star'
    >>> no_structure(build_cascade("r", [("r", "a"), ("a", "b"), ("b", "c")]))
    >>> no_structure(build_cascade("r", []))
    'no_shares'
    """
    if not len(cascade.source):
        return "no_shares"
    for centre in (cascade.source[0], cascade.target[0]):
        if ((cascade.source == centre) | (cascade.target == centre)).all():
            return "star"
    return None


# Checkpoints


class SharedPost(NamedTuple):
    """A post of a cascade. share_of: the post it shares, None for the root."""

    post_id: str
    posted_at: datetime
    share_of: str | None


class Checkpoints(NamedTuple):
    """When a cascade is judged: with so many shares, and so long after its root [seconds]."""

    min_shares: int = 20
    ages: tuple[int, ...] = (1800, 3600, 21600, 86400)


class CascadeState(NamedTuple):
    """A cascade as it stood at a checkpoint, and when the last of its posts was published."""

    checkpoint: str
    cascade: Cascade
    seen_until: datetime


#: The checkpoint of all that is known.
LATEST = "latest"


def cascade_states(
    platform: str,
    root_id: str,
    posts: Iterable[SharedPost],
    checkpoints: Checkpoints = Checkpoints(),  # noqa: B008 - immutable
) -> list[CascadeState]:
    """The states in which one cascade is judged; none if it has too few shares.

    shares 20  up to the 20th share, and whatever has the same time
    age 1800   what was there 1,800 seconds after the root, once something is as old as that; so
               only where the root's own time is known
    latest     everything

    Event time decides, so order, repetition and the moment of looking change nothing; late posts
    change the states they belong to. An age at which nothing is as old has no state: `latest` is
    the same there.

    >>> from datetime import UTC
    >>> day = datetime(2026, 3, 2, tzinfo=UTC)
    >>> posts = [SharedPost("r", day, None), SharedPost("a", day + timedelta(hours=1), "r"),
    ...          SharedPost("b", day + timedelta(hours=2), "a")]
    >>> [(state.checkpoint, state.cascade.n_nodes)
    ...  for state in cascade_states("x", "r", posts, Checkpoints(1, (1800, 3600, 86400)))]
    [('shares 1', 2), ('age 1800', 1), ('age 3600', 2), ('latest', 3)]
    """
    by_time = sorted(posts, key=lambda post: (post.posted_at, post.post_id))
    shares = [post for post in by_time if post.post_id != root_id]
    if len(shares) < checkpoints.min_shares:
        return []
    began = next((post.posted_at for post in by_time if post.post_id == root_id), None)
    last = by_time[-1].posted_at
    ends = {f"shares {checkpoints.min_shares}": shares[checkpoints.min_shares - 1].posted_at}
    if began is not None:
        at_age = {age: began + timedelta(seconds=age) for age in checkpoints.ages}
        ends |= {f"age {age}": end for age, end in at_age.items() if end <= last}
    ends[LATEST] = last
    states = []
    for checkpoint, end in ends.items():
        seen = [post for post in by_time if post.posted_at <= end]
        if seen:
            states.append(
                CascadeState(
                    checkpoint,
                    _cascade_of(platform, root_id, seen, began),
                    seen[-1].posted_at,
                )
            )
    return states


def _cascade_of(
    platform: str, root_id: str, posts: Sequence[SharedPost], began: datetime | None
) -> Cascade:
    return build_cascade(
        root_id,
        [
            (post.share_of or root_id, post.post_id)
            for post in posts
            if post.post_id not in (root_id, post.share_of)
        ],
        platform=platform,
        delays={}
        if began is None
        else {post.post_id: (post.posted_at - began).total_seconds() for post in posts},
    )


class UnknownCascadeDetector(UnknownDetector):
    """No detector of cascades has this name."""


def load_cascade_detector(name: str) -> CascadeDetector:
    """The detector of that name with its shipped weights. Raises UnknownCascadeDetector."""
    if name not in CASCADE_DETECTORS:
        raise UnknownCascadeDetector(
            f"no detector of cascades is called {name!r}; there are: "
            f"{', '.join(sorted(CASCADE_DETECTORS))}"
        )
    module, _, attribute = CASCADE_DETECTORS[name].partition(":")
    detector: CascadeDetector = getattr(import_module(module), attribute)()
    return detector
