"""hoaxwatch claims: what fact-checkers found, loaded from their files and looked up."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from detectors.claims import Kind
from hoaxwatch.commands import options
from hoaxwatch.commands.options import connected, settings_of
from hoaxwatch.show import (
    Column,
    counting,
    notes,
    number,
    output_of,
    print_json,
    shorten,
    show_rows,
)
from storage import claims
from streams.claims import ClaimMatcher, Loaded, default_encoder, load_claims
from streams.errors import UsageError

app = typer.Typer(
    help="Claims that somebody checked: load them, look for them, see which posts repeat them.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class ClaimKind(StrEnum):
    """What a file holds."""

    check = "check"
    report = "report"


_COLUMNS = [
    Column("id", lambda row: row["claim_id"][:8]),
    Column("kind", lambda row: row["kind"]),
    Column("claim", lambda row: shorten(row["text"], 60)),
    Column("rating", lambda row: shorten(row["rating"] or "–", 20)),
    Column("publisher", lambda row: shorten(row["publisher"] or "–", 20)),
    Column("date", lambda row: row["published_on"] or "–"),
]


@app.command()
def load(
    files: Annotated[
        list[Path], typer.Argument(help="ClaimReview JSON, Google's fact-check export, or CSV.")
    ],
    kind: Annotated[
        ClaimKind, typer.Option("--kind", help="Fact-checks, or reports that are trusted.")
    ] = ClaimKind.check,
    project: options.Project = None,
    database: options.Database = None,
    as_json: options.Json = False,
) -> int:
    """Load checked claims, or trusted reports. What is there already is left as it is.

    Stopped in the middle, the same command completes it. A claim whose rating changed gets a new
    version; one that was withdrawn stays so.
    """
    settings = settings_of(project, database)
    for path in files:
        if not path.is_file():
            raise UsageError(f"{path} is no file; check the path")
    encoder = default_encoder()
    with connected(settings, may_make=True) as connection:
        results = {}
        for path in files:
            with counting(f"claims of {path.name}") as watch:
                results[path] = load_claims(connection, path, kind.value, encoder, watch)
        n_other = claims.count_other_encoders(connection, encoder.name)
    if as_json:
        print_json([_as_json(path, loaded) for path, loaded in results.items()])
    else:
        for path, loaded in results.items():
            _say_loaded(path, loaded)
    if n_other:
        notes.print(
            f"{number(n_other)} claims were embedded by another encoder and are not compared: load "
            "their files again"
        )
    if not any(loaded.counts.total() for loaded in results.values()):
        raise UsageError(
            "no claim was found: a file is ClaimReview JSON, the answer of Google's Fact Check "
            "Tools, or CSV with the columns text and url"
        )
    notes.print("stored posts are compared with them by the next run, or: hoaxwatch claims match")
    return 0


def _as_json(path: Path, loaded: Loaded) -> dict[str, Any]:
    return {
        "file": path.name,
        **loaded.counts,
        "embedded": loaded.n_encoded,
        "unusable": loaded.n_problems,
        "first": [{"position": p.position, "reason": p.reason} for p in loaded.first],
    }


def _say_loaded(path: Path, loaded: Loaded) -> None:
    counts = ", ".join(f"{number(n)} {name}" for name, n in loaded.counts.items() if n)
    _say(f"{path.name}: {counts or 'no claim'}")
    if loaded.n_problems:
        _say(f"  {number(loaded.n_problems)} entries are no claims, first:")
        for problem in loaded.first:
            _say(f"    {problem.position}: {problem.reason}")


@app.command("list")
def list_(
    kind: Annotated[ClaimKind | None, typer.Option("--kind", help="Only of this kind.")] = None,
    withdrawn: Annotated[
        bool, typer.Option("--withdrawn", help="Those that were withdrawn.")
    ] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="Rows.")] = 20,
    project: options.Project = None,
    database: options.Database = None,
    as_json: options.Json = False,
    as_csv: options.Csv = False,
) -> None:
    """List the claims: those that most texts repeat first, then the latest."""
    output = output_of(as_json, as_csv)
    with connected(settings_of(project, database)) as connection:
        wanted: Kind | None = None if kind is None else kind.value
        rows = claims.read_claims(connection, limit, wanted, withdrawn=withdrawn)
    columns = [
        *_COLUMNS,
        Column("texts", lambda row: number(row["contents"]), is_number=True),
    ]
    empty = "no claim was withdrawn" if withdrawn else "no claims yet: hoaxwatch claims load FILE"
    show_rows(rows, output, columns, "Claims", empty)


@app.command()
def search(
    text: Annotated[str, typer.Argument(help="The words to look for.")],
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="Rows.")] = 5,
    project: options.Project = None,
    database: options.Database = None,
    as_json: options.Json = False,
    as_csv: options.Csv = False,
) -> None:
    """Find the claims that are nearest to a text, and say which of them it repeats.

    A claim that is near is not a match: that takes words in common, the same numbers, and a text
    that does not deny it. Of matches, the first decides.
    """
    output = output_of(as_json, as_csv)
    matcher = ClaimMatcher()
    with connected(settings_of(project, database)) as connection:
        found = matcher.search(text, limit) if matcher.refresh(connection) else []
    columns = [
        Column("cosine", lambda row: f"{row['cosine']:.2f}", is_number=True),
        Column("verdict", lambda row: row["label"] or "–"),
        *_COLUMNS,
    ]
    rows = [
        {
            "cosine": hit.cosine,
            "label": label,
            "claim_id": hit.claim.claim_id,
            "kind": hit.claim.kind,
            "text": hit.claim.text,
            "rating": hit.claim.rating,
            "publisher": hit.claim.publisher,
            "link": hit.claim.url,
            "published_on": hit.claim.reviewed_on,
        }
        for hit, label in found
    ]
    show_rows(rows, output, columns, "Nearest claims", "no claims yet: hoaxwatch claims load FILE")


@app.command()
def withdraw(
    ids: Annotated[list[str], typer.Argument(help="Ids of claims, or their beginnings.")],
    undo: Annotated[bool, typer.Option("--undo", help="Bring them back.")] = False,
    project: options.Project = None,
    database: options.Database = None,
    as_json: options.Json = False,
) -> None:
    """Withdraw claims: from now on no post matches them, also not after another load."""
    with connected(settings_of(project, database)) as connection:
        found = claims.withdraw(connection, ids, datetime.now(UTC), undo=undo)
    what = "brought back" if undo else "withdrawn"
    if as_json:
        print_json({what.replace(" ", "_"): found})
        return
    _say(f"{what}: {', '.join(found)}")
    if undo:
        _say("stored posts are compared with them by the next run, or: hoaxwatch claims match")


@app.command()
def match(
    project: options.Project = None,
    database: options.Database = None,
    as_json: options.Json = False,
) -> None:
    """Compare the stored posts with the claims that were loaded since. A run does it too."""
    from streams import steps

    settings = settings_of(project, database)
    with connected(settings) as connection, counting("texts compared") as watch:
        n_done = 0

        def watch_page(n_contents: int) -> None:
            nonlocal n_done
            n_done += n_contents
            watch(n_done)

        counts = steps.match_claims(connection, ClaimMatcher(), settings.batch_posts, watch_page)
    if as_json:
        print_json({name: counts[name] for name in ("compared", "matched")})
        return
    _say(
        f"{number(counts['compared'])} texts compared with claims that are new to them: "
        f"{number(counts['matched'])} repeat one"
    )


def _say(line: str) -> None:
    notes.print(line, markup=False, soft_wrap=True)
