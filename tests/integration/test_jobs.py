"""What one worker of several does for the whole project: once, by whoever has the lease."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from detectors.claims import make_claim
from storage import claims, positions
from storage.database import Connection, connect
from streams import steps
from streams.claims import ClaimMatcher
from streams.metrics import Metrics
from streams.settings import read_settings
from streams.workers import JOBS_ROLE, Jobs
from tests.integration.test_cascades import NOON, chain, scoring, star, states, take, working
from tests.tables import assert_same, read_tables
from tests.unit.detectors.stem_encoder import StemEncoder

STEMS = StemEncoder()
POSTS = [*chain("long", 8), *star("wide", 4)]


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with working(database) as opened:
        yield opened


@pytest.fixture
def jobs(database: str) -> Iterator[Jobs]:
    matcher = ClaimMatcher(lambda: STEMS)
    made = Jobs(database, read_settings(), scoring(), matcher, Metrics("track"))
    yield made
    made.close()


def load_claim(connection: Connection, text: str) -> None:
    claim = make_claim("check", text=text, url="https://checks.example/1", rating="False")
    vectors = STEMS.encode([text]).astype(np.float16)
    claims.add_claims(connection, [claim], vectors, STEMS.name, NOON)


def test_they_bring_what_a_run_brings(connection: Connection, database: str, jobs: Jobs) -> None:
    take(connection, POSTS)
    jobs()
    by_jobs = read_tables(database)
    assert by_jobs["cascade_verdicts"]
    steps.score_cascades(connection, scoring())
    assert_same(by_jobs, read_tables(database))


def test_posts_are_compared_with_claims_that_came_later(connection: Connection, jobs: Jobs) -> None:
    text = "Garlic water cures the flu within one day"
    take(connection, [post for post in chain("said", 1) if post.post_id == "said"])
    connection.execute("UPDATE hoaxwatch.content SET text = %s, lang = 'en'", (text,))
    jobs()
    assert connection.execute("SELECT FROM hoaxwatch.claim_checks").fetchall() == []
    load_claim(connection, text)
    jobs()
    found = connection.execute("SELECT root_id, label FROM hoaxwatch.claim_matches").fetchall()
    assert found == [("said", "Refute")]


def test_only_one_does_them(connection: Connection, database: str, jobs: Jobs) -> None:
    take(connection, POSTS)
    with connect(database) as other, positions.jobs_lease(other) as is_theirs:
        assert is_theirs
        jobs()
        assert states(connection, "long") == {}
    jobs()
    assert states(connection, "long")
    with connect(database) as other, positions.jobs_lease(other) as is_theirs:
        assert is_theirs, "whoever is done gives it back"


def test_who_dies_gives_the_lease_back(connection: Connection, database: str, jobs: Jobs) -> None:
    take(connection, POSTS)
    dying = connect(database)
    assert dying.execute("SELECT pg_try_advisory_lock(%s)", (positions.JOBS_LOCK,)).fetchone() == (
        True,
    )
    jobs()
    assert states(connection, "long") == {}
    dying.close()
    # on a busy machine the server notices a little later
    for wait in ("SELECT pg_advisory_lock(%s)", "SELECT pg_advisory_unlock(%s)"):
        connection.execute(wait, (positions.JOBS_LOCK,))
    jobs()
    assert states(connection, "long")


def test_a_connection_that_is_cut_is_made_again(connection: Connection, jobs: Jobs) -> None:
    jobs()
    cut = connection.execute(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        " WHERE application_name = %s AND datname = current_database()",
        (JOBS_ROLE,),
    ).fetchone()
    assert cut == (1,)
    take(connection, POSTS)
    jobs()
    assert states(connection, "long")
