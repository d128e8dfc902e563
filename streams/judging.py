"""How contents are judged: by their words alone, or as whole posts with account and pictures.

Detectors of words get batches as they are. For one that reads more (`detectors.posts.ReadsPosts`),
what is stored of each content is read first, and hashed: what was judged with the same hash is not
judged again. Pictures are decoded, and the words in them read, in threads ahead of the model, a
bounded number of posts ahead.
"""

from __future__ import annotations

import os
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple, Protocol, cast

import msgspec

from detectors.detector import Detector
from detectors.image.decode import LIMITS
from detectors.image.text_presence import is_text_likely
from detectors.metadata import AGE
from detectors.posts import Part, PostVerdict, ReadsPosts, SeenPicture, WholePost, see
from detectors.social.attributes import account_attributes, text_attributes
from detectors.text.ocr import Ocr, OcrUnavailable
from storage import media
from storage.database import Connection
from storage.whole_posts import (
    PictureWords,
    StoredMedia,
    StoredPost,
    read_stored,
    read_words,
    store_words,
)
from streams import steps
from streams.errors import UsageError
from streams.media import BatchPictures
from streams.picture_files import PictureFolders
from streams.records import Content, Parts, Verdict
from streams.settings import Settings

#: Pictures of one post that are looked at; Instagram takes 20.
MAX_PICTURES = 20
#: Posts that are looked at ahead of the model, for each thread: they hold their first picture.
AHEAD = 2


class Judging(Protocol):
    """How a detector judges. Used from one thread."""

    def fetch(self, connection: Connection, contents: Sequence[Content]) -> Counter[str]:
        """Fetches what the detector wants of these contents and is elsewhere, in bounded time and
        outside any transaction; how many pictures came to what."""

    def read(self, connection: Connection, contents: Sequence[Content]) -> Sequence[Content]:
        """Those of the contents that must be judged, with what is stored of them."""

    def score(self, contents: Sequence[Content]) -> list[Verdict]:
        """One verdict for each that `read` gave. Asks no database."""

    def keep(self, connection: Connection) -> None:
        """Stores what was found out on the way and is of use again, in a transaction."""

    def __call__(self, connection: Connection, contents: Sequence[Content]) -> list[Verdict]:
        """The last three."""


def judging_of(detector: Detector, settings: Settings, *, of_new: bool = False) -> Judging:
    """How this detector judges. of_new: posts that just came, whose pictures are fetched where
    `media_fetch` says so. Raises UsageError for a media folder that is none, one for fetched
    pictures that cannot be made, and where words in pictures are to be read without OCR."""
    if isinstance(detector, ReadsPosts):
        fetches = of_new and settings.media_fetch and "pictures" in detector.reads
        fetch = BatchPictures(settings) if fetches else None
        pictures = PictureFolders(settings.media, settings.pictures_folder())
        return OfPosts(cast(PostJudge, detector), pictures, settings.ocr, fetch)
    return OfWords(detector)


