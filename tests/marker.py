"""A detector whose verdict is a plain function of the text, so that tests know every answer."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

from streams.records import Content, Verdict


class MarkerDetector:
    """Likely false if the text says so; abstains on nothing to read; else a hash decides."""

    name = "marker"
    threshold = 0.5

    def __init__(self, version: str = "1") -> None:
        self.version = version

    def score(self, contents: Sequence[Content]) -> list[Verdict]:
        """One verdict per content, whatever its neighbours."""
        return [self._verdict(content) for content in contents]

    def _verdict(self, content: Content) -> Verdict:
        score = marker_score(content.text)
        return Verdict(
            platform=content.platform,
            root_id=content.root_id,
            input_hash=content.input_hash,
            detector=self.name,
            version=self.version,
            state="abstained" if score is None else "scored",
            score=score,
            reason="empty" if score is None else None,
        )


def marker_score(text: str) -> float | None:
    """0.9 with the word hoax, 0.1 with fact, None for no text, else two digits of a hash."""
    if not text.strip():
        return None
    if "hoax" in text:
        return 0.9
    if "fact" in text:
        return 0.1
    return blake2b(text.encode(errors="replace"), digest_size=1).digest()[0] % 100 / 100
