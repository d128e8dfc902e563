"""How good detectors are on labelled posts: one dictionary of plain values, for JSON and pages.

An abstention is no mistake and no answer: what is scored is measured, what is not is counted by
reason. Where detectors are compared on the same posts, an abstention counts as not flagged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from detectors.consistency import implied
from detectors.datasets.groups import groups_by_image
from detectors.datasets.labelled import LabelledPost
from detectors.detector import Detector, Explains, JudgesPosts, NamesClasses
from detectors.evaluation import (
    Bools,
    Confusion,
    Floats,
    brier,
    calibration_error,
    class_scores,
    confusion,
    macro_f1,
    mcc,
    prevalence,
)
from detectors.labels import LABELS, POSITIVE_CLASS
from detectors.multiclass import (
    Ints,
    confusion_matrix,
    interval_of,
    macro_f1_of,
    multiclass_mcc,
    resampled,
    scores_by_class,
    weighted_f1_of,
)
from detectors.trained import Opinion
from streams.records import Content, content_hash

N_BINS = 10
#: Points of the precision-recall curve at most.
MAX_POINTS = 200
#: Posts that a slice needs to be measured.
MIN_SLICE = 20
N_WORST = 10
N_SHOWN = 5


Evidence = tuple[tuple[str, float], ...]


class Judged(NamedTuple):
    """What a detector says about the posts. scores: NaN where it abstains. name: as asked for.

    explain: what weighed most in a post's score. classes: all it knows, and named: the likeliest of
    each post, where it knows more than the two labels.
    """

    name: str
    version: str
    threshold: float
    scores: Floats
    reasons: tuple[str | None, ...]
    explain: Callable[[LabelledPost], Evidence] = lambda post: ()
    classes: tuple[str, ...] = ()
    named: tuple[str, ...] = ()

    @property
    def flagged(self) -> Bools:
        """Which posts it takes for likely false, (n,); no abstention among them."""
        return np.nan_to_num(self.scores, nan=-1.0) >= self.threshold


def judge(name: str, detector: Detector, posts: Sequence[LabelledPost]) -> Judged:
    """The opinions of a detector; it sees no label."""

    def content(post: LabelledPost) -> Content:
        return Content(
            platform="evaluate",
            root_id=post.post_id,
            text=post.text,
            lang=post.lang,
            input_hash=content_hash(post.text, post.lang),
        )

    def explain(post: LabelledPost) -> Evidence:
        if isinstance(detector, Explains):
            return detector.explain(content(post))
        return detector.score([content(post)])[0].evidence

    if isinstance(detector, JudgesPosts):
        found = detector.judge_posts(posts)
    else:
        found = [Opinion(v.score, v.reason) for v in detector.score([content(p) for p in posts])]
    classes: tuple[str, ...] = ()
    named: tuple[str, ...] = ()
    if isinstance(detector, NamesClasses) and set(detector.classes) != set(LABELS):
        classes, named = detector.classes, tuple(detector.classify_posts(posts))
    return Judged(
        name,
        detector.version,
        detector.threshold,
        np.array([np.nan if opinion.score is None else opinion.score for opinion in found]),
        tuple(opinion.reason for opinion in found),
        explain,
        classes,
        named,
    )


def precision_recall(positive: Bools, scores: Floats) -> list[tuple[float, float, float]]:
    """(threshold, precision, recall) at each score, greatest first; thinned to MAX_POINTS.

    >>> precision_recall(np.array([True, False, True]), np.array([0.9, 0.8, 0.7]))
    [(0.9, 1.0, 0.5), (0.8, 0.5, 0.5), (0.7, 0.6667, 1.0)]
    """
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(positive[order])
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    if len(last) > MAX_POINTS:
        last = last[np.linspace(0, len(last) - 1, MAX_POINTS).astype(int)]
    n = max(int(positive.sum()), 1)
    return [
        (float(scores[order][i]), round(float(hits[i] / (i + 1)), 4), round(float(hits[i] / n), 4))
        for i in last
    ]


def average_precision(positive: Bools, scores: Floats) -> float:
    """The area under the precision-recall curve by steps; a constant's is the prevalence.

    >>> round(average_precision(np.array([True, False, True]), np.array([0.9, 0.8, 0.7])), 4)
    0.8333
    """
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(positive[order])
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    precision = hits[last] / (last + 1)
    gained = np.diff(np.concatenate([[0], hits[last]]))
    return float(np.sum(precision * gained) / max(int(positive.sum()), 1))


def reliability(positive: Bools, scores: Floats) -> list[dict[str, Any]]:
    """Per tenth of the score: how many, their mean score, the share that is likely false.

    >>> reliability(np.array([True, False]), np.array([0.82, 0.88]))
    [{'n': 2, 'mean_score': 0.85, 'share': 0.5}]
    """
    bins = np.minimum((scores * N_BINS).astype(np.intp), N_BINS - 1)
    return [
        {
            "n": int((bins == k).sum()),
            "mean_score": round(float(scores[bins == k].mean()), 4),
            "share": round(float(positive[bins == k].mean()), 4),
        }
        for k in range(N_BINS)
        if (bins == k).any()
    ]


def _of_matrix(statistic: Callable[[Confusion], float]) -> Callable[[Ints], float]:
    """A statistic of the four counts as one of a matrix of label and prediction (true first)."""
    return lambda m: statistic(Confusion(int(m[1, 1]), int(m[0, 1]), int(m[1, 0]), int(m[0, 0])))


def weighted_f1(counts: Confusion) -> float:
    """The mean of both classes' F1, each weighing as many as it has labels.

    >>> round(weighted_f1(Confusion(6, 2, 4, 8)), 4)
    0.697
    """
    n_positive, n = counts.true_positive + counts.false_negative, sum(counts)
    of_both = (class_scores(counts).f1, class_scores(counts.of_other_class()).f1)
    return (n_positive * of_both[0] + (n - n_positive) * of_both[1]) / n if n else 0.0


STATISTICS: dict[str, Callable[[Confusion], float]] = {
    "accuracy": lambda c: (c.true_positive + c.true_negative) / max(sum(c), 1),
    "mcc": mcc,
    "macro_f1": macro_f1,
    "weighted_f1": weighted_f1,
    "precision": lambda c: class_scores(c).precision,
    "recall": lambda c: class_scores(c).recall,
    "f1": lambda c: class_scores(c).f1,
}


def quality(positive: Bools, judged: Judged, groups: Ints) -> dict[str, Any]:
    """The table of one detector on what it scores, with 95 % intervals over resampled groups."""
    there = np.isfinite(judged.scores)
    own, scores, flagged = positive[there], judged.scores[there], judged.flagged[there]
    counts = confusion(own, flagged)
    of_false, of_true = class_scores(counts), class_scores(counts.of_other_class())
    numbers: dict[str, Any] = {}
    drawn = resampled(own.astype(np.int64), flagged.astype(np.int64), 2, groups[there])
    for name, statistic in STATISTICS.items():
        low, high = interval_of(_of_matrix(statistic), drawn)
        numbers[name] = round(statistic(counts), 4)
        numbers[f"{name}_interval"] = [round(low, 4), round(high, 4)]
    share = prevalence(own)
    again = implied(of_false.precision, of_false.recall, share).mcc if of_false.recall else 0.0
    return {
        "version": judged.version,
        "threshold": judged.threshold,
        "n": len(positive),
        "n_scored": int(there.sum()),
        "abstained": dict(Counter(reason for reason in judged.reasons if reason)),
        "prevalence": round(share, 4),
        "counts": counts._asdict(),
        **numbers,
        "by_class": {
            label: {name: round(value, 4) for name, value in found._asdict().items()}
            for label, found in zip(LABELS, (of_true, of_false), strict=True)
        },
        "consistent": abs(again - mcc(counts)) < 1e-6,
        "average_precision": round(average_precision(own, scores), 4),
        "brier": round(brier(own, scores), 4),
        "calibration_error": round(calibration_error(own, scores), 4),
        "precision_recall": precision_recall(own, scores),
        "reliability": reliability(own, scores),
    }


def by_classes(posts: Sequence[LabelledPost], judged: Judged, groups: Ints) -> dict[str, Any]:
    """The table of all classes, on every post whose label is one of them."""
    number = {name: i for i, name in enumerate(judged.classes)}
    own = np.array([i for i, post in enumerate(posts) if post.label in number], dtype=np.int64)
    labels = np.array([number[posts[i].label] for i in own], dtype=np.int64)
    predicted = np.array([number[judged.named[i]] for i in own], dtype=np.int64)
    n = len(judged.classes)
    matrix = confusion_matrix(labels, predicted, n)
    found: dict[str, Any] = {"n": len(own), "classes": list(judged.classes)}
    drawn = resampled(labels, predicted, n, groups[own])
    for name, statistic in (
        ("mcc", multiclass_mcc),
        ("macro_f1", macro_f1_of),
        ("weighted_f1", weighted_f1_of),
    ):
        low, high = interval_of(statistic, drawn)
        found[name] = round(statistic(matrix), 4)
        found[f"{name}_interval"] = [round(low, 4), round(high, 4)]
    return found | {
        "by_class": {
            name: {key: round(value, 4) for key, value in scores._asdict().items()}
            for name, scores in zip(judged.classes, scores_by_class(matrix), strict=True)
        },
        "confusion": matrix.tolist(),
    }


def slices_of(post: LabelledPost) -> dict[str, str]:
    """Which slice of each kind a post is in; a kind of which nothing is known is left out.

    >>> slices_of(LabelledPost("a", None, "1", "so it is https://t.co/x", "likely_true"))
    {'set': 'a', 'words': '1-10', 'link': 'with'}
    """
    n = len(post.text.split())
    found = {
        "set": post.dataset,
        "words": "1-10" if n <= 10 else "11-20" if n <= 20 else "21-40" if n <= 40 else "41-",
        "link": "with" if "http" in post.text.casefold() else "without",
    }
    known: list[tuple[str, str | None]] = [
        ("language", post.lang),
        ("event", post.event),
        ("source", post.source),
        ("platform", post.platform),
        ("month", None if post.posted_at is None else f"{post.posted_at:%Y-%m}"),
    ]
    age = post.attributes.get("account_age_days")
    if age is not None:
        known.append(("account", "< 30 days" if age < 30 else "< 1 year" if age < 365 else "older"))
    return found | {kind: value for kind, value in known if value is not None}


def by_slice(
    posts: Sequence[LabelledPost], positive: Bools, judged: Judged
) -> list[dict[str, Any]]:
    """Quality in each slice that has MIN_SLICE scored posts and is not all of them."""
    rows: dict[tuple[str, str], list[int]] = {}
    for i, post in enumerate(posts):
        if np.isfinite(judged.scores[i]):
            for key in slices_of(post).items():
                rows.setdefault(key, []).append(i)
    n_scored = int(np.isfinite(judged.scores).sum())
    found = []
    for (kind, value), own in sorted(rows.items()):
        if MIN_SLICE <= len(own) < n_scored:
            counts = confusion(positive[own], judged.flagged[own])
            of_false = class_scores(counts)
            found.append(
                {
                    "slice": kind,
                    "value": value,
                    "n": len(own),
                    "prevalence": round(prevalence(positive[own]), 4),
                    "precision": round(of_false.precision, 4),
                    "recall": round(of_false.recall, 4),
                    "mcc": round(mcc(counts), 4),
                }
            )
    return found


def worst(posts: Sequence[LabelledPost], positive: Bools, judged: Judged) -> list[dict[str, Any]]:
    """The posts on the wrong side of the threshold whose scores are farthest from their labels."""
    wrong = np.isfinite(judged.scores) & (judged.flagged != positive)
    distance = np.where(wrong, np.abs(judged.scores - positive), -1.0)
    order = [int(i) for i in np.argsort(-distance, kind="stable") if wrong[i]][:N_WORST]
    return [
        _row(posts[i])
        | {
            "score": round(float(judged.scores[i]), 4),
            "evidence": [list(one) for one in judged.explain(posts[i])],
        }
        for i in order
    ]


def mcnemar(only_first: int, only_second: int) -> float:
    """Two-sided exact p of the two numbers of posts that only one of two detectors gets right, if
    both are equally good: 2 sum over k <= min of binomial(n, k) / 2^n.

    Source: McNemar, Psychometrika 12, 1947; the exact form is a sign test.

    >>> mcnemar(5, 5), round(mcnemar(0, 6), 5)
    (1.0, 0.03125)
    """
    from scipy.stats import binom

    n = only_first + only_second
    return min(1.0, float(2 * binom.cdf(min(only_first, only_second), n, 0.5))) if n else 1.0


def paired(positive: Bools, first: Bools, second: Bools) -> tuple[Ints, Ints]:
    """Labels (0, 1), and what both flag as one number: 2 * the second's + the first's."""
    return positive.astype(np.int64), 2 * second.astype(np.int64) + first


def both_counts(cells: Ints) -> tuple[Confusion, Confusion]:
    """The counts of the first and of the second. cells: (4, 4), of which rows 0 and 1 are labels
    and columns both answers as `paired` has them.

    >>> first, second = both_counts(np.array([[2, 0, 0, 0], [0, 0, 3, 0], [0] * 4, [0] * 4]))
    >>> first.true_positive, second.true_positive, first.true_negative
    (0, 3, 2)
    """
    (n, first_only, second_only, both), (missed, found_first, found_second, found) = (
        [int(cell) for cell in row] for row in cells[:2]
    )
    return (
        Confusion(found_first + found, first_only + both, missed + found_second, n + second_only),
        Confusion(found_second + found, second_only + both, missed + found_first, n + first_only),
    )


def second_over_first(statistic: Callable[[Confusion], float]) -> Callable[[Ints], float]:
    """How much greater a statistic is of the second, as one of cells as `both_counts` has them.

    >>> second_over_first(mcc)(np.array([[2, 0, 0, 0], [0, 0, 2, 0], [0] * 4, [0] * 4]))
    1.0
    """

    def difference(cells: Ints) -> float:
        first, second = both_counts(cells)
        return statistic(second) - statistic(first)

    return difference


def comparison(
    posts: Sequence[LabelledPost], positive: Bools, first: Judged, second: Judged, groups: Ints
) -> dict[str, Any]:
    """Two detectors on the same posts: who is right where the other is wrong. The intervals of the
    differences are over resampled groups; McNemar's test takes each post by itself."""
    right = [judged.flagged == positive for judged in (first, second)]
    only = [right[0] & ~right[1], right[1] & ~right[0]]
    answers = paired(positive, first.flagged, second.flagged)
    cells, drawn = confusion_matrix(*answers, 4), resampled(*answers, 4, groups)
    differences: dict[str, Any] = {}
    for name in ("mcc", "macro_f1"):
        difference = second_over_first(STATISTICS[name])
        low, high = interval_of(difference, drawn)
        differences[f"{name}_difference"] = round(difference(cells), 4)
        differences[f"{name}_difference_interval"] = [round(low, 4), round(high, 4)]

    def shown(which: Bools) -> list[dict[str, Any]]:
        return [_row(posts[int(i)]) for i in np.flatnonzero(which & positive)[:N_SHOWN]]

    return {
        "first": first.name,
        "second": second.name,
        "only_first_right": int(only[0].sum()),
        "only_second_right": int(only[1].sum()),
        "mcnemar_p": mcnemar(int(only[0].sum()), int(only[1].sum())),
        **differences,
        "found_by_first_missed_by_second": shown(only[0]),
        "found_by_second_missed_by_first": shown(only[1]),
    }


