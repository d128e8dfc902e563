"""Train, choose, calibrate and measure the `tfidf` detector, and write its weights folder.

    python -m detectors.train_tfidf --data FOLDER --out detectors/weights/tfidf

FOLDER holds `text/` (the labelled sets) and `tweets_2023_csv/` (the calm set). Settings,
calibration and threshold are chosen on validation texts and on one half of the calm set; the test
texts and the other half are scored once, at the end, by the detector as it is shipped. Same data,
same machine: same bytes. scikit-learn is needed here only.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple, cast

import msgspec
import numpy as np

from detectors.assessment import judge
from detectors.checkpoints import CannotTrain
from detectors.datasets import DATASETS, read_dataset
from detectors.datasets.calm import halves, read_calm_posts
from detectors.datasets.labelled import LabelledPost, LabelledText, Split
from detectors.datasets.splits import split_apart
from detectors.detector import Detector
from detectors.evaluation import (
    Bools,
    Floats,
    bootstrap_interval,
    brier,
    calibration_error,
    class_scores,
    confusion,
    macro_f1,
    mcc,
    prevalence,
)
from detectors.labels import LABELS, POSITIVE_CLASS, Label
from detectors.text.normalise import PREPROCESSING, features
from detectors.tfidf import FORMAT, WEIGHTS, Config, TfidfDetector, write_config, write_linear
from detectors.tfidf_card import model_card
from detectors.trained import Calibration
from detectors.training import Task, calibrate, changed, positive_of

#: At most this share of the calm set may be flagged, as measured on the half kept for the report.
MAX_CALM_SHARE = 0.02
#: What the threshold is chosen for on the other half: a share scatters from half to half (standard
#: error about 0.3 points at 2 % of 2,300 posts), so aim below.
CALM_TARGET = 0.015
#: Settings are chosen on the sets of posts and claims, which have hundreds of validation texts
#: each; the sets of articles have too few, and are not what is watched.
CHOSEN_ON = ("liar", "constraint", "covid19_rumour_tweets", "covid19_rumour_news")
DOUBTFUL = "shorttext"


class Settings(NamedTuple):
    """What is chosen on validation texts.

    c: inverse strength of the L2 penalty. n_features: the vocabulary is the that many most frequent
    1-2-grams. min_df: in at least that many texts. shorttext_weight: of each text of that set
    (0 leaves it out). balanced: both classes weigh the same within each set.
    """

    shorttext_weight: float = 0.0
    balanced: bool = True
    c: float = 1.0
    n_features: int = 50_000
    min_df: int = 2


#: Tried one setting after the other in this order, the best value kept.
CANDIDATES: dict[str, tuple[float, ...]] = {
    "shorttext_weight": (0.0, 0.1, 1.0),
    "balanced": (True, False),
    "c": (0.3, 1.0, 3.0, 10.0),
    "n_features": (10_000, 20_000, 50_000),
    "min_df": (2, 3, 5),
}


class Example(NamedTuple):
    """A labelled text with its split and its 1-2-grams."""

    record: LabelledText
    split: Split
    grams: list[str]

    @property
    def positive(self) -> bool:
        """Whether the label is the positive class."""
        return self.record.label == POSITIVE_CLASS


class Fitted(NamedTuple):
    """A TF-IDF vectoriser and a logistic regression of scikit-learn's."""

    vectoriser: Any
    classifier: Any

    def logits(self, grams: Iterable[Sequence[str]]) -> Floats:
        """Uncalibrated logits of the positive class, (n,)."""
        logits: Floats = self.classifier.decision_function(self.vectoriser.transform(grams))
        return logits


def read_examples(folder: Path) -> list[Example]:
    """Every labelled text that is kept, of all sets."""
    records = [record for name in DATASETS for record in read_dataset(name, folder)]
    return [Example(r, split, features(r.text)) for r, split in split_apart(records)]


def positives(examples: Iterable[Example]) -> Bools:
    """Which examples are of the positive class, (n,)."""
    return np.array([example.positive for example in examples], dtype=np.bool_)


