"""Bytes from strangers -> pixels, or the reason why not.

The kind is read from the bytes, never from a name or a header of HTTP. The size is read from the
first bytes of the file and checked before any decoder sees it, so nothing allocates what a
"decompression bomb" claims to hold. What is given on is always the same: RGB, upright, first frame
of an animation, at most `Limits.kept_pixels`.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from math import sqrt
from struct import unpack_from
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
Format = Literal["JPEG", "PNG", "GIF", "WEBP"]
Reason = Literal[
    "empty",
    "too_many_bytes",
    "unknown_format",
    "too_many_pixels",
    "too_many_scans",
    "too_small",
    "truncated",
    "broken",
]


class Limits(NamedTuple):
    """What is read. The defaults pass everything that platforms hand out.

    max_bytes: X takes GIFs up to 15 MB, Mastodon pictures up to 16 MB.
    max_pixels: X hands out at most 4096 x 4096; a 24-megapixel camera's own file passes too.
    max_scans: of a progressive JPEG, each of which is as dear as a whole picture; usual are 10.
    min_side: VGG19 halves a picture five times; of anything smaller than 32 it would see less than
        one position. Tracking pixels end here. [pixels]
    kept_pixels: a larger picture is shrunk to this many. 1080 x 1350 (Instagram) is kept whole, so
        overlaid words stay legible; 6 MB of memory.
    """

    max_bytes: int = 20_000_000
    max_pixels: int = 25_000_000
    max_scans: int = 100
    min_side: int = 32
    kept_pixels: int = 2_000_000


LIMITS = Limits()


class Picture(NamedTuple):
    """pixels: uint8 (height, width, 3), RGB, upright. format: what the bytes are.

    stored_width, stored_height: of the file, before shrinking and turning upright.
    """

    pixels: Pixels
    format: Format
    stored_width: int
    stored_height: int


class Unreadable(NamedTuple):
    """Why there are no pixels. reason: to be counted; detail: to be read by a person."""

    reason: Reason
    detail: str


class Header(NamedTuple):
    """What the first bytes of a file say about it. Width or height 0: they do not say it."""

    format: Format
    width: int
    height: int


def decode(data: bytes, limits: Limits = LIMITS) -> Picture | Unreadable:
    """The pixels of a JPEG, PNG, WebP or GIF file, or why there are none. Raises nothing.

    CMYK, palettes, 16 bits and grey become RGB; what is transparent shows white, as on a page. The
    orientation in EXIF is applied, a broken EXIF block is passed over.
    Cost: about 10 ms for a JPEG of 1080 x 1350; memory at most about 8 bytes per `max_pixels`.

    >>> decode(b"<svg xmlns='http://www.w3.org/2000/svg'/>")
    Unreadable(reason='unknown_format', detail='svg')
    """
    if not data:
        return Unreadable("empty", "no bytes")
    if len(data) > limits.max_bytes:
        return Unreadable("too_many_bytes", f"{len(data):,} bytes of {limits.max_bytes:,}")
    header = read_header(data)
    if header is None:
        return Unreadable("unknown_format", _known_by_its_beginning(data))
    problem = _size_problem(header.width, header.height, limits)
    if problem is not None:
        return problem
    if header.format == "JPEG" and (n := data.count(b"\xff\xda")) > limits.max_scans:
        return Unreadable("too_many_scans", f"{n} scans of {limits.max_scans}")
    try:
        with Image.open(BytesIO(data), formats=[header.format]) as image:
            # of a GIF, Pillow counts the first frame's extent too, which the header does not
            problem = _size_problem(*image.size, limits)
            if problem is not None:
                return problem
            width, height = image.size
            pixels = np.asarray(_upright_rgb(image, limits.kept_pixels))
    except MemoryError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        return Unreadable("too_many_pixels", str(error)[:200])
    except Exception as error:  # Pillow's decoders raise a dozen kinds of it on hostile bytes
        early = _ends_early(data, header.format)
        return Unreadable("truncated" if early else "broken", f"{header.format}: {error}"[:200])
    return Picture(pixels, header.format, width, height)


def read_header(data: bytes) -> Header | None:
    """The format and size that the first bytes state, without decoding. None: none of the four.

    >>> read_header(b"GIF89a" + bytes([10, 0, 7, 0]))
    Header(format='GIF', width=10, height=7)
    >>> read_header(b"BM......")
    """
    for format, signature, read_size in _READERS:
        if data.startswith(signature) and (format != "WEBP" or data[8:12] == b"WEBP"):
            return Header(format, *read_size(data))
    return None


def _gif_size(data: bytes) -> tuple[int, int]:
    return unpack_from("<HH", data, 6) if len(data) >= 10 else (0, 0)


def _png_size(data: bytes) -> tuple[int, int]:
    return unpack_from(">II", data, 16) if len(data) >= 24 else (0, 0)


def _jpeg_size(data: bytes) -> tuple[int, int]:
    """From the start-of-frame segment. Source: ITU-T T.81, annex B."""
    at = 2
    while at + 9 <= len(data):
        if data[at] != 0xFF:
            return 0, 0
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
        elif marker == 0x01 or 0xD0 <= marker <= 0xD8:  # markers that stand alone
            at += 2
        elif marker in (0xD9, 0xDA):  # the end, or pixels without a frame
            return 0, 0
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = unpack_from(">HH", data, at + 5)
            return width, height
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return 0, 0


def _webp_size(data: bytes) -> tuple[int, int]:
    """Source: WebP Container Specification; RFC 6386 section 9.1 for the lossy bitstream."""
    chunk = data[12:16]
    if chunk == b"VP8X" and len(data) >= 30:  # canvas: 24-bit width - 1, height - 1
        return (
            1 + int.from_bytes(data[24:27], "little"),
            1 + int.from_bytes(data[27:30], "little"),
        )
    if chunk == b"VP8L" and len(data) >= 25:  # 14-bit width - 1, height - 1
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if chunk == b"VP8 " and len(data) >= 30:  # 14 bits each, then 2 bits of scaling
        width, height = unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    return 0, 0


_READERS: tuple[tuple[Format, bytes, Callable[[bytes], tuple[int, int]]], ...] = (
    ("JPEG", b"\xff\xd8\xff", _jpeg_size),
    ("PNG", b"\x89PNG\r\n\x1a\n", _png_size),
    ("GIF", b"GIF87a", _gif_size),
    ("GIF", b"GIF89a", _gif_size),
    ("WEBP", b"RIFF", _webp_size),
)


def _size_problem(width: int, height: int, limits: Limits) -> Unreadable | None:
    size = f"{width:,} x {height:,} pixels"
    if width < 1 or height < 1:
        return Unreadable("broken", "no size in its first bytes")
    if width * height > limits.max_pixels:
        return Unreadable("too_many_pixels", f"{size}, over {limits.max_pixels:,}")
    if min(width, height) < limits.min_side:
        return Unreadable("too_small", f"{size}, under {limits.min_side} a side")
    return None


def _upright_rgb(image: Image.Image, kept_pixels: int) -> Image.Image:
    """The first frame as upright RGB of at most so many pixels."""
    width, height = image.size
    scale = sqrt(min(1.0, kept_pixels / (width * height)))
    kept = max(1, int(width * scale)), max(1, int(height * scale))
    image.draft(None, kept)  # a JPEG is decoded at a half, quarter or eighth where that will do
    image.load()  # before anything that would call it and swallow its error: it fails only once
    rgb = _as_rgb(image)
    if rgb.size != kept:
        rgb = rgb.resize(kept, Image.Resampling.LANCZOS, reducing_gap=3.0)
    turn = _TURNS.get(_orientation(image))
    return rgb if turn is None else rgb.transpose(turn)


#: How to turn a picture upright, by the value of EXIF tag 274. Source: EXIF 2.32, table 6.
_TURNS: dict[int, Image.Transpose] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1 where there is none or the block is broken."""
    try:
        value = image.getexif().get(274, 1)
        return int(value) if 1 <= int(value) <= 8 else 1
    except MemoryError:
        raise
    except Exception:  # the block is the stranger's too, and a picture without it is still one
        return 1


