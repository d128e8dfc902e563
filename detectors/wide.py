"""The wide part of `bert`: TF-IDF of word 1-2-grams beside the encoder.

    z_false += share * x . w / |x| + share * intercept     x as in `detectors.tfidf`
    z_true  -= the same

A phrase that few texts hold teaches an encoder little, and a linear model at once; each is wrong
where the other is not. Sums are exactly rounded (`math.fsum`), so the bits are a text's own.
Source: Cheng et al., "Wide & Deep Learning for Recommender Systems", DLRS 2016; Wolpert, "Stacked
generalization", Neural Networks 5(2), 1992.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum
from pathlib import Path
from typing import NamedTuple

import msgspec

from detectors.text.normalise import bigrams
from detectors.tfidf import LinearModel, feature_contributions, read_linear
from detectors.trained import Broken

WIDE = "wide.npz"
Pair = tuple[float, float]


class WideName(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """In `config.json`: the hash of `wide.npz`, and what its logits are multiplied by."""

    sha256: str
    share: float


class WidePart(NamedTuple):
    """A linear model of 1-2-grams, and what its logits are multiplied by."""

    model: LinearModel
    share: float

    def logit(self, tokens: Sequence[str]) -> float:
        """What the words of a text speak for likely_false. Cost: about 50 microseconds.

        >>> WidePart(LinearModel({"hoax": (6.0, 9.0)}, intercept=-0.5), 0.5).logit(["a", "hoax"])
        0.75
        """
        found = feature_contributions(self.model, [*tokens, *bigrams(tokens)])
        return self.share * (fsum(found.values()) + self.model.intercept)


def widened(pair: Pair, part: WidePart | None, tokens: Sequence[str]) -> Pair:
    """The logits (likely_true, likely_false) of a text with its wide part, if there is one.

    >>> part = WidePart(LinearModel({"hoax": (6.0, 9.0)}, intercept=-0.5), 0.5)
    >>> widened((0.25, 1.0), part, ["hoax"]), widened((0.25, 1.0), None, ["hoax"])
    ((-0.5, 1.75), (0.25, 1.0))
    """
    if part is None:
        return pair
    logit = part.logit(tokens)
    return pair[0] - logit, pair[1] + logit


def wide_problem(name: WideName | None) -> str | None:
    """What is wrong with what a config says of it, if anything."""
    if name is not None and not 0 < name.share <= 100:
        return f"has a wide part with share {name.share}, which is not above 0 and at most 100"
    return None


def read_wide(folder: Path, name: WideName | None, broken: Broken) -> WidePart | None:
    """The wide part of a weights folder, checked against its hash; None where it has none. Raises
    what `broken` makes."""
    if name is None:
        return None
    return WidePart(read_linear(folder / WIDE, name.sha256, broken), name.share)
