"""att-XDSF: the two steps in their order, and that every modality reaches the output."""

from __future__ import annotations

from itertools import combinations

import pytest
import torch

from detectors.encoder import read_encoder
from detectors.networks.att_xdsf import MODALITIES, AttXdsf, Fusion, Inputs, Modality
from detectors.networks.attention import attend_features
from detectors.networks.text import Bert, Characters, Given

FUSIONS: tuple[Fusion, ...] = ("attention", "concat", "tokens")


def network(fusion: Fusion = "attention", modalities: tuple[Modality, ...] = MODALITIES) -> AttXdsf:
    torch.manual_seed(0)
    return AttXdsf(Given(6), 6, Given(5), 5, [3, 4], modalities, fusion, width=8).double().eval()


def inputs() -> Inputs:
    torch.manual_seed(1)
    return Inputs(
        text=torch.randn(2, 4, 6).double(),
        text_there=torch.tensor([[True] * 4, [True, True, False, False]]),
        image=torch.randn(2, 5, 3, 3).double(),
        image_there=torch.tensor([True, True]),
        social=torch.tensor([[1, 2], [0, 3]]),
    )


def close(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Far stricter than a training would need: features are nearly averaged twice over."""
    return torch.allclose(one, other, rtol=0, atol=1e-9)


CHANGED = {
    "text": {"text": torch.zeros(2, 4, 6).double()},
    "image": {"image": torch.zeros(2, 5, 3, 3).double()},
    "social": {"social": torch.tensor([[2, 1], [1, 0]])},
}


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("modality", MODALITIES)
def test_each_modality_changes_the_output(fusion: Fusion, modality: Modality) -> None:
    """With one token per modality a softmax would be 1 and only the text would be read."""
    whole, given = network(fusion), inputs()
    assert not close(whole(given), whole(given._replace(**CHANGED[modality])))


@pytest.mark.parametrize("fusion", FUSIONS)
def test_what_is_switched_off_changes_nothing(fusion: Fusion) -> None:
    for n in (1, 2):
        for used in combinations(MODALITIES, n):
            part, given = network(fusion, used), inputs()
            for name in MODALITIES:
                same = close(part(given), part(given._replace(**CHANGED[name])))
                assert same == (name not in used)


def test_social_asks_the_text_then_the_picture_asks_both() -> None:
    whole, given = network(), inputs()
    f = whole.features(given)
    expected = attend_features(f["image"], attend_features(f["social"], f["text"]))
    assert torch.equal(whole.fuse(given), expected)
    stitched = network("concat")
    f = stitched.features(given)
    joined = torch.cat([f["text"], f["image"], f["social"]], dim=1)
    assert torch.equal(stitched.fuse(given), joined)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_padding_and_what_a_missing_picture_held_change_nothing(fusion: Fusion) -> None:
    whole, given = network(fusion), inputs()
    text = given.text.clone()
    text[1, 2:] = 9.0
    assert close(whole(given), whole(given._replace(text=text)))
    without = given._replace(image_there=torch.tensor([False, True]))
    other = without._replace(image=torch.cat([torch.randn(1, 5, 3, 3).double(), given.image[1:]]))
    assert close(whole(without), whole(other))
    assert not close(whole(without)[0], whole(given)[0])


@pytest.mark.parametrize("fusion", FUSIONS)
def test_without_a_text_there_are_no_holes(fusion: Fusion) -> None:
    given = inputs()._replace(text_there=torch.zeros(2, 4, dtype=torch.bool))
    assert bool(torch.isfinite(network(fusion)(given)).all())


def test_an_encoder_is_trained_with_the_rest() -> None:
    encoder = read_encoder()
    text = Bert(encoder)
    whole = AttXdsf(text, text.width, Given(5), 5, [3, 4])
    ids = torch.tensor([encoder.tokenize(["the sea is rising"], 16)[0]])
    given = inputs()
    one = Inputs(
        ids,
        torch.ones_like(ids).bool(),
        given.image[:1].float(),
        given.image_there[:1],
        given.social[:1],
    )
    whole(one).sum().backward()
    assert all(p.grad is not None and bool(p.grad.any()) for p in text.parameters())


def test_characters_have_states_of_both_directions() -> None:
    text = Characters(10)
    ids = torch.tensor([[1, 2, 0], [3, 0, 0]])
    there = torch.tensor([[True, True, False], [True, False, False]])
    assert text(ids, there).shape == (2, 3, text.width)


def test_the_papers_attention_leaves_little_of_a_feature() -> None:
    """Scores of features within (-1, 1) over sqrt(p) are all alike, so each step is nearly a mean:
    the entries of the fused feature hardly differ. The README of `networks` says what follows."""
    torch.manual_seed(0)
    whole = AttXdsf(Given(6), 6, Given(5), 5, [3, 4], width=64).double().eval()
    given = inputs()
    spread = whole.fuse(given).std(dim=1)
    assert bool((spread < 1e-4 * whole.features(given)["text"].std(dim=1)).all())