class OfWords:
    """Words alone decide: nothing is asked of the database."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector

    def fetch(self, connection: Connection, contents: Sequence[Content]) -> Counter[str]:
        """Nothing."""
        return Counter()

    def read(self, connection: Connection, contents: Sequence[Content]) -> Sequence[Content]:
        """All of them: whoever asks knows that they have no verdict."""
        return contents

    def score(self, contents: Sequence[Content]) -> list[Verdict]:
        """One verdict for each."""
        return steps.classify(self._detector, contents)

    def keep(self, connection: Connection) -> None:
        """Nothing."""

    def __call__(self, connection: Connection, contents: Sequence[Content]) -> list[Verdict]:
        """One verdict for each."""
        return self.score(contents)


class PostJudge(ReadsPosts, Detector, Protocol):
    """A detector of whole posts."""


class File(NamedTuple):
    """A picture of a post. path: None if its file is not here."""

    path: Path | None
    sha256: bytes


class StoredContent(Content, frozen=True, kw_only=True):
    """A content with what is stored of it beside its words, as its detector reads it."""

    attributes: dict[str, float | None]
    files: tuple[File, ...]
    known_words: dict[bytes, str]


class OfPosts:
    """Whole posts decide; see the module. with_ocr: whether words in pictures are read if the
    detector reads them, and any pictures are here. fetch_pictures: None: only what is here is
    looked at."""

    def __init__(
        self,
        detector: PostJudge,
        pictures: PictureFolders,
        with_ocr: bool,
        fetch_pictures: BatchPictures | None = None,
    ) -> None:
        self._detector = detector
        self._pictures = pictures
        self._fetch_pictures = fetch_pictures
        make = detector.make_ocr if with_ocr and pictures.folders else None
        try:
            self._engine = "" if make is None else make().key
        except OcrUnavailable as error:
            raise UsageError(f"{error}; or go on without them: --no-ocr") from None
        self._ocr = _Readers(make) if make is not None else None
        self._n_threads = min(4, os.cpu_count() or 1)
        self._read: set[PictureWords] = set()

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self._n_threads, thread_name_prefix="look")

    def __call__(self, connection: Connection, contents: Sequence[Content]) -> list[Verdict]:
        """Verdicts on those that have none for what is stored now."""
        waiting = self.read(connection, contents)
        verdicts = self.score(waiting)
        self.keep(connection)
        return verdicts

    def fetch(self, connection: Connection, contents: Sequence[Content]) -> Counter[str]:
        """The pictures of these contents that are not here; see `media.BatchPictures`."""
        if self._fetch_pictures is None:
            return Counter()
        wanted = media.read_wanted_of(connection, contents, MAX_PICTURES)
        absent = [item for item in wanted if self._pictures.find_picture(item.url) is None]
        return self._fetch_pictures(connection, absent)

    def read(self, connection: Connection, contents: Sequence[Content]) -> Sequence[Content]:
        """Those of the contents whose verdict is of something else than what is stored now."""
        detector = self._detector
        found = read_stored(connection, contents, detector.name, detector.version)
        waiting = []
        for content, stored in zip(contents, found, strict=True):
            one = self.with_stored(content, stored)
            if stored.judged != (one.input_hash, one.read_hash):
                waiting.append(one)
        return self._with_words(connection, waiting)

    def _with_words(
        self, connection: Connection, contents: Sequence[StoredContent]
    ) -> list[StoredContent]:
        """The contents with what OCR read in their pictures before, for whatever post."""
        digests = {file.sha256 for one in contents for file in one.files if file.path}
        if not self._engine or not digests:
            return list(contents)
        known = read_words(connection, digests, self._engine)
        return [
            msgspec.structs.replace(
                one,
                known_words={f.sha256: known[f.sha256] for f in one.files if f.sha256 in known},
            )
            for one in contents
        ]

    def with_stored(self, content: Content, stored: StoredPost) -> StoredContent:
        """The content with what its detector reads, and the hash of that: so of nothing else."""
        reads = self._detector.reads
        tags = content.hashtags if "hashtags" in reads else ()
        attributes = attributes_of(stored, reads)
        files = self._files(stored.media) if "pictures" in reads else ()
        read = (
            tags,
            sorted(attributes.items()),
            [(file.path is not None, file.sha256) for file in files],
            self._engine,
        )
        return StoredContent(
            **{name: getattr(content, name) for name in Content.__struct_fields__}
            | {
                "hashtags": tags,
                "read_hash": blake2b(repr(read).encode(), digest_size=16).digest(),
                "attributes": attributes,
                "files": files,
                "known_words": {},
            }
        )

    def _files(self, items: Sequence[StoredMedia]) -> tuple[File, ...]:
        found = []
        for item in items[:MAX_PICTURES]:
            path = self._pictures.find_picture(item.url, item.sha256)
            found.append(File(path, b"" if path is None else self._pictures.digest(path)))
        return tuple(found)

    def score(self, contents: Sequence[Content]) -> list[Verdict]:
        """One verdict for each; the same input is judged once."""
        waiting = cast(Sequence[StoredContent], contents)
        distinct = {(one.input_hash, one.read_hash): one for one in waiting}
        looked_at = _ahead(self._threads, self._look, distinct.values(), AHEAD * self._n_threads)
        judged = {
            key: self._detector.score_posts([post])[0]
            for key, post in zip(distinct, looked_at, strict=True)
        }
        return [verdict_on(one, judged[one.input_hash, one.read_hash]) for one in waiting]

    def keep(self, connection: Connection) -> None:
        """Keeps the words that were read in pictures."""
        store_words(connection, self._engine, self._read)
        self._read.clear()

    def look(self, connection: Connection, content: Content) -> WholePost:
        """A content as its detector reads it."""
        (found,) = read_stored(connection, [content], "", "")
        (one,) = self._with_words(connection, [self.with_stored(content, found)])
        return self._look(one)

    def _look(self, content: StoredContent) -> WholePost:
        """A post with its pictures: what fails costs the post that part. Called from threads."""
        pictures: list[SeenPicture] = []
        words: list[str] = []
        for file in content.files:
            picture = see_file(file)
            if self._ocr is not None and picture.pixels is not None:
                said = content.known_words.get(file.sha256)
                if said is None:
                    said = self._words_in(picture)
                    if said is not None:
                        key = content.platform, content.root_id
                        self._read.add(PictureWords(*key, file.sha256, said))
                words.append(said or "")
            if any(seen.pixels is not None for seen in pictures):
                picture = picture._replace(pixels=None)  # branches see the first that can be read
            pictures.append(picture)
        attributes = text_attributes(content.text, content.lang) | content.attributes
        overlaid = None if self._ocr is None else " ".join(filter(None, words))
        return WholePost(content, attributes, tuple(pictures), overlaid)

    def _words_in(self, picture: SeenPicture) -> str | None:
        """The words in a picture; None if the engine failed, so that it is tried again another
        time."""
        assert picture.pixels is not None and self._ocr is not None
        if not is_text_likely(picture.pixels):
            return ""
        try:
            reading = self._ocr.engine.read(picture.pixels)
        except MemoryError:
            raise
        except Exception:  # engines raise a dozen kinds of it on pictures that are made for it
            return None
        return None if reading.problem else reading.text


class _Readers:
    """An OCR engine for each thread: they keep what they are at in themselves."""

    def __init__(self, make: Callable[[], Ocr]) -> None:
        self._make = make
        self._of_thread = threading.local()

    @property
    def engine(self) -> Ocr:
        if not hasattr(self._of_thread, "engine"):
            self._of_thread.engine = self._make()
        engine: Ocr = self._of_thread.engine
        return engine


def _ahead(
    threads: ThreadPoolExecutor,
    look: Callable[[StoredContent], WholePost],
    contents: Iterable[StoredContent],
    n_ahead: int,
) -> Iterator[WholePost]:
    """Each content looked at, in order, at most `n_ahead` before they are taken."""
    waiting: deque[Future[WholePost]] = deque()
    try:
        for content in contents:
            waiting.append(threads.submit(look, content))
            if len(waiting) >= n_ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def see_file(file: File) -> SeenPicture:
    """The picture in a file, or why there is none. No file that is too large is read.

    >>> see_file(File(None, b"")).problem
    'no_file'
    """
    if file.path is None:
        return SeenPicture(file.sha256, None, "no_file")
    try:
        if file.path.stat().st_size > LIMITS.max_bytes:
            return SeenPicture(file.sha256, None, "too_many_bytes")
        return see(file.path.read_bytes())
    except OSError:
        return SeenPicture(file.sha256, None, "no_file")


def attributes_of(stored: StoredPost, reads: frozenset[Part]) -> dict[str, float | None]:
    """What is known of account and counters, as far as it is read. Each counter comes with its age:
    how long after the post it was seen (`detectors.metadata.as_of`)."""
    found: dict[str, float | None] = {}
    if "account" in reads:
        found |= account_attributes(stored.author, stored.posted_at)
        at = stored.posted_at
        found["hour"] = None if at is None else at.hour + at.minute / 60
    if "counters" in reads:
        named = {"likes": "likes", "shares": "retweets", "followers": "followers"}
        for name, ours in named.items():
            counter = stored.counters.get(name)
            if counter is not None and (ours != "followers" or "account" in reads):
                found[ours] = float(counter.value)
                found[f"{ours}_{AGE}"] = _seconds(stored.posted_at, counter.seen_at)
    return found


def _seconds(since: datetime | None, until: datetime | None) -> float | None:
    return None if since is None or until is None else (until - since).total_seconds()


def verdict_on(content: Content, judged: PostVerdict) -> Verdict:
    """The verdict as it is stored: of this content, with what had a voice in it.

    Raises ValueError if the detector broke its contract and gave a score that is none."""
    verdict = judged.verdict
    if verdict.state == "scored" and not (verdict.score is not None and 0 <= verdict.score <= 1):
        raise ValueError(f"detector {verdict.detector} gave the score {verdict.score}")
    return msgspec.structs.replace(
        verdict,
        platform=content.platform,
        root_id=content.root_id,
        input_hash=content.input_hash,
        read_hash=content.read_hash,
        parts=Parts(used=judged.used, missing=dict(judged.missing), attention=judged.attention),
    )
