"""Factify's baselines and what goes beyond them, measured on its files or on invented pairs.

    python -m detectors.evaluate_factify --generated 200 --cross-encoder --unseen
    python -m detectors.evaluate_factify --generated 200 --news DATA
    python -m detectors.evaluate_factify --train train.csv --test val.csv --images FOLDER

--cross-encoder trains the network that reads claim and document together, which takes minutes;
--unseen has the invented pairs of the test tell of events that those of training do not.
FOLDER holds the pictures under the last part of their addresses. Prints one JSON object: ten rows
as published, the rows beyond, confusion matrices, the thresholds of the label rule, and the note
that most labels come from the scores themselves. Image features here are thumbnails, since no
weights of a ResNet50 are shipped; `detectors.factify` takes any function.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from detectors.datasets import factify as factify_files
from detectors.datasets.generated_pairs import EVENTS, LabelledPair, generate, thumbnail
from detectors.datasets.news_pairs import generate_from_news
from detectors.factify import (
    CIRCULAR,
    CLASSES,
    PAPER_BEST,
    Image,
    Row,
    Scores,
    class_numbers,
    evaluate,
    fit_thresholds,
    label_pair,
    score_pairs,
)
from detectors.multiclass import confusion_matrix, weighted_f1_of
from detectors.sentences import MeanPooled, SentenceEncoder

if TYPE_CHECKING:
    from detectors.encoder import Encoder

IMAGE_ENCODER = "thumbnail 8x8"
#: Events kept for the test by --unseen.
N_UNSEEN = 3


def load_from(folder: Path | None) -> Callable[[str], Image | None]:
    """Pictures by the last part of their address, read with Pillow; None for what cannot be."""

    def load(address: str) -> Image | None:
        from PIL import Image as Pictures

        if folder is None:
            return None
        try:
            with Pictures.open(folder / address.rstrip("/").rsplit("/", 1)[-1]) as opened:
                return np.asarray(opened.convert("RGB"), dtype=np.uint8)
        except (OSError, ValueError):
            return None

    return load


def report(
    train: Sequence[LabelledPair],
    test: Sequence[LabelledPair],
    encoder: SentenceEncoder,
    reader: Encoder | None = None,
) -> dict[str, Any]:
    """All that is printed, as plain values. reader: the encoder of which a cross-encoder is
    trained; None leaves its row out."""
    scores = {
        name: score_pairs([p.pair for p in pairs], encoder, thumbnail)
        for name, pairs in (("train", train), ("test", test))
    }
    labels = {"train": [p.label for p in train], "test": [p.label for p in test]}
    rows = evaluate(scores["train"], labels["train"], scores["test"], labels["test"])
    if reader is not None:
        rows.append(cross_encoder_row(train, test, encoder, reader))
    return {
        "note": CIRCULAR,
        "encoder": encoder.name,
        "image_encoder": IMAGE_ENCODER,
        "n_train": len(train),
        "n_test": len(test),
        "classes": CLASSES,
        "paper_best_weighted_f1": PAPER_BEST,
        "rows": [
            {
                "setting": row.setting,
                "algorithm": row.algorithm,
                "weighted_f1": round(row.weighted_f1, 4),
                "confusion": row.confusion.tolist(),
            }
            for row in rows
        ],
        "label_rule": rule_report(scores, labels, encoder.name),
    }


def cross_encoder_row(
    train: Sequence[LabelledPair],
    test: Sequence[LabelledPair],
    sentences: SentenceEncoder,
    reader: Encoder,
) -> Row:
    """Trains a cross-encoder on one part and measures it on the other. Cost: minutes."""
    from detectors.cross_encoder import classify, fit

    labels = [pair.label for pair in train]
    made = fit(reader, [pair.pair for pair in train], labels, sentences, thumbnail)
    found = classify(made, [pair.pair for pair in test], sentences, thumbnail)
    wanted = class_numbers([pair.label for pair in test])
    matrix = confusion_matrix(wanted, found, len(CLASSES))
    return Row("read together", "cross-encoder", weighted_f1_of(matrix), matrix)


def rule_report(
    scores: dict[str, list[Scores]], labels: dict[str, list[str]], encoder: str
) -> dict[str, Any]:
    """How far the paper's rule, with thresholds fitted on train, repeats the labels of test."""
    thresholds = fit_thresholds(scores["train"], labels["train"], encoder, IMAGE_ENCODER)
    pairs = zip(scores["test"], labels["test"], strict=True)
    given = [(label_pair(s, thresholds), label) for s, label in pairs if label != "Refute"]
    kept = [(found, label) for found, label in given if found is not None]
    matrix = confusion_matrix(
        class_numbers([label for _, label in kept]),
        class_numbers([found for found, _ in kept]),
        len(CLASSES),
    )
    return {
        "thresholds": {f: getattr(thresholds, f) for f in thresholds.__struct_fields__},
        "n": len(given),
        "n_dropped": len(given) - len(kept),
        "weighted_f1": round(weighted_f1_of(matrix), 4),
        "confusion": matrix.tolist(),
    }


def measure(
    generated: int | None,
    train: Path | None,
    test: Path | None,
    images: Path | None,
    *,
    news: Path | None = None,
    cross: bool = False,
    unseen: bool = False,
) -> dict[str, Any]:
    """The report about `generated` pairs per class, or about two files of Factify.

    news: a folder of data of whose news and pictures the pairs are made (`news_pairs`); without it
    they are invented. cross: with a cross-encoder. unseen: the invented test pairs tell of N_UNSEEN
    other events.

    Raises: ValueError if it is given neither, MissingDataset, BadFile, OSError,
    EncoderUnavailable.
    """
    encoder = MeanPooled()
    if generated and news:
        known, judged = generate_from_news(news, generated, encoder)
    elif generated:
        told = (EVENTS[:-N_UNSEEN], EVENTS[-N_UNSEEN:]) if unseen else (EVENTS, EVENTS)
        known, judged = (list(generate(generated, i, events)) for i, events in enumerate(told, 1))
    elif train and test:
        load = load_from(images)
        known, judged = (list(factify_files.read(path, load)) for path in (train, test))
    else:
        raise ValueError("give --generated N, or --train FILE and --test FILE")
    reader = None
    if cross:
        from detectors.encoder import read_encoder

        reader = read_encoder()
    return report(known, judged, encoder, reader)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m detectors.evaluate_factify")
    parser.add_argument("--generated", type=int, help="invented pairs per class, instead of files")
    parser.add_argument("--news", type=Path, help="folder of data: pairs of its news and pictures")
    parser.add_argument("--train", type=Path)
    parser.add_argument("--test", type=Path)
    parser.add_argument("--images", type=Path)
    parser.add_argument("--cross-encoder", action="store_true")
    parser.add_argument("--unseen", action="store_true")
    options = parser.parse_args(arguments)
    try:
        found = measure(
            options.generated,
            options.train,
            options.test,
            options.images,
            news=options.news,
            cross=options.cross_encoder,
            unseen=options.unseen,
        )
    except ValueError as error:
        parser.error(str(error))
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
