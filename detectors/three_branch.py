"""Hashtags, text with the words in pictures, and pictures: three branches and their ensemble.

Each post is read by up to four networks of one kind (`networks.three_branch`): all three branches
in one, and each branch alone; `ensemble` makes one score of theirs. A branch with nothing to read
has no voice, and the verdict names it with the reason. Trained by `detectors.train_three_branch`.
Source: Wang, Yin, Argyris, "Detecting Medical Misinformation on Social Media Using Multimodal Deep
Learning", IEEE J. Biomedical and Health Informatics 25(6), 2021.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from detectors.ensemble import PARTS, RULES, Ensemble
from detectors.image.preprocess import for_imagenet, seen_region
from detectors.networks.files import below, named, reading_tensors, write_model
from detectors.networks.images import BACKBONES, Backbone
from detectors.networks.three_branch import (
    MAX_TAGS,
    MAX_WORDS,
    Branch,
    Inputs,
    Output,
    Switches,
    ThreeBranch,
)
from detectors.occlusion import largest_first
from detectors.posts import PostVerdict, SeenPicture, WholePost, caption_of, post_hash, tags_of
from detectors.text.abstain import MIN_PROBABILITY, language_probability, stated_language
from detectors.text.hashtags import WANG_2020
from detectors.text.normalise import normalise, words
from detectors.text.subwords import Subwords, WordVectors
from detectors.threads import one_thread
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
#: What stands for the topic where the user names nothing else (Wang et al., section IV-B).
TOPIC_TAGS = WANG_2020
#: Words, hashtags and places whose weight is looked into by `explain`.
N_EXPLAINED = 5

Combine = Literal["network", "svm", "mean", "max", "vote"]
Maps = NDArray[np.float32]


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`config.json`. networks: their switches by name, "three_branch" at least. calibrations: of
    each network's logit. languages: of texts that are read; none: any. with_words_in_pictures:
    False is noOCR. combine: "network" gives the score of three_branch alone."""

    format: int
    preprocessing: int
    labels: tuple[str, ...]
    positive_class: str
    threshold: float
    backbone: str
    topic_tags: tuple[str, ...]
    languages: tuple[str, ...]
    with_words_in_pictures: bool
    networks: dict[str, Switches]
    calibrations: dict[str, Calibration]
    combine: Combine
    ensemble: Ensemble
    weights_sha256: str
    trained_on: str


class Model(NamedTuple):
    """A fitted detector: what a weights folder holds."""

    config: Config
    subwords: Subwords
    backbone: Backbone
    networks: dict[str, ThreeBranch]


class Prepared(NamedTuple):
    """A post as the branches read it. maps: (C, height, width), or None."""

    words: tuple[str, ...]
    tags: tuple[str, ...]
    maps: Maps | None


