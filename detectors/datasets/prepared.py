"""Labelled posts as one file: what `datasets prepare` writes, and what users bring of their own.

    posts.jsonl   one object a line: text, label, and what else is known of a LabelledPost
    posts.csv     columns text and label; others may be there

A label is a word. A file that says 0 and 1 is not guessed at: sets disagree on what they mean.
"""

from __future__ import annotations

import csv
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import Any, get_args

from detectors.datasets.groups import (
    connected_groups,
    groups_by_image,
    groups_by_image_or_text,
    groups_by_text,
    split_by_group,
    without_leaks,
)
from detectors.datasets.labelled import LabelledPost, Split, open_text
from detectors.datasets.splits import uniform
from detectors.long_rows import long_rows

#: By what a set is divided.
WAYS = ("random", "account", "event", "time", "source", "published")
#: Texts of each class that a set needs to be divided.
MIN_PER_CLASS = 20
VALIDATION_TENTHS, TEST_TENTHS = 1, 2

#: Groups of which splits are drawn; of fewer the user names those that are tested.
MIN_GROUPS = 10

_KEYS: dict[str, Callable[[LabelledPost], str | None]] = {
    "account": lambda post: post.author_id,
    "event": lambda post: post.event,
    "source": lambda post: post.source,
}
_KNOWN = ("event", "author_id", "lang", "source", "platform")
_COLUMNS = ("text", "label", "split", "dataset", "post_id", *_KNOWN, "posted_at")
_SUFFIXES = (".jsonl", ".csv")


class BadData(ValueError):
    """A file of labelled posts that cannot be used; the message says what to do."""


def read_posts_file(path: Path, words: Mapping[str, str] | None = None) -> list[LabelledPost]:
    """The posts of a JSON-lines or CSV file, which may be packed with xz.

    words: what the file's labels are called here, as {"fake": "likely_false"}; without it they stay
    as they are. Columns of a CSV that are none of ours and hold numbers are attributes; an empty
    field is "not known". Raises: BadData.
    """
    suffix = Path(path.name.removesuffix(".xz")).suffix
    if suffix not in _SUFFIXES:
        raise BadData(
            f"{path} ends neither in .jsonl nor in .csv (nor with .xz after it): rename it, or "
            "make one of a known set with hoaxwatch datasets prepare"
        )
    rows = _json_rows if suffix == ".jsonl" else _csv_rows
    try:
        posts = [_post(path, number, row, words) for number, row in rows(path)]
    except OSError as error:
        raise BadData(f"cannot read {path}: {error.strerror}; check the path") from None
    except UnicodeDecodeError as error:
        raise BadData(f"{path} is not UTF-8 ({error.reason}): save it as UTF-8") from None
    if not posts:
        raise BadData(f"{path} holds no post: it wants one a line, with text and label")
    return posts


def read_posts_files(
    paths: Sequence[Path], words: Mapping[str, str] | None = None
) -> list[LabelledPost]:
    """The posts of all these files. Raises: BadData, also where all have one label: sets of one
    class are joined with others."""
    posts = [post for path in paths for post in read_posts_file(path, words)]
    if len({post.label for post in posts}) == 1:
        raise BadData(
            f"all {len(posts)} posts of {', '.join(map(str, paths))} are labelled "
            f"{posts[0].label!r}: two classes at least are needed, so name another file as well"
        )
    return posts


def write_posts_file(path: Path, posts: Iterable[LabelledPost]) -> int:
    """Writes posts as JSON lines, without what is not known; how many. All of them or no file; a
    lone surrogate, which UTF-8 does not have, becomes a question mark. Raises: OSError."""
    n = 0
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with part.open("w", encoding="utf-8", errors="replace", newline="\n") as out:
            for post in posts:
                out.write(json.dumps(_row(post), ensure_ascii=False) + "\n")
                n += 1
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return n


def _row(post: LabelledPost) -> dict[str, Any]:
    row: dict[str, Any] = {
        name: value for name, value in post._asdict().items() if value not in (None, ())
    }
    if post.posted_at is not None:
        row["posted_at"] = post.posted_at.isoformat()
    if post.images:
        row["images"] = [str(image) for image in post.images]
    known = {key: value for key, value in post.attributes.items() if value is not None}
    row["attributes"] = known
    return row


def with_text(posts: Iterable[LabelledPost]) -> list[LabelledPost]:
    """The posts that have a text; without one a file of posts is refused."""
    return [post for post in posts if post.text.strip()]


def _json_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with open_text(path) as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise BadData(f"{path}, line {number}: not JSON ({error})") from None
            if not isinstance(row, dict):
                raise BadData(f"{path}, line {number}: not an object with text and label")
            yield number, row


