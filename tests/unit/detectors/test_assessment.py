"""What an evaluation says, against counts made by hand."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from detectors.assessment import (
    Judged,
    assess,
    average_precision,
    comparison,
    judge,
    mcnemar,
    precision_recall,
    reliability,
    slices_of,
)
from detectors.datasets.labelled import LabelledPost
from detectors.evaluation import Floats
from detectors.labels import LABELS
from detectors.null import NullDetector
from hoaxwatch.quality import markdown, pictures_of, quality_rows

NAN = float("nan")


def posts(labels: list[int]) -> list[LabelledPost]:
    return [
        LabelledPost(
            "made up", "test", str(i), f"text {i} | <b>", LABELS[label], image_ids=(str(i),)
        )
        for i, label in enumerate(labels)
    ]


def judged(name: str, scores: list[float], threshold: float = 0.5) -> Judged:
    reasons = tuple("language" if score != score else None for score in scores)
    return Judged(name, f"{name} 1", threshold, np.array(scores), reasons)


LABELLED = [1, 1, 1, 0, 0, 0, 0, 1]
FIRST = judged("first", [0.9, 0.8, 0.2, 0.6, 0.1, 0.3, NAN, NAN])
SECOND = judged("second", [0.9, 0.4, 0.7, 0.2, 0.1, 0.3, 0.1, 0.9])


def test_platform_and_month_are_slices() -> None:
    post = posts([1])[0]._replace(platform="weibo", posted_at=datetime(2020, 3, 1, tzinfo=UTC))
    found = slices_of(post)
    assert (found["platform"], found["month"]) == ("weibo", "2020-03")
    assert "platform" not in slices_of(posts([1])[0])


def test_what_is_scored_is_measured_and_abstentions_are_counted() -> None:
    found = assess(posts(LABELLED), [FIRST], {"data": {}, "split": "test"})
    one = found["detectors"]["first"]
    assert (one["n"], one["n_scored"], one["abstained"]) == (8, 6, {"language": 2})
    assert list(one["counts"].values()) == [2, 1, 1, 2]
    assert (one["accuracy"], one["precision"], one["recall"], one["mcc"]) == pytest.approx(
        (2 / 3, 2 / 3, 2 / 3, 1 / 3), abs=1e-4
    )
    assert one["by_class"]["likely_true"]["recall"] == pytest.approx(2 / 3, abs=1e-4)
    assert one["weighted_f1"] == pytest.approx(2 / 3, abs=1e-4)
    assert one["mcc_interval"][0] < one["mcc"] < one["mcc_interval"][1]
    assert one["consistent"] is True
    assert [row["post_id"] for row in one["worst"]] == ["2", "3"]


def test_posts_with_a_picture_in_common_are_drawn_together() -> None:
    same = [post._replace(image_ids=("a",)) for post in posts(LABELLED)]
    found = assess(same, [SECOND], {"data": {}, "split": "test"})
    assert found["n_groups"] == 1
    mcc = found["detectors"]["second"]["mcc"]
    assert found["detectors"]["second"]["mcc_interval"] == [mcc, mcc]


def test_two_on_the_same_posts() -> None:
    alone = np.arange(len(LABELLED))
    found = comparison(posts(LABELLED), np.array(LABELLED, dtype=bool), FIRST, SECOND, alone)
    # 2 of 4 found and 1 of 4 flagged wrongly, against 3 of 4 found and none
    assert found["mcc_difference"] == pytest.approx(
        12 / (3 * 4 * 4 * 5) ** 0.5 - (2 * 3 - 1 * 2) / (3 * 4 * 4 * 5) ** 0.5, abs=1e-4
    )
    # F1 of both classes: 3 of 4 and 4 of 5 with none flagged wrongly, against 2 of 4 and 3 of 4
    of_second, of_first = (6 / 7 + 8 / 9) / 2, (4 / 7 + 6 / 9) / 2
    assert found["macro_f1_difference"] == pytest.approx(of_second - of_first, abs=1e-4)
    one_group = np.zeros(len(LABELLED), dtype=np.int64)
    held = comparison(posts(LABELLED), np.array(LABELLED, dtype=bool), FIRST, SECOND, one_group)
    assert held["mcc_difference_interval"] == [found["mcc_difference"]] * 2
    # an abstention is not flagged: right of post 6, wrong of post 7
    assert (found["only_first_right"], found["only_second_right"]) == (1, 3)
    assert found["mcnemar_p"] == pytest.approx(2 * (1 + 4) / 16)
    assert [p["post_id"] for p in found["found_by_second_missed_by_first"]] == ["2", "7"]
    assert [p["post_id"] for p in found["found_by_first_missed_by_second"]] == ["1"]
    assert mcnemar(0, 0) == 1.0


def test_curves_against_scikit_learn() -> None:
    from sklearn.metrics import average_precision_score

    rng = np.random.default_rng(0)
    positive = rng.random(400) < 0.3
    drawn = np.clip(rng.normal(0.4 + 0.2 * positive.astype(np.float64), 0.2), 0, 1)
    scores: Floats = np.round(drawn, 2)  # with ties
    assert average_precision(positive, scores) == pytest.approx(
        average_precision_score(positive, scores)
    )
    curve = precision_recall(positive, scores)
    assert curve[-1][2] == 1.0
    assert curve[-1][1] == pytest.approx(positive.mean(), abs=1e-4)
    assert sum(part["n"] for part in reliability(positive, scores)) == 400


def test_slices_by_what_is_known() -> None:
    post = posts([1])[0]._replace(lang="en", attributes={"account_age_days": 100.0})
    assert slices_of(post) == {
        "set": "made up",
        "words": "1-10",
        "link": "without",
        "language": "en",
        "account": "< 1 year",
    }


def test_a_detector_without_opinion() -> None:
    found = judge("null", NullDetector(), posts(LABELLED))
    assert np.isnan(found.scores).all()
    assert not found.flagged.any()
    assert set(found.reasons) == {"no_detector"}


def test_three_classes_are_measured_as_well() -> None:
    labels = ["5g", "other", "none", "none", "5g", "other"]
    three = [p._replace(label=name) for p, name in zip(posts([0] * 6), labels, strict=True)]
    named = ("5g", "5g", "none", "none", "none", "other")
    scores = [0.9, 0.8, 0.1, 0.2, 0.3, 0.7]
    one = judged("three", scores)._replace(classes=("none", "5g", "other"), named=named)
    found = assess(three, [one], {"data": {}, "split": "test"}, {"5g", "other"})
    of_all = found["detectors"]["three"]["by_classes"]
    assert of_all["confusion"] == [[2, 0, 0], [1, 1, 0], [0, 1, 1]]
    assert of_all["by_class"]["5g"] == {"precision": 0.5, "recall": 0.5, "f1": 0.5}
    # c = 4 right of s = 6; predicted (3, 2, 1), labelled (2, 2, 2): (24 - 12) / sqrt(22 * 24)
    assert of_all["mcc"] == pytest.approx(12 / (22 * 24) ** 0.5, abs=1e-4)
    assert list(found["detectors"]["three"]["counts"].values()) == [3, 0, 1, 2]
    assert "| 5g | 0.50 | 0.50 | 0.50 | 1 | 1 | 0 |" in markdown(found)


def test_evidence_is_asked_for_the_worst_alone() -> None:
    asked: list[str] = []

    def explain(post: LabelledPost) -> tuple[tuple[str, float], ...]:
        asked.append(post.post_id)
        return (("word", -1.5),)

    one = FIRST._replace(explain=explain)
    found = assess(posts(LABELLED), [one], {"data": {}, "split": "test"})
    assert asked == ["2", "3"]
    assert "| -1.50 word |" in markdown(found)


def test_the_page_and_its_pictures() -> None:
    about = {"data": {"a.csv": "0" * 64}, "split": "test"}
    found = assess(posts(LABELLED), [FIRST, SECOND], about)
    page, pictures = markdown(found), pictures_of(found)
    assert len(pictures) == 6
    assert all(f"]({name})" in page for name in pictures)
    assert "text 2 \\| &lt;b>" in page
    assert "| `second` over `first` |" in page
    drawn = pictures["first_confusion.svg"]
    assert drawn.startswith("<svg xmlns=") and drawn.count("<rect") == 5
    assert [row["detector"] for row in quality_rows(found)] == ["first", "second"]
