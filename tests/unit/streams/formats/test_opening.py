"""Opening: every compression, every promise, every kind of damage."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from streams.formats.opening import (
    CHUNK_BYTES,
    DAMAGE,
    MOST_TIMES,
    Archive,
    InputError,
    is_zip,
    open_file,
    plain_name,
    read_head,
    split_lines,
)

PACK: dict[str, Callable[[bytes], bytes]] = {
    "": lambda content: content,
    ".gz": gzip.compress,
    ".xz": lzma.compress,
    ".bz2": bz2.compress,
    ".zst": zstandard.compress,
}
CONTENT = b"".join(b"%d,%d\n" % (i, i * i) for i in range(60_000))
#: Does not compress well, so that half a file holds half the lines.
RANDOM = random.Random(1)
NOISE = b"".join(RANDOM.randbytes(30).hex().encode() + b"\n" for _ in range(20_000))


def read_all(path: Path) -> bytes:
    with open_file(path) as stream:
        return b"".join(iter(lambda: stream.read1(CHUNK_BYTES), b""))


@pytest.mark.parametrize("suffix", PACK)
@pytest.mark.parametrize("content", [b"", b"x", CONTENT], ids=["empty", "byte", "long"])
def test_every_compression_is_read(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"a.csv{suffix}"
    path.write_bytes(PACK[suffix](content))
    assert read_all(path) == content


@pytest.mark.parametrize("suffix", PACK)
def test_the_bytes_decide_not_the_name(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(PACK[suffix](CONTENT))
    assert read_all(path) == CONTENT


@pytest.mark.parametrize("suffix", [".gz", ".xz", ".bz2", ".zst"])
def test_files_put_together_are_read_to_the_end(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(PACK[suffix](b"one\n") + PACK[suffix](b"two\n"))
    assert read_all(path) == b"one\ntwo\n"


@pytest.mark.parametrize("suffix", [".gz", ".xz", ".bz2", ".zst"])
def test_a_name_that_promises_what_is_not_there(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x.csv{suffix}"
    path.write_bytes(b"id,text\n")
    with pytest.raises(InputError, match=r"x\.csv\.\w+ is not \w+: it begins with b'id,text"):
        open_file(path)
    path.write_bytes(b"")
    with pytest.raises(InputError, match="it is empty"):
        open_file(path)


@pytest.mark.parametrize("suffix", [".gz", ".xz", ".bz2", ".zst"])
def test_a_cut_file_gives_its_lines_and_then_damage(tmp_path: Path, suffix: str) -> None:
    packed = PACK[suffix](NOISE)
    path = tmp_path / f"a{suffix}"
    path.write_bytes(packed[: len(packed) // 2])
    lines: list[bytes | None] = []
    with open_file(path) as stream, pytest.raises(DAMAGE):
        lines.extend(iter(split_lines(stream).__next__, ...))  # extend keeps what came before
    whole = NOISE.split(b"\n")
    assert lines == whole[: len(lines)]
    assert suffix == ".bz2" or len(lines) > 5_000  # bzip2 gives blocks of 900 kB or nothing


@pytest.mark.parametrize("suffix", [".gz", ".xz"])
def test_a_wrong_checksum_is_damage(tmp_path: Path, suffix: str) -> None:
    packed = bytearray(PACK[suffix](CONTENT))
    packed[-6 if suffix == ".gz" else -40] ^= 0xFF
    path = tmp_path / f"a{suffix}"
    path.write_bytes(packed)
    with open_file(path) as stream, pytest.raises(DAMAGE):
        list(split_lines(stream))


def test_what_cannot_be_opened_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK\x03\x04rest")
    bad: dict[str | Path, str] = {
        "": "empty",
        tmp_path: r"is a directory; give its files, for example .*/\*\.jsonl",
        tmp_path / "missing.csv": "does not exist",
        tmp_path / "a.zip": "holds files",
        tmp_path / "a.zip" / "b": "cannot be read",
        "a\0b": "cannot be read",
        "x" * 5_000: "cannot be read",
        "line\nbreak": r"line\\nbreak does not exist",
    }
    for path, message in bad.items():
        with pytest.raises(InputError, match=message) as caught:
            open_file(path)
        assert "\n" not in str(caught.value)


def test_a_file_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # root, who runs some tests, may read everything
    with pytest.raises(InputError, match=r"a\.csv cannot be read: Permission denied"):
        open_file(tmp_path / "a.csv")


def test_names() -> None:
    assert plain_name(Path("d/a.jsonl.ZST")) == "a.jsonl"
    assert plain_name("a.b.csv") == "a.b.csv"


def test_lines_across_chunks() -> None:
    content = b"".join(b"x" * (i * 997) + b"\n" for i in range(300)) + b"end"
    assert list(split_lines(io.BytesIO(content))) == content.split(b"\n")
    assert list(split_lines(io.BytesIO(b""))) == []
    assert list(split_lines(io.BytesIO(b"\n"))) == [b""]
    assert list(split_lines(io.BytesIO(b"\xef\xbb\xbf\na"))) == [b"", b"a"]


def test_a_line_that_is_too_long_is_not_held() -> None:
    limit = CHUNK_BYTES
    content = b"a\n" + b"x" * (40 * limit) + b"\nb\n" + b"y" * (2 * limit)
    stream = io.BytesIO(content)
    tracemalloc.start()
    try:
        assert list(split_lines(stream, limit)) == [b"a", None, b"b", None]
        assert tracemalloc.get_traced_memory()[1] < 8 * limit
    finally:
        tracemalloc.stop()


def test_head_of_a_damaged_stream(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(NOISE)[:3_000])
    with open_file(path) as stream:
        head = read_head(stream)
    assert head and NOISE.startswith(head)


# Archives


def make_zip(path: Path, **files: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def read_members(path: Path) -> dict[str, bytes]:
    found = {}
    with Archive(path) as archive:
        for member in archive.members():
            with archive.open(member) as stream:
                found[member.name] = b"".join(iter(lambda: stream.read1(CHUNK_BYTES), b""))
    return found


def test_an_archive_gives_its_files_unpacked_once_more(tmp_path: Path) -> None:
    packed = {f"d/a{suffix}": pack(NOISE) for suffix, pack in PACK.items()}
    path = make_zip(tmp_path / "a.dat", **packed, **{"__MACOSX/._a": b"x", "empty/": b""})
    assert is_zip(path) and not is_zip(make_file(tmp_path, b"PK"))
    assert read_members(path) == dict.fromkeys(packed, NOISE)


def make_file(folder: Path, content: bytes) -> Path:
    path = folder / "file"
    path.write_bytes(content)
    return path


def test_files_of_one_name_are_two(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("a", b"one")
        archive.writestr("a", b"two")
    with Archive(path) as opened:
        found = []
        for member in opened.members():
            with opened.open(member) as stream:
                found.append(stream.read())
    assert found == [b"one", b"two"]


def test_an_archive_in_an_archive_is_not_unpacked(tmp_path: Path) -> None:
    inner = make_zip(tmp_path / "inner.zip", a=b"x").read_bytes()
    with pytest.raises(DAMAGE, match="is an archive itself; unpack it"):
        read_members(make_zip(tmp_path / "a.zip", inner=inner))


def test_what_an_archive_unpacks_to_is_bounded(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", bomb=bytes(64 << 20))
    with pytest.raises(DAMAGE, match=f"unpacks to more than {MOST_TIMES} times its size"):
        read_members(path)
    many = {f"bomb{i}": bytes(8 << 20) for i in range(9)}
    with pytest.raises(DAMAGE, match="unpacks to more than"):
        read_members(make_zip(tmp_path / "many.zip", **many))


def test_a_broken_archive_is_an_error_and_a_broken_file_in_it_damage(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", a=NOISE)
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])
    with pytest.raises(InputError, match=r"a\.zip is a broken zip archive"):
        Archive(path)
    altered = bytearray(whole)
    altered[1_000] ^= 0xFF
    path.write_bytes(altered)
    with pytest.raises(DAMAGE):
        read_members(path)
    secret = bytearray(whole)
    for at in (6, whole.index(b"PK\x01\x02") + 8):
        secret[at] |= 1  # says that the file is encrypted
    path.write_bytes(secret)
    with pytest.raises(DAMAGE, match="password"):
        read_members(path)
