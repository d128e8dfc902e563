from __future__ import annotations

import subprocess
import sys
import zlib
from io import BytesIO
from pathlib import Path
from struct import pack

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from detectors.image.decode import (
    LIMITS,
    Limits,
    Picture,
    Pixels,
    Unreadable,
    decode,
    read_header,
)
from tests.unit.detectors.image.pictures import (
    black_png,
    encoded,
    photo,
    png,
    poster,
    webp_header,
)

FORMATS = ("JPEG", "PNG", "WEBP", "GIF")


def read(data: bytes) -> Picture:
    picture = decode(data)
    assert isinstance(picture, Picture), picture
    return picture


def why_not(data: bytes, limits: Limits = LIMITS) -> tuple[str, str]:
    found = decode(data, limits)
    assert isinstance(found, Unreadable)
    return found


def difference(one: Pixels, other: Pixels) -> float:
    """The mean difference per pixel and colour, of 255."""
    return float(np.abs(one.astype(int) - other.astype(int)).mean())


@pytest.mark.parametrize("format", FORMATS)
def test_four_formats_are_known_by_their_bytes(format: str) -> None:
    picture = read(encoded(photo(), format))
    assert (picture.format, picture.stored_width, picture.stored_height) == (format, 120, 90)
    assert picture.pixels.shape == (90, 120, 3)
    assert picture.pixels.dtype == np.uint8
    assert difference(picture.pixels, photo()) < 8


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("size", [(33, 40), (257, 33), (640, 480)])
def test_the_header_alone_gives_the_size(format: str, size: tuple[int, int]) -> None:
    header = read_header(encoded(photo(*size), format)[:700])
    assert header == (format, *size)


