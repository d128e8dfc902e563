"""hoaxwatch trends, clusters, report, trace, quarantine: what reads the tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer

from detectors.claims import DENIES
from graph.emerging import EMERGING_FROM
from graph.followed import is_followed, show_topic
from hoaxwatch.commands import options
from hoaxwatch.commands.options import connected, parse_span, parse_time, settings_of
from hoaxwatch.evidence import Explainer
from hoaxwatch.show import (
    Column,
    Output,
    as_mapping,
    minute,
    notes,
    number,
    output_of,
    percent,
    print_json,
    print_lines,
    share,
    shorten,
    show_rows,
)
from storage import errata, history, reads, tracking
from storage.database import Connection
from storage.reads import TrendRow
from storage.tracking import CoveredBucket
from streams.errors import UsageError
from streams.settings import Settings

if TYPE_CHECKING:
    from detectors.prevalence import Errors

#: Of the claims that a post repeats.
SHOWN_CLAIMS = 3

_NOTHING = "nothing stored yet: hoaxwatch run FILES"

_COUNTS = [
    Column("posts", lambda row: number(row["posts"]), is_number=True),
    Column("originals", lambda row: number(row["originals"]), is_number=True),
    Column("shares", lambda row: number(row["shares"]), is_number=True),
]
_DAY = Column("day (UTC)", lambda row: f"{row['bucket_start']:%Y-%m-%d}")
_ACCOUNTS = Column("accounts", lambda row: number(row["authors"]), is_number=True)
_JUDGED = [
    Column("judged", lambda row: number(row["judged"]), is_number=True),
    Column("false", lambda row: number(row["likely_false"]), is_number=True),
    Column("share (95 %)", share, is_number=True),
]


trends_app = typer.Typer(invoke_without_command=True)


@trends_app.callback()
def trends(
    context: typer.Context,
    hashtag: Annotated[
        str | None, typer.Option("--hashtag", "-t", help="One hashtag; default: a list of all.")
    ] = None,
    by: Annotated[str, typer.Option("--by", help="Buckets of one hashtag: day or hour.")] = "day",
    rising: Annotated[
        bool, typer.Option("--rising", help="Sort the list by rise instead of posts.")
    ] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="Rows of the list.")] = 20,
    adjusted: Annotated[
        str | None,
        typer.Option(
            "--adjusted",
            help="Adjust the share that was flagged: bert, tfidf, a weights folder, or the "
            "evaluation.json of the detector.",
        ),
    ] = None,
    since: options.Since = None,
    until: options.Until = None,
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="What was believed at the end of this day (UTC).")
    ] = None,
    tz: options.Tz = None,
    project: options.Project = None,
    database: options.Database = None,
    as_json: options.Json = False,
    as_csv: options.Csv = False,
) -> None:
    """Show how hashtags are used: posts, originals, shares, accounts, how many likely false.

    A share carries the hashtags of its original. Hours are UTC, and so are the days of the list; of
    a day in which --since or --until lies, the hours count that the period touches.
    Buckets without a post have no row, but those of a tracked hashtag have: what no live source
    collected is marked so, and what was not counted then is unknown. The rise of a hashtag is how
    far its busiest day lies above the median of the seven days before; where live sources are asked
    for it, of those that they collected whole, and unknown if there is none. The expected share is
    the mean probability over judged posts; each text is one draw. With --adjusted the share of
    posts that were flagged is shown as it would be if the detector made no errors (Rogan and
    Gladen), with an interval that knows how well its errors are known.
    """
    if context.invoked_subcommand is not None:
        return
    if by not in ("day", "hour"):
        raise UsageError(f"--by {by!r} is not a bucket; there are day and hour")
    if adjusted is not None and hashtag is None:
        raise UsageError("--adjusted goes with --hashtag: it is of a day or an hour")
    if adjusted is not None and as_of is not None:
        raise UsageError("--adjusted is of what is known today; leave out --as-of")
    settings = settings_of(project, database, tz)
    zone = settings.timezone
    asked = parse_span(since, until, zone)
    start, end = reads.whole_hours(*asked)
    output = output_of(as_json, as_csv)
    errors = None if adjusted is None else _errors_of(adjusted)
    with connected(settings) as connection:
        believed: date | None = None
        if as_of is not None:
            if by != "day" or (hashtag is not None and zone != "UTC"):
                raise UsageError("--as-of knows UTC days only; leave out --by hour and --tz")
            believed = _believed(connection, as_of)
            start, end = reads.whole_days(start, end)
        if hashtag is None:
            show_hashtags(connection, output, limit, start, end, believed, rising=rising)
            return
        tag = options.parse_topic(hashtag)
        if believed is not None:
            rows = history.read_trends_as_of(connection, believed, tag, start, end)
            title = f"{show_topic(tag)} by day, as believed on {believed}"
            empty = f"nothing was known of {show_topic(tag)} on {believed}"
            columns = [_DAY, *_COUNTS, _ACCOUNTS, *_JUDGED]
            show_rows(rows, output, columns, title, empty)
            return
        if by == "day" and zone != "UTC":
            start, end = asked  # from posts: in zones of half hours days begin within an hour
            rows = reads.read_days(connection, tag, zone, start, end)
            local = ZoneInfo(zone)
            rows = [row._replace(bucket_start=row.bucket_start.astimezone(local)) for row in rows]
        else:
            zone = "UTC"
            rows = reads.read_trends(connection, tag, by, start, end)
        covered = tracking.read_coverage(connection, tag, start, end, grain=by, zone=zone)
        judged = _JUDGED
        shown: Sequence[Any] = rows
        if covered:
            local = ZoneInfo(zone)
            covered = [c._replace(bucket_start=c.bucket_start.astimezone(local)) for c in covered]
            shown = with_coverage(rows, covered)
        if errors is not None:
            draws = reads.read_draws(connection, tag, by, zone, start, end)
            shown = [with_adjusted(as_mapping(row), draws, errors) for row in shown]
            judged = [*_JUDGED, Column("adjusted (95 %)", adjusted_in_words, is_number=True)]
        shape = "%Y-%m-%d" if by == "day" else "%Y-%m-%d %H:00"
        columns = [
            Column(f"{by} ({zone})", lambda row: f"{row['bucket_start']:{shape}}"),
            *([Column("collected", collected)] if covered else []),
            *_COUNTS,
            _ACCOUNTS,
            *judged,
        ]
        empty = f"no post with {show_topic(tag)}; hoaxwatch trends lists the hashtags"
        if is_followed(tag):
            empty = f"no post with {tag}, or it is not followed: hoaxwatch follow list"
        show_rows(shown, output, columns, f"{show_topic(tag)} by {by}", empty)


def _errors_of(named: str) -> Errors:
    from detectors.detector import DetectorUnusable
    from detectors.model_folders import SHIPPED
    from detectors.prevalence import read_errors

    try:
        return read_errors(SHIPPED / named if named in ("bert", "tfidf") else Path(named))
    except DetectorUnusable as error:
        raise UsageError(str(error)) from None


def with_adjusted(
    row: Mapping[str, Any], draws: Mapping[datetime, float], errors: Errors
) -> dict[str, Any]:
    """A bucket with the adjusted share of likely-false posts and its interval; None where nothing
    was judged."""
    from detectors.prevalence import adjusted_share

    n = draws.get(row["bucket_start"], 0.0)
    found = adjusted_share(row["likely_false"] / row["judged"], n, errors) if n else None
    names = ("adjusted_share", "adjusted_low", "adjusted_high")
    values = (None,) * 3 if found is None else (round(value, 6) for value in found)
    return {**row, **dict(zip(names, values, strict=True))}


def adjusted_in_words(row: Mapping[str, Any]) -> str:
    """The adjusted share with its interval.

    >>> adjusted_in_words({"adjusted_share": 0.25, "adjusted_low": 0.1, "adjusted_high": 0.4})
    '25 % (10–40)'
    """
    return share(
        {
            name.replace("adjusted", "expected"): value
            for name, value in row.items()
            if name.startswith("adjusted")
        }
    )


def _believed(connection: Connection, as_of: str) -> date:
    """The day of --as-of, of which something is known. Says when that was written down, and which
    snapshot stands for the day, if it has none of its own."""
    day = options.parse_day(as_of, "--as-of")
    first, snapshot = history.read_first(connection), history.read_latest(connection, day)
    if day > history.day_before(datetime.now(UTC)):
        raise UsageError(f"--as-of {as_of}: that day is not over; leave it out to see the tables")
    if first is None:
        raise UsageError(
            "no snapshot was taken yet: hoaxwatch trends snapshot takes one a day, and so do "
            "run, daily and worker track"
        )
    if snapshot is None:
        raise UsageError(
            f"--as-of {as_of}: the first snapshot is of {first.snapshot_day:%Y-%m-%d}; what was "
            "believed before is not known"
        )
    if snapshot.snapshot_day < day:
        notes.print(
            f"{day:%Y-%m-%d} has no snapshot: this is what was so at the end of "
            f"{snapshot.snapshot_day:%Y-%m-%d}"
        )
    notes.print(
        f"written down on {minute(snapshot.taken_at)} UTC: what was stored by then is in it",
        markup=False,
        soft_wrap=True,
    )
    return day.date()


def show_hashtags(
    connection: Connection,
    output: Output,
    limit: int,
    since: datetime | None = None,
    until: datetime | None = None,
    believed: date | None = None,
    *,
    rising: bool = False,
) -> None:
    """Prints the hashtags with most posts in a period, or with the greatest rise; `believed`: as
    the tables had them at the end of that day."""
    found = reads.read_hashtags(connection, limit, since, until, rising=rising, as_of=believed)
    written = reads.read_display_forms(connection, [row.hashtag for row in found])
    columns = [
        Column(
            "hashtag",
            lambda row: shorten(show_topic(row["hashtag"], written.get(row["hashtag"])), 24),
        ),
        *_COUNTS,
        *_JUDGED[:2],
        Column("share", lambda row: percent(row["expected_share"]), True),
        Column("busiest day", lambda row: f"{row['busiest_day']:%Y-%m-%d}"),
        Column("rise", lambda row: "–" if row["rise"] is None else f"{row['rise']:+,.0f}", True),
    ]
    title = "Hashtags by rise" if rising else "Hashtags by posts"
    title += "" if believed is None else f", as believed on {believed}"
    show_rows(found, output, columns, title, _NOTHING)


@trends_app.command()
def snapshot(
    project: options.Project = None,
    database: options.Database = None,
    as_json: options.Json = False,
) -> None:
    """Write down what the tables say, as what was believed at the end of yesterday (UTC).

    Once a day, best soon after midnight; again on the same day it changes nothing. `run`, `daily`
    and `worker track` do it by themselves, before they store anything of a new day.
    """
    with connected(settings_of(project, database)) as connection:
        taken = history.take_snapshot(connection, datetime.now(UTC))
        latest = history.read_latest(connection)
    if as_json:
        print_json({"is_new": taken is not None, "snapshot": latest and latest._asdict()})
    elif latest is None:
        notes.print(_NOTHING)
    else:
        told = f"{number(latest.n_rows)} days of hashtags, {number(latest.n_changed)} not as before"
        was = "snapshot" if taken else f"had its snapshot at {minute(latest.taken_at)}"
        line = f"{latest.snapshot_day:%Y-%m-%d} {was}: {told}"
        notes.print(line, markup=False, soft_wrap=True)


def with_coverage(
    rows: Sequence[TrendRow], covered: Sequence[CoveredBucket]
) -> list[dict[str, Any]]:
    """The buckets of a tracked hashtag, each with what of it was collected.

    A bucket without a row has 0 posts where all of it was collected without reaching a cap, else
    its counts are unknown (None).
    """
    counted = {row.bucket_start: row._asdict() for row in rows}
    told = {bucket.bucket_start: bucket for bucket in covered}
    unknown: dict[str, Any] = dict.fromkeys(TrendRow._fields)
    found = []
    for start in sorted(counted.keys() | told.keys()):
        bucket = told.get(start)
        row = counted.get(start)
        if row is None:
            row = unknown | {"hashtag": covered[0].hashtag, "bucket_start": start}
            if bucket is not None and bucket.is_whole:
                row |= dict.fromkeys(COUNTS, 0)
        found.append(
            row
            | {
                "collected": None if bucket is None else bucket.share,
                "is_capped": bucket is not None and bucket.is_capped,
                "errors": None if bucket is None else bucket.errors,
            }
        )
    return found


#: What is 0, not unknown, in a bucket without posts.
COUNTS = ("posts", "originals", "shares", "authors", "judged", "likely_false")


def collected(row: Mapping[str, Any]) -> str:
    """What of a bucket was collected, in words.

    >>> told = {"collected": 0.5, "is_capped": True, "errors": 2}
    >>> collected(told), collected({"collected": 0.0, "is_capped": False, "errors": 0})
    ('50 %, capped, 2 errors', 'not collected')
    """
    if row["collected"] is None:
        return "not tracked"
    if not row["collected"]:
        return "not collected"
    # 99.9 % is not all of it
    words = [f"{int(100 * row['collected'])} %"]
    words += ["capped"] if row["is_capped"] else []
    words += [f"{row['errors']} errors"] if row["errors"] else []
    return ", ".join(words)


def clusters(
    hashtag: Annotated[str, typer.Option("--hashtag", "-t", help="Whose spread.")],
    algorithm: Annotated[
        str | None, typer.Option("--algorithm", help="louvain or infomap; default: both.")
    ] = None,
    window: Annotated[
        str | None,
        typer.Option("--window", help="Start of one window (UTC), or all; default: the largest."),
    ] = None,
    min_users: Annotated[
        int, typer.Option("--min-users", min=1, help="Leave out clusters with fewer accounts.")
    ] = 5,
    project: options.Project = None,
    database: options.Database = None,
    as_json: options.Json = False,
    as_csv: options.Csv = False,
) -> None:
    """Show the groups of accounts that share each other's posts with a hashtag.

    Two accounts are linked when one shared the other. Windows are event time, UTC. Cluster numbers
    are by size and mean nothing from one window to the next; the name of a lineage stays.
    """
    if algorithm not in (None, "louvain", "infomap"):
        raise UsageError(f"--algorithm {algorithm!r} is unknown; there are louvain and infomap")
    tag = options.parse_topic(hashtag)
    with connected(settings_of(project, database)) as connection:
        networks = reads.read_networks(connection, tag)
        start: datetime | None = None
        if window is None and networks:
            start = max(networks, key=lambda network: network.n_shares).window_start
        elif window != "all":
            start = parse_time(window, "--window")
        rows = reads.read_clusters(connection, tag, algorithm, start, min_users)
        names: dict[tuple[int, int], str] = {}
        for clustering in {row.clustering_id for row in rows}:
            for cluster, members in reads.read_top_members(connection, clustering, 2).items():
                names[clustering, cluster] = ", ".join(members)
    output = output_of(as_json, as_csv)
    shown = [
        row._asdict() | {"most_shared": names.get((row.clustering_id, row.cluster), "")}
        for row in rows
    ]
    columns = [
        Column("no.", lambda row: str(row["cluster"]), is_number=True),
        Column("accounts", lambda row: number(row["n_users"]), is_number=True),
        Column("shares", lambda row: number(row["n_shares"]), is_number=True),
        *_JUDGED,
        Column("lineage", lambda row: shorten(row["label"] or row["lineage"] or "–", 24)),
        Column("before", lambda row: number(row["n_before"]), is_number=True),
        Column("note", cluster_note),
        Column("most shared", lambda row: shorten(row["most_shared"], 24)),
    ]
    empty = (
        f"no clusters of {show_topic(tag)}: too few accounts shared each other in any window "
        "(setting cluster_min_users), or no such hashtag"
    )
    if output is not Output.table or not shown:
        show_rows(shown, output, columns, "", empty)
        return
    sizes = {network.window_start: network for network in networks}
    for (begin, by), group in groupby(shown, itemgetter("window_start", "algorithm")):
        of_window: list[dict[str, Any]] = list(group)
        first, network = of_window[0], sizes[begin]
        title = (
            f"{show_topic(tag)} by {by}, {minute(begin)} to {minute(first['window_end'])} UTC\n"
            f"{number(network.n_users)} accounts, {number(network.n_links)} links, "
            f"{number(network.n_shares)} shares, {minute(network.first_at)} to "
            f"{minute(network.last_at)}; {number(first['n_clusters'])} clusters, "
            f"{first['quality_name']} {first['quality']:.3f}"
        )
        show_rows(of_window, output, columns, title, empty)


def cluster_note(row: Mapping[str, Any]) -> str:
    """What has to be known before a cluster is believed.

    >>> cluster_note({"is_star": False, "stability": 0.5, "n_coordinated": 3, "emerging": 0.2})
    'emerging 0.20, unstable, 3 coordinated'
    """
    from graph.stability import STABLE_FROM

    if row["is_star"]:
        return "one account"
    said = []
    if row["emerging"] is not None and row["emerging"] >= EMERGING_FROM:
        said.append(f"emerging {row['emerging']:.2f}")
    if row["stability"] is not None and row["stability"] < STABLE_FROM:
        said.append("unstable")
    if row["n_coordinated"]:
        said.append(f"{row['n_coordinated']} coordinated")
    return ", ".join(said)


def report(
    output: Annotated[Path, typer.Option("--output", "-o", help="The HTML file to write.")] = Path(
        "report.html"
    ),
    hashtag: Annotated[
        str | None, typer.Option("--hashtag", "-t", help="Whose networks; default: the largest.")
    ] = None,
    title: Annotated[str | None, typer.Option("--title", help="Heading of the page.")] = None,
    since: options.Since = None,
    until: options.Until = None,
    project: options.Project = None,
    database: options.Database = None,
) -> None:
    """Write one HTML file with totals, rising hashtags, networks, clusters and the manifest.

    Its days are UTC, whatever the setting `timezone`, and so are --since and --until.
    """
    settings = settings_of(project, database)
    with connected(settings) as connection:
        write(connection, settings, output, hashtag, title, since, until)
    notes.print(f"wrote {output}", markup=False, soft_wrap=True)


def write(
    connection: Connection,
    settings: Settings,
    output: Path,
    hashtag: str | None = None,
    title: str | None = None,
    since: str | None = None,
    until: str | None = None,
) -> None:
    """Builds the report and writes it."""
    from hoaxwatch.report import build_report, write_report

    start, end = parse_span(since, until)
    page = build_report(
        connection,
        title=title or f"hoaxwatch: {settings.project}",
        since=start,
        until=end,
        hashtag=options.parse_topic(hashtag) if hashtag else None,
        seed=settings.seed,
        now=datetime.now(UTC),
        explain=Explainer(settings),
    )
    try:
        write_report(output, page)
    except OSError as error:
        raise UsageError(
            f"cannot write {output}: {error.strerror}; give another place with --output"
        ) from None


def trace(
    post_id: Annotated[str, typer.Argument(help="Id of the post on its platform.")],
    project: options.Project = None,
    database: options.Database = None,
    as_json: options.Json = False,
) -> None:
    """Show the path of one post: where it was read, how it was judged and why, where it counts."""
    settings = settings_of(project, database)
    with connected(settings) as connection:
        found = reads.read_trace(connection, post_id)
        for post in found:
            wrong = errata.read_errata_of_post(connection, post["platform"], post_id)
            post["errata"] = [erratum._asdict() for erratum in wrong]
    if not found:
        raise UsageError(
            f"no post {post_id} is stored in this project; it may be in quarantine "
            "(hoaxwatch quarantine), deleted, or in another --project"
        )
    explain = Explainer(settings)
    found = [{**post, "evidence": explain(post)} for post in found]
    if as_json:
        print_json(found)
        return
    for post in found:
        print_lines(trace_lines(post))


def claim_line(claim: Mapping[str, Any]) -> str:
    """What somebody else found about what a text says.

    >>> claim_line({"kind": "check", "publisher": "Example Checks", "rating": "False",
    ...             "link": "https://checks.example/1", "published_on": "2026-02-03",
    ...             "label": "Refute", "cosine": 0.913})
    'already checked by Example Checks: False, https://checks.example/1, 2026-02-03 (Refute, 0.91)'
    """
    word = "checked" if claim["kind"] == "check" else "reported"
    facts = [
        claim["rating"] or ("no rating" if claim["kind"] == "check" else ""),
        claim["link"],
        claim["published_on"],
    ]
    label = "the post denies it" if claim["label"] == DENIES else claim["label"]
    return (
        f"already {word} by {shorten(claim['publisher'] or 'unknown', 40)}: "
        f"{', '.join(filter(None, facts))} ({label}, {claim['cosine']:.2f})"
    )


def trace_lines(post: dict[str, Any]) -> list[str]:
    """The path of one post in lines of text."""
    what = post["kind"] + (f" of {post['share_of']}" if post["share_of"] else "")
    what += f", found through {post['shared_via']}" if post["shared_via"] else ""
    lines = [
        f"{post['platform']}:{post['post_id']}  {what}, {minute(post['posted_at'])} UTC, "
        f"by {post['author_id'] or 'unknown'}",
        f"  read      {', '.join(post['provenance']) or 'unknown'} "
        f"(observed {minute(post['observed_at'])}, {post['seen_as']}, "
        f"{len(post['payloads'])} raw versions)",
        f"  says      {shorten(post['text'], 100)}"
        + ("" if post["completeness"] == 2 else "  [cut]"),
        f"  language  {post['lang'] or 'unknown'}",
    ]
    by = f"{post['detector']} {post['version']}"
    if post["state"] in ("scored", "unsure", "labelled"):
        word = {True: "likely false", False: "not flagged", None: "not counted"}
        lines.append(
            f"  judged    {post['state']}: {percent(post['score'])}, "
            f"{word[post['likely_false']]} (flagged from {percent(post['threshold'])}; {by})"
        )
        lines += [f"    {weight:+.2f}  {feature}" for feature, weight in post["evidence"] or []]
    else:
        lines.append(f"  judged    {post['state']}: {post['reason'] or 'waits for a run'} ({by})")
    lines += [
        f"  erratum   {minute(wrong['reported_at'])}, about the {wrong['kind']}: {wrong['reason']}"
        for wrong in post["errata"]
    ]
    lines += [f"  {claim_line(claim)}" for claim in post["claims"][:SHOWN_CLAIMS]]
    if len(post["claims"]) > SHOWN_CLAIMS:
        lines.append(f"    and {number(len(post['claims']) - SHOWN_CLAIMS)} more: --json")
    for verdict in post["cascade_verdicts"]:
        said = percent(verdict["score"]) if verdict["state"] == "scored" else verdict["reason"]
        lines.append(
            f"  spreads   {verdict['checkpoint']}, {number(verdict['n_nodes'])} posts: "
            f"{verdict['state']}, {said} ({verdict['detector']} {verdict['version']})"
        )
    if combined := post["combined_score"]:
        said = percent(combined["score"]) if combined["reason"] is None else combined["reason"]
        parts = [f"{part['name']} {part['contribution']:+.2f}" for part in combined["used"]]
        parts += [f"{part['name']} {part['reason']}" for part in combined["missing"]]
        lines.append(f"  combined  {said}: {', '.join(parts)} (fusion {combined['fusion']})")
    lines.append("  counts in")
    for bucket in post["buckets"]:
        lines.append(
            f"    hashtag_trends {show_topic(bucket['hashtag'])} {bucket['grain']} "
            f"{minute(bucket['bucket_start'])}: {number(bucket['posts'])} posts, "
            f"{number(bucket['judged'])} judged"
        )
    for cluster in post["clusters"]:
        lines.append(
            f"    cluster_members {show_topic(cluster['hashtag'])} "
            f"{minute(cluster['window_start'])} {cluster['algorithm']} cluster {cluster['cluster']}"
        )
    if not post["buckets"]:
        lines.append("    no hashtag: in posts and content only")
    if post["waiting_buckets"]:
        lines.append("    (some of these wait to be recounted: hoaxwatch run again)")
    return lines
