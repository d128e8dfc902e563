"""One score of a root from several opinions: text, pictures, structure; late fusion.

    z_i   = ln(s_i / (1 - s_i))                           s_i: calibrated score of part i
    score = sigmoid(b_S + sum over i in S of w_Si z_i)    S: the parts that are there

Each set S of parts has weights of its own, learnt by maximum likelihood on roots that have at least
those parts and that no part was trained on. So a missing part (abstained, no picture, a star) is
not an opinion of 0.5, and every combination is calibrated for itself. Weights are not negative: a
part that does harm gets 0, and none can vote against itself. Every part is kept with what it added.

Source: late fusion of decisions, Snoek, Worring, Smeulders, ACM Multimedia 2005; logistic
combination: Hosmer, Lemeshow, "Applied logistic regression"; calibration: Platt 1999.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from itertools import combinations
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from detectors.evaluation import Bools
from detectors.trained import BrokenWeights, sigmoid
from streams.records import Verdict

Floats = NDArray[np.float64]

FORMAT = 1
#: A set of parts gets weights if at least so many roots of each class have them.
MIN_PER_CLASS = 20
#: Scores are kept away from 0 and 1, where one part would overrule all others for ever.
LEAST_SCORE = 1e-4
#: Strength of the pull of weights towards 0 in the mean log-likelihood; decides only where parts
#: say nearly the same, or separate the classes.
RIDGE = 1e-3


class FittedPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part and the detector it was fitted with: weights are good for that version only."""

    name: str
    detector: str
    version: str


