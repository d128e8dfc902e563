"""Sentence embeddings: what a text says as a vector, whose cosine says how alike two texts are.

`SentenceEncoder` is the interface; `MeanPooled` is BERT's last layer, averaged over the tokens and
scaled to length 1 (Reimers, Gurevych, "Sentence-BERT", EMNLP 2019). The embedded default is
all-MiniLM-L6-v2 out of a pip package; Factify used paraphrase-MiniLM-L6-v2, another model: its
thresholds do not carry over.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from detectors.encoder import (
    DEFAULT_ENCODER,
    Encoder,
    EncoderUnavailable,
    embed,
    read_encoder,
    token_states,
)

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["DEFAULT_ENCODER", "EncoderUnavailable", "MeanPooled", "SentenceEncoder", "Vectors"]

Vectors = NDArray[np.float32]

#: Of the default's weights as transformers reads them, as other encoders' digests are: it names
#: vectors that are stored.
DEFAULT_DIGEST = "7aabbfe8c597"
#: Of a text, its first and last mark included; the model was trained on no more.
MAX_TOKENS = 256

#: Each batch has exactly so many rows and a multiple of so many tokens. A matrix product may round
#: a row differently in a matrix of another size; in one shape per length a text's vector has the
#: same bits whatever its neighbours are.
_ROWS, _TOKENS = 16, 16


class SentenceEncoder(Protocol):
    """Turns texts into vectors. The vector of a text does not depend on its neighbours."""

    @property
    def name(self) -> str:
        """Names the model and its weights: vectors of different names must not be compared."""

    def encode(self, texts: Sequence[str]) -> Vectors:
        """float32 (texts, width), rows of length 1."""


class MeanPooled:
    """A BERT-family encoder whose token states are averaged. Cost: 5-10 ms a post on one core."""

    def __init__(self, name: str = DEFAULT_ENCODER) -> None:
        """name: the embedded default, a folder, or a model in the hub's local cache. Nothing is
        downloaded. Raises EncoderUnavailable."""
        self._model = _embedded() if name == DEFAULT_ENCODER else _from_transformers(name)
        self.name = f"{name}@{self._model.digest}"

    def encode(self, texts: Sequence[str]) -> Vectors:
        """See SentenceEncoder. A text without words gets the vector of an empty one.

        >>> a, b, c = MeanPooled().encode(["the sea is rising", "sea level rises", "my red car"])
        >>> bool(a @ b > 0.7 > 0.3 > a @ c)
        True
        """
        import torch

        # a lone surrogate cannot be written as UTF-8, which the tokenizer wants
        readable = [text.encode(errors="replace").decode() for text in texts]
        ids = self._model.tokenize(readable) if readable else []
        by_length: dict[int, list[int]] = {}
        for i, own in enumerate(ids):
            by_length.setdefault(-(-len(own) // _TOKENS) * _TOKENS, []).append(i)
        found = np.zeros((len(ids), self._model.width), dtype=np.float32)
        for length, members in sorted(by_length.items()):
            for first in range(0, len(members), _ROWS):
                chosen = members[first : first + _ROWS]
                table = torch.zeros(_ROWS, length, dtype=torch.int64)
                mask = torch.zeros(_ROWS, length, dtype=torch.int64)
                mask[:, 0] = 1  # of the rows without a text
                for row, i in enumerate(chosen):
                    table[row, : len(ids[i])] = torch.tensor(ids[i])
                    mask[row, : len(ids[i])] = 1
                found[chosen] = self._pooled(table, mask)[: len(chosen)]
        return found

    def _pooled(self, table: Tensor, mask: Tensor) -> Vectors:
        import torch

        with torch.inference_mode():
            states = self._model.states(table, mask)
            weight = mask.unsqueeze(-1).to(states.dtype)
            mean = (states * weight).sum(dim=1) / weight.sum(dim=1)
            scaled = torch.nn.functional.normalize(mean, dim=1)
        vectors: Vectors = scaled.numpy()
        return vectors


class _Model(NamedTuple):
    """What encodes. digest: 12 hex digits of its weights; width: of a state.

    tokenize: texts -> token ids of each. states: token ids and where there are tokens, both
    (texts, tokens) -> the last layer's states, (texts, tokens, width).
    """

    digest: str
    width: int
    tokenize: Callable[[list[str]], list[list[int]]]
    states: Callable[[Tensor, Tensor], Tensor]


@cache
def _embedded() -> _Model:
    """The default without transformers, whose import takes seconds."""
    from tokenizers import Tokenizer

    encoder = read_encoder()
    # one of its own: a detector that scores in another thread sets its own greatest length in it
    own = Tokenizer.from_str(encoder.tokenizer.to_str())
    encoder = encoder._replace(tokenizer=own)
    return _Model(
        DEFAULT_DIGEST,
        encoder.shape.hidden,
        partial(encoder.tokenize, max_tokens=MAX_TOKENS),
        partial(_states, encoder),
    )


def _states(encoder: Encoder, table: Tensor, mask: Tensor) -> Tensor:
    return token_states(encoder, embed(encoder, table), mask.bool()[:, None, None, :])


@cache
def _from_transformers(name: str) -> _Model:
    """Any other encoder, also of families that `read_encoder` does not know, from local files."""
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(name, local_files_only=True)
        model = AutoModel.from_pretrained(name, local_files_only=True).float().eval()
    except (OSError, ValueError) as error:
        raise EncoderUnavailable(
            f"encoder {name!r} is not on this machine ({str(error).splitlines()[0][:120]}): give a "
            "folder with its config.json, model.safetensors and tokenizer.json, or fetch it where "
            f"there is a network: hf download {name}"
        ) from error
    digest = sha256()
    for key, tensor in sorted(model.state_dict().items()):
        digest.update(key.encode())
        digest.update(tensor.numpy().tobytes())

    def tokenize(texts: list[str]) -> list[list[int]]:
        ids: list[list[int]] = tokenizer(texts, truncation=True, max_length=MAX_TOKENS)["input_ids"]
        return ids

    def states(table: Tensor, mask: Tensor) -> Tensor:
        found: Tensor = model(input_ids=table, attention_mask=mask).last_hidden_state
        return found

    return _Model(digest.hexdigest()[:12], model.config.hidden_size, tokenize, states)
