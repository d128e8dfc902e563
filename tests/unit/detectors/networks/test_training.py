"""The loop that trains networks of posts: what learns at which rate, and on which device."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook

from detectors import train_att_xdsf, train_three_branch
from detectors.encoder import read_encoder
from detectors.networks import training
from detectors.networks.att_xdsf import AttXdsf, Fusion
from detectors.networks.text import Bert, Given
from detectors.networks.three_branch import Switches
from detectors.networks.training import Ints, Schedule, parameter_groups, train_network
from tests.encoders import save_tiny
from tests.unit.detectors.invented_posts import posts_with_labels

pytestmark = pytest.mark.usefixtures("one_thread")
SCHEDULE = Schedule(learning_rate=1e-3, encoder_learning_rate=2e-5)


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Bert:
    folder: Path = save_tiny(tmp_path_factory.mktemp("encoder"))
    return Bert(read_encoder(str(folder)))


def test_an_encoder_that_is_trained_has_a_small_rate_of_its_own(bert: Bert) -> None:
    network = AttXdsf(bert, bert.width, Given(8), 8, [3], ("text", "social"))
    groups = parameter_groups(network, SCHEDULE)
    rates = {id(p): group["lr"] for group in groups for p in group["params"]}
    assert {rates[id(p)] for p in bert.parameters()} == {2e-5}
    others = {id(p) for p in network.parameters()} - {id(p) for p in bert.parameters()}
    assert {rates[i] for i in others} == {1e-3}
    assert len(rates) == sum(len(group["params"]) for group in groups)


def test_without_one_there_is_one_rate_and_what_is_held_fast_has_none() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    network[0].requires_grad_(False)
    (group,) = parameter_groups(network, SCHEDULE)
    assert [id(p) for p in group["params"]] == [id(p) for p in network[1].parameters()]
    assert group["lr"] == 1e-3


@pytest.mark.parametrize("patience", [1, 3])
def test_training_ends_after_epochs_without_a_better_one(patience: int) -> None:
    network = nn.Linear(1, 1)
    still = Schedule(learning_rate=0.0, max_epochs=9, patience=patience)
    x, positive = torch.ones(8, 1), np.arange(8) % 2 == 0

    def forward(rows: Ints) -> Tensor:
        logits: Tensor = network(x[rows]).squeeze(1)
        return logits

    trained = train_network(network, forward, positive, np.arange(6), np.arange(6, 8), still)
    assert (trained.epoch, len(trained.losses)) == (0, patience + 1)


TRAIN, VALIDATION = np.arange(8), np.arange(8, 12)
ONE_EPOCH = Schedule(max_epochs=1, batch=4)
#: What torch says of a loss that was worked out on "meta", and where logits leave it for the CPU.
STEPPED = r"Tensor\.item\(\) cannot be called on meta tensors"
BROUGHT_BACK = "Cannot copy out of meta tensor"


@pytest.fixture(autouse=True)
def one_device() -> Iterator[None]:
    """What a network is given lies where it lies: not each of torch's layers sees to that."""

    def check(module: nn.Module, given: tuple[Any, ...]) -> None:
        own = {parameter.device for parameter in module.parameters()}
        flat = [t for one in given for t in (one if isinstance(one, tuple) else (one,))]
        assert not own or {t.device for t in flat if isinstance(t, Tensor)} <= own

    with register_module_forward_pre_hook(check):
        yield


@pytest.fixture
def on_meta(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From then on networks are trained on torch's device "meta", as if it were a GPU: every
    machine has it. Its tensors have shapes and no numbers."""
    return lambda: monkeypatch.setattr(training, "device_here", lambda: "meta")


@pytest.mark.parametrize("fusion", ["attention", "tokens"])
def test_att_xdsf_is_trained_and_asked_on_the_gpu(
    fusion: Fusion, on_meta: Callable[[], None], tmp_path: Path
) -> None:
    posts, positive = posts_with_labels(12)
    settings = train_att_xdsf.Settings(
        text="trained",
        fusion=fusion,
        encoder=str(save_tiny(tmp_path)),
        network=ONE_EPOCH,
        pictures=ONE_EPOCH,
    )
    given = train_att_xdsf.ready(posts, positive, TRAIN, VALIDATION, settings)
    network, _ = train_att_xdsf.fit_network(given, TRAIN, VALIDATION, settings)
    with pytest.raises(NotImplementedError, match=BROUGHT_BACK):
        train_att_xdsf.network_logits(network.to("meta"), given, VALIDATION)
    on_meta()
    with pytest.raises(RuntimeError, match=STEPPED):
        train_att_xdsf.fit_network(given, TRAIN, VALIDATION, settings)


def test_three_branches_and_their_pictures_are_trained_and_asked_on_the_gpu(
    on_meta: Callable[[], None],
) -> None:
    posts, positive = posts_with_labels(12)
    switches = Switches(branches=("image", "tags"))  # (recurrent cells want lengths on the CPU)
    settings = train_three_branch.Settings(network=ONE_EPOCH, pictures=ONE_EPOCH)
    given = train_three_branch.ready(posts, positive, TRAIN, VALIDATION, range(12), settings)
    network, _ = train_three_branch.fit_network(given, switches, TRAIN, VALIDATION, settings)
    with pytest.raises(NotImplementedError, match=BROUGHT_BACK):
        train_three_branch.network_logits(network.to("meta"), given, VALIDATION)
    on_meta()
    with pytest.raises(RuntimeError, match=STEPPED):
        train_three_branch.fit_network(given, switches, TRAIN, VALIDATION, settings)
    with pytest.raises(RuntimeError, match=STEPPED):
        train_three_branch.fit_backbone(posts, positive, TRAIN, VALIDATION, settings)
