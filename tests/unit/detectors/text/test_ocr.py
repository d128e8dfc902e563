from __future__ import annotations

import shutil
from importlib.util import find_spec

import numpy as np
import pytest

import detectors.text.ocr as ocr
from detectors.text.ocr import (
    ENGINES,
    MAX_CHARACTERS,
    Line,
    Ocr,
    OcrUnavailable,
    RapidOcr,
    Reading,
    Tesseract,
    default_engine,
    lines_of_table,
)
from tests.unit.detectors.image.pictures import photo, poster


@pytest.fixture(scope="module", params=sorted(ENGINES))
def engine(request: pytest.FixtureRequest) -> Ocr:
    name: str = request.param
    try:
        return ENGINES[name]()
    except OcrUnavailable as error:
        pytest.skip(str(error))


def test_words_over_a_picture_are_read(engine: Ocr) -> None:
    found = engine.read(poster("They hide it. Wake up!"))
    assert found.text == "They hide it. Wake up!"
    assert found.problem is None
    (line,) = found.lines
    assert line.confidence > 0.9
    left, top, right, bottom = line.box
    assert 0 <= left < 0.1
    assert 0 <= top < 0.1
    assert 0.6 < right < 0.9
    assert 0.1 < bottom < 0.25


def test_a_picture_without_words_has_no_lines(engine: Ocr) -> None:
    for pixels in (photo(), np.zeros((40, 40, 3), np.uint8), photo(2_000, 33), photo(33, 2_000)):
        assert engine.read(pixels) == Reading(())


def test_the_key_names_what_a_reading_depends_on(engine: Ocr) -> None:
    assert engine.key.split()[0] in ENGINES
    assert "en" in engine.languages
    assert type(engine)().key == engine.key


def test_the_same_pixels_give_the_same_reading(engine: Ocr) -> None:
    assert engine.read(poster("Read twice")) == engine.read(poster("Read twice"))


def test_a_text_is_cut_and_joined() -> None:
    line = Line("x" * 999, 1.0, (0, 0, 1, 1))
    assert Reading((line, line)).text == f"{'x' * 999} {'x' * 999}"
    assert len(Reading((line,) * 10).text) == MAX_CHARACTERS
    assert Reading(()).text == ""


TABLE = """\
level page block par line word left top width height conf text
1 1 0 0 0 0 0 0 480 360 -1 .
5 1 1 1 1 1 19 20 81 25 97.1 They
5 1 1 1 1 2 109 20 71 25 59.9 unsure
5 1 1 1 2 1 19 60 81 25 60.0 lie
5 1 1 1 2 2 19 60 81 25 95 .
5 1 1 1 2 3 400 60 100 25 80 now
a line that is cut off 5
""".replace(" ", "\t").replace(".\n", " \n")


def test_tesseract_s_table_of_words() -> None:
    assert lines_of_table(TABLE, 480, 360) == [
        Line("They", 0.971, (0.0396, 0.0556, 0.2083, 0.125)),
        Line("lie now", 0.7, (0.0396, 0.1667, 1.0, 0.2361)),
    ]
    assert lines_of_table("", 480, 360) == []


@pytest.mark.skipif(shutil.which("tesseract") is None, reason="tesseract is not installed here")
def test_tesseract_says_what_is_missing_and_why_it_read_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(
        OcrUnavailable, match=r"has no language 'tlh', it has eng.*tesseract-ocr-tl"
    ):
        Tesseract(["en", "tlh"])
    engine = Tesseract(["en"])
    engine._command = ["sleep", "5"]
    engine._timeout_seconds = 0.01
    assert engine.read(photo()) == Reading((), "timeout")
    engine._command = ["false"]
    engine._timeout_seconds = 5
    assert engine.read(photo()) == Reading((), "failed")


def test_nothing_installed_is_said_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(_: str) -> None:
        return None

    monkeypatch.setattr(ocr, "which", nothing)
    monkeypatch.setattr(ocr, "find_spec", nothing)
    with pytest.raises(OcrUnavailable, match=r"pip install 'hoaxwatch\[ocr\]', or apt"):
        default_engine()
    with pytest.raises(OcrUnavailable, match="no program tesseract: apt install"):
        Tesseract()


@pytest.mark.skipif(find_spec("rapidocr") is None, reason="rapidocr is not installed here")
def test_rapidocr_never_fetches_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RapidOcr, "_MODELS", ("not there.onnx",))
    with pytest.raises(OcrUnavailable, match=r"carries no not there\.onnx: pip install 'rapidocr"):
        RapidOcr().read(photo())
    assert isinstance(default_engine(), RapidOcr)
