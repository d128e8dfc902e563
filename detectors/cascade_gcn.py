"""Graph convolutions over a cascade: does it spread like what turned out to be false?

    for each proximity M of first order, second order in, second order out (`detectors.proximity`):
        H1 = relu(M~ X W1 + b1)      X: (nodes, inputs), W1: (inputs, 64)
        H2 = relu(M~ H1 W2 + b2)     W2: (64, 64)
    g      = maximum over nodes of [H2 | H2 | H2]                          (192,)
    logits = W4 dropout(relu(W3 g + b3)) + b4                              512, then the classes
    score  = sigmoid(slope * (log p(likely_false) - log p(likely_true)) + offset)

p of a label is the sum over its classes of softmax(logits); two classes and a softmax are the same
as a sigmoid of their difference. Source: Tuan and Minh, MediaEval 2020, section 3.2. They do not
say whether the three graphs share weights, nor how features are scaled: here each graph has its
own, and `node_inputs` scales. Trained by `detectors.train_cascade_gcn`, measured in
`weights/cascade_gcn/README.md`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from math import isfinite
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save
from torch import Tensor, nn

from detectors.cascades import Cascade, Floats, no_structure
from detectors.proximity import GraphInput, Neighbours, graph_input, side_by_side
from detectors.threads import one_thread
from detectors.trained import (
    BrokenWeights,
    Calibration,
    read_checked,
    read_checked_config,
    sigmoid,
)
from graph.features import FEATURES, node_features
from streams.records import Verdict

FORMAT = 1
#: Version of `node_inputs` and of what it calls: a change there changes every score.
PREPARATION = 1
SHIPPED_WEIGHTS = Path(__file__).parent / "weights" / "cascade_gcn"
N_EVIDENCE = 5

HIDDEN, DENSE, DROPOUT = 64, 512, 0.5
PROXIMITIES = ("first", "second_in", "second_out")

#: Time-aware inputs: since the root, and since the earliest parent.
DELAYS = ("delay", "step")

_CONFIG, _WEIGHTS = "config.json", "model.safetensors"
#: Features are rounded so that nodes which differ by rounding errors only are alike.
DECIMALS = 9


class Column(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An input of a node: (value - mean) / scale, mean and scale over the training nodes."""

    name: str
    mean: float
    scale: float


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`config.json`: everything about a model that is no tensor.

    classes: of the outputs, in order. likely_false, likely_true: the classes that each label
    stands for; a class of neither (what was never settled) has no part in the score.
    """

    format: int
    preparation: int
    classes: tuple[str, ...]
    likely_false: tuple[str, ...]
    likely_true: tuple[str, ...]
    columns: tuple[Column, ...]
    threshold: float
    calibration: Calibration
    weights_sha256: str
    trained_on: str


# What a node is to the network


def raw_inputs(cascade: Cascade, names: Sequence[str]) -> Floats:
    """The named inputs of each node before scaling, (n, names); NaN where not known.

    A feature is taken times what makes it a number of nodes or paths (a share of 1 among n nodes is
    no less in a greater cascade), then log(1 + x), since all have long tails. Of a delay the whole
    part of log2(1 + minutes): what is shared in the same minute, quarter or day is alike. Of
    metadata sign(x) log(1 + |x|). Negative delays count as none.

    Raises: KeyError if the cascade has no such metadata.
    """
    n = cascade.n_nodes
    found = node_features(cascade.source, cascade.target, n).values
    unit = {
        "pagerank": n,
        "hub": n,
        "authority": n,
        "eigenvector": n**0.5,
        "betweenness": max(n - 1, 0) * max(n - 2, 0),
    }
    columns = []
    for name in names:
        if name in FEATURES:
            column = np.log1p(found[:, FEATURES.index(name)] * unit.get(name, 1))
        elif name in DELAYS:
            seconds = cascade.delay_seconds if name == "delay" else _since_parent(cascade)
            column = np.floor(np.log2(1 + np.maximum(seconds, 0) / 60))
        else:
            value = cascade.metadata[name]
            column = np.sign(value) * np.log1p(np.abs(value))
        columns.append(column)
    return np.stack(columns, axis=1) if columns else np.zeros((n, 0))


def _since_parent(cascade: Cascade) -> Floats:
    """Seconds since the earliest parent whose time is known; since the root without any."""
    times = cascade.delay_seconds
    earliest = np.full(cascade.n_nodes, np.inf)
    np.fmin.at(earliest, cascade.target, times[cascade.source])
    return times - np.where(np.isfinite(earliest), earliest, 0.0)


def node_inputs(cascade: Cascade, columns: Sequence[Column]) -> Floats:
    """What the network reads of each node, (n, inputs).

    Features are scaled. Of what may be unknown (delays, metadata) there are two inputs: the scaled
    value, 0 where it is not known, and 1 where it is.

    >>> n_inputs([Column("pagerank", 0, 1), Column("followers", 0, 1)])
    3
    """
    return scale_inputs(raw_inputs(cascade, [column.name for column in columns]), columns)


def scale_inputs(raw: Floats, columns: Sequence[Column]) -> Floats:
    """`node_inputs` from `raw_inputs` of the same columns."""
    inputs = []
    for i, column in enumerate(columns):
        scaled = (raw[:, i] - column.mean) / column.scale
        is_known = np.isfinite(scaled)
        inputs.append(np.where(is_known, scaled, 0.0))
        if column.name not in FEATURES:
            inputs.append(is_known.astype(np.float64))
    return np.stack(inputs, axis=1).round(DECIMALS) if inputs else raw


def n_inputs(columns: Sequence[Column]) -> int:
    """The width of `node_inputs`."""
    return sum(1 if column.name in FEATURES else 2 for column in columns)


def columns_of(raw: Sequence[Floats], names: Sequence[str]) -> tuple[Column, ...]:
    """Mean and scale of each input over the nodes of the training cascades where it is known.

    raw: `raw_inputs` of each. An input that never changes gets the scale 1.
    """
    values = np.concatenate(raw)
    found = []
    for i, name in enumerate(names):
        known = values[np.isfinite(values[:, i]), i]
        mean, scale = (float(known.mean()), float(known.std())) if len(known) else (0.0, 0.0)
        found.append(Column(name, round(mean, 6), round(scale, 6) or 1.0))
    return tuple(found)


def prepare(cascade: Cascade, columns: Sequence[Column]) -> GraphInput:
    """A cascade as the network reads it."""
    return graph_input(node_inputs(cascade, columns), cascade.source, cascade.target)


# The network


class Batch(NamedTuple):
    """A GraphInput as tensors. out, into, beside: sparse (k, k); degrees: (k, 1)."""

    features: Tensor
    out: Tensor
    into: Tensor
    beside: Tensor
    out_degree: Tensor
    in_degree: Tensor
    degree: Tensor
    sizes: tuple[int, ...]

    @staticmethod
    def of(graph: GraphInput, dtype: torch.dtype = torch.float32) -> Batch:
        """The tensors of one graph, or of several side by side."""
        k = len(graph.features)

        def matrix(found: Neighbours) -> Tensor:
            places = torch.from_numpy(np.stack([found.row, found.column]))
            counts = torch.from_numpy(found.n_found).to(dtype)
            made: Tensor = torch.sparse_coo_tensor(
                places, counts, (k, k), is_coalesced=True, check_invariants=False
            )
            return made

        def column(values: Floats) -> Tensor:
            return torch.from_numpy(values).to(dtype).unsqueeze(1)

        return Batch(
            features=torch.from_numpy(graph.features).to(dtype),
            out=matrix(graph.out),
            into=matrix(graph.into),
            beside=matrix(graph.beside),
            out_degree=column(graph.out_degree),
            in_degree=column(graph.in_degree),
            degree=column(graph.degree),
            sizes=graph.sizes,
        )


def _product(matrix: Tensor, x: Tensor) -> Tensor:
    product: Tensor = torch.sparse.mm(matrix, x)
    return product


def _inverse(values: Tensor) -> Tensor:
    """1 / x, and 0 for 0."""
    return torch.where(values > 0, 1 / values.clamp(min=1), torch.zeros_like(values))


def propagate_first(batch: Batch, x: Tensor) -> Tensor:
    """D~^-1/2 (S + I) D~^-1/2 x, D~ = degree + 1. x: (k, width)."""
    narrow = (batch.degree + 1).rsqrt()
    y = narrow * x
    return narrow * (_product(batch.beside, y) + y)


def propagate_in(batch: Batch, x: Tensor) -> Tensor:
    """D~^-1/2 (A^T D_out^-1 A + I) D~^-1/2 x, D~ = in-degree + 1."""
    narrow = (batch.in_degree + 1).rsqrt()
    y = narrow * x
    parents = _inverse(batch.out_degree) * _product(batch.out, y)
    return narrow * (_product(batch.into, parents) + y)


def propagate_out(batch: Batch, x: Tensor) -> Tensor:
    """D~^-1/2 (A D_in^-1 A^T + I) D~^-1/2 x, D~ = out-degree + 1."""
    narrow = (batch.out_degree + 1).rsqrt()
    y = narrow * x
    children = _inverse(batch.in_degree) * _product(batch.into, y)
    return narrow * (_product(batch.out, children) + y)


PROPAGATE: Mapping[str, Callable[[Batch, Tensor], Tensor]] = {
    "first": propagate_first,
    "second_in": propagate_in,
    "second_out": propagate_out,
}


class CascadeGcn(nn.Module):
    """The network of the module's docstring."""

    def __init__(self, width: int, n_classes: int) -> None:
        """width: inputs of a node."""
        super().__init__()
        self.lower = nn.ModuleDict({name: nn.Linear(width, HIDDEN) for name in PROXIMITIES})
        self.upper = nn.ModuleDict({name: nn.Linear(HIDDEN, HIDDEN) for name in PROXIMITIES})
        self.dense = nn.Linear(len(PROXIMITIES) * HIDDEN, DENSE)
        self.output = nn.Linear(DENSE, n_classes)
        self.dropout = nn.Dropout(DROPOUT)

    def forward(self, batch: Batch) -> Tensor:
        """Logits, (graphs, classes)."""
        states = []
        for name in PROXIMITIES:
            propagate = PROPAGATE[name]
            x = torch.relu(self.lower[name](propagate(batch, batch.features)))  # (k, 64)
            states.append(torch.relu(self.upper[name](propagate(batch, x))))  # (k, 64)
        per_node = torch.cat(states, dim=1)  # (k, 192)
        parts = torch.split(per_node, list(batch.sizes))
        pooled = torch.stack([part.amax(dim=0) for part in parts])
        logits: Tensor = self.output(self.dropout(torch.relu(self.dense(pooled))))
        return logits


