"""Whole posts for tests, made here: what is false says so in its words, tags, or on its picture."""

from __future__ import annotations

import numpy as np

from detectors.evaluation import Bools
from detectors.image.decode import Pixels
from detectors.networks.training import Ints
from detectors.posts import SeenPicture, WholePost
from detectors.social.attributes import text_attributes
from streams.records import Content, content_hash
from tests.unit.detectors.image.pictures import photo

FALSE = ("hidden", "cure", "exposed", "poison", "secret", "deleted")
CALM = ("market", "garden", "ferry", "concert", "weather", "library")
COMMON = ("the", "is", "in", "our", "town", "today", "and", "again", "people", "street")


def picture(seed: int, is_red: bool = False) -> SeenPicture:
    """A small photo; a red one is false to whoever looks at it."""
    pixels: Pixels = photo(64, 48, seed).copy()
    if is_red:
        pixels[:, :, 0], pixels[:, :, 1:] = 230, pixels[:, :, 1:] // 4
    return SeenPicture(str(seed).encode(), pixels)


def post(
    text: str,
    tags: tuple[str, ...] = (),
    pictures: tuple[SeenPicture, ...] = (),
    overlaid: str | None = "",
    lang: str | None = "en",
    post_id: str = "1",
) -> WholePost:
    content = Content(
        platform="instagram",
        root_id=post_id,
        text=text,
        lang=lang,
        hashtags=tags,
        input_hash=content_hash(text, lang),
    )
    return WholePost(content, text_attributes(text, "en"), pictures, overlaid)


def posts_with_labels(n: int = 160, seed: int = 0) -> tuple[list[WholePost], Bools]:
    """Half of them false. A third has no picture, a third no tags."""
    random = np.random.default_rng(seed)
    positive = np.arange(n) % 2 == 0
    made = []
    for i in range(n):
        special = FALSE if positive[i] else CALM
        said = [*random.choice(COMMON, 5), *random.choice(special, 2)]
        tags = () if i % 3 == 1 else (f"{random.choice(special)}news",)
        pictures = () if i % 3 == 2 else (picture(seed * 1000 + i, bool(positive[i])),)
        made.append(post(" ".join(random.permutation(said)), tags, pictures, post_id=str(i)))
    return made, positive


def rows(n: int) -> tuple[Ints, Ints, Ints]:
    """Train, validation and test: six, two and two of ten."""
    numbers = np.arange(n)
    tenth = numbers // 2 % 10
    return numbers[tenth < 6], numbers[(tenth >= 6) & (tenth < 8)], numbers[tenth >= 8]
