"""Whether published numbers of a class can hold together.

With precision P and recall R of a class that a share q of all texts has:
    tp = q R     fp = q R (1 - P) / P     fn = q (1 - R)     tn = 1 - tp - fp - fn
so three of P, R, MCC and q say what the fourth must be, and what the other class's numbers are. A
table in which they do not hold together was measured on another class than it says (Trivedi et al.
2021), or was copied together (Zuo et al. 2023, table 2).
"""

from __future__ import annotations

from itertools import product
from math import sqrt
from typing import NamedTuple

#: Half of what a number of two decimals may be rounded by.
ROUNDING = 0.005


class Implied(NamedTuple):
    """What follows for a class of that prevalence, and for all that is not of it."""

    prevalence: float
    accuracy: float
    mcc: float
    f1: float
    other_precision: float
    other_recall: float
    other_f1: float


class Range(NamedTuple):
    """Least and greatest."""

    low: float
    high: float

    def holds(self, value: float) -> bool:
        """Whether a rounded value may be in it."""
        return self.low - ROUNDING - 1e-9 <= value <= self.high + ROUNDING + 1e-9


def greatest_prevalence(precision: float, recall: float) -> float:
    """Above it more texts would have to be flagged than there are.

    >>> greatest_prevalence(0.5, 1.0)
    0.5
    """
    return 1 / (recall / precision + 1 - recall)


def implied(precision: float, recall: float, prevalence: float) -> Implied:
    """Everything else, from precision, recall and prevalence of one class.

    >>> found = implied(0.75, 0.6, 0.5)
    >>> round(found.accuracy, 4), round(found.mcc, 4), round(found.other_recall, 4)
    (0.7, 0.4082, 0.8)
    """
    tp = prevalence * recall
    fp, fn = tp * (1 - precision) / precision, prevalence - tp
    tn = max(1 - tp - fp - fn, 0.0)
    scale = sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    return Implied(
        prevalence,
        tp + tn,
        (tp * tn - fp * fn) / scale if scale else 0.0,
        2 * tp / (2 * tp + fp + fn) if tp else 0.0,
        tn / (tn + fn) if tn + fn else 0.0,
        tn / (tn + fp) if tn + fp else 0.0,
        2 * tn / (2 * tn + fp + fn) if tn else 0.0,
    )


def prevalence_for(precision: float, recall: float, mcc: float) -> float | None:
    """The prevalence at which a class has these three; None if there is none.

    MCC falls as the prevalence rises: the more texts are of the class, the fewer are rightly left.

    >>> round(prevalence_for(0.75, 0.6, 0.4082), 3)
    0.5
    >>> prevalence_for(0.5, 0.5, 0.9)
    """
    low, high = 1e-9, greatest_prevalence(precision, recall)
    if not implied(precision, recall, high).mcc <= mcc <= implied(precision, recall, low).mcc:
        return None
    for _ in range(60):
        middle = (low + high) / 2
        if implied(precision, recall, middle).mcc > mcc:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def prevalences_for(precision: float, recall: float, mcc: float) -> Range | None:
    """The prevalences at which the three hold as rounded to two decimals; None if there is none.

    Trivedi et al. 2021 state .90, .89 and .44, and say that they are of fake news, about a fifth of
    what they merged. They can only be of a class that four fifths have:

    >>> [round(end, 2) for end in prevalences_for(0.90, 0.89, 0.44)]
    [0.81, 0.83]
    """
    ends = (-ROUNDING, 0.0, ROUNDING)
    found = [
        prevalence
        for p, r, m in product(ends, repeat=3)
        if (prevalence := prevalence_for(_inside(precision + p), _inside(recall + r), mcc + m))
        is not None
    ]
    return Range(min(found), max(found)) if found else None


def implied_mcc(precision: float, recall: float, prevalence: float) -> Range | None:
    """The MCCs that precision and recall allow as rounded, at that prevalence; None if they are of
    no class that frequent."""
    ends = (-ROUNDING, 0.0, ROUNDING)
    pairs = [(_inside(precision + p), _inside(recall + r)) for p, r in product(ends, repeat=2)]
    found = [
        implied(p, r, prevalence).mcc for p, r in pairs if prevalence <= greatest_prevalence(p, r)
    ]
    return Range(min(found), max(found)) if found else None


def implied_accuracy(recall: float, other_recall: float, prevalence: float) -> Range:
    """The accuracy that both classes' recalls allow as rounded.

    Zuo et al. 2023, table 2, att-XDSF: .812 is stated, on 996 fake and 1,002 real posts; the
    recalls that are stated beside it allow about .838.

    >>> [round(end, 3) for end in implied_accuracy(0.8, 0.9, 0.25)]
    [0.87, 0.88]
    """
    value = prevalence * recall + (1 - prevalence) * other_recall
    return Range(value - ROUNDING, value + ROUNDING)


class Finding(NamedTuple):
    """One thing that must hold. holds: None where there is nothing to compare with."""

    what: str
    implied: str
    stated: float | None
    holds: bool | None


def check_row(
    precision: float,
    recall: float,
    *,
    mcc: float | None = None,
    prevalence: float | None = None,
    f1: float | None = None,
    accuracy: float | None = None,
    other_recall: float | None = None,
) -> list[Finding]:
    """What follows from a row of a table, against what the row says itself.

    >>> [finding.holds for finding in check_row(0.90, 0.89, mcc=0.44, prevalence=0.18, f1=0.844)]
    [False, False, False]
    """
    found = []
    harmonic = 2 * precision * recall / (precision + recall)
    if f1 is not None:
        within = Range(harmonic - ROUNDING, harmonic + ROUNDING).holds(f1)
        found.append(Finding("F1 of precision and recall", f"{harmonic:.3f}", f1, within))
    if mcc is not None:
        needed = prevalences_for(precision, recall, mcc)
        said = "none: the three cannot hold together" if needed is None else _written(needed)
        ok = None
        if needed is None or prevalence is not None:
            ok = needed is not None and prevalence is not None and needed.holds(prevalence)
        found.append(Finding("prevalence of the class", said, prevalence, ok))
    if mcc is not None and prevalence is not None:
        allowed = implied_mcc(precision, recall, prevalence)
        said = "none: too many would be flagged" if allowed is None else _written(allowed)
        ok = allowed is not None and allowed.holds(mcc)
        found.append(Finding("MCC at that prevalence", said, mcc, ok))
    if accuracy is not None and prevalence is not None and other_recall is not None:
        by_recalls = implied_accuracy(recall, other_recall, prevalence)
        said = _written(by_recalls)
        found.append(
            Finding("accuracy of both recalls", said, accuracy, by_recalls.holds(accuracy))
        )
        flagged = prevalence * recall + (1 - prevalence) * (1 - other_recall)
        p = prevalence * recall / flagged if flagged else 0.0
        near = Range(p - 2 * ROUNDING, p + 2 * ROUNDING)
        found.append(
            Finding("precision of both recalls", f"{p:.3f}", precision, near.holds(precision))
        )
    elif accuracy is not None and prevalence is not None:
        value = implied(precision, recall, prevalence).accuracy
        near = Range(value - 2 * ROUNDING, value + 2 * ROUNDING)
        found.append(
            Finding("accuracy at that prevalence", f"{value:.3f}", accuracy, near.holds(accuracy))
        )
    return found


def _written(found: Range) -> str:
    return f"{found.low:.2f} to {found.high:.2f}"


def _inside(value: float) -> float:
    return min(max(value, 1e-6), 1.0)
