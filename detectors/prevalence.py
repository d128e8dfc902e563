"""The share of false posts as it is, out of the share that an imperfect detector flags."""

from __future__ import annotations

from math import sqrt
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from detectors.detector import DetectorUnusable
from graph.virality import Interval

_Z = 1.959963984540054


class Errors(NamedTuple):
    """How a detector did on labelled posts that it scored: of false ones `hits` flagged and
    `misses` not, of true ones `false_alarms` flagged and `passed` not."""

    hits: int
    misses: int
    false_alarms: int
    passed: int


def adjusted_share(flagged: float, n: float, errors: Errors) -> Interval | None:
    """The share of false posts among n independent judged ones of which the share `flagged` was
    flagged, with its 95 % interval.

        P = (a + Sp - 1) / (Se + Sp - 1)
        P +- z sqrt(a (1 - a) / n + P^2 Se (1 - Se) / n_Se + (1 - P)^2 Sp (1 - Sp) / n_Sp)
               / (Se + Sp - 1)  +  2 z^2 (P Se (1 - Se) / n_Se - (1 - P) Sp (1 - Sp) / n_Sp)

    a the share flagged, Se sensitivity and Sp specificity. The interval takes a, n, Se and Sp with
    some posts added, (a n + z^2 / 2) / (n + z^2) and (k + 1) / (n_Se + 2), which makes it hold for
    few posts; both are cut off at 0 and 1. It knows the uncertainty of Se and Sp as far as that is
    of chance: on other topics than the labelled ones they are others.
    Source: Rogan, Gladen, American Journal of Epidemiology 107(1), 1978; the interval: Lang,
    Reiczigel, Preventive Veterinary Medicine 113(1), 2014.

    Returns: None where nothing is known: no post, no labelled post of a class, or a detector that
    flags false posts no more often than true ones.

    >>> found = adjusted_share(0.2, 1000, Errors(80, 20, 10, 90))
    >>> [round(x, 2) for x in found]
    [0.14, 0.05, 0.22]
    """
    n_false, n_true = errors.hits + errors.misses, errors.false_alarms + errors.passed
    if n <= 0 or not n_false or not n_true:
        return None
    gain = errors.hits / n_false + errors.passed / n_true - 1
    if gain <= 0:
        return None
    estimate = (flagged + errors.passed / n_true - 1) / gain
    z2 = _Z * _Z
    a = (flagged * n + z2 / 2) / (n + z2)
    se, sp = (errors.hits + 1) / (n_false + 2), (errors.passed + 1) / (n_true + 2)
    if se + sp <= 1:
        return None
    p = min(max((a + sp - 1) / (se + sp - 1), 0.0), 1.0)
    of_se, of_sp = se * (1 - se) / (n_false + 2), sp * (1 - sp) / (n_true + 2)
    half = _Z * sqrt(a * (1 - a) / (n + z2) + p * p * of_se + (1 - p) ** 2 * of_sp) / (se + sp - 1)
    middle = p + 2 * z2 * (p * of_se - (1 - p) * of_sp)
    low, high = (min(max(bound, 0.0), 1.0) for bound in (middle - half, middle + half))
    estimate = min(max(estimate, 0.0), 1.0)
    return Interval(estimate, min(low, estimate), max(high, estimate))


def read_errors(path: Path) -> Errors:
    """What a file says of a detector's errors: the evaluation.json of `hoaxwatch evaluate --out`
    about one detector, or the metrics.json of a weights folder. Raises: DetectorUnusable.

    Of metrics.json the test texts of all sets together, of what `hoaxwatch train` wrote the
    validation texts: the former are not your posts, the latter flatter.
    """
    if path.is_dir():
        path = path / "metrics.json"
    try:
        said: dict[str, Any] = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except OSError as error:
        raise DetectorUnusable(f"cannot read {path}: {error.strerror}; check the path") from None
    except msgspec.DecodeError as error:
        raise DetectorUnusable(f"{path} is not JSON ({error})") from None
    measured = said.get("detectors")
    if isinstance(measured, dict) and len(measured) > 1:
        raise DetectorUnusable(
            f"{path} is about {', '.join(measured)}: measure one detector alone for its errors"
        )
    found: Any = said.get("test", {}).get("pooled") or said.get("validation")
    if isinstance(measured, dict):
        found = next(iter(measured.values()), None)
    try:
        counts = found["counts"]
        return Errors(
            counts["true_positive"],
            counts["false_negative"],
            counts["false_positive"],
            counts["true_negative"],
        )
    except (KeyError, TypeError):
        raise DetectorUnusable(
            f"{path} does not count hits and misses: give the evaluation.json that hoaxwatch "
            "evaluate --out wrote"
        ) from None