class ThreeBranchDetector:
    """Scores whole posts; see the module.

    Each post is computed alone and in float64, so its score has the same bits in any company.
    Cost: about 10 ms of one core for a post of 40 words, without reading its picture.
    """

    name = "three_branch"

    def __init__(self, model: Model) -> None:
        """model: as `load` or training gives it."""
        self.model = model
        self.threshold = model.config.threshold
        self.version = model_version(model.config)
        self._vectors = WordVectors(model.subwords)
        self._networks = {name: _double(network) for name, network in model.networks.items()}

    def score(self, posts: Sequence[WholePost]) -> list[PostVerdict]:
        """One verdict per post, in order. Its evidence: what each branch that had a voice added to
        the logit of the three-branch network ("branch text", against the network without it).

        Abstains with `nothing_to_read` where no branch had anything.
        """
        return [self._judge(post) for post in posts]

    def explain(self, post: WholePost) -> tuple[tuple[str, float], ...]:
        """What weighed most, as (feature, contribution to the logit of the three-branch network):
        branches, and the words, hashtags and places of the picture that attention weighs most. A
        contribution is the difference that leaving it out makes. () if it is not scored.

        Features: "branch text", "word cure", "hashtag vaxx", "place 0.25,0.5,0.5,0.75" (left, top,
        right, bottom as shares of the picture).
        """
        prepared, _ = self._prepare(post)
        if not _parts(prepared):
            return ()
        output = self._run("three_branch", prepared)
        found = list(self._of_branches(prepared, output))
        for kind, by_word in self._weights_of_words(prepared, output):
            for word, _ in _most(by_word):
                less = (
                    prepared._replace(words=tuple(w for w in prepared.words if w != word))
                    if kind == "word"
                    else prepared._replace(tags=tuple(w for w in prepared.tags if w != word))
                )
                found.append((f"{kind} {word}", self._difference(output, less)))
        if (places := self._weights_of_places(prepared, output)) is not None:
            assert prepared.maps is not None
            for place, box in self._places(post, places):
                maps = prepared.maps.copy()
                maps.reshape(len(maps), -1)[:, place] = 0.0
                less = prepared._replace(maps=maps)
                found.append((f"place {box}", self._difference(output, less)))
        return largest_first(found)

    def _judge(self, post: WholePost) -> PostVerdict:
        prepared, missing = self._prepare(post)
        used = _parts(prepared)
        score = None
        evidence = attention = tuple[tuple[str, float], ...]()
        if used:
            outputs = {
                name: self._run(name, prepared)
                for name in PARTS
                if name in self._networks and (name == "three_branch" or name in used)
            }
            scores = {name: sigmoid(self._logit_of(name, out)) for name, out in outputs.items()}
            score, output = self._combined(scores), outputs["three_branch"]
            evidence = self._of_branches(prepared, output)
            attention = self._attention(post, prepared, output)
        verdict = Verdict(
            platform=post.content.platform,
            root_id=post.content.root_id,
            input_hash=post_hash(post),
            detector=self.name,
            version=self.version,
            state="abstained" if score is None else "scored",
            score=score,
            reason=None if used else "nothing_to_read",
            evidence=evidence,
        )
        return PostVerdict(verdict, used, missing, attention)

    def _attention(
        self, post: WholePost, prepared: Prepared, output: Output
    ) -> tuple[tuple[str, float], ...]:
        """The weights of the three-branch network's own attention: of its branches, and of the
        N_EXPLAINED first words, hashtags and places (shares of the sum of their kind)."""
        found = []
        if "branches" in output.weights:
            switches = self.model.config.networks["three_branch"]
            weights = output.weights["branches"][0].tolist()
            there = output.there[0].tolist()
            found += [
                (f"branch {name}", weight)
                for name, weight, is_there in zip(switches.branches, weights, there, strict=True)
                if is_there
            ]
        found += [
            (f"{kind} {word}", weight)
            for kind, by_word in self._weights_of_words(prepared, output)
            for word, weight in _most(by_word)
        ]
        if (places := self._weights_of_places(prepared, output)) is not None:
            sums = float(places.sum()) or 1.0
            found += [
                (f"place {box}", float(places.flat[place]) / sums)
                for place, box in self._places(post, places)
            ]
        return tuple((name, round(weight, 4)) for name, weight in found)

    def _weights_of_words(
        self, prepared: Prepared, output: Output
    ) -> Iterator[tuple[str, dict[str, float]]]:
        """Weight of each word and hashtag, all places where it stands together."""
        for kind, name, said in (
            ("word", "text", prepared.words),
            ("hashtag", "tags", prepared.tags),
        ):
            if not said or name not in output.weights:
                continue
            by_word: dict[str, float] = {}
            for word, weight in zip(said, output.weights[name][0].tolist(), strict=True):
                by_word[word] = by_word.get(word, 0.0) + weight
            yield kind, by_word

    def _weights_of_places(self, prepared: Prepared, output: Output) -> NDArray[Any] | None:
        """(height, width), or None without a picture."""
        if prepared.maps is None or "image" not in output.weights:
            return None
        weights: NDArray[Any] = output.weights["image"][0].numpy()
        return weights

    def _places(self, post: WholePost, weights: NDArray[Any]) -> Iterator[tuple[int, str]]:
        """The places of greatest weight: number, and "left,top,right,bottom" as shares of the
        picture."""
        assert post.picture is not None and post.picture.pixels is not None
        height, width = weights.shape
        left, top, right, bottom = seen_region(
            post.picture.pixels.shape[1], post.picture.pixels.shape[0], "imagenet"
        )
        for place in np.argsort(-weights, axis=None, kind="stable")[:N_EXPLAINED]:
            y, x = divmod(int(place), width)
            box = (
                left + (right - left) * x / width,
                top + (bottom - top) * y / height,
                left + (right - left) * (x + 1) / width,
                top + (bottom - top) * (y + 1) / height,
            )
            yield int(place), ",".join(f"{share:.2f}" for share in box)

    def _combined(self, scores: Mapping[str, float]) -> float:
        combine = self.model.config.combine
        if combine == "network":
            return round(scores["three_branch"], 6)
        if combine == "svm":
            return self.model.config.ensemble.score(scores)[0]
        return round(RULES[combine](list(scores.values())), 6)

    def _prepare(self, post: WholePost) -> tuple[Prepared, dict[str, str]]:
        maps = None if post.picture is None else maps_of(post.picture, self.model.backbone)
        return prepare(post, self.model.config, maps)

    def _run(self, name: str, prepared: Prepared) -> Output:
        inputs = collate([prepared], self._vectors, self.model.backbone.n_channels)
        with one_thread(), torch.inference_mode():
            output: Output = self._networks[name](_doubled(inputs))
        return output

    def _logit_of(self, name: str, output: Output) -> float:
        calibration = self.model.config.calibrations[name]
        return calibration.slope * float(output.logits[0]) + calibration.offset

    def _difference(self, whole: Output, less: Prepared) -> float:
        """What the whole post has more than that, as the three-branch network sees it."""
        name = "three_branch"
        return self._logit_of(name, whole) - self._logit_of(name, self._run(name, less))

    def _of_branches(self, prepared: Prepared, whole: Output) -> tuple[tuple[str, float], ...]:
        without = {
            "image": prepared._replace(maps=None),
            "text": prepared._replace(words=()),
            "tags": prepared._replace(tags=()),
        }
        return largest_first(
            (f"branch {name}", self._difference(whole, without[name])) for name in _parts(prepared)
        )


