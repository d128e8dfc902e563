"""Pictures of the page: their numbers, and that no name in them becomes markup."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree

from hoaxwatch.web.charts import (
    N_LINEAGES,
    draw_lineages,
    draw_verdicts,
    drawn_rows,
    fill_buckets,
    standalone,
)
from storage.reads import ClusterRow, EventRow, TrendRow

START = datetime(2026, 3, 1, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
XSS = '"><script>alert(1)</script>'


def bucket(at: datetime, posts: int = 4, judged: int = 3, likely_false: int = 1) -> TrendRow:
    share = likely_false / judged if judged else None
    low, high = (None, None) if share is None else (max(share - 0.2, 0), min(share + 0.2, 1))
    return TrendRow(
        *("egu23", at, posts, posts, 0, 1, judged, likely_false, share, low, high, at, at)
    )


def cluster(lineage: str | None, window: int, n_users: int = 9, **changed: Any) -> ClusterRow:
    start = START + 6 * window * HOUR
    row = ClusterRow(
        *("egu23", start, start + DAY, "louvain", window, 0, n_users, 20, 5, 2, 0.4, 0.1, 0.8),
        *("modularity", 0.5, 3, lineage),
    )
    return row._replace(**changed)


def event(kind: str, lineage: str, other: str | None, window: int) -> EventRow:
    at = START + 6 * window * HOUR
    return EventRow("egu23", "louvain", at, lineage, kind, other, 5, 5, None)


def test_buckets_between_are_there() -> None:
    filled = fill_buckets([bucket(START), bucket(START + 3 * HOUR)], "hour")
    assert [row is not None for row in filled.rows] == [True, False, False, True]
    assert list(filled.starts) == [START + i * HOUR for i in range(4)]
    assert fill_buckets([], "day").rows == ()


def test_of_many_buckets_the_last_are_drawn() -> None:
    filled = fill_buckets([bucket(START), bucket(START + 99 * DAY)], "day", most=10)
    assert len(filled.rows) == 10 and filled.rows[0] is None and filled.rows[-1] is not None


def test_bars_are_as_high_as_their_numbers() -> None:
    drawn = draw_verdicts(fill_buckets([bucket(START, 8, 6, 2)], "day"))
    heights = {
        name: float(height)
        for name, height in re.findall(r'class="(v-\w+)" d="M\S+ \S+?h\S+?v([\d.]+)', drawn)
    }
    assert heights["v-true"] == 2 * heights["v-false"] == 2 * heights["v-none"]
    assert "33.3 % likely false (13.3 to 53.3 %) of 6 judged" in drawn


def test_what_nobody_judged_has_no_share() -> None:
    drawn = draw_verdicts(fill_buckets([bucket(START, 2, 0, 0)], "day"))
    assert "none judged" in drawn and 'class="points" d=""' in drawn


def test_a_single_post_long_before_is_not_drawn() -> None:
    rows = [bucket(START - 300 * DAY, posts=1)] + [
        bucket(START + i * DAY, posts=50) for i in range(4)
    ]
    assert drawn_rows(rows) == rows[1:]
    assert drawn_rows(rows[1:]) == rows[1:]
    assert drawn_rows([]) == []


def test_lineages_have_lanes_in_order_of_birth() -> None:
    rows = [cluster("late", 3), cluster("early", 0), cluster("early", 1), cluster(None, 0)]
    drawn = draw_lineages(rows, [])
    assert drawn.index("early<title>") < drawn.index("late<title>")
    assert drawn.count("<circle") == 3
    assert drawn.count('class="lives"') == 1


def test_the_greatest_lineages_are_drawn() -> None:
    rows = [cluster(f"lineage{i:02}", 0, n_users=10 + i) for i in range(N_LINEAGES + 3)]
    drawn = draw_lineages(rows, [])
    assert drawn.count("<circle") == N_LINEAGES
    assert "lineage02" not in drawn and "lineage03" in drawn


def test_merging_and_splitting_are_arcs() -> None:
    rows = [cluster("a", 0), cluster("b", 0), cluster("b", 1), cluster("c", 1)]
    events = [
        event("merged", "a", "b", 1),
        event("split", "c", "b", 1),
        event("died", "a", None, 1),
    ]
    drawn = draw_lineages(rows, events)
    assert drawn.count('class="merged"') == drawn.count('class="split"') == 1


def test_names_are_text() -> None:
    drawn = draw_lineages([cluster(XSS, 0), cluster("b", 0, label=XSS)], [])
    assert "<script" not in drawn
    ElementTree.fromstring(drawn)


def test_a_picture_alone_carries_its_colours() -> None:
    ElementTree.fromstring(standalone(draw_lineages([cluster("a\x07", 0)], [])))
    drawn = standalone(draw_verdicts(fill_buckets([bucket(START)], "day")))
    assert ElementTree.fromstring(drawn).tag == "{http://www.w3.org/2000/svg}svg"
    assert "--p-false" in drawn and "http" not in drawn.replace("http://www.w3.org/2000/svg", "")
