"""hoaxwatch alerts: what analysts are told, what they decided about it, how good the rules are."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from hoaxwatch.commands import options
from hoaxwatch.commands.options import connected, parse_span, parse_time, settings_of
from hoaxwatch.show import (
    Column,
    minute,
    notes,
    number,
    output_of,
    percent,
    print_json,
    print_lines,
    shorten,
    show_rows,
)
from storage import alerts as stored
from storage.database import Connection
from storage.outbox import Alert
from streams.alerts.policies import Policies, read_policies, write_policies
from streams.alerts.sending import open_sinks
from streams.errors import Unavailable, UsageError

app = typer.Typer(
    help="What analysts are told: list it, decide about it, try out the rules.",
    no_args_is_help=True,
)

STATES = ("open", "acknowledged", "muted", "resolved", "withdrawn")
#: What a list shows unless asked for more.
GOING_ON = ("open", "acknowledged", "muted")

Id = Annotated[int, typer.Argument(help="Number of the alert: hoaxwatch alerts list.")]
Rule = Annotated[str | None, typer.Option("--rule", help="Only this rule.")]


@app.command("list")
def list_(
    state: Annotated[
        list[str] | None,
        typer.Option("--state", help=f"Only these: {', '.join(STATES)}. Default: what goes on."),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Also what is over.")] = False,
    rule: Rule = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="Rows.")] = 50,
    project: options.Project = None,
    database: options.Database = None,
    as_json: options.Json = False,
    as_csv: options.Csv = False,
) -> None:
    """List alerts, the latest first."""
    unknown = sorted(set(state or ()) - set(STATES))
    if unknown:
        raise UsageError(f"--state {unknown[0]!r} is none; there are {', '.join(STATES)}")
    _check_rule(rule)
    wanted = None if everything else state or GOING_ON
    with connected(settings_of(project, database)) as connection:
        rows = stored.read_alerts(connection, wanted, rule, limit)
    columns = [
        Column("no.", lambda row: str(row["alert_id"]), is_number=True),
        Column("state", lambda row: row["state"] + (" (shadow)" if row["is_shadow"] else "")),
        Column("rule", lambda row: row["rule"]),
        Column("since (UTC)", lambda row: minute(row["opened_at"])),
        Column("last", lambda row: minute(row["last_at"])),
        Column("what", lambda row: shorten(row["summary"], 90)),
    ]
    empty = "no alert" if everything else "nothing goes on; hoaxwatch alerts list --all"
    show_rows(rows, output_of(as_json, as_csv), columns, "Alerts", empty)


@app.command()
def show(
    alert_id: Id,
    project: options.Project = None,
    database: options.Database = None,
    as_json: options.Json = False,
) -> None:
    """Show one alert: when it began, how it grew, why now, what ends it, posts and accounts."""
    with connected(settings_of(project, database)) as connection:
        alert = _one(connection, alert_id)
        deliveries = stored.read_deliveries(connection, alert_id)
    if as_json:
        print_json(alert | {"deliveries": deliveries})
        return
    print_lines(_described(alert, deliveries))


@app.command()
def ack(
    alert_id: Id,
    by: options.By = "me",
    project: options.Project = None,
    database: options.Database = None,
    as_json: options.Json = False,
) -> None:
    """Take an alert on: others see that somebody looks at it."""
    with connected(settings_of(project, database)) as connection:
        stored.acknowledge(connection, alert_id, by, datetime.now(UTC))
        _say(connection, alert_id, as_json)


@app.command()
def mute(
    alert_id: Id,
    for_: Annotated[
        str | None, typer.Option("--for", help="How long, as 90m, 12h or 7d; 0h: no longer.")
    ] = None,
    until: Annotated[str | None, typer.Option("--until", help="Until then, as 2023-04-30.")] = None,
    by: options.By = "me",
    project: options.Project = None,
    database: options.Database = None,
    as_json: options.Json = False,
) -> None:
    """Send nothing about this story for a while, also if it begins anew."""
    settings, now = settings_of(project, database), datetime.now(UTC)
    if (for_ is None) == (until is None):
        raise UsageError("say how long: give --for 12h or --until 2023-04-30, one of them")
    end = now + parse_length(for_) if for_ else parse_time(until, "--until", settings.timezone)
    with connected(settings) as connection:
        stored.mute(connection, alert_id, by, end)
        _say(connection, alert_id, as_json)


@app.command()
def resolve(
    alert_id: Id,
    by: options.By = "me",
    project: options.Project = None,
    database: options.Database = None,
    as_json: options.Json = False,
) -> None:
    """Declare an alert done. If its story begins anew later, it opens again."""
    with connected(settings_of(project, database)) as connection:
        stored.resolve(connection, alert_id, by, datetime.now(UTC))
        _say(connection, alert_id, as_json)


@app.command()
def test(
    project: options.Project = None,
    database: options.Database = None,
    as_json: options.Json = False,
) -> None:
    """Send a test alert to every sink that is set up, and say which took it."""
    from streams.service import set_up_logs

    set_up_logs()  # what the log takes goes to stderr, as a worker writes it
    made = Alert(
        *(0, "test", "test:hoaxwatch", "a test of hoaxwatch: nothing happened", {}),
        delivery=f"test-{datetime.now(UTC):%Y%m%dT%H%M%S}",
    )
    results: dict[str, str | None] = {}
    for name, sink in open_sinks(settings_of(project, database)).items():
        try:
            sink.send(made)
            results[name] = None
        except Exception as error:  # a sink may fail in any way
            results[name] = str(getattr(error, "shown", type(error).__name__))
    if as_json:
        print_json([{"sink": name, "error": why} for name, why in results.items()])
    else:
        for name, why in results.items():
            print(f"{name}: {'took it' if why is None else why}")
    failed = [f"{name} ({why})" for name, why in results.items() if why is not None]
    if failed:
        raise Unavailable(f"the test alert did not arrive at {', '.join(failed)}; check the sink")


@app.command()
def policies(
    policy: Annotated[
        Path | None, typer.Option("--policy", help="Another file than the one in force.")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Print what is worth an alert, as TOML to begin a file of one's own with."""
    found = _policies(policy)
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        print(write_policies(found), end="")


