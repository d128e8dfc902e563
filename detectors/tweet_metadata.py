"""A tweet by its words and its figures: token states, convolutions over them, and metadata.

    H = encoder(text)                              (tokens, hidden), the last layer's states
    c_w = max over i of relu(W_w [H_i .. H_i+w-1] + b_w)       n_filters for each width w
    m = relu(BN(W_m x + b_m))                      x: the 22 figures, masked (`detectors.metadata`)
    z = W [c_3 | c_4 | c_5 | m] + b                one logit for two classes, else one for each
    p = sigmoid(z), or softmax(z)
    score = sigmoid(slope * (log p(likely_false) - log(1 - p(likely_false))) + offset)

and the paper's first model, "cls": z = W H_[CLS] + b. Source: Tuan and Minh, MediaEval 2020,
section 3.1; convolutions: Kim, EMNLP 2014. The paper does not say how wide its filters are: widths
3, 4 and 5 with 100 filters each, the maximum over time, and dropout 0.5 before the output are
Kim's; 64 units for metadata are our choice. A window begins at each token; behind the end there are
zeros, so what a text is padded to changes nothing. Trained by `hoaxwatch train tweet_metadata`; no
weights ship.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from math import log
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from detectors.bert import EncoderName
from detectors.datasets.labelled import LabelledPost
from detectors.encoder import Encoder, embed, read_encoder, token_states, with_low_rank
from detectors.labels import POSITIVE_CLASS
from detectors.metadata import (
    GROWING,
    Column,
    Counters,
    Values,
    as_of,
    inputs_of,
    labelled_values,
    values_of,
)
from detectors.occlusion import MAX_OCCLUDED, largest_first, texts_without_a_word
from detectors.posts import Part, PostVerdict, WholePost, parts_of
from detectors.text.abstain import abstain_reason
from detectors.text.normalise import normalise, words
from detectors.text.tweets import Form, prepare
from detectors.threads import one_thread
from detectors.trained import (
    BrokenWeights,
    Calibration,
    Opinion,
    given_weights,
    opinion_of,
    read_bytes,
    read_checked,
    slope_problem,
    verdict_of,
)
from streams.records import Content, Verdict

FORMAT = 1
#: Version of `text.tweets` and of `metadata`: a change there changes every score.
PREPARATION = 2
#: "cls": the paper's first model. "text": its second without metadata, for ablation.
Variant = Literal["cls", "text", "text+metadata"]
VARIANTS: tuple[Variant, ...] = ("cls", "text", "text+metadata")

_CONFIG, _WEIGHTS = "config.json", "model.safetensors"


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`config.json`. classes: of the outputs, in order; of two the second has the logit.
    likely_false: the classes that make a post likely false."""

    format: int
    preparation: int
    variant: Variant
    form: Form
    classes: tuple[str, ...]
    likely_false: tuple[str, ...]
    widths: tuple[int, ...]
    n_filters: int
    n_metadata: int
    columns: tuple[Column, ...]
    counters: Counters
    counters_age_seconds: float
    threshold: float
    calibration: Calibration
    languages: tuple[str, ...]
    encoder: EncoderName
    max_tokens: int
    weights_sha256: str
    trained_on: str


