"""What detectors with trained weights share: an opinion, its calibration, and broken weights."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from math import exp
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

import msgspec

from detectors.detector import DetectorUnusable
from detectors.labels import LABELS, POSITIVE_CLASS
from detectors.text.normalise import PREPROCESSING
from streams.records import Content, Verdict


class BrokenWeights(DetectorUnusable):
    """The weights folder is not what training wrote: never guess with it."""


class Calibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Platt scaling: calibrated logit = slope * logit + offset. slope > 0.

    Source: Platt, "Probabilistic outputs for support vector machines", 1999.
    """

    slope: float
    offset: float


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
