from __future__ import annotations

import json
import random
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from safetensors.torch import save

from detectors.cascade_gcn import (
    FORMAT,
    PREPARATION,
    CascadeGcn,
    CascadeGcnDetector,
    Column,
    Config,
    label_logit,
    model_version,
    n_inputs,
    node_inputs,
    prepare,
    raw_inputs,
    write_config,
    write_weights,
)
from detectors.cascades import Cascade, build_cascade
from detectors.trained import BrokenWeights, Calibration
from graph.features import FEATURES
from streams.records import Verdict

CLASSES = ("true", "false", "unverified")
NINE = tuple(Column(name, 0.5, 2.0) for name in FEATURES)


def config_for(columns: tuple[Column, ...], digest: str) -> Config:
    return Config(
        format=FORMAT,
        preparation=PREPARATION,
        classes=CLASSES,
        likely_false=("false",),
        likely_true=("true",),
        columns=columns,
        threshold=0.5,
        calibration=Calibration(slope=1.5, offset=-0.25),
        weights_sha256=digest,
        trained_on="2020-02-02",
    )


def write_model(folder: Path, columns: tuple[Column, ...] = NINE, seed: int = 3) -> CascadeGcn:
    torch.manual_seed(seed)
    network = CascadeGcn(n_inputs(columns), len(CLASSES)).eval()
    digest = write_weights(folder, network, CLASSES)
    write_config(folder, config_for(columns, digest))
    return network


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_model(tmp_path)
    return tmp_path


def cascade(seed: int, n_nodes: int = 60, prefix: str = "") -> Cascade:
    """Shares of shares, with a few edges against the direction and times that disagree."""
    numbers = random.Random(seed)
    names = [f"{prefix}{i:05d}" for i in range(n_nodes)]
    edges = [(names[int(numbers.random() ** 2 * i)], names[i]) for i in range(1, n_nodes)]
    edges += [(numbers.choice(names), numbers.choice(names)) for _ in range(3)]
    numbers.shuffle(edges)
    delays = {name: numbers.uniform(-100, 90_000) for name in names} | {names[0]: 0.0}
    return build_cascade(
        f"root-{seed}", edges, platform="x", root_key=names[0], delays=delays, metadata={}
    )


def opinion(verdict: Verdict) -> tuple[object, ...]:
    bits = None if verdict.score is None else verdict.score.hex()
    return verdict.state, bits, verdict.reason, verdict.evidence, verdict.version


def test_logits_are_the_equations(folder: Path) -> None:
    """Every product of the docstring with matrices that are formed here, in numpy."""
    one = cascade(1, n_nodes=25)
    detector = CascadeGcnDetector(folder)
    w = {name: t.double().numpy() for name, t in write_model(folder).state_dict().items()}
    a = np.zeros((25, 25))
    a[one.source, one.target] = 1

    def inverse(x: np.ndarray) -> np.ndarray:
        return np.diag(np.divide(1, x, where=x > 0, out=np.zeros(25)))

    matrices = {
        "first": np.maximum(a, a.T),
        "second_in": a.T @ inverse(a.sum(axis=1)) @ a,
        "second_out": a @ inverse(a.sum(axis=0)) @ a.T,
    }
    x, states = node_inputs(one, NINE), []
    for name, m in matrices.items():
        m = m + np.eye(25)
        m = m / np.sqrt(np.outer(m.sum(axis=1), m.sum(axis=1)))
        h = np.maximum(m @ x @ w[f"lower.{name}.weight"].T + w[f"lower.{name}.bias"], 0)
        states.append(np.maximum(m @ h @ w[f"upper.{name}.weight"].T + w[f"upper.{name}.bias"], 0))
    g = np.concatenate(states, axis=1).max(axis=0)
    g = np.maximum(w["dense.weight"] @ g + w["dense.bias"], 0)
    logits = w["output.weight"] @ g + w["output.bias"]
    probabilities = np.exp(logits) / np.exp(logits).sum()

    judged = detector.judge(one)
    assert_allclose(list(judged.probabilities.values()), probabilities, atol=1e-6)
    expected = 1.5 * (logits[1] - logits[0]) - 0.25
    assert judged.score == pytest.approx(1 / (1 + np.exp(-expected)), abs=1e-6)


