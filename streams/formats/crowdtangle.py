"""CrowdTangle's CSV of Instagram posts: the service is closed, its archives are in use.

Accounts have names but no numbers. The words that CrowdTangle read off a picture ("Image Text")
are kept as the picture's description.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Literal

from streams.formats.cleaning import BadField, clean_record, parse_count
from streams.formats.csv_records import Row, RowParser, read_csv, read_header, remap_row
from streams.formats.json_records import encode_json
from streams.formats.platform_instagram import FIRST_DAY, PLATFORM, post_id_of
from streams.formats.text_parts import find_hashtags, find_links
from streams.records import Author, Media, Post, Reading

NAME = "crowdtangle"
DESCRIPTION = "CrowdTangle's CSV of Instagram posts"

_REQUIRED = {"Account", "User Name", "Post Created", "URL", "Description"}
_VIDEOS = {"Video", "IGTV", "Reel", "Clip"}

#: Hours from UTC of the zones that CrowdTangle writes behind a time.
ZONES = {
    "UTC": 0,
    "GMT": 0,
    "EST": -5,
    "EDT": -4,
    "CST": -6,
    "CDT": -5,
    "MST": -7,
    "MDT": -6,
    "PST": -8,
    "PDT": -7,
    "WET": 0,
    "WEST": 1,
    "CET": 1,
    "CEST": 2,
    "EET": 2,
    "EEST": 3,
    "MSK": 3,
    "JST": 9,
    "AEST": 10,
    "AEDT": 11,
}


def sniff(head: bytes) -> float:
    """The confidence that a file beginning with `head` is in this format: its header decides.

    >>> sniff(b"Account,User Name,Post Created,URL,Description\\n"), sniff(b"Account,URL\\n")
    (0.95, 0.0)
    """
    return 0.95 if read_header(head) >= _REQUIRED else 0.0


def read(stream: io.BufferedIOBase, source: str) -> Iterator[Reading]:
    """Each row as one Post, or as a Problem that names the bad field."""
    yield from read_csv(stream, source, row_parser)


def remap(raw: bytes, source: str) -> Iterator[Reading]:
    """What the `raw` of a Post or Problem is today."""
    yield from remap_row(raw, source, row_parser)


def row_parser(header: Row, source: str) -> RowParser:
    """The function that makes a Post of a row with these columns; it raises BadField."""

    def parse_row(row: Row) -> Post:
        cells = {name: cell for name, cell in zip(header, row, strict=True) if cell}
        post = parse_cells(cells, source)
        return clean_record(post) if b"\\u0000" in post.raw else post

    return parse_row


def parse_cells(cells: dict[str, str], source: str) -> Post:
    """The post of the non-empty cells of a row. Raises BadField."""
    link = cells.get("URL", "")
    post_id = post_id_of(link) if "/" in link else None
    if post_id is None:
        raise BadField(f"URL: {link[:60]!r} holds no shortcode")
    told = cells.get("Post Created", "")
    posted_at = parse_time(told)
    if posted_at is None or posted_at < FIRST_DAY:
        raise BadField(f"Post Created: {told[:40]!r} is not a time of Instagram in a known zone")
    title, description = cells.get("Title", ""), cells.get("Description", "")
    text = f"{title}\n\n{description}" if title and description else title or description
    is_video = cells.get("Type") in _VIDEOS
    return Post(
        platform=PLATFORM,
        post_id=post_id,
        root_id=post_id,
        posted_at=posted_at,
        text=text,
        hashtags=find_hashtags(text),
        links=find_links(text),
        media=_parse_media(cells, "video" if is_video else "image"),
        author=_parse_author(cells),
        likes=_count(cells, "Likes"),
        replies=_count(cells, "Comments"),
        views=_count(cells, "Views") or None,  # a picture has 0
        provenance=source,
        raw=encode_json(cells),
    )


def parse_time(cell: str) -> datetime | None:
    """The moment of a time with the name of its zone behind it, in UTC, or None.

    >>> parse_time("2020-01-01 10:00:00 EST").isoformat(), parse_time("2020-01-01 10:00:00 XYZ")
    ('2020-01-01T15:00:00+00:00', None)
    """
    clock, _, zone = cell.rpartition(" ")
    if zone not in ZONES:
        return None
    try:
        moment = datetime.strptime(clock, "%Y-%m-%d %H:%M:%S")
        at = timezone(timedelta(hours=ZONES[zone]))
        return moment.replace(tzinfo=at).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def example() -> bytes:
    """A small invented file of this format: a picture, and a video without a caption."""
    header = (
        "Account,User Name,Followers at Posting,Post Created,Type,Total Interactions,Likes,"
        "Comments,Views,URL,Link,Photo,Title,Description,Image Text,Sponsor Id,Sponsor Name"
    )
    rows = (
        'Ada,ada.weather,250,2020-01-01 10:00:00 EST,Photo,"1,008","1,007",1,0,'
        "https://www.instagram.com/p/B6xzWzvJxAA/,https://www.instagram.com/p/B6xzWzvJxAA/,"
        'https://cdn.example.org/cat.jpg,,"Snow, says the #WeatherCat",SNOW!,,',
        "Bo,bo,80,2020-07-01 10:00:00 EDT,IGTV,3,3,0,90,https://www.instagram.com/tv/CCGHdLmJxAA/,"
        "https://www.instagram.com/tv/CCGHdLmJxAA/,https://cdn.example.org/boots.jpg,Boots,,,,",
    )
    return "\n".join((header, *rows, "")).encode()


def _count(cells: dict[str, str], name: str) -> int | None:
    return parse_count(cells.get(name, "").replace(",", ""))


def _parse_media(cells: dict[str, str], kind: Literal["image", "video"]) -> tuple[Media, ...]:
    url = cells.get("Photo", "")
    return (Media(kind=kind, url=url, alt_text=cells.get("Image Text")),) if url else ()


def _parse_author(cells: dict[str, str]) -> Author | None:
    handle = cells.get("User Name")
    if not handle:
        return None
    return Author(
        author_id=f"@{handle.casefold()}",
        handle=handle,
        name=cells.get("Account"),
        followers=_count(cells, "Followers at Posting"),
    )