def _most(by_word: Mapping[str, float]) -> list[tuple[str, float]]:
    """The words of greatest weight."""
    return sorted(by_word.items(), key=lambda pair: (-pair[1], pair[0]))[:N_EXPLAINED]


# What the branches read


def prepare(post: WholePost, config: Config, maps: Maps | None) -> tuple[Prepared, dict[str, str]]:
    """A post as the branches read it, and why each that has nothing to read has not.

    missing: of "image", "text", "tags" and "ocr" (words in pictures, which are part of the text).
    What the training posts had nothing of to read is "not_learnt".
    """
    missing = {}
    caption, overlaid = caption_of(post.content.text), post.overlaid or ""
    if post.picture_problem:
        missing["image"] = post.picture_problem
    if not config.with_words_in_pictures:
        overlaid, missing["ocr"] = "", "switched_off"
    elif post.picture is None:
        missing["ocr"] = "no_picture"
    elif post.overlaid is None:
        missing["ocr"] = "not_read"
    elif not overlaid:
        missing["ocr"] = "no_words"
    said = (*words(normalise(caption)), *words(normalise(overlaid)))[:MAX_WORDS]
    if not said:
        missing["text"] = "empty"
    elif config.languages and not _is_read(caption, overlaid, post.content.lang, config):
        said, missing["text"] = (), "language"
    tags = tags_of(post.content)[:MAX_TAGS]
    if not tags:
        missing["tags"] = "no_hashtags"
    prepared = Prepared(said, tags, maps)
    if "three_branch" in config.networks:
        learnt = config.networks["three_branch"].branches
        missing |= {name: "not_learnt" for name in _parts(prepared) if name not in learnt}
        prepared = Prepared(
            said if "text" in learnt else (),
            tags if "tags" in learnt else (),
            maps if "image" in learnt else None,
        )
    return prepared, missing


def _is_read(caption: str, overlaid: str, lang: str | None, config: Config) -> bool:
    """Whether a post is in a language that was learnt: as stated, else its caption or the whole.

    In lower case: pictures shout, and capitals are foreign to what identifies languages.
    """
    stated = stated_language(lang)
    if stated is not None:
        return stated in config.languages
    said = filter(str.strip, (caption.lower(), f"{caption} {overlaid}".lower()))
    return any(language_probability(text, config.languages) >= MIN_PROBABILITY for text in said)


