"""Analysts read schema mart and nothing else, operators run the pipeline, on real servers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from detectors.null import NullDetector
from hoaxwatch import cli
from hoaxwatch.simulate import simulate
from storage import alerts, errata, recount, snowball, tracking, writes
from storage.alerts import AlertLine
from storage.database import Connection, connect, open_database
from storage.grants import grant_analyst, grant_handles, grant_operator, revoke
from storage.rows import rows_of
from storage.tracking import Mark, Pull
from streams import local, steps
from streams.clustering import TrackOptions
from streams.errors import UsageError
from streams.records import Author, Post
from streams.settings import read_settings

if TYPE_CHECKING:
    from tests.conftest import Server

ANALYST = 'ann "of" mart'
DAY = datetime(2026, 3, 1, tzinfo=UTC)
SECRET = "did:plc:ann"

FORBIDDEN = [
    "SELECT * FROM hoaxwatch.posts",
    "SELECT * FROM hoaxwatch.authors",
    "SELECT * FROM hoaxwatch.migrations",
    "SELECT * FROM handles.accounts",
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
        revoke(held, login)


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
        revoke(connection, ANALYST)
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


def test_handles_are_granted_by_themselves(
    server: Server, database: str, connection: Connection
) -> None:
    post = Post(
        platform="x",
        post_id="1",
        posted_at=DAY,
        root_id="1",
        author=Author(author_id="7", handle="ann"),
        text="a rumour",
        raw=b"{}",
    )
    with connect(database) as opened, opened.cursor() as cursor:
        writes.prepare(opened)
        writes.activate_policy(opened, "null", "1", 0.5, 0.0, DAY)
        with opened.transaction():
            writes.upsert_posts(cursor, rows_of([post], DAY))
    grant_analyst(connection, ANALYST)
    grant_handles(connection, ANALYST)
    with analyst(server, database) as opened:
        found = opened.execute(
            "SELECT platform, author_id, handle, posts"
            " FROM handles.accounts JOIN mart.account_activity USING (account, platform)"
        ).fetchall()
        assert found == [("x", "7", "ann", 1)]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            opened.execute("SELECT * FROM hoaxwatch.authors")


def test_no_view_names_an_account(server: Server, database: str, connection: Connection) -> None:
    writes.prepare(connection)
    recount.prepare(connection)
    writes.activate_policy(connection, "null", "1", 0.5, 0.0, DAY)
    written = Post(
        platform="bluesky",
        post_id="1",
        posted_at=DAY,
        root_id="1",
        author=Author(author_id=SECRET, handle=SECRET, name=SECRET),
        text="a rumour",
        hashtags=("snow",),
        observed_at=DAY,
        provenance="test:one",
        raw=b"{}",
    )
    detector = NullDetector()
    recorded = steps.record(connection, steps.prepare([written], DAY), detector, "key")
    steps.judge(connection, steps.classify(detector, recorded.pending), DAY)
    steps.track(connection, TrackOptions())
    tracking.track(connection, [("snow", "snow")], "ann", DAY)
    snowball.decide(connection, "account", f"bluesky:{SECRET}", "accepted", "ann", DAY, None, {})
    pulls = tuple(
        Pull("bluesky", name, "1", DAY, DAY + timedelta(hours=1))
        for name in ("snow", f"from:{SECRET}")
    )
    tracking.store_mark(connection, "bluesky", Mark(pulls=pulls), DAY)
    assert errata.add_erratum(connection, "account", "bluesky", SECRET, "a joke", "ann", DAY)
    told = AlertLine(
        rule="hashtag_surge",
        subject="tag:snow",
        hashtag="snow",
        summary="#snow is loud",
        evidence={"accounts": [f"bluesky:{SECRET}", "x:2"], "posts": [{"post": "bluesky:1"}]},
        strength=1.0,
        opened_at=DAY,
        last_at=DAY,
        over_at=None,
        n_episodes=1,
        is_shadow=False,
    )
    alerts.in_one_sweep(connection, lambda cursor: alerts.tell_alerts(cursor, [told], DAY))
    grant_analyst(connection, ANALYST)
    with analyst(server, database) as opened:
        for name in views(connection):
            found = opened.execute(
                sql.SQL("SELECT t::text FROM mart.{} t").format(sql.Identifier(name))
            )
            assert SECRET not in str(found.fetchall()), name
        assert opened.execute("SELECT hashtag FROM mart.coverage").fetchall() == [("snow",)]
        # the same pseudonyms as elsewhere, and the rest of the evidence as it is
        activity = opened.execute("SELECT account FROM mart.account_activity").fetchone()
        shown = opened.execute("SELECT evidence FROM mart.alerts").fetchone()
    assert activity is not None and shown is not None
    assert shown[0]["accounts"][0] == activity[0]
    assert len(shown[0]["accounts"]) == 2
    assert shown[0]["posts"] == [{"post": "bluesky:1"}]
    (own,) = alerts.read_alerts(connection)
    assert own["evidence"]["accounts"] == [f"bluesky:{SECRET}", "x:2"]


FORBIDDEN_TO_OPERATORS = [
    "DROP TABLE hoaxwatch.posts",
    "ALTER TABLE hoaxwatch.posts ADD COLUMN mine int",
    "CREATE TABLE hoaxwatch.mine (a int)",
    "TRUNCATE hoaxwatch.posts",
    "CREATE OR REPLACE VIEW mart.runs AS SELECT 1",
    "GRANT USAGE ON SCHEMA hoaxwatch TO PUBLIC WITH GRANT OPTION",
]


def test_an_operator_runs_the_pipeline_and_changes_no_shape(
    server: Server, database: str, connection: Connection, tmp_path: Path
) -> None:
    files = simulate(tmp_path / "w", n_posts=300, n_days=2, with_pictures=False, with_tables=False)
    grant_operator(connection, ANALYST)
    dsn = make_conninfo(server.admin, dbname=conninfo_to_dict(database)["dbname"], user=ANALYST)
    settings = read_settings(database=dsn, detector="null")
    with open_database(settings) as ready:
        result = local.run(ready, local.check_inputs(files.paths), NullDetector(), settings)
    assert result.outcomes["new"] > 200
    with analyst(server, database) as opened:
        rows = opened.execute("SELECT count(*) FROM mart.hashtag_trends_daily").fetchone()
        assert rows is not None and rows[0] > 0
        for statement in FORBIDDEN_TO_OPERATORS:
            with pytest.raises(psycopg.Error):
                opened.execute(statement.encode())
    revoke(connection, ANALYST)
    with pytest.raises(UsageError, match="permission denied"), open_database(settings):
        pass


def test_an_operator_who_was_an_analyst_is_limited_no_more(
    server: Server, database: str, connection: Connection
) -> None:
    name = conninfo_to_dict(database)["dbname"]
    with psycopg.connect(make_conninfo(server.admin, dbname=name), autocommit=True) as admin:
        for grant in (grant_analyst, grant_operator):
            for statement in grant(connection, ANALYST):
                admin.execute(statement.encode())
        found = admin.execute(
            "SELECT setconfig FROM pg_db_role_setting s JOIN pg_roles r"
            " ON r.oid = s.setrole WHERE r.rolname = %s",
            (ANALYST,),
        ).fetchall()
    assert found == []
    assert grant_operator(connection, ANALYST) == []


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
    command = ["db", "grant", ANALYST, "--role", "operator", "--handles", "--database", database]
    assert cli.run(command) == 0
    assert "may see whose pseudonym is whose" in capsys.readouterr().out
    assert cli.run(["db", "revoke", ANALYST, "--database", database]) == 0
    assert cli.run(["db", "grant", "nobody", "--database", database]) == 2


def test_the_embedded_database_has_no_other_logins(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HOAXWATCH_DATABASE", raising=False)
    assert cli.run(["db", "grant", "ann"]) == 2
    assert "yours alone" in capsys.readouterr().err
