"""What detectors with trained weights share: an opinion, its calibration, and broken weights."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from hashlib import sha256
from itertools import pairwise
from math import exp, inf
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

import msgspec

from detectors.detector import DetectorUnusable
from detectors.labels import LABELS, POSITIVE_CLASS
from detectors.text.normalise import PREPROCESSING
from streams.records import Content, Verdict


class BrokenWeights(DetectorUnusable):
    """The weights folder is not what training wrote: never guess with it."""


def given_weights(weights: Path | None, name: str) -> Path:
    """The folder of a detector of which none ships. Raises: BrokenWeights if none is given."""
    if weights is None:
        raise BrokenWeights(
            f"no weights ship with {name}: train some with hoaxwatch train {name} --data FILE "
            f"--out FOLDER, and give --weights FOLDER, or {name}=FOLDER to evaluate"
        )
    return weights


class Calibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Platt scaling: calibrated logit = slope * logit + offset. slope > 0.

    knots: then, if there are any, the score is read off the line through these points (Platt's
    score, share that is likely false), which isotonic regression gave; it rises in both.
    abstain: scores strictly between these two are no opinion; () for none.
    Source: Platt, "Probabilistic outputs for support vector machines", 1999; Zadrozny, Elkan,
    "Transforming classifier scores into accurate multiclass probability estimates", KDD 2002.
    """

    slope: float
    offset: float
    knots: tuple[tuple[float, float], ...] = ()
    abstain: tuple[float, ...] = ()


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`config.json` of a weights folder, as far as all detectors have it."""

    format: int
    preprocessing: int
    labels: tuple[str, ...]
    positive_class: str
    threshold: float
    calibration: Calibration
    languages: tuple[str, ...]
    weights_sha256: str
    trained_on: str


class Opinion(NamedTuple):
    """What a verdict says about a text: a score with its evidence, or why there is none."""

    score: float | None = None
    reason: str | None = None
    evidence: tuple[tuple[str, float], ...] = ()


def verdict_of(content: Content, opinion: Opinion, detector: str, version: str) -> Verdict:
    """The opinion as a verdict about that content."""
    return Verdict(
        platform=content.platform,
        root_id=content.root_id,
        input_hash=content.input_hash,
        detector=detector,
        version=version,
        state="abstained" if opinion.score is None else "scored",
        score=opinion.score,
        reason=opinion.reason,
        evidence=opinion.evidence,
    )


def sigmoid(logit: float) -> float:
    """1 / (1 + exp(-logit)), without overflow.

    >>> sigmoid(0.0), sigmoid(-1000.0), sigmoid(1000.0)
    (0.5, 0.0, 1.0)
    """
    if logit >= 0:
        return 1.0 / (1.0 + exp(-logit))
    odds = exp(logit)
    return odds / (1.0 + odds)


def on_line(score: float, knots: Sequence[tuple[float, float]]) -> float:
    """The height of the line through the knots at a score; flat before the first and behind the
    last.

    >>> [round(on_line(x, [(0.2, 0.1), (0.4, 0.5)]), 6) for x in (0.0, 0.3, 0.9)]
    [0.1, 0.3, 0.5]
    """
    at = bisect_right(knots, (score, inf))
    if at in (0, len(knots)):
        return knots[min(at, len(knots) - 1)][1]
    (left, low), (right, high) = knots[at - 1 : at + 1]
    return low + (high - low) * (score - left) / (right - left)


def opinion_of(
    logit: float, calibration: Calibration, evidence: tuple[tuple[str, float], ...] = ()
) -> Opinion:
    """The opinion that a logit is, not yet calibrated: a score, or none within the band.

    >>> opinion_of(0.0, Calibration(1.0, 0.0)).score
    0.5
    >>> opinion_of(0.0, Calibration(1.0, 0.0, abstain=(0.4, 0.6))).reason
    'unsure_band'
    """
    score = sigmoid(calibration.slope * logit + calibration.offset)
    if calibration.knots:
        score = on_line(score, calibration.knots)
    if calibration.abstain and calibration.abstain[0] < score < calibration.abstain[1]:
        return Opinion(reason="unsure_band")
    return Opinion(score=round(score, 6), evidence=evidence)


class Basics(Protocol):
    """What every `config.json` says of how scores are to be read."""

    @property
    def format(self) -> int: ...
    @property
    def preprocessing(self) -> int: ...
    @property
    def labels(self) -> tuple[str, ...]: ...
    @property
    def positive_class(self) -> str: ...
    @property
    def threshold(self) -> float: ...


def config_problem(config: Config, format: int) -> str | None:
    """What is wrong with a config, if anything."""
    return basics_problem(config, format) or slope_problem(config.calibration)


def slope_problem(calibration: Calibration) -> str | None:
    """What is wrong with a calibration, if anything."""
    if not calibration.slope > 0:
        return f"has slope {calibration.slope}: it would turn the labels round"
    rises = all(a[0] < b[0] and a[1] <= b[1] for a, b in pairwise(calibration.knots))
    if not rises or not all(0 <= value <= 1 for knot in calibration.knots for value in knot):
        return "has knots that do not rise from 0 to 1: it would turn scores round"
    if calibration.abstain and not (
        len(calibration.abstain) == 2 and 0 <= calibration.abstain[0] < calibration.abstain[1] <= 1
    ):
        return f"abstains between {calibration.abstain}: two scores are wanted, the lesser first"
    return None


def basics_problem(config: Basics, format: int) -> str | None:
    """What is wrong with format, preprocessing, labels or threshold, if anything.

    Labels are compared by name and order: data sets disagree on what 0 and 1 mean, and a model
    whose outputs are taken for each other publishes the complement of what it found.
    """
    if config.format != format:
        return f"has format {config.format}, this version reads {format}"
    if config.preprocessing != PREPROCESSING:
        return f"needs preprocessing {config.preprocessing}, this version has {PREPROCESSING}"
    if config.labels != LABELS or config.positive_class != POSITIVE_CLASS:
        return (
            f"has labels {list(config.labels)} with positive class {config.positive_class!r} "
            f"instead of {list(LABELS)} with {POSITIVE_CLASS!r}"
        )
    if not 0 < config.threshold < 1:
        return f"has threshold {config.threshold}, which is not between 0 and 1"
    return None


#: Makes the error about a file of a weights folder, from its path and what is wrong with it.
Broken = Callable[[Path, str], BrokenWeights]


def read_bytes(path: Path, broken: Broken) -> bytes:
    """The bytes of a file of a weights folder, or `broken` raised."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise broken(path, f"cannot be opened ({error.strerror})") from error


def read_checked(path: Path, expected: str, broken: Broken) -> bytes:
    """The bytes of a weights file if they have the sha256 that `config.json` says, or `broken`
    raised."""
    data = read_bytes(path, broken)
    found = sha256(data).hexdigest()
    if found != expected:
        raise broken(path, f"has sha256 {found[:12]}..., config.json says {expected[:12]}...")
    return data


C = TypeVar("C")


def read_checked_config(
    folder: Path, kind: type[C], problem: Callable[[C], str | None], broken: Broken
) -> C:
    """The `config.json` of a folder as that struct, or `broken` raised: also where `problem` says
    what is wrong with it."""
    path = folder / "config.json"
    try:
        config = msgspec.json.decode(read_bytes(path, broken), type=kind)
    except msgspec.DecodeError as error:
        raise broken(path, f"cannot be read ({error})") from error
    if said := problem(config):
        raise broken(path, said)
    return config
