"""Name -> detector. The table is the whole mechanism: add one line per detector.

Classes are named as strings and imported on first use, so that listing detectors imports no model.
"""

from __future__ import annotations

from importlib import import_module

from detectors.detector import Detector

DETECTORS: dict[str, str] = {
    "tfidf": "detectors.tfidf:TfidfDetector",
    "null": "detectors.null:NullDetector",
}

DEFAULT_DETECTOR = "tfidf"


class UnknownDetector(ValueError):
    """No detector has this name."""


def load_detector(name: str) -> Detector:
    """The detector of that name with its shipped weights. Raises UnknownDetector."""
    if name not in DETECTORS:
        raise UnknownDetector(
            f"no detector is called {name!r}; there are: {', '.join(sorted(DETECTORS))}"
        )
    module, _, attribute = DETECTORS[name].partition(":")
    detector: Detector = getattr(import_module(module), attribute)()
    return detector
