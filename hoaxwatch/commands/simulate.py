"""hoaxwatch simulate: an invented world as post files, with what is known of it."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import msgspec
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from hoaxwatch.commands import options
from hoaxwatch.show import notes, number, print_json
from hoaxwatch.simulate import Simulated
from hoaxwatch.simulate.people import SPEAKERS
from streams.errors import UsageError


def simulate(
    seed: Annotated[int, typer.Option("--seed", help="Another seed, another world.")] = 1,
    days: Annotated[int, typer.Option("--days", min=1, help="How long it lasts (days).")] = 30,
    posts: Annotated[int, typer.Option("--posts", min=100, help="How much is posted.")] = 40_000,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder to write; of --numbered a file, or -.")
    ] = Path("simulated"),
    languages: Annotated[
        str, typer.Option("--languages", help="What people speak: some of en, de, es.")
    ] = ",".join(SPEAKERS),
    repeats: Annotated[
        bool,
        typer.Option(
            "--repeats/--no-repeats",
            help="Without: originals on X only, each once and in words of its own; no poison.",
        ),
    ] = True,
    pictures: Annotated[
        bool, typer.Option("--pictures/--no-pictures", help="Draw the pictures of the posts.")
    ] = True,
    tables: Annotated[
        bool, typer.Option("--tables/--no-tables", help="Work out what every table must hold.")
    ] = True,
    numbered: Annotated[
        bool,
        typer.Option(
            "--numbered", help="Plain numbered posts instead, as many as --posts says, for tests."
        ),
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Invent weeks of tweets, Instagram and Bluesky posts, and write down what is true of them.

    To look at hoaxwatch before you have data, to test what you build on it, to teach.
    OUT/posts has the posts in the platforms' own formats, with edits, deletions, late and broken
    records; OUT/media has their pictures. OUT/truth.jsonl.zst says which texts are false, who was
    in which community when, which accounts are the coordinated campaign's, and what every table
    must hold (for a detector that only tests have). The same options give the same bytes.

    Then: hoaxwatch run OUT/posts/* --project invented

    With --numbered, OUT is one file of posts for load tests, 10 million if you like, and
    OUT.trends.jsonl has the counts of their hashtags; memory does not grow with the number.
    """
    if numbered:
        summary = _write_numbered(seed, posts, out)
    else:
        done = write_world(
            out,
            seed,
            days,
            posts,
            languages=_known_languages(languages),
            has_repeats=repeats,
            with_pictures=pictures,
            with_tables=tables,
        )
        summary = _summary(done)
    if as_json:
        print_json(summary)


def _known_languages(written: str) -> list[str]:
    """The languages of --languages.

    >>> _known_languages("en, de")
    ['en', 'de']
    """
    names = [name.strip().lower() for name in written.split(",")]
    if not set(names) <= SPEAKERS.keys():
        raise UsageError(
            f"--languages {written!r}: people here speak {', '.join(SPEAKERS)}; write "
            f"--languages en or --languages en,de"
        )
    return names


def write_world(
    folder: Path, seed: int, days: int, posts: int, *, option: str = "--out", **parts: Any
) -> Simulated:
    """Writes a world, with progress; what cannot be written is the user's to change.

    option: what chooses the folder.   parts: as `hoaxwatch.simulate.simulate` takes them.
    """
    from hoaxwatch.simulate import simulate as write
    from hoaxwatch.simulate.writing import FolderInUse

    with _progress() as bar:
        task = bar.add_task("inventing the world", total=1)

        def watch(what: str, n: int, total: int) -> None:
            bar.update(task, description=what, completed=n, total=total)

        try:
            done = write(folder, seed, days, posts, watch=watch, **parts)
        except FolderInUse as error:
            raise UsageError(f"{error} with {option}, or empty it") from None
        except OSError as error:
            raise UsageError(
                f"cannot write to {folder}: {error.strerror}; give another folder with {option}"
            ) from None
    counts = sum((Counter(of_file) for of_file in done.truth.records.values()), Counter[str]())
    notes.print(
        f"wrote {number(counts['records'])} records of {number(len(done.world.postings))} invented "
        f"posts to {folder}/posts ({len(done.paths)} files), what is true of them to {folder}/",
        markup=False,
        soft_wrap=True,
    )
    return done


def _summary(done: Simulated) -> dict[str, object]:
    truth = done.truth
    return {
        **truth.about,
        "files": {path.name: truth.records[path.name] for path in done.paths},
        "false_contents": sum(label == "likely_false" for label in truth.labels.values()),
        "contents": len(truth.labels),
        "pictures": len(truth.sections["pictures"]),
        "lineage": truth.sections["lineage"],
        "campaign_accounts": len(truth.campaign["accounts"]) if truth.campaign else 0,
        "tables": {name: len(table.rows) for name, table in truth.tables.items()},
    }


def _write_numbered(seed: int, n_posts: int, out: Path) -> dict[str, object]:
    """One line per post, and one per bucket of a hashtag; memory does not grow with either."""
    from hoaxwatch.simulate.numbered import Numbered, TrendTally, as_line
    from hoaxwatch.simulate.outbox import open_packed

    counts_path = Path(f"{'numbered' if str(out) == '-' else out}.trends.jsonl")
    posts, tally = Numbered(seed), TrendTally()
    n_rows = 0
    try:
        with _progress() as bar, counts_path.open("wb") as counts:
            task = bar.add_task("writing numbered posts", total=n_posts)
            file: BinaryIO = sys.stdout.buffer if str(out) == "-" else open_packed(out)
            try:
                for i in range(n_posts):
                    post = posts.post(i)
                    file.write(as_line(post) + b"\n")
                    for row in tally.add(post):
                        counts.write(msgspec.json.encode(asdict(row)) + b"\n")
                        n_rows += 1
                    if i % 10_000 == 0:
                        bar.update(task, completed=i)
                for row in tally.close():
                    counts.write(msgspec.json.encode(asdict(row)) + b"\n")
                    n_rows += 1
            finally:
                if file is not sys.stdout.buffer:
                    file.close()
    except OSError as error:
        raise UsageError(f"cannot write {out}: {error.strerror}; give another --out") from None
    notes.print(
        f"wrote {number(n_posts)} numbered posts to {out}, the counts of their hashtags to "
        f"{counts_path}",
        markup=False,
        soft_wrap=True,
    )
    return {"seed": seed, "posts": n_posts, "trend_rows": n_rows}


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=notes,
        transient=True,
        disable=not notes.is_terminal,
    )
