"""The networks of a spread with everything a picture or another program wants to know: pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from graph.communities import Communities
from graph.coordination import CoordinationNetwork
from graph.export import GREY, GraphTable, Value, colours_of, iso_time
from graph.hashtags import HashtagNetwork
from graph.propagation import PropagationGraph
from graph.spread import Spread
from graph.users import UserNetwork
from hoaxwatch.show import in_xml

#: Lines are drawn up to so many links; more of them are only a grey disc.
MOST_LINES = 30_000
#: Width and height of a picture (units of the picture).
SIDE = 1600


class Profile(NamedTuple):
    """An account as last seen; None is unknown."""

    handle: str | None
    followers: int | None


NO_PROFILE = Profile(None, None)


def table_of_users(
    spread: Spread,
    authors: Mapping[str, str | None],
    network: UserNetwork,
    profiles: Mapping[str, Profile],
    communities: Communities | None,
    positions: NDArray[np.float32] | None,
) -> GraphTable:
    """The user network: accounts by how often they are shared, links from the one who is shared.

    authors: of posts by key. Sizes grow with the root of times_shared.
    """
    first: dict[tuple[str, str], int] = {}
    last: dict[tuple[str, str], int] = {}
    at: dict[str, list[int]] = {}
    for share in spread.shares:
        shared, sharer = authors.get(share.share_of or ""), share.author
        if shared and sharer and shared != sharer:
            pair = (shared, sharer)
            first[pair] = min(first.get(pair, share.at_us), share.at_us)
            last[pair] = max(last.get(pair, share.at_us), share.at_us)
            for user in pair:
                at.setdefault(user, []).append(share.at_us)
    pairs = [
        (network.users[a], network.users[b])
        for a, b in zip(network.source.tolist(), network.target.tolist(), strict=True)
    ]
    known = [profiles.get(user, NO_PROFILE) for user in network.users]
    columns: dict[str, list[Value]] = {
        "handle": [profile.handle for profile in known],
        "followers": [profile.followers for profile in known],
        "times_shared": list(network.times_shared.tolist()),
        "shares_made": list(network.shares_made.tolist()),
        "first_at": [iso_time(min(at[user])) for user in network.users],
        "last_at": [iso_time(max(at[user])) for user in network.users],
    }
    if communities is not None:
        columns["community"] = list(communities.membership.tolist())
    return GraphTable(
        nodes=network.users,
        source=network.source,
        target=network.target,
        is_directed=True,
        node_columns=columns,
        edge_columns={
            "weight": network.weight.tolist(),
            "first_at": [iso_time(first[pair]) for pair in pairs],
            "last_at": [iso_time(last[pair]) for pair in pairs],
        },
        positions=positions,
        sizes=(1 + np.sqrt(network.times_shared)).tolist(),
        colours=None if communities is None else colours_of(communities.membership),
        about={
            "network": "users: from the one who is shared to the one who shares",
            "n_self_shares": network.n_self_shares,
            "n_unknown_authors": network.n_unknown_authors,
        }
        | ({} if communities is None else about_communities(communities)),
    )


def about_communities(found: Communities) -> dict[str, object]:
    """How communities were found, for a manifest."""
    return {
        "algorithm": found.algorithm,
        "parameters": dict(found.parameters),
        "seed": found.seed,
        "version": found.version,
        found.quality_name: found.quality,
        "n_communities": found.n_communities,
    }


def table_of_propagation(graph: PropagationGraph, spread: Spread) -> GraphTable:
    """The propagation graph: a node per post and share, delays as an attribute."""
    judged = [spread.contents[graph.root_ids[c]].likely_false for c in graph.cascade.tolist()]
    return GraphTable(
        nodes=graph.post_ids,
        source=graph.source,
        target=graph.target,
        is_directed=True,
        node_columns={
            "user": [graph.users[u] if u >= 0 else None for u in graph.user.tolist()],
            "is_share": graph.is_share.tolist(),
            "cascade": graph.cascade.tolist(),
            "likely_false": judged,
            "first_at": [iso_time(at) for at in graph.posted_at_us.tolist()],
        },
        edge_columns={"delay_seconds": graph.delay_seconds.tolist()},
        about={
            "network": "propagation: from the post to its share",
            "n_rootless": graph.n_rootless,
            "n_negative_delays": graph.n_negative_delays,
        },
    )


def table_of_hashtags(network: HashtagNetwork) -> GraphTable:
    """The hashtag network: linked where they stand in the same post."""
    return GraphTable(
        nodes=network.tags,
        source=network.tag_a,
        target=network.tag_b,
        is_directed=False,
        node_columns={"uses": network.uses.tolist()},
        edge_columns={"weight": network.weight.tolist()},
        sizes=(1 + np.sqrt(network.uses)).tolist(),
        about={"network": "hashtags: in the same post"},
    )


def table_of_coordination(
    network: CoordinationNetwork, profiles: Mapping[str, Profile], kind: str
) -> GraphTable:
    """The accounts of coordinated groups, linked by what they did together."""
    groups = network.groups()
    members = [i for group in groups for i in group.tolist()]
    group_of = {i: number for number, group in enumerate(groups) for i in group.tolist()}
    place = {i: number for number, i in enumerate(members)}
    rows = np.flatnonzero(network.is_significant)
    return GraphTable(
        nodes=[network.accounts[i] for i in members],
        source=np.array([place[i] for i in network.one[rows].tolist()], dtype=np.int64),
        target=np.array([place[i] for i in network.other[rows].tolist()], dtype=np.int64),
        is_directed=False,
        node_columns={
            "handle": [profiles.get(network.accounts[i], NO_PROFILE).handle for i in members],
            "group": [group_of[i] for i in members],
            "n_actions": network.n_actions[members].tolist(),
        },
        edge_columns={
            "weight": network.weight[rows].tolist(),
            "expected": network.expected[rows].tolist(),
            "p_value": network.p_value[rows].tolist(),
            "q_value": network.q_value[rows].tolist(),
        },
        colours=colours_of(np.array([group_of[i] for i in members], dtype=np.int64)),
        about={
            "network": f"coordination by {kind}: acted on the same within "
            f"{network.rules.window_seconds:g} seconds",
            "false_discovery_rate": network.rules.false_discovery_rate,
        },
    )


def draw_table(table: GraphTable) -> str:
    """A network with positions as one SVG picture: discs over lines, with who it is on each disc.

    Raises: ValueError without positions.
    """
    if table.positions is None:
        raise ValueError("a network without positions cannot be drawn")
    points = SIDE / 2 + (SIDE / 2 - 20) * table.positions.astype(np.float64)
    sizes = np.ones(table.n_nodes) if table.sizes is None else np.asarray(table.sizes)
    # at least a dot; the greatest disc is a fortieth of the picture
    radius = np.maximum(1.2, SIDE / 40 * sizes / max(float(sizes.max(initial=1.0)), 20.0))
    lines = ""
    if table.n_edges <= MOST_LINES:
        at = [f"{x:.1f} {y:.1f}" for x, y in points]
        ends = zip(table.source.tolist(), table.target.tolist(), strict=True)
        lines = "".join(f"M{at[a]}L{at[b]}" for a, b in ends)
    names = table.node_columns.get("handle", table.nodes)
    discs = []
    for i in np.lexsort((np.arange(table.n_nodes), -radius)).tolist():  # small ones on top
        colour = GREY if table.colours is None else table.colours[i]
        discs.append(
            f'<circle cx="{points[i, 0]:.1f}" cy="{points[i, 1]:.1f}" r="{radius[i]:.2f}"'
            f' fill="{colour}"><title>{in_xml(names[i] or table.nodes[i])}</title></circle>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIDE} {SIDE}"'
        f' width="{SIDE}" height="{SIDE}"><rect width="100%" height="100%" fill="white"/>'
        f'<path d="{lines}" stroke="#bbbbbb" stroke-width="0.4" stroke-opacity="0.5" fill="none"/>'
        f"{''.join(discs)}</svg>\n"
    )