class Weights(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """b_S and w_S of one set of parts, in the order of their names; n roots they were learnt on."""

    parts: tuple[str, ...]
    intercept: float
    weights: tuple[float, ...]
    n: int


class Fusion(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A fitted fusion, as its JSON file holds it."""

    format: int
    parts: tuple[FittedPart, ...]
    sets: tuple[Weights, ...]
    fitted_on: str

    @property
    def version(self) -> str:
        """12 hex digits that change whenever a score could."""
        return sha256(msgspec.json.encode((self.parts, self.sets))).hexdigest()[:12]


class UsedPart(msgspec.Struct, frozen=True):
    """A part of a combined score. contribution: w z, its share of the logit."""

    name: str
    detector: str
    version: str
    score: float
    contribution: float


class MissingPart(msgspec.Struct, frozen=True):
    """A part that has no share in a score.

    reason: the one it abstained for; `missing` if there is no verdict; `other_version` if it is of
    a version that the weights were not fitted with; `not_fitted` if too few roots had this
    combination to learn its weights.
    """

    name: str
    reason: str


class Fused(msgspec.Struct, frozen=True):
    """A combined score, None with reason `no_parts` if nothing was there to combine."""

    score: float | None
    reason: str | None
    used: tuple[UsedPart, ...]
    missing: tuple[MissingPart, ...]


def fuse(fusion: Fusion, verdicts: Mapping[str, Verdict | None]) -> Fused:
    """One score from the verdicts about one root, by the names of the parts.

    Where the parts that are there have no weights as a set, the greatest set of them that has some
    decides (of equals the one learnt on most roots). Verdicts of other names are not looked at.

    >>> part = FittedPart("text", "tfidf", "1")
    >>> fitted = Fusion(format=1, parts=(part,), sets=(Weights(("text",), 0.0, (1.0,), 99),),
    ...                 fitted_on="")
    >>> said = Verdict(platform="x", root_id="1", input_hash=b"", detector="tfidf", version="1",
    ...                state="scored", score=0.75)
    >>> fuse(fitted, {"text": said}).score, fuse(fitted, {}).reason
    (0.75, 'no_parts')
    """
    there: dict[str, Verdict] = {}
    missing: dict[str, str] = {}
    for part in fusion.parts:
        verdict = verdicts.get(part.name)
        if verdict is None:
            missing[part.name] = "missing"
        elif verdict.score is None:
            missing[part.name] = verdict.reason or "abstained"
        elif (verdict.detector, verdict.version) != (part.detector, part.version):
            missing[part.name] = "other_version"
        else:
            there[part.name] = verdict
    usable = [weights for weights in fusion.sets if set(weights.parts) <= set(there)]
    chosen = max(usable, key=lambda weights: (len(weights.parts), weights.n), default=None)
    used, logit = [], 0.0
    if chosen is not None:
        logit = chosen.intercept
        for name, weight in zip(chosen.parts, chosen.weights, strict=True):
            verdict = there.pop(name)
            score = verdict.score or 0.0
            contribution = weight * float(logits(np.array([score]))[0])
            logit += contribution
            used.append(
                UsedPart(name, verdict.detector, verdict.version, score, round(contribution, 6))
            )
    missing |= dict.fromkeys(there, "not_fitted")
    return Fused(
        score=None if chosen is None else round(sigmoid(logit), 6),
        reason="no_parts" if chosen is None else None,
        used=tuple(used),
        missing=tuple(
            MissingPart(p.name, missing[p.name]) for p in fusion.parts if p.name in missing
        ),
    )


def logits(scores: Floats) -> Floats:
    """ln(s / (1 - s)), with s kept in [LEAST_SCORE, 1 - LEAST_SCORE]; NaN stays."""
    kept = np.clip(scores, LEAST_SCORE, 1 - LEAST_SCORE)
    found: Floats = np.log(kept / (1 - kept))
    return found


def fit_fusion(
    parts: Sequence[FittedPart], scores: Floats, positive: Bools, fitted_on: str
) -> Fusion:
    """Weights for every set of parts that enough roots have.

    scores: (n, parts) in the order of `parts`, NaN where a part is missing. positive: (n,), whether
    the root is likely_false. The roots must not be those that a part was trained on: its scores of
    those are too good, and it would get too much weight.
    Raises: ValueError if no set has enough roots.   Deterministic. Cost: 2^parts small fits.
    """
    z = logits(scores)
    sets = []
    for size in range(1, len(parts) + 1):
        for columns in combinations(range(len(parts)), size):
            rows = np.isfinite(z[:, columns]).all(axis=1)
            n_positive = int(positive[rows].sum())
            if min(n_positive, int(rows.sum()) - n_positive) < MIN_PER_CLASS:
                continue
            intercept, weights = fit_weights(z[rows][:, columns], positive[rows])
            names = tuple(parts[column].name for column in columns)
            sets.append(Weights(names, intercept, weights, int(rows.sum())))
    if not sets:
        raise ValueError(
            f"no part has {MIN_PER_CLASS} roots of each class to learn weights from: label more"
        )
    return Fusion(format=FORMAT, parts=tuple(parts), sets=tuple(sets), fitted_on=fitted_on)


def fit_weights(z: Floats, positive: Bools) -> tuple[float, tuple[float, ...]]:
    """b and w >= 0 with the greatest mean log-likelihood - RIDGE / 2 * |w|^2. z: (n, parts)."""
    from scipy.optimize import minimize

    y = positive.astype(np.float64)

    def loss(parameters: Floats) -> tuple[float, Floats]:
        b, w = parameters[0], parameters[1:]
        logit = b + z @ w
        # log(1 + e^x) - y x, without overflow
        value = float(np.mean(np.logaddexp(0, logit) - y * logit)) + RIDGE / 2 * float(w @ w)
        error = 1 / (1 + np.exp(-np.clip(logit, -700, 700))) - y
        gradient = np.concatenate([[error.mean()], z.T @ error / len(y) + RIDGE * w])
        return value, gradient

    bounds = [(None, None)] + [(0.0, None)] * z.shape[1]
    options: dict[str, Any] = {"maxiter": 1000, "ftol": 1e-14, "gtol": 1e-10}
    found = minimize(
        loss, np.zeros(z.shape[1] + 1), jac=True, method="L-BFGS-B", bounds=bounds, options=options
    )
    b, *w = (round(float(value), 6) for value in found.x)
    return b, tuple(w)


def shipped_fusion(detector: str) -> Path:
    """Where the weights are that ship with a detector of cascades."""
    return Path(__file__).parent / "weights" / detector / "fusion.json"


def read_fusion(path: Path) -> Fusion:
    """The fusion of a JSON file. Raises BrokenWeights."""
    try:
        fusion = msgspec.json.decode(path.read_bytes(), type=Fusion)
    except OSError as error:
        raise _broken(path, f"cannot be opened ({error.strerror})") from error
    except msgspec.DecodeError as error:
        raise _broken(path, f"cannot be read ({error})") from error
    if fusion.format != FORMAT:
        raise _broken(path, f"has format {fusion.format}, this version reads {FORMAT}")
    names = [part.name for part in fusion.parts]
    for weights in fusion.sets:
        if not set(weights.parts) <= set(names) or len(weights.parts) != len(weights.weights):
            raise _broken(path, f"has weights for {list(weights.parts)}, its parts are {names}")
        if not all(0 <= weight < float("inf") for weight in weights.weights):
            raise _broken(path, f"has a negative weight for {list(weights.parts)}")
    return fusion


def write_fusion(path: Path, fusion: Fusion) -> None:
    """Write the JSON file, indented. Same fusion, same bytes."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(fusion)) + b"\n")


def _broken(path: Path, what: str) -> BrokenWeights:
    return BrokenWeights(f"{path} {what}; fit it again with detectors.fusion.fit_fusion")
