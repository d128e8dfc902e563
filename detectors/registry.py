"""Name -> detector. The table is the whole mechanism: add one line per detector.

Classes, or functions that make one, are named as strings and imported on first use: listing
detectors imports no model.
"""

from __future__ import annotations

from importlib import import_module
from inspect import signature

from detectors.detector import Detector, DetectorUnusable

DETECTORS: dict[str, str] = {
    "att_xdsf": "detectors.train_networks:load_att_xdsf",
    "bert": "detectors.bert:BertDetector",
    "tfidf": "detectors.tfidf:TfidfDetector",
    "three_branch": "detectors.train_networks:load_three_branch",
    "tweet_metadata": "detectors.tweet_metadata:TweetMetadataDetector",
    "null": "detectors.null:NullDetector",
}

DEFAULT_DETECTOR = "bert"


class UnknownDetector(DetectorUnusable):
    """No detector has this name."""


class UnknownOption(DetectorUnusable):
    """This detector has no such choice."""


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
