"""The default detector: BERT with two independent logits, a small adapter on a public encoder.

    z_true, z_false = state([CLS]) @ W.T + b             each trained with its own binary
                                                         cross-entropy
    z_true - wide, z_false + wide                        the wide part, where a model has one:
                                                         see `detectors.wide`
    score = 1 / (1 + exp(-(slope * (z_false - z_true) / 2 + offset)))

The two logits are independent (Trivedi et al. 2021): a text may look like neither class or like
both. Where they do not contradict each other, the detector abstains with `unsure_logits`. Trained
by `detectors.train_bert`, measured in `weights/bert/README.md`.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from detectors import trained
from detectors.detector import DetectorUnusable
from detectors.text.abstain import abstain_reason
from detectors.text.normalise import normalise, words
from detectors.trained import (
    BrokenWeights,
    Opinion,
    config_problem,
    opinion_of,
    read_checked,
    read_checked_config,
    verdict_of,
)
from detectors.wide import Pair, WideName, WidePart, read_wide, wide_problem, widened
from streams.records import Content, Verdict, content_hash

if TYPE_CHECKING:
    from torch import Tensor

    from detectors.encoder import Encoder
    from detectors.runtime import Model, Running

FORMAT = 1
SHIPPED_WEIGHTS = Path(__file__).parent / "weights" / "bert"
N_EVIDENCE = 5
#: Texts that are tokenised, sorted and batched together. While one pool is in the model, the next
#: is made ready.
POOL = 2048
#: Opinions that are remembered; about 300 bytes each.
REMEMBERED = 50_000

#: What it needs and a small installation may lack.
PACKAGES = ("torch", "tokenizers", "safetensors", "transformers")

_CONFIG, _ADAPTER = "config.json", "adapter.safetensors"
#: Before the name of a weight of the encoder that was trained itself.
_WHOLE = "whole."
_OCCLUDED = re.compile(r"#?[^\W_]+(?:'[^\W_]+)?")


class MissingPackage(DetectorUnusable):
    """A package that the detector needs is not installed."""


class EncoderName(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The encoder that an adapter was trained on."""

    name: str
    sha256: str


class Config(
    trained.Config, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True
):
    """`config.json`. max_tokens: of a text, its first and last mark included, as in training.
    wide: the linear part beside the encoder, if the model has one."""

    encoder: EncoderName
    max_tokens: int
    wide: WideName | None = None


class Prepared(NamedTuple):
    """A text before the model: why it is not scored, or what the model reads of it."""

    reason: str | None
    normalised: str
    words: list[str]