class Network(nn.Module):
    """What comes after the encoder; see the module."""

    def __init__(
        self,
        variant: Variant,
        hidden: int,
        n_columns: int,
        n_classes: int,
        widths: Sequence[int] = (3, 4, 5),
        n_filters: int = 100,
        n_metadata: int = 64,
    ) -> None:
        super().__init__()
        self.variant = variant
        self.convolutions = nn.ModuleList(
            nn.Conv1d(hidden, n_filters, width) for width in (() if variant == "cls" else widths)
        )
        n_in = hidden if variant == "cls" else len(widths) * n_filters
        if variant == "text+metadata":
            self.metadata = nn.Linear(2 * n_columns, n_metadata)
            # a mask that is always 1 in training is not learnt: 0 makes unknown as good as the mean
            nn.init.zeros_(self.metadata.weight[:, n_columns:])
            self.norm = nn.BatchNorm1d(n_metadata)
            n_in += n_metadata
        self.dropout = nn.Dropout(0.5)
        self.output = nn.Linear(n_in, 1 if n_classes == 2 else n_classes)

    def forward(self, states: Tensor, there: Tensor, figures: Tensor) -> Tensor:
        """Logits, (texts, 1) for two classes, else (texts, classes).

        states: (texts, tokens, hidden). there: bool (texts, tokens), where tokens are. figures:
        (texts, 2 * columns).
        """
        parts = [states[:, 0] if self.variant == "cls" else self.strongest(states, there)]
        if self.variant == "text+metadata":
            parts.append(F.relu(self.norm(self.metadata(figures))))
        found: Tensor = self.output(self.dropout(torch.cat(parts, dim=1)))
        return found

    def strongest(self, states: Tensor, there: Tensor) -> Tensor:
        """What each filter finds at the place where it finds most, (texts, widths * filters)."""
        kept = (states * there[:, :, None]).transpose(1, 2)  # (texts, hidden, tokens)
        found = []
        for convolution in self.convolutions:
            assert isinstance(convolution, nn.Conv1d)
            seen = F.relu(convolution(F.pad(kept, (0, convolution.kernel_size[0] - 1))))
            found.append((seen * there[:, None, :]).amax(dim=2))  # relu: 0 is the least
        return torch.cat(found, dim=1)


def class_probabilities(logits: Tensor) -> Tensor:
    """Sigmoid for two classes (the second has the logit), softmax for more. (texts, classes)

    >>> class_probabilities(torch.tensor([[0.0]])).tolist()
    [[0.5, 0.5]]
    """
    if logits.shape[1] == 1:
        second = torch.sigmoid(logits)
        return torch.cat([1 - second, second], dim=1)
    return torch.softmax(logits, dim=1)


def false_logit(probabilities: Sequence[float], false: Sequence[bool]) -> float:
    """log p - log(1 - p) of all classes that make a post likely false, together.

    >>> round(false_logit([0.25, 0.5, 0.25], [True, False, True]), 6)
    0.0
    """
    least = 1e-12
    p = sum(
        probability for probability, is_false in zip(probabilities, false, strict=True) if is_false
    )
    return log(max(p, least)) - log(max(1 - p, least))


