"""Training on made-up sets and a small encoder: every step of the real thing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from detectors import train_bert
from detectors.bert import read_config
from detectors.bert_card import model_card
from detectors.encoder import read_encoder
from detectors.train_bert import (
    Learner,
    Settings,
    explore,
    fit,
    given,
    leave_out,
    lesson,
    measure,
    read_calm,
    read_tried,
    set_threshold,
    train,
)
from detectors.train_tfidf import read_examples
from tests.encoders import save_tiny
from tests.made_up_sets import write_sets

SMALL = Settings(frozen=1, rank=4, epochs=6, learning_rate=5e-3, max_tokens=32)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sets(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_tiny(tmp_path_factory.mktemp("encoder")))


@pytest.mark.timeout(3600)  # half a minute of a core, which others may want as well
def test_trains_measures_and_writes_a_card(
    data: Path,
    encoder: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(train_bert, "CHOSEN_ON", ("liar",))
    out, work = tmp_path / "out", tmp_path / "work"
    explore(data, work, encoder, SMALL)
    detector = train(data, out, encoder, SMALL, "2020-02-02")
    leave_out(data, work, encoder, SMALL, ["liar"])
    metrics = measure(data, out, work, encoder, SMALL)

    assert metrics["version"] == detector.version
    assert metrics["threshold"] == detector.threshold == read_config(out).threshold
    assert metrics["test"]["pooled"]["mcc_at_half"] > 0
    assert len(metrics["test"]["pooled"]["over_baseline"]["macro_f1"]) == 3
    assert set(metrics["left_out"]) == {"liar", "pooled"}
    assert [tried["rank"] for tried in metrics["tried"]] == [4]
    assert json.loads((out / "metrics.json").read_text()) == metrics
    assert (out / "README.md").read_text() == model_card(metrics)
    assert "left out liar" in capsys.readouterr().out

    examples = read_examples(data / "text")
    calm = read_calm(data / "tweets_2023_csv")
    again = set_threshold(out, encoder, examples, calm)
    assert again.version == detector.version


def test_calm_posts_teach_the_second_logit_only() -> None:
    states = [torch.zeros(1)] * 2
    taught = lesson(states, np.array([True, False]), [torch.zeros(1)], Settings(smoothing=0.2))
    assert taught.targets[:2].tolist() == pytest.approx(np.array([[0.1, 0.9], [0.9, 0.1]]))
    assert taught.weights.tolist() == [[1, 1], [1, 1], [0, 1]]
    assert taught.targets[2, 1] == pytest.approx(0.1)
    left = lesson(states, np.array([True, False]), [torch.zeros(1)], Settings(calm_weight=0))
    assert len(left.states) == 2


def test_learns_what_tells_and_the_same_each_time(encoder: str) -> None:
    settings = SMALL._replace(epochs=25, dropout=0.0)
    learner = Learner(read_encoder(encoder), settings)
    false, true = ["the moon is a hoax", "a miracle cure"], ["official data", "the moon is made"]
    texts = [*false, *true] * 40
    positive = np.array([True, True, False, False] * 40)
    taught = lesson(learner.states(texts), positive, [], settings)
    adapter, again = fit(learner, taught), fit(learner, taught)
    logits = learner.logits(adapter, learner.states([*false, *true]))
    assert (logits > 0).tolist() == [True, True, False, False]
    found = again.tensors()
    assert all(tensor.equal(found[name]) for name, tensor in adapter.tensors().items())
    untaught = learner.logits(learner.new_adapter(), learner.states([*false, *true]))
    assert np.abs(untaught).max() < np.abs(logits).min()


def test_parts_of_the_calm_set_share_no_text_and_no_copies(data: Path) -> None:
    calm = read_calm(data / "tweets_2023_csv")
    parts = [set(calm.learn), set(calm.choose), set(calm.report)]
    assert all(parts)
    assert not (parts[0] & parts[1] or parts[0] & parts[2] or parts[1] & parts[2])
    assert len(calm.learn) == len(parts[0])


def test_settings_are_changed_by_name() -> None:
    assert given(["epochs=7", "dropout=0.2"]) == Settings(epochs=7, dropout=0.2)
    with pytest.raises(AttributeError):
        given(["epoch=7"])
    assert read_tried(Path("no such folder")) == []
