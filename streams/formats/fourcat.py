"""4CAT's data sets of X and Instagram: the CSV that it exports, and the NDJSON behind it.

The CSV names no original of a retweet: retweets are linked to each other by the name of who wrote
it and its text. The NDJSON holds the original.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from datetime import UTC, datetime

from streams.formats.cleaning import BadField, bad_id, clean_record, parse_count, parse_moment
from streams.formats.csv_records import Row, RowParser, read_csv, read_header, remap_row
from streams.formats.derived_ids import text_root
from streams.formats.instagram_items import MediaKind, is_ad
from streams.formats.json_records import (
    Json,
    begins_with_json,
    encode_json,
    parse_json,
    read_json,
    score_keys,
)
from streams.formats.opening import Ahead
from streams.formats.platform_instagram import FIRST_DAY as FIRST_DAY_OF_INSTAGRAM
from streams.formats.platform_instagram import PLATFORM as INSTAGRAM
from streams.formats.platform_instagram import post_id_of
from streams.formats.platform_x import FIRST_DAY, PLATFORM, is_id, status_of, write_out
from streams.formats.text_parts import find_links
from streams.formats.zeeschuimer import parse_caught
from streams.records import (
    COPY_IN_SHARE,
    WHOLE,
    Author,
    Kind,
    Media,
    NotAPost,
    Post,
    Reading,
)

NAME = "fourcat"
DESCRIPTION = "4CAT data sets of X and Instagram: CSV exports and NDJSON"

_REQUIRED = {"id", "thread_id", "timestamp", "body", "author"}
#: Columns that tell which platform's data set it is.
_OF_X = {"retweet_count", "is_retweet", "is_quote_tweet", "retweeted_user"}
_OF_INSTAGRAM = {"num_likes", "num_media", "usertags"}
#: Only items of NDJSON have it; in a row it may be what somebody wrote.
_META_KEY = re.compile(rb'"__import_meta"\s*:')


def sniff(head: bytes) -> float:
    """The confidence that a file beginning with `head` is in this format: columns or keys.

    >>> sniff(b"id,thread_id,timestamp,body,author,num_likes\\n"), sniff(b"id,author,body\\n")
    (0.95, 0.0)
    """
    if begins_with_json(head):
        return 0.95 if score_keys(head, (b'"__import_meta"',)) else 0.0
    header = read_header(head)
    return 0.95 if header >= _REQUIRED and header & (_OF_X | _OF_INSTAGRAM) else 0.0


def read(stream: io.BufferedIOBase, source: str) -> Iterator[Reading]:
    """Each row or item as one Reading; in NDJSON tweets inside a tweet come before it."""
    ahead = Ahead(stream)
    if begins_with_json(ahead.head):
        yield from read_json(ahead, source, parse_record)
    else:
        yield from read_csv(ahead, source, row_parser)


def remap(raw: bytes, source: str) -> Iterator[Reading]:
    """What the `raw` of a Post or Problem is today: a row's cells, or an item."""
    if _META_KEY.search(raw):
        yield from parse_json(raw, source, "raw", parse_record)
    else:
        yield from remap_row(raw, source, row_parser)


def parse_record(record: Json, source: str, position: str) -> Iterator[Reading]:
    """What a line of NDJSON holds: an item, with where it was seen in `__import_meta`."""
    around: Json = {"__import_meta": record.get("__import_meta", {})}
    item = {key: value for key, value in record.items() if key != "__import_meta"}
    yield from parse_caught(item, around, None, source, position)


def row_parser(header: Row, source: str) -> RowParser:
    """The function that makes a reading of a row with these columns; it raises BadField."""
    is_instagram = not _OF_X & set(header)

    def parse_row(row: Row) -> Reading:
        cells = {name: cell for name, cell in zip(header, row, strict=True) if cell}
        if is_instagram and not _OF_X & cells.keys():
            reading = parse_instagram(cells, source)
        else:
            reading = parse_tweet(cells, source)
        is_odd = isinstance(reading, Post) and b"\\u0000" in reading.raw
        return clean_record(reading) if is_odd else reading

    return parse_row


