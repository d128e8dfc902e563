"""Posts -> rows: what a batch means for each table, before the database is asked. Pure.

A batch may hold the same post, content or author several times. Here they are merged by the same
rules as `writes` merges with what is stored: a version wins as a whole by the greatest
(completeness, observed_at, payload hash); a counter by the greatest (observed_at, value).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from hashlib import blake2b
from struct import error as StructError
from threading import local
from typing import NamedTuple

import zstandard

from graph.followed import Followed, is_followed
from storage import copy_format as f
from storage.copy_format import Moment, Observed, Row, copy_binary, copy_text, moment_of
from streams.records import Author, Content, Post, SeenAs, content_hash, hashtag_key

COUNTERS = ("likes", "shares", "replies", "quotes", "views")
PROFILE_TEXTS = ("handle", "name")
PROFILE_COUNTS = ("followers", "following", "n_posts", "verified")


#: How the columns of a table are sent that goes in COPY's binary format; the others are all texts.
BINARY: dict[str, tuple[f.Field, ...]] = {
    "stage_posts": (
        *(f.word, f.text, f.moment, f.text, f.text, f.word, f.text, f.text, f.text, f.word),
        *(f.count, f.count, f.count, f.count, f.count),
        *(f.small, f.moment, f.raw, f.words, f.text),
    ),
    "stage_content": (
        *(f.word, f.text, f.text, f.word, f.texts, f.texts, f.small, f.moment, f.raw, f.raw),
    ),
    "stage_authors": (
        *(f.word, f.text, f.said, f.said, f.count, f.count, f.count, f.count, f.moment),
    ),
    "stage_payloads": (f.word, f.text, f.raw, f.moment, f.raw, f.word),
}
#: Of a text with lone surrogates, and of a number that no bigint holds.
UNWRITABLE = (UnicodeEncodeError, StructError)


@dataclass(frozen=True)
class PostRows:
    """Everything a batch of posts means for the tables, ready to COPY; each list sorted by key."""

    n_posts: int
    posts: list[Row]
    contents: list[Row]
    authors: list[Row]
    hashtags: list[Row]
    links: list[Row]
    media: list[Row]
    payloads: list[Row]

    @cached_property
    def copied(self) -> dict[str, bytes]:
        """What COPY is sent for each staging table. Raises one of UNWRITABLE.

        Kept: whoever makes the rows in a thread ahead asks once (`make_copied`), and storing them
        only sends, which leaves the interpreter to others.
        """
        lines = {
            "stage_posts": self.posts,
            "stage_content": self.contents,
            "stage_authors": self.authors,
            "stage_hashtags": self.hashtags,
            "stage_links": self.links,
            "stage_media": self.media,
            "stage_payloads": self.payloads,
        }
        return {
            table: copy_binary(found, BINARY[table]) if table in BINARY else copy_text(found)
            for table, found in lines.items()
        }

    def make_copied(self) -> None:
        """Makes `copied` now. What cannot be encoded is told to whoever stores it."""
        with suppress(*UNWRITABLE):
            self.copied  # noqa: B018


class PayloadRow(NamedTuple):
    """A raw record as it was received."""

    platform: str
    post_id: str
    raw: bytes
    source: str | None
    #: Of the post it belongs to, which the record itself does not say.
    provenance: tuple[str, ...]
    seen_as: SeenAs


@dataclass(frozen=True, slots=True)
class Version:
    """A post with what decides which of several versions stands."""

    post: Post
    payload_hash: bytes
    observed: Moment

    @property
    def rank(self) -> tuple[int, Moment, bytes]:
        """Sorts as the database does: an unknown time comes before every time."""
        return self.post.completeness, self.observed, self.payload_hash


def rows_of(posts: Sequence[Post], received_at: datetime) -> PostRows:
    """The rows of a batch of posts. No database is asked, so another thread may do it ahead."""
    versions = [version_of(post) for post in posts]
    groups = by_post(versions)
    best = best_contents(versions)
    forms = [hashtag_forms(version.post) for version in best]
    contents = [content_of(version, tags) for version, tags in zip(best, forms, strict=True)]
    return PostRows(
        n_posts=len(posts),
        posts=[post_row(group) for group in groups],
        contents=list(map(content_row, best, contents)),
        authors=author_rows(versions),
        hashtags=[
            (key, version.post.platform, version.post.root_id, written)
            for version, tags in zip(best, forms, strict=True)
            for key, written in tags.items()
        ],
        links=[(link, c.platform, c.root_id) for c in contents for link in c.links],
        media=[
            (version.post.platform, version.post.root_id, url, item.kind, item.alt_text)
            for version in best
            for url, item in sorted({m.url: m for m in version.post.media}.items())
        ],
        payloads=list(_payload_rows(groups, received_at)),
    )


def followed_rows(batch: PostRows, followed: Followed) -> list[Row]:
    """The rows of stage_hashtags for followed words and links of the contents of a batch."""
    links: dict[tuple[object, object], list[str]] = {}
    for link, platform, root in batch.links:
        links.setdefault((platform, root), []).append(str(link))
    return [
        (topic, platform, root, topic)
        for platform, root, text, *_ in batch.contents
        for topic in followed.find(str(text), links.get((platform, root), ()))
    ]


def _payload_rows(groups: Iterable[Sequence[Version]], received_at: datetime) -> Iterator[Row]:
    received = moment_of(received_at)
    for group in groups:
        sources: dict[bytes, str | None] = {}
        for version in group:
            source = version.post.provenance or None
            held = sources.setdefault(version.payload_hash, source)
            if source is not None and (held is None or source < held):
                sources[version.payload_hash] = source
        for version in group:
            post = version.post
            if post.raw and version.payload_hash in sources:
                yield (
                    post.platform,
                    post.post_id,
                    version.payload_hash,
                    received,
                    compress(post.raw),
                    sources.pop(version.payload_hash),
                )


_of_thread = local()  # a compressor may be used by one thread at a time


def compress(raw: bytes) -> bytes:
    """Raw bytes as they are stored: zstd, quick (measured on rows of a kilobyte: three fifths
    of the time of level 3 for 0.7 % more bytes)."""
    if not hasattr(_of_thread, "compressor"):
        _of_thread.compressor = zstandard.ZstdCompressor(level=1)
    packed: bytes = _of_thread.compressor.compress(raw)
    return packed


def decompress(stored: bytes) -> bytes:
    """Raw bytes as they were received."""
    return zstandard.ZstdDecompressor().decompress(stored)


def hash16(data: bytes) -> bytes:
    """BLAKE2b-128, the hash of payloads and ids."""
    return blake2b(data, digest_size=16).digest()


def version_of(post: Post) -> Version:
    """The post with its payload's hash (of its words where the source kept no raw record)."""
    data = post.raw or f"{post.post_id}\0{post.text}".encode(errors="surrogatepass")
    return Version(post, hash16(data), moment_of(post.observed_at))


