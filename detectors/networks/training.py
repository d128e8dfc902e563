"""The loop that trains the networks of posts: seeded, weighted by class, stopped on validation.

Pure: tensors in, a trained network out. What a batch is, the caller says.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from detectors.checkpoints import ALONE, Course, Step, read_checkpoint, write_checkpoint
from detectors.evaluation import Bools, Floats
from detectors.networks.text import Bert

Ints = NDArray[np.int64]


class Schedule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a network is trained. encoder_learning_rate: of an encoder of texts that is trained with
    the rest. patience: epochs without a better validation loss; after half of them the rates fall
    to a tenth."""

    optimiser: str = "adam"
    learning_rate: float = 1e-3
    encoder_learning_rate: float = 3e-5
    weight_decay: float = 1e-4
    batch: int = 64
    max_epochs: int = 12
    patience: int = 3
    seed: int = 0


class Trained(NamedTuple):
    """epoch: the one that is kept, from 0. losses: on validation, by epoch."""

    epoch: int
    losses: tuple[float, ...]


#: Logits (rows,) of the rows with these numbers.
Forward = Callable[[Ints], Tensor]


def device_here() -> str:
    """Where trainings compute: on the GPU, if there is one."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def device_of(network: nn.Module) -> torch.device:
    """Where a network lies."""
    return next(network.parameters()).device


def train_network(
    network: nn.Module,
    forward: Forward,
    positive: Bools,
    train: Ints,
    validation: Ints,
    schedule: Schedule,
    lengths: Sequence[int] | None = None,
    course: Course = ALONE,
) -> Trained:
    """Minimises class-weighted cross-entropy; the epoch with the least validation loss is kept.

    Both classes weigh the same: n / (2 n of the class). forward: of the network, from row numbers.
    positive: (rows,), whether a row is likely_false. lengths: of each row; rows of like length then
    share a batch, which saves padding. course: what is there of an earlier training, where it is
    resumed, is gone on from with the same bits. It is trained on the GPU, if there is one, and left
    there: `forward` takes its batches to `device_of(network)`. Raises: CannotTrain.
    """
    device = torch.device(device_here())
    network.to(device)
    torch.manual_seed(schedule.seed)
    random = np.random.default_rng(schedule.seed)
    made = torch.optim.RMSprop if schedule.optimiser == "rmsprop" else torch.optim.Adam
    optimiser = made(parameter_groups(network, schedule), weight_decay=schedule.weight_decay)
    slower = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimiser, factor=0.1, patience=max(0, schedule.patience // 2)
    )
    weight = class_weights(positive, train)
    wanted = torch.from_numpy(positive.astype(np.float32))
    best, best_epoch, losses = _copy(network), -1, list[float]()
    path, is_over, first = course.path(), False, 0
    about = f"{course.about}, {course.name}"
    if course.resume and path is not None and path.is_file():
        state, best = read_checkpoint(path, network.state_dict(), optimiser, about)
        best_epoch, losses, is_over = state["best"], state["losses"], state["is_over"]
        for group, rate in zip(optimiser.param_groups, state["rates"], strict=True):
            group["lr"] = rate
        slower.load_state_dict(state["slower"])
        random.bit_generator.state = state["random"]
        first = len(losses)
    for epoch in range(first, 0 if is_over else schedule.max_epochs):
        network.train()
        drawn = batches(train, schedule.batch, random, lengths)
        total = 0.0
        for step, rows in enumerate(drawn, 1):
            if len(rows) < 2:
                continue  # batch normalisation needs two
            loss = F.binary_cross_entropy_with_logits(
                forward(rows), wanted[rows].to(device), weight=weight[rows].to(device)
            )
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimiser.step()
            total += loss.item()
            done = epoch * len(drawn) + step
            course.watch(
                Step(
                    course.name,
                    epoch + 1,
                    schedule.max_epochs,
                    done,
                    schedule.max_epochs * len(drawn),
                    total / step,
                    losses[-1] if losses else None,
                )
            )
        logits = torch.from_numpy(logits_of(network, forward, validation, schedule.batch, lengths))
        current = float(
            F.binary_cross_entropy_with_logits(
                logits, wanted[validation].double(), weight=weight[validation].double()
            )
        )
        losses.append(round(current, 6))
        slower.step(current)
        if best_epoch < 0 or current < losses[best_epoch]:
            best, best_epoch = _copy(network), epoch
        is_over = epoch - best_epoch >= schedule.patience or not math.isfinite(current)
        if path is not None:
            state = {
                "best": best_epoch,
                "losses": losses,
                "is_over": is_over,
                "rates": [group["lr"] for group in optimiser.param_groups],
                "slower": slower.state_dict(),
                "random": random.bit_generator.state,
            }
            write_checkpoint(path, network.state_dict(), best, optimiser, state, about)
        if is_over:
            break
    network.load_state_dict(best)
    network.eval()
    return Trained(best_epoch, tuple(losses))


def parameter_groups(network: nn.Module, schedule: Schedule) -> list[dict[str, Any]]:
    """What is trained, as an optimiser takes it: an encoder of texts has its own small rate. At the
    rate of new layers it loses what it knew before it learns anything."""
    trained = [p for p in network.parameters() if p.requires_grad]
    encoders = (part for part in network.modules() if isinstance(part, Bert))
    of_encoder = {id(p) for encoder in encoders for p in encoder.parameters()}
    groups: list[dict[str, Any]] = [
        {
            "params": [p for p in trained if id(p) not in of_encoder],
            "lr": schedule.learning_rate,
        },
        {
            "params": [p for p in trained if id(p) in of_encoder],
            "lr": schedule.encoder_learning_rate,
        },
    ]
    return [group for group in groups if group["params"]]


def class_weights(positive: Bools, train: Ints) -> Tensor:
    """Of each row: rows of training / (2 rows of its class in training). (rows,)

    >>> class_weights(np.array([True, False, False, False]), np.arange(4)).tolist()
    [2.0, 0.6666666865348816, 0.6666666865348816, 0.6666666865348816]
    """
    share = float(np.mean(positive[train]))
    weights = np.where(positive, 0.5 / max(share, 1e-9), 0.5 / max(1 - share, 1e-9))
    return torch.from_numpy(weights.astype(np.float32))


def batches(
    rows: Ints, size: int, random: np.random.Generator, lengths: Sequence[int] | None = None
) -> list[Ints]:
    """All rows in random order, in batches; with lengths, sorted within fifty batches each, and the
    batches in random order again.

    >>> found = batches(np.arange(5), 2, np.random.default_rng(0))
    >>> sorted(np.concatenate(found).tolist()), [len(rows) for rows in found]
    ([0, 1, 2, 3, 4], [2, 2, 1])
    """
    order = random.permutation(rows)
    if lengths is None:
        return [order[i : i + size] for i in range(0, len(order), size)]
    found = []
    for i in range(0, len(order), size * 50):
        pool = order[i : i + size * 50]
        pool = pool[np.argsort([lengths[k] for k in pool], kind="stable")]
        found += [pool[k : k + size] for k in range(0, len(pool), size)]
    return [found[k] for k in random.permutation(len(found))]


def logits_of(
    network: nn.Module,
    forward: Forward,
    rows: Ints,
    batch: int = 256,
    lengths: Sequence[int] | None = None,
) -> Floats:
    """Logits of many rows, in their order, without dropout, computed where the network lies.
    (rows,)"""
    network.eval()
    order = np.arange(len(rows))
    if lengths is not None:
        order = np.argsort([lengths[k] for k in rows], kind="stable")
    found = np.zeros(len(rows))
    with torch.inference_mode():
        for first in range(0, len(rows), batch):
            chosen = order[first : first + batch]
            found[chosen] = forward(rows[chosen]).cpu().double().numpy()
    return found


def _copy(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}
