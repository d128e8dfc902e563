"""The numbers of a daily study, counted by hand."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta

import pytest

from hoaxwatch.study import (
    COLUMNS,
    Judge,
    as_csv,
    as_html,
    as_markdown,
    count_days,
    daily_mean,
    pool,
)
from storage.study import StudyPost
from storage.tracking import CoveredBucket

DAY = datetime(2026, 3, 2, tzinfo=UTC)
JUDGE = Judge(name="tfidf", version="1", threshold=0.5)
ONE = timedelta(days=1)


def post(
    day: int, number: int, score: float | None, is_false: bool | None = None, reason: str = ""
) -> StudyPost:
    return StudyPost(DAY + day * ONE, "instagram", f"{number}", score, reason or None, is_false)


POSTS = [
    # day 1: two hits, a false alarm, a miss; one unlabelled detection; one removed; one too short
    *(post(0, 1, 0.9, True), post(0, 2, 0.5, True), post(0, 3, 0.6, False), post(0, 4, 0.1, True)),
    *(post(0, 5, 0.8), post(0, 6, None, None, "language"), post(0, 7, None, True, "too_short")),
    # day 2: nothing; day 3: one hit
    post(2, 8, 0.7, True),
]
COVERAGE = [
    CoveredBucket("snow", DAY, 86_400, True, 86_400, False, 0),
    CoveredBucket("ice", DAY, 86_400, True, 43_200, True, 0),
    CoveredBucket("snow", DAY + ONE, 86_400, True, 0, False, 1),
]


def test_scores_in_the_unsure_band_are_not_judged() -> None:
    """As in the views: closer to the threshold than the band, to six decimals."""
    posts = [post(0, n, score, True) for n, score in enumerate((0.9, 0.55, 0.52, 0.48, 0.45, 0.1))]
    judge = Judge(name="tfidf", version="1", threshold=0.5, abstain_band=0.05)
    (day,) = count_days(posts, DAY, DAY + ONE, judge, [])
    assert (day.found, day.judged, day.unjudged) == (6, 4, 2)
    assert (day.detected, day.hits, day.misses) == (2, 2, 2)


def test_days_are_counted_and_pooled() -> None:
    days = count_days(POSTS, DAY, DAY + 3 * ONE, JUDGE, COVERAGE)
    first, second, third = days
    assert (first.found, first.removed, first.judged, first.unjudged) == (7, 1, 5, 1)
    assert (first.detected, first.labelled) == (4, 4)
    assert (first.hits, first.false_alarms, first.misses) == (2, 1, 1)
    assert first.precision is not None
    assert first.precision.estimate == pytest.approx(2 / 3)
    assert first.recall is not None
    assert first.recall.estimate == pytest.approx(2 / 3)
    assert (first.collected, first.is_capped) == (0.5, True)
    assert (second.found, second.precision, second.recall, second.collected) == (0, None, None, 0)
    assert third.collected is None
    whole = pool(days)
    assert (whole.found, whole.hits, whole.false_alarms, whole.misses) == (8, 3, 1, 1)
    mean = daily_mean([day.precision for day in days])
    assert mean is not None
    assert mean.estimate == pytest.approx((2 / 3 + 1) / 2)
    assert daily_mean([None]) is None


def test_reports_say_unknown_and_never_zero_for_it() -> None:
    tables = {"fault 1": count_days(POSTS, DAY, DAY + 3 * ONE, JUDGE, COVERAGE)}
    rows = list(csv.DictReader(io.StringIO(as_csv(tables))))
    assert tuple(rows[0]) == COLUMNS
    assert [row["day"] for row in rows] == ["2026-03-02", "2026-03-03", "2026-03-04", "all"]
    assert (rows[0]["precision"], rows[1]["precision"]) == ("0.6667", "")
    assert [row["collected"] for row in rows] == ["0.5000", "0.0000", "", ""]
    assert [row["is_capped"] for row in rows] == ["true", "false", "false", "true"]
    text = as_markdown("Study", tables)
    assert "| 2026-03-02 | 50 % capped | 7 | 1 | 4 | 5 | 4 | 67 % (21–94) |" in text
    assert "| 2026-03-03 | 0 % | 0 | 0 | 0 | 0 | 0 | – | – |" in text
    assert "Mean of the days: precision 83 %" in text
    page = as_html("<Study>", tables)
    assert "&lt;Study&gt;" in page
    assert page.count("<tr>") == 5
    assert "<svg" in page
