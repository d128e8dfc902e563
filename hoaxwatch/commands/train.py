"""hoaxwatch train: a detector of one's own, out of labelled posts."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from detectors.checkpoints import Step
from hoaxwatch.commands import options
from hoaxwatch.show import notes, number, print_json
from streams.errors import UsageError

Labels = Annotated[
    str | None,
    typer.Option("--labels", help="What the file's labels mean: 1=likely_false,0=likely_true."),
]
Seed = Annotated[int, typer.Option("--seed", help="Same seed, same splits, same weights.")]


class Watched:
    """Progress on stderr: epoch, step, losses and the time that is left, of one network after the
    other. Where nobody looks, a line for each network that has a name."""

    def __init__(self, console: Console = notes) -> None:
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("step {task.completed:,.0f} of {task.total:,.0f}"),
            TextColumn("{task.fields[losses]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._shown: tuple[str, TaskID] | None = None

    def __enter__(self) -> Watched:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def at(self, step: Step) -> None:
        """The bar stands at this step; another network has a bar of its own."""
        losses = f"loss {step.loss:.4f}"
        if step.validation is not None:
            losses += f", validation {step.validation:.4f}"
        if self._shown is None or self._shown[0] != step.name:
            if self._shown is not None:
                self._bar.remove_task(self._shown[1])
            if step.name and not self._bar.console.is_terminal:
                self._bar.console.print(f"  training {step.name}", markup=False)
            # begins at where it is, so that a resumed training is not thought fast
            task = self._bar.add_task("", completed=step.step - 1, losses="")
            self._shown = (step.name, task)
        self._bar.update(
            self._shown[1],
            description=f"{step.name or 'training'}: epoch {step.epoch} of {step.n_epochs}",
            completed=step.step,
            total=step.n_steps,
            losses=losses,
        )


def train(
    detector: Annotated[
        str,
        typer.Argument(
            help="Which: bert, tfidf, tweet_metadata, three_branch, att_xdsf or cascade_gcn."
        ),
    ],
    data: Annotated[
        list[Path],
        typer.Option("--data", help="JSON lines or CSV with text and label; repeatable."),
    ],
    out: Annotated[Path, typer.Option("--out", help="The folder to write the weights to.")],
    encoder: options.Encoder = None,
    labels: Labels = None,
    balance: Annotated[
        str, typer.Option("--balance", help="The classes, in the training split: none or eda.")
    ] = "none",
    small: Annotated[
        bool, typer.Option("--small", help="Settings for a CPU instead of the paper's.")
    ] = False,
    tune: Annotated[
        str | None,
        typer.Option("--tune", help="Of bert: full (all weights, as the paper), lora or head."),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="A setting, as epochs=3 or counters=final; repeatable."),
    ] = None,
    languages: Annotated[
        str, typer.Option("--languages", help="Of the texts; others get an abstention.")
    ] = "en",
    calibration: Annotated[
        str,
        typer.Option("--calibration", help="platt, or isotonic with enough validation posts."),
    ] = "platt",
    abstain: Annotated[
        str | None,
        typer.Option("--abstain", help="No opinion between these scores, as 0.4,0.6."),
    ] = None,
    seed: Seed = 0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on after the last epoch of a stopped training.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Train a detector on labelled posts, and write a weights folder for --weights.

    A file without a column split is divided 7 : 1 : 2; no near-duplicate and no picture is on two
    sides. The epoch that is best on validation texts is kept, calibration and threshold are fitted
    there, and the test split is left to `hoaxwatch evaluate`. Settings are the paper's,
    as far as it gives them, or --small. cascade_gcn takes --data FOLDER that holds twitter15/.
    """
    from detectors.datasets.prepared import BadData
    from detectors.encoder import DEFAULT_ENCODER
    from detectors.training import CALIBRATIONS, Task, run, trainer_of

    trainer = trainer_of(detector)
    if balance not in ("none", "eda"):
        raise UsageError(f"--balance {balance!r} is neither none nor eda")
    if calibration not in CALIBRATIONS:
        raise UsageError(f"--calibration {calibration!r} is none of {', '.join(CALIBRATIONS)}")
    try:
        read = load_posts(data, labels, seed) if trainer.reads == "posts" else []
    except BadData as error:
        raise UsageError(str(error)) from None
    name = encoder or DEFAULT_ENCODER
    posts = _balanced(read, name, seed) if balance == "eda" and read else read
    for split in ("train", "validation", "test") if read else ():
        own = Counter(post.label for post in posts if post.split == split)
        _say(f"{split}: " + (", ".join(f"{number(n)} {w}" for w, n in sorted(own.items())) or "0"))
    try:
        out.mkdir(parents=True, exist_ok=True)
        task = Task(
            posts=posts,
            data=data[0],
            out=out,
            encoder=name,
            say=_say,
            small=small,
            changes=_changes([*(changes or ()), *([] if tune is None else [f"tune={tune}"])]),
            seed=seed,
            resume=resume,
            languages=tuple(part.strip() for part in languages.split(",") if part.strip()),
            trained_on=datetime.now(UTC).date().isoformat(),
            calibration=calibration,
            abstain=() if abstain is None else _band(abstain),
        )
        with Watched() as watched:
            said = run(detector, task._replace(watch=watched.at))
        if trainer.reads == "posts":
            said = {"detector": detector, "seed": seed, "balance": balance} | said
            said |= {"labels": labels, "data": digests(data), "division": division(read)}
            said["posts"] = {
                split: dict(Counter(post.label for post in posts if post.split == split))
                for split in ("train", "validation", "test")
            }
            written = json.dumps(said, indent=1, ensure_ascii=False)
            (out / "metrics.json").write_text(written + "\n", encoding="utf-8")
            (out / "README.md").write_text(card(said), encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"cannot write {error.filename or out}: {error.strerror}; give another --out"
        ) from None
    if as_json:
        print_json(said)
        return
    if trainer.reads == "posts":
        found = said["validation"]
        _say(
            f"validation: MCC {found['mcc']:.2f} ({found['mcc_interval'][0]:.2f} to "
            f"{found['mcc_interval'][1]:.2f}), flagged from {100 * said['threshold']:.0f} %"
        )
        _say(f"wrote {out}; measure it: {measured_by(detector, out, data, labels, seed)}")
    else:
        _say(f"wrote {out}; how good it is says {out / 'README.md'}")


