"""Clusters that grow and spread what is likely false: a score whose factors stay beside it.

    score = growth * likely_false * stability * coordination                     [0, 1]

A product, because each factor alone means little: a growing cluster may spread the weather, and a
cluster that spreads what is false may be as old as the platform. It ranks what a person should look
at first. It is no verdict on anybody, and it knows only what was collected and how it was judged.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import exp, log, sqrt

#: A cluster without any coordinated account keeps this part of its score: not to have found
#: coordination is no evidence against it, since most of what spreads needs none.
WITHOUT_COORDINATION = 0.5

#: From this score on a cluster is shown as emerging: it takes for instance a cluster that surely
#: doubled (0.5), surely likely false (0.8), found again (0.8), not coordinated (0.5).
EMERGING_FROM = 0.15


@dataclass(frozen=True, kw_only=True)
class ClusterFacts:
    """What is known of one cluster; None is unknown."""

    name: str
    #: Distinct accounts in this window, and of the same lineage in the window before; of a lineage
    #: that was not there, those of its accounts that other lineages had then (0: none).
    n_users: int
    n_before: int
    #: Lower bound of the share of likely-false posts; None: none judged.
    false_low: float | None
    #: How far runs with other seeds find it again, in [0, 1] (`graph.stability`).
    stability: float | None
    #: One account with its audience (`graph.stability.find_stars`).
    is_star: bool
    #: Accounts that belong to coordinated groups (`graph.coordination`); None: not looked for.
    n_coordinated: int | None


@dataclass(frozen=True, kw_only=True)
class EmergingScore:
    """The score of one cluster with its factors, each in [0, 1]; None is unknown."""

    name: str
    score: float | None
    growth: float
    likely_false: float | None
    stability: float | None
    coordination: float
    #: Why there is no score; None if there is one.
    reason: str | None

    @property
    def is_emerging(self) -> bool:
        """Whether it is to be shown as emerging."""
        return self.score is not None and self.score >= EMERGING_FROM


def score_emerging(cluster: ClusterFacts) -> EmergingScore:
    """How much a cluster is an emerging one that spreads likely-false posts.

        growth       = 1 - min(1, b / a * exp(1.96 sqrt(1 / a + 1 / b))), a, b: accounts now and
                       before, plus 1 each: the part of today's accounts that is surely growth
        likely_false = lower 95 % bound of the calibrated share
        stability    = mean Jaccard overlap with runs of other seeds
        coordination = 0.5 + 0.5 * coordinated accounts / accounts

    A star has no score: one account with its audience is no community. Nor has a cluster of which
    nothing was judged, or whose stability is not known.

    Raises: ValueError if a number lies outside its range.

    >>> facts = ClusterFacts(name="x", n_users=80, n_before=10, false_low=0.8, stability=0.9,
    ...                      is_star=False, n_coordinated=0)
    >>> found = score_emerging(facts)
    >>> round(found.growth, 3), round(found.score, 3), found.is_emerging
    (0.745, 0.268, True)
    """
    _check(cluster)
    growth = _sure_growth(cluster.n_users, cluster.n_before)
    coordinated = (cluster.n_coordinated or 0) / cluster.n_users
    coordination = WITHOUT_COORDINATION + (1 - WITHOUT_COORDINATION) * coordinated
    reason = None
    score = None
    if cluster.is_star:
        reason = "one account with its audience"
    elif cluster.false_low is None:
        reason = "nothing judged"
    elif cluster.stability is None:
        reason = "stability not known"
    else:
        score = growth * cluster.false_low * cluster.stability * coordination
    return EmergingScore(
        name=cluster.name,
        score=score,
        growth=growth,
        likely_false=cluster.false_low,
        stability=cluster.stability,
        coordination=coordination,
        reason=reason,
    )


def rank_emerging(clusters: Iterable[ClusterFacts]) -> list[EmergingScore]:
    """All clusters by score, greatest first, those without a score at the end; ties by name."""
    scores = [score_emerging(cluster) for cluster in clusters]
    return sorted(
        scores, key=lambda s: (s.score is None, -(s.score if s.score is not None else 0.0), s.name)
    )


def _sure_growth(n_now: int, n_before: int) -> float:
    """The part of today's accounts that is growth beyond what chance does to two counts."""
    a, b = n_now + 1, n_before + 1
    upper = log(b / a) + 1.96 * sqrt(1 / a + 1 / b)  # of the logarithm of b / a
    return 1.0 - min(1.0, exp(upper))


def _check(cluster: ClusterFacts) -> None:
    if cluster.n_users < 1 or cluster.n_before < 0:
        raise ValueError(f"{cluster.n_users} accounts after {cluster.n_before}: no such cluster")
    for what, value in (("false_low", cluster.false_low), ("stability", cluster.stability)):
        if value is not None and not 0 <= value <= 1:
            raise ValueError(f"{what} is {value}; it must lie in [0, 1]")
    if not 0 <= (cluster.n_coordinated or 0) <= cluster.n_users:
        raise ValueError(f"{cluster.n_coordinated} of {cluster.n_users} accounts are coordinated")
