"""`hoaxwatch bursts`: hours that stand out, and what they are made of."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hoaxwatch import cli
from storage.database import connect
from storage.tracking import Mark, Pull, store_mark

OK = 0
MONDAY = datetime(2023, 4, 3, tzinfo=UTC)
LINES = "platform,post_id,posted_at,text,author_id,author_followers,share_of"


def posts(tmp_path: Path) -> str:
    """Six weeks with two posts every hour; then one post that is shared 30 times, and 30 posts of
    30 accounts an hour later; a lonely hour behind closes the last."""
    lines = [LINES]
    for hour in range(6 * 7 * 24 + 3):
        at = MONDAY + timedelta(hours=hour)
        is_mega, is_many = hour == 6 * 7 * 24, hour == 6 * 7 * 24 + 1
        lines += [
            f"bluesky,{hour}-{i},{at:%Y-%m-%dT%H:%M:%SZ},#tram {hour} {i},a{i},{100 + i},"
            for i in range(30 if is_many else 2)
        ]
        for i in range(30 if is_mega else 0):
            later = at + timedelta(minutes=1 + i)
            lines.append(f"bluesky,s{i},{later:%Y-%m-%dT%H:%M:%SZ},,b{i},,{hour}-0")
    file = tmp_path / "posts.csv"
    file.write_text("\n".join(lines) + "\n")
    return str(file)


def asked(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    capsys.readouterr()
    assert cli.run(["bursts", *words, "--json"]) == OK
    return json.loads(capsys.readouterr().out)


def test_one_shared_post_is_told_from_many_posts(
    database: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("HOAXWATCH_CONFIG", str(tmp_path / "none.toml"))
    at = ["--database", database]
    assert asked(capsys, *at) == []
    assert cli.run(["run", posts(tmp_path), "--detector", "null", *at]) == OK
    mega, many = asked(capsys, *at)
    assert [row["hashtag"] for row in (mega, many)] == ["tram", "tram"]
    assert (mega["posts"], mega["accounts"], mega["root_posts"]) == (32, 32, 31)
    assert mega["largest"] == pytest.approx(31 / 32)
    assert (mega["reach"], mega["hidden"]) == (201, 30)
    assert (many["posts"], many["accounts"], many["root_posts"]) == (30, 30, 1)
    assert many["reach"] == sum(range(100, 130)) and many["hidden"] == 0
    assert mega["usual"] == many["usual"] == 2
    assert (mega["compared_with"], mega["n_compared"]) == ("hour of week", 6)
    assert (mega["change"], many["change"]) == (30, -2)
    until = (MONDAY + timedelta(weeks=6, hours=1)).isoformat()
    assert asked(capsys, *at, "-t", "Tram", "--until", until) == [mega]
    assert asked(capsys, *at, "--since", until) == [many]
    assert asked(capsys, *at, "-t", "bus") == []
    with connect(database) as connection:
        covered = Pull(
            "bluesky", "tram", "1", MONDAY + timedelta(weeks=5), MONDAY + timedelta(9999)
        )
        store_mark(connection, "bluesky", Mark("1", (covered,)), MONDAY)
    assert [row["n_compared"] for row in asked(capsys, *at)] == [7, 7]  # days of one week
