"""The floor: TF-IDF of word 1-2-grams and a logistic regression, in plain Python.

    x_i   = (1 + ln n_i) * idf_i                  n_i: times that feature i is in the text
    logit = slope * (x . w / |x| + intercept) + offset
    score = 1 / (1 + exp(-logit))                 calibrated probability of likely_false

Every sum is `math.fsum`, which is exactly rounded: so a score has the same bits whatever the order
of the features, the batch or its neighbours. Trained by `detectors.train_tfidf`, measured in
`weights/tfidf/README.md`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from io import BytesIO
from math import fsum, isfinite, log, sqrt
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile

import msgspec
import numpy as np

from detectors import trained
from detectors.text.abstain import abstain_reason
from detectors.text.normalise import bigrams, normalise, words
from detectors.trained import (
    Broken,
    BrokenWeights,
    Opinion,
    config_problem,
    opinion_of,
    read_checked,
    read_checked_config,
    verdict_of,
)
from streams.records import Content, Verdict

FORMAT = 1
SHIPPED_WEIGHTS = Path(__file__).parent / "weights" / "tfidf"
N_EVIDENCE = 5

WEIGHTS = "weights.npz"
_CONFIG = "config.json"


class Config(trained.Config, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`config.json`: everything about a model that is no big array."""


class LinearModel(NamedTuple):
    """features: feature -> (weight * idf, idf squared). intercept: of the uncalibrated logit."""

    features: Mapping[str, tuple[float, float]]
    intercept: float


class TfidfDetector:
    """Scores English texts; see the module. Cost: about 100 microseconds per post on one core."""

    name = "tfidf"

    def __init__(self, weights: Path = SHIPPED_WEIGHTS) -> None:
        """Load a weights folder. Raises BrokenWeights."""
        self._config = read_config(weights)
        self._model = read_model(weights, self._config.weights_sha256)
        self.threshold = self._config.threshold
        self.version = model_version(self._config)

    def score(self, contents: Sequence[Content]) -> list[Verdict]:
        """One verdict per content, in order. What `input_hash` covers (text and language) is
        judged once per call, however often it comes."""
        judged: dict[tuple[str, str | None], Opinion] = {}
        verdicts = []
        for content in contents:
            read = (content.text, content.lang)
            opinion = judged.get(read)
            if opinion is None:
                opinion = judged[read] = self.judge(*read)
            verdicts.append(verdict_of(content, opinion, self.name, self.version))
        return verdicts

    def judge(self, text: str, lang: str | None) -> Opinion:
        """The opinion about one text.

        Besides the reasons of `abstain_reason`: `no_known_words` when nothing of the text is in the
        vocabulary, since a score would then be the training data's prior and nothing else.
        """
        tokens = words(normalise(text))
        reason = abstain_reason(text, tokens, lang, self._config.languages)
        if reason is not None:
            return Opinion(reason=reason)
        contributions = feature_contributions(self._model, tokens + bigrams(tokens))
        if not contributions:
            return Opinion(reason="no_known_words")
        calibration = self._config.calibration
        logit = fsum(contributions.values()) + self._model.intercept
        return opinion_of(
            logit, calibration, strongest(contributions, calibration.slope, N_EVIDENCE)
        )


def feature_contributions(model: LinearModel, found: Iterable[str]) -> dict[str, float]:
    """What each known feature adds to the uncalibrated logit: x_i * w_i / |x|.

    found: every 1-2-gram of a text, as often as it is there; unknown ones count for nothing.

    >>> model = LinearModel({"a": (2.0, 9.0), "b": (-1.0, 16.0)}, intercept=0.0)
    >>> feature_contributions(model, ["a", "b", "c"])
    {'a': 0.4, 'b': -0.2}
    """
    known = model.features
    counts = Counter(filter(known.__contains__, found))
    terms, squares = [], []
    for (weight, square), n in zip(map(known.__getitem__, counts), counts.values(), strict=True):
        if n > 1:
            frequency = 1.0 + log(n)
            weight *= frequency
            square *= frequency * frequency
        terms.append(weight)
        squares.append(square)
    norm = sqrt(fsum(squares))
    return {feature: term / norm for feature, term in zip(counts, terms, strict=True)}


