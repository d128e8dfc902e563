"""Train the `three_branch` detector, its single branches and their ensemble.

    python -m detectors.train_three_branch --data FOLDER --out WEIGHTS [--by image] [--no-ocr]

FOLDER holds `mediaeval2016/`. Posts are split such that no picture is on two sides, nor a text and
its near-duplicate: by event (the published test split) or by picture. `fit` and `three_branch.save`
are plain functions for any posts; `detectors.measure_posts` trains the rows of the paper's tables.
Cost: about an hour of one core with the defaults. scikit-learn and gensim are needed here only.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import torch
from torch import Tensor

from detectors.checkpoints import ALONE, CannotTrain, Course
from detectors.datasets import read_posts
from detectors.datasets.groups import grouped_folds, groups_by_image, split_by_group
from detectors.datasets.whole import cached_reader, rows_of_split, whole_posts
from detectors.ensemble import PARTS, RULES, Ensemble, fit_ensemble
from detectors.evaluation import Bools, Floats
from detectors.image.preprocess import for_imagenet
from detectors.labels import LABELS, POSITIVE_CLASS
from detectors.networks.images import (
    BACKBONES,
    Backbone,
    ImageClassifier,
    load_image_weights,
)
from detectors.networks.three_branch import Branch, Inputs, Switches, ThreeBranch
from detectors.networks.training import (
    Ints,
    Schedule,
    Trained,
    device_of,
    logits_of,
    train_network,
)
from detectors.posts import SeenPicture, WholePost, caption_of, tags_of
from detectors.text.normalise import PREPROCESSING, normalise, words
from detectors.text.ocr import default_engine
from detectors.text.subwords import Subwords, WordVectors, learn_subwords
from detectors.three_branch import (
    FORMAT,
    TOPIC_TAGS,
    Combine,
    Config,
    Maps,
    Model,
    Prepared,
    collate,
    maps_of,
    prepare,
    save,
)
from detectors.train_tfidf import calibrated, fit_calibration, middle_threshold
from detectors.trained import Calibration

Say = Callable[[str], None]

#: Wang et al.: RMSprop, batches of 32, a rate from 1e-4 that falls on a plateau, at most 100
#: epochs. With a tenth of their posts and small vectors a greater rate gets there sooner.
NETWORK = Schedule(optimiser="rmsprop", learning_rate=1e-3, batch=32, max_epochs=10)
PICTURES = Schedule(learning_rate=1e-3, weight_decay=1e-3, batch=16, max_epochs=30, patience=6)
#: Of a backbone with published weights: at the rate above a step or two undo them.
FINE_TUNED = msgspec.structs.replace(PICTURES, learning_rate=1e-4)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a user may choose.

    image_weights: published weights of the backbone. drop_branch: share of posts that a branch of
    a network with several is hidden from in training, so that it learns to do without. n_folds: of
    the networks whose scores the ensemble is fitted on; 0 fits it on validation posts, which is
    cheap; -1 on the training posts themselves, as the paper did.
    """

    switches: Switches = field(default_factory=Switches)
    topic_tags: tuple[str, ...] = TOPIC_TAGS
    languages: tuple[str, ...] = ()
    with_words_in_pictures: bool = True
    backbone: str = "small"
    image_weights: Path | None = None
    subword_vectors: Path | None = None
    combine: Combine = "svm"
    n_folds: int = 3
    drop_branch: float = 0.1
    network: Schedule = NETWORK
    pictures: Schedule = PICTURES
    trained_on: str = field(default_factory=lambda: date.today().isoformat())


class Given(NamedTuple):
    """Posts with their labels, ready for networks. groups: of pictures, kept whole by folds."""

    posts: Sequence[WholePost]
    rows: list[Prepared]
    positive: Bools
    groups: Sequence[int]
    subwords: Subwords
    vectors: WordVectors
    backbone: Backbone
    topic: Tensor

    def lengths(self) -> list[int]:
        """How many words each post has."""
        return [len(row.words) for row in self.rows]


