"""What an evaluation found, as Markdown with pictures (SVG). Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

from detectors.cards import interval, share, table
from hoaxwatch.show import shorten

#: Width and height of a picture's field, and the margin left and below for its numbers.
SIDE, MARGIN = 240.0, 46.0
_INK, _PALE, _LINE = "#1f2933", "#c9d2dc", "#2f6fb0"


def _svg(inner: str, what: str, x: str, y: str) -> Markup:
    size = SIDE + 2 * MARGIN
    return Markup(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size:g} {size:g}" width="{size:g}" '
        f'height="{size:g}" role="img" aria-label="{escape(what)}" font-family="sans-serif" '
        f'font-size="12" fill="{_INK}"><rect width="100%" height="100%" fill="#fff"/>'
        f'<text x="{MARGIN:g}" y="26" font-weight="bold">{escape(what)}</text>{inner}'
        f'<text x="{MARGIN + SIDE / 2:g}" y="{size - 10:g}" text-anchor="middle">{escape(x)}</text>'
        f'<text transform="translate(13 {MARGIN + SIDE / 2:g}) rotate(-90)" text-anchor="middle">'
        f"{escape(y)}</text></svg>\n"
    )


def _at(x: float, y: float) -> tuple[float, float]:
    """Where a point of the unit square is in a picture."""
    return MARGIN + SIDE * x, MARGIN + SIDE * (1 - y)


def _axes() -> str:
    lines = []
    for k in range(5):
        x, y = _at(k / 4, 0)[0], _at(0, k / 4)[1]
        lines.append(
            f'<path stroke="{_PALE}" d="M{x:g} {MARGIN:g}V{MARGIN + SIDE:g}M{MARGIN:g} {y:g}'
            f'H{MARGIN + SIDE:g}"/><text x="{x:g}" y="{MARGIN + SIDE + 15:g}" '
            f'text-anchor="middle">{k / 4:g}</text>'
            f'<text x="{MARGIN - 5:g}" y="{y + 4:g}" text-anchor="end">{k / 4:g}</text>'
        )
    return "".join(lines)


def draw_precision_recall(found: Mapping[str, Any], name: str) -> Markup:
    """Precision over recall of likely_false; dashed: what flagging at random gives; the dot is the
    detector's threshold."""
    points = [_at(recall, precision) for _, precision, recall in found["precision_recall"]]
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points) if points else ""
    base = _at(0, found["prevalence"])[1]
    x, y = _at(found["recall"], found["precision"])
    inner = (
        f'{_axes()}<path stroke="{_INK}" stroke-dasharray="4" d="M{MARGIN:g} {base:.1f}'
        f'H{MARGIN + SIDE:g}"/><path fill="none" stroke="{_LINE}" stroke-width="2" d="{path}"/>'
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{_LINE}"/>'
    )
    return _svg(inner, f"{name}: likely_false", "recall", "precision")


def draw_reliability(found: Mapping[str, Any], name: str) -> Markup:
    """The share that is likely false over the mean score, by tenths of the score; dashed: what a
    calibrated score has. Areas are numbers of posts."""
    most = max((b["n"] for b in found["reliability"]), default=1)
    dots = []
    for one in found["reliability"]:
        x, y = _at(one["mean_score"], one["share"])
        radius = 3 + 9 * (one["n"] / most) ** 0.5
        dots.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="{_LINE}" opacity="0.7">'
            f"<title>{one['n']:,} posts</title></circle>"
        )
    (x0, y0), (x1, y1) = _at(0, 0), _at(1, 1)
    inner = (
        f'{_axes()}<path stroke="{_INK}" stroke-dasharray="4" d="M{x0:g} {y0:g}L{x1:g} {y1:g}"/>'
        + "".join(dots)
    )
    return _svg(inner, f"{name}: calibration", "score", "share likely false")