@app.command()
def backtest(
    policy: Annotated[
        Path | None,
        typer.Option("--policy", help="A TOML file of policies to try; default: those in force."),
    ] = None,
    from_: Annotated[
        str | None, typer.Option("--from", help="From this day or time on, as 2023-04-24.")
    ] = None,
    to: Annotated[
        str | None, typer.Option("--to", help="Before this day or time, as 2023-04-30.")
    ] = None,
    truth: Annotated[
        Path | None,
        typer.Option("--truth", help="truth.jsonl.zst of hoaxwatch simulate: judge the alerts."),
    ] = None,
    rule: Rule = None,
    project: options.Project = None,
    database: options.Database = None,
    as_json: options.Json = False,
    as_csv: options.Csv = False,
) -> None:
    """Replay history in event time: when each alert would have fired; with a truth file, how good.

    Nothing is stored or sent. Windows are taken as they are stored now: verdicts and posts that
    came late are in them.
    """
    from hoaxwatch.backtest import judge_alerts, known_of, replay, verdict_on

    settings = settings_of(project, database)
    _check_rule(rule)
    since, until = parse_span(from_, to, settings.timezone)
    known = None if truth is None else known_of(_read_truth(truth))
    with connected(settings) as connection:
        found, period = replay(connection, _policies(policy), since, until)
    found = [alert for alert in found if rule in (None, alert.rule)]
    rows: list[dict[str, Any]] = [
        {"at": a.at, "until": a.until, "rule": a.rule, "subject": a.subject, "hashtag": a.hashtag}
        | {"strength": a.strength, "shadow": a.is_shadow, "summary": a.summary}
        | ({} if known is None else {"verdict": verdict_on(a, known)})
        for a in found
    ]
    if period is None:
        raise UsageError("there are no posts to replay; hoaxwatch run FILES reads some")
    judged = None if known is None else judge_alerts(found, known, period)
    if as_json:
        print_json({"alerts": rows, "judged": judged})
        return
    columns = [
        Column("would fire (UTC)", lambda row: minute(row["at"])),
        Column("rule", lambda row: row["rule"]),
        Column("strength", lambda row: f"{row['strength']:.2f}", is_number=True),
        Column("what", lambda row: shorten(row["summary"], 80)),
    ]
    if known is not None:
        columns.append(Column("verdict", lambda row: row["verdict"]))
    title = f"Alerts from {minute(period[0])} to {minute(period[1])} UTC"
    show_rows(rows, output_of(as_json, as_csv), columns, title, "no alert would have fired")
    if judged is not None and not as_csv:
        print_lines(_judged(judged))


def parse_length(text: str) -> timedelta:
    """A length of time as people write it. Raises UsageError.

    >>> parse_length("90m"), parse_length("7d")
    (datetime.timedelta(seconds=5400), datetime.timedelta(days=7))
    """
    found = re.fullmatch(r"(\d{1,6})([mhd])", text)
    if found is None:
        raise UsageError(f"--for {text!r} is no length of time; write 90m, 12h or 7d")
    unit = {"m": "minutes", "h": "hours", "d": "days"}[found[2]]
    return timedelta(**{unit: int(found[1])})


