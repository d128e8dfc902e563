"""Posts -> rows: what a batch means for each table, before the database is asked. Pure.

A batch may hold the same post, content or author several times. Here they are merged by the same
rules as `writes` merges with what is stored: a version wins as a whole by the greatest
(completeness, observed_at, payload hash); a counter by the greatest (observed_at, value).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property, lru_cache
from hashlib import blake2b
from struct import pack
from threading import local
from typing import NamedTuple

import zstandard

from graph.followed import Followed, is_followed
from streams.records import Author, Content, Post, SeenAs, content_hash, hashtag_key

Row = tuple[object, ...]

UNKNOWN_TIME = "-infinity"
COUNTERS = ("likes", "shares", "replies", "quotes", "views")
PROFILE_TEXTS = ("handle", "name")
PROFILE_COUNTS = ("followers", "following", "n_posts", "verified")


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
        """What COPY is sent for each staging table. Raises UnicodeEncodeError for lone surrogates.

        Kept: whoever makes the rows in a thread ahead asks once (`make_copied`), and storing them
        only sends, which leaves the interpreter to others.
        """
        return {
            "stage_posts": copy_text(self.posts),
            "stage_content": copy_text(self.contents),
            "stage_authors": copy_text(self.authors),
            "stage_hashtags": copy_text(self.hashtags),
            "stage_links": copy_text(self.links),
            "stage_media": copy_text(self.media),
            "stage_payloads": copy_binary(self.payloads),
        }

    def make_copied(self) -> None:
        """Makes `copied` now. What cannot be encoded is told to whoever stores it."""
        with suppress(UnicodeEncodeError):
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
    observed: str

    @property
    def rank(self) -> tuple[int, bool, str, bytes]:
        """Sorts as the database does: an unknown time comes before every time."""
        return (
            self.post.completeness,
            self.observed != UNKNOWN_TIME,
            self.observed,
            self.payload_hash,
        )


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


_SPECIAL = re.compile(r"[\\\t\n\r]")
#: What COPY reads otherwise than it stands.
ESCAPED = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


def copy_text(lines: Iterable[Row]) -> bytes:
    r"""Rows as COPY reads them in its text format. Source: the manual of PostgreSQL, COPY.

    >>> print(copy_text([("a\tb", None, 3, b"\xff")]))
    b'a\\tb\t\\N\t3\t\\\\xff\n'
    """
    is_special = _SPECIAL.search
    rows = [
        "\t".join(
            [
                value if value.__class__ is str and not is_special(value) else _escaped(value)
                for value in line
            ]
        )
        for line in lines
    ]
    return "\n".join([*rows, ""]).encode()


def _escaped(value: object) -> str:
    if value is None:
        return r"\N"
    if isinstance(value, bytes):
        return r"\\x" + value.hex()
    return str(value).translate(ESCAPED)


_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)  # PostgreSQL's
_NO_FIELD = pack(">i", -1)


def copy_binary(lines: Iterable[Row]) -> bytes:
    r"""Rows of texts, bytes and times as COPY reads them in its binary format: as text, each byte
    would be two digits.

    >>> copy_binary([("a", None)])[19:]
    b'\x00\x02\x00\x00\x00\x01a\xff\xff\xff\xff\xff\xff'
    """
    parts = [b"PGCOPY\n\xff\r\n\0", bytes(8)]
    for line in lines:
        parts.append(pack(">h", len(line)))
        for value in line:
            field = value if isinstance(value, bytes) else _binary(value)
            parts += (_NO_FIELD,) if field is None else (pack(">i", len(field)), field)
    parts.append(b"\xff\xff")
    return b"".join(parts)


def _binary(value: object) -> bytes | None:
    if isinstance(value, datetime):
        return pack(">q", (value - _EPOCH) // timedelta(microseconds=1))
    return None if value is None else str(value).encode()


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
                    received_at,
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


def utc_text(moment: datetime | None) -> str:
    """A time as ISO text of fixed width, so that text order is time order.

    >>> utc_text(datetime(2023, 4, 24, tzinfo=UTC)), utc_text(None)
    ('2023-04-24T00:00:00.000000+00:00', '-infinity')
    """
    if moment is None:
        return UNKNOWN_TIME
    m = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    # half the time of `isoformat`, which asks the time zone anew for each
    return (
        f"{_day_text(m.toordinal())}{_TWO[m.hour]}:{_TWO[m.minute]}:{_TWO[m.second]}"
        f".{m.microsecond:06}+00:00"
    )


_TWO = [f"{number:02}" for number in range(60)]


@lru_cache(maxsize=1_000)
def _day_text(ordinal: int) -> str:
    return date.fromordinal(ordinal).isoformat() + "T"


def version_of(post: Post) -> Version:
    """The post with its payload's hash (of its words where the source kept no raw record)."""
    data = post.raw or f"{post.post_id}\0{post.text}".encode(errors="surrogatepass")
    return Version(post, hash16(data), utc_text(post.observed_at))