class BertDetector:
    """Scores English texts; see the module. Cost: 2-5 ms of one core per post with int8."""

    name = "bert"

    def __init__(
        self,
        weights: Path = SHIPPED_WEIGHTS,
        encoder: str | None = None,
        engine: str = "auto",
        n_threads: int | None = None,
    ) -> None:
        """Load an adapter and its encoder, merged.

        weights: a folder that `detectors.train_bert` wrote. encoder: a name or path, by default
        the one that the weights name. engine: see `detectors.runtime`.
        Raises DetectorUnusable: BrokenWeights, EncoderUnavailable, EngineUnavailable, or
        MissingPackage.
        """
        try:
            self._load(weights, encoder, engine, n_threads)
        except ModuleNotFoundError as error:
            if error.name not in PACKAGES:
                raise
            raise MissingPackage(
                f"detector {self.name!r} needs the package {error.name}: pip install "
                f"{error.name}, or choose another --detector"
            ) from error
        self._remembered: OrderedDict[tuple[str, bytes], Opinion] = OrderedDict()

    def _load(self, weights: Path, encoder: str | None, engine: str, n_threads: int | None) -> None:
        from detectors.encoder import read_encoder
        from detectors.runtime import ENGINES, Runner, engine_name

        self._config = read_config(weights)
        adapter = read_adapter(weights, self._config.weights_sha256)
        self._wide = read_wide(weights, self._config.wide, _broken)
        chosen = engine_name(engine)
        self._encoder = read_encoder(encoder or self._config.encoder.name)
        if self._encoder.sha256 != self._config.encoder.sha256:
            expected, found = self._config.encoder, self._encoder
            raise BrokenWeights(
                f"{weights} was trained on encoder {expected.name!r} ({expected.sha256[:12]}...), "
                f"not on {found.name!r} ({found.sha256[:12]}...): leave --encoder out, or give "
                "--weights that python -m detectors.train_bert made for it"
            )
        n_positions = self._encoder.shape.n_positions
        if self._config.max_tokens > n_positions:
            raise _broken(
                weights / _CONFIG,
                f"has max_tokens {self._config.max_tokens}, but {self._encoder.name} reads at most "
                f"{n_positions}",
            )
        model = merge(self._encoder, adapter, weights / _ADAPTER)
        running = ENGINES[chosen](model)
        self._runner = Runner(running, n_threads)
        self.threshold = self._config.threshold
        self.version = model_version(self._config, running.name)

    def score(self, contents: Sequence[Content]) -> list[Verdict]:
        """One verdict per content, in order. Equal inputs are scored once, across calls as well:
        the key is the version, the text and the language, which is all that is read."""
        keys = [(self.version, content_hash(c.text, c.lang)) for c in contents]
        opinions: dict[tuple[str, bytes], Opinion] = {}
        unseen: dict[tuple[str, bytes], tuple[str, str | None]] = {}
        for key, content in zip(keys, contents, strict=True):
            remembered = self._remembered.get(key)
            if remembered is None:
                unseen[key] = (content.text, content.lang)
            else:
                self._remembered.move_to_end(key)
                opinions[key] = remembered
        found = dict(zip(unseen, self._opinions(list(unseen.values())), strict=True))
        self._remembered.update(found)
        while len(self._remembered) > REMEMBERED:
            self._remembered.popitem(last=False)
        opinions |= found
        return [
            verdict_of(content, opinions[key], self.name, self.version)
            for key, content in zip(keys, contents, strict=True)
        ]

    def explain(self, content: Content) -> tuple[tuple[str, float], ...]:
        """What weighed most in a score: (word, how far the calibrated logit falls without it).

        Occlusion: each distinct word is left out at all its places, and the rest scored again by
        the same engine; the N_EVIDENCE words whose absence changes most, largest first. Nothing
        is estimated, and no neighbour matters. () for a text that is not scored.
        Cost: as many texts as there are words. So it is done on demand, not for a stream.
        Source: Zeiler and Fergus, ECCV 2014; Li, Monroe, Jurafsky, arXiv 1612.08220.
        """
        (opinion,) = self._opinions([(content.text, content.lang)])
        if opinion.score is None:
            return ()
        normalised = readable(content.text)
        found = list(dict.fromkeys(_OCCLUDED.findall(normalised)))[: self._config.max_tokens]
        variants = [normalised, *(without(normalised, word) for word in found)]
        whole, *rest = (self._logit(pair) for pair in self._logit_pairs(variants))
        ranked = sorted(
            (-abs(whole - other), word, whole - other)
            for word, other in zip(found, rest, strict=True)
        )
        return tuple((word, round(change, 6)) for _, word, change in ranked[:N_EVIDENCE])

    def _opinions(self, inputs: Sequence[tuple[str, str | None]]) -> list[Opinion]:
        """The opinion about each (text, language). While the model works on one pool, the next is
        looked at, tokenised and sorted."""
        opinions: list[Opinion] = []
        before: tuple[list[Prepared], dict[str, list[str]], Running] | None = None
        for start in range(0, len(inputs), POOL):
            prepared = [self._prepare(*one) for one in inputs[start : start + POOL]]
            texts = {p.normalised: p.words for p in prepared if p.reason is None}
            running = self._start(list(texts))
            if before is not None:
                opinions += self._finish(*before)
            before = prepared, texts, running
        if before is not None:
            opinions += self._finish(*before)
        return opinions

    def _prepare(self, text: str, lang: str | None) -> Prepared:
        normalised = normalise(text)
        tokens = words(normalised)
        reason = abstain_reason(text, tokens, lang, self._config.languages)
        return Prepared(reason, _readable(normalised), tokens)

    def _finish(
        self, prepared: Sequence[Prepared], texts: Mapping[str, Sequence[str]], running: Running
    ) -> list[Opinion]:
        pairs = {
            text: widened(pair, self._wide, tokens)
            for (text, tokens), pair in zip(
                texts.items(), self._runner.finish(running), strict=True
            )
        }
        return [
            Opinion(reason=p.reason) if p.reason else self._opinion(pairs[p.normalised])
            for p in prepared
        ]

    def _opinion(self, pair: tuple[float, float]) -> Opinion:
        """Both logits below zero, or neither: the model says neither class, or both."""
        true, false = pair
        if (true > 0) == (false > 0):
            return Opinion(reason="unsure_logits")
        return opinion_of((false - true) / 2, self._config.calibration)

    def _logit(self, pair: tuple[float, float]) -> float:
        true, false = pair
        return self._config.calibration.slope * (false - true) / 2 + self._config.calibration.offset

    def _logit_pairs(self, texts: Sequence[str]) -> list[Pair]:
        pairs = zip(texts, self.encoder_logits(texts), strict=True)
        return [widened(pair, self._wide, words(text)) for text, pair in pairs]

    def encoder_logits(self, texts: Sequence[str]) -> list[Pair]:
        """The logits (likely_true, likely_false) of readable texts, without the wide part."""
        return self._runner.finish(self._start(texts))

    def _start(self, texts: Sequence[str]) -> Running:
        return self._runner.start(self._encoder.tokenize(texts, self._config.max_tokens))


