"""ISOT (a part): whole articles, true ones from Reuters, fake ones from flagged sites.

Source: Ahmed, Traore, Saad, "Detecting opinion spams and fake news using text classification",
Security and Privacy 1(1), 2018. The label is the source: every true article is Reuters'. What gives
the agency away is taken out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from detectors.datasets.labelled import LabelledText, data_file, read_csv
from detectors.labels import Label

NAME = "isot"
_FILES: tuple[tuple[str, Label, str], ...] = (
    ("isot_true.csv", "likely_true", "reuters"),
    ("isot_fake.csv", "likely_false", "flagged sites"),
)
# "WASHINGTON (Reuters) - ", "NEW YORK (LPC/IFR) - ", and corrections that come before it:
# " (Corrects spelling of ...) By Sharon Bernstein SACRAMENTO (Reuters) - ".
_DATELINE = re.compile(
    r"\A.{0,400}?\((?:Reuters[^()]{0,20}|LPC/IFR|)\)\s+-\s+|\A[A-Z][A-Z/. ]{2,40} - ", re.DOTALL
)
_AGENCY = re.compile(r"\(?\bReuters\b\)?", re.IGNORECASE)
# A series of Reuters' own: the president's tweets of the day, quoted whole under one standing note.
_TWEETS_NOTE = re.compile(r"\AThe following statements\s+were posted to the verified Twitter")


def without_agency(text: str) -> str:
    """A title or an article without its dateline and without the agency's name anywhere.

    >>> without_agency("WASHINGTON (Reuters) - The Senate told Reuters on Friday.")
    'The Senate told  on Friday.'
    """
    return _AGENCY.sub("", _DATELINE.sub("", text, count=1))


class Story(NamedTuple):
    """A headline and its article."""

    title: str
    body: str
    label: Label
    source: str


def read_stories(folder: Path) -> Iterator[Story]:
    """Headline and body of each article; Reuters' tweet digests are left out."""
    for name, label, source in _FILES:
        for row in read_csv(data_file(folder, name), ("title", "text")):
            if not _TWEETS_NOTE.match(row["text"]):
                title, body = without_agency(row["title"]), without_agency(row["text"])
                yield Story(title.strip(), body, label, source)


def read(folder: Path) -> Iterator[LabelledText]:
    """The same as `title. body`."""
    for title, body, label, source in read_stories(folder):
        yield LabelledText(NAME, None, f"{title}. {body}", label, source)
