"""hoaxwatch evaluate: how good a detector is on labelled data, measured anew on this machine."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from hoaxwatch.commands import options
from hoaxwatch.show import Column, Output, notes, number, output_of, print_json, show_rows
from streams.errors import UsageError

app = typer.Typer(
    help="Measure how good a detector is on labelled data.",
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
        int | None, typer.Option("--generated", min=5, help="Invented pairs per class.")
    ] = None,
    train: Annotated[Path | None, typer.Option("--train", help="Factify's training file.")] = None,
    test: Annotated[Path | None, typer.Option("--test", help="Factify's validation file.")] = None,
    images: Annotated[
        Path | None, typer.Option("--images", help="The folder of its pictures.")
    ] = None,
) -> None:
    """Measure Factify's ten baselines on its files, or on invented pairs; prints JSON.

    The files are given on request by their authors. Invented pairs show that everything works and
    say nothing about real news.
    """
    from detectors.datasets.factify import BadFile
    from detectors.evaluate_factify import measure
    from detectors.sentences import EncoderUnavailable

    if (generated is None) == (train is None or test is None):
        raise UsageError("give --generated N, or --train FILE and --test FILE")
    try:
        print_json(measure(generated, train, test, images))
    except (BadFile, EncoderUnavailable) as error:
        raise UsageError(str(error)) from None
    except OSError as error:
        raise UsageError(f"cannot read {error.filename}: {error.strerror}") from None


def _say(line: str) -> None:
    notes.print(line, markup=False, soft_wrap=True)
