"""The ensemble: the order of its feature, its rules, and the SVM beside scikit-learn's."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from detectors.ensemble import (
    PARTS,
    Ensemble,
    fit_ensemble,
    fit_svm,
    max_score,
    mean_score,
    vote_score,
)


def some_scores(n: int = 300) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    positive = random.random(n) < 0.4
    shift = np.where(positive, 0.8, -0.8)[:, None]
    noise = random.normal(size=(n, 4)) * [0.8, 3.0, 1.2, 2.0]
    return 1 / (1 + np.exp(-(shift + noise))), positive


def test_the_feature_has_the_papers_order() -> None:
    assert PARTS == ("three_branch", "image", "text", "tags")
    scores, positive = some_scores()
    ensemble = fit_ensemble(scores, positive)
    row = scores[0]
    by_name = dict(zip(reversed(PARTS), reversed(row.tolist()), strict=True))
    whole = ensemble.svms[0]
    logit = whole.calibration.slope * whole.decision(row[None])[0] + whole.calibration.offset
    assert ensemble.score(by_name) == (round(1 / (1 + np.exp(-logit)), 6), "svm")


def test_the_svm_as_plain_numbers_says_what_scikit_learn_says() -> None:
    from sklearn.svm import SVC

    scores, positive = some_scores()
    svm = fit_svm(scores, positive, PARTS)
    svc = SVC(kernel="rbf", gamma="scale", class_weight="balanced").fit(scores, positive)
    np.testing.assert_allclose(svm.decision(scores), svc.decision_function(scores), atol=1e-9)
    read = msgspec.json.decode(msgspec.json.encode(svm), type=type(svm))
    assert read == svm and svm.calibration.slope > 0


def test_it_is_better_than_a_coin_and_sure_where_the_parts_are() -> None:
    scores, positive = some_scores()
    ensemble = fit_ensemble(scores[:200], positive[:200])
    found = [
        ensemble.score(dict(zip(PARTS, row, strict=True)))[0] >= 0.5
        for row in scores[200:].tolist()
    ]
    assert np.mean(np.array(found) == positive[200:]) > 0.75


def test_a_missing_part_is_no_opinion() -> None:
    scores, positive = some_scores()
    ensemble = fit_ensemble(scores, positive)
    three = {"three_branch": 0.9, "text": 0.9, "tags": 0.9}
    score, how = ensemble.score(three)
    svm = next(s for s in ensemble.svms if s.parts == ("three_branch", "text", "tags"))
    value = svm.decision(np.full((1, 3), 0.9))[0]
    logit = svm.calibration.slope * value + svm.calibration.offset
    assert (score, how) == (round(1 / (1 + np.exp(-logit)), 6), "svm")
    scores[:, 1] = np.nan
    rare = fit_ensemble(scores, positive)
    assert {svm.parts for svm in rare.svms} == {
        ("three_branch", "text", "tags"),
        ("three_branch", "text"),
        ("three_branch", "tags"),
    }
    assert rare.score({"three_branch": 0.9, "image": 0.5}) == (0.7, "mean")
    assert Ensemble(()).score({"image": 0.25}) == (0.25, "mean")


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([0.9, 0.8, 0.7, 0.1], 0.8),  # three against one
        ([0.2, 0.3, 0.4, 0.95], 0.3),
        ([0.9, 0.8, 0.4, 0.3], 0.85),  # 0.35 against 0.15
        ([0.6, 0.7, 0.1, 0.2], 0.15),  # 0.15 against 0.35
        ([0.5, 0.1], 0.1),  # 0.5 votes for likely_false, and is not far from itself
        ([0.5], 0.5),
    ],
)
def test_votes_and_their_ties(scores: list[float], expected: float) -> None:
    assert vote_score(scores) == pytest.approx(expected)


def test_max_is_the_boldest_and_mean_the_mean() -> None:
    assert max_score([0.4, 0.45, 0.95, 0.1]) == 0.95
    assert mean_score([0.2, 0.4]) == pytest.approx(0.3)