def sample_weights(examples: Sequence[Example], settings: Settings) -> Floats:
    """The weight of each training example, (n,).

    Balanced: each class of a set weighs half of the set's number of texts, so that which set a text
    resembles says nothing about its label (82 % of one set is false, 38 % of another).
    """
    n_of: dict[tuple[str, bool], int] = {}
    for example in examples:
        key = (example.record.dataset, example.positive)
        n_of[key] = n_of.get(key, 0) + 1

    def weight(example: Example) -> float:
        name = example.record.dataset
        own, other = (n_of.get((name, p), 0) for p in (example.positive, not example.positive))
        base = (own + other) / (2 * own) if settings.balanced else 1.0
        return base * (settings.shorttext_weight if name == DOUBTFUL else 1.0)

    return np.array([weight(example) for example in examples])


def fit(examples: Iterable[Example], settings: Settings) -> Fitted:
    """Fit on the training split. Deterministic: L-BFGS from zero on examples in their order."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    used = [
        example
        for example in examples
        if example.split == "train"
        and (settings.shorttext_weight > 0 or example.record.dataset != DOUBTFUL)
    ]
    vectoriser = TfidfVectorizer(
        analyzer=list,  # an example's grams are its features already
        min_df=settings.min_df,
        max_features=settings.n_features,
        sublinear_tf=True,
    )
    matrix = vectoriser.fit_transform([example.grams for example in used])
    classifier = LogisticRegression(C=settings.c, max_iter=2000)
    classifier.fit(matrix, positives(used), sample_weight=sample_weights(used, settings))
    return Fitted(vectoriser, classifier)


def fit_calibration(positive: Bools, logits: Floats) -> Calibration:
    """Platt scaling by maximum likelihood (a logistic regression on the logit, no penalty)."""
    from sklearn.linear_model import LogisticRegression

    platt = LogisticRegression(C=np.inf).fit(logits.reshape(-1, 1), positive)
    return Calibration(
        slope=round(float(platt.coef_[0, 0]), 6), offset=round(float(platt.intercept_[0]), 6)
    )


def calibrated(logits: Floats, calibration: Calibration) -> Floats:
    """Probabilities of the positive class, (n,)."""
    with np.errstate(over="ignore"):  # far below 0 it is 1 / inf
        scores: Floats = 1.0 / (1.0 + np.exp(-(calibration.slope * logits + calibration.offset)))
    if calibration.knots:
        at, height = np.array(calibration.knots).T
        scores = np.interp(scores, at, height)
    return scores


def calm_threshold(scores: Floats, share: float) -> float:
    """The smallest threshold, among scores seen or just above, that flags at most that share.

    >>> calm_threshold(np.array([0.1, 0.2, 0.3, 0.4]), 0.5)
    0.3
    >>> calm_threshold(np.array([0.1, 0.2, 0.2, 0.3]), 0.5)
    0.3
    """
    values = np.unique(scores)
    for value in values:
        if np.mean(scores >= value) <= share:
            return float(value)
    return float(np.nextafter(values[-1], np.inf))


def best_threshold(positive: Bools, scores: Floats) -> float:
    """The threshold in 0.05, 0.06, ... 0.95 with the greatest MCC; the smallest of equals.

    >>> best_threshold(np.array([False, False, True, True]), np.array([0.1, 0.3, 0.4, 0.9]))
    0.31
    """
    grid = [round(0.01 * i, 2) for i in range(5, 96)]
    return max(grid, key=lambda threshold: mcc(confusion(positive, scores >= threshold)))


def middle_threshold(positive: Bools, scores: Floats) -> float:
    """As `best_threshold`, but the middle of the longest run of equals: where few posts have scores
    near 0 and 1, the smallest lies just above the calm ones, and new ones are flagged by chance.

    >>> middle_threshold(np.array([False, False, True, True]), np.array([0.1, 0.3, 0.4, 0.9]))
    0.35
    """
    grid = [round(0.01 * i, 2) for i in range(5, 96)]
    values = [mcc(confusion(positive, scores >= threshold)) for threshold in grid]
    runs = [[*run] for _, run in groupby(zip(grid, values, strict=True), key=itemgetter(1))]
    run = max((run for run in runs if run[0][1] == max(values)), key=len)
    return run[(len(run) - 1) // 2][0]


def validation_mcc(
    fitted: Fitted, examples: Sequence[Example], calm: Sequence[Sequence[str]]
) -> dict[str, float]:
    """MCC on each of CHOSEN_ON's validation texts, at the threshold the calm half allows."""
    threshold = calm_threshold(fitted.logits(calm), CALM_TARGET)
    result = {}
    for name in CHOSEN_ON:
        own = [e for e in examples if e.split == "validation" and e.record.dataset == name]
        flagged = fitted.logits([e.grams for e in own]) >= threshold
        result[name] = round(mcc(confusion(positives(own), flagged)), 4)
    return result


