"""What was flagged wrongly is a row, and whoever is shown the post or a report sees it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hoaxwatch import cli
from storage.backup import dump, restore
from storage.database import Connection, connect
from storage.errata import (
    add_erratum,
    read_errata,
    read_errata_of_account,
    read_errata_of_hashtags,
    read_errata_of_post,
)
from streams.records import Author, Deletion
from tests.integration.test_merge import NOON, post, rows, share, take, working

if TYPE_CHECKING:
    from tests.conftest import Server

OK, USAGE = 0, 2
DAY = timedelta(days=1)
POSTS = [
    post("1", text="hoax", hashtags=("a",)),
    share("2", "1", author=Author(author_id="b")),
    post("3", hashtags=("c",), author=Author(author_id="b")),
]


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with working(database) as opened:
        take(opened, POSTS)
        yield opened


def test_it_keeps_what_counted_then(connection: Connection) -> None:
    assert add_erratum(connection, "post", "x", "2", "It was a joke", "ann", NOON) == 1
    assert add_erratum(connection, "account", "x", "b", "Two people", "ann", NOON + DAY) == 2
    assert add_erratum(connection, "post", "x", "9", "?", "ann", NOON) is None
    assert add_erratum(connection, "account", "x", "9", "?", "ann", NOON) is None
    latest, first = read_errata(connection)
    assert (first.name, first.likely_false, first.probability) == ("x:2", True, 0.9)
    assert (first.detector, first.version) == ("marker", "1")
    assert (latest.name, latest.likely_false, latest.detector) == ("x:b", None, "marker")


def test_it_is_shown_with_all_that_says_the_same(connection: Connection) -> None:
    add_erratum(connection, "post", "x", "2", "It was a joke", "ann", NOON)
    add_erratum(connection, "account", "x", "b", "Two people", "ann", NOON + DAY)
    assert [row.erratum_id for row in read_errata_of_post(connection, "x", "1")] == [1]
    assert [row.erratum_id for row in read_errata_of_post(connection, "x", "2")] == [2, 1]
    assert [row.erratum_id for row in read_errata_of_post(connection, "x", "3")] == [2]
    assert [row.erratum_id for row in read_errata_of_account(connection, "x", "b")] == [2]
    assert read_errata_of_account(connection, "x", "a1") == []
    day = NOON.replace(hour=0, minute=0)

    def of(*hashtags: str, since: int = 0) -> list[int]:
        span = day + since * DAY, day + DAY
        return [row.erratum_id for row in read_errata_of_hashtags(connection, hashtags, *span)]

    assert (of("a"), of("c"), of("d"), of("a", since=1)) == ([2, 1], [2], [], [])


def test_a_deletion_takes_the_id_and_leaves_the_words(connection: Connection) -> None:
    add_erratum(connection, "post", "x", "2", "It was a joke", "ann", NOON)
    add_erratum(connection, "post", "x", "3", "So was this", "ann", NOON)
    add_erratum(connection, "account", "x", "b", "Two people", "ann", NOON)
    take(connection, [Deletion(platform="x", kind="post", deleted_id="1")])  # and so its shares
    assert [row.subject_id for row in read_errata(connection)] == ["b", "3", None]
    take(connection, [Deletion(platform="x", kind="author", deleted_id="b")])
    assert {row.name for row in read_errata(connection)} == {"deleted since"}
    assert rows(connection, "SELECT post_id, account FROM mart.errata") == [(None, None)] * 3


def test_analysts_see_no_account(connection: Connection) -> None:
    add_erratum(connection, "account", "x", "b", "Two people", "ann", NOON)
    ((account, post_id),) = rows(connection, "SELECT account, post_id FROM mart.errata")
    assert post_id is None
    assert len(account) == 16 and account != "b"
    wanted = rows(
        connection,
        "SELECT left(encode(sha256(key || 'x:b'::bytea), 'hex'), 16) FROM hoaxwatch.pseudonym_key",
    )
    assert wanted == [(account,)]


def test_pseudonyms_stay_when_a_project_moves(
    server: Server, connection: Connection, tmp_path: Path
) -> None:
    connection.execute("UPDATE hoaxwatch.pseudonym_key SET key = 'another'")
    add_erratum(connection, "account", "x", "b", "Two people", "ann", NOON)
    dump(connection, tmp_path / "a.zip", "a", "key")
    query = "SELECT account FROM mart.errata"
    with server.new_database() as other, connect(other) as empty:
        restore(empty, tmp_path / "a.zip", "key")
        assert rows(empty, query) == rows(connection, query)
        assert rows(empty, "SELECT count(*) FROM hoaxwatch.pseudonym_key") == [(1,)]
        empty.execute(
            "INSERT INTO hoaxwatch.errata (kind, platform, reason, reported_by,"
            " reported_at) VALUES ('post', 'x', 'r', 'b', now())"
        )


def test_commands_and_reports(
    connection: Connection, database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at = ["--database", database]

    def told(*arguments: str, code: int = OK) -> str:
        capsys.readouterr()
        assert cli.run([*arguments, *at]) == code
        printed = capsys.readouterr()
        return printed.out + printed.err

    assert "no errata" in told("errata", "list")
    add = ["errata", "add", "post", "x:2", "--reason", "<b>A joke</b>"]
    assert "erratum 1 on post x:2" in told(*add, "--by", "ann")
    assert json.loads(told(*add, "--json")) == {"erratum_id": 2}
    listed = json.loads(told("errata", "list", "--json"))
    assert [row["reported_by"] for row in listed] == ["me", "ann"]
    assert "likely false, 90.0 % (marker)" in told("errata", "list")
    assert "erratum " in told("trace", "1")
    report = tmp_path / "report.html"
    told("report", "-o", str(report))
    html = report.read_text()
    assert "x:2" in html and "&lt;b&gt;A joke&lt;/b&gt;" in html and "<b>A joke</b>" not in html
    assert "It counted as likely false by marker 1." in " ".join(html.split())

    tags = tmp_path / "hashtags.txt"
    tags.write_text("a\n")
    study = ["study", "--hashtags", str(tags), "--from", "2026-03-02", "--to", "2026-03-02"]
    told(*study, "--detector", "null", "-o", str(tmp_path / "study"))
    line = "post x:2: <b>A joke</b>"
    assert line in (tmp_path / "study" / "study.md").read_text()
    assert line not in (tmp_path / "study" / "study.html").read_text()
    assert "post x:2: &lt;b&gt;" in (tmp_path / "study" / "study.html").read_text()
    assert len(json.loads((tmp_path / "study" / "manifest.json").read_text())["errata"]) == 2

    assert "no post x:77 is stored" in told(
        "errata", "add", "post", "x:77", "--reason", "r", code=USAGE
    )
    assert "is empty" in told("errata", "add", "post", "x:2", "--reason", " ", code=USAGE)
    assert "of account x:77" in told(
        "errata", "add", "account", "x:77", "--reason", "r", code=USAGE
    )
