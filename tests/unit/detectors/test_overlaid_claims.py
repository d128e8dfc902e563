"""Claims on pictures of the invented Instagram: found with the words read, missed without."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

from detectors.networks.training import Schedule
from detectors.posts import WholePost, look_at
from detectors.text.ocr import RapidOcr
from detectors.three_branch import ThreeBranchDetector
from detectors.train_three_branch import Settings, fit
from hoaxwatch.simulate.pictures import draw
from hoaxwatch.simulate.postings import Posting
from hoaxwatch.simulate.world import make_world
from streams.records import Content

HARMLESS = ("THE FERRY SAILS AT TEN", "LEMON CAKE AND COFFEE", "SEE YOU ON SUNDAY")
QUICK = Settings(
    network=Schedule(optimiser="rmsprop", learning_rate=3e-3, batch=16, max_epochs=12, patience=12),
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


def retold(posting: Posting, words: str) -> Posting:
    """The posting with other words over its first picture."""
    first, *others = posting.pictures
    return replace(posting, pictures=(replace(first, words=words), *others))


def told(postings: list[Posting]) -> tuple[list[WholePost], list[bool]]:
    """Posts to learn from, with what stands on their pictures: only those of the test are read.

    That a picture has words, and that a caption is one of those which hide something, would give a
    claim away here: so each such post is there once more with harmless words, as a calm one.
    """
    shown = [posting for posting in postings if posting.caption_hides]
    shown += [posting for posting in postings if not posting.caption_hides][: len(shown)]
    shown += [retold(p, HARMLESS[i % 3]) for i, p in enumerate(shown) if p.caption_hides]
    posts, positive = [], []
    for posting in shown:
        words = " ".join(picture.words for picture in posting.pictures if picture.words)
        seen = look_at(content(posting), [draw(picture) for picture in posting.pictures])
        posts.append(seen._replace(overlaid=words))
        positive.append(posting.label == "likely_false" and not set(HARMLESS) & {words})
        if posting.caption_hides:
            posts.append(seen._replace(overlaid=""))
            positive.append(False)
    return posts, positive


@pytest.mark.slow
def test_with_ocr_it_finds_what_captions_hide_and_without_it_does_not() -> None:
    learnt = instagram(seed=3, n_posts=6000)
    posts, labels = told(learnt)
    numbers = np.random.default_rng(0).permutation(len(posts))
    train, validation = numbers[len(posts) // 5 :], numbers[: len(posts) // 5]
    positive = np.array(labels)
    detector = ThreeBranchDetector(fit(posts, positive, train, validation, numbers.tolist(), QUICK))

    others = instagram(seed=4, n_posts=2000)
    hidden = [posting for posting in others if posting.caption_hides][:8]
    calm = [retold(posting, "THE FERRY SAILS AT TEN") for posting in hidden]
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
        return sum(score >= 0.5 for score in scores)

    assert len(hidden) == 8
    assert flagged(hidden, with_ocr=True) >= 6
    assert flagged(hidden, with_ocr=False) <= 3
    assert flagged(calm, with_ocr=True) <= 2
