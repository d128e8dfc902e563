"""The shared fixtures do what tests/conftest.py says, on each server."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from storage.database import connect, read_migrations
from tests.conftest import Server

MAJORS = {"embedded18": 18, "debian15": 15}


def rows(dsn: str, query: str) -> list[tuple[object, ...]]:
    with connect(dsn) as connection:
        return connection.execute(query.encode()).fetchall()


def test_each_server_is_the_version_that_its_name_says(server: Server) -> None:
    with psycopg.connect(server.admin) as connection:
        major = connection.info.server_version // 10000
    assert major == MAJORS.get(server.name, major)


def test_a_fresh_database_is_empty_and_belongs_to_an_ordinary_role(
    dsn: str, server: Server
) -> None:
    assert rows(dsn, "SELECT 1 FROM pg_namespace WHERE nspname = 'hoaxwatch'") == []
    if server.owner is not None:
        assert rows(
            dsn,
            "SELECT rolsuper, rolcreatedb, pg_get_userbyid(datdba) = current_user"
            " FROM pg_roles, pg_database WHERE rolname = current_user"
            " AND datname = current_database()",
        ) == [(False, False, True)]


@pytest.mark.parametrize("turn", [1, 2])
def test_a_migrated_database_is_new_for_each_test(database: str, turn: int) -> None:
    applied = [(migration.name,) for migration in read_migrations()]
    assert rows(database, "SELECT name FROM hoaxwatch.migrations ORDER BY name") == applied
    assert rows(database, "SELECT count(*) FROM hoaxwatch.dirty_buckets") == [(0,)]
    with connect(database) as connection:
        connection.execute("INSERT INTO hoaxwatch.dirty_buckets VALUES ('x', now())")


def test_a_database_is_gone_afterwards(server: Server) -> None:
    with server.new_database() as dsn:
        [(name,)] = rows(dsn, "SELECT current_database()")
    with psycopg.connect(server.admin) as connection:
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,))
        assert found.fetchall() == []


def test_the_named_data_is_there(data: Path) -> None:
    assert any(data.iterdir())
