"""A sentence encoder for tests: a bag of stems, each in a direction of its own."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np

from detectors.sentences import Vectors
from detectors.text.stem import content_stems


class StemEncoder:
    """Texts with the same stems have the cosine 1, without a common one about 0."""

    def __init__(self, name: str = "stems", width: int = 256) -> None:
        self.name = name
        self._width = width
        self.n_encoded = 0

    def encode(self, texts: Sequence[str]) -> Vectors:
        """See `detectors.sentences.SentenceEncoder`."""
        self.n_encoded += len(texts)
        found = np.zeros((len(texts), self._width), dtype=np.float32)
        for row, text in enumerate(texts):
            for stem in sorted(content_stems(text)):
                seed = int.from_bytes(blake2b(stem.encode(), digest_size=8).digest(), "big")
                found[row] += np.random.default_rng(seed).standard_normal(self._width)
            found[row] /= max(float(np.linalg.norm(found[row])), 1e-9)
        return found
