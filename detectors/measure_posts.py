"""Measure the networks of whole posts beside their parts and their baselines.

    python -m detectors.measure_posts three-branch --by event --data FOLDER --out FILE.json
    python -m detectors.measure_posts att-xdsf     --by event --data FOLDER --out FILE.json
    python -m detectors.measure_posts weibo                   --data FOLDER --out FILE.json

FOLDER holds `mediaeval2016/` and `weibo_2017/`. Each row of the papers' tables is a network trained
anew on the same posts; rows that FILE.json has already are not trained again, so a run may be
stopped. `python -m detectors.measure_posts table --out FILE.json` prints the rows as Markdown.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from detectors import train_att_xdsf
from detectors.att_xdsf import TextReader, read_texts
from detectors.cards import interval, table
from detectors.datasets import read_posts, weibo_2017
from detectors.datasets.groups import groups_by_image, groups_by_text, split_by_group
from detectors.datasets.labelled import LabelledPost
from detectors.datasets.whole import cached_reader, rows_of_split, whole_posts
from detectors.encoder import read_encoder
from detectors.ensemble import PARTS, RULES, fit_ensemble
from detectors.evaluation import Bools, Floats, auc
from detectors.labels import POSITIVE_CLASS
from detectors.multiclass import (
    accuracy,
    confusion_matrix,
    macro_f1_of,
    measured,
    multiclass_mcc,
    scores_by_class,
)
from detectors.networks.att_xdsf import MODALITIES, Fusion, Modality
from detectors.networks.recurrent import AttRnn, LastState
from detectors.networks.three_branch import Switches
from detectors.networks.training import Ints, Schedule, device_of, logits_of, train_network
from detectors.posts import WholePost
from detectors.social.categories import FIELDS, categories_of
from detectors.text.normalise import features
from detectors.text.ocr import default_engine
from detectors.three_branch import collate
from detectors.train_three_branch import (
    NETWORK,
    Given,
    Settings,
    fit_network,
    network_logits,
    out_of_fold_scores,
    part_scores,
    ready,
    sound_calibration,
)

Say = Callable[[str], None]
Row = dict[str, Any]

#: Of one picture at most so many posts are trained on: two pictures of "sandy" alone are in
#: thousands of posts, and all say the same about a picture.
MAX_PER_PICTURE = 15

#: The rows of Table II, by our names of the branches.
SWITCHES: Mapping[str, Switches] = {
    "three-branch": Switches(),
    "noF": Switches(fused=False),
    "noP": Switches(projected=False),
    "noAtt": Switches(attention=False),
    "image": Switches(branches=("image",)),
    "text": Switches(branches=("text",)),
    "tags": Switches(branches=("tags",)),
    "image+text": Switches(branches=("image", "text")),
    "image+tags": Switches(branches=("image", "tags")),
    "text+tags": Switches(branches=("text", "tags")),
}


class Task(NamedTuple):
    """Labelled posts with their split. groups: what intervals are drawn by. whole: the training
    posts before they were thinned."""

    labelled: list[LabelledPost]
    positive: Bools
    train: Ints
    validation: Ints
    test: Ints
    groups: list[int]
    whole: Ints

    def used(self) -> Ints:
        """Training, validation and test."""
        return np.concatenate([self.train, self.validation, self.test])

    def measure(self, scores: Floats) -> Row:
        """What a row says of scores (posts,); a post without one counts as not flagged."""
        predicted = (np.nan_to_num(scores, nan=0.0) >= 0.5).astype(np.int64)[self.test]
        labels = self.positive.astype(np.int64)[self.test]
        drawn = np.array(self.groups)[self.test]
        matrix = confusion_matrix(labels, predicted, 2)
        by_accuracy = measured(accuracy, labels, predicted, 2, drawn)
        by_mcc = measured(multiclass_mcc, labels, predicted, 2, drawn)
        false = scores_by_class(matrix)[1]
        area, *area_interval = self._area(np.nan_to_num(scores, nan=0.0)[self.test])
        return {
            "n": len(labels),
            "no_voice": int(np.isnan(scores[self.test]).sum()),
            "accuracy": round(by_accuracy.value, 4),
            "accuracy_interval": [round(by_accuracy.low, 4), round(by_accuracy.high, 4)],
            "mcc": round(by_mcc.value, 4),
            "mcc_interval": [round(by_mcc.low, 4), round(by_mcc.high, 4)],
            "auc": round(area, 4),
            "auc_interval": [round(end, 4) for end in area_interval],
            "macro_f1": round(macro_f1_of(matrix), 4),
            "precision": round(false.precision, 4),
            "recall": round(false.recall, 4),
            "f1": round(false.f1, 4),
        }

    def _area(self, scores: Floats, n_resamples: int = 1000) -> tuple[float, float, float]:
        """The area under the curve of the test posts, and its interval over groups drawn anew."""
        positive = self.positive[self.test]
        group = np.unique(np.array(self.groups)[self.test], return_inverse=True)[1]
        n_groups, random = int(group.max()) + 1, np.random.default_rng(0)
        drawn = []
        for _ in range(n_resamples):
            times = np.bincount(random.integers(0, n_groups, n_groups), minlength=n_groups)
            drawn.append(auc(positive, scores, times[group].astype(np.float64)))
        low, high = np.percentile(drawn, [2.5, 97.5])
        return auc(positive, scores), float(low), float(high)


class Book:
    """The rows measured so far, kept in a file."""

    def __init__(self, path: Path, about: Row, say: Say) -> None:
        self.path, self._say = path, say
        self.held: Row = {"about": about, "rows": {}}
        if path.is_file():
            self.held["rows"] = json.loads(path.read_text("utf-8"))["rows"]

    def has(self, *names: str) -> bool:
        """Whether all these rows are there."""
        return all(name in self.held["rows"] for name in names)

    def write(self, name: str, row: Row) -> None:
        """Adds a row."""
        self.held["rows"][name] = row
        self.path.write_text(json.dumps(self.held, indent=1) + "\n", "utf-8")
        self._say(f"{name}: accuracy {row['accuracy']:.3f}, MCC {row['mcc']:.3f}")


def mediaeval(folder: Path, by: str) -> Task:
    """MediaEval 2016; `by` event or image. Groups of the intervals: pictures."""
    labelled = read_posts("mediaeval2016", folder / "mediaeval2016")
    groups = groups_by_image(labelled)
    splits = split_by_group(labelled, groups, keep_published=by == "event")
    positive = np.array([post.label == POSITIVE_CLASS for post in labelled])
    train, validation, test = (rows_of_split(splits, n) for n in ("train", "validation", "test"))
    return Task(labelled, positive, thinned(train, groups), validation, test, groups, train)


def weibo(folder: Path) -> Task:
    """Weibo 2017, 7:3 by near-duplicate group; a seventh of the seven is validation."""
    labelled = read_posts("weibo_2017", folder / "weibo_2017")
    groups = groups_by_text(labelled)
    splits = split_by_group(labelled, groups, test_tenths=3)
    positive = np.array([post.label == POSITIVE_CLASS for post in labelled])
    train, validation, test = (rows_of_split(splits, n) for n in ("train", "validation", "test"))
    return Task(labelled, positive, train, validation, test, groups, train)


def thinned(rows: Ints, groups: Sequence[int], most: int = MAX_PER_PICTURE, seed: int = 0) -> Ints:
    """At most so many rows of each group, drawn by seed.

    >>> thinned(np.arange(5), [0, 0, 0, 0, 4], most=2).tolist()
    [2, 3, 4]
    """
    n_of: Counter[int] = Counter()
    kept = []
    for row in np.random.default_rng(seed).permutation(rows).tolist():
        n_of[groups[row]] += 1
        if n_of[groups[row]] <= most:
            kept.append(row)
    return np.array(sorted(kept), dtype=np.int64)


def text_floor(task: Task, train: Ints) -> Floats:
    """TF-IDF of word 1-2-grams (Chinese: of characters) and a logistic regression, classes weighed
    alike, calibrated on validation as all other rows are. (posts,)"""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    is_chinese = {post.lang for post in task.labelled} == {"zh"}
    vectorizer = (
        TfidfVectorizer(analyzer="char", ngram_range=(1, 2), min_df=2, sublinear_tf=True)
        if is_chinese
        else TfidfVectorizer(analyzer=features, min_df=2, sublinear_tf=True)
    )
    texts = [post.text for post in task.labelled]
    vectorizer.fit([texts[i] for i in train])
    x = vectorizer.transform(texts)
    model = LogisticRegression(max_iter=1000, class_weight="balanced")
    model.fit(x[train], task.positive[train])
    return _probabilities(model.decision_function(x), task)


def commonest_class(task: Task) -> Floats:
    """The commoner class of the training posts, for all. (posts,)"""
    return np.full(len(task.positive), float(np.mean(task.positive[task.train]) >= 0.5))


def measure_floors(task: Task, book: Book) -> None:
    """The rows that every table has."""
    ways: dict[str, Callable[[], Floats]] = {
        "commonest class": lambda: commonest_class(task),
        "TF-IDF": lambda: text_floor(task, task.train),
    }
    if len(task.whole) > len(task.train):
        ways["TF-IDF, all posts"] = lambda: text_floor(task, task.whole)
    for name, way in ways.items():
        if not book.has(name):
            book.write(name, task.measure(way()))


def measure_three_branch(
    task: Task, posts: Sequence[WholePost], settings: Settings, book: Book
) -> None:
    """Table II of Wang et al., and the baselines of its Table I that need no given weights."""
    measure_floors(task, book)
    given = ready(posts, task.positive, task.train, task.validation, task.groups, settings)
    logits: dict[str, Floats] = {}
    for name, switches in SWITCHES.items():
        part = {"three-branch": "three_branch"}.get(name, name)
        if book.has(name) and (part not in PARTS or book.has("ensemble svm")):
            continue
        network, trained = fit_network(given, switches, task.train, task.validation, settings)
        own = network_logits(network, given, task.used())
        if part in PARTS:
            logits[part] = own
        scores = _probabilities(own, task)
        book.write(name, task.measure(scores) | {"epoch": trained.epoch})
    if not book.has("ensemble svm"):
        _measure_ensembles(task, given, logits, settings, book)
    if not book.has("noOCR"):
        without = without_words(posts)
        bare = ready(without, task.positive, task.train, task.validation, task.groups, settings)
        network, _ = fit_network(bare, Switches(), task.train, task.validation, settings)
        own = network_logits(network, bare, task.used())
        book.write("noOCR", task.measure(_probabilities(own, task)))
    for name, make in RECURRENT.items():
        if not book.has(name):
            book.write(name, task.measure(_recurrent(name, make, task, given, settings)))


def without_words(posts: Sequence[WholePost]) -> list[WholePost]:
    """The posts as if nobody had read their pictures."""
    return [post._replace(overlaid=None) for post in posts]


def _probabilities(logits: Floats, task: Task) -> Floats:
    calibration = sound_calibration(task.positive, logits, task.validation)
    found: Floats = 1 / (1 + np.exp(-(calibration.slope * logits + calibration.offset)))
    return found


def _measure_ensembles(
    task: Task, given: Given, logits: Mapping[str, Floats], settings: Settings, book: Book
) -> None:
    calibrations = {
        name: sound_calibration(task.positive, own, task.validation) for name, own in logits.items()
    }
    scores = part_scores(given, logits, calibrations)
    svm = fit_ensemble(scores[task.validation], task.positive[task.validation])
    in_sample = fit_ensemble(scores[task.train], task.positive[task.train])
    unseen = out_of_fold_scores(given, calibrations, task.train, task.validation, settings)
    out_of_fold = fit_ensemble(unseen, task.positive[task.train])
    ways: dict[str, Callable[[dict[str, float]], float]] = {
        **{f"ensemble {name}": _over(rule) for name, rule in RULES.items()},
        "ensemble svm, in-sample": lambda own: in_sample.score(own)[0],
        "ensemble svm, on validation": lambda own: svm.score(own)[0],
        "ensemble svm": lambda own: out_of_fold.score(own)[0],
    }
    for name, way in ways.items():
        found = np.full(len(scores), np.nan)
        for i in task.test:
            own = {p: float(s) for p, s in zip(PARTS, scores[i], strict=True) if np.isfinite(s)}
            if own:
                found[i] = way(own)
        book.write(name, task.measure(found))


def _over(rule: Callable[[Sequence[float]], float]) -> Callable[[dict[str, float]], float]:
    return lambda own: rule(list(own.values()))


#: name -> network, from the widths of a word, of the one-hot attributes, and of a picture.
RECURRENT: Mapping[str, Callable[[int, int, int], nn.Module]] = {
    "GRU1": lambda word, social, picture: LastState("gru", 1, word),
    "GRU2": lambda word, social, picture: LastState("gru", 2, word),
    "LSTM1": lambda word, social, picture: LastState("lstm", 1, word),
    "att-RNN": AttRnn,
}


def _recurrent(
    name: str,
    make: Callable[[int, int, int], nn.Module],
    task: Task,
    given: Given,
    settings: Settings,
) -> Floats:
    """The baselines on the words that the text branch reads; att-RNN on pictures and attributes,
    too."""
    torch.manual_seed(settings.network.seed)
    categories = categories_of(FIELDS, [post.attributes for post in given.posts])
    n_categories = [f.n_categories for f in FIELDS]
    one_hot = torch.cat(
        [
            nn.functional.one_hot(torch.from_numpy(categories[:, i]), n).float()
            for i, n in enumerate(n_categories)
        ],
        dim=1,
    )
    n_channels = given.backbone.n_channels
    network = make(given.vectors.width, sum(n_categories), n_channels)

    def forward(rows: Ints) -> Tensor:
        device = device_of(network)
        inputs = collate([given.rows[i] for i in rows], given.vectors, n_channels).to(device)
        beside: tuple[Tensor, ...] = ()
        if name == "att-RNN":
            picture = inputs.maps.mean(dim=(2, 3)) * inputs.image_there.unsqueeze(1)
            beside = one_hot[rows].to(device), picture
        logits: Tensor = network(inputs.words, inputs.words_there, *beside)
        return logits

    lengths = given.lengths()
    train_network(
        network, forward, task.positive, task.train, task.validation, settings.network, lengths
    )
    everything = np.concatenate([task.validation, task.test])
    own = np.full(len(task.positive), np.nan)
    own[everything] = logits_of(network, forward, everything, lengths=lengths)
    return _probabilities(own, task)


#: The rows of Table 3 of Zuo et al., and the other reading of its attention.
FUSIONS: Mapping[str, tuple[tuple[Modality, ...], Fusion]] = {
    "text": (("text",), "concat"),
    "image": (("image",), "concat"),
    "social": (("social",), "concat"),
    "text+social": (("text", "social"), "concat"),
    "text+image": (("text", "image"), "concat"),
    "image+social": (("image", "social"), "concat"),
    "XDSF": (MODALITIES, "concat"),
    "att-XDSF": (MODALITIES, "attention"),
    "att-XDSF, tokens": (MODALITIES, "tokens"),
}
#: What of them can be measured without pictures.
WEIBO_FUSIONS: Mapping[str, tuple[tuple[Modality, ...], Fusion]] = {
    "text": (("text",), "concat"),
    "social": (("social",), "concat"),
    "text+social": (("text", "social"), "concat"),
    "text+social, attention": (("text", "social"), "attention"),
    "text+social, tokens": (("text", "social"), "tokens"),
}


def measure_att_xdsf(
    task: Task,
    posts: Sequence[WholePost],
    settings: train_att_xdsf.Settings,
    fusions: Mapping[str, tuple[tuple[Modality, ...], Fusion]],
    book: Book,
    states: Sequence[NDArray[Any]] | None = None,
) -> None:
    """Table 3 of Zuo et al.: each row a network trained anew."""
    measure_floors(task, book)
    given = train_att_xdsf.ready(
        posts, task.positive, task.train, task.validation, settings, states
    )
    for name, (modalities, fusion) in fusions.items():
        if book.has(name):
            continue
        own = replace(settings, modalities=modalities, fusion=fusion)
        network, trained = train_att_xdsf.fit_network(given, task.train, task.validation, own)
        logits = train_att_xdsf.network_logits(network, given, task.used())
        book.write(name, task.measure(_probabilities(logits, task)) | {"epoch": trained.epoch})


def states_of(texts: Sequence[str], cache: Path | None) -> list[NDArray[Any]]:
    """The states of the embedded encoder for each text; kept in a file, since reading 14,000 tweets
    takes minutes."""
    if cache is not None and cache.is_file():
        held = np.load(cache)
        parts = np.split(held["flat"], np.cumsum(held["n"])[:-1])
        known = dict(zip(held["texts"].tolist(), parts, strict=True))
        if all(text in known for text in texts):
            return [known[text] for text in texts]
    distinct = sorted(set(texts))
    found = read_texts(distinct, TextReader(), read_encoder())
    if cache is not None:
        n = np.array([len(own) for own in found])
        np.savez(cache, flat=np.concatenate(found), n=n, texts=np.array(distinct))
    known = dict(zip(distinct, found, strict=True))
    return [known[text] for text in texts]


def card_table(held: Row) -> str:
    """The rows of a file as Markdown."""
    rows = [
        [
            name,
            interval(row, "accuracy"),
            interval(row, "mcc"),
            interval(row, "auc"),
            *(f"{row[key]:.2f}" for key in ("macro_f1", "precision", "recall")),
        ]
        for name, row in held["rows"].items()
    ]
    return table(["row", "accuracy", "MCC", "AUC", "macro-F1", "precision", "recall"], rows)


def main() -> None:
    """The command line of the module's docstring."""
    parser = argparse.ArgumentParser(description="Measure the networks of whole posts.")
    parser.add_argument("what", choices=("three-branch", "att-xdsf", "weibo", "table"))
    parser.add_argument("--data", type=Path, help="folder of the data sets; not for table")
    parser.add_argument("--out", type=Path, required=True, help="the file of the rows")
    parser.add_argument("--by", choices=("event", "image"), default="event")
    parser.add_argument("--cache", type=Path, help="where words in pictures are kept")
    parser.add_argument("--states", type=Path, help="where states of texts are kept")
    parser.add_argument("--batch", type=int)
    parser.add_argument("--max-epochs", type=int)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    started = time.monotonic()

    def say(line: str) -> None:
        print(f"{time.monotonic() - started:6.0f} s  {line}", flush=True)

    what = given.what
    if what == "table":
        print(card_table(json.loads(given.out.read_text("utf-8"))))
        return
    if given.data is None:
        parser.error("--data FOLDER is needed to measure")
    usual = NETWORK if what == "three-branch" else train_att_xdsf.NETWORK
    chosen = {"batch": given.batch, "max_epochs": given.max_epochs, "seed": given.seed}
    schedule = msgspec.structs.replace(usual, **{k: v for k, v in chosen.items() if v})
    task = weibo(given.data) if what == "weibo" else mediaeval(given.data, given.by)
    book = Book(given.out, about(task, what, given.by, schedule), say)
    say(f"{len(task.train)} posts to train on")
    if what == "three-branch":
        posts = whole_posts(task.labelled, cached_reader(default_engine(), given.cache))
        measure_three_branch(task, posts, Settings(network=schedule), book)
        return
    posts = whole_posts(task.labelled)
    if what == "weibo":
        own = train_att_xdsf.Settings(text="characters", fields=weibo_2017.FIELDS, network=schedule)
        measure_att_xdsf(task, posts, own, WEIBO_FUSIONS, book)
    else:
        states = states_of([post.text for post in task.labelled], given.states)
        own = train_att_xdsf.Settings(network=schedule)
        measure_att_xdsf(task, posts, own, FUSIONS, book, states)


def about(task: Task, what: str, by: str, schedule: Schedule) -> Row:
    """What the rows were measured on."""
    of = {"train": task.train, "validation": task.validation, "test": task.test}
    return {
        "what": what,
        "split": "text" if what == "weibo" else by,
        "schedule": msgspec.to_builtins(schedule),
        "sizes": {
            name: {
                "likely_false": int(task.positive[rows].sum()),
                "likely_true": int((~task.positive[rows]).sum()),
                "pictures": len({p for i in rows for p in task.labelled[i].images}),
            }
            for name, rows in of.items()
        },
    }


if __name__ == "__main__":
    main()
