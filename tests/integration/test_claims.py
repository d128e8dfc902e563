"""Checked claims as they are stored, and which contents repeat them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np
import pytest

from detectors.claims import CheckedClaim, make_claim
from storage import claims, recount, writes
from storage.claims import Changes
from storage.database import Connection, connect
from streams.errors import UsageError
from tests.unit.detectors.stem_encoder import StemEncoder

NOW = datetime(2026, 3, 9, tzinfo=UTC)
GARLIC = "Garlic water cures the flu within one day"
BRIDGE = "The harbour office closed the old bridge in Dorvik"
STEMS = StemEncoder()


def check(text: str = GARLIC, rating: str = "False", **more: Any) -> CheckedClaim:
    return make_claim("check", text=text, url="https://checks.example/1", rating=rating, **more)


@contextmanager
def working(database: str) -> Iterator[Connection]:
    with connect(database) as connection:
        writes.prepare(connection)
        recount.prepare(connection)
        yield connection


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with working(database) as held:
        yield held


def rows(connection: Connection, query: str) -> list[tuple[Any, ...]]:
    return connection.execute(query.encode()).fetchall()


def load(connection: Connection, *given: CheckedClaim, encoder: str = "stems") -> dict[str, int]:
    vectors = STEMS.encode([claim.text for claim in given]).astype(np.float16)
    return dict(claims.add_claims(connection, given, vectors, encoder, NOW))


def texts(changes: Changes) -> list[str]:
    return sorted(claim.text for claim in changes.claims)


def ids(given: Sequence[CheckedClaim]) -> list[str]:
    return sorted(claim.claim_id for claim in given)


# Storing


def test_what_was_stored_is_read_again(connection: Connection) -> None:
    given = [
        check(publisher="Example Checks", reviewed_on="2026-02-03", lang="en", title="No"),
        make_claim("report", text=BRIDGE, url="https://news.example/2", body="It says so. " * 300),
    ]
    assert claims.read_number(connection) == 0
    assert load(connection, *given) == {"new": 2, "changed": 0, "unchanged": 0}
    found = claims.read_changes(connection, "stems", 0)
    expected = [given[0], msgspec.structs.replace(given[1], body=given[1].body[:2000])]
    assert sorted(found.claims, key=str) == sorted(expected, key=str)
    assert found.upto == claims.read_number(connection) == 1
    by_id = dict(zip([claim.claim_id for claim in found.claims], found.vectors, strict=True))
    for claim in given:
        assert np.array_equal(by_id[claim.claim_id], STEMS.encode([claim.text])[0].astype("<f2"))


def test_loading_again_stores_only_what_changed(connection: Connection) -> None:
    load(connection, check(), check(BRIDGE))
    assert load(connection, check(), check(BRIDGE)) == {"new": 0, "changed": 0, "unchanged": 2}
    assert claims.read_number(connection) == 1, "nothing is to be compared again"
    told = load(connection, check(rating="Half true"), check(BRIDGE), check("A third one"))
    assert told == {"new": 1, "changed": 1, "unchanged": 1}
    assert rows(
        connection,
        "SELECT version, rating, replaced_at IS NULL FROM hoaxwatch.claims"
        f" WHERE text = '{GARLIC}' ORDER BY version",
    ) == [(1, "False", False), (2, "Half true", True)]
    changes = claims.read_changes(connection, "stems", 1)
    assert texts(changes) == sorted(["A third one", GARLIC])
    assert (changes.upto, changes.removed) == (2, [])
    assert {claim.stance for claim in changes.claims} == {"mixed", "refuted"}


def test_of_the_same_claim_twice_the_last_counts(connection: Connection) -> None:
    assert load(connection, check(), check(rating="True")) == {
        "new": 1,
        "changed": 0,
        "unchanged": 1,
    }
    assert rows(connection, "SELECT version, rating FROM hoaxwatch.claims") == [(1, "True")]


def test_what_cannot_be_stored_is_left_out_of_a_text(connection: Connection) -> None:
    assert load(connection, check("nul \0 and \ud800 alone", lang="e\0n"))["new"] == 1
    assert load(connection, check("nul \0 and \ud800 alone", lang="e\0n"))["unchanged"] == 1


def test_vectors_of_another_encoder_are_not_read(connection: Connection) -> None:
    load(connection, check(), check(BRIDGE))
    before = claims.read_number(connection)
    load(connection, check(BRIDGE), encoder="other")
    assert texts(claims.read_changes(connection, "stems", 0)) == [GARLIC]
    assert claims.read_changes(connection, "stems", before).removed == [check(BRIDGE).claim_id]
    assert set(claims.read_vectors(connection, "other", ids([check(), check(BRIDGE)]))) == {
        check(BRIDGE).claim_id
    }
    assert claims.count_other_encoders(connection, "stems") == 1


def test_a_withdrawn_claim_stays_so_until_it_is_brought_back(connection: Connection) -> None:
    load(connection, check(), check(BRIDGE))
    wanted = check().claim_id
    assert claims.withdraw(connection, [wanted[:6]], NOW) == [wanted]
    changes = claims.read_changes(connection, "stems", 1)
    assert (texts(changes), changes.removed, changes.upto) == ([], [wanted], 2)
    load(connection, check(rating="Half true"))
    assert texts(claims.read_changes(connection, "stems", 0)) == [BRIDGE]
    assert [row.text for row in claims.read_claims(connection, 9)] == [BRIDGE]
    assert [row.rating for row in claims.read_claims(connection, 9, withdrawn=True)] == [
        "Half true"
    ]
    claims.withdraw(connection, [wanted], NOW, undo=True)
    assert texts(claims.read_changes(connection, "stems", 0)) == sorted([BRIDGE, GARLIC])


def test_a_beginning_that_names_none_or_several(connection: Connection) -> None:
    load(connection, check(), check(BRIDGE))
    with pytest.raises(UsageError, match="no claim has an id that begins with 'xyz'"):
        claims.withdraw(connection, [check().claim_id, "xyz"], NOW)
    with pytest.raises(UsageError, match="several claims have ids that begin with ''"):
        claims.withdraw(connection, [""], NOW)
    assert claims.read_claims(connection, 9, withdrawn=True) == [], "all or nothing"
