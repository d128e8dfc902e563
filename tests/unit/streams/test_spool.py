"""The spool gives back what it was given, oldest first, and survives a torn end."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.spool import SEGMENT_BYTES, Spool, SpoolFull


def held(spool: Spool) -> list[tuple[bytes | None, bytes]]:
    return [entry for _, entries in spool.segments() for entry in entries]


def test_records_come_back_in_order_over_segments(tmp_path: Path) -> None:
    records = [(b"k%d" % n if n % 2 else None, b"%d" % n * 1000) for n in range(40)]
    big = (b"big", b"x" * (SEGMENT_BYTES // 2))
    with Spool(tmp_path) as spool:
        for record in [*records, big, big, *records]:
            spool.append(*record)
    with Spool(tmp_path) as spool:
        assert held(spool) == [*records, big, big, *records]
        assert len(list(spool.segments())) == 2


def test_what_is_removed_is_gone_and_numbers_go_on(tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        spool.append(None, b"a")
        for segment, _ in spool.segments():
            spool.append(None, b"b")  # added while the older is on its way
            spool.remove(segment)
        assert held(spool) == [(None, b"b")]
        assert not spool.is_empty


def test_a_torn_end_is_left_out(tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        spool.append(b"k", b"whole")
        spool.append(b"k", b"torn" * 100)
        folder = spool.folder
    (segment,) = folder.glob("*.segment")
    segment.write_bytes(segment.read_bytes()[:-1])
    with Spool(tmp_path) as spool:
        assert held(spool) == [(b"k", b"whole")]


def test_it_holds_no_more_than_it_may(tmp_path: Path) -> None:
    with Spool(tmp_path, limit_bytes=100) as spool:
        spool.append(None, b"x" * 50)
        with pytest.raises(SpoolFull):
            spool.append(None, b"x" * 50)


def test_two_at_a_time_have_folders_of_their_own(tmp_path: Path) -> None:
    with Spool(tmp_path) as one, Spool(tmp_path) as other:
        assert one.folder != other.folder
        one.append(None, b"1")
        assert other.is_empty
    with Spool(tmp_path) as again:
        assert held(again) == [(None, b"1")]


def test_what_another_left_is_sent_by_the_next_alone(tmp_path: Path) -> None:
    with Spool(tmp_path) as one, Spool(tmp_path) as other:
        one.append(None, b"1")
        other.append(None, b"2")
        other.roll()
        other.append(None, b"3")
        with Spool(tmp_path) as third:
            assert third.is_empty  # both go on
    with Spool(tmp_path) as alone:
        assert held(alone) == [(None, b"1"), (None, b"2"), (None, b"3")]
        assert alone.n_bytes == 3 * 13
        for segment, _ in alone.segments():
            alone.remove(segment)
    with Spool(tmp_path) as one, Spool(tmp_path) as other:
        assert one.is_empty and other.is_empty
