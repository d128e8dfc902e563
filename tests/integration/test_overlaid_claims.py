"""The invented Instagram through the run: claims on pictures alone, with OCR and without.

A marker knows the claims word for word, so what it misses is what the run did not give it. That the
three-branch network learns such claims is tested beside it (tests/unit/detectors).
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from detectors.detector import Detector
from detectors.text.ocr import default_engine
from hoaxwatch.simulate import Simulated, simulate
from storage.database import connect
from streams import local
from streams.settings import read_settings
from tests.integration.test_whole_posts import Marker

pytest.importorskip("rapidocr")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Simulated:
    return simulate(tmp_path_factory.mktemp("world"), 4, 5, 1500, languages=("en",))


def flagged(
    database: str, world: Simulated, detector: Detector, *, ocr: bool
) -> tuple[set[str], dict[str, dict[str, str]]]:
    """The Instagram posts that a run flags, and what each lacked."""
    settings = read_settings(detector="null", media=world.folder / "media", ocr=ocr)
    paths = sorted((world.folder / "posts").glob("ig_*"))
    local.run(database, local.check_inputs(paths), detector, settings)
    with connect(database) as connection:
        rows = connection.execute(
            "SELECT root_id, score >= %s, parts -> 'missing' FROM hoaxwatch.verdicts",
            (detector.threshold,),
        ).fetchall()
    return {root for root, is_flagged, _ in rows if is_flagged}, {root: m for root, _, m in rows}


def hidden_in(world: Simulated, stored: set[str]) -> set[str]:
    """Stored posts whose captions say nothing of the claim on their picture."""
    return {
        p.post_id
        for p in world.world.postings
        if p.platform == "instagram" and p.caption_hides and p.post_id in stored
    }


def test_words_on_pictures_reach_the_detector_and_without_ocr_they_do_not(
    database: str, world: Simulated
) -> None:
    claims = {
        picture.words.casefold()
        for posting in world.world.postings
        for picture in posting.pictures
        if picture.words and picture.is_false
    }
    judge = Marker(make_ocr=default_engine, phrases=frozenset(claims))
    found, missing = flagged(database, world, judge, ocr=True)
    hidden = hidden_in(world, set(missing))
    assert len(hidden) >= 8
    assert len(found & hidden) >= 0.8 * len(hidden)
    absent = {root for root, parts in missing.items() if parts.get("image") == "no_file"}
    assert absent == {root for root in missing if root.startswith("DVpoison")}
    blind, _ = flagged(database, world, judge, ocr=False)
    assert not blind & hidden