def draw_confusion(found: Mapping[str, Any], name: str) -> Markup:
    """The four counts, labels by row and answers by column; the darker the more of its row."""
    counts = found["counts"]
    rows = [
        ("likely_true", counts["true_negative"], counts["false_positive"]),
        ("likely_false", counts["false_negative"], counts["true_positive"]),
    ]
    cells = []
    for i, (label, *of_row) in enumerate(rows):
        for j, n in enumerate(of_row):
            part = n / max(sum(of_row), 1)
            x, y = MARGIN + j * SIDE / 2, MARGIN + i * SIDE / 2
            cells.append(
                f'<rect x="{x:g}" y="{y:g}" width="{SIDE / 2:g}" height="{SIDE / 2:g}" '
                f'fill="{_LINE}" fill-opacity="{0.08 + 0.6 * part:.2f}" stroke="#fff"/>'
                f'<text x="{x + SIDE / 4:g}" y="{y + SIDE / 4:g}" text-anchor="middle" '
                f'font-size="18">{n:,}</text><text x="{x + SIDE / 4:g}" y="{y + SIDE / 4 + 20:g}" '
                f'text-anchor="middle">{100 * part:.0f} % of {label}</text>'
            )
        cells.append(
            f'<text x="{MARGIN + (i + 0.5) * SIDE / 2:g}" y="{MARGIN + SIDE + 15:g}" '
            f'text-anchor="middle">{("not flagged", "flagged")[i]}</text>'
        )
    return _svg("".join(cells), f"{name}: counts", "answer", "label: false below, true above")


def pictures_of(found: Mapping[str, Any]) -> dict[str, Markup]:
    """Every picture by the name of its file."""
    ways = {
        "precision_recall": draw_precision_recall,
        "reliability": draw_reliability,
        "confusion": draw_confusion,
    }
    return {
        file_name(name, kind): draw(one, name)
        for name, one in found["detectors"].items()
        for kind, draw in ways.items()
    }


def file_name(detector: str, kind: str) -> str:
    """The file of a picture.

    >>> file_name("tfidf 2", "confusion")
    'tfidf_2_confusion.svg'
    """
    plain = "".join(c if c.isalnum() or c in "-_" else "_" for c in detector)
    return f"{plain}_{kind}.svg"


