from __future__ import annotations

import pytest

from detectors.text.normalise import MAX_CHARACTERS, bigrams, features, normalise, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello World", ["hello", "world"]),
        ("STRASSE straße ﬁne Ｆｕｌｌ", ["strasse", "strasse", "fine", "full"]),  # NFKC, casefold
        ("#Covid19 ＃Impfung", ["covid19", "impfung"]),
        ("see https://t.co/AbC?x=1#y, now", ["see", "url", "now"]),
        ("see HTTP://EXAMPLE.ORG now", ["see", "url", "now"]),
        ("pic.twitter.com/abc and www.example.org", ["url", "and", "url"]),
        ("awww.example is no link", ["awww", "example", "is", "no", "link"]),
        ("@who said @cdc.bsky.social", ["said"]),
        ("RT @who: it rains", ["it", "rains"]),
        ("RT if you agree", ["rt", "if", "you", "agree"]),  # not a share's prefix
        ("mail me@example.org", ["mail", "me", "example", "org"]),  # not a mention
        ("fish &amp; chips", ["fish", "chips"]),
        ("don’t don't 'quoted'", ["don't", "don't", "quoted"]),
        ("1,234 in 2021; 5g", ["0", "000", "in", "0000", "5g"]),
        ("a\0b \ud800 c_d", ["a", "b", "c", "d"]),
        ("👍 ❤️", []),
        ("", []),
    ],
)
def test_words_of_normalised_text(text: str, expected: list[str]) -> None:
    assert words(normalise(text)) == expected


def test_only_the_beginning_is_read() -> None:
    assert normalise("a" * MAX_CHARACTERS + " end") == "a" * MAX_CHARACTERS


def test_features_are_words_then_pairs() -> None:
    assert features("A b c") == ["a", "b", "c", "a b", "b c"]
    assert bigrams(["alone"]) == []