def _csv_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with open_text(path) as lines:
        reader = csv.DictReader(lines)
        there = [name for name in reader.fieldnames or () if name]
        for wanted in ("text", "label"):
            if wanted not in there:
                raise BadData(
                    f"{path} has no column {wanted!r}, it has {', '.join(there) or 'none'}: "
                    f"call the one that holds the {wanted} so"
                )
        for row in long_rows(reader):
            known = {name: row[name] for name in there if row[name] not in (None, "")}
            attributes = {
                name: value
                for name, written in known.items()
                if name not in _COLUMNS and (value := _number(written)) is not None
            }
            plain = {name: known[name] for name in known if name in _COLUMNS}
            yield reader.line_num, {**plain, "attributes": attributes}


def _number(written: str) -> float | None:
    if written.casefold() in ("true", "false"):
        return float(written.casefold() == "true")
    try:
        value = float(written)
    except ValueError:
        return None
    return value if isfinite(value) else None


def _post(
    path: Path, number: int, row: Mapping[str, Any], words: Mapping[str, str] | None
) -> LabelledPost:
    where = f"{path}, line {number}"
    text, label = row.get("text"), str(row.get("label", "")).strip()
    if not isinstance(text, str) or not text.strip():
        raise BadData(f"{where}: no text; leave the row out or fill it in")
    label = label_in_words(label, words, where)
    split = row.get("split")
    if split is not None and split not in get_args(Split):
        raise BadData(f"{where}: split is {split!r}; write train, validation or test, or nothing")
    try:
        written = row.get("posted_at")
        moment = None if written is None else datetime.fromisoformat(str(written))
    except ValueError:
        raise BadData(
            f"{where}: posted_at is {written!r}; write it as 2020-03-01T12:00:00+00:00"
        ) from None
    attributes = row.get("attributes", {})
    if not isinstance(attributes, Mapping) or not all(
        isinstance(value, int | float) for value in attributes.values()
    ):
        raise BadData(f"{where}: attributes is to be an object of numbers")
    rest = {name: str(row[name]) for name in _KNOWN if name in row}
    return LabelledPost(
        dataset=str(row.get("dataset", path.name)),
        split=split,
        post_id=str(row.get("post_id", number)),
        text=text,
        label=label,
        posted_at=moment if moment is None or moment.tzinfo else moment.replace(tzinfo=UTC),
        image_ids=tuple(row.get("image_ids", ())),
        images=tuple(Path(image) for image in row.get("images", ())),
        attributes={name: float(value) for name, value in attributes.items()},
        **rest,
    )


def label_in_words(label: str, words: Mapping[str, str] | None, where: str) -> str:
    """What a file's label is called here. Raises: BadData for a number, or one with no word.

    >>> label_in_words("1", {"1": "likely_false", "0": "likely_true"}, "a.csv, line 2")
    'likely_false'
    """
    if words is not None:
        if label not in words:
            raise BadData(
                f"{where}: label {label!r} has no word; --labels names {', '.join(words)}"
            )
        return words[label]
    if not label or not any(character.isalpha() for character in label):
        raise BadData(
            f"{where}: label {label!r} is no word, and data sets disagree on what a number means: "
            "say --labels 1=likely_false,0=likely_true, or the other way round"
        )
    return label


def parse_words(text: str) -> dict[str, str]:
    """What `--labels` says. Raises: BadData.

    >>> parse_words("fake=likely_false, real=likely_true")
    {'fake': 'likely_false', 'real': 'likely_true'}
    """
    words = {}
    for part in text.split(","):
        written, sign, word = (piece.strip() for piece in part.partition("="))
        if not sign or not any(character.isalpha() for character in word):
            raise BadData(f"--labels {text!r}: write it as fake=likely_false,real=likely_true")
        words[written] = word
    return words


def class_counts(posts: Iterable[LabelledPost]) -> Counter[str]:
    """How many posts have each label."""
    return Counter(post.label for post in posts)


def divide(
    posts: Sequence[LabelledPost], way: str, seed: int = 0, held_out: Sequence[str] = ()
) -> list[LabelledPost]:
    """The posts with their splits, 7 : 1 : 2, without those that would leak.

    random      whichever, as the papers do, but posts that share a picture stay together, as do
                those without one whose texts are near-duplicates
    account, event, source
                no account (event, source) is on two sides; where an event's set has a published
                test split, those are the test events, and validation is drawn by picture
    time        the newest are tested, what comes before them validates
    published   the published test split; validation is drawn

    held_out: the accounts, events or sources that are tested, instead of some that are drawn.
    In each, a post that nearly repeats one of a stronger split is left out (`without_leaks`).
    Raises: BadData if the posts do not have what they are to be divided by, or are too few.
    """
    counts = class_counts(posts)
    if not counts:
        raise BadData("no post is left to divide: all nearly repeat one of another file")
    label, n = min(counts.items(), key=lambda item: item[1])
    if n < MIN_PER_CLASS:
        raise BadData(
            f"only {n} posts are labelled {label!r}: {MIN_PER_CLASS} of each class are needed to "
            "divide them; give more, or a column split"
        )
    if way not in WAYS:
        raise BadData(f"--split {way!r} is none of {', '.join(WAYS)}")
    if held_out:
        posts, way = _holding_out(posts, way, held_out), "published"
    if way == "time":
        splits = _by_time(posts)
        return [p._replace(split=s) for p, s in zip(posts, splits, strict=True) if s is not None]
    has_test = any(post.split == "test" for post in posts)
    if way == "published" and not has_test:
        raise BadData("this set has no published test split: choose another --split")
    if way in _KEYS and not (way == "event" and has_test):
        keys = _keys(posts, way)
        if len(set(keys)) < MIN_GROUPS:
            raise BadData(
                f"the posts have only {len(set(keys))} different {way}s, too few to draw from: say "
                "which are tested with --held-out"
            )
        groups = connected_groups([[key] for key in keys])
    else:
        groups = groups_by_image(posts) if way == "event" else groups_by_image_or_text(posts)
    keep_published = way in ("event", "published")
    _check_groups(posts, groups, keep_published)
    splits = split_by_group(
        posts,
        groups,
        test_tenths=TEST_TENTHS,
        validation_tenths=VALIDATION_TENTHS,
        seed=seed,
        keep_published=keep_published,
    )
    return [p._replace(split=s) for p, s in zip(posts, splits, strict=True) if s is not None]


