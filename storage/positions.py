"""Where workers behind Kafka stand: offsets recorded, offsets in work, who owns which partition.

Kafka's committed offset is where a worker goes on. What is kept here tells a record that is met
again from a new one, a record that kills the process from its neighbours, and a worker that slept
through its own replacement from the one that replaced it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, NamedTuple

import psycopg

from streams.errors import Replaced, Unavailable

#: Of the connections of classifying workers: one that is there belongs to a worker that is alive.
CLASSIFY_ROLE = "hoaxwatch classify"
#: Of the connections of counting workers: only such a one may be ended by its successor.
TRACK_ROLE = "hoaxwatch track"

#: Whoever does the jobs that are one for the whole project holds it.
JOBS_LOCK = 0x6A6F6273


class Span(NamedTuple):
    """Records of one partition that follow each other: from `first` to before `end`."""

    topic: str
    partition: int
    first: int
    end: int


class LeftOver(NamedTuple):
    """A span that a worker was working on when it died, and how often its first was tried alone."""

    span: Span
    lone_tries: int


class OverlapsRecorded(Exception):
    """Some of the records were recorded by now and some not: look again and split them."""


def spans_of(places: Iterable[tuple[str, int, int]]) -> list[Span]:
    """Places (topic, partition, offset) as spans, sorted.

    >>> [tuple(span) for span in spans_of([("t", 0, 7), ("t", 0, 5), ("t", 0, 6), ("t", 1, 2)])]
    [('t', 0, 5, 8), ('t', 1, 2, 3)]
    """
    spans: list[Span] = []
    held: tuple[str, int] | None = None
    first = end = 0
    for topic, partition, offset in sorted(places):
        if held == (topic, partition) and offset <= end:
            end = max(end, offset + 1)
            continue
        if held is not None:
            spans.append(Span(*held, first, end))
        held, first, end = (topic, partition), offset, offset + 1
    if held is not None:
        spans.append(Span(*held, first, end))
    return spans


def read_positions(connection: psycopg.Connection) -> dict[tuple[str, int], int]:
    """Up to which offset each partition was ever recorded."""
    rows = connection.execute(
        "SELECT topic, partition, next_offset FROM hoaxwatch.stream_positions"
    )
    return {(topic, partition): offset for topic, partition, offset in rows}


def read_skipped(connection: psycopg.Connection) -> int:
    """Records that never came: jumped over by the offsets."""
    row = connection.execute(
        "SELECT coalesce(sum(skipped), 0) FROM hoaxwatch.stream_positions"
    ).fetchone()
    return int(row[0]) if row else 0


def read_outcomes(connection: psycopg.Connection) -> dict[str, int]:
    """What became of the records of topics, each counted once."""
    rows = connection.execute(
        "SELECT outcome, sum(records)::bigint FROM hoaxwatch.stream_outcomes"
        " GROUP BY outcome ORDER BY 2 DESC, 1"
    )
    return dict(rows.fetchall())


def count_records(
    cursor: psycopg.Cursor[Any], spans: Sequence[Span], outcomes: Mapping[str, int]
) -> None:
    """Counts the outcomes of these records, in the transaction that recorded them, and moves on.

    Records that were recorded before count nothing: they have their outcome. Raises
    OverlapsRecorded if that is true of some of them only.
    """
    if not spans:
        return
    held = _lock_positions(cursor, spans)
    is_new = [span.first >= (held[span[:2]] or 0) for span in spans]
    is_old = [span.end <= (held[span[:2]] or 0) for span in spans]
    if all(is_old):
        return
    if not all(is_new):
        raise OverlapsRecorded
    ends: dict[tuple[str, int], int] = {}
    skipped: dict[tuple[str, int], int] = {}
    for span in spans:
        key = span[:2]
        at = ends.get(key, held.get(key))
        # a partition seen for the first time may begin anywhere: what was before is not ours
        skipped[key] = skipped.get(key, 0) + (span.first - at if at is not None else 0)
        ends[key] = span.end
    cursor.execute(
        "UPDATE hoaxwatch.stream_positions p SET next_offset = n.next_offset,"
        " skipped = p.skipped + n.skipped"
        " FROM unnest(%s::text[], %s::int[], %s::bigint[], %s::bigint[])"
        " AS n (topic, partition, next_offset, skipped)"
        " WHERE p.topic = n.topic AND p.partition = n.partition",
        [
            [topic for topic, _ in ends],
            [partition for _, partition in ends],
            list(ends.values()),
            [skipped[key] for key in ends],
        ],
    )
    counted = {name: n for name, n in sorted(outcomes.items()) if n}
    topic, partition = spans[0][:2]  # we hold the lock of its position
    cursor.execute(
        "INSERT INTO hoaxwatch.stream_outcomes AS o"
        " SELECT %s, %s, name, n FROM unnest(%s::text[], %s::bigint[]) AS c (name, n)"
        " ON CONFLICT (topic, partition, outcome)"
        " DO UPDATE SET records = o.records + excluded.records",
        (topic, partition, list(counted), list(counted.values())),
    )


def _lock_positions(
    cursor: psycopg.Cursor[Any], spans: Sequence[Span]
) -> dict[tuple[str, int], int | None]:
    """The positions of the spans' partitions, locked in order; None for one that is new."""
    keys = sorted({span[:2] for span in spans})
    columns = [topic for topic, _ in keys], [partition for _, partition in keys]
    new = {
        (topic, partition)
        for topic, partition in cursor.execute(
            "INSERT INTO hoaxwatch.stream_positions"
            " SELECT topic, partition, 0, 0 FROM unnest(%s::text[], %s::int[])"
            " AS k (topic, partition) ORDER BY topic, partition"
            " ON CONFLICT DO NOTHING RETURNING topic, partition",
            columns,
        )
    }
    rows = cursor.execute(
        "SELECT p.topic, p.partition, p.next_offset FROM hoaxwatch.stream_positions p"
        " JOIN unnest(%s::text[], %s::int[]) AS k (topic, partition) USING (topic, partition)"
        " ORDER BY p.topic, p.partition FOR UPDATE OF p",
        columns,
    )
    return {row[:2]: None if row[:2] in new else row[2] for row in rows}


