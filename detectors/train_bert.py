"""Train, calibrate and measure the adapter of the `bert` detector, and write its weights folder.

    python -m detectors.train_bert explore   --data FOLDER --work W rank=64 epochs=2
    python -m detectors.train_bert fit       --data FOLDER --out detectors/weights/bert
    python -m detectors.train_bert wide      --data FOLDER --out detectors/weights/bert
    python -m detectors.train_bert threshold --data FOLDER --out detectors/weights/bert
    python -m detectors.train_bert leave-out --data FOLDER --work W liar constraint ...
    python -m detectors.train_bert measure   --data FOLDER --work W --out detectors/weights/bert

FOLDER holds `text/` (the labelled sets) and `tweets_2023_csv/` (the calm set); W is for what the
stages leave for each other. `explore` trains with other settings and measures on validation texts:
the adapter's settings are chosen there, and written here as defaults. `fit` trains the adapter and
does what `wide` does: fits the linear part beside it, calibrates both, sets the threshold;
`threshold` does only the last, as after a change of an engine. `leave-out` trains without a set and
measures on it. `measure` scores the test texts and the reported part of the calm set, once, with
the detector as it is shipped, beside `tfidf` and a baseline that learnt from the same texts. A fit
takes about ten minutes of one core.

The lowest layers stay as they are, so what they make of a text is computed once. The layers above
have low-rank adapters (Hu et al., "LoRA", ICLR 2022) beside their six linear maps.
"""

from __future__ import annotations

import argparse
import json
import math
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from detectors import train_tfidf
from detectors.bert import (
    FORMAT,
    SHIPPED_WEIGHTS,
    BertDetector,
    Config,
    EncoderName,
    merge,
    read_config,
    readable,
    write_config,
    write_weights,
)
from detectors.bert_card import model_card
from detectors.checkpoints import CannotTrain, Watch, unwatched
from detectors.datasets.calm import halves, read_calm_posts
from detectors.datasets.labelled import LabelledText
from detectors.datasets.near_duplicates import near_duplicate_groups
from detectors.datasets.splits import uniform
from detectors.detector import Detector
from detectors.encoder import (
    DEFAULT_ENCODER,
    LINEARS,
    Encoder,
    embed,
    is_of_encoder,
    linear_name,
    plain_linear,
    read_encoder,
    run_layer,
    with_weights,
)
from detectors.evaluation import (
    Bools,
    Floats,
    bootstrap_interval,
    confusion,
    macro_f1,
    mcc,
    paired_difference,
    prevalence,
)
from detectors.labels import LABELS, POSITIVE_CLASS
from detectors.networks.training import device_here
from detectors.text.normalise import PREPROCESSING, features
from detectors.tfidf import SHIPPED_WEIGHTS as SHIPPED_TFIDF
from detectors.tfidf import TfidfDetector
from detectors.train_tfidf import (
    CALM_TARGET,
    CHOSEN_ON,
    DOUBTFUL,
    MAX_CALM_SHARE,
    Example,
    calibrated,
    calm_threshold,
    fit_calibration,
    measures,
    positives,
    read_examples,
    rounded,
    sizes,
    validated,
)
from detectors.trained import Calibration
from detectors.training import Learnt, Task, calibrate, changed, learn, positive_of
from detectors.wide import WIDE, WideName
from streams.records import Content

TUNES = ("full", "lora", "head")
#: The highest learning rate of the head beside adapters or alone.
HEAD_RATE = 1e-3
STAGES = ("explore", "fit", "wide", "threshold", "leave-out", "measure")
TRIED = "tried.json"
#: The maps whose inputs int8 levels.
LEVELLED = ("query", "attended", "up")


class Settings(NamedTuple):
    """What is chosen on validation texts.

    frozen: layers without an adapter, counted from below. rank: of the adapters. learning_rate: of
    the adapters at its highest. smoothing: targets are that much / 2 away from 0 and 1.
    calm_weight: how much a calm post, which should be unlike likely_false, weighs beside a labelled
    text (0 leaves them out). max_tokens: of a text. wide: whether there is a linear part as well.
    tune: what is trained beside the head: lora, the adapters; full, all weights of the encoder;
    head, nothing. With full and head, frozen and rank mean nothing.
    """

    frozen: int = 3
    rank: int = 32
    learning_rate: float = 5e-4
    epochs: int = 3
    smoothing: float = 0.1
    calm_weight: float = 1.0
    max_tokens: int = 128
    wide: bool = True
    dropout: float = 0.1
    batch: int = 32
    seed: int = 0
    tune: str = "lora"


Maps = dict[tuple[int, str], tuple[Tensor, Tensor]]


class Adapter(NamedTuple):
    """Trainable tensors. maps: (layer, linear) -> down (rank, n_in), up (n_out, rank). whole: the
    encoder's weights by name, where they are trained themselves."""

    maps: Maps
    head_weight: Tensor
    head_bias: Tensor
    whole: Mapping[str, Tensor] = MappingProxyType({})

    def named(self) -> dict[str, Tensor]:
        """All of them by the names they have in a weights file."""
        head = {"head.weight": self.head_weight, "head.bias": self.head_bias}
        whole = {f"whole.{name}": tensor for name, tensor in self.whole.items()}
        return named(self.maps) | whole | head

    def tensors(self) -> dict[str, Tensor]:
        """As `detectors.bert.read_adapter` reads them."""
        low_rank = named(self.maps)
        found = {name: tensor.detach().cpu() for name, tensor in self.named().items()}
        return {n: t.half() if n in low_rank else t for n, t in found.items()}


def named(maps: Maps) -> dict[str, Tensor]:
    """The low-rank maps by the names they have in a weights file."""
    found = {}
    for (layer, linear), (down, up) in maps.items():
        found[f"layer.{layer}.{linear}.down"] = down
        found[f"layer.{layer}.{linear}.up"] = up
    return found


