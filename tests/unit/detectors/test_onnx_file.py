"""The ONNX file of the shipped weights, run by another library, beside our own engine."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tokenizers import Tokenizer

from detectors.bert import SHIPPED_WEIGHTS, BertDetector, read_model, readable
from detectors.onnx_file import export, greatest_difference
from detectors.text.normalise import words
from hoaxwatch import cli
from streams.records import Content

TEXTS = [
    "Garlic cures the virus and the doctors hide it from you, share before they delete this!!!",
    "The ministry of health reported 412 new cases on Tuesday, 30 fewer than the week before.",
    "BREAKING: the moon landing was filmed in a desert, says a man who was there",
    "Officials opened the new bridge this morning after two years of work and three delays " * 4,
]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("onnx")
    export(SHIPPED_WEIGHTS, folder)
    return folder


def test_another_library_gives_our_scores_in_batches_of_any_size(exported: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(str(exported / "model.onnx"))
    shapes = [one.shape for one in session.get_inputs()]
    assert shapes == [["texts", "tokens"], ["texts", "tokens"], ["texts"]]
    _, _, part = read_model(SHIPPED_WEIGHTS)
    assert part is not None
    wide = np.array([part.logit(words(readable(text))) for text in TEXTS], dtype=np.float32)
    tokenizer = Tokenizer.from_file(str(exported / "tokenizer.json"))
    ids = [one.ids for one in tokenizer.encode_batch([readable(text) for text in TEXTS])]
    assert max(map(len, ids)) <= int(session.get_modelmeta().custom_metadata_map["max_tokens"])

    def scores(rows: list[list[int]], n_tokens: int, added: NDArray[np.float32]) -> list[float]:
        table = np.zeros((len(rows), n_tokens), dtype=np.int64)
        mask = np.zeros_like(table)
        for row, own in enumerate(rows):
            table[row, : len(own)], mask[row, : len(own)] = own, 1
        given = {"input_ids": table, "attention_mask": mask, "wide": added}
        found = session.run(["score"], given)[0]
        return [float(score) for score in found]

    together = scores(ids, max(map(len, ids)) + 5, wide)
    alone = [scores([own], len(own), wide[i : i + 1])[0] for i, own in enumerate(ids)]
    assert together == pytest.approx(alone, abs=1e-5)
    contents = [Content(platform="x", root_id=str(i), text=t) for i, t in enumerate(TEXTS)]
    ours = [v.score for v in BertDetector(engine="fp32").score(contents)]
    assert sum(score is not None for score in ours) >= 2
    for own, other in zip(ours, together, strict=True):
        assert own is None or own == pytest.approx(other, abs=1e-4)


def test_a_file_that_says_something_else_is_noticed(exported: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    assert (greatest_difference(SHIPPED_WEIGHTS, exported) or 0) < 1e-4
    data = (exported / "model.onnx").read_bytes()
    at = data.rindex(b"head.bias")  # the last is the constant: its name, then its numbers
    broken = bytearray(data)
    broken[at + 11 : at + 19] = np.array([9.0, -9.0], dtype="<f4").tobytes()
    (tmp_path / "model.onnx").write_bytes(broken)
    assert (greatest_difference(SHIPPED_WEIGHTS, tmp_path) or 0) > 1


def test_the_command_says_what_it_wrote_and_what_it_cannot(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)  # as where it is not installed
    out = tmp_path / "out"
    assert cli.run(["models", "export-onnx", "bert", str(out)]) == cli.OK
    told = " ".join(capsys.readouterr().err.split())
    assert "not checked: pip install onnxruntime" in told
    assert "the part that counts words is not in model.onnx" in told
    assert (out / "wide.npz").read_bytes() == (SHIPPED_WEIGHTS / "wide.npz").read_bytes()
    assert json.loads((out / "config.json").read_text())["labels"][0] == "likely_true"
    assert cli.run(["models", "export-onnx", "tfidf", str(out)]) == cli.USAGE
    assert "holds weights of tfidf: only those of bert" in capsys.readouterr().err
    assert cli.run(["models", "export-onnx", str(tmp_path), str(out)]) == cli.USAGE
    assert "holds no weights we know" in " ".join(capsys.readouterr().err.split())
