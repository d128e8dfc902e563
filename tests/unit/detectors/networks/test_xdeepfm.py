"""xDeepFM against its formulas, worked out by hand and by loops."""

from __future__ import annotations

import numpy as np
import torch

from detectors.networks.xdeepfm import Cin, XDeepFm


def test_the_first_layer_by_hand() -> None:
    cin = Cin(2, layers=(1,))
    with torch.no_grad():
        cin.maps[0].copy_(torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]))
    embedded = torch.tensor([[[1.0, 2.0], [3.0, 5.0]]])  # two fields, embedding of 2
    # place 0: 1*1*1 + 2*1*3 + 3*3*1 + 4*3*3 = 52; place 1: 1*4 + 2*10 + 3*10 + 4*25 = 154
    assert cin(embedded).tolist() == [[206.0]]


def test_layers_against_loops() -> None:
    torch.manual_seed(0)
    cin = Cin(3, layers=(4, 2))
    embedded = torch.randn(5, 3, 6)
    x0 = embedded.double().numpy()
    expected = []
    below = x0
    for weight in cin.maps:
        w = weight.detach().double().numpy()
        above = np.zeros((5, len(w), 6))
        for h in range(w.shape[0]):
            for i in range(w.shape[1]):
                for j in range(w.shape[2]):
                    above[:, h] += w[h, i, j] * below[:, i] * x0[:, j]
        expected.append(above.sum(axis=2))
        below = above
    found = cin(embedded).detach().numpy()
    np.testing.assert_allclose(found, np.concatenate(expected, axis=1), rtol=1e-4, atol=1e-5)


def test_the_three_parts_are_side_by_side_under_one_dense_layer() -> None:
    torch.manual_seed(0)
    deep = XDeepFm([3, 4], width=5, embedding=2, cin_layers=(3,), dnn_layers=(4,))
    with torch.no_grad():
        deep.linear.weight.copy_(torch.arange(7.0).unsqueeze(1))
        deep.bias.fill_(0.5)
    categories = torch.tensor([[1, 2]])
    parts = [
        torch.tensor([[0.5 + 1 + (3 + 2)]]),  # the second field's categories begin at 3
        deep.cin(deep.embed(categories)),
        deep.dnn(deep.embed(categories).flatten(1)),
    ]
    expected = torch.cat(parts, dim=1) @ deep.output.weight.T + deep.output.bias
    torch.testing.assert_close(deep(categories), expected)


def test_a_field_has_vectors_of_its_own() -> None:
    deep = XDeepFm([3, 3], width=2)
    first, second = deep.embed(torch.tensor([[1, 1]]))[0]
    assert not torch.equal(first, second)
