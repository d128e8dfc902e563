"""The invented Instagram month through the run: claims on pictures alone, with OCR and without.

A three-branch detector learns a month of another seed; what stands on its pictures is given to it,
since reading them takes a minute. Then `local.run` decodes the pictures of this month, reads the
words in them, and it judges. The invented captions that hide a claim are met nowhere else and would
give it away: each is in training three times more, over harmless pictures. So the claims, of which
there are a few dozen, are known to it; the posts, captions, pictures and what OCR makes of them are
new.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch

from detectors import three_branch
from detectors.networks.training import Schedule
from detectors.posts import WholePost, look_at
from detectors.registry import load_detector
from detectors.train_three_branch import Settings, fit
from hoaxwatch.simulate import Simulated, simulate
from hoaxwatch.simulate.pictures import draw
from hoaxwatch.simulate.postings import Posting
from hoaxwatch.simulate.world import make_world
from storage.database import connect
from streams import local
from streams.records import Content
from streams.settings import read_settings

pytest.importorskip("rapidocr")
pytest.importorskip("gensim")

HARMLESS = ("GOOD MORNING", "THE FERRY SAILS AT TEN", "OPEN TODAY", "LEMON CAKE AND COFFEE", None)
QUICK = Settings(
    languages=("en",),
    network=Schedule(optimiser="rmsprop", learning_rate=3e-3, batch=16, max_epochs=8, patience=8),
    pictures=Schedule(learning_rate=1e-3, batch=32, max_epochs=2),
    n_folds=0,
    topic_tags=("mastwatch", "cashisfreedom"),
)


class Judged(NamedTuple):
    """flagged: posts. missing: of each post that was judged what it lacked, and why."""

    flagged: set[str]
    missing: dict[str, dict[str, str]]


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Simulated:
    return simulate(tmp_path_factory.mktemp("month"), 4, 30, 1500, languages=("en",))


def over_other_words(posting: Posting, words: str | None) -> Posting:
    """The posting with harmless words where the claim stood."""
    pictures = (replace(p, words=words if p.words else None) for p in posting.pictures)
    return replace(posting, pictures=tuple(pictures), caption_hides=False, label="likely_true")


def seen(posting: Posting) -> WholePost:
    """A posting with its pictures, and the words that were drawn over them."""
    wording = posting.wordings[0]
    content = Content(
        platform="instagram", root_id=posting.post_id, text=wording.text, hashtags=wording.tags
    )
    words = " ".join(p.words for p in posting.pictures if p.words)
    return look_at(content, [draw(p) for p in posting.pictures])._replace(overlaid=words)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    world = make_world(seed=3, n_days=30, n_posts=12_000, languages=("en",))
    postings = [p for p in world.postings if p.platform == "instagram"]
    hiding = [p for p in postings if p.caption_hides]
    for i, posting in enumerate(hiding):
        chosen = (HARMLESS[(3 * i + k) % len(HARMLESS)] for k in range(3))
        postings += [over_other_words(posting, words) for words in chosen]
    numbers = {posting.post_id: i for i, posting in enumerate(postings)}
    groups = np.array([numbers[posting.post_id] for posting in postings])
    in_validation = np.random.default_rng(0).random(len(postings))[groups] < 0.2
    positive = np.array([posting.label == "likely_false" for posting in postings])
    train, validation = np.flatnonzero(~in_validation), np.flatnonzero(in_validation)
    posts = [seen(posting) for posting in postings]
    folder = tmp_path_factory.mktemp("weights")
    three_branch.save(fit(posts, positive, train, validation, groups.tolist(), QUICK), folder)
    return folder


def judged(database: str, month: Simulated, weights: Path, *, ocr: bool) -> Judged:
    """What the run says of the month's Instagram posts, over what it said before."""
    detector = load_detector("three_branch", weights=weights)
    settings = read_settings(detector="null", media=month.folder / "media", ocr=ocr)
    paths = sorted((month.folder / "posts").glob("ig_*"))
    local.run(database, local.check_inputs(paths), detector, settings)
    with connect(database) as connection:
        rows = connection.execute(
            "SELECT root_id, score >= %s, parts -> 'missing' FROM hoaxwatch.verdicts",
            (detector.threshold,),
        ).fetchall()
    return Judged({root for root, yes, _ in rows if yes}, {root: said for root, _, said in rows})


@pytest.mark.slow
@pytest.mark.first_server
@pytest.mark.timeout(900)
def test_with_ocr_the_month_s_hidden_claims_are_found_and_without_it_they_are_not(
    database: str, month: Simulated, weights: Path
) -> None:
    reading, blind = (judged(database, month, weights, ocr=ocr) for ocr in (True, False))
    postings = {p.post_id: p for p in month.world.postings if p.post_id in reading.missing}
    hidden = {root for root, posting in postings.items() if posting.caption_hides}
    calm = {root for root, posting in postings.items() if posting.label == "likely_true"}
    print(
        f"of {len(hidden)} hidden claims {len(hidden & reading.flagged)} found with OCR and "
        f"{len(hidden & blind.flagged)} without; of {len(calm)} calm posts "
        f"{len(calm & reading.flagged)} and {len(calm & blind.flagged)} flagged"
    )
    assert len(hidden) >= 10 and len(calm) >= 60
    assert len(hidden & reading.flagged) >= 0.8 * len(hidden)
    assert len(hidden & blind.flagged) <= 0.1 * len(hidden)
    assert len(calm & reading.flagged) <= 0.05 * len(calm)
    assert {blind.missing[root]["ocr"] for root in hidden} == {"not_read"}
    # what the platform no longer has costs its post the picture, and nothing else
    absent = {root for root, parts in reading.missing.items() if parts.get("image") == "no_file"}
    assert absent == {root for root in reading.missing if root.startswith("DVpoison")}