def _as_rgb(image: Image.Image) -> Image.Image:
    """Any of Pillow's modes as 8-bit RGB; what is transparent becomes white."""
    if image.mode.startswith("I"):  # 16 bits of grey: Pillow's own conversion would clip at 255
        deep: NDArray[Any] = np.asarray(image)
        return Image.fromarray((deep.astype(np.uint32) >> 8).clip(0, 255).astype(np.uint8)).convert(
            "RGB"
        )
    if "A" in image.getbands() or "transparency" in image.info:
        shown = image.convert("RGBA")
        white = Image.new("RGBA", shown.size, "white")
        return Image.alpha_composite(white, shown).convert("RGB")
    return image.convert("RGB")


def _ends_early(data: bytes, format: Format) -> bool:
    """Whether the end mark of the format is missing (or, for RIFF, bytes that it claims)."""
    if format == "JPEG":
        return b"\xff\xd9" not in data[-64:]
    if format == "PNG":
        return b"IEND" not in data[-64:]
    if format == "GIF":
        return not data.rstrip(b"\0").endswith(b";")
    return int.from_bytes(data[4:8], "little") + 8 > len(data)


#: What other files begin with, to say what they are.
_OTHERS: tuple[tuple[bytes, str], ...] = (
    (b"%PDF", "pdf"),
    (b"BM", "bmp"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"\x1a\x45\xdf\xa3", "webm"),
    (b"PK\x03\x04", "zip"),
    (b"\x1f\x8b", "gzip"),
)


def _known_by_its_beginning(data: bytes) -> str:
    """What a file is that is none of ours, as far as its beginning tells.

    >>> _known_by_its_beginning(b"\\0\\0\\0\\x18ftypavif"), _known_by_its_beginning(b"?")
    ('avif', 'neither JPEG, PNG, WebP nor GIF')
    """
    head = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if b"<svg" in head:
        return "svg"
    if head.startswith((b"<!doctype html", b"<html")):
        return "html"
    if head.startswith(b"<?xml"):
        return "xml"
    if data[4:8] == b"ftyp":
        brand = data[8:12].decode("ascii", "replace").strip()
        return brand if brand in ("avif", "heic", "mif1") else f"video or picture ({brand!r})"
    for beginning, name in _OTHERS:
        if data.startswith(beginning):
            return name
    return "neither JPEG, PNG, WebP nor GIF"
