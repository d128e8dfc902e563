from __future__ import annotations

import json
import lzma
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detectors import cascade_baselines
from detectors.cascade_baselines import (
    commonest_class,
    pace_features,
    same_account,
    shape_features,
)
from detectors.cascade_gcn import (
    SHIPPED_WEIGHTS,
    CascadeGcnDetector,
    class_logits,
    columns_of,
    label_logit,
    prepare,
)
from detectors.cascade_gcn_card import model_card
from detectors.cascades import build_cascade, no_structure, seen_within
from detectors.checkpoints import CannotTrain, Step, begin
from detectors.datasets import twitter15
from detectors.train_cascade_gcn import (
    AGES,
    NINE,
    WHOLE,
    WHOLE_PLAN,
    Plan,
    Settings,
    fit,
    folds,
    groups_apart,
    labels_of,
    read_examples,
    train,
)
from detectors.training import Task, run
from tests.unit.detectors.invented_cascades import N_PER_CLASS, write_cascades


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cascades(tmp_path_factory.mktemp("data"))


PLAN = Plan(
    candidates=(Settings(max_epochs=3),),
    ages={"30m": 1800.0, WHOLE: float("inf")},
    n_folds=2,
    readers={"words": "tfidf"},
)


@pytest.fixture(scope="module")
def trained(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("weights")
    with pytest.MonkeyPatch.context() as patch:
        # 500 trees each time would be most of the minute that this takes
        patch.setattr(cascade_baselines, "random_forest", cascade_baselines.logistic_regression)
        return out, train(folder, out, "2020-02-02", lambda line: None, PLAN)


def test_what_is_written_is_a_detector_with_its_card(
    trained: tuple[Path, dict[str, Any]], folder: Path
) -> None:
    out, metrics = trained
    assert {path.name for path in out.iterdir()} == {
        "README.md",
        "config.json",
        "fusion.json",
        "metrics.json",
        "model.safetensors",
    }
    assert json.loads((out / "metrics.json").read_text()) == metrics
    assert (out / "README.md").read_text() == model_card(metrics)
    detector = CascadeGcnDetector(out)
    assert detector.version == metrics["version"]
    verdicts = detector.score([one.cascade for one in twitter15.read(folder)])
    assert {verdict.state for verdict in verdicts} == {"scored"}


def test_a_network_that_was_stopped_goes_on(folder: Path, tmp_path: Path) -> None:
    examples = read_examples(folder, PLAN.ages)
    labels = labels_of(examples, ("true", "false"))
    fold = folds(labels, groups_apart(examples), 2)[0]
    settings = Settings(max_epochs=4)

    def stop(step: Step) -> None:
        if (step.name, step.epoch) == ("fold 1", 3):
            raise KeyboardInterrupt

    whole, _ = fit(examples, labels, fold, NINE, [WHOLE], settings)
    course = begin(tmp_path, False, "cascade_gcn", stop).of("fold 1")
    with pytest.raises(KeyboardInterrupt):
        fit(examples, labels, fold, NINE, [WHOLE], settings, course)
    steps: list[Step] = []
    again = begin(tmp_path, True, "cascade_gcn", steps.append).of("fold 1")
    resumed, _ = fit(examples, labels, fold, NINE, [WHOLE], settings, again)
    assert steps[0].epoch == 3 and resumed[2:] == whole[2:]
    found = resumed.network.state_dict()
    assert all(tensor.equal(found[name]) for name, tensor in whole.network.state_dict().items())
    steps.clear()
    fit(examples, labels, fold, NINE, [WHOLE], settings, again)
    assert steps == []  # it was finished
    names = {"fold 1", "fold 2", "gcn"}
    assert {again.of(name).path() for name in names} != {again.path()}


def test_what_was_stopped_does_not_go_on_with_other_cascades(tmp_path: Path) -> None:
    folder = write_cascades(tmp_path)

    def stop(step: Step) -> None:
        if step.epoch == 2:
            raise KeyboardInterrupt

    asked = Task([], folder, tmp_path / "out", "", lambda line: None, watch=stop)
    with pytest.raises(KeyboardInterrupt):
        run("cascade_gcn", asked)
    sources = folder / "twitter15" / "sources.csv.xz"
    text = lzma.decompress(sources.read_bytes()).decode()
    sources.write_bytes(lzma.compress(text.replace(",true,", ",false,", 1).encode()))
    with pytest.raises(CannotTrain, match="is of other data or settings: leave --resume out"):
        run("cascade_gcn", asked._replace(resume=True))


def test_metrics_cover_all_that_was_asked(trained: tuple[Path, dict[str, Any]]) -> None:
    _, metrics = trained
    for split in ("random", "apart"):
        assert len(metrics["four_class"][split]) == 9
        for row in metrics["four_class"][split].values():
            assert row["n"] == sum(map(sum, row["confusion"])) == 4 * N_PER_CLASS
            low, high = row["mcc_interval"]
            assert low <= row["mcc"] <= high
    assert metrics["true_against_false"]["apart"]["gcn"]["n"] == 2 * N_PER_CLASS
    assert set(metrics["early"]) == {"30m", WHOLE}
    assert metrics["early"]["30m"]["median_size"] < metrics["early"][WHOLE]["median_size"]
    assert metrics["scores"][WHOLE]["n"] == 3 * N_PER_CLASS, "unverified has no part"


def test_a_shape_that_tells_is_learnt(folder: Path) -> None:
    examples = read_examples(folder, PLAN.ages)
    labels = labels_of(examples, ("true", "false"))
    fold = folds(labels, groups_apart(examples), 2)[0]
    settings = Settings(max_epochs=15)
    fitted, graphs = fit(examples, labels, fold, NINE, [WHOLE], settings)
    found = class_logits(fitted.network, [graphs[i, WHOLE] for i in fold.test.tolist()])
    assert float(np.mean(found.argmax(axis=1) == labels[fold.test])) > 0.95
    again, _ = fit(examples, labels, fold, NINE, [WHOLE], settings)
    assert all(
        a.numpy().tobytes() == b.numpy().tobytes()
        for a, b in zip(
            fitted.network.state_dict().values(), again.network.state_dict().values(), strict=True
        )
    ), "same seed, same bytes"
    other, _ = fit(examples, labels, fold, NINE, [WHOLE], settings._replace(seed=1))
    assert other.loss != fitted.loss


def test_folds_tear_no_group_apart_and_leave_nothing_out(folder: Path) -> None:
    examples = read_examples(folder, PLAN.ages)
    groups = groups_apart(examples)
    authors = [e.labelled.author for e in examples]
    assert all(
        len({groups[i] for i in range(len(groups)) if authors[i] == a}) == 1 for a in authors[:20]
    )
    labels = labels_of(examples, twitter15.CLASSES)
    found = folds(labels, groups, 2)
    for fold in found:
        parts = [set(groups[part].tolist()) for part in fold]
        assert not parts[0] & parts[1]
        assert not parts[0] & parts[2]
        assert not parts[1] & parts[2]
        assert sum(len(part) for part in fold) == len(examples)
    assert sorted(np.concatenate([fold.test for fold in found])) == list(range(len(examples)))
    of_two = folds(labels_of(examples, ("true", "false")), groups, 2)
    assert sum(len(fold.test) for fold in of_two) == 2 * N_PER_CLASS


def test_same_story_is_one_group(tmp_path: Path) -> None:
    text = "the old harbour bridge of dorvik was closed by the council this morning"
    examples = list(read_examples(write_cascades(tmp_path), {WHOLE: float("inf")})[:30:8])
    same = [
        e._replace(labelled=e.labelled._replace(text=t))
        for e, t in zip(examples, [text, "a", f"so {text}", "b"], strict=True)
    ]
    groups = groups_apart(same).tolist()
    assert groups[0] == groups[2]
    assert len(set(groups)) == 3


# Baselines


def test_shape_features_by_hand() -> None:
    one = build_cascade("r", [("r", "a"), ("r", "b"), ("a", "c"), ("b", "c"), ("c", "r")])
    log4, depth, log2, mean, parents, edges = shape_features(one)
    assert (log4, depth, log2) == (np.log(4), 2, np.log(2))
    assert (mean, parents, edges) == (1.0, 1.0, 1.25)
    assert shape_features(build_cascade("t", [("a", "b")], root_key=""))[1] == 0


def test_pace_features_by_hand() -> None:
    delays = {"r": 0.0, "a": 60.0, "b": 120.0, "c": 180.0, "d": 240.0}
    found = pace_features(build_cascade("r", [("r", "a")], delays=delays))
    assert found[0] == np.log(5)
    assert found[3] == pytest.approx(np.log1p(2))
    assert pace_features(build_cascade("r", [("r", "a")]))[1:] == [0] * 5


def test_same_account_knows_what_the_training_part_tells() -> None:
    labels = np.array([0, 0, 1, 1, 1])
    found = same_account(["a", "b", "b", "a", "c"], labels, np.array([0, 2, 4]))
    assert found.argmax(axis=1).tolist() == [0, 1, 1, 0, 1]
    assert commonest_class(labels, np.array([0, 2, 4])).argmax(axis=1).tolist() == [1] * 5


# What ships


def shipped() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((SHIPPED_WEIGHTS / "metrics.json").read_text())
    return found


def test_shipped_card_is_what_the_shipped_metrics_say() -> None:
    assert (SHIPPED_WEIGHTS / "README.md").read_text() == model_card(shipped())


def test_shipped_weights_are_those_that_were_measured() -> None:
    metrics, detector = shipped(), CascadeGcnDetector()
    assert detector.version == metrics["version"]
    assert detector.threshold == metrics["threshold"]
    assert detector.config.trained_on == metrics["trained_on"]
    assert [column.name for column in detector.config.columns] == list(NINE)
    assert detector.config.classes == twitter15.CLASSES
    assert sum(path.stat().st_size for path in SHIPPED_WEIGHTS.iterdir()) < 1_000_000


def test_shipped_validation_loss_is_met_on_the_real_cascades(data: Path) -> None:
    """The shipped files, by the detector's own way to read a cascade, on its validation part."""
    import torch.nn.functional as F
    from torch import tensor

    metrics, detector = shipped(), CascadeGcnDetector()
    labelled = list(twitter15.read(data))
    examples = read_examples(data, {WHOLE: AGES[WHOLE]})
    labels = labels_of(examples, twitter15.CLASSES)
    final = folds(labels, groups_apart(examples), WHOLE_PLAN.n_folds, seed=7)[0]
    raw, weighed = [], []
    counts = np.zeros(4)
    for part in (final.train, final.test):
        for i in part.tolist():
            for age in AGES.values():
                if no_structure(seen_within(labelled[i].cascade, age)) is None:
                    counts[labels[i]] += 1
    for i in final.validation.tolist():
        for age in AGES.values():
            cascade = seen_within(labelled[i].cascade, age)
            if no_structure(cascade) is None:
                raw.append(detector._logits(prepare(cascade, detector.config.columns)))
                weighed.append(labels[i])
    weight = tensor(counts.sum() / (4 * counts))
    loss = float(F.cross_entropy(tensor(np.array(raw)), tensor(np.array(weighed)), weight=weight))
    assert loss == pytest.approx(metrics["shipped"]["validation_loss"], abs=2e-4)
    (verdict,) = detector.score([labelled[0].cascade])
    assert verdict.score is not None
    logits = detector._logits(prepare(labelled[0].cascade, detector.config.columns))
    calibration = detector.config.calibration
    logit = calibration.slope * label_logit(logits, detector.config) + calibration.offset
    assert verdict.score == pytest.approx(1 / (1 + np.exp(-logit)), abs=1e-6)


def test_an_input_that_never_changes_gets_the_scale_one() -> None:
    (column,) = columns_of([np.full((3, 1), 7.0)], ["hub"])
    assert (column.mean, column.scale) == (7.0, 1.0)
    (unknown,) = columns_of([np.full((3, 1), np.nan)], ["followers"])
    assert (unknown.mean, unknown.scale) == (0.0, 1.0)