def readable(text: str) -> str:
    """The text as the model reads it: normalised, with single spaces.

    A lone surrogate, which no UTF-8 can hold, becomes a question mark.

    >>> readable("RT @who: It’s  a HOAX! https://t.co/x")
    "it's a hoax! url"
    """
    return _readable(normalise(text))


def _readable(normalised: str) -> str:
    return " ".join(normalised.split()).encode(errors="replace").decode()


def without(normalised: str, word: str) -> str:
    """The text with that word left out wherever it stands alone.

    >>> without("the cure is the cure for #cure", "cure")
    'the is the for #cure'
    """
    kept = _OCCLUDED.sub(lambda match: "" if match[0] == word else match[0], normalised)
    return " ".join(kept.split())


def model_version(config: Config, engine: str) -> str:
    """`<12 hex>-p<preprocessing>-<engine>`: the hex digits hash all that a score depends on.

    That is the encoder and the adapter (by their sha256), the calibration, the languages, the
    greatest number of tokens and the wide part, if any; neither the training date nor the
    threshold.
    """
    decisive: tuple[object, ...] = (
        config.encoder.sha256,
        config.weights_sha256,
        config.calibration,
        config.languages,
        config.max_tokens,
    )
    if config.wide is not None:
        decisive = (*decisive, config.wide)
    digest = sha256(msgspec.json.encode(decisive)).hexdigest()[:12]
    return f"{digest}-p{config.preprocessing}-{engine}"


def read_config(folder: Path) -> Config:
    """The checked `config.json` of a weights folder. Raises BrokenWeights."""
    return read_checked_config(folder, Config, _config_problem, _broken)


def _config_problem(config: Config) -> str | None:
    if problem := config_problem(config, FORMAT):
        return problem
    if not 8 <= config.max_tokens <= 512:
        return f"has max_tokens {config.max_tokens}, which is not from 8 to 512"
    return wide_problem(config.wide)