class Learner(NamedTuple):
    """An encoder with its settings: what turns texts into states and states into logits.

    device: where products are computed ("cpu" or "cuda"), in bfloat16; what is trained lies there
    in float32.
    """

    encoder: Encoder
    settings: Settings
    device: str = "cpu"

    def states(self, texts: Iterable[str]) -> list[Tensor]:
        """What the frozen layers make of each text as published: bfloat16 (tokens, hidden)."""
        return self.states_of_prepared([readable(text) for text in texts])

    def states_of_prepared(self, texts: Sequence[str]) -> list[Tensor]:
        """The same of texts as the tokenizer is to read them."""
        return self.states_of_ids(self.encoder.tokenize(texts, self.settings.max_tokens))

    def states_of_ids(self, ids: Sequence[Sequence[int]]) -> list[Tensor]:
        """The same of texts as the tokenizer has read them; these ids, int64 (tokens,), where no
        layer is frozen since all is trained."""
        if self.settings.tune == "full":
            return [torch.tensor(own) for own in ids]
        found: list[Tensor] = [torch.empty(0)] * len(ids)
        linear = plain_linear(self.encoder)
        with torch.no_grad(), _fast(self.device):
            for batch in by_length([len(own) for own in ids], 64):
                table = _table([torch.tensor(ids[i]) for i in batch]).to(self.device)
                x = embed(self.encoder, table)
                mask = _mask([len(ids[i]) for i in batch], table.shape[1]).to(self.device)
                for layer in range(self.settings.frozen):
                    x = run_layer(self.encoder, layer, x, mask, linear)
                for row, i in enumerate(batch):
                    found[i] = x[row, : len(ids[i])].bfloat16().cpu().clone()
        return found

    def batch_logits(
        self, adapter: Adapter, states: Sequence[Tensor], training: bool = False
    ) -> Tensor:
        """The upper layers with the adapter on one batch. Returns (texts, 2)."""
        x, _ = self.batch_states(
            adapter.maps, states, training, first_only=True, whole=adapter.whole
        )
        kept = F.dropout(x[:, 0].float(), self.settings.dropout, training)
        return F.linear(kept, adapter.head_weight, adapter.head_bias)

    def batch_states(
        self,
        maps: Maps,
        states: Sequence[Tensor],
        training: bool,
        first_only: bool,
        whole: Mapping[str, Tensor] = MappingProxyType({}),
    ) -> tuple[Tensor, Tensor]:
        """What the upper layers with the adapter make of one batch: (texts, tokens, hidden), of
        the first token alone if that is enough; and where tokens are, bool (texts, tokens).

        whole: all of the encoder's weights, where they are trained; BERT's own dropout is then at
        all its places, in the embeddings and in attention as well.
        """
        x = _table(states).to(self.device)
        mask = _mask([len(own) for own in states], x.shape[1]).to(self.device)
        encoder = with_weights(self.encoder, whole)
        plain = plain_linear(encoder)
        dropout = self.settings.dropout

        def linear(y: Tensor, layer: int, name: str) -> Tensor:
            if whole:
                return plain(y, layer, name)
            down, up = maps[layer, name]
            return plain(y, layer, name) + F.linear(F.linear(y, down), up)

        def drop(y: Tensor) -> Tensor:
            return F.dropout(y, dropout, training)

        n_layers = encoder.shape.n_layers
        of_attention = dropout if whole and training else 0.0
        with _fast(self.device):
            if whole:
                x = drop(embed(encoder, x))
            for layer in range(self.settings.frozen, n_layers):
                only = first_only and layer == n_layers - 1
                x = run_layer(encoder, layer, x, mask, linear, drop, only, of_attention)
        return x, mask[:, 0, 0]

    def logits(self, adapter: Adapter, states: Sequence[Tensor]) -> Floats:
        """(z_false - z_true) / 2 of each text, (n,)."""
        found = np.zeros(len(states))
        with torch.no_grad():
            for batch in by_length([len(own) for own in states], 64):
                true, false = self.batch_logits(adapter, [states[i] for i in batch]).unbind(1)
                found[batch] = ((false - true) / 2).cpu().numpy()
        return found

    def new_adapter(self) -> Adapter:
        """An adapter that changes nothing yet."""
        maps = {} if self.settings.tune == "full" else self.new_maps()
        whole = {
            name: tensor.to(self.device).clone().requires_grad_()
            for name, tensor in self.encoder.weights.items()
            if self.settings.tune == "full" and is_of_encoder(name)
        }
        head = torch.randn(2, self.encoder.shape.hidden) * 0.02
        bias = torch.zeros(2, device=self.device, requires_grad=True)
        return Adapter(maps, head.to(self.device).requires_grad_(), bias, whole)

    def new_maps(self) -> Maps:
        """Low-rank maps of every layer that is not frozen; they change nothing yet."""
        rank = self.settings.rank
        maps = {}
        for layer in range(self.settings.frozen, self.encoder.shape.n_layers):
            for linear in LINEARS:
                n_out, n_in = self.encoder.weights[f"{linear_name(layer, linear)}.weight"].shape
                down = (torch.randn(rank, n_in) / math.sqrt(n_in)).to(self.device)
                up = torch.zeros(n_out, rank, device=self.device, requires_grad=True)
                maps[layer, linear] = (down.requires_grad_(), up)
        return maps


class Lesson(NamedTuple):
    """Texts to learn from: their states, targets (n, 2) and weights (n, 2) of the two losses."""

    states: list[Tensor]
    targets: Tensor
    weights: Tensor


