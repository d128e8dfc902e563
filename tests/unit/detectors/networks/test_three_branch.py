"""The three-branch network: what is shared, what is joined, and each ablation."""

from __future__ import annotations

import pytest
import torch

from detectors.networks.attention import PlainSum, SeTa
from detectors.networks.three_branch import Branch, Inputs, Switches, ThreeBranch

CHANNELS = 512


def network(**switches: object) -> ThreeBranch:
    torch.manual_seed(0)
    return ThreeBranch(torch.randn(6), CHANNELS, Switches(**switches)).eval()  # type: ignore[arg-type]


def inputs() -> Inputs:
    torch.manual_seed(1)
    return Inputs(
        words=torch.randn(2, 5, 6),
        words_there=torch.tensor([[True] * 5, [True, True, False, False, False]]),
        tags=torch.randn(2, 3, 6),
        tags_there=torch.tensor([[True, True, False], [True, False, False]]),
        maps=torch.randn(2, CHANNELS, 3, 3),
        image_there=torch.tensor([True, True]),
    )


def test_text_and_tags_share_a_projection_and_the_image_has_its_own() -> None:
    whole = network()
    feature = torch.randn(2, 128)
    assert torch.equal(whole.project("text", feature), whole.project("tags", feature))
    assert whole.image_projection.in_features == CHANNELS
    assert whole.word_projection.in_features == 128
    n_projections = [name for name, _ in whole.named_modules() if "projection" in name]
    assert sorted(n_projections) == ["image_projection", "word_projection"]
    assert bool((whole.project("text", feature) >= 0).all())


def test_the_fused_feature_is_joined_to_the_three_that_are_not_projected() -> None:
    whole = network()
    assert whole.dense[0].in_features == 128 + CHANNELS + 128 + 128
    seen: list[torch.Tensor] = []
    whole.dense.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    given = inputs()
    output = whole(given)
    maps, _ = whole.scse(given.maps)
    image = maps.mean(dim=(2, 3))
    tags, _ = whole.tag_attention(torch.tanh(whole.tag_dense(given.tags)), given.tags_there)
    text, _ = whole.word_attention(
        whole.recurrent(given.words, given.words_there), given.words_there
    )
    projected = torch.stack(
        [torch.relu(whole.image_projection(image))]
        + [torch.relu(whole.word_projection(x)) for x in (text, tags)],
        dim=1,
    )
    fused, weights = whole.branch_attention(projected, torch.ones(2, 3, dtype=torch.bool))
    torch.testing.assert_close(seen[0], torch.cat([fused, image, text, tags], dim=1))
    torch.testing.assert_close(output.weights["branches"], weights)


@pytest.mark.parametrize(
    ("switches", "n_inputs"),
    [
        ({"fused": False}, CHANNELS + 256),
        ({"projected": False}, CHANNELS + CHANNELS + 256),
        ({"attention": False}, 128 + CHANNELS + 256),
        ({"branches": ("image",)}, CHANNELS),
        ({"branches": ("tags",)}, 128),
        ({"branches": ("image", "text")}, 128 + CHANNELS + 128),
    ],
)
def test_each_ablation_joins_what_is_left(switches: dict[str, object], n_inputs: int) -> None:
    part = network(**switches)
    assert part.dense[0].in_features == n_inputs
    assert bool(torch.isfinite(part(inputs()).logits).all())


def test_without_attention_there_are_plain_sums_and_no_scse() -> None:
    part = network(attention=False)
    kinds = {type(module) for module in part.modules()}
    assert SeTa not in kinds and PlainSum in kinds and not hasattr(part, "scse")
    given = inputs()
    feature, _ = part._image(given)
    torch.testing.assert_close(feature, given.maps.mean(dim=(2, 3)))


@pytest.mark.parametrize(
    ("branch", "gone"),
    [
        ("image", {"image_there": torch.tensor([False, True])}),
        ("text", {"words_there": torch.tensor([[False] * 5, [True] * 5])}),
        ("tags", {"tags_there": torch.tensor([[False] * 3, [True] * 3])}),
    ],
)
def test_a_branch_without_input_has_no_weight(
    branch: Branch, gone: dict[str, torch.Tensor]
) -> None:
    whole, given = network(), inputs()
    output = whole(given._replace(**gone))
    place = whole.switches.branches.index(branch)
    assert output.weights["branches"][0, place] == 0
    assert output.there[0].tolist() == [name != branch for name in whole.switches.branches]
    assert output.weights["branches"][0].sum().item() == pytest.approx(1.0)
    assert not torch.allclose(output.logits[0], whole(given).logits[0])


def test_padding_changes_nothing() -> None:
    whole, given = network(), inputs()
    words, tags = given.words.clone(), given.tags.clone()
    words[1, 2:] = 9.0
    tags[1, 1:] = 9.0
    changed = whole(given._replace(words=words, tags=tags))
    torch.testing.assert_close(changed.logits, whole(given).logits)
