"""Tweets as CSV: what minet and gazouilloire write (the twitwi columns).

Columns are found by the names in the header, in any order; those that are missing are unknown.
Kind: share > quote > reply > original, so a reply that quotes is a quote that keeps `reply_to`.
Times without a zone (`collection_time`) are taken as UTC; the format does not say.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from operator import itemgetter
from typing import Literal

from streams.formats.cleaning import BadField, bad_id, clean_record, parse_count, parse_moment
from streams.formats.csv_records import encode_cells, read_csv, read_header, remap_row
from streams.formats.platform_x import FIRST_DAY, PLATFORM, is_id, strip_share_prefix
from streams.records import (
    COPY_IN_SHARE,
    CUT,
    WHOLE,
    Author,
    Kind,
    Media,
    Post,
    Reading,
    hashtag_key,
)

NAME = "twitwi"
DESCRIPTION = "Tweets as CSV, one per row: minet, gazouilloire (twitwi columns)"

#: The columns we read, in the order in which `_parse` takes them.
COLUMNS = (
    *("id", "timestamp_utc", "text", "lang", "hashtags", "links"),
    *("media_urls", "media_types", "media_alt_texts"),
    *("user_id", "user_screen_name", "user_name", "user_followers", "user_friends"),
    *("user_tweets", "user_timestamp_utc", "user_verified"),
    *("retweet_count", "like_count", "reply_count", "impression_count"),
    *("retweeted_id", "to_tweetid", "quoted_id", "collection_time", "match_query"),
)
_REQUIRED = {"id", "timestamp_utc", "text"}
#: Columns that only this format has.
_TELLING = {"retweeted_id", "to_tweetid", "quoted_id", "collected_via", "match_query"}

_HASHTAG = re.compile(r"[#＃](\w+)")
_MEDIA_KINDS: dict[str, Literal["image", "video", "gif"]] = {
    "photo": "image",
    "image": "image",
    "video": "video",
    "animated_gif": "gif",
    "gif": "gif",
}


def sniff(head: bytes) -> float:
    """The confidence that a file beginning with `head` is in this format: its header decides.

    >>> sniff(b"id,timestamp_utc,text,retweeted_id\\n"), sniff(b"id,text\\n"), sniff(b"{}")
    (0.95, 0.0, 0.0)
    """
    header = read_header(head)
    if not header >= _REQUIRED:
        return 0.0
    return 0.95 if header & _TELLING else 0.6


def read(stream: io.BufferedIOBase, source: str) -> Iterator[Reading]:
    """Each row as one Post, or as a Problem that names the bad field."""
    yield from read_csv(stream, source, row_parser)


def remap(raw: bytes, source: str) -> Iterator[Reading]:
    """What the `raw` of a Post or Problem is today."""
    yield from remap_row(raw, source, row_parser)


def row_parser(header: list[str], source: str) -> Callable[[list[str]], Post]:
    """The function that makes a Post of a row with these columns; it raises BadField.

    A row must have as many cells as the header. `raw` is the row as a JSON object of its
    non-empty cells in the header's order, which `remap` reads again.
    """
    place = {name: i for i, name in reversed(list(enumerate(header)))}
    absent = len(header)  # the place of an empty cell behind the row
    pick = itemgetter(*(place.get(name, absent) for name in COLUMNS))

    def parse_row(row: list[str]) -> Post:
        raw = encode_cells(header, row)
        post = _parse(pick((*row, "")), raw, source)
        return clean_record(post) if b"\\u0000" in raw else post

    return parse_row


def parse_hashtags(cell: str, text: str) -> tuple[str, ...]:
    """The tags of a pipe-separated cell, as the text writes them.

    Some versions of the format lower their case. A tag that the text does not hold stays as
    given: the text of a share may be cut.

    >>> parse_hashtags("climate|egu23", "Off to #EGU23!")
    ('climate', 'EGU23')
    """
    if not cell:
        return ()
    given = [tag for tag in cell.split("|") if tag.strip("#＃ ")]
    if cell == cell.lower() and ("#" in text or "＃" in text):
        written = {hashtag_key(tag): tag for tag in reversed(_HASHTAG.findall(text))}
        given = [written.get(hashtag_key(tag), tag) for tag in given]
    return tuple(dict.fromkeys(tag.strip("#＃ ") for tag in given))


def parse_media(urls: str, types: str, alt_texts: str) -> tuple[Media, ...]:
    """The media of three pipe-separated cells. Without an address there is nothing to look at.

    >>> parse_media("http://a/1.jpg|http://a/2.mp4", "photo|video", "a cat|")[1].kind
    'video'
    """
    if not urls:
        return ()
    kinds = types.split("|")
    alts = alt_texts.split("|")
    media = []
    for i, url in enumerate(urls.split("|")):
        kind = _MEDIA_KINDS.get(kinds[i] if i < len(kinds) else "photo")
        if url and kind:
            alt_text = alts[i] or None if i < len(alts) else None
            media.append(Media(kind=kind, url=url, alt_text=alt_text))
    return tuple(media)


def example() -> bytes:
    """A small invented file of this format: an original, a share, a reply and a quote."""
    header = (
        "id,timestamp_utc,user_screen_name,text,retweet_count,like_count,reply_count,lang,"
        "to_tweetid,user_id,user_name,user_verified,user_tweets,user_followers,user_friends,"
        "user_timestamp_utc,match_query,retweeted_id,quoted_id,collection_time,links,"
        "media_urls,media_types,media_alt_texts,hashtags"
    )
    told = "2023-04-24T12:00:00.000001"
    rows = (
        '1001,1682332800,ada,"Snow in May, says the #WeatherCat. ""Really?""",1,7,1,en,,11,Ada,'
        f"1,250,1200,80,1300000000,1,,,{told},https://example.org/snow,"
        "https://example.org/cat.jpg,photo,a cat,weathercat",
        f"1002,1682333000,bo,RT @ada: Snow in May,1,0,0,en,,12,Bo,0,30,,40,,1,1001,,{told},,,,,",
        f"1003,1682333100,cy,@ada Bring boots,0,1,0,en,1001,13,Cy,0,5,9,12,,1,,,{told},,,,,",
        f'1004,1682333200,di,"Look:\nboots 🥾",0,0,0,en,,14,Di,0,6,3,4,,0,,1003,{told},,,,,',
    )
    return "\n".join((header, *rows, "")).encode()