def lesson(
    states: Sequence[Tensor], positive: Bools, calm: Sequence[Tensor], settings: Settings
) -> Lesson:
    """Labelled texts, and calm posts, of which only this is known: likely_false is unlikely.

    So a calm post teaches the second logit alone; the first is left free, as no one has checked
    whether the post is true. Two independent logits can do that; one softmax cannot.
    """
    margin = settings.smoothing / 2
    false = torch.from_numpy(positive.astype(np.float32)) * (1 - 2 * margin) + margin
    targets = torch.stack([1 - false, false], dim=1)
    weights = torch.ones_like(targets)
    if not settings.calm_weight:
        return Lesson(list(states), targets, weights)
    of_calm = torch.tensor([[0.0, settings.calm_weight]]).repeat(len(calm), 1)
    return Lesson(
        [*states, *calm],
        torch.cat([targets, torch.full((len(calm), 2), margin)]),
        torch.cat([weights, of_calm]),
    )


def fit(learner: Learner, taught: Lesson) -> Adapter:
    """Two binary cross-entropies on logits, AdamW, linear warm-up (6 %) and decay to zero."""
    adapter, _ = fit_early(learner, taught, None, say)
    return adapter


def fit_early(
    learner: Learner,
    taught: Lesson,
    validation: Lesson | None,
    say: Callable[[str], None],
    patience: int = 0,
    folder: Path | None = None,
    resume: bool = False,
    about: str = "",
    watch: Watch = unwatched,
) -> tuple[Adapter, Learnt]:
    """`fit`, which keeps the epoch that is best on validation texts, if there are any; see
    `training.learn`."""
    settings = learner.settings
    torch.manual_seed(settings.seed)
    shuffler = random.Random(settings.seed)
    adapter = learner.new_adapter()
    head = [adapter.head_weight, adapter.head_bias]
    below = [*adapter.whole.values(), *(t for pair in adapter.maps.values() for t in pair)]
    head_rate = settings.learning_rate if settings.tune == "full" else HEAD_RATE
    lengths = [len(own) for own in taught.states]

    def loss_of(batch: Sequence[int], of: Lesson = taught, training: bool = True) -> Tensor:
        logits = learner.batch_logits(adapter, [of.states[i] for i in batch], training)
        targets, weights = (t[batch].to(learner.device) for t in (of.targets, of.weights))
        return F.binary_cross_entropy_with_logits(logits, targets, weight=weights)

    def validate() -> float:
        assert validation is not None
        with torch.no_grad():
            batches = by_length([len(own) for own in validation.states], 64)
            losses = [loss_of(b, validation, False).item() * len(b) for b in batches]
        return sum(losses) / len(validation.states)

    learnt = learn(
        adapter.named(),
        [*([(below, settings.learning_rate)] if below else []), (head, head_rate)],
        lambda: shuffled_by_length(lengths, settings.batch, shuffler),
        loss_of,
        epochs=settings.epochs,
        shuffler=shuffler,
        say=say,
        validate=None if validation is None else validate,
        patience=patience,
        folder=folder,
        resume=resume,
        about=about,
        watch=watch,
    )
    return adapter, learnt


def on_device(encoder: Encoder, device: str) -> Encoder:
    """The encoder with its weights there."""
    weights = {name: tensor.to(device) for name, tensor in encoder.weights.items()}
    return encoder._replace(weights=weights)


def _fast(device: str) -> torch.autocast:
    """bfloat16 products: twice as fast as float32 where the CPU has instructions for them, and
    several times on a GPU."""
    return torch.autocast(device, torch.bfloat16)


def _table(rows: Sequence[Tensor]) -> Tensor:
    """Rows of unlike length as one tensor, with zeros behind them: (texts, tokens, ...)."""
    table = rows[0].new_zeros(len(rows), max(len(row) for row in rows), *rows[0].shape[1:])
    for number, row in enumerate(rows):
        table[number, : len(row)] = row
    return table


def _mask(lengths: Sequence[int], longest: int) -> Tensor:
    return (torch.arange(longest) < torch.tensor(lengths)[:, None])[:, None, None]


def by_length(lengths: Sequence[int], size: int) -> list[list[int]]:
    """Batches of texts of about one length."""
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    return [order[start : start + size] for start in range(0, len(order), size)]


def shuffled_by_length(
    lengths: Sequence[int], size: int, shuffler: random.Random
) -> list[list[int]]:
    """Batches of texts of about one length, drawn anew: little padding, and all mixed."""
    order = shuffler.sample(range(len(lengths)), len(lengths))
    pools = [order[start : start + 50 * size] for start in range(0, len(order), 50 * size)]
    batches = [
        [pool[i] for i in batch]
        for pool in pools
        for batch in by_length([lengths[i] for i in pool], size)
    ]
    return shuffler.sample(batches, len(batches))


class Calm(NamedTuple):
    """The calm set in three: to learn from, to set the threshold on, to report."""

    learn: list[str]
    choose: list[str]
    report: list[str]


def read_calm(folder: Path) -> Calm:
    """One half is reported, as for `tfidf`; a third of the other may be learnt from.

    Near-duplicates are on one side. Outside the reported half one of them stands for all: a
    campaign of copies is one text.
    """
    first, report = halves(read_calm_posts(folder))
    groups = near_duplicate_groups(first)
    distinct = [text for i, text in enumerate(first) if groups[i] == i]
    learn = [text for text in distinct if uniform(f"learn {text}") < 1 / 3]
    chosen = set(learn)
    return Calm(learn, [text for text in distinct if text not in chosen], report)


class Material(NamedTuple):
    """What there is to learn from: labelled texts, calm posts, and their states by text."""

    examples: list[Example]
    calm: Calm
    states: dict[str, Tensor]

    def of(self, texts: Iterable[str]) -> list[Tensor]:
        """The states of texts as published."""
        return [self.states[text] for text in texts]


class Taught(NamedTuple):
    """An adapter with its calibration and the threshold that its choices allow."""

    adapter: Adapter
    calibration: Calibration
    threshold_by_calm: float


