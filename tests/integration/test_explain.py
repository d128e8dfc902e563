"""hoaxwatch explain: what each detector looked at, in the terminal, as JSON and as a picture."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from detectors.detector import Detector
from detectors.registry import load_detector
from hoaxwatch import explain as explaining
from hoaxwatch.cli import run as cli
from hoaxwatch.evidence import detector_of
from storage import writes
from storage.database import connect
from streams import local, steps
from streams.records import Post
from streams.settings import Settings, read_settings
from tests.integration.test_whole_posts import DAY, Marker, pictured, post
from tests.unit.detectors.image.pictures import encoded, photo

FALSE = "BREAKING: the secret vaccine cure is hidden by doctors & <b>the press</b>, share it now!"


def stored(database: str, posts: list[Post], judge: Detector, settings: Settings) -> None:
    with connect(database) as connection:
        writes.prepare(connection)
        writes.activate_policy(connection, judge.name, judge.version, 0.5, 0.0, DAY)
        steps.record(connection, steps.prepare(posts, DAY), judge, "key")
    local.judge_beside(database, judge, settings)


@pytest.mark.parametrize("name", ["tfidf", "bert"])
def test_words_of_a_text_detector(
    database: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = read_settings(detector=name)
    stored(database, [post(1, text=FALSE, lang="en")], load_detector(name), settings)
    assert cli(["explain", "1", "--database", database, "--detector", name, "--json"]) == 0
    (facts,) = json.loads(capsys.readouterr().out)
    (verdict,) = facts["verdicts"]
    assert verdict["detector"] == name and verdict["score"] is not None
    assert verdict["method"].startswith({"tfidf": "exact", "bert": "occlusion"}[name])
    assert verdict["weighed"]
    assert cli(["explain", "1", "--database", database, "--detector", name]) == 0
    shown = capsys.readouterr().out
    assert verdict["weighed"][0][0] in shown


class Explaining(Marker):
    """Says which place and word weighed."""

    def explain_post(self, post: Any) -> tuple[tuple[str, float], ...]:
        return (("place 0.25,0.25,0.50,0.50", 0.4), ("word <i>cure\0", -0.2), ("hashtag mast", 0.1))


def test_a_whole_post_with_its_picture(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "one.jpg").write_bytes(encoded(photo(), "JPEG"))
    judge = Explaining()
    settings = read_settings(detector="null", media=tmp_path)
    stored(database, [pictured(1, "one.jpg", text=FALSE)], judge, settings)
    monkeypatch.setattr(explaining, "detector_of", lambda settings: judge)
    named = settings.model_copy(update={"detector": judge.name})
    with connect(database) as connection:
        (one,) = explaining.explain(connection, named, "1")
    lines = "\n".join(explaining.lines_of(one.facts))
    assert "voices: text, image" in lines and "attention: word poison 50 %" in lines
    assert "+0.40  place 0.25,0.25,0.50,0.50" in lines
    drawn = explaining.draw(one)
    root = ET.fromstring(drawn)
    assert len(places_in(root)) == 1
    # a detector of texts before it: its pairs of words are no places, and the picture is not its
    (verdict,) = one.facts["verdicts"]
    words = {**verdict, "detector": "tfidf", "weighed": [["place to", 1.2], ["place 1", 0.3]]}
    both = one._replace(facts={**one.facts, "verdicts": [words, verdict]})
    assert places_in(ET.fromstring(explaining.draw(both))) == places_in(root)
    assert "&lt;i&gt;cure" in drawn and "<i>" not in drawn
    assert any("image" in element.tag for element in root.iter())


def places_in(drawn: ET.Element) -> list[dict[str, str]]:
    """The places of a picture that are marked."""
    rects = drawn.iter("{http://www.w3.org/2000/svg}rect")
    return [rect.attrib for rect in rects if "fill-opacity" in rect.attrib]


def test_another_detector_shows_what_was_stored(database: str) -> None:
    judge = Marker()
    stored(database, [post(1)], judge, read_settings(detector="null"))
    with connect(database) as connection:
        (one,) = explaining.explain(connection, read_settings(detector="tfidf"), "1")
    (verdict,) = one.facts["verdicts"]
    assert verdict["method"] == explaining.STORED and verdict["parts"]["missing"]


def test_weights_that_are_gone_are_said_and_the_stored_is_shown(database: str) -> None:
    judge = Marker(name="three_branch")
    stored(database, [post(1)], judge, read_settings(detector="null"))
    with connect(database) as connection:
        (one,) = explaining.explain(connection, read_settings(detector="three_branch"), "1")
    assert "no weights ship with three_branch" in one.facts["problem"]
    assert "missing" in one.facts["verdicts"][0]["parts"]


def test_mistakes_are_said(
    database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli(["explain", "404", "--database", database]) == 2
    assert "no post 404" in capsys.readouterr().err
    assert cli(["explain", "1", "--database", database, "-o", "x.gif"]) == 2
    assert "FILE.svg or FILE.html" in capsys.readouterr().err


def test_a_page_is_written(database: str, tmp_path: Path) -> None:
    settings = read_settings(detector="tfidf")
    stored(database, [post(1, text=FALSE, lang="en")], detector_of(settings), settings)
    for name in ("why.svg", "why.html"):
        command = ["explain", "1", "--database", database, "--detector", "tfidf"]
        assert cli([*command, "-o", str(tmp_path / name)]) == 0
        assert "<svg" in (tmp_path / name).read_text("utf-8")
