"""Pictures of posts as files of a folder. Nothing here goes over a network.

A file is found by the sha256 of its bytes, where that is known (`ab/abcd...`), else by the last
part of its address: `https://host/v/ig_0123.jpg?oe=5f` is `ig_0123.jpg`. Signatures behind the
question mark change with each answer of a platform, the name does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from urllib.parse import unquote, urlsplit

from detectors.image.decode import LIMITS
from streams.errors import UsageError

_LONGEST_NAME = 255
#: Hashes of so many files are kept, some 30 MB.
REMEMBERED = 100_000


class PictureFolders:
    """The folders in which pictures are looked for, in this order."""

    def __init__(self, media: Path | None, fetched: Path) -> None:
        """media: as the user names it. fetched: where `hoaxwatch media fetch` puts them, if it ever
        did. Raises UsageError if media is no folder."""
        if media is not None and not media.is_dir():
            raise UsageError(f"--media {media} is no folder; give the one that holds the pictures")
        self.folders = [f for f in (media, fetched) if f is not None and f.is_dir()]
        self._digest = lru_cache(maxsize=REMEMBERED)(_digest)

    def find_picture(self, url: str, digest: bytes | None = None) -> Path | None:
        """The file of a picture; None: it is not here. digest: its sha256, if it is known."""
        for path in self._candidates(url, digest):
            try:
                if path.is_file():  # no pipe, at which one would wait for ever
                    return path
            except OSError:
                continue
        return None

    def _candidates(self, url: str, digest: bytes | None) -> Iterator[Path]:
        named = file_name(url)
        for folder in self.folders:
            if digest is not None:
                yield folder / digest.hex()[:2] / digest.hex()
            if named is not None:
                yield folder / named

    def digest(self, path: Path) -> bytes:
        """The sha256 of a file; worked out again only if its size or time changed. Of one that is
        too large to be read, that of its size. b"" if it is gone."""
        try:
            state = path.stat()
            return self._digest(path, state.st_size, state.st_mtime_ns)
        except OSError:
            return b""


def _digest(path: Path, n_bytes: int, changed_at_ns: int) -> bytes:
    words = f"{n_bytes} bytes".encode() if n_bytes > LIMITS.max_bytes else path.read_bytes()
    return sha256(words).digest()


def file_name(url: str) -> str | None:
    """The last part of an address, if it can be the name of a file. It is a stranger's: it never
    leads out of a folder.

    >>> file_name("https://pbs.example/media/a%20b.jpg?name=large#x"), file_name("ig_1.png")
    ('a b.jpg', 'ig_1.png')
    >>> file_name("https://x.example/%2e%2e"), file_name("https://x.example/..%2Fa"), file_name("")
    (None, None, None)
    """
    try:
        name = unquote(urlsplit(url).path.rpartition("/")[2])
    except ValueError:
        return None
    if name in ("", ".", "..") or set(name) & set("/\\\0") or len(name) > _LONGEST_NAME:
        return None
    return name