def test_the_header_of_each_kind_of_webp() -> None:
    assert read_header(encoded(photo(50, 40), "WEBP", lossless=True)) == ("WEBP", 50, 40)
    exif = Image.Exif()
    exif[274] = 1
    extended = encoded(photo(50, 40), "WEBP", exif=exif)
    assert extended[12:16] == b"VP8X"
    assert read_header(extended) == ("WEBP", 50, 40)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_exif_orientation_is_applied(format: str, orientation: int) -> None:
    upright = photo(60, 40)
    stored = {  # what a camera stores that was turned or mirrored so
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: np.rot90(upright[:, ::-1], 3),
        8: np.rot90(upright, 3),
    }[orientation]
    exif = Image.Exif()
    exif[274] = orientation
    picture = read(encoded(np.ascontiguousarray(stored), format, exif=exif, quality=95))
    assert picture.pixels.shape == upright.shape
    assert difference(picture.pixels, upright) < 6


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")  # Pillow's, and rightly
@pytest.mark.parametrize("exif", [b"Exif\0\0", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff", b"Exif\0\0junk"])
def test_a_broken_exif_block_is_passed_over(exif: bytes) -> None:
    assert read(encoded(photo(), "JPEG", exif=exif)).pixels.shape == (90, 120, 3)


def test_cmyk_shows_the_same_colours() -> None:
    cmyk = Image.fromarray(photo()).convert("CMYK")
    assert difference(read(encoded(cmyk, "JPEG", quality=95)).pixels, photo()) < 8


def test_transparent_is_white_in_every_mode() -> None:
    picture = Image.fromarray(photo()).convert("RGBA")
    picture.paste((10, 20, 30, 0), (0, 0, 60, 90))
    for file in (
        encoded(picture, "PNG"),
        encoded(picture, "WEBP", lossless=True),
        encoded(picture.convert("LA"), "PNG"),
        encoded(picture.quantize(64), "PNG"),
        encoded(picture, "GIF"),
    ):
        pixels = read(file).pixels
        assert (pixels[:, :60] == 255).all()
        assert pixels[:, 60:].min() < 200
    chroma_key = encoded(Image.new("RGB", (40, 40), (1, 2, 3)), "PNG", transparency=(1, 2, 3))
    assert (read(chroma_key).pixels == 255).all()


def test_sixteen_bits_of_grey_are_scaled_not_clipped() -> None:
    ramp = np.linspace(0, 65535, 64 * 64).astype(np.uint16).reshape(64, 64)
    pixels = read(encoded(Image.fromarray(ramp), "PNG")).pixels
    assert difference(pixels, np.repeat((ramp >> 8).astype(np.uint8)[:, :, None], 3, 2)) == 0


@pytest.mark.parametrize("mode", ["1", "L", "P", "YCbCr"])
def test_other_modes_become_rgb(mode: str) -> None:
    format = "JPEG" if mode == "YCbCr" else "PNG"
    assert read(encoded(Image.fromarray(photo()).convert(mode), format)).pixels.shape[2] == 3


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG"])
def test_of_an_animation_the_first_frame(format: str) -> None:
    frames = [Image.new("RGB", (64, 48), colour) for colour in ("red", "blue", "lime")]
    file = BytesIO()
    frames[0].save(file, format, save_all=True, append_images=frames[1:])
    pixels = read(file.getvalue()).pixels
    assert difference(pixels, np.full((48, 64, 3), (255, 0, 0), np.uint8)) < 3


def test_large_pictures_are_shrunk_small_ones_kept() -> None:
    picture = read(encoded(photo(3000, 2000), "JPEG"))
    height, width, _ = picture.pixels.shape
    assert (picture.stored_width, picture.stored_height) == (3000, 2000)
    assert 0.98 * LIMITS.kept_pixels < width * height <= LIMITS.kept_pixels
    assert abs(width / height - 1.5) < 0.01
    assert difference(picture.pixels, photo(width, height)) < 6
    assert read(encoded(photo(1080, 1350), "JPEG")).pixels.shape == (1350, 1080, 3)


# What strangers send


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_truncated(format: str, share: float) -> None:
    data = encoded(poster("cut off"), format)
    reason, detail = why_not(data[: int(len(data) * share)])
    assert reason == "truncated"
    assert detail.startswith(format)


@pytest.mark.parametrize("format", FORMATS)
def test_a_few_bytes_of_a_header_are_no_picture(format: str) -> None:
    data = encoded(photo(), format)
    for n in (4, 9, 16, 25):
        assert why_not(data[:n])[0] in {"broken", "truncated", "unknown_format"}


@pytest.mark.parametrize("format", FORMATS)
def test_one_pixel(format: str) -> None:
    file = encoded(Image.new("RGB", (1, 1)), format)
    assert why_not(file) == ("too_small", "1 x 1 pixels, under 32 a side")


def test_no_bytes_and_too_many() -> None:
    assert why_not(b"")[0] == "empty"
    reason, detail = why_not(b"\xff\xd8\xff" + bytes(100), Limits(max_bytes=100))
    assert (reason, detail) == ("too_many_bytes", "103 bytes of 100")


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "svg"),
        (b"\xef\xbb\xbf <svg/>", "svg"),
        (b"<!DOCTYPE html><html>404</html>", "html"),
        (b"%PDF-1.7", "pdf"),
        (b"\0\0\0\x1cftypheic", "heic"),
        (b"\0\0\0\x1cftypisom", "video or picture ('isom')"),
        (encoded(photo(), "BMP"), "bmp"),
        (encoded(photo(), "TIFF"), "tiff"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "neither JPEG, PNG, WebP nor GIF"),
        (b"not a picture at all", "neither JPEG, PNG, WebP nor GIF"),
    ],
)
def test_other_files_are_named_whatever_their_name_was(data: bytes, what: str) -> None:
    assert why_not(data) == ("unknown_format", what)


def bombs() -> dict[str, bytes]:
    """Small files that claim to be large."""
    jpeg = bytearray(encoded(photo(), "JPEG"))
    frame = jpeg.index(b"\xff\xc0")
    jpeg[frame + 5 : frame + 9] = pack(">HH", 20_000, 20_000)
    gif = bytearray(encoded(photo(), "GIF"))
    gif[6:10] = pack("<HH", 20_000, 20_000)
    return {
        "png": black_png(20_000, 20_000),
        "jpeg": bytes(jpeg),
        "gif": bytes(gif),
        "webp": webp_header(16_000, 16_000),
    }


@pytest.mark.parametrize("kind", ["png", "jpeg", "gif", "webp"])
def test_twenty_thousand_pixels_a_side(kind: str) -> None:
    reason, detail = why_not(bombs()[kind])
    assert reason == "too_many_pixels"
    assert "16,000 x 16,000" in detail or "20,000 x 20,000" in detail


