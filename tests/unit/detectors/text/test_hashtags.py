from __future__ import annotations

from itertools import combinations
from math import log10

import pytest

from detectors.text.hashtags import HashtagSegmenter


@pytest.fixture(scope="module")
def english() -> HashtagSegmenter:
    return HashtagSegmenter()


@pytest.mark.parametrize(
    ("tag", "words"),
    [
        ("vaccineinjury", "vaccine injury"),
        ("#vaccinecauseautism", "vaccine cause autism"),
        ("bigpharma", "big pharma"),
        ("INFORMEDCONSENT", "informed consent"),
        ("VaccinesKill", "vaccines kill"),  # not "vaccine skill", as vaccineskill would be
        ("COVIDisaHoax", "covid is a hoax"),  # not "covi disa hoax"
        ("CDCwhistleblower", "cdc whistleblower"),
        ("learn_the_risk", "learn the risk"),
        ("plandemictruth", "plandemic truth"),  # younger than the counts
        ("dothe5gresearch", "do the 5g research"),
        ("egu23", "egu23"),
        ("MH17", "mh17"),
        ("xqzzvkjw", "xqzzvkjw"),
        ("Überprüfung", "überprüfung"),
        ("疫苗", "疫苗"),
        ("", ""),
        ("###", ""),
        ("#👍", "👍"),
    ],
)
def test_tags_are_cut_into_words(english: HashtagSegmenter, tag: str, words: str) -> None:
    assert " ".join(english.words(tag)) == words


def test_the_package_would_cut_alike(english: HashtagSegmenter) -> None:
    from wordsegment import Segmenter

    theirs = Segmenter()
    theirs.load()
    ours = HashtagSegmenter([])
    for tag in ("prayforboston", "hurricanesandy", "learntherisk", "germanysnexttopmodel"):
        assert ours.words(tag) == tuple(theirs.segment(tag))


def test_the_user_s_words_and_another_language() -> None:
    tag = "impfpflichtwahnsinn"
    assert HashtagSegmenter(["Impfpflicht"], "de").words(tag) == (tag,)
    assert HashtagSegmenter(["Impfpflicht", "Wahnsinn"], "de").words(tag) == (
        "impfpflicht",
        "wahnsinn",
    )


def test_the_division_is_the_likeliest_of_all() -> None:
    words = ["a", "ab", "abc", "b", "bc", "c", "cab", "bca"]
    cut = HashtagSegmenter(words, language="none")
    for text in ("abcabc", "cabbca", "ccabab"):
        divisions = [
            tuple(text[i:j] for i, j in zip((0, *at), (*at, len(text)), strict=True))
            for n in range(len(text))
            for at in combinations(range(1, len(text)), n)
        ]
        known = [division for division in divisions if set(division) <= set(words)]
        # each known word is equally likely here, so the likeliest division has the fewest words
        assert len(cut.words(text)) == min(map(len, known))


def test_a_very_long_tag_costs_little(english: HashtagSegmenter) -> None:
    assert sum(map(len, english.words("a" * 1_000_000))) == 100


def test_a_word_of_the_user_outweighs_its_parts() -> None:
    assert HashtagSegmenter([]).words("plandemic") == ("plan", "demic")
    assert log10(1e8 / 1_024_908_267_229.0) > -5
    assert HashtagSegmenter(["plandemic"]).words("plandemic") == ("plandemic",)
