"""What could not be processed, looked at and tried again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from detectors.detector import Detector
from storage import reads, writes
from storage.database import Connection
from streams import steps
from streams.formats.registry import FORMATS, remap_raw
from streams.records import Problem, Reading, decode_reading

PAGE_RECORDS = 1000
#: Begins the source of a record that could not be decoded as it came from the brokers.
WIRE = "wire"


@dataclass
class Replayed:
    """What became of the records that were tried again."""

    n_records: int = 0
    n_released: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)


def replay(
    connection: Connection,
    detector: Detector,
    now: datetime,
    tombstone_key: str,
    ids: Sequence[str] | None = None,
    source: str | None = None,
    reason: str | None = None,
) -> Replayed:
    """Reads quarantined records again with today's readers and records what they give.

    Which: see `storage.reads.read_quarantined`. A record that can be read now leaves quarantine in
    the transaction that stores it; one that cannot stays.
    """
    result = Replayed()
    after = ""
    while page := reads.read_quarantined(connection, PAGE_RECORDS, ids, source, reason, after):
        after = page[-1].id
        readings: list[Reading] = []
        released: list[str] = []
        for row in page:
            result.n_records += 1
            found = [steps.check_time(reading, now) for reading in _read_again(row)]
            problems = [reading for reading in found if isinstance(reading, Problem)]
            if problems or not found:
                result.reasons[problems[0].reason if problems else row.reason] += 1
                continue
            readings += found
            released.append(row.id)
        with connection.transaction(), connection.cursor() as cursor:
            writes.remove_quarantined(cursor, released)
            batch = steps.prepare(readings, now)
            outcomes = steps.record(connection, batch, detector, tombstone_key).outcomes
        result.outcomes += outcomes
        # what can be read and not be stored is back
        result.n_released += len(released) - outcomes["quarantined"]
    return result


def _read_again(row: reads.QuarantinedRow) -> list[Reading]:
    name = row.source.partition(":")[0]
    if name == WIRE:
        try:
            return [decode_reading(row.raw)]
        except ValueError:
            return []
    if name not in FORMATS or not row.raw:
        return []
    return list(remap_raw(row.raw, row.source))