def strongest(
    contributions: Mapping[str, float], slope: float, n: int
) -> tuple[tuple[str, float], ...]:
    """The n features with the largest |slope * contribution|, largest first, then by name.

    >>> strongest({"a": 0.1, "b": -0.5, "c": 0.1}, slope=2.0, n=2)
    (('b', -1.0), ('a', 0.2))
    """
    # Sorting the magnitudes first is cheaper than sorting everything by name as well.
    least = min(sorted(map(abs, contributions.values()))[-n:], default=0.0)
    ranked = sorted([(-abs(v), feature) for feature, v in contributions.items() if abs(v) >= least])
    return tuple((feature, round(slope * contributions[feature], 6)) for _, feature in ranked[:n])


def model_version(config: Config) -> str:
    """`<12 hex>-p<preprocessing>`: the hex digits hash all that a score depends on.

    That is the weights (by their sha256), the calibration and the languages; neither the training
    date nor the threshold, which change no score.
    """
    decisive = (config.weights_sha256, config.calibration, config.languages)
    return f"{sha256(msgspec.json.encode(decisive)).hexdigest()[:12]}-p{config.preprocessing}"


def read_config(folder: Path) -> Config:
    """The checked `config.json` of a weights folder. Raises BrokenWeights."""
    return read_checked_config(folder, Config, lambda found: config_problem(found, FORMAT), _broken)


def read_model(folder: Path, expected_sha256: str) -> LinearModel:
    """The model in `weights.npz`, checked against its hash. Raises BrokenWeights."""
    return read_linear(folder / WEIGHTS, expected_sha256, _broken)


def read_linear(path: Path, expected_sha256: str, broken: Broken) -> LinearModel:
    """The arrays of a linear model, checked against their hash, or `broken` raised.

    coefficient, idf: float32 (features,). intercept: float32 (1,). vocabulary: uint8, the features
    in UTF-8 with a line feed between them.
    """
    data = read_checked(path, expected_sha256, broken)
    try:
        with np.load(BytesIO(data), allow_pickle=False) as arrays:
            vocabulary = arrays["vocabulary"].tobytes().decode().split("\n")
            coefficient = arrays["coefficient"].astype(np.float64).tolist()
            idf = arrays["idf"].astype(np.float64).tolist()
            (intercept,) = arrays["intercept"].astype(np.float64).tolist()
        features = {
            feature: (c * i, i * i)
            for feature, c, i in zip(vocabulary, coefficient, idf, strict=True)
        }
    except (ValueError, KeyError, OSError, EOFError, TypeError, BadZipFile) as error:
        raise broken(path, f"does not hold the arrays of a model ({error})") from error
    if len(features) != len(vocabulary) or not isfinite(fsum(coefficient) + fsum(idf) + intercept):
        raise broken(path, "holds a feature twice or a number that is not finite")
    return LinearModel(features, intercept)


def write_linear(
    path: Path,
    vocabulary: Sequence[str],
    coefficient: np.ndarray,
    idf: np.ndarray,
    intercept: float,
) -> str:
    """Write a file as `read_linear` reads it; its sha256. Same arrays, same bytes."""
    data = BytesIO()
    np.savez_compressed(
        data,
        vocabulary=np.frombuffer("\n".join(vocabulary).encode(), dtype=np.uint8),
        coefficient=coefficient.astype(np.float32),
        idf=idf.astype(np.float32),
        intercept=np.array([intercept], dtype=np.float32),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.getvalue())
    return sha256(data.getvalue()).hexdigest()


def write_config(folder: Path, config: Config) -> None:
    """Write `config.json`, indented."""
    (folder / _CONFIG).write_bytes(msgspec.json.format(msgspec.json.encode(config)) + b"\n")


def _broken(path: Path, what: str) -> BrokenWeights:
    return BrokenWeights(
        f"{path} {what}; reinstall hoaxwatch or train again with python -m detectors.train_tfidf"
    )
