"""Any CSV or JSON lines, by a map in TOML that says which column is what.

    hoaxwatch run tweets.csv --columns MAP.toml

`MAP_EXAMPLE` is such a map; `FIELDS` are the names on its left. Without a map, the columns have
the names of the fields themselves.
"""

from __future__ import annotations

import io
import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from difflib import get_close_matches
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from streams.formats import bluesky, mastodon, platform_instagram, platform_x
from streams.formats.cleaning import BadField, bad_id, clean_record, is_rounded, parse_count
from streams.formats.csv_records import Row, RowParser, read_csv, read_header
from streams.formats.derived_ids import PostIds, text_root
from streams.formats.json_records import (
    Json,
    Parse,
    begins_with_json,
    encode_json,
    object_of,
    parse_json,
    problem_of,
    read_json,
    text_of,
)
from streams.formats.opening import Ahead, InputError, show_path
from streams.formats.text_parts import bare_tag, find_hashtags, find_links
from streams.records import (
    COPY_IN_SHARE,
    WHOLE,
    Author,
    Kind,
    Media,
    Post,
    Problem,
    Reading,
)

NAME = "columns"
DESCRIPTION = "Any CSV or JSON lines, with --columns MAP.toml; else columns named as our fields"

#: What a column can be. Lists are `hashtags`, `links`, `images` and `videos`.
FIELDS = (
    *("platform", "post_id", "posted_at", "text", "lang", "kind"),
    *("share_of", "shared_via", "reply_to", "quote_of", "hashtags", "links", "images", "videos"),
    *("author_id", "author_handle", "author_name", "author_followers", "author_following"),
    *("author_posts", "author_created_at", "author_verified"),
    *("likes", "shares", "replies", "quotes", "views", "observed_at"),
)
_NEEDED = ("posted_at", "text")
_KINDS: tuple[Kind, ...] = ("original", "share", "reply", "quote")

#: Earlier dates are broken; on other platforms, those before the year 2000.
FIRST_DAYS = {
    "x": platform_x.FIRST_DAY,
    "instagram": platform_instagram.FIRST_DAY,
    "bluesky": bluesky.FIRST_DAY,
    "mastodon": mastodon.FIRST_DAY,
}
_FIRST_DAY = datetime(2000, 1, 1, tzinfo=UTC)

MAP_EXAMPLE = """\
platform = "x"                  # of every post; or name its column below
delimiter = ";"                 # of a CSV; "tab" for a tabulator; default ","
list_separator = "|"            # between the parts of a cell that holds a list; default "|"
time_format = "%d.%m.%Y %H:%M"  # default: ISO 8601, or seconds or milliseconds since 1970
time_zone = "Europe/Vienna"     # of times that name none; default "UTC"

[columns]                       # ours = "theirs"; in JSON "user.id" is the id in user
post_id = "Tweet ID"
posted_at = "Date"
text = "Content"
author_id = "User"
share_of = "Retweet of"
likes = "Likes"

[kinds]                         # if there is a column `kind`: what its values mean
RT = "share"
"""