# The detector


class Opinion(NamedTuple):
    """score: calibrated, of likely_false. probabilities: of each class, not calibrated."""

    score: float
    probabilities: Mapping[str, float]
    evidence: tuple[tuple[str, float], ...]


class CascadeGcnDetector:
    """Scores cascades that are no star; see the module.

    Each cascade is computed alone and in float64: its score has the same bits whatever else is in
    the call. Cost: about 8 ms of one core for a cascade of 400 posts, 3 of them for the features
    and 4 for the evidence.
    """

    name = "cascade_gcn"

    def __init__(self, folder: Path = SHIPPED_WEIGHTS) -> None:
        """Load a weights folder. Raises BrokenWeights."""
        self.config = read_config(folder)
        self._network = read_network(folder, self.config).double().eval()
        self.threshold = self.config.threshold
        self.version = model_version(self.config)

    def score(self, cascades: Sequence[Cascade]) -> list[Verdict]:
        """One verdict per cascade, in order. Abstains for the reasons of `no_structure`, and with
        `no_metadata` if the model reads a column that a cascade has not."""
        verdicts = []
        for cascade in cascades:
            reason = self._reason(cascade)
            opinion = None if reason else self.judge(cascade)
            verdicts.append(
                Verdict(
                    platform=cascade.platform,
                    root_id=cascade.root_id,
                    input_hash=cascade.input_hash,
                    detector=self.name,
                    version=self.version,
                    state="scored" if opinion else "abstained",
                    score=opinion.score if opinion else None,
                    reason=reason,
                    evidence=opinion.evidence if opinion else (),
                )
            )
        return verdicts

    def judge(self, cascade: Cascade) -> Opinion:
        """The opinion about one cascade that has a structure.

        evidence: the N_EVIDENCE inputs whose replacement by their training mean at all nodes lowers
        (+) or raises (-) the calibrated logit most.
        """
        graph = prepare(cascade, self.config.columns)
        logits, without = self._logits(graph), []
        place = 0
        for column in self.config.columns:
            width = 1 if column.name in FEATURES else 2
            blanked = graph.features.copy()
            blanked[:, place : place + width] = 0.0
            place += width
            without.append((column.name, self._logits(graph._replace(features=blanked))))
        own = self._false_logit(logits)
        weighed = [(name, round(own - self._false_logit(other), 6)) for name, other in without]
        ranked = sorted(weighed, key=lambda pair: (-abs(pair[1]), pair[0]))
        shares = np.exp(logits - logits.max())
        return Opinion(
            score=round(sigmoid(own), 6),
            probabilities=dict(
                zip(self.config.classes, (shares / shares.sum()).round(6).tolist(), strict=True)
            ),
            evidence=tuple(ranked[:N_EVIDENCE]),
        )

    def _reason(self, cascade: Cascade) -> str | None:
        names = {column.name for column in self.config.columns} - {*FEATURES, *DELAYS}
        return no_structure(cascade) or ("no_metadata" if names - set(cascade.metadata) else None)

    def _logits(self, graph: GraphInput) -> Floats:
        with one_thread(), torch.inference_mode():
            logits: Floats = self._network(Batch.of(graph, torch.float64))[0].numpy()
        return logits

    def _false_logit(self, logits: Floats) -> float:
        calibration = self.config.calibration
        return calibration.slope * label_logit(logits, self.config) + calibration.offset


