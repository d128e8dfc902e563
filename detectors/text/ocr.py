"""Words in pictures. Two engines behind one interface; which languages they read is said.

Reading a picture takes a hundred times as long as judging a text: read it once and keep the result
under `(sha256 of the picture's bytes, engine.key)`. Where text is unlikely, do not read at all
(`detectors.image.text_presence`).
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from shutil import which
from typing import Any, Literal, NamedTuple, Protocol

from PIL import Image

from detectors.image.decode import Pixels

#: Lines that the engine itself is less sure of are left out [0 to 1], and those without a letter.
MIN_CONFIDENCE = 0.6
#: Pictures longer than this many times their shorter side are padded for RapidOCR.
_LONGEST = 4
#: Only so much of what is in a picture is read, as of any text [characters].
MAX_CHARACTERS = 5_000


class OcrUnavailable(ValueError):
    """An engine that is not installed, or does not read a language that is asked for."""


class Line(NamedTuple):
    """One line of words. confidence: 0 to 1. box: left, top, right, bottom, as shares."""

    text: str
    confidence: float
    box: tuple[float, float, float, float]


class Reading(NamedTuple):
    """What an engine has read in a picture; problem says why, where it has read nothing at all.

    No lines and no problem: there is no text in it.
    """

    lines: tuple[Line, ...]
    problem: Literal["timeout", "failed"] | None = None

    @property
    def text(self) -> str:
        """The lines as one text, as it is appended to the caption."""
        return " ".join(line.text for line in self.lines)[:MAX_CHARACTERS]


class Ocr(Protocol):
    """An engine. Pure: the same pixels give the same reading."""

    @property
    def key(self) -> str:
        """Engine, version, models and languages: everything that a reading depends on."""

    @property
    def languages(self) -> tuple[str, ...]:
        """What it reads, as ISO 639-1 codes."""

    def read(self, pixels: Pixels) -> Reading:
        """The words in a picture. pixels: uint8 (height, width, 3)."""


class RapidOcr:
    """RapidOCR with the models of its package, on one core; nothing is ever downloaded.

    Cost: 0.3 to 0.4 s a picture and core, 120 MB; the first call 1 s more.
    Source: PP-OCRv6 (Cui et al., PaddleOCR), converted to ONNX by RapidOCR.
    """

    #: One model for all of them.
    languages = (
        *("en", "zh", "ja", "af", "az", "bs", "ca", "cs", "cy", "da", "de", "es", "et", "eu", "fi"),
        *("fr", "ga", "gl", "hr", "hu", "id", "is", "it", "ku", "la", "lb", "lt", "lv", "mi", "ms"),
        *("mt", "nl", "no", "oc", "pl", "pt", "qu", "rm", "ro", "sk", "sl", "sq", "sv", "sw", "tl"),
        *("tr", "uz", "vi"),
    )
    _MODELS = ("PP-OCRv6_det_small.onnx", "PP-OCRv6_rec_small.onnx")

    def __init__(self) -> None:
        """Raises OcrUnavailable."""
        try:
            self.key = f"rapidocr {version('rapidocr')} {' '.join(self._MODELS)}"
        except PackageNotFoundError as error:
            raise OcrUnavailable(
                "OCR by rapidocr is not installed: pip install 'hoaxwatch[ocr]', or install "
                "Tesseract (Debian: apt install tesseract-ocr)"
            ) from error
        self._engine: Any = None  # loaded when first needed

    def read(self, pixels: Pixels) -> Reading:
        """The lines in a picture, from top to bottom as the engine orders them."""
        import numpy as np

        if self._engine is None:
            self._engine = self._load()
        height, width = pixels.shape[:2]
        # The engine scales the shorter side up to 736: a strip of 33 x 2,000 would become 30 times
        # as large. Below and to the right of it, white is added.
        least = max(height, width) // _LONGEST
        more = (0, max(0, least - height)), (0, max(0, least - width)), (0, 0)
        whole = np.pad(pixels, more, constant_values=255)
        found = self._engine(np.ascontiguousarray(whole[:, :, ::-1]))  # BGR, as OpenCV has it
        if found.txts is None:
            return Reading(())
        lines = []
        for text, confidence, corners in zip(found.txts, found.scores, found.boxes, strict=True):
            if confidence >= MIN_CONFIDENCE and any(map(str.isalnum, text)):
                (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
                box = _shares((left, top, right, bottom), width, height)
                lines.append(Line(text.strip(), round(float(confidence), 3), box))
        return Reading(tuple(lines))

    def _load(self) -> Any:
        spec = find_spec("rapidocr")
        if spec is None or spec.origin is None or find_spec("onnxruntime") is None:
            raise OcrUnavailable("OCR by rapidocr is not whole: pip install 'hoaxwatch[ocr]'")
        folder = Path(spec.origin).parent / "models"
        missing = [name for name in self._MODELS if not (folder / name).is_file()]
        if missing:  # else the package would fetch it
            raise OcrUnavailable(
                f"rapidocr {version('rapidocr')} carries no {missing[0]}: "
                "pip install 'rapidocr>=3.10,<4'"
            )
        from rapidocr import RapidOCR

        detector, recogniser = (str(folder / name) for name in self._MODELS)
        one_core = "EngineConfig.onnxruntime.{}_op_num_threads"
        return RapidOCR(
            params={
                "Global.log_level": "critical",
                "Global.use_cls": False,  # lines upside down: a picture is upright already
                "Det.model_path": detector,
                "Rec.model_path": recogniser,
                one_core.format("intra"): 1,
                one_core.format("inter"): 1,
            }
        )


#: Tesseract's names of languages that it is often installed with.
_TESSERACT_NAMES = {
    "en": "eng",
    "de": "deu",
    "fr": "fra",
    "es": "spa",
    "it": "ita",
    "pt": "por",
    "nl": "nld",
    "pl": "pol",
    "zh": "chi_sim",
    "ja": "jpn",
    "ar": "ara",
    "ru": "rus",
    "tr": "tur",
}


class Tesseract:
    """The program `tesseract`, which Wang et al. used, as a process per picture.

    Cost: 0.2 to 2 s a picture.
    Source: Smith, "An Overview of the Tesseract OCR Engine", ICDAR 2007.
    """

    def __init__(self, languages: Sequence[str] = ("en",), timeout_seconds: float = 30.0) -> None:
        """languages: ISO 639-1. Raises OcrUnavailable, also when a language is not installed."""
        program = which("tesseract")
        if program is None:
            raise OcrUnavailable("no program tesseract: apt install tesseract-ocr")
        names = [_TESSERACT_NAMES.get(language, language) for language in languages]
        installed = _run([program, "--list-langs"], timeout_seconds).decode().split("\n")[1:]
        missing = [name for name in names if name not in installed]
        if missing:
            there = ", ".join(filter(None, installed))
            raise OcrUnavailable(
                f"tesseract has no language {missing[0]!r}, it has {there}: "
                f"apt install tesseract-ocr-{missing[0].replace('_', '-')}"
            )
        said = _run([program, "--version"], timeout_seconds).decode().split("\n")[0]
        self.languages = tuple(languages)
        self.key = f"{said} {'+'.join(names)}"
        self._command = [program, "stdin", "stdout", "-l", "+".join(names), "tsv"]
        self._timeout_seconds = timeout_seconds

    def read(self, pixels: Pixels) -> Reading:
        """The lines in a picture, in the order of the page."""
        file = BytesIO()
        Image.fromarray(pixels).save(file, "BMP")
        try:
            table = _run(self._command, self._timeout_seconds, file.getvalue())
        except subprocess.TimeoutExpired:
            return Reading((), "timeout")
        except subprocess.CalledProcessError:
            return Reading((), "failed")
        height, width = pixels.shape[:2]
        return Reading(tuple(lines_of_table(table.decode("utf-8", "replace"), width, height)))


def lines_of_table(table: str, width: int, height: int) -> list[Line]:
    """The lines of Tesseract's table of words: words it is sure of, joined by their line.

    A line's confidence is the mean of its words'.

    >>> head = "level page block par line word left top width height conf text"
    >>> words = "5 1 1 1 1 1 10 0 30 20 96.0 It", "5 1 1 1 1 2 50 0 30 20 90.0 is"
    >>> table = "\\n".join([head, *words]).replace(" ", "\\t")
    >>> lines_of_table(table, width=100, height=50)
    [Line(text='It is', confidence=0.93, box=(0.1, 0.0, 0.8, 0.4))]
    """
    lines: dict[tuple[str, ...], list[tuple[str, float, int, int, int, int]]] = {}
    for row in table.splitlines()[1:]:
        cells = row.split("\t")
        if len(cells) != 12 or cells[0] != "5" or not any(map(str.isalnum, cells[11])):
            continue
        confidence = float(cells[10]) / 100
        if confidence >= MIN_CONFIDENCE:
            left, top, wide, high = map(int, cells[6:10])
            word = cells[11].strip(), confidence, left, top, left + wide, top + high
            lines.setdefault(tuple(cells[1:5]), []).append(word)
    return [
        Line(
            text=" ".join(word[0] for word in words),
            confidence=round(sum(word[1] for word in words) / len(words), 3),
            box=_shares(
                (
                    min(word[2] for word in words),
                    min(word[3] for word in words),
                    max(word[4] for word in words),
                    max(word[5] for word in words),
                ),
                width,
                height,
            ),
        )
        for words in lines.values()
    ]


def _run(command: Sequence[str], timeout_seconds: float, data: bytes = b"") -> bytes:
    return subprocess.run(
        command, input=data, capture_output=True, check=True, timeout=timeout_seconds
    ).stdout


def _shares(
    box: tuple[float, float, float, float], width: int, height: int
) -> tuple[float, float, float, float]:
    left, top, right, bottom = box
    shares = left / width, top / height, right / width, bottom / height
    return tuple(round(min(1.0, max(0.0, float(share))), 4) for share in shares)  # type: ignore[return-value]


#: name -> engine with its defaults. Add one line per engine.
ENGINES: dict[str, Callable[[], Ocr]] = {"rapidocr": RapidOcr, "tesseract": Tesseract}


def default_engine() -> Ocr:
    """RapidOCR, else Tesseract. Raises OcrUnavailable when neither is installed."""
    if find_spec("rapidocr") is not None:
        return RapidOcr()
    if which("tesseract") is not None:
        return Tesseract()
    raise OcrUnavailable(
        "no OCR here: pip install 'hoaxwatch[ocr]', or apt install tesseract-ocr; without it "
        "words in pictures are not read"
    )
