"""Text, picture and social attributes in one network: att-XDSF, and XDSF without attention.

The network is in `networks.att_xdsf`. A text is read by an encoder that is held fast (by default
the embedded all-MiniLM-L6-v2), by one that was trained with the rest, as the paper trains BERT, or
character by character; a picture by a backbone that first learnt pictures alone. Trained by
`detectors.train_att_xdsf`.
Source: Zuo, Wang, Zhang, World Scientific Research Journal 9(4), 2023.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from detectors.encoder import DEFAULT_ENCODER, Encoder, read_encoder
from detectors.networks.att_xdsf import AttXdsf, Fusion, Inputs, Modality
from detectors.networks.files import (
    CONFIG,
    below,
    named,
    reading_tensors,
    write_model,
)
from detectors.networks.images import BACKBONES, Backbone
from detectors.networks.text import Bert, Characters, Given, frozen_states
from detectors.occlusion import largest_first, texts_without_a_word
from detectors.posts import PostVerdict, WholePost, post_hash
from detectors.social.categories import Field, categories_of
from detectors.text.normalise import normalise
from detectors.threads import one_thread
from detectors.three_branch import Maps, maps_of
from detectors.trained import (
    BrokenWeights,
    Calibration,
    basics_problem,
    read_checked_config,
    sigmoid,
    slope_problem,
)
from streams.records import Verdict

FORMAT = 1
#: Of a text, its first and last mark included, or characters.
MAX_TOKENS, MAX_CHARACTERS = 64, 140

Kind = Literal["frozen", "trained", "characters"]


class TextReader(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How texts are read. encoder, sha256: of "frozen" and "trained". characters: of "characters",
    in the order of their numbers from 1; 0 is any other."""

    kind: Kind = "frozen"
    encoder: str = DEFAULT_ENCODER
    sha256: str = ""
    characters: str = ""


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`config.json`. fields: the attributes with their categories. width: p of the paper."""

    format: int
    preprocessing: int
    labels: tuple[str, ...]
    positive_class: str
    threshold: float
    calibration: Calibration
    modalities: tuple[Modality, ...]
    fusion: Fusion
    width: int
    text: TextReader
    backbone: str
    fields: tuple[Field, ...]
    weights_sha256: str
    trained_on: str


class Model(NamedTuple):
    """A fitted detector: what a weights folder holds, and the encoder that it names."""

    config: Config
    network: AttXdsf
    backbone: Backbone
    encoder: Encoder | None


class Prepared(NamedTuple):
    """A post as the network reads it. text: states (tokens, width), or ids (tokens,). maps: (C,
    height, width), or None. social: (fields,)."""

    text: NDArray[Any]
    maps: Maps | None
    social: NDArray[np.int64]


class AttXdsfDetector:
    """Scores whole posts; see the module.

    Each post is computed alone and in float64: the same bits in any company. Cost: about 10 ms of
    one core with the default encoder.
    """

    name = "att_xdsf"

    def __init__(self, model: Model) -> None:
        """model: as `load` or training gives it."""
        self.model = model
        self.threshold = model.config.threshold
        self.version = model_version(model.config)
        self._network = deepcopy(model.network).double().eval()

    def score(self, posts: Sequence[WholePost]) -> list[PostVerdict]:
        """One verdict per post, in order. Its evidence: what each modality that had a voice added
        to the calibrated logit ("branch social": against the same post with no attribute known).

        Abstains with `nothing_to_read` from a post without text and picture, unless the model reads
        attributes alone.
        """
        return [self._judge(post) for post in posts]

    def explain(self, post: WholePost) -> tuple[tuple[str, float], ...]:
        """What weighed most: modalities, words ("word cure": the text without them) and attributes
        ("attribute followers": if it were not known), as (feature, contribution to the logit),
        largest first. () if it is not scored. Cost: as many texts as there are words."""
        (judged,) = self.score([post])
        if judged.verdict.score is None:
            return ()
        prepared = self._prepare(post)
        whole, found = self._logit(prepared), list(judged.verdict.evidence)
        if "text" in judged.used:
            for word, rest in texts_without_a_word(post.content.text, MAX_TOKENS):
                less = prepared._replace(text=texts_of([rest], self.model)[0])
                found.append((f"word {word.casefold()}", round(whole - self._logit(less), 6)))
        if "social" in judged.used:
            for i, own in enumerate(self.model.config.fields):
                if prepared.social[i]:
                    social = prepared.social.copy()
                    social[i] = 0
                    less = prepared._replace(social=social)
                    found.append((f"attribute {own.name}", round(whole - self._logit(less), 6)))
        return largest_first(found)

    def _judge(self, post: WholePost) -> PostVerdict:
        prepared = self._prepare(post)
        used, missing = voices(prepared, post, self.model.config)
        score, evidence = None, tuple[tuple[str, float], ...]()
        if used and (set(used) != {"social"} or self.model.config.modalities == ("social",)):
            rows = [prepared, *(without(prepared, name) for name in used)]
            whole, *less = self._logits(rows)
            score = round(sigmoid(whole), 6)
            evidence = largest_first(
                (f"branch {name}", whole - logit) for name, logit in zip(used, less, strict=True)
            )
        verdict = Verdict(
            platform=post.content.platform,
            root_id=post.content.root_id,
            input_hash=post_hash(post),
            detector=self.name,
            version=self.version,
            state="abstained" if score is None else "scored",
            score=score,
            reason="nothing_to_read" if score is None else None,
            evidence=evidence,
        )
        return PostVerdict(verdict, used if score is not None else (), missing)

    def _prepare(self, post: WholePost) -> Prepared:
        config = self.model.config
        maps = None
        if "image" in config.modalities and post.picture is not None:
            maps = maps_of(post.picture, self.model.backbone)
        text = texts_of([post.content.text], self.model)[0]
        return Prepared(text, maps, categories_of(config.fields, [post.attributes])[0])

    def _logit(self, prepared: Prepared) -> float:
        (logit,) = self._logits([prepared])
        return logit

    def _logits(self, rows: Sequence[Prepared]) -> list[float]:
        """Of one post with and without its parts: in one batch, which takes hardly longer than one
        of them. Never of several posts, so that none depends on its neighbours."""
        inputs = collate(rows, self.model.backbone.n_channels)
        if inputs.text.is_floating_point():
            inputs = inputs._replace(text=inputs.text.double())
        with one_thread(), torch.inference_mode():
            logits = self._network(inputs._replace(image=inputs.image.double())).tolist()
        calibration = self.model.config.calibration
        return [calibration.slope * logit + calibration.offset for logit in logits]


def voices(
    prepared: Prepared, post: WholePost, config: Config
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Which modalities have something to read, and why each other that the model knows has not."""
    why: dict[Modality, str | None] = {
        "text": None if len(prepared.text) else "empty",
        "image": post.picture_problem,
        "social": None if prepared.social.any() else "no_attribute_known",
    }
    used = tuple(name for name in config.modalities if why[name] is None)
    return used, {name: reason for name in config.modalities if (reason := why[name]) is not None}