def note_work(connection: psycopg.Connection, spans: Iterable[Span], holder: str) -> list[LeftOver]:
    """Notes what this process works on from now; returns what dead ones left over there, un-noted.

    One span per partition: from the first to the last of each. A note of another process is taken
    over without suspicion while that process is alive (the partition was given to us meanwhile; it
    was not killed by its records), and if it is about records before ours, which are done.
    """
    whole: dict[tuple[str, int], tuple[int, int]] = {}
    for span in spans:
        first, end = whole.get(span[:2], (span.first, span.end))
        whole[span[:2]] = min(first, span.first), max(end, span.end)
    keys = sorted(whole)
    with connection.transaction():
        noted = connection.execute(
            "INSERT INTO hoaxwatch.offsets_in_work AS w"
            " SELECT topic, partition, first_offset, end_offset, 0, %s, pg_backend_pid()"
            " FROM unnest(%s::text[], %s::int[], %s::bigint[], %s::bigint[])"
            " AS n (topic, partition, first_offset, end_offset)"
            " ON CONFLICT (topic, partition) DO UPDATE SET first_offset = excluded.first_offset,"
            " end_offset = excluded.end_offset, lone_tries = 0, holder = excluded.holder,"
            " backend_pid = excluded.backend_pid"
            " WHERE w.holder = excluded.holder OR w.end_offset <= excluded.first_offset"
            " OR w.lone_tries = 0 AND EXISTS (SELECT FROM pg_stat_activity a"
            " WHERE a.pid = w.backend_pid AND a.application_name = %s)"
            " RETURNING topic, partition",
            (
                holder,
                [topic for topic, _ in keys],
                [partition for _, partition in keys],
                [whole[key][0] for key in keys],
                [whole[key][1] for key in keys],
                CLASSIFY_ROLE,
            ),
        ).fetchall()
        missing = set(keys) - {(topic, partition) for topic, partition in noted}
        return _read_left_over(connection, sorted(missing)) if missing else []


def _read_left_over(
    connection: psycopg.Connection, keys: Sequence[tuple[str, int]]
) -> list[LeftOver]:
    rows = connection.execute(
        "SELECT w.topic, w.partition, w.first_offset, w.end_offset, w.lone_tries"
        " FROM hoaxwatch.offsets_in_work w JOIN unnest(%s::text[], %s::int[])"
        " AS k (topic, partition) USING (topic, partition) ORDER BY 1, 2",
        ([topic for topic, _ in keys], [partition for _, partition in keys]),
    )
    return [LeftOver(Span(*row[:4]), row[4]) for row in rows]


def note_lone_try(connection: psycopg.Connection, span: Span, holder: str) -> int:
    """Notes that the first record of a span that was left over is tried alone, by this process.

    Returns how often it was tried alone before, each time without an end.
    """
    with connection.transaction():
        row = connection.execute(
            "SELECT lone_tries, holder FROM hoaxwatch.offsets_in_work"
            " WHERE topic = %s AND partition = %s AND first_offset = %s FOR UPDATE",
            (span.topic, span.partition, span.first),
        ).fetchone()
        tries, noted_by = (0, "") if row is None else row
        # tried by this very process: it did not die of it, the database went away
        before = int(tries) - 1 if noted_by == holder and tries else int(tries)
        connection.execute(
            "INSERT INTO hoaxwatch.offsets_in_work AS w"
            " VALUES (%s, %s, %s, %s, %s, %s, pg_backend_pid())"
            " ON CONFLICT (topic, partition) DO UPDATE SET first_offset = excluded.first_offset,"
            " end_offset = excluded.end_offset, lone_tries = excluded.lone_tries,"
            " holder = excluded.holder, backend_pid = excluded.backend_pid",
            (*span, before + 1, holder),
        )
    return before


