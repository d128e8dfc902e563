"""The recurrent baselines: padding changes nothing, and att-RNN follows its formulas."""

from __future__ import annotations

import pytest
import torch

from detectors.networks.recurrent import AttRnn, Kind, LastState, Recurrent


@pytest.mark.parametrize("kind", ["gru", "lstm"])
def test_padding_and_neighbours_change_no_state(kind: Kind) -> None:
    torch.manual_seed(0)
    layer = Recurrent(kind, 4, 3, both_ways=True)
    x = torch.randn(2, 5, 4)
    there = torch.tensor([[True] * 5, [True, True, False, False, False]])
    states = layer(x, there)
    alone = layer(x[1:, :2], there[1:, :2])
    torch.testing.assert_close(states[1, :2], alone[0])
    assert states[1, 2:].abs().sum() == 0


@pytest.mark.parametrize(("kind", "n_layers"), [("gru", 1), ("gru", 2), ("lstm", 1)])
def test_the_last_state_is_the_last_real_one(kind: Kind, n_layers: int) -> None:
    torch.manual_seed(0)
    network = LastState(kind, n_layers, width=4, hidden=3).eval()
    x = torch.randn(1, 5, 4)
    states, _ = network.recurrent.cells(x[:, :3])
    there = torch.tensor([[True, True, True, False, False]])
    torch.testing.assert_close(network(x, there), network.output(states[:, 2]).squeeze(1))


def test_an_empty_text_is_no_error() -> None:
    assert LastState("gru", 1, 4)(torch.zeros(2, 1, 4), torch.zeros(2, 1).bool()).shape == (2,)


def test_att_rnn_weighs_the_neurons_of_the_picture_by_words() -> None:
    torch.manual_seed(0)
    network = AttRnn(width=4, n_social=3, picture=6).eval()
    words, there = torch.randn(1, 2, 4), torch.ones(1, 2, dtype=torch.bool)
    social, picture = torch.randn(1, 3), torch.randn(1, 6)
    beside = torch.tanh(network.social(social))[0]
    x = torch.stack([torch.cat([words[0, m], beside]) for m in range(2)]).unsqueeze(0)
    states = network.recurrent.cells(x)[0][0]
    neurons = torch.relu(network.picture(picture))[0]
    weigh = network.weigh
    weights = [torch.softmax(weigh[2](torch.relu(weigh[0](states[m]))), dim=0) for m in range(2)]
    seen = neurons * (weights[0] + weights[1]) / 2
    expected = network.output(torch.cat([states.mean(dim=0), seen]))
    torch.testing.assert_close(network(words, there, social, picture), expected)
