"""Shares arrive as the stated self-exciting process says."""

from __future__ import annotations

import math
import random
import statistics

import pytest
from scipy.stats import kstest

from hoaxwatch.simulate.cascades import DAY, HOUR, NIGHT, Spread, arrivals, rhythm

SPREAD = Spread(reach=4.0, branching=0.5, decay_seconds=900.0)


def test_sizes_have_the_mean_and_the_variance_of_the_process() -> None:
    """Poisson(mu) families, each with a Borel(n) total: mean mu / (1 - n), var mu / (1 - n)^3."""
    chance = random.Random(1)
    sizes = [len(arrivals(chance, 0.0, SPREAD)) for _ in range(4000)]
    assert statistics.mean(sizes) == pytest.approx(8.0, rel=0.05)
    assert statistics.variance(sizes) == pytest.approx(32.0, rel=0.12)


def test_waiting_times_are_those_of_the_intensity() -> None:
    """Measured in the integral of the intensity, waits are exponential with mean 1."""
    chance = random.Random(2)
    tau, waits = SPREAD.decay_seconds, []
    for _ in range(400):
        times = [arrival.at for arrival in arrivals(chance, 0.0, SPREAD)]

        def integral(t: float, times: list[float] = times) -> float:
            own = SPREAD.reach * (1 - math.exp(-t / tau))
            others = (1 - math.exp(-(t - s) / tau) for s in times if s < t)
            return own + SPREAD.branching * sum(others)

        passed = [integral(t) for t in times]
        waits += [b - a for a, b in zip([0.0, *passed], passed, strict=False)]
    assert len(waits) > 2500
    # the last wait of a cascade is never seen to its end, so long ones are a little too rare
    assert kstest(waits, "expon").statistic < 0.12
    early = [wait for wait in waits if wait < 0.5]
    assert kstest(early, lambda x: (1 - math.e**-x) / (1 - math.e**-0.5)).pvalue > 0.01


def test_a_share_comes_after_what_brought_it_about() -> None:
    found = arrivals(random.Random(3), 100.0, Spread(20.0, 0.8, 60.0), at_most=50)
    assert len(found) == 50
    assert [a.at for a in found] == sorted(a.at for a in found)
    for i, arrival in enumerate(found):
        assert arrival.parent < i
        assert arrival.at > (found[arrival.parent].at if arrival.parent >= 0 else 100.0)
    assert any(arrival.parent >= 0 for arrival in found)


def test_at_night_fewer_share() -> None:
    chance = random.Random(4)
    spread = Spread(reach=6.0, branching=0.0, decay_seconds=600.0)
    by_night = sum(len(arrivals(chance, 2 * HOUR, spread, pace=rhythm)) for _ in range(2000))
    by_day = sum(len(arrivals(chance, 15 * HOUR, spread, pace=rhythm)) for _ in range(2000))
    assert by_night / by_day == pytest.approx(NIGHT, abs=0.02)


def test_the_rhythm_repeats_each_day() -> None:
    for hour in range(24):
        assert rhythm(hour * HOUR) == pytest.approx(rhythm(hour * HOUR + 9 * DAY))
        assert NIGHT <= rhythm(hour * HOUR) <= 1


@pytest.mark.parametrize("branching", [1.0, -0.1, float("nan")])
def test_what_would_never_end_is_refused(branching: float) -> None:
    with pytest.raises(ValueError, match="branching"):
        arrivals(random.Random(1), 0.0, Spread(1.0, branching, 60.0))