def test_same_bits_alone_shuffled_and_among_others(folder: Path) -> None:
    detector = CascadeGcnDetector(folder)
    cascades = [cascade(seed, n_nodes=10 + 13 * seed) for seed in range(6)]
    cascades.insert(3, build_cascade("star", [("r", "a"), ("r", "b")], root_key="r"))
    together = {v.root_id: opinion(v) for v in detector.score(cascades)}
    assert together == {c.root_id: opinion(detector.score([c])[0]) for c in cascades}
    shuffled = random.Random(1).sample(cascades, len(cascades))
    assert {v.root_id: opinion(v) for v in detector.score(shuffled)} == together
    assert detector.score([]) == []


def test_verdicts_are_in_order_and_name_what_they_are_about(folder: Path) -> None:
    detector = CascadeGcnDetector(folder)
    cascades = [cascade(seed) for seed in (5, 2, 9)]
    for asked, verdict in zip(cascades, detector.score(cascades), strict=True):
        assert (verdict.platform, verdict.root_id) == ("x", asked.root_id)
        assert verdict.input_hash == asked.input_hash
        assert (verdict.detector, verdict.version) == ("cascade_gcn", detector.version)
        assert verdict.state == "scored"
        assert verdict.score is not None
        assert verdict.score == round(verdict.score, 6)
        assert len(verdict.evidence) == 5
        sizes = [abs(weight) for _, weight in verdict.evidence]
        assert sizes == sorted(sizes, reverse=True)
        assert {name for name, _ in verdict.evidence} <= set(FEATURES)


def test_names_of_nodes_do_not_matter(folder: Path) -> None:
    detector = CascadeGcnDetector(folder)
    numbers = random.Random(5)
    names = [f"{i:03d}" for i in range(80)]
    edges = [(names[int(numbers.random() ** 2 * i)], names[i]) for i in range(1, 80)]
    other = dict(zip(names, numbers.sample(names, 80), strict=True))
    one = build_cascade("r", edges, root_key=names[0])
    two = build_cascade("r", [(other[a], other[b]) for a, b in edges], root_key=other[names[0]])
    (first,), (second,) = detector.score([one]), detector.score([two])
    assert first.score == pytest.approx(second.score, abs=2e-6)


def test_turning_the_edges_round_changes_the_score(folder: Path) -> None:
    numbers = random.Random(5)
    edges = [(str(int(numbers.random() ** 2 * i)), str(i)) for i in range(1, 80)]
    there = build_cascade("r", edges, root_key="0")
    back = build_cascade("r", [(b, a) for a, b in edges], root_key="0")
    detector = CascadeGcnDetector(folder)
    scores = [verdict.score for verdict in detector.score([there, back])]
    assert None not in scores
    assert scores[0] != pytest.approx(scores[1], abs=1e-4)


@pytest.mark.parametrize(
    ("edges", "reason"),
    [([], "no_shares"), ([("r", "a"), ("r", "b"), ("r", "c")], "star"), ([("r", "a")], "star")],
)
def test_abstains_where_the_shape_says_nothing(
    folder: Path, edges: list[tuple[str, str]], reason: str
) -> None:
    (verdict,) = CascadeGcnDetector(folder).score([build_cascade("r", edges)])
    assert (verdict.state, verdict.score, verdict.reason) == ("abstained", None, reason)
    assert verdict.evidence == ()