def fit(
    posts: Sequence[WholePost],
    positive: Bools,
    train: Ints,
    validation: Ints,
    groups: Sequence[int],
    settings: Settings | None = None,
    say: Say = lambda line: None,
    course: Course = ALONE,
) -> Model:
    """A detector from labelled posts; posts that are neither train nor validation are not used.

    positive: whether each is likely_false. groups: posts with a common number are in one fold. What
    the posts cannot teach is left out (`networks_to_learn`). Raises: CannotTrain.
    """
    settings = settings or Settings()
    given = ready(posts, positive, train, validation, groups, settings, course)
    networks, logits = {}, {}
    used = np.concatenate([train, validation])
    for name, switches in networks_to_learn(given, train, validation, settings).items():
        network, trained = fit_network(
            given, switches, train, validation, settings, course.of(name)
        )
        networks[name], logits[name] = network, network_logits(network, given, used)
        network.cpu()
        say(f"{name}: epoch {trained.epoch}, validation losses {trained.losses}")
    calibrations = {
        name: sound_calibration(positive, own, validation) for name, own in logits.items()
    }
    scores = part_scores(given, logits, calibrations)
    ensemble = Ensemble(())
    if settings.combine == "svm":
        ensemble = _ensemble(given, scores, calibrations, train, validation, settings, course)
    config = msgspec.structs.replace(
        _reading(settings),
        networks={name: network.switches for name, network in networks.items()},
        calibrations=calibrations,
        ensemble=ensemble,
    )
    found = combined(scores, config.combine, ensemble)[validation]
    threshold = middle_threshold(positive[validation], np.nan_to_num(found, nan=0.0))
    config = msgspec.structs.replace(config, threshold=threshold)
    return Model(config, given.subwords, given.backbone, networks)


def networks_to_learn(
    given: Given, train: Ints, validation: Ints, settings: Settings
) -> dict[str, Switches]:
    """The networks that these posts can teach, by name, each with its branches.

    A branch is taught by posts of both classes that have something to read in it, and needs one
    such post in validation. One that is not taught has no network of its own, and no part in the
    three-branch network, where it would be noise. Raises: CannotTrain if none is taught.
    """

    def is_taught(branch: Branch) -> bool:
        alone = Switches(branches=(branch,))
        own = given.positive[_readable(given, alone, train)]
        return len(set(own.tolist())) == 2 and len(_readable(given, alone, validation)) > 0

    taught = tuple(branch for branch in settings.switches.branches if is_taught(branch))
    if not taught:
        named = ", ".join(settings.switches.branches)
        raise CannotTrain(
            f"no posts of both classes with anything to read ({named}): give posts with words, "
            "hashtags or pictures in the train and the validation split"
        )
    found = {"three_branch": msgspec.structs.replace(settings.switches, branches=taught)}
    if settings.combine != "network":
        for branch in taught:
            found[branch] = msgspec.structs.replace(settings.switches, branches=(branch,))
    return found


def ready(
    posts: Sequence[WholePost],
    positive: Bools,
    train: Ints,
    validation: Ints,
    groups: Sequence[int],
    settings: Settings,
    course: Course = ALONE,
) -> Given:
    """Vectors learnt from the training texts, a backbone from the training pictures, and all posts
    as the branches read them."""
    sentences = []
    for i in train.tolist():
        post = posts[i]
        caption = caption_of(post.content.text)
        sentences.append([*words(normalise(f"{caption} {post.overlaid or ''}"))])
        sentences.append([*tags_of(post.content)])
    subwords = learn_subwords(sentences, given=settings.subword_vectors)
    backbone = fit_backbone(posts, positive, train, validation, settings, course.of("pictures"))
    config = _reading(settings)
    maps = maps_of_posts(posts, backbone)
    rows = [prepare(post, config, own)[0] for post, own in zip(posts, maps, strict=True)]
    topic = torch.from_numpy(subwords.topic(settings.topic_tags))
    vectors = WordVectors(subwords)
    return Given(posts, rows, positive, groups, subwords, vectors, backbone, topic)


