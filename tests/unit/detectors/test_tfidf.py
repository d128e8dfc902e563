from __future__ import annotations

import json
import math
import pickle
from collections.abc import Callable
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from detectors.labels import LABELS, POSITIVE_CLASS
from detectors.text.normalise import PREPROCESSING
from detectors.tfidf import (
    FORMAT,
    SHIPPED_WEIGHTS,
    WEIGHTS,
    Config,
    TfidfDetector,
    model_version,
    write_config,
    write_linear,
)
from detectors.trained import BrokenWeights, Calibration
from streams.records import Content, content_hash

VOCABULARY = ("cure", "hoax", "miracle", "miracle cure", "official", "url")
COEFFICIENT = np.array([1.0, 2.0, 1.5, 0.5, -2.0, -0.25], dtype=np.float32)
IDF = np.array([1.5, 2.0, 2.5, 3.0, 1.25, 1.0], dtype=np.float32)
INTERCEPT = -0.125


def config_for(digest: str) -> Config:
    return Config(
        format=FORMAT,
        preprocessing=PREPROCESSING,
        labels=LABELS,
        positive_class=POSITIVE_CLASS,
        threshold=0.75,
        calibration=Calibration(slope=2.0, offset=0.5),
        languages=("en",),
        weights_sha256=digest,
        trained_on="2020-02-02",
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    digest = write_linear(tmp_path / WEIGHTS, VOCABULARY, COEFFICIENT, IDF, INTERCEPT)
    write_config(tmp_path, config_for(digest))
    return tmp_path


def edit_config(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def replace_weights(folder: Path, data: bytes) -> None:
    """Other weights with a config that vouches for them."""
    (folder / "weights.npz").write_bytes(data)
    edit_config(folder, weights_sha256=sha256(data).hexdigest())


def npz(**arrays: np.ndarray) -> bytes:
    data = BytesIO()
    np.savez_compressed(data, **arrays)  # type: ignore[arg-type]
    return data.getvalue()


def content(text: str) -> Content:
    return Content(
        platform="x", root_id="1", text=text, lang="en", input_hash=content_hash(text, "en")
    )


def test_score_by_hand(folder: Path) -> None:
    (verdict,) = TfidfDetector(folder).score([content("Miracle CURE, miracle cure: no hoax!")])
    # counts: cure 2, hoax 1, miracle 2, "miracle cure" 2; the other words are unknown
    twice = 1 + math.log(2)
    values = {"cure": twice * 1.5, "hoax": 2.0, "miracle": twice * 2.5, "miracle cure": twice * 3.0}
    norm = math.sqrt(sum(value**2 for value in values.values()))
    weights = dict(zip(VOCABULARY, COEFFICIENT.tolist(), strict=True))
    parts = {feature: 2.0 * value * weights[feature] / norm for feature, value in values.items()}
    logit = sum(parts.values()) + 2.0 * INTERCEPT + 0.5
    assert verdict.state == "scored"
    assert verdict.score == round(1 / (1 + math.exp(-logit)), 6)
    ranked = sorted(parts, key=lambda feature: -parts[feature])
    assert [feature for feature, _ in verdict.evidence] == ranked
    for feature, contribution in verdict.evidence:
        assert contribution == pytest.approx(parts[feature], abs=1e-6)


def test_score_agrees_with_sklearn(tmp_path: Path) -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    from detectors.text.normalise import features

    texts = [f"official report {i} says so" for i in range(9)]
    texts += [f"miracle cure {i} share share this" for i in range(9)]
    vectoriser = TfidfVectorizer(analyzer=features, sublinear_tf=True)
    matrix = vectoriser.fit_transform(texts)
    classifier = LogisticRegression().fit(matrix, [False] * 9 + [True] * 9)
    digest = write_linear(
        tmp_path / WEIGHTS,
        [str(feature) for feature in vectoriser.get_feature_names_out()],
        classifier.coef_[0],
        vectoriser.idf_,
        float(classifier.intercept_[0]),
    )
    write_config(
        tmp_path,
        msgspec.structs.replace(config_for(digest), calibration=Calibration(slope=1.0, offset=0.0)),
    )
    verdicts = TfidfDetector(tmp_path).score([content(text) for text in texts])
    expected = classifier.predict_proba(matrix)[:, 1]
    assert [verdict.score for verdict in verdicts] == pytest.approx(expected, abs=2e-6)
    assert max(expected) - min(expected) > 0.3


def test_at_most_five_pieces_of_evidence(folder: Path) -> None:
    text = "official https://t.co/x hoax miracle cure"
    (verdict,) = TfidfDetector(folder).score([content(text)])
    assert len(verdict.evidence) == 5  # of six features
    sizes = [abs(contribution) for _, contribution in verdict.evidence]
    assert sizes == sorted(sizes, reverse=True)
    assert verdict.evidence[-1][0] != "url"  # the least of the six
    assert ("official" in dict(verdict.evidence)) and dict(verdict.evidence)["official"] < 0


def test_sums_are_exact_whatever_the_order_of_the_words(tmp_path: Path) -> None:
    # Added up in the order of the text, minus swallows small before plus cancels it.
    coefficient = np.array([-1e20, 1e20, 3.0], dtype=np.float32)
    ones = np.ones(3, dtype=np.float32)
    digest = write_linear(tmp_path / WEIGHTS, ("minus", "plus", "small"), coefficient, ones, 0.0)
    write_config(
        tmp_path,
        msgspec.structs.replace(config_for(digest), calibration=Calibration(slope=1.0, offset=0.0)),
    )
    orders = ("minus plus small", "minus small plus", "small plus minus")
    verdicts = TfidfDetector(tmp_path).score([content(text) for text in orders])
    expected = round(1 / (1 + math.exp(-3 / math.sqrt(3))), 6)
    assert [verdict.score for verdict in verdicts] == [expected] * 3


def test_abstains_when_no_word_is_known(folder: Path) -> None:
    (verdict,) = TfidfDetector(folder).score([content("entirely different words here")])
    assert (verdict.state, verdict.reason, verdict.score) == ("abstained", "no_known_words", None)


def test_equal_contents_are_judged_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    judge = TfidfDetector.judge

    def counting(self: TfidfDetector, text: str, lang: str | None) -> Any:
        asked.append(text)
        return judge(self, text, lang)

    monkeypatch.setattr(TfidfDetector, "judge", counting)
    texts = ["this is a hoax", "this is official", "this is a hoax", "this is a hoax"]
    verdicts = TfidfDetector(folder).score([content(text) for text in texts])
    assert asked == texts[:2]
    assert [v.score for v in verdicts] == [verdicts[i].score for i in (0, 1, 0, 0)]
    assert verdicts[0].score != verdicts[1].score


def test_threshold_comes_from_the_config(folder: Path) -> None:
    edit_config(folder, threshold=0.625)
    assert TfidfDetector(folder).threshold == 0.625


def test_weights_are_written_with_the_same_bytes_each_time(tmp_path: Path) -> None:
    digests = {
        write_linear(tmp_path / str(i) / WEIGHTS, VOCABULARY, COEFFICIENT, IDF, INTERCEPT)
        for i in range(2)
    }
    assert len(digests) == 1


def test_version_changes_with_whatever_changes_a_score() -> None:
    base = config_for("a" * 64)
    changed = [
        msgspec.structs.replace(base, weights_sha256="b" * 64),
        msgspec.structs.replace(base, calibration=Calibration(slope=2.0, offset=0.25)),
        msgspec.structs.replace(base, languages=("en", "de")),
        msgspec.structs.replace(base, preprocessing=PREPROCESSING + 1),
    ]
    versions = {model_version(config) for config in [base, *changed]}
    assert len(versions) == 5
    same = msgspec.structs.replace(base, trained_on="2021-01-01", threshold=0.5)
    assert model_version(same) == model_version(base)


ARRAYS: dict[str, np.ndarray] = {
    "vocabulary": np.frombuffer(b"cure\nhoax", dtype=np.uint8),
    "coefficient": np.array([1, 2], dtype=np.float32),
    "idf": np.array([1, 2], dtype=np.float32),
    "intercept": np.array([0], dtype=np.float32),
}

BREAKS: dict[str, tuple[Callable[[Path], object], str]] = {
    "no folder": (lambda f: f.rename(f.with_name("gone")), "config.json cannot be opened"),
    "no weights": (lambda f: (f / "weights.npz").unlink(), "weights.npz cannot be opened"),
    "config is no JSON": (lambda f: (f / "config.json").write_text("{"), "cannot be read"),
    "config is not UTF-8": (lambda f: (f / "config.json").write_bytes(b"\xff"), "cannot be read"),
    "a field is missing": (
        lambda f: (f / "config.json").write_text("{}"),
        "cannot be read .*missing required field",
    ),
    "an unknown field": (lambda f: edit_config(f, extra=1), "cannot be read .*extra"),
    "other format": (lambda f: edit_config(f, format=FORMAT + 1), "has format 2"),
    "other preprocessing": (lambda f: edit_config(f, preprocessing=99), "needs preprocessing 99"),
    "labels the other way round": (lambda f: edit_config(f, labels=LABELS[::-1]), "has labels"),
    "bare numbers as labels": (lambda f: edit_config(f, labels=[0, 1]), "cannot be read"),
    "other positive class": (
        lambda f: edit_config(f, positive_class="likely_true"),
        "positive class 'likely_true'",
    ),
    "threshold out of range": (lambda f: edit_config(f, threshold=1.5), "threshold 1.5"),
    "slope that reverses": (
        lambda f: edit_config(f, calibration={"slope": -1.0, "offset": 0.0}),
        "slope -1.0",
    ),
    "one bit of the weights": (
        lambda f: (f / "weights.npz").write_bytes((f / "weights.npz").read_bytes()[:-1] + b"\1"),
        "has sha256",
    ),
    "cut weights": (
        lambda f: replace_weights(f, (f / "weights.npz").read_bytes()[:200]),
        "does not hold the arrays",
    ),
    "no archive": (lambda f: replace_weights(f, b"hello"), "does not hold the arrays"),
    "empty file": (lambda f: replace_weights(f, b""), "does not hold the arrays"),
    "a pickle": (lambda f: replace_weights(f, pickle.dumps([1])), "does not hold the arrays"),
    "an array is missing": (
        lambda f: replace_weights(f, npz(vocabulary=ARRAYS["vocabulary"])),
        "does not hold the arrays",
    ),
    "arrays of different lengths": (
        lambda f: replace_weights(f, npz(**{**ARRAYS, "idf": np.ones(3, np.float32)})),
        "does not hold the arrays",
    ),
    "a pickled array": (
        lambda f: replace_weights(f, npz(**{**ARRAYS, "idf": np.array([1, {}], dtype=object)})),
        "does not hold the arrays",
    ),
    "a feature twice": (
        lambda f: replace_weights(
            f, npz(**{**ARRAYS, "vocabulary": np.frombuffer(b"hoax\nhoax", dtype=np.uint8)})
        ),
        "a feature twice",
    ),
    "not a number": (
        lambda f: replace_weights(f, npz(**{**ARRAYS, "idf": np.array([1, np.nan], np.float32)})),
        "not finite",
    ),
}


@pytest.mark.parametrize("name", BREAKS)
def test_broken_weights_are_refused_with_what_where_and_what_to_do(folder: Path, name: str) -> None:
    break_it, message = BREAKS[name]
    break_it(folder)
    with pytest.raises(BrokenWeights, match=message) as caught:
        TfidfDetector(folder)
    assert str(folder) in str(caught.value)
    assert "train again with python -m detectors.train_tfidf" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_sound_arrays_of_the_table_above_are_accepted(folder: Path) -> None:
    replace_weights(folder, npz(**ARRAYS))
    assert TfidfDetector(folder).score([content("it is a hoax")])[0].state == "scored"


def test_shipped_weights_are_small_and_know_their_class() -> None:
    assert sum(path.stat().st_size for path in SHIPPED_WEIGHTS.iterdir()) < 1_500_000
    detector = TfidfDetector()
    false, true = detector.score(
        [
            content("Secret miracle cure: hot water kills the coronavirus, this video proves it"),
            content("The CDC reported 1,201 tests on Wednesday, the data are updated each day"),
        ]
    )
    assert false.score is not None and true.score is not None
    assert false.score > detector.threshold > 0.5 > true.score
