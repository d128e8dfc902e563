"""Labelled posts as one file: what is read, what is refused, and how it is divided."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from detectors.datasets.labelled import LabelledPost
from detectors.datasets.near_duplicates import near_duplicate_groups
from detectors.datasets.prepared import (
    BadData,
    apart_from,
    divide,
    parse_words,
    read_posts_file,
    read_posts_files,
    with_splits,
    with_text,
    write_posts_file,
)
from detectors.labels import LABELS
from tests.made_up_sets import sentence


def made_up(n: int = 200) -> list[LabelledPost]:
    rng = random.Random(3)
    return [
        LabelledPost(
            dataset="made up",
            split=None,
            post_id=f"{i:03}",
            text=sentence(rng, i % 2 == 1),
            label=LABELS[i % 2],
            event=f"event {i % 20}",
            author_id=f"account {i % 25}",
            posted_at=datetime(2020, 1, 1, tzinfo=UTC) + timedelta(hours=i),
            attributes={"followers": float(i), "verified": None},
            source="one" if i % 3 else "other",
        )
        for i in range(n)
    ]


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    posts = made_up(4)
    assert write_posts_file(tmp_path / "a.jsonl", posts) == 4
    again = read_posts_file(tmp_path / "a.jsonl")
    assert [p._replace(attributes={}) for p in again] == [p._replace(attributes={}) for p in posts]
    assert [p.attributes for p in again] == [{"followers": float(i)} for i in range(4)]


def test_what_is_written_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    texts = [" \n", "half a smile \ud83d", "", "and no more"]
    posts = [post._replace(text=text) for post, text in zip(made_up(4), texts, strict=True)]
    assert write_posts_file(path, with_text(posts)) == 2
    assert [p.text for p in read_posts_file(path)] == ["half a smile ?", "and no more"]
    before = path.read_bytes()
    with pytest.raises(TypeError):
        write_posts_file(path, [posts[3], posts[3]._replace(label=object())])  # type: ignore[arg-type]
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_csv_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(
        "text,label,followers,verified,note,posted_at\n"
        '"It is, they say, so",1,12,true,odd,2020-03-01\n'
        "It is not,0,,false,,\n"
    )
    first, second = read_posts_file(path, parse_words("1=likely_false,0=likely_true"))
    assert (first.text, first.label, first.post_id) == ("It is, they say, so", "likely_false", "2")
    assert first.attributes == {"followers": 12.0, "verified": 1.0}
    assert first.posted_at == datetime(2020, 3, 1, tzinfo=UTC)
    assert (second.label, second.attributes, second.posted_at) == (
        "likely_true",
        {"verified": 0.0},
        None,
    )


@pytest.mark.parametrize(
    ("name", "written", "said"),
    [
        ("a.txt", "", r"ends neither in \.jsonl nor in \.csv"),
        ("gone.csv", None, r"cannot read .*gone\.csv: No such file"),
        ("a.csv", "tweet,label\na,b\n", r"has no column 'text', it has tweet, label"),
        ("a.csv", "text,label\na,1\nb,0\n", r"line 2: label '1' is no word.*--labels 1="),
        ("a.csv", "text,label\na,x\nb,x\n", r"all 2 posts of .* are labelled 'x'"),
        ("a.csv", "text,label\n,x\nb,y\n", r"line 2: no text"),
        ("a.csv", "text,label,split\na,x,dev\n", r"split is 'dev'; write train, validation or"),
        ("a.csv", "text,label,posted_at\na,x,1 March\n", r"posted_at is '1 March'; write it as"),
        ("a.csv", "text,label\n", r"holds no post"),
        ("a.csv", b"text,label\n\xff,x\n", r"is not UTF-8"),
        ("a.jsonl", "{]\n", r"line 1: not JSON"),
        ("a.jsonl", "[1]\n", r"line 1: not an object"),
        ("a.jsonl", '{"text":"a","label":"x","attributes":{"n":"1"}}\n', r"an object of numbers"),
    ],
)
def test_what_cannot_be_used_is_said_in_one_line(
    tmp_path: Path, name: str, written: str | bytes | None, said: str
) -> None:
    path = tmp_path / name
    if isinstance(written, str):
        path.write_text(written)
    elif written is not None:
        path.write_bytes(written)
    with pytest.raises(BadData, match=said) as caught:
        read_posts_files([path])
    assert "\n" not in str(caught.value)


def test_labels_without_a_word_are_refused() -> None:
    with pytest.raises(BadData, match="write it as fake=likely_false"):
        parse_words("1=0")


@pytest.mark.parametrize(("way", "field"), [("account", "author_id"), ("event", "event")])
def test_no_account_or_event_is_on_two_sides(way: str, field: str) -> None:
    splits = defaultdict(set)
    divided = divide(made_up(), way)
    for post in divided:
        splits[getattr(post, field)].add(post.split)
    assert max(map(len, splits.values())) == 1
    assert {post.split for post in divided} == {"train", "validation", "test"}


def test_the_newest_are_tested() -> None:
    times = defaultdict(list)
    for post in divide(made_up(), "time"):
        assert post.posted_at is not None
        times[post.split].append(post.posted_at)
    assert max(times["train"]) < min(times["validation"])
    assert max(times["validation"]) < min(times["test"])
    assert len(times["test"]) == 40


def test_near_duplicates_are_on_one_side_and_seeds_decide() -> None:
    posts = made_up()
    again = [
        post._replace(text=f"{post.text} really", post_id=f"r{post.post_id}") for post in posts
    ]
    divided = divide([*posts, *again], "random")
    splits = defaultdict(set)
    groups = near_duplicate_groups([post.text for post in divided])
    for group, post in zip(groups, divided, strict=True):
        splits[group].add(post.split)
    assert max(map(len, splits.values())) == 1
    assert divided == divide([*posts, *again], "random")
    assert divided != divide([*posts, *again], "random", seed=1)


def test_varied_copies_of_one_text_are_on_one_side_however_many() -> None:
    rng = random.Random(4)
    spread = "scientists found tracking particles in the tap water and nobody talks about it"
    copies = [
        post._replace(text=f"{sentence(rng, True)[:20]} {spread} {i}", label=LABELS[1])
        for i, post in enumerate(made_up(150))
    ]
    splits = {p.split for p in divide([*made_up(400), *copies], "random") if spread in p.text}
    assert len(splits) == 1


@pytest.mark.parametrize("n_words", [4, 5])
def test_a_post_that_is_what_all_were_collected_by_does_not_join_them(n_words: int) -> None:
    rng = random.Random(5)
    phrase = " ".join(["tracking", "chips", "in", "the", "water"][-n_words:])
    posts = [
        post._replace(text=f"{sentence(rng, True)} {phrase} {sentence(rng, True)}")
        for post in made_up(600)
    ]
    alone = posts[0]._replace(text=phrase, post_id="alone")
    shares = {
        split: n / 601
        for split, n in Counter(p.split for p in divide([*posts, alone], "random")).items()
    }
    assert shares == pytest.approx({"train": 0.7, "validation": 0.1, "test": 0.2}, abs=0.02)


def test_posts_that_all_tell_the_same_cannot_be_divided() -> None:
    same = [post._replace(text="the same words in all of them") for post in made_up()]
    with pytest.raises(BadData, match=r"only 1 group.*near-duplicates.*column split"):
        divide(same, "random")
    tested = [post._replace(split="test" if i < 100 else None) for i, post in enumerate(same)]
    with pytest.raises(BadData, match="only 0 groups"):
        divide(tested, "published")


def on_one_side(posts: list[LabelledPost]) -> bool:
    """Whether there are three splits, and no picture in two of them."""
    sides = defaultdict(set)
    for post in posts:
        for image in (*post.image_ids, *post.images):
            sides[image].add(post.split)
    assert {post.split for post in posts} == {"train", "validation", "test"}
    return max(map(len, sides.values())) == 1


@pytest.mark.parametrize("field", ["image_ids", "images"])
def test_a_picture_is_on_one_side(field: str) -> None:
    posts = made_up(400)
    for i, post in enumerate(posts[:360]):
        name = f"{i // 6}.jpg"
        as_file = post._replace(images=(Path(name),))
        posts[i] = as_file if field == "images" else post._replace(image_ids=(name,))
    assert on_one_side(divide(posts, "random"))
    assert on_one_side(with_splits(posts))
    tested = [post._replace(split="test" if i < 60 else None) for i, post in enumerate(posts)]
    assert on_one_side(with_splits(tested))
    assert on_one_side(divide(tested, "published"))


def test_a_source_that_is_held_out_is_the_test_split() -> None:
    divided = divide(made_up(), "source", held_out=["other"])
    assert {post.source for post in divided if post.split == "test"} == {"other"}
    assert {post.source for post in divided if post.split != "test"} == {"one"}


@pytest.mark.parametrize(
    ("way", "held_out", "said"),
    [
        ("source", (), "only 2 different sources.*--held-out"),
        ("source", ("third",), "no post has source 'third'; there are one, other"),
        ("source", ("one", "other"), "nothing is left to train on"),
        ("time", ("one",), "--held-out goes with --split account or event or source"),
        ("published", (), "no published test split"),
        ("weekday", (), "'weekday' is none of random"),
    ],
)
def test_ways_that_cannot_be_gone(way: str, held_out: tuple[str, ...], said: str) -> None:
    with pytest.raises(BadData, match=said):
        divide(made_up(), way, held_out=held_out)


def test_what_posts_do_not_say_cannot_divide_them() -> None:
    posts = [post._replace(author_id=None, posted_at=None) for post in made_up()]
    with pytest.raises(BadData, match="200 of 200 posts do not say their account"):
        divide(posts, "account")
    with pytest.raises(BadData, match="the time is not known"):
        divide(posts, "time")
    with pytest.raises(BadData, match="only 5 posts are labelled 'likely_true': 20 of each"):
        divide(posts[:10], "random")


def test_open_splits_are_drawn_and_drawn_the_same_again() -> None:
    posts = [p._replace(split="test" if i < 20 else None) for i, p in enumerate(made_up())]
    found = with_splits(posts)
    assert [post.post_id for post in found if post.split == "test"] == [
        f"{i:03}" for i in range(20)
    ]
    assert 5 < sum(post.split == "validation" for post in found) < 40
    assert found == with_splits(posts)


def test_posts_apart_from_another_file() -> None:
    posts = made_up(30)
    other = [posts[0]._replace(text=f"{posts[0].text} so it is")]
    assert apart_from(posts, other) == posts[1:]