def label_logit(logits: Floats, config: Config) -> float:
    """log p(likely_false) - log p(likely_true), not calibrated. logits: (classes,)."""

    def total(names: Sequence[str]) -> float:
        return float(np.logaddexp.reduce([logits[config.classes.index(n)] for n in names]))

    return total(config.likely_false) - total(config.likely_true)


def class_logits(network: CascadeGcn, graphs: Sequence[GraphInput], batch_size: int = 64) -> Floats:
    """Logits of many graphs, several at a time, in float32, (graphs, classes): for training and
    measuring, where the last bits do not matter."""
    network.eval()
    parts = [np.zeros((0, network.output.out_features))]
    with torch.inference_mode():
        for first in range(0, len(graphs), batch_size):
            batch = Batch.of(side_by_side(graphs[first : first + batch_size]))
            parts.append(network(batch).double().numpy())
    return np.concatenate(parts)


# Weights


def model_version(config: Config) -> str:
    """`<12 hex>-g<preparation>`: the hex digits hash all that a score depends on."""
    decisive = (
        config.weights_sha256,
        config.classes,
        config.likely_false,
        config.likely_true,
        config.columns,
        config.calibration,
    )
    return f"{sha256(msgspec.json.encode(decisive)).hexdigest()[:12]}-g{config.preparation}"


