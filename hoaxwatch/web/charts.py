"""Pictures of the page as SVG text: use by verdict over time, clusters from window to window. Pure.

Colours are classes, as in `hoaxwatch.pictures`: the style sheet of the page fills them in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.resources import files

from markupsafe import Markup

from hoaxwatch.pictures import day_ticks, level_class
from hoaxwatch.report.page import interval, minute, percent
from hoaxwatch.show import in_xml
from storage.reads import ClusterRow, EventRow, TrendRow

WIDTH = 960
#: Bars with the axis on their left.
LEFT, RIGHT = 46, WIDTH - 8
#: Lineages that are drawn, greatest first.
N_LINEAGES = 14
LANE = 46
#: More buckets than this are drawn, but not told one by one.
MOST_TOLD = 1000


@dataclass(frozen=True)
class Buckets:
    """The buckets of a period, one after the other; None where nothing was posted."""

    starts: Sequence[datetime]
    rows: Sequence[TrendRow | None]
    #: "hour" or "day".
    grain: str


def fill_buckets(rows: Sequence[TrendRow], grain: str, most: int = 2000) -> Buckets:
    """Every bucket from the first row to the last, at most the last `most`.

    Days of a time zone with a change of clocks stand where they begin.
    """
    if not rows:
        return Buckets((), (), grain)
    step = timedelta(hours=1) if grain == "hour" else timedelta(days=1)
    first, last = rows[0].bucket_start, rows[-1].bucket_start
    n = min(round((last - first) / step) + 1, most)
    starts = [last - (n - 1 - i) * step for i in range(n)]
    found: list[TrendRow | None] = [None] * n
    for row in rows:
        place = n - 1 - round((last - row.bucket_start) / step)
        if place >= 0:
            found[place] = row
            starts[place] = row.bucket_start
    return Buckets(starts, found, grain)


def drawn_rows(rows: Sequence[TrendRow]) -> Sequence[TrendRow]:
    """The rows of a curve without single posts long before, which would press it to the right edge:
    where the first hundredth of the posts takes more than half of the time, it is left out."""
    if not rows:
        return rows
    left_out, n_posts = 0, 0
    most = sum(row.posts for row in rows) / 100
    while n_posts + rows[left_out].posts <= most:
        n_posts += rows[left_out].posts
        left_out += 1
    whole = rows[-1].bucket_start - rows[0].bucket_start
    kept = rows[-1].bucket_start - rows[left_out].bucket_start
    return rows[left_out:] if kept < whole / 2 else rows


def draw_verdicts(buckets: Buckets) -> Markup:
    """Bars of posts by verdict, and below them the expected share of likely-false posts with its
    95 % interval."""
    n = len(buckets.rows)
    top, base, low, high = 16.0, 176.0, 214.0, 284.0  # bars; share at 100 % and at 0 %
    step = (RIGHT - LEFT) / max(n, 1)
    gap = 0.12 * step if step > 3 else 0.0
    peak = max((row.posts for row in buckets.rows if row), default=0)
    bars: dict[str, list[str]] = {"v-false": [], "v-true": [], "v-none": []}
    whiskers, points, line, told = [], [], [], []
    shape = "%Y-%m-%d %H:00" if buckets.grain == "hour" else "%Y-%m-%d"
    for i, row in enumerate(buckets.rows):
        x = LEFT + i * step
        if row is None:
            continue
        y = base
        parts = (row.likely_false, row.judged - row.likely_false, row.posts - row.judged)
        for name, count in zip(bars, parts, strict=True):
            height = (base - top) * count / max(peak, 1)
            if count:
                y -= height
                bars[name].append(
                    f"M{x + gap:.5g} {y:.5g}h{step - 2 * gap:.4g}v{height:.4g}"
                    f"h{2 * gap - step:.4g}z"
                )
        said = "none judged"
        if row.expected_share is not None:
            middle = x + step / 2
            at = [
                high - (high - low) * share
                for share in (row.expected_share, row.expected_low or 0, row.expected_high or 0)
            ]
            whiskers.append(f"M{middle:.5g} {at[1]:.5g}V{at[2]:.5g}")
            points.append(f"M{middle:.5g} {at[0]:.5g}h0")
            line.append(f"{middle:.5g} {at[0]:.5g}")
            bounds = interval(row.expected_low, row.expected_high)
            said = f"{percent(row.expected_share)} likely false ({bounds}) of {row.judged:,} judged"
        if n <= MOST_TOLD:
            told.append(
                f'<rect class="told" x="{x:.5g}" y="{top:g}" width="{step:.4g}"'
                f' height="{high - top:g}"><title>{row.bucket_start:{shape}}: {row.posts:,} posts,'
                f" {said}</title></rect>"
            )
    axis = [
        f'<text class="axis" x="{LEFT - 6}" y="{base - (base - top) * part + 4:g}"'
        f' text-anchor="end">{peak * part:,.0f}</text>'
        f'<path class="grid" d="M{LEFT} {base - (base - top) * part:g}H{RIGHT}"/>'
        for part in ((0, 0.5, 1) if peak > 1 else (0, 1))
    ]
    axis += [
        f'<text class="axis" x="{LEFT - 6}" y="{high - (high - low) * share + 4:g}"'
        f' text-anchor="end">{share:.0%}</text>'
        f'<path class="grid" d="M{LEFT} {high - (high - low) * share:g}H{RIGHT}"/>'
        for share in (0, 0.5, 1)
    ]
    for i, label in day_ticks(buckets.starts, 8):
        x = LEFT + i * step
        axis.append(
            f'<path class="tick" d="M{x:.5g} {base:g}v5M{x:.5g} {high:g}v5"/>'
            f'<text class="axis" x="{x + 2:.5g}" y="{high + 18:g}">{in_xml(label)}</text>'
        )
    drawn = "".join(f'<path class="{name}" d="{"".join(d)}"/>' for name, d in bars.items() if d)
    said = f"Posts by {buckets.grain} and verdict: {n:,} {buckets.grain}s, at most {peak:,} posts"
    return Markup(
        f'<svg class="verdicts" viewBox="0 0 {WIDTH} 308" role="img" aria-label="{said}">'
        f"{''.join(axis)}{drawn}"
        f'<path class="whiskers" d="{"".join(whiskers)}"/>'
        f'<polyline class="trend" points="{" ".join(line)}"/>'
        f'<path class="points" d="{"".join(points)}"/>'
        f'<text class="axis" x="{LEFT}" y="{low - 8:g}">expected share likely false, 95 %'
        f" interval</text>{''.join(told)}</svg>"
    )


def draw_lineages(clusters: Sequence[ClusterRow], events: Sequence[EventRow]) -> Markup:
    """Clusters from window to window: a lane per lineage, discs whose area grows with the
    accounts, coloured by the share of likely-false posts; arcs where one merged or split.

    clusters: of one hashtag and algorithm, several windows; those without a lineage are left out.
    """
    lanes = _lanes(clusters)
    windows = sorted({row.window_start for row in clusters if row.lineage in lanes})
    place = {start: i for i, start in enumerate(windows)}
    # half a lane on both sides, so that the largest disc has room
    left = 190 + LANE / 2
    step = (RIGHT - LANE / 2 - left) / max(len(windows), 1)
    largest = max((row.n_users for row in clusters if row.lineage in lanes), default=1)
    at: dict[tuple[str, datetime], tuple[float, float]] = {}
    discs, lines, arcs, names = [], [], [], []
    for lineage, (number, rows) in lanes.items():
        y = 22.0 + LANE * number
        before: ClusterRow | None = None
        for row in rows:
            x = left + (place[row.window_start] + 0.5) * step
            at[lineage, row.window_start] = (x, y)
            radius = max(2.5, min(LANE / 2 - 1, 0.9 * LANE) * (row.n_users / largest) ** 0.5)
            share = percent(row.expected_share)
            discs.append(
                f'<circle class="{level_class(row.judged, row.likely_false)}" cx="{x:.5g}"'
                f' cy="{y:g}" r="{radius:.3g}"><title>{minute(row.window_start)}:'
                f" {row.n_users:,} accounts, {row.n_shares:,} shares, likely false {share}</title>"
                "</circle>"
            )
            if before is not None:
                gap = place[row.window_start] - place[before.window_start] > 1
                x0 = at[lineage, before.window_start][0]
                kind = "gone" if gap else "lives"
                lines.append(f'<path class="{kind}" d="M{x0:.5g} {y:g}H{x:.5g}"/>')
            before = row
        name = rows[-1].label or lineage
        names.append(
            f'<text class="lane" x="4" y="{y + 4:g}">{in_xml(_cut(name, 18))}'
            f"<title>{in_xml(name)}</title></text>"
            f'<text class="axis" x="178" y="{y + 4:g}" text-anchor="end">'
            f"{max(row.n_users for row in rows):,}</text>"
        )
    for event in events:
        one, other = _last_at(at, event.lineage, event), _last_at(at, event.other or "", event)
        if event.kind in ("merged", "split") and one and other and one != other:
            bend = (one[0] + other[0]) / 2
            arcs.append(
                f'<path class="{event.kind}" d="M{one[0]:.5g} {one[1]:g}C{bend:.5g} {one[1]:g}'
                f' {bend:.5g} {other[1]:g} {other[0]:.5g} {other[1]:g}"><title>{event.kind}'
                f" {minute(event.window_start)}</title></path>"
            )
    height = 22 + LANE * len(lanes) + 12
    ticks = [
        f'<path class="grid" d="M{left + i * step:.5g} 4V{height - 20}"/>'
        f'<text class="axis" x="{left + i * step:.5g}" y="{height - 6}" text-anchor="middle">'
        f"{in_xml(label)}</text>"
        for i, label in day_ticks(windows, 8)
    ]
    said = f"{len(lanes)} lineages of clusters over {len(windows)} windows"
    return Markup(
        f'<svg class="lineages" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{said}">'
        f"{''.join(ticks)}{''.join(lines)}{''.join(arcs)}{''.join(discs)}{''.join(names)}</svg>"
    )


def _lanes(clusters: Iterable[ClusterRow]) -> dict[str, tuple[int, list[ClusterRow]]]:
    """Lineage -> its lane and its clusters in order of time; the greatest lineages, by birth."""
    found: dict[str, list[ClusterRow]] = {}
    for row in clusters:
        if row.lineage is not None:
            found.setdefault(row.lineage, []).append(row)
    greatest = sorted(found, key=lambda name: (-max(row.n_users for row in found[name]), name))
    kept = sorted(
        greatest[:N_LINEAGES], key=lambda name: (min(r.window_start for r in found[name]), name)
    )
    return {
        name: (number, sorted(found[name], key=lambda row: row.window_start))
        for number, name in enumerate(kept)
    }


def _last_at(
    at: Mapping[tuple[str, datetime], tuple[float, float]], lineage: str, event: EventRow
) -> tuple[float, float] | None:
    """Where a lineage stands in the window of an event, or last before it."""
    starts = [start for name, start in at if name == lineage and start <= event.window_start]
    return at[lineage, max(starts)] if starts else None


def _cut(name: str, length: int) -> str:
    return name if len(name) <= length else name[: length - 1] + "…"


def standalone(svg: Markup) -> str:
    """A picture as a file of its own, light, with its colours inside."""
    style = (files("hoaxwatch.web") / "static" / "picture.css").read_text("utf-8")
    head = f'<svg xmlns="http://www.w3.org/2000/svg" font-family="sans-serif" width="{WIDTH}" '
    return str(svg).replace("<svg ", head, 1).replace(">", f"><style>{style}</style>", 1)
