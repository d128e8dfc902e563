"""Views of schema mart against what posts made by hand, and the tables they show, say."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from storage.database import Connection, connect
from streams.records import Author
from tests.integration.test_merge import NOON, post, rows, share, take, working
from tests.paged import Project, small_project

if TYPE_CHECKING:
    from tests.conftest import Server

DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
LATER = NOON + 9 * DAY


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with working(database) as opened:
        yield opened


@pytest.fixture(scope="module")
def project(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Some hundred posts with clusters."""
    with small_project(server, tmp_path_factory.mktemp("mart")) as made:
        yield made


def by(account: str) -> Author:
    return Author(author_id=account)


def test_growth(connection: Connection) -> None:
    take(
        connection,
        [
            post("1", hashtags=("a",)),
            post("2", hashtags=("a",), text="hoax"),
            *(post(f"n{n}", hashtags=("a",), posted_at=NOON + DAY) for n in range(3)),
            post("later", hashtags=("a",), posted_at=NOON + 3 * DAY, observed_at=LATER),
        ],
    )
    found = rows(
        connection,
        "SELECT posts, posts_before, growth, times, authors, authors_before, expected_share_before"
        " FROM mart.hashtag_growth ORDER BY day",
    )
    assert found == [
        (2, 0, 2, None, 2, 0, None),
        (3, 2, 1, Decimal("1.50"), 3, 2, Decimal("0.500000")),
        (1, 0, 1, None, 1, 0, None),
    ]


def test_accounts_have_one_pseudonym_and_no_name(connection: Connection) -> None:
    take(
        connection,
        [
            post("1", text="hoax", author=by("ann")),
            share("2", "1", author=by("bob"), posted_at=NOON + SECOND),
            post("3", author=by("bob")),
            post("4", author=by("bob"), posted_at=NOON + DAY),
            post("5", author=None),
        ],
    )
    found = rows(
        connection,
        "SELECT account, posts, shares_made, judged, likely_false FROM mart.account_activity"
        " ORDER BY day, posts",
    )
    ann, bob, later = found
    assert ann[1:] == (1, 0, 1, 1)
    assert bob[1:] == (2, 1, 2, 1)
    assert later[:3] == (bob[0], 1, 0)
    assert ann[0] != bob[0]
    shown = str(rows(connection, "SELECT * FROM mart.account_activity"))
    assert "ann" not in shown and "bob" not in shown


def test_who_shares_the_same_within_a_minute(connection: Connection) -> None:
    readings = []
    for n in range(4):
        at = NOON + n * DAY
        readings.append(post(f"r{n}", posted_at=at, observed_at=LATER))
        for account, seconds in (("ann", 10), ("bob", 70), ("cat", 131)):
            readings.append(
                share(
                    f"{account}{n}",
                    f"r{n}",
                    author=by(account),
                    observed_at=LATER,
                    posted_at=at + (seconds + (n == 3) * (account == "bob")) * SECOND,
                )
            )
    take(connection, readings)
    found = rows(
        connection, "SELECT n_contents, n_times, first_at, last_at FROM mart.coordination_edges"
    )
    # ann and bob on three of four; bob and cat are 61 seconds apart, but for the last
    assert found == [(3, 3, NOON + 10 * SECOND, NOON + 2 * DAY + 70 * SECOND)]
    pair = rows(connection, "SELECT account_a, account_b FROM mart.coordination_edges")[0]
    known = rows(connection, "SELECT account FROM mart.account_activity WHERE shares_made > 0")
    assert {(name,) for name in pair} < set(known)


def test_clusters_now_and_as_lineages(project: Project) -> None:
    with connect(project.dsn) as connection:
        newest = rows(
            connection,
            "SELECT count(*) FROM mart.clusters c WHERE window_start = (SELECT max(window_start)"
            " FROM mart.clusters n WHERE (n.hashtag, n.algorithm) = (c.hashtag, c.algorithm))",
        )
        assert rows(connection, "SELECT count(*) FROM mart.clusters_current") == newest != [(0,)]
        lines = rows(
            connection,
            "SELECT hashtag, algorithm, lineage, n_windows, most_users, greatest_emerging,"
            " first_window_start < last_window_end FROM mart.cluster_lineage ORDER BY 1, 2, 3",
        )
        assert lines == rows(
            connection,
            "SELECT hashtag, algorithm, lineage, count(*), max(n_users), max(emerging), true"
            " FROM mart.clusters WHERE lineage IS NOT NULL GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
        )
        assert lines
        emerging = rows(
            connection,
            "SELECT hashtag, lineage, emerging FROM mart.emerging_clusters ORDER BY 1, 2",
        )
        assert emerging == [
            (tag, lineage, greatest)
            for tag, algorithm, lineage, _, _, greatest, _ in lines
            if greatest is not None and algorithm == "louvain"
        ]


def test_every_view_and_column_says_what_it_is(connection: Connection) -> None:
    silent = rows(
        connection,
        "SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
        " WHERE c.relnamespace = 'mart'::regnamespace AND c.relkind = 'v' AND a.attnum > 0"
        " AND (col_description(c.oid, a.attnum) IS NULL OR obj_description(c.oid) IS NULL)",
    )
    assert silent == []
