"""Labels of people: they win, they are counted at once, and they go with what is deleted."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from detectors.datasets.prepared import read_posts_file
from detectors.long_rows import long_rows
from hoaxwatch import cli
from storage.database import Connection, connect
from tests.samples import write_samples

OK, USAGE = 0, 2


@pytest.fixture
def project(
    database: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> str:
    """A database with some hundred posts that tfidf judged."""
    monkeypatch.setenv("HOAXWATCH_CONFIG", str(tmp_path / "none.toml"))
    monkeypatch.setenv("HOAXWATCH_CLUSTER_MIN_USERS", "5")
    files = [str(path) for path in write_samples(tmp_path / "posts", seed=2)]
    assert cli.run(["run", *files, "--detector", "tfidf", "--database", database]) == OK
    capsys.readouterr()
    return database


@pytest.fixture
def connection(project: str) -> Iterator[Connection]:
    with connect(project) as opened:
        yield opened


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    assert cli.run(list(arguments)) == OK
    return capsys.readouterr().out


def rows(connection: Connection, query: str) -> list[tuple[Any, ...]]:
    return connection.execute(query.encode()).fetchall()


def a_shared_post(connection: Connection) -> tuple[str, str, str]:
    """An original that is not flagged, a share of it, and its hashtag."""
    (found,) = rows(
        connection,
        "SELECT o.post_id, s.post_id, h.hashtag FROM mart.posts_scored o"
        " JOIN mart.posts_scored s ON s.root_id = o.post_id AND s.kind = 'share'"
        " JOIN mart.posts_by_hashtag h ON h.post_id = o.post_id"
        " WHERE o.platform = 'x' AND NOT o.likely_false ORDER BY 1, 2, 3 LIMIT 1",
    )
    return found


def flagged(connection: Connection, hashtag: str) -> int:
    row = connection.execute(
        "SELECT sum(likely_false) FROM mart.hashtag_trends_daily WHERE hashtag = %s", (hashtag,)
    ).fetchone()
    assert row is not None
    return int(row[0])


def test_a_label_counts_at_once_and_for_all_shares(
    project: str, connection: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    original, share, hashtag = a_shared_post(connection)
    before = flagged(connection, hashtag)
    (n_posts,) = rows(
        connection, f"SELECT count(*) FROM hoaxwatch.posts WHERE root_id = '{original}'"
    )[0]
    at = ["--database", project]
    answer(capsys, "labels", "add", f"x:{share}", "likely_false", "--by", "ann", *at)
    assert flagged(connection, hashtag) == before + n_posts
    states = rows(
        connection,
        f"SELECT DISTINCT state, likely_false FROM mart.posts_scored WHERE root_id = '{original}'",
    )
    assert states == [("labelled", True)]
    answer(capsys, "labels", "add", f"x:{original}", "likely_true", "--by", "bob", *at)
    assert flagged(connection, hashtag) == before, "a tie is unsure"
    answer(capsys, "labels", "remove", f"x:{original}", "--by", "bob", *at)
    assert flagged(connection, hashtag) == before + n_posts
    answer(capsys, "labels", "remove", f"x:{original}", "--by", "ann", *at)
    assert flagged(connection, hashtag) == before
    assert cli.run(["labels", "remove", f"x:{original}", "--by", "ann", *at]) == USAGE


def test_several_people_label_the_same_posts_blind(
    project: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at = ["--database", project]
    given = answer(capsys, "labels", "sample", "-n", "6", "--seed", "4", "--by", "ann", *at)
    assert given == answer(capsys, "labels", "sample", "-n", "6", "--seed", "4", "--by", "bob", *at)
    posts = list(csv.DictReader(io.StringIO(given)))
    assert len(posts) == 6
    assert list(posts[0]) == ["platform", "post_id", "text", "label", "note"], "nothing is told"
    for who, wrong in (("ann", 0), ("bob", 1)):
        file = tmp_path / f"{who}.csv"
        with file.open("w", newline="") as out:
            writer = csv.DictWriter(out, list(posts[0]))
            writer.writeheader()
            for place, post in enumerate(posts):
                is_false = (place % 2 == 0) != (place < wrong)
                label = "likely_false" if is_false else "likely_true"
                writer.writerow({**post, "label": label if place < 5 else ""})
        told = answer(capsys, "labels", "import", str(file), "--by", who, "--json", *at)
        assert json.loads(told)["changed"] == 5, "one was left open"
        again = answer(capsys, "labels", "import", str(file), "--by", who, "--json", *at)
        assert (json.loads(again)["changed"], json.loads(again)["unchanged"]) == (0, 5)
    found = json.loads(answer(capsys, "labels", "agreement", "--json", *at))
    assert (found["contents"], found["labelled_by_several"]) == (5, 5)
    # of ten labels five are either; four of five items agree: (4/5 - 1/2) / (1 - 1/2)
    assert found["fleiss_kappa"] == pytest.approx(0.6)
    left = answer(capsys, "labels", "sample", "-n", "6", "--seed", "4", "--by", "ann", *at)
    assert [post["post_id"] for post in csv.DictReader(io.StringIO(left))] == [posts[5]["post_id"]]
    decided = list(csv.DictReader(io.StringIO(answer(capsys, "labels", "export", *at))))
    assert [(row["post_id"], row["label"]) for row in decided] == sorted(
        (post["post_id"], "likely_true" if place % 2 else "likely_false")
        for place, post in enumerate(posts[1:5], 1)
    ), "of the first, one says this and one that"
    assert all(len(row["author_id"]) == 16 and row["posted_at"] for row in decided)
    written = tmp_path / "decided.csv"
    written.write_text(answer(capsys, "labels", "export", *at), encoding="utf-8")
    assert [post.label for post in read_posts_file(written)] == [row["label"] for row in decided]
    listed = json.loads(answer(capsys, "labels", "list", "--json", *at))
    assert len(listed) == 10
    assert all(row["text"] and row["score"] is not None for row in listed)


def test_half_of_a_sample_is_flagged(
    project: str, connection: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    given = answer(capsys, "labels", "sample", "-n", "8", "--database", project)
    names = [post["post_id"] for post in csv.DictReader(io.StringIO(given))]
    found = connection.execute(
        "SELECT count(*) FILTER (WHERE likely_false) FROM hoaxwatch.content_verdict"
        " WHERE root_id = ANY (%s)",
        (names,),
    ).fetchone()
    assert found == (4,)


def test_a_text_may_be_as_long_as_it_likes(
    project: str, connection: Connection, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    connection.execute("UPDATE hoaxwatch.content SET text = repeat('long ', 40000)")
    given = answer(capsys, "labels", "sample", "-n", "2", "--database", project)
    posts = list(long_rows(csv.DictReader(io.StringIO(given))))
    assert [len(post["text"]) for post in posts] == [200_000] * 2
    file = tmp_path / "filled.csv"
    with file.open("w", newline="") as out:
        writer = csv.DictWriter(out, list(posts[0]))
        writer.writeheader()
        writer.writerows({**post, "label": "unsure"} for post in posts)
    told = answer(capsys, "labels", "import", str(file), "--json", "--database", project)
    assert json.loads(told)["changed"] == 2


def test_csv_is_utf_8_wherever_it_goes(project: str, connection: Connection) -> None:
    """Labels are read as UTF-8; a terminal of another encoding took a file of them in half."""
    connection.execute("UPDATE hoaxwatch.content SET text = 'снег ❄'")
    (name,) = rows(connection, "SELECT platform || ':' || root_id FROM hoaxwatch.content LIMIT 1")
    at = ["--database", project]
    assert cli.run(["labels", "add", *name, "unsure", *at]) == OK
    assert cli.run(["labels", "add", *name, "likely_true", "--by", "ann", *at]) == OK
    assert cli.run(["labels", "add", *name, "likely_true", "--by", "bo", *at]) == OK
    for command in ("sample", "export", "list --csv"):
        done = subprocess.run(
            [sys.executable, "-m", "hoaxwatch", "labels", *command.split(), *at],
            env={**os.environ, "PYTHONIOENCODING": "latin-1"},
            capture_output=True,
            check=False,
        )
        assert done.returncode == OK, done.stderr
        told = list(csv.DictReader(io.StringIO(done.stdout.decode("utf-8"))))
        assert {row["text"] for row in told} == {"снег ❄"}


def test_precision_is_of_what_is_flagged_and_decided(
    project: str, connection: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    at = ["--database", project]
    names = rows(
        connection,
        "SELECT root_id, likely_false FROM hoaxwatch.content_verdict WHERE state = 'scored'"
        " AND platform = 'x' ORDER BY NOT likely_false, root_id LIMIT 3",
    )
    assert all(is_flagged for _, is_flagged in names)
    for (name, _), label in zip(names, ("likely_false", "likely_true", "unsure"), strict=True):
        answer(capsys, "labels", "add", f"x:{name}", label, *at)
    found = json.loads(answer(capsys, "labels", "agreement", "--json", *at))
    assert (found["confirmed"], found["flagged_and_decided"]) == (1, 2)
    assert found["precision"][0] == 0.5
    nothing = json.loads(
        answer(capsys, "labels", "agreement", "--json", "--since", "2030-01-01", *at)
    )
    assert nothing["contents"] == 0


def test_labels_go_with_what_is_deleted(
    project: str, connection: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    original, _, _ = a_shared_post(connection)
    at = ["--database", project]
    answer(capsys, "labels", "add", f"x:{original}", "likely_false", *at)
    answer(capsys, "forget", "post", f"x:{original}", "--yes", *at)
    assert rows(connection, "SELECT * FROM hoaxwatch.labels") == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b\n1,2\n", "has no column label, platform, post_id"),
        ("platform,post_id,label\nx,1,false\n", "false is no label"),
        ("platform,post_id,label\nx,,unsure\n", "post_id is empty"),
        ("platform,post_id,label\nx,0,unsure\n", "no post x:0 is stored"),
        ("platform,post_id,label\nx,\udcff,unsure\n", "is no CSV in UTF-8"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(
    database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, words: str
) -> None:
    file = tmp_path / "labels.csv"
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    cli.run(["labels", "import", str(file), "--database", database])
    assert words in " ".join(capsys.readouterr().err.split())


def test_mistakes(database: str, capsys: pytest.CaptureFixture[str]) -> None:
    at = ["--database", database]
    assert cli.run(["labels", "add", "12", "unsure", *at]) == USAGE
    assert "no platform:id" in capsys.readouterr().err
    assert cli.run(["labels", "add", "x:12", "unsure", *at]) == USAGE
    assert "no post x:12 is stored" in capsys.readouterr().err
    assert cli.run(["labels", "sample", *at]) == USAGE
    assert "nothing is left to label" in capsys.readouterr().err