def maps_of_posts(posts: Sequence[WholePost], backbone: Backbone) -> list[Maps | None]:
    """The maps of each post's picture, each picture worked out once."""
    maps: dict[bytes, Maps] = {}
    found: list[Maps | None] = []
    for post in posts:
        picture = post.picture
        if picture is not None and picture.sha256 not in maps:
            maps[picture.sha256] = maps_of(picture, backbone)
        found.append(None if picture is None else maps[picture.sha256])
    return found


def fit_backbone(
    posts: Sequence[WholePost],
    positive: Bools,
    train: Ints,
    validation: Ints,
    settings: Settings,
    course: Course = ALONE,
) -> Backbone:
    """The backbone, trained to tell pictures of likely_false posts from others by itself, then held
    fast. With given weights only its last block is trained. Each picture counts once; its label is
    that of most of its posts."""
    torch.manual_seed(settings.pictures.seed)
    backbone = BACKBONES[settings.backbone]()
    if settings.image_weights is not None:
        load_image_weights(backbone, settings.image_weights)
        backbone.train_last_block_only()
    by_picture: dict[bytes, list[int]] = {}
    seen: dict[bytes, SeenPicture] = {}
    for i in (*train.tolist(), *validation.tolist()):
        if (picture := posts[i].picture) is not None:
            by_picture.setdefault(picture.sha256, []).append(i)
            seen[picture.sha256] = picture
    of_validation = set(validation.tolist())
    keys = list(by_picture)
    if not keys:
        return backbone.eval()
    labels = np.array([np.mean(positive[by_picture[key]]) >= 0.5 for key in keys])
    is_validation = np.array([by_picture[key][0] in of_validation for key in keys])
    pixels = torch.stack(
        [torch.from_numpy(for_imagenet(seen[key].pixels, backbone.side)) for key in keys]  # type: ignore[arg-type]
    )
    classifier = ImageClassifier(backbone)

    def forward(rows: Ints) -> Tensor:
        chosen = pixels[rows]
        if classifier.training:  # half of them mirrored: a few hundred pictures are soon known
            turned = torch.rand(len(chosen)) < 0.5
            chosen = torch.where(turned[:, None, None, None], chosen.flip(3), chosen)
        logits: Tensor = classifier(chosen.to(device_of(classifier)))
        return logits

    own_train, own_validation = np.flatnonzero(~is_validation), np.flatnonzero(is_validation)
    if len(own_train) >= 2 and len(own_validation):
        train_network(
            classifier,
            forward,
            labels,
            own_train,
            own_validation,
            settings.pictures,
            course=course,
        )
    return backbone.cpu().eval()


def fit_network(
    given: Given,
    switches: Switches,
    train: Ints,
    validation: Ints,
    settings: Settings,
    course: Course = ALONE,
) -> tuple[ThreeBranch, Trained]:
    """One network. It learns from the posts in which any of its branches has something to read."""
    torch.manual_seed(settings.network.seed)
    network = ThreeBranch(given.topic, given.backbone.n_channels, switches)
    drop = settings.drop_branch if len(switches.branches) > 1 else 0.0

    def forward(rows: Ints) -> Tensor:
        inputs = collate([given.rows[i] for i in rows], given.vectors, given.backbone.n_channels)
        if network.training and drop:
            inputs = hide_branches(inputs, drop)
        logits: Tensor = network(inputs.to(device_of(network))).logits
        return logits

    trained = train_network(
        network,
        forward,
        given.positive,
        _readable(given, switches, train),
        _readable(given, switches, validation),
        settings.network,
        given.lengths(),
        course,
    )
    return network, trained


