"""Maps stored raw records again with today's readers, so that a corrected reader repairs what an
earlier one stored: nothing has to be collected twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from operator import attrgetter

from storage import reads, remap, writes
from storage.database import Connection
from storage.remap import ReadAgain
from storage.rows import PayloadRow, hash16, rows_of
from streams.records import Post
from streams.rereading import read_again, sources_of
from streams.steps import check_time

#: Posts that are mapped together.
PAGE_POSTS = 2000


@dataclass
class Remapped:
    """What became of the stored raw records. Of a post either all are mapped again or none."""

    n_raw: int = 0
    n_posts: int = 0
    n_changed: int = 0
    #: Why records cannot be mapped, which leaves their posts as they are.
    reasons: Counter[str] = field(default_factory=Counter)


def remap_payloads(
    connection: Connection,
    now: datetime,
    tombstone_key: str,
    format: str | None = None,
    watch: Callable[[int], None] = lambda n_raw: None,
) -> Remapped:
    """Maps the stored raw records of every post again (of those with a record of this format) and
    merges the result, in one transaction. A post with a record that cannot be mapped stays as it
    is.

    `watch` is told how many records were looked at. Afterwards the contents that changed wait for
    a verdict and their buckets for a recount. Cost: every record is mapped twice, first to see
    which can be.
    """
    result = Remapped()
    remap.prepare(connection)
    with connection.transaction(), connection.cursor() as cursor:
        selected = set(_select(connection, now, format, result, watch))
        remap.select(cursor, sorted(selected))
        for page in _pages(connection):
            mapped = [
                (payload, _map_again(payload, now)[0])
                for payload in page
                if (payload.platform, payload.post_id) in selected
            ]
            posts = [post for _, found in mapped for post in found]
            keys = sorted({(payload.platform, payload.post_id) for payload in page} & selected)
            if not keys:
                continue
            posts, _, _ = writes.without_deleted(cursor, posts, tombstone_key)
            remap.forget(cursor, keys)
            writes.clear_staging(cursor)
            writes.upsert_posts(cursor, rows_of(posts, now))
            result.n_changed += remap.settle_page(cursor, _read_again(mapped))
            result.n_posts += len(keys)
        remap.settle(cursor)
    return result


def _select(
    connection: Connection,
    now: datetime,
    format: str | None,
    result: Remapped,
    watch: Callable[[int], None],
) -> Iterator[tuple[str, str]]:
    """The posts that are to be mapped again and whose records all can be."""
    for page in _pages(connection):
        for key, group in groupby(page, attrgetter("platform", "post_id")):
            payloads = list(group)
            if format is not None and not any(format in _formats_of(p) for p in payloads):
                continue
            result.n_raw += len(payloads)
            reasons = [reason for p in payloads if (reason := _map_again(p, now)[1]) is not None]
            result.reasons.update(reasons)
            if not reasons:
                yield key
        watch(result.n_raw)


def _read_again(mapped: Iterable[tuple[PayloadRow, list[Post]]]) -> Iterator[ReadAgain]:
    """The records that are one post today: of more it is not known which one it was."""
    for payload, found in mapped:
        if len(found) == 1:
            (post,) = found
            raw_hash = hash16(payload.raw)
            yield ReadAgain(payload.platform, payload.post_id, raw_hash, post.post_id, post.root_id)


def _pages(connection: Connection) -> Iterator[list[PayloadRow]]:
    after = ("", "")
    while page := reads.read_payloads(connection, after, PAGE_POSTS):
        yield page
        after = (page[-1].platform, page[-1].post_id)


def _formats_of(payload: PayloadRow) -> set[str]:
    return {source.partition(":")[0] for source in sources_of(payload)}


def _map_again(payload: PayloadRow, now: datetime) -> tuple[list[Post], str | None]:
    """The posts that the record is today, or why it cannot be mapped."""
    return read_again(payload, lambda reading: check_time(reading, now))
