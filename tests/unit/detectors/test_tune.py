"""What of bert is trained: all of its encoder, adapters beside it, or the head alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from detectors.bert import BertDetector, read_adapter, read_config, write_weights
from detectors.checkpoints import CannotTrain
from detectors.datasets.labelled import LabelledPost
from detectors.encoder import Encoder, is_of_encoder, read_encoder
from detectors.labels import LABELS
from detectors.train_bert import FULL, Learner, Settings, fit_early, lesson, settings_of
from detectors.trained import BrokenWeights
from detectors.training import Task, run
from streams.records import Content
from tests.encoders import save_tiny
from tests.unit.detectors.test_training import posts

TEXTS = [
    "the moon is a hoax",
    "the moon is made of cheese",
    "a miracle cure",
    "official data is a hoax",
    "the cure is made of cheese",
    "the moon is not a hoax",
    "official data of the moon",
    "the data is official",
    "not a miracle cure",
    "a cure is not made of cheese",
]
POSITIVE = np.array([True] * 5 + [False] * 5)


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def name(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_tiny(tmp_path_factory.mktemp("encoder")))


@pytest.fixture(scope="module")
def encoder(name: str) -> Encoder:
    return read_encoder(name)


def task(out: Path, encoder: str, tune: str, **changes: str) -> Task:
    fast = {"tune": tune, "epochs": "3", "learning_rate": "0.002"} | changes
    return Task(posts(), Path("a.csv"), out, encoder, lambda line: None, changes=fast)


def scores(folder: Path) -> list[float | None]:
    found = BertDetector(folder, engine="fp32").score(
        [Content("x", str(i), text, "en") for i, text in enumerate(TEXTS)]
    )
    return [verdict.score for verdict in found]


def test_all_of_the_encoder_overfits_ten_examples(encoder: Encoder) -> None:
    settings = FULL._replace(epochs=120, learning_rate=3e-3, dropout=0.0, frozen=0)
    learner = Learner(encoder, settings)
    taught = lesson(learner.states(TEXTS), POSITIVE, [], settings)
    adapter, learnt = fit_early(learner, taught, None, lambda line: None)
    assert learnt.losses[-1] < 0.05 < learnt.losses[0]
    assert ((learner.logits(adapter, taught.states) > 0) == POSITIVE).all()
    for weight, tensor in adapter.whole.items():
        moved = not tensor.equal(encoder.weights[weight])
        assert moved, weight


def test_its_weights_move_are_saved_and_give_the_scores_they_gave(
    name: str, encoder: Encoder, tmp_path: Path
) -> None:
    run("bert", task(tmp_path, name, "full"))
    tensors = read_adapter(tmp_path, read_config(tmp_path).weights_sha256)
    whole = {n.removeprefix("whole."): t for n, t in tensors.items() if n.startswith("whole.")}
    assert whole.keys() == {n for n in encoder.weights if is_of_encoder(n)}
    assert not any(n.endswith((".up", ".down")) for n in tensors)
    assert whole["embeddings.word_embeddings.weight"].dtype == torch.float32
    assert not whole["encoder.layer.0.output.dense.weight"].equal(
        encoder.weights["encoder.layer.0.output.dense.weight"]
    )
    detector = BertDetector(tmp_path, engine="fp32")
    learner = Learner(encoder, FULL._replace(max_tokens=66))
    ids = learner.states(TEXTS)
    trained = learner.new_adapter()._replace(
        whole=whole, head_weight=tensors["head.weight"], head_bias=tensors["head.bias"]
    )
    found = np.array([(f - t) / 2 for t, f in detector.encoder_logits(TEXTS)])
    # training computes in bfloat16
    assert found == pytest.approx(learner.logits(trained, ids), abs=0.05)
    assert scores(tmp_path) == scores(tmp_path)


@pytest.mark.parametrize("tune", ["full", "head"])
def test_it_goes_on_to_the_same_weights(tune: str, name: str, tmp_path: Path) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    run("bert", task(whole, name, tune))

    def stop(line: str) -> None:
        if "epoch 2 of" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run("bert", task(stopped, name, tune)._replace(say=stop))
    run("bert", task(stopped, name, tune)._replace(resume=True))
    files = [(folder / "adapter.safetensors").read_bytes() for folder in (whole, stopped)]
    assert files[0] == files[1]
    assert scores(whole) == scores(stopped)


def test_the_head_alone_leaves_the_encoder_as_it_is(name: str, tmp_path: Path) -> None:
    run("bert", task(tmp_path, name, "head"))
    tensors = read_adapter(tmp_path, read_config(tmp_path).weights_sha256)
    assert {n for n in tensors if not n.endswith(".reach")} == {"head.weight", "head.bias"}


def test_what_is_tuned_where_nothing_is_said(encoder: Encoder) -> None:
    own: list[LabelledPost] = []
    asked = Task(own, Path(), Path(), "", print)
    assert settings_of(asked, encoder, "cpu").tune == "lora"
    assert settings_of(asked._replace(small=True), encoder, "cuda").tune == "lora"
    of_paper = settings_of(asked, encoder, "cuda")
    n_positions = encoder.shape.n_positions
    assert of_paper == Settings(
        frozen=0,
        epochs=10,
        batch=32,
        max_tokens=min(256, n_positions),
        learning_rate=3e-5,
        smoothing=0.0,
        calm_weight=0.0,
        wide=False,
        tune="full",
    )
    assert FULL.max_tokens == 256
    with pytest.raises(CannotTrain, match="tune is 'some'; choose full, lora, head"):
        settings_of(asked._replace(changes={"tune": "some"}), encoder, "cpu")


def test_weights_of_another_encoder_are_refused(name: str, tmp_path: Path) -> None:
    run("bert", task(tmp_path, name, "full", epochs="1"))
    config = read_config(tmp_path)
    tensors = read_adapter(tmp_path, config.weights_sha256)
    key = "whole.encoder.layer.0.output.dense.weight"
    digest = write_weights(tmp_path, tensors | {key: tensors[key][:, :-1]})
    text = (tmp_path / "config.json").read_text().replace(config.weights_sha256, digest)
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(BrokenWeights, match=r"does not fit .*output\.dense\.weight of shape"):
        BertDetector(tmp_path, engine="fp32")
    assert LABELS == ("likely_true", "likely_false")
