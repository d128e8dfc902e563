"""A detector that has no opinion: for benchmarks and for runs that only follow spread."""

from __future__ import annotations

from collections.abc import Sequence

from streams.records import Content, Verdict


class NullDetector:
    """Abstains on every content with the reason `no_detector`."""

    name = "null"
    version = "1"
    threshold = 0.5

    def score(self, contents: Sequence[Content]) -> list[Verdict]:
        """One abstention per content.

        >>> NullDetector().score([])
        []
        """
        return [
            Verdict(
                platform=content.platform,
                root_id=content.root_id,
                input_hash=content.input_hash,
                detector=self.name,
                version=self.version,
                state="abstained",
                reason="no_detector",
            )
            for content in contents
        ]
