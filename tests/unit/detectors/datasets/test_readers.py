"""Each reader on a few made-up rows in its set's format, and on the real files where they are."""

from __future__ import annotations

import lzma
import os
from collections import Counter
from pathlib import Path
from zipfile import ZipFile

import pytest

from detectors.datasets import DATASETS, UnknownDataset, read_dataset
from detectors.datasets.calm import halves, read_calm_posts
from detectors.datasets.isot import without_agency
from detectors.datasets.labelled import MissingDataset
from detectors.datasets.near_duplicates import near_duplicate_groups

FALSE, TRUE = "likely_false", "likely_true"


@pytest.fixture
def real_data() -> Path:
    folder = os.environ.get("HOAXWATCH_TEST_DATA")
    if not folder:
        pytest.skip("HOAXWATCH_TEST_DATA names no folder with the public data sets")
    return Path(folder)


def liar_row(rating: str, statement: str) -> str:
    return "\t".join(["1.json", rating, statement, *["x"] * 11]) + "\n"


def test_liar_keeps_the_clear_ratings_and_stray_quotes(tmp_path: Path) -> None:
    (tmp_path / "liar_train.tsv").write_text(
        liar_row("true", '"We won, he says')  # an opening quote without an end
        + liar_row("half-true", "So so")
        + liar_row("barely-true", "Hardly")
        + liar_row("pants-fire", "Moon is cheese")
        + liar_row("mostly-true", "Taxes rose")
    )
    (tmp_path / "liar_valid.tsv").write_text(liar_row("false", "Taxes fell"))
    read = read_dataset("liar", tmp_path)
    assert [(r.split, r.label, r.text) for r in read] == [
        ("train", TRUE, '"We won, he says'),
        ("train", FALSE, "Moon is cheese"),
        ("train", TRUE, "Taxes rose"),
        ("test", FALSE, "Taxes fell"),
    ]


def test_constraint_reads_packed_files(tmp_path: Path) -> None:
    with lzma.open(tmp_path / "constraint_train.csv.xz", "wt") as file:
        file.write('id,tweet,label\n1,"Two\nlines, one post",real\n2,Garlic cures,fake\n')
    (tmp_path / "constraint_val.csv").write_text("id,tweet,label\n1,Masks are poison,fake\n")
    assert [(r.split, r.label, r.text) for r in read_dataset("constraint", tmp_path)] == [
        ("train", TRUE, "Two\nlines, one post"),
        ("train", FALSE, "Garlic cures"),
        ("test", FALSE, "Masks are poison"),
    ]


def test_covid19_rumour_sets_drop_the_unverified(tmp_path: Path) -> None:
    (tmp_path / "covid19_rumor_tweets.csv").write_text(
        "label,content,source,author,time\nT,It spreads,,,\nU,Who knows,,,\nF,It is a hoax,,,\n"
    )
    (tmp_path / "covid19_rumor_news.csv").write_text(
        "\ufeff3,F,First row is no header,3\n4,U,Who knows,3\n5,U(Twitter),Hm,3\n6,T,It spreads,4\n"
    )
    tweets = read_dataset("covid19_rumour_tweets", tmp_path)
    news = read_dataset("covid19_rumour_news", tmp_path)
    assert [(r.label, r.text) for r in tweets] == [(TRUE, "It spreads"), (FALSE, "It is a hoax")]
    assert [(r.label, r.text) for r in news] == [
        (FALSE, "First row is no header"),
        (TRUE, "It spreads"),
    ]
    assert {r.split for r in tweets + news} == {None}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("WASHINGTON (Reuters) - The Senate met.", "The Senate met."),
        ("(Reuters) - He said so.", "He said so."),
        ("NEW YORK (LPC/IFR) - Regulators met.", "Regulators met."),
        ("WASHINGTON () - The Senate met.", "The Senate met."),
        ("WASHINGTON (Reuters on Friday ) - A memo.", "A memo."),
        ("WASHINGTON - Some senators left.", "Some senators left."),
        (
            " (Corrects spelling of name) By Jane Doe SACRAMENTO (Reuters) - Fires burn.",
            "Fires burn.",
        ),
        ("He told Reuters that it (the law) - an old one - stays.", None),
        ("Nothing to strip - at all.", "Nothing to strip - at all."),
        ("Senator Doe (R-TX) - who left - said no.", "Senator Doe (R-TX) - who left - said no."),
    ],
)
def test_isot_hides_the_agency(text: str, expected: str | None) -> None:
    stripped = without_agency(text)
    assert "reuters" not in stripped.casefold()
    if expected is not None:
        assert stripped == expected