def array_literal(values: Iterable[str]) -> str:
    r"""Texts as a PostgreSQL array literal.

    >>> print(array_literal(["a", 'say "b"', "c\\d"]))
    {"a","say \"b\"","c\\d"}
    """
    quoted = [value.replace("\\", "\\\\").replace('"', '\\"') for value in values]
    return '{"' + '","'.join(quoted) + '"}' if quoted else "{}"


@lru_cache(maxsize=1_000)  # all posts of a file have the same
def _names_literal(names: tuple[str, ...]) -> str:
    return array_literal(filter(None, names))


def observed_literal(observed: str, value: int | str | None) -> str | None:
    r"""A value with the time it was seen, as a literal of the composite types; None stays None.

    >>> observed_literal("-infinity", 3), observed_literal("-infinity", 'a"b')
    ('("-infinity",3)', '("-infinity","a""b")')
    """
    return observed_literals(observed, [value])[0]


def observed_literals(observed: str, values: Iterable[int | str | None]) -> list[str | None]:
    """Several values that were seen at the same time: `observed_literal` of each."""
    begin = f'("{observed}",'
    return [
        None
        if value is None
        else f"{begin}{value:d})"
        if isinstance(value, int)
        else begin + '"' + value.replace("\\", "\\\\").replace('"', '""') + '")'
        for value in values
    ]


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
        array_literal(content.hashtags),
        array_literal(content.links),
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


def _time_order(observed: str) -> str:
    return "" if observed == UNKNOWN_TIME else observed


def _latest(
    versions: Sequence[tuple[str, Post]] | Sequence[tuple[str, Author]], name: str
) -> tuple[str, int | str] | None:
    """The greatest (observed, value) of a field over versions, ignoring unknown values."""
    seen = [
        (_time_order(observed), value)
        for observed, record in versions
        if (value := getattr(record, name)) is not None
    ]
    if not seen:
        return None
    observed, value = max(seen)
    return observed or UNKNOWN_TIME, value


def post_row(group: Sequence[Version]) -> Row:
    """A row of stage_posts from all versions of one post in the batch."""
    best = group[0] if len(group) == 1 else max(group, key=lambda version: version.rank)
    post = best.post
    counters: Sequence[str | None]
    provenance: tuple[str, ...]
    if len(group) == 1:
        author_id = post.author.author_id if post.author else None
        seen_as: str = post.seen_as
        provenance = (post.provenance,)
        counters = observed_literals(
            best.observed, (post.likes, post.shares, post.replies, post.quotes, post.views)
        )
    else:
        authors = [v.post.author.author_id for v in group if v.post.author]
        author_id = max(authors) if authors else None
        seen_as = min(v.post.seen_as for v in group)
        provenance = tuple(sorted({v.post.provenance for v in group}))
        pairs = [(v.observed, v.post) for v in group]
        latest = [_latest(pairs, name) for name in COUNTERS]
        counters = [observed_literal(*pair) if pair else None for pair in latest]
    return (
        post.platform,
        post.post_id,
        utc_text(post.posted_at),
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
        _names_literal(provenance),
        post.shared_via,
    )


def author_rows(versions: Iterable[Version]) -> list[Row]:
    """Rows of stage_authors, each known account once, sorted by key."""
    groups: dict[tuple[str, str], list[tuple[str, Author]]] = {}
    for version in versions:
        author = version.post.author
        if author is not None:
            groups.setdefault((version.post.platform, author.author_id), []).append(
                (version.observed, author)
            )
    return [_author_row(key, groups[key]) for key in sorted(groups)]


def _author_row(key: tuple[str, str], group: Sequence[tuple[str, Author]]) -> Row:
    if len(group) == 1:
        observed, a = group[0]
        profile = (a.handle, a.name, a.followers, a.following, a.n_posts, a.verified)
        values = observed_literals(observed, profile)
    else:
        latest = [_latest(group, name) for name in (*PROFILE_TEXTS, *PROFILE_COUNTS)]
        values = [observed_literal(*pair) if pair else None for pair in latest]
    made = [author.created_at for _, author in group if author.created_at is not None]
    return (*key, *values, utc_text(max(made)) if made else None)