def without(prepared: Prepared, modality: str) -> Prepared:
    """The post as if that modality were missing."""
    if modality == "text":
        return prepared._replace(text=prepared.text[:0])
    if modality == "image":
        return prepared._replace(maps=None)
    return prepared._replace(social=np.zeros_like(prepared.social))


def texts_of(texts: Sequence[str], model: Model) -> list[NDArray[Any]]:
    """Each text as the network reads it: states, ids of tokens, or ids of characters. Nothing for
    one without a letter."""
    return read_texts(texts, model.config.text, model.encoder)


def read_texts(
    texts: Sequence[str], reader: TextReader, encoder: Encoder | None
) -> list[NDArray[Any]]:
    """`texts_of` before there is a model."""
    said = [text if any(map(str.isalnum, text)) else "" for text in texts]
    if reader.kind == "characters":
        number = {character: i for i, character in enumerate(reader.characters, 1)}
        return [
            np.array([number.get(c, 0) for c in normalise(text)[:MAX_CHARACTERS]], dtype=np.int64)
            for text in said
        ]
    assert encoder is not None
    # a lone surrogate cannot be written as UTF-8, which the tokenizer wants
    readable = [text.encode(errors="replace").decode() for text in said]
    if reader.kind == "trained":
        ids = encoder.tokenize(readable, MAX_TOKENS)
        return [
            np.array(own if text else [], dtype=np.int64)
            for own, text in zip(ids, said, strict=True)
        ]
    states = frozen_states(encoder, readable, MAX_TOKENS)
    return [own if text else own[:0] for own, text in zip(states, said, strict=True)]


