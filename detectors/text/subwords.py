"""Vectors of words from their pieces, so that #vaccineinjury is near vaccine and injury.

    vector(word) = mean over the pieces of <word> of table[hash(piece) mod buckets]
    pieces       = its character n-grams, 3 to 6 long, the marks < and > included

Source: Bojanowski, Grave, Joulin, Mikolov, "Enriching Word Vectors with Subword Information", TACL
2017. What fastText adds to words that it met in training, a vector of their own, is left out: a
word is the same whether it was met or not, and the table is all there is to store. Wang et al. 2020
take such vectors for hashtags and words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import chain
from pathlib import Path
from struct import error as StructError
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.detector import DetectorUnusable

Vectors = NDArray[np.float32]

MIN_PIECE, MAX_PIECE = 3, 6
WIDTH, N_BUCKETS = 64, 20_000
#: Longer words are cut: pieces grow with them [characters].
MAX_WORD = 100


class SubwordsUnavailable(DetectorUnusable):
    """gensim, which learns the vectors, is not installed, or the given ones cannot be read."""


class Subwords(NamedTuple):
    """table: float32 (buckets, width)."""

    table: Vectors

    @property
    def width(self) -> int:
        """Of a vector."""
        return int(self.table.shape[1])

    def vector(self, word: str) -> Vectors:
        """(width,). A word that is too short for any piece has the vector 0.

        >>> Subwords(np.arange(8, dtype=np.float32).reshape(4, 2)).vector("a")
        array([0., 1.], dtype=float32)
        """
        buckets = [hash_of(piece) % len(self.table) for piece in pieces(word)]
        if not buckets:
            return np.zeros(self.width, dtype=np.float32)
        mean: Vectors = self.table[buckets].mean(axis=0, dtype=np.float32)
        return mean

    def topic(self, tags: Iterable[str]) -> Vectors:
        """The mean vector of a topic's hashtags, as SeTa wants it. (width,)"""
        mean: Vectors = np.stack([self.vector(tag.casefold()) for tag in tags]).mean(axis=0)
        return mean


class WordVectors:
    """Vectors of words, each worked out once: a word of seven letters takes 0.1 ms."""

    def __init__(self, subwords: Subwords, remembered: int = 50_000) -> None:
        self.width = subwords.width
        self._vector = lru_cache(maxsize=remembered)(subwords.vector)

    def of(self, words: Sequence[str]) -> Vectors:
        """(words, width)."""
        found = np.zeros((len(words), self.width), dtype=np.float32)
        for i, word in enumerate(words):
            found[i] = self._vector(word)
        return found


def pieces(word: str) -> list[bytes]:
    """The character n-grams of a word with its marks, as UTF-8.

    >>> pieces("hé")
    [b'<h\\xc3\\xa9', b'<h\\xc3\\xa9>', b'h\\xc3\\xa9>']
    """
    marked = f"<{word[:MAX_WORD]}>"
    return [
        marked[first : first + n].encode(errors="replace")
        for first in range(len(marked))
        for n in range(MIN_PIECE, MAX_PIECE + 1)
        if first + n <= len(marked)
    ]


def hash_of(piece: bytes) -> int:
    """fastText's hash: FNV-1a of 32 bits over signed bytes.

    >>> hash_of("é".encode())
    1023043777
    """
    value = 2166136261
    for byte in piece:
        value ^= byte if byte < 128 else byte | 0xFFFFFF00
        value = value * 16777619 & 0xFFFFFFFF
    return value


def learn_subwords(
    sentences: Sequence[Sequence[str]],
    width: int = WIDTH,
    n_buckets: int = N_BUCKETS,
    epochs: int = 10,
    seed: int = 0,
    given: Path | None = None,
) -> Subwords:
    """Vectors learnt by skip-gram from sentences of words, or given ones learnt further on them.

    They are centred and whitened over these words: from a few thousand posts skip-gram makes short
    vectors that nearly all point one way, which a network would not tell apart.

    given: a `.bin` file as fastText publishes them; then width and buckets are its own, and it must
    have pieces of MIN_PIECE to MAX_PIECE. Same sentences and seed, same machine: same vectors.
    Cost: 10 s of one core for 10,000 tweets. gensim is needed here only. Where no word occurs twice
    there is nothing to learn: all vectors are 0.
    Raises SubwordsUnavailable.
    """
    if given is None and max(Counter(chain(*sentences)).values(), default=0) < 2:
        return Subwords(np.zeros((n_buckets, width), dtype=np.float32))
    try:
        from gensim.models.fasttext import FastText, load_facebook_model
    except ModuleNotFoundError as error:
        raise SubwordsUnavailable(
            "learning vectors of words needs gensim: pip install 'hoaxwatch[train]'"
        ) from error
    if given is None:
        model = FastText(
            vector_size=width,
            bucket=n_buckets,
            min_n=MIN_PIECE,
            max_n=MAX_PIECE,
            min_count=2,
            sg=1,
            seed=seed,
            workers=1,  # with more, the order of updates is another each time
        )
        model.build_vocab(sentences)
    else:
        try:
            model = load_facebook_model(str(given))
        except (OSError, ValueError, NotImplementedError, AssertionError, StructError) as error:
            raise SubwordsUnavailable(f"{given} is no .bin file of fastText ({error})") from error
        if (model.wv.min_n, model.wv.max_n) != (MIN_PIECE, MAX_PIECE):
            raise SubwordsUnavailable(
                f"{given} has pieces of {model.wv.min_n} to {model.wv.max_n} characters, not of "
                f"{MIN_PIECE} to {MAX_PIECE}: give other vectors"
            )
        model.workers = 1
        model.build_vocab(sentences, update=True)
    model.train(sentences, total_examples=len(sentences), epochs=epochs)
    learnt = Subwords(np.array(model.wv.vectors_ngrams, dtype=np.float32))
    distinct = sorted({word for sentence in sentences for word in sentence})
    return whitened(learnt, distinct)


def whitened(subwords: Subwords, words: Sequence[str]) -> Subwords:
    """The table turned such that the vectors of these words have the mean 0 and, in every direction
    in which they differ at all, the variance 1.

        table' = (table - m) V (L + e)^(-1/2) V^T      V L V^T: covariance of the words' vectors

    e: a thousandth of the mean of L, so that noise is not blown up. Source: Kessy, Lewin, Strimmer,
    "Optimal Whitening and Decorrelation", The American Statistician 72(4), 2018 (ZCA).
    """
    vectors = WordVectors(subwords).of(words).astype(np.float64)
    mean = vectors.mean(axis=0)
    values, directions = np.linalg.eigh(np.cov(vectors - mean, rowvar=False, bias=True))
    values = np.maximum(values, 0)
    turn = (directions / np.sqrt(values + 1e-3 * values.mean() + 1e-12)) @ directions.T
    return Subwords(((subwords.table - mean) @ turn).astype(np.float32))