def _check_groups(
    posts: Sequence[LabelledPost], groups: Sequence[int], keep_published: bool
) -> None:
    tested = {g for g, post in zip(groups, posts, strict=True) if post.split == "test"}
    n = len(set(groups) - (tested if keep_published else set()))
    if n < MIN_GROUPS:
        raise BadData(
            f"the posts to draw from are only {n} group{'' if n == 1 else 's'} of near-duplicates "
            f"or of shared pictures, {MIN_GROUPS} are needed: give posts that differ more, or a "
            "column split"
        )


def _keys(posts: Sequence[LabelledPost], way: str) -> list[str]:
    found = [_KEYS[way](post) for post in posts]
    known = [key for key in found if key is not None]
    if len(known) < len(posts):
        n = len(posts) - len(known)
        raise BadData(f"{n} of {len(posts)} posts do not say their {way}: choose another --split")
    return known


def _holding_out(
    posts: Sequence[LabelledPost], way: str, held_out: Sequence[str]
) -> list[LabelledPost]:
    if way not in _KEYS:
        raise BadData(f"--held-out goes with --split {' or '.join(_KEYS)}, not with {way}")
    keys = _keys(posts, way)
    for name in held_out:
        if name not in keys:
            some = ", ".join(sorted(set(keys))[:10])
            raise BadData(f"no post has {way} {name!r}; there are {some}")
    tested = set(held_out)
    if not set(keys) - tested:
        raise BadData("--held-out names all there are: nothing is left to train on")
    return [
        post._replace(split="test" if key in tested else None)
        for post, key in zip(posts, keys, strict=True)
    ]


def _by_time(posts: Sequence[LabelledPost]) -> list[Split | None]:
    if any(post.posted_at is None for post in posts):
        n = sum(post.posted_at is None for post in posts)
        raise BadData(f"of {n} of {len(posts)} posts the time is not known: choose another --split")
    moments = [post.posted_at or datetime.min for post in posts]
    order = sorted(range(len(posts)), key=lambda i: (moments[i], posts[i].post_id))
    splits: list[Split] = ["train"] * len(posts)
    n_test, n_validation = (
        len(posts) * tenths // 10 for tenths in (TEST_TENTHS, VALIDATION_TENTHS)
    )
    for i in order[-n_test - n_validation :]:
        splits[i] = "validation"
    for i in order[-n_test:]:
        splits[i] = "test"
    return without_leaks(posts, splits)


def with_splits(posts: Sequence[LabelledPost], seed: int = 0) -> list[LabelledPost]:
    """The posts with the splits of their file; what it leaves open is drawn.

    No split at all: `divide` at random. Some: a post without one is trained on; without a
    validation split a tenth of the training texts becomes one, by picture. The same posts and seed
    give the same splits, so measuring finds the texts that training left alone. Raises: BadData.
    """
    if all(post.split is None for post in posts):
        return divide(posts, "random", seed)
    found = [post if post.split else post._replace(split="train") for post in posts]
    if not any(post.split == "validation" for post in found):
        groups = groups_by_image(found)
        found = [
            post._replace(split="validation")
            if post.split == "train" and uniform(f"validation {seed} {found[group].text}") < 0.1
            else post
            for post, group in zip(found, groups, strict=True)
        ]
    splits = [post.split or "train" for post in found]
    kept = without_leaks(found, splits)
    return [post for post, split in zip(found, kept, strict=True) if split is not None]


def apart_from(posts: Sequence[LabelledPost], others: Sequence[LabelledPost]) -> list[LabelledPost]:
    """The posts that nearly repeat none of the others: sets are drawn from the same places."""
    groups = groups_by_text([*others, *posts])
    theirs = set(groups[: len(others)])
    return [p for p, group in zip(posts, groups[len(others) :], strict=True) if group not in theirs]