def read_material(data: Path, learner: Learner, splits: Sequence[str]) -> Material:
    """Reads the sets and runs the frozen layers over the texts of these splits, once."""
    examples = [e for e in read_examples(data / "text") if e.record.dataset != DOUBTFUL]
    calm = read_calm(data / "tweets_2023_csv")
    wanted = [e.record.text for e in examples if e.split in splits]
    texts = list(dict.fromkeys([*wanted, *calm.learn, *calm.choose]))
    return Material(examples, calm, dict(zip(texts, learner.states(texts), strict=True)))


def part(examples: Iterable[Example], split: str, *names: str) -> list[Example]:
    """The examples of one split; of the sets that are named, if any are."""
    return [e for e in examples if e.split == split and (not names or e.record.dataset in names)]


def texts_of(examples: Iterable[Example]) -> list[str]:
    """Their texts as published."""
    return [e.record.text for e in examples]


def teach(learner: Learner, material: Material, examples: Sequence[Example]) -> Taught:
    """Fits on the training texts of these examples and calibrates on their validation texts."""
    training, validation = part(examples, "train"), part(examples, "validation")
    taught = lesson(
        material.of(texts_of(training)),
        positives(training),
        material.of(material.calm.learn),
        learner.settings,
    )
    adapter = fit(learner, taught)
    logits = learner.logits(adapter, material.of(texts_of(validation)))
    calibration = fit_calibration(positives(validation), logits)
    calm = learner.logits(adapter, material.of(material.calm.choose))
    return Taught(adapter, calibration, calm_threshold(calibrated(calm, calibration), CALM_TARGET))


def validation_mcc(learner: Learner, material: Material, taught: Taught) -> dict[str, Any]:
    """MCC on each of CHOSEN_ON's validation texts at the threshold that the calm posts allow, the
    mean, and the mean at even odds."""
    result: dict[str, Any] = {}
    at_half = []
    for name in CHOSEN_ON:
        own = part(material.examples, "validation", name)
        logits = learner.logits(taught.adapter, material.of(texts_of(own)))
        scores = calibrated(logits, taught.calibration)
        result[name] = mcc(confusion(positives(own), scores >= taught.threshold_by_calm))
        at_half.append(mcc(confusion(positives(own), scores >= 0.5)))
    result["mean"] = float(np.mean([result[name] for name in CHOSEN_ON]))
    result["mean_at_half"] = float(np.mean(at_half))
    return {name: round(value, 4) for name, value in result.items()}


def threshold_by_sets(examples: Sequence[Example], scores: Floats) -> float:
    """The threshold in 0.05, 0.06, ... 0.95 with the greatest mean, over the sets of CHOSEN_ON that
    are there (all as one if none is), of the MCC; the smallest of equals.

    Each set counts the same, as where settings are chosen: pooled, a threshold is also good that
    tells sets with many false texts from those with few.
    """
    labels = positives(examples)
    sets = np.array([e.record.dataset for e in examples])
    parts = [sets == name for name in CHOSEN_ON if name in sets] or [sets == sets]

    def mean_mcc(threshold: float) -> float:
        flagged = scores >= threshold
        return float(np.mean([mcc(confusion(labels[own], flagged[own])) for own in parts]))

    return max((round(0.01 * i, 2) for i in range(5, 96)), key=mean_mcc)


def explore(data: Path, work: Path, encoder: str, settings: Settings) -> None:
    """Trains with these settings, measures on validation texts, adds a line to `tried.json`."""
    learner = Learner(read_encoder(encoder), settings)
    material = read_material(data, learner, ("train", "validation"))
    taught = teach(learner, material, material.examples)
    result = settings._asdict() | validation_mcc(learner, material, taught)
    say(f"{settings} -> {result}")
    tried = read_tried(work)
    work.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(line) for line in [*tried, result]]
    (work / TRIED).write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")


def read_tried(folder: Path) -> list[dict[str, Any]]:
    """What `explore` has written so far."""
    path = folder / TRIED
    tried: list[dict[str, Any]] = json.loads(path.read_text("utf-8")) if path.is_file() else []
    return tried


def given(changes: Sequence[str]) -> Settings:
    """The settings with some changed, as `rank=64`.

    >>> given(["rank=64", "learning_rate=0.001"])[1:3]
    (64, 0.001)
    """
    settings = Settings()
    for change in changes:
        name, _, value = change.partition("=")
        kind = type(getattr(settings, name))
        settings = settings._replace(**{name: kind(value)})
    return settings


def judged(detector: Detector, texts: Sequence[str]) -> list[float | None]:
    """The scores of English texts; None where the detector abstains."""
    contents = [Content(platform="x", root_id="", text=text, lang="en") for text in texts]
    return [verdict.score for verdict in detector.score(contents)]


def scored_only(detector: Detector, examples: Sequence[Example]) -> tuple[Bools, Floats, int]:
    """Labels and scores of what the detector scores, and on how many it abstains."""
    scores = judged(detector, texts_of(examples))
    kept = [i for i, score in enumerate(scores) if score is not None]
    found = np.array([scores[i] for i in kept], dtype=np.float64)
    return positives(examples)[kept], found, len(scores) - len(kept)


def flags(detector: Detector, examples: Sequence[Example], threshold: float) -> Bools:
    """Which texts the detector flags; an abstention flags nothing."""
    scores = judged(detector, texts_of(examples))
    return np.array([score is not None and score >= threshold for score in scores])


def differences(positive: Bools, flagged: Bools, baseline: Bools) -> dict[str, list[float]]:
    """MCC and macro-F1 over a baseline's: difference, and its paired 95 % interval."""

    def of(statistic: Callable[[Any], float]) -> list[float]:
        found = paired_difference(
            lambda labels, predicted: statistic(confusion(labels, predicted)),
            positive,
            flagged,
            baseline,
        )
        return [round(value, 4) for value in found]

    return {"mcc": of(mcc), "macro_f1": of(macro_f1)}