def hide_branches(inputs: Inputs, share: float) -> Inputs:
    """The inputs with each branch hidden from that share of the posts, each by itself."""

    def kept(there: Tensor) -> Tensor:
        hidden = torch.rand(len(there)) < share
        return there & ~(hidden if there.dim() == 1 else hidden.unsqueeze(1))

    return inputs._replace(
        words_there=kept(inputs.words_there),
        tags_there=kept(inputs.tags_there),
        image_there=kept(inputs.image_there),
    )


def network_logits(network: ThreeBranch, given: Given, rows: Ints) -> Floats:
    """The logit of each post (posts,); NaN where no branch of the network has anything to read, and
    for posts that are not among these rows."""
    rows = _readable(given, network.switches, rows)

    def forward(chosen: Ints) -> Tensor:
        inputs = collate([given.rows[i] for i in chosen], given.vectors, given.backbone.n_channels)
        logits: Tensor = network(inputs.to(device_of(network))).logits
        return logits

    found = np.full(len(given.rows), np.nan)
    found[rows] = logits_of(network, forward, rows, lengths=given.lengths())
    return found


def sound_calibration(positive: Bools, logits: Floats, rows: Ints) -> Calibration:
    """Platt scaling on these rows; the logit as it is where that would turn it round, or where
    only one class is there."""
    own = rows[np.isfinite(logits[rows])]
    if len(set(positive[own].tolist())) == 2:
        found = fit_calibration(positive[own], logits[own])
        if found.slope > 0:
            return found
    return Calibration(1.0, 0.0)


def part_scores(
    given: Given, logits: Mapping[str, Floats], calibrations: Mapping[str, Calibration]
) -> Floats:
    """(posts, PARTS): the calibrated score of each part, NaN where it has no voice."""
    scores = np.full((len(given.rows), len(PARTS)), np.nan)
    for name, own in logits.items():
        scores[:, PARTS.index(name)] = calibrated(own, calibrations[name])
    return scores


def combined(scores: Floats, combine: Combine, ensemble: Ensemble) -> Floats:
    """One score per post; NaN where no part has a voice."""
    found = np.full(len(scores), np.nan)
    for i, row in enumerate(scores):
        there = {p: float(s) for p, s in zip(PARTS, row, strict=True) if np.isfinite(s)}
        if not there:
            continue
        if combine == "network":
            found[i] = there["three_branch"]
        elif combine == "svm":
            found[i] = ensemble.score(there)[0]
        else:
            found[i] = RULES[combine](list(there.values()))
    return found


def _ensemble(
    given: Given,
    scores: Floats,
    calibrations: Mapping[str, Calibration],
    train: Ints,
    validation: Ints,
    settings: Settings,
    course: Course,
) -> Ensemble:
    if settings.n_folds < 0:
        return fit_ensemble(scores[train], given.positive[train])
    if settings.n_folds == 0:
        return fit_ensemble(scores[validation], given.positive[validation])
    own = out_of_fold_scores(given, calibrations, train, validation, settings, course)
    return fit_ensemble(own, given.positive[train])


def out_of_fold_scores(
    given: Given,
    calibrations: Mapping[str, Calibration],
    train: Ints,
    validation: Ints,
    settings: Settings,
    course: Course = ALONE,
) -> Floats:
    """(training posts, PARTS): scores by networks that saw no post of the same fold.

    Networks and backbone are new for each fold: a backbone knows the label of each picture that it
    learnt from. The vectors of words, which know no labels, are those of all training posts.
    """
    labels = [LABELS[int(given.positive[i])] for i in train]
    folds = np.array(grouped_folds(labels, [given.groups[i] for i in train], settings.n_folds))
    scores = np.full((len(train), len(PARTS)), np.nan)
    for fold in range(settings.n_folds):
        rest, held = train[folds != fold], np.flatnonzero(folds == fold)
        of_fold = course.of(f"fold {fold + 1}")
        own = _seen_anew(given, rest, validation, settings, of_fold)
        for name, switches in networks_to_learn(own, rest, validation, settings).items():
            if name not in calibrations:
                continue
            network, _ = fit_network(own, switches, rest, validation, settings, of_fold.of(name))
            logits = network_logits(network, own, train[held])[train[held]]
            scores[held, PARTS.index(name)] = calibrated(logits, calibrations[name])
    return scores


