"""A training while it runs: where it is, whom it tells, and the files from which it goes on.

A checkpoint holds the model, the best one so far, the optimiser's moments and the random states, so
that what went on from it has the bits of what was never stopped. Never pickle.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from detectors.detector import DetectorUnusable

if TYPE_CHECKING:
    from torch import Tensor

#: The folder of checkpoints where a training has several networks, inside that of the weights.
FOLDER = "checkpoints"


class CannotTrain(DetectorUnusable):
    """Data, settings or a checkpoint with which no detector can be trained."""


class Step(NamedTuple):
    """Where a training is. name: of the network, "" if there is one. epoch, step: from 1, steps
    counted over all epochs, of which fewer may be run. loss: the mean of the epoch so far.
    validation: the last epoch's loss on validation posts."""

    name: str
    epoch: int
    n_epochs: int
    step: int
    n_steps: int
    loss: float
    validation: float | None


Watch = Callable[[Step], None]


def unwatched(step: Step) -> None:
    """Nobody looks."""


class Course(NamedTuple):
    """How a training of several networks goes: where each keeps its checkpoint (None: nowhere),
    whether it goes on from it, what it is of (a checkpoint of something else is refused), and who
    is told. name: of the part of it that is being trained."""

    folder: Path | None = None
    resume: bool = False
    about: str = ""
    watch: Watch = unwatched
    name: str = ""

    def of(self, name: str) -> Course:
        """The course of one network, or of a part with several.

        >>> Course().of("fold 1").of("text").name
        'fold 1, text'
        """
        return self._replace(name=f"{self.name}, {name}" if self.name else name)

    def path(self) -> Path | None:
        """The file of the network of that name."""
        name = "".join(c if c.isalnum() else "-" for c in self.name)
        return None if self.folder is None else self.folder / f"{name or 'model'}.safetensors"


#: Of a network that nobody watches and that keeps nothing.
ALONE = Course()


def begin(out: Path, resume: bool, about: str, watch: Watch) -> Course:
    """The course of a training of several networks into `out`; what an earlier one left there goes,
    unless it is resumed. Raises: CannotTrain where there is nothing to resume."""
    folder = out / FOLDER
    if resume and not folder.is_dir():
        raise CannotTrain(f"there is nothing to resume in {out}: leave --resume out")
    if not resume:
        shutil.rmtree(folder, ignore_errors=True)
    return Course(folder, resume, about, watch)


def end(course: Course) -> None:
    """The weights are written: no checkpoint is needed any more."""
    if course.folder is not None:
        shutil.rmtree(course.folder, ignore_errors=True)


def write_checkpoint(
    path: Path,
    kept: Mapping[str, Tensor],
    best: Mapping[str, Tensor],
    optimiser: Any,
    state: Mapping[str, Any],
    about: str,
) -> None:
    """Tensors, and in the header what is no tensor: `state`, as JSON. In one step: a machine that
    stops meanwhile leaves the one before."""
    import torch
    from safetensors.torch import save

    tensors = {f"kept.{name}": tensor.detach() for name, tensor in kept.items()}
    tensors |= {f"best.{name}": tensor for name, tensor in best.items()}
    for number, moments in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{number}.{name}": value for name, value in moments.items()}
    tensors["random"] = torch.get_rng_state()
    if torch.cuda.is_available():
        tensors["random_cuda"] = torch.cuda.get_rng_state()
    header = {"state": json.dumps([dict(state), about])}
    path.parent.mkdir(parents=True, exist_ok=True)
    written = path.with_suffix(".part")
    written.write_bytes(save({n: t.cpu().clone().contiguous() for n, t in tensors.items()}, header))
    written.replace(path)


def read_checkpoint(
    path: Path, kept: Mapping[str, Tensor], optimiser: Any, about: str
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Puts model, optimiser and torch's random state back to where they were; the state, and the
    tensors of the best epoch. Raises: CannotTrain."""
    import torch
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            state, of = json.loads(file.metadata()["state"])
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise CannotTrain(f"{path} cannot be read ({error}): leave --resume out") from None
    if of != about:
        raise CannotTrain(f"{path} is of other data or settings: leave --resume out")
    with torch.no_grad():
        for name, tensor in kept.items():
            tensor.copy_(tensors[f"kept.{name}"])
    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimiser."):
            _, number, moment = name.split(".")
            moments.setdefault(int(number), {})[moment] = tensor
    optimiser.load_state_dict({**optimiser.state_dict(), "state": moments})
    torch.set_rng_state(tensors["random"])
    if "random_cuda" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["random_cuda"])
    prefix = "best."
    best = {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
    return state, best