def collate(rows: Sequence[Prepared], n_channels: int) -> Inputs:
    """Several posts as one batch, padded."""
    longest = max(1, *(len(row.text) for row in rows)) if rows else 1
    first = rows[0].text
    dtype = np.int64 if first.dtype == np.int64 else np.float32
    text = np.zeros((len(rows), longest, *first.shape[1:]), dtype=dtype)
    there = np.zeros((len(rows), longest), dtype=bool)
    for i, row in enumerate(rows):
        text[i, : len(row.text)] = row.text
        there[i, : len(row.text)] = True
    shape = next((row.maps.shape for row in rows if row.maps is not None), (n_channels, 1, 1))
    maps = np.stack([np.zeros(shape, np.float32) if r.maps is None else r.maps for r in rows])
    return Inputs(
        torch.from_numpy(text),
        torch.from_numpy(there),
        torch.from_numpy(maps),
        torch.tensor([row.maps is not None for row in rows]),
        torch.from_numpy(np.stack([row.social for row in rows])),
    )


def make_network(config: Config, encoder: Encoder | None) -> AttXdsf:
    """The untrained network of a config."""
    text: nn.Module
    if config.text.kind == "characters":
        characters = Characters(len(config.text.characters) + 1)
        text, width = characters, characters.width
    else:
        assert encoder is not None
        width = encoder.shape.hidden
        text = Bert(encoder) if config.text.kind == "trained" else Given(width)
    n_channels = BACKBONES[config.backbone].n_channels
    return AttXdsf(
        text,
        width,
        Given(n_channels),
        n_channels,
        [field.n_categories for field in config.fields],
        config.modalities,
        config.fusion,
        config.width,
    )


# Weights


def model_version(config: Config) -> str:
    """12 hex digits of all that a score depends on."""
    decisive = msgspec.structs.replace(config, threshold=0.5, trained_on="")
    return sha256(msgspec.json.encode(decisive)).hexdigest()[:12]


def save(model: Model, folder: Path) -> Config:
    """Writes the weights folder; the config with the hash of the weights."""
    tensors = named("network", model.network) | named("backbone", model.backbone)
    return write_model(folder, model.config, tensors)


def load(folder: Path) -> Model:
    """What `save` wrote, checked. Raises BrokenWeights, EncoderUnavailable."""
    config = read_checked_config(folder, Config, _config_problem, _broken)
    encoder = None
    if config.text.kind != "characters":
        encoder = read_encoder(config.text.encoder)
        if encoder.sha256 != config.text.sha256:
            said = f"{encoder.sha256[:12]}..., not {config.text.sha256[:12]}..."
            raise _broken(
                folder / CONFIG, f"was trained on another {config.text.encoder} (sha256 {said})"
            )
    network, backbone = make_network(config, encoder), BACKBONES[config.backbone]()
    with reading_tensors(folder, config, _broken) as tensors:
        network.load_state_dict(below("network", tensors))
        backbone.load_state_dict(below("backbone", tensors))
    return Model(config, network.eval(), backbone.eval(), encoder)


def _config_problem(config: Config) -> str | None:
    if found := basics_problem(config, FORMAT) or slope_problem(config.calibration):
        return found
    if not config.modalities or config.backbone not in BACKBONES:
        return f"has no modalities, or a backbone that is not known ({config.backbone})"
    return None


def _broken(path: Path, what: str) -> BrokenWeights:
    return BrokenWeights(f"{path} {what}; train again with python -m detectors.train_att_xdsf")
