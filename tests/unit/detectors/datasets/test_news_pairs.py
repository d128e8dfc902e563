"""Pairs made of news and pictures: what each class holds, and what training and test share."""

from __future__ import annotations

import csv
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pictures

from detectors.datasets.generated_pairs import LabelledPair
from detectors.datasets.labelled import MissingDataset
from detectors.datasets.news_pairs import SIDE, generate_from_news
from detectors.factify import CLASSES, INSUFFICIENT_MULTIMODAL, REFUTE, SUPPORT_MULTIMODAL
from tests.unit.detectors.stem_encoder import StemEncoder

N = 5


def story(kind: str, number: int) -> dict[str, str]:
    """A story whose words no other story has, with an article long enough to be one."""
    words = [f"{kind}{number}word{i}" for i in range(60)]
    return {"title": f"Headline {' '.join(words[:5])}", "text": f"News: {' '.join(words)}"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of data with just enough stories, and two pictures of each of four events."""
    data = tmp_path_factory.mktemp("data")
    (data / "text").mkdir()
    for kind, name, count in (("true", "isot_true.csv", 4 * N), ("odd", "isot_fake.csv", 2 * N)):
        with (data / "text" / name).open("w", newline="") as file:
            writer = csv.DictWriter(file, ("title", "text"))
            writer.writeheader()
            writer.writerows(story(kind, number) for number in range(count))
    images = data / "mediaeval2016" / "images"
    images.mkdir(parents=True)
    random = np.random.default_rng(1)
    for event in range(4):
        for copy in range(2):
            pixels = np.full((120, 150, 3), 60 * event + 5 * copy, dtype=np.uint8)
            pixels[:, :, event % 3] += random.integers(0, 20, (120, 150), dtype=np.uint8)
            Pictures.fromarray(pixels).save(images / f"event{event}_{copy}.jpg")
    return data


@pytest.fixture(scope="module")
def halves(folder: Path) -> tuple[list[LabelledPair], list[LabelledPair]]:
    return generate_from_news(folder, N, StemEncoder())


def level(pair: LabelledPair, side: int) -> float:
    """The mean of the claim's (0) or the document's (1) picture: which event it is of."""
    images = (pair.pair.claim_images, pair.pair.document_images)[side]
    return float(np.mean(images[0]))


def test_every_class_has_as_many_pairs(halves: tuple[list[LabelledPair], ...]) -> None:
    for half in halves:
        found = [pair.label for pair in half]
        assert {label: found.count(label) for label in CLASSES} == dict.fromkeys(CLASSES, N)


def test_what_supports_is_the_own_article(halves: tuple[list[LabelledPair], ...]) -> None:
    for pair in (pair for half in halves for pair in half):
        claim, document = pair.pair.claim.split(), pair.pair.document.split()
        assert (claim[1] in document) == (not pair.label.startswith("Insufficient"))
        if pair.label == REFUTE:
            assert pair.pair.claim in pair.pair.document, "the denial names what it denies"
            assert any(word.startswith("true") for word in document), "and an article follows"


def test_pictures_are_crops_in_the_multimodal_classes(
    halves: tuple[list[LabelledPair], ...],
) -> None:
    for pair in (pair for half in halves for pair in half):
        apart = abs(level(pair, 0) - level(pair, 1))
        if pair.label in (SUPPORT_MULTIMODAL, INSUFFICIENT_MULTIMODAL):
            assert apart < 10
        elif pair.label != REFUTE:
            assert apart > 20, "another event"
        assert max(pair.pair.claim_images[0].shape) <= SIDE


def test_training_and_test_share_no_story_and_no_event(
    halves: tuple[list[LabelledPair], ...],
) -> None:
    def stories(half: list[LabelledPair]) -> set[str]:
        words = " ".join(f"{pair.pair.claim} {pair.pair.document}" for pair in half).split()
        return {word.partition("word")[0] for word in words if "word" in word}

    def events(half: list[LabelledPair]) -> set[int]:
        return {round((level(pair, side) - 5) / 60) for pair in half for side in (0, 1)}

    first, second = halves
    assert stories(first)
    assert not stories(first) & stories(second)
    assert not events(first) & events(second)


def test_the_seed_decides(folder: Path, halves: tuple[list[LabelledPair], ...]) -> None:
    again, other = (generate_from_news(folder, N, StemEncoder(), seed)[0] for seed in (1, 2))
    texts = [[pair.pair[:2] for pair in half] for half in (halves[0], again, other)]
    assert [a == b for a, b in pairwise(texts)] == [True, False]


def test_too_few_stories_or_events_are_told(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingDataset, match="20 stories where 24 are wanted; take fewer"):
        generate_from_news(folder, N + 1, StemEncoder())
    (tmp_path / "text").symlink_to(folder / "text")
    with pytest.raises(MissingDataset, match="pictures of 0 events; four are needed"):
        generate_from_news(tmp_path, N, StemEncoder())
    with pytest.raises(MissingDataset, match=r"no isot_true\.csv"):
        generate_from_news(tmp_path / "nowhere", N, StemEncoder())


def test_another_article_is_on_a_like_matter(data: Path) -> None:
    encoder = StemEncoder()
    pairs = [pair for pair in generate_from_news(data, 20, encoder)[0] if "Insuff" in pair.label]
    claims = encoder.encode([pair.pair.claim for pair in pairs])
    documents = encoder.encode([pair.pair.document for pair in pairs])
    alike = claims @ documents.T
    assert np.diag(alike).mean() > 1.5 * alike.mean()
