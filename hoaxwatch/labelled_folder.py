"""A folder of posts in a platform's own files, with a CSV of their labels, as labelled posts.

    labels.csv                        post_id,label: a shortcode, a number or a link, and a word
    2019-11-02_10-00-00_UTC.json.xz   a post by instaloader, or pages of the Graph API, or ...
    2019-11-02_10-00-00_UTC_1.jpg     its pictures, named like its file, or by the post's shortcode

Several rows about one post are several people; most of them decide, as in Wang et al. 2020, where
three did. A tie is left out.
"""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from detectors.datasets.labelled import LabelledPost
from detectors.datasets.prepared import BadData, label_in_words
from detectors.long_rows import long_rows
from detectors.metadata import stored_values
from detectors.social.attributes import text_attributes
from streams.formats.opening import InputError
from streams.formats.platform_instagram import PLATFORM, post_id_of
from streams.formats.registry import read_file
from streams.records import Post

LABELS = "labels.csv"
_PICTURES = (".jpg", ".jpeg", ".png", ".webp")


class Found(NamedTuple):
    """n_ties: posts on which people are divided; n_absent: labelled, and not in the folder."""

    posts: list[LabelledPost]
    n_ties: int
    n_absent: int
    n_problems: int


def read_instagram(folder: Path, words: Mapping[str, str] | None = None) -> Found:
    """The posts of Instagram in a folder that have a label, with their pictures.

    The folder is looked through with all below it, in the order of names; of a post that is there
    twice the first is taken. words: as of `read_posts_file`. Raises: BadData.
    """
    given = read_labels(folder / LABELS, words)
    decided = {post_id: majority(labels) for post_id, labels in given.items()}
    pictures: dict[str, list[Path]] = defaultdict(list)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in files:
        if path.suffix.lower() in _PICTURES:
            pictures[_stem(path)].append(path)
    posts: dict[str, LabelledPost] = {}
    n_problems = 0
    for path in files:
        if not any(suffix in (".json", ".jsonl", ".ndjson") for suffix in path.suffixes):
            continue
        try:
            for reading in read_file(path):
                if not isinstance(reading, Post):
                    n_problems += hasattr(reading, "reason")
                elif reading.platform == PLATFORM and reading.post_id not in posts:
                    label = decided.get(reading.post_id)
                    own = pictures[reading.post_id] or pictures[_stem(path)]
                    if label is not None and reading.text.strip():
                        posts[reading.post_id] = labelled_post(reading, label, own)
        except InputError as error:
            raise BadData(str(error)) from None
    n_ties = sum(label is None for label in decided.values())
    return Found(list(posts.values()), n_ties, len(decided) - n_ties - len(posts), n_problems)


def labelled_post(post: Post, label: str, pictures: list[Path]) -> LabelledPost:
    """The post with its label; its figures are those that detectors read, counters with their
    age."""
    return LabelledPost(
        dataset=PLATFORM,
        split=None,
        post_id=post.post_id,
        text=post.text,
        label=label,
        author_id=None if post.author is None else post.author.author_id,
        posted_at=post.posted_at,
        lang=post.lang,
        image_ids=tuple(path.name for path in pictures),
        images=tuple(pictures),
        attributes={**text_attributes(post.text, post.lang), **stored_values(post)},
        platform=post.platform,
    )


def read_labels(path: Path, words: Mapping[str, str] | None = None) -> dict[str, list[str]]:
    """The labels that people gave each post, by its shortcode. Raises: BadData."""
    given: dict[str, list[str]] = defaultdict(list)
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.DictReader(lines)
            for wanted in ("post_id", "label"):
                if wanted not in (reader.fieldnames or ()):
                    raise BadData(f"{path} has no column {wanted!r}: it wants post_id and label")
            for row in long_rows(reader):
                where = f"{path}, line {reader.line_num}"
                post_id = post_id_of((row["post_id"] or "").strip())
                if post_id is None:
                    raise BadData(
                        f"{where}: {row['post_id']!r} is no shortcode, number or link of a post"
                    )
                given[post_id].append(label_in_words((row["label"] or "").strip(), words, where))
    except OSError as error:
        raise BadData(f"cannot read {path}: {error.strerror}; it holds post_id and label") from None
    except UnicodeDecodeError:
        raise BadData(f"{path} is no CSV in UTF-8: save it as CSV UTF-8") from None
    return given


def majority(labels: list[str]) -> str | None:
    """The label that most people gave; None for a tie.

    >>> majority(["pro", "anti", "anti"]), majority(["pro", "anti"])
    ('anti', None)
    """
    counts = Counter(labels).most_common(2)
    return None if len(counts) == 2 and counts[0][1] == counts[1][1] else counts[0][0]


def _stem(path: Path) -> str:
    """The name by which a post's files belong together: without endings and a picture's number.

    >>> _stem(Path("2019-11-02_10-00-00_UTC_2.jpg")), _stem(Path("2019-11-02_10-00-00_UTC.json.xz"))
    ('2019-11-02_10-00-00_UTC', '2019-11-02_10-00-00_UTC')
    """
    stem = path.name.partition(".")[0]
    head, _, last = stem.rpartition("_")
    return head if head and last.isdecimal() and len(last) <= 2 else stem
