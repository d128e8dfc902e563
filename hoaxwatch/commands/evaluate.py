"""hoaxwatch evaluate: how good a detector is on labelled data, measured anew on this machine."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from typer.core import TyperGroup

from detectors.labels import POSITIVE_CLASS
from hoaxwatch.commands import options
from hoaxwatch.commands.train import Labels, Seed, digests, division, load_posts
from hoaxwatch.show import Column, Output, notes, number, output_of, percent, print_json, show_rows
from streams.errors import UsageError

#: The command of detectors of posts; `hoaxwatch evaluate bert` is `hoaxwatch evaluate posts bert`.
POSTS = "posts"


class DetectorsOrCommands(TyperGroup):
    """What is none of the commands is a detector to be measured."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command of the first word."""
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            args = [POSTS, *args]
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=DetectorsOrCommands,
    help="Measure how good detectors are: hoaxwatch evaluate bert tfidf --data FILE.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

#: Seconds of a unit of --after.
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def parse_ages(text: str) -> dict[str, float]:
    """Times after the root as seconds, by the words they were given in, in order of time.

    >>> parse_ages("1h,30m")
    {'30m': 1800.0, '1h': 3600.0}
    """
    ages = {}
    for word in text.split(","):
        found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)([smhd])\s*", word)
        if found is None or not float(found[1]):
            raise UsageError(
                f"--after {text!r}: {word.strip()!r} is not a time after the root; write 30m,1h,6h"
            )
        ages[word.strip()] = float(found[1]) * _UNITS[found[2]]
    return dict(sorted(ages.items(), key=lambda age: age[1]))


@app.command(POSTS)
def posts(
    detectors: Annotated[
        list[str],
        typer.Argument(help="One or several: NAME as shipped, or NAME=FOLDER of trained weights."),
    ],
    data: Annotated[
        list[Path],
        typer.Option("--data", help="JSON lines or CSV with text and label; repeatable."),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", help="A folder for evaluation.json, README.md and pictures."),
    ] = None,
    split: Annotated[
        str, typer.Option("--split", help="What is measured on: test, validation, train or all.")
    ] = "test",
    labels: Labels = None,
    seed: Seed = 0,
    encoder: options.Encoder = None,
    as_json: options.Json = False,
    as_csv: options.Csv = False,
) -> None:
    """Measure detectors of posts on labelled posts, and compare them on the same ones.

    The file is divided as `hoaxwatch train` divides it (same file, --labels and --seed), and its
    test split measured. With --out all is written: intervals, slices, calibration, errors, posts
    that one finds and another misses.
    """
    output = output_of(as_json, as_csv)
    from detectors.assessment import assess, judge, names_apart
    from detectors.datasets.prepared import BadData
    from detectors.detector import NamesClasses
    from detectors.registry import load_detector
    from detectors.training import positive_of
    from hoaxwatch.quality import difference, quality_rows

    try:
        every = load_posts(data, labels, seed)
        found = [post for post in every if split in ("all", post.split)]
    except BadData as error:
        raise UsageError(str(error)) from None
    if not found:
        there = ", ".join(sorted({str(post.split) for post in every}))
        raise UsageError(f"no post is in split {split!r}; there are {there}, and all")
    if len({post.label for post in found}) < 2:
        raise UsageError(f"all posts of split {split!r} are labelled {found[0].label!r}")
    loaded = [
        load_detector(name, weights=folder, encoder=encoder)
        for name, folder in map(options.parse_detector, detectors)
    ]
    for folder in (
        folder for _, folder in map(options.parse_detector, detectors) if folder is not None
    ):
        if split in ("validation", "test") and is_divided_otherwise(folder, data, every):
            _say(
                f"{folder} was trained on one of these files, but divided otherwise, with other "
                "files, --labels or --seed beside it or by another version: what it was trained on "
                "may be among what is measured, unless the files have a column split"
            )
    false = {frozenset(one.false_classes) for one in loaded if isinstance(one, NamesClasses)}
    if len(false) != 1 or len(loaded) > sum(isinstance(one, NamesClasses) for one in loaded):
        positive_of(found)
        false = {frozenset([POSITIVE_CLASS])}
    judged = []
    for name, one in zip(names_apart(detectors_named(detectors)), loaded, strict=True):
        _say(f"{name}: judging {number(len(found))} posts")
        judged.append(judge(name, one, found))
        if not np.isfinite(judged[-1].scores).any():
            raise UsageError(f"{name} scores none of these posts: {judged[-1].reasons[0]}")
    about = {"split": split, "data": digests(data), "seed": seed}
    result = assess(found, judged, about, min(false))
    if out is not None:
        _write_evaluation(out, result)
    if output is Output.json:
        print_json(result)
        return
    columns = [
        Column("detector", lambda row: row["detector"]),
        Column("posts", lambda row: number(row["n"]), is_number=True),
        Column("abstained", lambda row: number(row["abstained"]), is_number=True),
        Column("false", lambda row: percent(row["prevalence"]), is_number=True),
        Column("accuracy", lambda row: percent(row["accuracy"]), is_number=True),
        Column("precision", lambda row: percent(row["precision"]), is_number=True),
        Column("recall", lambda row: percent(row["recall"]), is_number=True),
        Column("F1", lambda row: percent(row["f1"]), is_number=True),
        Column("macro-F1", lambda row: percent(row["macro_f1"]), is_number=True),
        Column(
            "MCC (95 %)",
            lambda row: f"{row['mcc']:.2f} ({row['mcc_low']:.2f} to {row['mcc_high']:.2f})",
            is_number=True,
        ),
    ]
    title = f"{POSITIVE_CLASS}, split {split}"
    show_rows(quality_rows(result), output, columns, title, "nothing")
    for one in result["comparisons"]:
        _say(
            f"{one['second']} over {one['first']}: MCC {difference(one, 'mcc')}, "
            f"macro-F1 {difference(one, 'macro_f1')}, McNemar's p {one['mcnemar_p']:.2g}"
        )
    if out is not None:
        _say(f"wrote {out}/README.md, evaluation.json and pictures")


