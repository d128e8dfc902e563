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
    InputError,
    describe_damage,
    open_file,
    plain_name,
    read_head,
    show_path,
)
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
}

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
        """What the `raw` of a post of this format says to today's mapper.

        It is the same post but for what `raw` does not hold: a post found inside another is
        "collected", and a share has its own words instead of its original's.
        """

    def example(self) -> bytes:
        """A small invented file of this format."""


def load_format(name: str) -> Format:
    """The module of the format called `name`. Raises InputError for a name we do not have.

    >>> load_format("twitwi").NAME
    'twitwi'
    """
    if name not in FORMATS:
        raise InputError(f"there is no format {name!r}; the formats are {', '.join(FORMATS)}")
    return cast(Format, import_module(FORMATS[name]))


def sniff_format(path: str | Path) -> str:
    """The name of the format of the file, judged by its first 64 kB (decompressed).

    An empty file, which every format reads as no records, has the first of them. Raises
    InputError if the file cannot be opened, or if no format is likely.
    """
    if _is_pipe(path):
        raise InputError(
            f"{show_path(path)} is a pipe and can be read once; say what it is: --format NAME"
        )
    with open_file(path) as stream:
        head = read_head(stream)
        if not head.strip():
            return next(iter(FORMATS))
    confidence = {name: load_format(name).sniff(head) for name in FORMATS}
    best = max(confidence, key=confidence.__getitem__)
    if confidence[best] < LEAST_CONFIDENCE:
        raise InputError(
            f"{show_path(path)} has none of the formats {', '.join(FORMATS)}; "
            "if it has one of them, say so: --format NAME"
        )
    return best


def read_file(path: str | Path, format: str | None = None) -> Iterator[Reading]:
    """Every record of the file as one Reading; posts inside a post or page come before it.

    A file that is damaged gives what comes before the damage and then one Problem whose reason
    begins with "file_damaged". Reading starts with the first `next`. Raises InputError when the
    file cannot be opened or its format not be told.
    """
    name = format or sniff_format(path)
    module = load_format(name)
    source = f"{name}:{clean_text(plain_name(path))}"
    with open_file(path) as stream:
        n_readings = 0
        try:
            for reading in module.read(stream, source):
                yield reading
                n_readings += 1
        except DAMAGE as error:
            position = f"after {n_readings} records"
            yield Problem(reason=describe_damage(error), source=source, position=position)


def _is_pipe(path: str | Path) -> bool:
    try:
        return Path(path).is_fifo()
    except OSError:
        return False  # opening it will say what is wrong
