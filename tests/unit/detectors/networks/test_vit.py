"""The vision transformer: beside that of `transformers`, with torchvision's names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from detectors.networks.images import ImageWeightsUnusable, load_image_weights
from detectors.networks.vit import SelfAttention, SmallVit, VitB16

#: Of torchvision's vit_b_16, as its file has them; of each of the twelve layers those of `LAYER`.
OUTER = {
    "class_token": (1, 1, 768),
    "conv_proj.weight": (768, 3, 16, 16),
    "conv_proj.bias": (768,),
    "encoder.pos_embedding": (1, 197, 768),
    "encoder.ln.weight": (768,),
    "encoder.ln.bias": (768,),
}
LAYER = {
    "ln_1.weight": (768,),
    "ln_1.bias": (768,),
    "self_attention.in_proj_weight": (2304, 768),
    "self_attention.in_proj_bias": (2304,),
    "self_attention.out_proj.weight": (768, 768),
    "self_attention.out_proj.bias": (768,),
    "ln_2.weight": (768,),
    "ln_2.bias": (768,),
    "mlp.linear_1.weight": (3072, 768),
    "mlp.linear_1.bias": (3072,),
    "mlp.linear_2.weight": (768, 3072),
    "mlp.linear_2.bias": (768,),
}
CLASSIFIER = {"heads.head.weight": (1000, 768), "heads.head.bias": (1000,)}
PUBLISHED = (
    OUTER
    | {f"encoder.layers.encoder_layer_{i}.{n}": s for i in range(12) for n, s in LAYER.items()}
    | CLASSIFIER
)


def drawn_small() -> SmallVit:
    """One of which no tensor is all zeros or ones, so that none can be left out unseen."""
    torch.manual_seed(3)
    network = SmallVit().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return network


def test_published_names_and_shapes_are_ours_but_for_the_classifier() -> None:
    with torch.device("meta"):
        own = {name: tuple(t.shape) for name, t in VitB16().state_dict().items()}
    assert own == {VitB16.own_name(n): s for n, s in PUBLISHED.items() if n not in CLASSIFIER}


def test_published_weights_load_under_old_and_new_names(tmp_path: Path) -> None:
    drawn = drawn_small().state_dict()
    for linear in (("mlp.0", "mlp.3"), ("mlp.linear_1", "mlp.linear_2")):
        renamed = {
            key.replace("mlp.0", linear[0]).replace("mlp.3", linear[1]): value
            for key, value in drawn.items()
        }
        torch.save(renamed | {"heads.head.bias": torch.zeros(3)}, tmp_path / "vit.pth")
        network = SmallVit()
        load_image_weights(network, tmp_path / "vit.pth")
        assert all(torch.equal(value, drawn[key]) for key, value in network.state_dict().items())
    with pytest.raises(ImageWeightsUnusable, match="does not hold the weights of SmallVit"):
        torch.save({"features.0.weight": torch.zeros(1)}, tmp_path / "vit.pth")
        load_image_weights(SmallVit(), tmp_path / "vit.pth")


def test_attention_of_one_head_by_hand() -> None:
    attention = SelfAttention(2, 1)
    with torch.no_grad():
        attention.in_proj_weight.copy_(torch.cat([torch.eye(2)] * 3))
        attention.out_proj.weight.copy_(torch.eye(2))
        attention.out_proj.bias.zero_()
        found = attention(torch.tensor([[[2.0**0.5, 0.0], [0.0, 2.0**0.5]]]))
    # q k^T / sqrt(2) is sqrt(2) with itself and 0 with the other
    own = np.exp(2**0.5) / (np.exp(2**0.5) + 1)
    expected = 2**0.5 * np.array([[own, 1 - own], [1 - own, own]])
    np.testing.assert_allclose(found[0].numpy(), expected, rtol=1e-5)


def as_transformers(tensors: dict[str, Tensor], n_layers: int) -> dict[str, Tensor]:
    """The tensors under the names of `transformers`."""
    found = {
        "embeddings.cls_token": tensors["class_token"],
        "embeddings.position_embeddings": tensors["encoder.pos_embedding"],
    }
    for kind in ("weight", "bias"):
        found[f"embeddings.patch_embeddings.projection.{kind}"] = tensors[f"conv_proj.{kind}"]
        found[f"layernorm.{kind}"] = tensors[f"encoder.ln.{kind}"]
        for i in range(n_layers):
            own, theirs = f"encoder.layers.encoder_layer_{i}", f"layers.{i}"
            parts = tensors[f"{own}.self_attention.in_proj_{kind}"].chunk(3)
            for name, part in zip("qkv", parts, strict=True):
                found[f"{theirs}.attention.{name}_proj.{kind}"] = part
            for one, other in (
                ("self_attention.out_proj", "attention.o_proj"),
                ("ln_1", "layernorm_before"),
                ("ln_2", "layernorm_after"),
                ("mlp.0", "mlp.fc1"),
                ("mlp.3", "mlp.fc2"),
            ):
                found[f"{theirs}.{other}.{kind}"] = tensors[f"{own}.{one}.{kind}"]
    return found


def test_states_are_those_of_transformers() -> None:
    transformers = pytest.importorskip("transformers", minversion="5")
    own = drawn_small()
    config = transformers.ViTConfig(
        hidden_size=own.n_channels,
        num_hidden_layers=own.n_layers,
        num_attention_heads=own.n_heads,
        intermediate_size=own.inner,
        image_size=own.side,
        patch_size=own.patch,
        layer_norm_eps=1e-6,
    )
    theirs = transformers.ViTModel(config, add_pooling_layer=False).eval()
    theirs.load_state_dict(as_transformers(own.state_dict(), own.n_layers))
    pixels = torch.randn(2, 3, own.side, own.side)
    with torch.inference_mode():
        states = theirs(pixels).last_hidden_state[:, 1:]
        found = own(pixels)
    assert found.shape == (2, 64, 6, 6)
    expected = states.transpose(1, 2).reshape(2, 64, 6, 6)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_only_the_last_layer_of_a_published_one_is_trained() -> None:
    with torch.device("meta"):
        network = VitB16()
    network.train_last_block_only()
    trained = {name for name, p in network.named_parameters() if p.requires_grad}
    assert {name.rpartition("encoder_layer_11.")[2] for name in trained} == {
        *(VitB16.own_name(name) for name in LAYER),
        "encoder.ln.weight",
        "encoder.ln.bias",
    }
