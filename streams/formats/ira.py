"""Tweets of the Internet Research Agency as CSV: what FiveThirtyEight and Clemson published.

Also cut-down copies without account names and tweet ids. A tweet without an id gets one made of
author, minute, text and how often these came before; retweets are linked to what they share by
equal text, since no copy names the original.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache

from streams.formats.cleaning import BadField, clean_record, parse_count, parse_moment
from streams.formats.csv_records import (
    Row,
    RowParser,
    read_csv,
    read_header,
    remap_row,
)
from streams.formats.derived_ids import PostIds, text_root
from streams.formats.json_records import encode_json
from streams.formats.platform_x import FIRST_DAY, PLATFORM, is_id, strip_share_prefix, write_out
from streams.formats.text_parts import find_hashtags, find_links
from streams.records import COPY_IN_SHARE, WHOLE, Author, Kind, Post, Reading

NAME = "ira"
DESCRIPTION = "Troll tweets of the Internet Research Agency as CSV (FiveThirtyEight, Clemson)"

_REQUIRED = {"content", "publish_date", "post_type", "account_category"}
_KINDS: dict[str, Kind] = {
    "": "original",
    "R": "share",
    "RETWEET": "share",
    "Q": "quote",
    "QUOTE_TWEET": "quote",
}
#: The key in a row's raw under which the id stands that was made for it.
_OWN_ID = "__post_id"

#: The names that the files give to languages.
LANGUAGES = {
    "Albanian": "sq",
    "Arabic": "ar",
    "Bulgarian": "bg",
    "Catalan": "ca",
    "Croatian": "hr",
    "Czech": "cs",
    "Danish": "da",
    "Dutch": "nl",
    "English": "en",
    "Estonian": "et",
    "Farsi (Persian)": "fa",
    "Finnish": "fi",
    "French": "fr",
    "German": "de",
    "Greek": "el",
    "Gujarati": "gu",
    "Hebrew": "he",
    "Hindi": "hi",
    "Hungarian": "hu",
    "Icelandic": "is",
    "Indonesian": "id",
    "Irish": "ga",
    "Italian": "it",
    "Japanese": "ja",
    "Kannada": "kn",
    "Korean": "ko",
    "Kurdish": "ku",
    "Latvian": "lv",
    "Lithuanian": "lt",
    "Macedonian": "mk",
    "Malay": "ms",
    "Malayalam": "ml",
    "Norwegian": "no",
    "Polish": "pl",
    "Portuguese": "pt",
    "Pushto": "ps",
    "Romanian": "ro",
    "Russian": "ru",
    "Saudi Arabia": "ar",
    "Serbian": "sr",
    "Simplified Chinese": "zh",
    "Slovak": "sk",
    "Slovenian": "sl",
    "Somali": "so",
    "Spanish": "es",
    "Swedish": "sv",
    "Tagalog (Filipino)": "tl",
    "Tamil": "ta",
    "Telugu": "te",
    "Thai": "th",
    "Traditional Chinese": "zh",
    "Turkish": "tr",
    "Ukrainian": "uk",
    "Urdu": "ur",
    "Uzbek": "uz",
    "Vietnamese": "vi",
}


def sniff(head: bytes) -> float:
    """The confidence that a file beginning with `head` is in this format: its header decides.

    >>> sniff(b"publish_date,account_category,post_type,content\\n"), sniff(b"content\\n")
    (0.95, 0.0)
    """
    return 0.95 if read_header(head) >= _REQUIRED else 0.0


def read(stream: io.BufferedIOBase, source: str) -> Iterator[Reading]:
    """Each row as one Post, or as a Problem that names the bad field."""
    yield from read_csv(stream, source, row_parser)


def remap(raw: bytes, source: str) -> Iterator[Reading]:
    """What the `raw` of a Post or Problem is today, under the id it got when its file was read."""
    yield from remap_row(raw, source, row_parser)


def row_parser(header: Row, source: str) -> RowParser:
    """The function that makes a Post of a row with these columns; it raises BadField.

    It knows which rows it has had: the rows of a file go through one parser.
    """
    ids = PostIds()

    def parse_row(row: Row) -> Post:
        cells = {name: cell for name, cell in zip(header, row, strict=True) if cell}
        post = parse_cells(cells, ids, source)
        return clean_record(post) if b"\\u0000" in post.raw else post

    return parse_row


def parse_cells(cells: dict[str, str], ids: PostIds, source: str) -> Post:
    """The post of the non-empty cells of a row. Raises BadField.

    A post whose id was made has a content that is known by its text, as the shares of it have; one
    with an id of X has its own. `raw` also holds the id that was made.
    """
    told = cells.get("publish_date", "")
    posted_at = parse_date(told)
    if posted_at is None or posted_at < FIRST_DAY:
        raise BadField(f"publish_date: {told[:40]!r} is not a time of X")
    post_type = cells.get("post_type", "")
    kind = _KINDS.get(post_type)
    if kind is None:
        raise BadField(f"post_type: {post_type[:40]!r} is not one we know")
    if cells.get("retweet") == "1":
        kind = "share"
    content = cells.get("content", "")
    text = write_out(strip_share_prefix(content) if kind == "share" else content)
    author_id = _author_id(cells)
    x_id = cells.get("tweet_id", "")
    post_id = x_id
    if not is_id(x_id):
        post_id = cells.get(_OWN_ID) or ids.next_id(author_id, posted_at, content)
        cells = {**cells, _OWN_ID: post_id}
    by_text = text_root(text or post_id)
    is_share = kind == "share"
    return Post(
        platform=PLATFORM,
        post_id=post_id,
        posted_at=posted_at,
        root_id=by_text if is_share or post_id != x_id else post_id,
        kind=kind,
        text=text,
        completeness=COPY_IN_SHARE if is_share else WHOLE,
        lang=LANGUAGES.get(cells.get("language", "")),
        hashtags=find_hashtags(text),
        links=find_links(text),
        author=_parse_author(
            author_id,
            cells.get("author", ""),
            cells.get("followers", ""),
            cells.get("following", ""),
            cells.get("updates", ""),
        ),
        share_of=by_text if is_share else None,
        observed_at=parse_date(cells.get("harvested_date", "")),
        provenance=source,
        raw=encode_json(cells),
    )


def parse_date(cell: str) -> datetime | None:
    """The moment of "2016-10-25 00:05:00" or of "10/25/2016 0:05", in UTC, or None.

    >>> parse_date("10/25/2016 0:05") == parse_date("2016-10-25 00:05:00")
    True
    """
    if "/" not in cell:
        return parse_moment(cell)
    day, _, clock = cell.partition(" ")
    try:
        month, of_month, year = map(int, day.split("/"))
        hour, minute = map(int, clock.split(":"))
        return datetime(year, month, of_month, hour, minute, tzinfo=UTC)
    except ValueError:
        return None


def example() -> bytes:
    """A small invented file of this format: an original, a share of it, a quote, a repetition."""
    header = "external_author_id,author,content,language,publish_date,following,followers,updates,"
    rows = (
        "9001,ADA,Snow in May! #Cat https://t.co/a,English,10/25/2016 0:05,80,250,9,,0,Lake",
        "9002,BO,Snow in May! #Cat https://t.co/a,English,10/25/2016 0:09,7,8,9,RETWEET,1,Lake",
        '9003,CY,"Look, boots",English,10/25/2016 0:10,5,6,7,QUOTE_TWEET,0,Lake',
        "9001,ADA,Снег,Russian,10/25/2016 0:11,80,250,10,,0,Lake",
        "9001,ADA,Снег,Russian,10/25/2016 0:11,80,250,11,,0,Lake",
    )
    return "\n".join((header + "post_type,retweet,account_category", *rows, "")).encode()


def _author_id(cells: dict[str, str]) -> str:
    """The account's number; where spreadsheets rounded it, or nobody gave one, its name."""
    for name in ("alt_external_id", "author_id", "external_author_id"):
        if is_id(cells.get(name, "")):
            return cells[name]
    handle = cells.get("author", "")
    return f"@{handle.casefold()}" if handle else cells.get("author_id", "")


@lru_cache(maxsize=4096)
def _parse_author(
    author_id: str, handle: str, followers: str, following: str, n_posts: str
) -> Author | None:
    if not author_id:
        return None
    return Author(
        author_id=author_id,
        handle=handle or None,
        followers=parse_count(followers),
        following=parse_count(following),
        n_posts=parse_count(n_posts),
    )
