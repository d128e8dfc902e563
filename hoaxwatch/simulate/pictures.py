"""Draws the pictures of the invented world: made-up scenes, some with words over them."""

from __future__ import annotations

import io
import random
from functools import lru_cache
from typing import Any

from PIL import Image, ImageDraw, ImageFont, ImageOps

from hoaxwatch.simulate.postings import Picture

#: Width and height (pixels).
SIZE = 360
_MARGIN = 16
_FONT_SIZES = (44, 38, 32, 27, 23)

_SKIES = (
    ("#1b2a49", "#f6b26b"),
    ("#4a90c2", "#dff1fb"),
    ("#2e3b2f", "#cfd8b0"),
    ("#3d2b56", "#e8c8d8"),
)


def draw(picture: Picture) -> bytes:
    """The picture as a file, PNG or JPEG as its name says; the same bytes each time.

    Cost: about 5 ms.
    """
    chance = random.Random(picture.scene)
    image = _scene(chance)
    if picture.words is not None:
        _write_over(image, picture.words, chance)
    out = io.BytesIO()
    if picture.name.endswith(".png"):
        image.quantize(64).save(out, "PNG")
    else:
        image.save(out, "JPEG", quality=85)
    return out.getvalue()


def _scene(chance: random.Random) -> Image.Image:
    """Sky, a low sun, hills or water, and a few houses."""
    dark, light = chance.choice(_SKIES)
    image = ImageOps.colorize(Image.linear_gradient("L").resize((SIZE, SIZE)), dark, light)
    pen = ImageDraw.Draw(image)
    x, y, r = chance.randrange(SIZE), chance.randrange(60, 180), chance.randrange(15, 45)
    pen.ellipse((x - r, y - r, x + r, y + r), fill="#fff2c9")
    horizon = chance.randrange(200, 280)
    ground = chance.choice(("#25465e", "#31512f", "#5b4a3a"))
    pen.rectangle((0, horizon, SIZE, SIZE), fill=ground)
    for _ in range(chance.randint(2, 6)):
        left, width = chance.randrange(-20, SIZE), chance.randrange(20, 60)
        top = horizon - chance.randrange(15, 70)
        pen.rectangle(
            (left, top, left + width, horizon), fill=chance.choice(("#8b5a44", "#d9d2c3"))
        )
        pen.polygon(
            ((left, top), (left + width, top), (left + width // 2, top - 18)), fill="#6b2f2a"
        )
    return image


def _write_over(image: Image.Image, words: str, chance: random.Random) -> None:
    """The words in a band, or with an outline straight over the scene."""
    pen = ImageDraw.Draw(image)
    for size in _FONT_SIZES:
        font = _font(size)
        lines = _wrapped(words, font)
        if lines and len(lines) * size * 1.25 <= SIZE - 2 * _MARGIN:
            break
    height = int(len(lines) * size * 1.25)
    top = chance.choice((_MARGIN, (SIZE - height) // 2, SIZE - height - _MARGIN))
    has_band = chance.random() < 0.5
    if has_band:
        pen.rectangle((0, top - 8, SIZE, top + height + 8), fill="#111111")
    for i, line in enumerate(lines):
        left = (SIZE - font.getlength(line)) / 2
        place = left, top + i * size * 1.25
        outline: dict[str, Any] = {} if has_band else {"stroke_width": 3, "stroke_fill": "#000000"}
        pen.text(place, line, font=font, fill="#ffffff", **outline)


def _wrapped(words: str, font: ImageFont.FreeTypeFont) -> list[str]:
    """The words in lines that fit; none if one word is too wide."""
    lines: list[str] = []
    for word in words.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(longer) <= SIZE - 2 * _MARGIN:
            lines[-1] = longer
        elif font.getlength(word) <= SIZE - 2 * _MARGIN:
            lines.append(word)
        else:
            return []
    return lines


@lru_cache(maxsize=8)
def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont), "Pillow was built without FreeType"
    return font
