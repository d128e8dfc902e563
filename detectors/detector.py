"""The one interface of all detectors: contents in, verdicts out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from streams.records import Content, Verdict


class Detector(Protocol):
    """Scores contents. Pure: no network, no database, no settings, no state that changes a score.

    The score of a content may not depend on which other contents are in the same call, on their
    order, or on what was scored before (DESIGN: "Scores do not depend on their neighbours").
    """

    @property
    def name(self) -> str:
        """The name in the registry, as in `--detector NAME`."""

    @property
    def version(self) -> str:
        """Changes whenever a score could change: weights, preprocessing, engine."""

    @property
    def threshold(self) -> float:
        """Scores of at least this much count as likely false unless the policy says otherwise."""

    def score(self, contents: Sequence[Content]) -> list[Verdict]:
        """One verdict per content, in order: scored, or abstained with a reason."""