def test_isot_joins_title_and_body_and_leaves_tweet_digests_out(tmp_path: Path) -> None:
    head = "title,text,subject,date\n"
    digest = "The following statements\xa0were posted to the verified Twitter accounts of X"
    (tmp_path / "isot_true.csv").write_text(
        f'{head}Senate meets,"WASHINGTON (Reuters) - It met.",p,d\nOn Twitter,"{digest}",p,d\n'
    )
    (tmp_path / "isot_fake.csv").write_text(f"{head} Shock ,He lied.,p,d\n")
    assert [(r.label, r.text) for r in read_dataset("isot", tmp_path)] == [
        (TRUE, "Senate meets. It met."),
        (FALSE, "Shock. He lied."),
    ]


def test_horne2017_joins_titles_and_drops_satire(tmp_path: Path) -> None:
    with ZipFile(tmp_path / "horne2017.zip", "w") as archive:
        for kind in ("Fake", "Real", "Satire"):
            archive.writestr(f"Public Data/Random/{kind}/1_{kind}.txt", f"{kind} body\n")
            archive.writestr(f"Public Data/Random/{kind}_titles/1_{kind}.txt", b"\x93T\x94")
    assert [(r.label, r.text, r.source) for r in read_dataset("horne2017", tmp_path)] == [
        (FALSE, "“T”. Fake body", "Random"),
        (TRUE, "“T”. Real body", "Random"),
    ]


def test_shorttext_s_one_is_real(tmp_path: Path) -> None:
    (tmp_path / "shorttext_train.csv").write_text("text,label\nchecked,1\nmade up,0\n")
    assert [(r.label, r.text) for r in read_dataset("shorttext", tmp_path)] == [
        (TRUE, "checked"),
        (FALSE, "made up"),
    ]


@pytest.mark.parametrize("name", DATASETS)
def test_missing_file_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(MissingDataset, match=rf"no \w+\.(tsv|csv|zip) .* in .*{tmp_path.name}"):
        read_dataset(name, tmp_path)


def test_wrong_file_is_told_by_its_missing_column(tmp_path: Path) -> None:
    (tmp_path / "shorttext_train.csv").write_text("headline,label\na,1\n")
    with pytest.raises(MissingDataset, match=r"shorttext_train.csv has no column 'text'"):
        read_dataset("shorttext", tmp_path)


def test_unknown_set_is_told_with_the_known_ones() -> None:
    with pytest.raises(UnknownDataset, match="no data set is called 'lair'; there are: constraint"):
        read_dataset("lair", Path())


def test_calm_posts_are_distinct_originals_in_one_language(tmp_path: Path) -> None:
    head = "id,text,lang,retweeted_id\n"
    (tmp_path / "a.csv").write_text(head + "1,first,en,\n2,RT first,en,1\n3,zweiter,de,\n")
    (tmp_path / "b.csv").write_text(head + "1,first again,en,\n4,second,en,\n")
    assert read_calm_posts(tmp_path) == ["first", "second"]
    with pytest.raises(MissingDataset, match="no CSV file of tweets"):
        read_calm_posts(tmp_path / "empty")


def test_halves_keep_near_duplicates_together_and_lose_nothing() -> None:
    texts = [f"post number {word} about rocks" for word in "abcdefghijklmnopqrst"] * 2
    first, second = halves(texts)
    assert sorted(first + second) == sorted(texts)
    assert first and second
    assert not set(first) & set(second)


REAL_COUNTS = {
    "liar": (3219, 4069),
    "constraint": (4080, 4480),
    "covid19_rumour_tweets": (3681, 1878),
    "covid19_rumour_news": (3041, 659),
    "isot": (324, 539),
    "horne2017": (123, 128),
    "shorttext": (21390, 3946),
}


@pytest.mark.parametrize("name", DATASETS)
def test_real_sets_are_read_whole(real_data: Path, name: str) -> None:
    records = read_dataset(name, real_data / "text")
    counts = Counter[str](record.label for record in records)
    assert (counts[FALSE], counts[TRUE]) == REAL_COUNTS[name]
    assert {record.dataset for record in records} == {name}
    assert all(record.text.strip() for record in records)


def test_no_real_isot_article_names_its_agency(real_data: Path) -> None:
    true = [r for r in read_dataset("isot", real_data / "text") if r.label == TRUE]
    assert not [r.text for r in true if "reuters" in r.text.casefold() or "() - " in r.text]


def test_near_duplicate_groups_by_brute_force() -> None:
    text = "the moon is made of green cheese and nobody can say why it is so"
    words = text.split()
    texts = [" ".join(words[i : i + 7]) for i in range(0, 9, 4)] + ["the moon", "the moon", "so"]
    # texts 0, 1, 2 overlap by three words each: no shingle of four is shared
    assert near_duplicate_groups(texts) == [0, 1, 2, 3, 3, 5]
    assert near_duplicate_groups([*texts, text]) == [0, 0, 0, 3, 3, 5, 0]
