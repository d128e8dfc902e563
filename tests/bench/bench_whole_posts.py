"""Posts a second of each detector of whole posts, against the loop of one post after the other.

    python -m tests.bench.bench_whole_posts [number of posts]

Both read the same files, with the same weights, and must give the same verdicts. The loop reads a
file, decodes it, reads its words and asks the detector, one post at a time and every picture; the
other is `streams.judging`, with threads ahead of the model and OCR only where text is likely. They
take turns, N_ROUNDS times: median, least and greatest are told. A third run has both loops on the
pictures alone: what the skip spares, and which of the words that were drawn it misses. Weights are
trained for a moment: speed does not depend on what they say.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import torch

from detectors.datasets.labelled import LabelledPost
from detectors.image.text_presence import is_text_likely
from detectors.labels import LABELS
from detectors.posts import PostVerdict, ReadsPosts, WholePost, see
from detectors.registry import load_detector
from detectors.social.attributes import text_attributes
from detectors.text.ocr import default_engine
from detectors.training import Task, run
from hoaxwatch.simulate.pictures import draw
from hoaxwatch.simulate.postings import Posting
from hoaxwatch.simulate.world import make_world
from storage.whole_posts import Counted, StoredMedia, StoredPost
from streams.judging import OfPosts, StoredContent, attributes_of
from streams.picture_files import PictureFolders
from streams.records import Author, Content, Verdict, content_hash
from tests.bench.measure import print_result, seconds_of
from tests.encoders import save_tiny
from tests.made_up_sets import sentence

N_ROUNDS = 5
NO_WORDS = '"with_words_in_pictures": false', '"with_words_in_pictures": true'
QUICK = {
    "three_branch": {"epochs": "1", "combine": "network"},
    "att_xdsf": {"epochs": "1", "text": "characters"},
    "tweet_metadata": {"epochs": "2", "n_filters": "8", "frozen": "2"},
}


def train(folder: Path, pictures: Sequence[Path]) -> dict[str, Path]:
    """A folder of weights for each detector."""
    rng = random.Random(2)
    posts = [
        LabelledPost(
            "made up",
            "validation" if i % 4 > 2 else "train",
            str(i),
            f"{sentence(rng, i % 8 > 3)} #mast #day",
            LABELS[i % 8 > 3],
            images=(pictures[i % len(pictures)],),
            attributes={"followers": float(i), "likes": float(i % 7), "retweets": 1.0},
        )
        for i in range(80)
    ]
    encoder = str(save_tiny(folder / "encoder"))
    found = {}
    for name, changes in QUICK.items():
        out = folder / name
        settings = changes | ({"ocr": "false"} if name == "three_branch" else {})
        run(name, Task(posts, out, out, encoder, lambda line: None, small=True, changes=settings))
        found[name] = out
    config = found["three_branch"] / "config.json"  # trained without OCR, which takes long
    told = config.read_text("utf-8").replace(*NO_WORDS)
    config.write_text(told, "utf-8")
    return found


def stored_of(posting: Posting) -> tuple[Content, StoredPost]:
    wording = posting.wordings[0]
    media = tuple(StoredMedia(f"https://x.example/{p.name}", "image") for p in posting.pictures)
    content = Content(
        platform="instagram",
        root_id=posting.post_id,
        text=wording.text,
        lang="en",
        hashtags=wording.tags,
        input_hash=content_hash(wording.text, "en"),
    )
    author = Author(author_id="1", followers=posting.number % 999)
    counters = {"likes": Counted(posting.number % 99, None)}
    return content, StoredPost(None, author, counters, media, None)


def one_after_the_other(
    detector: ReadsPosts, posts: Sequence[tuple[Content, StoredPost]], folder: Path, engine: Any
) -> list[PostVerdict]:
    """The straightforward loop: no threads, and OCR of every picture."""
    found = []
    for content, stored in posts:
        seen = []
        if "pictures" in detector.reads:
            names = (item.url.rpartition("/")[2] for item in stored.media)
            seen = [see((folder / name).read_bytes()) for name in names]
        overlaid = None
        if engine is not None:
            texts = [engine.read(p.pixels).text for p in seen if p.pixels is not None]
            overlaid = " ".join(filter(None, texts))
        attributes = text_attributes(content.text, content.lang)
        attributes |= attributes_of(stored, detector.reads)
        found += detector.score_posts([WholePost(content, attributes, tuple(seen), overlaid)])
    return found


def measure(
    name: str, weights: Path, posts: Sequence[tuple[Content, StoredPost]], folder: Path
) -> dict[str, Any]:
    """Both ways in turn, so that what else the machine does hits both, and whether they agree."""
    detector: Any = load_detector(name, weights=weights)
    engine = default_engine() if detector.make_ocr is not None else None
    judging = OfPosts(detector, PictureFolders(folder, folder), True)
    waiting: list[StoredContent] = [judging.with_stored(*post) for post in posts]
    judging.score(waiting[:2])  # loading is not measured
    if engine is not None:
        one_after_the_other(detector, posts[:2], folder, engine)
    looped: list[PostVerdict] = []
    pipelined: list[Verdict] = []
    slow, fast = [], []
    for _ in range(N_ROUNDS):
        looped.clear()
        pipelined.clear()
        slow.append(
            seconds_of(lambda: looped.extend(one_after_the_other(detector, posts, folder, engine)))
        )
        fast.append(seconds_of(lambda: pipelined.extend(judging.score(waiting))))
    same = sum(a.verdict.score == b.score for a, b in zip(looped, pipelined, strict=True))
    return {
        "posts_per_second_loop": _spread(len(posts) / seconds for seconds in slow),
        "posts_per_second_pipelined": _spread(len(posts) / seconds for seconds in fast),
        "faster": _spread(a / b for a, b in zip(slow, fast, strict=True)),
        "same_score": [same, len(posts)],
    }


def _spread(values: Iterable[float]) -> list[float]:
    """Median, least and greatest."""
    found = sorted(values)
    return [round(value, 2) for value in (median(found), found[0], found[-1])]


def skip(postings: Sequence[Posting], folder: Path) -> dict[str, Any]:
    """What "OCR only where text is likely" spares and misses, of words that were drawn."""
    engine = default_engine()
    pictures = [picture for posting in postings for picture in posting.pictures]
    seen = [(see((folder / p.name).read_bytes()).pixels, p.words) for p in pictures]
    likely = [pixels is not None and is_text_likely(pixels) for pixels, _ in seen]
    with_words = [yes for yes, (_, words) in zip(likely, seen, strict=True) if words]
    read = seconds_of(lambda: [engine.read(p) for p, _ in seen if p is not None])
    only = seconds_of(
        lambda: [engine.read(p) for p, _ in seen if p is not None and is_text_likely(p)]
    )
    return {
        "pictures": len(seen),
        "with_words": len(with_words),
        "missed_with_words": with_words.count(False),
        "spared": likely.count(False),
        "ocr_seconds_of_all": round(read, 2),
        "ocr_seconds_where_likely": round(only, 2),
    }


def main(n_posts: int = 60) -> None:
    """Measure and print."""
    torch.set_num_threads(1)
    world = make_world(seed=4, n_days=5, n_posts=40 * n_posts, languages=("en",))
    postings = [p for p in world.postings if p.platform == "instagram" and p.pictures][:n_posts]
    with TemporaryDirectory() as name:
        folder = Path(name)
        media = folder / "media"
        media.mkdir()
        for posting in postings:
            for picture in posting.pictures:
                (media / picture.name).write_bytes(draw(picture))
        weights = train(folder, sorted(media.iterdir()))
        posts = [stored_of(posting) for posting in postings]
        result: dict[str, Any] = {"posts": len(posts)}
        for detector, own in weights.items():
            result[detector] = measure(detector, own, posts, media)
        result["ocr_only_where_likely"] = skip(postings, media)
    print_result("whole_posts", result)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
