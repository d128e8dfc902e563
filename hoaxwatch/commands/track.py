"""`hoaxwatch track`: which hashtags live sources are asked for, and what they covered."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from detectors.text.hashtags import WANG_2020
from hoaxwatch.commands import options
from hoaxwatch.commands.options import connected, settings_of
from hoaxwatch.show import Column, minute, notes, number, output_of, shorten, show_rows
from storage import snowball, tracking
from storage.snowball import Proposal
from storage.tracking import Tracked
from streams.errors import UsageError
from streams.records import hashtag_key

app = typer.Typer(
    no_args_is_help=True,
    help="Which hashtags live sources are asked for, from when to when, and what was collected.",
)

Note = Annotated[str | None, typer.Option("--note", help="Why.")]


def _say(line: str) -> None:
    notes.print(line, markup=False, soft_wrap=True)


#: Hashtags of published studies.
PRESETS = {"wang2020": WANG_2020}


@app.command()
def add(
    hashtags: Annotated[list[str], typer.Argument(help="With or without the sign.")],
    note: Note = None,
    by: options.By = "me",
    project: options.Project = None,
    database: options.Database = None,
) -> None:
    """Track hashtags from now on."""
    _add([_checked(name) for name in hashtags], note, by, project, database)


@app.command("import")
def import_(
    file: Annotated[
        Path,
        typer.Argument(
            help=f"hashtags.txt: one a line; # alone begins a remark. Or {', '.join(PRESETS)}."
        ),
    ],
    note: Note = None,
    by: options.By = "me",
    project: options.Project = None,
    database: options.Database = None,
) -> None:
    """Track the hashtags of a file from now on; those tracked already stay as they are."""
    _add(read_hashtags(file), note, by, project, database)


@app.command()
def remove(
    hashtags: Annotated[list[str], typer.Argument(help="With or without the sign.")],
    by: options.By = "me",
    project: options.Project = None,
    database: options.Database = None,
) -> None:
    """Track hashtags, or accounts as platform:id, no more. What was collected stays, and so does
    when it was."""
    accounts = [options.parse_name(name) for name in hashtags if ":" in name]
    hashtags = [name for name in hashtags if ":" not in name]
    if accounts:
        with connected(settings_of(project, database)) as connection:
            for platform, account_id in accounts:
                now = datetime.now(UTC)
                if not snowball.untrack_account(connection, platform, account_id, by, now):
                    raise UsageError(f"{platform}:{account_id} is not tracked")
                _say(f"not tracked any more: {platform}:{account_id}")
        if not hashtags:
            return
    wanted = [hashtag_key(name) for name in hashtags]
    with connected(settings_of(project, database)) as connection:
        ended = tracking.untrack(connection, wanted, by, datetime.now(UTC))
    if missing := [tag for tag in wanted if tag not in ended]:
        raise UsageError(f"#{missing[0]} is not tracked; hoaxwatch track list shows what is")
    _say(f"not tracked any more: {_named(ended)}")


@app.command("list")
def list_(
    history: Annotated[bool, typer.Option("--history", help="Also what was tracked once.")] = False,
    project: options.Project = None,
    database: options.Database = None,
    as_json: options.Json = False,
    as_csv: options.Csv = False,
) -> None:
    """List what is tracked, and since when."""
    with connected(settings_of(project, database)) as connection:
        rows = tracking.read_tracked(connection, with_history=history)
        rows += snowball.read_accounts(connection, with_history=history)
    columns = [
        Column("hashtag", lambda row: Tracked(**row).query),
        Column("from (UTC)", lambda row: minute(row["tracked_from"])),
        Column("until", lambda row: minute(row["tracked_until"]) if row["tracked_until"] else "–"),
        Column("by", lambda row: row["added_by"]),
        Column("why", lambda row: row["note"] or ""),
    ]
    empty = "nothing is tracked: hoaxwatch track add HASHTAG"
    show_rows(rows, output_of(as_json, as_csv), columns, "Tracked hashtags", empty)


@app.command()
def coverage(
    hashtag: Annotated[
        str | None, typer.Option("--hashtag", "-t", help="Only of this hashtag.")
    ] = None,
    source: Annotated[str | None, typer.Option("--source", help="Only of this source.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many pulls.")] = 40,
    project: options.Project = None,
    database: options.Database = None,
    as_json: options.Json = False,
    as_csv: options.Csv = False,
) -> None:
    """List the latest pulls: of what time posts could come, how many came, what went wrong.

    Time that is in no pull was not collected: its counts are unknown, not 0.
    """
    tag = None if hashtag is None else hashtag_key(hashtag)
    with connected(settings_of(project, database)) as connection:
        rows = tracking.read_pulls(connection, source, tag, limit)
    columns = [
        Column("source", lambda row: row["source"]),
        Column("hashtag", lambda row: f"#{row['hashtag']}"),
        Column("covered from (UTC)", lambda row: minute(row["covered_from"])),
        Column("until", lambda row: minute(row["covered_until"])),
        Column("asked", lambda row: number(row["asked"]) if row["asked"] else "all", True),
        Column("got", lambda row: number(row["got"]), is_number=True),
        Column("capped", lambda row: "yes" if row["is_capped"] else ""),
        Column("error", lambda row: shorten(row["error"] or "", 60)),
    ]
    empty = "no pull yet: hoaxwatch run --source bluesky"
    show_rows(rows, output_of(as_json, as_csv), columns, "Pulls", empty)


@app.command("estimate")
def estimate_(
    project: options.Project = None,
    database: options.Database = None,
    as_json: options.Json = False,
    as_csv: options.Csv = False,
) -> None:
    """Say what a month of the tracked hashtags may cost at X, before anything is asked for.

    X counts the posts of the last seven days, which costs as much as one post per hashtag. Shares
    carry their originals, which cost as well, and the same post or account is charged once a day:
    so it is a guide, and x_budget_usd the limit.
    """
    from streams.sources import x_search  # imports tweepy

    settings = settings_of(project, database)
    with connected(settings) as connection:
        tracked = tracking.read_tracked(connection)
    found = x_search.estimate(settings, tracked, lambda line: notes.print(line, markup=False))
    columns = [
        Column("hashtag", lambda row: f"#{row['hashtag']}"),
        Column("posts in 7 days", lambda row: number(row["posts_in_seven_days"]), is_number=True),
        Column("USD a month", lambda row: f"{row['usd_a_month']:,.2f}", is_number=True),
    ]
    total = sum(row.usd_a_month for row in found)
    title = f"At X about {total:,.2f} USD a month; x_budget_usd is {settings.x_budget_usd:,.2f}"
    empty = "nothing is tracked: hoaxwatch track add '#vaccine'"
    show_rows(found, output_of(as_json, as_csv), columns, title, empty)


Names = Annotated[list[str], typer.Argument(help="'#hashtag', or platform:id of an account.")]


@app.command()
def propose(
    since: options.Since = None,
    until: options.Until = None,
    least: Annotated[int, typer.Option("--least", min=1, help="Posts of a side at least.")] = 2,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, help="How many of each side and kind.")
    ] = 10,
    project: options.Project = None,
    database: options.Database = None,
    as_json: options.Json = False,
    as_csv: options.Csv = False,
) -> None:
    """Propose hashtags and accounts that come with the tracked hashtags, with evidence.

    Both sides: of posts that are likely false, and of those that are not; most posts of the side
    first, then followers. Nothing is tracked before somebody accepts it: track accept, or reject.
    What was decided is not proposed again.
    """
    settings = settings_of(project, database)
    start, end = options.parse_span(since, until, settings.timezone)
    with connected(settings) as connection:
        rows = snowball.propose_hashtags(connection, start, end, least, limit)
        rows += snowball.propose_accounts(connection, start, end, least, limit)
    columns = [
        Column("side", lambda row: row["side"]),
        Column("what", lambda row: shorten(row["shown"], 40)),
        Column("name", lambda row: shorten(row["name"], 44)),
        Column("posts", lambda row: number(row["posts"]), is_number=True),
        Column("flagged", lambda row: number(row["flagged"]), is_number=True),
        Column("not", lambda row: number(row["unflagged"]), is_number=True),
        Column("accounts", lambda row: number(row["accounts"]), is_number=True),
        Column("followers", lambda row: number(row["followers"]), is_number=True),
        Column("first (UTC)", lambda row: minute(row["first_at"])),
        Column("for example", lambda row: shorten(row["example"], 40)),
    ]
    empty = "nothing comes with the tracked hashtags often enough that was not decided about"
    show_rows(rows, output_of(as_json, as_csv), columns, "Proposed", empty)


@app.command()
def accept(
    names: Names,
    note: Note = None,
    by: options.By = "me",
    project: options.Project = None,
    database: options.Database = None,
) -> None:
    """Track proposed hashtags and accounts from now on, and record the evidence of this moment.

    Posts of accounts are collected on X and Bluesky, whatever they write; other platforms cannot
    be asked for them.
    """
    _decide(names, "accepted", note, by, project, database)


@app.command()
def reject(
    names: Names,
    note: Note = None,
    by: options.By = "me",
    project: options.Project = None,
    database: options.Database = None,
) -> None:
    """Do not propose these any more. It is recorded; accepting later overrules it."""
    _decide(names, "rejected", note, by, project, database)


@app.command()
def decisions(
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many.")] = 40,
    project: options.Project = None,
    database: options.Database = None,
    as_json: options.Json = False,
    as_csv: options.Csv = False,
) -> None:
    """List what was decided about proposals, with the evidence of then."""
    with connected(settings_of(project, database)) as connection:
        rows = snowball.read_decisions(connection, limit)
    columns = [
        Column("when (UTC)", lambda row: minute(row["decided_at"])),
        Column("what", lambda row: f"{row['kind']} {shorten(row['name'], 44)}"),
        Column("decision", lambda row: row["decision"]),
        Column("by", lambda row: row["decided_by"]),
        Column("flagged of", lambda row: _shown_evidence(row["evidence"])),
        Column("why", lambda row: row["note"] or ""),
    ]
    empty = "nothing was decided: hoaxwatch track propose"
    show_rows(rows, output_of(as_json, as_csv), columns, "Decisions", empty)


def _shown_evidence(evidence: dict[str, int]) -> str:
    return f"{evidence['flagged']} of {evidence['posts']}" if evidence else "not proposed"


def _decide(
    names: Sequence[str],
    decision: str,
    note: str | None,
    by: str,
    project: str | None,
    database: str | None,
) -> None:
    asked = [
        ("account", ":".join(options.parse_name(name)), "")
        if ":" in name
        else ("hashtag", *_checked(name))
        for name in names
    ]
    with connected(settings_of(project, database)) as connection:
        every = 1_000_000
        known: list[Proposal] = snowball.propose_hashtags(connection, least=1, limit=every)
        known += snowball.propose_accounts(connection, least=1, limit=every)
        evidence = {(found.kind, found.name): found for found in known}
        for kind, name, written in asked:
            found = evidence.get((kind, name))
            told: dict[str, object] = {}
            if found is not None:
                told = {**found._asdict(), "first_at": found.first_at.isoformat()}
            now = datetime.now(UTC)
            snowball.decide(connection, kind, name, decision, by, now, note, told)
            if kind == "hashtag" and decision == "accepted":
                tracking.track(connection, [(name, written)], by, now, note or "snowball")
    _say(f"{decision}: {', '.join(names)}")


def read_hashtags(file: Path) -> list[tuple[str, str]]:
    """The hashtags of a file, or of a preset, as (counting form, as written). Raises UsageError.

    >>> read_hashtags(Path("wang2020"))[0]
    ('vaccinetruth', 'vaccinetruth')
    """
    if str(file) in PRESETS and not file.exists():
        return [_checked(name) for name in PRESETS[str(file)]]
    try:
        lines = file.read_text("utf-8-sig").splitlines()
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}; check the path") from None
    except UnicodeDecodeError:
        raise UsageError(f"{file} is not UTF-8; save it as UTF-8") from None
    named = [line.strip() for line in lines]
    found = [_checked(name) for name in named if name and name != "#" and name[:2] != "# "]
    if not found:
        raise UsageError(f"{file} holds no hashtag; write one a line")
    return found


def _checked(name: str) -> tuple[str, str]:
    """A hashtag as (counting form, as written).

    >>> _checked("#Straße")
    ('strasse', 'Straße')
    """
    key, written = hashtag_key(name), name.strip().lstrip("#＃")
    if not key or any(sign.isspace() or sign in ",#＃" for sign in key):
        raise UsageError(f"{name!r} is no hashtag; one looks like '#vaccine', with quotes")
    return key, written


def _add(
    hashtags: Sequence[tuple[str, str]],
    note: str | None,
    by: str,
    project: str | None,
    database: str | None,
) -> None:
    with connected(settings_of(project, database), may_make=True) as connection:
        new = tracking.track(connection, hashtags, by, datetime.now(UTC), note)
    if new:
        _say(f"tracked from now on: {_named(new)}")
    if n_before := len({key for key, _ in hashtags}) - len(new):
        _say(f"{number(n_before)} tracked before")


def _named(tags: Sequence[str]) -> str:
    return ", ".join(f"#{tag}" for tag in sorted(tags))