def read_config(folder: Path) -> Config:
    """The checked `config.json` of a weights folder. Raises BrokenWeights."""
    return read_checked_config(folder, Config, _config_problem, _broken)


def _config_problem(config: Config) -> str | None:
    if config.format != FORMAT:
        return f"has format {config.format}, this version reads {FORMAT}"
    if config.preparation != PREPARATION:
        return f"needs preparation {config.preparation}, this version has {PREPARATION}"
    labelled = (*config.likely_false, *config.likely_true)
    if (
        not (config.likely_false and config.likely_true)
        or len(set(labelled)) != len(labelled)
        or len(set(config.classes)) != len(config.classes)
        or not set(labelled) <= set(config.classes)
    ):
        return (
            f"has classes {list(config.classes)} of which {list(config.likely_false)} are "
            f"likely_false and {list(config.likely_true)} likely_true: each label needs classes of "
            "its own"
        )
    if not all(isfinite(c.mean) and c.scale > 0 and isfinite(c.scale) for c in config.columns):
        return "has an input whose mean or scale is no number"
    if not config.columns:
        return "has no inputs"
    if not 0 < config.threshold < 1:
        return f"has threshold {config.threshold}, which is not between 0 and 1"
    if not config.calibration.slope > 0:
        return f"has slope {config.calibration.slope}: it would turn the labels round"
    return None


def read_network(folder: Path, config: Config) -> CascadeGcn:
    """The network of `model.safetensors`, checked against hash, classes and shapes.

    The classes, in order, are in the header of the file as well, so that a config.json with another
    order is noticed. Raises BrokenWeights.
    """
    path = folder / _WEIGHTS
    data = read_checked(path, config.weights_sha256, _broken)
    network = CascadeGcn(n_inputs(config.columns), len(config.classes))
    try:
        with safe_open(path, framework="pt") as opened:
            header = opened.metadata() or {}
        tensors = load(data)
        network.load_state_dict(tensors)
    except (SafetensorError, RuntimeError, OSError) as error:
        raise _broken(path, f"does not hold the tensors of a model ({_line(error)})") from error
    classes = header.get("classes", "").split("\n")
    if tuple(classes) != config.classes:
        raise _broken(
            path,
            f"has outputs {classes}, {_CONFIG} says {list(config.classes)}: not the same order",
        )
    if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
        raise _broken(path, "holds a number that is not finite")
    return network


def write_weights(folder: Path, network: CascadeGcn, classes: Sequence[str]) -> str:
    """Write `model.safetensors` as `read_network` reads it; its sha256."""
    tensors = {name: t.detach().contiguous() for name, t in network.state_dict().items()}
    data = save(tensors, metadata={"classes": "\n".join(classes)})
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _WEIGHTS).write_bytes(data)
    return sha256(data).hexdigest()


def write_config(folder: Path, config: Config) -> None:
    """Write `config.json`, indented."""
    (folder / _CONFIG).write_bytes(msgspec.json.format(msgspec.json.encode(config)) + b"\n")


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def _broken(path: Path, what: str) -> BrokenWeights:
    return BrokenWeights(
        f"{path} {what}; reinstall hoaxwatch or train again with "
        "python -m detectors.train_cascade_gcn"
    )