class TweetMetadataDetector:
    """Scores tweets one by one, so that no neighbour can change a bit; see the module."""

    name = "tweet_metadata"
    make_ocr = None

    def __init__(self, weights: Path | None = None, encoder: str | None = None) -> None:
        """weights: a folder that `hoaxwatch train tweet_metadata` wrote; none ships. encoder: by
        default the one that the weights name. Raises: BrokenWeights, EncoderUnavailable."""
        weights = given_weights(weights, self.name)
        self._config = read_config(weights)
        found = read_encoder(encoder or self._config.encoder.name)
        if found.sha256 != self._config.encoder.sha256:
            raise BrokenWeights(
                f"{weights} was trained on encoder {self._config.encoder.name!r} "
                f"({self._config.encoder.sha256[:12]}...), not on {found.name!r} "
                f"({found.sha256[:12]}...): leave --encoder out, or train for that one"
            )
        if self._config.max_tokens > found.shape.n_positions:
            raise _broken(
                weights / _CONFIG,
                f"has max_tokens {self._config.max_tokens}, but {found.name} reads at most "
                f"{found.shape.n_positions}",
            )
        self._encoder, self._network = read_model(weights, self._config, found)
        self.classes = self._config.classes
        self.false_classes = frozenset(self._config.likely_false)
        self._false = [name in self.false_classes for name in self.classes]
        self.threshold = self._config.threshold
        self.version = model_version(self._config)

    def score(self, contents: Sequence[Content]) -> list[Verdict]:
        """One verdict per content: of its text alone, with all other figures unknown."""
        judged: dict[tuple[str, str | None], Opinion] = {}
        verdicts = []
        for content in contents:
            key = (content.text, content.lang)
            if key not in judged:
                judged[key] = self.judge(*key, values_of(*key, None, {}))
            verdicts.append(verdict_of(content, judged[key], self.name, self.version))
        return verdicts

    @property
    def reads(self) -> frozenset[Part]:
        """Its figures of account, counters and time, as far as training knew them. Followers are
        among the counters where their age decides whether they are known."""
        if self._config.variant != "text+metadata":
            return frozenset()
        known = {column.name for column in self._config.columns if column.n_known}
        if self._config.counters == "none":
            known -= set(GROWING)
        found = parts_of(known)
        if self._config.counters == "at-age" and "followers" in known:
            found.add("counters")
        return frozenset(found)

    def score_posts(self, posts: Sequence[WholePost]) -> list[PostVerdict]:
        """One verdict per post: of its text and the figures that are known. missing: the others."""
        found = []
        for post in posts:
            values = post_values(post)
            opinion = self.judge(post.content.text, post.content.lang, values)
            verdict = verdict_of(post.content, opinion, self.name, self.version)
            used: tuple[str, ...] = ()
            missing: dict[str, str] = {}
            if opinion.score is not None:
                used, missing = self._voices(values)
            found.append(PostVerdict(verdict, used, missing))
        return found

    def _voices(self, values: Values) -> tuple[tuple[str, ...], dict[str, str]]:
        """The text and the figures that had a voice, and those that are not known."""
        if self._config.variant != "text+metadata":
            return ("text",), {}
        seen = as_of(values, self._config.counters, self._config.counters_age_seconds)
        known = [column.name for column in self._config.columns if column.n_known]
        return (
            ("text", *(name for name in known if seen.get(name) is not None)),
            {name: "not_known" for name in known if seen.get(name) is None},
        )

    def explain_post(self, post: WholePost) -> tuple[tuple[str, float], ...]:
        """What weighed most, as (feature, contribution to the calibrated logit): "word cure"
        against the text without it (occlusion), "attribute likes" against not knowing it."""
        text, lang, values = post.content.text, post.content.lang, post_values(post)
        if self.judge(text, lang, values).score is None:
            return ()
        whole = self._logit(text, values)
        found = [
            (f"word {word.casefold()}", whole - self._logit(rest, values))
            for word, rest in texts_without_a_word(text, MAX_OCCLUDED)
        ]
        found += [
            (f"attribute {name}", whole - self._logit(text, {**values, name: None}))
            for name in self._voices(values)[0][1:]
        ]
        return largest_first(found)

    def _logit(self, text: str, values: Values) -> float:
        """The calibrated logit of being likely false."""
        logit = false_logit(self.probabilities(text, values), self._false)
        return self._config.calibration.slope * logit + self._config.calibration.offset

    def judge_posts(self, posts: Sequence[LabelledPost]) -> list[Opinion]:
        """One opinion per post, of its text and what is known of it."""
        return [self.judge(post.text, post.lang, labelled_values(post)) for post in posts]

    def classify_posts(self, posts: Sequence[LabelledPost]) -> list[str]:
        """The likeliest class of each post."""
        rows = [self.probabilities(post.text, labelled_values(post)) for post in posts]
        return [self.classes[int(np.argmax(row))] for row in rows]

    def judge(self, text: str, lang: str | None, values: Values) -> Opinion:
        """The opinion about one tweet. values: as `metadata.values_of` gives them."""
        reason = abstain_reason(text, words(normalise(text)), lang, self._config.languages)
        if reason is not None:
            return Opinion(reason=reason)
        logit = false_logit(self.probabilities(text, values), self._false)
        return opinion_of(logit, self._config.calibration)

    def probabilities(self, text: str, values: Values) -> list[float]:
        """Of each class, in order; not calibrated."""
        config = self._config
        ids = self._encoder.tokenize([prepare(text, config.form)], config.max_tokens)[0]
        seen = as_of(values, config.counters, config.counters_age_seconds)
        figures = torch.from_numpy(inputs_of(config.columns, [seen]).astype(np.float32))
        with one_thread(), torch.inference_mode():
            states = token_states(self._encoder, embed(self._encoder, torch.tensor([ids])))
            there = torch.ones(1, len(ids), dtype=torch.bool)
            found: list[float] = class_probabilities(self._network(states, there, figures))[
                0
            ].tolist()
        return found


def post_values(post: WholePost) -> dict[str, float | None]:
    """`metadata.values_of` a whole post, whose attributes say at which hour it was published."""
    found = values_of(post.content.text, post.content.lang, None, post.attributes)
    return {**found, "hour": post.attributes.get("hour")}


