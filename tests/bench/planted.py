"""A retweet network with communities that are known because they were planted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]


def planted_shares(
    n_shares: int, *, seed: int = 1, cross: float = 0.2, shares_per_user: int = 4
) -> tuple[Ids, Ids, Ids, Ids]:
    """Who was shared and who shares, as account numbers in random order, and the planted truth.

    n = n_shares / shares_per_user users in about sqrt(n) / 2 communities whose sizes fall off as
    rank^-0.8. A share crosses communities with probability `cross`; the shared account is drawn
    with a heavy tail (rank u^3), the sharer evenly. Account numbers are 62 random bits.

    Returns: shared (m,), sharers (m,), accounts (n,) sorted, community (n,) of each account.
    """
    chance = np.random.default_rng(seed)
    n_users = max(n_shares // shares_per_user, 4)
    n_communities = max(2, int(np.sqrt(n_users) / 2))
    size = np.arange(1, n_communities + 1) ** -0.8
    community = np.sort(chance.choice(n_communities, n_users, p=size / size.sum()))
    start = np.searchsorted(community, np.arange(n_communities + 1))
    sharer = chance.integers(0, n_users, n_shares)
    crosses = chance.random(n_shares) < cross
    low = np.where(crosses, 0, start[community[sharer]])
    high = np.where(crosses, n_users, start[community[sharer] + 1])
    shared = (low + (high - low) * chance.random(n_shares) ** 3).astype(np.int64)
    accounts = np.unique(chance.integers(0, 2**62, n_users + n_users // 100 + 8))[:n_users]
    # which account belongs where must not be seen from its number
    place = chance.permutation(n_users)
    order = chance.permutation(n_shares)
    truth = np.empty(n_users, dtype=np.int64)
    truth[place] = community
    return accounts[place[shared]][order], accounts[place[sharer]][order], accounts, truth
