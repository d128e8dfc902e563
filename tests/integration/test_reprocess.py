"""Another detector beside the one that counts: what would change is what changes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from hoaxwatch import cli
from storage import labels, reprocessing
from storage.database import Connection, connect
from storage.labels import Label
from storage.reprocessing import Candidate, Difference
from streams import local
from streams.records import Content, Verdict
from streams.settings import Settings, read_settings
from tests.house.repository import ROOT
from tests.integration.test_merge import NOON, rows
from tests.marker import MarkerDetector
from tests.samples import write_samples
from tests.tables import assert_same, read_tables

OK, USAGE = 0, 2


class Contrary(MarkerDetector):
    """Of every text that has an e in its first word, the opposite; a fifth it leaves alone."""

    name = "contrary"

    def _verdict(self, content: Content) -> Verdict:
        told = super()._verdict(content)
        score, reason = told.score, told.reason
        if len(content.text) % 5 == 0:
            score, reason = None, "odd"
        elif score is not None and "e" in content.text.split(" ")[0]:
            score = round(1 - score, 6)
        return Verdict(
            platform=told.platform,
            root_id=told.root_id,
            input_hash=told.input_hash,
            detector=self.name,
            version=self.version,
            state="abstained" if score is None else "scored",
            score=score,
            reason=reason,
        )


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    monkeypatch.setenv("HOAXWATCH_CONFIG", str(tmp_path / "none.toml"))
    monkeypatch.setenv("HOAXWATCH_CLUSTER_MIN_USERS", "5")
    monkeypatch.setenv("HOAXWATCH_BATCH_POSTS", "50")
    return read_settings()


@pytest.fixture
def project(database: str, settings: Settings, tmp_path: Path) -> str:
    """Some hundred posts that MarkerDetector judged."""
    files = write_samples(tmp_path / "posts", seed=2)
    local.run(database, local.check_inputs(files), MarkerDetector(), settings)
    return database


@pytest.fixture
def connection(project: str) -> Iterator[Connection]:
    with connect(project) as opened:
        yield opened


def compared(connection: Connection, settings: Settings, **span: Any) -> Difference:
    return reprocessing.compare(connection, local.candidate_of(Contrary(), settings), **span)


def counted(connection: Connection) -> dict[str, Any]:
    """What the tables say of each hashtag and each cluster, and of all posts."""
    hashtags = rows(
        connection,
        "SELECT hashtag, sum(judged)::bigint, sum(likely_false)::bigint"
        " FROM mart.hashtag_trends_daily GROUP BY 1",
    )
    clusters = rows(
        connection,
        "SELECT hashtag, window_start, algorithm, cluster, judged, likely_false FROM mart.clusters",
    )
    posts = rows(
        connection,
        "SELECT count(probability), count(*) FILTER (WHERE likely_false),"
        " avg(probability)::float8 FROM mart.posts_scored",
    )
    return {
        "hashtags": {row[0]: row[1:] for row in hashtags},
        "clusters": {row[:4]: row[4:] for row in clusters},
        "posts": posts[0],
    }


def test_what_is_told_beforehand_is_what_the_tables_say_afterwards(
    project: str, connection: Connection, settings: Settings
) -> None:
    names = rows(connection, "SELECT root_id FROM hoaxwatch.content WHERE platform = 'x' LIMIT 20")
    given = [Label("x", name, "likely_false", None) for (name,) in names]
    labels.add_labels(connection, given, "ann", NOON)
    local.count_again(project, settings)
    before = counted(connection)
    tables = read_tables(project)
    local.judge_beside(project, Contrary(), settings)
    found = compared(connection, settings)
    untouched = read_tables(project)
    for name in ("verdicts", "verdict_policy"):
        tables.pop(name), untouched.pop(name)
    assert_same(untouched, tables)
    assert found.changed and found.hashtags and found.clusters and not found.pending

    assert local.adopt(project, Contrary(), settings)
    after = counted(connection)
    hashtags = {row.hashtag: row.tally for row in found.hashtags}
    for tag, counts in before["hashtags"].items():
        told = hashtags.get(tag, (*counts, *counts))
        assert told == (*counts, *after["hashtags"][tag]), tag
    clusters = {row[:4]: row.tally for row in found.clusters}
    for key, counts in before["clusters"].items():
        told = clusters.get(key, (*counts, *counts))
        assert told == (*counts, *after["clusters"][key]), key
    assert found.by_posts == (*before["posts"][:2], *after["posts"][:2])
    assert found.mean_before == pytest.approx(before["posts"][2])
    assert found.mean_after == pytest.approx(after["posts"][2])
    changed = {(row["platform"], row["root_id"]) for row in found.changed}
    assert changed.isdisjoint(("x", name) for (name,) in names), "people have the last word"
    assert rows(connection, "SELECT count(*) FROM hoaxwatch.dirty_buckets") == [(0,)]

    again = compared(connection, settings)
    assert (again.changed, again.hashtags, again.clusters) == ([], [], [])
    assert not local.adopt(project, Contrary(), settings), "one policy, not two"
    policies = rows(connection, "SELECT detector, active FROM mart.policies ORDER BY policy_id")
    assert policies == [("marker", False), ("contrary", True)]


def test_a_period_is_scored_and_compared_alone(
    project: str, connection: Connection, settings: Settings
) -> None:
    days = rows(connection, "SELECT DISTINCT date_trunc('day', posted_at) FROM hoaxwatch.posts")
    since, until = sorted(day for (day,) in days)[1:3]
    span = {"since": since, "until": until}
    n_wanted = reprocessing.count_pending(connection, "contrary", "1", **span)
    told: list[int] = []
    judged = local.judge_beside(project, Contrary(), settings, since, until, told.append)
    assert (
        0
        < judged.total()
        == sum(told)
        == n_wanted
        < reprocessing.count_pending(connection, "marker", "none")
    )
    found = compared(connection, settings, **span)
    assert found.pending == 0
    assert (
        found.posts
        == rows(
            connection,
            "SELECT count(*) FROM hoaxwatch.posts"
            f" WHERE posted_at >= '{since}' AND posted_at < '{until}'",
        )[0][0]
    )
    assert compared(connection, settings).pending > 0


def test_another_threshold_alone(project: str, connection: Connection, settings: Settings) -> None:
    found = reprocessing.compare(connection, Candidate("marker", "1", 0.8, 0.0))
    scores: Sequence[float] = [row["score_before"] for row in found.changed]
    assert scores and all(0.5 <= score < 0.8 for score in scores)
    found = reprocessing.compare(connection, Candidate("marker", "1", 0.5, 0.1))
    assert {row["likely_false_after"] for row in found.changed} == {None}


def test_a_kill_loses_nothing(project: str, connection: Connection, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hoaxwatch", "reprocess", "--detector", "tfidf", "--json"]
    command += ["--database", project]
    environment = os.environ | {
        "HOAXWATCH_FAIL_POINTS": "reprocess.after_page",
        "HOAXWATCH_FAIL_FOLDER": str(tmp_path),
        "PYTHONPATH": str(ROOT),
    }
    killed = subprocess.run(command, env=environment, capture_output=True, check=False, timeout=120)
    assert killed.returncode == -signal.SIGKILL
    n_before = rows(connection, "SELECT count(*) FROM hoaxwatch.verdicts WHERE detector = 'tfidf'")
    assert n_before == [(50,)]
    done = subprocess.run(command, env=environment, capture_output=True, check=True, timeout=120)
    told = json.loads(done.stdout)
    assert told["pending"] == 0
    n_contents = rows(connection, "SELECT count(*) FROM hoaxwatch.content")[0][0]
    assert sum(told["judged_now"].values()) == n_contents - 50


def test_the_command(
    project: str, connection: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    run = ["reprocess", "--detector", "tfidf", "--database", project]
    assert cli.run([*run, "-n", "3"]) == OK
    printed = capsys.readouterr()
    assert printed.out.startswith("before  marker 1, from 50.0 %\nafter   tfidf ")
    assert "Texts that change most" in printed.out
    assert "nothing is changed yet" in printed.err
    assert cli.run([*run, "--json"]) == OK
    told = json.loads(capsys.readouterr().out)
    assert (told["judged_now"], told["is_adopted"]) == ({}, False)
    assert len(told["changed"]) > 3
    assert cli.run([*run, "--adopt"]) == OK
    said = capsys.readouterr().err
    assert 'write detector = "tfidf" into hoaxwatch.toml' in said
    assert "start workers again" in said
    assert [
        row[0] for row in rows(connection, "SELECT detector FROM mart.policies WHERE active")
    ] == ["tfidf"]
    assert cli.run([*run, "--adopt"]) == OK
    assert "counted already" in capsys.readouterr().err


def test_a_period_is_in_the_time_zone_of_the_setting(
    project: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = ["reprocess", "--detector", "tfidf", "--json", "--database", project]
    told = []
    for zone, since in (("UTC", "2026-03-04T05:00"), ("America/New_York", "2026-03-04")):
        monkeypatch.setenv("HOAXWATCH_TIMEZONE", zone)
        capsys.readouterr()
        assert cli.run([*run, "--since", since]) == OK
        told.append(json.loads(capsys.readouterr().out)["contents"])
    assert told[0] == told[1] > 0


def test_mistakes(database: str, settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    run = ["reprocess", "--detector", "tfidf", "--database", database]
    assert cli.run(run) == USAGE
    assert "nothing was judged yet" in capsys.readouterr().err
    assert cli.run([*run, "--adopt", "--since", "2026-03-02"]) == USAGE
    assert "leave out --since" in capsys.readouterr().err
    assert cli.run(["reprocess", "--database", database]) == USAGE
