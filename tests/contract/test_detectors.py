"""What every detector of the registry must do. A new line in DETECTORS is tested by this file."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
import torch

from detectors.datasets.labelled import LabelledPost
from detectors.detector import Detector
from detectors.labels import LABELS
from detectors.registry import DETECTORS, UnknownDetector, load_detector
from detectors.training import Task, run
from streams.records import Content, Verdict, content_hash
from tests.encoders import save_tiny
from tests.made_up_sets import sentence

ORDINARY = (
    "The mayor says the bridge will be closed for repairs until next spring.",
    "BREAKING: miracle cure for the coronavirus found, doctors hate this video!",
    "Scientists reported 12 new cases in the county on Wednesday https://example.org/a",
    "They do not want you to know that 5G towers cause the virus, share before it is deleted",
    "Our poster is in hall X5 this afternoon, come and say hello #science",
)
WEIRD = (
    "",
    " \n\t ",
    "\0",
    "a\0b c d e f g false cure",
    "\ud800 lone surrogate in the middle \udfff of the text",
    "👍🏽" * 50,
    "🇩🇪 👩‍👩‍👧‍👦 ❤️",
    "#" * 1000,
    "@" * 1000,
    "https://t.co/a",
    "www. www.a t.co/ http://",
    "&amp;&lt;&#0;&#xD800;&#1114112;&unknown;",
    "لقاح كورونا يسبب العقم وهذا ما لا يريدون أن تعرفه",
    "\u202eright to left override of an english sentence\u202c",
    "ワクチンは危険だという噂が広がっています",
    "ﷺ" * 1000,
    "e\u0301" * 3000,
    "Ｆｕｌｌ ｗｉｄｔｈ letters say it is a hoax",
    "the vaccine is a hoax " * 50_000,
    "x" * 1_000_000,
)
LANGUAGES = ("en", None, "und", "de", "", "EN-gb", "qme", "not a language at all")


@pytest.fixture(scope="module", params=sorted(DETECTORS))
def detector(request: pytest.FixtureRequest, options: dict[str, dict[str, object]]) -> Detector:
    name: str = request.param
    return load_detector(name, **options.get(name, {}))


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, object]]:
    """What a detector of which no weights ship is loaded with: some of made-up posts."""
    out = tmp_path_factory.mktemp("tweet_metadata")
    rng = random.Random(2)
    posts = [
        LabelledPost(
            "made up",
            "validation" if i % 4 > 2 else "train",
            str(i),
            sentence(rng, i % 8 > 3),
            LABELS[i % 8 > 3],
        )
        for i in range(80)
    ]
    encoder = str(save_tiny(tmp_path_factory.mktemp("encoder")))
    changes = {"epochs": "6", "n_filters": "8", "head_rate": "0.02", "frozen": "2"}
    task = Task(posts, out, out, encoder, lambda line: None, changes=changes)
    run("tweet_metadata", task)
    found: dict[str, dict[str, object]] = {"tweet_metadata": {"weights": out}}
    for name, changes in (
        ("three_branch", {"ocr": "false", "combine": "network"}),
        ("att_xdsf", {"text": "characters", "modalities": "text,social"}),
    ):
        folder = tmp_path_factory.mktemp(name)
        quick = changes | {"epochs": "2"}
        run(name, task._replace(out=folder, small=True, changes=quick))
        found[name] = {"weights": folder}
    return found


def content(text: str, lang: str | None = "en", root_id: str = "1") -> Content:
    return Content(
        platform="x",
        root_id=root_id,
        text=text,
        lang=lang,
        input_hash=content_hash(text, lang),
    )


def contents(texts: Sequence[str], lang: str | None = "en") -> list[Content]:
    return [content(text, lang, root_id=str(i)) for i, text in enumerate(texts)]


def opinion(verdict: Verdict) -> tuple[object, ...]:
    """All of a verdict but whose it is; the score by its bits."""
    bits = None if verdict.score is None else verdict.score.hex()
    return verdict.state, bits, verdict.reason, verdict.evidence, verdict.version


def assert_well_formed(verdict: Verdict) -> None:
    if verdict.state == "scored":
        assert verdict.score is not None
        assert 0 <= verdict.score <= 1
        assert verdict.score == round(verdict.score, 6)
        assert verdict.reason is None
    else:
        assert verdict.state == "abstained"
        assert verdict.score is None
        assert verdict.reason
        assert verdict.evidence == ()


def test_name_is_the_registry_s_and_version_is_stable(
    detector: Detector, options: dict[str, dict[str, object]]
) -> None:
    again = load_detector(detector.name, **options.get(detector.name, {}))
    assert detector.version
    assert (again.name, again.version) == (detector.name, detector.version)
    assert 0 < detector.threshold < 1


def test_unknown_name_is_told_with_the_known_ones() -> None:
    with pytest.raises(
        UnknownDetector, match=r"no detector is called 'tfidff'; there are: .*tfidf"
    ):
        load_detector("tfidff")


def test_nothing_in_nothing_out(detector: Detector) -> None:
    assert detector.score([]) == []


def test_one_verdict_per_content_in_order_for_the_same_content(detector: Detector) -> None:
    asked = contents([*ORDINARY, *WEIRD, *ORDINARY])
    verdicts = detector.score(asked)
    assert len(verdicts) == len(asked)
    for question, answer in zip(asked, verdicts, strict=True):
        assert (answer.platform, answer.root_id) == (question.platform, question.root_id)
        assert answer.input_hash == question.input_hash
        assert (answer.detector, answer.version) == (detector.name, detector.version)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_verdicts_are_well_formed_whatever_the_text_and_language(
    detector: Detector, lang: str | None
) -> None:
    for verdict in detector.score(contents([*ORDINARY, *WEIRD], lang)):
        assert_well_formed(verdict)


@pytest.mark.parametrize("lang", ["en", None])
def test_same_bits_alone_shuffled_and_in_other_batches(
    detector: Detector, lang: str | None
) -> None:
    asked = contents([*ORDINARY, *WEIRD], lang)
    together = {v.root_id: opinion(v) for v in detector.score(asked)}
    alone = {c.root_id: opinion(detector.score([c])[0]) for c in asked}
    shuffled = random.Random(7).sample(asked, len(asked))
    in_threes = [
        verdict
        for start in range(0, len(shuffled), 3)
        for verdict in detector.score(shuffled[start : start + 3])
    ]
    assert alone == together
    assert {v.root_id: opinion(v) for v in detector.score(shuffled)} == together
    assert {v.root_id: opinion(v) for v in in_threes} == together


@pytest.mark.parametrize("name", sorted(DETECTORS))
def test_same_bits_whatever_the_number_of_threads(
    name: str, options: dict[str, dict[str, object]]
) -> None:
    usual, found = torch.get_num_threads(), []
    try:
        for n_threads in (1, 3):
            torch.set_num_threads(n_threads)
            detector = load_detector(name, **options.get(name, {}))
            found.append([opinion(verdict) for verdict in detector.score(contents(ORDINARY))])
            assert torch.get_num_threads() == n_threads, "the caller's threads are its own"
    finally:
        torch.set_num_threads(usual)
    assert found[0] == found[1]


def test_equal_texts_of_different_posts_get_equal_opinions(detector: Detector) -> None:
    first, other, second = detector.score(
        [content(ORDINARY[1], root_id="a"), content(ORDINARY[0]), content(ORDINARY[1], root_id="b")]
    )
    assert opinion(first) == opinion(second)
    assert [first.root_id, other.root_id, second.root_id] == ["a", "1", "b"]


def test_contents_without_a_hash_are_not_taken_for_each_other(detector: Detector) -> None:
    bare = [
        Content(platform="x", root_id=str(i), text=t, lang="en") for i, t in enumerate(ORDINARY)
    ]
    assert [opinion(v) for v in detector.score(bare)] == [
        opinion(v) for v in detector.score(contents(ORDINARY))
    ]
