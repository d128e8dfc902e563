"""Training: what every trained detector shares, and which function trains which detector.

TRAINERS    name -> "module:function" that takes a Task; add one line per detector
learn       the loop: warm-up and decay, early stopping on validation loss, a checkpoint after
            each epoch from which it goes on with the same numbers as if it had not been stopped
calibrate   on validation texts: Platt's, or isotonic regression behind it
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

import msgspec
import numpy as np

from detectors.checkpoints import (
    CannotTrain,
    Step,
    Watch,
    read_checkpoint,
    unwatched,
    write_checkpoint,
)
from detectors.datasets.labelled import LabelledPost
from detectors.evaluation import Bools, Floats
from detectors.labels import LABELS, POSITIVE_CLASS
from detectors.trained import Calibration

if TYPE_CHECKING:
    from torch import Tensor

CHECKPOINT = "checkpoint.safetensors"
CALIBRATIONS = ("platt", "isotonic")
#: With fewer validation posts isotonic regression is worse than Platt scaling.
#: Source: Niculescu-Mizil, Caruana, "Predicting good probabilities", ICML 2005, section 5.
MIN_ISOTONIC = 1000
#: Share of the steps in which the learning rate rises.
WARM_UP = 0.06


class Task(NamedTuple):
    """What is asked of a trainer.

    posts: with their splits; `train` may hold variants that balance the classes. data: where they
    come from, for trainers that read a folder. small: settings for a CPU instead of the paper's.
    changes: settings by name, as `--set` says them. calibration: one of CALIBRATIONS. abstain: the
    two scores between which the detector has no opinion, or (). watch: is told of each step, where
    `say` gets a line of each epoch.
    """

    posts: Sequence[LabelledPost]
    data: Path
    out: Path
    encoder: str
    say: Callable[[str], None]
    small: bool = False
    changes: Mapping[str, str] = {}
    seed: int = 0
    resume: bool = False
    languages: tuple[str, ...] = ("en",)
    trained_on: str = ""
    calibration: str = "platt"
    abstain: tuple[float, ...] = ()
    watch: Watch = unwatched

    def digest(self) -> str:
        """Of what trainings read of the posts, in order: a checkpoint is of these alone."""
        read = [
            [
                *(post.text, post.label, post.split, post.lang, str(post.posted_at)),
                *(post.image_ids, [image.name for image in post.images]),
                sorted(post.attributes.items()),
            ]
            for post in self.posts
        ]
        return blake2b(json.dumps(read).encode(), digest_size=16).hexdigest()

    def part(self, split: str) -> list[LabelledPost]:
        """The posts of a split. Raises: CannotTrain for an empty one, or one with one class."""
        own = [post for post in self.posts if post.split == split]
        labels = {post.label for post in own}
        if len(labels) < 2:
            there = f"only {min(labels)!r}" if labels else "no post"
            raise CannotTrain(
                f"the {split} split has {there}: it needs posts of two classes at least"
            )
        return own


class Trainer(NamedTuple):
    """reads: a file of labelled posts, or the folder of a public set. function: "module:name" of
    what takes a Task, writes its folder, and returns what there is to say about the training.
    calibrates: whether it calibrates as a task asks for (`calibrate`)."""

    reads: Literal["posts", "folder"]
    function: str
    calibrates: bool = False


TRAINERS: dict[str, Trainer] = {
    "att_xdsf": Trainer("posts", "detectors.train_networks:train_att_xdsf_posts"),
    "bert": Trainer("posts", "detectors.train_bert:train_posts", calibrates=True),
    "cascade_gcn": Trainer("folder", "detectors.train_cascade_gcn:train_folder"),
    "tfidf": Trainer("posts", "detectors.train_tfidf:train_posts", calibrates=True),
    "three_branch": Trainer("posts", "detectors.train_networks:train_three_branch_posts"),
    "tweet_metadata": Trainer(
        "posts", "detectors.train_tweet_metadata:train_posts", calibrates=True
    ),
}


def trainer_of(name: str) -> Trainer:
    """The trainer of a detector. Raises: CannotTrain."""
    if name not in TRAINERS:
        raise CannotTrain(
            f"no detector called {name!r} can be trained; there are: {', '.join(sorted(TRAINERS))}"
        )
    return TRAINERS[name]


def run(name: str, task: Task) -> dict[str, Any]:
    """Trains a detector; what its trainer says about it. Raises: CannotTrain."""
    trainer = trainer_of(name)
    if not trainer.calibrates and (task.calibration != "platt" or task.abstain):
        able = ", ".join(sorted(other for other, one in TRAINERS.items() if one.calibrates))
        raise CannotTrain(f"{name} takes no --calibration and no --abstain; {able} do")
    module, _, attribute = trainer.function.partition(":")
    train: Callable[[Task], dict[str, Any]] = getattr(import_module(module), attribute)
    said = train(task)
    (task.out / CHECKPOINT).unlink(missing_ok=True)
    return said


S = TypeVar("S", bound=NamedTuple)


def changed(settings: S, changes: Mapping[str, str]) -> S:
    """The settings (a NamedTuple) with some changed, each in the type of what it replaces; lists
    with commas. Raises: CannotTrain.

    >>> class Some(NamedTuple):
    ...     epochs: int = 3
    ...     widths: tuple[int, ...] = (3, 4)
    >>> changed(Some(), {"widths": "2,5"})
    Some(epochs=3, widths=(2, 5))
    """
    for name, written in changes.items():
        usual = getattr(settings, name, None) if name in settings._fields else None
        if usual is None:
            raise CannotTrain(
                f"there is no setting {name!r}; there are {', '.join(settings._fields)}"
            )
        try:
            if isinstance(usual, bool):
                value: object = {"true": True, "false": False}[written.lower()]
            elif isinstance(usual, tuple):
                kind = type(usual[0]) if usual else str
                value = tuple(kind(part.strip()) for part in written.split(",") if part.strip())
            else:
                value = type(usual)(written)
        except (ValueError, KeyError):
            raise CannotTrain(
                f"setting {name} is {usual!r} by default, {written!r} is of another kind"
            ) from None
        settings = settings._replace(**{name: value})
    return settings


def positive_of(posts: Sequence[LabelledPost]) -> Bools:
    """Which posts are labelled likely_false, (n,). Raises: CannotTrain for other labels."""
    other = sorted({post.label for post in posts} - set(LABELS))
    if other:
        raise CannotTrain(
            f"label {other[0]!r} is neither of {' and '.join(LABELS)}: say what it is with "
            f"--labels {other[0]}={POSITIVE_CLASS},..."
        )
    return np.array([post.label == POSITIVE_CLASS for post in posts], dtype=np.bool_)


class Learnt(NamedTuple):
    """epoch: the one that was kept, from 1. losses, validation: of each epoch that was run."""

    epoch: int
    losses: tuple[float, ...]
    validation: tuple[float, ...]


def learn(
    kept: Mapping[str, Tensor],
    groups: Sequence[tuple[Sequence[Tensor], float]],
    batches: Callable[[], list[list[int]]],
    loss_of: Callable[[list[int]], Tensor],
    *,
    epochs: int,
    shuffler: random.Random,
    say: Callable[[str], None],
    validate: Callable[[], float] | None = None,
    patience: int = 0,
    folder: Path | None = None,
    resume: bool = False,
    about: str = "",
    watch: Watch = unwatched,
) -> Learnt:
    """AdamW with linear warm-up and decay to zero over all epochs.

    kept: every tensor of the model by name, buffers included, as they are changed in place.
    groups: parameters with their highest learning rate. batches: the batches of an epoch, drawn
    with `shuffler`. validate: the validation loss; the epoch with the least is kept, and the loop
    ends after `patience` epochs without a lesser one (0: never).
    folder: where a checkpoint is written after each epoch, and stays until the weights are written
    (`run`); resume: goes on from it, with the same bits as without the stop. about: what the model
    and the data are; a checkpoint of something else is refused. Raises: CannotTrain.
    """
    import torch

    optimiser = torch.optim.AdamW(
        [{"params": list(tensors), "lr": rate} for tensors, rate in groups], weight_decay=0.01
    )
    path = None if folder is None else folder / CHECKPOINT
    state: dict[str, Any] = {"losses": [], "validation": [], "best": 0, "stopped": False}
    best: dict[str, Tensor] = {}
    if resume:
        if path is None or not path.is_file():
            raise CannotTrain(f"there is nothing to resume in {folder}: leave --resume out")
        state, best = read_checkpoint(path, kept, optimiser, about)
        version, drawn_so_far, gauss = state["random"]
        shuffler.setstate((version, tuple(drawn_so_far), gauss))
        say(f"  resumed after epoch {len(state['losses'])} of {epochs}")
    n_steps = 0
    for epoch in range(len(state["losses"]), epochs):
        if state["stopped"]:
            break
        drawn = batches()
        n_steps = len(drawn) * epochs
        losses = []
        for step, batch in enumerate(drawn, epoch * len(drawn)):
            share = min(
                (step + 1) / (WARM_UP * n_steps), (n_steps - step) / ((1 - WARM_UP) * n_steps)
            )
            for group, (_, rate) in zip(optimiser.param_groups, groups, strict=True):
                group["lr"] = rate * share
            loss = loss_of(batch)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            losses.append(loss.item())
            last = state["validation"][-1] if state["validation"] else None
            mean = sum(losses) / len(losses)
            watch(Step("", epoch + 1, epochs, step + 1, n_steps, mean, last))
        state["losses"].append(float(np.mean(losses)))
        line = f"  epoch {epoch + 1} of {epochs}: loss {state['losses'][-1]:.4f}"
        if validate is not None:
            state["validation"].append(validate())
            line += f", validation {state['validation'][-1]:.4f}"
            if state["validation"][-1] == min(state["validation"]):
                state["best"] = epoch
                best = {name: tensor.detach().clone() for name, tensor in kept.items()}
            state["stopped"] = 0 < patience <= epoch - state["best"]
        if not math.isfinite(state["losses"][-1]):
            raise CannotTrain("the loss is not finite: choose a lower learning rate")
        say(line)
        if path is not None:
            state["random"] = shuffler.getstate()
            write_checkpoint(path, kept, best, optimiser, state, about)
    with torch.no_grad():
        for name, tensor in best.items():
            kept[name].copy_(tensor)
    best_epoch = state["best"] if validate is not None else len(state["losses"]) - 1
    return Learnt(best_epoch + 1, tuple(state["losses"]), tuple(state["validation"]))


def platt(positive: Bools, logits: Floats) -> Calibration:
    """Platt scaling with his own targets, (n + 1) / (n + 2) and 1 / (n + 2), which keep the slope
    finite also where few validation texts are told apart without a mistake.

    Source: Platt, "Probabilistic outputs for support vector machines", 1999.
    Raises: CannotTrain where greater logits do not mean likely_false more often.

    >>> platt(np.array([False, False, True, True]), np.array([-2.0, -1.0, 1.0, 2.0])).slope > 0
    True
    """
    from sklearn.linear_model import LogisticRegression

    n_positive, n = int(positive.sum()), len(positive)
    high, low = (n_positive + 1) / (n_positive + 2), 1 / (n - n_positive + 2)
    targets = np.where(positive, high, low)
    twice = np.concatenate([logits, logits]).reshape(-1, 1)
    labels = np.arange(2 * n) < n
    weights = np.concatenate([targets, 1 - targets])
    fitted = LogisticRegression(C=np.inf, max_iter=1000).fit(twice, labels, sample_weight=weights)
    slope = round(float(fitted.coef_[0, 0]), 6)
    if slope <= 0:
        raise CannotTrain(
            "it learnt nothing that holds on the validation split: give more posts or epochs, or "
            "look whether the labels mean what they say"
        )
    return Calibration(slope=slope, offset=round(float(fitted.intercept_[0]), 6))


def calibrate(positive: Bools, logits: Floats, task: Task) -> Calibration:
    """What a task asks for, fitted on validation posts: Platt scaling, or isotonic regression of
    its scores. With fewer than MIN_ISOTONIC posts it stays at Platt's, and says so.
    Raises: CannotTrain."""
    found = platt(positive, logits)
    if task.calibration == "isotonic":
        if len(positive) < MIN_ISOTONIC:
            task.say(
                f"isotonic calibration wants {MIN_ISOTONIC:,} validation posts, there are "
                f"{len(positive):,}: Platt scaling is used"
            )
        else:
            scores = 1 / (1 + np.exp(-(found.slope * logits + found.offset)))
            found = msgspec.structs.replace(found, knots=isotonic(positive, scores))
    if task.abstain:
        found = msgspec.structs.replace(found, abstain=task.abstain)
    return found


def isotonic(positive: Bools, scores: Floats) -> tuple[tuple[float, float], ...]:
    """Knots of a rising line from scores to the share that is positive: where isotonic regression
    gives a stretch of scores one value, its middle has that value.

    Values stay within 1 / (n + 2) and (n + 1) / (n + 2) of a stretch of n posts: none of n is not
    never. Source: Barlow et al., Statistical Inference under Order Restrictions, 1972 (pool
    adjacent violators).

    >>> isotonic(np.array([0, 1, 0, 1, 1], dtype=bool), np.array([0.1, 0.3, 0.4, 0.8, 0.9]))
    ((0.1, 0.333333), (0.35, 0.5), (0.85, 0.75))
    """
    from sklearn.isotonic import IsotonicRegression

    fitted = IsotonicRegression(y_min=0.0, y_max=1.0).fit_transform(scores, positive)
    knots: list[tuple[float, float]] = []
    for value in np.unique(fitted):
        own = scores[fitted == value]
        least = 1 / (len(own) + 2)
        at, height = float(own.mean()), min(max(float(value), least), 1 - least)
        if knots:  # a short stretch at the end is drawn to one half farther than its neighbour
            height = max(height, knots[-1][1])
        knots.append((round(at, 6), round(height, 6)))
    return tuple({at: (at, height) for at, height in knots}.values())