class ColumnMap(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a map file says."""

    columns: dict[str, str]
    platform: str | None = None
    delimiter: str = ","
    list_separator: str = "|"
    time_format: str | None = None
    time_zone: str = "UTC"
    kinds: dict[str, Kind] = {}


#: The map of files whose columns have our names.
OUR_NAMES = ColumnMap(columns={field: field for field in FIELDS})


def sniff(head: bytes) -> float:
    """The confidence that a file beginning with `head` has columns with our names.

    >>> sniff(b"platform,post_id,posted_at,text\\n"), sniff(b"post_id,text\\n")
    (0.9, 0.0)
    """
    telling = {"platform", "post_id", "posted_at", "text"}
    if begins_with_json(head):
        return 0.9 if all(f'"{name}"'.encode() in head for name in telling) else 0.0
    return 0.9 if read_header(head) >= telling else 0.0


def read(stream: io.BufferedIOBase, source: str) -> Iterator[Reading]:
    """Each row or record as one Post, or as a Problem that names the bad field."""
    yield from Mapped(OUR_NAMES, is_loose=True).read(stream, source)


def remap(raw: bytes, source: str) -> Iterator[Reading]:
    """What the `raw` of a Post or Problem is today by the map that is in it."""
    yield from parse_json(raw, source, "raw", _parse_raw)


def example() -> bytes:
    """A small invented file of this format: an original, a share, a reply and a quote."""
    header = "platform,post_id,posted_at,text,author_id,author_handle,share_of,reply_to,quote_of"
    rows = (
        'x,1001,2023-04-24T10:40:00Z,"Snow in May, says the #WeatherCat",11,ada,,,',
        "x,1002,2023-04-24T10:43:20Z,Snow in May,12,bo,1001,,",
        "x,1003,2023-04-24T10:45:00Z,Bring boots,13,cy,,1001,",
        "x,1004,2023-04-24T10:46:40Z,Look: boots,14,di,,,1003",
    )
    return "\n".join((header, *rows, "")).encode()


# The map


def read_map(path: str | Path) -> ColumnMap:
    """The map in a TOML file. Raises InputError, which says what is wrong with it."""
    shown = show_path(path)
    try:
        told = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # TOMLDecodeError and UnicodeDecodeError are ValueErrors
        if isinstance(error, OSError):
            raise InputError(f"{shown} cannot be read: {error.strerror or error}") from None
        raise InputError(f"{shown} is not TOML: {' '.join(str(error).split())}") from None
    try:
        column_map = msgspec.convert(told, ColumnMap)
    except msgspec.ValidationError as error:
        raise InputError(f"{shown}: {error}; a map has {', '.join(_MAP_KEYS)}") from None
    return check_map(column_map, shown)


def check_map(column_map: ColumnMap, shown: str) -> ColumnMap:
    """The map, if it can be used. Raises InputError."""
    for field in column_map.columns:
        if field not in FIELDS:
            near = get_close_matches(field, FIELDS, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(FIELDS)}"
            raise InputError(f"{shown}: columns.{field} is no field of ours; {hint}")
    for field in _NEEDED:
        if field not in column_map.columns:
            raise InputError(f"{shown}: name the column that is {field}: {field} = '...'")
    if not column_map.columns.keys() & {"post_id", "author_id", "author_handle"}:
        raise InputError(f"{shown}: name the column that is post_id, or at least author_id")
    if not column_map.platform and "platform" not in column_map.columns:
        raise InputError(f"{shown}: say whose posts these are: platform = 'x'")
    if len(_delimiter_of(column_map)) != 1:
        raise InputError(f"{shown}: delimiter {column_map.delimiter!r} is not one character")
    if not column_map.list_separator:
        raise InputError(f"{shown}: list_separator is empty")
    _zone_of(column_map, shown)
    return column_map


_MAP_KEYS = tuple(field.name for field in msgspec.structs.fields(ColumnMap))


def _delimiter_of(column_map: ColumnMap) -> str:
    return "\t" if column_map.delimiter == "tab" else column_map.delimiter


def _zone_of(column_map: ColumnMap, shown: str) -> tzinfo:
    if column_map.time_zone == "UTC":
        return UTC
    try:
        return ZoneInfo(column_map.time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        told = column_map.time_zone
        raise InputError(
            f"{shown}: time_zone {told!r} is not known; write one like Europe/Vienna"
        ) from None


# Reading with a map


@dataclass(frozen=True)
class _Found:
    """The values of a record's fields: texts, and what JSON has instead of them."""

    values: dict[str, object]

    def text(self, field: str) -> str:
        """The value as text; what is missing is empty."""
        value = self.values.get(field)
        if isinstance(value, str):
            return value
        return str(value) if isinstance(value, int | float) else ""

    def list(self, field: str, separator: str) -> list[str]:
        """The parts of a list, or of a text that holds one."""
        value = self.values.get(field)
        parts = value if isinstance(value, list) else self.text(field).split(separator)
        return [part.strip() for part in parts if isinstance(part, str) and part.strip()]

    def count(self, field: str) -> int | None:
        """A counter, also with commas between the thousands."""
        return parse_count(self.text(field).replace(",", ""))


class Mapped:
    """The format of files that a map describes. `is_loose`: columns may be missing.

    The rows of a file without ids go through one `read`, which counts those that are equal.
    """

    NAME = NAME
    DESCRIPTION = DESCRIPTION

    def __init__(
        self, column_map: ColumnMap, name: str = "the map", *, is_loose: bool = False
    ) -> None:
        self._map = column_map
        self._as_json = msgspec.to_builtins(column_map)
        self._name = name
        self._is_loose = is_loose
        self._zone = _zone_of(column_map, name)

    def sniff(self, head: bytes) -> float:
        """A map is chosen, never guessed."""
        return 0.0

    def example(self) -> bytes:
        """An invented file with our own names."""
        return example()

    def read(self, stream: io.BufferedIOBase, source: str) -> Iterator[Reading]:
        """Each row or record as one reading. Raises InputError for a map that does not fit."""
        ahead = Ahead(stream)
        if begins_with_json(ahead.head):
            yield from read_json(ahead, source, self._record_parser())
        else:
            delimiter = _delimiter_of(self._map)
            yield from read_csv(ahead, source, self._row_parser, delimiter, self._encode_row)

    def remap(self, raw: bytes, source: str) -> Iterator[Reading]:
        """What the `raw` of a Post or Problem is today by this map."""
        yield from parse_json(raw, source, "raw", self._parse_own)

    def _parse_own(self, record: object, source: str, position: str) -> Iterator[Reading]:
        yield _guarded(lambda: self._parse_stored(record, source), record, source, position)

    def _parse_stored(self, record: object, source: str) -> Post:
        """The post of a stored record: `{"columns": map, "row": ..., "post_id": ...}`."""
        stored = object_of(record)
        row = stored.get("row")
        if not isinstance(row, dict):
            raise BadField("row: missing")
        return self._parse(row, PostIds(), source, text_of(stored.get("post_id")))

    def _row_parser(self, header: Row, source: str) -> RowParser:
        self._check_header(header)
        ids = PostIds()

        def parse_row(row: Row) -> Post:
            cells: Json = {name: cell for name, cell in zip(header, row, strict=True) if cell}
            post = self._parse(cells, ids, source)
            return clean_record(post) if b"\\u0000" in post.raw else post

        return parse_row

    def _check_header(self, header: Row) -> None:
        missing = [name for name in self._map.columns.values() if name not in header]
        if missing and not self._is_loose:
            near = get_close_matches(missing[0], header, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(header)[:300]}"
            raise InputError(f"{self._name}: the file has no column {missing[0]!r}; {hint}")

    def _record_parser(self) -> Parse:
        ids = PostIds()

        def parse_record(record: Json, source: str, position: str) -> Iterator[Reading]:
            stored = self._stored(record)
            yield _guarded(lambda: self._parse(record, ids, source), stored, source, position)

        return parse_record

    def _parse(self, row: Json, ids: PostIds, source: str, own_id: str | None = None) -> Post:
        """The post of a row. Raises BadField, with the column's name."""
        found = _Found(
            {
                field: _value_at(row, name)
                for field, name in self._map.columns.items()
                if name in row or "." in name
            }
        )
        platform = found.text("platform") or self._map.platform or ""
        if not _PLATFORM.fullmatch(platform):
            raise BadField(f"{self._column('platform')}: {platform[:40]!r} is not a name")
        posted_at = self._parse_time(found.text("posted_at"))
        if posted_at is None or posted_at < FIRST_DAYS.get(platform, _FIRST_DAY):
            told = found.text("posted_at")[:40]
            raise BadField(f"{self._column('posted_at')}: {told!r} is not a time of {platform}")
        text = found.text("text")
        author = self._parse_author(found)
        told_id = found.text("post_id")
        if told_id:
            post_id = self._id(platform, told_id, "post_id")
        elif author is not None:
            post_id = own_id or ids.next_id(author.author_id, posted_at, text)
        else:
            raise BadField(f"{self._column('post_id')}: missing")
        references = {
            field: self._id(platform, found.text(field), field) if found.text(field) else None
            for field in ("share_of", "shared_via", "reply_to", "quote_of")
        }
        kind = self._kind(found, {field for field, told in references.items() if told})
        share_of = references["share_of"]
        if kind == "share" and share_of is None:
            share_of = text_root(text or post_id)
        is_share = kind == "share"
        tags = map(bare_tag, self._list(found, "hashtags"))
        stored = self._stored(row)
        if not told_id:
            stored["post_id"] = post_id
        return Post(
            platform=platform,
            post_id=post_id,
            root_id=share_of if is_share and share_of else post_id,
            posted_at=posted_at,
            kind=kind,
            text=text,
            completeness=COPY_IN_SHARE if is_share else WHOLE,
            lang=found.text("lang") or None,
            hashtags=tuple(dict.fromkeys(filter(None, tags))) or find_hashtags(text),
            links=tuple(dict.fromkeys(self._list(found, "links"))) or find_links(text),
            media=self._parse_media(found),
            author=author,
            share_of=share_of if is_share else None,
            shared_via=references["shared_via"] if is_share else None,
            reply_to=None if is_share else references["reply_to"],
            quote_of=None if is_share else references["quote_of"],
            likes=found.count("likes"),
            shares=found.count("shares"),
            replies=found.count("replies"),
            quotes=found.count("quotes"),
            views=found.count("views"),
            observed_at=self._parse_time(found.text("observed_at")),
            provenance=source,
            raw=encode_json(stored),
        )

    def _stored(self, row: Json) -> Json:
        """A row with the map that it is read by, which `remap` reads again."""
        return {"row": row} if self._map is OUR_NAMES else {"row": row, "columns": self._as_json}

    def _encode_row(self, header: Row, row: Row) -> bytes:
        cells: Json = {name: cell for name, cell in zip(header, row, strict=True) if cell}
        return encode_json(self._stored(cells))

    def _column(self, field: str) -> str:
        """The name of a field's column, for messages."""
        return self._map.columns.get(field, field)

    def _list(self, found: _Found, field: str) -> list[str]:
        return found.list(field, self._map.list_separator)

    def _kind(self, found: _Found, references: set[str]) -> Kind:
        """What the column `kind` says, else what is referred to: share > quote > reply."""
        told = found.text("kind")
        if told:
            kind = self._map.kinds.get(told, told)
            if kind not in _KINDS:
                raise BadField(f"{self._column('kind')}: {told[:40]!r} is none of the kinds")
            return kind
        if "share_of" in references:
            return "share"
        if "quote_of" in references:
            return "quote"
        return "reply" if "reply_to" in references else "original"

    def _id(self, platform: str, told: str, field: str) -> str:
        """A post's id in the form that other formats of its platform have. Raises BadField."""
        told = told.strip()
        found: str | None = told
        if platform == platform_x.PLATFORM:
            found = told if platform_x.is_id(told) else platform_x.status_of(told)
        elif platform == platform_instagram.PLATFORM:
            found = platform_instagram.post_id_of(told)
        if not found or is_rounded(told):
            raise bad_id(told, self._column(field))
        if platform == platform_x.PLATFORM and not platform_x.is_id(found):
            raise bad_id(told, self._column(field))
        return found

    def _parse_time(self, told: str) -> datetime | None:
        """A time in the map's form, or one that tells its form itself: ISO 8601, Unix."""
        try:
            if self._map.time_format:
                moment = datetime.strptime(told, self._map.time_format)
            elif _NUMBER.fullmatch(told):
                seconds = float(told)
                return datetime.fromtimestamp(seconds / (1000 if seconds > 1e11 else 1), UTC)
            else:
                moment = datetime.fromisoformat(told)
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=self._zone)
            return moment.astimezone(UTC)
        except (ValueError, OverflowError):
            return None

    def _parse_media(self, found: _Found) -> tuple[Media, ...]:
        images = [Media(kind="image", url=url) for url in self._list(found, "images")]
        videos = [Media(kind="video", url=url) for url in self._list(found, "videos")]
        return (*images, *videos)

    def _parse_author(self, found: _Found) -> Author | None:
        handle = found.text("author_handle").lstrip("@")
        author_id = found.text("author_id") or (f"@{handle.casefold()}" if handle else "")
        if not author_id:
            return None
        return Author(
            author_id=author_id,
            handle=handle or None,
            name=found.text("author_name") or None,
            followers=found.count("author_followers"),
            following=found.count("author_following"),
            n_posts=found.count("author_posts"),
            created_at=self._parse_time(found.text("author_created_at")),
            verified=_BOOLEANS.get(found.text("author_verified").casefold()),
        )


_PLATFORM = re.compile(r"[a-z0-9][a-z0-9_.-]{0,39}")
_NUMBER = re.compile(r"\d{1,13}(\.\d+)?", re.ASCII)
_BOOLEANS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


def _value_at(row: Json, name: str) -> object:
    """The value under a name, or under the names between its dots."""
    if name in row or "." not in name:
        return row.get(name)
    value: object = row
    for part in name.split("."):
        value = object_of(value).get(part)
    return value


def _guarded(
    parse: Callable[[], Post], record: object, source: str, position: str
) -> Post | Problem:
    try:
        return parse()
    except BadField as error:
        return problem_of(str(error), record, source, position)


def _parse_raw(record: object, source: str, position: str) -> Iterator[Reading]:
    told = object_of(record).get("columns")
    column_map = OUR_NAMES
    if told is not None:
        try:
            column_map = check_map(msgspec.convert(told, ColumnMap), "raw")
        except (msgspec.ValidationError, InputError) as error:
            yield problem_of(f"columns: {error}", record, source, position)
            return
    yield from Mapped(column_map)._parse_own(record, source, position)


def with_argument(path: str) -> Mapped:
    """This format with the map in a file. Raises InputError for one that is no map."""
    return Mapped(read_map(path), name=show_path(path))