def _seen_anew(
    given: Given, train: Ints, validation: Ints, settings: Settings, course: Course
) -> Given:
    """The same posts, their pictures seen by a backbone that learnt from these rows alone."""
    backbone = fit_backbone(
        given.posts, given.positive, train, validation, settings, course.of("pictures")
    )
    maps = maps_of_posts(given.posts, backbone)
    rows = [row._replace(maps=own) for row, own in zip(given.rows, maps, strict=True)]
    return given._replace(rows=rows, backbone=backbone)


def _reading(settings: Settings) -> Config:
    """A config without networks: as much as `prepare` reads."""
    return Config(
        format=FORMAT,
        preprocessing=PREPROCESSING,
        labels=LABELS,
        positive_class=POSITIVE_CLASS,
        threshold=0.5,
        backbone=settings.backbone,
        topic_tags=settings.topic_tags,
        languages=settings.languages,
        with_words_in_pictures=settings.with_words_in_pictures,
        networks={},
        calibrations={},
        combine=settings.combine,
        ensemble=Ensemble(()),
        weights_sha256="",
        trained_on=settings.trained_on,
    )


def _readable(given: Given, switches: Switches, rows: Ints) -> Ints:
    """The rows in which any of the branches has something to read."""

    def reads(row: Prepared) -> bool:
        there = {"image": row.maps is not None, "text": bool(row.words), "tags": bool(row.tags)}
        return any(there[name] for name in switches.branches)

    return np.array([i for i in rows.tolist() if reads(given.rows[i])], dtype=np.int64)


def main() -> None:
    """The command line of the module's docstring."""
    parser = argparse.ArgumentParser(description="Train the three_branch detector.")
    parser.add_argument("--data", type=Path, required=True, help="folder that holds mediaeval2016/")
    parser.add_argument("--out", type=Path, required=True, help="weights folder to write")
    parser.add_argument("--by", choices=("event", "image"), default="event", help="how to split")
    parser.add_argument("--no-ocr", action="store_true", help="do not read words in pictures")
    parser.add_argument("--cache", type=Path, help="where words in pictures are kept: a JSON file")
    parser.add_argument("--image-weights", type=Path, help="its weights, as torchvision has them")
    parser.add_argument(
        "--image-encoder",
        choices=BACKBONES,
        help="with --image-weights: vgg19, else small",
    )
    parser.add_argument("--topic", nargs="+", default=TOPIC_TAGS, help="hashtags of the topic")
    parser.add_argument("--folds", type=int, default=3, help="of the ensemble; 0: on validation")
    parser.add_argument("--max-epochs", type=int, default=NETWORK.max_epochs)
    given = parser.parse_args()
    torch.set_num_threads(1)
    labelled = read_posts("mediaeval2016", given.data / "mediaeval2016")
    read = None if given.no_ocr else cached_reader(default_engine(), given.cache)
    posts = whole_posts(labelled, read)
    groups = groups_by_image(labelled)
    splits = split_by_group(labelled, groups, keep_published=given.by == "event")
    positive = np.array([post.label == POSITIVE_CLASS for post in labelled])
    train, validation = (rows_of_split(splits, name) for name in ("train", "validation"))
    settings = Settings(
        topic_tags=tuple(given.topic),
        with_words_in_pictures=not given.no_ocr,
        backbone=given.image_encoder or ("vgg19" if given.image_weights else "small"),
        image_weights=given.image_weights,
        pictures=FINE_TUNED if given.image_weights else PICTURES,
        n_folds=given.folds,
        network=msgspec.structs.replace(NETWORK, max_epochs=given.max_epochs),
    )
    model = fit(posts, positive, train, validation, groups, settings, lambda line: print(line))
    save(model, given.out)


if __name__ == "__main__":
    main()
