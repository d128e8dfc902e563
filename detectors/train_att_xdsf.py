"""Train the `att_xdsf` detector.

    python -m detectors.train_att_xdsf --data FOLDER --out WEIGHTS [--set weibo_2017]
        [--fusion attention|concat|tokens] [--modalities text image social]
        [--text frozen|trained|characters] [--encoder NAME]

FOLDER holds `mediaeval2016/` and `weibo_2017/`. `fit` and `att_xdsf.save` are plain functions for
any posts; `detectors.measure_posts` trains the rows of the paper's tables. Cost: two minutes of one
core with the encoder held fast; an encoder that is trained wants a GPU, and is trained there if
there is one. scikit-learn is needed here only.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from detectors.att_xdsf import (
    FORMAT,
    Config,
    Kind,
    Model,
    Prepared,
    TextReader,
    collate,
    make_network,
    read_texts,
    save,
)
from detectors.checkpoints import ALONE, Course
from detectors.datasets import read_posts, weibo_2017
from detectors.datasets.groups import groups_by_image, groups_by_text, split_by_group
from detectors.datasets.whole import rows_of_split, whole_posts
from detectors.encoder import DEFAULT_ENCODER, Encoder, read_encoder
from detectors.evaluation import Bools, Floats
from detectors.labels import LABELS, POSITIVE_CLASS
from detectors.networks.att_xdsf import MODALITIES, WIDTH, AttXdsf, Fusion, Modality
from detectors.networks.images import BACKBONES, Backbone
from detectors.networks.training import (
    Ints,
    Schedule,
    Trained,
    device_of,
    logits_of,
    train_network,
)
from detectors.posts import WholePost
from detectors.social.categories import FIELDS, Field, categories_of
from detectors.text.normalise import PREPROCESSING, normalise
from detectors.three_branch import Maps, maps_of
from detectors.train_tfidf import calibrated, middle_threshold
from detectors.train_three_branch import FINE_TUNED, PICTURES, fit_backbone, sound_calibration
from detectors.train_three_branch import Settings as BranchSettings
from detectors.trained import Calibration

#: The paper names Adam and cross-entropy, no rate, batch or number of epochs: these are ours. Its
#: formula has epsilon inside the root, torch has it outside.
NETWORK = Schedule(learning_rate=1e-3, batch=64, max_epochs=20, patience=4)
#: Characters that are met less often are not told apart.
MIN_COUNT = 3


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a user may choose. drop_modality: share of posts that text or picture is hidden from in
    training, so that the network learns to do without."""

    modalities: tuple[Modality, ...] = MODALITIES
    fusion: Fusion = "attention"
    width: int = WIDTH
    text: Kind = "frozen"
    encoder: str = DEFAULT_ENCODER
    backbone: str = "small"
    image_weights: Path | None = None
    fields: tuple[Field, ...] = FIELDS
    drop_modality: float = 0.1
    network: Schedule = NETWORK
    pictures: Schedule = PICTURES
    trained_on: str = field(default_factory=lambda: date.today().isoformat())


class Given(NamedTuple):
    """Posts as the network reads them, and what reads them."""

    rows: list[Prepared]
    positive: Bools
    reader: TextReader
    encoder: Encoder | None
    backbone: Backbone

    def lengths(self) -> list[int]:
        """How many tokens each post has."""
        return [len(row.text) for row in self.rows]


def fit(
    posts: Sequence[WholePost],
    positive: Bools,
    train: Ints,
    validation: Ints,
    settings: Settings | None = None,
    course: Course = ALONE,
) -> Model:
    """A detector from labelled posts; posts that are neither train nor validation are not used.
    positive: whether each is likely_false."""
    settings = settings or Settings()
    given = ready(posts, positive, train, validation, settings, course=course)
    network, _ = fit_network(given, train, validation, settings, course.of("att_xdsf"))
    logits = network_logits(network, given, validation)
    calibration = sound_calibration(positive, logits, validation)
    scores = calibrated(logits[validation], calibration)
    config = msgspec.structs.replace(
        _config(given, settings),
        calibration=calibration,
        threshold=middle_threshold(positive[validation], scores),
    )
    return Model(config, network.cpu(), given.backbone, given.encoder)


def ready(
    posts: Sequence[WholePost],
    positive: Bools,
    train: Ints,
    validation: Ints,
    settings: Settings,
    states: Sequence[NDArray[Any]] | None = None,
    course: Course = ALONE,
) -> Given:
    """All posts as the network reads them, and a backbone from the training pictures.

    states: of the texts, if an encoder that is held fast has read them already.
    """
    encoder, reader = None, TextReader(kind=settings.text, encoder="")
    texts = [post.content.text for post in posts]
    if settings.text == "characters":
        characters = known_characters([texts[i] for i in train])
        reader = msgspec.structs.replace(reader, characters=characters)
    else:
        encoder = read_encoder(settings.encoder)
        reader = TextReader(kind=settings.text, encoder=settings.encoder, sha256=encoder.sha256)
    read = read_texts(texts, reader, encoder) if states is None else states
    branch = BranchSettings(
        backbone=settings.backbone,
        image_weights=settings.image_weights,
        pictures=settings.pictures,
    )
    backbone = fit_backbone(posts, positive, train, validation, branch, course.of("pictures"))
    social = categories_of(settings.fields, [post.attributes for post in posts])
    maps: dict[bytes, Maps] = {}
    rows = []
    for i, post in enumerate(posts):
        picture = post.picture
        if picture is not None and picture.sha256 not in maps:
            maps[picture.sha256] = maps_of(picture, backbone)
        own = None if picture is None else maps[picture.sha256]
        rows.append(Prepared(read[i], own, social[i]))
    return Given(rows, positive, reader, encoder, backbone)