def read_adapter(folder: Path, expected_sha256: str) -> dict[str, Tensor]:
    """The tensors of `adapter.safetensors`, checked against their hash. Raises BrokenWeights.

    `whole.<name in a BERT checkpoint>` float32, where the encoder itself was trained;
    `layer.<i>.<linear>.down` (rank, n_in) and `.up` (n_out, rank) float16, linears as in
    `detectors.encoder.LINEARS`; `.reach` (n_in,), what `detectors.runtime.levelled` wants to know;
    `head.weight` (2, hidden) and `head.bias` (2,) float32.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    path = folder / _ADAPTER
    data = read_checked(path, expected_sha256, _broken)
    try:
        adapter: dict[str, Tensor] = load(data)
    except (SafetensorError, ValueError, KeyError) as error:
        raise _broken(path, f"does not hold the tensors of an adapter ({error})") from error
    return adapter


def merge(encoder: Encoder, adapter: dict[str, Tensor], path: Path) -> Model:
    """The encoder with the adapter added to its weights, or with weights of its own where they were
    trained. Raises BrokenWeights."""
    import torch

    from detectors.encoder import LINEARS, linear_name, with_low_rank, with_weights
    from detectors.runtime import Model

    rest = dict(adapter)
    weights = encoder.weights
    reaches: dict[tuple[int, str], Tensor] = {}
    try:
        head_weight, head_bias = rest.pop("head.weight"), rest.pop("head.bias")
        if head_weight.shape != (2, encoder.shape.hidden) or head_bias.shape != (2,):
            raise ValueError(f"head of shape {tuple(head_weight.shape)}")
        for layer in range(encoder.shape.n_layers):
            for linear in LINEARS:
                name = f"layer.{layer}.{linear}"
                if f"{name}.reach" in rest:
                    reach = rest.pop(f"{name}.reach").float()
                    n_in = weights[f"{linear_name(layer, linear)}.weight"].shape[1]
                    if reach.shape != (n_in,):
                        raise ValueError(f"{name}.reach of shape {tuple(reach.shape)}")
                    reaches[layer, linear] = reach
        whole = {name: rest.pop(name).float() for name in list(rest) if name.startswith(_WHOLE)}
        own = with_weights(encoder, {n.removeprefix(_WHOLE): t for n, t in whole.items()})
        merged = with_low_rank(own, rest)
    except (KeyError, ValueError, RuntimeError) as error:
        raise _broken(path, f"does not fit {encoder.name} ({error})") from error
    if rest:
        raise _broken(path, f"does not fit {encoder.name} (unknown tensor {min(rest)!r})")
    used = [head_weight, head_bias, *merged.weights.values(), *reaches.values()]
    if not all(bool(torch.isfinite(tensor).all()) for tensor in used):
        raise _broken(path, "holds a number that is not finite")
    if not all(bool((reach > 0).all()) for reach in reaches.values()):
        raise _broken(path, "holds a reach that is not above 0")
    return Model(merged, head_weight.float(), head_bias.float(), reaches)


def read_model(folder: Path) -> tuple[Config, Model, WidePart | None]:
    """What a weights folder holds, merged with the encoder it names, and its wide part. Raises:
    DetectorUnusable."""
    from detectors.encoder import read_encoder

    config = read_config(folder)
    encoder = read_encoder(config.encoder.name)
    if encoder.sha256 != config.encoder.sha256:
        raise _broken(
            folder / _CONFIG,
            f"names encoder {config.encoder.name!r} with sha256 {config.encoder.sha256[:12]}..., "
            f"here it has {encoder.sha256[:12]}...",
        )
    adapter = read_adapter(folder, config.weights_sha256)
    wide = read_wide(folder, config.wide, _broken)
    return config, merge(encoder, adapter, folder / _ADAPTER), wide


def write_weights(folder: Path, adapter: dict[str, Tensor]) -> str:
    """Write `adapter.safetensors` as `read_adapter` reads it; its sha256. Same in, same bytes."""
    from safetensors.torch import save

    data = save({name: adapter[name].contiguous() for name in sorted(adapter)})
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _ADAPTER).write_bytes(data)
    return sha256(data).hexdigest()


def write_config(folder: Path, config: Config) -> None:
    """Write `config.json`, indented."""
    (folder / _CONFIG).write_bytes(msgspec.json.format(msgspec.json.encode(config)) + b"\n")


def _broken(path: Path, what: str) -> BrokenWeights:
    return BrokenWeights(
        f"{path} {what}; reinstall hoaxwatch or train again with python -m detectors.train_bert"
    )
