"""Train the `tweet_metadata` detector on labelled posts; `hoaxwatch train tweet_metadata` calls it.

The encoder's lowest layers stay as they are, so what they make of a text is computed once; those
above have low-rank adapters, or none (`frozen` = all layers) where a CPU is all there is.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

import msgspec
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from detectors import train_bert
from detectors.bert import EncoderName
from detectors.checkpoints import CannotTrain
from detectors.datasets.labelled import LabelledPost
from detectors.encoder import read_encoder
from detectors.evaluation import Floats
from detectors.metadata import (
    AGE,
    COUNTERS,
    GROWING,
    Counters,
    as_of,
    columns_of,
    features_with,
    inputs_of,
    labelled_values,
)
from detectors.networks.training import device_here
from detectors.text.tweets import FORMS, Form, prepare
from detectors.train_bert import (
    Learner,
    Maps,
    by_length,
    named,
    on_device,
    shuffled_by_length,
)
from detectors.train_tfidf import validated
from detectors.trained import Calibration
from detectors.training import Learnt, Task, calibrate, changed, learn
from detectors.tweet_metadata import (
    FORMAT,
    PREPARATION,
    VARIANTS,
    Config,
    Network,
    TweetMetadataDetector,
    Variant,
    class_probabilities,
    default_false,
    false_logit,
    new_network,
    write_config,
    write_model,
)


class Settings(NamedTuple):
    """What `--set` changes.

    variant: cls, text or text+metadata. form: of the text, paper or ct-bert. counters: none, at-age
    (at most counters_age_seconds old) or final. slots: four figures of the data at most, beside the
    eighteen. likely_false: which classes are, where they are called otherwise. frozen: layers
    without an adapter, counted from below. rank: of the adapters, where the paper trains all of the
    encoder. learning_rate: of the adapters; head_rate: of the rest.
    """

    variant: str = "text+metadata"
    form: str = "paper"
    counters: str = "none"
    counters_age_seconds: float = 3600.0
    slots: tuple[str, ...] = ()
    likely_false: tuple[str, ...] = ()
    widths: tuple[int, ...] = (3, 4, 5)
    n_filters: int = 100
    n_metadata: int = 64
    frozen: int = 0
    rank: int = 32
    learning_rate: float = 5e-4
    head_rate: float = 1e-3
    epochs: int = 10
    patience: int = 2
    batch: int = 32
    max_tokens: int = 128
    dropout: float = 0.1
    head_dropout: float = 0.5
    seed: int = 0


#: The paper's but for adapters; what it does not give (rates, epochs, batch, length) is our choice.
PAPER = Settings()
#: The encoder stays as it is: one pass over the texts, then seconds for each epoch.
SMALL = Settings(frozen=1000, epochs=15, patience=3)


class Lesson(NamedTuple):
    """Posts as the network reads them: states below the adapters, figures, class numbers."""

    states: list[Tensor]
    figures: Tensor
    classes: Tensor


def train_posts(task: Task) -> dict[str, Any]:
    """Trains, calibrates and writes a model; see `training.run`."""
    usual = SMALL if task.small else PAPER
    settings = changed(usual, {"seed": str(task.seed), **task.changes})
    _check(settings)
    training, validation = task.part("train"), task.part("validation")
    classes, false = classes_of(training, settings.likely_false)
    strange = {post.label for post in validation} - set(classes)
    if strange:
        raise CannotTrain(f"no training post is labelled {min(strange)!r}, a validation post is")
    encoder = read_encoder(task.encoder)
    settings = settings._replace(
        frozen=min(settings.frozen, encoder.shape.n_layers),
        max_tokens=min(settings.max_tokens, encoder.shape.n_positions),
    )
    device = device_here()
    learner = Learner(on_device(encoder, device), bert_settings(settings), device)
    try:
        features = features_with(settings.slots)
    except ValueError as error:
        raise CannotTrain(f"slots: {error}") from None
    counters = cast(Counters, settings.counters)
    rows = [
        [as_of(labelled_values(p), counters, settings.counters_age_seconds) for p in own]
        for own in (training, validation)
    ]
    columns = columns_of(features, rows[0])
    task.say(f"reading {len(training) + len(validation)} posts with {encoder.name}")
    lessons = []
    for own, values in zip((training, validation), rows, strict=True):
        texts = [prepare(post.text, cast(Form, settings.form)) for post in own]
        figures = torch.from_numpy(inputs_of(columns, values).astype(np.float32))
        numbers = torch.tensor([classes.index(post.label) for post in own])
        states = learner.states_of_prepared(texts)
        lessons.append(Lesson(states, figures.to(device), numbers.to(device)))
    config = Config(
        format=FORMAT,
        preparation=PREPARATION,
        variant=cast(Variant, settings.variant),
        form=cast(Form, settings.form),
        classes=classes,
        likely_false=false,
        widths=settings.widths,
        n_filters=settings.n_filters,
        n_metadata=settings.n_metadata,
        columns=columns,
        counters=counters,
        counters_age_seconds=settings.counters_age_seconds,
        threshold=0.5,
        calibration=Calibration(slope=1.0, offset=0.0),
        languages=task.languages,
        encoder=EncoderName(name=encoder.name, sha256=encoder.sha256),
        max_tokens=settings.max_tokens,
        weights_sha256="",
        trained_on=task.trained_on,
    )
    maps, network, learnt = fit(task, settings, learner, config, *lessons)
    is_false = [name in false for name in classes]
    logits = false_logits(learner, maps, network, lessons[1], is_false)
    positive = np.array([is_false[k] for k in lessons[1].classes.tolist()], dtype=np.bool_)
    calibration = calibrate(positive, logits, task)
    config = msgspec.structs.replace(config, calibration=calibration)
    written = write_model(task.out, config, network, named(maps))
    detector = TweetMetadataDetector(task.out, task.encoder)
    threshold, found = validated(detector, validation, positive)
    write_config(task.out, msgspec.structs.replace(written, threshold=threshold))
    return {
        "settings": settings._asdict(),
        "epoch": learnt.epoch,
        "losses": learnt.losses,
        "validation_losses": learnt.validation,
        "threshold": threshold,
        "known": {column.name: column.n_known for column in columns},
        "counter_ages": counter_ages(training),
        "calibration": msgspec.to_builtins(calibration),
        "validation": found,
    }


def fit(
    task: Task,
    settings: Settings,
    learner: Learner,
    config: Config,
    taught: Lesson,
    validation: Lesson | None,
) -> tuple[Maps, Network, Learnt]:
    """Cross-entropy (binary for two classes); the epoch that is best on validation texts is kept.

    A batch of one post is left out: a batch norm has no variance of it.
    """
    torch.manual_seed(settings.seed)
    shuffler = random.Random(settings.seed)
    maps = learner.new_maps()
    network = new_network(config, learner.encoder).to(learner.device)
    network.dropout.p = settings.head_dropout
    lengths = [len(own) for own in taught.states]

    def batches() -> list[list[int]]:
        drawn = shuffled_by_length(lengths, settings.batch, shuffler)
        return [batch for batch in drawn if len(batch) > 1]

    def loss_of(batch: Sequence[int]) -> Tensor:
        network.train()
        return loss(
            batch_logits(learner, maps, network, taught, batch, True), taught.classes[batch]
        )

    def validate() -> float:
        assert validation is not None
        network.eval()
        with torch.no_grad():
            total = 0.0
            for batch in by_length([len(own) for own in validation.states], 64):
                logits = batch_logits(learner, maps, network, validation, batch, False)
                total += loss(logits, validation.classes[batch]).item() * len(batch)
        return total / len(validation.states)

    low_rank = [tensor for pair in maps.values() for tensor in pair]
    groups = [(low_rank, settings.learning_rate)] if low_rank else []
    learnt = learn(
        {**named(maps), **network.state_dict()},
        [*groups, (list(network.parameters()), settings.head_rate)],
        batches,
        loss_of,
        epochs=settings.epochs,
        shuffler=shuffler,
        say=task.say,
        validate=None if validation is None else validate,
        patience=settings.patience,
        folder=task.out,
        resume=task.resume,
        watch=task.watch,
        about=f"tweet_metadata {settings} {learner.encoder.sha256} {task.digest()}",
    )
    return maps, network.eval(), learnt


def batch_logits(
    learner: Learner,
    maps: Maps,
    network: Network,
    lesson: Lesson,
    batch: Sequence[int],
    training: bool,
) -> Tensor:
    """Logits of some posts, as `Network.forward` gives them."""
    states, there = learner.batch_states(
        maps, [lesson.states[i] for i in batch], training, first_only=network.variant == "cls"
    )
    found: Tensor = network(states.float(), there[:, : states.shape[1]], lesson.figures[batch])
    return found


def loss(logits: Tensor, classes: Tensor) -> Tensor:
    """Binary cross-entropy of one logit, or cross-entropy of several.

    >>> round(loss(torch.tensor([[0.0]]), torch.tensor([1])).item(), 4)
    0.6931
    """
    if logits.shape[1] == 1:
        return F.binary_cross_entropy_with_logits(logits[:, 0], classes.float())
    return F.cross_entropy(logits, classes)


def false_logits(
    learner: Learner, maps: Maps, network: Network, lesson: Lesson, is_false: Sequence[bool]
) -> Floats:
    """Uncalibrated logits of likely_false, (n,)."""
    found = np.zeros(len(lesson.states))
    with torch.no_grad():
        for batch in by_length([len(own) for own in lesson.states], 64):
            logits = batch_logits(learner, maps, network, lesson, batch, False)
            rows = class_probabilities(logits).tolist()
            found[batch] = [false_logit(row, is_false) for row in rows]
    return found


def classes_of(
    posts: Sequence[LabelledPost], named_false: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """All classes, those that are likely false last, and these. Raises: CannotTrain.

    >>> post = LabelledPost("a", None, "1", "", "5g_conspiracy")
    >>> classes_of([post, post._replace(label="none")], ["5g_conspiracy"])
    (('none', '5g_conspiracy'), ('5g_conspiracy',))
    """
    there = sorted({post.label for post in posts})
    false = tuple(named_false) or default_false(there)
    if not false or not set(false) < set(there):
        raise CannotTrain(
            f"which of the classes {', '.join(there)} are likely false? Say it with --set "
            "likely_false=CLASS,..., or rename them with --labels"
        )
    rest = [name for name in there if name not in false]
    return (*rest, *(name for name in there if name in false)), tuple(
        name for name in there if name in false
    )


def counter_ages(posts: Sequence[LabelledPost]) -> dict[str, float | None]:
    """The median age of each counter where it is known [seconds]; None: no post says it."""
    found: dict[str, float | None] = {}
    for name in GROWING:
        ages = [
            age
            for post in posts
            if post.attributes.get(name) is not None
            and (age := post.attributes.get(f"{name}_{AGE}", post.attributes.get(AGE))) is not None
        ]
        found[name] = float(np.median(ages)) if ages else None
    return found


def bert_settings(settings: Settings) -> train_bert.Settings:
    """What the encoder's part of training reads."""
    return train_bert.Settings(
        frozen=settings.frozen,
        rank=settings.rank,
        learning_rate=settings.learning_rate,
        epochs=settings.epochs,
        max_tokens=settings.max_tokens,
        dropout=settings.dropout,
        batch=settings.batch,
        seed=settings.seed,
    )


def _check(settings: Settings) -> None:
    choices: Mapping[str, Sequence[str]] = {
        "variant": VARIANTS,
        "form": FORMS,
        "counters": COUNTERS,
    }
    for name, known in choices.items():
        if getattr(settings, name) not in known:
            raise CannotTrain(f"{name} is {getattr(settings, name)!r}; choose {', '.join(known)}")
