"""Opening a file whatever its compression, and cutting it into lines without trusting it.

What a file is compressed with is read off its first bytes; its name is only held to its promise.
Damage in the middle of a file is not an error of this module: it comes out of `read1` as one of
DAMAGE after everything before it was given, and `registry.read_file` makes it one Problem.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import zstandard

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

CHUNK_BYTES = 256 << 10
HEAD_BYTES = 64 << 10
LINE_LIMIT_BYTES = 64 << 20

#: What reading a file that is cut off or altered raises.
DAMAGE = (
    *(EOFError, OSError, zlib.error, lzma.LZMAError, zstandard.ZstdError, zipfile.BadZipFile),
)

#: compression -> the bytes its files begin with
MAGIC = {
    "gzip": b"\x1f\x8b",
    "xz": b"\xfd7zXZ\x00",
    "zstd": b"\x28\xb5\x2f\xfd",
    "bzip2": b"BZh",
    "zip": b"PK\x03\x04",
}
SUFFIXES = {".gz": "gzip", ".xz": "xz", ".zst": "zstd", ".bz2": "bzip2", ".zip": "zip"}

_BOM = b"\xef\xbb\xbf"
#: So little, because a block of zstd can unpack to 32,000 times its size before we get it.
_ZSTD_PIECE_BYTES = 1 << 10


class InputError(ValueError):
    """The user named a file that cannot be read. The message is one line and says what to do."""


def find_compression(head: bytes) -> str | None:
    """The compression whose files begin like `head`, or None for a plain file.

    >>> find_compression(gzip.compress(b"")), find_compression(b"id,text")
    ('gzip', None)
    """
    return next((name for name, magic in MAGIC.items() if head.startswith(magic)), None)


def plain_name(path: str | Path) -> str:
    """The file's name without its folder and without the suffix of a compression.

    >>> plain_name("a/b/tweets.csv.xz"), plain_name("tweets.csv")
    ('tweets.csv', 'tweets.csv')
    """
    path = Path(path)
    return path.stem if path.suffix.lower() in SUFFIXES else path.name


def show_path(path: str | Path) -> str:
    r"""The path as given, with whatever would break the line of an error message escaped.

    >>> show_path("a b\nc.csv")
    'a b\\nc.csv'
    """
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(path))


def open_file(path: str | Path) -> io.BufferedIOBase:
    """The file's decompressed bytes, as a stream to be closed by the caller.

    Raises InputError when there is nothing to read: no such file, a directory, no permission,
    or a name that promises a compression whose bytes are not there.
    """
    file = _open_plain(path)
    try:
        head = file.peek(8)[:8]
        compression = find_compression(head)
        _hold_to_promise(path, head, compression)
        return _decompress(file, compression)
    except OSError as error:
        file.close()
        raise InputError(f"{show_path(path)} cannot be read: {error.strerror or error}") from None
    except BaseException:
        file.close()
        raise


@dataclass(frozen=True)
class Member:
    """A file in a zip archive."""

    info: zipfile.ZipInfo

    @property
    def name(self) -> str:
        """Its path inside the archive."""
        return self.info.filename


def is_zip(path: str | Path) -> bool:
    """Whether the file is a zip archive, by its first bytes. Raises InputError."""
    with _open_plain(path) as file:
        return find_compression(file.peek(8)[:8]) == "zip"


class Archive:
    """The files of a zip archive, one after the other; a context manager.

    What an archive unpacks to is bounded: more than MOST_TIMES its size is no data, but made to
    fill a machine. Each member may be compressed once more.
    """

    def __init__(self, path: str | Path) -> None:
        """Raises InputError when it cannot be opened."""
        self._path = path
        file = _open_plain(path)
        try:
            self._zip = zipfile.ZipFile(file)
        except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError) as error:
            file.close()
            raise InputError(
                f"{show_path(path)} is a broken zip archive ({error}); fetch it again"
            ) from None
        self._file = file
        if "[Content_Types].xml" in self._zip.namelist():
            self.__exit__()
            raise InputError(
                f"{show_path(path)} is an Excel or Word file; save it as 'CSV UTF-8' and run that"
            )
        self._n_left = _LEAST_UNPACKED_BYTES + MOST_TIMES * Path(path).stat().st_size

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()
        self._file.close()

    def members(self) -> list[Member]:
        """Its files in their order, without folders and what macOS adds to each file."""
        return [
            Member(info)
            for info in self._zip.infolist()
            if not info.is_dir() and not info.filename.startswith("__MACOSX/")
        ]

    def open(self, member: Member) -> io.BufferedIOBase:
        """The member's decompressed bytes, as a stream to be closed by the caller. Damage in it
        comes out of `read1`, and here where its first bytes are damaged."""
        try:
            raw = self._zip.open(member.info)
        except (RuntimeError, NotImplementedError) as error:  # a password; a rare compression
            raise zipfile.BadZipFile(str(error)) from None
        bounded = io.BufferedReader(_Bounded(raw, self._take), CHUNK_BYTES)
        compression = find_compression(bounded.peek(8)[:8])
        if compression == "zip":
            bounded.close()
            raise zipfile.BadZipFile("is an archive itself; unpack it")
        return _decompress(bounded, compression)

    def _take(self, n_bytes: int) -> None:
        self._n_left -= n_bytes
        if self._n_left < 0:
            raise zipfile.BadZipFile(f"unpacks to more than {MOST_TIMES:,} times its size")


#: The most that text packs to is about 1,000 times less; posts pack to 5 or 10 times less.
MOST_TIMES = 200
_LEAST_UNPACKED_BYTES = 16 << 20


class _Bounded(io.RawIOBase):
    """A stream that tells how much is read of it."""

    def __init__(self, stream: IO[bytes], take: Callable[[int], None]) -> None:
        self._stream = stream
        self._take = take

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        try:
            data = self._stream.read(len(view))
        except (RuntimeError, NotImplementedError) as error:
            raise zipfile.BadZipFile(str(error)) from None
        self._take(len(data))
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._stream.close()
        super().close()


def read_head(stream: io.BufferedIOBase, n_bytes: int = HEAD_BYTES) -> bytes:
    """At most the first `n_bytes` of the stream; less when it ends or is damaged before."""
    head = bytearray()
    try:
        while len(head) < n_bytes and (chunk := stream.read1(n_bytes - len(head))):
            head += chunk
    except DAMAGE:
        pass  # whoever reads on from the beginning meets it again, and reports it
    return bytes(head)


def split_lines(
    stream: io.BufferedIOBase, limit_bytes: int = LINE_LIMIT_BYTES
) -> Iterator[bytes | None]:
    r"""The stream's lines without their newline (a `\r` stays) and without a byte order mark.

    A line longer than `limit_bytes` (at least CHUNK_BYTES) is given as None and never held whole.
    Raises DAMAGE at the place where the stream is damaged, after every whole line before it.
    Cost: one pass; memory of one chunk and the longest line.

    >>> list(split_lines(io.BytesIO(b"\xef\xbb\xbfa\r\n\nb")))
    [b'a\r', b'', b'b']
    """
    held: list[bytes] = []
    n_held = 0
    bom = _BOM
    while chunk := stream.read1(CHUNK_BYTES):
        lines: list[bytes | None] = [*chunk.removeprefix(bom).split(b"\n")]
        bom = b""
        rest = lines.pop() or b""
        if lines:
            first = lines[0] or b""
            n_held += len(first)
            lines[0] = b"".join((*held, first)) if n_held <= limit_bytes else None
            held.clear()
            n_held = 0
            yield from lines
        n_held += len(rest)
        held.append(rest)
        if n_held > limit_bytes:
            held.clear()
    if n_held:
        yield b"".join(held) if n_held <= limit_bytes else None


def describe_damage(error: BaseException) -> str:
    """The reason of the Problem that ends a damaged file, in one line."""
    return f"file_damaged: {' '.join(str(error).split()) or type(error).__name__}"


class Ahead(io.BufferedIOBase):
    """A stream whose first line was looked at and is given again; damage is met in its place."""

    def __init__(self, stream: io.BufferedIOBase) -> None:
        self._stream = stream
        self._damage: BaseException | None = None
        self.head = b""
        while len(self.head) < CHUNK_BYTES and b"\n" not in self.head.lstrip():
            try:
                chunk = stream.read1(CHUNK_BYTES)
            except DAMAGE as error:
                self._damage = error
                break
            if not chunk:
                break
            self.head += chunk
        self._left = self.head

    def readable(self) -> bool:
        return True

    def read1(self, size: int | None = -1, /) -> bytes:
        if self._left:
            given, self._left = self._left, b""
            return given
        if self._damage:
            raise self._damage
        return self._stream.read1(-1 if size is None else size)


class _ZstdFrames(io.RawIOBase):
    """The content of all zstd frames of a file, one after the other.

    zstandard's own stream reader takes a file that is cut off for one that ends; this one raises
    EOFError, as gzip, lzma and bz2 do.
    """

    def __init__(self, file: io.BufferedReader) -> None:
        self._file = file
        self._frame: zstandard.ZstdDecompressionObj | None = None
        self._packed = b""
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        while not self._ready:
            packed = self._packed or self._file.read(_ZSTD_PIECE_BYTES)
            if not packed:
                if self._frame is not None:
                    raise EOFError("the last zstd frame is cut off")
                return 0
            self._unpack(packed)
        view = memoryview(buffer).cast("B")
        n_bytes = min(len(view), len(self._ready))
        view[:n_bytes] = self._ready[:n_bytes]
        self._ready = self._ready[n_bytes:]
        return n_bytes

    def close(self) -> None:
        self._file.close()
        super().close()

    def _unpack(self, packed: bytes) -> None:
        frame = self._frame or zstandard.ZstdDecompressor().decompressobj()
        self._ready = memoryview(frame.decompress(packed))
        self._packed = frame.unused_data if frame.eof else b""
        self._frame = None if frame.eof else frame


class _Unpacked(io.RawIOBase):
    """What the standard library's gzip, lzma and bz2 give; closing it closes the file below."""

    def __init__(self, unpacked: io.BufferedIOBase, file: io.BufferedReader) -> None:
        self._unpacked = unpacked
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        return self._unpacked.readinto1(buffer)

    def close(self) -> None:
        self._unpacked.close()
        self._file.close()
        super().close()