def _parts(prepared: Prepared) -> tuple[Branch, ...]:
    """The branches that have something to read."""
    there: dict[Branch, bool] = {
        "image": prepared.maps is not None,
        "text": bool(prepared.words),
        "tags": bool(prepared.tags),
    }
    return tuple(name for name, is_there in there.items() if is_there)


def maps_of(picture: SeenPicture, backbone: Backbone) -> Maps:
    """The maps of a picture that can be read, (C, height, width), by a backbone held fast."""
    assert picture.pixels is not None
    pixels = torch.from_numpy(for_imagenet(picture.pixels, backbone.side))
    backbone.eval()
    with torch.inference_mode():
        maps: Maps = backbone(pixels.unsqueeze(0))[0].numpy()
    return maps


def collate(rows: Sequence[Prepared], vectors: WordVectors, n_channels: int) -> Inputs:
    """Several posts as one batch, padded."""

    def padded(said: Sequence[Sequence[str]]) -> tuple[Tensor, Tensor]:
        longest = max(1, *map(len, said)) if said else 1
        table = np.zeros((len(said), longest, vectors.width), dtype=np.float32)
        there = np.zeros((len(said), longest), dtype=bool)
        for row, own in enumerate(said):
            table[row, : len(own)] = vectors.of(own)
            there[row, : len(own)] = True
        return torch.from_numpy(table), torch.from_numpy(there)

    of_words, words_there = padded([row.words for row in rows])
    of_tags, tags_there = padded([row.tags for row in rows])
    shape = next((row.maps.shape for row in rows if row.maps is not None), (n_channels, 1, 1))
    maps = np.stack([np.zeros(shape, np.float32) if r.maps is None else r.maps for r in rows])
    image_there = torch.tensor([row.maps is not None for row in rows])
    return Inputs(of_words, words_there, of_tags, tags_there, torch.from_numpy(maps), image_there)


def _doubled(inputs: Inputs) -> Inputs:
    return inputs._replace(
        words=inputs.words.double(), tags=inputs.tags.double(), maps=inputs.maps.double()
    )


def _double(network: ThreeBranch) -> ThreeBranch:
    """A copy in float64: the model itself stays as it is stored."""
    return deepcopy(network).double().eval()


# Weights


def model_version(config: Config) -> str:
    """12 hex digits of all that a score depends on."""
    decisive = msgspec.structs.replace(config, threshold=0.5, trained_on="")
    return sha256(msgspec.json.encode(decisive)).hexdigest()[:12]


def save(model: Model, folder: Path) -> Config:
    """Writes the weights folder; the config with the hash of the weights."""
    tensors = {"subwords": torch.from_numpy(model.subwords.table)}
    tensors |= named("backbone", model.backbone)
    for name, network in model.networks.items():
        tensors |= named(name, network)
    return write_model(folder, model.config, tensors)


def load(folder: Path) -> Model:
    """What `save` wrote, checked. Raises BrokenWeights."""
    config = read_checked_config(folder, Config, _config_problem, _broken)
    networks = {}
    with reading_tensors(folder, config, _broken) as tensors:
        subwords = Subwords(tensors["subwords"].numpy())
        backbone = BACKBONES[config.backbone]()
        backbone.load_state_dict(below("backbone", tensors))
        topic = torch.from_numpy(subwords.topic(config.topic_tags))
        for name, switches in config.networks.items():
            networks[name] = ThreeBranch(topic, backbone.n_channels, switches)
            networks[name].load_state_dict(below(name, tensors))
    return Model(config, subwords, backbone.eval(), {n: x.eval() for n, x in networks.items()})


def _config_problem(config: Config) -> str | None:
    if found := basics_problem(config, FORMAT):
        return found
    if "three_branch" not in config.networks or set(config.networks) != set(config.calibrations):
        return f"has networks {sorted(config.networks)} with other calibrations"
    if not set(config.networks) <= set(PARTS) or config.backbone not in BACKBONES:
        return f"has networks or a backbone that this version does not know ({config.backbone})"
    return next(filter(None, map(slope_problem, config.calibrations.values())), None)


def _broken(path: Path, what: str) -> BrokenWeights:
    return BrokenWeights(f"{path} {what}; train again with python -m detectors.train_three_branch")
