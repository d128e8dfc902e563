"""Pictures for tests, made here: ordinary ones, and such as strangers send."""

from __future__ import annotations

import zlib
from io import BytesIO
from struct import pack
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from detectors.image.decode import Pixels


def photo(width: int = 120, height: int = 90, seed: int = 0) -> Pixels:
    """Something with soft shapes and a left that is not its right."""
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    return np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC))


def poster(text: str, width: int = 480, height: int = 360, size: int = 36) -> Pixels:
    """A photo with words over it."""
    picture = Image.fromarray(photo(width, height))
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 0, width, size * 2), fill="black")
    draw.text((size // 2, size // 3), text, fill="white", font=ImageFont.load_default(size))
    return np.asarray(picture)


def encoded(picture: Pixels | Image.Image, format: str, **options: Any) -> bytes:
    """The picture as a file."""
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    file = BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def png(width: int, height: int, depth: int, colour: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG file written by hand, so that it may claim anything. colour: PNG's colour type."""
    header = pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = [b"\x89PNG\r\n\x1a\n"]
    for name, body in ((b"IHDR", header), *chunks, (b"IEND", b"")):
        parts += [pack(">I", len(body)), name, body, pack(">I", zlib.crc32(name + body))]
    return b"".join(parts)


def black_png(width: int, height: int) -> bytes:
    """A valid PNG of one bit per pixel, all black: 20,000 x 20,000 are 50 kB."""
    pack_rows = zlib.compressobj(9)
    row = bytes(1 + (width + 7) // 8)
    body = b"".join(pack_rows.compress(row * 100) for _ in range(height // 100))
    body += pack_rows.compress(row * (height % 100)) + pack_rows.flush()
    return png(width, height, 1, 0, (b"IDAT", body))


def webp_header(width: int, height: int, claimed_bytes: int = 22) -> bytes:
    """The first 30 bytes of a WebP file with an extended header, and no pixels."""
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    vp8x = b"VP8X" + pack("<I", 10) + bytes(4) + size
    return b"RIFF" + pack("<I", claimed_bytes) + b"WEBP" + vp8x
