"""The three-branch detector: what it says of posts of which parts are missing, kept and read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch

from detectors import train_three_branch
from detectors.checkpoints import CannotTrain
from detectors.ensemble import PARTS, RULES
from detectors.image.decode import Limits
from detectors.networks.images import Backbone
from detectors.networks.three_branch import Inputs, Switches
from detectors.networks.training import Ints, Schedule
from detectors.posts import WholePost, look_at
from detectors.text.ocr import Line, Reading
from detectors.three_branch import Model, ThreeBranchDetector, load, save
from detectors.train_three_branch import (
    Settings,
    fit,
    hide_branches,
    out_of_fold_scores,
    ready,
)
from detectors.trained import BrokenWeights, Calibration, sigmoid
from tests.unit.detectors.image.pictures import black_png, encoded, photo, poster
from tests.unit.detectors.invented_posts import picture, post, posts_with_labels, rows

N_POSTS = 120
QUICK = Settings(
    network=Schedule(optimiser="rmsprop", learning_rate=3e-3, batch=16, max_epochs=6, patience=6),
    pictures=Schedule(learning_rate=3e-3, batch=16, max_epochs=4),
    topic_tags=("curenews", "exposednews"),
    n_folds=0,
    trained_on="2026-01-01",
)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Networks as small as these are slower on several."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def fitted() -> Model:
    posts, positive = posts_with_labels(N_POSTS)
    train, validation, _ = rows(len(posts))
    return fit(posts, positive, train, validation, range(len(posts)), QUICK)


@pytest.fixture(scope="module")
def detector(fitted: Model) -> ThreeBranchDetector:
    return ThreeBranchDetector(fitted)


def test_it_has_learnt_what_is_false(detector: ThreeBranchDetector) -> None:
    posts, positive = posts_with_labels(N_POSTS)
    _, _, test = rows(len(posts))
    found = detector.score([posts[i] for i in test])
    flagged = [(v.verdict.score or 0.0) >= detector.threshold for v in found]
    assert np.mean(np.array(flagged) == positive[test]) > 0.85


def test_a_score_does_not_depend_on_its_neighbours(detector: ThreeBranchDetector) -> None:
    posts, _ = posts_with_labels(12)
    together = detector.score(posts)
    assert [detector.score([one])[0] for one in posts] == together
    assert detector.score(posts[::-1]) == together[::-1]
    assert detector.score([]) == []


def test_each_missing_part_is_named_and_the_others_vote(detector: ThreeBranchDetector) -> None:
    bare = post("the secret cure is hidden again", overlaid=None)
    (found,) = detector.score([bare])
    assert found.used == ("text",)
    assert found.missing == {"image": "no_picture", "ocr": "no_picture", "tags": "no_hashtags"}
    assert found.verdict.state == "scored"
    assert [name for name, _ in found.verdict.evidence] == ["branch text"]

    whole = post("the secret cure", ("curenews",), (picture(1, True),), "exposed poison")
    (found,) = detector.score([whole])
    assert set(found.used) == {"image", "text", "tags"} and found.missing == {}
    assert len({found.verdict.input_hash, bare.content.input_hash}) == 2

    only_picture = post("", (), (picture(1, True),))
    (found,) = detector.score([only_picture])
    assert found.used == ("image",) and found.missing["text"] == "empty"


def test_nothing_to_read_is_no_class(detector: ThreeBranchDetector) -> None:
    (found,) = detector.score([post("")])
    assert found.used == () and found.verdict.score is None
    assert (found.verdict.state, found.verdict.reason) == ("abstained", "nothing_to_read")
    assert detector.explain(post("")) == ()


def test_a_picture_changes_the_hash_though_the_words_are_the_same(
    detector: ThreeBranchDetector,
) -> None:
    one, other = (post("our town today", (), (picture(seed),)) for seed in (1, 2))
    first, second = detector.score([one, other])
    assert first.verdict.input_hash != second.verdict.input_hash


def test_texts_in_other_languages_have_no_voice(fitted: Model) -> None:
    config = msgspec.structs.replace(fitted.config, languages=("en",))
    detector = ThreeBranchDetector(fitted._replace(config=config))
    german = post("das ist die geheime Heilung", ("curenews",), lang="de")
    (found,) = detector.score([german])
    assert found.missing["text"] == "language" and found.used == ("tags",)


@pytest.mark.parametrize(
    ("caption", "overlaid", "is_read"),
    [
        ("So beautiful at Long Wharf today", "CASH ENDS ON FRIDAY", True),
        ("So beautiful at Long Wharf today", "DAS WASSER MACHT UNS KRANK", True),
        ("", "THE WATER WAS POISONED BY THE MAYOR", True),
        ("Das ist die geheime Heilung", "DAS WASSER MACHT UNS KRANK", False),
    ],
)
def test_pictures_shout_in_the_language_of_their_caption(
    fitted: Model, caption: str, overlaid: str, is_read: bool
) -> None:
    config = msgspec.structs.replace(fitted.config, languages=("en",))
    detector = ThreeBranchDetector(fitted._replace(config=config))
    (found,) = detector.score([post(caption, ("tag",), overlaid=overlaid, lang=None)])
    assert ("text" in found.used) == is_read


def test_it_explains_by_what_leaving_out_changes(detector: ThreeBranchDetector) -> None:
    whole = post("the secret cure is here", ("curenews",), (picture(1, True),), "exposed poison")
    found = dict(detector.explain(whole))
    assert {name.partition(" ")[0] for name in found} == {"branch", "word", "hashtag", "place"}
    assert list(found.values()) == sorted(found.values(), key=abs, reverse=True)
    without = post("the cure is here", ("curenews",), (picture(1, True),), "exposed poison")
    logits = [
        detector._logit_of(name, detector._run(name, detector._prepare(p)[0]))
        for name, p in (("three_branch", whole), ("three_branch", without))
    ]
    assert found.get("word secret", logits[0] - logits[1]) == pytest.approx(
        logits[0] - logits[1], abs=1e-6
    )


def hostile_files() -> dict[str, bytes]:
    whole = encoded(photo(), "JPEG")
    return {
        "truncated": whole[: len(whole) // 2],
        "one pixel": encoded(photo(1, 1), "PNG"),
        "bomb": black_png(20_000, 20_000),
        "svg named .jpg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        "empty": b"",
        "noise": bytes(range(256)) * 10,
    }


@pytest.mark.parametrize("name", hostile_files())
def test_a_hostile_picture_costs_its_branch_and_nothing_else(
    detector: ThreeBranchDetector, name: str
) -> None:
    content = post("the secret cure is hidden again").content
    seen = look_at(content, [hostile_files()[name]], read=lambda pixels: Reading(()))
    (found,) = detector.score([seen])
    assert found.used == ("text",) and found.verdict.state == "scored"
    assert found.missing["image"] == seen.pictures[0].problem is not None


def test_a_file_that_is_too_long_is_not_decoded(detector: ThreeBranchDetector) -> None:
    content = post("the secret cure is hidden again").content
    seen = look_at(content, [encoded(photo(), "PNG")], limits=Limits(max_bytes=100))
    assert detector.score([seen])[0].missing["image"] == "too_many_bytes"


@pytest.mark.parametrize("mode", ["CMYK", "GIF"])
def test_odd_but_whole_pictures_are_seen(detector: ThreeBranchDetector, mode: str) -> None:
    from PIL import Image

    image = Image.fromarray(photo())
    data = encoded(image.convert("CMYK"), "JPEG") if mode == "CMYK" else encoded(image, "GIF")
    seen = look_at(post("the secret cure").content, [data])
    assert "image" in detector.score([seen])[0].used


def test_words_are_read_only_where_text_is_likely() -> None:
    asked: list[int] = []

    def read(pixels: np.ndarray) -> Reading:
        asked.append(pixels.size)
        return Reading((Line("IT IS POISON", 0.9, (0.0, 0.0, 1.0, 1.0)),))

    files = [encoded(poster("IT IS POISON"), "PNG"), encoded(photo(), "PNG"), b""]
    seen = look_at(post("").content, files, read=read)
    assert seen.overlaid == "IT IS POISON" and len(asked) == 1
    assert look_at(post("").content, files).overlaid is None


def test_what_is_saved_is_what_is_loaded(
    tmp_path: Path, fitted: Model, detector: ThreeBranchDetector
) -> None:
    save(fitted, tmp_path)
    again = ThreeBranchDetector(load(tmp_path))
    posts, _ = posts_with_labels(9)
    assert [v.verdict.score for v in again.score(posts)] == [
        v.verdict.score for v in detector.score(posts)
    ]


def _cut(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])


def _turn(folder: Path) -> None:
    path = folder / "config.json"
    config = json.loads(path.read_text())
    config["labels"].reverse()
    path.write_text(json.dumps(config))


def _newer(folder: Path) -> None:
    path = folder / "config.json"
    path.write_text(path.read_text().replace('"format": 1', '"format": 2'))


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (_cut, "has sha256"),
        (_turn, "has labels"),
        (_newer, "has format 2"),
        (lambda folder: (folder / "model.safetensors").unlink(), "cannot be opened"),
        (lambda folder: (folder / "config.json").write_text("{"), "cannot be read"),
    ],
)
def test_spoilt_weights_are_refused_in_one_line(
    tmp_path: Path, fitted: Model, spoil: Callable[[Path], None], says: str
) -> None:
    save(fitted, tmp_path)
    spoil(tmp_path)
    with pytest.raises(BrokenWeights, match=says) as raised:
        load(tmp_path)
    assert "\n" not in str(raised.value)


def test_the_version_changes_with_what_a_score_depends_on(fitted: Model) -> None:
    def version(**changes: object) -> str:
        config = msgspec.structs.replace(fitted.config, **changes)
        return ThreeBranchDetector(fitted._replace(config=config)).version

    assert version() == version(threshold=0.7) == version(trained_on="later")
    assert len({version(), version(combine="mean"), version(weights_sha256="1")}) == 3


def test_each_way_to_combine_reads_the_parts_that_have_a_voice(fitted: Model) -> None:
    mixed = post("the secret market is in our garden again", ("curenews",))

    def score(combine: str) -> float | None:
        config = msgspec.structs.replace(fitted.config, combine=combine)
        return ThreeBranchDetector(fitted._replace(config=config)).score([mixed])[0].verdict.score

    detector = ThreeBranchDetector(fitted)
    prepared, _ = detector._prepare(mixed)
    parts = {
        name: sigmoid(detector._logit_of(name, detector._run(name, prepared)))
        for name in ("three_branch", "text", "tags")
    }
    assert score("network") == pytest.approx(parts["three_branch"], abs=1e-6)
    for name, rule in RULES.items():
        assert score(name) == pytest.approx(rule(list(parts.values())), abs=1e-6)
    assert score("svm") == fitted.config.ensemble.score(parts)[0]


def test_the_ensemble_is_fitted_on_scores_of_posts_that_were_not_seen() -> None:
    posts, positive = posts_with_labels(60)
    train, validation, _ = rows(60)
    settings = replace(QUICK, network=Schedule(max_epochs=1), pictures=Schedule(max_epochs=1))
    given = ready(posts, positive, train, validation, range(60), settings)
    own = replace(settings, n_folds=2)
    plain = {name: Calibration(1.0, 0.0) for name in PARTS}
    scores = out_of_fold_scores(given, plain, train, validation, own)
    assert scores.shape == (len(train), 4)
    assert np.isnan(scores[:, 1]).any() and np.isfinite(scores[:, 0]).all()


def without(branch: str, whole: WholePost) -> WholePost:
    if branch == "image":
        return whole._replace(pictures=())
    if branch == "tags":
        return whole._replace(content=msgspec.structs.replace(whole.content, hashtags=()))
    return whole._replace(content=msgspec.structs.replace(whole.content, text=""), overlaid="")


@pytest.mark.parametrize("branch", ["image", "text", "tags"])
@pytest.mark.parametrize("n_folds", [0, 2])
def test_a_branch_that_no_post_teaches_is_left_out(branch: str, n_folds: int) -> None:
    posts, positive = posts_with_labels(60)
    posts = [without(branch, whole) for whole in posts]
    train, validation, _ = rows(60)
    settings = replace(
        QUICK, n_folds=n_folds, network=Schedule(max_epochs=1), pictures=Schedule(max_epochs=1)
    )
    model = fit(posts, positive, train, validation, range(60), settings)
    others = {"image", "text", "tags"} - {branch}
    assert set(model.networks) == {"three_branch", *others}
    assert set(model.config.networks["three_branch"].branches) == others
    whole = post("the secret cure", ("curenews",), (picture(1, True),), "exposed poison")
    detector = ThreeBranchDetector(model)
    (found,) = detector.score([whole])
    assert set(found.used) == others and found.missing == {branch: "not_learnt"}
    assert found.verdict.score == detector.score([without(branch, whole)])[0].verdict.score


def test_posts_that_teach_nothing_are_named() -> None:
    posts, positive = posts_with_labels(20)
    empty = [post("", post_id=str(i)) for i in range(20)]
    train, validation, _ = rows(20)
    with pytest.raises(CannotTrain, match="no posts of both classes with anything to read"):
        fit(empty, positive, train, validation, range(20), QUICK)
    only_false = train[positive[train]]
    with pytest.raises(CannotTrain):
        fit(posts, positive, only_false, validation, range(20), QUICK)


def test_each_fold_sees_pictures_with_a_backbone_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    posts, positive = posts_with_labels(60)
    train, validation, _ = rows(60)
    settings = replace(
        QUICK, n_folds=3, network=Schedule(max_epochs=1), pictures=Schedule(max_epochs=1)
    )
    given = ready(posts, positive, train, validation, range(60), settings)
    learnt_from: list[set[int]] = []

    def spy(posts: object, positive: object, train: Ints, *others: object) -> Backbone:
        learnt_from.append(set(train.tolist()))
        return given.backbone

    monkeypatch.setattr(train_three_branch, "fit_backbone", spy)
    out_of_fold_scores(given, {"three_branch": Calibration(1.0, 0.0)}, train, validation, settings)
    assert len(learnt_from) == 3
    held = [set(train.tolist()) - own for own in learnt_from]
    assert set.union(*held) == set(train.tolist()) and sum(map(len, held)) == len(train)


def test_one_network_alone_can_be_fitted() -> None:
    posts, positive = posts_with_labels(60)
    train, validation, _ = rows(60)
    settings = Settings(
        switches=Switches(branches=("text", "tags")),
        combine="network",
        network=Schedule(max_epochs=1),
        pictures=Schedule(max_epochs=1),
    )
    model = fit(posts, positive, train, validation, range(60), settings)
    assert set(model.networks) == {"three_branch"}
    (found,) = ThreeBranchDetector(model).score(posts[:1])
    assert found.verdict.state == "scored"


def test_training_hides_branches_and_never_shows_what_is_not_there() -> None:
    torch.manual_seed(0)
    there = torch.tensor([[True, False]] * 500)
    nothing = torch.zeros(500, 1)
    inputs = Inputs(nothing, there, nothing, there, nothing, torch.ones(500).bool())
    hidden = hide_branches(inputs, 0.2)
    assert not hidden.words_there[:, 1].any()
    assert 0.7 < hidden.words_there[:, 0].float().mean() < 0.9
    assert not torch.equal(hidden.words_there, hidden.tags_there)