def model_version(config: Config) -> str:
    """`<12 hex>-m<preparation>`: the hex digits hash all that a score depends on; neither the
    training date nor the threshold."""
    decisive = msgspec.structs.replace(config, threshold=0.5, trained_on="")
    return f"{sha256(msgspec.json.encode(decisive)).hexdigest()[:12]}-m{config.preparation}"


def read_config(folder: Path) -> Config:
    """The checked `config.json` of a weights folder. Raises: BrokenWeights."""
    path = folder / _CONFIG
    try:
        config = msgspec.json.decode(read_bytes(path, _broken), type=Config)
    except msgspec.DecodeError as error:
        raise _broken(path, f"cannot be read ({error})") from error
    if (config.format, config.preparation) != (FORMAT, PREPARATION):
        raise _broken(
            path,
            f"has format {config.format} and preparation {config.preparation}, this version reads "
            f"{FORMAT} and {PREPARATION}",
        )
    false = set(config.likely_false)
    if len(set(config.classes)) < 2 or not false or not false < set(config.classes):
        raise _broken(
            path,
            f"has classes {list(config.classes)} of which {list(config.likely_false)} are likely "
            "false: it wants two classes at least, and some of them",
        )
    if len(config.classes) == 2 and config.likely_false != config.classes[1:]:
        raise _broken(
            path,
            f"has classes {list(config.classes)}: of two the second is the likely false one, or "
            "every score would be of the other",
        )
    if not 0 < config.threshold < 1:
        raise _broken(path, "has a threshold that no training writes")
    if said := slope_problem(config.calibration):
        raise _broken(path, said)
    return config


def read_model(folder: Path, config: Config, encoder: Encoder) -> tuple[Encoder, Network]:
    """The encoder with its low-rank maps, and the network. Raises: BrokenWeights."""
    path = folder / _WEIGHTS
    data = read_checked(path, config.weights_sha256, _broken)
    network = new_network(config, encoder)
    try:
        tensors = {name: tensor.float() for name, tensor in load(data).items()}
        merged = with_low_rank(encoder, tensors)
        tensors["norm.num_batches_tracked"] = torch.tensor(0)  # which only training counts
        if config.variant != "text+metadata":
            del tensors["norm.num_batches_tracked"]
        network.load_state_dict(tensors)
    except (SafetensorError, ValueError, KeyError, RuntimeError) as error:
        first = str(error).strip().splitlines()[-1].strip()
        raise _broken(path, f"does not fit {_CONFIG} and {encoder.name} ({first})") from error
    if not all(
        bool(torch.isfinite(t).all()) for t in (*tensors.values(), *merged.weights.values())
    ):
        raise _broken(path, "holds a number that is not finite")
    return merged, network.eval()


def new_network(config: Config, encoder: Encoder) -> Network:
    """A network of the config's shape, with random weights."""
    return Network(
        config.variant,
        encoder.shape.hidden,
        len(config.columns),
        len(config.classes),
        config.widths,
        config.n_filters,
        config.n_metadata,
    )


def write_model(folder: Path, config: Config, network: Network, maps: dict[str, Tensor]) -> Config:
    """Writes the network with the encoder's low-rank maps (in half precision), and the config with
    the hash of both, which is returned. Same in, same bytes."""
    tensors = {
        name: tensor.detach().float().cpu()
        for name, tensor in network.state_dict().items()
        if name != "norm.num_batches_tracked"
    }
    tensors |= {name: tensor.detach().half().cpu() for name, tensor in maps.items()}
    data = save({name: tensors[name].contiguous() for name in sorted(tensors)})
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _WEIGHTS).write_bytes(data)
    written = msgspec.structs.replace(config, weights_sha256=sha256(data).hexdigest())
    write_config(folder, written)
    return written


def write_config(folder: Path, config: Config) -> None:
    """Writes `config.json`, indented."""
    (folder / _CONFIG).write_bytes(msgspec.json.format(msgspec.json.encode(config)) + b"\n")


def default_false(classes: Sequence[str]) -> tuple[str, ...]:
    """The classes that are likely false where nobody says so: the one of that name, if it is
    there."""
    return tuple(name for name in classes if name == POSITIVE_CLASS)


def _broken(path: Path, what: str) -> BrokenWeights:
    return BrokenWeights(f"{path} {what}; train again with hoaxwatch train tweet_metadata")
