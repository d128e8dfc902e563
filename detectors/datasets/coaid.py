"""CoAID: news and claims about COVID-19, by files that say fake or real.

Source: Cui, Lee, "CoAID: COVID-19 Healthcare Misinformation Dataset", 2020; no licence file. Real
news are of reliable health sites, fake ones were refuted by fact-checkers. Label: the file's name.

    05-01-2020/NewsFakeCOVID-19.csv, NewsRealCOVID-19.csv
    05-01-2020/ClaimFakeCOVID-19.csv, ClaimRealCOVID-19.csv
    07-01-2020/...

Beware: later folders repeat what is in earlier ones, which is read once. The files of tweets hold
ids alone: get the tweets by them, and label these by a column of your own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from detectors.datasets.labelled import (
    LabelledPost,
    MissingDataset,
    headline_and_body,
    parse_moment,
    read_csv,
)
from detectors.labels import Label

NAME = "coaid"
_FILES: tuple[tuple[str, str, Label], ...] = (
    ("NewsFakeCOVID-19.csv", "news", "likely_false"),
    ("NewsRealCOVID-19.csv", "news", "likely_true"),
    ("ClaimFakeCOVID-19.csv", "claims", "likely_false"),
    ("ClaimRealCOVID-19.csv", "claims", "likely_true"),
)


def read(folder: Path) -> Iterator[LabelledPost]:
    """News as `title. content`, claims as they stand; the source is news or claims, the time that
    of the article where it can be read."""
    found = {
        name: sorted([*folder.rglob(name), *folder.rglob(f"{name}.xz")]) for name, _, _ in _FILES
    }
    for name, paths in found.items():
        if not paths:
            raise MissingDataset(f"no {name} (or {name}.xz) in {folder} or below: put CoAID there")
    seen: set[tuple[str, Label]] = set()
    for name, source, label in _FILES:
        for path in found[name]:
            for number, row in enumerate(read_csv(path, ("title",)), 1):
                text = headline_and_body(row["title"], row.get("content"))
                if text and (text, label) not in seen:
                    seen.add((text, label))
                    place = path.relative_to(folder).as_posix().removesuffix(".xz")
                    yield LabelledPost(
                        dataset=NAME,
                        split=None,
                        post_id=f"{place}:{number}",
                        text=text,
                        label=label,
                        posted_at=parse_moment(row.get("publish_date")),
                        source=source,
                    )
