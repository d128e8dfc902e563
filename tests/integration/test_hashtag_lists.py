"""The most used and the rising hashtags, found from the top of each day, are those that going
through every row would give."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import product
from statistics import median_low

import pytest
from psycopg import Copy

from storage import reads
from storage.database import Connection, connect
from storage.reads import Period, hashtags

START = datetime(2026, 3, 1, tzinfo=UTC)
DAYS = 12
HOUR = timedelta(hours=1)

#: How many posts a hashtag (a number) has on a day.
WORLDS: dict[str, Callable[[random.Random, int, int], int]] = {
    "skewed": lambda chance, tag, _: int(chance.paretovariate(0.8) * 40 / (tag + 1)),
    "flat": lambda chance, *_: chance.randint(0, 3),
    "ties": lambda *_: 5,
    "a day each": lambda _, tag, day: 50 + tag % 7 if tag % DAYS == day else 0,
    "few": lambda chance, tag, _: chance.randint(0, 9) if tag < 4 else 0,
    "nothing": lambda *_: 0,
}


def fill(connection: Connection, world: str, seed: int) -> None:
    """The rows of 60 hashtags by day and, their posts spread over three hours of it, by hour. Live
    sources are asked for every third, and collect the days that `collects` says."""
    chance = random.Random(seed)
    connection.execute("TRUNCATE hoaxwatch.hashtag_trends, hoaxwatch.collections")
    for tag, day in product(range(0, 60, 3), range(DAYS)):
        if collects(tag, day):
            # in two pulls; of some days a little is missing, or a cap was hit
            at = START + timedelta(days=day) + 11 * HOUR
            until = at + (12 if (tag + day) % 7 == 0 else 13) * HOUR
            for begin, end in ((at - 11 * HOUR, at), (at, until)):
                connection.execute(
                    "INSERT INTO hoaxwatch.collections VALUES ('here', %s, %s, %s, %s, 1, 1, %s)",
                    (f"t{tag}", str(begin), begin, end, (tag + day) % 11 == 0),
                )
    with (
        connection.cursor() as cursor,
        cursor.copy("COPY hoaxwatch.hashtag_trends FROM STDIN") as copy,
    ):
        for day in range(DAYS):
            at = START + timedelta(days=day)
            for tag in range(60):
                if posts := WORLDS[world](chance, tag, day):
                    parts = {1: posts // 2, 9: posts // 3, 20: posts - posts // 2 - posts // 3}
                    hours = {at + hour * HOUR: n for hour, n in parts.items() if n}
                    write(copy, f"t{tag}", "day", at, posts, min(hours), max(hours))
                    for hour, n in hours.items():
                        write(copy, f"t{tag}", "hour", hour, n, hour, hour)


def collects(tag: int, day: int) -> bool:
    return (tag // 3 * 5 + day * day) % 4 > 0 and day != tag // 9


def is_whole(tag: int, day: int) -> bool:
    return day >= 0 and collects(tag, day) and (tag + day) % 7 != 0 and (tag + day) % 11 != 0


def write(copy: Copy, tag: str, grain: str, at: datetime, posts: int, *seen: datetime) -> None:
    copy.write_row((tag, grain, at, posts, posts, 0, 1, posts, 0, 0.5, 0.4, 0.6, *seen, 1))


@pytest.mark.parametrize("first_depth", [1, 4])
def test_they_are_those_of_all_rows(
    database: str, monkeypatch: pytest.MonkeyPatch, first_depth: int
) -> None:
    monkeypatch.setattr(hashtags, "FIRST_DEPTH", first_depth)
    monkeypatch.setattr(hashtags, "DEEPER", 2)
    middle = Period(START + timedelta(days=3), START + timedelta(days=9))
    periods = (
        *(Period(None, None), middle, Period(START + timedelta(days=60), None)),
        *(Period(START + 5 * HOUR, None), Period(middle.since, START + 100 * HOUR)),
        Period(START + 57 * HOUR, START + 179 * HOUR),
    )
    with connect(database) as connection:
        for world, seed in product(WORLDS, range(2)):
            fill(connection, world, seed)
            for period, limit, rising in product(periods, (1, 7, 100), (False, True)):
                found = reads.read_hashtags(connection, limit, *period, rising=rising)
                whole = hashtags._read_hashtags(connection, limit, period, None, rising=rising)
                assert found == whole, (world, seed, period, limit, rising)


@pytest.mark.parametrize("world", ["skewed", "flat", "a day each"])
def test_a_rise_is_above_the_days_before_that_were_collected_whole(
    database: str, world: str
) -> None:
    with connect(database) as connection:
        fill(connection, world, 5)
        posts = {
            (hashtag, (day - START).days): n
            for hashtag, day, n in connection.execute(
                "SELECT hashtag, bucket_start, posts FROM hoaxwatch.hashtag_trends"
                " WHERE grain = 'day'"
            )
        }
        found = reads.read_hashtags(connection, 100, rising=True)
    expected = {}
    for tag in {hashtag for hashtag, _ in posts}:
        number = int(tag[1:])
        most, busiest = max((posts.get((tag, day), 0), -day) for day in range(DAYS))
        before = [
            posts.get((tag, day), 0)
            for day in range(-busiest - 7, -busiest)
            if number % 3 or is_whole(number, day)
        ]
        expected[tag] = most - median_low(before) if before else None
    assert {row.hashtag: row.rise for row in found} == expected
    assert None in expected.values() and len(set(expected.values())) > 2
    known = [row.rise for row in found if row.rise is not None]
    assert [row.rise for row in found] == sorted(known, reverse=True) + [None] * (
        len(found) - len(known)
    )


@pytest.mark.parametrize(
    ("since", "until"),
    [(5, 29), (9, 20), (33, None), (None, 57), (24, 48), (2, 3), (9.5, 20.5), (20, 20)],
)
def test_they_are_over_the_hours_of_the_period(
    database: str, since: float | None, until: float | None
) -> None:
    period = Period(*(None if at is None else START + at * HOUR for at in (since, until)))
    with connect(database) as connection:
        fill(connection, "flat", 3)
        sums = connection.execute(
            "SELECT hashtag, sum(posts)::int, min(first_seen_at), max(last_seen_at)"
            " FROM hoaxwatch.hashtag_trends WHERE grain = 'hour'"
            " AND (%s::timestamptz IS NULL OR bucket_start + interval '1 hour' > %s)"
            " AND (%s::timestamptz IS NULL OR bucket_start < %s)"
            " GROUP BY 1 ORDER BY 2 DESC, 1",
            (period.since, period.since, period.until, period.until),
        ).fetchall()
        found = reads.read_hashtags(connection, 100, *period)
        assert [(r.hashtag, r.posts, r.first_seen_at, r.last_seen_at) for r in found] == sums
        assert {row.expected_share for row in found} <= {0.5}
        for row in found:
            assert row.busiest_posts <= row.posts
            assert reads.read_hashtags(connection, 1, *period, hashtag=row.hashtag) == [row]


def test_frequent_hashtags_are_decided_without_reading_every_row(database: str) -> None:
    with connect(database) as connection:
        fill(connection, "skewed", 1)
        leading = hashtags._read_leading(connection, 3, Period(None, None), 12)
    assert leading.has_most
    assert len(leading.may_be_most) < len(leading.seen) < 60
