"""Four scores of one post in one: the ensemble of Wang, Yin, Argyris 2020, section III-H.

    features = [three-branch, image, text, hashtags]                 each in [0, 1], in this order
    svm      = sum over support vectors of c_i exp(-gamma |x - x_i|^2) + b
    score    = sigmoid(slope * svm + offset)
    mean, max (the score farthest from 0.5), vote at 0.5 (on a tie the side whose mean is farther
    from 0.5)

The SVM is fitted on scores that each network gave to posts which it had not seen. The paper fits it
on scores of its own training posts, which are nearer to 0 and 1 than those of any new post; the
caller chooses by what it gives to `fit_svm`. Where a branch had nothing to read its score is
missing: each set of parts has an SVM of its own, and a set that was too rare is answered by the
mean of its scores. A missing score is never taken for 0.5.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import msgspec
import numpy as np
from numpy.typing import NDArray

from detectors.evaluation import Bools, Floats
from detectors.trained import Calibration, sigmoid

#: The order of the paper's feature.
PARTS = ("three_branch", "image", "text", "tags")
#: A set of parts gets an SVM if at least so many posts of each class have all of them.
MIN_PER_CLASS = 20
#: The most posts an SVM is fitted on: its cost grows with their square.
MAX_FITTED = 4000


class Svm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A fitted SVM of one set of parts, as plain numbers.

    vectors: (support vectors, parts). coefficients: (support vectors,).
    """

    parts: tuple[str, ...]
    vectors: tuple[tuple[float, ...], ...]
    coefficients: tuple[float, ...]
    intercept: float
    gamma: float
    calibration: Calibration

    def decision(self, features: NDArray[np.float64]) -> Floats:
        """The SVM's value of each row, above 0 for likely_false. features: (posts, parts)."""
        vectors = np.array(self.vectors).reshape(-1, len(self.parts))
        apart = ((features[:, None, :] - vectors[None, :, :]) ** 2).sum(axis=2)
        value: Floats = np.exp(-self.gamma * apart) @ np.array(self.coefficients) + self.intercept
        return value


class Ensemble(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """SVMs by the set of parts that they read."""

    svms: tuple[Svm, ...]

    def score(self, scores: Mapping[str, float]) -> tuple[float, str]:
        """The score of one post, and how it was found: "svm" or "mean".

        scores: of the parts that had a voice, at least one.
        """
        present = tuple(part for part in PARTS if part in scores)
        for svm in self.svms:
            if svm.parts == present:
                features = np.array([[scores[part] for part in present]])
                value = float(svm.decision(features)[0])
                logit = svm.calibration.slope * value + svm.calibration.offset
                return round(sigmoid(logit), 6), "svm"
        return round(mean_score([scores[part] for part in present]), 6), "mean"


def mean_score(scores: Sequence[float]) -> float:
    """Their mean.

    >>> mean_score([0.5, 1.0])
    0.75
    """
    return float(np.mean(scores))


def max_score(scores: Sequence[float]) -> float:
    """The score that is farthest from 0.5; the first of equals.

    >>> max_score([0.6, 0.1, 0.8])
    0.1
    """
    return max(scores, key=lambda score: abs(score - 0.5))


def vote_score(scores: Sequence[float]) -> float:
    """The mean score of the side (at least 0.5, or below) that has more votes; on a tie of the side
    whose mean is farther from 0.5. It lies on the side that wins.

    >>> vote_score([0.9, 0.6, 0.4]), round(vote_score([0.9, 0.7, 0.4, 0.45]), 6)
    (0.75, 0.8)
    >>> round(vote_score([0.6, 0.55, 0.2, 0.1]), 6)
    0.15
    """
    high = [score for score in scores if score >= 0.5]
    low = [score for score in scores if score < 0.5]
    if len(high) != len(low):
        return mean_score(max(high, low, key=len))
    return max(mean_score(high), mean_score(low), key=lambda mean: abs(mean - 0.5))


#: Ways to combine that need no fitting.
RULES = {"mean": mean_score, "max": max_score, "vote": vote_score}


def fit_ensemble(scores: Floats, positive: Bools, seed: int = 0) -> Ensemble:
    """An SVM for each set of parts that enough posts have.

    scores: (posts, PARTS), NaN where a part is missing. A post with more parts than a set teaches
    that set as well. Deterministic.
    """
    svms = []
    for n in range(len(PARTS), 1, -1):
        for places in combinations(range(len(PARTS)), n):
            if 0 not in places:
                continue  # the three-branch network has a voice wherever any branch has
            there = np.isfinite(scores[:, places]).all(axis=1)
            own = positive[there]
            if min(own.sum(), (~own).sum()) >= MIN_PER_CLASS:
                parts = tuple(PARTS[place] for place in places)
                svms.append(fit_svm(scores[there][:, places], own, parts, seed))
    return Ensemble(tuple(svms))


def fit_svm(
    features: Floats, positive: Bools, parts: Sequence[str], seed: int = 0, c: float = 1.0
) -> Svm:
    """An RBF SVM, gamma = 1 / (parts * variance) as scikit-learn's "scale"; classes weigh alike.

    Its values are calibrated by Platt scaling on values that five folds gave to posts they had not
    seen. At most MAX_FITTED posts are used, drawn by seed.
    """
    from sklearn.model_selection import cross_val_predict
    from sklearn.svm import SVC

    from detectors.train_tfidf import fit_calibration

    if len(features) > MAX_FITTED:
        drawn = np.sort(np.random.default_rng(seed).permutation(len(features))[:MAX_FITTED])
        features, positive = features[drawn], positive[drawn]
    svc = SVC(C=c, kernel="rbf", gamma="scale", class_weight="balanced")
    values = cross_val_predict(svc, features, positive, cv=5, method="decision_function")
    svc.fit(features, positive)
    calibration = fit_calibration(positive, values)
    return Svm(
        parts=tuple(parts),
        vectors=tuple(map(tuple, svc.support_vectors_.tolist())),
        coefficients=tuple(svc.dual_coef_[0].tolist()),
        intercept=float(svc.intercept_[0]),
        gamma=float(1.0 / (features.shape[1] * features.var())),
        calibration=calibration,
    )
