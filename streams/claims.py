"""Checked claims in the pipeline: loaded from files, compared with what posts say.

`load_claims` stores the claims of a file in batches, each in one transaction, so a load that was
killed is completed by the same command. `ClaimMatcher` keeps the index of the claims between
batches and takes over what changed. Without claims it asks the database for one number and loads
no encoder.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import numpy as np

from detectors.claims import (
    CheckedClaim,
    ClaimIndex,
    Hit,
    Kind,
    Match,
    MatchPolicy,
    find_matches,
    match_label,
    read_claims,
    reason_not_to_check,
    what_is_said,
)
from detectors.sentences import EncoderUnavailable, MeanPooled, SentenceEncoder
from storage import claims
from storage.claims import STORED, ClaimCheck, Pending, Stored
from storage.database import Connection
from streams.errors import UsageError
from streams.faults import fail_point
from streams.records import Content, Problem

#: Claims that are stored in one transaction: what a kill takes is encoded again in seconds.
LOADED_AT_ONCE = 256
#: Problems of a file that are shown.
SHOWN_PROBLEMS = 3


@dataclass
class Loaded:
    """What became of a file: counts of new, changed and unchanged claims; how many entries are no
    claims, and the first three."""

    counts: Counter[str] = field(default_factory=Counter)
    n_problems: int = 0
    first: list[Problem] = field(default_factory=list)
    n_encoded: int = 0


def default_encoder() -> SentenceEncoder:
    """The embedded encoder. Raises UsageError with what to do if it is not there."""
    try:
        return MeanPooled()
    except EncoderUnavailable as error:
        raise UsageError(str(error)) from None


def load_claims(
    connection: Connection,
    path: Path,
    kind: Kind,
    encoder: SentenceEncoder,
    watch: Callable[[int], None] = lambda n_claims: None,
) -> Loaded:
    """Stores the claims of a file; embeds those whose text this encoder has not embedded before.

    watch: told how many entries are behind us. Raises UsageError if the file cannot be read.
    """
    result = Loaded()
    n_entries = 0
    for entries in _batches(path, kind):
        found = [entry for entry in entries if isinstance(entry, CheckedClaim)]
        problems = [entry for entry in entries if isinstance(entry, Problem)]
        result.n_problems += len(problems)
        result.first += problems[: SHOWN_PROBLEMS - len(result.first)]
        if found:
            _store(connection, found, encoder, result)
        n_entries += len(entries)
        watch(n_entries)
    return result


def _batches(path: Path, kind: Kind) -> Iterator[list[CheckedClaim | Problem]]:
    entries = read_claims(path, kind)
    try:
        while batch := list(islice(entries, LOADED_AT_ONCE)):
            yield batch
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}; check the path") from None


def _store(
    connection: Connection,
    found: Sequence[CheckedClaim],
    encoder: SentenceEncoder,
    result: Loaded,
) -> None:
    known = claims.read_vectors(connection, encoder.name, [claim.claim_id for claim in found])
    missing = {
        claim.claim_id: what_is_said(claim.text) for claim in found if claim.claim_id not in known
    }
    vectors = encoder.encode(list(missing.values())).astype(STORED)
    known |= dict(zip(missing, vectors, strict=True))
    rows = np.array([known[claim.claim_id] for claim in found])
    result.counts += claims.add_claims(connection, found, rows, encoder.name, datetime.now(UTC))
    result.n_encoded += len(missing)
    fail_point("claims.after_batch")


class ClaimMatcher:
    """Compares contents with the claims that are stored. Memory: see `ClaimIndex`."""

    def __init__(
        self,
        load_encoder: Callable[[], SentenceEncoder] = default_encoder,
        policy: MatchPolicy | None = None,
    ) -> None:
        """load_encoder: called when there is something to compare."""
        self._load_encoder = load_encoder
        self._policy = policy or MatchPolicy()
        self._encoder: SentenceEncoder | None = None
        self._index: ClaimIndex | None = None
        self._numbers: dict[str, int] = {}
        self._later: dict[int, ClaimIndex] = {}
        #: Claims up to this load number are in the index.
        self.upto = 0

    @property
    def encoder(self) -> SentenceEncoder:
        """What turns texts into vectors. Raises UsageError if it is not there."""
        if self._encoder is None:
            self._encoder = self._load_encoder()
        return self._encoder

    @property
    def version(self) -> str:
        """Changes whenever an answer could, claims aside."""
        return self._policy.version(self.encoder.name)

    def refresh(self, connection: Connection) -> bool:
        """Takes over what changed of the claims; whether there are any to compare with.

        Cost: one small query if nothing changed.
        """
        if claims.read_number(connection) != self.upto:
            changes = claims.read_changes(connection, self.encoder.name, self.upto)
            added = None
            if changes.claims:
                added = ClaimIndex(changes.claims, changes.vectors, self.encoder.name)
            if self._index is None:
                self._index = added
            else:
                self._index = self._index.changed(added, changes.removed)
            self._numbers |= {
                claim.claim_id: number
                for claim, number in zip(changes.claims, changes.numbers.tolist(), strict=True)
            }
            self._later.clear()
            self.upto = changes.upto
        return bool(self._index)

    def search(self, text: str, k: int) -> list[tuple[Hit, str | None]]:
        """The k claims nearest to a text, each with its label if the text repeats it. Call after
        `refresh` said that there are claims."""
        assert self._index is not None
        said = what_is_said(text)
        vectors = self.encoder.encode([said]).astype(STORED).astype(np.float32)
        asked = Content(platform="", root_id="", text=text)
        is_checked = reason_not_to_check(asked, self._policy) is None
        return [
            (hit, match_label(said, hit, self._policy) if is_checked else None)
            for hit in self._index.search(vectors, k)[0]
        ]

    def check(self, pending: Sequence[Pending]) -> list[ClaimCheck]:
        """What each of these contents repeats of the claims that it was not compared with."""
        vectors = self._vectors(pending)
        checks: dict[int, ClaimCheck] = {}
        for since in sorted({one.since for one in pending}):
            own = [i for i, one in enumerate(pending) if one.since == since and i in vectors]
            matches: list[list[Match]] = []
            if own:
                asked = np.array([vectors[i] for i in own], dtype=np.float32)
                texts = [pending[i].content.text for i in own]
                matches = find_matches(texts, asked, self._after(since), self._policy)
            for i, found in zip(own, matches, strict=True):
                content = pending[i].content
                checks[i] = ClaimCheck(content, since, self.upto, None, vectors[i], found)
        return [checks.get(i) or self._not_compared(one) for i, one in enumerate(pending)]

    def _vectors(self, pending: Sequence[Pending]) -> dict[int, Stored]:
        """The vector of each content that is compared, by its place; equal texts once."""
        known = {i: one.vector for i, one in enumerate(pending) if one.vector is not None}
        texts = {
            i: what_is_said(one.content.text)
            for i, one in enumerate(pending)
            if i not in known and self._reason(one) is None
        }
        distinct = list(dict.fromkeys(texts.values()))
        if not distinct:
            return known
        found = dict(zip(distinct, self.encoder.encode(distinct).astype(STORED), strict=True))
        return known | {i: found[text] for i, text in texts.items()}

    def _reason(self, one: Pending) -> str | None:
        return one.reason or reason_not_to_check(one.content, self._policy)

    def _not_compared(self, one: Pending) -> ClaimCheck:
        return ClaimCheck(one.content, one.since, self.upto, self._reason(one), None, ())

    def _after(self, since: int) -> ClaimIndex:
        """The claims that changed after a load number."""
        assert self._index is not None
        if since == 0:
            return self._index
        if since not in self._later:
            earlier = [name for name, number in self._numbers.items() if number <= since]
            self._later[since] = self._index.changed(removed=earlier)
        return self._later[since]
