"""The queries of the Grafana dashboards, asked as Grafana asks them: by a login that reads schema
mart and nothing else, with its macros filled in."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
import yaml
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from storage.database import connect
from storage.grants import grant_analyst, revoke
from tests.house.repository import ROOT
from tests.paged import add_alert, rows, small_project

if TYPE_CHECKING:
    from tests.conftest import Server

FOLDER = ROOT / "infra" / "grafana"
LOGIN = "analyst_of_dashboards"
BOARDS = {
    path.stem: json.loads(path.read_text("utf-8"))
    for path in sorted((FOLDER / "dashboards").glob("*.json"))
}
QUERIES = [
    pytest.param(target["rawSql"], target["format"], id=f"{name}: {panel['title']}")
    for name, board in BOARDS.items()
    for panel in board["panels"]
    for target in panel["targets"]
    if "rawSql" in target
] + [
    pytest.param(variable["query"], "table", id=f"{name}: ${variable['name']}")
    for name, board in BOARDS.items()
    for variable in board.get("templating", {}).get("list", ())
]


@pytest.fixture(scope="module")
def analyst(
    one_server: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[psycopg.Connection, str]]:
    """A connection of the login, and a hashtag that has everything."""
    admin = psycopg.connect(one_server.admin, autocommit=True)
    with admin, small_project(one_server, tmp_path_factory.mktemp("boards")) as project:
        admin.execute(f"CREATE ROLE {LOGIN} LOGIN".encode())
        with connect(project.dsn) as owner:
            grant_analyst(owner, LOGIN)
            add_alert(owner)
            (tag,) = rows(
                owner,
                "SELECT hashtag FROM mart.cluster_events GROUP BY 1 ORDER BY count(*) DESC, 1",
            )[0]
            name = conninfo_to_dict(project.dsn)["dbname"]
            address = make_conninfo(one_server.admin, dbname=name)
            with psycopg.connect(address, autocommit=True) as opened:
                opened.execute(f"SET SESSION AUTHORIZATION {LOGIN}".encode())
                yield opened, tag
            revoke(owner, LOGIN)
        admin.execute(f"DROP ROLE {LOGIN}".encode())


def filled(query: str, hashtag: str) -> str:
    """A query as Grafana sends it for the year 2026."""
    period = r"\1 BETWEEN '2026-01-01T00:00:00Z' AND '2026-12-31T00:00:00Z'"
    query = re.sub(r"\$__timeFilter\((\w+)\)", period, query)
    query = query.replace("${hashtag:sqlstring}", "'" + hashtag.replace("'", "''") + "'")
    assert "$" not in query, "a variable or macro that this test does not know"
    return query


@pytest.mark.parametrize(("query", "form"), QUERIES)
def test_each_query_is_answered(
    analyst: tuple[psycopg.Connection, str], query: str, form: str
) -> None:
    connection, hashtag = analyst
    cursor = connection.execute(filled(query, hashtag).encode())
    found = cursor.fetchall()
    assert found, "nothing to draw"
    assert cursor.description is not None
    if form == "time_series":
        assert cursor.description[0].name == "time"
        times = [row[0] for row in found]
        assert times == sorted(times)
    connection.execute(filled(query, "'; DROP TABLE mart.runs; --").encode())


def test_the_dashboards_use_what_is_provisioned() -> None:
    known: dict[str, Any] = {}
    for path in (FOLDER / "provisioning" / "datasources").glob("*.yml"):
        known |= {
            d["uid"]: d["type"] for d in yaml.safe_load(path.read_text("utf-8"))["datasources"]
        }
    assert {"virality", "clusters", "pipeline", "workers"} <= set(BOARDS)
    assert len({board["uid"] for board in BOARDS.values()}) == len(BOARDS)
    for board in BOARDS.values():
        ids = [panel["id"] for panel in board["panels"]]
        assert len(set(ids)) == len(ids)
        for panel in board["panels"]:
            source = panel["datasource"]
            assert known[source["uid"]] == source["type"]
