"""Whole posts as multimodal detectors read them: text, hashtags, pictures, words in them, account.

A picture that cannot be read, a text in a foreign language, a post without hashtags: each is a part
that is missing, with its reason. Such a post is judged by what is left of it, and its verdict names
what had a voice and what had not; a post of which nothing is left is not judged.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence, Set
from hashlib import blake2b, sha256
from typing import Literal, NamedTuple, Protocol, runtime_checkable

import msgspec

from detectors.image.decode import LIMITS, Limits, Pixels, Unreadable, decode
from detectors.image.text_presence import is_text_likely
from detectors.social.attributes import (
    ACCOUNT_ATTRIBUTES,
    Attributes,
    account_attributes,
    text_attributes,
)
from detectors.text.normalise import MAX_CHARACTERS
from detectors.text.ocr import Ocr, Reading
from streams.records import Author, Content, Verdict, hashtag_key

#: What a detector may read of a post beside its words and their language. account: figures of who
#: published it. counters: how often it was liked and shared, each with its age.
Part = Literal["hashtags", "account", "counters", "pictures"]

_HASHTAG = re.compile(r"#(?<!\w#)(\w+)")
#: A word that is nothing but hashtags, or a link.
_TAG_OR_LINK = re.compile(r"(?:#\w+)+|https?://\S+")


class SeenPicture(NamedTuple):
    """A picture of a post: its pixels, or why there are none. sha256: of its bytes."""

    sha256: bytes
    pixels: Pixels | None
    problem: str | None = None


class WholePost(NamedTuple):
    """A post with everything that multimodal detectors read.

    content: text, language, hashtags without their sign. pictures: in the order of the post.
    overlaid: the words in its pictures; None if nobody looked for them. attributes: of the text and
    of the account (`detectors.social`); None is not known.
    """

    content: Content
    attributes: Attributes
    pictures: tuple[SeenPicture, ...] = ()
    overlaid: str | None = None

    @property
    def picture(self) -> SeenPicture | None:
        """The first picture that can be read: the one that image branches see."""
        return next((p for p in self.pictures if p.pixels is not None), None)

    @property
    def picture_problem(self) -> str | None:
        """Why there is no picture to see; None if there is one.

        >>> WholePost(Content(platform="x", root_id="1", text=""), {}).picture_problem
        'no_picture'
        """
        if self.picture is not None:
            return None
        return self.pictures[0].problem if self.pictures else "no_picture"


class PostVerdict(NamedTuple):
    """A verdict, which parts of the post had a voice in it, and why each other had none.

    The verdict's `input_hash` is that of the whole post (`post_hash`). attention: what the network
    itself weighed most, as (part, weight): "branch text", "word cure"; its largest few.
    """

    verdict: Verdict
    used: tuple[str, ...]
    missing: Mapping[str, str]
    attention: tuple[tuple[str, float], ...] = ()


class PostDetector(Protocol):
    """Scores whole posts. As pure as `detectors.detector.Detector`, and told apart from it because
    text alone does not decide: the same words under another picture are another post."""

    @property
    def name(self) -> str:
        """As in `--detector NAME`."""

    @property
    def version(self) -> str:
        """Changes whenever a score could change."""

    @property
    def threshold(self) -> float:
        """Scores of at least this much count as likely false."""

    def score(self, posts: Sequence[WholePost]) -> list[PostVerdict]:
        """One verdict per post, in order."""

    def explain(self, post: WholePost) -> tuple[tuple[str, float], ...]:
        """What weighed most, as (feature, contribution to the logit), largest first."""


@runtime_checkable
class ReadsPosts(Protocol):
    """A detector (`detectors.detector.Detector`) that reads more of a post than its words. Its
    `score` is what it says where nothing else is known."""

    @property
    def reads(self) -> frozenset[Part]:
        """What else: all that its score depends on, and all that it is given."""

    @property
    def make_ocr(self) -> Callable[[], Ocr] | None:
        """Makes an engine for the words in pictures, one for each thread; None: it reads none."""

    def score_posts(self, posts: Sequence[WholePost]) -> list[PostVerdict]:
        """One verdict per post, in order. As pure as `Detector.score`."""

    def explain_post(self, post: WholePost) -> tuple[tuple[str, float], ...]:
        """What weighed most, as (feature, contribution to the logit), largest first; () if it is
        not scored."""


#: Reads the words in a picture, such as `Ocr.read` of an engine, with or without a cache.
Read = Callable[[Pixels], Reading]


def look_at(
    content: Content,
    files: Sequence[bytes] = (),
    author: Author | None = None,
    attributes: Attributes | None = None,
    read: Read | None = None,
    limits: Limits = LIMITS,
) -> WholePost:
    """A post from the bytes of its picture files. Raises nothing for what strangers send.

    attributes: instead of those that are counted here. read: none, and no words in pictures are
    looked for; it is asked only where text is likely.
    """
    pictures = tuple(see(data, limits) for data in files)
    if attributes is None:
        attributes = {
            **text_attributes(content.text, content.lang),
            **account_attributes(author, None),
        }
    overlaid = None if read is None else words_in(pictures, read)
    return WholePost(content, attributes, pictures, overlaid)


def see(data: bytes, limits: Limits = LIMITS) -> SeenPicture:
    """The picture in these bytes, or the reason why not.

    >>> see(b"<svg/>").problem
    'unknown_format'
    """
    found = decode(data, limits)
    digest = sha256(data).digest()
    if isinstance(found, Unreadable):
        return SeenPicture(digest, None, found.reason)
    return SeenPicture(digest, found.pixels)


def words_in(pictures: Sequence[SeenPicture], read: Read) -> str:
    """The words in all pictures, one after the other; read only where text is likely."""
    seen = [p.pixels for p in pictures if p.pixels is not None]
    return " ".join(filter(None, (read(x).text for x in seen if is_text_likely(x))))


def parts_of(attributes: Set[str]) -> set[Part]:
    """The parts of a stored post that these attributes are of; those of its text are of none.

    >>> parts_of({"n_links", "followers"}), parts_of({"likes"})
    ({'account'}, {'counters'})
    """
    found: set[Part] = set()
    if attributes & {*ACCOUNT_ATTRIBUTES, "hour"}:
        found.add("account")
    if attributes & {"likes", "retweets"}:
        found.add("counters")
    return found


def post_hash(post: WholePost) -> bytes:
    """16 bytes that name everything a detector may read of a post: unlike `content_hash`, which
    is the same for the same words under another picture, with other tags, of another account."""
    read = (
        post.content.text,
        post.content.lang,
        post.content.hashtags,
        sorted(post.attributes.items()),
        [picture.sha256 for picture in post.pictures],
        post.overlaid,
    )
    written = repr(msgspec.to_builtins(read)).encode(errors="surrogatepass")
    return blake2b(written, digest_size=16).digest()


def tags_of(content: Content) -> tuple[str, ...]:
    """The hashtags of a post: as the platform gives them, else as they stand in its text; each
    once, in the form in which they are counted.

    >>> tags_of(Content(platform="x", root_id="1", text="No #Vaccine, no #VACCINE, #5G"))
    ('vaccine', '5g')
    """
    written = content.hashtags or _HASHTAG.findall(content.text)
    return tuple(dict.fromkeys(filter(None, map(hashtag_key, written))))


def caption_of(text: str) -> str:
    """A text without the hashtags behind its end: those are tags, not words of it.

    >>> caption_of("Is #MMR safe? #vaccine #truth https://t.co/x")
    'Is #MMR safe?'
    """
    end = len(text := text[:MAX_CHARACTERS].rstrip())
    for word in reversed(text.split()):
        if not _TAG_OR_LINK.fullmatch(word):
            break
        end = text.rindex(word, 0, end)
    return text[:end].rstrip()