class Baseline(NamedTuple):
    """TF-IDF and a logistic regression taught the very same texts, calm posts included."""

    fitted: train_tfidf.Fitted
    calibration: Calibration
    threshold: float

    def scores(self, examples: Sequence[Example]) -> Floats:
        """Calibrated probabilities of likely_false, (n,)."""
        return calibrated(self.fitted.logits([e.grams for e in examples]), self.calibration)


def teach_baseline(
    examples: Sequence[Example], calm: Calm, settings: Mapping[str, Any]
) -> Baseline:
    """With the settings of `tfidf`; a calm post is taught as likely_true, since there is but one
    output. Calibration and threshold by the same rules as the adapter's."""
    quiet = [
        Example(LabelledText("calm", "train", text, "likely_true", "calm"), "train", features(text))
        for text in calm.learn
    ]
    fitted = train_tfidf.fit([*examples, *quiet], train_tfidf.Settings(**settings))
    validation = part(examples, "validation")
    labels = positives(validation)
    logits = fitted.logits([e.grams for e in validation])
    calibration = fit_calibration(labels, logits)
    of_calm = calibrated(fitted.logits([features(text) for text in calm.choose]), calibration)
    by_mcc = threshold_by_sets(validation, calibrated(logits, calibration))
    return Baseline(fitted, calibration, max(calm_threshold(of_calm, CALM_TARGET), by_mcc))


class Stacked(NamedTuple):
    """What the wide part's logits are multiplied by (0: there is none), and the calibration of the
    sum."""

    share: float
    calibration: Calibration


def stacked(positive: Bools, deep: Floats, wide: Floats) -> Stacked:
    """share and calibration by maximum likelihood on validation texts.

        P(likely_false) = 1 / (1 + exp(-(slope * (deep + share * wide) + offset)))

    A share that would not be above 0 is 0. Source: Wolpert, "Stacked generalization", 1992.

    >>> labels = np.array([False, True] * 8)
    >>> deep, wide = np.array([-1.0, 1.0] * 7 + [2.0, -2.0]), np.array([-1.0, 1.0, 1.0, 2.0] * 4)
    >>> found = stacked(labels, deep, wide)
    >>> found.share > 0.2, stacked(labels, deep, -wide).share
    (True, 0.0)
    """
    from sklearn.linear_model import LogisticRegression

    both = LogisticRegression(C=np.inf).fit(np.column_stack([deep, wide]), positive)
    of_deep, of_wide = (float(weight) for weight in both.coef_[0])
    share = round(of_wide / of_deep, 4) if of_deep > 0 and of_wide > 0 else 0.0
    return Stacked(share, fit_calibration(positive, deep + share * wide))


