"""Reading stored raw records again with today's readers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import groupby
from operator import attrgetter

from msgspec.structs import replace

from storage import retelling
from storage.retelling import Cursor
from storage.rows import PayloadRow
from streams.formats.registry import FORMATS, remap_raw
from streams.records import Post, Problem, Reading

#: Posts that are read again together.
PAGE_POSTS = 2000


def sources_of(payload: PayloadRow) -> list[str]:
    """Who may have given this record: known, or each of its post's sources."""
    return [payload.source] if payload.source else list(payload.provenance)


def read_again(
    payload: PayloadRow, check: Callable[[Reading], Reading] = lambda reading: reading
) -> tuple[list[Post], str | None]:
    """The posts that the record is today, or why it is none. `check` may refuse a reading."""
    reason = "nobody knows its format"
    for source in sources_of(payload):
        name = source.partition(":")[0]
        if name not in FORMATS:
            reason = f"there is no format {name!r}"
            continue
        readings = [check(reading) for reading in remap_raw(payload.raw, source)]
        problems = [reading.reason for reading in readings if isinstance(reading, Problem)]
        posts = [reading for reading in readings if isinstance(reading, Post)]
        if posts and not problems:
            return [replace(post, seen_as=payload.seen_as) for post in posts], None
        reason = problems[0] if problems else "it is no post"
    return [], reason


def tell_again(cursor: Cursor) -> Iterator[list[Post]]:
    """After deletions: the posts that tell again what deleted ones told too (`storage.retelling`).

    Whoever asks for the next page has merged the one before, all in one transaction.
    """
    unread: set[tuple[str, str]] = set()
    while page := retelling.take_page(cursor, PAGE_POSTS):
        posts: list[Post] = []
        for key, group in groupby(page, attrgetter("platform", "post_id")):
            for payload in group:
                found, _ = read_again(payload)
                # the bytes stay as they are stored, whatever a reader would keep of them today
                same = [
                    replace(post, raw=payload.raw)
                    for post in found
                    if (post.platform, post.post_id) == key
                ]
                posts += same
                if not same:  # it cannot be read, or is another post to today's reader
                    unread.add(key)
        yield posts
    retelling.settle(cursor, unread)