def quality_rows(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One flat row for each detector: what a terminal and a CSV show."""
    return [
        {
            "detector": name,
            "n": one["n"],
            "abstained": one["n"] - one["n_scored"],
            "prevalence": one["prevalence"],
            "accuracy": one["accuracy"],
            "precision": one["precision"],
            "recall": one["recall"],
            "f1": one["f1"],
            "f1_likely_true": one["by_class"]["likely_true"]["f1"],
            "macro_f1": one["macro_f1"],
            "weighted_f1": one["weighted_f1"],
            "mcc": one["mcc"],
            "mcc_low": one["mcc_interval"][0],
            "mcc_high": one["mcc_interval"][1],
            "average_precision": one["average_precision"],
            "calibration_error": one["calibration_error"],
        }
        for name, one in found["detectors"].items()
    ]


def markdown(found: Mapping[str, Any]) -> str:
    """The whole evaluation as a page; pictures lie beside it."""
    parts = [_opening(found), _table(found)]
    for name, one in found["detectors"].items():
        parts.append(_detector(name, one))
    if found["comparisons"]:
        parts.append(_comparisons(found["comparisons"]))
    return "\n\n".join(parts) + "\n"


def _opening(found: Mapping[str, Any]) -> str:
    labels = ", ".join(f"{n:,} {label}" for label, n in sorted(found["labels"].items()))
    files = ", ".join(f"`{name}` ({sha[:12]})" for name, sha in found["data"].items())
    together = (
        f" Posts with a picture in common are drawn together ({found['n_groups']:,} groups)."
        if found["n_groups"] < found["n"]
        else ""
    )
    return f"""# Evaluation

Written by `hoaxwatch evaluate`. {found["n"]:,} posts ({labels}),
split `{found["split"]}` of {files}.
Precision, recall and F1 are of `likely_false` unless it says otherwise, on what is scored, at each
detector's threshold. Brackets are 95 % bootstrap intervals.{together}"""


def _table(found: Mapping[str, Any]) -> str:
    rows = [
        [
            f"`{name}`",
            one["n_scored"],
            one["n"] - one["n_scored"],
            share(one["prevalence"]),
            interval(one, "accuracy"),
            *(interval(one, key) for key in ("precision", "recall", "f1")),
            f"{one['by_class']['likely_true']['f1']:.2f}",
            *(interval(one, key) for key in ("macro_f1", "weighted_f1", "mcc")),
            f"{one['average_precision']:.2f}",
            f"{one['calibration_error']:.3f}",
        ]
        for name, one in found["detectors"].items()
    ]
    head = ["detector", "scored", "abstained", "false", "accuracy", "precision", "recall", "F1"]
    more = ["F1 of likely_true", "macro-F1", "weighted F1", "MCC", "average precision", "ECE"]
    return table([*head, *more], rows)


def _detector(name: str, one: Mapping[str, Any]) -> str:
    pictures = " ".join(
        f"![{kind}]({file_name(name, kind)})"
        for kind in ("precision_recall", "reliability", "confusion")
    )
    reasons = ", ".join(f"{n:,} {reason}" for reason, n in sorted(one["abstained"].items()))
    slices = [
        [
            f"{row['slice']} {row['value']}",
            row["n"],
            share(row["prevalence"]),
            *(f"{row[key]:.2f}" for key in ("precision", "recall", "mcc")),
        ]
        for row in one["slices"]
    ]
    worst = [
        [
            f"{row['score']:.2f}",
            row["label"],
            row["post_id"],
            _cell(row["text"]),
            _cell(", ".join(f"{weight:+.2f} {feature}" for feature, weight in row["evidence"])),
        ]
        for row in one["worst"]
    ]
    head = ["slice", "n", "false", "precision", "recall", "MCC"]
    text = f"""## `{name}`, version `{one["version"]}`

{pictures}

Flags from {one["threshold"]} on. Abstained: {reasons or "never"}. Brier score {one["brier"]:.3f}.

{table(head, slices) if slices else "No slice has enough posts."}"""
    if one["by_classes"]:
        text += "\n\n" + _classes(one["by_classes"])
    if not worst:
        return text
    heads = ["score", "label", "post", "text", "what weighed most"]
    return f"{text}\n\nThe worst errors:\n\n{table(heads, worst)}"


def _classes(found: Mapping[str, Any]) -> str:
    rows = [
        [name, *(f"{scores[key]:.2f}" for key in ("precision", "recall", "f1")), *of_label]
        for (name, scores), of_label in zip(
            found["by_class"].items(), found["confusion"], strict=True
        )
    ]
    head = ["label", "precision", "recall", "F1", *(f"as {name}" for name in found["classes"])]
    numbers = ", ".join(
        f"{what} {interval(found, key)}"
        for what, key in (("MCC", "mcc"), ("macro-F1", "macro_f1"), ("weighted F1", "weighted_f1"))
    )
    return (
        f"All its classes, the likeliest of each of {found['n']:,} posts in whatever language: "
        f"{numbers}.\n\n{table(head, rows)}"
    )


def difference(compared: Mapping[str, Any], name: str) -> str:
    """How much greater a measure is of the second of two, with its 95 % interval.

    >>> difference({"mcc_difference": 0.1, "mcc_difference_interval": [-0.02, 0.2]}, "mcc")
    '+0.100 (-0.020 to +0.200)'
    """
    low, high = compared[f"{name}_difference_interval"]
    return f"{compared[f'{name}_difference']:+.3f} ({low:+.3f} to {high:+.3f})"


def _comparisons(found: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    lists = []
    for one in found:
        rows.append(
            [
                f"`{one['second']}` over `{one['first']}`",
                *(difference(one, name) for name in ("mcc", "macro_f1")),
                one["only_second_right"],
                one["only_first_right"],
                f"{one['mcnemar_p']:.2g}",
            ]
        )
        for finder, other in (("first", "second"), ("second", "first")):
            posts = one[f"found_by_{finder}_missed_by_{other}"]
            if posts:
                lines = "\n".join(f"- {p['post_id']}: {_cell(p['text'])}" for p in posts)
                who = f"found by `{one[finder]}` and missed by `{one[other]}`"
                lists.append(f"Likely false, {who}:\n\n{lines}")
    head = ["", "MCC", "macro-F1", "only this right", "only the other right", "McNemar's p"]
    return "\n\n".join(
        [
            "## On the same posts\n\nAn abstention counts as not flagged. p is exact: how likely "
            "so uneven a division is if both are equally good and no post depends on another; "
            "where pictures are shared they do, and the interval says more.",
            table(head, rows),
            *lists,
        ]
    )


def _cell(text: str) -> str:
    return shorten(text, 140).replace("|", "\\|").replace("<", "&lt;")
