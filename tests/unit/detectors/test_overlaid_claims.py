"""Claims on pictures of the invented Instagram: found with the words read, missed without."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

from detectors.posts import WholePost, look_at
from detectors.text.ocr import RapidOcr
from detectors.three_branch import ThreeBranchDetector
from detectors.train_three_branch import Settings, fit
from detectors.training import Schedule
from hoaxwatch.simulate.pictures import draw
from hoaxwatch.simulate.postings import Posting
from hoaxwatch.simulate.world import make_world
from streams.records import Content

QUICK = Settings(
    network=Schedule(optimiser="rmsprop", learning_rate=3e-3, batch=32, max_epochs=16, patience=8),
    pictures=Schedule(learning_rate=1e-3, batch=32, max_epochs=1),
    combine="network",
    topic_tags=("mastwatch", "cashisfreedom"),
)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def instagram(seed: int, n_posts: int) -> list[Posting]:
    world = make_world(seed=seed, n_days=5, n_posts=n_posts, languages=("en",))
    return [p for p in world.postings if p.platform == "instagram" and p.wordings[0].text]


def content(posting: Posting) -> Content:
    wording = posting.wordings[0]
    return Content(
        platform="instagram",
        root_id=posting.post_id,
        text=wording.text,
        lang="en",
        hashtags=wording.tags,
    )


def told(postings: list[Posting]) -> tuple[list[WholePost], list[bool]]:
    """Posts to learn from, with what stands on their pictures: only those of the test are read.

    Captions that hide a claim are like no others here, and would be learnt by heart: so each is
    there once more, under pictures without words, as a calm post.
    """
    posts, positive = [], []
    for posting in postings:
        words = " ".join(picture.words for picture in posting.pictures if picture.words)
        seen = look_at(content(posting), [draw(picture) for picture in posting.pictures])
        posts.append(seen._replace(overlaid=words))
        positive.append(posting.label == "likely_false")
        if posting.caption_hides:
            bare = [draw(replace(picture, words=None)) for picture in posting.pictures]
            posts.append(look_at(content(posting), bare)._replace(overlaid=""))
            positive.append(False)
    return posts, positive


def test_with_ocr_it_finds_what_captions_hide_and_without_it_does_not() -> None:
    learnt = instagram(seed=3, n_posts=5000)
    posts, labels = told(learnt)
    numbers = np.arange(len(posts))
    train, validation = numbers[numbers % 5 > 0], numbers[numbers % 5 == 0]
    positive = np.array(labels)
    detector = ThreeBranchDetector(fit(posts, positive, train, validation, numbers.tolist(), QUICK))

    others = instagram(seed=4, n_posts=2000)
    hidden = [posting for posting in others if posting.caption_hides][:8]
    calm = [posting for posting in others if posting.label == "likely_true"][:8]
    read = RapidOcr().read

    def flagged(postings: list[Posting], with_ocr: bool) -> int:
        seen = [
            look_at(
                content(posting),
                [draw(picture) for picture in posting.pictures],
                read=read if with_ocr else None,
            )
            for posting in postings
        ]
        scores = [found.verdict.score or 0.0 for found in detector.score(seen)]
        return sum(score >= detector.threshold for score in scores)

    assert len(hidden) == len(calm) == 8
    assert flagged(hidden, with_ocr=True) >= 6
    assert flagged(hidden, with_ocr=False) <= 3
    assert flagged(calm, with_ocr=True) <= 2
