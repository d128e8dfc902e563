from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detectors.evaluation import Bools, brier
from detectors.fusion import (
    FittedPart,
    Floats,
    Fusion,
    MissingPart,
    Weights,
    fit_fusion,
    fit_weights,
    fuse,
    logits,
    read_fusion,
    write_fusion,
)
from detectors.trained import BrokenWeights
from streams.records import Verdict

PARTS = (
    FittedPart("text", "bert", "1"),
    FittedPart("pictures", "att_xdsf", "2"),
    FittedPart("structure", "cascade_gcn", "3"),
)
FITTED = Fusion(
    format=1,
    parts=PARTS,
    sets=(
        Weights(("text",), 0.1, (0.8,), 900),
        Weights(("structure",), -0.2, (0.5,), 700),
        Weights(("text", "structure"), 0.3, (0.7, 0.4), 600),
    ),
    fitted_on="2020-02-02",
)


def says(part: FittedPart, score: float | None, **changes: Any) -> Verdict:
    told: dict[str, Any] = {
        "platform": "x",
        "root_id": "1",
        "input_hash": b"h",
        "detector": part.detector,
        "version": part.version,
        "state": "abstained" if score is None else "scored",
        "score": score,
        "reason": "star" if score is None else None,
    }
    return Verdict(**(told | changes))


def test_score_by_hand() -> None:
    fused = fuse(FITTED, {"text": says(PARTS[0], 0.8), "structure": says(PARTS[2], 0.25)})
    text, structure = 0.7 * math.log(4), 0.4 * math.log(1 / 3)
    assert fused.score == round(1 / (1 + math.exp(-(0.3 + text + structure))), 6)
    assert [(u.name, u.detector, u.version, u.score, u.contribution) for u in fused.used] == [
        ("text", "bert", "1", 0.8, round(text, 6)),
        ("structure", "cascade_gcn", "3", 0.25, round(structure, 6)),
    ]
    assert fused.missing == (MissingPart("pictures", "missing"),)


def test_a_part_that_abstained_is_missing_with_its_reason() -> None:
    fused = fuse(FITTED, {"text": says(PARTS[0], 0.8), "structure": says(PARTS[2], None)})
    assert fused.score == round(1 / (1 + math.exp(-(0.1 + 0.8 * math.log(4)))), 6)
    assert {m.name: m.reason for m in fused.missing} == {
        "pictures": "missing",
        "structure": "star",
    }


def test_weights_are_good_for_the_version_they_were_fitted_with() -> None:
    newer = says(PARTS[0], 0.99, version="2")
    fused = fuse(FITTED, {"text": newer, "structure": says(PARTS[2], 0.25)})
    assert [used.name for used in fused.used] == ["structure"]
    assert MissingPart("text", "other_version") in fused.missing


def test_what_was_never_fitted_falls_back_on_the_greatest_set_that_was() -> None:
    everything = {part.name: says(part, 0.9) for part in PARTS}
    fused = fuse(FITTED, everything)
    assert [used.name for used in fused.used] == ["text", "structure"]
    assert fused.missing == (MissingPart("pictures", "not_fitted"),)


@pytest.mark.parametrize(
    "verdicts",
    [{}, {"text": None}, {"pictures": says(PARTS[1], 0.9)}, {"other": says(PARTS[0], 1)}],
)
def test_without_a_part_there_is_no_score(verdicts: dict[str, Verdict | None]) -> None:
    fused = fuse(FITTED, verdicts)
    assert (fused.score, fused.reason, fused.used) == (None, "no_parts", ())
    assert len(fused.missing) == 3


def world(n: int, seed: int) -> tuple[Floats, Bools]:
    """Roots with two independent, calibrated opinions and one that is noise; some are missing."""
    random = np.random.default_rng(seed)
    positive = random.random(n) < 0.4
    sign = np.where(positive, 1.0, -1.0)
    z = np.stack(
        [
            math.log(0.4 / 0.6) + 2 * (sign + random.standard_normal(n)),
            math.log(0.4 / 0.6) + 0.5 * (sign + 2 * random.standard_normal(n)),
            random.standard_normal(n),
        ],
        axis=1,
    )
    scores = 1 / (1 + np.exp(-z))
    scores[random.random((n, 3)) < 0.2] = np.nan
    return scores, positive


