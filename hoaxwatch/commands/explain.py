"""hoaxwatch explain: why a post was judged as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hoaxwatch.commands import options
from hoaxwatch.commands.options import connected
from hoaxwatch.show import notes, print_json, print_lines
from streams.errors import UsageError
from streams.settings import read_settings


def explain(
    post_id: Annotated[str, typer.Argument(help="Id of the post on its platform.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="A picture of it to write: FILE.svg or FILE.html."),
    ] = None,
    detector: options.Detector = None,
    engine: options.Engine = None,
    encoder: options.Encoder = None,
    weights: options.Weights = None,
    media: options.Media = None,
    no_ocr: options.NoOcr = False,
    project: options.Project = None,
    database: options.Database = None,
    as_json: options.Json = False,
) -> None:
    """Show why a post was judged as it was: which words, hashtags, figures and places of its
    picture weighed most, which parts had no voice, what its spread and checked claims say.

    The detector is asked again if it is the one that judged; else what was stored is shown.
    """
    from hoaxwatch import explain as explaining

    if output is not None and output.suffix not in (".svg", ".html"):
        raise UsageError(f"--output {output}: write FILE.svg or FILE.html")
    settings = read_settings(
        project=project,
        database=database,
        detector=detector,
        engine=engine,
        encoder=encoder,
        weights=weights,
        media=media,
        ocr=False if no_ocr else None,
    )
    with connected(settings) as connection:
        found = explaining.explain(connection, settings, post_id)
    if not found:
        raise UsageError(
            f"no post {post_id} is stored in this project; it may be in quarantine "
            "(hoaxwatch quarantine), deleted, or in another --project"
        )
    if output is not None:
        pictures = [explaining.draw(one) for one in found]
        written = pictures[0] if output.suffix == ".svg" else explaining.page(pictures)
        try:
            output.write_text(written, "utf-8")
        except OSError as error:
            raise UsageError(
                f"cannot write {output}: {error.strerror}; give another place with --output"
            ) from error
        notes.print(f"wrote {output}", markup=False, soft_wrap=True)
    if as_json:
        print_json([one.facts for one in found])
        return
    for one in found:
        print_lines(explaining.lines_of(one.facts))
