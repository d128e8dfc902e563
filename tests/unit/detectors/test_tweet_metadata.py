"""Convolutions over token states, masked figures: equations by hand, training, broken folders."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch

from detectors import train_tweet_metadata
from detectors.checkpoints import CannotTrain
from detectors.datasets.labelled import LabelledPost
from detectors.encoder import read_encoder
from detectors.posts import Part, WholePost
from detectors.registry import load_detector
from detectors.trained import BrokenWeights
from detectors.training import CHECKPOINT, Task, run
from detectors.tweet_metadata import (
    Config,
    Network,
    TweetMetadataDetector,
    class_probabilities,
    read_config,
    read_model,
    write_config,
    write_model,
)
from storage.whole_posts import Counted, StoredPost
from streams.judging import attributes_of
from streams.records import Author, Content
from tests.encoders import save_tiny
from tests.made_up_sets import sentence

AT = datetime(2020, 3, 1, 18, tzinfo=UTC)
FAST = {"frozen": "1", "rank": "4", "epochs": "4", "n_filters": "8", "head_rate": "0.02"}


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_tiny(tmp_path_factory.mktemp("encoder")))


def posts(n: int = 120, labels: tuple[str, ...] = ("likely_true", "likely_false")) -> list[Any]:
    """Posts of which the words say nothing and the number of likes says all."""
    rng = random.Random(1)
    return [
        LabelledPost(
            dataset="made up",
            split="validation" if i % 4 == 3 else "train",
            post_id=str(i),
            text=sentence(rng, rng.random() < 0.5),
            label=labels[(i // 4) % len(labels)],
            attributes={"likes": 10.0 ** ((i // 4) % len(labels)), "counters_age_seconds": 60.0},
            lang="en",
        )
        for i in range(n)
    ]


def task(out: Path, encoder: str, of: list[Any] | None = None, **changes: str) -> Task:
    return Task(
        posts=of or posts(),
        data=Path("posts.jsonl"),
        out=out,
        encoder=encoder,
        say=lambda line: None,
        changes={**FAST, "counters": "final", **changes},
        trained_on="2020-02-02",
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, encoder: str) -> Path:
    out = tmp_path_factory.mktemp("model")
    run("tweet_metadata", task(out, encoder))
    return out


def filled(network: Network, **values: list[Any]) -> Network:
    """The network with these weights, in evaluation."""
    with torch.no_grad():
        for name, value in values.items():
            network.get_parameter(name.replace("__", ".")).copy_(torch.tensor(value))
    return network.eval()


def test_a_filter_slides_over_tokens_and_keeps_its_maximum() -> None:
    network = filled(
        Network("text", 2, 0, 2, widths=(2,), n_filters=1),
        convolutions__0__weight=[[[1.0, -1.0], [0.5, 2.0]]],  # (filter, hidden, width)
        convolutions__0__bias=[0.25],
        output__weight=[[2.0]],
        output__bias=[-1.0],
    )
    states = torch.tensor([[[1.0, 0.0], [0.0, 3.0], [2.0, -1.0]]])
    # windows: 1 - 0 + 0 + 6 = 7; 0 - 2 + 1.5 - 2 = -2.5; 2 - 0.5 (behind the end 0) = 1.5
    there = torch.ones(1, 3, dtype=torch.bool)
    assert network.strongest(states, there).tolist() == [[7.25]]
    assert network(states, there, torch.zeros(1, 0)).tolist() == [[13.5]]
    two = torch.tensor([[True, True, False]])
    assert network.strongest(states, two).tolist() == [[7.25]]
    last = torch.tensor([[False, False, True]])
    assert network.strongest(states, last).tolist() == [[1.75]]
    all_negative = torch.tensor([[[-5.0, 0.0], [0.0, -5.0], [0.0, 0.0]]])
    assert network.strongest(all_negative, two).tolist() == [[0.0]]


def test_padding_changes_nothing() -> None:
    torch.manual_seed(0)
    network = Network("text", 4, 0, 3).eval()
    states = torch.randn(1, 6, 4)
    padded = torch.cat([states, torch.full((1, 9, 4), 7.0)], dim=1)
    there = torch.arange(15)[None] < 6
    alone = network(states, there[:, :6], torch.zeros(1, 0))
    # to the last bit on some processors only: posts are scored one by one
    assert torch.allclose(network(padded, there, torch.zeros(1, 0)), alone, atol=1e-6)


def test_figures_go_through_a_batch_norm() -> None:
    network = filled(
        Network("text+metadata", 1, 1, 2, widths=(1,), n_filters=1, n_metadata=1),
        convolutions__0__weight=[[[1.0]]],
        convolutions__0__bias=[0.0],
        metadata__weight=[[2.0, 0.5]],
        metadata__bias=[1.0],
        norm__weight=[3.0],
        norm__bias=[-1.0],
        output__weight=[[1.0, 10.0]],
        output__bias=[0.0],
    )
    network.norm.running_mean = torch.tensor([1.0])
    network.norm.running_var = torch.tensor([4.0 - network.norm.eps])
    states, there = torch.tensor([[[2.0]]]), torch.ones(1, 1, dtype=torch.bool)

    def logit(value: float, mask: float) -> float:
        return network(states, there, torch.tensor([[value, mask]])).item()  # type: ignore[no-any-return]

    # known: W x + b = 2 * 1 + 0.5 + 1 = 3.5; normed 3 * (3.5 - 1) / 2 - 1 = 2.75; 2 + 27.5
    assert logit(1.0, 1.0) == pytest.approx(29.5)
    # an unknown figure is not a known 0: 1 + 0.5 against 1
    assert logit(0.0, 1.0) == pytest.approx(2.0)  # 3 * 0.5 / 2 - 1 < 0: relu
    assert logit(0.0, 0.0) == pytest.approx(2.0)
    assert logit(0.5, 1.0) != pytest.approx(logit(0.5, 0.0))


def test_the_first_model_reads_the_first_token_alone() -> None:
    network = filled(
        Network("cls", 2, 0, 3),
        output__weight=[[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]],
        output__bias=[0.0, 0.0, -3.0],
    )
    states = torch.tensor([[[1.0, 2.0], [50.0, 50.0]]])
    logits = network(states, torch.ones(1, 2, dtype=torch.bool), torch.zeros(1, 0))
    assert logits.tolist() == [[1.0, 2.0, 0.0]]
    probabilities = class_probabilities(logits)[0]
    assert probabilities.tolist() == pytest.approx([0.244728, 0.665241, 0.090031], abs=1e-6)


def test_it_learns_what_figures_say_and_scores_a_post_alike_alone(folder: Path) -> None:
    detector = TweetMetadataDetector(folder)
    judged = detector.judge_posts(posts())
    flagged = [(opinion.score or 0) >= detector.threshold for opinion in judged]
    right = [f == (p.label == "likely_false") for f, p in zip(flagged, posts(), strict=True)]
    assert sum(right) > 100
    assert [detector.judge_posts([post])[0] for post in posts(8)] == judged[:8]
    unknown = detector.judge_posts([posts(1)[0]._replace(attributes={})])
    assert unknown != judged[:1]
    assert not (folder / CHECKPOINT).exists()


def test_a_training_stopped_before_its_weights_are_written_goes_on(
    folder: Path, encoder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(train_tweet_metadata, "write_model", stop)
        run("tweet_metadata", task(tmp_path, encoder))
    other = posts()
    other[0] = other[0]._replace(attributes={"likes": 2.0})
    with pytest.raises(CannotTrain, match="is of other data or settings: leave --resume out"):
        run("tweet_metadata", task(tmp_path, encoder, other)._replace(resume=True))
    run("tweet_metadata", task(tmp_path, encoder)._replace(resume=True))
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == files


@pytest.mark.parametrize("variant", ["cls", "text", "text+metadata"])
def test_it_overfits_ten_posts(variant: str, encoder: str, tmp_path: Path) -> None:
    ten = [
        post._replace(split="train", text=text, attributes={})
        for post, text in zip(
            posts(40)[::4],
            (
                *("the moon", "cheese", "cure hoax", "data", "official"),
                *("miracle", "is not", "made", "a hoax", "of cheese data"),
            ),
            strict=True,
        )
    ]
    both = [*ten, *(post._replace(split="validation") for post in ten)]
    changes = {"variant": variant, "epochs": "50", "patience": "0", "batch": "10", "frozen": "0"}
    still = {"dropout": "0", "head_dropout": "0", "learning_rate": "0.02"}
    said = run("tweet_metadata", task(tmp_path, encoder, both, **changes, **still))
    assert said["validation_losses"][-1] < 0.1 < said["validation_losses"][0]


def test_three_classes_and_which_are_false(encoder: str, tmp_path: Path) -> None:
    three = posts(180, ("5g_conspiracy", "none", "other_conspiracy"))
    with pytest.raises(CannotTrain, match="which of the classes 5g_conspiracy, none, other_c"):
        run("tweet_metadata", task(tmp_path, encoder, three))
    said = {"likely_false": "5g_conspiracy,other_conspiracy", "epochs": "12"}
    run("tweet_metadata", task(tmp_path, encoder, three, **said))
    config = read_config(tmp_path)
    assert config.classes == ("none", "5g_conspiracy", "other_conspiracy")
    detector = TweetMetadataDetector(tmp_path)
    (opinion,) = detector.judge_posts(three[4:5])  # labelled none
    assert (opinion.score or 1) < detector.threshold
    assert detector.classify_posts(three[4:5]) == ["none"]
    assert detector.false_classes == {"5g_conspiracy", "other_conspiracy"}


def test_seeds_and_stops_change_no_bit(folder: Path, encoder: str, tmp_path: Path) -> None:
    again, other, stopped = (tmp_path / name for name in ("again", "other", "stopped"))
    run("tweet_metadata", task(again, encoder))
    weights = (folder / "model.safetensors").read_bytes()
    assert (again / "model.safetensors").read_bytes() == weights
    run("tweet_metadata", task(other, encoder)._replace(seed=1))
    assert (other / "model.safetensors").read_bytes() != weights

    def stop(line: str) -> None:
        if "epoch 3 of" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run("tweet_metadata", task(stopped, encoder)._replace(say=stop))
    with pytest.raises(CannotTrain, match="is of other data or settings"):
        run("tweet_metadata", task(stopped, encoder, n_filters="9")._replace(resume=True))
    said: list[str] = []
    run("tweet_metadata", task(stopped, encoder)._replace(resume=True, say=said.append))
    assert (stopped / "model.safetensors").read_bytes() == weights
    assert any("resumed after epoch 2 of 4" in line for line in said)
    with pytest.raises(CannotTrain, match="nothing to resume"):
        run("tweet_metadata", task(stopped, encoder)._replace(resume=True))


def test_a_model_survives_saving(folder: Path, tmp_path: Path) -> None:
    config = read_config(folder)
    _, network = read_model(folder, config, read_encoder(config.encoder.name))
    written = write_model(tmp_path, config, network, {})
    _, again = read_model(tmp_path, written, read_encoder(config.encoder.name))
    for name, tensor in network.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor)


def with_config(change: Callable[[Config], Config]) -> Callable[[Path], None]:
    return lambda folder: write_config(folder, change(read_config(folder)))


def corrupt(folder: Path) -> None:
    data = bytearray((folder / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (folder / "model.safetensors").write_bytes(data)


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (corrupt, r"model\.safetensors has sha256 .*config\.json says"),
        (lambda folder: (folder / "model.safetensors").unlink(), "cannot be opened"),
        (lambda folder: (folder / "config.json").write_text("{"), "config.json cannot be read"),
        (
            with_config(lambda c: msgspec.structs.replace(c, classes=c.classes[::-1])),
            "of two the second is the likely false one",
        ),
        (
            with_config(lambda c: msgspec.structs.replace(c, classes=("likely_false",))),
            "it wants two classes at least",
        ),
        (with_config(lambda c: msgspec.structs.replace(c, max_tokens=99)), "reads at most 66"),
        (with_config(lambda c: msgspec.structs.replace(c, format=9)), "has format 9"),
        (with_config(lambda c: msgspec.structs.replace(c, n_filters=9)), "does not fit"),
        (with_config(lambda c: msgspec.structs.replace(c, variant="cls")), "does not fit"),
    ],
)
def test_a_folder_that_training_did_not_write(
    folder: Path, tmp_path: Path, harm: Callable[[Path], None], said: str
) -> None:
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    harm(tmp_path)
    with pytest.raises(BrokenWeights, match=said) as caught:
        TweetMetadataDetector(tmp_path)
    assert "\n" not in str(caught.value)


def test_other_encoders_and_no_weights_are_told(folder: Path, tmp_path: Path) -> None:
    save_tiny(tmp_path, hidden_size=64)
    with pytest.raises(BrokenWeights, match="was trained on encoder"):
        TweetMetadataDetector(folder, encoder=str(tmp_path))
    with pytest.raises(BrokenWeights, match="no weights ship with tweet_metadata"):
        load_detector("tweet_metadata")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"variant": "both"}, "variant is 'both'; choose cls, text, text\\+metadata"),
        ({"colour": "red"}, "there is no setting 'colour'; there are variant"),
        ({"epochs": "many"}, "setting epochs is 10 by default, 'many' is of another kind"),
        ({"slots": "likes"}, "slots: at most 4 slots"),
        ({"head_rate": "1e30"}, "the loss is not finite"),
    ],
)
def test_settings_that_cannot_be(
    encoder: str, tmp_path: Path, change: dict[str, str], said: str
) -> None:
    with pytest.raises(CannotTrain, match=said):
        run("tweet_metadata", task(tmp_path, encoder, None, **change))


def test_one_class_or_an_empty_split_is_told(encoder: str, tmp_path: Path) -> None:
    one = [p for p in posts() if p.split == "train" or p.label == "likely_true"]
    with pytest.raises(CannotTrain, match="the validation split has only 'likely_true'"):
        run("tweet_metadata", task(tmp_path, encoder, one))
    none = [p for p in posts() if p.split == "train"]
    with pytest.raises(CannotTrain, match="the validation split has no post"):
        run("tweet_metadata", task(tmp_path, encoder, none))


def test_a_figure_that_training_always_knew_may_be_unknown() -> None:
    torch.manual_seed(0)
    network = Network("text+metadata", 4, 3, 2, widths=(1,), n_filters=2)
    states, there = torch.randn(16, 2, 4), torch.ones(16, 2, dtype=torch.bool)
    known = torch.cat([torch.randn(16, 3), torch.ones(16, 3)], dim=1)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3)
    for _ in range(20):
        network(states, there, known).square().mean().backward()
        optimiser.step()
        optimiser.zero_grad()
    network.eval()
    mean = torch.tensor([[0.0, 0.0, 0.0, 1.0, 1.0, 1.0]]).repeat(16, 1)
    unknown = torch.zeros(16, 6)
    of_mean, of_unknown = (
        network.norm(network.metadata(figures))[0] for figures in (mean, unknown)
    )
    # nothing of training tells what a mask means that is always 1: it is as good as the mean
    assert torch.allclose(of_mean, of_unknown, atol=0.1)


@pytest.mark.parametrize(
    ("counters", "parts"),
    [("at-age", {"account", "counters"}), ("final", {"account"})],
)
def test_followers_come_with_their_age_where_that_decides(
    counters: str, parts: set[Part], encoder: str, tmp_path: Path
) -> None:
    taught = [
        post._replace(
            attributes={"followers": post.attributes["likes"], "counters_age_seconds": 60.0}
        )
        for post in posts()
    ]
    run("tweet_metadata", task(tmp_path, encoder, taught, counters=counters))
    detector = TweetMetadataDetector(tmp_path)
    assert detector.reads == parts
    seen = {"followers": Counted(7, AT + timedelta(minutes=1))}
    stored = StoredPost(AT, Author(author_id="1", followers=7), seen, (), None)
    content = Content(platform="x", root_id="1", text="the moon is made of cheese", lang="en")
    whole = WholePost(content, attributes_of(stored, detector.reads))
    (found,) = detector.score_posts([whole])
    assert "followers" in found.used


def test_the_config_says_what_was_read(folder: Path) -> None:
    written = json.loads((folder / "config.json").read_text())
    assert (written["form"], written["counters"]) == ("paper", "final")
    assert {c["name"]: c["n_known"] for c in written["columns"]}["likes"] == 90
    assert len(written["columns"]) == 18