def is_divided_otherwise(folder: Path, data: Sequence[Path], posts: Sequence[Any]) -> bool:
    """Whether a folder's training read one of these files, and divided it otherwise than these
    posts of them are. So is one that does not tell: which texts are tested depends on the version.
    """
    try:
        trained = json.loads((folder / "metrics.json").read_text("utf-8"))
        theirs = set(trained["data"].values())
        division_then = trained.get("division")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False  # no folder that `hoaxwatch train` wrote
    has_read = not theirs.isdisjoint(digests(data).values())
    return has_read and division_then != division(posts)


def detectors_named(written: list[str]) -> list[str]:
    """What they are called in tables: a folder's name tells more than the detector's.

    >>> detectors_named(["tfidf", "tfidf=models/liar"])
    ['tfidf', 'tfidf=liar']
    """
    parsed = map(options.parse_detector, written)
    return [name if folder is None else f"{name}={folder.name}" for name, folder in parsed]


def _write_evaluation(folder: Path, result: dict[str, Any]) -> None:
    from hoaxwatch.quality import markdown, pictures_of

    files = {
        "evaluation.json": json.dumps(result, indent=1, ensure_ascii=False) + "\n",
        "README.md": markdown(result),
        **pictures_of(result),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {folder}: {error.strerror}; give another --out") from None


@app.command("check-table")
def check_table(
    precision: Annotated[float, typer.Option(min=0.01, max=1, help="Of the class.")],
    recall: Annotated[float, typer.Option(min=0.01, max=1, help="Of the class.")],
    mcc: Annotated[float | None, typer.Option(min=-1, max=1, help="As stated.")] = None,
    prevalence: Annotated[
        float | None, typer.Option(min=0, max=1, help="The share that is of the class.")
    ] = None,
    f1: Annotated[float | None, typer.Option("--f1", min=0, max=1, help="As stated.")] = None,
    accuracy: Annotated[float | None, typer.Option(min=0, max=1, help="As stated.")] = None,
    other_recall: Annotated[
        float | None, typer.Option(min=0, max=1, help="Recall of all that is not of the class.")
    ] = None,
    as_json: options.Json = False,
    as_csv: options.Csv = False,
) -> None:
    """Check whether numbers of a published table can hold together, rounded to two decimals.

    Precision, recall and MCC say how frequent the class must be that they are of. If it is stated
    to be another share, they are of another class, or wrong.
    """
    from detectors.consistency import check_row, implied, prevalence_for

    found = check_row(
        precision,
        recall,
        mcc=mcc,
        prevalence=prevalence,
        f1=f1,
        accuracy=accuracy,
        other_recall=other_recall,
    )
    words = {True: "holds", False: "cannot hold", None: "not stated"}
    output = output_of(as_json, as_csv)
    rows = [
        {"what": f.what, "implied": f.implied, "stated": f.stated, "verdict": words[f.holds]}
        for f in found
    ]
    columns = [
        Column("what", lambda row: row["what"]),
        Column("implied", lambda row: row["implied"], is_number=True),
        Column(
            "stated",
            lambda row: "–" if row["stated"] is None else f"{row['stated']:g}",
            is_number=True,
        ),
        Column("verdict", lambda row: row["verdict"]),
    ]
    show_rows(rows, output, columns, "Do they hold together?", "give --mcc, --f1 or --accuracy")
    needed = None if mcc is None else prevalence_for(precision, recall, mcc)
    if needed is not None and output is Output.table:
        other = implied(precision, recall, needed)
        _say(
            f"at a prevalence of {100 * needed:.1f} % the rest has precision "
            f"{other.other_precision:.2f}, recall {other.other_recall:.2f}, F1 {other.other_f1:.2f}"
        )


@app.command("cascade-gcn")
def cascade_gcn(
    data: Annotated[Path, typer.Option("--data", help="The folder that holds twitter15/.")],
    after: Annotated[
        str, typer.Option("--after", help="How long after the root one looks, as 30m,1h,6h,24h.")
    ] = "30m,1h,6h,24h",
    time_aware: Annotated[
        bool, typer.Option("--time-aware", help="Also a network that reads delays and replies.")
    ] = False,
    n_folds: Annotated[
        int, typer.Option("--folds", min=2, max=20, help="Parts of the cross-validation.")
    ] = 5,
    as_json: options.Json = False,
    as_csv: options.Csv = False,
) -> None:
    """Measure cascade_gcn early on: its quality by how long after the root one looks.

    Networks are trained anew, since the shipped one knows these cascades: each cascade is judged by
    one that saw neither it nor another of its account or story. Four classes; stars are left out.
    Takes a minute for each time.
    """
    output, ages = output_of(as_json, as_csv), parse_ages(after)
    from detectors.train_cascade_gcn import TooEarly, measure_early

    if not (data / "twitter15" / "edges.csv.xz").is_file():
        raise UsageError(
            f"{data} holds no twitter15/edges.csv.xz: give the folder that holds twitter15/"
        )
    try:
        found = measure_early(data, ages, _say, time_aware=time_aware, n_folds=n_folds)
    except TooEarly as error:
        raise UsageError(str(error)) from None
    rows = early_rows(found, ages)
    columns = [
        Column("seen", lambda row: row["after"], is_number=True),
        Column("what", lambda row: row["what"]),
        Column("cascades", lambda row: number(row["n"]), is_number=True),
        Column("no shares", lambda row: number(row["no_shares"]), is_number=True),
        Column("stars", lambda row: number(row["stars"]), is_number=True),
        Column(
            "MCC (95 %)",
            lambda row: f"{row['mcc']:.2f} ({row['mcc_low']:.2f} to {row['mcc_high']:.2f})",
            is_number=True,
        ),
        Column("accuracy", lambda row: f"{row['accuracy']:.2f}", is_number=True),
    ]
    show_rows(rows, output, columns, "Twitter15, four classes, by time after the root", "nothing")
    if output is Output.table:
        notes.print("A curve of the whole set is in detectors/weights/cascade_gcn/README.md.")


def early_rows(found: dict[str, Any], ages: dict[str, float]) -> list[dict[str, Any]]:
    """One row by time and by what was measured, as --csv and --json give it."""
    return [
        {
            "after": age,
            "after_seconds": ages[age],
            "what": name,
            "n": row["n"],
            "no_shares": one["abstained"]["no_shares"],
            "stars": one["abstained"]["star"],
            "median_size": one["median_size"],
            "mcc": row["mcc"],
            "mcc_low": row["mcc_interval"][0],
            "mcc_high": row["mcc_interval"][1],
            "accuracy": row["accuracy"],
            "macro_f1": row["macro_f1"],
        }
        for age, one in found.items()
        for name, row in one["rows"].items()
    ]


@app.command("factify")
def factify(
    generated: Annotated[
        int | None, typer.Option("--generated", min=5, help="Pairs per class, invented.")
    ] = None,
    news: Annotated[
        Path | None,
        typer.Option(
            "--news",
            help="Make them of real news and pictures: the folder of text/, mediaeval2016/.",
        ),
    ] = None,
    train: Annotated[Path | None, typer.Option("--train", help="Factify's training file.")] = None,
    test: Annotated[Path | None, typer.Option("--test", help="Factify's validation file.")] = None,
    images: Annotated[
        Path | None, typer.Option("--images", help="The folder of its pictures.")
    ] = None,
    cross: Annotated[
        bool,
        typer.Option("--cross-encoder", help="Also one network that reads both texts: minutes."),
    ] = False,
    unseen: Annotated[
        bool, typer.Option("--unseen", help="Invented test pairs tell of other events.")
    ] = False,
) -> None:
    """Measure Factify's ten baselines on its files, or on generated pairs; prints JSON.

    The files are given on request by their authors. Invented pairs show that everything works and
    say nothing about real news; pairs of real news (--news) are headlines with their own, another
    or a denying text.
    """
    from detectors.datasets.factify import BadFile
    from detectors.datasets.labelled import MissingDataset
    from detectors.evaluate_factify import measure
    from detectors.sentences import EncoderUnavailable

    if (generated is None) == (train is None or test is None):
        raise UsageError("give --generated N, or --train FILE and --test FILE")
    if news is not None and (generated is None or unseen):
        raise UsageError("--news goes with --generated N, and its test pairs are unseen anyhow")
    try:
        found = measure(generated, train, test, images, news=news, cross=cross, unseen=unseen)
        print_json(found)
    except (BadFile, EncoderUnavailable, MissingDataset) as error:
        raise UsageError(str(error)) from None
    except OSError as error:
        raise UsageError(f"cannot read {error.filename}: {error.strerror}") from None


def _say(line: str) -> None:
    notes.print(line, markup=False, soft_wrap=True)
