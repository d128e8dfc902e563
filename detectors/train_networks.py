"""`hoaxwatch train three_branch` and `att_xdsf`: networks of whole posts out of labelled posts.

Pictures are those whose files the posts name (`images`), attributes their numbers. Words in
pictures are read where an OCR program is there; `--set ocr=false` leaves them out.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast, get_args

import msgspec
import numpy as np

from detectors import att_xdsf, three_branch, train_att_xdsf, train_three_branch
from detectors.checkpoints import CannotTrain, Course, begin, end
from detectors.datasets.groups import groups_by_image
from detectors.datasets.whole import AsDetector, rows_of_split, whole_posts
from detectors.evaluation import Bools
from detectors.networks.att_xdsf import MODALITIES, Fusion, Modality
from detectors.networks.images import BACKBONES
from detectors.networks.three_branch import BRANCHES, Switches
from detectors.networks.training import Ints, Schedule
from detectors.posts import Part, PostDetector, Read, WholePost, parts_of
from detectors.text.ocr import default_engine
from detectors.train_tfidf import measures
from detectors.trained import given_weights
from detectors.training import Task, changed, positive_of


class ThreeBranchSettings(NamedTuple):
    """What `--set` changes of `three_branch`.

    Of Wang et al. and their code are RMSprop, batch, learning_rate, a rate that falls to a tenth
    after five epochs on a plateau (half of patience) and at most 100 epochs. Ours are: the end
    after `patience` epochs, the epoch with the least validation loss (theirs has the greatest
    accuracy), classes that weigh the same, weight decay of 1e-4, gradients clipped to a norm of 5,
    a tenth of the branches hidden, vectors of words that are not trained on, folds, and Adam with
    pictures_learning_rate for the network of pictures.

    combine: svm, mean, max, vote or network. folds: of the networks whose scores the SVM is fitted
    on; 0: on validation posts; -1: on the training posts themselves, as in the paper. topic:
    hashtags whose mean vector is the topic. image_encoder, image_weights: of
    `networks.images.BACKBONES`, and its weights as torchvision publishes them, by default VGG19's;
    with neither a small network is trained on the pictures of the posts. pictures_learning_rate: by
    default smaller where there are published weights, which it would undo. subword_vectors: a
    `.bin` file of fastText that is learnt further. branches, fused (noF), projected (noP),
    attention (noAtt): the paper's ablations.
    """

    epochs: int = 100
    learning_rate: float = 1e-4
    batch: int = 32
    patience: int = 10
    ocr: bool = True
    combine: str = "svm"
    folds: int = 3
    image_encoder: str = ""
    image_weights: str = ""
    pictures_learning_rate: float = train_three_branch.PICTURES.learning_rate
    subword_vectors: str = ""
    branches: tuple[str, ...] = BRANCHES
    fused: bool = True
    projected: bool = True
    attention: bool = True
    topic: tuple[str, ...] = three_branch.TOPIC_TAGS


class AttXdsfSettings(NamedTuple):
    """What `--set` changes of `att_xdsf`. Zuo et al. train the encoder too (text=trained) and give
    no rate, batch or epochs: those are ours. encoder_learning_rate: of that encoder, BERT's own for
    fine-tuning. Weights of pictures are by default ViT-B/16's."""

    epochs: int = 20
    learning_rate: float = 1e-3
    encoder_learning_rate: float = 3e-5
    batch: int = 64
    patience: int = 4
    text: str = "trained"
    fusion: str = "attention"
    modalities: tuple[str, ...] = MODALITIES
    image_encoder: str = ""
    image_weights: str = ""
    pictures_learning_rate: float = train_three_branch.PICTURES.learning_rate


def train_three_branch_posts(task: Task) -> dict[str, Any]:
    """Trains, writes a model, and says how it does on validation posts; see `training.run`."""
    usual = ThreeBranchSettings(pictures_learning_rate=_pictures_rate(task))
    if task.small:
        usual = usual._replace(epochs=10, learning_rate=1e-3, patience=3, folds=0)
    own = changed(usual, task.changes)
    _check("combine", [own.combine], get_args(three_branch.Combine))
    _check("branches", own.branches, BRANCHES)
    settings = train_three_branch.Settings(
        switches=Switches(
            branches=tuple(name for name in BRANCHES if name in own.branches),
            fused=own.fused,
            projected=own.projected,
            attention=own.attention,
        ),
        topic_tags=own.topic,
        languages=task.languages,
        with_words_in_pictures=own.ocr,
        backbone=_image_encoder(own, "vgg19"),
        image_weights=Path(own.image_weights) if own.image_weights else None,
        subword_vectors=Path(own.subword_vectors) if own.subword_vectors else None,
        combine=cast(three_branch.Combine, own.combine),
        n_folds=own.folds,
        trained_on=task.trained_on,
        network=_scheduled(train_three_branch.NETWORK, own, task.seed),
        pictures=_of_pictures(own, task.seed),
    )
    read = default_engine().read if own.ocr else None
    posts, positive, train, validation = _divided(task, read)
    groups = groups_by_image(task.posts)
    course = _course(task, f"three_branch {own}")
    model = train_three_branch.fit(
        posts, positive, train, validation, groups, settings, task.say, course
    )
    three_branch.save(model, task.out)
    end(course)
    detector = three_branch.ThreeBranchDetector(model)
    return {"settings": own._asdict()} | _measured(detector, posts, positive, validation)


