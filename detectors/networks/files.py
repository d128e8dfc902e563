"""Weights folders of networks of posts: `config.json`, and `model.safetensors` by its hash."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from detectors.trained import Broken, read_checked

CONFIG, WEIGHTS = "config.json", "model.safetensors"


class Hashed(Protocol):
    """A config that names the hash of its weights."""

    @property
    def weights_sha256(self) -> str: ...


C = TypeVar("C", bound=Hashed)


def named(prefix: str, module: nn.Module) -> dict[str, Tensor]:
    """The tensors of a module under a name of their own; `below` takes it off again."""
    return {f"{prefix}.{name}": tensor for name, tensor in module.state_dict().items()}


def below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What `named` put under that prefix."""
    start = f"{prefix}."
    return {key[len(start) :]: t for key, t in tensors.items() if key.startswith(start)}


def write_model(folder: Path, config: C, tensors: Mapping[str, Tensor]) -> C:
    """Writes both files; the config with the hash of the tensors."""
    data = save({key: t.detach().contiguous().clone() for key, t in tensors.items()})
    written: C = msgspec.structs.replace(config, weights_sha256=sha256(data).hexdigest())  # type: ignore[type-var]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / WEIGHTS).write_bytes(data)
    (folder / CONFIG).write_bytes(msgspec.json.format(msgspec.json.encode(written)) + b"\n")
    return written


@contextmanager
def reading_tensors(folder: Path, config: Hashed, broken: Broken) -> Iterator[dict[str, Tensor]]:
    """The tensors of a folder, checked against hash and for numbers that are not finite; what does
    not fit the model that the caller fills with them is told alike. Raises what `broken` makes."""
    path = folder / WEIGHTS
    data = read_checked(path, config.weights_sha256, broken)
    try:
        tensors = load(data)
        yield tensors
    except (SafetensorError, RuntimeError, KeyError) as error:
        said = " ".join(str(error).split())[:160]
        raise broken(path, f"does not hold the tensors of a model ({said})") from error
    if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
        raise broken(path, "holds a number that is not finite")
