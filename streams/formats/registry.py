"""The file formats by name, which of them a file has, and reading it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from streams.formats.cleaning import clean_text
from streams.formats.opening import (
    DAMAGE,
    Archive,
    InputError,
    Member,
    describe_damage,
    is_zip,
    open_file,
    plain_name,
    read_head,
    show_path,
)
from streams.formats.unknown import describe_unknown
from streams.records import Problem, Reading

#: name -> module, imported when it is first needed. Adding a format is one file and one line here.
FORMATS = {
    "twitwi": "streams.formats.twitwi",
    "twitter_v2": "streams.formats.twitter_v2",
    "twitter_v1": "streams.formats.twitter_v1",
    "ira": "streams.formats.ira",
    "instagram_graph": "streams.formats.instagram_graph",
    "bluesky": "streams.formats.bluesky",
    "fourcat": "streams.formats.fourcat",
    "zeeschuimer": "streams.formats.zeeschuimer",
    "crowdtangle": "streams.formats.crowdtangle",
    "instaloader": "streams.formats.instaloader",
    "instagrapi": "streams.formats.instagrapi",
    "mastodon": "streams.formats.mastodon",
    "columns": "streams.formats.columns",
}

#: Stands for "each by its own format", for archives that hold several.
ZIP = "zip"

#: Less confidence than this is a guess, and we do not guess.
LEAST_CONFIDENCE = 0.5


class Format(Protocol):
    """What each format's module has. `source` is "format:file name", the posts' provenance."""

    NAME: str
    DESCRIPTION: str

    def sniff(self, head: bytes) -> float:
        """The confidence, in [0, 1], that a file beginning with `head` has this format."""

    def read(self, stream: io.BufferedIOBase, source: str) -> Iterator[Reading]:
        """Each record of the stream as one Reading, embedded posts before what embeds them."""

    def remap(self, raw: bytes, source: str) -> Iterator[Reading]:
        """What the `raw` of a Post or Problem of this format is today.

        A post is the same but for what `raw` does not hold: one found inside another is
        "collected", and a share has its own words instead of its original's.
        """

    def example(self) -> bytes:
        """A small invented file of this format."""


def load_format(name: str) -> Format:
    """The module of the format called `name`. Raises InputError for a name we do not have.

    A format that can be told more has it behind a colon: "columns:MAP.toml".

    >>> load_format("twitwi").NAME
    'twitwi'
    """
    name, _, argument = name.partition(":")
    if name not in FORMATS:
        raise InputError(f"there is no format {name!r}; the formats are {', '.join(FORMATS)}")
    module = import_module(FORMATS[name])
    if not argument:
        return cast(Format, module)
    if not hasattr(module, "with_argument"):
        raise InputError(f"format {name} takes nothing behind its name; leave out :{argument}")
    return cast(Format, module.with_argument(argument))


def sniff_format(path: str | Path) -> str:
    """The name of the format of the file, judged by its first 64 kB (decompressed).

    An empty file, which every format reads as no records, has the first of them. A zip archive has
    the format of its files, or ZIP where they have several. Raises InputError if the file cannot
    be opened, or if no format is likely.
    """
    if _is_pipe(path):
        raise InputError(
            f"{show_path(path)} is a pipe and can be read once; say what it is: --format NAME"
        )
    if is_zip(path):
        return _sniff_archive(path)
    with open_file(path) as stream:
        head = read_head(stream)
        name = guess_format(head)
        if name is None:
            raise InputError(f"{show_path(path)} {describe_unknown(head)}")
    return name


def guess_format(head: bytes) -> str | None:
    """The name of the format that a file beginning with `head` has; None if none is likely."""
    if not head.strip():
        return next(iter(FORMATS))
    confidence = {name: load_format(name).sniff(head) for name in FORMATS}
    best = max(confidence, key=confidence.__getitem__)
    return best if confidence[best] >= LEAST_CONFIDENCE else None


def read_file(path: str | Path, format: str | None = None) -> Iterator[Reading]:
    """Every record of the file as one Reading; posts inside a post or page come before it.

    A file that is damaged gives what comes before the damage and then one Problem whose reason
    begins with "file_damaged". The files of a zip archive are read one after the other; one whose
    format cannot be told is one Problem. Reading starts with the first `next`. Raises InputError
    when the file cannot be opened or its format not be told.
    """
    if not _is_pipe(path) and is_zip(path):
        yield from _read_archive(path, format)
        return
    module = load_format(format or sniff_format(path))
    source = source_of(path, module.NAME)
    with open_file(path) as stream:
        yield from _read_to_damage(module, stream, source)


def _read_to_damage(module: Format, stream: io.BufferedIOBase, source: str) -> Iterator[Reading]:
    n_readings = 0
    try:
        for reading in module.read(stream, source):
            yield reading
            n_readings += 1
    except DAMAGE as error:
        position = f"after {n_readings} records"
        yield Problem(reason=describe_damage(error), source=source, position=position)


def _sniff_archive(path: str | Path) -> str:
    names = set()
    with Archive(path) as archive:
        for member in archive.members():
            try:
                with archive.open(member) as stream:
                    head = read_head(stream)
            except DAMAGE:
                continue  # whoever reads it meets it again, and reports it
            if head.strip():
                names.add(guess_format(head))
    known = names - {None}
    if not known:
        raise InputError(
            f"{show_path(path)} holds no file with one of the formats {', '.join(FORMATS)}; "
            "if they have one of them, say so: --format NAME"
        )
    return str(*known) if len(names) == 1 else ZIP


def _read_archive(path: str | Path, format: str | None) -> Iterator[Reading]:
    """The records of all files of an archive, each by its own format if none is given."""
    chosen = None if format in (None, ZIP) else load_format(format or "")
    n_readings = 0
    with Archive(path) as archive:
        for member in archive.members():
            place = f"{Path(path).name}/{member.name}"
            source = f"{chosen.NAME if chosen else ZIP}:{clean_text(place)}"
            try:
                module = chosen or _module_of(archive, member)
                if module is None:
                    reason = "file: it has none of our formats"
                    yield Problem(reason=reason, source=source, position="file")
                    continue
                with archive.open(member) as stream:
                    source = f"{module.NAME}:{clean_text(place)}"
                    for reading in _read_to_damage(module, stream, source):
                        yield reading
                        n_readings += 1
            except InputError as error:  # a map of columns does not fit this file
                if not n_readings:
                    raise
                yield Problem(reason=f"file: {error}", source=source, position="file")
            except DAMAGE as error:
                yield Problem(reason=describe_damage(error), source=source, position="file")


def _module_of(archive: Archive, member: Member) -> Format | None:
    with archive.open(member) as stream:
        name = guess_format(read_head(stream))
    return None if name is None else load_format(name)


def source_of(path: str | Path, format: str) -> str:
    """What posts and problems of a file say where they are from: "format:file name".

    >>> source_of("archive/day1.csv.xz", "twitwi"), source_of("a.csv", "columns:MAP.toml")
    ('twitwi:day1.csv', 'columns:a.csv')
    """
    return f"{format.partition(':')[0]}:{clean_text(plain_name(path))}"


def remap_raw(raw: bytes, source: str) -> Iterator[Reading]:
    """What a stored raw record is today, read by the format that `source` begins with."""
    return load_format(source.partition(":")[0]).remap(raw, source)


def _is_pipe(path: str | Path) -> bool:
    try:
        return Path(path).is_fifo()
    except OSError:
        return False  # opening it will say what is wrong
