"""Whether few make the whole: posts that make a hashtag, accounts that spread what is false.

Trivedi et al. 2021 find that misinformation comes from "a small number of core users". Here that is
a number: the part of the top 1, 5 and 10, and the Gini coefficient.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from graph.keys import UNKNOWN, index_keys
from graph.users import sum_at

TOP = (1, 5, 10)

#: One part from this share on is the whole story: one mega-post, one core account.
DOMINANT_SHARE = 0.5


@dataclass(frozen=True, kw_only=True)
class Concentration:
    """How unevenly a total is spread over those who have a part in it."""

    #: Those with a part greater than 0.
    n_parts: int
    total: int
    #: k -> share of the total that the k greatest parts make, in (0, 1].
    top: Mapping[int, float]
    #: 0: all parts are equal; towards 1: one has all. Among those with a part: whoever has none is
    #: not known, so it is a lower bound of the inequality of all accounts.
    gini: float
    #: How many equal parts would be as concentrated: 1 / sum of squared shares.
    effective_parts: float

    @property
    def is_dominated(self) -> bool:
        """Whether one part makes half of it or more."""
        return self.top[1] >= DOMINANT_SHARE


def concentration(parts: ArrayLike, top: Sequence[int] = TOP) -> Concentration | None:
    """How concentrated a total is, from the part of each account (or post); None without a part.

        gini            = sum over i of (2 i - k - 1) x_i / (k sum x),   x ascending, i from 1 to k
        effective_parts = (sum x)^2 / sum x^2

    Source: Gini, "Variabilita e mutabilita", 1912; effective number: Hill, Ecology 54, 1973.

    parts: int (n,) >= 0; zeros are no parts.   Cost: O(n log n).
    Raises: ValueError on a negative part.

    >>> found = concentration([6, 1, 1, 0])
    >>> found.n_parts, found.total, found.top[1], round(found.gini, 4)
    (3, 8, 0.75, 0.4167)
    >>> round(found.effective_parts, 3), found.is_dominated
    (1.684, True)
    """
    x = np.asarray(parts, dtype=np.int64)
    if (x < 0).any():
        raise ValueError("a part is negative")
    x = np.sort(x[x > 0])
    if len(x) == 0:
        return None
    total, k = int(x.sum()), len(x)
    rank = 2 * np.arange(1, k + 1) - k - 1
    return Concentration(
        n_parts=k,
        total=total,
        top={n: float(x[-n:].sum()) / total for n in top},
        gini=float((rank * x.astype(np.float64)).sum()) / (k * total),
        effective_parts=total**2 / float(np.square(x.astype(np.float64)).sum()),
    )


@dataclass(frozen=True, kw_only=True)
class CoreUsers:
    """How much of what is likely false comes from few accounts."""

    #: Likely-false posts by the account that wrote them; None: none.
    posts: Concentration | None
    #: Shares of these posts by the account that wrote them; None: none.
    shares: Concentration | None
    #: The accounts with most shares of their likely-false posts, greatest first; ties by name.
    accounts: tuple[str, ...]
    #: Likely-false posts whose author is not known: in neither number.
    n_unknown: int


def find_core_users(
    authors: Sequence[str | None],
    n_shares: ArrayLike,
    likely_false: ArrayLike,
    n_accounts: int = max(TOP),
) -> CoreUsers:
    """Who wrote what is likely false, and how concentrated that is; one row per original post.

    A score is a model's opinion: the list says whose posts it flags, not who lies.

    authors: author of each original, None if not known. n_shares: int (n,) shares it got.
    likely_false: bool (n,), False if not judged.   Cost: O(n log n).
    Raises: ValueError if the columns differ in length.

    >>> core = find_core_users(["a", "b", "a", None], [90, 5, 5, 1], [True, True, True, True])
    >>> core.posts.top[1], core.shares.top[1], core.accounts, core.n_unknown
    (0.6666666666666666, 0.95, ('a', 'b'), 1)
    """
    shares = np.asarray(n_shares, dtype=np.int64)
    is_false = np.asarray(likely_false, dtype=bool)
    if not len(authors) == len(shares) == len(is_false):
        raise ValueError("authors, n_shares and likely_false must have the same length")
    keys, (author,) = index_keys(authors)
    counted = is_false & (author != UNKNOWN)
    n_posts = np.bincount(author[counted], minlength=len(keys)).astype(np.int64)
    n_shared: NDArray[np.int64] = sum_at(author[counted], shares[counted], len(keys))
    order = np.lexsort((-n_posts, -n_shared))  # stable, and keys are sorted: ties by name
    return CoreUsers(
        posts=concentration(n_posts),
        shares=concentration(n_shared),
        accounts=tuple(keys[i] for i in order[:n_accounts].tolist() if n_posts[i]),
        n_unknown=int((is_false & (author == UNKNOWN)).sum()),
    )


def explain_spread(shares_per_post: ArrayLike) -> str:
    """One mega-post or many small ones, in words.

    >>> explain_spread([90, 5, 5])
    '1 of 3 shared posts makes 90 % of the shares: the rise is that post'
    >>> explain_spread([3, 3, 2, 2])
    '4 posts were shared, as evenly as 4 equal ones: the greatest makes 30 % of the shares'
    """
    found = concentration(shares_per_post)
    if found is None:
        return "nothing was shared"
    share = f"{100 * found.top[1]:.0f} %"
    if found.n_parts == 1:
        return "1 post makes all the shares: the rise is that post"
    if found.is_dominated:
        return (
            f"1 of {found.n_parts:,} shared posts makes {share} of the shares: the rise is that"
            " post"
        )
    return (
        f"{found.n_parts:,} posts were shared, as evenly as {found.effective_parts:.0f} equal ones:"
        f" the greatest makes {share} of the shares"
    )
