"""What every reader of a public data set yields, and what it needs to read."""

from __future__ import annotations

import csv
import lzma
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Literal, NamedTuple

from detectors.labels import Label
from detectors.long_rows import long_rows

Split = Literal["train", "validation", "test"]


class MissingDataset(ValueError):
    """A data set's file is not where it was looked for, or is not what it should be."""


class LabelledText(NamedTuple):
    """One text with the label its data set gives it, in words (sets disagree on what 1 means).

    `split` is the published split, or None where a set has none and we must make one. `source` says
    where in the set it comes from (a file or a publisher): the label of some sets is the source.
    """

    dataset: str
    split: Split | None
    text: str
    label: Label
    source: str


class LabelledPost(NamedTuple):
    """One post with everything that detectors read, and its label in words.

    split: the published one, or None. label: one of `detectors.labels.LABELS`, or the set's own
    class. event: what the post is about, where the set says it. source: as of a LabelledText.
    platform: as posts name theirs ("x", "weibo"); None for what is no post of one.
    image_ids: as the set names them; images: those of them whose file is there. A set may name
    pictures that it does not hold, and one picture may be in hundreds of posts.
    attributes: social attributes under our names (detectors.social) or, where we have none, the
    set's; None is "not known".
    """

    dataset: str
    split: Split | None
    post_id: str
    text: str
    label: str
    event: str | None = None
    author_id: str | None = None
    posted_at: datetime | None = None
    lang: str | None = None
    image_ids: tuple[str, ...] = ()
    images: tuple[Path, ...] = ()
    attributes: Mapping[str, float | None] = {}
    source: str | None = None
    platform: str | None = None


def data_file(folder: Path, name: str) -> Path:
    """The path of a data file, as it is or packed with xz. Raises MissingDataset."""
    for path in (folder / name, folder / f"{name}.xz"):
        if path.is_file():
            return path
    raise MissingDataset(f"no {name} (or {name}.xz) in {folder}: put the published file there")


@contextmanager
def open_text(path: Path) -> Iterator[IO[str]]:
    """A text file as UTF-8 with its line ends as they are, unpacked when its name ends in .xz."""
    if path.suffix == ".xz":
        with lzma.open(path, "rt", encoding="utf-8-sig", newline="") as file:
            yield file
    else:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield file


def read_csv(path: Path, columns: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """The rows of a CSV file that has a header with at least these columns.

    Raises MissingDataset when a column is missing, which tells a wrong file at its first line.
    """
    with open_text(path) as file:
        reader = csv.DictReader(file)
        missing = [column for column in columns if column not in (reader.fieldnames or ())]
        if missing:
            raise MissingDataset(f"{path.name} has no column {missing[0]!r}: is it the right file?")
        yield from long_rows(reader)


#: How sets write moments that are not in ISO form; all are UTC.
_MOMENT_FORMATS = (
    "%a %b %d %H:%M:%S %z %Y",
    *("%m/%d/%Y %H:%M", "%m/%d/%Y %H:%M:%S", "%m/%d/%y %H:%M", "%m/%d/%Y"),
)


def parse_moment(written: object) -> datetime | None:
    """A moment in ISO form, in Twitter's, as month/day/year, or in seconds since 1970; UTC where
    it names no zone, None where it is none of them.

    >>> [str(parse_moment(w)) for w in ("10/25/2016 0:05", "Tue Mar 11 23:59:22 +0000 2014")]
    ['2016-10-25 00:05:00+00:00', '2014-03-11 23:59:22+00:00']
    >>> str(parse_moment(1477353900.0)), parse_moment("last week"), parse_moment(None)
    ('2016-10-25 00:05:00+00:00', None, None)
    """
    if isinstance(written, int | float):
        try:
            return datetime.fromtimestamp(written, UTC)
        except (ValueError, OverflowError, OSError):
            return None
    if not isinstance(written, str):
        return None
    moment = None
    try:
        moment = datetime.fromisoformat(written.strip())
    except ValueError:
        for form in _MOMENT_FORMATS:
            try:
                moment = datetime.strptime(written.strip(), form)
            except ValueError:
                continue
            break
    if moment is None or moment.tzinfo:
        return moment
    return moment.replace(tzinfo=UTC)


def headline_and_body(title: str | None, body: str | None) -> str:
    """Both as one text, `title. body`; whichever is there if one is missing.

    >>> headline_and_body(" Moon is cheese ", "He said so."), headline_and_body(None, " a ")
    ('Moon is cheese. He said so.', 'a')
    """
    return ". ".join(part for part in ((title or "").strip(), (body or "").strip()) if part)