def _parse(cells: tuple[str, ...], raw: bytes, source: str) -> Post:
    post_id, timestamp, text, lang, hashtags, links = cells[:6]
    media_urls, media_types, media_alt_texts = cells[6:9]
    retweet_count, like_count, reply_count, impression_count = cells[17:21]
    retweeted_id, to_tweetid, quoted_id, collection_time, match_query = cells[21:]
    if not is_id(post_id):
        raise bad_id(post_id, "id")
    posted_at = _parse_time(timestamp)
    if posted_at is None:
        raise BadField(f"timestamp_utc: {timestamp[:40]!r} is not a time of X in whole seconds")
    references = retweeted_id + to_tweetid + quoted_id
    if references and not is_id(references):  # not one id: two, or a bad one
        for field, value in zip(_REFERENCES, (retweeted_id, to_tweetid, quoted_id), strict=True):
            if value and not is_id(value):
                raise BadField(f"{field}: {value[:40]!r} is not a number")
    kind: Kind = "original"
    completeness = CUT if _CUT_HERE in text else WHOLE
    if retweeted_id:
        kind = "share"
        completeness = COPY_IN_SHARE
        text = strip_share_prefix(text)
        to_tweetid = quoted_id = ""  # what the original replies to or quotes, not the share
    elif quoted_id:
        kind = "quote"
    elif to_tweetid:
        kind = "reply"
    return Post(
        platform=PLATFORM,
        post_id=post_id,
        posted_at=posted_at,
        root_id=retweeted_id or post_id,
        kind=kind,
        text=text,
        completeness=completeness,
        lang=lang or None,
        hashtags=parse_hashtags(hashtags, text),
        links=tuple(dict.fromkeys(filter(None, links.split("|")))) if links else (),
        media=parse_media(media_urls, media_types, media_alt_texts),
        author=_parse_author(*cells[9:17]),
        share_of=retweeted_id or None,
        reply_to=to_tweetid or None,
        quote_of=quoted_id or None,
        likes=parse_count(like_count),
        shares=parse_count(retweet_count),
        replies=parse_count(reply_count),
        views=parse_count(impression_count),
        observed_at=_parse_observed(collection_time),
        seen_as="embedded" if match_query == "0" else "collected",
        provenance=source,
        raw=raw,
    )


_REFERENCES = ("retweeted_id", "to_tweetid", "quoted_id")
_BOOLEANS = {"1": True, "True": True, "true": True, "0": False, "False": False, "false": False}
#: X puts a link to the whole post behind the part of a long one that it gives.
_CUT_HERE = "… https://twitter.com/i/web/status/"
_FIRST_SECOND = int(FIRST_DAY.timestamp())
_LAST_SECOND = int(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp())


@lru_cache(maxsize=4096)  # accounts post often: half the rows of a day repeat one
def _parse_author(
    user_id: str,
    handle: str,
    name: str,
    followers: str,
    following: str,
    n_posts: str,
    timestamp: str,
    verified: str,
) -> Author | None:
    if not user_id:
        return None
    return Author(
        author_id=user_id,
        handle=handle or None,
        name=name or None,
        followers=parse_count(followers),
        following=parse_count(following),
        n_posts=parse_count(n_posts),
        created_at=_parse_time(timestamp),
        verified=_BOOLEANS.get(verified),
    )


def _parse_time(cell: str) -> datetime | None:
    """The moment of a Unix time in whole seconds since X exists; None if the cell has none."""
    if not cell.isdecimal() or len(cell) > 12:
        return None
    seconds = int(cell)
    if not _FIRST_SECOND <= seconds <= _LAST_SECOND:
        return None
    return datetime.fromtimestamp(seconds, UTC)


def _parse_observed(cell: str) -> datetime | None:
    if not cell:
        return None
    try:  # the usual cell names no zone; three times as fast as setting one afterwards
        return datetime.fromisoformat(cell + "Z")
    except ValueError:
        return parse_moment(cell)