def parse_tweet(cells: dict[str, str], source: str) -> Post:
    """The post of the non-empty cells of a row of a data set of X. Raises BadField."""
    post_id = cells.get("id", "")
    if not is_id(post_id):
        raise bad_id(post_id, "id")
    text = write_out(cells.get("body", ""))
    links = _split(cells.get("urls", ""))
    kind: Kind = "original"
    root_id, share_of, quote_of = post_id, None, None
    if cells.get("is_retweet") == "yes":
        kind = "share"
        by = cells.get("retweeted_user", "")
        text = _without_share_prefix(text, by)
        root_id = share_of = text_root(text or post_id, by)
    elif cells.get("is_quote_tweet") == "yes":
        kind = "quote"
        quote_of = _quoted(links, cells.get("quoted_user", ""))
        links = [link for link in links if quote_of is None or status_of(link) != quote_of]
    elif cells.get("is_reply") == "yes" or ("is_reply" not in cells and cells.get("replied_user")):
        kind = "reply"
    pictures = [Media(kind="image", url=url) for url in _split(cells.get("images", ""))]
    videos = [Media(kind="video", url=url) for url in _split(cells.get("videos", ""))]
    hashtags = (tag.strip("#＃ ") for tag in _split(cells.get("hashtags", "")))
    return Post(
        platform=PLATFORM,
        post_id=post_id,
        root_id=root_id,
        posted_at=_posted_at(cells, FIRST_DAY, "X"),
        kind=kind,
        text=text,
        completeness=COPY_IN_SHARE if kind == "share" else WHOLE,
        lang=cells.get("language_guess"),
        hashtags=tuple(dict.fromkeys(filter(None, hashtags))),
        links=tuple(dict.fromkeys(links)),
        media=(*pictures, *videos),
        author=_parse_author(cells),
        share_of=share_of,
        quote_of=quote_of,
        likes=parse_count(cells.get("like_count", "")),
        shares=parse_count(cells.get("retweet_count", "")),
        replies=parse_count(cells.get("reply_count", "")),
        quotes=parse_count(cells.get("quote_count", "")),
        views=parse_count(cells.get("impression_count", "")) or None,
        provenance=source,
        raw=encode_json(cells),
    )


def parse_instagram(cells: dict[str, str], source: str) -> Post | NotAPost:
    """The post of the non-empty cells of a row of a data set of Instagram. Raises BadField.

    Older data sets have comments between the posts.
    """
    if cells.get("type") == "comment":
        return NotAPost(what="comment")
    if is_ad({"link": cells.get("url")}):
        return NotAPost(what="ad")
    told = cells.get("id", "")
    post_id = post_id_of(told)
    if post_id is None:
        raise BadField(f"id: {told[:40]!r} is not a shortcode")
    text = cells.get("body", "")
    hashtags = (tag.strip("#＃ ") for tag in _split(cells.get("hashtags", "")))
    is_hidden = cells.get("likes_hidden") == "yes"
    return Post(
        platform=INSTAGRAM,
        post_id=post_id,
        root_id=post_id,
        posted_at=_posted_at(cells, FIRST_DAY_OF_INSTAGRAM, "Instagram"),
        text=text,
        hashtags=tuple(dict.fromkeys(filter(None, hashtags))),
        links=find_links(text),
        media=_instagram_media(cells),
        author=_parse_author(cells),
        likes=None if is_hidden else parse_count(cells.get("num_likes", "")),
        replies=parse_count(cells.get("num_comments", "")),
        provenance=source,
        raw=encode_json(cells),
    )


