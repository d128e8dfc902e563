"""The att-XDSF detector: each way to read texts, what is missing, kept and explained."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch

from detectors.att_xdsf import AttXdsfDetector, Model, load, save
from detectors.networks.att_xdsf import Fusion
from detectors.networks.training import Schedule
from detectors.train_att_xdsf import Settings, fit
from detectors.trained import BrokenWeights
from tests.unit.detectors.invented_posts import picture, post, posts_with_labels, rows

QUICK = Settings(
    text="characters",
    network=Schedule(learning_rate=5e-3, batch=16, max_epochs=12, patience=12),
    pictures=Schedule(learning_rate=3e-3, batch=16, max_epochs=2),
    trained_on="2026-01-01",
)
N_POSTS = 120


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Networks as small as these are slower on several."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def fitted_with(settings: Settings) -> Model:
    posts, positive = posts_with_labels(N_POSTS)
    train, validation, _ = rows(N_POSTS)
    return fit(posts, positive, train, validation, settings)


@pytest.fixture(scope="module")
def fitted() -> Model:
    return fitted_with(replace(QUICK, text="frozen"))


@pytest.fixture(scope="module")
def detector(fitted: Model) -> AttXdsfDetector:
    return AttXdsfDetector(fitted)


def share_right(model: Model) -> float:
    posts, positive = posts_with_labels(N_POSTS)
    _, _, test = rows(N_POSTS)
    detector = AttXdsfDetector(model)
    found = detector.score([posts[i] for i in test])
    flagged = np.array([(v.verdict.score or 0.0) >= detector.threshold for v in found])
    return float(np.mean(flagged == positive[test]))


def test_it_has_learnt_what_is_false(fitted: Model) -> None:
    assert share_right(fitted) > 0.85


@pytest.mark.parametrize("fusion", ["concat", "tokens"])
def test_other_fusions_are_trained_and_kept(tmp_path: Path, fusion: Fusion) -> None:
    quick = replace(QUICK, network=Schedule(max_epochs=1), fusion=fusion)
    save(fitted_with(quick), tmp_path)
    again = load(tmp_path)
    assert again.config.fusion == fusion and again.encoder is None
    (found,) = AttXdsfDetector(again).score([post("the secret cure")])
    assert found.verdict.state == "scored" and found.missing == {"image": "no_picture"}


def test_an_encoder_can_be_trained_with_the_rest(tmp_path: Path) -> None:
    one = Schedule(max_epochs=1, batch=2, learning_rate=1e-4)
    posts, positive = posts_with_labels(8)
    few = np.arange(4), np.arange(4, 8)
    settings = replace(QUICK, text="trained", network=one, modalities=("text",))
    model = fit(posts, positive, *few, settings)
    before = model.encoder
    assert before is not None
    name = "encoder.layer.0.output.dense.weight"
    weights = dict(zip(sorted(before.weights), model.network.text.parameters(), strict=False))  # type: ignore[union-attr]
    assert not torch.equal(weights[name], before.weights[name])
    save(model, tmp_path)
    scores = [AttXdsfDetector(m).score(posts[:1])[0].verdict.score for m in (model, load(tmp_path))]
    assert scores[0] == scores[1]


def test_a_score_does_not_depend_on_its_neighbours(detector: AttXdsfDetector) -> None:
    posts, _ = posts_with_labels(8)
    together = detector.score(posts)
    assert [detector.score([one])[0] for one in posts] == together
    assert detector.score(posts[::-1]) == together[::-1]
    assert detector.score([]) == []


def test_each_missing_modality_is_named(detector: AttXdsfDetector) -> None:
    whole = post("the secret cure", (), (picture(1, True),))
    bare = whole._replace(pictures=(), attributes={})
    found, less = detector.score([whole, bare])
    assert found.used == ("text", "image", "social") and found.missing == {}
    assert [name for name, _ in found.verdict.evidence] != []
    assert less.used == ("text",)
    assert less.missing == {"image": "no_picture", "social": "no_attribute_known"}
    assert less.verdict.input_hash != found.verdict.input_hash


def test_attributes_alone_decide_nothing(detector: AttXdsfDetector, fitted: Model) -> None:
    (found,) = detector.score([post("👍")])
    assert found.used == () and found.verdict.reason == "nothing_to_read"
    assert found.missing == {"text": "empty", "image": "no_picture"}
    assert detector.explain(post("👍")) == ()


def test_it_explains_by_what_leaving_out_changes(detector: AttXdsfDetector) -> None:
    whole = post("the secret cure is here!", (), (picture(1, True),))
    found = dict(detector.explain(whole))
    assert {"branch text", "branch image", "branch social", "word secret"} <= set(found)
    assert "attribute n_exclamation_marks" in found
    assert list(found.values()) == sorted(found.values(), key=abs, reverse=True)


def test_broken_bytes_are_no_error(detector: AttXdsfDetector) -> None:
    texts = ("\ud800 lone surrogate here", "\0a b c", "x" * 100_000, "ワクチンは危険")
    for found in detector.score([post(text) for text in texts]):
        assert found.verdict.score is not None and 0 <= found.verdict.score <= 1


def _cut(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])


def _edit(name: str, value: object) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        path = folder / "config.json"
        config = json.loads(path.read_text())
        config[name] = value
        path.write_text(json.dumps(config))

    return spoil


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (_cut, "has sha256"),
        (_edit("labels", ["likely_false", "likely_true"]), "has labels"),
        (_edit("format", 2), "has format 2"),
        (_edit("fusion", "concat"), "does not hold the tensors"),
        (_edit("calibration", {"slope": -1.0, "offset": 0.0}), "slope"),
        (_edit("unknown", 1), "cannot be read"),
        (_edit("text", {"sha256": "0" * 64, "encoder": "all-MiniLM-L6-v2"}), "trained on another"),
    ],
)
def test_spoilt_weights_are_refused_in_one_line(
    tmp_path: Path, fitted: Model, spoil: Callable[[Path], None], says: str
) -> None:
    save(fitted, tmp_path)
    spoil(tmp_path)
    with pytest.raises(BrokenWeights, match=says) as raised:
        load(tmp_path)
    assert "\n" not in str(raised.value)


def test_what_is_saved_is_what_is_loaded(tmp_path: Path, fitted: Model) -> None:
    config = save(fitted, tmp_path)
    again = AttXdsfDetector(load(tmp_path))
    posts, _ = posts_with_labels(4)
    before = AttXdsfDetector(fitted._replace(config=config)).score(posts)
    assert again.score(posts) == before
    later = msgspec.structs.replace(config, threshold=0.9)
    assert AttXdsfDetector(fitted._replace(config=later)).version == again.version