def hundred_megabytes_claimed() -> dict[str, bytes]:
    chunk = pack(">I", 100_000_000) + b"IDAT" + bytes(64)
    return {
        "png": png(100, 100, 8, 2)[:33] + chunk,
        "png text": png(100, 100, 8, 2)[:33] + pack(">I", 100_000_000) + b"tEXt" + bytes(64),
        "webp": webp_header(100, 100, claimed_bytes=100_000_000),
        "gif": encoded(photo(), "GIF")[:-200],
        "jpeg": encoded(photo(), "JPEG")[:600],
    }


@pytest.mark.parametrize("kind", ["png", "png text", "webp", "gif", "jpeg"])
def test_a_claimed_length_that_is_not_there(kind: str) -> None:
    assert why_not(hundred_megabytes_claimed()[kind])[0] == "truncated"


def test_a_png_that_is_broken_before_its_end_is_not_taken_for_a_black_one() -> None:
    data = png(100, 100, 8, 2, (b"IDAT", bytes(64)))
    assert why_not(data)[0] == "broken"


def test_a_gif_whose_first_frame_is_larger_than_its_screen() -> None:
    gif = bytearray(encoded(photo(40, 40), "GIF"))
    frame = gif.index(b"\x2c\0\0\0\0" + pack("<HH", 40, 40))
    gif[frame + 5 : frame + 9] = pack("<HH", 60_000, 60_000)
    assert why_not(bytes(gif))[0] == "too_many_pixels"


def test_a_jpeg_of_a_thousand_scans() -> None:
    data = encoded(photo(), "JPEG", progressive=True)
    start = data.rindex(b"\xff\xda")
    scans = data[:start] + data[start:-2] * 1000 + b"\xff\xd9"
    assert why_not(scans)[0] == "too_many_scans"


def test_png_text_that_unpacks_to_a_gigabyte() -> None:
    packer = zlib.compressobj(9)
    body = b"".join(packer.compress(bytes(1_000_000)) for _ in range(300)) + packer.flush()
    data = png(64, 64, 8, 2, (b"zTXt", b"k\0\0" + body), (b"IDAT", zlib.compress(bytes(64 * 193))))
    assert isinstance(decode(data), Picture | Unreadable)


LIMITED = """
import resource, sys
from pathlib import Path
from detectors.image.decode import decode, Unreadable

pages = int(Path("/proc/self/statm").read_text().split()[0])
most = pages * resource.getpagesize() + 250_000_000
resource.setrlimit(resource.RLIMIT_AS, (most, most))
for path in sys.argv[1:]:
    found = decode(Path(path).read_bytes())
    print(found.reason if isinstance(found, Unreadable) else found.pixels.shape)
"""


def test_nothing_allocates_what_a_bomb_claims(tmp_path: Path) -> None:
    """In a process that may take 250 MB more; the bombs claim pixels of 400 MB to 1.6 GB."""
    files = [*bombs().values(), *hundred_megabytes_claimed().values(), black_png(4_900, 4_900)]
    for i, data in enumerate(files):
        (tmp_path / f"{i:02}.jpg").write_bytes(data)
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, *map(str, sorted(tmp_path.glob("*.jpg")))],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[4],
    )
    assert done.stdout.splitlines() == [
        *["too_many_pixels"] * 4,
        *["truncated"] * 5,
        "(1414, 1414, 3)",  # the largest that is let through does fit
    ]


@given(st.data())
def test_changed_bytes_never_raise(data: st.DataObject) -> None:
    base = data.draw(st.sampled_from(SEEDS))
    file = bytearray(base)
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(file) - 1))
        file[at] = data.draw(st.integers(0, 255))
    assert isinstance(decode(bytes(file[: data.draw(st.integers(0, len(file)))])), tuple)


SEEDS = [encoded(photo(40, 36), format) for format in FORMATS] + [
    encoded(photo(40, 36), "JPEG", progressive=True),
    encoded(Image.fromarray(photo(40, 36)).quantize(16), "PNG"),
    encoded(photo(40, 36), "WEBP", lossless=True),
]
