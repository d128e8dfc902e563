"""`hoaxwatch forget`: what must go is gone from every table, and stays away."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hoaxwatch import cli
from storage import tracking
from storage.database import Connection, connect
from storage.tracking import Mark, Pull
from tests.samples import write_samples
from tests.tables import assert_same, read_tables

if TYPE_CHECKING:
    from tests.conftest import Server

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _plain_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOAXWATCH_CONFIG", str(tmp_path / "none.toml"))
    monkeypatch.setenv("HOAXWATCH_DETECTOR", "null")
    monkeypatch.setenv("HOAXWATCH_CLUSTER_MIN_USERS", "5")


@pytest.fixture
def samples(tmp_path: Path) -> list[str]:
    return [str(path) for path in write_samples(tmp_path / "posts", seed=2)]


def most_shared(database: str, column: str) -> tuple[str, int, int]:
    """The post or account of which there is most; how many posts of it and shares of them."""
    with connect(database) as connection:
        row = connection.execute(
            f"SELECT o.{column}, count(DISTINCT o.post_id), count(s.post_id)"
            " FROM hoaxwatch.posts o JOIN hoaxwatch.posts s ON s.platform = o.platform"
            "   AND s.root_id = o.post_id AND s.post_id <> o.post_id"
            f"   AND s.author_id <> o.author_id GROUP BY o.{column} ORDER BY 3 DESC, 1 LIMIT 1"
        ).fetchone()
    assert row is not None
    return row


def tables_of(database: str) -> dict[str, list[Any]]:
    """All but the tombstones, which say when they were made."""
    found = read_tables(database)
    assert found.pop("tombstones")
    return found


@pytest.mark.parametrize(("kind", "column"), [("post", "post_id"), ("account", "author_id")])
def test_it_is_as_if_it_had_never_been(
    server: Server,
    samples: list[str],
    capsys: pytest.CaptureFixture[str],
    kind: str,
    column: str,
) -> None:
    with server.new_database() as after, server.new_database() as before:
        assert cli.run(["run", *samples, "--database", after]) == 0
        name, _, n_shares = most_shared(after, column)
        capsys.readouterr()
        command = ["forget", kind, f"x:{name}", "--yes", "--json", "--database"]
        assert cli.run([*command, after]) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["posts"] >= 1
        assert told["shares"] >= n_shares > 0
        with connect(after) as connection:
            left = connection.execute(
                f"SELECT count(*) FROM hoaxwatch.posts WHERE {column} = %s", (name,)
            ).fetchone()
        assert left == (0,)
        assert cli.run([*command, before]) == 0
        assert cli.run(["run", *samples, "--database", before]) == 0
        assert_same(tables_of(after), tables_of(before))
        assert cli.run(["run", *samples, "--database", after]) == 0
        assert_same(tables_of(after), tables_of(before))


def test_nothing_names_an_account_whose_past_is_not_counted_any_more(
    database: str, samples: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    at = ["--database", database]
    assert cli.run(["run", *samples, *at]) == 0
    with connect(database) as connection:
        (name,) = one(
            connection,
            "SELECT author_id FROM hoaxwatch.cluster_members WHERE platform = 'x'"
            " GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1",
        )
        assert cli.run(["track", "accept", f"x:{name}", "--by", "ann", *at]) == 0
        pulls = [
            Pull(source, f"from:{account}", "1", NOON, NOON)
            for source, account in (("x", name), ("x_search", name), ("x_search", "7"))
        ]
        marks = {
            "x_search": json.dumps(
                {"month": "2026-03", "done": {"snow": "1", f"from:{name}": "2"}}
            ),
            "x_archive": json.dumps({"below": {f"from:{name} 2026-01-01 2026-02-01": "2"}}),
            "bluesky": "1",
        }
        for source, cursor in marks.items():
            tracking.store_mark(connection, source, Mark(cursor), NOON)
        tracking.store_mark(connection, "x", Mark(pulls=tuple(pulls)), NOON)
        (floor,) = one(connection, "SELECT max(posted_at)::date + 1 FROM hoaxwatch.posts")
        assert cli.run(["db", "retention", "--posts-before", f"{floor}", "--yes", *at]) == 0
        assert named(connection, name) == {
            *("cluster_members", "tracked_accounts", "snowball_decisions", "collections"),
            "source_cursors",
        }
        n_members = one(connection, "SELECT count(*) FROM hoaxwatch.cluster_members")[0]
        assert cli.run(["forget", "account", f"x:{name}", "--yes", *at]) == 0
        assert named(connection, name) == set()
        # a source that does not know it yet says once more what it covered, and how far it is
        tracking.store_mark(connection, "x", Mark(pulls=tuple(pulls)), NOON)
        for source, cursor in marks.items():
            tracking.store_mark(connection, source, Mark(cursor), NOON)
        assert named(connection, name) == set()
        assert one(connection, "SELECT count(*) FROM hoaxwatch.cluster_members")[0] > n_members / 2
        assert tracking.read_cursor(connection, "bluesky") == "1"
        kept = json.loads(tracking.read_cursor(connection, "x_search") or "")
        assert kept == {"month": "2026-03", "done": {"snow": "1"}}


def one(connection: Connection, query: str) -> tuple[Any, ...]:
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row


def named(connection: Connection, name: str) -> set[str]:
    """The tables in which a name stands, anywhere."""
    tables = connection.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'hoaxwatch'::regnamespace"
        " AND relkind IN ('r', 'p')"
    ).fetchall()
    query = "SELECT EXISTS (SELECT FROM hoaxwatch.{} t WHERE t::text ~ '\\y{}\\y')"
    return {table for (table,) in tables if one(connection, query.format(table, name))[0]}


def test_it_asks_first(
    database: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("typer.confirm", _refuse)
    assert cli.run(["forget", "post", "x:1", "--database", database]) == 130
    with connect(database) as connection:
        kept = connection.execute("SELECT count(*) FROM hoaxwatch.tombstones").fetchone()
    assert kept == (0,)


def _refuse(question: str, abort: bool, err: bool) -> None:
    import typer

    raise typer.Abort


def test_a_name_without_platform_is_refused(
    database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["forget", "account", "12", "--yes", "--database", database]) == 2
    assert "it looks like x:" in capsys.readouterr().err


def test_what_is_not_stored_is_kept_out(database: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["forget", "account", "x:12", "--yes", "--database", database]) == 0
    assert "nothing of it was stored, and nothing will be" in capsys.readouterr().out
    with connect(database) as connection:
        kept = connection.execute("SELECT kind, reason FROM hoaxwatch.tombstones").fetchall()
    assert kept == [("author", "forgotten on request")]


@pytest.mark.parametrize("as_json", [[], ["--json"]])
@pytest.mark.parametrize(
    ("asked", "told"), [("x:@ann", ["x:12"]), ("x:12", ["x:@ann"]), ("x:Ann", ["x:12", "x:@ann"])]
)
def test_an_account_stored_under_its_handle_too_is_told(
    database: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    asked: str,
    told: list[str],
    as_json: list[str],
) -> None:
    """Files without ids give "@ann"; the one id takes nothing of the other, so it must be said."""
    rows = [("1", "12", "Ann"), ("2", "", "ann"), ("3", "13", "annie")]
    lines = [
        f"x,{post},{account},{handle},2026-03-02T10:00:00Z,a" for post, account, handle in rows
    ]
    posts = tmp_path / "posts.csv"
    posts.write_text(
        "\n".join(["platform,post_id,author_id,author_handle,posted_at,text", *lines]), "utf-8"
    )
    assert cli.run(["run", str(posts), "--database", database]) == 0
    capsys.readouterr()
    command = ["forget", "account", asked, "--yes", "--database", database]
    assert cli.run([*command, *as_json]) == 0
    answer = capsys.readouterr()
    if as_json:
        assert json.loads(answer.out)["same_handle"] == told
    else:
        assert f"same handle: {', '.join(told)}. " in " ".join(answer.err.split())


UPKEEP = [
    ["forget", "post", "x:1", "--yes"],
    ["quarantine", "replay"],
    ["remap"],
]


@pytest.mark.parametrize("command", UPKEEP, ids=lambda words: words[0])
def test_upkeep_leaves_it_to_others_whose_verdicts_count(
    database: str,
    samples: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: list[str],
) -> None:
    """The settings name another detector than the run did, as where it was named there."""
    assert cli.run(["run", *samples, "--detector", "tfidf", "--database", database]) == 0
    before = tables_of_policy(database)
    assert cli.run([*command, "--database", database]) == 0
    assert tables_of_policy(database) == before
    with connect(database) as connection:
        connection.execute("UPDATE hoaxwatch.verdict_policy SET version = 'of other weights'")
    capsys.readouterr()
    # who asks to be forgotten is, whatever is at hand
    assert cli.run([*command, "--database", database]) == (0 if command[0] == "forget" else 2)
    assert "verdicts of tfidf of other weights count" in " ".join(capsys.readouterr().err.split())


def tables_of_policy(database: str) -> list[Any]:
    with connect(database) as connection:
        return [
            *connection.execute(
                "SELECT detector, threshold, active FROM hoaxwatch.verdict_policy"
            ).fetchall(),
            *connection.execute(
                "SELECT sum(judged), sum(likely_false) FROM mart.hashtag_trends_daily"
            ),
        ]


@pytest.mark.parametrize("command", [*UPKEEP, ["psql"]], ids=lambda words: words[0])
def test_a_project_that_is_not_there_is_told_and_not_made(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: list[str],
) -> None:
    """Whoever was to be forgotten is still in the project that was meant."""
    monkeypatch.setenv("HOAXWATCH_HOME", str(tmp_path / "home"))
    assert cli.run([*command, "--project", "mistyped"]) == 2
    assert "there is no project 'mistyped'" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "home").exists()