def choose_settings(
    examples: Sequence[Example], calm: Sequence[Sequence[str]], say: Callable[[str], None]
) -> tuple[Settings, list[dict[str, Any]]]:
    """The settings with the greatest mean of `validation_mcc`, and all that was tried."""
    best = Settings()
    tried: dict[Settings, dict[str, Any]] = {}
    for name, values in CANDIDATES.items():
        for value in values:
            settings = Settings(**{**best._asdict(), name: value})
            if settings in tried:
                continue
            scores = validation_mcc(fit(examples, settings), examples, calm)
            mean = round(float(np.mean(list(scores.values()))), 4)
            tried[settings] = {**settings._asdict(), "mean": mean, **scores}
            say(f"{settings} -> mean validation MCC {mean:.4f}")
        best = max(tried, key=lambda settings: tried[settings]["mean"])
    say(f"chosen: {best}")
    return best, list(tried.values())


def measures(positive: Bools, scores: Floats, threshold: float) -> dict[str, Any]:
    """Everything the model card says about one set, rounded to four decimals."""

    def mcc_of(labels: Bools, predicted: Bools) -> float:
        return mcc(confusion(labels, predicted))

    def macro_f1_of(labels: Bools, predicted: Bools) -> float:
        return macro_f1(confusion(labels, predicted))

    flagged = scores >= threshold
    counts = confusion(positive, flagged)
    false_scores, true_scores = class_scores(counts), class_scores(counts.of_other_class())
    result = {
        "n": len(positive),
        "prevalence": prevalence(positive),
        "counts": counts._asdict(),
        "likely_false": false_scores._asdict(),
        "likely_true": true_scores._asdict(),
        "mcc": mcc(counts),
        "mcc_interval": bootstrap_interval(mcc_of, positive, flagged),
        "macro_f1": macro_f1(counts),
        "macro_f1_interval": bootstrap_interval(macro_f1_of, positive, flagged),
        "mcc_at_half": mcc_of(positive, scores >= 0.5),
        "macro_f1_at_half": macro_f1_of(positive, scores >= 0.5),
        "brier": brier(positive, scores),
        "calibration_error": calibration_error(positive, scores),
    }
    return {key: rounded(value) for key, value in result.items()}


def detector_scores(
    detector: TfidfDetector, examples: Iterable[Example]
) -> tuple[Bools, Floats, int]:
    """Labels and scores of what the shipped detector scores, and on how many it abstains."""
    pairs = [(e.positive, detector.judge(e.record.text, "en").score) for e in examples]
    scored = [(positive, score) for positive, score in pairs if score is not None]
    labels, scores = zip(*scored, strict=True)
    return np.array(labels, np.bool_), np.array(scores), len(pairs) - len(scored)


def calm_scores(detector: TfidfDetector, texts: Iterable[str]) -> Floats:
    """The scores of the calm posts that are scored."""
    scores = [detector.judge(text, "en").score for text in texts]
    return np.array([score for score in scores if score is not None])


def alone(examples: Sequence[Example], name: str, settings: Settings) -> dict[str, float]:
    """What a model trained on one set only does on its test texts, at its own even odds."""
    own = [e for e in examples if e.record.dataset == name]
    test = [e for e in own if e.split == "test"]
    flagged = fit(own, settings).logits([e.grams for e in test]) >= 0
    counts = confusion(positives(test), flagged)
    return {"mcc": mcc(counts), "macro_f1": macro_f1(counts)}


def leave_one_out(
    examples: Sequence[Example], calm: Sequence[Sequence[str]], left_out: str, settings: Settings
) -> dict[str, Any]:
    """What a model, its calibration and threshold that never saw a set do on its test texts."""
    others = [e for e in examples if e.record.dataset not in (left_out, DOUBTFUL)]
    test = [e for e in examples if e.record.dataset == left_out and e.split == "test"]
    validation = [e for e in others if e.split == "validation"]
    fitted = fit(others, settings._replace(shorttext_weight=0.0))
    calibration = fit_calibration(
        positives(validation), fitted.logits([e.grams for e in validation])
    )
    threshold = calm_threshold(calibrated(fitted.logits(calm), calibration), CALM_TARGET)
    scores = calibrated(fitted.logits([e.grams for e in test]), calibration)
    return measures(positives(test), scores, threshold)