def clear_work(cursor: psycopg.Cursor[Any], spans: Iterable[Span], holder: str) -> None:
    """Takes back this process's notes about these partitions: their work is done."""
    keys = sorted({span[:2] for span in spans})
    cursor.execute(
        "DELETE FROM hoaxwatch.offsets_in_work w USING unnest(%s::text[], %s::int[])"
        " AS k (topic, partition)"
        " WHERE w.topic = k.topic AND w.partition = k.partition AND w.holder = %s",
        ([topic for topic, _ in keys], [partition for _, partition in keys], holder),
    )


def move_on(cursor: psycopg.Cursor[Any], span: Span, holder: str) -> None:
    """The first of a span that was left over is done: the rest of it remains to be gone through."""
    if span.first + 1 >= span.end:
        clear_work(cursor, [span], holder)
        return
    cursor.execute(
        "UPDATE hoaxwatch.offsets_in_work SET first_offset = %s, lone_tries = 0"
        " WHERE topic = %s AND partition = %s AND holder = %s",
        (span.first + 1, span.topic, span.partition, holder),
    )


def read_dirty_shards(connection: psycopg.Connection) -> list[int]:
    """Shards of the hashtags that wait to be counted."""
    rows = connection.execute("SELECT DISTINCT shard FROM hoaxwatch.dirty_buckets ORDER BY 1")
    return [row[0] for row in rows]


def take_partitions(
    connection: psycopg.Connection, partitions: Iterable[int], holder: str, now: datetime
) -> dict[int, int]:
    """Makes this process the owner of these partitions; returns the epoch of each.

    A former owner that sleeps in the middle of a transaction would keep us out: after a few seconds
    the server ends its connection, which undoes that transaction.
    """
    return {
        partition: _take_partition(connection, partition, holder, now)
        for partition in sorted(partitions)
    }


def _take_partition(
    connection: psycopg.Connection, partition: int, holder: str, now: datetime
) -> int:
    for _ in range(20):
        try:
            with connection.transaction():
                connection.execute("SET LOCAL lock_timeout = '3s'")
                row = connection.execute(
                    "INSERT INTO hoaxwatch.track_owner AS t"
                    " VALUES (%s, 1, %s, pg_backend_pid(), %s)"
                    " ON CONFLICT (partition) DO UPDATE SET epoch = t.epoch + 1,"
                    " holder = excluded.holder, backend_pid = excluded.backend_pid,"
                    " taken_at = excluded.taken_at RETURNING epoch",
                    (partition, holder, now),
                ).fetchone()
            assert row is not None
            return int(row[0])
        except psycopg.errors.LockNotAvailable:
            connection.execute(
                "SELECT pg_terminate_backend(a.pid) FROM hoaxwatch.track_owner t"
                " JOIN pg_stat_activity a ON a.pid = t.backend_pid"
                " WHERE t.partition = %s AND a.application_name = %s"
                " AND a.pid <> pg_backend_pid()",
                (partition, TRACK_ROLE),
            )
    raise Unavailable(f"partition {partition} of the hashtags stays locked; look at track_owner")


def hold_partitions(cursor: psycopg.Cursor[Any], epochs: Mapping[int, int]) -> None:
    """Keeps others from taking these partitions until this transaction ends.

    Raises Replaced if one of them has been taken since: then this transaction must write nothing.
    """
    rows = cursor.execute(
        "SELECT t.partition FROM hoaxwatch.track_owner t"
        " JOIN unnest(%s::int[], %s::bigint[]) AS e (partition, epoch) USING (partition, epoch)"
        " ORDER BY 1 FOR SHARE OF t",
        (list(epochs), list(epochs.values())),
    ).fetchall()
    lost = sorted(set(epochs) - {row[0] for row in rows})
    if lost:
        raise Replaced(f"partitions {lost} of the hashtags were taken over by another worker")


@contextmanager
def jobs_lease(connection: psycopg.Connection) -> Iterator[bool]:
    """Inside, whether the jobs of the project are ours to do: nobody else has the lease.

    The server holds it for this session, so whoever dies has given it back. One that only sleeps
    keeps it: what the jobs do may come late, and is the same whoever does it.
    """
    row = connection.execute("SELECT pg_try_advisory_lock(%s)", (JOBS_LOCK,)).fetchone()
    is_ours = row is not None and bool(row[0])
    try:
        yield is_ours
    finally:
        if is_ours and not connection.broken:
            connection.execute("SELECT pg_advisory_unlock(%s)", (JOBS_LOCK,))
