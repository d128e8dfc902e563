"""Labelled posts as multimodal detectors read them: pictures decoded and read once."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from detectors.datasets.labelled import LabelledPost, Split
from detectors.image.decode import Pixels
from detectors.posts import (
    Part,
    PostDetector,
    PostVerdict,
    Read,
    SeenPicture,
    WholePost,
    see,
    words_in,
)
from detectors.social.attributes import text_attributes
from detectors.text.ocr import Line, Ocr, Reading
from detectors.trained import Opinion
from streams.records import Content, Verdict, content_hash


def whole_posts(posts: Sequence[LabelledPost], read: Read | None = None) -> list[WholePost]:
    """The posts with the pictures whose files are there, and the words in them if `read` is given.

    The hashtags are those in the text. Attributes are the data set's. Cost: 1 ms a picture, and
    what `read` takes for each one in which text is likely.
    """
    pictures: dict[Path, SeenPicture] = {}
    overlaid: dict[Path, str] = {}
    found = []
    for post in posts:
        for path in post.images:
            if path not in pictures:
                pictures[path] = see(path.read_bytes())
                overlaid[path] = "" if read is None else words_in([pictures[path]], read)
        content = Content(
            platform=post.dataset,
            root_id=post.post_id,
            text=post.text,
            lang=post.lang,
            input_hash=content_hash(post.text, post.lang),
        )
        said = None if read is None else " ".join(filter(None, (overlaid[p] for p in post.images)))
        seen = tuple(pictures[path] for path in post.images)
        found.append(WholePost(content, post.attributes, seen, said))
    return found


def cached_reader(engine: Ocr, cache: Path | None) -> Read:
    """Reads with that engine, and keeps what it reads in a JSON file: reading takes a hundred times
    as long as all the rest. A file of another engine or other languages is not used."""
    known: dict[str, str] = {}
    if cache is not None and cache.is_file():
        held: dict[str, Any] = json.loads(cache.read_text("utf-8"))
        known = held["texts"] if held["engine"] == engine.key else {}

    def read(pixels: Pixels) -> Reading:
        key = sha256(pixels.tobytes()).hexdigest()
        if key not in known:
            known[key] = engine.read(pixels).text
            if cache is not None:
                cache.write_text(json.dumps({"engine": engine.key, "texts": known}), "utf-8")
        return Reading((Line(known[key], 1.0, (0.0, 0.0, 1.0, 1.0)),) if known[key] else ())

    return read


def rows_of_split(splits: Sequence[Split | None], name: Split) -> NDArray[np.int64]:
    """The numbers of the posts of a split."""
    return np.array([i for i, split in enumerate(splits) if split == name], dtype=np.int64)


class AsDetector:
    """A detector of whole posts behind the interface of all detectors: of texts alone
    (`detectors.detector.Detector`), of labelled posts (`JudgesPosts`) and of what a run stores
    (`detectors.posts.ReadsPosts`). reads, make_ocr: as there; its `explain` is of posts."""

    def __init__(
        self,
        detector: PostDetector,
        reads: frozenset[Part],
        make_ocr: Callable[[], Ocr] | None,
    ) -> None:
        self.detector, self.reads, self.make_ocr = detector, reads, make_ocr
        self.name, self.version = detector.name, detector.version
        self.threshold = detector.threshold

    def score_posts(self, posts: Sequence[WholePost]) -> list[PostVerdict]:
        """One verdict per post, in order."""
        return self.detector.score(posts)

    def explain_post(self, post: WholePost) -> tuple[tuple[str, float], ...]:
        """What weighed most."""
        return self.detector.explain(post)

    def judge_posts(self, posts: Sequence[LabelledPost]) -> list[Opinion]:
        """One opinion per post, with its pictures and attributes."""
        read = None if self.make_ocr is None else self.make_ocr().read
        found = self.detector.score(whole_posts(posts, read))
        return [Opinion(judged.verdict.score, judged.verdict.reason) for judged in found]

    def score(self, contents: Sequence[Content]) -> list[Verdict]:
        """What it says where nothing but the text is known."""
        verdicts = []
        for content in contents:
            post = WholePost(content, text_attributes(content.text, content.lang), (), None)
            (judged,) = self.detector.score([post])
            verdicts.append(msgspec.structs.replace(judged.verdict, input_hash=content.input_hash))
        return verdicts
