"""What a backtest says of alerts where the truth is known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from hoaxwatch.backtest import CAMPAIGN, Known, Planted, judge_alerts

START = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.mark.parametrize(("since", "calm_days"), [(-3, 3), (0, 0), (3, 0)])
def test_calm_is_the_part_of_the_period_before_the_campaign(since: int, calm_days: float) -> None:
    campaign = Planted("snow", CAMPAIGN, START, frozenset(), ((START, 5),))
    period = (START + since * DAY, START + 6 * DAY)
    judged = judge_alerts([], Known((campaign,), {}), period)
    assert judged["calm_days"] == calm_days
    assert judged["calm_false_a_week"] == (0 if calm_days else None)
