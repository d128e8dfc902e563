"""MediaEval 2016 (Verifying Multimedia Use, its development set): tweets about 17 events, with
the picture each of them passes on, fake or real.

Source: Boididou et al., "Verifying Multimedia Use at MediaEval 2016"; "Detection and visualization
of misleading content on Twitter", IJMIR 7(1), 2018.

Beware: a post is labelled by its picture, and 388 pictures are in 15,629 posts. A random split has
the same picture on both sides, and the names of the pictures hold the label: never a feature.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path

from detectors.datasets.labelled import (
    LabelledPost,
    MissingDataset,
    data_file,
    open_text,
    read_csv,
)
from detectors.labels import Label

NAME = "mediaeval2016"
#: The events of the test set of 2015, all later than the others: the published split by event.
TEST_EVENTS = frozenset({"nepal", "eclipse", "garissa", "samurai", "syrianboy", "varoufakis"})

_LABEL_OF: dict[str, Label] = {"real": "likely_true", "fake": "likely_false"}
_COLUMNS = ("post_id", "post_text", "user_id", "image_id(s)", "timestamp", "label")
#: Our name of a column, where we have one.
_POST_FEATURES = {
    "n_links": "num_URLs",
    "n_hashtags": "num_hashtags",
    "n_mentions": "num_mentions",
    "n_question_marks": "num_questmark",
    "n_exclamation_marks": "num_exclammark",
    "n_positive_words": "num_possentiwords",
    "n_negative_words": "num_negsentiwords",
}
_USER_FEATURES = {
    "followers": "num_followers",
    "following": "num_friends",
    "n_posts": "num_posts",
    "times_listed": "times_listed",
    "verified": "is_verified",
}
_MONTHS = {
    name: number
    for number, name in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), 1
    )
}
_TIMESTAMP = re.compile(r"\w{3} (\w{3}) (\d\d?) (\d\d): ?(\d\d): ?(\d\d) \+0000 (\d{4})")


def read(folder: Path) -> Iterator[LabelledPost]:
    """The posts of `posts.tsv` with `post_features.csv`, `user_features.csv` and `images/`.

    Tab-separated without quoting: quotes are the writers' own. Its retweet counts are left out:
    they are as collected, years after the post, when a detector would see 0.
    """
    images = _images(folder / "images")
    of_post = _attributes(data_file(folder, "post_features.csv"), _POST_FEATURES)
    of_user = _attributes(data_file(folder, "user_features.csv"), _USER_FEATURES)
    path = data_file(folder, "posts.tsv")
    with open_text(path) as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        missing = [column for column in _COLUMNS if column not in (rows.fieldnames or ())]
        if missing:
            raise MissingDataset(f"{path.name} has no column {missing[0]!r}: is it the right file?")
        for row in rows:
            if row["label"] not in _LABEL_OF:
                continue
            ids = tuple(filter(None, (part.strip() for part in row["image_id(s)"].split(","))))
            event = event_of(ids[0]) if ids else None
            post_id = row["post_id"]
            yield LabelledPost(
                dataset=NAME,
                split="test" if event in TEST_EVENTS else None,
                post_id=post_id,
                text=row["post_text"],
                label=_LABEL_OF[row["label"]],
                event=event,
                author_id=row["user_id"],
                posted_at=parse_timestamp(row["timestamp"]),
                image_ids=ids,
                images=tuple(images[name] for name in ids if name in images),
                attributes={**of_post.get(post_id, {}), **of_user.get(post_id, {})},
                platform="x",
            )


def event_of(image_id: str) -> str:
    """The event a picture belongs to: what its name begins with.

    >>> event_of("sandy_fake_03"), event_of("sandyB_real_01"), event_of("nepal_25")
    ('sandy', 'sandy', 'nepal')
    """
    return image_id.partition("_")[0].removesuffix("B")


def parse_timestamp(written: str) -> datetime | None:
    """The moment, also where it is written with spaces; None if it cannot be read.

    >>> parse_timestamp("Tue Mar 11 23: 59: 22 +0000 2014").isoformat()
    '2014-03-11T23:59:22+00:00'
    >>> parse_timestamp("Tue Foo 11 23:59:22 +0000 2014")
    """
    found = _TIMESTAMP.fullmatch(written.strip())
    if found is None or found[1] not in _MONTHS:
        return None
    day, hour, minute, second, year = map(int, found.groups()[1:])
    try:
        return datetime(year, _MONTHS[found[1]], day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None


def _images(folder: Path) -> dict[str, Path]:
    """The picture files by the id of their picture."""
    if not folder.is_dir():
        raise MissingDataset(f"no folder {folder.name} in {folder.parent}: put the pictures there")
    return {path.stem: path for path in sorted(folder.iterdir())}


def _attributes(path: Path, columns: Mapping[str, str]) -> dict[str, dict[str, float | None]]:
    """post_id -> attributes. The header and the fields have spaces before them."""
    found = {}
    for padded in read_csv(path, ("post_id",)):
        row = {name.strip(): (value or "").strip() for name, value in padded.items() if name}
        missing = [column for column in columns.values() if column not in row]
        if missing:
            raise MissingDataset(f"{path.name} has no column {missing[0]!r}: is it the right file?")
        found[row["post_id"]] = {
            name: parse_number(row[column]) for name, column in columns.items()
        }
    return found


def parse_number(written: str | None) -> float | None:
    """A figure, or a yes or no as 1 or 0; None for `null` and whatever else is no number.

    None: the row has ended before the column.

    >>> [parse_number(w) for w in ("12", "true", "false", "null", "", "nan", None)]
    [12.0, 1.0, 0.0, None, None, None, None]
    """
    if written in ("true", "false"):
        return float(written == "true")
    try:
        number = float(written or "")
    except ValueError:
        return None
    return number if isfinite(number) else None
