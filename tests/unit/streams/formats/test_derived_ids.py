"""Ids that are made: the same whatever else is read, and in whatever order."""

from __future__ import annotations

import random
from datetime import UTC, datetime

from streams.formats.derived_ids import POST_PREFIX, TEXT_PREFIX, PostIds, text_root

AT = datetime(2016, 10, 25, 0, 5, 40, tzinfo=UTC)
ROWS = [("ada", AT, "Snow")] * 3 + [("ada", AT, "Rain"), ("bo", AT, "Snow")]


def ids_of(rows: list[tuple[str, datetime, str]]) -> list[str]:
    ids = PostIds()
    return [ids.next_id(*row) for row in rows]


def test_every_row_has_an_id_of_its_own() -> None:
    found = ids_of(ROWS)
    assert len(set(found)) == 5
    assert all(post_id.startswith(POST_PREFIX) for post_id in found)


def test_the_order_of_rows_does_not_matter() -> None:
    shuffled = random.Random(1).sample(ROWS, len(ROWS))
    assert set(ids_of(shuffled)) == set(ids_of(ROWS))


def test_files_that_overlap_agree() -> None:
    whole, part = ids_of(ROWS), ids_of(ROWS[1:])
    assert set(part) < set(whole)
    assert set(ids_of(ROWS[:1])) < set(whole)


def test_seconds_do_not_count_minutes_do() -> None:
    ids = PostIds()
    first = ids.next_id("ada", AT, "Snow")
    assert PostIds().next_id("ada", AT.replace(second=0), "Snow") == first
    assert PostIds().next_id("ada", AT.replace(minute=6), "Snow") != first


def test_fields_do_not_run_into_each_other() -> None:
    assert ids_of([("a", AT, "bc")]) != ids_of([("ab", AT, "c")])


def test_equal_words_have_one_root() -> None:
    roots = {
        text_root(text)
        for text in (
            "Caf\u00e9  & tea",
            " Cafe\u0301 & tea",
            "RT @ada: Café &amp; tea",
            "Café &\ntea",
        )
    }
    assert len(roots) == 1 and roots.pop().startswith(TEXT_PREFIX)
    assert text_root("Yes", "ada") == text_root("Yes", "Ada") != text_root("Yes", "bo")
    assert text_root("\ud800") == text_root("\ud800") != text_root("")
