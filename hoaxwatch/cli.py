"""The command line: parses, calls, prints. Every error a user can make ends as one line."""

from __future__ import annotations

import os
import sys
from importlib.metadata import version
from typing import Annotated

import typer

from hoaxwatch.commands import (
    alerts,
    ask,
    brokers,
    bursts,
    claims,
    config,
    database,
    datasets,
    demo,
    doctor,
    errata,
    evaluate,
    explain,
    follow,
    forget,
    graph,
    labels,
    media,
    models,
    pipeline,
    quarantine,
    reprocess,
    serve,
    simulate,
    study,
    track,
    train,
    worker,
)
from hoaxwatch.show import notes

app = typer.Typer(
    help="Watch misinformation spread: score posts, follow shares, keep hashtag virality tables.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Begin with: hoaxwatch demo, or hoaxwatch run FILES.",
)
app.command("run")(pipeline.run)
app.command("demo")(demo.demo)
app.command("simulate")(simulate.simulate)
app.command("clusters")(ask.clusters)
app.command("bursts")(bursts.bursts)
app.command("report")(ask.report)
app.command("score")(pipeline.score)
app.command("daily")(study.daily)
app.command("study")(study.study)
app.command("trace")(ask.trace)
app.command("explain")(explain.explain)
app.command("train")(train.train)
app.command("remap")(pipeline.remap)
app.command("reprocess")(reprocess.reprocess)
app.command("forget")(forget.forget)
app.command("formats")(pipeline.formats)
app.command("sources")(pipeline.sources)
app.command("detectors")(pipeline.detectors)
app.command("doctor")(doctor.doctor)
app.command("serve")(serve.serve)
app.command("psql", context_settings={"ignore_unknown_options": True})(database.psql)
app.command("ingest")(brokers.ingest)
app.command("worker")(worker.worker)
app.command("lag")(brokers.lag)
app.command("stress")(brokers.stress)
app.add_typer(ask.trends_app, name="trends")
app.add_typer(brokers.topics_app, name="topics")
app.add_typer(follow.app, name="follow")
app.add_typer(claims.app, name="claims")
app.add_typer(datasets.app, name="datasets")
app.add_typer(evaluate.app, name="evaluate")
app.add_typer(errata.app, name="errata")
app.add_typer(graph.app, name="graph")
app.add_typer(labels.app, name="labels")
app.add_typer(media.app, name="media")
app.add_typer(models.app, name="models")
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(track.app, name="track")
app.add_typer(alerts.app, name="alerts")
app.add_typer(database.app, name="db")
app.add_typer(config.app, name="config")

#: Exit codes: whose fault it was.
OK, BUG, USAGE, DEPENDENCY_DOWN, INTERRUPTED = 0, 1, 2, 3, 130


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"hoaxwatch {version('hoaxwatch')}")
        raise typer.Exit


@app.callback()
def options(
    show_version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Watch misinformation spread: score posts, follow shares, keep hashtag virality tables."""


def main() -> None:
    """Runs the command line and ends the process with its exit code."""
    code = run(sys.argv[1:])
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # the reader of our output, such as head, has seen enough; Python writes the rest at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """Runs one command; returns its exit code. A bug is raised, with its traceback."""
    from detectors.detector import DetectorUnusable
    from storage.embedded import DatabaseUnavailable
    from streams.errors import Unavailable, UsageError
    from streams.formats.opening import InputError
    from streams.records import NewerRecord
    from streams.settings import SettingsError

    try:
        result = app(arguments, standalone_mode=False, prog_name="hoaxwatch")
        return result if isinstance(result, int) else OK
    except (UsageError, InputError, SettingsError, DetectorUnusable) as error:
        return _failed(str(error), USAGE)
    except (Unavailable, DatabaseUnavailable, NewerRecord) as error:
        return _failed(str(error), DEPENDENCY_DOWN)
    except (KeyboardInterrupt, typer.Abort):
        return _failed("stopped; what was stored is whole: run the same command again", INTERRUPTED)
    except typer.Exit as stop:
        return stop.exit_code
    except SystemExit:
        # click leaves so when the reader of our output, such as head, has seen enough
        return OK
    except Exception as error:
        shown = getattr(error, "format_message", None)
        if shown is None:
            raise
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "hoaxwatch"
        return _failed(f"{_with_hint(shown().rstrip('.'))}; see {command} --help", USAGE)


def _with_hint(message: str) -> str:
    """Adds what the shell hides: it takes an unquoted # and what follows as a comment.

    >>> _with_hint("Option '--hashtag' requires an argument")
    "Option '--hashtag' requires an argument: vaccine or '#vaccine', with quotes"
    """
    wants_hashtag = ("'--hashtag' requires", "'-t' requires")
    if any(part in message for part in wants_hashtag):
        return f"{message}: vaccine or '#vaccine', with quotes"
    return message


def _failed(message: str, code: int) -> int:
    notes.print(f"hoaxwatch: {message}", markup=False, soft_wrap=True)
    return code