def _policies(path: Path | None) -> Policies:
    return read_policies(settings_of(None, None).alert_policies if path is None else path)


def _check_rule(rule: str | None) -> None:
    rules = (*Policies.TOLD, *Policies.WATCHED)
    if rule is not None and rule not in rules:
        raise UsageError(f"--rule {rule!r} is none; there are {', '.join(rules)}")


def _read_truth(path: Path) -> Any:
    from zstandard import ZstdError

    from hoaxwatch.simulate.truth_file import read_truth

    try:
        return read_truth(path)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}; give another --truth") from None
    except (ZstdError, ValueError, KeyError) as error:
        raise UsageError(
            f"{path} is no truth file of hoaxwatch simulate ({type(error).__name__}); "
            "it is called truth.jsonl.zst"
        ) from None


def _one(connection: Connection, alert_id: int) -> dict[str, Any]:
    rows = stored.read_alerts(connection, alert_id=alert_id)
    if not rows:
        raise UsageError(f"there is no alert {alert_id}; hoaxwatch alerts list --all shows all")
    return rows[0]


def _say(connection: Connection, alert_id: int, as_json: bool) -> None:
    """What an alert is after somebody decided about it."""
    alert = _one(connection, alert_id)
    if as_json:
        print_json(alert)
    else:
        notes.print(
            f"alert {alert_id} is {alert['state']}: {alert['summary']}",
            markup=False,
            soft_wrap=True,
        )


def _described(alert: dict[str, Any], deliveries: list[dict[str, Any]]) -> list[str]:
    evidence = alert["evidence"]
    shadow = ", shadow: never sent" if alert["is_shadow"] else ""
    lines = [
        f"{alert['alert_id']}  {alert['rule']}  {alert['subject']}  {alert['state']}{shadow}",
        f"  {alert['summary']}",
        f"  began     {minute(alert['opened_at'])} UTC"
        + (f", the {alert['n_episodes']}. time" if alert["n_episodes"] > 1 else ""),
        f"  last      {minute(alert['last_at'])} UTC",
        f"  over      {minute(alert['over_at'])} UTC"
        if alert["over_at"]
        else f"  ends      {evidence.get('ends', '–')}",
    ]
    if first := evidence.get("at_first"):
        measure = evidence["measure"]
        now, greatest = evidence["now"][measure], evidence["greatest"][measure]
        lines.append(
            f"  growth    {measure} {first[measure]:g} at first, {now:g} last, {greatest:g} at most"
        )
    for what, who, when in (
        ("taken on", alert["acknowledged_by"], alert["acknowledged_at"]),
        ("muted", alert["muted_by"], alert["muted_until"]),
        ("done", alert["resolved_by"], alert["resolved_at"]),
    ):
        if when is not None:
            lines.append(f"  {what:<9} {'until ' * (what == 'muted')}{minute(when)} UTC by {who}")
    lines += [
        f"  sent      to {row['sink']} {minute(row['sent_at'])} UTC"
        if row["sent_at"]
        else f"  waits     for {row['sink']}: {row['error']} ({number(row['tries'])} tries)"
        for row in deliveries
    ]
    lines += [
        f"  post      {post['post']}, {number(post['times'])} times"
        + (f", {percent(post['probability'])} likely false" if "probability" in post else "")
        for post in evidence.get("posts", ())
    ]
    if accounts := evidence.get("accounts"):
        lines.append(f"  accounts  {', '.join(accounts)}")
    return lines


def _judged(judged: dict[str, Any]) -> list[str]:
    def rate(value: float | None) -> str:
        return "–" if value is None else f"{value:.2f}"

    lines = [
        f"{judged['alerts']} alerts in {judged['days']:g} days,"
        f" {rate(judged['alerts_a_day'])} a day; right {percent(judged['precision'])},"
        f" about planted events {percent(judged['strict_precision'])}",
        f"false alarms a week: {rate(judged['false_a_week'])}; in the {judged['calm_days']:g} calm"
        f" days before the campaign {rate(judged['calm_false_a_week'])}",
    ]
    for campaign in judged["campaigns"]:
        for rule, first in campaign["first"].items():
            lines.append(
                f"campaign #{campaign['hashtag']}: {rule} {first['hours_after_start']:g} h after it"
                f" began, at {percent(first['share_of_final_size'])} of its final size,"
                f" {first['hours_before_half']:g} h before half"
            )
        if not campaign["first"]:
            lines.append(f"campaign #{campaign['hashtag']}: not alerted")
    return lines