def _open_plain(path: str | Path) -> io.BufferedReader:
    if not str(path):
        raise InputError("a file name is empty; give the path of a file")
    try:
        return Path(path).open("rb")
    except FileNotFoundError:
        shown = show_path(path)
        if any(sign in shown for sign in "*?["):
            raise InputError(
                f"no file is called {shown}; check the folder and the pattern"
            ) from None
        raise InputError(f"{shown} does not exist; check the path") from None
    except IsADirectoryError:
        shown = show_path(path)
        raise InputError(
            f"{shown} is a directory; give its files, for example {shown}/*.jsonl"
        ) from None
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL or a lone surrogate
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{show_path(path)} cannot be read: {reason}") from None


def _hold_to_promise(path: str | Path, head: bytes, compression: str | None) -> None:
    promised = SUFFIXES.get(Path(path).suffix.lower())
    if promised and promised != compression:
        begin = f"it begins with {head!r}" if head else "it is empty"
        raise InputError(
            f"{show_path(path)} is not {promised}: {begin}; rename it or fetch it again"
        )
    if compression == "zip":
        raise InputError(f"{show_path(path)} is a zip archive, which holds files: use Archive")


def _decompress(file: io.BufferedReader[Any], compression: str | None) -> io.BufferedReader:
    if compression is None:
        return file
    unpack = _UNPACKERS.get(compression)
    unpacked = _Unpacked(unpack(file), file) if unpack else _ZstdFrames(file)
    return io.BufferedReader(unpacked, CHUNK_BYTES)


_UNPACKERS: dict[str, Callable[[io.BufferedReader], io.BufferedIOBase]] = {
    "gzip": lambda file: gzip.GzipFile(fileobj=file),
    "xz": lzma.LZMAFile,
    "bzip2": bz2.BZ2File,
}
