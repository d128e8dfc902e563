"""hoaxwatch models: weights folders, shipped or the user's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from hoaxwatch.commands import options
from hoaxwatch.show import Column, notes, number, output_of, percent, print_json, show_rows
from streams.errors import UsageError

app = typer.Typer(
    help="Look at folders of weights: the shipped ones, and those that hoaxwatch train wrote.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

#: Between the logits of two libraries in float32: sums in another order.
MAX_DIFFERENCE = 1e-3

Folders = Annotated[
    list[Path] | None,
    typer.Argument(help="Weights folders, or folders of such; default: what ships."),
]


@app.command("list")
def list_models(
    folders: Folders = None, as_json: options.Json = False, as_csv: options.Csv = False
) -> None:
    """List weights folders: detector, encoder, threshold, size, when they were trained."""
    from detectors.model_folders import describe

    rows = [describe(folder) for folder in _found(folders)]
    columns = [
        Column("folder", lambda row: row["folder"]),
        Column("detector", lambda row: row["detector"]),
        Column("encoder", lambda row: row["encoder"] or "–"),
        Column("flags from", lambda row: percent(row["threshold"]), is_number=True),
        Column("trained", lambda row: row["trained_on"] or "–"),
        Column("kB", lambda row: number(row["bytes"] / 1000), is_number=True),
    ]
    show_rows(rows, output_of(as_json, as_csv), columns, "Weights", "none")


@app.command()
def show(folder: Annotated[Path, typer.Argument(help="A weights folder.")]) -> None:
    """Print all that a weights folder says of itself, config and metrics, as JSON."""
    from detectors.model_folders import describe, read_json

    rows = [describe(path) for path in _found([folder])]
    if len(rows) != 1:
        raise UsageError(f"{folder} holds {len(rows)} weights folders: name one of them")
    whole: dict[str, Any] = {
        **rows[0],
        "config": read_json(folder / "config.json"),
        "metrics": read_json(folder / "metrics.json"),
    }
    print_json(whole)


@app.command()
def verify(folders: Folders = None, as_json: options.Json = False) -> None:
    """Load each weights folder: hashes, labels, shapes, encoder. Exit code 2 if one is broken."""
    from detectors.model_folders import problem_of

    found = {str(folder): problem_of(folder) for folder in _found(folders)}
    if as_json:
        print_json(found)
    else:
        for folder, problem in found.items():
            if problem is None:
                print(f"{folder}: good")
    broken = [problem for problem in found.values() if problem is not None]
    for problem in broken[1:]:
        notes.print(problem, markup=False, soft_wrap=True)
    if broken:
        raise UsageError(broken[0])


@app.command("export-onnx")
def export_onnx(
    name: Annotated[str, typer.Argument(help="bert, or a weights folder of it.")],
    out: Annotated[Path, typer.Argument(help="The folder to write.")],
    as_json: options.Json = False,
) -> None:
    """Write encoder and head as ONNX, with the tokenizer, for programs that run no PyTorch.

    model.onnx takes input_ids and attention_mask of any number of texts and tokens, and gives the
    two logits and the calibrated score. A model with a wide part has a third input, wide, which the
    program computes from wide.npz (detectors/wide.py): no operator counts words. Texts are to be
    normalised before as here, and what is not in the model (languages, too short, unsure) is the
    program's to abstain from. Where onnxruntime is installed, its logits are compared with ours.
    """
    from detectors.detector import DetectorUnusable
    from detectors.model_folders import SHIPPED, detector_of
    from detectors.onnx_file import export, greatest_difference

    folder = SHIPPED / name if name in ("bert", "tfidf", "cascade_gcn") else Path(name)
    if (found := detector_of(folder)) != "bert":
        what = f"{name} holds weights of {found}" if found else f"{name} holds no weights we know"
        raise UsageError(f"{what}: only those of bert are written as ONNX")
    try:
        said = export(folder, out)
        difference = greatest_difference(folder, out)
    except (DetectorUnusable, ValueError) as error:
        raise UsageError(str(error)) from None
    except OSError as error:
        raise UsageError(
            f"cannot write {error.filename or out}: {error.strerror}; choose another folder"
        ) from None
    if difference is not None and difference > MAX_DIFFERENCE:
        raise UsageError(
            f"ONNX Runtime's logits are {difference:.1e} from ours: do not use {out}/model.onnx"
        )
    if as_json:
        print_json({**said, "out": str(out), "greatest_difference": difference})
        return
    checked = (
        "not checked: pip install onnxruntime, and say it again"
        if difference is None
        else f"ONNX Runtime's logits are within {difference:.0e} of ours"
    )
    notes.print(f"wrote {out}/model.onnx, tokenizer.json, config.json; {checked}", markup=False)
    if "share_of_wide" in said:
        notes.print(
            "the part that counts words is not in model.onnx: give its logits as the input wide, "
            f"from {out}/wide.npz as detectors/wide.py computes them",
            markup=False,
        )


def _found(folders: list[Path] | None) -> list[Path]:
    from detectors.model_folders import SHIPPED, model_folders

    found = []
    for folder in folders or [SHIPPED]:
        inside = model_folders(folder)
        if not inside:
            raise UsageError(
                f"{folder} holds no weights: neither it nor a folder in it has a config.json"
            )
        found += inside
    return found