def train_att_xdsf_posts(task: Task) -> dict[str, Any]:
    """As `train_three_branch_posts`."""
    usual = AttXdsfSettings(pictures_learning_rate=_pictures_rate(task))
    if task.small:
        usual = usual._replace(text="frozen")
    own = changed(usual, task.changes)
    _check("text", [own.text], get_args(att_xdsf.Kind))
    _check("fusion", [own.fusion], get_args(Fusion))
    _check("modalities", own.modalities, MODALITIES)
    settings = train_att_xdsf.Settings(
        modalities=cast(tuple[Modality, ...], own.modalities),
        fusion=cast(Fusion, own.fusion),
        text=cast(att_xdsf.Kind, own.text),
        encoder=task.encoder,
        backbone=_image_encoder(own, "vit_b_16"),
        image_weights=Path(own.image_weights) if own.image_weights else None,
        trained_on=task.trained_on,
        network=msgspec.structs.replace(
            _scheduled(train_att_xdsf.NETWORK, own, task.seed),
            encoder_learning_rate=own.encoder_learning_rate,
        ),
        pictures=_of_pictures(own, task.seed),
    )
    posts, positive, train, validation = _divided(task, None)
    course = _course(task, f"att_xdsf {own}")
    model = train_att_xdsf.fit(posts, positive, train, validation, settings, course)
    att_xdsf.save(model, task.out)
    end(course)
    detector = att_xdsf.AttXdsfDetector(model)
    return {"settings": own._asdict()} | _measured(detector, posts, positive, validation)


def load_three_branch(weights: Path | None = None) -> AsDetector:
    """A trained one, as every other detector is asked. Raises: BrokenWeights."""
    model = three_branch.load(given_weights(weights, "three_branch"))
    make_ocr = default_engine if model.config.with_words_in_pictures else None
    reads: frozenset[Part] = frozenset(("hashtags", "pictures"))
    return AsDetector(three_branch.ThreeBranchDetector(model), reads, make_ocr)


def load_att_xdsf(weights: Path | None = None) -> AsDetector:
    """A trained one, as every other detector is asked. Raises: BrokenWeights."""
    model = att_xdsf.load(given_weights(weights, "att_xdsf"))
    reads: set[Part] = set()
    if "image" in model.config.modalities:
        reads.add("pictures")
    if "social" in model.config.modalities:
        reads |= parts_of({field.name for field in model.config.fields})
    return AsDetector(att_xdsf.AttXdsfDetector(model), frozenset(reads), None)


def _check(name: str, given: Sequence[str], known: Sequence[str]) -> None:
    """Raises: CannotTrain for a value of a setting that there is not."""
    if unknown := [value for value in given if value not in known]:
        raise CannotTrain(f"setting {name} has no {unknown[0]!r}; there are {', '.join(known)}")


def _image_encoder(own: ThreeBranchSettings | AttXdsfSettings, usual: str) -> str:
    """The network of pictures. usual: the paper's, where only weights are named."""
    chosen = own.image_encoder or (usual if own.image_weights else "small")
    _check("image_encoder", [chosen], list(BACKBONES))
    return chosen


def _scheduled(usual: Schedule, own: ThreeBranchSettings | AttXdsfSettings, seed: int) -> Schedule:
    return msgspec.structs.replace(
        usual,
        learning_rate=own.learning_rate,
        batch=own.batch,
        max_epochs=own.epochs,
        patience=own.patience,
        seed=seed,
    )


def _of_pictures(own: ThreeBranchSettings | AttXdsfSettings, seed: int) -> Schedule:
    return msgspec.structs.replace(
        train_three_branch.PICTURES, learning_rate=own.pictures_learning_rate, seed=seed
    )


def _pictures_rate(task: Task) -> float:
    """The usual one: small where published weights are learnt further."""
    has_weights = bool(task.changes.get("image_weights"))
    usual = train_three_branch.FINE_TUNED if has_weights else train_three_branch.PICTURES
    return usual.learning_rate


def _course(task: Task, settings: str) -> Course:
    about = f"{settings} {task.encoder} seed {task.seed}, posts {task.digest()}"
    return begin(task.out, task.resume, about, task.watch)


def _divided(task: Task, read: Read | None) -> tuple[list[WholePost], Bools, Ints, Ints]:
    """The posts of a task with their pictures, their labels, and the rows of two splits."""
    for name in ("train", "validation"):
        task.part(name)  # says what is missing
    posts = whole_posts(task.posts, read)
    splits = [post.split for post in task.posts]
    train, validation = rows_of_split(splits, "train"), rows_of_split(splits, "validation")
    return posts, positive_of(task.posts), train, validation


def _measured(
    detector: PostDetector, posts: list[WholePost], positive: Bools, rows: Ints
) -> dict[str, Any]:
    """On validation posts; a post that is not scored counts as not flagged."""
    found = [judged.verdict.score for judged in detector.score([posts[i] for i in rows])]
    scores = np.array([0.0 if score is None else score for score in found])
    return {
        "threshold": detector.threshold,
        "validation": measures(positive[rows], scores, detector.threshold),
    }