def known_characters(texts: Sequence[str]) -> str:
    """The characters that occur MIN_COUNT times, the commonest first.

    >>> known_characters(["abba", "ab", "c"])
    'ab'
    """
    counts = Counter(c for text in texts for c in normalise(text))
    return "".join(
        c for c, n in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])) if n >= MIN_COUNT
    )


def fit_network(
    given: Given, train: Ints, validation: Ints, settings: Settings, course: Course = ALONE
) -> tuple[AttXdsf, Trained]:
    """One network, from posts that are ready."""
    torch.manual_seed(settings.network.seed)
    network = make_network(_config(given, settings), given.encoder)
    drop = settings.drop_modality if len(settings.modalities) > 1 else 0.0

    def forward(rows: Ints) -> Tensor:
        inputs = collate([given.rows[i] for i in rows], given.backbone.n_channels)
        if network.training and drop:
            hidden = torch.rand(2, len(rows)) < drop
            inputs = inputs._replace(
                text_there=inputs.text_there & ~hidden[0].unsqueeze(1),
                image_there=inputs.image_there & ~hidden[1],
            )
        logits: Tensor = network(inputs.to(device_of(network)))
        return logits

    trained = train_network(
        network,
        forward,
        given.positive,
        train,
        validation,
        settings.network,
        given.lengths(),
        course,
    )
    return network, trained


def network_logits(network: AttXdsf, given: Given, rows: Ints) -> Floats:
    """The logit of each of these posts, NaN for others. (posts,)"""

    def forward(chosen: Ints) -> Tensor:
        inputs = collate([given.rows[i] for i in chosen], given.backbone.n_channels)
        logits: Tensor = network(inputs.to(device_of(network)))
        return logits

    found = np.full(len(given.rows), np.nan)
    found[rows] = logits_of(network, forward, rows, lengths=given.lengths())
    return found


def _config(given: Given, settings: Settings) -> Config:
    return Config(
        format=FORMAT,
        preprocessing=PREPROCESSING,
        labels=LABELS,
        positive_class=POSITIVE_CLASS,
        threshold=0.5,
        calibration=Calibration(1.0, 0.0),
        modalities=tuple(m for m in MODALITIES if m in settings.modalities),
        fusion=settings.fusion,
        width=settings.width,
        text=given.reader,
        backbone=settings.backbone,
        fields=settings.fields,
        weights_sha256="",
        trained_on=settings.trained_on,
    )


def main() -> None:
    """The command line of the module's docstring."""
    parser = argparse.ArgumentParser(description="Train the att_xdsf detector.")
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--out", type=Path, required=True, help="weights folder to write")
    parser.add_argument("--set", choices=("mediaeval2016", "weibo_2017"), default="mediaeval2016")
    parser.add_argument("--by", choices=("event", "image"), default="event", help="how to split")
    parser.add_argument("--fusion", choices=("attention", "concat", "tokens"), default="attention")
    parser.add_argument("--modalities", nargs="+", choices=MODALITIES, default=MODALITIES)
    parser.add_argument("--text", choices=("frozen", "trained", "characters"), default=None)
    parser.add_argument("--encoder", default=DEFAULT_ENCODER, help="a name or a folder")
    parser.add_argument("--image-weights", type=Path, help="its weights, as torchvision has them")
    parser.add_argument(
        "--image-encoder",
        choices=BACKBONES,
        help="with --image-weights: vit_b_16, else small",
    )
    given = parser.parse_args()
    torch.set_num_threads(1)
    labelled = read_posts(given.set, given.data / given.set)
    is_weibo = given.set == weibo_2017.NAME
    groups = groups_by_text(labelled) if is_weibo else groups_by_image(labelled)
    splits = (
        split_by_group(labelled, groups, test_tenths=3)
        if is_weibo
        else split_by_group(labelled, groups, keep_published=given.by == "event")
    )
    settings = Settings(
        modalities=tuple(given.modalities),
        fusion=given.fusion,
        text=given.text or ("characters" if is_weibo else "frozen"),
        encoder=given.encoder,
        backbone=given.image_encoder or ("vit_b_16" if given.image_weights else "small"),
        image_weights=given.image_weights,
        pictures=FINE_TUNED if given.image_weights else PICTURES,
        fields=weibo_2017.FIELDS if is_weibo else FIELDS,
    )
    positive = np.array([post.label == POSITIVE_CLASS for post in labelled])
    train, validation = (rows_of_split(splits, name) for name in ("train", "validation"))
    save(fit(whole_posts(labelled), positive, train, validation, settings), given.out)


if __name__ == "__main__":
    main()
