import pytest

from graph.followed import Followed, topic_key
from graph.headline import (
    MAX_KEYWORDS,
    STOP_WORDS,
    carries_keywords,
    headline_keywords,
    words_of,
)


@pytest.mark.parametrize(
    ("headline", "language", "keywords"),
    [
        ("Tap water in Vienna contains microchips", "en", "water vienna contains microchips"),
        ("Das Impfen der Kinder ist gefährlich", "de", "impfen kinder gefährlich"),
        ("La vacuna contra el virus no es segura", "es", "vacuna virus segura"),
        ("Le vaccin contre la grippe n'est pas sûr", "fr", "vaccin grippe n'est sûr"),
        ("NASA: asteroid 2024 YR4 will hit", "en", "nasa asteroid 2024 yr4 hit"),
        ("", "en", ""),
        ("it is what it is", "en", ""),
    ],
)
def test_keywords_are_what_a_headline_is_about(headline: str, language: str, keywords: str) -> None:
    found = headline_keywords(headline, language)
    assert set(found) >= set(keywords.split()) - {"tap"}
    assert not set(found) & STOP_WORDS[language]


@pytest.mark.parametrize(
    "word", ["पानी", "தண்ணீர்", "น้ำ", "مَاءٌ", "می\u200cخواهم", "İstanbul", "l’eau", "e\u0301te\u0301"]
)
def test_words_of_all_scripts_are_whole(word: str) -> None:
    assert carries_keywords(f"({word}), #x", [word])
    assert len(words_of(word)) == 1
    key = topic_key(f"word:{word}")
    assert topic_key(key) == key
    assert Followed.of([key]).find(f"... {word}!", []) == [key]


def test_words_with_the_same_letters_and_other_vowels_are_others() -> None:
    assert topic_key("word:पानी") != topic_key("word:पेन")
    assert Followed.of([topic_key("word:पानी")]).find("पुनः पुनः", []) == []
    assert not carries_keywords("पान", ["पानी"])


def test_names_and_numbers_stay_before_long_words() -> None:
    headline = "scientists misrepresented everything regarding Graz and 5G throughout yesterday"
    found = headline_keywords(headline, "en", max_keywords=3)
    assert {"graz", "5g"} <= set(found)
    assert len(found) == 3


def test_capitals_tell_nothing_where_every_word_has_one() -> None:
    found = headline_keywords("Mayor Bans Umbrellas In Graz Immediately", "en", max_keywords=2)
    assert found == ("umbrellas", "immediately")


def test_a_language_that_is_not_known_drops_the_stop_words_of_all() -> None:
    assert headline_keywords("the Wasser und l'eau for Pedro", "xx") == ("wasser", "l'eau", "pedro")
    assert headline_keywords("the Wasser und for Pedro") == ("wasser", "pedro")


def test_links_and_names_of_accounts_are_no_keywords() -> None:
    assert headline_keywords("@newsdesk quakes https://example.org/quake-of-2020", "en") == (
        "quakes",
    )


def test_a_word_counts_once_and_keeps_its_place() -> None:
    assert headline_keywords("Water, water and WATER pipes", "en") == ("water", "pipes")


def test_there_are_at_most_so_many() -> None:
    headline = " ".join(f"keyword{i}" for i in range(20))
    assert len(headline_keywords(headline, "en")) == MAX_KEYWORDS
    with pytest.raises(ValueError, match="max_keywords is 0"):
        headline_keywords(headline, max_keywords=0)


def test_a_post_belongs_if_it_has_all_keywords() -> None:
    keywords = ("Water", "microchips")
    assert carries_keywords("MICROCHIPS in the #water!", keywords)
    assert not carries_keywords("microchips in the waterfall", keywords)
    assert carries_keywords("microchips in the waterfall", keywords, at_least=1)
    assert not carries_keywords("read https://example.org/water-microchips", keywords)


@pytest.mark.parametrize(("keywords", "at_least"), [((), None), (("a",), 2), (("a",), 0)])
def test_a_rule_that_nothing_or_everything_fulfils_is_refused(
    keywords: tuple[str, ...], at_least: int | None
) -> None:
    with pytest.raises(ValueError, match="that cannot be"):
        carries_keywords("a", keywords, at_least)
