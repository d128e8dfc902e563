"""Invented pairs of claim and document in the five classes of Factify: for tests and first runs.

Places, numbers and events are drawn from lists; a document says the claim's sentence in other words
among sentences of its own, or something else about the same place, or that the claim is false.
Pictures are coloured fields. None of it is about the world, and good results here say nothing about
real news: the classes are made by the very differences that the scores measure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from detectors.factify import (
    CLASSES,
    INSUFFICIENT_MULTIMODAL,
    INSUFFICIENT_TEXT,
    REFUTE,
    SUPPORT_MULTIMODAL,
    SUPPORT_TEXT,
    Floats,
    Image,
    Pair,
)

#: Height and width of a picture [pixels].
SIZE = 48

_PLACES = (
    "Arlen Bay", "Dorvik", "Santa Lumia", "Querford", "Port Miriam", "Oskaloo", "Vennholm",
    "Castelro", "Nimbar", "Tal Edrin", "Westermoor", "Palo Sereno",
)  # fmt: skip
_ACTORS = (
    ("the harbour office", "the port authority"),
    ("the city council", "the town's councillors"),
    ("the hospital", "the clinic"),
    ("the water company", "the water supplier"),
    ("the school board", "the education office"),
    ("the police", "police officers"),
)
#: As a claim has them, and retold.
EVENTS = (
    ("closed the old bridge", "shut the historic bridge to traffic"),
    ("found lead in the tap water", "discovered lead contamination in drinking water"),
    ("opened a new vaccination centre", "started running another centre for vaccinations"),
    ("cancelled the summer fair", "called off this year's fair"),
    ("bought {n} electric buses", "purchased {n} buses that run on batteries"),
    ("counted {n} injured after the storm", "reported {n} people hurt in the storm"),
    ("fined {n} shops for selling spoiled meat", "penalised {n} stores over rotten meat"),
    ("planted {n} trees along the river", "put {n} new trees on the riverbank"),
)
_ASIDES = (
    "Residents had been told in the morning.",
    "A spokeswoman said that more details would follow next week.",
    "The weather in the region stays mild.",
    "Neighbouring towns are watching closely.",
    "A meeting is planned for the end of the month.",
)
_DENIALS = (
    "A fact-check found that this is false: {actor} in {place} never {event}.",
    "The claim that {actor} in {place} {event} is a hoax and was debunked by reporters.",
    "There is no evidence for it: officials call the story fabricated and not true.",
)


class LabelledPair(NamedTuple):
    """A pair with the label it was made for."""

    pair: Pair
    label: str


def generate(
    n_per_class: int, seed: int = 1, events: Sequence[tuple[str, str]] = EVENTS
) -> Iterator[LabelledPair]:
    """n_per_class pairs of each class in turn. Same numbers, same pairs.

    events: two or more of EVENTS, of which they tell.

    >>> [found.label for found in generate(1)] == list(CLASSES)
    True
    """
    random = np.random.default_rng(seed)
    for _ in range(n_per_class):
        for label in CLASSES:
            yield LabelledPair(_pair(label, random, events), label)


def _pair(label: str, random: np.random.Generator, events: Sequence[tuple[str, str]]) -> Pair:
    place, number = str(random.choice(_PLACES)), int(random.integers(3, 900))
    which = random.integers(len(_ACTORS)), random.integers(len(events))
    actor, event = _ACTORS[which[0]], events[int(which[1])]
    said, retold = (form.format(n=number) for form in event)
    claim = f"{actor[0].capitalize()} in {place} {said}"
    if label in (SUPPORT_TEXT, SUPPORT_MULTIMODAL):
        report = f"In {place}, {actor[1]} {retold}."
    elif label in (INSUFFICIENT_TEXT, INSUFFICIENT_MULTIMODAL):
        others = [other for i, other in enumerate(events) if i != which[1]]
        other = others[random.integers(len(others))][1].format(n=int(random.integers(3, 900)))
        report = f"In {place}, {actor[1]} {other}."
    else:
        template = _DENIALS[random.integers(len(_DENIALS))]
        report = f"Posts say: {claim}. " + template.format(actor=actor[1], place=place, event=said)
    asides = random.permutation(_ASIDES)[: random.integers(1, 4)].tolist()
    own = picture(random)
    alike = label in (SUPPORT_MULTIMODAL, INSUFFICIENT_MULTIMODAL)
    if label == REFUTE:
        alike = bool(random.random() < 0.5)
    other_picture = crop(own, random) if alike else picture(random)
    return Pair(
        claim,
        " ".join([report, *asides]),
        (own,),
        (other_picture,),
        claim_ocr=place if random.random() < 0.5 else "",
        document_ocr=place if random.random() < 0.5 else "",
    )


def picture(random: np.random.Generator) -> Image:
    """A coloured field with three rectangles and noise, (SIZE, SIZE, 3)."""
    image = np.empty((SIZE, SIZE, 3), dtype=np.float64)
    image[:] = random.integers(0, 256, 3)
    for _ in range(3):
        top, left = random.integers(0, SIZE - 12, 2)
        height, width = random.integers(8, 30, 2)
        image[top : top + height, left : left + width] = random.integers(0, 256, 3)
    noisy = image + random.normal(0, 4, image.shape)
    return noisy.clip(0, 255).astype(np.uint8)


def crop(image: Image, random: np.random.Generator) -> Image:
    """The image without a few rows and columns at its borders, a little brighter or darker."""
    height, width = image.shape[:2]
    top, bottom = random.integers(0, height // 10 + 1, 2)
    left, right = random.integers(0, width // 10 + 1, 2)
    kept = image[top : height - bottom, left : width - right].astype(np.float64)
    return (kept + random.normal(0, 3)).clip(0, 255).astype(np.uint8)


def thumbnail(image: Image, size: int = 8) -> Floats:
    """The mean colour of size x size fields, less their mean: a stand-in for a network's features
    where no weights are at hand. float64 (size * size * 3,)

    >>> thumbnail(np.full((9, 9, 3), 7, dtype=np.uint8)).any()
    np.False_
    """
    rows = np.array_split(image.astype(np.float64), size, axis=0)
    fields = [
        field.mean(axis=(0, 1)) for row in rows for field in np.array_split(row, size, axis=1)
    ]
    values: Floats = np.concatenate(fields)
    return values - float(values.mean())
