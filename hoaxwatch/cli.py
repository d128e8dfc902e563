"""The command line: parses, calls, prints. Every error a user can make ends as one line."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from functools import cache
from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_group

from hoaxwatch.show import notes

#: Each command: its module in `hoaxwatch.commands`, and the function or group of commands there.
COMMANDS = {
    "run": "pipeline:run",
    "demo": "demo:demo",
    "simulate": "simulate:simulate",
    "clusters": "ask:clusters",
    "bursts": "bursts:bursts",
    "report": "ask:report",
    "score": "pipeline:score",
    "daily": "study:daily",
    "study": "study:study",
    "trace": "ask:trace",
    "explain": "explain:explain",
    "train": "train:train",
    "remap": "pipeline:remap",
    "reprocess": "reprocess:reprocess",
    "forget": "forget:forget",
    "formats": "pipeline:formats",
    "sources": "pipeline:sources",
    "detectors": "pipeline:detectors",
    "doctor": "doctor:doctor",
    "serve": "serve:serve",
    "psql": "database:psql",
    "ingest": "brokers:ingest",
    "worker": "worker:worker",
    "lag": "brokers:lag",
    "stress": "brokers:stress",
    "trends": "ask:trends_app",
    "topics": "brokers:topics_app",
    "follow": "follow:app",
    "claims": "claims:app",
    "datasets": "datasets:app",
    "evaluate": "evaluate:app",
    "errata": "errata:app",
    "graph": "graph:app",
    "labels": "labels:app",
    "media": "media:app",
    "models": "models:app",
    "quarantine": "quarantine:app",
    "track": "track:app",
    "alerts": "alerts:app",
    "db": "database:app",
    "config": "config:app",
}
#: What psql has of options is psql's business.
CONTEXTS = {"psql": {"ignore_unknown_options": True}}


class OnDemand(TyperGroup):
    """Imports what a command needs when it is asked for: `config` need not wait for igraph."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        # names alone, for "did you mean"
        self.commands.update((name, TyperCommand(name)) for name in COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command as its module has it; None if there is none of that name."""
        return load_command(cmd_name) if cmd_name in COMMANDS else None


@cache
def load_command(name: str) -> Any:
    """A command, or a group of them. Raises KeyError if there is none of that name."""
    module, _, attribute = COMMANDS[name].partition(":")
    found = getattr(import_module(f"hoaxwatch.commands.{module}"), attribute)
    around = typer.Typer(rich_markup_mode=None)
    if isinstance(found, typer.Typer):
        around.add_typer(found, name=name)
    else:
        around.command(name, context_settings=CONTEXTS.get(name))(found)
    return get_group(around).commands[name]


app = typer.Typer(
    cls=OnDemand,
    help="Watch misinformation spread: score posts, follow shares, keep hashtag virality tables.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Begin with: hoaxwatch demo, or hoaxwatch run FILES.",
)

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
    _let_threads_give_way()
    code = run(sys.argv[1:])
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # the reader of our output, such as head, has seen enough; Python writes the rest at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def _let_threads_give_way() -> None:
    """PyTorch's threads spin up to a millisecond at every step, waiting for each other. Where a
    database or another worker wants the same cores, training then takes 3 to 20 times as long.

    Giving way early costs a tenth on a machine that does nothing else. OpenMP reads this when
    PyTorch is imported.
    """
    told = os.environ  # noqa: TID251  for a library, not for us
    if "OMP_WAIT_POLICY" not in told:
        told.setdefault("GOMP_SPINCOUNT", "1000")


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
    with suppress(BrokenPipeError):  # `main` sees to that
        sys.stdout.flush()  # what was said before comes before it, also in a file
    notes.print(f"hoaxwatch: {message}", markup=False, soft_wrap=True)
    return code
