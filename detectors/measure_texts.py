"""Measure text detectors beside TF-IDF with a logistic regression taught the same texts.

    python -m detectors.measure_texts --data FOLDER --work W --out FILE.json [ROW ...]
    python -m detectors.measure_texts --table --out FILE.json

FOLDER holds `text/`, `tweets_2023_csv/` and `mediaeval2016/`. Each row is one of ROWS:

    shipped SET    the shipped `bert`, which learnt from all sets, on the test texts of one
    left-out SET   trained without a set, on its test texts; `left-out pooled` is all of these.
                   They are what `train_bert leave-out --work W` wrote, which takes longest
    alone SET      `hoaxwatch train bert --small` and `train tfidf` on one set, by its published
                   test split (of MediaEval 2016: across events, its English posts)
    paper SET      the same with the paper's settings instead of `--small`
    figures SET    `tweet_metadata` with the figures of a tweet beside the same without

Rows that FILE.json has already are not measured again, so a run may be stopped.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from detectors.assessment import (
    STATISTICS,
    both_counts,
    drawn_together,
    judge,
    paired,
    second_over_first,
)
from detectors.bert import BertDetector
from detectors.cards import interval, share, table
from detectors.datasets import mediaeval2016
from detectors.datasets.catalogue import folder_of, read_labelled
from detectors.datasets.groups import groups_by_text
from detectors.datasets.labelled import LabelledPost
from detectors.datasets.near_duplicates import near_duplicate_groups
from detectors.datasets.prepared import divide
from detectors.encoder import DEFAULT_ENCODER
from detectors.evaluation import Bools, Confusion, prevalence
from detectors.measure_posts import Book, Row, Say
from detectors.multiclass import Ints, confusion_matrix, interval_of, resampled
from detectors.registry import load_detector
from detectors.text.abstain import MIN_PROBABILITY, language_probability
from detectors.train_bert import (
    Baseline,
    flags,
    part,
    read_calm,
    teach_baseline,
    texts_of,
    tfidf_settings,
)
from detectors.train_tfidf import CHOSEN_ON, DOUBTFUL, Example, positives, read_examples
from detectors.training import CHECKPOINT, Task, positive_of, run

#: What a row says of both.
MEASURES = ("accuracy", "macro_f1", "mcc")
POOLED = "pooled"
#: Where the paper's settings take a quarter of an hour of a core, not hours.
PAPER_SET = "covid19_rumour_tweets"


def beside(positive: Bools, flagged: Bools, floor: Bools, groups: Ints) -> Row:
    """MEASURES of what is flagged, of a floor on the same posts (`floor_...`), and how much greater
    the first is (`over_...`), each with its 95 % interval over resampled groups.

    >>> labels, groups = np.array([True, False] * 4), np.arange(8)
    >>> row = beside(labels, labels, np.ones(8, bool), groups)
    >>> row["accuracy"], row["floor_accuracy"], row["over_accuracy"], row["prevalence"]
    (1.0, 0.5, 0.5, 0.5)
    """
    answers = paired(positive, floor, flagged)
    cells, drawn = confusion_matrix(*answers, 4), resampled(*answers, 4, groups)
    row: Row = {
        "n": len(positive),
        "n_groups": len(set(groups.tolist())),
        "prevalence": round(prevalence(positive), 4),
    }
    for name in MEASURES:
        for prefix, statistic in _of_both(STATISTICS[name]).items():
            low, high = interval_of(statistic, drawn)
            row[f"{prefix}{name}"] = round(statistic(cells), 4)
            row[f"{prefix}{name}_interval"] = [round(low, 4), round(high, 4)]
    return row


def _of_both(statistic: Callable[[Confusion], float]) -> Mapping[str, Callable[[Ints], float]]:
    return {
        "": lambda cells: statistic(both_counts(cells)[1]),
        "floor_": lambda cells: statistic(both_counts(cells)[0]),
        "over_": second_over_first(statistic),
    }


@cache  # dividing all sets takes a quarter of a minute
def learnt_texts(data: Path) -> list[Example]:
    """What the shipped weights, and those without a set, learnt from and are tested on."""
    return [e for e in read_examples(data / "text") if e.record.dataset != DOUBTFUL]


@cache
def floor_of_all(data: Path) -> Baseline:
    """TF-IDF that learnt from what the shipped weights learnt from."""
    return teach_baseline(learnt_texts(data), read_calm(data / "tweets_2023_csv"), tfidf_settings())


def groups_of(examples: Sequence[Example]) -> Ints:
    """Near-duplicates, as published test splits hold some; they are drawn together."""
    return np.array(near_duplicate_groups(texts_of(examples)), dtype=np.int64)


def shipped(name: str, data: Path, work: Path, say: Say) -> Row:
    """The shipped detector on the test texts of a set; an abstention flags nothing."""
    detector, floor = BertDetector(), floor_of_all(data)
    own = part(learnt_texts(data), "test", name)
    flagged = flags(detector, own, detector.threshold)
    return beside(positives(own), flagged, floor.scores(own) >= floor.threshold, groups_of(own))


def left_out(name: str, data: Path, work: Path, say: Say) -> Row:
    """A set, or all of CHOSEN_ON as one, each judged by what was trained without it."""
    names = CHOSEN_ON if name == POOLED else (name,)
    examples = learnt_texts(data)
    own = [e for one in names for e in part(examples, "test", one)]
    columns: dict[str, list[bool]] = {"positive": [], "flagged": [], "baseline": []}
    for one in names:
        found = json.loads((work / f"left_out_{one}.json").read_text("utf-8"))["columns"]
        for column, values in columns.items():
            values.extend(found[column])
    positive, flagged, floor = (np.array(values, dtype=np.bool_) for values in columns.values())
    return beside(positive, flagged, floor, groups_of(own))


def posts_of(name: str, data: Path) -> list[LabelledPost]:
    """The English posts of a set, divided as `datasets prepare` does: across events where it names
    them, by its published test split where it has one, else at random. A post that moves to the
    test split with what it nearly repeats is left out: only what was published there is measured.
    """
    folder = folder_of(name, data)
    assert folder is not None
    found = list(read_labelled(name, folder))
    if name == mediaeval2016.NAME:
        english = [p for p in found if language_probability(p.text, ["en"]) >= MIN_PROBABILITY]
        return divide([post._replace(lang="en") for post in english], "event")
    found = [post._replace(lang="en") for post in found]
    published = {post.post_id for post in found if post.split == "test"}
    posts = divide(found, "published" if published else "random")
    return [p for p in posts if p.split != "test" or not published or p.post_id in published]


def alone(name: str, data: Path, work: Path, say: Say, *, small: bool = True) -> Row:
    """`bert` and `tfidf`, both trained on the training posts of one set."""
    return trained(name, data, work, say, {"tfidf": {}, "bert": {}}, small)


def figures(name: str, data: Path, work: Path, say: Say) -> Row:
    """`tweet_metadata` with all figures that the set knows, beside the same of text alone."""
    ways = {
        "text": {"variant": "text"},
        "text+metadata": {"variant": "text+metadata", "counters": "final"},
    }
    return trained(name, data, work, say, ways, True)


def trained(
    name: str,
    data: Path,
    work: Path,
    say: Say,
    ways: Mapping[str, Mapping[str, str]],
    small: bool,
) -> Row:
    """Two detectors trained on the same posts, the floor first, and measured on the same others.

    ways: the settings by what a detector's folder is called; what is no detector's name is a
    `tweet_metadata`. A training that was stopped goes on after its last epoch; `cpu_seconds` are
    of what was left.
    """
    posts = posts_of(name, data)
    test = [post for post in posts if post.split == "test"]
    flagged, n_abstained, seconds = [], [], []
    for way, changes in ways.items():
        detector = way if way in ("bert", "tfidf") else "tweet_metadata"
        out = work / name / (way if small else f"{way}_paper")
        out.mkdir(parents=True, exist_ok=True)
        started = time.process_time()
        task = Task(posts, data, out, DEFAULT_ENCODER, say, small=small, changes=changes)
        run(detector, task._replace(resume=(out / CHECKPOINT).is_file()))
        seconds.append(round(time.process_time() - started))
        judged = judge(way, load_detector(detector, weights=out), test)
        flagged.append(judged.flagged)
        n_abstained.append(int(np.isnan(judged.scores).sum()))
    by_picture = name == mediaeval2016.NAME
    groups = drawn_together(test) if by_picture else np.array(groups_by_text(test))
    row = beside(positive_of(test), flagged[1], flagged[0], groups)
    sizes = {split: sum(p.split == split for p in posts) for split in ("train", "validation")}
    return row | {"abstained": n_abstained[1], "sizes": sizes, "cpu_seconds": seconds[1]}


#: How each row is measured, in the order of the table.
ROWS: dict[str, Callable[[Path, Path, Say], Row]] = {
    **{f"shipped {name}": partial(shipped, name) for name in CHOSEN_ON},
    **{f"left-out {name}": partial(left_out, name) for name in (*CHOSEN_ON, POOLED)},
    **{f"alone {name}": partial(alone, name) for name in (*CHOSEN_ON, mediaeval2016.NAME)},
    f"paper {PAPER_SET}": partial(alone, PAPER_SET, small=False),
    f"figures {mediaeval2016.NAME}": partial(figures, mediaeval2016.NAME),
}


def markdown(held: Mapping[str, Any]) -> str:
    """The rows of a file as two tables: both detectors, and how far they are apart."""
    rows = {name: held["rows"][name] for name in ROWS if name in held["rows"]}
    both = [
        [
            name,
            f"{row['n']:,}",
            share(row["prevalence"]),
            *(interval(row, f"{prefix}{m}") for prefix in ("", "floor_") for m in MEASURES),
        ]
        for name, row in rows.items()
    ]
    apart = [[name, *(_difference(row, m) for m in MEASURES)] for name, row in rows.items()]
    floor = ["floor: accuracy", "macro-F1", "MCC"]
    head = ["row", "n", "false", "accuracy", "macro-F1", "MCC", *floor]
    return f"{table(head, both)}\n\n{table(['row', 'accuracy', 'macro-F1', 'MCC'], apart)}"


def _difference(row: Row, name: str) -> str:
    low, high = row[f"over_{name}_interval"]
    return f"{row[f'over_{name}']:+.3f} ({low:+.3f} to {high:+.3f})"


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line of the module's docstring."""
    parser = argparse.ArgumentParser(description="Measure text detectors beside TF-IDF.")
    parser.add_argument("rows", nargs="*", help="which rows, as 'alone liar'; default: all")
    parser.add_argument("--data", type=Path, help="folder of the data sets; not for --table")
    parser.add_argument("--work", type=Path, default=Path("train_bert"), help="weights, left-out")
    parser.add_argument("--out", type=Path, required=True, help="the file of the rows")
    parser.add_argument("--table", action="store_true", help="print the rows as Markdown")
    given = parser.parse_args(arguments)
    if given.table:
        print(markdown(json.loads(given.out.read_text("utf-8"))))
        return
    unknown = [name for name in given.rows if name not in ROWS]
    if unknown or given.data is None:
        parser.error(f"no row {unknown[0]!r}: {', '.join(ROWS)}" if unknown else "give --data")
    book = Book(given.out, {"encoder": DEFAULT_ENCODER, "version": BertDetector().version}, _say)
    for name in given.rows or ROWS:
        if not book.has(name):
            book.write(name, ROWS[name](given.data, given.work, _say))


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    main()
