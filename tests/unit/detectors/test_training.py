"""The trainers of bert and tfidf on posts of one's own; calibration."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from detectors import train_bert
from detectors.assessment import judge
from detectors.bert import BertDetector
from detectors.checkpoints import CannotTrain, Step
from detectors.datasets.labelled import LabelledPost
from detectors.labels import LABELS
from detectors.registry import load_detector
from detectors.tfidf import TfidfDetector
from detectors.training import TRAINERS, Task, platt, run, trainer_of
from streams.records import Content
from tests.encoders import save_tiny
from tests.made_up_sets import sentence

FAST = {"frozen": "1", "rank": "4", "epochs": "3", "learning_rate": "0.005"}


pytestmark = pytest.mark.usefixtures("one_thread")


def posts(n: int = 160) -> list[LabelledPost]:
    rng = random.Random(8)
    return [
        LabelledPost(
            "made up",
            "validation" if i % 4 > 2 else "train",
            str(i),
            sentence(rng, i % 8 > 3),
            LABELS[i % 8 > 3],
            lang="en",
        )
        for i in range(n)
    ]


def task(out: Path, encoder: str = "", **changes: str) -> Task:
    return Task(posts(), Path("a.csv"), out, encoder, lambda line: None, changes=changes)


def test_bert_goes_on_where_it_stopped_and_runs(tmp_path: Path) -> None:
    encoder = str(save_tiny(tmp_path / "encoder"))
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    steps: list[Step] = []
    asked = task(whole, encoder, **FAST)._replace(languages=("en", "de"), watch=steps.append)
    said = run("bert", asked)
    assert [step.step for step in steps] == list(range(1, steps[0].n_steps + 1))
    assert {step.n_epochs for step in steps} == {3} and steps[-1].epoch == 3
    assert steps[0].validation is None and steps[-1].loss == said["losses"][-1]
    seen = [step.validation for step in steps if step.epoch > 1]
    assert sorted(set(seen), key=seen.index) == list(said["validation_losses"][:2])
    assert said["settings"]["max_tokens"] == 66  # the paper's 256 are more than this encoder reads
    assert said["settings"]["calm_weight"] == 0
    assert len(said["validation_losses"]) == len(said["losses"]) == 3

    def stop(line: str) -> None:
        if "epoch 2 of" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run("bert", task(stopped, encoder, **FAST)._replace(say=stop))
    again = task(stopped, encoder, **FAST)._replace(resume=True)
    other = posts()
    other[7] = other[7]._replace(label=LABELS[other[7].label == LABELS[0]])
    with pytest.raises(CannotTrain, match="is of other data or settings: leave --resume out"):
        run("bert", again._replace(posts=other))
    run("bert", again)
    adapters = [(folder / "adapter.safetensors").read_bytes() for folder in (whole, stopped)]
    assert adapters[0] == adapters[1]
    detector = BertDetector(whole, encoder, "fp32")
    (verdict,) = detector.score([Content("x", "1", "a miracle cure is a hoax", "de")])
    assert verdict.reason != "language"
    assert detector.threshold == said["threshold"]


@pytest.mark.parametrize("last", ["reaches", "write_config"])
def test_bert_stopped_before_its_weights_are_written_goes_on(
    last: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = str(save_tiny(tmp_path / "encoder"))
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    run("bert", task(whole, encoder, **FAST))

    def stop(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(train_bert, last, stop)
        run("bert", task(stopped, encoder, **FAST))
    steps: list[Step] = []
    run("bert", task(stopped, encoder, **FAST)._replace(resume=True, watch=steps.append))
    assert steps == []  # all epochs were run
    files = {path.name: path.read_bytes() for path in whole.iterdir()}
    assert {path.name: path.read_bytes() for path in stopped.iterdir()} == files


def test_tfidf_learns_what_tells(tmp_path: Path) -> None:
    said = run("tfidf", task(tmp_path, min_df="1"))
    assert said["validation"]["mcc"] > 0.2
    assert TfidfDetector(tmp_path).threshold == said["threshold"]


@pytest.mark.parametrize("name", ["bert", "tfidf", "tweet_metadata"])
def test_only_what_is_scored_decides_and_is_measured(name: str, tmp_path: Path) -> None:
    encoder = str(save_tiny(tmp_path / "encoder"))
    of = [post._replace(lang="de" if i % 24 == 3 else "en") for i, post in enumerate(posts())]
    of[7] = of[7]._replace(text="short")
    changes = {"bert": FAST, "tfidf": {}, "tweet_metadata": FAST}[name]
    asked = task(tmp_path / "own", encoder, **changes)
    asked.out.mkdir()
    said = run(name, asked._replace(posts=of, abstain=(0.49, 0.51)))
    options = {} if name == "tfidf" else {"encoder": encoder}
    detector = load_detector(name, weights=asked.out, **options)
    validation = [post for post in of if post.split == "validation"]
    scores = judge(name, detector, validation).scores
    n = int(np.isfinite(scores).sum())
    assert 0 < n <= len(validation) - 8
    found = said["validation"]
    assert (found["n"], found["n_abstained"]) == (n, len(validation) - n)
    assert said["threshold"] == detector.threshold
    assert sum(found["counts"].values()) == n
    with pytest.raises(CannotTrain, match=r"none of 40 validation posts \(language\).*--languages"):
        run(name, asked._replace(posts=of, languages=("fr",)))


def test_labels_must_be_ours_and_trainers_known(tmp_path: Path) -> None:
    other = [post._replace(label=f"my {post.label}") for post in posts()]
    with pytest.raises(CannotTrain, match="label 'my likely_false' is neither of likely_true and"):
        run("tfidf", task(tmp_path)._replace(posts=other))
    with pytest.raises(CannotTrain, match="chooses its settings itself: leave --set out"):
        (tmp_path / "twitter15").mkdir()
        (tmp_path / "twitter15" / "edges.csv.xz").touch()
        run("cascade_gcn", task(tmp_path, epochs="1")._replace(data=tmp_path))
    assert {trainer_of(name).reads for name in TRAINERS} == {"posts", "folder"}


def test_calibration_is_finite_and_never_turned_round() -> None:
    positive = np.array([False] * 6 + [True] * 3)
    logits = np.concatenate([np.full(6, -2.0), np.full(3, 2.0)])
    found = platt(positive, logits)
    # perfectly told apart: the targets are (3 + 1) / (3 + 2) and 1 / (6 + 2)
    scores = 1 / (1 + np.exp(-(found.slope * np.array([2.0, -2.0]) + found.offset)))
    assert scores == pytest.approx([4 / 5, 1 / 8], abs=1e-3)
    with pytest.raises(CannotTrain, match="it learnt nothing that holds"):
        platt(positive, -logits)
