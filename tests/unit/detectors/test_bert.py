"""The detector on a small invented encoder, and as it ships on real posts."""

from __future__ import annotations

import builtins
import json
import math
import os
import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from detectors import bert
from detectors.bert import (
    FORMAT,
    SHIPPED_WEIGHTS,
    BertDetector,
    Config,
    EncoderName,
    MissingPackage,
    merge,
    model_version,
    read_adapter,
    read_config,
    without,
    write_config,
    write_weights,
)
from detectors.bert_card import model_card
from detectors.datasets.calm import halves, read_calm_posts
from detectors.encoder import cls_states, embed, linear_name, read_encoder
from detectors.evaluation import confusion, macro_f1, mcc
from detectors.labels import LABELS, POSITIVE_CLASS
from detectors.registry import UnknownOption, load_detector
from detectors.runtime import ENGINES
from detectors.text.normalise import PREPROCESSING
from detectors.tfidf import write_linear
from detectors.train_tfidf import MAX_CALM_SHARE, positives, read_examples
from detectors.trained import BrokenWeights, Calibration, sigmoid
from detectors.wide import WIDE
from streams.records import Content, Verdict, content_hash
from tests.encoders import save_tiny

#: `make models` has them all; they take minutes of a core.
IS_LONG = bool(os.environ.get("HOAXWATCH_TEST_LONG"))
N_REAL = 1000 if IS_LONG else 120


def adapter(head_bias: Sequence[float] = (-1.0, 0.5)) -> dict[str, torch.Tensor]:
    """For the small encoder: rank 3 on one linear map, and a head."""
    rng = torch.Generator().manual_seed(9)
    return {
        "layer.1.query.down": torch.randn(3, 32, generator=rng).half(),
        "layer.1.query.up": torch.randn(32, 3, generator=rng).half() / 4,
        "layer.1.up.reach": torch.full((32,), 2.0).half(),
        "head.weight": torch.randn(2, 32, generator=rng) / 8,
        "head.bias": torch.tensor(head_bias),
    }


@pytest.fixture(scope="module")
def encoder_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("encoder"))


def write_folder(folder: Path, encoder_folder: Path, tensors: dict[str, torch.Tensor]) -> Path:
    """A weights folder for the small encoder, with those tensors."""
    encoder = read_encoder(str(encoder_folder))
    config = Config(
        format=FORMAT,
        preprocessing=PREPROCESSING,
        labels=LABELS,
        positive_class=POSITIVE_CLASS,
        threshold=0.75,
        calibration=Calibration(slope=2.0, offset=0.5),
        languages=("en",),
        weights_sha256=write_weights(folder, tensors),
        trained_on="2020-02-02",
        encoder=EncoderName(name=str(encoder_folder), sha256=encoder.sha256),
        max_tokens=32,
    )
    write_config(folder, config)
    return folder


@pytest.fixture
def folder(tmp_path: Path, encoder_folder: Path) -> Path:
    return write_folder(tmp_path, encoder_folder, adapter())