def drawn_together(posts: Sequence[LabelledPost]) -> Ints:
    """What a resample takes together: posts with a picture in common, which share their label."""
    return np.array(groups_by_image(posts), dtype=np.int64)


def assess(
    posts: Sequence[LabelledPost],
    judged: Sequence[Judged],
    about: Mapping[str, Any],
    false: Collection[str] = (POSITIVE_CLASS,),
) -> dict[str, Any]:
    """All that is said about detectors on these posts. about: what the data is. false: the labels
    that make a post likely false.

    Cost: a second or two for each detector, for the intervals.
    """
    positive = np.array([post.label in false for post in posts], dtype=np.bool_)
    groups = drawn_together(posts)
    return {
        **about,
        "n": len(posts),
        "n_groups": len(set(groups.tolist())),
        "labels": dict(Counter(post.label for post in posts)),
        "detectors": {
            one.name: {
                **quality(positive, one, groups),
                "by_classes": by_classes(posts, one, groups) if one.named else None,
                "slices": by_slice(posts, positive, one),
                "worst": worst(posts, positive, one),
            }
            for one in judged
        },
        "comparisons": [
            comparison(posts, positive, first, second, groups)
            for i, first in enumerate(judged)
            for second in judged[i + 1 :]
        ],
    }


def names_apart(names: Iterable[str]) -> list[str]:
    """Names that are all different: one that comes again has its number behind it.

    >>> names_apart(["tfidf", "bert", "tfidf"])
    ['tfidf', 'bert', 'tfidf 2']
    """
    times: Counter[str] = Counter()
    found = []
    for name in names:
        times[name] += 1
        found.append(name if times[name] == 1 else f"{name} {times[name]}")
    return found


def _row(post: LabelledPost) -> dict[str, Any]:
    return {"post_id": post.post_id, "label": post.label, "text": " ".join(post.text.split())[:300]}