def sizes(examples: Sequence[Example]) -> dict[str, dict[str, dict[str, int]]]:
    """Number of texts by set, split and label."""
    result: dict[str, dict[str, dict[str, int]]] = {}
    for e in examples:
        by_label = result.setdefault(e.record.dataset, {}).setdefault(
            e.split, dict.fromkeys(LABELS, 0)
        )
        by_label[e.record.label] += 1
    return result


def write_fitted(path: Path, fitted: Fitted) -> str:
    """Write a regression as `detectors.tfidf.read_linear` reads it; its sha256."""
    return write_linear(
        path,
        [str(feature) for feature in fitted.vectoriser.get_feature_names_out()],
        coefficient=fitted.classifier.coef_[0],
        idf=fitted.vectoriser.idf_,
        intercept=float(fitted.classifier.intercept_[0]),
    )


def write_model(
    folder: Path,
    fitted: Fitted,
    calibration: Calibration,
    threshold: float,
    trained_on: str,
    languages: tuple[str, ...] = ("en",),
) -> TfidfDetector:
    """Write weights and config, and load them back as the detector."""
    digest = write_fitted(folder / WEIGHTS, fitted)
    config = Config(
        format=FORMAT,
        preprocessing=PREPROCESSING,
        labels=LABELS,
        positive_class=POSITIVE_CLASS,
        threshold=threshold,
        calibration=calibration,
        languages=languages,
        weights_sha256=digest,
        trained_on=trained_on,
    )
    write_config(folder, config)
    return TfidfDetector(folder)


def train(data: Path, out: Path, trained_on: str, say: Callable[[str], None]) -> dict[str, Any]:
    """The whole of it; writes `out` and returns what `metrics.json` says."""
    examples = read_examples(data / "text")
    say(f"{len(examples)} labelled texts kept of all sets")
    calm_choice, calm_report = halves(read_calm_posts(data / "tweets_2023_csv"))
    calm_grams = [features(text) for text in calm_choice]
    say(f"calm set: {len(calm_choice)} posts to choose on, {len(calm_report)} to report")

    settings, tried = choose_settings(examples, calm_grams, say)
    used = [e for e in examples if settings.shorttext_weight > 0 or e.record.dataset != DOUBTFUL]
    validation = [e for e in used if e.split == "validation"]
    fitted = fit(used, settings)
    calibration = fit_calibration(
        positives(validation), fitted.logits([e.grams for e in validation])
    )

    draft = write_model(out, fitted, calibration, 0.5, trained_on)
    by_calm = calm_threshold(calm_scores(draft, calm_choice), CALM_TARGET)
    by_mcc = best_threshold(*detector_scores(draft, validation)[:2])
    threshold = min(round(max(by_calm, by_mcc) + 0.00005, 4), 0.9999)
    detector = write_model(out, fitted, calibration, threshold, trained_on)
    say(f"threshold {threshold} (calm {by_calm:.4f}, best MCC {by_mcc:.2f})")

    test: dict[str, Any] = {}
    in_test = [e for e in examples if e.split == "test"]
    for name, group in groupby(in_test, key=lambda e: e.record.dataset):
        positive, scores, n_abstained = detector_scores(detector, group)
        test[name] = {**measures(positive, scores, threshold), "n_abstained": n_abstained}
        say(f"test {name}: MCC {test[name]['mcc']}, macro-F1 {test[name]['macro_f1']}")
    pooled = [e for e in in_test if e.record.dataset != DOUBTFUL]
    positive, scores, n_abstained = detector_scores(detector, pooled)
    test["pooled"] = {**measures(positive, scores, threshold), "n_abstained": n_abstained}

    left_out = {}
    for name in DATASETS:
        if name != DOUBTFUL:
            left_out[name] = leave_one_out(examples, calm_grams, name, settings)
            say(f"left out {name}: MCC {left_out[name]['mcc']}")

    by_itself = {name: alone(examples, name, settings) for name in left_out}
    report_scores = calm_scores(detector, calm_report)
    flagged = report_scores >= threshold
    interval = bootstrap_interval(lambda _, predicted: float(np.mean(predicted)), flagged, flagged)
    metrics: dict[str, Any] = {
        "version": detector.version,
        "trained_on": trained_on,
        "settings": settings._asdict(),
        "chosen_on": list(CHOSEN_ON),
        "tried": tried,
        "n_features": len(fitted.vectoriser.vocabulary_),
        "calibration": {"slope": calibration.slope, "offset": calibration.offset},
        "threshold": threshold,
        "threshold_by_calm": by_calm,
        "threshold_by_mcc": by_mcc,
        "sizes": sizes(examples),
        "validation_prevalence": prevalence(positives(validation)),
        "test": test,
        "left_out": left_out,
        "alone": by_itself,
        "calm": {
            "n_choice": len(calm_choice),
            "n_report": len(calm_report),
            "n_scored": len(report_scores),
            "target": CALM_TARGET,
            "flagged": float(np.mean(flagged)),
            "flagged_interval": interval,
            "flagged_at_half": float(np.mean(report_scores >= 0.5)),
            "mean_score": float(np.mean(report_scores)),
        },
        "most_false": strongest_features(fitted, 15),
        "most_true": strongest_features(fitted, -15),
    }
    metrics = {key: rounded(value) for key, value in metrics.items()}
    if metrics["calm"]["flagged"] > MAX_CALM_SHARE:
        say(f"WARNING: {metrics['calm']['flagged']:.2%} of the calm set is flagged")
    (out / "metrics.json").write_text(json.dumps(metrics, indent=1) + "\n", encoding="utf-8")
    (out / "README.md").write_text(model_card(metrics), encoding="utf-8")
    return metrics