def edit_config(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def content(text: str, lang: str | None = "en", root_id: str = "1") -> Content:
    return Content(
        platform="x", root_id=root_id, text=text, lang=lang, input_hash=content_hash(text, lang)
    )


def logits_by_hand(folder: Path, text: str) -> tuple[float, float]:
    """The two logits by the reference computation, the adapter added as a product of its own."""
    config = read_config(folder)
    tensors = read_adapter(folder, config.weights_sha256)
    encoder = read_encoder(config.encoder.name)
    name = f"{linear_name(1, 'query')}.weight"
    added = tensors["layer.1.query.up"].float() @ tensors["layer.1.query.down"].float()
    whole = encoder._replace(weights=encoder.weights | {name: encoder.weights[name] + added})
    ids = torch.tensor(encoder.tokenize([text], config.max_tokens))
    with torch.inference_mode():
        state = cls_states(whole, embed(whole, ids))
        true, false = (state @ tensors["head.weight"].T + tensors["head.bias"])[0].tolist()
    return true, false


def with_wide(folder: Path, share: float = 0.5) -> Path:
    """The same folder with a wide part that knows two words."""
    digest = write_linear(
        folder / WIDE, ("moon", "cheese"), np.array([3.0, -1.0]), np.ones(2), intercept=0.25
    )
    edit_config(folder, wide={"sha256": digest, "share": share})
    return folder


# One score


def test_score_by_hand_with_the_adapter_merged(folder: Path) -> None:
    detector = BertDetector(folder, engine="fp32")
    true, false = logits_by_hand(folder, "the moon is made of cheese")
    assert (true > 0) != (false > 0)
    (verdict,) = detector.score([content("The MOON is made of   cheese")])
    assert verdict.score == pytest.approx(sigmoid(2.0 * (false - true) / 2 + 0.5), abs=2e-6)
    assert verdict.score == round(verdict.score or 0, 6)
    assert (verdict.state, verdict.detector) == ("scored", "bert")


def test_the_adapter_changes_the_score(tmp_path: Path, encoder_folder: Path) -> None:
    tensors = adapter()
    folders = [write_folder(tmp_path / "with", encoder_folder, tensors)]
    without_it = {name: tensor for name, tensor in tensors.items() if "query" not in name}
    folders.append(write_folder(tmp_path / "without", encoder_folder, without_it))
    asked = [content("the moon is made of cheese")]
    first, second = (BertDetector(f, engine="fp32").score(asked)[0].score for f in folders)
    assert first is not None and second is not None
    assert abs(first - second) > 1e-3


@pytest.mark.parametrize(("bias", "state"), [((9, 9), "abstained"), ((-9, -9), "abstained"),
                                             ((-9, 9), "scored"), ((9, -9), "scored")])  # fmt: skip
def test_logits_that_do_not_contradict_each_other_are_no_opinion(
    bias: tuple[float, float], state: str, tmp_path: Path, encoder_folder: Path
) -> None:
    written = write_folder(tmp_path, encoder_folder, adapter(bias))
    (verdict,) = BertDetector(written).score([content("the moon is made of cheese")])
    assert verdict.state == state
    assert verdict.reason == (None if state == "scored" else "unsure_logits")
    if verdict.score is not None:
        assert (verdict.score > 0.5) == (bias[1] > 0)


@pytest.mark.parametrize(
    ("text", "lang", "reason"),
    [
        (" \n", "en", "empty"),
        ("👍🏽👍🏽", "en", "emoji_only"),
        ("a hoax https://t.co/x @who", "en", "too_short"),
        ("the moon is made of cheese", "de", "language"),
        ("Der Mond besteht nicht aus Käse, sagt die Behörde am Montag", None, "language"),
        ("The moon is not made of cheese, the agency said on Monday", None, None),
    ],
)
def test_abstains_with_a_reason_and_without_running_the_model(
    text: str, lang: str | None, reason: str | None, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    detector = BertDetector(folder)
    seen = count_texts(detector, monkeypatch)
    (verdict,) = detector.score([content(text, lang)])
    assert verdict.reason == reason
    assert len(seen) == (0 if reason else 1)
    assert (verdict.state == "abstained") == (reason is not None)


# Scored once


def count_texts(detector: BertDetector, monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """The token ids of all that the model is given from now on."""
    seen: list[list[int]] = []
    start = detector._runner.start

    def counted(ids: Sequence[list[int]]) -> Any:
        seen.extend(ids)
        return start(ids)

    monkeypatch.setattr(detector._runner, "start", counted)
    return seen


def test_identical_inputs_are_scored_once_within_and_across_calls(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    detector = BertDetector(folder)
    seen = count_texts(detector, monkeypatch)
    asked = [content("the moon is made of cheese", root_id=str(i)) for i in range(5)]
    first = detector.score(asked)
    assert len(seen) == 1
    assert detector.score(asked) == first
    assert len(seen) == 1
    assert [v.root_id for v in first] == list("01234")
    detector.score([content("THE moon is made of cheese!")])  # reads otherwise: `!`
    assert len(seen) == 2


def test_the_key_of_what_is_remembered_covers_text_language_and_version(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    detector = BertDetector(folder)
    text = "the moon is made of cheese"
    (english,) = detector.score([content(text, "en")])
    (german,) = detector.score([content(text, "de")])
    (unknown,) = detector.score([content(text, None)])
    assert (english.state, german.reason) == ("scored", "language")
    assert unknown.state == "scored"
    assert len(set(detector._remembered)) == 3
    assert {version for version, _ in detector._remembered} == {detector.version}
    bare = Content(platform="x", root_id="1", text="a hoax is a hoax", lang="en")  # no hash
    (verdict,) = detector.score([bare])
    assert verdict.score != english.score


def test_memory_is_bounded_and_drops_what_was_not_asked_for_longest(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bert, "REMEMBERED", 2)
    detector = BertDetector(folder)
    seen = count_texts(detector, monkeypatch)
    one, two, three = (content(f"the moon is {word}") for word in ("cheese", "hoax", "cure"))
    detector.score([one, two])
    detector.score([one])
    detector.score([three])  # drops two
    assert (len(detector._remembered), len(seen)) == (2, 3)
    detector.score([one])
    assert len(seen) == 3
    detector.score([two])
    assert len(seen) == 4


def test_the_version_changes_with_all_that_changes_scores_and_nothing_else(folder: Path) -> None:
    config = read_config(folder)
    version = model_version(config, "fp32")

    def changed(**changes: Any) -> str:
        edit_config(folder, **changes)
        return model_version(read_config(folder), "fp32")

    assert version.endswith(f"-p{PREPROCESSING}-fp32")
    assert model_version(config, "int8") != version
    assert changed(threshold=0.9, trained_on="2021-01-01") == version
    assert changed(calibration={"slope": 2.5, "offset": 0.5}) != version
    assert changed(languages=["en", "de"]) != changed(languages=["en"])
    assert changed(max_tokens=64) != version
    assert changed(weights_sha256="0" * 64) != version
    assert changed(encoder={"name": "x", "sha256": "0" * 64}) != version


# Why


def test_evidence_is_how_far_the_logit_falls_without_a_word(folder: Path) -> None:
    detector = BertDetector(folder, engine="fp32")
    text = "the moon is made of cheese"
    found = dict(detector.explain(content(text)))
    assert len(found) == 5  # of six words

    def logit(text: str) -> float:
        true, false = logits_by_hand(folder, text)
        return 2.0 * (false - true) / 2 + 0.5

    for word, fall in found.items():
        assert fall == pytest.approx(logit(text) - logit(without(text, word)), abs=1e-4)
    sizes = [abs(fall) for fall in found.values()]
    assert sizes == sorted(sizes, reverse=True)
    assert detector.explain(content("👍🏽")) == ()


# What is wrong is told in one line


def told(made: Callable[[], object], kind: type[Exception] = BrokenWeights) -> str:
    """The message, which is one line."""
    with pytest.raises(kind) as caught:
        made()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_wide_part_is_in_the_score_the_reasons_and_the_version(folder: Path) -> None:
    text = "the moon is made of cheese"
    without_it = BertDetector(folder, engine="fp32")
    (before,) = without_it._logit_pairs([text])
    detector = BertDetector(with_wide(folder), engine="fp32")
    (after,) = detector._logit_pairs([text])
    wide = 0.5 * ((3.0 - 1.0) / math.sqrt(2) + 0.25)
    assert after == pytest.approx((before[0] - wide, before[1] + wide))
    assert detector.encoder_logits([text]) == [before]
    assert detector.version != without_it.version
    logit = 2.0 * (after[1] - after[0]) / 2 + 0.5
    (verdict,) = detector.score([content(text)])
    assert verdict.score == pytest.approx(sigmoid(logit), abs=1e-6)
    assert detector.explain(content(text))[0][0] == "moon"
    together = detector.score([content(text), content("no moon today for us"), content(text)])
    alone = BertDetector(folder, engine="fp32").score([content("no moon today for us")])
    assert [v.score for v in together] == [verdict.score, alone[0].score, verdict.score]


def test_a_wide_part_that_is_not_what_was_trained_is_refused(folder: Path) -> None:
    path = with_wide(folder) / WIDE
    path.write_bytes(path.read_bytes() + b"x")
    message = told(lambda: BertDetector(folder))
    assert f"{path} has sha256" in message and "train again" in message
    path.unlink()
    assert "cannot be opened (No such file" in told(lambda: BertDetector(folder))
    with_wide(folder, share=-1.0)
    assert "has a wide part with share -1.0" in told(lambda: BertDetector(folder))


def test_weights_that_are_not_what_was_trained_are_refused(folder: Path) -> None:
    path = folder / "adapter.safetensors"
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    message = told(lambda: BertDetector(folder))
    assert str(path) in message
    assert f"has sha256 {sha256(data).hexdigest()[:12]}..., config.json says " in message
    assert "train again with python -m detectors.train_bert" in message
    path.write_bytes(data[:100])
    assert "has sha256" in told(lambda: BertDetector(folder))
    path.unlink()
    assert "cannot be opened (No such file" in told(lambda: BertDetector(folder))


@pytest.mark.parametrize("data", [b"", b"junk", b"\xff" * 100, b"\x10" + bytes(30)])
def test_junk_that_the_config_vouches_for_is_refused(data: bytes, folder: Path) -> None:
    (folder / "adapter.safetensors").write_bytes(data)
    edit_config(folder, weights_sha256=sha256(data).hexdigest())
    assert "does not hold the tensors of an adapter" in told(lambda: BertDetector(folder))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"head.weight": torch.zeros(2, 16)}, "head of shape (2, 16)"),
        ({"head.bias": torch.zeros(3)}, "head of shape"),
        ({"head.bias": None}, "'head.bias'"),
        ({"layer.1.query.up": None}, "'layer.1.query.up'"),
        ({"layer.1.query.up": torch.zeros(16, 3)}, "does not fit"),
        ({"layer.7.query.up": torch.zeros(32, 3)}, "unknown tensor 'layer.7.query.up'"),
        ({"head.bias": torch.tensor([0.0, math.nan])}, "a number that is not finite"),
        ({"layer.1.query.up": torch.full((32, 3), math.inf)}, "a number that is not finite"),
        ({"layer.1.up.reach": torch.zeros(32)}, "a reach that is not above 0"),
        ({"layer.1.up.reach": torch.ones(31)}, "reach of shape (31,)"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(
    change: dict[str, torch.Tensor | None], expected: str, tmp_path: Path, encoder_folder: Path
) -> None:
    tensors = {k: t for k, t in {**adapter(), **change}.items() if t is not None}
    written = write_folder(tmp_path, encoder_folder, tensors)
    assert expected in told(lambda: BertDetector(written))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"labels": ["likely_false", "likely_true"]}, "instead of ['likely_true', 'likely_false']"),
        ({"positive_class": "likely_true"}, "with positive class 'likely_true'"),
        ({"preprocessing": 99}, "needs preprocessing 99"),
        ({"format": 2}, "has format 2, this version reads 1"),
        ({"threshold": 1.5}, "has threshold 1.5"),
        ({"calibration": {"slope": -1.0, "offset": 0.0}}, "would turn the labels round"),
        ({"max_tokens": 4}, "has max_tokens 4, which is not from 8 to 512"),
        ({"max_tokens": "many"}, "cannot be read"),
        ({"extra": 1}, "cannot be read"),
    ],
)
def test_a_config_of_another_kind_is_refused(
    change: dict[str, Any], expected: str, folder: Path
) -> None:
    edit_config(folder, **change)
    message = told(lambda: BertDetector(folder))
    assert expected in message and "config.json" in message


