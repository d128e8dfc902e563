from __future__ import annotations

import subprocess
import sys

import pytest

from detectors.text.abstain import abstain_reason, language_probability, stated_language
from detectors.text.normalise import normalise, words

ENGLISH = "The minister said on Friday that the new law will be voted on next week"
GERMAN = "Der Minister sagte am Freitag, dass über das neue Gesetz nächste Woche abgestimmt wird"


def why(text: str, lang: str | None) -> str | None:
    return abstain_reason(text, words(normalise(text)), lang, ("en",))


@pytest.mark.parametrize(
    ("text", "lang", "reason"),
    [
        ("", "en", "empty"),
        (" \n\u200b\0 \ud800", "en", "empty"),  # nothing of it shows
        ("😂😂😂", "en", "emoji_only"),
        ("@who 👍🏽 https://t.co/x", "en", "emoji_only"),  # "url" is a token, yet no word
        ("@who 👍🏽", "de", "emoji_only"),  # emoji are of no language
        ("!!! ... ???", "en", "too_short"),
        ("@who @cdc", "en", "too_short"),
        ("https://t.co/x", "en", "too_short"),
        ("so true https://t.co/x", "en", "too_short"),
        ("this is true", "en", None),
        (ENGLISH, "de", "language"),  # what the platform states counts
        (GERMAN, "en", None),
        ("ワクチンは危険だ", "ja", "language"),  # one "word", but that is not why
        (ENGLISH, "en-GB", None),
    ],
)
def test_reason(text: str, lang: str | None, reason: str | None) -> None:
    assert why(text, lang) == reason


@pytest.mark.parametrize("lang", [None, "", "und", "zxx", "qme", "qht", "qst", "qct", "qam", "art"])
def test_unknown_language_is_identified(lang: str | None) -> None:
    assert why(ENGLISH, lang) is None
    assert why(GERMAN, lang) == "language"


@pytest.mark.parametrize(
    ("lang", "expected"),
    [("EN", "en"), ("en_US", "en"), ("pt-BR", "pt"), ("in", "in"), ("qu", "qu"), ("qaa", None)],
)
def test_stated_language(lang: str, expected: str | None) -> None:
    assert stated_language(lang) == expected


def test_links_and_mentions_do_not_decide_the_language() -> None:
    german = "Das ist doch nicht wahr"
    link = "https://example.org/what-the-minister-said-about-the-new-law-and-why-it-matters"
    alone = language_probability(german, ["en"])
    assert language_probability(f"{link} @the_minister_said {german}", ["en"]) == pytest.approx(
        alone, abs=0.01
    )
    assert alone < 0.01


def test_language_model_is_loaded_only_when_the_language_is_unknown() -> None:
    program = (
        "import sys\n"
        "from detectors.tfidf import TfidfDetector\n"
        "from streams.records import Content\n"
        "def ask(lang): TfidfDetector().score([Content(platform='x', root_id='1', lang=lang,"
        " text='the minister said so')])\n"
        "ask('en'); print('py3langid' in sys.modules, 'sklearn' in sys.modules)\n"
        "ask(None); print('py3langid' in sys.modules, 'sklearn' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "False", "True", "False"]
