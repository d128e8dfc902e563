"""Train, choose, calibrate and measure the `cascade_gcn` detector, and write its weights folder.

    python -m detectors.train_cascade_gcn --data FOLDER --out detectors/weights/cascade_gcn

FOLDER holds `twitter15/`. Everything is measured by cross-validation, since 1,490 cascades are too
few to lay some aside: each cascade is judged by a network that saw neither it nor, in the split
`apart`, any other of the same account or story. Settings are chosen on the validation part of the
training folds. The network that ships is trained the same way on all cascades but a validation
part, at several ages of each, and calibrated on the cross-validated logits. Same data, same
machine: same bytes. Cost: ten minutes of one core. scikit-learn is needed here only.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from detectors import cascade_baselines as baselines
from detectors.cascade_baselines import Ints
from detectors.cascade_gcn import (
    DECIMALS,
    DELAYS,
    FORMAT,
    PREPARATION,
    SHIPPED_WEIGHTS,
    Batch,
    CascadeGcn,
    CascadeGcnDetector,
    Column,
    Config,
    class_logits,
    columns_of,
    label_logit,
    n_inputs,
    raw_inputs,
    scale_inputs,
    write_config,
    write_weights,
)
from detectors.cascade_gcn_card import model_card
from detectors.cascades import Cascade, Floats, no_structure, seen_within
from detectors.checkpoints import (
    ALONE,
    CannotTrain,
    Course,
    Step,
    begin,
    end,
    read_checkpoint,
    write_checkpoint,
)
from detectors.datasets import twitter15
from detectors.datasets.labelled_cascades import LabelledCascade
from detectors.datasets.near_duplicates import near_duplicate_groups
from detectors.detector import Detector
from detectors.evaluation import Bools, brier, calibration_error, confusion, mcc, prevalence
from detectors.fusion import FittedPart, Fusion, fit_fusion, logits, write_fusion
from detectors.multiclass import (
    accuracy,
    confusion_matrix,
    macro_f1_of,
    measured,
    multiclass_mcc,
    scores_by_class,
)
from detectors.proximity import GraphInput, graph_input, side_by_side
from detectors.registry import load_detector
from detectors.train_tfidf import best_threshold, calibrated, fit_calibration
from detectors.trained import Calibration
from detectors.training import Task
from graph.features import FEATURES
from streams.records import Content, content_hash

#: How long after its root a cascade is looked at [seconds].
AGES: Mapping[str, float] = {
    "30m": 1800.0,
    "1h": 3600.0,
    "6h": 21600.0,
    "24h": 86400.0,
    "whole": math.inf,
}
WHOLE = "whole"

#: The inputs that are compared; the first is what the paper has, and what ships.
NINE = FEATURES
INPUTS: Mapping[str, tuple[str, ...]] = {
    "gcn": NINE,
    "gcn with replies": (*NINE, twitter15.REPLY),
    "gcn with replies and delays": (*NINE, twitter15.REPLY, *DELAYS),
}

#: What the networks are measured beside.
BASELINES = (
    "commonest class",
    "same account",
    "shape, logistic",
    "shape, forest",
    "size and pace, forest",
    "source text",
)
#: Of these what is compared at every age: what does not change with it, and what does.
AGELESS_BASELINES = ("commonest class", "source text")
EARLY_BASELINES = ("shape, forest", "size and pace, forest")


#: Cascades with a structure that a class needs at an age to be measured there.
MIN_PER_CLASS = 10


class TooEarly(ValueError):
    """An age at which too few cascades have a structure."""


#: The weights of the shipped detectors in one score, beside those of the network.
FUSION_FILE = "fusion.json"

LIKELY_FALSE = ("false",)
LIKELY_TRUE = ("true", "non-rumor")


class Settings(NamedTuple):
    """What is chosen on validation cascades, and what is not."""

    learning_rate: float = 3e-3
    weight_decay: float = 1e-4
    batch: int = 32
    patience: int = 6
    max_epochs: int = 80
    seed: int = 0


#: Tried one after the other, the one with the best mean validation MCC kept.
CANDIDATES = (Settings(learning_rate=1e-3), Settings(learning_rate=3e-3, weight_decay=1e-3))


class Example(NamedTuple):
    """A labelled cascade at each age, with the raw inputs of its nodes (all of INPUTS).

    graphs: (age, inputs) -> its graph with raw inputs, as far as somebody asked for it.
    """

    labelled: LabelledCascade
    at: Mapping[str, Cascade]
    raw: Mapping[str, Floats]
    reason: Mapping[str, str | None]
    graphs: dict[tuple[str, tuple[str, ...]], GraphInput]

    def graph(self, age: str, names: tuple[str, ...]) -> GraphInput:
        """The graph at an age. Scaling makes no nodes alike that were not, so what is alike is
        found once, for all folds."""
        found = self.graphs.get((age, names))
        if found is None:
            places = [ALL_NAMES.index(name) for name in names]
            raw = self.raw[age][:, places].round(DECIMALS)
            found = graph_input(raw, self.at[age].source, self.at[age].target)
            self.graphs[age, names] = found
        return found


class Fold(NamedTuple):
    """Indices of examples."""

    train: Ints
    validation: Ints
    test: Ints


class Fitted(NamedTuple):
    """A network with the columns it reads, and its validation loss."""

    network: CascadeGcn
    columns: tuple[Column, ...]
    epoch: int
    loss: float


ALL_NAMES = INPUTS["gcn with replies and delays"]


def read_examples(folder: Path, ages: Mapping[str, float] = AGES) -> list[Example]:
    """Every cascade at every age."""
    examples = []
    for labelled in twitter15.read(folder):
        at = {name: seen_within(labelled.cascade, seconds) for name, seconds in ages.items()}
        at[WHOLE] = labelled.cascade
        examples.append(
            Example(
                labelled,
                at,
                {name: raw_inputs(cascade, ALL_NAMES) for name, cascade in at.items()},
                {name: no_structure(cascade) for name, cascade in at.items()},
                {},
            )
        )
    return examples


# Splits


def labels_of(examples: Sequence[Example], classes: Sequence[str]) -> Ints:
    """The class number of each example, -1 for a class that is not among them. (n,)"""
    number = {name: i for i, name in enumerate(classes)}
    return np.array([number.get(e.labelled.label, -1) for e in examples], dtype=np.int64)


def groups_apart(examples: Sequence[Example]) -> Ints:
    """Numbers of groups: cascades of one account, or whose texts are near-duplicates, are in one;
    and so is what hangs together by such links. (n,)"""
    stories = near_duplicate_groups([e.labelled.text for e in examples])
    parent = list(range(len(examples)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = i = parent[parent[i]]
        return i

    first_of: dict[str, int] = {}
    for i, (example, story) in enumerate(zip(examples, stories, strict=True)):
        for key in (f"story {story}", f"account {example.labelled.author}"):
            other = first_of.setdefault(key, i)
            low, high = sorted((root(i), root(other)))
            parent[high] = low
    return np.array([root(i) for i in range(len(examples))], dtype=np.int64)


def folds(labels: Ints, groups: Ints, n_folds: int, seed: int = 0) -> list[Fold]:
    """Stratified folds that tear no group apart; a sixth of what is not tested is validation."""
    from sklearn.model_selection import StratifiedGroupKFold

    there = np.flatnonzero(labels >= 0)
    outer = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
    found = []
    for rest, test in outer.split(there, labels[there], groups[there]):
        inner = StratifiedGroupKFold(6, shuffle=True, random_state=seed + 1)
        own = there[rest]
        train, validation = next(iter(inner.split(own, labels[own], groups[own])))
        found.append(Fold(own[train], own[validation], there[test]))
    return found


# Training


def graphs_of(
    examples: Sequence[Example], ages: Sequence[str], columns: Sequence[Column]
) -> dict[tuple[int, str], GraphInput]:
    """Each cascade that has a structure, by (example, age), as the network reads it."""
    names = tuple(column.name for column in columns)
    graphs = {
        (i, age): example.graph(age, names)
        for i, example in enumerate(examples)
        for age in ages
        if example.reason[age] is None
    }
    return {
        key: graph._replace(features=scale_inputs(graph.features, columns))
        for key, graph in graphs.items()
    }


def fit(
    examples: Sequence[Example],
    labels: Ints,
    fold: Fold,
    names: Sequence[str],
    ages: Sequence[str],
    settings: Settings,
    course: Course = ALONE,
) -> tuple[Fitted, dict[tuple[int, str], GraphInput]]:
    """Adam on class-weighted cross-entropy; the epoch with the least validation loss is kept.

    Class weights: n / (classes * n of the class), so that every class weighs the same.
    Returns the network and the graphs of all examples at these ages in its columns. course: see
    `networks.training.train_network`.
    """
    places = [ALL_NAMES.index(name) for name in names]
    raw = [examples[i].raw[age][:, places] for i in fold.train for age in ages]
    columns = columns_of(raw, names)
    graphs = graphs_of(examples, ages, columns)
    train = [(i, age) for i in fold.train.tolist() for age in ages if (i, age) in graphs]
    validation = [(i, age) for i in fold.validation.tolist() for age in ages if (i, age) in graphs]

    n_classes = int(labels.max()) + 1
    counts = np.bincount(labels[[i for i, _ in train]], minlength=n_classes)
    weight = torch.tensor(len(train) / (n_classes * np.maximum(counts, 1)), dtype=torch.float32)
    torch.manual_seed(settings.seed)
    random = np.random.default_rng(settings.seed)
    network = CascadeGcn(n_inputs(columns), n_classes)
    optimiser = torch.optim.Adam(
        network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    best: dict[str, torch.Tensor] = {}
    best_epoch, best_loss, losses = -1, math.inf, list[float]()
    path, is_over = course.path(), False
    about = f"{course.about}, {course.name}"
    if course.resume and path is not None and path.is_file():
        state, best = read_checkpoint(path, network.state_dict(), optimiser, about)
        best_epoch, losses, is_over = state["best"], state["losses"], state["is_over"]
        best_loss = losses[best_epoch]
        random.bit_generator.state = state["random"]
    for epoch in range(len(losses), 0 if is_over else settings.max_epochs):
        network.train()
        order = random.permutation(len(train))
        starts = range(0, len(order), settings.batch)
        total = 0.0
        for step, first in enumerate(starts, 1):
            chosen = [train[k] for k in order[first : first + settings.batch]]
            out = network(Batch.of(side_by_side([graphs[key] for key in chosen])))
            wanted = torch.tensor([int(labels[i]) for i, _ in chosen])
            loss = F.cross_entropy(out, wanted, weight=weight)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            total += loss.item()
            course.watch(
                Step(
                    course.name,
                    epoch + 1,
                    settings.max_epochs,
                    epoch * len(starts) + step,
                    settings.max_epochs * len(starts),
                    total / step,
                    losses[-1] if losses else None,
                )
            )
        found = class_logits(network, [graphs[key] for key in validation])
        wanted = torch.tensor([int(labels[i]) for i, _ in validation])
        current = float(F.cross_entropy(torch.from_numpy(found).float(), wanted, weight=weight))
        losses.append(current)
        if current < best_loss:
            best_epoch, best_loss = epoch, current
            best = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        is_over = epoch - best_epoch >= settings.patience
        if path is not None:
            state = {
                "best": best_epoch,
                "losses": losses,
                "is_over": is_over,
                "random": random.bit_generator.state,
            }
            write_checkpoint(path, network.state_dict(), best, optimiser, state, about)
        if is_over:
            break
    network.load_state_dict(best)
    return Fitted(network.eval(), columns, best_epoch, best_loss), graphs


class CrossValidated(NamedTuple):
    """logits: age -> (n, classes), NaN where a cascade has no structure or no class here.
    validation_mcc: the mean over folds, at the ages of training."""

    logits: dict[str, Floats]
    validation_mcc: float


def cross_validate(
    examples: Sequence[Example],
    labels: Ints,
    splits: Sequence[Fold],
    names: Sequence[str],
    train_ages: Sequence[str],
    test_ages: Sequence[str],
    settings: Settings,
    course: Course = ALONE,
) -> CrossValidated:
    """Logits of every cascade by a network that did not see its fold."""
    n_classes = int(labels.max()) + 1
    found = {age: np.full((len(examples), n_classes), np.nan) for age in test_ages}
    of_folds = []
    for number, fold in enumerate(splits, 1):
        of_fold = course.of(f"fold {number}")
        fitted, graphs = fit(examples, labels, fold, names, train_ages, settings, of_fold)
        keys = [(i, age) for i in fold.validation.tolist() for age in train_ages]
        keys = [key for key in keys if key in graphs]
        predicted = class_logits(fitted.network, [graphs[key] for key in keys]).argmax(axis=1)
        of_folds.append(
            multiclass_mcc(confusion_matrix(labels[[i for i, _ in keys]], predicted, n_classes))
        )
        others = [age for age in test_ages if age not in train_ages]
        graphs |= graphs_of(examples, others, fitted.columns)
        for age in test_ages:
            rows = [i for i in fold.test.tolist() if (i, age) in graphs]
            found[age][rows] = class_logits(fitted.network, [graphs[i, age] for i in rows])
    return CrossValidated(found, float(np.mean(of_folds)))


# Measuring


def measures(
    labels: Ints, scores: Floats, classes: Sequence[str], groups: Ints | None = None
) -> dict[str, Any]:
    """What the card says about predictions: scores (n, classes), rows of NaN are left out."""
    there = np.isfinite(scores).all(axis=1) & (labels >= 0)
    own, predicted = labels[there], scores[there].argmax(axis=1).astype(np.int64)
    drawn = None if groups is None else groups[there]
    matrix = confusion_matrix(own, predicted, len(classes))
    by_mcc = measured(multiclass_mcc, own, predicted, len(classes), drawn)
    by_accuracy = measured(accuracy, own, predicted, len(classes), drawn)
    return {
        "n": len(own),
        "mcc": round(by_mcc.value, 4),
        "mcc_interval": [round(by_mcc.low, 4), round(by_mcc.high, 4)],
        "accuracy": round(by_accuracy.value, 4),
        "accuracy_interval": [round(by_accuracy.low, 4), round(by_accuracy.high, 4)],
        "macro_f1": round(macro_f1_of(matrix), 4),
        "by_class": {
            name: {key: round(value, 4) for key, value in found._asdict().items()}
            for name, found in zip(classes, scores_by_class(matrix), strict=True)
        },
        "confusion": matrix.tolist(),
    }


def baseline_scores(
    examples: Sequence[Example],
    labels: Ints,
    splits: Sequence[Fold],
    age: str,
    names: Sequence[str] = BASELINES,
) -> dict[str, Floats]:
    """Cross-validated probabilities of the named baselines; they learn from training and
    validation."""
    shape = np.array([baselines.shape_features(e.at[age]) for e in examples])
    pace = np.array([baselines.pace_features(e.at[age]) for e in examples])
    texts = [e.labelled.text for e in examples]
    authors = [e.labelled.author for e in examples]
    ways: dict[str, Callable[[Ints], Floats]] = {
        "commonest class": lambda train: baselines.commonest_class(labels, train),
        "same account": lambda train: baselines.same_account(authors, labels, train),
        "shape, logistic": lambda train: baselines.logistic_regression(shape, labels, train),
        "shape, forest": lambda train: baselines.random_forest(shape, labels, train),
        "size and pace, forest": lambda train: baselines.random_forest(pace, labels, train),
        "source text": lambda train: baselines.source_text(texts, labels, train),
    }
    found = {name: np.full((len(examples), int(labels.max()) + 1), np.nan) for name in names}
    for fold in splits:
        train = np.concatenate([fold.train, fold.validation])
        for name in names:
            found[name][fold.test] = ways[name](train)[fold.test]
    return found


def label_positives(examples: Sequence[Example]) -> tuple[Bools, Bools]:
    """Whether each example is likely_false, and whether it has one of the two labels at all."""
    labels = [e.labelled.label for e in examples]
    positive = np.array([label in LIKELY_FALSE for label in labels], dtype=np.bool_)
    labelled = np.array([label in LIKELY_FALSE + LIKELY_TRUE for label in labels], dtype=np.bool_)
    return positive, labelled


def false_logits(found: Floats, config: Config) -> Floats:
    """`label_logit` of each row that is there, NaN for the others. (n,)"""
    return np.array(
        [label_logit(row, config) if np.isfinite(row).all() else np.nan for row in found]
    )


def score_measures(positive: Bools, scores: Floats, threshold: float) -> dict[str, Any]:
    """What the card says about scores of likely_false."""
    flagged = scores >= threshold
    counts = confusion(positive, flagged)
    return {
        "n": len(positive),
        "prevalence": round(prevalence(positive), 4),
        "mcc": round(mcc(counts), 4),
        "counts": counts._asdict(),
        "brier": round(brier(positive, scores), 4),
        "brier_of_prevalence": round(prevalence(positive) * (1 - prevalence(positive)), 4),
        "calibration_error": round(calibration_error(positive, scores), 4),
    }


def fusion_measures(
    positive: Bools, text: Floats, structure: Floats, splits: Sequence[Fold]
) -> dict[str, Any]:
    """Text, structure and their fusion on the same roots; the fusion learns on the other folds.

    positive, text, structure: (n,); NaN where a root has no label, no text or no structure.
    """
    parts = (FittedPart("text", "text", "0"), FittedPart("structure", "cascade_gcn", "0"))
    scores = np.stack([text, structure], axis=1)
    there = np.isfinite(text) & np.isfinite(structure)
    fused = np.full(len(text), np.nan)
    weights = []
    for fold in splits:
        rest = np.concatenate([fold.train, fold.validation])
        own, other = rest[there[rest]], fold.test[there[fold.test]]
        fusion = fit_fusion(parts, scores[own], positive[own], "")
        both = next(found for found in fusion.sets if len(found.parts) == len(parts))
        weights.append(both.weights)
        z = both.intercept + logits(scores[other]) @ np.array(both.weights)
        fused[other] = 1 / (1 + np.exp(-z))
    found = {"text": text[there], "structure": structure[there], "both": fused[there]}
    return {
        "weights": np.mean(weights, axis=0).round(4).tolist(),
        **{name: score_measures(positive[there], s, 0.5) for name, s in found.items()},
    }


def judged_texts(examples: Sequence[Example], reader: Detector) -> Floats:
    """What a shipped detector of texts says about each source text, NaN if it abstains. (n,)"""
    contents = [
        Content(
            platform="x",
            root_id=e.labelled.cascade.root_id,
            text=e.labelled.text,
            lang="en",
            input_hash=content_hash(e.labelled.text, "en"),
        )
        for e in examples
    ]
    found = [verdict.score for verdict in reader.score(contents)]
    return np.array([np.nan if score is None else score for score in found])


def fuse_shipped(
    examples: Sequence[Example],
    readers: Mapping[str, str],
    structure: CascadeGcnDetector,
    scores: Mapping[str, Floats],
    splits: Sequence[Fold],
    fitted_on: str,
) -> tuple[Fusion, dict[str, Any]]:
    """The weights of the shipped detectors, on roots that none was trained on, and what the card
    says about them.

    readers: part -> name of a detector of texts. scores: age -> (n,), structure as judged by
    networks of other folds; each age is a root of its own.
    """
    positive, labelled = label_positives(examples)
    loaded = {part: load_detector(name) for part, name in readers.items()}
    read = {part: judged_texts(examples, reader) for part, reader in loaded.items()}
    parts = [FittedPart(part, reader.name, reader.version) for part, reader in loaded.items()]
    parts.append(FittedPart("structure", structure.name, structure.version))
    rows = np.concatenate(
        [np.stack([*read.values(), own], axis=1)[labelled] for own in scores.values()]
    )
    fusion = fit_fusion(parts, rows, np.tile(positive[labelled], len(scores)), fitted_on)
    sets = [
        {
            "parts": list(own.parts),
            "intercept": own.intercept,
            "weights": list(own.weights),
            "n": own.n,
        }
        for own in fusion.sets
    ]
    pairs = {tuple(own.parts) for own in fusion.sets}
    structure_scores = np.where(labelled, scores[WHOLE], np.nan)
    measured = {
        part: fusion_measures(positive, np.where(labelled, own, np.nan), structure_scores, splits)
        for part, own in read.items()
        if (part, "structure") in pairs  # not where the reader abstains from nearly all
    }
    detectors = {part.name: part.detector for part in parts}
    return fusion, {
        "version": fusion.version,
        "detectors": detectors,
        "sets": sets,
        "measured": measured,
    }


# All of it


class Plan(NamedTuple):
    """How much is done: less in tests."""

    candidates: Sequence[Settings] = CANDIDATES
    ages: Mapping[str, float] = AGES
    n_folds: int = 3
    classes: tuple[str, ...] = twitter15.CLASSES
    readers: Mapping[str, str] = {"text": "bert", "words": "tfidf"}


WHOLE_PLAN = Plan()


def train(
    folder: Path,
    out: Path,
    trained_on: str,
    say: Callable[[str], None],
    plan: Plan = WHOLE_PLAN,
    course: Course = ALONE,
) -> dict[str, Any]:
    """Train, choose, calibrate, measure; write weights, metrics and card. Returns the metrics."""
    torch.set_num_threads(1)
    examples = read_examples(folder, plan.ages)
    labels = labels_of(examples, plan.classes)
    apart = groups_apart(examples)
    each = np.arange(len(examples))
    splits = {
        "random": folds(labels, each, plan.n_folds),
        "apart": folds(labels, apart, plan.n_folds),
    }
    ages = tuple(plan.ages)
    say(f"{len(examples)} cascades in {len(set(apart.tolist()))} groups")

    tried, by_candidate = [], []
    for number, candidate in enumerate(plan.candidates, 1):
        found = cross_validate(
            examples,
            labels,
            splits["apart"],
            NINE,
            [WHOLE],
            ages,
            candidate,
            course.of(f"settings {number}"),
        )
        tried.append({**candidate._asdict(), "validation_mcc": round(found.validation_mcc, 4)})
        by_candidate.append(found.logits)
        say(f"{candidate} -> mean validation MCC {found.validation_mcc:.4f}")
    chosen = int(np.argmax([t["validation_mcc"] for t in tried]))
    settings, whole = plan.candidates[chosen], by_candidate[chosen]

    done = {"apart": {"gcn": whole[WHOLE]}}
    of_four, of_two = course.of("four classes"), course.of("two classes")
    four = _compare(
        examples, labels, splits, plan.classes, settings, INPUTS, apart, say, done, of_four
    )
    two_classes = ("true", "false")
    two = labels_of(examples, two_classes)
    two_splits = {
        "random": folds(two, each, plan.n_folds),
        "apart": folds(two, apart, plan.n_folds),
    }
    binary = _compare(
        examples, two, two_splits, two_classes, settings, {"gcn": NINE}, apart, say, course=of_two
    )
    early, by_network = quality_by_age(
        examples,
        labels,
        splits["apart"],
        plan.classes,
        ages,
        settings,
        apart,
        say,
        {"gcn": NINE},
        {"gcn trained on whole cascades": whole},
        course.of("by age"),
    )
    mixed = by_network["gcn"]

    final = folds(labels, apart, plan.n_folds, seed=7)[0]
    everything = Fold(np.concatenate([final.train, final.test]), final.validation, final.test[:0])
    fitted, _ = fit(examples, labels, everything, NINE, ages, settings, course.of("shipped"))
    say(f"shipped: epoch {fitted.epoch}, validation loss {fitted.loss:.4f}")

    unfinished = Config(
        format=FORMAT,
        preparation=PREPARATION,
        classes=plan.classes,
        likely_false=LIKELY_FALSE,
        likely_true=LIKELY_TRUE,
        columns=fitted.columns,
        threshold=0.5,
        calibration=Calibration(slope=1.0, offset=0.0),
        weights_sha256=write_weights(out, fitted.network, plan.classes),
        trained_on=trained_on,
    )
    positive, labelled = label_positives(examples)
    raw = {age: false_logits(mixed[age], unfinished) for age in ages}
    pooled_logits = np.concatenate([raw[age][labelled] for age in ages])
    pooled_positive = np.concatenate([positive[labelled] for _ in ages])
    known = np.isfinite(pooled_logits)
    calibration = fit_calibration(pooled_positive[known], pooled_logits[known])
    threshold = best_threshold(
        pooled_positive[known], calibrated(pooled_logits[known], calibration)
    )
    write_config(out, _finished(unfinished, calibration, threshold))
    detector = CascadeGcnDetector(out)

    scores = {age: calibrated(raw[age], calibration) for age in ages}
    by_age = {}
    for age in ages:
        rows = labelled & np.isfinite(scores[age])
        by_age[age] = score_measures(positive[rows], scores[age][rows], threshold)
        open_ones = ~labelled & np.isfinite(scores[age])
        by_age[age]["unverified_flagged"] = round(
            float(np.mean(scores[age][open_ones] >= threshold)), 4
        )
    fusion, about_fusion = fuse_shipped(
        examples,
        plan.readers,
        detector,
        scores,
        splits["apart"],
        f"Twitter15 on {trained_on}, {', '.join(ages)}",
    )
    write_fusion(out / FUSION_FILE, fusion)
    text = baseline_scores(examples, labels, splits["apart"], WHOLE, ["source text"])["source text"]
    text_logits = false_logits(np.log(text), unfinished)
    metrics: dict[str, Any] = {
        "version": detector.version,
        "trained_on": trained_on,
        "settings": settings._asdict(),
        "tried": tried,
        "n_folds": plan.n_folds,
        "data": _about(examples, labels, plan.classes, ages, apart),
        "four_class": four,
        "true_against_false": binary,
        "early": early,
        "calibration": {"slope": calibration.slope, "offset": calibration.offset},
        "threshold": threshold,
        "scores": by_age,
        "fusion": fusion_measures(
            positive,
            np.where(labelled, 1 / (1 + np.exp(-text_logits)), np.nan),
            np.where(labelled, scores[WHOLE], np.nan),
            splits["apart"],
        ),
        "fusion_file": about_fusion,
        "shipped": {"epoch": fitted.epoch, "validation_loss": round(fitted.loss, 4)},
    }
    (out / "metrics.json").write_text(json.dumps(metrics, indent=1) + "\n")
    (out / "README.md").write_text(model_card(metrics))
    return metrics


def _finished(config: Config, calibration: Calibration, threshold: float) -> Config:
    import msgspec

    return msgspec.structs.replace(config, calibration=calibration, threshold=threshold)


def _compare(
    examples: Sequence[Example],
    labels: Ints,
    splits: Mapping[str, Sequence[Fold]],
    classes: Sequence[str],
    settings: Settings,
    inputs: Mapping[str, tuple[str, ...]],
    groups: Ints,
    say: Callable[[str], None],
    known: Mapping[str, Mapping[str, Floats]] = {},
    course: Course = ALONE,
) -> dict[str, dict[str, Any]]:
    """Every baseline and network on whole cascades, by split.

    known: split -> name -> logits of networks that are there already.
    """
    found: dict[str, dict[str, Any]] = {}
    for split, own in splits.items():
        rows = baseline_scores(examples, labels, own, WHOLE)
        for name, columns in inputs.items():
            if name in known.get(split, {}):
                rows[name] = known[split][name]
                continue
            of_row = course.of(split).of(name)
            rows[name] = cross_validate(
                examples, labels, own, columns, [WHOLE], [WHOLE], settings, of_row
            ).logits[WHOLE]
        drawn = groups if split == "apart" else None
        found[split] = {name: measures(labels, s, classes, drawn) for name, s in rows.items()}
        for name, one in found[split].items():
            say(f"{split}, {name}: MCC {one['mcc']:.3f}, accuracy {one['accuracy']:.3f}")
    return found


def quality_by_age(
    examples: Sequence[Example],
    labels: Ints,
    splits: Sequence[Fold],
    classes: Sequence[str],
    ages: Sequence[str],
    settings: Settings,
    groups: Ints,
    say: Callable[[str], None],
    networks: Mapping[str, tuple[str, ...]],
    known: Mapping[str, Mapping[str, Floats]] = {},
    course: Course = ALONE,
) -> tuple[dict[str, Any], dict[str, dict[str, Floats]]]:
    """How good networks and baselines are on what is seen that long after the root.

    networks: name -> inputs; they learn at all these ages at once, baselines at the age in
    question. known: name -> age -> logits of other networks, measured beside them. Cascades that
    are stars by then are left out for all.
    Returns: what the card says by age, and the cross-validated logits, network -> age -> (n,
    classes).
    """
    logits_of = {
        name: cross_validate(
            examples, labels, splits, inputs, ages, ages, settings, course.of(name)
        ).logits
        for name, inputs in networks.items()
    }
    found: dict[str, Any] = {}
    without_age = baseline_scores(examples, labels, splits, WHOLE, AGELESS_BASELINES)
    for age in ages:
        scored = np.array([e.reason[age] is None for e in examples])
        rows = without_age | baseline_scores(examples, labels, splits, age, EARLY_BASELINES)
        rows = {name: np.where(scored[:, None], own, np.nan) for name, own in rows.items()}
        rows |= {name: by_age[age] for name, by_age in (*known.items(), *logits_of.items())}
        reasons = [e.reason[age] for e in examples]
        found[age] = {
            "median_size": float(np.median([e.at[age].n_nodes for e in examples])),
            "abstained": {r: reasons.count(r) for r in ("no_shares", "star")},
            "rows": {name: measures(labels, s, classes, groups) for name, s in rows.items()},
        }
        for name, one in found[age]["rows"].items():
            say(f"{age}, {name}: n {one['n']}, MCC {one['mcc']:.3f}")
    return found, logits_of


def measure_early(
    folder: Path,
    ages: Mapping[str, float],
    say: Callable[[str], None],
    *,
    time_aware: bool = False,
    n_folds: int = 5,
    settings: Settings | None = None,
) -> dict[str, Any]:
    """Quality as a function of how long after the root one looks, cross-validated anew: by age,
    what `quality_by_age` gives in the split `apart`.

    ages: name -> seconds after the root. time_aware: also a network that reads replies and delays.
    settings: those of the shipped network unless given. Cost: 4 minutes of one core for four ages.
    Raises: FileNotFoundError without the data, TooEarly.
    """
    torch.set_num_threads(1)
    examples = read_examples(folder, ages)
    labels, groups = labels_of(examples, twitter15.CLASSES), groups_apart(examples)
    for age in ages:
        there = labels[[e.reason[age] is None for e in examples]]
        least = int(np.bincount(there, minlength=len(twitter15.CLASSES)).min())
        if least < MIN_PER_CLASS:
            raise TooEarly(
                f"within {age} only {least} cascades of a class have a structure, {MIN_PER_CLASS} "
                "are needed: look later"
            )
    names = ["gcn", "gcn with replies and delays"][: 1 + time_aware]
    found, _ = quality_by_age(
        examples,
        labels,
        folds(labels, groups, n_folds),
        twitter15.CLASSES,
        tuple(ages),
        settings or shipped_settings(),
        groups,
        say,
        {name: INPUTS[name] for name in names},
    )
    return found


def shipped_settings(folder: Path = SHIPPED_WEIGHTS) -> Settings:
    """What was chosen for the network of a weights folder. Raises: FileNotFoundError."""
    return Settings(**json.loads((folder / "metrics.json").read_text())["settings"])


def _about(
    examples: Sequence[Example],
    labels: Ints,
    classes: Sequence[str],
    ages: Sequence[str],
    groups: Ints,
) -> dict[str, Any]:
    cascades = [e.at[WHOLE] for e in examples]
    return {
        "n": len(examples),
        "n_nodes": sum(c.n_nodes for c in cascades),
        "n_edges": sum(len(c.source) for c in cascades),
        "n_back_in_time": sum(
            int((c.delay_seconds[c.target] < c.delay_seconds[c.source]).sum()) for c in cascades
        ),
        "n_groups": len(set(groups.tolist())),
        "largest_group": int(np.bincount(groups).max()),
        "n_accounts": len({e.labelled.author for e in examples}),
        "by_class": {
            name: {
                "n": int((labels == i).sum()),
                "median_size": float(
                    np.median(
                        [c.n_nodes for c, own in zip(cascades, labels, strict=True) if own == i]
                    )
                ),
            }
            for i, name in enumerate(classes)
        },
    }


def train_folder(task: Task) -> dict[str, Any]:
    """Trains on Twitter15 as what ships was; see `training.run`. Ten minutes of one core."""
    edges, sources = (task.data / twitter15.NAME / f"{n}.csv.xz" for n in ("edges", "sources"))
    if not edges.is_file():
        raise CannotTrain(
            f"{task.data} holds no {twitter15.NAME}/edges.csv.xz: give the folder that holds "
            f"{twitter15.NAME}/"
        )
    if task.changes:
        raise CannotTrain("cascade_gcn chooses its settings itself: leave --set out")
    digest = sha256(edges.read_bytes() + sources.read_bytes()).hexdigest()
    course = begin(task.out, task.resume, f"cascade_gcn {digest}", task.watch)
    said = train(task.data, task.out, task.trained_on, task.say, course=course)
    end(course)
    return said


def main() -> None:
    """The command line of the module's docstring."""
    parser = argparse.ArgumentParser(description="Train the cascade_gcn detector.")
    parser.add_argument("--data", type=Path, required=True, help="folder that holds twitter15/")
    parser.add_argument("--out", type=Path, required=True, help="weights folder to write")
    parser.add_argument("--date", default=date.today().isoformat(), help="stated as trained_on")
    given = parser.parse_args()
    train(given.data, given.out, given.date, lambda line: print(line, flush=True))


if __name__ == "__main__":
    main()
