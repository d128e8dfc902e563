"""hoaxwatch from Python: the answers of the commands, as records and as Arrow tables."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import hoaxwatch
from streams.errors import Unavailable, UsageError
from streams.formats.opening import InputError
from streams.records import Problem
from streams.settings import SettingsError
from tests.folders import short_folder
from tests.samples import write_samples


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Two files that overlap; the first ends in a broken line."""
    return write_samples(tmp_path, seed=7, n_posts=1500)


@pytest.fixture
def project(database: str, files: list[Path]) -> Iterator[hoaxwatch.Project]:
    """A project with posts in it."""
    with hoaxwatch.open_project("notebook", database=database) as opened:
        result = opened.run(files)
        assert result.outcomes["new"] > 100
        yield opened


def test_posts_are_read_and_problems_told(files: list[Path]) -> None:
    with pytest.warns(UserWarning, match=r"1 of \d+ records of .*tweets.jsonl unmapped; first"):
        posts = list(hoaxwatch.read_posts(*files))
    assert len({post.post_id for post in posts}) < len(posts)
    problems: list[Problem] = []
    assert list(hoaxwatch.read_posts(*files, on_problem=problems.append)) == posts
    last = f"line {len(files[0].read_bytes().splitlines())}"
    assert [problem.position for problem in problems] == [last]
    assert list(hoaxwatch.read_posts(*files, on_problem="skip")) == posts
    with pytest.raises(ValueError, match="not JSON"):
        list(hoaxwatch.read_posts(*files, on_problem="raise"))
    with pytest.raises(InputError, match="not exist"):
        next(hoaxwatch.read_posts("nowhere.csv"))


def test_one_text_and_several() -> None:
    one = hoaxwatch.score("The moon landing was a hoax made by the government", detector="tfidf")
    several = hoaxwatch.score(
        ["The moon landing was a hoax made by the government", "🎉"], detector="tfidf"
    )
    assert one.score is not None
    assert [verdict.score for verdict in several] == [one.score, None]
    assert several[1].reason == "emoji_only"


def test_trends_and_clusters(project: hoaxwatch.Project, database: str) -> None:
    listed = project.trends()
    days = project.trends("#WaterTruth")
    hours = project.trends("watertruth", by="hour")
    assert listed[0].posts >= listed[-1].posts
    assert {row.hashtag for row in listed} >= {"watertruth"}
    assert sum(day.posts for day in days) == sum(hour.posts for hour in hours) > 0
    until = project.trends("watertruth", until=days[0].bucket_start)
    assert len(until) == 0
    assert project.trends("watertruth", tz="Asia/Kolkata")[0].bucket_start.minute == 30
    clusters = project.clusters("watertruth", algorithm="louvain")
    assert {row.algorithm for row in clusters} == {"louvain"}
    assert list(hoaxwatch.trends("watertruth", database=database)) == list(days)
    assert list(hoaxwatch.trends(database=database, limit=1)) == [listed[0]]
    assert list(hoaxwatch.clusters("watertruth", database=database, algorithm="louvain")) == list(
        clusters
    )


def test_rows_go_where_people_work(project: hoaxwatch.Project) -> None:
    days = project.trends("watertruth")
    table = days.to_arrow()
    assert table.num_rows == len(days)
    assert table.column("posts").to_pylist() == [day.posts for day in days]
    assert table.column("bucket_start").to_pylist() == [day.bucket_start for day in days]
    assert days.to_dicts()[0]["hashtag"] == "watertruth"
    assert len(days[:1]) == 1
    assert "Rows([" in repr(days)
    assert project.trends("no_such_tag").to_arrow().num_rows == 0


def test_sql_answers_and_never_writes(project: hoaxwatch.Project) -> None:
    found = project.sql(
        "SELECT hashtag, sum(posts)::int AS posts FROM mart.hashtag_trends_daily"
        " WHERE hashtag = %s AND day >= %s GROUP BY hashtag",
        "watertruth",
        datetime(2026, 1, 1, tzinfo=UTC),
    )
    assert found[0]["posts"] == sum(day.posts for day in project.trends("watertruth"))
    assert project.sql("SELECT '100 %' AS share")[0]["share"] == "100 %"
    for query in (
        "DELETE FROM hoaxwatch.posts",
        "SELECT nothing FROM nowhere",
        "SELEKT 1",
        "SELECT 1 / 0",
        "COMMIT; DELETE FROM hoaxwatch.posts",
    ):
        with pytest.raises(UsageError, match="cannot be answered"):
            project.sql(query)
    assert project.sql("SELECT count(*) AS n FROM hoaxwatch.posts")[0]["n"] > 100


def test_a_mistake_is_said_in_one_line(database: str) -> None:
    wrong_by: Any = "week"
    wrong_algorithm: Any = "leiden"
    with hoaxwatch.open_project("notebook", database=database) as project:
        asked: list[tuple[Callable[[], object], str]] = [
            (lambda: project.trends("word:!"), "word:!"),
            (lambda: project.clusters("word:!"), "word:!"),
            (lambda: project.trends("snow", tz="Mars/Olympus"), "Europe/Berlin"),
            (lambda: project.trends("snow", by=wrong_by), "there are day and hour"),
            (lambda: project.clusters("snow", algorithm=wrong_algorithm), "louvain and infomap"),
        ]
        for ask, words in asked:
            with pytest.raises((UsageError, SettingsError), match=words) as raised:
                ask()
            assert "\n" not in str(raised.value)


def test_asking_makes_no_project(monkeypatch: pytest.MonkeyPatch) -> None:
    with short_folder() as home:
        monkeypatch.setenv("HOAXWATCH_CONFIG", str(home / "none.toml"))
        monkeypatch.setenv("HOAXWATCH_HOME", str(home / "home"))
        monkeypatch.delenv("HOAXWATCH_DATABASE", raising=False)
        for ask in (hoaxwatch.trends, hoaxwatch.clusters):
            with pytest.raises(UsageError, match="no project 'stduy'"):
                ask("snow", project="stduy")
        assert not (home / "home").exists()


def test_a_server_that_is_not_there() -> None:
    with pytest.raises(Unavailable, match="does not answer"):
        hoaxwatch.trends(database="postgresql://localhost:1/x")


def test_importing_the_package_imports_no_application() -> None:
    command = (
        "import sys, hoaxwatch; print(len([m for m in sys.modules if m.startswith('storage')]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", command], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "0"
    assert set(hoaxwatch.__all__) <= set(dir(__import__("hoaxwatch.api").api))
    with pytest.raises(AttributeError, match="no_such_name"):
        hoaxwatch.no_such_name  # noqa: B018
