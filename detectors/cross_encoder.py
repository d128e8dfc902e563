"""A claim and the document's best sentences read together by one encoder (as for NLI), with how
alike their pictures are: the five classes of Factify.

    text   = [CLS] claim [SEP] the N_SENTENCES sentences nearest to it, in their order [SEP]
    z      = W [first token's last state, image cosine, histogram correlation, which are known] + b
    class  = argmax z                                  trained by cross-entropy on softmax(z)

The encoder is frozen below; above, low-rank adapters and the head learn. A cosine of two vectors
cannot say who denies what; tokens that see each other can. All tokens have the encoder's first
type, which embedded sentence encoders were trained with.
Source: Nogueira, Cho, "Passage Re-ranking with BERT", 2019, for reading both together; the scores
of pictures are those of Mishra et al., "FACTIFY", 2021.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from detectors.factify import (
    CLASSES,
    Pair,
    class_numbers,
    image_similarity,
    split_sentences,
)
from detectors.multiclass import Ints
from detectors.train_bert import Learner, Maps, Settings, by_length, shuffled_by_length
from detectors.training import learn

if TYPE_CHECKING:
    from torch import Tensor

    from detectors.encoder import Encoder
    from detectors.factify import ImageEncoder
    from detectors.sentences import SentenceEncoder

#: Of a document: more than three hardly fit beside a claim.
N_SENTENCES = 3
#: Chosen before anything was measured: those of the shipped adapter, for more epochs, since there
#: are few pairs.
SETTINGS = Settings(epochs=8)
N_FIGURES = 4


class CrossEncoder(NamedTuple):
    """A trained one. head_weight: (classes, hidden + N_FIGURES)."""

    learner: Learner
    maps: Maps
    head_weight: Tensor
    head_bias: Tensor

    def batch_logits(
        self, states: Sequence[Tensor], figures: Tensor, training: bool = False
    ) -> Tensor:
        """Of one batch, (pairs, classes). figures: (pairs, N_FIGURES)."""
        x, _ = self.learner.batch_states(self.maps, states, training, first_only=True)
        first = F.dropout(x[:, 0].float(), self.learner.settings.dropout, training)
        return F.linear(torch.cat([first, figures], dim=1), self.head_weight, self.head_bias)


class Read(NamedTuple):
    """Pairs as the network reads them: what the frozen layers make of each, and the figures of
    their pictures, (pairs, N_FIGURES)."""

    states: list[Tensor]
    figures: Tensor


def nearest_sentences(pairs: Sequence[Pair], encoder: SentenceEncoder) -> list[str]:
    """Of each document the N_SENTENCES sentences with the greatest cosine with the claim, in the
    document's order. Cost: that of encoding each sentence once."""
    sentences = [split_sentences(pair.document) for pair in pairs]
    texts = list(dict.fromkeys([*(p.claim for p in pairs), *(s for own in sentences for s in own)]))
    vectors = dict(zip(texts, encoder.encode(texts), strict=True))
    found = []
    for pair, own in zip(pairs, sentences, strict=True):
        near = [-float(np.dot(vectors[pair.claim], vectors[one])) for one in own]
        kept = sorted(np.argsort(near, kind="stable")[:N_SENTENCES])
        found.append(" ".join(own[i] for i in kept))
    return found


def read_pairs(
    learner: Learner,
    pairs: Sequence[Pair],
    encoder: SentenceEncoder,
    encode_image: ImageEncoder | None,
) -> Read:
    """What the network reads of pairs; pictures that are missing are 0 and said to be."""
    both = zip((p.claim for p in pairs), nearest_sentences(pairs, encoder), strict=True)
    tokenizer = learner.encoder.tokenizer
    tokenizer.enable_truncation(learner.settings.max_tokens, strategy="longest_first")
    ids = [encoded.ids for encoded in tokenizer.encode_batch(list(both))]
    alike = np.array([image_similarity(pair, encode_image) for pair in pairs]).reshape(-1, 2)
    known = np.isfinite(alike)
    figures = np.concatenate([np.where(known, alike, 0.0), known], axis=1).astype(np.float32)
    return Read(learner.states_of_ids(ids), torch.from_numpy(figures))


def fit(
    encoder: Encoder,
    taught: Sequence[Pair],
    labels: Sequence[str],
    sentences: SentenceEncoder,
    encode_image: ImageEncoder | None,
    settings: Settings = SETTINGS,
    say: Callable[[str], None] = lambda line: None,
) -> CrossEncoder:
    """Trains one on labelled pairs. Same in and seed, same weights on one machine.
    Raises: ValueError for a label that is none of CLASSES, CannotTrain."""
    numbers = torch.from_numpy(class_numbers(labels))
    torch.manual_seed(settings.seed)
    shuffler = random.Random(settings.seed)
    learner = Learner(encoder, settings)
    read = read_pairs(learner, taught, sentences, encode_image)
    head = torch.randn(len(CLASSES), encoder.shape.hidden + N_FIGURES) * 0.02
    bias = torch.zeros(len(CLASSES)).requires_grad_()
    made = CrossEncoder(learner, learner.new_maps(), head.requires_grad_(), bias)
    low_rank = [tensor for both in made.maps.values() for tensor in both]
    lengths = [len(own) for own in read.states]

    def loss_of(batch: list[int]) -> Tensor:
        states = [read.states[i] for i in batch]
        logits = made.batch_logits(states, read.figures[batch], training=True)
        return F.cross_entropy(logits, numbers[batch])

    kept = {f"map {i}": tensor for i, tensor in enumerate(low_rank)}
    learn(
        kept | {"head.weight": made.head_weight, "head.bias": made.head_bias},
        [
            (low_rank, settings.learning_rate),
            ([made.head_weight, made.head_bias], 2 * settings.learning_rate),
        ],
        lambda: shuffled_by_length(lengths, settings.batch, shuffler),
        loss_of,
        epochs=settings.epochs,
        shuffler=shuffler,
        say=say,
    )
    return made


def classify(
    made: CrossEncoder,
    pairs: Sequence[Pair],
    sentences: SentenceEncoder,
    encode_image: ImageEncoder | None,
) -> Ints:
    """The class of each pair, as its place in CLASSES, (n,)."""
    read = read_pairs(made.learner, pairs, sentences, encode_image)
    found = np.zeros(len(pairs), dtype=np.int64)
    with torch.no_grad():
        for batch in by_length([len(own) for own in read.states], 64):
            logits = made.batch_logits([read.states[i] for i in batch], read.figures[batch])
            found[batch] = logits.argmax(dim=1).numpy()
    return found
