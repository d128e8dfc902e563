"""The network of a hashtag as the network page draws it: laid out here, so that a browser only
paints. Pure but for the cache of layouts."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from hashlib import blake2b
from threading import Lock
from typing import Any, TypeVar, cast

from graph.coordination import Actions, find_network
from hoaxwatch.pictures import TagPicture, UserPicture, level_class, plan_tags, plan_users
from storage.reads import LinkRow, PairRow, SpreadRow, UserRow

Picture = TypeVar("Picture")

#: Accounts that are drawn unless asked for more, and at most.
N_SHOWN, MOST_SHOWN = 5_000, 20_000
#: Layouts that are kept.
N_KEPT = 12


class Layouts:
    """Pictures of networks, the latest kept: a layout takes a second at 4,000 accounts. The key is
    what is drawn, so a kept one is never out of date."""

    def __init__(self) -> None:
        self._kept: OrderedDict[bytes, Any] = OrderedDict()
        self._lock = Lock()

    def plan(self, links: Sequence[LinkRow], limit: int, seed: int) -> UserPicture:
        """As `plan_users` without names."""
        name = _name("accounts", limit, seed, *links)
        return self._planned(name, lambda: plan_users(links, {}, limit=limit, seed=seed))

    def plan_tags(
        self,
        tags: Sequence[SpreadRow],
        pairs: Sequence[PairRow],
        display: Mapping[str, str],
        seed: int,
    ) -> TagPicture:
        """As `plan_tags`."""
        name = _name("hashtags", seed, *tags, *pairs, sorted(display.items()))
        return self._planned(name, lambda: plan_tags(tags, pairs, display, seed=seed))

    def _planned(self, name: bytes, plan: Callable[[], Picture]) -> Picture:
        """Nobody waits for another's layout: the largest takes a minute. Of two at a time that draw
        the same the first is kept."""
        with self._lock:
            planned = self._kept.get(name)
        if planned is None:
            planned = plan()
        with self._lock:
            planned = self._kept.setdefault(name, planned)
            self._kept.move_to_end(name)
            if len(self._kept) > N_KEPT:
                self._kept.popitem(last=False)
        return cast(Picture, planned)


def _name(*drawn: object) -> bytes:
    key = blake2b(digest_size=16)
    for one in drawn:
        key.update(repr(one).encode())
    return key.digest()


def coordinated_accounts(actions: Actions) -> set[str]:
    """Accounts that did the same within a minute of each other more than chance explains."""
    groups = find_network(actions).groups()
    return {actions.accounts[i] for group in groups for i in group.tolist()}


def network_answer(
    picture: UserPicture,
    links: Sequence[LinkRow],
    users: Mapping[str, UserRow],
    coordinated: Collection[str],
) -> dict[str, Any]:
    """What the page is sent: columns, as that is half as long as rows.

    Communities are numbered by size. Level is 0 to 4, the likely-false share of an account's judged
    shares in fifths, -1: none judged. Times are in seconds since 1970.
    """
    number = {user: i for i, user in enumerate(picture.users)}
    shown = sorted(
        (link.first_at.timestamp(), number[link.shared], number[link.sharer], link)
        for link in links
        if link.shared in number and link.sharer in number
    )
    pairs = {(a, b) for a, b in picture.links.tolist()}
    kept = [(at, a, b, link) for at, a, b, link in shown if (a, b) in pairs]
    levels = [
        level_class(judged, likely_false)
        for judged, likely_false in zip(
            picture.judged.tolist(), picture.likely_false.tolist(), strict=True
        )
    ]
    handles = [users[user].handle if user in users else None for user in picture.users]
    return {
        "n_accounts": picture.n_users,
        "n_links": picture.n_links,
        "n_shares": picture.n_shares,
        "n_shown": len(picture.users),
        "n_links_shown": len(kept),
        "first_at": picture.first_at,
        "last_at": picture.last_at,
        "modularity": picture.modularity,
        "community_sizes": list(picture.community_sizes),
        "accounts": {
            "name": list(picture.users),
            "handle": handles,
            "x": [round(x, 5) for x in picture.positions[:, 0].tolist()],
            "y": [round(-y, 5) for y in picture.positions[:, 1].tolist()],
            "times_shared": picture.times_shared.tolist(),
            "shares_made": picture.shares_made.tolist(),
            "followers": [users[u].followers if u in users else None for u in picture.users],
            "community": picture.community.tolist(),
            "judged": picture.judged.tolist(),
            "likely_false": picture.likely_false.tolist(),
            "level": [-1 if level == "unjudged" else int(level[-1]) for level in levels],
            "coordinated": [user in coordinated for user in picture.users],
        },
        "links": {
            "shared": [a for _, a, _, _ in kept],
            "sharer": [b for _, _, b, _ in kept],
            "shares": [link.n_shares for *_, link in kept],
            "first_at": [int(at) for at, *_ in kept],
            "last_at": [int(link.last_at.timestamp()) for *_, link in kept],
        },
    }
