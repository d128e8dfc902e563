"""Twitter16: cascades of 818 source tweets in four classes, in the files that Ma et al. published.

Sources: Ma, Gao, Mitra, Kwon, Jansen, Wong, Cha, "Detecting rumors from microblogs with recurrent
neural networks", IJCAI 2016; classes and propagation trees: Ma, Gao, Wong, ACL 2017. What nodes,
edges and classes are is said in `detectors.datasets.twitter15`, which was published alike.

    label.txt          non-rumor:656955120626880512
    source_tweets.txt  656955120626880512<TAB>the text, its links as URL
    tree/656955120626880512.txt
                       ['ROOT', 'ROOT', '0.0']->['24', '656955120626880512', '0.0']
                       ['24', '656955120626880512', '0.0']->['31', '656955120626880512', '1.7']

    an edge: user, tweet, minutes since the root, of who is shared and of who shares

The format is that of programs that read the published archive; the archive itself is not here, so
its number of tweets is the papers', and lines unlike these are refused rather than guessed at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from detectors.datasets.labelled import LabelledPost, MissingDataset, data_file, open_text
from detectors.datasets.labelled_cascades import LabelledCascade
from detectors.datasets.twitter15 import CLASSES, cascade_of, labelled_text

NAME = "twitter16"
#: The source tweets alone, as posts.
TEXTS = "twitter16_texts"

_EDGE = re.compile(
    r"\['([^']+)', *'([^']+)', *'(-?[\d.]+)'\] *-> *\['([^']+)', *'([^']+)', *'(-?[\d.]+)'\]"
)
_COLUMNS = (
    *("parent_user", "parent_tweet", "parent_minutes"),
    *("child_user", "child_tweet", "child_minutes"),
)


def read(folder: Path) -> Iterator[LabelledCascade]:
    """The cascades of `twitter16/` in the order of `label.txt`, with the delay of each node since
    the root; of one that is met at several times the earliest. Raises: MissingDataset."""
    for tweet, label, text in _sources(folder / NAME):
        rows = _edges(folder / NAME, tweet)
        source = {"cascade_id": tweet, "label": label, "source_text": text}
        yield cascade_of(source, rows)


def read_texts(folder: Path) -> Iterator[LabelledPost]:
    """The source tweets that are true or false, with their accounts, from the files themselves.
    Raises: MissingDataset."""
    for tweet, label, text in _sources(folder):
        roots = (row for row in _edges(folder, tweet) if row["parent_user"] == "ROOT")
        root = next(roots, None)
        author = None if root is None else root["child_user"]
        found = labelled_text(TEXTS, f"{NAME}:{tweet}", text, label, author)
        if found is not None:
            yield found


def _sources(folder: Path) -> Iterator[tuple[str, str, str]]:
    """Tweet, class and text of each source tweet."""
    path = data_file(folder, "source_tweets.txt")
    texts = dict(line.partition("\t")[::2] for line in _lines(path))
    path = data_file(folder, "label.txt")
    for number, line in enumerate(_lines(path), 1):
        label, _, tweet = line.partition(":")
        if label not in CLASSES or tweet not in texts:
            raise MissingDataset(
                f"{path}, line {number}: {line!r} is not a class ({', '.join(CLASSES)}) and a "
                "tweet of source_tweets.txt, as true:123"
            )
        yield tweet, label, texts[tweet]


def _edges(folder: Path, tweet: str) -> list[dict[str, str]]:
    path = data_file(folder / "tree", f"{tweet}.txt")
    rows = []
    for number, line in enumerate(_lines(path), 1):
        found = _EDGE.fullmatch(line)
        if found is None:
            raise MissingDataset(
                f"{path}, line {number}: not ['user', 'tweet', 'minutes']->[...]: {line[:60]!r}"
            )
        rows.append(dict(zip(_COLUMNS, found.groups(), strict=True)))
    return rows


def _lines(path: Path) -> Iterator[str]:
    with open_text(path) as lines:
        for line in lines:
            if line.strip():
                yield line.strip("\r\n")