def example() -> bytes:
    """A small invented file of this format: an original, a retweet, a quote and a reply of X."""
    header = (
        "id,thread_id,timestamp,unix_timestamp,body,author,author_fullname,author_id,"
        "language_guess,retweet_count,reply_count,like_count,quote_count,impression_count,"
        "is_retweet,retweeted_user,is_quote_tweet,quoted_user,is_reply,replied_user,"
        "hashtags,urls,images,videos,mentions"
    )
    at = "2023-04-24 14:13:34,1682345614"
    quoted = "https://x.com/ada/status/1650500000000000001"
    rows = (
        f'1650500000000000001,1650500000000000001,{at},"Snow in May, says the #WeatherCat",ada,'
        "Ada,11,en,1,1,7,1,90,no,,no,,no,,WeatherCat,https://example.org/snow,"
        "https://pbs.example.org/1.jpg,,",
        f'1650500000000000002,1650500000000000002,{at},"RT @ada: Snow in May, says the '
        '#WeatherCat",bo,Bo,12,en,1,0,0,0,,yes,ada,no,,no,,WeatherCat,,,,ada',
        f"1650500000000000003,1650500000000000003,{at},Look,cy,Cy,13,en,0,0,0,0,,no,,yes,ada,"
        f"no,,,{quoted},,,",
        f"1650500000000000004,1650500000000000001,{at},@ada Bring boots,di,Di,14,en,0,0,1,0,5,"
        "no,,no,,yes,ada,,,,,ada",
    )
    return "\n".join((header, *rows, "")).encode()


def _split(cell: str) -> list[str]:
    return [part for part in (p.strip() for p in cell.split(",")) if part] if cell else []


def _posted_at(cells: dict[str, str], first_day: datetime, platform: str) -> datetime:
    """The Unix time, or else the timestamp, whose zone is that of the 4CAT that wrote it."""
    seconds = parse_count(cells.get("unix_timestamp", ""))
    told = cells.get("timestamp", "")
    if seconds is None and len(told) <= 12:
        seconds = parse_count(told)  # older data sets
    posted_at = parse_moment(told)
    if seconds is not None:
        posted_at = datetime.fromtimestamp(seconds, UTC) if seconds < 1 << 37 else None
    if posted_at is None or posted_at < first_day:
        told = cells.get("unix_timestamp", told)
        raise BadField(f"timestamp: {told[:40]!r} is not a time of {platform}")
    return posted_at


def _without_share_prefix(text: str, by: str) -> str:
    """Some versions of 4CAT write "RT @name: ", some leave out the colon."""
    prefix = f"RT @{by}"
    if by and text.startswith(prefix):
        return text.removeprefix(prefix).removeprefix(":").lstrip()
    return text


def _quoted(links: list[str], by: str) -> str | None:
    """The post of this account to which one of the links leads."""
    for link in links:
        x_id = status_of(link)
        if x_id and is_id(x_id) and f"/{by}/status/".casefold() in link.casefold():
            return x_id
    return None


def _parse_author(cells: dict[str, str]) -> Author | None:
    handle = cells.get("author")
    author_id = cells.get("author_id") or (f"@{handle.casefold()}" if handle else None)
    if author_id is None:
        return None
    return Author(
        author_id=author_id,
        handle=handle,
        name=cells.get("author_fullname"),
        followers=parse_count(cells.get("author_followers", "")),
    )


def _instagram_media(cells: dict[str, str]) -> tuple[Media, ...]:
    """The pictures that the row names: covers first, else what they are covers of."""
    pictures = _split(cells.get("image_urls", "")) or [cells.get("image_url", "")]
    media = _split(cells.get("media_urls", "")) or [cells.get("media_url", cells.get("url", ""))]
    is_file = [url for url in media if "instagram.com/p/" not in url]
    kind: MediaKind = "video" if cells.get("type") == "video" else "image"
    urls = dict.fromkeys(filter(None, pictures)) or dict.fromkeys(filter(None, is_file))
    return tuple(Media(kind=kind, url=url) for url in urls)
