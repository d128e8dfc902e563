"""What travels: the records that every other module reads and writes.

Records are immutable msgspec Structs. Unknown fields are ignored when decoding and a new field
always has a default, so a worker of this version reads what an older one wrote. A record whose
version is newer than RECORD_VERSION must not be guessed at (see `decode_reading`).
"""

from __future__ import annotations

import re
from datetime import datetime
from hashlib import blake2b
from typing import Literal
from unicodedata import normalize

import msgspec

RECORD_VERSION = 1
#: From here on a first byte is taken for the beginning of something else, such as "{" of JSON.
NOT_A_VERSION = 32

Kind = Literal["original", "share", "reply", "quote"]
SeenAs = Literal["collected", "embedded"]
VerdictState = Literal["scored", "abstained"]

#: How much of its content's text a post carries. A greater value wins over a smaller one.
WHOLE, CUT, COPY_IN_SHARE = 2, 1, 0


class NewerRecord(ValueError):
    """A record written by a newer version of hoaxwatch than this one."""


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Base of all records: immutable, keyword-only, defaults are not written out.

    No record can be part of a reference cycle, so the garbage collector need not follow them.
    """


class Author(Record, frozen=True):
    """The account that published a post, as it was at `Post.observed_at`. Unknown is None."""

    author_id: str
    handle: str | None = None
    name: str | None = None
    followers: int | None = None
    following: int | None = None
    n_posts: int | None = None
    created_at: datetime | None = None
    verified: bool | None = None


class Media(Record, frozen=True):
    """One picture or video of a post. `url` is where the platform says it is."""

    kind: Literal["image", "video", "gif"]
    url: str
    alt_text: str | None = None


class Post(Record, frozen=True, tag="post"):
    """One item that somebody published: an original, a share (retweet, repost), reply or quote.

    `root_id` names the content: the post's own id, or for a share the id of the original.
    `hashtags` are as written, without the sign. `text` and `hashtags` of a share describe its
    original as far as the source gives them; `completeness` says how far (WHOLE, CUT,
    COPY_IN_SHARE). `shared_via` is the share through which the account found the original, where
    the platform tells (Bluesky).
    """

    platform: str
    post_id: str
    posted_at: datetime
    root_id: str
    kind: Kind = "original"
    text: str = ""
    completeness: int = WHOLE
    lang: str | None = None
    hashtags: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    media: tuple[Media, ...] = ()
    author: Author | None = None
    share_of: str | None = None
    shared_via: str | None = None
    reply_to: str | None = None
    quote_of: str | None = None
    likes: int | None = None
    shares: int | None = None
    replies: int | None = None
    quotes: int | None = None
    views: int | None = None
    observed_at: datetime | None = None
    seen_as: SeenAs = "collected"
    provenance: str = ""
    raw: bytes = b""
    record_version: int = RECORD_VERSION


class Deletion(Record, frozen=True, tag="deletion"):
    """A platform's notice that a post (or every post of an author) must go."""

    platform: str
    kind: Literal["post", "author"]
    deleted_id: str
    reason: str | None = None
    deleted_at: datetime | None = None


class NotAPost(Record, frozen=True, tag="not_a_post"):
    """A record that was understood and is no post: a user, a list, a count."""

    what: str


class Problem(Record, frozen=True, tag="problem"):
    """A record that could not be understood. It goes to quarantine with its raw bytes."""

    reason: str
    source: str
    position: str
    raw: bytes = b""


#: Whatever a reader yields: each record of a file ends as exactly one of these.
Reading = Post | Deletion | NotAPost | Problem


class Content(Record, frozen=True):
    """What shares point at: one text with its tags, links and language, scored once.

    `read_hash` names what a detector reads of it beside text and language; empty: nothing.
    """

    platform: str
    root_id: str
    text: str
    lang: str | None = None
    hashtags: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    completeness: int = WHOLE
    input_hash: bytes = b""
    read_hash: bytes = b""


class Parts(Record, frozen=True):
    """Which parts of a whole post had a voice in a verdict, why each other had none, and what the
    detector's attention weighed most, as (part, weight)."""

    used: tuple[str, ...]
    missing: dict[str, str]
    attention: tuple[tuple[str, float], ...] = ()


class Verdict(Record, frozen=True):
    """A detector's opinion about one content. `score` is the calibrated probability, in [0, 1],
    of the detector's positive class (`likely_false`); None when it abstained, with the reason.
    `evidence` names what weighed most, as (feature, contribution to the logit). `read_hash` is that
    of the content; `parts` are of detectors of whole posts."""

    platform: str
    root_id: str
    input_hash: bytes
    detector: str
    version: str
    state: VerdictState
    score: float | None = None
    reason: str | None = None
    evidence: tuple[tuple[str, float], ...] = ()
    read_hash: bytes = b""
    parts: Parts | None = None


def hashtag_key(written: str) -> str:
    """The form under which a hashtag is counted: NFKC, then casefold, without the sign.

    >>> hashtag_key("#EGU23"), hashtag_key("＃Straße"), hashtag_key("ﬁne")
    ('egu23', 'strasse', 'fine')
    """
    return normalize("NFKC", written).lstrip("#").casefold()


def content_hash(text: str, lang: str | None) -> bytes:
    """16 bytes that name everything a text detector reads of a content.

    >>> content_hash("a", "en") == content_hash("a", "en") != content_hash("a", None)
    True
    """
    return blake2b(f"{lang or ''}\0{text}".encode(errors="surrogatepass"), digest_size=16).digest()


_SURROGATES = re.compile("[\ud800-\udfff]")
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Reading)


def encode_reading(reading: Reading) -> bytes:
    """The reading as it travels: one byte of RECORD_VERSION, then MessagePack.

    Lone surrogates, which text of a broken source may hold, become U+FFFD.
    """
    try:
        return bytes((RECORD_VERSION,)) + _encoder.encode(reading)
    except UnicodeEncodeError:
        return bytes((RECORD_VERSION,)) + _encoder.encode(_without_surrogates(reading))


def decode_reading(data: bytes | None) -> Reading:
    """The reading that `encode_reading` wrote. Raises NewerRecord, and ValueError for anything else
    that is not a reading.

    >>> from datetime import UTC
    >>> day = datetime(2023, 4, 24, tzinfo=UTC)
    >>> p = Post(platform="x", post_id="1", root_id="1", posted_at=day)
    >>> decode_reading(encode_reading(p)) == p
    True
    >>> decode_reading(encode_reading(NotAPost(what="user")))
    NotAPost(what='user')
    """
    if not data:
        raise ValueError("it is empty")
    version = data[0]
    if RECORD_VERSION < version < NOT_A_VERSION:
        raise NewerRecord(
            f"record version {version} is newer than {RECORD_VERSION}: upgrade hoaxwatch"
        )
    if version != RECORD_VERSION:
        raise ValueError(f"it begins with byte {version}, which is no record version")
    try:
        reading: Reading = _decoder.decode(memoryview(data)[1:])
        return reading
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from None


def _without_surrogates(reading: Reading) -> Reading:
    plain = msgspec.to_builtins(reading, builtin_types=(bytes, datetime))
    cleaned: Reading = msgspec.convert(_replaced(plain), Reading)
    return cleaned


def _replaced(value: object) -> object:
    if isinstance(value, str):
        return _SURROGATES.sub("\ufffd", value)
    if isinstance(value, dict):
        return {key: _replaced(held) for key, held in value.items()}
    if isinstance(value, list | tuple):
        return [_replaced(held) for held in value]
    return value