def measured_by(
    detector: str, out: Path, data: Sequence[Path], labels: str | None, seed: int
) -> str:
    """The command that divides the files as this training did, and so measures on posts that it
    left alone.

    >>> measured_by("tfidf", Path("out"), [Path("a.csv"), Path("my b.csv")], None, 1)
    "hoaxwatch evaluate tfidf=out --data a.csv --data 'my b.csv' --seed 1"
    """
    words = ["hoaxwatch", "evaluate", f"{detector}={out}"]
    for path in data:
        words += ["--data", str(path)]
    if labels is not None:
        words += ["--labels", labels]
    if seed:
        words += ["--seed", str(seed)]
    return shlex.join(words)


def load_posts(data: Sequence[Path], labels: str | None, seed: int) -> list[Any]:
    """The posts of these files with their splits. Raises: BadData."""
    from detectors.datasets.prepared import parse_words, read_posts_files, with_splits

    words = None if labels is None else parse_words(labels)
    return with_splits(read_posts_files(data, words), seed)


def digest(path: Path) -> str:
    """The sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digests(data: Sequence[Path]) -> dict[str, str]:
    """The sha256 of each file, by its name."""
    return {path.name: digest(path) for path in data}


def division(posts: Sequence[Any]) -> str:
    """The sha256 of which text is in which split, in whatever order."""
    lines = sorted(json.dumps([post.split, post.text]) for post in posts)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def card(said: Mapping[str, Any]) -> str:
    """The card of a folder that a user trained, out of what training said.

    >>> said = {"detector": "tfidf", "data": {"a.csv": "0" * 64}, "posts": {}, "threshold": 0.5}
    >>> said |= {"validation": {"n": 9, "mcc": 0.5, "mcc_interval": [0.1, 0.8], "prevalence": 0.3}}
    >>> print(card(said | {"settings": {"c": 1.0}, "balance": "none", "seed": 0}).splitlines()[0])
    # A trained `tfidf`
    """
    found = said["validation"]
    low, high = found["mcc_interval"]
    settings = ", ".join(f"{name} {value}" for name, value in said["settings"].items())
    files = ", ".join(f"`{name}` (sha256 {sha[:12]}...)" for name, sha in said["data"].items())
    counts = "; ".join(
        f"{split} " + ", ".join(f"{n:,} {label}" for label, n in sorted(own.items()))
        for split, own in said["posts"].items()
    )
    return f"""# A trained `{said["detector"]}`

Written by `hoaxwatch train` from `metrics.json`: do not edit.

- **Data**: {files}. Posts: {counts or "not counted"}. Balanced by: {said["balance"]}.
- **Settings**: {settings}; seed {said["seed"]}.
- **On validation texts** (n = {found["n"]}, {100 * found["prevalence"]:.1f} % likely false):
  MCC {found["mcc"]:.2f} (95 % {low:.2f} to {high:.2f}). It flatters: the epoch, the calibration and
  the threshold {said["threshold"]} were chosen there. `hoaxwatch evaluate` measures the test split.
- **Limits**: it learns how the texts of its data are worded, not facts. Expect less on other
  topics, sources and times. A score is an opinion, calibrated for the share of false posts there.
"""


def _balanced(posts: list[Any], encoder: str, seed: int) -> list[Any]:
    from detectors.encoder import read_encoder
    from detectors.text.augment import balanced, neighbours

    return balanced(posts, neighbours(read_encoder(encoder)), seed)


def _band(written: str) -> tuple[float, float]:
    try:
        low, high = map(float, written.split(","))
    except ValueError:
        low = high = 0.0
    if not 0 < low < high < 1:
        raise UsageError(f"--abstain {written!r}: write two scores between 0 and 1, as 0.4,0.6")
    return low, high


def _changes(given: Sequence[str]) -> dict[str, str]:
    changes = {}
    for one in given:
        name, sign, value = one.partition("=")
        if not sign:
            raise UsageError(f"--set {one!r}: write it as epochs=3")
        changes[name.strip()] = value.strip()
    return changes


def _say(line: str) -> None:
    notes.print(line, markup=False, soft_wrap=True)
