"""What weighed most in a verdict: as stored, or asked of the detector when somebody looks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg

from detectors.detector import Detector, DetectorUnusable, Explains
from detectors.registry import load_detector
from storage import reprocessing
from streams.errors import UsageError
from streams.records import Content
from streams.settings import Settings

Evidence = Sequence[Sequence[Any]]


def detector_of(settings: Settings) -> Detector:
    """The detector that the settings ask for."""
    return load_detector(
        settings.detector,
        engine=settings.engine,
        encoder=settings.encoder,
        weights=settings.weights,
    )


def detector_in_force(connection: psycopg.Connection, settings: Settings) -> Detector:
    """The detector whose verdicts count in a project, where none counts yet that of the settings.
    It is that of the settings, or one as it ships. Raises UsageError if it is neither, and what the
    detector says of its weights: who asks for upkeep must not have other verdicts count by
    it."""
    active = reprocessing.read_active(connection)
    if active is None:
        return detector_of(settings)
    try:
        judge = (
            detector_of(settings)
            if active.detector == settings.detector
            else load_detector(active.detector)
        )
        if judge.version == active.version:
            return judge
        there = f"{judge.name} {judge.version}"
    except DetectorUnusable:
        if active.detector == settings.detector:
            raise  # it says itself what is missing
        there = settings.detector
    raise UsageError(
        f"in this project the verdicts of {active.detector} {active.version} count, and at hand is "
        f"{there}: set detector and weights as in the run that judged, or have others count first: "
        "hoaxwatch reprocess --detector NAME --adopt"
    )


def evidence_of(judge: Detector, content: Content) -> tuple[tuple[str, float], ...]:
    """What weighed most, where the detector gives that on demand only."""
    return judge.explain(content) if isinstance(judge, Explains) else ()


class Explainer:
    """Evidence for stored verdicts. The detector is loaded when it is first needed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._judge: Detector | None = None

    def __call__(self, post: Mapping[str, Any]) -> Evidence:
        """(feature, contribution to the logit) pairs. post: a row with text, lang, score or
        probability, evidence, detector and version.

        Only the very detector and version that judged may explain: another one would give other
        reasons. Where the settings lead to another, or to none that works, there are none.
        """
        stored: Evidence = post["evidence"] or ()
        asks = not stored and post["state"] in ("scored", "unsure")
        if not asks or post["detector"] != self._settings.detector:
            return stored
        if self._judge is None:
            try:
                self._judge = detector_of(self._settings)
            except DetectorUnusable:
                return stored
        if self._judge.version != post["version"]:
            return stored
        content = Content(platform="", root_id="", text=post["text"], lang=post["lang"])
        return evidence_of(self._judge, content)
