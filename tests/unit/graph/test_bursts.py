"""Bursts: against the formula written out, with the burst itself, gaps and changes of query."""

from __future__ import annotations

from dataclasses import replace
from statistics import median

import numpy as np
import pytest

from graph.bursts import (
    BASELINE_WEEKS,
    BASES,
    BURST_FROM,
    HOURS_A_WEEK,
    MIN_BASELINE,
    Coverage,
    acceleration,
    full_coverage,
    reach,
    score_bursts,
    velocity,
)

WEEK = HOURS_A_WEEK


def weekly(n_weeks: int, seed: int = 1) -> np.ndarray:
    """Hourly counts with a day and a week: 40 posts at noon of weekdays, 2 in the night."""
    hour = np.arange(n_weeks * WEEK)
    is_day = (hour % 24 >= 8) & (hour % 24 < 20)
    is_weekend = hour // 24 % 7 >= 5
    mean = np.where(is_day, np.where(is_weekend, 15, 40), 2)
    return np.random.default_rng(seed).poisson(mean).astype(float)


def part_of(coverage: Coverage, at: slice | int, share: float) -> Coverage:
    collected = coverage.collected.copy()
    collected[at] = share
    return replace(coverage, collected=collected)


def by_definition(counts: np.ndarray, at: int) -> float:
    """The score of the last bucket of a series without earlier bursts, hour of week."""
    level = [2 * (x + 0.375) ** 0.5 for x in counts]
    base = [level[at - k * WEEK] for k in range(1, BASELINE_WEEKS + 1) if at - k * WEEK >= 0]
    middle = median(base)
    spread = 1.4826 * median(abs(x - middle) for x in base)
    return float((level[at] - middle) / max(1.0, spread))


def test_the_score_is_the_formula() -> None:
    counts = weekly(6)
    bursts = score_bursts(counts, 0, full_coverage(len(counts)))
    for at in range(5 * WEEK, 6 * WEEK):
        assert bursts.score[at] == pytest.approx(by_definition(counts, at))
        assert BASES[bursts.basis[at]] == "hour of week"
        assert bursts.n_baseline[at] == 5


def test_nothing_is_said_without_a_baseline() -> None:
    bursts = score_bursts(weekly(1), 0, full_coverage(WEEK))
    first_day_with_one = MIN_BASELINE * 24
    assert np.isnan(bursts.score[:first_day_with_one]).all()
    assert not bursts.is_burst[:first_day_with_one].any()
    assert {BASES[b] for b in bursts.basis[first_day_with_one:]} == {"hour of day"}


def test_a_quiet_series_has_almost_no_bursts_and_a_planted_one_is_found() -> None:
    counts = weekly(10)
    calm = score_bursts(counts, 0, full_coverage(len(counts)))
    assert calm.is_burst.mean() < 0.01
    at = 9 * WEEK + 3 * 24 + 12
    counts[at] = 200
    assert score_bursts(counts, 0, full_coverage(len(counts))).is_burst[at]


def test_the_weekend_is_compared_with_weekends() -> None:
    counts = weekly(8)
    saturday_noon = 7 * WEEK + 5 * 24 + 12
    counts[saturday_noon] = 45  # usual on a weekday, three times a Saturday's
    bursts = score_bursts(counts, 0, full_coverage(len(counts)))
    assert bursts.is_burst[saturday_noon]
    assert not bursts.is_burst[saturday_noon - 2 * 24]


def test_a_burst_of_several_days_is_not_its_own_measure() -> None:
    """Daily counts: 12 of 40 days at ten times the usual stay bursts to the last."""
    counts = np.full(40, 20.0)
    counts[28:] = 200
    bursts = score_bursts(counts, 0, full_coverage(40), bucket_hours=24)
    assert bursts.is_burst[28:].all()
    assert (bursts.usual[28:] == 20).all()


def test_a_lasting_change_becomes_usual() -> None:
    counts = np.full(200, 20.0)
    counts[60:] = 60
    bursts = score_bursts(counts, 0, full_coverage(200), bucket_hours=24)
    assert bursts.is_burst[60]
    assert not bursts.is_burst[-7:].any()


def test_few_posts_where_usually_none_are_is_no_burst() -> None:
    counts = np.zeros(30)
    counts[-1] = 3
    bursts = score_bursts(counts, 0, full_coverage(30), bucket_hours=24)
    assert 0 < bursts.score[-1] < BURST_FROM


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_incomplete_buckets_are_neither_scored_nor_compared_with(share: float) -> None:
    counts = weekly(6)
    broken = slice(4 * WEEK, 5 * WEEK)
    coverage = part_of(full_coverage(len(counts)), broken, share)
    counts[broken] = 0
    bursts = score_bursts(counts, 0, coverage)
    assert np.isnan(bursts.score[broken]).all()
    assert (bursts.n_baseline[5 * WEEK :] == 4).all()
    # what is not used has no influence
    other = counts.copy()
    other[broken] = 1e6
    assert np.array_equal(bursts.score, score_bursts(other, 0, coverage).score, equal_nan=True)


def test_a_wider_query_is_no_rise() -> None:
    counts = np.full(60, 20.0)
    counts[50:] = 200
    wider = replace(full_coverage(60), query=np.repeat([1, 2], [50, 10]))
    bursts = score_bursts(counts, 0, wider, bucket_hours=24)
    assert np.isnan(bursts.score[50:54]).all()
    assert not bursts.is_burst.any()
    speed = acceleration(counts, wider, bucket_hours=24)
    assert np.isnan(speed[50])
    assert speed[51] == 0
    assert "the query changed 1 times" in wider.describe()


def test_a_capped_bucket_has_no_velocity() -> None:
    capped = replace(full_coverage(3), is_capped=np.array([False, True, False]))
    assert velocity([1, 2, 3], capped).tolist() == pytest.approx([1, np.nan, 3], nan_ok=True)
    assert np.isnan(acceleration([1, 2, 3], capped)[1:]).all()
    assert capped.describe() == "of 3 buckets 1 capped"


def test_wrong_input_is_refused() -> None:
    with pytest.raises(ValueError, match="equally long"):
        velocity([1, 2], full_coverage(3))
    with pytest.raises(ValueError, match="negative"):
        velocity([-1], full_coverage(1))
    with pytest.raises(ValueError, match="divide 24"):
        score_bursts([1], 0, full_coverage(1), bucket_hours=5)
    with pytest.raises(ValueError, match="multiple"):
        score_bursts([1], 1, full_coverage(1), bucket_hours=24)


def test_nothing_is_no_burst() -> None:
    assert len(score_bursts([], 0, full_coverage(0)).score) == 0
    assert reach([]) == (0, 0)


def test_buckets_that_cannot_reach_a_score_are_passed_over() -> None:
    """What is scored has the same score as if everything were."""
    chance = np.random.default_rng(2)
    counts = chance.poisson(3, 24 * 60)
    counts[chance.integers(0, len(counts), 12)] += chance.integers(5, 60, 12)
    whole = score_bursts(counts, 0, full_coverage(len(counts)))
    for scored_from in (2.0, 4.0, 12.0):
        quick = score_bursts(counts, 0, full_coverage(len(counts)), scored_from=scored_from)
        scored = ~np.isnan(quick.score)
        assert scored.sum() < len(counts)
        assert np.array_equal(quick.score[scored], whole.score[scored])
        assert np.array_equal(quick.is_burst, whole.is_burst)
        assert not (whole.score[~scored] >= scored_from).any()
