"""An analyst reads schema mart, and nothing else, on real servers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from hoaxwatch import cli
from storage.database import Connection, connect
from storage.grants import grant_analyst, revoke_analyst
from streams.errors import UsageError

if TYPE_CHECKING:
    from tests.conftest import Server

ANALYST = 'ann "of" mart'

FORBIDDEN = [
    "SELECT * FROM hoaxwatch.posts",
    "SELECT * FROM hoaxwatch.authors",
    "SELECT * FROM hoaxwatch.migrations",
    "UPDATE hoaxwatch.verdict_policy SET threshold = 0",
    "DELETE FROM mart.runs",
    "UPDATE mart.alerts SET summary = 'nothing'",
    "CREATE TABLE mart.mine (a int)",
    "CREATE TABLE hoaxwatch.mine (a int)",
    "CREATE SCHEMA mine",
    "COPY mart.runs TO PROGRAM 'cat'",
]


@pytest.fixture
def login(server: Server) -> Iterator[str]:
    with psycopg.connect(server.admin, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(ANALYST)))
        yield ANALYST
        admin.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(ANALYST)))


@pytest.fixture
def connection(login: str, database: str) -> Iterator[Connection]:
    """The owner's; what it granted is taken back, so that the login can be dropped."""
    with connect(database) as held:
        yield held
        revoke_analyst(held, login)


@contextmanager
def analyst(server: Server, database: str) -> Iterator[Connection]:
    name = conninfo_to_dict(database)["dbname"]
    with psycopg.connect(make_conninfo(server.admin, dbname=name), autocommit=True) as opened:
        opened.execute(sql.SQL("SET SESSION AUTHORIZATION {}").format(sql.Identifier(ANALYST)))
        yield opened


def views(connection: Connection) -> list[str]:
    rows = connection.execute("SELECT viewname FROM pg_views WHERE schemaname = 'mart' ORDER BY 1")
    return [name for (name,) in rows]


def test_every_view_can_be_read_and_nothing_else(
    server: Server, database: str, connection: Connection
) -> None:
    grant_analyst(connection, ANALYST)
    names = views(connection)
    assert len(names) > 10
    with analyst(server, database) as opened:
        for name in names:
            opened.execute(sql.SQL("SELECT * FROM mart.{}").format(sql.Identifier(name)))
        for statement in FORBIDDEN:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                opened.execute(statement.encode())


def test_views_of_later_versions_can_be_read(
    server: Server, database: str, connection: Connection
) -> None:
    grant_analyst(connection, ANALYST)
    connection.execute("CREATE VIEW mart.later AS SELECT count(*) FROM hoaxwatch.posts")
    with analyst(server, database) as opened:
        assert opened.execute("SELECT * FROM mart.later").fetchall() == [(0,)]


def test_without_a_grant_nothing_can_be_read(
    server: Server, database: str, connection: Connection
) -> None:
    with analyst(server, database) as opened:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            opened.execute("SELECT * FROM mart.runs")
        grant_analyst(connection, ANALYST)
        opened.execute("SELECT * FROM mart.runs")
        revoke_analyst(connection, ANALYST)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            opened.execute("SELECT * FROM mart.runs")


def test_queries_are_limited_or_it_is_said_how(
    server: Server, database: str, connection: Connection
) -> None:
    left = grant_analyst(connection, ANALYST, timeout_seconds=7)
    name = conninfo_to_dict(database)["dbname"]
    with psycopg.connect(make_conninfo(server.admin, dbname=name), autocommit=True) as admin:
        for statement in left:
            admin.execute(statement.encode())
        found = admin.execute(
            "SELECT unnest(setconfig) FROM pg_db_role_setting s JOIN pg_roles r"
            " ON r.oid = s.setrole WHERE r.rolname = %s ORDER BY 1",
            (ANALYST,),
        ).fetchall()
        admin.execute(
            sql.SQL("ALTER ROLE {} IN DATABASE {} RESET ALL").format(
                sql.Identifier(ANALYST), sql.Identifier(str(name))
            )
        )
    assert found == [("default_transaction_read_only=on",), ("statement_timeout=7s",)]


def test_a_login_that_is_not_there_or_may_do_more(connection: Connection) -> None:
    with pytest.raises(UsageError, match=r'makes it: CREATE ROLE "nobody" LOGIN'):
        grant_analyst(connection, "nobody")
    with pytest.raises(UsageError, match="a login of their own"):
        grant_analyst(connection, connection.info.user)


def test_the_command(
    database: str, connection: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["db", "grant", ANALYST, "--database", database]) == 0
    assert f"{ANALYST} may read schema mart" in capsys.readouterr().out
    assert cli.run(["db", "revoke", ANALYST, "--database", database]) == 0
    assert cli.run(["db", "grant", "nobody", "--database", database]) == 2


def test_the_embedded_database_has_no_other_logins(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HOAXWATCH_DATABASE", raising=False)
    assert cli.run(["db", "grant", "ann"]) == 2
    assert "yours alone" in capsys.readouterr().err
