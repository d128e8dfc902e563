from __future__ import annotations

from datetime import UTC, datetime

import pytest

from detectors.social.attributes import (
    ACCOUNT_ATTRIBUTES,
    ATTRIBUTES,
    TEXT_ATTRIBUTES,
    account_attributes,
    text_attributes,
)
from detectors.social.categories import FIELDS
from detectors.social.lexicon import english, lexicon_for, lexicon_of
from streams.records import Author


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("", (0, 0, 0, 0, 0)),
        ("https://t.co/x http://a.b www.c.d t.co/y", (4, 0, 0, 0, 0)),
        ("#one #two#three a#b", (0, 2, 0, 0, 0)),
        ("@one a@b.de @two: @", (0, 0, 2, 0, 0)),
        ("what?! really?? no!", (0, 0, 0, 3, 2)),
        ("really？！ ＃one ＠two", (0, 1, 1, 1, 1)),
        ("https://x.org/?q=!#a@b", (1, 0, 0, 0, 0)),
    ],
)
def test_counts_in_a_text(text: str, counts: tuple[int, ...]) -> None:
    found = text_attributes(text, "en")
    assert tuple(found[name] for name in TEXT_ATTRIBUTES[:5]) == counts


def test_good_and_bad_words_are_counted_in_languages_we_have_words_of() -> None:
    def good_and_bad(text: str, lang: str | None, **options: object) -> tuple[float | None, ...]:
        found = text_attributes(text, lang, **options)  # type: ignore[arg-type]
        return found["n_positive_words"], found["n_negative_words"]

    assert good_and_bad("A great and happy day, but a terrible liar, a LIAR!", "en") == (2, 3)
    assert good_and_bad("Ein schöner Tag, aber eine Lüge", "de") == (None, None)
    assert good_and_bad("The agency approved this terrible vaccine on Monday", None) == (1, 1)
    assert good_and_bad("Das ist doch eine wirklich schreckliche Lüge gewesen", None) == (
        None,
        None,
    )
    german = lexicon_of("de", ["Schön"], ["Lüge", "schrecklich"])
    assert good_and_bad("Schön, aber eine LÜGE", "de", lexicons=[english(), german]) == (1, 1)
    assert good_and_bad("Schön, aber", "en", lexicons=[german]) == (None, None)


def test_a_language_is_taken_as_stated_first() -> None:
    german = lexicon_of("de", [], [])
    assert lexicon_for("This is English", "de", [english(), german]) is german
    assert lexicon_for("This is English, is it not", "und", [english(), german]) is english()


def test_vader_s_words_are_there() -> None:
    lexicon = english()
    assert 3_000 < len(lexicon.positive) < 4_000
    assert 3_500 < len(lexicon.negative) < 5_000
    assert len(lexicon.positive & lexicon.negative) < 10
    assert {"good", "love", "safe"} <= lexicon.positive
    assert {"bad", "hoax", "kill"} <= lexicon.negative


def test_figures_of_an_account() -> None:
    created = datetime(2020, 1, 1, tzinfo=UTC)
    account = Author(author_id="1", followers=0, following=7, verified=False, created_at=created)
    found = account_attributes(account, datetime(2020, 1, 2, 12, tzinfo=UTC))
    assert found == {
        "followers": 0,
        "following": 7,
        "n_posts": None,
        "account_age_days": 1.5,
        "verified": False,
    }
    assert account_attributes(account, None)["account_age_days"] is None
    before = datetime(2019, 1, 1, tzinfo=UTC)
    assert account_attributes(account, before)["account_age_days"] is None
    assert account_attributes(None, created) == dict.fromkeys(ACCOUNT_ATTRIBUTES)


def test_each_attribute_has_a_field() -> None:
    assert tuple(field.name for field in FIELDS) == ATTRIBUTES
    found = {**text_attributes("a"), **account_attributes(None, None)}
    assert set(found) == set(ATTRIBUTES)


def test_hostile_texts_are_counted() -> None:
    for text in ("\0", "\ud800 #\udfff", "#" * 100_000, "@" * 100_000, "http://" * 20_000):
        assert text_attributes(text)["n_links"] is not None