def test_more_tokens_than_the_encoder_has_positions_are_refused(folder: Path) -> None:
    edit_config(folder, max_tokens=128)
    assert "has max_tokens 128, but" in told(lambda: BertDetector(folder))


def test_another_encoder_than_the_trained_one_is_refused(folder: Path, tmp_path: Path) -> None:
    other = save_tiny(tmp_path / "other", hidden_size=48)
    message = told(lambda: BertDetector(folder, str(other)))
    assert "was trained on encoder" in message and "leave --encoder out" in message


@pytest.mark.parametrize("package", bert.PACKAGES)
def test_a_missing_package_is_named(
    package: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # transformers reads encoders of one's own only, and imports the others itself
    weights = folder if package == "transformers" else SHIPPED_WEIGHTS
    real = builtins.__import__

    def without_it(name: str, *rest: Any, **more: Any) -> Any:
        if name.split(".")[0] == package:
            raise ModuleNotFoundError(f"No module named {package!r}", name=package)
        return real(name, *rest, **more)

    for name in list(sys.modules):
        if name in ("detectors.encoder", "detectors.runtime"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", without_it)
    message = told(lambda: BertDetector(weights), MissingPackage)
    assert message == (
        f"detector 'bert' needs the package {package}: pip install {package}, or choose another "
        "--detector"
    )


def test_options_reach_the_detector_and_others_have_none(folder: Path) -> None:
    detector = load_detector("bert", weights=folder, engine="fp32", encoder=None)
    assert detector.version.endswith("-fp32")
    with pytest.raises(UnknownOption, match="detector 'tfidf' has no encoder: leave --encoder out"):
        load_detector("tfidf", encoder="bert-base-uncased")


def test_running_needs_neither_peft_nor_accelerate_nor_transformers() -> None:
    script = (
        "import sys\n"
        "from detectors.bert import BertDetector\n"
        "BertDetector()\n"
        "print([m for m in ('peft', 'accelerate', 'transformers', 'sklearn') if m in sys.modules])"
    )
    assert run_python(script) == "[]\n"


def run_python(script: str, *arguments: str) -> str:
    """What a new process prints."""
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# As it ships


def test_the_shipped_weights_fit_the_embedded_encoder_and_the_adapter_is_merged() -> None:
    config = read_config(SHIPPED_WEIGHTS)
    encoder = read_encoder()
    assert config.encoder.sha256 == encoder.sha256
    tensors = read_adapter(SHIPPED_WEIGHTS, config.weights_sha256)
    model = merge(encoder, tensors, SHIPPED_WEIGHTS)
    changed = [n for n, w in model.encoder.weights.items() if not w.equal(encoder.weights[n])]
    assert len(changed) == sum(name.endswith(".down") for name in tensors if "layer" in name)
    assert len(model.encoder.weights) == len(encoder.weights)
    assert sum(t.numel() * t.element_size() for t in tensors.values()) < 3_000_000


def test_shipped_scores_of_a_hoax_and_of_news_are_on_their_sides() -> None:
    hoax, news = BertDetector().score(
        [
            content("Drinking hot water with lemon kills the coronavirus in 24 hours, share this"),
            content("The ministry reported 412 new cases of COVID-19 and 3 deaths on Wednesday"),
        ]
    )
    assert hoax.score is not None and news.score is not None
    assert hoax.score > news.score + 0.3


def test_the_model_card_is_what_the_metrics_make() -> None:
    metrics = json.loads((SHIPPED_WEIGHTS / "metrics.json").read_text(encoding="utf-8"))
    assert (SHIPPED_WEIGHTS / "README.md").read_text(encoding="utf-8") == model_card(metrics)
    config = read_config(SHIPPED_WEIGHTS)
    assert metrics["threshold"] == config.threshold
    assert metrics["version"] in {model_version(config, engine) for engine in ENGINES}
    assert metrics["calm"]["flagged"] <= MAX_CALM_SHARE


@pytest.fixture(scope="module")
def real_posts(data: Path) -> list[Content]:
    """Tweets and labelled texts, all different, whose language is not in doubt."""
    tweets = read_calm_posts(data / "tweets_2023_csv")
    labelled = [e.record.text for e in read_examples(data / "text") if e.split == "test"]
    texts = sorted({*tweets, *labelled})
    chosen = random.Random(4).sample(texts, N_REAL)
    return [content(text, root_id=str(i)) for i, text in enumerate(chosen)]


def bits(verdicts: Sequence[Verdict]) -> dict[str, str]:
    """Score to its last bit, or why there is none, by post."""
    return {v.root_id: v.score.hex() if v.score is not None else str(v.reason) for v in verdicts}


CRASHING = """
import os, sys, json
from pathlib import Path
from detectors.bert import BertDetector
from streams.records import Content

texts, engine, until = json.loads(Path(sys.argv[1]).read_text()), sys.argv[2], int(sys.argv[3])
detector = BertDetector(engine=engine, n_threads=2)
step = 3 * len(texts) // 10
for start in range(0, len(texts), step):
    part = texts[start:start + step]
    contents = [Content(platform="x", root_id=i, text=t, lang="en") for i, t in part]
    for v in detector.score(contents):
        bits = v.score.hex() if v.score is not None else str(v.reason)
        print(json.dumps([v.root_id, bits]), flush=True)
    if start >= until:
        os.kill(os.getpid(), 9)
"""


@pytest.mark.slow
@pytest.mark.timeout(3600)  # two minutes of a core, which others may want as well
@pytest.mark.parametrize("engine", ("fp32", "int8"))
def test_real_posts_have_the_same_bits_alone_shuffled_and_after_a_crash(
    engine: str, real_posts: list[Content], tmp_path: Path
) -> None:
    def fresh() -> BertDetector:
        return BertDetector(engine=engine)  # remembers nothing

    one_by_one = fresh()
    alone: dict[str, str] = {}
    for post in real_posts:
        alone |= bits(one_by_one.score([post]))
    assert len(alone) == N_REAL
    assert len(set(alone.values())) > 0.8 * N_REAL  # they are not all one score

    for seed in range(3):
        shuffled = random.Random(seed).sample(real_posts, N_REAL)
        detector, size = fresh(), (N_REAL, N_REAL // 7, 2 * N_REAL // 5)[seed]
        found: dict[str, str] = {}
        for start in range(0, N_REAL, size):
            found |= bits(detector.score(shuffled[start : start + size]))
        assert found == alone

    path = tmp_path / "texts.json"
    path.write_text(json.dumps([[post.root_id, post.text] for post in real_posts]))
    killed = subprocess.run(
        [sys.executable, "-c", CRASHING, str(path), engine, str(3 * N_REAL // 10)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert killed.returncode == -9, killed.stderr
    before = dict(json.loads(line) for line in killed.stdout.splitlines())
    assert before == {k: v for k, v in alone.items() if k in before}
    assert len(before) == 6 * N_REAL // 10
    after = run_python(CRASHING, str(path), engine, "9999")
    assert dict(json.loads(line) for line in after.splitlines()) == alone


@pytest.fixture(scope="module")
def test_labels(data: Path) -> tuple[np.ndarray, list[Content]]:
    """The labelled test texts of the sets that are learnt from."""
    examples = [
        e
        for e in read_examples(data / "text")
        if e.split == "test" and e.record.dataset != "shorttext"
    ]
    contents = [content(e.record.text, root_id=str(i)) for i, e in enumerate(examples)]
    return positives(examples), contents


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_int8_gives_the_labels_of_fp32_on_real_posts(
    test_labels: tuple[np.ndarray, list[Content]], real_posts: list[Content]
) -> None:
    positive, contents = test_labels
    if not IS_LONG:
        positive, contents = positive[::6], contents[::6]
    exact, quantised = (BertDetector(engine=engine) for engine in ("fp32", "int8"))

    def flags(detector: BertDetector, asked: list[Content]) -> np.ndarray:
        verdicts = detector.score(asked)
        return np.array([v.score is not None and v.score >= detector.threshold for v in verdicts])

    of_exact, of_quantised = flags(exact, contents), flags(quantised, contents)
    assert np.mean(of_exact == of_quantised) >= 0.995
    f1 = [macro_f1(confusion(positive, found)) for found in (of_exact, of_quantised)]
    assert f1[0] - f1[1] <= (0.003 if IS_LONG else 0.005)
    assert np.mean(flags(exact, real_posts) == flags(quantised, real_posts)) >= 0.995


#: Every processor rounds its floats its own way, and what is near a limit falls on the other side:
#: of 525 texts up to 5 were abstained from otherwise, and MCC moved by up to 0.011.
OTHER_PROCESSOR = 0.015


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_shipped_metrics_are_those_of_the_real_data(data: Path) -> None:
    shipped = json.loads((SHIPPED_WEIGHTS / "metrics.json").read_text(encoding="utf-8"))
    detector = BertDetector(engine="int8")
    examples = [e for e in read_examples(data / "text") if e.split == "test"]
    for name in ("covid19_rumour_tweets", *(["liar"] if IS_LONG else [])):
        own = [e for e in examples if e.record.dataset == name]
        verdicts = detector.score([content(e.record.text) for e in own])
        scores = [verdict.score for verdict in verdicts]
        kept = [i for i, score in enumerate(scores) if score is not None]
        found = np.array([scores[i] for i in kept]) >= detector.threshold
        measured = shipped["test"][name]
        # texts that nearly repeat a training text are no longer drawn
        n_leaked = shipped["near_duplicates_trained_on"].get(name, 0)
        assert len(own) == measured["n"] + measured["n_abstained"] - n_leaked
        assert abs(len(kept) - measured["n"]) <= OTHER_PROCESSOR * len(own)
        assert abs(mcc(confusion(positives(own)[kept], found)) - measured["mcc"]) <= OTHER_PROCESSOR
    _, report = halves(read_calm_posts(data / "tweets_2023_csv"))
    of_calm = [v.score for v in detector.score([content(text) for text in report])]
    scored = [score for score in of_calm if score is not None]
    flagged = sum(score >= detector.threshold for score in scored) / len(scored)
    assert abs(flagged - shipped["calm"]["flagged"]) <= OTHER_PROCESSOR / 4
    assert flagged <= MAX_CALM_SHARE


def test_engines_have_versions_of_their_own() -> None:
    config = read_config(SHIPPED_WEIGHTS)
    assert len({model_version(config, engine) for engine in ENGINES}) == len(ENGINES)