def test_a_hundred_thousand_posts(folder: Path) -> None:
    numbers = random.Random(2)
    edges = [(f"{int(numbers.random() ** 6 * i):06d}", f"{i:06d}") for i in range(1, 100_000)]
    (verdict,) = CascadeGcnDetector(folder).score(
        [build_cascade("r", edges, root_key=f"{0:06d}", platform="x")]
    )
    assert verdict.state == "scored"


# Metadata and delays


def test_what_is_not_known_is_masked(tmp_path: Path) -> None:
    columns = (*NINE, Column("followers", 2.0, 0.5))
    edges = [("r", "a"), ("a", "b"), ("b", "c")]
    known = build_cascade(
        "r", edges, metadata={"followers": {"r": 100.0, "a": 0.0, "b": np.nan}}
    )  # nodes a, b, c, r
    found = node_inputs(known, columns)
    assert found.shape == (4, n_inputs(columns)) == (4, 11)
    value, flag = found[:, 9], found[:, 10]
    assert flag.tolist() == [1, 0, 0, 1]
    assert value.tolist() == [-4, 0, 0, round((np.log(101) - 2) / 0.5, 9)]

    write_model(tmp_path, columns)
    detector = CascadeGcnDetector(tmp_path)
    without = build_cascade("r", edges)
    verdicts = detector.score([known, without])
    assert verdicts[0].state == "scored"
    assert (verdicts[1].state, verdicts[1].reason) == ("abstained", "no_metadata")
    unknown = build_cascade("r", edges, metadata={"followers": {}})
    assert np.isnan(unknown.metadata["followers"]).all()
    (scored,) = detector.score([unknown])
    assert scored.state == "scored", "a column without values is masked, not missing"
    assert scored.score != verdicts[0].score


def test_delays_by_hand() -> None:
    one = build_cascade(
        "r",
        [("r", "a"), ("a", "b"), ("r", "b"), ("b", "a"), ("a", "c")],
        delays={"r": 0.0, "a": 60.0, "b": 7 * 60.0, "d": -50.0},
    )  # nodes a, b, c, d, r
    found = raw_inputs(one, ["delay", "step"])
    # floor(log2(1 + minutes)): 1, 7, unknown, before the root, 0
    assert_allclose(found[:, 0], [1, 3, np.nan, 0, 0])
    # since the earliest parent: a since r, b since r; c's own time is not known; d has no parent
    assert_allclose(found[:, 1], [1, 3, np.nan, 0, 0])


def test_step_counts_from_the_earliest_parent() -> None:
    one = build_cascade(
        "r", [("r", "a"), ("a", "b")], delays={"r": 0.0, "a": 3600.0, "b": 3660.0}
    )  # nodes a, b, r
    assert raw_inputs(one, ["step"])[:, 0].tolist() == [5, 1, 0]


def test_delays_are_off_unless_asked_for(folder: Path) -> None:
    edges = [("r", "a"), ("a", "b"), ("b", "c")]
    slow = build_cascade("r", edges, delays={"r": 0, "a": 5e5, "b": 6e5, "c": 7e5})
    (with_times,), (without,) = (
        CascadeGcnDetector(folder).score([one]) for one in (slow, build_cascade("r", edges))
    )
    assert with_times.score == without.score
    assert with_times.input_hash != without.input_hash


def test_equal_nodes_are_one_kind() -> None:
    edges = [("r", "s")] + [("r", f"a{i}") for i in range(50)] + [("s", f"b{i}") for i in range(20)]
    assert prepare(build_cascade("r", edges), NINE).sizes == (4,)


def test_a_class_of_neither_label_has_no_part() -> None:
    config = config_for(NINE, "")
    logits = np.array([0.5, 1.5, 7.0])
    assert label_logit(logits, config) == pytest.approx(1.0)
    both = msgspec.structs.replace(config, likely_true=("true", "unverified"))
    assert label_logit(logits, both) == pytest.approx(1.5 - np.log(np.exp(0.5) + np.exp(7.0)))


# Weights


