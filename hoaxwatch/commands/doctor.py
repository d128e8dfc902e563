"""hoaxwatch doctor: what is missing, and what to do."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from hoaxwatch.commands import options
from hoaxwatch.commands.options import settings_of
from hoaxwatch.show import answers, print_json

SIGNS = {"good": "ok", "optional": "--", "bad": "!!"}


def doctor(
    source: Annotated[
        str | None,
        typer.Argument(
            help="A live source to ask, as x or mastodon; hoaxwatch sources lists them."
        ),
    ] = None,
    project: options.Project = None,
    database: options.Database = None,
    as_json: options.Json = False,
) -> int:
    """Check everything that hoaxwatch depends on; say what is missing and what to do.

    Of a source that is named only this is looked at: whether it takes the token, what the plan and
    the month's budget leave. It is asked one thing that costs nothing. Ends with 3 if something
    that is needed does not work. Nothing is stored.
    """
    from hoaxwatch.doctor import ask_source, examine

    settings = settings_of(project, database)
    findings = []
    for finding in examine(settings) if source is None else [ask_source(settings, source)]:
        findings.append(finding)
        if not as_json:
            line = f"{SIGNS[finding.state]}  {finding.name:14} {finding.detail}"
            answers.print(line, markup=False, soft_wrap=True)
            if finding.advice:
                answers.print(f"{'':19}{finding.advice}", markup=False, soft_wrap=True)
    if as_json:
        print_json([asdict(finding) for finding in findings])
    return 3 if any(finding.state == "bad" for finding in findings) else 0