def content_key(post: Post) -> tuple[str, str]:
    """The key of the post's content."""
    return post.platform, post.root_id


def hashtag_forms(post: Post) -> dict[str, str]:
    """Counting form -> as written, each hashtag once (of several forms the first in C order).

    What looks like a followed word or link is no hashtag: it would count as one."""
    forms: dict[str, str] = {}
    for written in sorted(post.hashtags):
        key = hashtag_key(written)
        if key and key not in forms and not is_followed(key):
            forms[key] = written.lstrip("#")
    return forms


def best_contents(versions: Iterable[Version]) -> list[Version]:
    """Per content the version that stands, sorted by key."""
    best: dict[tuple[str, str], Version] = {}
    for version in versions:
        key = content_key(version.post)
        held = best.get(key)
        if held is None or version.rank > held.rank:
            best[key] = version
    return [best[key] for key in sorted(best)]


def content_of(version: Version, tags: Iterable[str]) -> Content:
    """What the detectors read of a post; `tags` are its hashtags in counting form."""
    post = version.post
    return Content(
        platform=post.platform,
        root_id=post.root_id,
        text=post.text,
        lang=post.lang,
        hashtags=tuple(sorted(tags)),
        links=tuple(sorted(set(post.links))),
        completeness=post.completeness,
        input_hash=content_hash(post.text, post.lang),
    )