def strongest_features(fitted: Fitted, n: int) -> list[str]:
    """The n features with the greatest coefficients; with the least ones for a negative n."""
    order = np.argsort(-fitted.classifier.coef_[0], kind="stable")
    names = fitted.vectoriser.get_feature_names_out()
    return [str(names[i]) for i in (order[:n] if n > 0 else order[n:][::-1])]


def rounded(value: Any) -> Any:
    """The same nested value with its floats rounded to four decimals."""
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(inner) for inner in value]
    return value


def fit_posts(training: Iterable[LabelledPost], settings: Settings) -> Fitted:
    """Fit on labelled posts of one's own."""
    examples = [
        Example(
            LabelledText(post.dataset, None, post.text, cast(Label, post.label), post.source or ""),
            "train",
            features(post.text),
        )
        for post in training
    ]
    return fit(examples, settings)


def train_posts(task: Task) -> dict[str, Any]:
    """Trains on labelled posts of one's own; see `training.run`. There are no calm posts, so the
    threshold is the one with the best validation MCC."""
    settings = changed(Settings(), task.changes)
    training, validation = task.part("train"), task.part("validation")
    positive = positive_of(validation)
    positive_of(training)
    fitted = fit_posts(training, settings)
    logits = fitted.logits([features(post.text) for post in validation])
    calibration = calibrate(positive, logits, task)
    draft = write_model(task.out, fitted, calibration, 0.5, task.trained_on, task.languages)
    threshold, found = validated(draft, validation, positive)
    write_model(task.out, fitted, calibration, threshold, task.trained_on, task.languages)
    return {
        "settings": settings._asdict(),
        "threshold": threshold,
        "calibration": msgspec.to_builtins(calibration),
        "validation": found,
    }


def validated(
    detector: Detector, validation: Sequence[LabelledPost], positive: Bools
) -> tuple[float, dict[str, Any]]:
    """The threshold with the best MCC on validation posts, and how a written detector does there.
    Of what it has an opinion about, as in a run. Raises: CannotTrain if that is nothing."""
    judged = judge(detector.name, detector, validation)
    kept = np.isfinite(judged.scores)
    if not kept.any():
        (reason, _), *_ = Counter(judged.reasons).most_common(1)
        languages = "name the languages of the texts with --languages"
        hint = languages if reason == "language" else "give more posts or epochs"
        raise CannotTrain(f"it scores none of {len(kept)} validation posts ({reason}): {hint}")
    labels, scores = positive[kept], judged.scores[kept]
    threshold = best_threshold(labels, scores)
    n_abstained = len(kept) - len(scores)
    return threshold, {**measures(labels, scores, threshold), "n_abstained": n_abstained}


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m detectors.train_tfidf", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with text/ and tweets")
    parser.add_argument("--out", type=Path, required=True, help="weights folder to write")
    parser.add_argument("--trained-on", default=date.today().isoformat(), help="YYYY-MM-DD")
    options = parser.parse_args(arguments)
    train(options.data, options.out, options.trained_on, print)


if __name__ == "__main__":
    main()
