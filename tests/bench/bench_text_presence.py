"""OCR only where text is likely: what is spared and what is missed, against OCR of every picture.

    python -m tests.bench.bench_text_presence [FOLDER of pictures]

FOLDER: for instance mediaeval2016/images of HOAXWATCH_TEST_DATA. Without one, claims are written
over soft backgrounds only. What OCR itself finds counts as text: at least 5 letters and digits, 10
(words) or 20 (a claim); missed is what of that the cheap test passes over.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from detectors.image.decode import Picture, Pixels, decode
from detectors.image.text_presence import is_text_likely
from detectors.text.ocr import default_engine
from tests.bench.measure import print_result, seconds_of
from tests.unit.detectors.image.pictures import photo

CLAIMS = (
    "VACCINES CAUSE AUTISM",
    "They lied to you about the water",
    "5G towers are making us sick",
    "SHARE BEFORE IT IS DELETED",
    "Doctors hate this cure",
    "The mayor hid the truth",
)
#: Height of the letters as a share of the picture's shorter side.
SIZES = (0.04, 0.06, 0.09, 0.13, 0.2, 0.3)


def with_claim(background: Pixels, size: float, chance: random.Random) -> Pixels:
    """A picture of 512 to 1080 pixels with a claim over it: boxed, outlined or plain."""
    width = chance.choice([512, 720, 1080])
    picture = Image.fromarray(background)
    picture = picture.resize((width, max(256, picture.height * width // picture.width)))
    height = max(8, int(size * min(picture.size)))
    font = ImageFont.load_default(height)
    draw = ImageDraw.Draw(picture)
    lines = [""]
    for word in chance.choice(CLAIMS).split():
        if lines[-1] and draw.textlength(f"{lines[-1]} {word}", font=font) > 0.95 * width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    wide = int(max(draw.textlength(line, font=font) for line in lines))
    left = chance.randint(0, max(0, width - wide))
    top = chance.randint(0, max(0, picture.height - int(1.2 * height * len(lines))))
    style = chance.choice(["white on black", "black on white", "outlined", "plain"])
    if " on " in style:
        box = left - 4, top - 4, left + wide + 4, top + int(1.25 * height * len(lines))
        draw.rectangle(box, fill=style.split()[-1])
    for i, line in enumerate(lines):
        draw.text(
            (left, top + 1.2 * height * i),
            line,
            font=font,
            fill="black" if style == "black on white" else "white",
            stroke_width=max(1, height // 15) if style == "outlined" else 0,
            stroke_fill="black",
        )
    return np.asarray(picture)


def main(folder: str | None = None) -> None:
    """Measure and print."""
    engine = default_engine()
    engine.read(photo())  # loading is not measured
    chance = random.Random(0)
    result: dict[str, Any] = {"engine": engine.key}
    backgrounds = [photo(400, 300, seed) for seed in range(20)]
    if folder is not None:
        found = [decode(path.read_bytes()) for path in sorted(Path(folder).iterdir())]
        pictures = [one.pixels for one in found if isinstance(one, Picture)]
        letters: list[int] = []
        ocr_seconds = seconds_of(
            lambda: letters.extend(
                sum(map(str.isalnum, engine.read(pixels).text)) for pixels in pictures
            )
        )
        likely: list[bool] = []
        test_seconds = seconds_of(lambda: likely.extend(map(is_text_likely, pictures)))
        result["pictures"] = {
            "n": len(pictures),
            "ocr_seconds_each": round(ocr_seconds / len(pictures), 4),
            "test_seconds_each": round(test_seconds / len(pictures), 4),
            "spared": sum(not yes for yes in likely),
            "spared_of_those_without_text": [
                sum(not yes for yes, n in zip(likely, letters, strict=True) if n < 5),
                sum(n < 5 for n in letters),
            ],
            "missed": {
                f"{least} letters and more": [
                    sum(not yes for yes, n in zip(likely, letters, strict=True) if n >= least),
                    sum(n >= least for n in letters),
                ]
                for least in (5, 10, 20)
            },
        }
        backgrounds = [p for p, n in zip(pictures, letters, strict=True) if n == 0]
    result["claims_missed_of_100_by_height_of_letters"] = {
        str(size): sum(
            not is_text_likely(with_claim(chance.choice(backgrounds), size, chance))
            for _ in range(100)
        )
        for size in SIZES
    }
    print_result("text_presence", result)


if __name__ == "__main__":
    main(*sys.argv[1:2])
