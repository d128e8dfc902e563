"""Name -> detector. The table is the whole mechanism: add one line per detector.

Classes are named as strings and imported on first use, so that listing detectors imports no model.
"""

from __future__ import annotations

from importlib import import_module
from inspect import signature
from pathlib import Path

from detectors.detector import Detector, DetectorUnusable

DETECTORS: dict[str, str] = {
    "bert": "detectors.bert:BertDetector",
    "tfidf": "detectors.tfidf:TfidfDetector",
    "tweet_metadata": "detectors.tweet_metadata:TweetMetadataDetector",
    "null": "detectors.null:NullDetector",
}

#: Name -> "module:function" that takes a folder of weights: detectors of whole posts. They ship
#: none, and what a run hands to detectors has no pictures yet: they are trained and measured.
POST_DETECTORS: dict[str, str] = {
    "att_xdsf": "detectors.train_networks:load_att_xdsf",
    "three_branch": "detectors.train_networks:load_three_branch",
}

DEFAULT_DETECTOR = "bert"


class UnknownDetector(DetectorUnusable):
    """No detector has this name."""


class UnknownOption(DetectorUnusable):
    """This detector has no such choice."""


def load_post_detector(name: str, weights: Path | None) -> Detector:
    """A detector of whole posts of that name, from a folder that `hoaxwatch train` wrote."""
    if weights is None:
        raise UnknownOption(f"{name} ships no weights: train some, then name them {name}=FOLDER")
    module, _, attribute = POST_DETECTORS[name].partition(":")
    detector: Detector = getattr(import_module(module), attribute)(weights)
    return detector


def load_detector(name: str, **options: object) -> Detector:
    """The detector of that name, by default with its shipped weights.

    options: what it is made with instead, such as `weights`, `encoder`, `engine`; None is not
    given. Raises UnknownDetector, UnknownOption, and what the detector says of its weights.
    """
    if name not in DETECTORS:
        raise UnknownDetector(
            f"no detector is called {name!r}; there are: {', '.join(sorted(DETECTORS))}"
        )
    module, _, attribute = DETECTORS[name].partition(":")
    made_by = getattr(import_module(module), attribute)
    given = {option: value for option, value in options.items() if value is not None}
    known = signature(made_by).parameters
    for option in given:
        if option not in known:
            raise UnknownOption(f"detector {name!r} has no {option}: leave --{option} out")
    detector: Detector = made_by(**given)
    return detector