def content_row(version: Version, content: Content) -> Row:
    """A row of stage_content."""
    return (
        content.platform,
        content.root_id,
        content.text,
        content.lang,
        content.hashtags,
        content.links,
        content.completeness,
        version.observed,
        version.payload_hash,
        content.input_hash,
    )


def by_post(versions: Iterable[Version]) -> list[list[Version]]:
    """Versions of the same post together, sorted by key."""
    groups: dict[tuple[str, str], list[Version]] = {}
    for version in versions:
        groups.setdefault((version.post.platform, version.post.post_id), []).append(version)
    return [groups[key] for key in sorted(groups)]


def _latest(
    versions: Sequence[tuple[Moment, Post]] | Sequence[tuple[Moment, Author]], name: str
) -> Observed | None:
    """The greatest (observed, value) of a field over versions, ignoring unknown values."""
    seen = [
        (observed, value)
        for observed, record in versions
        if (value := getattr(record, name)) is not None
    ]
    return max(seen) if seen else None


def _observed(observed: Moment, values: Sequence[int | str | None]) -> list[Observed | None]:
    return [None if value is None else (observed, value) for value in values]


def post_row(group: Sequence[Version]) -> Row:
    """A row of stage_posts from all versions of one post in the batch."""
    best = group[0] if len(group) == 1 else max(group, key=lambda version: version.rank)
    post = best.post
    counters: Sequence[Observed | None]
    provenance: tuple[str, ...]
    if len(group) == 1:
        author_id = post.author.author_id if post.author else None
        seen_as: str = post.seen_as
        provenance = (post.provenance,) if post.provenance else ()
        counters = _observed(
            best.observed, (post.likes, post.shares, post.replies, post.quotes, post.views)
        )
    else:
        authors = [v.post.author.author_id for v in group if v.post.author]
        author_id = max(authors) if authors else None
        seen_as = min(v.post.seen_as for v in group)
        provenance = tuple(sorted({v.post.provenance for v in group if v.post.provenance}))
        pairs = [(v.observed, v.post) for v in group]
        counters = [_latest(pairs, name) for name in COUNTERS]
    return (
        post.platform,
        post.post_id,
        moment_of(post.posted_at),
        author_id,
        post.root_id,
        post.kind,
        post.share_of,
        post.reply_to,
        post.quote_of,
        seen_as,
        *counters,
        post.completeness,
        best.observed,
        best.payload_hash,
        provenance,
        post.shared_via,
    )


def author_rows(versions: Iterable[Version]) -> list[Row]:
    """Rows of stage_authors, each known account once, sorted by key."""
    groups: dict[tuple[str, str], list[tuple[Moment, Author]]] = {}
    for version in versions:
        author = version.post.author
        if author is not None:
            groups.setdefault((version.post.platform, author.author_id), []).append(
                (version.observed, author)
            )
    return [_author_row(key, groups[key]) for key in sorted(groups)]


def _author_row(key: tuple[str, str], group: Sequence[tuple[Moment, Author]]) -> Row:
    if group.count(group[0]) == len(group):  # most accounts are the same in all posts of a batch
        observed, a = group[0]
        profile = (a.handle, a.name, a.followers, a.following, a.n_posts, a.verified)
        values = _observed(observed, profile)
    else:
        values = [_latest(group, name) for name in (*PROFILE_TEXTS, *PROFILE_COUNTS)]
    made = {author.created_at for _, author in group if author.created_at is not None}
    return (*key, *values, moment_of(max(made)) if made else None)