def edit_config(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def replace_weights(folder: Path, data: bytes) -> None:
    (folder / "model.safetensors").write_bytes(data)
    edit_config(folder, weights_sha256=sha256(data).hexdigest())


def tensors_of(width: int, n_classes: int) -> dict[str, torch.Tensor]:
    return {k: v.detach() for k, v in CascadeGcn(width, n_classes).state_dict().items()}


def not_finite(folder: Path) -> None:
    tensors = tensors_of(9, 3)
    tensors["output.bias"][1] = float("nan")
    replace_weights(folder, save(tensors, metadata={"classes": "\n".join(CLASSES)}))


def other_shape(folder: Path) -> None:
    replace_weights(folder, save(tensors_of(8, 3), metadata={"classes": "\n".join(CLASSES)}))


BREAKS: list[tuple[Callable[[Path], object], str]] = [
    (lambda f: (f / "config.json").unlink(), r"config.json cannot be opened \(No such file"),
    (lambda f: (f / "config.json").write_text("{"), r"config.json cannot be read \("),
    (lambda f: edit_config(f, extra=1), r"config.json cannot be read \(.*extra"),
    (lambda f: edit_config(f, format=9), "has format 9, this version reads 1"),
    (lambda f: edit_config(f, preparation=9), "needs preparation 9, this version has 1"),
    (lambda f: edit_config(f, threshold=1.0), "has threshold 1.0, which is not between 0 and 1"),
    (
        lambda f: edit_config(f, calibration={"slope": -1.0, "offset": 0.0}),
        "has slope -1.0: it would turn the labels round",
    ),
    (lambda f: edit_config(f, likely_true=["false"]), "each label needs classes of its own"),
    (lambda f: edit_config(f, likely_true=[]), "each label needs classes of its own"),
    (lambda f: edit_config(f, likely_false=["fake"]), "each label needs classes of its own"),
    (lambda f: edit_config(f, columns=[]), "has no inputs"),
    (
        lambda f: edit_config(f, columns=[{"name": "hub", "mean": 0.0, "scale": 0.0}]),
        "has an input whose mean or scale is no number",
    ),
    (
        lambda f: edit_config(f, classes=["false", "true", "unverified"]),
        r"has outputs \['true', 'false', 'unverified'\], config.json says "
        r"\['false', 'true', 'unverified'\]: not the same order",
    ),
    (lambda f: (f / "model.safetensors").unlink(), "model.safetensors cannot be opened"),
    (
        lambda f: (f / "model.safetensors").write_bytes(b"x"),
        r"model.safetensors has sha256 2d711642b726..., config.json says",
    ),
    (lambda f: replace_weights(f, b"x" * 100), "does not hold the tensors of a model"),
    (other_shape, "does not hold the tensors of a model"),
    (not_finite, "holds a number that is not finite"),
]


@pytest.mark.parametrize(("break_it", "message"), BREAKS)
def test_broken_weights_are_one_clear_line(
    folder: Path, break_it: Callable[[Path], object], message: str
) -> None:
    break_it(folder)
    with pytest.raises(BrokenWeights, match=message) as caught:
        CascadeGcnDetector(folder)
    assert "\n" not in str(caught.value)
    assert "train again with python -m detectors.train_cascade_gcn" in str(caught.value)


def test_version_changes_with_whatever_changes_a_score(folder: Path) -> None:
    config = config_for(NINE, "0" * 64)
    replace = msgspec.structs.replace
    changed = [
        replace(config, weights_sha256="1" * 64),
        replace(config, calibration=Calibration(slope=1.5, offset=0.0)),
        replace(config, columns=NINE[:8]),
        replace(config, likely_true=("true", "unverified")),
        replace(config, preparation=2),
    ]
    versions = {model_version(other) for other in [config, *changed]}
    assert len(versions) == 1 + len(changed)
    assert model_version(replace(config, threshold=0.9, trained_on="")) == model_version(config)
