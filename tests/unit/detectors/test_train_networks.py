"""Networks of whole posts are trained and measured by the commands, out of a file of posts."""

from __future__ import annotations

import json
from importlib import import_module
from operator import attrgetter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detectors import att_xdsf
from detectors.checkpoints import CannotTrain, Step
from detectors.networks.text import Bert
from detectors.training import Task, run
from hoaxwatch import cli
from hoaxwatch.commands.train import load_posts
from tests.encoders import save_tiny
from tests.unit.detectors.invented_posts import posts_with_labels

OK, USAGE = 0, 2


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Posts whose label is in their words and on their pictures, as a user would have them."""
    folder = tmp_path_factory.mktemp("posts")
    posts, positive = posts_with_labels(120)
    splits = ["train"] * 60 + ["validation"] * 30 + ["test"] * 30
    lines = []
    for i, (post, is_false, split) in enumerate(zip(posts, positive, splits, strict=True)):
        images = []
        for picture in post.pictures:
            path = folder / f"{i}.png"
            assert picture.pixels is not None
            Image.fromarray(np.asarray(picture.pixels)).save(path)
            images.append(str(path))
        row = {
            "text": f"{post.content.text} {' '.join('#' + tag for tag in post.content.hashtags)}",
            "label": "likely_false" if is_false else "likely_true",
            "split": split,
            "lang": "en",
            "images": images,
            "attributes": {k: v for k, v in post.attributes.items() if v is not None},
        }
        lines.append(json.dumps(row))
    file = folder / "posts.jsonl"
    file.write_text("\n".join(lines) + "\n")
    return file


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("three_branch", ["ocr=false", "epochs=6", "combine=network"]),
        ("att_xdsf", ["text=characters", "fusion=concat", "epochs=10"]),
        ("att_xdsf", ["text=characters", "fusion=concat", "epochs=10", "image_encoder=small_vit"]),
    ],
)
def test_trained_measured_and_shown_by_the_commands(
    name: str,
    changes: list[str],
    data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / name
    words = [word for change in changes for word in ("--set", change)]
    train = ["train", name, "--data", str(data), "--out", str(out), "--small", *words]
    assert cli.run(train) == OK
    said = json.loads((out / "metrics.json").read_text("utf-8"))
    assert said["validation"]["n"] == 30 and said["detector"] == name
    capsys.readouterr()
    assert cli.run(["evaluate", f"{name}={out}", "--data", str(data), "--json"]) == OK
    (found,) = json.loads(capsys.readouterr().out)["detectors"].values()
    assert found["mcc"] > 0.5  # what is false says so
    assert cli.run(["models", "verify", str(out)]) == OK


@pytest.mark.parametrize(
    ("name", "changes", "network"),
    [
        ("three_branch", {"ocr": "false", "epochs": "2", "combine": "mean"}, "tags"),
        ("att_xdsf", {"text": "characters", "fusion": "concat", "epochs": "3"}, "att_xdsf"),
    ],
)
def test_what_was_stopped_goes_on_to_the_same_weights(
    name: str, changes: dict[str, str], network: str, data: Path, tmp_path: Path
) -> None:
    posts = [post._replace(images=()) for post in load_posts([data], None, 0)]  # they are slow
    asked = Task(posts, data, tmp_path / "whole", "", lambda line: None, True, changes)
    run(name, asked)

    def stop(step: Step) -> None:
        if step.name == network and step.epoch == 2:
            raise KeyboardInterrupt

    stopped = asked._replace(out=tmp_path / "stopped")
    with pytest.raises(KeyboardInterrupt):
        run(name, stopped._replace(watch=stop))
    with pytest.raises(CannotTrain, match="is of other data or settings: leave --resume out"):
        run(name, stopped._replace(resume=True, seed=1))
    other = [posts[0]._replace(text="another text"), *posts[1:]]
    with pytest.raises(CannotTrain, match="is of other data or settings: leave --resume out"):
        run(name, stopped._replace(resume=True, posts=other))
    steps: list[Step] = []
    run(name, stopped._replace(resume=True, watch=steps.append))
    assert (steps[0].name, steps[0].epoch) == (network, 2)  # what was finished is not done again
    for file in (tmp_path / "whole").iterdir():
        assert file.read_bytes() == (tmp_path / "stopped" / file.name).read_bytes()
    assert not (tmp_path / "stopped" / "checkpoints").exists()


@pytest.mark.parametrize(
    ("changes", "at_most"), [({}, 1e-4), ({"encoder_learning_rate": "0.01"}, 0.03)]
)
def test_an_encoder_is_fine_tuned_at_a_small_rate_of_its_own(
    changes: dict[str, str], at_most: float, data: Path, tmp_path: Path
) -> None:
    posts = [post._replace(images=()) for post in load_posts([data], None, 0)]
    encoder = str(save_tiny(tmp_path / "encoder"))
    asked = {"text": "trained", "modalities": "text", "epochs": "2", **changes}
    run("att_xdsf", Task(posts, data, tmp_path, encoder, lambda line: None, changes=asked))
    model = att_xdsf.load(tmp_path)
    assert model.encoder is not None and isinstance(model.network.text, Bert)
    before = [model.encoder.weights[name] for name in sorted(model.encoder.weights)]
    moved = [
        (after.detach() - first).abs().max().item()
        for after, first in zip(model.network.text.parameters(), before, strict=True)
    ]
    assert at_most / 10 < max(moved) < at_most  # one batch an epoch: Adam moves by the rate


class Asked(Exception):
    """What a training was asked for."""


@pytest.mark.parametrize(
    ("name", "changes", "wanted"),
    [
        (
            "three_branch",
            {},
            {"network.patience": 10, "pictures.learning_rate": 1e-3, "subword_vectors": None},
        ),
        (
            "three_branch",
            {"patience": "2", "pictures_learning_rate": "0.01", "subword_vectors": "cc.en.bin"},
            {
                "network.patience": 2,
                "pictures.learning_rate": 0.01,
                "subword_vectors": Path("cc.en.bin"),
            },
        ),
        ("three_branch", {"image_weights": "vgg19.pth"}, {"pictures.learning_rate": 1e-4}),
        (
            "three_branch",
            {"branches": "tags,text", "fused": "false", "projected": "false"},
            {
                "switches.branches": ("text", "tags"),
                "switches.fused": False,
                "switches.projected": False,
                "switches.attention": True,
            },
        ),
        ("three_branch", {"attention": "false"}, {"switches.attention": False}),
        ("att_xdsf", {}, {"network.patience": 4, "pictures.learning_rate": 1e-3}),
        (
            "att_xdsf",
            {"patience": "2", "image_weights": "vit.pth"},
            {"network.patience": 2, "pictures.learning_rate": 1e-4},
        ),
    ],
)
def test_settings_reach_the_training(
    name: str,
    changes: dict[str, str],
    wanted: dict[str, object],
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fit(*given: object) -> None:
        raise Asked(*(one for one in given if type(one).__name__ == "Settings"))

    monkeypatch.setattr(import_module(f"detectors.train_{name}"), "fit", fit)
    posts = [post._replace(images=()) for post in load_posts([data], None, 0)]
    changes = {**changes, "ocr": "false"} if name == "three_branch" else changes
    with pytest.raises(Asked) as caught:
        run(name, Task(posts, data, tmp_path, "", lambda line: None, changes=changes))
    (settings,) = caught.value.args
    assert {path: attrgetter(path)(settings) for path in wanted} == wanted


def test_vectors_that_are_none_are_told(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train = ["train", "three_branch", "--data", str(data), "--out", str(tmp_path), "--small"]
    words = ["--set", "ocr=false", "--set", f"subword_vectors={tmp_path / 'none.bin'}"]
    assert cli.run([*train, *words]) == USAGE
    assert "is no .bin file of fastText" in " ".join(capsys.readouterr().err.split())


def test_three_branches_with_their_svm_learn_from_posts_without_pictures(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [json.loads(line) | {"images": []} for line in data.read_text().splitlines()]
    bare = tmp_path / "bare.jsonl"
    bare.write_text("".join(json.dumps(row) + "\n" for row in rows))
    out = tmp_path / "weights"
    train = ["train", "three_branch", "--data", str(bare), "--out", str(out), "--small"]
    assert cli.run([*train, "--set", "ocr=false", "--set", "epochs=4", "--set", "folds=2"]) == OK
    config = json.loads((out / "config.json").read_text("utf-8"))
    assert set(config["networks"]) == {"three_branch", "text", "tags"}
    assert cli.run(["models", "verify", str(out)]) == OK


@pytest.mark.parametrize(
    ("name", "words", "said"),
    [
        ("three_branch", ["--set", "branches=text,sound"], "setting branches has no 'sound'"),
        ("three_branch", ["--set", "combine=sum"], "setting combine has no 'sum'; there are"),
        ("att_xdsf", ["--set", "fusion=sum"], "setting fusion has no 'sum'; there are"),
        ("att_xdsf", ["--set", "image_encoder=x"], "setting image_encoder has no 'x'; there are"),
        ("att_xdsf", ["--set", "modalities=text,sound"], "setting modalities has no 'sound'"),
        ("att_xdsf", ["--resume"], "nothing to resume in"),
        ("three_branch", ["--resume", "--set", "ocr=false"], "nothing to resume in"),
    ],
)
def test_settings_that_there_are_not(
    name: str,
    words: list[str],
    said: str,
    data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    train = ["train", name, "--data", str(data), "--out", str(tmp_path), "--small", *words]
    assert cli.run(train) == USAGE
    assert said in " ".join(capsys.readouterr().err.split())


def test_what_cannot_be_is_said(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["evaluate", "three_branch", "--data", str(data)]) == USAGE
    assert "three_branch=FOLDER" in capsys.readouterr().err