def leave_one_out(
    learner: Learner, material: Material, name: str, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """A model, calibration and threshold that never saw a set, on its test texts; beside it a
    baseline that never saw it either."""
    others = [e for e in material.examples if e.record.dataset != name]
    taught = teach(learner, material, others)
    baseline = teach_baseline(others, material.calm, settings)
    validation, test = part(others, "validation"), part(material.examples, "test", name)

    def both(texts: Sequence[str], grams: Sequence[Sequence[str]]) -> tuple[Floats, Floats]:
        return learner.logits(taught.adapter, material.of(texts)), baseline.fitted.logits(grams)

    def both_of(examples: Sequence[Example]) -> tuple[Floats, Floats]:
        return both(texts_of(examples), [e.grams for e in examples])

    of_validation = both_of(validation)
    share, calibration = stacked(positives(validation), *of_validation)

    def scores_of(deep: Floats, wide: Floats) -> Floats:
        return calibrated(deep + share * wide, calibration)

    calm = material.calm.choose
    by_calm = calm_threshold(scores_of(*both(calm, [features(t) for t in calm])), CALM_TARGET)
    threshold = max(by_calm, threshold_by_sets(validation, scores_of(*of_validation)))
    positive, scores, theirs = positives(test), scores_of(*both_of(test)), baseline.scores(test)
    columns = {
        "positive": positive,
        "flagged": scores >= threshold,
        "baseline": theirs >= baseline.threshold,
        "flagged_at_half": scores >= 0.5,
        "baseline_at_half": theirs >= 0.5,
    }
    return {
        **measures(positive, scores, threshold),
        "share": share,
        **_compared(columns),
        "columns": {column: values.tolist() for column, values in columns.items()},
    }


def leave_out(
    data: Path, work: Path, encoder: str, settings: Settings, names: Sequence[str]
) -> None:
    """Leaves out each of these sets in turn; writes `left_out_<name>.json`."""
    learner = Learner(read_encoder(encoder), settings)
    material = read_material(data, learner, ("train", "validation", "test"))
    for name in names:
        result = leave_one_out(learner, material, name, tfidf_settings())
        work.mkdir(parents=True, exist_ok=True)
        (work / f"left_out_{name}.json").write_text(json.dumps(result), encoding="utf-8")
        say(f"left out {name}: MCC {result['mcc']}, {result['over_baseline']}")


def read_left_out(work: Path) -> dict[str, Any]:
    """What `leave_out` has written, and `pooled`: all left-out sets together; {} if any is not
    there."""
    result: dict[str, Any] = {}
    if not all((work / f"left_out_{name}.json").is_file() for name in CHOSEN_ON):
        return result
    kept: dict[str, list[Bools]] = {}
    for name in CHOSEN_ON:
        result[name] = json.loads((work / f"left_out_{name}.json").read_text("utf-8"))
        for column, values in result[name].pop("columns").items():
            kept.setdefault(column, []).append(np.array(values, dtype=np.bool_))
    pooled = {column: np.concatenate(values) for column, values in kept.items()}
    result["pooled"] = {"n": len(pooled["positive"]), **_compared(pooled)}
    return result


def measured_before(out: Path) -> dict[str, Any]:
    """What `metrics.json` says of left-out sets: an hour's work, that need not be done again for
    each measurement. The card says of what it was."""
    metrics = json.loads((out / "metrics.json").read_text("utf-8"))
    found: dict[str, Any] = metrics["left_out"]
    return found


def tfidf_settings() -> dict[str, Any]:
    """What was chosen for `tfidf`."""
    metrics = json.loads((SHIPPED_TFIDF / "metrics.json").read_text("utf-8"))
    chosen: dict[str, Any] = metrics["settings"]
    return chosen


def _compared(columns: Mapping[str, Bools]) -> dict[str, Any]:
    positive = columns["positive"]
    return {
        "over_baseline": differences(positive, columns["flagged"], columns["baseline"]),
        "over_baseline_at_half": differences(
            positive, columns["flagged_at_half"], columns["baseline_at_half"]
        ),
    }


def reaches(learner: Learner, adapter: Adapter, texts: Sequence[str]) -> dict[str, Tensor]:
    """How far the inputs of the maps that can be levelled reach, in each channel: the greatest
    magnitude over the tokens of these texts, as tensors of the adapter's file."""
    base = {name: tensor.cpu() for name, tensor in learner.encoder.weights.items()}
    encoder = learner.encoder._replace(weights=base)
    merged = merge(encoder, adapter.tensors(), Path("adapter")).encoder
    plain = plain_linear(merged)
    found: dict[str, Tensor] = {}

    def linear(x: Tensor, layer: int, name: str) -> Tensor:
        if name in LEVELLED and x.shape[1] > 1:
            key, reach = f"layer.{layer}.{name}.reach", x.abs().amax((0, 1))
            found[key] = torch.maximum(found[key], reach) if key in found else reach
        return plain(x, layer, name)

    with torch.inference_mode():
        readables = [readable(text) for text in texts]
        for own in learner.encoder.tokenize(readables, learner.settings.max_tokens):
            x = embed(merged, torch.tensor([own]))
            for layer in range(merged.shape.n_layers):
                x = run_layer(merged, layer, x, None, linear)
    return {key: reach.clamp(min=1e-3).half() for key, reach in found.items()}


def write_model(
    folder: Path,
    learner: Learner,
    taught: Taught,
    reach: Mapping[str, Tensor],
    trained_on: str,
    languages: tuple[str, ...] = ("en",),
) -> None:
    """Writes the adapter and its config, whose threshold is set later."""
    digest = write_weights(folder, {**taught.adapter.tensors(), **reach})
    config = Config(
        format=FORMAT,
        preprocessing=PREPROCESSING,
        labels=LABELS,
        positive_class=POSITIVE_CLASS,
        threshold=0.5,
        calibration=taught.calibration,
        languages=languages,
        weights_sha256=digest,
        trained_on=trained_on,
        encoder=EncoderName(name=learner.encoder.name, sha256=learner.encoder.sha256),
        max_tokens=learner.settings.max_tokens,
    )
    write_config(folder, config)


def engines_agree(folder: Path, encoder: str, examples: Sequence[Example]) -> dict[str, Any]:
    """fp32 and int8 on the same texts: on how many the label is the same, and macro-F1 of each."""
    both = [BertDetector(folder, encoder, engine) for engine in ("fp32", "int8")]
    exact, quantised = (flags(detector, examples, detector.threshold) for detector in both)
    positive = positives(examples)
    return {
        "n": len(examples),
        "agreement": float(np.mean(exact == quantised)),
        "macro_f1_fp32": macro_f1(confusion(positive, exact)),
        "macro_f1_int8": macro_f1(confusion(positive, quantised)),
    }


def train(data: Path, out: Path, encoder: str, settings: Settings, trained_on: str) -> BertDetector:
    """Trains and writes the adapter with its calibration and threshold."""
    learner = Learner(read_encoder(encoder), settings)
    material = read_material(data, learner, ("train", "validation"))
    say(f"{len(material.examples)} labelled texts; calm posts: {[len(c) for c in material.calm]}")
    taught = teach(learner, material, material.examples)
    reach = reaches(learner, taught.adapter, texts_of(part(material.examples, "train"))[::40])
    write_model(out, learner, taught, reach, trained_on)
    if settings.wide:
        add_wide(out, encoder, material.examples, material.calm)
    return set_threshold(out, encoder, material.examples, material.calm)


def add_wide(out: Path, encoder: str, examples: Sequence[Example], calm: Calm) -> None:
    """Fits the wide part beside written weights, and calibrates both on validation texts by what
    the detector's engine makes of them. It is the baseline's regression, of the same texts."""
    fitted = teach_baseline(examples, calm, tfidf_settings()).fitted
    validation = part(examples, "validation")
    deep = encoder_logits(BertDetector(out, encoder), texts_of(validation))
    wide = fitted.logits([e.grams for e in validation])
    write_wide(out, fitted, stacked(positives(validation), deep, wide))


def write_wide(folder: Path, fitted: train_tfidf.Fitted, found: Stacked) -> None:
    """Writes `wide.npz` beside an adapter, and its name and the calibration of both into the
    config; with a share of 0 there is no such file."""
    name = None
    (folder / WIDE).unlink(missing_ok=True)
    if found.share:
        name = WideName(train_tfidf.write_fitted(folder / WIDE, fitted), found.share)
    config = msgspec.structs.replace(read_config(folder), wide=name, calibration=found.calibration)
    write_config(folder, config)


def encoder_logits(detector: BertDetector, texts: Sequence[str]) -> Floats:
    """(z_false - z_true) / 2 of texts as published, without the wide part, (n,)."""
    pairs = detector.encoder_logits([readable(text) for text in texts])
    return np.array([(false - true) / 2 for true, false in pairs])


def wide_tried(
    detector: BertDetector, baseline: Baseline, examples: Sequence[Example], calm: Calm
) -> list[dict[str, Any]]:
    """`validation_mcc` of the encoder alone, of both, and of the wide part alone (share None), each
    calibrated and with its threshold on the same texts."""
    validation = part(examples, "validation")
    labels = positives(validation)
    sets = np.array([e.record.dataset for e in validation])
    deep = encoder_logits(detector, texts_of(validation))
    wide = baseline.fitted.logits([e.grams for e in validation])
    of_calm = encoder_logits(detector, calm.choose)
    wide_of_calm = baseline.fitted.logits([features(text) for text in calm.choose])
    share = stacked(labels, deep, wide).share
    found = []
    for weights in ((1.0, 0.0), (1.0, share), (0.0, 1.0)):
        logits, quiet = (
            weights[0] * one + weights[1] * other
            for one, other in ((deep, wide), (of_calm, wide_of_calm))
        )
        calibration = fit_calibration(labels, logits)
        scores = calibrated(logits, calibration)
        threshold = calm_threshold(calibrated(quiet, calibration), CALM_TARGET)
        row: dict[str, Any] = {"share": weights[1] if weights[0] else None}
        at_half = []
        for name in CHOSEN_ON:
            own = sets == name
            row[name] = mcc(confusion(labels[own], scores[own] >= threshold))
            at_half.append(mcc(confusion(labels[own], scores[own] >= 0.5)))
        row["mean"] = float(np.mean([row[name] for name in CHOSEN_ON]))
        found.append({**row, "mean_at_half": float(np.mean(at_half))})
    return found


#: As in Trivedi et al. 2021, but for the learning rate: theirs, 3e-5, is for all weights of
#: BERT-base; adapters beside frozen weights learn nothing at it. Early stopping ends it before.
PAPER = Settings(frozen=0, epochs=10, max_tokens=256, calm_weight=0.0, wide=False)
#: The paper's: all weights of the encoder, at its rate, targets 0 and 1.
FULL = PAPER._replace(tune="full", learning_rate=3e-5, smoothing=0.0)
#: What the shipped adapter was trained with, without calm posts.
SMALL = Settings(calm_weight=0.0)
PATIENCE = 2


def settings_of(task: Task, encoder: Encoder, device: str) -> Settings:
    """What a task asks for of this encoder. Without a word on what is tuned it is the whole encoder
    on a GPU, as in the paper, and adapters on a CPU or with --small. Raises: CannotTrain."""
    usual = "full" if device == "cuda" and not task.small else "lora"
    tune = task.changes.get("tune", usual)
    if tune not in TUNES:
        raise CannotTrain(f"tune is {tune!r}; choose {', '.join(TUNES)}")
    base = FULL if tune == "full" else SMALL if task.small else PAPER
    settings = changed(base, {"seed": str(task.seed), **task.changes, "tune": tune})
    n_layers = encoder.shape.n_layers
    of_tune = {"full": 0, "head": n_layers, "lora": min(settings.frozen, n_layers)}
    max_tokens = min(settings.max_tokens, encoder.shape.n_positions)
    return settings._replace(frozen=of_tune[tune], max_tokens=max_tokens)


def train_posts(task: Task) -> dict[str, Any]:
    """Trains on labelled posts of one's own, an adapter or more (`Settings.tune`); see
    `training.run`. No posts are calm, so the threshold is the one with the best validation MCC."""
    device = device_here()
    encoder = read_encoder(task.encoder)
    settings = settings_of(task, encoder, device)
    learner = Learner(on_device(encoder, device), settings, device)
    training, validation = task.part("train"), task.part("validation")
    positive = positive_of(validation)
    lessons = [
        lesson(learner.states([post.text for post in own]), labels, [], settings)
        for own, labels in ((training, positive_of(training)), (validation, positive))
    ]
    adapter, learnt = fit_early(
        learner,
        lessons[0],
        lessons[1],
        task.say,
        patience=PATIENCE,
        folder=task.out,
        resume=task.resume,
        watch=task.watch,
        about=f"bert {settings} {learner.encoder.sha256} {task.digest()}",
    )
    logits = learner.logits(adapter, lessons[1].states)
    share, fitted = 0.0, None
    if settings.wide:
        fitted = train_tfidf.fit_posts(training, train_tfidf.Settings(**tfidf_settings()))
        wide = fitted.logits([features(post.text) for post in validation])
        share = stacked(positive, logits, wide).share
        logits = logits + share * wide
    calibration = calibrate(positive, logits, task)
    taught = Taught(adapter, calibration, 0.5)
    reach = reaches(learner, adapter, [post.text for post in training[::40]])
    write_model(task.out, learner, taught, reach, task.trained_on, task.languages)
    if fitted:
        write_wide(task.out, fitted, Stacked(share, calibration))
    threshold, found = validated(BertDetector(task.out, task.encoder), validation, positive)
    write_config(task.out, msgspec.structs.replace(read_config(task.out), threshold=threshold))
    return {
        "settings": settings._asdict(),
        "share_of_wide": share,
        "epoch": learnt.epoch,
        "losses": learnt.losses,
        "validation_losses": learnt.validation,
        "threshold": threshold,
        "calibration": msgspec.to_builtins(calibration),
        "validation": found,
    }


def set_threshold(out: Path, encoder: str, examples: Sequence[Example], calm: Calm) -> BertDetector:
    """Sets the threshold of written weights by what the detector makes of validation texts and of
    the calm posts that are there for that."""
    by_calm, by_mcc = threshold_choices(BertDetector(out, encoder), examples, calm)
    threshold = min(round(max(by_calm, by_mcc) + 0.00005, 4), 0.9999)
    write_config(out, msgspec.structs.replace(read_config(out), threshold=threshold))
    say(f"threshold {threshold} (calm {by_calm:.4f}, best MCC {by_mcc:.2f})")
    return BertDetector(out, encoder)


def threshold_choices(
    detector: BertDetector, examples: Sequence[Example], calm: Calm
) -> tuple[float, float]:
    """The least threshold that the calm posts allow, and the one of `threshold_by_sets`."""
    of_calm = np.array([score or 0.0 for score in judged(detector, calm.choose)])
    validation = part(examples, "validation")
    of_validation = np.array([score or 0.0 for score in judged(detector, texts_of(validation))])
    by_mcc = threshold_by_sets(validation, of_validation)
    return calm_threshold(of_calm, CALM_TARGET), by_mcc


def measure(data: Path, out: Path, work: Path, encoder: str, settings: Settings) -> dict[str, Any]:
    """Measures what `out` holds; writes `metrics.json` and the model card, and returns metrics."""
    examples = [e for e in read_examples(data / "text") if e.record.dataset != DOUBTFUL]
    calm = read_calm(data / "tweets_2023_csv")
    config, detector = read_config(out), BertDetector(out, encoder)
    threshold = detector.threshold
    tfidf, baseline = TfidfDetector(), teach_baseline(examples, calm, tfidf_settings())
    by_calm, by_mcc = threshold_choices(detector, examples, calm)

    test = {}
    in_test = part(examples, "test")
    for name in [*dict.fromkeys(e.record.dataset for e in in_test), "pooled"]:
        own = in_test if name == "pooled" else part(in_test, "test", name)
        positive, scores, n_abstained = scored_only(detector, own)
        labels, theirs = positives(own), baseline.scores(own)
        columns = {
            "positive": labels,
            "flagged": flags(detector, own, threshold),
            "baseline": theirs >= baseline.threshold,
            "flagged_at_half": flags(detector, own, 0.5),
            "baseline_at_half": theirs >= 0.5,
        }
        test[name] = {
            **measures(positive, scores, threshold),
            "n_abstained": n_abstained,
            **_compared(columns),
            "over_tfidf": differences(
                labels, columns["flagged"], flags(tfidf, own, tfidf.threshold)
            ),
        }
        say(f"test {name}: MCC {test[name]['mcc']}, over baseline {test[name]['over_baseline']}")

    reported = judged(detector, calm.report)
    scores = np.array([score for score in reported if score is not None])
    flagged = scores >= threshold
    interval = bootstrap_interval(lambda _, predicted: float(np.mean(predicted)), flagged, flagged)
    every = judged(detector, read_calm_posts(data / "tweets_2023_csv"))
    metrics: dict[str, Any] = {
        "version": detector.version,
        "trained_on": config.trained_on,
        "wide": {
            "share": config.wide.share if config.wide else 0.0,
            "n_features": len(baseline.fitted.vectoriser.vocabulary_),
            "tried": wide_tried(detector, baseline, examples, calm),
        },
        "encoder": config.encoder.name,
        "settings": settings._asdict(),
        "chosen_on": list(CHOSEN_ON),
        "tried": read_tried(work),
        "calibration": {"slope": config.calibration.slope, "offset": config.calibration.offset},
        "threshold": threshold,
        "threshold_by_calm": by_calm,
        "threshold_by_mcc": by_mcc,
        "sizes": sizes(examples),
        "validation_prevalence": prevalence(positives(part(examples, "validation"))),
        "test": test,
        "engines": engines_agree(out, encoder, in_test),
        "calm": {
            "n_learn": len(calm.learn),
            "n_choose": len(calm.choose),
            "n_report": len(calm.report),
            "n_scored": len(scores),
            "target": CALM_TARGET,
            "flagged": float(np.mean(flagged)),
            "flagged_interval": interval,
            "flagged_at_half": float(np.mean(scores >= 0.5)),
            "flagged_of_all": float(np.mean([s is not None and s >= threshold for s in every])),
            "n_all": len(every),
            "mean_score": float(np.mean(scores)),
        },
        "left_out": read_left_out(work) or measured_before(out),
    }
    metrics = {key: rounded(value) for key, value in metrics.items()}
    if metrics["calm"]["flagged"] > MAX_CALM_SHARE:
        say(f"WARNING: {metrics['calm']['flagged']:.2%} of the calm set is flagged")
    (out / "metrics.json").write_text(json.dumps(metrics, indent=1) + "\n", encoding="utf-8")
    (out / "README.md").write_text(model_card(metrics), encoding="utf-8")
    return metrics


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m detectors.train_bert", description=__doc__)
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("names", nargs="*", help="explore: SETTING=VALUE; leave-out: data sets")
    parser.add_argument("--data", type=Path, required=True, help="folder with text/ and tweets")
    parser.add_argument("--out", type=Path, default=SHIPPED_WEIGHTS, help="weights folder")
    parser.add_argument("--work", type=Path, default=Path("train_bert"), help="between stages")
    parser.add_argument("--encoder", default=DEFAULT_ENCODER, help="name or path of the encoder")
    parser.add_argument("--trained-on", default=date.today().isoformat(), help="YYYY-MM-DD")
    options = parser.parse_intermixed_args(arguments)
    if options.stage == "explore":
        explore(options.data, options.work, options.encoder, given(options.names))
    elif options.stage == "fit":
        train(options.data, options.out, options.encoder, Settings(), options.trained_on)
    elif options.stage in ("wide", "threshold"):
        examples = [e for e in read_examples(options.data / "text") if e.record.dataset != DOUBTFUL]
        calm = read_calm(options.data / "tweets_2023_csv")
        if options.stage == "wide":
            add_wide(options.out, options.encoder, examples, calm)
        set_threshold(options.out, options.encoder, examples, calm)
    elif options.stage == "leave-out":
        names = options.names or CHOSEN_ON
        leave_out(options.data, options.work, options.encoder, Settings(), names)
    else:
        measure(options.data, options.out, options.work, options.encoder, Settings())


def say(line: str) -> None:
    """Progress, at once."""
    print(line, flush=True)


if __name__ == "__main__":
    main()