def verdicts_of(row: Floats) -> dict[str, Verdict | None]:
    return {
        part.name: None if np.isnan(score) else says(part, float(score))
        for part, score in zip(PARTS, row, strict=True)
    }


def test_a_fitted_fusion_is_better_than_its_parts_and_calibrated_for_every_set() -> None:
    fusion = fit_fusion(PARTS, *world(4000, seed=1), fitted_on="2020-02-02")
    assert len(fusion.sets) == 7, "every set of three parts"
    scores, positive = world(4000, seed=2)
    fused = [fuse(fusion, verdicts_of(row)) for row in scores]
    got = np.array([np.nan if f.score is None else f.score for f in fused])
    whole = np.isfinite(scores).all(axis=1)
    assert brier(positive[whole], got[whole]) < 0.99 * brier(positive[whole], scores[whole, 0])
    for used in {tuple(u.name for u in f.used) for f in fused if f.used}:
        of_set = np.array([tuple(u.name for u in f.used) == used for f in fused])
        gap = abs(float(got[of_set].mean()) - float(positive[of_set].mean()))
        assert gap < 4 * math.sqrt(0.25 / of_set.sum()), used
    noise = next(w for w in fusion.sets if len(w.parts) == 3).weights[2]
    assert noise < 0.1


def test_a_part_cannot_vote_against_itself() -> None:
    scores, positive = world(1000, seed=3)
    scores[:, 2] = 1 - np.where(np.isnan(scores[:, 0]), 0.5, scores[:, 0])  # says the contrary
    fusion = fit_fusion(PARTS, scores, positive, "")
    assert next(w for w in fusion.sets if w.parts == ("structure",)).weights == (0.0,)
    assert all(weight >= 0 for found in fusion.sets for weight in found.weights)


def test_fit_is_the_maximum_likelihood() -> None:
    from sklearn.linear_model import LogisticRegression

    scores, positive = world(800, seed=4)
    known = np.isfinite(scores[:, :2]).all(axis=1)
    z, y = logits(scores[known][:, :2]), positive[known]
    intercept, weights = fit_weights(z, y)
    # sklearn's penalty is |w|^2 / 2 beside C times the sum of the losses
    theirs = LogisticRegression(C=1 / (1e-3 * len(y)), tol=1e-10, max_iter=1000).fit(z, y)
    assert weights == pytest.approx(theirs.coef_[0].tolist(), abs=1e-4)
    assert intercept == pytest.approx(theirs.intercept_[0], abs=1e-4)


def test_separable_and_certain_scores_stay_finite() -> None:
    positive = np.arange(100) % 2 == 0
    scores = np.where(positive, 1.0, 0.0)[:, None]
    fusion = fit_fusion(PARTS[:1], scores, positive, "")
    (fused,) = [fuse(fusion, {"text": says(PARTS[0], 1.0)})]
    assert fused.score is not None
    assert 0.9 < fused.score <= 1


def test_too_few_roots_are_told() -> None:
    scores, positive = world(30, seed=5)
    with pytest.raises(ValueError, match="no part has 20 roots of each class"):
        fit_fusion(PARTS, scores, positive, "")


def test_same_data_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_fusion(tmp_path / name, fit_fusion(PARTS, *world(500, seed=6), fitted_on="x"))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert read_fusion(tmp_path / "a") == fit_fusion(PARTS, *world(500, seed=6), fitted_on="x")
    assert FITTED.version != read_fusion(tmp_path / "a").version


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda p: p.unlink(), r"cannot be opened \(No such file"),
        (lambda p: p.write_text("["), "cannot be read"),
        (lambda p: edit(p, more=1), "cannot be read .*more"),
        (lambda p: edit(p, format=2), "has format 2, this version reads 1"),
        (lambda p: edit(p, parts=[]), r"has weights for \['text'\], its parts are \[\]"),
        (
            lambda p: edit(p, sets=[{"parts": ["text"], "intercept": 0, "weights": [-1], "n": 9}]),
            r"has a negative weight for \['text'\]",
        ),
    ],
)
def test_a_broken_file_is_one_clear_line(
    tmp_path: Path, break_it: Callable[[Path], object], message: str
) -> None:
    path = tmp_path / "fusion.json"
    write_fusion(path, FITTED)
    break_it(path)
    with pytest.raises(BrokenWeights, match=message) as caught:
        read_fusion(path)
    assert "\n" not in str(caught.value)
