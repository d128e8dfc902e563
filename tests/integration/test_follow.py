"""Followed words and links are in the tables of hashtags, whether posts or the topic came first."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from graph.headline import words_of
from graph.topics import canonical_link
from hoaxwatch import cli
from storage import followed
from storage.database import connect
from streams.formats.registry import read_file
from streams.records import Post
from tests.conftest import Server
from tests.samples import write_samples
from tests.tables import read_tables

OK, USAGE = 0, 2
FOLLOWED_AT = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> list[str]:
    """Some hundred posts; small clusters count."""
    monkeypatch.setenv("HOAXWATCH_CONFIG", str(tmp_path / "none.toml"))
    monkeypatch.setenv("HOAXWATCH_CLUSTER_MIN_USERS", "5")
    return [str(path) for path in write_samples(tmp_path / "posts", seed=2)]


def hoaxwatch(*arguments: str) -> None:
    assert cli.run(list(arguments)) == OK


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    hoaxwatch(*arguments)
    return capsys.readouterr().out


def run(database: str, files: list[str]) -> None:
    hoaxwatch("run", *files, "--detector", "null", "--database", database)


def read_posts(files: list[str]) -> list[Post]:
    return [post for file in files for post in read_file(file) if isinstance(post, Post)]


def words_by_use(files: list[str]) -> list[str]:
    """Words of the posts, most used first; shares have their original's."""
    posts = {post.post_id: post for post in read_posts(files)}
    used = Counter(word for post in posts.values() for word in words_of(post.text))
    return [word for word, _ in used.most_common() if len(word) > 4]


def test_posts_first_or_the_topic_first_is_the_same(
    files: list[str], server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    word = words_by_use(files)[0]
    site = canonical_link(next(link for post in read_posts(files) for link in post.links))
    topics = [f"word:{word.upper()}", f"link:https://www.{site.partition('/')[0]}/"]
    with ExitStack() as stack:
        later, first, never = (stack.enter_context(server.new_database()) for _ in range(3))
        run(never, files)
        untouched = read_tables(never)
        compare_orders(later, first, files, topics, capsys)
        hoaxwatch("follow", "remove", *topics, "--database", later)
        assert read_tables(later) == untouched


def compare_orders(
    later: str, first: str, files: list[str], topics: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Posts, then topics, in one database; topics, then posts twice, in the other."""
    word = topics[0].partition(":")[2].lower()
    run(later, files)
    hoaxwatch("follow", "add", *topics, "--database", later)
    hoaxwatch("follow", "add", *topics, "--database", first)
    run(first, list(reversed(files)) + files)
    assert read_tables(later) == read_tables(first)
    with connect(first) as connection:
        counted: dict[str, datetime] = dict(
            connection.execute(
                "SELECT platform || ':' || post_id, posted_at FROM mart.posts_by_hashtag"
                " WHERE hashtag = %s",
                (f"word:{word}",),
            ).fetchall()
        )
        clusters = connection.execute(
            "SELECT count(*) FROM mart.clusters WHERE hashtag = %s", (f"word:{word}",)
        ).fetchone()
        texts = connection.execute(
            "SELECT platform || ':' || post_id, text FROM mart.posts_scored"
        ).fetchall()
    said = {name for name, text in texts if word in words_of(text)}
    assert set(counted) == said and len(said) > 50
    assert clusters is not None and clusters[0] > 0
    days = json.loads(answer(capsys, "trends", "-t", f"word:{word}", "--json", "--database", first))
    assert sum(day["posts"] for day in days) == len(said)


def test_a_topic_that_nobody_wrote_of_has_no_content(database: str) -> None:
    with connect(database) as connection:
        followed.follow(connection, ["word:nothing"], FOLLOWED_AT)
        (row,) = followed.list_followed(connection)
    assert row == ("word:nothing", FOLLOWED_AT, 0, 0)


def test_a_page_and_its_site(
    files: list[str], database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run(database, files)
    links = Counter(canonical_link(link) for post in read_posts(files) for link in post.links)
    page, _ = links.most_common(1)[0]
    site = page.partition("/")[0]
    hoaxwatch("follow", "add", f"link:{page}", f"link:{site}", "--database", database)
    listed = list(
        csv.DictReader(
            io.StringIO(answer(capsys, "follow", "list", "--csv", "--database", database))
        )
    )
    n = {row["topic"]: int(row["contents"]) for row in listed}
    assert n[f"link:{site}"] >= n[f"link:{page}"] > 0
    told = answer(capsys, "trends", "-t", f"link:{site}", "--database", database)
    assert f"link:{site} by day" in told


def test_words_that_an_edit_takes_away(database: str, tmp_path: Path) -> None:
    hoaxwatch("follow", "add", "word:water", "--database", database)
    for hour, text in ((1, "the water is bad"), (2, "the weather is bad")):
        file = tmp_path / f"{hour}.csv"
        seen = datetime(2023, 4, 24, hour, tzinfo=UTC).isoformat()
        file.write_text(
            "platform,post_id,posted_at,text,author_id,observed_at\n"
            f"x,7,2023-04-24T00:00:00Z,{text},9,{seen}\n"
        )
        run(database, [str(file)])
        with connect(database) as connection:
            found = connection.execute("SELECT hashtag FROM mart.posts_by_hashtag").fetchall()
            counted = connection.execute("SELECT hashtag FROM hoaxwatch.hashtag_trends").fetchall()
        assert bool(found) == bool(counted) == (hour == 1)


def test_what_is_no_topic_is_said(database: str, capsys: pytest.CaptureFixture[str]) -> None:
    for written, said in (("impfung", "hashtags are followed always"), ("word:!", "names no word")):
        assert cli.run(["follow", "add", written, "--database", database]) == USAGE
        assert said in capsys.readouterr().err
    hoaxwatch("follow", "add", "word:a", "--database", database)
    hoaxwatch("follow", "add", "word:A", "--database", database)
    assert "followed already" in capsys.readouterr().err
    hoaxwatch("follow", "remove", "word:b", "--database", database)
    assert "was not followed" in capsys.readouterr().err
