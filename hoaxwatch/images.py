"""The pictures of posts, found in a folder of the user's."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from detectors.image.decode import Picture, decode
from detectors.image.phash import phash
from graph.spread import Spread
from hoaxwatch.show import notes
from streams.errors import UsageError


def file_name(address: str) -> str:
    """The last part of an address, without its parameters: the name of the picture in a folder.

    >>> file_name("https://cdn.example/a/b/cat.jpg?oe=1f"), file_name("cat.jpg")
    ('cat.jpg', 'cat.jpg')
    """
    try:
        return PurePosixPath(urlsplit(address).path).name
    except ValueError:
        return ""


def read_phashes(spread: Spread, folder: Path | None) -> dict[str, int]:
    """The perceptual hash of each picture of a spread that the folder has, by its address.

    Says how many are not there or cannot be read. Cost: 6 ms a picture.
    """
    if folder is None:
        raise UsageError("--kind image compares pictures: name their folder with --images")
    if not folder.is_dir():
        raise UsageError(f"--images {folder} is no folder")
    addresses = sorted({image for content in spread.contents.values() for image in content.images})
    hashes: dict[str, int | None] = {}
    n_absent = n_unreadable = 0
    found: dict[str, int] = {}
    for address in addresses:
        name = file_name(address)
        if name not in hashes:
            hashes[name] = None
            if not name or not (folder / name).is_file():
                n_absent += 1
            elif isinstance(picture := decode((folder / name).read_bytes()), Picture):
                hashes[name] = phash(picture.pixels)
            else:
                n_unreadable += 1
        value = hashes[name]
        if value is not None:
            found[address] = value
    if n_absent or n_unreadable:
        notes.print(
            f"of {len(hashes):,} pictures {n_absent:,} are not in {folder}, "
            f"{n_unreadable:,} cannot be read",
            markup=False,
            soft_wrap=True,
        )
    return found
