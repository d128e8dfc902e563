"""Horne and Adali 2017: political news articles of 2016, real or fake; satire is left out.

Source: Horne, Adali, "This Just In: Fake News Packs a Lot in Title...", NECO at ICWSM 2017.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from zipfile import ZipFile

from detectors.datasets.labelled import LabelledText, data_file
from detectors.labels import Label

NAME = "horne2017"
_LABEL_OF: dict[str, Label] = {"Real": "likely_true", "Fake": "likely_false"}


def read(folder: Path) -> Iterator[LabelledText]:
    """Each article of `horne2017.zip` as `title. body`.

    The archive holds `DATASET/Fake/1_Fake.txt` and its title in `DATASET/Fake_titles/1_Fake.txt`,
    in no one encoding: bytes that are not UTF-8 are read as Windows-1252.
    """
    with ZipFile(data_file(folder, "horne2017.zip")) as archive:
        names = set(archive.namelist())
        for name in sorted(names):
            path = PurePosixPath(name)
            kind = path.parent.name
            if path.suffix == ".txt" and kind in _LABEL_OF:
                title = str(path.parent.with_name(f"{kind}_titles") / path.name)
                parts = [decode(archive.read(part)) for part in (title, name) if part in names]
                source = path.parent.parent.name
                yield LabelledText(NAME, None, ". ".join(parts), _LABEL_OF[kind], source)


def decode(data: bytes) -> str:
    """The text of a file in UTF-8 or, failing that, Windows-1252.

    >>> decode(b"\\x93Yes\\x94"), decode("“Yes”".encode())
    ('“Yes”', '“Yes”')
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("cp1252", errors="replace")
    return text.strip()
