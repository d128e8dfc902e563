"""The loop that trains networks of posts: which parameters learn at which rate."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch import nn

from detectors.encoder import read_encoder
from detectors.networks.att_xdsf import AttXdsf
from detectors.networks.text import Bert, Given
from detectors.networks.training import Schedule, parameter_groups
from tests.encoders import save_tiny

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
