"""Attention blocks against numbers worked out by hand and against other ways to compute them."""

from __future__ import annotations

from math import cos, exp, sin, tanh

import numpy as np
import pytest
import torch

from detectors.networks.attention import (
    Combination,
    PlainSum,
    ScSe,
    SeTa,
    Similarity,
    attend_features,
    attend_tokens,
    masked_softmax,
)


def test_features_attend_by_rows_of_the_square_matrix() -> None:
    random = np.random.default_rng(0)
    query, values = random.normal(size=(2, 4)), random.normal(size=(2, 4))
    expected = np.zeros((2, 4))
    for b in range(2):
        for i in range(4):
            scores = [query[b, i] * values[b, j] / 2.0 for j in range(4)]  # sqrt(4) = 2
            total = sum(map(exp, scores))
            expected[b, i] = sum(exp(s) / total * v for s, v in zip(scores, values[b], strict=True))
    found = attend_features(torch.tensor(query), torch.tensor(values))
    np.testing.assert_allclose(found.numpy(), expected)


def test_tokens_attend_as_torch_says() -> None:
    torch.manual_seed(0)
    query, values = torch.randn(2, 3, 8), torch.randn(2, 5, 8)
    there = torch.tensor([[True] * 5, [True, True, False, False, False]])
    expected = torch.nn.functional.scaled_dot_product_attention(
        query, values, values, attn_mask=there[:, None, :].expand(2, 3, 5)
    )
    torch.testing.assert_close(attend_tokens(query, values, there), expected)


def test_a_row_without_anything_gives_no_gradient_that_is_no_number() -> None:
    scores = torch.randn(2, 3, requires_grad=True)
    there = torch.tensor([[True, False, True], [False, False, False]])
    masked_softmax(scores, there).square().sum().backward()  # type: ignore[no-untyped-call]
    assert scores.grad is not None and bool(torch.isfinite(scores.grad).all())


def by_hand(combination: Combination, similarity: Similarity) -> tuple[list[float], list[float]]:
    """SeTa with W1 = 1, b1 = 0, c = (1, 0) and MLP2 = tanh: weights, and the output."""
    states = [(1.0, 0.0), (0.0, 1.0)]
    topic = (cos(0.3), sin(0.3))
    importance = []
    for a, b in states:
        semantic = tanh(a)
        near = tanh(a), tanh(b)
        task = near[0] * topic[0] + near[1] * topic[1]
        if similarity == "cosine":
            task /= (near[0] ** 2 + near[1] ** 2) ** 0.5
        importance.append(semantic + task if combination == "sum" else semantic * task)
    shares = [exp(x) / sum(map(exp, importance)) for x in importance]
    return shares, shares  # the states are the unit vectors


@pytest.mark.parametrize("combination", ["sum", "product"])
@pytest.mark.parametrize("similarity", ["cosine", "dot"])
def test_seta_by_hand(combination: Combination, similarity: Similarity) -> None:
    topic = torch.tensor([cos(0.3), sin(0.3)])
    seta = SeTa(2, topic, similarity=similarity, combination=combination)
    with torch.no_grad():
        for dense in (seta.hidden, *seta.nearness):
            if not isinstance(dense, torch.nn.Linear):
                continue
            dense.weight.copy_(torch.eye(2))
            dense.bias.zero_()
        seta.context.copy_(torch.tensor([1.0, 0.0]))
    states = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [9.0, 9.0]]])
    output, weights = seta(states, torch.tensor([[True, True, False]]))
    shares, expected = by_hand(combination, similarity)
    assert weights[0].tolist() == pytest.approx([*shares, 0.0], abs=1e-6)
    assert output[0].tolist() == pytest.approx(expected, abs=1e-6)


def test_the_topic_changes_the_weights_and_is_not_trained() -> None:
    torch.manual_seed(0)
    seta = SeTa(4, torch.tensor([1.0, 0.0]))
    states, there = torch.randn(1, 3, 4), torch.ones(1, 3, dtype=torch.bool)
    before = seta(states, there)[1]
    seta.topic.copy_(torch.tensor([0.0, 1.0]))
    assert not torch.allclose(before, seta(states, there)[1])
    assert "topic" not in dict(seta.named_parameters())


def test_a_plain_sum_leaves_padding_out() -> None:
    states = torch.tensor([[[1.0, 2.0], [3.0, 4.0], [9.0, 9.0]]])
    output, weights = PlainSum()(states, torch.tensor([[True, True, False]]))
    assert output.tolist() == [[4.0, 6.0]] and weights.tolist() == [[1.0, 1.0, 0.0]]


def test_scse_against_loops() -> None:
    torch.manual_seed(0)
    block = ScSe(32)  # 32 / 16 = 2 in the middle
    assert block.squeeze.out_features == 2
    maps = torch.randn(2, 32, 3, 2)
    found, places = block(maps)
    assert block.place.bias is not None
    with torch.no_grad():
        for b in range(2):
            mean = torch.stack([maps[b, c].mean() for c in range(32)])
            middle = torch.relu(block.squeeze.weight @ mean + block.squeeze.bias)
            channel = torch.sigmoid(block.excite.weight @ middle + block.excite.bias)
            for y in range(3):
                for x in range(2):
                    here = maps[b, :, y, x]
                    place = torch.sigmoid(block.place.weight[0, :, 0, 0] @ here + block.place.bias)
                    torch.testing.assert_close(found[b, :, y, x], here * channel + here * place)
                    torch.testing.assert_close(places[b, y, x], place[0])
